"""The AsyncAPI document: valid, whole, and the same as the contracts say."""

import json
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from schemas.asyncapi import yaml_lines
from schemas.contracts import PROJECT, Contracts
from schemas.headers import HEADERS
from schemas.topics import record_name

CONTRACTS = Contracts()
SPECIFICATION = Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.json"


def from_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(StringIO(text))


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = from_yaml(
        (PROJECT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    )
    return found


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(json.loads(SPECIFICATION.read_text(encoding="utf-8")))


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for part in value.values():
                yield from references(part)
        case list():
            for part in value:
                yield from references(part)
        case _:
            pass


def resolve(reference: str) -> Any:
    found: Any = document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_it_is_what_the_specification_of_asyncapi_asks_for() -> None:
    """By the official JSON Schema, which looks into the Avro schemas and the Kafka bindings too."""
    assert [error.message for error in validator().iter_errors(document())] == []


@pytest.mark.parametrize(
    "path",
    [
        ("info", "title"),
        ("channels", "account", "address"),
        ("channels", "account", "bindings", "kafka", "partitions"),
        ("operations", "receive.account", "action"),
        ("components", "messages", "account.UserRegistered.v1", "payload", "schema", "name"),
    ],
)
def test_the_specification_notices_what_is_wrong(path: tuple[str, ...]) -> None:
    """So the test above means something."""
    broken = json.loads(json.dumps(document()))
    *parents, last = path
    place = broken
    for name in parents:
        place = place[name]
    place[last] = {"neither": ["text", "nor", "number"]}
    assert not validator().is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    found = [*references(document())]
    assert len(found) > 100
    assert all(isinstance(resolve(reference), dict) for reference in found)


def test_every_contract_is_a_message_of_its_channel_with_its_schema() -> None:
    messages = document()["components"]["messages"]
    assert [*messages] == CONTRACTS.topics()
    for topic, message in messages.items():
        assert message["payload"]["schema"] == CONTRACTS.schema(topic)
        assert message["name"] == record_name(topic)
        assert message["headers"]["properties"]["ce_type"]["const"] == record_name(topic)
        assert topic in document()["channels"][topic.partition(".")[0]]["messages"]


def test_every_aggregate_has_a_channel_and_an_operation_that_receives_it() -> None:
    channels, operations = document()["channels"], document()["operations"]
    assert {*channels} == {cls.AGGREGATE for cls in CONTRACTS.classes}
    assert channels["account"]["address"] == "acta.account.events.v1"
    assert channels["entries"]["address"] == "acta.entries.v1"
    for name, channel in channels.items():
        kafka = channel["bindings"]["kafka"]
        assert kafka["topic"] == channel["address"]
        assert kafka["topicConfiguration"] == {"cleanup.policy": ["delete"], "retention.ms": -1}
        operation = operations[f"receive.{name}"]
        assert operation["action"] == "receive"
        assert [resolve(ref["$ref"]) for ref in operation["messages"]] == [
            *channel["messages"].values()
        ]


def test_headers_are_those_of_every_record_and_entries_have_no_place_in_a_stream() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["EventHeaders"]["required"] == [header.name for header in HEADERS]
    assert {*schemas["EventHeaders"]["required"]} - {*schemas["EntryHeaders"]["required"]} == {
        "ce_streamversion"
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["C"])),
    lambda parts: (
        st.lists(parts) | st.dictionaries(st.text("aN0_.-$ :#é", min_size=1) | st.just("no"), parts)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["on", "name", "$ref", "1"]), VALUES, min_size=1))
def test_yaml_says_what_was_meant(value: dict[str, Any]) -> None:
    assert from_yaml("\n".join(yaml_lines(value))) == value
