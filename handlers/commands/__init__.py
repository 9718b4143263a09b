"""From a command to what it wants written: a module an aggregate."""

from dataclasses import dataclass

from domain.account import AccountDecision
from domain.actor import Actor
from domain.command import Command
from domain.contract import ContractDecision
from domain.contract_link import ContractLinkDecision
from domain.disclosure import OpenPersonalValue
from domain.invitation import InvitationDecision
from domain.invitation_import import ImportInvitations
from domain.membership import MembershipDecision
from domain.operations import OperationsDecision
from domain.plan import PlanDecision
from domain.study_history import StudyContent
from domain.subscription import SubscriptionDecision
from domain.support_ticket import TicketDecision
from handlers.commands import (
    account,
    contract,
    contract_link,
    disclosure,
    invitation,
    invitation_import,
    membership,
    operations,
    plan,
    study_history,
    subscription,
    support_ticket,
)
from handlers.commands.situation import Situation
from handlers.store.append import Append

__all__ = ["Draft", "draft"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a command wants written, and the actor whom its events name."""

    append: Append
    actor: Actor


def draft(command: Command, actor: Actor, situation: Situation) -> Draft:
    """What a command wants written.

    Raises:
        Refused: a rule stands in the way.
        NotImplementedError: no aggregate takes the command.
    """
    if isinstance(command, AccountDecision):
        append = account.draft(command, actor, situation)
    elif isinstance(command, SubscriptionDecision):
        append = subscription.draft(command, actor, situation)
    elif isinstance(command, PlanDecision):
        append = plan.draft(command, situation)
    elif isinstance(command, InvitationDecision):
        append = invitation.draft(command, actor, situation)
    elif isinstance(command, ImportInvitations):
        append = invitation_import.draft(command, actor, situation)
    elif isinstance(command, MembershipDecision):
        append = membership.draft(command, actor, situation)
    elif isinstance(command, ContractDecision):
        append = contract.draft(command, actor, situation)
    elif isinstance(command, ContractLinkDecision):
        append = contract_link.draft(command, actor, situation)
    elif isinstance(command, StudyContent):
        append = study_history.draft(command, actor, situation)
    elif isinstance(command, OperationsDecision):
        append = operations.draft(command, actor, situation)
    elif isinstance(command, TicketDecision):
        append = support_ticket.draft(command, actor, situation)
    elif isinstance(command, OpenPersonalValue):
        append = disclosure.draft(command, actor, situation)
    else:
        raise NotImplementedError(f"no aggregate takes {type(command).__name__}")
    situation.say_who_was_found(append)
    return Draft(append, _registrant(actor, append))


def _registrant(actor: Actor, append: Append) -> Actor:
    """Whoever registers has no id before, and acts as the person who has one now."""
    if actor.kind == "person" and actor.id is None and append.opened:
        return Actor(kind=actor.kind, id=append.opened[0].person)
    return actor
