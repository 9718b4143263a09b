"""Support ticket: an incident, its number, and every message about it (rules T1 to T8).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Values are checked in commands; events take what was once written.
What becomes of a command is decided in ``domain.support_desk``, and to which ticket a mail belongs
in ``domain.mail_thread``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, assert_never
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.command import Command
from domain.decider import Decider
from domain.event import Event
from domain.identity import Email, Language
from domain.mail_thread import AutomaticKind, PlacementReason, RejectionReason
from domain.personal import Personal, PersonalText, Purpose

CORRESPONDENCE = Personal(of="person", purpose=Purpose.CORRESPONDENCE)
OF_SENDER = Personal(of="sender", purpose=Purpose.IDENTITY)


class RequesterKind(StrEnum):
    """Who asks (T5)."""

    HOLDER = "holder"
    CONTRACTOR = "contractor"
    ACCOUNT_OWNER = "account_owner"
    UNKNOWN = "unknown"


class Desk(StrEnum):
    """Who answers (T6)."""

    HOLDER_SUPPORT = "holder_support"
    DOCUMENTATION_HELP_DESK = "documentation_help_desk"
    VALIDATOR = "validator"
    ACCOUNT_SUPPORT = "account_support"


class Channel(StrEnum):
    """How a message came or went."""

    EMAIL = "email"
    TELEPHONE = "telephone"
    WEB = "web"


class TicketReason(StrEnum):
    """What the incident is about, in clear (T1)."""

    ACCESS = "access"
    ACCESS_TO_CLIENT = "access_to_client"
    DOCUMENT_VALIDATION = "document_validation"
    PAYMENT = "payment"
    PERSONAL_DATA = "personal_data"
    FAULT = "fault"
    OTHER = "other"


class Participation(StrEnum):
    """As what somebody adds to a ticket (T4)."""

    REQUESTER = "requester"
    COPIED = "copied"
    STAFF = "staff"
    PROGRAM = "program"
    """An automatic mail of somebody who takes no part, that answers one of the ticket (T8)."""


class Resolution(StrEnum):
    """How an incident was resolved, in clear (T1)."""

    SOLVED = "solved"
    ANSWERED = "answered"
    NOT_REPRODUCED = "not_reproduced"
    DUPLICATE = "duplicate"
    OTHER = "other"


class ReopeningReason(StrEnum):
    """Why a resolved ticket is open once more (T3, T7)."""

    REPLY = "reply"
    STAFF = "staff"


# ---------------------------------------------------------------- events


class Attachment(BaseModel):
    """What was attached to a message; its name is sealed beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sha256: str
    """SHA-256 of its bytes, in hexadecimal digits."""
    media_type: str
    """What it says it is."""
    size_bytes: int
    """How long it is."""


class RejectedTicket(BaseModel):
    """A ticket that a message could have belonged to, and why it does not (T8)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ticket: UUID
    """The ticket."""
    number: int
    """Its number."""
    reason: RejectionReason
    """Why the message does not belong to it, in clear."""


class TicketFact(Event, aggregate="support_ticket"):
    """What all facts about a ticket carry; their person is the requester."""

    ticket: UUID
    """The ticket, by a random id."""
    number: int
    """Its number: 1, 2, 3 without gaps (T1)."""


class TicketOpened(TicketFact):
    """An incident has a ticket with a number, of which the requester is told (T1)."""

    requester_kind: RequesterKind
    """Holder, contractor, account owner, or unknown (T5)."""
    desk: Desk
    """Who answers (T6)."""
    reason: TicketReason
    """What it is about, in clear."""
    channel: Channel
    """How it came."""
    language: str
    """The language in which the requester is addressed."""
    contract: UUID | None = None
    """The contract that it is about, where one is known."""
    follows: UUID | None = None
    """The closed ticket that it goes on from (T3)."""
    follows_number: int | None = None
    """Its number."""
    split_from: UUID | None = None
    """The ticket from which its messages were split off (T7)."""
    split_from_number: int | None = None
    """Its number."""
    open_numbers: tuple[int, ...] = ()
    """The requester's other open tickets, which the acknowledgement names (T2)."""
    subject: Annotated[PersonalText, CORRESPONDENCE]
    """What the requester called it."""


