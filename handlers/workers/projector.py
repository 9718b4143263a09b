"""The projector: brings read models up to the log, in order, each event once (decision 4)."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event as Signal
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)

from domain.event import Recorded
from handlers.faults import DatabaseUnavailable, DatabaseVersion
from handlers.store.database import Database, reachable
from handlers.store.mapper import to_recorded
from handlers.store.reader import Row, head, read_rows, settled_position
from handlers.workers.collector import collector_resting
from handlers.workers.parking import Careful, Held, Skipped, is_decision, is_the_events
from projections.parked import ParkedStream, unpark
from projections.projection import Projection

__all__ = ["Progress", "Projector"]

BATCH_EVENTS = 5000
PAUSE_SECONDS = 0.02
OUTAGE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a projector has come.

    Attributes:
        position: up to which every read model knows.
        head: the head of the log, against which lag is measured.
    """

    position: int
    head: int
    events: int


_Apply = Callable[[Connection, Sequence[Row], Mapping[str, int]], Sequence[ParkedStream]]


class _Done(NamedTuple):
    """What came of a batch."""

    position: int
    events: int
    parked: tuple[ParkedStream, ...]


class _NeedsCare(Exception):  # noqa: N818  an outcome that is answered by another attempt
    """A batch holds what cannot be applied, or a decision about a parked stream."""


