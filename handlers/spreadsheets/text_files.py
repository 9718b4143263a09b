"""Lists as text: CSV with comma, semicolon or tab, in the encodings that spreadsheets write."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from handlers.spreadsheets.cells import ROW_CHARACTERS_MAX, Row, UnreadableList, cell_of

__all__ = ["TextFile"]

DELIMITERS = (";", ",", "\t")
PIECE_CHARACTERS = 64 * 1024
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A CSV file.

    Attributes:
        separator_line: its first line is Excel's ``sep=;``, which is no row.
    """

    path: Path
    encoding: str
    delimiter: str
    separator_line: bool

    @classmethod
    def open(cls, path: Path, is_column: Callable[[str], bool]) -> "TextFile":
        """Decides how a file is written: its encoding from all of it, the rest from its beginning.

        Args:
            path: the file.
            is_column: whether a header names a known column; the delimiter is the one that gives
                the most of them.

        Raises:
            UnreadableList: it is no text, or in two encodings.
        """
        encoding = _encoding(path)
        with _opened(path, encoding) as file:
            line = _first_line(file)
            if announced := _SEPARATOR_LINE.fullmatch(line):
                return cls(path, encoding, announced[1], separator_line=True)
            while line and not line.strip():
                line = _first_line(file)
        return cls(path, encoding, _delimiter(line, is_column), separator_line=False)

    def rows(self) -> Iterator[Row]:
        """Every row, also a blank one.

        Raises:
            UnreadableList: where a row ends cannot be told.
        """
        with _opened(self.path, self.encoding) as file:
            if self.separator_line:
                _first_line(file)
            lines = _Lines(file)
            # Strict: a quotation mark out of place would join rows unseen.
            reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
            while (texts := _next(reader, lines.row)) is not None:
                yield Row(lines.row, tuple(map(cell_of, texts)))
                lines.end_row()


class _Lines:
    """The lines of one row after the other, held to the length of a row."""

    def __init__(self, file: TextIO) -> None:
        self.row = 1
        self._file = file
        self._characters = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        # A row of full length may still have its line end.
        line = self._file.readline(ROW_CHARACTERS_MAX + len("\r\n"))
        if not line:
            raise StopIteration
        self._characters += len(line.rstrip("\r\n"))
        if self._characters > ROW_CHARACTERS_MAX:
            raise UnreadableList(
                f"row {self.row} is longer than {ROW_CHARACTERS_MAX} characters",
                remedy="Close the quotation mark that it may open, or shorten it.",
            )
        return line

    def end_row(self) -> None:
        """The next line begins a row."""
        self.row += 1
        self._characters = 0


def _next(reader: Iterator[list[str]], row: int) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error:
        raise UnreadableList(
            f"row {row} has a quotation mark out of place, or one that is never closed",
            remedy="Save the list anew from the spreadsheet program; write a mark within a quoted"
            " text twice.",
        ) from None


def _opened(path: Path, encoding: str) -> TextIO:
    # What Windows-1252 has no character for becomes a mark that faults its cell.
    errors = "replace" if encoding == "cp1252" else "strict"
    return path.open(encoding=encoding, errors=errors, newline="")


def _first_line(file: TextIO) -> str:
    """The first line; a longer one than a row may be is not needed whole."""
    return file.readline(ROW_CHARACTERS_MAX)


def _delimiter(line: str, is_column: Callable[[str], bool]) -> str:
    def known_columns(delimiter: str) -> tuple[int, int]:
        headers = next(csv.reader([line or "\n"], delimiter=delimiter, skipinitialspace=True))
        return sum(map(is_column, headers)), len(headers)

    return max(DELIMITERS, key=known_columns)


# ---------------------------------------------------------------- encoding


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(len(codecs.BOM_UTF16))
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        _check_utf_16(path)
        return "utf-16"
    first_utf_8, first_other = _first_lines(path)
    if first_utf_8 is not None and first_other is not None:
        raise UnreadableList(
            f"the file is in two encodings: line {first_utf_8} is UTF-8, line {first_other} is not",
            remedy="Open it in a spreadsheet program, correct the letters that look wrong, and save"
            " it as CSV UTF-8.",
        )
    return "utf-8-sig" if first_other is None else "cp1252"


def _first_lines(path: Path) -> tuple[int | None, int | None]:
    """The first line that is UTF-8 beyond ASCII, and the first that is not UTF-8."""
    first: dict[bool, int] = {}
    # Latin-1 gives each byte a character: lines can be told by any line end, and a long one read
    # in pieces.
    with path.open(encoding="latin-1", newline="") as file:
        number, line = 1, _LineBytes()
        while piece := file.readline(PIECE_CHARACTERS):
            _check_text(piece)
            line.take(piece.encode("latin-1"))
            if piece.endswith(("\n", "\r")):
                line.note(first, number)
                number, line = number + 1, _LineBytes()
        line.note(first, number)
    return first.get(True), first.get(False)


class _LineBytes:
    """Whether the bytes of a line are UTF-8, piece by piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ascii = True
        self._utf_8 = True

    def take(self, piece: bytes) -> None:
        if piece.isascii() and self._ascii:
            return
        self._ascii = False
        self._decode(piece)

    def note(self, first: dict[bool, int], number: int) -> None:
        if not self._ascii:
            self._decode(b"", final=True)
            first.setdefault(self._utf_8, number)

    def _decode(self, piece: bytes, *, final: bool = False) -> None:
        if self._utf_8:
            try:
                self._decoder.decode(piece, final)
            except UnicodeDecodeError:
                self._utf_8 = False


def _check_utf_16(path: Path) -> None:
    try:
        with path.open(encoding="utf-16", newline="") as file:
            while piece := file.read(PIECE_CHARACTERS):
                _check_text(piece)
    except UnicodeDecodeError:
        raise UnreadableList(
            "the file begins as UTF-16 and is not UTF-16 throughout",
            remedy="Save it anew from the spreadsheet program, as CSV UTF-8.",
        ) from None


def _check_text(piece: str) -> None:
    if "\0" in piece:
        raise UnreadableList(
            "the file is neither text nor a spreadsheet that can be read",
            remedy="Save the list as CSV UTF-8 or as an Excel workbook (.xlsx).",
        )
