"""Money is whole minor units (S13)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.money import AmountMinor, Currency, format_money

amounts = TypeAdapter(AmountMinor)


@pytest.mark.parametrize("amount", [1, 9990, 2**53])
def test_an_amount_is_whole(amount: int) -> None:
    """An amount is a whole number of minor units, as exact as any reader of JSON keeps it."""
    assert amounts.validate_python(amount) == amount
    assert amounts.validate_json(str(amount)) == amount


@pytest.mark.parametrize("amount", [0, -1, 2**53 + 1, 9.5, 9990.0, "9990", True, None, Decimal(1)])
def test_what_is_no_amount_is_turned_away(amount: object) -> None:
    """Nothing, less than nothing, a fraction and a text are no amounts."""
    with pytest.raises(ValidationError):
        amounts.validate_python(amount)


@pytest.mark.parametrize("text", ["9990.5", "9990.0", "1e3", '"9990"', "true"])
def test_an_amount_with_a_fraction_is_turned_away(text: str) -> None:
    """A number with a point in it is no whole number of minor units."""
    with pytest.raises(ValidationError):
        amounts.validate_json(text)


def test_a_peso_has_no_smaller_unit() -> None:
    """One minor unit of the Chilean peso is one peso."""
    assert format_money(1, Currency.CLP) == "1 CLP"


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (0, Currency.CLP, "0 CLP"),
        (1234567, Currency.CLP, "1,234,567 CLP"),
        (-9990, Currency.CLP, "-9,990 CLP"),
        (1250, Currency.EUR, "12.50 EUR"),
        (-5, Currency.EUR, "-0.05 EUR"),
        (100000, Currency.USD, "1,000.00 USD"),
    ],
)
def test_an_amount_is_written_for_people(amount_minor: int, currency: Currency, text: str) -> None:
    """Thousands are set apart, minor units follow a point, the currency comes last."""
    assert format_money(amount_minor, currency) == text


@given(st.integers(-(2**60), 2**60), st.sampled_from(Currency))
def test_no_unit_is_lost_in_writing(amount_minor: int, currency: Currency) -> None:
    """What is written can be counted back to the last minor unit."""
    number = format_money(amount_minor, currency).removesuffix(f" {currency}").replace(",", "")
    assert Decimal(number).scaleb(currency.minor_digits) == amount_minor
