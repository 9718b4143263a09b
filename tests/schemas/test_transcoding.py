"""The straight way from the log to Avro gives what the way through the event class gives."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.event import Event
from schemas.avro import avro_schema, to_avro
from schemas.contracts import Contracts, known_events
from schemas.transcoding import NotOfContract, Transcoder, stored_values
from tests.schemas.examples import any_event
from tests.schemas.golden import Golden

EVENTS = known_events()
PUBLISHED = [topic for topic in Contracts().published() if not topic.startswith("entries.")]
UNREADABLE: list[tuple[str, Any]] = [
    ("occurred_at", "yesterday"),
    ("occurred_at", None),
    ("person", 7),
    ("given_name", "not sealed"),
    ("unheard_of", "forty-two"),
]


@pytest.mark.parametrize("event_class", EVENTS, ids=lambda cls: str(cls.TOPIC))
@given(data=st.data())
def test_any_event_becomes_the_same_bytes_either_way(
    event_class: type[Event], data: st.DataObject
) -> None:
    event = data.draw(any_event(event_class))

    straight = Transcoder(avro_schema(event_class)).to_avro(
        stored_values(event.model_dump_json().encode())
    )

    assert straight == to_avro(event)


@pytest.mark.parametrize("topic", PUBLISHED)
def test_every_version_ever_published_becomes_the_bytes_of_its_golden_file(topic: str) -> None:
    contracts = Contracts()
    golden = Golden.read(contracts.golden(topic))

    straight = Transcoder(contracts.schema(topic)).to_avro(stored_values(golden.payload))

    assert straight == golden.avro


@pytest.mark.parametrize(("field", "value"), UNREADABLE)
def test_what_is_not_of_the_contract_is_said_without_its_value(field: str, value: Any) -> None:
    contracts = Contracts()
    topic = "account.UserRegistered.v1"
    values = json.loads(Golden.read(contracts.golden(topic)).payload) | {field: value}

    with pytest.raises(NotOfContract) as refused:
        Transcoder(contracts.schema(topic)).to_avro(values)

    assert str(value) not in str(refused.value) or value is None


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'"text"', b"\xff"])
def test_what_is_no_object_of_json_is_refused(payload: bytes) -> None:
    with pytest.raises(NotOfContract):
        stored_values(payload)
