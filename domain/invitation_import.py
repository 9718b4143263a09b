"""Import of a list of people to invite: an answer for every row, once (I5).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. What a row is refused for is kept in its own words, without any
personal value, so that the same list given again has the same answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.command import Command
from domain.decider import Decider
from domain.event import Event
from domain.invitation import InviteeDetails
from domain.refusal import Refused

__all__ = [
    "ROWS_MAX",
    "ImportFault",
    "ImportInvitations",
    "ImportedRow",
    "InvitationImport",
    "InvitationImportCompleted",
    "InvitationImportEvent",
    "InvitationImportStarted",
    "InvitationRowsImported",
    "ListedRow",
    "RowOutcome",
    "answered",
    "completed",
    "invitation_import_decider",
    "invitation_of",
    "refuse_another",
    "started",
    "unanswered",
]

ROWS_MAX = 500
"""So many rows at most are answered at once: they go in one transaction."""


class RowOutcome(StrEnum):
    """What became of a row of a list."""

    INVITED = "invited"
    REFUSED = "refused"
    FAULTY = "faulty"


class Part(BaseModel):
    """A part of an event, or of a command."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class ImportFault(Part):
    """Something that stands in the way of a row, without any personal value."""

    rule: str
    """The rule that says so."""
    column: str | None = None
    """The column at fault, by the name of its field."""
    message: str
    """What stands in the way."""
    remedy: str
    """What to do about it."""


class ImportedRow(Part):
    """The answer to a row."""

    row: int
    """Its number, as spreadsheets show it."""
    outcome: RowOutcome
    """What became of it."""
    invitation: UUID | None = None
    """The invitation that it became."""
    faults: tuple[ImportFault, ...] = ()
    """Everything that stood in its way."""


# ---------------------------------------------------------------- events


class InvitationImportFact(Event, aggregate="invitation_import"):
    """What all facts about an import carry; they are about whoever imports."""

    invitation_import: UUID
    """The import, by an id that the same list of the same plan has again."""
    plan: UUID
    """The institutional plan."""


class InvitationImportStarted(InvitationImportFact):
    """Somebody began to invite the people on a list (I5)."""


class InvitationRowsImported(InvitationImportFact):
    """Some rows of the list have their answers (I5)."""

    rows: tuple[ImportedRow, ...]
    """The answer to each of them."""


class InvitationImportCompleted(InvitationImportFact):
    """Every row of the list has its answer (I5)."""

    invited: int
    """Rows that became an invitation."""
    refused: int
    """Rows that a rule refused."""
    faulty: int
    """Rows that could not be read."""


InvitationImportEvent = InvitationImportStarted | InvitationRowsImported | InvitationImportCompleted

# ---------------------------------------------------------------- commands


class ListedRow(Part):
    """A row of a list: whom to invite, or all that is wrong with it."""

    row: Annotated[int, Field(gt=0)]
    """Its number, as spreadsheets show it; greater than that of the row before."""
    invitee: InviteeDetails | None = None
    """Whom to invite, and as what; none where the row is faulty."""
    faults: tuple[ImportFault, ...] = ()
    """Everything that is wrong with it."""


class ImportInvitations(Command):
    """Invites the people on a stretch of a list; rows that have their answer keep it."""

    plan: UUID
    """The institutional plan."""
    invitation_import: UUID
    """Id of the import."""
    rows: Annotated[tuple[ListedRow, ...], Field(max_length=ROWS_MAX)]
    """The rows, in the order of the list."""
    last: bool = False
    """Whether the list ends here."""

    @model_validator(mode="after")
    def _rows_are_in_order(self) -> "ImportInvitations":
        numbers = [row.row for row in self.rows]
        if any(first >= second for first, second in pairwise(numbers)):
            raise ValueError("the rows are not in the order of the list; sort them by their number")
        return self


# ---------------------------------------------------------------- state


