"""What access rests on, what stands in its way, and what to do about it (A2, X1 to X3)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from domain import obstacles
from domain.access import (
    AdministrationFacts,
    ContentFacts,
    InvitationState,
    PaidFacts,
    WeighedAdministration,
    WeighedContent,
    weigh_administration,
    weigh_content,
)
from domain.access_facts import AccessFact, AccessFactKind, access_fact
from domain.account import (
    AccountEvent,
    Role,
)
from domain.calendar import start_of_day
from domain.event import Event, event_classes
from domain.obstacles import (
    Obstacle,
    administration_obstacles,
    content_obstacles,
    in_doubt,
)
from domain.subscription import PaymentMeans, SubscriptionEvent, SubscriptionResumed
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    EXPIRY,
    OTHER_PLAN,
    PERSON,
    PLAN,
    SANTIAGO,
    FactT,
    about,
    accepted,
    captured,
    closed,
    corrected,
    declined,
    ended,
    erased,
    expired,
    invitation_sent,
    lapsed,
    member_removed,
    noon,
    of_plan,
    outcome_unknown,
    past_due,
    reactivated,
    registered,
    reinstated,
    revoked,
    role_assigned,
    sent_again,
    suspended,
)

PAYING = PaidFacts(paid=True, ever_paid=True)
UNPAID = PaidFacts(ever_paid=True)
UNPAID_AND_ENDED = PaidFacts(ever_paid=True, ended=True)
PAID = ContentFacts(registered=True, own=PAYING)
RAN_OUT = ContentFacts(registered=True, own=UNPAID)
OBSTACLES = [value for value in vars(obstacles).values() if isinstance(value, Obstacle)]


def rules(facts: ContentFacts) -> list[str]:
    """The ids of the rules in the way."""
    return [obstacle.rule for obstacle in content_obstacles(facts)]


@pytest.mark.rule("X1", "S3")
def test_whoever_paid_has_access() -> None:
    """A registered person whose payment pays for that instant has access to content."""
    assert content_obstacles(PAID) == ()


@pytest.mark.rule("X2", "A1")
def test_without_an_account_there_is_no_access() -> None:
    """The first thing that whoever has no account lacks is an account."""
    assert rules(ContentFacts()) == ["A1"]


@pytest.mark.rule("X2", "A10")
def test_a_closed_account_has_no_access() -> None:
    """A closed account has no access even when paid, and nothing else stands in the way of it."""
    assert rules(replace(PAID, closed=True)) == ["A10"]
    assert rules(replace(RAN_OUT, closed=True, suspended=True)) == ["A10"]


@pytest.mark.rule("X2", "A10")
def test_a_suspended_account_has_no_access() -> None:
    """A suspended account has no access even when paid."""
    assert rules(replace(PAID, suspended=True)) == ["A10"]


@pytest.mark.rule("X2", "S3")
def test_there_is_no_access_before_a_payment() -> None:
    """Whoever never paid has no access, ended or not."""
    assert rules(ContentFacts(registered=True)) == ["S3"]
    assert rules(ContentFacts(registered=True, own=PaidFacts(ended=True))) == ["S3"]


@pytest.mark.rule("X2", "S4")
def test_there_is_no_access_after_the_last_day_of_an_ended_subscription() -> None:
    """Access outlasts an ending to the last day that is paid for, and no longer."""
    assert rules(replace(PAID, own=replace(PAYING, ended=True))) == []
    assert rules(replace(RAN_OUT, own=UNPAID_AND_ENDED)) == ["S4"]


@pytest.mark.rule("X2", "S5")
def test_there_is_no_access_after_what_was_paid_ran_out() -> None:
    """A subscription that ran out unrenewed gives no access."""
    assert rules(RAN_OUT) == ["S5"]


@pytest.mark.rule("X2")
def test_a_no_lists_every_rule_in_the_way() -> None:
    """Whoever is suspended and has not paid is told both."""
    assert rules(ContentFacts(registered=True, suspended=True)) == ["A10", "S3"]


@pytest.mark.rule("X2")
@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.message)
def test_every_obstacle_says_what_to_do_and_whom_to_contact(obstacle: Obstacle) -> None:
    """A no is of use: it has a remedy and a contact."""
    assert obstacle.message
    assert obstacle.remedy.endswith(".")
    assert obstacle.contact


@pytest.mark.rule("S3")
def test_nothing_but_a_payment_opens_content() -> None:
    """Among all that can be the case, access never holds without a payment for that instant."""
    unpaid = [PaidFacts(ever_paid=e, ended=n) for e, n in product([False, True], repeat=2)]
    plans: list[tuple[PaidFacts, ...]] = [(), *((each,) for each in unpaid)]
    yes_or_no = [False, True]
    for registered_, closed_, suspended_, own, of_plans, removed in product(
        yes_or_no, yes_or_no, yes_or_no, unpaid, plans, yes_or_no
    ):
        facts = ContentFacts(
            registered=registered_,
            closed=closed_,
            suspended=suspended_,
            own=own,
            plans=of_plans,
            removed=removed,
        )
        assert rules(facts) != []


@pytest.mark.rule("A2", "S10")
@pytest.mark.parametrize("own", [PaidFacts(), UNPAID, UNPAID_AND_ENDED, PAYING])
@pytest.mark.parametrize("plan", [PaidFacts(), UNPAID, UNPAID_AND_ENDED, PAYING])
def test_grants_add_up(own: PaidFacts, plan: PaidFacts) -> None:
    """A person with a subscription and a plan has access while either of them is paid."""
    access = rules(ContentFacts(registered=True, own=own, plans=(plan,))) == []
    assert access is (own.paid or plan.paid)


@pytest.mark.rule("X2", "S10")
@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (PaidFacts(), "not paid for the plan yet"),
        (UNPAID, "ran out unpaid"),
        (UNPAID_AND_ENDED, "ended the plan"),
    ],
    ids=["never paid", "lapsed", "ended"],
)
def test_a_member_of_an_unpaid_plan_is_told_to_ask_the_institution(
    plan: PaidFacts, says: str
) -> None:
    """The member pays nothing, so it is not the member who is asked to pay."""
    [obstacle] = content_obstacles(ContentFacts(registered=True, plans=(plan,)))
    assert obstacle.rule == "S10"
    assert says in obstacle.message
    assert "Ask the institution" in obstacle.remedy
    assert "institution" in obstacle.contact


@pytest.mark.rule("X2", "A12")
def test_whoever_was_removed_is_told_of_both_ways_back() -> None:
    """By the steps of a subscription, or by a new invitation."""
    [obstacle] = content_obstacles(ContentFacts(registered=True, removed=True))
    assert obstacle.rule == "A12"
    assert "subscription of your own" in obstacle.remedy
    assert "invitation" in obstacle.remedy


@pytest.mark.rule("X2", "A2")
def test_every_source_that_ran_dry_is_in_the_way() -> None:
    """Suspended, in a plan that lapsed, with a subscription that was ended: three rules."""
    facts = ContentFacts(registered=True, suspended=True, own=UNPAID_AND_ENDED, plans=(UNPAID,))
    assert rules(facts) == ["A10", "S10", "S4"]
    removed = ContentFacts(registered=True, own=UNPAID, removed=True)
    assert rules(removed) == ["A12", "S5"]


@pytest.mark.rule("X2", "I6", "I9")
@pytest.mark.parametrize(
    ("invitation", "rule", "remedy"),
    [
        (InvitationState.NONE, "A1", "Register"),
        (InvitationState.OPEN, "I9", "spam folder, then ask"),
        (InvitationState.EXPIRED, "I6", "Ask for a new invitation"),
        (InvitationState.REVOKED, "I6", "Ask for a new invitation"),
    ],
)
def test_whoever_has_no_account_may_be_invited(
    invitation: InvitationState, rule: str, remedy: str
) -> None:
    """Who did not get the invitation looks in the spam folder, then asks the contact."""
    [obstacle] = content_obstacles(ContentFacts(invitation=invitation))
    assert obstacle.rule == rule
    assert remedy in obstacle.remedy
    assert "contact" in obstacle.contact or rule == "A1"


@pytest.mark.rule("X1", "X2", "A2", "I1")
@pytest.mark.parametrize(
    ("facts", "in_the_way"),
    [
        (AdministrationFacts(), ["A1"]),
        (AdministrationFacts(registered=True), ["I1"]),
        (AdministrationFacts(registered=True, role=Role.USER), ["I1"]),
        (AdministrationFacts(registered=True, role=Role.ADMINISTRATOR), []),
        (AdministrationFacts(registered=True, role=Role.SUPER_ADMINISTRATOR), []),
        (AdministrationFacts(registered=True, role=Role.ADMINISTRATOR, suspended=True), ["A10"]),
        (AdministrationFacts(registered=True, role=Role.USER, suspended=True), ["A10", "I1"]),
        (AdministrationFacts(registered=True, role=Role.ADMINISTRATOR, closed=True), ["A10"]),
        (AdministrationFacts(registered=True, suspended=True), ["A10", "I1"]),
    ],
)
def test_a_plan_is_administered_by_role(facts: AdministrationFacts, in_the_way: list[str]) -> None:
    """Administration comes from the role, whether or not anybody pays."""
    assert [obstacle.rule for obstacle in administration_obstacles(facts)] == in_the_way


@pytest.mark.rule("X2", "I1")
def test_a_user_is_told_otherwise_than_a_stranger() -> None:
    """The one asks to be made an administrator, the other to be invited."""
    [user] = administration_obstacles(AdministrationFacts(registered=True, role=Role.USER))
    [nobody] = administration_obstacles(AdministrationFacts(registered=True))
    assert "made an administrator" in user.remedy
    assert "invited" in nobody.remedy


@pytest.mark.rule("X6", "C5")
def test_in_doubt_it_is_no_and_a_specialist_is_the_one_to_contact() -> None:
    """Whatever else is in the way comes after it; where nothing is, it is no all the same."""
    [obstacle] = in_doubt(())
    assert obstacle.rule == "X6"
    assert "specialist technician" in obstacle.contact
    others = content_obstacles(RAN_OUT)
    assert in_doubt(others) == (obstacle, *others)


# ---------------------------------------------------------------- what access rests on

AN_INSTANT = timedelta(microseconds=1)
FIRST_OF_MARCH = noon(2025, 3, 1)
MID_MARCH = noon(2025, 3, 15)
END_OF_MARCH = date(2025, 3, 31)
LATER = noon(2025, 5, 1)
NOT_PAID_FOR = start_of_day(date(2025, 4, 1), SANTIAGO)
march_paid = captured(1, FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
ended_in_march = ended(MID_MARCH, END_OF_MARCH)


def facts_of(*events: Event) -> list[AccessFact]:
    """What these events mean for access."""
    facts = [fact for event in events if (fact := access_fact(event))]
    assert len(facts) == len(events), "each of these events means something for access"
    return facts


def weigh(
    *events: Event, at: datetime = MID_MARCH, account: UUID | None = ACCOUNT
) -> WeighedContent:
    """What these events amount to at an instant."""
    return weigh_content(facts_of(*events), at, account=account)


def happening(event: FactT, at: datetime) -> FactT:
    """The same event at another time."""
    return event.model_copy(update={"occurred_at": at})


@pytest.mark.rule("X1", "X3")
def test_a_yes_rests_on_the_registration_and_a_payment() -> None:
    """Whoever is registered and has paid for that instant has access, and that is why."""
    weighed = weigh(registered, march_paid)
    assert weighed.facts == PAID
    assert weighed.evidence == (0, 1)


@pytest.mark.rule("X1", "S3", "S5")
def test_a_payment_pays_from_its_own_instant_to_the_end_of_its_last_day() -> None:
    """Access begins with the payment, not before, and lasts to the last instant paid for."""
    for at, paid in [
        (FIRST_OF_MARCH - AN_INSTANT, False),
        (FIRST_OF_MARCH, True),
        (NOT_PAID_FOR - AN_INSTANT, True),
        (NOT_PAID_FOR, False),
    ]:
        assert weigh(registered, march_paid, at=at).facts.own.paid is paid


@pytest.mark.rule("X1", "S9")
def test_a_payment_made_early_pays_from_its_first_day() -> None:
    """A payment for April that came in March pays for no day in March."""
    april = captured(2, FIRST_OF_MARCH, date(2025, 4, 1), date(2025, 4, 30))
    assert not weigh(registered, april, at=NOT_PAID_FOR - AN_INSTANT).facts.paid
    assert weigh(registered, april, at=NOT_PAID_FOR).facts.paid


@pytest.mark.rule("X1", "S5")
def test_days_are_those_of_the_time_zone_of_the_payment() -> None:
    """What is paid for to the end of March in Chile is paid for in the first hours of April UTC."""
    assert weigh(registered, march_paid, at=datetime(2025, 4, 1, 2, tzinfo=UTC)).facts.own.paid
    in_utc = march_paid.model_copy(update={"time_zone": "UTC"})
    assert not weigh(registered, in_utc, at=datetime(2025, 4, 1, 2, tzinfo=UTC)).facts.own.paid


@pytest.mark.rule("X1", "A1")
def test_nothing_is_so_before_the_registration() -> None:
    """Asked about an instant before it all, nothing had happened yet."""
    weighed = weigh(registered, march_paid, at=BEGINNING - AN_INSTANT)
    assert weighed == WeighedContent(ContentFacts(), ())


@pytest.mark.rule("X3", "A10")
def test_a_suspension_counts_until_it_is_ended() -> None:
    """The last word about the standing counts, and the answer rests on it."""
    suspending = happening(suspended, MID_MARCH)
    reinstating = happening(reinstated, MID_MARCH + timedelta(days=1))
    past = (registered, march_paid, suspending, reinstating)
    assert not weigh(*past, at=MID_MARCH - AN_INSTANT).facts.suspended
    during = weigh(*past, at=MID_MARCH)
    assert during.facts == replace(PAID, suspended=True)
    assert during.evidence == (0, 1, 2)
    after = weigh(*past, at=MID_MARCH + timedelta(days=1))
    assert after.facts == replace(PAID, reinstated=True)
    assert after.evidence == (0, 1, 3)


@pytest.mark.rule("X3", "A10", "A11")
@pytest.mark.parametrize("end", [closed, erased], ids=["closed", "erased"])
def test_a_closing_or_an_erasure_is_what_a_no_rests_on(end: AccountEvent) -> None:
    """A closed account has no access, and the answer rests on the closing."""
    weighed = weigh(registered, march_paid, happening(end, MID_MARCH))
    assert weighed.facts.closed
    assert weighed.evidence == (0, 2), "what was paid does not matter any more"


@pytest.mark.rule("X3", "S3")
def test_a_no_for_want_of_a_payment_rests_on_the_registration() -> None:
    """Where nothing was paid, there is nothing else to rest on."""
    weighed = weigh(registered)
    assert weighed == WeighedContent(ContentFacts(registered=True), (0,))


@pytest.mark.rule("X3", "S4")
def test_a_no_after_an_ending_rests_on_the_last_payment_and_the_ending() -> None:
    """What was paid for has passed, and nobody took the ending back."""
    weighed = weigh(registered, march_paid, ended_in_march, at=LATER)
    assert rules(weighed.facts) == ["S4"]
    assert weighed.evidence == (0, 1, 2)


@pytest.mark.rule("X3", "S4", "S5")
@pytest.mark.parametrize(
    ("event", "evidence"),
    [
        (SubscriptionResumed(**about(MID_MARCH)), (0, 1)),
        (reactivated(LATER), (0, 1)),
    ],
    ids=["resumed", "reactivated"],
)
def test_an_ending_counts_until_the_next_turn(
    event: SubscriptionEvent, evidence: tuple[int, ...]
) -> None:
    """After a resumption or a reactivation it ran out and was not ended.

    What undid the ending says no more than if neither had been.
    """
    weighed = weigh(registered, march_paid, ended_in_march, event, at=LATER)
    assert rules(weighed.facts) == ["S5"]
    assert weighed.evidence == evidence


@pytest.mark.rule("X3", "S4", "S5")
def test_what_was_ended_and_lapsed_is_told_as_ended() -> None:
    """The lapse is on record once the last day has passed; the payer had wanted it so."""
    past = (registered, march_paid, ended_in_march, lapsed(LATER, END_OF_MARCH))
    weighed = weigh(*past, at=LATER)
    assert rules(weighed.facts) == ["S4"]
    assert weighed.evidence == (0, 1, 2, 3)


# ---------------------------------------------------------------- days of grace

GRACE_UNTIL = date(2025, 4, 8)
GRACE_BEGINS = noon(2025, 4, 1)
AFTER_GRACE = start_of_day(date(2025, 4, 9), SANTIAGO)
DURING_GRACE = [
    (past_due(GRACE_BEGINS), "S8"),
    (outcome_unknown(2, GRACE_BEGINS, GRACE_UNTIL), "S7"),
]
ANY_GRACE = pytest.mark.parametrize(
    "grace", [grace for grace, _ in DURING_GRACE], ids=["past due", "unknown"]
)
GRACES = pytest.mark.parametrize(("grace", "rule"), DURING_GRACE, ids=["past due", "unknown"])


@pytest.mark.rule("S7", "S8", "X3")
@ANY_GRACE
def test_access_goes_on_through_the_days_of_grace(grace: SubscriptionEvent) -> None:
    """To the end of their last day; the yes rests on them and on the payment before."""
    for at in (GRACE_BEGINS, AFTER_GRACE - AN_INSTANT):
        weighed = weigh(registered, march_paid, grace, at=at)
        assert content_obstacles(weighed.facts) == ()
        assert not weighed.facts.own.paid
        assert weighed.evidence == (0, 1, 2)


@pytest.mark.rule("S7", "S8", "X2", "X3")
@GRACES
def test_after_the_days_of_grace_the_rule_says_what_is_missing(
    grace: SubscriptionEvent, rule: str
) -> None:
    """A declined renewal needs another card, an unknown one the gateway's answer."""
    weighed = weigh(registered, march_paid, grace, at=AFTER_GRACE)
    assert rules(weighed.facts) == [rule]
    assert weighed.evidence == (0, 1, 2)


