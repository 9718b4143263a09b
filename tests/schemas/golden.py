"""A golden file: one event as it was written when its version was published.

It holds the stored bytes, the Avro bytes, and the values that came in, so that whoever breaks the
reading of an old version is told. Its key is for tests alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.event import Event
from domain.personal import Sealed, personal_fields
from handlers.store.sealing import AesGcmSiv, open_sealed

__all__ = ["TEST_KEY", "TEST_KEY_ID", "Golden"]

TEST_KEY = b"for tests; it seals no real name"
TEST_KEY_ID = UUID("00000000-0000-4000-8000-7e57007e5700")


@dataclass(frozen=True, slots=True)
class Golden:
    """One event as it was written.

    Attributes:
        payload: the bytes in the log.
        avro: the bytes in a topic, without framing.
        opened: the values in the form of JSON, personal ones in clear.
    """

    topic: str
    event_id: UUID
    key_id: UUID
    key: bytes
    payload: bytes
    avro: bytes
    opened: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Golden":
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            topic=content["topic"],
            event_id=UUID(content["event_id"]),
            key_id=UUID(content["test_key"]["id"]),
            key=bytes.fromhex(content["test_key"]["hex"]),
            payload=content["payload"].encode(),
            avro=bytes.fromhex(content["avro"]),
            opened=content["opened"],
        )

    def write(self, path: Path) -> None:
        content = {
            "topic": self.topic,
            "event_id": str(self.event_id),
            "test_key": {
                "note": "for tests only; it seals no real person's data",
                "id": str(self.key_id),
                "hex": self.key.hex(),
            },
            "payload": self.payload.decode(),
            "avro": self.avro.hex(),
            "opened": self.opened,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=2, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8", newline="\n")

    def open(self, event: Event) -> Event:
        """The event with its personal values in clear."""
        return event.model_copy(
            update={
                name: open_sealed(value, self.key, AesGcmSiv(), event_id=self.event_id, field=name)
                for name in personal_fields(type(event))
                if isinstance(value := getattr(event, name), Sealed)
            }
        )
