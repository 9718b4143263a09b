"""``acta tick``: what is due is done, once or on and on, and what is left is told."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from domain.streams import subscription_of
from domain.subscription import ChoosePaymentMethod, PaymentMeans
from handlers.cli import clock
from handlers.composition import open_ledger
from handlers.payments.embedded import EmbeddedGateway
from tests.conftest import TestDatabase
from tests.handlers.cli.conftest import Terminal
from tests.handlers.clockwork import told
from tests.handlers.stories import ANA, BEGINNING, Member, Story

UNTIL = "2026-04-01T12:00:00-03:00"
KEY = "sk_test_key"


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The embedded gateway, named by the terminal's settings."""
    with EmbeddedGateway(tmp_path / "book.jsonl", KEY).in_thread() as server:
        for name, value in (("ACTA_GATEWAY_URL", server.url), ("ACTA_GATEWAY_KEY", KEY)):
            monkeypatch.setenv(name, value)
        yield


def subscriber(
    database: TestDatabase,
    email: str = ANA,
    *,
    card: str | None = "pm_card_visa",
    at: datetime = BEGINNING,
) -> Member:
    """Somebody who has paid for a month, and whose read models are made."""
    with open_ledger(database.settings()) as acta:
        story = Story(acta)
        member = story.subscriber(email, at=at)
        method = ChoosePaymentMethod(
            at=at, account=member.who, means=PaymentMeans.CARD, months=1, card_token=card
        )
        story.ask(method, member.itself)
        acta.projector.catch_up()
        return member


def history(database: TestDatabase, member: Member) -> list[str]:
    """What happened to a subscription since its card was chosen."""
    with open_ledger(database.settings()) as acta:
        return told(acta, subscription_of(member.account))[6:]


@pytest.mark.usefixtures("gateway")
def test_a_quarter_is_played_at_once(terminal: Terminal, database: TestDatabase) -> None:
    """The report counts what was done by kind."""
    ana = subscriber(database)
    ended = terminal("tick", "--until", UNTIL)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "done up to 2026-04-01T12:00:00-03:00: 2 renewal\n"
    assert history(database, ana) == [
        "02-28 ChargeRequested", "02-28 PaymentCaptured",
        "03-31 ChargeRequested", "03-31 PaymentCaptured",
    ]  # fmt: skip


@pytest.mark.usefixtures("gateway")
def test_the_report_is_one_json_value(terminal: Terminal, database: TestDatabase) -> None:
    """For programs: whether it is complete, and all that is left."""
    subscriber(database)
    ended = terminal("tick", "--until", UNTIL, "--json")
    assert ended.status == 0
    assert ended.json == {
        "until": "2026-04-01T15:00:00+00:00",
        "done": {"renewal": 2},
        "waiting": {},
        "unresolved": 0,
        "refused": [],
        "degraded": False,
        "stopped": False,
        "complete": True,
    }


@pytest.mark.usefixtures("gateway")
def test_an_instant_before_the_last_one_is_refused(
    terminal: Terminal, database: TestDatabase
) -> None:
    """Before anything is done; the same instant again is no harm."""
    subscriber(database)
    assert terminal("tick", "--until", UNTIL).status == 0
    terminal("project", "--once")
    again = terminal("tick", "--until", UNTIL)
    assert (again.status, again.out) == (
        0, "done up to 2026-04-01T12:00:00-03:00: nothing was due\n",
    )  # fmt: skip
    earlier = terminal("tick", "--until", "2026-04-01T11:59:59-03:00")
    assert earlier.status == 2
    assert "2026-04-01T15:00:00+00:00" in earlier.err
    assert "later one" in earlier.err


def test_without_a_gateway_charges_wait(terminal: Terminal, database: TestDatabase) -> None:
    """They are counted, and the setting that is missing is named."""
    subscriber(database)
    ended = terminal("tick", "--until", UNTIL)
    assert ended.status == 1
    assert "1 renewal wait for a payment gateway: set ACTA_GATEWAY_URL" in ended.said


@pytest.mark.usefixtures("gateway")
def test_a_wrong_key_is_told(
    terminal: Terminal, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of its setting, and never by itself."""
    subscriber(database)
    monkeypatch.setenv("ACTA_GATEWAY_KEY", "sk_test_another")
    ended = terminal("tick", "--until", UNTIL)
    assert ended.status == 2
    assert "ACTA_GATEWAY_KEY" in ended.err
    assert "sk_test" not in ended.said


@pytest.mark.rule("S5", "S6")
def test_real_cards_are_not_charged_before_their_day(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock is played ahead with a gateway on this machine, or with a test key."""
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    monkeypatch.setenv("ACTA_GATEWAY_URL", "https://gateway.example.com")
    monkeypatch.setenv("ACTA_GATEWAY_KEY", "sk_live_key")
    ended = terminal("tick", "--until", ahead)
    assert ended.status == 2
    assert "before their day" in ended.err
    monkeypatch.setenv("ACTA_GATEWAY_KEY", KEY)
    terminal("project", "--once")
    assert terminal("tick", "--until", ahead).status == 0


class Ahead(datetime):
    """The time on a machine that is a month ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Ahead":
        """Later than it is."""
        return cls.fromtimestamp(datetime.now(tz).timestamp() + 30 * 86400, tz)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("mode", [[], ["--loop"]])
def test_a_machine_whose_time_is_wrong_charges_nobody(
    terminal: Terminal, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    """Cards would be charged a month early, and no other machine could go on."""
    ana = subscriber(database, at=datetime.now(UTC) - timedelta(days=2))
    monkeypatch.setattr(clock, "datetime", Ahead)
    ended = terminal("tick", *mode)
    assert ended.status == 2
    assert "2592000 s apart" in ended.err
    assert history(database, ana) == []


def test_both_kinds_of_time_do_not_go_together(terminal: Terminal) -> None:
    """It is played, or keeps up with the clock."""
    ended = terminal("tick", "--until", UNTIL, "--loop")
    assert ended.status == 2
    assert "--loop" in ended.err


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_does_what_is_due_until_it_is_told_to_end(
    terminal: Terminal, database: TestDatabase, number: signal.Signals
) -> None:
    """Each run in which something was done is told on a line, dated now."""
    ana = subscriber(database, at=datetime.now(UTC) - timedelta(days=32))
    with terminal.start("tick", "--loop", "--json") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert '"done": {"renewal": 1}' in line
    assert out == ""
    assert "SIGTERM or SIGINT ends it" in err
    assert [each.split()[1] for each in history(database, ana)] == [
        "ChargeRequested", "PaymentCaptured",
    ]  # fmt: skip


def test_the_example_of_its_help_is_a_command(terminal: Terminal) -> None:
    """It says what --until and --loop do."""
    ended = terminal("tick", "--help")
    assert ended.status == 0
    for said in ("--until", "--loop", "--json", "Example: acta tick", "acta due"):
        assert said in ended.said
