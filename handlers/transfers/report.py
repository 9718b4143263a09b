"""The report of an import of transfers, without any personal value."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from handlers.spreadsheets.reports import write_lines
from handlers.transfers.answers import TransferAnswer, TransferFault

__all__ = ["write_report"]

COLUMNS = (
    "row", "reference", "outcome", "account", "payment", "amount_minor", "currency",
    "period_from", "period_to", "position", "same_as", "rule", "column", "message", "remedy",
)  # fmt: skip


def write_report(report: Path, answers: Iterable[TransferAnswer]) -> None:
    """Writes a line for each line of the statement, or for each thing that stands in its way.

    A file that is there already is replaced in one step.

    Raises:
        FolderUnusable: it cannot be written there.
    """
    write_lines(report, COLUMNS, (line for answer in answers for line in _lines(answer)))


def _lines(answer: TransferAnswer) -> Iterator[tuple[object, ...]]:
    for fault in answer.faults or (None,):
        yield (
            answer.row, answer.reference, answer.outcome.value, answer.account, answer.payment,
            answer.amount_minor, answer.currency and answer.currency.value, answer.period_from,
            answer.period_to, answer.position, answer.same_as, *_columns_of(fault),
        )  # fmt: skip


def _columns_of(fault: TransferFault | None) -> tuple[str | None, ...]:
    if fault is None:
        return (None,) * 4
    return fault.rule, fault.column, fault.message, fault.remedy
