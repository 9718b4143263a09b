"""The gateway to try things with: its book outlives it, and it does wrong only what is ordered."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from queue import Queue
from threading import Event
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

import pytest

from domain.subscription import DeclineReason
from handlers.faults import FolderUnusable, InvalidInput
from handlers.payments.embedded import EmbeddedGateway, OrderedFault
from handlers.payments.embedded.ordered_faults import Asked
from handlers.payments.gateway import Captured, Declined, Refunded, Unknown
from handlers.payments.webhooks import ChargeReport, read_webhook
from tests.handlers.payments.gateways import KEY, NOON, Desk, charge, gateway, refund
from tests.handlers.payments.official import Listener

ACTA = Path(sys.executable).with_name("acta")
LATER = NOON + timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with gateway(tmp_path / "book") as desk:
        yield desk


# ---------------------------------------------------------------- its book


@contextmanager
def process(book: Path) -> "Iterator[tuple[subprocess.Popen[str], Desk]]":
    """The gateway as a process of its own, and somebody who asks it."""
    started = subprocess.Popen(
        [ACTA, "gateway", "--book", book, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ACTA_GATEWAY_KEY": KEY, "ACTA_GATEWAY_WEBHOOK_SECRET": "whsec_x"},
        text=True,
    )
    try:
        assert started.stdout is not None
        with Desk(json.loads(started.stdout.readline())["ACTA_GATEWAY_URL"]) as desk:
            yield started, desk
    finally:
        started.kill()
        started.communicate()


@pytest.mark.rule("S6")
def test_what_it_answered_is_in_its_book_after_it_was_killed(tmp_path: Path) -> None:
    """Killed in the middle of charges again and again; each payment is captured once in the end."""
    answered: dict[UUID, str] = {}
    unknown: list[UUID] = []
    for _ in range(3):
        wanted = [*unknown, *(uuid4() for _ in range(80))]
        with process(tmp_path / "book") as (started, desk), ThreadPoolExecutor(8) as threads:
            known: Queue[None] = Queue()

            def ask(payment: UUID, desk: Desk = desk, known: "Queue[None]" = known) -> UUID | None:
                outcome = desk.asks.charge(charge(payment), again=True)
                if isinstance(outcome, Unknown):
                    return payment
                assert isinstance(outcome, Captured)
                answered[payment] = outcome.gateway_reference
                known.put(None)
                return None

            asked = [threads.submit(ask, payment) for payment in wanted]
            for _ in range(50):
                known.get(timeout=60)
            started.send_signal(signal.SIGKILL)
            started.wait()
            unknown = [each for each in (one.result() for one in asked) if each is not None]
        assert unknown, "it was killed after the last of them"
    with process(tmp_path / "book") as (_, desk):
        for payment in unknown:
            outcome = desk.asks.charge(charge(payment), again=True)
            assert isinstance(outcome, Captured)
            answered[payment] = outcome.gateway_reference
        captured = {UUID(c["metadata"]["payment"]): c["id"] for c in desk.charges}
        assert captured == answered
        assert len(desk.captured) == len(answered)


def test_a_line_that_was_broken_off_was_never_answered(tmp_path: Path) -> None:
    book, order = tmp_path / "book", charge()
    with gateway(book) as desk:
        first = desk.asks.charge(order)
        desk.asks.charge(charge())
    whole = book.read_bytes()
    book.write_bytes(whole[:-7])
    with gateway(book) as desk:
        assert desk.captured == [str(order.payment)]
        assert desk.asks.charge(order) == first
        assert isinstance(desk.asks.charge(charge()), Captured)
    assert all(json.loads(line) for line in book.read_bytes().splitlines())


@pytest.mark.parametrize("text", [b"Dear diary\n", b'{"charge": {"id": 1}}\n', b"[]\n", b"\xff\n"])
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, text: bytes) -> None:
    book = tmp_path / "book"
    book.write_bytes(text)
    with pytest.raises(FolderUnusable, match="is no book"):
        EmbeddedGateway(book, KEY)
    assert book.read_bytes() == text


@pytest.mark.rule("S6")
def test_what_was_withdrawn_stays_so_when_another_gateway_takes_the_book(tmp_path: Path) -> None:
    order, never = charge(), Declined(DeclineReason.OTHER)
    with gateway(tmp_path / "book") as desk:
        assert desk.asks.withdraw(order) == never
    with gateway(tmp_path / "book") as desk:
        assert desk.asks.charge(order) == desk.asks.withdraw(order) == never
        (entry,) = desk.charges
        assert (entry["status"], entry["metadata"]["withdrawn"]) == ("canceled", "other")


def test_a_book_has_one_gateway_at_a_time(tmp_path: Path) -> None:
    with gateway(tmp_path / "book"), pytest.raises(FolderUnusable, match="another gateway"):
        EmbeddedGateway(tmp_path / "book", KEY)
    with gateway(tmp_path / "book"):
        pass


def test_a_book_that_cannot_be_made_or_an_address_that_is_taken_is_a_fault(
    tmp_path: Path, desk: Desk
) -> None:
    with pytest.raises(FolderUnusable):
        EmbeddedGateway(tmp_path / "nowhere" / "book", KEY)
    taken = int(desk.url.rpartition(":")[2])
    with pytest.raises(InvalidInput, match="cannot listen"):
        EmbeddedGateway(tmp_path / "another", KEY, port=taken)
    with gateway(tmp_path / "another"):
        "its book is free again"


# ---------------------------------------------------------------- its API


@pytest.mark.parametrize(
    "fields",
    [
        {"payment_method": "4242424242424242"},
        {"payment_method": "pm_4242424242424242"},
        {"payment_method": "pm_4242_4242_4242_4242"},
        {"metadata[note]": "4242 4242 4242 4242"},
        {"card[number]": "4242424242424242"},
        {"payment_method_data[card][number]": "4242424242424242"},
    ],
)
def test_no_number_of_a_card_is_taken(desk: Desk, tmp_path: Path, fields: dict[str, str]) -> None:
    asked = {
        "amount": "100",
        "currency": "clp",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "off_session": "true",
    }
    key = str(uuid4())
    status, answer = desk.by_hand(
        "POST", "/v1/payment_intents", asked | fields, Idempotency_Key=key
    )
    assert status == 400
    assert answer["error"]["code"] in ("card_number_refused", "parameter_unknown")
    assert "42424242" not in json.dumps(answer)
    assert "42424242" not in (tmp_path / "book").read_text()


@pytest.mark.parametrize(
    ("fields", "headers", "code"),
    [
        ({"amount": "0"}, {}, "parameter_invalid_integer"),
        ({"amount": "-1"}, {}, "parameter_invalid_integer"),
        ({"amount": "9.90"}, {}, "parameter_invalid_integer"),
        ({"amount": "²"}, {}, "parameter_invalid_integer"),
        ({"amount": "100000000"}, {}, "amount_too_large"),
        ({"currency": "CLP"}, {}, "parameter_invalid"),
        ({"payment_method": "pm_card_nobodyKnows"}, {}, "resource_missing"),
        ({"confirm": "false"}, {}, "parameter_invalid"),
        ({"off_session": "false"}, {}, "parameter_invalid"),
        ({"tip": "100"}, {}, "parameter_unknown"),
        ({"metadata[note]": "x" * 501}, {}, "parameter_invalid"),
        ({}, {"Idempotency_Key": ""}, "parameter_missing"),
        ({}, {"Acta_Business_Time": "tomorrow"}, "parameter_invalid"),
        ({}, {"Acta_Business_Time": "2026-03-01T00:00:00"}, "parameter_invalid"),
    ],
)
def test_it_says_what_is_wrong_with_a_charge(
    desk: Desk, fields: dict[str, str], headers: dict[str, str], code: str
) -> None:
    asked = {
        "amount": "100",
        "currency": "clp",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "off_session": "true",
    }
    told = {"Idempotency_Key": str(uuid4())} | headers
    status, answer = desk.by_hand("POST", "/v1/payment_intents", asked | fields, **told)
    assert (status, answer["error"]["code"]) == (400, code)
    assert desk.charges == []


def test_a_key_of_a_charge_is_none_for_another(desk: Desk) -> None:
    order = charge()
    desk.asks.charge(order)
    asked = {"amount": "100", "currency": "clp", "payment_method": "pm_card_visa"}
    status, answer = desk.by_hand(
        "POST", "/v1/payment_intents", asked, Idempotency_Key=str(order.payment)
    )
    assert (status, answer["error"]["type"]) == (400, "idempotency_error")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/payment_intents"), ("PUT", "/book"), ("POST", "/v1/charges")],
)
def test_what_it_does_not_offer_is_not_found(desk: Desk, method: str, path: str) -> None:
    assert desk.by_hand(method, path)[0] == 404


@pytest.mark.parametrize("path", ["/book", "/faults", "/v1/refunds?payment_intent=pi_1"])
def test_without_the_key_it_says_nothing(desk: Desk, path: str) -> None:
    status, answer = desk.by_hand("GET", path, Authorization="Bearer another")
    assert (status, list(answer)) == (401, ["error"])


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\xff\xfe\x00\r\n\r\n", 400),
        (b"GET /book HTTP/1.1\r\n\r\n", 400),
        (b"GET /book HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET /book HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /book HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /v1/refunds HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET /" + b"x" * 20_000, 400),
    ],
)
def test_what_is_no_request_ends_its_connection_and_no_other(
    desk: Desk, request_: bytes, status: int
) -> None:
    host, _, port = desk.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request_)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert int(answer.split(b" ")[1]) == status
    assert list(json.loads(answer.rpartition(b"\r\n")[2])) == ["error"]
    assert desk.captured == []


def test_requests_that_arrive_together_or_in_pieces_are_answered_in_order(desk: Desk) -> None:
    host, _, port = desk.url.removeprefix("http://").partition(":")
    ask = b"GET /%b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n%b\r\n"
    text = ask % (b"book", b"") + ask % (b"faults", b"") + ask % (b"book", b"Connection: close\r\n")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(text[:30])
        connection.sendall(text[30:])
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.count(b"200 OK") == 3
    assert answer.index(b'"charges"') < answer.index(b'"faults"') < answer.rindex(b'"charges"')


def test_what_comes_in_together_waits_for_the_disk_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loop is held up until all of it is there."""
    asked = {
        "amount": "100",
        "currency": "clp",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "off_session": "true",
    }
    written: list[int] = []

    def fsync(file: int, really: Callable[[int], None] = os.fsync) -> None:
        written.append(file)
        really(file)

    monkeypatch.setattr(os, "fsync", fsync)
    embedded = EmbeddedGateway(tmp_path / "book", KEY)
    address = urlsplit(embedded.url)
    with embedded.in_thread(), ExitStack() as stack:
        clients = [HTTPConnection(str(address.hostname), address.port) for _ in range(20)]
        held, released = Event(), Event()
        for client in clients:
            stack.callback(client.close)
            client.request("GET", "/book")
            client.getresponse().read()
        embedded.call_soon(held.set)
        embedded.call_soon(released.wait, 60)
        assert held.wait(60)
        for client in clients:
            headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": str(uuid4())}
            client.request("POST", "/v1/payment_intents", urlencode(asked), headers)
        released.set()
        assert [client.getresponse().status for client in clients] == [200] * 20
    # The last of them may only be there when the first are written.
    assert 1 <= len(written) <= len(clients) / 4


