"""The relay: each event once, in the form that was promised, whatever happens to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from threading import Event as Signal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # no types
from confluent_kafka import KafkaError
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from psycopg.rows import dict_row

from handlers.composition import Acta
from handlers.faults import (
    BrokerUnavailable,
    DatabaseUnavailable,
    DatabaseVersion,
    LogDiffers,
    RecordTooLarge,
    RegistryUnavailable,
    RelayReplaced,
    SchemaRefused,
    TopicUnsuitable,
)
from handlers.store.embedded import EmbeddedServer
from handlers.streams.transactions import SessionLost
from handlers.workers.relay import Relay, relay_state
from handlers.workers.relay_ownership import Ownership
from handlers.workers.relay_tally import Tally
from schemas.contracts import Contracts
from schemas.entries import Entry
from schemas.topics import (
    AGGREGATE_OF_ENTRIES,
    aggregate_of,
    checkpoint_topic,
    entries_topic,
    event_subject,
    events_topic,
    record_name,
    transactional_id,
)
from tests.conftest import TestDatabase, cannot_start, new_database
from tests.handlers.outages import away, beside, end_connections
from tests.handlers.relaying import (
    PARTITIONS,
    STUDIED,
    Follower,
    Gate,
    Kafka,
    Outages,
    append,
    append_many,
    following,
    relay_between,
)
from tests.handlers.stories import Story
from tests.schemas.golden import Golden
from tests.services.artifacts import Unavailable
from tests.services.java_process import free_port
from tests.services.kafka import KafkaBroker
from tests.services.registry import Registry
from tests.services.sources import AnyBroker, AnyRegistry

CAPTURED = "subscription.PaymentCaptured.v1"
STARTED_V1 = "subscription.SubscriptionStarted.v1"
REGISTERED = "account.UserRegistered.v1"
STUDIES = "study_history"


@pytest.fixture
def kafka(broker: AnyBroker, namespace: str) -> Kafka:
    """A namespace of the test's own."""
    return Kafka(broker.bootstrap_servers, namespace)


@pytest.fixture
def own_kafka(own_broker: KafkaBroker, namespace: str) -> Kafka:
    """Likewise, on a broker that may be killed."""
    return Kafka(own_broker.bootstrap_servers, namespace)


@pytest.fixture
def registry_client(registry: AnyRegistry) -> Iterator[SchemaRegistryClient]:
    """A service's way to the registry."""
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield client


MakeRelay = Callable[..., Relay]


@pytest.fixture
def relay(database: TestDatabase, kafka: Kafka) -> Iterator[MakeRelay]:
    """Makes relays from the test's database to its namespace."""
    with ExitStack() as stack:

        def make(
            *,
            of: TestDatabase = database,
            generation: int = 1,
            partitions: int = PARTITIONS,
            record_bytes_max: int = 8 * 1024 * 1024,
            **options: Any,
        ) -> Relay:
            to = kafka.destination(
                generation=generation, partitions=partitions, record_bytes_max=record_bytes_max
            )
            return stack.enter_context(relay_between(of, to, **options))

        yield make


