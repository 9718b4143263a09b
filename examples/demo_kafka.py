"""The demo of the streams: relays a year to a real Kafka and reads it back as any service would.

Run it with ``make demo-kafka``. The reader knows nothing of Acta: it has Confluent's consumer and
deserializer, the names of the topics, and the address of a schema registry. Kafka is the one that
ACTA_KAFKA_BOOTSTRAP_SERVERS names, or else one started for the demo; the registry likewise that of
ACTA_SCHEMA_REGISTRY_URL, or else ``acta schemas serve``.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from demo import AROMOS, DIEGO, MARTA, SUR, TOMAS, account_of, file, printed_by, step

from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer, default_home
from tests.services.artifacts import Unavailable
from tests.services.sources import own_broker

HOME = default_home() / "demo-kafka"
SOME_REFUSED = 1
TIMEOUT_SECONDS = 30

AGGREGATES_AND_COUNTS = """
    SELECT split_part(topic, '.', 1), count(*) FROM ledger.events GROUP BY 1 ORDER BY 1
"""
MONEY = """
    SELECT count(*) FROM ledger.events WHERE topic ~ '^subscription\\.Payment(Captured|Declined)\\.'
"""


@dataclass(frozen=True)
class Received:
    """A record as a subscriber has it, its value read by the schema that its first bytes name."""

    topic: str
    partition: int
    key: str
    headers: dict[str, str]
    value: dict[str, Any]

    @property
    def position(self) -> int:
        """The place of its event in the log."""
        return int(self.headers["ce_position"])

    @property
    def fact(self) -> str:
        """What happened, in a word."""
        return self.headers["ce_type"].rpartition(".")[2]


def main() -> int:
    """Plays the demo; 0 when what is in Kafka is what is in the log."""
    shutil.rmtree(HOME, ignore_errors=True)
    os.environ.pop("ACTA_DATABASE_URL", None)
    os.environ["ACTA_HOME"] = str(HOME)
    try:
        with EmbeddedServer.start(HOME) as server, brokers(), registry() as registry_url:
            as_it_should = [*the_year(), *relayed()]
            namespace = os.environ["ACTA_KAFKA_NAMESPACE"]
            expected = in_the_log(server, namespace)
            records = read_back(list(expected), registry_url)
            as_it_should += [
                counted(expected, records),
                story(records, account_of(DIEGO)),
                money(records, f"{namespace}.entries.v1"),
                *relayed_again(),
            ]
    except Unavailable as why:
        print(
            f"No Kafka can be started here: {why}\n"
            "Name one, such as that of compose.yaml: ACTA_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:19092",
            file=sys.stderr,
        )
        return 2
    finally:
        shutil.rmtree(HOME / "kafka", ignore_errors=True)
    return 0 if all(as_it_should) else 1


# ---------------------------------------------------------------- what is written


def the_year() -> Iterator[bool]:
    """Files of commands and lists of people, in the order of the year."""
    print("\n── A year of a small platform; make demo shows it at length", end="")
    for arguments in (
        ("apply", file("01-january-to-march.jsonl")),
        imported(AROMOS, "04-01-colegio-los-aromos.csv", MARTA, "2026-04-01T09:00:00-03:00"),
        ("apply", file("04-april-to-june.jsonl")),
        imported(SUR, "07-01-instituto-del-sur.xlsx", TOMAS, "2026-07-01T09:00:00-04:00"),
        ("apply", file("07-july-to-september.jsonl")),
        ("apply", file("10-october-to-december.jsonl")),
        ("apply", file("10-tickets-and-contracts.jsonl")),
    ):
        yield step("", *arguments, ends=SOME_REFUSED, tail=1)


def imported(plan: str, name: str, who: str, at: str) -> tuple[str, ...]:
    """The import of a list."""
    report = str(HOME / f"{name}.report.csv")
    return (
        "invite", "import", plan, file(name), "--actor", f"person:{who}", "--at", at,
        "--report", report,
    )  # fmt: skip


def relayed() -> Iterator[bool]:
    """The log goes to Kafka."""
    yield step("The relay carries the log to Kafka, each event exactly once", "relay", "--once")
    yield step("The read models are brought up to the log, too", "project", "--once")
    yield step("How the log, its read models and Kafka stand", "status")


def relayed_again() -> Iterator[bool]:
    """The checkpoint in Kafka says what is there already."""
    yield step("Once more: a new run goes on from the checkpoint", "relay", "--once")
    _, printed = printed_by("relay", "--once")
    yield printed.startswith("0 events relayed;")


# ---------------------------------------------------------------- what is read


def read_back(topics: Sequence[str], registry_url: str) -> list[Received]:
    """Everything in the topics, by Confluent's own consumer and deserializer."""
    print(
        "\n── A plain consumer reads it back: confluent_kafka's Consumer and AvroDeserializer,\n"
        "   with the schemas from the registry"
    )
    schemas = SchemaRegistryClient.new_client({"url": registry_url})
    to_values = AvroDeserializer(schemas)  # pyright: ignore[reportCallIssue]  # it hides its signature
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["ACTA_KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": f"demo-{uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,  # so that it knows when it has everything
        }
    )
    places = [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for topic in topics
        for partition in consumer.list_topics(topic, TIMEOUT_SECONDS).topics[topic].partitions
    ]
    consumer.assign(places)
    records: list[Received] = []
    unfinished = len(places)
    try:
        while unfinished:
            message = consumer.poll(TIMEOUT_SECONDS)
            if message is None:
                break  # the counts will tell
            error = message.error()
            if error is None:
                records.append(received(message, to_values))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  it has no other name
                unfinished -= 1
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
    return sorted(records, key=lambda record: record.position)


