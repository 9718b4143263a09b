"""Events in Avro: the schema that an event class has, and its values out and in (decision 12).

The event class is the single source; a schema is written from it and never by hand. A personal
value goes out sealed or not at all. Besides plain values a field may hold a list,
``tuple[X, ...]``, of plain values or of records: pydantic models without personal values.
"""

import json
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from functools import cache
from inspect import cleandoc
from io import BytesIO
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

import fastavro
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from domain.event import Event
from domain.personal import Personal, Sealed, personal_fields
from schemas.entries import IN_MILLISECONDS, Entry

__all__ = [
    "PERSONAL", "Contracted", "Schema", "avro_schema", "avsc", "from_avro", "records", "to_avro",
]  # fmt: skip

Schema = dict[str, Any]
"""An Avro schema of a record, as JSON has it."""

PERSONAL = "acta.personal"
"""The attribute of a field that says whose its sealed bytes are, and what they are kept for."""

Contracted = type[Event] | type[Entry]
"""A class that has a contract: of an event, or of the flat record of money."""

ContractedT = TypeVar("ContractedT", bound=Event | Entry)

_TYPES: dict[object, str | Schema] = {
    str: "string",
    int: "long",
    bool: "boolean",
    UUID: {"type": "string", "logicalType": "uuid"},
    AwareDatetime: {"type": "long", "logicalType": "timestamp-micros"},
    IN_MILLISECONDS: {"type": "long", "logicalType": "timestamp-millis"},
    date: {"type": "int", "logicalType": "date"},
}


def avro_schema(contracted: Contracted) -> Schema:
    """The schema of an event class, or of the entry, at its current version.

    Raises:
        TypeError: a field is of a type that has no place in a contract; a record within a list
            has a personal field; two records have one name.
    """
    return _Writer(f"acta.{contracted.AGGREGATE}").record(contracted)


def avsc(contracted: Contracted) -> str:
    """The text of the schema file of a class."""
    return json.dumps(avro_schema(contracted), indent=2, ensure_ascii=False) + "\n"


def records(schema: Schema) -> Iterator[Schema]:
    """The records that are defined within a schema, in the order of their definitions."""
    for field in schema["fields"]:
        yield from _defined_in(field["type"])


def to_avro(event: Event | Entry, schema: Schema | None = None) -> bytes:
    """An event, or an entry, in Avro, without any framing.

    Args:
        event: its personal values are sealed.
        schema: that of an older version of the event; none: that of its class.

    Raises:
        ValueError: a personal value is in clear.
    """
    values = vars(event).copy()
    for name in _personal_names(type(event)):
        values[name] = _token(event, name)
    for name in _list_names(type(event)):
        values[name] = _unfolded(values[name])
    return _encode(values, _parsed(type(event)) if schema is None else _parse(schema))


def from_avro(
    data: bytes, contracted: type[ContractedT], written: Schema | None = None
) -> ContractedT:
    """The event or entry that Avro bytes without framing hold, its personal values sealed.

    Args:
        data: what ``to_avro`` wrote.
        contracted: the class that reads it.
        written: the schema that it was written with; none: that of the class.
    """
    known = cast(Contracted, contracted)
    current = _parsed(known)
    values = _decode(data, current if written is None else _parse(written), current)
    for name in _personal_names(known):
        if values[name] is not None:
            values[name] = Sealed(values[name])
    return cast(ContractedT, known.model_validate(values))


