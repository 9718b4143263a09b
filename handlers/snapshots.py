"""How much an answer knows, and moments at which read models stand still to be asked (X4)."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Signal
from time import monotonic

from psycopg import Connection, IsolationLevel

from handlers.faults import DeadlinePassed, PositionBeyondHead
from handlers.store.database import Database, reachable
from handlers.store.reader import head
from projections.projection import Projection

__all__ = ["ANYTHING", "Knowledge", "Snapshots"]

DEADLINE_SECONDS = 5.0
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How much an answer has to know.

    Attributes:
        at_least: a position that the answer has to know, such as that of a receipt (X4).
        deadline_seconds: how long to wait for it.
    """

    at_least: int = 0
    deadline_seconds: float = DEADLINE_SECONDS


ANYTHING = Knowledge()


class Snapshots:
    """Looks at read models, all at one moment.

    Args:
        database: in the application's role.
        catch_up: brings the read models up to the log before a look; None where a projector
            runs beside, and looks wait for it.
    """

    def __init__(self, database: Database, *, catch_up: Callable[[], object] | None = None) -> None:
        self._database = database
        self._catch_up = catch_up

    @contextmanager
    def of(
        self, projection: type[Projection], knowledge: Knowledge, *others: type[Projection]
    ) -> Generator[tuple[Connection, int]]:
        """A transaction in which read models stand still, and what all of them know.

        Raises:
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        self.catch_up()
        deadline = monotonic() + knowledge.deadline_seconds
        while True:
            for each in (projection, *others):
                self.wait_for(each, knowledge, deadline)
            with self._standing_still(projection, *others) as (connection, position):
                # Somebody may have begun to rebuild it just now; then it is waited for anew.
                if position >= knowledge.at_least:
                    yield connection, position
                    return

    def catch_up(self) -> None:
        """Brings the read models up to the log, where nobody else does."""
        if self._catch_up is not None:
            self._catch_up()

    @contextmanager
    def _standing_still(self, *projections: type[Projection]) -> Generator[tuple[Connection, int]]:
        with reachable(), self._database.connection() as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            try:
                with connection.transaction():
                    # Before the first look, which is the one that all others see: or a rebuild
                    # in between would show its empty tables beside the old position.
                    for table in (table for each in projections for table in each.tables):
                        table.keep(connection)
                    positions = [_known_position(connection, each) or 0 for each in projections]
                    yield connection, min(positions)
            finally:
                connection.isolation_level = None

    def wait_for(self, projection: type[Projection], knowledge: Knowledge, deadline: float) -> None:
        """Waits until a read model knows as much as is asked for.

        Args:
            projection: the read model.
            knowledge: how much it has to know.
            deadline: until when to wait, by the monotonic clock.

        Raises:
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``of``.
        """
        with reachable(), self._database.connection() as connection:
            if knowledge.at_least > 0 and knowledge.at_least > (known := head(connection)):
                raise PositionBeyondHead(
                    f"position {knowledge.at_least} lies beyond the head of the log, {known}",
                    remedy="Ask for a position that a receipt or an answer named.",
                )
            while True:
                position = _known_position(connection, projection)
                if position is not None and position >= knowledge.at_least:
                    return
                if monotonic() >= deadline or (position is None and knowledge.at_least <= 0):
                    raise _not_known(projection, position, knowledge)
                Signal().wait(PAUSE_SECONDS)


def _not_known(
    projection: type[Projection], position: int | None, knowledge: Knowledge
) -> DeadlinePassed:
    if position is None:
        return DeadlinePassed(
            f"{projection.name} knows nothing yet: no projector has run here",
            remedy="Run: acta project, or once: acta project --once",
        )
    return DeadlinePassed(
        f"{projection.name} knows up to position {position}, not {knowledge.at_least},"
        f" after {knowledge.deadline_seconds:g} seconds",
        remedy="See that acta project runs, or give it more time with --deadline.",
    )


def _known_position(connection: Connection, projection: type[Projection]) -> int | None:
    """Up to where a read model of this version knows; None before its tables are first made."""
    row = connection.execute(
        "SELECT position FROM projections.positions WHERE name = %s AND version = %s",
        (projection.name, projection.version),
    ).fetchone()
    return int(row[0]) if row else None
