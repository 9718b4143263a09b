"""From sign-up to refund with a card: gateway, webhooks, clock and answers are real processes."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from urllib3 import request

from tests.handlers.cli.conftest import ACTA
from tests.handlers.cli.files import ANA, BEGINNING, MANAGER, line, phone_confirmed, registration
from tests.handlers.store.waiting import wait_until

KEY, SECRET = "sk_test_journey", "whsec_journey"
GOOD, PROCESSING = "pm_card_visa", "pm_card_processing"
OWNER = {"kind": "person", "who": ANA}
PRICE_MINOR = 9990


class Journey:
    """A home with its embedded database, in which commands are run one after the other.

    Args:
        home: of the ledger.
        folder: for files.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}
        self.environment = {
            **others,
            "ACTA_HOME": str(home),
            "ACTA_GATEWAY_KEY": KEY,
            "ACTA_GATEWAY_WEBHOOK_SECRET": SECRET,
            "ACTA_GATEWAY_TIMEOUT_SECONDS": "10",
        }
        self._folder = folder
        self.printed: list[str] = []
        self.gateway_url = ""

    # ------------------------------------------------------------ processes

    def run(self, *arguments: object, status: int | None = 0) -> Any:
        """The answer of a command, which ends with this status; None: with any."""
        command = [str(ACTA), *map(str, arguments), "--json"]
        ended = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert status in {None, ended.returncode}, ended.stderr
        self.printed += [ended.stdout, ended.stderr]
        return json.loads(ended.stdout.splitlines()[-1])

    @contextmanager
    def running(self, *arguments: object) -> Iterator[Any]:
        """What a command says first, that runs meanwhile and ends well when it is told to."""
        command = [str(ACTA), *map(str, arguments), "--json"]
        errors = self._folder / f"{arguments[0]}.err"
        with (
            errors.open("w") as err,
            subprocess.Popen(
                command, env=self.environment, stdout=subprocess.PIPE, stderr=err, text=True
            ) as process,
        ):
            try:
                assert process.stdout is not None
                yield json.loads(process.stdout.readline())
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) == 0, errors.read_text()
            finally:
                process.kill()
                self.printed.append(errors.read_text())

    # ------------------------------------------------------------ what is done and asked

    def apply(self, *commands: dict[str, Any]) -> None:
        """Commands that are accepted."""
        path = self._folder / f"{uuid4().hex}.jsonl"
        path.write_text("".join(json.dumps(command) + "\n" for command in commands))
        self.run("apply", path)

    def tick(self, until: str) -> Any:
        """Plays the clock up to an instant, and says what was done."""
        report = self.run("tick", "--until", until)
        assert report["complete"], report
        return report

    def may_study(self, at: str) -> bool:
        """Whether there is access to content at an instant."""
        answer = self.run("check", ANA, "content", "--at", at, status=None)
        return bool(answer["allowed"])

    def billing(self) -> Any:
        """The billing history."""
        return self.run("billing", ANA)

    def told_by_webhook(self) -> list[str]:
        """What the webhooks so far were answered, each by its status and the first word."""
        lines = (self._folder / "webhooks.err").read_text().splitlines()
        return [" ".join(each.split()[1:4]).rstrip(":") for each in lines]

    def ask_gateway(self, method: str, path: str, body: str = "", **headers: str) -> Any:
        """The gateway's own word."""
        headers = {"Authorization": f"Bearer {KEY}", **headers}
        answer = request(method, self.gateway_url + path, body=body, headers=headers, retries=False)
        assert answer.status == 200, answer.data
        return answer.json()

    def settle(self, payment: str, *, at: str) -> None:
        """Lets the gateway look at what was pending, at a later instant."""
        query = urlencode({"query": f"metadata['payment']:'{payment}'"})
        self.ask_gateway("GET", f"/v1/payment_intents/search?{query}", **{"Acta-Business-Time": at})

    def order(self, *faults: str) -> None:
        """Has the gateway do this wrong from now on."""
        for fault in faults:
            self.ask_gateway("POST", "/faults", urlencode({"order": fault}))


def money(billing: Any) -> list[tuple[str, int, int]]:
    """What a billing history says of money that moved: kind, change and balance of each line."""
    return [
        (each["kind"], each["change_minor"], each["balance_minor"])
        for each in billing["lines"]
        if each["change_minor"]
    ]


def kinds(billing: Any) -> list[str]:
    """The kinds of the lines of a billing history."""
    return [each["kind"] for each in billing["lines"]]


@pytest.fixture
def journey(state_folder: Path, tmp_path: Path) -> Iterator[Journey]:
    """A fresh home, a gateway, and whoever takes its webhooks in."""
    home = state_folder / "card-journey"
    journey = Journey(home, tmp_path)
    with (
        journey.running("webhooks", "--listen", "127.0.0.1:0") as webhooks,
        journey.running(
            "gateway", "--book", tmp_path / "book.jsonl", "--webhooks", webhooks["url"]
        ) as gateway,
    ):
        journey.environment.update(gateway)
        journey.gateway_url = gateway["ACTA_GATEWAY_URL"]
        yield journey
    shutil.rmtree(home)
    said = "".join(journey.printed)
    for secret in (KEY, SECRET, GOOD, PROCESSING):
        assert secret not in said


