"""Relays of tests: made on a real database and a real broker, run in threads, read back."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event as Signal
from threading import Thread
from uuid import UUID, uuid4

from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    # Documented to be here, and not exported by any __all__.
    AlterConfigOpType,  # pyright: ignore[reportPrivateImportUsage]
    ConfigEntry,  # pyright: ignore[reportPrivateImportUsage]
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
    NewPartitions,  # pyright: ignore[reportPrivateImportUsage]
)
from eventsourcing.persistence import StoredEvent

from handlers.composition import Acta
from handlers.faults import Fault
from handlers.store.database import Database
from handlers.store.recorder import ApplicationLog
from handlers.streams.checkpoint import Checkpoint, last_checkpoint
from handlers.streams.cluster import Cluster
from handlers.streams.registry import register
from handlers.workers.relay import Destination, Relay, RelayProgress
from schemas.contracts import Contracts
from tests.conftest import TestDatabase
from tests.schemas.golden import Golden
from tests.services.topics import Isolation, Record, read_all

PARTITIONS = 3
PATIENCE_SECONDS = 60
RECORD_BYTES_MAX = 8 * 1024 * 1024
# A broker that comes back is not looked for ten seconds later.
BACK_SOON = {"reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "100"}


@dataclass(frozen=True)
class Kafka:
    """A namespace in a cluster."""

    bootstrap_servers: str
    namespace: str

    def destination(
        self,
        *,
        generation: int = 1,
        partitions: int = PARTITIONS,
        record_bytes_max: int = RECORD_BYTES_MAX,
    ) -> Destination:
        cluster = Cluster(self.bootstrap_servers, BACK_SOON, record_bytes_max)
        return Destination(cluster, self.namespace, generation, partitions)

    @property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def topics(self) -> dict[str, int]:
        """The namespace's topics, and how many partitions each has."""
        found = self.admin.list_topics(timeout=10).topics
        own = {name: each for name, each in found.items() if name.startswith(self.namespace)}
        return {name: len(topic.partitions) for name, topic in own.items()}

    def records(self, isolation: Isolation = "read_committed", generation: int = 1) -> list[Record]:
        """What a reader sees of events and entries."""
        names = [name for name in self.topics() if name.endswith(f".v{generation}")]
        return read_all(self.bootstrap_servers, names, isolation)

    def positions(self, generation: int = 1) -> list[int]:
        """The place in the log of each event that a reader sees."""
        return sorted(
            int(record.headers["ce_position"])
            for record in self.records(generation=generation)
            if "ce_streamversion" in record.headers
        )

    def checkpoint(self, generation: int = 1) -> Checkpoint:
        to = self.destination(generation=generation)
        last = last_checkpoint(to.cluster, to.checkpoints, to.key)
        assert last is not None
        return last

    def alter(self, topic: str, **settings: str) -> None:
        """Sets what an administrator may set, in the names of Python."""
        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        admin = self.admin  # gone, it would take its answers with it
        for answer in admin.incremental_alter_configs([resource]).values():
            answer.result(timeout=20)
        while not settings.items() <= self._settings(admin, topic).items():
            pass  # the broker learns of it a moment later

    def _settings(self, admin: AdminClient, topic: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        (answer,) = admin.describe_configs([resource]).values()
        return {name.replace(".", "_"): each.value for name, each in answer.result().items()}

    def add_partitions(self, topic: str, total: int) -> None:
        admin = self.admin
        admin.create_partitions([NewPartitions(topic, total)])[topic].result(timeout=20)

    def delete(self, topic: str) -> None:
        admin = self.admin
        admin.delete_topics([topic])[topic].result(timeout=20)

    def producer(self, transactional_id: str) -> Producer:
        """Somebody else's producer, or one that takes a relay's name."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "transactional.id": transactional_id,
                "log_level": 0,
            }
        )
        producer.init_transactions(30)
        return producer


@contextmanager
def relay_between(
    database: TestDatabase,
    to: Destination,
    *,
    registry_url: str | None = None,
    waiting: Callable[[Fault], None] = lambda _: None,
    reached: Callable[[str], None] = lambda _: None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Relay]:
    """A relay that has not begun."""
    contracts = Contracts()

    def schema_ids() -> Callable[[str], int]:
        if registry_url is None:
            return contracts.schema_id
        return register(registry_url, contracts, to.namespace, to.generation)

    with closing(Database(database.application, connect_timeout_seconds=2)) as opened:
        yield Relay(
            opened,
            to,
            contracts,
            schema_ids,
            waiting=waiting,
            reached=reached,
            patience_seconds=patience_seconds,
        )


class Follower:
    """A relay that follows the log on a thread of its own.

    Attributes:
        fault: what ended it, if it was not stopped.
        outages: what it told that it waits for.
    """

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.fault: BaseException | None = None
        self.looks = 0
        self._news = Signal()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.relay.follow(progress=self._note)
        except BaseException as fault:  # noqa: BLE001  told to whoever waits for it
            self.fault = fault
        self._news.set()

    def _note(self, _: RelayProgress) -> None:
        self.looks += 1
        self._news.set()

    def wait_for(self, met: Callable[[], bool]) -> None:
        """Waits until something is so after a batch or a look."""
        while not met():
            assert self.fault is None, self.fault
            assert self._news.wait(PATIENCE_SECONDS), "the relay stands still"
            self._news.clear()

    def wait_for_position(self, position: int) -> None:
        self.wait_for(lambda: self.looks > 0 and self.relay.progress.position >= position)

    def wait_for_look(self) -> None:
        """Waits until it has looked once more."""
        looks = self.looks
        self.wait_for(lambda: self.looks > looks)

    def has_ended(self, within_seconds: float) -> bool:
        self._thread.join(within_seconds)
        return not self._thread.is_alive()

    def wait_for_end(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self.relay.stop()
        self.wait_for_end()


@contextmanager
def following(relay: Relay) -> Iterator[Follower]:
    """A relay that follows the log meanwhile."""
    follower = Follower(relay)
    try:
        yield follower
    finally:
        follower.stop()


class Outages:
    """What a relay tells that it waits for."""

    def __init__(self) -> None:
        self.told: list[Fault] = []
        self._news = Signal()

    def __call__(self, fault: Fault) -> None:
        self.told.append(fault)
        self._news.set()

    def wait(self) -> None:
        """Waits until one was told since the last wait."""
        assert self._news.wait(PATIENCE_SECONDS), "no outage was told"
        self._news.clear()

    @property
    def kinds(self) -> Counter[type[Fault]]:
        return Counter(map(type, self.told))


class Gate:
    """Halts a relay at a point, until it is opened.

    Args:
        point: told by ``reached``.
        times: how often the point is reached, the halt included.
    """

    def __init__(self, point: str, times: int = 1) -> None:
        self._point = point
        self._left = times
        self._there = Signal()
        self._opened = Signal()

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                self._there.set()
                assert self._opened.wait(PATIENCE_SECONDS), "nobody opened the gate"

    def wait(self) -> None:
        """Waits until the relay halts."""
        assert self._there.wait(PATIENCE_SECONDS), f"it never reached {self._point}"

    def open(self) -> None:
        self._opened.set()


def append(
    acta: Acta, topic: str, payload: bytes | None = None, *, stream: UUID | None = None, at: int = 1
) -> int:
    """Writes an event as it stands in its golden file, or another payload; its position."""
    content = Golden.read(Contracts().golden(topic)).payload if payload is None else payload
    event = StoredEvent(stream or uuid4(), at, topic, content)
    (position,) = ApplicationLog(acta.database).append([event])
    return position


STUDIED = "study_history.ContentStudied.v1"


def append_many(acta: Acta, count: int, topic: str = STUDIED) -> int:
    """Writes as many events into streams of their own; the position of the last."""
    payload = Golden.read(Contracts().golden(topic)).payload
    events = [StoredEvent(uuid4(), 1, topic, payload) for _ in range(count)]
    return ApplicationLog(acta.database).append(events)[-1]
