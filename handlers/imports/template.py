"""The list to fill in."""

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from handlers.faults import FolderUnusable, InvalidInput
from handlers.imports.columns import HEADERS, HeaderLanguage

__all__ = ["write_template"]

COLUMN_WIDTH_CHARACTERS = 22
ROWS_FORMATTED = 1_000
TEXT_FORMAT = "@"
# What spreadsheet programs expect where that language is spoken.
_DELIMITERS: dict[HeaderLanguage, str] = {"es": ";", "en": ","}
_EXAMPLES: dict[HeaderLanguage, tuple[tuple[str, ...], ...]] = {
    "es": (
        ("Ana María", "Pérez", "Soto", "12.345.678-5", "ana.perez@example.cl",
         "+56 9 6123 4567", "usuario"),
        ("Bruno", "Muñoz", "Rojas", "11.111.111-1", "bruno.munoz@example.cl",
         "+56 9 6123 4568", "administrador"),
    ),
    "en": (
        ("Ana María", "Pérez", "Soto", "12.345.678-5", "ana.perez@example.cl",
         "+56 9 6123 4567", "user"),
        ("Bruno", "Muñoz", "Rojas", "11.111.111-1", "bruno.munoz@example.cl",
         "+56 9 6123 4568", "administrator"),
    ),
}  # fmt: skip


def write_template(path: Path, language: HeaderLanguage) -> None:
    """Writes a list with column names and two example rows, which ``read_list`` can read.

    Args:
        path: a new file; its ending, ``.csv`` or ``.xlsx``, says of what kind.
        language: of the column names and roles.

    Raises:
        InvalidInput: the ending is another, or there is such a file already.
        FolderUnusable: the file cannot be written there.
    """
    rows = (HEADERS[language], *_EXAMPLES[language])
    match path.suffix.lower():
        case ".csv":
            content = _csv(rows, _DELIMITERS[language])
        case ".xlsx":
            content = _workbook(rows)
        case _:
            raise InvalidInput(
                "a template ends in .csv or .xlsx", remedy="Name a file with such an ending."
            )
    _write_new(path, content)


def _write_new(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise InvalidInput(
            "there is such a file already", remedy="Name a new file, or take that one away."
        ) from None
    except OSError:
        raise FolderUnusable(
            "the template cannot be written there",
            remedy="Name a folder that exists and that you may write to.",
        ) from None


def _csv(rows: Sequence[Sequence[str]], delimiter: str) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode("utf-8-sig")  # without the mark, Excel takes it for Latin-1


def _workbook(rows: Sequence[Sequence[str]]) -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for place in range(1, len(rows[0]) + 1):
        sheet.column_dimensions[get_column_letter(place)].width = COLUMN_WIDTH_CHARACTERS
        # As text from the start, or Excel makes numbers of phones and dates of RUTs.
        for number in range(2, ROWS_FORMATTED + 1):
            sheet.cell(number, place).number_format = TEXT_FORMAT
    sheet.freeze_panes = "A2"
    content = BytesIO()
    book.save(content)
    book.close()
    return content.getvalue()
