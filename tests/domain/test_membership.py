"""Roles and removals: who may change what a member is, and who always stays (I1, I4, I8, A12)."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import product

import pytest

from domain.account import Account, AccountEvent, AccountKind, Role, account_decider
from domain.actor import Actor, ActorKind
from domain.membership import (
    ChangeRole,
    MembershipDecision,
    MembershipSurroundings,
    RemoveMember,
    decide,
    is_free_to_join,
)
from domain.subscription import Subscription, SubscriptionEvent
from tests.domain.stories import (
    BEGINNING,
    OTHER_PLAN,
    PLAN,
    WHO,
    account_after,
    administrator,
    administrators_account,
    closed,
    ended,
    lapsed,
    manager,
    member_removed,
    noon,
    of_plan,
    owner,
    paid,
    plan_after,
    plan_opened,
    plan_paid,
    reactivated,
    registered,
    role_assigned,
    started,
    suspended,
    system,
)
from tests.specification import Given, given

SUPER, ADMIN, USER = Role.SUPER_ADMINISTRATOR, Role.ADMINISTRATOR, Role.USER


def changing(role: Role) -> ChangeRole:
    """The member shall be this."""
    return ChangeRole(at=BEGINNING, account=WHO, plan=PLAN, role=role)


removing = RemoveMember(at=BEGINNING, account=WHO, plan=PLAN)
SUPER_ADMINISTRATOR = administrators_account(SUPER)
BELOW = administrators_account(ADMIN)


def member(role: Role) -> Given[Account, AccountEvent]:
    """Ana is a member of the plan."""
    return given(account_decider, registered, role_assigned(role))


def asks(
    command: MembershipDecision,
    actor: Actor = administrator,
    asker: Account = SUPER_ADMINISTRATOR,
    *,
    another: bool = True,
) -> Callable[[Account], Sequence[AccountEvent]]:
    """A super-administrator asks, and there is another administrator; unless said otherwise."""
    around = MembershipSurroundings(asker=asker, another_administrator=another)
    return lambda account: decide(command, actor, account, around)


# ---------------------------------------------------------------- roles


@pytest.mark.rule("I8")
@pytest.mark.parametrize(("former_role", "role"), list(product(Role, Role)))
def test_a_super_administrator_gives_any_role(former_role: Role, role: Role) -> None:
    """From any role to any other; the fact knows both, and the same role is no change."""
    outcome = member(former_role).when(asks(changing(role)))
    if role is former_role:
        outcome.then_nothing()
    else:
        outcome.then(role_assigned(role, former_role=former_role))


@pytest.mark.rule("I4", "I8")
@pytest.mark.parametrize(("former_role", "role"), list(product(Role, Role)))
def test_an_administrator_cannot_touch_a_super_administrator(former_role: Role, role: Role) -> None:
    """Neither makes one nor unmakes one; among the others an administrator changes roles."""
    outcome = member(former_role).when(asks(changing(role), asker=BELOW))
    if SUPER in (former_role, role):
        outcome.then_refused("I4", remedy_contains="Ask a super-administrator")
    else:
        assert outcome.events == (
            () if role is former_role else (role_assigned(role, former_role=former_role),)
        )


NOBODY_SPECIAL: list[tuple[Actor, Account]] = [
    (administrator, administrators_account(USER)),
    (administrator, administrators_account(SUPER, OTHER_PLAN)),
    (administrator, administrators_account(None)),
    (owner, Account()),
    (manager, Account()),
    (system, Account()),
    (Actor(kind=ActorKind.SUPPORT_STAFF), SUPER_ADMINISTRATOR),
]
NAMES = ["user", "of another plan", "no member", "no account", "manager", "system", "support"]


@pytest.mark.rule("I1", "I8")
@pytest.mark.parametrize("command", [changing(ADMIN), removing], ids=lambda each: each.NAME)
@pytest.mark.parametrize(("actor", "asker"), NOBODY_SPECIAL, ids=NAMES)
def test_members_are_the_business_of_the_plans_administrators(
    command: MembershipDecision, actor: Actor, asker: Account
) -> None:
    """By the authority that invites, read from the ledger and never from the actor's word."""
    outcome = member(USER).when(asks(command, actor, asker))
    outcome.then_refused("I8", remedy_contains="administrator of the plan")


@pytest.mark.rule("A10", "I8")
@pytest.mark.parametrize("command", [changing(ADMIN), removing], ids=lambda each: each.NAME)
def test_a_suspended_administrator_changes_nothing(command: MembershipDecision) -> None:
    """A role is of no use while its account is suspended."""
    asker = administrators_account(SUPER, PLAN, suspended)
    member(USER).when(asks(command, asker=asker)).then_refused("A10")


