"""The projector: each event once, with its position, whatever stops it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent

from handlers.composition import PROJECTIONS, Acta, open_ledger
from handlers.faults import DatabaseUnavailable
from handlers.store.recorder import ApplicationLog
from handlers.workers.projector import Progress, Projector
from projections.parked import ParkedStream
from tests.conftest import TestDatabase
from tests.handlers.outages import away, beside, end_connections
from tests.handlers.stories import BRUNO, Member, Story
from tests.projections.contents import contents

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30


class Follower:
    """A projector that follows the log on a thread of its own.

    Attributes:
        fault: what ended it, if it was not stopped.
        parked: the streams that it said to have parked.
    """

    def __init__(self, projector: Projector) -> None:
        self.fault: BaseException | None = None
        self.projector = projector
        self.told: Progress | None = None
        self.parked: list[ParkedStream] = []
        self._news = Signal()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.projector.follow(progress=self._note, parked=self.parked.append)
        except BaseException as fault:  # noqa: BLE001  told to whoever waits for it
            self.fault = fault
        self._news.set()

    def _note(self, told: Progress) -> None:
        self.told = told
        self._news.set()

    def wait_for(self, position: int) -> None:
        """Waits until a position is known."""
        while self.told is None or self.told.position < position:
            assert self.fault is None, self.fault
            assert self._news.wait(PATIENCE_SECONDS), "the projector stands still"
            self._news.clear()

    def wait_for_more(self) -> None:
        """Waits until it has looked once more."""
        self.told = None
        self.wait_for(0)

    def wait_for_end(self) -> None:
        """Waits until it has ended by itself."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        """Stops it and waits for its end."""
        self.projector.stop()
        self.wait_for_end()


@contextmanager
def following(acta: Acta) -> Iterator[Follower]:
    """A projector beside the ledger."""
    follower = Follower(acta.projector)
    try:
        yield follower
    finally:
        follower.stop()


def append_poison(acta: Acta, topic: str, payload: bytes = b"{}") -> int:
    """Writes an event that this program cannot read; returns its position."""
    (position,) = ApplicationLog(acta.database).append([StoredEvent(uuid4(), 1, topic, payload)])
    return position


# ---------------------------------------------------------------- following


def test_it_follows_the_log_until_it_is_stopped(acta: Acta) -> None:
    """What is written while it runs is known soon after, and stopping ends it."""
    story = Story(acta)
    with following(acta) as follower:
        for number in range(5):
            story.register(f"ana{number}@example.com")
            follower.wait_for(story.acta.store.head())
    assert follower.fault is None
    assert len(contents(acta)["account_history"]) == 5


def test_it_goes_on_after_its_connection_was_killed(acta: Acta, database: TestDatabase) -> None:
    """The server ends its connections, again and again, and no event is lost or doubled."""
    ended = 0
    with beside(database) as administrator, following(acta) as follower:
        for number in range(4):
            with open_ledger(database.settings()) as writer:
                Story(writer).register(f"ana{number}@example.com")
                head = writer.store.head()
            follower.wait_for(head)
            ended += end_connections(administrator, database)
        follower.wait_for_more()
    assert ended >= 4
    assert follower.fault is None
    assert len(contents(acta)["account_history"]) == 4


def test_it_can_be_stopped_while_the_database_is_away(acta: Acta, database: TestDatabase) -> None:
    """It does not wait for the end of the outage, and says what it was."""
    with following(acta) as follower:
        follower.wait_for(0)
        with away(database):
            follower.stop()
    assert follower.fault is None or isinstance(follower.fault, DatabaseUnavailable)


def test_lag_is_measured_against_the_head_of_the_log(acta: Acta) -> None:
    """A projector that stands still shows its lag, whatever mark it has reached."""
    story = Story(acta)
    story.register()
    acta.projector.catch_up()
    story.register(BRUNO)
    status = acta.queries.status()
    assert status.head == acta.store.head()
    assert set(status.positions) == {projection.name for projection in PROJECTIONS}
    assert {status.head - position for position in status.positions.values()} == {1}
    assert acta.projector.catch_up() == Progress(status.head, status.head, 1)
    assert set(acta.queries.status().positions.values()) == {status.head}


def test_batches_are_told_as_they_are_applied(acta: Acta) -> None:
    """Progress names the position reached and the goal."""
    Story(acta).subscriber()
    told: list[Progress] = []
    acta.projector.catch_up(batch_events=3, progress=told.append)
    head = acta.store.head()
    assert [progress.position for progress in told] == [3, 6, head]
    assert {progress.head for progress in told} == {head}


# ---------------------------------------------------------------- an event that cannot be read


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("account.MoonLanded.v1", b"{}"), ("account.UserRegistered.v1", b'{"email": "ana"}')],
)
def test_an_event_that_cannot_be_read_does_not_halt_it(
    acta: Acta, topic: str, payload: bytes
) -> None:
    """What came with it in the batch is applied; what becomes of its stream: test_parking."""
    story = Story(acta)
    story.register()
    append_poison(acta, topic, payload)
    story.register(BRUNO)
    acta.projector.catch_up()
    assert len(contents(acta)["account_history"]) == 2
    assert set(acta.queries.status().positions.values()) == {acta.store.head()}


def test_following_goes_on_behind_an_event_that_cannot_be_read(acta: Acta) -> None:
    """It says which stream it has parked, and waits for what comes."""
    story = Story(acta)
    poison = append_poison(acta, "account.MoonLanded.v1")
    with following(acta) as follower:
        follower.wait_for(poison)
        story.register()
        follower.wait_for(acta.store.head())
    assert follower.fault is None
    assert {parked.position for parked in follower.parked} == {poison}


def test_events_of_another_application_are_passed_over(acta: Acta) -> None:
    """An unchanged application of the eventsourcing library may share the log."""
    story = Story(acta)
    story.register()
    append_poison(acta, "some.module:Thing.Event", b"\x00")
    acta.projector.catch_up()
    assert set(acta.queries.status().positions.values()) == {acta.store.head()}
    assert len(contents(acta)["account_history"]) == 1


# ---------------------------------------------------------------- crashes

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


def test_a_crash_after_a_batch_leaves_position_and_rows_together(
    acta: Acta, database: TestDatabase
) -> None:
    """The batch had not been committed, so nothing of it is there; the next one applies it."""
    story = Story(acta)
    story.register()
    acta.projector.catch_up()
    before = contents(acta)
    story.subscriber(BRUNO)
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
    assert contents(acta) == before
    acta.projector.catch_up()
    assert len(contents(acta)["account_history"]) == acta.store.head()


class Stopped(Exception):  # noqa: N818  stands for a crash
    """Ends a batch before its position moves."""


def test_a_failure_after_a_batch_leaves_nothing_behind(database: TestDatabase) -> None:
    """However often it fails there, each event is applied once in the end."""
    failures = iter([True, False, True, True, False, False])

    def reached(point: str) -> None:
        if point == "after batch" and next(failures, False):
            raise Stopped

    with open_ledger(database.settings(), reached=reached) as acta:
        Story(acta).subscriber()
        for _ in range(3):
            with pytest.raises(Stopped):
                acta.projector.catch_up(batch_events=2)
        acta.projector.catch_up(batch_events=2)
        assert len(contents(acta)["account_history"]) == acta.store.head()


# ---------------------------------------------------------------- several


def test_a_rebuild_of_an_unknown_read_model_is_an_error(acta: Acta) -> None:
    """Nothing is dropped."""
    with pytest.raises(KeyError):
        acta.projector.rebuild("no_such_model")


def test_two_projectors_share_the_work(acta: Acta, database: TestDatabase) -> None:
    """Each batch is taken by one of them, and none by both."""
    story = Story(acta)
    with open_ledger(database.settings()) as other, following(acta) as one, following(other) as two:
        members: list[Member] = [story.register(f"ana{number}@example.com") for number in range(20)]
        for follower in (one, two):
            follower.wait_for(acta.store.head())
    lines = contents(acta)["account_history"]
    assert len(lines) == len(members)
    assert _accounts(acta) == [member.account for member in members]


def _accounts(acta: Acta) -> list[UUID]:
    with acta.database.connection() as connection:
        rows = connection.execute(
            "SELECT account FROM projections.account_history ORDER BY position"
        ).fetchall()
    return [account for (account,) in rows]
