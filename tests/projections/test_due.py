"""The table of what is due says what the domain says of each stream, at every event."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import Connection

from domain.account import AccountClosed, PersonErased
from domain.contract import (
    ContractExpired,
    ContractNoticeReason,
    ContractNoticeRequested,
    ContractNoticeTemplate,
    contract_decider,
)
from domain.due import Due, DueKind, due_of, due_of_contract, due_of_invitation
from domain.event import Event, Recorded
from domain.invitation import (
    InvitationNoticeReason,
    InvitationNoticeRequested,
    InvitationNoticeTemplate,
    invitation_decider,
)
from domain.streams import notice_of, subscription_of
from domain.subscription import (
    NoticeReason,
    NoticeTemplate,
    SubscriptionResumed,
    subscription_decider,
)
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from projections.due import DueLine, DueWork, due_lines
from tests.conftest import new_database
from tests.domain import contract_stories, stories
from tests.domain.contract_stories import CONTACT, LAST_DAY, MADRID, of_contract
from tests.domain.stories import BEGINNING, EXPIRY, about_invitation, noon
from tests.domain.test_refund import SECOND, refunded, requested_back

FOR_EVER = datetime(2900, 1, 1, tzinfo=UTC)
MOST_THAT_FOLLOWS = 12

# ---------------------------------------------------------------- what happens to subscriptions

FIRST_OF_APRIL = date(2025, 4, 1)
END_OF_APRIL = date(2025, 4, 30)
END_OF_MARCH = date(2025, 3, 31)
renewal = stories.requested(noon(2025, 4, 1), FIRST_OF_APRIL, END_OF_APRIL)
retry = stories.requested(noon(2025, 4, 2), FIRST_OF_APRIL, END_OF_APRIL, attempt=2)
declined = stories.charge_declined(renewal, noon(2025, 4, 1))
past_due = stories.past_due(noon(2025, 4, 1), renewal.payment)
unknown = stories.outcome_unknown(renewal.payment, noon(2025, 4, 1), date(2025, 4, 8))
ended = stories.ended(noon(2025, 3, 20), END_OF_MARCH)
reminded = stories.told(
    0, noon(2025, 5, 25), NoticeTemplate.PAYMENT_REMINDER, NoticeReason.RUNS_OUT_SOON
)
refunds = [event.model_copy(update={"refund": SECOND}) for event in (requested_back(), refunded())]
by_card, by_transfer = stories.paid(noon(2025, 3, 1)), stories.paid(noon(2025, 3, 1), months=3)

Events: TypeAlias = Sequence[Event]

BEGINNINGS_OF_SUBSCRIPTIONS: Sequence[Events] = [
    [],
    stories.steps(),
    by_card,
    by_transfer,
    [*by_card, renewal],
    [*by_card, renewal, declined, past_due],
    [*by_card, renewal, unknown],
    [*by_card, refunds[0], requested_back()],
    [*by_transfer, ended],
]
OF_SUBSCRIPTIONS: Events = [
    *(*stories.steps(months=3), stories.method_chosen(1)),
    *(renewal, retry, declined, unknown, past_due, ended, reminded, *refunds),
    stories.charge_captured(renewal, noon(2025, 4, 1)),
    stories.charge_captured(retry, noon(2025, 6, 1)),
    stories.charge_declined(retry, noon(2025, 4, 2)),
    stories.outcome_unknown(retry.payment, noon(2025, 4, 2), None),
    SubscriptionResumed(**stories.about(noon(2025, 3, 21))),
    stories.lapsed(noon(2025, 4, 9), END_OF_MARCH),
    stories.reactivated(noon(2025, 5, 1)),
    *(requested_back(), refunded()),
]
OF_ACCOUNTS: Events = [stories.password_set, stories.closed, stories.erased]

# ---------------------------------------------------------------- and to all else

BEGINNINGS_OF_INVITATIONS: Sequence[Events] = [[], [stories.invitation_sent()]]
OF_INVITATIONS: Events = [
    stories.sent_again(BEGINNING + timedelta(days=9)),
    stories.corrected(BEGINNING + timedelta(days=2)),
    stories.revoked(),
    stories.expired(),
    stories.accepted(),
    InvitationNoticeRequested(
        **about_invitation(EXPIRY - timedelta(days=7)),
        notice=notice_of(stories.INVITATION, 0),
        template=InvitationNoticeTemplate.INVITATION_REMINDER,
        reason=InvitationNoticeReason.EXPIRES_SOON,
        expires_at=EXPIRY,
    ),
]
BEGINNINGS_OF_CONTRACTS: Sequence[Events] = [
    [],
    [contract_stories.opened(), contract_stories.contact_named()],
]
OF_CONTRACTS: Events = [
    contract_stories.opened(),
    contract_stories.contact_named(),
    contract_stories.validator_named(),
    contract_stories.published(),
    contract_stories.ended(noon(2025, 6, 1)),
    contract_stories.reactivated(noon(2026, 1, 2), date(2026, 1, 3), date(2026, 6, 30)),
    ContractExpired(**of_contract(noon(2026, 1, 1)), valid_to=LAST_DAY, time_zone=MADRID),
    ContractNoticeRequested(
        **of_contract(noon(2025, 12, 25)),
        notice=notice_of(contract_stories.CONTRACT, 0),
        template=ContractNoticeTemplate.CONTRACT_ENDING,
        reason=ContractNoticeReason.RUNS_OUT_SOON,
        contact=CONTACT,
        valid_to=LAST_DAY,
        time_zone=MADRID,
    ),
]


@dataclass(frozen=True)
class Subject:
    """Something of which things are due, and the account whose it is; a plan's is the plan."""

    aggregate: str
    id: UUID
    account: UUID | None = None

    def tells(self, happened: Event) -> tuple[UUID, Event]:
        """What happens, happening here, and in which stream."""
        ids = {self.aggregate: self.id, "account": self.account}
        of_account = happened.AGGREGATE == "account"
        names = type(happened).model_fields.keys() & ids.keys()
        told = happened.model_copy(update={name: ids[name] for name in names})
        return (self.account if of_account and self.account else self.id), told


