"""What people ask for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import randrange
from typing import Any
from uuid import uuid4

from stdnum.cl import rut

from domain.account import ConfirmPhone, RegisterUser, SetPassword
from domain.actor import ActorKind
from domain.command import Command
from domain.money import Currency
from domain.study_history import StudyContent
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    EndSubscription,
    PaymentMeans,
    StartSubscription,
    TaxDocumentKind,
)

__all__ = ["BEGINNING", "registration", "steps"]

BEGINNING = datetime(2026, 1, 15, 16, tzinfo=UTC)
PRICE_MINOR = 9990


def registration(at: datetime) -> RegisterUser:
    """A command to register somebody whom nobody knows yet."""
    number = str(randrange(5_000_000, 50_000_000))
    return RegisterUser(
        at=at,
        given_name="María José",
        paternal_surname="Fuentealba",
        maternal_surname="Santibáñez",
        email=f"{uuid4().hex}@example.com",
        phone=f"+56961{randrange(1_000_000):06}",
        rut=f"{number}-{rut.calc_check_digit(number)}",
    )


def steps(who: str, *, factura: bool) -> Iterator[tuple[ActorKind, Command]]:
    """What follows a registration, and who gives each command: three months of paying."""
    person, system = ActorKind.PERSON, ActorKind.SYSTEM
    yield system, ConfirmPhone(at=BEGINNING, account=who)
    yield person, SetPassword(at=BEGINNING, account=who)
    yield person, StartSubscription(at=BEGINNING, account=who)
    yield person, ChooseTaxDocument(at=BEGINNING, account=who, **(FACTURA if factura else BOLETA))
    yield (
        person,
        ConfirmPlan(
            at=BEGINNING,
            account=who,
            plan="full-access",
            price_version=1,
            monthly_price_minor=PRICE_MINOR,
            currency=Currency.CLP,
        ),
    )
    yield (
        person,
        ChoosePaymentMethod(at=BEGINNING, account=who, means=PaymentMeans.CARD, months=1),
    )
    for month in range(3):
        at = BEGINNING + timedelta(days=28 * month)
        yield (
            system,
            CapturePayment(
                at=at,
                account=who,
                payment=uuid4(),
                amount_minor=PRICE_MINOR,
                currency=Currency.CLP,
                gateway_reference=f"charge_{uuid4().hex}",
            ),
        )
        for unit in range(4):
            yield person, StudyContent(at=at, account=who, content=f"algebra/unit-{unit}")
    yield person, EndSubscription(at=BEGINNING + timedelta(days=60), account=who)


BOLETA: dict[str, Any] = {"kind": TaxDocumentKind.BOLETA}
FACTURA: dict[str, Any] = {
    "kind": TaxDocumentKind.FACTURA,
    "company_name": "Librería y Papelería Los Aromos SpA",
    "company_rut": "76086428-5",
    "line_of_business": "Venta al por menor de libros y artículos de papelería",
    "address": "Avenida Libertador Bernardo O'Higgins 1234, oficina 56, Santiago",
}
