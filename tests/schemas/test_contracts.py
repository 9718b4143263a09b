"""The contract files: written, published, frozen, and checked (decision 12)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import StringConstraints
from typer.testing import CliRunner, Result

from domain.account import UserRegistered
from domain.event import Event, EventOfAccount
from domain.personal import Personal, PersonalText, Purpose
from handlers.cli.schemas import app
from handlers.faults import InvalidInput
from schemas.avro import PERSONAL, Schema, avsc
from schemas.contracts import ContractBroken, Contracts, known_events
from schemas.entries import Entry
from tests.schemas.make_golden import make

REGISTERED = UserRegistered.TOPIC
FILE = "schemas/account/UserRegistered.v1.avsc"


@pytest.fixture
def first_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of a test's own begins with the first version of the entry."""
    monkeypatch.setattr(Entry, "VERSION", 1)
    monkeypatch.setattr(Entry, "TOPIC", "entries.Entry.v1")


@pytest.fixture
def blank(tmp_path: Path) -> Contracts:
    """A project where nothing is written yet but what older versions were published as."""
    project, copy = Contracts(), Contracts(tmp_path)
    current = {cls.TOPIC for cls in project.classes}
    older = {topic: frozen for topic, frozen in project.published().items() if topic not in current}
    for topic in older:
        for kept, place in (
            (project.file(topic), copy.file(topic)),
            (project.golden(topic), copy.golden(topic)),
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(kept.read_bytes())
    listed = {topic: frozen._asdict() for topic, frozen in older.items()}
    (tmp_path / "schemas" / "published.json").write_text(json.dumps(listed), encoding="utf-8")
    return copy


@pytest.fixture
def contracts(blank: Contracts) -> Contracts:
    """A copy of the project's contracts, as published, to be tampered with."""
    copy = blank
    copy.write()
    copy.publish()
    list(make(copy))
    return copy


def said(contracts: Contracts) -> list[str]:
    """What check says, a line each."""
    return [str(problem) for problem in contracts.problems()]


def edit(contracts: Contracts, topic: str, change: Callable[[Schema], None]) -> None:
    """Edits a schema file by hand."""
    schema = contracts.schema(topic)
    change(schema)
    contracts.file(topic).write_text(f"{json.dumps(schema, indent=2)}\n", encoding="utf-8")


def field(schema: Schema, name: str) -> dict[str, Any]:
    return next(field for field in schema["fields"] if field["name"] == name)


# ---------------------------------------------------------------- the project as it is


def test_the_contracts_of_the_project_hold() -> None:
    """The very check that is part of make check."""
    assert said(Contracts()) == []


def test_every_module_of_the_domain_is_looked_through() -> None:
    assert {cls.AGGREGATE for cls in known_events()} >= {"account", "study_history", "subscription"}


def test_a_fresh_copy_holds(contracts: Contracts) -> None:
    assert said(contracts) == []


# ---------------------------------------------------------------- writing


def test_writing_twice_writes_once(tmp_path: Path) -> None:
    first = Contracts(tmp_path).write()
    documents = {"schemas/ids.json", "docs/events.md", "docs/asyncapi.yaml"}
    assert set(first) >= {FILE, "schemas/entries/Entry.v2.avsc", *documents}
    assert len(first) == len(Contracts().classes) + len(documents)
    assert Contracts(tmp_path).write() == []


def test_a_file_that_is_not_published_is_written_anew(blank: Contracts) -> None:
    contracts = blank
    contracts.write()
    edit(contracts, REGISTERED, lambda schema: schema.update(doc="Other words."))
    assert said(contracts) == [
        f"{FILE}: it differs from the event class; run acta schemas write",
    ]
    assert contracts.write() == [FILE]
    assert said(contracts) == []


def test_an_event_without_a_file_is_told(blank: Contracts) -> None:
    contracts = blank
    contracts.write()
    contracts.file(REGISTERED).unlink()
    assert said(contracts) == [f"{FILE}: the event has no file; run acta schemas write"]


def test_a_published_file_that_was_edited_comes_back_by_writing(contracts: Contracts) -> None:
    """The class still says what was published, so nothing is lost."""
    edit(contracts, REGISTERED, lambda schema: schema["fields"].pop())
    assert contracts.write() == [FILE]
    assert said(contracts) == []


def test_the_catalogue_names_every_event_and_field(contracts: Contracts) -> None:
    text = (contracts.project / "docs" / "events.md").read_text(encoding="utf-8")
    for cls in contracts.classes:
        assert f"### {cls.__name__}\n" in text
        assert f"(../schemas/{cls.AGGREGATE}/{cls.__name__}.v{cls.VERSION}.avsc)" in text
        for name in cls.model_fields:
            assert f"| `{name}` |" in text
    assert "| `email` | bytes; *sealed* for `person`, identity | The user code (A5). |" in text


def test_a_catalogue_edited_by_hand_is_told(contracts: Contracts) -> None:
    (contracts.project / "docs" / "events.md").write_text("# Nothing happens\n", encoding="utf-8")
    assert said(contracts) == [
        "docs/events.md: it differs from the event classes; run acta schemas write"
    ]


# ---------------------------------------------------------------- what is published is frozen


def test_a_published_file_is_not_edited(contracts: Contracts) -> None:
    edit(contracts, REGISTERED, lambda schema: schema.update(doc="Other words."))
    assert said(contracts) == [
        f"{FILE}: it is published, and was edited; bring it back from version control"
    ]


def test_a_published_file_is_not_removed(contracts: Contracts) -> None:
    contracts.file(REGISTERED).unlink()
    assert said(contracts) == [
        f"{FILE}: it is published, and missing; bring it back from version control"
    ]


def test_a_published_version_keeps_its_golden_file(contracts: Contracts) -> None:
    contracts.golden(REGISTERED).unlink()
    (line,) = said(contracts)
    assert line == (
        "tests/schemas/golden/account.UserRegistered.v1.json: the version is published without a"
        " golden file; run python -m tests.schemas.make_golden"
    )


def test_a_file_of_no_event_is_told(contracts: Contracts) -> None:
    contracts.file("account.UserForgotten.v1").write_text(avsc(UserRegistered), encoding="utf-8")
    assert said(contracts) == [
        "schemas/account/UserForgotten.v1.avsc: it belongs to no event; remove it"
    ]


def test_a_published_event_is_not_taken_away(contracts: Contracts) -> None:
    fewer = Contracts(contracts.project, [e for e in contracts.events if e is not UserRegistered])
    fewer.write()
    assert said(fewer) == [f"{FILE}: it belongs to no event; bring the event class back"]


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "string"}'])
def test_a_file_that_holds_no_schema_is_told(contracts: Contracts, content: str) -> None:
    contracts.file(REGISTERED).write_text(content, encoding="utf-8")
    assert any(
        line.startswith(f"{FILE}: it cannot be read as what it is;") for line in said(contracts)
    )


