"""An event of the log as records of Kafka: its own, and an entry if it is about money."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from handlers.faults import DatabaseVersion
from handlers.store.reader import CarriedRow
from schemas.contracts import ContractBroken, Contracts
from schemas.entries import Entry, entry_values, has_entry
from schemas.topics import aggregate_of, entries_topic, events_topic, record_name, source
from schemas.transcoding import Transcoder, stored_values

__all__ = ["Header", "Headers", "Record", "Records"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
CONTENT_TYPE = b"application/avro"

Header = tuple[str, str | bytes | None]
Headers = dict[str, str | bytes | None]


class Record(NamedTuple):
    """A record as it is produced.

    Its headers are a dict, since there are many: a list of pairs would cost a garbage collection
    of everything in each batch.
    """

    topic: str
    key: str
    value: bytes
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all events of one stored topic have in common."""

    topic: str
    type: bytes
    frame: bytes
    transcoder: Transcoder
    has_entry: bool


class Records:
    """Makes records, the same ones of the same event whoever makes them and whenever.

    Args:
        namespace: what the names of topics begin with.
        generation: of the topics.
        contracts: the files that the events were written by.
        schema_id: the id of a contract, by its stored topic.
    """

    def __init__(
        self,
        namespace: str,
        generation: int,
        contracts: Contracts,
        schema_id: Callable[[str], int],
    ) -> None:
        self._namespace = namespace
        self._generation = generation
        self._contracts = contracts
        self._schema_id = schema_id
        self._source = source(namespace).encode()
        self._kinds: dict[str, _Kind] = {}
        self._kind_of_entries = self._kind_of(Entry.TOPIC, entries_topic(namespace, generation))

    @property
    def entry_schema_id(self) -> int:
        """The id of the schema of entries, by which it is seen where the ids come from."""
        return self._schema_id(Entry.TOPIC)

    def of(self, row: CarriedRow) -> list[Record]:
        """The records of one event; none if it is of another application that shares the log.

        Raises:
            DatabaseVersion: no contract fits it; the message says at which position.
        """
        if ":" in row.topic:
            return []
        kind = self._kinds.get(row.topic) or self._known(row)
        try:
            return self._records(row, kind)
        except ValueError as fault:  # NotOfContract, and what makes no entry
            raise DatabaseVersion(
                f"the event of topic {row.topic} at position {row.position} cannot be relayed:"
                f" {fault}",
                remedy="Use a version of Acta that knows it.",
            ) from None

    def _records(self, row: CarriedRow, kind: _Kind) -> list[Record]:
        values = stored_values(row.payload)
        value = kind.frame + kind.transcoder.to_avro(values)
        recorded_ms = (row.recorded_at - EPOCH) // MILLISECOND
        headers = self._headers(row, kind.type, values["occurred_at"])
        of_entry = [self._entry(row, values, headers, recorded_ms)] if kind.has_entry else []
        headers["ce_streamversion"] = str(row.version)
        return [Record(kind.topic, row.stream, value, headers, recorded_ms), *of_entry]

    def _entry(
        self, row: CarriedRow, values: dict[str, Any], headers: Headers, recorded_ms: int
    ) -> Record:
        kind = self._kind_of_entries
        entry = entry_values(
            row.topic,
            values,
            event_id=row.event_id,
            position=row.position,
            stream=row.stream,
            version=row.version,
            recorded_at=row.recorded_at,
        )
        value = kind.frame + kind.transcoder.to_avro(entry)
        return Record(kind.topic, row.stream, value, {**headers, "ce_type": kind.type}, recorded_ms)

    def _headers(self, row: CarriedRow, record_type: bytes, occurred_at: str) -> Headers:
        """CloudEvents in binary mode, the place in the log, and the trace of what led to it."""
        trace = (row.correlation_id or row.event_id).replace("-", "")
        parent = (row.command_id or row.event_id).replace("-", "")[16:]
        return {
            "ce_specversion": b"1.0",
            "ce_id": row.event_id,
            "ce_type": record_type,
            "ce_source": self._source,
            "ce_subject": row.stream,
            "ce_time": occurred_at,
            "ce_position": str(row.position),
            "content-type": CONTENT_TYPE,
            "traceparent": f"00-{trace}-{parent}-01",
        }

    def _known(self, row: CarriedRow) -> _Kind:
        try:
            topic = events_topic(self._namespace, aggregate_of(row.topic), self._generation)
            kind = self._kinds[row.topic] = self._kind_of(row.topic, topic)
        except (ContractBroken, KeyError, ValueError):
            raise DatabaseVersion(
                f"the log holds an event of an unknown topic, {row.topic}, at position"
                f" {row.position}",
                remedy="Use a version of Acta that knows it.",
            ) from None
        return kind

    def _kind_of(self, stored_topic: str, topic: str) -> _Kind:
        return _Kind(
            topic=topic,
            type=record_name(stored_topic).encode(),
            frame=b"\0" + self._schema_id(stored_topic).to_bytes(4, "big"),
            transcoder=Transcoder(self._contracts.schema(stored_topic)),
            has_entry=has_entry(stored_topic),
        )
