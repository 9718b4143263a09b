"""What a projection is."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, ClassVar, LiteralString
from uuid import UUID

from psycopg import Connection, sql

from domain.event import Event, Recorded
from domain.personal import Sealed, personal_fields

__all__ = ["Projection", "SealedValue", "Table", "sealed_for", "sealed_values"]


class Table:
    """A table of a read model, in the schema ``projections``.

    Args:
        name: its name.
        columns: name and type of each column, in order.
        key: the columns of its primary key.
        indexes: further statements, run once after the table is made.
    """

    def __init__(
        self,
        name: LiteralString,
        columns: Mapping[LiteralString, LiteralString],
        *,
        key: Sequence[LiteralString],
        indexes: Sequence[LiteralString] = (),
    ) -> None:
        self.name = name
        self._types = [kind.removesuffix(" NOT NULL") for kind in columns.values()]
        self._identifier = sql.Identifier("projections", name)
        self._copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            self._identifier, sql.SQL(", ").join(sql.Identifier(column) for column in columns)
        )
        defined = [
            sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
            for column, kind in columns.items()
        ]
        primary = sql.SQL("PRIMARY KEY ({})").format(
            sql.SQL(", ").join(sql.Identifier(column) for column in key)
        )
        self._create = sql.SQL("CREATE TABLE {} ({})").format(
            self._identifier, sql.SQL(", ").join([*defined, primary])
        )
        self._indexes = indexes

    def create(self, connection: Connection) -> None:
        """Makes it anew, empty, and lets analysts read it."""
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self._identifier))
        connection.execute(self._create)
        for statement in self._indexes:
            connection.execute(statement)
        connection.execute(sql.SQL("GRANT SELECT ON {} TO acta_analyst").format(self._identifier))

    def keep(self, connection: Connection) -> None:
        """Keeps it from being made anew until the transaction ends."""
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(self._identifier))

    def insert(self, connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
        """Adds rows, all in one COPY; a small batch has none for most tables."""
        coming = iter(rows)
        first = next(coming, None)
        if first is None:
            return
        with connection.cursor().copy(self._copy) as copy:
            copy.set_types(self._types)
            for row in chain([first], coming):
                copy.write_row(row)


class Projection(ABC):
    """One read model: its tables, and what each event does to them.

    Streams can be applied in any order, each in its own: a stream that had been parked comes after
    others that stand behind it in the log, and the tables must be the same (decision 26).

    Attributes:
        name: under which its position is kept.
        version: raised whenever it would read the log otherwise than before; its tables are
            then rebuilt.
        aggregates: those whose events mean something for it, all where None; an event of another
            parks nothing in it, if it cannot be read (X6).
    """

    name: ClassVar[str]
    version: ClassVar[int]
    tables: ClassVar[tuple[Table, ...]]
    aggregates: ClassVar[frozenset[str] | None] = None

    @abstractmethod
    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """What the events do to the tables, in the order of the log, each exactly once."""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A personal value, sealed; it opens only for the event and the field that it is bound to."""

    field: str
    event_id: UUID
    value: str


def sealed_for(event_id: UUID, sealed: Mapping[str, str]) -> tuple[SealedValue, ...]:
    """Values by field that are all bound to one event."""
    return tuple(SealedValue(field, event_id, value) for field, value in sealed.items())


def sealed_values(event: Event) -> dict[str, str]:
    """The personal values of an event, by field, sealed as they stand in the log, as text."""
    return {
        name: str(value)
        for name in _personal_names(type(event))
        if isinstance(value := getattr(event, name), Sealed)
    }


@cache
def _personal_names(event_type: type[Event]) -> tuple[str, ...]:
    return tuple(personal_fields(event_type))
