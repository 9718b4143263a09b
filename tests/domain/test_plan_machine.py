"""A plan and the people who come and go, in any order: seats, roles, one invitation each."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.account import (
    Account,
    AccountDecision,
    AccountEvent,
    AccountSurroundings,
    CloseAccount,
    ClosureReason,
    ErasePerson,
    ReinstateAccount,
    Role,
    Standing,
    SuspendAccount,
    SuspensionReason,
    account_decider,
)
from domain.account import decide as decide_account
from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.invitation import (
    AcceptInvitation,
    Holder,
    Invitation,
    InvitationDecision,
    InvitationEvent,
    InvitationSurroundings,
    Invited,
    Invitee,
    InviteMember,
    ResendInvitation,
    RevokeInvitation,
    invitation_decider,
)
from domain.invitation import decide as decide_invitation
from domain.membership import (
    ChangeRole,
    MembershipDecision,
    MembershipSurroundings,
    RemoveMember,
    is_free_to_join,
)
from domain.membership import decide as decide_membership
from domain.plan import ChangeSeats, PlanSurroundings
from domain.plan import decide as decide_plan
from domain.refusal import Refused
from domain.subscription import subscription_decider
from tests.domain.stories import (
    BEGINNING,
    FOURTEEN_DAYS,
    INSTITUTION,
    PLAN,
    WHO,
    manager,
    plan_after,
    plan_opened,
)

PEOPLE = [UUID(int=100 + number) for number in range(4)]
ANA = Invited("Ana", "Rojas", "Soto", "12345678-5", "ana@example.com", "+56961234567")
ana_is_invited = InviteMember(
    at=BEGINNING,
    plan=PLAN,
    invitation=UUID(int=1),
    role=Role.USER,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    rut="12345678-5",
    email="ana@example.com",
    phone="+56961234567",
)
WISHES = ["invite"] * 4 + ["accept"] * 4 + [
    "send again", "revoke", "role", "role", "role", "remove", "remove", "suspend", "reinstate",
    "close", "erase", "seats",
]  # fmt: skip


class PlanMachine(RuleBasedStateMachine):
    """One plan, four people, what each is, and who is invited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.plan = plan_after(plan_opened(seats=3))
        self.accounts = {person: Account() for person in PEOPLE}
        self.invitations = {person: Invitation() for person in PEOPLE}
        self.ids = 1000

    # ------------------------------------------------------------ what is so

    def members(self) -> dict[UUID, Role]:
        """Who is in the plan, and as what."""
        roles = {person: account.roles.get(PLAN) for person, account in self.accounts.items()}
        return {person: role for person, role in roles.items() if role is not None}

    def invited(self) -> list[UUID]:
        """To whom an invitation is open."""
        return [p for p, invitation in self.invitations.items() if invitation.is_open(self.now)]

    def open_administrators(self) -> set[UUID]:
        """Who can administer the plan at once."""
        return {
            person
            for person, role in self.members().items()
            if role.administers and self.accounts[person].standing is Standing.OPEN
        }

    def seats_used(self, beside: UUID | None = None) -> int:
        """By members and open invitations, but for that of one person."""
        return len(self.members()) + len([p for p in self.invited() if p != beside])

    # ------------------------------------------------------------ what may happen

    @initialize()
    def the_first_super_administrator_comes(self) -> None:
        """By the account manager's invitation."""
        first = PEOPLE[0]
        themselves = Actor(kind=ActorKind.PERSON, id=first)
        self._ask("invite", first, manager, Role.SUPER_ADMINISTRATOR, 0)
        self._ask("accept", first, themselves, Role.SUPER_ADMINISTRATOR, 0)

    # One rule, for Hypothesis leaves out whole rules at random, and all are needed to get far.
    @rule(
        wish=st.sampled_from(WISHES),
        person=st.sampled_from(PEOPLE),
        by=st.sampled_from([*PEOPLE, *[manager] * 3, *["an administrator"] * 8]),
        role=st.sampled_from(Role),
        seats=st.integers(1, 5),
        days=st.sampled_from([0, 0, 0, 0, 1, 7, 20]),
    )
    def something_is_asked(
        self, *, wish: str, person: UUID, by: Actor | UUID | str, role: Role, seats: int, days: int
    ) -> None:
        """Somebody asks for something, and gets it or not."""
        self.now += timedelta(days=days)
        try:
            self._ask(wish, person, self._actor(by, person), role, seats)
        except Refused:
            return

    def _actor(self, by: Actor | UUID | str, person: UUID) -> Actor:
        match by:
            case Actor():
                return by
            case UUID():
                return Actor(kind=ActorKind.PERSON, id=by)
            case _:
                someone = next(iter(sorted(self.open_administrators())), person)
                return Actor(kind=ActorKind.PERSON, id=someone)

    def _ask(self, wish: str, person: UUID, actor: Actor, role: Role, seats: int) -> None:
        which = f"invitation:{PLAN}"
        match wish:
            case "invite":
                self._invite(person, actor, role)
            case "accept":
                somebody = next(iter(self.invited()), person)
                themselves = Actor(kind=ActorKind.PERSON, id=somebody)
                accepting = AcceptInvitation(at=self.now, invitation=which)
                self._decide_invitation(accepting, somebody, themselves)
            case "send again":
                resending = ResendInvitation(at=self.now, invitation=which)
                self._decide_invitation(resending, person, actor)
            case "revoke":
                revoking = RevokeInvitation(at=self.now, invitation=which)
                self._decide_invitation(revoking, person, actor)
            case "role":
                changing = ChangeRole(at=self.now, account=WHO, plan=PLAN, role=role)
                self._decide_membership(changing, person, actor)
            case "remove":
                removing = RemoveMember(at=self.now, account=WHO, plan=PLAN)
                self._decide_membership(removing, person, actor)
            case "seats":
                self._change_seats(seats)
            case _:
                self._decide_account(wish, person, actor)

    def _invite(self, person: UUID, actor: Actor, role: Role) -> None:
        self.ids += 1
        changes = {"at": self.now, "invitation": UUID(int=self.ids), "role": role}
        refuse_unless_may_give(actor, InviteMember)
        command = ana_is_invited.model_copy(update=changes)
        around = self._around(person, actor)
        made = decide_invitation(command, actor, Invitation(), around)
        self.invitations[person] = invitation_decider.replay(
            [event for event in made if isinstance(event, InvitationEvent)]
        )

    def _decide_invitation(self, command: InvitationDecision, person: UUID, actor: Actor) -> None:
        refuse_unless_may_give(actor, type(command))
        invitation = self.invitations[person]
        around = self._around(person, actor)
        if isinstance(command, AcceptInvitation):
            # What the invitation itself holds is in nobody's way.
            around = replace(around, invitee=Invitee(person))
        for event in decide_invitation(command, actor, invitation, around):
            if isinstance(event, InvitationEvent):
                invitation = invitation_decider.evolve(invitation, event)
                self.invitations[person] = invitation
            else:
                self._happens(person, event)

    def _around(self, person: UUID, actor: Actor) -> InvitationSurroundings:
        account = self.accounts[person]
        free = is_free_to_join(account, plan_after(), {PLAN: self.plan}, self.now)
        holder = Holder.INVITATION if person in self.invited() else Holder.NOBODY
        self.ids += 1
        return InvitationSurroundings(
            plan=self.plan,
            asker=self._account_of(actor),
            administered=bool(self.open_administrators()),
            expires_at=self.now + FOURTEEN_DAYS,
            seats_used=self.seats_used(beside=person),
            invitee=Invitee(person, email=holder if free else Holder.ACCOUNT),
            account=account,
            new_account=UUID(int=self.ids),
            invited=ANA,
            plans={PLAN: self.plan},
        )

    def _account_of(self, actor: Actor) -> Account:
        return self.accounts.get(actor.id, Account()) if actor.id else Account()

    def _decide_membership(self, command: MembershipDecision, person: UUID, actor: Actor) -> None:
        refuse_unless_may_give(actor, type(command))
        around = MembershipSurroundings(
            asker=self._account_of(actor),
            another_administrator=bool(self.open_administrators() - {person}),
        )
        for event in decide_membership(command, actor, self.accounts[person], around):
            self._happens(person, event)

    def _decide_account(self, wish: str, person: UUID, actor: Actor) -> None:
        at, account = self.now, self.accounts[person]
        commands: dict[str, AccountDecision] = {
            "suspend": SuspendAccount(at=at, account=WHO, reason=SuspensionReason.OTHER),
            "reinstate": ReinstateAccount(at=at, account=WHO, reason=SuspensionReason.RESOLVED),
            "close": CloseAccount(at=at, account=WHO, reason=ClosureReason.OTHER),
            "erase": ErasePerson(at=at, account=WHO),
        }
        command = commands[wish]
        refuse_unless_may_give(actor, type(command))
        others = self.members().keys() - {person}
        administers = account.roles.get(PLAN, Role.USER).administers
        around = AccountSurroundings(
            account=PLAN,
            person=person,
            needed_by_a_plan=administers
            and bool(others)
            and not self.open_administrators() - {person},
        )
        for event in decide_account(command, actor, account, around):
            self._happens(person, event)

    def _change_seats(self, seats: int) -> None:
        around = PlanSurroundings(institution=INSTITUTION, seats_used=self.seats_used())
        made = decide_plan(ChangeSeats(at=self.now, plan=PLAN, seats=seats), self.plan, around)
        self.plan = reduce(subscription_decider.evolve, made, self.plan)

    def _happens(self, person: UUID, event: AccountEvent) -> None:
        self.accounts[person] = account_decider.evolve(self.accounts[person], event)

    # ------------------------------------------------------------ what always holds

    @invariant()
    def members_and_open_invitations_never_use_more_than_the_seats(self) -> None:
        """S10: whatever comes first takes the last seat."""
        assert self.seats_used() <= self.plan.seats

    @invariant()
    def a_plan_with_members_has_an_administrator(self) -> None:
        """I8: whoever goes, one stays; one who is suspended is one still."""
        roles = Counter(role.administers for role in self.members().values())
        assert not roles or roles[True]

    @invariant()
    def a_member_is_not_invited(self) -> None:
        """I3: whoever is in the plan has no open invitation into it."""
        assert not self.members().keys() & {*self.invited()}

    @invariant()
    def whoever_is_gone_for_good_is_no_member(self) -> None:
        """A10, A11, A12: a closed account is in no plan."""
        for account in self.accounts.values():
            assert account.standing is not Standing.CLOSED or not account.roles


RULES = ("S10", "I1", "I3", "I7", "I8", "A12")


@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_plan_and_its_people() -> None:
    """Its rules hold in any order."""
    run_state_machine_as_test(PlanMachine)


@pytest.mark.soak
@pytest.mark.rule(*RULES)
def test_whatever_is_asked_of_a_plan_and_its_people_at_length() -> None:
    """The same, with as many examples as a soak has time for."""
    run_state_machine_as_test(PlanMachine)
