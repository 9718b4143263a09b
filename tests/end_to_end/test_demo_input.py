"""What the demo's input says is what its answers rest on."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from handlers.cli.apply import apply_lines
from handlers.composition import Acta
from handlers.payments.embedded import EmbeddedGateway
from handlers.payments.stripe import StripeGateway
from handlers.workers.clock import Clock

YEAR = Path(__file__).parents[2] / "examples" / "year"
SUMMER = YEAR / "01-january-to-march.jsonl"
DECEMBER = YEAR / "12-cards-in-2027.jsonl"
KEY = "sk_test_demo"
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


ROCIO = "rocio.tapia@example.cl"
IN_JANUARY = datetime.fromisoformat("2027-01-20T12:00:00-03:00")
IN_FEBRUARY = datetime.fromisoformat("2027-02-01T12:00:00-03:00")


def sign_up(*, without: str | None = None) -> list[bytes]:
    """Rocío signs up with a card in December; one of her commands may be left out."""
    told = DECEMBER.read_bytes().splitlines(keepends=True)
    of_rocio = [line for line in told if ROCIO in line.decode()]
    return [line for line in of_rocio if json.loads(line)["command"] != without]


def obstacles_of_rocio(acta: Acta, gateway: EmbeddedGateway, at: datetime) -> list[str]:
    """The rules between Rocío and the content, once the clock has come to an instant."""
    with closing(StripeGateway(gateway.url, KEY, timeout_seconds=10)) as asked:
        acta.projector.catch_up()
        clock = Clock(acta.ledger, acta.store, acta.due, acta.tokens, asked)
        assert clock.run(at).complete
    acta.projector.catch_up()
    return [obstacle.rule for obstacle in acta.queries.check(ROCIO, "content", at).obstacles]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[EmbeddedGateway]:
    """A gateway that takes no money."""
    with EmbeddedGateway(tmp_path / "gateway.jsonl", KEY).in_thread() as running:
        yield running


@pytest.mark.rule("S3", "S6", "X1")
def test_rocio_has_access_since_her_card_was_charged(acta: Acta, gateway: EmbeddedGateway) -> None:
    apply_lines(acta, sign_up(), report=lambda _: None)
    assert obstacles_of_rocio(acta, gateway, IN_JANUARY) == []
    assert obstacles_of_rocio(acta, gateway, IN_FEBRUARY) == []


@pytest.mark.rule("S3", "X2")
def test_she_has_none_where_nobody_asked_for_a_charge(acta: Acta, gateway: EmbeddedGateway) -> None:
    apply_lines(acta, sign_up(without="RequestCharge"), report=lambda _: None)
    assert obstacles_of_rocio(acta, gateway, IN_JANUARY) == ["S3"]


@pytest.mark.rule("S1", "S3", "X2")
def test_nor_where_she_named_no_card(acta: Acta, gateway: EmbeddedGateway) -> None:
    apply_lines(acta, sign_up(without="ChoosePaymentMethod"), report=lambda _: None)
    assert obstacles_of_rocio(acta, gateway, IN_JANUARY) == ["S3"]
