"""Decisions about parked streams."""

from uuid import UUID

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
    # The stream before the table: whoever decides meanwhile moves the stream, and this is decided
    # again; what the read model has come to by then is in the table.
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
    parking = _parking(situation, command.projection, command.stream, latest)
    append = Append()
    append.write(OPERATIONS, len(made), decide(command, actor, parking))
    return append


def _parking(situation: Situation, projection: str, stream: UUID, latest: int) -> Parking | None:
    """Where the stream is parked; a decision behind what the read model knows has been obeyed."""
    with situation.store.database.connection() as connection:
        known, event, position = parked_at(connection, projection, stream)
    if event is None or position is None:
        return None
    return Parking(event, position, decided=latest > known)
