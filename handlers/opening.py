"""Lines of read models, their personal values opened for whom G1 allows."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from domain.actor import Actor
from domain.personal import Sealed
from handlers.store.directory import Directory
from handlers.store.vault import Vault
from projections.projection import SealedValue

__all__ = ["Openable", "Opened", "all_or_none", "by_id", "open_lines"]

LineT = TypeVar("LineT")


@dataclass(frozen=True, slots=True)
class Opened(Generic[LineT]):
    """A line of an answer, its personal values opened for whom G1 allows.

    Attributes:
        personal: by field: the value in clear, or None where it is sealed for the asker or its
            person has been erased.
        sealed: the fields that are sealed for the asker.
    """

    line: LineT
    personal: dict[str, str | None]
    sealed: frozenset[str]


class Openable(NamedTuple, Generic[LineT]):
    """A line with its sealed values, and the fields of them that are open to the asker."""

    line: LineT
    values: Collection[SealedValue]
    open_fields: Collection[str]


def all_or_none(line: LineT, values: Collection[SealedValue], *, may: bool) -> Openable[LineT]:
    """A line of which every value is open to the asker, or not one."""
    return Openable(line, values, {each.field for each in values} if may else ())


def open_lines(vault: Vault, lines: Iterable[Openable[LineT]]) -> tuple[Opened[LineT], ...]:
    """Opens what is open to the asker, with one look at the keys for all lines."""
    lines = tuple(lines)
    wanted = [
        (Sealed.parse(each.value), each.event_id, each.field)
        for _, values, open_fields in lines
        for each in values
        if each.field in open_fields
    ]
    clear = iter(vault.open_many(wanted))
    return tuple(
        Opened(
            line,
            {each.field: next(clear) if each.field in open_fields else None for each in values},
            frozenset(each.field for each in values if each.field not in open_fields),
        )
        for line, values, open_fields in lines
    )


def by_id(asker: Actor, directory: Directory, at: datetime) -> Actor:
    """The asker by id, where the door knows a person by e-mail; no account is needed."""
    if asker.who is None:
        return asker
    return Actor(kind=asker.kind, id=directory.person(asker.who, at=at))
