"""Access: yes or no, why, and up to where that is known (X1 to X3)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain import access_facts
from domain.account import (
    ErasePerson,
    ReinstateAccount,
    Role,
    SuspendAccount,
    SuspensionReason,
)
from domain.contract import (
    ContractEnded,
    ContractEndReason,
    ContractReactivated,
    RiskLinked,
    RoleFilled,
    ValidatorKind,
)
from domain.contract_link import PersonUnlinked, UnlinkReason
from domain.invitation import ResendInvitation, RevokeInvitation
from domain.membership import ChangeRole, RemoveMember
from domain.obstacles import (
    CLOSED,
    CONTRACT_ENDED,
    CONTRACT_NOT_BEGUN,
    CONTRACT_RAN_OUT,
    ENDED,
    INVITATION_EXPIRED,
    INVITATION_OPEN,
    INVITATION_REVOKED,
    LAPSED,
    LEFT_PLAN,
    NEVER_PAID,
    NO_ACCOUNT,
    NO_ACCOUNT_FOR_MODULE,
    NO_ADMINISTRATOR,
    NO_MEMBER,
    NO_RISK,
    NOT_LINKED,
    PAST_DUE,
    PLAN_ENDED,
    PLAN_LAPSED,
    PLAN_NEVER_PAID,
    REMOVED,
    SUSPENDED,
    UNKNOWN,
    UNLINKED,
    UNREAD,
    VACANT,
    Obstacle,
)
from domain.personal import Sealed
from domain.streams import contract_link_of, subscription_of
from domain.subscription import (
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    ResumeSubscription,
    StartSubscription,
)
from handlers.ledger import Receipt
from projections.access import (
    FACTS,
    Access,
    AccessAnswer,
    Administration,
    Content,
    Module,
    parse_thing,
    streams_of,
)
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
from tests.projections.charge_lives import RENEWAL, Cardholder
from tests.projections.contract_lives import ZONE, Chronicle, Worker

INSTANT = timedelta(microseconds=1)
LAST_DAY = noon(2026, 2, 27)
FIRST_UNPAID = datetime(2026, 2, 28, 3, tzinfo=UTC)
"""Midnight in Santiago after the last day that a payment of 31 January pays for."""
RENEWED_BY = datetime(2026, 3, 1, 3, tzinfo=UTC)
"""The next midnight there: until then access waits for the charge of a card (S8)."""


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
    """Then it ran out as any other, after the day on which the card would be charged anew."""
    member = story.subscriber()
    story.ask(EndSubscription(at=BEGINNING, account=member.who), member.itself)
    story.ask(ResumeSubscription(at=LAST_DAY, account=member.who), member.itself)
    assert obstacles(story, member, RENEWED_BY - INSTANT) == []
    assert obstacles(story, member, RENEWED_BY) == [LAPSED]


@pytest.mark.rule("X2", "X3", "S5")
def test_after_a_lapse(story: Story) -> None:
    """Whether or not the lapse has been recorded."""
    member = story.subscriber()
    assert obstacles(story, member, RENEWED_BY) == [LAPSED]
    story.ask(LapseSubscription(at=RENEWED_BY, account=member.who), SYSTEM)
    answer = check(story, member, RENEWED_BY)
    assert answer.obstacles == (LAPSED,)
    assert facts(answer) == ["UserRegistered", "PaymentCaptured", "SubscriptionLapsed"]


AFTER_GRACE = datetime(2026, 3, 8, 3, tzinfo=UTC)
"""Midnight in Santiago after the last try of a renewal of 28 February."""


@pytest.mark.rule("X2", "X3", "S5", "S7")
def test_what_lapsed_with_an_unknown_charge_waits_for_its_outcome(story: Story) -> None:
    """Given a lapse meanwhile; nothing can be begun anew, and that is said until it is known."""
    member = story.subscriber()
    card = Cardholder(story, member)
    card.is_charged()
    card.is_not_answered()
    story.ask(LapseSubscription(at=AFTER_GRACE, account=member.who), SYSTEM)
    answer = check(story, member, AFTER_GRACE)
    assert answer.obstacles == (UNKNOWN,)
    assert facts(answer) == [
        "UserRegistered", "PaymentCaptured", "PaymentOutcomeUnknown", "SubscriptionLapsed",
    ]  # fmt: skip
    anew = ReactivateSubscription(at=AFTER_GRACE, account=member.who)
    assert story.refusal(anew, member.itself).rule == UNKNOWN.rule
    card.is_declined(AFTER_GRACE)
    assert obstacles(story, member, AFTER_GRACE) == [LAPSED]
    story.ask(anew, member.itself)


@pytest.mark.rule("X2", "X3", "S4", "S7")
def test_what_was_ended_with_an_unknown_charge_waits_for_its_outcome(story: Story) -> None:
    """Given an ending meanwhile; it is told as ended once the charge is known to be declined."""
    member = story.subscriber()
    card = Cardholder(story, member)
    card.is_charged()
    card.is_not_answered()
    story.ask(EndSubscription(at=RENEWAL, account=member.who), member.itself)
    assert obstacles(story, member, RENEWED_BY) == [UNKNOWN]
    card.is_declined(RENEWED_BY)
    assert obstacles(story, member, RENEWED_BY) == [ENDED]


@pytest.mark.rule("X2", "X3", "S7", "S8")
def test_a_try_that_was_declined_after_all_is_not_waited_for(story: Story) -> None:
    """Given a late clock; when the outcome of a try is known, what is missing is another card."""
    member = story.subscriber()
    card = Cardholder(story, member)
    card.is_charged()
    card.is_declined()
    card.is_charged(RENEWED_BY)
    card.is_not_answered(attempt=2)
    assert obstacles(story, member, AFTER_GRACE) == [UNKNOWN]
    card.is_declined(RENEWED_BY + timedelta(days=1), attempt=2)
    assert obstacles(story, member, AFTER_GRACE - INSTANT) == []
    answer = check(story, member, AFTER_GRACE)
    assert answer.obstacles == (PAST_DUE,)
    assert facts(answer) == ["UserRegistered", "PaymentCaptured", "SubscriptionPastDue"]


@pytest.mark.rule("X2")
def test_both_in_the_order_in_which_they_are_cleared(story: Story) -> None:
    """Whoever is suspended and has not paid is told both, each with its own contact."""
    member = story.subscriber()
    suspend(story, member)
    told = obstacles(story, member, RENEWED_BY)
    assert told == [SUSPENDED, LAPSED]
    assert told[0].contact != told[1].contact


# ---------------------------------------------------------------- instants


@pytest.mark.rule("X1", "S5")
def test_the_boundaries_of_a_period_in_santiago(story: Story) -> None:
    """From the payment on, and up to the last instant of the last day there."""
    member = story.subscriber()
    assert obstacles(story, member, BEGINNING - INSTANT) == [NO_ACCOUNT]
    assert obstacles(story, member, BEGINNING) == []
    by_transfer = story.subscriber(BRUNO, months=3)
    assert obstacles(story, by_transfer, PLAN_UNPAID - INSTANT) == []
    assert obstacles(story, by_transfer, PLAN_UNPAID) == [LAPSED]


@pytest.mark.rule("X1", "X3", "S8")
def test_the_day_on_which_a_card_is_charged_anew(story: Story) -> None:
    """Access goes on to its last instant, by the payment before."""
    member = story.subscriber()
    for at in (FIRST_UNPAID - INSTANT, FIRST_UNPAID, RENEWED_BY - INSTANT):
        answer = check(story, member, at)
        assert answer.allowed
        assert facts(answer) == ["UserRegistered", "PaymentCaptured"]
    assert obstacles(story, member, RENEWED_BY) == [LAPSED]


@pytest.mark.rule("X1", "S5", "S8")
@pytest.mark.parametrize(
    ("paid_at", "over_at"),
    [
        (noon(2026, 8, 5), datetime(2026, 9, 6, 4, tzinfo=UTC)),
        (noon(2026, 8, 6), datetime(2026, 9, 7, 3, tzinfo=UTC)),
        (noon(2026, 3, 4), datetime(2026, 4, 5, 4, tzinfo=UTC)),
    ],
    ids=["it ends at one o'clock", "it begins at one o'clock", "it has 25 hours"],
)
def test_a_renewal_day_at_a_change_of_clocks(
    story: Story, paid_at: datetime, over_at: datetime
) -> None:
    """On 6 September 2026 Chile's clocks go from midnight to one, on 4 April they go back."""
    member = story.subscriber(at=paid_at)
    assert obstacles(story, member, over_at - INSTANT) == []
    assert obstacles(story, member, over_at) == [LAPSED]


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
    assert obstacles(story, member, RENEWED_BY) == [REMOVED, LAPSED]


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
    assert obstacles(story, member, gone, administer(plan)) == [LEFT_PLAN]


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


