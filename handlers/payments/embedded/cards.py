"""The cards of the embedded gateway: a token says what becomes of whatever is charged to it.

As with Stripe's test tokens, and under their names where Stripe has such a card. Any other token
that begins with ``pm_``, but not with ``pm_card_``, is a good card.
"""

import re
from dataclasses import dataclass

__all__ = ["Card", "card_of"]


@dataclass(frozen=True, slots=True)
class Card:
    """What becomes of what is charged to a card, and of its refunds.

    Attributes:
        status: of a charge.
        declined: why it is declined, as ``decline_code``.
        declines_first: of the tries for a period, so many are declined and no more.
        refund_status: of a refund.
        refund_failure: why it fails, as ``failure_reason``.
    """

    status: str = "succeeded"
    declined: str | None = None
    declines_first: int | None = None
    refund_status: str = "succeeded"
    refund_failure: str | None = None

    def decline_of(self, attempt: int) -> str | None:
        """Why this try is declined; None where it is not."""
        if self.declines_first is not None and attempt > self.declines_first:
            return None
        return self.declined


GOOD = Card()
CARDS = {
    "pm_card_visa": GOOD,
    "pm_card_mastercard": GOOD,
    "pm_card_amex": GOOD,
    "pm_card_chargeDeclined": Card(declined="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": Card(declined="insufficient_funds"),
    "pm_card_chargeDeclinedLostCard": Card(declined="lost_card"),
    "pm_card_chargeDeclinedStolenCard": Card(declined="stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": Card(declined="expired_card"),
    "pm_card_chargeDeclinedProcessingError": Card(declined="processing_error"),
    "pm_card_authenticationRequired": Card(declined="authentication_required"),
    "pm_card_refundFail": Card(
        refund_status="failed", refund_failure="expired_or_canceled_card"
    ),
    # Not among Stripe's. Pending things are done once they are asked about for a later instant.
    "pm_card_refundPending": Card(refund_status="pending"),
    "pm_card_processing": Card(status="processing"),
    "pm_card_requiresAction": Card(status="requires_action"),
}  # fmt: skip


def card_of(token: str) -> Card | None:
    """The card that a token stands for; None where there is none."""
    if token in CARDS:
        return CARDS[token]
    if match := re.fullmatch(r"pm_card_declinesFirst([1-9])", token):
        return Card(declined="insufficient_funds", declines_first=int(match[1]))
    if re.fullmatch(r"pm_(?!card_)[A-Za-z0-9_]{1,124}", token):
        return GOOD
    return None
