"""The flat record of money: what an event's entry says, made either way."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.event import Event, event_class
from domain.personal import personal_fields
from domain.subscription import (
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PlanConfirmed,
)
from schemas.avro import avro_schema, from_avro, to_avro
from schemas.contracts import known_events
from schemas.entries import ENTRIES, WITHOUT_ENTRY, Entry, entry, entry_values, has_entry
from schemas.transcoding import Transcoder
from tests.schemas.examples import any_event, example

EVENTS = known_events()
RECORDED_AT = datetime(2026, 3, 1, 9, 0, 0, 999_999, tzinfo=UTC)
EVENT_ID, STREAM = UUID(int=1), UUID(int=2)
TRANSCODER = Transcoder(avro_schema(Entry))


def fact(cls: type[Event]) -> str:
    return f"{cls.AGGREGATE}.{cls.__name__}"


def fast(
    event: Event, recorded_at: datetime = RECORDED_AT, changes: dict[str, Any] | None = None
) -> bytes | None:
    """The entry as the relay makes it, from what is stored."""
    if not has_entry(event.TOPIC):
        return None
    values = entry_values(
        event.TOPIC,
        json.loads(event.model_dump_json()) | (changes or {}),
        event_id=str(EVENT_ID),
        position=7,
        stream=str(STREAM),
        version=3,
        recorded_at=recorded_at,
    )
    return TRANSCODER.to_avro(values)


def slow(event: Event, recorded_at: datetime = RECORDED_AT) -> Entry | None:
    """The entry by way of its class."""
    return entry(
        event, event_id=EVENT_ID, position=7, stream=STREAM, version=3, recorded_at=recorded_at
    )


@pytest.mark.parametrize("cls", EVENTS, ids=fact)
@given(data=st.data())
def test_both_ways_to_an_entry_agree_for_any_event(cls: type[Event], data: st.DataObject) -> None:
    event = data.draw(any_event(cls))
    recorded_at = data.draw(st.datetimes(timezones=st.just(UTC)))
    straight, made = fast(event, recorded_at), slow(event, recorded_at)
    if fact(cls) not in ENTRIES:
        assert (straight, made) == (None, None)
    else:
        assert straight is not None
        assert made is not None
        assert straight == to_avro(made)
        assert from_avro(straight, Entry) == made


@pytest.mark.rule("S13")
@pytest.mark.parametrize("cls", EVENTS, ids=fact)
def test_every_event_that_names_an_amount_has_an_entry_or_a_reason(cls: type[Event]) -> None:
    """No money is left out because somebody forgot it."""
    names_an_amount = any(name.endswith("_minor") for name in cls.model_fields)
    if "amount_minor" in cls.model_fields:
        assert fact(cls) in {*ENTRIES, *WITHOUT_ENTRY}
    assert names_an_amount == (fact(cls) in {*ENTRIES, *WITHOUT_ENTRY})


def test_the_tables_name_events_that_are_there_and_none_twice() -> None:
    assert {*ENTRIES, *WITHOUT_ENTRY} <= {fact(cls) for cls in EVENTS}
    assert not {*ENTRIES} & {*WITHOUT_ENTRY}
    assert all(WITHOUT_ENTRY.values())


def test_a_captured_payment_was_received() -> None:
    event = example(PaymentCaptured)
    made = slow(event)
    assert made is not None
    assert (made.kind, made.amount_minor, made.received_minor) == ("payment_captured", 9990, 9990)
    assert (made.position, made.stream, made.version) == (7, str(STREAM), 3)
    assert made.period_from == event.period_from
    assert (made.gateway_reference, made.reason) == ("gateway-4711", None)


def test_nothing_was_received_by_a_declined_charge() -> None:
    made = slow(example(PaymentDeclined))
    assert made is not None
    assert (made.kind, made.amount_minor, made.received_minor) == ("payment_declined", 9990, 0)
    assert (made.reason, made.payer, made.refund) == ("other", None, None)


@pytest.mark.rule("S12")
def test_a_refund_takes_back_what_was_received() -> None:
    event = example(PaymentRefunded)
    made = slow(event)
    assert made is not None
    assert (made.kind, made.amount_minor, made.received_minor) == ("payment_refunded", 9990, -9990)
    assert (made.payment, made.refund) == (str(event.payment), str(event.refund))


def test_a_price_that_was_agreed_to_is_no_entry() -> None:
    assert slow(example(PlanConfirmed)) is None
    assert fast(example(PlanConfirmed)) is None


def test_instants_are_cut_to_the_millisecond_also_before_1970() -> None:
    event = example(PaymentCaptured).model_copy(
        update={"occurred_at": datetime(1969, 12, 31, 23, 59, 59, 999_001, tzinfo=UTC)}
    )
    straight = fast(event)
    assert straight is not None
    read = from_avro(straight, Entry)
    assert read.occurred_at == datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    assert read.recorded_at == RECORDED_AT.replace(microsecond=999_000)


@pytest.mark.rule("A11")
@pytest.mark.parametrize("topic", ENTRIES)
def test_nothing_sealed_gets_into_an_entry(topic: str) -> None:
    assert not {*personal_fields(event_class(f"{topic}.v1"))} & {*Entry.model_fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("occurred_at", "yesterday, said Ana"),
        ("occurred_at", None),
        ("period_from", 7),
        ("amount_minor", "as much as Ana said"),
        ("amount_minor", None),
    ],
)
def test_what_makes_no_entry_is_told_without_its_value(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"not of its type|names no amount") as failure:
        fast(example(PaymentCaptured), changes={field: value})
    assert "Ana" not in str(failure.value)
    assert failure.value.__cause__ is None
