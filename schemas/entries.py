"""The flat record of money: one type for every event that names an amount.

Events are for services that want to know what happened. Warehouses and SQL engines want rows of one
shape, and take them from ``acta.entries.v1`` without code: only text, whole numbers, days, and
instants in milliseconds, which is the most that Kafka Connect knows; nothing sealed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from domain.event import Event
from domain.money import Currency
from domain.subscription import PaymentMeans, TaxDocumentKind

__all__ = [
    "ENTRIES",
    "IN_MILLISECONDS",
    "WITHOUT_ENTRY",
    "Entry",
    "EntryKind",
    "entry",
    "entry_values",
    "has_entry",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Milliseconds:
    """Marks an instant that a contract holds in milliseconds rather than microseconds."""


IN_MILLISECONDS = Milliseconds()


class EntryKind(StrEnum):
    """What happened to the money."""

    PAYMENT_CAPTURED = "payment_captured"
    PAYMENT_DECLINED = "payment_declined"
    PAYMENT_REFUNDED = "payment_refunded"


def _whole_milliseconds(instant: datetime) -> datetime:
    return EPOCH + (instant - EPOCH) // MILLISECOND * MILLISECOND


Instant = Annotated[AwareDatetime, AfterValidator(_whole_milliseconds), IN_MILLISECONDS]


class Entry(BaseModel):
    """An amount of money that an event names, in a row like every other.

    The sum of received_minor over an account and a currency is what came in from that account.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    AGGREGATE: ClassVar[str] = "entries"
    VERSION: ClassVar[int] = 2
    TOPIC: ClassVar[str] = "entries.Entry.v2"

    event_id: str
    """The event that names the amount, by its id; it makes one entry."""
    kind: EntryKind
    """What happened."""
    position: int
    """The place of the event in the whole log; it grows and has gaps."""
    stream: str
    """The stream of the event; the key of this record."""
    version: int
    """The place of the event in its stream, where not every event has an entry."""
    occurred_at: Instant
    """Business time: when it happened, which may lie before the time of recording."""
    recorded_at: Instant
    """When the ledger recorded it."""
    account: str
    """The account, by a random id that it keeps for good (A6)."""
    person: str
    """The person whom the event is about, by a random id."""
    subscription: str
    """The subscription, which an account keeps through lapses and reactivations (A6)."""
    amount_minor: int
    """The amount that the event names, in minor units of the currency."""
    received_minor: int
    """What came in by it, in minor units: the amount of a capture, 0 for a decline, and for a
    refund its amount below 0."""
    currency: Currency
    """ISO 4217 code."""
    payment: str | None = None
    """Id of the payment."""
    payer: str | None = None
    """The person who paid, by a random id."""
    means: PaymentMeans | None = None
    """Card or transfer."""
    plan: str | None = None
    """The plan that was paid for."""
    price_version: int | None = None
    """The version of the prices that the amount follows from."""
    period_from: date | None = None
    """First day paid for."""
    period_to: date | None = None
    """Last day paid for."""
    time_zone: str | None = None
    """The time zone of both days."""
    gateway_reference: str | None = None
    """What the gateway or the bank calls the payment; never a card number."""
    reason: str | None = None
    """Why a charge was declined, or why money went back: the codes of those events."""
    tax_document: TaxDocumentKind | None = None
    """The kind of tax document that the payment gets."""
    refund: str | None = None
    """Id of the refund, where money of the payment went back."""


@dataclass(frozen=True, slots=True)
class Money:
    """What the entry of a fact says.

    Attributes:
        received: how often its amount came in: 1 for a capture, 0 where nothing moved, -1 where
            money goes back.
    """

    kind: EntryKind
    received: int


ENTRIES: dict[str, Money] = {
    "subscription.PaymentCaptured": Money(EntryKind.PAYMENT_CAPTURED, received=1),
    "subscription.PaymentDeclined": Money(EntryKind.PAYMENT_DECLINED, received=0),
    "subscription.PaymentRefunded": Money(EntryKind.PAYMENT_REFUNDED, received=-1),
}
"""Every fact that has an entry, whatever its version."""

WITHOUT_ENTRY: dict[str, str] = {
    "subscription.ChargeRequested": "no money has moved; its outcome says whether any does",
    "subscription.PaymentOutcomeUnknown": "nobody knows yet whether money has moved",
    "subscription.RefundFailed": "no money has moved, for it could not go back",
    "subscription.RefundRequested": "no money has moved; its outcome says whether any does",
    "subscription.PriceAnnounced": "it announces a price, and no money moves or was to move",
    "subscription.PlanConfirmed": "it agrees to a price, and no money moves or was to move",
}
"""Every fact that names an amount and has no entry, and why."""

OF_THE_EVENT = (
    "occurred_at", "account", "person", "subscription", "amount_minor", "currency", "payment",
    "payer", "means", "plan", "price_version", "period_from", "period_to", "time_zone",
    "gateway_reference", "reason", "tax_document", "refund",
)  # fmt: skip
"""What an entry takes over as it stands in the log; what an event lacks is null."""


def has_entry(topic: str) -> bool:
    """Whether events stored under this topic have an entry."""
    return topic.rpartition(".")[0] in ENTRIES


def entry_values(
    topic: str,
    values: Mapping[str, Any],
    *,
    event_id: str,
    position: int,
    stream: str,
    version: int,
    recorded_at: datetime,
) -> dict[str, Any]:
    """The entry of a stored event that has one, in the forms of JSON, as the event is stored.

    Args:
        topic: that under which the event is stored.
        values: the stored fields; they are not changed, and their types are not looked at.
        event_id: in text, like ``stream``.
        position: of the event in the log.
        stream: of the event.
        version: of the event in its stream.
        recorded_at: when the store wrote it.

    Raises:
        ValueError: the amount is missing, or is none; the message does not repeat it.
    """
    money = ENTRIES[topic.rpartition(".")[0]]
    found: dict[str, Any] = {name: values.get(name) for name in OF_THE_EVENT}
    try:
        found["received_minor"] = money.received * values["amount_minor"]
    except (KeyError, TypeError):
        raise ValueError(f"{topic}: it names no amount") from None
    found["event_id"] = event_id
    found["kind"] = money.kind.value
    found["position"] = position
    found["stream"] = stream
    found["version"] = version
    found["recorded_at"] = recorded_at.isoformat()
    return found


def entry(
    event: Event,
    *,
    event_id: UUID,
    position: int,
    stream: UUID,
    version: int,
    recorded_at: datetime,
) -> Entry | None:
    """The entry of an event; None if it has none.

    The relay makes entries faster, by ``entry_values``, and means the same.
    """
    money = ENTRIES.get(event.TOPIC.rpartition(".")[0])
    if money is None:
        return None
    told = event.model_dump(mode="json", include=set(Entry.model_fields))
    return Entry.model_validate(
        told
        | {
            "event_id": str(event_id),
            "kind": money.kind,
            "position": position,
            "stream": str(stream),
            "version": version,
            "recorded_at": recorded_at,
            "received_minor": money.received * told["amount_minor"],
        }
    )
