"""Events, and an event in its place in the log. Only events are truth."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from domain.actor import Actor

__all__ = ["Event", "EventOfAccount", "Recorded", "event_class", "event_classes"]

_classes_by_topic: dict[str, type["Event"]] = {}
"""Every topic ever written, older versions included, and the class that reads it."""


class Event(BaseModel):
    """A fact of the business, in the past tense.

    A published version never changes. An addition is an optional field with a default and a
    new ``version``; the class reads every version before it. Each aggregate has a base class
    made with ``aggregate=``; its subclasses are facts and enter the registry of topics.

    Attributes:
        occurred_at: business time, which may lie before the time of recording.
        person: whom the fact is about.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    AGGREGATE: ClassVar[str]
    VERSION: ClassVar[int]
    TOPIC: ClassVar[str]

    occurred_at: AwareDatetime
    """Business time: when it happened, which may lie before the time of recording."""
    person: UUID
    """The person whom the fact is about, by a random id."""

    def __init_subclass__(
        cls, *, aggregate: str | None = None, version: int = 1, abstract: bool = False
    ) -> None:
        super().__init_subclass__()
        if aggregate is not None:
            cls.AGGREGATE = aggregate
        if aggregate is not None or abstract:
            return
        cls.VERSION = version
        cls.TOPIC = f"{cls.AGGREGATE}.{cls.__name__}.v{version}"
        for readable in range(1, version + 1):
            _classes_by_topic[f"{cls.AGGREGATE}.{cls.__name__}.v{readable}"] = cls

    @property
    def persons(self) -> tuple[UUID, ...]:
        """Everybody whom the fact is about."""
        return (self.person,)


class EventOfAccount(Event, abstract=True):
    """A fact that belongs to the history of an account, whichever aggregate it is of."""

    account: UUID
    """The account, by a random id that it keeps for good (A6)."""


def event_class(topic: str) -> type[Event]:
    """The class that reads events of this topic.

    Raises:
        KeyError: no such topic was ever published.
    """
    return _classes_by_topic[topic]


def event_classes() -> tuple[type[Event], ...]:
    """Every event class at its current version, by topic."""
    current = {cls.TOPIC: cls for cls in _classes_by_topic.values()}
    return tuple(current[topic] for topic in sorted(current))


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its place in the log, with its envelope.

    Attributes:
        position: place in the whole log; grows, has gaps, is never reused.
        version: place in its stream, from 1 without gaps.
        recorded_at: when the store wrote it, as against ``event.occurred_at``.
        command_id: the command that it answers; ``correlation_id`` binds what belongs together,
            ``causation_id`` names the command or event that caused it.
    """

    position: int
    stream: UUID
    version: int
    event_id: UUID
    recorded_at: datetime
    actor: Actor
    command_id: UUID | None
    correlation_id: UUID | None
    causation_id: UUID | None
    event: Event
