"""Webhooks of a payment gateway: whether one is genuine and fresh, and what it reports.

In the manner of Stripe: the header ``Stripe-Signature: t=UNIX,v1=HEX`` holds an HMAC of the instant
of sending and the body, byte by byte. What is not genuine is not read. What is read may come twice,
late or in any order; whoever records it looks at what is on record.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from domain.subscription import DeclineReason, GatewayReference
from handlers.payments.gateway import Captured, Declined, Refunded, RefundRefused
from handlers.payments.reasons import decline_reason, refund_failure

__all__ = [
    "TOLERANCE_SECONDS", "ChargeReport", "Ignored", "RefundReport", "Webhook", "WebhookRefused",
    "read_webhook", "split_secrets",
]  # fmt: skip

TOLERANCE_SECONDS = 300
"""How far the instant of sending may lie from now: an older webhook may be somebody's copy."""

CAPTURED = "payment_intent.succeeded"
CHARGE_TYPES = (CAPTURED, "payment_intent.payment_failed", "payment_intent.canceled")
REFUND_TYPES = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")

SENT_AT = re.compile(r"[0-9]{1,12}", re.ASCII)
SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)

# ---------------------------------------------------------------- what they report


@dataclass(frozen=True, slots=True)
class Ignored:
    """It reports nothing that Acta records.

    Attributes:
        why: in clear.
    """

    id: str
    type: str
    why: str


@dataclass(frozen=True, slots=True)
class ChargeReport:
    """What became of a charge.

    Attributes:
        id: of the webhook, as the gateway calls it.
        type: of the webhook.
        account: whose charge it is, account:ID or plan:ID.
        currency: as the gateway writes it, in capitals.
        at: when it happened, by the gateway's clock.
    """

    id: str
    type: str
    account: str
    payment: UUID
    amount_minor: int
    currency: str
    outcome: Captured | Declined
    at: datetime


@dataclass(frozen=True, slots=True)
class RefundReport:
    """What became of a refund; its fields are those of a charge's report."""

    id: str
    type: str
    account: str
    refund: UUID
    amount_minor: int
    currency: str
    outcome: Refunded | RefundRefused
    at: datetime


Webhook: TypeAlias = ChargeReport | RefundReport | Ignored


class WebhookRefused(Exception):  # noqa: N818  named for what it is
    """It is not genuine, not fresh, or cannot be read; the text says which, and nothing of it."""


def read_webhook(
    body: bytes, signature: str, *, secrets: Sequence[bytes], now: datetime
) -> Webhook:
    """What a webhook reports.

    Args:
        body: byte by byte as it came.
        signature: the header ``Stripe-Signature``.
        secrets: any of them may have signed it; two while one takes the place of the other.
        now: the instant at which it came.

    Raises:
        WebhookRefused: it is not genuine, not fresh, or cannot be read.
    """
    _refuse_unless_genuine(body, signature, secrets, now)
    try:
        event = _Event.model_validate_json(body)
        return _report(event)
    except ValidationError:
        raise WebhookRefused("it cannot be read") from None


def split_secrets(text: str) -> tuple[bytes, ...]:
    """The secrets of a setting, which has commas between them; empty ones sign nothing."""
    return tuple(part.encode() for secret in text.split(",") if (part := secret.strip()))


# ---------------------------------------------------------------- signature


def _refuse_unless_genuine(
    body: bytes, signature: str, secrets: Sequence[bytes], now: datetime
) -> None:
    parts = [part.strip().partition("=") for part in signature.split(",")]
    instants = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1" and SIGNATURE.fullmatch(value)]
    if len(instants) != 1 or not SENT_AT.fullmatch(instants[0]):
        raise WebhookRefused("it is not signed")
    signed = instants[0].encode() + b"." + body
    known = [hmac.new(secret, signed, "sha256").hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in known for other in given):
        raise WebhookRefused("its signature is wrong")
    age_seconds = now.timestamp() - int(instants[0])
    if age_seconds > TOLERANCE_SECONDS:
        raise WebhookRefused("it is too old")
    if age_seconds < -TOLERANCE_SECONDS:
        raise WebhookRefused("it is from the future")


