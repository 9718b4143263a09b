"""``acta parked``: streams that read models could not apply, and what becomes of them (X6)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from handlers.cli.answers import known_up_to
from handlers.cli.arguments import (
    DEADLINE_SECONDS,
    AsJson,
    AtLeast,
    Deadline,
    knowledge,
    read_actor,
    read_id,
)
from handlers.cli.output import say, show_time, table, write_json
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from domain.operations import OperationsDecision, ParkingReason
    from handlers.queries import Parked
    from projections.parked import ParkedStream

__all__ = ["app", "parking_line"]

STREAM = "0195f3c2-7a41-4c1e-9d3f-5b8e2a6c4d10"
STAFF = "support_staff:7b1e4d93-0c58-4a6f-b2d7-95e8f3a1c604"

app = typer.Typer(
    help="Show the streams that read models could not apply, have one tried again, or skip an"
    " event. All other streams go on meanwhile; a check that could rest on one of these is no.",
    invoke_without_command=True,
)

ProjectionMeant = Annotated[
    str, typer.Argument(metavar="PROJECTION", help="The read model, such as access.")
]
StreamMeant = Annotated[
    str, typer.Argument(metavar="STREAM", help="The stream, by its id as acta parked shows it.")
]
Reason = Annotated[
    str,
    typer.Option(
        "--reason",
        metavar="REASON",
        help="Why: program_mended, event_obsolete, event_faulty or other.",
    ),
]
Decider = Annotated[
    str,
    typer.Option("--actor", metavar="KIND:ID", help="Who decides: support_staff: and an id."),
]


@app.callback()
def parked(
    context: typer.Context,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show the streams that read models could not apply."""
    if context.invoked_subcommand is not None:
        return
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    with open_ledger(read_settings()) as acta:
        answer = acta.queries.parked(knowledge(at_least, deadline_seconds))
    if as_json:
        write_json(answer)
    else:
        _show(answer)


def _show(answer: "Parked") -> None:
    if answer.streams:
        headers = ("read model", "stream", "position", "event", "topic", "fault", "recorded (UTC)")
        table(headers, [_row(stream) for stream in answer.streams])
    else:
        say("nothing is parked")
    known_up_to(answer.position)


def _row(parked: "ParkedStream") -> tuple[object, ...]:
    return (
        parked.projection,
        parked.stream,
        parked.position,
        parked.event_id,
        parked.topic,
        parked.fault,
        show_time(parked.recorded_at),
    )


def parking_line(parked: "ParkedStream") -> str:
    """For whoever watches a projector."""
    return (
        f"{parked.projection} has parked stream {parked.stream} at position {parked.position},"
        f" {parked.topic}: {parked.fault}. All others go on; see acta parked"
    )


@app.command(
    epilog=f"Example: acta parked retry access {STREAM} --reason program_mended --actor {STAFF}"
)
def retry(
    projection: ProjectionMeant,
    stream: StreamMeant,
    *,
    reason: Reason,
    actor: Decider,
    as_json: AsJson = False,
) -> None:
    """Have a read model apply a parked stream again, once what it stumbled over is mended.

    The decision is an event; the projector obeys when it comes to it. What fails again stays
    parked.
    """
    from domain.operations import RetryParkedStream

    command = RetryParkedStream(
        at=datetime.now(UTC),
        projection=_projection(projection),
        stream=read_id("STREAM", stream),
        reason=_reason(reason),
    )
    _decide(command, actor, as_json=as_json)


@app.command(
    epilog=f"Example: acta parked skip access {STREAM} 4711 --reason event_faulty --actor {STAFF}"
)
def skip(
    projection: ProjectionMeant,
    stream: StreamMeant,
    position: Annotated[
        int, typer.Argument(metavar="POSITION", help="Of the event, as acta parked shows it.")
    ],
    *,
    reason: Reason,
    actor: Decider,
    as_json: AsJson = False,
) -> None:
    """Have a read model go on with a parked stream, and leave the event out for good.

    Also when it is rebuilt. The decision is an event; the projector obeys when it comes to it.
    """
    from domain.operations import SkipParkedEvent

    if position <= 0:
        raise InvalidInput("POSITION is none", remedy="Write the one that acta parked shows.")
    command = SkipParkedEvent(
        at=datetime.now(UTC),
        projection=_projection(projection),
        stream=read_id("STREAM", stream),
        position=position,
        reason=_reason(reason),
    )
    _decide(command, actor, as_json=as_json)


def _decide(command: "OperationsDecision", actor: str, *, as_json: bool) -> None:
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    with open_ledger(read_settings()) as acta:
        receipt = acta.ledger.ask(command, read_actor(actor), uuid4())
    if as_json:
        write_json({"position": receipt.position, "id": receipt.command_id})
        return
    say(f"Recorded at position {receipt.position}; {command.projection} obeys when it is there.")
    say(f"What is parked then: acta parked --at-least {receipt.position}")


def _projection(name: str) -> str:
    """The name of a read model.

    Raises:
        InvalidInput: there is none of that name.
    """
    from handlers.composition import PROJECTIONS

    names = [projection.name for projection in PROJECTIONS]
    if name not in names:
        raise InvalidInput(
            "there is no read model of that name", remedy=f"Name one of {', '.join(names)}."
        )
    return name


def _reason(text: str) -> "ParkingReason":
    from domain.operations import ParkingReason

    try:
        return ParkingReason(text)
    except ValueError:
        raise InvalidInput(
            "--reason is none that there is",
            remedy=f"Write one of {', '.join(reason.value for reason in ParkingReason)}.",
        ) from None
