"""The workload is what the tests of kills take it for."""

import json

import pytest

from handlers.cli.apply import LineReport, Outcome, apply_lines
from handlers.composition import Acta
from tests.end_to_end.workload import make_workload


def test_a_seed_always_makes_the_same_lines() -> None:
    """And another seed makes others."""
    assert make_workload(300, seed=1) == make_workload(300, seed=1)
    assert make_workload(300, seed=1).lines != make_workload(300, seed=2).lines


@pytest.mark.parametrize("seed", [1, 7])
def test_one_in_ten_is_refused_and_one_in_a_hundred_is_mended(acta: Acta, seed: int) -> None:
    """A mended one is refused in its place, and accepted word for word when asked at the end."""
    workload = make_workload(500, seed)
    assert len(workload.lines) == 500
    assert len({json.loads(line)["id"] for line in workload.lines}) == 500
    reports = apply_all(acta, workload.lines)
    refused = [report for report in reports if report.outcome is Outcome.REFUSED]
    assert {report.outcome for report in reports} == {Outcome.APPLIED, Outcome.REFUSED}
    assert 50 <= len(refused) <= 200
    assert len({report.rule for report in refused}) >= 8
    assert len(set(workload.mended)) == 5
    assert set(workload.mended) <= {workload.lines[report.line - 1] for report in refused}
    again = apply_all(acta, workload.mended_with_new_ids(seed))
    assert [report.outcome for report in again] == [Outcome.APPLIED] * 5


def apply_all(acta: Acta, lines: tuple[str, ...]) -> list[LineReport]:
    """What became of each line."""
    reports: list[LineReport] = []
    apply_lines(acta, [line.encode() for line in lines], report=reports.append)
    return reports
