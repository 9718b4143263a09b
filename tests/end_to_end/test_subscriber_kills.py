"""A subscriber killed again and again ends with the table of one that nobody disturbed.

No event is lost and none is taken twice. A normal run kills a few times; ``make soak`` fifty times.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import TestDatabase
from tests.end_to_end.killable_subscriber import BATCH_EVENTS, COMMITTED, HANDLING, POLLED
from tests.end_to_end.test_kills import BETWEEN, ROOT, STARTING, Kill, report
from tests.handlers.publishing import Publisher
from tests.services.sources import AnyBroker, AnyRegistry

POINTS = (HANDLING, COMMITTED, POLLED)
MODULE = "tests.end_to_end.killable_subscriber"


@dataclass(frozen=True)
class Revenue:
    """A service that adds up what each stream paid."""

    publisher: Publisher
    database: TestDatabase

    def run(self, group: str, address: str, kill: Kill | None = None) -> bool:
        """Subscribes in a process of its own; tells whether that was killed."""
        told = [
            sys.executable, "-m", MODULE, self.publisher.bootstrap_servers,
            self.publisher.registry_url, self.publisher.topic, group, address,
        ]  # fmt: skip
        if kill is not None and kill.moment in POINTS:
            told += ["--kill-at", kill.moment, "--times", str(kill.times)]
        with subprocess.Popen(
            told, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            if kill is not None and kill.moment not in POINTS:
                assert process.stdout is not None
                if kill.moment == BETWEEN:
                    assert process.stdout.readline() == "begun\n"
                    process.stdout.readline()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(kill.seconds)
                process.kill()
            _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
        return process.returncode != 0

    def run_killed(self, group: str, address: str, planned: Sequence[Kill]) -> Counter[str]:
        """Subscribes again and again, killed each time, then to the end; counts the kills."""
        counted = Counter[str]()
        for kill in planned:
            if self.run(group, address, kill):
                counted[kill.moment] += 1
        assert not self.run(group, address)
        return counted


def kills(number: int, events: int, random: Random) -> list[Kill]:
    """So many kills, each moment among them, that together do not come to the end."""
    events_each = max(2, events // number)
    batches_each = max(2, events_each // BATCH_EVENTS)
    moments = [*POINTS, BETWEEN, STARTING]
    chosen = [moments[place % len(moments)] for place in range(number)]
    random.shuffle(chosen)
    return [
        Kill(
            moment,
            times=random.randint(1, events_each if moment == HANDLING else batches_each),
            seconds=random.uniform(0, 0.2),
        )
        for moment in chosen
    ]


def table(address: str) -> list[tuple[str, int, int, str]]:
    """What the service knows: how much each stream paid, and by which events, in order."""
    with psycopg.connect(address) as connection:
        return connection.execute("SELECT * FROM revenue ORDER BY stream").fetchall()


def publish(publisher: Publisher, streams: Sequence[UUID], events: int, random: Random) -> None:
    """Writes events of many streams, in transactions of every size, some of them aborted."""
    publisher.make(publisher.topic, partitions=6)
    left = events
    while left > 0:
        size = min(left, random.randint(1, 400))
        publisher.publish([publisher.event(random.choice(streams)) for _ in range(size)])
        left -= size
        if random.random() < 0.2:
            ghosts = [publisher.event(stream) for stream in streams[:3]]
            publisher.publish(ghosts, commit=False)
            publisher.forget(ghosts)


def kill_and_compare(service: Revenue, *, events: int, number: int, seed: int) -> None:
    """The whole of it, for so many events and kills."""
    random = Random(seed)
    streams = [UUID(int=random.getrandbits(128), version=4) for _ in range(events // 40)]
    publish(service.publisher, streams, events, random)
    names = [f"{service.publisher.namespace}.{name}" for name in ("undisturbed", "killed")]
    addresses = [own_schema(service.database, name) for name in ("undisturbed", "killed")]
    assert not service.run(names[0], addresses[0])
    counted = service.run_killed(names[1], addresses[1], kills(number, events, random))
    report(f"{events} events to a subscriber, seed {seed}", counted)
    assert counted.total() == number
    assert all(counted[moment] for moment in (*POINTS, BETWEEN, STARTING))
    undisturbed = table(addresses[0])
    assert sum(payments for _, payments, *_ in undisturbed) == events
    assert table(addresses[1]) == undisturbed
    for _, payments, _, versions in undisturbed:
        assert versions.split() == [str(number) for number in range(1, payments + 1)]


def own_schema(database: TestDatabase, name: str) -> str:
    """The address of a schema of its own, in which its tables are made."""
    with psycopg.connect(database.administrator) as administrator:
        administrator.execute(f"CREATE SCHEMA {name} AUTHORIZATION acta_application".encode())
    return make_conninfo(database.application, options=f"-c search_path={name}")


@pytest.fixture
def service(
    broker: AnyBroker, registry: AnyRegistry, namespace: str, database: TestDatabase
) -> Revenue:
    """A service, and what it reads."""
    return Revenue(Publisher(broker.bootstrap_servers, registry.url, namespace), database)


def test_a_few_kills_change_nothing(service: Revenue) -> None:
    """2,000 events, killed at each named moment, while starting and in between."""
    kill_and_compare(service, events=2000, number=5, seed=7)


@pytest.mark.soak
def test_fifty_kills_change_nothing(service: Revenue) -> None:
    """20,000 events and 50 kills."""
    seed = int(os.environ.get("ACTA_SOAK_SEED", "7"))
    kill_and_compare(service, events=20_000, number=50, seed=seed)