@dataclass(frozen=True, slots=True)
class InvitationImport:
    """What decisions about an import rest on.

    Attributes:
        plan: the plan into which it invites.
        last_row: number of the last row that has its answer.
    """

    plan: UUID | None = None
    last_row: int = 0
    invited: int = 0
    refused: int = 0
    faulty: int = 0
    completed: bool = False

    @property
    def started(self) -> bool:
        """Whether somebody has begun it."""
        return self.plan is not None


def evolve(state: InvitationImport, event: InvitationImportEvent) -> InvitationImport:
    """The import after one more event."""
    match event:
        case InvitationImportStarted():
            return replace(state, plan=event.plan)
        case InvitationRowsImported():
            outcomes = [row.outcome for row in event.rows]
            return replace(
                state,
                plan=event.plan,
                last_row=event.rows[-1].row,
                invited=state.invited + outcomes.count(RowOutcome.INVITED),
                refused=state.refused + outcomes.count(RowOutcome.REFUSED),
                faulty=state.faulty + outcomes.count(RowOutcome.FAULTY),
            )
        case InvitationImportCompleted():
            return replace(state, plan=event.plan, completed=True)


invitation_import_decider: Decider[InvitationImport, InvitationImportEvent] = Decider(
    initial=InvitationImport(), evolve=evolve
)

# ---------------------------------------------------------------- decisions


def refuse_another(command: ImportInvitations, state: InvitationImport, *, id_taken: bool) -> None:
    """An import belongs to one plan and one list (I5)."""
    if id_taken or state.plan not in (None, command.plan):
        raise Refused(
            "I5",
            "the id of the import names something else",
            remedy="Import the list under an id of its own, as acta invite import does.",
        )


def unanswered(command: ImportInvitations, state: InvitationImport) -> Sequence[ListedRow]:
    """The rows that have no answer yet: none is answered twice (I5)."""
    if state.completed:
        return []
    return [row for row in command.rows if row.row > state.last_row]


def answered(
    row: ListedRow, command: ImportInvitations, refusals: Sequence[Refused]
) -> ImportedRow:
    """The answer to a row; a bad one stops no other (I5)."""
    if row.invitee is None:
        return ImportedRow(row=row.row, outcome=RowOutcome.FAULTY, faults=row.faults)
    if refusals:
        faults = tuple(
            ImportFault(rule=refusal.rule, message=refusal.message, remedy=refusal.remedy)
            for refusal in refusals
        )
        return ImportedRow(row=row.row, outcome=RowOutcome.REFUSED, faults=faults)
    invitation = invitation_of(command.invitation_import, row.row)
    return ImportedRow(row=row.row, outcome=RowOutcome.INVITED, invitation=invitation)


def started(
    command: ImportInvitations, person: UUID, state: InvitationImport
) -> list[InvitationImportEvent]:
    """The first stretch of a list starts the import."""
    if state.started:
        return []
    return [
        InvitationImportStarted(
            person=person,
            occurred_at=command.at,
            invitation_import=command.invitation_import,
            plan=command.plan,
        )
    ]


def completed(
    command: ImportInvitations,
    person: UUID,
    state: InvitationImport,
    rows: Iterable[ImportedRow],
) -> list[InvitationImportEvent]:
    """The answers, and the sum of them all once the list ends."""
    told = tuple(rows)
    events: list[InvitationImportEvent] = []
    if told:
        events.append(
            InvitationRowsImported(
                person=person,
                occurred_at=command.at,
                invitation_import=command.invitation_import,
                plan=command.plan,
                rows=told,
            )
        )
    if command.last and not state.completed:
        for event in events:
            state = evolve(state, event)
        events.append(
            InvitationImportCompleted(
                person=person,
                occurred_at=command.at,
                invitation_import=command.invitation_import,
                plan=command.plan,
                invited=state.invited,
                refused=state.refused,
                faulty=state.faulty,
            )
        )
    return events


def invitation_of(invitation_import: UUID, row: int) -> UUID:
    """The invitation that a row of an import becomes."""
    return uuid5(invitation_import, f"row {row}")
