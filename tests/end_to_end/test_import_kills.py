"""A list whose import is killed again and again ends where an undisturbed import ends (I5).

Every person is invited once, none is lost, and the report is the same, byte for byte. A normal run
kills a few times; ``make soak`` imports 10,000 rows and kills 20 times.
"""

import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
from stdnum.cl.rut import calc_check_digit

from domain.event import Recorded
from domain.invitation import InvitationSent
from domain.invitation_import import InvitationImportCompleted, InvitationImportStarted
from domain.personal import Sealed
from handlers.composition import Acta, open_ledger
from handlers.imports.importer import Importer
from handlers.imports.report import write_report
from tests.conftest import TestDatabase
from tests.end_to_end.killable_import import REPORTING, STRETCH_ROWS
from tests.end_to_end.log_comparison import recorded_log
from tests.end_to_end.test_kills import BETWEEN, ROOT, STARTING, Kill
from tests.handlers.imports.lists import Line, a_list, person, to_import
from tests.handlers.stories import BEGINNING, Plan, Story

STRETCHES = ("before append", "after commit")
POINTS = (*STRETCHES, REPORTING)
ROWS_FOR_EACH_FAULT = 34


class People:
    """A list of which three rows in a hundred become no invitation.

    Attributes:
        lines: its rows.
        ruts: of everybody who is to be invited.
        registered: e-mails of people on it who have accounts of their own.
    """

    def __init__(self, rows: int, random: Random) -> None:
        numbers = random.sample(range(5_000_000, 25_000_000), rows)
        self.lines: list[Line] = []
        self.ruts: set[str] = set()
        self.registered: list[str] = []
        faults = [self._bad_rut, self._bad_email, self._doubled, self._registered, self._no_role]
        for row, number in enumerate(numbers):
            line = person(f"p{row}@example.cl", rut=_rut(number))
            if row % ROWS_FOR_EACH_FAULT == ROWS_FOR_EACH_FAULT - 1:
                self.lines.append(faults[row // ROWS_FOR_EACH_FAULT % len(faults)](line))
            else:
                self.lines.append(line)
                self.ruts.add(line[3])

    def _bad_rut(self, line: Line) -> Line:
        return person(line[4], rut=f"{line[3][:-1]}{'1' if line[3][-1] != '1' else '2'}")

    def _bad_email(self, line: Line) -> Line:
        return person("nobody at example.cl", rut=line[3])

    def _doubled(self, line: Line) -> Line:
        return person(self.lines[len(self.lines) // 2 - 1][4].upper(), rut=line[3])

    def _registered(self, line: Line) -> Line:
        self.registered.append(line[4])
        return line

    def _no_role(self, line: Line) -> Line:
        return person(line[4], rut=line[3], role="jefa")


def _rut(number: int) -> str:
    return f"{number}-{calc_check_digit(str(number))}"


# ---------------------------------------------------------------- killing


def kills(number: int, stretches: int, random: Random) -> list[Kill]:
    """So many kills that together do not come to the end; then one before the report."""
    moments = [*STRETCHES, BETWEEN, STARTING]
    chosen = [moments[place % len(moments)] for place in range(number - 1)]
    random.shuffle(chosen)
    planned = [
        Kill(moment, random.randint(1, max(2, stretches // number)), random.uniform(0, 0.3))
        for moment in chosen
    ]
    return [*planned, Kill(REPORTING)]


def run(
    arguments: Sequence[object], environment: Mapping[str, str], kill: Kill | None = None
) -> bool:
    """Imports in a process of its own; tells whether that was killed."""
    told = [sys.executable, "-m", "tests.end_to_end.killable_import", *map(str, arguments)]
    if kill is not None and kill.moment in POINTS:
        told += ["--kill-at", kill.moment, "--times", str(kill.times)]
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}
    with subprocess.Popen(
        told, cwd=ROOT, env={**others, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        if kill is not None and kill.moment not in POINTS:
            assert process.stdout is not None
            if kill.moment == BETWEEN:
                assert process.stdout.readline() == "open\n"
            with suppress(subprocess.TimeoutExpired):
                process.wait(kill.seconds)
            process.kill()
        _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


# ---------------------------------------------------------------- comparing


def sent_by_list(acta: Acta) -> list[Recorded]:
    """Every invitation that came with an import."""
    return [
        recorded
        for recorded in recorded_log(acta)
        if isinstance(recorded.event, InvitationSent) and recorded.event.row is not None
    ]


def opened_ruts(acta: Acta, sent: Sequence[Recorded]) -> Counter[str | None]:
    """How often each person is invited."""
    sealed: list[tuple[Sealed, UUID, str]] = []
    for recorded in sent:
        assert isinstance(recorded.event, InvitationSent)
        assert isinstance(recorded.event.rut, Sealed)
        sealed.append((recorded.event.rut, recorded.event_id, "rut"))
    return Counter(acta.vault.open_many(sealed))


def report_by_row(report: Path, sent: Sequence[Recorded]) -> bytes:
    """The report, with rows in place of invitations: their ids rest on the vault's secret."""
    text = report.read_bytes()
    with report.open(encoding="utf-8-sig", newline="") as lines:
        told = {line["row"]: line["invitation"] for line in csv.DictReader(lines)}
    events = [recorded.event for recorded in sent if isinstance(recorded.event, InvitationSent)]
    assert {str(event.row): str(event.invitation) for event in events} == {
        row: invitation for row, invitation in told.items() if invitation
    }
    for event in events:
        text = text.replace(str(event.invitation).encode(), f"that of row {event.row}".encode())
    return text


def assert_same_end(acta: Acta, plan: Plan, people: People, sent: Sequence[Recorded]) -> None:
    """Everybody is invited once, nobody else is, and each invitation holds one seat."""
    assert opened_ruts(acta, sent) == Counter(people.ruts)
    holders = {holder for holder, _ in acta.store.counted_holders(plan.id, BEGINNING)}
    assert holders == {plan.director.account} | {recorded.stream for recorded in sent}
    topics = Counter(type(recorded.event) for recorded in recorded_log(acta))
    assert topics[InvitationImportStarted] == topics[InvitationImportCompleted] == 1


def prepared(acta: Acta, plan: UUID, people: People) -> Plan:
    """A school with seats for all of them, some of whom have accounts of their own."""
    story = Story(acta)
    opened = story.institution(plan=plan, seats=2 * len(people.lines))
    for email in people.registered:
        story.register(email)
    return opened


def kill_and_compare(
    database: TestDatabase, other: Acta, folder: Path, *, rows: int, number: int, seed: int
) -> None:
    """The whole of it, for so many rows and kills."""
    people = People(rows, Random(seed))
    file, known_as = a_list(folder, people.lines), uuid4()
    plan = prepared(other, known_as, people)
    undisturbed, disturbed = folder / "undisturbed.csv", folder / "disturbed.csv"
    done = Importer(other.ledger, other.store).run(to_import(file, plan))
    write_report(undisturbed, done.rows)
    with open_ledger(database.settings()) as acta:
        plan = prepared(acta, known_as, people)
    environment = {"ACTA_DATABASE_URL": database.application, "ACTA_KEYS": str(database.keys)}
    counted = Counter[str]()
    for kill in kills(number, rows // STRETCH_ROWS, Random(seed)):
        counted[kill.moment] += run((file, known_as, disturbed), environment, kill)
        assert not disturbed.exists()
    assert not run((file, known_as, disturbed), environment)
    told = ", ".join(f"{count} {moment}" for moment, count in sorted(counted.items()))
    print(f"{rows} rows, seed {seed}: {counted.total()} kills: {told}")
    assert counted.total() == number
    with open_ledger(database.settings()) as acta:
        sent = sent_by_list(acta)
        assert_same_end(acta, plan, people, sent)
        assert report_by_row(disturbed, sent) == report_by_row(undisturbed, sent_by_list(other))


@pytest.mark.rule("I5")
def test_a_few_kills_change_nothing(
    database: TestDatabase, other_acta: Acta, tmp_path: Path
) -> None:
    """1,000 rows, killed between two stretches, in the middle of one and before the report."""
    kill_and_compare(database, other_acta, tmp_path, rows=1_000, number=4, seed=7)


@pytest.mark.soak
@pytest.mark.rule("I5")
def test_twenty_kills_change_nothing(
    database: TestDatabase, other_acta: Acta, tmp_path: Path
) -> None:
    """10,000 rows and 20 kills."""
    seed = int(os.environ.get("ACTA_SOAK_SEED", "7"))
    kill_and_compare(database, other_acta, tmp_path, rows=10_000, number=20, seed=seed)