@pytest.mark.rule("S3", "S7")
def test_a_first_payment_has_no_grace() -> None:
    """Nothing was paid for, so nothing goes on."""
    unknown = outcome_unknown(2, GRACE_BEGINS, None)
    assert access_fact(unknown) is None
    assert rules(weigh(registered, at=GRACE_BEGINS).facts) == ["S3"]


STOPS = [
    (lapsed(noon(2025, 4, 2), END_OF_MARCH), "S5"),
    (ended(noon(2025, 4, 2), END_OF_MARCH), "S4"),
]
ANY_STOP = pytest.mark.parametrize(("stop", "stopped_by"), STOPS, ids=["lapsed", "ended"])


@pytest.mark.rule("S4", "S8", "X3")
@ANY_STOP
def test_a_lapse_or_an_ending_stops_the_grace(stop: SubscriptionEvent, stopped_by: str) -> None:
    """The last try failed, or the payer wants no more."""
    grace = past_due(GRACE_BEGINS)
    weighed = weigh(registered, march_paid, grace, stop, at=noon(2025, 4, 3))
    assert rules(weighed.facts) == [stopped_by]
    assert weighed.evidence == (0, 1, 3)


@pytest.mark.rule("S4", "S5", "S7", "X2", "X3")
@ANY_STOP
def test_what_has_lapsed_or_was_ended_waits_for_the_outcome_of_its_charge(
    stop: SubscriptionEvent, stopped_by: str
) -> None:
    """Nothing is begun anew meanwhile; once the charge is declined, it is as any other."""
    unknown, at = outcome_unknown(2, GRACE_BEGINS, GRACE_UNTIL), noon(2025, 4, 3)
    waiting = weigh(registered, march_paid, unknown, stop, at=at)
    assert rules(waiting.facts) == ["S7"]
    assert waiting.evidence == (0, 1, 2, 3)
    answer = declined(2).model_copy(update={"occurred_at": at})
    answered = weigh(registered, march_paid, unknown, stop, answer, at=at)
    assert rules(answered.facts) == [stopped_by]
    assert answered.evidence == (0, 1, 3)


