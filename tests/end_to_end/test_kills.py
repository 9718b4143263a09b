"""``acta apply`` killed again and again ends where an undisturbed run ends.

Nothing is lost, nothing happens twice, and nothing is half-applied: neither in the log, nor in the
receipts, nor in the read models. A normal run kills a few times; ``make soak`` fifty times.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from handlers.cli.apply import LineReport, Outcome, apply_lines
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.embedded import default_home
from tests.conftest import TestDatabase
from tests.end_to_end.killable_apply import BATCH_EVENTS
from tests.end_to_end.log_comparison import compare_logs, compare_receipts, read_log
from tests.end_to_end.workload import Workload, make_workload
from tests.projections.contents import contents, rebuild

ROOT = Path(__file__).resolve().parents[2]
POINTS = ("before append", "after commit", "after batch")
BETWEEN = "any moment"
STARTING = "while starting"


@dataclass(frozen=True, slots=True)
class Kill:
    """When a run is killed.

    Attributes:
        moment: a named point, or when the parent kills.
        times: how often a named point is reached, the last time included.
        seconds: how long the parent waits.
    """

    moment: str
    times: int = 1
    seconds: float = 0.0


def kills(number: int, commands: int, random: Random) -> list[Kill]:
    """So many kills, each point among them, that together do not come to the end of the file."""
    commands_each = max(2, commands // number)
    batches_each = max(2, commands_each // BATCH_EVENTS)
    moments = [*POINTS, BETWEEN, STARTING]
    chosen = [moments[place % len(moments)] for place in range(number)]
    random.shuffle(chosen)
    return [
        Kill(
            moment,
            times=random.randint(1, batches_each if moment == "after batch" else commands_each),
            seconds=random.uniform(0, 0.3),
        )
        for moment in chosen
    ]


def run(file: Path, environment: Mapping[str, str], kill: Kill | None = None) -> bool:
    """Applies a file in a process of its own; tells whether that was killed."""
    arguments = [sys.executable, "-m", "tests.end_to_end.killable_apply", str(file)]
    if kill is not None and kill.moment in POINTS:
        arguments += ["--kill-at", kill.moment, "--times", str(kill.times)]
    with subprocess.Popen(
        arguments, cwd=ROOT, env={**_environment(), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        if kill is not None and kill.moment not in POINTS:
            _kill_from_outside(process, kill)
        _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def _kill_from_outside(process: subprocess.Popen[str], kill: Kill) -> None:
    assert process.stdout is not None
    if kill.moment == BETWEEN:
        assert process.stdout.readline() == "open\n"
        process.stdout.readline()
    with suppress(subprocess.TimeoutExpired):
        process.wait(kill.seconds)
    process.kill()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}


def run_killed(file: Path, environment: Mapping[str, str], planned: Sequence[Kill]) -> Counter[str]:
    """Applies a file again and again, killed each time, and then to its end; counts the kills."""
    counted = Counter[str]()
    for kill in planned:
        if run(file, environment, kill):
            counted[kill.moment] += 1
    assert not run(file, environment)
    return counted


def report(title: str, counted: Counter[str]) -> None:
    """Prints how many kills there were, by moment."""
    told = ", ".join(f"{count} {moment}" for moment, count in sorted(counted.items()))
    print(f"{title}: {counted.total()} kills: {told}")


def apply_undisturbed(acta: Acta, lines: Sequence[str]) -> list[LineReport]:
    """What becomes of each line where nobody disturbs."""
    reports: list[LineReport] = []
    apply_lines(acta, [line.encode() for line in lines], report=reports.append)
    return reports


def written(workload: Workload, path: Path) -> Path:
    """The workload as a file."""
    path.write_text("".join(f"{line}\n" for line in workload.lines), encoding="utf-8")
    return path


def assert_same_end(killed: Acta, undisturbed: Acta, workload: Workload) -> None:
    """Log, receipts and read models are those of a run that nobody disturbed."""
    ids = [UUID(json.loads(line)["id"]) for line in workload.lines]
    assert compare_logs(read_log(undisturbed), read_log(killed)) == []
    assert compare_receipts(undisturbed, killed, ids) == []
    assert len(killed.ledger.known(ids)) == len(ids)
    projected = contents(killed)
    rebuild(killed)
    assert contents(killed) == projected


def assert_refusals_stay(killed: Acta, workload: Workload, refused_before: Sequence[int]) -> None:
    """Asked again they are refused as before; those whose cause was mended pass under new ids."""
    head = killed.store.head()
    again = apply_undisturbed(killed, workload.lines)
    refused = [told.line for told in again if told.outcome is Outcome.REFUSED_BEFORE]
    assert refused == list(refused_before)
    assert {told.outcome for told in again} == {Outcome.ALREADY_APPLIED, Outcome.REFUSED_BEFORE}
    assert killed.store.head() == head
    mended = apply_undisturbed(killed, workload.mended_with_new_ids(seed=1))
    assert [told.outcome for told in mended] == [Outcome.APPLIED] * len(workload.mended)


def kill_and_compare(
    database: TestDatabase, other: Acta, folder: Path, *, commands: int, number: int, seed: int
) -> None:
    """The whole of it, for so many commands and kills."""
    workload = make_workload(commands, seed)
    reports = apply_undisturbed(other, workload.lines)
    refused = [told.line for told in reports if told.outcome is Outcome.REFUSED]
    assert len(refused) >= commands // 10
    assert len(workload.mended) == commands // 100
    file = written(workload, folder / "commands.jsonl")
    environment = {"ACTA_DATABASE_URL": database.application, "ACTA_KEYS": str(database.keys)}
    counted = run_killed(file, environment, kills(number, commands, Random(seed)))
    report(f"{commands} commands, {len(refused)} refused, seed {seed}", counted)
    assert counted.total() == number
    assert all(counted[moment] for moment in (*POINTS, BETWEEN, STARTING))
    with open_ledger(database.settings()) as killed:
        assert_same_end(killed, other, workload)
        assert_refusals_stay(killed, workload, refused)


def test_a_few_kills_change_nothing(
    database: TestDatabase, other_acta: Acta, tmp_path: Path
) -> None:
    """500 commands, killed at each named point, while starting and in between."""
    kill_and_compare(database, other_acta, tmp_path, commands=500, number=5, seed=7)


@pytest.mark.soak
def test_fifty_kills_change_nothing(
    database: TestDatabase, other_acta: Acta, tmp_path: Path
) -> None:
    """5,000 commands, of which 50 would be accepted at the end, and 50 kills."""
    seed = int(os.environ.get("ACTA_SOAK_SEED", "7"))
    kill_and_compare(database, other_acta, tmp_path, commands=5000, number=50, seed=seed)


# ---------------------------------------------------------------- embedded


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the test's own that an embedded server can reach."""
    folder = default_home().with_name(f"{default_home().name}-tests-{secrets.token_hex(4)}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_killed_beside_its_own_database(home: Path, other_acta: Acta, tmp_path: Path) -> None:
    """The only user of an embedded database is killed; the next one finds all that was said."""
    workload = make_workload(60, seed=7)
    apply_undisturbed(other_acta, workload.lines)
    file = written(workload, tmp_path / "commands.jsonl")
    planned = [Kill(STARTING, seconds=0.9), *(Kill(point, times=3) for point in POINTS)]
    counted = run_killed(file, {"ACTA_HOME": str(home)}, planned)
    report("embedded", counted)
    assert counted == Counter([kill.moment for kill in planned])
    with open_ledger(Settings.model_validate({"home": home})) as killed:
        assert_same_end(killed, other_acta, workload)
