"""Read model of billing: what was agreed to, charged, tried and paid, line by line (S5, S13).

A subscription stands in one stream, and so do all the facts that the lines of an account tell.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Connection

from domain.event import Recorded
from domain.subscription import (
    ChargeRequested,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMethodChosen,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PlanConfirmed,
    PriceAnnounced,
    RefundFailed,
    RefundRequested,
    SubscriptionEnded,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStarted,
)
from projections.projection import Projection, Table

__all__ = [
    "LINES", "BillingHistory", "BillingLine", "lines_of", "months_between", "paid_through",
    "rows_of",
]  # fmt: skip

_COLUMNS = (
    "account", "position", "line", "event_id", "occurred_at", "kind", "amount_minor",
    "change_minor", "balance_minor", "currency", "payment", "means", "plan", "price_version",
    "months", "period_from", "period_to", "time_zone", "tax_document", "reason", "attempt",
    "retries_on", "refund", "reference",
)  # fmt: skip


class BillingHistory(Projection):
    """A charge and a payment for each capture, a credit and a refund for money that goes back.

    The changes of the balance that each makes add up to nothing. Other lines change no balance, and
    tell why it is what it is: what was agreed to, what was tried, and what became of it.
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
                "balance_minor": "int8 NOT NULL",
                "currency": "text",
                "payment": "uuid",
                "means": "text",
                "plan": "text",
                "price_version": "int4",
                "months": "int4",
                "period_from": "date",
                "period_to": "date",
                "time_zone": "text",
                "tax_document": "text",
                "reason": "text",
                "attempt": "int4",
                "retries_on": "date[]",
                "refund": "uuid",
                "reference": "text",
            },
            key=("account", "position", "line"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the lines of a batch."""
        self.tables[0].insert(
            connection,
            ([*row.values()] for entry in batch for row in rows_of(entry)),
        )


def rows_of(entry: Recorded) -> Iterator[dict[str, Any]]:
    """The rows that an event becomes, each by column."""
    balance_minor = 0
    for number, values in enumerate(lines_of(entry.event), start=1):
        change_minor = values.get("change_minor", 0)
        # Each event leaves nothing owed, so what is owed amid one follows from it alone (S13).
        balance_minor += change_minor
        row = {
            **values,
            "position": entry.position,
            "line": number,
            "event_id": entry.event_id,
            "occurred_at": entry.event.occurred_at,
            "change_minor": change_minor,
            "balance_minor": balance_minor,
        }
        yield {column: row.get(column) for column in _COLUMNS}


def lines_of(event: object) -> Iterator[dict[str, Any]]:
    """The lines that an event makes, each by column; their changes of a balance are nothing."""
    match event:
        case SubscriptionStarted():
            yield {"account": event.account, "kind": "started", "time_zone": event.time_zone}
        case PlanConfirmed():
            yield {**_price(event), "kind": "agreed"}
        case PaymentMethodChosen():
            yield {
                "account": event.account,
                "kind": "means_chosen",
                "means": event.means.value,
                "months": event.months,
            }
        case PriceAnnounced():
            yield {
                **_price(event),
                "kind": "price_announced",
                "period_from": event.effective_from,
                "time_zone": event.time_zone,
            }
        case ChargeRequested():
            yield {**_charge(event), "kind": "requested", "attempt": event.attempt}
        case PaymentOutcomeUnknown():
            yield {
                "account": event.account,
                "kind": "unknown",
                "payment": event.payment,
                "reason": event.reason.value,
                "period_to": event.access_until,
                "time_zone": event.time_zone,
            }
        case PaymentCaptured():
            charge = _charge(event)
            yield {**charge, "kind": "charge", "change_minor": event.amount_minor}
            yield {
                **charge,
                "kind": "payment",
                "change_minor": -event.amount_minor,
                "tax_document": event.tax_document.value,
                "reference": event.gateway_reference,
            }
        case PaymentDeclined():
            yield _declined(event)
        case SubscriptionPastDue():
            yield {
                "account": event.account,
                "kind": "past_due",
                "payment": event.payment,
                "period_to": event.access_until,
                "time_zone": event.time_zone,
                "retries_on": list(event.retries_on),
            }
        case RefundRequested():
            yield {**_refund(event), "kind": "refund_requested", "reason": event.reason.value}
        case PaymentRefunded():
            # What goes back is credited, and the credit is paid out (S12).
            refund = _refund(event)
            yield {**refund, "kind": "credit", "change_minor": -event.amount_minor}
            yield {
                **refund,
                "kind": "refund",
                "change_minor": event.amount_minor,
                "reference": event.gateway_reference,
            }
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


def _price(event: PlanConfirmed | PriceAnnounced) -> dict[str, Any]:
    return {
        "account": event.account,
        "amount_minor": event.monthly_price_minor,
        "currency": event.currency.value,
        "plan": event.plan,
        "price_version": event.price_version,
        "months": 1,
    }


def _charge(event: ChargeRequested | PaymentCaptured) -> dict[str, Any]:
    """All that an amount follows from (S5)."""
    return {
        "account": event.account,
        "amount_minor": event.amount_minor,
        "currency": event.currency.value,
        "payment": event.payment,
        "means": event.means.value,
        "plan": event.plan,
        "price_version": event.price_version,
        "months": months_between(event.period_from, event.period_to),
        "period_from": event.period_from,
        "period_to": event.period_to,
        "time_zone": event.time_zone,
    }


def _declined(event: PaymentDeclined) -> dict[str, Any]:
    first_day, last_day = event.period_from, event.period_to
    return {
        "account": event.account,
        "kind": "declined",
        "amount_minor": event.amount_minor,
        "currency": event.currency.value,
        "payment": event.payment,
        "means": event.means.value,
        "reason": event.reason.value,
        "months": months_between(first_day, last_day) if first_day and last_day else None,
        "period_from": first_day,
        "period_to": last_day,
        "time_zone": event.time_zone,
        "attempt": event.attempt,
    }


def _refund(event: RefundRequested | PaymentRefunded) -> dict[str, Any]:
    return {
        "account": event.account,
        "amount_minor": event.amount_minor,
        "currency": event.currency.value,
        "payment": event.payment,
        "refund": event.refund,
        "means": event.means.value,
    }


def months_between(first_day: date, last_day: date) -> int:
    """How many months are paid for from the first to the last day of a period, or of several."""
    end = last_day + timedelta(days=1)
    return (end.year - first_day.year) * 12 + end.month - first_day.month


# ---------------------------------------------------------------- answers


class BillingLine(NamedTuple):
    """A line of a billing history.

    Attributes:
        kind: started, agreed, means_chosen, price_announced, requested, unknown, charge, payment,
            declined, past_due, refund_requested, credit, refund, refund_failed, ended, resumed,
            lapsed or reactivated.
        amount_minor: the amount, in minor units of the currency: ``months`` months at the price of
            that version; of what was agreed to or announced, the price of one month.
        change_minor: what it does to the balance: a charge and a refund raise what is owed, a
            payment and a credit lower it.
        balance_minor: what is owed in that currency after this line.
        months: for how many months the amount is, or is to be paid at a time.
        period_from: the first day that it is about; of an announced price, from which it holds.
        period_to: the last day that it is about; of what is past due or unknown, and of an ending,
            the last day of access.
        attempt: which try for its period a charge was.
        retries_on: of what is past due: the days on which it will be tried again.
        reference: what the gateway or the bank calls the payment or the refund.
    """

    position: int
    line: int
    event_id: UUID
    occurred_at: datetime
    kind: str
    amount_minor: int | None
    change_minor: int
    balance_minor: int
    currency: str | None
    payment: UUID | None
    means: str | None
    plan: str | None
    price_version: int | None
    months: int | None
    period_from: date | None
    period_to: date | None
    time_zone: str | None
    tax_document: str | None
    reason: str | None
    attempt: int | None
    retries_on: list[date] | None
    refund: UUID | None
    reference: str | None


LINES: LiteralString = """
    SELECT position, line, event_id, occurred_at, kind, amount_minor, change_minor, balance_minor,
           currency, payment, means, plan, price_version, months, period_from, period_to,
           time_zone, tax_document, reason, attempt, retries_on, refund, reference
    FROM projections.billing_history
    WHERE account = %(account)s
      AND (%(at)s::timestamptz IS NULL OR occurred_at <= %(at)s)
    ORDER BY position, line
"""
"""The lines of an account or a plan, in the order of the log.

Parameters ``account`` and ``at``; what happened later than that is left aside, nothing where NULL.
"""


def paid_through(lines: Sequence[BillingLine]) -> date | None:
    """The last day that is paid for, which follows from the payments alone (S5)."""
    return next((line.period_to for line in reversed(lines) if line.kind == "payment"), None)
