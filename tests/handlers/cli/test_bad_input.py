"""Bad input: one clear message that names the place and the mend, and nothing half-done."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import make_conninfo

from handlers.cli.arguments import parse_instant
from handlers.cli.lines import FieldFault, UnreadableLine, read_line
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from tests.conftest import TestDatabase
from tests.handlers.cli.conftest import Ended, Terminal
from tests.handlers.cli.files import (
    ANA,
    as_line,
    line,
    payment,
    phone_confirmed,
    registration,
    written,
)

# ---------------------------------------------------------------- faulty lines

CANARY = "qwxjzvkpfhbtmdlg"
CANARY_PHONE = "123456789012345"
CANARY_RUT = "98.765.432-1"


def without(content: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


FAULTY: dict[str, tuple[dict[str, Any] | bytes | str, str, str]] = {
    "not UTF-8": (f'{{"command": "{CANARY}ñ"}}'.encode("latin-1"), "is not UTF-8", "in UTF-8"),
    "UTF-16": (f'{{"command": "{CANARY}"}}'.encode("utf-16"), "is not UTF-8", "in UTF-8"),
    "not JSON": (f'{{"email": "{CANARY}"', "is not JSON", "one JSON object a line"),
    "text after it": (f'{{}} "{CANARY}"', "is not JSON", "one JSON object a line"),
    "not an object": (f'["{CANARY}"]', "is not a JSON object", "in braces"),
    "a field twice": ('{"email": "a", "email": "b"}', "the field email is given twice", "once"),
    "a value as a name, twice": (
        f'{{"{CANARY}@x.cl": 1, "{CANARY}@x.cl": 2}}', "(oddly named) is given twice", "once",
    ),
    "not a number": ('{"amount_minor": NaN}', "number that JSON does not have", "digits"),
    "a number without end": (b'{"a": ' + b"9" * 5000 + b"}", "a number too long", "a line"),
    "lists without end": (b"[" * 60_000, "lists too deep", "a line"),
    "a line without end": (b'{"a": "' + b"x" * 70_000 + b'"}', "longer than 65536", "a line"),
    "no command": (without(registration(), "command"), "command is missing", "acta commands"),
    "unknown command": (
        registration() | {"command": "RegistrUser"},
        "command RegistrUser is unknown", "Did you mean RegisterUser?",
    ),
    "a value as a command": (
        registration() | {"command": f"{CANARY}@x.cl"}, "command is unknown", "acta commands",
    ),
    "a list as a command": (registration() | {"command": []}, "command is unknown", "commands"),
    "unknown field": (
        registration(emial=f"{CANARY}@x.cl"), "emial is an unknown field", "Did you mean email?",
    ),
    "a value as a field": (
        registration() | {f"{CANARY}@x.cl": 1},
        "a field, oddly named, is unknown", "Leave it out; acta commands RegisterUser",
    ),
    "missing field": (
        without(registration(), "email"), "email is missing", "acta commands RegisterUser",
    ),
    "missing id": (without(registration(), "id"), "id is missing", "a random UUID"),
    "id without form": (registration() | {"id": CANARY}, "id is not a UUID", "32 hexadecimal"),
    "id that is null": (registration() | {"id": None}, "id is not a UUID", "32 hexadecimal"),
    "id that is a number": (registration() | {"id": 7}, "id is not a UUID", "32 hexadecimal"),
    "correlation without form": (
        registration() | {"correlation": CANARY}, "correlation is not a UUID", "32 hexadecimal",
    ),
    "missing instant": (without(registration(), "at"), "at is missing", "Give the instant"),
    "instant without offset": (
        registration() | {"at": "2026-01-31T12:00:00"},
        "at is not an instant with its offset", "2026-03-01T09:00:00-03:00",
    ),
    "instant in words": (
        registration() | {"at": CANARY}, "not an instant with its offset", "Write it such as",
    ),
    "instant in seconds": (
        registration() | {"at": 1769871600}, "not an instant with its offset", "Write it such as",
    ),
    "impossible date": (
        registration() | {"at": "2026-02-30T12:00:00-03:00"},
        "at is no such date or time", "a day and a time that exist",
    ),
    "impossible time": (
        registration() | {"at": "2026-01-31T25:00:00-03:00"},
        "at is no such date or time", "a day and a time that exist",
    ),
    "year out of reach": (
        registration() | {"at": "0001-01-01T00:00:00+14:00"}, "not a time of business", "1900",
    ),
    "missing actor": (without(registration(), "actor"), "actor is missing", '"kind": "person"'),
    "actor in words": (registration() | {"actor": CANARY}, "actor is not an object", '"kind"'),
    "unknown kind": (
        registration() | {"actor": {"kind": CANARY}}, "actor.kind is none of what", "'auditor'",
    ),
    "unknown field of the actor": (
        registration() | {"actor": {"kind": "person", "role": CANARY}},
        "actor.role is an unknown field", "Leave it out",
    ),
    "actor of no form": (
        registration() | {"actor": {"kind": "person", "who": CANARY}},
        "actor.who is not", "person:ID",
    ),
    "actor by id and e-mail": (
        registration() | {"actor": {"kind": "person", "id": str(uuid4()), "who": ANA}},
        "actor.who stands for the id", "not both",
    ),
    "staff by e-mail": (
        registration() | {"actor": {"kind": "account_manager", "who": ANA}},
        "actor.who stands for the id of a person", "not both",
    ),
    "staff without id": (
        registration() | {"actor": {"kind": "account_manager"}}, "actor.id is missing", "staff",
    ),
    "wrong check digit of a RUT": (
        registration(rut=CANARY_RUT), "rut is not a RUT: the check digit", "12.345.678-5",
    ),
    "wrong check digit of a company": (
        line("ChooseTaxDocument", account=ANA, kind="boleta", company_rut=CANARY_RUT),
        "company_rut is not a RUT", "12.345.678-5",
    ),
    "bad phone number": (
        registration(phone=CANARY_PHONE), "phone is not a mobile number", "country code",
    ),
    "phone that is a number": (registration(phone=56961234567), "phone is not text", "quotes"),
    "bad e-mail address": (
        registration(email=f"{CANARY}@"), "email is not an e-mail address", "name@example.com",
    ),
    "unknown time zone": (
        registration(time_zone=CANARY), "time_zone is not a time zone", "America/Santiago",
    ),
    "empty name": (registration(given_name=" "), "given_name is empty", "Write something"),
    "endless name": (
        registration(given_name=CANARY * 10), "given_name is too long", "at most 100",
    ),
    "account of no form": (
        phone_confirmed(CANARY), "account is not", "person:ID",
    ),
    "fraction of a minor unit": (
        payment(amount_minor=9990.5),
        "amount_minor is not a whole number of minor units", "such as 9990",
    ),
    "a whole amount with a point": (
        payment(amount_minor=9990.0),
        "amount_minor is not a whole number of minor units", "such as 9990",
    ),
    "amount in quotes": (
        payment(amount_minor="9990"),
        "amount_minor is not a whole number of minor units", "without a fraction or quotes",
    ),
    "amount of nothing": (payment(amount_minor=0), "amount_minor is too small", "more than 0"),
    "endless amount": (payment(amount_minor=10**18), "amount_minor is too large", "at most"),
    "unknown currency": (payment(currency=CANARY), "currency is none of what", "'CLP'"),
    "a card number": (
        payment(gateway_reference="4111111111111111"),
        "gateway_reference has not the form", "Its form is",
    ),
    "months that do not fit": (
        line("ChoosePaymentMethod", account=ANA, means="card", months=3),
        "a card pays 1 month at a time", "Correct it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_line_is_named_with_its_mend_and_stops_no_other(
    shared_terminal: Terminal, tmp_path: Path, case: str
) -> None:
    """What came before stays applied, what comes after is applied, and no value is repeated."""
    content, message, mend = FAULTY[case]
    who = f"{uuid4()}@example.cl"
    file = written(tmp_path, registration(who, None), content, phone_confirmed(who))
    ended = shared_terminal("apply", file)
    assert ended.status == 1
    assert "line 2: " in ended.said
    assert message in ended.said
    assert mend in ended.said
    assert "3 lines: 2 applied, 1 faulty; position" in ended.said
    assert_discreet(ended)


def test_all_faults_of_a_line_are_named_by_field(shared_terminal: Terminal, tmp_path: Path) -> None:
    content = registration(f"{CANARY}@", CANARY_RUT, phone=CANARY_PHONE, emial=CANARY)
    ended = shared_terminal("apply", written(tmp_path, content | {"at": "today"}), "--json")
    told = ended.json_lines[0]
    assert (told["outcome"], told["command"], told["id"]) == (
        "faulty", "RegisterUser", content["id"],
    )  # fmt: skip
    fields = {fault["field"] for fault in told["faults"]}
    assert fields == {"at", "email", "phone", "rut", "emial"}
    assert all(fault["message"] and fault["remedy"] for fault in told["faults"])
    assert_discreet(ended)


def test_half_a_character_is_faulty(shared_terminal: Terminal, tmp_path: Path) -> None:
    """JSON can write a surrogate alone, which no text can hold."""
    content = json.dumps(registration(given_name="\ud800")).encode()
    ended = shared_terminal("apply", written(tmp_path, content))
    assert (ended.status, "given_name is not" in ended.said) == (1, True)


def assert_discreet(ended: Ended) -> None:
    """No traceback, no personal value."""
    assert "Traceback" not in ended.said
    for canary in (CANARY, CANARY_PHONE, CANARY_RUT, CANARY_RUT.replace(".", "")):
        assert canary not in ended.said


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.sampled_from([CANARY, f"{CANARY}@", CANARY_PHONE, "2026-01-31", "", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["kind", "id", "who", CANARY + "!"]), inner, max_size=2
    ),
    max_leaves=4,
)  # fmt: skip


@given(
    st.sampled_from([registration(), payment(), phone_confirmed()]),
    st.dictionaries(
        st.sampled_from(
            ["command", "id", "at", "actor", "causation", "account", "email", "phone", "rut",
             "given_name", "amount_minor", "payment", "time_zone", "currency", CANARY + "!"]
        ),
        JSON_VALUES,
        min_size=1,
        max_size=5,
    ),
)  # fmt: skip
def test_no_line_can_surprise_the_reader(content: dict[str, Any], changes: dict[str, Any]) -> None:
    """A line is a command, or each of its faults has a mend; no value of it is repeated."""
    faults: tuple[FieldFault, ...] = ()
    try:
        read_line(json.dumps(content | changes).encode())
    except UnreadableLine as unreadable:
        faults = unreadable.faults
    assert all(fault.message and fault.remedy for fault in faults)
    assert CANARY not in str(faults)
    assert CANARY_PHONE not in str(faults)


@given(st.binary(max_size=200))
def test_no_bytes_can_surprise_the_reader(content: bytes) -> None:
    with pytest.raises(UnreadableLine) as unreadable:
        read_line(content)
    assert unreadable.value.remedy


@pytest.mark.parametrize("year", [1900, 2999])
def test_the_door_and_the_domain_take_the_same_years(year: int) -> None:
    for text in (f"{year}-01-01T00:00:00Z", f"{year}-12-31T23:59:59-12:00"):
        assert read_line(as_line(phone_confirmed() | {"at": text})).command.at == parse_instant(
            text
        )


# ---------------------------------------------------------------- what stops a command

PASSWORD = "hush-hush-7391"


def assert_stopped(ended: Ended, message: str, mend: str) -> None:
    """One message and its mend on stderr, and nothing else."""
    assert (ended.status, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert ended.err.startswith("acta: ")
    assert message in ended.said
    assert mend in ended.said
    assert PASSWORD not in ended.said
    assert_discreet(ended)


def opening(event: object = None, field: str = "email", **options: str) -> list[str]:
    """Somebody wants to read a value, with what is told in place of what is fine."""
    fine = {"actor": f"auditor:{uuid4()}", "reason": "audit"}
    given = [part for name, value in (fine | options).items() for part in (f"--{name}", value)]
    return ["open", str(event or uuid4()), field, *given]


COMMANDS: dict[str, Callable[[Path], Sequence[object]]] = {
    "apply": lambda folder: ["apply", written(folder, registration())],
    "check": lambda _: ["check", ANA, "content"],
    "billing": lambda _: ["billing", ANA],
    "history": lambda _: ["history", ANA],
    "study": lambda _: ["study", ANA],
    "erase": lambda _: ["erase", ANA, "--actor", f"account_manager:{uuid4()}", "--yes"],
    "open": lambda _: opening(),
    "status": lambda _: ["status"],
    "project": lambda _: ["project", "--once"],
    "keys rotate": lambda _: ["keys", "rotate"],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_database_that_is_not_there(
    shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    nowhere = f"postgresql://acta_application:{PASSWORD}@127.0.0.1:1/acta"
    monkeypatch.setenv("ACTA_DATABASE_URL", nowhere)
    ended = shared_terminal(*COMMANDS[name](tmp_path))
    assert_stopped(ended, "the database cannot be reached", "correct ACTA_DATABASE_URL")


def test_an_address_that_cannot_be_read(
    shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTA_DATABASE_URL", f"postgresql//{PASSWORD}")
    ended = shared_terminal("status")
    assert_stopped(ended, "address of the database cannot be read", "Write it such as")


def test_a_setting_that_cannot_be_read(
    shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTA_CONNECT_TIMEOUT_SECONDS", PASSWORD)
    assert_stopped(shared_terminal("status"), "ACTA_CONNECT_TIMEOUT_SECONDS", "Correct it")


@pytest.fixture
def terminal_on_nothing(
    server: EmbeddedServer, shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Terminal]:
    """A terminal whose settings name a database that nothing has been made in."""
    name = f"test_{uuid4().hex}"
    with connect(server.addresses.administrator) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        addresses = server.addresses
        monkeypatch.setenv("ACTA_DATABASE_URL", make_conninfo(addresses.application, dbname=name))
        monkeypatch.setenv(
            "ACTA_ADMINISTRATOR_URL", make_conninfo(addresses.administrator, dbname=name)
        )
        yield shared_terminal
        administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_database_that_has_not_been_migrated(
    terminal_on_nothing: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The mend that is named mends it."""
    monkeypatch.setenv("ACTA_KEYS", str(tmp_path / "keys"))
    ended = terminal_on_nothing("status")
    assert_stopped(ended, "not been brought to this version", "Run: acta migrate")
    assert terminal_on_nothing("migrate").status == 0
    assert terminal_on_nothing("status").status == 0