@pytest.mark.rule("S7", "S8", "X2", "X3")
def test_a_try_that_was_declined_after_all_is_not_waited_for() -> None:
    """The days of grace are those of the first decline, and so is what is in the way after them."""
    tried_again = outcome_unknown(3, noon(2025, 4, 2), GRACE_UNTIL, attempt=2)
    answer = declined(3).model_copy(update={"occurred_at": noon(2025, 4, 3)})
    past = (registered, march_paid, past_due(GRACE_BEGINS), tried_again, answer)
    assert rules(weigh(*past, at=noon(2025, 4, 3)).facts) == []
    weighed = weigh(*past, at=AFTER_GRACE)
    assert rules(weighed.facts) == ["S8"]
    assert weighed.evidence == (0, 1, 2)
    assert rules(weigh(*past[:-1], at=AFTER_GRACE).facts) == ["S7"]


@pytest.mark.rule("S8", "X3")
def test_a_late_success_takes_the_place_of_the_grace() -> None:
    """What is paid for needs no grace."""
    april = captured(2, noon(2025, 4, 3), date(2025, 4, 1), date(2025, 4, 30))
    weighed = weigh(registered, march_paid, past_due(GRACE_BEGINS), april, at=noon(2025, 4, 4))
    assert weighed.facts.own == PaidFacts(paid=True, ever_paid=True)
    assert weighed.evidence == (0, 3)


