"""``acta relay`` and what ``acta status`` tells of it."""

import re
import signal
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.handlers.cli.conftest import Terminal
from tests.handlers.cli.files import phone_confirmed, registration, written
from tests.handlers.relaying import Kafka
from tests.services.java_process import free_port
from tests.services.sources import AnyBroker


@pytest.fixture
def kafka(broker: AnyBroker, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """A namespace of the test's own, named by the settings."""
    monkeypatch.setenv("ACTA_KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    monkeypatch.setenv("ACTA_KAFKA_NAMESPACE", namespace)
    monkeypatch.setenv("ACTA_KAFKA_PARTITIONS", "3")
    return Kafka(broker.bootstrap_servers, namespace)


@pytest.fixture
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name a broker that is not there."""
    monkeypatch.setenv("ACTA_KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")


@pytest.fixture
def events(terminal: Terminal, tmp_path: Path) -> int:
    """So many events are in the log."""
    terminal("apply", written(tmp_path, registration(), phone_confirmed()))
    return 2


def test_relaying_once_carries_the_log_as_it_is(
    terminal: Terminal, kafka: Kafka, events: int
) -> None:
    ended = terminal("relay", "--once")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "2 events relayed; Kafka has the log up to position 2\n"
    assert kafka.positions() == [1, events]
    again = terminal("relay", "--once", "--json").json
    assert (again["position"], again["events"], again["failed"]) == (2, 0, 0)


def test_another_generation_is_filled_beside(terminal: Terminal, kafka: Kafka, events: int) -> None:
    terminal("relay", "--once")
    assert terminal("relay", "--once", "--generation", 2, "--json").json["events"] == events
    assert kafka.positions(2) == kafka.positions(1) == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("kafka")
def test_a_signal_ends_it_cleanly(terminal: Terminal, events: int, number: signal.Signals) -> None:
    with terminal.start("relay", "--metrics-port", 0) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        assert "SIGTERM" in process.stderr.readline()
        while metrics(address)["acta_relay_position"] < events:
            pass
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out == "2 events relayed; Kafka has the log up to position 2\n"


@pytest.mark.usefixtures("no_kafka")
def test_a_signal_ends_it_while_it_waits_for_a_broker(terminal: Terminal, events: int) -> None:
    """One message says what it waits for; lag grows meanwhile, and is told."""
    with terminal.start("relay", "--metrics-port", 0) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        assert "SIGTERM" in process.stderr.readline()
        waiting = process.stderr.readline()
        assert waiting.startswith("Waiting: the Kafka cluster")
        assert "ACTA_KAFKA_BOOTSTRAP_SERVERS" in waiting
        told = metrics(address)
        assert (told["acta_relay_owning"], told["acta_relay_lag_events"]) == (0, events)
        assert metrics(address)["acta_relay_lag_seconds"] > told["acta_relay_lag_seconds"] > 0
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=15)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("0 events relayed")


def metrics(address: str) -> dict[str, float]:
    """The page, by name and labels."""
    with urlopen(address, timeout=10) as page:  # noqa: S310  the test's own
        lines = page.read().decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in samples}


@pytest.mark.usefixtures("kafka")
def test_metrics_have_their_names(terminal: Terminal, events: int) -> None:
    with terminal.start("relay", "--metrics-port", 0) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        while (told := metrics(address))["acta_relay_position"] < events:
            pass
        process.terminate()
        process.communicate(timeout=30)
    assert {name: value for name, value in told.items() if "per_second" not in name} == {
        "acta_relay_owning": 1,
        "acta_relay_position": 2,
        "acta_relay_head": 2,
        "acta_relay_lag_events": 0,
        "acta_relay_lag_seconds": 0,
        "acta_relay_events_total": 2,
        'acta_relay_transactions_total{outcome="committed"}': 2,
        'acta_relay_transactions_total{outcome="failed"}': 0,
    }
    assert 0 < told["acta_relay_events_per_second"] <= 2


@pytest.mark.usefixtures("kafka")
def test_one_that_is_replaced_says_so_and_ends(
    terminal: Terminal, events: int, tmp_path: Path
) -> None:
    with terminal.start("relay", "--metrics-port", 0) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        assert "SIGTERM" in process.stderr.readline()
        while metrics(address)["acta_relay_position"] < events:
            pass
        terminal("relay", "--once")
        terminal("apply", written(tmp_path, registration(email="bruno@example.cl", rut=None)))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "another relay of this namespace and generation took over" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("kafka")
def test_an_address_for_metrics_that_is_taken(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = terminal("relay", "--metrics-port", port)
    assert ended.status == 2
    assert f"metrics cannot be served at 127.0.0.1:{port}" in ended.said
    assert "--metrics-port" in ended.said


def test_brokers_have_to_be_named(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTA_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    ended = terminal("relay", "--once")
    assert (ended.status, ended.out) == (2, "")
    assert "ACTA_KAFKA_BOOTSTRAP_SERVERS is not set" in ended.err


# ---------------------------------------------------------------- acta status


@pytest.mark.usefixtures("kafka", "events")
def test_status_tells_of_the_relay(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal("status").out.endswith("relay: none has written yet\n")
    assert terminal("status", "--json").json["relay"] == {
        "position": 0, "lag_events": 2, "last_wrote_at": None,
    }  # fmt: skip
    terminal("relay", "--once")
    terminal("apply", written(tmp_path, registration(email="bruno@example.cl", rut=None)))
    told = terminal("status", "--json").json["relay"]
    assert list(told) == [
        "position", "lag_events", "lag_seconds", "events_per_second", "committed", "failed",
        "last_wrote_at",
    ]  # fmt: skip
    assert (told["position"], told["lag_events"]) == (2, 1)
    assert (told["committed"], told["failed"]) == (2, 0)
    assert told["lag_seconds"] > 0
    shown = terminal("status").out
    assert re.search(r"relay: position 2, 1 events and \d+ s behind; last wrote 20", shown)
    assert "2 committed, 0 failed" in shown


@pytest.mark.usefixtures("no_kafka")
def test_status_does_without_a_broker_that_is_away(terminal: Terminal, events: int) -> None:
    """One line says so, and all else is told."""
    ended = terminal("status")
    assert ended.status == 0
    assert f"position {events}" in ended.out
    (line,) = [line for line in ended.out.splitlines() if line.startswith("relay: ")]
    assert "the Kafka cluster does not answer" in line
    told = terminal("status", "--json").json
    assert told["head"] == events
    assert list(told["relay"]) == ["fault", "remedy"]
