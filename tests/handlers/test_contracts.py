"""Contracts on a real ledger: who acts for whom, and that nobody has two accounts (C1 to C6)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.account import (
    AccountBecameIndividual,
    AccountKind,
    ChangeUserCode,
    ErasePerson,
    PersonErased,
    SuspendAccount,
    SuspensionReason,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.contract import (
    ContactNamed,
    ContractExpired,
    ContractNoticeRequested,
    ContractOpened,
    EndContract,
    ExpireContract,
    FillRole,
    InformationDocumentPublished,
    LinkRisk,
    NameContact,
    NameValidator,
    OpenContract,
    PublishInformationDocument,
    ReactivateContract,
    RemindContract,
    RequireRoles,
    RiskLinked,
    RoleFilled,
    RoleVacated,
    ValidatorKind,
    ValidatorNamed,
)
from domain.contract_link import (
    DownloadInformationDocument,
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    LinkPerson,
    MarkInformationDocumentAsRead,
    PersonLinked,
    PersonUnlinked,
    UnlinkPerson,
)
from domain.event import Event
from domain.invitation import InviteeErased
from domain.subscription import StartSubscription
from handlers.commands.situation import contract_link_of
from handlers.composition import Acta
from handlers.ledger import Receipt
from handlers.store.database import connect
from handlers.store.directory import Directory
from tests.conftest import TestDatabase
from tests.handlers.beside import two_ledgers
from tests.handlers.store.refolded_claims import held_by_log, held_in_database
from tests.handlers.stories import (
    ANA,
    ANA_RUT,
    BEGINNING,
    BRUNO,
    BRUNO_RUT,
    MANAGER,
    SOMEBODY,
    SYSTEM,
    Member,
    Story,
    noon,
    registration,
)

INES = "ines@example.com"
LATER = BEGINNING + timedelta(days=40)
"""The contracts of the beginning are in force."""


@dataclass(frozen=True, slots=True)
class SignedContract:
    """A contract, and how its contact is known to a door."""

    id: UUID
    contact: Actor


@pytest.fixture
def story(acta: Acta) -> Iterator[Story]:
    """Told to a ledger of the test's own; at the end its claims are those of the log."""
    yield Story(acta)
    assert held_in_database(acta) == held_by_log(acta)


@pytest.fixture
def contract(story: Story) -> SignedContract:
    """A contract whose contact has no account."""
    return sign(story)


def opening(**changes: Any) -> OpenContract:
    """The wish to open a contract from March to the end of the year."""
    return OpenContract(
        **{
            "at": BEGINNING,
            "contract": uuid4(),
            "holder": uuid4(),
            "contractor": uuid4(),
            "valid_from": date(2026, 3, 1),
            "valid_to": date(2026, 12, 31),
            "required_roles": ("supervisor",),
            "validator_kind": ValidatorKind.HOLDER_TECHNICIAN,
            "validator_name": "Vera Sanz",
            "validator_phone": "+34612345678",
            "contact_name": "Inés Cano",
            "contact_email": INES,
            **changes,
        }
    )


def sign(story: Story, **changes: Any) -> SignedContract:
    """A contract is opened by an account manager."""
    command = opening(**changes)
    story.ask(command, MANAGER)
    return SignedContract(command.contract, person_at(command.contact_email))


def person_at(email: str) -> Actor:
    """Somebody whom a door knows by an e-mail."""
    return Actor(kind=ActorKind.PERSON, who=email)


def linking(
    contract: SignedContract,
    email: str = ANA,
    rut: str | None = None,
    *,
    at: datetime = LATER,
) -> LinkPerson:
    """The wish to give somebody access."""
    return LinkPerson(
        at=at,
        contract=contract.id,
        given_name="Ana",
        paternal_surname="Rojas",
        email=email,
        phone="+56961234567",
        rut=rut,
    )


def link(
    story: Story,
    contract: SignedContract,
    email: str = ANA,
    rut: str | None = None,
    *,
    at: datetime = LATER,
) -> Member:
    """The contact links somebody."""
    became_linked = became(story, story.ask(linking(contract, email, rut, at=at), contract.contact))
    linked = became_linked[-1]
    assert isinstance(linked, PersonLinked)
    return Member(linked.account, linked.person)


