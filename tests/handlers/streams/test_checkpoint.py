"""The checkpoint in Kafka, read to the very end of what was committed."""

from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from handlers.faults import BrokerUnavailable, LogDiffers
from handlers.streams import checkpoint
from handlers.streams.checkpoint import Checkpoint, last_checkpoint, spoken_since
from handlers.streams.cluster import Cluster
from handlers.streams.topics import checkpoint_settings, end_offset, prepare
from tests.services.probe import transactional_producer
from tests.services.sources import AnyBroker

KEY = "relay.v1"


@pytest.fixture
def cluster(broker: AnyBroker) -> Cluster:
    return Cluster(broker.bootstrap_servers)


@pytest.fixture
def topic(cluster: Cluster, namespace: str) -> str:
    name = f"{namespace}.relay.checkpoint"
    prepare(cluster, [checkpoint_settings(name)], replication_factor=-1)
    return name


@pytest.fixture
def producer(cluster: Cluster, topic: str) -> Producer:
    return transactional_producer(cluster.bootstrap_servers, topic)


def said(position: int) -> Checkpoint:
    return Checkpoint(
        position=position,
        event_id=None,
        instance=f"run {position}",
        partitions=6,
        entry_schema_id=1,
        events=0,
        events_per_second=0,
        committed=1,
        failed=0,
        at=datetime.now(UTC),
    )


def say(producer: Producer, topic: str, position: int, key: str = KEY) -> None:
    """Says so in a transaction that stays open."""
    producer.begin_transaction()
    producer.produce(topic, said(position).model_dump_json(), key)
    producer.flush(10)


def position_of(found: Checkpoint | None) -> int | None:
    return None if found is None else found.position


def test_the_last_committed_word_of_a_key_counts(
    cluster: Cluster, topic: str, producer: Producer
) -> None:
    assert last_checkpoint(cluster, topic, KEY) is None
    for position, key in ((1, KEY), (2, KEY), (3, "relay.v2")):
        say(producer, topic, position, key)
        producer.commit_transaction(10)
    say(producer, topic, 4)
    producer.abort_transaction(10)
    assert position_of(last_checkpoint(cluster, topic, KEY)) == 2
    assert position_of(last_checkpoint(cluster, topic, "relay.v2")) == 3
    assert last_checkpoint(cluster, topic, "relay.v3") is None


def test_whoever_spoke_counts_for_whether_one_was_replaced(
    cluster: Cluster, topic: str, producer: Producer
) -> None:
    """What was aborted, too; but nothing from before."""
    say(producer, topic, 1)
    producer.commit_transaction(10)
    since = end_offset(cluster, topic)
    assert spoken_since(cluster, topic, {KEY}, since) is None
    say(producer, topic, 2)
    producer.abort_transaction(10)
    assert position_of(spoken_since(cluster, topic, {KEY}, since)) == 2


def test_an_open_transaction_never_makes_an_old_word_the_last(
    cluster: Cluster, topic: str, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is behind it may be committed, and cannot be seen yet."""
    monkeypatch.setattr(checkpoint, "READING_SECONDS", 0.5)
    say(producer, topic, 1)
    producer.commit_transaction(10)
    stranger = transactional_producer(cluster.bootstrap_servers, f"{topic}.stranger")
    say(stranger, topic, 9, "a stranger's")
    say(producer, topic, 2)
    producer.commit_transaction(10)
    with pytest.raises(BrokerUnavailable, match="transaction is open in it"):
        last_checkpoint(cluster, topic, KEY)
    stranger.abort_transaction(10)
    assert position_of(last_checkpoint(cluster, topic, KEY)) == 2


def test_a_word_that_cannot_be_read_is_a_fault(
    cluster: Cluster, topic: str, producer: Producer
) -> None:
    producer.begin_transaction()
    producer.produce(topic, b"{}", KEY)
    producer.commit_transaction(10)
    with pytest.raises(LogDiffers, match="cannot be read"):
        last_checkpoint(cluster, topic, KEY)
