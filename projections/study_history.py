"""Read model of study histories: a line for each study (A1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from psycopg import Connection

from domain.event import Recorded
from domain.study_history import ContentStudied
from projections.projection import Projection, Table

__all__ = ["StudyHistory", "StudyLine", "study_lines"]


class StudyHistory(Projection):
    """A row for each study."""

    name: ClassVar[str] = "study_history"
    version: ClassVar[int] = 1
    aggregates: ClassVar[frozenset[str] | None] = frozenset({"study_history"})
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "study_history",
            {
                "account": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "event_id": "uuid NOT NULL",
                "person": "uuid NOT NULL",
                "content": "text NOT NULL",
                "studied_at": "timestamptz NOT NULL",
            },
            key=("account", "position"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the studies of a batch."""
        self.tables[0].insert(
            connection,
            (
                (
                    event.account,
                    entry.position,
                    entry.event_id,
                    event.person,
                    event.content,
                    event.occurred_at,
                )
                for entry in batch
                if isinstance(event := entry.event, ContentStudied)
            ),
        )


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study."""

    position: int
    event_id: UUID
    content: str
    studied_at: datetime


def study_lines(connection: Connection, account: UUID) -> tuple[StudyLine, ...]:
    """Everything that was studied through an account, in the order of the log."""
    rows = connection.cursor(binary=True).execute(
        "SELECT position, event_id, content, studied_at FROM projections.study_history"
        " WHERE account = %s ORDER BY position",
        (account,),
    )
    return tuple(StudyLine(*row) for row in rows.fetchall())
