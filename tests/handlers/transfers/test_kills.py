"""An import of transfers that is killed again and again ends where an undisturbed one ends."""

import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from handlers.composition import Acta, open_ledger
from handlers.store.embedded import EmbeddedServer
from handlers.transfers.importer import StatementToImport, TransferImporter
from handlers.transfers.statement import read_statement
from tests.conftest import TestDatabase, new_database
from tests.end_to_end.test_kills import ROOT
from tests.handlers.stories import MANAGER, Story
from tests.handlers.transfers.killable_transfers import NOW, REPORTING
from tests.handlers.transfers.statements import Line, a_statement, captured, school

KILLS = [("before append", 5), ("after commit", 4), ("after commit", 7), (REPORTING, 1)]
PLANS = [UUID(int=number) for number in range(1, 7)]


def run(
    database: TestDatabase, statement: Path, report: Path, kill: tuple[str, int] | None = None
) -> int:
    """Imports in a process of its own; its exit status."""
    program = "tests.handlers.transfers.killable_transfers"
    told = [sys.executable, "-m", program, str(statement), str(report)]
    if kill is not None:
        told += ["--kill-at", kill[0], "--times", str(kill[1])]
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}
    named = {"ACTA_DATABASE_URL": database.application, "ACTA_KEYS": str(database.keys)}
    ended = subprocess.run(
        told, cwd=ROOT, env={**others, **named}, capture_output=True, text=True, check=False
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode


def the_lines() -> list[Line]:
    """Transfers of six schools, three each, and some that become no payment."""
    fitting = [Line(f"R{n}", f"plan:{PLANS[n % 6]}") for n in range(18)]
    return [
        *fitting,
        replace(fitting[0], amount="1", reference="X1"),
        Line("X2", "nobody"),
        replace(fitting[3]),
    ]


def paid(acta: Acta) -> list[tuple[object, ...]]:
    """What each school has paid for, by what the bank calls it."""
    return [
        (event.account, event.gateway_reference, event.period_from, event.occurred_at)
        for plan in PLANS
        for event in captured(acta.store.streams([plan])[plan])
    ]


@pytest.fixture
def other(server: EmbeddedServer, tmp_path: Path) -> Iterator[Acta]:
    with (
        new_database(server, tmp_path / "other-keys") as database,
        open_ledger(database.settings()) as acta,
    ):
        yield acta


@pytest.mark.rule("S6", "S9")
def test_kills_lose_and_repeat_nothing(database: TestDatabase, other: Acta, tmp_path: Path) -> None:
    """Killed before and after a commit, and before the report, which then tells of every line."""
    statement, report = a_statement(tmp_path, the_lines()), tmp_path / "report.csv"
    with open_ledger(database.settings()) as acta:
        for plan in PLANS:
            school(Story(acta), plan)
            school(Story(other), plan)
        assert [run(database, statement, report, kill) for kill in KILLS] == [-signal.SIGKILL] * 4
        assert not report.exists()
        assert run(database, statement, report) == 0
        wanted = StatementToImport(read_statement(statement), MANAGER, NOW)
        TransferImporter(other.ledger, other.store).run(wanted)
        assert paid(acta) == paid(other)
        assert len(paid(acta)) == 18
    with report.open(encoding="utf-8-sig", newline="") as lines:
        outcomes = Counter(line["outcome"] for line in csv.DictReader(lines))
    assert outcomes == {"already_recorded": 19, "underpaid": 1, "unmatched": 1}