class TicketReplied(TicketFact):
    """A message was added to the ticket, its first one included (T2, T8)."""

    message: UUID
    """The message, by a random id."""
    sender: UUID
    """Who wrote it: a person, or a member of staff, by a random id."""
    participation: Participation
    """As what they wrote it: requester, copied, or staff (T4)."""
    internal: bool
    """A note for staff alone, which the requester never sees."""
    channel: Channel
    """How it came or went."""
    placement: PlacementReason
    """Why it is in this ticket (T8)."""
    rejected: tuple[RejectedTicket, ...] = ()
    """The tickets that it could have belonged to, and why it does not (T8)."""
    automatic: AutomaticKind | None = None
    """What kind of program wrote it; none where a human being did."""
    mail: UUID | None = None
    """The mail, by an id made with a key from its Message-ID, by which answers to it are known."""
    attachments: tuple[Attachment, ...] = ()
    """What was attached."""
    subject: Annotated[PersonalText | None, CORRESPONDENCE] = None
    """Subject of the mail."""
    body: Annotated[PersonalText, CORRESPONDENCE]
    """What it says."""
    attachment_names: Annotated[PersonalText | None, CORRESPONDENCE] = None
    """The names of what was attached, in its order: a list in JSON."""
    message_id: Annotated[PersonalText | None, OF_SENDER] = None
    """Message-ID of the mail, without angle brackets; it may name somebody, as may the next two."""
    in_reply_to: Annotated[PersonalText | None, OF_SENDER] = None
    """The Message-ID that it answers."""
    references: Annotated[PersonalText | None, OF_SENDER] = None
    """The Message-IDs of its thread, the oldest first, with spaces in between."""
    sender_name: Annotated[PersonalText | None, OF_SENDER] = None
    """What the sender calls themselves."""
    sender_address: Annotated[PersonalText | None, OF_SENDER] = None
    """The address that it came from."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The requester, and whoever wrote it."""
        return (self.person, self.sender)


class TicketAssigned(TicketFact):
    """A member of staff looks after the ticket (T7)."""

    assignee: UUID
    """By staff id."""
    former_assignee: UUID | None = None
    """Who did before."""


class TicketRouted(TicketFact):
    """Another desk answers from now on (T6)."""

    desk: Desk
    """Which one."""
    former_desk: Desk
    """Which one did before."""


class PersonCopied(TicketFact):
    """Somebody may add to the ticket, and gets what is said in it (T4)."""

    copied: UUID
    """Who, by a random id."""
    address: Annotated[PersonalText, Personal(of="copied", purpose=Purpose.IDENTITY)]
    """Where it goes."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The requester, and whoever is on copy."""
        return (self.person, self.copied)


class PersonUncopied(TicketFact):
    """Somebody is on the copy list no longer (T4)."""

    copied: UUID
    """Who, by a random id."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The requester, and whoever was on copy."""
        return (self.person, self.copied)


class TicketResolved(TicketFact):
    """Staff resolved the incident, of which the requester is told (T1, T7)."""

    resolution: Resolution
    """How, in clear."""


class TicketReopened(TicketFact):
    """The resolved ticket is open once more (T3, T7)."""

    reason: ReopeningReason
    """Why, in clear."""


class TicketClosed(TicketFact):
    """The ticket is closed for good; a reply to it opens another (T3, T7)."""


class MessagesSplitOff(TicketFact):
    """Messages that did not belong here are in a ticket of their own (T7).

    They stay where they were written, under the keys by which they were sealed.
    """

    messages: tuple[UUID, ...]
    """Which ones."""
    into_ticket: UUID
    """Where they are now."""
    into_number: int
    """Its number."""


class MessagesTakenOver(TicketFact):
    """Messages of another ticket belong here from now on (T7).

    They stay where they were written, under the keys by which they were sealed.
    """

    messages: tuple[UUID, ...]
    """Which ones."""
    from_ticket: UUID
    """Where they belonged before."""
    from_number: int
    """Its number."""


class TicketMerged(TicketFact):
    """The ticket went into another about the same matter; replies to it go there (T7)."""

    into_ticket: UUID
    """Which one."""
    into_number: int
    """Its number."""


TicketEvent = (
    TicketOpened
    | TicketReplied
    | TicketAssigned
    | TicketRouted
    | PersonCopied
    | PersonUncopied
    | TicketResolved
    | TicketReopened
    | TicketClosed
    | MessagesSplitOff
    | MessagesTakenOver
    | TicketMerged
)

# ---------------------------------------------------------------- commands

Subject = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
"""What a ticket is called."""

Body = Annotated[str, StringConstraints(min_length=1, max_length=200_000)]
"""What a message says."""

