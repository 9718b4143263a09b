"""``acta transfers import``: what somebody at a terminal is told of a bank's statement."""

import csv
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from handlers.composition import open_ledger
from tests.conftest import TestDatabase
from tests.handlers.cli.conftest import Ended, Terminal
from tests.handlers.imports.files import csv_text, written
from tests.handlers.stories import ANA, ANA_RUT, BRUNO, Member, Story, noon
from tests.handlers.transfers.statements import Line, a_statement, captured

MANAGER = "account_manager:5f0c2b9e-8d14-4c57-9a36-2e7d1b604f83"
AT = ("--at", noon(2026, 2, 5).isoformat())


@pytest.fixture
def story(database: TestDatabase) -> Iterator[Story]:
    with open_ledger(database.settings()) as acta:
        yield Story(acta)


@pytest.fixture
def ana(story: Story) -> Member:
    return story.about_to_pay(ANA, ANA_RUT, months=3)


def by_manager(terminal: Terminal, file: Path, *options: object) -> Ended:
    """An account manager imports a statement."""
    return terminal("transfers", "import", file, "--actor", MANAGER, *AT, *options)


@pytest.mark.rule("S2", "S6")
def test_what_came_in_is_recorded_and_on_record_from_then_on(
    terminal: Terminal, ana: Member, story: Story, tmp_path: Path
) -> None:
    file = a_statement(tmp_path, [Line("TEF-1", rut=ANA_RUT)])
    ended = by_manager(terminal, file)
    position = next(each.position for each in story.events() if captured([each]))
    what = f"29,970 CLP of {ana.who} for 2026-02-02 to 2026-05-01; position {position}"
    assert (ended.status, ended.err) == (0, "")
    first, summary, report = ended.out.splitlines()
    assert first == f"row 2 (TEF-1): captured: {what}"
    assert summary.startswith("1 lines: 1 captured; position ")
    assert report == f"report: {file}.report.csv"
    again = by_manager(terminal, file)
    assert again.status == 0
    assert again.out.splitlines()[0] == f"row 2 (TEF-1): already recorded: {what}"


@pytest.mark.rule("S1", "S2", "S5")
def test_each_line_that_is_not_captured_says_why_and_names_nobody(
    terminal: Terminal, ana: Member, story: Story, tmp_path: Path
) -> None:
    story.about_to_pay(BRUNO, months=1)
    lines = [
        Line("A1", ANA), Line("A1", ANA), Line("B1", ANA, amount="1"), Line("C1", BRUNO),
        Line("D1", "nobody@example.com"), Line("E1", amount="-3"), Line("F1", ANA, currency="GBP"),
        Line("G1", ANA), Line("G1", BRUNO), Line("", ANA),
    ]  # fmt: skip
    file = a_statement(tmp_path, lines)
    ended = by_manager(terminal, file)
    assert ended.status == 1
    counts = (
        "10 lines: 1 captured, 1 already recorded, 2 doubled, 1 foreign, 1 underpaid,"
        " 1 unmatched, 1 refused, 2 faulty"
    )
    told = [line for line in ended.out.splitlines() if not line.startswith("    ")]
    assert told[1:-1] == [
        "row 3 (A1): already recorded, the same as row 2",
        "row 4 (B1): underpaid: 1 CLP came in, and 2026-05-02 to 2026-08-01 cost 29,970 CLP (S5)",
        "row 5 (C1): refused: the subscription is paid by card (S2)",
        "row 6 (D1): unmatched: remittance names nobody who has an account or a plan",
        "row 7 (E1): faulty: amount says that this money left the bank account",
        "row 8 (F1): foreign: currency is one in which nothing is priced",
        "row 9 (G1): doubled: reference is that of rows 9, 10, which differ",
        "row 10 (G1): doubled: reference is that of rows 9, 10, which differ",
        "row 11: faulty: reference is missing",
        f"{counts}; position {story.acta.store.head()}",
        "not captured, by rule: S2 1, S5 1",
    ]
    with Path(f"{file}.report.csv").open(encoding="utf-8-sig", newline="") as report:
        answered = list(csv.DictReader(report))
    assert [line["row"] for line in answered] == [str(row) for row in range(2, 12)]
    assert answered[0]["account"] == ana.who
    assert answered[0]["period_to"] == "2026-05-01"
    everything = ended.out + ended.err + Path(f"{file}.report.csv").read_text("utf-8-sig")
    for personal in (ANA, BRUNO, ANA_RUT, "nobody@example.com"):
        assert personal not in everything


def test_in_json_each_line_is_an_object_and_the_summary_the_last(
    terminal: Terminal, ana: Member, tmp_path: Path
) -> None:
    report = tmp_path / "answers.csv"
    file = a_statement(tmp_path, [Line("A1", ANA), Line("B1", "nobody")])
    ended = by_manager(terminal, file, "--json", "--report", report)
    one, unmatched, last = ended.json_lines
    assert (ended.status, ended.err) == (1, "")
    assert (one["row"], one["outcome"], one["account"]) == (2, "captured", ana.who)
    assert (one["period_from"], one["amount_minor"], one["currency"]) == (
        "2026-02-02",
        29970,
        "CLP",
    )
    assert UUID(one["payment"]).version == 4
    assert unmatched["faults"][0]["column"] == "remittance"
    summary = last["summary"]
    assert (summary["lines"], summary["captured"], summary["unmatched"]) == (2, 1, 1)
    assert (summary["dry_run"], summary["report"]) == (False, str(report))
    assert report.exists()


def test_a_trial_changes_nothing(
    terminal: Terminal, ana: Member, story: Story, tmp_path: Path
) -> None:
    file = a_statement(tmp_path, [Line("A1", ana.who)])
    head = story.acta.store.head()
    ended = by_manager(terminal, file, "--dry-run")
    assert ended.status == 0
    assert f"captured: 29,970 CLP of {ana.who} for 2026-02-02 to 2026-05-01\n" in ended.out
    assert ended.out.endswith("This was a trial: nothing has changed.\n")
    assert story.acta.store.head() == head


@pytest.mark.rule("G1")
def test_a_person_is_refused_before_the_first_line(
    terminal: Terminal, ana: Member, tmp_path: Path
) -> None:
    file = a_statement(tmp_path, [Line("A1", ana.who)])
    ended = terminal("transfers", "import", file, "--actor", f"person:{ANA}", *AT)
    assert ended.status == 1
    assert "refused by G1" in ended.err
    assert not Path(f"{file}.report.csv").exists()


def test_a_file_that_cannot_be_used_changes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    file = written(tmp_path / "people.csv", csv_text([("Nombre", "Correo"), ("Ana", ANA)]))
    ended = by_manager(terminal, file)
    assert (ended.status, ended.out) == (2, "")
    assert "does not name the columns" in ended.err
    assert ANA not in ended.err


def test_the_report_is_not_written_over_the_statement(
    terminal: Terminal, ana: Member, tmp_path: Path
) -> None:
    file = a_statement(tmp_path, [Line("A1", ana.who)])
    ended = by_manager(terminal, file, "--report", file)
    assert ended.status == 2
    assert "take the place of the list" in ended.err