@pytest.mark.rule("S1", "S3", "S6", "S7", "S8", "S12", "S13")
def test_from_sign_up_to_refund(journey: Journey) -> None:
    """A month paid, one declined twice and then paid, one unknown for a while, and money back."""
    # The steps are made and the charge is asked for: nothing is paid before the gateway says so.
    journey.apply(
        registration(),
        phone_confirmed(),
        line("SetPassword", OWNER, account=ANA),
        line("StartSubscription", OWNER, account=ANA),
        line("ChooseTaxDocument", OWNER, account=ANA, kind="boleta"),
        line(
            "ConfirmPlan", OWNER, account=ANA, plan="full-access", price_version=1,
            monthly_price_minor=PRICE_MINOR, currency="CLP",
        ),
        by_card(GOOD),
        line("RequestCharge", account=ANA),
    )  # fmt: skip
    assert not journey.may_study(BEGINNING)
    assert money(journey.billing()) == []

    journey.tick(BEGINNING)
    assert journey.may_study(BEGINNING)
    paid = journey.billing()
    assert paid["paid_through"] == "2026-02-27"
    assert money(paid) == [("charge", PRICE_MINOR, PRICE_MINOR), ("payment", -PRICE_MINOR, 0)]
    (first_payment,) = [each["payment"] for each in paid["lines"] if each["kind"] == "payment"]

    # The renewal of 28 February is declined, and so is the try a day later; access holds.
    in_march = "until=2026-03-15T00:00:00-03:00"
    journey.order(f"decline,attempt=1,{in_march}", f"decline,attempt=2,{in_march}")
    assert journey.tick("2026-03-02T12:00:00-03:00")["done"] == {"renewal": 1, "retry": 1}
    assert journey.may_study("2026-03-02T12:00:00-03:00")
    assert kinds(journey.billing()).count("declined") == 2

    # The third try, three days after the first decline, pays from the old end.
    assert journey.tick("2026-03-03T12:00:00-03:00")["done"] == {"retry": 1}
    assert journey.billing()["paid_through"] == "2026-03-30"
    wait_until(lambda: len(journey.told_by_webhook()) == 4)

    # Another card, whose bank takes its time: unknown, and access holds meanwhile.
    journey.apply(by_card(PROCESSING, at="2026-03-15T12:00:00-03:00"))
    unknown = journey.tick("2026-03-31T12:00:00-03:00")
    assert (unknown["done"], unknown["unresolved"]) == ({"renewal": 1}, 1)
    assert journey.may_study("2026-03-31T12:00:00-03:00")
    waiting = journey.billing()
    assert kinds(waiting)[-1] == "unknown"
    assert waiting["paid_through"] == "2026-03-30"

    # The bank has decided. The gateway reports it, and nobody at Acta had to ask.
    journey.settle(waiting["lines"][-1]["payment"], at="2026-03-31T18:00:00-03:00")
    wait_until(lambda: len(journey.told_by_webhook()) == 5)
    assert journey.told_by_webhook()[-1] == "payment_intent.succeeded 200 recorded"
    known = journey.billing()
    assert (kinds(known)[-1], known["paid_through"]) == ("payment", "2026-04-29")
    assert known["lines"][-1]["occurred_at"] == "2026-03-31T21:00:00+00:00"
    assert journey.tick("2026-04-01T09:00:00-03:00")["unresolved"] == 0

    # Some of the first payment goes back; what is paid for stays paid for.
    journey.apply(
        line(
            "RefundPayment", MANAGER, at="2026-04-01T10:00:00-03:00", account=ANA,
            refund=str(uuid4()), payment=first_payment, amount_minor=5000, currency="CLP",
            reason="request",
        )
    )  # fmt: skip
    journey.tick("2026-04-01T12:00:00-03:00")
    told = journey.billing()
    assert money(told)[-2:] == [("credit", -5000, -5000), ("refund", 5000, 0)]
    assert told["paid_through"] == "2026-04-29"
    wait_until(lambda: len(journey.told_by_webhook()) == 6)

    # Both books tell the same, and every webhook was well answered.
    book = journey.ask_gateway("GET", "/book")
    captured = [each["id"] for each in book["charges"] if each["status"] == "succeeded"]
    payments = [each for each in told["lines"] if each["kind"] == "payment"]
    assert sorted(captured) == sorted(each["reference"] for each in payments)
    assert [each["amount"] for each in book["refunds"]] == [5000]
    assert {each.split()[1] for each in journey.told_by_webhook()} == {"200"}


def by_card(token: str, *, at: str = BEGINNING) -> dict[str, Any]:
    """The choice of a card as means of payment."""
    choice = {"means": "card", "months": 1, "card_token": token}
    return line("ChoosePaymentMethod", OWNER, at=at, account=ANA, **choice)
