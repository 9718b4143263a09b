"""A list of people to invite, from the file to the last answer, beside inviting them one by one."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import monotonic
from uuid import UUID, uuid4

from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.memory import peak
from benchmarks.people import BEGINNING, registration
from benchmarks.processes import apart, rate
from domain.account import Role
from domain.actor import Actor, ActorKind
from domain.invitation import AcceptInvitation, InviteeDetails, InviteMember
from domain.money import Currency
from domain.plan import OpenPlan
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    PaymentMeans,
    TaxDocumentKind,
)
from handlers.composition import Acta, open_ledger
from handlers.imports.columns import HEADERS
from handlers.imports.importer import Importer, ListToImport
from handlers.imports.reading import read_list
from handlers.settings import Settings

__all__ = ["measure"]

FLAT_AT_MOST = 1.3
FASTER_AT_LEAST = 5
SEATS = 1_000_000
PRICE_MINOR = 9990
DIRECTOR = "directora@example.com"
BY_DIRECTOR = Actor(kind=ActorKind.PERSON, who=DIRECTOR)


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    return [_rate_row(ground, sizes), *_memory_rows(ground, sizes)]


def _rate_row(ground: Ground, sizes: Sizes) -> Row:
    people = sizes.listed_people[0]
    with ground.acta() as settings:
        plan = _school(settings)
        results = in_turns(
            sizes.repetitions,
            lambda: apart(imported_per_second, settings, plan, people),
            lambda: rate(inviter, settings, plan, processes=1, seconds=sizes.seconds),
        )
    return Row(
        what=f"import a list of {people:,} people, rows/s",
        unit="rows/s",
        ours=results[0],
        baseline=results[1],
        baseline_is="single invitations by Ledger.ask, /s",
        at_least=FASTER_AT_LEAST,
    )


def _memory_rows(ground: Ground, sizes: Sizes) -> Iterator[Row]:
    with ground.acta() as settings:
        plan = _school(settings)
        peaks = in_turns(
            sizes.repetitions, lambda: apart(importing_mib, settings, plan, sizes.listed_people)
        )[0]
    few, *more = zip(*peaks, strict=True)
    for people, many in zip(sizes.listed_people[1:], more, strict=True):
        yield Row(
            what=f"memory of an import of {people:,} people",
            unit="MiB",
            ours=many,
            baseline=few,
            baseline_is=f"of {sizes.listed_people[0]:,} people",
            at_most=FLAT_AT_MOST,
        )


def imported_per_second(settings: Settings, plan: UUID, people: int) -> float:
    with open_ledger(settings) as acta, list_of(people) as file:
        began = monotonic()
        assert import_all(acta, plan, file) == people
        return people / (monotonic() - began)


def importing_mib(settings: Settings, plan: UUID, sizes: tuple[int, ...]) -> list[float]:
    """The peak after each of these lists."""
    peaks: list[float] = []
    with open_ledger(settings) as acta, peak() as sampled:
        for people in sizes:
            with list_of(people) as file:
                import_all(acta, plan, file)
            peaks.append(sampled[0])
    return peaks


@contextmanager
def inviter(settings: Settings, plan: UUID) -> Iterator[Callable[[], object]]:
    def invite() -> None:
        command = InviteMember(
            at=BEGINNING, plan=plan, invitation=uuid4(), **_somebody().model_dump()
        )
        acta.ledger.ask(command, BY_DIRECTOR, uuid4())

    with open_ledger(settings) as acta:
        yield invite


def import_all(acta: Acta, plan: UUID, file: Path) -> int:
    """How many answers there are, from opening the file to the last of them."""
    wanted = ListToImport(read_list(file), plan, BY_DIRECTOR, BEGINNING)
    return sum(1 for _ in Importer(acta.ledger, acta.store).run(wanted).rows)


@contextmanager
def list_of(people: int) -> Iterator[Path]:
    """A list of people whom nobody knows yet, as a spreadsheet writes it."""
    with NamedTemporaryFile("w", suffix=".csv", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADERS["es"])
        for _ in range(people):
            who = _somebody()
            writer.writerow(
                (who.given_name, who.paternal_surname, who.maternal_surname, who.rut, who.email,
                 who.phone, "usuario")
            )  # fmt: skip
        file.flush()
        yield Path(file.name)


def _somebody(role: Role = Role.USER) -> InviteeDetails:
    known = registration(BEGINNING)
    assert known.maternal_surname is not None
    assert known.rut is not None
    return InviteeDetails(
        role=role,
        given_name=known.given_name,
        paternal_surname=known.paternal_surname,
        maternal_surname=known.maternal_surname,
        rut=known.rut,
        email=known.email,
        phone=known.phone,
    )


def _school(settings: Settings) -> UUID:
    """A plan that is paid, with a director who may invite."""
    plan = uuid4()
    payer, manager = f"plan:{plan}", Actor(kind=ActorKind.ACCOUNT_MANAGER, id=uuid4())
    director = _somebody(Role.SUPER_ADMINISTRATOR).model_copy(update={"email": DIRECTOR})
    invited = InviteMember(at=BEGINNING, plan=plan, invitation=uuid4(), **director.model_dump())
    with open_ledger(settings) as acta:
        for actor, command in (
            (manager, OpenPlan(at=BEGINNING, plan=plan, institution="Colegio", seats=SEATS)),
            (manager, invited),
            (BY_DIRECTOR, AcceptInvitation(at=BEGINNING, invitation=DIRECTOR)),
            (manager, ChooseTaxDocument(at=BEGINNING, account=payer, kind=TaxDocumentKind.BOLETA)),
            (manager, ConfirmPlan(at=BEGINNING, account=payer, plan="school", price_version=1,
                                  monthly_price_minor=PRICE_MINOR, currency=Currency.CLP)),
            (manager, ChoosePaymentMethod(at=BEGINNING, account=payer,
                                          means=PaymentMeans.TRANSFER, months=3)),
            (manager, CapturePayment(at=BEGINNING, account=payer, payment=uuid4(),
                                     amount_minor=3 * PRICE_MINOR, currency=Currency.CLP,
                                     gateway_reference="bank-1")),
        ):  # fmt: skip
            acta.ledger.ask(command, actor, uuid4())
    return plan
