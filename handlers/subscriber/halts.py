"""Why a subscriber stops. It skips nothing: started again, it goes on at the same event.

Halt
├── Gap               a version of a stream is missing
├── Undeliverable     an event cannot be handled, and no dead letter can be written
├── SchemaUnknown     the registry does not know the schema that a record names
├── RegistryRefuses   the registry does not let us read
├── TopicMissing      there is no such topic
└── BrokerAway        no broker answers at the start
"""

__all__ = [
    "BrokerAway", "Gap", "Halt", "RegistryRefuses", "SchemaUnknown", "TopicMissing",
    "Undeliverable",
]  # fmt: skip


class Halt(Exception):  # noqa: N818  named for what happens
    """The subscriber stops here. A handler may raise it too: the event is then not taken."""


class Gap(Halt):
    """A version of a stream is missing: an event was lost, or the topic is another one.

    Attributes:
        stream: whose version is missing.
        expected: the version that had to come.
        got: the version that came.
        topic: where it came.
        partition: where it came.
        offset: where it came.
    """

    def __init__(
        self, stream: str, *, expected: int, got: int, topic: str, partition: int, offset: int
    ) -> None:
        super().__init__(
            f"stream {stream}: version {expected} is missing, {got} came"
            f" ({topic}, partition {partition}, offset {offset})"
        )
        self.stream = stream
        self.expected = expected
        self.got = got
        self.topic = topic
        self.partition = partition
        self.offset = offset


class Undeliverable(Halt):
    """An event cannot be handled, and no dead letter can be written of it."""


class SchemaUnknown(Halt):
    """The registry does not know the schema that a record names: it is another registry."""


class RegistryRefuses(Halt):
    """The registry answers, and does not let us read a schema."""


class TopicMissing(Halt):
    """There is no such topic."""


class BrokerAway(Halt):
    """No broker answers at the start, or not in time."""
