"""The relay from the log to Kafka, beside a plain transactional producer of the same bytes."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from random import uniform
from statistics import median, quantiles
from threading import Event, Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import psutil
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from eventsourcing.persistence import StoredEvent
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from benchmarks import ours
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.memory import FLAT_AT_MOST, peak
from benchmarks.population import live, populate
from benchmarks.processes import apart, beside
from domain.study_history import ContentStudied
from handlers.composition import open_relay
from handlers.faults import BrokerUnavailable
from handlers.settings import Settings
from handlers.store.reader import CarriedRow, head, read_carried
from handlers.streams.cluster import Cluster
from handlers.streams.records import Record, Records
from handlers.streams.topics import event_settings, prepare
from handlers.workers.relay import BATCH_BYTES, BATCH_EVENTS
from schemas.contracts import Contracts
from schemas.topics import aggregate_of, entries_topic, events_topic

__all__ = ["measure"]

OF_PLAIN_AT_LEAST = 0.4
PER_SECOND_AT_LEAST = 30_000
MIB_AT_MOST = 250
MEDIAN_MS_AT_MOST = 50
IDLE_PERCENT_AT_MOST = 10
CALM_SECONDS = 2
PAUSE_SECONDS_MAX = 0.04
TIMEOUT_SECONDS = 30
LOOK_AGAIN_SECONDS = 0.1
LARGE_EVENT_BYTES = 256 * 1024
APPEND_EVENTS = 32


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    with ground.kafka() as bootstrap_servers:
        return [
            *_backlog_rows(ground, sizes, bootstrap_servers),
            *_large_event_rows(ground, sizes, bootstrap_servers),
            *_latency_rows(ground, sizes, bootstrap_servers),
        ]


def _backlog_rows(ground: Ground, sizes: Sizes, bootstrap_servers: str) -> Iterator[Row]:
    smallest, *larger = sizes.backlogs_events
    with ground.acta() as acta:
        settings = acta.model_copy(update={"kafka_bootstrap_servers": bootstrap_servers})
        lives = live(settings, sizes.lives)
        populate(settings, lives, smallest)
        small = in_turns(sizes.repetitions, lambda: apart(relaying_mib, settings))[0]
        there = smallest
        for backlog in larger:
            populate(settings, lives, backlog - there)
            there = backlog
            yield from _rate_rows(settings, sizes, backlog)
            large = in_turns(sizes.repetitions, lambda: apart(relaying_mib, settings))[0]
            yield from _memory_rows(
                f"over {backlog:,} events", large, f"over {smallest:,} events", small
            )


def _rate_rows(settings: Settings, sizes: Sizes, backlog: int) -> Iterator[Row]:
    busy_percent, relayed, plain, plain_compressed = in_turns(
        sizes.repetitions,
        lambda: psutil.cpu_percent(min(CALM_SECONDS, sizes.seconds)),
        lambda: apart(relayed_per_second, settings),
        lambda: apart(produced_per_second, settings, "none"),
        lambda: apart(produced_per_second, settings, "lz4"),
    )
    what = f"relay a backlog of {backlog:,} events, end to end"
    yield Row(
        what,
        "events/s",
        relayed,
        plain,
        "plain transactional producer of the same bytes, as librdkafka comes",
        at_least=OF_PLAIN_AT_LEAST,
    )
    yield Row(
        what,
        "events/s",
        relayed,
        plain_compressed,
        "the same with the relay's own compression, lz4",
    )
    busy = median(busy_percent)
    idle = busy <= IDLE_PERCENT_AT_MOST
    yield Row(
        what,
        "events/s",
        relayed,
        [PER_SECOND_AT_LEAST] * len(relayed),
        f"wanted of an idle machine (others took {busy:.0f} % of this one just before)",
        at_least=1 if idle else None,
    )


def _large_event_rows(ground: Ground, sizes: Sizes, bootstrap_servers: str) -> Iterator[Row]:
    """One backlog of large events, twice as long the second time."""
    events = sizes.large_events
    with ground.acta() as acta:
        settings = acta.model_copy(update={"kafka_bootstrap_servers": bootstrap_servers})
        append_large(settings, events // 2)
        few = in_turns(sizes.repetitions, lambda: apart(relaying_mib, settings))[0]
        append_large(settings, events - events // 2)
        many = in_turns(sizes.repetitions, lambda: apart(relaying_mib, settings))[0]
    kib = LARGE_EVENT_BYTES // 1024
    yield from _memory_rows(
        f"over {events:,} events of {kib} KiB", many, f"over {events // 2:,} events", few
    )


def _memory_rows(
    over: str, large: Sequence[float], over_less: str, small: Sequence[float]
) -> Iterator[Row]:
    what = f"memory of the relay {over}"
    yield Row(what, "MiB", large, small, over_less, at_most=FLAT_AT_MOST)
    yield Row(what, "MiB", large, [MIB_AT_MOST] * len(large), "allowed", at_most=1)


def _latency_rows(ground: Ground, sizes: Sizes, bootstrap_servers: str) -> Iterator[Row]:
    events = sizes.latency_events
    with ground.acta() as acta:
        settings = acta.model_copy(update={"kafka_bootstrap_servers": bootstrap_servers})
        relayed, plain = in_turns(
            sizes.repetitions,
            lambda: relayed_latencies_ms(settings, events),
            lambda: apart(plain_latencies_ms, settings, events),
        )
    what = "append until a read_committed consumer has the record"
    medians = [median(latencies) for latencies in relayed]
    allowed = [MEDIAN_MS_AT_MOST] * len(medians)
    yield Row(f"{what}, median", "ms", medians, allowed, "allowed", at_most=1)
    for name, summary in (("median", median), ("95th percentile", _percentile_95)):
        yield Row(
            f"{what}, {name}",
            "ms",
            [summary(latencies) for latencies in relayed],
            [summary(latencies) for latencies in plain],
            "plain producer, a transaction an event, and consumer",
        )


# ---------------------------------------------------------------- a backlog


def relayed_per_second(settings: Settings) -> float:
    """From the moment at which the topics are the relay's, until the last event is in Kafka."""
    began = [0.0]

    def reached(point: str) -> None:
        if point == "taken over":
            began[0] = monotonic()

    with elsewhere(settings) as there, open_relay(there, reached=reached) as relay:
        relay.catch_up()
        return relay.progress.events / (monotonic() - began[0])