@pytest.mark.rule("I8")
@pytest.mark.parametrize("command", [changing(ADMIN), removing], ids=lambda each: each.NAME)
@pytest.mark.parametrize(
    "past",
    [
        [],
        [registered],
        [registered, role_assigned(plan=OTHER_PLAN)],
        [registered, role_assigned(), member_removed()],
    ],
    ids=["no account", "never a member", "of another plan", "removed"],
)
def test_who_is_no_member_has_no_role(
    command: MembershipDecision, past: list[AccountEvent]
) -> None:
    """Whoever is to have a role in the plan is invited."""
    outcome = given(account_decider, *past).when(asks(command))
    outcome.then_refused("I8", message_contains="not a member", remedy_contains="invite")


@pytest.mark.rule("I8", "A10")
def test_a_suspended_member_can_be_changed_and_removed() -> None:
    """What the account gives waits for its reinstatement; what the plan decides does not."""
    past = given(account_decider, registered, role_assigned(USER), suspended)
    past.when(asks(changing(ADMIN))).then(role_assigned(ADMIN, former_role=USER))
    past.when(asks(removing)).then(member_removed(USER))


@pytest.mark.rule("A10")
def test_a_closed_account_gets_no_other_role() -> None:
    """Nothing more happens on a closed account."""
    past = given(account_decider, registered, role_assigned(USER), closed)
    past.when(asks(changing(ADMIN))).then_refused("A10")


# ---------------------------------------------------------------- removal


@pytest.mark.rule("I8", "A12")
@pytest.mark.parametrize("role", Role)
def test_a_member_is_removed_and_keeps_the_account(role: Role) -> None:
    """The plan lets go; the account stays open, with its id and its history."""
    outcome = member(role).when(asks(removing))
    outcome.then(member_removed(role))
    account = account_after(registered, role_assigned(role), *outcome.events)
    assert account.standing == account_after(registered).standing
    assert account.roles == {}
    assert account.was_member


@pytest.mark.rule("I8")
def test_a_removal_leaves_other_plans_alone() -> None:
    """Whoever is in two plans is removed from the one."""
    account = account_after(
        registered, role_assigned(USER), role_assigned(ADMIN, OTHER_PLAN), member_removed(USER)
    )
    assert account.roles == {OTHER_PLAN: ADMIN}


@pytest.mark.rule("I4", "I8")
def test_an_administrator_does_not_remove_a_super_administrator() -> None:
    """Who cannot grant a role cannot take it away; any other member is let go."""
    member(SUPER).when(asks(removing, asker=BELOW)).then_refused("I4")
    member(ADMIN).when(asks(removing, asker=BELOW)).then(member_removed(ADMIN))
    member(USER).when(asks(removing, asker=BELOW)).then(member_removed(USER))


# ---------------------------------------------------------------- who always stays


@pytest.mark.rule("I8")
@pytest.mark.parametrize("role", [SUPER, ADMIN])
@pytest.mark.parametrize("command", [changing(USER), removing], ids=lambda each: each.NAME)
def test_the_last_administrator_stays(command: MembershipDecision, role: Role) -> None:
    """Whether as super-administrator or administrator: somebody has to look after the plan."""
    outcome = member(role).when(asks(command, another=False))
    outcome.then_refused("I8", message_contains="left without", remedy_contains="another member")


@pytest.mark.rule("I8")
@pytest.mark.parametrize(("former_role", "role"), [(SUPER, ADMIN), (ADMIN, SUPER)])
def test_the_last_administrator_can_be_the_other_kind(former_role: Role, role: Role) -> None:
    """A super-administrator or an administrator: either will do."""
    outcome = member(former_role).when(asks(changing(role), another=False))
    outcome.then(role_assigned(role, former_role=former_role))


@pytest.mark.rule("I8")
def test_users_come_and_go_where_one_administers() -> None:
    """A user is not who the plan would be left without."""
    member(USER).when(asks(removing, another=False)).then(member_removed(USER))
    raised = member(USER).when(asks(changing(ADMIN), another=False))
    raised.then(role_assigned(ADMIN, former_role=USER))


