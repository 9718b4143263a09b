"""Lists in files: CSV and Excel workbooks become rows, cells by column.

A file that cannot be used as a whole is refused before the first row is given; rows at fault stop
no others. Texts of faults name places and columns, never what stands in a cell.
"""

import hashlib
import mmap
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from zipfile import BadZipFile, ZipFile

from handlers.spreadsheets.cells import (
    FILE_BYTES_MAX,
    Cell,
    Row,
    RowFault,
    Source,
    UnreadableList,
)
from handlers.spreadsheets.text_files import TextFile
from handlers.spreadsheets.workbooks import Workbook

__all__ = ["Form", "ListFile", "ListedRow", "read_list"]

NAMES_SHOWN_MAX = 20
SAVE_ANEW = "Save the list as CSV UTF-8 or as an Excel workbook (.xlsx)."


@dataclass(frozen=True, slots=True)
class Form:
    """What a list of some kind looks like.

    Attributes:
        needed: the columns that it has.
        optional: those that it may have.
        others: it may have any others too, which are not read.
        field_of: the column that a header names; None where it names none of them.
        rows_max: how many rows there may be.
        needed_remedy: how to mend its columns.
        empty_remedy: what to write where there is no row.
        nothing: what is called missing there.
    """

    needed: tuple[str, ...]
    field_of: Callable[[str], str | None]
    rows_max: int
    needed_remedy: str
    empty_remedy: str
    optional: tuple[str, ...] = ()
    others: bool = False
    nothing: str = "nothing"

    def is_column(self, header: str) -> bool:
        """Whether a header names a column of such a list."""
        return self.field_of(header) is not None


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of a list, as it stands in the file.

    Attributes:
        number: as a spreadsheet program shows it, from 1.
        cells: by column; those that the file does not have are blank.
        faults: what reading alone found.
    """

    number: int
    cells: Mapping[str, Cell]
    faults: tuple[RowFault, ...]


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list that can be read.

    Attributes:
        digest: SHA-256 of the file's bytes.
        size_bytes: size of the file.
        header_row: number of the row that names the columns.
        named: the places of all cells that stand below a name, from 0.
        columns: the place of each column among the cells of a row.
        length: how many rows are on it, blank ones and the header apart.
    """

    path: Path
    form: Form
    digest: bytes
    size_bytes: int
    header_row: int
    named: frozenset[int]
    columns: Mapping[str, int]
    length: int
    source: Source = field(repr=False)

    def rows(self) -> Iterator[ListedRow]:
        """The rows, in order; it may be asked for again.

        Blank rows are left out, and still count in the numbers of those below.

        Raises:
            UnreadableList: the file is not the one that was read first.
        """
        with _readable():
            if _digest(self.path) != self.digest:
                raise UnreadableList(
                    "the file has changed since its reading began", remedy="Read it anew."
                )
            for row in self.source.rows():
                if row.number > self.header_row and not row.blank:
                    yield self._listed(row)

    def _listed(self, row: Row) -> ListedRow:
        cells = {name: self._cell(row, name) for name in (*self.form.needed, *self.form.optional)}
        faults = [
            replace(cell.fault, field=name)
            for name, cell in cells.items()
            if cell.fault is not None
        ]
        if any(not cell.blank for place, cell in enumerate(row.cells) if place not in self.named):
            faults.append(_OUTSIDE)
        return ListedRow(row.number, cells, tuple(faults))

    def _cell(self, row: Row, name: str) -> Cell:
        place = self.columns.get(name, len(row.cells))
        return row.cells[place] if place < len(row.cells) else Cell()


_OUTSIDE = RowFault(
    None,
    "has more cells than there are columns",
    "Clear what stands outside of the named columns; put a text that holds the separator in"
    " double quotes.",
)


def read_list(path: Path, form: Form) -> ListFile:
    """Opens a list, and checks all that concerns it as a whole.

    CSV with comma, semicolon or tab, in UTF-8, UTF-16 or Windows-1252 (of which Latin-1 text is a
    part), and Excel workbooks; told apart by what they hold, not by their names. It is read in
    bounded memory.

    Raises:
        UnreadableList: it cannot be used; nothing of it was.
    """
    with _readable():
        size_bytes = _size_bytes(path, form)
        digest = _digest(path)
        source = _source(path, form)
        header, columns = _header(source, form)
        named = frozenset(place for place, cell in enumerate(header.cells) if not cell.blank)
        length = _length(source, form)
        return ListFile(
            path, form, digest, size_bytes, header.number, named, columns, length, source
        )


@contextmanager
def _readable() -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UnreadableList(
            "there is no such file", remedy="Check its name and its folder."
        ) from None
    except OSError:
        raise UnreadableList(
            "the file cannot be read", remedy="Check that you may read it, and that its disk works."
        ) from None


