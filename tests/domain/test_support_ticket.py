"""Tickets: who opens them, who adds to them, and what becomes of them (T1 to T8)."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.actor import Actor, ActorKind
from domain.mail_thread import (
    AutomaticKind,
    Placement,
    PlacementReason,
    Rejection,
    RejectionReason,
)
from domain.support_desk import Copied, Requester, TicketSurroundings, decide, desk_for
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
    Resolution,
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
    UncopyPerson,
    ticket_decider,
)
from tests.domain.stories import BEGINNING, PERSON, STRANGER, noon, owner, stranger, system
from tests.specification import Given, given

TICKET = UUID(int=40)
OTHER_TICKET = UUID(int=41)
NEW_TICKET = UUID(int=42)
CONTRACT = UUID(int=43)
COPIED = UUID(int=44)
STAFF = UUID(int=45)
LATER = noon(2025, 1, 2)
staff = Actor(kind=ActorKind.SUPPORT_STAFF, id=STAFF)
copied_person = Actor(kind=ActorKind.PERSON, id=COPIED)
nobody_yet = Actor(kind=ActorKind.PERSON)
ANA = Requester(PERSON, RequesterKind.ACCOUNT_OWNER)
NUMBER, OTHER_NUMBER = 7, 9


def message_id(number: int) -> UUID:
    """The id of the first message, the second, and so on."""
    return UUID(int=4000 + number)


def fact(kind: type[Any], *, ticket: UUID = TICKET, **fields: Any) -> Any:
    """A fact about Ana's ticket, of the second day."""
    number = {TICKET: NUMBER, OTHER_TICKET: OTHER_NUMBER, NEW_TICKET: 10}[ticket]
    given_fields = {"person": PERSON, "occurred_at": LATER, **fields}
    return kind(ticket=ticket, number=number, **given_fields)


def opening(ticket: UUID = TICKET, **fields: Any) -> TicketOpened:
    """Ana's ticket is opened."""
    given_fields: dict[str, Any] = {
        "requester_kind": RequesterKind.ACCOUNT_OWNER,
        "desk": Desk.ACCOUNT_SUPPORT,
        "reason": TicketReason.ACCESS,
        "channel": Channel.EMAIL,
        "language": "es",
        "subject": "No puedo entrar",
        **fields,
    }
    event: TicketOpened = fact(TicketOpened, ticket=ticket, **given_fields)
    return event


def message(number: int = 1, ticket: UUID = TICKET, **fields: Any) -> TicketReplied:
    """Ana writes."""
    given_fields: dict[str, Any] = {
        "message": message_id(number),
        "sender": PERSON,
        "participation": Participation.REQUESTER,
        "internal": False,
        "channel": Channel.EMAIL,
        "placement": PlacementReason.OPENED,
        "body": "Buenos días.",
        **fields,
    }
    event: TicketReplied = fact(TicketReplied, ticket=ticket, **given_fields)
    return event


opened = opening()
FIRST_MAIL, SECOND_MAIL = UUID(int=4101), UUID(int=4102)
first = message(1, mail=FIRST_MAIL, message_id="first@mail.example")
second = message(2, placement=PlacementReason.IN_REPLY_TO)
copied: PersonCopied = fact(PersonCopied, copied=COPIED, address="copia@example.com")
resolved: TicketResolved = fact(TicketResolved, resolution=Resolution.SOLVED)
reopened: TicketReopened = fact(TicketReopened, reason=ReopeningReason.REPLY)
closed: TicketClosed = fact(TicketClosed)
merged: TicketMerged = fact(TicketMerged, into_ticket=OTHER_TICKET, into_number=OTHER_NUMBER)
other_opened = opening(OTHER_TICKET, person=STRANGER)


def ticket(*events: TicketEvent) -> Given[Ticket, TicketEvent]:
    """Ana's ticket with her first message, and what happened since."""
    return given(ticket_decider, opened, first, *events)


