"""A terminal: runs ``acta`` as somebody would, in this process or in one of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from handlers.cli import main
from handlers.composition import open_ledger
from handlers.store.embedded import EmbeddedServer
from tests.conftest import TestDatabase, new_database

ACTA = Path(sys.executable).with_name("acta")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer, which is one JSON value alone."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The answer, a JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def said(self) -> str:
        """Everything, with its lines run together."""
        return " ".join((self.out + self.err).split())


class Terminal:
    """Runs ``acta`` with the settings of a test's own database."""

    def __init__(self, capsys: pytest.CaptureFixture[str], environment: dict[str, str]) -> None:
        self._capsys = capsys
        self._environment = environment

    def __call__(self, *arguments: object) -> Ended:
        """Runs a command in this process."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        """Starts a command in a process of its own."""
        return subprocess.Popen(
            [ACTA, *(str(argument) for argument in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self._environment},
            text=True,
        )

    def run(self, *arguments: object) -> Ended:
        """Runs a command in a process of its own."""
        with self.start(*arguments) as process:
            out, err = process.communicate()
        return Ended(process.returncode, out, err)


@pytest.fixture
def terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database: TestDatabase
) -> Terminal:
    """A terminal whose settings name the test's own database."""
    return terminal_on(database, capsys, monkeypatch)


@pytest.fixture(scope="session")
def shared_database(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDatabase]:
    """A database for tests that do not mind what others leave there; its read models are made."""
    with new_database(server, tmp_path_factory.mktemp("shared") / "keys") as database:
        with open_ledger(database.settings()) as acta:
            acta.projector.catch_up()
        yield database


@pytest.fixture
def shared_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    shared_database: TestDatabase,
) -> Terminal:
    """A terminal whose settings name the shared database."""
    return terminal_on(shared_database, capsys, monkeypatch)


def terminal_on(
    database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """A terminal whose settings name a database."""
    environment = {
        "ACTA_DATABASE_URL": database.application,
        "ACTA_ADMINISTRATOR_URL": database.administrator,
        "ACTA_KEYS": str(database.keys),
        "ACTA_CONNECT_TIMEOUT_SECONDS": "2",
        "COLUMNS": "120",
    }
    monkeypatch.delenv("ACTA_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Terminal(capsys, environment)
