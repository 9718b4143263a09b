"""Questions to the support desk: its queue, and a ticket with its thread (T1 to T8).

An answer is degraded where it may miss what stands in a stream that the read model has parked (X6):
any, since a ticket that cannot be told of may have gone into any other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from domain.actor import Actor, ActorKind
from domain.authority import MAY_OPEN, may_open
from domain.personal import Personal, Purpose, personal_fields
from domain.refusal import Refused
from domain.support_ticket import TicketReplied
from handlers.faults import InvalidInput
from handlers.opening import Openable, Opened, by_id, open_lines
from handlers.snapshots import ANYTHING, Knowledge, Snapshots
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore
from projections.parked import is_degraded
from projections.projection import sealed_for
from projections.support_desk import (
    CopiedLine,
    MessageLine,
    SupportDesk,
    TicketFilter,
    TicketLine,
    TicketLink,
    copied_lines,
    message_lines,
    ticket_line,
    ticket_lines,
    ticket_links,
    ticket_place,
)

__all__ = [
    "PAGE", "OpenedCopy", "OpenedMessage", "OpenedTicket", "Ticket", "TicketQueries", "Tickets",
]  # fmt: skip

PAGE = 50
"""How many tickets are shown at once, where nothing else is asked for."""

OF_MESSAGES: Mapping[str, Personal] = personal_fields(TicketReplied)
READ_NOTES = MAY_OPEN[Purpose.CORRESPONDENCE] - {ActorKind.PERSON}
"""To nobody else is it even told that there are notes for staff."""


OpenedTicket: TypeAlias = Opened[TicketLine]
OpenedMessage: TypeAlias = Opened[MessageLine]
OpenedCopy: TypeAlias = Opened[CopiedLine]
LineT = TypeVar("LineT", TicketLine, MessageLine, CopiedLine)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket with its thread at an instant."""

    ticket: OpenedTicket
    at: datetime
    messages: tuple[OpenedMessage, ...]
    copied: tuple[OpenedCopy, ...]
    links: tuple[TicketLink, ...]
    position: int
    degraded: bool


@dataclass(frozen=True, slots=True)
class Tickets:
    """A page of the queue at an instant: unfinished first, then finished tickets.

    Attributes:
        tickets: the unfinished, the longest silent first; then the finished, the last first.
        next_after: the number after which the next page begins; None where this is the last.
    """

    at: datetime
    tickets: tuple[OpenedTicket, ...]
    next_after: int | None
    position: int
    degraded: bool


