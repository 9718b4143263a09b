"""Events of every class: one plain example each, and any that could be written."""

from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin
from uuid import NAMESPACE_URL, UUID, uuid5

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel

from domain.event import Event
from domain.personal import Sealed, personal_fields
from schemas.entries import Entry

__all__ = ["ContractedT", "any_event", "example"]

ContractedT = TypeVar("ContractedT", bound=Event | Entry)

LONG = 2**63

# The log holds offsets, not zones; and an instant that every offset has a date for.
OFFSETS = st.integers(-18 * 60, 18 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001  the offset is drawn

WORDS = {
    "address": "Calle Ñuñoa 1234, depto. 5 «B»",
    "attachment_names": '["informe técnico.pdf", "foto 1.png"]',
    "body": "No puedo entrar.\n\n¿Qué me falta?  Gracias — Pía",
    "company_name": "Peña & Hijos Ltda.",
    "company_rut": "76543210-3",
    "content": "algebra/unit-3",
    "email": "jose.nunez@example.com",
    "former_email": "pepe@example.com",
    "gateway_reference": "gateway-4711",
    "given_name": "José 小林",
    "language": "es",
    "line_of_business": "Librería",
    "maternal_surname": "Müller",
    "in_reply_to": "9c1e@mail.example",
    "message_id": "7f2b.pia@mail.example",
    "name": "Inés Cano",
    "note": 'said "now", twice\nby telephone',
    "paternal_surname": "Núñez",
    "phone": "+56961234567",
    "plan": "full-access",
    "references": "4a07@mail.example 9c1e@mail.example",
    "rut": "12345678-5",
    "sender_address": "pia.soto@example.com",
    "sender_name": "Pía Soto",
    "subject": "[#41] Sin acceso «urgente»",
    "time_zone": "America/Santiago",
}


def example(contracted: type[ContractedT]) -> ContractedT:
    """An event with a value in each field, the same each time; personal values in clear."""
    personal = personal_fields(contracted)
    fields = contracted.model_fields.items()
    values = {
        name: WORDS.get(name, name) if name in personal else _example(name, field.annotation)
        for name, field in fields
    }
    return cast(ContractedT, contracted.model_validate(values))


def any_event(contracted: type[ContractedT]) -> st.SearchStrategy[ContractedT]:
    """Any event of a class that the log could hold, its personal values sealed; or any entry."""
    return _any_record(contracted)


def _example(name: str, annotation: Any) -> Any:
    kind = _kind(annotation)
    if item := _item(kind):
        return _two_examples(name, item)
    if issubclass(kind, StrEnum):
        return [*kind][-1]
    values: dict[Any, Any] = {
        str: WORDS.get(name, name),
        int: 9990,
        bool: True,
        UUID: uuid5(NAMESPACE_URL, name),
        date: date(2025, 2, 28),
        AwareDatetime: datetime(2025, 1, 31, 12, 30, 15, 123456, tzinfo=UTC),
    }
    return values[kind]


def _two_examples(name: str, item: Any) -> tuple[Any, Any]:
    """Of records, the second has only what each must have."""
    if not issubclass(item, BaseModel):
        return _example(name, item), _example(f"{name} 2", item)
    fields = item.model_fields.items()
    full = {part: _example(part, field.annotation) for part, field in fields}
    bare = {part: full[part] for part, field in fields if field.is_required()}
    return item.model_validate(full), item.model_validate(bare)


def _any_record(model: type[Any]) -> st.SearchStrategy[Any]:
    personal = personal_fields(model)
    return st.fixed_dictionaries(
        {
            name: _any(st.binary(max_size=200).map(Sealed), field.annotation)
            if name in personal
            else _any(_values_of(_kind(field.annotation)), field.annotation)
            for name, field in model.model_fields.items()
        }
    ).map(model.model_validate)


def _any(values: st.SearchStrategy[Any], annotation: Any) -> st.SearchStrategy[Any]:
    return st.none() | values if NoneType in get_args(annotation) else values


def _values_of(kind: Any) -> st.SearchStrategy[Any]:
    strategies: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=200),
        int: st.integers(-LONG, LONG - 1),
        AwareDatetime: st.datetimes(FIRST, LAST, timezones=OFFSETS),
    }
    if item := _item(kind):
        return st.lists(_values_of(item), max_size=3).map(tuple)
    if issubclass(kind, BaseModel):
        return _any_record(kind)
    return strategies[kind] if kind in strategies else st.from_type(kind)


def _kind(annotation: Any) -> Any:
    """What a field holds when it holds something."""
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation
    return next(kind for kind in get_args(annotation) if kind is not NoneType)


def _item(kind: Any) -> Any:
    """What a list holds; None if it is no list."""
    return get_args(kind)[0] if get_origin(kind) is tuple else None
