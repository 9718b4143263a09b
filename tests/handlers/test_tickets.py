"""Tickets on a real ledger: numbers, threads, who takes part, and who can be read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.account import ErasePerson
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.event import Event
from domain.mail_thread import AutomaticKind, PlacementReason, RejectionReason
from domain.personal import Sealed
from domain.support_ticket import (
    AssignTicket,
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
    ReceiveMail,
    ReopenTicket,
    ReplyToTicket,
    RequesterKind,
    ResolveTicket,
    SplitTicket,
    TicketMerged,
    TicketOpened,
    TicketReason,
    TicketReopened,
    TicketReplied,
    UncopyPerson,
)
from handlers.composition import Acta, open_ledger
from handlers.ledger import Receipt
from tests.conftest import TestDatabase
from tests.handlers.store.refolded_claims import held_by_log, held_in_database
from tests.handlers.stories import ANA, BEGINNING, BRUNO, MANAGER, SYSTEM, Story
from tests.handlers.test_contracts import INES, linking, sign

STAFF = Actor(kind=ActorKind.SUPPORT_STAFF, id=UUID(int=30))
STRANGER = "nadie@example.org"
HELP_DESK = "documentacion@example.com"
DIGEST = "ab" * 32


@pytest.fixture
def acta(database: TestDatabase) -> Iterator[Acta]:
    """A ledger whose help desk has an address; nothing of it is among the claims by chance."""
    settings = database.settings().model_copy(update={"documentation_desk_email": HELP_DESK})
    with open_ledger(settings) as opened:
        yield opened
        assert held_in_database(opened) == held_by_log(opened)


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to that ledger."""
    return Story(acta)


def mail(sender: str = ANA, *, subject: str = "No puedo entrar", **fields: Any) -> ReceiveMail:
    """A mail as the transport hands it over."""
    given = {"message_id": f"<{uuid4()}@mail.example>", "body": "Buenos días.", **fields}
    return ReceiveMail(
        at=BEGINNING, ticket=uuid4(), message=uuid4(), sender=sender, subject=subject, **given
    )


def answer_to(received: ReceiveMail, sender: str = ANA, **fields: Any) -> ReceiveMail:
    """A mail in the same thread."""
    return mail(sender, in_reply_to=received.message_id, **fields)


def became(story: Story, receipt: Receipt) -> list[Event]:
    """The events of a command."""
    found = [story.acta.store.event(event.event_id) for event in receipt.events]
    return [recorded.event for recorded in found if recorded is not None]


def receive(story: Story, received: ReceiveMail) -> list[Event]:
    """A mail comes in, and becomes these."""
    return became(story, story.ask(received, SYSTEM))


def opened_by(story: Story, received: ReceiveMail) -> TicketOpened:
    """A mail comes in, and opens a ticket."""
    opened = receive(story, received)[0]
    assert isinstance(opened, TicketOpened)
    return opened


def reply_by(story: Story, received: ReceiveMail) -> TicketReplied:
    """A mail comes in, and is added to a ticket."""
    replied = receive(story, received)[0]
    assert isinstance(replied, TicketReplied)
    return replied


def about(command: type[Any], number: int, **fields: Any) -> Any:
    """A command about a ticket."""
    return command(at=BEGINNING, ticket=number, **fields)


def resolve(story: Story, number: int) -> None:
    """Staff resolve a ticket."""
    story.ask(about(ResolveTicket, number), STAFF)


def close(story: Story, number: int) -> None:
    """Staff close a ticket."""
    resolve(story, number)
    story.ask(about(CloseTicket, number), STAFF)


def calling(requester: str = ANA, **fields: Any) -> OpenTicket:
    """Somebody calls, and staff open a ticket."""
    given = {"reason": TicketReason.ACCESS, "subject": "Acceso", "body": "No puedo.", **fields}
    return OpenTicket(
        at=BEGINNING, ticket=uuid4(), message=uuid4(), requester=requester,
        channel=Channel.TELEPHONE, **given,
    )  # fmt: skip


def readable(story: Story, number: int, kind: type[Event], field: str) -> str | None:
    """A personal value of the last fact of a kind about a ticket."""
    stream = story.acta.store.numbered("ticket", [number])[number]
    recorded = [e for e in story.events(stream) if isinstance(e.event, kind)][-1]
    value = getattr(recorded.event, field)
    assert isinstance(value, Sealed)
    return story.acta.vault.open(value, event_id=recorded.event_id, field=field)


