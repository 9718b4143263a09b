"""What a list is made of, whatever kind of file it came in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from handlers.faults import InvalidInput

__all__ = [
    "CELL_CHARACTERS_MAX", "FILE_BYTES_MAX", "ROW_CHARACTERS_MAX", "Cell", "Row", "RowFault",
    "Source", "UnreadableList", "cell_of",
]  # fmt: skip

FILE_BYTES_MAX = 20 * 1024 * 1024
ROW_CHARACTERS_MAX = 10_000
CELL_CHARACTERS_MAX = 1_000


class UnreadableList(InvalidInput):
    """The whole file cannot be used: nothing of it was."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a row, and what mends it; never a value of it.

    Attributes:
        field: the field at fault; None for the row as a whole.
    """

    field: str | None
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, or what is wrong with it.

    Attributes:
        value: the number or the day that a workbook keeps there; a day is at fault where a text
            is wanted, since a spreadsheet program may have made it out of one.
    """

    text: str = ""
    fault: RowFault | None = None
    value: Decimal | date | None = None

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return not self.text and self.fault is None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file, also a blank one."""

    number: int
    cells: tuple[Cell, ...]

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return all(cell.blank for cell in self.cells)


class Source(Protocol):
    """A file whose rows can be read, any number of times."""

    def rows(self) -> Iterator[Row]:
        """Every row, also a blank one.

        Raises:
            UnreadableList: the file breaks off, or is none of its kind after all.
        """
        ...


# Marks of direction and width come along unseen when a number is copied from a phone or a page.
_UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

FORMULA = Cell(
    fault=RowFault(
        None, "is a formula", "Copy the cells and paste them as values; begin no text with '='."
    )
)
TOO_LONG = Cell(
    fault=RowFault(
        None, f"is longer than {CELL_CHARACTERS_MAX} characters", "Write one value in a cell."
    )
)
CONTROL_CHARACTERS = Cell(
    fault=RowFault(None, "holds control characters", "Type the value anew instead of pasting it.")
)
LOST_CHARACTERS = Cell(
    fault=RowFault(
        None,
        "holds a character that was lost when the file was saved",
        "Correct it, and save the file as UTF-8.",
    )
)


def cell_of(text: str) -> Cell:
    """A cell in which a text stands.

    Space around it is taken off, a line break within becomes a space, and characters that nobody
    sees are left out.
    """
    if len(text) > CELL_CHARACTERS_MAX:
        return TOO_LONG
    if _CONTROL.search(text):
        return CONTROL_CHARACTERS
    if "\ufffd" in text:
        return LOST_CHARACTERS
    clean = " ".join(_UNSEEN.sub("", text).split())
    return FORMULA if clean.startswith("=") else Cell(clean)
