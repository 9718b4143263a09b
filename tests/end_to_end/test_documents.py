"""What the documents show is what happens: their commands are run, their output is compared."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from handlers.composition import Acta
from handlers.settings import Settings
from handlers.store.embedded import EmbeddedServer, default_home
from tests.conftest import TestDatabase
from tests.handlers.stories import ANA, PRICE_MINOR, Story
from tests.services.sources import AnyBroker, AnyRegistry

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
OPERATIONS = PROJECT / "docs" / "operations.md"
SUBSCRIBING = PROJECT / "docs" / "subscribing.md"
ACTA = Path(sys.executable).parent

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"export (\w+)=(\S+)")
CHANGES_FROM_RUN_TO_RUN = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b(person|system|account_manager) [0-9a-f]{8}\b"), r"\1 <id>"),
    (re.compile(r"\d+ KiB"), "<size>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( +buyer data)"), r"<recorded>\1"),
    (re.compile(r" +"), " "),
    (re.compile(r"─+"), "─"),
)


@dataclass
class Shown:
    """A command in a document, and what it prints there."""

    command: str
    output: list[str] = field(default_factory=list[str])


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    text = document.read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def shown_commands(document: Path) -> Iterator[Shown]:
    """Commands in console blocks, each with the lines below it."""
    for block in blocks(document, "console"):
        shown: Shown | None = None
        for line in block.splitlines():
            if line.startswith("$ "):
                if shown:
                    yield shown
                shown = Shown(line.removeprefix("$ "))
            elif shown:
                shown.output.append(line)
        if shown:
            yield shown


def settled(line: str) -> str:
    """A line without what changes from run to run."""
    for pattern, replacement in CHANGES_FROM_RUN_TO_RUN:
        line = pattern.sub(replacement, line)
    return line.strip()


def differs(shown: Sequence[str], printed: Sequence[str]) -> str | None:
    """Where the output differs from what is shown; ``…`` stands for what was left out.

    Alone on a line it stands for any lines, at the end of one for the rest of it.
    """
    rest = [settled(line) for line in printed]
    anywhere = False
    for expected in map(settled, shown):
        if expected == "…":
            anywhere = True
            continue
        matching = (place for place, line in enumerate(rest) if _matches(expected, line))
        place = next(matching, None)
        if place is None or (place > 0 and not anywhere):
            return expected
        rest, anywhere = rest[place + 1 :], False
    return None if anywhere or not rest else f"(the end, before: {rest[0]})"


def _matches(expected: str, line: str) -> bool:
    if expected.endswith("…"):
        return line.startswith(expected.removesuffix("…").rstrip())
    return line == expected


def test_a_difference_from_what_is_shown_is_seen() -> None:
    assert differs(["a", "…", "c"], ["a", "b", "c"]) is None
    assert differs(["a b…"], ["a b c"]) is None
    assert differs(["a", "c"], ["a", "b", "c"]) == "c"
    assert differs(["a"], ["a", "b"]) == "(the end, before: b)"
    assert differs(["a", "…"], ["b"]) == "a"


def environment(home: Path) -> dict[str, str]:
    """As a reader's, with a ledger of the test's own and ``acta`` on the path."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}
    path = os.pathsep.join([str(ACTA), os.environ["PATH"]])
    return {**others, "ACTA_HOME": str(home), "PATH": path, "COLUMNS": "110"}


@pytest.fixture
def home(state_folder: Path) -> Iterator[Path]:
    """A fresh home, whose server runs while the documents are followed."""
    folder = state_folder / "documents"
    with EmbeddedServer.start(folder):
        yield folder
    shutil.rmtree(folder)


@pytest.fixture
def kafka(broker: AnyBroker, namespace: str) -> dict[str, str]:
    """Settings of a cluster in which the namespace is the test's own."""
    return {
        "ACTA_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "ACTA_KAFKA_NAMESPACE": namespace,
    }


def follow(document: Path, surroundings: dict[str, str], folder: Path) -> None:
    """Runs a document's commands, one after another, and compares what they print.

    They run beside the examples, in a folder to which they may write. The documents speak of the
    namespace that holds when nobody sets another. A command with ``&`` behind it goes on meanwhile,
    and what it exports is set for those that follow.
    """
    namespace = surroundings.get("ACTA_KAFKA_NAMESPACE", "acta")
    (folder / "examples").symlink_to(PROJECT / "examples")
    with ExitStack() as services:
        for shown in shown_commands(document):
            program, *arguments = shlex.split(shown.command)
            if arguments[-1:] == ["&"]:
                command = [str(ACTA / program), *arguments[:-1]]
                service = running(command, len(shown.output), surroundings, folder)
                lines = services.enter_context(service)
                surroundings = surroundings | exported(lines)
            else:
                ran = subprocess.run(
                    [ACTA / program, *arguments], cwd=folder, env=surroundings, check=False,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )  # fmt: skip
                lines = ran.stdout.replace(f'"{namespace}.', '"acta.').splitlines()
            assert differs(shown.output, lines) is None, "\n".join(lines)


