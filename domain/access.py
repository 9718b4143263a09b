"""Who has access, and what stands in the way (X1 to X3). Decisions and answers rest on the same.

An event means something for access, or nothing: ``access_fact``. The facts of an account, of the
plans of which it was a member and of its person's invitations, up to an instant, are weighed into
what is so at that instant and which of them it rests on: ``weigh_content`` and
``weigh_administration``. What is so gives the rules in the way: ``content_obstacles`` and
``administration_obstacles``. Grants add up (A2): content from an own subscription or from a plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
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
from domain.calendar import start_of_day
from domain.event import Event, EventOfAccount
from domain.invitation import (
    InvitationAccepted,
    InvitationCorrected,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
)
from domain.subscription import (
    PaymentCaptured,
    SubscriptionEnded,
    SubscriptionLapsed,
    SubscriptionReactivated,
    SubscriptionResumed,
)

__all__ = [
    "AccessFact",
    "AccessFactKind",
    "AdministrationFacts",
    "ContentFacts",
    "InvitationState",
    "Obstacle",
    "PaidFacts",
    "WeighedAdministration",
    "WeighedContent",
    "access_fact",
    "administration_obstacles",
    "content_obstacles",
    "weigh_administration",
    "weigh_content",
]


class AccessFactKind(StrEnum):
    """What an event means for access."""

    REGISTERED = "registered"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"
    CLOSED = "closed"
    PAID = "paid"
    ENDED = "ended"
    RESUMED = "resumed"
    LAPSED = "lapsed"
    REACTIVATED = "reactivated"
    ROLE = "role"
    REMOVED = "removed"
    INVITED = "invited"
    REVOKED = "revoked"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class AccessFact:
    """An event's meaning for access.

    Attributes:
        subject: whose fact it is: an account; a plan, for its payments and their course; or a
            person, for their invitations.
        starts_at: for a payment, the first instant that it pays for.
        ends_at: for a payment, the first instant that it no longer pays for; for an invitation,
            its expiry.
        plan: for a role and an invitation, the plan that it is about.
        role: for a role, which one.
    """

    kind: AccessFactKind
    subject: UUID
    occurred_at: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    plan: UUID | None = None
    role: Role | None = None

    def covers(self, at: datetime) -> bool:
        """Whether it is a payment for this instant."""
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
    at = event.occurred_at
    match event:
        case PaymentCaptured():
            # Access begins with the payment and never before it (S3), also on the day itself.
            starts_at = max(at, start_of_day(event.period_from, event.time_zone))
            ends_at = start_of_day(event.period_to + timedelta(days=1), event.time_zone)
            return AccessFact(kind, event.account, at, starts_at, ends_at)
        case RoleAssigned():
            return AccessFact(kind, event.account, at, plan=event.plan, role=event.role)
        case MemberRemoved():
            return AccessFact(kind, event.account, at, plan=event.plan)
        case InvitationSent() | InvitationSentAgain() | InvitationCorrected():
            return AccessFact(kind, event.person, at, None, event.expires_at, event.plan)
        case InvitationRevoked() | InvitationAccepted():
            return AccessFact(kind, event.person, at, plan=event.plan)
        case EventOfAccount():
            return AccessFact(kind, event.account, at)
        case _:
            return None


_KINDS: dict[type[Event], AccessFactKind] = {
    UserRegistered: AccessFactKind.REGISTERED,
    AccountSuspended: AccessFactKind.SUSPENDED,
    AccountReinstated: AccessFactKind.REINSTATED,
    AccountClosed: AccessFactKind.CLOSED,
    PersonErased: AccessFactKind.CLOSED,
    PaymentCaptured: AccessFactKind.PAID,
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
}
_STANDING = frozenset({AccessFactKind.SUSPENDED, AccessFactKind.REINSTATED, AccessFactKind.CLOSED})
_COURSE = frozenset(
    {
        AccessFactKind.ENDED,
        AccessFactKind.RESUMED,
        AccessFactKind.LAPSED,
        AccessFactKind.REACTIVATED,
    }
)
_MEMBERSHIP = frozenset({AccessFactKind.ROLE, AccessFactKind.REMOVED})
# An expiry says nothing that the invitation did not: and whoever takes over from an expired one
# records it behind the new one (I6).
_INVITATION = frozenset({AccessFactKind.INVITED, AccessFactKind.REVOKED, AccessFactKind.ACCEPTED})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that stands in the way, what to do about it, and whom to contact (X2)."""

    rule: str
    message: str
    remedy: str
    contact: str


