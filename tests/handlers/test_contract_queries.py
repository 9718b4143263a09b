"""Questions about contracts: who may know of whom, and up to where an answer knows."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.account import (
    AccountReinstated,
    AccountSuspended,
    ErasePerson,
    SuspensionReason,
    UserCodeChanged,
)
from domain.actor import Actor, ActorKind
from domain.contract import (
    ContractEnded,
    ContractEndReason,
    ContractFact,
    ContractReactivated,
    RiskLinked,
    RiskUnlinked,
    RoleFilled,
    RolesRequired,
)
from domain.contract_link import PersonUnlinked, UnlinkReason
from handlers.composition import Acta
from handlers.contract_queries import Contract
from handlers.faults import DeadlinePassed, InvalidInput, PositionBeyondHead
from handlers.snapshots import Knowledge
from tests.handlers.stories import ANA, AUDITOR, BEGINNING, MANAGER, SYSTEM, Story
from tests.projections.contract_lives import ZONE, Agreement, Chronicle, Worker

OLGA, PEPE = "olga@obras.example.com", "pepe@obras.example.com"
NEXT = BEGINNING + timedelta(days=1)
MISTAKE, LEFT = ContractEndReason.MISTAKE, UnlinkReason.LEFT
STAFF = Actor(kind=ActorKind.SUPPORT_STAFF, id=uuid4())
SECURITY: dict[str, Any] = {"reason": SuspensionReason.SECURITY}


@pytest.fixture
def told(acta: Acta) -> Chronicle:
    """Facts are written into a log of the test's own."""
    return Chronicle(acta)


@pytest.fixture
def agreement(told: Chronicle) -> Agreement:
    """A contract with its validator and its contact."""
    return told.agree()


def ask(told: Chronicle, agreement: Agreement, asker: Actor) -> Contract:
    """The contract, by read models that know everything."""
    told.acta.projector.catch_up()
    return told.acta.contracts.contract(agreement.id, NEXT, asker)


def opened(told: Chronicle, agreement: Agreement, asker: Actor) -> set[str]:
    """Whom the asker may know: validator, contact, and people by their address."""
    answer = ask(told, agreement, asker)
    persons = {"validator": answer.validator, "contact": answer.contact}
    for role, person in persons.items():
        assert person is not None
        assert person.personal.keys() >= {"name"}, role
        assert person.sealed in (frozenset(), frozenset(person.personal))
    named = {role for role, person in persons.items() if person and person.personal["name"]}
    people = {str(person.personal["email"]) for person in answer.people}
    return named | (people - {"None"})


# ---------------------------------------------------------------- who may know of whom


@pytest.mark.rule("G1", "C6")
def test_the_contact_knows_who_is_linked_and_they_know_the_contact(
    told: Chronicle, agreement: Agreement
) -> None:
    """Staff know all of them; nobody else knows anybody."""
    olga, pepe = told.join(agreement, OLGA), told.join(agreement, PEPE)
    other = told.agree()
    stranger = told.join(other, "otra@obras.example.com")
    both = {"validator", "contact"}
    for asker, known in (
        (agreement.its_contact, both | {OLGA, PEPE}),
        (olga.itself, both | {OLGA}),
        (pepe.itself, both | {PEPE}),
        (Actor(kind=ActorKind.PERSON, id=agreement.validator), {"validator"}),
        (stranger.itself, set[str]()),
        (other.its_contact, set[str]()),
        (Actor(kind=ActorKind.PERSON, id=agreement.holder), set[str]()),
        (Actor(kind=ActorKind.PERSON), set[str]()),
        (SYSTEM, set[str]()),
        (AUDITOR, both | {OLGA, PEPE}),
        (MANAGER, both | {OLGA, PEPE}),
        (STAFF, both | {OLGA, PEPE}),
    ):
        assert opened(told, agreement, asker) == known, asker.kind


@pytest.mark.rule("G1", "C6")
def test_whoever_is_the_contact_no_longer_knows_nobody_any_more(
    told: Chronicle, agreement: Agreement
) -> None:
    """And whoever is linked no longer knows neither contact nor validator."""
    olga = told.join(agreement, OLGA)
    told.name_contact(agreement, uuid4(), "otra@example.com", at=NEXT)
    assert opened(told, agreement, agreement.its_contact) == set()
    told.by(olga, agreement, PersonUnlinked, reason=UnlinkReason.LEFT, at=NEXT)
    assert opened(told, agreement, olga.itself) == set()


def named_in_check(told: Chronicle, worker: Worker, asker: Actor) -> set[str]:
    """Whom a check of the module names to the asker, out of those it says to contact."""
    told.acta.projector.catch_up()
    queries = told.acta.queries
    answer = queries.check(f"account:{worker.account}", "module:documentation", NEXT)
    assert {each.kind for each in answer.contacts} >= {"contact"}
    return {
        each.line.kind
        for each in queries.contacts(answer, asker)
        if each.personal["name"] is not None
    }


