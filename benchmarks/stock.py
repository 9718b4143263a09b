"""The parts of eventsourcing as it ships them, used as its documentation shows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, cycle, islice
from threading import Event
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import ApplicationRecorder, StoredEvent, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from benchmarks.population import Life, copy

__all__ = [
    "appender",
    "log",
    "make_tables",
    "populate",
    "projected_per_second",
    "runner",
    "size_bytes",
    "studied",
]

APPEND_EVENTS = 500
POLL_SECONDS = 0.005
TOPIC = "study_history.ContentStudied.v1"
CONTENT = (
    '{"occurred_at":"2026-01-15T16:00:00Z","person":"00000000-0000-0000-0000-000000000000",'
    '"account":"00000000-0000-0000-0000-000000000000","content":"algebra/unit-3"}'
)


@dataclass(frozen=True)
class Fact(DomainEvent):
    """An event of the library that says what one of ours says."""

    topic: str
    content: str


class Facts(Application[UUID]):
    name = "facts"


class Rows(PostgresTrackingRecorder):
    """A view that adds a row an event, in one transaction with its position."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        table = SQL("{}.{}").format(Identifier(datastore.schema), Identifier("fact_rows"))
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {} (stream uuid, position bigint, topic text,"
                " PRIMARY KEY (stream, position))"
            ).format(table)
        )
        self._insert = SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(table)
        self.position = 0

    def add(self, fact: Fact, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            row = (fact.originator_id, tracking.notification_id, fact.topic)
            cursor.execute(self._insert, row, prepare=True)
        self.position = tracking.notification_id


class FactRows(Projection[Rows]):
    @singledispatchmethod
    def process_event(self, domain_event: Fact, tracking: Tracking) -> None:
        self.view.add(domain_event, tracking)


def runner(address: str, *, create_table: bool = False) -> ProjectionRunner[Facts, Rows]:
    return ProjectionRunner(
        application_class=Facts,
        projection_class=FactRows,
        view_class=Rows,
        env=_environment(address, create_table=create_table),
    )


def make_tables(address: str) -> None:
    with runner(address, create_table=True):
        pass


@contextmanager
def log(address: str) -> Iterator[ApplicationRecorder]:
    app = Facts(env=_environment(address))
    try:
        yield app.recorder
    finally:
        app.close()


@contextmanager
def appender(address: str) -> Iterator[Callable[[], object]]:
    event = studied()
    with log(address) as recorder:
        yield lambda: recorder.insert_events([replace(event, originator_id=uuid4())])


def studied() -> StoredEvent:
    """One event in a stream of its own."""
    return _stored(uuid4(), 1, TOPIC, CONTENT)


def size_bytes() -> int:
    """How long the payload of that event is."""
    return len(studied().state)


def populate(address: str, lives: Sequence[Life], events: int) -> None:
    """Appends so many events of copies of these lives."""
    make_tables(address)
    copied = islice(chain.from_iterable(map(copy, cycle(lives))), events)
    with log(address) as recorder:
        while block := list(islice(copied, APPEND_EVENTS)):
            recorder.insert_events(
                [_stored(uuid4(), 1, event.topic, event.state.decode()) for event in block]
            )


def projected_per_second(address: str) -> float:
    with log(address) as recorder:
        goal = recorder.max_notification_id() or 0
    pause, began = Event(), monotonic()
    with runner(address) as running:
        while running.view.position < goal:
            pause.wait(POLL_SECONDS)
        return goal / (monotonic() - began)


def _stored(stream: UUID, version: int, topic: str, content: str) -> StoredEvent:
    fact = Fact(
        originator_id=stream,
        originator_version=version,
        timestamp=Fact.create_timestamp(),
        topic=topic,
        content=content,
    )
    return _mapper.to_stored_event(fact)


_mapper = Facts().mapper


def _environment(address: str, *, create_table: bool = False) -> dict[str, str]:
    named = conninfo_to_dict(address)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        # Several processes that make the tables at once stop each other.
        "CREATE_TABLE": "y" if create_table else "n",
        "POSTGRES_DBNAME": str(named["dbname"]),
        "POSTGRES_HOST": str(named["host"]),
        "POSTGRES_PORT": str(named["port"]),
        "POSTGRES_USER": str(named["user"]),
        "POSTGRES_PASSWORD": str(named["password"]),
    }
