"""A service takes events once, halts where one is missing, and buries what it cannot handle."""

import logging
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event as Signal
from threading import Lock, Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
    ResourceType,  # pyright: ignore[reportPrivateImportUsage]
)
from tenacity import wait_none

import handlers.subscriber
from handlers.subscriber import (
    BrokerAway,
    Event,
    Gap,
    Kept,
    MemoryVersions,
    Registry,
    RegistryRefuses,
    SchemaUnknown,
    Subscriber,
    TopicMissing,
    Undeliverable,
)
from handlers.subscriber.postgres import PostgresVersions
from tests.conftest import TestDatabase
from tests.handlers.outages import away
from tests.handlers.publishing import BEGINNING, CAPTURED, REGISTERED, STARTED_V1, Publisher
from tests.services.kafka import KafkaBroker
from tests.services.sources import AnyBroker, AnyRegistry
from tests.services.topics import Record, read_all

GROUP = "billing"
TABLE = "service.versions"
CANARY = "canary.rojas@example.cl"

Connection = psycopg.Connection[Any]
Take = Callable[[Event, Any], object]


@pytest.fixture
def publisher(broker: AnyBroker, registry: AnyRegistry, namespace: str) -> Publisher:
    """Writes what the relay would."""
    return Publisher(broker.bootstrap_servers, registry.url, namespace)


class Service:
    """A service of the test's own, with a table in PostgreSQL.

    Attributes:
        taken: stream and version, or position, of what its handler was given and went through.
    """

    def __init__(self, publisher: Publisher, database: TestDatabase) -> None:
        self.publisher = publisher
        self.address = database.application
        self.group = f"{publisher.namespace}.{GROUP}"
        self.dead_letters = f"{self.group}.dead-letters"
        with psycopg.connect(database.administrator) as administrator:
            administrator.execute("CREATE SCHEMA service AUTHORIZATION acta_application")
            administrator.execute("CREATE TABLE service.taken (stream text, version bigint)")
            administrator.execute("ALTER TABLE service.taken OWNER TO acta_application")

    def subscriber(self, **chosen: Any) -> Subscriber:
        """A subscriber that loses no time."""
        usual: dict[str, Any] = {
            "bootstrap_servers": self.publisher.bootstrap_servers,
            "schemas": Registry(self.publisher.registry_url),
            "group": self.group,
            "topics": [self.publisher.topic],
            "wait": wait_none(),
            "properties": {"session.timeout.ms": "6000"},
        }
        return Subscriber(**(usual | chosen))

    def versions(self) -> PostgresVersions:
        """Where versions are kept."""
        return PostgresVersions(self.address, GROUP, table=TABLE)

    def run(self, handle: Take | None = None, begin: Any = None, **chosen: Any) -> None:
        """Takes what is there."""
        with self.versions() as versions:
            self.subscriber(**chosen).run(handle or take, versions, begin=begin, once=True)

    def taken(self) -> list[tuple[str, int]]:
        """What its table holds."""
        with psycopg.connect(self.address) as connection:
            rows = connection.execute("SELECT stream, version FROM service.taken ORDER BY 1, 2")
            return rows.fetchall()

    def kept(self) -> dict[str, int]:
        """The versions that it keeps."""
        with psycopg.connect(self.address) as connection:
            rows = connection.execute(f"SELECT stream, version FROM {TABLE}".encode())
            return dict(rows.fetchall())

    def committed(self) -> int:
        """How many offsets its group has behind it, in all partitions."""
        admin = AdminClient({"bootstrap.servers": self.publisher.bootstrap_servers})
        asked = [ConsumerGroupTopicPartitions(self.group)]
        told = admin.list_consumer_group_offsets(asked)[self.group].result(30)
        return sum(max(0, each.offset) for each in told.topic_partitions)

    def buried(self) -> list[Record]:
        """Its dead letters."""
        return read_all(self.publisher.bootstrap_servers, self.dead_letters)


@pytest.fixture
def service(publisher: Publisher, database: TestDatabase) -> Service:
    """A service with a table."""
    return Service(publisher, database)


def take(event: Event, connection: Connection) -> None:
    """Writes down which event it was."""
    number = event.position if event.version is None else event.version
    connection.execute("INSERT INTO service.taken VALUES (%s, %s)", (event.stream, number))


