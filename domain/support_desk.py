"""The support desk: what becomes of each command about a ticket (rules T1 to T8).

Which mail belongs to which ticket is decided in ``domain.mail_thread``; the decision is handed in,
and recorded with the message (T8).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, TypedDict, assert_never
from uuid import UUID

from domain.actor import Actor, ActorKind
from domain.mail_thread import Placement, PlacementReason, parse_message_ids
from domain.refusal import Refused
from domain.support_ticket import (
    AssignTicket,
    Attachment,
    Channel,
    CloseTicket,
    CopyPerson,
    Desk,
    MergeTicket,
    MessagesSplitOff,
    MessagesTakenOver,
    NamedAttachment,
    OpenTicket,
    Participation,
    PersonCopied,
    PersonUncopied,
    ReceiveMail,
    RejectedTicket,
    ReopeningReason,
    ReopenTicket,
    ReplyToTicket,
    RequesterKind,
    ResolveTicket,
    RouteTicket,
    SplitTicket,
    Ticket,
    TicketAssigned,
    TicketClosed,
    TicketDecision,
    TicketEvent,
    TicketMerged,
    TicketOpened,
    TicketReason,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketRouted,
    TicketStanding,
    UncopyPerson,
)

__all__ = ["Copied", "Requester", "TicketSurroundings", "decide", "desk_for"]


@dataclass(frozen=True, slots=True)
class Requester:
    """Whoever asks, as the ledger knows them (T5).

    Attributes:
        is_new: nobody was known by the address until now.
        open_numbers: of the tickets that they have open (T2).
    """

    person: UUID
    kind: RequesterKind = RequesterKind.UNKNOWN
    language: str = "es"
    is_new: bool = False
    open_numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Copied:
    """Somebody who is to be on a copy list, and where it goes."""

    person: UUID
    address: str


@dataclass(frozen=True, slots=True)
class TicketSurroundings:
    """What a decision about a ticket needs beyond its own stream.

    Attributes:
        number: the next one; of a command that may open a ticket.
        id_taken: the id of the ticket that is to be opened names something else.
        message_taken: the id of the message names one that was written before, here or elsewhere.
        contract_known: the contract that is named exists, and so does its validator (C6).
        requester: whoever opens a ticket or wrote a mail.
        participants: of the ticket, and of those that went into it or from which it was split off.
        requester_erased: nothing can be sealed any more for whose ticket it is (A11).
        placement: where a mail belongs.
        mail: a mail that bears a Message-ID, by the id that is made from it.
        follows_number: number of the closed ticket that it answers.
        copies: recipients of a mail, or somebody by name, who take no part as yet.
        uncopied: whoever is to be taken off the copy list, if anybody is known by the address.
        into: the ticket into which another is to go.
    """

    number: int = 0
    id_taken: bool = False
    message_taken: bool = False
    contract_known: bool = False
    requester: Requester | None = None
    participants: frozenset[UUID] = frozenset()
    requester_erased: bool = False
    placement: Placement | None = None
    mail: UUID | None = None
    follows_number: int | None = None
    copies: Sequence[Copied] = ()
    uncopied: UUID | None = None
    into: Ticket | None = None


def decide(
    command: TicketDecision, actor: Actor, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """The events that a command becomes; each belongs to the stream of its own ticket.

    Args:
        command: what is wanted.
        actor: who wants it.
        ticket: the one that it is about; of a mail, the one that it belongs to.
        surroundings: what else is known.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case OpenTicket():
            return open_ticket(command, actor, ticket, surroundings)
        case ReceiveMail():
            return receive_mail(command, ticket, surroundings)
        case ReplyToTicket():
            return reply(command, actor, ticket, surroundings)
        case AssignTicket():
            return assign(command, ticket)
        case RouteTicket():
            return route(command, ticket)
        case CopyPerson():
            return copy_person(command, actor, ticket, surroundings)
        case UncopyPerson():
            return uncopy_person(command, actor, ticket, surroundings)
        case ResolveTicket():
            return resolve(command, ticket)
        case ReopenTicket():
            return reopen(command, ticket)
        case CloseTicket():
            return close(command, ticket)
        case SplitTicket():
            return split(command, ticket, surroundings)
        case MergeTicket():
            return merge(command, ticket, surroundings)
        case _:
            assert_never(command)


