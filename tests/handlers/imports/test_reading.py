"""Lists of people, good and bad, as files arrive from spreadsheets."""

import hashlib
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from handlers.faults import InvalidInput
from handlers.imports.columns import FIELDS, HEADERS, HeaderLanguage, role_code, with_country_code
from handlers.imports.reading import ROWS_MAX, ListedPerson, read_list
from handlers.imports.template import write_template
from handlers.spreadsheets.cells import FILE_BYTES_MAX, ROW_CHARACTERS_MAX, UnreadableList
from handlers.spreadsheets.workbooks import PART_ELEMENTS_MAX
from tests.handlers.imports.files import (
    ANA,
    ANA_READ,
    BRUNO,
    BRUNO_READ,
    HEADER,
    MAIN,
    csv_text,
    sheet_of,
    with_parts,
    with_shared_strings,
    workbook,
    written,
)

PEOPLE = [HEADER, ANA, BRUNO]


def people(path: Path) -> list[ListedPerson]:
    return list(read_list(path).rows())


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableList) as refused:
        read_list(path)
    assert refused.value.remedy
    assert "ana@example.cl" not in refused.value.message
    return refused.value.message


# ---------------------------------------------------------------- lists that are read


@pytest.mark.rule("I5")
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_text_is_read_in_each_spelling(
    tmp_path: Path, delimiter: str, line_end: str, encoding: str
) -> None:
    path = written(tmp_path / "list", csv_text(PEOPLE, delimiter, line_end), encoding)
    assert people(path) == [ListedPerson(2, ANA_READ, ()), ListedPerson(3, BRUNO_READ, ())]


@pytest.mark.rule("I5")
@pytest.mark.parametrize("write", [workbook, with_shared_strings])
def test_workbooks_are_read_whatever_their_name(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "list.csv", PEOPLE)
    assert people(path) == [ListedPerson(2, ANA_READ, ()), ListedPerson(3, BRUNO_READ, ())]


def test_digest_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "list.csv", csv_text(PEOPLE))
    read = read_list(path)
    assert read.digest == hashlib.sha256(path.read_bytes()).digest()
    assert read.size_bytes == path.stat().st_size
    assert list(read.rows()) == list(read.rows())


def test_a_file_that_changed_since_is_not_read_on(tmp_path: Path) -> None:
    read = read_list(written(tmp_path / "list.csv", csv_text(PEOPLE)))
    written(tmp_path / "list.csv", csv_text([HEADER, BRUNO]))
    with pytest.raises(UnreadableList, match="has changed"):
        list(read.rows())


def test_excels_separator_line_is_no_row(tmp_path: Path) -> None:
    path = written(tmp_path / "list.csv", "sep=|\r\n" + csv_text(PEOPLE, "|"))
    assert [person.row for person in people(path)] == [2, 3]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_blank_rows_are_left_out_and_still_count(tmp_path: Path, kind: str) -> None:
    rows = [("",) * 7, HEADER, ANA, ("", " ", "", "", "", "", ""), BRUNO]
    path = tmp_path / "list"
    if kind == "csv":
        written(path, csv_text(rows))
    else:
        workbook(path, rows)
    assert [person.row for person in people(path)] == [3, 5]


@pytest.mark.parametrize(
    "header",
    [
        HEADERS["es"],
        HEADERS["en"],
        FIELDS,
        ("NOMBRE", "primer_apellido", "Segundo-Apellido", "R.U.T.", "e-mail", "Celular", "Perfil"),
        ("First name", "first surname", "Second Surname", "RUN", "MAIL", "Movil", "ROLE"),
    ],
)
def test_columns_are_known_in_spanish_and_english(tmp_path: Path, header: tuple[str, ...]) -> None:
    path = written(tmp_path / "list.csv", csv_text([header, ANA]))
    assert people(path)[0].values == ANA_READ


def test_a_line_break_in_quotes_and_unseen_marks_are_space_and_nothing(tmp_path: Path) -> None:
    row = ("Ana\r\nMaría", *ANA[1:5], "\u202a+56 9 6123 4567\u202c", "usuario")
    path = written(tmp_path / "list.csv", csv_text([HEADER, row, BRUNO]))
    first, second = people(path)
    assert first.values["given_name"] == "Ana María"
    assert first.values["phone"] == ANA[5]
    assert (first.row, second.row) == (2, 3)


def test_numbers_are_read_as_they_would_be_typed(tmp_path: Path) -> None:
    row = ("Ana", "Pérez", "Soto", 123456785, "ana@example.cl", 56961234567.0, 1e20)
    values = people(workbook(tmp_path / "list", [HEADER, row]))[0].values
    assert (values["rut"], values["phone"], values["role"]) == (
        "123456785", "56961234567", "1" + "0" * 20,
    )  # fmt: skip


