"""What a read model does with an event that it cannot apply: it parks that stream alone (X6).

The projector applies whole batches and looks at nothing here until one fails, or holds a decision
about a parked stream. Then the batch is applied anew with this care, which finds the events.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg import Connection

from domain.event import Recorded, event_classes
from domain.operations import OPERATIONS, OperationsFact, ParkedEventSkipped, ParkedStreamRetried
from handlers.faults import DatabaseUnavailable, DatabaseVersion
from handlers.store.mapper import to_recorded
from handlers.store.reader import Row, read_stream
from projections.parked import ParkedStream, park, parked_streams, unpark
from projections.projection import Projection

__all__ = ["Careful", "Held", "Skipped", "Unreadable", "is_decision", "is_the_events"]

EVENTS_FAULTS = ("21", "22", "23", "54", "P0")
"""Classes of SQL errors that follow from values: all others are the database's own affair."""


_DECISIONS = f"{OperationsFact.AGGREGATE}."


class Unreadable(Exception):  # noqa: N818  the kind of fault, as acta parked names it
    """This program knows no such event, or cannot read what stands there."""


def is_the_events(error: Exception) -> bool:
    """Whether an event is to blame: waiting, room or rights would not mend it."""
    if isinstance(error, psycopg.Error):
        if error.sqlstate is not None:
            return error.sqlstate[:2] in EVENTS_FAULTS
        return isinstance(error, psycopg.DataError | psycopg.ProgrammingError)
    return not isinstance(error, DatabaseUnavailable | OSError | MemoryError)


def is_decision(row: Row) -> bool:
    """Whether somebody decided about a parked stream there; asked of every row of the log."""
    return row.topic.startswith(_DECISIONS)


class Held(dict[str, dict[UUID, int]]):
    """By read model, the parked streams, with the position of the event that was not applied."""

    @classmethod
    def of(cls, connection: Connection, names: Iterable[str]) -> "Held":
        """Those of some read models."""
        held = cls({name: {} for name in names})
        for parked in parked_streams(connection, held):
            held[parked.projection][parked.stream] = parked.position
        return held


class Skipped:
    """By read model, the ids of the events that are to be left out.

    All that are known, also where the decision stands further on in the log: a rebuild leaves them
    out at once, and does not park what was decided long ago.
    """

    def __init__(self) -> None:
        self._events: dict[str, set[UUID]] = {}
        self._known_up_to = 0

    def learn(self, connection: Connection) -> None:
        """Reads the decisions that are new."""
        for row in read_stream(connection, OPERATIONS, first=self._known_up_to + 1):
            match _decision(row):
                case ParkedEventSkipped() as skipped:
                    self.of(skipped.projection).add(skipped.skipped_event)
                case _:
                    pass
            self._known_up_to = row.position

    def of(self, name: str) -> set[UUID]:
        """Those that one read model leaves out."""
        return self._events.setdefault(name, set())


class _Entry(NamedTuple):
    """A row of the log, and the event in it unless it cannot be read."""

    row: Row
    recorded: Recorded | None

    @classmethod
    def of(cls, row: Row) -> "_Entry | None":
        """None for what belongs to another application that shares the log."""
        try:
            recorded = to_recorded(row)
        except DatabaseVersion:
            return cls(row, None)
        return None if recorded is None else cls(row, recorded)


