"""An event that a read model cannot apply parks that stream alone; all others go on (X6)."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from psycopg import Connection

import domain.event
from domain.account import ReinstateAccount, RoleAssigned, SuspendAccount, SuspensionReason
from domain.actor import Actor, ActorKind
from domain.event import Recorded
from domain.operations import OPERATIONS, ParkingReason, RetryParkedStream, SkipParkedEvent
from handlers.commands.situation import subscription_of
from handlers.composition import PROJECTIONS, Acta, open_ledger
from handlers.faults import DatabaseUnavailable
from handlers.ledger import Receipt
from handlers.store.recorder import ApplicationLog
from projections.access import Access
from projections.account_history import AccountHistory
from projections.parked import ParkedStream, parked_among, parked_streams
from projections.projection import Projection
from tests.conftest import TestDatabase
from tests.handlers.store.waiting import sessions_waiting, wait_until
from tests.handlers.stories import AUDITOR, BEGINNING, BRUNO, MANAGER, Member, Story
from tests.projections.contents import Contents, contents, rebuild
from tests.projections.contract_lives import tell_of_contracts
from tests.projections.desk_lives import tell_of_the_desk
from tests.projections.institution_lives import tell_of_institutions

ROOT = Path(__file__).resolve().parents[2]
STAFF = Actor(kind=ActorKind.SUPPORT_STAFF, id=UUID(int=9))
MENDED = ParkingReason.PROGRAM_MENDED
EACH_PROJECTION = pytest.mark.parametrize(
    "projection", [type(each) for each in PROJECTIONS], ids=lambda each: each.name
)
OF_ACCOUNTS = {
    each.name for each in PROJECTIONS if each.aggregates is None or "account" in each.aggregates
}
"""The read models to which events of accounts mean something."""


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


def tell_of_everything(story: Story) -> None:
    """All that read models know of."""
    story.subscriber("pagadora@example.com")
    tell_of_institutions(story)
    tell_of_contracts(story.acta)
    tell_of_the_desk(story.acta)


# ---------------------------------------------------------------- poison


def append_unreadable(
    acta: Acta, stream: UUID, topic: str = "account.MoonLanded.v1", payload: bytes = b"{}"
) -> int:
    """Writes an event that this program cannot read behind a stream; returns its position."""
    version = acta.store.version(stream) + 1
    (position,) = ApplicationLog(acta.database).append(
        [StoredEvent(stream, version, topic, payload)]
    )
    return position


class Stumbled(Exception):  # noqa: N818  what a fault in a program may raise
    """A read model came upon an event that it cannot apply."""


def _stumble(_: Connection) -> None:
    raise Stumbled


def _divide_by_zero(connection: Connection) -> None:
    connection.execute("SELECT 1 / 0")


@contextmanager
def stumbling(
    projection: type[Projection],
    events: Collection[UUID],
    how: Callable[[Connection], None] = _stumble,
) -> Iterator[None]:
    """A read model that cannot apply some events, as an older program might not."""
    able = projection.apply

    def apply(self: Projection, batch: Sequence[Recorded], connection: Connection) -> None:
        able(self, batch, connection)
        if any(entry.event_id in events for entry in batch):
            how(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "apply", apply)
        yield


@contextmanager
def ignorant_of(topic: str) -> Iterator[None]:
    """A program that came before events of a topic, and cannot read them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(domain.event._classes_by_topic, topic)
        yield


# ---------------------------------------------------------------- what is told


def parked(acta: Acta) -> tuple[ParkedStream, ...]:
    """All that is parked."""
    with acta.database.connection() as connection:
        return parked_streams(connection)


def all_of(acta: Acta) -> tuple[Contents, tuple[ParkedStream, ...]]:
    """What read models hold, and what they have parked."""
    return contents(acta), parked(acta)


def retry(story: Story, projection: type[Projection], stream: UUID) -> Receipt:
    """Somebody has a stream tried again."""
    return story.ask(
        RetryParkedStream(at=BEGINNING, projection=projection.name, stream=stream, reason=MENDED),
        STAFF,
    )


def skip(story: Story, projection: type[Projection], stream: UUID, position: int) -> Receipt:
    """Somebody has an event skipped."""
    return story.ask(
        SkipParkedEvent(
            at=BEGINNING,
            projection=projection.name,
            stream=stream,
            position=position,
            reason=ParkingReason.EVENT_FAULTY,
        ),
        STAFF,
    )


