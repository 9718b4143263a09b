"""Institutional plan: a subscription that an institution pays for its members (A2, S10).

It is a subscription of kind plan: ``domain.subscription`` has its events, and its steps and
payments follow the same rules. Here stands what a plan has besides: how it is opened, its seats,
and when it takes people in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, assert_never
from uuid import UUID

from pydantic import Field, StringConstraints

from domain.calendar import TimeZone
from domain.command import Command
from domain.refusal import Refused
from domain.subscription import (
    SeatsChanged,
    Subscription,
    SubscriptionEvent,
    SubscriptionKind,
    SubscriptionStanding,
    SubscriptionStarted,
    known_plan,
)

__all__ = [
    "ChangeSeats",
    "OpenPlan",
    "PlanDecision",
    "PlanSurroundings",
    "Seats",
    "decide",
    "refuse_if_over",
    "seat_faults",
]

InstitutionName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
]
"""Name of the organisation that contracts a plan."""

Seats = Annotated[int, Field(strict=True, gt=0, le=1_000_000)]
"""How many members and open invitations a plan has room for."""

# ---------------------------------------------------------------- commands


class OpenPlan(Command):
    """Opens an institutional plan; it is paid for by the steps and payments of a subscription."""

    plan: UUID
    """Id of the plan."""
    institution: InstitutionName
    """Name of the organisation that contracts it."""
    seats: Seats
    """How many members and open invitations it has room for."""
    time_zone: TimeZone = "America/Santiago"
    """The time zone whose days the plan is counted in."""


class ChangeSeats(Command):
    """Gives a plan another number of seats."""

    plan: UUID
    """The institutional plan."""
    seats: Seats
    """How many members and open invitations it has room for from now on."""


PlanDecision = OpenPlan | ChangeSeats

# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class PlanSurroundings:
    """What a decision about a plan needs beyond its own stream.

    Attributes:
        institution: the id for a new institution.
        id_taken: the id asked for names something else.
        seats_used: by members and open invitations.
    """

    institution: UUID
    id_taken: bool = False
    seats_used: int = 0


def decide(
    command: PlanDecision, plan: Subscription, surroundings: PlanSurroundings
) -> Sequence[SubscriptionEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case OpenPlan():
            return open_plan(command, plan, surroundings)
        case ChangeSeats():
            return change_seats(command, plan, surroundings)
        case _:
            assert_never(command)


def open_plan(
    command: OpenPlan, plan: Subscription, surroundings: PlanSurroundings
) -> Sequence[SubscriptionEvent]:
    """An institution contracts a plan with a number of seats (S10)."""
    if surroundings.id_taken or plan.standing is not SubscriptionStanding.NONE:
        raise Refused(
            "S10", "the id of the plan is in use", remedy="Open the plan under a new random id."
        )
    return [
        SubscriptionStarted(
            subscription=command.plan,
            account=command.plan,
            person=surroundings.institution,
            occurred_at=command.at,
            time_zone=command.time_zone,
            kind=SubscriptionKind.PLAN,
            institution=command.institution,
            seats=command.seats,
        )
    ]


def change_seats(
    command: ChangeSeats, plan: Subscription, surroundings: PlanSurroundings
) -> Sequence[SubscriptionEvent]:
    """Never fewer seats than members and open invitations use (S10)."""
    institution = known_plan(plan)
    if command.seats < surroundings.seats_used:
        raise Refused(
            "S10",
            f"{surroundings.seats_used} seats are in use",
            remedy="Remove members or revoke invitations first.",
        )
    if command.seats == plan.seats:
        return []
    return [
        SeatsChanged(
            subscription=command.plan,
            account=command.plan,
            person=institution,
            occurred_at=command.at,
            seats=command.seats,
            former_seats=plan.seats,
        )
    ]


# ---------------------------------------------------------------- what several rules ask


def refuse_if_over(plan: Subscription, at: datetime) -> None:
    """A plan whose paid days have passed takes nobody in (S10); one not yet paid for does."""
    known_plan(plan)
    if plan.over(at):
        raise Refused(
            "S10",
            "the plan has run out and is not paid",
            remedy="Ask the institution to pay for it again; its account manager knows how.",
        )


def seat_faults(plan: Subscription, seats_used: int) -> list[Refused]:
    """Members and open invitations use the seats of a plan (S10)."""
    if seats_used < plan.seats:
        return []
    return [
        Refused(
            "S10",
            f"all {plan.seats} seats of the plan are in use",
            remedy="Remove a member, revoke an invitation, or ask the account manager for seats.",
        )
    ]
