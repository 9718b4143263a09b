"""The report of an import: a file that spreadsheets open, whole or not there at all."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from domain.invitation_import import ImportedRow
from handlers.faults import FolderUnusable, InvalidInput

__all__ = ["check_place", "write_report"]

COLUMNS = ("row", "outcome", "invitation", "rule", "column", "message", "remedy")


def check_place(report: Path, people: Path) -> None:
    """Looks before the import whether the report can be written after it.

    Raises:
        InvalidInput: it would replace the list.
        FolderUnusable: there is no such folder, or nobody may write to it.
    """
    if report.exists() and report.samefile(people):
        raise InvalidInput(
            "the report would take the place of the list", remedy="Name another file for it."
        )
    if report.is_dir() or not os.access(report.parent, os.W_OK | os.X_OK):
        raise _not_written()


def write_report(report: Path, rows: Iterable[ImportedRow]) -> None:
    """Writes a line for each invited row and for each fault, without any personal value.

    A file that is there already is replaced in one step.

    Raises:
        FolderUnusable: it cannot be written there.
    """
    try:
        # With the mark of UTF-8, without which Excel takes it for Latin-1.
        with NamedTemporaryFile(
            "w", encoding="utf-8-sig", newline="", dir=report.parent, prefix=f".{report.name}.",
            delete=False,
        ) as file:  # fmt: skip
            temporary = Path(file.name)
            try:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for row in rows:
                    writer.writerows(_lines(row))
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(report)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except BrokenPipeError:
        raise  # of whoever is told the rows meanwhile
    except OSError:
        raise _not_written() from None


def _lines(row: ImportedRow) -> Iterator[tuple[object, ...]]:
    if not row.faults:
        yield row.row, row.outcome.value, row.invitation, "", "", "", ""
    for fault in row.faults:
        yield (
            row.row, row.outcome.value, "", fault.rule, fault.column or "", fault.message,
            fault.remedy,
        )  # fmt: skip


def _not_written() -> FolderUnusable:
    return FolderUnusable(
        "the report cannot be written there",
        remedy="Name a file in a folder that exists and that you may write to: --report PATH.",
    )