ACCOUNTS = (UUID(int=1), UUID(int=2))
PEOPLES = [Subject("subscription", subscription_of(account), account) for account in ACCOUNTS]
PLANS = Subject("subscription", UUID(int=3), UUID(int=3))
AN_INVITATION = Subject("invitation", UUID(int=4))
A_CONTRACT = Subject("contract", UUID(int=5))
SUBJECTS = [*PEOPLES, PLANS, AN_INVITATION, A_CONTRACT]

Told: TypeAlias = tuple[Subject, Event]
Log: TypeAlias = Sequence[Recorded]


def beginnings(subject: Subject, pasts: Sequence[Events]) -> "st.SearchStrategy[list[Told]]":
    """What happened to it at first."""
    return st.sampled_from(pasts).map(lambda past: [(subject, event) for event in past])


def recorded(told: Iterable[Told]) -> Log:
    """A log of what happened, in this order."""
    placed = [(number, *subject.tells(event)) for number, (subject, event) in enumerate(told, 1)]
    return [
        Recorded(
            position=number,
            stream=stream,
            version=number,
            event_id=UUID(int=number),
            recorded_at=event.occurred_at,
            actor=stories.system,
            command_id=None,
            correlation_id=None,
            causation_id=None,
            event=event,
        )
        for number, stream, event in placed
    ]


# Also in orders that no rule allows: whatever stands in the log, the table follows the domain.
what_follows = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([*PEOPLES, PLANS]), st.sampled_from(OF_SUBSCRIPTIONS)),
        st.tuples(st.sampled_from(PEOPLES), st.sampled_from(OF_ACCOUNTS)),
        st.tuples(st.just(AN_INVITATION), st.sampled_from(OF_INVITATIONS)),
        st.tuples(st.just(A_CONTRACT), st.sampled_from(OF_CONTRACTS)),
    ),
    max_size=MOST_THAT_FOLLOWS,
)
logs = st.tuples(
    *(beginnings(each, BEGINNINGS_OF_SUBSCRIPTIONS) for each in [*PEOPLES, PLANS]),
    beginnings(AN_INVITATION, BEGINNINGS_OF_INVITATIONS),
    beginnings(A_CONTRACT, BEGINNINGS_OF_CONTRACTS),
    what_follows,
).map(lambda parts: recorded([told for part in parts for told in part]))

