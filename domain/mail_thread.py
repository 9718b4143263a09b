"""To which ticket a mail belongs, and why (rules T2, T3, T4, T8).

The transport brings what stands in the headers; the ledger knows the threads. What is decided here
rests on both and on nothing else, and is recorded with the message.

A mail points to tickets, the nearest first: by In-Reply-To, then by References from the last to the
first, then by the numbers in its subject. It goes to the nearest that lets it in:

- A human being gets in as requester, on copy or as staff, whatever the headers say (T4). To answer
  a closed ticket opens another (T3).
- A forward is a reply: clients keep it in its thread, so its sender sees it there. Whoever is
  forwarded a mail of a ticket and takes no part in it stays a stranger.
- An automatic reply or a bounce belongs to the mail that it names, also from an address that
  nobody knows, as a mailer daemon's. Whoever saw that mail can forge one, so it is taken as a note
  and nothing else: it reopens nothing and opens nothing. A number alone lets no stranger's in.
- What comes through a list is written by anybody, so it gets in as a human being's mail does;
  but it opens no ticket either.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

__all__ = [
    "REFERENCES_MAX",
    "SUBJECT_NUMBERS_MAX",
    "AutomaticKind",
    "KnownThread",
    "Mail",
    "Placement",
    "PlacementReason",
    "Rejection",
    "RejectionReason",
    "ThreadState",
    "parse_message_ids",
    "place",
    "ticket_numbers",
]

REFERENCES_MAX = 101
"""As many Message-IDs of one header count: the first, which began its thread, and the last."""

SUBJECT_NUMBERS_MAX = 10
"""As many ticket numbers in one subject count: the leftmost."""

# A line of a mail is no longer (RFC 5322).
_MESSAGE_ID_LENGTH_MAX = 998
# Nine digits fit everywhere that a number may go.
_NUMBER_TOKEN = re.compile(r"\[\s*(?:acta\s*)?#\s*([0-9]{1,9})\s*\]", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"<([^<>]*)>")
_AROUND_BARE = re.compile(r"[\s,;<>\"']+")
_BRACKETS_OR_PARENTHESIS = re.compile(r"<[^<>]*>|[()]")


class AutomaticKind(StrEnum):
    """What kind of program wrote a mail (RFC 3834, RFC 3464)."""

    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    LIST = "list"


class PlacementReason(StrEnum):
    """Why a message is in its ticket (T8)."""

    OPENED = "opened"
    """Nothing ties it to a ticket, so it opened one (T2)."""
    DIRECT = "direct"
    """It was added to this ticket by number, not by mail."""
    IN_REPLY_TO = "in_reply_to"
    """It answers a message of the ticket (T2)."""
    REFERENCES = "references"
    """It names a message of the ticket among its references (T2)."""
    SUBJECT_NUMBER = "subject_number"
    """Its headers lead nowhere, its subject has the ticket's number, and its sender takes part."""
    FOLLOWS_CLOSED = "follows_closed"
    """It answers a closed ticket, so it opened one that follows it (T3)."""
    NOT_A_PARTICIPANT = "not_a_participant"
    """It names a ticket in which its sender takes no part, so it opened one of its own (T4)."""
    SPLIT_OFF = "split_off"
    """Staff put it here out of another ticket (T7)."""
    AUTOMATIC_WITHOUT_THREAD = "automatic_without_thread"
    """A program wrote it and it belongs to no ticket, so it is not taken; no message bears this."""


class RejectionReason(StrEnum):
    """Why a message does not belong to a ticket that it points to (T8)."""

    NOT_A_PARTICIPANT = "not_a_participant"
    """Its sender is neither requester nor on copy nor staff (T4)."""
    CLOSED = "closed"
    """The ticket is closed (T3)."""
    OTHER_THREAD_NEARER = "other_thread_nearer"
    """It points to another ticket more closely."""