# ---------------------------------------------------------------- numbers


@pytest.mark.rule("T1")
def test_numbers_run_without_gaps_whatever_is_refused_in_between(story: Story) -> None:
    first = opened_by(story, mail())
    taken = mail().model_copy(update={"ticket": first.ticket})
    assert story.refusal(taken, SYSTEM).rule == "T1"
    assert story.refusal(calling(contract=uuid4()), STAFF).rule == "T6"
    program = mail(automatic=AutomaticKind.AUTO_REPLY)
    assert story.refusal(program, SYSTEM).rule == "T8"
    second = became(story, story.ask(calling(BRUNO), STAFF))[0]
    assert isinstance(second, TicketOpened)
    assert (first.number, second.number) == (1, 2)


@pytest.mark.rule("T1")
def test_a_fault_in_the_middle_takes_no_number(database: TestDatabase, story: Story) -> None:
    """Whatever goes wrong between the decision and the append, the number is free at once."""

    class Crash(Exception):  # noqa: N818  it stands for anything
        pass

    def crash(point: str) -> None:
        if point == "before append":
            raise Crash

    with open_ledger(database.settings(), reached=crash) as crashing, pytest.raises(Crash):
        crashing.ledger.ask(calling(), STAFF, uuid4())
    assert opened_by(story, mail()).number == 1


@pytest.mark.rule("T1")
def test_a_number_stays_whoever_is_erased(story: Story) -> None:
    ana = story.register(ANA)
    number = opened_by(story, mail()).number
    story.ask(ErasePerson(at=BEGINNING, account=ana.who), ana.itself)
    story.ask(about(AssignTicket, number, assignee=STAFF.id), STAFF)
    assert opened_by(story, mail()).number == number + 1


@pytest.mark.rule("T1")
def test_a_number_that_nobody_has_is_refused(story: Story) -> None:
    assert story.refusal(about(ResolveTicket, 7), STAFF).rule == "T1"
    assert story.refusal(about(ReplyToTicket, 7, message=uuid4(), body="?"), STAFF).rule == "T1"
    number = opened_by(story, mail()).number
    assert story.refusal(about(MergeTicket, number, into=7), STAFF).rule == "T1"


# ---------------------------------------------------------------- threads


@pytest.mark.rule("T2", "T8")
def test_a_reply_in_the_thread_belongs_to_its_ticket(story: Story) -> None:
    first = mail()
    opened = opened_by(story, first)
    replied = reply_by(story, answer_to(first, subject="Otra cosa"))
    assert replied.ticket == opened.ticket
    assert replied.placement is PlacementReason.IN_REPLY_TO
    assert replied.participation is Participation.REQUESTER


@pytest.mark.rule("T2")
def test_a_message_outside_the_thread_opens_another_and_names_the_open_ones(story: Story) -> None:
    """Those that are resolved are open no longer, and somebody else's are nobody's business."""
    numbers = [opened_by(story, mail()).number for _ in range(3)]
    opened_by(story, mail(BRUNO))
    resolve(story, numbers[1])
    assert opened_by(story, mail()).open_numbers == (numbers[0], numbers[2])


@pytest.mark.rule("T2")
def test_the_same_mail_from_two_mailboxes_is_recorded_once(story: Story) -> None:
    """Each mailbox makes a command of its own; another sender's mail is another mail."""
    first = mail()
    opened = opened_by(story, first)
    again = first.model_copy(update={"ticket": uuid4(), "message": uuid4()})
    assert story.ask(again, SYSTEM).events == ()
    forged = again.model_copy(update={"sender": STRANGER})
    assert opened_by(story, forged).number == opened.number + 1
    # The thread is that of the first still.
    assert reply_by(story, answer_to(first)).ticket == opened.ticket


@pytest.mark.rule("T7", "T8")
def test_the_id_of_a_message_is_its_own_in_whatever_ticket(story: Story) -> None:
    """Messages are moved by their ids: one with another's would go, or bring that, along."""
    first = mail()
    opened_by(story, first)
    second = opened_by(story, mail(BRUNO)).number
    for again in (
        about(ReplyToTicket, second, message=first.message, body="?"),
        calling(BRUNO).model_copy(update={"message": first.message}),
    ):
        assert story.refusal(again, STAFF).rule == "T8"
    received = mail(BRUNO).model_copy(update={"message": first.message})
    assert story.refusal(received, SYSTEM).rule == "T8"


