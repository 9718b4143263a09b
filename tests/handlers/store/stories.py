"""The people and commands that the tests of the store tell about, and the chance they take."""

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection
from stdnum.cl import rut as chilean_rut

from domain.account import ConfirmPhone, ErasePerson, RegisterUser, SetPassword, UserRegistered
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.money import Currency
from domain.personal import Purpose
from domain.refusal import Refused
from domain.study_history import ContentStudied
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    PaymentMeans,
    StartSubscription,
    TaxDocumentKind,
)
from handlers.composition import Acta
from handlers.ledger import Receipt
from handlers.store.event_store import CommandEnvelope

NOON = datetime(2026, 3, 2, 16, tzinfo=UTC)
"""The middle of a day in Chile, on which the stories begin."""

SYSTEM = Actor(kind=ActorKind.SYSTEM, id=UUID(int=7))
MANAGER = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=UUID(int=3))
SOMEBODY = Actor(kind=ActorKind.PERSON)
"""Whoever registers: a person who has no id before."""


def seed() -> int:
    """Where chance begins: a soak says where, all other runs begin at the same place."""
    return int(os.environ.get("ACTA_SOAK_SEED", "1"))


def random_rut(chance: random.Random) -> str:
    """A valid RUT, such as 12345678-5."""
    body = str(chance.randint(10_000_000, 25_000_000))
    return f"{body}-{chilean_rut.calc_check_digit(body)}"


def random_phone(chance: random.Random) -> str:
    """A valid Chilean mobile number."""
    return f"+569{chance.randint(6_2000000, 6_6999999)}"


def registration(number: int = 1, **others: Any) -> RegisterUser:
    """The registration of the first person, the second, and so on."""
    chance = random.Random(number)
    given: dict[str, Any] = {
        "at": NOON,
        "given_name": "Ana",
        "paternal_surname": "Rojas",
        "email": f"person{number}@example.com",
        "phone": random_phone(chance),
        "rut": random_rut(chance),
    }
    return RegisterUser(**(given | others))


def ask(acta: Acta, command: Command, actor: Actor, command_id: UUID | None = None) -> Receipt:
    """Gives a command, under a new id where none is told."""
    return acta.ledger.ask(command, actor, command_id or uuid4())


def refused(acta: Acta, command: Command, actor: Actor, command_id: UUID | None = None) -> Refused:
    """Gives a command that is to be refused; returns the refusal."""
    answer = acta.ledger.answer(command, actor, command_id or uuid4())
    assert answer.refusal is not None, "it was not refused"
    return answer.refusal


def registered(acta: Acta, number: int = 1, **others: Any) -> UserRegistered:
    """Registers somebody; returns the event, sealed as it is stored."""
    receipt = ask(acta, registration(number, **others), SOMEBODY)
    return registration_event(acta, receipt)


def registration_event(acta: Acta, receipt: Receipt) -> UserRegistered:
    """The event that a registration became."""
    (row,) = acta.store.batch(after=receipt.position - 1, limit=1)
    (recorded,) = acta.store.streams([row.stream])[row.stream][:1]
    assert isinstance(recorded.event, UserRegistered)
    return recorded.event


def owner(person: UUID) -> Actor:
    """The person, signed in."""
    return Actor(kind=ActorKind.PERSON, id=person)


def subscribe_with_factura(acta: Acta, event: UserRegistered, **company: str) -> None:
    """All steps of S1 with a factura, and the first payment."""
    who, person = f"account:{event.account}", owner(event.person)
    buyer: dict[str, Any] = {
        "company_name": "Rojas y Soto SpA",
        "company_rut": "76086428-5",
        "line_of_business": "Librería",
        "address": "Los Aromos 123, Ñuñoa",
    } | company
    steps: Sequence[tuple[Command, Actor]] = [
        (ConfirmPhone(account=who, at=NOON), SYSTEM),
        (SetPassword(account=who, at=NOON), person),
        (StartSubscription(account=who, at=NOON), person),
        (
            ChooseTaxDocument(
                account=who,
                at=NOON,
                kind=TaxDocumentKind.FACTURA,
                **buyer,
            ),
            person,
        ),
        (
            ConfirmPlan(
                account=who,
                at=NOON,
                plan="full-access",
                price_version=1,
                monthly_price_minor=9990,
                currency=Currency.CLP,
            ),
            person,
        ),
        (
            ChoosePaymentMethod(account=who, at=NOON, means=PaymentMeans.CARD, months=1),
            person,
        ),
        (
            CapturePayment(
                account=who,
                at=NOON,
                payment=uuid4(),
                amount_minor=9990,
                currency=Currency.CLP,
                gateway_reference=f"gw-{uuid4().hex[:12]}",
            ),
            SYSTEM,
        ),
    ]
    for command, actor in steps:
        ask(acta, command, actor)


def erase(acta: Acta, event: UserRegistered, *, after: timedelta = timedelta(days=1)) -> Receipt:
    """Has a person erased at their own wish."""
    command = ErasePerson(account=f"account:{event.account}", at=NOON + after)
    return ask(acta, command, owner(event.person))


def studied(content: str = "algebra/unit-1", person: UUID | None = None) -> ContentStudied:
    """An event without personal data."""
    return ContentStudied(
        occurred_at=NOON, person=person or UUID(int=1), account=UUID(int=2), content=content
    )


def envelope(
    command_id: UUID | None = None, *, asked_at: datetime = NOON, persons: Sequence[UUID] = ()
) -> CommandEnvelope:
    """The envelope of an append that no command stands behind."""
    return CommandEnvelope(
        command_id=command_id or uuid4(),
        actor=SYSTEM,
        asked_at=asked_at,
        input_digest=b"digest",
        persons=frozenset(persons),
    )


def purposes_with_keys(administrator: Connection, person: UUID) -> set[Purpose]:
    """The purposes for which a person has keys."""
    rows = administrator.execute("SELECT purpose FROM vault.keys WHERE person = %s", (person,))
    return {Purpose(purpose) for (purpose,) in rows}


@contextmanager
def home_of(folder: Path) -> Iterator[Path]:
    """A folder for an embedded database of one's own, removed afterwards."""
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def number_of_rows(administrator: Connection) -> dict[str, int]:
    """How many rows each table of the ledger and the vault has."""
    tables = administrator.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname IN ('ledger', 'vault') ORDER BY 1"
    ).fetchall()
    return {
        table: (administrator.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() or (0,))[
            0
        ]
        for (table,) in tables
    }