class InvitationState(StrEnum):
    """What became of the last invitation of somebody who has no account."""

    NONE = "none"
    OPEN = "open"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class PaidFacts:
    """What is so of a subscription at an instant, an own one or a plan's.

    Attributes:
        paid: a captured payment pays for that instant.
        ever_paid: a payment had been captured by then.
        ended: the payer had ended the subscription and not taken it back.
    """

    paid: bool = False
    ever_paid: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What access to content at one instant rests on.

    Attributes:
        registered: the account exists at that instant.
        invitation: of whoever has no account yet.
        own: the subscription that the person pays for.
        plans: those of which the account is a member at that instant.
        removed: it had been a member, and is one of no plan any more.
    """

    registered: bool = False
    closed: bool = False
    suspended: bool = False
    invitation: InvitationState = InvitationState.NONE
    own: PaidFacts = PaidFacts()
    plans: tuple[PaidFacts, ...] = ()
    removed: bool = False

    @property
    def paid(self) -> bool:
        """Grants add up: it is enough that the person or one institution pays (A2)."""
        return self.own.paid or any(plan.paid for plan in self.plans)


@dataclass(frozen=True, slots=True)
class WeighedContent:
    """What is so at an instant, and the facts that it rests on, by their place in the list."""

    facts: ContentFacts
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdministrationFacts:
    """What the administration of a plan at one instant rests on."""

    registered: bool = False
    closed: bool = False
    suspended: bool = False
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class WeighedAdministration:
    """What is so at an instant, and the facts that it rests on, by their place in the list."""

    facts: AdministrationFacts
    evidence: tuple[int, ...]


Placed = tuple[int, AccessFact]


def weigh_content(
    facts: Sequence[AccessFact], at: datetime, *, account: UUID | None
) -> WeighedContent:
    """What access to content rests on at an instant.

    Args:
        facts: the account's, those of every plan of which it was a member, and those of its
            person's invitations, in log order; those of a later business time are left aside.
        at: the instant.
        account: the account; None for somebody who has none.
    """
    known = [(place, fact) for place, fact in enumerate(facts) if fact.occurred_at <= at]
    own = [(place, fact) for place, fact in known if fact.subject == account]
    registered = _last(own, frozenset({AccessFactKind.REGISTERED}))
    if registered is None:
        return _weigh_invitation(known, at)
    standing = _last(own, _STANDING)
    roles = _last_by_plan(own)
    member_of = [plan for plan, (_, fact) in roles.items() if fact.kind is AccessFactKind.ROLE]
    own_paid, own_evidence = _weigh_payments(own, at)
    weighed = [_weigh_plan(known, roles[plan], at) for plan in member_of]
    paying = next((evidence for paid, evidence in weighed if paid.paid), None)
    closed = _is(standing, AccessFactKind.CLOSED)
    resting_on: Sequence[Placed | None]
    if closed:
        resting_on = []
    elif own_paid.paid:
        resting_on = own_evidence
    elif paying is not None:
        resting_on = paying
    else:
        resting_on = [*own_evidence, *roles.values(), *(e for _, each in weighed for e in each)]
    return WeighedContent(
        ContentFacts(
            registered=True,
            closed=closed,
            suspended=_is(standing, AccessFactKind.SUSPENDED),
            own=own_paid,
            plans=tuple(paid for paid, _ in weighed),
            removed=bool(roles) and not member_of,
        ),
        _places([registered, standing, *resting_on]),
    )


def weigh_administration(
    facts: Sequence[AccessFact], at: datetime, *, account: UUID | None, plan: UUID
) -> WeighedAdministration:
    """What the administration of a plan rests on at an instant.

    Args:
        facts: the account's, in log order; those of a later business time are left aside.
        at: the instant.
        account: the account; None for somebody who has none.
        plan: the institutional plan.
    """
    known = [(place, fact) for place, fact in enumerate(facts) if fact.occurred_at <= at]
    own = [(place, fact) for place, fact in known if fact.subject == account]
    registered = _last(own, frozenset({AccessFactKind.REGISTERED}))
    standing = _last(own, _STANDING)
    assigned = _last_by_plan(own).get(plan)
    closed = _is(standing, AccessFactKind.CLOSED)
    return WeighedAdministration(
        AdministrationFacts(
            registered=registered is not None,
            closed=closed,
            suspended=_is(standing, AccessFactKind.SUSPENDED),
            role=assigned[1].role if assigned else None,
        ),
        _places([registered, standing, None if closed else assigned]),
    )


def _weigh_invitation(known: Sequence[Placed], at: datetime) -> WeighedContent:
    """Whoever has no account may have been invited."""
    last = _last(known, _INVITATION)
    return WeighedContent(ContentFacts(invitation=_invitation_state(last, at)), _places([last]))


def _invitation_state(last: Placed | None, at: datetime) -> InvitationState:
    match last:
        case (_, AccessFact(kind=AccessFactKind.INVITED, ends_at=datetime() as ends_at)):
            return InvitationState.OPEN if at < ends_at else InvitationState.EXPIRED
        case (_, AccessFact(kind=AccessFactKind.REVOKED)):
            return InvitationState.REVOKED
        case _:
            return InvitationState.NONE


def _weigh_plan(
    known: Sequence[Placed], assigned: Placed, at: datetime
) -> tuple[PaidFacts, list[Placed | None]]:
    """What is paid of the plan in which a role was assigned, and what that rests on."""
    of_plan = [(place, fact) for place, fact in known if fact.subject == assigned[1].plan]
    paid, evidence = _weigh_payments(of_plan, at)
    return paid, [assigned, *evidence]


def _weigh_payments(known: Sequence[Placed], at: datetime) -> tuple[PaidFacts, list[Placed | None]]:
    """What is paid of one subscription, and what that rests on."""
    payments = [(place, fact) for place, fact in known if fact.kind is AccessFactKind.PAID]
    covering = [(place, fact) for place, fact in payments if fact.covers(at)]
    course = _last(known, _COURSE)
    paid = PaidFacts(
        paid=bool(covering),
        ever_paid=bool(payments),
        ended=_is(course, AccessFactKind.ENDED),
    )
    if covering:
        return paid, [*covering[:1]]
    return paid, [payments[-1] if payments else None, course]


def _last(known: Sequence[Placed], kinds: frozenset[AccessFactKind]) -> Placed | None:
    return next((placed for placed in reversed(known) if placed[1].kind in kinds), None)


def _last_by_plan(own: Sequence[Placed]) -> Mapping[UUID, Placed]:
    """The last word on each plan of which the account was ever a member."""
    return {
        fact.plan: (place, fact)
        for place, fact in own
        if fact.kind in _MEMBERSHIP and fact.plan is not None
    }


def _is(placed: Placed | None, kind: AccessFactKind) -> bool:
    return placed is not None and placed[1].kind is kind


def _places(resting_on: Sequence[Placed | None]) -> tuple[int, ...]:
    return tuple(sorted({placed[0] for placed in resting_on if placed is not None}))


def content_obstacles(facts: ContentFacts) -> tuple[Obstacle, ...]:
    """The rules in the way of content, in the order in which a person would clear them (X2)."""
    if not facts.registered:
        return (_NO_ACCOUNT_BUT[facts.invitation],)
    if facts.closed:
        return (CLOSED,)
    obstacles = [SUSPENDED] if facts.suspended else []
    if not facts.paid:
        obstacles += _unpaid(facts)
    return tuple(obstacles)


def _unpaid(facts: ContentFacts) -> list[Obstacle]:
    """A plan comes first: its member pays nothing (S10)."""
    obstacles = list(dict.fromkeys(_unpaid_plan(plan) for plan in facts.plans))
    if facts.removed:
        obstacles.append(REMOVED)
    if facts.own.ever_paid:
        obstacles.append(ENDED if facts.own.ended else LAPSED)
    return obstacles or [NEVER_PAID]


def _unpaid_plan(plan: PaidFacts) -> Obstacle:
    if not plan.ever_paid:
        return PLAN_NEVER_PAID
    return PLAN_ENDED if plan.ended else PLAN_LAPSED


def administration_obstacles(facts: AdministrationFacts) -> tuple[Obstacle, ...]:
    """The rules in the way of administering a plan, in the order in which to clear them (X2)."""
    if not facts.registered:
        return (NO_ACCOUNT,)
    if facts.closed:
        return (CLOSED,)
    obstacles = [SUSPENDED] if facts.suspended else []
    if facts.role is None:
        obstacles.append(NO_MEMBER)
    elif not facts.role.administers:
        obstacles.append(NO_ADMINISTRATOR)
    return tuple(obstacles)


OWNER = "the account's owner"
ACCOUNT_MANAGER = "the account manager, or the operator's support where none is assigned"

NO_ACCOUNT = Obstacle(
    "A1", "there is no such account", "Register an account, or check the id or e-mail.", OWNER
)
CLOSED = Obstacle(
    "A10", "the account is closed", "Register anew; the e-mail and the RUT are free.", OWNER
)
SUSPENDED = Obstacle(
    "A10", "the account is suspended", "Ask for it to be reinstated.", ACCOUNT_MANAGER
)
NEVER_PAID = Obstacle(
    "S3",
    "no payment has succeeded",
    "Go through the steps of the subscription and pay.",
    OWNER,
)
ENDED = Obstacle(
    "S4",
    "the subscription was ended, and the last day that is paid for has passed",
    "Reactivate the subscription and go through its steps again.",
    OWNER,
)
LAPSED = Obstacle(
    "S5",
    "the subscription ran out unrenewed",
    "Reactivate the subscription and go through its steps again.",
    OWNER,
)
INSTITUTION = "an administrator of the plan, at the institution"

PLAN_NEVER_PAID = Obstacle(
    "S10",
    "the institution has not paid for the plan yet",
    "Ask the institution to pay for the plan.",
    INSTITUTION,
)
PLAN_ENDED = Obstacle(
    "S10",
    "the institution ended the plan, and the last day that is paid for has passed",
    "Ask the institution for its plan, or go through the steps of a subscription of your own.",
    INSTITUTION,
)
PLAN_LAPSED = Obstacle(
    "S10",
    "the plan ran out unpaid",
    "Ask the institution to pay for the plan, or go through the steps of a subscription of your"
    " own.",
    INSTITUTION,
)
REMOVED = Obstacle(
    "A12",
    "the account was removed from its plan",
    "Go through the steps of a subscription of your own, or accept a new invitation.",
    INSTITUTION,
)
INVITATION_OPEN = Obstacle(
    "I9",
    "an invitation is open and has not been accepted",
    "Follow the link in the invitation; look in the spam folder, then ask for a new one.",
    "your contact at the institution",
)
INVITATION_EXPIRED = Obstacle(
    "I6",
    "the invitation has expired",
    "Ask for a new invitation.",
    "your contact at the institution",
)
INVITATION_REVOKED = Obstacle(
    "I6",
    "the invitation was revoked",
    "Ask for a new invitation.",
    "your contact at the institution",
)
NO_MEMBER = Obstacle(
    "I1",
    "the account is not a member of the plan",
    "Ask to be invited as an administrator.",
    "a super-administrator of the plan",
)
NO_ADMINISTRATOR = Obstacle(
    "I1",
    "the account is a user of the plan, not an administrator",
    "Ask to be made an administrator.",
    "a super-administrator of the plan",
)

_NO_ACCOUNT_BUT = {
    InvitationState.NONE: NO_ACCOUNT,
    InvitationState.OPEN: INVITATION_OPEN,
    InvitationState.EXPIRED: INVITATION_EXPIRED,
    InvitationState.REVOKED: INVITATION_REVOKED,
}
