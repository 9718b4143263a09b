"""Statements of banks are read in their spellings, and every fault of a line is told."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.money import Currency
from handlers.spreadsheets.cells import UnreadableList
from handlers.transfers.statement import StatementLine, Transfer, read_statement
from tests.handlers.imports.files import csv_text, workbook, written
from tests.handlers.transfers.statements import HEADER

ROW = ("02/02/2026", "TEF-1", "29.970", "CLP", "12.345.678-5", "pago de ana@example.com", "")
READ = Transfer(
    "TEF-1", date(2026, 2, 2), 29970, Currency.CLP, "12345678-5", "pago de ana@example.com"
)


def lines(folder: Path, *rows: tuple[str, ...]) -> list[StatementLine]:
    path = written(folder / "statement.csv", csv_text([HEADER, *rows]))
    return list(read_statement(path).lines())


def with_cell(place: int, value: str) -> tuple[str, ...]:
    return (*ROW[:place], value, *ROW[place + 1 :])


def read(folder: Path, place: int, value: str) -> Transfer:
    (line,) = lines(folder, with_cell(place, value))
    assert line.transfer is not None, line.faults
    return line.transfer


# ---------------------------------------------------------------- lines that are read


@pytest.mark.parametrize(
    "header",
    [
        ("Fecha", "N° Operación", "Abono", "Moneda", "RUT ordenante", "Glosa"),
        ("FECHA CONTABLE", "Nº operacion", "Monto", "Divisa", "Rut de Origen", "Mensaje"),
        ("Booked on", "Bank reference", "Amount", "Currency", "Payer's RUT", "Remittance text"),
        ("booked_on", "reference", "amount", "currency", "payer_rut", "remittance"),
    ],
)
def test_columns_are_known_in_spanish_and_english(tmp_path: Path, header: tuple[str, ...]) -> None:
    path = written(tmp_path / "statement.csv", csv_text([header, ROW[:6]], ","))
    assert list(read_statement(path).lines()) == [StatementLine(2, "TEF-1", READ)]


def test_a_workbook_keeps_days_and_numbers(tmp_path: Path) -> None:
    """What a spreadsheet shows as a day or a number is read as one, with a time or without."""
    rows = [
        HEADER,
        (date(2026, 2, 2), "TEF-1", 29970, None, "12.345.678-5", "", 0),
        (datetime(2026, 2, 2, 13, 30), "TEF-2", 12.5, "EUR", 123456785, "", 0),  # noqa: DTZ001
        ("02-02-2026", 12345, 29970.0, "Pesos", None, "", 0),
    ]
    first, second, third = read_statement(workbook(tmp_path / "statement.xlsx", rows)).lines()
    assert first.transfer == Transfer(
        "TEF-1", date(2026, 2, 2), 29970, Currency.CLP, "12345678-5", ""
    )
    assert second.transfer == Transfer(
        "TEF-2", date(2026, 2, 2), 1250, Currency.EUR, "12345678-5", ""
    )
    assert third.transfer == Transfer("12345", date(2026, 2, 2), 29970, Currency.CLP, None, "")


def test_a_number_of_a_workbook_has_its_sign(tmp_path: Path) -> None:
    """Whole or not, below zero or not; what cannot be a number of minor units is at fault."""
    amounts = [-29970, -29970.0, Decimal(-29970), 29970.0, Decimal("29970.00"), 29970.5, -0.0]
    rows = [HEADER, *(("02-02-2026", "TEF-1", amount, "", "", "", "") for amount in amounts)]
    read = read_statement(workbook(tmp_path / "statement.xlsx", rows)).lines()
    out, fraction = "says that this money left the bank account", "has a smaller fraction than CLP"
    assert [
        line.transfer.amount_minor if line.transfer else line.faults[0].message for line in read
    ] == [out, out, out, 29970, 29970, f"{fraction} has", "is zero"]


def test_columns_that_are_not_needed_may_be_missing(tmp_path: Path) -> None:
    """Without a currency it is the peso; whatever else the bank writes is not read."""
    rows = [("Fecha", "Sucursal", "Referencia", "Monto", "Detalle"),
            ("2026-02-02", "Centro", "TEF-1", "29970", "")]  # fmt: skip
    (line,) = read_statement(written(tmp_path / "statement.csv", csv_text(rows))).lines()
    assert line.transfer == Transfer("TEF-1", date(2026, 2, 2), 29970, Currency.CLP, None, "")


@pytest.mark.parametrize(
    "text", ["02/02/2026", "2-2-2026", "02.02.2026", "2026-02-02", "2026/02/02", "02/02/2026 23:59"]
)
def test_days_are_read_with_the_day_before_the_month(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, 0, text).booked_on == date(2026, 2, 2)


@pytest.mark.parametrize(
    "text",
    ["29970", "29.970", "29,970", "29 970", "29'970", "$ 29.970", "29.970,00", "29,970.00",
     "+29970", "29970,0"],
)  # fmt: skip
def test_amounts_are_read_however_they_are_grouped(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, 2, text).amount_minor == 29970


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12,50", "EUR", 1250),
        ("€ 1.234,5", "euros", 123450),
        ("1,234.56", "US$", 123456),
        ("US$ 12", "dólares", 1200),
        ("1234567", "", 1234567),
        ("1.234.567", "peso chileno", 1234567),
    ],
)
def test_amounts_are_in_minor_units_of_their_currency(
    tmp_path: Path, amount: str, currency: str, minor: int
) -> None:
    (line,) = lines(tmp_path, (*ROW[:2], amount, currency, *ROW[4:]))
    assert line.transfer is not None
    assert line.transfer.amount_minor == minor


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("pago", ()),
        ("PAGO ANA@EXAMPLE.COM.", ("ANA@example.com",)),
        ("de ana@example.com, para (bruno@example.com)", ("ana@example.com", "bruno@example.com")),
        ("account:0195f3c27a414c1e9d3f5b8e2a6c4d10", ("account:0195f3c27a414c1e9d3f5b8e2a6c4d10",)),
        (
            "PLAN 0195F3C2-7A41-4C1E-9D3F-5B8E2A6C4D10",
            ("plan:0195F3C2-7A41-4C1E-9D3F-5B8E2A6C4D10",),
        ),
        ("me@ home, @ nobody", ()),
    ],
)
def test_whom_a_text_names_is_found_in_it(
    tmp_path: Path, text: str, named: tuple[str, ...]
) -> None:
    assert read(tmp_path, 5, text).named == named


def test_references_are_the_same_however_a_spreadsheet_spells_them(tmp_path: Path) -> None:
    """Zeros in front are lost where a column is not text."""
    keys = {
        read(tmp_path, 1, text).reference_key for text in ("00tef 12/3", "TEF-12-3", "tef_12.3")
    }
    assert keys == {"TEF-12-3"}


def test_a_transfer_is_shown_without_what_is_personal() -> None:
    assert "ana@example.com" not in repr(READ)
    assert "12345678" not in repr(READ)


# ---------------------------------------------------------------- lines at fault


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (0, "", "booked_on is not a day"),
        (0, "31/02/2026", "booked_on is a day that does not exist"),
        (0, "02/02/26", "booked_on is not a day"),
        (0, "46055", "booked_on is not a day"),
        (1, "", "reference is missing"),
        (1, "0000", "reference is zero"),
        (1, "ana@example.com", "reference holds what no bank's number does"),
        (1, "x" * 51, "reference is longer than 50 characters"),
        (1, "Juan Perez Soto", "reference has no digit"),
        (1, "TRANSFERENCIA", "reference has no digit"),
        (1, "12.345.678-5", "reference holds a RUT"),
        (1, "RUT 76.086.428-5 ANA", "reference holds a RUT"),
        (1, "TEF 12345678", "reference holds the payer's RUT"),
        (2, "", "amount is not an amount"),
        (2, "mucho", "amount is not an amount"),
        (2, "29.97.0", "amount is not an amount"),
        (2, "29970,5", "amount has a smaller fraction than CLP has"),
        (2, "0", "amount is zero"),
        (2, "9" * 17, "amount is larger than any amount"),
        (2, "-29.970", "amount says that this money left the bank account"),
        (2, "29.970-", "amount says that this money left the bank account"),
        (2, "(29.970)", "amount says that this money left the bank account"),
        (2, "$ -29.970", "amount says that this money left the bank account"),
        (2, "$\u00a0(29.970)", "amount says that this money left the bank account"),
        (2, "(29.970", "amount is not an amount"),
        (3, "fichas", "currency is no currency"),
        (5, "=1+1", "remittance is a formula"),
        (6, "\x07", None),
    ],
)
def test_each_fault_is_named_by_its_column(
    tmp_path: Path, place: int, value: str, fault: str | None
) -> None:
    """What stands in a column that is not read is nobody's fault."""
    (line,) = lines(tmp_path, with_cell(place, value))
    told = [f"{found.field} {found.message}" for found in line.faults]
    assert told == ([] if fault is None else [fault])
    assert all(found.remedy for found in line.faults)
    assert (line.transfer is None) == bool(told)
    assert not line.foreign


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    "value",
    ["Juan Perez Soto", "ana@example.com", "TEF-1 ana@example.com", "12.345.678-5", "12345678-5",
     "RUT 12.345.678-5 JUAN PEREZ", "TEF 123456785", "76086428-5 SOTO"],
)  # fmt: skip
def test_who_paid_is_no_reference_and_is_told_to_nobody(tmp_path: Path, value: str) -> None:
    (line,) = lines(tmp_path, with_cell(1, value))
    assert (line.transfer, line.reference) == (None, "")
    assert not any(value in f"{fault.message} {fault.remedy}" for fault in line.faults)


