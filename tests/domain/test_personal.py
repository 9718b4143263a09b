"""Personal values: clear while decided upon, sealed when they leave (A11)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from domain.account import IDENTITY, UserRegistered
from domain.personal import Sealed, owner_of, personal_fields
from domain.subscription import TAX, TaxDocumentChosen
from tests.domain.stories import PERSON, boleta_chosen, registered, through_the_log

SEALED = Sealed(b"\x00sealed\xff")
PERSONAL = personal_fields(UserRegistered)


def sealed_event() -> UserRegistered:
    """A registration with every personal value sealed."""
    return registered.model_copy(update=dict.fromkeys(PERSONAL, SEALED))


@pytest.mark.rule("A11")
@pytest.mark.parametrize("field", PERSONAL)
def test_a_clear_value_cannot_be_written(field: str) -> None:
    """One value left in clear is enough, and nothing of the event is written."""
    event = sealed_event().model_copy(update={field: getattr(registered, field)})
    for write in (event.model_dump_json, event.model_dump, lambda: event.model_dump(mode="json")):
        with pytest.raises(PydanticSerializationError, match="only sealed") as failure:
            write()
        assert getattr(registered, field) not in str(failure.value)


@pytest.mark.rule("A11")
def test_a_sealed_value_comes_back_as_it_went() -> None:
    """What was sealed is read as the same sealed value."""
    event = sealed_event()
    assert UserRegistered.model_validate_json(event.model_dump_json()) == event


def test_a_value_that_is_not_known_stays_unknown() -> None:
    """Where there is no value there is nothing to seal."""
    assert through_the_log(boleta_chosen) == boleta_chosen
    unknown = registered.model_copy(update={"rut": None, "maternal_surname": None})
    assert through_the_log(unknown) == unknown


@pytest.mark.rule("A11")
def test_clear_text_that_looks_sealed_stays_clear() -> None:
    """Nobody gets a name written by making it look as if it were sealed."""
    posing = registered.model_copy(update={"given_name": str(SEALED)})
    made = UserRegistered.model_validate(
        {name: getattr(posing, name) for name in UserRegistered.model_fields}
    )
    assert made.given_name == str(SEALED)
    with pytest.raises(PydanticSerializationError, match="only sealed"):
        made.model_dump_json()


@pytest.mark.rule("A11")
def test_clear_text_in_the_log_is_not_read() -> None:
    """What is read is sealed, or it is not read; and the message does not say what it was."""
    written = json.loads(sealed_event().model_dump_json())
    with pytest.raises(ValidationError, match="not a sealed value") as failure:
        UserRegistered.model_validate_json(json.dumps({**written, "given_name": "Zoraida!"}))
    assert "Zoraida" not in str(failure.value)


def test_nothing_but_text_is_personal() -> None:
    """A number is no name, and an event that cannot be made does not say of whom."""
    values = {name: getattr(registered, name) for name in UserRegistered.model_fields}
    with pytest.raises(ValidationError, match="given_name") as failure:
        UserRegistered.model_validate({**values, "given_name": 5, "nickname": "Zoraida"})
    assert "Zoraida" not in str(failure.value)


@given(st.binary(max_size=200))
def test_a_sealed_value_is_written_as_text(token: bytes) -> None:
    """Any bytes survive being written, in letters that any reader keeps."""
    text = str(Sealed(token))
    assert text.isascii()
    assert Sealed.parse(text) == Sealed(token)


@pytest.mark.parametrize("text", ["Ana", "a b=", "ñandu", "===="])
def test_what_is_no_sealed_value_is_not_parsed(text: str) -> None:
    """Text of another form is no sealed value."""
    with pytest.raises(ValueError, match="not a sealed value"):
        Sealed.parse(text)


def test_a_field_says_whose_it_is_and_what_for() -> None:
    """Who somebody is, is kept for identity; what a factura says of a buyer, for tax."""
    assert set(PERSONAL.values()) == {IDENTITY}
    assert set(personal_fields(TaxDocumentChosen).values()) == {TAX}
    assert owner_of(registered, IDENTITY) == owner_of(boleta_chosen, TAX) == PERSON


@pytest.mark.rule("A11")
def test_a_schema_says_what_is_sealed() -> None:
    """Whoever reads the schema of an event sees which values are personal, and whose."""
    properties = UserRegistered.model_json_schema()["properties"]
    assert {name for name, schema in properties.items() if "sealed" in str(schema)} == {*PERSONAL}