def no_ticket() -> Given[Ticket, TicketEvent]:
    """Nothing has happened."""
    return given(ticket_decider)


def when(
    command: TicketDecision, actor: Actor = staff, **surroundings: Any
) -> Callable[[Ticket], Sequence[TicketEvent]]:
    """A command, from whom, and what else is known; who takes part, the ticket itself tells."""

    def decision(state: Ticket) -> Sequence[TicketEvent]:
        known: dict[str, Any] = {"number": 10, "participants": state.participants, **surroundings}
        return decide(command, actor, state, TicketSurroundings(**known))

    return decision


def ask(command: type[Any], **fields: Any) -> Any:
    """A command about Ana's ticket, on the second day."""
    return command(at=LATER, ticket=NUMBER, **fields)


def calling(**fields: Any) -> OpenTicket:
    """Ana's wish for a ticket, as staff or she herself write it down."""
    given_fields: dict[str, Any] = {
        "requester": "ana@example.com",
        "reason": TicketReason.ACCESS,
        "subject": "No puedo entrar",
        "body": "Buenos días.",
        **fields,
    }
    return OpenTicket(at=LATER, ticket=NEW_TICKET, message=message_id(1), **given_fields)


def mail(number: int = 2, **fields: Any) -> ReceiveMail:
    """A mail of Ana's."""
    given_fields: dict[str, Any] = {"sender": "ana@example.com", "body": "¿Sigue?", **fields}
    return ReceiveMail(at=LATER, ticket=NEW_TICKET, message=message_id(number), **given_fields)


def placed(reason: PlacementReason = PlacementReason.IN_REPLY_TO, **fields: Any) -> Placement:
    """A mail belongs to Ana's ticket."""
    return Placement(**{"ticket": TICKET, "reason": reason, **fields})


answers = placed()
opens = Placement(None, PlacementReason.OPENED)
replying: ReplyToTicket = ask(ReplyToTicket, message=message_id(2), body="¿Sigue?")
splitting: SplitTicket = ask(
    SplitTicket, messages=(message_id(2),), new_ticket=NEW_TICKET, subject="La factura"
)
merging: MergeTicket = ask(MergeTicket, into=OTHER_NUMBER)

# ---------------------------------------------------------------- opening


@pytest.mark.rule("T1")
def test_an_incident_gets_a_number_and_states_its_reason() -> None:
    no_ticket().when(when(calling(channel=Channel.TELEPHONE), requester=ANA)).then(
        opening(NEW_TICKET, channel=Channel.TELEPHONE),
        message(
            ticket=NEW_TICKET, channel=Channel.TELEPHONE, subject="No puedo entrar",
            sender_address="ana@example.com",
        ),
    )  # fmt: skip


@pytest.mark.rule("T1")
@pytest.mark.parametrize("wish", [calling(), mail()])
def test_an_id_that_is_in_use_opens_nothing(wish: TicketDecision) -> None:
    """Whatever else has it, a ticket or an account."""
    known: dict[str, Any] = {"requester": ANA, "placement": opens}
    ticket().when(when(wish, **known)).then_refused("T1", message_contains="in use")
    no_ticket().when(when(wish, id_taken=True, **known)).then_refused("T1")


@pytest.mark.rule("T1")
def test_a_ticket_without_a_reason_is_not_asked_for() -> None:
    with pytest.raises(ValidationError, match="reason"):
        calling(reason=None)


@pytest.mark.rule("T2")
def test_a_new_ticket_names_the_open_ones_of_its_requester() -> None:
    requester = Requester(PERSON, RequesterKind.ACCOUNT_OWNER, open_numbers=(3, 5))
    events = no_ticket().when(when(mail(), system, requester=requester, placement=opens)).events
    assert isinstance(events[0], TicketOpened)
    assert events[0].open_numbers == (3, 5)