FileName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""What an attached file is called."""

HeaderText = Annotated[str, StringConstraints(max_length=20_000)]
"""What stands in a header of a mail, as it came."""


class NamedAttachment(Attachment):
    """What was attached to a message, with its name."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of its bytes, in hexadecimal digits."""
    media_type: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,120}$")]
    """What it says it is."""
    size_bytes: Annotated[int, Field(ge=0, lt=2**63)]
    """How long it is."""
    name: FileName
    """What the file is called; sealed in the log."""


class OpenTicket(Command):
    """Opens a ticket for somebody, without a mail: by telephone or on the web."""

    ticket: UUID
    """Id of the ticket."""
    message: UUID
    """Id of its first message."""
    requester: Email
    """Who asks, by e-mail; somebody who is not known yet becomes known by it."""
    requester_kind: RequesterKind | None = None
    """Who they are, where staff knows it; else what the ledger knows (T5)."""
    channel: Channel = Channel.WEB
    """How it came."""
    reason: TicketReason
    """What it is about (T1)."""
    contract: UUID | None = None
    """The contract that it is about."""
    language: Language = "es"
    """The language in which the requester is addressed."""
    subject: Subject
    """What the requester calls it."""
    body: Body
    """What it says."""
    attachments: Annotated[tuple[NamedAttachment, ...], Field(max_length=100)] = ()
    """What was attached."""


class ReceiveMail(Command):
    """Says that a mail came to a desk; it goes to its ticket, or opens one (T2, T3, T4)."""

    ticket: UUID
    """Id of the ticket, should it open one."""
    message: UUID
    """Id of the message."""
    sender: Email
    """The address that it came from."""
    sender_name: Annotated[str, StringConstraints(max_length=500)] | None = None
    """What the sender calls themselves."""
    recipients: Annotated[tuple[HeaderText, ...], Field(max_length=1000)] = ()
    """The addresses that it went to, copies included."""
    message_id: HeaderText | None = None
    """The header Message-ID, as it came."""
    in_reply_to: HeaderText | None = None
    """The header In-Reply-To, as it came."""
    references: HeaderText | None = None
    """The header References, as it came."""
    automatic: AutomaticKind | None = None
    """What kind of program wrote it; none where a human being did."""
    subject: Annotated[str, StringConstraints(max_length=2000)] = ""
    """The header Subject."""
    body: Annotated[str, StringConstraints(max_length=200_000)] = ""
    """What it says."""
    attachments: Annotated[tuple[NamedAttachment, ...], Field(max_length=100)] = ()
    """What was attached."""
    reason: TicketReason = TicketReason.OTHER
    """What it is about, should it open a ticket (T1)."""
    contract: UUID | None = None
    """The contract that it is about, where the desk knows it."""
    language: Language = "es"
    """The language in which the sender is addressed, should they not be known."""


class TicketCommand(Command, abstract=True):
    """A command about a ticket that exists."""

    ticket: Annotated[int, Field(strict=True, gt=0)]
    """Number of the ticket."""


class ReplyToTicket(TicketCommand):
    """Adds a message to a ticket: a reply of the requester or of staff, or a note for staff."""

    message: UUID
    """Id of the message."""
    internal: bool = False
    """A note for staff alone."""
    channel: Channel = Channel.WEB
    """How it goes."""
    message_id: HeaderText | None = None
    """Message-ID of the mail by which it goes, so that replies to it are known."""
    body: Body
    """What it says."""
    attachments: Annotated[tuple[NamedAttachment, ...], Field(max_length=100)] = ()
    """What was attached."""


class AssignTicket(TicketCommand):
    """Puts a member of staff in charge of a ticket."""

    assignee: UUID
    """By staff id."""


class RouteTicket(TicketCommand):
    """Has another desk answer a ticket."""

    desk: Desk
    """Which one."""


class CopyPerson(TicketCommand):
    """Puts somebody on a ticket's copy list."""

    email: Email
    """Who, by e-mail."""


class UncopyPerson(TicketCommand):
    """Takes somebody off a ticket's copy list."""

    email: Email
    """Who, by e-mail."""


class ResolveTicket(TicketCommand):
    """Says that the incident is resolved."""

    resolution: Resolution = Resolution.SOLVED
    """How."""


class ReopenTicket(TicketCommand):
    """Opens a resolved ticket once more."""


class CloseTicket(TicketCommand):
    """Closes a resolved ticket for good."""


class SplitTicket(TicketCommand):
    """Puts messages that do not belong to a ticket into a new one (T7)."""

    messages: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=1000)]
    """Which ones; at least one stays."""
    new_ticket: UUID
    """Id of the new ticket."""
    reason: TicketReason = TicketReason.OTHER
    """What the new ticket is about."""
    subject: Subject
    """What the new ticket is called."""


