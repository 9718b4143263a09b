"""Events in Avro: what a schema says, and that values come back as they went (decision 12)."""

import json
from datetime import date, datetime
from enum import StrEnum
from io import BytesIO
from typing import Annotated, Any, cast
from uuid import UUID

import avro.io
import avro.schema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, create_model

from domain.account import AccountFact, UserRegistered
from domain.event import Event
from domain.personal import Personal, PersonalText, Purpose, Sealed, personal_fields
from domain.subscription import PaymentCaptured, SubscriptionEnded, TaxDocumentChosen
from schemas.avro import PERSONAL, Contracted, avro_schema, avsc, from_avro, records, to_avro
from schemas.catalogue import catalogue
from schemas.contracts import Contracts, known_events
from schemas.entries import Entry
from tests.schemas.examples import ContractedT, any_event, example

EVENTS = known_events()
CONTRACTED = Contracts().classes


def named(cls: Contracted) -> str:
    return cls.__name__


def fields(event_class: Contracted) -> dict[str, dict[str, Any]]:
    """The fields of a schema by name, without their words."""
    return {
        field.pop("name"): {key: value for key, value in field.items() if key != "doc"}
        for field in avro_schema(event_class)["fields"]
    }


def sealed(event: ContractedT) -> ContractedT:
    """The event as it is after the mapper: no personal value in clear."""
    marks = personal_fields(type(event))
    changed = {name: Sealed(str(getattr(event, name)).encode()) for name in marks}
    return cast(ContractedT, event.model_copy(update=changed))


def read_by_apache(data: bytes, event_class: Contracted) -> dict[str, Any]:
    """What Apache's own reader makes of the bytes."""
    reader = avro.io.DatumReader(avro.schema.parse(avsc(event_class)))
    values = reader.read(avro.io.BinaryDecoder(BytesIO(data)))
    assert isinstance(values, dict)
    return values


def as_read(value: Any) -> Any:
    """Lists, records and ids in the one form in which readers agree."""
    match value:
        case UUID():
            return str(value)
        case list() | tuple():
            return [as_read(item) for item in value]
        case BaseModel():
            return as_read(dict(value))
        case dict():
            return {name: as_read(part) for name, part in value.items()}
        case _:
            return value


@pytest.mark.parametrize("cls", CONTRACTED, ids=named)
@given(data=st.data())
def test_every_event_comes_back_as_it_went(cls: Contracted, data: st.DataObject) -> None:
    event = data.draw(any_event(cls))
    assert from_avro(to_avro(event), cls) == event


@pytest.mark.parametrize("cls", CONTRACTED, ids=named)
def test_apaches_own_reader_reads_the_same(cls: Contracted) -> None:
    event = sealed(example(cls))
    read = read_by_apache(to_avro(event), cls)
    for name, value in dict(event).items():
        match value:
            case Sealed(token=token):
                assert read[name] == token
            case _:
                assert as_read(read[name]) == as_read(value)


@pytest.mark.parametrize("cls", CONTRACTED, ids=named)
def test_a_record_is_named_for_its_event(cls: Contracted) -> None:
    """The full name is what TopicRecordNameStrategy makes a subject of."""
    schema = avro_schema(cls)
    assert (schema["namespace"], schema["name"]) == (f"acta.{cls.AGGREGATE}", cls.__name__)


@pytest.mark.parametrize("cls", CONTRACTED, ids=named)
def test_everything_in_a_schema_is_described(cls: Contracted) -> None:
    schema = avro_schema(cls)
    for record in [schema, *records(schema)]:
        assert record["doc"]
        assert [field["name"] for field in record["fields"] if not field["doc"]] == []


@pytest.mark.parametrize("cls", CONTRACTED, ids=named)
def test_a_schema_is_the_same_text_each_time(cls: Contracted) -> None:
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


def test_an_entry_has_only_what_every_sink_knows() -> None:
    """Kafka Connect knows no microseconds, and its sinks no nested records; nothing is sealed."""
    kinds = {json.dumps(field["type"]) for field in fields(Entry).values()}
    assert kinds == {
        '"string"',
        '"long"',
        '{"type": "long", "logicalType": "timestamp-millis"}',
        '["null", "string"]',
        '["null", "long"]',
        '["null", {"type": "int", "logicalType": "date"}]',
    }
    assert all(field["default"] is None for field in fields(Entry).values() if "default" in field)


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
@pytest.mark.parametrize(
    "annotation",
    [
        float, datetime, list[str], str | int, bytes,
        tuple[str, int], tuple[str | None, ...], tuple[float, ...],
    ],
    ids=str,
)  # fmt: skip
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


# ---------------------------------------------------------------- lists, and the records in them


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Fault(Part):
    """What is wrong."""

    rule: str
    """The rule."""
    seen: UUID | None = None
    """Where."""


class Line(Part):
    """A line of the list."""

    number: int
    """Its number."""
    colour: Colour
    """Its colour."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with it."""


@pytest.fixture
def listed(throw_away_registry: None) -> type[Event]:  # noqa: ARG001  it is forgotten afterwards
    class Listing(Event, aggregate="listing"):
        """What is told of a list."""

    class LinesListed(Listing):
        """Lines were listed."""

        lines: tuple[Line, ...]
        """The lines."""
        general: tuple[Fault, ...] = ()
        """What is wrong with the whole."""
        colours: tuple[Colour, ...] = ()
        """Colours."""
        ids: tuple[UUID, ...] | None = None
        """Ids."""
        days: tuple[date, ...] = ()
        """Days."""
        words: tuple[str, ...] = ()
        """Words."""

    return LinesListed


