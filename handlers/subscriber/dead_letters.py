"""Dead letters: what could not be handled, as it came, with the cause beside it."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from .event import Record, Undecodable
from .halts import Undeliverable

__all__ = ["DeadLetters", "cause_of", "place_in_code", "words_of"]

log = logging.getLogger(__name__)

PREFIX = "dead-letter-"
WORDS_CHARACTERS_MAX = 500
RECORD_BYTES_MAX = 16 * 1024 * 1024
ACKNOWLEDGED_WITHIN_SECONDS = 5.0
POLL_SECONDS = 0.2
OURS = str(Path(__file__).parent)

PROMISED: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    # However long it takes: it is written once, and not again and again.
    "delivery.timeout.ms": 0,
    "message.max.bytes": RECORD_BYTES_MAX,
}
KEPT = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "max.message.bytes": str(RECORD_BYTES_MAX),
}


class DeadLetters:
    """The topic that takes what could not be handled.

    Args:
        properties: of librdkafka.
        topic: where they go.
        group: whose they are.
        words: what may be said of an exception; see ``words_of``.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        topic: str,
        group: str,
        words: Callable[[Exception], str],
    ) -> None:
        self._properties = {k: v for k, v in properties.items() if not k.startswith("group.")}
        self._producer = Producer({**self._properties, **PROMISED}, logger=log)
        self._topic = topic
        self._group = group
        self._words = words

    def prepare(self, timeout_seconds: float) -> None:
        """Makes the topic where it is missing: nothing of it is ever deleted by itself.

        Raises:
            KafkaException: the broker does not let us.
        """
        admin = AdminClient(self._properties, logger=log)
        if self._topic in admin.list_topics(timeout=timeout_seconds).topics:
            return
        wanted = NewTopic(self._topic, num_partitions=1, config=KEPT)
        # confluent-kafka does not say what its futures hold, and pyright wants to know.
        made = cast(Any, admin).create_topics([wanted])
        try:
            made[self._topic].result(timeout_seconds)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def send(
        self, record: Record, cause: Exception, tries: int, wait: Callable[[float], None]
    ) -> None:
        """Writes a dead letter; the broker has acknowledged it when this returns.

        Args:
            record: what could not be handled.
            cause: why.
            tries: how often it was tried.
            wait: called while there is no acknowledgement; what it raises ends the waiting.

        Raises:
            Undeliverable: the broker does not take it.
        """
        outcome: list[KafkaError | None] = []
        message = record.message
        self._producer.produce(
            self._topic,
            key=message.key(),
            value=message.value(),
            headers=[*_headers(message), *self._about(record, cause, tries)],
            on_delivery=lambda error, _: outcome.append(error),
        )
        self._producer.flush(ACKNOWLEDGED_WITHIN_SECONDS)
        if not outcome:
            log.warning("waiting: a dead letter is not acknowledged")
        try:
            while not outcome:
                wait(0)
                self._producer.poll(POLL_SECONDS)
        except BaseException:
            self._producer.purge()
            raise
        if (error := outcome[0]) is not None:
            raise Undeliverable(f"the topic {self._topic} takes no dead letter: {error.name()}")

    def _about(self, record: Record, cause: Exception, tries: int) -> list[tuple[str, bytes]]:
        topic, partition = record.place
        about = {
            "group": self._group,
            "topic": topic,
            "partition": str(partition),
            "offset": str(record.offset),
            "tries": str(tries),
            "at": datetime.now(UTC).isoformat(),
            "cause": cause_of(cause),
            "code": place_in_code(cause),
            "message": self._words(cause)[:WORDS_CHARACTERS_MAX],
        }
        return [(f"{PREFIX}{name}", text.encode()) for name, text in about.items() if text]


def cause_of(error: BaseException) -> str:
    """The kind of an exception, such as ``psycopg.errors.UniqueViolation``."""
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def place_in_code(error: Exception) -> str:
    """Where the handler was, such as ``invoices.py:42 in open_invoice``; empty if it was not."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [n for n, frame in enumerate(frames) if str(Path(frame.filename).parent) == OURS]
    for frame in frames[ours[-1] + 1 if ours else 0 :]:
        return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
    return ""


def words_of(error: Exception) -> str:
    """What is said of an exception: only what this package itself says.

    The words of others may repeat a value (that of PostgreSQL's unique violation does), also a
    personal one that a handler had opened; dead letters are kept for good, and erasing a person
    does not reach them.
    """
    return str(error) if isinstance(error, Undecodable) else ""


def _headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    """Without those that an earlier dead letter gave it."""
    headers = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]
