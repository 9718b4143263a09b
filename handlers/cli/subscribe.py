"""The command for whoever looks at what other services get: subscribe."""

import base64
import json
import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from handlers.cli.arguments import parse_instant
from handlers.cli.output import by_field, tell
from handlers.cli.signals import ended_by_signals
from handlers.faults import (
    BrokerUnavailable,
    Fault,
    InvalidInput,
    RegistryUnavailable,
    SchemaRefused,
)

if TYPE_CHECKING:
    from handlers.settings import Settings
    from handlers.subscriber import Event, Halt, Schemas

__all__ = ["subscribe"]

BEGINNING = "beginning"


LOGGER = "handlers.subscriber"


def subscribe(
    *,
    topic: Annotated[
        list[str],
        typer.Option(
            "--topic",
            metavar="TOPIC",
            help="A topic, or an aggregate such as subscription, or entries; may be repeated.",
        ),
    ],
    group: Annotated[
        str,
        typer.Option(
            "--group",
            metavar="NAME",
            help="Under which name Kafka keeps how far was read; it goes on from there.",
        ),
    ],
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="beginning|POSITION|INSTANT",
            help="Begin at a position of the log, or at what was recorded at an instant, such as"
            " 2026-03-01T09:00:00-03:00, whatever was read before.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print what is there now, and end.")] = False,
    registry: Annotated[
        str | None,
        typer.Option(
            "--registry",
            metavar="URL",
            help="The schema registry, in place of that of ACTA_SCHEMA_REGISTRY_URL; without one,"
            " the contracts and ids of this program.",
            show_default=False,
        ),
    ] = None,
    dead_letters: Annotated[
        str | None,
        typer.Option(
            "--dead-letters",
            metavar="TOPIC",
            help="Write records that cannot be decoded there and go on; without it, stop.",
        ),
    ] = None,
    timeout_seconds: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0,
            help="How long to wait for a broker at the start.",
        ),
    ] = 60,
) -> None:
    """Print events from Kafka, a JSON object on each line, until SIGTERM or SIGINT.

    Sealed values are printed as they are, in base64. An offset is committed once its line is
    written; within a run each event is printed once.
    """
    from handlers.settings import read_settings
    from handlers.streams.cluster import Cluster
    from handlers.subscriber import MemoryVersions, Subscriber

    settings = read_settings()
    cluster = Cluster.of(settings)
    begin_at = None if begin is None else _read_beginning(begin)
    subscriber = Subscriber(
        bootstrap_servers=cluster.bootstrap_servers,
        # What librdkafka has to say beside is told in words of ours.
        properties={"client.id": "acta", "log_level": 0, **cluster.properties},
        schemas=_schemas(settings, registry),
        group=group,
        topics=[*dict.fromkeys(_topic(settings, each) for each in topic)],
        dead_letters=dead_letters,
        start_timeout_seconds=timeout_seconds,
    )
    lines = _Lines()
    with _telling(), ended_by_signals(subscriber.stop), _in_words(lines):
        subscriber.run(lines.add, MemoryVersions(lines.batch), begin=begin_at, once=once)
    tell(f"{lines.written} events printed")


class _Lines:
    """Writes the lines of a batch, or none of them.

    Attributes:
        unread: whoever read stdout has enough.
    """

    def __init__(self) -> None:
        self.written = 0
        self.unread = False

    @contextmanager
    def batch(self) -> Generator[list[str]]:
        from handlers.subscriber import Halt

        lines: list[str] = []
        yield lines
        if self.unread:
            raise Halt
        try:
            sys.stdout.writelines(lines)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is still buffered goes nowhere, so that the end of the program is quiet.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.unread = True
            raise Halt from None
        self.written += len(lines)

    def add(self, event: "Event", lines: list[str]) -> None:
        lines.append(json.dumps(by_field(event), ensure_ascii=False, default=_in_json) + "\n")


def _in_json(value: object) -> object:
    match value:
        case bytes():
            return {"sealed": base64.b64encode(value).decode()}
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date() | UUID():
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")


# ---------------------------------------------------------------- what was asked for


