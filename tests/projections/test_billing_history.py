"""Billing histories: what was charged and paid, and that it adds up (S5, S13)."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis.stateful import invariant, run_state_machine_as_test

from domain.due import Due, DueKind, due_of
from domain.event import Event, Recorded
from domain.money import Currency
from domain.streams import payment_of, subscription_of
from domain.subscription import (
    CapturePayment,
    CaptureRefund,
    ChargeRequested,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    PaymentCaptured,
    PaymentRefunded,
    ReactivateSubscription,
    RecordUnknownCharge,
    RefundPayment,
    RefundReason,
    RequestCharge,
    ResumeSubscription,
    SubscriptionSurroundings,
    UnknownReason,
    decide,
)
from handlers.queries import Billing
from projections.billing_history import BillingHistory, BillingLine, paid_through, rows_of
from projections.billing_outlook import coming
from tests.domain.stories import SUBSCRIPTION, WHO, account_after, manager, ready, system
from tests.domain.test_charging_machine import ChargingMachine
from tests.handlers.stories import (
    ANA,
    BEGINNING,
    BRUNO,
    MANAGER,
    PRICE_MINOR,
    SYSTEM,
    Member,
    Story,
    noon,
)
from tests.projections.contents import contents, rebuild


def billing(story: Story, member: Member) -> Billing:
    """What a ledger that knows everything answers, which adds up at every line."""
    story.acta.projector.catch_up()
    answer = story.acta.queries.billing(member.who, BEGINNING)
    refuse_wrong_balances(answer.lines)
    assert answer.position == story.acta.store.head()
    return answer


def refuse_wrong_balances(lines: Sequence[BillingLine]) -> None:
    """The balance after each line is the sum of the changes so far, by currency (S13)."""
    for currency in Currency:
        of_it = [line for line in lines if line.currency == currency]
        changes = accumulate(line.change_minor for line in of_it)
        assert [line.balance_minor for line in of_it] == list(changes)


def kinds(answer: Billing) -> list[str]:
    """What happened, line by line, but for the steps before the payment."""
    steps = {"started", "agreed", "means_chosen"}
    return [line.kind for line in answer.lines if line.kind not in steps]


def decline(story: Story, member: Member, *, at: datetime = BEGINNING) -> None:
    """A charge is declined."""
    story.ask(
        DeclinePayment(
            at=at,
            account=member.who,
            payment=uuid4(),
            amount_minor=PRICE_MINOR,
            currency=Currency.CLP,
            reason=DeclineReason.CARD_EXPIRED,
        ),
        SYSTEM,
    )


@pytest.mark.rule("S5")
def test_a_payment_is_charged_and_paid(story: Story) -> None:
    """The charge raises what is owed, and the payment lowers it to nothing."""
    member = story.subscriber()
    *steps, charge, payment = billing(story, member).lines
    assert [line.kind for line in steps] == ["started", "agreed", "means_chosen"]
    assert (charge.kind, charge.change_minor, charge.balance_minor) == ("charge", 9990, 9990)
    assert (payment.kind, payment.change_minor, payment.balance_minor) == ("payment", -9990, 0)
    for line in (charge, payment):
        assert (line.amount_minor, line.currency, line.means) == (9990, "CLP", "card")
        assert (line.plan, line.price_version, line.time_zone) == (
            "full-access",
            1,
            "America/Santiago",
        )
        assert (line.period_from, line.period_to) == (date(2026, 1, 31), date(2026, 2, 27))
    assert (charge.tax_document, payment.tax_document) == (None, "boleta")
    assert charge.payment == payment.payment
    captured = [each.event_id for each in story.events() if isinstance(each.event, PaymentCaptured)]
    assert captured == [payment.event_id]


@pytest.mark.rule("S5", "S4", "A6")
def test_a_life_in_lines(story: Story) -> None:
    """Each thing that matters for the bill has its line, in the order of the log."""
    member = story.subscriber()
    decline(story, member)
    story.pay(member, at=noon(2026, 2, 20))
    story.ask(EndSubscription(at=noon(2026, 3, 1), account=member.who), member.itself)
    story.ask(ResumeSubscription(at=noon(2026, 3, 2), account=member.who), member.itself)
    later = noon(2026, 6, 1)
    story.ask(LapseSubscription(at=later, account=member.who), SYSTEM)
    story.ask(ReactivateSubscription(at=later, account=member.who), member.itself)
    story.take_steps(member, months=3, at=later)
    story.pay(member, months=3, at=later)
    answer = billing(story, member)
    assert kinds(answer) == [
        *("charge", "payment", "declined", "charge", "payment"),
        *("ended", "resumed", "lapsed", "reactivated", "charge", "payment"),
    ]
    assert [line.balance_minor for line in answer.lines if line.kind == "payment"] == [0, 0, 0]
    assert answer.lines[-1].amount_minor == 3 * PRICE_MINOR
    assert answer.paid_through == date(2026, 8, 31)


@pytest.mark.rule("S5")
def test_what_is_paid_follows_from_the_payments_alone(story: Story) -> None:
    """Neither a declined charge nor an ending nor a lapse changes it."""
    member = story.about_to_pay()
    assert billing(story, member).paid_through is None
    decline(story, member)
    assert billing(story, member).paid_through is None
    story.pay(member)
    assert billing(story, member).paid_through == date(2026, 2, 27)
    decline(story, member)
    story.ask(EndSubscription(at=BEGINNING, account=member.who), member.itself)
    assert billing(story, member).paid_through == date(2026, 2, 27)


@pytest.mark.rule("S5")
def test_a_declined_charge_changes_no_balance(story: Story) -> None:
    """It is told with its reason."""
    member = story.subscriber()
    decline(story, member)
    line = billing(story, member).lines[-1]
    assert (line.kind, line.amount_minor, line.change_minor) == ("declined", PRICE_MINOR, 0)
    assert (line.balance_minor, line.reason) == (0, "card_expired")


@pytest.mark.rule("S5")
def test_each_currency_has_a_balance_of_its_own(story: Story) -> None:
    """Pesos and euros are never added."""
    member = story.subscriber()
    story.ask(
        ConfirmPlan(
            at=BEGINNING, account=member.who, plan="full-access", price_version=2,
            monthly_price_minor=1250, currency=Currency.EUR,
        ),
        member.itself,
    )  # fmt: skip
    story.ask(
        CapturePayment(
            at=noon(2026, 2, 20), account=member.who, payment=uuid4(), amount_minor=1250,
            currency=Currency.EUR, gateway_reference="gateway-2",
        ),
        SYSTEM,
    )  # fmt: skip
    lines = billing(story, member).lines
    paid = [line for line in lines if line.change_minor]
    assert [(line.currency, line.balance_minor) for line in paid] == [
        ("CLP", 9990),
        ("CLP", 0),
        ("EUR", 1250),
        ("EUR", 0),
    ]


def charged_and_refunded(story: Story) -> tuple[Member, UUID]:
    """A renewal that is tried twice, and refunded in part; the refund."""
    member = story.subscriber()
    due = datetime(2026, 2, 28, 3, tzinfo=UTC)
    about: dict[str, Any] = {"account": member.who}
    money: dict[str, Any] = {"amount_minor": PRICE_MINOR, "currency": Currency.CLP}
    subscription = subscription_of(member.account)
    first, second = (payment_of(subscription, date(2026, 2, 28), n) for n in (1, 2))
    story.ask(RequestCharge(at=due, **about), SYSTEM)
    story.ask(
        RecordUnknownCharge(at=due, payment=first, reason=UnknownReason.TIMEOUT, **about), SYSTEM
    )
    story.ask(
        DeclinePayment(at=due, payment=first, reason=DeclineReason.CARD_EXPIRED, **money, **about),
        SYSTEM,
    )
    retry = due + timedelta(days=1)
    story.ask(RequestCharge(at=retry, **about), SYSTEM)
    story.ask(
        CapturePayment(at=retry, payment=second, gateway_reference="gateway-2", **money, **about),
        SYSTEM,
    )
    refund = uuid4()
    story.ask(
        RefundPayment(
            at=retry, refund=refund, payment=second, amount_minor=990, currency=Currency.CLP,
            reason=RefundReason.REQUEST, **about,
        ),
        MANAGER,
    )  # fmt: skip
    story.ask(CaptureRefund(at=retry, refund=refund, gateway_reference="refund-1", **about), SYSTEM)
    return member, refund


@pytest.mark.rule("S6", "S7", "S8", "S12", "S13")
def test_charges_and_refunds_in_lines(story: Story) -> None:
    """Every try, every silence and all that goes back has its line, and all of it adds up."""
    member, refund = charged_and_refunded(story)
    answer = billing(story, member)
    assert kinds(answer) == [
        *("charge", "payment", "requested", "unknown", "declined", "past_due", "requested"),
        *("charge", "payment", "refund_requested", "credit", "refund"),
    ]
    assert [line.attempt for line in answer.lines if line.kind == "requested"] == [1, 2]
    assert [line.refund for line in answer.lines if line.refund] == [refund] * 3
    assert answer.lines[-1].balance_minor == 0
    assert answer.paid_through == date(2026, 3, 30)


def test_nobody_sees_what_others_paid(story: Story) -> None:
    """A billing history is that of one account."""
    ana, bruno = story.subscriber(ANA), story.subscriber(BRUNO)
    story.pay(ana, at=noon(2026, 2, 20))
    assert kinds(billing(story, ana)) == ["charge", "payment"] * 2
    assert kinds(billing(story, bruno)) == ["charge", "payment"]


@pytest.mark.rule("S13")
def test_rebuilt_equals_event_by_event_and_twice_equals_once(story: Story) -> None:
    """Of a life with tries, silences and refunds in it, asked about after every event."""
    charged_and_refunded(story)
    while story.acta.projector.step(1)[1]:
        pass
    before = contents(story.acta)
    assert story.acta.projector.step()[1] == 0
    assert contents(story.acta) == before
    rebuild(story.acta, BillingHistory())
    assert contents(story.acta) == before


class BilledMachine(ChargingMachine):
    """A card charged for years, whose billing history is read at every event."""

    @invariant()
    def the_history_says_what_the_domain_says(self) -> None:
        """S5, S13: it adds up, comes to nothing, and knows until when is paid."""
        lines = billed(self.events)
        refuse_wrong_balances(lines)
        last = {line.position: line.balance_minor for line in lines}
        assert set(last.values()) <= {0}, "S13: after each event nothing is owed"
        assert paid_through(lines) == self.subscription.paid_through
        captured = sum(event.amount_minor for event in self._all(PaymentCaptured))
        refunded = sum(event.amount_minor for event in self._all(PaymentRefunded))
        kept = Counter[str]()
        for line in lines:
            kept[line.kind] += line.change_minor
        assert (kept["charge"], kept["payment"]) == (captured, -captured)
        assert (kept["credit"], kept["refund"]) == (-refunded, refunded)

    @invariant()
    def what_comes_next_is_what_will_be_charged(self) -> None:
        """S5, S8: for the days and at the price that the decision will name."""
        lines = billed(self.events)
        dues = [due for due in due_of(self.subscription) if due.kind in CHARGES]
        for due, told in zip(dues, coming(map(as_line, dues), lines), strict=True):
            asked = RequestCharge(at=due.at, account=WHO)
            around = SubscriptionSurroundings(SUBSCRIPTION, account_after(*ready))
            (request,) = decide(asked, system, self.subscription, around)
            assert isinstance(request, ChargeRequested)
            assert told.day == due.day
            assert (told.amount_minor, told.currency) == (request.amount_minor, request.currency)
            assert (told.period_from, told.period_to) == (request.period_from, request.period_to)
            assert told.price is not None
            assert (told.price.plan, told.price.price_version) == (
                request.plan,
                request.price_version,
            )

    @invariant()
    def what_is_to_be_transferred_is_what_would_be_taken(self) -> None:
        """S6, S7, S9: none while a charge has no outcome, and else for the days that are named."""
        dues = due_of(self.subscription)
        for told in coming(map(as_line, dues), billed(self.events)):
            if told.kind != DueKind.LAPSE or told.price is None:
                continue
            (due,) = (due for due in dues if due.kind is DueKind.LAPSE)
            received = CapturePayment(
                at=due.at - timedelta(microseconds=1), account=WHO, payment=uuid4(),
                amount_minor=told.price.amount_minor, currency=Currency(told.price.currency),
                gateway_reference="bank-1",
            )  # fmt: skip
            around = SubscriptionSurroundings(SUBSCRIPTION, account_after(*ready))
            taken, _ = decide(received, manager, self.subscription, around)
            assert isinstance(taken, PaymentCaptured)
            assert (taken.period_from, taken.period_to) == (told.period_from, told.period_to)


CHARGES = {DueKind.RENEWAL, DueKind.RETRY}
NO_LINE = BillingLine(*[None] * len(BillingLine._fields))  # type: ignore[arg-type]  # all fields


def billed(events: Sequence[Event]) -> tuple[BillingLine, ...]:
    """The lines of these events, as the table holds them."""
    entries = [
        Recorded(
            position=position, stream=SUBSCRIPTION, version=position, event=event,
            event_id=UUID(int=position), recorded_at=event.occurred_at, actor=system,
            command_id=None, correlation_id=None, causation_id=None,
        )
        for position, event in enumerate(events, start=1)
    ]  # fmt: skip
    rows = [row for entry in entries for row in rows_of(entry)]
    return tuple(BillingLine(*(row[name] for name in BillingLine._fields)) for row in rows)


def as_line(due: Due) -> BillingLine:
    """As the statement of a question selects it."""
    return NO_LINE._replace(
        kind=due.kind, period_from=due.day, time_zone=due.time_zone, payment=due.payment,
        refund=due.refund,
    )  # fmt: skip


@pytest.mark.rule("S5", "S6", "S7", "S8", "S9", "S12", "S13")
def test_whatever_the_gateway_does_the_history_is_the_domain_s() -> None:
    """At every event of the lives that the machine of the domain leads."""
    run_state_machine_as_test(BilledMachine)
