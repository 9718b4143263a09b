"""An access check, beside the rows that it rests on."""

from benchmarks import ours
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.population import live, populate
from benchmarks.processes import apart, rate

__all__ = ["measure"]


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    with ground.acta() as settings:
        lives = live(settings, sizes.lives)
        populate(settings, lives, sizes.projected_events)
        apart(ours.projected_per_second, settings)
        accounts = [life.account for life in lives]
        results = in_turns(
            sizes.repetitions,
            lambda: rate(ours.checker, settings, accounts, processes=1, seconds=sizes.seconds),
            lambda: rate(ours.selector, settings, accounts, processes=1, seconds=sizes.seconds),
        )
    return [
        Row(
            what="check access to content, 1 process",
            unit="checks/s",
            ours=results[0],
            baseline=results[1],
            baseline_is="its rows selected in raw psycopg",
        )
    ]
