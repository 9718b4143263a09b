"""Contract: what a holder agrees with a contractor, and what opens a module (rules C1 to C6).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Values are checked in commands; events take what was once written.
What a person does under a contract stands in ``domain.contract_link``, a stream for each person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypedDict, assert_never
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from domain.account import Account, refuse_if_suspended
from domain.actor import Actor, ActorKind
from domain.calendar import REMINDER_DAYS, TimeZone, local_day, start_of_day
from domain.command import Command
from domain.decider import Decider
from domain.event import Event
from domain.identity import Email, MobilePhone, PersonName, Who
from domain.personal import Personal, PersonalText, Purpose
from domain.refusal import Refused, refuse_for
from domain.streams import notice_of

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_./-]{0,79}$")]
"""What a module, a risk, a role or a document is called: lower case, such as ``work_at_height``."""


def _each_once(codes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(codes)) < len(codes):
        raise ValueError("one of them is named twice; name each once")
    return codes


Codes = Annotated[tuple[Code, ...], Field(max_length=100), AfterValidator(_each_once)]
"""Codes, each once."""


def _within_the_calendar(day: date) -> date:
    if not 1900 <= day.year < 3000:  # noqa: PLR2004  the years that the message names
        raise ValueError("not a day of business; its year lies between 1900 and 2999")
    return day


Day = Annotated[date, AfterValidator(_within_the_calendar)]
"""A day, such as 2026-03-01."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of what was published, in 64 hexadecimal digits."""

MediaType = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$", max_length=100)
]
"""A media type, such as ``application/pdf``."""


class ValidatorKind(StrEnum):
    """Who checks the documents of a contract (C6)."""

    HOLDER_TECHNICIAN = "holder_technician"
    OPERATOR_SPECIALIST = "operator_specialist"


class ContractEndReason(StrEnum):
    """Why a contract was ended before its last day, in clear."""

    COMPLETED = "completed"
    TERMINATED = "terminated"
    MISTAKE = "mistake"
    OTHER = "other"


class ContractNoticeTemplate(StrEnum):
    """What the contact at the holder is told."""

    CONTRACT_ENDING = "contract_ending"


class ContractNoticeReason(StrEnum):
    """What the contact is told it for, in clear."""

    RUNS_OUT_SOON = "runs_out_soon"


# ---------------------------------------------------------------- events


class ContractFact(Event, aggregate="contract"):
    """What all facts about a contract carry; their person is the holder, by its id."""

    contract: UUID
    """The contract, by a random id that it keeps for good."""


class ContractOpened(ContractFact):
    """A holder has a contract with a contractor (C1)."""

    contractor: UUID
    """The contractor, a company, by a random id."""
    valid_from: date
    """First day on which it is in force."""
    valid_to: date
    """Last day on which it is in force."""
    time_zone: str
    """The time zone of both days."""
    modules: tuple[str, ...]
    """The modules that it opens, by code."""
    required_roles: tuple[str, ...]
    """The roles that the contractor has to fill, by code (C4)."""


class ContractReactivated(ContractFact):
    """The contract is in force from one day to another once more (C3)."""

    valid_from: date
    """First day on which it is in force now."""
    valid_to: date
    """Last day on which it is in force now."""
    time_zone: str
    """The time zone of both days."""


class ContractEnded(ContractFact):
    """The contract is in force no longer, whatever its last day was to be (C3)."""

    reason: ContractEndReason
    """Why, in clear."""


class ContractExpired(ContractFact):
    """The last day of the contract has passed without a reactivation (C3)."""

    valid_to: date
    """Last day on which it was in force."""
    time_zone: str
    """The time zone of that day."""


class ContractNoticeRequested(ContractFact):
    """The contact at the holder has to be told something about the contract (C3, C6)."""

    notice: UUID
    """Id of the notice, made from the contract and how many there were before."""
    template: ContractNoticeTemplate
    """What to tell."""
    reason: ContractNoticeReason
    """What for, in clear."""
    contact: UUID
    """Whom to tell: the person at the holder who looks after the contractor, by a random id."""
    valid_to: date
    """The last day of the contract, as it was agreed to when this was written."""
    time_zone: str
    """The time zone of that day."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder, and the contact."""
        return (self.person, self.contact)


