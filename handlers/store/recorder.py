"""The log as the eventsourcing library knows it (decision 2).

With ``PERSISTENCE_MODULE=handlers.store.recorder`` an unchanged ``Application`` saves, reads and
follows. ``Ledger`` appends through the same recorder, with an envelope and what goes alongside.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event as Signal
from typing import Any, ClassVar, ParamSpec, TypeVar, cast
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic
from psycopg import Connection, Cursor, sql
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from handlers.store.arrays import Bigints, Byteas, Texts, Uuids
from handlers.store.database import Database
from handlers.store.reader import COLUMNS, head, read_rows, settled_position

__all__ = ["ApplicationLog", "Envelope", "Factory", "Tracker"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is recorded with events beside their content.

    Attributes:
        event_ids: an id for each event, made before the first attempt to write it.
        reads: streams that the decision rests on, with the version that it saw of each.
        alongside: changes of claims, keys and index within the same transaction.
        receipt: the answer to the command, within the same transaction.
    """

    event_ids: Sequence[UUID]
    actor_kind: str = "unknown"
    actor_id: UUID | None = None
    command_id: UUID | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    reads: dict[UUID, int] = field(default_factory=dict[UUID, int])
    alongside: dict[str, Any] | None = None
    receipt: dict[str, Any] | None = None


_APPEND = (
    "SELECT ledger.append(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[], %b::uuid[],"
    " %s, %s, %s, %s, %s, %b::uuid[], %b::bigint[], %s, %s)"
)


_LOCK = (
    # As ledger.lock_streams does: in one order for everybody, so that two never wait in a ring.
    "SELECT CASE WHEN written THEN pg_advisory_xact_lock(key)"
    " ELSE pg_advisory_xact_lock_shared(key) END"
    " FROM (SELECT uuid_hash_extended(stream, 0) AS key, bool_or(written) AS written"
    "       FROM (SELECT unnest(%b::uuid[]), true UNION ALL SELECT unnest(%b::uuid[]), false)"
    "            AS s(stream, written) GROUP BY 1 ORDER BY 1) AS locks"
)


def _lost_connection(read: Callable[P, R]) -> Callable[P, R]:
    """A read may simply be tried again on another connection."""
    return retry(
        retry=retry_if_exception_type(OperationalError),
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        reraise=True,
    )(read)


