"""The relay: carries the log to Kafka, in order, each event exactly once (decision 20).

A batch of events and the checkpoint behind it are one Kafka transaction, so that a crash at any
moment leaves both or neither. Whoever starts first fences whoever was there, then reads the
checkpoint, then goes on from it.
"""

import gc
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from threading import Event as Signal

from handlers.faults import DatabaseVersion, Fault, RecordTooLarge
from handlers.store.database import Database, reachable
from handlers.store.reader import Lag, head, lag_behind
from handlers.streams.checkpoint import Checkpoint, last_checkpoint
from handlers.streams.cluster import fault_of
from handlers.streams.records import Records
from handlers.streams.topics import exists
from handlers.streams.transactions import SessionLost, Transactions
from handlers.workers.relay_batches import Batch, Batches
from handlers.workers.relay_destination import Destination
from handlers.workers.relay_ownership import Ownership
from handlers.workers.relay_patience import Outage, Patience
from handlers.workers.relay_tally import Tally
from schemas.contracts import Contracts

__all__ = ["Destination", "Relay", "RelayProgress", "RelayStatus", "relay_state"]

BATCH_EVENTS = 5000
BATCH_BYTES = 8 * 1024 * 1024
PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RelayProgress:
    """How far a relay has come.

    Attributes:
        position: of the last event that is in Kafka.
        events: how many this run brought over.
        events_per_second: lately.
        committed: transactions of this run that succeeded.
        failed: those that did not, or whose outcome was unknown.
    """

    position: int
    events: int
    events_per_second: float
    committed: int
    failed: int


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """How the relay of a generation fares, by what it said last, and how far it is behind now."""

    checkpoint: Checkpoint
    lag: Lag


def relay_state(database: Database, destination: Destination) -> RelayStatus | None:
    """How the relay with this destination fares; None if none ever began.

    Raises:
        BrokerUnavailable: the cluster does not answer.
        DatabaseUnavailable: the database cannot be reached.
    """
    if not exists(destination.cluster, destination.checkpoints):
        return None
    last = last_checkpoint(destination.cluster, destination.checkpoints, destination.key)
    if last is None:
        return None
    with reachable(), database.connection() as connection:
        return RelayStatus(last, lag_behind(connection, last.position))


