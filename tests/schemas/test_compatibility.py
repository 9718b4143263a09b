"""Whether versions of an event fit: our rules, with Apache's checker as a second judge."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given
from hypothesis import strategies as st

from domain.event import event_class
from schemas.avro import PERSONAL, Schema, avro_schema
from schemas.compatibility import breaks
from schemas.contracts import Contracts

SCHEMA = avro_schema(event_class("account.UserRegistered.v1"))
OPTIONAL = {"name": "nickname", "doc": "New.", "type": ["null", "bytes"], "default": None}

Change = Callable[[Schema], None]


def changed(change: Change, schema: Schema = SCHEMA) -> Schema:
    copy = deepcopy(schema)
    change(copy)
    return copy


def field(schema: Schema, name: str) -> dict[str, Any]:
    return next(field for field in schema["fields"] if field["name"] == name)


def sets(name: str, **attributes: Any) -> Change:
    return lambda schema: field(schema, name).update(attributes)


def removes(name: str) -> Change:
    return lambda schema: schema["fields"].remove(field(schema, name))


def adds(**attributes: Any) -> Change:
    return lambda schema: schema["fields"].append({"doc": "New.", **attributes})


def forgets(name: str, attribute: str) -> Change:
    return lambda schema: field(schema, name).__delitem__(attribute)


def apache_accepts(one: Schema, other: Schema) -> bool:
    """Whether each reads what the other wrote, in the eyes of Apache's checker."""
    return _reads(one, other) and _reads(other, one)


def _reads(reader: Schema, writer: Schema) -> bool:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    verdict = checker.get_compatibility(
        avro.schema.parse(json.dumps(reader)), avro.schema.parse(json.dumps(writer))
    )
    return verdict.compatibility is SchemaCompatibilityType.compatible


@pytest.mark.parametrize(
    "change",
    [
        adds(**OPTIONAL),
        adds(name="visits", type=["null", "long"], default=None),
        sets("kind", doc="Other words."),
        lambda schema: schema.update(doc="Other words."),
        lambda schema: schema["fields"].reverse(),
    ],
    ids=["a personal field", "a plain field", "a field's words", "the event's words", "order"],
)
def test_what_a_newer_version_may_do(change: Change) -> None:
    newer = changed(change)
    assert breaks(SCHEMA, newer) == []
    assert apache_accepts(SCHEMA, newer)


SEEN_BY_APACHE_TOO = [
    (sets("language", type="long"), "the type of language changed"),
    (sets("rut", type="bytes"), "the type of rut changed"),
    (sets("email", type=["null", "bytes"]), "the type of email changed"),
    (removes("language"), "the field language was removed"),
    (adds(name="n", type="long"), "the new field n is not optional with the default null"),
    (lambda schema: schema.update(name="PersonRegistered"), "its name changed"),
]
SEEN_BY_US_ALONE = [
    (sets("email", type="string"), "the type of email changed"),
    (sets("person", type="string"), "the logical type of person changed"),
    (
        sets("occurred_at", type={"type": "long", "logicalType": "timestamp-millis"}),
        "the logical type of occurred_at changed",
    ),
    (forgets("email", PERSONAL), "the mark acta.personal of email changed"),
    (
        sets("email", **{PERSONAL: {"of": "person", "purpose": "tax"}}),
        "the mark acta.personal of email changed",
    ),
    (
        sets("language", **{PERSONAL: {"of": "person", "purpose": "identity"}}),
        "the mark acta.personal of language changed",
    ),
    (sets("language", default="es"), "the default of language changed"),
    (removes("rut"), "the field rut was removed"),
    (
        adds(name="n", type="long", default=0),
        "the new field n is not optional with the default null",
    ),
]


@pytest.mark.parametrize(("change", "said"), SEEN_BY_APACHE_TOO + SEEN_BY_US_ALONE)
def test_what_a_newer_version_may_not_do(change: Change, said: str) -> None:
    assert breaks(SCHEMA, changed(change)) == [said]


@pytest.mark.parametrize(("change", "said"), SEEN_BY_APACHE_TOO)
def test_what_apache_sees_too(change: Change, said: str) -> None:
    """Its checker and our rules agree on what Avro itself cannot read."""
    assert not apache_accepts(SCHEMA, changed(change)), said


@pytest.mark.parametrize(("change", "said"), SEEN_BY_US_ALONE)
def test_what_only_our_rules_see(change: Change, said: str) -> None:
    """Avro could read it, and it would mean another thing: the reason for rules of our own."""
    assert apache_accepts(SCHEMA, changed(change)), said


FAULT: Schema = {
    "type": "record", "name": "Fault", "namespace": "acta.test", "doc": "A fault.",
    "fields": [
        {"name": "rule", "doc": "Rule.", "type": "string"},
        {"name": "at", "doc": "Where.", "type": {"type": "string", "logicalType": "uuid"}},
    ],
}  # fmt: skip
WITH_LISTS: Schema = {
    "type": "record", "name": "Listed", "namespace": "acta.test", "doc": "A list.",
    "fields": [
        {"name": "faults", "type": {"type": "array", "items": FAULT}},
        {"name": "again", "type": {"type": "array", "items": "acta.test.Fault"}, "default": []},
        {"name": "words", "type": {"type": "array", "items": "string"}},
    ],
}  # fmt: skip


