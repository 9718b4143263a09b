"""Reports of imports: files that spreadsheets open, whole or not there at all."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from handlers.faults import FolderUnusable, InvalidInput

__all__ = ["check_place", "write_lines"]


def check_place(report: Path, imported: Path) -> None:
    """Looks before an import whether its report can be written after it.

    Raises:
        InvalidInput: it would replace the file that is imported.
        FolderUnusable: there is no such folder, or nobody may write to it.
    """
    if report.exists() and report.samefile(imported):
        raise InvalidInput(
            "the report would take the place of the list", remedy="Name another file for it."
        )
    if report.is_dir() or not os.access(report.parent, os.W_OK | os.X_OK):
        raise _not_written()


def write_lines(report: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Writes a report as CSV; a file that is there already is replaced in one step.

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
                writer.writerow(columns)
                writer.writerows(lines)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(report)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except BrokenPipeError:
        raise  # of whoever is told the lines meanwhile
    except OSError:
        raise _not_written() from None


def _not_written() -> FolderUnusable:
    return FolderUnusable(
        "the report cannot be written there",
        remedy="Name a file in a folder that exists and that you may write to: --report PATH.",
    )