# ---------------------------------------------------------------- content


class _Part(BaseModel):
    """A part of a webhook, which may have more fields than are read."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


Amount = Annotated[int, Field(strict=True, ge=0)]
CurrencyCode = Annotated[str, Field(pattern=r"^[a-z]{3}$"), AfterValidator(str.upper)]
# Until the end of the year 2999.
UnixSeconds = Annotated[int, Field(strict=True, ge=0, lt=32503680000)]


def _whose(account: str) -> str:
    kind, _, known_as = account.partition(":")
    if kind not in {"account", "plan"}:
        raise ValueError("nothing that pays")
    return f"{kind}:{UUID(known_as)}"


class _Metadata(_Part):
    """What Acta said of itself when it asked."""

    account: Annotated[str, AfterValidator(_whose)]


class _ChargeMetadata(_Metadata):
    payment: UUID
    withdrawn: DeclineReason | None = None


class _RefundMetadata(_Metadata):
    refund: UUID


class _DeclineError(_Part):
    code: str | None = None
    decline_code: str | None = None


class _PaymentIntent(_Part):
    id: GatewayReference
    amount: Amount
    amount_received: Amount | None = None
    currency: CurrencyCode
    metadata: _ChargeMetadata
    last_payment_error: _DeclineError | None = None


class _Refund(_Part):
    id: GatewayReference
    amount: Amount
    currency: CurrencyCode
    status: str | None
    metadata: _RefundMetadata
    failure_reason: str | None = None


class _Data(_Part):
    object: dict[str, Any]


class _Event(_Part):
    # Both go into a log, so no line of it can be made up by them.
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,100}$")]
    created: UnixSeconds
    data: _Data

    @property
    def happened_at(self) -> datetime:
        """When it happened, by the gateway's clock, which counts whole seconds."""
        return datetime.fromtimestamp(self.created, UTC)

    def names(self, key: str) -> bool:
        """Whether Acta asked for it, and gave this with it; others may use the gateway, too."""
        metadata = self.data.object.get("metadata")
        return isinstance(metadata, dict) and key in metadata


def _report(event: _Event) -> Webhook:
    if event.type in CHARGE_TYPES and event.names("payment"):
        return _of_charge(event)
    if event.type in REFUND_TYPES and event.names("refund"):
        return _of_refund(event)
    return Ignored(event.id, event.type, "it is about nothing that Acta asked for")


def _of_charge(event: _Event) -> ChargeReport:
    intent = _PaymentIntent.model_validate(event.data.object)
    amount_minor = intent.amount
    if event.type == CAPTURED:
        outcome: Captured | Declined = Captured(intent.id)
        if intent.amount_received is not None:
            amount_minor = intent.amount_received
    else:
        error = intent.last_payment_error or _DeclineError()
        why = decline_reason(error.code, error.decline_code)
        outcome = Declined(intent.metadata.withdrawn or why)
    return ChargeReport(
        event.id,
        event.type,
        intent.metadata.account,
        intent.metadata.payment,
        amount_minor,
        intent.currency,
        outcome,
        event.happened_at,
    )


def _of_refund(event: _Event) -> RefundReport | Ignored:
    refund = _Refund.model_validate(event.data.object)
    match refund.status:
        case "succeeded":
            outcome: Refunded | RefundRefused = Refunded(refund.id)
        case "failed" | "canceled":
            outcome = RefundRefused(refund_failure(refund.failure_reason))
        case _:
            return Ignored(event.id, event.type, "the refund is on its way")
    return RefundReport(
        event.id,
        event.type,
        refund.metadata.account,
        refund.metadata.refund,
        refund.amount,
        refund.currency,
        outcome,
        event.happened_at,
    )
