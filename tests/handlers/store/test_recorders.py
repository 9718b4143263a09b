"""The log as the eventsourcing library knows it, in the restricted application role (D2)."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    ProcessRecorder,
    StoredEvent,
    TrackingRecorder,
)
from eventsourcing.tests import persistence
from eventsourcing.utils import Environment
from psycopg import Connection

from domain.event import Recorded
from handlers.composition import Acta, open_ledger
from handlers.faults import DatabaseUnavailable
from handlers.settings import Settings
from handlers.store.database import Database, connect
from handlers.store.recorder import (
    AggregateLog,
    ApplicationLog,
    Factory,
    ProcessLog,
    SnapshotLog,
    Tracker,
)
from tests.conftest import TestDatabase
from tests.handlers.store.proxy import Loss, LossyProxy
from tests.handlers.store.stories import SOMEBODY, ask, refused, registered, registration
from tests.handlers.store.waiting import sessions_waiting, wait_until

# ---------------------------------------------------------------- the library's own cases


class OnFreshDatabase:
    """Gives each case a database of its own, in the restricted role."""

    database: Database

    @pytest.fixture(autouse=True)
    def _open(self, database: TestDatabase) -> Generator[None]:
        self.database = Database(database.application, connections_max=12)
        with self.database.connection() as connection:
            role = connection.execute(
                "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert role == ("acta_application", False, False, False, False)
        yield
        self.database.close()


class TestAggregateLog(OnFreshDatabase, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return AggregateLog(self.database)


class TestSnapshotLog(OnFreshDatabase, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return SnapshotLog(self.database)


class TestApplicationLog(
    OnFreshDatabase, persistence.ApplicationRecorderTestCase[ApplicationRecorder]
):
    def create_recorder(self) -> ApplicationRecorder:
        return ApplicationLog(self.database)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestProcessLogAsApplicationLog(
    OnFreshDatabase, persistence.ApplicationRecorderTestCase[ApplicationRecorder]
):
    def create_recorder(self) -> ApplicationRecorder:
        return ProcessLog(self.database)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTracker(OnFreshDatabase, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return Tracker(self.database)


class TestProcessLog(OnFreshDatabase, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return ProcessLog(self.database)


class TestBlocksDoNotInterleave(
    OnFreshDatabase, persistence.NonInterleavingNotificationIDsBaseCase
):
    def create_recorder(self) -> ApplicationRecorder:
        return ApplicationLog(self.database)


class NamedTracker(Tracker):
    """Named in the environment, by its topic."""


class TestFactory(persistence.InfrastructureFactoryTestCase[Factory]):
    @pytest.fixture(autouse=True)
    def _environment(self, database: TestDatabase) -> None:
        self.env = Environment(
            env={
                "PERSISTENCE_MODULE": "handlers.store.recorder",
                "ACTA_DATABASE_URL": database.application,
            }
        )

    def expected_factory_class(self) -> type[Factory]:
        return Factory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return AggregateLog

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return ApplicationLog

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return Tracker

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return NamedTracker

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return ProcessLog


def test_the_factory_says_what_is_missing() -> None:
    with pytest.raises(OSError, match="ACTA_DATABASE_URL"):
        Factory({})


# ---------------------------------------------------------------- an unchanged application


class Dog(Aggregate):
    """The library's own example."""

    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


class DogSchool(Application[UUID]):
    """Knows nothing of Acta."""

    is_snapshotting_enabled = True

    def register(self, name: str, *tricks: str) -> UUID:
        """Saves a dog with its tricks at once."""
        dog = Dog(name)
        for trick in tricks:
            dog.add_trick(trick)
        self.save(dog)
        return dog.id

    def teach(self, dog_id: UUID, trick: str) -> None:
        """Loads, changes and saves."""
        dog: Dog = self.repository.get(dog_id)
        dog.add_trick(trick)
        self.save(dog)

    def tricks(self, dog_id: UUID) -> list[str]:
        """What a dog can do."""
        dog: Dog = self.repository.get(dog_id)
        return dog.tricks


@pytest.fixture
def school(database: TestDatabase) -> Iterator[DogSchool]:
    """An unchanged application of the library, configured by its environment alone."""
    with DogSchool(
        {
            "PERSISTENCE_MODULE": "handlers.store.recorder",
            "ACTA_DATABASE_URL": database.application,
        }
    ) as application:
        yield application


