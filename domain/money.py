"""Money: whole minor units of one currency (S13)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

__all__ = ["AmountMinor", "Currency", "format_money"]


class Currency(StrEnum):
    """The currencies in which the platforms charge, by their ISO 4217 codes."""

    CLP = "CLP"
    EUR = "EUR"
    USD = "USD"

    @property
    def minor_digits(self) -> int:
        """Digits after the point: one minor unit of the Chilean peso is one peso (S13)."""
        return 0 if self is Currency.CLP else 2


AmountMinor = Annotated[int, Field(strict=True, gt=0, le=2**53)]
"""An amount of money in whole minor units; a fraction of a minor unit is no amount."""


def format_money(amount_minor: int, currency: Currency) -> str:
    """An amount for people, such as ``9,990 CLP`` or ``-12.50 EUR``."""
    scale: int = 10**currency.minor_digits
    whole, fraction = divmod(abs(amount_minor), scale)
    sign = "-" if amount_minor < 0 else ""
    point = f".{fraction:0{currency.minor_digits}d}" if currency.minor_digits else ""
    return f"{sign}{whole:,}{point} {currency.value}"