# ---------------------------------------------------------------- modules

MODULE = "module:documentation"
DAYS = [BEGINNING + timedelta(days=day) for day in range(10)]


def who(worker: Worker) -> str:
    """Names the account."""
    return f"account:{worker.account}"


@pytest.mark.rule("X1", "X2", "X3", "C2", "C3", "C4")
def test_a_module_opens_step_by_step(story: Story) -> None:
    """Each step clears the obstacle that was told first; the last no has become a yes."""
    told = Chronicle(story.acta)
    works = told.agree(roles=("site_manager",))
    rules = told.publish(works)
    assert obstacles(story, ANA, BEGINNING, MODULE) == [NO_ACCOUNT_FOR_MODULE]
    ana = told.hire(ANA)
    assert obstacles(story, who(ana), BEGINNING, MODULE) == [NOT_LINKED]
    told.link(works, ana, ANA)
    unread, vacant = (
        replace(obstacle, contract=works.id, missing=(missing,))
        for obstacle, missing in ((UNREAD, "site_rules"), (VACANT, "site_manager"))
    )
    no_risk = replace(NO_RISK, contract=works.id)
    assert obstacles(story, who(ana), BEGINNING, MODULE) == [unread, no_risk, vacant]
    told.read(works, ana, rules)
    assert obstacles(story, who(ana), BEGINNING, MODULE) == [no_risk, vacant]
    told.of(works, RiskLinked, risk="work_at_height", linked_by=ana.person)
    assert obstacles(story, who(ana), BEGINNING, MODULE) == [vacant]
    told.of(works, RoleFilled, role="site_manager", filled_by=ana.person, named_by=ana.person)
    answer = check(story, who(ana), BEGINNING, MODULE)
    assert answer.allowed
    assert (answer.account, answer.contacts) == (ana.account, ())
    assert facts(answer) == [
        "ContractOpened", "InformationDocumentPublished", "UserRegistered", "PersonLinked",
        "InformationDocumentDownloaded", "InformationDocumentMarkedAsRead", "RiskLinked",
        "RoleFilled",
    ]  # fmt: skip


