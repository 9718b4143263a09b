"""Refunds: money goes back, never beyond what came in, and shortens nothing (S12)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from uuid import UUID

import pytest

from domain.account import AccountEvent
from domain.actor import Actor
from domain.money import Currency
from domain.subscription import (
    CaptureRefund,
    FailRefund,
    NoticeReason,
    NoticeTemplate,
    PaymentMeans,
    PaymentRefunded,
    RefundFailed,
    RefundFailure,
    RefundPayment,
    RefundReason,
    RefundRequested,
    Subscription,
    SubscriptionDecision,
    SubscriptionEvent,
    SubscriptionSurroundings,
    TaxDocumentKind,
    decide,
    subscription_decider,
)
from tests.domain.stories import (
    MONTHLY_PRICE_MINOR,
    PERSON,
    SANTIAGO,
    SUBSCRIPTION,
    WHO,
    about,
    account_after,
    captured,
    closed,
    lapsed,
    manager,
    noon,
    paid,
    payment_id,
    ready,
    system,
    told,
)
from tests.specification import Given, given

FIRST_OF_MARCH = noon(2025, 3, 1)
LATER = noon(2025, 3, 10)
FIRST, SECOND, THIRD, FOURTH = (UUID(int=number) for number in range(501, 505))
BY_CARD = paid(FIRST_OF_MARCH)
BY_TRANSFER = paid(FIRST_OF_MARCH, months=3)


def refunding(
    amount_minor: int = MONTHLY_PRICE_MINOR,
    refund: UUID = FIRST,
    *,
    payment: UUID = payment_id(1),  # noqa: B008  an id does not change
    currency: Currency = Currency.CLP,
    gateway_reference: str | None = None,
    at: datetime = LATER,
) -> RefundPayment:
    """Money is to go back."""
    return RefundPayment(
        at=at,
        account=WHO,
        refund=refund,
        payment=payment,
        amount_minor=amount_minor,
        currency=currency,
        reason=RefundReason.MISTAKE,
        gateway_reference=gateway_reference,
    )


def refund_captured(refund: UUID = FIRST, at: datetime = LATER) -> CaptureRefund:
    """The gateway gave it back."""
    return CaptureRefund(at=at, account=WHO, refund=refund, gateway_reference="refund-1")


def refund_failed(refund: UUID = FIRST, at: datetime = LATER) -> FailRefund:
    """The gateway did not."""
    return FailRefund(at=at, account=WHO, refund=refund, reason=RefundFailure.CARD_CLOSED)


def requested_back(
    amount_minor: int = MONTHLY_PRICE_MINOR,
    refund: UUID = FIRST,
    means: PaymentMeans = PaymentMeans.CARD,
) -> RefundRequested:
    """Money is about to go back."""
    return RefundRequested(
        **about(LATER),
        refund=refund,
        payment=payment_id(1),
        payer=PERSON,
        amount_minor=amount_minor,
        currency=Currency.CLP,
        means=means,
        reason=RefundReason.MISTAKE,
    )


def refunded(
    amount_minor: int = MONTHLY_PRICE_MINOR,
    refund: UUID = FIRST,
    means: PaymentMeans = PaymentMeans.CARD,
    gateway_reference: str = "refund-1",
) -> PaymentRefunded:
    """Money went back."""
    return PaymentRefunded(
        **about(LATER),
        refund=refund,
        payment=payment_id(1),
        payer=PERSON,
        amount_minor=amount_minor,
        currency=Currency.CLP,
        means=means,
        reason=RefundReason.MISTAKE,
        plan="full-access",
        price_version=1,
        period_from=date(2025, 3, 1),
        period_to=date(2025, 3, 31) if means is PaymentMeans.CARD else date(2025, 5, 31),
        time_zone=SANTIAGO,
        tax_document=TaxDocumentKind.BOLETA,
        gateway_reference=gateway_reference,
    )


failed = RefundFailed(
    **about(LATER),
    refund=FIRST,
    payment=payment_id(1),
    amount_minor=MONTHLY_PRICE_MINOR,
    currency=Currency.CLP,
    means=PaymentMeans.CARD,
    reason=RefundFailure.CARD_CLOSED,
)
payer_told = told(
    0, LATER, NoticeTemplate.REFUND, NoticeReason.PAYMENT_REFUNDED, payment_id(1), refund=FIRST
)


def asks(
    command: SubscriptionDecision,
    actor: Actor = manager,
    account: Sequence[AccountEvent] = ready,
) -> Callable[[Subscription], Sequence[SubscriptionEvent]]:
    """This actor gives this command about the subscription of this account."""
    around = SubscriptionSurroundings(SUBSCRIPTION, account_after(*account))
    return lambda subscription: decide(command, actor, subscription, around)


def after(*events: SubscriptionEvent) -> Given[Subscription, SubscriptionEvent]:
    """This has happened."""
    return given(subscription_decider, *events)


@pytest.mark.rule("S12")
@pytest.mark.parametrize("amount_minor", [1, 5000, MONTHLY_PRICE_MINOR])
def test_a_card_is_refunded_by_the_gateway(amount_minor: int) -> None:
    """Wholly or in part: requested, then told by the gateway, and the payer is told."""
    asked = after(*BY_CARD).when(asks(refunding(amount_minor)))
    asked.then(requested_back(amount_minor))
    asked.and_when(asks(refund_captured(), system)).then(refunded(amount_minor), payer_told)


@pytest.mark.rule("S12")
def test_a_transfer_is_sent_back_by_staff() -> None:
    """They record it with what the bank calls it."""
    asked = after(*BY_TRANSFER).when(asks(refunding(gateway_reference="bank-9")))
    asked.then(
        requested_back(means=PaymentMeans.TRANSFER),
        refunded(means=PaymentMeans.TRANSFER, gateway_reference="bank-9"),
        payer_told,
    )


@pytest.mark.rule("S12")
@pytest.mark.parametrize(
    ("past", "reference", "said"),
    [(BY_TRANSFER, None, "was a transfer"), (BY_CARD, "bank-9", "by card")],
    ids=["transfer", "card"],
)
def test_the_reference_goes_with_the_means(
    past: list[SubscriptionEvent], reference: str | None, said: str
) -> None:
    """A transfer back has one at once, a refund of a card with its outcome."""
    outcome = after(*past).when(asks(refunding(gateway_reference=reference)))
    outcome.then_refused("S12", message_contains=said, remedy_contains="gateway_reference")


@pytest.mark.rule("S12")
def test_never_more_goes_back_than_came_in() -> None:
    """What is on its way counts, together with what went back; the refusal says what is left."""
    past = after(*BY_CARD, requested_back(9000))
    for state in (past, after(*past.events, refunded(9000))):
        state.when(asks(refunding(990, SECOND))).then(requested_back(990, SECOND))
        more = state.when(asks(refunding(991, SECOND)))
        more.then_refused("S12", message_contains="990 CLP can be refunded")
    after(*BY_CARD).when(asks(refunding(MONTHLY_PRICE_MINOR + 1))).then_refused("S12")


@pytest.mark.rule("S12")
def test_each_payment_is_refunded_up_to_its_own_amount() -> None:
    """What goes back of one leaves the other alone, in parts as well as whole."""
    april = captured(2, noon(2025, 4, 1), date(2025, 4, 1), date(2025, 4, 30))
    cheaper = april.model_copy(update={"amount_minor": 4990})
    first, second = payment_id(1), payment_id(2)
    outcome = after(*BY_CARD, cheaper).when(asks(refunding(9000, FIRST, payment=first)))
    outcome = outcome.and_when(asks(refunding(4000, SECOND, payment=second)))
    for payment, left_minor in ((first, 990), (second, 990)):
        more = outcome.and_when(asks(refunding(left_minor + 1, THIRD, payment=payment)))
        more.then_refused("S12", message_contains=f"{left_minor} CLP can be refunded")
    outcome = outcome.and_when(asks(refunding(990, THIRD, payment=first)))
    outcome = outcome.and_when(asks(refunding(990, FOURTH, payment=second)))
    for payment in (first, second):
        more = outcome.and_when(asks(refunding(1, UUID(int=505), payment=payment)))
        more.then_refused("S12", message_contains=": 0 CLP can be refunded")


@pytest.mark.rule("S12")
def test_what_failed_can_be_asked_for_again() -> None:
    """Under a new id."""
    gave_up = after(*BY_CARD, requested_back()).when(asks(refund_failed(), system))
    gave_up.then(failed)
    gave_up.and_when(asks(refunding(refund=SECOND))).then(requested_back(refund=SECOND))
    gave_up.and_when(asks(refunding())).then_refused("S12", message_contains="in use")


@pytest.mark.rule("S12")
@pytest.mark.parametrize("outcome", [refunded(), failed], ids=["refunded", "failed"])
@pytest.mark.parametrize("again", [refund_captured(), refund_failed()], ids=["captured", "failed"])
def test_a_refund_has_one_outcome(outcome: SubscriptionEvent, again: SubscriptionDecision) -> None:
    """Whatever is delivered twice or in another order."""
    past = after(*BY_CARD, requested_back(), outcome)
    past.when(asks(again, system)).then_refused("S12", message_contains="recorded")


@pytest.mark.rule("S12")
@pytest.mark.parametrize("command", [refund_captured(), refund_failed()])
def test_nothing_is_told_of_a_refund_that_nobody_requested(
    command: SubscriptionDecision,
) -> None:
    """The gateway may be wrong."""
    after(*BY_CARD).when(asks(command, system)).then_refused("S12", message_contains="no such")


@pytest.mark.rule("S12", "S13")
def test_only_what_came_in_goes_back() -> None:
    """A payment of this subscription, in its currency."""
    unknown = after(*BY_CARD).when(asks(refunding(payment=payment_id(9))))
    unknown.then_refused("S12", message_contains="no such payment")
    euros = after(*BY_CARD).when(asks(refunding(currency=Currency.EUR)))
    euros.then_refused("S12", message_contains="CLP")


@pytest.mark.rule("S12")
def test_a_refund_shortens_nothing() -> None:
    """Ending access early is a decision of its own."""
    before = after(*BY_CARD).state
    state = after(*BY_CARD, requested_back(), refunded(), payer_told).state
    assert (state.standing, state.paid_through) == (before.standing, before.paid_through)


@pytest.mark.rule("S12", "A11")
def test_the_tax_term_runs_from_the_last_refund_too() -> None:
    """Each gets a credit note: while it is on its way, today may be the day of it."""
    much_later = noon(2027, 1, 1)
    on_its_way = after(*BY_CARD, requested_back())
    assert on_its_way.state.last_tax_day(LATER) == date(2025, 3, 10)
    assert on_its_way.state.last_tax_day(much_later) == date(2027, 1, 1)
    went_back = after(*on_its_way.events, refunded())
    assert went_back.state.last_tax_day(much_later) == date(2025, 3, 10)
    gave_up = after(*on_its_way.events, failed)
    assert gave_up.state.last_tax_day(much_later) == date(2025, 3, 1)


@pytest.mark.rule("S12", "A11")
def test_a_refund_that_is_dated_back_shortens_no_tax_term() -> None:
    """What counts is the document of the latest day, whichever was recorded last."""
    april = captured(2, noon(2025, 4, 1), date(2025, 4, 1), date(2025, 4, 30))
    state = after(*BY_CARD, requested_back(), april, refunded()).state
    assert state.last_tax_day(noon(2027, 1, 1)) == date(2025, 4, 1)


@pytest.mark.rule("S12", "A10")
def test_money_goes_back_whatever_became_of_the_subscription() -> None:
    """After a lapse, and after the account was closed."""
    past = after(*BY_CARD, lapsed(noon(2025, 4, 1), date(2025, 3, 31)))
    gone = [*ready, closed]
    asked = past.when(asks(refunding(), account=gone))
    asked.then(requested_back())
    for outcome in (refund_captured(), refund_failed()):
        assert asked.and_when(asks(outcome, system, account=gone)).events
