"""The benchmarks run; how fast is for ``make bench`` to say."""

from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.ground import Ground
from benchmarks.measurement import TINY, Row
from handlers.store.embedded import EmbeddedServer


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_measures(
    name: str, server: EmbeddedServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    brokers = request.getfixturevalue("broker").bootstrap_servers if name == "relaying" else None
    rows = BENCHMARKS[name](Ground(server, tmp_path, brokers), TINY)

    assert rows
    assert all(min(*row.ours, *row.baseline) > 0 for row in rows)


def test_a_ratio_that_is_missed_is_told() -> None:
    slow = Row("append", "events/s", [150.0], [100.0], "stock", at_least=2)
    large = Row("memory", "MiB", [150.0], [100.0], "small", at_most=1.1)

    assert not slow.holds
    assert not large.holds