def publishing(contract: SignedContract, document: UUID) -> PublishInformationDocument:
    """The wish to have a document read."""
    return PublishInformationDocument(
        at=LATER,
        contract=contract.id,
        document=document,
        code="safety",
        sha256="0" * 64,
        size_bytes=1,
    )


def unlinking(contract: SignedContract, member: Member) -> UnlinkPerson:
    """The wish to take access back."""
    return UnlinkPerson(at=LATER, contract=contract.id, account=member.who)


def became(story: Story, receipt: Receipt) -> list[Event]:
    """The events of a command."""
    positions = {event.position for event in receipt.events}
    return [entry.event for entry in story.events() if entry.position in positions]


def accounts_of(story: Story, member: Member) -> int:
    """How many accounts a person has had."""
    return len(story.acta.store.accounts_of(member.person))


def facts(story: Story, kind: type[Event]) -> list[Any]:
    """All facts of a kind."""
    return [entry.event for entry in story.events() if isinstance(entry.event, kind)]


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    """What kinds of facts these are."""
    return [type(event) for event in events]


# ---------------------------------------------------------------- from opening to complete


@pytest.mark.rule("C1", "C2", "C4", "C6")
def test_a_contract_is_opened_and_its_people_do_what_it_asks_for(
    story: Story, contract: SignedContract
) -> None:
    """Each step is a fact, and each in the stream that it belongs to."""
    document = uuid4()
    ana = link(story, contract)
    about: dict[str, Any] = {"at": LATER, "contract": contract.id}
    of_ana: dict[str, Any] = {**about, "account": ana.who, "document": document, "version": 1}
    story.ask(publishing(contract, document), contract.contact)
    story.ask(DownloadInformationDocument(**of_ana), ana.itself)
    story.ask(MarkInformationDocumentAsRead(**of_ana), ana.itself)
    story.ask(LinkRisk(**about, risk="height"), ana.itself)
    story.ask(FillRole(**about, role="supervisor", account=ana.who), ana.itself)

    assert kinds([entry.event for entry in story.events(contract.id)]) == [
        ContractOpened, ValidatorNamed, ContactNamed, InformationDocumentPublished, RiskLinked,
        RoleFilled,
    ]  # fmt: skip
    of_link = story.events(contract_link_of(contract.id, ana.person))
    assert kinds([entry.event for entry in of_link]) == [
        PersonLinked, InformationDocumentDownloaded, InformationDocumentMarkedAsRead,
    ]  # fmt: skip


@pytest.mark.rule("C4")
def test_what_is_so_already_becomes_nothing(story: Story, contract: SignedContract) -> None:
    """Whatever is asked for once more, under an id of its own."""
    document, ana = uuid4(), link(story, contract)
    about: dict[str, Any] = {"at": LATER, "contract": contract.id}
    of_ana: dict[str, Any] = {**about, "account": ana.who, "document": document, "version": 1}
    commands: list[tuple[Command, Actor]] = [
        (linking(contract), contract.contact),
        (publishing(contract, document), contract.contact),
        (RequireRoles(**about, roles=("supervisor",)), contract.contact),
        (NameContact(**about, name="Inés Cano", email=INES), contract.contact),
        (
            NameValidator(
                **about,
                kind=ValidatorKind.HOLDER_TECHNICIAN,
                name="Vera Sanz",
                phone="+34612345678",
            ),
            contract.contact,
        ),
        (DownloadInformationDocument(**of_ana), ana.itself),
        (MarkInformationDocumentAsRead(**of_ana), ana.itself),
        (LinkRisk(**about, risk="height"), ana.itself),
        (FillRole(**about, role="supervisor", account=ana.who), ana.itself),
    ]
    for command, actor in commands:
        story.ask(command, actor)
    for command, actor in commands:
        assert story.ask(command, actor).events == (), command.NAME


@pytest.mark.rule("C1")
def test_an_id_that_names_something_else_opens_no_contract(story: Story) -> None:
    """A stream is of one kind."""
    taken = story.register(BRUNO).account
    assert story.refusal(opening(contract=taken), MANAGER).rule == "C1"


