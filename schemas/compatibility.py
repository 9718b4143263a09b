"""Whether two versions of an event can be read by each other's readers (FULL_TRANSITIVE).

Stricter than Avro, which takes bytes for a string and looks at no logical type and no mark.
"""

from collections.abc import Iterator
from typing import Any

from schemas.avro import PERSONAL, Schema, records

__all__ = ["breaks"]

AvroType = str | list[Any] | Schema


def breaks(older: Schema, newer: Schema) -> list[str]:
    """What a newer version of an event does that its readers cannot follow; empty if nothing.

    A newer version may only add fields, to the event or to a record within it, and each of them
    optional with the default null, or a list with the default []. Words may change.
    """
    return [
        *_record_breaks(older, newer),
        *_field_breaks(_fields(older), _fields(newer)),
        *_breaks_within(older, newer),
    ]


def _record_breaks(older: Schema, newer: Schema) -> Iterator[str]:
    for attribute in ("type", "namespace", "name"):
        if older.get(attribute) != newer.get(attribute):
            yield f"its {attribute} changed"


def _breaks_within(older: Schema, newer: Schema) -> Iterator[str]:
    """Where a record is gone or has another name, the field that held it tells."""
    formers = {_full_name(record): record for record in records(older)}
    for record in records(newer):
        if former := formers.get(_full_name(record)):
            yield from _field_breaks(_fields(former), _fields(record), f"{record['name']}.")


def _field_breaks(
    older: dict[str, Schema], newer: dict[str, Schema], of: str = ""
) -> Iterator[str]:
    for name, field in older.items():
        if name not in newer:
            yield f"the field {of}{name} was removed"
        else:
            yield from (
                f"the {what} of {of}{name} changed" for what in _changes(field, newer[name])
            )
    for name, field in newer.items():
        if name not in older and not _optional(field):
            yield f"the new field {of}{name} is not {_what_an_addition_is(field)}"


def _changes(older: Schema, newer: Schema) -> Iterator[str]:
    before, after = _shape(older["type"]), _shape(newer["type"])
    if _bare(before) != _bare(after):
        yield "type"
    elif before != after:
        yield "logical type"
    if older.get(PERSONAL) != newer.get(PERSONAL):
        yield f"mark {PERSONAL}"
    if _default(older) != _default(newer):
        yield "default"


def _fields(schema: Schema) -> dict[str, Schema]:
    return {field["name"]: field for field in schema["fields"]}


def _full_name(record: Schema) -> str:
    return f"{record.get('namespace')}.{record['name']}"


def _shape(avro_type: AvroType) -> AvroType:
    """A type in which a record is but its name, whether it is defined here or elsewhere."""
    match avro_type:
        case list():
            return [_shape(alternative) for alternative in avro_type]
        case {"type": "array", "items": items}:
            return {"type": "array", "items": _shape(items)}
        case {"type": "record", "name": name, **attributes}:
            return f"{attributes.get('namespace')}.{name}"
        case _:
            return avro_type


def _bare(shape: AvroType) -> AvroType:
    """A shape without logical types, in the one form that it then has."""
    match shape:
        case list():
            return [_bare(alternative) for alternative in shape]
        case {"type": "array", "items": items}:
            return {"type": "array", "items": _bare(items)}
        case {"type": bare}:
            return _bare(bare)
        case _:
            return shape


def _default(field: Schema) -> list[Any]:
    """None at all is another thing than null."""
    return [field["default"]] if "default" in field else []


def _optional(field: Schema) -> bool:
    match field:
        case {"type": ["null", _], "default": None} | {"type": {"type": "array"}, "default": []}:
            return True
        case _:
            return False


def _what_an_addition_is(field: Schema) -> str:
    match field["type"]:
        case {"type": "array"}:
            return "a list with the default []"
        case _:
            return "optional with the default null"
