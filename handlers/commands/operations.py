"""Decisions about parked streams."""

from uuid import UUID

from psycopg import Connection

from domain.actor import Actor
from domain.operations import OPERATIONS, OperationsDecision, OperationsFact, Parking, decide
from handlers.commands.situation import Situation
from handlers.store.append import Append
from projections.parked import parked_at

__all__ = ["draft"]


def draft(command: OperationsDecision, actor: Actor, situation: Situation) -> Append:
    """What a decision about a parked stream wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    # Else a rebuild could apply the event before it knows that it is skipped.
    connection = situation.hold_still(command.projection)
    # Whoever decides meanwhile moves the stream, and this is decided again.
    made = situation.store.streams([OPERATIONS])[OPERATIONS]
    latest = max(
        (
            entry.position
            for entry in made
            if isinstance(entry.event, OperationsFact)
            and (entry.event.projection, entry.event.parked_stream)
            == (command.projection, command.stream)
        ),
        default=0,
    )
    parking = _parking(connection, command.projection, command.stream, latest)
    append = Append()
    append.write(OPERATIONS, len(made), decide(command, actor, parking))
    return append


def _parking(connection: Connection, projection: str, stream: UUID, latest: int) -> Parking | None:
    """Where the stream is parked; a decision behind what the read model knows has been obeyed."""
    known, event, position = parked_at(connection, projection, stream)
    if event is None or position is None:
        return None
    return Parking(event, position, decided=latest > known)
