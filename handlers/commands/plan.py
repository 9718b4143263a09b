"""Commands about institutional plans."""

from domain.plan import ChangeSeats, PlanDecision, PlanSurroundings, decide
from domain.subscription import SubscriptionStanding
from handlers.commands.situation import Situation
from handlers.store.append import Append, Limited

__all__ = ["draft"]


def draft(command: PlanDecision, situation: Situation) -> Append:
    """What a command about a plan wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    plan = situation.plan(command.plan)
    foreign = plan.version > 0 and plan.state.standing is SubscriptionStanding.NONE
    surroundings = PlanSurroundings(
        institution=situation.new_id(),
        id_taken=foreign,
        seats_used=situation.store.counted(command.plan, command.at),
    )
    append = Append()
    append.write(plan.stream, plan.version, decide(command, plan.state, surroundings))
    if isinstance(command, ChangeSeats):
        # Whoever takes a seat at this very moment must find it there.
        append.limited.append(Limited(command.plan, command.seats))
    return append
