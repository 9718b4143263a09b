"""Kafka Connect in one process, on the files of the examples."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from tests.services.java_process import JavaProcess
from tests.services.tools import provision

TIMEOUT_SECONDS = 90
STANDALONE = "org.apache.kafka.connect.cli.ConnectStandalone"


class ConnectWorker:
    """A worker that runs."""

    def __init__(self, process: JavaProcess) -> None:
        self._process = process
        self._deadline = monotonic() + TIMEOUT_SECONDS

    def wait_a_moment(self) -> None:
        """Waits until the next look at what it wrote is due.

        Raises:
            Unavailable: it ended, or it takes too long.
        """
        self._process.wait_a_moment(self._deadline)


@contextmanager
def worker(
    files: Sequence[Path], *, environment: Mapping[str, str], folder: Path
) -> Iterator[ConnectWorker]:
    """A worker on files of properties, that of the worker first.

    Raises:
        Unavailable: it cannot be fetched.
    """
    process = JavaProcess(
        ["-cp", f"{provision.connect()}/libraries/*", STANDALONE, *map(str, files)],
        log=folder / "connect.log",
        environment={**provision.surroundings(), **environment},
    )
    try:
        yield ConnectWorker(process)
    finally:
        process.stop()