@pytest.mark.rule("G1")
def test_a_person_opens_a_ticket_under_their_own_address_alone() -> None:
    """Somebody whom nobody knows yet may have any address that nobody is known by."""
    own, new = calling(), Requester(STRANGER, is_new=True)
    assert no_ticket().when(when(own, owner, requester=ANA)).events
    no_ticket().when(when(own, stranger, requester=ANA)).then_refused("G1")
    assert no_ticket().when(when(own, nobody_yet, requester=new)).events
    no_ticket().when(when(own, nobody_yet, requester=ANA)).then_refused("G1")
    no_ticket().when(when(own, owner, requester=new)).then_refused("G1")


@pytest.mark.rule("T5", "G1")
def test_staff_say_what_kind_of_requester_somebody_is_and_people_do_not() -> None:
    wish = calling(requester_kind=RequesterKind.HOLDER)
    no_ticket().when(when(wish, owner, requester=ANA)).then_refused(
        "G1", message_contains="kind of requester"
    )
    opening_event = no_ticket().when(when(wish, requester=ANA)).events[0]
    assert isinstance(opening_event, TicketOpened)
    assert opening_event.requester_kind is RequesterKind.HOLDER


@pytest.mark.rule("T6")
@pytest.mark.parametrize(
    ("kind", "reason", "has_validator", "desk"),
    [
        (RequesterKind.HOLDER, TicketReason.ACCESS, True, Desk.HOLDER_SUPPORT),
        (RequesterKind.CONTRACTOR, TicketReason.ACCESS, True, Desk.DOCUMENTATION_HELP_DESK),
        (
            RequesterKind.CONTRACTOR,
            TicketReason.ACCESS_TO_CLIENT,
            True,
            Desk.DOCUMENTATION_HELP_DESK,
        ),
        (RequesterKind.CONTRACTOR, TicketReason.DOCUMENT_VALIDATION, True, Desk.VALIDATOR),
        (
            RequesterKind.CONTRACTOR,
            TicketReason.DOCUMENT_VALIDATION,
            False,
            Desk.DOCUMENTATION_HELP_DESK,
        ),
        (RequesterKind.ACCOUNT_OWNER, TicketReason.PAYMENT, False, Desk.ACCOUNT_SUPPORT),
        (RequesterKind.UNKNOWN, TicketReason.OTHER, False, Desk.ACCOUNT_SUPPORT),
    ],
)
def test_each_kind_of_requester_goes_to_their_desk(
    kind: RequesterKind, reason: TicketReason, has_validator: bool, desk: Desk
) -> None:
    assert desk_for(kind, reason, has_validator=has_validator) is desk


@pytest.mark.rule("T6")
def test_a_contract_that_is_named_exists() -> None:
    """Its validator is the one who answers."""
    wish = calling(contract=CONTRACT, reason=TicketReason.DOCUMENT_VALIDATION)
    no_ticket().when(when(wish, requester=ANA)).then_refused("T6")
    opening_event = no_ticket().when(when(wish, requester=ANA, contract_known=True)).events[0]
    assert isinstance(opening_event, TicketOpened)
    assert (opening_event.desk, opening_event.contract) == (Desk.VALIDATOR, CONTRACT)


# ---------------------------------------------------------------- mails


@pytest.mark.rule("T2", "T8")
def test_a_mail_in_the_thread_is_added_with_the_reason_for_its_place() -> None:
    """Headers are kept in one form; file names apart from what was attached."""
    wish = mail(
        message_id=" <second@mail.example> ",
        in_reply_to="<first@mail.example>",
        references="<zero@mail.example>\n <first@mail.example>",
        subject="Re: No puedo entrar",
        sender_name="Ana",
        attachments=(
            NamedAttachment(sha256="ab" * 32, media_type="image/png", size_bytes=3, name="yo.png"),
        ),
    )
    rejected = (Rejection(OTHER_TICKET, OTHER_NUMBER, RejectionReason.OTHER_THREAD_NEARER),)
    placement = placed(rejected=rejected)
    ticket().when(when(wish, system, requester=ANA, placement=placement, mail=SECOND_MAIL)).then(
        message(
            2,
            placement=PlacementReason.IN_REPLY_TO,
            rejected=(
                RejectedTicket(
                    ticket=OTHER_TICKET,
                    number=OTHER_NUMBER,
                    reason=RejectionReason.OTHER_THREAD_NEARER,
                ),
            ),
            mail=SECOND_MAIL,
            message_id="second@mail.example",
            in_reply_to="first@mail.example",
            references="zero@mail.example first@mail.example",
            subject="Re: No puedo entrar",
            body="¿Sigue?",
            attachments=(Attachment(sha256="ab" * 32, media_type="image/png", size_bytes=3),),
            attachment_names='["yo.png"]',
            sender_name="Ana",
            sender_address="ana@example.com",
        )
    )


