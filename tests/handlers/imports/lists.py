"""Lists of people to import, and what is in the log of a ledger after it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from handlers.imports.importer import ListToImport
from handlers.imports.reading import read_list
from handlers.store.database import connect
from tests.conftest import TestDatabase
from tests.handlers.imports.files import HEADER, csv_text, written
from tests.handlers.stories import BEGINNING, Plan, rut_of

Line = tuple[str, ...]


def person(email: str, **changes: str) -> Line:
    """A row of a list."""
    values = {
        "given_name": "Carla",
        "paternal_surname": "Soto",
        "maternal_surname": "Vera",
        "rut": rut_of(email),
        "email": email,
        "phone": "9 6123 4567",
        "role": "usuaria",
    }
    return tuple((values | changes).values())


def people(*names: str) -> list[Line]:
    """Rows of people who are at fault in nothing."""
    return [person(f"{name}@example.cl") for name in names]


def a_list(folder: Path, rows: Sequence[Line], *, header: Sequence[str] = HEADER) -> Path:
    """A list as a file."""
    return written(folder / f"{uuid4().hex}.csv", csv_text([header, *rows]))


def to_import(file: Path, plan: Plan, *, at: datetime = BEGINNING) -> ListToImport:
    """The director wants it imported."""
    return ListToImport(read_list(file), plan.id, plan.director.itself, at)


def written_in(database: TestDatabase) -> dict[str, int]:
    """How much stands in each table that an import writes to."""
    tables = ("ledger.events", "ledger.receipts", "ledger.claims", "ledger.counted_claims",
              "vault.keys", "vault.people")  # fmt: skip
    with connect(database.administrator) as administrator:
        return {
            table: administrator.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in tables
        }