class ThreadState(StrEnum):
    """What a ticket is to somebody who replies to it."""

    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says of where it belongs, as its headers came.

    Attributes:
        sender: the person or member of staff whose address it came from.
        staff: the sender is staff.
        message_id: header Message-ID, and likewise the others; None where it has none.
        references: of a bounce that names no mail, the Message-ID of the one that it brings back.
        subject: header Subject, decoded (RFC 2047).
    """

    sender: UUID
    staff: bool
    message_id: str | None
    in_reply_to: str | None
    references: str | None
    subject: str
    automatic: AutomaticKind | None


@dataclass(frozen=True, slots=True)
class KnownThread:
    """A ticket that a mail may belong to; of merged ones, that into which they went.

    Attributes:
        messages: Message-IDs, as ``parse_message_ids`` has them, of mails that belong to it:
            those of tickets merged into it are among them, those that were split off are not.
        numbers: its own number and those of tickets merged into it.
        participants: requester and people on copy.
        order: greater for one opened later.
    """

    ticket: UUID
    number: int
    state: ThreadState
    messages: frozenset[str]
    numbers: frozenset[int]
    participants: frozenset[UUID]
    order: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A ticket that a mail points to, and why it does not belong to it."""

    ticket: UUID
    number: int
    reason: RejectionReason


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a mail belongs.

    Attributes:
        ticket: None where it opens a ticket of its own.
        follows: the closed ticket that the new one goes on from.
    """

    ticket: UUID | None
    reason: PlacementReason
    follows: UUID | None = None
    rejected: tuple[Rejection, ...] = ()


def place(mail: Mail, threads: Sequence[KnownThread]) -> Placement:
    """The ticket that a mail belongs to, why, and why not to the others that it points to.

    The order of the threads is of no account, nor are those that the mail does not point to.
    Nothing is raised, whatever the headers hold. A mail that came before is not recognised here.
    """
    pointed = _pointed_to(mail, threads)
    nearest = next((one for one in pointed if _lets_in(one, mail)), None)
    if nearest is None:
        return Placement(None, _without_ticket(mail, pointed), rejected=_rejected(mail, pointed))
    if nearest.thread.state is ThreadState.CLOSED and mail.automatic is None:
        return Placement(
            None,
            PlacementReason.FOLLOWS_CLOSED,
            follows=nearest.thread.ticket,
            rejected=_rejected(mail, pointed, closed=nearest),
        )
    others = [one for one in pointed if one is not nearest]
    return Placement(nearest.thread.ticket, nearest.reason, rejected=_rejected(mail, others))


def parse_message_ids(text: str | None) -> tuple[str, ...]:
    """The Message-IDs in a header as it came, in its order and without angle brackets.

    Folding, comments, and whatever else is not a Message-ID are passed over; identifiers without
    brackets count where the header holds nothing else. One that is there more than once stands
    where it was last. Of more than ``REFERENCES_MAX`` the first and the last count.
    """
    bare = _without_comments(text or "")
    found = _IN_BRACKETS.findall(bare) or _without_brackets(bare)
    canonical = ("".join(one.split()) for one in found)
    known = [
        one for one in canonical if one.isprintable() and 0 < len(one) <= _MESSAGE_ID_LENGTH_MAX
    ]
    unique = list(dict.fromkeys(reversed(known)))[::-1]
    if len(unique) > REFERENCES_MAX:
        return (unique[0], *unique[1 - REFERENCES_MAX :])
    return tuple(unique)


def ticket_numbers(subject: str) -> tuple[int, ...]:
    """The ticket numbers that a subject names, as ``[#12]`` or ``[Acta #12]``, left to right.

    One of more than nine digits is none. The first ``SUBJECT_NUMBERS_MAX`` count.
    """
    numbers = dict.fromkeys(int(found[1]) for found in _NUMBER_TOKEN.finditer(subject))
    return tuple(number for number in numbers if number > 0)[:SUBJECT_NUMBERS_MAX]


@dataclass(frozen=True, slots=True)
class _Pointed:
    """A ticket that a mail points to, by the nearest of its ways."""

    thread: KnownThread
    reason: PlacementReason


def _pointed_to(mail: Mail, threads: Sequence[KnownThread]) -> list[_Pointed]:
    """Every ticket that a mail points to, once, the nearest first."""
    found: dict[UUID, _Pointed] = {}
    ranked = sorted(threads, key=_rank)
    for reason, pointer in _pointers(mail):
        for thread in ranked:
            if pointer in thread.messages or pointer in thread.numbers:
                found.setdefault(thread.ticket, _Pointed(thread, reason))
    return list(found.values())


def _pointers(mail: Mail) -> Iterator[tuple[PlacementReason, str | int]]:
    """What ties a mail to others, the nearest first: Message-IDs, then ticket numbers."""
    # A mail that says to answer itself says nothing.
    own = parse_message_ids(mail.message_id)
    for reason, header in (
        (PlacementReason.IN_REPLY_TO, mail.in_reply_to),
        (PlacementReason.REFERENCES, mail.references),
    ):
        for message_id in reversed(parse_message_ids(header)):
            if message_id not in own:
                yield reason, message_id
    for number in ticket_numbers(mail.subject):
        yield PlacementReason.SUBJECT_NUMBER, number


def _rank(thread: KnownThread) -> tuple[int, int, int, UUID]:
    """Of tickets to which one pointer leads: open before resolved before closed, then the later."""
    states = [ThreadState.OPEN, ThreadState.RESOLVED, ThreadState.CLOSED]
    return (states.index(thread.state), -thread.order, -thread.number, thread.ticket)


def _lets_in(pointed: _Pointed, mail: Mail) -> bool:
    """The ticket takes the mail (T4)."""
    if mail.staff or mail.sender in pointed.thread.participants:
        return True
    by_header = pointed.reason is not PlacementReason.SUBJECT_NUMBER
    return by_header and mail.automatic in {AutomaticKind.AUTO_REPLY, AutomaticKind.BOUNCE}


def _without_ticket(mail: Mail, pointed: Sequence[_Pointed]) -> PlacementReason:
    """Why a mail belongs to no ticket that there is."""
    if mail.automatic is not None:
        return PlacementReason.AUTOMATIC_WITHOUT_THREAD
    return PlacementReason.NOT_A_PARTICIPANT if pointed else PlacementReason.OPENED


def _rejected(
    mail: Mail, pointed: Sequence[_Pointed], *, closed: _Pointed | None = None
) -> tuple[Rejection, ...]:
    """Why a mail does not belong to these tickets, to one of them because it is closed."""

    def reason(one: _Pointed) -> RejectionReason:
        if one is closed:
            return RejectionReason.CLOSED
        if not _lets_in(one, mail):
            return RejectionReason.NOT_A_PARTICIPANT
        return RejectionReason.OTHER_THREAD_NEARER

    return tuple(Rejection(one.thread.ticket, one.thread.number, reason(one)) for one in pointed)


def _without_comments(text: str) -> str:
    """The text without what stands in parentheses; one that is never closed is no comment."""
    kept: list[str] = []
    depth = opened = start = 0
    for mark in _BRACKETS_OR_PARENTHESIS.finditer(text):
        if mark[0] == "(":
            opened = opened if depth else mark.start()
            depth += 1
        elif mark[0] == ")" and depth > 0:
            depth -= 1
            if depth == 0:
                kept.append(text[start:opened])
                start = mark.end()
    return " ".join([*kept, text[start:]])


def _without_brackets(text: str) -> list[str]:
    """Message-IDs of a client that forgot the brackets; none where there is anything else."""
    words = [word for word in _AROUND_BARE.split(text) if word]
    return words if all(word.count("@") == 1 for word in words) else []
