"""The report of an import: a file that spreadsheets open, whole or not there at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from domain.invitation_import import ImportedRow
from handlers.spreadsheets.reports import check_place, write_lines

__all__ = ["check_place", "write_report"]

COLUMNS = ("row", "outcome", "invitation", "rule", "column", "message", "remedy")


def write_report(report: Path, rows: Iterable[ImportedRow]) -> None:
    """Writes a line for each invited row and for each fault, without any personal value.

    A file that is there already is replaced in one step.

    Raises:
        FolderUnusable: it cannot be written there.
    """
    write_lines(report, COLUMNS, (line for row in rows for line in _lines(row)))


def _lines(row: ImportedRow) -> Iterator[tuple[object, ...]]:
    if not row.faults:
        yield row.row, row.outcome.value, row.invitation, "", "", "", ""
    for fault in row.faults:
        yield (
            row.row, row.outcome.value, "", fault.rule, fault.column or "", fault.message,
            fault.remedy,
        )  # fmt: skip
