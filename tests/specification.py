"""Tests of decisions that read as documentation: given these events, when this, then that.

    given(account_decider, registered).when(confirming_the_phone).then(phone_confirmed)
    given(account_decider, registered, suspended).when(suspending).then_refused("A10")

A decision is a function from the state that the events make to the events that it appends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.decider import Decider
from domain.refusal import Refused

__all__ = ["Given", "Outcome", "given"]

StateT = TypeVar("StateT")
EventT = TypeVar("EventT")


def given(decider: Decider[StateT, EventT], *events: EventT) -> "Given[StateT, EventT]":
    """What has happened so far."""
    return Given(decider, events)


@dataclass(frozen=True, slots=True)
class Given(Generic[StateT, EventT]):
    """A past, waiting for a decision."""

    decider: Decider[StateT, EventT]
    events: tuple[EventT, ...]

    @property
    def state(self) -> StateT:
        """What the past amounts to."""
        return self.decider.replay(self.events)

    def when(self, decision: Callable[[StateT], Sequence[EventT]]) -> "Outcome[StateT, EventT]":
        """Puts the decision to the state, and keeps whatever comes of it."""
        try:
            return Outcome(self, tuple(decision(self.state)))
        except Refused as refusal:
            return Outcome(self, refusal)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[StateT, EventT]):
    """What came of a decision: events, or a refusal."""

    past: Given[StateT, EventT]
    answer: tuple[EventT, ...] | Refused

    @property
    def events(self) -> tuple[EventT, ...]:
        """The events of a decision that was not refused."""
        assert not isinstance(self.answer, Refused), (
            f"refused by {self.answer}; {self.answer.remedy}"
        )
        return self.answer

    @property
    def refusal(self) -> Refused:
        """The refusal of a decision that was refused."""
        assert isinstance(self.answer, Refused), f"not refused, but {self.answer}"
        return self.answer

    def then(self, *expected: EventT) -> None:
        """These events come of it, and no others."""
        assert self.events == expected

    def then_nothing(self) -> None:
        """Nothing comes of it, for it is so already."""
        self.then()

    def then_refused(
        self, rule: str, *, message_contains: str = "", remedy_contains: str = ""
    ) -> None:
        """This rule stands in the way, says why, and what to do about it."""
        assert self.refusal.rule == rule, f"refused by {self.refusal}, not by {rule}"
        assert self.refusal.remedy, "a refusal says what to do about it"
        assert message_contains in self.refusal.message
        assert remedy_contains in self.refusal.remedy

    def and_when(self, decision: Callable[[StateT], Sequence[EventT]]) -> "Outcome[StateT, EventT]":
        """Takes what came of it as happened, and puts the next decision."""
        return given(self.past.decider, *self.past.events, *self.events).when(decision)
