"""A card charged for years by a clock that is killed, through a gateway that lies and hangs.

The gateway keeps a book of its own, as real ones do: it takes the money of a payment once, however
often it is asked. It may take it and not say so, not answer at all, say everything twice, late or
in another order, and name wrong amounts and payments that nobody asked for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import reduce
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any
from uuid import UUID

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
from domain.account import AccountEvent, Standing, account_decider
from domain.actor import Actor
from domain.authority import refuse_unless_may_give
from domain.calendar import local_day
from domain.due import Due, DueKind, due_of
from domain.event import Event
from domain.money import Currency
from domain.obstacles import content_obstacles
from domain.refusal import Refused
from domain.subscription import (
    AnnouncePrice,
    CapturePayment,
    CaptureRefund,
    ChargeRequested,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    FailRefund,
    LapseSubscription,
    NoticeRequested,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PlanConfirmed,
    PriceAnnounced,
    ReactivateSubscription,
    RecordUnknownCharge,
    RefundFailed,
    RefundFailure,
    RefundPayment,
    RefundReason,
    RefundRequested,
    RefundStanding,
    RemindPayment,
    RequestCharge,
    ResumeSubscription,
    StartSubscription,
    Subscription,
    SubscriptionDecision,
    SubscriptionEnded,
    SubscriptionEvent,
    SubscriptionFact,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStanding,
    SubscriptionStarted,
    SubscriptionSurroundings,
    TaxDocumentChosen,
    TaxDocumentKind,
    UnknownReason,
    decide,
    subscription_decider,
)
from projections.billing_history import lines_of
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    SANTIAGO,
    SUBSCRIPTION,
    WHO,
    closed,
    manager,
    owner,
    ready,
    system,
    through_the_log,
)

ONE_DAY = timedelta(days=1)
AN_INSTANT = timedelta(microseconds=1)
LONGEST_GRACE = 7 * ONE_DAY
EVENTS_BEFORE_CLOSING = 40
MONTHLY_PRICES_MINOR = {"full-access": 9990, "basic": 4990}
"""Of the first version of each plan's prices."""
ASKED_FOR = attrgetter(
    "amount_minor", "currency", "means", "plan", "price_version", "time_zone", "tax_document"
)
"""What a payment has of its request, whenever its outcome comes."""

WHAT = [
    *["clock"] * 7, *["killed clock"] * 2, *["webhook"] * 2, *["payer"] * 4, *["agreement"] * 3,
    *["staff"] * 2, *["refund"] * 2, "closing",
]  # fmt: skip
MOODS = ["takes", "takes", "takes", "refuses", "refuses", "takes and does not say", "hangs"]
days_passing = st.one_of(st.integers(0, 3), st.integers(0, 40))


@dataclass
class Gateway:
    """What the gateway knows: the truth about the money, whatever it says.

    Attributes:
        taken: the payments whose money it took, with their amounts.
        refused: those that it refused for good.
        said: everything that it ever said, to be said again.
    """

    taken: dict[UUID, int] = field(default_factory=dict[UUID, int])
    refused: set[UUID] = field(default_factory=set[UUID])
    given_back: dict[UUID, int] = field(default_factory=dict[UUID, int])
    said: list[tuple[ChargeRequested, bool]] = field(
        default_factory=list[tuple[ChargeRequested, bool]]
    )

    def ask(self, request: ChargeRequested, mood: str) -> bool | None:
        """Whether the money was taken; None where it does not say. Asked again, it is the same."""
        known = request.payment in self.taken or request.payment in self.refused
        if not known and mood.startswith("takes"):
            self.taken[request.payment] = request.amount_minor
        elif not known and mood == "refuses":
            self.refused.add(request.payment)
        if mood in {"takes and does not say", "hangs"}:
            return None
        took = request.payment in self.taken
        self.said.append((request, took))
        return took


