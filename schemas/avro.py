"""Events in Avro: the schema that an event class has, and its values out and in (decision 12).

The event class is the single source; a schema is written from it and never by hand. A personal
value goes out sealed or not at all.
"""

import json
from datetime import date
from enum import StrEnum
from functools import cache
from inspect import cleandoc
from io import BytesIO
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

import fastavro
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from domain.event import Event
from domain.personal import Personal, Sealed, personal_fields

__all__ = ["PERSONAL", "Schema", "avro_schema", "avsc", "from_avro", "to_avro"]

Schema = dict[str, Any]
"""An Avro schema of a record, as JSON has it."""

PERSONAL = "acta.personal"
"""The attribute of a field that says whose its sealed bytes are, and what they are kept for."""

EventT = TypeVar("EventT", bound=Event)

_TYPES: dict[object, str | Schema] = {
    str: "string",
    int: "long",
    bool: "boolean",
    UUID: {"type": "string", "logicalType": "uuid"},
    AwareDatetime: {"type": "long", "logicalType": "timestamp-micros"},
    date: {"type": "int", "logicalType": "date"},
}


def avro_schema(event_class: type[Event]) -> Schema:
    """The schema of an event class at its current version.

    Raises:
        TypeError: a field is of a type that has no place in a contract.
    """
    marks = personal_fields(event_class)
    return {
        "type": "record",
        "name": event_class.__name__,
        "namespace": f"acta.{event_class.AGGREGATE}",
        "doc": cleandoc(event_class.__doc__ or ""),
        "fields": [
            _field(name, field, marks.get(name)) for name, field in event_class.model_fields.items()
        ],
    }


def avsc(event_class: type[Event]) -> str:
    """The text of the schema file of an event class."""
    return json.dumps(avro_schema(event_class), indent=2, ensure_ascii=False) + "\n"


def to_avro(event: Event, schema: Schema | None = None) -> bytes:
    """An event in Avro, without any framing.

    Args:
        event: its personal values are sealed.
        schema: that of an older version of the event; none: that of its class.

    Raises:
        ValueError: a personal value is in clear.
    """
    values = vars(event).copy()
    for name in _personal_names(type(event)):
        values[name] = _token(event, name)
    return _encode(values, _parsed(type(event)) if schema is None else _parse(schema))


def from_avro(data: bytes, event_class: type[EventT], written: Schema | None = None) -> EventT:
    """The event that Avro bytes without framing hold, its personal values sealed.

    Args:
        data: what ``to_avro`` wrote.
        event_class: the class that reads it.
        written: the schema that it was written with; none: that of the class.
    """
    current = _parsed(event_class)
    values = _decode(data, current if written is None else _parse(written), current)
    for name in _personal_names(event_class):
        if values[name] is not None:
            values[name] = Sealed(values[name])
    return event_class.model_validate(values)


def _field(name: str, field: FieldInfo, mark: Personal | None) -> Schema:
    alternatives = _alternatives(field.annotation)
    optional = NoneType in alternatives
    schema = _personal(mark) if mark else _plain(name, [t for t in alternatives if t != NoneType])
    schema = {"name": name, "doc": field.description or "", **schema}
    if "values" in schema:
        schema["doc"] += f" One of {', '.join(schema.pop('values'))}; others may be added."
    if optional:
        schema |= {"type": ["null", schema["type"]], "default": None}
    return schema


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = get_origin(annotation) in {Union, UnionType}
    return get_args(annotation) if union else (annotation,)


def _personal(mark: Personal) -> Schema:
    return {"type": "bytes", PERSONAL: {"of": mark.of, "purpose": mark.purpose.value}}


def _plain(name: str, alternatives: list[Any]) -> Schema:
    match alternatives:
        case [type() as kind] if issubclass(kind, StrEnum):
            # A reader of yesterday cannot read a symbol that an Avro enum was given today, and
            # FULL_TRANSITIVE would refuse it; so the contract says string, and the words say which.
            return {"type": "string", "values": [member.value for member in kind]}
        case [kind] if kind in _TYPES:
            return {"type": _TYPES[kind]}
        case _:
            raise TypeError(f"the field {name} is of a type that has no place in a contract")


def _token(event: Event, name: str) -> bytes | None:
    match getattr(event, name):
        case None:
            return None
        case Sealed(token=token):
            return token
        case _:
            raise ValueError(f"{event.TOPIC}: {name} leaves the domain only sealed")


@cache
def _parsed(event_class: type[Event]) -> Schema:
    return _parse(avro_schema(event_class))


@cache
def _personal_names(event_class: type[Event]) -> frozenset[str]:
    return frozenset(personal_fields(event_class))


# fastavro does not say what kind of stream it takes, and pyright wants to know.


def _parse(schema: Schema) -> Schema:
    return cast(Schema, fastavro.parse_schema(schema))


def _encode(values: dict[str, Any], schema: Schema) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, values)  # pyright: ignore[reportUnknownMemberType]
    return out.getvalue()


def _decode(data: bytes, written: Schema, read: Schema) -> dict[str, Any]:
    # Without a second schema there is nothing to resolve, and reading is faster.
    reader = None if written is read else read
    values = fastavro.schemaless_reader(  # pyright: ignore[reportUnknownMemberType]
        BytesIO(data), written, reader
    )
    return cast(dict[str, Any], values)
