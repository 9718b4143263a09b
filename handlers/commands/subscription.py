"""Commands about subscriptions: they rest on the account, whose version the append names."""

from domain.actor import Actor
from domain.subscription import SubscriptionDecision, SubscriptionSurroundings, decide
from handlers.commands.situation import Situation
from handlers.store.append import Append

__all__ = ["draft"]


def draft(command: SubscriptionDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about a subscription wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    account = situation.account(command.account)
    subscription = situation.subscription(account.stream)
    surroundings = SubscriptionSurroundings(subscription.stream, account.state)
    events = decide(command, actor, subscription.state, surroundings)
    append = Append(reads={account.stream: account.version})
    append.write(subscription.stream, subscription.version, events)
    return append
