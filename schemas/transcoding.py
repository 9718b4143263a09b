"""From the bytes in the log straight to Avro, as the event was written.

The relay carries far more events than anybody decides upon and need not know what they mean: the
stored JSON has each value in the form of its type, so no event object is made in between.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import from_json

from schemas.avro import Schema
from schemas.encoding import UNFIT, encoder

__all__ = ["NotOfContract", "Transcoder", "stored_values"]


class NotOfContract(ValueError):  # noqa: N818  named for what was found
    """What stands in the log does not fit the contract; the text holds no value of it."""


def stored_values(payload: bytes) -> dict[str, Any]:
    """The fields of an event as they stand in the log, in the forms of JSON.

    Raises:
        NotOfContract: it is not an object of JSON.
    """
    try:
        values: Any = from_json(payload)
    except ValueError:
        raise NotOfContract("it is not JSON") from None
    if not isinstance(values, dict):
        raise NotOfContract("it is not an object of JSON")
    return cast(dict[str, Any], values)


class Transcoder:
    """Turns stored events of one contract into Avro, or the entries made of them.

    Args:
        schema: the contract that they were written by.
    """

    def __init__(self, schema: Schema) -> None:
        self._encode = encoder(schema)

    def to_avro(self, values: Mapping[str, Any]) -> bytes:
        """The Avro bytes, without framing, of an event of this contract.

        Args:
            values: from ``stored_values``, or in the same forms; left as they are.

        Raises:
            NotOfContract: a value is missing, unknown, or not of its type.
        """
        try:
            return self._encode(values)
        except UNFIT as error:
            # The text of the cause may hold the value.
            raise NotOfContract(f"a value is not of its type ({type(error).__name__})") from None
