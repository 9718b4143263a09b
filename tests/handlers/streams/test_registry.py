"""Ids of schemas, from a real registry."""

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from handlers.faults import RegistryUnavailable
from handlers.streams.registry import register
from schemas.contracts import Contracts
from schemas.topics import subject
from tests.services.java_process import free_port
from tests.services.sources import AnyRegistry


def test_every_contract_is_registered_once(registry: AnyRegistry, namespace: str) -> None:
    """Every version under its subject, fully and transitively compatible; again, no change."""
    with SchemaRegistryClient({"url": registry.url}) as client:
        assert_registered_once(client, registry.url, namespace)


def assert_registered_once(client: SchemaRegistryClient, url: str, namespace: str) -> None:
    contracts = Contracts()
    first = register(url, contracts, namespace, 1)
    subjects = {topic: subject(namespace, topic) for topic in contracts.topics()}
    versions = {name: client.get_versions(name) for name in subjects.values()}
    assert sum(map(len, versions.values())) == len(contracts.topics())
    for topic, name in subjects.items():
        assert client.get_config(name).compatibility_level == "FULL_TRANSITIVE"
        held = client.get_schema(first(topic)).schema_str
        assert held is not None
        assert contracts.schema(topic)["name"] in held
    again = register(url, contracts, namespace, 1)
    assert [again(topic) for topic in subjects] == [first(topic) for topic in subjects]
    assert {name: client.get_versions(name) for name in subjects.values()} == versions


def test_what_has_no_contract_has_no_id(registry: AnyRegistry, namespace: str) -> None:
    with pytest.raises(KeyError):
        register(registry.url, Contracts(), namespace, 1)("account.MoonLanded.v1")


def test_a_registry_that_is_away_is_said(namespace: str) -> None:
    nowhere = f"http://user:secret@127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailable) as caught:
        register(nowhere, Contracts(), namespace, 1)
    assert "secret" not in caught.value.message
