"""Whatever happens to the relay and the broker, readers get each event once, each key in order.

Relays are killed, replaced, and stopped in the middle of a transaction to be woken when another
has long taken over; the broker is killed; and meanwhile the log grows. A normal run does a tenth of
what ``make soak`` does, which is: 100 kills of the relay, 20 of the broker, 20 takeovers and 10
relays woken too late, over 200,000 events.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from random import Random
from time import monotonic

import pytest
from pydantic import SecretStr

from handlers.composition import open_relay
from handlers.faults import RelayReplaced
from handlers.settings import Settings
from handlers.streams.cluster import TRANSACTION_TIMEOUT_SECONDS
from schemas.topics import checkpoint_topic
from tests.conftest import TestDatabase
from tests.end_to_end.growing_log import Writer, growing, write_every_kind
from tests.end_to_end.killable_relay import BATCH, HALTED, POINTS, Deed, Plan, RelayProcess
from tests.end_to_end.streams import (
    Logged,
    judged_by_aiokafka,
    judged_by_avro_deserializer,
    raw_duplicates,
    read_log,
    schema_server,
)
from tests.services.kafka import KafkaBroker
from tests.services.sources import AnyBroker, AnyRegistry
from tests.services.topics import read_all

STARTING = "while starting"
COMMITTING = "while committing"
BETWEEN = "any moment"
FROM_OUTSIDE = {COMMITTING: "produced", BETWEEN: BATCH}
"""What is awaited before a signal comes from outside, soon and at no moment in particular."""

KILLED_AT = (*POINTS, COMMITTING, BETWEEN, STARTING)
BROKER_KILLED_AT = (COMMITTING, "produced", STARTING, "committed", "fenced", BETWEEN, "read")
TAKEN_OVER_AT = (BETWEEN, "produced", COMMITTING, "committed", "read")
STOPPED_AT = ("produced", COMMITTING, "read", BETWEEN, "committed")
OF_A_START = ("fenced", "taken over")
TIMES_MAX = 4
SOON_SECONDS = 0.02
START_SECONDS = 0.5
FED_EVENTS = 20
BOTH_CHANCE = 0.25
OUTLIVED_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much there is to carry, and how often what happens meanwhile."""

    events: int
    kills: int
    broker_kills: int
    takeovers: int
    woken: int


