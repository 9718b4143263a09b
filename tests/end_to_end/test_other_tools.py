"""Other people's tools do the same job: each event, and the money received by account."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Timer
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import Producer
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from domain.money import Currency
from domain.subscription import DeclinePayment, DeclineReason
from handlers.composition import open_ledger, open_relay
from handlers.store.embedded import EmbeddedServer
from schemas.topics import entries_topic, events_topic
from tests.conftest import TestDatabase, cannot_start, new_database
from tests.end_to_end.streams import schema_server
from tests.end_to_end.test_documents import shown_commands
from tests.handlers.stories import BRUNO, PRICE_MINOR, SYSTEM, Member, Story, noon
from tests.services.artifacts import Unavailable, java
from tests.services.java_process import free_port
from tests.services.sources import AnyBroker, AnyRegistry
from tests.services.tools import connect, provision
from tests.services.tools.door import door
from tests.services.topics import Record, create_topic, read_all

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs" / "other-tools.md"
EXAMPLES = PROJECT / "examples" / "subscribers"
PARTITIONS = 6
APICURIO = "/apis/ccompat/"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Relayed:
    """A small log in Kafka.

    Attributes:
        received: the money of each account, in minor units.
        events: position and type of each event of a subscription.
    """

    bootstrap_servers: str
    registry_url: str
    namespace: str
    received: dict[str, int]
    events: set[tuple[str, str]]
    entries: list[Record]

    def fitted(self, text: str) -> str:
        """A text of the examples or the document, with what is this test's in its place."""
        return (
            text.replace("acta.subscription", f"{self.namespace}.subscription")
            .replace("acta.entries", f"{self.namespace}.entries")
            .replace("localhost:9092", self.bootstrap_servers)
            .replace("http://localhost:18081", self.registry_url)
        )

    def environment(self) -> dict[str, str]:
        """What the programs among the examples take from the environment."""
        return {
            **provision.surroundings(),
            "ACTA_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "ACTA_KAFKA_NAMESPACE": self.namespace,
            "ACTA_SCHEMA_REGISTRY_URL": self.registry_url,
        }


# ---------------------------------------------------------------- the log


@pytest.fixture(scope="module")
def told(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestDatabase, dict[str, int]]]:
    """A ledger in which money came in, and was declined; and what came in by account."""
    with (
        new_database(server, tmp_path_factory.mktemp("told") / "keys") as database,
        open_ledger(database.settings()) as acta,
    ):
        story = Story(acta)
        ana, bruno = story.subscriber(), story.subscriber(BRUNO, months=3)
        decline(story, ana)
        story.pay(ana, at=noon(2026, 2, 28))
        carla = story.about_to_pay("carla@example.com")
        decline(story, carla)
        received = {ana: 2 * PRICE_MINOR, bruno: 3 * PRICE_MINOR, carla: 0}
        yield database, {str(member.account): minor for member, minor in received.items()}


@pytest.fixture(scope="module")
def by_registry(
    told: tuple[TestDatabase, dict[str, int]], broker: AnyBroker, registry: AnyRegistry
) -> Relayed:
    """The log in Kafka, its schemas in a registry."""
    database, received = told
    return relay(database, received, broker, registry.url, in_registry=True)


@pytest.fixture(scope="module")
def by_lock_file(told: tuple[TestDatabase, dict[str, int]], broker: AnyBroker) -> Iterator[Relayed]:
    """The log in Kafka without a registry; ``acta schemas serve`` serves the schemas."""
    database, received = told
    with schema_server("acta") as url:
        yield relay(database, received, broker, url, in_registry=False)


def relay(
    database: TestDatabase,
    received: dict[str, int],
    broker: AnyBroker,
    registry_url: str,
    *,
    in_registry: bool,
) -> Relayed:
    """Carries the log to a namespace of its own, and reads it back."""
    namespace = f"t{uuid4().hex}"
    settings = database.settings().model_copy(
        update={
            "kafka_bootstrap_servers": broker.bootstrap_servers,
            "kafka_namespace": namespace,
            "schema_registry_url": SecretStr(registry_url) if in_registry else None,
        }
    )
    with open_relay(settings) as opened:
        opened.catch_up()
    events = read_all(broker.bootstrap_servers, events_topic(namespace, "subscription"))
    return Relayed(
        broker.bootstrap_servers,
        registry_url,
        namespace,
        received,
        {(event.headers["ce_position"], event.headers["ce_type"]) for event in events},
        read_all(broker.bootstrap_servers, entries_topic(namespace)),
    )


