"""Any command, by anybody, about several plans and those they invite, on a real ledger.

Whatever is asked has its receipt, or a refusal by a rule of the catalogue; and after each of them
seats, roles, accounts, invitations and claims fit each other and the log.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.account import (
    CloseAccount,
    ClosureReason,
    ErasePerson,
    MemberRemoved,
    PersonErased,
    RegisterUser,
    ReinstateAccount,
    Role,
    RoleAssigned,
    SuspendAccount,
    SuspensionReason,
)
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.event import Recorded
from domain.invitation import (
    AcceptInvitation,
    CorrectInvitation,
    ExpireInvitation,
    InvitationEvent,
    InvitationSent,
    InviteeErased,
    InviteMember,
    ResendInvitation,
    RevokeInvitation,
    invitation_decider,
)
from domain.invitation_import import ImportInvitations, ListedRow
from domain.membership import ChangeRole, RemoveMember
from domain.plan import ChangeSeats, OpenPlan
from domain.subscription import (
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    ResumeSubscription,
    Subscription,
    SubscriptionEvent,
    subscription_decider,
)
from handlers.commands.situation import administrators_of
from handlers.composition import Acta, open_ledger
from handlers.store.embedded import EmbeddedServer
from tests.conftest import new_database
from tests.end_to_end.test_machine import STEPS
from tests.handlers.store.refolded_claims import held_by_log, held_in_database, whole_log
from tests.handlers.stories import BEGINNING, MANAGER, SYSTEM, invitee, rut_of
from tests.projections.contents import contents, rebuild
from tests.rules import CATALOGUE, read_catalogue

RULES = {each.id for each in read_catalogue(CATALOGUE.read_text(encoding="utf-8"))}
PLANS = [UUID(int=100), UUID(int=200), UUID(int=300)]
EMAILS = [f"{name}@example.com" for name in ("ana", "bruno", "carla", "diego", "elisa", "fabio")]
ADDRESSES = [*EMAILS, "other@example.com"]
RUTS = [rut_of(email) for email in EMAILS]

emails = st.sampled_from(EMAILS)
addresses = st.sampled_from(ADDRESSES)
ruts = st.sampled_from(RUTS)
plans = st.sampled_from([PLANS[0]] * 4 + PLANS)
roles = st.sampled_from(Role)
ADMINISTRATOR, STAFF = "administrator", "staff"
actors = st.sampled_from([ADMINISTRATOR] * 12 + [STAFF] * 3 + EMAILS)
"""Mostly somebody who administers the plan in question, for else most of it is refused."""
numbers = st.integers(0, 3)
"""Which of the members or invitations of a plan."""


class InstitutionsMachine(RuleBasedStateMachine):
    """Three plans of few seats, six people, and a clock that goes on."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        super().__init__()
        self._opened = ExitStack()
        database = self._opened.enter_context(new_database(server, folder / uuid4().hex))
        self.acta: Acta = self._opened.enter_context(open_ledger(database.settings()))
        self.acta.projector.catch_up()
        self.now = BEGINNING

    def teardown(self) -> None:
        """What only the whole of it shows; read models are those built from the beginning."""
        with self._opened:
            log = whole_log(self.acta)
            assert_administered(log)
            assert_one_open_invitation(log)
            self.acta.projector.catch_up()
            grown = contents(self.acta)
            rebuild(self.acta)
            assert contents(self.acta) == grown

    # ------------------------------------------------------------ what is asked

    @initialize(seats=st.sampled_from([2, 3, 4]), members=st.integers(0, 3))
    def some_are_there(self, seats: int, members: int) -> None:
        """Two plans are paid for and have their directors; some are members of the first."""
        for plan, director in zip(PLANS[:2], EMAILS, strict=False):
            self.ask(OpenPlan(at=self.now, plan=plan, institution="Liceo", seats=seats), MANAGER)
            self.pay_for(plan, steps=True)
            self.invite_and_accept(STAFF, plan, director, Role.SUPER_ADMINISTRATOR)
        for email in EMAILS[2 : 2 + members]:
            self.invite_and_accept(ADMINISTRATOR, PLANS[0], email, Role.USER)

    @rule(days=st.sampled_from([1, 7, 13, 14, 15, 40]))
    def time_passes(self, days: int) -> None:
        """Long enough for invitations to expire, and sometimes for plans to lapse."""
        self.now += timedelta(days=days)

    @rule(plan=plans, seats=st.integers(1, 5), anew=st.booleans())
    def change_seats(self, plan: UUID, seats: int, anew: bool) -> None:
        """Perhaps too few; or of a plan that is not there yet."""
        if anew:
            self.ask(OpenPlan(at=self.now, plan=plan, institution="Liceo", seats=seats), MANAGER)
        self.ask(ChangeSeats(at=self.now, plan=plan, seats=seats), MANAGER)

    @rule(plan=plans, steps=st.booleans())
    def pay_for(self, plan: UUID, steps: bool) -> None:
        """A month more, with or without the steps before."""
        who = f"plan:{plan}"
        if steps:
            self.ask(ReactivateSubscription(at=self.now, account=who), MANAGER)
        for make, _ in STEPS[3:] if steps else STEPS[-1:]:
            self.ask(make(self.now, who), MANAGER)

    @rule(plan=plans, course=st.sampled_from(["end", "resume", "lapse"]))
    def change_course(self, plan: UUID, course: str) -> None:
        """A plan is ended, goes on, or lapses."""
        at, who = self.now, f"plan:{plan}"
        if course == "end":
            self.ask(EndSubscription(at=at, account=who), MANAGER)
        elif course == "resume":
            self.ask(ResumeSubscription(at=at, account=who), MANAGER)
        else:
            self.ask(LapseSubscription(at=at, account=who), SYSTEM)

    @rule(actor=actors, plan=plans, email=addresses, rut=st.none() | ruts, role=roles)
    def invite(self, actor: str, plan: UUID, email: str, rut: str | None, role: Role) -> None:
        """Somebody, as whatever, under their own RUT or another's."""
        details = invitee(email, role, rut).model_dump()
        command = InviteMember(at=self.now, plan=plan, invitation=uuid4(), **details)
        self.ask(command, self.actor(actor, plan))

    @rule(actor=actors, plan=plans, email=emails, role=roles)
    def invite_and_accept(self, actor: str, plan: UUID, email: str, role: Role) -> None:
        """Somebody joins a plan."""
        self.invite(actor, plan, email, None, role)
        self.ask(AcceptInvitation(at=self.now, invitation=email), person(email))

    @rule(actor=actors, plan=plans, people=st.lists(st.tuples(addresses, ruts, roles), max_size=5))
    def import_list(self, actor: str, plan: UUID, people: list[tuple[str, str, Role]]) -> None:
        """Several at once, some of them twice."""
        rows = tuple(
            ListedRow(row=row, invitee=invitee(email, role, rut))
            for row, (email, rut, role) in enumerate(people, start=2)
        )
        command = ImportInvitations(
            at=self.now, plan=plan, invitation_import=uuid4(), rows=rows, last=True
        )
        self.ask(command, self.actor(actor, plan))

    @rule(actor=actors, plan=plans, number=numbers, email=st.none() | addresses)
    def correct(self, actor: str, plan: UUID, number: int, email: str | None) -> None:
        """An invitation goes out again, to the same address or to another."""
        for invitation in self.invitations(plan)[number:][:1]:
            command: Command = (
                ResendInvitation(at=self.now, invitation=invitation)
                if email is None
                else CorrectInvitation(at=self.now, invitation=invitation, email=email)
            )
            self.ask(command, self.actor(actor, plan))

    @rule(plan=plans, number=numbers, stranger=st.none() | emails)
    def accept(self, plan: UUID, number: int, stranger: str | None) -> None:
        """The invited person, or somebody else."""
        for invitation in self.invitations(plan)[number:][:1]:
            events = self.acta.store.streams([UUID(invitation.partition(":")[2])])
            (invited,) = {entry.event.person for entries in events.values() for entry in entries}
            actor = Actor(kind=ActorKind.PERSON, id=invited)
            command = AcceptInvitation(at=self.now, invitation=invitation)
            self.ask(command, person(stranger) if stranger else actor)

    @rule(email=addresses)
    def accept_by_email(self, email: str) -> None:
        """As the link in the invitation has it."""
        self.ask(AcceptInvitation(at=self.now, invitation=email), person(email))

    @rule(actor=actors, plan=plans, number=numbers, expired=st.booleans())
    def let_go(self, actor: str, plan: UUID, number: int, expired: bool) -> None:
        """An invitation is revoked, or recorded as expired."""
        for invitation in self.invitations(plan)[number:][:1]:
            if expired:
                self.ask(ExpireInvitation(at=self.now, invitation=invitation), SYSTEM)
            else:
                command = RevokeInvitation(at=self.now, invitation=invitation)
                self.ask(command, self.actor(actor, plan))

    @rule(actor=actors, plan=plans, number=numbers, role=st.none() | roles)
    def change_role(self, actor: str, plan: UUID, number: int, role: Role | None) -> None:
        """A member is given another role, or none."""
        who = self.member(plan, number)
        command: Command = (
            RemoveMember(at=self.now, account=who, plan=plan)
            if role is None
            else ChangeRole(at=self.now, account=who, plan=plan, role=role)
        )
        self.ask(command, self.actor(actor, plan))

    @rule(email=addresses, rut=st.none() | ruts)
    def register(self, email: str, rut: str | None) -> None:
        """Somebody opens an account of their own."""
        command = RegisterUser(
            at=self.now, given_name="Ana", paternal_surname="Rojas", email=email,
            phone="+56961234567", rut=rut,
        )  # fmt: skip
        self.ask(command, Actor(kind=ActorKind.PERSON))

    @rule(email=addresses)
    def become_individual(self, email: str) -> None:
        """By the steps of S1, as far as they are allowed."""
        for make, actor in STEPS:
            self.ask(make(self.now, email), actor or person(email))

    @rule(plan=plans, number=numbers, back=st.booleans())
    def suspend(self, plan: UUID, number: int, back: bool) -> None:
        """A member, or reinstate one."""
        asking = ReinstateAccount if back else SuspendAccount
        reason = SuspensionReason.OTHER
        self.ask(asking(at=self.now, account=self.member(plan, number), reason=reason), MANAGER)

    @rule(plan=plans, number=numbers, erased=st.booleans(), asker=st.none() | actors)
    def leave(self, plan: UUID, number: int, erased: bool, asker: str | None) -> None:
        """Closed or erased, by the owner or whoever else asks."""
        who = self.member(plan, number)
        self.ask(self.ending(who, erased=erased), self.actor(asker or who, plan))

    @rule(email=addresses, erased=st.booleans(), staff=st.booleans())
    def leave_by_email(self, email: str, erased: bool, staff: bool) -> None:
        """Also whoever is only invited."""
        self.ask(self.ending(email, erased=erased), MANAGER if staff else person(email))

    # ------------------------------------------------------------ who and what is meant

    def ending(self, who: str, *, erased: bool) -> Command:
        """The wish to be gone."""
        if erased:
            return ErasePerson(at=self.now, account=who)
        return CloseAccount(at=self.now, account=who, reason=ClosureReason.OTHER)

    def actor(self, who: str, plan: UUID) -> Actor:
        """Staff, somebody who administers the plan, or somebody by e-mail or account."""
        if who == STAFF:
            return MANAGER
        if who == ADMINISTRATOR:
            holders = self.acta.store.counted_holders(administrators_of(plan), self.now)
            return Actor(kind=ActorKind.PERSON, id=holders[0][1] if holders else None)
        return person(who)

    def member(self, plan: UUID, number: int) -> str:
        """One of the members of a plan; somebody by e-mail where there are not so many."""
        members = [
            account
            for account, _ in self.acta.store.counted_holders(plan, self.now)
            if self.acta.store.is_account(account)
        ]
        return f"account:{members[number]}" if number < len(members) else EMAILS[number]

    def invitations(self, plan: UUID) -> list[str]:
        """The latest invitations into a plan, whatever became of them."""
        return [
            f"invitation:{recorded.stream}"
            for recorded in reversed(whole_log(self.acta))
            if isinstance(recorded.event, InvitationSent) and recorded.event.plan == plan
        ]

    def ask(self, command: Command, actor: Actor) -> None:
        """Asks: a fault ends the test; a refusal names a rule of the catalogue."""
        answer = self.acta.ledger.answer(command, actor, uuid4())
        assert answer.refusal is None or answer.refusal.rule in RULES

    # ------------------------------------------------------------ what must hold

    @invariant()
    def claims_are_those_of_the_log(self) -> None:
        """Decision 8: also that by the log no two held one thing, and no plan was too full."""
        held = held_in_database(self.acta)
        assert held == held_by_log(self.acta)
        for plan in PLANS:
            state = plan_after(self.acta.store.streams([plan])[plan])
            assert held.used(plan, self.now) <= state.seats

    @invariant()
    def nobody_has_two_accounts(self) -> None:
        """A3: of the claims of persons, one for each; and no account of the erased."""
        held = held_in_database(self.acta)
        persons = [person for (kind, _), (_, person, _) in held.claims.items() if kind == "person"]
        assert len(persons) == len(set(persons))
        erased = {
            recorded.event.person
            for recorded in whole_log(self.acta)
            if isinstance(recorded.event, PersonErased | InviteeErased)
        }
        assert not erased & {person for _, person, _ in held.claims.values()}
        assert not erased & {person for person, _ in held.counted.values()}


