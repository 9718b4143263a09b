"""Webhooks over HTTP: what is taken in, what is not, and how it ends."""

import json
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from urllib3 import request

from domain.subscription import PaymentCaptured
from handlers.composition import Acta
from handlers.faults import InvalidInput
from handlers.payments.embedded import EmbeddedGateway, OrderedFault
from handlers.payments.gateway import ChargeOrder, Declined
from handlers.payments.outcomes import command_id_of
from handlers.payments.outcomes import of_charge as command_of_charge
from handlers.payments.stripe import StripeGateway
from handlers.store.database import connect
from handlers.workers.clock import Clock, ClockReport
from handlers.workers.webhook_receiver import GATEWAY, WebhookAnswer, WebhookReceiver
from handlers.workers.webhook_server import BODY_BYTES_MAX, WebhookServer
from tests.conftest import TestDatabase
from tests.handlers.payments.sending import SECRET, of_charge, sign, webhook
from tests.handlers.payments.test_webhook_receiver import (
    FAILED,
    KNOWN,
    RECORDED,
    RENEWAL,
    SUCCEEDED,
    Payer,
    noon_after,
)
from tests.handlers.store.waiting import sessions_waiting, wait_until
from tests.handlers.stories import noon


class Listening:
    """A server while it runs, and what it told of each webhook."""

    def __init__(self, acta: Acta, host: str = "127.0.0.1") -> None:
        self.told: list[WebhookAnswer] = []
        receiver = WebhookReceiver(acta.ledger, acta.store, [SECRET.encode()])
        self.server = WebhookServer(receiver, host, 0, answered=self.told.append)

    def post(self, body: bytes, path: str = "/", **headers: str) -> "Told":
        """Sends what may be a webhook."""
        return self.ask("POST", path, body, {"Content-Type": "application/json", **headers})

    def send(self, body: bytes, path: str = "/") -> "Told":
        """Sends a webhook that is signed now."""
        return self.post(body, path, **{"Stripe-Signature": sign(body, datetime.now(UTC))})

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> "Told":
        """What is answered to any request."""
        with self.connection() as connection:
            connection.request(method, path, body=body, headers=headers or {})  # type: ignore[arg-type]  # generators too
            return Told(connection.getresponse())

    @contextmanager
    def connection(self) -> Iterator[HTTPConnection]:
        """A connection to it."""
        address = urlsplit(self.server.url)
        connection = HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            yield connection
        finally:
            connection.close()


class Told:
    """An answer, read whole."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.message = json.loads(response.read() or b'{"message": null}')["message"]


@contextmanager
def listening(acta: Acta, host: str = "127.0.0.1") -> Iterator[Listening]:
    """A server until the end of this."""
    opened = Listening(acta, host)
    with opened.server.in_thread():
        yield opened


@pytest.fixture
def listener(acta: Acta) -> Iterator[Listening]:
    """A server on a ledger of the test's own."""
    with listening(acta) as opened:
        yield opened


def nothing(name: str = "evt_1") -> bytes:
    """A webhook that tells nothing."""
    return webhook("customer.created", {}, created=datetime.now(UTC), name=name)


def test_each_webhook_is_answered_and_told_of_once(listener: Listening, acta: Acta) -> None:
    ana = Payer(acta)
    body = of_charge(ana.charged())
    answers = [
        listener.send(body),
        listener.send(body),
        listener.send(nothing("evt_2")),
        listener.post(b""),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 400]
    assert [(told.id, told.type, told.status) for told in listener.told] == [
        ("evt_1", "payment_intent.succeeded", 200),
        ("evt_1", "payment_intent.succeeded", 200),
        ("evt_2", "customer.created", 200),
        (None, None, 400),
    ]
    assert [told.said for told in listener.told] == [answer.message for answer in answers]
    assert ana.outcomes() == ["PaymentCaptured"]


def test_its_path_does_not_matter(listener: Listening) -> None:
    """A proxy in front of it may name any."""
    assert listener.send(nothing(), "/webhooks/stripe?x=1").status == 200


def test_several_go_over_one_connection(listener: Listening) -> None:
    with listener.connection() as connection:
        for name in ("evt_1", "evt_2"):
            body = nothing(name)
            connection.request(
                "POST", "/", body, {"stripe-signature": sign(body, datetime.now(UTC))}
            )
            assert Told(connection.getresponse()).status == 200


def test_it_listens_on_ipv6_too(acta: Acta) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    with listening(acta, "::1") as opened:
        assert opened.server.url.startswith("http://[::1]:")
        assert opened.send(nothing()).status == 200


# ---------------------------------------------------------------- what is no webhook


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
def test_webhooks_are_posted(listener: Listening, method: str) -> None:
    told = listener.ask(method, "/")
    assert told.status == 405
    assert listener.told == []


def test_a_body_as_large_as_no_webhook_is_not_read(listener: Listening) -> None:
    """It is answered by its length, before any of it is sent."""
    for length in (BODY_BYTES_MAX + 1, 10**18):
        with listener.connection() as connection:
            connection.putrequest("POST", "/")
            connection.putheader("Content-Length", str(length))
            connection.endheaders()
            assert Told(connection.getresponse()).status == 413
    largest = b" " * BODY_BYTES_MAX
    assert listener.post(largest).status == 400