@pytest.mark.rule("I8")
@pytest.mark.parametrize("another", [True, False])
def test_an_administrator_leaves_where_another_stays(another: bool) -> None:
    """Administrators may remove themselves, unless they are the last."""
    themselves = member(SUPER).state
    outcome = member(SUPER).when(asks(removing, owner, themselves, another=another))
    if another:
        outcome.then(member_removed(SUPER))
    else:
        outcome.then_refused("I8")


# ---------------------------------------------------------------- who is free to join (A12)

LATER = noon(2026, 3, 1)
NO_SUBSCRIPTION = plan_after()
OVER: list[list[SubscriptionEvent]] = [
    plan_paid(),
    [*plan_paid(), of_plan(lapsed(noon(2026, 1, 2), noon(2025, 12, 31).date()))],
    [*plan_paid(), of_plan(ended(BEGINNING, noon(2025, 12, 31).date()))],
    [*plan_paid(), of_plan(reactivated(noon(2026, 2, 1)))],
]
IN_FORCE: list[list[SubscriptionEvent]] = [[plan_opened()], plan_paid(months=12, at=LATER)]


def free(
    *past: AccountEvent,
    own: Subscription = NO_SUBSCRIPTION,
    plan: Sequence[SubscriptionEvent] = (),
) -> bool:
    """Whether an account with this past may be invited in March 2026."""
    return is_free_to_join(account_after(*past), own, {PLAN: plan_after(*plan)}, LATER)


@pytest.mark.rule("A12", "I3")
@pytest.mark.parametrize("plan", OVER, ids=["ran out", "lapsed", "ended", "begun anew, unpaid"])
def test_a_member_of_a_plan_that_is_over_is_free(plan: list[SubscriptionEvent]) -> None:
    """Whose plan has ended may become another's, without a second account."""
    assert free(registered, role_assigned(), plan=plan)


@pytest.mark.rule("A12", "I3")
@pytest.mark.parametrize("plan", IN_FORCE, ids=["not yet paid", "paid"])
def test_a_member_of_a_plan_in_force_is_not_free(plan: list[SubscriptionEvent]) -> None:
    """As long as the plan is not over, its members have an account like any other."""
    assert not free(registered, role_assigned(), plan=plan)
    assert free(registered, role_assigned(), member_removed(), plan=plan)


@pytest.mark.rule("A12", "I3")
def test_whoever_is_in_several_plans_is_free_once_all_are_over() -> None:
    """One plan in force is enough to stay."""
    account = account_after(registered, role_assigned(), role_assigned(plan=OTHER_PLAN))
    over, running = plan_after(*plan_paid()), plan_after(*plan_paid(at=LATER, months=1))
    for plans, is_free in [
        ({PLAN: over, OTHER_PLAN: over}, True),
        ({PLAN: over, OTHER_PLAN: running}, False),
    ]:
        assert is_free_to_join(account, NO_SUBSCRIPTION, plans, LATER) is is_free


@pytest.mark.rule("A12", "I3")
def test_whoever_never_was_a_member_has_an_account_of_their_own() -> None:
    """The exception is for members of before; an individual account is not invited (I3)."""
    assert not free(registered)
    assert not free(registered, own=plan_after(*paid(BEGINNING)))


@pytest.mark.rule("A12", "I3")
@pytest.mark.parametrize(
    ("own", "is_free"),
    [
        ([], True),
        ([started()], True),
        (paid(LATER), False),
        (paid(LATER - timedelta(days=60)), True),
        ([*paid(LATER), ended(LATER, noon(2026, 3, 31).date())], False),
    ],
    ids=["none", "in its steps", "paid", "ran out", "ended, still paid"],
)
def test_a_former_member_who_pays_is_not_free(own: list[SubscriptionEvent], is_free: bool) -> None:
    """Whoever went on as an individual is one, as long as it is paid."""
    past: list[AccountEvent] = [registered, role_assigned(), member_removed()]
    assert free(*past, own=plan_after(*own)) is is_free


@pytest.mark.rule("A2", "I3")
@pytest.mark.parametrize(
    ("own", "is_free"), [([], True), (paid(LATER), False)], ids=["not", "pays"]
)
def test_whoever_came_by_a_contract_is_free_until_they_pay(
    own: list[SubscriptionEvent], is_free: bool
) -> None:
    """What a plan grants adds up with what the contract does, on the one account."""
    by_contract = registered.model_copy(update={"kind": AccountKind.CONTRACT})
    assert free(by_contract, own=plan_after(*own)) is is_free


@pytest.mark.rule("A10", "A12")
def test_whoever_has_no_account_is_free() -> None:
    """None, or one that is closed."""
    assert free()
    assert free(registered, closed)
