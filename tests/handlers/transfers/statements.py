"""Statements of a bank, as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from domain.event import Recorded
from domain.money import Currency
from domain.plan import OpenPlan
from domain.subscription import (
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    PaymentCaptured,
    PaymentMeans,
    TaxDocumentKind,
)
from handlers.transfers.statement import Statement, read_statement
from tests.handlers.imports.files import csv_text, written
from tests.handlers.stories import BEGINNING, MANAGER, PRICE_MINOR, SCHOOL, Story

HEADER = ("Fecha", "N° Operación", "Abono", "Moneda", "RUT ordenante", "Glosa", "Saldo")
PRICE = 3 * PRICE_MINOR
BOOKED = date(2026, 2, 2)


@dataclass(frozen=True)
class Line:
    """A line of a statement."""

    reference: str
    text: str = ""
    booked_on: date = BOOKED
    amount: str = str(PRICE)
    currency: str = ""
    rut: str = ""

    def cells(self) -> tuple[str, ...]:
        """As the bank writes it, with a balance that nobody reads."""
        day = self.booked_on.strftime("%d/%m/%Y")
        return (day, self.reference, self.amount, self.currency, self.rut, self.text, "1.000")


def a_statement(folder: Path, lines: Sequence[Line], name: str = "statement.csv") -> Path:
    """A file of these lines."""
    return written(folder / name, csv_text([HEADER, *(line.cells() for line in lines)]))


def statement(folder: Path, *lines: Line) -> Statement:
    """A statement that can be read."""
    return read_statement(a_statement(folder, lines))


def school(story: Story, plan: UUID) -> str:
    """A school that pays by transfer for three months, and has not yet paid."""
    who = f"plan:{plan}"
    story.ask(OpenPlan(at=BEGINNING, plan=plan, institution=SCHOOL, seats=5), MANAGER)
    for command in (
        ChooseTaxDocument(at=BEGINNING, account=who, kind=TaxDocumentKind.BOLETA),
        ConfirmPlan(
            at=BEGINNING, account=who, plan="school", price_version=1,
            monthly_price_minor=PRICE_MINOR, currency=Currency.CLP,
        ),
        ChoosePaymentMethod(at=BEGINNING, account=who, means=PaymentMeans.TRANSFER, months=3),
    ):  # fmt: skip
        story.ask(command, MANAGER)
    return who


def captured(recorded: Sequence[Recorded]) -> list[PaymentCaptured]:
    """The payments among these events."""
    return [each.event for each in recorded if isinstance(each.event, PaymentCaptured)]