@contextmanager
def running(
    command: Sequence[str], lines: int, surroundings: dict[str, str], folder: Path
) -> Iterator[list[str]]:
    """The first lines of a command that goes on meanwhile, and ends well when it is told to."""
    with subprocess.Popen(
        command, cwd=folder, env=surroundings,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield [process.stdout.readline().rstrip("\n") for _ in range(lines)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def exported(lines: Sequence[str]) -> dict[str, str]:
    """The settings that were printed for others."""
    return {match[1]: match[2] for line in lines if (match := EXPORT.fullmatch(line))}


def test_readme_shows_what_happens(home: Path, kafka: dict[str, str], tmp_path: Path) -> None:
    """Its commands, its Python and its SQL are one story, on a fresh ledger."""
    follow(README, environment(home) | kafka, tmp_path)
    for program in blocks(README, "python"):
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=PROJECT, env=environment(home), check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout
        assert "known from position" in ran.stdout
    with (
        EmbeddedServer.start(home) as running,
        psycopg.connect(running.addresses.administrator) as connection,
    ):
        connection.execute("SET ROLE acta_analyst")
        paid, invited = (
            connection.execute(query.encode()).fetchall() for query in blocks(README, "sql")
        )
    assert {month.month for month, *_ in paid} == set(range(1, 13))
    assert {institution for institution, *_ in invited} == {
        "Colegio Los Aromos", "Instituto del Sur",
    }  # fmt: skip
    assert (tmp_path / "people.xlsx").exists()


def test_subscribing_shows_what_happens(
    acta: Acta, database: TestDatabase, kafka: dict[str, str], registry: AnyRegistry, tmp_path: Path
) -> None:
    """Its command, its service, and its door to a personal value, on the life of one person."""
    Story(acta).subscriber(ANA)
    surroundings = {
        **environment(tmp_path), **kafka, "ACTA_SCHEMA_REGISTRY_URL": registry.url,
        "ACTA_DATABASE_URL": database.application, "ACTA_KEYS": str(database.keys),
    }  # fmt: skip
    subprocess.run([ACTA / "acta", "relay", "--once"], env=surroundings, check=True)
    follow(SUBSCRIBING, surroundings, tmp_path)
    assert _received(database, kafka, registry.url, tmp_path) == PRICE_MINOR
    assert _opened(acta, surroundings) == ANA


def _received(
    database: TestDatabase, kafka: dict[str, str], registry_url: str, folder: Path
) -> int:
    """What the service of the document sums up, with the folder that it takes."""
    service = blocks(SUBSCRIBING, "python")[0]
    for shown, actual in (
        ("127.0.0.1:9092", kafka["ACTA_KAFKA_BOOTSTRAP_SERVERS"]),
        ("http://127.0.0.1:8081", registry_url),
        ("acta.subscription.events", f"{kafka['ACTA_KAFKA_NAMESPACE']}.subscription.events"),
        ("postgresql://…", database.administrator),
        ("run(handle, versions)", "run(handle, versions, once=True)"),
    ):
        assert shown in service
        service = service.replace(shown, actual)
    shutil.copytree(PROJECT / "handlers" / "subscriber", folder / "service" / "subscriber")
    with psycopg.connect(database.administrator, autocommit=True) as connection:
        connection.execute("CREATE TABLE revenue (subscription text, amount_minor bigint)")
        subprocess.run([sys.executable, "-c", service], cwd=folder / "service", check=True)
        row = connection.execute("SELECT sum(amount_minor)::bigint FROM revenue").fetchone()
    assert row is not None
    return int(row[0])


def _opened(acta: Acta, surroundings: dict[str, str]) -> str:
    """What ``acta open`` gives, asked as the document shows."""
    command = next(block for block in blocks(SUBSCRIBING, "sh") if "acta open" in block)
    program, subcommand, _event, *rest = shlex.split(command.replace("\\\n", ""))
    with acta.database.connection() as connection:
        row = connection.execute(
            "SELECT event_id FROM ledger.events WHERE topic LIKE 'account.UserRegistered.%'"
        ).fetchone()
    assert row is not None
    ran = subprocess.run(
        [ACTA / program, subcommand, str(row[0]), *rest], env=surroundings, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return str(json.loads(ran.stdout)["values"][0]["value"])


def test_operations_show_what_happens(server: EmbeddedServer, tmp_path: Path) -> None:
    """Its commands on a server of one's own, and its SQL as the administrator."""
    name = "acta_operations"
    with psycopg.connect(server.addresses.administrator, autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}".encode())
        addresses = {
            "ACTA_ADMINISTRATOR_URL": make_conninfo(server.addresses.administrator, dbname=name),
            "ACTA_DATABASE_URL": make_conninfo(server.addresses.application, dbname=name),
            "ACTA_KEYS": str(tmp_path / "keys"),
        }
        follow(OPERATIONS, {**environment(tmp_path), **addresses}, tmp_path)
        with administrator.transaction(force_rollback=True):
            for statement in blocks(OPERATIONS, "sql"):
                administrator.execute(statement.encode())
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_the_demo_ends_well_and_can_be_run_again() -> None:
    """``make demo`` runs this program; what README shows of it is what it prints."""
    play_demo()
    shown = next(block for block in blocks(README, "text") if "make demo" in block)
    printed = play_demo()
    assert differs(shown.splitlines()[1:], printed) is None, printed
    demo_home = str(default_home() / "demo")
    assert [each.pid for each in psutil.process_iter() if demo_home in _command(each)] == []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended just now
        return ""


def play_demo() -> list[str]:
    """The lines that the demo prints."""
    ran = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=PROJECT, check=False,
        env={**os.environ, "COLUMNS": "110"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    return ran.stdout.splitlines()


def test_operations_name_every_setting() -> None:
    """The table of settings is whole."""
    text = OPERATIONS.read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"`ACTA_{name.upper()}`" not in text] == []
