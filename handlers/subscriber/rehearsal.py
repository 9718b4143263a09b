"""A rehearsal: a new subscriber over all of history, before it goes live."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .dead_letters import cause_of, place_in_code
from .event import Record, RecordReader
from .feed import Feed
from .halts import Gap
from .versions import Versions
from .work import Handle, Patience, Work

__all__ = ["Failure", "Rehearsal", "RehearsedWork"]

StoreT = TypeVar("StoreT")
FIRST_FEW = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails alike.

    Attributes:
        events: how many.
        first: where the first few of them stand: topic, partition, offset.
    """

    events: int
    first: Sequence[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsal showed.

    Attributes:
        events: that were read.
        dropped: of these, what the sandbox had already.
        failures: by cause, such as ``KeyError at invoices.py:42 in open_invoice``.
        gaps: versions that are missing.
        seconds: how long it took.
    """

    events: int
    dropped: int
    failures: Mapping[str, Failure]
    gaps: Sequence[Gap]
    seconds: float

    @property
    def may_go_live(self) -> bool:
        """Whether nothing failed and nothing was missing."""
        return not self.failures and not self.gaps


class RehearsedWork(Work[StoreT]):
    """Goes on whatever happens, and remembers it."""

    def __init__(
        self,
        handle: Handle[StoreT],
        versions: Versions[StoreT],
        feed: Feed,
        reader: RecordReader,
        patience: Patience,
        *,
        progress: Callable[[int], None],
    ) -> None:
        super().__init__(handle, versions, feed, reader, patience)
        self._progress = progress
        self.events = 0
        self._counted = Counter[str]()
        self._first: dict[str, list[tuple[str, int, int]]] = {}
        self._gaps: dict[tuple[str, int, int], Gap] = {}

    @property
    def failures(self) -> dict[str, Failure]:
        """By cause."""
        return {cause: Failure(n, self._first[cause]) for cause, n in self._counted.items()}

    @property
    def gaps(self) -> list[Gap]:
        """In the order in which they came."""
        return [*self._gaps.values()]

    def _take(self, records: Sequence[Record]) -> None:
        super()._take(records)
        self.events += len(records)
        self._progress(self.events)

    def _missed(self, gap: Gap) -> None:
        # By place, for a batch that fails is taken again.
        self._gaps[gap.topic, gap.partition, gap.offset] = gap

    def _failed(self, record: Record, error: Exception, _tries: int) -> None:
        cause = " at ".join(filter(None, (cause_of(error), place_in_code(error))))
        self._counted[cause] += 1
        first = self._first.setdefault(cause, [])
        if len(first) < FIRST_FEW:
            first.append((*record.place, record.offset))
