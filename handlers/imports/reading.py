"""Lists of people to invite: rows, each with what reading found wrong with it (I5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from handlers.imports.columns import FIELDS, field_of
from handlers.spreadsheets import lists
from handlers.spreadsheets.cells import RowFault

__all__ = ["ROWS_MAX", "ListedPerson", "PeopleList", "read_list"]

ROWS_MAX = 100_000

FORM = lists.Form(
    needed=FIELDS,
    field_of=field_of,
    rows_max=ROWS_MAX,
    needed_remedy=f"Name each of {', '.join(FIELDS)} once;"
    " acta invite template writes a list to fill in.",
    empty_remedy="Write a person a row.",
    nothing="nobody",
)


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """A row as it stands in the file.

    Attributes:
        row: its number as a spreadsheet program shows it, from 1.
        values: by field; empty where the cell is empty or at fault.
        faults: what reading alone found.
    """

    row: int
    values: Mapping[str, str]
    faults: tuple[RowFault, ...]


@dataclass(frozen=True, slots=True)
class PeopleList:
    """A list of people that can be read."""

    file: lists.ListFile

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file's bytes."""
        return self.file.digest

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.file.size_bytes

    @property
    def people(self) -> int:
        """How many rows are on it, blank ones and the header apart."""
        return self.file.length

    def rows(self) -> Iterator[ListedPerson]:
        """Everybody on the list, in order; it may be asked for again.

        Raises:
            UnreadableList: the file is not the one that was read first.
        """
        for row in self.file.rows():
            values = {name: cell.text for name, cell in row.cells.items()}
            yield ListedPerson(row.number, values, row.faults)


def read_list(path: Path) -> PeopleList:
    """Opens a list of people, and checks all that concerns it as a whole.

    Raises:
        UnreadableList: it cannot be used; nothing of it was.
    """
    return PeopleList(lists.read_list(path, FORM))
