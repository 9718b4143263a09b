"""Being alone with streams: of several processes one at a time, whatever is killed."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Signal
from typing import cast
from uuid import UUID

from psycopg import Connection
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random,
)

from handlers.store.arrays import Uuids
from handlers.store.database import Database, reachable

__all__ = ["Alone", "alone_with"]

LOOK_SECONDS = 0.1
"""How long at most it waits before it looks again whether others are done."""

_TAKE = (
    "SELECT stream FROM unnest(%b::uuid[]) AS stream"
    " WHERE pg_try_advisory_lock(1633907815, hashtext(stream::text))"
)
_RELEASE = "SELECT pg_advisory_unlock_all()"
_NOTICE_WHO_IS_GONE = (
    # Else a machine that lost its power would hold them for two hours.
    "SELECT set_config('tcp_keepalives_idle', '20', false),"
    " set_config('tcp_keepalives_interval', '10', false),"
    " set_config('tcp_keepalives_count', '3', false)"
)


@dataclass(frozen=True, slots=True)
class Alone:
    """Streams with which nobody else is alone meanwhile.

    Attributes:
        streams: they.
    """

    streams: frozenset[UUID]
    _connection: Connection

    def still(self) -> None:
        """Sees that it still is so: they are held as long as their connection lives.

        Raises:
            DatabaseUnavailable: it was lost, and somebody else may have been there since.
        """
        with reachable():
            self._connection.execute("SELECT 1")


@contextmanager
def alone_with(
    database: Database, streams: Iterable[UUID], *, patience_seconds: float, stopped: Signal
) -> Generator[Alone]:
    """Has others who want to be alone with these streams wait until the end of this.

    Others may append to them all the while. Who is killed waits for nobody and holds nothing.

    Args:
        database: the processes share it.
        streams: any ids.
        patience_seconds: how long to wait for streams with which somebody else is alone; then it
            goes on without them.
        stopped: ends the waiting.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    with reachable(), database.connection() as connection:
        try:
            connection.execute(_NOTICE_WHO_IS_GONE)
            yield Alone(_taken(connection, set(streams), patience_seconds, stopped), connection)
        finally:
            if not connection.broken:
                connection.execute(_RELEASE)


def _taken(
    connection: Connection, wanted: set[UUID], patience_seconds: float, stopped: Signal
) -> frozenset[UUID]:
    """All of them at once, for whoever holds some while it waits may keep another from the rest."""

    def take() -> frozenset[UUID]:
        rows = connection.cursor(binary=True).execute(_TAKE, (Uuids(wanted),)).fetchall()
        return frozenset(stream for (stream,) in rows)

    def release(_: RetryCallState) -> None:
        connection.execute(_RELEASE)

    attempts = Retrying(
        retry=retry_if_result(lambda taken: len(taken) < len(wanted)),
        stop=stop_after_delay(patience_seconds) | stop_when_event_set(stopped),
        wait=wait_random(0, LOOK_SECONDS),
        sleep=sleep_using_event(stopped),
        before_sleep=release,
    )
    try:
        return attempts(take)
    except RetryError as given_up:
        return cast("frozenset[UUID]", given_up.last_attempt.result())