# ---------------------------------------------------------------- what is withdrawn


@pytest.mark.rule("S7")
@pytest.mark.parametrize("token", [None, "pm_1"])
def test_of_a_withdrawal_a_webhook_tells_once_and_for_the_same_reason(
    tmp_path: Path, token: str | None
) -> None:
    book, order, secret = tmp_path / "book", charge(token=token), "whsec_of_these_tests"
    with (
        Listener() as listener,
        gateway(book, webhooks_url=listener.url, webhook_secret=secret) as desk,
    ):
        outcome = desk.asks.withdraw(order)
        desk.asks.withdraw(order)
        heard = listener.next()
        told = read_webhook(
            heard.body,
            heard.headers["stripe-signature"],
            secrets=[secret.encode()],
            now=datetime.now(UTC),
        )
        assert isinstance(told, ChargeReport)
        assert (told.type, told.payment) == ("payment_intent.canceled", order.payment)
        assert (told.amount_minor, told.outcome) == (order.amount_minor, outcome)
        desk.asks.charge(charge())
        assert json.loads(listener.next().body)["type"] == "payment_intent.succeeded"


def test_a_charge_that_is_given_up_is_told_of_as_declined(tmp_path: Path) -> None:
    with (
        Listener() as listener,
        gateway(tmp_path / "book", webhooks_url=listener.url, webhook_secret="whsec_x") as desk,
    ):
        desk.asks.charge(charge(token="pm_card_requiresAction"))
        assert json.loads(listener.next().body)["type"] == "payment_intent.canceled"


