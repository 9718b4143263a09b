"""Any command about an invitation, in any order, from anybody, at times forwards and backwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.account import Account, AccountEvent, Role, RoleAssigned, UserRegistered
from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.due import DueKind, due_of_invitation
from domain.invitation import (
    AcceptInvitation,
    CorrectInvitation,
    ExpireInvitation,
    Holder,
    Invitation,
    InvitationAccepted,
    InvitationCorrected,
    InvitationDecision,
    InvitationEvent,
    InvitationExpired,
    InvitationNoticeRequested,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
    InvitationStanding,
    InvitationSurroundings,
    Invited,
    Invitee,
    InviteMember,
    RemindInvitation,
    ResendInvitation,
    RevokeInvitation,
    decide,
    invitation_decider,
)
from domain.refusal import Refused
from tests.domain.stories import (
    ACCOUNT,
    ADMINISTRATOR,
    BEGINNING,
    FOURTEEN_DAYS,
    INVITATION,
    MANAGER,
    OTHER_PLAN,
    PERSON,
    PLAN,
    STRANGER,
    account_after,
    administrator,
    administrators_account,
    closed,
    lapsed,
    manager,
    member_removed,
    of_plan,
    owner,
    plan_after,
    plan_opened,
    plan_paid,
    registered,
    role_assigned,
    suspended,
    system,
    through_the_log,
)

WHICH = f"invitation:{INVITATION}"
IN_FORCE = plan_after(*plan_paid(seats=3))
PLANS = [IN_FORCE, plan_after(plan_opened(3))]
RUN_OUT = plan_after(*plan_paid(), of_plan(lapsed(BEGINNING, BEGINNING.date())))
ANA = Invited("Ana", "Rojas", "Soto", "12345678-5", "ana@example.com", "+56961234567")

anybody = st.builds(
    Actor,
    kind=st.sampled_from(ActorKind),
    id=st.sampled_from([PERSON, STRANGER, MANAGER, ADMINISTRATOR, None]),
)
# Whom the table of G1 lets through asks more often, so that more happens.
actors = st.one_of(st.sampled_from([administrator, manager, owner, system]), anybody)
askers = st.sampled_from(
    [
        *[administrators_account(Role.SUPER_ADMINISTRATOR)] * 3,
        administrators_account(Role.ADMINISTRATOR),
        administrators_account(Role.USER),
        administrators_account(Role.SUPER_ADMINISTRATOR, OTHER_PLAN),
        administrators_account(Role.SUPER_ADMINISTRATOR, PLAN, suspended),
        Account(),
    ]
)
accounts = st.sampled_from(
    [
        *[Account()] * 3,
        account_after(registered, role_assigned(), member_removed()),
        account_after(registered, role_assigned(plan=OTHER_PLAN)),
        account_after(registered, role_assigned(), member_removed(), suspended),
        account_after(registered, closed),
    ]
)
seldom = st.sampled_from([False, False, False, True])
holders = st.sampled_from([*[Holder.NOBODY] * 4, Holder.ACCOUNT, Holder.INVITATION])


ana_is_invited = InviteMember(
    at=BEGINNING,
    plan=PLAN,
    invitation=INVITATION,
    role=Role.USER,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    rut="12345678-5",
    email="ana@example.com",
    phone="+56961234567",
)
commands: st.SearchStrategy[InvitationDecision] = st.sampled_from(
    [
        *(ana_is_invited.model_copy(update={"role": role}) for role in Role),
        ResendInvitation(at=BEGINNING, invitation=WHICH),
        CorrectInvitation(at=BEGINNING, invitation=WHICH, email="ana.rojas@example.org"),
        RevokeInvitation(at=BEGINNING, invitation=WHICH),
        *[RemindInvitation(at=BEGINNING, invitation=WHICH)] * 2,
        ExpireInvitation(at=BEGINNING, invitation=WHICH),
        *[AcceptInvitation(at=BEGINNING, invitation=WHICH)] * 3,
    ]
)
CLOCK_GIVES: dict[DueKind, type[RemindInvitation | ExpireInvitation]] = {
    DueKind.INVITATION_REMINDER: RemindInvitation,
    DueKind.INVITATION_EXPIRY: ExpireInvitation,
}
A_WEEK = timedelta(days=7)
AN_INSTANT = timedelta(microseconds=1)
NOTHING_IN_THE_WAY = InvitationSurroundings(
    plan=IN_FORCE,
    asker=administrators_account(Role.SUPER_ADMINISTRATOR),
    administered=True,
    invitee=Invitee(PERSON),
    email="ana@example.com",
    new_account=ACCOUNT,
    invited=ANA,
)
surroundings = st.builds(
    InvitationSurroundings,
    plan=st.sampled_from([*PLANS * 2, RUN_OUT]),
    asker=askers,
    administered=st.booleans(),
    seats_used=st.integers(0, 3),
    invitee=st.builds(Invitee, st.just(PERSON), holders, holders, seldom),
    id_taken=seldom,
    email_holder=holders,
    email=st.just("ana@example.com"),
    same_email=seldom,
    account=accounts,
    new_account=st.just(ACCOUNT),
    invited=st.just(ANA),
    plans=st.sampled_from([{OTHER_PLAN: IN_FORCE}, {OTHER_PLAN: RUN_OUT}]),
)


def usual_actor(wish: InvitationDecision) -> Actor:
    """Who most often asks for this."""
    match wish:
        case AcceptInvitation():
            return owner
        case RemindInvitation() | ExpireInvitation():
            return system
        case _:
            return administrator


@dataclass(frozen=True, slots=True)
class Given:
    """A command that was not refused: by whom, when, and what it found."""

    actor: Actor
    at: datetime
    found: Invitation
    around: InvitationSurroundings


class InvitationMachine(RuleBasedStateMachine):
    """One invitation, whatever stands around it, and a clock that may go backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.events: list[InvitationEvent] = []
        self.given: list[Given] = []
        self.of_account: list[AccountEvent] = []
        self.invitation = invitation_decider.initial
        self.decided_on: dict[int, Invitation] = {}

    @rule(
        wish=commands,
        by=st.one_of(st.none(), actors),
        around=st.just(NOTHING_IN_THE_WAY) | surroundings,
        days=st.sampled_from([0, 0, 0, 0, 0, 1, 1, -3, 5, 8, 8, 14]),
    )
    def ask(
        self, wish: InvitationDecision, by: Actor | None, around: InvitationSurroundings, days: int
    ) -> None:
        """Whoever usually does, or somebody else, asks for something, and gets it or not."""
        actor = by or usual_actor(wish)
        self.now += timedelta(days=days)
        command = wish.model_copy(update={"at": self.now})
        around = replace(around, expires_at=self.now + FOURTEEN_DAYS)
        self.decided_on[len(self.events)] = self.invitation
        try:
            refuse_unless_may_give(actor, type(command))
            made = decide(command, actor, self.invitation, around)
        except Refused:
            return
        of_invitation = [event for event in made if isinstance(event, InvitationEvent)]
        self.given += [Given(actor, self.now, self.invitation, around)] * len(of_invitation)
        self.of_account += [event for event in made if not isinstance(event, InvitationEvent)]
        self.invitation = reduce(invitation_decider.evolve, of_invitation, self.invitation)
        self.events += [through_the_log(event) for event in of_invitation]

    def teardown(self) -> None:
        """Whatever was decided can be decided again: any prefix gives the state of that time."""
        self.decided_on[len(self.events)] = self.invitation
        for length, state in self.decided_on.items():
            assert invitation_decider.replay(self.events[:length]) == state

    @invariant()
    def it_is_sent_first_and_once(self) -> None:
        """I6: whatever becomes of an invitation, it was sent before."""
        sent = [n for n, event in enumerate(self.events) if isinstance(event, InvitationSent)]
        assert sent == ([0] if self.events else [])

    @invariant()
    def it_comes_to_one_end(self) -> None:
        """I6: used, revoked or expired, and nothing after it."""
        ends = InvitationAccepted | InvitationRevoked | InvitationExpired
        assert not any(isinstance(event, ends) for event in self.events[:-1])
        last = self.events[-1] if self.events else None
        assert (self.invitation.standing is InvitationStanding.SENT) is (
            last is not None and not isinstance(last, ends)
        )
        assert self.invitation.standing is InvitationStanding.SENT or not self.invitation.is_open(
            BEGINNING - timedelta(days=1000)
        )

    @invariant()
    def whatever_becomes_of_it_does_so_while_it_is_open(self) -> None:
        """I6: before its expiry; and an expiry is recorded from that instant on."""
        for event, given in zip(self.events[1:], self.given[1:], strict=True):
            expires_at = given.found.expires_at
            assert expires_at
            if isinstance(event, InvitationExpired):
                assert event.expired_at == expires_at <= given.at
            else:
                assert given.at < expires_at
            if isinstance(event, InvitationSentAgain | InvitationCorrected):
                assert event.expires_at == given.at + FOURTEEN_DAYS

    @invariant()
    def nobody_sends_it_who_may_not(self) -> None:
        """I1, I4, A10, S10: an administrator of the plan, or staff for the first one of all."""
        for event, given in zip(self.events, self.given, strict=True):
            if not isinstance(
                event,
                InvitationSent | InvitationSentAgain | InvitationCorrected | InvitationRevoked,
            ):
                continue
            role = event.role if isinstance(event, InvitationSent) else given.found.role
            if given.actor.kind is ActorKind.ACCOUNT_MANAGER:
                assert role is Role.SUPER_ADMINISTRATOR
                assert not given.around.administered
            else:
                own_role = given.around.asker.roles[PLAN]
                assert own_role is Role.SUPER_ADMINISTRATOR or (
                    own_role is Role.ADMINISTRATOR and role is not Role.SUPER_ADMINISTRATOR
                )
                assert given.around.asker.standing == "open"
            assert isinstance(event, InvitationRevoked) or not given.around.plan.over(given.at)

    @invariant()
    def a_reminder_comes_in_time_and_once(self) -> None:
        """I6: in the last week, once for each time that it went out, under an id of its own."""
        reminded_since_it_went_out = False
        notices = set[UUID]()
        for event, given in zip(self.events, self.given, strict=True):
            if isinstance(event, InvitationSentAgain | InvitationCorrected):
                reminded_since_it_went_out = False
            if isinstance(event, InvitationNoticeRequested):
                assert given.found.expires_at
                assert given.found.expires_at - A_WEEK <= given.at < given.found.expires_at
                assert not reminded_since_it_went_out
                assert event.notice not in notices
                reminded_since_it_went_out = True
                notices.add(event.notice)

    @invariant()
    def what_is_due_is_due_until_it_is_done(self) -> None:
        """I6: the clock is refused before its instant, never from then on, and then it is done."""
        waits = self.invitation.standing is InvitationStanding.SENT
        dues = due_of_invitation(self.invitation)
        assert (DueKind.INVITATION_EXPIRY in {due.kind for due in dues}) is waits
        for due in dues:
            with pytest.raises(Refused):
                self._clock_does(due.kind, due.at - AN_INSTANT)
            for at in (due.at, due.at + timedelta(days=30)):
                assert due not in due_of_invitation(self._clock_does(due.kind, at))

    def _clock_does(self, kind: DueKind, at: datetime) -> Invitation:
        """The invitation after the clock did what is due."""
        command = CLOCK_GIVES[kind](at=at, invitation=WHICH)
        made = decide(command, system, self.invitation, NOTHING_IN_THE_WAY)
        of_invitation = [event for event in made if isinstance(event, InvitationEvent)]
        assert of_invitation
        return reduce(invitation_decider.evolve, of_invitation, self.invitation)

    @invariant()
    def accepting_makes_a_member(self) -> None:
        """I7, A3, I8: of the invited person alone, with the role, and with one account."""
        used = [(e, g) for e, g in zip(self.events, self.given, strict=True)
                if isinstance(e, InvitationAccepted)]  # fmt: skip
        assert bool(used) is bool(self.of_account)
        for event, given in used:
            *others, role = self.of_account
            assert given.actor == owner
            assert isinstance(role, RoleAssigned)
            assert (role.account, role.plan, role.role) == (event.account, PLAN, event.role)
            assert event.role is given.found.role
            assert event.role.administers or given.around.administered
            made = [other for other in others if isinstance(other, UserRegistered)]
            assert len(made) == (given.around.account.standing in ("none", "closed"))
            self._check_what_was_left(given, others)

    def _check_what_was_left(self, given: Given, others: Sequence[AccountEvent]) -> None:
        """A12: of other plans, only those that are over were left."""
        if given.around.account.standing == "open":
            assert len(others) == len(given.around.account.roles)
            assert all(given.around.plans[p].over(given.at) for p in given.around.account.roles)


RULES = ("I1", "I4", "I6", "I7", "I8", "A3", "A12", "S10")


@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_an_invitation() -> None:
    """Its rules hold in any order, and its past can be replayed."""
    run_state_machine_as_test(InvitationMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_an_invitation_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(InvitationMachine)
