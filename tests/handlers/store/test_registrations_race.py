"""Many register at the same instant, and one of them gets the account (A3)."""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from uuid import uuid4

import pytest

from domain.account import RegisterUser
from domain.identity import email_key, rut_key
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.database import connect
from tests.conftest import TestDatabase
from tests.handlers.store.processes import CONTEXT, PROCESSES, running
from tests.handlers.store.stories import SOMEBODY, ask, refused, registration, seed

EMAIL = "maría.peña@ñandú-estudios.example.com"
RUT = "20347878-K"


def spelled_email(chance: random.Random) -> str:
    """One address, in one of the ways in which people and programs write it."""
    local, _, domain = EMAIL.partition("@")
    if chance.random() < 0.3:
        domain = domain.encode("idna").decode("ascii")
    spelled = "".join(chance.choice([str.upper, str.lower])(sign) for sign in f"{local}@{domain}")
    return unicodedata.normalize(chance.choice(["NFC", "NFD"]), spelled)


def spelled_rut(chance: random.Random) -> str:
    """One RUT, with or without dots, dash, and zeros in front, and k or K."""
    body, _, digit = RUT.partition("-")
    dotted = f"{body[:2]}.{body[2:5]}.{body[5:]}"
    return (
        chance.choice(["", "", "0"])
        + chance.choice([body, dotted])
        + chance.choice(["-", ""])
        + chance.choice([digit.lower(), digit.upper()])
    )


def same_person(chance: random.Random) -> RegisterUser:
    return registration(
        chance.randint(1, 10**9), email=spelled_email(chance), rut=spelled_rut(chance)
    )


def same_email(chance: random.Random) -> RegisterUser:
    """Nobody says a RUT, or each another."""
    number = chance.randint(1, 10**9)
    others = {"rut": None} if chance.random() < 0.5 else {}
    return registration(number, email=spelled_email(chance), **others)


def same_rut(chance: random.Random) -> RegisterUser:
    return registration(chance.randint(1, 10**9), rut=spelled_rut(chance))


SPELLINGS: dict[str, Callable[[random.Random], RegisterUser]] = {
    "one e-mail and one RUT": same_person,
    "one e-mail": same_email,
    "one RUT": same_rut,
}


def register_at_once(
    process: int,
    settings: dict[str, str],
    what: str,
    barrier: Barrier,
    answers: "SimpleQueue[str]",
) -> None:
    """Registers so many times, all with those of the other processes; runs in its own process."""
    chance = random.Random(seed() * 1000 + process)
    each = barrier.parties // PROCESSES
    commands = [SPELLINGS[what](chance) for _ in range(each)]
    with (
        open_ledger(Settings.model_validate(settings)) as acta,
        ThreadPoolExecutor(each) as threads,
    ):

        def register(command: RegisterUser) -> str:
            barrier.wait(timeout=120)
            answer = acta.ledger.answer(command, SOMEBODY, uuid4())
            return "account" if answer.refusal is None else answer.refusal.rule

        for answer in threads.map(register, commands):
            answers.put(answer)


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    ("what", "registrations"),
    [
        ("one e-mail and one RUT", 200),
        ("one e-mail", 24),
        ("one RUT", 24),
        pytest.param("one e-mail", 200, marks=pytest.mark.soak),
        pytest.param("one RUT", 200, marks=pytest.mark.soak),
    ],
)
def test_of_registrations_at_the_same_instant_one_wins(
    database: TestDatabase, what: str, registrations: int
) -> None:
    """From eight processes, in different spellings: one account, and all others refused by A3."""
    answers: SimpleQueue[str] = CONTEXT.SimpleQueue()
    barrier = CONTEXT.Barrier(registrations)
    settings = {"database_url": database.application, "keys": str(database.keys)}
    with running(register_at_once, settings, what, barrier, answers):
        pass
    told = Counter(answers.get() for _ in range(registrations))
    answers.close()

    assert told == {"account": 1, "A3": registrations - 1}
    with connect(database.administrator) as administrator:
        accounts = administrator.execute(
            "SELECT stream, count(*) FROM ledger.events GROUP BY stream"
        ).fetchall()
        assert [number for _, number in accounts] == [1]
        holders = administrator.execute("SELECT DISTINCT holder FROM ledger.claims").fetchall()
        assert holders == [(accounts[0][0],)]
        receipts = administrator.execute(
            "SELECT refusal ->> 'rule', count(*) FROM ledger.receipts GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert receipts == [("A3", registrations - 1), (None, 1)]
        keys = administrator.execute("SELECT DISTINCT person FROM vault.keys").fetchall()
        assert len(keys) == 1, "whoever was refused left keys behind"


def test_all_spellings_mean_one_person() -> None:
    """The race is one: every spelling is valid, and there are many."""
    chance = random.Random(seed())
    commands = [same_person(chance) for _ in range(200)]

    assert {email_key(command.email) for command in commands} == {email_key(EMAIL)}
    assert {rut_key(command.rut or "") for command in commands} == {rut_key(RUT)}
    assert len({spelled_email(chance) for _ in range(200)}) > 100
    assert len({spelled_rut(chance) for _ in range(200)}) > 10
    assert any("xn--" in spelled_email(chance).lower() for _ in range(200))


@pytest.mark.rule("A3")
def test_what_is_taken_in_one_spelling_is_taken_in_each(acta: Acta) -> None:
    chance = random.Random(seed())
    ask(acta, registration(email=EMAIL, rut=RUT), SOMEBODY)

    rules = {refused(acta, same_person(chance), SOMEBODY).rule for _ in range(50)}

    assert rules == {"A3"}
