"""What commands print: tables for people, JSON for programs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "by_field", "printable", "progress", "say", "show_time", "table", "tell", "write_json",
]  # fmt: skip

UNBOUNDED_WIDTH = 1000
"""Columns where nobody looks on: a file or a program gets every row on one line."""


def say(text: str) -> None:
    """A part of the answer, for people, on stdout."""
    print(printable(text), flush=True)


def tell(text: str) -> None:
    """Anything that is not the answer, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def write_json(answer: object) -> None:
    """A whole JSON value on one line of stdout."""
    print(json.dumps(answer, ensure_ascii=False, default=_plain), flush=True)


def by_field(record: "DataclassInstance") -> dict[str, Any]:
    """The fields of a record, as they go into JSON."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _plain(value: object) -> object:
    """What JSON does not know by itself: ids and days as text, instants in UTC, records."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date() | UUID():
            return str(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return by_field(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; as wide as it needs where stdout is not a terminal."""
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else UNBOUNDED_WIDTH)
    with console.capture() as captured:
        console.print(drawn)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), flush=True)


def printable(text: str) -> str:
    """Text without what a terminal would take for an order."""
    return "".join(mark if mark.isprintable() or mark == "\n" else "\ufffd" for mark in text)


def show_time(instant: datetime, time_zone: str = "UTC") -> str:
    """An instant for people, in a zone that a header or a word beside it names."""
    return f"{instant.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M:%S}"


@contextmanager
def progress(
    what: str, *, total: int | None = None, hidden: bool = False
) -> Generator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal.

    Args:
        what: is being done.
        total: how much there is to do; None where nobody knows.
        hidden: shows nothing, for what prints JSON to the same terminal.

    Yields:
        To be told how much has been done so far.
    """
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
        # Lines printed meanwhile go above the bar, but never from a file to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