# ---------------------------------------------------------------- what the table says


@pytest.fixture(scope="module")
def connection(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """A database with empty tables of what is due."""
    keys = tmp_path_factory.mktemp("due") / "keys"
    with new_database(server, keys) as database, connect(database.application) as opened:
        for table in DueWork.tables:
            table.create(opened)
        yield opened


@given(logs)
@pytest.mark.rule("S4", "S5", "S6", "S7", "S8", "S12", "A10", "I6", "C3")
def test_it_says_what_the_domain_says_at_every_event(connection: Connection, log: Log) -> None:
    """Of each stream by itself, with nothing left of what is due no longer."""
    with connection.transaction(force_rollback=True):
        for number, entry in enumerate(log, start=1):
            DueWork().apply([entry], connection)
            assert due_lines(connection, FOR_EVER) == by_the_domain(log[:number])


@given(logs, st.randoms(use_true_random=False))
@pytest.mark.rule("X6")
def test_neither_portions_nor_the_order_of_streams_matter(
    connection: Connection, log: Log, random: Random
) -> None:
    """An account may be closed before anything of its subscription is seen."""
    in_order = whole_tables(connection, [log])
    assert whole_tables(connection, in_portions(log, random)) == in_order
    streams = [*{entry.stream for entry in log}]
    random.shuffle(streams)
    one_by_one = [[entry for entry in log if entry.stream == stream] for stream in streams]
    assert whole_tables(connection, one_by_one) == in_order


def test_everything_that_can_be_due_is_due_in_these_stories() -> None:
    """Or the properties above would say nothing of it."""
    beginning = [
        *((PLANS, past) for past in BEGINNINGS_OF_SUBSCRIPTIONS),
        *((AN_INVITATION, past) for past in BEGINNINGS_OF_INVITATIONS),
        *((A_CONTRACT, past) for past in BEGINNINGS_OF_CONTRACTS),
    ]
    logs_of_one = [recorded([(each, event) for event in past]) for each, past in beginning]
    assert {line.kind for log in logs_of_one for line in by_the_domain(log)} == set(DueKind)


def by_the_domain(log: Log) -> tuple[DueLine, ...]:
    """What is due by the events alone."""
    lines = [
        line(subject, number, due)
        for subject in SUBJECTS
        for number, due in enumerate(due_in(log, subject))
    ]
    return tuple(sorted(lines, key=lambda each: (each.at, each.subject, each.number)))


def due_in(log: Log, subject: Subject) -> tuple[Due, ...]:
    """By the whole of its stream, and that of its account."""
    events: list[Any] = [entry.event for entry in log if entry.stream == subject.id]
    closed = any(
        isinstance(entry.event, AccountClosed | PersonErased)
        for entry in log
        if entry.stream == subject.account
    )
    match subject.aggregate:
        case "invitation":
            return due_of_invitation(invitation_decider.replay(events))
        case "contract":
            return due_of_contract(contract_decider.replay(events))
        case _:
            return due_of(subscription_decider.replay(events), closed=closed)


def line(subject: Subject, number: int, due: Due) -> DueLine:
    """As it has to stand in the table."""
    return DueLine(
        subject=subject.id,
        aggregate=subject.aggregate,
        kind=due.kind.value,
        at=due.at,
        day=due.day,
        time_zone=due.time_zone,
        account=subject.account,
        payment=due.payment,
        refund=due.refund,
        number=number,
    )


def in_portions(log: Log, random: Random) -> Iterator[Log]:
    """The same in batches of any size."""
    start = 0
    while start < len(log):
        end = start + random.randint(1, 6)
        yield log[start:end]
        start = end


def whole_tables(connection: Connection, portions: Iterable[Log]) -> list[str]:
    """Every row of both tables once these portions have been applied."""
    with connection.transaction(force_rollback=True):
        for portion in portions:
            DueWork().apply(portion, connection)
        rows = connection.execute(
            "SELECT row(work)::text FROM projections.due_work AS work"
            " UNION ALL SELECT row(known)::text FROM projections.due_subjects AS known ORDER BY 1"
        )
        return [row for (row,) in rows]
