"""Of several processes one at a time is alone with a stream, whatever becomes of the others."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from uuid import UUID, uuid4

import pytest

from handlers.faults import DatabaseUnavailable
from handlers.store.alone import alone_with
from handlers.store.database import Database, connect
from tests.conftest import TestDatabase
from tests.handlers.store.waiting import sessions_alone, wait_until

NEVER = 1e9


@pytest.fixture
def one(database: TestDatabase) -> Database:
    """What a process has."""
    return Database(database.application)


@pytest.fixture
def other(database: TestDatabase) -> Database:
    """What another has."""
    return Database(database.application)


def taken_by(process: Database, streams: set[UUID], *, patience_seconds: float) -> frozenset[UUID]:
    """With which of these streams it comes to be alone."""
    with alone_with(process, streams, patience_seconds=patience_seconds, stopped=Signal()) as alone:
        return alone.streams


def test_whoever_is_second_waits_for_the_first(
    one: Database, other: Database, database: TestDatabase
) -> None:
    """For all that it wants, and holds none of it meanwhile."""
    mine, shared, theirs = uuid4(), uuid4(), uuid4()
    with ThreadPoolExecutor(1) as threads:
        with alone_with(one, {mine, shared}, patience_seconds=0, stopped=Signal()) as alone:
            assert alone.streams == {mine, shared}
            waiting = threads.submit(taken_by, other, {shared, theirs}, patience_seconds=NEVER)
            wait_until(lambda: sessions_alone(database) == 2)
            assert not waiting.done()
        assert waiting.result(timeout=60) == {shared, theirs}


def test_what_somebody_holds_for_too_long_is_left_to_them(one: Database, other: Database) -> None:
    """It goes on with the rest; a process that was stopped keeps nobody from other work."""
    shared, free = uuid4(), uuid4()
    with alone_with(one, {shared}, patience_seconds=0, stopped=Signal()):
        assert taken_by(other, {shared, free}, patience_seconds=0.3) == {free}
    assert taken_by(other, {shared, free}, patience_seconds=0) == {shared, free}


def test_waiting_ends_when_it_is_stopped(
    one: Database, other: Database, database: TestDatabase
) -> None:
    """However long its patience is."""
    stream, stopped = uuid4(), Signal()

    def wait() -> frozenset[UUID]:
        with alone_with(other, {stream}, patience_seconds=NEVER, stopped=stopped) as alone:
            return alone.streams

    with (
        ThreadPoolExecutor(1) as threads,
        alone_with(one, {stream}, patience_seconds=0, stopped=Signal()),
    ):
        waiting = threads.submit(wait)
        wait_until(lambda: sessions_alone(database) == 2)
        stopped.set()
        assert waiting.result(timeout=60) == frozenset()


def test_a_lost_connection_holds_nothing_and_is_noticed(
    one: Database, other: Database, database: TestDatabase
) -> None:
    """The server ended it; somebody else may have been alone with the stream since."""
    stream = uuid4()
    with alone_with(one, {stream}, patience_seconds=0, stopped=Signal()) as alone:
        alone.still()
        with connect(database.administrator) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'acta'"
            )
        assert taken_by(other, {stream}, patience_seconds=0) == {stream}
        with pytest.raises(DatabaseUnavailable):
            alone.still()