def _read_beginning(text: str) -> int | datetime:
    if text == BEGINNING:
        return 0
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return parse_instant(text)
    except ValueError as error:
        what, _, mend = str(error).partition("; ")
        raise InvalidInput(
            f"--from is neither {BEGINNING} nor a position, and {what}",
            remedy=f"Write {BEGINNING}, a number, or an instant: {mend}.",
        ) from None


def _topic(settings: "Settings", name: str) -> str:
    """The topic of an aggregate or of entries; whatever holds a point is a topic already."""
    from schemas.contracts import Contracts
    from schemas.topics import AGGREGATE_OF_ENTRIES, aggregate_of, entries_topic, events_topic

    if "." in name:
        return name
    if name == AGGREGATE_OF_ENTRIES:
        return entries_topic(settings.kafka_namespace)
    known = sorted({aggregate_of(stored) for stored in Contracts().topics()})
    if name not in known:
        raise InvalidInput(
            "--topic names no aggregate that there is",
            remedy=f"Write the full name of a topic, or one of {', '.join(known)}.",
        )
    return events_topic(settings.kafka_namespace, name)


def _schemas(settings: "Settings", url: str | None) -> "Schemas":
    from handlers.subscriber import Registry

    if url is None and settings.schema_registry_url is not None:
        url = settings.schema_registry_url.get_secret_value()
    if url is None:
        return _OwnSchemas()
    try:
        return Registry(url)
    except ValueError as error:
        raise InvalidInput(
            str(error), remedy="Correct --registry, or ACTA_SCHEMA_REGISTRY_URL."
        ) from None


class _OwnSchemas:
    """The contract files of this program, by the ids of the lock file."""

    def __init__(self) -> None:
        from schemas.contracts import Contracts

        self._contracts = Contracts()
        self._topics = {number: topic for topic, number in self._contracts.ids().items()}

    def schema(self, schema_id: int) -> dict[str, Any]:
        from handlers.subscriber import SchemaUnknown

        if schema_id not in self._topics:
            raise SchemaUnknown(f"no contract of this program has the id {schema_id}")
        return self._contracts.schema(self._topics[schema_id])


# ---------------------------------------------------------------- what happens meanwhile


class _Teller(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(f"{record.getMessage()[:1].upper()}{record.getMessage()[1:]}.")


@contextmanager
def _telling() -> Generator[None]:
    """What the subscriber logs goes to stderr."""
    logger, teller = logging.getLogger(LOGGER), _Teller(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(teller)
    try:
        yield
    finally:
        logger.removeHandler(teller)
        logger.propagate = propagate


@contextmanager
def _in_words(lines: _Lines) -> Generator[None]:
    """Whatever stops it becomes a fault."""
    from confluent_kafka import KafkaException

    from handlers.streams.cluster import fault_of
    from handlers.subscriber import Halt

    try:
        yield
    except Halt as halt:
        if not lines.unread:
            raise _fault(halt) from None
    except KafkaException as error:
        raise fault_of(error) from None


def _fault(halt: "Halt") -> Fault:
    from handlers import subscriber

    match halt:
        case subscriber.BrokerAway():
            return BrokerUnavailable(
                str(halt),
                remedy="Start it, or correct ACTA_KAFKA_BOOTSTRAP_SERVERS and"
                " ACTA_KAFKA_PROPERTIES.",
            )
        case subscriber.TopicMissing():
            return InvalidInput(
                str(halt), remedy="Run acta relay, which makes its topics, or name another."
            )
        case subscriber.SchemaUnknown():
            return SchemaRefused(
                str(halt),
                remedy="Name the registry that the relay registers with: --registry, or"
                " ACTA_SCHEMA_REGISTRY_URL.",
            )
        case subscriber.RegistryRefuses():
            return RegistryUnavailable(
                str(halt), remedy="Correct --registry, or ACTA_SCHEMA_REGISTRY_URL."
            )
        case subscriber.Undeliverable():
            return Fault(
                str(halt), remedy="Name a topic with --dead-letters to go on without the record."
            )
        case _:
            return Fault(
                str(halt),
                remedy="Nothing behind it was printed. See what was written to the topic; --from"
                " goes on at another place.",
            )
