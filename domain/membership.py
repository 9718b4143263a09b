"""Membership: who may take people into a plan, change their roles and let them go (I1, I4, I8).

Roles are facts of the member's account (``domain.account``): whoever decides by a role rests on
that account's stream alone, and a plan with ten thousand members has no stream that all of them
wait for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.account import (
    Account,
    AccountEvent,
    AccountKind,
    MemberRemoved,
    RemovalReason,
    Role,
    RoleAssigned,
    Standing,
    known_account,
    refuse_if_closed,
    refuse_if_suspended,
)
from domain.actor import Actor, ActorKind
from domain.command import AccountCommand
from domain.refusal import Refused, refuse_for
from domain.subscription import Subscription

__all__ = [
    "ChangeRole",
    "MembershipDecision",
    "MembershipSurroundings",
    "RemoveMember",
    "can_join",
    "decide",
    "is_free_to_join",
    "refuse_unless_administers",
    "role_faults",
]

# ---------------------------------------------------------------- commands


class ChangeRole(AccountCommand):
    """Gives a member of a plan another role."""

    plan: UUID
    """The institutional plan."""
    role: Role
    """What the member shall be."""


class RemoveMember(AccountCommand):
    """Takes somebody out of a plan; account and study history stay."""

    plan: UUID
    """The institutional plan."""


MembershipDecision = ChangeRole | RemoveMember

# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class MembershipSurroundings:
    """What a decision about a member needs beyond the member's own stream.

    Attributes:
        asker: account of whoever asks for it.
        another_administrator: the plan has one beside this member, whose account is open.
    """

    asker: Account
    another_administrator: bool = False


def decide(
    command: MembershipDecision,
    actor: Actor,
    member: Account,
    surroundings: MembershipSurroundings,
) -> Sequence[AccountEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    refuse_unless_administers(actor, surroundings.asker, command.plan, rule="I8")
    match command:
        case ChangeRole():
            return change_role(command, member, surroundings)
        case RemoveMember():
            return remove_member(command, member, surroundings)
        case _:
            assert_never(command)


def change_role(
    command: ChangeRole, member: Account, surroundings: MembershipSurroundings
) -> Sequence[AccountEvent]:
    """Roles are changed by whoever may grant both the old and the new one (I4, I8)."""
    former_role = refuse_unless_member(member, command.plan)
    refuse_if_closed(member)
    refuse_to_rule_above(surroundings.asker, command.plan, former_role)
    refuse_to_rule_above(surroundings.asker, command.plan, command.role)
    if command.role is former_role:
        return []
    if former_role.administers and not command.role.administers:
        refuse_if_last_administrator(surroundings)
    known = known_account(member)
    return [
        RoleAssigned(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            plan=command.plan,
            role=command.role,
            former_role=former_role,
        )
    ]


def remove_member(
    command: RemoveMember, member: Account, surroundings: MembershipSurroundings
) -> Sequence[AccountEvent]:
    """A plan is never left without a super-administrator or administrator (I8)."""
    former_role = refuse_unless_member(member, command.plan)
    refuse_to_rule_above(surroundings.asker, command.plan, former_role)
    if former_role.administers:
        refuse_if_last_administrator(surroundings)
    known = known_account(member)
    return [
        MemberRemoved(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            plan=command.plan,
            former_role=former_role,
            reason=RemovalReason.REMOVED,
        )
    ]


# ---------------------------------------------------------------- what several rules ask


def refuse_unless_administers(actor: Actor, asker: Account, plan: UUID, *, rule: str) -> None:
    """Only a super-administrator or an administrator of the plan (I1, I8).

    Args:
        actor: whoever asks.
        asker: the actor's account.
        plan: the institutional plan.
        rule: by which it is refused otherwise.
    """
    role = asker.roles.get(plan)
    if actor.kind is not ActorKind.PERSON or role is None or not role.administers:
        raise Refused(
            rule,
            "only a super-administrator or an administrator of the plan can do this",
            remedy="Ask an administrator of the plan.",
        )
    refuse_if_suspended(asker)


def role_faults(asker: Account, plan: UUID, role: Role) -> list[Refused]:
    """An administrator cannot grant the super-administrator role (I4)."""
    if role is not Role.SUPER_ADMINISTRATOR or asker.roles.get(plan) is Role.SUPER_ADMINISTRATOR:
        return []
    return [
        Refused(
            "I4",
            "only a super-administrator grants, changes or takes the super-administrator role",
            remedy="Ask a super-administrator of the plan, or choose another role.",
        )
    ]


def refuse_to_rule_above(asker: Account, plan: UUID, role: Role) -> None:
    """Who cannot grant a role cannot take it away either (I4, I8)."""
    refuse_for(role_faults(asker, plan, role))


def refuse_unless_member(member: Account, plan: UUID) -> Role:
    """The role of a member.

    Raises:
        Refused: the account is not a member of the plan (I8).
    """
    role = member.roles.get(plan)
    if role is None:
        raise Refused(
            "I8", "the account is not a member of the plan", remedy="Check the account, or invite."
        )
    return role


def refuse_if_last_administrator(surroundings: MembershipSurroundings) -> None:
    """A plan is never left without a super-administrator or administrator (I8)."""
    if not surroundings.another_administrator:
        raise Refused(
            "I8",
            "the plan would be left without a super-administrator or administrator",
            remedy="Give another member the role of administrator first.",
        )


def can_join(account: Account) -> bool:
    """Whether this kind of account can come to a plan by invitation, when nothing else bars it."""
    return account.was_member or account.kind is AccountKind.CONTRACT


def is_free_to_join(
    account: Account, own: Subscription, plans: Mapping[UUID, Subscription], at: datetime
) -> bool:
    """Whether somebody with an account may be invited: of a contract, or a member of before.

    Grants add up on the account that a contract made (A2); a member has been removed, or the plan
    has ended (A12, I3).

    Args:
        account: the account of the person.
        own: the subscription that the person pays for, if any.
        plans: those of which the account is a member.
        at: the instant.
    """
    if account.standing in (Standing.NONE, Standing.CLOSED):
        return True
    pays = own.paying and not own.over(at)
    return can_join(account) and not pays and all(plans[plan].over(at) for plan in account.roles)
