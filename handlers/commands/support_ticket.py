"""Commands about tickets: their numbers, the threads that a mail may belong to, who takes part."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from uuid import UUID, uuid5

from pydantic import TypeAdapter, ValidationError

from domain.account import AccountKind, Standing
from domain.actor import Actor
from domain.identity import Email, email_key
from domain.mail_thread import (
    KnownThread,
    Mail,
    Placement,
    ThreadState,
    parse_message_ids,
    place,
    ticket_numbers,
)
from domain.support_desk import Copied, Requester, TicketSurroundings, decide
from domain.support_ticket import (
    CopyPerson,
    MergeTicket,
    OpenTicket,
    ReceiveMail,
    ReplyToTicket,
    RequesterKind,
    SplitTicket,
    Ticket,
    TicketClosed,
    TicketDecision,
    TicketEvent,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketStanding,
    UncopyPerson,
)
from handlers.commands.invitation import erasure_of
from handlers.commands.membership import UNLIMITED
from handlers.commands.situation import TICKET_NUMBERS, Claimed, Loaded, Situation, named_by
from handlers.store.append import Append, Claim, CountedClaim, Numbered, Uncounted

__all__ = ["draft", "mail_claim", "message_of", "tickets_of"]

COPIES_MAX = 50
"""A mail to more people than this is a circular, and puts nobody on copy."""
OPEN_NUMBERS_MAX = 100
"""So many open tickets, the latest, are named at most (T2)."""


def draft(command: TicketDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about a ticket wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case OpenTicket():
            return _open(command, actor, situation)
        case ReceiveMail():
            return _receive(command, actor, situation)
        case ReplyToTicket():
            return _reply(command, actor, situation)
        case CopyPerson() | UncopyPerson():
            return _change_copies(command, actor, situation)
        case SplitTicket():
            return _split(command, actor, situation)
        case MergeTicket():
            return _merge(command, actor, situation)
        case _:
            ticket = situation.ticket(command.ticket)
            return _written(
                decide(command, actor, ticket.state, TicketSurroundings()), [ticket], situation
            )


def tickets_of(person: UUID) -> UUID:
    """The counter of the tickets that somebody has open, by which they are found (T2)."""
    return uuid5(person, "tickets")


def message_of(message: UUID) -> Claimed:
    """A message by its id, which no other has, in whatever ticket: it is moved by it (T7)."""
    return "message", message.bytes


def mail_of(message_id: str, situation: Situation) -> UUID:
    """A mail by an id that nobody can guess or turn back into its Message-ID."""
    digest = situation.store.vault.digest("message_id", message_id)
    return UUID(bytes=digest[:16], version=4)


def mail_claim(mail: UUID) -> Claimed:
    """A mail as it is found: it belongs to the ticket into which it was written."""
    return "mail", mail.bytes


# ---------------------------------------------------------------- opening


def _open(command: OpenTicket, actor: Actor, situation: Situation) -> Append:
    number = situation.number(TICKET_NUMBERS)
    append = Append()
    ticket = situation.ticket_by_id(command.ticket)
    requester = _requester(command.requester, command.contract, command.language, situation)
    surroundings = TicketSurroundings(
        number=number,
        id_taken=ticket.version > 0,
        message_taken=_is_written(command.message, situation),
        contract_known=_is_contract(command.contract, append, situation),
        requester=requester,
    )
    _rest_on_no_erasure(requester.person, append, situation)
    events = decide(command, actor, ticket.state, surroundings)
    situation.keep_correspondent(append, command.requester, requester.person)
    return _written(events, [ticket], situation, append)


def _split(command: SplitTicket, actor: Actor, situation: Situation) -> Append:
    number = situation.number(TICKET_NUMBERS)
    append = Append()
    ticket, new = situation.ticket(command.ticket), situation.ticket_by_id(command.new_ticket)
    surroundings = TicketSurroundings(
        number=number,
        id_taken=new.version > 0,
        contract_known=ticket.state.contract is not None,
        requester_erased=_is_erased(ticket.state, append, situation),
    )
    events = decide(command, actor, ticket.state, surroundings)
    return _written(events, [ticket, new], situation, append)


def _requester(email: str, contract: UUID | None, language: str, situation: Situation) -> Requester:
    """Whoever writes from an address, as the ledger knows them."""
    person = situation.known_correspondent(email)
    if person is None:
        return Requester(situation.new_person(), language=language, is_new=True)
    holders = [
        holder for holder, _ in situation.store.counted_holders(tickets_of(person), situation.at)
    ]
    numbers = situation.store.numbers_of(TICKET_NUMBERS, holders)
    return Requester(
        person,
        kind=_kind(email, person, contract, situation),
        language=language,
        open_numbers=tuple(numbers[-OPEN_NUMBERS_MAX:]),
    )


def _kind(email: str, person: UUID, contract: UUID | None, situation: Situation) -> RequesterKind:
    """What somebody is to the contract that is named, else to any (T5).

    Without one, whoever contracts name by this address is taken to be of a holder, and whoever has
    an account that a contract made, of a contractor.
    """
    if contract is not None:
        if situation.contract(contract).state.contact == person:
            return RequesterKind.HOLDER
        if situation.contract_link(contract, person).state.linked:
            return RequesterKind.CONTRACTOR
    named = situation.claim(named_by(situation.email(email)))
    if named is not None and named.person == person:
        return RequesterKind.HOLDER
    account = situation.present_account(person).state
    if account.standing in (Standing.NONE, Standing.CLOSED):
        return RequesterKind.UNKNOWN
    made_by_contract = account.kind is AccountKind.CONTRACT
    return RequesterKind.CONTRACTOR if made_by_contract else RequesterKind.ACCOUNT_OWNER


def _is_written(message: UUID, situation: Situation) -> bool:
    return situation.claim(message_of(message)) is not None


def _is_contract(contract: UUID | None, append: Append, situation: Situation) -> bool:
    if contract is None:
        return False
    loaded = situation.contract(contract)
    append.reads[loaded.stream] = loaded.version
    return loaded.state.id is not None


# ---------------------------------------------------------------- mails


@dataclass(frozen=True, slots=True)
class Sorting:
    """Where a mail belongs.

    Attributes:
        ticket: the one that takes it; its initial state where it opens one.
        follows_number: of the closed ticket that it answers.
        repeated: it came before, by another mailbox perhaps.
    """

    requester: Requester
    placement: Placement
    ticket: Loaded[Ticket]
    participants: frozenset[UUID]
    follows_number: int | None
    repeated: bool


def _receive(command: ReceiveMail, actor: Actor, situation: Situation) -> Append:
    sorting = _sort(command, situation)
    if sorting.repeated:
        return Append()
    number = 0
    if sorting.placement.ticket is None and command.automatic is None:
        number = situation.number(TICKET_NUMBERS)
        # While this waited for a number, the same mail may have come, or the one it answers.
        sorting = _sort(command, situation)
        if sorting.repeated:
            return Append()
    append = Append()
    ticket, requester = sorting.ticket, sorting.requester
    opens = sorting.placement.ticket is None
    surroundings = TicketSurroundings(
        number=number,
        id_taken=opens and ticket.version > 0,
        message_taken=_is_written(command.message, situation),
        contract_known=_is_contract(command.contract, append, situation),
        requester=requester,
        participants=sorting.participants,
        requester_erased=not opens and _is_erased(ticket.state, append, situation),
        placement=sorting.placement,
        mail=_own_mail(command, situation),
        follows_number=sorting.follows_number,
        copies=_copies(command, sorting, situation),
    )
    _rest_on_no_erasure(requester.person, append, situation)
    events = decide(command, actor, ticket.state, surroundings)
    situation.keep_correspondent(append, command.sender, requester.person)
    _keep_copied(append, surroundings.copies, events, situation)
    return _written(events, [ticket], situation, append)


def _sort(command: ReceiveMail, situation: Situation) -> Sorting:
    requester = _requester(command.sender, command.contract, command.language, situation)
    tickets = _pointed_to(command, situation)
    threads = [_thread(ticket, ids, situation) for ticket, ids in tickets.values()]
    mail = Mail(
        sender=requester.person,
        staff=False,
        message_id=command.message_id,
        in_reply_to=command.in_reply_to,
        references=command.references,
        subject=command.subject,
        automatic=command.automatic,
    )
    placement = place(mail, threads)
    by_id = {thread.ticket: thread for thread in threads}
    thread = None if placement.ticket is None else by_id[placement.ticket]
    ticket = situation.ticket_by_id(placement.ticket or command.ticket)
    return Sorting(
        requester=requester,
        placement=placement,
        ticket=ticket,
        participants=frozenset() if thread is None else thread.participants,
        follows_number=None if placement.follows is None else by_id[placement.follows].number,
        repeated=_came_before(command, requester.person, situation),
    )


def _came_before(command: ReceiveMail, sender: UUID, situation: Situation) -> bool:
    """A mail by this Message-ID from this sender: another's with the same one is another mail."""
    mail = _own_mail(command, situation)
    held = None if mail is None else situation.claim(mail_claim(mail))
    if mail is None or held is None:
        return False
    mails = situation.ticket_by_id(held.holder).state.mails
    return mail in mails and mails[mail][1] == sender