def _size_bytes(path: Path, form: Form) -> int:
    status = path.stat()
    if S_ISDIR(status.st_mode):
        raise UnreadableList("that is a folder, not a file", remedy="Name the list in it.")
    if not S_ISREG(status.st_mode):
        raise UnreadableList("that is no ordinary file", remedy=SAVE_ANEW)
    if status.st_size == 0:
        raise UnreadableList("the file is empty", remedy=form.needed_remedy)
    if status.st_size > FILE_BYTES_MAX:
        raise UnreadableList(
            f"the file is larger than {FILE_BYTES_MAX // 1024**2} MiB",
            remedy="Split the list into several files, each with its row of column names.",
        )
    return status.st_size


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _length(source: Source, form: Form) -> int:
    length = sum(not row.blank for row in source.rows()) - 1
    if length > form.rows_max:
        raise UnreadableList(
            f"the list has more than {form.rows_max} rows",
            remedy="Split it into several files, each with its row of column names.",
        )
    if length == 0:
        raise UnreadableList(
            f"the list has column names and {form.nothing} below them", remedy=form.empty_remedy
        )
    return length


# ---------------------------------------------------------------- what kind of file it is

# How files begin that are sometimes taken for a list.
_BEGINNINGS = (
    (rb"%PDF-", "a PDF"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF.{4}WEBP", "a picture"),
    (rb"\{\\rtf", "a text document (RTF)"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!", "a compressed archive"),
    (rb"(?i)(?:\xef\xbb\xbf)?\s*(?:<!doctype|<html|<\?xml|<table)", "a web page or XML"),
)
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")


def _source(path: Path, form: Form) -> Source:
    with path.open("rb") as file:
        beginning = file.read(512)
    if beginning.startswith(_COMPOUND_FILE):
        raise _compound_file(path)
    if beginning.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        _check_archive(path)
        return Workbook.open(path)
    for pattern, kind in _BEGINNINGS:
        if re.match(pattern, beginning, re.DOTALL):
            raise _wrong_kind(kind)
    return TextFile.open(path, form.is_column)


def _wrong_kind(kind: str) -> UnreadableList:
    return UnreadableList(f"the file is {kind}, not a list", remedy=SAVE_ANEW)


def _compound_file(path: Path) -> UnreadableList:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        encrypted = content.find(_ENCRYPTED_PACKAGE) >= 0
    if encrypted:
        return UnreadableList(
            "the workbook is locked with a password", remedy="Save it without a password."
        )
    return UnreadableList(
        "the file is of an old Office format, such as .xls",
        remedy="Open it in a spreadsheet program, and save it as .xlsx.",
    )


def _check_archive(path: Path) -> None:
    try:
        with ZipFile(path) as archive:
            names = set(archive.namelist())
    except (BadZipFile, ValueError, NotImplementedError):
        raise UnreadableList(
            "the file is a damaged workbook or archive", remedy=SAVE_ANEW
        ) from None
    if "xl/workbook.bin" in names:
        raise _wrong_kind("a binary workbook (.xlsb)")
    if "mimetype" in names and "content.xml" in names:
        raise _wrong_kind("an OpenDocument file, such as .ods")
    if "[Content_Types].xml" not in names:
        raise _wrong_kind("a compressed archive")
    if not any(name.startswith("xl/") for name in names):
        raise _wrong_kind("a document of another Office program")


# ---------------------------------------------------------------- the columns


def _header(source: Source, form: Form) -> tuple[Row, dict[str, int]]:
    """The first row that is not blank, and where in it each column stands."""
    header = next((row for row in source.rows() if not row.blank), None)
    if header is None:
        raise UnreadableList("the file has no rows", remedy=form.needed_remedy)
    places: dict[str, list[int]] = {name: [] for name in (*form.needed, *form.optional)}
    unknown: list[str] = []
    for place, cell in enumerate(header.cells):
        if (name := form.field_of(cell.text)) is not None:
            places[name].append(place)
        elif not cell.blank and not form.others:
            unknown.append(_shown(cell.text, place))
    _check_columns(header.number, form, places, unknown)
    return header, {name: found[0] for name, found in places.items() if found}


def _check_columns(
    row: int, form: Form, places: Mapping[str, list[int]], unknown: list[str]
) -> None:
    missing = [name for name in form.needed if not places[name]]
    if len(missing) >= len(form.needed) - 1:
        # It may be a row of the list: what stands there is not repeated.
        raise UnreadableList(
            f"row {row}, the first, does not name the columns", remedy=form.needed_remedy
        )
    doubled = [
        f"{name} ({' and '.join(map(_letters, found))})"
        for name, found in places.items()
        if len(found) > 1
    ]
    wrong = [
        f"{what}: {_listing(names)}"
        for what, names in (("missing", missing), ("doubled", doubled), ("unknown", unknown))
        if names
    ]
    if wrong:
        raise UnreadableList(
            f"the columns do not fit; {'; '.join(wrong)}", remedy=form.needed_remedy
        )


def _listing(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN_MAX
    return ", ".join(names[:NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")


def _shown(name: str, place: int) -> str:
    """The name of an unknown column, where it reads like one and not like somebody's value."""
    fit = re.fullmatch(r"[^\W\d_](?:[^\W\d]|[ ./()-]){0,39}", name)
    return f"{name} ({_letters(place)})" if fit else f"column {_letters(place)}"


def _letters(place: int) -> str:
    """The letters by which a spreadsheet program names a column, counted from 0."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
