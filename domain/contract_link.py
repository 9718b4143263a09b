"""Contract link: a person of a contractor under one contract (rules C1, C2, C4).

A stream for each person and contract, so that a contract stays short however many people and
documents it has. ``domain.contract`` has what holds for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Annotated, TypedDict, assert_never
from uuid import UUID

from pydantic import Field

from domain.account import (
    Account,
    AccountKind,
    Standing,
    UserRegistered,
    known_account,
    refuse_if_closed,
    refuse_if_suspended,
    refuse_unless_owner,
)
from domain.account import evolve as evolve_account
from domain.actor import Actor
from domain.calendar import TimeZone
from domain.contract import (
    Contract,
    ContractCommand,
    RoleVacated,
    known_actor,
    known_contract,
    known_document,
    refuse_unless_for_holder,
    refuse_unless_linked,
)
from domain.decider import Decider
from domain.event import EventOfAccount
from domain.identity import Email, Language, MobilePhone, PersonName, Rut, Who
from domain.invitation import Holder
from domain.personal import Personal, PersonalText, Purpose
from domain.refusal import Refused, refuse_for

IDENTITY = Personal(of="person", purpose=Purpose.IDENTITY)


class UnlinkReason(StrEnum):
    """Why somebody is linked to a contract no longer, in clear."""

    LEFT = "left"
    MISTAKE = "mistake"
    REQUEST = "request"
    OTHER = "other"


# ---------------------------------------------------------------- events


class ContractLinkFact(EventOfAccount, aggregate="contract_link"):
    """What all facts about a person under a contract carry."""

    contract: UUID
    """The contract."""


class PersonLinked(ContractLinkFact):
    """The holder gave a person of the contractor access; word of it goes to the address (C2)."""

    email: Annotated[PersonalText, IDENTITY]
    """The address by which the person was linked, and to which word goes; the user code."""
    language: str
    """The language in which the person is addressed."""


class PersonUnlinked(ContractLinkFact):
    """The holder took the access back that this contract gave."""

    reason: UnlinkReason
    """Why, in clear."""


class InformationDocumentDownloaded(ContractLinkFact):
    """The person downloaded a version of an information document (C4)."""

    document: UUID
    """The document."""
    version: int
    """Which version of it."""


class InformationDocumentMarkedAsRead(ContractLinkFact):
    """The person said that they have read a version that they had downloaded (C4)."""

    document: UUID
    """The document."""
    version: int
    """Which version of it."""


ContractLinkEvent = (
    PersonLinked | PersonUnlinked | InformationDocumentDownloaded | InformationDocumentMarkedAsRead
)

# ---------------------------------------------------------------- commands


class LinkPerson(ContractCommand):
    """Gives a person of the contractor access; makes their account where they have none."""

    given_name: PersonName
    """Given name."""
    paternal_surname: PersonName
    """First surname."""
    maternal_surname: PersonName | None = None
    """Second surname."""
    email: Email
    """The address to which word goes; it becomes the user code."""
    phone: MobilePhone
    """Mobile number with its country code."""
    rut: Rut | None = None
    """RUT with its check digit, where there is one."""
    language: Language = "es"
    """The language in which the person is addressed."""
    time_zone: TimeZone = "Europe/Madrid"
    """The time zone in which the person lives."""


class ContractLinkCommand(ContractCommand, abstract=True):
    """A command about a person who was linked to a contract."""

    account: Who
    """The person's account: an e-mail, person:ID or account:ID."""


class UnlinkPerson(ContractLinkCommand):
    """Takes the access back that a contract gave a person."""

    reason: UnlinkReason = UnlinkReason.OTHER
    """Why, in clear."""


DocumentVersion = Annotated[int, Field(strict=True, gt=0)]
"""1, 2, 3."""


class DownloadInformationDocument(ContractLinkCommand):
    """Says that a person downloaded a version of a document."""

    document: UUID
    """Id of the document."""
    version: DocumentVersion
    """Which version of it."""


class MarkInformationDocumentAsRead(ContractLinkCommand):
    """Says that a person has read a version of a document."""

    document: UUID
    """Id of the document."""
    version: DocumentVersion
    """Which version of it."""


ContractLinkDecision = (
    LinkPerson | UnlinkPerson | DownloadInformationDocument | MarkInformationDocumentAsRead
)

# ---------------------------------------------------------------- state


@dataclass(frozen=True, slots=True)
class ContractLink:
    """What decisions about a person under a contract rest on.

    Attributes:
        account: the account that was linked last; what was read was read by its owner.
        linked: it has not been unlinked since.
        downloaded: documents with the version that the person downloaded.
        read: those of them that the person said they had read.
    """

    account: UUID | None = None
    person: UUID | None = None
    contract: UUID | None = None
    linked: bool = False
    downloaded: frozenset[tuple[UUID, int]] = frozenset()
    read: frozenset[tuple[UUID, int]] = frozenset()

    def links(self, account: Account) -> bool:
        """Whether it links this account, and that is not closed; suspended, it stays linked."""
        open_or_suspended = account.standing in (Standing.OPEN, Standing.SUSPENDED)
        return self.linked and open_or_suspended and account.id == self.account