@pytest.mark.rule("S8", "S10")
def test_members_have_access_through_the_grace_of_their_plan() -> None:
    """The plan is paid by the same rules as any subscription."""
    grace = of_plan(past_due(GRACE_BEGINS))
    past = (registered, as_user, of_plan(march_paid), grace)
    assert content_obstacles(weigh(*past, at=GRACE_BEGINS).facts) == ()
    assert rules(weigh(*past, at=AFTER_GRACE).facts) == ["S10"]


_OF_A_PERIOD: dict[str, Any] = {
    "period_from": date(2025, 3, 1),
    "period_to": END_OF_MARCH,
    "valid_from": date(2025, 3, 1),
    "valid_to": END_OF_MARCH,
    "access_until": END_OF_MARCH,
    "means": PaymentMeans.CARD,
    "time_zone": SANTIAGO,
}
_OF_A_CONTRACT: dict[str, Any] = {
    "contract": UUID(int=40),
    "modules": ("documentation",),
    "required_roles": (),
    "roles": (),
    "document": UUID(int=41),
    "version": 1,
    "code": "induction",
    "risk": "work_at_height",
    "contact": UUID(int=42),
    "validator": UUID(int=43),
}


@pytest.mark.parametrize("cls", event_classes(), ids=lambda cls: cls.__name__)
def test_an_event_means_something_for_access_or_nothing(cls: type[Event]) -> None:
    """Steps, keys and studies open and close nothing; for each other event it is written here."""
    meaning = {
        "UserRegistered": AccessFactKind.REGISTERED,
        "AccountSuspended": AccessFactKind.SUSPENDED,
        "AccountReinstated": AccessFactKind.REINSTATED,
        "AccountClosed": AccessFactKind.CLOSED,
        "PersonErased": AccessFactKind.CLOSED,
        "SubscriptionEnded": AccessFactKind.ENDED,
        "SubscriptionResumed": AccessFactKind.RESUMED,
        "SubscriptionLapsed": AccessFactKind.LAPSED,
        "SubscriptionReactivated": AccessFactKind.REACTIVATED,
        "RoleAssigned": AccessFactKind.ROLE,
        "MemberRemoved": AccessFactKind.REMOVED,
        "InvitationSent": AccessFactKind.INVITED,
        "InvitationSentAgain": AccessFactKind.INVITED,
        "InvitationCorrected": AccessFactKind.INVITED,
        "InvitationRevoked": AccessFactKind.REVOKED,
        "InvitationAccepted": AccessFactKind.ACCEPTED,
        "PaymentCaptured": AccessFactKind.PAID,
        "SubscriptionPastDue": AccessFactKind.PAST_DUE,
        "PaymentOutcomeUnknown": AccessFactKind.OUTCOME_UNKNOWN,
        "PaymentDeclined": AccessFactKind.DECLINED,
        "ContractOpened": AccessFactKind.CONTRACT_OPENED,
        "ContractReactivated": AccessFactKind.CONTRACT_REACTIVATED,
        "ContractEnded": AccessFactKind.CONTRACT_ENDED,
        "ContactNamed": AccessFactKind.CONTACT_NAMED,
        "ValidatorNamed": AccessFactKind.VALIDATOR_NAMED,
        "InformationDocumentPublished": AccessFactKind.DOCUMENT_PUBLISHED,
        "InformationDocumentWithdrawn": AccessFactKind.DOCUMENT_WITHDRAWN,
        "RolesRequired": AccessFactKind.ROLES_REQUIRED,
        "RiskLinked": AccessFactKind.RISK_LINKED,
        "RiskUnlinked": AccessFactKind.RISK_UNLINKED,
        "RoleFilled": AccessFactKind.ROLE_FILLED,
        "RoleVacated": AccessFactKind.ROLE_VACATED,
        "PersonLinked": AccessFactKind.LINKED,
        "PersonUnlinked": AccessFactKind.UNLINKED,
        "InformationDocumentDownloaded": AccessFactKind.DOWNLOADED,
        "InformationDocumentMarkedAsRead": AccessFactKind.MARKED_AS_READ,
    }
    values: dict[str, Any] = {
        "occurred_at": BEGINNING,
        "person": PERSON,
        "account": ACCOUNT,
        "plan": PLAN,
        "role": Role.USER,
        "expires_at": EXPIRY,
        **_OF_A_PERIOD,
        **_OF_A_CONTRACT,
    }
    fact = access_fact(cls.model_construct(**values))
    assert (fact and fact.kind) == meaning.get(cls.__name__)


