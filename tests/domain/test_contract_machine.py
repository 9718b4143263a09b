"""A contract and its people, any command in any order, beside a model of sets and numbers."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.account import Account, AccountEvent, Standing, UserRegistered, account_decider
from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.contract import (
    Contract,
    ContractCommand,
    ContractDecision,
    ContractSurroundings,
    EndContract,
    ExpireContract,
    FillRole,
    LinkRisk,
    NameContact,
    PublishInformationDocument,
    ReactivateContract,
    RemindContract,
    RequireRoles,
    RoleVacated,
    UnlinkRisk,
    VacateRole,
    WithdrawInformationDocument,
    contract_decider,
)
from domain.contract import decide as decide_contract
from domain.contract_link import (
    ContractLink,
    ContractLinkDecision,
    ContractLinkSurroundings,
    DownloadInformationDocument,
    LinkPerson,
    MarkInformationDocumentAsRead,
    UnlinkPerson,
    contract_link_decider,
)
from domain.contract_link import decide as decide_link
from domain.due import DueKind, due_of_contract
from domain.refusal import Refused
from tests.domain.signed_contract import CONTACT, CONTRACT, SHA256, contract_after, signed
from tests.domain.stories import WHO, closed, manager, reinstated, suspended, system

PEOPLE = [UUID(int=100 + number) for number in range(3)]
DOCUMENTS = [UUID(int=200 + number) for number in range(2)]
ROLES = ["supervisor", "first_aid"]
FIRST_DAY = date(2026, 3, 1)
NIGHTLY = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
"""Half an hour after midnight in Madrid, where it is the next day already."""
WISHES = ["link"] * 6 + ["publish", "download", "read"] * 4 + ["fill"] * 4 + [
    "unlink", "unlink", "vacate", "require", "risk", "no risk", "withdraw", "contact", "suspend",
    "reinstate", "close", "end", "reactivate", "reactivate", "remind", "remind", "expire",
]  # fmt: skip

CLOCK_GIVES: dict[DueKind, type[RemindContract | ExpireContract]] = {
    DueKind.CONTRACT_REMINDER: RemindContract,
    DueKind.CONTRACT_EXPIRY: ExpireContract,
}
AN_INSTANT = timedelta(microseconds=1)
FACTS: dict[str, AccountEvent] = {"suspend": suspended, "reinstate": reinstated, "close": closed}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who wants what; of the rest, what the wish is about."""

    wish: str
    by: Actor
    person: UUID
    another: UUID
    document: UUID
    version: int
    code: str
    first: int
    last: int


@dataclass
class Model:
    """What is so, told without events; days are counted from the first of March 2026.

    Attributes:
        accounts: what each person's account is; it begins anew after it was closed.
        linked: who is linked by the present account.
        ever: who was ever linked.
        agreed: the day on which its days were agreed to.
        reminded_for: the last day of which the contact was told.
    """

    day: int = 0
    first: int = 0
    last: int = 305
    ended: bool = False
    expired: bool = False
    agreed: int = -28
    reminded_for: int | None = None
    contact: UUID = CONTACT
    accounts: dict[UUID, str] = field(default_factory=lambda: dict.fromkeys(PEOPLE, "none"))
    linked: set[UUID] = field(default_factory=set[UUID])
    ever: set[UUID] = field(default_factory=set[UUID])
    versions: dict[UUID, int] = field(default_factory=dict[UUID, int])
    withdrawn: set[UUID] = field(default_factory=set[UUID])
    downloaded: set[tuple[UUID, UUID, int]] = field(default_factory=set[tuple[UUID, UUID, int]])
    read: set[tuple[UUID, UUID, int]] = field(default_factory=set[tuple[UUID, UUID, int]])
    risks: set[str] = field(default_factory=set[str])
    required: set[str] = field(default_factory=lambda: {"supervisor"})
    roles: dict[str, UUID] = field(default_factory=dict[str, UUID])

    @property
    def over(self) -> bool:
        """Ended, or its last day has passed."""
        return self.ended or self.day > self.last

    @property
    def ran_out(self) -> bool:
        """Its last day has passed, and nobody has said so."""
        return self.over and not self.ended and not self.expired

    @property
    def runs_out_soon(self) -> bool:
        """In the last week of what lasted longer and was agreed to before."""
        last_week = self.last - 6
        return not self.over and max(self.first, self.agreed) < last_week <= self.day

    def holds(self, by: Actor) -> bool:
        """Whether somebody acts for the holder."""
        return by == manager or (by.id == self.contact and self._account_of(by) != "suspended")

    def works(self, by: Actor) -> bool:
        """Whether somebody acts for the contractor."""
        return by.id in self.linked and self._account_of(by) == "open"

    def _account_of(self, by: Actor) -> str:
        return "none" if by.id is None else self.accounts.get(by.id, "none")


