"""Applying files of commands: every line has its answer, and nothing happens twice."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import BinaryIO
from uuid import UUID

from handlers.cli.lines import (
    LINE_BYTES_MAX,
    Asked,
    FieldFault,
    UnreadableLine,
    is_blank,
    read_line,
)
from handlers.composition import Acta
from handlers.faults import CommandIdReused, Fault
from handlers.ledger import Answer, EventReference
from handlers.store.event_store import StoredReceipt

__all__ = ["LineReport", "Outcome", "Summary", "apply_lines", "read_lines"]

CHUNK_LINES = 500
"""So many receipts are looked up at once, so that running a long file again is quick."""


class Outcome(StrEnum):
    """What became of a line."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already applied"
    REFUSED = "refused"
    REFUSED_BEFORE = "refused before"
    FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class LineReport:
    """What became of a line.

    Attributes:
        line: its number, from 1.
        command: name of the command, where it is known.
        command_id: its id, where it can be read.
        rule: the rule by which it was refused.
        message: why it was refused, or all that is faulty.
        remedy: what to do about it.
        faults: what is wrong, field by field, where it is faulty.
        position: of the receipt, a token for reads; None where it is faulty.
        events: what it became.
    """

    line: int
    command: str | None
    command_id: UUID | None
    outcome: Outcome
    rule: str | None = None
    message: str | None = None
    remedy: str | None = None
    faults: tuple[FieldFault, ...] = ()
    position: int | None = None
    events: tuple[EventReference, ...] = ()


@dataclass(slots=True)
class Summary:
    """How many lines came to what.

    Attributes:
        position: the highest of all receipts, a token for reads; 0 where there is none.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    refused_by_rule: Counter[str] = field(default_factory=Counter[str])
    position: int = 0

    @property
    def lines(self) -> int:
        """How many lines have been answered; blank ones are not counted."""
        return self.outcomes.total()

    @property
    def fine(self) -> bool:
        """Whether nothing was refused or faulty."""
        fine = (Outcome.APPLIED, Outcome.ALREADY_APPLIED)
        return all(outcome in fine for outcome in self.outcomes)

    def add(self, report: LineReport) -> None:
        """Counts a line."""
        self.outcomes[report.outcome] += 1
        if report.rule is not None:
            self.refused_by_rule[report.rule] += 1
        self.position = max(self.position, report.position or 0)


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, however long it or they are; a line too long comes cut off."""
    while line := file.readline(LINE_BYTES_MAX + 2):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES_MAX)


def apply_lines(
    acta: Acta,
    lines: Iterable[bytes],
    *,
    report: Callable[[LineReport], None],
    chunk_lines: int = CHUNK_LINES,
) -> Summary:
    """Gives the commands of a file, a line each, in order; holds no more than a chunk of them.

    Args:
        acta: the open ledger.
        lines: commands in JSON, as ``read_lines`` reads them.
        report: told what became of each line.
        chunk_lines: how many lines are read ahead.

    Returns:
        How many lines came to what.

    Raises:
        Fault: something stopped it, such as a lost database. The message says at which line;
            those before it are answered for good, and may be given again.
    """
    summary = Summary()
    numbered = ((n, line) for n, line in enumerate(lines, start=1) if not is_blank(line))
    while chunk := list(islice(numbered, chunk_lines)):
        read = [(number, _read(line)) for number, line in chunk]
        number = chunk[0][0]
        try:
            known = _known(acta, [asked for _, asked in read])
            for number, asked in read:
                told = _report(acta, number, asked, known)
                summary.add(told)
                report(told)
        except Fault as fault:
            raise type(fault)(
                f"stopped at line {number}, with all before it answered: {fault.message}",
                remedy=f"{fault.remedy} Then apply the same file again: nothing happens twice.",
            ) from fault
    return summary


def _read(line: bytes) -> Asked | UnreadableLine:
    try:
        return read_line(line)
    except UnreadableLine as unreadable:
        return unreadable


def _known(acta: Acta, chunk: Sequence[Asked | UnreadableLine]) -> Mapping[UUID, StoredReceipt]:
    ids = [asked.command_id for asked in chunk if isinstance(asked, Asked)]
    # A single command's receipt is looked up by the ledger itself.
    return acta.ledger.known(ids) if len(ids) > 1 else {}


def _report(
    acta: Acta, number: int, asked: Asked | UnreadableLine, known: Mapping[UUID, StoredReceipt]
) -> LineReport:
    if isinstance(asked, UnreadableLine):
        return _faulty(number, asked)
    try:
        answer = _answer(acta, asked, known)
    except CommandIdReused as reused:
        fault = FieldFault("id", "was given before with another input", reused.remedy)
        name, command_id = asked.command.NAME, asked.command_id
        return _faulty(number, UnreadableLine([fault], name=name, command_id=command_id))
    refusal, receipt = answer.refusal, answer.receipt
    return LineReport(
        line=number,
        command=asked.command.NAME,
        command_id=asked.command_id,
        outcome=_OUTCOMES[refusal is not None, receipt.repeated],
        rule=refusal.rule if refusal else None,
        message=refusal.message if refusal else None,
        remedy=refusal.remedy if refusal else None,
        position=receipt.position,
        events=receipt.events,
    )


_OUTCOMES = {
    (False, False): Outcome.APPLIED,
    (False, True): Outcome.ALREADY_APPLIED,
    (True, False): Outcome.REFUSED,
    (True, True): Outcome.REFUSED_BEFORE,
}


def _faulty(number: int, unreadable: UnreadableLine) -> LineReport:
    return LineReport(
        line=number,
        command=unreadable.name,
        command_id=unreadable.command_id,
        outcome=Outcome.FAULTY,
        message=str(unreadable),
        remedy=unreadable.remedy,
        faults=unreadable.faults,
    )


def _answer(acta: Acta, asked: Asked, known: Mapping[UUID, StoredReceipt]) -> Answer:
    stored = known.get(asked.command_id)
    if stored is not None:
        return acta.ledger.repeated(stored, asked.command, asked.actor)
    return acta.ledger.answer(
        asked.command,
        asked.actor,
        asked.command_id,
        correlation_id=asked.correlation_id,
        causation_id=asked.causation_id,
    )
