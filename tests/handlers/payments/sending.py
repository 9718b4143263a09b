"""Webhooks as the gateway sends them, made and signed by a test."""

import hmac
import json
from datetime import datetime
from typing import Any

from domain.subscription import ChargeRequested, RefundRequested

__all__ = ["SECRET", "of_charge", "of_refund", "sign", "webhook"]

SECRET = "whsec_test"


def sign(body: bytes, at: datetime | int, *secrets: str) -> str:
    """The header ``Stripe-Signature``, of an instant of sending and each of the secrets."""
    sent_at = at if isinstance(at, int) else int(at.timestamp())
    signed = f"{sent_at}.".encode() + body
    digests = [
        hmac.new(secret.encode(), signed, "sha256").hexdigest() for secret in secrets or [SECRET]
    ]
    return ",".join([f"t={sent_at}", *(f"v1={digest}" for digest in digests)])


def webhook(kind: str, about: dict[str, Any], *, created: datetime, name: str = "evt_1") -> bytes:
    """The body of a webhook."""
    event = {
        "id": name,
        "object": "event",
        "type": kind,
        "created": int(created.timestamp()),
        "livemode": False,
        "data": {"object": about},
    }
    return json.dumps(event).encode()


def of_charge(
    request: ChargeRequested,
    kind: str = "payment_intent.succeeded",
    *,
    created: datetime | None = None,
    name: str = "evt_1",
    account: str | None = None,
    **changes: Any,
) -> bytes:
    """The webhook that tells what became of a charge."""
    captured = kind == "payment_intent.succeeded"
    declined = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
    about: dict[str, Any] = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": request.amount_minor,
        "amount_received": request.amount_minor if captured else 0,
        "currency": request.currency.value.lower(),
        "status": "succeeded" if captured else "requires_payment_method",
        "last_payment_error": None if captured else declined,
        "metadata": {
            "payment": str(request.payment),
            "account": account or f"account:{request.account}",
            "attempt": str(request.attempt),
        },
    }
    at = created or request.occurred_at
    return webhook(kind, {**about, **changes}, created=at, name=name)


def of_refund(
    request: RefundRequested,
    kind: str = "refund.updated",
    *,
    status: str = "succeeded",
    created: datetime | None = None,
    name: str = "evt_2",
    **changes: Any,
) -> bytes:
    """The webhook that tells what became of a refund."""
    about: dict[str, Any] = {
        "id": "re_1",
        "object": "refund",
        "amount": request.amount_minor,
        "currency": request.currency.value.lower(),
        "status": status,
        "payment_intent": "pi_1",
        "metadata": {
            "refund": str(request.refund),
            "payment": str(request.payment),
            "account": f"account:{request.account}",
        },
    }
    at = created or request.occurred_at
    return webhook(kind, {**about, **changes}, created=at, name=name)
