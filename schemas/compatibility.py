"""Whether two versions of an event can be read by each other's readers (FULL_TRANSITIVE).

Stricter than Avro, which takes bytes for a string and looks at no logical type and no mark.
"""

from collections.abc import Iterator
from typing import Any

from schemas.avro import PERSONAL, Schema

__all__ = ["breaks"]

AvroType = str | list[Any] | Schema


def breaks(older: Schema, newer: Schema) -> list[str]:
    """What a newer version of an event does that its readers cannot follow; empty if nothing.

    A newer version may only add fields, and each of them optional with the default null. Words
    may change.
    """
    return [*_record_breaks(older, newer), *_field_breaks(_fields(older), _fields(newer))]


def _record_breaks(older: Schema, newer: Schema) -> Iterator[str]:
    for attribute in ("type", "namespace", "name"):
        if older.get(attribute) != newer.get(attribute):
            yield f"its {attribute} changed"


def _field_breaks(older: dict[str, Schema], newer: dict[str, Schema]) -> Iterator[str]:
    for name, field in older.items():
        if name not in newer:
            yield f"the field {name} was removed"
        else:
            yield from (f"the {what} of {name} changed" for what in _changes(field, newer[name]))
    for name, field in newer.items():
        if name not in older and not _optional(field):
            yield f"the new field {name} is not optional with the default null"


def _changes(older: Schema, newer: Schema) -> Iterator[str]:
    if _bare(older["type"]) != _bare(newer["type"]):
        yield "type"
    elif older["type"] != newer["type"]:
        yield "logical type"
    if older.get(PERSONAL) != newer.get(PERSONAL):
        yield f"mark {PERSONAL}"
    if _default(older) != _default(newer):
        yield "default"


def _fields(schema: Schema) -> dict[str, Schema]:
    return {field["name"]: field for field in schema["fields"]}


def _bare(avro_type: AvroType) -> AvroType:
    """A type without its logical type, in the one form that it then has."""
    if isinstance(avro_type, list):
        return [_bare(alternative) for alternative in avro_type]
    if isinstance(avro_type, dict):
        return _bare(avro_type["type"])
    return avro_type


def _default(field: Schema) -> list[Any]:
    """None at all is another thing than null."""
    return [field["default"]] if "default" in field else []


def _optional(field: Schema) -> bool:
    match field:
        case {"type": ["null", _], "default": None}:
            return True
        case _:
            return False
