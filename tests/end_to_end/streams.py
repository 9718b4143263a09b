"""Reads back what the relay wrote, by several clients, and judges it by the log."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.request import urlopen

import fastavro
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # no types
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from handlers.store.database import connect
from handlers.streams.schema_server import KnownSchemas, SchemaServer
from schemas.contracts import Contracts
from schemas.entries import ENTRIES
from schemas.topics import (
    aggregate_of,
    checkpoint_topic,
    entries_topic,
    events_topic,
    record_name,
)
from tests.conftest import TestDatabase
from tests.services.topics import Record, read_all

__all__ = [
    "Logged",
    "differences",
    "judged_by_aiokafka",
    "judged_by_avro_deserializer",
    "raw_duplicates",
    "read_log",
    "relayed_topics",
    "schema_server",
]  # fmt: skip

FRAME_BYTES = 5
MEBIBYTE = 1024 * 1024
MILLISECOND = timedelta(milliseconds=1)  # the most that an entry knows
READ_SECONDS = 180
DIFFERENCES_MAX = 20


class Logged(NamedTuple):
    """An event of the log, and how it is to be found in Kafka."""

    event_id: str
    position: int
    stream: str
    version: int
    topic: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Expected:
    """What every record says of its event, and where it is."""

    topic: str
    key: str
    type: str
    position: int
    version: int | None
    recorded_ms: int


def read_log(database: TestDatabase) -> list[Logged]:
    """The whole log, in order."""
    with connect(database.application) as connection:
        rows = connection.execute(
            "SELECT event_id::text, position, stream::text, version, topic, recorded_at"
            " FROM ledger.events ORDER BY position"
        ).fetchall()
    return [Logged._make(row) for row in rows]


def relayed_topics(bootstrap_servers: str, namespace: str) -> dict[str, list[int]]:
    """The topics of a namespace but the one of checkpoints, and the partitions of each."""
    found = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=30).topics
    return {
        name: sorted(topic.partitions)
        for name, topic in found.items()
        if name.startswith(f"{namespace}.") and name != checkpoint_topic(namespace)
    }


# ---------------------------------------------------------------- judging


def differences(log: Sequence[Logged], namespace: str, records: Sequence[Record]) -> list[str]:
    """What keeps the records from being the log, each event once and each key in order.

    Args:
        log: in order.
        namespace: of the topics.
        records: of all topics, in the order of each partition.
    """
    entries = entries_topic(namespace)
    of_events = [record for record in records if record.topic != entries]
    of_entries = [record for record in records if record.topic == entries]
    with_entry = [event for event in log if event.topic.rpartition(".")[0] in ENTRIES]
    told = [
        *_wrong({event.event_id: _event(event, namespace) for event in log}, of_events),
        *_wrong({event.event_id: _entry(event, namespace) for event in with_entry}, of_entries),
        *_out_of_order(records),
        *_with_gaps(of_events),
    ]
    return told[:DIFFERENCES_MAX]


def raw_duplicates(bootstrap_servers: str, namespace: str) -> int:
    """How many records too many there are for whoever also reads what was never committed."""
    records = read_all(
        bootstrap_servers,
        relayed_topics(bootstrap_servers, namespace),
        "read_uncommitted",
        timeout_seconds=READ_SECONDS,
    )
    return len(records) - len({(record.topic, record.headers["ce_id"]) for record in records})


def _event(event: Logged, namespace: str) -> Expected:
    topic = events_topic(namespace, aggregate_of(event.topic))
    return Expected(
        topic,
        event.stream,
        record_name(event.topic),
        event.position,
        event.version,
        _milliseconds(event.recorded_at),
    )


def _entry(event: Logged, namespace: str) -> Expected:
    return Expected(
        entries_topic(namespace),
        event.stream,
        "acta.entries.Entry",
        event.position,
        None,
        _milliseconds(event.recorded_at),
    )


def _found(record: Record) -> Expected:
    version = record.headers.get("ce_streamversion")
    return Expected(
        record.topic,
        (record.key or b"").decode(),
        record.headers["ce_type"],
        int(record.headers["ce_position"]),
        None if version is None else int(version),
        record.timestamp,
    )


def _wrong(expected: Mapping[str, Expected], records: Sequence[Record]) -> Iterator[str]:
    times = Counter(record.headers["ce_id"] for record in records)
    for event_id, wanted in expected.items():
        if times[event_id] != 1:
            yield f"{event_id} at {wanted.position} is {times[event_id]} times in {wanted.topic}"
    for record in records:
        wanted_here = expected.get(record.headers["ce_id"])
        if _found(record) != wanted_here:
            yield f"expected {wanted_here}, found {record}"


def _out_of_order(records: Sequence[Record]) -> Iterator[str]:
    """Positions grow within each partition, those of several keys among them."""
    for before, after in pairwise(records):
        same = (before.topic, before.partition) == (after.topic, after.partition)
        if same and int(before.headers["ce_position"]) >= int(after.headers["ce_position"]):
            yield f"behind {before} comes {after}"


def _with_gaps(records: Sequence[Record]) -> Iterator[str]:
    """Versions of each key are 1, 2, 3 and so on, all in one partition."""
    versions: dict[bytes | None, list[int]] = {}
    places: dict[bytes | None, set[tuple[str, int]]] = {}
    for record in records:
        versions.setdefault(record.key, []).append(int(record.headers["ce_streamversion"]))
        places.setdefault(record.key, set()).add((record.topic, record.partition))
    for key, found in versions.items():
        if found != [*range(1, len(found) + 1)]:
            yield f"versions of {key!r}: {found}"
        if len(places[key]) > 1:
            yield f"{key!r} is in several partitions: {places[key]}"


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


# ---------------------------------------------------------------- other readers


@contextmanager
def schema_server(namespace: str) -> Iterator[str]:
    """The contracts with the ids of the lock file, over the endpoints of a registry; its URL."""
    with SchemaServer(KnownSchemas(Contracts(), namespace)).in_thread() as server:
        yield server.url


def judged_by_aiokafka(
    log: Sequence[Logged], bootstrap_servers: str, namespace: str, registry_url: str
) -> list[str]:
    """What a client written in Python alone misses, sees twice, or cannot decode with fastavro."""
    records = asyncio.run(_read_with_aiokafka(bootstrap_servers, namespace))
    schemas = _Schemas(registry_url)
    return [*differences(log, namespace, records), *_undecoded(records, schemas.decoded)]


def judged_by_avro_deserializer(
    log: Sequence[Logged], bootstrap_servers: str, namespace: str, registry_url: str
) -> list[str]:
    """What librdkafka misses or sees twice, or Confluent's deserializer cannot decode."""
    records = read_all(
        bootstrap_servers,
        relayed_topics(bootstrap_servers, namespace),
        timeout_seconds=READ_SECONDS,
    )
    with SchemaRegistryClient({"url": registry_url}) as client:
        # Its __init__ is another method by a second name, which pyright does not follow.
        deserializer = AvroDeserializer(client)  # pyright: ignore[reportCallIssue]

        def decoded(record: Record) -> Any:
            return deserializer(
                record.value, SerializationContext(record.topic, MessageField.VALUE)
            )

        return [*differences(log, namespace, records), *_undecoded(records, decoded)]


