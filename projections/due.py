"""Read model of what is due: each thing the clock has to do, and from when (S4 to S8, I6, C3).

It keeps the state of each stream as the domain folds it, trimmed of what never makes anything due,
and says of it what ``domain.due`` says. An account that is closed stands with its subscription,
whose id follows from its own: so the two streams can come in any order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import reduce
from typing import Any, ClassVar, Generic, LiteralString, TypeVar
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Json
from pydantic import TypeAdapter

from domain.account import AccountClosed, PersonErased
from domain.contract import (
    ContactNamed,
    Contract,
    ContractEnded,
    ContractExpired,
    ContractNoticeRequested,
    ContractOpened,
    ContractReactivated,
    contract_decider,
)
from domain.decider import Decider
from domain.due import Due, DueKind, due_of, due_of_contract, due_of_invitation
from domain.event import Event, EventOfAccount, Recorded
from domain.invitation import Invitation, InvitationFact, invitation_decider
from domain.streams import subscription_of
from domain.subscription import Subscription, SubscriptionFact, subscription_decider
from domain.subscription_state import RefundStanding
from projections.projection import Projection, Table

__all__ = ["DueLine", "DuePlace", "DueWork", "due_lines"]

# ---------------------------------------------------------------- tables

WORK = Table(
    "due_work",
    {
        "subject": "uuid NOT NULL",
        "aggregate": "text NOT NULL",
        "number": "int2 NOT NULL",
        "kind": "text NOT NULL",
        "due_at": "timestamptz NOT NULL",
        "day": "date NOT NULL",
        "time_zone": "text NOT NULL",
        "account": "uuid",
        "payment": "uuid",
        "refund": "uuid",
    },
    key=("subject", "number"),
    indexes=("CREATE INDEX ON projections.due_work (due_at, subject, number)",),
)
# What it has to know of each stream to go on with its events; nothing personal is in it.
SUBJECTS = Table(
    "due_subjects",
    {
        "subject": "uuid NOT NULL",
        "aggregate": "text NOT NULL",
        "account": "uuid",
        "closed": "bool NOT NULL",
        # Not jsonb, which would bring refunds into another order.
        "state": "json NOT NULL",
    },
    key=("subject",),
)


class DueWork(Projection):
    """What is due of subscriptions, invitations and contracts, now or later, as things stand."""

    name: ClassVar[str] = "due"
    version: ClassVar[int] = 1
    aggregates: ClassVar[frozenset[str] | None] = frozenset(
        {"subscription", "account", "invitation", "contract"}
    )
    tables: ClassVar[tuple[Table, ...]] = (WORK, SUBJECTS)

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Takes out what is known of the subjects of a batch, folds each once, puts it back."""
        news = _news(batch)
        if not news:
            return
        known = _taken_out(connection, news)
        subjects = [known.get(each.id, _Subject.new(each)).after(each) for each in news.values()]
        SUBJECTS.insert(connection, (subject.row() for subject in subjects))
        WORK.insert(connection, (row for subject in subjects for row in subject.work()))


# ---------------------------------------------------------------- what each stream tells

StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class _Aggregate(Generic[StateT]):
    """How what is due follows from the events of one kind of stream.

    Attributes:
        facts: the events that its state follows from.
        trimmed: the state without what makes nothing due.
        due_of: what is due by that state; the flag says that its account is closed.
    """

    name: str
    facts: tuple[type[Event], ...]
    decider: Decider[StateT, Any]
    adapter: TypeAdapter[StateT]
    trimmed: Callable[[StateT], StateT]
    due_of: Callable[[StateT, bool], tuple[Due, ...]]


def _trimmed_subscription(subscription: Subscription) -> Subscription:
    """All that grows with the payments goes, but for the refunds on their way."""
    on_their_way = {
        refund: known
        for refund, known in subscription.refunds.items()
        if known.standing is RefundStanding.REQUESTED
    }
    return replace(
        subscription,
        payer=None,
        seats=0,
        tax_document=None,
        terms=None,
        last_document_day=None,
        payments=frozenset(),
        prices=(),
        captured={},
        refunds=on_their_way,
        notices=0,
    )


SUBSCRIPTION = _Aggregate(
    name="subscription",
    facts=(SubscriptionFact,),
    decider=subscription_decider,
    adapter=TypeAdapter(Subscription),
    trimmed=_trimmed_subscription,
    due_of=lambda subscription, closed: due_of(subscription, closed=closed),
)
INVITATION = _Aggregate(
    name="invitation",
    facts=(InvitationFact,),
    decider=invitation_decider,
    adapter=TypeAdapter(Invitation),
    trimmed=lambda invitation: replace(invitation, person=None, plan=None),
    due_of=lambda invitation, _: due_of_invitation(invitation),
)
CONTRACT = _Aggregate(
    name="contract",
    # Not what is said of documents, risks and roles, which is most of what happens to one.
    facts=(
        ContractOpened,
        ContractReactivated,
        ContractEnded,
        ContractExpired,
        ContractNoticeRequested,
        ContactNamed,
    ),
    decider=contract_decider,
    adapter=TypeAdapter(Contract),
    trimmed=lambda contract: replace(contract, holder=None, required_roles=frozenset()),
    due_of=lambda contract, _: due_of_contract(contract),
)
AGGREGATES: Mapping[str, _Aggregate[Any]] = {
    each.name: each for each in (SUBSCRIPTION, INVITATION, CONTRACT)
}