def test_a_database_of_another_version(terminal: Terminal, database: TestDatabase) -> None:
    """One of its migrations is not the one that this program knows."""
    with connect(database.administrator) as administrator:
        administrator.execute("UPDATE public.acta_migrations SET digest = 'another'")
    for arguments in (["status"], ["migrate"]):
        assert_stopped(
            terminal(*arguments), "made by another version of Acta", "Use the version of Acta"
        )


def test_a_database_ahead_of_this_program(terminal: Terminal, database: TestDatabase) -> None:
    with connect(database.administrator) as administrator:
        administrator.execute("INSERT INTO public.acta_migrations VALUES (9999, 'later', 'x')")
    assert_stopped(terminal("status"), "another version of Acta", "or a newer one")


def test_a_role_that_may_not(
    terminal: Terminal, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyst = make_conninfo(database.administrator, options="-c role=acta_analyst")
    monkeypatch.setenv("ACTA_DATABASE_URL", analyst)
    monkeypatch.setenv("ACTA_ADMINISTRATOR_URL", database.application)
    for arguments in (["status"], ["migrate"]):
        assert_stopped(terminal(*arguments), "may not do this", "in the role acta_application")


def test_migrations_without_an_administrator(
    shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTA_ADMINISTRATOR_URL")
    assert_stopped(shared_terminal("migrate"), "ACTA_ADMINISTRATOR_URL is not set", "Set it to")


@pytest.mark.parametrize("below", ["home", "keys"])
def test_a_folder_that_cannot_be_written(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, state_folder: Path, below: str
) -> None:
    """Its parent is a file, so that not even root can make it."""
    file = state_folder / f"in_the_way_of_{below}"
    file.write_text("no folder")
    folder = file / below
    if below == "home":
        monkeypatch.delenv("ACTA_DATABASE_URL")
    monkeypatch.setenv(f"ACTA_{below.upper()}", str(folder))
    ended = terminal("status")
    assert_stopped(ended, str(file), f"ACTA_{below.upper()}")


def test_a_missing_key_encryption_key(
    terminal: Terminal, database: TestDatabase, tmp_path: Path
) -> None:
    """Nothing is applied, and no new key takes its place."""
    assert terminal("status").status == 0
    (key,) = database.keys.glob("*.key")
    key.rename(tmp_path / "elsewhere")
    ended = terminal("apply", written(tmp_path, registration()))
    assert_stopped(ended, str(key), "name it with ACTA_KEYS")
    assert list(database.keys.iterdir()) == []
    (tmp_path / "elsewhere").rename(key)
    assert terminal("status", "--json").json["events"] == 0


def test_a_key_encryption_key_of_another_database(
    terminal: Terminal, database: TestDatabase
) -> None:
    assert terminal("status").status == 0
    (key,) = database.keys.glob("*.key")
    key.write_bytes(bytes(32))
    assert_stopped(terminal("status"), "does not fit this database", "folder of keys")


@pytest.mark.parametrize("command", ["check", "billing", "history", "study"])
def test_a_position_from_the_future(shared_terminal: Terminal, command: str) -> None:
    thing = ["content"] if command == "check" else []
    ended = shared_terminal(command, ANA, *thing, "--at-least", 10**9)
    assert_stopped(ended, "position 1000000000 lies beyond the head of the log", "a receipt")


def test_a_position_that_is_not_known_in_time(terminal: Terminal, tmp_path: Path) -> None:
    terminal("project", "--once")
    terminal("apply", written(tmp_path, registration()))
    for arguments in (["check", ANA, "content"], ["billing", ANA], ["history", ANA]):
        ended = terminal(*arguments, "--at-least", 1, "--deadline", 0.01)
        assert_stopped(ended, "knows up to position 0, not 1", "--deadline")


def test_read_models_that_no_projector_has_made(terminal: Terminal) -> None:
    for arguments in (["check", ANA, "content"], ["billing", ANA], ["history", ANA]):
        assert_stopped(terminal(*arguments), "no projector has run", "acta project")


BAD_ARGUMENTS: dict[str, tuple[list[str], str, str]] = {
    "whom": (["check", CANARY, "content"], "WHO cannot be read", "person:ID"),
    "whom or which plan": (["billing", CANARY], "WHO cannot be read", "account:ID or plan:ID"),
    "nobody": (["billing", f"{CANARY}@example.cl"], "nobody is meant", "person:ID"),
    "instant": (["check", ANA, "content", "--at", CANARY], "--at: not an instant", "offset"),
    "date": (
        ["check", ANA, "content", "--at", "2026-02-30T12:00:00Z"], "--at: no such date", "exist",
    ),
    "thing": (["check", ANA, CANARY], "no such thing", "content"),
    "kind": (["history", ANA, "--actor", CANARY], "--actor has no kind", "auditor"),
    "actor id": (["history", ANA, "--actor", f"auditor:{CANARY}"], "not a UUID", "hexadecimal"),
    "no actor id": (["erase", ANA, "--actor", "person"], "--actor has no id", "KIND:ID"),
    "id": (
        ["erase", ANA, "--actor", f"person:{uuid4()}", "--id", CANARY], "--id: the id is not a",
        "hexadecimal",
    ),
    "event id": (opening(CANARY), "EVENT: the id is not a UUID", "hexadecimal"),
    "field": (opening(field=CANARY), "FIELD is no personal value of any event", "email"),
    "reason": (opening(reason=CANARY), "--reason is no code that there is", "notify"),
    "no id of an asker": (opening(actor="auditor"), "--actor has no id", "KIND:ID"),
    "command": (["commands", "RegistrUser"], "no command of that name", "mean RegisterUser?"),
    "event": (["events", "PersonErazed"], "no event of that name", "mean PersonErased?"),
    "read model": (["project", "--rebuild", CANARY], "no read model of that name", "access"),
    "file": (["apply", "nowhere.jsonl"], "nowhere.jsonl cannot be read: No such file", "stdin"),
    "folder as a file": (["apply", "/"], "the file / cannot be read: Is a directory", "stdin"),
    "file of no name": (["apply", "a\0b"], "cannot be read: no such name", "stdin"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_an_argument_that_cannot_be_read(shared_terminal: Terminal, case: str) -> None:
    arguments, message, mend = BAD_ARGUMENTS[case]
    assert_stopped(shared_terminal(*arguments), message, mend)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", ANA, "content", "--at-least", "-1"],
        ["check", ANA, "content", "--at-least", "many"],
        ["check", ANA, "content", "--deadline", "-1"],
        ["erase", ANA],
        ["open", str(uuid4()), "email", "--actor", f"auditor:{uuid4()}"],
        ["unknown"],
        ["keys", "unknown"],
    ],
)
def test_wrong_usage_is_said_with_the_way_to_help(
    shared_terminal: Terminal, arguments: list[str]
) -> None:
    ended = shared_terminal(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "--help" in ended.err
    assert "Traceback" not in ended.err


def test_what_acta_itself_gets_wrong_is_one_message_too(
    terminal: Terminal, database: TestDatabase
) -> None:
    terminal("project", "--once")
    with connect(database.administrator) as administrator:
        administrator.execute("DROP TABLE projections.access_facts")
    ended = terminal("check", ANA, "content")
    assert_stopped(ended, "a fault in Acta itself: UndefinedTable at", "Please report")


@pytest.mark.parametrize("arguments", [["check", f"{CANARY}@example.cl", "content"], ["status"]])
def test_a_process_of_its_own_shows_no_traceback_either(
    terminal: Terminal, database: TestDatabase, arguments: list[str]
) -> None:
    with connect(database.administrator) as administrator:
        administrator.execute("UPDATE public.acta_migrations SET digest = 'another'")
    assert_stopped(terminal.run(*arguments), "another version", "Use the version")


def test_a_database_lost_on_the_way(
    terminal: Terminal, database: TestDatabase, tmp_path: Path
) -> None:
    """It says how far it came; the same file again does the rest, and nothing twice."""
    sent = [registration(), phone_confirmed(), phone_confirmed()]
    with terminal.start("apply", "-", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def answer_to(content: dict[str, Any]) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(as_line(content).decode())
            process.stdin.flush()
            return process.stdout.readline()

        assert all(answer_to(content) for content in sent[:2])
        close_to_all(database)
        assert answer_to(sent[2]) == ""
        _, err = process.communicate()
    ended = Ended(process.returncode, "", err)
    assert_stopped(ended, "stopped at line 3, with all before it answered", "nothing happens twice")
    open_to_all(database)
    told = terminal("apply", written(tmp_path, *sent), "--json").json_lines[:-1]
    assert [report["outcome"] for report in told] == ["already applied"] * 2 + ["applied"]


def close_to_all(database: TestDatabase) -> None:
    """As if the database went away: sessions are ended, and no new one begins."""
    _allow_connections(database, "false")


def open_to_all(database: TestDatabase) -> None:
    """The database is back."""
    _allow_connections(database, "true")


def _allow_connections(database: TestDatabase, whether: str) -> None:
    elsewhere = make_conninfo(database.administrator, dbname="postgres")
    with connect(elsewhere) as administrator:
        administrator.execute(
            f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS {whether}'.encode()
        )
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (database.name,),
        )