def evolve(link: ContractLink, event: ContractLinkEvent) -> ContractLink:
    """The link after one more event."""
    match event:
        case PersonLinked():
            if event.account == link.account:
                return replace(link, linked=True)
            # A new account of the same person begins anew, also with its documents.
            return ContractLink(event.account, event.person, event.contract, linked=True)
        case PersonUnlinked():
            return replace(link, linked=False)
        case InformationDocumentDownloaded():
            return replace(link, downloaded=link.downloaded | {(event.document, event.version)})
        case InformationDocumentMarkedAsRead():
            return replace(link, read=link.read | {(event.document, event.version)})
        case _:
            assert_never(event)


contract_link_decider: Decider[ContractLink, ContractLinkEvent] = Decider(
    initial=ContractLink(), evolve=evolve
)

# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class ContractLinkSurroundings:
    """What a decision about a person under a contract needs beyond its own stream.

    Attributes:
        contract: the contract.
        asker: the account of whoever asks; its initial state for staff.
        account: the account of the person; its initial state, or closed, where there is none.
        email: who holds the e-mail of somebody who is to be linked; nobody also where it is
            that account's own.
        rut: who holds the RUT, likewise.
        person: the id of that person, known or new.
        new_account: the id for a new account.
    """

    contract: Contract
    asker: Account = field(default_factory=Account)
    account: Account = field(default_factory=Account)
    email: Holder = Holder.NOBODY
    rut: Holder = Holder.NOBODY
    person: UUID | None = None
    new_account: UUID | None = None


ContractLinkOutcome = ContractLinkEvent | UserRegistered | RoleVacated
"""Linking also makes an account, and unlinking also empties roles of the contract."""


def decide(
    command: ContractLinkDecision,
    actor: Actor,
    link: ContractLink,
    surroundings: ContractLinkSurroundings,
) -> Sequence[ContractLinkOutcome]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case LinkPerson():
            return link_person(command, actor, link, surroundings)
        case UnlinkPerson():
            return unlink_person(command, actor, link, surroundings)
        case DownloadInformationDocument():
            return download(command, actor, link, surroundings)
        case MarkInformationDocumentAsRead():
            return mark_as_read(command, actor, link, surroundings)
        case _:
            assert_never(command)


class AboutLink(TypedDict):
    """The fields that all facts about a person under a contract share."""

    contract: UUID
    account: UUID
    person: UUID
    occurred_at: datetime


def link_person(
    command: LinkPerson,
    actor: Actor,
    link: ContractLink,
    surroundings: ContractLinkSurroundings,
) -> Sequence[ContractLinkOutcome]:
    """Only the holder gives access, and nobody gets a second account by it (C1, C2, A2, A3)."""
    known = known_contract(surroundings.contract)
    refuse_unless_for_holder(actor, surroundings.contract, surroundings.asker)
    if surroundings.contract.over(command.at):
        raise Refused(
            "C3",
            "the contract is in force no longer",
            remedy="Reactivate the contract, or link the person to a new one.",
        )
    refuse_for(
        [
            *account_faults(surroundings.email, surroundings.rut),
            *invitation_faults("e-mail", surroundings.email),
            *invitation_faults("RUT", surroundings.rut),
        ]
    )
    if link.links(surroundings.account):
        return []
    # Grants add up on the account that a person has (A2).
    has_account = surroundings.account.standing in (Standing.OPEN, Standing.SUSPENDED)
    made = [] if has_account else [contract_account_registered(command, surroundings)]
    owner = known_account(reduce(evolve_account, made, surroundings.account))
    return [
        *made,
        PersonLinked(
            contract=known.id,
            account=owner.id,
            person=owner.person,
            occurred_at=command.at,
            email=command.email,
            language=command.language,
        ),
    ]


def contract_account_registered(
    command: LinkPerson, surroundings: ContractLinkSurroundings
) -> UserRegistered:
    """The fact that a person has an account now, made when a holder gave access (A2)."""
    assert surroundings.new_account is not None  # noqa: S101  given to whoever links
    assert surroundings.person is not None  # noqa: S101  as above
    return UserRegistered(
        account=surroundings.new_account,
        person=surroundings.person,
        occurred_at=command.at,
        kind=AccountKind.CONTRACT,
        language=command.language,
        time_zone=command.time_zone,
        given_name=command.given_name,
        paternal_surname=command.paternal_surname,
        maternal_surname=command.maternal_surname,
        email=command.email,
        phone=command.phone,
        rut=command.rut,
    )


