"""Commands for whoever runs a ledger: status, project, keys rotate, migrate."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.cli.arguments import AsJson
from handlers.cli.output import progress, say, show_time, table, tell, write_json
from handlers.cli.parked import parking_line
from handlers.cli.signals import ended_by_signals
from handlers.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from handlers.composition import Acta
    from handlers.queries import PendingErasure, Status
    from handlers.settings import Settings
    from handlers.workers.projector import Progress, Projector
    from projections.parked import ParkedStream

__all__ = ["migrate", "project", "rotate", "status"]

KIBIBYTE = 1024


def status(*, as_json: AsJson = False) -> None:
    """Show the state of the log, and how far the read models are behind its head."""
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    settings = read_settings()
    with open_ledger(settings) as acta:
        state = acta.queries.status()
        relay = _relay(acta, settings)
    read_models = [
        {"name": name, "position": position, "lag": state.head - position}
        for name, position in state.positions.items()
    ]
    if not as_json:
        _show_status(state)
        if relay is not None:
            say(_relay_line(relay))
        return
    write_json(
        {
            "head": state.head,
            "events": state.events,
            "read_models": read_models,
            "sizes_bytes": state.sizes_bytes,
            "pending_erasures": state.pending_erasures,
            "parked": state.parked,
        }
        | ({} if relay is None else {"relay": relay})
    )


def _relay(acta: "Acta", settings: "Settings") -> dict[str, Any] | None:
    """How the relay fares; None where none is set up. That brokers are away is part of it."""
    from handlers.composition import relay_status

    if settings.kafka_bootstrap_servers is None:
        return None
    try:
        found = relay_status(acta, settings)
    except Fault as fault:
        return {"fault": fault.message, "remedy": fault.remedy}
    if found is None:
        return {"position": 0, "lag_events": acta.store.head(), "last_wrote_at": None}
    said = found.checkpoint
    return {
        "position": said.position,
        "lag_events": found.lag.events,
        "lag_seconds": round(found.lag.seconds, 3),
        "events_per_second": said.events_per_second,
        "committed": said.committed,
        "failed": said.failed,
        "last_wrote_at": said.at,
    }


def _relay_line(relay: dict[str, Any]) -> str:
    if "fault" in relay:
        return f"relay: {relay['fault']}. {relay['remedy']}"
    if relay["last_wrote_at"] is None:
        return "relay: none has written yet"
    return (
        f"relay: position {relay['position']},"
        f" {relay['lag_events']} events and {relay['lag_seconds']:.0f} s behind;"
        f" last wrote {show_time(relay['last_wrote_at'])} UTC,"
        f" at {relay['events_per_second']} events/s;"
        f" transactions of that run: {relay['committed']} committed, {relay['failed']} failed"
    )


def _show_status(state: "Status") -> None:
    say(f"head of the log: position {state.head}, {state.events} events")
    rows = [(name, known, state.head - known) for name, known in state.positions.items()]
    table(("read model", "position", "lag"), rows)
    sizes = [(name, f"{size / KIBIBYTE:,.0f} KiB") for name, size in state.sizes_bytes.items()]
    table(("table", "size"), sizes)
    say(f"parked streams: {state.parked or 'none'}")
    say(f"erasures not yet final: {len(state.pending_erasures) or 'none'}")
    if state.pending_erasures:
        table(
            ("person", "erased (UTC)", "what can still be read"),
            [
                (pending.person, show_time(pending.erased_at), _still_readable(pending))
                for pending in state.pending_erasures
            ],
        )


def _still_readable(pending: "PendingErasure") -> str:
    until = pending.tax_data_readable_until
    parts = [f"buyer data until {until}"] if until else []
    if pending.copies_readable:
        parts.append("copies made before, until acta keys rotate")
    return "; ".join(parts)


def project(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Bring them up to the log as it is now, and end.")
    ] = False,
    rebuild: Annotated[
        str | None,
        typer.Option("--rebuild", metavar="NAME", help="Fill this read model from zero."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the read models up to the log, and keep them there until SIGTERM or SIGINT.

    Where one cannot apply an event it parks that stream, says so, and goes on: see acta parked.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    with open_ledger(read_settings()) as acta:
        if rebuild is not None:
            _rebuild(acta, rebuild)
        done = _catch_up(acta.projector) if once else _follow(acta.projector)
    if as_json:
        write_json(done)
    else:
        say(f"{done.events} events applied; known up to position {done.position}")


def _rebuild(acta: "Acta", name: str) -> None:
    from handlers.composition import PROJECTIONS

    names = [projection.name for projection in PROJECTIONS]
    if name not in names:
        raise InvalidInput(
            "there is no read model of that name", remedy=f"Name one of {', '.join(names)}."
        )
    acta.projector.rebuild(name)


def _catch_up(projector: "Projector") -> "Progress":
    with progress("Projecting") as advance:
        return projector.catch_up(
            progress=lambda told: advance(told.events),
            parked=_tell_parked,
        )


def _tell_parked(parked: "ParkedStream") -> None:
    tell(parking_line(parked))


def _follow(projector: "Projector") -> "Progress":
    from handlers.workers.projector import Progress

    tell("Keeping the read models up to the log; SIGTERM or SIGINT ends it.")
    total, last = 0, Progress(0, 0, 0)

    def add(told: "Progress") -> None:
        nonlocal total, last
        total, last = total + told.events, told
        advance(total)

    with progress("Projecting") as advance, ended_by_signals(projector.stop):
        projector.follow(progress=add, parked=_tell_parked)
    return Progress(last.position, last.head, total)


def rotate(*, as_json: AsJson = False) -> None:
    """Wrap the living keys anew and destroy the old key-encryption key.

    From then on, copies of the database made before an erasure cannot be opened for the erased.
    Interrupted, it is simply run again.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    with open_ledger(read_settings()) as acta, progress("Wrapping keys") as advance:
        done = acta.vault.rotate(datetime.now(UTC).date(), advance)
    if as_json:
        write_json(done)
        return
    say(f"new key-encryption key: {done.successor}")
    say(f"keys wrapped under it: {done.keys_wrapped}")
    say(f"keys destroyed, their legal term ended: {done.keys_destroyed}")
    say(f"old key-encryption keys destroyed: {done.key_files_destroyed}")


def migrate(*, as_json: AsJson = False) -> None:
    """Bring a database to this program's version; the embedded one is when it is opened."""
    from handlers.composition import migrate_database, open_ledger
    from handlers.settings import read_settings

    settings = read_settings()
    if settings.database_url is None and settings.administrator_url is None:
        with open_ledger(settings):
            applied: list[str] = []
    else:
        applied = migrate_database(settings)
    if as_json:
        write_json({"applied": applied})
    else:
        say("\n".join(f"applied {name}" for name in applied) or "the database is of this version")