@pytest.mark.rule("G1", "C6", "X2")
def test_a_check_names_contact_and_validator_to_whom_the_contract_does(
    told: Chronicle, agreement: Agreement
) -> None:
    """Not to whoever was unlinked, though it says that the contact is to be asked; nor others."""
    olga, pepe = told.join(agreement, OLGA), told.join(agreement, PEPE)
    told.publish(agreement)
    stranger = told.join(told.agree(), "otra@obras.example.com")
    both = {"contact", "validator"}
    for asker, known in (
        (olga.itself, both),
        (pepe.itself, both),
        (agreement.its_contact, both),
        (stranger.itself, set[str]()),
        (Actor(kind=ActorKind.PERSON), set[str]()),
        (SYSTEM, set[str]()),
        (STAFF, both),
    ):
        assert named_in_check(told, olga, asker) == known, asker.kind
    told.by(olga, agreement, PersonUnlinked, reason=LEFT, at=NEXT)
    told.name_contact(agreement, uuid4(), "otra@example.com", at=NEXT)
    assert named_in_check(told, olga, olga.itself) == set()
    told.on(pepe, AccountSuspended, at=NEXT, **SECURITY)
    assert named_in_check(told, pepe, pepe.itself) == set()


@pytest.mark.rule("G1", "A10")
def test_the_suspended_know_nobody_but_themselves(told: Chronicle, agreement: Agreement) -> None:
    """Neither by a link nor as the contact, until they are reinstated."""
    olga = told.join(agreement, OLGA)
    contact = told.hire("interlocutora@example.com")
    told.name_contact(agreement, contact.person, "interlocutora@example.com")
    both = {"validator", "contact", OLGA}
    for worker, alone in ((olga, {OLGA}), (contact, {"contact"})):
        assert opened(told, agreement, worker.itself) == both
        told.on(worker, AccountSuspended, **SECURITY)
        assert opened(told, agreement, worker.itself) == alone
        told.on(worker, AccountReinstated, **SECURITY)
        assert opened(told, agreement, worker.itself) == both


@pytest.mark.rule("G1", "A5")
def test_a_person_asks_by_e_mail(told: Chronicle, agreement: Agreement) -> None:
    """Whoever the ledger knows by that address."""
    ana = Story(told.acta).register(ANA)
    told.link(agreement, Worker(ana.account, ana.person), ANA)
    by_address = Actor(kind=ActorKind.PERSON, who=ANA)
    assert opened(told, agreement, by_address) == {"validator", "contact", ANA}
    unknown = Actor(kind=ActorKind.PERSON, who="nadie@example.com")
    assert opened(told, agreement, unknown) == set()


@pytest.mark.rule("A5")
def test_the_address_shown_opens_after_it_changed(told: Chronicle, agreement: Agreement) -> None:
    """Each value opens for the event that it was sealed for."""
    olga = told.join(agreement, OLGA)
    told.on(olga, UserCodeChanged, email="new@obras.example.com", former_email=OLGA)
    (person,) = ask(told, agreement, AUDITOR).people
    assert person.personal == {
        "given_name": "Olga", "paternal_surname": "Pérez", "phone": "+34698765432",
        "email": "new@obras.example.com",
    }  # fmt: skip


@pytest.mark.rule("A11")
def test_the_erased_are_unreadable_for_everybody(told: Chronicle, agreement: Agreement) -> None:
    """What they did stays; who they were is told to nobody."""
    story = Story(told.acta)
    ana = story.register(ANA)
    told.link(agreement, Worker(ana.account, ana.person), ANA)
    story.ask(ErasePerson(at=NEXT, account=ana.who), ana.itself)
    (person,) = ask(told, agreement, AUDITOR).people
    assert (person.personal, person.sealed) == ({"email": None}, frozenset())
    assert person.line.standing == "closed"


# ---------------------------------------------------------------- what is still to do


