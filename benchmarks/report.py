"""How results are shown: a table for people, JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.measurement import Row

__all__ = ["print_json", "print_table"]


def print_table(rows: Sequence[Row], console: Console) -> None:
    table = Table("what, and beside what", show_lines=True)
    for heading in ("ours", "baseline", "ratio", "required"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.what}\n[dim]{row.baseline_is}[/dim]",
            f"{_spread(row.ours)}\n{row.unit}",
            _spread(row.baseline),
            f"{_spread(row.ratios)}\n{len(row.ratios)} times",
            _required(row) if row.holds else f"{_required(row)}\nMISSED",
            style=None if row.holds else "bold red",
        )
    console.print(table)
    console.print(
        "Medians, with the least and the most. A ratio is of one repetition: ours and the baseline"
        " one right after the other, so that what else the machine does hits both."
    )


def print_json(rows: Sequence[Row]) -> None:
    print(
        json.dumps(
            [
                asdict(row) | {"ratios": row.ratios, "ratio": row.ratio, "holds": row.holds}
                for row in rows
            ],
            indent=2,
        )
    )


def _spread(values: Sequence[float]) -> str:
    return f"{_short(median(values))}\n{_short(min(values))}-{_short(max(values))}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _required(row: Row) -> str:
    if row.at_least is not None:
        return f"≥ {row.at_least:g}"
    if row.at_most is not None:
        return f"≤ {row.at_most:g}"
    return ""
