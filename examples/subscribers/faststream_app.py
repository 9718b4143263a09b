"""Money received by account, and each event of a subscription, with FastStream."""

import asyncio
import json
import os
import sqlite3
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from faststream import AckPolicy, FastStream  # type: ignore[import-not-found]  # not Acta's to have
from faststream.confluent import (  # type: ignore[import-not-found]  # for the same reason
    KafkaBroker,
    KafkaMessage,
)

NAMESPACE = os.environ.get("ACTA_KAFKA_NAMESPACE", "acta")

registry = SchemaRegistryClient(
    {"url": os.environ.get("ACTA_SCHEMA_REGISTRY_URL", "http://localhost:18081")}
)
avro = AvroDeserializer(registry)  # pyright: ignore[reportCallIssue]  # it hides its signature


async def decode(message: KafkaMessage) -> Any:
    """The values of a record."""
    return avro(message.body, None)


READING: dict[str, Any] = {
    "group_id": f"{NAMESPACE}.received.faststream",
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",  # FastStream's default is read_uncommitted
    "ack_policy": AckPolicy.NACK_ON_ERROR,  # its default commits before the handler has run
    "decoder": decode,
}
broker = KafkaBroker(
    os.environ.get("ACTA_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
    config={"allow.auto.create.topics": False},  # the relay makes them, as they must be
)
app = FastStream(broker)

totals = sqlite3.connect("received.db", isolation_level=None)  # each statement is a transaction
totals.execute(
    "CREATE TABLE IF NOT EXISTS received"
    " (stream TEXT PRIMARY KEY, account TEXT, received INTEGER, version INTEGER)"
)

ADD = """
    INSERT INTO received VALUES (:stream, :account, :received_minor, :version)
    ON CONFLICT (stream) DO UPDATE
    SET received = received + excluded.received, version = excluded.version
    WHERE excluded.version > received.version
    RETURNING account, received
"""


@broker.subscriber(f"{NAMESPACE}.entries.v1", **READING)  # type: ignore[untyped-decorator]  # Any
async def add(entry: dict[str, Any]) -> None:
    """Adds an entry to the total of its account, unless it was added before."""
    for total in totals.execute(ADD, entry):
        print("received", *total, entry["currency"], flush=True)


@broker.subscriber(f"{NAMESPACE}.subscription.events.v1", **READING)  # type: ignore[untyped-decorator]  # Any
async def show(values: dict[str, Any], message: KafkaMessage) -> None:
    """Prints an event."""
    told = message.headers
    shown = json.dumps(values, default=str)  # sealed values are bytes
    print("event", told["ce_position"], told["ce_type"], shown, flush=True)


if __name__ == "__main__":
    asyncio.run(app.run())
