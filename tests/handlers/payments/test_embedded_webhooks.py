"""What the embedded gateway reports: signed, until it is taken in, and wrong only to order."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Self

import pytest

from handlers.payments.gateway import Captured
from tests.handlers.payments.gateways import NOON, Desk, charge, gateway, refund
from tests.services.java_process import free_port

SECRET = "whsec_of_these_tests"


class Receiver:
    """Takes webhooks in, once it is told to.

    Attributes:
        url: its address.
        heard: signature and body of each, in the order in which they came.
        statuses: what it answers to the next ones; 200 to all others.
    """

    def __init__(self, port: int) -> None:
        self.heard: Queue[tuple[str, bytes]] = Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.heard.put((self.headers["Stripe-Signature"], body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next(self) -> dict[str, Any]:
        """The next webhook, whose signature holds."""
        signature, body = self.heard.get(timeout=60)
        sent_at, signed = (part.partition("=")[2] for part in signature.split(","))
        expected = hmac.new(SECRET.encode(), f"{sent_at}.".encode() + body, hashlib.sha256)
        assert signed == expected.hexdigest()
        assert abs(time.time() - int(sent_at)) < 60
        event: dict[str, Any] = json.loads(body)
        return event


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(0) as receiver:
        yield receiver


@contextmanager
def reporting(book: Path, url: str, *faults: str) -> Iterator[Desk]:
    """A gateway that reports to an address."""
    with gateway(book, *faults, webhooks_url=url, webhook_secret=SECRET) as desk:
        yield desk


def captured(desk: Desk) -> str:
    """Has a charge made; what the gateway calls it."""
    outcome = desk.asks.charge(charge())
    assert isinstance(outcome, Captured)
    return outcome.gateway_reference


def test_what_became_of_charges_and_refunds_is_reported(tmp_path: Path, receiver: Receiver) -> None:
    with reporting(tmp_path / "book", receiver.url) as desk:
        order = charge()
        desk.asks.charge(order)
        event = receiver.next()
        assert event["type"] == "payment_intent.succeeded"
        assert event["created"] == int(NOON.timestamp())
        told = event["data"]["object"]
        assert (told["amount"], told["currency"], told["status"]) == (9990, "clp", "succeeded")
        assert told["metadata"]["payment"] == str(order.payment)
        assert told["metadata"]["at"] == NOON.isoformat()

        desk.asks.charge(charge(token="pm_card_chargeDeclinedInsufficientFunds"))
        declined = receiver.next()
        assert declined["type"] == "payment_intent.payment_failed"
        why = declined["data"]["object"]["last_payment_error"]
        assert (why["code"], why["decline_code"]) == ("card_declined", "insufficient_funds")

        back = refund(told["id"], 100)
        desk.asks.refund(back)
        refunded = receiver.next()
        assert refunded["type"] == "refund.created"
        assert refunded["data"]["object"]["metadata"]["refund"] == str(back.refund)
        assert refunded["data"]["object"]["status"] == "succeeded"


def test_a_webhook_that_is_not_taken_in_is_sent_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [500, 404]
    with reporting(tmp_path / "book", receiver.url) as desk:
        captured(desk)
        first, second, third = (receiver.next() for _ in range(3))
    assert first == second == third


def test_what_was_not_taken_in_is_reported_by_the_next_gateway_on_the_book(tmp_path: Path) -> None:
    """And what was taken in is not."""
    book, port = tmp_path / "book", free_port()
    with reporting(book, f"http://127.0.0.1:{port}/") as desk:
        first = captured(desk)
    with Receiver(port) as receiver:
        with reporting(book, receiver.url) as desk:
            assert receiver.next()["data"]["object"]["id"] == first
            second = captured(desk)
            assert receiver.next()["data"]["object"]["id"] == second
            wait_until_noted(book, 2)
        with reporting(book, receiver.url) as desk:
            third = captured(desk)
            assert receiver.next()["data"]["object"]["id"] == third
        assert receiver.heard.empty()


def wait_until_noted(book: Path, number: int) -> None:
    """Waits until the book says that so many were taken in."""
    deadline = time.monotonic() + 60
    while book.read_text().count('"delivered"') < number:
        assert time.monotonic() < deadline


def test_webhooks_come_twice_late_or_not_at_all_as_ordered(
    tmp_path: Path, receiver: Receiver
) -> None:
    with reporting(tmp_path / "book", receiver.url) as desk:
        desk.order("webhook_twice")
        twice = captured(desk)
        assert [receiver.next()["data"]["object"]["id"] for _ in range(2)] == [twice, twice]
        desk.mend()

        desk.order("webhook_late")
        late = captured(desk)
        desk.mend()
        desk.order("webhook_missing")
        captured(desk)
        desk.mend()
        prompt = captured(desk)
        assert receiver.next()["data"]["object"]["id"] == prompt
        assert desk.by_hand("POST", "/webhooks/release") == (200, {"released": 1})
        assert receiver.next()["data"]["object"]["id"] == late
    assert receiver.heard.empty()


def test_a_webhook_comes_behind_the_next_one_as_ordered(tmp_path: Path, receiver: Receiver) -> None:
    with reporting(tmp_path / "book", receiver.url) as desk:
        desk.order("webhook_reordered")
        first = captured(desk)
        desk.mend()
        second = captured(desk)
        heard = [receiver.next()["data"]["object"]["id"] for _ in range(2)]
    assert heard == [second, first]


def test_an_answer_that_was_lost_is_reported(tmp_path: Path, receiver: Receiver) -> None:
    with reporting(tmp_path / "book", receiver.url, "hang_after") as desk:
        order = charge()
        desk.hurries.charge(order)
        assert receiver.next()["data"]["object"]["metadata"]["payment"] == str(order.payment)
