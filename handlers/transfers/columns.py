"""The columns of a bank's statement: what banks call them, and how their cells are written."""

import re
from datetime import date
from decimal import Decimal

from domain.money import Currency
from handlers.spreadsheets.cells import Cell
from handlers.spreadsheets.headers import meanings, plain

__all__ = [
    "NEEDED", "OPTIONAL", "ForeignCurrency", "amount_of", "currency_of", "day_of", "field_of",
    "reference_of",
]  # fmt: skip

NEEDED = ("booked_on", "amount", "reference", "remittance")
OPTIONAL = ("currency", "payer_rut", "outgoing")

REFERENCE_CHARACTERS_MAX = 50
# Beyond these a spreadsheet program keeps no digit of a number.
NUMBER_DIGITS_MAX = 15
AMOUNT_MINOR_MAX = 2**53

_FIELDS = meanings(
    {
        "booked_on": "fecha, fecha contable, fecha de abono, fecha abono, fecha movimiento,"
        " fecha de la operación, booked on, booking date, date",
        "amount": "monto, abono, abonos, monto abono, importe, haber, amount, credit, paid in",
        "outgoing": "cargo, cargos, monto cargo, débito, debe, egreso, outgoing, debit, paid out",
        "currency": "moneda, divisa, currency",
        "reference": "n° operación, nº operación, número de operación, número operación,"
        " operación, referencia, referencia bancaria, n° referencia, número de referencia,"
        " n° documento, nº documento, número de documento, bank reference, reference,"
        " operation number, transaction id",
        "payer_rut": "rut, rut ordenante, rut del ordenante, rut origen, rut de origen,"
        " rut pagador, rut del pagador, rut remitente, run, payer rut, payer's rut",
        "remittance": "glosa, mensaje, comentario, descripción, detalle, concepto, remittance,"
        " remittance text, message, description, details",
    }
)
_CURRENCIES = meanings(
    {
        "CLP": "peso, pesos, peso chileno, pesos chilenos",
        "USD": "us$, dólar, dólares, dollar, dollars",
        "EUR": "euro, euros",
    }
)
_BY_SIGN = {"$": Currency.CLP, "€": Currency.EUR}
_SIGNS = {Currency.CLP: ("$",), Currency.USD: ("US$", "$"), Currency.EUR: ("€",)}

_DAY_FIRST = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?: \d{1,2}:\d{2}(?::\d{2})?)?", re.ASCII
)
_YEAR_FIRST = re.compile(
    r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})(?:[ T]\d{2}:\d{2}(?::\d{2})?)?", re.ASCII
)
_GROUPED = re.compile(r"(\d{1,3}(?:([.,' ])\d{3})(?:\2\d{3})*)(?:[.,](\d{1,2}))?", re.ASCII)
_UNGROUPED = re.compile(r"(\d+)(?:[.,](\d{1,2}))?", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_#-]*")
# Without its points it may be any number.
_RUT = re.compile(r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", re.ASCII)


class ForeignCurrency(ValueError):  # noqa: N818  it is named for what was written
    """A currency in which nothing is priced."""


def field_of(header: str) -> str | None:
    """The column that a header names, in Spanish or English; None where it names none."""
    return _FIELDS.get(plain(header))


def day_of(cell: Cell) -> date:
    """The day that stands in a cell; in text the day comes before the month, or the year first.

    Raises:
        ValueError: no day stands there; what is wrong and what mends it, with a semicolon between.
    """
    if isinstance(cell.value, date):
        return cell.value
    if match := _DAY_FIRST.fullmatch(cell.text):
        day, _, month, year = match.groups()
    elif match := _YEAR_FIRST.fullmatch(cell.text):
        year, _, month, day = match.groups()
    else:
        raise ValueError("is not a day; write it such as 05-03-2026 or 2026-03-05")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise ValueError(
            "is a day that does not exist; write day, month and year, such as 05-03-2026"
        ) from None


def currency_of(cell: Cell) -> Currency:
    """The currency that a cell names; the peso where it names none.

    Raises:
        ForeignCurrency: nothing is priced in it.
        ValueError: it is none.
    """
    if not cell.text:
        return Currency.CLP
    if cell.text in _BY_SIGN:
        return _BY_SIGN[cell.text]
    known = _CURRENCIES.get(plain(cell.text))
    if known is not None:
        return Currency(known)
    if re.fullmatch(r"[A-Za-z]{3}", cell.text):
        raise ForeignCurrency(
            "is one in which nothing is priced; have the bank convert it, or give the money back"
        )
    raise ValueError(f"is no currency; write one of {', '.join(Currency)}")


def amount_of(cell: Cell, currency: Currency) -> int:
    """An amount in minor units; below zero where money went out.

    A point or comma before three digits groups them; before one or two it begins the fraction.

    Raises:
        ValueError: it is none; what is wrong and what mends it, with a semicolon between.
    """
    number = cell.value if isinstance(cell.value, Decimal) else _number(cell.text, currency)
    minor = number.scaleb(currency.minor_digits)
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise ValueError(
            f"has a smaller fraction than {currency.value} has; write the amount that came in"
        )
    if abs(minor) > AMOUNT_MINOR_MAX:
        raise ValueError("is larger than any amount; write the amount that came in")
    return int(minor)


def _number(text: str, currency: Currency) -> Decimal:
    digits = text.replace("\u2212", "-")
    for sign in _SIGNS[currency]:
        digits = digits.replace(sign, "", 1)
    # Banks write what went out with a minus before or behind it, or in parentheses.
    outgoing = "-" in (digits[:1], digits[-1:]) or (digits[:1], digits[-1:]) == ("(", ")")
    digits = digits.strip("+-() ")
    if match := _GROUPED.fullmatch(digits):
        whole, _, fraction = match.groups()
    elif match := _UNGROUPED.fullmatch(digits):
        whole, fraction = match.groups()
    else:
        raise ValueError("is not an amount; write digits alone, such as 29970 or 29.970")
    number = Decimal(re.sub(r"\D", "", whole) + (f".{fraction}" if fraction else ""))
    return -number if outgoing else number


def reference_of(cell: Cell) -> str:
    """What the bank calls a transfer, as it stands in a cell.

    Raises:
        ValueError: the bank calls nothing so; what is wrong and what mends it.
    """
    text = cell.text
    if not text:
        raise ValueError("is missing; a transfer is known by what the bank calls it")
    if len(text) > REFERENCE_CHARACTERS_MAX:
        raise ValueError(
            f"is longer than {REFERENCE_CHARACTERS_MAX} characters; write the bank's number alone"
        )
    if not _REFERENCE.fullmatch(text):
        raise ValueError(
            "holds what no bank's number does; write its letters, digits and dashes alone"
        )
    if not re.search(r"[0-9]", text):
        # It may be the payer's name, and would stand on record in clear.
        raise ValueError("has no digit; write what the bank calls the transfer, not who paid")
    if isinstance(cell.value, Decimal) and len(text) > NUMBER_DIGITS_MAX:
        raise ValueError(
            "has more digits than a spreadsheet keeps; format the column as text, and paste it anew"
        )
    if _RUT.fullmatch(text):
        raise ValueError("is a RUT; write what the bank calls the transfer")
    if not text.strip("0 ./_#-"):
        raise ValueError("is zero; a transfer is known by what the bank calls it")
    return text
