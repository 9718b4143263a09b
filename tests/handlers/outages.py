"""Takes the database away from the application, and gives it back."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.conftest import TestDatabase


@contextmanager
def beside(database: TestDatabase) -> Iterator[psycopg.Connection]:
    """An administrator's connection to the same server, and to another database."""
    address = make_conninfo(database.administrator, dbname="postgres")
    with psycopg.connect(address, autocommit=True) as administrator:
        yield administrator


def end_connections(administrator: psycopg.Connection, database: TestDatabase) -> int:
    """Has the server end every connection of the application; returns how many there were."""
    ended = administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = 'acta_application'",
        (database.name,),
    )
    return ended.rowcount


@contextmanager
def away(database: TestDatabase) -> Iterator[None]:
    """The database answers nobody for a while."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(database.name)
    with beside(database) as administrator:
        administrator.execute(allow.format(name, sql.SQL("false")))
        end_connections(administrator, database)
        try:
            yield
        finally:
            administrator.execute(allow.format(name, sql.SQL("true")))
