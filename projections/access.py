"""Read model of access: the facts that answers rest on, by whose they are."""

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
    administration_obstacles,
    content_obstacles,
    weigh_administration,
    weigh_content,
)
from domain.account import Role
from domain.event import Recorded
from projections.projection import Projection, Table

__all__ = ["Access", "AccessAnswer", "Evidence", "administration_answer", "content_answer"]


class Access(Projection):
    """A row for each event that means something for access (X3)."""

    name: ClassVar[str] = "access"
    version: ClassVar[int] = 2
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "access_facts",
            {
                "subject": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "event_id": "uuid NOT NULL",
                "topic": "text NOT NULL",
                "person": "uuid NOT NULL",
                "fact": "text NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "starts_at": "timestamptz",
                "ends_at": "timestamptz",
                "plan": "uuid",
                "role": "text",
            },
            key=("subject", "position"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the facts of a batch."""
        self.tables[0].insert(
            connection,
            (
                (
                    fact.subject,
                    entry.position,
                    entry.event_id,
                    entry.event.TOPIC,
                    entry.event.person,
                    fact.kind.value,
                    fact.occurred_at,
                    fact.starts_at,
                    fact.ends_at,
                    fact.plan,
                    fact.role and fact.role.value,
                )
                for entry in batch
                if (fact := access_fact(entry.event)) is not None
            ),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """An event that an answer rests on."""

    position: int
    event_id: UUID
    topic: str


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Whether a person has access to a thing at an instant, and why (X1 to X3).

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


# One array of subjects, so that the index is used however many rows there are.
_FACTS = """
    SELECT position, event_id, topic, fact, subject, occurred_at, starts_at, ends_at, plan, role
    FROM projections.access_facts
    WHERE subject = ANY(ARRAY[%(account)s, %(person)s]::uuid[]
                        || ARRAY(SELECT DISTINCT plan FROM projections.access_facts
                                 WHERE subject = %(account)s AND fact = 'role'))
    ORDER BY position
"""


def content_answer(
    connection: Connection,
    account: UUID | None,
    person: UUID | None,
    at: datetime,
    *,
    position: int,
) -> AccessAnswer:
    """Whether somebody has access to content, from the facts alone.

    Args:
        connection: in a transaction in which the projection is at ``position``.
        account: the account; None where there is none, which is a no.
        person: the person meant, who may have been invited; None where nobody is meant.
        at: the instant.
        position: up to which the facts are known.
    """
    facts, evidence = _facts(connection, account, person)
    weighed = weigh_content(facts, at, account=account)
    obstacles = content_obstacles(weighed.facts)
    resting_on = tuple(evidence[place] for place in weighed.evidence)
    return AccessAnswer(account, person, at, obstacles, resting_on, position)


def administration_answer(
    connection: Connection,
    account: UUID | None,
    person: UUID | None,
    plan: UUID,
    at: datetime,
    *,
    position: int,
) -> AccessAnswer:
    """Whether somebody may administer a plan, from the facts alone; else as ``content_answer``."""
    facts, evidence = _facts(connection, account, person)
    weighed = weigh_administration(facts, at, account=account, plan=plan)
    obstacles = administration_obstacles(weighed.facts)
    resting_on = tuple(evidence[place] for place in weighed.evidence)
    return AccessAnswer(account, person, at, obstacles, resting_on, position)


def _facts(
    connection: Connection, account: UUID | None, person: UUID | None
) -> tuple[list[AccessFact], list[Evidence]]:
    rows = (
        connection.cursor(binary=True)
        .execute(_FACTS, {"account": account, "person": person})
        .fetchall()
    )
    facts = [
        AccessFact(
            AccessFactKind(fact),
            subject,
            at,
            starts_at,
            ends_at,
            plan,
            Role(role) if role else None,
        )
        for _, _, _, fact, subject, at, starts_at, ends_at, plan, role in rows
    ]
    return facts, [Evidence(*row[:3]) for row in rows]