def suspend_and_reinstate(story: Story, member: Member) -> None:
    """Two more events in the stream of an account."""
    for command in (SuspendAccount, ReinstateAccount):
        reason = SuspensionReason.SECURITY
        story.ask(command(at=BEGINNING, account=member.who, reason=reason), MANAGER)


def lines_of(acta: Acta, member: Member) -> int:
    """How many lines the history of an account has."""
    return len(acta.queries.history(member.who, BEGINNING, AUDITOR).lines)


# ---------------------------------------------------------------- parking


@pytest.mark.rule("X6")
@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("account.MoonLanded.v1", b"{}"),
        ("account.AccountSuspended.v9", b"{}"),
        ("account.AccountSuspended.v1", b'{"account": "none", "reason": 7}'),
        ("account.AccountSuspended.v1", b"\x00\xff not JSON"),
    ],
    ids=["no such fact", "a later version", "no such fields", "no JSON"],
)
@pytest.mark.parametrize("batch_events", [1, 3, 5000])
def test_an_unreadable_event_parks_its_stream_alone(
    story: Story, topic: str, payload: bytes, batch_events: int
) -> None:
    """What came before it is applied, what comes after it is held back; others miss nothing."""
    acta, ana = story.acta, story.register()
    poison = append_unreadable(acta, ana.account, topic, payload)
    bruno = story.subscriber(BRUNO)
    told: list[ParkedStream] = []
    acta.projector.catch_up(batch_events=batch_events, parked=told.append)
    assert {each.projection for each in told} == OF_ACCOUNTS
    assert set(told[0].subjects) == {ana.account, ana.person}
    assert {(each.stream, each.position, each.topic, each.fault) for each in told} == {
        (ana.account, poison, topic, "Unreadable")
    }
    assert sorted(parked(acta), key=str) == sorted(told, key=str)
    assert lines_of(acta, ana) == 1
    assert lines_of(acta, bruno) == len(story.events(bruno.account)) + len(
        story.events(subscription_of(bruno.account))
    )
    assert set(acta.queries.status().positions.values()) == {acta.store.head()}


@pytest.mark.rule("X6")
def test_an_aggregate_that_nobody_knows_may_mean_anything(story: Story) -> None:
    """In doubt its stream is parked everywhere."""
    append_unreadable(story.acta, uuid4(), "moon.Landed.v1")
    story.acta.projector.catch_up()
    assert {each.projection for each in parked(story.acta)} == {each.name for each in PROJECTIONS}


@pytest.mark.rule("X6")
@EACH_PROJECTION
@pytest.mark.parametrize(
    ("how", "fault"), [(_stumble, "Stumbled"), (_divide_by_zero, "DivisionByZero")]
)
@pytest.mark.parametrize("batch_events", [2, 5000])
def test_only_the_read_model_that_stumbles_parks(
    story: Story,
    projection: type[Projection],
    how: Callable[[Connection], None],
    fault: str,
    batch_events: int,
) -> None:
    """All others apply the event and what comes behind it."""
    acta, ana = story.acta, story.subscriber()
    poison = story.events(ana.account)[1]
    suspend_and_reinstate(story, ana)
    story.subscriber(BRUNO)
    acta.projector.catch_up()
    whole = contents(acta)
    with stumbling(projection, {poison.event_id}, how):
        rebuild(acta)
        rebuild_in_portions(acta, batch_events)
    tables = {table.name for table in projection.tables}
    left = contents(acta)
    assert {name for name in whole if left[name] != whole[name]} <= tables
    (each,) = parked(acta)
    assert (each.projection, each.stream, each.position) == (
        projection.name, ana.account, poison.position,
    )  # fmt: skip
    assert (each.event_id, each.topic) == (poison.event_id, poison.event.TOPIC)
    assert (each.fault, each.recorded_at) == (fault, poison.recorded_at)


def rebuild_in_portions(acta: Acta, batch_events: int) -> None:
    """All read models from the beginning, so many events at a time."""
    for projection in PROJECTIONS:
        acta.projector.rebuild(projection.name)
    acta.projector.catch_up(batch_events=batch_events)


@pytest.mark.rule("X6")
def test_many_streams_are_parked_in_one_batch(story: Story) -> None:
    """Every third of sixty accounts is poisoned; the others are all there."""
    acta = story.acta
    members = [story.register(f"ana{number}@example.com") for number in range(60)]
    poisons = {story.events(member.account)[0].event_id for member in members[::3]}
    with stumbling(AccountHistory, poisons):
        acta.projector.catch_up()
    assert {each.event_id for each in parked(acta)} == poisons
    assert len(contents(acta)["account_history"]) == 40