async def _read_with_aiokafka(bootstrap_servers: str, namespace: str) -> list[Record]:
    topics = relayed_topics(bootstrap_servers, namespace)
    places = [TopicPartition(name, number) for name in topics for number in topics[name]]
    records: list[Record] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * MEBIBYTE,
    )
    async with asyncio.timeout(READ_SECONDS), consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, messages in (await consumer.getmany(timeout_ms=100)).items():
                records += [_record_of(place.topic, message) for message in messages]
    return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))


def _record_of(topic: str, message: Any) -> Record:
    return Record(
        topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        {name: value.decode() for name, value in message.headers},
        message.timestamp,
    )


class _Schemas:
    """The schemas behind ids, as any HTTP client gets them from a registry."""

    def __init__(self, registry_url: str) -> None:
        self._url = registry_url
        self._known: dict[int, Any] = {}

    def decoded(self, record: Record) -> Any:
        """The content of a record, by fastavro alone."""
        value = record.value or b""
        assert value[:1] == b"\0"
        schema = self._schema(int.from_bytes(value[1:FRAME_BYTES], "big"))
        content = BytesIO(value[FRAME_BYTES:])
        decoded = fastavro.schemaless_reader(content, schema, None)
        assert content.read() == b""
        return decoded

    def _schema(self, number: int) -> Any:
        if number not in self._known:
            url = f"{self._url}/schemas/ids/{number}"
            with urlopen(url, timeout=30) as answer:  # noqa: S310  an address of the tests
                schema = json.loads(json.load(answer)["schema"])
            self._known[number] = fastavro.parse_schema(schema)
        return self._known[number]


def _undecoded(records: Sequence[Record], decoded: Callable[[Record], Any]) -> list[str]:
    """What does not decode, or not to what its headers tell."""
    told: list[str] = []
    for record in records:
        try:
            content = decoded(record)
        except Exception as error:  # noqa: BLE001  whatever it is, the record cannot be read
            told.append(f"{record} does not decode: {error!r}")
            continue
        told_at = datetime.fromisoformat(record.headers["ce_time"])
        if not timedelta() <= told_at - content["occurred_at"] < MILLISECOND:
            told.append(f"{record} tells another time than {content}")
    return told[:DIFFERENCES_MAX]
