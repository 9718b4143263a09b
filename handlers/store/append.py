"""What a decision wants written, all or nothing (decisions 8 and 9)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.event import Event
from handlers.store.payment_tokens import KeptToken, SealedToken
from handlers.store.vault import NewKey

__all__ = [
    "Append",
    "Claim",
    "CountedClaim",
    "Erased",
    "Found",
    "Limited",
    "Numbered",
    "Opened",
    "Release",
    "Uncounted",
]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only one stream may hold, such as an e-mail, until an optional end."""

    kind: str
    digest: bytes
    holder: UUID
    person: UUID
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Gives up what a stream holds: one kind of claim, or all of them."""

    holder: UUID
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class CountedClaim:
    """One of so many places, such as a seat of a plan, until an optional end."""

    counter: UUID
    holder: UUID
    person: UUID
    limit: int
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Gives up one of so many places."""

    counter: UUID
    holder: UUID


@dataclass(frozen=True, slots=True)
class Limited:
    """A counter of which no more places than these may be taken now."""

    counter: UUID
    limit: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """The next number of a counter, such as that of tickets, and the stream that bears it."""

    counter: str
    number: int
    holder: UUID


@dataclass(frozen=True, slots=True)
class Found:
    """How a person is found from now on: by digest of an e-mail, RUT or phone.

    Attributes:
        instead_of: whom the decision saw found by this e-mail or RUT; the append fails where it
            is somebody else by now.
    """

    kind: str
    digest: bytes
    person: UUID
    instead_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A person has a new account."""

    person: UUID
    account: UUID


@dataclass(frozen=True, slots=True)
class Erased:
    """A person whose keys, claims, index rows and input digests go in the same transaction."""

    person: UUID
    tax_data_readable_until: date | None


@dataclass(slots=True)
class Append:
    """What is written together.

    Attributes:
        events: stream, version and event, in the order in which they take their positions.
        reads: streams that the decision rests on, with the version that it saw of each; the
            append fails when one has moved.
        no_longer_found: person and kind of index rows to remove.
        tokens: cards that subscriptions are charged to; sealed before they are written.
    """

    events: list[tuple[UUID, int, Event]] = field(default_factory=list[tuple[UUID, int, Event]])
    reads: dict[UUID, int] = field(default_factory=dict[UUID, int])
    claimed: list[Claim] = field(default_factory=list[Claim])
    released: list[Release] = field(default_factory=list[Release])
    counted: list[CountedClaim] = field(default_factory=list[CountedClaim])
    uncounted: list[Uncounted] = field(default_factory=list[Uncounted])
    limited: list[Limited] = field(default_factory=list[Limited])
    numbered: list[Numbered] = field(default_factory=list[Numbered])
    found: list[Found] = field(default_factory=list[Found])
    no_longer_found: list[tuple[UUID, str]] = field(default_factory=list[tuple[UUID, str]])
    opened: list[Opened] = field(default_factory=list[Opened])
    tokens: list[KeptToken] = field(default_factory=list[KeptToken])
    erased: Erased | None = None

    def write(self, stream: UUID, version: int, events: Sequence[Event]) -> None:
        """Adds events behind a version of a stream."""
        for number, event in enumerate(events, start=version + 1):
            self.events.append((stream, number, event))

    def alongside(
        self, asked_at: datetime, keys: Sequence[NewKey], tokens: Sequence[SealedToken] = ()
    ) -> dict[str, Any] | None:
        """Everything but the events, in the form that ``ledger.append`` takes; None if nothing.

        Args:
            asked_at: the command's business time, by which claims past their end are judged.
            keys: keys made for values in the events, and for tokens.
            tokens: those of this append, sealed.
        """
        parts: dict[str, Any] = {
            "claimed": [_plain(claim) for claim in self.claimed],
            "released": [_plain(release) for release in self.released],
            "counted": [_plain(claim) for claim in self.counted],
            "uncounted": [_plain(release) for release in self.uncounted],
            "limited": [_plain(limited) for limited in self.limited],
            "numbered": [_plain(numbered) for numbered in self.numbered],
            "indexed": [_plain(found) for found in self.found],
            "unindexed": [{"person": str(p), "kind": kind} for p, kind in self.no_longer_found],
            "opened": [_plain(opened) for opened in self.opened],
            "keys": [_plain(key) for key in keys],
            "tokens": [_plain(token) for token in tokens],
        }
        parts = {name: part for name, part in parts.items() if part}
        if self.erased is not None:
            parts["erased"] = _plain(self.erased)
        return {**parts, "asked_at": asked_at.isoformat()} if parts else None


Part = (
    Claim
    | Release
    | CountedClaim
    | Uncounted
    | Limited
    | Numbered
    | Found
    | Opened
    | Erased
    | NewKey
    | SealedToken
)


def _plain(part: Part) -> dict[str, Any]:
    return {each.name: _plain_value(getattr(part, each.name)) for each in fields(part)}


def _plain_value(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return value
