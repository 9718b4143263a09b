"""How Acta's programs speak with a Kafka cluster."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from handlers.faults import BrokerUnavailable, FolderUnusable, InvalidInput
from handlers.settings import Settings

__all__ = ["Cluster", "fault_of"]

Properties = dict[str, Any]

SILENT = logging.getLogger(f"{__name__}.silent")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

CLIENT_ID = "acta"
RECORD_BYTES_MAX = 8 * 1024 * 1024
TRANSACTION_TIMEOUT_SECONDS = 30

PROMISED: Properties = {
    # What the relay promises rests on these, and nobody sets them otherwise.
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
}
OURS = frozenset({*PROMISED, "bootstrap.servers", "transactional.id", "isolation.level"})


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka cluster, and how to reach it.

    Attributes:
        properties: further properties of librdkafka, such as those of security.
        record_bytes_max: the largest record that is written.
    """

    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    record_bytes_max: int = RECORD_BYTES_MAX

    @classmethod
    def of(cls, settings: Settings) -> "Cluster":
        """The cluster that the settings name.

        Raises:
            InvalidInput: they name none, or a property that is not the user's to set.
            FolderUnusable: the file of properties cannot be read.
        """
        if settings.kafka_bootstrap_servers is None:
            raise InvalidInput(
                "ACTA_KAFKA_BOOTSTRAP_SERVERS is not set: the addresses of Kafka brokers",
                remedy="Set it, such as to 127.0.0.1:19092 for the broker of compose.yaml.",
            )
        properties = _read(settings.kafka_properties) if settings.kafka_properties else {}
        return cls(settings.kafka_bootstrap_servers, properties)

    def admin(self) -> AdminClient:
        """A client that makes and describes topics."""
        return AdminClient(self._client())

    def producer(
        self, transactional_id: str, refused: Callable[[KafkaError, Any], None]
    ) -> Producer:
        """A transactional producer, not yet initialised.

        Args:
            transactional_id: of two with one id, the later fences the earlier.
            refused: told of each record that was not taken.
        """
        return Producer(
            # Nothing is ever deleted; and fewer bytes travel faster.
            {"compression.type": "lz4"}
            | self._client()
            | PROMISED
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_SECONDS * 1000,
                "linger.ms": 5,
                "message.max.bytes": self.record_bytes_max,
                # The rest waits in the log: what is queued here is memory.
                "queue.buffering.max.messages": 20_000,
                "queue.buffering.max.kbytes": 64 * 1024,
                "delivery.report.only.error": True,
                "on_delivery": refused,
            }
        )

    def plain_producer(self, delivered: Callable[[KafkaError | None, Any], None]) -> Producer:
        """A producer without transactions.

        Args:
            delivered: told what became of each record.
        """
        return Producer(self._client() | PROMISED | {"on_delivery": delivered})

    def reader(self, isolation: str) -> Consumer:
        """A consumer without a group, which is told what to read and says where a partition ends.

        Args:
            isolation: ``read_committed`` or ``read_uncommitted``.
        """
        return Consumer(
            self._client()
            | {
                "group.id": f"{CLIENT_ID}-unused",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                # The broker keeps the news that there is nothing more for so long.
                "fetch.wait.max.ms": 10,
                "auto.offset.reset": "earliest",
            }
        )

    def _client(self) -> Properties:
        return {
            "client.id": CLIENT_ID,
            # Faults come as exceptions, with words of ours; librdkafka's lines are noise beside.
            "log_level": 0,
            "logger": SILENT,
            **self.properties,
            "bootstrap.servers": self.bootstrap_servers,
        }


def fault_of(error: KafkaException | KafkaError) -> BrokerUnavailable:
    """The fault for a cluster that does not do what it is asked."""
    cause = error.args[0] if isinstance(error, KafkaException) else error
    reason = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return BrokerUnavailable(
        f"the Kafka cluster does not answer as it should: {reason}",
        remedy="Start it, or correct ACTA_KAFKA_BOOTSTRAP_SERVERS and ACTA_KAFKA_PROPERTIES.",
    )


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise FolderUnusable(
            "the file that ACTA_KAFKA_PROPERTIES names cannot be read",
            remedy="Make it readable, or correct the setting.",
        ) from None
    properties: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not name or not equals:
            raise _unusable(number, "is not of the form name=value")
        if name in OURS:
            raise _unusable(number, f"sets {name}, on which a promise rests")
        properties[name] = value
    return properties


def _unusable(line: int, why: str) -> InvalidInput:
    return InvalidInput(
        f"line {line} of the file that ACTA_KAFKA_PROPERTIES names {why}",
        remedy="Correct the line or take it out.",
    )