@pytest.mark.rule("C3")
def test_a_contract_is_ended_and_reactivated(story: Story, contract: SignedContract) -> None:
    """While it is over, nobody new is linked; whoever was linked before is so again."""
    ana = link(story, contract)
    story.ask(EndContract(at=LATER, contract=contract.id), contract.contact)
    assert story.refusal(linking(contract, BRUNO), contract.contact).rule == "C3"
    story.ask(
        ReactivateContract(
            at=LATER,
            contract=contract.id,
            valid_from=date(2026, 3, 1),
            valid_to=date(2027, 12, 31),
        ),
        contract.contact,
    )
    assert story.ask(LinkRisk(at=LATER, contract=contract.id, risk="height"), ana.itself).events
    assert link(story, contract, BRUNO).person != ana.person


# ---------------------------------------------------------------- running out


@pytest.mark.rule("C3", "C6", "G1")
def test_the_clock_reminds_the_contact_and_records_the_last_day(
    story: Story, contract: SignedContract
) -> None:
    """Once each; the holder puts it in force again all the same."""
    reminding = RemindContract(at=noon(2026, 12, 25), contract=contract.id)
    [notice] = became(story, story.ask(reminding, SYSTEM))
    named = became_named(story, contract)
    assert isinstance(notice, ContractNoticeRequested)
    assert notice.contact == named.contact
    assert story.ask(reminding, SYSTEM).events == ()
    expiring = ExpireContract(at=noon(2027, 1, 1), contract=contract.id)
    [expired] = became(story, story.ask(expiring, SYSTEM))
    assert isinstance(expired, ContractExpired)
    assert story.refusal(expiring, SYSTEM).rule == "C3"
    assert story.refusal(expiring, contract.contact).rule == "G1"
    again = ReactivateContract(
        at=noon(2027, 1, 2), contract=contract.id,
        valid_from=date(2027, 1, 2), valid_to=date(2027, 6, 30),
    )  # fmt: skip
    story.ask(again, contract.contact)
    story.ask(linking(contract, at=noon(2027, 1, 2)), contract.contact)


def became_named(story: Story, contract: SignedContract) -> ContactNamed:
    """Who was named as the contact last."""
    named = [entry.event for entry in story.events(contract.id)]
    return next(event for event in reversed(named) if isinstance(event, ContactNamed))


# ---------------------------------------------------------------- who acts for the holder


@pytest.mark.rule("C2", "G1")
def test_the_contact_acts_by_the_address_that_the_contract_names(
    story: Story, contract: SignedContract
) -> None:
    """Without an account; another contact takes their place at once."""
    naming = NameContact(at=LATER, contract=contract.id, name="Luis", email="luis@example.com")
    assert story.refusal(linking(contract), person_at("luis@example.com")).rule == "C2"
    story.ask(naming, contract.contact)
    assert story.refusal(linking(contract), contract.contact).rule == "C2"
    assert story.ask(linking(contract), person_at("luis@example.com")).events
    assert story.refusal(linking(contract), MANAGER).rule == "G1"


@pytest.mark.rule("C2", "C6")
def test_whoever_is_named_by_one_address_is_one_person(story: Story) -> None:
    """However it is spelled, as contact or validator; by a telephone alone, too."""
    validator = {"validator_phone": None, "validator_email": "INES@Example.com"}
    sign(story)
    sign(story, **validator)
    sign(story, contact_email="Ines@EXAMPLE.com", contact_phone="+34612345678")
    named = facts(story, ContactNamed)
    checks = facts(story, ValidatorNamed)
    assert {fact.contact for fact in named} | {checks[1].validator} == {named[0].contact}
    assert checks[0].validator == checks[2].validator
    assert checks[0].validator != named[0].contact


@pytest.mark.rule("C2", "A3")
def test_a_contact_who_registers_stays_the_same_person(
    story: Story, contract: SignedContract
) -> None:
    """And acts for the holder as before, until the account is suspended."""
    ines = story.register(INES)
    assert ines.person == facts(story, ContactNamed)[0].contact
    assert story.ask(linking(contract), ines.itself).events
    story.ask(SuspendAccount(at=LATER, account=ines.who, reason=SuspensionReason.SECURITY), MANAGER)
    assert story.refusal(linking(contract, BRUNO), contract.contact).rule == "A10"


