"""Why a gateway did not do something: its codes, which are Stripe's, in Acta's words."""

from domain.subscription import DeclineReason, RefundFailure

__all__ = ["decline_reason", "refund_failure"]


def decline_reason(code: str | None, decline_code: str | None = None) -> DeclineReason:
    """Why a charge was declined; a ``decline_code`` says more than the ``code`` beside it."""
    match decline_code or code:
        case "insufficient_funds":
            return DeclineReason.INSUFFICIENT_FUNDS
        case "expired_card" | "expired_payment_method":
            return DeclineReason.CARD_EXPIRED
        case "processing_error" | "amount_too_small" | "amount_too_large":
            return DeclineReason.OTHER
        case _:
            return DeclineReason.CARD_REFUSED


def refund_failure(code: str | None) -> RefundFailure:
    """Why a refund failed, by its ``failure_reason``."""
    match code:
        case "lost_or_stolen_card" | "expired_or_canceled_card":
            return RefundFailure.CARD_CLOSED
        case _:
            return RefundFailure.REFUSED_BY_GATEWAY