class ValidatorNamed(ContractFact):
    """Somebody checks the documents of the contract, and can be reached so (C6)."""

    kind: ValidatorKind
    """A technician of the holder, or a specialist of the operator."""
    validator: UUID
    """The person who checks, by a random id."""
    name: Annotated[PersonalText, Personal(of="validator", purpose=Purpose.IDENTITY)]
    """Name."""
    email: Annotated[PersonalText | None, Personal(of="validator", purpose=Purpose.IDENTITY)] = None
    """Where to write."""
    phone: Annotated[PersonalText | None, Personal(of="validator", purpose=Purpose.IDENTITY)] = None
    """Whom to call, in E.164 form."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder, and whoever checks."""
        return (self.person, self.validator)


class ContactNamed(ContractFact):
    """Somebody at the holder looks after the contractor, and can be reached so (C6)."""

    contact: UUID
    """The person at the holder, by a random id."""
    name: Annotated[PersonalText, Personal(of="contact", purpose=Purpose.IDENTITY)]
    """Name."""
    email: Annotated[PersonalText, Personal(of="contact", purpose=Purpose.IDENTITY)]
    """Where to write."""
    phone: Annotated[PersonalText | None, Personal(of="contact", purpose=Purpose.IDENTITY)] = None
    """Whom to call, in E.164 form."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder, and the contact."""
        return (self.person, self.contact)


class InformationDocumentPublished(ContractFact):
    """A document that everybody linked to the contract has to read, in a new version (C4)."""

    document: UUID
    """The document, by an id that all its versions have."""
    code: str
    """What the document is called."""
    version: int
    """1, 2, 3: each version asks anew."""
    sha256: str
    """SHA-256 of what was published, in hexadecimal digits."""
    media_type: str
    """What it is, such as application/pdf."""
    size_bytes: int
    """How long it is."""


class InformationDocumentWithdrawn(ContractFact):
    """The document asks nobody any more."""

    document: UUID
    """The document."""


class RolesRequired(ContractFact):
    """The contractor has to fill these roles from now on, and no others (C4)."""

    roles: tuple[str, ...]
    """By code."""


class RiskLinked(ContractFact):
    """The contractor said that the work has this risk (C4)."""

    risk: str
    """By code."""
    linked_by: UUID
    """Whoever said so, by a random id."""


class RiskUnlinked(ContractFact):
    """The contractor said that the work has this risk no longer."""

    risk: str
    """By code."""
    unlinked_by: UUID
    """Whoever said so, by a random id."""


class RoleFilled(ContractFact):
    """The contractor named somebody for a role (C4)."""

    role: str
    """By code."""
    filled_by: UUID
    """Who has the role now, by a random id; somebody linked to the contract."""
    named_by: UUID
    """Whoever said so, by a random id."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder, and whoever has the role."""
        return (self.person, self.filled_by)


class RoleVacated(ContractFact):
    """Nobody has a role any more that somebody had."""

    role: str
    """By code."""
    vacated_by: UUID
    """Whoever said so, by a random id."""


ContractEvent = (
    ContractOpened
    | ContractReactivated
    | ContractEnded
    | ContractExpired
    | ContractNoticeRequested
    | ValidatorNamed
    | ContactNamed
    | InformationDocumentPublished
    | InformationDocumentWithdrawn
    | RolesRequired
    | RiskLinked
    | RiskUnlinked
    | RoleFilled
    | RoleVacated
)

# ---------------------------------------------------------------- commands


class ContractCommand(Command, abstract=True):
    """A command about a contract."""

    contract: UUID
    """Id of the contract."""