# ---------------------------------------------------------------- opening


def open_ticket(
    command: OpenTicket, actor: Actor, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """An incident gets a number and states its reason (T1); people open tickets for themselves."""
    requester = known_requester(surroundings)
    if actor.kind is ActorKind.PERSON:
        refuse_to_ask_for_another(actor, requester)
        refuse_to_say_who_one_is(command)
    refuse_unless_free(ticket, surroundings)
    refuse_if_written(ticket, command.message, surroundings)
    kind = command.requester_kind or requester.kind
    opened = TicketOpened(
        ticket=command.ticket,
        number=surroundings.number,
        person=requester.person,
        occurred_at=command.at,
        requester_kind=kind,
        desk=_desk(kind, command.reason, command.contract, surroundings),
        reason=command.reason,
        channel=command.channel,
        language=requester.language,
        contract=command.contract,
        open_numbers=requester.open_numbers,
        subject=command.subject,
    )
    message = TicketReplied(
        **about(opened, command.at),
        message=command.message,
        sender=requester.person,
        participation=Participation.REQUESTER,
        internal=False,
        channel=command.channel,
        placement=PlacementReason.OPENED,
        attachments=_attachments(command.attachments),
        subject=command.subject,
        body=command.body,
        attachment_names=_names(command.attachments),
        sender_address=command.requester,
    )
    return [opened, message]


def desk_for(kind: RequesterKind, reason: TicketReason, *, has_validator: bool) -> Desk:
    """Who answers (T6).

    A contractor who asks for access to their client is told by the documentation help desk whom to
    ask there: the contact that the contract names (C2, C6).

    Args:
        kind: who asks.
        reason: what it is about.
        has_validator: it is about a contract, which says who validates its documents.
    """
    if reason is TicketReason.DOCUMENT_VALIDATION and has_validator:
        return Desk.VALIDATOR
    match kind:
        case RequesterKind.HOLDER:
            return Desk.HOLDER_SUPPORT
        case RequesterKind.CONTRACTOR:
            return Desk.DOCUMENTATION_HELP_DESK
        case RequesterKind.ACCOUNT_OWNER | RequesterKind.UNKNOWN:
            return Desk.ACCOUNT_SUPPORT
        case _:
            assert_never(kind)


# ---------------------------------------------------------------- messages


def receive_mail(
    command: ReceiveMail, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """A mail goes where it was placed; nothing else is asked of whoever wrote it (T2, T3, T4)."""
    placement = surroundings.placement
    assert placement is not None  # noqa: S101  narrows a type, no more
    if placement.ticket is None:
        return _open_by_mail(command, placement, ticket, surroundings)
    return _take_mail(command, placement, ticket, surroundings)


def reply(
    command: ReplyToTicket, actor: Actor, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """The requester, people on copy and staff add to a ticket; notes are for staff alone (T4)."""
    refuse_unless_unfinished(ticket)
    refuse_if_erased(surroundings)
    sender = refuse_unless_may_write(command, actor, surroundings)
    refuse_if_written(ticket, command.message, surroundings)
    participation = (
        Participation.STAFF
        if actor.kind is not ActorKind.PERSON
        else _participation(sender, ticket, surroundings)
    )
    message = TicketReplied(
        **about(ticket, command.at),
        message=command.message,
        sender=sender,
        participation=participation,
        internal=command.internal,
        channel=command.channel,
        placement=PlacementReason.DIRECT,
        mail=surroundings.mail,
        message_id=_message_id(command.message_id),
        attachments=_attachments(command.attachments),
        body=command.body,
        attachment_names=_names(command.attachments),
    )
    if participation is Participation.STAFF:
        return [message]
    return [message, *_reopened_by_reply(ticket, command.at)]


def _open_by_mail(
    command: ReceiveMail, placement: Placement, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """Outside of every thread it opens a ticket, which names those that are open (T2)."""
    refuse_if_automatic(command)
    refuse_unless_free(ticket, surroundings)
    refuse_if_written(ticket, command.message, surroundings)
    requester = known_requester(surroundings)
    opened = TicketOpened(
        ticket=command.ticket,
        number=surroundings.number,
        person=requester.person,
        occurred_at=command.at,
        requester_kind=requester.kind,
        desk=_desk(requester.kind, command.reason, command.contract, surroundings),
        reason=command.reason,
        channel=Channel.EMAIL,
        language=requester.language,
        contract=command.contract,
        follows=placement.follows,
        follows_number=surroundings.follows_number,
        open_numbers=requester.open_numbers,
        subject=command.subject,
    )
    message = _mail(command, placement, opened, Participation.REQUESTER, surroundings)
    return [opened, message, *_copied(opened, command.at, surroundings.copies)]


def _take_mail(
    command: ReceiveMail, placement: Placement, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """In the thread it belongs to its ticket, and reopens a resolved one (T2, T3).

    What a program wrote reopens nothing: nobody asks for anything (T8).
    """
    refuse_if_erased(surroundings)
    refuse_if_written(ticket, command.message, surroundings)
    sender = known_requester(surroundings).person
    participation = _participation(sender, ticket, surroundings)
    message = _mail(command, placement, ticket, participation, surroundings)
    if command.automatic is not None:
        return [message]
    # Whoever is on copy puts nobody else there.
    asks = participation is Participation.REQUESTER
    copied = _copied(ticket, command.at, surroundings.copies if asks else ())
    return [message, *_reopened_by_reply(ticket, command.at), *copied]


def _participation(sender: UUID, ticket: Ticket, surroundings: TicketSurroundings) -> Participation:
    if sender == ticket.requester:
        return Participation.REQUESTER
    takes_part = sender in surroundings.participants
    return Participation.COPIED if takes_part else Participation.PROGRAM


def _mail(
    command: ReceiveMail,
    placement: Placement,
    of: Ticket | TicketOpened,
    participation: Participation,
    surroundings: TicketSurroundings,
) -> TicketReplied:
    answered = parse_message_ids(command.in_reply_to)
    return TicketReplied(
        **about(of, command.at),
        message=command.message,
        sender=known_requester(surroundings).person,
        participation=participation,
        internal=False,
        channel=Channel.EMAIL,
        placement=placement.reason,
        rejected=tuple(
            RejectedTicket(ticket=each.ticket, number=each.number, reason=each.reason)
            for each in placement.rejected
        ),
        automatic=command.automatic,
        mail=surroundings.mail,
        message_id=_message_id(command.message_id),
        in_reply_to=answered[-1] if answered else None,
        references=" ".join(parse_message_ids(command.references)) or None,
        attachments=_attachments(command.attachments),
        subject=command.subject,
        body=command.body,
        attachment_names=_names(command.attachments),
        sender_name=command.sender_name,
        sender_address=command.sender,
    )


def _reopened_by_reply(ticket: Ticket, at: datetime) -> list[TicketReopened]:
    """A reply to a resolved ticket reopens it (T3)."""
    if ticket.standing is not TicketStanding.RESOLVED:
        return []
    return [TicketReopened(**about(ticket, at), reason=ReopeningReason.REPLY)]


# ---------------------------------------------------------------- the copy list


def copy_person(
    command: CopyPerson, actor: Actor, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """The requester and staff say who else may add to a ticket (T4)."""
    refuse_unless_unfinished(ticket)
    refuse_unless_requester(actor, ticket)
    return _copied(ticket, command.at, surroundings.copies)


def uncopy_person(
    command: UncopyPerson, actor: Actor, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """The requester and staff take people off the copy list, who also take off themselves (T4)."""
    refuse_unless_unfinished(ticket)
    uncopied = surroundings.uncopied
    if uncopied is None or uncopied != actor.id:
        refuse_unless_requester(actor, ticket)
    if uncopied is None or uncopied not in ticket.copied:
        return []
    return [PersonUncopied(**about(ticket, command.at), copied=uncopied)]


def _copied(
    of: Ticket | TicketOpened, at: datetime, copies: Sequence[Copied]
) -> list[PersonCopied]:
    return [
        PersonCopied(**about(of, at), copied=copied.person, address=copied.address)
        for copied in copies
    ]


# ---------------------------------------------------------------- what staff does


def assign(command: AssignTicket, ticket: Ticket) -> Sequence[TicketEvent]:
    """A member of staff looks after a ticket (T7)."""
    refuse_unless_unfinished(ticket)
    if command.assignee == ticket.assignee:
        return []
    return [
        TicketAssigned(
            **about(ticket, command.at),
            assignee=command.assignee,
            former_assignee=ticket.assignee,
        )
    ]


def route(command: RouteTicket, ticket: Ticket) -> Sequence[TicketEvent]:
    """Staff have another desk answer (T6)."""
    refuse_unless_unfinished(ticket)
    if command.desk is ticket.desk:
        return []
    return [TicketRouted(**about(ticket, command.at), desk=command.desk, former_desk=ticket.desk)]


def resolve(command: ResolveTicket, ticket: Ticket) -> Sequence[TicketEvent]:
    """The requester is told that it is resolved, and a reply reopens it (T1, T3, T7)."""
    refuse_unless_unfinished(ticket)
    if ticket.standing is TicketStanding.RESOLVED:
        return []
    return [TicketResolved(**about(ticket, command.at), resolution=command.resolution)]


def reopen(command: ReopenTicket, ticket: Ticket) -> Sequence[TicketEvent]:
    """Staff open a resolved ticket once more; a closed one stays closed (T3, T7)."""
    refuse_unless_unfinished(ticket)
    if ticket.standing is TicketStanding.OPEN:
        return []
    return [TicketReopened(**about(ticket, command.at), reason=ReopeningReason.STAFF)]


def close(command: CloseTicket, ticket: Ticket) -> Sequence[TicketEvent]:
    """Only what is resolved is closed, so that the requester has been told (T1, T7)."""
    if known_ticket(ticket).standing is TicketStanding.CLOSED:
        return []
    refuse_unless_unfinished(ticket)
    if ticket.standing is not TicketStanding.RESOLVED:
        raise Refused(
            "T7",
            f"ticket {ticket.number} is not resolved",
            remedy="Resolve it first: its requester is told so.",
        )
    return [TicketClosed(**about(ticket, command.at))]


def split(
    command: SplitTicket, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """Messages in the wrong ticket get one of their own; nothing is written again (T7).

    It has the same requester, under whose key they were sealed, and the same people take part.
    """
    refuse_unless_unfinished(ticket)
    refuse_if_erased(surroundings)
    messages = refuse_unless_some_stay(ticket, command.messages)
    if surroundings.id_taken or command.new_ticket == ticket.id:
        refuse_taken_id()
    known = about(ticket, command.at)
    opened = TicketOpened(
        ticket=command.new_ticket,
        number=surroundings.number,
        person=known["person"],
        occurred_at=command.at,
        requester_kind=ticket.requester_kind,
        desk=_desk(ticket.requester_kind, command.reason, ticket.contract, surroundings),
        reason=command.reason,
        channel=ticket.channel,
        language=ticket.language,
        contract=ticket.contract,
        split_from=known["ticket"],
        split_from_number=ticket.number,
        subject=command.subject,
    )
    taken_over = MessagesTakenOver(
        **about(opened, command.at),
        messages=messages,
        from_ticket=known["ticket"],
        from_number=ticket.number,
    )
    split_off = MessagesSplitOff(
        **known, messages=messages, into_ticket=opened.ticket, into_number=opened.number
    )
    return [opened, taken_over, split_off]


def merge(
    command: MergeTicket, ticket: Ticket, surroundings: TicketSurroundings
) -> Sequence[TicketEvent]:
    """Tickets about one matter become one; whoever took part in either takes part in it (T7).

    Their requesters may be two people: several report one fault.
    """
    into = surroundings.into or Ticket()
    if ticket.merged_into is not None and ticket.merged_into == into.id:
        return []
    refuse_unless_unfinished(ticket)
    if into.id == ticket.id:
        raise Refused(
            "T7", "a ticket cannot be merged into itself", remedy="Name the other ticket."
        )
    refuse_unless_unfinished(into)
    known, other = about(ticket, command.at), about(into, command.at)
    return [
        TicketMerged(**known, into_ticket=other["ticket"], into_number=into.number),
        MessagesTakenOver(
            **other,
            messages=ticket.messages,
            from_ticket=known["ticket"],
            from_number=ticket.number,
        ),
    ]


# ---------------------------------------------------------------- what several rules ask


class AboutTicket(TypedDict):
    """What every fact about a ticket carries."""

    ticket: UUID
    number: int
    person: UUID
    occurred_at: datetime


def about(ticket: Ticket | TicketOpened, at: datetime) -> AboutTicket:
    """What every fact about a ticket carries, of one that is known or was opened just now."""
    if isinstance(ticket, TicketOpened):
        known, person = ticket.ticket, ticket.person
    else:
        assert ticket.id is not None  # noqa: S101  narrows a type, no more
        assert ticket.requester is not None  # noqa: S101  likewise
        known, person = ticket.id, ticket.requester
    return AboutTicket(ticket=known, number=ticket.number, person=person, occurred_at=at)


def known_requester(surroundings: TicketSurroundings) -> Requester:
    """Whoever opens a ticket or wrote a mail: nobody else gives these commands."""
    assert surroundings.requester is not None  # noqa: S101  narrows a type, no more
    return surroundings.requester


def known_ticket(ticket: Ticket) -> Ticket:
    """A ticket that there is.

    Raises:
        Refused: nothing has this number (T1).
    """
    if ticket.standing is TicketStanding.NONE:
        raise Refused("T1", "there is no ticket with this number", remedy="Check the number.")
    return ticket


def refuse_unless_unfinished(ticket: Ticket) -> None:
    """A ticket that is closed, or went into another, takes nothing any more (T3, T7)."""
    known_ticket(ticket)
    if ticket.standing is TicketStanding.CLOSED:
        raise Refused(
            "T3",
            f"ticket {ticket.number} is closed",
            remedy="Open another ticket; a mail that answers this one opens one that follows it.",
        )
    if ticket.standing is TicketStanding.MERGED:
        raise Refused(
            "T7",
            f"ticket {ticket.number} went into ticket {ticket.merged_into_number}",
            remedy=f"Name ticket {ticket.merged_into_number}.",
        )


def refuse_unless_free(ticket: Ticket, surroundings: TicketSurroundings) -> None:
    """A ticket is opened once (T1)."""
    if surroundings.id_taken or ticket.standing is not TicketStanding.NONE:
        refuse_taken_id()


def refuse_taken_id() -> NoReturn:
    """Another stream has the id.

    Raises:
        Refused: always (T1).
    """
    raise Refused("T1", "the id of the ticket is in use", remedy="Give it a new random id.")


def refuse_if_written(ticket: Ticket, message: UUID, surroundings: TicketSurroundings) -> None:
    """A message has its place once, whichever ticket it is in: it is moved by its id (T7, T8)."""
    here = message in ticket.messages or message in ticket.split_off
    if here or surroundings.message_taken:
        raise Refused("T8", "the id of the message is in use", remedy="Give it a new random id.")


def refuse_if_automatic(command: ReceiveMail) -> None:
    """What a program wrote opens no ticket, or two programs would write for ever (T8)."""
    if command.automatic is not None:
        raise Refused(
            "T8",
            f"an automatic mail ({command.automatic.value}) that belongs to no ticket opens none",
            remedy="There is nothing to do: nobody asks for anything.",
        )


def refuse_if_erased(surroundings: TicketSurroundings) -> None:
    """What is said to somebody is sealed with their key, and this one is gone (A11)."""
    if surroundings.requester_erased:
        raise Refused(
            "A11",
            "the requester's data is erased, so nothing can be added to the ticket",
            remedy="Open another ticket for whoever asks now.",
        )


def refuse_to_ask_for_another(actor: Actor, requester: Requester) -> None:
    """A person opens tickets under their own address (G1)."""
    if requester.person != actor.id and not (actor.id is None and requester.is_new):
        raise Refused(
            "G1",
            "a person opens tickets for themselves alone",
            remedy="Give your own e-mail, or ask support staff.",
        )


def refuse_to_say_who_one_is(command: OpenTicket) -> None:
    """Who somebody is, the ledger knows, or staff says (G1, T5)."""
    if command.requester_kind is not None:
        raise Refused(
            "G1",
            "a person does not say what kind of requester they are",
            remedy="Leave it out: it is read from the ledger.",
        )


def refuse_unless_may_write(
    command: ReplyToTicket, actor: Actor, surroundings: TicketSurroundings
) -> UUID:
    """Whoever writes, by id.

    Raises:
        Refused: a stranger (T4), a note that is not of staff (T4), or nobody by name (G1).
    """
    if actor.kind is ActorKind.PERSON:
        if command.internal:
            raise Refused(
                "T4", "notes are for staff alone", remedy="Send it as a reply that all can read."
            )
        if actor.id is None or actor.id not in surroundings.participants:
            refuse_stranger()
        return actor.id
    if actor.id is None:
        raise Refused(
            "G1",
            "whoever answers a ticket has to be known by id",
            remedy="Name the member of staff.",
        )
    return actor.id


def refuse_stranger() -> NoReturn:
    """Only the requester, people on copy and staff.

    Raises:
        Refused: always (T4).
    """
    raise Refused(
        "T4",
        "only its requester, people on its copy list and staff can add to a ticket",
        remedy="Open a ticket of your own, or ask its requester to put you on copy.",
    )


def refuse_unless_requester(actor: Actor, ticket: Ticket) -> None:
    """Among people, only the requester says who is on copy (T4)."""
    if actor.kind is ActorKind.PERSON and (actor.id is None or actor.id != ticket.requester):
        raise Refused(
            "T4",
            "only its requester and staff change the copy list of a ticket",
            remedy="Ask the requester, or support staff.",
        )


def refuse_unless_some_stay(ticket: Ticket, messages: Sequence[UUID]) -> tuple[UUID, ...]:
    """The messages that go, each once, in the order in which they came.

    Raises:
        Refused: one of them is not in the ticket, or none would stay (T7).
    """
    wanted = set(messages)
    if not wanted <= set(ticket.messages):
        raise Refused(
            "T7",
            f"not all of these messages are in ticket {ticket.number}",
            remedy="Name messages that it has now.",
        )
    if wanted == set(ticket.messages):
        raise Refused(
            "T7",
            "no message would stay in the ticket",
            remedy="Leave at least one, or merge the whole ticket.",
        )
    return tuple(message for message in ticket.messages if message in wanted)


def _desk(
    kind: RequesterKind,
    reason: TicketReason,
    contract: UUID | None,
    surroundings: TicketSurroundings,
) -> Desk:
    """Raises Refused where a contract is named that there is not (T6)."""
    if contract is not None and not surroundings.contract_known:
        raise Refused(
            "T6", "there is no contract with this id", remedy="Check the id, or leave it out."
        )
    return desk_for(kind, reason, has_validator=contract is not None)


def _message_id(header: str | None) -> str | None:
    found = parse_message_ids(header)
    return found[0] if found else None


def _attachments(named: Sequence[NamedAttachment]) -> tuple[Attachment, ...]:
    """Without their names, which are sealed beside them."""
    return tuple(
        Attachment(sha256=each.sha256, media_type=each.media_type, size_bytes=each.size_bytes)
        for each in named
    )


def _names(named: Sequence[NamedAttachment]) -> str | None:
    return json.dumps([each.name for each in named], ensure_ascii=False) if named else None
