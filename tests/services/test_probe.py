"""The probe tells a broker that can carry the relay from one that only answers."""

import pytest
from confluent_kafka import Producer

from tests.services import probe
from tests.services.sources import AnyBroker


def test_broker_of_the_tests_can_carry_the_relay(broker: AnyBroker) -> None:
    assert probe.faults_of_broker(broker.bootstrap_servers) == []


def test_simulated_broker_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka's own mock cluster takes transactions, and keeps none of their promises."""
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 5)
    simulated = Producer({"test.mock.num.brokers": 1})
    (address,) = (
        f"{each.host}:{each.port}" for each in simulated.list_topics(timeout=5).brokers.values()
    )
    faults = list(probe.seen_faults(address, "made by itself"))
    print(faults)
    assert "an aborted record is visible to read_committed" in faults
    assert "a second producer of a transactional id does not fence the first" in faults


def test_address_where_nothing_answers_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 1)
    (fault,) = probe.faults_of_broker("127.0.0.1:1")
    assert fault.startswith("the probe did not end")
