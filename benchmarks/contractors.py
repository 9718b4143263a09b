"""People of contractors, each of whom did all that a contract asks for: its module is open."""

from datetime import date
from random import randrange
from uuid import UUID, uuid4

from benchmarks.people import BEGINNING
from domain.actor import Actor, ActorKind
from domain.contract import (
    FillRole,
    LinkRisk,
    OpenContract,
    PublishInformationDocument,
    ValidatorKind,
)
from domain.contract_link import (
    DownloadInformationDocument,
    LinkPerson,
    MarkInformationDocumentAsRead,
)
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.directory import Directory

__all__ = ["work"]

DOCUMENTS = 2
MANAGER = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=uuid4())


def work(settings: Settings, people: int) -> list[UUID]:
    """Has so many people work under a contract each; their accounts."""
    with open_ledger(settings) as acta:
        return [_work(acta) for _ in range(people)]


def _work(acta: Acta) -> UUID:
    contract, contact, worker = uuid4(), _address(), _address()
    _open(acta, contract, contact)
    by_contact = Actor(kind=ActorKind.PERSON, who=contact)
    linking = LinkPerson(
        at=BEGINNING,
        contract=contract,
        given_name="Ana",
        paternal_surname="Rojas",
        email=worker,
        phone=f"+56961{randrange(1_000_000):06}",
    )
    acta.ledger.ask(linking, by_contact, uuid4())
    directory = Directory(acta.store)
    account, person = (find(worker, at=BEGINNING) for find in (directory.account, directory.person))
    assert account is not None
    assert person is not None
    by_worker = Actor(kind=ActorKind.PERSON, id=person)
    for number in range(DOCUMENTS):
        document = _publish(acta, contract, number, by_contact)
        for read in (DownloadInformationDocument, MarkInformationDocumentAsRead):
            command = read(
                at=BEGINNING,
                contract=contract,
                account=f"account:{account}",
                document=document,
                version=1,
            )
            acta.ledger.ask(command, by_worker, uuid4())
    for given in (
        LinkRisk(at=BEGINNING, contract=contract, risk="work_at_height"),
        FillRole(at=BEGINNING, contract=contract, role="supervisor", account=f"person:{person}"),
    ):
        acta.ledger.ask(given, by_worker, uuid4())
    return account


def _open(acta: Acta, contract: UUID, contact: str) -> None:
    command = OpenContract(
        at=BEGINNING,
        contract=contract,
        holder=uuid4(),
        contractor=uuid4(),
        valid_from=date(2026, 1, 1),
        valid_to=date(2099, 12, 31),
        required_roles=("supervisor",),
        validator_kind=ValidatorKind.HOLDER_TECHNICIAN,
        validator_name="Vera Sanz",
        validator_phone=f"+34612{randrange(1_000_000):06}",
        contact_name="Inés Cano",
        contact_email=contact,
    )
    acta.ledger.ask(command, MANAGER, uuid4())


def _publish(acta: Acta, contract: UUID, number: int, by: Actor) -> UUID:
    document = uuid4()
    command = PublishInformationDocument(
        at=BEGINNING,
        contract=contract,
        document=document,
        code=f"safety-{number}",
        sha256="0" * 64,
        size_bytes=1,
    )
    acta.ledger.ask(command, by, uuid4())
    return document


def _address() -> str:
    return f"{uuid4().hex}@example.com"
