"""From the bytes in the log straight to Avro, as the event was written.

The relay carries far more events than anybody decides upon and need not know what they mean: the
stored JSON has each value in the form of its type, so no event object is made in between.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any, cast

import fastavro
from pydantic_core import from_json

from domain.personal import Sealed
from schemas.avro import Schema

__all__ = ["NotOfContract", "Transcoder", "stored_values"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()
MICROSECOND = timedelta(microseconds=1)

Convert = Callable[[Any], Any]

UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What fastavro and the conversions raise at values that do not fit."""


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
    """Turns stored events of one contract into Avro.

    Args:
        schema: the contract that they were written by.
    """

    def __init__(self, schema: Schema) -> None:
        self._bare = cast(Schema, fastavro.parse_schema(_bare(schema)))
        self._convert = _of_record(schema, {})

    def to_avro(self, values: dict[str, Any]) -> bytes:
        """The Avro bytes, without framing, of an event of this contract.

        Args:
            values: from ``stored_values``; left as they are.

        Raises:
            NotOfContract: a value is missing, unknown, or not of its type.
        """
        try:
            return self._encode(self._convert(values))
        except UNFIT as error:
            raise _not_of_contract(error) from None

    def encode(self, values: dict[str, Any]) -> bytes:
        """The Avro bytes, without framing, of values that are what Avro's bare types hold.

        Raises:
            NotOfContract: a value is missing, unknown, or not of its type.
        """
        try:
            return self._encode(values)
        except UNFIT as error:
            raise _not_of_contract(error) from None

    def _encode(self, values: dict[str, Any]) -> bytes:
        out = BytesIO()
        fastavro.schemaless_writer(  # pyright: ignore[reportUnknownMemberType]  it is untyped
            out, self._bare, values, strict_allow_default=True
        )
        return out.getvalue()


def _not_of_contract(error: Exception) -> NotOfContract:
    """The text of the cause may hold the value."""
    return NotOfContract(f"a value is not of its type ({type(error).__name__})")


def _bare(avro_type: Any) -> Any:
    """A schema without logical types: the values come as what those stand for."""
    match avro_type:
        case [*alternatives]:
            return [_bare(alternative) for alternative in alternatives]
        case {"type": "record", "fields": fields, **attributes}:
            bare = [field | {"type": _bare(field["type"])} for field in fields]
            return {"type": "record", "fields": bare, **attributes}
        case {"type": "array", "items": items}:
            return {"type": "array", "items": _bare(items)}
        case {"logicalType": _, "type": bare}:
            return bare
        case _:
            return avro_type


def _of_record(schema: Schema, defined: dict[str, Convert]) -> Convert:
    conversions: list[tuple[str, Convert]] = []

    def convert(values: dict[str, Any]) -> dict[str, Any]:
        converted = dict(values)
        for name, conversion in conversions:
            value = converted.get(name)
            if value is not None:
                converted[name] = conversion(value)
        return converted

    # Known before its fields are looked at, for one of them may be a list of its own kind.
    defined[f"{schema['namespace']}.{schema['name']}"] = convert
    conversions += [
        (field["name"], conversion)
        for field in schema["fields"]
        if (conversion := _conversion(field["type"], defined))
    ]
    return convert


def _conversion(avro_type: Any, defined: dict[str, Convert]) -> Convert | None:
    """How a value of JSON becomes one of Avro; None where it is one already."""
    match avro_type:
        case ["null", kind]:
            return _conversion(kind, defined)
        case {"type": "record"}:
            return _of_record(cast(Schema, avro_type), defined)
        case {"type": "array", "items": items}:
            return _of_list(_conversion(items, defined))
        case {"logicalType": "timestamp-micros"}:
            return _microseconds
        case {"logicalType": "date"}:
            return _days
        case "bytes":
            return _token
        case str():
            return defined.get(avro_type)
        case _:
            return None


def _of_list(conversion: Convert | None) -> Convert | None:
    return conversion and (lambda items: [conversion(item) for item in items])


def _microseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND


def _days(text: str) -> int:
    return date.fromisoformat(text).toordinal() - EPOCH_DAY


def _token(text: str) -> bytes:
    return Sealed.parse(text).token
