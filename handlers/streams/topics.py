"""The topics: made with the settings that the promises rest on, and refused with others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    # Documented to be here, and not exported by any __all__.
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
    NewTopic,  # pyright: ignore[reportPrivateImportUsage]
    OffsetSpec,  # pyright: ignore[reportPrivateImportUsage]
    ResourceType,  # pyright: ignore[reportPrivateImportUsage]
)

from handlers.faults import BrokerUnavailable, TopicUnsuitable
from handlers.streams.cluster import Cluster, fault_of

__all__ = [
    "Topic", "checkpoint_settings", "end_offset", "event_settings", "exists", "prepare",
    "without_records",
]  # fmt: skip

ANSWER_SECONDS = 5
"""How long a request may take; whoever is stopped meanwhile ends no sooner."""
CREATION_SECONDS = 15
LOOK_EVERY_SECONDS = 0.05
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it has to be.

    Attributes:
        settings: by name, as the broker writes them.
        at_least: settings that may also be larger.
    """

    name: str
    partitions: int
    settings: dict[str, str]
    at_least: dict[str, int]


def event_settings(name: str, partitions: int, record_bytes_max: int) -> Topic:
    """A topic of events: nothing in it is ever deleted, and none is turned away."""
    return Topic(
        name,
        partitions,
        {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            # A reader that begins at an instant means the one of recording.
            "message.timestamp.type": "CreateTime",
            "message.timestamp.before.max.ms": str(2**63 - 1),
            # A replica that lags behind would forget events that others have read.
            "unclean.leader.election.enable": "false",
        },
        {"max.message.bytes": record_bytes_max},
    )


def checkpoint_settings(name: str) -> Topic:
    """The topic of checkpoints, of which the last of each key is kept."""
    return Topic(
        name,
        1,
        {
            "cleanup.policy": "compact",
            "unclean.leader.election.enable": "false",
            # Whoever starts reads it from its beginning, so what is outdated goes soon.
            "min.cleanable.dirty.ratio": "0.05",
            "segment.bytes": str(MEBIBYTE),
        },
        {},
    )


def prepare(
    cluster: Cluster,
    topics: Sequence[Topic],
    *,
    replication_factor: int,
    known: Collection[str] = (),
) -> None:
    """Makes the topics that are missing, and sees that each is as it has to be.

    Args:
        cluster: where.
        topics: as they have to be.
        replication_factor: of those that are made; -1: the broker's default.
        known: those that hold records, and are not made anew.

    Raises:
        TopicUnsuitable: the settings of a topic would break a promise, or it is gone; nothing was
            changed in it.
        BrokerUnavailable: the cluster does not answer.
    """
    admin = cluster.admin()
    try:
        faults = [*_lost(admin, known)]
        if not faults:
            _make_missing(admin, topics, replication_factor)
            present = _present(admin, topics)
            faults = [*_partition_faults(present, topics), *_setting_faults(admin, topics)]
    except KafkaException as error:
        raise fault_of(error) from error
    if faults:
        raise TopicUnsuitable(
            "; ".join(faults),
            remedy="Mend the topic with your cluster's tools, or relay to a new --generation.",
        )


def exists(cluster: Cluster, topic: str) -> bool:
    """Whether there is such a topic.

    Raises:
        BrokerUnavailable: the cluster does not answer.
    """
    try:
        return topic in _partitions(cluster.admin())
    except KafkaException as error:
        raise fault_of(error) from error


def end_offset(cluster: Cluster, topic: str) -> int:
    """Behind the last record of a topic of one partition, aborted ones included.

    Raises:
        BrokerUnavailable: the cluster does not answer.
    """
    return _end_offsets(cluster, [TopicPartition(topic, 0)])[0]


def without_records(cluster: Cluster, topics: Sequence[Topic]) -> bool:
    """Whether nothing was ever written to any of the topics.

    Raises:
        BrokerUnavailable: the cluster does not answer.
    """
    return not any(
        _end_offsets(
            cluster,
            [
                TopicPartition(each.name, number)
                for each in topics
                for number in range(each.partitions)
            ],
        )
    )


def _end_offsets(cluster: Cluster, partitions: Sequence[TopicPartition]) -> list[int]:
    latest = dict.fromkeys(partitions, OffsetSpec.latest())
    admin = _untyped(cluster.admin())  # it has to live until it has answered
    try:
        # A client that knows no leaders yet would look for them again after seconds only.
        admin.list_topics(timeout=ANSWER_SECONDS)
        answers = admin.list_offsets(latest, request_timeout=ANSWER_SECONDS)
        return [int(answer.result().offset) for answer in answers.values()]
    except KafkaException as error:
        raise fault_of(error) from error


def _lost(admin: AdminClient, known: Collection[str]) -> Iterator[str]:
    for name in sorted({*known} - _partitions(admin).keys()) if known else ():
        yield f"the topic {name}, which held events, is gone"


def _make_missing(admin: AdminClient, topics: Sequence[Topic], replication_factor: int) -> None:
    present = _partitions(admin)
    missing = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=replication_factor,
            config=topic.settings | {name: str(least) for name, least in topic.at_least.items()},
        )
        for topic in topics
        if topic.name not in present
    ]
    if not missing:
        return
    created = _untyped(admin).create_topics(missing, operation_timeout=CREATION_SECONDS)
    for answer in created.values():
        try:
            answer.result()
        except KafkaException as error:
            # Another relay may start at this moment, too.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _present(admin: AdminClient, topics: Sequence[Topic]) -> dict[str, int]:
    """Partitions by topic, once all are seen: a broker learns a moment later of what was made."""
    deadline = monotonic() + ANSWER_SECONDS
    while True:
        present = _partitions(admin)
        unseen = {topic.name for topic in topics} - present.keys()
        if not unseen:
            return present
        if monotonic() > deadline:
            raise BrokerUnavailable(
                f"the topic {min(unseen)}, which was made, is not seen by every broker yet",
                remedy="See whether all brokers are well.",
            )
        sleep(LOOK_EVERY_SECONDS)


def _partition_faults(present: Mapping[str, int], topics: Sequence[Topic]) -> Iterator[str]:
    for topic in topics:
        partitions = present[topic.name]
        if partitions != topic.partitions:
            yield (
                f"the topic {topic.name} has {partitions} partitions instead of"
                f" {topic.partitions}: keys would change their partition, and lose their order"
            )


def _setting_faults(admin: AdminClient, topics: Sequence[Topic]) -> Iterator[str]:
    found = _settings(admin, topics)
    for topic in topics:
        actual = found[topic.name]
        for name, wanted in topic.settings.items():
            if actual.get(name) != wanted:
                yield f"the topic {topic.name} has {name}={actual.get(name)} instead of {wanted}"
        for name, least in topic.at_least.items():
            if int(actual.get(name) or 0) < least:
                yield f"the topic {topic.name} has {name}={actual.get(name)}, less than {least}"


def _partitions(admin: AdminClient) -> dict[str, int]:
    """How many partitions each topic has."""
    present = admin.list_topics(timeout=ANSWER_SECONDS).topics
    return {name: len(topic.partitions) for name, topic in present.items()}


def _settings(admin: AdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, str | None]]:
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
    answers = _untyped(admin).describe_configs(resources, request_timeout=ANSWER_SECONDS)
    return {
        resource.name: {name: entry.value for name, entry in answer.result().items()}
        for resource, answer in answers.items()
    }


def _untyped(admin: AdminClient) -> Any:
    """What its methods return is not annotated."""
    return admin
