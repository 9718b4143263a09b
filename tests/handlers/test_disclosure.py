"""Opening personal values: recorded first, once for each command, and only for whom G1 allows."""

from collections.abc import Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.account import ErasePerson, ReinstateAccount, SuspendAccount, SuspensionReason
from domain.actor import Actor, ActorKind
from domain.contract import ContactNamed, ValidatorNamed
from domain.contract_link import PersonLinked
from domain.disclosure import OpeningReason, OpenPersonalValue, PersonalValueOpened
from domain.event import Recorded
from domain.membership import RemoveMember
from domain.personal import Purpose
from domain.refusal import Refused
from domain.subscription import ChooseTaxDocument, StartSubscription, TaxDocumentKind
from domain.support_ticket import OpenTicket, ReplyToTicket, TicketReason
from handlers.commands.disclosure import disclosures_of
from handlers.composition import Acta, open_ledger
from handlers.faults import CommandIdReused
from handlers.ledger import OpenedValue
from handlers.settings import Settings
from tests.conftest import TestDatabase
from tests.handlers.store.processes import CONTEXT, PROCESSES, running
from tests.handlers.stories import (
    ANA,
    AUDITOR,
    BEGINNING,
    BRUNO,
    MANAGER,
    SYSTEM,
    Member,
    Story,
    capture,
)
from tests.handlers.test_contracts import link, sign, unlinking
from tests.handlers.test_ledger import at_once

STAFF = Actor(kind=ActorKind.SUPPORT_STAFF, id=UUID(int=9))
COMPANY = {
    "company_name": "Peña & Hijos Ltda.",
    "company_rut": "76543210-3",
    "line_of_business": "Librería",
    "address": "Calle Ñuñoa 1234",
}


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


def wish(event: UUID, field: str = "email", **changes: Any) -> OpenPersonalValue:
    """Somebody's wish to read a value."""
    asked = {"at": BEGINNING, "event": event, "field": field, "reason": OpeningReason.SUPPORT}
    return OpenPersonalValue.model_validate(asked | changes)


def last(story: Story, topic: str) -> UUID:
    """The id of the last event of a topic."""
    return [entry.event_id for entry in story.events() if topic == entry.event.TOPIC][-1]


def registered(story: Story, email: str = ANA) -> tuple[Member, UUID]:
    """Somebody registers; the event that says so."""
    member = story.register(email)
    return member, last(story, "account.UserRegistered.v1")


def factura_chosen(story: Story) -> tuple[Member, UUID]:
    """Somebody pays, and has a factura for it; the event with the buyer's data."""
    member = story.register(ANA)
    story.make_ready(member)
    story.ask(StartSubscription(at=BEGINNING, account=member.who), member.itself)
    story.take_steps(member)
    factura = ChooseTaxDocument(
        at=BEGINNING, account=member.who, kind=TaxDocumentKind.FACTURA, **COMPANY
    )
    story.ask(factura, member.itself)
    story.ask(capture(member), SYSTEM)
    return member, last(story, "subscription.TaxDocumentChosen.v1")


def opening(
    acta: Acta, command: OpenPersonalValue, actor: Actor, command_id: UUID | None = None
) -> OpenedValue | Refused:
    """What comes of asking."""
    try:
        return acta.ledger.open_value(command, actor, command_id or uuid4())
    except Refused as refusal:
        return refusal


def told(answer: OpenedValue | Refused) -> str:
    """The value, or the rule that stood in the way."""
    return answer.rule if isinstance(answer, Refused) else answer.value


def records(story: Story) -> list[Recorded]:
    """The openings that are on record."""
    return [entry for entry in story.events() if isinstance(entry.event, PersonalValueOpened)]


# ---------------------------------------------------------------- what is recorded


