"""A compiled contract writes what fastavro writes."""

from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.encoding import UNFIT, encoder

LONGEST = 2**63


def schema(avro_type: Any, **attributes: Any) -> dict[str, Any]:
    field = {"name": "value", "type": avro_type, **attributes}
    return {"type": "record", "name": "Test", "namespace": "acta.test", "fields": [field]}


def as_fastavro(written: dict[str, Any], values: dict[str, Any]) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, written, values)  # pyright: ignore[reportUnknownMemberType]  it is untyped
    return out.getvalue()


@given(st.integers(-LONGEST, LONGEST - 1))
@example(0)
@example(-1)
@example(8191)
@example(8192)
@example(LONGEST - 1)
@example(-LONGEST)
def test_any_whole_number_of_64_bits(number: int) -> None:
    written = schema("long")
    assert encoder(written)({"value": number}) == as_fastavro(written, {"value": number})


@given(st.none() | st.lists(st.text()))
def test_any_list_that_may_be_missing(texts: list[str] | None) -> None:
    written = schema(["null", {"type": "array", "items": "string"}], default=None)
    assert encoder(written)({"value": texts}) == as_fastavro(written, {"value": texts})


@given(st.lists(st.booleans()))
def test_any_list_of_records(truths: list[bool]) -> None:
    inner = {**schema("boolean"), "name": "Inner"}
    written = schema({"type": "array", "items": inner})
    values = {"value": [{"value": truth} for truth in truths]}
    assert encoder(written)(values) == as_fastavro(written, values)


def test_a_record_within_its_own_lists_is_named() -> None:
    written = schema({"type": "array", "items": "acta.test.Test"})
    values = {"value": [{"value": []}, {"value": [{"value": []}]}]}
    assert encoder(written)(values) == as_fastavro(written, values)


def test_what_has_a_default_may_be_left_out() -> None:
    assert encoder(schema(["null", "string"], default=None))({}) == b"\0"


@pytest.mark.parametrize(
    ("avro_type", "values"),
    [
        ("string", {}),
        ("string", {"value": 7}),
        ("string", {"value": "text", "other": "text"}),
        ("string", {"other": "text"}),
        ("string", {"value": "\ud800"}),
        ("long", {"value": "7"}),
        ("long", {"value": 7.5}),
        ("long", {"value": LONGEST}),
        ("long", {"value": -LONGEST - 1}),
        ("boolean", {"value": "true"}),
        ("bytes", {"value": "not sealed"}),
        ({"type": "array", "items": "string"}, {"value": "text"}),
        ({"type": "long", "logicalType": "timestamp-micros"}, {"value": "yesterday"}),
        ({"type": "int", "logicalType": "date"}, {"value": "31 February"}),
    ],
)
def test_what_does_not_fit_is_never_written(avro_type: Any, values: dict[str, Any]) -> None:
    encode = encoder(schema(avro_type))
    with pytest.raises(UNFIT):
        encode(values)


@pytest.mark.parametrize(
    "avro_type",
    ["float", {"type": "map", "values": "string"}, ["string", "null"], "elsewhere.Record"],
)
def test_a_type_without_a_place_in_a_contract_has_to_be_taught_first(avro_type: Any) -> None:
    with pytest.raises(TypeError, match="no place in a contract"):
        encoder(schema(avro_type))