class ChargingMachine(RuleBasedStateMachine):
    """One subscription, its gateway, and time, which goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.account_events: list[AccountEvent] = [*ready]
        self.log: list[Event] = [*ready]
        self.events: list[SubscriptionEvent] = []
        self.subscription = subscription_decider.initial
        self.decided_on: dict[int, Subscription] = {}
        self.gateway = Gateway()
        self.next_id = 5000
        self.newest = dict.fromkeys(MONTHLY_PRICES_MINOR, 1)
        self.owed: Counter[str | None] = Counter()

    # ------------------------------------------------------------ what may happen

    @initialize(mood=st.sampled_from(MOODS))
    def somebody_subscribes(self, mood: str) -> None:
        """By card; the first payment may fail already."""
        self._take_steps()
        self._charge(self.now, mood)

    # One rule, for Hypothesis leaves out whole rules at random, and all are needed to get far.
    @rule(what=st.sampled_from(WHAT), days=days_passing, data=st.data())
    def something_happens(self, what: str, days: int, data: st.DataObject) -> None:
        """Time passes, and somebody does something."""
        self.now += days * ONE_DAY + timedelta(hours=data.draw(st.integers(0, 23)))
        match what:
            case "clock":
                self._clock(data.draw(st.lists(st.sampled_from(MOODS), min_size=1, max_size=4)))
            case "killed clock":
                self._request_alone()
                self._agreement(data)
            case "agreement":
                self._agreement(data)
            case "webhook":
                self._webhook(data)
            case "payer":
                self._payer(data)
            case "staff":
                self._staff(data)
            case "refund":
                self._refund(data)
            case _:
                self._close()

    def _clock(self, moods: Sequence[str]) -> None:
        """Everything due is done in its order, and what the clock asks for is never refused."""
        for number in range(200):
            due = next(self._due_now(), None)
            if due is None:
                return
            mood = moods[number % len(moods)]
            if due.kind is DueKind.LAPSE:
                assert self._ask(LapseSubscription(at=due.at, account=WHO), system)
            elif due.kind is DueKind.PAYMENT_REMINDER:
                assert self._ask(RemindPayment(at=due.at, account=WHO), system)
                assert not self._ask(RemindPayment(at=due.at, account=WHO), system)
            elif due.kind is DueKind.RESOLUTION:
                if not self._resolve(mood):
                    self._lapse_if_due()
                    return
            else:
                assert due.kind in {DueKind.RENEWAL, DueKind.RETRY}
                self._charge(due.at, mood)
        pytest.fail("the clock never comes to rest")

    def _due_now(self) -> Iterator[Due]:
        closed_account = self._standing() is Standing.CLOSED
        for due in due_of(self.subscription, closed=closed_account):
            if due.at <= self.now and due.kind is not DueKind.REFUND:
                yield due

    def _lapse_if_due(self) -> None:
        """Whoever waits for the gateway does not keep access for ever."""
        for due in self._due_now():
            if due.kind is DueKind.LAPSE:
                assert self._ask(LapseSubscription(at=due.at, account=WHO), system)

    def _charge(self, at: datetime, mood: str) -> None:
        made = self._ask(RequestCharge(at=at, account=WHO), system)
        assert made, "what is due can be charged"
        # Another clock at the same time, or a restarted one, asks for nothing more.
        assert not self._ask(RequestCharge(at=at, account=WHO), system)
        self._resolve(mood, at=at)

    def _request_alone(self) -> None:
        """On the next day of a charge the clock is killed before it asks the gateway."""
        due = next(iter(due_of(self.subscription)), None)
        if due is not None and due.kind in {DueKind.RENEWAL, DueKind.RETRY}:
            self.now = max(self.now, due.at)
            self._ask(RequestCharge(at=due.at, account=WHO), system)

    def _resolve(self, mood: str, *, at: datetime | None = None) -> bool:
        """Asks the gateway what became of the open charge; whether it said so."""
        charge = self.subscription.charge
        assert charge
        took = self.gateway.ask(charge.request, mood)
        if took is None:
            self._ask(
                RecordUnknownCharge(
                    at=at or self.now,
                    account=WHO,
                    payment=charge.payment,
                    reason=UnknownReason.TIMEOUT,
                ),
                system,
            )
            return False
        assert self._ask(outcome(charge.request, at or self.now, took=took), system)
        return True

    def _webhook(self, data: st.DataObject) -> None:
        """What was said is said again, or something else is made up."""
        if not self.gateway.said:
            return
        request, took = data.draw(st.sampled_from(self.gateway.said))
        lie = data.draw(st.sampled_from(["the same", "amount", "payment", "the contrary"]))
        charge = self.subscription.charge
        if lie == "amount" and charge is not None:
            request = charge.request
        command = outcome(request, self.now, took=took is not (lie == "the contrary"))
        if lie == "amount":
            command = command.model_copy(update={"amount_minor": command.amount_minor + 1})
        if lie == "payment" and charge is None:
            # Without a charge on its way, what came in is a transfer, which staff record.
            return
        if lie == "payment":
            command = command.model_copy(update={"payment": self._new_id()})
        before = self.subscription
        self._ask(command, system)
        assert self.subscription == before, "nothing that is said twice, late or wrong is taken"

    def _payer(self, data: st.DataObject) -> None:
        """Whoever has no access mostly wants it, and all others now and then no more."""
        about: dict[str, Any] = {"at": self.now, "account": WHO}
        wishes = ["end", "resume", "pay"]
        if self.subscription.over(self.now):
            wishes = ["again"]
        elif self.subscription.standing is SubscriptionStanding.STEPS:
            wishes = ["pay"]
        match data.draw(st.sampled_from(wishes)):
            case "end":
                self._ask(EndSubscription(**about), owner)
            case "resume":
                self._ask(ResumeSubscription(**about), owner)
            case "again":
                if self._ask(ReactivateSubscription(**about), owner):
                    self._take_steps()
                    self._pay()
            case _:
                self._pay()

    def _pay(self) -> None:
        if self._ask(RequestCharge(at=self.now, account=WHO), system):
            self._resolve("takes")
        else:
            self._transfer()

    def _agreement(self, data: st.DataObject) -> None:
        """What the payer pays, or will have to pay, becomes another."""
        if not self.subscription.paying and self.subscription.charge is None:
            return
        match data.draw(st.sampled_from(["plan", "price", "tax document"])):
            case "plan":
                self._change_plans(data)
            case "price":
                self._announce(days_ahead=data.draw(st.integers(30, 35)))
                if data.draw(st.booleans()):
                    self._change_plans(data)
            case _:
                self._ask(self._tax_document(data.draw(st.sampled_from(TaxDocumentKind))), owner)

    def _change_plans(self, data: st.DataObject) -> None:
        """To another, or to a version of its prices that was known already."""
        plan = data.draw(st.sampled_from([*MONTHLY_PRICES_MINOR]))
        version = data.draw(st.integers(1, self.newest[plan]))
        self._ask(self._plan(plan, version), owner)

    def _announce(self, days_ahead: int) -> None:
        terms = self.subscription.terms
        if terms is None:
            return
        self.newest[terms.plan] += 1
        self._ask(
            AnnouncePrice(
                at=self.now,
                account=WHO,
                plan=terms.plan,
                price_version=self.newest[terms.plan],
                monthly_price_minor=price_minor(terms.plan, self.newest[terms.plan]),
                currency=terms.currency,
                effective_from=local_day(self.now, SANTIAGO) + days_ahead * ONE_DAY,
            ),
            manager,
        )

    def _staff(self, data: st.DataObject) -> None:
        """A transfer is recorded, or other means of payment than so far are agreed to."""
        method = self.subscription.method
        if method is None:
            return
        if data.draw(st.booleans()):
            self._choose(3 if method.means is PaymentMeans.CARD else 1)
        self._transfer()

    def _transfer(self) -> None:
        method = self.subscription.method
        if method is None or method.means is PaymentMeans.CARD:
            return
        first = self.subscription.first_unpaid_day or local_day(self.now, SANTIAGO)
        for day in (first, local_day(self.now, SANTIAGO)):
            terms = self.subscription.terms_on(day)
            if terms is None:
                return
            made = self._ask(
                CapturePayment(
                    at=self.now,
                    account=WHO,
                    payment=self._new_id(),
                    amount_minor=terms.monthly_price_minor * method.months,
                    currency=terms.currency,
                    gateway_reference="bank-1",
                ),
                manager,
            )
            if made:
                return

    def _refund(self, data: st.DataObject) -> None:
        """Parts of any payments that came in, and what became of what is on its way back."""
        captured = sorted(self.subscription.captured)
        if not captured:
            return
        for payment in data.draw(st.lists(st.sampled_from(captured), min_size=1, max_size=3)):
            self._refund_of(payment, data.draw(st.sampled_from(["part", "rest", "more"])))
        for refund, known in self.subscription.refunds.items():
            if known.standing is RefundStanding.REQUESTED:
                self._outcome_of(refund, data.draw(st.sampled_from([None, True, False])))

    def _refund_of(self, payment: UUID, how_much: str) -> None:
        """It is refused for nothing but its amount, whatever went back of other payments."""
        captured = self.subscription.captured[payment]
        left_minor = captured.amount_minor - self._gone_back()[payment]
        amount_minor = {"part": left_minor // 3, "rest": left_minor, "more": left_minor + 1}
        wanted_minor = max(1, amount_minor[how_much])
        transfer = captured.means is PaymentMeans.TRANSFER
        made = self._ask(
            RefundPayment(
                at=self.now,
                account=WHO,
                refund=self._new_id(),
                payment=payment,
                amount_minor=wanted_minor,
                currency=captured.currency,
                reason=RefundReason.REQUEST,
                gateway_reference="bank-2" if transfer else None,
            ),
            manager,
        )
        assert made == (wanted_minor <= left_minor)

    def _outcome_of(self, refund: UUID, gave: bool | None) -> None:
        """None where the gateway does not say."""
        if gave is None:
            return
        known = CaptureRefund(at=self.now, account=WHO, refund=refund, gateway_reference="refund-1")
        failing = FailRefund(at=self.now, account=WHO, refund=refund, reason=RefundFailure.OTHER)
        told: list[SubscriptionDecision] = [known, failing] if gave else [failing, known]
        assert self._ask(told[0], system)
        assert not self._ask(told[1], system), "a refund has one outcome"

    def _close(self) -> None:
        """As the door does: the subscription ends with the account."""
        if self._standing() is Standing.CLOSED or len(self.events) < EVENTS_BEFORE_CLOSING:
            return
        self._ask(EndSubscription(at=self.now, account=WHO), manager)
        happened = closed.model_copy(update={"occurred_at": self.now})
        self.account_events.append(happened)
        self.log.append(happened)

    def _take_steps(self) -> None:
        about: dict[str, Any] = {"at": self.now, "account": WHO}
        self._ask(StartSubscription(**about, time_zone=SANTIAGO), owner)
        self._ask(self._tax_document(TaxDocumentKind.BOLETA), owner)
        self._ask(self._plan("full-access", self.newest["full-access"]), owner)
        self._choose(1)

    def _tax_document(self, kind: TaxDocumentKind) -> ChooseTaxDocument:
        return ChooseTaxDocument(
            at=self.now,
            account=WHO,
            kind=kind,
            company_name="Rojas SpA",
            company_rut="76543210-3",
            line_of_business="Bookshop",
            address="Calle Larga 1, Valdivia",
        )

    def _plan(self, plan: str, price_version: int) -> ConfirmPlan:
        return ConfirmPlan(
            at=self.now,
            account=WHO,
            plan=plan,
            price_version=price_version,
            monthly_price_minor=price_minor(plan, price_version),
            currency=Currency.CLP,
        )

    def _choose(self, months: int) -> None:
        means = PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER
        command = ChoosePaymentMethod(at=self.now, account=WHO, means=means, months=months)
        self._ask(command, owner)

    def _ask(self, command: SubscriptionDecision, actor: Actor) -> bool:
        """Gives a command; whether anything came of it."""
        self.decided_on[len(self.events)] = self.subscription
        account = account_decider.replay(self.account_events)
        around = SubscriptionSurroundings(SUBSCRIPTION, account)
        try:
            refuse_unless_may_give(actor, type(command))
            made = decide(command, actor, self.subscription, around)
        except Refused:
            return False
        self.subscription = reduce(subscription_decider.evolve, made, self.subscription)
        written = [through_the_log(event) for event in made]
        self.events += written
        self.log += written
        for event in written:
            for line in lines_of(event):
                self.owed[line.get("currency")] += line.get("change_minor", 0)
            assert set(self.owed.values()) <= {0}, "S13: the balance adds up at every event"
        return bool(made)

    def _standing(self) -> Standing:
        return account_decider.replay(self.account_events).standing

    def _new_id(self) -> UUID:
        self.next_id += 1
        return UUID(int=self.next_id)

    # ------------------------------------------------------------ what always holds

    def teardown(self) -> None:
        """S7: once the gateway answers again, every charge is known, and so is all it took."""
        self._clock(["takes"])
        assert self.subscription.charge is None
        captured = {e.payment: e.amount_minor for e in self._all(PaymentCaptured)}
        requested = {event.payment for event in self._all(ChargeRequested)}
        assert self.gateway.taken == {p: a for p, a in captured.items() if p in requested}
        self.decided_on[len(self.events)] = self.subscription
        replayed = accumulate(
            self.events, subscription_decider.evolve, initial=subscription_decider.initial
        )
        for length, state in enumerate(replayed):
            assert self.decided_on.get(length, state) == state

    @invariant()
    def no_period_is_captured_twice(self) -> None:
        """S6: neither in the log nor in the book of the gateway."""
        days = [(event.period_from, event.period_to) for event in self._all(PaymentCaptured)]
        assert all(later[0] > former[1] for former, later in pairwise(days))
        taken = [
            event.period_from
            for event in self._all(ChargeRequested)
            if event.payment in self.gateway.taken
        ]
        assert len(taken) == len(set(taken))

    @invariant()
    def paid_periods_follow_one_another(self) -> None:
        """S5, S9: without a gap until it is begun anew, all counted from the first of them."""
        first_day, began_on, months = date.min, date.min, 0
        paid_through = date.min
        for event in self.events:
            match event:
                case SubscriptionStarted() | SubscriptionReactivated():
                    began_on, months = local_day(event.occurred_at, SANTIAGO), 0
                case PaymentCaptured():
                    if months == 0:
                        known_on = local_day(event.occurred_at, SANTIAGO)
                        first_day = max(began_on, known_on, paid_through + ONE_DAY)
                    assert event.period_from == first_day + relativedelta(months=months)
                    months += months_of(event)
                    paid_through = first_day + relativedelta(months=months) - ONE_DAY
                    assert event.period_to == paid_through
                case _:
                    pass

    @invariant()
    def what_was_asked_for_is_what_is_paid(self) -> None:
        """S2, S5, S6, S11: months at the price of its version, whatever was chosen meanwhile."""
        asked = {event.payment: event for event in self._all(ChargeRequested)}
        for paid in self._all(PaymentCaptured):
            months = months_of(paid)
            assert months in ({1} if paid.means is PaymentMeans.CARD else {3, 6, 12})
            assert paid.amount_minor == months * price_minor(paid.plan, paid.price_version)
            request = asked.get(paid.payment, paid)
            assert ASKED_FOR(paid) == ASKED_FOR(request)

    @invariant()
    def what_is_asked_for_is_what_was_agreed_to(self) -> None:
        """S5, S11: the plan chosen last, and no price of it that was not announced by its day."""
        plan: PlanConfirmed | None = None
        tax_document: TaxDocumentKind | None = None
        announced: list[PriceAnnounced] = []
        asked: set[UUID] = set()
        for event in self.events:
            match event:
                case PlanConfirmed():
                    plan = event
                case TaxDocumentChosen():
                    tax_document = event.kind
                case PriceAnnounced():
                    announced.append(event)
                case SubscriptionReactivated():
                    announced.clear()
                case ChargeRequested() | PaymentCaptured() if event.payment not in asked:
                    asked.add(event.payment)
                    assert plan
                    versions = [
                        price.price_version
                        for price in announced
                        if price.plan == plan.plan and price.effective_from <= event.period_from
                    ]
                    assert event.plan == plan.plan
                    assert event.price_version == max([plan.price_version, *versions])
                    assert event.tax_document is tax_document
                case _:
                    pass

    @invariant()
    def one_charge_at_a_time_has_no_outcome(self) -> None:
        """S6, S7: each has one outcome before the next is requested."""
        open_charge: UUID | None = None
        requested: set[UUID] = set()
        for event in self.events:
            match event:
                case ChargeRequested():
                    assert open_charge is None
                    assert event.payment not in requested
                    open_charge = event.payment
                    requested.add(event.payment)
                case PaymentCaptured() | PaymentDeclined() if event.payment in requested:
                    assert event.payment == open_charge
                    open_charge = None
                case PaymentCaptured() | PaymentDeclined() | PaymentOutcomeUnknown():
                    assert open_charge is None or event.payment == open_charge
                case _:
                    pass

    @invariant()
    def access_is_paid_for_or_in_grace(self) -> None:
        """S3, S7, S8: and in no grace longer than the schedule."""
        facts = [fact for event in self.log if (fact := access_fact(event))]
        for at in (self.now, self.now - ONE_DAY, self.now + 9 * ONE_DAY):
            access = content_obstacles(weigh_content(facts, at, account=ACCOUNT).facts) == ()
            open_account = not any(
                event.occurred_at <= at for event in self.log if type(event) is type(closed)
            )
            granted = self._paid(at) or self._grace_until(at) >= local_day(at, SANTIAGO)
            assert access == (open_account and granted)
        for event in self.events:
            match event:
                case SubscriptionPastDue():
                    assert event.access_until - event.declined_on <= LONGEST_GRACE
                    asked = next(
                        e for e in self._all(ChargeRequested) if e.payment == event.payment
                    )
                    assert event.declined_on == local_day(asked.occurred_at, SANTIAGO)
                case PaymentOutcomeUnknown(access_until=date() as last):
                    asked = next(
                        e for e in self._all(ChargeRequested) if e.payment == event.payment
                    )
                    asked_on = local_day(asked.occurred_at, SANTIAGO)
                    assert last - asked_on <= LONGEST_GRACE
                case _:
                    pass

    @invariant()
    def decisions_and_answers_rest_on_the_same(self) -> None:
        """S4, S5, S8: what a decision takes for over gives no access, and all else does."""
        if self.subscription.standing in {SubscriptionStanding.NONE, SubscriptionStanding.STEPS}:
            return
        facts = [fact for event in self.log if (fact := access_fact(event))]
        for at in (self.now, self.now + ONE_DAY, self.now + 31 * ONE_DAY):
            own = weigh_content(facts, at, account=ACCOUNT).facts.own
            if self._standing() is not Standing.CLOSED:
                assert own.gives_access == (not self.subscription.over(at))

    @invariant()
    def no_more_goes_back_than_came_in(self) -> None:
        """S12: of no payment, whatever is on its way."""
        came_in = {event.payment: event.amount_minor for event in self._all(PaymentCaptured)}
        assert all(amount <= came_in[payment] for payment, amount in self._gone_back().items())
        asked = {event.refund: event for event in self._all(RefundRequested)}
        for event in self._all(PaymentRefunded):
            request = asked.pop(event.refund)
            assert (event.payment, event.amount_minor) == (request.payment, request.amount_minor)

    @invariant()
    def every_notice_is_one_of_its_own(self) -> None:
        """Whoever sends them knows each again by its id."""
        notices = [event.notice for event in self._all(NoticeRequested)]
        assert len(notices) == len(set(notices)) == self.subscription.notices

    def _gone_back(self) -> Counter[UUID]:
        """What went back of each payment, or is on its way, by the log."""
        back: Counter[UUID] = Counter()
        for event in self.events:
            match event:
                case RefundRequested():
                    back[event.payment] += event.amount_minor
                case RefundFailed():
                    back[event.payment] -= event.amount_minor
                case _:
                    pass
        return back

    def _all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def _paid(self, at: datetime) -> bool:
        return any(
            event.occurred_at <= at
            and event.period_from <= local_day(at, event.time_zone) <= event.period_to
            for event in self._all(PaymentCaptured)
        )

    def _grace_until(self, at: datetime) -> date:
        """By going through what had happened once."""
        until, renewal_day, ended = date.min, date.min, False
        for event in self.log:
            if not isinstance(event, SubscriptionFact) or event.occurred_at > at:
                continue
            match event:
                case SubscriptionPastDue() | PaymentOutcomeUnknown():
                    until = event.access_until or until
                case PaymentCaptured():
                    renewal_day = renewal_day_after(event)
                    until = date.min if ended else renewal_day
                case SubscriptionResumed():
                    until, ended = renewal_day, False
                case SubscriptionEnded():
                    until, ended = date.min, True
                case SubscriptionReactivated():
                    ended = False
                case SubscriptionLapsed():
                    until = date.min
                case _:
                    pass
        return until


def price_minor(plan: str, price_version: int) -> int:
    """Of a month, by a list in which no two prices are the same."""
    return MONTHLY_PRICES_MINOR[plan] + 300 * (price_version - 1)


def months_of(paid: PaymentCaptured) -> int:
    """How many months of the calendar it pays for, by its days alone."""
    boundary = paid.period_to + ONE_DAY
    return (boundary.year - paid.period_from.year) * 12 + boundary.month - paid.period_from.month


def renewal_day_after(paid: PaymentCaptured) -> date:
    """The day on which a card is charged anew, with access meanwhile (S8)."""
    known_in_time = local_day(paid.occurred_at, SANTIAGO) <= paid.period_to
    if paid.means is not PaymentMeans.CARD or not known_in_time:
        return date.min
    return paid.period_to + timedelta(days=1)


def outcome(
    request: ChargeRequested, at: datetime, *, took: bool
) -> CapturePayment | DeclinePayment:
    """What the gateway says of a charge."""
    about: dict[str, Any] = {
        "at": at,
        "account": WHO,
        "payment": request.payment,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
    }
    if took:
        return CapturePayment(**about, gateway_reference="gateway-1")
    return DeclinePayment(**about, reason=DeclineReason.CARD_REFUSED)


RULES = ("S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S11", "S12", "S13")


@pytest.mark.rule(*RULES)
def test_whatever_the_gateway_does() -> None:
    """No period is paid twice, access is paid for or in grace, and all comes to be known."""
    run_state_machine_as_test(ChargingMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_the_gateway_does_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(ChargingMachine)
