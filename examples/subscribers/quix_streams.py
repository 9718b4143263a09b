"""Money received by account, and each event of a subscription, with Quix Streams."""

import json
import os
from typing import Any

# Acta does not have what its readers have:
# mypy: disable-error-code="import-not-found"
# pyright: reportMissingImports=false
from quixstreams import Application, State
from quixstreams.models.serializers.avro import AvroDeserializer
from quixstreams.models.serializers.schema_registry import SchemaRegistryClientConfig

NAMESPACE = os.environ.get("ACTA_KAFKA_NAMESPACE", "acta")

app = Application(
    broker_address=os.environ.get("ACTA_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
    consumer_group=f"{NAMESPACE}.received.quix",
    auto_offset_reset="earliest",
    consumer_extra_config={"isolation.level": "read_committed"},
)
avro = AvroDeserializer(
    schema_registry_client_config=SchemaRegistryClientConfig(
        url=os.environ.get("ACTA_SCHEMA_REGISTRY_URL", "http://localhost:18081")
    )
)


def add(entry: dict[str, Any], state: State) -> dict[str, Any] | None:
    """The new total of an entry's account; none if the entry was added before."""
    if entry["version"] <= state.get("version", 0):
        return None
    received = state.get("received", 0) + entry["received_minor"]
    state.set("version", entry["version"])
    state.set("received", received)
    return {"account": entry["account"], "received": received, "currency": entry["currency"]}


def show_total(total: dict[str, Any]) -> None:
    """Prints a total."""
    print("received", total["account"], total["received"], total["currency"], flush=True)


def show_event(values: Any, _key: Any, _timestamp: int, headers: list[tuple[str, bytes]]) -> None:
    """Prints an event."""
    told = {name: value.decode() for name, value in headers}
    shown = json.dumps(values, default=str)  # sealed values are bytes
    print("event", told["ce_position"], told["ce_type"], shown, flush=True)


entries = app.dataframe(app.topic(f"{NAMESPACE}.entries.v1", value_deserializer=avro))
entries.apply(add, stateful=True).filter(bool).update(show_total)

events = app.dataframe(app.topic(f"{NAMESPACE}.subscription.events.v1", value_deserializer=avro))
events.update(show_event, metadata=True)

if __name__ == "__main__":
    app.run()
