"""The contract that the tests of its decisions tell about, and a person under it."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.actor import Actor, ActorKind
from domain.contract import (
    AboutContract,
    ContactNamed,
    Contract,
    ContractEnded,
    ContractEndReason,
    ContractEvent,
    ContractExpired,
    ContractNoticeReason,
    ContractNoticeRequested,
    ContractNoticeTemplate,
    ContractOpened,
    ContractReactivated,
    InformationDocumentPublished,
    InformationDocumentWithdrawn,
    OpenContract,
    RiskLinked,
    RiskUnlinked,
    RoleFilled,
    RolesRequired,
    RoleVacated,
    ValidatorKind,
    ValidatorNamed,
    contract_decider,
)
from domain.contract_link import (
    AboutLink,
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
    UnlinkReason,
)
from domain.streams import notice_of
from tests.domain.stories import ACCOUNT, PERSON, noon

CONTRACT = UUID(int=40)
HOLDER = UUID(int=41)
CONTRACTOR = UUID(int=42)
CONTACT = UUID(int=43)
VALIDATOR = UUID(int=44)
DOCUMENT = UUID(int=45)
OTHER_DOCUMENT = UUID(int=46)

MADRID = "Europe/Madrid"
FIRST_DAY = date(2026, 3, 1)
LAST_DAY = date(2026, 12, 31)
SIGNED = noon(2026, 2, 1)
IN_FORCE = noon(2026, 6, 1)
AFTERWARDS = noon(2027, 2, 1)
SHA256 = "0" * 64
OTHER_SHA256 = "1" * 64

contact = Actor(kind=ActorKind.PERSON, id=CONTACT)


def about_contract(at: datetime = SIGNED) -> AboutContract:
    """What every fact about the contract carries."""
    return {"contract": CONTRACT, "person": HOLDER, "occurred_at": at}


def opening(**changes: Any) -> OpenContract:
    """The wish to open the contract."""
    return OpenContract(
        **{
            "at": SIGNED,
            "contract": CONTRACT,
            "holder": HOLDER,
            "contractor": CONTRACTOR,
            "valid_from": FIRST_DAY,
            "valid_to": LAST_DAY,
            "time_zone": MADRID,
            "required_roles": ("supervisor",),
            "validator_kind": ValidatorKind.HOLDER_TECHNICIAN,
            "validator_name": "Vera Sanz",
            "validator_phone": "+34612345678",
            "contact_name": "Inés Cano",
            "contact_email": "ines@example.com",
            **changes,
        }
    )


opened = ContractOpened(
    **about_contract(),
    contractor=CONTRACTOR,
    valid_from=FIRST_DAY,
    valid_to=LAST_DAY,
    time_zone=MADRID,
    modules=("documentation",),
    required_roles=("supervisor",),
)
validator_named = ValidatorNamed(
    **about_contract(),
    kind=ValidatorKind.HOLDER_TECHNICIAN,
    validator=VALIDATOR,
    name="Vera Sanz",
    phone="+34612345678",
)
contact_named = ContactNamed(
    **about_contract(), contact=CONTACT, name="Inés Cano", email="ines@example.com"
)
signed: tuple[ContractEvent, ...] = (opened, validator_named, contact_named)
"""A contract that has been opened."""


def contract_after(*events: ContractEvent) -> Contract:
    """What these events make of a contract."""
    return contract_decider.replay(events)


def reactivated(
    valid_from: date, valid_to: date, *, at: datetime = AFTERWARDS
) -> ContractReactivated:
    """The contract is in force once more."""
    return ContractReactivated(
        **about_contract(at), valid_from=valid_from, valid_to=valid_to, time_zone=MADRID
    )


def contract_ended(at: datetime = IN_FORCE) -> ContractEnded:
    """The contract is in force no longer."""
    return ContractEnded(**about_contract(at), reason=ContractEndReason.TERMINATED)


def contract_expired(at: datetime, valid_to: date = LAST_DAY) -> ContractExpired:
    """Its last day has passed."""
    return ContractExpired(**about_contract(at), valid_to=valid_to, time_zone=MADRID)


def contact_reminded(
    at: datetime, number: int = 0, told: UUID = CONTACT, valid_to: date = LAST_DAY
) -> ContractNoticeRequested:
    """The contact is to be told that it runs out, for the first time (0) or a later one."""
    return ContractNoticeRequested(
        **about_contract(at),
        notice=notice_of(CONTRACT, number),
        template=ContractNoticeTemplate.CONTRACT_ENDING,
        reason=ContractNoticeReason.RUNS_OUT_SOON,
        contact=told,
        valid_to=valid_to,
        time_zone=MADRID,
    )


def published(
    version: int = 1, *, document: UUID = DOCUMENT, sha256: str = SHA256, at: datetime = IN_FORCE
) -> InformationDocumentPublished:
    """A version of a document that everybody has to read."""
    return InformationDocumentPublished(
        **about_contract(at),
        document=document,
        code="safety",
        version=version,
        sha256=sha256,
        media_type="application/pdf",
        size_bytes=1000,
    )


def withdrawn(at: datetime = IN_FORCE) -> InformationDocumentWithdrawn:
    """The document asks nobody any more."""
    return InformationDocumentWithdrawn(**about_contract(at), document=DOCUMENT)


def roles_required(*roles: str) -> RolesRequired:
    """These roles have to be filled, and no others."""
    return RolesRequired(**about_contract(IN_FORCE), roles=roles)


def risk_linked(risk: str = "height") -> RiskLinked:
    """The person of the stories says that the work has a risk."""
    return RiskLinked(**about_contract(IN_FORCE), risk=risk, linked_by=PERSON)


def risk_unlinked(risk: str = "height") -> RiskUnlinked:
    """And that it has it no longer."""
    return RiskUnlinked(**about_contract(IN_FORCE), risk=risk, unlinked_by=PERSON)


def role_filled(role: str = "supervisor", filled_by: UUID = PERSON) -> RoleFilled:
    """The person of the stories names somebody for a role."""
    return RoleFilled(**about_contract(IN_FORCE), role=role, filled_by=filled_by, named_by=PERSON)


def role_vacated(role: str = "supervisor", vacated_by: UUID = PERSON) -> RoleVacated:
    """Nobody has the role any more."""
    return RoleVacated(**about_contract(IN_FORCE), role=role, vacated_by=vacated_by)


# ---------------------------------------------------------------- a person under the contract


def about_link(at: datetime = IN_FORCE, account: UUID = ACCOUNT) -> AboutLink:
    """What every fact about a person under the contract carries."""
    return {"contract": CONTRACT, "account": account, "person": PERSON, "occurred_at": at}


def linked(account: UUID = ACCOUNT, at: datetime = IN_FORCE) -> PersonLinked:
    """The holder gave the person access."""
    return PersonLinked(**about_link(at, account), email="ana@example.com", language="es")


def unlinked(at: datetime = IN_FORCE) -> PersonUnlinked:
    """The holder took it back."""
    return PersonUnlinked(**about_link(at), reason=UnlinkReason.LEFT)


def downloaded(version: int = 1, document: UUID = DOCUMENT) -> InformationDocumentDownloaded:
    """The person downloaded a version of a document."""
    return InformationDocumentDownloaded(**about_link(), document=document, version=version)


def marked_as_read(version: int = 1, document: UUID = DOCUMENT) -> InformationDocumentMarkedAsRead:
    """The person said that they had read it."""
    return InformationDocumentMarkedAsRead(**about_link(), document=document, version=version)
