"""Real services for tests: each worker has a PostgreSQL of its own, each test a fresh database."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import tests.hypothesis_profiles  # noqa: F401  importing it chooses the profile
from handlers.composition import Acta, open_ledger
from handlers.faults import Fault
from handlers.settings import Settings
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer, default_home
from handlers.store.migrations import migrate
from tests.services import sources
from tests.services.artifacts import Unavailable
from tests.services.kafka import KafkaBroker
from tests.services.sources import AnyBroker, AnyRegistry

Service = TypeVar("Service")

# Hundreds of processes import the same modules: the first one compiles them for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def cannot_start(what: str, why: str) -> None:
    """Skips loudly what this machine cannot start; under CI that is a failure."""
    message = f"{what} cannot start here: {why}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True)
class TestDatabase:
    """A migrated, empty database.

    Attributes:
        application: its address in the application's role.
        administrator: its address as superuser.
        keys: a folder for its key-encryption keys.
    """

    __test__ = False

    name: str
    application: str
    administrator: str
    keys: Path

    def settings(self) -> Settings:
        """Settings that name this database."""
        return Settings.model_validate({"database_url": self.application, "keys": self.keys})


@pytest.fixture(scope="session")
def state_folder() -> Iterator[Path]:
    """A folder that the embedded server can reach, also when the tests run as root."""
    folder = default_home().with_name(f"{default_home().name}-tests-{secrets.token_hex(4)}")
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(state_folder: Path) -> Iterator[EmbeddedServer]:
    """A real PostgreSQL with one migrated database to copy from."""
    try:
        server = EmbeddedServer.start(state_folder / "server")
    except Fault as fault:
        cannot_start("PostgreSQL", fault.message)
        raise
    with server:
        with connect(server.addresses.administrator) as administrator:
            # The tests kill processes, not the machine; what is on no disk yet outlives those.
            administrator.execute("ALTER SYSTEM SET fsync = off")
            administrator.execute("SELECT pg_reload_conf()")
            administrator.execute("CREATE DATABASE acta_template")
        template = make_conninfo(server.addresses.administrator, dbname="acta_template")
        with connect(template) as administrator:
            migrate(administrator)
        yield server


@contextmanager
def new_database(server: EmbeddedServer, keys: Path) -> Iterator[TestDatabase]:
    """A migrated, empty database, dropped afterwards whoever still uses it."""
    name = f"test_{uuid4().hex}"
    with connect(server.addresses.administrator) as administrator:
        administrator.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE acta_template STRATEGY FILE_COPY").format(
                sql.Identifier(name)
            )
        )
        yield TestDatabase(
            name=name,
            application=make_conninfo(server.addresses.application, dbname=name),
            administrator=make_conninfo(server.addresses.administrator, dbname=name),
            keys=keys,
        )
        administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(server: EmbeddedServer, tmp_path: Path) -> Iterator[TestDatabase]:
    """A database of the test's own."""
    with new_database(server, tmp_path / "keys") as database:
        yield database


@pytest.fixture
def acta(database: TestDatabase) -> Iterator[Acta]:
    """An open ledger on a database of the test's own."""
    with open_ledger(database.settings()) as opened:
        yield opened


@pytest.fixture(scope="session")
def broker(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[AnyBroker]:
    """A real Kafka that this worker's tests share, each in a namespace; not to be killed."""
    folder = tmp_path_factory.mktemp("kafka")
    with started("Kafka", sources.any_broker(folder), pytestconfig) as broker:
        yield broker


@pytest.fixture
def own_broker(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[KafkaBroker]:
    """A real Kafka of the test's own, to be killed and started again."""
    with started("Kafka", sources.own_broker(tmp_path / "kafka"), pytestconfig) as broker:
        yield broker


@pytest.fixture(scope="session")
def registry(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[AnyRegistry]:
    """A real schema registry that this worker's tests share; FULL_TRANSITIVE."""
    folder = tmp_path_factory.mktemp("registry")
    with started("A schema registry", sources.any_registry(folder), pytestconfig) as registry:
        yield registry


@pytest.fixture
def namespace() -> str:
    """A Kafka namespace of the test's own; its topics may stay."""
    return f"t{uuid4().hex}"


@contextmanager
def started(
    what: str, service: AbstractContextManager[Service], config: pytest.Config
) -> Iterator[Service]:
    """A service while it runs; skips or fails where it cannot start."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        try:
            # What is being fetched, for a minute or more, is said at once.
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                running = stack.enter_context(service)
        except Unavailable as why:
            cannot_start(what, str(why))
            raise
        yield running
