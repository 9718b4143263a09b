"""From what a gateway says to the command that records it, under an id that is always the same.

Whoever hears it first records it: the clock, which asked, or a webhook. The other one's command has
the same id, or finds the outcome on record (S6).
"""

from datetime import datetime
from typing import assert_never
from uuid import UUID, uuid5

from domain.money import Currency
from domain.subscription import (
    CapturePayment,
    CaptureRefund,
    DeclinePayment,
    FailRefund,
    RecordUnknownCharge,
)
from handlers.payments.gateway import (
    Captured,
    ChargeOutcome,
    Declined,
    Refunded,
    RefundOutcome,
    RefundRefused,
    Unknown,
)

__all__ = ["ChargeCommand", "RefundCommand", "command_id_of", "of_charge", "of_refund"]

ChargeCommand = CapturePayment | DeclinePayment | RecordUnknownCharge
RefundCommand = CaptureRefund | FailRefund


def of_charge(
    outcome: ChargeOutcome,
    *,
    account: str,
    payment: UUID,
    amount_minor: int,
    currency: Currency,
    at: datetime,
) -> ChargeCommand:
    """The command that records what became of a charge.

    Args:
        outcome: what the gateway says.
        account: account:ID, or plan:ID.
        payment: the charge's payment.
        amount_minor: what was charged.
        currency: its currency.
        at: business time of the outcome.
    """
    match outcome:
        case Captured(reference):
            return CapturePayment(
                at=at,
                account=account,
                payment=payment,
                amount_minor=amount_minor,
                currency=currency,
                gateway_reference=reference,
            )
        case Declined(reason):
            return DeclinePayment(
                at=at,
                account=account,
                payment=payment,
                amount_minor=amount_minor,
                currency=currency,
                reason=reason,
            )
        case Unknown(reason):
            return RecordUnknownCharge(at=at, account=account, payment=payment, reason=reason)
        case _:
            assert_never(outcome)


def of_refund(
    outcome: RefundOutcome, *, account: str, refund: UUID, at: datetime
) -> RefundCommand | None:
    """The command that records what became of a refund; None while that is not known."""
    match outcome:
        case Refunded(reference):
            return CaptureRefund(at=at, account=account, refund=refund, gateway_reference=reference)
        case RefundRefused(reason):
            return FailRefund(at=at, account=account, refund=refund, reason=reason)
        case Unknown():
            return None
        case _:
            assert_never(outcome)


def command_id_of(command: ChargeCommand | RefundCommand) -> UUID:
    """The id under which an outcome is recorded: made of the payment, or the refund, and it."""
    match command:
        case CaptureRefund() | FailRefund():
            return uuid5(command.refund, command.NAME)
        case _:
            return uuid5(command.payment, command.NAME)