# ---------------------------------------------------------------- through a plan

as_user = role_assigned(at=FIRST_OF_MARCH)
plan_paid_for_march = of_plan(march_paid)
removed_in_march = member_removed(at=MID_MARCH)
END_OF_APRIL = date(2025, 4, 30)


@pytest.mark.rule("S10", "A2", "X3")
def test_a_member_has_access_while_the_plan_is_paid() -> None:
    """A yes through a plan rests on the registration, the role and the institution's payment."""
    weighed = weigh(registered, plan_paid_for_march, as_user)
    assert content_obstacles(weighed.facts) == ()
    assert weighed.facts == ContentFacts(registered=True, plans=(PAYING,))
    assert weighed.evidence == (0, 1, 2)
    for at, paid in [(NOT_PAID_FOR - AN_INSTANT, True), (NOT_PAID_FOR, False)]:
        [plan] = weigh(registered, plan_paid_for_march, as_user, at=at).facts.plans
        assert plan.paid is paid


@pytest.mark.rule("S10", "X3")
def test_a_plan_pays_for_its_members_alone() -> None:
    """Neither for whoever has no role in it yet, nor for a member of another plan."""
    assert not weigh(registered, plan_paid_for_march).facts.paid
    elsewhere = role_assigned(plan=OTHER_PLAN, at=FIRST_OF_MARCH)
    assert not weigh(registered, plan_paid_for_march, elsewhere).facts.paid
    before = weigh(registered, plan_paid_for_march, as_user, at=FIRST_OF_MARCH - AN_INSTANT)
    assert before.facts == ContentFacts(registered=True)


