"""``acta webhooks``: takes in what the payment gateway reports, and says what it answered."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from urllib3 import request

from handlers.composition import Acta
from tests.handlers.cli.conftest import Terminal
from tests.handlers.payments.sending import SECRET, of_charge, sign, webhook
from tests.handlers.payments.test_webhook_receiver import Payer
from tests.handlers.stories import ANA

NOW_SECRET = "whsec_new"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two, for one takes the place of the other."""
    monkeypatch.setenv("ACTA_GATEWAY_WEBHOOK_SECRET", f"{SECRET}, {NOW_SECRET}")


class Running:
    """``acta webhooks`` while it runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        self.process = process
        self.said = process.stderr.readline()
        self.url = next(word for word in self.said.split() if word.startswith("http")).rstrip(";")

    def send(self, body: bytes, *secrets: str, at: datetime | None = None) -> int:
        """The status that a webhook is answered with."""
        headers = {"Stripe-Signature": sign(body, at or datetime.now(UTC), *secrets)}
        return request("POST", self.url, body=body, headers=headers, retries=False).status

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, list[str]]:
        """How it ended, and what it said since it began."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        assert out == ""
        return self.process.returncode, err.splitlines()


@contextmanager
def running(terminal: Terminal, *options: object) -> Iterator[Running]:
    with terminal.start("webhooks", "--listen", "127.0.0.1:0", *options) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def test_each_webhook_is_one_line_with_its_answer(terminal: Terminal, acta: Acta) -> None:
    """Ids and words; no secret, and nothing personal."""
    ana = Payer(acta)
    charge = ana.charged()
    named = f"payment {charge.payment} of {ana.member.who}"
    captured = "PaymentCaptured is on record"
    with running(terminal) as started:
        assert started.said.startswith("Taking webhooks at http://127.0.0.1:")
        assert "SIGTERM" in started.said
        answers = [
            started.send(of_charge(charge)),
            started.send(of_charge(charge, name="evt_2"), NOW_SECRET),
            started.send(of_charge(charge, "payment_intent.payment_failed", name="evt_3")),
            started.send(of_charge(charge, account=f"plan:{ana.member.account}", name="evt_4")),
            started.send(webhook("customer.created", {"email": ANA}, created=datetime.now(UTC))),
            started.send(of_charge(charge), "whsec_other"),
            started.send(of_charge(charge), at=datetime.now(UTC) - timedelta(seconds=301)),
            started.send(b'{"email": "ana@example.com"}'),
        ]
        status, lines = started.end()
    assert status == 0
    assert answers == [200, 200, 409, 404, 200, 400, 400, 400]
    assert lines == [
        f"evt_1 payment_intent.succeeded 200 recorded: Captured, {named}",
        f"evt_2 payment_intent.succeeded 200 known: Captured, {named}",
        f"evt_3 payment_intent.payment_failed 409 contradiction: Declined, {named}: {captured}",
        f"evt_4 payment_intent.succeeded 404 unknown: {named.replace('account', 'plan')}",
        "evt_1 customer.created 200 ignored: it is about nothing that Acta asked for",
        "- - 400 its signature is wrong",
        "- - 400 it is too old",
        "- - 400 it cannot be read",
    ]
    assert ana.outcomes() == ["PaymentCaptured"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(terminal: Terminal, number: signal.Signals) -> None:
    with running(terminal) as started:
        assert started.end(number) == (0, [])


def test_programs_learn_its_address(terminal: Terminal) -> None:
    with terminal.start("webhooks", "--listen", "127.0.0.1:0", "--json") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert list(told) == ["url"]
    assert told["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("value", [None, "", " , "])
def test_nothing_is_taken_without_a_secret(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """An empty one would let everybody sign."""
    monkeypatch.delenv("ACTA_GATEWAY_WEBHOOK_SECRET")
    if value is not None:
        monkeypatch.setenv("ACTA_GATEWAY_WEBHOOK_SECRET", value)
    ended = terminal("webhooks", "--listen", "127.0.0.1:0")
    assert (ended.status, ended.out) == (2, "")
    assert "ACTA_GATEWAY_WEBHOOK_SECRET is not set" in ended.err


@pytest.mark.parametrize(
    "listen", ["", "8080", ":8080", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "h:-1", "h:1e3"]
)
def test_an_address_that_is_none(terminal: Terminal, listen: str) -> None:
    ended = terminal("webhooks", "--listen", listen)
    assert (ended.status, ended.out) == (2, "")
    assert "--listen cannot be read" in ended.err


def test_an_address_that_is_taken(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = terminal("webhooks", "--listen", f"127.0.0.1:{port}")
    assert ended.status == 2
    assert f"webhooks cannot be taken at 127.0.0.1:{port}" in ended.said
    assert "--listen" in ended.said