@pytest.mark.rule("X1", "C2", "C3", "C4")
def test_each_way_in_which_a_module_closes_again(story: Story) -> None:
    """A new version, an unlinking, an ending: from its instant on; and other things stay shut."""
    told = Chronicle(story.acta)
    works = told.agree()
    ana = told.join(works, ANA)
    told.of(works, RiskLinked, risk="work_at_height", linked_by=ana.person)
    rules = told.publish(works, at=DAYS[1])
    told.read(works, ana, rules, at=DAYS[2])
    told.by(ana, works, PersonUnlinked, reason=UnlinkReason.LEFT, at=DAYS[3])
    told.link(works, ana, ANA, at=DAYS[4])
    told.of(works, ContractEnded, reason=ContractEndReason.TERMINATED, at=DAYS[5])
    again = {"valid_from": DAYS[7].date(), "valid_to": DAYS[8].date(), "time_zone": ZONE}
    told.of(works, ContractReactivated, at=DAYS[6], **again)
    asked_at = [*DAYS[:9], DAYS[9] + timedelta(hours=8)]
    in_the_way = [obstacles(story, who(ana), at, MODULE) for at in asked_at]
    expected = [
        [], [UNREAD], [], [UNLINKED], [], [CONTRACT_ENDED], [CONTRACT_NOT_BEGUN], [], [],
        [CONTRACT_RAN_OUT],
    ]  # fmt: skip
    assert [[(each.rule, each.message) for each in told] for told in in_the_way] == [
        [(each.rule, each.message) for each in told] for told in expected
    ]
    assert obstacles(story, who(ana), BEGINNING) == [NEVER_PAID]


@pytest.mark.rule("A2", "X1")
def test_content_and_modules_add_up_on_one_account(story: Story) -> None:
    """A subscriber who is linked to a contract has both, each by its own grant."""
    member = story.subscriber()
    told = Chronicle(story.acta)
    works, ana = told.agree(), Worker(member.account, member.person)
    told.link(works, ana, ANA)
    told.of(works, RiskLinked, risk="work_at_height", linked_by=ana.person)
    assert facts(check(story, member, BEGINNING)) == ["UserRegistered", "PaymentCaptured"]
    answer = check(story, member, BEGINNING, MODULE)
    assert facts(answer) == ["UserRegistered", "ContractOpened", "PersonLinked", "RiskLinked"]