def test_a_list_of_records_is_an_array_that_defines_each_once(listed: type[Event]) -> None:
    schema = {field["name"]: field for field in avro_schema(listed)["fields"]}
    line = schema["lines"]["type"]["items"]
    assert (line["type"], line["name"], line["namespace"]) == ("record", "Line", "acta.listing")
    assert line["doc"] == "A line of the list."
    number, colour, faults = line["fields"]
    assert number == {"name": "number", "doc": "Its number.", "type": "long"}
    assert colour["type"] == "string"
    assert colour["doc"] == "Its colour. One of red, blue; others may be added."
    assert faults["default"] == []
    assert faults["type"]["items"]["name"] == "Fault"
    assert "default" not in schema["lines"]
    assert schema["general"]["type"] == {"type": "array", "items": "acta.listing.Fault"}
    assert [record["name"] for record in records(avro_schema(listed))] == ["Line", "Fault"]


def test_a_list_of_plain_values_is_an_array_of_them(listed: type[Event]) -> None:
    uuid = {"type": "string", "logicalType": "uuid"}
    found = fields(listed)
    assert found["colours"] == {"type": {"type": "array", "items": "string"}, "default": []}
    assert found["ids"] == {"type": ["null", {"type": "array", "items": uuid}], "default": None}
    docs = {field["name"]: field["doc"] for field in avro_schema(listed)["fields"]}
    assert docs["colours"] == "Colours. One of red, blue; others may be added."


def test_lists_come_back_as_they_went(listed: type[Event]) -> None:
    """From a topic, from the log, and to Apache's own reader."""

    @given(any_event(listed))
    def come_back(event: Event) -> None:
        assert from_avro(to_avro(event), listed) == event
        assert listed.model_validate_json(event.model_dump_json(), extra="ignore") == event
        read = read_by_apache(to_avro(event), listed)
        for name in ("lines", "general", "colours", "ids", "days", "words"):
            assert as_read(read[name]) == as_read(getattr(event, name))

    come_back()


def test_an_example_has_two_items_the_second_with_only_what_it_must_have(
    listed: type[Event],
) -> None:
    values = dict(example(listed))
    full, bare = values["lines"]
    assert [fault.seen is None for fault in full.faults] == [False, True]
    assert bare.faults == ()
    for name in ("general", "colours", "ids", "days", "words"):
        assert len(values[name]) == 2


def test_what_a_newer_version_adds_to_a_record_is_passed_over(listed: type[Event]) -> None:
    """In the log, and in a topic."""
    event = example(listed)
    payload = json.loads(event.model_dump_json())
    payload["lines"][0]["faults"][0]["new"] = 1
    assert listed.model_validate_json(json.dumps(payload), extra="ignore") == event
    newer = avro_schema(listed)
    for record in records(newer):
        record["fields"].append({"name": "new", "type": ["null", "long"], "default": None})
    data = to_avro(event, newer)
    assert data != to_avro(event)
    assert from_avro(data, listed, newer) == event


def test_what_an_older_version_lacks_in_a_record_is_filled_in(listed: type[Event]) -> None:
    event = example(listed)
    older = avro_schema(listed)
    for record in records(older):
        record["fields"] = [f for f in record["fields"] if f["name"] != "seen"]
    read = from_avro(to_avro(event, older), listed, older)
    for fault in getattr(read, "general"):  # noqa: B009  the class is made by the fixture
        assert (fault.rule, fault.seen) == ("rule", None)


def test_the_catalogue_shows_a_record_after_the_event(listed: type[Event]) -> None:
    text = catalogue([listed])
    assert "| `lines` | list of Line | The lines. |" in text
    assert "| `general` | list of Fault | What is wrong with the whole. |" in text
    assert "| `ids` | list of uuid, optional | Ids. |" in text
    assert text.count("In it, `Line`: A line of the list.") == 1
    assert text.count("In it, `Fault`: What is wrong.") == 1
    assert "| `faults` | list of Fault | What is wrong with it. |" in text


@pytest.mark.rule("A11")
@pytest.mark.usefixtures("throw_away_registry")
def test_a_record_in_a_list_has_nothing_personal() -> None:
    mark = Personal(of="person", purpose=Purpose.IDENTITY)
    Named: Any = create_model("Named", email=Annotated[PersonalText, mark])  # noqa: N806
    Odd: Any = create_model("Odd", __base__=AccountFact, value=tuple[Named, ...])  # noqa: N806
    with pytest.raises(TypeError, match=r"Named\.email is personal, and only a field of the event"):
        avro_schema(Odd)


@pytest.mark.usefixtures("throw_away_registry")
def test_two_records_of_one_name_are_turned_away() -> None:
    other: Any = create_model("Line", number=int)
    Odd: Any = create_model(  # noqa: N806
        "Odd", __base__=AccountFact, a=tuple[Line, ...], b=tuple[other, ...]
    )
    with pytest.raises(TypeError, match="two records of one schema are named Line"):
        avro_schema(Odd)
