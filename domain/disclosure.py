"""Disclosure: personal values that a door gave out, each time with who asked and why (G1).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. What is recorded holds nothing of the value, so it can be kept in
clear, and stays when the person is erased (A11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NoReturn
from uuid import UUID

from pydantic import StringConstraints

from domain.actor import Actor
from domain.command import Command
from domain.event import Event
from domain.personal import Personal, Purpose, owner_of, personal_fields
from domain.refusal import Refused

__all__ = [
    "DisclosureFact",
    "OpenPersonalValue",
    "OpeningReason",
    "OpeningSurroundings",
    "PersonalValueOpened",
    "fact_of",
    "open_personal_value",
    "refuse_as_erased",
    "refuse_unless_open",
]


class OpeningReason(StrEnum):
    """What a personal value is opened for, in clear."""

    NOTIFY = "notify"
    TAX_DOCUMENT = "tax_document"
    SUPPORT = "support"
    AUDIT = "audit"
    OWNER_REQUEST = "owner_request"
    OTHER = "other"


# ---------------------------------------------------------------- events


class DisclosureFact(Event, aggregate="disclosure"):
    """What all facts about giving out personal values carry."""


class PersonalValueOpened(DisclosureFact):
    """A personal value of the person was opened, as G1 allows; the log says by whom."""

    account: UUID | None = None
    """The account, or plan, whose history the opened event is of; else the person's, if any."""
    opened_event: UUID
    """The event that holds the value, by its id."""
    fact: str
    """What that event tells, such as account.UserRegistered: its topic without the version."""
    field: str
    """The field of that event which holds the value."""
    purpose: Purpose
    """What the value is kept for: the purpose of the key that it is sealed with."""
    reason: OpeningReason
    """What it was opened for."""


# ---------------------------------------------------------------- commands

FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class OpenPersonalValue(Command):
    """Records that a personal value of an event is opened; acta open then gives the value."""

    event: UUID
    """The event that holds the value, by its id: ce_id of its record in Kafka."""
    field: FieldName
    """The field that holds the value, such as email."""
    reason: OpeningReason
    """What it is opened for."""


# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class OpeningSurroundings:
    """What a decision to open a value needs beyond the event that holds it.

    Attributes:
        allowed: by the table of ``domain.authority`` the actor may open it (G1).
        key_kept: the key that it is sealed with is still there; erasure destroys it (A11).
        account: in whose history it is told that the value was opened.
    """

    allowed: bool = False
    key_kept: bool = False
    account: UUID | None = None


def open_personal_value(
    command: OpenPersonalValue,
    actor: Actor,
    event: Event | None,
    surroundings: OpeningSurroundings,
) -> Sequence[PersonalValueOpened]:
    """Every opening leaves a record, however often the same value is opened.

    Args:
        command: which value, and what for.
        actor: whoever asks.
        event: the event with that id; None where there is none.
        surroundings: what else there is to know.

    Raises:
        Refused: there is no such value, or this actor may not open it (G1); or nobody can open it
            any more (A11).
    """
    opened, mark = refuse_unless_open(command, actor, event, surroundings)
    return [
        PersonalValueOpened(
            person=owner_of(opened, mark),
            occurred_at=command.at,
            account=surroundings.account,
            opened_event=command.event,
            fact=fact_of(opened),
            field=command.field,
            purpose=mark.purpose,
            reason=command.reason,
        )
    ]


def refuse_unless_open(
    command: OpenPersonalValue,
    actor: Actor,
    event: Event | None,
    surroundings: OpeningSurroundings,
) -> tuple[Event, Personal]:
    """The event that holds the value, and to whom and for what the value belongs.

    Raises:
        Refused: as ``open_personal_value``.
    """
    if event is None:
        raise Refused(
            "G1",
            "there is no such event",
            remedy="Check the id: ce_id of a record, or event_id in acta history --json.",
        )
    marks = personal_fields(type(event))
    mark = marks.get(command.field)
    if mark is None:
        raise Refused(
            "G1",
            f"the event has no such personal value; it is {fact_of(event)}",
            remedy=f"Its personal values are: {', '.join(marks) or 'none'}.",
        )
    if actor.id is None or not surroundings.allowed:
        raise Refused(
            "G1",
            f"an actor of kind {actor.kind.value} may not open this value of this person",
            remedy="Have it opened by its owner, by name, or by whom domain/rules.md allows it.",
        )
    if getattr(event, command.field) is None:
        raise Refused(
            "G1", "the event holds nothing in that field", remedy="Do without, or ask the owner."
        )
    if not surroundings.key_kept:
        refuse_as_erased()
    return event, mark


def refuse_as_erased() -> NoReturn:
    """Nobody opens what belongs to whoever has been erased (A11)."""
    raise Refused(
        "A11",
        "the person has been erased, and the value can be read nowhere any more",
        remedy="Forget whatever was kept of it.",
    )


def fact_of(event: Event) -> str:
    """What an event tells, such as ``account.UserRegistered``."""
    return f"{event.AGGREGATE}.{type(event).__name__}"
