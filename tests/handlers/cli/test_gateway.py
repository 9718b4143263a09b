"""``acta gateway``: a gateway to try charges with."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from handlers.payments.gateway import Captured
from tests.handlers.cli.conftest import ACTA, Terminal
from tests.handlers.payments.gateways import Desk, charge


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "WEBHOOK_SECRET", "TIMEOUT_SECONDS"):
        monkeypatch.delenv(f"ACTA_GATEWAY_{name}", raising=False)


@contextmanager
def started(*arguments: object, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    """The gateway in a process of its own; it needs neither database nor home."""
    process = subprocess.Popen(
        [ACTA, "gateway", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def exported(process: "subprocess.Popen[str]", lines: int) -> dict[str, str]:
    """The settings that it prints."""
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(lines)]
    matches = [re.fullmatch(r"export (ACTA_GATEWAY_\w+)=(\S+)\n", line) for line in printed]
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_the_settings_with_which_it_is_asked_and_ends_by_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    book = tmp_path / "book"
    with started("--book", book, "--fault", "decline,attempt=2") as process:
        settings = exported(process, 3)
        assert settings.keys() == {
            "ACTA_GATEWAY_URL", "ACTA_GATEWAY_KEY", "ACTA_GATEWAY_WEBHOOK_SECRET"
        }  # fmt: skip
        with Desk(settings["ACTA_GATEWAY_URL"], key=settings["ACTA_GATEWAY_KEY"]) as desk:
            order = charge()
            assert isinstance(desk.asks.charge(order), Captured)
            assert not isinstance(desk.asks.charge(charge(attempt=2)), Captured)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert err.count("\n") == 1
    assert settings["ACTA_GATEWAY_KEY"] not in err
    assert str(order.payment) in book.read_text()


def test_a_secret_that_is_set_is_used_and_not_printed(tmp_path: Path) -> None:
    key = f"sk_test_{uuid4().hex}"
    given = {"ACTA_GATEWAY_KEY": key, "ACTA_GATEWAY_WEBHOOK_SECRET": "whsec_old,whsec_new"}
    with started("--book", tmp_path / "book", **given) as process:
        settings = exported(process, 1)
        assert settings.keys() == {"ACTA_GATEWAY_URL"}
        with Desk(settings["ACTA_GATEWAY_URL"], key=key) as desk:
            assert isinstance(desk.asks.charge(charge()), Captured)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert "whsec" not in err
    assert key not in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--listen", "nowhere"), "--listen cannot be read"),
        (("--listen", "127.0.0.1:99999"), "--listen cannot be read"),
        (("--listen", "203.0.113.1:0"), "cannot listen on 203.0.113.1"),
        (("--fault", "explode"), "no such fault can be ordered"),
        (("--fault", "decline,since=2026"), "An instant has its offset"),
        (("--webhooks", "nowhere"), "--webhooks is no address"),
        (("--webhooks", "http://[::1"), "--webhooks is no address"),
        (("--webhooks", "http://:18082"), "--webhooks is no address"),
        (("--webhooks", "http://127.0.0.1:99999"), "--webhooks is no address"),
        (("--book", "."), "cannot be opened"),
    ],
)
def test_what_it_cannot_do_is_one_message(
    shared_terminal: Terminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = shared_terminal("gateway", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.said
