"""Any command about a subscription, in any order, from anybody, at times forwards and backwards."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain.access import ContentFacts, content_obstacles
from domain.account import AccountEvent, Standing, account_decider
from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.calendar import local_day
from domain.money import Currency
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
    registered,
    reinstated,
    suspended,
    system,
    through_the_log,
)

ONE_DAY = timedelta(days=1)
PRICE_MINOR = st.sampled_from([9990, 12000])

anybody = st.builds(
    Actor, kind=st.sampled_from(ActorKind), id=st.sampled_from([PERSON, STRANGER, None])
)
# Whom the table of G1 lets through is asked more often, so that more happens.
actors = st.one_of(st.sampled_from([owner, manager, system]), anybody)
steps_in_time = st.one_of(
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
    turn = draw(
        st.sampled_from(
            [EndSubscription, ResumeSubscription, LapseSubscription, ReactivateSubscription]
        )
    )
    return turn(at=at, account=WHO)


@st.composite
def step_commands(draw: st.DrawFn, at: datetime) -> SubscriptionDecision:
    """One of the steps before the payment."""
    months = draw(st.sampled_from([1, 3, 6, 12]))
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
        ChoosePaymentMethod.model_validate(
            {
                "at": at,
                "account": WHO,
                "means": PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER,
                "months": months,
            }
        ),
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


class SubscriptionMachine(RuleBasedStateMachine):
    """One subscription, the account that it belongs to, and a clock that may go backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.account_events: list[AccountEvent] = [registered]
        self.events: list[SubscriptionEvent] = []
        self.decided_on: dict[int, Subscription] = {0: subscription_decider.initial}
        self.next_payment = 1000

    @property
    def subscription(self) -> Subscription:
        """The subscription as it stands."""
        return subscription_decider.replay(self.events)

    @property
    def payments(self) -> list[PaymentCaptured]:
        """What was paid, in order."""
        return [event for event in self.events if isinstance(event, PaymentCaptured)]

    # ------------------------------------------------------------ what may happen

    @rule(by=steps_in_time, hour=hours)
    def time_passes(self, by: timedelta, hour: timedelta) -> None:
        """What happens next happened later, or is told late."""
        there = min(max(self.now + by, BEGINNING - 900 * ONE_DAY), BEGINNING + 9000 * ONE_DAY)
        self.now = there.replace(hour=0) + hour

    @rule(event=st.sampled_from([phone_confirmed, password_set, suspended, reinstated]))
    def the_account_changes(self, event: AccountEvent) -> None:
        """The phone is confirmed, a password set, the account suspended or reinstated."""
        if self._standing() is not Standing.CLOSED:
            self.account_events.append(event)

    @precondition(lambda self: len(self.events) > 12)
    @rule(sometimes=st.integers(0, 9))
    def the_account_is_closed(self, sometimes: int) -> None:
        """Now and then somebody closes the account."""
        if sometimes == 0:
            self.account_events.append(closed)

    @rule(data=st.data(), actor=actors)
    def ask_anything(self, data: st.DataObject, actor: Actor) -> None:
        """Somebody asks for something, in no order."""
        self._ask(data.draw(commands(self.now)), actor)

    @rule(months=st.sampled_from([1, 1, 3, 6, 12]))
    def go_through_all_steps(self, months: int) -> None:
        """The owner goes through the steps in their order."""
        means = PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER
        steps = [
            StartSubscription(at=self.now, account=WHO, time_zone=SANTIAGO),
            ReactivateSubscription(at=self.now, account=WHO),
            ChooseTaxDocument(at=self.now, account=WHO, kind=TaxDocumentKind.BOLETA),
            ConfirmPlan(
                at=self.now,
                account=WHO,
                plan="full-access",
                price_version=1,
                monthly_price_minor=9990,
                currency=Currency.CLP,
            ),
            ChoosePaymentMethod.model_validate(
                {"at": self.now, "account": WHO, "means": means, "months": months}
            ),
        ]
        for step in steps:
            self._ask(step, owner)

    @precondition(lambda self: self.subscription.terms and self.subscription.method)
    @rule()
    def pay(self) -> None:
        """The price comes in."""
        terms, method = self.subscription.terms, self.subscription.method
        assert terms
        assert method
        self.next_payment += 1
        amount_minor = terms.monthly_price_minor * method.months
        self._ask(payment(self.now, self.next_payment, amount_minor), system)

    def _ask(self, command: SubscriptionDecision, actor: Actor) -> None:
        before = self.subscription
        self.decided_on[len(self.events)] = before
        account = account_decider.replay(self.account_events)
        around = SubscriptionSurroundings(subscription=SUBSCRIPTION, account=account)
        try:
            refuse_unless_may_give(actor, type(command))
            made = decide(command, actor, before, around)
        except Refused:
            return
        assert account.standing is not Standing.CLOSED, "A10: nothing happens to a closed account"
        if actor.kind is ActorKind.PERSON:
            assert actor == owner, "G1: a person acts on their own account"
            assert account.standing is Standing.OPEN, "A10: a suspended owner waits"
        self.events += [through_the_log(event) for event in made]

    def _standing(self) -> Standing:
        return account_decider.replay(self.account_events).standing

    # ------------------------------------------------------------ what always holds

    @invariant()
    def every_prefix_gives_the_state_that_was_decided_on(self) -> None:
        """Whatever was decided can be decided again from the events before it."""
        for length, subscription in self.decided_on.items():
            assert subscription_decider.replay(self.events[:length]) == subscription

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
        """S3: there is access on the days that a payment pays for, and on no others."""
        standing = self._standing()
        for at in self._instants_to_ask_about():
            facts = self._facts(at)
            access = content_obstacles(facts) == ()
            assert access == (facts.paid and standing is Standing.OPEN)
            assert not facts.paid or self.payments

    @invariant()
    def decisions_and_answers_rest_on_the_same(self) -> None:
        """S3, S5: what an active subscription takes for paid is what gives access."""
        subscription = self.subscription
        if subscription.paying and subscription.anchor and subscription.paid_through:
            for at in self._instants_to_ask_about():
                since_the_first = local_day(at, subscription.time_zone) >= subscription.anchor
                if since_the_first:
                    assert self._facts(at).paid == (not subscription.ran_out(at))

    def _reactivated_between(self, former: PaymentCaptured, later: PaymentCaptured) -> bool:
        between = self.events[self.events.index(former) : self.events.index(later)]
        return any(isinstance(event, SubscriptionReactivated) for event in between)

    def _monthly_price_minor(self, paid: PaymentCaptured) -> int:
        before = self.events[: self.events.index(paid)]
        return [e for e in before if isinstance(e, PlanConfirmed)][-1].monthly_price_minor

    def _instants_to_ask_about(self) -> list[datetime]:
        edges = [self.now, BEGINNING]
        for event in self.payments[-2:]:
            edges += [
                event.occurred_at + (day - event.period_from)
                for day in (event.period_from - ONE_DAY, event.period_from, event.period_to)
            ]
            edges.append(edges[-1] + ONE_DAY)
        return edges

    def _facts(self, at: datetime) -> ContentFacts:
        standing = self._standing()
        return ContentFacts(
            registered=True,
            closed=standing is Standing.CLOSED,
            suspended=standing is Standing.SUSPENDED,
            paid=any(
                event.period_from <= local_day(at, event.time_zone) <= event.period_to
                for event in self.payments
            ),
            ever_paid=bool(self.payments),
            ended=self._ended(),
        )

    def _ended(self) -> bool:
        turns = [
            event
            for event in self.events
            if isinstance(
                event,
                SubscriptionEnded
                | SubscriptionResumed
                | SubscriptionLapsed
                | SubscriptionReactivated,
            )
        ]
        return bool(turns) and isinstance(turns[-1], SubscriptionEnded)


RULES = ("S1", "S3", "S5", "S6", "S9", "A10", "G1")


@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_subscription() -> None:
    """Its rules hold in any order, and its past can be replayed."""
    run_state_machine_as_test(SubscriptionMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_subscription_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(SubscriptionMachine)
