"""Fifty processes open tickets at once; some are refused, some break down, some are killed.

Whatever becomes of the others, numbers run 1, 2, 3 without gap or double (T1, S11), nobody is told
to come again, and nobody waits for somebody who stands still.
"""

import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from typing import Literal, TypeAlias
from uuid import UUID, uuid4, uuid5

import pytest

from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.support_ticket import OpenTicket, ReceiveMail, TicketOpened, TicketReason
from handlers.commands.situation import TICKET_NUMBERS
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.append import Append, Numbered
from handlers.store.event_store import CommandEnvelope, Conflict
from tests.conftest import TestDatabase
from tests.handlers.store.processes import CONTEXT
from tests.handlers.store.refolded_claims import held_by_log, held_in_database, whole_log
from tests.handlers.store.stories import seed
from tests.handlers.stories import BEGINNING, SYSTEM

STAFF = Actor(kind=ActorKind.SUPPORT_STAFF, id=UUID(int=30))
PROCESSES = 50
PATIENCE_SECONDS = 480
EVERYBODY = UUID("58cf6c5c-6c6a-4d0f-93c1-1d6f3d3f3a10")

Outcome: TypeAlias = Literal["opened", "refused", "broken", "killed"]


class Breakdown(Exception):  # noqa: N818  it stands for anything that goes wrong
    """Something goes wrong between the decision and the append."""


def wishes(process: int, each: int) -> list[tuple[Outcome, Command, UUID]]:
    """What a process asks for, the ids of its commands, and what will become of it.

    Some of the addresses are its own, and some are everybody's.
    """
    chance = random.Random(seed() * 1000 + process)
    told: list[tuple[Outcome, Command, UUID]] = []
    for number in range(each):
        name = uuid5(EVERYBODY, f"{seed()} {process} {number}")
        address = chance.choice([f"person{process}@example.com", "everybody@example.com"])
        outcome: Outcome = chance.choice(["opened", "opened", "opened", "refused", "broken"])
        if process % 10 == 0 and number == each - 1:
            outcome = "killed"
        no_contract = uuid5(name, "contract") if outcome == "refused" else None
        told.append((outcome, chance.choice([mail, call])(name, address, no_contract), name))
    return told


def mail(name: UUID, address: str, contract: UUID | None = None) -> ReceiveMail:
    """Somebody writes."""
    return ReceiveMail(
        at=BEGINNING, ticket=name, message=uuid5(name, "message"), sender=address,
        contract=contract, message_id=f"<{name}@mail.example>", subject="Hola", body="Hola.",
    )  # fmt: skip


def call(name: UUID, address: str, contract: UUID | None = None) -> OpenTicket:
    """Somebody calls."""
    return OpenTicket(
        at=BEGINNING, ticket=name, message=uuid5(name, "message"), requester=address,
        contract=contract, reason=TicketReason.OTHER, subject="Hola", body="Hola.",
    )  # fmt: skip


def ask_for_tickets(process: int, settings: dict[str, str], each: int, barrier: Barrier) -> None:
    """Asks for tickets at the same time as all others; runs in its own process."""
    outcome: Outcome = "opened"

    def reached(point: str) -> None:
        if point != "before append":
            return
        if outcome == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if outcome == "broken":
            raise Breakdown

    with open_ledger(Settings.model_validate(settings), reached=reached) as acta:
        barrier.wait(timeout=PATIENCE_SECONDS)
        for outcome, command, command_id in wishes(process, each):
            actor = SYSTEM if isinstance(command, ReceiveMail) else STAFF
            try:
                answer = acta.ledger.answer(command, actor, command_id)
            except Breakdown:
                continue
            assert (answer.refusal is None) == (outcome == "opened"), answer.refusal


@contextmanager
def at_work(settings: dict[str, str], each: int) -> Iterator[list[ForkServerProcess]]:
    """Fifty processes, gone at the end."""
    barrier = CONTEXT.Barrier(PROCESSES)
    processes = [
        CONTEXT.Process(target=ask_for_tickets, args=(number, settings, each, barrier))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


@pytest.mark.rule("T1", "S11")
@pytest.mark.parametrize("each", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_numbers_of_tickets_that_are_opened_at_once_have_no_gap(
    database: TestDatabase, acta: Acta, each: int
) -> None:
    """Refusals, breakdowns and kills take none; whoever is not killed is served."""
    settings = {"database_url": database.application, "keys": str(database.keys)}
    with at_work(settings, each) as processes:
        for process in processes:
            process.join(timeout=PATIENCE_SECONDS)
        codes = [process.exitcode for process in processes]
    assert codes == [-signal.SIGKILL if n % 10 == 0 else 0 for n in range(PROCESSES)]

    opened = [entry for entry in whole_log(acta) if isinstance(entry.event, TicketOpened)]
    numbers = [entry.event.number for entry in opened if isinstance(entry.event, TicketOpened)]
    assert numbers == list(range(1, len(numbers) + 1)), "in the order of the log, too"
    expected = {
        command_id
        for process in range(PROCESSES)
        for outcome, _, command_id in wishes(process, each)
        if outcome == "opened"
    }
    assert {entry.command_id for entry in opened} == expected
    assert held_in_database(acta) == held_by_log(acta)


@pytest.mark.rule("T1")
def test_more_threads_than_connections_open_tickets(acta: Acta) -> None:
    """Whoever waits for a number holds no connection that whoever has it needs."""
    wishes = [(mail, SYSTEM), (call, STAFF)] * 16
    with ThreadPoolExecutor(16) as threads:
        asked = [
            threads.submit(acta.ledger.ask, wish(uuid4(), "one@example.com"), actor, uuid4())
            for wish, actor in wishes
        ]
        for each in asked:
            each.result(timeout=PATIENCE_SECONDS)
    assert acta.store.numbered(TICKET_NUMBERS, range(1, 34)).keys() == set(range(1, 33))


@pytest.mark.rule("T1")
def test_whoever_stands_still_with_a_number_is_passed_over(
    database: TestDatabase, acta: Acta
) -> None:
    """The server ends it; readers do not wait at all, and the next one gets the number."""
    with open_ledger(database.settings()) as standing_still:
        with standing_still.store.numbering(TICKET_NUMBERS) as numbering:
            assert numbering.number == 1
            assert acta.store.batch(after=0, limit=10) == []
            acta.ledger.ask(mail(uuid4(), "one@example.com"), SYSTEM, uuid4())
            late = Append(numbered=[Numbered(TICKET_NUMBERS, 1, uuid4())])
            envelope = CommandEnvelope(uuid4(), SYSTEM, BEGINNING, None, frozenset())
            with pytest.raises(Conflict):
                standing_still.store.append(late, envelope, numbering.connection)
        # And is free to go on.
        standing_still.ledger.ask(mail(uuid4(), "one@example.com"), SYSTEM, uuid4())
    assert acta.store.numbered(TICKET_NUMBERS, [1, 2, 3]).keys() == {1, 2}


@pytest.mark.rule("T1")
@pytest.mark.parametrize("number", [1, 3])
def test_the_database_itself_takes_no_number_but_the_next(acta: Acta, number: int) -> None:
    """Whoever appends without having asked for one: no double, no gap."""
    acta.ledger.ask(mail(uuid4(), "one@example.com"), SYSTEM, uuid4())
    forged = Append(numbered=[Numbered(TICKET_NUMBERS, number, uuid4())])
    with pytest.raises(Conflict):
        acta.store.append(forged, CommandEnvelope(uuid4(), SYSTEM, BEGINNING, None, frozenset()))
    assert acta.store.numbered(TICKET_NUMBERS, [1, 2, 3]).keys() == {1}
