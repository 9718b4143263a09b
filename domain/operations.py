"""Operations: what people decided about streams that a read model could not apply (X6).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Whoever replays the log later skips what was skipped, and knows why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, assert_never
from uuid import UUID

from pydantic import Field, StringConstraints

from domain.actor import Actor
from domain.command import Command
from domain.event import Event
from domain.refusal import Refused

OPERATIONS = UUID("6f1d8e5c-3b7a-4d92-8c64-0a5be21f97d3")
"""The one stream of operations, by an id drawn once."""


class ParkingReason(StrEnum):
    """Why a parked stream is tried again, or its event skipped, in clear."""

    PROGRAM_MENDED = "program_mended"
    EVENT_OBSOLETE = "event_obsolete"
    EVENT_FAULTY = "event_faulty"
    OTHER = "other"


# ---------------------------------------------------------------- events


class OperationsFact(Event, aggregate="operations"):
    """What all facts of operations carry; their person is whoever decided, by staff id."""

    projection: str
    """The read model."""
    parked_stream: UUID
    """The stream that it had parked."""
    reason: ParkingReason
    """Why, in clear."""


class ParkedStreamRetried(OperationsFact):
    """The read model is to apply the stream again, from the event that it could not apply."""


class ParkedEventSkipped(OperationsFact):
    """The read model is to go on without the event that it could not apply."""

    skipped_event: UUID
    """The event, by its id."""
    skipped_position: int
    """Its position in the log."""


OperationsEvent = ParkedStreamRetried | ParkedEventSkipped

# ---------------------------------------------------------------- commands

ProjectionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,59}$")]
"""Name of a read model, such as ``access``."""


class RetryParkedStream(Command):
    """Has a read model apply a parked stream again."""

    projection: ProjectionName
    """The read model."""
    stream: UUID
    """The stream."""
    reason: ParkingReason
    """Why."""


class SkipParkedEvent(Command):
    """Has a read model go on with a parked stream without the event that it could not apply."""

    projection: ProjectionName
    """The read model."""
    stream: UUID
    """The stream."""
    position: Annotated[int, Field(strict=True, gt=0)]
    """Position of the event, as acta parked shows it."""
    reason: ParkingReason
    """Why."""


OperationsDecision = RetryParkedStream | SkipParkedEvent


@dataclass(frozen=True, slots=True)
class Parking:
    """Where a read model has parked a stream.

    Attributes:
        event: the event that it could not apply, by its id; ``position`` is that event's.
        decided: somebody has decided about it already, and the read model has yet to obey.
    """

    event: UUID
    position: int
    decided: bool = False


def decide(
    command: OperationsDecision, actor: Actor, parking: Parking | None
) -> Sequence[OperationsEvent]:
    """The events that a command becomes.

    Args:
        command: what is wanted.
        actor: a member of staff, by name.
        parking: where the stream is parked; None where it is not.

    Raises:
        Refused: the stream is not parked, or at another event (X6); or nobody is named (G1).
    """
    match command:
        case RetryParkedStream():
            return retry_parked_stream(command, actor, parking)
        case SkipParkedEvent():
            return skip_parked_event(command, actor, parking)
        case _:
            assert_never(command)


def retry_parked_stream(
    command: RetryParkedStream, actor: Actor, parking: Parking | None
) -> Sequence[ParkedStreamRetried]:
    """A stream is tried again once the program, or what it stumbled over, is mended (X6)."""
    person = _named(actor)
    _undecided(parking)
    return [
        ParkedStreamRetried(
            occurred_at=command.at,
            person=person,
            projection=command.projection,
            parked_stream=command.stream,
            reason=command.reason,
        )
    ]


def skip_parked_event(
    command: SkipParkedEvent, actor: Actor, parking: Parking | None
) -> Sequence[ParkedEventSkipped]:
    """An event is left out for good, the one that whoever decides has seen (X6)."""
    person = _named(actor)
    known = _undecided(parking)
    if known.position != command.position:
        raise Refused(
            "X6",
            f"the stream is parked at position {known.position}, not {command.position}",
            remedy="Look at it with acta parked, and name the position that stands there.",
        )
    return [
        ParkedEventSkipped(
            occurred_at=command.at,
            person=person,
            projection=command.projection,
            parked_stream=command.stream,
            reason=command.reason,
            skipped_event=known.event,
            skipped_position=known.position,
        )
    ]


def _named(actor: Actor) -> UUID:
    if actor.id is None:
        raise Refused(
            "G1",
            "it has to be known who decides about a parked stream",
            remedy="Name the member of staff: support_staff:ID.",
        )
    return actor.id


def _undecided(parking: Parking | None) -> Parking:
    if parking is None:
        raise Refused(
            "X6",
            "the stream is not parked in that read model",
            remedy="See what is parked with acta parked.",
        )
    if parking.decided:
        raise Refused(
            "X6",
            "somebody has decided about the stream, and the read model has yet to obey",
            remedy="Wait until acta project has come to it, and look again with acta parked.",
        )
    return parking
