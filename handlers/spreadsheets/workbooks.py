"""Lists as Excel workbooks (.xlsx, .xlsm)."""

import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from xml.parsers import expat
from zipfile import ZipFile

from openpyxl import load_workbook

from handlers.spreadsheets.cells import FORMULA, Cell, Row, RowFault, UnreadableList, cell_of

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook as Book

__all__ = ["Workbook"]

UNPACKED_BYTES_MAX = 200 * 1024 * 1024
STRINGS_BYTES_MAX = 64 * 1024 * 1024
PART_BYTES_MAX = 20 * 1024 * 1024
STRINGS_ELEMENTS_MAX = 2_000_000
PART_ELEMENTS_MAX = 200_000
# What Excel itself allows.
ROW_NUMBER_MAX = 1_048_576
ROW_ELEMENTS_MAX = 4 * 16_384
ROW_TEXT_CHARACTERS_MAX = 1_000_000
ROWS_AT_ONCE = 200

_DATE = Cell(
    fault=RowFault(
        None, "is a date or a time", "Format the column as text, and type the value anew."
    )
)
_BOOLEAN = Cell(
    fault=RowFault(None, "is a truth value", "Format the column as text, and type the value anew.")
)
_ERROR = Cell(
    fault=RowFault(None, "is an error of the spreadsheet", "Type the value that belongs there.")
)


@dataclass(frozen=True, slots=True)
class Workbook:
    """The one visible sheet of a workbook that has content.

    Hidden sheets are not looked at. Hidden, filtered and merged cells are read like any others.

    Attributes:
        sheet: its place among the workbook's sheets, from 0.
    """

    path: Path
    sheet: int

    @classmethod
    def open(cls, path: Path) -> "Workbook":
        """Checks that a workbook can be read in bounded memory, and finds its sheet.

        Two visible sheets with content are refused: to take one of them would leave rows out.

        Raises:
            UnreadableList: it is damaged, locked or too large, or has not one sheet with content.
        """
        with _damage_told(), ZipFile(path) as archive:
            _check_parts(archive)
        with _workbook(path) as book:
            found = [
                place
                for place, sheet in enumerate(book.worksheets)
                if sheet.sheet_state == "visible" and not all(row.blank for row in _rows(sheet))
            ]
        if len(found) > 1:
            places = ", ".join(str(place + 1) for place in found)
            raise UnreadableList(
                f"several sheets of the workbook have content: {places}",
                remedy="Keep the list on one sheet, and hide or take out the others.",
            )
        if not found:
            raise UnreadableList(
                "the workbook has no visible sheet with content",
                remedy="Write the list on its first sheet.",
            )
        return cls(path, found[0])

    def rows(self) -> Iterator[Row]:
        """Every row, also a blank one.

        Raises:
            UnreadableList: the workbook is damaged.
        """
        with _workbook(self.path) as book:
            yield from _rows(book.worksheets[self.sheet])


@contextmanager
def _damage_told() -> Generator[None]:
    try:
        yield
    except UnreadableList:
        raise
    except Exception:  # noqa: BLE001  a broken part leads zipfile and openpyxl into any of them
        raise UnreadableList(
            "the workbook is damaged, or not as Excel writes it",
            remedy="Open it in a spreadsheet program, and save it anew as .xlsx.",
        ) from None