def relaying_mib(settings: Settings) -> float:
    with elsewhere(settings) as there, open_relay(there) as relay, peak() as sampled:
        relay.catch_up()
    return sampled[0]


def produced_per_second(settings: Settings, compression: str) -> float:
    """The same records, made beforehand."""
    with elsewhere(settings) as there:
        batches = prepared(there)
        entries = entries_topic(there.kafka_namespace)
        events = sum(record.topic != entries for records in batches for record in records)
        make_topics(there, {record.topic for records in batches for record in records})
        with producer(there, compression) as plain:
            # What lies ready would be looked through again and again otherwise.
            gc.freeze()
            began = monotonic()
            for records in batches:
                write(plain, records)
            return events / (monotonic() - began)


def prepared(settings: Settings) -> list[list[Record]]:
    """The log as the relay's records, in its batches."""
    contracts = Contracts()
    records = Records(settings.kafka_namespace, 1, contracts, contracts.schema_id)
    batches: list[list[Record]] = []
    with ours.database(settings) as opened, opened.connection() as connection:
        end, position = head(connection), 0
        while position < end:
            until = min(end, position + BATCH_EVENTS)
            rows = read_carried(connection, after=position, up_to=until, limit_bytes=BATCH_BYTES)
            batches.append([record for row in rows for record in records.of(row)])
            position = rows[-1].position if rows else until
    return batches


def append_large(settings: Settings, events: int) -> None:
    with ours.log(settings) as log:
        for begin in range(0, events, APPEND_EVENTS):
            log.insert_events(
                [
                    ours.studied(size_bytes=LARGE_EVENT_BYTES)
                    for _ in range(min(APPEND_EVENTS, events - begin))
                ]
            )


# ---------------------------------------------------------------- caught up


def relayed_latencies_ms(settings: Settings, events: int) -> list[float]:
    with elsewhere(settings) as there, beside(following_relay, there):
        return apart(append_latencies_ms, there, events)


@contextmanager
def following_relay(settings: Settings) -> Iterator[None]:
    """A relay that has the topics, and has caught up."""
    caught_up = Event()
    with open_relay(settings) as relay:
        thread = Thread(target=lambda: relay.follow(progress=lambda _: caught_up.set()))
        thread.start()
        try:
            assert caught_up.wait(TIMEOUT_SECONDS)
            yield
        finally:
            relay.stop()
            thread.join()


def append_latencies_ms(settings: Settings, events: int) -> list[float]:
    with ours.log(settings) as log:
        return latencies_ms(settings, events, lambda event: log.insert_events([event]))


def plain_latencies_ms(settings: Settings, events: int) -> list[float]:
    """The record of each event in a transaction of its own."""
    contracts = Contracts()
    with elsewhere(settings) as there:
        records = Records(there.kafka_namespace, 1, contracts, contracts.schema_id)
        make_topics(there, [topic_of_studied(there)])
        with producer(there) as plain:
            return latencies_ms(
                there, events, lambda event: write(plain, list(records.of(as_carried(event))))
            )