@pytest.mark.rule("G1")
def test_a_value_is_given_with_the_record_of_its_opening(story: Story) -> None:
    """Who, whose, which, what for, and when; nothing of the value itself."""
    member, event = registered(story)
    command_id, correlation_id = uuid4(), uuid4()
    answer = story.acta.ledger.open_value(
        wish(event), MANAGER, command_id, correlation_id=correlation_id
    )
    assert answer.value == ANA
    assert ANA not in repr(answer)
    (record,) = records(story)
    assert [each.event_id for each in answer.receipt.events] == [record.event_id]
    assert record.event == PersonalValueOpened(
        person=member.person,
        occurred_at=BEGINNING,
        account=member.account,
        opened_event=event,
        fact="account.UserRegistered",
        field="email",
        purpose=Purpose.IDENTITY,
        reason=OpeningReason.SUPPORT,
    )
    assert (record.actor, record.stream) == (MANAGER, disclosures_of(member.person))
    assert (record.command_id, record.correlation_id) == (command_id, correlation_id)


def test_every_opening_of_a_person_follows_those_before(story: Story) -> None:
    """Each in its place in the one stream of that person, however many at the same instant."""
    _, event = registered(story)
    fields = ["email", "phone", "given_name", "paternal_surname"] * 5
    answers = at_once(*(_asking(story.acta, wish(event, field)) for field in fields[:8]))
    answers += [opening(story.acta, wish(event, field), STAFF) for field in fields[8:]]
    values = [ANA, "+56961234567", "Ana", "Rojas"]
    assert [told(answer) for answer in answers] == values * 5
    assert [record.version for record in records(story)] == list(range(1, 21))


def _asking(acta: Acta, command: OpenPersonalValue) -> Any:
    return lambda: opening(acta, command, STAFF)


@pytest.mark.parametrize("point", ["before append", "after commit"])
def test_nobody_has_the_value_before_it_is_recorded(database: TestDatabase, point: str) -> None:
    """Whoever dies before the commit has neither; after it a record, and the value when back."""

    class Died(Exception):  # noqa: N818  it stands for an end
        """As a process dies."""

    def reached(here: str) -> None:
        if dying and here == point:
            raise Died

    dying = False
    with open_ledger(database.settings(), reached=reached) as acta:
        story = Story(acta)
        _, event = registered(story)
        command, command_id, dying = wish(event), uuid4(), True
        with pytest.raises(Died):
            acta.ledger.open_value(command, STAFF, command_id)
        assert len(records(story)) == (point == "after commit")
        dying = False
        answer = acta.ledger.open_value(command, STAFF, command_id)
        assert (answer.value, answer.receipt.repeated) == (ANA, point == "after commit")
        assert len(records(story)) == 1


def test_the_event_is_found_by_the_index(story: Story) -> None:
    """However long the log is."""
    _, event = registered(story)
    with story.acta.database.connection() as connection:
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(
            "EXPLAIN SELECT FROM ledger.events WHERE event_id = %s", (event,)
        ).fetchall()
        connection.execute("RESET enable_seqscan")
    assert "events_event_id_key" in str(rows)


# ---------------------------------------------------------------- who may


@pytest.mark.rule("G1")
def test_each_opens_what_the_table_allows(story: Story) -> None:
    """Identity for the person and staff; buyer data not for support."""
    ana, chosen = factura_chosen(story)
    bruno, _ = registered(story, BRUNO)
    event = story.events()[0].event_id

    def answers(event: UUID, field: str) -> dict[str, str]:
        askers = {
            "herself": ana.itself,
            "by e-mail": Actor(kind=ActorKind.PERSON, who=ANA),
            "somebody else": bruno.itself,
            "manager": MANAGER,
            "support": STAFF,
            "auditor": AUDITOR,
            "system": SYSTEM,
            "unknown": Actor(kind=ActorKind.UNKNOWN, id=ana.person),
            "nameless": Actor(kind=ActorKind.AUDITOR),
        }
        opened = {
            who: told(opening(story.acta, wish(event, field), by)) for who, by in askers.items()
        }
        return {who: value for who, value in opened.items() if value != "G1"}

    identity = ["herself", "by e-mail", "manager", "support", "auditor"]
    assert answers(event, "email") == dict.fromkeys(identity, ANA)
    tax = ["herself", "by e-mail", "manager", "auditor"]
    assert answers(chosen, "address") == dict.fromkeys(tax, "Calle Ñuñoa 1234")
    assert len(records(story)) == len(identity) + len(tax)


