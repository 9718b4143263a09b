"""The names of what stands in Kafka: topics, records, subjects.

A stored topic (``account.UserRegistered.v1``) names a fact and its version. A topic of Kafka
(``acta.account.events.v1``) carries all facts of an aggregate, and its number is its generation: a
new one is filled beside the old where a contract could not be kept.
"""

import re
from dataclasses import dataclass

__all__ = [
    "AGGREGATE_OF_ENTRIES",
    "Subject",
    "aggregate_of",
    "announcement_key",
    "checkpoint_key",
    "checkpoint_topic",
    "entries_subject",
    "entries_topic",
    "event_subject",
    "events_topic",
    "read_subject",
    "record_name",
    "source",
    "subject",
    "transactional_id",
    "version_of",
]

AGGREGATE_OF_ENTRIES = "entries"
"""What stands in the place of the aggregate in the name of the flat record of money."""

_STORED_TOPIC = re.compile(r"(?P<aggregate>\w+)\.(?P<fact>\w+)\.v(?P<version>[1-9]\d*)", re.ASCII)
_OF_EVENTS = re.compile(
    r"(?P<namespace>[\w.-]+)\.(?P<aggregate>\w+)\.events\.v(?P<generation>[1-9]\d*)"
    r"-acta\.(?P=aggregate)\.(?P<fact>\w+)",
    re.ASCII,
)
_OF_ENTRIES = re.compile(
    r"(?P<namespace>[\w.-]+)\.entries\.v(?P<generation>[1-9]\d*)-value", re.ASCII
)


def events_topic(namespace: str, aggregate: str, generation: int = 1) -> str:
    """The topic that carries every event of an aggregate."""
    return f"{namespace}.{aggregate}.events.v{generation}"


def entries_topic(namespace: str, generation: int = 1) -> str:
    """The topic of money: one flat record for every event that names an amount."""
    return f"{namespace}.entries.v{generation}"


def checkpoint_topic(namespace: str) -> str:
    """The topic in which each relay says how far it came."""
    return f"{namespace}.relay.checkpoint"


def checkpoint_key(generation: int = 1) -> str:
    """The key under which the relay of a generation says how far it came."""
    return f"relay.v{generation}"


def announcement_key(generation: int = 1) -> str:
    """The key under which a relay says that it is about to take a generation over."""
    return f"{checkpoint_key(generation)}.coming"


def transactional_id(namespace: str, generation: int = 1) -> str:
    """What a relay is called by the broker: of two with one id, the later fences the earlier."""
    return f"{namespace}.relay.v{generation}"


def source(namespace: str) -> str:
    """The source of an event in the sense of CloudEvents."""
    return f"/{namespace}"


def record_name(stored_topic: str) -> str:
    """The full name of the Avro record of a stored topic; every version of a fact has the same.

    Raises:
        ValueError: this is not a stored topic.
    """
    parts = _parts(stored_topic)
    return f"acta.{parts['aggregate']}.{parts['fact']}"


def aggregate_of(stored_topic: str) -> str:
    """The aggregate of a stored topic.

    Raises:
        ValueError: this is not a stored topic.
    """
    return _parts(stored_topic)["aggregate"]


def version_of(stored_topic: str) -> int:
    """The version of the contract that a stored topic names.

    Raises:
        ValueError: this is not a stored topic.
    """
    return int(_parts(stored_topic)["version"])


def event_subject(namespace: str, stored_topic: str, generation: int = 1) -> str:
    """The subject of a fact in the registry (TopicRecordNameStrategy).

    Raises:
        ValueError: this is not a stored topic.
    """
    topic = events_topic(namespace, aggregate_of(stored_topic), generation)
    return f"{topic}-{record_name(stored_topic)}"


def entries_subject(namespace: str, generation: int = 1) -> str:
    """The subject of the flat record of money in the registry (TopicNameStrategy)."""
    return f"{entries_topic(namespace, generation)}-value"


def subject(namespace: str, stored_topic: str, generation: int = 1) -> str:
    """The subject of a contract in the registry, be it of a fact or of the entries.

    Raises:
        ValueError: this is not a stored topic.
    """
    if aggregate_of(stored_topic) == AGGREGATE_OF_ENTRIES:
        return entries_subject(namespace, generation)
    return event_subject(namespace, stored_topic, generation)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a subject of the registry names.

    Attributes:
        fact: the stored topic without its version: ``account.UserRegistered``, ``entries.Entry``.
    """

    namespace: str
    fact: str
    generation: int


def read_subject(name: str) -> Subject | None:
    """What a subject names; None if no namespace and generation has a subject of this form."""
    if found := _OF_EVENTS.fullmatch(name):
        fact = f"{found['aggregate']}.{found['fact']}"
        return Subject(found["namespace"], fact, int(found["generation"]))
    if found := _OF_ENTRIES.fullmatch(name):
        fact = f"{AGGREGATE_OF_ENTRIES}.Entry"
        return Subject(found["namespace"], fact, int(found["generation"]))
    return None


def _parts(stored_topic: str) -> re.Match[str]:
    found = _STORED_TOPIC.fullmatch(stored_topic)
    if found is None:
        raise ValueError(f"{stored_topic!r} is not the topic of a stored event")
    return found