@pytest.mark.rule("C6", "X2", "X3", "A11")
def test_a_no_names_contact_and_validator_under_seal(story: Story) -> None:
    """Those of now, for whoever may open them; the no rests on the events that name them."""
    told = Chronicle(story.acta)
    works = told.agree()
    told.publish(works)
    ana = told.join(works, ANA)
    another = uuid4()
    told.name_contact(works, another, "otra@example.com")
    answer = check(story, who(ana), BEGINNING, MODULE)
    validator, contact = answer.contacts
    assert (validator.contract, validator.kind, validator.person) == (
        works.id, "validator", works.validator,
    )  # fmt: skip
    assert (contact.contract, contact.kind, contact.person) == (works.id, "contact", another)
    assert validator.validator_kind is ValidatorKind.HOLDER_TECHNICIAN
    assert {validator.event_id, contact.event_id} <= {each.event_id for each in answer.evidence}
    assert contact.phone is validator.email is None
    values = {"name": (contact, "Irene Ibarra"), "email": (contact, "otra@example.com")}
    values["phone"] = (validator, "+34612345678")
    for field, (named, clear) in values.items():
        sealed = getattr(named, field)
        assert clear not in sealed
        opened = story.acta.store.vault.open(
            Sealed.parse(sealed), event_id=named.event_id, field=field
        )
        assert opened == clear


# ---------------------------------------------------------------- streams


def streams(
    story: Story, member: Member | Worker, thing: str = "content", at: datetime = BEGINNING
) -> set[UUID]:
    """Those in which evidence of the answer could stand."""
    story.acta.projector.catch_up()
    asked = {"account": member.account, "person": member.person}
    with story.acta.database.connection() as connection:
        rows = connection.cursor(binary=True).execute(FACTS, asked).fetchall()
    return streams_of(parse_thing(thing), rows, member.account, member.person, at)


@pytest.mark.rule("X6")
def test_content_could_rest_on_the_account_its_subscription_and_its_plans(story: Story) -> None:
    """A plan that the member has left is none of them; its administration rests on the account."""
    plan, left = story.institution(), story.institution("otra@example.com")
    member = story.join(left, ANA)
    removed = RemoveMember(at=BEGINNING, account=ANA, plan=left.id)
    story.ask(removed, left.director.itself)
    own = {member.account, subscription_of(member.account)}
    assert streams(story, member) == own
    story.invite(plan.id, ANA, by=plan.director.itself)
    story.accept(ANA)
    assert streams(story, member) == {*own, plan.id}
    assert streams(story, member, administer(plan)) == {member.account}
    assert streams(story, member, MODULE) == {member.account}


@pytest.mark.rule("X6")
def test_a_module_could_rest_on_every_contract_that_opens_it(story: Story) -> None:
    """With what the person did under each, also where the link was undone since."""
    told = Chronicle(story.acta)
    works, roads = told.agree(), told.agree()
    ana = told.join(works, ANA)
    told.link(roads, ana, ANA, at=DAYS[1])
    told.by(ana, works, PersonUnlinked, reason=UnlinkReason.LEFT, at=DAYS[1])
    of_works = {works.id, contract_link_of(works.id, ana.person)}
    of_roads = {roads.id, contract_link_of(roads.id, ana.person)}
    assert streams(story, ana, MODULE) == {ana.account, *of_works}
    assert streams(story, ana, MODULE, DAYS[1]) == {ana.account, *of_works, *of_roads}
    assert streams(story, ana, "module:training", DAYS[1]) == {ana.account}
    assert streams(story, ana) == {ana.account, subscription_of(ana.account)}


@pytest.mark.rule("X6")
def test_without_an_account_the_invitations_are_all_that_is_known(story: Story) -> None:
    """By their streams, which nothing else tells."""
    plan = story.institution()
    invitation = story.invite(plan.id, ANA, by=plan.director.itself)
    story.acta.projector.catch_up()
    person = check(story, ANA, BEGINNING).person
    with story.acta.database.connection() as connection:
        rows = connection.execute(FACTS, {"account": None, "person": person}).fetchall()
    assert streams_of(Content(), rows, None, person, BEGINNING) == {invitation}


# ---------------------------------------------------------------- what is asked about


@pytest.mark.rule("X1")
def test_things_are_named_in_one_way() -> None:
    plan = uuid4()
    assert parse_thing("content") == Content()
    assert parse_thing(f"plan:{plan}:administer") == Administration(plan)
    assert parse_thing("module:documentation") == Module("documentation")


@pytest.mark.parametrize(
    "text",
    ["", "Content", "content:", "plan:1:administer", "plan::administer", "module:", "module:A b",
     "module:a:b", f"module:{'a' * 81}", "module:a\n", "modules:a"],
)  # fmt: skip
def test_whoever_asks_about_anything_else_is_told_what_there_is(text: str) -> None:
    with pytest.raises(ValueError, match="module:NAME"):
        parse_thing(text)


def test_every_aggregate_of_which_an_event_means_something_is_named() -> None:
    """Or the projector would leave its events aside."""
    meaningful = frozenset(cls.AGGREGATE for cls in access_facts._KINDS)
    assert meaningful == Access.aggregates
