"""Whoever acts on one plan, one invitation or one person at the same instant: rules hold.

Each scenario is told to the ledger so many times over; then eight processes ask for all that is in
dispute, at the same instant. A normal run tells it 20 times, ``make soak`` 200 times.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import TypeAlias
from uuid import UUID, uuid4

import pytest
from stdnum.cl.rut import calc_check_digit

from domain.account import (
    AccountEvent,
    CloseAccount,
    ClosureReason,
    ErasePerson,
    MemberRemoved,
    PersonErased,
    Role,
    RoleAssigned,
    Standing,
    account_decider,
)
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.event import Recorded
from domain.invitation import (
    AcceptInvitation,
    InvitationEvent,
    InvitationExpired,
    InvitationSent,
    InviteeErased,
    InviteMember,
    RevokeInvitation,
    invitation_decider,
)
from domain.invitation_import import ImportInvitations, ListedRow
from domain.membership import ChangeRole, RemoveMember
from domain.plan import ChangeSeats
from handlers.commands.situation import administrators_of
from handlers.composition import Acta, open_ledger
from handlers.faults import Fault
from handlers.settings import Settings
from tests.conftest import TestDatabase
from tests.handlers.store.processes import CONTEXT, PROCESSES, running
from tests.handlers.store.refolded_claims import held_by_log, held_in_database, whole_log
from tests.handlers.store.stories import seed
from tests.handlers.stories import (
    BEGINNING,
    MANAGER,
    SOMEBODY,
    Member,
    Plan,
    Story,
    invitee,
    registration,
)

Asking: TypeAlias = tuple[Command, Actor]
LATER = BEGINNING + timedelta(days=15)
DONE = "done"
PATIENCE_SECONDS = 240


@dataclass(slots=True)
class Heat:
    """What is in dispute, and who asks for it at the same instant.

    Attributes:
        check: given the answer to each asking, ``done`` or the rule of the refusal.
    """

    askings: list[Asking]
    check: Callable[[list[str]], None]


@dataclass(slots=True)
class Scene:
    """A ledger before the races, and the log after them."""

    story: Story
    chance: random.Random
    log: list[Recorded] = field(default_factory=list[Recorded])
    numbers: "count[int]" = field(default_factory=count)

    def email(self) -> str:
        """An address that nobody has had."""
        return f"person{next(self.numbers)}@example.com"

    def rut(self) -> str:
        """A RUT that nobody has had."""
        number = str(26_000_000 + next(self.numbers))
        return f"{number}-{calc_check_digit(number)}"

    def plan(self, seats: int = 50) -> Plan:
        """A plan that is paid for, and its director."""
        return self.story.institution(self.email(), seats=seats)

    def join(self, plan: Plan, role: Role = Role.USER) -> Member:
        """Somebody new in a plan."""
        return self.story.join(plan, self.email(), role=role, rut=self.rut())

    def inviting(self, plan: Plan, by: Actor, *, email: str | None = None) -> Asking:
        """Somebody is to be invited: a stranger where no address is told."""
        return invite(plan, by, email or self.email(), self.rut())

    def positions(self, kind: type, **fields: object) -> list[int]:
        """Where in the log events of a kind stand that have these fields."""
        return [
            recorded.position
            for recorded in self.log
            if isinstance(recorded.event, kind)
            and all(getattr(recorded.event, name) == value for name, value in fields.items())
        ]


def invite(plan: Plan, by: Actor, email: str, rut: str) -> Asking:
    """The asking to invite somebody, in the middle of what was paid for."""
    details = invitee(email, rut=rut).model_dump()
    return InviteMember(at=LATER, plan=plan.id, invitation=uuid4(), **details), by


def remove(plan: Plan, member: Member, by: Actor) -> Asking:
    """The asking to take somebody out of a plan."""
    return RemoveMember(at=LATER, plan=plan.id, account=member.who), by


def demote(plan: Plan, member: Member, by: Actor) -> Asking:
    """The asking to make an administrator a user."""
    return ChangeRole(at=LATER, plan=plan.id, account=member.who, role=Role.USER), by


def close(member: Member, by: Actor) -> Asking:
    """The asking to close an account."""
    return CloseAccount(at=LATER, account=member.who, reason=ClosureReason.OTHER), by


# ---------------------------------------------------------------- the race itself


def race(
    process: int,
    settings: dict[str, str],
    heats: Sequence[Sequence[Asking]],
    barrier: Barrier,
    answers: "SimpleQueue[list[tuple[int, int, str]]]",
) -> None:
    """Asks its share of each heat, with the other processes; runs in its own process."""
    told: list[tuple[int, int, str]] = []
    with open_ledger(Settings.model_validate(settings)) as acta:

        def ask(asking: Asking) -> str:
            try:
                answer = acta.ledger.answer(*asking, uuid4())
            except Fault as fault:
                return type(fault).__name__
            return DONE if answer.refusal is None else answer.refusal.rule

        try:
            for heat, askings in enumerate(heats):
                barrier.wait(PATIENCE_SECONDS)
                own = range(process, len(askings), PROCESSES)
                told += [(heat, number, ask(askings[number])) for number in own]
        except BrokenBarrierError:
            pass  # another process says why
        except BaseException:
            barrier.abort()
            raise
        finally:
            answers.put(told)


def run(database: TestDatabase, acta: Acta, heats: Sequence[Heat]) -> list[list[str]]:
    """The answers of each heat; several small ones are run at the same instant."""
    together: list[list[tuple[int, int, Asking]]] = [[]]
    for number, heat in enumerate(heats):
        if together[-1] and len(together[-1]) + len(heat.askings) > max(
            PROCESSES, len(heat.askings)
        ):
            together.append([])
        together[-1] += [(number, place, asking) for place, asking in enumerate(heat.askings)]
    answers: SimpleQueue[list[tuple[int, int, str]]] = CONTEXT.SimpleQueue()
    barrier = CONTEXT.Barrier(PROCESSES)
    settings = {"database_url": database.application, "keys": str(database.keys)}
    askings = [[asking for _, _, asking in group] for group in together]
    told = [[""] * len(heat.askings) for heat in heats]
    with running(race, settings, askings, barrier, answers):
        for _ in range(PROCESSES):
            for group, number, rule in answers.get():
                heat_number, place, _ = together[group][number]
                told[heat_number][place] = rule
    answers.close()
    acta.vault.forget()
    return told


Scenario: TypeAlias = Callable[[Scene, int], list[Heat]]


def each(make: Callable[[Scene, int], Heat]) -> Scenario:
    """A scenario whose races have nothing in common."""
    return lambda scene, rounds: [make(scene, number) for number in range(rounds)]


# ---------------------------------------------------------------- who stays


def last_administrators(scene: Scene, number: int) -> Heat:
    """Two administrators, each about to lose the role: by each other, themselves, and staff."""
    plan = scene.plan()
    one, other = plan.director, scene.join(plan, Role.SUPER_ADMINISTRATOR)
    scene.join(plan)
    askings = [
        [remove(plan, other, one.itself), remove(plan, one, other.itself)],
        [demote(plan, other, one.itself), demote(plan, one, other.itself)],
        [close(one, one.itself), close(other, other.itself)],
        [
            (ErasePerson(at=LATER, account=one.who), MANAGER),
            remove(plan, other, one.itself),
        ],
        [
            remove(plan, other, one.itself),
            remove(plan, one, other.itself),
            close(one, MANAGER),
            (ErasePerson(at=LATER, account=other.who), other.itself),
        ],
    ][number % 5]

    def check(told: list[str]) -> None:
        assert DONE in told
        assert set(told) <= {DONE, "I8", "A10"}, told
        held = held_in_database(scene.story.acta)
        assert held.used(administrators_of(plan.id), LATER) == 1, told

    scene.chance.shuffle(askings)
    return Heat(askings, check)


# ---------------------------------------------------------------- seats


def last_seat(scene: Scene, _: int) -> Heat:
    """Twenty invitations for one seat."""
    plan = scene.plan(seats=2)
    askings = [scene.inviting(plan, plan.director.itself) for _ in range(20)]

    def check(told: list[str]) -> None:
        assert Counter(told) == {DONE: 1, "S10": 19}

    return Heat(askings, check)


def fewer_seats(scene: Scene, number: int) -> Heat:
    """The seats are reduced while they are taken."""
    plan = scene.plan(seats=4)
    askings = [scene.inviting(plan, plan.director.itself) for _ in range(3)]
    askings.insert(number % 4, (ChangeSeats(at=LATER, plan=plan.id, seats=2), MANAGER))

    def check(told: list[str]) -> None:
        assert set(told) <= {DONE, "S10"}
        reduced = told[number % 4] == DONE
        assert told.count(DONE) == (2 if reduced else 3)

    return Heat(askings, check)


# ---------------------------------------------------------------- authority


def role_taken_away(scene: Scene, number: int) -> Heat:
    """An administrator invites, also by list, and is removed or demoted meanwhile."""
    plan = scene.plan()
    holder = scene.join(plan, Role.ADMINISTRATOR)
    take = (remove, demote)[number % 2]
    rows = tuple(
        ListedRow(row=row, invitee=invitee(scene.email(), rut=scene.rut())) for row in range(2, 12)
    )
    listed = ImportInvitations(
        at=LATER, plan=plan.id, invitation_import=uuid4(), rows=rows, last=True
    )
    # Each process asks for three things, one after the other.
    askings = [scene.inviting(plan, holder.itself) for _ in range(3 * PROCESSES - 2)]
    askings += [(listed, holder.itself), take(plan, holder, plan.director.itself)]
    scene.chance.shuffle(askings)
    taken_by = askings.index(next(asking for asking in askings if asking[1] != holder.itself))

    def check(told: list[str]) -> None:
        assert told[taken_by] == DONE
        assert set(told) <= {DONE, "I1"}
        taken = [
            *scene.positions(MemberRemoved, account=holder.account),
            *scene.positions(RoleAssigned, account=holder.account, role=Role.USER),
        ]
        sent = [
            recorded.position
            for recorded in scene.log
            if isinstance(recorded.event, InvitationSent) and recorded.actor.id == holder.person
        ]
        assert len(taken) == 1
        assert max(sent, default=0) < taken[0]

    return Heat(askings, check)


# ---------------------------------------------------------------- one invitation


def accept_against_revoke(scene: Scene, _: int) -> Heat:
    """The invited follows the invitation as it is taken back."""
    plan = scene.plan(seats=2)
    email = scene.email()
    asking, by = scene.inviting(plan, plan.director.itself, email=email)
    receipt = scene.story.ask(asking, by)
    invitation = scene.story.acta.store.batch(after=receipt.position - 1, limit=1)[0].stream
    revoke = RevokeInvitation(at=LATER, invitation=f"invitation:{invitation}")
    accept = AcceptInvitation(at=LATER, invitation=f"invitation:{invitation}")
    person = scene.story.events(invitation)[0].event.person
    askings: list[Asking] = [
        (accept, Actor(kind=ActorKind.PERSON, id=person)),
        (revoke, plan.director.itself),
    ]

    def check(told: list[str]) -> None:
        assert Counter(told) == {DONE: 1, "I6": 1}
        held = held_in_database(scene.story.acta)
        assert held.used(plan.id, LATER) == (2 if told[0] == DONE else 1)

    return Heat(askings, check)


def accept_twice(scene: Scene, _: int) -> Heat:
    """One account is made, and one seat taken."""
    plan = scene.plan(seats=2)
    email = scene.email()
    scene.story.ask(*scene.inviting(plan, plan.director.itself, email=email))
    seats = scene.story.acta.store.counted_holders(plan.id, LATER)
    (person,) = {seated for _, seated in seats} - {plan.director.person}
    accept = AcceptInvitation(at=LATER, invitation=email)
    itself = Actor(kind=ActorKind.PERSON, id=person)

    def check(told: list[str]) -> None:
        # Whoever sees the account before it sees the invitation used is told of the account.
        assert told.count(DONE) == 1
        assert set(told) <= {DONE, "I6", "I3"}
        accounts = held_in_database(scene.story.acta).accounts
        assert list(accounts.values()).count(person) == 1

    return Heat([(accept, itself)] * 4, check)


# ---------------------------------------------------------------- one person, several plans


def takeover(scene: Scene, rounds: int) -> list[Heat]:
    """An invitation has expired; four plans invite whoever has its address."""
    first, *others = [scene.plan(seats=1000) for _ in range(5)]

    def heat(number: int) -> Heat:
        email, rut = scene.email(), scene.rut()
        expired = scene.story.invite(first.id, email, by=first.director.itself, rut=rut)
        ruts = [rut] * 4 if number % 2 else [scene.rut() for _ in range(4)]
        askings = [
            invite(plan, plan.director.itself, email, other)
            for plan, other in zip(others, ruts, strict=True)
        ]

        def check(told: list[str]) -> None:
            assert Counter(told) == {DONE: 1, "I3": 3}
            command, _ = askings[told.index(DONE)]
            assert isinstance(command, InviteMember)
            (past,) = [
                recorded
                for recorded in scene.log
                if isinstance(recorded.event, InvitationExpired)
                and recorded.event.invitation == expired
            ]
            (present,) = [
                recorded for recorded in scene.log if recorded.stream == command.invitation
            ]
            assert past.command_id == present.command_id

        return Heat(askings, check)

    return [heat(number) for number in range(rounds)]


def several_plans(scene: Scene, rounds: int) -> list[Heat]:
    """Four plans invite one person: by RUT and e-mail, or by one of them."""
    plans = [scene.plan(seats=1000) for _ in range(4)]

    def heat(number: int) -> Heat:
        email, rut = scene.email(), scene.rut()
        askings = [
            invite(
                plan,
                plan.director.itself,
                scene.email() if number % 3 == 1 else email,
                scene.rut() if number % 3 == 2 else rut,
            )
            for plan in plans
        ]

        def check(told: list[str]) -> None:
            assert Counter(told) == {DONE: 1, "I3": 3}

        return Heat(askings, check)

    return [heat(number) for number in range(rounds)]


def erased_and_invited(scene: Scene, rounds: int) -> list[Heat]:
    """Somebody is erased as another plan invites them: once invited, or a member once."""
    first, other = [scene.plan(seats=1000) for _ in range(2)]

    def heat(number: int) -> Heat:
        email, rut = scene.email(), scene.rut()
        former = scene.story.invite(first.id, email, by=first.director.itself, rut=rut)
        person = scene.story.events(former)[0].event.person
        if number % 2:
            scene.story.ask(*remove(first, scene.story.accept(email), first.director.itself))
        erase = ErasePerson(at=LATER, account=email)
        askings = [(erase, MANAGER), invite(other, other.director.itself, email, rut)]

        def check(told: list[str]) -> None:
            assert told == [DONE, DONE]
            assert_forgotten(scene, person)

        return Heat(askings, check)

    return [heat(number) for number in range(rounds)]


def erased_and_registered(scene: Scene, rounds: int) -> list[Heat]:
    """Somebody is erased, by e-mail, as they open an account or accept their invitation."""
    plan = scene.plan(seats=1000)

    def heat(number: int) -> Heat:
        email, rut, at = scene.email(), scene.rut(), BEGINNING
        invitation = scene.story.invite(plan.id, email, by=plan.director.itself, rut=rut)
        person = scene.story.events(invitation)[0].event.person
        asking: Asking = (
            AcceptInvitation(at=at, invitation=f"invitation:{invitation}"),
            Actor(kind=ActorKind.PERSON, id=person),
        )
        if number % 2:
            at = LATER
            asking = (registration(email, rut, at=at), SOMEBODY)
        erase = ErasePerson(at=at, account=f"person:{person}")

        def check(told: list[str]) -> None:
            assert told[0] == DONE, told
            assert told[1] in (DONE, "I6", "A11"), told
            assert_gone(scene, person)

        return Heat([(erase, MANAGER), asking], check)

    return [heat(number) for number in range(rounds)]


def assert_gone(scene: Scene, person: UUID) -> None:
    """No account of the erased is open, nor any invitation."""
    events = [entry.event for entry in scene.log if entry.event.person == person]
    accounts = account_decider.replay([e for e in events if isinstance(e, AccountEvent)])
    assert accounts.standing in (Standing.NONE, Standing.CLOSED)
    invitations = [event for event in events if isinstance(event, InvitationEvent)]
    for invitation in {event.invitation for event in invitations}:
        of_it = [event for event in invitations if event.invitation == invitation]
        assert not invitation_decider.replay(of_it).is_open(LATER)
    with scene.story.acta.database.connection() as connection:
        keys = connection.execute("SELECT FROM vault.keys WHERE person = %s", (person,))
        assert keys.fetchall() == []


def assert_forgotten(scene: Scene, person: UUID) -> None:
    """Erased, nothing opens; and whoever is invited since is somebody new."""
    assert_gone(scene, person)
    erased = [
        *scene.positions(InviteeErased, person=person),
        *scene.positions(PersonErased, person=person),
    ]
    assert len(erased) == 1
    acta = scene.story.acta
    with acta.database.connection() as connection:
        found = connection.execute("SELECT FROM vault.people WHERE person = %s", (person,))
        assert found.fetchall() == []
    assert max(scene.positions(InvitationSent, person=person)) < erased[0]
    held = held_in_database(acta)
    assert person not in {held_for for _, held_for, _ in held.claims.values()}


# ---------------------------------------------------------------- all of them

SCENARIOS: dict[str, Scenario] = {
    "the last two administrators": each(last_administrators),
    "twenty for the last seat": each(last_seat),
    "fewer seats": each(fewer_seats),
    "a role taken away": each(role_taken_away),
    "accept against revoke": each(accept_against_revoke),
    "accept against accept": each(accept_twice),
    "an expired address": takeover,
    "one person, several plans": several_plans,
    "erased and invited": erased_and_invited,
    "erased and registered": erased_and_registered,
}


@pytest.mark.rule("A3", "A11", "I1", "I3", "I6", "I8", "S10")
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_at_the_same_instant(database: TestDatabase, acta: Acta, name: str, rounds: int) -> None:
    """Every race has the outcome that its rule says, and claims are those of the log."""
    scene = Scene(Story(acta), random.Random(seed()))
    heats = SCENARIOS[name](scene, rounds)
    told = run(database, acta, heats)
    scene.log = whole_log(acta)
    for heat, answers in zip(heats, told, strict=True):
        heat.check(answers)
    assert held_in_database(acta) == held_by_log(acta)
    print(f"{name}: {dict(Counter(rule for answers in told for rule in answers))}")
