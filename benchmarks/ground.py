"""Where it is measured: one embedded server, with databases of ours and of the stock parts."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from psycopg import sql
from psycopg.conninfo import make_conninfo

from handlers.settings import Settings
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer, default_home
from handlers.store.migrations import migrate
from tests.services.sources import any_broker

__all__ = ["Ground", "ground"]


@dataclass(frozen=True)
class Ground:
    """A server with fsync on, stopped and removed after the run.

    Attributes:
        bootstrap_servers: of the Kafka brokers; none: one is started when it is asked for.
    """

    server: EmbeddedServer
    folder: Path
    bootstrap_servers: str | None = None

    @contextmanager
    def acta(self) -> Iterator[Settings]:
        """A fresh database of ours, by the settings that open it."""
        with self._database("acta") as name:
            with connect(make_conninfo(self.server.addresses.administrator, dbname=name)) as owner:
                migrate(owner)
            address = make_conninfo(self.server.addresses.application, dbname=name)
            yield Settings.model_validate(
                {"database_url": address, "keys": self.folder / f"keys-{name}"}
            )

    @contextmanager
    def stock(self) -> Iterator[str]:
        """The address of an empty database for the parts of eventsourcing, which make tables."""
        with self._database("stock") as name:
            yield make_conninfo(self.server.addresses.administrator, dbname=name)

    @contextmanager
    def kafka(self) -> Iterator[str]:
        """The address of Kafka brokers, as the tests find or start them.

        Raises:
            Unavailable: none can be started here.
        """
        if self.bootstrap_servers is not None:
            yield self.bootstrap_servers
            return
        with any_broker(self.folder / "kafka") as broker:
            yield broker.bootstrap_servers

    @contextmanager
    def _database(self, kind: str) -> Iterator[str]:
        name = f"{kind}_{uuid4().hex}"
        with connect(self.server.addresses.administrator) as administrator:
            administrator.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield name
            administrator.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def ground() -> Iterator[Ground]:
    """Starts a server in a folder of its own, and leaves nothing behind."""
    home = default_home()
    folder = home.with_name(f"{home.name}-benchmarks-{secrets.token_hex(4)}")
    folder.mkdir(parents=True)
    try:
        with EmbeddedServer.start(folder / "server") as server:
            yield Ground(server, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