@pytest.mark.rule("G1", "T4")
def test_a_note_for_staff_is_not_opened_by_the_requester_under_whose_key_it_is(
    story: Story,
) -> None:
    ana, _ = registered(story)
    ticket = OpenTicket(
        at=BEGINNING, ticket=uuid4(), message=uuid4(), requester=ANA, reason=TicketReason.ACCESS,
        subject="No puedo entrar", body="Ayuda, por favor.",
    )  # fmt: skip
    story.ask(ticket, ana.itself)
    said = last(story, "support_ticket.TicketReplied.v1")
    note = ReplyToTicket(at=BEGINNING, ticket=1, message=uuid4(), internal=True, body="Es grosera.")
    story.ask(note, STAFF)
    noted = last(story, "support_ticket.TicketReplied.v1")

    assert told(opening(story.acta, wish(said, "body"), ana.itself)) == "Ayuda, por favor."
    assert told(opening(story.acta, wish(noted, "body"), ana.itself)) == "G1"
    assert told(opening(story.acta, wish(noted, "body"), AUDITOR)) == "Es grosera."


@pytest.mark.rule("G1")
def test_a_refusal_is_a_receipt_and_leaves_no_record(story: Story) -> None:
    _, event = registered(story)
    command_id = uuid4()
    first = opening(story.acta, wish(event), SYSTEM, command_id)
    assert isinstance(first, Refused)
    assert opening(story.acta, wish(event), SYSTEM, command_id) == first
    assert story.acta.ledger.known([command_id])[command_id].refusal == first
    assert records(story) == []


@pytest.mark.rule("G1")
def test_what_is_no_value_is_refused(story: Story) -> None:
    """No such event, no personal field, and a field without anything in it."""
    _, event = registered(story)
    for command in (wish(uuid4()), wish(event, "kind"), wish(event, "rut")):
        assert told(opening(story.acta, command, AUDITOR)) == "G1"
    assert records(story) == []


@pytest.mark.rule("G1", "I1")
def test_an_administrator_opens_who_members_and_invited_are(story: Story) -> None:
    """While in the plan, by the ledger; neither of other plans, nor when suspended or removed."""
    plan, other = story.institution(), story.institution("otra@example.com")
    story.invite(plan.id, BRUNO, by=plan.director.itself)
    invited = last(story, "invitation.InvitationSent.v1")
    member = story.join(plan, ANA)
    joined = last(story, "account.UserRegistered.v1")

    def director_opens(event: UUID) -> str:
        return told(opening(story.acta, wish(event), plan.director.itself))

    assert (director_opens(joined), director_opens(invited)) == (ANA, BRUNO)
    for stranger in (other.director, member):
        assert told(opening(story.acta, wish(invited), stranger.itself)) == "G1"
    assert told(opening(story.acta, wish(joined), other.director.itself)) == "G1"

    for change, answer in ((SuspendAccount, "G1"), (ReinstateAccount, ANA)):
        reason = SuspensionReason.MISUSE
        story.ask(change(at=BEGINNING, account=plan.director.who, reason=reason), MANAGER)
        assert director_opens(joined) == answer
    story.ask(RemoveMember(at=BEGINNING, account=member.who, plan=plan.id), plan.director.itself)
    assert director_opens(joined) == "G1"
    (of_invited,) = (record for record in records(story) if _of(record).opened_event == invited)
    assert _of(of_invited).account is None


def _of(record: Recorded) -> PersonalValueOpened:
    assert isinstance(record.event, PersonalValueOpened)
    return record.event


# ---------------------------------------------------------------- the same command again


def test_the_same_command_again_is_recorded_once(story: Story) -> None:
    """The first receipt, and the value; another input under the same id is turned away."""
    _, event = registered(story)
    command_id = uuid4()
    first = story.acta.ledger.open_value(wish(event), STAFF, command_id)
    again = story.acta.ledger.open_value(wish(event), STAFF, command_id)
    assert (again.value, again.receipt.events) == (first.value, first.receipt.events)
    assert (first.receipt.repeated, again.receipt.repeated) == (False, True)
    assert len(records(story)) == 1
    for command, actor in ((wish(event, "phone"), STAFF), (wish(event), AUDITOR)):
        with pytest.raises(CommandIdReused):
            story.acta.ledger.open_value(command, actor, command_id)


