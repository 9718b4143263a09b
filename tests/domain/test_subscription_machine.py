"""Any command about a subscription, in any order, from anybody, at times forwards and backwards."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import reduce
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.access import weigh_content
from domain.access_facts import access_fact
from domain.account import (
    AccountClosed,
    AccountEvent,
    AccountReinstated,
    AccountSuspended,
    Standing,
    account_decider,
)
from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.calendar import local_day, start_of_day
from domain.event import Event
from domain.money import Currency
from domain.obstacles import content_obstacles
from domain.refusal import Refused
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PlanConfirmed,
    ReactivateSubscription,
    ResumeSubscription,
    StartSubscription,
    Subscription,
    SubscriptionDecision,
    SubscriptionEnded,
    SubscriptionEvent,
    SubscriptionLapsed,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStarted,
    SubscriptionSurroundings,
    TaxDocumentKind,
    decide,
    subscription_decider,
)
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    PERSON,
    SANTIAGO,
    STRANGER,
    SUBSCRIPTION,
    WHO,
    closed,
    manager,
    owner,
    password_set,
    payment_id,
    phone_confirmed,
    ready,
    registered,
    reinstated,
    suspended,
    system,
    through_the_log,
)

ONE_DAY = timedelta(days=1)
AN_INSTANT = timedelta(microseconds=1)
Months: TypeAlias = Literal[1, 3, 6, 12]
MONTHS: st.SearchStrategy[Months] = st.sampled_from((1, 3, 6, 12))
PRICE_MINOR = st.sampled_from([9990, 12000])

anybody = st.builds(
    Actor, kind=st.sampled_from(ActorKind), id=st.sampled_from([PERSON, STRANGER, None])
)
# Whom the table of G1 lets through is asked more often, so that more happens.
insiders = st.sampled_from([owner, manager, system])
actors = st.one_of(insiders, anybody)
account_changes: st.SearchStrategy[AccountEvent] = st.sampled_from(
    [phone_confirmed, password_set, suspended, reinstated, reinstated, closed]
)
WHAT = [
    *["steps"] * 2, *["payment"] * 4, *["anything"] * 4, *["turn"] * 3, "change of the account"
]  # fmt: skip
EVENTS_BEFORE_CLOSING = 25
times_between = st.one_of(
    st.integers(0, 3), st.integers(20, 40), st.integers(-60, 60), st.integers(-800, 800)
).map(lambda days: timedelta(days=days))
hours = st.integers(0, 23).map(lambda hours: timedelta(hours=hours))


@st.composite
def commands(draw: st.DrawFn, at: datetime) -> SubscriptionDecision:
    """Any command, sensible or not, at this time."""
    kind = draw(st.sampled_from(["step", "payment", "turn"]))
    if kind == "step":
        return draw(step_commands(at))
    if kind == "payment":
        return draw(payment_commands(at))
    return draw(turn_commands(at))


@st.composite
def step_commands(draw: st.DrawFn, at: datetime) -> SubscriptionDecision:
    """One of the steps before the payment."""
    months = draw(MONTHS)
    steps: list[SubscriptionDecision] = [
        StartSubscription(at=at, account=WHO, time_zone=draw(st.sampled_from([SANTIAGO, "UTC"]))),
        ChooseTaxDocument(at=at, account=WHO, kind=draw(st.sampled_from(TaxDocumentKind))),
        ConfirmPlan(
            at=at,
            account=WHO,
            plan="full-access",
            price_version=1,
            monthly_price_minor=draw(PRICE_MINOR),
            currency=Currency.CLP,
        ),
        ChoosePaymentMethod(at=at, account=WHO, means=means_for(months), months=months),
    ]
    return draw(st.sampled_from(steps))


@st.composite
def payment_commands(draw: st.DrawFn, at: datetime) -> SubscriptionDecision:
    """A payment of some price, captured or declined, perhaps not for the first time."""
    number = draw(st.integers(0, 200))
    amount_minor = draw(PRICE_MINOR) * draw(st.sampled_from([1, 3, 6, 12]))
    if draw(st.booleans()):
        return DeclinePayment(
            at=at,
            account=WHO,
            payment=payment_id(number),
            amount_minor=amount_minor,
            currency=Currency.CLP,
            reason=draw(st.sampled_from(DeclineReason)),
        )
    return payment(at, number, amount_minor)


def turn_commands(at: datetime) -> st.SearchStrategy[SubscriptionDecision]:
    """An ending, the taking back of it, a lapse or a reactivation."""
    turns: list[SubscriptionDecision] = [
        EndSubscription(at=at, account=WHO),
        ResumeSubscription(at=at, account=WHO),
        LapseSubscription(at=at, account=WHO),
        ReactivateSubscription(at=at, account=WHO),
    ]
    return st.sampled_from(turns)


def means_for(months: int) -> PaymentMeans:
    """A card pays for one month, a transfer for more."""
    return PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER


def payment(at: datetime, number: int, amount_minor: int) -> CapturePayment:
    """A payment that succeeded."""
    return CapturePayment(
        at=at,
        account=WHO,
        payment=payment_id(number),
        amount_minor=amount_minor,
        currency=Currency.CLP,
        gateway_reference=f"gateway-{number}",
    )


def days_after(paid: PaymentCaptured) -> list[date]:
    """The first day that it does not pay for, on which a card is charged anew, and the next."""
    return [paid.period_to + ONE_DAY, paid.period_to + 2 * ONE_DAY]


class SubscriptionMachine(RuleBasedStateMachine):
    """One subscription, the account that it belongs to, and a clock that may go backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.account_events: list[AccountEvent] = []
        self.log: list[Event] = []
        self.events: list[SubscriptionEvent] = []
        self.subscription = subscription_decider.initial
        self.decided_on: dict[int, Subscription] = {}
        self.next_payment = 1000

    @property
    def payments(self) -> list[PaymentCaptured]:
        """What was paid, in order."""
        return [event for event in self.events if isinstance(event, PaymentCaptured)]

    # ------------------------------------------------------------ what may happen

    @initialize(events=st.sampled_from([ready, ready, ready, [registered]]))
    def the_account_is_there(self, events: Sequence[AccountEvent]) -> None:
        """Most accounts are ready for a subscription."""
        self.account_events = list(events)
        self.log = [*events]

    # One rule, for Hypothesis leaves out whole rules at random, and all are needed to get far.
    @rule(what=st.sampled_from(WHAT), by=times_between, hour=hours, data=st.data())
    def something_happens(
        self, what: str, by: timedelta, hour: timedelta, data: st.DataObject
    ) -> None:
        """Time passes, or what happened is told late."""
        there = min(max(self.now + by, BEGINNING - 900 * ONE_DAY), BEGINNING + 9000 * ONE_DAY)
        self.now = there.replace(hour=0) + hour
        match what:
            case "anything":
                self._ask(data.draw(commands(self.now)), data.draw(actors))
            case "turn":
                self._ask(data.draw(turn_commands(self.now)), data.draw(insiders))
            case "steps":
                self._go_through_all_steps(data.draw(MONTHS))
            case "payment":
                self._pay()
            case _:
                self._change_the_account(data.draw(account_changes))

    def _change_the_account(self, event: AccountEvent) -> None:
        # Closed is for good, so it comes late.
        too_early = event is closed and len(self.events) < EVENTS_BEFORE_CLOSING
        if self._standing() is not Standing.CLOSED and not too_early:
            happened = event.model_copy(update={"occurred_at": self.now})
            self.account_events.append(happened)
            self.log.append(happened)

    def _go_through_all_steps(self, months: Months) -> None:
        about: dict[str, Any] = {"at": self.now, "account": WHO}
        steps: list[SubscriptionDecision] = [
            StartSubscription(**about, time_zone=SANTIAGO),
            ReactivateSubscription(**about),
            ChooseTaxDocument(**about, kind=TaxDocumentKind.BOLETA),
            ConfirmPlan(
                **about,
                plan="full-access",
                price_version=1,
                monthly_price_minor=9990,
                currency=Currency.CLP,
            ),
            ChoosePaymentMethod(**about, means=means_for(months), months=months),
        ]
        for step in steps:
            self._ask(step, owner)

    def _pay(self) -> None:
        terms, method = self.subscription.terms, self.subscription.method
        if terms and method:
            self.next_payment += 1
            amount_minor = terms.monthly_price_minor * method.months
            self._ask(payment(self.now, self.next_payment, amount_minor), system)

    def _ask(self, command: SubscriptionDecision, actor: Actor) -> None:
        self.decided_on[len(self.events)] = self.subscription
        account = account_decider.replay(self.account_events)
        around = SubscriptionSurroundings(subscription=SUBSCRIPTION, account=account)
        try:
            refuse_unless_may_give(actor, type(command))
            made = decide(command, actor, self.subscription, around)
        except Refused:
            return
        assert account.standing is not Standing.CLOSED, "A10: nothing happens to a closed account"
        if actor.kind is ActorKind.PERSON:
            assert actor == owner, "G1: a person acts on their own account"
            assert account.standing is Standing.OPEN, "A10: a suspended owner waits"
        self.subscription = reduce(subscription_decider.evolve, made, self.subscription)
        written = [through_the_log(event) for event in made]
        self.events += written
        self.log += written

    def _standing(self) -> Standing:
        return account_decider.replay(self.account_events).standing

    # ------------------------------------------------------------ what always holds

    def teardown(self) -> None:
        """Whatever was decided can be decided again: any prefix gives the state of that time."""
        self.decided_on[len(self.events)] = self.subscription
        for length, state in self.decided_on.items():
            assert subscription_decider.replay(self.events[:length]) == state

    @invariant()
    def the_first_event_is_the_start(self) -> None:
        """S1: the steps begin once."""
        starts = [n for n, e in enumerate(self.events) if isinstance(e, SubscriptionStarted)]
        assert starts == ([0] if self.events else [])

    @invariant()
    def paid_through_follows_from_the_payments_alone(self) -> None:
        """S5: the last day that is paid for is the last day of the last payment."""
        last_days = [event.period_to for event in self.payments]
        assert self.subscription.paid_through == (last_days[-1] if last_days else None)
        assert last_days == sorted(last_days)

    @invariant()
    def no_day_is_paid_for_twice_and_none_is_left_out(self) -> None:
        """S5, S9: periods follow one another, and only a reactivation leaves days between."""
        for former, later in pairwise(self.payments):
            begun_anew = self._reactivated_between(former, later)
            first_free_day = former.period_to + ONE_DAY
            own_day = local_day(later.occurred_at, later.time_zone)
            expected = max(first_free_day, own_day) if begun_anew else first_free_day
            assert later.period_from == expected

    @invariant()
    def months_are_counted_from_the_first_payment(self) -> None:
        """S5: every period ends so many calendar months after the day of the first payment."""
        anchor, months = date.min, 0
        for n, event in enumerate(self.payments):
            if n == 0 or self._reactivated_between(self.payments[n - 1], event):
                anchor, months = event.period_from, 0
            months += event.amount_minor // self._monthly_price_minor(event)
            assert event.period_to == anchor + relativedelta(months=months) - ONE_DAY

    @invariant()
    def a_payment_has_one_outcome(self) -> None:
        """S6: no payment is recorded twice."""
        outcomes = [
            event.payment
            for event in self.events
            if isinstance(event, PaymentCaptured | PaymentDeclined)
        ]
        assert len(outcomes) == len(set(outcomes))
        assert self.subscription.payments == set(outcomes)

    @invariant()
    def access_never_holds_without_a_payment(self) -> None:
        """S3, S8, A10: there is access while a payment pays, or a card is charged anew.

        And while the account is open; never otherwise.
        """
        facts = [fact for event in self.log if (fact := access_fact(event))]
        for at in self._instants_to_ask_about():
            access = content_obstacles(weigh_content(facts, at, account=ACCOUNT).facts) == ()
            granted = self._paid(at) or self._charged_anew(at)
            assert access == (granted and self._open(at))

    @invariant()
    def decisions_and_answers_rest_on_the_same(self) -> None:
        """S3, S5: what an active subscription takes for paid is what gives access."""
        if not self.subscription.paying:
            return
        for at in self._instants_to_ask_about():
            day = local_day(at, self.subscription.time_zone)
            paid = any(event.period_from <= day <= event.period_to for event in self.payments)
            since_the_first = self.subscription.anchor and day >= self.subscription.anchor
            assert not since_the_first or paid == (not self.subscription.ran_out(at))

    @invariant()
    def what_is_over_gives_no_access(self) -> None:
        """S4, S5, S8: and what is not does, at any instant by which all had happened."""
        if not self.subscription.paying or self._standing() is not Standing.OPEN:
            return
        facts = [fact for event in self.log if (fact := access_fact(event))]
        for at in self._instants_to_ask_about():
            if at >= max(event.occurred_at for event in self.log):
                own = weigh_content(facts, at, account=ACCOUNT).facts.own
                assert own.gives_access == (not self.subscription.over(at))

    def _reactivated_between(self, former: PaymentCaptured, later: PaymentCaptured) -> bool:
        between = self.events[self.events.index(former) : self.events.index(later)]
        return any(isinstance(event, SubscriptionReactivated) for event in between)

    def _monthly_price_minor(self, paid: PaymentCaptured) -> int:
        before = self.events[: self.events.index(paid)]
        return [e for e in before if isinstance(e, PlanConfirmed)][-1].monthly_price_minor

    def _instants_to_ask_about(self) -> list[datetime]:
        edges = [
            start_of_day(day, event.time_zone)
            for event in self.payments[-2:]
            for day in (event.period_from, *days_after(event))
        ]
        return [self.now, *edges, *(edge - AN_INSTANT for edge in edges)]

    def _paid(self, at: datetime) -> bool:
        return any(
            event.occurred_at <= at
            and event.period_from <= local_day(at, event.time_zone) <= event.period_to
            for event in self.payments
        )

    def _charged_anew(self, at: datetime) -> bool:
        """By going through what had happened once: ended or lapsed, nothing is charged."""
        last: PaymentCaptured | None = None
        ended = waits = False
        for event in self.events:
            if event.occurred_at > at:
                continue
            match event:
                case PaymentCaptured():
                    last, waits = event, not ended
                case SubscriptionResumed():
                    ended, waits = False, True
                case SubscriptionEnded():
                    ended, waits = True, False
                case SubscriptionReactivated():
                    ended, waits = False, False
                case SubscriptionLapsed():
                    waits = False
                case _:
                    pass
        if last is None or last.means is not PaymentMeans.CARD:
            return False
        return waits and local_day(at, last.time_zone) == last.period_to + ONE_DAY

    def _open(self, at: datetime) -> bool:
        told = [
            type(event)
            for event in self.log
            if event.occurred_at <= at
            and isinstance(event, AccountSuspended | AccountReinstated | AccountClosed)
        ]
        return at >= BEGINNING and (not told or told[-1] is AccountReinstated)


RULES = ("S1", "S3", "S4", "S5", "S6", "S8", "S9", "A10", "G1")


@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_subscription() -> None:
    """Its rules hold in any order, and its past can be replayed."""
    run_state_machine_as_test(SubscriptionMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_subscription_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(SubscriptionMachine)