def test_a_rut_is_at_fault_only_where_it_is_needed(tmp_path: Path) -> None:
    (named,) = lines(tmp_path, with_cell(4, "0-0"))
    (unnamed,) = lines(tmp_path, (*ROW[:4], "0-0", "pago", ""))
    assert named.transfer is not None
    assert [fault.field for fault in unnamed.faults] == ["payer_rut"]


def test_every_fault_of_a_line_is_told(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, ("ayer", "", "mucho", "", "x", "pago", ""))
    assert [fault.field for fault in line.faults] == [
        "reference", "booked_on", "amount", "payer_rut",
    ]  # fmt: skip


def test_a_currency_in_which_nothing_is_priced_is_foreign(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, with_cell(3, "GBP"))
    assert line.foreign
    assert [fault.message for fault in line.faults] == ["is one in which nothing is priced"]


def test_what_went_out_has_a_column_of_its_own(tmp_path: Path) -> None:
    """A fee without a reference lacks nothing: there is nothing to capture."""
    rows = [("Fecha", "Referencia", "Cargo", "Abono", "Glosa"),
            ("02/02/2026", "", "1.500", "", "comisión"),
            ("02/02/2026", "TEF-1", "0", "29.970", "")]  # fmt: skip
    path = written(tmp_path / "statement.csv", csv_text(rows))
    out, came_in = read_statement(path).lines()
    assert [(fault.field, fault.message) for fault in out.faults] == [
        ("outgoing", "says that this money left the bank account")
    ]
    assert came_in.transfer is not None


def test_a_number_with_more_digits_than_a_spreadsheet_keeps_is_no_reference(tmp_path: Path) -> None:
    rows = [HEADER, ("02/02/2026", 12345678901234567, 29970, "", "", "", "")]
    (line,) = read_statement(workbook(tmp_path / "statement.xlsx", rows)).lines()
    assert [fault.field for fault in line.faults] == ["reference"]


def test_a_file_that_is_no_statement_is_refused_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "statement.csv", csv_text([("Fecha", "Nombre"), ("1", "ana")]))
    with pytest.raises(UnreadableList, match="does not name the columns"):
        read_statement(path)
    doubled = (*HEADER[:6], "Mensaje")
    path = written(tmp_path / "statement.csv", csv_text([doubled, ROW]))
    with pytest.raises(UnreadableList, match=r"doubled: remittance \(F and G\)"):
        read_statement(path)
