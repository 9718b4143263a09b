"""The judge of the relay notices whatever may be wrong with records."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.end_to_end.streams import Logged, differences
from tests.services.topics import Record

NAMESPACE = "acta"
STREAMS = [str(UUID(int=number)) for number in (1, 2)]
RECORDED_AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
CAPTURED = "subscription.PaymentCaptured.v1"
ENDED = "subscription.SubscriptionEnded.v1"


def logged(position: int, stream: int, version: int, topic: str) -> Logged:
    event_id = str(UUID(int=100 + position))
    return Logged(event_id, position, STREAMS[stream], version, topic, RECORDED_AT)


LOG = [
    logged(3, 0, 1, CAPTURED),
    logged(4, 1, 1, ENDED),
    logged(7, 0, 2, CAPTURED),
    logged(8, 0, 3, ENDED),
]


def record_of(event: Logged, offset: int) -> Record:
    name = event.topic.split(".")[1]
    headers = {
        "ce_id": event.event_id,
        "ce_type": f"acta.subscription.{name}",
        "ce_position": str(event.position),
        "ce_streamversion": str(event.version),
    }
    timestamp = int(RECORDED_AT.timestamp() * 1000)
    key = event.stream.encode()
    return Record("acta.subscription.events.v1", 0, offset, key, b"", headers, timestamp)


def entry_of(event: Logged, offset: int) -> Record:
    record = record_of(event, offset)
    headers = record.headers | {"ce_type": "acta.entries.Entry"}
    del headers["ce_streamversion"]
    return replace(record, topic="acta.entries.v1", headers=headers)


EVENTS = [record_of(event, offset) for offset, event in enumerate(LOG)]
ENTRIES = [entry_of(event, offset) for offset, event in enumerate(LOG) if event.topic == CAPTURED]
RECORDS = [*ENTRIES, *EVENTS]


def elsewhere(record: Record) -> Record:
    return replace(record, partition=5)


def told_otherwise(record: Record, name: str, told: str) -> Record:
    return replace(record, headers=record.headers | {name: told})


def test_each_once_in_order_differs_in_nothing() -> None:
    assert differences(LOG, NAMESPACE, RECORDS) == []


FAULTS: dict[str, Callable[[], list[Record]]] = {
    "an event is missing": lambda: [*ENTRIES, *EVENTS[:-1]],
    "an event in the middle is missing": lambda: [*ENTRIES, EVENTS[0], *EVENTS[2:]],
    "an event is there twice": lambda: [*RECORDS, EVENTS[-1]],
    "an entry is missing": lambda: RECORDS[1:],
    "an entry is there twice": lambda: [ENTRIES[0], *RECORDS],
    "two keys changed places": lambda: [*ENTRIES, EVENTS[1], EVENTS[0], *EVENTS[2:]],
    "two events of a key changed places": lambda: [*ENTRIES, *EVENTS[:2], EVENTS[3], EVENTS[2]],
    "two entries changed places": lambda: [*reversed(ENTRIES), *EVENTS],
    "a key is in two partitions": lambda: [*ENTRIES, *EVENTS[:3], elsewhere(EVENTS[3])],
    "an event that is not in the log": lambda: [
        *RECORDS,
        told_otherwise(EVENTS[-1], "ce_id", str(UUID(int=999))),
    ],
    "another type": lambda: [*RECORDS[:-1], told_otherwise(RECORDS[-1], "ce_type", "acta.x.Y")],
    "another position": lambda: [*RECORDS[:-1], told_otherwise(RECORDS[-1], "ce_position", "9")],
    "another version": lambda: [
        *RECORDS[:-1],
        told_otherwise(RECORDS[-1], "ce_streamversion", "4"),
    ],
    "another key": lambda: [*RECORDS[:-1], replace(RECORDS[-1], key=STREAMS[1].encode())],
    "another time": lambda: [*RECORDS[:-1], replace(RECORDS[-1], timestamp=0)],
    "nothing at all": list,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_difference_is_noticed(fault: str) -> None:
    assert differences(LOG, NAMESPACE, FAULTS[fault]()) != []