@pytest.mark.rule("G1")
def test_the_same_command_gives_nothing_to_whoever_may_not_any_more(story: Story) -> None:
    """Authority is read anew each time, whatever was allowed before."""
    plan = story.institution()
    member = story.join(plan, ANA)
    event, command_id = last(story, "account.UserRegistered.v1"), uuid4()
    assert told(opening(story.acta, wish(event), plan.director.itself, command_id)) == ANA
    story.ask(RemoveMember(at=BEGINNING, account=member.who, plan=plan.id), plan.director.itself)
    assert told(opening(story.acta, wish(event), plan.director.itself, command_id)) == "G1"


def same_commands(
    process: int,
    settings: dict[str, str],
    askings: Sequence[tuple[UUID, UUID]],
    barrier: Barrier,
    answers: "SimpleQueue[list[str]]",
) -> None:
    """Asks for each value at the same instant as the others; runs in its own process."""
    del process
    values: list[str] = []
    with open_ledger(Settings.model_validate(settings)) as acta:
        for event, command_id in askings:
            barrier.wait(240)
            values.append(told(opening(acta, wish(event), STAFF, command_id)))
    answers.put(values)


def test_processes_with_the_same_command_leave_one_record(
    database: TestDatabase, story: Story
) -> None:
    """Each has the value."""
    _, event = registered(story)
    askings = [(event, uuid4()) for _ in range(10)]
    answers: SimpleQueue[list[str]] = CONTEXT.SimpleQueue()
    settings = {"database_url": database.application, "keys": str(database.keys)}
    with running(same_commands, settings, askings, CONTEXT.Barrier(PROCESSES), answers):
        values = [answers.get() for _ in range(PROCESSES)]
    answers.close()
    assert values == [[ANA] * 10] * PROCESSES
    assert [entry.command_id for entry in records(story)] == [known_as for _, known_as in askings]


@pytest.mark.rule("G1", "C6")
def test_people_of_a_contract_know_each_other_as_far_as_it_lets_them(story: Story) -> None:
    """Its contact knows who is linked, and they know it and the validator: now, and nobody else."""
    contract, other = sign(story), sign(story, contact_email="otra@example.com")
    ana, bruno = link(story, contract), link(story, contract, BRUNO)
    anas, _ = [each.event_id for each in story.events() if isinstance(each.event, PersonLinked)]
    validator, contact = [
        each.event_id
        for each in story.events(contract.id)
        if isinstance(each.event, ValidatorNamed | ContactNamed)
    ]
    stranger = link(story, other, "eva@example.com")

    def opened(actor: Actor) -> list[str]:
        asked = (wish(anas), wish(validator, "name"), wish(contact, "name"))
        return [told(opening(story.acta, command, actor)) for command in asked]

    assert opened(contract.contact) == [ANA, "Vera Sanz", "Inés Cano"]
    assert opened(bruno.itself) == ["G1", "Vera Sanz", "Inés Cano"]
    assert opened(stranger.itself) == opened(other.contact) == ["G1"] * 3
    story.ask(unlinking(contract, ana), contract.contact)
    assert opened(ana.itself) == [ANA, "G1", "G1"]
    assert opened(contract.contact) == ["G1", "Vera Sanz", "Inés Cano"]
    suspend = SuspendAccount(at=BEGINNING, account=bruno.who, reason=SuspensionReason.SECURITY)
    story.ask(suspend, MANAGER)
    assert opened(bruno.itself) == ["G1"] * 3


# ---------------------------------------------------------------- erasure