def log_of(database: TestDatabase) -> list[dict[str, Any]]:
    """The log, as the database has it."""
    with (
        psycopg.connect(database.administrator) as administrator,
        administrator.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute("SELECT * FROM ledger.events ORDER BY position").fetchall()


# ---------------------------------------------------------------- on the wire


def test_each_event_once_in_the_form_that_was_promised(
    acta: Acta, database: TestDatabase, kafka: Kafka, relay: MakeRelay
) -> None:
    Story(acta).subscriber()
    relay().catch_up()
    contracts = Contracts()
    by_position = {
        int(record.headers["ce_position"]): record
        for record in kafka.records()
        if "ce_streamversion" in record.headers
    }
    log = log_of(database)
    assert sorted(by_position) == [row["position"] for row in log]
    for row in log:
        record, key = by_position[row["position"]], str(row["stream"]).encode()
        assert record.topic == events_topic(kafka.namespace, aggregate_of(row["topic"]))
        assert record.key == key
        assert record.partition == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
        assert record.timestamp == int(row["recorded_at"].timestamp() * 1000)
        assert record.value is not None
        assert record.value[:5] == b"\0" + contracts.schema_id(row["topic"]).to_bytes(4, "big")
        told = dict(record.headers)
        trace, parent = told.pop("traceparent").split("-")[1:3]
        assert trace == (row["correlation_id"] or row["event_id"]).hex
        assert parent == (row["command_id"] or row["event_id"]).hex[16:]
        occurred_at = datetime.fromisoformat(told.pop("ce_time"))
        assert occurred_at == datetime.fromisoformat(json.loads(row["payload"])["occurred_at"])
        assert told == {
            "ce_specversion": "1.0",
            "ce_id": str(row["event_id"]),
            "ce_type": record_name(row["topic"]),
            "ce_source": f"/{kafka.namespace}",
            "ce_subject": str(row["stream"]),
            "content-type": "application/avro",
            "ce_position": str(row["position"]),
            "ce_streamversion": str(row["version"]),
        }


def test_money_comes_as_an_entry_too(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """In the same place by its key, with the event's id and position, and no version."""
    position = append(acta, CAPTURED)
    append(acta, STUDIED)
    relay().catch_up()
    records = {record.topic: record for record in kafka.records()}
    entry = records[entries_topic(kafka.namespace)]
    event = records[events_topic(kafka.namespace, "subscription")]
    assert (entry.key, entry.partition, entry.timestamp) == (
        event.key, event.partition, event.timestamp,
    )  # fmt: skip
    assert entry.headers["ce_type"] == "acta.entries.Entry"
    assert entry.headers["ce_id"] == event.headers["ce_id"]
    assert entry.headers["ce_position"] == str(position)
    assert "ce_streamversion" not in entry.headers


def test_an_event_keeps_the_schema_by_which_it_was_written(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """An event of a first version is not brought to the second on its way."""
    append(acta, STARTED_V1)
    relay().catch_up()
    (record,) = kafka.records()
    frame = b"\0" + Contracts().schema_id(STARTED_V1).to_bytes(4, "big")
    assert record.value == frame + Golden.read(Contracts().golden(STARTED_V1)).avro
    assert record.headers["ce_type"] == "acta.subscription.SubscriptionStarted"


def test_events_of_another_application_are_passed_over(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """They share the log and have no contract; what is behind them comes."""
    append(acta, "their.module:Their.Event", b"{}")
    position = append(acta, STUDIED)
    made = relay()
    made.catch_up()
    assert kafka.positions() == [position]
    assert (made.progress.events, made.progress.position) == (1, position)


def agrees(read: Any, told: Any) -> bool:
    """Whether a client read what a golden file tells in JSON; sealed values say nothing here."""
    match read:
        case bytes():
            return True
        case UUID():
            return bool(str(read) == told)
        case datetime():
            return bool(read == datetime.fromisoformat(told))
        case date():
            return read == date.fromisoformat(told)
        case dict():
            return all(agrees(value, told.get(name)) for name, value in read.items())
        case list():
            return len(read) == len(told) and all(map(agrees, read, told))
        case _:
            return bool(read == told)


def test_every_contract_is_read_by_a_client_that_knows_only_the_registry(
    acta: Acta,
    kafka: Kafka,
    relay: MakeRelay,
    registry: AnyRegistry,
    registry_client: SchemaRegistryClient,
) -> None:
    """Every version ever published, and every kind of event there is."""
    contracts = Contracts()
    known = [
        topic
        for topic in contracts.topics()
        if contracts.golden(topic).exists() and aggregate_of(topic) != AGGREGATE_OF_ENTRIES
    ]
    assert {cls.TOPIC for cls in contracts.events if cls.TOPIC in contracts.published()} <= {*known}
    golden = {append(acta, topic): Golden.read(contracts.golden(topic)) for topic in known}
    relay(registry_url=registry.url).catch_up()
    make_deserializer: Any = AvroDeserializer  # its class is made where no type checker looks
    deserializer = make_deserializer(registry_client)
    read: dict[int, Any] = {}
    for record in kafka.records():
        context = SerializationContext(record.topic, MessageField.VALUE)
        value = deserializer(record.value, context)
        if "ce_streamversion" in record.headers:
            read[int(record.headers["ce_position"])] = value
    assert read.keys() == golden.keys()
    for position, each in golden.items():
        assert agrees(read[position], each.opened), each.topic


# ---------------------------------------------------------------- going on


def test_it_goes_on_from_its_checkpoint(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    first = append_many(acta, 10)
    relay().catch_up()
    last = append_many(acta, 5)
    second = relay()
    second.catch_up()
    assert kafka.positions() == list(range(1, last + 1))
    assert (second.progress.events, second.progress.position) == (last - first, last)
    said = kafka.checkpoint()
    assert (said.position, said.events, said.partitions) == (last, last - first, PARTITIONS)
    # The claim is a transaction, too.
    assert (said.committed, said.failed) == (2, 0)
    assert (second.progress.committed, second.progress.failed) == (2, 0)
    assert (datetime.now(UTC) - said.at).total_seconds() < 60
    assert set(said.topics) == {name for name in kafka.topics() if name.endswith(".v1")}


def test_it_follows_the_log_until_it_is_stopped(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    with following(relay()) as follower:
        for _ in range(3):
            follower.wait_for_position(append_many(acta, 2))
        owning = follower.relay.owning
    assert follower.fault is None
    assert (owning, follower.relay.owning) == (True, False)
    assert kafka.positions() == [1, 2, 3, 4, 5, 6]


def test_the_later_of_two_takes_over(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """The first ends by itself; each event is there once."""
    with following(relay()) as first:
        first.wait_for_position(append_many(acta, 5))
        with following(relay()) as second:
            second.wait_for_look()
            second.wait_for_position(append_many(acta, 5))
            first.wait_for_end()
            assert second.fault is None
    assert isinstance(first.fault, RelayReplaced)
    assert kafka.positions() == [*range(1, 11)]


def test_one_that_is_fenced_knows_by_whom_before_its_successor_has_claimed(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """Who comes says so first; else the fenced one would take the topics back in between."""
    with following(relay()) as first:
        first.wait_for_position(append_many(acta, 3))

        def hold_back(point: str) -> None:
            if point == "fenced":
                append_many(acta, 3)
                first.wait_for_end()

        relay(reached=hold_back).catch_up()
    assert isinstance(first.fault, RelayReplaced)
    assert kafka.positions() == [*range(1, 7)]


@pytest.mark.parametrize("point", ["fenced", "taken over", "read", "produced"])
def test_one_that_was_away_at_any_point_does_not_take_the_topics_back(
    acta: Acta, kafka: Kafka, relay: MakeRelay, point: str
) -> None:
    """Woken after its successor took over, it finds itself replaced; nothing is there twice."""
    append_many(acta, 5)
    gate = Gate(point)
    with following(relay(reached=gate)) as first:
        gate.wait()
        relay().catch_up()
        append_many(acta, 1)
        gate.open()
        first.wait_for_end()
    assert isinstance(first.fault, RelayReplaced)
    relay().catch_up()
    assert kafka.positions() == [1, 2, 3, 4, 5, 6]


def wait_for_either(acta: Acta, first: Follower, second: Follower) -> Follower:
    """The one of two that ended; one that is idle learns of the other at the next event."""
    for follower in cycle((first, second)):
        if follower.has_ended(0.1):
            return follower
        append_many(acta, 1)
    raise AssertionError("it has no end")


def test_two_that_start_at_the_same_moment(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """Both may make the topics; one carries, and the other ends."""
    append_many(acta, 5)
    with following(relay()) as first, following(relay()) as second:
        ended = wait_for_either(acta, first, second)
        assert isinstance(ended.fault, RelayReplaced)
        other = second if ended is first else first
        head = append_many(acta, 5)
        other.wait_for_position(head)
        assert other.fault is None
    assert kafka.positions() == [*range(1, head + 1)]


def test_one_that_comes_back_goes_behind_one_that_came_new(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """Both lost the topics and both return: one carries on, whoever looked first."""
    relay().catch_up()  # so that the topics are there
    to, schema_id = kafka.destination(), Contracts().schema_id(Entry.TOPIC)

    def owner() -> Ownership:
        return Ownership(acta.database, to, Contracts(), Tally(), Signal())

    def take(ownership: Ownership) -> None:
        transactions, _ = ownership.take(schema_id, lambda _: None)
        transactions.close()

    old, new = owner(), owner()
    old.prepare()
    take(old)
    old.prepare()  # it comes back after an outage, and sees nobody yet
    new.prepare()
    take(new)
    with pytest.raises(RelayReplaced):
        take(old)  # which has fenced the new one by now
    new.prepare()
    take(new)


def test_a_successor_that_died_before_its_first_word_replaces_nobody(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    with following(relay()) as follower:
        follower.wait_for_position(append_many(acta, 2))
        kafka.producer(transactional_id(kafka.namespace))
        follower.wait_for_position(append_many(acta, 2))
        assert follower.relay.progress.failed == 1
    assert follower.fault is None
    assert kafka.positions() == [1, 2, 3, 4]


def test_what_was_committed_and_never_learned_of_is_not_written_again(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """The answer is lost on its way: the checkpoint says what became of it, the counts too."""
    append_many(acta, 5)
    lost = iter([SessionLost(KafkaError(KafkaError._TIMED_OUT))])

    def lose_answer(point: str) -> None:
        if point == "committed" and (error := next(lost, None)):
            raise error

    made = relay(reached=lose_answer)
    made.catch_up()
    assert kafka.positions() == [1, 2, 3, 4, 5]
    assert len(kafka.records("read_uncommitted")) == 5
    assert (made.progress.events, made.progress.failed) == (5, 1)
    assert made.progress.committed == 3  # two claims and the batch


def test_a_new_generation_is_filled_beside_the_old(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    append_many(acta, 5)
    relay().catch_up()
    relay(generation=2, partitions=2).catch_up()
    append_many(acta, 1)
    relay(generation=2, partitions=2).catch_up()
    assert kafka.positions(1) == [1, 2, 3, 4, 5]
    assert kafka.positions(2) == [1, 2, 3, 4, 5, 6]
    assert (kafka.checkpoint(1).position, kafka.checkpoint(2).position) == (5, 6)


def test_an_open_transaction_of_another_hides_no_checkpoint(
    acta: Acta, kafka: Kafka, relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of committed records gets nothing behind it, so it is waited for."""
    monkeypatch.setattr("handlers.streams.checkpoint.READING_SECONDS", 1)
    append_many(acta, 5)
    with ExitStack() as stack:
        first = stack.enter_context(following(relay()))
        other = kafka.producer(f"{kafka.namespace}.stranger")
        first.wait_for_position(5)
        other.begin_transaction()
        other.produce(checkpoint_topic(kafka.namespace), b"{}", "a stranger's", partition=0)
        other.flush(10)
        first.wait_for_position(append_many(acta, 5))
        first.stop()
        outages = Outages()
        second = stack.enter_context(following(relay(waiting=outages)))
        outages.wait()
        assert "open" in outages.told[0].message
        assert second.looks == 0
        other.commit_transaction(10)
        second.wait_for_position(append_many(acta, 1))
    assert kafka.positions() == [*range(1, 12)]
    assert outages.kinds == {BrokerUnavailable: 1}


# ---------------------------------------------------------------- what it refuses


def refused(made: Relay, fault: type[Exception], words: str) -> None:
    with pytest.raises(fault) as caught:
        made.catch_up()
    assert words in str(caught.value)


def test_another_log_is_not_relayed_into_the_same_topics(
    acta: Acta, server: EmbeddedServer, tmp_path: Path, kafka: Kafka, relay: MakeRelay
) -> None:
    """Nor does it disturb the relay whose topics they are."""
    with following(relay()) as first, new_database(server, tmp_path / "other") as other:
        first.wait_for_position(append_many(acta, 5))
        refused(relay(of=other), LogDiffers, "at position 5")
        first.wait_for_position(append_many(acta, 5))
        assert first.relay.progress.failed == 0
    assert kafka.positions() == [*range(1, 11)]


def test_ids_of_schemas_from_another_source_are_not_mixed(
    acta: Acta, registry: AnyRegistry, kafka: Kafka, relay: MakeRelay
) -> None:
    append_many(acta, 5)
    relay().catch_up()
    append_many(acta, 5)
    refused(relay(registry_url=registry.url), SchemaRefused, "of another registry")
    assert kafka.positions() == [*range(1, 6)]
    relay().catch_up()
    assert kafka.positions() == [*range(1, 11)]


def test_a_database_that_was_set_back_is_noticed(
    acta: Acta, database: TestDatabase, kafka: Kafka, relay: MakeRelay
) -> None:
    """Also when it has grown past the checkpoint since."""
    append_many(acta, 5)
    relay().catch_up()
    with psycopg.connect(database.administrator, autocommit=True) as administrator:
        administrator.execute("SET session_replication_role = replica")
        administrator.execute("DELETE FROM ledger.events WHERE position > 3")
        administrator.execute("SELECT setval('ledger.positions', 3)")
    refused(relay(), LogDiffers, "set back to an older copy")
    append_many(acta, 5)
    refused(relay(), LogDiffers, "set back to an older copy")
    assert kafka.positions() == [1, 2, 3, 4, 5]


def test_partitions_are_those_of_the_beginning(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """Neither the setting nor the topics may change, not even both together."""
    append_many(acta, 5)
    relay().catch_up()
    refused(relay(partitions=4), TopicUnsuitable, "begun with 3 partitions")
    for topic in kafka.topics():
        if topic.endswith(".v1"):
            kafka.add_partitions(topic, 4)
    refused(relay(), TopicUnsuitable, "has 4 partitions instead of 3")
    refused(relay(partitions=4), TopicUnsuitable, "begun with 3 partitions")
    assert kafka.checkpoint().position == 5


def test_partitions_added_while_it_runs_move_no_key(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """It chooses partitions by itself, and refuses at its next start."""
    topic = events_topic(kafka.namespace, STUDIES)
    with following(relay()) as follower:
        follower.wait_for_position(append_many(acta, 20))
        kafka.add_partitions(topic, 8)
        # What its producer knows of the topic is renewed by what it asks for another.
        follower.wait_for_position(append_many(acta, 20))
    for record in kafka.records():
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
    refused(relay(), TopicUnsuitable, f"{topic} has 8 partitions")


def test_topics_whose_checkpoint_is_lost_are_not_filled_again(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    append_many(acta, 5)
    relay().catch_up()
    kafka.delete(checkpoint_topic(kafka.namespace))
    refused(relay(), TopicUnsuitable, "no checkpoint")
    assert kafka.positions() == [1, 2, 3, 4, 5]


def test_a_topic_that_is_lost_is_not_made_anew(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """It would lack what was in it, and nobody would notice."""
    append_many(acta, 5)
    relay().catch_up()
    topic = events_topic(kafka.namespace, STUDIES)
    kafka.delete(topic)
    append_many(acta, 1)
    refused(relay(), TopicUnsuitable, f"{topic}, which held events, is gone")
    assert topic not in kafka.topics()


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("account.MoonLanded.v1", b"{}"),
        ("account.UserRegistered.v9", b"{}"),
        (REGISTERED, b'{"email": "ana@example.com"}'),
        (REGISTERED, b"not JSON"),
    ],
)
def test_an_event_that_cannot_be_read_stops_it_there(
    acta: Acta, kafka: Kafka, relay: MakeRelay, topic: str, payload: bytes
) -> None:
    """All before it is there, nothing behind it is; the message repeats no value."""
    append_many(acta, 3)
    position = append(acta, topic, payload)
    append_many(acta, 3)
    for _ in range(2):
        with pytest.raises(DatabaseVersion) as caught:
            relay().follow()
        assert f"at position {position}" in caught.value.message
        assert topic in caught.value.message
        assert "ana@" not in caught.value.message
    assert kafka.positions() == [1, 2, 3]
    assert kafka.checkpoint().position == 3


def large(bytes_: int) -> bytes:
    """An event of study with a name of so many bytes, which compressing makes no shorter."""
    values = json.loads(Golden.read(Contracts().golden(STUDIED)).payload)
    content = "".join(Random(bytes_).choices(ascii_letters + digits, k=bytes_))
    return json.dumps(values | {"content": content}).encode()


def test_an_event_too_large_for_a_record_stops_it_there(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    append_many(acta, 3)
    position = append(acta, STUDIED, large(10_000))
    append_many(acta, 3)
    refused(relay(record_bytes_max=10_000), RecordTooLarge, f"at position {position}")
    assert kafka.positions() == [1, 2, 3]
    # Mended, it goes on.
    for topic in kafka.topics():
        if topic.endswith(".v1"):
            kafka.alter(topic, max_message_bytes="20000")
    relay(record_bytes_max=20_000).catch_up()
    assert kafka.positions() == [*range(1, 8)]


def test_whatever_is_taken_for_small_enough_is(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """Right at the limit the broker takes what was not refused before."""
    sizes = [*range(9_000, 9_700, 25)]
    for size in sizes:
        append(acta, STUDIED, large(size))
    made = relay(record_bytes_max=10_000)
    try:
        made.catch_up()
    except RecordTooLarge as fault:
        refused_at = int(fault.message.split("position ")[1].split()[0])
        assert kafka.positions() == [*range(1, refused_at)]
        assert len(kafka.records()) > 5
    else:
        raise AssertionError("the last ones are too large")


def test_a_topic_that_takes_less_while_it_runs_stops_it(
    acta: Acta, kafka: Kafka, relay: MakeRelay
) -> None:
    """The topic is named, for it is not about one event."""
    topic = events_topic(kafka.namespace, STUDIES)
    with following(relay()) as follower:
        follower.wait_for_position(append_many(acta, 3))
        kafka.alter(topic, max_message_bytes="2000")
        append(acta, STUDIED, large(4000))
        follower.wait_for_end()
    assert isinstance(follower.fault, TopicUnsuitable)
    assert f"{topic} has max.message.bytes=2000" in follower.fault.message
    assert kafka.positions() == [1, 2, 3]


# ---------------------------------------------------------------- what it waits for


def test_a_broker_away_at_its_start_is_waited_for(
    acta: Acta, database: TestDatabase, own_broker: KafkaBroker, own_kafka: Kafka
) -> None:
    own_broker.kill()
    append_many(acta, 3)
    outages = Outages()
    with (
        relay_between(database, own_kafka.destination(), waiting=outages) as made,
        following(made) as follower,
    ):
        outages.wait()
        lag = made.lag()
        append_many(acta, 3)
        assert (lag.events, made.lag().events) == (3, 6)
        own_broker.start()
        follower.wait_for_position(6)
    assert outages.kinds == {BrokerUnavailable: 1}
    assert own_kafka.positions() == [*range(1, 7)]


@pytest.mark.parametrize("point", ["taken over", "read", "produced", "committed"])
def test_a_broker_that_dies_is_waited_for(
    acta: Acta, database: TestDatabase, own_broker: KafkaBroker, own_kafka: Kafka, point: str
) -> None:
    """Killed at any point: nothing is lost or doubled, and one message tells of it."""
    append_many(acta, 3)
    outages = Outages()
    gate = Gate(point)
    to = own_kafka.destination()
    with (
        relay_between(database, to, waiting=outages, reached=gate) as made,
        following(made) as follower,
    ):
        gate.wait()
        own_broker.kill()
        gate.open()
        append_many(acta, 3)
        own_broker.start()
        follower.wait_for_position(append_many(acta, 3))
        assert made.lag().events == 0
    assert follower.fault is None
    assert outages.kinds.keys() <= {BrokerUnavailable}
    assert outages.kinds.total() <= 1
    assert own_kafka.positions() == [*range(1, 10)]


def test_it_can_be_stopped_while_the_broker_is_away(
    acta: Acta, database: TestDatabase, own_broker: KafkaBroker, own_kafka: Kafka
) -> None:
    """Be it in the middle of a transaction, which is left to whoever comes next."""
    outages = Outages()
    gate = Gate("produced")
    to = own_kafka.destination()
    with relay_between(database, to, waiting=outages, reached=gate) as made:
        follower = Follower(made)
        append_many(acta, 3)
        gate.wait()
        own_broker.kill()
        gate.open()
        follower.stop()
        assert follower.fault is None
    own_broker.start()
    with relay_between(database, to) as made:
        made.catch_up()
    assert own_kafka.positions() == [1, 2, 3]


def test_carrying_once_gives_up_after_a_while(
    acta: Acta, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.streams.topics.ANSWER_SECONDS", 1)
    append_many(acta, 1)
    nowhere = Kafka(f"127.0.0.1:{free_port()}", "nowhere")
    outages = Outages()
    with (
        relay_between(
            database, nowhere.destination(), waiting=outages, patience_seconds=0.1
        ) as made,
        pytest.raises(BrokerUnavailable),
    ):
        made.catch_up()
    assert outages.kinds == {BrokerUnavailable: 1}


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of the test's own, which does not run yet."""
    try:
        registry = Registry(tmp_path / "registry")
    except Unavailable as why:
        cannot_start("A schema registry", str(why))
        raise
    yield registry
    registry.stop()


def test_a_registry_is_needed_at_the_start_alone(
    acta: Acta, kafka: Kafka, relay: MakeRelay, own_registry: Registry
) -> None:
    """Away at the start it is waited for; later not even a new session asks for it."""
    outages = Outages()
    with following(relay(registry_url=own_registry.url, waiting=outages)) as follower:
        outages.wait()
        assert outages.kinds == {RegistryUnavailable: 1}
        own_registry.start()
        follower.wait_for_position(append_many(acta, 3))
        own_registry.stop()
        kafka.producer(transactional_id(kafka.namespace))  # ends its session
        follower.wait_for_position(append_many(acta, 3))
        assert follower.relay.progress.failed == 1
    assert follower.fault is None
    assert outages.kinds == {RegistryUnavailable: 1}
    assert kafka.positions() == [*range(1, 7)]


def test_it_can_be_stopped_while_the_registry_is_away(relay: MakeRelay) -> None:
    outages = Outages()
    nowhere = f"http://127.0.0.1:{free_port()}"
    with following(relay(registry_url=nowhere, waiting=outages)) as follower:
        outages.wait()
    assert follower.fault is None


def test_a_schema_that_is_refused_stops_it(
    acta: Acta,
    kafka: Kafka,
    relay: MakeRelay,
    registry: AnyRegistry,
    registry_client: SchemaRegistryClient,
) -> None:
    """Somebody registered something else under the subject; nothing is written."""
    append_many(acta, 1)
    subject = event_subject(kafka.namespace, STUDIED)
    other = {"type": "record", "name": "ContentStudied", "namespace": "acta.study_history",
             "fields": [{"name": "other", "type": "string"}]}  # fmt: skip
    registry_client.register_schema(subject, Schema(json.dumps(other), "AVRO"))
    refused(relay(registry_url=registry.url), SchemaRefused, subject)
    assert kafka.records() == []


def test_a_database_that_restarts_is_waited_for(
    acta: Acta, database: TestDatabase, kafka: Kafka, relay: MakeRelay
) -> None:
    outages = Outages()
    with following(relay(waiting=outages)) as follower:
        follower.wait_for_position(append_many(acta, 3))
        with beside(database) as administrator:
            end_connections(administrator, database)
        follower.wait_for_look()
        with away(database):
            outages.wait()
        follower.wait_for_position(append_many(acta, 3))
    assert follower.fault is None
    assert outages.kinds.keys() == {DatabaseUnavailable}
    assert kafka.positions() == [*range(1, 7)]


# ---------------------------------------------------------------- how it fares


def test_its_state_is_measured_against_the_log(acta: Acta, kafka: Kafka, relay: MakeRelay) -> None:
    """By the checkpoint in Kafka: whoever asks need not reach the relay itself."""
    state = partial(relay_state, acta.database, kafka.destination())
    assert state() is None
    append_many(acta, 3)
    relay().catch_up()
    append_many(acta, 2)
    found = state()
    assert found is not None
    assert (found.checkpoint.position, found.checkpoint.events) == (3, 3)
    assert (found.lag.head, found.lag.events) == (5, 2)
    assert 0 < found.lag.seconds < 60
    assert relay_state(acta.database, kafka.destination(generation=2)) is None


def test_a_large_backlog_is_carried_in_batches(
    acta: Acta, kafka: Kafka, relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded by events, and by bytes."""
    monkeypatch.setattr("handlers.workers.relay.BATCH_EVENTS", 10)
    monkeypatch.setattr("handlers.workers.relay.BATCH_BYTES", 30_000)
    append_many(acta, 25)
    for _ in range(6):
        append(acta, STUDIED, large(20_000))
    sizes: list[int] = []
    made = relay()
    made.catch_up(progress=lambda told: sizes.append(told.events))
    assert sizes[:3] == [10, 20, 27]
    assert sizes[3:6] == [29, 31, 31] or sizes[3:5] == [29, 31]
    assert kafka.positions() == [*range(1, 32)]
