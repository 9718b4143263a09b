"""Read model of access: the facts that answers rest on, by whose they are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, LiteralString, NamedTuple, TypeAlias, assert_never
from uuid import UUID

from psycopg import Connection

from domain.access import weigh_administration, weigh_content
from domain.access_facts import (
    MEMBERSHIP,
    AccessFact,
    AccessFactKind,
    access_fact,
    known_at,
)
from domain.account import Role
from domain.contract import ValidatorKind, ValidatorNamed
from domain.event import Recorded
from domain.module_access import weigh_module
from domain.obstacles import (
    Obstacle,
    administration_obstacles,
    content_obstacles,
    module_obstacles,
)
from domain.streams import contract_link_of, subscription_of
from projections.projection import Projection, SealedValue, Table, sealed_for, sealed_values

__all__ = [
    "FACTS",
    "Access",
    "AccessAnswer",
    "Administration",
    "Content",
    "ContractContact",
    "Evidence",
    "Module",
    "Row",
    "Thing",
    "access_answer",
    "parse_thing",
    "streams_of",
]


class Access(Projection):
    """A row for each event that means something for access (X3).

    Personal values stay sealed as they stand in the log: those of a contract's contact and of its
    validator, whom an answer may name.
    """

    name: ClassVar[str] = "access"
    version: ClassVar[int] = 5
    aggregates: ClassVar[frozenset[str] | None] = frozenset(
        {"account", "subscription", "invitation", "contract", "contract_link"}
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "access_facts",
            {
                "subject": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "event_id": "uuid NOT NULL",
                "topic": "text NOT NULL",
                "stream": "uuid NOT NULL",
                "person": "uuid NOT NULL",
                "fact": "text NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "starts_at": "timestamptz",
                "ends_at": "timestamptz",
                "plan": "uuid",
                "role": "text",
                "contract": "uuid",
                "document": "uuid",
                "version": "int4",
                "code": "text",
                "modules": "text[]",
                "roles": "text[]",
                "named": "uuid",
                "validator_kind": "text",
                "name": "text",
                "email": "text",
                "phone": "text",
                "renewed_by": "timestamptz",
            },
            key=("subject", "position"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the facts of a batch."""
        self.tables[0].insert(
            connection,
            (
                _stored(entry, fact)
                for entry in batch
                if (fact := access_fact(entry.event)) is not None
            ),
        )


def _stored(entry: Recorded, fact: AccessFact) -> tuple[object, ...]:
    event = entry.event
    sealed = sealed_values(event) if fact.named else {}
    return (
        fact.subject,
        entry.position,
        entry.event_id,
        event.TOPIC,
        entry.stream,
        event.person,
        fact.kind.value,
        fact.occurred_at,
        fact.starts_at,
        fact.ends_at,
        fact.plan,
        fact.role and fact.role.value,
        fact.contract,
        fact.document,
        fact.version,
        fact.code,
        list(fact.modules) or None,
        list(fact.roles) or None,
        fact.named,
        event.kind.value if isinstance(event, ValidatorNamed) else None,
        sealed.get("name"),
        sealed.get("email"),
        sealed.get("phone"),
        fact.renewed_by,
    )


# ---------------------------------------------------------------- what is asked about


@dataclass(frozen=True, slots=True)
class Content:
    """All study content."""


@dataclass(frozen=True, slots=True)
class Administration:
    """The administration of an institutional plan."""

    plan: UUID


@dataclass(frozen=True, slots=True)
class Module:
    """A module that contracts open, by code."""

    name: str


Thing: TypeAlias = Content | Administration | Module

_MODULE = re.compile(r"[a-z0-9][a-z0-9_./-]{0,79}")


@lru_cache
def parse_thing(text: str) -> Thing:
    """What somebody may have access to: ``content``, ``plan:ID:administer`` or ``module:NAME``.

    Raises:
        ValueError: there is no such thing; it says what there is.
    """
    match text.split(":"):
        case ["content"]:
            return Content()
        case ["plan", plan, "administer"] if (known := _uuid(plan)) is not None:
            return Administration(known)
        case ["module", name] if _MODULE.fullmatch(name):
            return Module(name)
        case _:
            raise ValueError("ask for: content, module:NAME, or plan:ID:administer")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# ---------------------------------------------------------------- the answer


class Evidence(NamedTuple):
    """An event that an answer rests on; a tuple, since an answer makes many."""

    position: int
    event_id: UUID
    topic: str


@dataclass(frozen=True, slots=True)
class ContractContact:
    """Somebody whom an obstacle says to contact, as the ledger names them (C6).

    Attributes:
        contract: the contract whose contact or validator it is.
        person: who it is.
        event_id: the event that ``name``, ``email`` and ``phone`` are sealed for.
        validator_kind: of a validator, whose technician it is; None for the contact at the holder.
    """

    contract: UUID
    person: UUID
    event_id: UUID
    validator_kind: ValidatorKind | None
    name: str | None
    email: str | None
    phone: str | None

    @property
    def sealed(self) -> tuple[SealedValue, ...]:
        """How to reach them, as far as it was given."""
        given = {"name": self.name, "email": self.email, "phone": self.phone}
        return sealed_for(
            self.event_id, {field: value for field, value in given.items() if value is not None}
        )

    @property
    def kind(self) -> str:
        """``contact`` or ``validator``."""
        return "contact" if self.validator_kind is None else "validator"


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Whether a person has access to a thing at an instant, and why (X1 to X3).

    Attributes:
        obstacles: the rules in the way, in the order in which a person would clear them; none
            where the answer is yes.
        evidence: the events that the answer rests on.
        position: the position of the log up to which the answer knows.
        contacts: whom the obstacles of contracts say to contact.
    """

    account: UUID | None
    person: UUID | None
    at: datetime
    obstacles: tuple[Obstacle, ...]
    evidence: tuple[Evidence, ...]
    position: int
    contacts: tuple[ContractContact, ...] = ()

    @property
    def allowed(self) -> bool:
        """Yes or no."""
        return not self.obstacles


Row: TypeAlias = tuple[Any, ...]
"""A row as ``FACTS`` gives it; what stands behind it in the row is somebody else's."""

