"""Personal data is nowhere in clear in Kafka, nor in what the relay says (D10).

The canaries of ``tests.handlers.store.test_canaries`` are given to a ledger in every way there is;
the relay carries its log; then all that the broker keeps is searched for them, decompressed. The
same search finds each of them once the sealing is taken out, so it is the sealing that hides them.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from eventsourcing.persistence import StoredEvent

from benchmarks import ours
from handlers.composition import open_ledger
from handlers.store.database import connect
from schemas.topics import checkpoint_topic
from tests.conftest import TestDatabase
from tests.handlers.store.canaries import Canaries, Canary, files_of
from tests.handlers.store.stories import seed
from tests.handlers.store.test_canaries import Cage, NoCipher, secrets_of, use
from tests.services.kafka import KafkaBroker
from tests.services.segments import batches
from tests.services.topics import create_topic

ACTA = Path(sys.executable).with_name("acta")
COMPRESSIONS = ("none", "gzip", "zstd")
PLANTED_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
RELAY_SECONDS = 120


@pytest.fixture
def cage() -> Cage:
    """Canaries of the soak's seed."""
    return Cage(random.Random(seed()))


class Relays:
    """Runs ``acta relay`` to the end of a log, and keeps what it says."""

    def __init__(self, database: TestDatabase, broker: KafkaBroker, folder: Path) -> None:
        self._database = database
        self._broker = broker
        self._folder = folder
        self.said = ""

    def run(self, namespace: str, compression: str = "none") -> int:
        """Its exit status."""
        properties = self._folder / f"{compression}.properties"
        properties.write_text(f"compression.type={compression}\n", encoding="utf-8")
        others = {name: told for name, told in os.environ.items() if not name.startswith("ACTA_")}
        run = subprocess.run(
            [ACTA, "relay", "--once"],
            env=others
            | {
                "ACTA_DATABASE_URL": self._database.application,
                "ACTA_KAFKA_BOOTSTRAP_SERVERS": self._broker.bootstrap_servers,
                "ACTA_KAFKA_NAMESPACE": namespace,
                "ACTA_KAFKA_PROPERTIES": str(properties),
            },
            capture_output=True,
            check=False,
            timeout=RELAY_SECONDS,
        )
        told = (run.stdout + run.stderr).decode()
        assert told
        self.said += told
        return run.returncode


def kept_by(broker: KafkaBroker) -> Iterator[tuple[str, bytes]]:
    """Everything that the broker keeps: its records, decompressed, and its files as they are."""
    for batch in batches(broker.log_folder):
        yield batch.segment.parent.name, batch.content
    yield from files_of(broker.folder)


def append_unreadable(database: TestDatabase, canary: str) -> None:
    """An event that fits no contract, with the canary where something else belongs."""
    payload = {"occurred_at": canary, "person": canary, "account": canary, "note": canary}
    topic = "account.AccountSuspended.v1"
    with ours.log(database.settings()) as log:
        log.append([StoredEvent(uuid4(), 1, topic, json.dumps(payload).encode())])


@pytest.mark.rule("A11")
def test_no_canary_is_in_clear_in_kafka(
    cage: Cage, database: TestDatabase, own_broker: KafkaBroker, tmp_path: Path, namespace: str
) -> None:
    unreadable = Canary.word(random.Random(seed()))
    with (
        open_ledger(database.settings()) as acta,
        connect(database.administrator) as administrator,
    ):
        use(acta, cage)
        secrets = secrets_of(acta, administrator)
    relays = Relays(database, own_broker, tmp_path)
    for compression in COMPRESSIONS:
        assert relays.run(f"{namespace}.{compression}", compression) == 0, relays.said
    append_unreadable(database, unreadable.text)
    assert relays.run(f"{namespace}.none") != 0
    assert "account.AccountSuspended.v1" in relays.said
    own_broker.stop()

    look = Canaries(cage.kept | cage.never_stored | secrets | {"unreadable": unreadable})
    assert look.found_in(kept_by(own_broker)) == {}
    assert look.found_in([("the relay", relays.said.encode())]) == {}
    assert_was_searched(own_broker, namespace)


def assert_was_searched(broker: KafkaBroker, namespace: str) -> None:
    """There was something to search, compressed and not, the checkpoints among it."""
    kinds = {
        (batch.segment.parent.name.rpartition("-")[0], batch.compression)
        for batch in batches(broker.log_folder)
    }
    for compression in COMPRESSIONS:
        of_relay = f"{namespace}.{compression}"
        assert (f"{of_relay}.account.events.v1", compression) in kinds
        assert checkpoint_topic(of_relay) in {topic for topic, _ in kinds}


@pytest.mark.rule("A11")
def test_the_same_search_without_sealing_finds_each(
    cage: Cage, database: TestDatabase, own_broker: KafkaBroker, tmp_path: Path, namespace: str
) -> None:
    """What was refused or faulty was never stored, and so is not there even then.

    The token of a card is stored in the vault alone, and in no event (decision 35).
    """
    with open_ledger(database.settings(), cipher=NoCipher()) as acta:
        use(acta, cage)
    relays = Relays(database, own_broker, tmp_path)
    assert relays.run(namespace, "zstd") == 0, relays.said
    own_broker.stop()

    found = Canaries(cage.kept | cage.never_stored).found_in(kept_by(own_broker))
    assert set(found) == set(cage.kept) - {"card_token"}
    assert all(any(place.startswith(namespace) for place in places) for places in found.values())


def test_the_search_finds_what_a_plain_producer_wrote(
    cage: Cage, own_broker: KafkaBroker, namespace: str
) -> None:
    """Each canary, in a form and under a compression that chance chooses."""
    chance = random.Random(seed())
    for compression in PLANTED_COMPRESSIONS:
        create_topic(own_broker.bootstrap_servers, f"{namespace}.{compression}")
    for canary in cage.kept.values():
        plant(own_broker, namespace, chance, canary)
    own_broker.stop()

    found = Canaries(cage.kept | cage.never_stored).found_in(
        (batch.compression, batch.content) for batch in batches(own_broker.log_folder)
    )
    assert set(found) == set(cage.kept)
    assert set().union(*found.values()) == set(PLANTED_COMPRESSIONS)


def plant(broker: KafkaBroker, namespace: str, chance: random.Random, canary: Canary) -> None:
    compression = chance.choice(PLANTED_COMPRESSIONS)
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "compression.type": compression}
    )
    # Filled up, because librdkafka leaves a batch as it is that compression would not shrink.
    value = chance.choice(sorted(canary.needles())) + b"-" * 4000
    producer.produce(f"{namespace}.{compression}", value)
    assert producer.flush(30) == 0