@pytest.mark.parametrize("length", ["-1", "x", "1e3", str(10**30), "٣".encode().decode("latin-1")])
def test_a_length_that_is_none(listener: Listening, length: str) -> None:
    with listener.connection() as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert Told(connection.getresponse()).status == 400


def test_a_body_in_chunks_is_not_taken(listener: Listening) -> None:
    assert listener.ask("POST", "/", iter([b"{}"])).status == 411


@pytest.mark.parametrize("request_bytes", [b"\r\n\r\n", b"\x16\x03\x01", b"nonsense\r\n\r\n", b""])
def test_whoever_does_not_speak_http_disturbs_nobody(
    listener: Listening, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    address = urlsplit(listener.server.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1024):
            pass
    assert listener.send(nothing()).status == 200
    assert capfd.readouterr().err == ""


def test_an_address_that_is_taken(acta: Acta) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InvalidInput, match="webhooks cannot be taken at"),
    ):
        WebhookServer(
            WebhookReceiver(acta.ledger, acta.store, [SECRET.encode()]),
            "127.0.0.1",
            taken.getsockname()[1],
            answered=lambda _: None,
        )


# ---------------------------------------------------------------- how it ends


def test_what_is_at_hand_is_recorded_before_it_ends(acta: Acta, database: TestDatabase) -> None:
    """And nothing after it."""
    ana = Payer(acta)
    body = of_charge(ana.charged())
    with ThreadPoolExecutor(2) as threads, connect(database.administrator) as administrator:
        opened = Listening(acta)
        running = threads.submit(opened.server.serve)
        with administrator.transaction():
            administrator.execute("LOCK TABLE ledger.events")
            answered = threads.submit(opened.send, body)
            wait_until(lambda: sessions_waiting(database) > 0)
            opened.server.shutdown()
        running.result()
        assert ana.outcomes() == ["PaymentCaptured"]
        assert answered.result().status == 200
    with pytest.raises(ConnectionRefusedError):
        opened.send(body)


def test_what_is_recorded_is_told_also_where_its_sender_is_gone(
    acta: Acta, listener: Listening, database: TestDatabase
) -> None:
    ana = Payer(acta)
    body = of_charge(ana.charged())
    with connect(database.administrator) as administrator, administrator.transaction():
        administrator.execute("LOCK TABLE ledger.events")
        with listener.connection() as connection:
            headers = {"Stripe-Signature": sign(body, datetime.now(UTC))}
            connection.request("POST", "/", body, headers)
            wait_until(lambda: sessions_waiting(database) > 0)
    wait_until(lambda: len(listener.told) == 1)
    assert ana.outcomes() == ["PaymentCaptured"]


