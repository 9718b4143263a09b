"""What an event means for access, or that it means nothing (X3).

The facts of an account, of the plans and contracts that it has to do with, and of its person's
invitations are what every answer about access rests on: ``domain.access`` weighs them for content
and the administration of a plan, ``domain.module_access`` for a module.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias
from uuid import UUID

from domain.account import (
    AccountClosed,
    AccountReinstated,
    AccountSuspended,
    MemberRemoved,
    PersonErased,
    Role,
    RoleAssigned,
    UserRegistered,
)
from domain.calendar import local_day, start_of_day
from domain.contract import (
    ContactNamed,
    ContractEnded,
    ContractFact,
    ContractOpened,
    ContractReactivated,
    InformationDocumentPublished,
    InformationDocumentWithdrawn,
    RiskLinked,
    RiskUnlinked,
    RoleFilled,
    RolesRequired,
    RoleVacated,
    ValidatorNamed,
)
from domain.contract_link import (
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
)
from domain.event import Event, EventOfAccount
from domain.invitation import (
    InvitationAccepted,
    InvitationCorrected,
    InvitationFact,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
)
from domain.subscription_facts import (
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PaymentOutcomeUnknown,
    SubscriptionEnded,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
)

__all__ = [
    "MEMBERSHIP",
    "AccessFact",
    "AccessFactKind",
    "Placed",
    "Standing",
    "access_fact",
    "known_at",
    "last_of",
    "of_subject",
    "places_of",
    "weigh_standing",
]


class AccessFactKind(StrEnum):
    """What an event means for access."""

    REGISTERED = "registered"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"
    CLOSED = "closed"
    PAID = "paid"
    PAST_DUE = "past_due"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DECLINED = "declined"
    ENDED = "ended"
    RESUMED = "resumed"
    LAPSED = "lapsed"
    REACTIVATED = "reactivated"
    ROLE = "role"
    REMOVED = "removed"
    INVITED = "invited"
    REVOKED = "revoked"
    ACCEPTED = "accepted"
    CONTRACT_OPENED = "contract_opened"
    CONTRACT_REACTIVATED = "contract_reactivated"
    CONTRACT_ENDED = "contract_ended"
    CONTACT_NAMED = "contact_named"
    VALIDATOR_NAMED = "validator_named"
    DOCUMENT_PUBLISHED = "document_published"
    DOCUMENT_WITHDRAWN = "document_withdrawn"
    ROLES_REQUIRED = "roles_required"
    RISK_LINKED = "risk_linked"
    RISK_UNLINKED = "risk_unlinked"
    ROLE_FILLED = "role_filled"
    ROLE_VACATED = "role_vacated"
    LINKED = "linked"
    UNLINKED = "unlinked"
    DOWNLOADED = "downloaded"
    MARKED_AS_READ = "marked_as_read"


class AccessFact(NamedTuple):
    """An event's meaning for access; a tuple, since a check makes one of each row that it reads.

    Attributes:
        subject: whose fact it is: an account, also for what its person does under a contract; a
            plan, for its payments and their course; a contract; or a person, for their
            invitations.
        starts_at: for a payment, days of grace and a contract's days, the first instant that they
            cover.
        ends_at: for these, the first instant that they no longer cover; for an invitation, its
            expiry.
        plan: for a role and an invitation, the plan that it is about.
        role: for a role within a plan, which one.
        contract: for what is so of or under a contract, which one.
        document: for an information document, which one.
        version: for an information document, which version of it.
        code: what a document, a risk or a contract's role is called.
        modules: for an opened contract, what it opens.
        roles: the roles that a contractor has to fill, each once.
        named: for a contract's contact and validator, who it is.
        renewed_by: for a payment by card, the end of the day on which the card is charged anew.
    """

    kind: AccessFactKind
    subject: UUID
    occurred_at: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    plan: UUID | None = None
    role: Role | None = None
    contract: UUID | None = None
    document: UUID | None = None
    version: int | None = None
    code: str | None = None
    modules: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    named: UUID | None = None
    renewed_by: datetime | None = None

    def covers(self, at: datetime) -> bool:
        """Whether it is a payment for this instant, or days of grace or of a contract with it."""
        return (
            self.starts_at is not None
            and self.ends_at is not None
            and (self.starts_at <= at < self.ends_at)
        )


def access_fact(event: Event) -> AccessFact | None:
    """What an event means for access; None where it means nothing."""
    kind = _KINDS.get(type(event))
    if kind is None:
        return None
    match event:
        case ContractFact():
            return _contract_fact(kind, event)
        case InvitationFact():
            return _invitation_fact(kind, event)
        case EventOfAccount():
            return _account_fact(kind, event)
        case _:
            return None


def _account_fact(kind: AccessFactKind, event: EventOfAccount) -> AccessFact | None:
    account, at = event.account, event.occurred_at
    match event:
        case PaymentCaptured():
            starts_at, ends_at = _days(event.period_from, event.period_to, event.time_zone)
            # Access begins with the payment and never before it (S3), also on the day itself.
            paid = AccessFact(kind, account, at, max(at, starts_at), ends_at)
            return paid._replace(renewed_by=_end_of_renewal_day(event))
        case SubscriptionPastDue() | PaymentOutcomeUnknown():
            if event.access_until is None:
                # No grace comes of it, so it means nothing (S3, S4).
                return None
            _, ends_at = _days(event.access_until, event.access_until, event.time_zone)
            return AccessFact(kind, account, at, at, ends_at)
        case RoleAssigned():
            return AccessFact(kind, account, at, plan=event.plan, role=event.role)
        case MemberRemoved():
            return AccessFact(kind, account, at, plan=event.plan)
        case PersonLinked() | PersonUnlinked():
            return AccessFact(kind, account, at, contract=event.contract)
        case InformationDocumentDownloaded() | InformationDocumentMarkedAsRead():
            return AccessFact(
                kind,
                account,
                at,
                contract=event.contract,
                document=event.document,
                version=event.version,
            )
        case _:
            return AccessFact(kind, account, at)


def _invitation_fact(kind: AccessFactKind, event: InvitationFact) -> AccessFact:
    fact = AccessFact(kind, event.person, event.occurred_at, plan=event.plan)
    match event:
        case InvitationSent() | InvitationSentAgain() | InvitationCorrected():
            return fact._replace(ends_at=event.expires_at)
        case _:
            return fact


def _contract_fact(kind: AccessFactKind, event: ContractFact) -> AccessFact:
    contract, at = event.contract, event.occurred_at
    match event:
        case ContractOpened():
            return AccessFact(
                kind,
                contract,
                at,
                *_days(event.valid_from, event.valid_to, event.time_zone),
                contract=contract,
                modules=event.modules,
                roles=event.required_roles,
            )
        case ContractReactivated():
            days = _days(event.valid_from, event.valid_to, event.time_zone)
            return AccessFact(kind, contract, at, *days, contract=contract)
        case ContactNamed():
            return AccessFact(kind, contract, at, contract=contract, named=event.contact)
        case ValidatorNamed():
            return AccessFact(kind, contract, at, contract=contract, named=event.validator)
        case InformationDocumentPublished():
            return AccessFact(
                kind,
                contract,
                at,
                contract=contract,
                document=event.document,
                version=event.version,
                code=event.code,
            )
        case InformationDocumentWithdrawn():
            return AccessFact(kind, contract, at, contract=contract, document=event.document)
        case RolesRequired():
            return AccessFact(kind, contract, at, contract=contract, roles=event.roles)
        case RiskLinked() | RiskUnlinked():
            return AccessFact(kind, contract, at, contract=contract, code=event.risk)
        case RoleFilled() | RoleVacated():
            return AccessFact(kind, contract, at, contract=contract, code=event.role)
        case _:
            return AccessFact(kind, contract, at, contract=contract)


def _end_of_renewal_day(event: PaymentCaptured) -> datetime | None:
    """The end of the first day that is not paid for, on which a card is charged (S8)."""
    in_time = local_day(event.occurred_at, event.time_zone) <= event.period_to
    if event.means is not PaymentMeans.CARD or not in_time:
        return None
    return start_of_day(event.period_to + timedelta(days=2), event.time_zone)


def _days(first: date, last: date, time_zone: str) -> tuple[datetime, datetime]:
    """From the first instant of a day to the last of another."""
    return start_of_day(first, time_zone), start_of_day(last + timedelta(days=1), time_zone)


# An expiry says nothing that the days of the invitation or the contract did not; and whoever takes
# over from an expired invitation records it behind the new one (I6).
_KINDS: dict[type[Event], AccessFactKind] = {
    UserRegistered: AccessFactKind.REGISTERED,
    AccountSuspended: AccessFactKind.SUSPENDED,
    AccountReinstated: AccessFactKind.REINSTATED,
    AccountClosed: AccessFactKind.CLOSED,
    PersonErased: AccessFactKind.CLOSED,
    PaymentCaptured: AccessFactKind.PAID,
    SubscriptionPastDue: AccessFactKind.PAST_DUE,
    PaymentOutcomeUnknown: AccessFactKind.OUTCOME_UNKNOWN,
    PaymentDeclined: AccessFactKind.DECLINED,
    SubscriptionEnded: AccessFactKind.ENDED,
    SubscriptionResumed: AccessFactKind.RESUMED,
    SubscriptionLapsed: AccessFactKind.LAPSED,
    SubscriptionReactivated: AccessFactKind.REACTIVATED,
    RoleAssigned: AccessFactKind.ROLE,
    MemberRemoved: AccessFactKind.REMOVED,
    InvitationSent: AccessFactKind.INVITED,
    InvitationSentAgain: AccessFactKind.INVITED,
    InvitationCorrected: AccessFactKind.INVITED,
    InvitationRevoked: AccessFactKind.REVOKED,
    InvitationAccepted: AccessFactKind.ACCEPTED,
    ContractOpened: AccessFactKind.CONTRACT_OPENED,
    ContractReactivated: AccessFactKind.CONTRACT_REACTIVATED,
    ContractEnded: AccessFactKind.CONTRACT_ENDED,
    ContactNamed: AccessFactKind.CONTACT_NAMED,
    ValidatorNamed: AccessFactKind.VALIDATOR_NAMED,
    InformationDocumentPublished: AccessFactKind.DOCUMENT_PUBLISHED,
    InformationDocumentWithdrawn: AccessFactKind.DOCUMENT_WITHDRAWN,
    RolesRequired: AccessFactKind.ROLES_REQUIRED,
    RiskLinked: AccessFactKind.RISK_LINKED,
    RiskUnlinked: AccessFactKind.RISK_UNLINKED,
    RoleFilled: AccessFactKind.ROLE_FILLED,
    RoleVacated: AccessFactKind.ROLE_VACATED,
    PersonLinked: AccessFactKind.LINKED,
    PersonUnlinked: AccessFactKind.UNLINKED,
    InformationDocumentDownloaded: AccessFactKind.DOWNLOADED,
    InformationDocumentMarkedAsRead: AccessFactKind.MARKED_AS_READ,
}

MEMBERSHIP = frozenset({AccessFactKind.ROLE, AccessFactKind.REMOVED})
"""What says whether an account is a member of a plan."""

# ---------------------------------------------------------------- facts in their places

Placed: TypeAlias = tuple[int, AccessFact]
"""A fact, and its place in the list that is weighed."""


def known_at(facts: Sequence[AccessFact], at: datetime) -> list[Placed]:
    """The facts in log order, those of a later business time left aside (X5)."""
    return [(place, fact) for place, fact in enumerate(facts) if fact.occurred_at <= at]


def of_subject(known: Sequence[Placed], subject: UUID | None) -> list[Placed]:
    """Those of one account, plan, contract or person."""
    if subject is None:
        return []
    # By their numbers: ids themselves are compared by a call, and a check compares many.
    number = subject.int
    return [placed for placed in known if placed[1].subject.int == number]


def last_of(known: Sequence[Placed], kinds: Collection[AccessFactKind]) -> Placed | None:
    """The last of these kinds of fact; None where there is none."""
    for placed in reversed(known):
        if placed[1].kind in kinds:
            return placed
    return None


def places_of(resting_on: Iterable[Placed | None]) -> tuple[int, ...]:
    """The places of the facts that an answer rests on, in order."""
    return tuple(sorted({placed[0] for placed in resting_on if placed is not None}))


# ---------------------------------------------------------------- the account itself

_STANDING = frozenset({AccessFactKind.SUSPENDED, AccessFactKind.REINSTATED, AccessFactKind.CLOSED})


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an account is there, and why it lets nobody in (A1, A10).

    Attributes:
        registered: what made it; None before.
        closed: what closed it; None while it is open.
        suspended: what suspended it; None while it is not, or once it is closed.
        reinstated: what ended its last suspension; None while suspended, or once it is closed.
    """

    registered: Placed | None
    closed: Placed | None = None
    suspended: Placed | None = None
    reinstated: Placed | None = None

    @property
    def resting_on(self) -> tuple[Placed | None, ...]:
        """What an answer about the account rests on in any case."""
        return self.registered, self.closed, self.suspended, self.reinstated


def weigh_standing(own: Sequence[Placed]) -> Standing:
    """How an account stands by its own facts."""
    registered = last_of(own, {AccessFactKind.REGISTERED})
    last = last_of(own, _STANDING)
    match last:
        case (_, AccessFact(kind=AccessFactKind.CLOSED)):
            return Standing(registered, closed=last)
        case (_, AccessFact(kind=AccessFactKind.SUSPENDED)):
            return Standing(registered, suspended=last)
        case _:
            return Standing(registered, reinstated=last)