@pytest.mark.rule("C2", "A5")
def test_an_address_that_a_contact_has_given_up_acts_for_nobody(
    story: Story, contract: SignedContract
) -> None:
    """The contact acts by the new user code; whoever has the old address now does not."""
    ines = story.register(INES)
    story.assign_manager(ines)
    story.ask(ChangeUserCode(at=LATER, account=ines.who, email="ines@example.org"), MANAGER)
    assert story.refusal(linking(contract), person_at(INES)).rule == "C2"
    assert story.register(INES, at=LATER).person != ines.person
    assert story.refusal(linking(contract), person_at(INES)).rule == "C2"
    assert story.ask(linking(contract), person_at("ines@example.org")).events


# ---------------------------------------------------------------- one account


@pytest.mark.rule("A2", "A3", "C1", "C2")
def test_linking_makes_one_account_for_all_contracts(
    story: Story, contract: SignedContract
) -> None:
    """However the e-mail is spelled."""
    another = sign(story)
    ana = link(story, contract)
    assert link(story, another, ANA.upper()) == ana
    assert [fact.kind for fact in facts(story, UserRegistered)] == [AccountKind.CONTRACT]
    assert story.refusal(registration(ANA, at=LATER), SOMEBODY).rule == "A3"


@pytest.mark.rule("A2", "A3")
def test_subscription_plan_and_contracts_meet_on_one_account(
    story: Story, contract: SignedContract
) -> None:
    """Whoever has an account is linked by it, and what they had stays."""
    member = story.join(story.institution(), ANA, rut=ANA_RUT)
    subscriber = story.subscriber(BRUNO)
    for account, email, rut in ((member, ANA, ANA_RUT), (subscriber, BRUNO, None)):
        receipt = story.ask(linking(contract, email, rut), contract.contact)
        (linked,) = became(story, receipt)
        assert isinstance(linked, PersonLinked)
        assert linked.account == account.account
        assert accounts_of(story, account) == 1


@pytest.mark.rule("A2", "A3", "I3", "I7")
def test_whoever_came_by_a_contract_joins_a_plan_with_the_same_account(
    story: Story, contract: SignedContract
) -> None:
    """The invitation is nobody else's; the contract goes on giving what it gave."""
    ana = link(story, contract, ANA, ANA_RUT)
    assert story.join(story.institution(at=LATER), ANA, rut=ANA_RUT, at=LATER) == ana
    assert accounts_of(story, ana) == 1
    assert story.ask(LinkRisk(at=LATER, contract=contract.id, risk="fire"), ana.itself).events


@pytest.mark.rule("A3", "C2")
def test_whoever_is_invited_to_a_plan_is_linked_afterwards(
    story: Story, contract: SignedContract
) -> None:
    """By e-mail or RUT; once the invitation has expired it is in nobody's way."""
    school = story.institution()
    story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    soon = BEGINNING + timedelta(days=1)
    for command in (linking(contract, ANA, at=soon), linking(contract, BRUNO, ANA_RUT, at=soon)):
        assert story.refusal(command, contract.contact).rule == "A3"
    assert accounts_of(story, link(story, contract, ANA, ANA_RUT)) == 1


@pytest.mark.rule("A3", "A5", "C2")
def test_a_known_person_with_another_address_is_not_linked_by_it(
    story: Story, contract: SignedContract
) -> None:
    """The account manager changes the user code first; there is no second account."""
    ana = story.register(ANA, ANA_RUT)
    command = linking(contract, "ana@work.example.com", ANA_RUT)
    refusal = story.refusal(command, contract.contact)
    assert refusal.rule == "A3"
    assert "account manager" in refusal.remedy
    story.assign_manager(ana)
    changing = ChangeUserCode(at=LATER, account=ana.who, email="ana@work.example.com")
    story.ask(changing, MANAGER)
    assert link(story, contract, "ana@work.example.com", ANA_RUT) == ana


