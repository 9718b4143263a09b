"""Who somebody is, in any spelling; and messages that do not say who (A3, A4)."""

import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.identity import (
    Email,
    Language,
    MobilePhone,
    PersonName,
    Rut,
    WhichInvitation,
    Who,
    WhoPays,
    email_key,
    phone_key,
    rut_key,
)


def read(annotated: Any, text: str) -> str:
    """The canonical spelling of a text of this type."""
    adapter: TypeAdapter[str] = TypeAdapter(annotated)
    return adapter.validate_python(text)


def fault(annotated: Any, text: str) -> str:
    """The message with which this type turns a text away."""
    with pytest.raises(ValidationError) as failure:
        read(annotated, text)
    [error] = failure.value.errors(include_url=False, include_input=False)
    return error["msg"]


# ---------------------------------------------------------------- e-mail


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana@example.com", "ANA@EXAMPLE.COM"),
        ("ana@example.com", "  ana@example.com "),
        ("josé@example.com", "jose\u0301@example.com"),
        ("JOSÉ@example.com", "jose\u0301@example.com"),
        ("straße@example.com", "STRASSE@example.com"),
        ("ana@example.com", "\uff41na@example.com"),
        ("ana@münchen.de", "ana@xn--mnchen-3ya.de"),
        ("ana@münchen.de", "ana@MÜNCHEN.DE"),
        ("ana@münchen.de", "ana@mu\u0308nchen.de"),
        ("ana@correo.cl", "ana@\uff23ORREO.cl"),
    ],
    ids=[
        "letter case", "blanks around", "NFC and NFD", "case and NFD", "sharp s", "full width",
        "IDN", "IDN in capitals", "IDN in NFD", "domain in full width",
    ],
)  # fmt: skip
def test_an_address_is_the_same_however_it_is_spelled(one: str, other: str) -> None:
    """Letter case, Unicode form and internationalised domain make no second address."""
    assert email_key(one) == email_key(other)


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana@example.com", "ana@example.org"),
        ("ana@example.com", "anna@example.com"),
        ("ana@example.com", "ana+acta@example.com"),
        ("jose@example.com", "josé@example.com"),
        ("a.na@example.com", "ana@example.com"),
    ],
)
def test_another_address_is_another(one: str, other: str) -> None:
    """Only spelling is normalised; what a mail server may think alike stays apart."""
    assert email_key(one) != email_key(other)


@pytest.mark.rule("A3")
@given(
    st.text(st.sampled_from("aZßéİ\u0131ŞÅñ.-+1ﬁ"), min_size=1, max_size=8),
    st.sampled_from(["example.com", "münchen.de", "ESPAÑA.es"]),
    st.sampled_from(["NFC", "NFD"]),
)
@example("i\u0307", "example.com", "NFC")
def test_reading_an_address_twice_reads_the_same(local: str, domain: str, form: Any) -> None:
    """The canonical spelling is read as itself, and compares as what it was read from."""
    text = unicodedata.normalize(form, f"{local}@{domain}")
    try:
        canonical = read(Email, text)
    except ValidationError:
        return
    assert read(Email, canonical) == canonical
    assert email_key(canonical) == email_key(text)
    assert email_key(email_key(text)) == email_key(text)


def test_an_address_is_kept_as_its_owner_spells_it() -> None:
    """Comparing folds letter case; keeping does not, beyond the domain."""
    assert read(Email, "Ana.Rojas@Example.COM") == "Ana.Rojas@example.com"


BAD_ADDRESSES = [
    "zoraida", "zoraida@", "@zoraida.cl", "zoraida@cl", "zoraida rojas@example.com",
    "zoraida@@example.com", "zoraida@exa mple.com", "zoraida@example..com",
    "zoraida\u0000@example.com", "Zoraida <zoraida@example.com>",
]  # fmt: skip


@pytest.mark.parametrize("text", ["", *BAD_ADDRESSES])
def test_what_is_no_address_is_turned_away(text: str) -> None:
    """A bad address gets a message that shows a good one and does not repeat the bad one."""
    message = fault(Email, text)
    assert "name@example.com" in message
    assert "zoraida" not in message.lower()
    with pytest.raises(ValueError, match="not an e-mail address") as failure:
        email_key(text)
    assert "zoraida" not in str(failure.value).lower()


# ---------------------------------------------------------------- RUT


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12.345.678-5", "12345678-5"),
        ("12345678-5", "123456785"),
        ("20.347.878-k", "20347878-K"),
        (" 12345678-5 ", "12345678-5"),
        ("1.234.567-4", "01.234.567-4"),
    ],
    ids=["dots", "dash", "k", "blanks around", "a zero in front"],
)
def test_a_rut_is_the_same_however_it_is_spelled(one: str, other: str) -> None:
    """Dots, dash, small k and a zero in front make no second RUT."""
    assert rut_key(one) == rut_key(other)
    assert read(Rut, one) == read(Rut, other)


@pytest.mark.rule("A3")
def test_a_rut_is_kept_without_dots_and_with_capital_k() -> None:
    """The canonical spelling has a dash and no dots."""
    assert read(Rut, "20.347.878-k") == "20347878-K"
    assert rut_key("20.347.878-k") == "20347878K"


def check_digit(number: int) -> str:
    """The check digit of a RUT: weights 2 to 7 from the right, modulo 11."""
    digits = [int(digit) for digit in reversed(str(number))]
    weighted = sum(digit * (2 + place % 6) for place, digit in enumerate(digits))
    return "0123456789K"[-weighted % 11]


