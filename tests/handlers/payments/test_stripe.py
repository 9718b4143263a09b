"""Charges and refunds asked of a gateway over HTTP: once, whatever happens on the way (S6, S7)."""

import json
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest

from domain.subscription import DeclineReason, RefundFailure, UnknownReason
from handlers.composition import Acta, open_ledger
from handlers.faults import GatewayUnusable, InvalidInput, OrderRefused
from handlers.payments.gateway import (
    Captured,
    ChargeOutcome,
    Declined,
    Refunded,
    RefundRefused,
    Unknown,
)
from handlers.payments.stripe import StripeGateway
from tests.conftest import TestDatabase
from tests.handlers.payments.gateways import KEY, NOON, Desk, charge, gateway, refund
from tests.services.java_process import free_port

LATER = NOON + timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with gateway(tmp_path / "book") as desk:
        yield desk


def captured(outcome: ChargeOutcome) -> str:
    """What the gateway calls a charge that it made."""
    assert isinstance(outcome, Captured)
    return outcome.gateway_reference


# ---------------------------------------------------------------- charges


@pytest.mark.rule("S6")
def test_a_charge_is_captured_and_stands_in_the_gateways_book(desk: Desk) -> None:
    order = charge()
    reference = captured(desk.asks.charge(order))
    (entry,) = desk.charges
    assert (entry["id"], entry["amount"], entry["currency"]) == (reference, 9990, "clp")
    assert entry["metadata"] == {
        "payment": str(order.payment),
        "account": order.account,
        "attempt": "1",
        "at": NOON.isoformat(),
    }
    assert desk.asks.charge(order) == desk.asks.charge(order, again=True) == Captured(reference)
    assert len(desk.charges) == 1


@pytest.mark.rule("S6")
def test_a_charge_that_twenty_ask_for_at_once_is_captured_once(desk: Desk) -> None:
    order, together = charge(), Barrier(20)

    def ask(again: bool) -> ChargeOutcome:
        together.wait()
        return desk.asks.charge(order, again=again)

    with ThreadPoolExecutor(20) as threads:
        outcomes = set(threads.map(ask, [False, True] * 10))
    assert len(outcomes) == 1
    assert desk.captured == [str(order.payment)]


@pytest.mark.rule("S7")
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("pm_card_chargeDeclined", DeclineReason.CARD_REFUSED),
        ("pm_card_chargeDeclinedInsufficientFunds", DeclineReason.INSUFFICIENT_FUNDS),
        ("pm_card_chargeDeclinedExpiredCard", DeclineReason.CARD_EXPIRED),
        ("pm_card_chargeDeclinedLostCard", DeclineReason.CARD_REFUSED),
        ("pm_card_chargeDeclinedProcessingError", DeclineReason.OTHER),
        ("pm_card_authenticationRequired", DeclineReason.CARD_REFUSED),
        ("pm_card_nobodyKnows", DeclineReason.NO_CARD),
        (None, DeclineReason.NO_CARD),
    ],
)
def test_a_decline_tells_why_and_tells_it_again(
    desk: Desk, token: str | None, reason: DeclineReason
) -> None:
    order = charge(token=token)
    assert desk.asks.charge(order) == Declined(reason)
    assert desk.asks.charge(order) == desk.asks.charge(order, again=True) == Declined(reason)
    assert desk.captured == []


def test_without_a_card_nobody_is_asked() -> None:
    with Desk(f"http://127.0.0.1:{free_port()}") as desk:
        assert desk.asks.charge(charge(token=None)) == Declined(DeclineReason.NO_CARD)


@pytest.mark.rule("S7")
def test_a_card_that_was_taken_away_meanwhile_is_asked_about_all_the_same(tmp_path: Path) -> None:
    with gateway(tmp_path / "book", "hang_after") as desk:
        order = charge()
        assert desk.hurries.charge(order) == Unknown(UnknownReason.TIMEOUT)
        without = charge(order.payment, token=None)
        assert isinstance(desk.asks.charge(without, again=True), Captured)


@pytest.mark.rule("S6")
def test_under_another_card_the_first_charge_stands(tmp_path: Path) -> None:
    with gateway(tmp_path / "book", "hang_after") as desk:
        order = charge()
        desk.hurries.charge(order)
        another = charge(order.payment, "pm_card_mastercard")
        assert isinstance(desk.asks.charge(another), Captured)
        assert desk.captured == [str(order.payment)]


