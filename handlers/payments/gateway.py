"""What Acta asks of a payment gateway, and what may come of it (S6, S7, S12)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from domain.money import Currency
from domain.subscription import DeclineReason, RefundFailure, UnknownReason

__all__ = [
    "Captured", "ChargeOrder", "ChargeOutcome", "Declined", "PaymentGateway", "RefundOrder",
    "RefundOutcome", "RefundRefused", "Refunded", "Unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """A charge that was requested, and that the gateway is asked for.

    Attributes:
        payment: id of the payment, which is the idempotency key too (S6).
        account: whose it is: account:ID, or plan:ID.
        attempt: which try for its period it is, from 1.
        token: what the gateway calls the card; None where none is kept.
        at: business time at which it is asked.
    """

    payment: UUID
    account: str
    attempt: int
    amount_minor: int
    currency: Currency
    token: str | None = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """A refund that was requested, and that the gateway is asked for.

    Attributes:
        refund: id of the refund, which is the idempotency key too (S12).
        gateway_reference: what the gateway calls the payment.
        at: business time at which it is asked.
    """

    refund: UUID
    payment: UUID
    account: str
    amount_minor: int
    currency: Currency
    gateway_reference: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Captured:
    """The money came in."""

    gateway_reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """No money came in, and none will for this payment."""

    reason: DeclineReason


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money went back."""

    gateway_reference: str


@dataclass(frozen=True, slots=True)
class RefundRefused:
    """The money did not go back, and will not for this refund."""

    reason: RefundFailure


@dataclass(frozen=True, slots=True)
class Unknown:
    """The gateway did not say; it may have done it, or not (S7)."""

    reason: UnknownReason


ChargeOutcome: TypeAlias = Captured | Declined | Unknown
RefundOutcome: TypeAlias = Refunded | RefundRefused | Unknown


class PaymentGateway(Protocol):
    """Takes money from cards, and gives it back. Safe to ask from several threads at once.

    A gateway that does not answer is an outcome. One that refuses Acta itself, such as for a wrong
    key, raises ``handlers.faults.GatewayUnusable``; one that does not take an order, or contradicts
    it, ``OrderRefused``, and others can be asked for all the same.
    """

    def charge(self, order: ChargeOrder, *, again: bool = False) -> ChargeOutcome:
        """Takes the money of a charge, once, however often it is asked.

        Args:
            order: what is asked for.
            again: it may have been asked before, so what became of that is looked up first.
        """
        ...

    def withdraw(self, order: ChargeOrder) -> ChargeOutcome:
        """Sees to it that a charge is not made any more.

        Safe however often it is asked, and beside whoever still asks for the charge.

        Returns:
            What became of it where it was made; else Declined, as OTHER or, where the order has no
            token, as NO_CARD, and no later request under its key can take money.
        """
        ...

    def refund(self, order: RefundOrder, *, again: bool = False) -> RefundOutcome:
        """Gives money back, once, however often it is asked."""
        ...