def test_an_outage_parks_nothing(story: Story) -> None:
    """Waiting mends it, and nothing is wrong with the event."""

    def lost(connection: Connection) -> None:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    ana = story.register()
    poison = story.events(ana.account)[0].event_id
    with stumbling(Access, {poison}, lost), pytest.raises(DatabaseUnavailable):
        story.acta.projector.catch_up()
    assert parked(story.acta) == ()
    story.acta.projector.catch_up()
    assert parked(story.acta) == ()
    assert contents(story.acta)["access_facts"]


def test_a_database_that_was_tampered_with_parks_nothing(story: Story) -> None:
    """A missing table is no event's fault, or every stream would be parked."""

    def missing(connection: Connection) -> None:
        connection.execute("SELECT FROM projections.no_such_table")

    ana = story.register()
    with (
        stumbling(Access, {story.events(ana.account)[0].event_id}, missing),
        pytest.raises(psycopg.errors.UndefinedTable),
    ):
        story.acta.projector.catch_up()
    story.acta.projector.catch_up()
    assert parked(story.acta) == ()


# ---------------------------------------------------------------- whom it leaves in doubt


def doubtful(acta: Acta, *streams: UUID, subjects: Collection[UUID] = ()) -> set[UUID]:
    """The parked streams that an answer about access could have rested on."""
    with acta.database.connection() as connection:
        found = parked_among(connection, Access, streams=streams, subjects=subjects)
    return {each.stream for each in found}


@pytest.mark.rule("X6")
def test_poison_in_a_plan_leaves_its_members_in_doubt_and_nobody_else(story: Story) -> None:
    """They are found by the plan's stream."""
    acta, plan = story.acta, story.institution()
    other = story.institution("rector@example.com")
    append_unreadable(acta, plan.id, "subscription.PaymentCaptured.v1")
    acta.projector.catch_up()
    director, rector = plan.director, other.director
    of_director = {director.account, director.person}
    assert doubtful(acta, plan.id, director.account, subjects=of_director) == {plan.id}
    of_rector = {rector.account, rector.person}
    assert doubtful(acta, other.id, rector.account, subjects=of_rector) == set()


@pytest.mark.rule("X6")
def test_poison_in_a_members_account_does_not_leave_the_plan_in_doubt(story: Story) -> None:
    """Although the event names the plan."""
    acta, plan = story.acta, story.institution()
    pupil = story.join(plan, "alumna@example.com")
    joined = next(e for e in story.events(pupil.account) if isinstance(e.event, RoleAssigned))
    with stumbling(Access, {joined.event_id}):
        acta.projector.catch_up()
    director = plan.director
    of_pupil = {pupil.account, pupil.person}
    of_director = {director.account, director.person}
    assert doubtful(acta, plan.id, pupil.account, subjects=of_pupil) == {pupil.account}
    assert doubtful(acta, plan.id, director.account, subjects=of_director) == set()


@pytest.mark.rule("X6")
def test_a_poisoned_invitation_leaves_the_invited_in_doubt(story: Story) -> None:
    """Nobody who asks knows its id; the person is named by the stream's first event."""
    acta, plan = story.acta, story.institution()
    invitation = story.invite(plan.id, "alumna@example.com", by=plan.director.itself)
    person = story.events(invitation)[0].event.person
    append_unreadable(acta, invitation, "invitation.InvitationAccepted.v1", b"\xff")
    acta.projector.catch_up()
    assert doubtful(acta, subjects={person}) == {invitation}
    assert doubtful(acta, plan.id, subjects={plan.director.person}) == set()