class _Writer:
    """Writes the records of one schema: Avro wants each defined once, and named from then on."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._defined: dict[str, type[BaseModel]] = {}

    def record(self, model: type[BaseModel]) -> Schema:
        self._defined[model.__name__] = model
        marks = personal_fields(model)
        return {
            "type": "record",
            "name": model.__name__,
            "namespace": self._namespace,
            "doc": cleandoc(model.__doc__ or ""),
            "fields": [
                self._field(name, field, marks.get(name))
                for name, field in model.model_fields.items()
            ],
        }

    def _field(self, name: str, field: FieldInfo, mark: Personal | None) -> Schema:
        alternatives = _alternatives(field.annotation)
        kinds = [kind for kind in alternatives if kind is not NoneType]
        schema: Schema = {"name": name, "doc": field.description or ""}
        if mark:
            schema |= _personal(mark)
        else:
            schema["doc"] += _words(kinds)
            schema["type"] = self._plain(name, _as_marked(kinds, field.metadata))
        if NoneType in alternatives:
            schema |= {"type": ["null", schema["type"]], "default": None}
        elif field.default == ():
            schema["default"] = []
        return schema

    def _plain(self, name: str, kinds: list[Any]) -> str | Schema:
        match kinds:
            case [kind] if item := _item(kind):
                return {"type": "array", "items": self._within_list(name, item)}
            case [kind]:
                return _scalar(name, kind)
            case _:
                raise _no_place(name)

    def _within_list(self, name: str, kind: Any) -> str | Schema:
        return self._named(kind) if _is_record(kind) else _scalar(name, kind)

    def _named(self, model: type[BaseModel]) -> str | Schema:
        known = self._defined.get(model.__name__)
        if known is model:
            return f"{self._namespace}.{model.__name__}"
        if known is not None:
            raise TypeError(f"two records of one schema are named {model.__name__}")
        if marks := personal_fields(model):
            # A sealed value is bound to a field of its event, and a record in a list has no place.
            raise TypeError(
                f"{model.__name__}.{next(iter(marks))} is personal, and only a field of the event"
                " itself can be sealed"
            )
        return self.record(model)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = get_origin(annotation) in {Union, UnionType}
    return get_args(annotation) if union else (annotation,)


def _as_marked(kinds: list[Any], marks: list[Any]) -> list[Any]:
    """A mark says which form of a type is meant, where there are several."""
    return [IN_MILLISECONDS] if IN_MILLISECONDS in marks else kinds


def _personal(mark: Personal) -> Schema:
    return {"type": "bytes", PERSONAL: {"of": mark.of, "purpose": mark.purpose.value}}


def _scalar(name: str, kind: Any) -> str | Schema:
    if _is_enum(kind):
        # A reader of yesterday cannot read a symbol that an Avro enum was given today, and
        # FULL_TRANSITIVE would refuse it; so the contract says string, and the words say which.
        return "string"
    if kind in _TYPES:
        return _TYPES[kind]
    raise _no_place(name)


def _words(kinds: list[Any]) -> str:
    """Which values a string takes, or each string of a list."""
    match kinds:
        case [kind] if _is_enum(member := _item(kind) or kind):
            return f" One of {', '.join(each.value for each in member)}; others may be added."
        case _:
            return ""


def _item(kind: Any) -> Any:
    """What a list holds; None if it is no list."""
    match get_args(kind) if get_origin(kind) is tuple else ():
        case (item, last) if last is ...:
            return item
        case _:
            return None


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, Event)


def _no_place(name: str) -> TypeError:
    return TypeError(f"the field {name} is of a type that has no place in a contract")


def _defined_in(avro_type: Any) -> Iterator[Schema]:
    match avro_type:
        case [*alternatives]:
            for alternative in alternatives:
                yield from _defined_in(alternative)
        case {"type": "array", "items": items}:
            yield from _defined_in(items)
        case {"type": "record", "fields": _}:
            yield cast(Schema, avro_type)
            yield from records(cast(Schema, avro_type))
        case _:
            pass


def _unfolded(value: Any) -> Any:
    match value:
        case tuple():
            return [_unfolded(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case BaseModel():
            return {name: _unfolded(part) for name, part in value}
        case _:
            return value


def _token(event: Event | Entry, name: str) -> bytes | None:
    match getattr(event, name):
        case None:
            return None
        case Sealed(token=token):
            return token
        case _:
            raise ValueError(f"{event.TOPIC}: {name} leaves the domain only sealed")


@cache
def _parsed(contracted: Contracted) -> Schema:
    return _parse(avro_schema(contracted))


@cache
def _personal_names(contracted: Contracted) -> frozenset[str]:
    return frozenset(personal_fields(contracted))


@cache
def _list_names(contracted: Contracted) -> frozenset[str]:
    fields = contracted.model_fields.items()
    return frozenset(name for name, f in fields if any(map(_item, _alternatives(f.annotation))))


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
