"""Which version of each stream a service has: kept where and when its handler writes."""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, Protocol, TypeVar

__all__ = ["Kept", "MemoryVersions", "Transaction", "Versions"]

StoreT_co = TypeVar("StoreT_co", covariant=True)


class Kept(NamedTuple):
    """What is kept of a stream.

    Attributes:
        number: the last that was taken.
        is_last: whether nobody else of the group can have gone further.
    """

    number: int
    is_last: bool = True


class Transaction(Protocol[StoreT_co]):
    """In which the handler writes, and what it then has is kept, or neither."""

    @property
    def store(self) -> StoreT_co:
        """What the handler writes with."""
        ...

    def kept(self, names: Collection[str]) -> Mapping[str, Kept]:
        """What is kept of streams; until the transaction ends nobody else may change it."""
        ...

    def keep(self, numbers: Mapping[str, int]) -> None:
        """Keeps what was taken now."""
        ...


class Versions(Protocol[StoreT_co]):
    """Where versions are kept."""

    @property
    def outages(self) -> tuple[type[Exception], ...]:
        """What is raised while the place is away; it is waited for."""
        ...

    def prepare(self) -> None:
        """Makes the place, once at the start."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction[StoreT_co]]:
        """A transaction; an exception within it takes everything back."""
        ...

    def reassigned(self) -> None:
        """Told that partitions were given out anew: others may have gone further meanwhile."""
        ...


class MemoryVersions:
    """Keeps versions as long as the program runs, for programs without a database of their own.

    What was committed to Kafka before comes no more; an event that was handled and not yet
    committed when the program died comes again.

    Args:
        store: opens what the handler writes with, for each batch.
    """

    outages: tuple[type[Exception], ...] = ()

    def __init__(self, store: Callable[[], AbstractContextManager[Any]] = nullcontext) -> None:
        self._open_store = store
        self._kept: dict[str, Kept] = {}

    def prepare(self) -> None:
        """Nothing has to be made."""

    @contextmanager
    def transaction(self) -> "Generator[_MemoryTransaction]":
        """What the handler takes is kept once its store is closed."""
        with self._open_store() as store:
            transaction = _MemoryTransaction(store, self._kept)
            yield transaction
        self._kept |= transaction.taken

    def reassigned(self) -> None:
        """What was taken stays taken; but what comes next need not be the next version."""
        self._kept = {name: Kept(kept.number, is_last=False) for name, kept in self._kept.items()}


class _MemoryTransaction:
    def __init__(self, store: Any, kept: Mapping[str, Kept]) -> None:
        self.store = store
        self.taken: dict[str, Kept] = {}
        self._kept = kept

    def kept(self, names: Collection[str]) -> Mapping[str, Kept]:
        return {name: self._kept[name] for name in names if name in self._kept}

    def keep(self, numbers: Mapping[str, int]) -> None:
        self.taken = {name: Kept(number) for name, number in numbers.items()}
