"""Reads the log in commit order and skips nothing, whoever is writing (decision 4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection, sql

__all__ = [
    "CarriedRow", "Lag", "Row", "event_id_at", "head", "lag_behind", "read_carried", "read_rows",
    "read_stream", "settled_position",
]  # fmt: skip


class Row(NamedTuple):
    """An event as it is stored."""

    position: int
    stream: UUID
    version: int
    topic: str
    payload: bytes
    event_id: UUID
    recorded_at: datetime
    actor_kind: str
    actor_id: UUID | None
    command_id: UUID | None
    correlation_id: UUID | None
    causation_id: UUID | None


COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in Row._fields)


def settled_position(connection: Connection) -> int:
    """A position up to which every event is there for whoever reads from now on.

    It notes the last position given out, and waits for the writers that are seen to hold
    positions: as each commits or fails, its lock goes. Writers that come later are not waited
    for, since they draw later positions. A writer left idle is ended by the server.

    The connection must be in autocommit: a snapshot taken earlier would miss what was waited for.
    """
    row = connection.execute(
        "SELECT last_value, is_called FROM ledger.positions", binary=True
    ).fetchone()
    last, called = row or (0, False)
    if not called:
        return 0
    for (pid,) in connection.execute("SELECT pid FROM ledger.writers").fetchall():
        # Queues behind that one writer's lock alone, and so delays nobody else.
        connection.execute("SELECT pg_advisory_xact_lock_shared(1633907809, %s)", (pid,))
    return int(last)


def head(connection: Connection) -> int:
    """The position of the last event that can be seen; 0 for an empty log."""
    row = connection.execute("SELECT max(position) FROM ledger.events").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


_BETWEEN = sql.SQL(
    "SELECT {} FROM ledger.events WHERE position > %s AND position <= %s ORDER BY position LIMIT %s"
).format(COLUMNS)
STRETCH = 1000


def read_rows(connection: Connection, *, after: int, up_to: int, limit: int) -> Sequence[Row]:
    """Events behind one position up to another, which must be settled; at most ``limit``.

    Asked for stretch by stretch: whatever the server believes of a log that grew just now, it
    never sorts all of it for the sake of a few.
    """
    cursor = connection.cursor(binary=True)
    rows: list[Row] = []
    while after < up_to and len(rows) < limit:
        wanted = limit - len(rows)
        until = min(up_to, after + max(wanted, STRETCH))
        rows += map(Row._make, cursor.execute(_BETWEEN, (after, until, wanted)).fetchall())
        after = until
    return rows


_OF_STREAM = sql.SQL(
    "SELECT {} FROM ledger.events WHERE stream = %s AND position >= %s AND position <= %s"
    " ORDER BY version"
).format(COLUMNS)


def read_stream(
    connection: Connection, stream: UUID, *, first: int, last: int = 2**63 - 1
) -> Sequence[Row]:
    """Events of one stream from one position to another, both included."""
    cursor = connection.cursor(binary=True)
    return list(map(Row._make, cursor.execute(_OF_STREAM, (stream, first, last)).fetchall()))


class CarriedRow(NamedTuple):
    """An event as the relay carries it: nothing is opened, and ids are text."""

    position: int
    stream: str
    version: int
    topic: str
    payload: bytes
    event_id: str
    recorded_at: datetime
    command_id: str | None
    correlation_id: str | None


_CARRIED = """
SELECT position, stream::text, version, topic, payload, event_id::text, recorded_at,
       command_id::text, correlation_id::text
FROM (
    SELECT *, sum(octet_length(payload))
              OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) - octet_length(payload) AS before
    FROM ledger.events WHERE position > %s AND position <= %s
) AS measured
WHERE before < %s
ORDER BY position
"""


def read_carried(
    connection: Connection, *, after: int, up_to: int, limit_bytes: int
) -> Sequence[CarriedRow]:
    """Events behind one position up to another, which must be settled and near.

    No further one comes once the payloads of those before it have ``limit_bytes``.
    """
    cursor = connection.cursor(binary=True)
    cursor.execute(_CARRIED, (after, up_to, limit_bytes))
    return [CarriedRow._make(row) for row in cursor.fetchall()]


def event_id_at(connection: Connection, position: int) -> str | None:
    """The id of the event at a position; None if none is there."""
    row = connection.execute(
        "SELECT event_id::text FROM ledger.events WHERE position = %s", (position,)
    ).fetchone()
    return str(row[0]) if row else None


class Lag(NamedTuple):
    """How far whoever knows the log up to some position is behind its head.

    Attributes:
        events: counted in positions, of which those of failed writes stay empty.
        seconds: how long the oldest event behind the position has been in the log.
    """

    head: int
    events: int
    seconds: float


def lag_behind(connection: Connection, position: int) -> Lag:
    """How far a position is behind the head of the log, now."""
    row = connection.execute(
        "SELECT (SELECT max(position) FROM ledger.events),"
        " (SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8"
        " FROM ledger.events WHERE position > %s ORDER BY position LIMIT 1)",
        (position,),
    ).fetchone()
    last, seconds = row or (None, None)
    return Lag(last or 0, max(0, (last or 0) - position), max(0.0, seconds or 0.0))