@pytest.mark.rule("T8")
def test_one_id_given_in_two_tickets_at_once_is_of_one_message(story: Story) -> None:
    """Whichever comes first."""
    numbers = [opened_by(story, mail(sender)).number for sender in (ANA, BRUNO)]
    message = uuid4()
    replies = [about(ReplyToTicket, number, message=message, body="?") for number in numbers]
    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(lambda each: story.acta.ledger.answer(each, STAFF, uuid4()), replies)
        )
    assert sorted(answer.refusal is None for answer in answers) == [False, True]


@pytest.mark.rule("T2")
def test_the_same_mail_at_the_same_instant_is_recorded_once(story: Story) -> None:
    """Whether it opens a ticket or answers one, and puts somebody unknown on copy."""
    first = mail(recipients=(STRANGER,))
    second = answer_to(first, recipients=(BRUNO,))
    for received in (first, second):
        copies = [
            received.model_copy(update={"ticket": uuid4(), "message": uuid4()}) for _ in range(6)
        ]
        with ThreadPoolExecutor(6) as threads:
            receipts = list(threads.map(lambda one: story.ask(one, SYSTEM), copies))
        assert sum(bool(receipt.events) for receipt in receipts) == 1
    replied = [entry.event for entry in story.events() if isinstance(entry.event, TicketReplied)]
    assert len(replied) == 2


@pytest.mark.rule("T3")
def test_a_reply_reopens_what_is_resolved_and_follows_what_is_closed(story: Story) -> None:
    first = mail()
    number = opened_by(story, first).number
    resolve(story, number)
    replied, reopened = receive(story, answer_to(first))
    assert isinstance(replied, TicketReplied)
    assert isinstance(reopened, TicketReopened)
    close(story, number)
    follower = opened_by(story, answer_to(first))
    assert (follower.follows_number, follower.number) == (number, number + 1)


@pytest.mark.rule("T4", "T8")
def test_a_stranger_who_quotes_a_number_does_not_get_in(story: Story) -> None:
    """The mail opens a ticket of its own, which says why."""
    first = opened_by(story, mail())
    opened, message = receive(story, mail(STRANGER, subject=f"Re: [#{first.number}] Hola"))
    assert isinstance(opened, TicketOpened)
    assert isinstance(message, TicketReplied)
    assert opened.number == first.number + 1
    assert message.placement is PlacementReason.NOT_A_PARTICIPANT
    rejected = message.rejected[0]
    assert (rejected.number, rejected.reason) == (
        first.number,
        RejectionReason.NOT_A_PARTICIPANT,
    )


@pytest.mark.rule("T4")
def test_recipients_of_the_requesters_mail_are_on_copy_and_may_reply(story: Story) -> None:
    """Desks are on no copy list, nor whoever wrote it; what is no address is passed over."""
    first = mail(recipients=(f"Ayuda <{HELP_DESK}>", f"Bruno <{BRUNO}>, {ANA}", "nobody at all"))
    opened, _, *copied = receive(story, first)
    assert [type(event) for event in copied] == [PersonCopied]
    replied = reply_by(story, answer_to(first, BRUNO, recipients=(STRANGER,)))
    assert isinstance(opened, TicketOpened)
    assert replied.ticket == opened.ticket
    assert replied.participation is Participation.COPIED
    # Whoever is on copy puts nobody else there.
    assert opened_by(story, answer_to(first, STRANGER)).number == 2


@pytest.mark.rule("T4")
def test_a_circular_puts_nobody_on_copy(story: Story) -> None:
    everybody = tuple(f"person{number}@example.com" for number in range(51))
    assert len(receive(story, mail(recipients=everybody))) == 2


@pytest.mark.rule("T4")
def test_people_take_part_by_copy_alone(story: Story) -> None:
    ana, bruno = story.register(ANA), story.register(BRUNO)
    number = opened_by(story, mail()).number
    reply = about(ReplyToTicket, number, message=uuid4(), body="Yo también.")
    assert story.refusal(reply, bruno.itself).rule == "T4"
    story.ask(about(CopyPerson, number, email=BRUNO), ana.itself)
    story.ask(about(CopyPerson, number, email=BRUNO), ana.itself)
    story.ask(reply, bruno.itself)
    story.ask(about(UncopyPerson, number, email=BRUNO), bruno.itself)
    other = reply.model_copy(update={"message": uuid4()})
    assert story.refusal(other, bruno.itself).rule == "T4"


