"""Waits for what is away."""

from collections.abc import Callable
from random import uniform
from threading import Event as Signal
from time import monotonic

from handlers.faults import BrokerUnavailable, DatabaseUnavailable, Fault, RegistryUnavailable

__all__ = ["Outage", "Patience"]

Outage = (BrokerUnavailable, DatabaseUnavailable, RegistryUnavailable)
"""What waiting can mend, but for DatabaseVersion, a DatabaseUnavailable that it cannot."""

TOLD_AFTER_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.1
PAUSE_SECONDS_MAX = 5.0


class Patience:
    """Waits longer each time, tells once of each outage that lasts, and may come to an end.

    Args:
        seconds: how long an outage is waited for.
        stopped: ends every wait.
        waiting: told of each outage, once.
    """

    def __init__(self, seconds: float, stopped: Signal, waiting: Callable[[Fault], None]) -> None:
        self._seconds = seconds
        self._stopped = stopped
        self._waiting = waiting
        self._told: type[Fault] | None = None
        self._since: float | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def wait(self, fault: Fault) -> None:
        """Waits before it is tried again.

        Raises:
            Fault: the given one; it has lasted too long.
        """
        if self._since is None:
            self._since = monotonic()
        lasted_seconds = monotonic() - self._since
        # What is mended sooner is no outage: topics just made, or brokers that change places.
        if lasted_seconds >= TOLD_AFTER_SECONDS and self._told is not type(fault):
            self._told = type(fault)
            self._waiting(fault)
        if lasted_seconds >= self._seconds:
            raise fault
        # By chance, so that two who fence each other do not do so forever.
        self._stopped.wait(uniform(self._pause_seconds / 2, self._pause_seconds))  # noqa: S311
        self._pause_seconds = min(2 * self._pause_seconds, PAUSE_SECONDS_MAX)

    def is_over(self) -> None:
        """It works again."""
        self._told = None
        self._since = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
