"""Between events and what is stored of them; sealing happens here, on the way in (decision 10)."""

from collections.abc import Iterable
from functools import lru_cache
from uuid import UUID

from pydantic import ValidationError

from domain.actor import Actor, ActorKind
from domain.event import Event, Recorded, event_class
from domain.personal import Personal, Purpose, owner_of, personal_fields
from handlers.faults import DatabaseVersion
from handlers.store.reader import Row
from handlers.store.vault import DataKey, Vault

__all__ = ["needed_keys", "seal_event", "to_event", "to_payload", "to_recorded"]


def needed_keys(events: Iterable[Event]) -> set[tuple[UUID, Purpose]]:
    """For whom and what keys are needed to seal these events."""
    return {
        (owner_of(event, mark), mark.purpose)
        for event in events
        for name, mark in personal_marks(type(event)).items()
        if isinstance(getattr(event, name), str)
    }


def seal_event(
    event: Event, event_id: UUID, keys: dict[tuple[UUID, Purpose], DataKey], vault: Vault
) -> Event:
    """The event with each personal value sealed for this very event, where alone it opens."""
    sealed = {
        name: vault.seal(value, keys[owner_of(event, mark), mark.purpose], event_id, name)
        for name, mark in personal_marks(type(event)).items()
        if isinstance(value := getattr(event, name), str)
    }
    return event.model_copy(update=sealed) if sealed else event


def to_payload(event: Event) -> bytes:
    """The bytes that are stored. An event with a clear personal value has none."""
    return event.model_dump_json().encode()


def to_event(topic: str, payload: bytes) -> Event:
    """The event that was stored under a topic.

    Raises:
        DatabaseVersion: this program knows no such topic, or cannot read what stands under it.
    """
    try:
        return event_class(topic).model_validate_json(payload, extra="ignore")
    except KeyError:
        fault = f"the log holds an event of an unknown topic, {topic}"
    except ValidationError:
        fault = f"the log holds an event of topic {topic} that cannot be read"
    raise DatabaseVersion(fault, remedy="Use a version of Acta that knows it.")


def to_recorded(row: Row) -> Recorded | None:
    """The event in its place; None for one of another application that shares the log.

    Raises:
        DatabaseVersion: this program cannot read it; the message says at which position.
    """
    if ":" in row.topic:
        return None
    try:
        event = to_event(row.topic, row.payload)
    except DatabaseVersion as fault:
        raise DatabaseVersion(
            f"{fault.message}, at position {row.position}", remedy=fault.remedy
        ) from None
    return Recorded(
        position=row.position,
        stream=row.stream,
        version=row.version,
        event_id=row.event_id,
        recorded_at=row.recorded_at,
        actor=_actor(row.actor_kind, row.actor_id),
        command_id=row.command_id,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        event=event,
    )


@lru_cache(maxsize=1024)
def personal_marks(event_type: type[Event]) -> dict[str, Personal]:
    """The personal fields of an event class, looked up once."""
    return personal_fields(event_type)


@lru_cache(maxsize=4096)
def _actor(kind: str, actor_id: UUID | None) -> Actor:
    return Actor(kind=ActorKind(kind), id=actor_id)