@pytest.mark.rule("A11")
@pytest.mark.parametrize("cached", ["by this process", "by another"])
def test_an_erased_person_s_value_is_neither_given_nor_recorded(
    database: TestDatabase, story: Story, cached: str
) -> None:
    """At once, though this process may remember the key for a minute; earlier records stay."""
    member, event = registered(story)
    command_id = uuid4()
    assert told(opening(story.acta, wish(event), AUDITOR, command_id)) == ANA
    erase = ErasePerson(at=BEGINNING, account=member.who)
    if cached == "by another":
        with open_ledger(database.settings()) as elsewhere:
            Story(elsewhere).ask(erase, MANAGER)
    else:
        story.ask(erase, MANAGER)
    assert told(opening(story.acta, wish(event), AUDITOR)) == "A11"
    assert told(opening(story.acta, wish(event), AUDITOR, command_id)) == "A11"
    (record,) = records(story)
    assert _of(record).person == member.person


@pytest.mark.rule("A11")
def test_buyer_data_are_opened_until_their_term_ends(story: Story) -> None:
    """What the law wants kept can be opened after the erasure, and is recorded like all else."""
    member, chosen = factura_chosen(story)
    registered_event = story.events()[0].event_id
    story.ask(ErasePerson(at=BEGINNING, account=member.who), MANAGER)
    assert told(opening(story.acta, wish(chosen, "company_rut"), AUDITOR)) == "76543210-3"
    assert told(opening(story.acta, wish(registered_event), AUDITOR)) == "A11"
    assert [_of(record).purpose for record in records(story)] == [Purpose.TAX]


@pytest.mark.rule("G1", "A11")
def test_an_id_whose_input_was_forgotten_opens_nothing_else(story: Story) -> None:
    """An erasure takes the digest of the input; the record says what may be given again."""
    _, others_event = registered(story, BRUNO)
    member, chosen = factura_chosen(story)
    command_id, other_id = uuid4(), uuid4()
    assert told(opening(story.acta, wish(chosen, "address"), AUDITOR, command_id))
    story.ask(ErasePerson(at=BEGINNING, account=member.who), MANAGER, other_id)
    assert story.acta.ledger.known([command_id])[command_id].input_digest is None
    for command, actor, known_as in (
        (wish(others_event), AUDITOR, command_id),
        (wish(chosen, "company_rut"), AUDITOR, command_id),
        (wish(chosen, "address"), MANAGER, command_id),
        (wish(others_event), AUDITOR, other_id),
    ):
        with pytest.raises(CommandIdReused):
            story.acta.ledger.open_value(command, actor, known_as)
    again = opening(story.acta, wish(chosen, "address"), AUDITOR, command_id)
    assert told(again) == COMPANY["address"]
    assert len(records(story)) == 1


@pytest.mark.rule("A11")
@pytest.mark.parametrize("whose", ["registered", "invited"])
def test_openings_race_an_erasure(database: TestDatabase, story: Story, whose: str) -> None:
    """Whoever has the value has a record before the erasure; afterwards there is neither."""
    plan = story.institution()
    with open_ledger(database.settings()) as elsewhere:
        for round_number in range(10):
            email = f"person{round_number}@example.com"
            if whose == "registered":
                member, event = registered(story, email)
                who = member.who
            else:
                story.invite(plan.id, email, by=plan.director.itself)
                event = last(story, "invitation.InvitationSent.v1")
                who = email
            erase = ErasePerson(at=BEGINNING, account=who)
            askings = [_asking(elsewhere, wish(event)) for _ in range(3)]
            *answers, _ = at_once(*askings, lambda: story.ask(erase, MANAGER))  # noqa: B023
            of_round = [entry for entry in records(story) if _of(entry).opened_event == event]
            values = [told(answer) for answer in answers]
            assert set(values) <= {email, "A11"}
            assert len(of_round) >= values.count(email)
            (erased_at,) = (
                entry.position
                for entry in story.events()
                if entry.event.TOPIC in {"account.PersonErased.v1", "invitation.InviteeErased.v1"}
                and entry.event.person == _person(story, event)
            )
            assert all(entry.position < erased_at for entry in of_round)


def _person(story: Story, event: UUID) -> UUID:
    found = story.acta.store.event(event)
    assert found is not None
    return found.event.person
