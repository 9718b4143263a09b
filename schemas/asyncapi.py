"""The topics as an AsyncAPI 3 document, from the view of a service that subscribes to them."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from schemas.avro import Schema
from schemas.headers import HEADERS
from schemas.topics import (
    AGGREGATE_OF_ENTRIES,
    aggregate_of,
    entries_topic,
    events_topic,
    record_name,
    version_of,
)

__all__ = ["asyncapi", "yaml_lines"]

NAMESPACE = "acta"
PARTITIONS = 6
AVRO = "application/vnd.apache.avro+json;version=1.9.0"
"""The one version of Avro that AsyncAPI knows; our schemas are of it, too."""
KAFKA_BINDING = "0.5.0"

HEAD = """\
# Written by `acta schemas write` from the contracts; a change made here is lost.
"""
DESCRIPTION = """\
What the ledger tells other services, for those that subscribe to it.

Each event comes exactly once, and those of one key in order, to a consumer with \
isolation.level=read_committed: the default of librdkafka, and not that of Java.
A value is a zero byte, the id of its schema in four bytes, big end first, and then Avro: what the \
deserializers of every registry client read.
Every version that was ever written stays on its topic. A newer one only adds what is optional.
The names of topics begin with the namespace, acta unless an installation sets another, and end \
with their generation. A topic has six partitions unless set otherwise, and keeps their number.
A field with the attribute acta.personal is encrypted, and becomes unreadable when the person is \
erased.\
"""
CONFIGURATION = {"cleanup.policy": ["delete"], "retention.ms": -1}

PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
WORDS_OF_YAML = {"false", "n", "no", "null", "off", "on", "true", "y", "yes"}

Document = dict[str, Any]


def asyncapi(schemas: Mapping[str, Schema]) -> str:
    """The document of these contracts in YAML.

    Args:
        schemas: each version by its stored topic; those of an aggregate side by side.
    """
    by_aggregate = {key: [*topics] for key, topics in groupby(schemas, key=aggregate_of)}
    document: Document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Acta, a ledger of accounts",
            "version": "1",
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/avro",
        "channels": {name: _channel(name, topics) for name, topics in by_aggregate.items()},
        "operations": {
            f"receive.{name}": _operation(name, topics) for name, topics in by_aggregate.items()
        },
        "components": {
            "messages": {topic: _message(topic, schema) for topic, schema in schemas.items()},
            "schemas": {"EventHeaders": _headers(), "EntryHeaders": _headers(of_entries=True)},
        },
    }
    return HEAD + "\n".join(yaml_lines(document)) + "\n"


def _channel(aggregate: str, topics: list[str]) -> Document:
    money = aggregate == AGGREGATE_OF_ENTRIES
    address = entries_topic(NAMESPACE) if money else events_topic(NAMESPACE, aggregate)
    return {
        "address": address,
        "title": _title(aggregate),
        "description": (
            "One flat record for each event that names an amount, in the transaction of the event."
            if money
            else "Every event of the aggregate, keyed by stream; none is ever deleted."
        ),
        "messages": {topic: _reference("components", "messages", topic) for topic in topics},
        "bindings": {
            "kafka": {
                "topic": address,
                "partitions": PARTITIONS,
                "topicConfiguration": CONFIGURATION,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _title(aggregate: str) -> str:
    money = aggregate == AGGREGATE_OF_ENTRIES
    return "Entries of money" if money else f"Events of {aggregate.replace('_', ' ')}"


def _operation(aggregate: str, topics: list[str]) -> Document:
    return {
        "action": "receive",
        "title": _title(aggregate),
        "summary": "Read them in order, from the beginning or from where the group left off.",
        "channel": _reference("channels", aggregate),
        "messages": [_reference("channels", aggregate, "messages", topic) for topic in topics],
    }


def _message(topic: str, schema: Schema) -> Document:
    money = aggregate_of(topic) == AGGREGATE_OF_ENTRIES
    headers = "EntryHeaders" if money else "EventHeaders"
    summary, _, more = schema["doc"].partition("\n\n")
    message: Document = {
        "name": record_name(topic),
        "title": f"{schema['name']}, version {version_of(topic)}",
        "summary": summary.replace("\n", " "),
    }
    if more:
        message["description"] = more.replace("\n", " ")
    return message | {
        "contentType": "application/avro",
        "headers": {
            "type": "object",
            "allOf": [_reference("components", "schemas", headers)],
            "properties": {"ce_type": {"const": record_name(topic)}},
        },
        "payload": {"schemaFormat": AVRO, "schema": schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "format": "uuid", "description": "Id of the stream."},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicNameStrategy" if money else "TopicRecordNameStrategy",
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _headers(*, of_entries: bool = False) -> Document:
    headers = [header for header in HEADERS if header.of_entries or not of_entries]
    return {
        "type": "object",
        "required": [header.name for header in headers],
        "properties": {
            header.name: {"type": "string", "description": header.meaning} | header.schema
            for header in headers
        },
    }


def _reference(*path: str) -> Document:
    return {"$ref": "/".join(["#", *path])}


# ---------------------------------------------------------------- YAML


def yaml_lines(value: Any, indent: str = "") -> Iterator[str]:
    """The lines of a value in YAML's block style; a text is quoted as in JSON, which YAML takes."""
    for head, part in _parts(value):
        if isinstance(part, dict | list) and part:
            yield indent + head
            yield from yaml_lines(part, f"{indent}  ")
        else:
            yield f"{indent}{head} {json.dumps(part, ensure_ascii=False)}"


def _parts(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{_key(key)}:", part) for key, part in value.items())
    else:
        yield from (("-", part) for part in value)


def _key(key: str) -> str:
    plain = PLAIN_KEY.fullmatch(key) and key.lower() not in WORDS_OF_YAML
    return key if plain else json.dumps(key, ensure_ascii=False)
