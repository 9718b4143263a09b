"""Who relays: the last one to say so, in Kafka itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event as Signal
from uuid import uuid4

from handlers.faults import (
    LogDiffers,
    RelayReplaced,
    SchemaRefused,
    TopicUnsuitable,
)
from handlers.store.database import Database, reachable
from handlers.store.reader import event_id_at
from handlers.streams.checkpoint import Checkpoint, last_checkpoint, spoken_since
from handlers.streams.records import Record
from handlers.streams.topics import Topic, prepare, without_records
from handlers.streams.transactions import Transactions, write_at_once
from handlers.workers.relay_destination import Destination
from handlers.workers.relay_tally import Tally
from schemas.contracts import Contracts

__all__ = ["Ownership"]


class Ownership:
    """Takes over the topics of a generation, and notices who takes them over.

    Args:
        database: whose log is relayed.
        destination: where to.
        contracts: the contracts that the events were written by.
        tally: what is said of this run in its checkpoints.
        stopped: set when what is away need not be waited for any longer.
    """

    def __init__(
        self,
        database: Database,
        destination: Destination,
        contracts: Contracts,
        tally: Tally,
        stopped: Signal,
    ) -> None:
        self._database = database
        self._to = destination
        self._topics = destination.topics(contracts)
        self._tally = tally
        self._stopped = stopped
        self._instance = str(uuid4())
        self._announced: int | None = None
        self._entry_schema_id: int | None = None

    def prepare(self) -> None:
        """Makes and checks the topics. Whoever cannot go on ends here, and has fenced nobody.

        Raises:
            BrokerUnavailable: the cluster does not answer.
            TopicUnsuitable: the settings of a topic would break a promise, or records are lost.
            LogDiffers: what was relayed is not in this log.
            RelayReplaced: another relay took over.
        """
        self._prepare([self._to.topic_of_checkpoints()])
        self.end_if_replaced()
        last = self._last(so_far=True)
        self._entry_schema_id = None if last is None else last.entry_schema_id
        self._prepare(self._topics, () if last is None else last.topics)
        self._refuse_records_without_checkpoint(last)

    def take(
        self, entry_schema_id: int, reached: Callable[[str], None]
    ) -> tuple[Transactions, int]:
        """Fences whoever relayed before; how to write, and up to which position all is written.

        Raises:
            SchemaRefused: the generation was written with ids of schemas from another source.
            SessionLost: another one takes over at the same time, or the cluster went away.
            RelayReplaced: another one came while this one came back.
            Fault: as ``prepare``.
        """
        if self._entry_schema_id not in {None, entry_schema_id}:
            raise SchemaRefused(
                f"generation {self._to.generation} was written with the ids of schemas of another"
                " registry, or of the lock file: readers would take one schema for another",
                remedy="Set ACTA_SCHEMA_REGISTRY_URL back, or relay to a new --generation.",
            )
        self._entry_schema_id = entry_schema_id
        if self._announced is None:
            # Said first, so that whoever is fenced knows by whom; and said once, so that of two
            # the one that came later goes on, however often both come back.
            announcement = self._record(self._to.announcement_key, 0, None)
            self._announced = write_at_once(self._to.cluster, announcement)
        partitions = {topic.name: topic.partitions for topic in self._topics}
        transactions = Transactions(
            self._to.cluster,
            self._to.transactional_id,
            partitions | {self._to.checkpoints: 1},
            self._stopped,
        )
        try:
            # Somebody may have announced themselves since the look before, and been fenced here.
            self.end_if_replaced()
            reached("fenced")
            position = self._claim(transactions)
        except BaseException:
            transactions.close()
            raise
        return transactions, position

    def checkpoint(self, position: int, event_id: str | None, more_events: int = 0) -> Record:
        """The checkpoint to be written behind the event with this position and id."""
        return self._record(self._to.key, position, event_id, more_events)

    def _record(
        self, key: str, position: int, event_id: str | None, more_events: int = 0
    ) -> Record:
        now = datetime.now(UTC)
        said = Checkpoint(
            position=position,
            event_id=event_id,
            instance=self._instance,
            partitions=self._to.partitions,
            topics=tuple(topic.name for topic in self._topics),
            entry_schema_id=self._entry_schema_id or 0,
            events=self._tally.events + more_events,
            events_per_second=self._tally.per_second(),
            committed=self._tally.committed + 1,
            failed=self._tally.failed,
            at=now,
        )
        value = said.model_dump_json().encode()
        timestamp_ms = int(now.timestamp() * 1000)
        return Record(self._to.checkpoints, key, value, {}, timestamp_ms)

    def end_if_replaced(self) -> None:
        """Ends who finds that another one announced itself later.

        Raises:
            RelayReplaced: another relay took over.
        """
        if self._announced is None:
            return
        keys = {self._to.announcement_key}
        last = spoken_since(self._to.cluster, self._to.checkpoints, keys, self._announced)
        if last is not None and last.instance != self._instance:
            raise RelayReplaced(
                "another relay of this namespace and generation took over",
                remedy="Leave it to that one; start this one again only once that one has ended.",
            )

    def _prepare(self, topics: list[Topic], known: tuple[str, ...] = ()) -> None:
        prepare(
            self._to.cluster, topics, replication_factor=self._to.replication_factor, known=known
        )

    def _claim(self, transactions: Transactions) -> int:
        last = self._last()
        self._refuse_records_without_checkpoint(last)
        if last is not None and last.instance == self._instance:
            self._tally.adopt(last)
        position, event_id = (last.position, last.event_id) if last else (0, None)
        transactions.write([self.checkpoint(position, event_id)])
        self._tally.count_commit(0)
        return position

    def _last(self, *, so_far: bool = False) -> Checkpoint | None:
        """The last checkpoint, if it is one of this log."""
        last = last_checkpoint(self._to.cluster, self._to.checkpoints, self._to.key, so_far=so_far)
        if last is None:
            return None
        if last.partitions != self._to.partitions:
            raise TopicUnsuitable(
                f"generation {self._to.generation} was begun with {last.partitions} partitions:"
                f" with {self._to.partitions}, keys would change their partition",
                remedy="Set ACTA_KAFKA_PARTITIONS back, or relay to a new --generation.",
            )
        if last.event_id is not None and last.event_id != self._event_id_at(last.position):
            raise LogDiffers(
                f"the event that was relayed last, at position {last.position}, is not in this"
                " log: it is another log, or was set back to an older copy",
                remedy="Relay the right log; or relay this one to a new --generation.",
            )
        return last

    def _event_id_at(self, position: int) -> str | None:
        with reachable(), self._database.connection() as connection:
            return event_id_at(connection, position)

    def _refuse_records_without_checkpoint(self, last: Checkpoint | None) -> None:
        """From zero, everything would be there twice."""
        if last is not None or without_records(self._to.cluster, self._topics):
            return
        # Another one may have begun since the look; it spoke before it wrote.
        if self._last() is None:
            raise TopicUnsuitable(
                f"the topics of generation {self._to.generation} hold records, and"
                f" {self._to.checkpoints} no checkpoint of who wrote them",
                remedy="Bring the topic of checkpoints back, or relay to a new --generation.",
            )