class ContractMachine(RuleBasedStateMachine):
    """One contract, three people, two documents."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.contract = contract_after(*signed)
        self.accounts = {person: Account() for person in PEOPLE}
        self.links = {person: ContractLink() for person in PEOPLE}
        self.ids = 1000

    @property
    def now(self) -> datetime:
        """The first half hour of the model's day."""
        return NIGHTLY + timedelta(days=self.model.day)

    # One rule, for Hypothesis leaves out whole rules at random, and all are needed to get far.
    @rule(
        wish=st.sampled_from(WISHES),
        person=st.sampled_from(PEOPLE),
        by=st.sampled_from(["contact"] * 4 + ["themselves"] * 4 + ["manager", "another"]),
        another=st.sampled_from(PEOPLE),
        document=st.sampled_from(DOCUMENTS),
        version=st.integers(1, 3),
        code=st.sampled_from(ROLES),
        days=st.sampled_from([0, 0, 0, 0, 1, 30, 200]),
        span=st.tuples(st.integers(-40, 40), st.integers(-1, 80)),
    )
    def something_is_asked(
        self,
        *,
        wish: str,
        person: UUID,
        by: str,
        another: UUID,
        document: UUID,
        version: int,
        code: str,
        days: int,
        span: tuple[int, int],
    ) -> None:
        """Somebody asks for something, and gets it just where the model says so."""
        self.model.day += days
        actor = {
            "contact": Actor(kind=ActorKind.PERSON, id=self.model.contact),
            "themselves": Actor(kind=ActorKind.PERSON, id=person),
            "another": Actor(kind=ActorKind.PERSON, id=another),
            "manager": manager,
        }[by]
        if wish in ("remind", "expire"):
            actor = system
        first = self.model.day + span[0]
        last = first + span[1]
        asking = Asking(wish, actor, person, another, document, version, code, first, last)
        may = self._model_does(asking)
        if wish in FACTS:
            if may:
                self._account_changes(wish, person)
            return
        assert self._is_done(asking) is may, wish

    def _is_done(self, asking: Asking) -> bool:
        command = self._command(asking)
        try:
            refuse_unless_may_give(asking.by, type(command))
            self._decide(command, asking)
        except Refused:
            return False
        return True

    def _command(self, asking: Asking) -> ContractCommand:
        at, contract = self.now, CONTRACT
        code, document, version = asking.code, asking.document, asking.version
        match asking.wish:
            case "link":
                return LinkPerson(
                    at=at, contract=contract, given_name="Ana", paternal_surname="Rojas",
                    email="ana@example.com", phone="+56961234567",
                )  # fmt: skip
            case "unlink":
                return UnlinkPerson(at=at, contract=contract, account=WHO)
            case "publish":
                # Each file is another one, or the version would not change.
                self.ids += 1
                return PublishInformationDocument(
                    at=at, contract=contract, document=document, code="safety",
                    sha256=SHA256, size_bytes=self.ids,
                )  # fmt: skip
            case "withdraw":
                return WithdrawInformationDocument(at=at, contract=contract, document=document)
            case "download":
                return DownloadInformationDocument(
                    at=at, contract=contract, account=WHO, document=document, version=version
                )
            case "read":
                return MarkInformationDocumentAsRead(
                    at=at, contract=contract, account=WHO, document=document, version=version
                )
            case "fill":
                return FillRole(
                    at=at, contract=contract, role=code, account=f"person:{asking.another}"
                )
            case "vacate":
                return VacateRole(at=at, contract=contract, role=code)
            case "require":
                return RequireRoles(at=at, contract=contract, roles=(code,))
            case "risk":
                return LinkRisk(at=at, contract=contract, risk=code)
            case "no risk":
                return UnlinkRisk(at=at, contract=contract, risk=code)
            case "contact":
                return NameContact(
                    at=at, contract=contract, name="Inés Cano", email="ines@example.com"
                )
            case "end":
                return EndContract(at=at, contract=contract)
            case "remind":
                return RemindContract(at=at, contract=contract)
            case "expire":
                return ExpireContract(at=at, contract=contract)
            case _:
                return ReactivateContract(
                    at=at,
                    contract=contract,
                    valid_from=day(asking.first),
                    valid_to=day(asking.last),
                )

    # ------------------------------------------------------------ what the domain does

    def _decide(self, command: ContractCommand, asking: Asking) -> None:
        if isinstance(command, ContractDecision):
            self._decide_contract(command, asking)
        elif isinstance(command, ContractLinkDecision):
            self._decide_link(command, asking)

    def _asker(self, actor: Actor) -> tuple[Account, ContractLink]:
        if actor.id is None or actor.id not in self.accounts:
            return Account(), ContractLink()
        return self.accounts[actor.id], self.links[actor.id]

    def _decide_contract(self, command: ContractDecision, asking: Asking) -> None:
        asker, link = self._asker(asking.by)
        around = ContractSurroundings(
            asker=asker,
            linked=link.links(asker),
            filler=asking.another
            if self.links[asking.another].links(self.accounts[asking.another])
            else None,
            contact=asking.another,
        )
        for event in decide_contract(command, asking.by, self.contract, around):
            self.contract = contract_decider.evolve(self.contract, event)

    def _decide_link(self, command: ContractLinkDecision, asking: Asking) -> None:
        self.ids += 1
        person = asking.person
        around = ContractLinkSurroundings(
            contract=self.contract,
            asker=self._asker(asking.by)[0],
            account=self.accounts[person],
            person=person,
            new_account=UUID(int=self.ids),
        )
        for event in decide_link(command, asking.by, self.links[person], around):
            if isinstance(event, UserRegistered):
                self._happens(person, event)
            elif isinstance(event, RoleVacated):
                self.contract = contract_decider.evolve(self.contract, event)
            else:
                self.links[person] = contract_link_decider.evolve(self.links[person], event)

    def _account_changes(self, wish: str, person: UUID) -> None:
        """Whoever may do so is told elsewhere."""
        about = {"account": self.accounts[person].id, "person": person}
        self._happens(person, FACTS[wish].model_copy(update=about))

    def _happens(self, person: UUID, event: AccountEvent) -> None:
        self.accounts[person] = account_decider.evolve(self.accounts[person], event)

    # ------------------------------------------------------------ what the model does

    def _model_does(self, asking: Asking) -> bool:
        """Whether it is allowed; and then does it."""
        match asking.wish:
            case "link":
                return self._model_links(asking)
            case "suspend":
                return self._model_account(asking.person, "open", "suspended")
            case "reinstate":
                return self._model_account(asking.person, "suspended", "open")
            case "close":
                return self._model_closes(asking.person)
            case "download" | "read":
                return self._model_reads(asking)
            case "risk" | "no risk" | "fill" | "vacate":
                return self._model_works(asking)
            case "remind" | "expire":
                return self._model_runs_out(asking.wish)
            case _:
                return self.model.holds(asking.by) and self._model_holds(asking)

    def _model_account(self, person: UUID, before: str, after: str) -> bool:
        allowed = self.model.accounts[person] == before
        if allowed:
            self.model.accounts[person] = after
        return allowed

    def _model_links(self, asking: Asking) -> bool:
        model, person = self.model, asking.person
        if asking.by == manager or not model.holds(asking.by) or model.over:
            return False
        if model.accounts[person] in ("none", "closed"):
            model.accounts[person] = "open"
        model.linked.add(person)
        model.ever.add(person)
        return True

    def _model_closes(self, person: UUID) -> bool:
        model = self.model
        if model.accounts[person] not in ("open", "suspended"):
            return False
        model.accounts[person] = "closed"
        model.linked.discard(person)
        for each in (model.downloaded, model.read):
            each.difference_update({entry for entry in each if entry[0] == person})
        return True

    def _model_reads(self, asking: Asking) -> bool:
        model = self.model
        entry = (asking.person, asking.document, asking.version)
        published = model.versions.get(asking.document, 0)
        if asking.by.id != asking.person or asking.version > published:
            return False
        if not model.works(asking.by):
            return False
        if asking.wish == "download":
            model.downloaded.add(entry)
        elif entry in model.downloaded:
            model.read.add(entry)
        return entry in model.downloaded

    def _model_works(self, asking: Asking) -> bool:
        model, code = self.model, asking.code
        if not model.works(asking.by):
            return False
        match asking.wish:
            case "risk":
                model.risks.add(code)
            case "no risk":
                model.risks.discard(code)
            case "vacate":
                model.roles.pop(code, None)
            case _:
                if code not in model.required or asking.another not in model.linked:
                    return False
                model.roles[code] = asking.another
        return True

    def _model_holds(self, asking: Asking) -> bool:
        model, person, document = self.model, asking.person, asking.document
        match asking.wish:
            case "unlink":
                # That of an account that was closed since counts as linked until it is taken back.
                model.linked.discard(person)
                if person in model.ever:
                    model.roles = {r: who for r, who in model.roles.items() if who != person}
                return person in model.ever
            case "publish":
                model.versions[document] = model.versions.get(document, 0) + 1
                model.withdrawn.discard(document)
            case "withdraw":
                if document in model.versions:
                    model.withdrawn.add(document)
                return document in model.versions
            case "require":
                model.required = {asking.code}
            case "contact":
                model.contact = asking.another
            case "end":
                if model.over:
                    return False
                model.ended = True
            case _:
                return self._model_reactivates(asking.first, asking.last)
        return True

    def _model_runs_out(self, wish: str) -> bool:
        model = self.model
        if model.ran_out:
            model.expired = True
            return True
        if wish == "expire":
            return False
        if model.runs_out_soon:
            model.reminded_for = model.last
        return model.reminded_for == model.last

    def _model_reactivates(self, first: int, last: int) -> bool:
        model = self.model
        in_force = not model.ended and model.first <= model.day <= model.last
        if last < first or last < model.day:
            return False
        if in_force and (first > model.day or last < model.last):
            return False
        if not in_force or (first, last) != (model.first, model.last):
            model.agreed = model.day
        model.first, model.last, model.ended, model.expired = first, last, False, False
        return True

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_contract_is_what_the_model_says(self) -> None:
        """C1, C3, C4, C6: its days, its contact, and what it asks for."""
        model, contract = self.model, self.contract
        in_force = not model.ended and model.first <= model.day <= model.last
        assert contract.in_force(self.now) is in_force
        assert contract.over(self.now) is model.over
        assert contract.contact == model.contact
        assert contract.risks == model.risks
        assert contract.required_roles == model.required
        assert contract.roles == model.roles
        assert {d: each.version for d, each in contract.documents.items()} == model.versions
        assert {d for d, each in contract.documents.items() if each.withdrawn} == model.withdrawn

    @invariant()
    def what_is_due_is_due_until_it_is_done(self) -> None:
        """C3: the clock is refused before its instant, never from then on, and then it is done."""
        model, dues = self.model, due_of_contract(self.contract)
        waits = not model.ended and not model.expired
        assert (DueKind.CONTRACT_EXPIRY in {due.kind for due in dues}) is waits
        for due in dues:
            with pytest.raises(Refused):
                self._clock_does(due.kind, due.at - AN_INSTANT)
            for at in (due.at, due.at + timedelta(days=400)):
                assert due not in due_of_contract(self._clock_does(due.kind, at))

    def _clock_does(self, kind: DueKind, at: datetime) -> Contract:
        """The contract after the clock did what is due."""
        command = CLOCK_GIVES[kind](at=at, contract=CONTRACT)
        [event] = decide_contract(command, system, self.contract, ContractSurroundings())
        return contract_decider.evolve(self.contract, event)

    @invariant()
    def its_people_are_what_the_model_says(self) -> None:
        """A2, A10, C2, C4: who is linked, and who has downloaded and read what."""
        model = self.model
        for person, link in self.links.items():
            assert link.links(self.accounts[person]) is (person in model.linked)
            if person in model.linked:
                assert link.downloaded == {(d, v) for p, d, v in model.downloaded if p == person}
                assert link.read == {(d, v) for p, d, v in model.read if p == person}
                assert link.read <= link.downloaded

    @invariant()
    def nobody_has_a_role_who_was_unlinked(self) -> None:
        """C4: roles go with the link; whoever closed an account keeps theirs until unlinked."""
        for person in self.contract.roles.values():
            assert self.links[person].linked
            assert self.accounts[person].standing is not Standing.NONE


def day(number: int) -> date:
    """A day of the model."""
    return FIRST_DAY + timedelta(days=number)


RULES = ("A2", "A10", "C1", "C2", "C3", "C4")


@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_contract_and_its_people() -> None:
    """Its rules hold in any order."""
    run_state_machine_as_test(ContractMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_contract_and_its_people_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(ContractMachine)