class MergeTicket(TicketCommand):
    """Has a ticket go into another about the same matter (T7)."""

    into: Annotated[int, Field(strict=True, gt=0)]
    """Number of the other one."""


TicketDecision = (
    OpenTicket
    | ReceiveMail
    | ReplyToTicket
    | AssignTicket
    | RouteTicket
    | CopyPerson
    | UncopyPerson
    | ResolveTicket
    | ReopenTicket
    | CloseTicket
    | SplitTicket
    | MergeTicket
)

# ---------------------------------------------------------------- state


class TicketStanding(StrEnum):
    """What became of a ticket."""

    NONE = "none"
    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What decisions about a ticket rest on.

    Attributes:
        messages: those that belong here now, in the order in which they came.
        mails: by ``TicketReplied.mail``, message and sender of each mail that was written here.
        split_off: the ticket in which each message is now that was split off from here.
        taken_from: tickets from which messages came here.
        split_from: the ticket from which this one was split off.
        merged_into: the ticket into which this one went.
    """

    standing: TicketStanding = TicketStanding.NONE
    id: UUID | None = None
    number: int = 0
    requester: UUID | None = None
    requester_kind: RequesterKind = RequesterKind.UNKNOWN
    desk: Desk = Desk.ACCOUNT_SUPPORT
    channel: Channel = Channel.EMAIL
    language: str = "es"
    contract: UUID | None = None
    assignee: UUID | None = None
    copied: frozenset[UUID] = frozenset()
    messages: tuple[UUID, ...] = ()
    mails: Mapping[UUID, tuple[UUID, UUID]] = field(default_factory=dict[UUID, tuple[UUID, UUID]])
    split_off: Mapping[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    taken_from: frozenset[UUID] = frozenset()
    split_from: UUID | None = None
    merged_into: UUID | None = None
    merged_into_number: int | None = None

    @property
    def participants(self) -> frozenset[UUID]:
        """Requester and people on copy (T4)."""
        return self.copied if self.requester is None else self.copied | {self.requester}


def evolve(ticket: Ticket, event: TicketEvent) -> Ticket:
    """The ticket after one more event."""
    match event:
        case TicketOpened():
            return _opened(event)
        case TicketReplied():
            return _with_message(ticket, event)
        case TicketAssigned():
            return replace(ticket, assignee=event.assignee)
        case TicketRouted():
            return replace(ticket, desk=event.desk)
        case PersonCopied():
            return replace(ticket, copied=ticket.copied | {event.copied})
        case PersonUncopied():
            return replace(ticket, copied=ticket.copied - {event.copied})
        case TicketResolved():
            return replace(ticket, standing=TicketStanding.RESOLVED)
        case TicketReopened():
            return replace(ticket, standing=TicketStanding.OPEN)
        case TicketClosed():
            return replace(ticket, standing=TicketStanding.CLOSED)
        case MessagesSplitOff():
            return replace(
                ticket,
                messages=tuple(m for m in ticket.messages if m not in event.messages),
                split_off={**ticket.split_off, **dict.fromkeys(event.messages, event.into_ticket)},
            )
        case MessagesTakenOver():
            return replace(
                ticket,
                messages=(*ticket.messages, *event.messages),
                # Also those that were split off from here, and have come back.
                split_off={m: t for m, t in ticket.split_off.items() if m not in event.messages},
                taken_from=ticket.taken_from | {event.from_ticket},
            )
        case TicketMerged():
            return replace(
                ticket,
                standing=TicketStanding.MERGED,
                merged_into=event.into_ticket,
                merged_into_number=event.into_number,
            )
        case _:
            assert_never(event)


def _opened(event: TicketOpened) -> Ticket:
    return Ticket(
        standing=TicketStanding.OPEN,
        id=event.ticket,
        number=event.number,
        requester=event.person,
        requester_kind=event.requester_kind,
        desk=event.desk,
        channel=event.channel,
        language=event.language,
        contract=event.contract,
        split_from=event.split_from,
    )


def _with_message(ticket: Ticket, event: TicketReplied) -> Ticket:
    mails = ticket.mails
    if event.mail is not None and event.mail not in mails:
        mails = {**mails, event.mail: (event.message, event.sender)}
    return replace(ticket, messages=(*ticket.messages, event.message), mails=mails)


ticket_decider: Decider[Ticket, TicketEvent] = Decider(initial=Ticket(), evolve=evolve)