@pytest.mark.rule("T3")
def test_a_mail_reopens_a_resolved_ticket() -> None:
    events = ticket(resolved).when(when(mail(), system, requester=ANA, placement=answers)).events
    assert events[1:] == (reopened,)


@pytest.mark.rule("T3", "T8")
def test_a_mail_to_a_closed_ticket_opens_one_that_follows_it() -> None:
    placement = Placement(
        None,
        PlacementReason.FOLLOWS_CLOSED,
        follows=TICKET,
        rejected=(Rejection(TICKET, NUMBER, RejectionReason.CLOSED),),
    )
    known: dict[str, Any] = {"requester": ANA, "placement": placement, "follows_number": NUMBER}
    opening_event, replied = no_ticket().when(when(mail(), system, **known)).events
    assert isinstance(opening_event, TicketOpened)
    assert (opening_event.follows, opening_event.follows_number) == (TICKET, NUMBER)
    assert isinstance(replied, TicketReplied)
    assert replied.placement is PlacementReason.FOLLOWS_CLOSED
    assert replied.rejected[0].reason is RejectionReason.CLOSED


@pytest.mark.rule("T8")
@pytest.mark.parametrize("automatic", AutomaticKind)
def test_an_automatic_mail_opens_nothing_and_reopens_nothing(automatic: AutomaticKind) -> None:
    wish = mail(automatic=automatic, body="")
    no_ticket().when(when(wish, system, requester=ANA, placement=opens)).then_refused("T8")
    daemon = Requester(STRANGER)
    known: dict[str, Any] = {
        "requester": daemon,
        "placement": answers,
        "copies": (Copied(COPIED, "c@x.example"),),
    }
    events = ticket(resolved).when(when(wish, system, **known)).events
    assert [type(event) for event in events] == [TicketReplied]
    assert isinstance(events[0], TicketReplied)
    assert events[0].participation is Participation.PROGRAM


@pytest.mark.rule("T8")
def test_a_message_has_its_place_once() -> None:
    """Also where it is no longer: it was split off."""
    again = mail(1)
    known: dict[str, Any] = {"requester": ANA, "placement": answers}
    ticket().when(when(again, system, **known)).then_refused("T8", message_contains="in use")
    split_off = fact(
        MessagesSplitOff, messages=(message_id(1),), into_ticket=OTHER_TICKET, into_number=9
    )
    ticket(second, split_off).when(when(again, system, **known)).then_refused("T8")
    reply = ask(ReplyToTicket, message=message_id(1), body="Hola")
    ticket().when(when(reply)).then_refused("T8")


@pytest.mark.rule("T4")
def test_recipients_of_the_requesters_mail_are_put_on_copy() -> None:
    """And not those of somebody on copy."""
    copies = (Copied(STRANGER, "otra@example.com"),)
    known: dict[str, Any] = {"placement": answers, "copies": copies}
    by_ana = ticket(copied).when(when(mail(), system, requester=ANA, **known)).events
    assert by_ana[1:] == (fact(PersonCopied, copied=STRANGER, address="otra@example.com"),)
    by_copied = ticket(copied).when(when(mail(), system, requester=Requester(COPIED), **known))
    assert len(by_copied.events) == 1
    at_once = no_ticket().when(when(mail(), system, requester=ANA, placement=opens, copies=copies))
    assert isinstance(at_once.events[2], PersonCopied)


