"""A command from end to end: known before? load, decide, seal, append with claims and receipt."""

from benchmarks import ours
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.processes import rate

__all__ = ["measure"]

REGISTRATION_BYTES = 1_000
"""About what a registration's payload has, six sealed fields included."""


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    return [_row(ground, sizes, processes) for processes in (1, sizes.processes)]


def _row(ground: Ground, sizes: Sizes, processes: int) -> Row:
    with ground.acta() as settings:
        results = in_turns(
            sizes.repetitions,
            lambda: rate(ours.registrar, settings, processes=processes, seconds=sizes.seconds),
            lambda: rate(
                ours.appender,
                settings,
                REGISTRATION_BYTES,
                processes=processes,
                seconds=sizes.seconds,
            ),
        )
    return Row(
        what=f"register by Ledger.ask, {processes} {'process' if processes == 1 else 'processes'}",
        unit="commands/s",
        ours=results[0],
        baseline=results[1],
        baseline_is="append alone of one event",
    )
