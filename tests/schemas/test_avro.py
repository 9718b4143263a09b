"""Events in Avro: what a schema says, and that values come back as they went (decision 12)."""

import json
from datetime import date, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import avro.io
import avro.schema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import create_model

from domain.account import AccountFact, UserRegistered
from domain.event import Event
from domain.personal import Sealed, personal_fields
from domain.subscription import PaymentCaptured, SubscriptionEnded, TaxDocumentChosen
from schemas.avro import PERSONAL, avro_schema, avsc, from_avro, to_avro
from schemas.contracts import known_events
from tests.schemas.examples import any_event, example

EVENTS = known_events()


def named(cls: type[Event]) -> str:
    return cls.__name__


def fields(event_class: type[Event]) -> dict[str, dict[str, Any]]:
    """The fields of a schema by name, without their words."""
    return {
        field.pop("name"): {key: value for key, value in field.items() if key != "doc"}
        for field in avro_schema(event_class)["fields"]
    }


def sealed(event: Event) -> Event:
    """The event as it is after the mapper: no personal value in clear."""
    marks = personal_fields(type(event))
    return event.model_copy(
        update={name: Sealed(str(getattr(event, name)).encode()) for name in marks}
    )


def read_by_apache(data: bytes, event_class: type[Event]) -> dict[str, Any]:
    """What Apache's own reader makes of the bytes."""
    reader = avro.io.DatumReader(avro.schema.parse(avsc(event_class)))
    values = reader.read(avro.io.BinaryDecoder(BytesIO(data)))
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize("cls", EVENTS, ids=named)
@given(data=st.data())
def test_every_event_comes_back_as_it_went(cls: type[Event], data: st.DataObject) -> None:
    event = data.draw(any_event(cls))
    assert from_avro(to_avro(event), cls) == event


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_apaches_own_reader_reads_the_same(cls: type[Event]) -> None:
    event = sealed(example(cls))
    read = read_by_apache(to_avro(event), cls)
    for name, value in dict(event).items():
        match value:
            case Sealed(token=token):
                assert read[name] == token
            case UUID():
                assert str(read[name]) == str(value)
            case _:
                assert read[name] == value


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_a_record_is_named_for_its_event(cls: type[Event]) -> None:
    """The full name is what TopicRecordNameStrategy makes a subject of."""
    schema = avro_schema(cls)
    assert (schema["namespace"], schema["name"]) == (f"acta.{cls.AGGREGATE}", cls.__name__)


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_everything_in_a_schema_is_described(cls: type[Event]) -> None:
    schema = avro_schema(cls)
    assert schema["doc"]
    assert [field["name"] for field in schema["fields"] if not field["doc"]] == []


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_a_schema_is_the_same_text_each_time(cls: type[Event]) -> None:
    assert avsc(cls) == avsc(cls)
    assert json.loads(avsc(cls)) == avro_schema(cls)
    assert avsc(cls).endswith("}\n")


def test_values_have_the_types_that_every_language_has() -> None:
    uuid = {"type": {"type": "string", "logicalType": "uuid"}}
    day = {"type": {"type": "int", "logicalType": "date"}}
    assert fields(PaymentCaptured) == {
        "occurred_at": {"type": {"type": "long", "logicalType": "timestamp-micros"}},
        "person": uuid,
        "account": uuid,
        "subscription": uuid,
        "payment": uuid,
        "payer": uuid,
        "amount_minor": {"type": "long"},
        "currency": {"type": "string"},
        "means": {"type": "string"},
        "plan": {"type": "string"},
        "price_version": {"type": "long"},
        "period_from": day,
        "period_to": day,
        "time_zone": {"type": "string"},
        "gateway_reference": {"type": "string"},
        "tax_document": {"type": "string"},
    }


def test_what_may_be_missing_is_null_unless_given() -> None:
    assert fields(SubscriptionEnded)["access_until"] == {
        "type": ["null", {"type": "int", "logicalType": "date"}],
        "default": None,
    }


@pytest.mark.rule("A11")
@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_personal_fields_and_no_others_are_marked_bytes(cls: type[Event]) -> None:
    """Whoever reads a schema sees which bytes are sealed, for whom and what for."""
    marked = {name: field[PERSONAL] for name, field in fields(cls).items() if PERSONAL in field}
    assert marked == {
        name: {"of": mark.of, "purpose": mark.purpose.value}
        for name, mark in personal_fields(cls).items()
    }
    with_bytes = {name for name, field in fields(cls).items() if "bytes" in field["type"]}
    assert with_bytes == {*marked}


@pytest.mark.rule("A11")
@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls in EVENTS for name in personal_fields(cls)]
)
def test_a_clear_personal_value_does_not_go_out(cls: type[Event], name: str) -> None:
    """One value left in clear is enough, and the message does not repeat it."""
    clear = example(cls)
    event = sealed(clear).model_copy(update={name: getattr(clear, name)})
    with pytest.raises(ValueError, match=rf"{cls.TOPIC}: {name} leaves .* only sealed") as failure:
        to_avro(event)
    assert getattr(clear, name) not in str(failure.value)


def test_the_words_of_a_string_say_which_values_it_takes() -> None:
    docs = {field["name"]: field["doc"] for field in avro_schema(TaxDocumentChosen)["fields"]}
    assert docs["kind"] == "Boleta or factura. One of boleta, factura; others may be added."


@pytest.mark.usefixtures("throw_away_registry")
@pytest.mark.parametrize("annotation", [float, datetime, list[str], str | int, bytes], ids=str)
def test_a_type_that_not_every_reader_has_is_turned_away(annotation: Any) -> None:
    """A fraction, a time without a zone, a choice of types: none has a place in a contract."""
    Odd = create_model("Odd", __base__=AccountFact, value=annotation)  # noqa: N806
    with pytest.raises(TypeError, match="value is of a type that has no place in a contract"):
        avro_schema(Odd)


def test_an_older_version_is_read_and_written_by_the_class_of_today() -> None:
    """What the newer version added is null when read, and left out when written for the older."""
    schema = avro_schema(UserRegistered)
    older = {**schema, "fields": [f for f in schema["fields"] if f["name"] != "rut"]}
    event = sealed(example(UserRegistered)).model_copy(update={"rut": None})
    data = to_avro(event, older)
    assert len(data) < len(to_avro(event))
    assert from_avro(data, UserRegistered, older) == event


def test_a_date_at_either_end_of_the_calendar_comes_back() -> None:
    ended = example(SubscriptionEnded)
    for day in (date.min, date.max):
        event = ended.model_copy(update={"access_until": day})
        assert from_avro(to_avro(event), SubscriptionEnded) == event