def rows(stream: UUID, *numbers: int) -> list[tuple[str, int]]:
    """What the table holds once these were taken."""
    return [(str(stream), number) for number in numbers]


def topics_of(bootstrap_servers: str) -> set[str]:
    """All there are."""
    return {*AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=30).topics}


# ---------------------------------------------------------------- what an event says


def test_an_event_is_handed_over_with_all_that_it_says(
    publisher: Publisher, service: Service
) -> None:
    stream = uuid4()
    draft = publisher.event(stream)
    publisher.publish([draft])
    told: list[Event] = []
    service.subscriber().run(lambda event, _: told.append(event), MemoryVersions(), once=True)
    (event,) = told
    assert (event.topic, event.stream, event.version, event.position) == (
        publisher.topic, str(stream), 1, 1,
    )  # fmt: skip
    assert (event.id, event.type) == (draft.headers["ce_id"], "acta.subscription.PaymentCaptured")
    assert event.occurred_at == datetime(2025, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)
    assert event.recorded_at == draft.recorded_at
    assert event.schema_id == publisher.schema_id(CAPTURED)
    assert (event.values["amount_minor"], event.values["currency"]) == (9990, "USD")


def test_an_event_is_read_as_it_was_written(publisher: Publisher, service: Service) -> None:
    """An older version has the fields of its own schema; a personal value is bytes, sealed."""
    publisher.publish([
        publisher.event(uuid4(), fact=STARTED_V1), publisher.event(uuid4(), fact=REGISTERED),
    ])  # fmt: skip
    told: dict[str, Mapping[str, Any]] = {}
    topics = [publisher.topic, f"{publisher.namespace}.account.events.v1"]
    service.subscriber(topics=topics).run(
        lambda event, _: told.update({event.type: event.values}), MemoryVersions(), once=True
    )
    assert set(told) == {"acta.subscription.SubscriptionStarted", "acta.account.UserRegistered"}
    assert isinstance(told["acta.account.UserRegistered"]["email"], bytes)


# ---------------------------------------------------------------- once, and in order


def test_each_event_is_taken_once(publisher: Publisher, service: Service) -> None:
    """What was aborted is never seen; who runs again goes on where it was."""
    first, second = sorted([uuid4(), uuid4()], key=str)
    publisher.publish([publisher.event(first), publisher.event(second), publisher.event(first)])
    publisher.publish([publisher.event(first, 3)], commit=False)
    service.run()
    assert service.taken() == rows(first, 1, 2) + rows(second, 1)
    publisher.publish([publisher.event(first, 3), publisher.event(second)])
    service.run()
    assert service.taken() == rows(first, 1, 2, 3) + rows(second, 1, 2)
    assert service.kept() == {str(first): 3, str(second): 2}


def test_what_comes_twice_is_dropped(publisher: Publisher, service: Service) -> None:
    """Within a batch, and by a group that begins anew."""
    stream = uuid4()
    events = [publisher.event(stream) for _ in range(3)]
    publisher.publish([*events, events[1], events[2]])
    service.run()
    service.run(group=f"{service.group}.anew")
    assert service.taken() == rows(stream, 1, 2, 3)


def test_a_missing_version_halts(publisher: Publisher, service: Service) -> None:
    """What came before is taken, nothing behind it, however often it is tried; it says where."""
    stream = uuid4()
    publisher.publish([publisher.event(stream, number) for number in (1, 2, 4, 5)])
    for _ in range(2):
        with pytest.raises(Gap, match="version 3 is missing, 4 came") as halted:
            service.run()
        gap = halted.value
        assert (gap.stream, gap.expected, gap.got) == (str(stream), 3, 4)
        assert (gap.topic, gap.offset) == (publisher.topic, 2)
        assert service.taken() == rows(stream, 1, 2)
        assert service.committed() == 2


def test_the_first_version_that_is_seen_is_the_base(publisher: Publisher, service: Service) -> None:
    """A service that starts midway has no gap before its first event."""
    stream = uuid4()
    publisher.publish([publisher.event(stream, number) for number in (7, 8)])
    service.run()
    assert service.taken() == rows(stream, 7, 8)


