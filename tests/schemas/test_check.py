"""``acta schemas check`` itself, on copies of the project in each of which one thing is wrong.

A copy is a whole project whose code runs, so a fault may stand in a class as well as in a file.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.contracts import PROJECT

ACTA = Path(sys.executable).with_name("acta")
FOLDERS = ("domain", "handlers", "projections", "schemas", "docs", "tests/schemas/golden")
REGISTERED = "account.UserRegistered.v1"
FILE = "schemas/account/UserRegistered.v1.avsc"
GOLDEN = f"tests/schemas/golden/{REGISTERED}.json"
CLASS_DIFFERS = f"{FILE}: it is published, and the event class differs"
EDITED = f"{FILE}: it is published, and was edited; bring it back from version control"
FILE_V2 = "schemas/subscription/SubscriptionStarted.v2.avsc"

Fault = Callable[[Path], None]


def copy_of_the_project(place: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(
            PROJECT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    return place


def check(project: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command with the code of the copy."""
    environment = os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [ACTA, "schemas", "check"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def replace(file: str, old: str, new: str) -> Fault:
    """Changes text in a file of the copy: a slip of a hand."""

    def change(project: Path) -> None:
        path = project / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} has changed, and this fault with it"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def edit(file: str, change: Callable[[Any], object]) -> Fault:
    """Changes a JSON file of the copy."""

    def make(project: Path) -> None:
        content = json.loads((project / file).read_text(encoding="utf-8"))
        change(content)
        (project / file).write_text(f"{json.dumps(content, indent=2)}\n", encoding="utf-8")

    return make


def remove(file: str) -> Fault:
    return lambda project: (project / file).unlink()


def copy_to(file: str) -> Fault:
    def copy(project: Path) -> None:
        shutil.copy(project / FILE, project / file)

    return copy


def field(schema: Any, name: str) -> Any:
    return next(field for field in schema["fields"] if field["name"] == name)


def raise_version(project: Path) -> None:
    """A second version of an event, of which only the class is there."""
    replace(
        "domain/account.py",
        "class PasswordSet(AccountFact):",
        "class PasswordSet(AccountFact, version=2):",
    )(project)


def stricter_class(project: Path) -> None:
    """The schema stays the same, and what was written can no longer be read."""
    file, last = "domain/account.py", "from uuid import UUID"
    replace(file, last, f"{last}\n\nfrom pydantic import Field")(project)
    replace(file, "    language: str", "    language: Annotated[str, Field(max_length=1)]")(project)


@dataclass(frozen=True)
class Case:
    """A fault, and what the command has to say."""

    name: str
    fault: Fault
    said: str


IN_A_CLASS = [
    Case(
        "a sealed mark says another purpose",
        replace(
            "domain/account.py",
            "    email: Annotated[PersonalText, IDENTITY]",
            '    email: Annotated[PersonalText, Personal(of="person", purpose=Purpose.TAX)]',
        ),
        f"{CLASS_DIFFERS}, the mark acta.personal of email changed;",
    ),
    Case(
        "bytes become string",
        replace(
            "domain/account.py",
            "    email: Annotated[PersonalText, IDENTITY]",
            "    email: str",
        ),
        f"{CLASS_DIFFERS}, the type of email changed, the mark acta.personal of email changed;",
    ),
    Case(
        "string becomes bytes",
        replace(
            "domain/account.py",
            "    language: str",
            "    language: Annotated[PersonalText, IDENTITY]",
        ),
        f"{CLASS_DIFFERS}, the type of language changed,"
        " the mark acta.personal of language changed;",
    ),
    Case(
        "a logical type is gone",
        replace("domain/event.py", "    person: UUID", "    person: str"),
        f"{CLASS_DIFFERS}, the logical type of person changed;",
    ),
    Case(
        "a field is gone",
        replace(
            "domain/study_history.py",
            '    content: str\n    """Code of the content."""',
            "    pass",
        ),
        "the event class differs, the field content was removed;",
    ),
    Case(
        "a new field is not optional",
        replace(
            "domain/account.py",
            "    language: str",
            '    age: int\n    """Age."""\n    language: str',
        ),
        f"{CLASS_DIFFERS}, the new field age is not optional with the default null;",
    ),
    Case(
        "a docstring of what is published",
        replace("domain/account.py", '"""The user code (A5)."""', '"""The user code."""'),
        f"{CLASS_DIFFERS}; take the change to the event class back, or raise its version=",
    ),
    Case(
        "a new event has no contract",
        replace(
            "domain/account.py",
            "class PasswordSet(AccountFact):",
            'class AccountPainted(AccountFact):\n    """It has a colour."""\n\n\n'
            "class PasswordSet(AccountFact):",
        ),
        "schemas/account/AccountPainted.v1.avsc: the event has no file; run acta schemas write",
    ),
    Case(
        "a new version has no contract",
        raise_version,
        "schemas/account/PasswordSet.v2.avsc: the event has no file; run acta schemas write",
    ),
    Case(
        "a field of a type that has no contract",
        replace("domain/study_history.py", "    content: str", "    content: float"),
        "schemas/study_history/ContentStudied.v1.avsc:"
        " the field content is of a type that has no place in a contract;",
    ),
    Case(
        "a new field without words",
        replace(
            "schemas/entries.py",
            '"""What the gateway or the bank calls the payment; never a card number."""',
            '""" """',
        ),
        "schemas/entries/Entry.v2.avsc: Entry.gateway_reference is not described;",
    ),
    Case(
        "the entry was changed and not written",
        replace("schemas/entries.py", '"""What happened."""', '"""What happened to it."""'),
        "schemas/entries/Entry.v2.avsc: it",
    ),
    Case(
        "a class that no longer reads what was written",
        stricter_class,
        f"{GOLDEN}: it no longer reads (ValidationError);",
    ),
]