# ---------------------------------------------------------------- faults


@pytest.mark.rule("S7")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hang", UnknownReason.TIMEOUT),
        ("connection_lost", UnknownReason.CONNECTION_LOST),
        ("error", UnknownReason.GATEWAY_FAULT),
        ("busy", UnknownReason.GATEWAY_FAULT),
    ],
)
def test_what_the_gateway_does_not_answer_is_unknown_until_it_does(
    tmp_path: Path, fault: str, reason: UnknownReason
) -> None:
    with gateway(tmp_path / "book", f"{fault},until={LATER.isoformat()}") as desk:
        order = charge()
        adapter = desk.hurries if fault == "hang" else desk.asks
        assert adapter.charge(order) == Unknown(reason)
        assert adapter.charge(order, again=True) == Unknown(reason)
        assert desk.charges == []
        later = charge(order.payment, at=LATER)
        assert isinstance(desk.asks.charge(later, again=True), Captured)
        assert desk.captured == [str(order.payment)]


@pytest.mark.rule("S6", "S7")
@pytest.mark.parametrize("fault", ["answer_lost", "error_after", "conflict_after"])
def test_a_charge_whose_answer_was_lost_is_found_again(tmp_path: Path, fault: str) -> None:
    with gateway(tmp_path / "book", fault) as desk:
        order = charge()
        reference = captured(desk.asks.charge(order))
        assert [entry["id"] for entry in desk.charges] == [reference]


@pytest.mark.rule("S7")
def test_a_charge_that_was_made_behind_a_hang_becomes_known(tmp_path: Path) -> None:
    with gateway(tmp_path / "book", "hang_after") as desk:
        order = charge()
        assert desk.hurries.charge(order) == Unknown(UnknownReason.TIMEOUT)
        assert desk.captured == [str(order.payment)]
        assert isinstance(desk.asks.charge(order, again=True), Captured)
        assert desk.captured == [str(order.payment)]


@pytest.mark.rule("S7")
def test_a_gateway_that_is_not_there_is_unknown() -> None:
    with Desk(f"http://127.0.0.1:{free_port()}") as desk:
        assert desk.asks.charge(charge()) == Unknown(UnknownReason.CONNECTION_LOST)
        assert desk.asks.refund(refund("pi_1")) == Unknown(UnknownReason.CONNECTION_LOST)


@pytest.mark.rule("S7")
def test_a_charge_that_is_still_on_its_way_is_unknown(desk: Desk) -> None:
    order = charge(token="pm_card_processing")
    assert desk.asks.charge(order) == Unknown(UnknownReason.TIMEOUT)
    later = charge(order.payment, order.token, at=LATER)
    assert isinstance(desk.asks.charge(later, again=True), Captured)


@pytest.mark.rule("S7")
def test_a_charge_that_its_payer_would_have_to_confirm_is_given_up(desk: Desk) -> None:
    """Nobody is there to confirm it, and nobody can any more."""
    order = charge(token="pm_card_requiresAction")
    assert desk.asks.charge(order) == Declined(DeclineReason.CARD_REFUSED)
    assert [entry["status"] for entry in desk.charges] == ["canceled"]
    assert desk.asks.charge(order, again=True) == Declined(DeclineReason.CARD_REFUSED)


# ---------------------------------------------------------------- what the gateway refuses


def test_a_wrong_key_is_a_fault_and_no_decline(desk: Desk) -> None:
    with Desk(desk.url, key="sk_test_wrong") as stranger:
        with pytest.raises(GatewayUnusable, match="refuses Acta's key") as fault:
            stranger.asks.charge(charge())
        assert "sk_test" not in f"{fault.value}{fault.value.remedy}"
        with pytest.raises(GatewayUnusable):
            stranger.asks.refund(refund("pi_1"))
    assert desk.charges == []


@pytest.mark.parametrize(
    "key", ["", "sk_secret\n", "sk secret", "sk_secret\r\nX-A: b", "sk_sécret"]
)
def test_a_key_that_cannot_be_sent_is_a_fault_that_does_not_tell_it(key: str) -> None:
    """Such as one that was read from a file with its line break."""
    with pytest.raises(InvalidInput, match="ACTA_GATEWAY_KEY is no key") as fault:
        StripeGateway("http://127.0.0.1:1", key, timeout_seconds=1)
    assert "cret" not in f"{fault.value}{fault.value.remedy}".replace("secret key", "")