def test_a_fault_of_acta_itself_names_its_kind_alone(
    listener: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is raised may have the webhook in its text."""

    def fails(*_: object, **__: object) -> None:
        raise KeyError("ana@example.com")

    monkeypatch.setattr(WebhookReceiver, "receive", fails)
    told = listener.send(nothing())
    assert (told.status, told.message) == (500, "a fault in Acta itself: KeyError")


# ---------------------------------------------------------------- from the embedded gateway

KEY = "sk_test"


class Charging:
    """The embedded gateway, and somebody whose renewals it is asked for."""

    def __init__(self, gateway: EmbeddedGateway, adapter: StripeGateway, payer: Payer) -> None:
        self.payer = payer
        self.at = RENEWAL
        self._url = gateway.url
        self._adapter = adapter

    def charge(self, token: str = "pm_card_visa", *, recorded: bool = False) -> None:  # noqa: S107  no card's
        """Asks for the money of the next period.

        Args:
            token: what the gateway calls the card.
            recorded: what it answers is recorded at once, as the clock does.
        """
        member, request = self.payer.member, self.payer.charged(self.at)
        order = ChargeOrder(
            payment=request.payment,
            account=member.who,
            attempt=request.attempt,
            amount_minor=request.amount_minor,
            currency=request.currency,
            token=token,
            at=self.at,
        )
        outcome = self._adapter.charge(order)
        if recorded:
            command = command_of_charge(
                outcome,
                account=member.who,
                payment=request.payment,
                amount_minor=request.amount_minor,
                currency=request.currency,
                at=self.at,
            )
            self.payer.story.ask(command, GATEWAY, command_id_of(command))
        declined = isinstance(outcome, Declined)
        self.at = self.at + timedelta(days=1) if declined else noon_after(request)

    def play(self, acta: Acta, *, until: datetime) -> ClockReport:
        """Plays the clock up to an instant."""
        clock = Clock(acta.ledger, acta.store, acta.due, acta.tokens, self._adapter)
        return clock.run(until)

    def release(self) -> None:
        """Has the webhooks sent that were held back."""
        request("POST", f"{self._url}/webhooks/release", headers={"Authorization": f"Bearer {KEY}"})


@contextmanager
def charging(acta: Acta, listener: Listening, book: Path, *faults: str) -> Iterator[Charging]:
    """A gateway that sends its webhooks to the listener, and does wrong what is ordered."""
    gateway = EmbeddedGateway(
        book,
        KEY,
        webhooks_url=listener.server.url,
        webhook_secret=SECRET,
        faults=[OrderedFault.parse(fault) for fault in faults],
    )
    with (
        gateway.in_thread(),
        closing(StripeGateway(gateway.url, KEY, timeout_seconds=10)) as adapter,
    ):
        yield Charging(gateway, adapter, Payer(acta))


def told(listener: Listening) -> list[tuple[int, str]]:
    """What was answered so far, and the first word of it."""
    return [(each.status.value, each.said.partition(":")[0]) for each in listener.told]


@pytest.mark.rule("S6")
def test_a_webhook_that_comes_twice_is_recorded_once(
    listener: Listening, acta: Acta, tmp_path: Path
) -> None:
    with charging(acta, listener, tmp_path / "book", "webhook_twice") as gateway:
        gateway.charge()
        wait_until(lambda: len(listener.told) == 2)
    assert told(listener) == [RECORDED, KNOWN]
    assert gateway.payer.outcomes() == ["PaymentCaptured"]


@pytest.mark.rule("S7")
def test_a_charge_whose_answer_was_lost_is_known_by_its_webhook(
    listener: Listening, acta: Acta, tmp_path: Path
) -> None:
    """At the business time at which the gateway was asked."""
    with charging(acta, listener, tmp_path / "book", "answer_lost") as gateway:
        gateway.charge()
        wait_until(lambda: len(listener.told) == 1)
    captured = [fact for fact in gateway.payer.facts() if isinstance(fact, PaymentCaptured)][-1]
    assert captured.occurred_at == RENEWAL
    assert gateway.payer.outcomes() == ["PaymentCaptured"]


@pytest.mark.rule("S6", "S8")
def test_webhooks_in_another_order_tell_the_same(
    listener: Listening, acta: Acta, tmp_path: Path
) -> None:
    """The decline comes behind the capture of the next try, when the clock has recorded it."""
    with charging(acta, listener, tmp_path / "book", "webhook_reordered,attempt=1") as gateway:
        gateway.charge("pm_card_chargeDeclined", recorded=True)
        gateway.charge()
        wait_until(lambda: len(listener.told) == 2)
    assert told(listener) == [RECORDED, KNOWN]
    assert [each.type for each in listener.told] == [SUCCEEDED, FAILED]
    assert gateway.payer.outcomes() == ["PaymentDeclined", "PaymentCaptured"]


@pytest.mark.rule("S6")
def test_late_ones_change_nothing(listener: Listening, acta: Acta, tmp_path: Path) -> None:
    """They come after two periods of which the clock has recorded all."""
    with charging(acta, listener, tmp_path / "book", "webhook_late", "webhook_twice") as gateway:
        for _ in range(2):
            gateway.charge(recorded=True)
        before = len(gateway.payer.facts())
        assert listener.told == []
        gateway.release()
        wait_until(lambda: len(listener.told) == 4)
    assert told(listener) == [KNOWN] * 4
    assert len(gateway.payer.facts()) == before


def test_what_was_not_taken_in_is_sent_again(
    acta: Acta, listener: Listening, tmp_path: Path
) -> None:
    """Also by a gateway that was ended meanwhile: its book knows what was not delivered."""
    with charging(acta, listener, tmp_path / "book", "webhook_late") as gateway:
        gateway.charge()
    payer = gateway.payer
    again = EmbeddedGateway(
        tmp_path / "book", KEY, webhooks_url=listener.server.url, webhook_secret=SECRET
    )
    with again.in_thread():
        wait_until(lambda: len(listener.told) == 1)
    assert told(listener) == [RECORDED]
    assert payer.outcomes() == ["PaymentCaptured"]


@pytest.mark.rule("S6")
def test_the_clock_and_webhooks_record_each_outcome_once_between_them(
    listener: Listening, acta: Acta, tmp_path: Path
) -> None:
    """Each charge is heard of three times: by the answer, or a look-up, and by two webhooks."""
    faults = ("webhook_twice", "answer_lost,one_in=2")
    with charging(acta, listener, tmp_path / "book", *faults) as gateway:
        payers = [gateway.payer, *(Payer(acta, f"person{each}@example.com") for each in range(4))]
        for payer in payers:
            payer.gives_card("pm_card_visa")
        acta.projector.catch_up()
        report = gateway.play(acta, until=noon(2026, 7, 1))
        charges = 5 * len(payers)
        assert (report.complete, report.unresolved, report.refused) == (True, 0, ())
        wait_until(lambda: len(listener.told) >= 2 * charges)
    assert {*told(listener)} == {RECORDED, KNOWN}
    assert [payer.outcomes() for payer in payers] == [["PaymentCaptured"] * 5] * len(payers)
