"""From the beginning of an append until a reader that has caught up sees the event."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice
from random import uniform
from statistics import median, quantiles
from threading import Event, Thread
from time import monotonic
from typing import Any

from eventsourcing.persistence import ApplicationRecorder, StoredEvent

from benchmarks import ours, stock
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.processes import apart

__all__ = ["measure"]

PAUSE_SECONDS_MAX = 0.04
"""Between appends: a reader that asks in turns is met at every moment of its turn."""


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    events = sizes.latency_events
    with ground.acta() as settings, ground.stock() as address:
        stock.make_tables(address)
        ours_seen, stock_seen = in_turns(
            sizes.repetitions,
            lambda: apart(latencies_ms, ours.log, ours.studied, settings, events),
            lambda: apart(latencies_ms, stock.log, stock.studied, address, events),
        )
    return [
        Row(
            what=f"append until seen by a tailing reader, {name}",
            unit="ms",
            ours=[summary(latencies) for latencies in ours_seen],
            baseline=[summary(latencies) for latencies in stock_seen],
            baseline_is="stock recorder and its subscription",
        )
        for name, summary in (("median", median), ("95th percentile", _percentile_95))
    ]


def latencies_ms(
    open_log: Callable[..., AbstractContextManager[ApplicationRecorder]],
    event: Callable[[], StoredEvent],
    where: Any,
    events: int,
) -> list[float]:
    with open_log(where) as log:
        began: dict[int, float] = {}
        seen: dict[int, float] = {}
        subscription = log.subscribe(gt=log.max_notification_id())

        def follow() -> None:
            for notification in islice(subscription, events):
                seen[notification.id] = monotonic()

        with subscription:
            reader = Thread(target=follow)
            reader.start()
            pause = Event()
            for _ in range(events):
                pause.wait(uniform(0, PAUSE_SECONDS_MAX))
                at = monotonic()
                positions = log.insert_events([event()])
                assert positions
                began[positions[0]] = at
            reader.join()
    return [(seen[position] - began[position]) * 1000 for position in began]


def _percentile_95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]
