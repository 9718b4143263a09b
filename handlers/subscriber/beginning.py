"""Where to begin: the offsets at which a position of the log, or an instant, is reached."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from .event import EPOCH, Headers, Place

__all__ = ["Beginning", "offsets_at"]

Beginning: TypeAlias = int | datetime
"""The first event at or behind a position of the log, 0 for all, or recorded at or after a time."""

ANSWER_SECONDS = 10.0
MILLISECOND = timedelta(milliseconds=1)
FEW_AT_A_TIME: Mapping[str, Any] = {
    # Of each place that is looked at one record is wanted.
    "fetch.message.max.bytes": 16 * 1024,
    "queued.min.messages": 1,
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 10,
    "enable.partition.eof": True,
}


def offsets_at(
    beginning: Beginning, places: Iterable[Place], properties: Mapping[str, Any]
) -> dict[Place, int]:
    """The offset in each partition at which to begin.

    Within a partition positions grow, and so do recorded times but for milliseconds. Kafka's own
    look-up by time is of no use here: it also finds the marks that end transactions, which bear the
    time at which history was relayed.

    Args:
        beginning: what has to come first.
        places: the partitions.
        properties: of the consumer; one like it looks into the partitions.
    """
    # A member of the group by this name is at work already.
    others = {name: value for name, value in properties.items() if name != "group.instance.id"}
    probe = Consumer({**others, **FEW_AT_A_TIME})
    try:
        return {place: _offset_at(beginning, place, probe) for place in places}
    finally:
        probe.close()


def _offset_at(beginning: Beginning, place: Place, probe: Consumer) -> int:
    """Looks at few records; offsets have holes where transactions end."""
    low, high = probe.get_watermark_offsets(TopicPartition(*place), timeout=ANSWER_SECONDS)
    while low < high:
        middle = (low + high) // 2
        found = _first_from(middle, place, probe)
        if found is None or _is_reached(beginning, found):
            high = middle
        else:
            low = cast(int, found.offset()) + 1
    return low


def _first_from(offset: int, place: Place, probe: Consumer) -> Message | None:
    """The first event at or behind an offset; None if there is none."""
    probe.assign([TopicPartition(*place, offset)])
    while True:
        message = probe.poll(ANSWER_SECONDS)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  its own code
        error = message.error()
        if error is None:
            if _position(message) is not None:
                return message
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return None
        elif not error.retriable():
            raise KafkaException(error)


def _is_reached(beginning: Beginning, message: Message) -> bool:
    if isinstance(beginning, datetime):
        _, recorded_ms = message.timestamp()
        return EPOCH + recorded_ms * MILLISECOND >= beginning
    return (_position(message) or 0) >= beginning


def _position(message: Message) -> int | None:
    headers = cast(Headers, message.headers() or [])
    text = dict(headers).get("ce_position")
    return int(text) if text is not None and text.isdigit() else None
