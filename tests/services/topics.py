"""Reads and makes topics in tests."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Literal
from uuid import uuid4

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

Isolation = Literal["read_committed", "read_uncommitted"]
Place = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(frozen=True)
class Record:
    """A record as a consumer has it; the timestamp in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]
    timestamp: int


def read_all(
    bootstrap_servers: str,
    topics: str | Iterable[str],
    isolation: Isolation = "read_committed",
    *,
    open_transactions: Literal["wait", "leave"] = "wait",
    timeout_seconds: float = 60,
) -> list[Record]:
    """All records of topics up to where they end now, by topic, partition and offset.

    Control records of transactions take offsets too, so a partition ends where the broker says,
    not at the offset of a last record. For ``read_committed`` it is read no further than the first
    transaction that is open; a transaction is so for a moment even after its commit was answered,
    and therefore waited for, unless the caller knows that nobody will end it and says "leave".

    Raises:
        TimeoutError: the ends were not reached in time.
        KafkaException: a topic does not exist, or the broker refuses.
    """
    names = [topics] if isinstance(topics, str) else list(topics)
    with closing(consumer_of(bootstrap_servers, "read_uncommitted")) as consumer:
        ends = dict(end_offsets(consumer, names, timeout_seconds))
    if open_transactions == "leave":
        ends = dict.fromkeys(ends, 0)
    with closing(consumer_of(bootstrap_servers, isolation)) as consumer:
        # One that knows no leaders yet would look for them again after half a second only.
        consumer.list_topics(timeout=timeout_seconds)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in ends])
        records = [record_of(each) for each in messages_until(consumer, ends, timeout_seconds)]
    return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))


def create_topic(
    bootstrap_servers: str,
    name: str,
    partitions: int = 1,
    config: Mapping[str, str] | None = None,
) -> None:
    """Makes a topic, which keeps its records for ever unless its properties say otherwise.

    Records of tests bear instants of long ago, and would be old enough to go as soon as they came.

    Raises:
        KafkaException: the broker refuses.
    """
    client = AdminClient({"bootstrap.servers": bootstrap_servers})
    kept = {"retention.ms": "-1", **(config or {})}
    wanted = NewTopic(name, partitions, replication_factor=-1, config=kept)
    client.create_topics([wanted])[name].result(timeout=30)


def consumer_of(bootstrap_servers: str, isolation: Isolation) -> Consumer:
    """A consumer that commits nothing and is told where a partition ends."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"test-{uuid4().hex}",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )


def end_offsets(
    consumer: Consumer, topics: Iterable[str], timeout_seconds: float
) -> Iterator[tuple[Place, int]]:
    """The offset behind the last record of each partition, as the consumer's isolation sees it.

    A broker does not lead a partition yet at the instant at which its topic was made.
    """
    patiently = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_fixed(0.05),
        reraise=True,
    )
    for topic in topics:
        found = consumer.list_topics(topic, timeout=timeout_seconds).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        for number in found.partitions:
            partition = TopicPartition(topic, number)
            _first, end = patiently(
                consumer.get_watermark_offsets, partition, timeout=timeout_seconds
            )
            yield (topic, number), end


def _passes(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and (
        error.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION
    )


def messages_until(
    consumer: Consumer, ends: Mapping[Place, int], timeout_seconds: float
) -> Iterator[Message]:
    """Messages until each partition has said that it ends, at its end offset or behind it."""
    deadline = monotonic() + timeout_seconds
    unfinished = set(ends)
    while unfinished:
        if monotonic() > deadline:
            raise TimeoutError(f"not read to their ends: {sorted(unfinished)}")
        # It waits for so many, or for so long.
        for message in consumer.consume(1000, timeout=0.01):
            error = message.error()
            place = (message.topic() or "", message.partition() or 0)
            if error is None:
                yield message
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            elif (message.offset() or 0) >= ends[place]:
                unfinished.discard(place)


def record_of(message: Message) -> Record:
    """A message without its client."""
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers={name: text_of(value) for name, value in dict(message.headers() or []).items()},
        timestamp=message.timestamp()[1],
    )


def text_of(value: bytes | str | None) -> str:
    """The value of a header."""
    return value.decode() if isinstance(value, bytes) else value or ""
