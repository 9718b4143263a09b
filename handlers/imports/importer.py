"""Importing a list: every row has its answer, once, however often it is begun (I5).

The answers are events of the import, whose id the same list of the same plan has again. Whatever
was answered stays, so an import that was killed goes on behind the last answer; and what an import
tells of itself is read from its events, so that it is the same after any number of kills.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import TypeVar
from uuid import UUID, uuid4

from domain.actor import Actor
from domain.invitation_import import (
    ROWS_MAX,
    ImportedRow,
    ImportInvitations,
    InvitationImport,
    InvitationImportEvent,
    InvitationRowsImported,
    ListedRow,
    RowOutcome,
    invitation_import_decider,
)
from handlers.faults import Fault
from handlers.imports.listed_rows import listed_rows
from handlers.imports.reading import PeopleList
from handlers.ledger import Ledger
from handlers.store.event_store import EventStore

__all__ = ["STRETCH_ROWS", "ImportAnswers", "Importer", "ListToImport"]

STRETCH_ROWS = ROWS_MAX
"""So many rows are answered in one transaction: with more of them, each takes less time."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class ListToImport:
    """A list that somebody wants imported.

    Attributes:
        at: business time of this run; a run that goes on with an import has its own.
    """

    people: PeopleList
    plan: UUID
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class ImportAnswers:
    """The answer to every row.

    Attributes:
        invitation_import: id of the import; the one that it would have, where it was only tried.
        position: up to which the log has to be known to know all of it; a token for reads.
        rows: in the order of the list, to be gone through once.
    """

    invitation_import: UUID
    position: int
    rows: Iterator[ImportedRow]


class Importer:
    """Imports lists, a stretch after the other.

    Args:
        ledger: answers each stretch.
        store: the log, from which answers are read.
        stretch_rows: how many rows go in one transaction.
    """

    def __init__(
        self, ledger: Ledger, store: EventStore, *, stretch_rows: int = STRETCH_ROWS
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._stretch_rows = stretch_rows

    def run(
        self,
        wanted: ListToImport,
        *,
        again: bool = False,
        advanced: Callable[[int], None] = lambda _: None,
    ) -> ImportAnswers:
        """Invites the people on a list, or goes on doing so.

        Args:
            wanted: the list, and who wants it imported.
            again: begins a new import where the last one of this list is complete.
            advanced: told how many rows have their answer.

        Returns:
            The answers, as the log has them.

        Raises:
            Refused: the plan or whoever imports stands in the way of all rows that are left.
            Fault: something stopped it; running it again goes on.
        """
        known_as, state = self._latest(wanted, again=again)
        if not state.completed:
            self._go_on(wanted, known_as, state, advanced)
        last = self._store.last_of(known_as)
        position = last.position if last is not None else 0
        return ImportAnswers(known_as, position, self._answers(known_as))

    def rehearse(
        self,
        wanted: ListToImport,
        *,
        again: bool = False,
        advanced: Callable[[int], None] = lambda _: None,
    ) -> ImportAnswers:
        """What importing would come to now; nothing is written.

        Raises:
            Refused, Fault: as ``run``, while the rows are gone through.
        """
        known_as, state = self._latest(wanted, again=again)
        rows = self._rehearsed(wanted, known_as, state, advanced)
        return ImportAnswers(known_as, self._store.head(), rows)

    # ------------------------------------------------------------ which import

    def _latest(self, wanted: ListToImport, *, again: bool) -> tuple[UUID, InvitationImport]:
        """The last import of this list that was begun; a new one where there is none, or again."""
        imports = (self._numbered(wanted, ordinal) for ordinal in count(1))
        latest = next(imports)
        following = next(imports)
        while following[1].started:
            latest, following = following, next(imports)
        return following if again and latest[1].completed else latest

    def _numbered(self, wanted: ListToImport, ordinal: int) -> tuple[UUID, InvitationImport]:
        known_as = self._id(wanted, ordinal)
        return known_as, self._state(known_as)

    def _id(self, wanted: ListToImport, ordinal: int) -> UUID:
        """Without the vault's secret nobody can tell from it what stands on the list (D7)."""
        named = f"invitation import:{wanted.plan}:{wanted.people.digest.hex()}:{ordinal}"
        digest = self._store.vault.input_digest(named.encode())
        return UUID(bytes=digest[:16], version=4)

    def _state(self, known_as: UUID) -> InvitationImport:
        events = (recorded.event for recorded in self._store.long_stream(known_as))
        return invitation_import_decider.replay(
            event for event in events if isinstance(event, InvitationImportEvent)
        )

    # ------------------------------------------------------------ stretches

    def _stretches(
        self, wanted: ListToImport, state: InvitationImport, advanced: Callable[[int], None]
    ) -> Iterator[tuple[Sequence[ListedRow], bool]]:
        """The rows that have no answer, and whether the list ends with them."""
        answered = state.invited + state.refused + state.faulty
        advanced(answered)
        # Those that have one are read too: a row below may be for the same person.
        rows = (row for row in listed_rows(wanted.people.rows()) if row.row > state.last_row)
        for stretch, last in _in_stretches(rows, self._stretch_rows):
            yield stretch, last
            answered += len(stretch)
            advanced(answered)

    def _go_on(
        self,
        wanted: ListToImport,
        known_as: UUID,
        state: InvitationImport,
        advanced: Callable[[int], None],
    ) -> None:
        try:
            for rows, last in self._stretches(wanted, state, advanced):
                self._ledger.ask(_command(wanted, known_as, rows, last=last), wanted.actor, uuid4())
        except Fault as fault:
            raise type(fault)(
                f"the import stopped, with every row answered or untouched: {fault.message}",
                remedy=f"{fault.remedy} Then import the same list again: nobody is invited twice.",
            ) from fault

    def _answers(self, known_as: UUID) -> Iterator[ImportedRow]:
        for recorded in self._store.long_stream(known_as):
            if isinstance(recorded.event, InvitationRowsImported):
                yield from recorded.event.rows

    def _rehearsed(
        self,
        wanted: ListToImport,
        known_as: UUID,
        state: InvitationImport,
        advanced: Callable[[int], None],
    ) -> Iterator[ImportedRow]:
        yield from self._answers(known_as)
        if state.completed:
            return
        seats_ahead = 0
        for rows, last in self._stretches(wanted, state, advanced):
            command = _command(wanted, known_as, rows, last=last)
            events = self._ledger.rehearse_import(command, wanted.actor, seats_ahead=seats_ahead)
            for event in events:
                if isinstance(event, InvitationRowsImported):
                    seats_ahead += sum(row.outcome is RowOutcome.INVITED for row in event.rows)
                    yield from event.rows


def _command(
    wanted: ListToImport, known_as: UUID, rows: Sequence[ListedRow], *, last: bool
) -> ImportInvitations:
    return ImportInvitations(
        at=wanted.at, plan=wanted.plan, invitation_import=known_as, rows=tuple(rows), last=last
    )


def _in_stretches(items: Iterable[ItemT], size: int) -> Iterator[tuple[list[ItemT], bool]]:
    """So many at a time, and whether they are the last; where there are none, that they end."""
    stretch: list[ItemT] = []
    for item in items:
        if len(stretch) == size:
            yield stretch, False
            stretch = []
        stretch.append(item)
    yield stretch, True
