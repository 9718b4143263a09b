"""The columns of a bank's statement: what banks call them, and how their cells are written."""

import re
from datetime import date
from decimal import Decimal

from stdnum.cl import rut as chilean_rut

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
_SIGNS = {Currency.CLP: r"\$", Currency.USD: r"(US)?\$", Currency.EUR: "€"}
# Banks write what went out in each of the ways that are below zero; 0 stands for the digits.
_FACTORS = {"0": 1, "+0": 1, "-0": -1, "\u22120": -1, "0-": -1, "0\u2212": -1, "(0)": -1}

_DAY_FIRST = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?: \d{1,2}:\d{2}(?::\d{2})?)?", re.ASCII
)
_YEAR_FIRST = re.compile(
    r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})(?:[ T]\d{2}:\d{2}(?::\d{2})?)?", re.ASCII
)
_DIGITS = re.compile(r"\d(?:.*\d)?", re.ASCII)
_GROUPED = re.compile(r"(\d{1,3}(?:([.,' ])\d{3})(?:\2\d{3})*)(?:[.,](\d{1,2}))?", re.ASCII)
_UNGROUPED = re.compile(r"(\d+)(?:[.,](\d{1,2}))?", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_#-]*")
# Looking ahead alone, so that no number hides another one that begins in it.
_RUT = re.compile(r"(?<!\d)(?=0*([1-9]\d?[. ]*\d{3}[. ]*\d{3} *- *[\dKk])(?!\d))", re.ASCII)
RUT_DIGITS_MIN = 7


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

    Those have one minus, before or behind, or parentheses around them. A sign of the currency may
    stand before or behind too. A point or comma before three digits groups them; before one or two
    it begins the fraction.

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
    around = "".join(_DIGITS.sub("0", text, count=1).split())
    factor = _FACTORS.get(re.sub(_SIGNS[currency], "", around, count=1))
    digits = "".join(_DIGITS.findall(text))
    if factor and (match := _GROUPED.fullmatch(digits)):
        whole, _, fraction = match.groups()
    elif factor and (match := _UNGROUPED.fullmatch(digits)):
        whole, fraction = match.groups()
    else:
        raise ValueError("is not an amount; write digits alone, such as 29970 or 29.970")
    return factor * Decimal(re.sub(r"\D", "", whole) + (f".{fraction}" if fraction else ""))


def reference_of(cell: Cell, payer_rut: Cell) -> str:
    """What the bank calls a transfer, as it stands in a cell.

    It stays on record in clear for ever: whatever tells who paid is none.

    Args:
        cell: where it stands.
        payer_rut: where the RUT of whoever paid stands, whether or not it is valid.

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
    if _holds_rut(text):
        raise ValueError("holds a RUT; write what the bank calls the transfer, not who paid")
    if _holds_number_of(payer_rut.text, text):
        raise ValueError(
            "holds the payer's RUT; write what the bank calls the transfer, not who paid"
        )
    if not text.strip("0 ./_#-"):
        raise ValueError("is zero; a transfer is known by what the bank calls it")
    return text


def _holds_rut(text: str) -> bool:
    """With both points it is one also where a digit is mistyped; without, it may be any number."""
    return any(
        found.count(".") == 2 or chilean_rut.is_valid(found)  # noqa: PLR2004  as many as it has
        for found in _RUT.findall(text)
    )


def _holds_number_of(rut: str, text: str) -> bool:
    """Whether a text holds the digits of a RUT, the check digit apart, however they are spelled."""
    digits = re.sub("[^0-9K]", "", rut.upper()).lstrip("0")[:-1]
    return len(digits) >= RUT_DIGITS_MIN and digits in re.sub("[^0-9]", "", text)
