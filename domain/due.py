"""What is due, and when: it follows from the events alone (S4 to S8, S12, I6, C3).

Nothing here asks the clock. Each thing has the instant from which it is due, most often the start
of a day in the time zone of what it is about; whoever does it gives that instant, or a later one,
as business time, and once it is on record it is due no longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.calendar import REMINDER_DAYS, start_of_day
from domain.contract import Contract, ContractStanding
from domain.invitation import Invitation, InvitationStanding
from domain.subscription_facts import PaymentMeans
from domain.subscription_state import (
    RefundStanding,
    Subscription,
    SubscriptionStanding,
    renews_by_card,
)

__all__ = [
    "REMINDER_DAYS", "Due", "DueKind", "due_of", "due_of_contract", "due_of_invitation",
]  # fmt: skip


class DueKind(StrEnum):
    """What is to be done."""

    RESOLUTION = "resolution"
    """Ask the gateway what became of a charge, then give its outcome."""
    REFUND = "refund"
    """Have the gateway give money back, then give the outcome."""
    RENEWAL = "renewal"
    """Give RequestCharge."""
    RETRY = "retry"
    """Give RequestCharge again after a decline."""
    LAPSE = "lapse"
    """Give LapseSubscription."""
    PAYMENT_REMINDER = "payment_reminder"
    """Give RemindPayment."""
    INVITATION_REMINDER = "invitation_reminder"
    """Give RemindInvitation."""
    INVITATION_EXPIRY = "invitation_expiry"
    """Give ExpireInvitation."""
    CONTRACT_REMINDER = "contract_reminder"
    """Give RemindContract."""
    CONTRACT_EXPIRY = "contract_expiry"
    """Give ExpireContract."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is to be done from an instant on.

    Attributes:
        day: the day in ``time_zone`` for which it is due; the instant is its first, or later where
            that from which it follows came later, or lies within a day.
        payment: of a resolution and a refund, the payment that it is about.
        refund: of a refund, which one.
    """

    kind: DueKind
    at: datetime
    day: date
    time_zone: str
    payment: UUID | None = None
    refund: UUID | None = None


def due_of(subscription: Subscription, *, closed: bool = False) -> tuple[Due, ...]:
    """What is due of a subscription now or later, as things stand, the first of it first.

    Args:
        subscription: an individual's, or a plan's.
        closed: its account is closed, so that nothing but what is on its way goes on (A10).
    """
    found = [*_on_their_way(subscription)]
    if not closed:
        found += _of_its_course(subscription)
    return tuple(sorted(found, key=lambda due: due.at))


def due_of_invitation(invitation: Invitation) -> tuple[Due, ...]:
    """What is due of an invitation, its days in UTC; of one that is not waiting, nothing (I6)."""
    if invitation.standing is not InvitationStanding.SENT or invitation.expires_at is None:
        return ()
    expiry = _at(DueKind.INVITATION_EXPIRY, invitation.expires_at)
    if invitation.reminder_at is None:
        return (expiry,)
    return (_at(DueKind.INVITATION_REMINDER, invitation.reminder_at), expiry)


def due_of_contract(contract: Contract) -> tuple[Due, ...]:
    """What is due of a contract; of one that was ended, or is on record to be over, nothing (C3).

    Behind the last day of the calendar there is none on which it could run out.
    """
    if contract.standing is not ContractStanding.OPEN or contract.valid_to == date.max:
        return ()
    expiry = _of(DueKind.CONTRACT_EXPIRY, contract.valid_to + timedelta(days=1), contract)
    if contract.reminder_day is None:
        return (expiry,)
    return (_of(DueKind.CONTRACT_REMINDER, contract.reminder_day, contract), expiry)


def _on_their_way(subscription: Subscription) -> Iterator[Due]:
    """The gateway was, or was about to be, asked."""
    if subscription.charge is not None:
        request = subscription.charge.request
        yield _since(DueKind.RESOLUTION, request.occurred_at, subscription, payment=request.payment)
    for refund in subscription.refunds.values():
        if refund.standing is RefundStanding.REQUESTED:
            asked = refund.request
            yield _since(
                DueKind.REFUND,
                asked.occurred_at,
                subscription,
                payment=asked.payment,
                refund=asked.refund,
            )


def _of_its_course(subscription: Subscription) -> Iterator[Due]:
    first_unpaid_day = subscription.first_unpaid_day
    if first_unpaid_day is None:
        return
    charge = subscription.charge
    match subscription.standing:
        case SubscriptionStanding.ENDED if charge is None:
            yield _on(DueKind.LAPSE, first_unpaid_day, subscription)
        case SubscriptionStanding.ACTIVE if charge is not None:
            # While nobody knows, nothing is charged again; once its grace is over, it lapses.
            if charge.unknown:
                yield _on(DueKind.LAPSE, _after_grace(subscription), subscription)
        case SubscriptionStanding.ACTIVE:
            renewal = _renewal(subscription, first_unpaid_day)
            yield from _reminder(subscription, before=renewal)
            yield renewal
        case _:
            return


def _renewal(subscription: Subscription, first_unpaid_day: date) -> Due:
    """The next charge of a card; a transfer is waited for until what is paid runs out."""
    method, past_due = subscription.method, subscription.past_due
    if method is None or method.means is not PaymentMeans.CARD:
        return _on(DueKind.LAPSE, _after_grace(subscription), subscription)
    if past_due is None:
        renewal = _on(DueKind.RENEWAL, first_unpaid_day, subscription)
        # Where the outcome came so late that the next period has passed, too, nothing renews it.
        in_time = renews_by_card(subscription, renewal.at)
        return renewal if in_time else replace(renewal, kind=DueKind.LAPSE)
    if past_due.retries_on:
        return _on(DueKind.RETRY, past_due.retries_on[0], subscription)
    return _on(DueKind.LAPSE, _after_grace(subscription), subscription)


def _reminder(subscription: Subscription, *, before: Due) -> Iterator[Due]:
    """Whoever pays by transfer is told that it runs out, unless it has by then (S5)."""
    if subscription.reminder_day is not None:
        reminder = _on(DueKind.PAYMENT_REMINDER, subscription.reminder_day, subscription)
        if reminder.at < before.at:
            yield reminder


def _after_grace(subscription: Subscription) -> date:
    """The first day without access: after what is paid for, and after the days of grace."""
    last_days = [subscription.paid_through, subscription.last_day_of_grace]
    return max(day for day in last_days if day is not None) + timedelta(days=1)


def _on(kind: DueKind, day: date, subscription: Subscription) -> Due:
    """From the start of a day, but never before the outcome that it follows from."""
    start = start_of_day(day, subscription.time_zone)
    at = max(start, subscription.settled_at or start)
    return Due(kind, at, day, subscription.time_zone)


def _since(
    kind: DueKind,
    at: datetime,
    subscription: Subscription,
    *,
    payment: UUID,
    refund: UUID | None = None,
) -> Due:
    return Due(kind, at, subscription.day(at), subscription.time_zone, payment, refund)


def _of(kind: DueKind, day: date, contract: Contract) -> Due:
    """From the start of a day, but never before its days were agreed to."""
    start = start_of_day(day, contract.time_zone)
    return Due(kind, max(start, contract.agreed_at or start), day, contract.time_zone)


def _at(kind: DueKind, at: datetime) -> Due:
    return Due(kind, at, at.astimezone(UTC).date(), "UTC")
