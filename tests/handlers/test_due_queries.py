"""Questions about what is due: the earliest first, page by page, and up to where that is known."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from domain.calendar import start_of_day
from domain.contract import ContractEnded, ContractEndReason
from domain.due import DueKind
from domain.invitation import RevokeInvitation
from domain.subscription import EndSubscription, LapseSubscription
from handlers.composition import Acta, open_ledger
from handlers.due_queries import DueLine, DueList
from handlers.faults import DeadlinePassed, PositionBeyondHead
from handlers.snapshots import Knowledge
from projections.due import DueWork
from projections.parked import ParkedStream, park
from tests.conftest import TestDatabase
from tests.handlers.stories import BEGINNING, SYSTEM, Story
from tests.projections.contract_lives import ZONE, Chronicle

SANTIAGO = "America/Santiago"
FOR_EVER = datetime(2900, 1, 1, tzinfo=UTC)
AN_INSTANT = timedelta(microseconds=1)
RENEWAL = start_of_day(date(2026, 2, 28), SANTIAGO)


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


def due(story: Story, until: datetime = FOR_EVER, kind: DueKind | None = None) -> DueList:
    """What is due, by a ledger that knows everything."""
    story.acta.projector.catch_up()
    return story.acta.due.due(until, kind=kind)


def kinds(answer: DueList) -> list[str]:
    """What is to be done, in order."""
    return [line.kind for line in answer.lines]


@pytest.mark.rule("S5", "S6")
def test_a_card_is_due_at_the_start_of_the_first_day_that_is_not_paid_for(story: Story) -> None:
    """At that instant, in its time zone, and not before."""
    member = story.subscriber()
    answer = due(story, RENEWAL)
    (line,) = answer.lines
    assert line == DueLine(
        subject=line.subject,
        aggregate="subscription",
        kind="renewal",
        at=RENEWAL,
        day=date(2026, 2, 28),
        time_zone=SANTIAGO,
        account=member.account,
        payment=None,
        refund=None,
        number=0,
    )
    assert (answer.until, answer.position) == (RENEWAL, story.acta.store.head())
    assert (answer.next_after, answer.degraded) == (None, False)
    assert due(story, RENEWAL - AN_INSTANT).lines == ()


@pytest.mark.rule("S4", "S5", "A10")
def test_what_is_on_record_is_due_no_longer(story: Story) -> None:
    """An ending turns the renewal into a lapse, and once that is recorded nothing is left."""
    member, gone = story.subscriber(), story.subscriber("otro@example.com")
    assert kinds(due(story)) == ["renewal", "renewal"]
    story.close(gone)
    story.ask(EndSubscription(at=BEGINNING, account=member.who), member.itself)
    assert kinds(due(story)) == ["lapse"]
    story.ask(LapseSubscription(at=RENEWAL, account=member.who), SYSTEM)
    assert due(story).lines == ()


@pytest.mark.rule("S10", "I6", "C3")
def test_plans_invitations_and_contracts_have_their_days_too(story: Story) -> None:
    """Each thing names what it is due of; what is over has none."""
    plan = story.institution()
    story.invite(plan.id, "ana@colegio.example.com", by=plan.director.itself)
    told = Chronicle(story.acta)
    contract = told.agree()
    of = {line.kind: line for line in due(story).lines}
    paid_by_transfer = of["lapse"]
    assert paid_by_transfer.subject == paid_by_transfer.account == plan.id
    assert of["payment_reminder"].at == paid_by_transfer.at - timedelta(days=7)
    assert of["invitation_expiry"].aggregate == "invitation"
    assert of["invitation_expiry"].at == BEGINNING + timedelta(days=14)
    assert of["contract_expiry"].subject == contract.id
    assert of["contract_expiry"].at == start_of_day(date(2027, 1, 1), ZONE)
    assert of["contract_expiry"].account is None
    mine = RevokeInvitation(at=BEGINNING, invitation="ana@colegio.example.com")
    story.ask(mine, plan.director.itself)
    reason = ContractEndReason.TERMINATED
    about = {"contract": contract.id, "person": contract.holder, "occurred_at": BEGINNING}
    told.write(contract.id, ContractEnded.model_validate({**about, "reason": reason}))
    assert set(kinds(due(story))) == {"lapse", "payment_reminder"}


def test_the_earliest_comes_first_and_one_kind_alone_where_asked(story: Story) -> None:
    later = BEGINNING + timedelta(days=5)
    story.subscriber("despues@example.com", at=later)
    story.subscriber("antes@example.com")
    story.subscriber("transferencia@example.com", months=3)
    answer = due(story)
    assert [line.at for line in answer.lines] == sorted(line.at for line in answer.lines)
    assert kinds(answer) == ["renewal", "renewal", "payment_reminder", "lapse"]
    assert kinds(due(story, kind=DueKind.LAPSE)) == ["lapse"]
    assert kinds(due(story, later, DueKind.LAPSE)) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_together_are_the_whole_list(story: Story, limit: int) -> None:
    """Also where many things are due at one instant."""
    for number in range(4):
        story.subscriber(f"persona-{number}@example.com")
    story.subscriber("transferencia@example.com", months=3)
    whole = due(story).lines
    assert len(whole) == 6
    pages = [story.acta.due.due(FOR_EVER, limit=limit)]
    while pages[-1].next_after is not None:
        pages.append(story.acta.due.due(FOR_EVER, after=pages[-1].next_after, limit=limit))
    assert [line for page in pages for line in page.lines] == list(whole)
    assert {len(page.lines) for page in pages[:-1]} <= {limit}


# ---------------------------------------------------------------- how much it knows


@pytest.mark.rule("X4")
def test_it_knows_what_it_is_asked_to_know(database: TestDatabase) -> None:
    """Nothing answers of a position that the log has not reached, or the read model not yet."""
    with open_ledger(database.settings()) as acta:
        acta.projector.catch_up()
        Story(acta).subscriber()
        head = acta.store.head()
        with pytest.raises(DeadlinePassed):
            acta.due.due(FOR_EVER, Knowledge(at_least=head, deadline_seconds=0))
        with pytest.raises(PositionBeyondHead):
            acta.due.due(FOR_EVER, Knowledge(at_least=head + 1))
        acta.projector.catch_up()
        assert acta.due.due(FOR_EVER, Knowledge(at_least=head)).position == head


@pytest.mark.rule("X6")
def test_a_list_that_may_miss_something_says_so(story: Story) -> None:
    """A parked stream could be the one of which something is due."""
    story.subscriber()
    assert not due(story).degraded
    with story.acta.database.transaction() as connection:
        parked = ParkedStream(
            projection=DueWork.name,
            stream=uuid4(),
            position=1,
            event_id=uuid4(),
            topic="subscription.SubscriptionStarted.v1",
            fault="Unreadable",
            subjects=[],
            recorded_at=BEGINNING,
        )
        park(connection, parked)
    assert due(story).degraded
