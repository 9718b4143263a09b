"""A bank's statement: a file becomes lines, each with what reading found wrong with it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from domain.identity import Email, Rut
from domain.money import Currency
from handlers.spreadsheets import lists
from handlers.spreadsheets.cells import Cell, RowFault
from handlers.transfers.columns import (
    NEEDED,
    OPTIONAL,
    ForeignCurrency,
    amount_of,
    currency_of,
    day_of,
    field_of,
    reference_of,
)

__all__ = ["LINES_MAX", "Statement", "StatementLine", "Transfer", "read_statement"]

LINES_MAX = 20_000

FORM = lists.Form(
    needed=NEEDED,
    optional=OPTIONAL,
    others=True,
    field_of=field_of,
    rows_max=LINES_MAX,
    needed_remedy="Name each column once, in its first row: booked_on (fecha), amount (abono),"
    " reference (n° operación), remittance (glosa); and, where there are such, currency (moneda),"
    " payer_rut (RUT ordenante), outgoing (cargo). Take away what stands above.",
    empty_remedy="Have the bank write a statement with transfers.",
)

ValueT = TypeVar("ValueT")

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_RUT: TypeAdapter[str] = TypeAdapter(Rut)
_ADDRESS = re.compile(r"[^\s<>()\[\]{},;:\"|]+@[^\s<>()\[\]{},;:\"|]+")
_ID = re.compile(
    r"\b(account|plan)\s*:?\s*"
    r"([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})\b",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came in, as the bank tells it.

    Attributes:
        reference: what the bank calls it.
        booked_on: the day on which it came in.
        amount_minor: in minor units of the currency.
        payer_rut: of whoever paid, where the bank says it.
        remittance: what the payer wrote.
    """

    reference: str
    booked_on: date
    amount_minor: int
    currency: Currency
    payer_rut: str | None = field(repr=False)
    remittance: str = field(repr=False)

    @property
    def reference_key(self) -> str:
        """The form in which references are compared, whatever a spreadsheet did to them."""
        return re.sub("[^A-Z0-9]+", "-", self.reference.upper()).lstrip("0")

    @property
    def named(self) -> tuple[str, ...]:
        """Whom the payer named: e-mails, account:ID and plan:ID."""
        ids = [f"{kind.lower()}:{found}" for kind, found in _ID.findall(self.remittance)]
        return (*ids, *_emails(self.remittance))


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A line of a statement.

    Attributes:
        row: its number as a spreadsheet program shows it, from 1.
        reference: what the bank calls it; empty where that cannot be read.
        transfer: what it says; None where it is at fault.
        faults: what reading found wrong with it.
        foreign: nothing else is wrong with it than a currency in which nothing is priced.
    """

    row: int
    reference: str
    transfer: Transfer | None
    faults: tuple[RowFault, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that can be read."""

    file: lists.ListFile

    @property
    def length(self) -> int:
        """How many lines are on it."""
        return self.file.length

    def lines(self) -> Iterator[StatementLine]:
        """Its lines, in order.

        Raises:
            UnreadableList: the file is not the one that was read first.
        """
        return map(_read, self.file.rows())


def read_statement(path: Path) -> Statement:
    """Opens a statement, and checks all that concerns it as a whole.

    Raises:
        UnreadableList: it cannot be used; nothing of it was.
    """
    return Statement(lists.read_list(path, FORM))


def _read(row: lists.ListedRow) -> StatementLine:
    return _Reading(row).line()


class _Reading:
    """Reads a row, and gathers all that is wrong with it."""

    def __init__(self, row: lists.ListedRow) -> None:
        self._row = row
        self._cells = row.cells
        self._faults = [fault for fault in row.faults if not self._is_day(fault)]
        self._foreign: RowFault | None = None
        self._outgoing: str | None = None

    def line(self) -> StatementLine:
        """The line that the row is."""
        reference = self._value("reference", self._reference) or ""  # a faulty one is not told
        booked_on = self._value("booked_on", day_of)
        currency = self._value("currency", currency_of)
        amount_minor = None if currency is None else self._amount_minor(currency)
        remittance = self._cells["remittance"].text
        payer_rut = self._payer_rut(needed=not _names(remittance))
        # Of what went out nothing else needs mending.
        faults = (_outgoing(self._outgoing),) if self._outgoing else tuple(self._faults)
        if faults or booked_on is None or currency is None or amount_minor is None:
            return StatementLine(
                self._row.number, reference, None, faults, foreign=faults == (self._foreign,)
            )
        transfer = Transfer(reference, booked_on, amount_minor, currency, payer_rut, remittance)
        return StatementLine(self._row.number, reference, transfer)

    def _is_day(self, fault: RowFault) -> bool:
        return fault.field == "booked_on" and isinstance(self._cells["booked_on"].value, date)

    def _value(self, name: str, read: Callable[[Cell], ValueT]) -> ValueT | None:
        if any(fault.field == name for fault in self._faults):
            return None
        try:
            return read(self._cells[name])
        except ValueError as error:
            what, _, mend = str(error).partition("; ")
            self._fault(name, what, f"{mend[:1].upper()}{mend[1:]}.")
            if isinstance(error, ForeignCurrency):
                self._foreign = self._faults[-1]
            return None

    def _reference(self, cell: Cell) -> str:
        return reference_of(cell, self._cells["payer_rut"])

    def _amount_minor(self, currency: Currency) -> int | None:
        def read(cell: Cell) -> int:
            return amount_of(cell, currency)

        went_out = self._value("outgoing", read) if self._cells["outgoing"].text else None
        if went_out:
            self._outgoing = "outgoing"
            return None
        amount = self._value("amount", read)
        if amount is not None and amount < 0:
            self._outgoing = "amount"
        elif amount == 0:
            self._fault("amount", "is zero", "Write the amount that came in.")
        return amount

    def _payer_rut(self, *, needed: bool) -> str | None:
        text = self._cells["payer_rut"].text
        rut = _rut(text)
        if text and rut is None and needed:
            self._fault(
                "payer_rut",
                "is not a RUT: the check digit or the form is wrong",
                "Write it such as 12.345.678-5; or name an account in the remittance text.",
            )
        return rut

    def _fault(self, column: str, message: str, remedy: str) -> None:
        self._faults.append(RowFault(column, message, remedy))


def _outgoing(column: str) -> RowFault:
    return RowFault(
        column,
        "says that this money left the bank account",
        "There is nothing to capture; record a refund where it was requested.",
    )


def _names(remittance: str) -> bool:
    return bool(_ID.search(remittance) or _emails(remittance))


def _emails(text: str) -> list[str]:
    candidates = [found.strip(".'*_/-") for found in _ADDRESS.findall(text)]
    return [email for each in candidates if (email := _email(each)) is not None]


def _email(text: str) -> str | None:
    try:
        return _EMAIL.validate_python(text)
    except ValidationError:
        return None


def _rut(text: str) -> str | None:
    try:
        return _RUT.validate_python(text)
    except ValidationError:
        return None