@pytest.mark.rule("S10", "X3")
@pytest.mark.parametrize(
    ("plan", "says", "evidence"),
    [
        ([], "not paid for the plan yet", (0, 1)),
        ([march_paid], "ran out unpaid", (0, 1, 2)),
        ([march_paid, lapsed(LATER, END_OF_MARCH)], "ran out unpaid", (0, 1, 2, 3)),
        ([march_paid, ended_in_march], "ended the plan", (0, 1, 2, 3)),
    ],
    ids=["never paid", "ran out", "lapsed", "ended"],
)
def test_a_no_through_a_plan_rests_on_what_became_of_it(
    plan: list[SubscriptionEvent], says: str, evidence: tuple[int, ...]
) -> None:
    """The role, the plan's last payment and its ending or lapse."""
    of_the_plan = [of_plan(event) for event in plan]
    weighed = weigh(registered, as_user, *of_the_plan, at=LATER)
    [obstacle] = content_obstacles(weighed.facts)
    assert (obstacle.rule, weighed.evidence) == ("S10", evidence)
    assert says in obstacle.message


@pytest.mark.rule("A12", "X3")
def test_whoever_is_removed_has_no_access_through_the_plan() -> None:
    """From the removal on, though the plan is paid; the no rests on the removal."""
    past = (registered, plan_paid_for_march, as_user, removed_in_march)
    assert weigh(*past, at=MID_MARCH - AN_INSTANT).facts.paid
    weighed = weigh(*past)
    assert rules(weighed.facts) == ["A12"]
    assert weighed.evidence == (0, 3)


