"""An account, from registration to erasure (A1 to A12, I8)."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from domain.account import (
    Account,
    AccountBecameIndividual,
    AccountClosed,
    AccountDecision,
    AccountEvent,
    AccountKind,
    AccountManagerAssigned,
    AccountSurroundings,
    AssignAccountManager,
    ChangeUserCode,
    CloseAccount,
    ClosureReason,
    ConfirmPhone,
    ErasePerson,
    PersonErased,
    RegisterUser,
    ReinstateAccount,
    RemovalReason,
    Role,
    SetPassword,
    Standing,
    SuspendAccount,
    SuspensionReason,
    UserCodeChanged,
    UserRegistered,
    account_decider,
    become_individual,
    decide,
    refuse_if_suspended,
)
from domain.actor import Actor
from domain.command import AccountCommand
from domain.refusal import Refused
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    MANAGER,
    OTHER_MANAGER,
    OTHER_PLAN,
    PERSON,
    PLAN,
    WHO,
    account_after,
    closed,
    erased,
    manager,
    manager_assigned,
    member_removed,
    other_manager,
    owner,
    password_set,
    phone_confirmed,
    registered,
    reinstated,
    role_assigned,
    stranger,
    suspended,
    system,
)
from tests.specification import given

registration = RegisterUser(
    at=BEGINNING,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    email="ana@example.com",
    phone="+56 9 6123 4567",
    rut="12.345.678-5",
)
confirmation = ConfirmPhone(at=BEGINNING, account=WHO)
password = SetPassword(at=BEGINNING, account=WHO)
new_user_code = ChangeUserCode(at=BEGINNING, account=WHO, email="ana.rojas@example.org")
assignment = AssignAccountManager(at=BEGINNING, account=WHO, account_manager=MANAGER)
suspension = SuspendAccount(at=BEGINNING, account=WHO, reason=SuspensionReason.MISUSE)
reinstatement = ReinstateAccount(at=BEGINNING, account=WHO, reason=SuspensionReason.RESOLVED)
closure = CloseAccount(at=BEGINNING, account=WHO, reason=ClosureReason.OWNER_REQUEST)
erasure = ErasePerson(at=BEGINNING, account=WHO)

ABOUT_AN_ACCOUNT: list[tuple[AccountDecision, Actor]] = [
    (confirmation, system),
    (password, owner),
    (new_user_code, manager),
    (assignment, manager),
    (suspension, manager),
    (reinstatement, manager),
    (closure, owner),
    (erasure, owner),
]
EXCEPT_ERASURE = [case for case in ABOUT_AN_ACCOUNT if case[0] is not erasure]


def asks(
    actor: Actor, command: AccountDecision, **surroundings: Any
) -> Callable[[Account], Sequence[AccountEvent]]:
    """This actor gives this command; nothing else is known unless the surroundings say so."""
    around = AccountSurroundings(account=ACCOUNT, person=PERSON, **surroundings)
    return lambda account: decide(command, actor, account, around)


def named(case: object) -> str | None:
    """What a case is called in a report."""
    return type(case).__name__ if isinstance(case, AccountCommand) else None


# ---------------------------------------------------------------- registration


@pytest.mark.rule("A2", "A3")
def test_registering_makes_an_individual_account() -> None:
    """Whoever registers has an individual account, with what was given in canonical form."""
    given(account_decider).when(asks(owner, registration)).then(registered)


@pytest.mark.rule("A3")
def test_an_email_gets_no_second_account() -> None:
    """An e-mail that has an account, or an open invitation, gets no second one."""
    outcome = given(account_decider).when(asks(owner, registration, email_taken=True))
    outcome.then_refused("A3", message_contains="e-mail", remedy_contains="Sign in")


@pytest.mark.rule("A3")
def test_a_rut_gets_no_second_account() -> None:
    """The RUT of a person who has an account gets no second one."""
    outcome = given(account_decider).when(asks(owner, registration, rut_taken=True))
    outcome.then_refused("A3", message_contains="RUT", remedy_contains="account manager")


@pytest.mark.rule("A3")
def test_an_account_is_registered_once() -> None:
    """An account that exists is not registered over itself."""
    outcome = given(account_decider, registered).when(asks(owner, registration))
    outcome.then_refused("A3", message_contains="exists")


@pytest.mark.rule("A4")
def test_the_registration_keeps_email_and_phone() -> None:
    """An individual account has an e-mail and a mobile number, not yet active."""
    [event] = given(account_decider).when(asks(owner, registration)).events
    assert isinstance(event, UserRegistered)
    assert (event.email, event.phone) == ("ana@example.com", "+56961234567")
    assert not account_after(event).phone_confirmed


@pytest.mark.rule("A1")
@pytest.mark.parametrize(("command", "actor"), ABOUT_AN_ACCOUNT, ids=named)
def test_nothing_happens_to_an_account_that_does_not_exist(
    command: AccountDecision, actor: Actor
) -> None:
    """What is not registered is no account, and nothing can be asked of it."""
    outcome = given(account_decider).when(asks(actor, command))
    outcome.then_refused("A1", remedy_contains="Register first")


# ---------------------------------------------------------------- phone and password


@pytest.mark.rule("A4")
def test_a_key_that_came_back_makes_the_number_active() -> None:
    """The number is active once the key that was sent to it came back."""
    given(account_decider, registered).when(asks(system, confirmation)).then(phone_confirmed)


@pytest.mark.rule("A4")
def test_an_active_number_stays_active() -> None:
    """A number that is active is not confirmed again."""
    past = given(account_decider, registered, phone_confirmed)
    past.when(asks(system, confirmation)).then_nothing()


@pytest.mark.rule("A9")
def test_the_owner_sets_the_password() -> None:
    """The owner sets a password, as often as they like; only the fact is kept."""
    past = given(account_decider, registered, password_set)
    past.when(asks(owner, password)).then(password_set)


@pytest.mark.rule("A9")
@pytest.mark.parametrize("actor", [stranger, manager, system], ids=lambda actor: actor.kind)
def test_nobody_else_sets_the_password(actor: Actor) -> None:
    """A password is changed by its authenticated owner alone."""
    outcome = given(account_decider, registered).when(asks(actor, password))
    outcome.then_refused("A9", remedy_contains="owner")


# ---------------------------------------------------------------- user code


@pytest.mark.rule("A5")
def test_the_assigned_account_manager_changes_the_user_code() -> None:
    """The account manager of the client changes the user code; the fact knows both addresses."""
    past = given(account_decider, registered, manager_assigned)
    past.when(asks(manager, new_user_code, former_email="ana@example.com")).then(
        UserCodeChanged(
            account=ACCOUNT,
            person=PERSON,
            occurred_at=BEGINNING,
            email="ana.rojas@example.org",
            former_email="ana@example.com",
        )
    )


@pytest.mark.rule("A5")
@pytest.mark.parametrize(
    "actor",
    [owner, stranger, other_manager, system, Actor(kind=manager.kind)],
    ids=["owner", "stranger", "another account manager", "system", "account manager without id"],
)
def test_nobody_else_changes_the_user_code(actor: Actor) -> None:
    """Neither the owner nor any other account manager changes the user code."""
    outcome = given(account_decider, registered, manager_assigned).when(asks(actor, new_user_code))
    outcome.then_refused("A5", remedy_contains="account manager")


@pytest.mark.rule("A5")
@pytest.mark.parametrize("actor", [manager, Actor(kind=manager.kind)], ids=["known", "without id"])
def test_without_an_assignment_nobody_changes_the_user_code(actor: Actor) -> None:
    """Where no account manager is assigned, none can change the user code."""
    given(account_decider, registered).when(asks(actor, new_user_code)).then_refused("A5")


@pytest.mark.rule("A5")
def test_a_user_code_that_is_only_spelled_otherwise_is_no_change() -> None:
    """The same address in another spelling changes nothing."""
    past = given(account_decider, registered, manager_assigned)
    past.when(asks(manager, new_user_code, same_email=True, email_taken=True)).then_nothing()


@pytest.mark.rule("A3", "A5")
def test_a_user_code_that_somebody_has_is_not_given_twice() -> None:
    """The new address must be free, as at registration."""
    outcome = given(account_decider, registered, manager_assigned).when(
        asks(manager, new_user_code, email_taken=True)
    )
    outcome.then_refused("A3", remedy_contains="no account uses")


# ---------------------------------------------------------------- account manager


@pytest.mark.rule("A5")
def test_the_assignment_of_an_account_manager_is_a_fact() -> None:
    """Who looks after a client is on record."""
    given(account_decider, registered).when(asks(manager, assignment)).then(manager_assigned)


@pytest.mark.rule("A5")
def test_an_assignment_says_who_looked_after_the_client_before() -> None:
    """Another account manager takes over from the one before."""
    taking_over = assignment.model_copy(update={"account_manager": OTHER_MANAGER})
    given(account_decider, registered, manager_assigned).when(asks(manager, taking_over)).then(
        AccountManagerAssigned(
            account=ACCOUNT,
            person=PERSON,
            occurred_at=BEGINNING,
            account_manager=OTHER_MANAGER,
            former_account_manager=MANAGER,
        )
    )


@pytest.mark.rule("A5")
def test_who_took_over_can_change_the_user_code_and_who_left_cannot() -> None:
    """The right to change the user code goes with the assignment."""
    taken_over = manager_assigned.model_copy(update={"account_manager": OTHER_MANAGER})
    past = given(account_decider, registered, manager_assigned, taken_over)
    past.when(asks(manager, new_user_code)).then_refused("A5")
    assert len(past.when(asks(other_manager, new_user_code)).events) == 1


@pytest.mark.rule("A5")
def test_the_same_assignment_again_is_nothing_new() -> None:
    """Who looks after a client already is not assigned again."""
    past = given(account_decider, registered, manager_assigned)
    past.when(asks(manager, assignment)).then_nothing()


# ---------------------------------------------------------------- suspension and closing


@pytest.mark.rule("A10")
def test_an_account_is_suspended_with_a_reason() -> None:
    """An account manager suspends an account and says why."""
    given(account_decider, registered).when(asks(manager, suspension)).then(suspended)


@pytest.mark.rule("A10")
def test_what_else_is_said_goes_with_a_suspension_and_its_end() -> None:
    """A note stays with the suspension, the reinstatement and the closing that it is about."""
    note = {"note": "asked for by telephone"}
    past = given(account_decider, registered)
    suspending = past.when(asks(manager, suspension.model_copy(update=note)))
    reinstating = suspending.and_when(asks(manager, reinstatement.model_copy(update=note)))
    closing = past.when(asks(owner, closure.model_copy(update=note)))
    suspending.then(suspended.model_copy(update=note))
    reinstating.then(reinstated.model_copy(update=note))
    closing.then(closed.model_copy(update=note))


@pytest.mark.rule("A10")
def test_a_suspended_account_is_not_suspended_again() -> None:
    """One suspension is ended before the next begins."""
    outcome = given(account_decider, registered, suspended).when(asks(manager, suspension))
    outcome.then_refused("A10", remedy_contains="Reinstate")


@pytest.mark.rule("A10")
def test_a_suspended_account_is_reinstated() -> None:
    """An account manager ends a suspension, and the account is open again."""
    past = given(account_decider, registered, suspended)
    past.when(asks(manager, reinstatement)).then(reinstated)
    assert account_after(registered, suspended, reinstated).standing is Standing.OPEN


@pytest.mark.rule("A10")
def test_an_account_that_is_not_suspended_is_not_reinstated() -> None:
    """Where there is no suspension, none can be ended."""
    outcome = given(account_decider, registered).when(asks(manager, reinstatement))
    outcome.then_refused("A10", message_contains="not suspended")


@pytest.mark.rule("A10")
def test_the_owner_of_a_suspended_account_is_told_whom_to_ask() -> None:
    """What an owner does through an account waits until it is reinstated."""
    refuse_if_suspended(account_after(registered))
    with pytest.raises(Refused) as refusal:
        refuse_if_suspended(account_after(registered, suspended))
    assert refusal.value.rule == "A10"
    assert "account manager" in refusal.value.remedy


@pytest.mark.rule("A10")
@pytest.mark.parametrize("actor", [owner, manager], ids=["owner", "account manager"])
@pytest.mark.parametrize("past", [[registered], [registered, suspended]], ids=["open", "suspended"])
def test_owner_and_account_manager_close_an_account(actor: Actor, past: list[AccountEvent]) -> None:
    """An account is closed by its owner or by an account manager, suspended or not."""
    given(account_decider, *past).when(asks(actor, closure)).then(closed)


@pytest.mark.rule("G1", "A10")
@pytest.mark.parametrize("command", [closure, erasure], ids=named)
def test_a_person_closes_and_erases_nobody_else(command: AccountDecision) -> None:
    """Nobody closes or erases another person's account."""
    outcome = given(account_decider, registered).when(asks(stranger, command))
    outcome.then_refused("G1", remedy_contains="owner")


