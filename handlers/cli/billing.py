"""``acta billing``: what was charged, paid and given back, as whoever pays would read it."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from handlers.cli.answers import known_up_to
from handlers.cli.arguments import (
    DEADLINE_SECONDS,
    AsJson,
    At,
    AtLeast,
    Deadline,
    WhoPaysMeant,
    knowledge,
    read_instant,
    read_who_pays,
)
from handlers.cli.output import by_field, say, table, write_json

if TYPE_CHECKING:
    from handlers.queries import Billing
    from projections.billing_history import BillingLine
    from projections.billing_outlook import Coming, Price

__all__ = ["billing"]


def billing(
    who: WhoPaysMeant,
    *,
    at: At = None,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show what was charged, paid and given back, line by line, what is owed, and what comes next.

    With --at, as it stood then; without, all that is known. A plan is meant by plan:ID. Each line
    names its position in the log; --json adds its event, and what the table leaves out.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    meant, until = read_who_pays(who), None if at is None else read_instant(at)
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.billing(
            meant, read_instant(None), knowledge(at_least, deadline_seconds), at=until
        )
    balances = {line.currency: line.balance_minor for line in answer.lines if line.currency}
    if as_json:
        write_json(_json(answer, balances))
    else:
        _show(answer, balances)


def _json(answer: "Billing", balances: dict[str, int]) -> dict[str, Any]:
    return {
        **by_field(answer),
        "lines": [line._asdict() for line in answer.lines],
        "coming": [
            {**each._asdict(), "price": each.price and each.price._asdict()}
            for each in answer.coming
        ],
        "balances_minor": balances,
    }


def _show(answer: "Billing", balances: dict[str, int]) -> None:
    from domain.calendar import local_day

    say(f"account: {answer.account}")
    zones = [line.time_zone for line in answer.lines if line.time_zone]
    zone = zones[-1] if zones else "UTC"
    say(f"days are those of {zone}")
    rows = [
        (
            line.position,
            _day(local_day(line.occurred_at, zone)),
            what,
            _money(line.change_minor, line.currency) if line.change_minor else None,
            _money(line.balance_minor, line.currency) if line.change_minor else None,
        )
        for line, what in _told(answer.lines)
    ]
    table(("position", "day", "what", "change", "balance"), rows)
    say(f"paid through: {_day(answer.paid_through) if answer.paid_through else 'never'}")
    owed = [_money(minor, currency) for currency, minor in balances.items() if minor]
    say(f"owed: {', '.join(owed) or 'nothing'}")
    for each in answer.coming:
        say(f"next: {_comes(each)}")
    known_up_to(answer.position, degraded=answer.degraded)


# ---------------------------------------------------------------- lines in words


def _told(lines: "Sequence[BillingLine]") -> "Iterator[tuple[BillingLine, str]]":
    """The lines that tell something to whoever pays, in words.

    What was asked for is told by what became of it, and by itself as long as nothing has.
    """
    context = _Context(lines)
    for number, line in enumerate(lines):
        if what := _in_words(line, context, number):
            yield line, what


class _Context:
    """What a line takes from others.

    Attributes:
        asked: the lines that asked for a charge or a refund, by id of the payment or refund.
        paid: the lines of payments that came in, by id.
        answered: payments and refunds of which it is known what became, or that it is not known.
        tried_again_on: by number of the line of a decline, when the card is charged again.
    """

    def __init__(self, lines: "Sequence[BillingLine]") -> None:
        self.asked = {
            line.refund or line.payment: line
            for line in lines
            if line.kind in {"requested", "refund_requested"}
        }
        self.paid = {line.payment: line for line in lines if line.kind == "payment"}
        self.answered = {
            line.refund or line.payment
            for line in lines
            if line.kind in {"charge", "declined", "unknown", "credit", "refund_failed"}
        }
        self.tried_again_on = _tried_again_on(lines)


def _tried_again_on(lines: "Sequence[BillingLine]") -> dict[int, date | None]:
    """Of each try that failed; None where no other follows it, or it is paid by transfer now."""
    from domain.calendar import local_day

    told: dict[int, date | None] = {}
    days: list[date] = []
    by_card, waiting = True, None
    for number, line in enumerate(lines):
        match line.kind:
            case "requested":
                waiting = None
            case "declined" if line.time_zone is not None:
                # Missed tries are not made up for.
                today = local_day(line.occurred_at, line.time_zone)
                waiting, days = number, [day for day in days[1:] if day > today]
            case "past_due":
                days = line.retries_on or []
            case "payment" | "ended" | "lapsed":
                days = []
            case "means_chosen":
                by_card = line.means == "card"
            case _:
                pass
        if waiting is not None:
            told[waiting] = days[0] if days and by_card else None
    return told


def _in_words(line: "BillingLine", context: _Context, number: int) -> str | None:
    amount = _money(line.amount_minor, line.currency)
    match line.kind:
        case "started":
            return "Subscription begun"
        case "agreed":
            return f"Agreed: plan {line.plan}, {amount} a month (price {line.price_version})"
        case "means_chosen":
            every = "month" if line.months == 1 else f"{line.months} months"
            return f"To be paid by {line.means}, every {every}"
        case "price_announced":
            return (
                f"Announced: plan {line.plan}, {amount} a month from {_day(line.period_from)} on"
                f" (price {line.price_version})"
            )
        case "requested":
            if line.payment in context.answered:
                return None
            return f"Card asked for {amount}{_for_days(line)}: no answer yet"
        case "unknown":
            return _unknown(line, context)
        case "charge":
            return f"Charged{_for_days(line)}: {_why(line)}"
        case "payment":
            return f"{_came_in(line)}; {line.tax_document}"
        case "declined":
            again = context.tried_again_on.get(number)
            tried = f"; tried again on {_day(again)}" if again else ""
            return f"Card declined, {amount}{_for_days(line)}: {_plain(line.reason)}{tried}"
        case "past_due":
            return f"Overdue: access until {_day(line.period_to)}, and on once it is paid"
        case "refund_requested" | "credit" | "refund" | "refund_failed":
            return _refund(line, context)
        case "ended":
            until = f": access until {_day(line.period_to)}" if line.period_to else ""
            return f"Subscription ended{until}"
        case "resumed":
            return "Ending taken back"
        case "lapsed":
            return f"Subscription lapsed: it was paid through {_day(line.period_to)}"
        case "reactivated":
            return "Subscription begun anew"
        case _:
            return line.kind


def _unknown(line: "BillingLine", context: _Context) -> str:
    asked = context.asked.get(line.payment)
    of = f" about {_money(asked.amount_minor, asked.currency)}{_for_days(asked)}" if asked else ""
    meanwhile = f"; access until {_day(line.period_to)} meanwhile" if line.period_to else ""
    return f"No answer{of}: asked again until there is one{meanwhile}"


def _came_in(line: "BillingLine") -> str:
    by_transfer = line.means == "transfer"
    return f"Transfer received ({line.reference})" if by_transfer else "Payment by card received"


def _refund(line: "BillingLine", context: _Context) -> str | None:
    amount = _money(line.amount_minor, line.currency)
    asked, paid = context.asked.get(line.refund), context.paid.get(line.payment)
    reason = f": {_plain(asked.reason)}" if asked else ""
    match line.kind:
        case "refund_requested":
            waits = line.refund not in context.answered
            return f"Refund of {amount} on its way{reason}" if waits else None
        case "credit":
            return f"Credited{_for_days(paid) if paid else ''}{reason}"
        case "refund":
            way = f"by transfer ({line.reference})" if line.means == "transfer" else "to the card"
            return f"Refund of {amount} {way}"
        case _:
            of = f" of {_money(asked.amount_minor, asked.currency)}" if asked else ""
            return f"Refund{of} failed: {_plain(line.reason)}"


def _comes(coming: "Coming") -> str:
    amount, price = _money(coming.amount_minor, coming.currency), coming.price
    why = f"{_for_days(coming)} ({_why(price)})" if price else ""
    match coming.kind:
        case "renewal":
            return f"{_day(coming.day)}, the card is charged {amount}{why}"
        case "retry":
            return f"{_day(coming.day)}, the card is charged {amount} again{why}"
        case "resolution":
            return f"the answer about the charge of {amount}"
        case "refund":
            return f"the refund of {amount}"
        case _ if price:
            return f"{_day(coming.day)}, access ends, unless {amount} are transferred before{why}"
        case _:
            return f"{_day(coming.day)}, access ends"


def _why(priced: "BillingLine | Price") -> str:
    """Why it is so much: so many months at the price of a version."""
    parts = f"plan {priced.plan}, price {priced.price_version}"
    months, amount_minor = priced.months or 1, priced.amount_minor or 0
    if amount_minor % months:
        return parts
    month = _money(amount_minor // months, priced.currency)
    many = "month" if months == 1 else "months"
    return f"{parts}, {months} {many} × {month}"  # noqa: RUF001  as people write it


def _for_days(period: "BillingLine | Coming") -> str:
    first, last = period.period_from, period.period_to
    return f" for {_day(first)} to {_day(last)}" if first and last else ""


def _plain(code: str | None) -> str:
    return (code or "other").replace("_", " ")


def _day(day: date | None) -> str:
    """Such as ``1 Mar 2026``, in which nobody takes the month for the day."""
    return f"{day.day} {day:%b %Y}" if day else ""


def _money(amount_minor: int | None, currency: str | None) -> str:
    from domain.money import Currency, format_money

    if amount_minor is None or currency is None:
        return "an amount"
    return format_money(amount_minor, Currency(currency))