# ---------------------------------------------------------------- replies


@pytest.mark.rule("T4")
@pytest.mark.parametrize(
    ("actor", "participation"),
    [
        (owner, Participation.REQUESTER),
        (copied_person, Participation.COPIED),
        (staff, Participation.STAFF),
    ],
)
def test_requester_people_on_copy_and_staff_add_to_a_ticket(
    actor: Actor, participation: Participation
) -> None:
    ticket(copied).when(when(replying, actor)).then(
        message(
            2,
            sender=actor.id,
            participation=participation,
            channel=Channel.WEB,
            placement=PlacementReason.DIRECT,
            body="¿Sigue?",
        )
    )


@pytest.mark.rule("T4")
@pytest.mark.parametrize("actor", [stranger, nobody_yet])
def test_a_stranger_adds_nothing(actor: Actor) -> None:
    ticket(copied).when(when(replying, actor)).then_refused("T4", remedy_contains="of your own")


@pytest.mark.rule("T4")
def test_whoever_was_taken_off_the_copy_list_adds_nothing() -> None:
    gone = fact(PersonUncopied, copied=COPIED)
    ticket(copied, gone).when(when(replying, copied_person)).then_refused("T4")


@pytest.mark.rule("T4")
def test_notes_are_for_staff_alone() -> None:
    note = ask(ReplyToTicket, message=message_id(2), internal=True, body="Es raro.")
    ticket().when(when(note, owner)).then_refused("T4", message_contains="notes")
    written = ticket().when(when(note)).events[0]
    assert isinstance(written, TicketReplied)
    assert written.internal


@pytest.mark.rule("G1")
def test_staff_who_answer_are_known_by_id() -> None:
    ticket().when(when(replying, Actor(kind=ActorKind.SUPPORT_STAFF))).then_refused("G1")


@pytest.mark.rule("T3")
def test_a_reply_reopens_a_resolved_ticket_and_what_staff_say_does_not() -> None:
    assert ticket(resolved).when(when(replying, owner)).events[1:] == (reopened,)
    assert len(ticket(resolved).when(when(replying)).events) == 1


@pytest.mark.rule("A11")
@pytest.mark.parametrize("wish", [mail(), replying, splitting])
def test_nothing_is_sealed_for_somebody_who_is_erased(wish: TicketDecision) -> None:
    known: dict[str, Any] = {"requester": ANA, "placement": answers, "requester_erased": True}
    ticket(second).when(when(wish, **known)).then_refused("A11")


# ---------------------------------------------------------------- the copy list


@pytest.mark.rule("T4")
def test_requester_and_staff_say_who_is_on_copy() -> None:
    wish = ask(CopyPerson, email="copia@example.com")
    copies = (Copied(COPIED, "copia@example.com"),)
    for actor in (owner, staff):
        ticket().when(when(wish, actor, copies=copies)).then(copied)
    ticket(copied).when(when(wish, owner)).then_nothing()
    ticket(copied).when(when(wish, copied_person, copies=copies)).then_refused("T4")
    ticket(copied).when(when(wish, nobody_yet, copies=copies)).then_refused("T4")


@pytest.mark.rule("T4")
def test_people_take_off_themselves_and_the_requester_anybody() -> None:
    wish = ask(UncopyPerson, email="copia@example.com")
    gone = fact(PersonUncopied, copied=COPIED)
    for actor in (owner, staff, copied_person):
        ticket(copied).when(when(wish, actor, uncopied=COPIED)).then(gone)
    ticket(copied).when(when(wish, stranger, uncopied=COPIED)).then_refused("T4")
    ticket(copied).when(when(wish, nobody_yet, uncopied=None)).then_refused("T4")
    ticket().when(when(wish, owner, uncopied=COPIED)).then_nothing()
    ticket().when(when(wish, owner, uncopied=None)).then_nothing()


