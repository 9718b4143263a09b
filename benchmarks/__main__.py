"""Measures Acta against the stock parts of eventsourcing, on one server: ``make bench``.

    python -m benchmarks                 all of them; FULL=1 for longer, and a million events
    python -m benchmarks appending       some of them, by name
    python -m benchmarks --json          for programs

The exit status is 1 when a required ratio is missed, or something could not be measured.
"""

import argparse
import os
import sys
from collections.abc import Callable

from rich.console import Console

from benchmarks import (
    appending,
    asking,
    billing,
    checking,
    importing,
    latency,
    memory,
    projecting,
    relaying,
    renewing,
)
from benchmarks.ground import Ground, ground
from benchmarks.measurement import FULL, NORMAL, Row, Sizes
from benchmarks.report import print_json, print_table
from tests.services.artifacts import Unavailable

BENCHMARKS: dict[str, Callable[[Ground, Sizes], list[Row]]] = {
    "appending": appending.measure,
    "projecting": projecting.measure,
    "memory": memory.measure,
    "asking": asking.measure,
    "importing": importing.measure,
    "checking": checking.measure,
    "billing": billing.measure,
    "renewing": renewing.measure,
    "latency": latency.measure,
    "relaying": relaying.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures Acta against the stock parts of eventsourcing.",
        epilog="FULL=1 in the environment measures longer, and up to a million events.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    sizes = FULL if os.environ.get("FULL") else NORMAL
    rows, missing = measure(chosen.names or list(BENCHMARKS), sizes)
    if chosen.json:
        print_json(rows)
    else:
        print_table(rows, Console())
    return 0 if all(row.holds for row in rows) and not missing else 1


def measure(names: list[str], sizes: Sizes) -> tuple[list[Row], list[str]]:
    """The rows, and the names of what could not be measured here."""
    progress = Console(stderr=True)
    rows: list[Row] = []
    missing: list[str] = []
    with ground() as there:
        for name in names:
            try:
                with progress.status(f"measuring: {name}"):
                    rows += BENCHMARKS[name](there, sizes)
            except Unavailable as why:
                progress.print(f"{name} is not measured: {why}")
                missing.append(name)
    return rows, missing


if __name__ == "__main__":
    sys.exit(main())
