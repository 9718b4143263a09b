"""``acta parked``, and what other commands say of parked streams (X6)."""

from uuid import uuid4

import pytest
from eventsourcing.persistence import StoredEvent

from handlers.composition import Acta
from handlers.store.recorder import ApplicationLog, Envelope
from tests.handlers.cli.conftest import Terminal
from tests.handlers.stories import BEGINNING, BRUNO, Member, Story
from tests.handlers.test_parking import OF_ACCOUNTS, append_unreadable

STAFF = ["--actor", "support_staff:7b1e4d93-0c58-4a6f-b2d7-95e8f3a1c604"]
MENDED = ["--reason", "program_mended"]


@pytest.fixture
def ana(acta: Acta) -> Member:
    """Somebody whose account holds an event that cannot be read."""
    ana = Story(acta).register()
    append_unreadable(acta, ana.account)
    Story(acta).register(BRUNO)
    return ana


@pytest.mark.rule("X6")
def test_projecting_says_what_it_parks_and_goes_on(terminal: Terminal, ana: Member) -> None:
    ended = terminal("project", "--once")
    assert (ended.status, ended.out) == (0, "3 events applied; known up to position 3\n")
    assert len(ended.err.splitlines()) == len(OF_ACCOUNTS)
    assert f"access has parked stream {ana.account} at position 2" in ended.err
    assert "account.MoonLanded.v1: Unreadable" in ended.err
    assert terminal("project", "--once").err == ""


@pytest.mark.rule("X6")
def test_parked_streams_are_shown(terminal: Terminal, ana: Member) -> None:
    terminal("project", "--once")
    told = terminal("parked", "--json").json
    assert list(told) == ["streams", "position"]
    assert {each["projection"] for each in told["streams"]} == OF_ACCOUNTS
    first = told["streams"][0]
    assert (first["stream"], first["position"], first["fault"]) == (
        str(ana.account), 2, "Unreadable",
    )  # fmt: skip
    assert set(first["subjects"]) == {str(ana.account), str(ana.person)}
    shown = terminal("parked").out
    assert shown.count(str(ana.account)) == len(OF_ACCOUNTS)
    assert shown.endswith("known up to position 3\n")
    assert terminal("status", "--json").json["parked"] == len(OF_ACCOUNTS)
    assert f"parked streams: {len(OF_ACCOUNTS)}" in terminal("status").out


def test_nothing_is_parked_where_all_is_well(terminal: Terminal) -> None:
    terminal("project", "--once")
    assert terminal("parked").out == "nothing is parked\nknown up to position 0\n"
    assert "parked streams: none" in terminal("status").out


@pytest.mark.rule("X6")
def test_answers_say_that_they_are_degraded(terminal: Terminal, ana: Member) -> None:
    """In a line before the last, and in a field of their own."""
    terminal("project", "--once")
    assert "degraded: an event that belongs here" in terminal("history", ana.who).out
    assert terminal("history", ana.who, "--json").json["degraded"] is True
    assert "degraded" not in terminal("history", BRUNO).out
    assert terminal("history", BRUNO, "--json").json["degraded"] is False


@pytest.mark.rule("X6")
def test_a_check_is_no_also_where_the_registration_itself_cannot_be_read(
    terminal: Terminal, acta: Acta
) -> None:
    """Which would say the language; so it is said in Spanish."""
    person, account = uuid4(), uuid4()
    opened = {"opened": [{"person": str(person), "account": str(account)}]}
    newer = StoredEvent(account, 1, "account.UserRegistered.v9", b"{}")
    envelope = Envelope([uuid4()], alongside=opened | {"asked_at": BEGINNING.isoformat()})
    ApplicationLog(acta.database).append([newer], envelope)
    terminal("project", "--once")
    ended = terminal("check", f"account:{account}", "content", "--json")
    assert (ended.status, ended.err) == (1, "")
    first = ended.json["obstacles"][0]
    assert (first["rule"], first["message"][:8]) == ("X6", "un hecho")


@pytest.mark.rule("X6")
def test_an_event_is_skipped(terminal: Terminal, ana: Member) -> None:
    """The projector obeys when it comes to the decision."""
    terminal("project", "--once")
    skip = ["parked", "skip", "access", ana.account, 2, "--reason", "event_faulty", *STAFF]
    ended = terminal(*skip)
    assert (ended.status, ended.out.splitlines()) == (
        0,
        [
            "Recorded at position 4; access obeys when it is there.",
            "What is parked then: acta parked --at-least 4",
        ],
    )
    terminal("project", "--once")
    told = terminal("parked", "--at-least", 4, "--json").json
    assert {each["projection"] for each in told["streams"]} == OF_ACCOUNTS - {"access"}


@pytest.mark.rule("X6")
def test_a_stream_is_tried_again(terminal: Terminal, ana: Member) -> None:
    """What fails again is told again, and stays parked."""
    terminal("project", "--once")
    ended = terminal("parked", "retry", "access", ana.account, *MENDED, *STAFF, "--json")
    assert (ended.status, list(ended.json)) == (0, ["position", "id"])
    assert "access has parked stream" in terminal("project", "--once").err
    assert len(terminal("parked", "--json").json["streams"]) == len(OF_ACCOUNTS)


@pytest.mark.rule("X6")
def test_nothing_is_decided_about_what_is_not_parked(terminal: Terminal, ana: Member) -> None:
    terminal("project", "--once")
    for arguments in (
        ["retry", "study_history", ana.account],
        ["retry", "access", uuid4()],
        ["skip", "access", ana.account, 1],
    ):
        ended = terminal("parked", *arguments, *MENDED, *STAFF)
        assert (ended.status, "refused by X6" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retry", "no_such", uuid4(), *MENDED, *STAFF], "no read model of that name"),
        (["retry", "access", "ana", *MENDED, *STAFF], "the id is not a UUID"),
        (["retry", "access", uuid4(), "--reason", "luck", *STAFF], "--reason is none"),
        (["skip", "access", uuid4(), -1, *MENDED, *STAFF], "No such option"),
        (["skip", "access", uuid4(), 0, *MENDED, *STAFF], "POSITION is none"),
        (["retry", "access", uuid4(), *MENDED, "--actor", "staff"], "--actor has no kind"),
    ],
)
def test_bad_input_is_told_with_its_remedy(
    shared_terminal: Terminal, arguments: list[object], said: str
) -> None:
    ended = shared_terminal("parked", *arguments)
    assert ended.status == 2
    assert said in ended.said


@pytest.mark.rule("G1")
@pytest.mark.parametrize("actor", ["auditor", "support_staff"])
def test_whoever_decides_is_named_staff(terminal: Terminal, ana: Member, actor: str) -> None:
    terminal("project", "--once")
    ended = terminal("parked", "retry", "access", ana.account, *MENDED, "--actor", actor)
    assert (ended.status, "refused by G1" in ended.err) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["retry"], ["skip"]])
def test_help_has_an_example(shared_terminal: Terminal, arguments: list[str]) -> None:
    assert "Example: acta parked" in shared_terminal("parked", *arguments, "--help").said
