"""What an aggregate is: three values and no framework (decision 1)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

__all__ = ["Decider"]

StateT = TypeVar("StateT")
EventT = TypeVar("EventT")


@dataclass(frozen=True, slots=True)
class Decider(Generic[StateT, EventT]):
    """How the state of an aggregate follows from its events.

    Rules live in the aggregate's ``decide`` alone: a guard in ``evolve`` would make old history
    unloadable when a rule is tightened.

    Attributes:
        initial: the state before the first event.
        evolve: the state after one more event; never refuses.
    """

    initial: StateT
    evolve: Callable[[StateT, EventT], StateT]

    def replay(self, events: Iterable[EventT]) -> StateT:
        """The state after these events."""
        return reduce(self.evolve, events, self.initial)