# ---------------------------------------------------------------- what staff does


@pytest.mark.rule("T7")
def test_a_ticket_is_assigned_and_handed_on() -> None:
    other = UUID(int=46)
    assigned = fact(TicketAssigned, assignee=STAFF)
    ticket().when(when(ask(AssignTicket, assignee=STAFF))).then(assigned)
    ticket(assigned).when(when(ask(AssignTicket, assignee=STAFF))).then_nothing()
    ticket(assigned).when(when(ask(AssignTicket, assignee=other))).then(
        fact(TicketAssigned, assignee=other, former_assignee=STAFF)
    )


@pytest.mark.rule("T6")
def test_another_desk_answers() -> None:
    wish = ask(RouteTicket, desk=Desk.HOLDER_SUPPORT)
    routed = fact(TicketRouted, desk=Desk.HOLDER_SUPPORT, former_desk=Desk.ACCOUNT_SUPPORT)
    ticket().when(when(wish)).then(routed)
    ticket(routed).when(when(wish)).then_nothing()


@pytest.mark.rule("T7")
def test_a_ticket_is_resolved_reopened_resolved_and_closed() -> None:
    by_staff = fact(TicketReopened, reason=ReopeningReason.STAFF)
    wishes = [ask(command) for command in (ResolveTicket, ReopenTicket, ResolveTicket, CloseTicket)]
    past: list[TicketEvent] = []
    for wish, event in zip(wishes, [resolved, by_staff, resolved, closed], strict=True):
        ticket(*past).when(when(wish)).then(event)
        past.append(event)
        if not isinstance(event, TicketReopened):
            ticket(*past).when(when(wish)).then_nothing()
    ticket().when(when(ask(ReopenTicket))).then_nothing()


@pytest.mark.rule("T7", "T1")
def test_only_what_is_resolved_is_closed() -> None:
    """So the requester has been told of the resolution."""
    ticket().when(when(ask(CloseTicket))).then_refused("T7", remedy_contains="Resolve")
    ticket(resolved, reopened).when(when(ask(CloseTicket))).then_refused("T7")


def every_change(ticket_number: int = NUMBER) -> list[TicketDecision]:
    """Whatever can be asked of a ticket."""
    fields: dict[type[Any], dict[str, Any]] = {
        ReplyToTicket: {"message": message_id(3), "body": "Hola"},
        AssignTicket: {"assignee": STAFF},
        RouteTicket: {"desk": Desk.VALIDATOR},
        CopyPerson: {"email": "copia@example.com"},
        UncopyPerson: {"email": "copia@example.com"},
        ResolveTicket: {},
        ReopenTicket: {},
        CloseTicket: {},
        SplitTicket: {"messages": (message_id(2),), "new_ticket": NEW_TICKET, "subject": "Otra"},
        MergeTicket: {"into": OTHER_NUMBER},
    }
    return [kind(at=LATER, ticket=ticket_number, **given) for kind, given in fields.items()]


@pytest.mark.rule("T3")
@pytest.mark.parametrize("wish", every_change(), ids=lambda wish: type(wish).__name__)
def test_a_closed_ticket_takes_nothing(wish: TicketDecision) -> None:
    """Not even from staff; to close it once more is nothing new."""
    into = ticket_decider.replay([other_opened])
    outcome = ticket(second, resolved, closed).when(when(wish, into=into))
    if isinstance(wish, CloseTicket):
        outcome.then_nothing()
    else:
        outcome.then_refused("T3", message_contains="closed")


@pytest.mark.rule("T7")
@pytest.mark.parametrize("wish", every_change(), ids=lambda wish: type(wish).__name__)
def test_a_merged_ticket_takes_nothing_and_says_where_it_went(wish: TicketDecision) -> None:
    into = ticket_decider.replay([opening(NEW_TICKET)])
    ticket(second, merged).when(when(wish, into=into)).then_refused(
        "T7", remedy_contains=str(OTHER_NUMBER)
    )


