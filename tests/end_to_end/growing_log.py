"""A log for the relay: full of people, every kind of event in it, and growing meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, cycle, islice
from multiprocessing.connection import Connection
from random import Random
from threading import Lock
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import StoredEvent

from benchmarks import ours
from benchmarks.population import Life, copy, live, populate
from handlers.settings import Settings
from handlers.store.recorder import ApplicationLog
from schemas.contracts import Contracts
from schemas.topics import AGGREGATE_OF_ENTRIES, aggregate_of
from tests.conftest import TestDatabase
from tests.end_to_end.killable_relay import end_with_parent
from tests.handlers.store.processes import CONTEXT
from tests.schemas.golden import Golden

__all__ = ["Writer", "growing", "write_every_kind"]

PEOPLE = 4
APPEND_EVENTS_MAX = 40
PATIENCE_SECONDS = 60


def write_every_kind(settings: Settings) -> None:
    """Appends an event of every version that was ever published, as its golden file has it."""
    contracts = Contracts()
    topics = [topic for topic in contracts.topics() if aggregate_of(topic) != AGGREGATE_OF_ENTRIES]
    goldens = [Golden.read(contracts.golden(topic)) for topic in topics]
    with ours.log(settings) as log:
        log.append([StoredEvent(uuid4(), 1, each.topic, each.payload) for each in goldens])


class Writer:
    """Appends in a process of its own, as much as it is asked to, while others work."""

    def __init__(self, database: TestDatabase, lives: list[Life], seed: int) -> None:
        self._lock = Lock()
        theirs, self._connection = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(
            target=_write, args=(database.settings(), lives, seed, theirs)
        )
        self._process.start()
        theirs.close()

    def write(self, events: int) -> None:
        """Asks for more events, from any thread, and does not wait for them."""
        with self._lock:
            self._connection.send(events)

    def finish(self) -> None:
        """Waits until everything that was asked for is written; nothing can be asked any more."""
        self._connection.close()
        self._process.join(PATIENCE_SECONDS)
        assert self._process.exitcode == 0, "the writer does not come to an end"

    def discard(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._process.close()


@contextmanager
def growing(database: TestDatabase, events: int, seed: int) -> Iterator[Writer]:
    """A log that has half of these events and every kind of them, and a writer for the rest."""
    settings = database.settings()
    lives = live(settings, PEOPLE)
    write_every_kind(settings)
    populate(settings, lives, events // 2)
    writer = Writer(database, lives, seed)
    try:
        yield writer
    finally:
        writer.discard()


def _write(
    settings: Settings, lives: list[Life], seed: int, connection: "Connection[Any, Any]"
) -> None:
    end_with_parent()
    random = Random(seed)
    copied = chain.from_iterable(map(copy, cycle(lives)))
    with ours.log(settings) as log, suppress(EOFError):
        while True:
            _append(log, copied, connection.recv(), random)


def _append(
    log: ApplicationLog, copied: Iterator[StoredEvent], events: int, random: Random
) -> None:
    """So many more, in appends of various sizes."""
    while events > 0:
        block = list(islice(copied, min(events, random.randint(1, APPEND_EVENTS_MAX))))
        log.append(block)
        events -= len(block)
