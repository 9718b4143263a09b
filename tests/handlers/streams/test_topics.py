"""Topics are made as the promises need them, and refused otherwise."""

from threading import Thread

import pytest

from handlers.faults import BrokerUnavailable, TopicUnsuitable
from handlers.streams.cluster import Cluster
from handlers.streams.topics import (
    Topic,
    checkpoint_settings,
    event_settings,
    exists,
    prepare,
    without_records,
)
from tests.services.java_process import free_port
from tests.services.probe import transactional_producer, write
from tests.services.sources import AnyBroker
from tests.services.topics import create_topic

SOUND = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "20000"}


@pytest.fixture
def cluster(broker: AnyBroker) -> Cluster:
    return Cluster(broker.bootstrap_servers, record_bytes_max=20_000)


@pytest.fixture
def topics(namespace: str) -> list[Topic]:
    """One of events and one of checkpoints."""
    return [
        event_settings(f"{namespace}.events", 3, 20_000),
        checkpoint_settings(f"{namespace}.checkpoint"),
    ]


def test_what_is_missing_is_made_and_then_left_alone(cluster: Cluster, topics: list[Topic]) -> None:
    assert not exists(cluster, topics[0].name)
    for _ in range(2):
        prepare(cluster, topics, replication_factor=-1)
    assert all(exists(cluster, topic.name) for topic in topics)
    assert without_records(cluster, topics)


def test_two_may_make_them_at_once(cluster: Cluster, topics: list[Topic]) -> None:
    faults: list[Exception] = []

    def run() -> None:
        try:
            prepare(cluster, topics, replication_factor=-1)
        except Exception as fault:  # noqa: BLE001  told below
            faults.append(fault)

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.ms", "86400000"),
        ("retention.bytes", "1000000"),
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "19999"),
        ("unclean.leader.election.enable", "true"),
    ],
)
def test_a_setting_that_would_break_a_promise_is_refused(
    cluster: Cluster, topics: list[Topic], name: str, value: str
) -> None:
    """With the topic, the setting and its value in one message; nothing is changed."""
    create_topic(cluster.bootstrap_servers, topics[0].name, 3, SOUND | {name: value})
    for _ in range(2):
        with pytest.raises(TopicUnsuitable, match=f"{topics[0].name} has {name}={value}"):
            prepare(cluster, topics, replication_factor=-1)


def test_larger_records_than_needed_are_no_fault(cluster: Cluster, topics: list[Topic]) -> None:
    larger = SOUND | {"max.message.bytes": "30000"}
    create_topic(cluster.bootstrap_servers, topics[0].name, 3, larger)
    prepare(cluster, topics, replication_factor=-1)


@pytest.mark.parametrize("partitions", [1, 4])
def test_another_number_of_partitions_is_refused(
    cluster: Cluster, topics: list[Topic], partitions: int
) -> None:
    create_topic(cluster.bootstrap_servers, topics[0].name, partitions, SOUND)
    with pytest.raises(TopicUnsuitable, match=f"has {partitions} partitions instead of 3"):
        prepare(cluster, topics, replication_factor=-1)


def test_checkpoints_that_would_be_deleted_are_refused(
    cluster: Cluster, topics: list[Topic]
) -> None:
    create_topic(cluster.bootstrap_servers, topics[1].name, 1)
    with pytest.raises(TopicUnsuitable, match=r"cleanup\.policy=delete instead of compact"):
        prepare(cluster, topics, replication_factor=-1)


def test_one_that_is_gone_is_not_made_anew(cluster: Cluster, topics: list[Topic]) -> None:
    with pytest.raises(TopicUnsuitable, match="is gone"):
        prepare(cluster, topics, replication_factor=-1, known=[topics[0].name])
    assert not exists(cluster, topics[0].name)


def test_records_are_noticed(cluster: Cluster, topics: list[Topic]) -> None:
    prepare(cluster, topics, replication_factor=-1)
    producer = transactional_producer(cluster.bootstrap_servers, topics[0].name)
    write(producer, topics[0].name, b"1")
    producer.abort_transaction(10)
    assert not without_records(cluster, topics)


def test_a_cluster_that_is_away_is_said(topics: list[Topic]) -> None:
    nowhere = Cluster(f"127.0.0.1:{free_port()}")
    with pytest.raises(BrokerUnavailable, match="Kafka cluster"):
        exists(nowhere, topics[0].name)
