"""A broker of the tests' own is real: it keeps what it has, and ends with the tests."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.services.kafka import KafkaBroker
from tests.services.probe import transactional_producer, write
from tests.services.topics import create_topic, read_all

REPOSITORY = Path(__file__).parents[2]

HOLDING_A_BROKER = """
import sys

def test_that_does_not_end(own_broker):
    print("BROKER", own_broker.process.id, flush=True)
    sys.stdin.read()
"""


def committed(broker: KafkaBroker, topic: str) -> list[bytes | None]:
    return [record.value for record in read_all(broker.bootstrap_servers, topic)]


def commit(broker: KafkaBroker, topic: str, value: bytes) -> None:
    producer = transactional_producer(broker.bootstrap_servers, topic)
    write(producer, topic, value)
    producer.commit_transaction(10)


def test_broker_keeps_its_address_and_records_over_a_kill_and_a_stop(
    own_broker: KafkaBroker, namespace: str
) -> None:
    address = own_broker.bootstrap_servers
    create_topic(address, namespace)
    commit(own_broker, namespace, b"before the kill")

    own_broker.kill()
    assert not own_broker.running
    own_broker.start()
    assert committed(own_broker, namespace) == [b"before the kill"]

    commit(own_broker, namespace, b"before the stop")
    own_broker.stop()
    assert not own_broker.running
    own_broker.start()
    assert committed(own_broker, namespace) == [b"before the kill", b"before the stop"]
    assert own_broker.bootstrap_servers == address


def test_broker_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    test_file = tmp_path / "test_holding.py"
    test_file.write_text(HOLDING_A_BROKER)
    options = ("-p", "tests.conftest", "-p", "no:cacheprovider", "-s", "--rootdir", str(tmp_path))
    tests = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(test_file)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tests:
        assert tests.stdout is not None
        said = next((line for line in tests.stdout if "BROKER" in line), "")
        if not said:
            pytest.skip("no broker starts here")
        broker = psutil.Process(int(said.split()[-1]))
        assert broker.is_running()

        tests.send_signal(signal.SIGKILL)

        broker.wait(timeout=20)
        assert not broker.is_running()