def _own_mail(command: ReceiveMail | ReplyToTicket, situation: Situation) -> UUID | None:
    """The mail that a command brings; None where it bears no Message-ID."""
    own = parse_message_ids(command.message_id)
    return mail_of(own[0], situation) if own else None


def _pointed_to(
    command: ReceiveMail, situation: Situation
) -> dict[UUID, tuple[Loaded[Ticket], set[str]]]:
    """The tickets that a mail points to, each with those Message-IDs that belong to it now."""
    named = dict.fromkeys(
        parse_message_ids(command.in_reply_to) + parse_message_ids(command.references)
    )
    mails = {message_id: mail_of(message_id, situation) for message_id in named}
    situation.look_up(mail_claim(mail) for mail in mails.values())
    numbers = ticket_numbers(command.subject)
    numbered = situation.store.numbered(TICKET_NUMBERS, numbers) if numbers else {}
    held = {message_id: situation.claim(mail_claim(mail)) for message_id, mail in mails.items()}
    holders = {claim.holder for claim in held.values() if claim is not None}
    situation.look_up_streams(holders | {*numbered.values()})
    found: dict[UUID, tuple[Loaded[Ticket], set[str]]] = {}
    for ticket in numbered.values():
        current = _current(ticket, None, situation)
        found.setdefault(current.stream, (current, set()))
    for message_id, claim in held.items():
        if claim is not None:
            current = _current(claim.holder, mails[message_id], situation)
            found.setdefault(current.stream, (current, set()))[1].add(message_id)
    return found


