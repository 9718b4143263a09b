"""A little service with a table of its own; it kills itself where it is told to.

Takes what is there and ends. Prints a line when it has begun, and one for each batch.
"""

import argparse
import os
import signal
from collections.abc import Sequence
from typing import Any

import psycopg

from handlers.subscriber import Event, Registry, Subscriber
from handlers.subscriber.event import Record
from handlers.subscriber.feed import Feed
from handlers.subscriber.postgres import PostgresVersions
from handlers.subscriber.work import Work

HANDLING = "in the handler"
COMMITTED = "after database commit before offset commit"
POLLED = "between poll and handler"
BATCH_EVENTS = 50
TABLE = """
    CREATE TABLE IF NOT EXISTS revenue (
        stream text PRIMARY KEY, payments bigint NOT NULL, amount_minor bigint NOT NULL,
        versions text NOT NULL
    )
"""
ADD = """
    INSERT INTO revenue VALUES (%(stream)s, 1, %(amount)s, %(version)s)
    ON CONFLICT (stream) DO UPDATE SET
        payments = revenue.payments + 1, amount_minor = revenue.amount_minor + %(amount)s,
        versions = revenue.versions || ' ' || %(version)s
"""


class Killer:
    """Kills its own process when a moment is reached for the n-th time."""

    def __init__(self, moment: str | None, times: int) -> None:
        self._moment = moment
        self._left = times

    def reached(self, moment: str) -> None:
        """Perhaps the last thing that happens."""
        if moment != self._moment:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(killer: Killer) -> None:
    """Has the killer told of the moments that lie between those that a handler sees."""
    take, commit = Work._take, Feed.commit

    def taking(self: Work[Any], records: Sequence[Record]) -> None:
        print("batch", flush=True)
        killer.reached(POLLED)
        take(self, records)

    def committing(self: Feed) -> None:
        killer.reached(COMMITTED)
        commit(self)

    Work._take = taking  # type: ignore[method-assign]
    Feed.commit = committing  # type: ignore[method-assign]


def main() -> None:
    """Subscribes, or dies."""
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap_servers", "registry", "topic", "group", "database"):
        arguments.add_argument(name)
    arguments.add_argument("--kill-at", default=None)
    arguments.add_argument("--times", type=int, default=1)
    chosen = arguments.parse_args()
    killer = Killer(chosen.kill_at, chosen.times)

    def handle(event: Event, connection: psycopg.Connection[Any]) -> None:
        told = {
            "stream": event.stream,
            "amount": event.values["amount_minor"],
            "version": str(event.version),
        }
        connection.execute(ADD, told)
        killer.reached(HANDLING)

    watch(killer)
    subscriber = Subscriber(
        bootstrap_servers=chosen.bootstrap_servers,
        schemas=Registry(chosen.registry),
        group=chosen.group,
        topics=[chosen.topic],
        batch=BATCH_EVENTS,
        # Under one name it takes the place of the one that was killed, and waits for no timeout.
        properties={"group.instance.id": "the only one", "log_level": 0},
    )
    with psycopg.connect(chosen.database) as connection:
        connection.execute(TABLE)
    print("begun", flush=True)
    with PostgresVersions(chosen.database, "revenue") as versions:
        subscriber.run(handle, versions, once=True)


if __name__ == "__main__":
    main()