def test_a_list_of_published_versions_that_cannot_be_read_is_told(contracts: Contracts) -> None:
    (contracts.project / "schemas" / "published.json").write_text("[", encoding="utf-8")
    assert said(contracts) == [
        "schemas/published.json: it cannot be read as what it is; bring it back, or write it anew"
    ]


def test_nothing_is_published_while_something_is_wrong(contracts: Contracts) -> None:
    before = contracts.published()
    contracts.file(REGISTERED).unlink()
    with pytest.raises(ContractBroken, match="missing"):
        contracts.publish()
    assert contracts.published() == before


# ---------------------------------------------------------------- each contract has an id


def ids_in(contracts: Contracts) -> dict[str, int]:
    ids: dict[str, int] = json.loads(
        (contracts.project / "schemas" / "ids.json").read_text(encoding="utf-8")
    )
    return ids


def set_ids(contracts: Contracts, ids: object) -> None:
    path = contracts.project / "schemas" / "ids.json"
    path.write_text(ids if isinstance(ids, str) else json.dumps(ids), encoding="utf-8")


def test_every_contract_file_has_an_id_of_its_own(contracts: Contracts) -> None:
    ids = contracts.ids()
    assert {*ids} == {*contracts.topics()}
    assert len({*ids.values()}) == len(ids)
    assert min(ids.values()) >= 1
    assert [contracts.schema_id(topic) for topic in ids] == [*ids.values()]