# ---------------------------------------------------------------- faults to order


def test_a_fault_is_ordered_listed_and_taken_away(desk: Desk) -> None:
    desk.order("decline,attempt=2,code=expired_card")
    assert isinstance(desk.asks.charge(charge()), Captured)
    second = charge(attempt=2)
    assert desk.asks.charge(second) == Declined(DeclineReason.CARD_EXPIRED)
    (listed,) = desk.by_hand("GET", "/faults")[1]["faults"]
    assert (listed["kind"], listed["attempt"]) == ("decline", 2)
    desk.mend()
    assert isinstance(desk.asks.charge(charge(attempt=2)), Captured)
    assert desk.asks.charge(second) == Declined(DeclineReason.CARD_EXPIRED), "once and for all"


def test_a_card_declines_its_first_tries_by_their_number(desk: Desk) -> None:
    outcomes = [
        desk.asks.charge(charge(token="pm_card_declinesFirst2", attempt=attempt))
        for attempt in (3, 1, 2, 4)
    ]
    assert [type(outcome) for outcome in outcomes] == [Captured, Declined, Declined, Captured]


@pytest.mark.parametrize(
    ("order", "meets"),
    [
        ("hang", True),
        (f"hang,payment={UUID(int=1)}", True),
        (f"hang,payment={UUID(int=2)}", False),
        ("hang,account=plan:1", False),
        ("hang,attempt=1", True),
        ("hang,attempt=2", False),
        (f"hang,since={NOON.isoformat()}", True),
        (f"hang,since={LATER.isoformat()}", False),
        (f"hang,until={NOON.isoformat()}", False),
        (f"hang,until={LATER.isoformat()}", True),
        (f"hang,attempt=1,since={NOON.isoformat()},until={LATER.isoformat()}", True),
    ],
)
def test_a_fault_happens_to_what_it_is_narrowed_down_to(order: str, meets: bool) -> None:
    asked = Asked({"payment": str(UUID(int=1)), "account": "account:1", "attempt": "1"}, NOON)
    assert OrderedFault.parse(order).meets(asked) is meets


