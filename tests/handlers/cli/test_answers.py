"""``acta check``, ``history`` and ``study``."""

from pathlib import Path

import pytest

from handlers.composition import Acta
from tests.conftest import TestDatabase
from tests.handlers.cli.conftest import Terminal
from tests.handlers.cli.files import (
    ANA,
    BEGINNING,
    LATER,
    MANAGER,
    MANAGER_ID,
    line,
    registration,
    subscription,
    written,
)

TOO_LATE = "2026-03-15T12:00:00-03:00"
ERASE = ["--actor", f"account_manager:{MANAGER_ID}", "--at", TOO_LATE, "--yes"]


@pytest.fixture
def ana(terminal: Terminal, tmp_path: Path) -> dict[str, str]:
    """Ana subscribes, pays for a month and studies; her ids."""
    assert terminal("apply", written(tmp_path, *subscription())).status == 0
    assert terminal("project", "--once").status == 0
    told = terminal("check", ANA, "content", "--at", LATER, "--json").json
    return {"account": f"account:{told['account']}", "person": f"person:{told['person']}"}


# ---------------------------------------------------------------- check


@pytest.mark.rule("X1", "X3")
@pytest.mark.usefixtures("ana")
def test_a_yes_ends_with_0_and_names_what_it_rests_on(terminal: Terminal) -> None:
    ended = terminal("check", ANA, "content", "--at", LATER, "--json")
    assert (ended.status, ended.err) == (0, "")
    told = ended.json
    assert list(told) == [
        "allowed", "thing", "account", "person", "at", "obstacles", "evidence", "position",
        "contacts",
    ]  # fmt: skip
    assert (told["allowed"], told["obstacles"], told["position"]) == (True, [], 10)
    assert told["contacts"] == []
    assert [(fact["position"], fact["topic"]) for fact in told["evidence"]] == [
        (1, "account.UserRegistered.v1"),
        (8, "subscription.PaymentCaptured.v1"),
    ]
    shown = terminal("check", ANA, "content", "--at", LATER).out
    assert shown.startswith(f"yes: content at {LATER}")
    assert told["account"] in shown
    assert told["evidence"][1]["event_id"] in shown


@pytest.mark.rule("X2")
@pytest.mark.usefixtures("ana")
def test_a_no_ends_with_1_and_names_rule_remedy_and_contact(terminal: Terminal) -> None:
    ended = terminal("check", ANA, "content", "--at", TOO_LATE, "--json")
    assert (ended.status, ended.json["allowed"]) == (1, False)
    (obstacle,) = ended.json["obstacles"]
    assert list(obstacle) == ["rule", "message", "remedy", "contact", "contract", "missing"]
    assert obstacle["rule"] == "S5"
    assert (obstacle["contract"], obstacle["missing"]) == (None, [])
    shown = terminal("check", ANA, "content", "--at", TOO_LATE).out
    assert shown.startswith("no: ")
    for name in ("rule", "message", "remedy", "contact"):
        assert obstacle[name] in shown


def test_help_names_everything_that_can_be_asked_for(terminal: Terminal) -> None:
    """As it has to be written: help turns some words between colons into pictures."""
    shown = "".join(each for each in terminal("check", "--help").out if each not in " │\n")
    for thing in ("content;", "module:NAME;", "plan:UUID:administer,"):
        assert thing in shown


def test_whom_nobody_knows_has_no_access(terminal: Terminal) -> None:
    terminal("project", "--once")
    ended = terminal("check", "nobody@example.cl", "content", "--json")
    assert ended.status == 1
    assert ended.json["account"] is None
    assert [obstacle["rule"] for obstacle in ended.json["obstacles"]] == ["A1"]


@pytest.mark.rule("A3", "A5")
def test_an_account_answers_by_e_mail_person_and_account(
    terminal: Terminal, ana: dict[str, str]
) -> None:
    for who in (ANA, "ANA@Example.CL", ana["account"], ana["person"]):
        told = terminal("check", who, "content", "--at", LATER, "--json").json
        assert f"account:{told['account']}" == ana["account"]


@pytest.mark.rule("A5")
def test_an_e_mail_means_whoever_holds_it_now(
    terminal: Terminal, tmp_path: Path, ana: dict[str, str]
) -> None:
    """Ana's address passes on to somebody else, and so does what it answers."""
    changes = [
        line("AssignAccountManager", MANAGER, account=ANA, account_manager=MANAGER_ID),
        line("ChangeUserCode", MANAGER, account=ANA, email="new@example.cl"),
        registration(ANA, None),
    ]
    assert terminal("apply", written(tmp_path, *changes)).status == 0
    terminal("project", "--once")
    new = terminal("check", ANA, "content", "--at", LATER, "--json")
    assert (new.status, f"account:{new.json['account']}" == ana["account"]) == (1, False)
    assert terminal("check", "new@example.cl", "content", "--at", LATER).status == 0


@pytest.mark.rule("X4")
def test_a_receipt_names_a_position_that_an_answer_can_be_asked_to_know(
    terminal: Terminal, acta: Acta, tmp_path: Path
) -> None:
    """Without it an answer knows what it knows, and says so; with it, it waits for a projector."""
    terminal("project", "--once")
    applied = terminal("apply", written(tmp_path, *subscription()), "--json")
    position = applied.json_lines[-1]["summary"]["position"]
    early = terminal("check", ANA, "content", "--at", LATER, "--json").json
    assert (early["allowed"], early["position"]) == (False, 0)
    acta.projector.catch_up()
    arguments = ["--at", LATER, "--at-least", position, "--deadline", 30, "--json"]
    late = terminal("check", ANA, "content", *arguments).json
    assert (late["allowed"], late["position"]) == (True, position)