@pytest.mark.rule("X6")
def test_other_answers_say_that_they_are_degraded(story: Story) -> None:
    """Those about the account; and lists and counts, which anything may be missing from."""
    acta, plan = story.acta, story.institution()
    ana, bruno = story.subscriber(), story.register(BRUNO)
    queries = acta.queries

    def degraded(member: Member) -> list[bool]:
        return [
            queries.billing(member.who, BEGINNING).degraded,
            queries.history(member.who, BEGINNING, AUDITOR).degraded,
            queries.study(member.who, BEGINNING).degraded,
        ]

    def lists() -> set[bool]:
        return {
            queries.plan(plan.id, BEGINNING).degraded,
            queries.members(plan.id, BEGINNING, AUDITOR).degraded,
            queries.invitations(plan.id, BEGINNING, AUDITOR).degraded,
            queries.imports(plan.id).degraded,
            acta.due.due(BEGINNING).degraded,
        }

    acta.projector.catch_up()
    assert not any([*degraded(ana), *degraded(bruno), *lists()])
    assert queries.status().parked == 0
    append_unreadable(acta, subscription_of(ana.account), "subscription.PaymentCaptured.v7")
    acta.projector.catch_up()
    assert degraded(ana) == [True, True, False]
    assert degraded(bruno) == [False, False, False]
    assert lists() == {True}
    assert queries.status().parked == 5
    assert len(queries.parked().streams) == 5


# ---------------------------------------------------------------- trying again, skipping


@pytest.mark.rule("X6")
@EACH_PROJECTION
def test_tried_again_equals_rebuilt(story: Story, projection: type[Projection]) -> None:
    """Some events of many streams stumble; once that is mended, nothing tells what happened."""
    acta = story.acta
    tell_of_everything(story)
    recorded = story.events()
    for seed in range(3):
        random = Random(seed)
        poisons = {entry.event_id for entry in random.sample(recorded, 25)}
        with stumbling(projection, poisons):
            rebuild_in_portions(acta, random.randint(1, 200))
        stuck = parked(acta)
        assert {each.event_id for each in stuck} <= poisons
        for each in random.sample(stuck, len(stuck)):
            retry(story, projection, each.stream)
        story.register(f"bruno{seed}@example.com")
        acta.projector.catch_up(batch_events=random.randint(1, 40))
        assert (len(stuck) > 0, parked(acta)) == (True, ())
        mended = contents(acta)
        rebuild(acta)
        assert mended == contents(acta)


@pytest.mark.rule("X6")
@EACH_PROJECTION
def test_skipped_equals_rebuilt(story: Story, projection: type[Projection]) -> None:
    """A rebuild leaves the events out at once, whatever the program could make of them by now."""
    acta, random = story.acta, Random(5)
    tell_of_everything(story)
    ana = story.subscriber()
    suspend_and_reinstate(story, ana)
    streams: dict[UUID, list[Recorded]] = defaultdict(list)
    for entry in story.events():
        streams[entry.stream].append(entry)
    # The last of each: what would rest on the first has nothing to rest on.
    poisons = {entries[-1].event_id for entries in random.sample(list(streams.values()), 12)}
    acta.projector.catch_up()
    whole = contents(acta)
    with stumbling(projection, poisons):
        rebuild(acta)
        for each in parked(acta):
            skip(story, projection, each.stream, each.position)
        acta.projector.catch_up()
        left = contents(acta)
        assert parked(acta) == ()
        rebuild(acta)
        assert all_of(acta) == (left, ())
    rebuild(acta)
    assert all_of(acta) == (left, ())
    assert len(poisons) == 12
    assert set(left) == set(whole)


@pytest.mark.rule("X6")
def test_a_program_that_learns_to_read_an_event_applies_it_when_it_is_told_to(
    story: Story,
) -> None:
    """Not by itself: somebody decides, or has the read model rebuilt."""
    acta, ana = story.acta, story.register()
    suspend_and_reinstate(story, ana)
    with ignorant_of("account.AccountSuspended.v1"):
        acta.projector.catch_up()
    assert lines_of(acta, ana) == 1
    story.register(BRUNO)
    acta.projector.catch_up()
    assert lines_of(acta, ana) == 1
    retry(story, AccountHistory, ana.account)
    acta.projector.catch_up()
    assert lines_of(acta, ana) == 3
    assert {each.projection for each in parked(acta)} == OF_ACCOUNTS - {"account_history"}
    rebuild(acta)
    assert parked(acta) == ()


@pytest.mark.rule("X6")
def test_what_fails_again_stays_parked(story: Story) -> None:
    """At the same event, or at the next one that cannot be applied."""
    acta, ana = story.acta, story.register()
    suspend_and_reinstate(story, ana)
    _, first, second = story.events(ana.account)
    with stumbling(AccountHistory, {first.event_id, second.event_id}):
        acta.projector.catch_up()
        before = parked(acta)
        retry(story, AccountHistory, ana.account)
        acta.projector.catch_up()
        assert parked(acta) == before
    with stumbling(AccountHistory, {second.event_id}):
        retry(story, AccountHistory, ana.account)
        acta.projector.catch_up()
        assert [each.position for each in parked(acta)] == [second.position]
        skip(story, AccountHistory, ana.account, second.position)
        suspend_and_reinstate(story, ana)
        acta.projector.catch_up()
    assert parked(acta) == ()
    assert lines_of(acta, ana) == 4