def _current(ticket: UUID, mail: UUID | None, situation: Situation) -> Loaded[Ticket]:
    """Where a ticket went that was merged, or where a mail is that was split off."""
    loaded = situation.ticket_by_id(ticket)
    written = None if mail is None else loaded.state.mails.get(mail)
    seen: set[UUID] = set()
    while loaded.stream not in seen:
        seen.add(loaded.stream)
        split_off = None if written is None else loaded.state.split_off.get(written[0])
        onward = split_off or loaded.state.merged_into
        if onward is None:
            break
        loaded = situation.ticket_by_id(onward)
    return loaded


def _thread(ticket: Loaded[Ticket], message_ids: set[str], situation: Situation) -> KnownThread:
    """A ticket as a mail may belong to it; one whose requester is erased takes nothing any more."""
    family = list(_family(ticket, situation))
    state = ticket.state
    assert state.requester is not None  # noqa: S101  it was opened, or nothing would point to it
    states = {TicketStanding.OPEN: ThreadState.OPEN, TicketStanding.RESOLVED: ThreadState.RESOLVED}
    erased = _has_been_erased(state.requester, situation)
    merged = {each.state.number for each in family if each.state.merged_into is not None}
    return KnownThread(
        ticket=ticket.stream,
        number=state.number,
        state=ThreadState.CLOSED if erased else states.get(state.standing, ThreadState.CLOSED),
        messages=frozenset(message_ids),
        numbers=frozenset({state.number} | merged),
        participants=_participants(family),
        order=state.number,
    )


def _family(ticket: Loaded[Ticket], situation: Situation) -> Iterator[Loaded[Ticket]]:
    """A ticket, those that went into it, and that from which it was split off (T7).

    Whoever took part in those takes part in it.
    """
    seen: set[UUID] = set()
    waiting = [ticket]
    while waiting:
        each = waiting.pop()
        if each.stream in seen:
            continue
        seen.add(each.stream)
        yield each
        sources = [situation.ticket_by_id(source) for source in sorted(each.state.taken_from)]
        waiting += [
            source
            for source in sources
            if source.state.merged_into == each.stream or source.stream == each.state.split_from
        ]


def _participants(family: Iterable[Loaded[Ticket]]) -> frozenset[UUID]:
    return frozenset(person for each in family for person in each.state.participants)


# ---------------------------------------------------------------- replies and copies


def _reply(command: ReplyToTicket, actor: Actor, situation: Situation) -> Append:
    """A reply to a ticket that was merged goes where that went (T7)."""
    append = Append()
    named = situation.ticket(command.ticket)
    ticket = _current(named.stream, None, situation) if named.version else named
    family = list(_family(ticket, situation))
    surroundings = TicketSurroundings(
        message_taken=_is_written(command.message, situation),
        mail=_own_mail(command, situation),
        participants=_participants(family),
        requester_erased=_is_erased(ticket.state, append, situation),
    )
    append.reads.update((each.stream, each.version) for each in family)
    events = decide(command, actor, ticket.state, surroundings)
    return _written(events, [ticket], situation, append)