# ---------------------------------------------------------------- study


@pytest.mark.rule("A1")
@pytest.mark.usefixtures("ana")
def test_study_shows_a_line_for_each_study(terminal: Terminal) -> None:
    shown = terminal("study", ANA).out
    assert "when (UTC)" in shown
    assert "2026-02-03 15:00:00   algebra/unit-1" in shown
    told = terminal("study", ANA, "--json").json
    assert list(told) == ["account", "lines", "position", "degraded"]
    assert [studied["content"] for studied in told["lines"]] == ["algebra/unit-1"]
    assert told["lines"][0]["studied_at"] == "2026-02-03T15:00:00+00:00"


# ---------------------------------------------------------------- history


@pytest.mark.rule("G1")
@pytest.mark.usefixtures("ana")
def test_history_is_sealed_for_the_system_and_open_for_an_auditor(terminal: Terminal) -> None:
    sealed = terminal("history", ANA).out
    assert "Registered an individual account" in sealed
    assert "sealed: given_name, paternal_surname, email, phone, rut" in sealed
    for value in (ANA, "Rojas", "+56961234567", "12345678-5"):
        assert value not in sealed
        assert value in terminal("history", ANA, "--actor", "auditor").out
    told = terminal("history", ANA, "--json").json
    assert list(told) == ["account", "lines", "position", "degraded"]
    assert told["lines"][0]["personal"]["email"] == {"state": "sealed", "value": None}
    told = terminal("history", ANA, "--actor", "auditor", "--json").json
    assert told["lines"][0]["personal"]["email"] == {"state": "open", "value": ANA}


@pytest.mark.rule("G1")
def test_a_person_opens_their_own_history_and_no_other(
    terminal: Terminal, ana: dict[str, str]
) -> None:
    own = terminal("history", ANA, "--actor", ana["person"]).out
    others = terminal("history", ANA, "--actor", f"person:{MANAGER_ID}").out
    assert ("Rojas" in own, "Rojas" in others) == (True, False)


@pytest.mark.rule("A11")
def test_after_erasure_only_the_ids_answer_and_the_person_is_unreadable(
    terminal: Terminal, database: TestDatabase, ana: dict[str, str]
) -> None:
    ended = terminal("erase", ANA, *ERASE)
    assert ended.status == 0
    assert ana["account"] in ended.out
    assert ana["person"] in ended.out
    assert "stays readable until 2032-01-31" in ended.out
    assert "acta keys rotate" in ended.out
    terminal("project", "--once")
    assert terminal("check", ANA, "content", "--at", LATER, "--json").json["account"] is None
    assert "nobody is meant" in terminal("billing", ANA).err
    for who in ana.values():
        shown = terminal("history", who, "--actor", "auditor").out
        assert "erased: given_name, paternal_surname, email, phone, rut" in shown
        assert "Paid 9,990 CLP by card" in shown
        assert "Rojas" not in shown
    told = terminal("history", ana["account"], "--actor", "auditor", "--json").json
    assert told["lines"][0]["personal"]["email"] == {"state": "erased", "value": None}
    assert database.keys.is_dir()


@pytest.mark.rule("A11")
def test_an_erasure_in_json_names_the_ids_and_can_be_repeated(
    terminal: Terminal, ana: dict[str, str]
) -> None:
    first = terminal("erase", ANA, *ERASE, "--json").json
    assert list(first) == ["account", "person", "tax_data_readable_until", "position", "id"]
    assert (f"account:{first['account']}", f"person:{first['person']}") == tuple(ana.values())
    again = terminal("erase", ana["account"], *ERASE, "--id", first["id"], "--json")
    assert (again.status, again.json) == (0, first)


@pytest.mark.rule("A11", "A1")
@pytest.mark.parametrize(("who", "rule"), [(ANA, "A1"), (None, "A11")])
def test_a_second_erasure_is_refused(
    terminal: Terminal, ana: dict[str, str], who: str | None, rule: str
) -> None:
    terminal("erase", ANA, *ERASE)
    ended = terminal("erase", who or ana["account"], *ERASE)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"acta: refused by {rule}: ")


@pytest.mark.rule("G1")
@pytest.mark.usefixtures("ana")
def test_an_erasure_that_may_not_be_asked_for_is_refused(terminal: Terminal) -> None:
    ended = terminal("erase", ANA, "--actor", f"auditor:{MANAGER_ID}", "--yes")
    assert (ended.status, "refused by G1" in ended.err) == (1, True)


@pytest.mark.parametrize("answer", ["no\n", "y\n", ""])
def test_an_erasure_asks_first(terminal: Terminal, ana: dict[str, str], answer: str) -> None:
    arguments = [argument for argument in ERASE if argument != "--yes"]
    with terminal.start("erase", ANA, *arguments) as process:
        out, err = process.communicate(answer)
    assert (process.returncode, out) == (1, "")
    assert ana["account"].removeprefix("account:") in err
    assert terminal("check", ANA, "content", "--at", LATER).status == 0


@pytest.mark.usefixtures("ana")
def test_an_erasure_that_is_confirmed_is_done(terminal: Terminal) -> None:
    arguments = [argument for argument in ERASE if argument != "--yes"]
    with terminal.start("erase", ANA, *arguments) as process:
        out, _ = process.communicate("yes\n")
    assert (process.returncode, out.startswith("Erased")) == (0, True)


def test_now_is_when_it_is_asked(terminal: Terminal, tmp_path: Path) -> None:
    """Without --at the door reads the clock: what was paid in January is past."""
    terminal("apply", written(tmp_path, *subscription()))
    terminal("project", "--once")
    told = terminal("check", ANA, "content", "--json").json
    assert told["at"] > BEGINNING
    assert told["at"].endswith("+00:00")
