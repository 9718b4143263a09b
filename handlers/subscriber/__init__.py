"""Take Acta's events from Kafka, each exactly once.

A service copies this folder, under a name of its own. It needs confluent-kafka, fastavro and
tenacity, psycopg where versions are kept in PostgreSQL, and nothing else of Acta.

    from .subscriber import Event, Registry, Subscriber
    from .subscriber.postgres import PostgresVersions


    def handle(event: Event, connection: psycopg.Connection) -> None:
        connection.execute("INSERT INTO …")

    subscriber = Subscriber(
        bootstrap_servers="127.0.0.1:9092",
        schemas=Registry("http://127.0.0.1:8081"),
        group="billing",
        topics=["acta.subscription.events.v1"],
    )
    subscriber.run(handle, PostgresVersions("postgresql://…", "billing"))

Kafka delivers at least once. Each event names its version in its stream, and the last version is
kept in the transaction in which the handler writes: what comes twice is dropped, what is missing
is noticed. An event that cannot be handled goes to a topic of dead letters.
"""

# ruff: noqa: TID252  a service takes this folder under a name of its own

from .event import Event, Mark, Undecodable
from .halts import (
    BrokerAway,
    Gap,
    Halt,
    RegistryRefuses,
    SchemaUnknown,
    TopicMissing,
    Undeliverable,
)
from .registry import Registry, RegistryAway, Schemas
from .rehearsal import Rehearsal
from .subscriber import Subscriber
from .versions import Kept, MemoryVersions, Transaction, Versions

__all__ = [
    "BrokerAway", "Event", "Gap", "Halt", "Kept", "Mark", "MemoryVersions",
    "Registry", "RegistryAway", "RegistryRefuses", "Rehearsal", "SchemaUnknown", "Schemas",
    "Subscriber", "TopicMissing", "Transaction", "Undecodable", "Undeliverable", "Versions",
]  # fmt: skip
