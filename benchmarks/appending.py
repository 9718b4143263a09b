"""One event at a time from several processes, with a reader that follows."""

from benchmarks import ours, stock
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.processes import beside, rate

__all__ = ["measure"]


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    processes, seconds, size_bytes = sizes.processes, sizes.seconds, stock.size_bytes()
    with ground.acta() as settings, ground.stock() as address:
        stock.make_tables(address)

        def our_rate() -> float:
            with beside(ours.tailing_projector, settings):
                return rate(
                    ours.appender, settings, size_bytes, processes=processes, seconds=seconds
                )

        def stock_rate() -> float:
            with beside(stock.runner, address):
                return stock_rate_alone()

        def stock_rate_alone() -> float:
            return rate(stock.appender, address, processes=processes, seconds=seconds)

        ours_tailed, stock_tailed, stock_alone = in_turns(
            sizes.repetitions, our_rate, stock_rate, stock_rate_alone
        )
    what = f"append one event, {processes} processes, projector tailing"
    return [
        Row(what, "events/s", ours_tailed, stock_tailed, "stock recorder and runner", at_least=2),
        Row(what, "events/s", ours_tailed, stock_alone, "stock recorder alone", at_least=2),
    ]
