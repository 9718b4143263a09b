"""Numbers without gaps: held from the decision to the commit of the event that bears one (S11).

Whoever decides holds the counter's lock in a transaction of their own, and appends in that very
transaction. Whatever else ends it (a refusal, a fault, a kill, the server's patience with an idle
one) takes no number, and lets the next one in.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import Connection

from handlers.store.database import Database

__all__ = ["Counters", "Numbering", "roll_back"]


@dataclass(frozen=True, slots=True)
class Numbering:
    """The next number of a counter, which nobody else gets meanwhile.

    Attributes:
        connection: has the transaction that holds the counter's lock.
    """

    counter: str
    number: int
    connection: Connection


class Counters:
    """Hands out numbers, one after the other.

    Args:
        database: in the application's role.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # One at a time within a process: those who wait would use up the connections that
        # whoever has the number needs for looking at the log.
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def numbering(self, counter: str) -> Generator[Numbering]:
        """The next number of a counter; it is taken if an append commits it, and else is free.

        Raises:
            DatabaseUnavailable: no connection could be had.
            psycopg.OperationalError: it was lost.
        """
        with self._one_at_a_time, self._database.connection() as connection:
            try:
                connection.execute("BEGIN")
                row = connection.execute("SELECT ledger.next_number(%s)", (counter,)).fetchone()
                assert row is not None  # noqa: S101  the function gives one row
                yield Numbering(counter, row[0], connection)
            finally:
                roll_back(connection)


def roll_back(connection: Connection) -> None:
    """Ends what has not been committed; a connection that was lost has ended by itself."""
    with suppress(psycopg.OperationalError):
        connection.rollback()