def latencies_ms(
    settings: Settings, events: int, bring: Callable[[StoredEvent], object]
) -> list[float]:
    """From the beginning of bringing an event until a consumer that has caught up has it."""
    began: dict[str, float] = {}
    seen: dict[str, float] = {}
    begun, pause = Event(), Event()
    with consumer(settings) as reading:

        def follow() -> None:
            deadline = monotonic() + TIMEOUT_SECONDS + events * PAUSE_SECONDS_MAX
            while len(seen) < events and monotonic() < deadline:
                message = reading.poll(1)
                at = monotonic()
                if message is None or message.error() is not None:
                    continue
                key = (message.key() or b"").decode()
                # Not what was in the log before.
                if key in began:
                    seen[key] = at
                    begun.set()

        reader = Thread(target=follow)
        reader.start()
        for _ in range(events):
            event = ours.studied()
            began[str(event.originator_id)] = monotonic()
            bring(event)
            # Until it has the first one, the consumer is still connecting.
            begun.wait(TIMEOUT_SECONDS)
            pause.wait(uniform(0, PAUSE_SECONDS_MAX))
        reader.join()
    return [(seen[key] - began[key]) * 1000 for key in list(began)[1:]]


def as_carried(event: StoredEvent) -> CarriedRow:
    event_id = str(uuid4())
    return CarriedRow(
        position=1,
        stream=str(event.originator_id),
        version=event.originator_version,
        topic=event.topic,
        payload=event.state,
        event_id=event_id,
        recorded_at=datetime.now(UTC),
        command_id=event_id,
        correlation_id=event_id,
    )


# ---------------------------------------------------------------- Kafka


@contextmanager
def elsewhere(settings: Settings) -> Iterator[Settings]:
    """The same log, relayed to topics of which nobody knows, and which go afterwards."""
    new = settings.model_copy(update={"kafka_namespace": f"b{uuid4().hex}"})
    try:
        yield new
    finally:
        admin = Cluster.of(new).admin()
        names = [
            name
            for name in admin.list_topics(timeout=TIMEOUT_SECONDS).topics
            if name.startswith(f"{new.kafka_namespace}.")
        ]
        for gone in admin.delete_topics(names).values():
            gone.result(TIMEOUT_SECONDS)


def make_topics(settings: Settings, names: Iterable[str]) -> None:
    """As the relay makes them, and known to the brokers when it returns."""
    cluster = Cluster.of(settings)
    topics = [
        event_settings(name, settings.kafka_partitions, cluster.record_bytes_max) for name in names
    ]
    for attempt in Retrying(
        retry=retry_if_exception_type(BrokerUnavailable),
        stop=stop_after_delay(TIMEOUT_SECONDS),
        wait=wait_fixed(LOOK_AGAIN_SECONDS),
    ):
        with attempt:
            prepare(cluster, topics, replication_factor=settings.kafka_replication_factor)


@contextmanager
def producer(settings: Settings, compression: str = "none") -> Iterator[Producer]:
    """With the relay's properties but for its compression."""

    def refused(error: KafkaError, _: Any) -> None:
        raise KafkaException(error)

    cluster = replace(Cluster.of(settings), properties={"compression.type": compression})
    opened = cluster.producer(settings.kafka_namespace, refused)
    opened.init_transactions(TIMEOUT_SECONDS)
    yield opened


def write(plain: Producer, records: Iterable[Record]) -> None:
    """One transaction."""
    plain.begin_transaction()
    for topic, key, value, headers, timestamp_ms in records:
        while True:
            try:
                plain.produce(topic, value, key, headers=headers, timestamp=timestamp_ms)
                break
            except BufferError:
                plain.poll(0.1)
    plain.commit_transaction(TIMEOUT_SECONDS)


@contextmanager
def consumer(settings: Settings) -> Iterator[Consumer]:
    """As a subscriber has it, with the defaults of its library, which are read_committed."""
    assert settings.kafka_bootstrap_servers is not None
    opened = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": uuid4().hex}
    )
    topic = topic_of_studied(settings)
    opened.assign(
        [
            TopicPartition(topic, number, OFFSET_BEGINNING)
            for number in range(settings.kafka_partitions)
        ]
    )
    try:
        yield opened
    finally:
        opened.close()


def topic_of_studied(settings: Settings) -> str:
    return events_topic(settings.kafka_namespace, aggregate_of(ContentStudied.TOPIC))


def _percentile_95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]
