"""What the demo's input says is what its answers rest on."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from handlers.cli.apply import apply_lines
from handlers.composition import Acta

SUMMER = Path(__file__).parents[2] / "examples" / "year" / "01-january-to-march.jsonl"
CARLA = "carla.munoz@example.cl"
IN_MARCH = datetime.fromisoformat("2026-03-15T12:00:00-03:00")


def lines(*, without: str | None = None) -> list[bytes]:
    """People register and subscribe; the payment of one of them may be left out."""
    told = SUMMER.read_bytes().splitlines(keepends=True)
    commands = [json.loads(line) for line in told]
    left_out = [
        place
        for place, command in enumerate(commands)
        if command["command"] == "CapturePayment" and command["account"] == without
    ]
    assert len(left_out) == (0 if without is None else 1)
    return [line for place, line in enumerate(told) if place not in left_out]


def obstacles(acta: Acta) -> list[str]:
    """The rules between Carla and the content in March."""
    acta.projector.catch_up()
    return [obstacle.rule for obstacle in acta.queries.check(CARLA, "content", IN_MARCH).obstacles]


@pytest.mark.rule("S3", "X1")
def test_carla_has_access_since_she_paid(acta: Acta) -> None:
    apply_lines(acta, lines(), report=lambda _: None)
    assert obstacles(acta) == []


@pytest.mark.rule("S3", "X2")
def test_without_her_one_payment_the_yes_becomes_a_no(acta: Acta) -> None:
    apply_lines(acta, lines(without=CARLA), report=lambda _: None)
    assert obstacles(acta) == ["S3"]