@pytest.mark.rule("X6")
def test_decisions_and_later_events_in_one_batch_come_in_their_order(story: Story) -> None:
    """What comes behind a decision is applied, all in the same batch as what was held back."""
    acta, ana = story.acta, story.register()
    with stumbling(AccountHistory, {story.events(ana.account)[0].event_id}):
        acta.projector.catch_up()
    suspend_and_reinstate(story, ana)
    retry(story, AccountHistory, ana.account)
    suspend_and_reinstate(story, ana)
    acta.projector.step()
    assert (lines_of(acta, ana), parked(acta)) == (5, ())


@pytest.mark.rule("X6")
def test_a_stream_is_decided_about_once(story: Story) -> None:
    """Until the read model has obeyed; and only where it is parked."""
    acta, ana = story.acta, story.register()
    (first,) = story.events(ana.account)
    again = RetryParkedStream(
        at=BEGINNING, projection=Access.name, stream=ana.account, reason=MENDED
    )
    skipped = SkipParkedEvent(**again.model_dump(), position=first.position)
    assert story.refusal(again, STAFF).rule == "X6"
    with stumbling(Access, {first.event_id}):
        acta.projector.catch_up()
    assert story.refusal(again.model_copy(update={"projection": "no_such"}), STAFF).rule == "X6"
    elsewhere = skipped.model_copy(update={"position": 99})
    assert story.refusal(elsewhere, STAFF).rule == "X6"
    story.ask(again, STAFF)
    assert "has decided" in story.refusal(skipped, STAFF).message
    acta.projector.catch_up()
    assert "not parked" in story.refusal(again, STAFF).message
    (decision,) = story.events(OPERATIONS)
    assert (decision.actor, decision.event.person) == (STAFF, STAFF.id)


@pytest.mark.rule("X6")
def test_two_who_decide_at_once_do_not_both(story: Story, database: TestDatabase) -> None:
    """The one that comes second sees what the first decided."""
    acta, ana = story.acta, story.register()
    (first,) = story.events(ana.account)
    with stumbling(Access, {first.event_id}):
        acta.projector.catch_up()
    commands = [
        RetryParkedStream(at=BEGINNING, projection="access", stream=ana.account, reason=MENDED),
        SkipParkedEvent(
            at=BEGINNING,
            projection="access",
            stream=ana.account,
            position=first.position,
            reason=MENDED,
        ),
    ]

    def decide(command: RetryParkedStream | SkipParkedEvent) -> bool:
        with open_ledger(database.settings()) as mine:
            return mine.ledger.answer(command, STAFF, uuid4()).refusal is None

    with ThreadPoolExecutor(4) as pool:
        accepted = list(pool.map(decide, commands * 2))
    assert sum(accepted) == 1
    assert len(story.events(OPERATIONS)) == 1


@pytest.mark.rule("X6")
def test_an_unreadable_decision_is_parked_like_any_event(story: Story) -> None:
    """Later decisions are obeyed all the same."""
    acta, ana = story.acta, story.register()
    with stumbling(AccountHistory, {story.events(ana.account)[0].event_id}):
        acta.projector.catch_up()
    retry(story, AccountHistory, ana.account)
    acta.projector.catch_up()
    assert parked(acta) == ()
    append_unreadable(acta, OPERATIONS, "operations.MoonLanded.v1")
    acta.projector.catch_up()
    assert {each.stream for each in parked(acta)} <= {OPERATIONS}


# ---------------------------------------------------------------- rebuilding


@pytest.mark.rule("X6")
@EACH_PROJECTION
def test_rebuilt_while_the_fault_is_there_parks_the_same(
    story: Story, projection: type[Projection]
) -> None:
    """From the beginning and in any portions, past decisions that changed nothing."""
    acta = story.acta
    tell_of_everything(story)
    poisons = {entry.event_id for entry in Random(3).sample(story.events(), 12)}
    with stumbling(projection, poisons):
        acta.projector.catch_up()
        for each in parked(acta):
            retry(story, projection, each.stream)
        acta.projector.catch_up()
        expected = all_of(acta)
        assert expected[1]
        for batch_events in (1, 7, 5000):
            rebuild_in_portions(acta, batch_events)
            assert all_of(acta) == expected


