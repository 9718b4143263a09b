"""Versions in the service's own PostgreSQL: exactly once, whoever is killed and whenever."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, Self, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from .versions import Kept

__all__ = ["PostgresVersions"]

Connection: TypeAlias = psycopg.Connection[Any]

NOTHING = 0
"""Stands where a stream is seen for the first time; versions and positions begin at 1."""

MAKE = """
    CREATE TABLE {table} (
        subscriber text NOT NULL,
        stream text NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (subscriber, stream)
    )
"""
# In the order of the streams, so that two instances wait for each other and never in a circle.
SEE = """
    INSERT INTO {table} (subscriber, stream, version)
    SELECT %s, seen.stream, 0 FROM unnest(%s::text[]) AS seen (stream) ORDER BY seen.stream
    ON CONFLICT DO NOTHING
"""
LOCK = """
    SELECT stream, version FROM {table} WHERE subscriber = %s AND stream = ANY (%s)
    ORDER BY stream FOR UPDATE
"""
KEEP = """
    UPDATE {table} SET version = taken.version
    FROM unnest(%s::text[], %s::bigint[]) AS taken (stream, version)
    WHERE {table}.subscriber = %s AND {table}.stream = taken.stream
"""


class PostgresVersions:
    """Keeps versions in a table beside what the handler writes, in one transaction with it.

    Two instances never both handle an event: each locks the rows of the streams that it takes, and
    sees what the other kept. So also an instance that lost its partitions and does not know yet.

    Args:
        connect: address of the database, or what opens a connection to it.
        subscriber: under which name versions are kept; each subscriber of a database has its own.
        table: where; it is made where it is missing.
    """

    def __init__(
        self,
        connect: str | Callable[[], Connection],
        subscriber: str,
        *,
        table: str = "subscriber_versions",
    ) -> None:
        self._address = connect
        self._connection: Connection | None = None
        self._subscriber = subscriber
        self._table = table

    @property
    def outages(self) -> tuple[type[Exception], ...]:
        """Also a deadlock and its kin: the same transaction may pass when it is tried again."""
        return (psycopg.OperationalError,)

    def prepare(self) -> None:
        """Makes the table where it is missing; two instances may do so at once."""
        connection = self._open()
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._table,))
            found = connection.execute("SELECT 1 WHERE to_regclass(%s) IS NOT NULL", (self._table,))
            if not found.rowcount:
                connection.execute(_statement(MAKE, self._table))

    @contextmanager
    def transaction(self) -> "Generator[_PostgresTransaction]":
        """A transaction of the database; an exception within it takes everything back."""
        connection = self._open()
        with connection.transaction():
            yield _PostgresTransaction(connection, self._subscriber, self._table)

    def reassigned(self) -> None:
        """Nothing has to be forgotten: what is kept is read in each transaction."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; it is opened again when needed."""
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            address = self._address
            self._connection = psycopg.connect(address) if isinstance(address, str) else address()
        return self._connection


class _PostgresTransaction:
    def __init__(self, store: Connection, subscriber: str, table: str) -> None:
        self.store = store
        self._subscriber = subscriber
        self._table = table

    def kept(self, names: Collection[str]) -> Mapping[str, Kept]:
        asked = (self._subscriber, [*names])
        self.store.execute(_statement(SEE, self._table), asked)
        with self.store.cursor(row_factory=tuple_row) as cursor:
            rows = cursor.execute(_statement(LOCK, self._table), asked).fetchall()
        return {stream: Kept(version) for stream, version in rows if version != NOTHING}

    def keep(self, numbers: Mapping[str, int]) -> None:
        taken = ([*numbers], [*numbers.values()], self._subscriber)
        self.store.execute(_statement(KEEP, self._table), taken)


def _statement(text: LiteralString, table: str) -> sql.Composed:
    return sql.SQL(text).format(table=sql.Identifier(*table.split(".")))