def test_an_unchanged_application_saves_and_reads(school: DogSchool) -> None:
    fido = school.register("Fido", "roll over")

    school.teach(fido, "play dead")

    assert school.tricks(fido) == ["roll over", "play dead"]
    assert [item.id for item in school.notification_log.select(start=1, limit=10)] == [1, 2, 3]


def test_an_unchanged_application_takes_snapshots(school: DogSchool) -> None:
    fido = school.register("Fido", "roll over", "sit")

    school.take_snapshot(fido)

    assert school.snapshots is not None
    (snapshot,) = school.snapshots.get(fido)
    assert snapshot.originator_version == 3
    school.teach(fido, "play dead")
    assert school.tricks(fido) == ["roll over", "sit", "play dead"]


def test_an_unchanged_application_follows_what_others_write(school: DogSchool) -> None:
    """The subscription waits for what is not written yet."""
    with (
        school.recorder.subscribe(gt=None) as subscription,
        ThreadPoolExecutor(1) as beside,
    ):
        following = beside.submit(lambda: [next(subscription).originator_id for _ in range(3)])
        fido = school.register("Fido", "sit")
        rex = school.register("Rex")

        assert following.result(timeout=30) == [fido, fido, rex]


def test_two_writers_of_one_stream_conflict(school: DogSchool) -> None:
    fido = school.register("Fido")
    mine: Dog = school.repository.get(fido)
    theirs: Dog = school.repository.get(fido)
    theirs.add_trick("sit")
    school.save(theirs)
    mine.add_trick("roll over")

    with pytest.raises(IntegrityError):
        school.save(mine)

    assert school.tricks(fido) == ["sit"]


def test_its_events_have_an_unknown_actor_and_no_command(
    school: DogSchool, database: TestDatabase
) -> None:
    fido = school.register("Fido")

    with connect(database.administrator) as administrator:
        envelope = administrator.execute(
            "SELECT actor_kind, actor_id, command_id, correlation_id, causation_id,"
            " event_id IS NOT NULL, recorded_at IS NOT NULL FROM ledger.events WHERE stream = %s",
            (fido,),
        ).fetchall()
    assert envelope == [("unknown", None, None, None, None, True, True)]


def test_actas_projector_passes_over_its_events(school: DogSchool, acta: Acta) -> None:
    """They count as known, but are in no read model; Acta's own around them are."""
    school.register("Fido", "sit")
    event_between = registered(acta)
    last = school.register("Rex")

    progress = acta.projector.catch_up()

    assert progress.position == progress.head == acta.store.head()
    assert progress.events == 4
    with acta.database.connection() as connection:
        lines = connection.execute("SELECT account FROM projections.account_history").fetchall()
    assert lines == [(event_between.account,)]
    assert acta.store.streams([last]) == {last: list[Recorded]()}


# ---------------------------------------------------------------- a lost acknowledgement


@pytest.fixture
def proxy(database: TestDatabase) -> Iterator[LossyProxy]:
    """A proxy before the test's database that loses answers when told to."""
    # Not pytest's folder: the path of a socket has to be short.
    with (
        TemporaryDirectory(prefix="acta-") as folder,
        LossyProxy(database.application, Path(folder)) as proxy,
    ):
        yield proxy


@pytest.fixture
def behind(proxy: LossyProxy, database: TestDatabase) -> Iterator[Acta]:
    """A ledger that reaches its database through the proxy."""
    settings = Settings.model_validate({"database_url": proxy.address, "keys": database.keys})
    with open_ledger(settings) as opened:
        yield opened


def end_sessions(administrator: Connection) -> None:
    """Ends every session of Acta in this database, and returns when they are gone."""
    administrator.execute(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'acta'"
    )


def stored(*versions: int, stream: UUID | None = None) -> list[StoredEvent]:
    stream = stream or uuid4()
    return [StoredEvent(stream, version, "tests:Happened", b"{}") for version in versions]


def test_an_append_whose_answer_is_lost_is_found_by_its_ids(
    behind: Acta, proxy: LossyProxy
) -> None:
    """It is neither called a conflict nor written twice."""
    log = ApplicationLog(behind.database)
    events = stored(1, 2, 3)
    proxy.lose_answer_to(b"ledger.append")

    positions = log.append(events)

    assert proxy.lost.is_set()
    assert positions == [1, 2, 3]
    assert list(log.select_events(events[0].originator_id)) == events
    assert log.max_notification_id() == 3