class AggregateLog(AggregateRecorder):
    """Events by stream, in the log that everybody shares."""

    table: ClassVar[str] = "events"

    def __init__(self, database: Database) -> None:
        self.database = database

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Appends to the log; the library wants no positions of this kind of recorder.

        Raises:
            IntegrityError: another writer was first; nothing was written.
        """
        self.append(stored_events, kwargs.get("envelope"))
        return None

    def append(
        self, stored_events: Sequence[StoredEvent], envelope: Envelope | None = None
    ) -> Sequence[int]:
        """Appends all or nothing and returns the positions, which are one block.

        After a lost connection the outcome is unknown: the events are looked up by their ids
        before they are written again.

        Raises:
            IntegrityError: another writer was first, or a stream that was read has moved.
            OperationalError: the database cannot be reached.
        """
        envelope = envelope or Envelope(event_ids=[uuid4() for _ in stored_events])
        try:
            return self._append_once(stored_events, envelope)
        except OperationalError:
            return self._append_again(stored_events, envelope)

    @_lost_connection
    def _append_again(
        self, stored_events: Sequence[StoredEvent], envelope: Envelope
    ) -> Sequence[int]:
        written = self._positions_of(envelope.event_ids)
        try:
            return written or self._append_once(stored_events, envelope)
        except IntegrityError:
            # The first try may have been on its way still, and have come in just now.
            written = self._positions_of(envelope.event_ids)
            if not written:
                raise
            return written

    def _append_once(
        self, stored_events: Sequence[StoredEvent], envelope: Envelope
    ) -> Sequence[int]:
        with translated_faults(), self.database.connection() as connection:
            row = connection.execute(_APPEND, _parameters(stored_events, envelope)).fetchone()
        first = row[0] if row else None
        return [] if first is None else list(range(first, first + len(stored_events)))

    def append_within(
        self, connection: Connection, stored_events: Sequence[StoredEvent], envelope: Envelope
    ) -> Sequence[int]:
        """Appends in the transaction that a connection is in, and commits it.

        Raises:
            IntegrityError: another writer was first, or a stream that was read has moved.
            OperationalError: the connection was lost; whether it was written is not known.
        """
        with translated_faults():
            # Sent as one, so that nobody who is stopped here holds positions that readers await.
            with connection.pipeline():
                cursor = connection.execute(_APPEND, _parameters(stored_events, envelope))
                connection.execute("COMMIT")
            row = cursor.fetchone()
        first = row[0] if row else None
        return [] if first is None else list(range(first, first + len(stored_events)))

    def append_together(
        self, connection: Connection, appends: Sequence[tuple[Sequence[StoredEvent], Envelope]]
    ) -> list[Sequence[int]]:
        """As ``append_within``, several appends in one transaction; the positions of each.

        Whatever one of them could wait for is waited for before the first draws its positions,
        since readers wait from there on.
        """
        cursors: list[Cursor[TupleRow]] = []
        with translated_faults():
            failed: psycopg.Error | None = None
            # Raised within a pipeline, the first error would have the driver complain of the rest.
            with suppress(psycopg.errors.PipelineAborted), connection.pipeline():
                try:
                    connection.execute(_LOCK, _locked(appends))
                    for events, envelope in appends:
                        cursors.append(connection.execute(_APPEND, _parameters(events, envelope)))
                    connection.execute("COMMIT")
                except psycopg.Error as error:
                    failed = error
            if failed is not None:
                raise failed
            firsts = [cursor.fetchone() for cursor in cursors]
        return [
            range(row[0], row[0] + len(events)) if row and row[0] is not None else []
            for row, (events, _) in zip(firsts, appends, strict=True)
        ]

    def _positions_of(self, event_ids: Sequence[UUID]) -> Sequence[int]:
        with translated_faults(), self.database.connection() as connection:
            rows = connection.execute(
                "SELECT position FROM ledger.events WHERE event_id = ANY(%s) ORDER BY position",
                (list(event_ids),),
            ).fetchall()
        return [position for (position,) in rows]

    @_lost_connection
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events, or snapshots, of one stream, in order of version."""
        with translated_faults(), self.database.connection() as connection:
            return select_stored(
                connection, self.table, _stream_id(originator_id), gt=gt, lte=lte, desc=desc,
                limit=limit,
            )  # fmt: skip


class SnapshotLog(AggregateLog):
    """Snapshots of streams, for applications of the library that ask for them."""

    table: ClassVar[str] = "snapshots"

    def append(
        self,
        stored_events: Sequence[StoredEvent],
        envelope: Envelope | None = None,  # noqa: ARG002  snapshots have none
    ) -> Sequence[int]:
        """Keeps snapshots; they are no part of the log and have no positions."""
        columns = _columns(stored_events)
        with translated_faults(), self.database.connection() as connection:
            connection.execute(
                "SELECT ledger.insert_snapshots(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[])",
                columns,
            )
        return []


class ApplicationLog(AggregateLog, ApplicationRecorder):
    """The whole log: events by stream, and all of them in the order of their positions."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Appends to the log and returns the positions.

        Raises:
            IntegrityError: another writer was first; nothing was written.
        """
        return self.append(stored_events, kwargs.get("envelope"))

    @_lost_connection
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events in the order of their positions; none is skipped, whoever is writing."""
        after = (start or 0) - (1 if inclusive_of_start and start else 0)
        with translated_faults(), self.database.connection() as connection:
            settled = settled_position(connection)
            up_to = settled if stop is None else min(stop, settled)
            if topics:
                return _select_of_topics(connection, after, up_to, limit, topics)
            rows = read_rows(connection, after=after, up_to=up_to, limit=limit)
            return [
                Notification(row.stream, row.version, row.topic, row.payload, row.position)
                for row in rows
            ]

    @_lost_connection
    def max_notification_id(self) -> int | None:
        """The position of the last event, or none for an empty log."""
        with translated_faults(), self.database.connection() as connection:
            return head(connection) or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follows the log from a position on."""
        return Following(recorder=self, gt=gt, topics=topics)


