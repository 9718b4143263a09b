"""What a relay writes at once: events in the order of the log, up to one that nobody may carry."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import NamedTuple

from handlers.faults import DatabaseVersion, RecordTooLarge
from handlers.store.database import Database, reachable
from handlers.store.reader import CarriedRow, read_carried, settled_position
from handlers.streams.records import Record, Records
from handlers.streams.transactions import record_too_large
from handlers.workers.collector import collector_resting

__all__ = ["Batch", "Batches"]

AROUND_VALUE_BYTES = 1024
"""More than key, headers and framing of a record ever take."""
FRAMING_BYTES = 150
"""What Kafka puts around a record and its batch, and around each header, at most."""


@dataclass(slots=True)
class Batch:
    """What is written at once.

    Attributes:
        records: of events and entries, in their order.
        events: how many events they are of.
        reached: up to which position there is nothing else.
        last: position and id of the last event, if there is one.
        more: more may be waiting.
    """

    reached: int
    records: list[Record] = field(default_factory=list[Record])
    events: int = 0
    last: tuple[int, str] | None = None
    more: bool = False


class Fetched(NamedTuple):
    """Rows of the log, and the position up to which there is nothing else."""

    rows: Sequence[CarriedRow]
    reached: int


class Batches:
    """Reads the log in batches that are bounded, by events and by bytes.

    Args:
        database: in the application's role.
        record_bytes_max: what a record may have.
        events_max: of a batch.
        bytes_max: of the payloads of a batch; it has one event even if that is larger.
        reached: told when a batch was read.
    """

    def __init__(
        self,
        database: Database,
        *,
        record_bytes_max: int,
        events_max: int,
        bytes_max: int,
        reached: Callable[[str], None],
    ) -> None:
        self._database = database
        self._record_bytes_max = record_bytes_max
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._reached = reached
        self._settled = 0
        self._ahead: tuple[int, Future[Fetched]] | None = None

    def read(self, records: Records, after: int, threads: Executor) -> Batch:
        """The next batch behind a position; an event that cannot be carried ends it before.

        Args:
            records: makes them.
            after: the position.
            threads: where rows are fetched ahead, while those at hand are put into Avro.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
            DatabaseVersion: the next event fits no contract.
            RecordTooLarge: the next event does not fit into a record.
        """
        fetched = self._rows(after)
        if fetched.reached < self._settled:
            self._ahead = fetched.reached, threads.submit(self._fetch, fetched.reached)
        with collector_resting():
            batch = self._batch(records, fetched, after)
        batch.more = batch.reached < self._settled
        if batch.events:
            self._reached("read")
        return batch

    def _rows(self, after: int) -> Fetched:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == after:
            return ahead[1].result()
        return self._fetch(after)

    def _fetch(self, after: int) -> Fetched:
        with reachable(), self._database.connection() as connection:
            if self._settled <= after:
                self._settled = settled_position(connection)
            until = min(self._settled, after + self._events_max)
            if until <= after:
                return Fetched([], after)
            rows = read_carried(connection, after=after, up_to=until, limit_bytes=self._bytes_max)
        return Fetched(rows, rows[-1].position if rows else until)

    def _batch(self, records: Records, fetched: Fetched, after: int) -> Batch:
        batch = Batch(after)
        for row in fetched.rows:
            try:
                made = records.of(row)
                self._refuse_too_large(made)
            except (DatabaseVersion, RecordTooLarge):
                if batch.last is None:
                    raise
                return batch  # what is before it goes first; the next batch begins with it
            batch.records += made
            batch.events += bool(made)
            batch.reached, batch.last = row.position, (row.position, row.event_id)
        batch.reached = fetched.reached
        return batch

    def _refuse_too_large(self, made: Sequence[Record]) -> None:
        for record in made:
            if len(record.value) + AROUND_VALUE_BYTES < self._record_bytes_max:
                continue
            around = len(record.key) + sum(
                len(name) + len(told or "") for name, told in record.headers.items()
            )
            if len(record.value) + around + FRAMING_BYTES > self._record_bytes_max:
                raise record_too_large(record.headers.items())