@pytest.mark.rule("A3")
def test_an_address_is_not_linked_with_the_rut_of_somebody_else(
    story: Story, contract: SignedContract
) -> None:
    """Whether that one has an account or not."""
    story.register(ANA, ANA_RUT)
    story.register(BRUNO, BRUNO_RUT)
    for rut in (BRUNO_RUT, "20347878-K"):
        refusal = story.refusal(linking(contract, ANA, rut), contract.contact)
        assert refusal.rule == "A3"
        assert "the RUT is not that" in refusal.message


@pytest.mark.rule("A3", "A10", "C2")
def test_whoever_closed_an_account_is_linked_by_a_new_one(
    story: Story, contract: SignedContract
) -> None:
    """The same person; what the former account had read is asked for anew."""
    document = uuid4()
    story.ask(publishing(contract, document), contract.contact)
    former = link(story, contract)
    of_ana: dict[str, Any] = {
        "at": LATER,
        "contract": contract.id,
        "document": document,
        "version": 1,
    }
    story.ask(DownloadInformationDocument(account=former.who, **of_ana), former.itself)
    story.close(former, at=LATER)
    linking_risk = LinkRisk(at=LATER, contract=contract.id, risk="fire")
    assert story.refusal(linking_risk, former.itself).rule == "C2"
    present = link(story, contract)
    assert present.person == former.person
    assert present.account != former.account
    reading = MarkInformationDocumentAsRead(account=ANA, **of_ana)
    assert story.refusal(reading, present.itself).rule == "C4"


@pytest.mark.rule("A2", "A6", "A12")
def test_whoever_came_by_a_contract_subscribes_on_the_same_account(
    story: Story, contract: SignedContract
) -> None:
    """By the steps of S1; with the first payment the account is individual, and linked as ever."""
    ana = link(story, contract)
    story.make_ready(ana, at=LATER)
    story.ask(StartSubscription(at=LATER, account=ana.who), ana.itself)
    story.take_steps(ana, at=LATER)
    became_paid = became(story, story.pay(ana, at=LATER))
    assert isinstance(became_paid[-1], AccountBecameIndividual)
    assert became_paid[-1].former_kind is AccountKind.CONTRACT
    assert accounts_of(story, ana) == 1
    assert story.ask(LinkRisk(at=LATER, contract=contract.id, risk="fire"), ana.itself).events


@pytest.mark.rule("A3", "A10")
def test_whoever_closed_a_contract_account_registers_anew(
    story: Story, contract: SignedContract
) -> None:
    """The e-mail is free again, and the person is the same."""
    former = link(story, contract, rut=ANA_RUT)
    story.close(former, at=LATER)
    present = story.register(ANA, ANA_RUT, at=LATER)
    assert present.person == former.person
    linking_risk = LinkRisk(at=LATER, contract=contract.id, risk="fire")
    assert story.refusal(linking_risk, present.itself).rule == "C2"


@pytest.mark.rule("A3")
def test_whoever_is_known_by_an_address_of_before_gets_no_second_account(story: Story) -> None:
    """Invited by the RUT to another address after closing: the old address tells who it is."""
    former = story.register(ANA, ANA_RUT)
    story.close(former)
    member = story.join(story.institution(), BRUNO, rut=ANA_RUT)
    assert member.person == former.person
    assert story.refusal(registration(ANA), SOMEBODY).rule == "A3"
    linked = linking(sign(story), ANA)
    assert story.refusal(linked, person_at(INES)).rule == "A3"


# ---------------------------------------------------------------- unlinking


@pytest.mark.rule("C2", "C4")
def test_whoever_is_unlinked_loses_their_roles_in_the_same_append(
    story: Story, contract: SignedContract
) -> None:
    """And can do nothing under the contract until linked again."""
    ana = link(story, contract)
    about: dict[str, Any] = {"at": LATER, "contract": contract.id}
    story.ask(FillRole(**about, role="supervisor", account=ana.who), ana.itself)
    receipt = story.ask(unlinking(contract, ana), MANAGER)
    assert kinds(became(story, receipt)) == [PersonUnlinked, RoleVacated]
    assert story.refusal(LinkRisk(**about, risk="height"), ana.itself).rule == "C2"
    assert link(story, contract) == ana
    assert story.ask(LinkRisk(**about, risk="height"), ana.itself).events


