"""What import-linter cannot hold: names, purity, and that the tree belongs to no one machine."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("domain", "projections", "schemas", "handlers")
PURE = ("domain", "projections", "schemas")
ENVIRONMENT_READER = "handlers/settings.py"

NAMES_THAT_SAY_NOTHING = {
    "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
}  # fmt: skip

# Each name stands for everything below it too.
ENVIRONMENT = (
    "os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "pydantic_settings",
)  # fmt: skip
CLOCK_AND_CHANCE = (
    "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today",
    "datetime.datetime.utcnow", "os.getrandom", "os.urandom", "random", "secrets", "time",
    "uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7",
)  # fmt: skip

INPUT_AND_OUTPUT = {
    "asyncio", "builtins", "concurrent", "ctypes", "ftplib", "glob", "http", "imaplib", "importlib",
    "io", "locale", "logging", "mmap", "multiprocessing", "os", "pathlib", "poplib", "random",
    "secrets", "select", "selectors", "shelve", "shutil", "signal", "smtplib", "socket",
    "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib", "webbrowser",
}  # fmt: skip
DOMAIN_MAY_IMPORT = (set(sys.stdlib_module_names) - INPUT_AND_OUTPUT) | {
    "domain", "email_validator", "idna", "phonenumbers", "pydantic", "pydantic_core", "stdnum",
    "typing_extensions",
}  # fmt: skip

# Put together here, so that this file does not hold what it looks for.
PACKAGE_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
    )
)


@cache
def files_in_the_tree() -> tuple[Path, ...]:
    """What git has or would take, as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = sorted(set(listed.stdout.split("\0")) - {""})
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def python_files(*folders: str) -> list[Path]:
    return [
        path for path in files_in_the_tree() if path.suffix == ".py" and path.parts[0] in folders
    ]


def as_tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def names_used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each imported thing that is named, by its full name and whatever it was imported as."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    local = name.asname or name.name.partition(".")[0]
                    imported[local] = name.name if name.asname else local
                    yield node.lineno, name.name
            case ast.ImportFrom(module=str(module), names=names):
                for name in names:
                    imported[name.asname or name.name] = f"{module}.{name.name}"
                    yield node.lineno, f"{module}.{name.name}"
            case _:
                pass
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            if first in imported:
                yield node.lineno, ".".join([imported[first], *rest])


def banned_among(names: Iterator[tuple[int, str]], banned: tuple[str, ...]) -> list[str]:
    return [
        f"line {line}: {name}"
        for line, name in names
        if any(f"{name}.".startswith(f"{banned_name}.") for banned_name in banned)
    ]


def places_of(pattern: re.Pattern[str]) -> list[str]:
    places: list[str] = []
    for path in files_in_the_tree():
        content = (ROOT / path).read_bytes()
        if b"\0" in content:
            continue
        lines = content.decode("utf-8", errors="replace").splitlines()
        places += [
            f"{path}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(lines, start=1)
            if pattern.search(line)
        ]
    return places


def test_every_file_and_folder_has_a_name_that_says_something() -> None:
    silent = [
        str(path)
        for path in files_in_the_tree()
        if NAMES_THAT_SAY_NOTHING & {part.partition(".")[0].lower() for part in path.parts}
    ]
    assert silent == []


def test_every_folder_of_tests_is_a_package() -> None:
    """Without it tests/domain would stand before domain."""
    folders = {parent for path in python_files("tests") for parent in path.parents} - {Path()}
    missing = [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
    assert missing == []


@pytest.mark.parametrize("path", python_files(*PURE), ids=str)
def test_domain_projections_and_schemas_ask_neither_clock_nor_chance(path: Path) -> None:
    """Time and ids are given: the same events make the same state, on any day."""
    assert banned_among(names_used(as_tree(path)), CLOCK_AND_CHANCE) == []


@pytest.mark.parametrize("path", python_files("domain"), ids=str)
def test_domain_imports_only_what_its_own_field_needs(path: Path) -> None:
    imported = {name.partition(".")[0] for _, name in names_used(as_tree(path))}
    assert imported - DOMAIN_MAY_IMPORT == set()


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path.as_posix(): found
        for path in python_files(*PRODUCT)
        if (found := banned_among(names_used(as_tree(path)), ENVIRONMENT))
    }
    readers.pop(ENVIRONMENT_READER, None)
    assert readers == {}


@pytest.mark.parametrize(
    "source",
    [
        "import datetime\ndatetime.datetime.now()",
        "import datetime as clock\nclock.datetime.now(clock.UTC)",
        "from datetime import datetime\nField(default_factory=datetime.now)",
        "from datetime import datetime as moment\nmoment.utcnow()",
        "from datetime import date\ndate.today()",
        "import time\ntime.monotonic()",
        "from time import time\ntime()",
        "import random\nrandom.random()",
        "from random import choice",
        "from uuid import uuid4\nuuid4()",
        "import uuid\nid = uuid.uuid4",
        "import secrets",
        "import os\nos.urandom(16)",
    ],
)
def test_clock_and_chance_are_seen_in_every_spelling(source: str) -> None:
    assert banned_among(names_used(ast.parse(source)), CLOCK_AND_CHANCE) != []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['HOME']",
        "from os import environ as surroundings\nsurroundings.get('HOME')",
        "import os as system\nsystem.getenv('HOME')",
        "from pydantic_settings import BaseSettings",
    ],
)
def test_reading_the_environment_is_seen_in_every_spelling(source: str) -> None:
    assert banned_among(names_used(ast.parse(source)), ENVIRONMENT) != []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime, time\ndatetime.fromisoformat(given)\ntime.min",
        "from uuid import UUID, uuid5\nuuid5(namespace, name)",
        "command.now()\nself.time.time()",
    ],
)
def test_time_that_is_given_is_no_clock(source: str) -> None:
    assert banned_among(names_used(ast.parse(source)), CLOCK_AND_CHANCE) == []


def test_no_file_holds_a_path_of_one_machine() -> None:
    homes = {re.escape(f"{Path.home().as_posix()}/")} if Path.home() != Path("/") else set[str]()
    checkout = re.escape(ROOT.as_posix())
    assert places_of(re.compile("|".join([r"/(?:home|Users)/\w", checkout, *homes]))) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert places_of(re.compile("|".join(re.escape(host) for host in PACKAGE_HOSTS))) == []
