"""Read model of access: the facts that answers rest on, by account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from psycopg import Connection

from domain.access import (
    AccessFact,
    AccessFactKind,
    Obstacle,
    access_fact,
    content_obstacles,
    weigh_content,
)
from domain.event import EventOfAccount, Recorded
from projections.projection import Projection, Table

__all__ = ["Access", "ContentAnswer", "Evidence", "content_answer"]


class Access(Projection):
    """A row for each event that means something for access (X3)."""

    name: ClassVar[str] = "access"
    version: ClassVar[int] = 1
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "access_facts",
            {
                "account": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "event_id": "uuid NOT NULL",
                "topic": "text NOT NULL",
                "person": "uuid NOT NULL",
                "fact": "text NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "starts_at": "timestamptz",
                "ends_at": "timestamptz",
            },
            key=("account", "position"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the facts of a batch."""
        self.tables[0].insert(
            connection,
            (
                (
                    event.account,
                    entry.position,
                    entry.event_id,
                    event.TOPIC,
                    event.person,
                    fact.kind.value,
                    fact.occurred_at,
                    fact.starts_at,
                    fact.ends_at,
                )
                for entry in batch
                if isinstance(event := entry.event, EventOfAccount)
                and (fact := access_fact(event)) is not None
            ),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """An event that an answer rests on."""

    position: int
    event_id: UUID
    topic: str


@dataclass(frozen=True, slots=True)
class ContentAnswer:
    """Whether an account has access to content at an instant, and why (X1 to X3).

    Attributes:
        obstacles: the rules in the way, in the order in which a person would clear them; none
            where the answer is yes.
        evidence: the events that the answer rests on.
        position: the position of the log up to which the answer knows.
    """

    account: UUID | None
    person: UUID | None
    at: datetime
    obstacles: tuple[Obstacle, ...]
    evidence: tuple[Evidence, ...]
    position: int

    @property
    def allowed(self) -> bool:
        """Yes or no."""
        return not self.obstacles


_FACTS = """
    SELECT position, event_id, topic, person, fact, occurred_at, starts_at, ends_at
    FROM projections.access_facts WHERE account = %s ORDER BY position
"""


def content_answer(
    connection: Connection, account: UUID | None, at: datetime, *, position: int
) -> ContentAnswer:
    """Answers for one account, from the facts alone.

    Args:
        connection: in a transaction in which the projection is at ``position``.
        account: the account; None where nobody is meant, which is a no.
        at: the instant.
        position: up to which the facts are known.
    """
    rows = connection.cursor(binary=True).execute(_FACTS, (account,)).fetchall()
    facts = [AccessFact(AccessFactKind(row[4]), *row[5:]) for row in rows]
    weighed = weigh_content(facts, at)
    return ContentAnswer(
        account=account,
        person=rows[0][3] if rows else None,
        at=at,
        obstacles=content_obstacles(weighed.facts),
        evidence=tuple(Evidence(*rows[place][:3]) for place in weighed.evidence),
        position=position,
    )