def test_hidden_sheets_are_not_looked_at(tmp_path: Path) -> None:
    book = Workbook()
    for state in ("hidden", "visible"):
        sheet = book.create_sheet()
        sheet.sheet_state = state
        for row in PEOPLE:
            sheet.append(list(row))
    book.save(tmp_path / "list")
    book.close()
    assert len(people(tmp_path / "list")) == 2


# ---------------------------------------------------------------- rows at fault


@pytest.mark.rule("I5")
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("=1+1", "is a formula"),
        (date(2026, 1, 2), "is a date or a time"),
        (True, "is a truth value"),
        ("#N/A", "is an error of the spreadsheet"),
        ("x" * 1001, "is longer than 1000 characters"),
    ],
)
def test_a_cell_at_fault_stops_no_other_row(tmp_path: Path, value: object, fault: str) -> None:
    path = workbook(tmp_path / "list", [HEADER, (value, *ANA[1:]), BRUNO])
    first, second = people(path)
    assert [(found.field, found.message) for found in first.faults] == [("given_name", fault)]
    assert first.values["given_name"] == ""
    assert second == ListedPerson(3, BRUNO_READ, ())


def test_every_fault_of_a_row_is_told(tmp_path: Path) -> None:
    row = ("=A1", "\x07", "\ufffd", *ANA[3:], "one more")
    (person,) = people(written(tmp_path / "list.csv", csv_text([HEADER, row])))
    assert [(fault.field, fault.message) for fault in person.faults] == [
        ("given_name", "is a formula"),
        ("paternal_surname", "holds control characters"),
        ("maternal_surname", "holds a character that was lost when the file was saved"),
        (None, "has more cells than there are columns"),
    ]


def test_a_short_row_has_empty_values(tmp_path: Path) -> None:
    (person,) = people(written(tmp_path / "list.csv", csv_text([HEADER, ANA[:2]])))
    assert (person.values["role"], person.faults) == ("", ())


# ---------------------------------------------------------------- files that cannot be used


def test_every_missing_doubled_and_unknown_column_is_named(tmp_path: Path) -> None:
    header = ("Nombre", "Name", "Apellido paterno", "RUT", "Correo", "Edad", "ana@example.cl")
    message = refusal(written(tmp_path / "list.csv", csv_text([header, ANA])))
    assert message == (
        "the columns do not fit; missing: maternal_surname, phone, role;"
        " doubled: given_name (A and B); unknown: Edad (F), column G"
    )


def test_a_list_without_column_names_repeats_nobody(tmp_path: Path) -> None:
    message = refusal(written(tmp_path / "list.csv", csv_text([ANA, BRUNO])))
    assert message == "row 1, the first, does not name the columns"


def test_mixed_encodings_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(csv_text([HEADER, ANA]).encode() + csv_text([BRUNO]).encode("cp1252"))
    assert refusal(path).endswith("line 1 is UTF-8, line 3 is not")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"{\\rtf1", "text document"),
        (b"<html><table>", "a web page"),
        (b"\x1f\x8b\x08", "a compressed archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office format"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "locked with a password",
        ),
        (b"PK\x03\x04 and no more", "damaged workbook"),
        (b"MZ\0\0\x01\x02", "neither text nor a spreadsheet"),
        (b"", "is empty"),
        (b"\r\n\r\n", "has no rows"),
    ],
)
def test_a_wrong_kind_of_file_is_called_by_its_name(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    assert kind in refusal(path)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.txt"], "a compressed archive"),
        (["mimetype", "content.xml"], "OpenDocument"),
        (["[Content_Types].xml", "word/document.xml"], "another Office program"),
        (["[Content_Types].xml", "xl/workbook.bin"], "binary workbook"),
        (["[Content_Types].xml", "xl/workbook.xml"], "damaged"),
    ],
)
def test_an_archive_is_told_by_what_is_in_it(tmp_path: Path, names: list[str], kind: str) -> None:
    with ZipFile(tmp_path / "list.xlsx", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    assert kind in refusal(tmp_path / "list.xlsx")


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path)
    assert refusal(tmp_path / "none.csv") == "there is no such file"


def test_a_hundred_megabytes_are_refused_by_their_size(tmp_path: Path) -> None:
    with (tmp_path / "list.csv").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    assert refusal(tmp_path / "list.csv") == "the file is larger than 20 MiB"


def test_a_list_of_too_many_rows_is_refused(tmp_path: Path) -> None:
    content = csv_text([HEADER]) + "a;;;;;;\r\n" * (ROWS_MAX + 1)
    assert "more than 100000 rows" in refusal(written(tmp_path / "list.csv", content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"Ana;Pérez\r\n', "row 3 has a quotation mark out of place"),
        ("x" * (ROW_CHARACTERS_MAX + 1), "row 3 is longer than 10000 characters"),
        ('"' + "\n" * 3 + "x\n" * ROW_CHARACTERS_MAX, "row 3 is longer"),
    ],
)
def test_rows_without_a_clear_end_refuse_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path / "list.csv", csv_text([HEADER, ANA]) + text)
    assert refusal(path).startswith(message)