@pytest.mark.rule("A12", "X3")
def test_whoever_comes_back_has_access_again() -> None:
    """A new role in the plan, or in another that is paid, is what the yes rests on."""
    again = role_assigned(Role.ADMINISTRATOR, at=MID_MARCH)
    weighed = weigh(registered, plan_paid_for_march, as_user, removed_in_march, again)
    assert weighed.facts.paid
    assert weighed.evidence == (0, 1, 4)
    elsewhere = role_assigned(plan=OTHER_PLAN, at=MID_MARCH)
    other_paid = of_plan(march_paid, OTHER_PLAN)
    weighed = weigh(registered, as_user, removed_in_march, other_paid, elsewhere)
    assert weighed.facts.paid
    assert weighed.evidence == (0, 3, 4)


@pytest.mark.rule("A12", "A6", "X3")
def test_a_removed_member_who_pays_has_access() -> None:
    """By the steps of a subscription the account goes on as an individual one."""
    own = captured(2, MID_MARCH, date(2025, 3, 15), date(2025, 4, 14))
    weighed = weigh(registered, as_user, removed_in_march, own)
    assert weighed.facts == ContentFacts(registered=True, own=PAYING, removed=True)
    assert content_obstacles(weighed.facts) == ()
    assert weighed.evidence == (0, 3)


@pytest.mark.rule("A2", "X3")
def test_an_own_subscription_beside_a_plan() -> None:
    """Either will do, and the yes rests on the one that pays at that instant."""
    april = captured(2, FIRST_OF_MARCH, date(2025, 4, 1), END_OF_APRIL)
    past = (registered, as_user, plan_paid_for_march, april)
    in_march, in_april, later = (
        weigh(*past, at=at) for at in (MID_MARCH, NOT_PAID_FOR, noon(2025, 6, 1))
    )
    assert in_march.evidence == (0, 1, 2)
    assert in_april.evidence == (0, 3)
    assert rules(later.facts) == ["S10", "S5"]
    assert later.evidence == (0, 1, 2, 3)


# ---------------------------------------------------------------- invited, and not yet here


