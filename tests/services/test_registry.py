"""The registry of the tests is real and strict."""

import json

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from tests.services.sources import AnyRegistry

EMPTY = '{"type": "record", "name": "Thing", "fields": []}'
WITH_DEFAULT = (
    '{"type": "record", "name": "Thing",'
    ' "fields": [{"name": "size", "type": "long", "default": 0}]}'
)
WITHOUT_DEFAULT = (
    '{"type": "record", "name": "Thing", "fields": [{"name": "size", "type": "long"}]}'
)


def test_registry_gives_back_what_was_registered(registry: AnyRegistry, namespace: str) -> None:
    subject = f"{namespace}-value"
    with SchemaRegistryClient({"url": registry.url}) as client:
        number = client.register_schema(subject, Schema(WITH_DEFAULT, "AVRO"))
        assert client.register_schema(subject, Schema(WITH_DEFAULT, "AVRO")) == number
        given_back = client.get_schema(number).schema_str
    assert json.loads(given_back or "") == json.loads(WITH_DEFAULT)


def test_registry_refuses_what_is_not_compatible_with_every_version(
    registry: AnyRegistry, namespace: str
) -> None:
    """WITHOUT_DEFAULT fits the last version both ways, and cannot read the first."""
    subject = f"{namespace}-value"
    with SchemaRegistryClient({"url": registry.url}) as client:
        client.register_schema(subject, Schema(EMPTY, "AVRO"))
        client.register_schema(subject, Schema(WITH_DEFAULT, "AVRO"))
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema(subject, Schema(WITHOUT_DEFAULT, "AVRO"))
    assert refused.value.http_status_code == 409
