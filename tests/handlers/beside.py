"""Two ledgers on one database, one of which acts between a decision of the other and its append."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from handlers.composition import Acta, open_ledger
from tests.conftest import TestDatabase


@dataclass(frozen=True)
class TwoLedgers:
    """A ledger, and another beside it.

    Attributes:
        acta: is disturbed.
        other: disturbs it.
        meanwhile: takes what happens once, before the next append of ``acta``.
    """

    acta: Acta
    other: Acta
    meanwhile: Callable[[Callable[[], object]], None]


@contextmanager
def two_ledgers(database: TestDatabase) -> Iterator[TwoLedgers]:
    """Both, open."""
    waiting: list[Callable[[], object]] = []

    def reached(point: str) -> None:
        if point == "before append" and waiting:
            waiting.pop()()

    with (
        open_ledger(database.settings(), reached=reached) as acta,
        open_ledger(database.settings()) as other,
    ):
        yield TwoLedgers(acta, other, waiting.append)
