"""The catalogue of events, for people who read them from other services."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from domain.event import Event
from schemas.avro import PERSONAL, Schema, avro_schema, records

__all__ = ["catalogue"]

HEAD = """\
# Events

<!-- Written by `acta schemas write` from the event classes; a change made here is lost. -->

What the ledger tells other services, by aggregate. The contract is the Avro schema of each event;
a published one never changes, and an addition is an optional field in a new version.

- Each event stands alone in Avro's binary form. Times are UTC with microseconds; days are days of
  the time zone that the event names; money is whole minor units of the currency beside it.
- A field marked *sealed* is bytes, encrypted with a key of the person that the named field
  identifies, kept for the purpose named. Once that key is destroyed it can no longer be opened
  (A11). The rules are in [rules.md](../domain/rules.md).
- Where the words list values, a reader meets others one day and must bear it.
"""


def catalogue(event_classes: Sequence[type[Event]]) -> str:
    """The catalogue of these events, in Markdown; they come sorted by topic."""
    return "\n".join([HEAD, *_by_aggregate(event_classes)])


def _by_aggregate(event_classes: Sequence[type[Event]]) -> Iterator[str]:
    for aggregate, events in groupby(event_classes, key=lambda cls: cls.AGGREGATE):
        yield f"## {aggregate}\n"
        yield from map(_event, events)


def _event(event_class: type[Event]) -> str:
    schema = avro_schema(event_class)
    file = f"schemas/{event_class.AGGREGATE}/{event_class.__name__}.v{event_class.VERSION}.avsc"
    lines = [
        f"### {event_class.__name__}",
        "",
        schema["doc"],
        "",
        f"Version {event_class.VERSION}: [{file}](../{file})",
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
