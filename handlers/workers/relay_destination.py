"""Where a relay writes."""

from dataclasses import dataclass

from handlers.streams.cluster import Cluster
from handlers.streams.topics import Topic, checkpoint_settings, event_settings
from schemas.contracts import Contracts
from schemas.topics import (
    announcement_key,
    checkpoint_key,
    checkpoint_topic,
    entries_topic,
    events_topic,
    transactional_id,
)

__all__ = ["Destination"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a relay writes; of two relays with one namespace and generation, the later goes on.

    Attributes:
        namespace: what the names of topics, subjects and transactional ids begin with.
        generation: of the topics; a new one is filled beside the old.
        partitions: of each topic of events, for as long as the generation lives.
        replication_factor: of topics that are made; -1: the broker's default.
    """

    cluster: Cluster
    namespace: str = "acta"
    generation: int = 1
    partitions: int = 6
    replication_factor: int = -1

    @property
    def checkpoints(self) -> str:
        """The topic of checkpoints."""
        return checkpoint_topic(self.namespace)

    @property
    def key(self) -> str:
        """The key of this relay's checkpoint."""
        return checkpoint_key(self.generation)

    @property
    def announcement_key(self) -> str:
        """The key under which this relay says that it is coming."""
        return announcement_key(self.generation)

    @property
    def transactional_id(self) -> str:
        """What the relay is called by the broker."""
        return transactional_id(self.namespace, self.generation)

    def topic_of_checkpoints(self) -> Topic:
        """As it has to be; every generation of the namespace has its checkpoint there."""
        return checkpoint_settings(self.checkpoints)

    def topics(self, contracts: Contracts) -> list[Topic]:
        """Those of the generation, as they have to be."""
        aggregates = sorted({cls.AGGREGATE for cls in contracts.events})
        names = [events_topic(self.namespace, each, self.generation) for each in aggregates]
        names.append(entries_topic(self.namespace, self.generation))
        bytes_max = self.cluster.record_bytes_max
        return [event_settings(name, self.partitions, bytes_max) for name in names]
