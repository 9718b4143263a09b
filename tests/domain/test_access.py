"""What access rests on, what stands in its way, and what to do about it (X1 to X3)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from domain import access
from domain.access import (
    AccessFactKind,
    ContentFacts,
    Obstacle,
    WeighedContent,
    access_fact,
    content_obstacles,
    weigh_content,
)
from domain.account import AccountEvent
from domain.calendar import start_of_day
from domain.event import Event, event_classes
from domain.subscription import PaymentCaptured, SubscriptionEvent, SubscriptionResumed
from tests.domain.stories import (
    BEGINNING,
    PERSON,
    SANTIAGO,
    about,
    captured,
    closed,
    ended,
    erased,
    lapsed,
    noon,
    reactivated,
    registered,
    reinstated,
    suspended,
)

PAID = ContentFacts(registered=True, paid=True, ever_paid=True)
RAN_OUT = ContentFacts(registered=True, ever_paid=True)
OBSTACLES = [value for value in vars(access).values() if isinstance(value, Obstacle)]


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
    assert rules(ContentFacts(registered=True, ended=True)) == ["S3"]


@pytest.mark.rule("X2", "S4")
def test_there_is_no_access_after_the_last_day_of_an_ended_subscription() -> None:
    """Access outlasts an ending to the last day that is paid for, and no longer."""
    assert rules(replace(PAID, ended=True)) == []
    assert rules(replace(RAN_OUT, ended=True)) == ["S4"]


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
    others = ["registered", "closed", "suspended", "ever_paid", "ended"]
    for values in product([False, True], repeat=len(others)):
        assert rules(ContentFacts(**dict(zip(others, values, strict=True)))) != []


# ---------------------------------------------------------------- what access rests on

AN_INSTANT = timedelta(microseconds=1)
FIRST_OF_MARCH = noon(2025, 3, 1)
MID_MARCH = noon(2025, 3, 15)
END_OF_MARCH = date(2025, 3, 31)
LATER = noon(2025, 5, 1)
NOT_PAID_FOR = start_of_day(date(2025, 4, 1), SANTIAGO)
march_paid = captured(1, FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
ended_in_march = ended(MID_MARCH, END_OF_MARCH)


def weigh(*events: AccountEvent | SubscriptionEvent, at: datetime = MID_MARCH) -> WeighedContent:
    """What these events amount to at an instant."""
    facts = [fact for event in events if (fact := access_fact(event))]
    assert len(facts) == len(events), "each of these events means something for access"
    return weigh_content(facts, at)


def happening(event: AccountEvent, at: datetime) -> AccountEvent:
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
        assert weigh(registered, march_paid, at=at).facts.paid is paid


@pytest.mark.rule("X1", "S9")
def test_a_payment_made_early_pays_from_its_first_day() -> None:
    """A payment for April that came in March pays for no day in March."""
    april = captured(2, FIRST_OF_MARCH, date(2025, 4, 1), date(2025, 4, 30))
    assert not weigh(registered, april, at=NOT_PAID_FOR - AN_INSTANT).facts.paid
    assert weigh(registered, april, at=NOT_PAID_FOR).facts.paid


@pytest.mark.rule("X1", "S5")
def test_days_are_those_of_the_time_zone_of_the_payment() -> None:
    """What is paid for to the end of March in Chile is paid for in the first hours of April UTC."""
    assert weigh(registered, march_paid, at=datetime(2025, 4, 1, 2, tzinfo=UTC)).facts.paid
    in_utc = march_paid.model_copy(update={"time_zone": "UTC"})
    assert not weigh(registered, in_utc, at=datetime(2025, 4, 1, 2, tzinfo=UTC)).facts.paid


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
    assert after.facts == PAID
    assert after.evidence == (0, 1, 3)


@pytest.mark.rule("X3", "A10", "A11")
@pytest.mark.parametrize("end", [closed, erased], ids=["closed", "erased"])
def test_a_closing_or_an_erasure_is_what_a_no_rests_on(end: AccountEvent) -> None:
    """A closed account has no access, and the answer rests on the closing."""
    weighed = weigh(registered, march_paid, happening(end, MID_MARCH))
    assert weighed.facts.closed
    assert 2 in weighed.evidence


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
    "event",
    [
        SubscriptionResumed(**about(MID_MARCH)),
        lapsed(LATER, END_OF_MARCH),
        reactivated(LATER),
    ],
    ids=["resumed", "lapsed", "reactivated"],
)
def test_an_ending_counts_until_the_next_turn(event: SubscriptionEvent) -> None:
    """After a resumption, a lapse or a reactivation it ran out and was not ended."""
    weighed = weigh(registered, march_paid, ended_in_march, event, at=LATER)
    assert rules(weighed.facts) == ["S5"]
    assert weighed.evidence == (0, 1, 3)


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
    }
    if cls is PaymentCaptured:
        fact = access_fact(march_paid)
        assert fact
        assert fact.kind is AccessFactKind.PAID
        return
    fact = access_fact(cls.model_construct(occurred_at=BEGINNING, person=PERSON))
    assert (fact and fact.kind) == meaning.get(cls.__name__)