@pytest.mark.rule("T4")
def test_whoever_is_on_copy_without_an_account_is_taken_off_by_address(story: Story) -> None:
    number = opened_by(story, mail()).number
    story.ask(about(CopyPerson, number, email=STRANGER), STAFF)
    assert len(story.ask(about(UncopyPerson, number, email=STRANGER), STAFF).events) == 1
    assert story.ask(about(UncopyPerson, number, email=STRANGER), STAFF).events == ()
    assert story.ask(about(UncopyPerson, number, email="no@example.net"), STAFF).events == ()


@pytest.mark.rule("T8")
@pytest.mark.parametrize("kind", [AutomaticKind.AUTO_REPLY, AutomaticKind.BOUNCE])
def test_an_automatic_mail_reopens_nothing(story: Story, kind: AutomaticKind) -> None:
    """It is in the ticket that it answers, also from an address that takes no part."""
    first = mail()
    number = opened_by(story, first).number
    resolve(story, number)
    sent = answer_to(first, "mailer-daemon@example.net", automatic=kind, body="")
    events = receive(story, sent)
    assert [type(event) for event in events] == [TicketReplied]
    replied = events[0]
    assert isinstance(replied, TicketReplied)
    assert (replied.automatic, replied.participation) == (kind, Participation.PROGRAM)


@pytest.mark.rule("T2")
def test_staff_reply_and_the_answer_to_that_is_known(story: Story) -> None:
    number = opened_by(story, mail()).number
    reply = about(
        ReplyToTicket, number, message=uuid4(), body="Pruebe ahora.", channel=Channel.EMAIL,
        message_id="<out-1@desk.example>",
    )  # fmt: skip
    story.ask(reply, STAFF)
    answer = mail(references="<lost@x.example> <out-1@desk.example>")
    assert reply_by(story, answer).placement is PlacementReason.REFERENCES


@pytest.mark.rule("T2")
def test_hundreds_of_references_that_go_round_in_circles_are_borne(story: Story) -> None:
    first = mail()
    opened = opened_by(story, first)
    ids = [f"<{number}@loop.example>" for number in range(400)]
    looping = answer_to(
        first, message_id=ids[0], references=" ".join([*ids, str(first.message_id), *ids])
    )
    assert reply_by(story, looping).ticket == opened.ticket


# ---------------------------------------------------------------- splitting and merging


def conversation(story: Story) -> tuple[int, list[ReceiveMail]]:
    """A ticket with three mails of Ana's."""
    mails = [mail()]
    number = opened_by(story, mails[0]).number
    for _ in range(2):
        mails.append(answer_to(mails[0]))
        reply_by(story, mails[-1])
    return number, mails


@pytest.mark.rule("T7")
def test_a_reply_to_what_was_split_off_goes_where_that_is(story: Story) -> None:
    """And stays readable: what was written is not written again."""
    number, mails = conversation(story)
    new = uuid4()
    split = about(
        SplitTicket, number, messages=(mails[2].message,), new_ticket=new, subject="La factura"
    )
    opened, taken_over, split_off = became(story, story.ask(split, STAFF))
    assert isinstance(opened, TicketOpened)
    assert (opened.number, opened.split_from_number) == (number + 1, number)
    assert isinstance(taken_over, MessagesTakenOver)
    assert isinstance(split_off, MessagesSplitOff)
    assert reply_by(story, answer_to(mails[2])).ticket == new
    assert reply_by(story, answer_to(mails[1])).number == number
    assert readable(story, number, TicketReplied, "body") == "Buenos días."


@pytest.mark.rule("T7")
def test_a_split_that_is_refused_takes_no_number(story: Story) -> None:
    number, mails = conversation(story)
    everything = tuple(each.message for each in mails)
    for messages in (everything, (uuid4(),)):
        split = about(
            SplitTicket, number, messages=messages, new_ticket=uuid4(), subject="La factura"
        )
        assert story.refusal(split, STAFF).rule == "T7"
    assert opened_by(story, mail(BRUNO)).number == number + 1