@pytest.mark.rule("A10")
@pytest.mark.parametrize(("command", "actor"), EXCEPT_ERASURE, ids=named)
def test_nothing_happens_to_a_closed_account(command: AccountDecision, actor: Actor) -> None:
    """Closed is for good; whoever comes back registers anew."""
    past = given(account_decider, registered, manager_assigned, closed)
    past.when(asks(actor, command)).then_refused("A10", remedy_contains="Register anew")


# ---------------------------------------------------------------- erasure


@pytest.mark.rule("A11")
@pytest.mark.parametrize("actor", [owner, manager], ids=["owner", "account manager"])
@pytest.mark.parametrize("past", [[registered], [registered, suspended]], ids=["open", "suspended"])
def test_erasing_closes_the_account(actor: Actor, past: list[AccountEvent]) -> None:
    """Whoever is erased has their account closed for that reason."""
    given(account_decider, *past).when(asks(actor, erasure)).then(
        AccountClosed(
            account=ACCOUNT,
            person=PERSON,
            occurred_at=BEGINNING,
            reason=ClosureReason.ERASURE,
        ),
        erased,
    )


@pytest.mark.rule("A11")
def test_an_account_that_is_closed_already_is_closed_once() -> None:
    """The person of a closed account can still be erased."""
    given(account_decider, registered, closed).when(asks(owner, erasure)).then(erased)


