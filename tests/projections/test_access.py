"""Access to content: yes or no, why, and up to where that is known (X1 to X3)."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.access import CLOSED, ENDED, LAPSED, NEVER_PAID, NO_ACCOUNT, SUSPENDED, Obstacle
from domain.account import (
    ErasePerson,
    ReinstateAccount,
    SuspendAccount,
    SuspensionReason,
)
from domain.subscription import (
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    ResumeSubscription,
)
from handlers.ledger import Receipt
from projections.access import ContentAnswer
from tests.handlers.stories import ANA, BEGINNING, MANAGER, SYSTEM, Member, Story, noon

INSTANT = timedelta(microseconds=1)
LAST_DAY = noon(2026, 2, 27)
FIRST_UNPAID = datetime(2026, 2, 28, 3, tzinfo=UTC)
"""Midnight in Santiago after the last day that a payment of 31 January pays for."""


def check(story: Story, member: Member, at: datetime) -> ContentAnswer:
    """The answer of a ledger that knows everything, whose evidence is in the log."""
    story.acta.projector.catch_up()
    answer = story.acta.queries.check(member.who, "content", at)
    logged = {entry.event_id: entry for entry in story.events()}
    for evidence in answer.evidence:
        entry = logged[evidence.event_id]
        assert (evidence.position, evidence.topic) == (entry.position, entry.event.TOPIC)
        assert entry.event.occurred_at <= at
    assert answer.position == max(entry.position for entry in logged.values())
    return answer


def obstacles(story: Story, member: Member, at: datetime) -> list[Obstacle]:
    """What stands in the way."""
    answer = check(story, member, at)
    assert answer.allowed == (not answer.obstacles)
    for obstacle in answer.obstacles:
        assert obstacle.remedy
        assert obstacle.contact
    return list(answer.obstacles)


def facts(answer: ContentAnswer) -> list[str]:
    """The names of the events that an answer rests on."""
    return [evidence.topic.split(".")[1] for evidence in answer.evidence]


def suspend(story: Story, member: Member, *, at: datetime = BEGINNING) -> Receipt:
    """An account manager suspends an account."""
    reason = SuspensionReason.MISUSE
    return story.ask(SuspendAccount(at=at, account=member.who, reason=reason), MANAGER)


# ---------------------------------------------------------------- yes, and what it rests on


@pytest.mark.rule("X1", "X3", "S3")
def test_a_yes_names_the_registration_and_the_payment(story: Story) -> None:
    """And whose account it is, when it is asked about, and up to where that is known."""
    member = story.subscriber()
    answer = check(story, member, BEGINNING)
    assert answer.allowed
    assert facts(answer) == ["UserRegistered", "PaymentCaptured"]
    assert (answer.account, answer.person, answer.at) == (member.account, member.person, BEGINNING)


@pytest.mark.rule("X3", "A10")
def test_a_yes_after_a_suspension_names_the_reinstatement(story: Story) -> None:
    """It is that, and not the payment alone, on which the yes rests."""
    member = story.subscriber()
    suspend(story, member)
    reinstating = ReinstateAccount(
        at=BEGINNING, account=member.who, reason=SuspensionReason.RESOLVED
    )
    story.ask(reinstating, MANAGER)
    answer = check(story, member, BEGINNING)
    assert facts(answer) == ["UserRegistered", "PaymentCaptured", "AccountReinstated"]
    assert answer.allowed


@pytest.mark.rule("X1", "X3")
def test_a_yes_names_the_payment_for_that_instant(story: Story) -> None:
    """Of two payments, the one whose period it falls in."""
    member = story.subscriber()
    second = story.pay(member, at=noon(2026, 2, 20))
    answer = check(story, member, noon(2026, 3, 15))
    assert answer.allowed
    assert second.events[0].event_id in {evidence.event_id for evidence in answer.evidence}
    assert len(answer.evidence) == 2


# ---------------------------------------------------------------- no, and what to do


@pytest.mark.rule("X2", "A1")
def test_without_an_account_there_is_nothing_to_rest_on(story: Story) -> None:
    """Nobody has registered with that address."""
    story.subscriber()
    story.acta.projector.catch_up()
    answer = story.acta.queries.check("nobody@example.com", "content", BEGINNING)
    assert (answer.obstacles, answer.evidence, answer.account) == ((NO_ACCOUNT,), (), None)
    assert answer.position == story.acta.store.head()


@pytest.mark.rule("X2", "X3", "S3")
def test_before_any_payment(story: Story) -> None:
    """Every step but the payment opens nothing."""
    member = story.about_to_pay()
    answer = check(story, member, BEGINNING)
    assert answer.obstacles == (NEVER_PAID,)
    assert facts(answer) == ["UserRegistered"]


@pytest.mark.rule("X2", "X3", "A10")
def test_while_suspended(story: Story) -> None:
    """Though it is paid."""
    member = story.subscriber()
    suspend(story, member)
    answer = check(story, member, BEGINNING)
    assert answer.obstacles == (SUSPENDED,)
    assert facts(answer) == ["UserRegistered", "PaymentCaptured", "AccountSuspended"]


@pytest.mark.rule("X2", "X3", "A10")
def test_once_closed(story: Story) -> None:
    """Though it is paid, and whatever else there is."""
    member = story.subscriber()
    suspend(story, member)
    story.close(member)
    answer = check(story, member, BEGINNING)
    assert answer.obstacles == (CLOSED,)
    assert "AccountClosed" in facts(answer)


@pytest.mark.rule("X2", "A10", "A11")
def test_once_erased(story: Story) -> None:
    """The facts stay, and say that it is closed."""
    member = story.subscriber()
    story.ask(ErasePerson(at=BEGINNING, account=member.who), member.itself)
    answer = check(story, member, BEGINNING)
    assert answer.obstacles == (CLOSED,)
    assert "PersonErased" in facts(answer)


@pytest.mark.rule("X2", "X3", "S4")
def test_after_an_ending(story: Story) -> None:
    """Access lasts to the end of what is paid, and the no rests on the ending."""
    member = story.subscriber()
    story.ask(EndSubscription(at=BEGINNING, account=member.who), member.itself)
    assert obstacles(story, member, LAST_DAY) == []
    answer = check(story, member, FIRST_UNPAID)
    assert answer.obstacles == (ENDED,)
    assert facts(answer) == ["UserRegistered", "PaymentCaptured", "SubscriptionEnded"]


@pytest.mark.rule("X2", "S4")
def test_after_an_ending_that_was_taken_back(story: Story) -> None:
    """Then it ran out as any other."""
    member = story.subscriber()
    story.ask(EndSubscription(at=BEGINNING, account=member.who), member.itself)
    story.ask(ResumeSubscription(at=LAST_DAY, account=member.who), member.itself)
    assert obstacles(story, member, FIRST_UNPAID) == [LAPSED]


@pytest.mark.rule("X2", "X3", "S5")
def test_after_a_lapse(story: Story) -> None:
    """Whether or not the lapse has been recorded."""
    member = story.subscriber()
    assert obstacles(story, member, FIRST_UNPAID) == [LAPSED]
    story.ask(LapseSubscription(at=FIRST_UNPAID, account=member.who), SYSTEM)
    answer = check(story, member, FIRST_UNPAID)
    assert answer.obstacles == (LAPSED,)
    assert facts(answer) == ["UserRegistered", "PaymentCaptured", "SubscriptionLapsed"]


@pytest.mark.rule("X2")
def test_both_in_the_order_in_which_they_are_cleared(story: Story) -> None:
    """Whoever is suspended and has not paid is told both, each with its own contact."""
    member = story.subscriber()
    suspend(story, member)
    told = obstacles(story, member, FIRST_UNPAID)
    assert told == [SUSPENDED, LAPSED]
    assert told[0].contact != told[1].contact


# ---------------------------------------------------------------- instants


@pytest.mark.rule("X1", "S5")
def test_the_boundaries_of_a_period_in_santiago(story: Story) -> None:
    """From the payment on, and up to the last instant of the last day there."""
    member = story.subscriber()
    assert obstacles(story, member, BEGINNING - INSTANT) == [NO_ACCOUNT]
    assert obstacles(story, member, BEGINNING) == []
    assert obstacles(story, member, FIRST_UNPAID - INSTANT) == []
    assert obstacles(story, member, FIRST_UNPAID) == [LAPSED]


@pytest.mark.rule("X1", "S5")
def test_a_day_that_begins_at_one_oclock(story: Story) -> None:
    """On 6 September 2026 Chile's clocks go from midnight to one: the day begins there."""
    member = story.subscriber(at=noon(2026, 8, 6))
    boundary = datetime(2026, 9, 6, 4, tzinfo=UTC)
    assert obstacles(story, member, boundary - INSTANT) == []
    assert obstacles(story, member, boundary) == [LAPSED]


