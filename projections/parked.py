"""Streams that read models could not apply, and whom that leaves in doubt (X6).

A read model stops applying a stream at the event that it cannot apply, and goes on with all others.
The events behind stay in the log, until somebody has the stream tried again or the event skipped.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from projections.projection import Projection

__all__ = [
    "ParkedStream", "hold_still", "is_degraded", "park", "parked_among", "parked_at",
    "parked_streams", "unpark",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParkedStream:
    """A stream that a read model stopped applying.

    Attributes:
        projection: the read model.
        position: of the event that it could not apply; ``event_id`` and ``topic`` are that event's.
        fault: the kind of fault, without any value.
        subjects: the account and the persons whom the stream is known to be about.
        recorded_at: when the event was recorded.
    """

    projection: str
    stream: UUID
    position: int
    event_id: UUID
    topic: str
    fault: str
    subjects: list[UUID]
    recorded_at: datetime


_COLUMNS = "projection, stream, position, event_id, topic, fault, subjects, recorded_at"


def parked_among(
    connection: Connection,
    projection: type[Projection],
    *,
    streams: Collection[UUID],
    subjects: Collection[UUID],
) -> tuple[ParkedStream, ...]:
    """The parked streams that an answer of a read model could have rested on.

    Args:
        connection: in the transaction in which the answer is given.
        projection: the read model.
        streams: those in which its evidence could stand: accounts, subscriptions, plans, contracts.
        subjects: the account and the person asked about; they tell of parked streams whose id
            nobody knows, such as an invitation's. Not plans or contracts: those are matched by
            their streams alone, or one member's fault would be everybody's.
    """
    cursor = connection.cursor(binary=True, row_factory=class_row(ParkedStream))
    cursor.execute(
        f"SELECT {_COLUMNS} FROM projections.parked WHERE projection = %s"  # noqa: S608  columns above
        " AND (stream = ANY(%s) OR subjects && %s::uuid[]) ORDER BY position",
        (projection.name, list(streams), list(subjects)),
    )
    return tuple(cursor.fetchall())


def is_degraded(
    connection: Connection,
    *projections: type[Projection],
    about: Collection[UUID] | None = None,
) -> bool:
    """Whether an answer may miss what a parked stream holds.

    Args:
        connection: in the transaction in which the answer is given.
        projections: the read models that it comes from.
        about: ids of the accounts, persons or plans that it is about; None for a list or a count,
            which any parked stream may be missing from.
    """
    names = [projection.name for projection in projections]
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM projections.parked WHERE projection = ANY(%(names)s)"
        " AND (%(all)s OR stream = ANY(%(about)s) OR subjects && %(about)s::uuid[]))",
        {"names": names, "all": about is None, "about": list(about or ())},
    ).fetchone()
    return row is not None and bool(row[0])


def parked_streams(
    connection: Connection, projections: Collection[str] | None = None
) -> tuple[ParkedStream, ...]:
    """All parked streams of these read models, or of all, in the order of the log."""
    cursor = connection.cursor(binary=True, row_factory=class_row(ParkedStream))
    cursor.execute(
        f"SELECT {_COLUMNS} FROM projections.parked"  # noqa: S608  columns above
        " WHERE %(names)s::text[] IS NULL OR projection = ANY(%(names)s::text[])"
        " ORDER BY position, projection",
        {"names": None if projections is None else list(projections)},
    )
    return tuple(cursor.fetchall())


def hold_still(connection: Connection, projection: str) -> None:
    """Keeps a read model as it is, neither applying nor rebuilt, until the transaction ends."""
    connection.execute("SELECT FROM projections.positions WHERE name = %s FOR SHARE", (projection,))


def parked_at(
    connection: Connection, projection: str, stream: UUID
) -> tuple[int, UUID | None, int | None]:
    """Up to where a read model knows, and the event at which it has parked a stream.

    Returns:
        The position it knows; id and position of the event, None where the stream is not parked.
    """
    row = connection.execute(
        "SELECT known.position, parked.event_id, parked.position FROM projections.positions known"
        " LEFT JOIN projections.parked ON parked.projection = known.name AND parked.stream = %s"
        " WHERE known.name = %s",
        (stream, projection),
    ).fetchone()
    return row or (0, None, None)


def park(connection: Connection, parked: ParkedStream) -> None:
    """A read model stops applying a stream."""
    connection.execute(
        "INSERT INTO projections.parked VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            parked.projection,
            parked.stream,
            parked.position,
            parked.event_id,
            parked.topic,
            parked.fault,
            parked.subjects,
            parked.recorded_at,
        ),
    )


def unpark(connection: Connection, projection: str, stream: UUID | None = None) -> None:
    """A read model applies a stream again, or all of them."""
    connection.execute(
        "DELETE FROM projections.parked"
        " WHERE projection = %(projection)s AND (%(stream)s::uuid IS NULL OR stream = %(stream)s)",
        {"projection": projection, "stream": stream},
    )
