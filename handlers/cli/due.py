"""The command that lists what is due: due."""

from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from handlers.cli.answers import known_up_to
from handlers.cli.arguments import (
    DEADLINE_SECONDS,
    AsJson,
    AtLeast,
    Deadline,
    knowledge,
    parse_instant,
    read_id,
    read_instant,
)
from handlers.cli.output import by_field, say, table, write_json
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from handlers.due_queries import DueLine, DueList, DuePlace

__all__ = ["due"]

PAGE = 50
MOST_AT_ONCE = 1000
MOST_OF_ONE = 32_767

# Spelled out, since reading them from the domain would slow every command's start.
KindName = Literal[
    "resolution",
    "refund",
    "renewal",
    "retry",
    "lapse",
    "payment_reminder",
    "invitation_reminder",
    "invitation_expiry",
    "contract_reminder",
    "contract_expiry",
]


def due(
    *,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="INSTANT",
            help="The last instant, such as 2026-03-01T09:00:00-03:00; now where none is given.",
        ),
    ] = None,
    kind: Annotated[
        KindName | None, typer.Option("--kind", help="Of this kind alone.", show_default=False)
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="N", min=1, max=MOST_AT_ONCE, help="How many lines at most."
        ),
    ] = PAGE,
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            metavar="PLACE",
            help="Where the page before ended, as it says; give its --until too.",
        ),
    ] = None,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show everything that is due up to an instant, the earliest first; acta tick does it.

    A thing is due from the start of a day in the time zone of whom it concerns, which each line
    names; or from later on that day, where it follows from what came later. What is on record is
    due no longer.

    A long list comes in pages, and each says how to ask for the next; in JSON the place is
    next_after, null on the last page.
    """
    from domain.due import DueKind
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    asked_until = read_instant(until, option="--until")
    place = None if after is None else _read_place(after)
    with open_ledger(read_settings()) as acta:
        answer = acta.due.due(
            asked_until,
            knowledge(at_least, deadline_seconds),
            kind=None if kind is None else DueKind(kind),
            after=place,
            limit=limit,
        )
    if as_json:
        write_json(_due_json(answer))
    else:
        _show_due(answer)


def _due_json(answer: "DueList") -> dict[str, Any]:
    next_after = None if answer.next_after is None else _place(answer.next_after)
    lines = [{**by_field(line), "concerns": _concerns(line)} for line in answer.lines]
    return {**by_field(answer), "lines": lines, "next_after": next_after}


def _show_due(answer: "DueList") -> None:
    say(f"due until {answer.until.isoformat()}: {len(answer.lines)}")
    headers = ("due from", "for the day", "what", "concerns", "payment", "refund")
    table(headers, [_row(line) for line in answer.lines])
    if answer.next_after is not None:
        place = _place(answer.next_after)
        say(f"there are more: --after {place} --until {answer.until.isoformat()}")
    known_up_to(answer.position, degraded=answer.degraded)


def _row(line: "DueLine") -> tuple[object, ...]:
    boundary = f"{line.at.astimezone(ZoneInfo(line.time_zone)):%Y-%m-%d %H:%M} {line.time_zone}"
    return (boundary, line.day, line.kind, _concerns(line), line.payment, line.refund)


def _concerns(line: "DueLine") -> str:
    """Such as ``account:ID``, ``plan:ID``, ``invitation:ID`` or ``contract:ID``."""
    if line.account is None:
        return f"{line.aggregate}:{line.subject}"
    return f"plan:{line.account}" if line.account == line.subject else f"account:{line.account}"


def _place(place: "DuePlace") -> str:
    return f"{place.at.astimezone(UTC).isoformat()}/{place.subject}/{place.number}"


def _read_place(text: str) -> "DuePlace":
    from handlers.due_queries import DuePlace

    at, _, rest = text.partition("/")
    subject, _, number = rest.partition("/")
    if not (number.isascii() and number.isdecimal() and int(number) <= MOST_OF_ONE):
        raise _no_place()
    try:
        return DuePlace(parse_instant(at), read_id("--after", subject), int(number))
    except ValueError:
        raise _no_place() from None


def _no_place() -> InvalidInput:
    return InvalidInput(
        "--after names no place in the list",
        remedy="Write it as the page before ends, or as its next_after in JSON says.",
    )
