"""Refunds: money goes back, wholly or in part, never beyond what came in (S12).

A refund takes no day away, and is made whatever became of the subscription and its account. Of a
card it is requested before the gateway is asked; of a transfer staff make it, and record it.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from domain.money import AmountMinor, Currency, format_money
from domain.refusal import Refused
from domain.subscription_facts import (
    NoticeReason,
    NoticeTemplate,
    PaymentMeans,
    PaymentRefunded,
    RefundFailed,
    RefundFailure,
    RefundReason,
    RefundRequested,
    SubscriptionEvent,
)
from domain.subscription_state import (
    About,
    CapturedPayment,
    GatewayReference,
    RefundStanding,
    Subscription,
    SubscriptionCommand,
    notice,
)

__all__ = ["CaptureRefund", "FailRefund", "RefundDecision", "RefundPayment", "decide"]

# ---------------------------------------------------------------- commands


class RefundPayment(SubscriptionCommand):
    """Gives money of a captured payment back; of a transfer, says that it was given back."""

    refund: UUID
    """Id of the refund, random."""
    payment: UUID
    """Id of the captured payment."""
    amount_minor: AmountMinor
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code; that of the payment."""
    reason: RefundReason
    """Why, in clear."""
    gateway_reference: GatewayReference | None = None
    """Transfer: what the bank calls the transfer back; never a number of an account."""


class CaptureRefund(SubscriptionCommand):
    """Says that the gateway gave the money back."""

    refund: UUID
    """Id of the refund."""
    gateway_reference: GatewayReference
    """What the gateway calls this refund."""


class FailRefund(SubscriptionCommand):
    """Says that the gateway did not give the money back."""

    refund: UUID
    """Id of the refund."""
    reason: RefundFailure
    """Why, in clear."""


RefundDecision = RefundPayment | CaptureRefund | FailRefund

# ---------------------------------------------------------------- decisions


def decide(
    command: RefundDecision, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case RefundPayment():
            return refund_payment(command, subscription, about)
        case CaptureRefund():
            request = open_refund(command.refund, subscription)
            return _refunded(request, subscription, about, command.gateway_reference)
        case FailRefund():
            request = open_refund(command.refund, subscription)
            return [
                RefundFailed(
                    **about.facts(),
                    refund=request.refund,
                    payment=request.payment,
                    amount_minor=request.amount_minor,
                    currency=request.currency,
                    means=request.means,
                    reason=command.reason,
                )
            ]
        case _:
            assert_never(command)


def refund_payment(
    command: RefundPayment, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """All refunds of a payment together never exceed it; those on their way count (S12)."""
    captured = known_payment(command.payment, subscription)
    refuse_known_refund(command.refund, subscription)
    refuse_beyond_captured(command, captured, subscription)
    refuse_unless_reference_fits(command, captured)
    request = RefundRequested(
        **about.facts(),
        refund=command.refund,
        payment=command.payment,
        payer=captured.payer,
        amount_minor=command.amount_minor,
        currency=command.currency,
        means=captured.means,
        reason=command.reason,
    )
    if command.gateway_reference is None:
        return [request]
    return [request, *_refunded(request, subscription, about, command.gateway_reference)]


def _refunded(
    request: RefundRequested, subscription: Subscription, about: About, gateway_reference: str
) -> list[SubscriptionEvent]:
    captured = known_payment(request.payment, subscription)
    return [
        PaymentRefunded(
            **about.facts(),
            refund=request.refund,
            payment=request.payment,
            payer=captured.payer,
            amount_minor=request.amount_minor,
            currency=request.currency,
            means=request.means,
            reason=request.reason,
            plan=captured.plan,
            price_version=captured.price_version,
            period_from=captured.period_from,
            period_to=captured.period_to,
            time_zone=captured.time_zone,
            tax_document=captured.tax_document,
            gateway_reference=gateway_reference,
        ),
        notice(
            subscription,
            about,
            NoticeTemplate.REFUND,
            NoticeReason.PAYMENT_REFUNDED,
            request.payment,
            refund=request.refund,
        ),
    ]


# ---------------------------------------------------------------- what several rules ask


def known_payment(payment: UUID, subscription: Subscription) -> CapturedPayment:
    """A payment that came in.

    Raises:
        Refused: no such payment came in for this subscription (S12).
    """
    captured = subscription.captured.get(payment)
    if captured is None:
        raise Refused(
            "S12",
            "no such payment was captured",
            remedy="Look the payment up in the billing history of the account.",
        )
    return captured


def open_refund(refund: UUID, subscription: Subscription) -> RefundRequested:
    """A refund that waits for its outcome.

    Raises:
        Refused: there is none with this id, or its outcome is on record (S12).
    """
    known = subscription.refunds.get(refund)
    if known is None:
        raise Refused(
            "S12",
            "no such refund was requested",
            remedy="Request it with RefundPayment first.",
        )
    if known.standing is not RefundStanding.REQUESTED:
        raise Refused(
            "S12",
            "the outcome of this refund is recorded",
            remedy="Look it up in the billing history; a new refund has a new id.",
        )
    return known.request


def refuse_known_refund(refund: UUID, subscription: Subscription) -> None:
    """A refund is requested once."""
    if refund in subscription.refunds:
        raise Refused(
            "S12",
            "the id of the refund is in use",
            remedy="Look it up in the billing history; a new refund has a new id.",
        )


def refuse_beyond_captured(
    command: RefundPayment, captured: CapturedPayment, subscription: Subscription
) -> None:
    """What was requested counts until it fails (S12)."""
    if command.currency is not captured.currency:
        raise Refused(
            "S12",
            f"the payment came in {captured.currency.value}",
            remedy="Refund it in the currency in which it was paid.",
        )
    taken_minor = sum(
        refund.request.amount_minor
        for refund in subscription.refunds.values()
        if refund.request.payment == command.payment
        and refund.standing is not RefundStanding.FAILED
    )
    left_minor = captured.amount_minor - taken_minor
    if command.amount_minor > left_minor:
        raise Refused(
            "S12",
            "more would go back than came in: "
            f"{format_money(left_minor, captured.currency)} can be refunded",
            remedy="Refund no more than that.",
        )


def refuse_unless_reference_fits(command: RefundPayment, captured: CapturedPayment) -> None:
    """A card is refunded by the gateway, a transfer by staff, who name the transfer back."""
    by_transfer = captured.means is PaymentMeans.TRANSFER
    if by_transfer and command.gateway_reference is None:
        raise Refused(
            "S12",
            "the payment was a transfer, which staff transfer back",
            remedy="Transfer it back, then give what the bank calls that as gateway_reference.",
        )
    if not by_transfer and command.gateway_reference is not None:
        raise Refused(
            "S12",
            "the payment was made by card, which the gateway refunds",
            remedy="Leave gateway_reference out; the gateway's follows with the outcome.",
        )