def test_a_new_generation_of_a_topic_goes_on_where_the_old_was(
    publisher: Publisher, service: Service
) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream, number) for number in (1, 2, 3)])
    service.run()
    again = [publisher.event(stream, number, generation=2) for number in (1, 2, 3, 4)]
    publisher.publish(again)
    service.run(topics=[again[0].topic])
    assert service.taken() == rows(stream, 1, 2, 3, 4)


def test_entries_are_taken_once_by_position(publisher: Publisher, service: Service) -> None:
    """They have gaps; and the events of the same stream do not stand in their way."""
    stream = uuid4()
    first = publisher.entry(stream)
    event = publisher.event(stream)
    second = publisher.entry(stream)
    publisher.publish([first, event, second, first])
    service.run(topics=[first.topic, event.topic])
    assert sorted(service.taken()) == sorted([*rows(stream, 1, 3), (str(stream), 1)])
    kind = f"{publisher.namespace}.entries/{stream}"
    assert service.kept() == {str(stream): 1, kind: 3}


# ---------------------------------------------------------------- where to begin


def test_it_begins_at_a_position_whatever_was_committed(
    publisher: Publisher, service: Service
) -> None:
    """Every transaction leaves a hole in the offsets, and the search steps over it."""
    streams = [uuid4() for _ in range(4)]
    for _ in range(5):
        for stream in streams:
            publisher.publish([publisher.event(stream)])
    service.run()
    for position in (0, 1, 8, 20, 21):
        assert positions_from(service, position) == [*range(max(1, position), 21)]


def test_it_begins_at_an_instant(publisher: Publisher, service: Service) -> None:
    for stream in [uuid4() for _ in range(9)]:
        publisher.publish([publisher.event(stream)])
    instant = BEGINNING + timedelta(seconds=6)
    assert positions_from(service, instant) == [6, 7, 8, 9]
    assert positions_from(service, instant + timedelta(microseconds=1)) == [7, 8, 9]
    assert positions_from(service, instant + timedelta(days=1)) == []


def positions_from(service: Service, begin: int | datetime) -> list[int]:
    positions: list[int] = []
    service.subscriber().run(
        lambda event, _: positions.append(event.position), MemoryVersions(), begin=begin, once=True
    )
    return sorted(positions)


# ---------------------------------------------------------------- what cannot be handled


class Failing:
    """Fails at one version, so many times; its words repeat a personal value."""

    def __init__(self, version: int, times: int = 1_000_000) -> None:
        self.version = version
        self.times = times
        self.tried = 0

    def __call__(self, event: Event, connection: Connection) -> None:
        take(event, connection)
        if event.version == self.version and self.tried < self.times:
            self.tried += 1
            raise LookupError(f"nobody has the address {CANARY}")


def test_an_event_that_fails_goes_to_the_dead_letters(
    publisher: Publisher, service: Service
) -> None:
    """As it came, with the cause; its writes are taken back, and the others go on."""
    stream = uuid4()
    drafts = [publisher.event(stream) for _ in range(4)]
    publisher.publish(drafts)
    handle = Failing(version=3)
    service.run(handle, tries=3)
    assert handle.tried == 1 + 3  # in the batch, and then alone
    assert service.taken() == rows(stream, 1, 2, 4)
    assert service.kept() == {str(stream): 4}
    (letter,) = service.buried()
    assert (letter.key, letter.value) == (drafts[2].key, drafts[2].value)
    assert letter.headers.items() >= drafts[2].headers.items()
    about = {k[12:]: v for k, v in letter.headers.items() if k.startswith("dead-letter-")}
    assert abs(datetime.now(UTC) - datetime.fromisoformat(about.pop("at"))) < timedelta(minutes=5)
    partition, code = about.pop("partition"), about.pop("code")
    assert partition in {"0", "1", "2"}
    assert code.startswith("test_subscriber.py:")
    assert code.endswith("in __call__")
    assert about == {
        "group": service.group, "topic": publisher.topic, "offset": "2", "tries": "3",
        "cause": "LookupError",
    }  # fmt: skip