def _change_copies(
    command: CopyPerson | UncopyPerson, actor: Actor, situation: Situation
) -> Append:
    append = Append()
    ticket = situation.ticket(command.ticket)
    if isinstance(command, UncopyPerson):
        uncopied = situation.found(situation.email(command.email))
        events = decide(command, actor, ticket.state, TicketSurroundings(uncopied=uncopied))
        return _written(events, [ticket], situation, append)
    copied = Copied(situation.correspondent(command.email), command.email)
    takes_part = copied.person in ticket.state.participants
    surroundings = TicketSurroundings(copies=() if takes_part else (copied,))
    _rest_on_no_erasure(copied.person, append, situation)
    events = decide(command, actor, ticket.state, surroundings)
    _keep_copied(append, surroundings.copies, events, situation)
    return _written(events, [ticket], situation, append)


def _copies(command: ReceiveMail, sorting: Sorting, situation: Situation) -> tuple[Copied, ...]:
    """Recipients who take no part as yet, desks and the sender apart (T4)."""
    ticket = sorting.ticket.state
    opens = sorting.placement.ticket is None
    if command.automatic is not None or not (opens or sorting.requester.person == ticket.requester):
        return ()
    known = {email_key(email) for email in (*situation.desk_emails, command.sender)}
    addresses = {email_key(email): email for email in _addresses(command.recipients)}
    wanted = [email for key, email in addresses.items() if key not in known]
    if len(wanted) > COPIES_MAX:
        return ()
    people = {situation.correspondent(email): email for email in wanted}
    taking_part = {*sorting.participants, sorting.requester.person}
    return tuple(
        Copied(person, email) for person, email in people.items() if person not in taking_part
    )


def _addresses(recipients: Iterable[str]) -> Iterator[str]:
    """The addresses in headers as they came; what is none is passed over."""
    address = TypeAdapter[str](Email)
    for _, text in getaddresses(list(recipients)):
        try:
            yield address.validate_python(text)
        except ValidationError:
            continue


def _keep_copied(
    append: Append, copies: Sequence[Copied], events: Sequence[TicketEvent], situation: Situation
) -> None:
    if not events:
        return
    for copied in copies:
        situation.keep_correspondent(append, copied.address, copied.person)
        _rest_on_no_erasure(copied.person, append, situation)


def _merge(command: MergeTicket, actor: Actor, situation: Situation) -> Append:
    ticket, into = situation.ticket(command.ticket), situation.ticket(command.into)
    surroundings = TicketSurroundings(into=into.state)
    events = decide(command, actor, ticket.state, surroundings)
    return _written(events, [ticket, into], situation)


# ---------------------------------------------------------------- writing


def _written(
    events: Sequence[TicketEvent],
    tickets: Sequence[Loaded[Ticket]],
    situation: Situation,
    append: Append | None = None,
) -> Append:
    """Each event in the stream of its ticket, and what can be found by it."""
    append = append or Append()
    versions = {ticket.stream: ticket.version for ticket in tickets}
    for stream in dict.fromkeys(event.ticket for event in events):
        own = [event for event in events if event.ticket == stream]
        append.write(stream, versions[stream], own)
        append.reads.pop(stream, None)
    for event in events:
        match event:
            case TicketOpened():
                append.numbered.append(Numbered(TICKET_NUMBERS, event.number, event.ticket))
                _count(append, event)
            case TicketReopened():
                _count(append, event)
            case TicketResolved() | TicketClosed() | TicketMerged():
                append.uncounted.append(Uncounted(tickets_of(event.person), event.ticket))
            case TicketReplied():
                claimed = message_of(event.message)
                append.claimed.append(Claim(*claimed, holder=event.ticket, person=event.ticket))
                _keep_mail(append, event, situation)
            case _:
                pass
    return append


def _count(append: Append, event: TicketOpened | TicketReopened) -> None:
    append.counted.append(
        CountedClaim(tickets_of(event.person), event.ticket, event.person, UNLIMITED)
    )


def _keep_mail(append: Append, event: TicketReplied, situation: Situation) -> None:
    """A thread stays whole whoever is erased, so the ticket itself is whom the claim is for."""
    if event.mail is None:
        return
    claimed = mail_claim(event.mail)
    # One that another mail bears already leads there, and nowhere else.
    if situation.claim(claimed) is None:
        append.claimed.append(Claim(*claimed, holder=event.ticket, person=event.ticket))


def _is_erased(ticket: Ticket, append: Append, situation: Situation) -> bool:
    """Whether the requester's data is erased; an erasure in the meantime fails the append."""
    if ticket.requester is None:
        return False
    _rest_on_no_erasure(ticket.requester, append, situation)
    return _has_been_erased(ticket.requester, situation)


def _has_been_erased(person: UUID, situation: Situation) -> bool:
    erased = situation.present_account(person).state.erased
    return erased or situation.store.version(erasure_of(person)) > 0


def _rest_on_no_erasure(person: UUID, append: Append, situation: Situation) -> None:
    account = situation.present_account(person)
    append.reads[account.stream] = account.version
    append.reads[erasure_of(person)] = situation.store.version(erasure_of(person))
