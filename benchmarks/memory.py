"""Memory stays flat, however much there is to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psutil

from benchmarks import ours
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.population import live, populate
from benchmarks.processes import apart
from handlers.settings import Settings

__all__ = ["measure"]

FLAT_AT_MOST = 1.1
SAMPLE_SECONDS = 0.005
MIB = 2**20


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    return [*_projector_rows(ground, sizes), *_ledger_rows(ground, sizes)]


def _projector_rows(ground: Ground, sizes: Sizes) -> Iterator[Row]:
    smallest, *larger = sizes.backlogs_events
    with ground.acta() as settings:
        lives = live(settings, sizes.lives)
        populate(settings, lives, smallest)
        small = in_turns(sizes.repetitions, lambda: apart(projecting_mib, settings))[0]
        there = smallest
        for backlog in larger:
            populate(settings, lives, backlog - there)
            there = backlog
            large = in_turns(sizes.repetitions, lambda: apart(projecting_mib, settings))[0]
            yield Row(
                what=f"memory of the projector over {backlog:,} events",
                unit="MiB",
                ours=large,
                baseline=small,
                baseline_is=f"over {smallest:,} events",
                at_most=FLAT_AT_MOST,
            )


def _ledger_rows(ground: Ground, sizes: Sizes) -> Iterator[Row]:
    with ground.acta() as settings:
        peaks = in_turns(sizes.repetitions, lambda: apart(asking_mib, settings, sizes.commands))[0]
    few, *more = zip(*peaks, strict=True)
    for commands, many in zip(sizes.commands[1:], more, strict=True):
        yield Row(
            what=f"memory of Ledger.ask over {commands:,} commands",
            unit="MiB",
            ours=many,
            baseline=few,
            baseline_is=f"over {sizes.commands[0]:,} commands",
            at_most=FLAT_AT_MOST,
        )


def projecting_mib(settings: Settings) -> float:
    with ours.projector_from_zero(settings) as projector, peak() as sampled:
        projector.catch_up()
    return sampled[0]


def asking_mib(settings: Settings, commands: tuple[int, ...]) -> list[float]:
    """The peak after each of these numbers of commands."""
    peaks, there = [], 0
    with ours.registrar(settings) as register, peak() as sampled:
        for goal in commands:
            for _ in range(there, goal):
                register()
            there = goal
            peaks.append(sampled[0])
    return peaks


@contextmanager
def peak() -> Iterator[list[float]]:
    """The most memory that this process has held so far, in MiB, the only item of the list."""
    process, done = psutil.Process(), Event()
    sampled = [process.memory_info().rss / MIB]

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            sampled[0] = max(sampled[0], process.memory_info().rss / MIB)

    thread = Thread(target=sample)
    thread.start()
    try:
        yield sampled
    finally:
        done.set()
        thread.join()