def test_a_card_is_charged_for_its_customer(desk: Desk) -> None:
    """Where the gateway keeps cards by customer, the token names both."""
    assert isinstance(desk.asks.charge(charge(token="cus_8Fj3:pm_card_visa")), Captured)
    nobody = desk.asks.charge(charge(token="somebody:pm_card_visa"))
    assert nobody == Declined(DeclineReason.NO_CARD)


def test_a_charge_that_the_gateway_finds_too_large_is_declined(desk: Desk) -> None:
    order = charge(amount_minor=100_000_000)
    assert desk.asks.charge(order) == Declined(DeclineReason.OTHER)


@pytest.mark.rule("S6", "S13")
def test_an_outcome_of_another_amount_is_not_taken_for_this_ones(desk: Desk) -> None:
    order = charge()
    desk.asks.charge(order)
    with pytest.raises(OrderRefused, match=f"another amount for the payment {order.payment}"):
        desk.asks.charge(charge(order.payment, amount_minor=100), again=True)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello", UnknownReason.GATEWAY_FAULT),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHello", UnknownReason.CONNECTION_LOST),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", UnknownReason.GATEWAY_FAULT),
        (b"no HTTP at all\r\n\r\n", UnknownReason.CONNECTION_LOST),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", UnknownReason.GATEWAY_FAULT),
        (b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nHello", None),
        (b"HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", None),
    ],
)
def test_what_is_no_gateway_is_told_apart_from_one_that_declines(
    answer: bytes, outcome: UnknownReason | None
) -> None:
    with always(answer) as url, Desk(url) as desk:
        if outcome is not None:
            assert desk.asks.charge(charge()) == Unknown(outcome)
            assert desk.asks.refund(refund("pi_1")) == Unknown(outcome)
            return
        for again in (False, True):
            with pytest.raises(GatewayUnusable, match="does not take what Acta asks"):
                desk.asks.charge(charge(), again=again)
            with pytest.raises(GatewayUnusable):
                desk.asks.refund(refund("pi_1"), again=again)


@pytest.mark.rule("S8")
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("resource_missing", DeclineReason.NO_CARD),
        ("payment_method_unactivated", DeclineReason.CARD_REFUSED),
        (None, DeclineReason.CARD_REFUSED),
    ],
)
def test_a_card_that_cannot_be_charged_is_declined_and_stops_nobody_else(
    code: str | None, reason: DeclineReason
) -> None:
    """A payer may have given anything for a token."""
    told = {"type": "invalid_request_error", "code": code, "param": "payment_method"}
    body = json.dumps({"error": told}).encode()
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)
    with always(head + body) as url, Desk(url) as desk:
        assert desk.asks.charge(charge()) == Declined(reason)