# One array of subjects, so that the index is used however many rows there are.
FACTS: LiteralString = """
    SELECT position, event_id, topic, stream, validator_kind, name, email, phone,
           fact, subject, occurred_at, starts_at, ends_at, plan, role,
           contract, document, version, code, modules, roles, named, renewed_by
    FROM projections.access_facts
    WHERE subject = ANY(ARRAY[%(account)s, %(person)s]::uuid[]
                        || ARRAY(SELECT DISTINCT coalesce(plan, contract)
                                 FROM projections.access_facts
                                 WHERE subject = %(account)s
                                   AND fact IN ('role', 'linked', 'unlinked')))
    ORDER BY position
"""
"""The facts of an account, its plans and contracts, and its person's invitations, in log order.

Parameters ``account`` and ``person``; either may be NULL.
"""

_STREAM = 3
_FACT = slice(8, 23)


def access_answer(
    thing: Thing,
    rows: Sequence[Row],
    account: UUID | None,
    person: UUID | None,
    at: datetime,
    *,
    position: int,
) -> AccessAnswer:
    """Whether somebody has access to a thing, from the facts alone.

    Args:
        thing: what is asked about.
        rows: as ``FACTS`` gives them for the account and the person.
        account: the account; None where there is none, which is a no.
        person: the person meant, who may have been invited; None where nobody is meant.
        at: the instant.
        position: up to which the facts are known.
    """
    facts = [_fact(row) for row in rows]
    contacts: tuple[int, ...] = ()
    match thing:
        case Content():
            weighed = weigh_content(facts, at, account=account)
            obstacles = content_obstacles(weighed.facts)
            evidence = weighed.evidence
        case Administration(plan):
            administration = weigh_administration(facts, at, account=account, plan=plan)
            obstacles = administration_obstacles(administration.facts)
            evidence = administration.evidence
        case Module(name):
            module = weigh_module(facts, at, account=account, module=name)
            obstacles = module_obstacles(module.facts)
            evidence, contacts = module.evidence, module.contacts
        case _:
            assert_never(thing)
    return AccessAnswer(
        account,
        person,
        at,
        obstacles,
        tuple([Evidence(*rows[place][:_STREAM]) for place in evidence]),
        position,
        tuple([_contact(rows[place], facts[place]) for place in contacts]),
    )


def streams_of(
    thing: Thing,
    rows: Sequence[Row],
    account: UUID | None,
    person: UUID | None,
    at: datetime,
) -> set[UUID]:
    """Every stream in which evidence of the answer could stand, applied or not (X6).

    For content these are the account, its subscription and the plans of which it is a member; for
    the administration of a plan, the account; for a module, the account and each contract to which
    it was linked, unless that is known to open other modules; without an account, the invitations.

    Args:
        thing: what is asked about.
        rows: as ``FACTS`` gives them for the account and the person.
        account: the account; None where there is none.
        person: the person meant; None where nobody is meant.
        at: the instant.
    """
    if account is None:
        return {row[_STREAM] for row in rows}
    known = [fact for _, fact in known_at([_fact(row) for row in rows], at)]
    own = [fact for fact in known if fact.subject == account]
    match thing:
        case Content():
            return {account, subscription_of(account), *_plans_joined(own)}
        case Administration():
            return {account}
        case Module(name):
            linked = {fact.contract for fact in own if fact.contract is not None}
            of_others = {
                fact.subject
                for fact in known
                if fact.kind is AccessFactKind.CONTRACT_OPENED and name not in fact.modules
            }
            contracts = linked - of_others
            links = {contract_link_of(each, person) for each in contracts if person is not None}
            return {account} | contracts | links
        case _:
            assert_never(thing)


def _plans_joined(own: Sequence[AccessFact]) -> set[UUID]:
    """The plans of which an account is a member by its last word on each."""
    last = {fact.plan: fact.kind for fact in own if fact.kind in MEMBERSHIP}
    return {plan for plan, kind in last.items() if plan and kind is AccessFactKind.ROLE}


_KINDS: dict[str, AccessFactKind] = {kind.value: kind for kind in AccessFactKind}


def _fact(row: Row) -> AccessFact:
    (
        kind, subject, at, starts_at, ends_at, plan, role,
        contract, document, version, code, modules, roles, named, renewed_by,
    ) = row[_FACT]  # fmt: skip
    return AccessFact(
        _KINDS[kind],
        subject,
        at,
        starts_at,
        ends_at,
        plan,
        None if role is None else Role(role),
        contract,
        document,
        version,
        code,
        tuple(modules) if modules else (),
        tuple(roles) if roles else (),
        named,
        renewed_by,
    )


def _contact(row: Row, fact: AccessFact) -> ContractContact:
    _, event_id, _, _, kind, name, email, phone = row[: _FACT.start]
    if fact.contract is None or fact.named is None:
        raise ValueError("only somebody who was named for a contract is a contact of it")
    validator_kind = ValidatorKind(kind) if kind else None
    return ContractContact(fact.contract, fact.named, event_id, validator_kind, name, email, phone)