class OpenContract(ContractCommand):
    """Opens a contract between a holder and a contractor."""

    holder: UUID
    """Id of the client company that contracts the platform."""
    contractor: UUID
    """Id of the contractor."""
    valid_from: Day
    """First day on which it is in force."""
    valid_to: Day
    """Last day on which it is in force."""
    time_zone: TimeZone = "Europe/Madrid"
    """The time zone of both days."""
    modules: Annotated[Codes, Field(min_length=1)] = ("documentation",)
    """The modules that it opens."""
    required_roles: Codes = ()
    """The roles that the contractor has to fill."""
    validator_kind: ValidatorKind
    """Who checks its documents: a technician of the holder, or a specialist of the operator."""
    validator_name: PersonName
    """Name of whoever checks its documents."""
    validator_email: Email | None = None
    """Where to write to them; an e-mail or a phone is needed."""
    validator_phone: MobilePhone | None = None
    """Whom to call."""
    contact_name: PersonName
    """Name of the person at the holder who looks after the contractor."""
    contact_email: Email
    """Where to write to them; by it they are known when they give commands."""
    contact_phone: MobilePhone | None = None
    """Whom to call."""


class ReactivateContract(ContractCommand):
    """Puts a contract in force once more."""

    valid_from: Day
    """First day on which it is in force."""
    valid_to: Day
    """Last day on which it is in force."""


class EndContract(ContractCommand):
    """Ends a contract before its last day."""

    reason: ContractEndReason = ContractEndReason.OTHER
    """Why, in clear."""


class RemindContract(ContractCommand):
    """Has the contact at the holder reminded that a contract runs out soon."""


class ExpireContract(ContractCommand):
    """Records that the last day of a contract has passed."""


class NameValidator(ContractCommand):
    """Says who checks the documents of a contract from now on."""

    kind: ValidatorKind
    """A technician of the holder, or a specialist of the operator."""
    name: PersonName
    """Name."""
    email: Email | None = None
    """Where to write to them; an e-mail or a phone is needed."""
    phone: MobilePhone | None = None
    """Whom to call."""


class NameContact(ContractCommand):
    """Says who at the holder looks after the contractor from now on."""

    name: PersonName
    """Name."""
    email: Email
    """Where to write to them; by it they are known when they give commands."""
    phone: MobilePhone | None = None
    """Whom to call."""


class PublishInformationDocument(ContractCommand):
    """Publishes a document, or a new version of it, that everybody linked has to read."""

    document: UUID
    """Id of the document, which all its versions have."""
    code: Code
    """What the document is called."""
    sha256: Sha256
    """SHA-256 of the file."""
    media_type: MediaType = "application/pdf"
    """What it is."""
    size_bytes: Annotated[int, Field(strict=True, gt=0, le=2**40)]
    """How long it is."""


class WithdrawInformationDocument(ContractCommand):
    """Withdraws a document, so that nobody has to read it any more."""

    document: UUID
    """Id of the document."""


class RequireRoles(ContractCommand):
    """Says which roles the contractor has to fill from now on."""

    roles: Codes
    """All of them, by code; none where there are none."""


class LinkRisk(ContractCommand):
    """Says that the work has a risk; given by somebody linked to the contract."""

    risk: Code
    """By code, such as work_at_height."""


class UnlinkRisk(ContractCommand):
    """Says that the work has a risk no longer; given by somebody linked to the contract."""

    risk: Code
    """By code."""


class FillRole(ContractCommand):
    """Names somebody linked to the contract for a role; given by somebody linked to it."""

    role: Code
    """One of the required roles, by code."""
    account: Who
    """Who has the role from now on: an e-mail, person:ID or account:ID."""


class VacateRole(ContractCommand):
    """Says that nobody has a role any more; given by somebody linked to the contract."""

    role: Code
    """By code."""


ContractDecision = (
    OpenContract
    | ReactivateContract
    | EndContract
    | RemindContract
    | ExpireContract
    | NameValidator
    | NameContact
    | PublishInformationDocument
    | WithdrawInformationDocument
    | RequireRoles
    | LinkRisk
    | UnlinkRisk
    | FillRole
    | VacateRole
)

