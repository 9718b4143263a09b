"""The command that does what is due: tick."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.cli.arguments import DEADLINE_SECONDS, AsJson, Deadline, read_instant
from handlers.cli.output import by_field, progress, say, table, tell, write_json
from handlers.cli.signals import ended_by_signals
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domain.due import DueKind
    from handlers.faults import Fault
    from handlers.store.event_store import EventStore
    from handlers.workers.clock import Clock
    from handlers.workers.clock_run import ClockReport

__all__ = ["tick"]

INCOMPLETE = 1

SKEW_SECONDS = 60
"""How far the clocks of two machines may be apart."""


def tick(
    *,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="INSTANT",
            help="Play the clock up to this instant, such as 2026-03-01T09:00:00-03:00.",
        ),
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Go on, as things come due, until SIGTERM or SIGINT.")
    ] = False,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Do what is due, each thing once: renewals, retries, refunds, lapses, expiries, reminders.

    Without --until it is now, and all that is due is dated now. With it the clock is played: each
    thing is done as at the instant from which it is due, in their order, and what follows from it
    comes in its turn; a year can be played at once. An instant before the last one is refused, and
    one that has not come yet where the gateway would take real money.

    Any number may run at the same time, and whatever is killed is taken up by the next.
    ACTA_GATEWAY_URL names the gateway that charges cards; without one, charges and refunds wait.
    What is due is listed by acta due.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings
    from handlers.workers.clock import Clock

    if loop and until is not None:
        raise InvalidInput(
            "--until and --loop do not go together",
            remedy="Play the clock with --until, or keep up with it with --loop.",
        )
    instant = read_instant(until, option="--until")
    settings = read_settings()
    if settings.charges_real_money and instant > datetime.now(UTC):
        raise InvalidInput(
            "--until has not come yet, and cards would be charged before their day",
            remedy="Play it ahead with a gateway on this machine (acta gateway), or a test key.",
        )
    with ExitStack() as stack:
        acta = stack.enter_context(open_ledger(settings))
        clock = Clock(acta.ledger, acta.store, acta.due, acta.tokens, acta.gateway)
        stack.enter_context(ended_by_signals(clock.stop))
        if loop:
            _follow(clock, lambda: _now(acta.store), as_json=as_json)
            return
        if until is None:
            instant = _now(acta.store)
        advance = stack.enter_context(progress("Doing what is due", hidden=as_json))
        report = clock.run(
            instant, live=until is None, deadline_seconds=deadline_seconds, progress=advance
        )
    _show(report, as_json=as_json)
    if not report.complete:
        raise typer.Exit(INCOMPLETE)


def _now(store: "EventStore") -> datetime:
    """The time of this machine, where that of the database's agrees.

    Raises:
        InvalidInput: one of them is wrong; cards would be charged before their day.
    """
    now = datetime.now(UTC)
    apart_seconds = abs((now - store.now()).total_seconds())
    if apart_seconds > SKEW_SECONDS:
        raise InvalidInput(
            f"the clocks of this machine and of the database's are {apart_seconds:.0f} s apart",
            remedy="Set both by a time server, then start it again.",
        )
    return now


def _follow(clock: "Clock", now: "Callable[[], datetime]", *, as_json: bool) -> None:
    tell("Doing what is due as it comes due; SIGTERM or SIGINT ends it.")
    left: list[str] = []

    def told(report: "ClockReport") -> None:
        nonlocal left
        former, left = left, _what_is_left(report)
        if report.done or left != former:
            _show(report, as_json=as_json)

    clock.follow(now, told=told, waiting=_tell_waiting)


def _show(report: "ClockReport", *, as_json: bool) -> None:
    if as_json:
        write_json(_json(report))
    else:
        say(f"done up to {report.until.isoformat()}: {_counted(report.done) or 'nothing was due'}")
        if report.refused:
            headers = ("of whom", "what", "for the day", "rule", "why not")
            rows = [(no.who, no.kind.value, no.day, no.rule, no.message) for no in report.refused]
            table(headers, rows)
    for line in _what_is_left(report):
        tell(line)


def _json(report: "ClockReport") -> dict[str, Any]:
    return {**by_field(report), "complete": report.complete}


def _what_is_left(report: "ClockReport") -> list[str]:
    left: list[str] = []
    if report.waiting:
        left.append(f"{_counted(report.waiting)} wait for a payment gateway: set ACTA_GATEWAY_URL.")
    if report.unresolved:
        left.append(
            f"Outcomes that the gateway has not told: {report.unresolved}. It is asked again."
        )
    if report.refused:
        left.append(f"Due, and refused: {len(report.refused)}.")
    if report.degraded:
        left.append("More may be due: the read model has parked streams; see acta parked.")
    if report.stopped:
        left.append("Stopped before the end; the next run goes on.")
    return left


def _counted(kinds: "Mapping[DueKind, int]") -> str:
    return ", ".join(f"{number} {kind.value}" for kind, number in sorted(kinds.items()))


def _tell_waiting(fault: "Fault") -> None:
    tell(f"Waiting: {fault.message}. {fault.remedy}")
