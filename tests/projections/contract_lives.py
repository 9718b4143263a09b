"""Contracts and the people under them, written straight into a log: facts without decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.account import (
    AccountClosed,
    AccountFact,
    AccountKind,
    AccountReinstated,
    AccountSuspended,
    ClosureReason,
    SuspensionReason,
    UserCodeChanged,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.contract import (
    ContactNamed,
    ContractEnded,
    ContractEndReason,
    ContractExpired,
    ContractFact,
    ContractNoticeReason,
    ContractNoticeRequested,
    ContractNoticeTemplate,
    ContractOpened,
    ContractReactivated,
    InformationDocumentPublished,
    InformationDocumentWithdrawn,
    RiskLinked,
    RiskUnlinked,
    RoleFilled,
    RolesRequired,
    RoleVacated,
    ValidatorKind,
    ValidatorNamed,
)
from domain.contract_link import (
    ContractLinkFact,
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
    UnlinkReason,
)
from domain.event import Event
from domain.streams import contract_link_of, notice_of
from handlers.composition import Acta
from handlers.store.append import Append, Opened
from handlers.store.event_store import CommandEnvelope
from tests.handlers.stories import BEGINNING, SYSTEM, noon

__all__ = ["ZONE", "Agreement", "Chronicle", "Worker", "tell_of_contracts"]

ZONE = "Europe/Madrid"


@dataclass(frozen=True)
class Agreement:
    """A contract, and whoever is named in it."""

    id: UUID
    holder: UUID
    contractor: UUID
    validator: UUID
    contact: UUID

    @property
    def its_contact(self) -> Actor:
        """The contact, vouched for by a door."""
        return Actor(kind=ActorKind.PERSON, id=self.contact)


@dataclass(frozen=True)
class Worker:
    """Somebody of the contractor, with their account."""

    account: UUID
    person: UUID

    @property
    def itself(self) -> Actor:
        """The person, vouched for by a door."""
        return Actor(kind=ActorKind.PERSON, id=self.person)


class Chronicle:
    """Writes down what happened to contracts.

    Args:
        acta: the ledger.
    """

    def __init__(self, acta: Acta) -> None:
        self.acta = acta

    def write(self, stream: UUID, *events: Event) -> int:
        """Adds facts to a stream; the position of the last."""
        append = Append()
        append.write(stream, self.acta.store.version(stream), events)
        append.opened += [
            Opened(event.person, event.account)
            for event in events
            if isinstance(event, UserRegistered)
        ]
        asked_at = max(event.occurred_at for event in events)
        envelope = CommandEnvelope(uuid4(), SYSTEM, asked_at, None, frozenset())
        return self.acta.store.append(append, envelope).position

    # ------------------------------------------------------------ the contract

    def agree(
        self,
        valid_from: date = date(2026, 1, 1),
        valid_to: date = date(2026, 12, 31),
        *,
        zone: str = ZONE,
        roles: Sequence[str] = (),
        at: datetime = BEGINNING,
    ) -> Agreement:
        """A holder and a contractor have a contract, with its validator and its contact."""
        made = Agreement(*(uuid4() for _ in range(5)))
        opened = ContractOpened(
            contract=made.id, person=made.holder, occurred_at=at, contractor=made.contractor,
            valid_from=valid_from, valid_to=valid_to, time_zone=zone, modules=("documentation",),
            required_roles=tuple(roles),
        )  # fmt: skip
        validator = ValidatorNamed(
            contract=made.id, person=made.holder, occurred_at=at, validator=made.validator,
            kind=ValidatorKind.HOLDER_TECHNICIAN, name="Vera Tapia", phone="+34612345678",
        )  # fmt: skip
        self.write(made.id, opened, validator)
        self.name_contact(made, made.contact, "interlocutora@example.com", at=at)
        return made

    def name_contact(
        self, agreement: Agreement, contact: UUID, email: str, *, at: datetime = BEGINNING
    ) -> None:
        """Somebody looks after the contractor from now on."""
        name = "Irene Ibarra"
        self.of(agreement, ContactNamed, at=at, contact=contact, name=name, email=email)

    def publish(
        self,
        agreement: Agreement,
        document: UUID | None = None,
        *,
        code: str = "site_rules",
        version: int = 1,
        at: datetime = BEGINNING,
    ) -> UUID:
        """A document in a new version; the document."""
        known_as = document or uuid4()
        self.of(
            agreement, InformationDocumentPublished, at=at, document=known_as, code=code,
            version=version, sha256=f"{version:064x}", media_type="application/pdf",
            size_bytes=1000 * version,
        )  # fmt: skip
        return known_as

    def of(
        self,
        agreement: Agreement,
        fact: type[ContractFact],
        /,
        *,
        at: datetime = BEGINNING,
        **values: Any,
    ) -> int:
        """A fact about a contract."""
        known: dict[str, Any] = {
            "contract": agreement.id,
            "person": agreement.holder,
            "occurred_at": at,
        }
        return self.write(agreement.id, fact(**known, **values))

    # ------------------------------------------------------------ the people under it

    def hire(self, email: str, *, at: datetime = BEGINNING) -> Worker:
        """Somebody gets an account of kind contract."""
        worker = Worker(uuid4(), uuid4())
        self.on(
            worker, UserRegistered, at=at, kind=AccountKind.CONTRACT, language="es", time_zone=ZONE,
            given_name="Olga", paternal_surname="Pérez", email=email, phone="+34698765432",
        )  # fmt: skip
        return worker

    def join(self, agreement: Agreement, email: str, *, at: datetime = BEGINNING) -> Worker:
        """Somebody new is linked."""
        worker = self.hire(email, at=at)
        self.link(agreement, worker, email, at=at)
        return worker

    def link(
        self, agreement: Agreement, worker: Worker, email: str, *, at: datetime = BEGINNING
    ) -> None:
        """The holder gives somebody access."""
        self.by(worker, agreement, PersonLinked, at=at, email=email, language="es")

    def download(
        self,
        agreement: Agreement,
        worker: Worker,
        document: UUID,
        version: int = 1,
        *,
        at: datetime = BEGINNING,
    ) -> None:
        """Somebody downloads a version of a document."""
        downloaded = InformationDocumentDownloaded
        self.by(worker, agreement, downloaded, at=at, document=document, version=version)

    def read(
        self,
        agreement: Agreement,
        worker: Worker,
        document: UUID,
        version: int = 1,
        *,
        at: datetime = BEGINNING,
    ) -> None:
        """Somebody downloads a version of a document, and marks it as read."""
        self.download(agreement, worker, document, version, at=at)
        marked = InformationDocumentMarkedAsRead
        self.by(worker, agreement, marked, at=at, document=document, version=version)

    def by(
        self,
        worker: Worker,
        agreement: Agreement,
        fact: type[ContractLinkFact],
        /,
        *,
        at: datetime = BEGINNING,
        **values: Any,
    ) -> int:
        """A fact about somebody under a contract."""
        known: dict[str, Any] = {
            "contract": agreement.id,
            "account": worker.account,
            "person": worker.person,
        }
        stream = contract_link_of(agreement.id, worker.person)
        return self.write(stream, fact(**known, occurred_at=at, **values))

    def on(
        self, worker: Worker, fact: type[AccountFact], /, *, at: datetime = BEGINNING, **values: Any
    ) -> int:
        """A fact about an account."""
        known: dict[str, Any] = {
            "account": worker.account,
            "person": worker.person,
            "occurred_at": at,
        }
        return self.write(worker.account, fact(**known, **values))


def tell_of_contracts(acta: Acta) -> Agreement:
    """Two contracts, in which everything happens that the ledger knows of; the first of them."""
    told = Chronicle(acta)
    days = [BEGINNING + timedelta(days=day) for day in range(10)]
    works = told.agree(roles=("site_manager",), at=days[0])
    olga, pepe = (told.join(works, f"{name}@obras.example.com", at=days[1]) for name in "op")
    rules, plan = told.publish(works), told.publish(works, code="evacuation", at=days[1])
    told.download(works, olga, rules, at=days[2])
    told.read(works, pepe, rules, at=days[2])
    told.publish(works, rules, version=2, at=days[3])
    told.of(works, InformationDocumentWithdrawn, document=plan, at=days[4])
    height = {"risk": "work_at_height"}
    told.of(works, RiskLinked, **height, linked_by=olga.person, at=days[4])
    told.of(works, RiskUnlinked, **height, unlinked_by=olga.person, at=days[5])
    told.of(works, RolesRequired, roles=("site_manager", "first_aid"), at=days[5])
    aid = {"role": "first_aid"}
    told.of(works, RoleFilled, **aid, filled_by=pepe.person, named_by=olga.person, at=days[5])
    told.of(works, RoleVacated, **aid, vacated_by=pepe.person, at=days[6])
    told.by(pepe, works, PersonUnlinked, reason=UnlinkReason.LEFT, at=days[6])
    told.name_contact(works, uuid4(), "otra@example.com", at=days[7])
    told.on(olga, UserCodeChanged, email="olga@obras.example.com", at=days[7])
    for kind in (AccountSuspended, AccountReinstated):
        told.on(olga, kind, reason=SuspensionReason.SECURITY, at=days[8])
    told.on(pepe, AccountClosed, reason=ClosureReason.OWNER_REQUEST, at=days[9])
    short = told.agree(valid_to=date(2026, 2, 28))
    told.of(short, ContractEnded, reason=ContractEndReason.TERMINATED, at=days[5])
    told.of(
        short, ContractReactivated, valid_from=date(2026, 3, 1), valid_to=date(2026, 6, 30),
        time_zone=ZONE, at=days[6],
    )  # fmt: skip
    told.of(
        short, ContractNoticeRequested, notice=notice_of(short.id, 0), contact=short.contact,
        template=ContractNoticeTemplate.CONTRACT_ENDING, at=noon(2026, 6, 24),
        reason=ContractNoticeReason.RUNS_OUT_SOON, valid_to=date(2026, 6, 30), time_zone=ZONE,
    )  # fmt: skip
    told.of(short, ContractExpired, valid_to=date(2026, 6, 30), time_zone=ZONE, at=noon(2026, 7, 1))
    return works