IN_A_FILE = [
    Case("a published file was edited", edit(FILE, lambda s: s.update(doc="Else.")), EDITED),
    Case("one byte more", replace(FILE, "\n", "\n\n"), EDITED),
    Case(
        "a mark taken out of a published file",
        edit(FILE, lambda s: field(s, "email").pop("acta.personal")),
        EDITED,
    ),
    Case(
        "a published file is gone",
        remove(FILE),
        f"{FILE}: it is published, and missing; bring it back from version control",
    ),
    Case(
        "a file of no event",
        copy_to("schemas/account/Odd.v1.avsc"),
        "schemas/account/Odd.v1.avsc: it belongs to no event; remove it",
    ),
    Case(
        "versions that do not fit",
        edit(FILE_V2, lambda s: field(s, "time_zone").update(type="bytes")),
        f"{FILE_V2}: as against subscription.SubscriptionStarted.v1,"
        " the type of time_zone changed; make it a new event instead",
    ),
    Case(
        "a published version struck from the list",
        edit("schemas/published.json", lambda p: p.pop("subscription.SubscriptionStarted.v1")),
        "schemas/subscription/SubscriptionStarted.v1.avsc: a newer version exists,"
        " and this one was never published;",
    ),
    Case(
        "the list of published versions cannot be read",
        replace("schemas/published.json", "{", "["),
        "schemas/published.json: it cannot be read as what it is;",
    ),
    Case(
        "a golden file is missing",
        remove(GOLDEN),
        f"{GOLDEN}: the version is published without a golden file;",
    ),
    Case(
        "the log's bytes in a golden file no longer read",
        edit(GOLDEN, lambda g: g.update(payload=g["payload"].replace("occurred_at", "when"))),
        f"{GOLDEN}: it no longer reads (ValidationError);",
    ),
    Case(
        "the topic's bytes in a golden file no longer read",
        edit(GOLDEN, lambda g: g.update(avro=g["avro"][:20])),
        f"{GOLDEN}: it no longer reads (",
    ),
    Case(
        "a golden file says something else",
        edit(GOLDEN, lambda g: g["opened"].update(language="en")),
        f"{GOLDEN}: it reads otherwise than it says;",
    ),
    Case(
        "an id is missing",
        edit("schemas/ids.json", lambda ids: ids.pop(REGISTERED)),
        f"schemas/ids.json: {REGISTERED} has no id; run acta schemas write",
    ),
    Case(
        "an id is doubled",
        edit("schemas/ids.json", lambda ids: ids.update({REGISTERED: ids["entries.Entry.v1"]})),
        f"schemas/ids.json: {REGISTERED} and entries.Entry.v1 have the same id,",
    ),
    Case(
        "an id of no contract",
        edit("schemas/ids.json", lambda ids: ids.update({"account.Odd.v1": 4711})),
        "schemas/ids.json: account.Odd.v1 is no contract; take its line out",
    ),
    Case(
        "a published id changed",
        edit("schemas/ids.json", lambda ids: ids.update({REGISTERED: 4711})),
        f"schemas/ids.json: {REGISTERED} was published with the id 12, and has 4711;",
    ),
    Case(
        "the catalogue is out of date",
        replace("docs/events.md", "# Events", "# Facts"),
        "docs/events.md: it differs from the event classes; run acta schemas write",
    ),
    Case(
        "the AsyncAPI document is out of date",
        replace("docs/asyncapi.yaml", "retention.ms: -1", "retention.ms: 1"),
        "docs/asyncapi.yaml: it differs from the event classes; run acta schemas write",
    ),
    Case(
        "the AsyncAPI document is gone",
        remove("docs/asyncapi.yaml"),
        "docs/asyncapi.yaml: it differs from the event classes; run acta schemas write",
    ),
]


def test_a_copy_of_the_project_holds(tmp_path: Path) -> None:
    """Where nothing is wrong the command says so, and its code is the copy's."""
    ended = check(copy_of_the_project(tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the contracts hold\n", "")


@pytest.mark.parametrize("case", IN_A_CLASS + IN_A_FILE, ids=lambda case: str(case.name))
def test_a_fault_is_told_and_fails_the_check(case: Case, tmp_path: Path) -> None:
    """Status 1, a line that names file, fault and mend, and no traceback."""
    project = copy_of_the_project(tmp_path)
    case.fault(project)
    ended = check(project)
    assert ended.returncode == 1, ended.stderr
    assert any(case.said in line for line in ended.stdout.splitlines()), ended.stdout
    assert ended.stderr == ""


def test_make_check_is_what_runs_it() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert "$(BIN)/acta schemas check" in makefile.partition("\ncheck:")[2].partition("\n\n")[0]