# ---------------------------------------------------------------- erasing


def opened_values(story: Story, person: UUID) -> list[str | None]:
    """All that was sealed for a person in facts of contracts and accounts, in clear."""
    values = [
        (entry, name)
        for entry in story.events()
        for name in ("name", "email", "phone", "given_name")
        if person in entry.event.persons and getattr(entry.event, name, None) is not None
    ]
    vault = story.acta.vault
    return [
        vault.open(getattr(entry.event, name), event_id=entry.event_id, field=name)
        for entry, name in values
    ]


def digests_kept(database: TestDatabase, person: UUID) -> int:
    """Receipts that keep a digest of what was asked about a person."""
    with connect(database.administrator) as administrator:
        rows = administrator.execute(
            "SELECT FROM ledger.receipts WHERE persons @> ARRAY[%s] AND input_digest IS NOT NULL",
            (person,),
        ).fetchall()
    return len(rows)


@pytest.mark.rule("A11")
def test_a_person_under_a_contract_is_erased_like_anybody_else(
    story: Story, contract: SignedContract, database: TestDatabase
) -> None:
    """What they did stays, who they are goes; the address is somebody new's."""
    ana = link(story, contract)
    story.refusal(linking(contract), MANAGER)
    assert digests_kept(database, ana.person) == 2
    receipt = story.ask(ErasePerson(at=LATER, account=ana.who), MANAGER)
    assert kinds(became(story, receipt))[-1] is PersonErased
    assert set(opened_values(story, ana.person)) == {None}
    assert digests_kept(database, ana.person) == 0
    assert link(story, contract).person != ana.person


@pytest.mark.rule("A11", "C6")
def test_whoever_is_only_named_by_contracts_can_be_erased(
    story: Story, contract: SignedContract, database: TestDatabase
) -> None:
    """A contact by e-mail, a validator by person id; named again they are somebody new."""
    contact = facts(story, ContactNamed)[0].contact
    validator = facts(story, ValidatorNamed)[0].validator
    assert digests_kept(database, contact) == digests_kept(database, validator) == 1
    for who, person in ((INES, contact), (f"person:{validator}", validator)):
        receipt = story.ask(ErasePerson(at=LATER, account=who), MANAGER)
        assert kinds(became(story, receipt)) == [InviteeErased]
        assert set(opened_values(story, person)) == {None}
        assert digests_kept(database, person) == 0
    assert story.refusal(linking(contract), contract.contact).rule == "C2"
    sign(story)
    assert facts(story, ContactNamed)[1].contact != contact
    assert facts(story, ValidatorNamed)[1].validator != validator


# ---------------------------------------------------------------- at the same instant

ROUNDS = 10


def at_once(story: Story, *askings: tuple[Command, Actor]) -> list[str]:
    """Gives commands at the same instant; what each was told, ``done`` or a rule."""
    barrier = Barrier(len(askings))

    def ask(asking: tuple[Command, Actor]) -> str:
        barrier.wait(timeout=60)
        answer = story.acta.ledger.answer(*asking, uuid4())
        return "done" if answer.refusal is None else answer.refusal.rule

    with ThreadPoolExecutor(len(askings)) as threads:
        return list(threads.map(ask, askings))


def address(number: int) -> str:
    """An address that nobody has had."""
    return f"person{number}@example.com"


@pytest.mark.rule("A3", "C2")
def test_linking_one_address_at_once_makes_one_account(story: Story) -> None:
    """By several contracts, and by several commands of one."""
    contracts = [sign(story), sign(story), sign(story)]
    for number in range(ROUNDS):
        askings = [(linking(each, address(number)), each.contact) for each in contracts * 2]
        assert at_once(story, *askings) == ["done"] * len(askings)
    assert len(facts(story, UserRegistered)) == ROUNDS
    assert len(facts(story, PersonLinked)) == ROUNDS * len(contracts)


