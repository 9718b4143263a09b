"""Questions about what is due. Every answer says the position of the log up to which it knows.

An answer is degraded where it may miss what stands in a stream that the read model has parked (X6).
"""

from dataclasses import dataclass
from datetime import datetime

from domain.due import DueKind
from handlers.snapshots import ANYTHING, Knowledge, Snapshots
from projections.due import DueLine, DuePlace, DueWork, due_lines
from projections.parked import is_degraded

__all__ = ["DueLine", "DueList", "DuePlace", "DueQueries"]


@dataclass(frozen=True, slots=True)
class DueList:
    """What is due up to an instant, the earliest first.

    Attributes:
        until: that instant.
        next_after: the place behind which the next page begins; None where there is no more.
    """

    until: datetime
    lines: tuple[DueLine, ...]
    next_after: DuePlace | None
    position: int
    degraded: bool


class DueQueries:
    """Answers about what is due, in one snapshot each.

    Args:
        snapshots: the moments at which it looks.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def due(
        self,
        until: datetime,
        knowledge: Knowledge = ANYTHING,
        *,
        kind: DueKind | None = None,
        after: DuePlace | None = None,
        limit: int | None = None,
    ) -> DueList:
        """What is due up to an instant, the earliest first.

        Args:
            until: the last instant that is asked for.
            knowledge: how much the answer has to know.
            kind: things of this kind alone.
            after: the place of the last line of the page before.
            limit: how many lines at most; all where none is given.

        Raises:
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        one_more = None if limit is None else limit + 1
        with self._snapshots.of(DueWork, knowledge) as (connection, position):
            lines = due_lines(connection, until, kind=kind, after=after, limit=one_more)
            degraded = is_degraded(connection, DueWork)
        shown = lines[:limit]
        next_after = shown[-1].place if len(shown) < len(lines) else None
        return DueList(until, shown, next_after, position, degraded)
