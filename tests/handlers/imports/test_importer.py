"""Importing a list: an answer for every row, once, whatever comes in between."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from domain.account import Role
from domain.invitation import InvitationSent, RevokeInvitation
from domain.invitation_import import (
    ImportedRow,
    InvitationImportCompleted,
    InvitationImportStarted,
    InvitationRowsImported,
    RowOutcome,
)
from domain.membership import RemoveMember
from domain.refusal import Refused
from handlers.composition import Acta, open_ledger
from handlers.faults import DatabaseUnavailable, FolderUnusable, InvalidInput
from handlers.imports.importer import Importer, ListToImport
from handlers.imports.report import check_place, write_report
from tests.conftest import TestDatabase
from tests.handlers.imports.lists import a_list, people, person, to_import, written_in
from tests.handlers.stories import ANA, BEGINNING, Plan, Story, rut_of

BRUNO = "bruno@example.cl"


@pytest.fixture
def story(acta: Acta) -> Story:
    return Story(acta)


@pytest.fixture
def plan(story: Story) -> Plan:
    return story.institution()


def imported(
    acta: Acta, wanted: ListToImport, *, again: bool = False, stretch_rows: int = 2
) -> list[ImportedRow]:
    """The answers, after importing in short stretches."""
    importer = Importer(acta.ledger, acta.store, stretch_rows=stretch_rows)
    return list(importer.run(wanted, again=again).rows)


def rehearsed(acta: Acta, wanted: ListToImport, stretch_rows: int = 2) -> list[ImportedRow]:
    return list(Importer(acta.ledger, acta.store, stretch_rows=stretch_rows).rehearse(wanted).rows)


def outcomes(rows: Iterable[ImportedRow]) -> list[tuple[int, str]]:
    return [(row.row, row.outcome.value) for row in rows]


def faults(row: ImportedRow) -> list[tuple[str, str | None, str]]:
    return [(fault.rule, fault.column, fault.message) for fault in row.faults]


# ---------------------------------------------------------------- answers


@pytest.mark.rule("I5", "I2")
def test_each_row_has_its_answer_and_a_bad_one_stops_no_other(
    acta: Acta, story: Story, plan: Plan, tmp_path: Path
) -> None:
    story.register(ANA)
    rows = [*people("bruno"), person(BRUNO, rut="1-1"), person(ANA), *people("carla")]
    told = imported(acta, to_import(a_list(tmp_path, rows), plan))
    assert outcomes(told) == [(2, "invited"), (3, "faulty"), (4, "refused"), (5, "invited")]
    assert [fault.rule for fault in told[2].faults] == ["I3"]
    sent = [e.event for e in story.events() if isinstance(e.event, InvitationSent)]
    from_list = [event for event in sent if event.invitation_import is not None]
    assert [(event.row, event.invitation) for event in from_list] == [
        (told[0].row, told[0].invitation),
        (told[3].row, told[3].invitation),
    ]


@pytest.mark.rule("I2")
def test_a_faulty_row_is_told_every_fault_and_none_of_its_values(
    acta: Acta, plan: Plan, tmp_path: Path
) -> None:
    canary = "qwxjzvkp"
    row = (canary * 20, "", "=A1", canary, canary, canary, canary)
    (told,) = imported(acta, to_import(a_list(tmp_path, [row]), plan))
    assert faults(told) == [
        ("I2", "maternal_surname", "is a formula"),
        ("I2", "role", "is no role that there is"),
        ("I2", "given_name", "is too long"),
        ("I2", "paternal_surname", "is missing"),
        ("I2", "rut", "is not a RUT: the check digit or the form is wrong"),
        ("I2", "email", "is not an e-mail address"),
        ("I2", "phone", "is not a mobile number"),
    ]
    assert canary not in told.model_dump_json()
    assert all(role.value in told.faults[1].remedy for role in Role)


@pytest.mark.rule("I3")
def test_the_second_row_for_one_person_is_faulty_and_names_the_first(
    acta: Acta, plan: Plan, tmp_path: Path
) -> None:
    """However they are spelled, and in whatever stretch they are."""
    rows = [
        person(BRUNO),
        *people("x", "y"),
        person("BRUNO@Example.CL"),
        person("other@example.cl", rut=f"0{rut_of(BRUNO)}"),
        person("z@example.cl", rut="1-1"),
        person("z@example.cl"),
    ]
    told = imported(acta, to_import(a_list(tmp_path, rows), plan))
    assert [row.outcome.value for row in told] == [
        "invited", "invited", "invited", "faulty", "faulty", "faulty", "invited",
    ]  # fmt: skip
    assert faults(told[3]) == [("I3", "email", "is that of row 2 too")]
    assert faults(told[4]) == [("I3", "rut", "is that of row 2 too")]


def test_roles_and_phones_are_read_as_people_write_them(
    acta: Acta, story: Story, plan: Plan, tmp_path: Path
) -> None:
    row = person(BRUNO, role="Administradora", phone="(9) 6123-4567")
    imported(acta, to_import(a_list(tmp_path, [row]), plan))
    (sent,) = [e for e in story.events()[-4:] if isinstance(e.event, InvitationSent)]
    assert isinstance(sent.event, InvitationSent)
    assert sent.event.role is Role.ADMINISTRATOR


@pytest.mark.rule("S10")
def test_no_more_people_are_invited_than_there_are_seats(
    acta: Acta, story: Story, tmp_path: Path
) -> None:
    plan = story.institution(seats=4)
    told = imported(acta, to_import(a_list(tmp_path, people(*"abcde")), plan))
    assert [row.outcome.value for row in told] == ["invited"] * 3 + ["refused"] * 2
    assert {fault.rule for row in told for fault in row.faults} == {"S10"}


# ---------------------------------------------------------------- the same list again


@pytest.mark.rule("I5")
def test_the_same_list_again_has_the_same_answers_and_writes_nothing(
    acta: Acta, database: TestDatabase, plan: Plan, tmp_path: Path
) -> None:
    file = a_list(tmp_path, [*people("a", "b", "c"), person(BRUNO, given_name="")])
    first, there = imported(acta, to_import(file, plan)), written_in(database)
    copy = tmp_path / "under-another-name.csv"
    copy.write_bytes(file.read_bytes())
    later = BEGINNING + timedelta(days=60)
    assert imported(acta, to_import(copy, plan, at=later), stretch_rows=3) == first
    assert written_in(database) == there


@pytest.mark.rule("I5")
def test_again_answers_every_row_anew_once_all_have_an_answer(
    acta: Acta, story: Story, plan: Plan, tmp_path: Path
) -> None:
    wanted = to_import(a_list(tmp_path, people("a", "b", "c")), plan)
    first = imported(acta, wanted, again=True)
    story.ask(RevokeInvitation(at=BEGINNING, invitation="b@example.cl"), plan.director.itself)
    second = imported(acta, wanted, again=True)
    assert [row.outcome.value for row in second] == ["refused", "invited", "refused"]
    assert second[1].invitation != first[1].invitation
    assert imported(acta, wanted) == second


@pytest.mark.rule("I5")
def test_another_plan_has_an_import_of_its_own(acta: Acta, story: Story, tmp_path: Path) -> None:
    file = a_list(tmp_path, people("a"))
    one, other = story.institution(), story.institution("other@example.com")
    (here,) = imported(acta, to_import(file, one))
    (there,) = imported(acta, to_import(file, other))
    assert (here.outcome, there.outcome) == (RowOutcome.INVITED, RowOutcome.REFUSED)


# ---------------------------------------------------------------- stopped midway


class Lost(DatabaseUnavailable):
    """The database went away."""


@pytest.mark.rule("I5")
def test_what_was_stopped_goes_on_behind_the_last_answer(
    acta: Acta, story: Story, plan: Plan, tmp_path: Path
) -> None:
    wanted = to_import(a_list(tmp_path, people(*"abcdefg")), plan)

    def stop(answered: int) -> None:
        if answered == 4:
            raise Lost("gone", remedy="Bring it back.")

    with pytest.raises(DatabaseUnavailable) as stopped:
        Importer(acta.ledger, acta.store, stretch_rows=2).run(wanted, advanced=stop)
    assert "import the same list again" in stopped.value.remedy
    told: list[int] = []
    importer = Importer(acta.ledger, acta.store, stretch_rows=3)
    rows = list(importer.run(wanted, again=True, advanced=told.append).rows)
    assert told == [4, 7]
    assert outcomes(rows) == [(row, "invited") for row in range(2, 9)]
    topics = Counter(type(recorded.event) for recorded in story.events())
    assert topics[InvitationSent] == 7 + 1
    assert topics[InvitationImportStarted] == topics[InvitationImportCompleted] == 1
    assert topics[InvitationRowsImported] == 2 + 1


@pytest.mark.rule("I1", "I5")
def test_an_administrator_who_is_removed_midway_invites_nobody_more(
    acta: Acta, database: TestDatabase, story: Story, plan: Plan, tmp_path: Path
) -> None:
    """Somebody else who may goes on with the same list."""
    deputy = story.join(plan, ANA, role=Role.ADMINISTRATOR)
    file = a_list(tmp_path, people(*"abcd"))
    wanted = to_import(file, plan)
    by_deputy = ListToImport(wanted.people, plan.id, deputy.itself, BEGINNING)

    def remove(answered: int) -> None:
        if answered == 2:
            story.ask(
                RemoveMember(at=BEGINNING, plan=plan.id, account=deputy.who), plan.director.itself
            )

    with pytest.raises(Refused) as refused:
        Importer(acta.ledger, acta.store, stretch_rows=2).run(by_deputy, advanced=remove)
    assert refused.value.rule == "I1"
    assert written_in(database)["ledger.counted_claims"] == 1 + 1 + 2  # one counts administrators
    assert [row.outcome.value for row in imported(acta, wanted)] == ["invited"] * 4


@pytest.mark.rule("I5")
def test_two_who_import_one_list_at_once_come_to_one_result(
    database: TestDatabase, story: Story, plan: Plan, tmp_path: Path
) -> None:
    file = a_list(tmp_path, [*people(*"abcdefghijkl"), person(BRUNO, rut="")])
    both = Barrier(2)

    def run(stretch_rows: int) -> list[ImportedRow]:
        with open_ledger(database.settings()) as own:
            both.wait(60)
            return imported(own, to_import(file, plan), stretch_rows=stretch_rows)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, (2, 3))
    assert one == other
    assert [row.outcome.value for row in one] == ["invited"] * 12 + ["faulty"]
    topics = Counter(type(recorded.event) for recorded in story.events())
    assert topics[InvitationSent] == 12 + 1
    assert topics[InvitationImportStarted] == topics[InvitationImportCompleted] == 1


# ---------------------------------------------------------------- trying


@pytest.mark.rule("I5", "S10")
def test_a_trial_tells_what_the_import_then_does_and_writes_nothing(
    acta: Acta, database: TestDatabase, story: Story, tmp_path: Path
) -> None:
    plan = story.institution(seats=5)
    story.register(ANA)
    rows = [*people("a", "b"), person(ANA), person(BRUNO, rut=""), *people("c", "d", "a", "e")]
    wanted = to_import(a_list(tmp_path, rows), plan)
    there = written_in(database)
    told = rehearsed(acta, wanted)
    assert written_in(database) == there
    assert [row.outcome.value for row in told] == [
        "invited", "invited", "refused", "faulty", "invited", "invited", "faulty", "refused",
    ]  # fmt: skip
    assert imported(acta, wanted, stretch_rows=3) == told
    assert rehearsed(acta, wanted) == told


@pytest.mark.rule("I5")
def test_a_trial_begins_with_the_answers_that_there_are(
    acta: Acta, story: Story, tmp_path: Path
) -> None:
    plan = story.institution(seats=4)
    wanted = to_import(a_list(tmp_path, people(*"abcd")), plan)

    def stop(answered: int) -> None:
        if answered == 2:
            raise Lost("gone", remedy="Bring it back.")

    with pytest.raises(DatabaseUnavailable):
        Importer(acta.ledger, acta.store, stretch_rows=2).run(wanted, advanced=stop)
    assert [row.outcome.value for row in rehearsed(acta, wanted)] == ["invited"] * 3 + ["refused"]


@pytest.mark.rule("I5")
def test_who_is_invited_singly_is_refused_by_the_list(
    acta: Acta, story: Story, plan: Plan, tmp_path: Path
) -> None:
    story.invite(plan.id, BRUNO, by=plan.director.itself)
    (told,) = imported(acta, to_import(a_list(tmp_path, [person(BRUNO)]), plan))
    assert told.outcome is RowOutcome.REFUSED
    assert {fault.rule for fault in told.faults} == {"I3"}


# ---------------------------------------------------------------- the report


def test_the_report_has_a_line_for_each_invitation_and_each_fault(
    acta: Acta, plan: Plan, tmp_path: Path
) -> None:
    rows = [person(BRUNO), person("", rut="")]
    told = imported(acta, to_import(a_list(tmp_path, rows), plan))
    report = tmp_path / "report.csv"
    write_report(report, told)
    lines = report.read_text(encoding="utf-8-sig").splitlines()
    assert lines[:2] == [
        "row,outcome,invitation,rule,column,message,remedy",
        f"2,invited,{told[0].invitation},,,,",
    ]
    assert [line.split(",")[:6] for line in lines[2:]] == [
        ["3", "faulty", "", "I2", "rut", "is missing"],
        ["3", "faulty", "", "I2", "email", "is missing"],
    ]
    assert report.read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_report_that_is_not_written_whole_leaves_the_former_one(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("the former one")

    def rows() -> Iterable[ImportedRow]:
        yield ImportedRow(row=2, outcome=RowOutcome.INVITED)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(report, rows())
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]
    assert report.read_text() == "the former one"


def test_where_the_report_goes_is_looked_at_first(tmp_path: Path) -> None:
    file = a_list(tmp_path, people("a"))
    with pytest.raises(InvalidInput):
        check_place(file, file)
    for nowhere in (tmp_path / "none" / "report.csv", tmp_path):
        with pytest.raises(FolderUnusable):
            check_place(nowhere, file)
