"""``acta invite``: a list becomes invitations, each row has its answer, a bad file changes nothing.

Bad input of every kind that issue 3 names comes in here as somebody at a terminal would give it.
"""

import csv
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from openpyxl import Workbook

from domain.account import CloseAccount, ClosureReason, Role, SuspendAccount, SuspensionReason
from domain.invitation import InvitationSent
from handlers.composition import open_ledger
from handlers.spreadsheets.cells import FILE_BYTES_MAX
from tests.conftest import TestDatabase
from tests.handlers.cli.conftest import Ended, Terminal
from tests.handlers.imports.files import HEADER, csv_text
from tests.handlers.imports.lists import Line, a_list, people, person, written_in
from tests.handlers.stories import ANA, BEGINNING, DIRECTOR, MANAGER, Plan, Story

AT = ("--at", BEGINNING.isoformat())
BRUNO = "bruno@example.cl"


@pytest.fixture
def story(database: TestDatabase) -> Iterator[Story]:
    with open_ledger(database.settings()) as acta:
        yield Story(acta)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A list of one person, with no fault."""
    return a_list(tmp_path, people("a"))


@pytest.fixture
def plan(story: Story) -> Plan:
    return story.institution()


def by_director(terminal: Terminal, plan: Plan, file: Path, *options: object) -> Ended:
    """The director imports a list."""
    actor = f"person:{DIRECTOR}"
    return terminal("invite", "import", plan.who, file, "--actor", actor, *AT, *options)


# ---------------------------------------------------------------- what is told


@pytest.mark.rule("I5")
def test_a_list_without_a_fault_invites_everybody(
    terminal: Terminal, plan: Plan, tmp_path: Path
) -> None:
    file = a_list(tmp_path, people("a", "b", "c"))
    ended = by_director(terminal, plan, file)
    assert (ended.status, ended.err) == (0, "")
    first, report, known_as = ended.out.splitlines()
    assert first.startswith("3 rows: 3 invited; position ")
    assert report == f"report: {file}.report.csv"
    assert known_as.startswith("import: ")
    with Path(f"{file}.report.csv").open(encoding="utf-8-sig", newline="") as lines:
        assert [line["outcome"] for line in csv.DictReader(lines)] == ["invited"] * 3


@pytest.mark.rule("I5", "I2", "I3")
def test_refused_and_faulty_rows_are_told_with_all_that_stands_in_their_way(
    terminal: Terminal, story: Story, plan: Plan, tmp_path: Path
) -> None:
    """Two rows for one person, a person who has an account, a role that does not exist."""
    story.register(ANA, "12345678-5")
    rows = [
        person(BRUNO),
        person(BRUNO.upper()),
        person(ANA, rut="12345678-5"),
        person("dora@example.cl", role="jefe", rut="1-1"),
    ]
    file = a_list(tmp_path, rows)
    ended = by_director(terminal, plan, file)
    assert ended.status == 1
    assert ended.out.splitlines()[:-4] == [
        "row 3: faulty: email is that of row 2 too (I3)",
        "    Give each person one row; take one away.",
        "row 4: refused by I3: the e-mail has an account",
        "    Check it; who has an account of their own closes it first.",
        "row 4: refused by I3: the RUT has an account",
        "    Check it; who has an account of their own closes it first.",
        "row 5: faulty: role is no role that there is (I2)",
        "    Write one of super_administrator, administrator, user.",
        "row 5: faulty: rut is not a RUT: the check digit or the form is wrong (I2)",
        "    Write it such as 12.345.678-5.",
    ]
    assert "4 rows: 1 invited, 1 refused, 2 faulty; position" in ended.out
    assert "refused by rule: I3 1\n" in ended.out
    assert BRUNO not in ended.out + ended.err
    again = by_director(terminal, plan, file)
    assert (again.status, again.out) == (1, ended.out)


def test_in_json_each_row_is_an_object_and_the_summary_the_last(
    terminal: Terminal, plan: Plan, tmp_path: Path
) -> None:
    report = tmp_path / "answers.csv"
    file = a_list(tmp_path, [*people("a"), person(BRUNO, phone="")])
    ended = by_director(terminal, plan, file, "--json", "--report", report)
    invited, faulty, last = ended.json_lines
    assert (ended.status, ended.err) == (1, "")
    assert (invited["row"], invited["outcome"], invited["faults"]) == (2, "invited", [])
    assert faulty["faults"][0] == {
        "rule": "I2",
        "column": "phone",
        "message": "is missing",
        "remedy": "Fill it in: an invitation needs all of it.",
    }
    summary = last["summary"]
    assert (summary["rows"], summary["invited"], summary["faulty"]) == (2, 1, 1)
    assert (summary["dry_run"], summary["report"]) == (False, str(report))
    assert report.exists()
    assert not Path(f"{file}.report.csv").exists()


@pytest.mark.rule("I5")
def test_a_trial_changes_nothing_and_its_report_is_that_of_the_import(
    terminal: Terminal, database: TestDatabase, plan: Plan, tmp_path: Path
) -> None:
    file = a_list(tmp_path, [*people("a", "b"), person(BRUNO, rut="")])
    report = Path(f"{file}.report.csv")
    there = written_in(database)
    tried = by_director(terminal, plan, file, "--dry-run")
    assert (tried.status, written_in(database)) == (1, there)
    assert "This was a trial: nothing has changed." in tried.out
    foretold = report.read_bytes()
    assert by_director(terminal, plan, file).status == 1
    assert report.read_bytes() == foretold


@pytest.mark.rule("I5")
def test_again_asks_for_new_answers(terminal: Terminal, plan: Plan, tmp_path: Path) -> None:
    file = a_list(tmp_path, people("a"))
    assert by_director(terminal, plan, file).status == 0
    assert by_director(terminal, plan, file).status == 0
    anew = by_director(terminal, plan, file, "--again")
    assert (anew.status, "row 2: refused by I3" in anew.out) == (1, True)


@pytest.mark.rule("I5")
def test_two_processes_with_one_list_come_to_one_result(
    terminal: Terminal, story: Story, tmp_path: Path
) -> None:
    plan = story.institution("other@example.com", seats=2_000)
    file = a_list(tmp_path, people(*(f"p{number}" for number in range(1_200))))
    reports = [tmp_path / "one.csv", tmp_path / "other.csv"]
    arguments = ("invite", "import", plan.id, file, "--actor", "person:other@example.com", *AT)
    both = [terminal.start(*arguments, "--report", report) for report in reports]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert reports[0].read_bytes() == reports[1].read_bytes()
    sent = [e.event for e in story.events() if isinstance(e.event, InvitationSent)]
    assert len(sent) == 1 + 1_200
    assert story.acta.store.counted(plan.id, BEGINNING) == 1 + 1_200


@pytest.mark.rule("I5")
def test_interrupted_it_says_how_to_go_on(terminal: Terminal, story: Story, tmp_path: Path) -> None:
    plan = story.institution("other@example.com", seats=5_000)
    file = a_list(tmp_path, people(*(f"p{number}" for number in range(3_000))))
    arguments = ("invite", "import", plan.id, file, "--actor", "person:other@example.com", *AT)
    with terminal.start(*arguments) as process:
        after = story.acta.store.head()
        while story.acta.store.head() == after:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "Import the same file again to go on" in err
    assert "Traceback" not in err
    assert not Path(f"{file}.report.csv").exists()
    ended = terminal.run(*arguments)
    assert (ended.status, "3000 rows: 3000 invited" in ended.out) == (0, True)


# ---------------------------------------------------------------- files that cannot be read


def workbook_with_formula(path: Path) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(list(HEADER))
    sheet.append([*people("a")[0][:4], '=CONCATENATE("a","@example.cl")', "961234567", "user"])
    book.save(path)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)


def a_file(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def listed(header: Line, *rows: Line) -> Callable[[Path], object]:
    return a_file(csv_text([header, *rows]).encode())


ROW = people("a")[0]
UNREADABLE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing column": (listed(HEADER[:-1], ROW[:-1]), "missing: role", "Name each of"),
    "doubled column": (listed((*HEADER, "Correo"), (*ROW, "x")), "doubled: email", "once"),
    "unknown column": (listed((*HEADER, "Curso"), (*ROW, "x")), "unknown: Curso (H)", "template"),
    "mixed encodings": (
        a_file(csv_text([HEADER, ROW]).encode() + "Muñoz;ñ".encode("latin-1")),
        "in two encodings", "save it as CSV UTF-8",
    ),
    "100 MB": (large, f"larger than {FILE_BYTES_MAX // 1024**2} MiB", "Split the list"),
    "a picture": (a_file(b"\x89PNG\r\n\x1a\n" + bytes(64)), "is a picture", "CSV UTF-8"),
    "a PDF": (a_file(b"%PDF-1.7\n"), "is a PDF", "CSV UTF-8"),
    "an old workbook": (
        a_file(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)), "old Office format", ".xlsx",
    ),
    "nothing in it": (a_file(b""), "the file is empty", "Name each of"),
    "blank rows alone": (a_file(b";;;;;;\r\n\r\n"), "has no rows", "Name each of"),
    "no people": (listed(HEADER, ("", "", "")), "nobody below them", "a person a row"),
    "no such file": (lambda _: None, "no such file", "Check its name"),
    "a folder": (lambda path: path.mkdir(), "is a folder", "Name the list"),
}  # fmt: skip


@pytest.mark.rule("I5")
@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_read_changes_nothing(
    terminal: Terminal, database: TestDatabase, plan: Plan, tmp_path: Path, kind: str
) -> None:
    make, what, mend = UNREADABLE[kind]
    file = tmp_path / "list.csv"
    make(file)
    there = written_in(database)
    ended = by_director(terminal, plan, file)
    assert (ended.status, ended.out) == (2, "")
    assert what in ended.said
    assert mend in ended.said
    assert written_in(database) == there
    assert not Path(f"{file}.report.csv").exists()


@pytest.mark.rule("I5")
def test_a_formula_faults_its_row_alone(terminal: Terminal, plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "list.xlsx"
    workbook_with_formula(file)
    ended = by_director(terminal, plan, file)
    assert ended.status == 1
    assert "row 2: faulty: email is a formula (I2)" in ended.out


@pytest.mark.rule("I5")
def test_blank_rows_are_left_out_and_still_count(
    terminal: Terminal, plan: Plan, tmp_path: Path
) -> None:
    blank = ("",) * len(HEADER)
    ended = by_director(terminal, plan, a_list(tmp_path, [blank, *people("a"), blank]), "--json")
    assert [told.get("row") for told in ended.json_lines] == [3, None]


# ---------------------------------------------------------------- what stands in the way of all


def refused_whole(terminal: Terminal, database: TestDatabase, *arguments: object) -> Ended:
    """An import of which nothing is written but the receipt of its refusal."""
    there = written_in(database)
    ended = terminal("invite", "import", *arguments)
    now = written_in(database)
    assert now.pop("ledger.receipts") == there.pop("ledger.receipts") + (
        0 if "--dry-run" in arguments else 1
    )
    assert now == there
    assert (ended.status, ended.out) == (1, "")
    return ended


@pytest.mark.rule("S10")
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_plan_that_lapsed_invites_nobody(
    terminal: Terminal, database: TestDatabase, plan: Plan, tmp_path: Path,
    options: tuple[str, ...],
) -> None:  # fmt: skip
    file, late = a_list(tmp_path, people("a")), (BEGINNING + timedelta(days=365)).isoformat()
    actor = ("--actor", f"person:{DIRECTOR}", "--at", late)
    ended = refused_whole(terminal, database, plan.id, file, *actor, *options)
    assert "refused by S10" in ended.err
    assert [path.name for path in tmp_path.iterdir() if "report" in path.name] == []


@pytest.mark.rule("S10")
def test_a_plan_that_there_is_not_invites_nobody(
    terminal: Terminal, database: TestDatabase, plan: Plan, tmp_path: Path
) -> None:
    file = a_list(tmp_path, people("a"))
    actor = ("--actor", f"person:{plan.director.person}", *AT)
    ended = refused_whole(terminal, database, uuid4(), file, *actor)
    assert "refused by S10" in ended.err


@pytest.mark.rule("I1", "G1")
@pytest.mark.parametrize(
    "actor",
    [
        "person:nobody@example.cl",
        f"person:{UUID(int=99)}",
        "person:member@example.com",
        f"account_manager:{MANAGER.id}",
        "auditor",
    ],
)
def test_who_does_not_administer_the_plan_imports_nothing(
    terminal: Terminal, database: TestDatabase, story: Story, file: Path, actor: str
) -> None:
    plan = story.institution()
    story.join(plan, "member@example.com")
    ended = refused_whole(terminal, database, plan.id, file, "--actor", actor, *AT)
    assert "refused by I1" in ended.err or "refused by G1" in ended.err


@pytest.mark.rule("A10")
@pytest.mark.parametrize("ending", ["suspended", "closed"])
def test_who_is_suspended_or_closed_imports_nothing(
    terminal: Terminal, database: TestDatabase, story: Story, file: Path, ending: str
) -> None:
    plan = story.institution()
    deputy = story.join(plan, "deputy@example.com", role=Role.ADMINISTRATOR)
    if ending == "suspended":
        suspend = SuspendAccount(at=BEGINNING, account=deputy.who, reason=SuspensionReason.OTHER)
        story.ask(suspend, MANAGER)
    else:
        close = CloseAccount(at=BEGINNING, account=deputy.who, reason=ClosureReason.OWNER_REQUEST)
        story.ask(close, deputy.itself)
    actor = ("--actor", f"person:{deputy.person}", *AT)
    assert "refused by" in refused_whole(terminal, database, plan.id, file, *actor).err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("not-a-plan", "list.csv", "--actor", "auditor"), "PLAN: the id is not a UUID"),
        ((UUID(int=99), "list.csv", "--actor", "robot"), "--actor has no kind that there is"),
        ((UUID(int=99), "list.csv", "--actor", "person:a@b@c"), "WHO cannot be read"),
        ((UUID(int=99), "list.csv", "--actor", "auditor", "--at", "now"), "--at: not an instant"),
    ],
)
def test_what_cannot_be_understood_is_told(
    terminal: Terminal, arguments: tuple[Any, ...], what: str
) -> None:
    ended = terminal("invite", "import", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert what in ended.said


def test_the_report_takes_no_place_of_the_list(
    terminal: Terminal, database: TestDatabase, plan: Plan, tmp_path: Path
) -> None:
    file = a_list(tmp_path, people("a"))
    there, content = written_in(database), file.read_bytes()
    ended = by_director(terminal, plan, file, "--report", file)
    assert (ended.status, file.read_bytes(), written_in(database)) == (2, content, there)


# ---------------------------------------------------------------- the template


@pytest.mark.parametrize("name", ["people.csv", "people.xlsx"])
@pytest.mark.parametrize("language", ["es", "en"])
def test_the_template_is_a_list_that_can_be_imported(
    terminal: Terminal, plan: Plan, tmp_path: Path, name: str, language: str
) -> None:
    file = tmp_path / name
    ended = terminal("invite", "template", file, "--language", language)
    assert (ended.status, ended.out) == (0, f"written: {file}\n")
    told = by_director(terminal, plan, file, "--dry-run", "--json").json_lines
    assert [row.get("outcome") for row in told] == ["invited", "invited", None]
    assert terminal("invite", "template", file).status == 2