@pytest.mark.rule("I6", "I9", "X3")
def test_an_open_invitation_is_why_there_is_no_account_yet() -> None:
    """Open until its very expiry, and expired from then on, whether or not that is recorded."""
    sent = invitation_sent()
    for at, rule in [(EXPIRY - AN_INSTANT, "I9"), (EXPIRY, "I6")]:
        weighed = weigh(sent, at=at, account=None)
        assert rules(weighed.facts) == [rule]
        assert weighed.evidence == (0,)
    assert weigh(sent, at=BEGINNING - AN_INSTANT, account=None).evidence == ()


@pytest.mark.rule("I6", "X3")
def test_the_last_word_on_an_invitation_counts() -> None:
    """Sent again or corrected it lasts longer; revoked it is gone; a new one is open."""
    later = BEGINNING + timedelta(days=3)
    for longer in (sent_again(later), corrected(later)):
        weighed = weigh(invitation_sent(), longer, at=EXPIRY, account=None)
        assert weighed.facts.invitation is InvitationState.OPEN
        assert weighed.evidence == (1,)
    taken_back = weigh(invitation_sent(), revoked(later), at=later, account=None)
    assert rules(taken_back.facts) == ["I6"]
    assert "revoked" in content_obstacles(taken_back.facts)[0].message
    another = invitation_sent(at=later)
    weighed = weigh(invitation_sent(), revoked(later), another, at=later, account=None)
    assert rules(weighed.facts) == ["I9"]


@pytest.mark.rule("I6", "I9")
def test_an_expiry_that_is_recorded_late_says_nothing_of_a_new_invitation() -> None:
    """Whoever takes over from an expired invitation records its expiry behind the new one."""
    assert access_fact(expired(EXPIRY)) is None
    weighed = weigh(invitation_sent(), invitation_sent(at=EXPIRY), at=EXPIRY, account=None)
    assert rules(weighed.facts) == ["I9"]
    assert weighed.evidence == (1,)


@pytest.mark.rule("I7", "X3")
def test_whoever_accepted_is_judged_by_the_account() -> None:
    """Invitations are of no interest once there is an account."""
    weighed = weigh(invitation_sent(), accepted(), registered, role_assigned(), at=BEGINNING)
    assert rules(weighed.facts) == ["S10"]
    assert weighed.evidence == (2, 3)
    closed_again = weigh(invitation_sent(), accepted(), at=BEGINNING, account=None)
    assert rules(closed_again.facts) == ["A1"]
    assert closed_again.evidence == ()


# ---------------------------------------------------------------- administration of a plan


def administration(*events: Event, at: datetime = MID_MARCH) -> WeighedAdministration:
    """What the administration of the plan rests on."""
    return weigh_administration(facts_of(*events), at, account=ACCOUNT, plan=PLAN)


@pytest.mark.rule("A2", "I1", "X3")
def test_administration_rests_on_the_last_word_on_the_role() -> None:
    """The role as it was at that instant, in that plan, whoever pays."""
    raised = role_assigned(Role.ADMINISTRATOR, former_role=Role.USER, at=MID_MARCH)
    past = (registered, as_user, raised)
    assert administration(*past, at=MID_MARCH - AN_INSTANT).facts.role is Role.USER
    weighed = administration(*past)
    assert weighed.facts == AdministrationFacts(registered=True, role=Role.ADMINISTRATOR)
    assert weighed.evidence == (0, 2)
    elsewhere = role_assigned(Role.SUPER_ADMINISTRATOR, OTHER_PLAN, at=FIRST_OF_MARCH)
    assert administration(registered, elsewhere).facts.role is None


@pytest.mark.rule("A10", "A12", "I1", "X3")
def test_whoever_left_administers_nothing() -> None:
    """Removed, suspended or closed: and the no rests on that."""
    as_administrator = role_assigned(Role.ADMINISTRATOR, at=FIRST_OF_MARCH)
    removed = administration(registered, as_administrator, removed_in_march)
    assert (removed.facts.role, removed.evidence) == (None, (0, 2))
    [obstacle] = administration_obstacles(removed.facts)
    assert "no longer" in obstacle.message
    locked = administration(registered, as_administrator, happening(suspended, MID_MARCH))
    assert (locked.facts.suspended, locked.evidence) == (True, (0, 1, 2))
    gone = administration(registered, as_administrator, happening(closed, MID_MARCH))
    assert (gone.facts.closed, gone.evidence) == (True, (0, 2))
    assert administration(as_administrator).evidence == (), "nobody has that account"