class TicketQueries:
    """Answers about tickets from the read model of the support desk.

    Args:
        store: resolves e-mails and opens personal values.
        snapshots: the moments at which it looks.
    """

    def __init__(self, store: EventStore, snapshots: Snapshots) -> None:
        self._store = store
        self._directory = Directory(store)
        self._snapshots = snapshots

    def ticket(
        self, number: int, asker: Actor, at: datetime, knowledge: Knowledge = ANYTHING
    ) -> Ticket:
        """A ticket with its thread as it is at an instant, opened for the asker as G1 allows.

        Args:
            number: of the ticket.
            asker: who asks; whether a person takes part in it is read from the ledger.
            at: the instant; what occurred later is left aside.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there is no such ticket.
            Refused: the asker is a person who takes no part in it (G1).
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        with self._snapshots.of(SupportDesk, knowledge) as (connection, position):
            line = ticket_line(connection, number, at)
            if line is None:
                raise _no_such_ticket()
            messages = message_lines(connection, line.ticket, at)
            copied = copied_lines(connection, line.ticket, at)
            links = ticket_links(connection, line.ticket, at)
            degraded = is_degraded(connection, SupportDesk)
        reader = _Reader.among(copied, by_id(asker, self._directory, at))
        messages = tuple(message for message in messages if reader.is_told_of(message))
        reader.refuse_outsider(line, messages)
        return Ticket(
            ticket=self._opened([line], reader.opens_subject)[0],
            at=at,
            messages=self._opened(messages, reader.opens_of),
            copied=self._opened(copied, reader.opens_address),
            links=links,
            position=position,
            degraded=degraded,
        )

    def tickets(
        self,
        asked: TicketFilter,
        asker: Actor,
        at: datetime,
        knowledge: Knowledge = ANYTHING,
        *,
        after: int | None = None,
        limit: int = PAGE,
    ) -> Tickets:
        """A page of the tickets asked for as they are at an instant, subjects opened as G1 allows.

        Args:
            asked: which ones.
            asker: who asks; a person is told of tickets alone in which they take part.
            at: the instant; what occurred later is left aside.
            knowledge: how much the answer has to know.
            after: the last ticket of the page before, by number; its ``at`` belongs to it, since
                the order is that of an instant.
            limit: how many tickets at most.

        Raises:
            InvalidInput: the ticket named by ``after`` is not among those asked for.
            Refused: the asker is a person without a name (G1).
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``ticket``.
        """
        asker = by_id(asker, self._directory, at)
        is_person = asker.kind is ActorKind.PERSON
        if is_person:
            asked = replace(asked, participant=_named(asker))
        with self._snapshots.of(SupportDesk, knowledge) as (connection, position):
            behind = None
            if after is not None:
                # Found as it is asked for, so that people learn nothing of others' tickets (G1).
                behind = ticket_place(connection, asked, at, after)
                if behind is None:
                    raise _not_in_the_list()
            lines = ticket_lines(connection, asked, at, behind=behind, limit=limit + 1)
            degraded = is_degraded(connection, SupportDesk)
        shown = lines[:limit]
        theirs = frozenset(line.ticket for line in shown) if is_person else frozenset[UUID]()
        opened = self._opened(shown, _Reader(asker, theirs).opens_subject)
        next_after = shown[-1].number if len(lines) > limit else None
        return Tickets(at, opened, next_after, position, degraded)

    def _opened(
        self, lines: Sequence[LineT], open_fields: Callable[[LineT], Collection[str]]
    ) -> tuple[Opened[LineT], ...]:
        return open_lines(
            self._store.vault,
            (
                Openable(line, sealed_for(line.event_id, line.sealed), open_fields(line))
                for line in lines
            ),
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """What an asker may read (G1).

    People read what is said in a ticket that they opened or on whose copy list they are, and what
    they wrote; of a merged ticket only what was said in theirs.

    Attributes:
        takes_part_in: tickets that a person may read by the ledger, such as by its copy list.
    """

    asker: Actor
    takes_part_in: frozenset[UUID]

    @classmethod
    def among(cls, copied: Sequence[CopiedLine], asker: Actor) -> "_Reader":
        """An asker who may be among the people on copy."""
        is_person = asker.kind is ActorKind.PERSON
        mine = (copy.ticket for copy in copied if is_person and copy.copied == asker.id)
        return cls(asker, frozenset(mine))

    def is_told_of(self, message: MessageLine) -> bool:
        """Whether it is even told that there is this message."""
        return not message.internal or self.asker.kind in READ_NOTES

    def refuse_outsider(self, line: TicketLine, messages: Sequence[MessageLine]) -> None:
        """People who take no part in a ticket are told nothing of it.

        Raises:
            Refused: the asker is one of them (G1).
        """
        if self.asker.kind is not ActorKind.PERSON:
            return
        if self.takes_part_in or self._is(line.requester) or any(map(self._reads, messages)):
            return
        raise Refused(
            "G1",
            "a person reads only tickets in which they take part",
            remedy="Ask as its requester, as somebody on its copy list, or have staff ask.",
        )

    def opens_subject(self, line: TicketLine) -> Collection[str]:
        """The fields of a ticket that are open to the asker."""
        is_theirs = may_open(self.asker, Purpose.CORRESPONDENCE, line.requester)
        return line.sealed if is_theirs or line.ticket in self.takes_part_in else ()

    def opens_of(self, message: MessageLine) -> Collection[str]:
        """The fields of a message that are open to the asker."""
        reads = self._reads(message)
        knows_sender = may_open(self.asker, Purpose.IDENTITY, message.sender)
        return [
            name
            for name in message.sealed
            if (reads if OF_MESSAGES[name].purpose is Purpose.CORRESPONDENCE else knows_sender)
        ]

    def opens_address(self, copy: CopiedLine) -> Collection[str]:
        """The fields of somebody on copy that are open to the asker."""
        return copy.sealed if may_open(self.asker, Purpose.IDENTITY, copy.copied) else ()

    def _reads(self, message: MessageLine) -> bool:
        if may_open(self.asker, Purpose.CORRESPONDENCE, message.requester):
            return True
        # What another requester said came into the ticket by merging.
        is_of_ticket = message.requester == message.ticket_requester
        return self._is(message.sender) or (is_of_ticket and message.ticket in self.takes_part_in)

    def _is(self, person: UUID) -> bool:
        return self.asker.kind is ActorKind.PERSON and self.asker.id == person


def _named(asker: Actor) -> UUID:
    if asker.id is None:
        raise Refused(
            "G1",
            "a person reads tickets under their own name alone",
            remedy="Say who asks: by an e-mail that the ledger knows, or by id.",
        )
    return asker.id


def _no_such_ticket() -> InvalidInput:
    return InvalidInput(
        "there is no such ticket",
        remedy="Check the number; one opened just now is known with --at-least POSITION.",
    )


def _not_in_the_list() -> InvalidInput:
    return InvalidInput(
        "the ticket to go on after is not in this list",
        remedy="Ask for each page with the same options and the --at of the first.",
    )