def test_an_append_that_never_arrived_is_written_once(behind: Acta, database: TestDatabase) -> None:
    """The connections in the pool are dead; nothing was written by the first attempt."""
    log = ApplicationLog(behind.database)
    log.append(stored(1))
    with connect(database.administrator) as administrator:
        end_sessions(administrator)
    events = stored(1, 2)

    positions = log.append(events)

    assert positions == [2, 3]
    assert list(log.select_events(events[0].originator_id)) == events


def test_a_backend_ended_between_commit_and_answer_is_no_conflict(
    behind: Acta, proxy: LossyProxy, database: TestDatabase
) -> None:
    """The answer is lost with the server's process, once the append is committed."""
    log = ApplicationLog(behind.database)
    events = stored(1, 2)
    proxy.lose_answer_to(b"ledger.append", Loss.WITH_SERVER)
    with ThreadPoolExecutor(1) as beside, connect(database.administrator) as administrator:
        appending = beside.submit(log.append, events)
        assert proxy.lost.wait(timeout=30)
        end_sessions(administrator)
        assert appending.result(timeout=30) == [1, 2]

    assert list(log.select_events(events[0].originator_id)) == events


def test_a_connection_lost_while_the_append_waits_is_no_conflict(
    behind: Acta, proxy: LossyProxy, database: TestDatabase
) -> None:
    """The first attempt goes on in the server and comes in before the second."""
    log = ApplicationLog(behind.database)
    events = stored(1, 2)
    stream = events[0].originator_id
    with connect(database.administrator) as administrator, ThreadPoolExecutor(1) as beside:
        with administrator.transaction():
            administrator.execute(
                "SELECT pg_advisory_xact_lock(uuid_hash_extended(%s, 0))", (stream,)
            )
            proxy.lose_answer_to(b"ledger.append", Loss.AT_ONCE)
            appending = beside.submit(log.append, events)
            assert proxy.lost.wait(timeout=30)
            wait_until(lambda: sessions_waiting(database) == 2)
        positions = appending.result(timeout=30)

    assert list(log.select_events(stream)) == events
    assert positions == [1, 2]


def test_a_command_whose_answer_is_lost_is_answered_once(behind: Acta, proxy: LossyProxy) -> None:
    proxy.lose_answer_to(b"ledger.append")
    command_id = uuid4()

    receipt = ask(behind, registration(), SOMEBODY, command_id)

    assert proxy.lost.is_set()
    assert len(receipt.events) == 1
    assert not receipt.repeated
    assert receipt.position == behind.store.head() == 1
    again = ask(behind, registration(), SOMEBODY, command_id)
    assert again.repeated
    assert again.events == receipt.events


def test_a_refusal_whose_answer_is_lost_is_kept_once(behind: Acta, proxy: LossyProxy) -> None:
    registered(behind)
    proxy.lose_answer_to(b"ledger.append")
    command_id = uuid4()

    refusal = refused(behind, registration(), SOMEBODY, command_id)

    assert proxy.lost.is_set()
    assert refusal.rule == "A3"
    assert behind.ledger.known([command_id])[command_id].refusal == refusal


def test_a_database_that_stays_away_is_a_fault_and_nothing_is_kept(
    database: TestDatabase, proxy: LossyProxy
) -> None:
    """The same command may be given again with the same id."""
    settings = Settings.model_validate(
        {"database_url": proxy.address, "keys": database.keys, "connect_timeout_seconds": 2}
    )
    command_id = uuid4()
    with open_ledger(settings) as opened:
        proxy.close()
        with pytest.raises(DatabaseUnavailable):
            ask(opened, registration(), SOMEBODY, command_id)
    with open_ledger(database.settings()) as opened:
        assert not ask(opened, registration(), SOMEBODY, command_id).repeated


def test_another_writer_is_still_a_conflict(acta: Acta) -> None:
    """Looking up by ids does not take somebody else's events for one's own."""
    log = ApplicationLog(acta.database)
    theirs = stored(1)
    log.append(theirs)

    with pytest.raises(IntegrityError):
        log.append(stored(1, stream=UUID(str(theirs[0].originator_id))))

    assert log.max_notification_id() == 1
