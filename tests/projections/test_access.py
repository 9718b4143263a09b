"""Access: yes or no, why, and up to where that is known (X1 to X3)."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.access import (
    CLOSED,
    ENDED,
    INVITATION_EXPIRED,
    INVITATION_OPEN,
    INVITATION_REVOKED,
    LAPSED,
    NEVER_PAID,
    NO_ACCOUNT,
    NO_ADMINISTRATOR,
    NO_MEMBER,
    PLAN_ENDED,
    PLAN_LAPSED,
    PLAN_NEVER_PAID,
    REMOVED,
    SUSPENDED,
    Obstacle,
)
from domain.account import (
    ErasePerson,
    ReinstateAccount,
    Role,
    SuspendAccount,
    SuspensionReason,
)
from domain.invitation import ResendInvitation, RevokeInvitation
from domain.membership import ChangeRole, RemoveMember
from domain.subscription import (
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    ResumeSubscription,
    StartSubscription,
)
from handlers.ledger import Receipt
from projections.access import AccessAnswer
from tests.handlers.stories import (
    ANA,
    BEGINNING,
    BRUNO,
    MANAGER,
    SYSTEM,
    Member,
    Plan,
    Story,
    noon,
)

INSTANT = timedelta(microseconds=1)
LAST_DAY = noon(2026, 2, 27)
FIRST_UNPAID = datetime(2026, 2, 28, 3, tzinfo=UTC)
"""Midnight in Santiago after the last day that a payment of 31 January pays for."""


def check(story: Story, member: Member | str, at: datetime, thing: str = "content") -> AccessAnswer:
    """The answer of a ledger that knows everything, whose evidence is in the log."""
    story.acta.projector.catch_up()
    who = member if isinstance(member, str) else member.who
    answer = story.acta.queries.check(who, thing, at)
    logged = {entry.event_id: entry for entry in story.events()}
    for evidence in answer.evidence:
        entry = logged[evidence.event_id]
        assert (evidence.position, evidence.topic) == (entry.position, entry.event.TOPIC)
        assert entry.event.occurred_at <= at
    assert answer.position == max(entry.position for entry in logged.values())
    return answer


def obstacles(
    story: Story, member: Member | str, at: datetime, thing: str = "content"
) -> list[Obstacle]:
    """What stands in the way."""
    answer = check(story, member, at, thing)
    assert answer.allowed == (not answer.obstacles)
    for obstacle in answer.obstacles:
        assert obstacle.remedy
        assert obstacle.contact
    return list(answer.obstacles)


def facts(answer: AccessAnswer) -> list[str]:
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


# ---------------------------------------------------------------- content through a plan

PLAN_UNPAID = datetime(2026, 4, 30, 4, tzinfo=UTC)
"""Midnight in Santiago after the last day that three months from 31 January pay for."""


@pytest.mark.rule("X1", "X3", "S10")
def test_a_member_s_yes_names_the_registration_the_role_and_the_plan_s_payment(
    story: Story,
) -> None:
    """The member pays nothing."""
    plan = story.institution()
    member = story.join(plan, ANA)
    answer = check(story, member, BEGINNING)
    assert answer.allowed
    assert facts(answer) == ["PaymentCaptured", "UserRegistered", "RoleAssigned"]
    assert (answer.account, answer.person) == (member.account, member.person)


@pytest.mark.rule("X1", "X2", "S10")
def test_a_plan_gives_access_to_its_last_paid_instant(story: Story) -> None:
    """And to nobody before it is paid; each no says what the institution is to do."""
    plan = story.institution(paid=False)
    member = story.join(plan, ANA)
    assert obstacles(story, member, BEGINNING) == [PLAN_NEVER_PAID]
    story.pay_for(plan)
    assert obstacles(story, member, BEGINNING) == []
    assert obstacles(story, member, PLAN_UNPAID - INSTANT) == []
    assert obstacles(story, member, PLAN_UNPAID) == [PLAN_LAPSED]
    story.ask(EndSubscription(at=BEGINNING, account=plan.who), MANAGER)
    assert obstacles(story, member, PLAN_UNPAID - INSTANT) == []
    assert obstacles(story, member, PLAN_UNPAID) == [PLAN_ENDED]
    assert facts(check(story, member, PLAN_UNPAID)) == [
        "UserRegistered", "RoleAssigned", "PaymentCaptured", "SubscriptionEnded",
    ]  # fmt: skip


@pytest.mark.rule("X1", "X2", "A12")
def test_a_removed_member_has_access_up_to_that_instant(story: Story) -> None:
    """Then none, until another invitation is accepted, or an own subscription is paid."""
    plan = story.institution()
    member = story.join(plan, ANA)
    removed, back = noon(2026, 2, 10), noon(2026, 2, 12)
    director = plan.director.itself
    story.ask(RemoveMember(at=removed, account=ANA, plan=plan.id), director)
    assert obstacles(story, member, removed - INSTANT) == []
    assert obstacles(story, member, removed) == [REMOVED]
    assert facts(check(story, member, removed)) == ["UserRegistered", "MemberRemoved"]
    story.join(plan, ANA, at=back)
    assert obstacles(story, member, back - INSTANT) == [REMOVED]
    assert obstacles(story, member, back) == []


@pytest.mark.rule("X1", "A2", "A12")
def test_grants_add_up(story: Story) -> None:
    """Whoever left a plan and pays alone has access by that, whatever becomes of the plan."""
    plan = story.institution()
    member = story.join(plan, ANA)
    story.ask(RemoveMember(at=BEGINNING, account=ANA, plan=plan.id), plan.director.itself)
    story.make_ready(member)
    story.ask(StartSubscription(at=BEGINNING, account=ANA), member.itself)
    story.take_steps(member)
    story.pay(member)
    answer = check(story, member, BEGINNING)
    assert answer.allowed
    assert facts(answer) == ["UserRegistered", "PaymentCaptured"]
    assert obstacles(story, member, FIRST_UNPAID) == [REMOVED, LAPSED]


@pytest.mark.rule("X2", "A10")
def test_a_suspended_member_of_an_unpaid_plan_is_told_both(story: Story) -> None:
    """In the order in which they are cleared."""
    plan = story.institution(paid=False)
    member = story.join(plan, ANA)
    suspend(story, member)
    assert obstacles(story, member, BEGINNING) == [SUSPENDED, PLAN_NEVER_PAID]


# ---------------------------------------------------------------- whoever is invited

EXPIRY = BEGINNING + timedelta(days=14)


@pytest.mark.rule("X2", "X3", "I6", "I9")
def test_the_invited_are_told_what_became_of_the_invitation(story: Story) -> None:
    """By their address; the no rests on the invitation, and names whom to ask."""
    plan = story.institution()
    story.invite(plan.id, ANA, by=plan.director.itself)
    answer = check(story, ANA, EXPIRY - INSTANT)
    assert answer.obstacles == (INVITATION_OPEN,)
    assert (answer.account, facts(answer)) == (None, ["InvitationSent"])
    assert answer.person is not None
    assert obstacles(story, f"person:{answer.person}", EXPIRY) == [INVITATION_EXPIRED]
    assert obstacles(story, ANA, BEGINNING - INSTANT) == [NO_ACCOUNT]
    story.ask(ResendInvitation(at=noon(2026, 2, 5), invitation=ANA), plan.director.itself)
    assert facts(check(story, ANA, EXPIRY)) == ["InvitationSentAgain"]
    assert obstacles(story, ANA, EXPIRY) == [INVITATION_OPEN]


@pytest.mark.rule("X2", "I6")
def test_a_revoked_invitation_is_told_of(story: Story) -> None:
    """From that instant on."""
    plan = story.institution()
    story.invite(plan.id, ANA, by=plan.director.itself)
    revoked = noon(2026, 2, 5)
    story.ask(RevokeInvitation(at=revoked, invitation=ANA), plan.director.itself)
    assert obstacles(story, ANA, revoked) == [INVITATION_REVOKED]
    assert obstacles(story, ANA, revoked - INSTANT) == [INVITATION_OPEN]


# ---------------------------------------------------------------- administration


def administer(plan: Plan) -> str:
    """The thing to be asked about."""
    return f"plan:{plan.id}:administer"


@pytest.mark.rule("X1", "X3", "I1")
def test_an_administrator_s_yes_names_the_registration_and_the_role(story: Story) -> None:
    """Whether or not the plan is paid: it is looked after also when it has run out."""
    plan = story.institution(paid=False)
    for member in (plan.director, story.join(plan, ANA, role=Role.ADMINISTRATOR)):
        answer = check(story, member, BEGINNING, administer(plan))
        assert answer.allowed
        assert facts(answer) == ["UserRegistered", "RoleAssigned"]


@pytest.mark.rule("X2", "I1")
def test_nobody_else_administers_it(story: Story) -> None:
    """A user of the plan, an administrator of another, a subscriber, nobody."""
    plan, other = story.institution(), story.institution("otra@example.com")
    user = story.join(plan, ANA)
    subscriber = story.subscriber(BRUNO)
    assert obstacles(story, user, BEGINNING, administer(plan)) == [NO_ADMINISTRATOR]
    assert obstacles(story, other.director, BEGINNING, administer(plan)) == [NO_MEMBER]
    assert obstacles(story, subscriber, BEGINNING, administer(plan)) == [NO_MEMBER]
    assert obstacles(story, "nobody@example.com", BEGINNING, administer(plan)) == [NO_ACCOUNT]


@pytest.mark.rule("X1", "I8")
def test_a_role_counts_from_its_instant_to_the_next(story: Story) -> None:
    """Given, taken, given again, and gone with the membership."""
    plan = story.institution()
    member = story.join(plan, ANA)
    days = [noon(2026, 2, day) for day in (2, 4, 6)]
    for at, role in zip(days, (Role.ADMINISTRATOR, Role.USER, Role.ADMINISTRATOR), strict=True):
        change = ChangeRole(at=at, account=ANA, plan=plan.id, role=role)
        story.ask(change, plan.director.itself)
    gone = noon(2026, 2, 8)
    story.ask(RemoveMember(at=gone, account=ANA, plan=plan.id), plan.director.itself)
    instants = [each for at in (*days, gone) for each in (at - INSTANT, at)]
    told = [check(story, member, at, administer(plan)).allowed for at in instants]
    assert told == [False, True, True, False, False, True, True, False]
    assert obstacles(story, member, gone, administer(plan)) == [NO_MEMBER]


@pytest.mark.rule("X2", "A10")
def test_a_suspended_or_closed_administrator_administers_nothing(story: Story) -> None:
    """Though the role stays."""
    plan = story.institution()
    member = story.join(plan, ANA, role=Role.ADMINISTRATOR)
    suspend(story, member)
    answer = check(story, member, BEGINNING, administer(plan))
    assert answer.obstacles == (SUSPENDED,)
    assert facts(answer) == ["UserRegistered", "RoleAssigned", "AccountSuspended"]
    story.close(member)
    assert obstacles(story, member, BEGINNING, administer(plan)) == [CLOSED]
