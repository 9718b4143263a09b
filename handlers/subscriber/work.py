"""Takes events once: in batches as long as all goes well, else one by one."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from confluent_kafka import Message
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
)
from tenacity.wait import wait_base

from .dead_letters import DeadLetters, cause_of
from .event import Event, Mark, Record, RecordReader, Undecodable
from .feed import Feed, Interrupted
from .halts import Gap, Halt, Undeliverable
from .registry import RegistryAway
from .versions import Kept, Versions

__all__ = ["Handle", "LiveWork", "Patience", "Work"]

log = logging.getLogger(__name__)

StoreT = TypeVar("StoreT")
Handle = Callable[[Event, StoreT], object]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and how long after each other, something is tried.

    Attributes:
        tries: of an event.
        wait: between tries.
        outages: exceptions that count as no try: something is away, and is waited for.
    """

    tries: int
    wait: wait_base
    outages: tuple[type[Exception], ...]


class Work(ABC, Generic[StoreT]):
    """Hands events to a handler, each once."""

    def __init__(
        self,
        handle: Handle[StoreT],
        versions: Versions[StoreT],
        feed: Feed,
        reader: RecordReader,
        patience: Patience,
    ) -> None:
        self._handle = handle
        self._versions = versions
        self._feed = feed
        self._reader = reader
        self._patience = patience
        outages = (*patience.outages, *versions.outages, RegistryAway)
        self._patiently = Retrying(
            retry=retry_if_exception_type(outages),
            wait=patience.wait,
            sleep=feed.wait,
            before_sleep=_tell_of_outage,
            reraise=True,
        )
        self._in_tries = Retrying(
            retry=retry_if_not_exception_type((Halt, Interrupted, Undecodable)),
            stop=stop_after_attempt(patience.tries),
            wait=patience.wait,
            sleep=feed.wait,
            reraise=True,
        )
        self.dropped = 0

    def run(self) -> None:
        """Takes whatever the feed gives, to its end.

        Raises:
            Halt: it cannot go on.
        """
        self._patiently(self._versions.prepare)
        for messages in self._feed.batches():
            try:
                self._take(self._patiently(self._read, messages))
            except Interrupted:
                self._feed.rewind(messages)
            self._feed.commit()

    @abstractmethod
    def _missed(self, gap: Gap) -> None:
        """Versions of a stream are missing; where this returns the stream goes on behind them."""

    @abstractmethod
    def _failed(self, record: Record, error: Exception, tries: int, /) -> None:
        """An event cannot be handled; where this returns it counts as taken."""

    # ------------------------------------------------------------ batches, events

    def _read(self, messages: Sequence[Message]) -> list[Record]:
        return [self._reader.read(message) for message in messages]

    def _take(self, records: Sequence[Record]) -> None:
        if len(records) > 1:
            try:
                self._apply(records, self._hand_over)
                return
            except Interrupted:
                raise
            except Exception as error:  # noqa: BLE001  the same comes again one by one, and is told
                log.info("a batch is taken one by one: %s", cause_of(error))
        for record in records:
            self._take_one(record)

    def _take_one(self, record: Record) -> None:
        tries = self._in_tries.copy()
        try:
            tries(self._apply, [record], self._hand_over)
        except (Halt, Interrupted):
            raise
        except Exception as error:  # noqa: BLE001  whatever a handler raises
            self._failed(record, error, tries.statistics["attempt_number"])
            self._apply([record], lambda _record, _store: None)

    def _hand_over(self, record: Record, store: StoreT) -> None:
        if isinstance(record.event, Undecodable):
            raise record.event
        self._handle(record.event, store)

    def _apply(self, records: Sequence[Record], do: Callable[[Record, StoreT], object]) -> None:
        """All of them in one transaction, however long its database is away."""
        self.dropped += self._patiently(self._apply_now, records, do)
        for record in records:
            self._feed.taken(record.place, record.offset)

    def _apply_now(self, records: Sequence[Record], do: Callable[[Record, StoreT], object]) -> int:
        dropped = 0
        marks = [record.mark for record in records if record.mark is not None]
        with self._versions.transaction() as transaction:
            kept = dict(transaction.kept({mark.name for mark in marks}))
            taken: dict[str, int] = {}
            for record in records:
                if self._is_taken(record, kept):
                    dropped += 1
                    continue
                do(record, transaction.store)
                if (mark := record.mark) is not None:
                    kept[mark.name] = Kept(mark.number)
                    taken[mark.name] = mark.number
            if taken:
                transaction.keep(taken)
        return dropped

    def _is_taken(self, record: Record, kept: dict[str, Kept]) -> bool:
        """Whether it was taken before; if versions before it were not, says so."""
        mark = record.mark
        last = kept.get(mark.name) if mark is not None else None
        if mark is None or last is None:
            return False
        if mark.number > last.number + 1 and mark.gapless and last.is_last:
            self._missed(_gap(record, mark, last))
        return mark.number <= last.number


class LiveWork(Work[StoreT]):
    """The real work: halts on a gap, buries what cannot be handled."""

    def __init__(
        self,
        handle: Handle[StoreT],
        versions: Versions[StoreT],
        feed: Feed,
        reader: RecordReader,
        patience: Patience,
        *,
        dead_letters: DeadLetters | None,
    ) -> None:
        super().__init__(handle, versions, feed, reader, patience)
        self._dead_letters = dead_letters

    def _missed(self, gap: Gap) -> None:
        raise gap

    def _failed(self, record: Record, error: Exception, tries: int) -> None:
        topic, partition = record.place
        place = f"{topic}, partition {partition}, offset {record.offset}"
        if self._dead_letters is None:
            reason = str(error) if isinstance(error, Undecodable) else cause_of(error)
            raise Undeliverable(f"an event cannot be handled: {reason} ({place})") from error
        log.warning("to the dead letters after %d tries: %s (%s)", tries, cause_of(error), place)
        self._dead_letters.send(record, error, tries, self._feed.wait)


def _gap(record: Record, mark: Mark, last: Kept) -> Gap:
    topic, partition = record.place
    return Gap(
        mark.name,
        expected=last.number + 1,
        got=mark.number,
        topic=topic,
        partition=partition,
        offset=record.offset,
    )


def _tell_of_outage(state: RetryCallState) -> None:
    """Once for each outage."""
    error = state.outcome.exception() if state.outcome is not None else None
    if state.attempt_number == 1 and error is not None:
        ours = isinstance(error, RegistryAway)
        log.warning("waiting: %s", error if ours else cause_of(error))