def test_a_dead_letter_repeats_no_words_of_the_handler(
    publisher: Publisher, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """They may hold a value that the handler had opened; nor does any log."""
    caplog.set_level(logging.DEBUG)
    publisher.publish([publisher.event(uuid4())])
    service.run(Failing(version=1), tries=1)
    (letter,) = service.buried()
    assert CANARY not in repr(letter)
    assert CANARY not in caplog.text


def test_a_service_may_let_its_words_into_dead_letters(
    publisher: Publisher, service: Service
) -> None:
    """It says which, and they are shortened."""
    publisher.publish([publisher.event(uuid4())])
    service.run(Failing(version=1), tries=1, words=lambda error: str(error)[:6] * 200)
    (letter,) = service.buried()
    assert letter.headers["dead-letter-message"] == ("nobody" * 200)[:500]


def test_an_event_that_passes_when_tried_again_is_no_dead_letter(
    publisher: Publisher, service: Service
) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream) for _ in range(3)])
    service.run(Failing(version=2, times=3), tries=3)
    assert service.taken() == rows(stream, 1, 2, 3)
    assert service.buried() == []


def test_without_dead_letters_it_halts(publisher: Publisher, service: Service) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream) for _ in range(3)])
    with pytest.raises(Undeliverable, match=r"LookupError .*offset 1\)") as halted:
        service.run(Failing(version=2), tries=2, dead_letters=None)
    assert CANARY not in str(halted.value)
    assert service.taken() == rows(stream, 1)
    assert service.committed() == 1
    service.run(dead_letters=None)
    assert service.taken() == rows(stream, 1, 2, 3)


def test_what_holds_no_event_goes_to_the_dead_letters_at_once(
    publisher: Publisher, service: Service
) -> None:
    """Each way of being none; the version counts as taken where it can be told."""
    stream = uuid4()
    good = [publisher.event(stream) for _ in range(9)]
    value = good[0].value or b""
    publisher.publish([
        good[0],
        replace(good[1], value=b"\1" + value[1:]),
        replace(good[2], value=value[:-3]),
        replace(good[3], value=value + b"\0"),
        replace(good[4], value=None),
        good[5].without("ce_id"),
        replace(good[6], headers={**good[6].headers, "ce_time": "yesterday"}),
        good[7],
        replace(good[8], headers={}),
        replace(good[8], key=None),
        good[8],
    ])  # fmt: skip
    service.run()
    assert service.taken() == rows(stream, 1, 8, 9)
    causes = [letter.headers["dead-letter-message"] for letter in service.buried()]
    assert sorted(causes) == sorted([
        "the value does not begin with a zero byte and the id of a schema",
        "the value does not fit the schema that it names",
        "the value goes on behind the event that it holds",
        "the value does not begin with a zero byte and the id of a schema",
        "the header ce_id is missing",
        "the header ce_time is not an instant",
        "the header ce_position is missing",
        "a key is missing",
    ])  # fmt: skip
    assert {letter.headers["dead-letter-tries"] for letter in service.buried()} == {"1"}


def test_dead_letters_are_kept_for_good(publisher: Publisher, service: Service) -> None:
    publisher.publish([publisher.event(uuid4())])
    service.run()
    admin = AdminClient({"bootstrap.servers": publisher.bootstrap_servers})
    asked = ConfigResource(ResourceType.TOPIC, service.dead_letters)
    (described,) = admin.describe_configs([asked]).values()
    settings = described.result(30)
    assert settings["retention.ms"].value == "-1"
    assert settings["cleanup.policy"].value == "delete"


def test_an_event_counts_as_taken_once_its_dead_letter_is_acknowledged(
    own_broker: KafkaBroker, registry: AnyRegistry, namespace: str, database: TestDatabase
) -> None:
    """The broker dies before it takes the letter: until it has it, nothing counts as taken."""
    publisher = Publisher(own_broker.bootstrap_servers, registry.url, namespace)
    service = Service(publisher, database)
    stream = uuid4()
    publisher.publish([publisher.event(stream)])

    killed = Signal()

    def handle(_event: Event, _connection: Connection) -> None:
        if not killed.is_set():
            own_broker.kill()
            killed.set()
        raise LookupError

    with logged("not acknowledged") as seen, running(service, handle, tries=1):
        assert seen.wait(60)
        assert (service.taken(), service.kept()) == ([], {})
        own_broker.start()
    assert service.kept() == {str(stream): 1}
    assert {letter.headers["ce_subject"] for letter in service.buried()} == {str(stream)}