@pytest.mark.rule("C2", "C3", "C4")
def test_nothing_is_left_to_do_just_when_the_module_opens(
    told: Chronicle, agreement: Agreement
) -> None:
    """The view and the check rest on one log, and say the same at every step and every instant."""
    olga = told.join(agreement, OLGA)
    rules = told.publish(agreement)
    by_olga = {"named_by": olga.person, "filled_by": olga.person}
    steps: list[tuple[datetime, Callable[[datetime], object]]] = [
        (day(1), lambda at: told.download(agreement, olga, rules, at=at)),
        (day(2), lambda at: told.read(agreement, olga, rules, at=at)),
        (day(3), lambda at: _risk(told, agreement, RiskLinked, linked_by=olga.person, at=at)),
        (day(4), lambda at: told.of(agreement, RolesRequired, roles=("guide",), at=at)),
        (day(5), lambda at: told.of(agreement, RoleFilled, role="guide", **by_olga, at=at)),
        (day(6), lambda at: told.publish(agreement, rules, version=2, at=at)),
        (day(7), lambda at: told.read(agreement, olga, rules, 2, at=at)),
        (day(8), lambda at: _risk(told, agreement, RiskUnlinked, unlinked_by=olga.person, at=at)),
        (day(9), lambda at: _risk(told, agreement, RiskLinked, linked_by=olga.person, at=at)),
        (day(10), lambda at: told.of(agreement, ContractEnded, reason=MISTAKE, at=at)),
        (day(11), lambda at: told.by(olga, agreement, PersonUnlinked, reason=LEFT, at=at)),
        (day(12), lambda at: told.link(agreement, olga, OLGA, at=at)),
        (day(13), lambda at: _reactivate(told, agreement, at)),
    ]
    for at, step in steps:
        step(at)
    told.acta.projector.catch_up()
    instants = [at for at, _ in steps] + [datetime(2027, 1, day, tzinfo=UTC) for day in (1, 2)]
    opens = [_opens(told, agreement, olga, at) for at in instants]
    assert opens == [
        False, False, True, False, True, False, True, False, True, False, False, False, True, True,
        False,
    ]  # fmt: skip


def day(number: int) -> datetime:
    """So many days after the beginning."""
    return BEGINNING + timedelta(days=number)


def _risk(told: Chronicle, agreement: Agreement, fact: type[ContractFact], **values: Any) -> None:
    told.of(agreement, fact, risk="work_at_height", **values)


def _reactivate(told: Chronicle, agreement: Agreement, at: datetime) -> None:
    last = date(2027, 1, 1)
    told.of(
        agreement, ContractReactivated, valid_from=at.date(), valid_to=last, time_zone=ZONE, at=at
    )


def _opens(told: Chronicle, agreement: Agreement, worker: Worker, at: datetime) -> bool:
    """What the view says, which is what the check says."""
    answer = told.acta.contracts.contract(agreement.id, at, AUDITOR)
    linked = {person.line.person: person.line for person in answer.people}
    line = linked.get(worker.person)
    ready = line is not None and line.has_read_all and not answer.whole.outstanding
    check = told.acta.queries.check(f"account:{worker.account}", "module:documentation", at)
    assert check.allowed is ready, at
    return ready


# ---------------------------------------------------------------- up to where it knows


@pytest.mark.rule("X4")
def test_an_answer_says_up_to_where_it_knows(told: Chronicle, agreement: Agreement) -> None:
    """And never answers from older knowledge than was asked for."""
    head = told.acta.store.head()
    answer = ask(told, agreement, SYSTEM)
    listed = told.acta.contracts.contracts(NEXT)
    assert (answer.position, listed.position) == (head, head)
    assert not answer.degraded
    assert not listed.degraded
    reason = ContractEndReason.MISTAKE
    position = told.of(agreement, ContractEnded, reason=reason, at=NEXT)
    known = Knowledge(at_least=position, deadline_seconds=0)
    with pytest.raises(DeadlinePassed):
        told.acta.contracts.contract(agreement.id, NEXT, SYSTEM, known)
    with pytest.raises(DeadlinePassed):
        told.acta.contracts.contracts(NEXT, knowledge=known)
    with pytest.raises(PositionBeyondHead):
        told.acta.contracts.contracts(NEXT, knowledge=Knowledge(at_least=position + 1))
    told.acta.projector.catch_up()
    listed = told.acta.contracts.contracts(NEXT, knowledge=known)
    assert [line.days for line in listed.contracts] == ["ended"]


@pytest.mark.rule("X6")
def test_what_cannot_be_applied_degrades_answers_and_hides_no_other(
    told: Chronicle, agreement: Agreement
) -> None:
    """A contract whose days lie in no time zone is parked; the others are answered."""
    told.agree(zone="Europe/Atlantis")
    answer = ask(told, agreement, SYSTEM)
    listed = told.acta.contracts.contracts(NEXT)
    assert (answer.degraded, listed.degraded) == (True, True)
    assert [line.contract for line in listed.contracts] == [agreement.id]


def test_there_has_to_be_such_a_contract(told: Chronicle, agreement: Agreement) -> None:
    """By that instant; and the message names nobody."""
    told.acta.projector.catch_up()
    for contract, at in ((uuid4(), NEXT), (agreement.id, BEGINNING - timedelta(days=1))):
        with pytest.raises(InvalidInput) as caught:
            told.acta.contracts.contract(contract, at, AUDITOR)
        assert "no such contract" in caught.value.message
        assert str(contract) not in caught.value.message + caught.value.remedy
