"""``acta commands``, ``acta events`` and the help of every command."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from domain.authority import MAY_GIVE
from domain.command import command_classes
from domain.event import event_classes
from handlers.cli import app
from handlers.cli.lines import read_line
from handlers.cli.output import printable
from tests.handlers.cli.conftest import ACTA, Terminal
from tests.handlers.cli.files import registration


def every_command(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """The names by which each command is called."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, *path, name)
        else:
            yield (*path, name)


COMMANDS = sorted(every_command(typer.main.get_command(app)))


def test_every_command_of_the_ledger_is_listed(shared_terminal: Terminal) -> None:
    told = shared_terminal("commands", "--json").json
    assert [known["name"] for known in told] == sorted(command_classes())
    assert all(known["meaning"] and known["may_be_given_by"] for known in told)
    out = shared_terminal("commands").out
    assert all(name in out for name in command_classes())


@pytest.mark.rule("G1")
def test_a_command_is_listed_with_who_may_give_it(shared_terminal: Terminal) -> None:
    for command, kinds in MAY_GIVE.items():
        told = shared_terminal("commands", command.NAME, "--json").json
        assert told["may_be_given_by"] == sorted(kind.value for kind in kinds)


def test_every_event_of_the_log_is_listed(shared_terminal: Terminal) -> None:
    told = shared_terminal("events", "--json").json
    assert [known["topic"] for known in told] == [known.TOPIC for known in event_classes()]
    out = shared_terminal("events").out
    assert all(known.TOPIC in out for known in event_classes())


@pytest.mark.parametrize("catalogue", ["commands", "events"])
def test_schemas_are_json_schemas_and_every_field_is_described(
    shared_terminal: Terminal, catalogue: str
) -> None:
    for known in shared_terminal(catalogue, "--json").json:
        Draft202012Validator.check_schema(known["schema"])
        assert {field["name"] for field in known["fields"]} == set(known["schema"]["properties"])
        assert all(field["meaning"] for field in known["fields"]), known


def test_a_command_fits_its_schema(shared_terminal: Terminal) -> None:
    schema = shared_terminal("commands", "RegisterUser", "--json").json["schema"]
    given = registration()
    own = {name: given[name] for name in given if name not in ("command", "id", "actor")}
    Draft202012Validator(schema).validate(own)


def test_one_command_is_shown_with_its_fields(shared_terminal: Terminal) -> None:
    out = shared_terminal("commands", "CapturePayment").out
    assert "May be given by: account_manager, system" in out
    assert re.search(r"amount_minor +required +Amount in minor units", out)


@pytest.mark.rule("A11")
@pytest.mark.parametrize("name", ["UserRegistered", "account.UserRegistered.v1"])
def test_one_event_is_shown_by_name_or_topic_with_what_is_personal(
    shared_terminal: Terminal, name: str
) -> None:
    fields = shared_terminal("events", name, "--json").json["fields"]
    personal = {field["name"] for field in fields if field["personal"]}
    assert personal == {
        "given_name", "paternal_surname", "maternal_surname", "email", "phone", "rut",
    }  # fmt: skip
    assert (
        "account.UserRegistered.v1: A person has an account" in shared_terminal("events", name).out
    )


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does_with_an_example(
    shared_terminal: Terminal, path: tuple[str, ...]
) -> None:
    ended = shared_terminal(*path, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"Example: acta {' '.join(path)}" in ended.said


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_can_answer_in_json(shared_terminal: Terminal, path: tuple[str, ...]) -> None:
    told = shared_terminal(*path, "--help").said
    assert "--json" in told or "a JSON object on each line" in told


def test_the_line_in_the_help_of_apply_is_a_command(shared_terminal: Terminal) -> None:
    said = shared_terminal("apply", "--help").said
    (example,) = re.findall(r'\{"command".*?"account": "[^"]*"\}', said)
    assert read_line(json.dumps(json.loads(example)).encode()).command.NAME == "ConfirmPhone"


def test_without_a_command_it_shows_what_there_is() -> None:
    ended = subprocess.run([ACTA], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    for path in COMMANDS:
        assert path[0] in ended.stdout + ended.stderr


def test_help_does_not_load_the_machinery() -> None:
    """It answers at once."""
    program = (
        "import sys\n"
        "from handlers.cli import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    unwanted = {'aiohttp', 'psycopg', 'pydantic', 'phonenumbers'}\n"
        "    sys.exit(sorted(unwanted & set(sys.modules)))"
    )
    python = ACTA.with_name("python")
    ended = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.strip() == "[]"


def test_what_a_terminal_would_take_for_an_order_is_not_printed() -> None:
    assert printable("Ana\x1b[2J Peña\r") == "Ana\ufffd[2J Peña\ufffd"
