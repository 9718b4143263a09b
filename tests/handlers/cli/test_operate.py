"""``acta status``, ``project``, ``keys rotate`` and ``migrate``."""

import json
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo

from handlers.composition import PROJECTIONS, Acta
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from tests.conftest import TestDatabase
from tests.handlers.cli.conftest import Terminal
from tests.handlers.cli.files import (
    ANA,
    MANAGER,
    MANAGER_ID,
    line,
    phone_confirmed,
    registration,
    subscription,
    written,
)

NAMES = sorted(projection.name for projection in PROJECTIONS)
ERASE = ["--actor", f"account_manager:{MANAGER_ID}", "--at", "2026-03-15T12:00:00Z", "--yes"]


def test_status_of_an_empty_ledger(terminal: Terminal) -> None:
    told = terminal("status", "--json").json
    assert list(told) == [
        "head", "events", "read_models", "sizes_bytes", "pending_erasures", "parked",
    ]  # fmt: skip
    assert (told["head"], told["events"], told["read_models"]) == (0, 0, [])
    assert told["pending_erasures"] == []
    assert terminal("status").out.endswith("erasures not yet final: none\n")


def test_status_measures_lag_against_the_head(terminal: Terminal, tmp_path: Path) -> None:
    terminal("apply", written(tmp_path, registration()))
    terminal("project", "--once")
    terminal("apply", written(tmp_path, phone_confirmed(), phone_confirmed()))
    told = terminal("status", "--json").json
    assert (told["head"], told["events"]) == (2, 2)
    assert told["read_models"] == [{"name": name, "position": 1, "lag": 1} for name in NAMES]
    assert told["sizes_bytes"]["ledger.events"] > 0
    assert "head of the log: position 2, 2 events" in terminal("status").out


@pytest.mark.rule("A11")
def test_status_tells_erasures_not_yet_final(terminal: Terminal, tmp_path: Path) -> None:
    """Copies made before can be opened until keys are rotated; buyer data until its term ends."""
    terminal("apply", written(tmp_path, *subscription()))
    person = terminal("erase", ANA, *ERASE, "--json").json["person"]
    (pending,) = terminal("status", "--json").json["pending_erasures"]
    assert (pending["person"], pending["copies_readable"]) == (person, True)
    assert pending["tax_data_readable_until"] is None
    shown = terminal("status").out
    assert "erasures not yet final: 1" in shown
    assert "copies made before, until acta keys rotate" in shown
    assert terminal("keys", "rotate").status == 0
    assert terminal("status", "--json").json["pending_erasures"] == []


def test_projecting_once_brings_read_models_up_to_the_log(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal("apply", written(tmp_path, *subscription()))
    ended = terminal("project", "--once")
    assert (ended.status, ended.out) == (0, "10 events applied; known up to position 10\n")
    assert terminal("project", "--once", "--json").json == {
        "position": 10, "head": 10, "events": 0,
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_read_model_is_filled_from_zero(
    terminal: Terminal, database: TestDatabase, tmp_path: Path, name: str
) -> None:
    """Whatever became of its table, the log says it anew."""
    plan = line("OpenPlan", MANAGER, plan=MANAGER_ID, institution="Colegio", seats=5)
    contract = line(
        "OpenContract", MANAGER, contract=str(uuid4()), holder=str(uuid4()),
        contractor=str(uuid4()), valid_from="2026-01-01", valid_to="2026-12-31",
        validator_kind="holder_technician", validator_name="Raúl Ortega",
        validator_email="raul@example.es", contact_name="Inés Vidal",
        contact_email="ines@example.es",
    )  # fmt: skip
    ticket = line(
        "OpenTicket", MANAGER, ticket=str(uuid4()), message=str(uuid4()),
        requester="ana@example.cl", reason="payment", subject="Cobro", body="¿Por qué?",
    )  # fmt: skip
    terminal("apply", written(tmp_path, *subscription(), plan, contract, ticket))
    terminal("project", "--once")
    table = next(known.tables[0].name for known in PROJECTIONS if known.name == name)
    with connect(database.administrator) as administrator:
        before = administrator.execute(f"TABLE projections.{table}".encode()).fetchall()
        administrator.execute(f"DELETE FROM projections.{table}".encode())
        assert terminal("project", "--once", "--rebuild", name, "--json").json["events"] == 16
        after = administrator.execute(f"TABLE projections.{table}".encode()).fetchall()
    assert before
    assert sorted(after, key=str) == sorted(before, key=str)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_projecting_follows_the_log_until_a_signal(
    terminal: Terminal, acta: Acta, tmp_path: Path, number: signal.Signals
) -> None:
    with terminal.start("project", "--json") as process:
        assert process.stderr is not None
        assert "SIGTERM" in process.stderr.readline()
        terminal("apply", written(tmp_path, *subscription()))
        acta.projector.catch_up()  # makes the tables, should the other not have done so yet
        ended = terminal("study", ANA, "--at-least", 9, "--deadline", 60, "--json")
        assert len(ended.json["lines"]) == 1
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert list(json.loads(out)) == ["position", "head", "events"]


def test_rotating_keys_wraps_the_living_and_destroys_the_old(
    terminal: Terminal, database: TestDatabase, tmp_path: Path
) -> None:
    terminal("apply", written(tmp_path, *subscription()))
    (old,) = database.keys.glob("*.key")
    told = terminal("keys", "rotate", "--json").json
    assert list(told) == ["successor", "keys_wrapped", "keys_destroyed", "key_files_destroyed"]
    assert (told["keys_wrapped"], told["key_files_destroyed"]) == (1, 1)
    (new,) = database.keys.glob("*.key")
    assert (new.stem, old.exists()) == (told["successor"], False)
    terminal("project", "--once")
    assert "Rojas" in terminal("history", ANA, "--actor", "auditor").out
    assert "keys wrapped under it: 1" in terminal("keys", "rotate").out


def test_migrating_names_what_it_applied(
    terminal: Terminal, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(server.addresses.administrator) as administrator:
        administrator.execute("CREATE DATABASE acta_to_migrate")
        try:
            address = make_conninfo(server.addresses.administrator, dbname="acta_to_migrate")
            monkeypatch.setenv("ACTA_ADMINISTRATOR_URL", address)
            assert terminal("migrate", "--json").json["applied"] == [
                "0001_ledger.sql", "0002_counted_claims.sql", "0003_numbers.sql", "0004_parked.sql",
                "0005_index.sql", "0006_payments.sql",
            ]  # fmt: skip
            assert terminal("migrate", "--json").json == {"applied": []}
            assert terminal("migrate").out == "the database is of this version\n"
        finally:
            administrator.execute("DROP DATABASE acta_to_migrate WITH (FORCE)")


def test_the_embedded_database_needs_no_more_than_a_folder(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, state_folder: Path, tmp_path: Path
) -> None:
    """Without an address everything is there at the first command, read models included."""
    for name in ("ACTA_DATABASE_URL", "ACTA_ADMINISTRATOR_URL", "ACTA_KEYS"):
        monkeypatch.delenv(name)
    home = state_folder / "embedded"
    monkeypatch.setenv("ACTA_HOME", str(home))
    with EmbeddedServer.start(home):
        assert terminal("migrate", "--json").json == {"applied": []}
        assert terminal("apply", written(tmp_path, *subscription())).status == 0
        assert "algebra/unit-1" in terminal("study", ANA).out
        assert terminal("history", ANA, "--at-least", 9).status == 0