class always:  # noqa: N801  reads as what it is: always(answer)
    """A server that answers everything in the same way, and closes the connection."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._run)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self._answer)


def test_neither_key_nor_card_is_in_any_log_or_message(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    order = charge(token="pm_secret_card")
    desk.asks.charge(order)
    desk.asks.charge(order, again=True)
    told = caplog.text + repr(order) + repr(desk.asks) + (tmp_path / "book").read_text()
    assert caplog.text
    assert "pm_secret_card" not in told
    assert KEY not in told


# ---------------------------------------------------------------- refunds


@pytest.mark.rule("S12")
def test_money_goes_back_in_parts_and_never_beyond_what_came_in(desk: Desk) -> None:
    reference = captured(desk.asks.charge(charge()))
    first, second = refund(reference, 4000), refund(reference, 5990)
    assert isinstance(desk.asks.refund(first), Refunded)
    beyond = RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)
    assert desk.asks.refund(refund(reference, 5991)) == beyond
    assert isinstance(desk.asks.refund(second), Refunded)
    assert desk.asks.refund(refund(reference, 1)) == beyond
    assert [entry["amount"] for entry in desk.refunds] == [4000, 5990]
    assert desk.charges[0]["amount_refunded"] == 9990


@pytest.mark.rule("S12")
@pytest.mark.parametrize("fault", ["answer_lost", "error_after", "conflict_after"])
def test_a_refund_is_made_once_however_often_it_is_asked(tmp_path: Path, fault: str) -> None:
    with gateway(tmp_path / "book") as desk:
        reference = captured(desk.asks.charge(charge()))
        desk.order(fault)
        order = refund(reference, 100)
        outcome = desk.asks.refund(order)
        assert isinstance(outcome, Refunded)
        assert desk.asks.refund(order) == desk.asks.refund(order, again=True) == outcome
        assert [entry["amount"] for entry in desk.refunds] == [100]


@pytest.mark.rule("S12")
def test_a_refund_that_is_not_answered_is_unknown_and_then_known(tmp_path: Path) -> None:
    with gateway(tmp_path / "book", f"hang,until={NOON.isoformat()}") as desk:
        reference = captured(desk.asks.charge(charge()))
        early = refund(reference, at=NOON - timedelta(hours=1))
        assert desk.hurries.refund(early) == Unknown(UnknownReason.TIMEOUT)
        later = refund(reference, refund=early.refund, payment=early.payment)
        assert isinstance(desk.asks.refund(later, again=True), Refunded)


@pytest.mark.rule("S12")
def test_a_refund_that_fails_or_waits_says_so(desk: Desk) -> None:
    closed = captured(desk.asks.charge(charge(token="pm_card_refundFail")))
    assert desk.asks.refund(refund(closed)) == RefundRefused(RefundFailure.CARD_CLOSED)
    slow = captured(desk.asks.charge(charge(token="pm_card_refundPending")))
    order = refund(slow)
    assert desk.asks.refund(order) == Unknown(UnknownReason.TIMEOUT)
    later = refund(slow, refund=order.refund, payment=order.payment, at=LATER)
    assert isinstance(desk.asks.refund(later, again=True), Refunded)


@pytest.mark.rule("S12")
def test_what_the_gateway_never_charged_does_not_go_back(desk: Desk) -> None:
    for again in (False, True):
        outcome = desk.asks.refund(refund("pi_of_somebody_else"), again=again)
        assert outcome == RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)
    declined = charge(token="pm_card_chargeDeclined")
    desk.asks.charge(declined)
    outcome = desk.asks.refund(refund(desk.charges[0]["id"]))
    assert outcome == RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)


@pytest.mark.rule("S12")
def test_a_refund_is_found_among_hundreds(desk: Desk) -> None:
    reference = captured(desk.asks.charge(charge()))
    orders = [refund(reference, 1) for _ in range(205)]
    outcomes = [desk.asks.refund(order) for order in orders]
    assert desk.asks.refund(orders[0], again=True) == outcomes[0]
    assert len(desk.refunds) == 205


# ---------------------------------------------------------------- settings


def test_a_ledger_has_the_gateway_that_is_set(acta: Acta, database: TestDatabase) -> None:
    assert acta.gateway is None
    given: dict[str, Any] = {"gateway_url": "http://127.0.0.1:9", "gateway_key": KEY}
    with open_ledger(database.settings().model_copy(update=settings(**given))) as opened:
        assert isinstance(opened.gateway, StripeGateway)
        assert KEY not in repr(opened)


def test_a_gateway_without_its_key_is_a_fault(database: TestDatabase) -> None:
    update = settings(gateway_url="http://127.0.0.1:9")
    with (
        pytest.raises(InvalidInput, match="ACTA_GATEWAY_KEY is not set"),
        open_ledger(database.settings().model_copy(update=update)),
    ):
        pass


def settings(**given: str) -> dict[str, Any]:
    """Settings as the environment would give them."""
    from handlers.settings import Settings  # noqa: PLC0415  validated apart from the rest

    return {name: getattr(Settings.model_validate(given), name) for name in given}


@pytest.mark.parametrize("url", ["api.stripe.com", "ftp://x", "https://u:p@x", "https://x/v1?a"])
def test_an_address_of_another_form_is_no_setting(url: str) -> None:
    with pytest.raises(ValueError, match="gateway_url"):
        settings(gateway_url=url)


def test_the_ids_of_payments_differ_from_their_references(desk: Desk) -> None:
    """What the gateway calls a payment fits what the ledger takes as a reference."""
    reference = captured(desk.asks.charge(charge(UUID(int=1))))
    assert reference.startswith("pi_")