@pytest.mark.rule("X6")
def test_one_is_rebuilt_while_the_others_stay_parked(story: Story) -> None:
    """What others have parked is theirs."""
    acta, ana = story.acta, story.register()
    append_unreadable(acta, ana.account)
    acta.projector.catch_up()
    expected = all_of(acta)
    for projection in PROJECTIONS:
        rebuild(acta, projection)
        assert all_of(acta) == expected


@pytest.mark.rule("X6")
def test_a_rebuild_meanwhile_does_not_apply_what_is_being_skipped(database: TestDatabase) -> None:
    """It waits until the decision is there; else the event would stay until the next rebuild."""
    rebuilding: list[Future[None]] = []

    def rebuild_by_a_mended_program(point: str) -> None:
        if point == "before append" and deciding:
            rebuilding.append(pool.submit(rebuild, mended, Access()))
            wait_until(lambda: rebuilding[0].done() or sessions_waiting(database) > 0)

    deciding = False
    with (
        open_ledger(database.settings(), reached=rebuild_by_a_mended_program) as acta,
        open_ledger(database.settings()) as mended,
        ThreadPoolExecutor(1) as pool,
    ):
        story = Story(acta)
        ana = story.register()
        suspend_and_reinstate(story, ana)
        _, suspended, _ = story.events(ana.account)
        with stumbling(Access, {suspended.event_id}):
            acta.projector.catch_up()
        deciding = True
        skip(story, Access, ana.account, suspended.position)
        deciding = False
        rebuilding[0].result()
        acta.projector.catch_up()
        incremental = all_of(acta)
        rebuild(acta)
        assert incremental == all_of(acta)
        assert incremental[1] == ()


# ---------------------------------------------------------------- crashes, and two at once

CRASHING = """
import os, signal
from handlers.composition import open_ledger
from handlers.settings import read_settings

def reached(point):
    if point == "after batch":
        os.kill(os.getpid(), signal.SIGKILL)

with open_ledger(read_settings(), reached=reached) as acta:
    acta.projector.catch_up(batch_events=4)
"""


def crash(database: TestDatabase) -> None:
    """A projector is killed within the transaction of a batch."""
    crashed = subprocess.run(
        [sys.executable, "-c", CRASHING],
        cwd=ROOT,
        env={
            **os.environ,
            "ACTA_DATABASE_URL": database.application,
            "ACTA_KEYS": str(database.keys),
        },
        check=False,
    )
    assert crashed.returncode == -signal.SIGKILL


def test_a_crash_leaves_parking_and_position_together(story: Story, database: TestDatabase) -> None:
    """Nothing is parked by a batch that was not committed, and nothing tried again by halves."""
    acta, ana = story.acta, story.register()
    acta.projector.catch_up()
    before = all_of(acta)
    append_unreadable(acta, ana.account)
    crash(database)
    assert all_of(acta) == before
    acta.projector.catch_up()
    stuck = all_of(acta)
    assert len(stuck[1]) == len(OF_ACCOUNTS)
    skip(story, AccountHistory, ana.account, stuck[1][0].position)
    crash(database)
    assert all_of(acta) == stuck
    acta.projector.catch_up()
    assert {each.projection for each in parked(acta)} == OF_ACCOUNTS - {"account_history"}


@pytest.mark.rule("X6")
def test_two_projectors_park_and_try_again_once(story: Story, database: TestDatabase) -> None:
    """Whichever comes first; the other goes on behind it."""
    acta = story.acta
    tell_of_everything(story)
    members = [story.register(f"ana{number}@example.com") for number in range(10)]
    for member in members:
        append_unreadable(acta, member.account)
    acta.projector.catch_up()
    for member in members[::2]:
        poison = story.acta.store.version(member.account)
        assert poison == 2
        stuck = next(each for each in parked(acta) if each.stream == member.account)
        skip(story, AccountHistory, member.account, stuck.position)
    acta.projector.catch_up()
    expected = all_of(acta)
    for projection in PROJECTIONS:
        acta.projector.rebuild(projection.name)
    head = acta.store.head()

    def project(seed: int) -> None:
        random = Random(seed)
        with open_ledger(database.settings()) as mine:
            while mine.projector.step(random.randint(1, 20))[0] < head:
                pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(project, [1, 2]))
    assert all_of(acta) == expected
