"""The catalogue of events, for people who read them from other services."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from schemas.avro import PERSONAL, Contracted, Schema, avro_schema, records
from schemas.headers import HEADERS
from schemas.topics import AGGREGATE_OF_ENTRIES, entries_topic, events_topic

__all__ = ["catalogue"]

NAMESPACE = "acta"

HEAD = """\
# Events

<!-- Written by `acta schemas write` from the event classes; a change made here is lost. -->

What the ledger tells other services, by aggregate; [asyncapi.yaml](asyncapi.yaml) says the same for
programs. The contract is the Avro schema of each event; a published one never changes, and an
addition is an optional field in a new version.

- Each event is one record of its aggregate's topic in Kafka. The key is the id of its stream, so
  that what happened to one account comes in order; the value is a zero byte, the id of the schema
  in four bytes, and Avro's binary form. An event is carried as it was written: whoever reads a fact
  meets its older versions, too.
- The names of topics begin with the namespace, `acta` unless an installation sets another, and end
  with their generation: `v2` would be filled beside `v1` if a contract could not be kept.
- Times are UTC with microseconds; days are days of the time zone that the event names; money is
  whole minor units of the currency beside it.
- A field marked *sealed* is bytes, encrypted with a key of the person that the named field
  identifies, kept for the purpose named. Once that key is destroyed it can no longer be opened
  (A11). The rules are in [rules.md](../domain/rules.md).
- Where the words list values, a reader meets others one day and must bear it.

Every record has these headers, in text:
"""


def catalogue(classes: Sequence[Contracted]) -> str:
    """The catalogue of these events and entries, in Markdown; they come sorted by topic."""
    return "\n".join([HEAD, *_headers(), *_by_aggregate(classes)])


def _headers() -> Iterator[str]:
    yield from ("| header | meaning |", "|---|---|")
    for header in HEADERS:
        alone = "" if header.of_entries else " Not on entries, which are not all of a stream."
        yield f"| `{header.name}` | {header.meaning}{alone} |"
    yield ""


def _by_aggregate(classes: Sequence[Contracted]) -> Iterator[str]:
    for aggregate, contracted in groupby(classes, key=lambda cls: cls.AGGREGATE):
        yield f"## {aggregate}\n"
        yield f"{_topic(aggregate)}\n"
        yield from map(_event, contracted)


def _topic(aggregate: str) -> str:
    if aggregate == AGGREGATE_OF_ENTRIES:
        return (
            f"Topic `{entries_topic(NAMESPACE)}`, key: the id of the stream of the event. One flat"
            " record for each event that names an amount, written with it or not at all; for"
            " warehouses and SQL engines, which take it without code."
        )
    return f"Topic `{events_topic(NAMESPACE, aggregate)}`, key: the id of the stream."


def _event(contracted: Contracted) -> str:
    schema = avro_schema(contracted)
    file = f"schemas/{contracted.AGGREGATE}/{contracted.__name__}.v{contracted.VERSION}.avsc"
    lines = [
        f"### {contracted.__name__}",
        "",
        schema["doc"],
        "",
        f"Version {contracted.VERSION}: [{file}](../{file})",
        "",
        *_table(schema),
    ]
    for record in records(schema):
        lines += [f"In it, `{record['name']}`: {record['doc']}", "", *_table(record)]
    return "\n".join(lines)


def _table(record: Schema) -> list[str]:
    head = ["| field | type | meaning |", "|---|---|---|"]
    return [*head, *map(_row, record["fields"]), ""]


def _row(field: Schema) -> str:
    doc = field["doc"].replace("|", "\\|").replace("\n", " ")
    return f"| `{field['name']}` | {_type(field)} | {doc} |"


def _type(field: Schema) -> str:
    match field["type"]:
        case ["null", kind]:
            words = f"{_name(kind)}, optional"
        case kind:
            words = _name(kind)
    if mark := field.get(PERSONAL):
        words += f"; *sealed* for `{mark['of']}`, {mark['purpose']}"
    return words


def _name(kind: str | Schema) -> str:
    match kind:
        case str():
            return kind.rpartition(".")[2]
        case {"type": "array", "items": items}:
            return f"list of {_name(items)}"
        case {"type": "record", "name": name}:
            return f"{name}"
        case _:
            return f"{kind['logicalType']}"