def test_ids_that_were_given_stay_and_a_new_contract_gets_the_next(fence: Contracts) -> None:
    before = fence.ids()
    newer = Contracts(fence.project, [painted_in_a_newer_version()])
    newer.write()
    assert newer.ids() == before | {"fence.Painted.v2": max(before.values()) + 1}


def test_a_lock_file_that_is_lost_comes_back_with_the_published_ids(contracts: Contracts) -> None:
    before = contracts.ids()
    (contracts.project / "schemas" / "ids.json").unlink()
    assert contracts.write() == ["schemas/ids.json"]
    assert contracts.ids() == before


def test_the_versions_of_a_fact_are_listed_the_oldest_first(contracts: Contracts) -> None:
    topics = contracts.topics()
    first = topics.index("subscription.SubscriptionStarted.v1")
    assert topics[first + 1] == "subscription.SubscriptionStarted.v2"


def test_a_contract_without_an_id_is_told(contracts: Contracts) -> None:
    ids = ids_in(contracts)
    del ids[REGISTERED]
    set_ids(contracts, ids)
    assert said(contracts) == [
        f"schemas/ids.json: {REGISTERED} has no id; run acta schemas write",
    ]


def test_an_id_that_two_contracts_have_is_told(blank: Contracts) -> None:
    blank.write()
    set_ids(blank, ids_in(blank) | {REGISTERED: ids_in(blank)["entries.Entry.v2"]})
    (line,) = said(blank)
    assert f"{REGISTERED} and entries.Entry.v2 have the same id" in line


def test_an_id_of_no_contract_is_told(contracts: Contracts) -> None:
    set_ids(contracts, ids_in(contracts) | {"account.UserForgotten.v1": 4711})
    assert said(contracts) == [
        "schemas/ids.json: account.UserForgotten.v1 is no contract; take its line out"
    ]


def test_an_id_that_was_published_does_not_change(contracts: Contracts) -> None:
    was = ids_in(contracts)[REGISTERED]
    set_ids(contracts, ids_in(contracts) | {REGISTERED: 4711})
    (line,) = said(contracts)
    assert line == (
        f"schemas/ids.json: {REGISTERED} was published with the id {was}, and has 4711;"
        " bring it back from version control"
    )


@pytest.mark.parametrize("number", [0, -1, 2**31, True, "1", 1.5, None])
def test_what_is_no_id_is_told(contracts: Contracts, number: object) -> None:
    set_ids(contracts, ids_in(contracts) | {REGISTERED: number})
    (line,) = said(contracts)
    assert line == (
        f"schemas/ids.json: the id of {REGISTERED} is no number that an id can be;"
        " bring it back from version control"
    )


@pytest.mark.parametrize("content", ["{", "[]", '{"a.B.v1": 1, "a.B.v1": 2}'])
def test_a_lock_file_that_cannot_be_read_is_told(contracts: Contracts, content: str) -> None:
    set_ids(contracts, content)
    assert said(contracts) == [
        "schemas/ids.json: it cannot be read as what it is; bring it back, or write it anew"
    ]


# ---------------------------------------------------------------- golden files still read


def golden_of(contracts: Contracts, topic: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(contracts.golden(topic).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("payload", "{", "it no longer reads"),
        ("avro", "00", "it no longer reads"),
        ("avro", "no bytes", "it no longer reads"),
        ("opened", {}, "it reads otherwise than it says"),
    ],
)
def test_a_golden_file_that_no_longer_reads_is_told(
    contracts: Contracts, part: str, value: object, told: str
) -> None:
    content = golden_of(contracts, REGISTERED) | {part: value}
    contracts.golden(REGISTERED).write_text(json.dumps(content), encoding="utf-8")
    (line,) = said(contracts)
    assert line.startswith(f"tests/schemas/golden/{REGISTERED}.json: {told}")


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_golden_file_that_is_none_is_told(contracts: Contracts, content: str) -> None:
    contracts.golden(REGISTERED).write_text(content, encoding="utf-8")
    (line,) = said(contracts)
    assert "it no longer reads" in line


