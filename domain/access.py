"""Who has access, and what stands in the way (X1 to X3). Decisions and answers rest on the same.

An event means something for access, or nothing: ``access_fact``. The facts of an account up to an
instant are weighed into what is so at that instant and which of them it rests on:
``weigh_content``. What is so gives the rules in the way: ``content_obstacles``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.account import (
    AccountClosed,
    AccountReinstated,
    AccountSuspended,
    PersonErased,
    UserRegistered,
)
from domain.calendar import start_of_day
from domain.event import Event
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
    "ContentFacts",
    "Obstacle",
    "WeighedContent",
    "access_fact",
    "content_obstacles",
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


@dataclass(frozen=True, slots=True)
class AccessFact:
    """An event's meaning for access.

    Attributes:
        starts_at: for a payment, the first instant that it pays for.
        ends_at: for a payment, the first instant that it no longer pays for.
    """

    kind: AccessFactKind
    occurred_at: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None

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
    if isinstance(event, PaymentCaptured):
        # Access begins with the payment and never before it (S3), also on the day itself.
        starts_at = max(event.occurred_at, start_of_day(event.period_from, event.time_zone))
        ends_at = start_of_day(event.period_to + timedelta(days=1), event.time_zone)
        return AccessFact(kind, event.occurred_at, starts_at, ends_at)
    return AccessFact(kind, event.occurred_at)


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


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that stands in the way, what to do about it, and whom to contact (X2)."""

    rule: str
    message: str
    remedy: str
    contact: str


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What access to content at one instant rests on.

    Attributes:
        registered: the account exists at that instant.
        paid: a captured payment pays for that instant.
        ever_paid: a payment had been captured by then.
        ended: the payer had ended the subscription and not taken it back.
    """

    registered: bool = False
    closed: bool = False
    suspended: bool = False
    paid: bool = False
    ever_paid: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class WeighedContent:
    """What is so at an instant, and the facts that it rests on, by their place in the list."""

    facts: ContentFacts
    evidence: tuple[int, ...]


def weigh_content(facts: Sequence[AccessFact], at: datetime) -> WeighedContent:
    """What access to content rests on at an instant.

    Args:
        facts: the account's, in log order; those of a later business time are left aside.
        at: the instant.
    """
    known = [(place, fact) for place, fact in enumerate(facts) if fact.occurred_at <= at]
    registered = _last(known, frozenset({AccessFactKind.REGISTERED}))
    standing = _last(known, _STANDING)
    payments = [(place, fact) for place, fact in known if fact.kind is AccessFactKind.PAID]
    covering = [(place, fact) for place, fact in payments if fact.covers(at)]
    course = _last(known, _COURSE)
    resting_on = [registered, standing]
    if covering:
        resting_on += covering[:1]
    else:
        resting_on += [payments[-1] if payments else None, course]
    return WeighedContent(
        ContentFacts(
            registered=registered is not None,
            closed=_is(standing, AccessFactKind.CLOSED),
            suspended=_is(standing, AccessFactKind.SUSPENDED),
            paid=bool(covering),
            ever_paid=bool(payments),
            ended=_is(course, AccessFactKind.ENDED),
        ),
        tuple(sorted(place for place, _ in filter(None, resting_on))),
    )


Placed = tuple[int, AccessFact]


def _last(known: Sequence[Placed], kinds: frozenset[AccessFactKind]) -> Placed | None:
    return next((placed for placed in reversed(known) if placed[1].kind in kinds), None)


def _is(placed: Placed | None, kind: AccessFactKind) -> bool:
    return placed is not None and placed[1].kind is kind


def content_obstacles(facts: ContentFacts) -> tuple[Obstacle, ...]:
    """The rules in the way of content, in the order in which a person would clear them (X2)."""
    if not facts.registered:
        return (NO_ACCOUNT,)
    if facts.closed:
        return (CLOSED,)
    obstacles = [SUSPENDED] if facts.suspended else []
    if not facts.paid:
        obstacles.append(_unpaid(facts))
    return tuple(obstacles)


def _unpaid(facts: ContentFacts) -> Obstacle:
    if not facts.ever_paid:
        return NEVER_PAID
    return ENDED if facts.ended else LAPSED


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
