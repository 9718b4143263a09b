"""Commands about subscriptions: they rest on the account, whose version the append names."""

from collections.abc import Sequence
from uuid import UUID

from domain.account import Standing, become_individual
from domain.actor import Actor
from domain.subscription import (
    ChoosePaymentMethod,
    PaymentCaptured,
    PaymentMethodChosen,
    SubscriptionDecision,
    SubscriptionEvent,
    SubscriptionSurroundings,
    decide,
)
from handlers.commands.situation import Situation
from handlers.store.append import Append
from handlers.store.payment_tokens import KeptToken

__all__ = ["draft"]


def draft(command: SubscriptionDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about a subscription wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    kind, _, plan = command.account.partition(":")
    if kind == "plan":
        return _draft_of_plan(UUID(plan), command, actor, situation)
    account = situation.account(command.account)
    subscription = situation.subscription(account.stream)
    surroundings = SubscriptionSurroundings(subscription.stream, account.state, situation.charging)
    events = decide(command, actor, subscription.state, surroundings)
    append = Append(reads={account.stream: account.version})
    append.write(subscription.stream, subscription.version, events)
    _keep_token(append, command, events)
    closed = account.state.standing is Standing.CLOSED
    if not closed and any(isinstance(event, PaymentCaptured) for event in events):
        plans = situation.plans_of(account.state, append)
        if all(plan.over(command.at) for plan in plans.values()):
            append.write(
                account.stream, account.version, become_individual(account.state, command.at)
            )
    return append


def _draft_of_plan(
    plan: UUID, command: SubscriptionDecision, actor: Actor, situation: Situation
) -> Append:
    """Institutional plans are paid by the same rules (S10)."""
    subscription = situation.plan(plan)
    surroundings = SubscriptionSurroundings(plan, None, situation.charging)
    events = decide(command, actor, subscription.state, surroundings)
    append = Append()
    append.write(plan, subscription.version, events)
    _keep_token(append, command, events)
    return append


def _keep_token(
    append: Append, command: SubscriptionDecision, events: Sequence[SubscriptionEvent]
) -> None:
    """The card goes into the vault and not into the event; each choice replaces the one before."""
    if isinstance(command, ChoosePaymentMethod):
        append.tokens.extend(
            KeptToken(event.subscription, event.person, command.card_token)
            for event in events
            if isinstance(event, PaymentMethodChosen)
        )
