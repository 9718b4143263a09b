"""The subscriber: what a service makes, and runs."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tenacity import wait_exponential
from tenacity.wait import wait_base

from .beginning import Beginning
from .dead_letters import DeadLetters, words_of
from .event import RecordReader
from .feed import Feed, Interrupted
from .registry import Schemas
from .rehearsal import Rehearsal, RehearsedWork
from .versions import Versions
from .work import Handle, LiveWork, Patience

__all__ = ["Subscriber"]

StoreT = TypeVar("StoreT")


class Subscriber:
    """Takes events of topics, each exactly once for each place where versions are kept.

    Args:
        bootstrap_servers: addresses of Kafka brokers.
        schemas: where schemas come from, such as ``Registry``.
        group: under which name Kafka keeps how far this service came.
        topics: to read; of each every partition that Kafka gives this instance.
        properties: further properties of librdkafka, such as those of security; none of them
            changes what is promised here.
        dead_letters: the topic that takes events that cannot be handled; it is made where it is
            missing. None: the subscriber halts at such an event.
        tries: how often an event is tried, each time in a transaction of its own.
        wait: between tries, and while something is away.
        outages: exceptions that count as no try: something is away, and is waited for without end.
        batch: how many events share a transaction, at most.
        start_timeout_seconds: how long to wait for a broker at the start.
        words: what a dead letter may say of an exception besides its kind and place; nothing of
            the handler's own unless you say so, for its words may repeat a personal value.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str,
        schemas: Schemas,
        group: str,
        topics: Sequence[str],
        properties: Mapping[str, Any] | None = None,
        dead_letters: str | None = "{group}.dead-letters",
        tries: int = 5,
        wait: wait_base = wait_exponential(multiplier=0.1, max=30),  # noqa: B008  it is immutable
        outages: tuple[type[Exception], ...] = (),
        batch: int = 500,
        start_timeout_seconds: float = 60,
        words: Callable[[Exception], str] = words_of,
    ) -> None:
        self._properties = {**(properties or {}), "bootstrap.servers": bootstrap_servers}
        self._reader = RecordReader(schemas)
        self._group = group
        self._topics = topics
        self._dead_letters = dead_letters and dead_letters.format(group=group)
        self._patience = Patience(tries, wait, outages)
        self._batch = batch
        self._start_timeout_seconds = start_timeout_seconds
        self._words = words
        self._stopping = False

    def run(
        self,
        handle: Handle[StoreT],
        versions: Versions[StoreT],
        *,
        begin: Beginning | None = None,
        once: bool = False,
    ) -> None:
        """Hands events over until stopped.

        Args:
            handle: takes an event, and what it writes with: of ``PostgresVersions`` the connection,
                in whose transaction the version is kept. It does not commit.
            versions: where versions are kept.
            begin: where to begin, whatever was committed; None: behind that, or at the beginning.
            once: ends where the partitions end now.

        Raises:
            Halt: it cannot go on; started again it goes on at the same event.
            confluent_kafka.KafkaException: the broker does not let us read.
        """
        with self._feed(self._group, versions, once=once) as feed:
            dead_letters = self._ready_dead_letters()
            work = LiveWork(
                handle, versions, feed, self._reader, self._patience, dead_letters=dead_letters
            )
            feed.join(begin)
            work.run()

    def rehearse(
        self,
        handle: Handle[StoreT],
        versions: Versions[StoreT],
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Rehearsal:
        """Hands over all of history up to now, and leaves no trace in Kafka.

        Each event is tried once; what fails and what is missing is told, and the rest goes on.

        Args:
            handle: what is to go live.
            versions: of a sandbox: a database that may be thrown away.
            progress: told how many events were read so far.

        Raises:
            Halt: it cannot go on.
            confluent_kafka.KafkaException: the broker does not let us read.
        """
        began = time.monotonic()
        once_each = Patience(1, self._patience.wait, self._patience.outages)
        with self._feed(f"{self._group}.rehearsal", versions, once=True) as feed:
            work = RehearsedWork(handle, versions, feed, self._reader, once_each, progress=progress)
            feed.take_all()
            work.run()
        seconds = time.monotonic() - began
        return Rehearsal(work.events, work.dropped, work.failures, work.gaps, seconds)

    def stop(self) -> None:
        """Ends ``run`` after the events in hand; also from a signal handler or another thread."""
        self._stopping = True

    @contextmanager
    def _feed(self, group: str, versions: Versions[Any], *, once: bool) -> Generator[Feed]:
        feed = Feed(
            {**self._properties, "group.id": group},
            self._topics,
            batch=self._batch,
            once=once,
            stopped=lambda: self._stopping,
            reassigned=versions.reassigned,
        )
        try:
            feed.wait_for_broker(self._start_timeout_seconds)
            yield feed
        except Interrupted:
            pass
        finally:
            feed.close()

    def _ready_dead_letters(self) -> DeadLetters | None:
        if self._dead_letters is None:
            return None
        ready = DeadLetters(self._properties, self._dead_letters, self._group, self._words)
        ready.prepare(self._start_timeout_seconds)
        return ready