def test_a_dead_letter_that_is_not_taken_halts(publisher: Publisher, service: Service) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream), publisher.event(stream)])
    publisher.make(service.dead_letters, 1, **{"max.message.bytes": "100"})
    with pytest.raises(Undeliverable, match="takes no dead letter"):
        service.run(Failing(1))
    assert (service.taken(), service.kept(), service.committed()) == ([], {}, 0)


@contextmanager
def running(service: Service, handle: Take, **chosen: Any) -> Iterator[None]:
    """Runs beside, to the end of what is there."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            service.run(handle, **chosen)
        except BaseException as fault:  # noqa: BLE001  told in the other thread
            faults.append(fault)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
    assert not thread.is_alive()
    assert faults == []


@contextmanager
def logged(words: str) -> Iterator[Signal]:
    """Tells when the subscriber logs some words."""
    seen = Signal()

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                seen.set()

    watching = Watching()
    logger = logging.getLogger("handlers.subscriber")
    logger.addHandler(watching)
    try:
        yield seen
    finally:
        logger.removeHandler(watching)


# ---------------------------------------------------------------- what is away


def test_a_database_that_is_away_is_waited_for(
    publisher: Publisher, service: Service, database: TestDatabase
) -> None:
    """However often, and with no dead letter."""
    stream = uuid4()
    publisher.publish([publisher.event(stream) for _ in range(50)])
    begun, gone = Signal(), Signal()

    def handle(event: Event, connection: Connection) -> None:
        take(event, connection)
        if event.version == 30 and not begun.is_set():
            begun.set()
            gone.wait(60)

    with logged("waiting: psycopg.") as waiting, running(service, handle, tries=1):
        assert begun.wait(60)
        with away(database):
            gone.set()
            assert waiting.wait(60)
    assert service.taken() == rows(stream, *range(1, 51))
    assert service.buried() == []


def test_what_is_named_an_outage_counts_as_no_try(publisher: Publisher, service: Service) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream) for _ in range(2)])
    service.run(Failing(version=1, times=9), tries=1, outages=(LookupError,))
    assert service.taken() == rows(stream, 1, 2)
    assert service.buried() == []


def test_it_can_be_stopped_while_it_waits(publisher: Publisher, service: Service) -> None:
    publisher.publish([publisher.event(uuid4())])
    subscriber = service.subscriber(outages=(LookupError,))
    with logged("waiting: LookupError") as waiting, service.versions() as versions:
        thread = Thread(target=subscriber.run, args=(Failing(1), versions))
        thread.start()
        assert waiting.wait(60)
        subscriber.stop()
        thread.join(60)
    assert not thread.is_alive()
    assert (service.taken(), service.committed()) == ([], 0)


def test_a_registry_that_is_away_is_waited_for(publisher: Publisher, service: Service) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream)])
    with answering([503, 503, 429, 307], publisher.registry_url) as address:
        service.run(schemas=Registry(address))
    assert service.taken() == rows(stream, 1)


def test_a_schema_that_the_registry_does_not_know_halts(
    publisher: Publisher, service: Service
) -> None:
    draft = publisher.event(uuid4())
    publisher.publish([replace(draft, value=b"\0\x7f\xff\xff\xf0" + (draft.value or b"")[5:])])
    with pytest.raises(SchemaUnknown, match="does not know the schema 2147483632"):
        service.run()
    assert service.taken() == []
    assert service.committed() == 0


@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_registry_that_does_not_let_us_read_halts(
    publisher: Publisher, service: Service, status: int
) -> None:
    """Nor does what answers otherwise than a registry does."""
    publisher.publish([publisher.event(uuid4())])
    with answering([status], "") as address, pytest.raises(RegistryRefuses) as halted:
        service.run(schemas=Registry(address.replace("//", "//reader:secret@")))
    assert "secret" not in str(halted.value)


def test_a_registry_has_an_address() -> None:
    with pytest.raises(ValueError, match="http"):
        Registry("127.0.0.1:8081")


@contextmanager
def answering(statuses: list[int], elsewhere: str) -> Iterator[str]:
    """A registry that answers with these statuses in turn; the last one sends on to another."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            self.send_response(status)
            self.send_header("Location", f"{elsewhere}{self.path}")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_broker_that_is_away_is_waited_for_as_long_as_told(service: Service) -> None:
    with logged("no Kafka broker answers") as waiting, pytest.raises(BrokerAway, match=r"0\.5 s"):
        service.run(bootstrap_servers="127.0.0.1:1", start_timeout_seconds=0.5)
    assert waiting.is_set()