class Careful:
    """Applies rows of the log and parks the streams of which an event cannot be applied.

    Args:
        connection: in the transaction in which the positions move.
        projections: the read models, by name.
        positions: up to where each of them knows.
        held: what is parked already.
        skipped: what is to be left out.

    Attributes:
        parked: what was parked on the way.
    """

    def __init__(
        self,
        connection: Connection,
        projections: Mapping[str, Projection],
        positions: Mapping[str, int],
        held: Held,
        skipped: Skipped,
    ) -> None:
        self.parked: list[ParkedStream] = []
        self._connection = connection
        self._projections = projections
        self._positions = positions
        self._held = held
        self._skipped = skipped

    def apply(self, rows: Sequence[Row]) -> None:
        """Applies rows in the order of the log, decisions about parked streams in their place."""
        start = 0
        for end, row in enumerate(rows, start=1):
            if end == len(rows) or is_decision(row):
                entries = _entries(rows[start:end])
                for name, position in self._positions.items():
                    self._settle(name, [each for each in entries if each.row.position > position])
                    if row.position > position:
                        self._obey(name, row)
                start = end

    def _settle(self, name: str, entries: Sequence[_Entry]) -> None:
        """Applies what can be applied: all at once, or else one half and then the other."""
        due = [entry for entry in entries if self._is_due(name, entry)]
        if not due:
            return
        try:
            with self._connection.transaction():
                events = [_readable(entry) for entry in due]
                self._projections[name].apply(events, self._connection)
        except Exception as error:
            if not is_the_events(error):
                raise
            if len(due) == 1:
                self._park(name, due[0].row, error)
                return
            middle = len(due) // 2
            self._settle(name, due[:middle])
            self._settle(name, due[middle:])

    def _is_due(self, name: str, entry: _Entry) -> bool:
        if entry.row.stream in self._held[name] or entry.row.event_id in self._skipped.of(name):
            return False
        return entry.recorded is not None or _may_concern(self._projections[name], entry.row)

    def _park(self, name: str, row: Row, error: Exception) -> None:
        parked = ParkedStream(
            projection=name,
            stream=row.stream,
            position=row.position,
            event_id=row.event_id,
            topic=row.topic,
            fault=type(error).__name__,
            subjects=_subjects(self._connection, row),
            recorded_at=row.recorded_at,
        )
        park(self._connection, parked)
        self._held[name][row.stream] = row.position
        self.parked.append(parked)

    def _obey(self, name: str, row: Row) -> None:
        """Applies what was held back up to a decision; what fails again is parked again."""
        decision = _decision(row) if is_decision(row) else None
        if decision is None or decision.projection != name:
            return
        first = self._held[name].pop(decision.parked_stream, None)
        if first is None:
            return
        unpark(self._connection, name, decision.parked_stream)
        held_back = read_stream(
            self._connection, decision.parked_stream, first=first, last=row.position
        )
        self._settle(name, _entries(held_back))


def _entries(rows: Iterable[Row]) -> list[_Entry]:
    return [entry for row in rows if (entry := _Entry.of(row)) is not None]


def _readable(entry: _Entry) -> Recorded:
    if entry.recorded is None:
        raise Unreadable
    return entry.recorded


def _decision(row: Row) -> ParkedStreamRetried | ParkedEventSkipped | None:
    """None for one that cannot be read; it is parked like any other."""
    entry = _Entry.of(row)
    event = None if entry is None or entry.recorded is None else entry.recorded.event
    return event if isinstance(event, ParkedStreamRetried | ParkedEventSkipped) else None


def _may_concern(projection: Projection, row: Row) -> bool:
    """In doubt it does: an aggregate that nobody knows could mean anything."""
    aggregate, _, _ = row.topic.partition(".")
    if projection.aggregates is None or aggregate in projection.aggregates:
        return True
    return aggregate not in {known.AGGREGATE for known in event_classes()}


def _subjects(connection: Connection, row: Row) -> list[UUID]:
    """Whom the stream is about: by the event, and by the first of the stream."""
    first = read_stream(connection, row.stream, first=0, last=row.position)[:1]
    named = (_named(each.payload) for each in (row, *first))
    return sorted({subject for each in named for subject in each})


def _named(payload: bytes) -> set[UUID]:
    """The account and the person that a payload names, however much of it cannot be read."""
    try:
        facts = json.loads(payload)
    except ValueError:
        return set()
    named: set[UUID] = set()
    for field in ("account", "person"):
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            named.add(UUID(facts[field]))
    return named
