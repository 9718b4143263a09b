"""``acta apply``: every line has its answer, and nothing happens twice."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from handlers.cli.apply import LineReport, Outcome, apply_lines, read_lines
from handlers.cli.lines import LINE_BYTES_MAX
from handlers.composition import Acta
from tests.handlers.cli.conftest import ACTA, Terminal
from tests.handlers.cli.files import (
    ANA,
    SOMEBODY,
    as_line,
    line,
    phone_confirmed,
    registration,
    subscription,
    written,
)


def applied(acta: Acta, *lines: dict[str, Any], chunk_lines: int = 500) -> list[LineReport]:
    """What becomes of lines."""
    reports: list[LineReport] = []
    content = [as_line(content) for content in lines]
    apply_lines(acta, content, report=reports.append, chunk_lines=chunk_lines)
    return reports


def outcomes(reports: list[LineReport]) -> list[Outcome]:
    return [report.outcome for report in reports]


def test_lines_are_applied_in_their_order(terminal: Terminal, tmp_path: Path) -> None:
    ended = terminal("apply", written(tmp_path, *subscription()))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "9 lines: 9 applied; position 10\n"


def test_with_verbose_every_line_is_reported(terminal: Terminal, tmp_path: Path) -> None:
    ended = terminal("apply", written(tmp_path, registration()), "--verbose")
    assert ended.out.splitlines()[0] == "line 1: RegisterUser applied, position 1"


def test_a_file_applied_again_changes_nothing(acta: Acta) -> None:
    lines = subscription()
    first, again = applied(acta, *lines), applied(acta, *lines)
    assert set(outcomes(first)) == {Outcome.APPLIED}
    assert set(outcomes(again)) == {Outcome.ALREADY_APPLIED}
    assert [told.position for told in again] == [told.position for told in first]
    assert [told.events for told in again] == [told.events for told in first]
    assert acta.store.head() == 10, "a payment is followed by its receipt"


@pytest.mark.rule("A3")
def test_a_refusal_is_given_again_for_the_same_id(acta: Acta) -> None:
    """Also where it would succeed by now: whoever mended the cause sends a new id."""
    too_early = phone_confirmed()
    assert outcomes(applied(acta, too_early, registration())) == [
        Outcome.REFUSED,
        Outcome.APPLIED,
    ]
    (again,) = applied(acta, too_early)
    assert (again.outcome, again.rule) == (Outcome.REFUSED_BEFORE, "A1")
    assert again.remedy
    assert outcomes(applied(acta, {**too_early, "id": str(uuid4())})) == [Outcome.APPLIED]


def test_one_id_twice_in_a_file_is_one_command(acta: Acta) -> None:
    once = registration()
    assert outcomes(applied(acta, once, once)) == [Outcome.APPLIED, Outcome.ALREADY_APPLIED]


@pytest.mark.parametrize("chunk_lines", [1, 500])
def test_an_id_used_for_another_input_is_faulty(acta: Acta, chunk_lines: int) -> None:
    """Whether its first use is found in advance, or just when it is asked."""
    first = registration()
    other = registration("bruno@example.cl", None, given_name="Bruno") | {"id": first["id"]}
    applied(acta, first)
    told = applied(acta, other, phone_confirmed(), chunk_lines=chunk_lines)
    assert outcomes(told) == [Outcome.FAULTY, Outcome.APPLIED]
    (fault,) = told[0].faults
    assert (fault.field, fault.message) == ("id", "was given before with another input")
    assert "new id" in fault.remedy


@pytest.mark.rule("A3")
def test_a_refused_line_stops_no_other_and_names_its_rule(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = written(tmp_path, registration(), registration("other@example.cl"), phone_confirmed())
    ended = terminal("apply", file)
    assert ended.status == 1
    assert ended.out.splitlines() == [
        "line 2: RegisterUser refused by A3: the RUT has an account",
        "    Sign in with that account; its account manager can change its e-mail.",
        "3 lines: 2 applied, 1 refused; position 2",
        "refused by rule: A3 1",
    ]
    assert terminal("apply", file).status == 1
    assert terminal("apply", file, "--json").json_lines[-1] == {
        "summary": {
            "lines": 3,
            "applied": 0,
            "already_applied": 2,
            "refused": 0,
            "refused_before": 1,
            "faulty": 0,
            "refused_by_rule": {"A3": 1},
            "position": 2,
        }
    }


def test_in_json_each_line_is_an_object_of_the_same_keys(
    terminal: Terminal, tmp_path: Path
) -> None:
    first = registration()
    ended = terminal("apply", written(tmp_path, first, registration(), "{"), "--json")
    *lines, summary = ended.json_lines
    assert (ended.status, ended.err, list(summary)) == (1, "", ["summary"])
    assert {tuple(told) for told in lines} == {
        ("line", "command", "id", "outcome", "rule", "message", "remedy", "faults", "position",
         "events"),
    }  # fmt: skip
    assert [told["outcome"] for told in lines] == ["applied", "refused", "faulty"]
    assert (lines[0]["id"], lines[0]["position"]) == (first["id"], 1)
    assert [event["topic"] for event in lines[0]["events"]] == ["account.UserRegistered.v1"]


def test_correlation_and_causation_go_into_the_envelope(acta: Acta) -> None:
    given = {"correlation": str(uuid4()), "causation": str(uuid4())}
    applied(acta, registration() | given)
    (row,) = acta.store.batch(after=0, limit=10)
    assert (str(row.correlation_id), str(row.causation_id)) == tuple(given.values())


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_do_no_harm(
    terminal: Terminal, tmp_path: Path
) -> None:
    content = b"\xef\xbb\xbf" + as_line(registration()).strip() + b"\r\n\r\n   "
    ended = terminal("apply", written(tmp_path, content))
    assert (ended.status, ended.out) == (0, "1 lines: 1 applied; position 1\n")


def test_an_empty_file_is_fine(terminal: Terminal, tmp_path: Path) -> None:
    ended = terminal("apply", written(tmp_path))
    assert (ended.status, ended.out) == (0, "0 lines: nothing to do; position 0\n")


def test_lines_are_read_a_chunk_at_a_time(acta: Acta) -> None:
    """However long the file is, no more than a chunk of it is held."""
    read = 0
    most_ahead = 0

    def lines() -> Any:
        nonlocal read
        for _ in range(20):
            read += 1
            yield as_line(phone_confirmed())

    def report(told: LineReport) -> None:
        nonlocal most_ahead
        most_ahead = max(most_ahead, read - told.line)

    apply_lines(acta, lines(), report=report, chunk_lines=4)
    assert (read, most_ahead) == (20, 3)


def test_a_line_without_end_is_not_held_whole(tmp_path: Path) -> None:
    file = written(tmp_path, b"x" * LINE_BYTES_MAX, b"y" * 10 * LINE_BYTES_MAX, b"{}")
    with file.open("rb") as stream:
        longest, endless, last = read_lines(stream)
    assert longest == b"x" * LINE_BYTES_MAX + b"\n"
    assert LINE_BYTES_MAX < len(endless) < 2 * LINE_BYTES_MAX
    assert last == b"{}\n"


def test_stdin_is_answered_as_it_comes(terminal: Terminal) -> None:
    """Whoever sends a command and waits for its answer before the next one gets it."""
    with terminal.start("apply", "-", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for sent in (registration(), phone_confirmed()):
            process.stdin.write(as_line(sent).decode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["outcome"] == "applied"
        out, err = process.communicate()
    assert json.loads(out)["summary"]["lines"] == 2
    assert (process.returncode, err) == (0, "")


def test_interrupted_it_says_how_far_it_came(terminal: Terminal) -> None:
    with terminal.start("apply", "-", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(as_line(registration()).decode())
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "interrupted; lines are answered up to 1" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [ACTA, "commands", "--json"], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.rule("G1")
def test_a_person_may_be_known_by_e_mail(acta: Acta) -> None:
    owner, stranger = {"kind": "person", "who": ANA.upper()}, SOMEBODY
    told = applied(
        acta,
        registration(),
        line("SetPassword", stranger, account=ANA),
        line("SetPassword", owner, account=ANA),
    )
    assert [report.rule for report in told] == [None, "A9", None]
