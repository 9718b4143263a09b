"""An event as a subscriber takes it, read from a record of Kafka."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Protocol, cast

import fastavro
from confluent_kafka import Message

from .registry import Schemas

__all__ = ["Event", "Mark", "Place", "Record", "RecordReader", "Undecodable", "place_of"]

Headers = list[tuple[str, bytes | None]]
Place = tuple[str, int]
"""A topic and a partition of it."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FRAME_BYTES = 5
GENERATION = re.compile(r"\.v\d+$", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event, or a flat entry of money.

    Attributes:
        topic: where it stands in Kafka.
        partition: where it stands in Kafka.
        offset: where it stands in Kafka.
        stream: the stream that it belongs to.
        version: which event of its stream it is, from 1 and without a gap; None for an entry.
        position: its place in Acta's log, as receipts name it; it grows, with gaps.
        id: of the event; an entry has that of its event.
        type: full name of its Avro record, such as ``acta.account.UserRegistered``.
        occurred_at: when it happened.
        recorded_at: when Acta recorded it, to the millisecond.
        schema_id: the schema that it was written with, in the registry.
        values: its fields by the schema that it was written with; bytes are sealed values.
    """

    topic: str
    partition: int
    offset: int
    stream: str
    version: int | None
    position: int
    id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    schema_id: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept of an event so that it is not taken twice.

    Attributes:
        name: its stream, whatever the topic; for what has no version also the kind of topic,
            without its generation: a service moves to a new generation and goes on.
        number: its version, or its position.
        gapless: whether each number comes right after the one before.
    """

    name: str
    number: int
    gapless: bool


class Undecodable(Exception):  # noqa: N818  named for what it is
    """A record that holds no event. Its text names what is wrong, and no value."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of Kafka, read as far as it can be.

    Attributes:
        mark: None if it does not say which event it is.
        event: what it holds, or why it holds none.
    """

    message: Message
    mark: Mark | None
    event: Event | Undecodable

    @property
    def place(self) -> Place:
        """Where it stands."""
        return place_of(self.message)

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""
        return cast(int, self.message.offset())


def place_of(message: Message) -> Place:
    """The topic and the partition of a message."""
    return cast(str, message.topic()), cast(int, message.partition())


class RecordReader:
    """Reads records with the schemas that they were written with."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._parsed: dict[int, dict[str, Any]] = {}

    def read(self, message: Message) -> Record:
        """A record, read as far as it can be.

        Raises:
            SchemaUnknown: nobody knows the schema that it names.
            RegistryAway: the schema cannot be had now.
        """
        headers = {name: value for name, value in _headers(message) if value is not None}
        try:
            mark = _mark(message, headers)
        except Undecodable as fault:
            return Record(message, None, fault)
        try:
            return Record(message, mark, self._event(message, headers))
        except Undecodable as fault:
            return Record(message, mark, fault)

    def _event(self, message: Message, headers: Mapping[str, bytes]) -> Event:
        value = message.value() or b""
        if len(value) < FRAME_BYTES or value[0] != 0:
            raise Undecodable("the value does not begin with a zero byte and the id of a schema")
        schema_id = int.from_bytes(value[1:FRAME_BYTES], "big")
        (topic, partition), (_, recorded_ms) = place_of(message), message.timestamp()
        version = headers.get("ce_streamversion")
        return Event(
            topic=topic,
            partition=partition,
            offset=cast(int, message.offset()),
            stream=_stream(message),
            version=None if version is None else _number(headers, "ce_streamversion"),
            position=_number(headers, "ce_position"),
            id=_text(headers, "ce_id"),
            type=_text(headers, "ce_type"),
            occurred_at=_instant(headers, "ce_time"),
            recorded_at=EPOCH + timedelta(milliseconds=recorded_ms),
            schema_id=schema_id,
            values=_decode(value[FRAME_BYTES:], self._schema(schema_id)),
        )

    def _schema(self, schema_id: int) -> dict[str, Any]:
        if schema_id not in self._parsed:
            schema = self._schemas.schema(schema_id)
            self._parsed[schema_id] = cast(dict[str, Any], fastavro.parse_schema(schema))
        return self._parsed[schema_id]


def _headers(message: Message) -> Headers:
    return cast(Headers, message.headers() or [])


def _mark(message: Message, headers: Mapping[str, bytes]) -> Mark:
    stream = _stream(message)
    if "ce_streamversion" in headers:
        return Mark(stream, _number(headers, "ce_streamversion"), gapless=True)
    kind = GENERATION.sub("", cast(str, message.topic()))
    return Mark(f"{kind}/{stream}", _number(headers, "ce_position"), gapless=False)


def _stream(message: Message) -> str:
    try:
        return (message.key() or b"").decode("ascii") or _missing("a key")
    except UnicodeDecodeError:
        raise Undecodable("the key is not the text of an id") from None


def _text(headers: Mapping[str, bytes], name: str) -> str:
    try:
        return headers[name].decode() if name in headers else _missing(f"the header {name}")
    except UnicodeDecodeError:
        raise Undecodable(f"the header {name} is not text") from None


def _number(headers: Mapping[str, bytes], name: str) -> int:
    text = _text(headers, name)
    if not text.isascii() or not text.isdecimal():
        raise Undecodable(f"the header {name} is not a number")
    return int(text)


def _instant(headers: Mapping[str, bytes], name: str) -> datetime:
    try:
        return datetime.fromisoformat(_text(headers, name))
    except ValueError:
        raise Undecodable(f"the header {name} is not an instant") from None


def _missing(what: str) -> str:
    raise Undecodable(f"{what} is missing")


class _ReadsAvro(Protocol):
    def __call__(self, data: BytesIO, schema: dict[str, Any], /) -> object: ...


_read_avro = cast(_ReadsAvro, fastavro.schemaless_reader)  # pyright: ignore[reportUnknownMemberType]


def _decode(data: bytes, schema: dict[str, Any]) -> dict[str, Any]:
    rest = BytesIO(data)
    try:
        values = _read_avro(rest, schema)
    except Exception:  # noqa: BLE001  fastavro raises whatever the bytes lead it into
        raise Undecodable("the value does not fit the schema that it names") from None
    if rest.read(1):
        raise Undecodable("the value goes on behind the event that it holds")
    if not isinstance(values, dict):
        raise Undecodable("the value holds no record")
    return cast(dict[str, Any], values)
