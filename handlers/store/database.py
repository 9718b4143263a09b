"""The database as the application's role sees it: pooled connections, each in autocommit."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from time import monotonic

import psycopg
from psycopg import Connection, Cursor
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from handlers.faults import DatabaseUnavailable
from handlers.store.migrations import check_version

__all__ = ["Database", "PooledConnection", "connect", "reachable", "unavailable"]


IDLE_SECONDS = 1.0
"""A connection idle for longer is tried before it is used: the server may have restarted."""


class PooledConnection(Connection[TupleRow]):
    """A connection that knows when it was last of use."""

    used_at: float = 0.0

    @cached_property
    def reading(self) -> Cursor[TupleRow]:
        """For what is asked over and over: it keeps what it learnt of the types of an answer."""
        return self.cursor(binary=True)


class Database:
    """A pool of connections to one database.

    Args:
        address: libpq connection string, in the application's role.
        connect_timeout_seconds: how long to wait for an answer.
        connections_max: how many connections to hold at most.
    """

    def __init__(
        self, address: str, *, connect_timeout_seconds: int = 10, connections_max: int = 10
    ) -> None:
        with connect(address, timeout_seconds=connect_timeout_seconds) as connection:
            check_version(connection)
        self._timeout_seconds = connect_timeout_seconds
        self.address = make_conninfo(
            address, connect_timeout=connect_timeout_seconds, application_name="acta"
        )
        self._pool = ConnectionPool(
            self.address,
            min_size=0,
            max_size=connections_max,
            timeout=connect_timeout_seconds,
            connection_class=PooledConnection,
            kwargs={"autocommit": True},
            check=_try_if_idle,
            open=True,
        )

    @contextmanager
    def connection(self) -> Generator[PooledConnection]:
        """A connection in autocommit, back in the pool afterwards (or thrown away if broken).

        Raises:
            DatabaseUnavailable: no connection could be had.
        """
        try:
            connection = self._pool.getconn()
        except PoolTimeout:
            raise unavailable() from None
        try:
            yield connection
        finally:
            # Noted here, for the pool would have a thread of its own do so each time.
            connection.used_at = monotonic()
            self._pool.putconn(connection)

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """A connection within a transaction, committed at the end."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()


def connect(address: str, *, timeout_seconds: int = 10) -> Connection:
    """One connection in autocommit.

    Raises:
        DatabaseUnavailable: nothing answers, or not to these credentials.
    """
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=timeout_seconds)
    except psycopg.OperationalError as error:
        raise unavailable(reason=_without_address(error)) from None
    except psycopg.ProgrammingError:
        raise DatabaseUnavailable(
            "the address of the database cannot be read",
            remedy="Write it such as postgresql://acta_application:…@host:5432/acta",
        ) from None


def unavailable(reason: str = "it does not answer") -> DatabaseUnavailable:
    """The fault for a database that is not there."""
    return DatabaseUnavailable(
        f"the database cannot be reached: {reason}",
        remedy="Start it, or correct ACTA_DATABASE_URL; unset, the embedded database is used.",
    )


def _try_if_idle(connection: PooledConnection) -> None:
    if monotonic() - connection.used_at > IDLE_SECONDS:
        ConnectionPool.check_connection(connection)


@contextmanager
def reachable() -> Generator[None]:
    """Turns a lost database into a fault.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    try:
        yield
    # What takes no writes is a server that another took the place of.
    except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise unavailable(error.diag.message_primary or "the connection was lost") from error


def _without_address(error: psycopg.OperationalError) -> str:
    """The last line of what libpq said, which names no password."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else "it does not answer"
