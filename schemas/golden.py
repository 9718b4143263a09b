"""Whether what was written when a version was published can still be read, as its golden file says.

A golden file holds the bytes of one event in the log and in a topic, and its values. Sealed values
stay sealed here; the tests open them, with the key that is in the file.
"""

from typing import Any

from domain.personal import personal_fields
from schemas.avro import Contracted, Schema, from_avro, to_avro

__all__ = ["fault_in_golden"]


def fault_in_golden(content: Any, cls: Contracted, written: Schema) -> str | None:
    """What is wrong with a golden file; None if it reads as it says.

    Args:
        content: what stands in the file, as JSON has it.
        cls: the class that reads the version today.
        written: the schema of the version.
    """
    try:
        stored = cls.model_validate_json(content["payload"], extra="ignore")
        avro = bytes.fromhex(content["avro"])
        told: dict[str, Any] = content["opened"]
        if from_avro(avro, cls, written) != stored:
            return "what it holds for a topic does not read as what it holds for the log"
        if to_avro(stored, written) != avro:
            return "the same event would be written otherwise today"
    except Exception as error:  # noqa: BLE001  each way of not being read is the same finding
        return f"it no longer reads ({type(error).__name__})"
    # What a newer version added is not in it, and reads as nothing.
    read = stored.model_dump(mode="json", exclude_unset=True)
    personal = personal_fields(cls)
    clear = [name for name in {*read, *told} if name not in personal]
    if read.keys() != told.keys() or any(read[name] != told[name] for name in clear):
        return "it reads otherwise than it says"
    return None
