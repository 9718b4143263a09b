"""Reading a topic of transactions to its end, by three clients of three makers."""

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # no types
from confluent_kafka import KafkaException, Producer

from tests.conftest import cannot_start
from tests.services.artifacts import Unavailable, fetch, java
from tests.services.probe import transactional_producer
from tests.services.sources import AnyBroker
from tests.services.topics import Record, create_topic, read_all

PARTITIONS = 2
COMMITTED = [b"1", b"2", b"5", b"6"]


@pytest.fixture
def topic(broker: AnyBroker, namespace: str) -> str:
    """A topic with a committed transaction, an aborted one, and another committed one."""
    create_topic(broker.bootstrap_servers, namespace, PARTITIONS)
    producer = transactional_producer(broker.bootstrap_servers, namespace)
    produce(producer, namespace, b"1", b"2")
    producer.commit_transaction(10)
    produce(producer, namespace, b"3", b"4")
    producer.flush(10)
    producer.abort_transaction(10)
    produce(producer, namespace, b"5", b"6")
    producer.commit_transaction(10)
    return namespace


def produce(producer: Producer, topic: str, *values: bytes) -> None:
    producer.begin_transaction()
    for partition, value in enumerate(values):
        producer.produce(
            topic,
            value,
            key=b"key",
            partition=partition,
            timestamp=1_700_000_000_000,
            headers={"ce_id": "Ї"},
        )


def test_committed_records_are_read_to_the_end_behind_control_records(
    broker: AnyBroker, topic: str
) -> None:
    records = read_all(broker.bootstrap_servers, topic)

    assert sorted(record.value or b"" for record in records) == COMMITTED
    assert [(each.partition, each.offset) for each in records] == [(0, 0), (0, 4), (1, 0), (1, 4)]
    assert records[0] == Record(
        topic, 0, 0, b"key", b"1", headers={"ce_id": "Ї"}, timestamp=1_700_000_000_000
    )


def test_uncommitted_records_are_read_when_asked_for(broker: AnyBroker, topic: str) -> None:
    records = read_all(broker.bootstrap_servers, topic, "read_uncommitted")
    assert sorted(record.value or b"" for record in records) == [b"%d" % n for n in range(1, 7)]


def test_records_behind_an_open_transaction_are_left_only_on_request(
    broker: AnyBroker, topic: str
) -> None:
    producer = transactional_producer(broker.bootstrap_servers, f"{topic}.other")
    produce(producer, topic, b"7", b"8")
    producer.flush(10)

    with pytest.raises(TimeoutError, match="not read to their ends"):
        read_all(broker.bootstrap_servers, topic, timeout_seconds=0.5)
    records = read_all(broker.bootstrap_servers, topic, open_transactions="leave")

    assert sorted(record.value or b"" for record in records) == COMMITTED
    producer.abort_transaction(10)


def test_empty_topic_has_no_records(broker: AnyBroker, namespace: str) -> None:
    create_topic(broker.bootstrap_servers, namespace, 3)
    assert read_all(broker.bootstrap_servers, [namespace]) == []


def test_topic_that_does_not_exist_is_not_an_empty_one(broker: AnyBroker, namespace: str) -> None:
    with pytest.raises(KafkaException):
        read_all(broker.bootstrap_servers, namespace)


def test_client_in_python_reads_the_same(broker: AnyBroker, topic: str) -> None:
    async def read() -> list[bytes | None]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            return [(await asyncio.wait_for(anext(consumer), 20)).value for _ in COMMITTED]
        finally:
            await consumer.stop()

    assert sorted(value or b"" for value in asyncio.run(read())) == COMMITTED


def test_client_in_java_reads_the_same(broker: AnyBroker, topic: str) -> None:
    assert sorted(console_consumer(broker.bootstrap_servers, topic)) == COMMITTED


def console_consumer(bootstrap_servers: str, topic: str) -> Iterator[bytes]:
    """What Kafka's own console consumer prints."""
    try:
        program = [java(), "-cp", f"{fetch('kafka')}/*"]
    except Unavailable as why:
        cannot_start("Kafka's console consumer", str(why))
        raise
    options = (
        *("--bootstrap-server", bootstrap_servers, "--topic", topic, "--from-beginning"),
        *("--isolation-level", "read_committed", "--max-messages", str(len(COMMITTED))),
        *("--timeout-ms", "20000"),
    )
    run = subprocess.run(
        [*program, "org.apache.kafka.tools.consumer.ConsoleConsumer", *options],
        capture_output=True,
        check=True,
    )
    yield from run.stdout.split()
