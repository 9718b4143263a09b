"""What is measured: rows of ours beside a baseline, repeated in turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

__all__ = ["Row", "Sizes", "in_turns"]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        seconds: how long each repetition of a rate lasts.
        backlogs_events: the growing backlogs over which memory has to stay flat.
        commands: likewise of commands.
        listed_people: likewise of lists to import; the rate is that of the shortest.
        large_events: how many events of 256 KiB are relayed.
        accounts: among how many accounts access is checked.
        lives: how many people live through the ledger, of whom the others are copies.
        periods: how many months the account has paid for whose billing history is read.
        renewals: how many cards are charged at a month's end; in one turn, for it takes minutes.
    """

    repetitions: int
    processes: int
    seconds: float
    projected_events: int
    stock_projected_events: int
    backlogs_events: tuple[int, ...]
    commands: tuple[int, ...]
    listed_people: tuple[int, ...]
    large_events: int
    latency_events: int
    accounts: int
    lives: int
    periods: int
    renewals: int


NORMAL = Sizes(
    repetitions=3,
    processes=8,
    seconds=4,
    projected_events=50_000,
    stock_projected_events=3_000,
    backlogs_events=(20_000, 100_000),
    commands=(500, 4_000),
    listed_people=(2_000, 20_000),
    large_events=600,
    latency_events=300,
    accounts=100_000,
    lives=20,
    periods=120,
    renewals=20_000,
)
FULL = Sizes(
    repetitions=3,
    processes=8,
    seconds=8,
    projected_events=100_000,
    stock_projected_events=6_000,
    backlogs_events=(20_000, 100_000, 1_000_000),
    commands=(500, 4_000, 25_000),
    listed_people=(2_000, 20_000, 50_000),
    large_events=2_000,
    latency_events=1_000,
    accounts=100_000,
    lives=20,
    periods=120,
    renewals=20_000,
)
TINY = Sizes(
    repetitions=1,
    processes=2,
    seconds=0.05,
    projected_events=100,
    stock_projected_events=20,
    backlogs_events=(50, 100),
    commands=(2, 4),
    listed_people=(3, 6),
    large_events=4,
    latency_events=4,
    accounts=20,
    lives=1,
    periods=3,
    renewals=3,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. Repetitions of both sides stand in the order in which they were made.

    Attributes:
        ratios: ours by baseline, for each repetition: both sides of one were measured one right
            after the other, so that what else the machine does hits both.
        at_least: the ratio that is required.
        at_most: the ratio that must not be exceeded.
    """

    what: str
    unit: str
    ours: Sequence[float]
    baseline: Sequence[float]
    baseline_is: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def ratios(self) -> list[float]:
        return [ours / other for ours, other in zip(self.ours, self.baseline, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def holds(self) -> bool:
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )


def in_turns(repetitions: int, *sides: Callable[[], ResultT]) -> list[list[ResultT]]:
    """Measures the sides A, B, A, B, …; one list of results for each side."""
    rounds = [[side() for side in sides] for _ in range(repetitions)]
    return [list(results) for results in zip(*rounds, strict=True)]