# ---------------------------------------------------------------- state


class ContractStanding(StrEnum):
    """Whether there is a contract, and what is on record about its end."""

    NONE = "none"
    OPEN = "open"
    ENDED = "ended"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Document:
    """An information document in its latest version."""

    version: int
    code: str
    sha256: str
    media_type: str
    size_bytes: int
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Contract:
    """What decisions about a contract rest on.

    Attributes:
        agreed_at: when its present days were agreed to.
        validator: whoever checks its documents, by person id.
        contact: whoever acts for the holder, by person id.
        documents: every information document that there has been, by id.
        roles: who fills which role, also one that is not required now.
        reminded_for: the last day that the contact was told of in advance.
        notices: how many were requested so far.
    """

    standing: ContractStanding = ContractStanding.NONE
    id: UUID | None = None
    holder: UUID | None = None
    valid_from: date = date.max
    valid_to: date = date.min
    time_zone: str = "UTC"
    agreed_at: datetime | None = None
    validator: UUID | None = None
    validator_kind: ValidatorKind | None = None
    contact: UUID | None = None
    documents: Mapping[UUID, Document] = field(default_factory=dict[UUID, Document])
    risks: frozenset[str] = frozenset()
    required_roles: frozenset[str] = frozenset()
    roles: Mapping[str, UUID] = field(default_factory=dict[str, UUID])
    reminded_for: date | None = None
    notices: int = 0

    def in_force(self, at: datetime) -> bool:
        """Whether it holds at this instant: its first and last day belong to it (C3)."""
        begun = at >= start_of_day(self.valid_from, self.time_zone)
        return begun and not self.over(at)

    def over(self, at: datetime) -> bool:
        """Whether it is in force no longer, and will not be unless it is reactivated (C3)."""
        ended = self.standing is ContractStanding.ENDED
        return ended or has_passed(self.valid_to, self.time_zone, at)

    def ran_out(self, at: datetime) -> bool:
        """Whether its last day has passed, and that is not on record (C3)."""
        return self.standing is ContractStanding.OPEN and self.over(at)

    @property
    def reminder_day(self) -> date | None:
        """From which day on the contact is to be reminded; None where that is not to be.

        What lasts no longer than the days of the reminder gets none, nor does what was agreed to
        within them.
        """
        reminded = self.reminded_for == self.valid_to
        if self.standing is not ContractStanding.OPEN or self.contact is None or reminded:
            return None
        day = self.valid_to - timedelta(days=REMINDER_DAYS - 1)
        agreed_on = local_day(self.agreed_at, self.time_zone) if self.agreed_at else date.min
        return day if day > max(self.valid_from, agreed_on) else None


def evolve(contract: Contract, event: ContractEvent) -> Contract:
    """The contract after one more event."""
    match event:
        case ContractOpened():
            return Contract(
                standing=ContractStanding.OPEN,
                id=event.contract,
                holder=event.person,
                valid_from=event.valid_from,
                valid_to=event.valid_to,
                time_zone=event.time_zone,
                agreed_at=event.occurred_at,
                required_roles=frozenset(event.required_roles),
            )
        case ContractReactivated():
            return replace(
                contract,
                standing=ContractStanding.OPEN,
                valid_from=event.valid_from,
                valid_to=event.valid_to,
                time_zone=event.time_zone,
                agreed_at=event.occurred_at,
            )
        case ContractEnded():
            return replace(contract, standing=ContractStanding.ENDED)
        case ContractExpired():
            return replace(contract, standing=ContractStanding.EXPIRED)
        case ContractNoticeRequested():
            return replace(contract, reminded_for=event.valid_to, notices=contract.notices + 1)
        case ValidatorNamed():
            return replace(contract, validator=event.validator, validator_kind=event.kind)
        case ContactNamed():
            return replace(contract, contact=event.contact)
        case InformationDocumentPublished():
            published = Document(
                event.version, event.code, event.sha256, event.media_type, event.size_bytes
            )
            return _with_document(contract, event.document, published)
        case InformationDocumentWithdrawn():
            withdrawn = replace(contract.documents[event.document], withdrawn=True)
            return _with_document(contract, event.document, withdrawn)
        case RolesRequired():
            return replace(contract, required_roles=frozenset(event.roles))
        case RiskLinked():
            return replace(contract, risks=contract.risks | {event.risk})
        case RiskUnlinked():
            return replace(contract, risks=contract.risks - {event.risk})
        case RoleFilled():
            return replace(contract, roles={**contract.roles, event.role: event.filled_by})
        case RoleVacated():
            kept = {role: person for role, person in contract.roles.items() if role != event.role}
            return replace(contract, roles=kept)
        case _:
            assert_never(event)