@pytest.mark.rule("A3")
@given(st.integers(1_000_000, 99_999_999), st.sampled_from("0123456789K"))
def test_only_the_right_check_digit_makes_a_rut(number: int, digit: str) -> None:
    """Of the eleven possible check digits one is right."""
    if digit == check_digit(number):
        assert read(Rut, f"{number:,}-{digit}".replace(",", ".")) == f"{number}-{digit}"
    else:
        assert str(number) not in fault(Rut, f"{number}-{digit}")


@pytest.mark.parametrize(
    "text", ["", "12345678-4", "12345678", "K2345678-5", "123456789-2", "000000000", "5-5"]
)
def test_what_is_no_rut_is_turned_away(text: str) -> None:
    """A bad RUT gets a message that shows a good one and does not repeat the bad one."""
    message = fault(Rut, text)
    assert "check digit" in message
    assert not text or text not in message
    with pytest.raises(ValueError, match="not a RUT"):
        rut_key(text)


# ---------------------------------------------------------------- phone


@pytest.mark.rule("A4")
@pytest.mark.parametrize(
    "text", ["+56 9 6123 4567", "+56961234567", "+56-9-6123-4567", "(+56) 961234567"]
)
def test_a_mobile_number_is_the_same_however_it_is_spelled(text: str) -> None:
    """A number is kept and compared in E.164 form."""
    assert read(MobilePhone, text) == phone_key(text) == "+56961234567"


@pytest.mark.rule("A4")
@pytest.mark.parametrize(
    "text", ["", "961234567", "+56 9 8888", "telephone", "+34 912 345 678", "+999 12345678"]
)
def test_what_is_no_mobile_number_is_turned_away(text: str) -> None:
    """A land line, a number without its country or no number at all is no mobile number."""
    message = fault(MobilePhone, text)
    assert "+56 9" in message
    assert not text or text not in message
    with pytest.raises(ValueError, match="not a mobile number"):
        phone_key(text)


# ---------------------------------------------------------------- names, languages, who


def test_a_name_is_kept_without_blanks_around_it() -> None:
    """Blanks around a name are no part of it."""
    assert read(PersonName, "  María José ") == "María José"


@pytest.mark.parametrize("text", ["", "   ", "x" * 101])
def test_what_is_no_name_is_turned_away(text: str) -> None:
    """A name has letters, and not too many."""
    assert "character" in fault(PersonName, text)


@pytest.mark.parametrize("text", ["es", "es-CL", "arn"])
def test_a_language_has_a_tag(text: str) -> None:
    """A language is named by its tag, with or without a country."""
    assert read(Language, text) == text


@pytest.mark.parametrize("text", ["", "ES", "es_CL", "español", "es-cl", "es\n"])
def test_what_is_no_language_is_turned_away(text: str) -> None:
    """A tag of another form is none."""
    assert "es-CL" in fault(Language, text)


WHO_ID = UUID("0c5e4a52-6bb0-4b4c-9f5b-6d3a1d1c2b3a")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Ana@Example.com", "Ana@example.com"),
        (f"person:{WHO_ID}", f"person:{WHO_ID}"),
        (f"account:{WHO_ID.hex.upper()}", f"account:{WHO_ID}"),
        (f" person:{WHO_ID} ", f"person:{WHO_ID}"),
    ],
)
def test_who_is_an_address_or_an_id(text: str, canonical: str) -> None:
    """An account is named by whoever holds an e-mail, by its person, or by itself."""
    assert read(Who, text) == canonical


@pytest.mark.parametrize("text", ["", "zoraida", "person:zoraida", "account:", "zoraida:1"])
def test_who_is_nothing_else(text: str) -> None:
    """Anything else gets a message that does not repeat it."""
    message = fault(Who, text)
    assert "zoraida" not in message
    assert "person:" in message or "account:" in message


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f" plan:{WHO_ID.hex.upper()} ", f"plan:{WHO_ID}"),
        (f"account:{WHO_ID}", f"account:{WHO_ID}"),
        ("Ana@Example.com", "Ana@example.com"),
    ],
)
def test_who_pays_is_an_individual_or_a_plan(text: str, canonical: str) -> None:
    """What names an account, or an institutional plan by its id."""
    assert read(WhoPays, text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f" invitation:{WHO_ID.hex.upper()} ", f"invitation:{WHO_ID}"),
        ("Ana@Example.com", "Ana@example.com"),
    ],
)
def test_an_invitation_is_named_by_its_address_or_its_id(text: str, canonical: str) -> None:
    """The e-mail to which it is open, or the id that it keeps."""
    assert read(WhichInvitation, text) == canonical


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (WhoPays, "plan:zoraida", "an id of a plan"),
        (WhoPays, "zoraida", "what names an account"),
        (WhichInvitation, "invitation:zoraida", "an id of an invitation"),
        (WhichInvitation, f"account:{WHO_ID}", "what names an invitation"),
        (WhichInvitation, "zoraida", "what names an invitation"),
    ],
)
def test_what_names_no_plan_or_invitation_is_turned_away(kind: Any, text: str, says: str) -> None:
    """The message says what is wanted, and repeats nothing."""
    message = fault(kind, text)
    assert says in message
    assert "zoraida" not in message
