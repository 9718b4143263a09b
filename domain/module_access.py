"""What a module rests on: one complete contract in force that opens it (C2 to C4).

A person has to do with a contract once they were linked to it. The one that is weighed is the
contract as the person finds it: their link, its days, its documents and what they did with them,
its risks and its roles. ``domain.obstacles`` says what stands in the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias
from uuid import UUID

from domain.access_facts import (
    AccessFact,
    AccessFactKind,
    Placed,
    known_at,
    last_of,
    of_subject,
    places_of,
    weigh_standing,
)

__all__ = [
    "ContractAccessFacts",
    "ContractDays",
    "DocumentFacts",
    "ModuleFacts",
    "RoleFacts",
    "WeighedModule",
    "weigh_module",
]


class ContractDays(StrEnum):
    """Where an instant lies among the days of a contract."""

    IN_FORCE = "in_force"
    NOT_BEGUN = "not_begun"
    RUN_OUT = "run_out"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """An information document in its latest version, and whether the person has read that."""

    code: str
    version: int
    read: bool


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """A role that the contractor has to fill, and whether somebody has it."""

    code: str
    filled: bool


@dataclass(frozen=True, slots=True)
class ContractAccessFacts:
    """What is so of a contract at an instant, for one person.

    Attributes:
        linked: the person is linked to it; they were, in any case.
        days: whether it is in force.
        validity: from the first instant to the first past the last day; None once it was ended.
        documents: those that everybody linked has to read.
        has_risk: a risk is linked to it.
        contact: the person at the holder who looks after the contractor.
        validator: the person who checks its documents.
    """

    contract: UUID
    linked: bool
    days: ContractDays
    validity: tuple[datetime, datetime] | None = None
    documents: tuple[DocumentFacts, ...] = ()
    has_risk: bool = False
    roles: tuple[RoleFacts, ...] = ()
    contact: UUID | None = None
    validator: UUID | None = None

    @property
    def unread(self) -> tuple[str, ...]:
        """What the documents are called that the person has yet to read."""
        return tuple(each.code for each in self.documents if not each.read)

    @property
    def vacant(self) -> tuple[str, ...]:
        """The roles that nobody has."""
        return tuple(each.code for each in self.roles if not each.filled)

    @property
    def complete(self) -> bool:
        """Nothing is missing: it opens its modules to the person."""
        return (
            self.linked
            and self.days is ContractDays.IN_FORCE
            and not self.unread
            and self.has_risk
            and not self.vacant
        )


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What access to a module at one instant rests on.

    Attributes:
        reinstated: the account had been suspended, and is no longer.
        contracts: those that open the module to which the person is or was linked, the one last
            linked or unlinked first; where one is complete, that one alone.
    """

    registered: bool = False
    closed: bool = False
    suspended: bool = False
    reinstated: bool = False
    contracts: tuple[ContractAccessFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class WeighedModule:
    """What is so at an instant, and the facts that it rests on, by their place in the list.

    Attributes:
        contacts: of these, the ones that name the people whom an obstacle says to contact.
    """

    facts: ModuleFacts
    evidence: tuple[int, ...]
    contacts: tuple[int, ...] = ()


def weigh_module(
    facts: Sequence[AccessFact], at: datetime, *, account: UUID | None, module: str
) -> WeighedModule:
    """What a module rests on at an instant.

    What was undone is left aside together with what undid it: a document that was withdrawn, a
    risk that was unlinked, a role that was vacated.

    Args:
        facts: the account's and those of the contracts to which it was linked, in log order; those
            of a later business time are left aside.
        at: the instant.
        account: the account; None for somebody who has none.
        module: by code.
    """
    known = known_at(facts, at)
    own = of_subject(known, account)
    standing = weigh_standing(own)
    if standing.registered is None:
        return WeighedModule(ModuleFacts(), ())
    if standing.closed is not None:
        closed = ModuleFacts(registered=True, closed=True)
        return WeighedModule(closed, places_of(standing.resting_on))
    weighed = _weigh_contracts(known, own, at, module)
    resting_on: list[Placed | None] = [*standing.resting_on]
    contacts: list[Placed | None] = []
    for each in weighed:
        resting_on += each.resting_on
        contacts += each.contacts
    return WeighedModule(
        ModuleFacts(
            registered=True,
            suspended=standing.suspended is not None,
            reinstated=standing.reinstated is not None,
            contracts=tuple([each.facts for each in weighed]),
        ),
        places_of(resting_on),
        places_of(contacts),
    )


_OPENING = frozenset({AccessFactKind.CONTRACT_OPENED})
_CONTACT = frozenset({AccessFactKind.CONTACT_NAMED})
_VALIDATOR = frozenset({AccessFactKind.VALIDATOR_NAMED})
_LINK = frozenset({AccessFactKind.LINKED, AccessFactKind.UNLINKED})
_VALIDITY = frozenset({AccessFactKind.CONTRACT_OPENED, AccessFactKind.CONTRACT_REACTIVATED})
_COURSE = _VALIDITY | {AccessFactKind.CONTRACT_ENDED}
_REQUIREMENT = frozenset({AccessFactKind.CONTRACT_OPENED, AccessFactKind.ROLES_REQUIRED})
_PUBLICATION = frozenset({AccessFactKind.DOCUMENT_PUBLISHED, AccessFactKind.DOCUMENT_WITHDRAWN})

# ---------------------------------------------------------------- one contract


class _WeighedContract(NamedTuple):
    """What is so of a contract, and what that rests on; None among it stands for nothing."""

    facts: ContractAccessFacts
    complete: bool
    resting_on: Sequence[Placed | None]
    contacts: Sequence[Placed | None]


def _weigh_contracts(
    known: Sequence[Placed], own: Sequence[Placed], at: datetime, module: str
) -> list[_WeighedContract]:
    """The contracts that open the module, the one last linked or unlinked first.

    One that is complete is enough (C4); where none is, all of them are in question.
    """
    links = {placed[1].contract: placed for placed in own if placed[1].kind in _LINK}
    weighed: list[_WeighedContract] = []
    for link in sorted(links.values(), reverse=True):
        contract = link[1].contract
        of_it = of_subject(known, contract)
        opened = last_of(of_it, _OPENING)
        if opened is not None and module in opened[1].modules:
            done = [placed for placed in own if placed[1].contract == contract]
            each = _weigh_contract(link, opened, of_it, done, at)
            if each.complete:
                return [each]
            weighed.append(each)
    return weighed


def _weigh_contract(
    link: Placed,
    opened: Placed,
    of_it: Sequence[Placed],
    done: Sequence[Placed],
    at: datetime,
) -> _WeighedContract:
    """What is so of a contract, from its own facts and from what the person did under it."""
    days, validity, course = _weigh_days(opened, of_it, at)
    documents, reading = _weigh_documents(of_it, done)
    roles, filling = _weigh_roles(opened, of_it)
    risk = _first_risk(of_it)
    contact, validator = last_of(of_it, _CONTACT), last_of(of_it, _VALIDATOR)
    facts = ContractAccessFacts(
        opened[1].subject,
        linked=link[1].kind is AccessFactKind.LINKED,
        days=days,
        validity=validity,
        documents=documents,
        has_risk=risk is not None,
        roles=roles,
        contact=contact[1].named if contact else None,
        validator=validator[1].named if validator else None,
    )
    complete = facts.complete
    contacts = () if complete else (contact, validator if facts.unread else None)
    resting_on = (link, opened, course, *reading, risk, *filling, *contacts)
    return _WeighedContract(facts, complete, resting_on, contacts)


_Days: TypeAlias = tuple[ContractDays, tuple[datetime, datetime] | None, Placed]


def _weigh_days(opened: Placed, of_it: Sequence[Placed], at: datetime) -> _Days:
    """Whether it is in force, from when to when, and what said so after its opening (C3)."""
    last = last_of(of_it, _COURSE)
    if last is not None and last[1].kind is AccessFactKind.CONTRACT_ENDED:
        return ContractDays.ENDED, None, last
    # A reactivation to the very same days says nothing that the opening did not.
    basis = last_of(of_it, _VALIDITY) or opened
    if basis is not opened and _interval(basis) == _interval(opened):
        basis = opened
    starts_at, ends_at = validity = _interval(basis)
    if at < starts_at:
        return ContractDays.NOT_BEGUN, validity, basis
    return (ContractDays.IN_FORCE if at < ends_at else ContractDays.RUN_OUT), validity, basis


def _interval(placed: Placed) -> tuple[datetime, datetime]:
    _, fact = placed
    if fact.starts_at is None or fact.ends_at is None:
        raise ValueError("a contract has a first day and a last")
    return fact.starts_at, fact.ends_at


def _weigh_documents(
    of_it: Sequence[Placed], done: Sequence[Placed]
) -> tuple[tuple[DocumentFacts, ...], list[Placed]]:
    """The documents in their latest versions, and whether each was downloaded and read (C4)."""
    # One published again stands where that was.
    publications: dict[UUID | None, Placed] = {}
    for placed in of_it:
        if placed[1].kind in _PUBLICATION:
            publications.pop(placed[1].document, None)
            publications[placed[1].document] = placed
    documents: list[DocumentFacts] = []
    resting_on: list[Placed] = []
    for publication in publications.values():
        _, fact = publication
        if fact.kind is not AccessFactKind.DOCUMENT_PUBLISHED:
            continue
        downloaded = _first_done(done, AccessFactKind.DOWNLOADED, fact)
        marked = _first_done(done, AccessFactKind.MARKED_AS_READ, fact)
        resting_on.append(publication)
        if downloaded is None or marked is None:
            documents.append(DocumentFacts(fact.code or "", fact.version or 0, read=False))
        else:
            documents.append(DocumentFacts(fact.code or "", fact.version or 0, read=True))
            resting_on += [downloaded, marked]
    return tuple(documents), resting_on


def _first_done(
    done: Sequence[Placed], kind: AccessFactKind, published: AccessFact
) -> Placed | None:
    """When the person first did this with a version of a document; None where they never did."""
    for placed in done:
        fact = placed[1]
        if (
            fact.kind is kind
            and fact.version == published.version
            and fact.document == published.document
        ):
            return placed
    return None


def _first_risk(of_it: Sequence[Placed]) -> Placed | None:
    """The first of the risks that are linked: one is enough (C4)."""
    linked: dict[str | None, Placed] = {}
    for placed in of_it:
        if placed[1].kind is AccessFactKind.RISK_LINKED:
            linked[placed[1].code] = placed
        elif placed[1].kind is AccessFactKind.RISK_UNLINKED:
            linked.pop(placed[1].code, None)
    return min(linked.values(), default=None)


def _weigh_roles(
    opened: Placed, of_it: Sequence[Placed]
) -> tuple[tuple[RoleFacts, ...], list[Placed]]:
    """The roles that are required now, and whether somebody has each (C4)."""
    basis = last_of(of_it, _REQUIREMENT) or opened
    if basis is not opened and set(basis[1].roles) == set(opened[1].roles):
        basis = opened
    filled: dict[str | None, Placed] = {}
    for placed in of_it:
        if placed[1].kind is AccessFactKind.ROLE_FILLED:
            filled[placed[1].code] = placed
        elif placed[1].kind is AccessFactKind.ROLE_VACATED:
            filled.pop(placed[1].code, None)
    required = basis[1].roles
    roles = tuple([RoleFacts(code, code in filled) for code in required])
    return roles, [basis, *[filled[code] for code in required if code in filled]]