def received(message: Any, to_values: AvroDeserializer) -> Received:
    """A message with its value read."""
    context = SerializationContext(message.topic(), MessageField.VALUE)
    value: Any = to_values(message.value(), context)
    return Received(
        message.topic(),
        message.partition(),
        message.key().decode(),
        {name: value.decode() for name, value in message.headers()},
        value,
    )


def counted(expected: dict[str, int], records: Sequence[Received]) -> bool:
    """Shows how many records each topic has; whether the log has as many, each of them once."""
    found = Counter(record.topic for record in records)
    different = {(record.topic, record.headers["ce_id"]) for record in records}
    for topic, in_log in expected.items():
        of_log = "as in the log" if found[topic] == in_log else f"but {in_log} in the log"
        print(f"{found[topic]:5} {topic}  ({of_log})")
    return found == Counter(expected) and len(different) == len(records)


def story(records: Sequence[Received], account: str) -> bool:
    """Shows what happened to an account, from whatever topic; whether its streams have no gap."""
    of_account = [
        record
        for record in records
        if str(record.value.get("account")) == account and "ce_streamversion" in record.headers
    ]
    first = of_account[0]
    print("\n── Diego's first event: its key, its headers, and its value, in which he is sealed")
    print(f"key: {first.key}, in partition {first.partition} of {first.topic}")
    for name, text in first.headers.items():
        print(f"{name}: {text}")
    for name, value in first.value.items():
        shown = f"sealed, {len(value)} bytes" if isinstance(value, bytes) else value
        print(f"    {name}: {shown}")
    print("\n── All that happened to his account: position, version in its stream, time, fact")
    versions: dict[str, list[int]] = {}
    for record in of_account:
        version = int(record.headers["ce_streamversion"])
        versions.setdefault(record.key, []).append(version)
        at = record.headers["ce_time"][:16]
        print(f"{record.position:5} {version:4}  {at}  {record.fact}")
    return all(seen == list(range(1, len(seen) + 1)) for seen in versions.values())


def money(records: Sequence[Received], entries_topic: str) -> bool:
    """Shows what came in, from the flat records alone; whether any did."""
    entries = [record.value for record in records if record.topic == entries_topic]
    print("\n── The entries: one flat record of each event that names an amount")
    for (currency, kind), count in sorted(
        Counter((entry["currency"], entry["kind"]) for entry in entries).items()
    ):
        print(f"{count:5} {currency} {kind}")
    came_in: Counter[str] = Counter()
    for entry in entries:
        came_in[entry["currency"]] += entry["received_minor"]
    for currency, minor in sorted(came_in.items()):
        print(f"received: {minor:,} {currency}, in minor units")
    return bool(came_in)


def in_the_log(server: EmbeddedServer, namespace: str) -> dict[str, int]:
    """How many records each topic must have, from the database itself."""
    with connect(server.addresses.administrator) as connection:
        events = connection.execute(AGGREGATES_AND_COUNTS).fetchall()
        (entries,) = connection.execute(MONEY).fetchone() or (0,)
    return {f"{namespace}.{aggregate}.events.v1": count for aggregate, count in events} | {
        f"{namespace}.entries.v1": entries
    }


# ---------------------------------------------------------------- what it stands on


@contextmanager
def brokers() -> Iterator[None]:
    """Those that are set, with names of the demo's own there; or one that nobody else knows."""
    given = {"ACTA_KAFKA_BOOTSTRAP_SERVERS", "ACTA_SCHEMA_REGISTRY_URL"} & os.environ.keys()
    os.environ["ACTA_KAFKA_NAMESPACE"] = f"demo-{uuid4()}" if given else "acta"
    if "ACTA_KAFKA_BOOTSTRAP_SERVERS" in given:
        yield
        return
    with own_broker(HOME / "kafka") as broker:
        os.environ["ACTA_KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        print("A Kafka broker of the demo's own runs; it stops when the demo ends.")
        yield


@contextmanager
def registry() -> Iterator[str]:
    """The registry that is set, or the contracts served as one would."""
    given = os.environ.get("ACTA_SCHEMA_REGISTRY_URL")
    if given is not None:
        yield given
        return
    acta = Path(sys.executable).with_name("acta")
    serve = (acta, "schemas", "serve", "--port", "0")
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as serving:
        told = serving.stderr.readline() if serving.stderr else ""
        print(
            "\n── Without a schema registry, the schemas are served from their files\n"
            f"$ acta schemas serve --port 0\n{told}",
            end="",
            flush=True,
        )
        try:
            yield told.split()[4].rstrip(";")
        finally:
            serving.terminate()


if __name__ == "__main__":
    sys.exit(main())
