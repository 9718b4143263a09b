"""Tickets and the mails about them, in any order: numbers, places, and who gets in."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.mail_thread import (
    AutomaticKind,
    KnownThread,
    Mail,
    PlacementReason,
    ThreadState,
    place,
)
from domain.refusal import Refused
from domain.support_desk import Copied, Requester, TicketSurroundings, decide
from domain.support_ticket import (
    AssignTicket,
    CloseTicket,
    CopyPerson,
    MergeTicket,
    ReceiveMail,
    ReopenTicket,
    ReplyToTicket,
    ResolveTicket,
    SplitTicket,
    Ticket,
    TicketDecision,
    TicketEvent,
    TicketFact,
    TicketMerged,
    TicketOpened,
    TicketReplied,
    TicketStanding,
    UncopyPerson,
    ticket_decider,
)
from tests.domain.stories import BEGINNING, system

PEOPLE = [UUID(int=100 + number) for number in range(3)]
staff = Actor(kind=ActorKind.SUPPORT_STAFF, id=UUID(int=45))
WISHES = ["mail"] * 5 + [
    "program", "reply", "note", "assign", "copy", "uncopy", "resolve", "resolve", "reopen",
    "close", "close", "split", "split", "merge", "merge",
]  # fmt: skip


def address_of(person: UUID) -> str:
    """Where somebody writes from."""
    return f"person{PEOPLE.index(person)}@example.com"


def mail_of(message_id: str) -> UUID:
    """A mail by its Message-ID."""
    return uuid5(NAMESPACE_URL, message_id)


@dataclass(slots=True)
class Desk:
    """What a ledger would know.

    Attributes:
        tickets: every ticket, by id.
        told: what happened, in order.
        mails: by Message-ID, the ticket into which the mail was written.
    """

    tickets: dict[UUID, Ticket] = field(default_factory=dict[UUID, Ticket])
    told: list[TicketEvent] = field(default_factory=list[TicketEvent])
    mails: dict[str, UUID] = field(default_factory=dict[str, UUID])

    def by_number(self, number: int) -> Ticket:
        """The ticket with a number."""
        found = (ticket for ticket in self.tickets.values() if ticket.number == number)
        return next(found, Ticket())

    def happens(self, event: TicketEvent) -> None:
        """One more event, of whichever ticket."""
        before = self.tickets.get(event.ticket, Ticket())
        self.tickets[event.ticket] = ticket_decider.evolve(before, event)
        self.told.append(event)
        if isinstance(event, TicketReplied) and isinstance(event.message_id, str):
            self.mails.setdefault(event.message_id, event.ticket)

    def current(self, ticket: UUID, message: UUID | None = None) -> Ticket:
        """Where a ticket went that was merged, or where a message is that was split off."""
        known = self.tickets[ticket]
        split_off = known.split_off.get(message) if message else None
        onward = split_off or known.merged_into
        return known if onward is None else self.current(onward, message)

    def participants(self, ticket: Ticket) -> frozenset[UUID]:
        """Of a ticket, of those that went into it, and of that from which it was split off."""
        people = ticket.participants
        for source in (self.tickets[each] for each in ticket.taken_from):
            if source.merged_into == ticket.id:
                people |= self.participants(source)
            elif source.id == ticket.split_from:
                people |= source.participants
        return people

    def threads(self) -> list[KnownThread]:
        """Every ticket as a mail may belong to it."""
        states = {
            TicketStanding.OPEN: ThreadState.OPEN,
            TicketStanding.RESOLVED: ThreadState.RESOLVED,
        }
        now = {
            message_id: self.current(ticket, self.tickets[ticket].mails[mail_of(message_id)][0]).id
            for message_id, ticket in self.mails.items()
        }
        return [
            KnownThread(
                ticket=known,
                number=ticket.number,
                state=states.get(ticket.standing, ThreadState.CLOSED),
                messages=frozenset(m for m, belongs_to in now.items() if belongs_to == known),
                numbers=frozenset(
                    each.number
                    for each in self.tickets.values()
                    if self.current(_id(each)) == ticket
                ),
                participants=self.participants(ticket),
                order=ticket.number,
            )
            for known, ticket in self.tickets.items()
            if ticket.standing is not TicketStanding.MERGED
        ]


def _id(ticket: Ticket) -> UUID:
    assert ticket.id is not None
    return ticket.id


class SupportDeskMachine(RuleBasedStateMachine):
    """Three people, staff, and as many tickets as they open."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.ids = 1000
        self.numbers = 0

    # ------------------------------------------------------------ what may happen

    @initialize()
    def somebody_writes_first(self) -> None:
        """So that there is a ticket."""
        self._mail(PEOPLE[0], None, None)

    # One rule, for Hypothesis leaves out whole rules at random, and all are needed to get far.
    @rule(
        wish=st.sampled_from(WISHES),
        person=st.sampled_from(PEOPLE),
        other=st.sampled_from(PEOPLE),
        which=st.integers(0, 5),
        another=st.integers(0, 5),
        by_staff=st.booleans(),
    )
    def something_is_asked(
        self, *, wish: str, person: UUID, other: UUID, which: int, another: int, by_staff: bool
    ) -> None:
        """Somebody asks for something, and gets it or not."""
        actor = staff if by_staff else Actor(kind=ActorKind.PERSON, id=person)
        number = 1 + which % self.numbers
        before = len(self.desk.told)
        try:
            match wish:
                case "mail":
                    self._mail(person, self._some_mail(which), None)
                case "program":
                    self._mail(person, self._some_mail(which), AutomaticKind.AUTO_REPLY)
                case _:
                    self._ask(wish, number, actor, other, 1 + another % self.numbers)
        except Refused:
            assert len(self.desk.told) == before

    def _some_mail(self, which: int) -> str | None:
        """One of the mails so far, or none."""
        known = sorted(self.desk.mails)
        return known[which % len(known)] if which else None

    def _mail(self, sender: UUID, answers: str | None, automatic: AutomaticKind | None) -> None:
        own_id = f"{self._new_id().int}@mail.example"
        command = ReceiveMail(
            at=BEGINNING, ticket=self._new_id(), message=self._new_id(),
            sender=address_of(sender), message_id=own_id, automatic=automatic,
            in_reply_to=None if answers is None else f"<{answers}>", body="Hola",
        )  # fmt: skip
        headers = Mail(sender, False, own_id, command.in_reply_to, None, "", automatic)
        placement = place(headers, self.desk.threads())
        ticket = self.desk.tickets[placement.ticket] if placement.ticket else Ticket()
        surroundings = TicketSurroundings(
            number=self.numbers + 1,
            requester=Requester(sender),
            participants=self.desk.participants(ticket),
            placement=placement,
            mail=mail_of(own_id),
        )
        self._decide(command, system, ticket, surroundings)

    def _ask(self, wish: str, number: int, actor: Actor, other: UUID, another: int) -> None:
        ticket = self.desk.by_number(number)
        if wish in ("reply", "note"):
            ticket = self.desk.current(_id(ticket))
        copied = Copied(other, address_of(other))
        surroundings = TicketSurroundings(
            number=self.numbers + 1,
            participants=self.desk.participants(ticket),
            copies=() if other in ticket.participants else (copied,),
            uncopied=other,
            into=self.desk.by_number(another),
        )
        commands: dict[str, TicketDecision] = {
            "reply": ReplyToTicket(
                at=BEGINNING, ticket=number, message=self._new_id(), body="Hola"
            ),
            "note": ReplyToTicket(
                at=BEGINNING, ticket=number, message=self._new_id(), body="Hola", internal=True
            ),
            "assign": AssignTicket(at=BEGINNING, ticket=number, assignee=other),
            "copy": CopyPerson(at=BEGINNING, ticket=number, email=copied.address),
            "uncopy": UncopyPerson(at=BEGINNING, ticket=number, email=copied.address),
            "resolve": ResolveTicket(at=BEGINNING, ticket=number),
            "reopen": ReopenTicket(at=BEGINNING, ticket=number),
            "close": CloseTicket(at=BEGINNING, ticket=number),
            "split": SplitTicket(
                at=BEGINNING, ticket=number, new_ticket=self._new_id(), subject="Otra cosa",
                messages=ticket.messages[-1:] or (self._new_id(),),
            ),
            "merge": MergeTicket(at=BEGINNING, ticket=number, into=another),
        }  # fmt: skip
        self._decide(commands[wish], actor, ticket, surroundings)

    def _decide(
        self, command: TicketDecision, actor: Actor, ticket: Ticket, around: TicketSurroundings
    ) -> None:
        refuse_unless_may_give(actor, type(command))
        finished = ticket.standing in (TicketStanding.CLOSED, TicketStanding.MERGED)
        for event in decide(command, actor, ticket, around):
            automatic = isinstance(event, TicketReplied) and event.automatic is not None
            assert not finished or event.ticket != ticket.id or automatic, "it was finished"
            if isinstance(event, TicketReplied) and not automatic:
                self._may_write(event, around)
            self.desk.happens(event)
            self.numbers += isinstance(event, TicketOpened)

    def _may_write(self, event: TicketReplied, around: TicketSurroundings) -> None:
        """T4: whoever writes takes part, or is staff, or has just opened the ticket."""
        just_opened = around.number == event.number
        assert just_opened or event.sender in {*around.participants, staff.id}

    def _new_id(self) -> UUID:
        self.ids += 1
        return UUID(int=self.ids)

    # ------------------------------------------------------------ what always holds

    @invariant()
    def numbers_run_without_gap_or_double(self) -> None:
        """T1: whatever was refused in between."""
        numbers = [event.number for event in self.desk.told if isinstance(event, TicketOpened)]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def each_message_is_in_one_ticket_and_none_is_lost(self) -> None:
        """T7, T8: however tickets were split and merged."""
        written = {event.message for event in self.desk.told if isinstance(event, TicketReplied)}
        places = Counter(
            message
            for ticket in self.desk.tickets.values()
            if ticket.standing is not TicketStanding.MERGED
            for message in ticket.messages
        )
        assert places.keys() == written
        assert set(places.values()) <= {1}

    @invariant()
    def no_ticket_is_empty(self) -> None:
        """T7: at least one message stays."""
        assert all(ticket.messages for ticket in self.desk.tickets.values())

    @invariant()
    def a_message_is_found_where_it_is(self) -> None:
        """T2: a reply to any mail leads to the ticket that has it now."""
        for message_id, ticket in self.desk.mails.items():
            message, _ = self.desk.tickets[ticket].mails[mail_of(message_id)]
            assert message in self.desk.current(ticket, message).messages

    @invariant()
    def what_was_merged_leads_to_a_ticket_that_was_not(self) -> None:
        """T7: along a chain, and never in a circle."""
        for ticket in self.desk.tickets:
            assert self.desk.current(ticket).standing is not TicketStanding.MERGED

    @invariant()
    def every_message_says_why_it_is_there(self) -> None:
        """T8: the first one of a ticket opened it."""
        replied = [event for event in self.desk.told if isinstance(event, TicketReplied)]
        assert all(event.placement in PlacementReason for event in replied)

    @invariant()
    def merging_is_told_on_both_sides(self) -> None:
        """T7: the one that took over knows from where."""
        for event in self.desk.told:
            if isinstance(event, TicketMerged):
                assert event.ticket in self.desk.tickets[event.into_ticket].taken_from
            assert isinstance(event, TicketFact)


RULES = ("T1", "T2", "T4", "T7", "T8")


@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_tickets() -> None:
    """Their rules hold in any order."""
    run_state_machine_as_test(SupportDeskMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_tickets_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(SupportDeskMachine)
