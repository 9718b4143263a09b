"""A relay in a process of its own, which tells what it reaches, and dies or halts on the way."""

import ctypes
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Condition, Lock, Thread
from types import FrameType
from typing import Any, Literal

from handlers.composition import open_relay
from handlers.faults import Fault
from handlers.settings import Settings
from handlers.workers import relay
from handlers.workers.relay import RelayProgress
from tests.handlers.store.processes import CONTEXT

__all__ = ["BATCH", "HALTED", "POINTS", "Deed", "Plan", "RelayProcess", "end_with_parent"]

POINTS = ("fenced", "taken over", "read", "produced", "committed")
"""What the relay itself calls the points at which a crash would matter."""
BATCH = "batch"
CAUGHT_UP = "caught up"
HALTED = "halted"
WAITING = "waiting"
ENDED = "ended"
WITHOUT_FAULT = "no fault"
PATIENCE_SECONDS = 90
"""Far longer than anything takes here, a broker's return included."""

Deed = Literal["go on", "die", "halt"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a relay does at a point.

    Attributes:
        batch_events: how many events it carries in a transaction at most.
        deed: at the point, to die at once or to halt until it is told to go on.
        times: how often the point is reached, the last time included.
    """

    batch_events: int
    point: str = ""
    deed: Deed = "go on"
    times: int = 1


# ---------------------------------------------------------------- in its process


def carry(settings: Settings, plan: Plan, connection: "Connection[Any, Any]") -> None:
    """Carries the log until SIGTERM, another relay, or its plan ends it."""
    end_with_parent()
    relay.BATCH_EVENTS = plan.batch_events  # small ones, for more moments in the same log
    told = _Telling(plan, connection)
    fault = WITHOUT_FAULT
    with open_relay(
        settings,
        reached=told.reached,
        waiting=lambda fault: told.tell(WAITING, type(fault).__name__),
    ) as opened:

        def stop(_number: int, _frame: FrameType | None) -> None:
            Thread(target=opened.stop).start()

        signal.signal(signal.SIGTERM, stop)
        try:
            opened.follow(progress=told.progress)
        except Fault as raised:
            fault = type(raised).__name__
    told.tell(ENDED, fault)


def end_with_parent() -> None:
    """Lets the system kill this process, stopped or not, once the one that made it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class _Telling:
    """Tells the test what is reached, and does there what is planned."""

    def __init__(self, plan: Plan, connection: "Connection[Any, Any]") -> None:
        self._plan = plan
        self._left = plan.times
        self._connection = connection
        self._position = 0
        self._caught_up = False
        self._lock = Lock()

    def tell(self, what: str, detail: str | int = "") -> None:
        """Also told from the thread that reads ahead."""
        with self._lock:
            self._connection.send((what, detail))

    def reached(self, point: str) -> None:
        """Told by the relay."""
        if point == self._plan.point:
            self._left -= 1
            if self._left == 0 and self._plan.deed == "die":
                os.kill(os.getpid(), signal.SIGKILL)
        self.tell(point)
        if point == self._plan.point and self._left == 0 and self._plan.deed == "halt":
            self.tell(HALTED)
            self._connection.recv()

    def progress(self, progress: RelayProgress) -> None:
        """Told by the relay; that nothing is new is passed on once."""
        caught_up, self._position = progress.position == self._position, progress.position
        if not caught_up:
            self.tell(BATCH, progress.position)
        elif not self._caught_up:
            self.tell(CAUGHT_UP, progress.position)
        self._caught_up = caught_up


# ---------------------------------------------------------------- in the test


class RelayProcess:
    """A relay as the test sees it, from its start on; told when it has nothing left to carry.

    Attributes:
        name: what it is called where it disappoints.
        counts: how often it told each thing.
        position: up to which the log is in Kafka, as it told last.
        fault: what ended it; None until it has ended by itself.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        plan: Plan,
        *,
        caught_up: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self._caught_up = caught_up
        self.counts = Counter[str]()
        self.position = 0
        self.fault: str | None = None
        self._changed = Condition()
        self._gone = False
        self._connection, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=carry, args=(settings, plan, theirs))
        self._process.start()
        theirs.close()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def wait(self, what: str, times: int = 1) -> None:
        """Returns once it has told something so often since its start."""
        self._wait_for(lambda: self.counts[what] >= times, f"told {what!r} {times} times")

    def wait_for_more(self, what: str, times: int = 1) -> None:
        """Returns once it has told something so often from now on."""
        self.wait(what, self.counts[what] + times)

    def leave_alone(self, seconds: float) -> None:
        """Lets it work for so long, unless it ends."""
        self._process.join(seconds)

    def go_on(self) -> None:
        """Lets it go on from the point at which it halts."""
        self._connection.send("go on")

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP, SIGCONT, SIGTERM."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """From outside, at whatever moment it is in."""
        self._process.kill()
        self.killed()

    def killed(self) -> None:
        """Waits for its end by SIGKILL."""
        assert self._exit_code() == -signal.SIGKILL, self

    def ended(self) -> str:
        """Waits for its end by itself; the name of the fault that it ended with."""
        assert self._exit_code() == 0, self
        assert self.fault is not None, self
        return self.fault

    def stop(self) -> None:
        """Ends it in order."""
        self.signal(signal.SIGTERM)
        assert self.ended() == WITHOUT_FAULT, self

    def discard(self) -> None:
        """Ends it, whatever became of the test."""
        self._process.kill()
        self._process.join()
        self._listener.join()
        self._connection.close()
        self._process.close()

    def __str__(self) -> str:
        return f"{self.name} at {self.position}, ended with {self.fault}, told {self.counts}"

    def _exit_code(self) -> int | None:
        self._process.join(PATIENCE_SECONDS)
        self._listener.join(PATIENCE_SECONDS)
        return self._process.exitcode

    def _wait_for(self, met: Callable[[], bool], what: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: met() or self._gone, PATIENCE_SECONDS)
            assert met(), f"it never {what}: {self}"

    def _listen(self) -> None:
        # What a killed process was about to say ends in the middle.
        with suppress(EOFError, OSError):
            while True:
                what, detail = self._connection.recv()
                self._hear(what, detail)
                if what == CAUGHT_UP:
                    self._caught_up()
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _hear(self, what: str, detail: str | int) -> None:
        with self._changed:
            self.counts[what] += 1
            if isinstance(detail, int):
                self.position = detail
            elif what == ENDED:
                self.fault = detail
            self._changed.notify_all()
