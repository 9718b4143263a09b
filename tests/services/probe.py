"""What a broker must be able to do, seen rather than believed of its name."""

import logging
from collections.abc import Iterator
from uuid import uuid4

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.services.topics import Isolation, create_topic, read_all

TIMEOUT_SECONDS = 20

# That its first producer is fenced is what the probe wants, and no news.
SILENT = logging.getLogger(__name__)
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


def faults_of_broker(bootstrap_servers: str) -> list[str]:
    """What a broker gets wrong of what the relay stands on; empty when it can be used."""
    try:
        AdminClient({"bootstrap.servers": bootstrap_servers}, logger=SILENT).list_topics(
            timeout=TIMEOUT_SECONDS
        )
        topic = f"t{uuid4().hex}.probe"
        create_topic(bootstrap_servers, topic)
        return list(seen_faults(bootstrap_servers, topic))
    except (KafkaException, TimeoutError) as error:
        return [f"the probe did not end: {error}"]


def seen_faults(bootstrap_servers: str, topic: str) -> Iterator[str]:
    """Each fault that a story of two producers of one transactional id shows in an empty topic."""
    first = transactional_producer(bootstrap_servers, topic)
    write(first, topic, b"aborted")
    first.abort_transaction(TIMEOUT_SECONDS)
    write(first, topic, b"left open")

    second = transactional_producer(bootstrap_servers, topic)
    write(second, topic, b"committed")
    second.commit_transaction(TIMEOUT_SECONDS)

    if not is_fenced(first):
        yield "a second producer of a transactional id does not fence the first"
    visible = values(bootstrap_servers, topic, committed=True)
    if b"aborted" in visible:
        yield "an aborted record is visible to read_committed"
    if b"left open" in visible:
        yield "initialising a transactional id anew does not abort its open transaction"
    if b"committed" not in visible:
        yield "a committed record is not visible to read_committed"
    if values(bootstrap_servers, topic, committed=False) != [
        b"aborted",
        b"left open",
        b"committed",
    ]:
        yield "read_uncommitted does not see each record in order"


def transactional_producer(bootstrap_servers: str, name: str) -> Producer:
    """A producer whose transactions are initialised."""
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "transactional.id": name}, logger=SILENT
    )
    producer.init_transactions(TIMEOUT_SECONDS)
    return producer


def write(producer: Producer, topic: str, value: bytes) -> None:
    """Writes a record to the broker in a transaction that stays open."""
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.flush(TIMEOUT_SECONDS)


def is_fenced(producer: Producer) -> bool:
    """Whether the broker refuses to commit for a producer."""
    try:
        producer.commit_transaction(TIMEOUT_SECONDS)
    except KafkaException as error:
        return bool(error.args[0].fatal())
    return False


def values(bootstrap_servers: str, topic: str, *, committed: bool) -> list[bytes | None]:
    """The values that a reader sees."""
    isolation: Isolation = "read_committed" if committed else "read_uncommitted"
    records = read_all(bootstrap_servers, topic, isolation, timeout_seconds=TIMEOUT_SECONDS)
    return [record.value for record in records]