def test_one_in_so_many_is_chosen_by_its_id_alone() -> None:
    fault = OrderedFault.parse("hang,one_in=4")
    payments = [Asked({"payment": str(UUID(int=number))}, NOON) for number in range(1000)]
    chosen = [fault.meets(asked) for asked in payments]
    assert chosen == [fault.meets(asked) for asked in payments]
    assert 200 < sum(chosen) < 300


@pytest.mark.parametrize(
    "order",
    ["", "explode", "hang,", "hang,attempt", "hang,attempt=0", "hang,attempt=x", "hang,who=me",
     "hang,since=2026", "hang,until=1772323200.5", "hang,since=2026-03-01",
     "hang,since=2026-03-01T00:00:00", "hang,since=", "hang,one_in=-1"],
)  # fmt: skip
def test_what_is_no_fault_cannot_be_ordered(desk: Desk, order: str) -> None:
    with pytest.raises(InvalidInput, match="no such fault"):
        OrderedFault.parse(order)
    status, answer = desk.by_hand("POST", "/faults", {"order": order})
    assert (status, answer["error"]["param"]) == (400, "order")


@pytest.mark.rule("S12")
def test_the_id_of_a_charge_is_no_number_of_a_card(desk: Desk) -> None:
    """However many digits stand side by side in it."""
    payment = UUID(int=25)
    reference = desk.asks.charge(charge(payment))
    assert isinstance(reference, Captured)
    assert re.search("[0-9]{12}", reference.gateway_reference)
    assert isinstance(desk.asks.refund(refund(reference.gateway_reference)), Refunded)


def test_a_refund_that_is_to_fail_fails_and_leaves_its_money_to_be_asked_for(desk: Desk) -> None:
    made = desk.asks.charge(charge())
    assert isinstance(made, Captured)
    desk.order("refund_fails")
    desk.asks.refund(refund(made.gateway_reference))
    desk.mend()
    desk.asks.refund(refund(made.gateway_reference))
    assert [entry["status"] for entry in desk.refunds] == ["failed", "succeeded"]
