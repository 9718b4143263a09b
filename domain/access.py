"""What content and the administration of a plan rest on (X1 to X3). Decisions and answers agree.

The facts of an account, of the plans of which it was a member and of its person's invitations, up
to an instant, are weighed into what is so at that instant and which of them it rests on. What is
so gives the rules in the way: ``domain.obstacles``. Grants add up (A2): content comes from an own
subscription or from a plan.

What was undone is left aside together with what undid it, such as an ending that was taken back;
but for a suspension: that it was ended is a reason for which somebody is let in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from uuid import UUID

from domain.access_facts import (
    MEMBERSHIP,
    AccessFact,
    AccessFactKind,
    Placed,
    known_at,
    last_of,
    of_subject,
    places_of,
    weigh_standing,
)
from domain.account import Role

__all__ = [
    "AdministrationFacts",
    "ContentFacts",
    "InvitationState",
    "PaidFacts",
    "WeighedAdministration",
    "WeighedContent",
    "weigh_administration",
    "weigh_content",
]


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
        grace: none does, and it lies in the days of grace of a renewal (S7, S8).
        ever_paid: a payment had been captured by then.
        ended: the payer had ended the subscription and not taken it back.
        lapsed: that it ran out is on record, and nobody began it anew.
        past_due: the renewal was declined, and nothing else has come of it.
        unknown: nobody knows yet what became of its last charge, whatever else has come since.
    """

    paid: bool = False
    grace: bool = False
    ever_paid: bool = False
    ended: bool = False
    lapsed: bool = False
    past_due: bool = False
    unknown: bool = False

    @property
    def gives_access(self) -> bool:
        """It is paid for, or within the days of grace."""
        return self.paid or self.grace


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What access to content at one instant rests on.

    Attributes:
        registered: the account exists at that instant.
        reinstated: it had been suspended, and is no longer.
        invitation: of whoever has no account yet.
        own: the subscription that the person pays for.
        plans: those of which the account is a member at that instant.
        removed: it had been a member, and is one of no plan any more.
    """

    registered: bool = False
    closed: bool = False
    suspended: bool = False
    reinstated: bool = False
    invitation: InvitationState = InvitationState.NONE
    own: PaidFacts = PaidFacts()
    plans: tuple[PaidFacts, ...] = ()
    removed: bool = False

    @property
    def paid(self) -> bool:
        """Grants add up: it is enough that the person or one institution pays (A2).

        Days of grace are as good as paid ones (S7, S8).
        """
        return self.own.gives_access or any(plan.gives_access for plan in self.plans)


@dataclass(frozen=True, slots=True)
class WeighedContent:
    """What is so at an instant, and the facts that it rests on, by their place in the list."""

    facts: ContentFacts
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdministrationFacts:
    """What the administration of a plan at one instant rests on.

    Attributes:
        reinstated: the account had been suspended, and is no longer.
        role: that of a member; None for somebody who is not one.
        removed: it had been a member.
    """

    registered: bool = False
    closed: bool = False
    suspended: bool = False
    reinstated: bool = False
    role: Role | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class WeighedAdministration:
    """What is so at an instant, and the facts that it rests on, by their place in the list."""

    facts: AdministrationFacts
    evidence: tuple[int, ...]


def weigh_content(
    facts: Sequence[AccessFact], at: datetime, *, account: UUID | None
) -> WeighedContent:
    """What access to content rests on at an instant.

    Args:
        facts: the account's, those of the plans that it was ever a member of, and the invitations
            of its person, in log order; those of a later business time are left aside.
        at: the instant.
        account: the account; None for somebody who has none.
    """
    known = known_at(facts, at)
    own = of_subject(known, account)
    standing = weigh_standing(own)
    if standing.registered is None:
        return _weigh_invitation(known, at)
    if standing.closed is not None:
        closed = ContentFacts(registered=True, closed=True)
        return WeighedContent(closed, places_of(standing.resting_on))
    own_paid = _weigh_payments(own, at)
    roles = _last_by_plan(own)
    joined = {plan: each for plan, each in roles.items() if each[1].kind is AccessFactKind.ROLE}
    plans = [_weigh_plan(known, assigned, at) for assigned in joined.values()]
    paying = next((each for each in (own_paid, *plans) if each.facts.gives_access), None)
    removed = None if joined else max(roles.values(), key=_place, default=None)
    resting_on = (
        [*own_paid.resting_on, *chain(*(each.resting_on for each in plans)), removed]
        if paying is None
        else paying.resting_on
    )
    return WeighedContent(
        ContentFacts(
            registered=True,
            suspended=standing.suspended is not None,
            reinstated=standing.reinstated is not None,
            own=own_paid.facts,
            plans=tuple(each.facts for each in plans),
            removed=removed is not None,
        ),
        places_of([*standing.resting_on, *resting_on]),
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
    known = known_at(facts, at)
    own = of_subject(known, account)
    standing = weigh_standing(own)
    if standing.registered is None:
        return WeighedAdministration(AdministrationFacts(), ())
    if standing.closed is not None:
        closed = AdministrationFacts(registered=True, closed=True)
        return WeighedAdministration(closed, places_of(standing.resting_on))
    assigned = _last_by_plan(own).get(plan)
    return WeighedAdministration(
        AdministrationFacts(
            registered=True,
            suspended=standing.suspended is not None,
            reinstated=standing.reinstated is not None,
            role=assigned[1].role if assigned else None,
            removed=assigned is not None and assigned[1].kind is AccessFactKind.REMOVED,
        ),
        places_of([*standing.resting_on, assigned]),
    )


# ---------------------------------------------------------------- invitations

# An acceptance undoes the invitation: whoever accepted is judged by the account.
_INVITATION = frozenset({AccessFactKind.INVITED, AccessFactKind.REVOKED, AccessFactKind.ACCEPTED})


def _weigh_invitation(known: Sequence[Placed], at: datetime) -> WeighedContent:
    """Whoever has no account may have been invited."""
    last = last_of(known, _INVITATION)
    state = _invitation_state(last, at)
    resting_on = [] if state is InvitationState.NONE else [last]
    return WeighedContent(ContentFacts(invitation=state), places_of(resting_on))


def _invitation_state(last: Placed | None, at: datetime) -> InvitationState:
    match last:
        case (_, AccessFact(kind=AccessFactKind.INVITED, ends_at=datetime() as ends_at)):
            return InvitationState.OPEN if at < ends_at else InvitationState.EXPIRED
        case (_, AccessFact(kind=AccessFactKind.REVOKED)):
            return InvitationState.REVOKED
        case _:
            return InvitationState.NONE


# ---------------------------------------------------------------- payments

# What says whether the payer wants it to go on.
_WISH = frozenset({AccessFactKind.ENDED, AccessFactKind.RESUMED, AccessFactKind.REACTIVATED})
_GRACE = frozenset({AccessFactKind.PAST_DUE, AccessFactKind.OUTCOME_UNKNOWN})
_COURSE = _WISH | _GRACE | {AccessFactKind.PAID, AccessFactKind.LAPSED}
# What says whether it is known what became of the last charge.
_OUTCOME = frozenset({AccessFactKind.PAID, AccessFactKind.DECLINED, AccessFactKind.OUTCOME_UNKNOWN})


@dataclass(frozen=True, slots=True)
class _Paid:
    """What is paid, and what that rests on."""

    facts: PaidFacts
    resting_on: tuple[Placed, ...] = ()


def _weigh_plan(known: Sequence[Placed], assigned: Placed, at: datetime) -> _Paid:
    """What is paid of the plan in which a role was assigned."""
    of_plan = of_subject(known, assigned[1].plan)
    paid = _weigh_payments(of_plan, at)
    return _Paid(paid.facts, (assigned, *paid.resting_on))


def _weigh_payments(known: Sequence[Placed], at: datetime) -> _Paid:
    """What is paid of one subscription."""
    payments = [placed for placed in known if placed[1].kind is AccessFactKind.PAID]
    if not payments:
        return _Paid(PaidFacts())
    covering = next((placed for placed in payments if placed[1].covers(at)), None)
    if covering is not None:
        return _Paid(PaidFacts(paid=True, ever_paid=True), (covering,))
    unknown = _charge_without_outcome(known)
    last = last_of(_but_for_answered(known, unknown), _COURSE) or payments[-1]
    wish = last_of(known, _WISH)
    ended = wish is not None and wish[1].kind is AccessFactKind.ENDED
    kind = last[1].kind
    in_grace = kind in _GRACE and last[1].covers(at)
    facts = PaidFacts(
        # What was ended while its charge was on its way is not charged anew (S4).
        grace=in_grace or (not ended and _is_being_renewed(payments[-1], last, at)),
        ever_paid=True,
        ended=ended,
        lapsed=kind is AccessFactKind.LAPSED,
        past_due=kind is AccessFactKind.PAST_DUE,
        unknown=unknown is not None,
    )
    stopped = [wish] if ended and wish is not None else []
    told = [last] if facts.lapsed or facts.past_due else []
    waiting = [unknown] if unknown is not None else []
    return _Paid(facts, (payments[-1], *stopped, *told, *waiting))


def _charge_without_outcome(known: Sequence[Placed]) -> Placed | None:
    """What says that nobody knows what became of a charge; None once it is known (S7)."""
    last = last_of(known, _OUTCOME)
    return last if last and last[1].kind is AccessFactKind.OUTCOME_UNKNOWN else None


def _but_for_answered(known: Sequence[Placed], unknown: Placed | None) -> list[Placed]:
    """Not knowing is undone by an outcome, which tells for itself what comes of it."""
    return [
        placed
        for placed in known
        if placed[1].kind is not AccessFactKind.OUTCOME_UNKNOWN or placed is unknown
    ]


def _is_being_renewed(payment: Placed, last: Placed, at: datetime) -> bool:
    """On the day on which a card is charged anew, access waits for what comes of it (S8)."""
    ends_at, renewed_by = payment[1].ends_at, payment[1].renewed_by
    goes_on = last[1].kind in (AccessFactKind.PAID, AccessFactKind.RESUMED)
    return goes_on and bool(ends_at and renewed_by and ends_at <= at < renewed_by)


def _last_by_plan(own: Sequence[Placed]) -> Mapping[UUID, Placed]:
    """The last word on each plan of which the account was ever a member."""
    return {
        fact.plan: (place, fact)
        for place, fact in own
        if fact.kind in MEMBERSHIP and fact.plan is not None
    }


def _place(placed: Placed) -> int:
    return placed[0]
