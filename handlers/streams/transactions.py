"""Writes to Kafka, all or nothing, as long as nobody else does under the same name."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Event as Signal
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from handlers.faults import RecordTooLarge
from handlers.streams.cluster import TRANSACTION_TIMEOUT_SECONDS, Cluster, fault_of
from handlers.streams.partitions import partition_of
from handlers.streams.records import Header, Headers, Record

__all__ = ["SessionLost", "Transactions", "record_too_large", "write_at_once"]

POLL_EVERY = 1000
ABORT_SECONDS = 5
SLICE_SECONDS = 0.5
"""Python looks at signals between two calls of librdkafka, so none may take long."""
STOPPED_SECONDS = 5
"""What is at hand may still take so long when it is to stop."""
AGAIN_SECONDS = 0.02

FENCED = {
    KafkaError._FENCED,  # noqa: SLF001  it has no other name
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
}
UNFINISHED = KafkaError._TIMED_OUT  # noqa: SLF001  it has no other name


class SessionLost(Exception):  # noqa: N818  named for what happened
    """A transaction failed, or its outcome is unknown; whoever goes on has to begin anew."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error


class Transactions:
    """A producer that fenced all earlier ones of its name; of no use after the first failure.

    librdkafka cannot look up what became of a transaction (it has no KIP-890), so nothing is tried
    again here: after a failure another one is made, which settles what was left open.

    Args:
        cluster: where to write.
        transactional_id: the name.
        partitions: how many each topic has that is written to.
        stopped: set when what is away need not be waited for any longer.

    Raises:
        SessionLost: the cluster does not answer, or there is a later one already.
    """

    def __init__(
        self,
        cluster: Cluster,
        transactional_id: str,
        partitions: Mapping[str, int],
        stopped: Signal,
    ) -> None:
        self._partitions = partitions
        self._stopped = stopped
        self._refusal: tuple[KafkaError, Any] | None = None
        self._producer: Producer = cluster.producer(transactional_id, self._refused)
        try:
            self._wait_for(self._producer.init_transactions)
        except KafkaException as error:
            raise SessionLost(error.args[0]) from error

    def write(
        self, records: Iterable[Record], *, reached: Callable[[str], None] = lambda _: None
    ) -> None:
        """Writes the records in one transaction.

        Args:
            records: in their order.
            reached: told when all are produced, and none is committed.

        Raises:
            SessionLost: they were not written, or nobody knows.
            RecordTooLarge: the broker does not take one of them; none was written.
        """
        try:
            self._producer.begin_transaction()
            for number, record in enumerate(records, 1):
                self._produce(*record)
                if number % POLL_EVERY == 0:
                    self._producer.poll(0)
            reached("produced")
            self._wait_for(self._producer.commit_transaction)
        except KafkaException as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Gives up what is open and frees what is queued."""
        self._producer.purge()

    def _produce(
        self, topic: str, key: str, value: bytes, headers: Headers, timestamp_ms: int
    ) -> None:
        partition = partition_of(key, self._partitions[topic])
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, headers=headers, timestamp=timestamp_ms
                )
            except BufferError:
                # The broker is slower than we are, and what is queued is memory.
                self._producer.poll(0.1)
            else:
                return

    def _wait_for(self, call: Callable[[float], None]) -> None:
        """Calls what goes on where it was when it is called again."""
        deadline = monotonic() + TRANSACTION_TIMEOUT_SECONDS
        while True:
            try:
                call(SLICE_SECONDS)
            except KafkaException as error:
                cause = error.args[0]
                again = cause.code() == UNFINISHED or cause.retriable()
                if not again or monotonic() > deadline:
                    raise
                # It may have been told at once, as when what was there before is still being ended.
                if self._stopped.wait(AGAIN_SECONDS):
                    deadline = min(deadline, monotonic() + STOPPED_SECONDS)
            else:
                return

    def _refused(self, error: KafkaError, message: Any) -> None:
        """Of records that were sent together and refused for their size, one is: the largest."""
        if self._refusal is None or len(message) > len(self._refusal[1]):
            self._refusal = (error, message)

    def _failure(self, failure: KafkaException) -> Exception:
        # Why a record was refused says more than that the transaction cannot be committed.
        error, message = self._refusal or (failure.args[0], None)
        if message is None or error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
            return SessionLost(failure.args[0] if failure.args[0].code() in FENCED else error)
        # Where that fails, the broker gives the transaction up by itself, at its timeout.
        with suppress(KafkaException):
            self._producer.abort_transaction(ABORT_SECONDS)
        return record_too_large(message.headers() or [])


def write_at_once(cluster: Cluster, record: Record) -> int:
    """Writes a record outside of any transaction, for everybody to see; its offset.

    Raises:
        BrokerUnavailable: nobody says that it was taken.
    """
    topic, key, value, _, timestamp_ms = record
    offsets: list[int] = []
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Any) -> None:
        if error is None:
            offsets.append(message.offset())
        else:
            failures.append(error)

    producer = cluster.plain_producer(delivered)
    try:
        # One that knows no leader yet would look for it again after half a second only.
        producer.list_topics(timeout=TRANSACTION_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise fault_of(error) from error
    producer.produce(topic, value, key, timestamp=timestamp_ms)
    if producer.flush(TRANSACTION_TIMEOUT_SECONDS):
        producer.purge()
        failures.append(KafkaError(UNFINISHED))
    for failure in failures:
        raise fault_of(failure)
    return offsets[0]


def record_too_large(headers: Iterable[Header]) -> RecordTooLarge:
    """The fault for a record that no broker takes, now or later."""
    place = dict(headers).get("ce_position") or "unknown"
    place = place.decode() if isinstance(place, bytes) else place
    return RecordTooLarge(
        f"the event at position {place} is larger than a record may be",
        remedy="Raise max.message.bytes of its topic and message.max.bytes of the brokers.",
    )
