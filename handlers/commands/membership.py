"""Commands about members: their roles are facts of their accounts."""

from uuid import UUID

from domain.account import Account, MemberRemoved, RoleAssigned
from domain.actor import Actor
from domain.membership import MembershipDecision, MembershipSurroundings, decide
from handlers.commands.situation import Loaded, Situation, administrators_of
from handlers.store.append import Append, CountedClaim, Uncounted

__all__ = ["draft", "is_needed_by_a_plan", "leave_plan", "take_role"]

UNLIMITED = 2**31 - 1
"""A plan may have as many administrators as it has seats."""


def draft(command: MembershipDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about a member wants written; it rests on the asker's account.

    Raises:
        Refused: a rule stands in the way.
    """
    asker = situation.asker(actor)
    member = situation.account(command.account)
    append = Append()
    another = _another_administrator(command.plan, member, append, situation)
    surroundings = MembershipSurroundings(asker.state, another_administrator=another)
    events = decide(command, actor, member.state, surroundings)
    append.reads[asker.stream] = asker.version
    append.reads.pop(member.stream, None)
    append.write(member.stream, member.version, events)
    for event in events:
        match event:
            case RoleAssigned():
                take_role(append, event)
            case MemberRemoved():
                leave_plan(append, event)
            case _:
                pass
    return append


def is_needed_by_a_plan(account: Loaded[Account], append: Append, situation: Situation) -> bool:
    """Whether some plan in force has other members, and no other administrator (I8)."""
    plans = situation.plans_of(account.state, append)
    return any(
        role.administers
        and not plans[plan].over(situation.at)
        and not _another_administrator(plan, account, append, situation)
        and situation.store.has_other_members(plan, account.stream)
        for plan, role in account.state.roles.items()
    )


def take_role(append: Append, event: RoleAssigned) -> None:
    """Whoever administers can be found as such."""
    counter = administrators_of(event.plan)
    if event.role.administers:
        append.counted.append(CountedClaim(counter, event.account, event.person, UNLIMITED))
    else:
        append.uncounted.append(Uncounted(counter, event.account))


def leave_plan(append: Append, event: MemberRemoved) -> None:
    """The seat is free again (S10)."""
    append.uncounted.append(Uncounted(event.plan, event.account))
    append.uncounted.append(Uncounted(administrators_of(event.plan), event.account))


def _another_administrator(
    plan: UUID, member: Loaded[Account], append: Append, situation: Situation
) -> bool:
    """The append rests on that other one: it fails when he or she is removed meanwhile."""
    role = member.state.roles.get(plan)
    if role is None or not role.administers:
        return True
    another = situation.administrator(plan, beside=member.stream)
    if another is None:
        return False
    append.reads[another.stream] = another.version
    return True