@dataclass(slots=True)
class _News:
    """What a batch tells of one stream.

    Attributes:
        account: whose it is, as far as that is told.
        closed: the account was closed.
    """

    id: UUID
    aggregate: _Aggregate[Any]
    account: UUID | None
    events: list[Event] = field(default_factory=list[Event])
    closed: bool = False


def _news(batch: Iterable[Recorded]) -> dict[UUID, _News]:
    news: dict[UUID, _News] = {}
    for entry in batch:
        event = entry.event
        aggregate = AGGREGATES.get(event.AGGREGATE)
        if isinstance(event, AccountClosed | PersonErased):
            subject = subscription_of(event.account)
            told = news.setdefault(subject, _News(subject, SUBSCRIPTION, event.account))
            told.closed = True
        elif aggregate is not None and isinstance(event, aggregate.facts):
            account = event.account if isinstance(event, EventOfAccount) else None
            told = news.setdefault(entry.stream, _News(entry.stream, aggregate, account))
            told.events.append(event)
    return news


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is known of one stream."""

    id: UUID
    aggregate: _Aggregate[Any]
    account: UUID | None
    closed: bool
    state: Any

    @classmethod
    def new(cls, news: _News) -> "_Subject":
        """One of which nothing was known before."""
        initial = news.aggregate.decider.initial
        return cls(news.id, news.aggregate, news.account, closed=False, state=initial)

    def after(self, news: _News) -> "_Subject":
        """The same once all this is known of it, too."""
        state = reduce(self.aggregate.decider.evolve, news.events, self.state)
        closed = self.closed or news.closed
        return replace(self, closed=closed, state=self.aggregate.trimmed(state))

    def row(self) -> tuple[Any, ...]:
        """As it is kept."""
        state = self.aggregate.adapter.dump_json(self.state, exclude_defaults=True)
        return (self.id, self.aggregate.name, self.account, self.closed, Json(state, dumps=bytes))

    def work(self) -> Iterator[tuple[Any, ...]]:
        """A row for each thing that is due of it."""
        for number, due in enumerate(self.aggregate.due_of(self.state, self.closed)):
            what = (due.kind.value, due.at, due.day, due.time_zone)
            whom = (self.account, due.payment, due.refund)
            yield (self.id, self.aggregate.name, number, *what, *whom)


_TAKE_OUT: LiteralString = """
    WITH no_longer AS (DELETE FROM projections.due_work WHERE subject = ANY(%(subjects)s))
    DELETE FROM projections.due_subjects WHERE subject = ANY(%(subjects)s)
    RETURNING subject, aggregate, account, closed, state::text
"""


def _taken_out(connection: Connection, subjects: Iterable[UUID]) -> dict[UUID, _Subject]:
    rows = connection.cursor(binary=True).execute(_TAKE_OUT, {"subjects": list(subjects)})
    return {
        subject: _Subject(
            subject, of := AGGREGATES[aggregate], account, closed, of.adapter.validate_json(state)
        )
        for subject, aggregate, account, closed, state in rows
    }


# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class DuePlace:
    """The place of a line in the order of what is due."""

    at: datetime
    subject: UUID
    number: int


@dataclass(frozen=True, slots=True)
class DueLine:
    """Something that is to be done from an instant on.

    Attributes:
        subject: the stream that it is due of, and ``aggregate`` what that is the stream of.
        at: from when it is due; ``day`` is that day in ``time_zone``.
        account: of a subscription whose it is; of a plan's, the plan.
        payment: of a resolution and a refund, the payment that it is about.
        refund: of a refund, which one.
        number: tells things apart that are due of one subject.
    """

    subject: UUID
    aggregate: str
    kind: str
    at: datetime
    day: date
    time_zone: str
    account: UUID | None
    payment: UUID | None
    refund: UUID | None
    number: int

    @property
    def place(self) -> DuePlace:
        """Where it stands."""
        return DuePlace(self.at, self.subject, self.number)


_LINES = """
    SELECT subject, aggregate, kind, due_at AS at, day, time_zone, account, payment, refund, number
    FROM projections.due_work
    WHERE due_at <= %(until)s AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(at)s::timestamptz IS NULL
           OR (due_at, subject, number) > (%(at)s, %(subject)s::uuid, %(number)s::int2))
    ORDER BY due_at, subject, number LIMIT %(limit)s
"""


def due_lines(
    connection: Connection,
    until: datetime,
    *,
    kind: DueKind | None = None,
    after: DuePlace | None = None,
    limit: int | None = None,
) -> tuple[DueLine, ...]:
    """What is due up to an instant, the earliest first.

    Args:
        connection: to look with.
        until: the last instant that is asked for.
        kind: things of this kind alone.
        after: those behind this place alone.
        limit: how many at most.
    """
    rows = connection.cursor(binary=True, row_factory=class_row(DueLine))
    asked = {
        "until": until,
        "kind": kind and kind.value,
        "at": after and after.at,
        "subject": after and after.subject,
        "number": after and after.number,
        "limit": limit,
    }
    return tuple(rows.execute(_LINES, asked).fetchall())
