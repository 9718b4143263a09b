"""Readers see events in commit order and skip none, whoever is writing (decision 4)."""

import ctypes
import random
import select
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event as ProcessEvent
from time import monotonic
from typing import ClassVar
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection

from domain.event import Recorded
from handlers.store.database import Database, connect
from handlers.store.mapper import to_payload
from handlers.store.migrations import IDLE_TRANSACTION_TIMEOUT_MS
from handlers.workers import projector as projector_module
from handlers.workers.projector import Progress, Projector
from projections.projection import Projection, Table
from tests.conftest import TestDatabase
from tests.handlers.store.processes import CONTEXT, PROCESSES, running
from tests.handlers.store.stories import seed, studied
from tests.handlers.store.waiting import TIMEOUT_SECONDS, wait_until

# ---------------------------------------------------------------- one who writes


def append(connection: Connection, events: int = 1) -> list[int]:
    """Appends to a stream of its own, within the connection's transaction if there is one."""
    stream = uuid4()
    event = studied()
    row = connection.execute(
        "SELECT ledger.append(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[], %b::uuid[],"
        " 'system', NULL, %s, NULL, NULL, '{}', '{}', NULL, NULL)",
        (
            [stream] * events,
            list(range(1, events + 1)),
            [event.TOPIC] * events,
            [to_payload(event)] * events,
            [uuid4() for _ in range(events)],
            uuid4(),
        ),
    ).fetchone()
    assert row is not None
    return list(range(row[0], row[0] + events))


def keep_writing(
    number: int,
    address: str,
    appends: int,
    committed: "ctypes.Array[ctypes.c_uint64]",
    stopped: ProcessEvent,
) -> None:
    """Appends until told to stop, and so many times at least; takes a quarter of it back.

    Runs in its own process; ``committed`` counts its events as they come in.
    """
    chance = random.Random(seed() * 1000 + number)
    done = 0
    with psycopg.connect(address, autocommit=True) as connection:
        while done < appends or not stopped.is_set():
            events = chance.choice([1, 1, 1, 2, 5])
            taken_back = chance.random() < 0.25
            if taken_back or chance.random() < 0.3:
                with connection.transaction(force_rollback=taken_back):
                    append(connection, events)
                    if chance.random() < 0.5:
                        append(connection, events)
                        events *= 2
            else:
                append(connection, events)
            done += 1
            if not taken_back:
                committed[number] += events


# ---------------------------------------------------------------- one who reads


class Seen(Projection):
    """Keeps the positions it is given; its key lets no event in twice."""

    name: ClassVar[str] = "seen"
    version: ClassVar[int] = 1
    tables: ClassVar[tuple[Table, ...]] = (
        Table("seen", {"position": "bigint NOT NULL"}, key=("position",)),
    )

    def __init__(self) -> None:
        self.positions: list[int] = []

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """In the table, and in the order in which they came."""
        self.tables[0].insert(connection, ((entry.position,) for entry in batch))
        self.positions += [entry.position for entry in batch]