@pytest.mark.rule("X1", "S5")
def test_consecutive_periods_leave_no_gap(story: Story) -> None:
    """The last instant of the one and the first of the other."""
    member = story.subscriber()
    story.pay(member, at=noon(2026, 2, 20))
    assert obstacles(story, member, FIRST_UNPAID - INSTANT) == []
    assert obstacles(story, member, FIRST_UNPAID) == []


@pytest.mark.rule("X1", "S3", "A6")
def test_between_two_periods(story: Story) -> None:
    """After a lapse there is no access until the next payment, and that does not reach back."""
    member = story.subscriber()
    later = noon(2026, 5, 10)
    story.ask(ReactivateSubscription(at=later, account=member.who), member.itself)
    story.take_steps(member, at=later)
    story.pay(member, at=later)
    assert obstacles(story, member, LAST_DAY) == []
    assert obstacles(story, member, noon(2026, 4, 1)) == [LAPSED]
    assert obstacles(story, member, later - INSTANT) == [LAPSED]
    assert obstacles(story, member, later) == []


@pytest.mark.rule("X1", "A10")
def test_an_instant_before_the_suspension(story: Story) -> None:
    """What happened later changes nothing of it."""
    member = story.subscriber()
    suspend(story, member, at=noon(2026, 2, 10))
    assert obstacles(story, member, noon(2026, 2, 9)) == []
    assert obstacles(story, member, noon(2026, 2, 10)) == [SUSPENDED]


@pytest.mark.rule("X1", "X3", "S3")
def test_a_payment_recorded_late(story: Story) -> None:
    """It changes what is true of that time; the answer before knew less, and says so."""
    member = story.about_to_pay()
    asked_about = noon(2026, 2, 3)
    before = check(story, member, asked_about)
    assert before.obstacles == (NEVER_PAID,)
    receipt = story.pay(member, at=noon(2026, 2, 1))
    after = check(story, member, asked_about)
    assert after.allowed
    assert before.position < receipt.position <= after.position
    assert obstacles(story, member, BEGINNING) == [NEVER_PAID]


@pytest.mark.rule("X1", "A5")
def test_asked_by_whichever_name(story: Story) -> None:
    """An e-mail in any spelling, the person, or the account: one answer."""
    member = story.subscriber()
    story.acta.projector.catch_up()
    answers = {
        story.acta.queries.check(who, "content", BEGINNING)
        for who in (ANA, ANA.upper(), f"person:{member.person}", member.who)
    }
    assert len(answers) == 1