def within(change: Change) -> Change:
    """A change to the record in the list."""
    return lambda schema: change(field(schema, "faults")["type"]["items"])


def list_of(items: Any) -> Schema:
    return {"type": "array", "items": items}


@pytest.mark.parametrize(
    "change",
    [
        within(adds(**OPTIONAL)),
        within(adds(name="more", type=list_of("string"), default=[])),
        within(sets("rule", doc="Other words.")),
        within(lambda record: record.update(doc="Other words.")),
        adds(name="more", type=list_of("acta.test.Fault"), default=[]),
    ],
    ids=["a field", "a list", "a field's words", "the record's words", "a list of known records"],
)
def test_what_a_newer_version_may_do_within_a_list(change: Change) -> None:
    newer = changed(change, WITH_LISTS)
    assert breaks(WITH_LISTS, newer) == []
    assert apache_accepts(WITH_LISTS, newer)


@pytest.mark.parametrize(
    ("change", "said", "apache_sees_it"),
    [
        (sets("words", type=list_of("long")), "the type of words changed", True),
        (sets("words", type="string"), "the type of words changed", True),
        (sets("words", type=list_of("acta.test.Fault")), "the type of words changed", True),
        (within(sets("rule", type="long")), "the type of Fault.rule changed", True),
        (within(sets("at", type="string")), "the logical type of Fault.at changed", False),
        (within(removes("rule")), "the field Fault.rule was removed", True),
        (
            within(adds(name="n", type="long")),
            "the new field Fault.n is not optional with the default null",
            True,
        ),
        (
            adds(name="more", type=list_of("string")),
            "the new field more is not a list with the default []",
            True,
        ),
        (forgets("again", "default"), "the default of again changed", False),
    ],
)
def test_what_a_newer_version_may_not_do_within_a_list(
    change: Change, said: str, apache_sees_it: bool
) -> None:
    newer = changed(change, WITH_LISTS)
    assert breaks(WITH_LISTS, newer) == [said]
    assert apache_accepts(WITH_LISTS, newer) is not apache_sees_it


def test_additions_within_a_list_pile_up() -> None:
    versions = [WITH_LISTS]
    for name in "xyz":
        addition = within(adds(name=name, type=["null", "long"], default=None))
        versions.append(changed(addition, versions[-1]))
    for place, newer in enumerate(versions):
        for before in versions[:place]:
            assert breaks(before, newer) == []
            assert apache_accepts(before, newer)


def test_a_record_may_be_defined_at_its_other_place() -> None:
    """When fields change their order, the first that uses it defines it."""
    newer = changed(sets("faults", type=list_of("acta.test.Fault")), WITH_LISTS)
    field(newer, "again")["type"]["items"] = deepcopy(FAULT)
    newer["fields"].reverse()
    assert breaks(WITH_LISTS, newer) == []
    assert apache_accepts(WITH_LISTS, newer)


def test_a_record_keeps_its_name() -> None:
    newer = changed(within(lambda record: record.update(name="Flaw")), WITH_LISTS)
    field(newer, "again")["type"]["items"] = "acta.test.Flaw"
    said = ["the type of faults changed", "the type of again changed"]
    assert breaks(WITH_LISTS, newer) == said
    assert not apache_accepts(WITH_LISTS, newer)


TYPES: list[Any] = [
    "string", "bytes", "long", "int", "boolean",
    {"type": "string", "logicalType": "uuid"},
    {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "array", "items": "string"},
    {"type": "array", "items": {"type": "string", "logicalType": "uuid"}},
]  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> Schema:
    """A small record; two of them often share fields."""
    names = draw(st.lists(st.sampled_from("abc"), unique=True))
    fields: list[Schema] = []
    for name in names:
        kind = draw(st.sampled_from(TYPES))
        optional = {"type": ["null", kind], "default": None}
        fields.append({"name": name, **draw(st.sampled_from([{"type": kind}, optional]))})
    return {"type": "record", "name": "Fact", "namespace": "acta.test", "fields": fields}


@given(older=records(), newer=records())
def test_what_our_rules_accept_apache_accepts(older: Schema, newer: Schema) -> None:
    if not breaks(older, newer):
        assert apache_accepts(older, newer)


@given(older=records(), data=st.data())
def test_additions_pile_up(older: Schema, data: st.DataObject) -> None:
    """Versions that each fit the one before fit all before it."""
    versions = [older]
    for name in "xyz":
        kind = data.draw(st.sampled_from(TYPES))
        addition = adds(name=name, type=["null", kind], default=None)
        versions.append(changed(addition, versions[-1]))
    for place, newer in enumerate(versions):
        for before in versions[:place]:
            assert breaks(before, newer) == []
            assert apache_accepts(before, newer)


def test_the_versions_of_today_fit_in_the_eyes_of_apache() -> None:
    """Every pair of versions of a fact, both ways: FULL_TRANSITIVE."""
    contracts = Contracts()
    for cls in contracts.events:
        fact = f"{cls.AGGREGATE}.{cls.__name__}"
        versions = [contracts.schema(f"{fact}.v{n}") for n in range(1, cls.VERSION + 1)]
        for one in versions:
            for other in versions:
                assert apache_accepts(one, other), fact
