"""What a relay counts: asked from other threads, too."""

from collections import deque
from threading import Lock
from time import monotonic

from handlers.streams.checkpoint import Checkpoint

__all__ = ["Tally"]

RATE_SECONDS = 10


class Tally:
    """Events and transactions of a run.

    Attributes:
        events: brought over.
        committed: transactions that succeeded.
        failed: those that did not, or whose outcome was unknown.
    """

    def __init__(self) -> None:
        self.events = 0
        self.committed = 0
        self.failed = 0
        self._began = monotonic()
        self._recent: deque[tuple[float, int]] = deque()
        self._lock = Lock()

    def count_commit(self, events: int) -> None:
        """A transaction succeeded."""
        with self._lock:
            self.committed += 1
            self.events += events
            self._recent.append((monotonic(), events))
            self._forget()

    def count_failure(self) -> None:
        """A transaction failed, or nobody knows."""
        with self._lock:
            self.failed += 1

    def adopt(self, said: Checkpoint) -> None:
        """What this run said itself was committed, be it that it never learned so."""
        with self._lock:
            self.events, self.committed = said.events, said.committed

    def per_second(self) -> float:
        """Events a second, lately."""
        with self._lock:
            self._forget()
            seconds = min(max(monotonic() - self._began, 1.0), RATE_SECONDS)
            return round(sum(events for _, events in self._recent) / seconds, 1)

    def _forget(self) -> None:
        horizon = monotonic() - RATE_SECONDS
        while self._recent and self._recent[0][0] < horizon:
            self._recent.popleft()