def test_two_sheets_with_content_are_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "list", PEOPLE, [], PEOPLE)
    assert refusal(path) == "several sheets of the workbook have content: 1, 3"


@pytest.mark.parametrize("part", ["sheet", "strings", "styles"])
def test_entities_are_refused_in_every_part(tmp_path: Path, part: str) -> None:
    bomb = (
        '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
        f"<sst {MAIN}><si><t>&b;</t></si></sst>"
    )
    path = with_parts(workbook(tmp_path / "list", PEOPLE), **{part: bomb})
    assert "declares XML entities" in refusal(path)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("styles", "<styleSheet>" + "<xf/>" * (PART_ELEMENTS_MAX + 1) + "</styleSheet>"),
        ("sheet", sheet_of("<row>" + "<c/>" * 70_000 + "</row>")),
        ("sheet", sheet_of(f"<row><c><v>{'1' * 2_000_000}</v></c></row>")),
        ("sheet", " " * (201 * 1024 * 1024)),
    ],
    ids=["elements", "cells", "text", "bytes"],
)
def test_a_workbook_that_swells_is_refused(tmp_path: Path, part: str, content: str) -> None:
    path = with_parts(workbook(tmp_path / "list", PEOPLE), **{part: content})
    assert path.stat().st_size < FILE_BYTES_MAX
    assert "far more than a list" in refusal(path)


@pytest.mark.parametrize("rows", ['<row r="2"/><row r="1"/>', '<row r="99999999999"/>', "<row"])
def test_a_damaged_sheet_is_refused(tmp_path: Path, rows: str) -> None:
    path = with_parts(workbook(tmp_path / "list", PEOPLE), sheet=sheet_of(rows))
    assert "damaged" in refusal(path)


def test_memory_is_bounded_whatever_the_size(tmp_path: Path) -> None:
    row = csv_text([("Ana " * 80, *ANA[1:])])
    with (tmp_path / "list.csv").open("w", newline="") as file:
        file.write(csv_text([HEADER]))
        file.writelines(row for _ in range(19 * 1024 * 1024 // len(row)))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_list(tmp_path / "list.csv").rows())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > 45_000
    assert peak_bytes < 2 * 1024 * 1024


# ---------------------------------------------------------------- any rows


VALUES = st.text("abñáÉ ,;\"'\t\n€1=@", max_size=12).filter(
    lambda text: not text.strip().startswith("=")
)
ROWS = st.lists(st.tuples(*[VALUES] * 7), min_size=1, max_size=5)


@settings(max_examples=50)
@given(rows=ROWS)
def test_any_rows_are_read_back_from_every_kind_of_file(rows: list[tuple[str, ...]]) -> None:
    listed = [HEADER, ANA, *rows]
    expected = [
        (number, values)
        for number, row in enumerate(listed[1:], start=2)
        if any(values := [" ".join(text.split()) for text in row])
    ]
    with TemporaryDirectory() as folder:
        files = [workbook(Path(folder, "workbook"), listed)]
        for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16"):
            for delimiter in (",", ";", "\t"):
                path = Path(folder, f"{encoding}{ord(delimiter)}")
                files.append(written(path, csv_text(listed, delimiter), encoding))
        for path in files:
            read = [(person.row, list(person.values.values())) for person in people(path)]
            assert read == expected


# ---------------------------------------------------------------- templates, roles, phones


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_template_can_be_read(tmp_path: Path, language: HeaderLanguage, suffix: str) -> None:
    path = tmp_path / f"people{suffix}"
    write_template(path, language)
    read = people(path)
    assert [(person.row, person.faults) for person in read] == [(2, ()), (3, ())]
    assert [role_code(person.values["role"]) for person in read] == ["user", "administrator"]


def test_a_template_overwrites_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", "mine")
    with pytest.raises(InvalidInput, match="already"):
        write_template(path, "es")
    assert path.read_text() == "mine"
    with pytest.raises(InvalidInput, match=r"\.csv or \.xlsx"):
        write_template(tmp_path / "people.doc", "es")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Super-Administradora", "super_administrator"),
        ("super administrator", "super_administrator"),
        ("ADMINISTRADOR(A)", "administrator"),
        ("admin", "administrator"),
        ("Usuaria", "user"),
        ("jefe", "jefe"),
    ],
)
def test_roles_are_known_in_spanish_and_english(text: str, code: str) -> None:
    assert role_code(text) == code


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9 6123 4567", "+56961234567"),
        ("56961234567", "+56961234567"),
        ("+34 612 34 56 78", "+34612345678"),
        ("12", "12"),
        ("nobody", "nobody"),
    ],
)
def test_a_phone_without_country_is_chilean(text: str, number: str) -> None:
    assert with_country_code(text) == number