@pytest.mark.rule("A11")
def test_the_erasure_says_until_when_tax_data_is_readable() -> None:
    """Buyer data stays readable until its legal term ends, and the erasure says when."""
    term = date(2031, 1, 1)
    outcome = given(account_decider, registered, closed).when(
        asks(owner, erasure, tax_data_readable_until=term)
    )
    outcome.then(
        PersonErased(
            account=ACCOUNT,
            person=PERSON,
            occurred_at=BEGINNING,
            tax_data_readable_until=term,
        )
    )


@pytest.mark.rule("A11")
def test_a_person_is_erased_once() -> None:
    """What is erased cannot be erased again."""
    outcome = given(account_decider, registered, closed, erased).when(asks(owner, erasure))
    outcome.then_refused("A11")


@pytest.mark.rule("A11")
def test_an_erased_account_is_closed() -> None:
    """An erasure by itself leaves a closed account behind."""
    account = account_after(registered, erased)
    assert account.erased
    assert account.standing is Standing.CLOSED


# ---------------------------------------------------------------- members of plans

BOTH_LEFT = [
    member_removed(Role.ADMINISTRATOR, PLAN, reason=RemovalReason.ACCOUNT_CLOSED),
    member_removed(Role.USER, OTHER_PLAN, reason=RemovalReason.ACCOUNT_CLOSED),
]
member_of_two: list[AccountEvent] = [
    registered,
    role_assigned(Role.USER, OTHER_PLAN),
    role_assigned(Role.ADMINISTRATOR, PLAN),
]


