"""Lists as files, written as spreadsheets write them."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from openpyxl import Workbook

from handlers.imports.columns import FIELDS, HEADERS

HEADER = HEADERS["es"]
ANA = ("Ana", "Pérez", "Soto", "12.345.678-5", "ana@example.cl", "+56 9 6123 4567", "usuario")
BRUNO = ("Bruno", "Muñoz", "Ríos", "11.111.111-1", "bruno@example.cl", "961234568", "user")
ANA_READ: dict[str, str] = dict(zip(FIELDS, ANA, strict=True))
BRUNO_READ: dict[str, str] = dict(zip(FIELDS, BRUNO, strict=True))


def csv_text(rows: Sequence[Sequence[str]], delimiter: str = ";", line_end: str = "\r\n") -> str:
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return text.getvalue()


def written(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def workbook(path: Path, *sheets: Sequence[Sequence[object]]) -> Path:
    book = Workbook(write_only=True)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    book.close()
    return path


def with_parts(path: Path, **parts: str) -> Path:
    """Puts other parts in place of a workbook's: ``sheet``, ``strings`` or ``styles``."""
    names = {
        "sheet": "xl/worksheets/sheet1.xml",
        "strings": "xl/sharedStrings.xml",
        "styles": "xl/styles.xml",
    }
    with ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, text in parts.items():
        content[names[name]] = text.encode()
    types = content["[Content_Types].xml"]
    if "strings" in parts and b"sharedStrings" not in types:
        override = (
            b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.'
            b'openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
        )
        content["[Content_Types].xml"] = types.replace(b"</Types>", override)
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, stored in content.items():
            archive.writestr(name, stored)
    return path


MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def sheet_of(rows: str) -> str:
    return f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"


def with_shared_strings(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """A workbook as Excel writes it: texts in a table, cells with their numbers in it."""
    texts = [text for row in rows for text in row]
    places = iter(range(len(texts)))
    cells = ("".join(f'<c t="s"><v>{next(places)}</v></c>' for _ in row) for row in rows)
    return with_parts(
        workbook(path, []),
        sheet=sheet_of("".join(f'<row r="{n}">{row}</row>' for n, row in enumerate(cells, 1))),
        strings=f"<sst {MAIN}>{''.join(f'<si><t>{text}</t></si>' for text in texts)}</sst>",
    )