def decline(story: Story, member: Member) -> None:
    """A charge is declined, a month after the beginning."""
    story.ask(
        DeclinePayment(
            at=noon(2026, 2, 28),
            account=member.who,
            payment=uuid4(),
            amount_minor=PRICE_MINOR,
            currency=Currency.CLP,
            reason=DeclineReason.CARD_EXPIRED,
        ),
        SYSTEM,
    )


def again(relayed: Relayed) -> Relayed:
    """The same log, as an at-least-once reader may get it: entries come twice.

    The last record of each partition does not: who has it has all before it.
    """
    namespace = f"t{uuid4().hex}"
    producer = Producer({"bootstrap.servers": relayed.bootstrap_servers})
    events = read_all(relayed.bootstrap_servers, events_topic(relayed.namespace, "subscription"))
    lasts = {entry.partition: entry.offset for entry in relayed.entries}
    for topic in (events_topic(namespace, "subscription"), entries_topic(namespace)):
        create_topic(relayed.bootstrap_servers, topic, PARTITIONS)
    for record in [*events, *relayed.entries]:
        is_entry = record in relayed.entries
        topic = entries_topic(namespace) if is_entry else events_topic(namespace, "subscription")
        times = 2 if is_entry and record.offset < lasts[record.partition] else 1
        for _ in range(times):
            producer.produce(
                topic,
                record.value,
                record.key,
                record.partition,
                headers=[(name, value.encode()) for name, value in record.headers.items()],
            )
    assert producer.flush(PATIENCE_SECONDS) == 0
    return replace(relayed, namespace=namespace)


# ---------------------------------------------------------------- running what is shown


def command(part: str) -> list[str]:
    """The arguments of the command in the document that has this part."""
    (shown,) = (each.command for each in shown_commands(DOCUMENT) if part in each.command)
    return shlex.split(shown)


def available(tool: str, provided: Callable[[], Path]) -> Path:
    """What was fetched; skips where it cannot be had, and fails under CI."""
    try:
        return provided()
    except Unavailable as why:
        cannot_start(tool, str(why))
        raise


@contextmanager
def lines_of(
    arguments: Sequence[str], environment: dict[str, str], folder: Path
) -> Iterator[Iterator[str]]:
    """What a program prints while it runs; afterwards it is asked to end, and does so well."""
    errors = folder / "errors.log"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        guard = Timer(PATIENCE_SECONDS, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            yield process.stdout
            process.terminate()
            process.stdout.read()
            assert process.wait() == 0, errors.read_text()[-2000:]
        finally:
            guard.cancel()
            process.kill()


@pytest.mark.parametrize("program", ["quix_streams.py", "faststream_app.py"])
@pytest.mark.parametrize("log", ["by_registry", "by_lock_file"])
def test_a_framework_adds_each_entry_once(
    program: str, log: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Quix Streams and FastStream see every event, and drop entries that come again."""
    python = available("The Python of other tools", provision.python)
    relayed = again(request.getfixturevalue(log))
    name, script = command(program)
    assert name == "python"
    wanted = len(relayed.events) + len(relayed.entries)
    with lines_of([str(python), str(PROJECT / script)], relayed.environment(), tmp_path) as printed:
        ours = (line for line in printed if line.startswith(("event ", "received ")))
        lines = [line.split(maxsplit=3) for line in islice(ours, wanted)]
    assert {(said[1], said[2]) for said in lines if said[0] == "event"} == relayed.events, (
        tmp_path / "errors.log"
    ).read_text()[-2000:]
    totals = [said for said in lines if said[0] == "received"]
    assert len(totals) == len(relayed.entries)
    assert {account: int(minor) for _, account, minor, _ in totals} == relayed.received


def test_kcat_shows_keys_and_headers(by_lock_file: Relayed) -> None:
    """Debian's kcat knows no Avro, but everything that headers tell."""
    try:
        program = provision.kcat()
    except Unavailable as why:
        pytest.skip(f"kcat cannot be had here, and nothing else needs it: {why}")
    script, topic = command("kcat.sh")
    surroundings = by_lock_file.environment() | program.environment
    surroundings["PATH"] = f"{Path(program.command[0]).parent}:{surroundings['PATH']}"
    ran = subprocess.run(
        [PROJECT / script, by_lock_file.fitted(topic)],
        env=surroundings, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    told = [re.findall(r"ce_(type|position)=([^,]+)", line) for line in ran.stdout.splitlines()]
    assert {(each["position"], each["type"]) for each in map(dict, told)} == by_lock_file.events
    assert all(len(line.split()) == 3 for line in ran.stdout.splitlines())


def test_connect_fills_a_table(
    by_registry: Relayed, server: EmbeddedServer, tmp_path: Path
) -> None:
    """A worker with the files of the example; an entry that comes again replaces itself."""
    if APICURIO not in by_registry.registry_url:
        pytest.skip("the converter that Maven's central repository has knows only Apicurio")
    folder = available("Kafka Connect", provision.connect)
    program, *names = command("connect-standalone")
    assert program == "connect-standalone.sh"
    twice = again(by_registry)
    warehouse = f"warehouse_{uuid4().hex}"
    secret = conninfo_to_dict(server.addresses.administrator)
    with (
        psycopg.connect(server.addresses.administrator, autocommit=True) as administrator,
        door(server.addresses.administrator) as port,
    ):
        administrator.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(warehouse)))
        files: list[Path] = []
        for name in names:
            text = twice.fitted((PROJECT / name).read_text(encoding="utf-8"))
            for example, ours in (
                ("http://localhost:8081", by_registry.registry_url.partition(APICURIO)[0]),
                ("http://localhost:8083", f"http://127.0.0.1:{free_port()}"),
                ("/usr/local/share/kafka/plugins", f"{folder}/plugins"),
                ("connect.offsets", str(tmp_path / "connect.offsets")),
                ("localhost:5432/warehouse", f"127.0.0.1:{port}/{warehouse}"),
                ("username=warehouse", f"username={secret['user']}"),
            ):
                text = text.replace(example, ours)
            files.append(tmp_path / Path(name).name)
            files[-1].write_text(text, encoding="utf-8")
        environment = {"WAREHOUSE_PASSWORD": str(secret["password"])}
        with (
            connect.worker(files, environment=environment, folder=tmp_path) as worker,
            psycopg.connect(
                make_conninfo(server.addresses.administrator, dbname=warehouse), autocommit=True
            ) as connection,
        ):
            while entries_in(connection) < len(twice.entries):
                worker.wait_a_moment()
            received = connection.execute(
                "SELECT account, sum(received_minor)::bigint FROM entries GROUP BY account"
            ).fetchall()
        administrator.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(warehouse))
        )
    assert dict(received) == twice.received


