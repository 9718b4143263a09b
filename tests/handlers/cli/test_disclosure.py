"""``acta open``: a personal value for whoever may read it, and a record of that."""

from pathlib import Path
from uuid import uuid4

import pytest

from domain.disclosure import OpeningReason
from tests.handlers.cli.conftest import Terminal
from tests.handlers.cli.files import ANA, BEGINNING, LATER, MANAGER_ID, line, registration, written

STAFF_ID = "7b1e4d93-0c58-4a6f-b2d7-95e8f3a1c604"
STAFF = {"kind": "support_staff", "id": STAFF_ID}
FOR_SUPPORT = ["--actor", f"support_staff:{STAFF_ID}", "--reason", "support", "--at", LATER]


@pytest.fixture
def event(terminal: Terminal, tmp_path: Path) -> str:
    """Ana registers; the id of the event that says so."""
    told = terminal("apply", written(tmp_path, registration()), "--json").json_lines
    event: str = told[0]["events"][0]["event_id"]
    return event


def history(terminal: Terminal) -> str:
    """What the person and an auditor can see."""
    terminal("project", "--once")
    return terminal("history", ANA).out


@pytest.mark.rule("G1")
def test_values_are_shown_and_the_history_says_who_opened_them(
    terminal: Terminal, event: str
) -> None:
    ended = terminal("open", event, "email", "phone", *FOR_SUPPORT)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"email: {ANA}",
        "    recorded at position 2",
        "phone: +56961234567",
        "    recorded at position 3",
    ]
    told = history(terminal)
    assert f"support_staff {STAFF_ID[:8]}" in told
    assert f"Opened email of account.UserRegistered, event {event}: support" in told
    assert ANA not in told


@pytest.mark.rule("G1")
def test_in_json_each_field_has_its_answer_and_one_that_is_refused_stops_no_other(
    terminal: Terminal, event: str
) -> None:
    ended = terminal("open", event, "note", "email", "email", "rut", *FOR_SUPPORT, "--json")
    assert (ended.status, ended.err) == (1, "")
    assert list(ended.json) == ["event", "id", "values"]
    note, email, rut = ended.json["values"]
    assert list(note) == [
        "field", "value", "position", "record", "repeated", "rule", "message", "remedy",
    ]  # fmt: skip
    assert (note["field"], note["value"], note["rule"]) == ("note", None, "G1")
    assert "given_name" in note["remedy"]
    assert (email["value"], email["position"], email["repeated"]) == (ANA, 2, False)
    assert (rut["value"], rut["position"], rut["rule"]) == ("12345678-5", 3, None)


@pytest.mark.rule("G1")
def test_what_is_refused_ends_with_1_and_says_what_to_do(terminal: Terminal, event: str) -> None:
    by_system = ["--actor", f"system:{STAFF_ID}", "--reason", "notify"]
    for arguments in ([event, *("email", *by_system)], [uuid4(), "email", *FOR_SUPPORT]):
        ended = terminal("open", *arguments)
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith("acta: email refused by G1: ")
        assert len(ended.err.splitlines()) == 2
    assert "Opened" not in history(terminal)


def test_the_same_request_is_recorded_once(terminal: Terminal, event: str) -> None:
    """With the same id and instant; another reason under that id is another request."""
    arguments = ["open", event, "email", *FOR_SUPPORT, "--json", "--id", uuid4()]
    first, again = terminal(*arguments).json, terminal(*arguments).json
    assert again["values"] == [{**first["values"][0], "repeated": True}]
    assert history(terminal).count("Opened") == 1
    ended = terminal(*arguments, "--reason", "other")
    assert (ended.status, "was given before with another input" in ended.err) == (2, True)


@pytest.mark.rule("A11")
def test_whoever_was_erased_is_opened_no_more(terminal: Terminal, event: str) -> None:
    terminal("erase", ANA, "--actor", f"account_manager:{MANAGER_ID}", "--at", LATER, "--yes")
    ended = terminal("open", event, "email", *FOR_SUPPORT)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("acta: email refused by A11: ")


def test_a_file_of_commands_records_openings_and_shows_no_value(
    terminal: Terminal, tmp_path: Path, event: str
) -> None:
    """The receipt alone; an opening that comes to nothing stops no line behind it."""
    fine = line("OpenPersonalValue", STAFF, event=event, field="email", reason="support")
    lines = [fine | {"event": str(uuid4()), "id": str(uuid4())}, fine]
    for options in (["--json"], ["--verbose"]):
        ended = terminal("apply", written(tmp_path, *lines), *options)
        assert ended.status == 1
        assert ANA not in ended.said
    assert history(terminal).count("Opened email") == 1


def test_a_line_with_a_reason_that_there_is_not_is_faulty(
    terminal: Terminal, tmp_path: Path, event: str
) -> None:
    asked = line("OpenPersonalValue", STAFF, event=event, field="email", reason="curiosity")
    told = terminal("apply", written(tmp_path, asked), "--json").json_lines[0]
    assert (told["outcome"], told["faults"][0]["field"]) == ("faulty", "reason")


def test_help_names_every_reason(shared_terminal: Terminal) -> None:
    said = shared_terminal("open", "--help").said
    assert all(reason.value in said for reason in OpeningReason)


def test_now_is_when_it_is_opened(terminal: Terminal, event: str) -> None:
    """Without --at the door reads the clock."""
    without_instant = FOR_SUPPORT[:-2]
    assert terminal("open", event, "email", *without_instant).status == 0
    terminal("project", "--once")
    told = terminal("history", ANA, "--json").json["lines"]
    assert told[-1]["occurred_at"] > BEGINNING
