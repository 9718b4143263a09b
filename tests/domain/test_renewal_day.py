"""The day on which a card is charged anew: access goes on while nobody knows what comes of it (S8).

Day 0 of the schedule of tries. What decisions rest on and what answers rest on agree about it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta

from domain.access import weigh_content
from domain.access_facts import access_fact
from domain.calendar import local_day, start_of_day
from domain.due import DueKind, due_of
from domain.event import Event
from domain.obstacles import content_obstacles
from domain.subscription import (
    CapturePayment,
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    ResumeSubscription,
    Subscription,
    SubscriptionDecision,
    SubscriptionEvent,
    SubscriptionResumed,
    SubscriptionSurroundings,
    decide,
    subscription_decider,
)
from tests.domain.stories import (
    ACCOUNT,
    MONTHLY_PRICE_MINOR,
    SANTIAGO,
    SUBSCRIPTION,
    WHO,
    about,
    account_after,
    captured,
    charge_captured,
    charge_declined,
    ended,
    lapsed,
    manager,
    method_chosen,
    noon,
    of_plan,
    outcome_unknown,
    owner,
    paid,
    past_due,
    payment_id,
    ready,
    receipt,
    registered,
    requested,
    role_assigned,
    steps,
    system,
)
from tests.specification import Given, given

AN_INSTANT = timedelta(microseconds=1)
ONE_DAY = timedelta(days=1)
AN_HOUR = timedelta(hours=1)

FIRST_OF_MARCH = noon(2025, 3, 1)
MID_MARCH = noon(2025, 3, 15)
END_OF_MARCH = date(2025, 3, 31)
FIRST_OF_APRIL = date(2025, 4, 1)
END_OF_APRIL = date(2025, 4, 30)
RENEWAL_DAY = start_of_day(FIRST_OF_APRIL, SANTIAGO)
"""The first instant that a month from 1 March does not pay for."""
THE_DAY_AFTER = start_of_day(date(2025, 4, 2), SANTIAGO)
DURING_THE_DAY = [RENEWAL_DAY, noon(2025, 4, 1), THE_DAY_AFTER - AN_INSTANT]
MID_APRIL = noon(2025, 4, 15)

BY_CARD = paid(FIRST_OF_MARCH)
BY_TRANSFER = paid(FIRST_OF_MARCH, months=3)
renewal = requested(RENEWAL_DAY, FIRST_OF_APRIL, END_OF_APRIL)
charged = charge_captured(renewal, noon(2025, 4, 1))
unknown = outcome_unknown(renewal.payment, RENEWAL_DAY, date(2025, 4, 8))
ended_in_march = ended(MID_MARCH, END_OF_MARCH)
ENDED_ON_ITS_WAY = [*BY_CARD, renewal, ended(RENEWAL_DAY, END_OF_MARCH), charged]
"""The charge was on its way when the payer ended it, and it brought its money all the same."""


def resumed(at: datetime) -> SubscriptionResumed:
    """The payer wants it after all."""
    return SubscriptionResumed(**about(at))


def after(*events: SubscriptionEvent) -> Given[Subscription, SubscriptionEvent]:
    """This has happened."""
    return given(subscription_decider, *events)


def asks(command: SubscriptionDecision) -> Callable[[Subscription], Sequence[SubscriptionEvent]]:
    """Somebody who may gives this command about the subscription."""
    by = {CapturePayment: manager, LapseSubscription: system}.get(type(command), owner)
    around = SubscriptionSurroundings(SUBSCRIPTION, account_after(*ready))
    return lambda subscription: decide(command, by, subscription, around)


def rules_in_the_way(at: datetime, *events: Event) -> list[str]:
    """The ids of the rules that stand in the way of access to content."""
    facts = [fact for event in (registered, *events) if (fact := access_fact(event))]
    obstacles = content_obstacles(weigh_content(facts, at, account=ACCOUNT).facts)
    return [obstacle.rule for obstacle in obstacles]


# ---------------------------------------------------------------- who has such a day

LAST_DAYS = {
    "paid by card": (BY_CARD, FIRST_OF_APRIL),
    "requested": ([*BY_CARD, renewal], FIRST_OF_APRIL),
    "ended": ([*BY_CARD, ended_in_march], END_OF_MARCH),
    "ended and resumed": ([*BY_CARD, ended_in_march, resumed(MID_MARCH)], FIRST_OF_APRIL),
    "by transfer from now on": ([*BY_CARD, method_chosen(3)], FIRST_OF_APRIL),
    "paid by transfer": (BY_TRANSFER, date(2025, 5, 31)),
    "by card from now on": ([*BY_TRANSFER, method_chosen(1)], date(2025, 5, 31)),
    "by card, then by transfer": (
        [
            *BY_CARD,
            method_chosen(3),
            captured(2, MID_MARCH, FIRST_OF_APRIL, date(2025, 6, 30), months=3),
        ],
        date(2025, 6, 30),
    ),
    "by transfer, then by card": (
        [
            *BY_TRANSFER,
            method_chosen(1),
            captured(2, noon(2025, 6, 1), date(2025, 6, 1), date(2025, 6, 30)),
        ],
        date(2025, 7, 1),
    ),
    "renewed": ([*BY_CARD, renewal, charged], date(2025, 5, 1)),
    "unknown": ([*BY_CARD, renewal, unknown], date(2025, 4, 8)),
    "unknown, and no tries set": (
        [*BY_CARD, renewal, outcome_unknown(renewal.payment, RENEWAL_DAY, None)],
        FIRST_OF_APRIL,
    ),
    "past due": (
        [*BY_CARD, renewal, charge_declined(renewal, RENEWAL_DAY), past_due(RENEWAL_DAY)],
        date(2025, 4, 8),
    ),
    "paid after it lapsed": (
        [
            *BY_CARD,
            renewal,
            unknown,
            lapsed(noon(2025, 4, 9), END_OF_MARCH),
            charge_captured(renewal, noon(2025, 4, 12)),
        ],
        date(2025, 5, 1),
    ),
    "ended while its charge was on its way": (ENDED_ON_ITS_WAY, END_OF_APRIL),
    "and resumed after that": ([*ENDED_ON_ITS_WAY, resumed(MID_APRIL)], date(2025, 5, 1)),
}
"""What happened, and the last day of access that comes of it."""


@pytest.mark.rule("S4", "S5", "S7", "S8", "X1")
@pytest.mark.parametrize(("past", "last_day"), LAST_DAYS.values(), ids=LAST_DAYS)
def test_decisions_and_answers_agree_on_the_last_day(
    past: list[SubscriptionEvent], last_day: date
) -> None:
    """Access holds to its last instant, and what was paid by card and not ended has a day more."""
    is_over = start_of_day(last_day + ONE_DAY, SANTIAGO)
    state = after(*past).state
    assert not state.over(is_over - AN_INSTANT)
    assert state.over(is_over)
    assert rules_in_the_way(is_over - AN_INSTANT, *past) == []
    assert rules_in_the_way(is_over, *past) != []


@pytest.mark.rule("S8", "X2", "X3")
def test_the_answer_of_that_day_rests_on_the_payment_before() -> None:
    """It is a yes though nothing is paid for that instant; from the next day on it ran out."""
    facts = [fact for event in (registered, *BY_CARD) if (fact := access_fact(event))]
    for at in DURING_THE_DAY:
        weighed = weigh_content(facts, at, account=ACCOUNT)
        assert (weighed.facts.own.paid, weighed.facts.own.grace) == (False, True)
        assert weighed.evidence == (0, 1)
    assert rules_in_the_way(THE_DAY_AFTER, *BY_CARD) == ["S5"]


@pytest.mark.rule("S5", "S8")
def test_a_lapse_that_is_recorded_all_the_same_stops_it() -> None:
    """Without any try to come, a declined renewal lapses on that very day."""
    past = [*BY_CARD, renewal, charge_declined(renewal, RENEWAL_DAY)]
    past.append(lapsed(RENEWAL_DAY, END_OF_MARCH))
    assert after(*past).state.over(RENEWAL_DAY)
    assert rules_in_the_way(RENEWAL_DAY, *past) == ["S5"]


@pytest.mark.rule("S8", "S10")
def test_members_have_access_on_the_renewal_day_of_their_plan() -> None:
    """A plan that pays by card does so by the same rules."""
    payment = of_plan(captured(1, FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH))
    past = (role_assigned(at=FIRST_OF_MARCH), payment)
    for at in DURING_THE_DAY:
        assert rules_in_the_way(at, *past) == []
    assert rules_in_the_way(THE_DAY_AFTER, *past) == ["S10"]


# ---------------------------------------------------------------- what can be done on that day


@pytest.mark.rule("S8")
@pytest.mark.parametrize("at", DURING_THE_DAY, ids=["first instant", "noon", "last instant"])
def test_nothing_lapses_on_its_renewal_day(at: datetime) -> None:
    """The charge may still succeed; the refusal says until when to wait."""
    lapsing = LapseSubscription(at=at, account=WHO)
    after(*BY_CARD).when(asks(lapsing)).then_refused("S8", remedy_contains="2025-04-01")
    in_time = lapsing.model_copy(update={"at": THE_DAY_AFTER})
    event, _ = after(*BY_CARD).when(asks(in_time)).events
    assert event == lapsed(THE_DAY_AFTER, END_OF_MARCH)


@pytest.mark.rule("S4", "S5")
@pytest.mark.parametrize(
    ("past", "day"),
    [(BY_TRANSFER, date(2025, 6, 1)), ([*BY_CARD, ended_in_march], FIRST_OF_APRIL)],
    ids=["transfer", "ended"],
)
def test_what_is_not_charged_anew_lapses_on_its_first_unpaid_day(
    past: list[SubscriptionEvent], day: date
) -> None:
    """There is nothing to wait for."""
    at = start_of_day(day, SANTIAGO)
    lapsing = LapseSubscription(at=at, account=WHO)
    assert after(*past).when(asks(lapsing)).events[0] == lapsed(at, day - ONE_DAY)


@pytest.mark.rule("S4", "S8", "X2")
def test_it_can_be_ended_on_its_renewal_day() -> None:
    """Access then lasted to the end of what is paid, which has passed; nothing is charged."""
    at = noon(2025, 4, 1)
    ending = EndSubscription(at=at, account=WHO)
    event, _ = after(*BY_CARD).when(asks(ending)).events
    assert event == ended(at, END_OF_MARCH)
    past = after(*BY_CARD, event)
    assert past.state.over(at)
    assert rules_in_the_way(at - AN_INSTANT, *past.events) == []
    assert rules_in_the_way(at, *past.events) == ["S4"]
    [due] = due_of(past.state)
    assert due.kind is DueKind.LAPSE
    past.when(asks(ResumeSubscription(at=at, account=WHO))).then_refused("S4")


@pytest.mark.rule("A6", "S8")
def test_nothing_begins_anew_on_its_renewal_day() -> None:
    """It goes on; on the next day it has lapsed, and can."""
    again = ReactivateSubscription(at=noon(2025, 4, 1), account=WHO)
    after(*BY_CARD).when(asks(again)).then_refused("A6", message_contains="not lapsed")
    later = again.model_copy(update={"at": THE_DAY_AFTER})
    event, _ = after(*BY_CARD).when(asks(later)).events
    assert event == lapsed(THE_DAY_AFTER, END_OF_MARCH)


@pytest.mark.rule("S2", "S9")
def test_whoever_changes_to_transfers_can_pay_on_that_day() -> None:
    """From the old end; on the next day it has run out. The clock waits for it as long."""
    past = after(*BY_CARD, method_chosen(3))
    due = due_of(past.state)[-1]
    assert (due.kind, due.at) == (DueKind.LAPSE, THE_DAY_AFTER)
    transfer = CapturePayment(
        at=noon(2025, 4, 1),
        account=WHO,
        payment=payment_id(2),
        amount_minor=3 * MONTHLY_PRICE_MINOR,
        currency=renewal.currency,
        gateway_reference="gateway-2",
    )
    payment = captured(2, transfer.at, FIRST_OF_APRIL, date(2025, 6, 30), months=3)
    past.when(asks(transfer)).then(payment, receipt(payment))
    late = transfer.model_copy(update={"at": THE_DAY_AFTER})
    past.when(asks(late)).then_refused("A6", remedy_contains="ReactivateSubscription")


@pytest.mark.rule("S5", "S8")
def test_the_charge_is_due_from_the_first_instant_of_that_day() -> None:
    """For whoever paid by card, also after an ending was taken back, and by card from now on."""
    for past in (BY_CARD, [*BY_CARD, ended_in_march, resumed(MID_MARCH)]):
        [due] = due_of(after(*past).state)
        assert (due.kind, due.at) == (DueKind.RENEWAL, RENEWAL_DAY)
    [due] = due_of(after(*BY_TRANSFER, method_chosen(1)).state)
    assert (due.kind, due.day) == (DueKind.RENEWAL, date(2025, 6, 1))


# ---------------------------------------------------------------- when clocks change


@pytest.mark.rule("S5", "S8")
@pytest.mark.parametrize(
    ("day", "begins", "hours"),
    [
        (date(2025, 4, 5), datetime(2025, 4, 5, 3, tzinfo=UTC), 25),
        (date(2025, 4, 6), datetime(2025, 4, 6, 4, tzinfo=UTC), 24),
        (date(2025, 9, 6), datetime(2025, 9, 6, 4, tzinfo=UTC), 24),
        (date(2025, 9, 7), datetime(2025, 9, 7, 4, tzinfo=UTC), 23),
    ],
    ids=["clocks go back", "the day after", "the day before", "there is no midnight"],
)
def test_a_renewal_day_is_a_day_of_chile(day: date, begins: datetime, hours: int) -> None:
    """It has 25 hours where clocks go back at its end, and 23 where they skip its midnight."""
    first_day = day - relativedelta(months=1)
    payment = captured(1, noon(2025, 3, 1), first_day, day - ONE_DAY)
    past = [*steps(), payment]
    state = after(*past).state
    ends = begins + hours * AN_HOUR
    for at, paid_for, goes_on in [
        (begins - AN_INSTANT, True, True),
        (begins, False, True),
        (ends - AN_INSTANT, False, True),
        (ends, False, False),
    ]:
        assert (state.ran_out(at), state.over(at)) == (not paid_for, not goes_on)
        assert (rules_in_the_way(at, *past) == []) is goes_on
    [due] = due_of(state)
    assert (due.kind, due.at) == (DueKind.RENEWAL, begins)


@pytest.mark.rule("S5", "S8")
def test_decisions_and_answers_agree_on_the_renewal_day_after_any_day_of_four_years() -> None:
    """Whatever the clocks of Chile do; the day itself is what dateutil makes of it."""
    for number in range(4 * 365 + 1):
        first_day = date(2023, 1, 1) + number * ONE_DAY
        day = first_day + relativedelta(months=1)
        payment = captured(1, noon(2023, 1, 1), first_day, day - ONE_DAY)
        fact = access_fact(payment)
        assert fact
        assert fact.ends_at
        assert fact.renewed_by
        assert local_day(fact.ends_at, SANTIAGO) == day
        assert local_day(fact.renewed_by - AN_INSTANT, SANTIAGO) == day
        state = after(*steps(), payment).state
        assert state.renewal_day == day
        for at in (fact.ends_at - AN_INSTANT, fact.ends_at, fact.renewed_by - AN_INSTANT):
            assert state.in_grace(at)
            assert not state.over(at)
        assert state.over(fact.renewed_by)