def test_a_topic_that_is_not_there_is_told(service: Service) -> None:
    with pytest.raises(TopicMissing, match=service.publisher.topic):
        service.run()


# ---------------------------------------------------------------- several instances


def test_two_instances_share_the_work_and_take_each_event_once(
    publisher: Publisher, service: Service
) -> None:
    """The second comes in the middle; partitions move, and every event is written once."""
    streams = [uuid4() for _ in range(30)]
    publisher.publish([publisher.event(stream) for _ in range(40) for stream in streams])
    total, lock = 30 * 40, Lock()
    counts = [0, 0]
    midway, joined = Signal(), Signal()
    instances: list[Subscriber] = []

    def worker(number: int) -> None:
        def handle(event: Event, connection: Connection) -> None:
            take(event, connection)
            with lock:
                counts[number] += 1
            if number == 1:
                joined.set()
            elif counts[0] > 300:
                midway.set()

        with service.versions() as versions:
            instances[number].run(handle, versions)

    instances += [service.subscriber(batch=20) for _ in range(2)]
    threads = [Thread(target=worker, args=(number,)) for number in range(2)]
    threads[0].start()
    assert midway.wait(60)
    threads[1].start()
    # More keeps coming until the second has partitions too; then a last one for each stream.
    while not joined.wait(0.05):
        publisher.publish([publisher.event(stream) for stream in streams])
        total += len(streams)
    last = [publisher.event(stream) for stream in streams]
    publisher.publish(last)
    until_taken(service, total + len(last))
    for instance in instances:
        instance.stop()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    number = int(last[0].headers["ce_streamversion"])
    expected = [row for stream in streams for row in rows(stream, *range(1, number + 1))]
    assert service.taken() == sorted(expected)
    assert min(counts) > 0


def until_taken(service: Service, total: int) -> None:
    """Waits until the table holds so many."""
    row: tuple[Any, ...] | None = None
    with psycopg.connect(service.address, autocommit=True) as connection:
        for _ in range(1000):
            row = connection.execute(
                "SELECT count(*), pg_sleep(0.05) FROM service.taken"
            ).fetchone()
            if row is not None and row[0] >= total:
                return
    raise AssertionError(f"not everything was taken: {row} of {total}")


@pytest.mark.parametrize("known", [True, False])
def test_an_instance_sees_what_another_is_just_taking(service: Service, known: bool) -> None:
    """Also one that has lost its partitions and does not know: the second waits for the first."""
    first, second = service.versions(), service.versions()
    first.prepare()
    second.prepare()
    if known:
        with first.transaction() as transaction:
            transaction.kept({"s"})
            transaction.keep({"s": 4})
    seen: list[Mapping[str, Kept]] = []

    def see() -> None:
        with second.transaction() as transaction:
            seen.append(transaction.kept({"s"}))

    other = Thread(target=see)
    with first.transaction() as transaction:
        assert transaction.kept({"s"}) == ({"s": Kept(4)} if known else {})
        other.start()
        until_waiting(service)
        transaction.keep({"s": 5})
    other.join(60)
    assert seen == [{"s": Kept(5)}]
    first.close()
    second.close()


def until_waiting(service: Service) -> None:
    """Waits until one waits for the lock of another."""
    asked = "SELECT count(*), pg_sleep(0.02) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(service.address, autocommit=True) as connection:
        for _ in range(1000):
            row = connection.execute(asked).fetchone()
            if row is not None and row[0]:
                return
    raise AssertionError("nobody waits")


