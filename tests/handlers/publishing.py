"""Writes records as the relay does: framed Avro of golden events, headers, transactions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from urllib.request import Request, urlopen
from uuid import UUID, uuid4, uuid5

import fastavro
from confluent_kafka import Producer

from schemas.contracts import Contracts
from schemas.topics import (
    aggregate_of,
    entries_subject,
    entries_topic,
    event_subject,
    events_topic,
    record_name,
)
from tests.schemas.golden import Golden
from tests.services.topics import create_topic

CAPTURED = "subscription.PaymentCaptured.v1"
STARTED_V1 = "subscription.SubscriptionStarted.v1"
REGISTERED = "account.UserRegistered.v1"
ENTRY = "entries.Entry.v2"
BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Draft:
    """A record before it is written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    recorded_at: datetime = BEGINNING
    partition: int = -1

    def without(self, header: str) -> "Draft":
        return replace(self, headers={k: v for k, v in self.headers.items() if k != header})


class Publisher:
    """Writes events into topics of a namespace; each is recorded a second after the one before."""

    def __init__(self, bootstrap_servers: str, registry_url: str, namespace: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.registry_url = registry_url
        self.namespace = namespace
        self.topic = events_topic(namespace, "subscription")
        self.position = 0
        self._contracts = Contracts()
        self._ids: dict[str, int] = {}
        self._versions: dict[UUID, int] = {}
        self._made: set[str] = set()
        self._producer: Producer | None = None

    def make(self, topic: str, partitions: int = 3, **config: str) -> None:
        """Makes a topic; those that are published to are made by themselves."""
        create_topic(self.bootstrap_servers, topic, partitions, config)
        self._made.add(topic)

    def event(
        self, stream: UUID, version: int | None = None, fact: str = CAPTURED, generation: int = 1
    ) -> Draft:
        """The next event of a stream, or that of a version."""
        version = self._versions.get(stream, 0) + 1 if version is None else version
        self._versions[stream] = version
        golden = Golden.read(self._contracts.golden(fact))
        draft = self._draft(stream, fact, golden.avro, golden.opened["occurred_at"])
        topic = events_topic(self.namespace, aggregate_of(fact), generation)
        headers = {**draft.headers, "ce_streamversion": str(version)}
        return replace(draft, topic=topic, headers=headers)

    def entry(self, stream: UUID) -> Draft:
        """An entry of money at the next position."""
        at = BEGINNING.isoformat()
        values = {
            "event_id": str(stream), "kind": "payment_captured", "position": self.position + 1,
            "stream": str(stream), "version": 1, "occurred_at": BEGINNING,
            "recorded_at": BEGINNING, "account": str(stream), "person": str(stream),
            "subscription": str(stream), "amount_minor": 9990, "received_minor": 9990,
            "currency": "USD",
        }  # fmt: skip
        avro = BytesIO()
        fastavro.schemaless_writer(avro, self._contracts.schema(ENTRY), values)
        draft = self._draft(stream, ENTRY, avro.getvalue(), at)
        return replace(draft, topic=entries_topic(self.namespace))

    def publish(self, drafts: Iterable[Draft], *, commit: bool = True) -> None:
        """Writes records in one transaction, and ends it by a commit or an abort."""
        producer = self.begin(drafts)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)

    def forget(self, drafts: Sequence[Draft]) -> None:
        """The versions of these are given again: nobody saw them."""
        for draft in reversed(drafts):
            stream = UUID((draft.key or b"").decode())
            self._versions[stream] = int(draft.headers["ce_streamversion"]) - 1

    def begin(self, drafts: Iterable[Draft]) -> Producer:
        """Writes records in a transaction that stays open."""
        if self._producer is None:
            self._producer = Producer({
                "bootstrap.servers": self.bootstrap_servers,
                "transactional.id": f"{self.namespace}.{uuid4()}",
                "partitioner": "murmur2_random",
            })  # fmt: skip
            self._producer.init_transactions(30)
        self._producer.begin_transaction()
        for draft in drafts:
            if draft.topic not in self._made:
                self.make(draft.topic)
            self._producer.produce(
                draft.topic,
                key=draft.key,
                value=draft.value,
                headers=[*draft.headers.items()],
                timestamp=int(draft.recorded_at.timestamp() * 1000),
                partition=draft.partition,
            )
            self._producer.poll(0)
        self._producer.flush(30)
        return self._producer

    def schema_id(self, fact: str) -> int:
        """The id that the registry gives a contract."""
        if fact not in self._ids:
            subject = (
                entries_subject(self.namespace)
                if fact == ENTRY
                else event_subject(self.namespace, fact)
            )
            asked = Request(  # noqa: S310  the test's own registry
                f"{self.registry_url}/subjects/{subject}/versions",
                data=json.dumps({"schema": json.dumps(self._contracts.schema(fact))}).encode(),
                headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
            )
            with urlopen(asked, timeout=30) as answer:  # noqa: S310  as above
                self._ids[fact] = json.load(answer)["id"]
        return self._ids[fact]

    def _draft(self, stream: UUID, fact: str, avro: bytes, occurred_at: str) -> Draft:
        self.position += 1
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid5(stream, str(self.position))),
            "ce_type": record_name(fact),
            "ce_source": f"/{self.namespace}",
            "ce_subject": str(stream),
            "ce_time": occurred_at,
            "content-type": "application/avro",
            "ce_position": str(self.position),
        }
        value = b"\0" + self.schema_id(fact).to_bytes(4, "big") + avro
        recorded_at = BEGINNING + timedelta(seconds=self.position)
        return Draft("", str(stream).encode(), value, headers, recorded_at)
