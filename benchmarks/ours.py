"""What Acta does, ready to be counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from statistics import median
from threading import Thread
from time import monotonic
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent

from benchmarks.people import registration
from domain.actor import Actor, ActorKind
from domain.study_history import ContentStudied
from handlers.checks import KNOWN, OF_ACCOUNT
from handlers.composition import PROJECTIONS, open_ledger
from handlers.settings import Settings
from handlers.store.database import Database
from handlers.store.mapper import to_payload
from handlers.store.recorder import ApplicationLog
from handlers.workers.projector import Projector
from projections.billing_history import LINES

__all__ = [
    "appender",
    "billed_and_selected",
    "checked_and_selected",
    "log",
    "projected_per_second",
    "projector_from_zero",
    "registrar",
    "studied",
    "tailing_projector",
]

ANYBODY = Actor(kind=ActorKind.PERSON)
TURNS = 20


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    assert settings.database_url is not None
    opened = Database(settings.database_url.get_secret_value())
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def log(settings: Settings) -> Iterator[ApplicationLog]:
    with database(settings) as opened:
        yield ApplicationLog(opened)


def studied(*, size_bytes: int = 0) -> StoredEvent:
    """One event in a stream of its own, its payload filled up to a size."""
    fact = ContentStudied(
        account=uuid4(), person=uuid4(), occurred_at=datetime.now(UTC), content="algebra/unit-3"
    )
    missing = size_bytes - len(to_payload(fact))
    fact = fact.model_copy(update={"content": fact.content + "x" * missing})
    return StoredEvent(uuid4(), 1, fact.TOPIC, to_payload(fact))


@contextmanager
def appender(settings: Settings, size_bytes: int) -> Iterator[Callable[[], object]]:
    event = studied(size_bytes=size_bytes)
    with log(settings) as opened:
        yield lambda: opened.insert_events([replace(event, originator_id=uuid4())])


@contextmanager
def tailing_projector(settings: Settings) -> Iterator[None]:
    with database(settings) as opened:
        projector = Projector(opened, PROJECTIONS)
        thread = Thread(target=projector.follow)
        thread.start()
        try:
            yield
        finally:
            projector.stop()
            thread.join()


@contextmanager
def projector_from_zero(settings: Settings) -> Iterator[Projector]:
    """The projector, all its read models empty."""
    with database(settings) as opened:
        projector = Projector(opened, PROJECTIONS)
        for projection in PROJECTIONS:
            projector.rebuild(projection.name)
        yield projector


def projected_per_second(settings: Settings) -> float:
    with projector_from_zero(settings) as projector:
        began = monotonic()
        return projector.catch_up().events / (monotonic() - began)


@contextmanager
def registrar(settings: Settings) -> Iterator[Callable[[], object]]:
    with open_ledger(settings) as acta:
        yield lambda: acta.ledger.answer(registration(datetime.now(UTC)), ANYBODY, uuid4())


def checked_and_selected(
    settings: Settings, accounts: Sequence[UUID], thing: str, seconds: float
) -> tuple[float, float]:
    """Microseconds of a check, and of selecting its rows and nothing else.

    Measured in many short turns, of which the medians are taken.

    Args:
        settings: of the ledger.
        accounts: whom to ask about.
        thing: what for.
        seconds: how long all turns of one side last.
    """
    with open_ledger(settings) as acta, database(settings) as opened, opened.connection() as plain:
        cursor = plain.cursor(binary=True)
        names = cycle(f"account:{account}" for account in accounts)
        whom = cycle({**KNOWN, "who": account} for account in accounts)
        turns = [
            (
                _microseconds(
                    lambda: acta.queries.check(next(names), thing, datetime.now(UTC)),
                    seconds / TURNS,
                ),
                _microseconds(
                    lambda: cursor.execute(OF_ACCOUNT, next(whom), prepare=True).fetchall(),
                    seconds / TURNS,
                ),
            )
            for _ in range(TURNS + 1)
        ]
    # The first of each side warms up.
    checked, selected = zip(*turns[1:], strict=True)
    return median(checked), median(selected)


def billed_and_selected(settings: Settings, account: UUID, seconds: float) -> tuple[float, float]:
    """Microseconds of a billing history, and of selecting its rows and nothing else.

    Measured as ``checked_and_selected``.
    """
    with open_ledger(settings) as acta, database(settings) as opened, opened.connection() as plain:
        cursor = plain.cursor(binary=True)
        asked = {"account": account, "at": None}
        turns = [
            (
                _microseconds(
                    lambda: acta.queries.billing(f"account:{account}", datetime.now(UTC)),
                    seconds / TURNS,
                ),
                _microseconds(
                    lambda: cursor.execute(LINES, asked, prepare=True).fetchall(),
                    seconds / TURNS,
                ),
            )
            for _ in range(TURNS + 1)
        ]
    # The first of each side warms up.
    billed, selected = zip(*turns[1:], strict=True)
    return median(billed), median(selected)


def _microseconds(act: Callable[[], object], seconds: float) -> float:
    began, times = monotonic(), 0
    while (passed := monotonic() - began) < seconds or not times:
        act()
        times += 1
    return 1_000_000 * passed / times
