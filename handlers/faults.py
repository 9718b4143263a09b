"""What can go wrong that is not a business no (that is ``domain.refusal.Refused``).

Fault
├── InvalidInput          what was given cannot be read, or is not what was asked for
├── CommandIdReused       the same command id came with another input
├── PositionBeyondHead    a position that the log has not reached
├── DeadlinePassed        what was asked for was not known in time
├── DatabaseUnavailable   no database answers, or not one of ours
│   └── DatabaseVersion   it answers, and is of another version
├── FolderUnusable        a folder or file that cannot be read or written as needed
├── KeyMissing            a key-encryption key that should be there is not
├── Contention            others were faster too many times in a row
├── BrokerUnavailable     no Kafka broker answers
├── RegistryUnavailable   no schema registry answers
├── SchemaRefused         a registry does not take a schema, or does not know one
├── TopicUnsuitable       the settings of a topic would break a promise
├── RecordTooLarge        an event does not fit into a record
├── LogDiffers            what was relayed is not in this log
└── RelayReplaced         another relay of the same name took over
"""

__all__ = [
    "BrokerUnavailable",
    "CommandIdReused",
    "Contention",
    "DatabaseUnavailable",
    "DatabaseVersion",
    "DeadlinePassed",
    "Fault",
    "FolderUnusable",
    "GatewayUnusable",
    "InvalidInput",
    "KeyMissing",
    "LogDiffers",
    "OrderRefused",
    "PositionBeyondHead",
    "RecordTooLarge",
    "RegistryUnavailable",
    "RelayReplaced",
    "SchemaRefused",
    "TopicUnsuitable",
]


class Fault(Exception):  # noqa: N818  the leaves are named for what happened
    """Something other than the business stands in the way.

    A fault is never stored: the same command id may be sent again once it is mended.
    Its texts name the place and the mend, and no personal value or secret.

    Attributes:
        message: what is wrong, and where.
        remedy: what mends it.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class InvalidInput(Fault):
    """What was given cannot be read, or is not what was asked for."""


class CommandIdReused(Fault):
    """The same command id came with another input (decision 6)."""


class PositionBeyondHead(Fault):
    """A position was asked for that the log has not reached (X4)."""


class DeadlinePassed(Fault):
    """What was asked for was not known by the deadline (X4)."""


class DatabaseUnavailable(Fault):
    """No database answers at the address, or what answers is not one of ours."""


class DatabaseVersion(DatabaseUnavailable):
    """The database is of another version than this program."""


class FolderUnusable(Fault):
    """A folder or file cannot be read, written or reached as needed."""


class KeyMissing(Fault):
    """A key-encryption key that should be there is not."""


class Contention(Fault):
    """Others were faster too many times in a row; nothing was done."""


class BrokerUnavailable(Fault):
    """No Kafka broker answers at the address, or not in time."""


class RegistryUnavailable(Fault):
    """No schema registry answers at the address."""


class SchemaRefused(Fault):
    """A registry does not take a schema, or does not know the one that a record names."""


class TopicUnsuitable(Fault):
    """The settings of a topic would break a promise that is made of it."""


class RecordTooLarge(Fault):
    """An event does not fit into a record; nothing behind it is relayed either."""


class LogDiffers(Fault):
    """What was relayed is not in this log: it is another one, or was set back."""


class RelayReplaced(Fault):
    """Another relay of the same name took over (decision 13)."""


class GatewayUnusable(Fault):
    """The payment gateway refuses Acta itself, such as for a wrong key, or none is set."""


class OrderRefused(Fault):
    """The gateway does not take one order, or tells otherwise of it than what is on record."""