@dataclass
class Trouble:
    """What befalls the relays of one log, one thing after the other.

    Attributes:
        stretch: how many events of the log there are for each thing.
        counted: what befell them, by kind and moment.
    """

    settings: Settings
    broker: KafkaBroker
    writer: Writer
    stretch: int
    random: Random
    processes: list[RelayProcess] = field(default_factory=list[RelayProcess])
    counted: Counter[str] = field(default_factory=Counter[str])

    # ------------------------------------------------------------ what may happen

    def kill(self, moment: str) -> None:
        """The relay is killed; nobody tidies up behind it."""
        relay = self.start(moment, "die")
        if moment not in POINTS:
            self.await_moment(relay, moment)
            relay.kill()
        relay.killed()
        self.counted[f"killed: {moment}"] += 1

    def kill_broker(self, moment: str) -> None:
        """The broker is killed and comes back; a relay waits for it, unless that died too."""
        relay = self.start(moment, "halt")
        self.await_moment(relay, moment)
        self.broker.kill()
        both = self.random.random() < BOTH_CHANCE
        if both:
            relay.kill()
            relay = self.start()
        else:
            self.release(relay, moment)
        self.broker.start()
        relay.wait_for_more("committed", 2)
        relay.stop()
        self.counted[f"broker killed{', and the relay with it' if both else ''}: {moment}"] += 1

    def take_over(self, moment: str) -> None:
        """A second relay begins while the first one writes; the first one ends by itself."""
        first = self.start(moment, "halt")
        self.await_moment(first, moment)
        second = self.start()
        if moment in POINTS:
            second.wait("taken over")
            self.release(first, moment)
        assert first.ended() == RelayReplaced.__name__, first
        second.wait("committed")
        second.stop()
        self.counted[f"taken over: {moment}"] += 1

    def wake(self, moment: str) -> None:
        """A relay is stopped, and woken when its successor has written, or has even ended."""
        first = self.start(moment, "halt")
        self.await_moment(first, moment)
        first.signal(signal.SIGSTOP)
        second = self.start()
        second.wait("committed", 2)
        outlived = self.random.random() < OUTLIVED_CHANCE
        if outlived:
            second.stop()
        self.release(first, moment)
        first.signal(signal.SIGCONT)
        assert first.ended() == RelayReplaced.__name__, first
        if not outlived:
            second.wait_for_more("committed")
            second.stop()
        self.counted[f"stopped and woken: {moment}"] += 1

    # ------------------------------------------------------------ how it happens

    def start(self, moment: str = "", deed: Deed = "go on") -> RelayProcess:
        """A relay that comes to the moment within a stretch of the log, while that grows."""
        self.writer.write(self.stretch // 2)
        times = self.random.randint(1, TIMES_MAX)
        plan = Plan(
            batch_events=max(1, self.stretch // TIMES_MAX),
            point=moment,
            deed=deed,
            times=1 if moment in OF_A_START else times,
        )
        relay = RelayProcess(
            f"the relay for {moment or 'nothing in particular'}",
            self.settings,
            plan,
            caught_up=lambda: self.writer.write(FED_EVENTS),
        )
        self.processes.append(relay)
        return relay

    def await_moment(self, relay: RelayProcess, moment: str) -> None:
        """Returns when the relay halts at its moment, or soon after what comes before that."""
        if moment in POINTS:
            relay.wait(HALTED)
        elif moment == STARTING:
            relay.leave_alone(self.random.uniform(0, START_SECONDS))
        else:
            relay.wait(FROM_OUTSIDE[moment], self.random.randint(1, TIMES_MAX))
            relay.leave_alone(self.random.uniform(0, SOON_SECONDS))

    def discard_relays(self) -> None:
        """None is left running, also when the test fails."""
        while self.processes:
            self.processes.pop().discard()

    def release(self, relay: RelayProcess, moment: str) -> None:
        """Lets a relay go on that halts at its moment."""
        if moment in POINTS:
            relay.go_on()


def all_of_it(trouble: Trouble, amounts: Amounts) -> Sequence[Callable[[], None]]:
    """Everything that is to happen, in the order of chance."""
    kinds = (
        (trouble.kill, KILLED_AT, amounts.kills),
        (trouble.kill_broker, BROKER_KILLED_AT, amounts.broker_kills),
        (trouble.take_over, TAKEN_OVER_AT, amounts.takeovers),
        (trouble.wake, STOPPED_AT, amounts.woken),
    )
    things = [
        partial(happen, moment)
        for happen, moments, times in kinds
        for moment in islice(cycle(moments), times)
    ]
    trouble.random.shuffle(things)
    return things


def carry_through(
    database: TestDatabase, broker: KafkaBroker, namespace: str, amounts: Amounts, seed: int
) -> None:
    """The whole of it, and the judgement of three readers."""
    settings = settings_for(database, broker, namespace)
    in_all = amounts.kills + amounts.broker_kills + amounts.takeovers + amounts.woken
    with growing(database, amounts.events, seed) as writer:
        trouble = Trouble(settings, broker, writer, amounts.events // in_all, Random(seed))
        for happen in all_of_it(trouble, amounts):
            try:
                happen()
            finally:
                trouble.discard_relays()
        writer.finish()
    with open_relay(settings) as relay:
        relay.catch_up()
        carried_up_to = relay.progress.position
    log = read_log(database)
    duplicates = raw_duplicates(broker.bootstrap_servers, namespace)
    report(trouble.counted, f"seed {seed}, {len(log)} events, {duplicates} raw duplicates")
    assert trouble.counted.total() == in_all
    assert len(log) >= amounts.events
    assert carried_up_to == log[-1].position
    assert duplicates > 0, "nothing befell a transaction while it was open"
    with schema_server(namespace) as url:
        assert_read_by_all(log, broker.bootstrap_servers, namespace, url)


def settings_for(database: TestDatabase, broker: AnyBroker, namespace: str) -> Settings:
    """Those of a relay from this database to this broker; the ids are those of the lock file."""
    return database.settings().model_copy(
        update={
            "kafka_bootstrap_servers": broker.bootstrap_servers,
            "kafka_namespace": namespace,
        }
    )


def report(counted: Counter[str], title: str) -> None:
    """Prints what befell the relays, and how often."""
    told = "".join(f"\n  {times:3} {what}" for what, times in sorted(counted.items()))
    print(f"{title}; {counted.total()} times something happened:{told}")


def assert_read_by_all(
    log: Sequence[Logged], bootstrap_servers: str, namespace: str, registry_url: str
) -> None:
    """Two clients with nothing in common read each event once, in order, and decode it."""
    for judged in (judged_by_avro_deserializer, judged_by_aiokafka):
        assert judged(log, bootstrap_servers, namespace, registry_url) == [], judged.__name__


def test_some_trouble_leaves_each_event_once(
    database: TestDatabase, own_broker: KafkaBroker, namespace: str
) -> None:
    """10 kills of the relay, 2 of the broker, 2 takeovers, and a relay woken too late."""
    amounts = Amounts(events=20_000, kills=10, broker_kills=2, takeovers=2, woken=1)
    carry_through(database, own_broker, namespace, amounts, seed=7)


@pytest.mark.soak
def test_much_trouble_leaves_each_event_once(
    database: TestDatabase, own_broker: KafkaBroker, namespace: str
) -> None:
    """100 kills of the relay, 20 of the broker, 20 takeovers, and 10 relays woken too late."""
    seed = int(os.environ.get("ACTA_SOAK_SEED", "7"))
    amounts = Amounts(events=200_000, kills=100, broker_kills=20, takeovers=20, woken=10)
    carry_through(database, own_broker, namespace, amounts, seed)


def test_open_transaction_of_a_dead_relay_is_not_waited_for(
    database: TestDatabase, broker: AnyBroker, namespace: str
) -> None:
    """The successor ends it at once, long before the broker would by itself."""
    write_every_kind(database.settings())
    settings = settings_for(database, broker, namespace)
    dying = RelayProcess("the dying relay", settings, Plan(1000, "produced", "halt"))
    try:
        dying.wait(HALTED)
        deadline = monotonic() + TRANSACTION_TIMEOUT_SECONDS
        while checkpoints_written(settings) == 1:
            assert monotonic() < deadline, "the relay's records do not come to the broker"
            dying.leave_alone(SOON_SECONDS)
        dying.kill()
    finally:
        dying.discard()
    began = monotonic()
    with open_relay(settings) as successor:
        successor.catch_up()
    assert monotonic() - began < TRANSACTION_TIMEOUT_SECONDS / 2


def checkpoints_written(settings: Settings) -> int:
    """How many there are, committed or not."""
    topic = checkpoint_topic(settings.kafka_namespace)
    return len(read_all(str(settings.kafka_bootstrap_servers), topic, "read_uncommitted"))


def test_every_kind_of_event_is_read_by_others(
    database: TestDatabase, broker: AnyBroker, registry: AnyRegistry, namespace: str
) -> None:
    """Every version that was ever published, with ids from a real registry."""
    write_every_kind(database.settings())
    settings = settings_for(database, broker, namespace)
    settings = settings.model_copy(update={"schema_registry_url": SecretStr(registry.url)})
    with open_relay(settings) as relay:
        relay.catch_up()
    assert_read_by_all(read_log(database), broker.bootstrap_servers, namespace, registry.url)
