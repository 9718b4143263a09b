"""How far a relay came, as it says in Kafka itself, in the transaction of what it wrote."""

from collections.abc import Set as AbstractSet
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from handlers.faults import BrokerUnavailable, LogDiffers
from handlers.streams.cluster import Cluster, fault_of
from handlers.streams.topics import end_offset

__all__ = ["Checkpoint", "last_checkpoint", "spoken_since"]

READING_SECONDS = 10
"""How long others' open transactions are waited for before anybody is told of them."""
RECORDS_AT_ONCE = 1000
CONSUME_SECONDS = 0.01
"""It waits for so long whenever there are fewer, and a takeover waits for it."""


class Checkpoint(BaseModel):
    """How far the relay of a generation came, and how it fares.

    Attributes:
        position: of the last event that is in Kafka; 0 before the first.
        event_id: of that event, by which its log is known again.
        instance: the run of the relay that says so; the last one to say anything owns the topics.
        partitions: how many a topic of events has, for as long as the generation lives.
        topics: those of the generation, none of which may be lost.
        entry_schema_id: of the flat entries: ids come from one source for the whole generation.
        events: how many this run brought over.
        events_per_second: likewise, lately.
        committed: transactions of this run that succeeded, this one included.
        failed: those that did not, or whose outcome was unknown.
        at: when it was said.
    """

    model_config = ConfigDict(frozen=True)

    position: int
    event_id: str | None
    instance: str
    partitions: int
    topics: tuple[str, ...] = ()
    entry_schema_id: int
    events: int
    events_per_second: float
    committed: int
    failed: int
    at: AwareDatetime


def last_checkpoint(
    cluster: Cluster, topic: str, key: str, *, so_far: bool = False
) -> Checkpoint | None:
    """The last word of the relay with this key that was committed; None if there is none.

    Args:
        cluster: where the topic is.
        topic: the topic of checkpoints.
        key: the relay's.
        so_far: behind an open transaction there may be more, which is not waited for; else it is
            read to the very end. Whoever has fenced nobody yet would wait for a dead one.

    Raises:
        BrokerUnavailable: the cluster does not answer, or a transaction stays open.
        LogDiffers: the last word cannot be read.
    """
    return _last(cluster, topic, {key}, "read_committed", 0, so_far=so_far)


def spoken_since(
    cluster: Cluster, topic: str, keys: AbstractSet[str], offset: int
) -> Checkpoint | None:
    """The last word under any of these keys since an offset, whatever became of it.

    Raises:
        BrokerUnavailable: the cluster does not answer.
        LogDiffers: the last word cannot be read.
    """
    return _last(cluster, topic, keys, "read_uncommitted", offset)


def _last(
    cluster: Cluster,
    topic: str,
    keys: AbstractSet[str],
    isolation: str,
    beginning: int,
    *,
    so_far: bool = False,
) -> Checkpoint | None:
    end = end_offset(cluster, topic)
    if end <= beginning:
        return None
    first = TopicPartition(topic, 0, beginning)
    sought = {key.encode() for key in keys}
    value = _last_value(cluster, first, sought, end, isolation, so_far=so_far)
    if value is None:
        return None
    try:
        return Checkpoint.model_validate_json(value)
    except ValidationError:
        raise LogDiffers(
            f"the checkpoint {min(keys)} in the topic {topic} cannot be read",
            remedy="Use the version of Acta that wrote it, or relay to a new --generation.",
        ) from None


def _last_value(
    cluster: Cluster,
    beginning: TopicPartition,
    keys: AbstractSet[bytes | None],
    end: int,
    isolation: str,
    *,
    so_far: bool,
) -> bytes | None:
    last: bytes | None = None
    reached = 0
    deadline = monotonic() + READING_SECONDS
    consumer = cluster.reader(isolation)
    try:
        consumer.assign([beginning])
        while reached < end:
            if monotonic() > deadline:
                raise BrokerUnavailable(
                    f"the topic {beginning.topic} could not be read to its end:"
                    " somebody's transaction is open in it",
                    remedy="It ends by itself at its timeout; see who writes there.",
                )
            for message in consumer.consume(RECORDS_AT_ONCE, CONSUME_SECONDS):
                error = message.error()
                offset = message.offset() or 0
                if error is None:
                    reached = offset + 1
                    if message.key() in keys:
                        last = message.value()
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  it has no other name
                    # Behind the last record there are the marks at which transactions ended.
                    reached = end if so_far else offset
                elif error.fatal() or not error.retriable():
                    raise fault_of(error)
    except KafkaException as error:
        raise fault_of(error) from error
    finally:
        consumer.close()
    return last