def test_a_golden_file_whose_two_forms_differ_is_told(contracts: Contracts) -> None:
    content = golden_of(contracts, REGISTERED)
    content["payload"] = content["payload"].replace('"language":"es"', '"language":"en"')
    content["opened"]["language"] = "en"
    contracts.golden(REGISTERED).write_text(json.dumps(content), encoding="utf-8")
    (line,) = said(contracts)
    assert "for a topic does not read as what it holds for the log" in line


def test_a_class_that_became_stricter_than_its_contract_is_told(fence: Contracts) -> None:
    """The schema is the same, and yet what was written can no longer be read."""
    stricter = Contracts(fence.project, [painted_by_the_rules()])
    assert avsc(stricter.events[0]) == avsc(fence.events[0])
    (line,) = said(stricter)
    assert line.startswith("tests/schemas/golden/fence.Painted.v1.json: it no longer reads (Valid")


# ---------------------------------------------------------------- fields are described


@pytest.mark.usefixtures("throw_away_registry")
@pytest.mark.usefixtures("first_entry")
def test_a_field_without_words_is_told(tmp_path: Path) -> None:
    class WallFact(EventOfAccount, aggregate="wall"):
        """What all facts about a wall carry."""

    class Built(WallFact):
        """The wall stands."""

        stones: int

    contracts = Contracts(tmp_path, [Built])
    contracts.write()
    (line,) = said(contracts)
    assert line == (
        "schemas/wall/Built.v1.avsc: Built.stones is not described;"
        " give it a docstring, and run acta schemas write"
    )


# ---------------------------------------------------------------- versions of one fact

PAINTER = Personal(of="person", purpose=Purpose.IDENTITY)


def painted() -> type[Event]:
    """An event as it was first published."""

    class FenceFact(EventOfAccount, aggregate="fence"):
        """What all facts about a fence carry."""

    class Painted(FenceFact):
        """The fence has a colour."""

        colour: str
        """The colour."""
        painter: Annotated[PersonalText, PAINTER]
        """Who painted it."""

    return Painted


def painted_in_a_newer_version() -> type[Event]:
    """The same event later, with something added."""

    class Painted(painted(), version=2):  # type: ignore[call-arg, misc]  # made anew each time
        """The fence has a colour."""

        note: Annotated[PersonalText | None, PAINTER] = None
        """What else was said."""

    return Painted


def painted_by_the_rules() -> type[Event]:
    """The same event later, in whose class not every colour is a colour."""

    class Painted(painted()):  # type: ignore[misc]  # made anew each time
        """The fence has a colour."""

        colour: Annotated[str, StringConstraints(pattern="^#[0-9a-f]{6}$")]
        """The colour."""

    return Painted


def painted_otherwise() -> type[Event]:
    """The same event, changed and not raised."""

    class Painted(painted()):  # type: ignore[misc]  # made anew each time
        """The fence has a colour."""

        coats: int
        """How many times."""

    return Painted


@pytest.fixture
def fence(tmp_path: Path, throw_away_registry: None, first_entry: None) -> Contracts:  # noqa: ARG001  for their effect
    """The contracts of one event, published."""
    contracts = Contracts(tmp_path, [painted()])
    contracts.write()
    contracts.publish()
    list(make(contracts))
    return contracts


def test_a_published_event_grows_by_a_new_version(fence: Contracts) -> None:
    """The first version stays as it is beside the second."""
    newer = Contracts(fence.project, [painted_in_a_newer_version()])
    assert newer.write() == [
        "schemas/fence/Painted.v2.avsc", "schemas/ids.json", "docs/events.md", "docs/asyncapi.yaml",
    ]  # fmt: skip
    assert said(newer) == []
    assert newer.publish() == ["fence.Painted.v2"]
    assert {*newer.published()} == {"fence.Painted.v1", "fence.Painted.v2", "entries.Entry.v1"}
    assert newer.publish() == []