@pytest.mark.rule("T1")
@pytest.mark.parametrize("wish", every_change(), ids=lambda wish: type(wish).__name__)
def test_a_number_that_nothing_has_is_refused(wish: TicketDecision) -> None:
    into = ticket_decider.replay([other_opened])
    no_ticket().when(when(wish, into=into)).then_refused("T1")


# ---------------------------------------------------------------- splitting and merging


@pytest.mark.rule("T7")
def test_messages_are_split_off_into_a_ticket_of_the_same_requester() -> None:
    known: dict[str, Any] = {"messages": (message_id(2),)}
    ticket(second).when(when(splitting)).then(
        opening(
            NEW_TICKET, reason=TicketReason.OTHER, subject="La factura",
            split_from=TICKET, split_from_number=NUMBER,
        ),
        fact(
            MessagesTakenOver, ticket=NEW_TICKET, from_ticket=TICKET, from_number=NUMBER, **known
        ),
        fact(MessagesSplitOff, into_ticket=NEW_TICKET, into_number=10, **known),
    )  # fmt: skip


@pytest.mark.rule("T7")
def test_messages_that_are_split_off_are_there_and_some_stay() -> None:
    ticket().when(when(splitting)).then_refused("T7", message_contains="not all")
    everything = splitting.model_copy(update={"messages": (message_id(2), message_id(1))})
    ticket(second).when(when(everything)).then_refused("T7", message_contains="no message")


@pytest.mark.rule("T1", "T7")
def test_what_is_split_off_needs_an_id_of_its_own() -> None:
    ticket(second).when(when(splitting, id_taken=True)).then_refused("T1")
    itself = splitting.model_copy(update={"new_ticket": TICKET})
    ticket(second).when(when(itself)).then_refused("T1")


@pytest.mark.rule("T7")
def test_a_ticket_goes_into_another_with_all_its_messages() -> None:
    """Also into one of another requester: several people report one fault."""
    into = ticket_decider.replay([other_opened])
    ticket(second).when(when(merging, into=into)).then(
        merged,
        fact(
            MessagesTakenOver,
            ticket=OTHER_TICKET,
            person=STRANGER,
            messages=(message_id(1), message_id(2)),
            from_ticket=TICKET,
            from_number=NUMBER,
        ),
    )
    ticket(second, merged).when(when(merging, into=into)).then_nothing()


@pytest.mark.rule("T7")
def test_a_ticket_is_not_merged_into_itself() -> None:
    itself = ticket().state
    ticket().when(when(merging, into=itself)).then_refused("T7", message_contains="itself")


@pytest.mark.rule("T7", "T3")
def test_a_ticket_goes_into_none_that_is_finished() -> None:
    into_merged = ticket_decider.replay(
        [
            other_opened,
            fact(TicketMerged, ticket=OTHER_TICKET, into_ticket=NEW_TICKET, into_number=1),
        ]
    )
    ticket().when(when(merging, into=into_merged)).then_refused("T7")
    into_closed = ticket_decider.replay([other_opened, fact(TicketClosed, ticket=OTHER_TICKET)])
    ticket().when(when(merging, into=into_closed)).then_refused("T3")


@pytest.mark.rule("T7")
def test_what_was_split_off_and_comes_back_is_in_its_place_again() -> None:
    split_off = fact(
        MessagesSplitOff, messages=(message_id(2),), into_ticket=OTHER_TICKET, into_number=9
    )
    back = fact(
        MessagesTakenOver, messages=(message_id(2),), from_ticket=OTHER_TICKET, from_number=9
    )
    state = ticket(second, split_off, back).state
    assert state.messages == (message_id(1), message_id(2))
    assert state.split_off == {}


def test_begins_with_the_beginning() -> None:
    """Facts take the time at which they were asked for."""
    early = calling().model_copy(update={"at": BEGINNING})
    events = no_ticket().when(when(early, requester=ANA)).events
    assert {event.occurred_at for event in events} == {BEGINNING}
