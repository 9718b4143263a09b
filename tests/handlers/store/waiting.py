"""Waiting for what there is nothing to block on, such as somebody else who waits."""

import threading
from collections.abc import Callable
from time import monotonic

from handlers.store.database import connect
from tests.conftest import TestDatabase

__all__ = ["TIMEOUT_SECONDS", "sessions_alone", "sessions_waiting", "wait_until"]

TIMEOUT_SECONDS = 120
"""After which something that should have come is given up."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns as soon as the condition holds."""
    until = monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert monotonic() < until, "it did not come"
        threading.Event().wait(0.002)


def sessions_waiting(database: TestDatabase) -> int:
    """How many sessions of Acta wait for a lock in this database."""
    with connect(database.administrator) as observer:
        return observer.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'acta' AND wait_event_type = 'Lock'"
        ).rowcount


def sessions_alone(database: TestDatabase) -> int:
    """How many sessions of Acta are alone with streams, or look again and again until they are."""
    with connect(database.administrator) as observer:
        return observer.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'acta'"
            " AND query ~ 'pg_(try_advisory_lock|advisory_unlock_all)'"
        ).rowcount
