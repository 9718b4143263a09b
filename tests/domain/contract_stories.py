"""The contracts, documents and links that the tests of access tell about: Ana works for another."""

from datetime import date, datetime
from uuid import UUID

from domain.contract import (
    AboutContract,
    ContactNamed,
    ContractEnded,
    ContractEndReason,
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
    AboutLink,
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
    UnlinkReason,
)
from tests.domain.stories import ACCOUNT, BEGINNING, PERSON

CONTRACT = UUID(int=40)
OTHER_CONTRACT = UUID(int=41)
HOLDER = UUID(int=42)
CONTRACTOR = UUID(int=43)
CONTACT = UUID(int=44)
VALIDATOR = UUID(int=45)
INDUCTION = UUID(int=46)
EVACUATION = UUID(int=47)

MADRID = "Europe/Madrid"
MODULE = "documentation"
RISK = "work_at_height"
ROLE = "site_manager"
FIRST_DAY = date(2025, 1, 1)
LAST_DAY = date(2025, 12, 31)


def of_contract(at: datetime, contract: UUID = CONTRACT) -> AboutContract:
    """What every fact about the contract carries."""
    return {"contract": contract, "person": HOLDER, "occurred_at": at}


def of_link(at: datetime, contract: UUID = CONTRACT) -> AboutLink:
    """What every fact about Ana under the contract carries."""
    return {"contract": contract, "person": PERSON, "account": ACCOUNT, "occurred_at": at}


def opened(
    at: datetime = BEGINNING,
    contract: UUID = CONTRACT,
    *,
    first: date = FIRST_DAY,
    last: date = LAST_DAY,
    modules: tuple[str, ...] = (MODULE,),
    roles: tuple[str, ...] = (ROLE,),
) -> ContractOpened:
    """The holder contracts the contractor."""
    return ContractOpened(
        **of_contract(at, contract),
        contractor=CONTRACTOR,
        valid_from=first,
        valid_to=last,
        time_zone=MADRID,
        modules=modules,
        required_roles=roles,
    )


def reactivated(
    at: datetime, first: date, last: date, contract: UUID = CONTRACT
) -> ContractReactivated:
    """It is in force once more."""
    return ContractReactivated(
        **of_contract(at, contract), valid_from=first, valid_to=last, time_zone=MADRID
    )


def ended(at: datetime, contract: UUID = CONTRACT) -> ContractEnded:
    """The holder ends it."""
    return ContractEnded(**of_contract(at, contract), reason=ContractEndReason.TERMINATED)


def contact_named(
    at: datetime = BEGINNING, contract: UUID = CONTRACT, contact: UUID = CONTACT
) -> ContactNamed:
    """Somebody at the holder looks after the contractor."""
    return ContactNamed(
        **of_contract(at, contract),
        contact=contact,
        name="Carmen Gil",
        email="carmen@holder.example",
    )


def validator_named(
    at: datetime = BEGINNING, contract: UUID = CONTRACT, validator: UUID = VALIDATOR
) -> ValidatorNamed:
    """Somebody checks the contract's documents."""
    return ValidatorNamed(
        **of_contract(at, contract),
        kind=ValidatorKind.HOLDER_TECHNICIAN,
        validator=validator,
        name="Víctor Sanz",
        phone="+34600111222",
    )


def published(
    at: datetime = BEGINNING,
    contract: UUID = CONTRACT,
    *,
    document: UUID = INDUCTION,
    version: int = 1,
) -> InformationDocumentPublished:
    """A document to read."""
    return InformationDocumentPublished(
        **of_contract(at, contract),
        document=document,
        code="induction" if document == INDUCTION else "evacuation",
        version=version,
        sha256="0" * 64,
        media_type="application/pdf",
        size_bytes=1,
    )


def withdrawn(
    at: datetime, contract: UUID = CONTRACT, *, document: UUID = INDUCTION
) -> InformationDocumentWithdrawn:
    """Nobody has to read it any more."""
    return InformationDocumentWithdrawn(**of_contract(at, contract), document=document)


def roles_required(
    at: datetime, roles: tuple[str, ...], contract: UUID = CONTRACT
) -> RolesRequired:
    """These, and no others."""
    return RolesRequired(**of_contract(at, contract), roles=roles)


def risk_linked(
    at: datetime = BEGINNING, contract: UUID = CONTRACT, risk: str = RISK
) -> RiskLinked:
    """The work has a risk."""
    return RiskLinked(**of_contract(at, contract), risk=risk, linked_by=PERSON)


def risk_unlinked(at: datetime, contract: UUID = CONTRACT, risk: str = RISK) -> RiskUnlinked:
    """The work has it no longer."""
    return RiskUnlinked(**of_contract(at, contract), risk=risk, unlinked_by=PERSON)


def role_filled(
    at: datetime = BEGINNING, contract: UUID = CONTRACT, role: str = ROLE
) -> RoleFilled:
    """Ana has a role."""
    return RoleFilled(**of_contract(at, contract), role=role, filled_by=PERSON, named_by=PERSON)


def role_vacated(at: datetime, contract: UUID = CONTRACT, role: str = ROLE) -> RoleVacated:
    """Nobody has it."""
    return RoleVacated(**of_contract(at, contract), role=role, vacated_by=PERSON)


def linked(at: datetime = BEGINNING, contract: UUID = CONTRACT) -> PersonLinked:
    """The holder gives Ana access."""
    return PersonLinked(**of_link(at, contract), email="ana@example.com", language="es")


def unlinked(at: datetime = BEGINNING, contract: UUID = CONTRACT) -> PersonUnlinked:
    """The holder takes it back."""
    return PersonUnlinked(**of_link(at, contract), reason=UnlinkReason.LEFT)


def downloaded(
    at: datetime = BEGINNING,
    contract: UUID = CONTRACT,
    *,
    document: UUID = INDUCTION,
    version: int = 1,
) -> InformationDocumentDownloaded:
    """Ana downloads a version."""
    return InformationDocumentDownloaded(
        **of_link(at, contract), document=document, version=version
    )


def marked_as_read(
    at: datetime = BEGINNING,
    contract: UUID = CONTRACT,
    *,
    document: UUID = INDUCTION,
    version: int = 1,
) -> InformationDocumentMarkedAsRead:
    """Ana says that she has read it."""
    return InformationDocumentMarkedAsRead(
        **of_link(at, contract), document=document, version=version
    )
