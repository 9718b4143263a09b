"""What Kafka gives a subscriber: batches of messages of the partitions that are its own."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from .beginning import Beginning, offsets_at
from .event import Place, place_of
from .halts import BrokerAway, TopicMissing

__all__ = ["Feed", "Interrupted"]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
ANSWER_SECONDS = 10.0

PROMISED: Mapping[str, Any] = {
    # What the subscriber promises rests on these.
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
}
# Of these the broker or the network says sooner or later that they are over.
PASSING = frozenset({
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  confluent-kafka names its own codes so
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REBALANCE_IN_PROGRESS,
})  # fmt: skip


class Interrupted(Exception):  # noqa: N818  named for what happened
    """While it waited the subscriber was stopped, or lost partitions of the batch in hand."""


class Feed:
    """Messages of the partitions that a group gives out, or of all there are without a group.

    Args:
        properties: of librdkafka, with ``group.id`` among them.
        topics: to read.
        batch: how many messages come at once, at most.
        once: ends where the partitions end as it begins.
        stopped: tells whether to end.
        reassigned: told whenever partitions were given out.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        topics: Iterable[str],
        *,
        batch: int,
        once: bool,
        stopped: Callable[[], bool],
        reassigned: Callable[[], None],
    ) -> None:
        self._properties = {**properties, **PROMISED, "error_cb": self._on_error}
        self._consumer = Consumer(self._properties, logger=log)
        self._topics = [*topics]
        self._batch = batch
        self._once = once
        self._stopped = stopped
        self._reassigned = reassigned
        self._beginning: Beginning | None = None
        self._begun: set[Place] = set()
        self._taken: dict[Place, int] = {}
        self._hand: list[Message] = []
        self._lost: set[Place] = set()
        self._answered = False
        self._assigned = False
        self._ends: dict[Place, int] = {}
        self._unended: set[Place] = set()
        self._in_group = False

    # ------------------------------------------------------------ beginning and ending

    def join(self, beginning: Beginning | None) -> None:
        """Takes part in the group.

        Args:
            beginning: where to begin, whatever the group has committed; None: behind that, or at
                the very beginning.
        """
        self._in_group = True
        self._beginning = beginning
        self._consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def take_all(self) -> None:
        """Reads every partition from its beginning, and leaves no trace in Kafka."""
        partitions = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in self._topics
            for partition in self._metadata(topic).partitions
        ]
        self._given(partitions)
        self._consumer.assign(partitions)

    def wait_for_broker(self, timeout_seconds: float) -> None:
        """Waits until a broker answers, and sees that the topics are there.

        Raises:
            BrokerAway: none answers in time.
            TopicMissing: there is no such topic.
            Interrupted: the subscriber was stopped.
        """
        deadline, told = time.monotonic() + timeout_seconds, False
        while not self._answers(min(timeout_seconds, 1.0)):
            if self._stopped():
                raise Interrupted
            if not told:
                log.warning("no Kafka broker answers; waiting up to %g s", timeout_seconds)
                told = True
            if time.monotonic() >= deadline:
                raise BrokerAway(f"no Kafka broker answered within {timeout_seconds:g} s")
        self._answered = True
        for topic in self._topics:
            self._metadata(topic)

    def close(self) -> None:
        """Leaves the group; what was taken is committed."""
        self.commit()
        self._consumer.close()

    def _answers(self, timeout_seconds: float) -> bool:
        try:
            self._consumer.list_topics(timeout=timeout_seconds)
            return True
        except KafkaException as error:
            if _error(error).code() in PASSING:
                return False
            raise

    def _metadata(self, topic: str) -> Any:
        found = self._consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        if found.error is None:
            return found
        if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicMissing(f"there is no topic {topic}")
        raise KafkaException(found.error)

    # ------------------------------------------------------------ messages

    def batches(self) -> Iterator[list[Message]]:
        """Messages in the order of their partitions, until stopped or at the end."""
        while not self._stopped() and not self._at_end():
            self._hand.clear()
            timeout_seconds = POLL_SECONDS
            # Not all at once: what a rebalance takes away is to be told from what came since.
            while len(self._hand) < self._batch:
                message = self._consumer.poll(timeout_seconds)
                if message is None:
                    break
                if self._is_ours(message):
                    self._hand.append(message)
                timeout_seconds = 0
            self._lost.clear()
            if self._hand:
                yield [*self._hand]

    def taken(self, place: Place, offset: int) -> None:
        """Notes that a message is done with; ``commit`` tells Kafka."""
        self._taken[place] = offset + 1

    def commit(self) -> None:
        """Tells Kafka what is done with. Where that fails it comes again, and is dropped."""
        offsets = [TopicPartition(*place, offset) for place, offset in self._taken.items()]
        self._taken.clear()
        if not offsets or not self._in_group:
            return
        try:
            results = self._consumer.commit(offsets=offsets, asynchronous=False)
            failed = next((result.error for result in results if result.error), None)
        except KafkaException as error:
            failed = _error(error)
        if failed is not None:
            log.warning("offsets could not be committed: %s", failed.name())

    def wait(self, seconds: float) -> None:
        """Waits, and stays in the group meanwhile.

        Raises:
            Interrupted: the subscriber was stopped, or lost partitions.
        """
        deadline = time.monotonic() + seconds
        left = seconds
        while left >= 0:
            # Again each time: partitions may have come meanwhile.
            self._consumer.pause(self._consumer.assignment())
            message = self._consumer.poll(min(left, POLL_SECONDS))
            left = deadline - time.monotonic()
            if message is not None and self._is_ours(message):
                self._seek(place_of(message), cast(int, message.offset()))
            if self._stopped() or self._lost:
                raise Interrupted
        self._consumer.resume(self._consumer.assignment())

    def rewind(self, messages: Iterable[Message]) -> None:
        """Gives messages again that were not done with, where their partitions are still ours."""
        self._consumer.resume(self._consumer.assignment())
        first: dict[Place, int] = {}
        for message in messages:
            first.setdefault(place_of(message), cast(int, message.offset()))
        ours = {(partition.topic, partition.partition) for partition in self._consumer.assignment()}
        for place in first.keys() & (ours - self._lost):
            self._seek(place, first[place])

    def _seek(self, place: Place, offset: int) -> None:
        if place in self._ends:
            self._unended.add(place)
        self._consumer.seek(TopicPartition(*place, offset))

    def _is_ours(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            self._is_passing(message, error)
            return False
        place, offset = place_of(message), cast(int, message.offset())
        end = self._ends.get(place)
        if end is not None and offset + 1 >= end:
            self._unended.discard(place)
        return end is None or offset < end

    def _is_passing(self, message: Message, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._unended.discard(place_of(message))
        elif code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicMissing(f"there is no topic {message.topic()} any more")
        elif code in PASSING or error.retriable():
            log.warning("Kafka: %s", error.name())
        else:
            raise KafkaException(error)

    def _at_end(self) -> bool:
        return self._once and self._assigned and not self._unended

    # ------------------------------------------------------------ partitions come and go

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = {(each.topic, each.partition) for each in partitions}
        self._given(partitions)
        if self._beginning is not None and (fresh := places - self._begun):
            starts = offsets_at(self._beginning, fresh, self._properties)
            for partition in partitions:
                place = (partition.topic, partition.partition)
                partition.offset = starts.get(place, partition.offset)
            self._begun |= fresh
            assign = consumer.incremental_assign if self._incremental else consumer.assign
            assign(partitions)

    def _given(self, partitions: Iterable[TopicPartition]) -> None:
        self._assigned = True
        self._reassigned()
        for partition in partitions if self._once else ():
            place = (partition.topic, partition.partition)
            if place not in self._ends:
                _, self._ends[place] = self._consumer.get_watermark_offsets(
                    TopicPartition(*place), timeout=ANSWER_SECONDS
                )
            # Whether it is there already, the end of the partition tells.
            self._unended.add(place)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.commit()
        self._gone(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._gone(partitions)

    def _gone(self, partitions: list[TopicPartition]) -> None:
        # Those that come again would be paused still.
        self._consumer.resume(partitions)
        gone = {(partition.topic, partition.partition) for partition in partitions}
        if not self._incremental:
            # All are gone, and which come again is not known yet: this is not the end.
            self._assigned = False
        self._lost |= gone
        self._hand = [message for message in self._hand if place_of(message) not in gone]
        self._unended -= gone
        for place in gone:
            self._taken.pop(place, None)

    @property
    def _incremental(self) -> bool:
        strategy = str(self._properties.get("partition.assignment.strategy", ""))
        protocol = self._properties.get("group.protocol", "classic")
        return "cooperative" in strategy or protocol == "consumer"

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._answered:  # noqa: SLF001
            log.warning("no Kafka broker answers; waiting")


def _error(error: KafkaException) -> KafkaError:
    return cast(KafkaError, error.args[0])