def unlink_person(
    command: UnlinkPerson,
    actor: Actor,
    link: ContractLink,
    surroundings: ContractLinkSurroundings,
) -> Sequence[ContractLinkOutcome]:
    """The holder takes back what it gave, and the person's roles with it (C2, C4)."""
    known = known_contract(surroundings.contract)
    refuse_unless_for_holder(actor, surroundings.contract, surroundings.asker)
    about = about_link(command, link)
    if not link.linked:
        return []
    theirs = [r for r, person in surroundings.contract.roles.items() if person == link.person]
    return [
        PersonUnlinked(**about, reason=command.reason),
        *(
            RoleVacated(**known.about(command.at), role=role, vacated_by=known_actor(actor))
            for role in sorted(theirs)
        ),
    ]


def download(
    command: DownloadInformationDocument,
    actor: Actor,
    link: ContractLink,
    surroundings: ContractLinkSurroundings,
) -> Sequence[ContractLinkOutcome]:
    """A person can download every version that was published (C4)."""
    about = about_themselves(command, actor, link, surroundings)
    refuse_unless_published(command, surroundings.contract)
    if (command.document, command.version) in link.downloaded:
        return []
    return [
        InformationDocumentDownloaded(**about, document=command.document, version=command.version)
    ]


def mark_as_read(
    command: MarkInformationDocumentAsRead,
    actor: Actor,
    link: ContractLink,
    surroundings: ContractLinkSurroundings,
) -> Sequence[ContractLinkOutcome]:
    """Nobody has read what they have not downloaded (C4)."""
    about = about_themselves(command, actor, link, surroundings)
    refuse_unless_published(command, surroundings.contract)
    if (command.document, command.version) not in link.downloaded:
        raise Refused(
            "C4",
            "this version of the document has not been downloaded",
            remedy="Download it, read it, and mark it as read then.",
        )
    if (command.document, command.version) in link.read:
        return []
    return [
        InformationDocumentMarkedAsRead(**about, document=command.document, version=command.version)
    ]


# ---------------------------------------------------------------- what several rules ask


def about_link(command: ContractLinkCommand, link: ContractLink) -> AboutLink:
    """What every fact about the link carries.

    Raises:
        Refused: the person was never linked to the contract (C2).
    """
    refuse_unless_linked(linked=link.contract is not None)
    assert link.contract is not None  # noqa: S101  or it was refused
    assert link.account is not None  # noqa: S101  as above
    assert link.person is not None  # noqa: S101  as above
    return {
        "contract": link.contract,
        "account": link.account,
        "person": link.person,
        "occurred_at": command.at,
    }


def about_themselves(
    command: ContractLinkCommand,
    actor: Actor,
    link: ContractLink,
    surroundings: ContractLinkSurroundings,
) -> AboutLink:
    """What a fact that a person makes for themselves carries.

    Raises:
        Refused: no such contract (C1) or account (A1), that of somebody else (G1), closed or
            suspended (A10), or not linked to the contract (C2).
    """
    known_contract(surroundings.contract)
    known_account(surroundings.account)
    # Nobody has read a document for somebody else, staff neither.
    refuse_unless_owner(actor, surroundings.account, remedy="Let its owner do it.")
    refuse_if_closed(surroundings.account)
    refuse_if_suspended(surroundings.account)
    refuse_unless_linked(linked=link.links(surroundings.account))
    return about_link(command, link)


def refuse_unless_published(
    command: DownloadInformationDocument | MarkInformationDocumentAsRead, contract: Contract
) -> None:
    """A person reads what was published (C4)."""
    if command.version > known_document(contract, command.document).version:
        raise Refused(
            "C4",
            "this version of the document has not been published",
            remedy="Choose the latest version.",
        )


def account_faults(email: Holder, rut: Holder) -> list[Refused]:
    """Whoever is known is linked by the account that they have, never by a second one (A3, C2)."""
    if email is Holder.ACCOUNT:
        return [
            Refused(
                "A3",
                "the person has an account under another e-mail",
                remedy="Link that e-mail, or ask the account manager of that account to change it.",
            )
        ]
    if rut is Holder.ACCOUNT:
        return [
            Refused(
                "A3",
                "the RUT is not that of the person with this e-mail",
                remedy="Check both; whoever has an account is linked by the e-mail that it has.",
            )
        ]
    return []


def invitation_faults(what: str, holder: Holder) -> list[Refused]:
    """An e-mail or a RUT with an open invitation gets no account by another way (A3)."""
    if holder is not Holder.INVITATION:
        return []
    return [
        Refused(
            "A3",
            f"the {what} has an open invitation to a plan",
            remedy="Link the person once the invitation is accepted, revoked or expired.",
        )
    ]
