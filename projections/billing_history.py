"""Read model of billing: what was charged and paid, line by line, and the balance (S5, S13)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from domain.event import Recorded
from domain.subscription import (
    ChargeRequested,
    PaymentCaptured,
    PaymentDeclined,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PriceAnnounced,
    RefundFailed,
    RefundRequested,
    SubscriptionEnded,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
)
from projections.projection import Projection, Table

__all__ = ["BillingHistory", "BillingLine", "billing_lines", "lines_of", "paid_through"]

_COLUMNS = (
    "account", "position", "line", "event_id", "occurred_at", "kind", "amount_minor",
    "change_minor", "currency", "payment", "means", "plan", "price_version", "period_from",
    "period_to", "time_zone", "tax_document", "reason", "attempt", "refund",
)  # fmt: skip


class BillingHistory(Projection):
    """A charge and a payment for each capture, a credit and a refund for money that goes back.

    The changes of the balance that each makes add up to nothing.
    """

    name: ClassVar[str] = "billing_history"
    version: ClassVar[int] = 2
    aggregates: ClassVar[frozenset[str] | None] = frozenset({"subscription"})
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "billing_history",
            {
                "account": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "line": "int2 NOT NULL",
                "event_id": "uuid NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "kind": "text NOT NULL",
                "amount_minor": "int8",
                "change_minor": "int8 NOT NULL",
                "currency": "text",
                "payment": "uuid",
                "means": "text",
                "plan": "text",
                "price_version": "int4",
                "period_from": "date",
                "period_to": "date",
                "time_zone": "text",
                "tax_document": "text",
                "reason": "text",
                "attempt": "int4",
                "refund": "uuid",
            },
            key=("account", "position", "line"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the lines of a batch."""
        self.tables[0].insert(
            connection,
            (
                _row(entry, number, values)
                for entry in batch
                for number, values in enumerate(lines_of(entry.event), start=1)
            ),
        )


def _row(entry: Recorded, number: int, values: dict[str, Any]) -> list[Any]:
    row = {
        "account": values["account"],
        "position": entry.position,
        "line": number,
        "event_id": entry.event_id,
        "occurred_at": entry.event.occurred_at,
        "change_minor": 0,
        **values,
    }
    return [row.get(column) for column in _COLUMNS]


def lines_of(event: object) -> Iterator[dict[str, Any]]:
    """The lines that an event makes, each by column; their changes of a balance are nothing."""
    match event:
        case PaymentCaptured():
            shared = {
                "account": event.account,
                "amount_minor": event.amount_minor,
                "currency": event.currency.value,
                "payment": event.payment,
                "means": event.means.value,
                "plan": event.plan,
                "price_version": event.price_version,
                "period_from": event.period_from,
                "period_to": event.period_to,
                "time_zone": event.time_zone,
            }
            yield {**shared, "kind": "charge", "change_minor": event.amount_minor}
            yield {
                **shared,
                "kind": "payment",
                "change_minor": -event.amount_minor,
                "tax_document": event.tax_document.value,
            }
        case ChargeRequested():
            yield {
                "account": event.account,
                "kind": "requested",
                "amount_minor": event.amount_minor,
                "currency": event.currency.value,
                "payment": event.payment,
                "means": event.means.value,
                "plan": event.plan,
                "price_version": event.price_version,
                "period_from": event.period_from,
                "period_to": event.period_to,
                "time_zone": event.time_zone,
                "attempt": event.attempt,
            }
        case PaymentOutcomeUnknown():
            yield {
                "account": event.account,
                "kind": "unknown",
                "payment": event.payment,
                "reason": event.reason.value,
            }
        case PaymentDeclined():
            yield {
                "account": event.account,
                "kind": "declined",
                "amount_minor": event.amount_minor,
                "currency": event.currency.value,
                "payment": event.payment,
                "means": event.means.value,
                "reason": event.reason.value,
                "period_from": event.period_from,
                "period_to": event.period_to,
                "time_zone": event.time_zone,
                "attempt": event.attempt,
            }
        case SubscriptionPastDue():
            yield {
                "account": event.account,
                "kind": "past_due",
                "payment": event.payment,
                "period_to": event.access_until,
                "time_zone": event.time_zone,
            }
        case PriceAnnounced():
            yield {
                "account": event.account,
                "kind": "price_announced",
                "amount_minor": event.monthly_price_minor,
                "currency": event.currency.value,
                "plan": event.plan,
                "price_version": event.price_version,
                "period_from": event.effective_from,
                "time_zone": event.time_zone,
            }
        case RefundRequested() | PaymentRefunded():
            yield from _refund_lines(event)
        case RefundFailed():
            yield {
                "account": event.account,
                "kind": "refund_failed",
                "payment": event.payment,
                "refund": event.refund,
                "reason": event.reason.value,
            }
        case SubscriptionEnded():
            yield {
                "account": event.account,
                "kind": "ended",
                "period_to": event.access_until,
                "time_zone": event.time_zone,
            }
        case SubscriptionResumed():
            yield {"account": event.account, "kind": "resumed"}
        case SubscriptionLapsed():
            yield {
                "account": event.account,
                "kind": "lapsed",
                "period_to": event.paid_through,
                "time_zone": event.time_zone,
            }
        case SubscriptionReactivated():
            yield {"account": event.account, "kind": "reactivated"}
        case _:
            return