@contextmanager
def _workbook(path: Path) -> Generator["Book"]:
    # Opened here, since openpyxl would judge the file by its name.
    with path.open("rb") as file:
        # What openpyxl warns of, such as styles it leaves out, is nothing to a list.
        with _damage_told(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(file, read_only=True, keep_links=False)
        with closing(book):
            yield book


def _rows(sheet: Any) -> Iterator[Row]:
    """The rows of a read-only sheet, which the types of openpyxl take for another."""
    sheet.reset_dimensions()  # some programs write wrong ones, and cells would be left out
    cells = enumerate(sheet.iter_rows(), start=1)
    while True:
        # In batches, so that warnings are silenced while openpyxl works, not while others do.
        with _damage_told(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = [
                Row(number, tuple(_cell(cell.data_type, cell.value) for cell in row))
                for number, row in islice(cells, ROWS_AT_ONCE)
            ]
        if not batch:
            return
        yield from batch


def _cell(data_type: str, value: object) -> Cell:
    if value is None:
        return Cell()
    match data_type:
        case "f":
            return FORMULA
        case "e":
            return _ERROR
        case "b":
            return _BOOLEAN
        case "d":
            return replace(_DATE, value=_day(value))
        case "n":
            digits = _digits(value)
            return replace(cell_of(digits), value=Decimal(digits))
        case _:
            return cell_of(str(value))


def _day(value: object) -> date | None:
    """The day of a date, with or without a time; None of a time alone."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None


def _digits(number: object) -> str:
    """A number as it would be typed: no exponent, no ``.0``."""
    if isinstance(number, int):
        return str(number)
    digits = format(Decimal(repr(number)), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


# ---------------------------------------------------------------- what would fill the memory


def _check_parts(archive: ZipFile) -> None:
    """Reads each part for more than a list needs, before openpyxl makes objects of it."""
    parts = archive.infolist()
    # An entry gives no more bytes than it says here, whatever it holds.
    if sum(part.file_size for part in parts) > UNPACKED_BYTES_MAX:
        raise _too_large()
    for part in parts:
        if part.flag_bits & 1:
            raise UnreadableList(
                "the workbook is locked with a password", remedy="Save it without a password."
            )
        with archive.open(part) as content:
            _Guard(part.file_size).read(content)


def _too_large() -> UnreadableList:
    return UnreadableList(
        "the workbook holds far more than a list",
        remedy="Copy the list alone into a new workbook.",
    )


class _Guard:
    """Counts the elements of a part, and refuses what no spreadsheet program writes."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._elements = 0
        self._elements_max = PART_ELEMENTS_MAX
        self._root = ""
        self._row_number = 0
        self._in_row = False
        self._row_elements = 0
        self._row_characters = 0

    def read(self, content: IO[bytes]) -> None:
        """Reads a part, up to where it is XML.

        Raises:
            UnreadableList: it holds more than a list needs.
        """
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.EntityDeclHandler = _refuse_entities
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        # A picture; or a broken part, of which openpyxl gets no further either.
        with suppress(expat.ExpatError):
            parser.ParseFile(content)
        if self._root not in ("sst", "worksheet") and self._size_bytes > PART_BYTES_MAX:
            raise _too_large()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not self._root:
            self._begin(name)
        if name == "row" and self._root == "worksheet":
            self._begin_row(attributes.get("r"))
        elif self._in_row:
            self._row_elements += 1
        else:
            self._elements += 1
        if self._elements > self._elements_max or self._row_elements > ROW_ELEMENTS_MAX:
            raise _too_large()

    def _begin(self, root: str) -> None:
        self._root = root
        if root == "sst":
            self._elements_max = STRINGS_ELEMENTS_MAX
            if self._size_bytes > STRINGS_BYTES_MAX:
                raise _too_large()

    def _begin_row(self, number: str | None) -> None:
        following = int(number) if number else self._row_number + 1
        if not self._row_number < following <= ROW_NUMBER_MAX:
            raise ValueError(following)
        self._row_number = following
        self._in_row, self._row_elements, self._row_characters = True, 0, 0

    def _end(self, tag: str) -> None:
        if tag.rpartition(" ")[2] == "row":
            self._in_row = False

    def _characters(self, text: str) -> None:
        if self._in_row:
            self._row_characters += len(text)
            if self._row_characters > ROW_TEXT_CHARACTERS_MAX:
                raise _too_large()


def _refuse_entities(*_: object) -> None:
    raise UnreadableList(
        "the workbook declares XML entities, as no spreadsheet program does",
        remedy="Open it in a spreadsheet program, and save it anew as .xlsx.",
    )