def _with_document(contract: Contract, document: UUID, latest: Document) -> Contract:
    return replace(contract, documents={**contract.documents, document: latest})


contract_decider: Decider[Contract, ContractEvent] = Decider(initial=Contract(), evolve=evolve)

# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class ContractSurroundings:
    """What a decision about a contract needs beyond its own stream.

    Attributes:
        asker: the account of whoever asks; its initial state for staff.
        linked: whoever asks is linked to the contract, by that account.
        filler: whoever shall have a role, where that person is linked to it.
        id_taken: the id asked for names something else.
        validator: whoever shall check the documents, known or new.
        same_validator: that is what the contract says of its validator already.
        contact: whoever shall look after the contractor, known or new.
        same_contact: that is what the contract says of its contact already.
    """

    asker: Account = field(default_factory=Account)
    linked: bool = False
    filler: UUID | None = None
    id_taken: bool = False
    validator: UUID | None = None
    same_validator: bool = False
    contact: UUID | None = None
    same_contact: bool = False


def decide(
    command: ContractDecision, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case OpenContract():
            return open_contract(command, contract, surroundings)
        case ReactivateContract():
            return reactivate(command, actor, contract, surroundings)
        case EndContract():
            return end(command, actor, contract, surroundings)
        case RemindContract():
            return remind(command, contract)
        case ExpireContract():
            return expire(command, contract)
        case NameValidator():
            return name_validator(command, actor, contract, surroundings)
        case NameContact():
            return name_contact(command, actor, contract, surroundings)
        case PublishInformationDocument():
            return publish_document(command, actor, contract, surroundings)
        case WithdrawInformationDocument():
            return withdraw_document(command, actor, contract, surroundings)
        case RequireRoles():
            return require_roles(command, actor, contract, surroundings)
        case LinkRisk():
            return link_risk(command, actor, contract, surroundings)
        case UnlinkRisk():
            return unlink_risk(command, actor, contract, surroundings)
        case FillRole():
            return fill_role(command, actor, contract, surroundings)
        case VacateRole():
            return vacate_role(command, actor, contract, surroundings)
        case _:
            assert_never(command)


class AboutContract(TypedDict):
    """The fields that all facts about a contract share."""

    contract: UUID
    person: UUID
    occurred_at: datetime


def open_contract(
    command: OpenContract, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """A contract names its days, its validator and its contact (C1, C6); all faults are told."""
    if surroundings.id_taken or contract.standing is not ContractStanding.NONE:
        raise Refused(
            "C1", "the id of the contract is in use", remedy="Open it under a new random id."
        )
    refuse_for(
        [
            *period_faults(command.valid_from, command.valid_to),
            *validator_faults(command.validator_email, command.validator_phone),
        ]
    )
    about: AboutContract = {
        "contract": command.contract,
        "person": command.holder,
        "occurred_at": command.at,
    }
    return [
        ContractOpened(
            **about,
            contractor=command.contractor,
            valid_from=command.valid_from,
            valid_to=command.valid_to,
            time_zone=command.time_zone,
            modules=command.modules,
            required_roles=command.required_roles,
        ),
        ValidatorNamed(
            **about,
            kind=command.validator_kind,
            validator=named(surroundings.validator),
            name=command.validator_name,
            email=command.validator_email,
            phone=command.validator_phone,
        ),
        ContactNamed(
            **about,
            contact=named(surroundings.contact),
            name=command.contact_name,
            email=command.contact_email,
            phone=command.contact_phone,
        ),
    ]


def reactivate(
    command: ReactivateContract,
    actor: Actor,
    contract: Contract,
    surroundings: ContractSurroundings,
) -> Sequence[ContractEvent]:
    """One that is in force can only be made longer; any other begins anew, now or later (C3)."""
    about = about_for_holder(command, actor, contract, surroundings)
    refuse_for(period_faults(command.valid_from, command.valid_to))
    if has_passed(command.valid_to, contract.time_zone, command.at):
        raise Refused(
            "C3",
            "the last day of the new period has passed",
            remedy="Choose a last day that is yet to come.",
        )
    if contract.in_force(command.at):
        if (command.valid_from, command.valid_to) == (contract.valid_from, contract.valid_to):
            return []
        refuse_unless_longer(command, contract)
    return [
        ContractReactivated(
            **about,
            valid_from=command.valid_from,
            valid_to=command.valid_to,
            time_zone=contract.time_zone,
        )
    ]


def end(
    command: EndContract, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """A contract can be ended before its last day, also before its first (C3)."""
    about = about_for_holder(command, actor, contract, surroundings)
    if contract.over(command.at):
        raise Refused("C3", "the contract is in force no longer", remedy="There is nothing to end.")
    return [ContractEnded(**about, reason=command.reason)]


def remind(command: RemindContract, contract: Contract) -> Sequence[ContractEvent]:
    """The contact, who can reactivate it, once and in time (C3); too late, it has run out."""
    known = known_contract(contract)
    about = known.about(command.at)
    if contract.ran_out(command.at):
        return [expired(contract, about)]
    if contract.reminded_for == contract.valid_to:
        return []
    day, contact, valid_to = contract.reminder_day, contract.contact, contract.valid_to
    too_soon = day is None or local_day(command.at, contract.time_zone) < day
    if too_soon or contact is None:
        raise Refused(
            "C3",
            "the contract does not run out soon, or lasts too short a time for a reminder",
            remedy=f"Wait until {REMINDER_DAYS} days before it is in force no longer.",
        )
    return [
        ContractNoticeRequested(
            **about,
            notice=notice_of(known.id, contract.notices),
            template=ContractNoticeTemplate.CONTRACT_ENDING,
            reason=ContractNoticeReason.RUNS_OUT_SOON,
            contact=contact,
            valid_to=valid_to,
            time_zone=contract.time_zone,
        )
    ]


def expire(command: ExpireContract, contract: Contract) -> Sequence[ContractEvent]:
    """After its last day it is in force no longer, whether or not that is recorded (C3)."""
    about = known_contract(contract).about(command.at)
    if not contract.ran_out(command.at):
        raise Refused("C3", "no contract has run out", remedy="Wait until its last day has passed.")
    return [expired(contract, about)]


def name_validator(
    command: NameValidator, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """Whoever checks the documents can be reached by telephone or e-mail (C6)."""
    about = about_for_holder(command, actor, contract, surroundings)
    refuse_for(validator_faults(command.email, command.phone))
    if surroundings.same_validator:
        return []
    return [
        ValidatorNamed(
            **about,
            kind=command.kind,
            validator=named(surroundings.validator),
            name=command.name,
            email=command.email,
            phone=command.phone,
        )
    ]


def name_contact(
    command: NameContact, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """The contact is whoever acts for the holder from now on (C2, C6)."""
    about = about_for_holder(command, actor, contract, surroundings)
    if surroundings.same_contact:
        return []
    return [
        ContactNamed(
            **about,
            contact=named(surroundings.contact),
            name=command.name,
            email=command.email,
            phone=command.phone,
        )
    ]


def publish_document(
    command: PublishInformationDocument,
    actor: Actor,
    contract: Contract,
    surroundings: ContractSurroundings,
) -> Sequence[ContractEvent]:
    """Each new version asks everybody anew, so the same once more is none (C4)."""
    about = about_for_holder(command, actor, contract, surroundings)
    latest = contract.documents.get(command.document)
    version = 1 if latest is None else latest.version
    wanted = Document(version, command.code, command.sha256, command.media_type, command.size_bytes)
    if latest == wanted:
        return []
    return [
        InformationDocumentPublished(
            **about,
            document=command.document,
            code=command.code,
            version=version if latest is None else version + 1,
            sha256=command.sha256,
            media_type=command.media_type,
            size_bytes=command.size_bytes,
        )
    ]


def withdraw_document(
    command: WithdrawInformationDocument,
    actor: Actor,
    contract: Contract,
    surroundings: ContractSurroundings,
) -> Sequence[ContractEvent]:
    """A document that is withdrawn asks nobody any more (C4)."""
    about = about_for_holder(command, actor, contract, surroundings)
    if known_document(contract, command.document).withdrawn:
        return []
    return [InformationDocumentWithdrawn(**about, document=command.document)]


def require_roles(
    command: RequireRoles, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """The holder says which roles the contractor has to fill (C4)."""
    about = about_for_holder(command, actor, contract, surroundings)
    if frozenset(command.roles) == contract.required_roles:
        return []
    return [RolesRequired(**about, roles=command.roles)]


def link_risk(
    command: LinkRisk, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """The contractor says which risks the work has (C4)."""
    about, said_by = about_for_contractor(command, actor, contract, surroundings)
    if command.risk in contract.risks:
        return []
    return [RiskLinked(**about, risk=command.risk, linked_by=said_by)]


def unlink_risk(
    command: UnlinkRisk, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """The contractor says which risks the work has no longer (C4)."""
    about, said_by = about_for_contractor(command, actor, contract, surroundings)
    if command.risk not in contract.risks:
        return []
    return [RiskUnlinked(**about, risk=command.risk, unlinked_by=said_by)]


def fill_role(
    command: FillRole, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """The contractor fills the required roles with people linked to the contract (C4)."""
    about, named_by = about_for_contractor(command, actor, contract, surroundings)
    if command.role not in contract.required_roles:
        raise Refused(
            "C4",
            "the contract does not require this role",
            remedy="Choose a required role, or ask the contact at the holder to require it.",
        )
    filler = surroundings.filler
    if filler is None:
        raise Refused(
            "C4",
            "whoever shall have the role is not linked to the contract",
            remedy="Ask the contact at the holder to link that person first.",
        )
    if contract.roles.get(command.role) == filler:
        return []
    return [RoleFilled(**about, role=command.role, filled_by=filler, named_by=named_by)]


def vacate_role(
    command: VacateRole, actor: Actor, contract: Contract, surroundings: ContractSurroundings
) -> Sequence[ContractEvent]:
    """A role that nobody has any more has to be filled anew (C4)."""
    about, said_by = about_for_contractor(command, actor, contract, surroundings)
    if command.role not in contract.roles:
        return []
    return [RoleVacated(**about, role=command.role, vacated_by=said_by)]


# ---------------------------------------------------------------- what several rules ask


@dataclass(frozen=True, slots=True)
class KnownContract:
    """The ids of a contract that exists."""

    id: UUID
    holder: UUID

    def about(self, at: datetime) -> AboutContract:
        """What every fact about it carries."""
        return {"contract": self.id, "person": self.holder, "occurred_at": at}


def known_contract(contract: Contract) -> KnownContract:
    """The ids of the contract.

    Raises:
        Refused: there is no such contract (C1).
    """
    if contract.id is None or contract.holder is None:
        raise Refused(
            "C1", "there is no such contract", remedy="Check its id, or have it opened first."
        )
    return KnownContract(contract.id, contract.holder)


def known_document(contract: Contract, document: UUID) -> Document:
    """An information document of the contract.

    Raises:
        Refused: the contract has no such document (C4).
    """
    known = contract.documents.get(document)
    if known is None:
        raise Refused(
            "C4",
            "the contract has no such information document",
            remedy="Check the document's id, or publish it first.",
        )
    return known


def expired(contract: Contract, about: AboutContract) -> ContractExpired:
    """The fact that its days are over."""
    return ContractExpired(**about, valid_to=contract.valid_to, time_zone=contract.time_zone)


def about_for_holder(
    command: ContractCommand,
    actor: Actor,
    contract: Contract,
    surroundings: ContractSurroundings,
) -> AboutContract:
    """What a fact that the holder makes carries.

    Raises:
        Refused: no such contract (C1), or the actor may not act for its holder (C2, A10).
    """
    known = known_contract(contract)
    refuse_unless_for_holder(actor, contract, surroundings.asker)
    return known.about(command.at)


def about_for_contractor(
    command: ContractCommand,
    actor: Actor,
    contract: Contract,
    surroundings: ContractSurroundings,
) -> tuple[AboutContract, UUID]:
    """What a fact that the contractor makes carries, and who makes it.

    Raises:
        Refused: no such contract (C1), or the actor is not linked to it (C2), or suspended (A10).
    """
    known = known_contract(contract)
    refuse_unless_linked(linked=surroundings.linked)
    refuse_if_suspended(surroundings.asker)
    return known.about(command.at), known_actor(actor)


def refuse_unless_for_holder(actor: Actor, contract: Contract, asker: Account) -> None:
    """The contact acts for the holder; staff are let through by the table of G1 (C2, A10)."""
    if actor.kind is not ActorKind.PERSON:
        return
    if actor.id is None or actor.id != contract.contact:
        raise Refused(
            "C2",
            "only the holder of the contract can do this",
            remedy="Ask the contact at the holder, who looks after the contractor.",
        )
    refuse_if_suspended(asker)


def refuse_unless_linked(*, linked: bool) -> None:
    """Whoever the holder has given no access does nothing under a contract (C2)."""
    if not linked:
        raise Refused(
            "C2",
            "the person is not linked to the contract",
            remedy="Look in the spam folder; else ask the contact at the holder for access.",
        )


def known_actor(actor: Actor) -> UUID:
    """Who says so, by id, because the fact names them.

    Raises:
        Refused: the actor has no id (G1).
    """
    if actor.id is None:
        raise Refused(
            "G1", "whoever says this is not known by an id", remedy="Sign in, and say it again."
        )
    return actor.id


def refuse_unless_longer(command: ReactivateContract, contract: Contract) -> None:
    """What is in force stays so to its last day at least; ending it is another command (C3)."""
    begins_later = command.valid_from > local_day(command.at, contract.time_zone)
    if begins_later or command.valid_to < contract.valid_to:
        raise Refused(
            "C3",
            "the contract is in force, and the new period would leave days of it out",
            remedy="Choose a period that has begun and ends later, or end the contract.",
        )


def period_faults(valid_from: date, valid_to: date) -> list[Refused]:
    """A contract does not end before it begins (C1)."""
    if valid_to >= valid_from:
        return []
    return [
        Refused(
            "C1",
            "the contract would end before it begins",
            remedy="Choose a last day that is not before the first.",
        )
    ]


def validator_faults(email: str | None, phone: str | None) -> list[Refused]:
    """Whoever checks the documents can be reached by telephone or e-mail (C6)."""
    if email is not None or phone is not None:
        return []
    return [
        Refused(
            "C6",
            "there is no way to reach whoever checks the documents",
            remedy="Give an e-mail or a mobile number of theirs.",
        )
    ]


def has_passed(day: date, time_zone: str, at: datetime) -> bool:
    """Whether a day lies before this instant."""
    return at >= start_of_day(day + timedelta(days=1), time_zone)


def named(person: UUID | None) -> UUID:
    """Whom a command names."""
    assert person is not None  # noqa: S101  known or new, whoever is named has an id
    return person