def person(who: str) -> Actor:
    """Whoever holds an address, as a door knows them."""
    return Actor(kind=ActorKind.PERSON, who=who)


def plan_after(recorded: Iterable[Recorded]) -> Subscription:
    """A plan by its facts."""
    facts = [entry.event for entry in recorded if isinstance(entry.event, SubscriptionEvent)]
    return subscription_decider.replay(facts)


def assert_administered(log: Sequence[Recorded]) -> None:
    """I8: no command leaves the members of a plan in force without an administrator."""
    members: dict[UUID, dict[UUID, Role]] = {plan: {} for plan in PLANS}
    facts: dict[UUID, list[Recorded]] = {plan: [] for plan in PLANS}
    for _, together in groupby(log, key=lambda recorded: recorded.command_id):
        entries = list(together)
        had_one = {plan for plan in PLANS if is_administered(members[plan])}
        for entry in entries:
            match entry.event:
                case RoleAssigned() as event:
                    members[event.plan][event.account] = event.role
                case MemberRemoved() as event:
                    del members[event.plan][event.account]
                case _ if entry.stream in facts:
                    facts[entry.stream].append(entry)
                case _:
                    pass
        for plan in had_one:
            over = plan_after(facts[plan]).over(entries[0].event.occurred_at)
            assert over or not members[plan] or is_administered(members[plan])


