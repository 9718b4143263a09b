"""A schema registry of the tests' own, from jars: Confluent's API, kept in memory."""

import json
import os
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from urllib.request import Request, urlopen

from tests.services.artifacts import fetch
from tests.services.java_process import JavaProcess, free_port

START_TIMEOUT_SECONDS = 90


class Registry:
    """A registry that forgets everything when it ends.

    Attributes:
        url: its address, the same over all its runs.
    """

    def __init__(self, folder: Path) -> None:
        """Raises Unavailable when its jars cannot be had."""
        self.folder = folder
        self._jars = fetch("registry")
        self._port = free_port()
        self._process: JavaProcess | None = None
        self.url = f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Starts it, empty, and returns once it answers and holds contracts to compatibility.

        Raises:
            Unavailable: it does not come up; the message has the end of its log.
        """
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (program,) = self._jars.glob("*-runner.jar")
        self._process = JavaProcess(
            ["-jar", str(program)],
            log=self.folder / "registry.log",
            environment={
                **os.environ,
                "QUARKUS_HTTP_HOST": "127.0.0.1",
                "QUARKUS_HTTP_PORT": str(self._port),
            },
        )
        deadline = monotonic() + START_TIMEOUT_SECONDS
        try:
            while refusal_to_be_strict(self.url):
                self._process.wait_a_moment(deadline)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        if self._process is not None:
            self._process.kill()

    stop = kill
    """It keeps nothing that an orderly end would save."""


def refusal_to_be_strict(url: str) -> str | None:
    """Makes a registry demand full and transitive compatibility; what it says against that."""
    request = Request(  # noqa: S310  the address is one that the tests were given or made
        f"{url}/config",
        data=json.dumps({"compatibility": "FULL_TRANSITIVE"}).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        method="PUT",
    )
    try:
        urlopen(request, timeout=10).close()  # noqa: S310  for the same reason
    except (OSError, HTTPException) as error:
        return str(error)
    return None