def test_memory_does_not_mistake_the_work_of_others_for_a_gap() -> None:
    """After partitions moved, what was taken is dropped still, and the next may be any."""
    versions = MemoryVersions()
    with versions.transaction() as transaction:
        transaction.keep({"s": 4})
    with versions.transaction() as transaction:
        assert transaction.kept({"s", "t"}) == {"s": Kept(4)}
    versions.reassigned()
    with versions.transaction() as transaction:
        assert transaction.kept({"s"}) == {"s": Kept(4, is_last=False)}


def test_memory_keeps_nothing_of_what_failed() -> None:
    versions = MemoryVersions()
    with suppress(LookupError), versions.transaction() as transaction:
        transaction.keep({"s": 4})
        raise LookupError
    with versions.transaction() as transaction:
        assert transaction.kept({"s"}) == {}


# ---------------------------------------------------------------- rehearsal


def test_a_rehearsal_tells_whether_it_may_go_live(publisher: Publisher, service: Service) -> None:
    """Over all of history, whatever fails; and nothing of it is left in Kafka."""
    good, missing, failing = sorted([uuid4(), uuid4(), uuid4()], key=str)
    events = [publisher.event(good) for _ in range(4)]
    publisher.publish([
        *events, events[0],
        publisher.event(missing, 1), publisher.event(missing, 3), publisher.event(missing, 4),
        *(publisher.event(failing, number) for number in range(100, 108)),
    ])  # fmt: skip

    def handle(event: Event, connection: Connection) -> None:
        take(event, connection)
        if event.stream == str(failing):
            raise KeyError(CANARY)

    advanced: list[int] = []
    with service.versions() as versions:
        told = service.subscriber().rehearse(handle, versions, progress=advanced.append)
    assert not told.may_go_live
    assert (told.events, told.dropped, advanced[-1]) == (16, 1, 16)
    ((cause, failure),) = told.failures.items()
    assert cause.startswith("KeyError at test_subscriber.py:")
    assert (failure.events, len(failure.first)) == (8, 5)
    (gap,) = told.gaps
    assert (gap.stream, gap.expected, gap.got) == (str(missing), 2, 3)
    assert told.seconds > 0
    assert service.taken() == sorted([*rows(good, 1, 2, 3, 4), *rows(missing, 1, 3, 4)])
    assert service.committed() == 0
    assert service.dead_letters not in topics_of(publisher.bootstrap_servers)


def test_a_rehearsal_without_faults_may_go_live(publisher: Publisher, service: Service) -> None:
    """And the real run then takes everything: what was rehearsed counts for nothing."""
    stream = uuid4()
    publisher.publish([publisher.event(stream) for _ in range(3)])
    told = service.subscriber().rehearse(lambda _event, _store: None, MemoryVersions())
    assert (told.may_go_live, told.events, told.failures, told.gaps) == (True, 3, {}, [])
    service.run()
    assert service.taken() == rows(stream, 1, 2, 3)


# ---------------------------------------------------------------- taken by a service

SERVICE = """
import importlib.util
import sys

assert not any(map(importlib.util.find_spec, ("domain", "projections", "schemas", "handlers")))

from taken import MemoryVersions, Registry, Subscriber

bootstrap_servers, registry, topic = sys.argv[1:]
subscriber = Subscriber(
    bootstrap_servers=bootstrap_servers, schemas=Registry(registry), group=topic, topics=[topic]
)
subscriber.run(
    lambda event, _: print(event.stream, event.version), MemoryVersions(), once=True
)
assert "psycopg" not in sys.modules
from taken.postgres import PostgresVersions
"""


def test_a_service_takes_the_folder_and_nothing_else_of_acta(
    publisher: Publisher, tmp_path: Path
) -> None:
    """It runs where nothing of Acta can be imported, and without psycopg where none is used."""
    publisher.publish([publisher.event(stream := uuid4()), publisher.event(stream)])
    shutil.copytree(Path(handlers.subscriber.__file__).parent, tmp_path / "taken")
    (tmp_path / "service.py").write_text(SERVICE, encoding="utf-8")
    # -S: without the site module nobody reads the file by which Acta is installed.
    ran = subprocess.run(
        [sys.executable, "-S", "service.py", publisher.bootstrap_servers, publisher.registry_url,
         publisher.topic],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.split()) == (0, [str(stream), "1", str(stream), "2"]), (
        ran.stderr
    )