def is_administered(members: dict[UUID, Role]) -> bool:
    """Whether one of the members administers."""
    return any(role.administers for role in members.values())


def assert_one_open_invitation(log: Sequence[Recorded]) -> None:
    """I3: at each instant at which something happened, at most one for each person."""
    streams: dict[UUID, list[InvitationEvent]] = {}
    for _, together in groupby(log, key=lambda recorded: recorded.command_id):
        entries = list(together)
        for entry in entries:
            if isinstance(entry.event, InvitationEvent):
                streams.setdefault(entry.stream, []).append(entry.event)
        states = [invitation_decider.replay(events) for events in streams.values()]
        at = entries[0].event.occurred_at
        invited = [state.person for state in states if state.is_open(at)]
        assert len(invited) == len(set(invited))


def run(server: EmbeddedServer, folder: Path, *, one_in: int, steps: int) -> None:
    """As many examples as the profile has, less what a database each takes."""

    class Machine(InstitutionsMachine):
        def __init__(self) -> None:
            super().__init__(server, folder)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=settings().max_examples // one_in,
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


@pytest.mark.rule("A3", "A12", "I3", "I6", "I8", "S10")
def test_whatever_is_asked_of_institutions(server: EmbeddedServer, tmp_path: Path) -> None:
    """Seats, roles, accounts and claims fit each other and the log."""
    run(server, tmp_path, one_in=8, steps=25)


@pytest.mark.soak
@pytest.mark.rule("A3", "A12", "I3", "I6", "I8", "S10")
def test_whatever_is_asked_of_institutions_at_length(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """The same, with as many examples as a soak has time for."""
    run(server, tmp_path, one_in=8, steps=40)
