"""What the clock asks a payment gateway, and what records its answers (S6, S7, S12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.due import Due
from domain.event import Recorded
from domain.subscription import (
    CapturePayment,
    CaptureRefund,
    ChargeRequested,
    DeclinePayment,
    FailRefund,
    PaymentCaptured,
    RefundStanding,
    charge_is_wanted,
)
from handlers.faults import GatewayUnusable, OrderRefused
from handlers.ledger import Answer
from handlers.payments.gateway import (
    ChargeOrder,
    ChargeOutcome,
    PaymentGateway,
    RefundOrder,
    Unknown,
)
from handlers.payments.outcomes import ChargeCommand, RefundCommand, of_charge, of_refund
from handlers.store.sealing import NotOpened
from handlers.workers.clock_work import Outlook, Subject

__all__ = [
    "NOT_ASKED", "Question", "Said", "about_charge", "about_refund", "ask", "contradicts",
    "requested",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A charge or a refund that the gateway is asked for.

    Attributes:
        again: it may have been asked for before.
        unknown: that nobody knows its outcome is on record.
        wanted: it is made where it was not; else what was made is found out, and no more.
        card_altered: the token of the card cannot be opened, so that it cannot be asked.
    """

    order: ChargeOrder | RefundOrder
    again: bool
    unknown: bool = False
    wanted: bool = True
    card_altered: bool = False

    @property
    def item(self) -> UUID:
        """The payment, or the refund."""
        return self.order.refund if isinstance(self.order, RefundOrder) else self.order.payment


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a question.

    Attributes:
        known: the gateway said what became of it.
        record: the command that records it; None where nothing is new.
        refused: the gateway does not take it, or contradicts what is on record.
        fault: the gateway refuses Acta itself.
    """

    known: bool
    record: ChargeCommand | RefundCommand | None = None
    refused: OrderRefused | None = None
    fault: GatewayUnusable | None = None


NOT_ASKED = Said(known=False)

CARD_ALTERED = OrderRefused(
    "the token of its card cannot be opened: its row was altered, or is that of another",
    remedy="Have the payer choose the card anew.",
)


def about_charge(
    payment: UUID,
    subject: Subject,
    seen: Outlook,
    token: str | NotOpened | None,
    at: datetime,
    *,
    again: bool,
) -> Question | None:
    """The question about a charge; None where it has its outcome, which somebody else recorded.

    Args:
        payment: that of the charge.
        subject: the subscription.
        seen: how it stands.
        token: the card that is charged.
        at: business time.
        again: the gateway may have been asked before.
    """
    charge = seen.subscription.charge if seen.subscription else None
    if seen.subscription is None or charge is None or charge.payment != payment:
        return None
    request = charge.request
    order = ChargeOrder(
        payment=request.payment,
        account=subject.who,
        attempt=request.attempt,
        amount_minor=request.amount_minor,
        currency=request.currency,
        token=None if isinstance(token, NotOpened) else token,
        at=at,
    )
    wanted = not seen.closed and charge_is_wanted(seen.subscription, at)
    return Question(order, again, charge.unknown, wanted, wanted and isinstance(token, NotOpened))


def about_refund(
    due: Due, subject: Subject, seen: Outlook, recorded: Sequence[Recorded], at: datetime
) -> Question | None:
    """The question about a refund on its way; None where it is none.

    Args:
        due: names the refund.
        subject: the subscription whose payment goes back.
        seen: how it stands.
        recorded: its stream, which knows what the gateway calls the payment.
        at: business time.
    """
    known = seen.subscription.refunds.get(due.refund) if seen.subscription and due.refund else None
    if known is None or known.standing is not RefundStanding.REQUESTED:
        return None
    request = known.request
    order = RefundOrder(
        refund=request.refund,
        payment=request.payment,
        account=subject.who,
        amount_minor=request.amount_minor,
        currency=request.currency,
        gateway_reference=_reference(request.payment, recorded),
        at=at,
    )
    # Nothing on record tells whether it was asked for before.
    return Question(order, again=True)


def ask(gateway: PaymentGateway, question: Question) -> Said:
    """Asks the gateway; that it refuses Acta is a value, since others are asked beside."""
    order, again = question.order, question.again
    if question.card_altered:
        return Said(known=False, refused=CARD_ALTERED)
    try:
        if isinstance(order, RefundOrder):
            outcome = gateway.refund(order, again=again)
            record = of_refund(outcome, account=order.account, refund=order.refund, at=order.at)
            return Said(known=record is not None, record=record)
        charged = gateway.charge(order, again=again) if question.wanted else gateway.withdraw(order)
        return _said_of_charge(order, charged, unknown=question.unknown)
    except OrderRefused as refused:
        return Said(known=False, refused=refused)
    except GatewayUnusable as fault:
        return Said(known=False, fault=fault)


def contradicts(record: ChargeCommand | RefundCommand | None, now: Outlook) -> bool:
    """Whether the gateway says that money moved, and on record is that it did not, or reversely."""
    subscription = now.subscription
    if subscription is None:
        return False
    match record:
        case CapturePayment(payment=payment):
            return payment in subscription.payments and payment not in subscription.captured
        case DeclinePayment(payment=payment):
            return payment in subscription.captured
        case CaptureRefund(refund=refund):
            return subscription.refunds[refund].standing is RefundStanding.FAILED
        case FailRefund(refund=refund):
            return subscription.refunds[refund].standing is RefundStanding.REFUNDED
        case _:
            return False


def _said_of_charge(order: ChargeOrder, outcome: ChargeOutcome, *, unknown: bool) -> Said:
    if isinstance(outcome, Unknown) and unknown:
        return Said(known=False)
    record = of_charge(
        outcome,
        account=order.account,
        payment=order.payment,
        amount_minor=order.amount_minor,
        currency=order.currency,
        at=order.at,
    )
    return Said(known=not isinstance(outcome, Unknown), record=record)


def requested(answer: Answer, recorded: Sequence[Recorded]) -> UUID | None:
    """The payment that a command requested a charge for; None where it requested none."""
    events = {event.event_id for event in answer.receipt.events}
    return next(
        (
            entry.event.payment
            for entry in reversed(recorded)
            if entry.event_id in events and isinstance(entry.event, ChargeRequested)
        ),
        None,
    )


def _reference(payment: UUID, recorded: Sequence[Recorded]) -> str:
    """What the gateway calls a payment that came in."""
    return next(
        entry.event.gateway_reference
        for entry in recorded
        if isinstance(entry.event, PaymentCaptured) and entry.event.payment == payment
    )