@pytest.mark.rule("A3", "C2")
def test_registering_and_linking_at_once_make_one_account(
    story: Story, contract: SignedContract
) -> None:
    """Whichever comes first; the person is linked in any case."""
    for number in range(ROUNDS):
        told = at_once(
            story,
            (registration(address(number), at=LATER), SOMEBODY),
            (linking(contract, address(number)), contract.contact),
        )
        assert told in (["done", "done"], ["A3", "done"])
    assert len(facts(story, UserRegistered)) == len(facts(story, PersonLinked)) == ROUNDS


@pytest.mark.rule("C4")
def test_a_role_is_never_filled_by_somebody_unlinked_at_the_same_instant(story: Story) -> None:
    """Either the role comes first and goes with the link, or it is refused."""
    for number in range(ROUNDS):
        contract = sign(story)
        ana, bruno = link(story, contract, address(number)), link(story, contract)
        filling = FillRole(at=LATER, contract=contract.id, role="supervisor", account=ana.who)
        told = at_once(story, (filling, bruno.itself), (unlinking(contract, ana), contract.contact))
        assert told in (["done", "done"], ["C4", "done"])
        last = story.events(contract.id)[-1].event
        assert isinstance(last, RoleVacated if told[0] == "done" else ContactNamed)


@pytest.mark.rule("C6")
def test_naming_one_contact_at_once_makes_one_person(story: Story) -> None:
    """Whoever is named by several contracts acts for all of them."""
    for number in range(ROUNDS):
        email = address(number)
        commands = [opening(contact_email=email) for _ in range(4)]
        assert at_once(story, *((each, MANAGER) for each in commands)) == ["done"] * 4
        for each in commands:
            assert story.ask(
                linking(SignedContract(each.contract, person_at(email))), person_at(email)
            ).events


@pytest.mark.rule("A3", "C6")
@pytest.mark.parametrize("first", ["named", "registered"])
def test_whoever_registers_while_they_are_named_is_one_person(
    database: TestDatabase, first: str
) -> None:
    """Whichever is written first: by their e-mail they act for the holder."""
    with two_ledgers(database) as two:
        story, beside = Story(two.acta), Story(two.other)
        naming, registering = opening(contact_email=BRUNO), registration(BRUNO, at=LATER)
        if first == "named":
            two.meanwhile(lambda: beside.ask(naming, MANAGER))
            story.ask(registering, SOMEBODY)
        else:
            two.meanwhile(lambda: beside.ask(registering, SOMEBODY))
            story.ask(naming, MANAGER)
        contact = SignedContract(naming.contract, person_at(BRUNO))
        assert story.ask(linking(contact, address(1)), contact.contact).events
        assert facts(story, ContactNamed)[0].contact == facts(story, UserRegistered)[0].person


@pytest.mark.rule("A11")
@pytest.mark.parametrize(
    "naming",
    [
        lambda contract: NameContact(at=LATER, contract=contract.id, name="Eva", email=BRUNO),
        lambda contract: linking(contract, BRUNO),
    ],
    ids=["named", "linked"],
)
def test_whoever_is_named_while_erased_is_somebody_new(
    story: Story, naming: Callable[[SignedContract], Command]
) -> None:
    """Nothing that comes after an erasure is about the erased."""
    for _ in range(ROUNDS):
        contract = sign(story)
        eve = sign(story, contact_email=BRUNO)
        person = next(f for f in facts(story, ContactNamed) if f.contract == eve.id).contact
        told = at_once(
            story,
            (ErasePerson(at=LATER, account=f"person:{person}"), MANAGER),
            (naming(contract), contract.contact),
        )
        assert told[1] == "done"
        assert told[0] in ("done", "A1")
        seen = [entry.event for entry in story.events() if person in entry.event.persons]
        erased = [
            n for n, fact in enumerate(seen) if isinstance(fact, InviteeErased | PersonErased)
        ]
        assert erased in ([], [len(seen) - 1])
        # Whoever came of it goes, too, so that the next round begins with nobody.
        present = story.acta.vault.person("email", Directory(story.acta.store).email_digest(BRUNO))
        if present is not None:
            story.ask(ErasePerson(at=LATER, account=f"person:{present}"), MANAGER)
