"""The rules in the way of access: what to do about each, and whom to contact (X2).

The texts are constant, so that catalogues can have them in other languages; what differs from one
answer to the next stands in the fields of an obstacle.
"""

from dataclasses import dataclass, replace
from typing import assert_never
from uuid import UUID

from domain.access import AdministrationFacts, ContentFacts, InvitationState, PaidFacts
from domain.module_access import ContractAccessFacts, ContractDays, ModuleFacts

__all__ = [
    "Obstacle",
    "administration_obstacles",
    "content_obstacles",
    "in_doubt",
    "module_obstacles",
]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that stands in the way, what to do about it, and whom to contact (X2).

    Attributes:
        contract: the contract that it is about; None where it is about none.
        missing: what is missing, by code: documents to read, or roles to fill.
    """

    rule: str
    message: str
    remedy: str
    contact: str
    contract: UUID | None = None
    missing: tuple[str, ...] = ()


def content_obstacles(facts: ContentFacts) -> tuple[Obstacle, ...]:
    """The rules in the way of content, in the order in which a person would clear them (X2)."""
    if not facts.registered:
        return (_NO_ACCOUNT_BUT[facts.invitation],)
    if facts.closed:
        return (CLOSED,)
    obstacles = [SUSPENDED] if facts.suspended else []
    if not facts.paid:
        obstacles += _unpaid(facts)
    return tuple(obstacles)


def _unpaid(facts: ContentFacts) -> list[Obstacle]:
    """A plan comes first: its member pays nothing (S10)."""
    obstacles = list(dict.fromkeys(_unpaid_plan(plan) for plan in facts.plans))
    if facts.removed:
        obstacles.append(REMOVED)
    if facts.own.ever_paid:
        obstacles.append(_unpaid_own(facts.own))
    return obstacles or [NEVER_PAID]


def _unpaid_own(own: PaidFacts) -> Obstacle:
    if own.unknown:
        # Whether it lapsed or was ended: nothing is begun anew meanwhile (S7).
        return UNKNOWN
    if own.ended:
        return ENDED
    return PAST_DUE if own.past_due else LAPSED


def _unpaid_plan(plan: PaidFacts) -> Obstacle:
    if not plan.ever_paid:
        return PLAN_NEVER_PAID
    return PLAN_ENDED if plan.ended else PLAN_LAPSED


def administration_obstacles(facts: AdministrationFacts) -> tuple[Obstacle, ...]:
    """The rules in the way of administering a plan, in the order in which to clear them (X2)."""
    if not facts.registered:
        return (NO_ACCOUNT,)
    if facts.closed:
        return (CLOSED,)
    obstacles = [SUSPENDED] if facts.suspended else []
    if facts.role is None:
        obstacles.append(LEFT_PLAN if facts.removed else NO_MEMBER)
    elif not facts.role.administers:
        obstacles.append(NO_ADMINISTRATOR)
    return tuple(obstacles)


def module_obstacles(facts: ModuleFacts) -> tuple[Obstacle, ...]:
    """The rules in the way of a module, in the order in which a person would clear them (X2).

    The contract with the fewest comes first, then the one that was linked later.
    """
    if not facts.registered:
        return (NO_ACCOUNT_FOR_MODULE,)
    if facts.closed:
        return (CLOSED,)
    obstacles = [SUSPENDED] if facts.suspended else []
    if not facts.contracts:
        return (*obstacles, NOT_LINKED)
    by_contract = sorted((contract_obstacles(each) for each in facts.contracts), key=len)
    return (*obstacles, *(obstacle for each in by_contract for obstacle in each))


def contract_obstacles(facts: ContractAccessFacts) -> list[Obstacle]:
    """What keeps one contract from opening its modules."""
    obstacles = [] if facts.linked else [UNLINKED]
    match facts.days:
        case ContractDays.IN_FORCE:
            pass
        case ContractDays.NOT_BEGUN:
            obstacles.append(CONTRACT_NOT_BEGUN)
        case ContractDays.RUN_OUT:
            obstacles.append(CONTRACT_RAN_OUT)
        case ContractDays.ENDED:
            obstacles.append(CONTRACT_ENDED)
        case _:
            assert_never(facts.days)
    if facts.unread:
        obstacles.append(replace(UNREAD, missing=facts.unread))
    if not facts.has_risk:
        obstacles.append(NO_RISK)
    if facts.vacant:
        obstacles.append(replace(VACANT, missing=facts.vacant))
    return [replace(obstacle, contract=facts.contract) for obstacle in obstacles]


def in_doubt(obstacles: tuple[Obstacle, ...]) -> tuple[Obstacle, ...]:
    """What stands in the way while an event that the answer could rest on is not applied (X6)."""
    return (IN_DOUBT, *obstacles)


OWNER = "the account's owner"
ACCOUNT_MANAGER = "the account manager, or the operator's support where none is assigned"

NO_ACCOUNT = Obstacle(
    "A1", "there is no such account", "Register an account, or check the id or e-mail.", OWNER
)
CLOSED = Obstacle(
    "A10", "the account is closed", "Register anew; the e-mail and the RUT are free.", OWNER
)
SUSPENDED = Obstacle(
    "A10", "the account is suspended", "Ask for it to be reinstated.", ACCOUNT_MANAGER
)
NEVER_PAID = Obstacle(
    "S3",
    "no payment has succeeded",
    "Go through the steps of the subscription and pay.",
    OWNER,
)
ENDED = Obstacle(
    "S4",
    "the subscription was ended, and the last day that is paid for has passed",
    "Reactivate the subscription and go through its steps again.",
    OWNER,
)
LAPSED = Obstacle(
    "S5",
    "the subscription ran out unrenewed",
    "Reactivate the subscription and go through its steps again.",
    OWNER,
)
PAST_DUE = Obstacle(
    "S8",
    "the renewal was declined, and the days of grace are over",
    "Reactivate the subscription and go through its steps again, with a card that can be charged.",
    OWNER,
)
UNKNOWN = Obstacle(
    "S7",
    "nobody knows yet what became of the renewal, and the days of grace are over",
    "Wait until the payment gateway answers; access returns if the charge was paid.",
    ACCOUNT_MANAGER,
)
INSTITUTION = "an administrator of the plan, at the institution"

PLAN_NEVER_PAID = Obstacle(
    "S10",
    "the institution has not paid for the plan yet",
    "Ask the institution to pay for the plan.",
    INSTITUTION,
)
PLAN_ENDED = Obstacle(
    "S10",
    "the institution ended the plan, and the last day that is paid for has passed",
    "Ask the institution for its plan, or go through the steps of a subscription of your own.",
    INSTITUTION,
)
PLAN_LAPSED = Obstacle(
    "S10",
    "the plan ran out unpaid",
    "Ask the institution to pay for the plan, or go through the steps of a subscription of your"
    " own.",
    INSTITUTION,
)
REMOVED = Obstacle(
    "A12",
    "the account was removed from its plan",
    "Go through the steps of a subscription of your own, or accept a new invitation.",
    INSTITUTION,
)
INVITATION_OPEN = Obstacle(
    "I9",
    "an invitation is open and has not been accepted",
    "Follow the link in the invitation; look in the spam folder, then ask for a new one.",
    "your contact at the institution",
)
INVITATION_EXPIRED = Obstacle(
    "I6",
    "the invitation has expired",
    "Ask for a new invitation.",
    "your contact at the institution",
)
INVITATION_REVOKED = Obstacle(
    "I6",
    "the invitation was revoked",
    "Ask for a new invitation.",
    "your contact at the institution",
)
NO_MEMBER = Obstacle(
    "I1",
    "the account is not a member of the plan",
    "Ask to be invited as an administrator.",
    "a super-administrator of the plan",
)
LEFT_PLAN = Obstacle(
    "I1",
    "the account is a member of the plan no longer",
    "Ask to be invited as an administrator.",
    "a super-administrator of the plan",
)
NO_ADMINISTRATOR = Obstacle(
    "I1",
    "the account is a user of the plan, not an administrator",
    "Ask to be made an administrator.",
    "a super-administrator of the plan",
)

_NO_ACCOUNT_BUT = {
    InvitationState.NONE: NO_ACCOUNT,
    InvitationState.OPEN: INVITATION_OPEN,
    InvitationState.EXPIRED: INVITATION_EXPIRED,
    InvitationState.REVOKED: INVITATION_REVOKED,
}

# ---------------------------------------------------------------- of modules

CONTACT = "the contact at the holder, who looks after the contractor"

NO_ACCOUNT_FOR_MODULE = Obstacle(
    "A1",
    "there is no such account",
    "Check the id or e-mail; the holder makes the account by giving access. Look for its e-mail in"
    " the spam folder, then ask the contact at the holder for a new user.",
    CONTACT,
)
NOT_LINKED = Obstacle(
    "C2",
    "no holder has given the person access to a contract that opens the module",
    "Look for the holder's e-mail in the spam folder, then ask the contact at the holder for a new"
    " user.",
    CONTACT,
)
UNLINKED = Obstacle(
    "C2",
    "the holder took the person's access to the contract back",
    "Ask the contact at the holder to be linked to the contract again.",
    CONTACT,
)
CONTRACT_NOT_BEGUN = Obstacle(
    "C3",
    "the contract is not in force yet",
    "Wait for its first day, or ask the holder to put it in force from an earlier one.",
    CONTACT,
)
CONTRACT_RAN_OUT = Obstacle(
    "C3",
    "the last day of the contract has passed",
    "Ask the holder to reactivate the contract, or to make a new one.",
    CONTACT,
)
CONTRACT_ENDED = Obstacle(
    "C3",
    "the holder ended the contract",
    "Ask the holder to reactivate the contract, or to make a new one.",
    CONTACT,
)
UNREAD = Obstacle(
    "C4",
    "there are information documents that the person has not read in their latest version",
    "Download each of them, and mark it as read.",
    "the person themselves; for questions about a document, the contract's validator",
)
NO_RISK = Obstacle(
    "C4",
    "no risk is linked to the contract",
    "Have somebody of the contractor who is linked to the contract link its risks.",
    CONTACT,
)
VACANT = Obstacle(
    "C4",
    "roles that the contract requires are not filled",
    "Have somebody of the contractor who is linked to the contract name a person for each.",
    CONTACT,
)

# ---------------------------------------------------------------- of anything

IN_DOUBT = Obstacle(
    "X6",
    "an event that the answer could rest on could not be applied, so it is no while in doubt",
    "Tell a specialist technician, who sees to it that the event is applied.",
    "a specialist technician of the operator",
)