def entries_in(connection: psycopg.Connection) -> int:
    """How many rows the table has; none while there is none."""
    row = connection.execute("SELECT to_regclass('entries')").fetchone()
    if row is None or row[0] is None:
        return 0
    found = connection.execute("SELECT count(*) FROM entries").fetchone()
    return int(found[0]) if found else 0


@pytest.mark.soak  # 169 MB of jars
def test_flink_reads_both_tables(by_lock_file: Relayed, tmp_path: Path) -> None:
    """Its SQL sums up the flat topic, and sees each event by its headers."""
    libraries = available("Flink", provision.flink) / "libraries"
    files: list[str] = []
    for name in ("entries.sql", "events.sql"):
        program, option, shown = command(name)
        assert (program, option) == ("sql-client.sh", "-f")
        text = by_lock_file.fitted((PROJECT / shown).read_text(encoding="utf-8"))
        (tmp_path / name).write_text(text, encoding="utf-8")
        files.append(str(tmp_path / name))
    opened = [f"--add-opens=java.base/java.{part}=ALL-UNNAMED" for part in ("lang", "util", "time")]
    ran = subprocess.run(
        [
            *(java(), "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *opened),
            *("-cp", f"{libraries}/*", str(provision.HERE / "RunSql.java"), *files),
        ],
        cwd=tmp_path, env=provision.surroundings(), capture_output=True, text=True, check=False,
        timeout=2 * PATIENCE_SECONDS,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    rows = [row.split(", ") for row in re.findall(r"^\+I\[(.*)\]$", ran.stdout, re.MULTILINE)]
    totals = {row[0]: int(row[2]) for row in rows if len(row) == 3}
    events = {(row[0], row[1]) for row in rows if len(row) == 4}
    assert totals == by_lock_file.received
    assert events == by_lock_file.events


# ---------------------------------------------------------------- the document


def test_the_document_names_every_example() -> None:
    """Each file is linked, and each link leads to a file."""
    text = DOCUMENT.read_text(encoding="utf-8")
    linked = {
        (DOCUMENT.parent / target).resolve() for target in re.findall(r"\]\((?!http)([^)#]+)", text)
    }
    assert [path for path in linked if not path.exists()] == []
    files = {path for path in EXAMPLES.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files - linked == set()
