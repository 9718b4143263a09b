"""Importing a list: an answer for every row, once, however often it is cut off (I5)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.account import Role
from domain.invitation import InviteeDetails
from domain.invitation_import import (
    ROWS_MAX,
    ImportedRow,
    ImportFault,
    ImportInvitations,
    InvitationImport,
    InvitationImportCompleted,
    InvitationImportEvent,
    InvitationImportStarted,
    InvitationRowsImported,
    ListedRow,
    RowOutcome,
    answered,
    completed,
    invitation_import_decider,
    invitation_of,
    refuse_another,
    started,
    unanswered,
)
from domain.refusal import Refused
from tests.domain.stories import ADMINISTRATOR, BEGINNING, PLAN
from tests.specification import Given, given

IMPORT = UUID("8a4c0d0e-5a43-4b9e-9d0c-1f6f6a3c2b10")
ABOUT: dict[str, Any] = {
    "person": ADMINISTRATOR,
    "occurred_at": BEGINNING,
    "invitation_import": IMPORT,
    "plan": PLAN,
}

ana = InviteeDetails(
    role=Role.USER,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    rut="12.345.678-5",
    email="ana@example.com",
    phone="+56 9 6123 4567",
)
no_rut = ImportFault(rule="I2", column="rut", message="not a RUT", remedy="Write it.")
taken = Refused("I3", "the e-mail has an account", remedy="Check it.")
full = Refused("S10", "all 3 seats are in use", remedy="Remove a member.")


def good(row: int) -> ListedRow:
    """A row that says whom to invite."""
    return ListedRow(row=row, invitee=ana)


def bad(row: int) -> ListedRow:
    """A row with something wrong."""
    return ListedRow(row=row, faults=(no_rut,))


def importing(*rows: ListedRow, last: bool = False) -> ImportInvitations:
    """A stretch of the list."""
    return ImportInvitations(
        at=BEGINNING, plan=PLAN, invitation_import=IMPORT, rows=rows, last=last
    )


def imports(
    command: ImportInvitations, state: InvitationImport, refused: Sequence[int] = ()
) -> list[InvitationImportEvent]:
    """What comes of a stretch where these rows are refused."""
    told = [
        answered(row, command, [taken] if row.row in refused else [])
        for row in unanswered(command, state)
    ]
    return [
        *started(command, ADMINISTRATOR, state),
        *completed(command, ADMINISTRATOR, state, told),
    ]


def so_far(*events: InvitationImportEvent) -> Given[InvitationImport, InvitationImportEvent]:
    """What became of the import so far."""
    return given(invitation_import_decider, *events)


def begun() -> InvitationImportStarted:
    """Somebody began to import the list."""
    return InvitationImportStarted(**ABOUT)


def told(*rows: ImportedRow) -> InvitationRowsImported:
    """These rows have their answers."""
    return InvitationRowsImported(**ABOUT, rows=rows)


def summed_up(invited: int, refused: int, faulty: int) -> InvitationImportCompleted:
    """Every row has its answer."""
    return InvitationImportCompleted(**ABOUT, invited=invited, refused=refused, faulty=faulty)


def invited(row: int) -> ImportedRow:
    """A row that became an invitation."""
    return ImportedRow(row=row, outcome=RowOutcome.INVITED, invitation=invitation_of(IMPORT, row))


# ---------------------------------------------------------------- an answer for every row


@pytest.mark.rule("I5")
def test_a_row_becomes_an_invitation() -> None:
    """Its invitation has the id that the same row of the same import has again."""
    assert answered(good(2), importing(), []) == invited(2)
    assert invitation_of(IMPORT, 2) == invitation_of(IMPORT, 2)
    assert len({invitation_of(IMPORT, row) for row in range(2, 102)}) == 100


@pytest.mark.rule("I5", "I2")
def test_a_faulty_row_is_told_all_that_is_wrong_with_it() -> None:
    """What could not be read is answered by its faults, whatever the rules would say."""
    row = ListedRow(row=2, faults=(no_rut, no_rut.model_copy(update={"column": "email"})))
    assert answered(row, importing(), []) == ImportedRow(
        row=2, outcome=RowOutcome.FAULTY, faults=row.faults
    )


@pytest.mark.rule("I5", "I2")
def test_a_refused_row_is_told_every_rule_in_its_way() -> None:
    """Each in its own words, with what to do about it."""
    assert answered(good(2), importing(), [taken, full]) == ImportedRow(
        row=2,
        outcome=RowOutcome.REFUSED,
        faults=(
            ImportFault(rule="I3", message=taken.message, remedy=taken.remedy),
            ImportFault(rule="S10", message=full.message, remedy=full.remedy),
        ),
    )


@pytest.mark.rule("I5")
def test_a_bad_row_stops_no_other() -> None:
    """A whole list in one stretch: begun, answered row by row, and summed up."""
    command = importing(good(2), bad(3), good(4), good(7), last=True)
    outcome = so_far().when(lambda state: imports(command, state, refused=[4]))
    begin, answers, summary = outcome.events
    assert begin == begun()
    assert isinstance(answers, InvitationRowsImported)
    assert [(row.row, row.outcome) for row in answers.rows] == [
        (2, RowOutcome.INVITED),
        (3, RowOutcome.FAULTY),
        (4, RowOutcome.REFUSED),
        (7, RowOutcome.INVITED),
    ]
    assert summary == summed_up(invited=2, refused=1, faulty=1)


@pytest.mark.rule("I5")
def test_an_answer_holds_no_personal_value() -> None:
    """What is written of an import names rows and rules, and nobody."""
    command = importing(good(2), bad(3), last=True)
    for event in so_far().when(lambda state: imports(command, state)).events:
        for value in ("Ana", "Rojas", "12345678", "ana@example.com", "61234567"):
            assert value not in event.model_dump_json()


# ---------------------------------------------------------------- cut off, and gone on with


@pytest.mark.rule("I5")
def test_an_import_goes_on_after_its_last_answer() -> None:
    """Rows that have their answer keep it, also where the stretches overlap."""
    past = so_far(begun(), told(invited(2), invited(3)))
    past.when(lambda state: imports(importing(good(3), good(4)), state)).then(told(invited(4)))


@pytest.mark.rule("I5")
def test_a_stretch_that_was_answered_is_answered_no_more() -> None:
    """The same stretch again changes nothing."""
    past = so_far(begun(), told(invited(2), invited(3)))
    past.when(lambda state: imports(importing(good(2), good(3)), state)).then_nothing()


@pytest.mark.rule("I5")
def test_an_import_that_was_cut_off_before_its_summary_gets_it() -> None:
    """All rows answered, but not summed up: the last stretch again does just that."""
    past = so_far(begun(), told(invited(2), invited(3)))
    command = importing(good(2), good(3), last=True)
    past.when(lambda state: imports(command, state)).then(summed_up(2, 0, 0))


@pytest.mark.rule("I5")
@pytest.mark.parametrize(
    "command",
    [importing(good(2), last=True), importing(good(2), good(3), good(9)), importing(last=True)],
    ids=["the same list", "more rows", "nothing"],
)
def test_a_completed_import_does_nothing_more(command: ImportInvitations) -> None:
    """The same list imported again invites nobody twice."""
    past = so_far(begun(), told(invited(2)), summed_up(1, 0, 0))
    past.when(lambda state: imports(command, state)).then_nothing()


@pytest.mark.rule("I5")
def test_a_list_without_rows_is_an_import_of_nothing() -> None:
    """It is begun and summed up."""
    outcome = so_far().when(lambda state: imports(importing(last=True), state))
    outcome.then(begun(), summed_up(0, 0, 0))


@st.composite
def lists(draw: st.DrawFn) -> list[ListedRow]:
    """A list of good and bad rows, with blank ones between."""
    numbers = sorted(draw(st.sets(st.integers(2, 60), max_size=25)))
    return [draw(st.sampled_from([good, good, good, bad]))(number) for number in numbers]


@pytest.mark.rule("I5")
@whatever(rows=lists(), sizes=st.lists(st.integers(1, 7), min_size=30, max_size=30), data=st.data())
def test_an_import_cut_off_anywhere_ends_as_one_undisturbed(
    rows: list[ListedRow], sizes: list[int], data: st.DataObject
) -> None:
    """Cut into any stretches and begun again from any row: each row has one and the same answer."""
    refused = [row.row for row in rows if row.row % 3 == 0]
    state, events = InvitationImport(), list[InvitationImportEvent]()
    place = 0
    for size in sizes:
        end = min(place + size, len(rows))
        command = importing(*rows[place:end], last=end == len(rows))
        made = imports(command, state, refused)
        events += made
        state = invitation_import_decider.replay(events)
        # Whoever goes on after a crash may begin at any row that was come to before.
        place = data.draw(st.integers(0, end))
    made = imports(importing(*rows, last=True), state, refused)
    events += made

    undisturbed = imports(importing(*rows, last=True), InvitationImport(), refused)
    assert answers_of(events) == answers_of(undisturbed)
    assert events[-1] == undisturbed[-1]
    assert [type(event) for event in events].count(InvitationImportCompleted) == 1
    assert imports(importing(*rows, last=True), invitation_import_decider.replay(events)) == []


def answers_of(events: Sequence[InvitationImportEvent]) -> list[ImportedRow]:
    """The answers in an import, in order."""
    return [row for event in events if isinstance(event, InvitationRowsImported)
            for row in event.rows]  # fmt: skip


# ---------------------------------------------------------------- what is no list


@pytest.mark.rule("I5")
def test_a_stretch_has_an_end() -> None:
    """A list of any length is imported a stretch at a time, each in one transaction."""
    rows = [good(row) for row in range(2, ROWS_MAX + 3)]
    assert len(importing(*rows[:-1]).rows) == ROWS_MAX
    with pytest.raises(ValidationError, match="rows"):
        importing(*rows)


@pytest.mark.parametrize("number", [0, -1])
def test_rows_are_numbered_as_spreadsheets_do(number: int) -> None:
    """The first row is row 1."""
    with pytest.raises(ValidationError, match="row"):
        good(number)


def test_rows_come_in_the_order_of_the_list() -> None:
    """Whoever goes on with it knows the last row that has its answer, and no more."""
    with pytest.raises(ValidationError, match="not in the order of the list"):
        importing(good(3), good(2))
    with pytest.raises(ValidationError, match="not in the order of the list"):
        importing(good(3), good(3))


@pytest.mark.rule("I5")
def test_an_import_belongs_to_one_plan() -> None:
    """Its rows are not spread over two."""
    state = invitation_import_decider.replay([begun()])
    refuse_another(importing(good(3)), state, id_taken=False)
    elsewhere = importing(good(3)).model_copy(update={"plan": uuid4()})
    with pytest.raises(Refused, match="I5"):
        refuse_another(elsewhere, state, id_taken=False)


@pytest.mark.rule("I5")
def test_the_id_of_an_import_is_its_own() -> None:
    """It names no account, plan or anything else."""
    with pytest.raises(Refused, match="I5"):
        refuse_another(importing(good(2)), InvitationImport(), id_taken=True)
