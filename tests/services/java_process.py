"""A Java server as a child that never outlives the tests, however they end."""

import random
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic
from typing import IO

from tests.services.artifacts import Unavailable, java

# Quick to start and small, rather than fast for hours.
OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# The shell becomes Java and so has its process id. Beside it a watcher reads a pipe that the tests
# hold open: when they end, even by SIGKILL, the read ends without a line, and Java is killed.
GUARDED = """
exec 3<&0
{ read -r _ <&3 || kill -9 $$; } &
exec "$@" 3<&- </dev/null
"""

# Below the ports that systems give to outgoing connections: those would take one while its server
# is down, or even connect to themselves.
PORTS = range(20_000, 30_000)


class JavaProcess:
    """One run of a Java program."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", GUARDED, "guarded", java(), *OPTIONS, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # what interrupts the tests lets them end it in order
            )

    @property
    def id(self) -> int:
        """The process id of Java."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_a_moment(self, deadline: float) -> None:
        """Waits until the next look whether it is ready is due.

        Raises:
            Unavailable: it has ended instead, or the deadline (monotonic) has passed.
        """
        try:
            self._process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            if monotonic() < deadline:
                return
            raise Unavailable(f"it was not ready in time; it said: {self.last_words()}") from None
        raise Unavailable(f"it ended at its start; it said: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:]

    def stop(self) -> None:
        """Ends it in order, or by force when that takes too long."""
        with suppress(Unavailable):
            self.terminate(timeout_seconds=30)
        self.kill()

    def terminate(self, *, timeout_seconds: float) -> None:
        """Ends it in order.

        Raises:
            Unavailable: that takes too long.
        """
        self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise Unavailable("it does not end in order") from None

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._dismiss_watcher()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, as SIGSTOP and SIGCONT."""
        self._process.send_signal(number)

    def _dismiss_watcher(self) -> None:
        pipe: IO[bytes] | None = self._process.stdin
        if pipe is not None and not pipe.closed:
            pipe.write(b"\n")
            pipe.close()


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    for _ in range(100):
        port = random.choice(PORTS)
        with closing(socket.socket()) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unavailable("no port is free")