def _refund_lines(event: RefundRequested | PaymentRefunded) -> Iterator[dict[str, Any]]:
    """What goes back is credited, and the credit is paid out (S12)."""
    shared = {
        "account": event.account,
        "amount_minor": event.amount_minor,
        "currency": event.currency.value,
        "payment": event.payment,
        "refund": event.refund,
        "means": event.means.value,
    }
    if isinstance(event, RefundRequested):
        yield {**shared, "kind": "refund_requested", "reason": event.reason.value}
        return
    yield {**shared, "kind": "credit", "change_minor": -event.amount_minor}
    yield {**shared, "kind": "refund", "change_minor": event.amount_minor}


@dataclass(frozen=True, slots=True)
class BillingLine:
    """A line of a billing history.

    Attributes:
        kind: requested, unknown, charge, payment, declined, past_due, price_announced,
            refund_requested, credit, refund, refund_failed, ended, resumed, lapsed or reactivated.
        amount_minor: the amount, in minor units of the currency; of an announced price, a month's.
        change_minor: what it does to the balance: a charge and a refund raise what is owed, a
            payment and a credit lower it.
        period_to: the last day that it is about; of what is past due, the last day of access.
        attempt: which try for its period a charge was.
        balance_minor: what is owed in that currency after this line.
    """

    position: int
    line: int
    event_id: UUID
    occurred_at: datetime
    kind: str
    amount_minor: int | None
    change_minor: int
    currency: str | None
    payment: UUID | None
    means: str | None
    plan: str | None
    price_version: int | None
    period_from: date | None
    period_to: date | None
    time_zone: str | None
    tax_document: str | None
    reason: str | None
    attempt: int | None
    refund: UUID | None
    balance_minor: int


_LINES = """
    SELECT position, line, event_id, occurred_at, kind, amount_minor, change_minor, currency,
           payment, means, plan, price_version, period_from, period_to, time_zone, tax_document,
           reason, attempt, refund,
           sum(change_minor) OVER (PARTITION BY currency ORDER BY position, line)::int8
               AS balance_minor
    FROM projections.billing_history WHERE account = %s ORDER BY position, line
"""


def billing_lines(connection: Connection, account: UUID) -> tuple[BillingLine, ...]:
    """The billing history of an account, in the order of the log."""
    rows = connection.cursor(binary=True, row_factory=class_row(BillingLine))
    return tuple(rows.execute(_LINES, (account,)).fetchall())


def paid_through(lines: Sequence[BillingLine]) -> date | None:
    """The last day that is paid for, which follows from the payments alone (S5)."""
    days = [line.period_to for line in lines if line.kind == "payment" and line.period_to]
    return max(days, default=None)
