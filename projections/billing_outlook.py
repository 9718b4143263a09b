"""What comes next of a subscription that is paid for: the next charge, or the end (S4 to S8)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from domain.calendar import period
from domain.due import DueKind
from domain.subscription import PaymentMeans
from projections.billing_history import BillingLine, months_between, paid_through

__all__ = ["DUE", "Coming", "Price", "coming"]


class Price(NamedTuple):
    """What a period costs, and why: so many months at the price of that version."""

    amount_minor: int
    currency: str
    plan: str
    price_version: int
    months: int


class Coming(NamedTuple):
    """Something that comes, as things stand.

    Attributes:
        kind: renewal, retry, resolution, refund or lapse, as in ``domain.due.DueKind``.
        day: on which, in ``time_zone``; of a lapse, the first day without access.
        amount_minor: what will be charged, was charged, goes back, or has to be transferred for the
            lapse not to come; None where nothing can be paid, or a charge has no outcome yet.
        price: of what is to be paid, why it is so much; ``period_from`` and ``period_to`` are the
            days that it pays for.
        payment: of a resolution and a refund, the payment that it is about.
        refund: of a refund, which one.
    """

    kind: str
    day: date
    time_zone: str
    payment: UUID | None = None
    refund: UUID | None = None
    amount_minor: int | None = None
    currency: str | None = None
    price: Price | None = None
    period_from: date | None = None
    period_to: date | None = None


DUE: LiteralString = """
    SELECT NULL, number, NULL, due_at, kind, NULL, 0, 0,
           NULL, payment, NULL, NULL, NULL, NULL, day, NULL,
           time_zone, NULL, NULL, NULL, NULL, refund, NULL
    FROM projections.due_work
    WHERE subject = ANY(%(subjects)s) AND %(at)s::timestamptz IS NULL
"""
"""What is due of them, in the columns of ``LINES``, as lines that have no position yet.

Parameters ``subjects``, the streams in which a subscription of the account can stand, and ``at``;
of the past it is not known any more.
"""


def coming(due: Iterable[BillingLine], lines: Sequence[BillingLine]) -> tuple[Coming, ...]:
    """What comes, the first of it first, with its amounts, which follow from the lines.

    Args:
        due: as ``DUE`` selects it.
        lines: all of the billing history.
    """
    found = [
        Coming(line.kind, line.period_from, line.time_zone, line.payment, line.refund)
        for line in due
        if line.kind in _KINDS and line.period_from is not None and line.time_zone is not None
    ]
    # A charge without outcome may have paid for the days, and no other is taken meanwhile (S6, S7).
    in_doubt = any(each.kind == DueKind.RESOLUTION for each in found)
    return tuple(
        each if in_doubt and each.kind == DueKind.LAPSE else _with_amount(each, lines)
        for each in found
    )


_KINDS = frozenset(
    {DueKind.RESOLUTION, DueKind.REFUND, DueKind.RENEWAL, DueKind.RETRY, DueKind.LAPSE}
)


def _with_amount(due: Coming, lines: Sequence[BillingLine]) -> Coming:
    match due.kind:
        case DueKind.RESOLUTION:
            return _amount_of("requested", due, lines)
        case DueKind.REFUND:
            return _amount_of("refund_requested", due, lines)
        case _:
            return _to_be_paid(due, _since_the_steps(lines))


def _amount_of(kind: str, due: Coming, lines: Sequence[BillingLine]) -> Coming:
    asked_for = (kind, due.payment, due.refund)
    for line in reversed(lines):
        if (line.kind, line.payment, line.refund) == asked_for:
            return due._replace(amount_minor=line.amount_minor, currency=line.currency)
    return due


def _since_the_steps(lines: Sequence[BillingLine]) -> Sequence[BillingLine]:
    """The lines since the steps were begun, for the first time or anew after a lapse (A6)."""
    again = _last_of_each_kind(lines).get("reactivated")
    return lines if again is None else lines[lines.index(again) :]


def _last_of_each_kind(lines: Sequence[BillingLine]) -> Mapping[str, BillingLine]:
    return {line.kind: line for line in lines}


def _to_be_paid(due: Coming, lines: Sequence[BillingLine]) -> Coming:
    """The period that follows what is paid, at the price that holds on its first day (S5)."""
    last = _last_of_each_kind(lines)
    if due.kind == DueKind.LAPSE and not _waits_for_a_transfer(last):
        return due
    anchor = next((line.period_from for line in lines if line.kind == "payment"), None)
    last_paid_day = paid_through(lines)
    if anchor is None or last_paid_day is None:
        return due
    first_day = last_paid_day + timedelta(days=1)
    price = _price_on(first_day, lines, last)
    if price is None:
        return due
    before = months_between(anchor, last_paid_day)
    days = period(anchor, months_before=before, months=price.months)
    return due._replace(
        amount_minor=price.amount_minor,
        currency=price.currency,
        price=price,
        period_from=days.first_day,
        period_to=days.last_day,
    )


def _waits_for_a_transfer(last: Mapping[str, BillingLine]) -> bool:
    """Whether it runs out for want of a transfer, and of nothing else."""
    if "means_chosen" not in last or last["means_chosen"].means != PaymentMeans.TRANSFER:
        return False
    ended, resumed = last.get("ended"), last.get("resumed")
    return ended is None or (resumed is not None and resumed.position > ended.position)


def _price_on(
    first_day: date, lines: Sequence[BillingLine], last: Mapping[str, BillingLine]
) -> Price | None:
    """What a period costs that begins on this day, as agreed and announced so far."""
    if "agreed" not in last or "means_chosen" not in last:
        return None
    agreed, months = last["agreed"], last["means_chosen"].months or 1
    announced = [
        line
        for line in (lines if "price_announced" in last else ())
        if line.kind == "price_announced"
        and (line.plan, line.currency) == (agreed.plan, agreed.currency)
        and line.period_from is not None
        and line.period_from <= first_day
    ]
    return _price(max([agreed, *announced], key=lambda line: line.price_version or 0), months)


def _price(month: BillingLine, months: int) -> Price | None:
    match month:
        case BillingLine(
            amount_minor=int(amount_minor),
            currency=str(currency),
            plan=str(plan),
            price_version=int(version),
        ):
            return Price(amount_minor * months, currency, plan, version, months)
        case _:
            return None
