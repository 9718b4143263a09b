"""Studying: a line in the history, while access holds."""

from domain.access import weigh_content
from domain.access_facts import access_fact
from domain.account import RoleAssigned
from domain.actor import Actor
from domain.study_history import StudyContent, study_content
from handlers.commands.situation import Situation, study_history_of
from handlers.store.append import Append

__all__ = ["draft"]


def draft(command: StudyContent, actor: Actor, situation: Situation) -> Append:
    """What studying wants written; access is judged as a check would judge it.

    Raises:
        Refused: the rule that stands in the way of access.
    """
    account = situation.account(command.account)
    plans = {e.event.plan for e in account.events if isinstance(e.event, RoleAssigned)}
    subscriptions = [
        situation.subscription(account.stream),
        *(situation.plan(plan) for plan in sorted(plans)),
    ]
    recorded = sorted(
        (*account.events, *(entry for each in subscriptions for entry in each.events)),
        key=lambda entry: entry.position,
    )
    facts = [fact for entry in recorded if (fact := access_fact(entry.event)) is not None]
    access = weigh_content(facts, command.at, account=account.stream).facts
    events = study_content(command, actor, account.state, access)
    history = study_history_of(account.stream)
    append = Append(reads={each.stream: each.version for each in subscriptions})
    append.reads[account.stream] = account.version
    append.write(history, situation.store.version(history), events)
    return append