class Following(Subscription[ApplicationRecorder]):
    """Follows the log by asking for more: a NOTIFY would serialise everybody's commits."""

    PAUSE_SECONDS = 0.02

    def __init__(
        self, recorder: ApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._stopped = Signal()
        self._waiting: list[Notification] = []

    def stop(self) -> None:
        """Ends the iteration, also one that waits."""
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        """The next event; waits for one.

        Raises:
            StopIteration: the subscription was stopped.
        """
        while not self._waiting and not self._stopped.is_set():
            self._waiting = list(
                self._recorder.select_notifications(
                    start=self._last_notification_id,
                    limit=500,
                    topics=self._topics,
                    inclusive_of_start=False,
                )
            )
            if not self._waiting:
                self._stopped.wait(self.PAUSE_SECONDS)
        if self._stopped.is_set():
            raise StopIteration
        notification = self._waiting.pop(0)
        self._last_notification_id = notification.id
        return notification


class Tracker(TrackingRecorder):
    """Up to which position something has been processed."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def insert_tracking(self, tracking: Tracking) -> None:
        """Moves a position on.

        Raises:
            IntegrityError: it was there or further already.
        """
        with translated_faults(), self.database.connection() as connection:
            move_position(connection, tracking)

    @_lost_connection
    def max_tracking_id(self, application_name: str) -> int | None:
        """The position reached, or none."""
        with translated_faults(), self.database.connection() as connection:
            row = connection.execute(
                "SELECT position FROM projections.positions WHERE name = %s", (application_name,)
            ).fetchone()
        return row[0] if row else None


class ProcessLog(Tracker, ApplicationLog, ProcessRecorder):
    """The log, and positions that move together with what is appended to it."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Appends to the log and moves a position on, both or neither.

        Raises:
            IntegrityError: another writer was first; nothing was written.
        """
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is None:
            return super().insert_events(stored_events, **kwargs)
        envelope = Envelope(event_ids=[uuid4() for _ in stored_events])
        with translated_faults(), self.database.transaction() as connection:
            move_position(connection, tracking)
            if not stored_events:
                return []
            row = connection.execute(_APPEND, _parameters(stored_events, envelope)).fetchone()
        first = row[0] if row else 0
        return list(range(first, first + len(stored_events)))


class Factory(InfrastructureFactory[Tracker]):
    """Builds the recorders from an environment that names the database.

    Reads ``ACTA_DATABASE_URL``, the address in the application's role.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        address = self.env.get("ACTA_DATABASE_URL")
        if not address:
            raise OSError("ACTA_DATABASE_URL is not set: the address of the database")
        self.database = Database(address)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Events or snapshots by stream."""
        return SnapshotLog(self.database) if purpose == "snapshots" else AggregateLog(self.database)

    def application_recorder(self) -> ApplicationRecorder:
        """The whole log."""
        return ApplicationLog(self.database)

    def tracking_recorder(self, tracking_recorder_class: type[Tracker] | None = None) -> Tracker:
        """Positions of what follows the log."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        named: type[Tracker] = resolve_topic(topic) if topic else Tracker
        return (tracking_recorder_class or named)(self.database)

    def process_recorder(self) -> ProcessRecorder:
        """The log with positions."""
        return ProcessLog(self.database)

    def close(self) -> None:
        """Closes the connections."""
        self.database.close()


def select_stored(
    connection: Connection,
    table: str,
    stream: UUID,
    *,
    gt: int | None,
    lte: int | None,
    desc: bool,
    limit: int | None,
) -> list[StoredEvent]:
    """Rows of a stream as the library's stored events."""
    statement = sql.SQL(
        "SELECT stream, version, topic, payload FROM ledger.{table}"
        " WHERE stream = %s AND version > %s AND version <= %s ORDER BY version {order} LIMIT %s"
    ).format(table=sql.Identifier(table), order=sql.SQL("DESC" if desc else "ASC"))
    lowest = -1 if gt is None else gt
    highest = 2**63 - 1 if lte is None else lte
    cursor = connection.cursor(binary=True)
    cursor.execute(statement, (stream, lowest, highest, limit))
    return [StoredEvent(*row) for row in cursor.fetchall()]


def move_position(connection: Connection, tracking: Tracking) -> None:
    """Moves a position on within the transaction of the connection.

    Raises:
        IntegrityError: it was there or further already.
    """
    moved = connection.execute(
        "INSERT INTO projections.positions AS p (name, position) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position"
        " WHERE p.position < EXCLUDED.position",
        (tracking.application_name, tracking.notification_id),
    )
    if moved.rowcount == 0:
        raise IntegrityError(f"{tracking.application_name} has reached that position")


class translated_faults:  # noqa: N801  reads as a statement: with translated_faults()
    """Turns the driver's exceptions into the library's."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raises the library's exception in place of the driver's."""
        match error:
            case psycopg.errors.IntegrityError():
                raise IntegrityError(_told(error)) from error
            case psycopg.DatabaseError() if error.sqlstate in ("AC001", "AC002", "AC003", "40P01"):
                raise IntegrityError(_told(error)) from error
            case psycopg.OperationalError() | psycopg.InterfaceError():
                raise OperationalError(_told(error)) from error
            case psycopg.ProgrammingError():
                raise ProgrammingError(_told(error)) from error
            case _:
                return


def _told(error: psycopg.Error) -> str:
    return error.diag.message_primary or type(error).__name__


def _parameters(stored_events: Sequence[StoredEvent], envelope: Envelope) -> Sequence[Any]:
    return (
        *_columns(stored_events),
        Uuids(envelope.event_ids),
        envelope.actor_kind,
        envelope.actor_id,
        envelope.command_id,
        envelope.correlation_id,
        envelope.causation_id,
        Uuids(envelope.reads),
        Bigints(envelope.reads.values()),
        None if envelope.alongside is None else Jsonb(envelope.alongside),
        None if envelope.receipt is None else Jsonb(envelope.receipt),
    )


def _locked(appends: Sequence[tuple[Sequence[StoredEvent], Envelope]]) -> tuple[Uuids, Uuids]:
    """The streams that are written, and the streams and persons that they rest on."""
    envelopes = [envelope for _, envelope in appends]
    return (
        Uuids(_stream_id(event.originator_id) for events, _ in appends for event in events),
        Uuids(
            read
            for envelope in envelopes
            for read in (*envelope.reads, *map(UUID, (envelope.receipt or {}).get("persons", ())))
        ),
    )


def _columns(
    stored_events: Sequence[StoredEvent],
) -> tuple[Uuids, Bigints, Texts, Byteas]:
    return (
        Uuids(_stream_id(event.originator_id) for event in stored_events),
        Bigints(event.originator_version for event in stored_events),
        Texts(event.topic for event in stored_events),
        Byteas(event.state for event in stored_events),
    )


def _stream_id(originator_id: UUID | str) -> UUID:
    if isinstance(originator_id, UUID):
        return originator_id
    try:
        return UUID(originator_id)
    except ValueError:
        raise ProgrammingError("a stream is named by a UUID") from None


_OF_TOPICS = sql.SQL(
    "SELECT {} FROM ledger.events WHERE position > %s AND position <= %s AND topic = ANY(%s)"
    " ORDER BY position LIMIT %s"
).format(COLUMNS)


def _select_of_topics(
    connection: Connection, after: int, up_to: int, limit: int, topics: Sequence[str]
) -> list[Notification]:
    cursor = connection.cursor(binary=True)
    cursor.execute(_OF_TOPICS, (after, up_to, list(topics), limit))
    return [
        Notification(stream, version, topic, payload, position)
        for position, stream, version, topic, payload, *_ in cast(
            "list[tuple[int, UUID, int, str, bytes]]", cursor.fetchall()
        )
    ]