def test_a_published_event_does_not_change(fence: Contracts) -> None:
    """Writing refuses, says what to do instead, and leaves every file as it is."""
    before = {path: path.read_bytes() for path in fence.project.rglob("*.*")}
    changed = Contracts(fence.project, [painted_otherwise()])
    with pytest.raises(ContractBroken, match="raise its version=") as failure:
        changed.write()
    assert {path: path.read_bytes() for path in fence.project.rglob("*.*")} == before
    assert failure.value.problems[0] in changed.problems()


@pytest.mark.usefixtures("throw_away_registry")
@pytest.mark.usefixtures("first_entry")
def test_no_version_is_skipped(tmp_path: Path) -> None:
    """A version is raised only after the one before it was published."""
    contracts = Contracts(tmp_path, [painted_in_a_newer_version()])
    contracts.write()
    (line,) = said(contracts)
    assert line == (
        "schemas/fence/Painted.v1.avsc: a newer version exists, and this one was never published;"
        " lower version= of Painted, or publish this one first"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda schema: field(schema, "painter").pop(PERSONAL),
            "the mark acta.personal of painter changed",
        ),
        (
            lambda schema: field(schema, "painter").update(type="string"),
            "the type of painter changed",
        ),
        (
            lambda schema: schema["fields"].remove(field(schema, "colour")),
            "the field colour was removed",
        ),
        (
            lambda schema: field(schema, "person").update(type="string"),
            "the logical type of person changed",
        ),
        (
            lambda schema: field(schema, "note").update(type="bytes"),
            "the new field note is not optional with the default null",
        ),
    ],
    ids=["sealed mark", "bytes to string", "removed", "logical type", "required"],
)
def test_a_newer_version_that_breaks_readers_is_told(
    fence: Contracts, change: Callable[[Schema], None], words: str
) -> None:
    newer = Contracts(fence.project, [painted_in_a_newer_version()])
    newer.write()
    edit(newer, "fence.Painted.v2", change)
    file = "schemas/fence/Painted.v2.avsc"
    assert said(newer) == [
        f"{file}: it differs from the event class; run acta schemas write",
        f"{file}: as against fence.Painted.v1, {words}; make it a new event instead",
    ]


# ---------------------------------------------------------------- at the terminal


def run(contracts: Contracts, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--project", str(contracts.project)])


def test_check_says_that_all_is_well(contracts: Contracts) -> None:
    result = run(contracts, "check")
    assert (result.exit_code, result.stdout) == (0, "the contracts hold\n")
    assert json.loads(run(contracts, "check", "--json").stdout) == {"problems": []}


def test_check_names_file_and_mend_and_fails(contracts: Contracts) -> None:
    contracts.file(REGISTERED).unlink()
    result = run(contracts, "check")
    assert result.exit_code == 1
    assert result.stdout == (
        f"{FILE}: it is published, and missing; bring it back from version control\n"
    )
    as_json = run(contracts, "check", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout) == {
        "problems": [
            {
                "file": FILE,
                "message": "it is published, and missing",
                "mend": "bring it back from version control",
            }
        ]
    }


def test_write_and_publish_say_what_they_did(blank: Contracts) -> None:
    contracts = blank
    assert FILE in json.loads(run(contracts, "write", "--json").stdout)["written"]
    assert run(contracts, "write").stdout == "nothing to write\n"
    assert REGISTERED in run(contracts, "publish").stdout.splitlines()
    assert json.loads(run(contracts, "publish", "--json").stdout) == {"published": []}


def test_write_refuses_to_change_what_is_published(contracts: Contracts) -> None:
    """A fault with one message and what to do, as for all commands."""
    path = contracts.project / "schemas" / "published.json"
    published = json.loads(path.read_text(encoding="utf-8"))
    published[REGISTERED]["sha256"] = "0" * 64
    path.write_text(json.dumps(published), encoding="utf-8")
    fault = run(contracts, "write").exception
    assert isinstance(fault, InvalidInput)
    assert fault.message == f"{FILE}: it is published, and the event class differs"
    assert "raise its version=" in fault.remedy


def test_publish_refuses_while_something_is_wrong(contracts: Contracts) -> None:
    for topic in [*contracts.published()][:3]:
        contracts.file(topic).unlink()
    fault = run(contracts, "publish").exception
    assert isinstance(fault, InvalidInput)
    assert "and 2 more: see acta schemas check" in fault.message