class Projector:
    """Applies the log to read models, several at a time or one after a rebuild.

    Any number may run at once: each batch takes the positions' rows for itself.

    Args:
        database: in the application's role.
        projections: the read models to keep.
        reached: told each point at which a crash would matter; tests crash there.
    """

    def __init__(
        self,
        database: Database,
        projections: Sequence[Projection],
        *,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._projections = {projection.name: projection for projection in projections}
        self._reached = reached
        self._skipped = Skipped()
        self._stopped = Signal()
        self._prepared = False

    def catch_up(
        self,
        *,
        batch_events: int = BATCH_EVENTS,
        progress: Callable[[Progress], None] = lambda _: None,
        parked: Callable[[ParkedStream], None] = lambda _: None,
    ) -> Progress:
        """Applies everything that is in the log when it is called.

        Args:
            batch_events: how many events to apply in one transaction.
            progress: told of each batch.
            parked: told of each stream that a read model stops applying (X6).

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with reachable(), self._database.connection() as connection:
            goal = head(connection)
        events = 0
        while True:
            position, applied = self.step(batch_events, parked=parked)
            events += applied
            told = Progress(position, max(goal, position), events)
            progress(told)
            if position >= goal:
                return told

    def follow(
        self,
        *,
        progress: Callable[[Progress], None] = lambda _: None,
        parked: Callable[[ParkedStream], None] = lambda _: None,
    ) -> None:
        """Applies what comes, until ``stop``; outlives a database that restarts.

        Args:
            progress: told of each batch, and of each look that found nothing.
            parked: told of each stream that a read model stops applying (X6).

        Raises:
            DatabaseUnavailable: the database was away for a minute, or when it was stopped.
        """
        attempts = Retrying(
            retry=retry_if_exception(_is_outage),
            stop=stop_any(stop_after_delay(OUTAGE_SECONDS), stop_when_event_set(self._stopped)),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        while not self._stopped.is_set():
            told = attempts(self._one_batch, parked)
            progress(told)
            # A moment's events cost as much as one: a full batch alone means that more is waiting.
            if told.events < BATCH_EVENTS:
                self._stopped.wait(PAUSE_SECONDS)

    def stop(self) -> None:
        """Lets ``follow`` return after the batch at hand."""
        self._stopped.set()

    def _one_batch(self, parked: Callable[[ParkedStream], None]) -> Progress:
        position, events = self.step(parked=parked)
        with reachable(), self._database.connection() as connection:
            return Progress(position, max(head(connection), position), events)

    def step(
        self,
        batch_events: int = BATCH_EVENTS,
        *,
        parked: Callable[[ParkedStream], None] = lambda _: None,
    ) -> tuple[int, int]:
        """Applies one batch in one transaction with its position.

        Args:
            batch_events: how many events at most.
            parked: told of each stream that was parked, once that is committed.

        Returns:
            The position up to which every read model knows, and how many events were applied.
        """
        with reachable(), self._database.connection() as connection:
            self._prepare(connection)
            settled = settled_position(connection)
            if not self._is_behind(connection, settled):
                return settled, 0
            try:
                done = self._batch(connection, settled, batch_events, self._apply_at_once)
            except _NeedsCare:
                done = self._batch(connection, settled, batch_events, self._apply_with_care)
        for stream in done.parked:
            parked(stream)
        return done.position, done.events

    def _is_behind(self, connection: Connection, settled: int) -> bool:
        """Asked first, since to take the positions' rows is a write that ends on the disk."""
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM ledger.events WHERE position <= %s AND position >"
            " (SELECT min(position) FROM projections.positions WHERE name = ANY(%s)))",
            (settled, list(self._projections)),
        ).fetchone()
        return row is not None and bool(row[0])

    def _batch(
        self, connection: Connection, settled: int, batch_events: int, apply: "_Apply"
    ) -> "_Done":
        with connection.transaction(), collector_resting():
            # The role's short limit is there for writers, whom readers wait for.
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = '1min'")
            positions = self._take_positions(connection)
            after = min(positions.values())
            rows = read_rows(connection, after=after, up_to=settled, limit=batch_events)
            if not rows:
                return _Done(max(after, settled), 0, ())
            parked = apply(connection, rows, positions)
            self._reached("after batch")
            reached = rows[-1].position
            connection.execute(
                "UPDATE projections.positions SET position = %s"
                " WHERE name = ANY(%s) AND position < %s",
                (reached, list(positions), reached),
            )
            return _Done(reached, len(rows), tuple(parked))

    def _apply_at_once(
        self, connection: Connection, rows: Sequence[Row], positions: Mapping[str, int]
    ) -> Sequence[ParkedStream]:
        """Applies a batch in which all is well, as nearly all are.

        Raises:
            _NeedsCare: it is not so, and the transaction is of no use.
        """
        if any(map(is_decision, rows)):
            raise _NeedsCare
        held = self._held(connection, positions)
        try:
            recorded = [entry for row in rows if (entry := to_recorded(row)) is not None]
            for name, position in positions.items():
                if position < rows[-1].position:
                    new = [entry for entry in recorded if entry.position > position]
                    due = _due(new, held[name], self._skipped.of(name))
                    self._projections[name].apply(due, connection)
        except Exception as error:
            if isinstance(error, DatabaseVersion) or is_the_events(error):
                raise _NeedsCare from error
            raise
        return ()

    def _apply_with_care(
        self, connection: Connection, rows: Sequence[Row], positions: Mapping[str, int]
    ) -> Sequence[ParkedStream]:
        """Applies a batch whose events may be unfit, and parks their streams (decision 26)."""
        held = self._held(connection, positions)
        careful = Careful(connection, self._projections, positions, held, self._skipped)
        careful.apply(rows)
        return careful.parked

    def _held(self, connection: Connection, names: Iterable[str]) -> Held:
        """What is not to be applied, asked once the positions' rows are taken."""
        self._skipped.learn(connection)
        return Held.of(connection, names)

    def rebuild(self, name: str) -> None:
        """Drops a read model's tables; the next steps fill them from the beginning.

        Raises:
            KeyError: there is no such read model.
        """
        with reachable(), self._database.transaction() as connection:
            self._make(connection, self._projections[name])

    def _take_positions(self, connection: Connection) -> dict[str, int]:
        rows = connection.execute(
            "SELECT name, position FROM projections.positions WHERE name = ANY(%s)"
            " ORDER BY name FOR UPDATE",
            (list(self._projections),),
        ).fetchall()
        return dict(rows)

    def _prepare(self, connection: Connection) -> None:
        """Makes the tables of read models that are new, or of another version."""
        if self._prepared:
            return
        with connection.transaction():
            # One at a time, whoever else starts up now.
            connection.execute("SELECT pg_advisory_xact_lock(1633907812)")
            known: dict[str, int] = dict(
                connection.execute("SELECT name, version FROM projections.positions").fetchall()
            )
            for projection in self._projections.values():
                if known.get(projection.name) != projection.version:
                    self._make(connection, projection)
        self._prepared = True

    def _make(self, connection: Connection, projection: Projection) -> None:
        connection.execute(
            "INSERT INTO projections.positions (name, version, position) VALUES (%s, %s, 0)"
            " ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version, position = 0",
            (projection.name, projection.version),
        )
        unpark(connection, projection.name)
        for table in projection.tables:
            table.create(connection)


def _due(
    entries: list[Recorded], held: Collection[UUID], skipped: Collection[UUID]
) -> list[Recorded]:
    if not held and not skipped:
        return entries
    return [
        entry for entry in entries if entry.stream not in held and entry.event_id not in skipped
    ]


def _is_outage(error: BaseException) -> bool:
    """Whether waiting can mend it; an event that cannot be read stays so."""
    return isinstance(error, DatabaseUnavailable) and not isinstance(error, DatabaseVersion)