@pytest.mark.rule("A10", "A12", "S10")
def test_whoever_closes_the_account_leaves_its_plans() -> None:
    """Seats and roles are free again, and the facts say why."""
    past = given(account_decider, *member_of_two)
    outcome = past.when(asks(owner, closure))
    outcome.then(*BOTH_LEFT, closed)
    assert account_after(*member_of_two, *outcome.events).roles == {}


@pytest.mark.rule("A11", "A12", "S10")
def test_whoever_is_erased_leaves_their_plans() -> None:
    """The closing that comes with an erasure leaves every plan, too."""
    outcome = given(account_decider, *member_of_two).when(asks(owner, erasure))
    *left, closing, last = outcome.events
    assert left == BOTH_LEFT
    assert isinstance(closing, AccountClosed)
    assert last == erased


@pytest.mark.rule("I8")
@pytest.mark.parametrize("command", [closure, erasure], ids=named)
@pytest.mark.parametrize("actor", [owner, manager], ids=["owner", "account manager"])
def test_the_only_administrator_of_others_cannot_go(actor: Actor, command: AccountDecision) -> None:
    """Where a plan in force has other members, another administers it first."""
    past = given(account_decider, registered, role_assigned(Role.ADMINISTRATOR))
    outcome = past.when(asks(actor, command, needed_by_a_plan=True))
    outcome.then_refused("I8", message_contains="only administrator", remedy_contains="another")
    assert past.when(asks(actor, command)).events


@pytest.mark.rule("A11", "I8")
def test_a_closed_account_is_erased_whoever_it_was() -> None:
    """A closed account administers nothing any more."""
    past = given(account_decider, registered, closed)
    past.when(asks(owner, erasure, needed_by_a_plan=True)).then(erased)


@pytest.mark.rule("A2", "A12")
def test_a_role_makes_an_account_institutional() -> None:
    """Whoever was an individual before is so no longer, and the account remembers every role."""
    account = account_after(*member_of_two)
    assert account.kind is AccountKind.INSTITUTIONAL
    assert account.roles == {PLAN: Role.ADMINISTRATOR, OTHER_PLAN: Role.USER}


@pytest.mark.rule("A12", "A2")
def test_a_former_member_who_pays_has_an_individual_account() -> None:
    """The kind changes with the payment, on the same account."""
    former: list[AccountEvent] = [registered, role_assigned(), member_removed()]
    [became] = become_individual(account_after(*former), BEGINNING)
    assert became == AccountBecameIndividual(
        account=ACCOUNT,
        person=PERSON,
        occurred_at=BEGINNING,
        former_kind=AccountKind.INSTITUTIONAL,
    )
    account = account_after(*former, became)
    assert account.kind is AccountKind.INDIVIDUAL
    assert account.was_member
    assert become_individual(account, BEGINNING) == []


@pytest.mark.rule("A12")
def test_an_individual_account_stays_one() -> None:
    """Who never was a member becomes nothing by paying, and nobody becomes nobody."""
    assert become_individual(account_after(registered), BEGINNING) == []
    with pytest.raises(Refused, match="A1"):
        become_individual(Account(), BEGINNING)