@pytest.mark.rule("T7", "T4")
def test_replies_to_a_merged_ticket_go_where_it_went(story: Story) -> None:
    """Along a chain, and whoever took part in either takes part in it."""
    bruno = story.register(BRUNO)
    firsts = [mail(), mail(BRUNO), mail(STRANGER)]
    one, two, three = (opened_by(story, first).number for first in firsts)
    merged = became(story, story.ask(about(MergeTicket, one, into=two), STAFF))
    assert [type(event) for event in merged] == [TicketMerged, MessagesTakenOver]
    story.ask(about(MergeTicket, two, into=three), STAFF)
    assert [reply_by(story, answer_to(firsts[0])).number for _ in range(2)] == [three, three]
    by_subject = mail(BRUNO, subject=f"Re: [#{two}]")
    assert reply_by(story, by_subject).placement is PlacementReason.SUBJECT_NUMBER
    reply = about(ReplyToTicket, one, message=uuid4(), body="Y yo.")
    replied = became(story, story.ask(reply, bruno.itself))[0]
    assert isinstance(replied, TicketReplied)
    assert (replied.number, replied.participation) == (three, Participation.COPIED)


@pytest.mark.rule("T7")
def test_what_was_split_off_and_merged_back_belongs_where_it_was(story: Story) -> None:
    number, mails = conversation(story)
    split = about(
        SplitTicket, number, messages=(mails[2].message,), new_ticket=uuid4(), subject="Otra"
    )
    story.ask(split, STAFF)
    story.ask(about(MergeTicket, number + 1, into=number), STAFF)
    assert reply_by(story, answer_to(mails[2])).number == number


@pytest.mark.rule("T7")
@pytest.mark.parametrize("command", [AssignTicket, ResolveTicket, ReopenTicket, CloseTicket])
def test_a_merged_ticket_says_where_it_went(story: Story, command: type[Command]) -> None:
    one, two = opened_by(story, mail()).number, opened_by(story, mail()).number
    story.ask(about(MergeTicket, one, into=two), STAFF)
    fields = {"assignee": STAFF.id} if command is AssignTicket else {}
    refusal = story.refusal(about(command, one, **fields), STAFF)
    assert refusal.rule == "T7"
    assert f"ticket {two}" in refusal.remedy


# ---------------------------------------------------------------- who asks


@pytest.mark.rule("T5", "T6")
def test_whoever_has_an_account_is_told_from_a_stranger(story: Story) -> None:
    ana = story.register(ANA)
    known, unknown = opened_by(story, mail()), opened_by(story, mail(STRANGER))
    assert (known.person, known.requester_kind) == (ana.person, RequesterKind.ACCOUNT_OWNER)
    assert unknown.requester_kind is RequesterKind.UNKNOWN
    assert known.desk is unknown.desk is Desk.ACCOUNT_SUPPORT


@pytest.mark.rule("T5", "T6")
def test_staff_say_who_calls(story: Story) -> None:
    """A person does not: it is read from the ledger."""
    ana = story.register(ANA)
    command = calling(requester_kind=RequesterKind.HOLDER)
    assert story.refusal(command, ana.itself).rule == "G1"
    opened = became(story, story.ask(command, MANAGER))[0]
    assert isinstance(opened, TicketOpened)
    assert (opened.requester_kind, opened.desk) == (RequesterKind.HOLDER, Desk.HOLDER_SUPPORT)


@pytest.mark.rule("T5", "T6")
def test_a_holders_contact_and_a_contractors_people_are_known_by_their_contract(
    story: Story,
) -> None:
    """With the contract named or without; about the validation of documents, its validator."""
    contract = sign(story)
    story.ask(linking(contract, ANA), contract.contact)
    for named in (contract.id, None):
        holder = opened_by(story, mail(INES, contract=named))
        assert (holder.requester_kind, holder.desk) == (
            RequesterKind.HOLDER,
            Desk.HOLDER_SUPPORT,
        )
        contractor = opened_by(story, mail(ANA, contract=named))
        assert (contractor.requester_kind, contractor.desk) == (
            RequesterKind.CONTRACTOR,
            Desk.DOCUMENTATION_HELP_DESK,
        )
    question = calling(ANA, contract=contract.id, reason=TicketReason.DOCUMENT_VALIDATION)
    opened = became(story, story.ask(question, STAFF))[0]
    assert isinstance(opened, TicketOpened)
    assert opened.desk is Desk.VALIDATOR


@pytest.mark.rule("T5")
def test_whoever_has_an_account_already_is_a_contractor_to_the_contract_that_is_named(
    story: Story,
) -> None:
    story.register(ANA)
    contract = sign(story)
    story.ask(linking(contract, ANA), contract.contact)
    kinds = [
        opened_by(story, mail(ANA, contract=named)).requester_kind for named in (contract.id, None)
    ]
    assert kinds == [RequesterKind.CONTRACTOR, RequesterKind.ACCOUNT_OWNER]


