"""Billing histories: what was charged and paid, and that it adds up (S5, S13)."""

from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import uuid4

import pytest

from domain.money import Currency
from domain.streams import payment_of, subscription_of
from domain.subscription import (
    CapturePayment,
    CaptureRefund,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    RecordUnknownCharge,
    RefundPayment,
    RefundReason,
    RequestCharge,
    ResumeSubscription,
    UnknownReason,
)
from handlers.queries import Billing
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


def billing(story: Story, member: Member) -> Billing:
    """What a ledger that knows everything answers, which adds up at every line."""
    story.acta.projector.catch_up()
    answer = story.acta.queries.billing(member.who, BEGINNING)
    for currency in Currency:
        lines = [line for line in answer.lines if line.currency == currency]
        changes = accumulate(line.change_minor for line in lines)
        assert [line.balance_minor for line in lines] == list(changes)
    assert answer.position == story.acta.store.head()
    return answer


def kinds(answer: Billing) -> list[str]:
    """What happened, line by line."""
    return [line.kind for line in answer.lines]


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
    charge, payment = billing(story, member).lines
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
    assert [entry.event_id for entry in story.events()][-1] == payment.event_id


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
    assert [(line.currency, line.balance_minor) for line in lines] == [
        ("CLP", 9990),
        ("CLP", 0),
        ("EUR", 1250),
        ("EUR", 0),
    ]


@pytest.mark.rule("S6", "S7", "S8", "S12", "S13")
def test_charges_and_refunds_in_lines(story: Story) -> None:
    """Every try, every silence and all that goes back has its line, and all of it adds up."""
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
    assert len(billing(story, ana).lines) == 4
    assert len(billing(story, bruno).lines) == 2
