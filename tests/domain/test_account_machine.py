"""Any command about an account, in any order, from anybody, at any time."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.account import (
    Account,
    AccountClosed,
    AccountDecision,
    AccountEvent,
    AccountKind,
    AccountManagerAssigned,
    AccountReinstated,
    AccountSurroundings,
    AccountSuspended,
    AssignAccountManager,
    ChangeUserCode,
    CloseAccount,
    ClosureReason,
    ConfirmPhone,
    ErasePerson,
    PasswordSet,
    PersonErased,
    PhoneConfirmed,
    RegisterUser,
    ReinstateAccount,
    SetPassword,
    Standing,
    SuspendAccount,
    SuspensionReason,
    UserCodeChanged,
    UserRegistered,
    account_decider,
    decide,
)
from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.refusal import Refused
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    MANAGER,
    OTHER_MANAGER,
    PERSON,
    STRANGER,
    WHO,
    manager,
    other_manager,
    owner,
    system,
    through_the_log,
)

times = st.integers(-400, 400).map(lambda days: BEGINNING + timedelta(days=days))
anybody = st.builds(
    Actor,
    kind=st.sampled_from(ActorKind),
    id=st.sampled_from([PERSON, STRANGER, MANAGER, OTHER_MANAGER, None]),
)
# Whom the table of G1 lets through is asked more often, so that more happens.
actors = st.one_of(st.sampled_from([owner, manager, other_manager, system]), anybody)
managers = st.sampled_from([MANAGER, OTHER_MANAGER])
notes = st.none() | st.text(max_size=20)
surroundings = st.builds(
    AccountSurroundings,
    account=st.just(ACCOUNT),
    person=st.just(PERSON),
    email_taken=st.sampled_from([False, False, False, True]),
    rut_taken=st.sampled_from([False, False, False, True]),
    same_email=st.sampled_from([False, False, False, True]),
    former_email=st.just("ana@example.com"),
    tax_data_readable_until=st.none() | st.dates(),
)
commands: st.SearchStrategy[AccountDecision] = st.one_of(
    st.builds(
        RegisterUser,
        at=times,
        given_name=st.sampled_from(["Ana", "Juan"]),
        paternal_surname=st.just("Rojas"),
        email=st.sampled_from(["ana@example.com", "juan@example.cl"]),
        phone=st.just("+56961234567"),
        rut=st.sampled_from([None, "12345678-5"]),
        time_zone=st.just("America/Santiago"),
        language=st.just("es"),
    ),
    st.builds(ConfirmPhone, at=times, account=st.just(WHO)),
    st.builds(SetPassword, at=times, account=st.just(WHO)),
    st.builds(
        ChangeUserCode,
        at=times,
        account=st.just(WHO),
        email=st.sampled_from(["new@example.com", "newer@example.com"]),
    ),
    st.builds(AssignAccountManager, at=times, account=st.just(WHO), account_manager=managers),
    st.builds(
        SuspendAccount,
        at=times,
        account=st.just(WHO),
        reason=st.sampled_from(SuspensionReason),
        note=notes,
    ),
    st.builds(
        ReinstateAccount,
        at=times,
        account=st.just(WHO),
        reason=st.sampled_from(SuspensionReason),
        note=notes,
    ),
)
# Nothing much happens after these, so they come seldom.
last_commands: st.SearchStrategy[AccountDecision] = st.one_of(
    st.builds(
        CloseAccount,
        at=times,
        account=st.just(WHO),
        reason=st.sampled_from(ClosureReason),
        note=notes,
    ),
    st.builds(ErasePerson, at=times, account=st.just(WHO)),
)


class AccountMachine(RuleBasedStateMachine):
    """One account, what happened to it, and what each decision was made on."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[AccountEvent] = []
        self.account = account_decider.initial
        self.decided_on: dict[int, Account] = {}

    @rule(
        # One rule, for Hypothesis leaves out whole rules at random, and all are needed to get far.
        command=st.one_of(*[commands] * 9, last_commands),
        actor=actors,
        around=surroundings,
    )
    def ask(self, command: AccountDecision, actor: Actor, around: AccountSurroundings) -> None:
        """Somebody asks for something, and gets it or not."""
        self.decided_on[len(self.events)] = self.account
        try:
            refuse_unless_may_give(actor, type(command))
            made = decide(command, actor, self.account, around)
        except Refused:
            return
        self._check_who_did_it(actor, made)
        self.account = reduce(account_decider.evolve, made, self.account)
        self.events += [through_the_log(event) for event in made]

    def _check_who_did_it(self, actor: Actor, made: Sequence[AccountEvent]) -> None:
        for event in made:
            if isinstance(event, PasswordSet):
                assert actor == owner, "A9: a password is set by its owner"
            if isinstance(event, UserCodeChanged):
                assert actor.id == self._assigned_manager(), "A5: by the assigned manager"
            if actor.kind is ActorKind.PERSON and self.events:
                assert actor.id == PERSON, "G1: a person acts on their own account"

    def _assigned_manager(self) -> object:
        assignments = [e for e in self.events if isinstance(e, AccountManagerAssigned)]
        return assignments[-1].account_manager if assignments else None

    def teardown(self) -> None:
        """Whatever was decided can be decided again: any prefix gives the state of that time."""
        self.decided_on[len(self.events)] = self.account
        for length, state in self.decided_on.items():
            assert account_decider.replay(self.events[:length]) == state

    @invariant()
    def an_account_is_registered_first_and_once(self) -> None:
        """A3: everything about an account comes after its one registration."""
        kinds = [event.kind for event in self.events if isinstance(event, UserRegistered)]
        assert kinds == ([AccountKind.INDIVIDUAL] if self.events else [])
        assert not self.events or isinstance(self.events[0], UserRegistered)

    @invariant()
    def a_closed_account_changes_only_by_erasure(self) -> None:
        """A10, A11: after the closing comes nothing, or one erasure and nothing more."""
        closings = [n for n, event in enumerate(self.events) if isinstance(event, AccountClosed)]
        after = self.events[closings[0] + 1 :] if closings else []
        assert len(closings) <= 1
        assert [type(event) for event in after] in ([], [PersonErased])

    @invariant()
    def its_standing_is_what_its_events_say(self) -> None:
        """A10, A11: open, suspended or closed follows from the last event that says so."""
        told: dict[type[AccountEvent], Standing] = {
            UserRegistered: Standing.OPEN,
            AccountSuspended: Standing.SUSPENDED,
            AccountReinstated: Standing.OPEN,
            AccountClosed: Standing.CLOSED,
            PersonErased: Standing.CLOSED,
        }
        said = [told[type(event)] for event in self.events if type(event) in told]
        assert self.account.standing is (said[-1] if said else Standing.NONE)
        assert self.account.phone_confirmed == self._happened(PhoneConfirmed)
        assert self.account.password_set == self._happened(PasswordSet)
        assert self.account.erased == self._happened(PersonErased)
        assert self.account.account_manager == self._assigned_manager()

    def _happened(self, kind: type[AccountEvent]) -> bool:
        return any(isinstance(event, kind) for event in self.events)


@pytest.mark.rule("A3", "A5", "A9", "A10", "A11", "G1")
def test_whatever_is_asked_of_an_account() -> None:
    """Its rules hold in any order, and its past can be replayed."""
    run_state_machine_as_test(AccountMachine)


@pytest.mark.soak
@pytest.mark.rule("A3", "A5", "A9", "A10", "A11", "G1")
def test_whatever_is_asked_of_an_account_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(AccountMachine)