class Relay:
    """Carries the log to Kafka as long as no other relay takes over.

    Args:
        database: in the application's role.
        destination: where to write.
        contracts: the contracts that the events were written by.
        schema_ids: asked at the first start for the ids of schemas, by stored topic.
        waiting: told of each outage, once.
        reached: told each point at which a crash would matter; tests crash there.
        patience_seconds: how long ``catch_up`` waits for what is away.
    """

    def __init__(
        self,
        database: Database,
        destination: Destination,
        contracts: Contracts,
        schema_ids: Callable[[], Callable[[str], int]],
        *,
        waiting: Callable[[Fault], None] = lambda _: None,
        reached: Callable[[str], None] = lambda _: None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._database = database
        self._to = destination
        self._contracts = contracts
        self._schema_ids = schema_ids
        self._waiting = waiting
        self._reached = reached
        self._patience_seconds = patience_seconds
        self._stopped = Signal()
        self._tally = Tally()
        self._ownership = Ownership(database, destination, contracts, self._tally, self._stopped)
        self._batches = Batches(
            database,
            record_bytes_max=destination.cluster.record_bytes_max,
            events_max=BATCH_EVENTS,
            bytes_max=BATCH_BYTES,
            reached=reached,
        )
        self._records: Records | None = None
        self._position = 0
        self._owning = False

    def follow(self, *, progress: Callable[[RelayProgress], None] = lambda _: None) -> None:
        """Carries what comes until ``stop``; waits for whatever is away.

        Args:
            progress: told of each batch, and of each look that found nothing.

        Raises:
            RelayReplaced: another relay took over.
            TopicUnsuitable: the settings of a topic would break a promise, or records are lost.
            SchemaRefused: the registry does not take a schema.
            LogDiffers: what was relayed is not in this log.
            RecordTooLarge: an event does not fit into a record.
            DatabaseVersion: the log holds an event that this program cannot read.
        """
        self._run(None, progress)

    def catch_up(self, *, progress: Callable[[RelayProgress], None] = lambda _: None) -> None:
        """Carries everything that is in the log when it is called.

        Raises:
            Fault: as ``follow``; and what is away is not waited for without end.
        """
        with reachable(), self._database.connection() as connection:
            goal = head(connection)
        self._run(goal, progress)

    def stop(self) -> None:
        """Lets ``follow`` return after the batch at hand."""
        self._stopped.set()

    @property
    def owning(self) -> bool:
        """Whether it has taken over the topics, and can write to them as far as it knows."""
        return self._owning

    @property
    def progress(self) -> RelayProgress:
        """How far it has come by now."""
        return RelayProgress(
            self._position,
            self._tally.events,
            self._tally.per_second(),
            self._tally.committed,
            self._tally.failed,
        )

    def lag(self) -> Lag:
        """How far Kafka is behind the head of the log, now.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with reachable(), self._database.connection() as connection:
            return lag_behind(connection, self._position)

    def _run(self, goal: int | None, progress: Callable[[RelayProgress], None]) -> None:
        with _loaded_objects_left_alone():
            self._run_sessions(goal, progress)

    def _run_sessions(self, goal: int | None, progress: Callable[[RelayProgress], None]) -> None:
        seconds = inf if goal is None else self._patience_seconds
        patience = Patience(seconds, self._stopped, self._waiting)

        def told() -> None:
            patience.is_over()
            progress(self.progress)

        while not self._stopped.is_set():
            try:
                with self._session() as (transactions, records):
                    self._carry(transactions, records, goal, told)
                return
            except SessionLost as lost:
                self._tally.count_failure()
                if self._stopped.is_set():
                    return
                patience.wait(fault_of(lost.error))
            except DatabaseVersion:
                raise  # an outage by its parent, and waiting does not mend it
            except Outage as fault:
                if self._stopped.is_set():
                    return
                patience.wait(fault)

    @contextmanager
    def _session(self) -> Generator[tuple[Transactions, Records]]:
        """A time in which the topics are this relay's."""
        self._ownership.prepare()
        if self._records is None:
            to = self._to
            self._records = Records(
                to.namespace, to.generation, self._contracts, self._schema_ids()
            )
        transactions, self._position = self._ownership.take(
            self._records.entry_schema_id, self._reached
        )
        try:
            self._owning = True
            self._reached("taken over")
            yield transactions, self._records
        finally:
            self._owning = False
            transactions.close()

    def _carry(
        self,
        transactions: Transactions,
        records: Records,
        goal: int | None,
        told: Callable[[], None],
    ) -> None:
        with ThreadPoolExecutor(2, "relay-reader") as threads:

            def read(after: int) -> Future[Batch]:
                """The next batch is fetched and put into Avro while the one at hand travels."""
                return threads.submit(self._batches.read, records, after, threads)

            upcoming = read(self._position)
            while True:
                batch = upcoming.result()
                if batch.more:
                    upcoming = read(batch.reached)
                if batch.last is not None:
                    self._write(transactions, batch, batch.last)
                told()
                if self._stopped.is_set() or (goal is not None and batch.reached >= goal):
                    return
                if not batch.more:
                    self._stopped.wait(PAUSE_SECONDS)
                    upcoming = read(batch.reached)

    def _write(self, transactions: Transactions, batch: Batch, last: tuple[int, str]) -> None:
        checkpoint = self._ownership.checkpoint(*last, more_events=batch.events)
        try:
            transactions.write([*batch.records, checkpoint], reached=self._reached)
        except RecordTooLarge:
            # Unless somebody lowered what the topic takes, and then it is not about this record.
            self._ownership.prepare()
            raise
        self._reached("committed")
        self._position, _ = last
        self._tally.count_commit(batch.events)


@contextmanager
def _loaded_objects_left_alone() -> Generator[None]:
    """Batches make the collector look often, and what is loaded by now need not be looked at."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
