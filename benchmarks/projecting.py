"""Read models from the log: all of ours, beside one of the library's runner."""

from benchmarks import ours, stock
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.population import live, populate
from benchmarks.processes import apart
from handlers.composition import PROJECTIONS

__all__ = ["measure"]


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    with ground.acta() as settings:
        lives = live(settings, sizes.lives)
        populate(settings, lives, sizes.projected_events)

        def our_rate() -> float:
            return apart(ours.projected_per_second, settings)

        def stock_rate() -> float:
            with ground.stock() as address:
                stock.populate(address, lives, sizes.stock_projected_events)
                return apart(stock.projected_per_second, address)

        results = in_turns(sizes.repetitions, our_rate, stock_rate)
    return [
        Row(
            what=f"project {len(PROJECTIONS)} read models, from {sizes.projected_events:,} events",
            unit="events/s",
            ours=results[0],
            baseline=results[1],
            baseline_is=f"ProjectionRunner, 1 view, from {sizes.stock_projected_events:,} events",
            at_least=10,
        )
    ]