@pytest.mark.rule("T4", "G1")
def test_somebody_without_an_account_opens_a_ticket_and_goes_on_in_it(story: Story) -> None:
    """On the web, known to the door by their address alone."""
    somebody = Actor(kind=ActorKind.PERSON, who=STRANGER)
    opened = became(story, story.ask(calling(STRANGER), somebody))[0]
    assert isinstance(opened, TicketOpened)
    reply = about(ReplyToTicket, opened.number, message=uuid4(), body="¿Sigue?")
    replied = became(story, story.ask(reply, somebody))[0]
    assert isinstance(replied, TicketReplied)
    assert replied.sender == opened.person
    again = became(story, story.ask(calling(STRANGER), somebody))[0]
    assert again.person == opened.person


@pytest.mark.rule("G1")
def test_a_person_opens_tickets_for_themselves(story: Story) -> None:
    ana = story.register(ANA)
    assert story.refusal(calling(BRUNO), ana.itself).rule == "G1"
    opened = became(story, story.ask(calling(ANA), ana.itself))[0]
    assert opened.person == ana.person


def test_whoever_writes_is_one_person_also_once_there_is_an_account(story: Story) -> None:
    """Decision 7: known by the address since the first mail."""
    first, second = opened_by(story, mail()), opened_by(story, mail("ANA@example.com"))
    assert first.person == second.person
    assert story.register(ANA).person == first.person
    assert opened_by(story, mail()).requester_kind is RequesterKind.ACCOUNT_OWNER


# ---------------------------------------------------------------- who can be read


@pytest.mark.rule("A11", "T4")
def test_erasing_the_sender_leaves_the_message_and_takes_the_sender(story: Story) -> None:
    """Subject, body and file names are the requester's; name and address the sender's."""
    story.register(ANA)
    bruno = story.register(BRUNO)
    first = mail(recipients=(BRUNO,))
    number = opened_by(story, first).number
    names = (NamedAttachment(sha256=DIGEST, media_type="image/png", size_bytes=1, name="yo.png"),)
    reply_by(story, answer_to(first, BRUNO, sender_name="Bruno Díaz", attachments=names))
    story.ask(ErasePerson(at=BEGINNING, account=bruno.who), bruno.itself)
    for field, text in (("body", "Buenos días."), ("attachment_names", '["yo.png"]')):
        assert readable(story, number, TicketReplied, field) == text
    for field in ("sender_name", "sender_address"):
        assert readable(story, number, TicketReplied, field) is None
    assert readable(story, number, PersonCopied, "address") is None


@pytest.mark.rule("A11")
def test_erasing_the_requester_takes_what_was_said(story: Story) -> None:
    """Nothing can be added any more; whoever goes on from there gets a ticket of their own."""
    ana = story.register(ANA)
    first = mail(recipients=(BRUNO,))
    number = opened_by(story, first).number
    reply_by(story, answer_to(first, BRUNO, sender_name="Bruno Díaz"))
    story.ask(ErasePerson(at=BEGINNING, account=ana.who), ana.itself)
    assert readable(story, number, TicketReplied, "body") is None
    assert readable(story, number, TicketOpened, "subject") is None
    assert readable(story, number, TicketReplied, "sender_name") == "Bruno Díaz"
    reply = about(ReplyToTicket, number, message=uuid4(), body="¿Sigue?")
    assert story.refusal(reply, STAFF).rule == "A11"
    assert opened_by(story, answer_to(first, BRUNO)).follows_number == number
    bounce = answer_to(first, "mailer-daemon@example.net", automatic=AutomaticKind.BOUNCE)
    assert story.refusal(bounce, SYSTEM).rule == "A11"


@pytest.mark.rule("A11")
def test_a_correspondent_without_an_account_can_be_erased(story: Story) -> None:
    """And whoever writes from there next is somebody new."""
    first = mail(STRANGER)
    opened = opened_by(story, first)
    erasing = ErasePerson(at=BEGINNING, account=f"person:{opened.person}")
    story.ask(erasing, MANAGER)
    assert readable(story, opened.number, TicketReplied, "sender_address") is None
    again = opened_by(story, mail(STRANGER))
    assert again.person != opened.person