@dataclass
class Reader:
    """A projector that follows the log in a thread, and whose position can be waited for."""

    seen: Seen
    projector: Projector
    position: int = 0
    moved: threading.Condition = field(default_factory=threading.Condition)

    def told(self, progress: Progress) -> None:
        """The projector has committed up to a position."""
        with self.moved:
            self.position = max(self.position, progress.position)
            self.moved.notify_all()

    def wait_for(self, position: int, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Waits until everything up to a position has been applied."""
        with self.moved:
            assert self.moved.wait_for(lambda: self.position >= position, timeout_seconds), (
                f"at {self.position}, not at {position}, after {timeout_seconds} seconds"
            )


@pytest.fixture
def log(database: TestDatabase) -> Iterator[Database]:
    """The test's database, in the application's role."""
    opened = Database(database.application)
    yield opened
    opened.close()


@contextmanager
def following(log: Database) -> Generator[Reader]:
    """A reader that follows until the end, and has then read all there is."""
    seen = Seen()
    projector = Projector(log, [seen])
    reader = Reader(seen, projector)
    with ThreadPoolExecutor(1) as thread:
        follows = thread.submit(projector.follow, progress=reader.told)
        try:
            yield reader
        finally:
            projector.stop()
            follows.result(timeout=TIMEOUT_SECONDS)
    projector.catch_up(progress=reader.told)


def skipped(seen: Seen, log: Database) -> set[int]:
    """Positions of the log that were never given; sees that none was given twice or too soon."""
    assert seen.positions == sorted(set(seen.positions)), "twice, or not in order"
    with log.connection() as connection:
        rows = connection.execute("SELECT position FROM ledger.events").fetchall()
        table = connection.execute("SELECT position FROM projections.seen").fetchall()
    written = {position for (position,) in rows}
    assert {position for (position,) in table} == set(seen.positions) <= written
    return written - set(seen.positions)


def without_protection(connection: Connection) -> int:
    """Takes the last position given out as settled, and waits for nobody."""
    row = connection.execute("SELECT last_value FROM ledger.positions").fetchone()
    return row[0] if row else 0


def take_protection_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projector reads as a naive reader would."""
    monkeypatch.setattr(projector_module, "settled_position", without_protection)


# ---------------------------------------------------------------- the smallest interleaving


@contextmanager
def patient_writer(database: TestDatabase) -> Generator[Connection]:
    """A writer within a transaction, which the server does not end on a slow machine."""
    with connect(database.application) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute("BEGIN")
        yield connection


def interleave(database: TestDatabase, log: Database, *, rolled_back: bool = False) -> Seen:
    """One writer draws positions and stays open, a second commits later ones, a reader reads.

    The first commits once the reader has read, or waits to.
    """
    seen = Seen()
    projector = Projector(log, [seen])
    with ThreadPoolExecutor(1) as thread, connect(database.application) as second:
        append(second)
        projector.catch_up()
        with patient_writer(database) as first:
            early = append(first, 2)
            late = append(second, 3)
            assert max(early) < min(late)
            reading = thread.submit(projector.catch_up)
            wait_until(lambda: reading.done() or bool(waited_for(database)))
            first.execute("ROLLBACK" if rolled_back else "COMMIT")
        reading.result(timeout=TIMEOUT_SECONDS)
        projector.catch_up()
    return seen


def test_a_reader_waits_for_who_holds_earlier_positions(
    database: TestDatabase, log: Database
) -> None:
    seen = interleave(database, log)

    assert skipped(seen, log) == set()
    assert seen.positions == [1, 2, 3, 4, 5, 6]


def test_a_reader_goes_on_when_they_are_taken_back(database: TestDatabase, log: Database) -> None:
    """Positions that nobody used are no gap to wait at."""
    seen = interleave(database, log, rolled_back=True)

    assert skipped(seen, log) == set()
    assert seen.positions == [1, 4, 5, 6]


def test_without_the_protection_the_same_interleaving_loses_events(
    database: TestDatabase, log: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_protection_out(monkeypatch)

    seen = interleave(database, log)

    assert skipped(seen, log) == {2, 3}


def waited_for(database: TestDatabase) -> set[int]:
    """The writers that readers wait for, by process of the server."""
    with connect(database.administrator) as observer:
        rows = observer.execute(
            "SELECT objid::int FROM pg_locks WHERE classid = 1633907809 AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = %s)",
            (database.name,),
        ).fetchall()
    return {pid for (pid,) in rows}


def test_a_reader_waits_for_nobody_who_came_after_it(database: TestDatabase, log: Database) -> None:
    """Those draw later positions; beside ever new writers it gets through."""
    seen = Seen()
    projector = Projector(log, [seen])
    projector.catch_up()
    with (
        ThreadPoolExecutor(1) as thread,
        patient_writer(database) as earlier,
        patient_writer(database) as later,
    ):
        append(earlier)
        reading = thread.submit(projector.step)
        wait_until(lambda: waited_for(database) == {earlier.info.backend_pid})
        append(later)
        earlier.execute("COMMIT")
        reading.result(timeout=TIMEOUT_SECONDS)

    assert seen.positions == [1]


def test_a_waiting_reader_delays_no_writer(database: TestDatabase, log: Database) -> None:
    """Others append while one is idle and a reader waits for that one."""
    projector = Projector(log, [Seen()])
    projector.catch_up()
    with (
        ThreadPoolExecutor(1) as thread,
        patient_writer(database) as idle,
        connect(database.application) as writer,
    ):
        append(idle)
        reading = thread.submit(projector.step)
        wait_until(lambda: waited_for(database) == {idle.info.backend_pid})
        writer.execute("SET lock_timeout = '5s'")
        for _ in range(20):
            append(writer, 2)
        assert not reading.done()
        idle.execute("COMMIT")
        reading.result(timeout=TIMEOUT_SECONDS)


# ---------------------------------------------------------------- a writer left idle


def test_the_application_role_has_the_limit(database: TestDatabase) -> None:
    with connect(database.application) as connection:
        row = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert row == (f"{IDLE_TRANSACTION_TIMEOUT_MS}ms",)


def wait_until_ended(connection: Connection) -> float:
    """Waits until the server ends a session; the instant at which it did."""
    readable, _, _ = select.select([connection.fileno()], [], [], TIMEOUT_SECONDS)
    assert readable, "the server did not end the session"
    ended_at = monotonic()
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        connection.execute("SELECT 1")
    return ended_at


def test_the_server_ends_an_idle_writer_and_its_positions_are_no_gap(
    database: TestDatabase, log: Database
) -> None:
    with following(log) as reader, connect(database.application) as writer:
        idle = connect(database.application)
        idle.execute("BEGIN")
        taken = append(idle, 2)
        behind = append(writer)

        ended_at = wait_until_ended(idle)
        reader.wait_for(behind[-1])
        went_on_after_seconds = monotonic() - ended_at
        idle.close()

    assert went_on_after_seconds < 1
    assert skipped(reader.seen, log) == set()
    assert not set(taken) & set(reader.seen.positions)


# ---------------------------------------------------------------- many who write


@dataclass
class Tail:
    """What came of eight writers, of idle transactions among them, and of a reader.

    Attributes:
        held: positions that were committed long after later ones.
        skipped: positions that the reader never saw.
        rates: events a second while a transaction sat idle, and without one.
        went_on_after_seconds: how long the reader stood still after each idle one was ended.
    """

    events: int = 0
    held: set[int] = field(default_factory=set[int])
    skipped: set[int] = field(default_factory=set[int])
    rates: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    went_on_after_seconds: list[float] = field(default_factory=list[float])


def tail(
    database: TestDatabase, log: Database, *, appends: int, rounds: int, protected: bool = True
) -> Tail:
    """Eight writers, a reader at their heels, and now and then one who appends and sits idle.

    Another holds positions while others commit later ones, and commits them in the end: what a
    naive reader skips.
    """
    committed = CONTEXT.RawArray(ctypes.c_uint64, PROCESSES)
    stopped = CONTEXT.Event()
    told = Tail()

    def seconds_until(condition: Callable[[], bool]) -> float:
        began_at = monotonic()
        wait_until(condition)
        return monotonic() - began_at

    def one_sits_idle(reader: Reader) -> None:
        with connect(database.application) as idle:
            idle.execute("BEGIN")
            (position,) = append(idle)
            began_at, before = monotonic(), sum(committed)
            ended_at = wait_until_ended(idle)
        written = sum(committed) - before
        reader.wait_for(position)
        told.went_on_after_seconds.append(monotonic() - ended_at)
        assert written, "nobody else could write"
        goal = sum(committed) + written
        free_seconds = seconds_until(lambda: sum(committed) >= goal)
        told.rates.append((written / (ended_at - began_at), written / free_seconds))

    def one_is_slow(reader: Reader) -> None:
        with patient_writer(database) as slow:
            positions = append(slow, 2)
            goal = sum(committed) + 100
            wait_until(lambda: sum(committed) >= goal)
            if not protected:
                reader.wait_for(positions[-1])
            slow.execute("COMMIT")
        told.held.update(positions)

    arguments = (database.application, appends, committed, stopped)
    with following(log) as reader, running(keep_writing, *arguments):
        try:
            wait_until(lambda: all(committed))
            for _ in range(rounds):
                if protected:
                    one_sits_idle(reader)
                one_is_slow(reader)
        finally:
            stopped.set()
    told.events = sum(committed) + len(told.held)
    told.skipped = skipped(reader.seen, log)
    assert len(reader.seen.positions) + len(told.skipped) == told.events
    return told


@pytest.mark.parametrize(
    ("appends", "rounds"), [(300, 2), pytest.param(3000, 20, marks=pytest.mark.soak)]
)
def test_nothing_is_skipped_and_nothing_applied_twice(
    database: TestDatabase, log: Database, appends: int, rounds: int
) -> None:
    """Writers go on while one sits idle; readers within a second after the server ended it."""
    told = tail(database, log, appends=appends, rounds=rounds)

    for idle_rate, free_rate in told.rates:
        print(
            f"{idle_rate:.0f} events a second beside an idle transaction, {free_rate:.0f}"
            f" without: {idle_rate / free_rate:.2f}"
        )
    print(f"{told.events} events; the reader went on after", told.went_on_after_seconds)
    assert told.skipped == set()
    assert max(told.went_on_after_seconds) < 1
    assert all(idle_rate > 0 for idle_rate, _ in told.rates)
    assert told.events >= appends * PROCESSES / 2


def test_without_the_protection_the_same_run_loses_events(
    database: TestDatabase, log: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is committed late is never seen."""
    take_protection_out(monkeypatch)

    told = tail(database, log, appends=100, rounds=2, protected=False)

    assert told.held
    assert told.held <= told.skipped
