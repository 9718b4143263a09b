"""What is due of a stream, as the stream itself tells it, and the command that does it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid5

from domain.account import AccountClosed, PersonErased
from domain.calendar import local_day, start_of_day
from domain.command import Command
from domain.contract import (
    ContractFact,
    ExpireContract,
    RemindContract,
    contract_decider,
)
from domain.decider import Decider
from domain.due import Due, DueKind, due_of, due_of_contract, due_of_invitation
from domain.event import Event, Recorded
from domain.invitation import (
    ExpireInvitation,
    InvitationFact,
    RemindInvitation,
    invitation_decider,
)
from domain.subscription import (
    LapseSubscription,
    RemindPayment,
    RequestCharge,
    Subscription,
    SubscriptionFact,
    renews_by_card,
    subscription_decider,
)

__all__ = [
    "ASK_GATEWAY",
    "CHARGES",
    "Outlook",
    "Streams",
    "Subject",
    "command_for",
    "command_id_for",
    "next_day",
    "outlook",
]  # fmt: skip

Streams = Mapping[UUID, Sequence[Recorded]]
StateT = TypeVar("StateT")

CHARGES = frozenset({DueKind.RENEWAL, DueKind.RETRY})
"""A command requests a charge, and then the gateway is asked."""

ASK_GATEWAY = CHARGES | {DueKind.RESOLUTION, DueKind.REFUND}
"""What cannot be done without a gateway."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What something is due of.

    Attributes:
        id: its stream.
        account: of a subscription whose it is; of a plan's, the plan.
    """

    id: UUID
    aggregate: str
    account: UUID | None

    @property
    def who(self) -> str:
        """Such as ``account:ID``, ``plan:ID``, ``invitation:ID`` or ``contract:ID``."""
        if self.account is None:
            return f"{self.aggregate}:{self.id}"
        return f"plan:{self.id}" if self.account == self.id else f"account:{self.account}"

    @property
    def streams(self) -> Iterator[UUID]:
        """The streams by which is told what is due of it."""
        yield self.id
        if self.account is not None and self.account != self.id:
            yield self.account


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is due of a subject at a version of its stream.

    Attributes:
        subscription: where the subject is one.
        closed: its account is.
    """

    version: int
    dues: tuple[Due, ...]
    subscription: Subscription | None = None
    closed: bool = False


def outlook(subject: Subject, streams: Streams) -> Outlook:
    """What is due of a subject, by streams that were loaded whole."""
    recorded = streams[subject.id]
    version = recorded[-1].version if recorded else 0
    match subject.aggregate:
        case "subscription":
            subscription = _state(recorded, subscription_decider, SubscriptionFact)
            closed = any(
                _closes(entry.event) for stream in subject.streams for entry in streams[stream]
            )
            dues = due_of(subscription, closed=closed)
            return Outlook(version, dues, subscription, closed)
        case "invitation":
            invitation = _state(recorded, invitation_decider, InvitationFact)
            return Outlook(version, due_of_invitation(invitation))
        case "contract":
            return Outlook(
                version, due_of_contract(_state(recorded, contract_decider, ContractFact))
            )
        case _:
            return Outlook(version, ())


def _state(recorded: Sequence[Recorded], decider: Decider[StateT, Any], of: type[Event]) -> StateT:
    return decider.replay(entry.event for entry in recorded if isinstance(entry.event, of))


def _closes(event: Event) -> bool:
    return isinstance(event, AccountClosed | PersonErased)


def command_for(due: Due, subject: Subject, seen: Outlook, at: datetime) -> Command | None:
    """The command that does what is due; None where the gateway has to be asked instead.

    Args:
        due: what is to be done.
        subject: what it is due of.
        seen: how that stands.
        at: business time; long after the thing came due, a card may renew it no longer.
    """
    match due.kind:
        case DueKind.RENEWAL | DueKind.RETRY:
            if seen.subscription is not None and not renews_by_card(seen.subscription, at):
                return LapseSubscription(at=at, account=subject.who)
            return RequestCharge(at=at, account=subject.who)
        case DueKind.LAPSE:
            return LapseSubscription(at=at, account=subject.who)
        case DueKind.PAYMENT_REMINDER:
            return RemindPayment(at=at, account=subject.who)
        case DueKind.INVITATION_REMINDER:
            return RemindInvitation(at=at, invitation=subject.who)
        case DueKind.INVITATION_EXPIRY:
            return ExpireInvitation(at=at, invitation=subject.who)
        case DueKind.CONTRACT_REMINDER:
            return RemindContract(at=at, contract=subject.id)
        case DueKind.CONTRACT_EXPIRY:
            return ExpireContract(at=at, contract=subject.id)
        case DueKind.RESOLUTION | DueKind.REFUND:
            return None


def command_id_for(due: Due, subject: Subject, seen: Outlook) -> UUID:
    """The id of that command: who sees the same gives the same, so that it is done once (D6)."""
    return uuid5(subject.id, f"{due.kind.value} {due.day.isoformat()} v{seen.version}")


def next_day(after: datetime, time_zone: str) -> datetime:
    """The first start of a day behind an instant."""
    return start_of_day(local_day(after, time_zone) + timedelta(days=1), time_zone)
