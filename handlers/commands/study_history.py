"""Studying: a line in the history, while access holds."""

from domain.access import access_fact, weigh_content
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
    subscription = situation.subscription(account.stream)
    recorded = sorted((*account.events, *subscription.events), key=lambda entry: entry.position)
    facts = [fact for entry in recorded if (fact := access_fact(entry.event)) is not None]
    access = weigh_content(facts, command.at).facts
    events = study_content(command, actor, account.state, access)
    history = study_history_of(account.stream)
    append = Append(
        reads={account.stream: account.version, subscription.stream: subscription.version}
    )
    append.write(history, situation.store.version(history), events)
    return append
