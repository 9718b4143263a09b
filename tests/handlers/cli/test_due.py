"""``acta due``."""

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest

from domain.calendar import start_of_day
from domain.due import DueKind
from handlers.cli import due
from handlers.composition import Acta
from tests.handlers.cli.conftest import Terminal
from tests.handlers.stories import Member, Plan, Story
from tests.projections.contract_lives import Chronicle

UNTIL = ["--until", "2027-06-01T00:00:00+00:00"]


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to the database that the terminal's settings name."""
    return Story(acta)


@pytest.fixture
def member(story: Story) -> Member:
    """Somebody who pays by card, and whose renewal is due on 28 February."""
    member = story.subscriber()
    story.acta.projector.catch_up()
    return member


@pytest.fixture
def plan(story: Story) -> Plan:
    """A plan with an open invitation, beside a contract; its transfer is due on 30 April."""
    plan = story.institution()
    story.invite(plan.id, "ana@colegio.example.com", by=plan.director.itself)
    Chronicle(story.acta).agree()
    story.acta.projector.catch_up()
    return plan


@pytest.mark.rule("S5", "S6")
def test_each_line_states_its_boundary_and_whom_it_concerns(
    terminal: Terminal, story: Story, member: Member, plan: Plan
) -> None:
    ended = terminal("due", *UNTIL)
    assert (ended.status, ended.err) == (0, "")
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    for line in (
        f"2026-02-28 00:00 America/Santiago 2026-02-28 renewal account:{member.account}",
        f"2026-04-23 00:00 America/Santiago 2026-04-23 payment_reminder plan:{plan.id}",
        f"2026-04-30 00:00 America/Santiago 2026-04-30 lapse plan:{plan.id}",
    ):
        assert line in lines
    for start in (
        "2026-02-14 16:00 UTC 2026-02-14 invitation_expiry invitation:",
        "2027-01-01 00:00 Europe/Madrid 2027-01-01 contract_expiry contract:",
    ):
        assert any(line.startswith(start) for line in lines)
    assert lines[-1] == f"known up to position {story.acta.store.head()}"


@pytest.mark.rule("S5")
def test_a_day_that_begins_at_one_reads_so(terminal: Terminal, story: Story) -> None:
    """Chile's clocks skip the first hour of the day on which summer time begins."""
    paid_at = start_of_day(date(2026, 8, 6), "America/Santiago")
    story.subscriber(at=paid_at)
    story.acta.projector.catch_up()
    ended = terminal("due", *UNTIL)
    assert "2026-09-06 01:00 America/Santiago" in ended.out


def test_programs_are_told_the_same(terminal: Terminal, member: Member, plan: Plan) -> None:
    """Instants in UTC, and every field of each line."""
    answer = terminal("due", *UNTIL, "--json").json
    assert answer.keys() == {"until", "lines", "next_after", "position", "degraded"}
    assert [line["at"] for line in answer["lines"]] == sorted(
        line["at"] for line in answer["lines"]
    )
    (renewal,) = terminal("due", *UNTIL, "--kind", "renewal", "--json").json["lines"]
    assert (
        renewal.items()
        >= {
            "kind": "renewal",
            "concerns": member.who,
            "account": str(member.account),
            "aggregate": "subscription",
            "at": "2026-02-28T03:00:00+00:00",
            "day": "2026-02-28",
            "time_zone": "America/Santiago",
            "payment": None,
            "refund": None,
        }.items()
    )
    concerns = {line["concerns"].partition(":")[0] for line in answer["lines"]}
    assert concerns == {"account", "plan", "invitation", "contract"}
    assert plan.who in {line["concerns"] for line in answer["lines"]}


@pytest.mark.usefixtures("member", "plan")
def test_a_page_says_how_to_ask_for_the_next(terminal: Terminal) -> None:
    whole = terminal("due", *UNTIL, "--json").json["lines"]
    first = terminal("due", *UNTIL, "--limit", 3)
    (more,) = [line for line in first.out.splitlines() if line.startswith("there are more: ")]
    options = more.removeprefix("there are more: ").split()
    paged = terminal("due", *UNTIL, "--limit", 3, "--json").json
    rest = terminal("due", *options, "--json").json
    assert paged["next_after"] == options[1]
    assert [*paged["lines"], *rest["lines"]] == whole
    assert rest["next_after"] is None


def test_without_an_instant_it_is_now(terminal: Terminal, story: Story) -> None:
    """What was due long ago is; what will be is not."""
    now = datetime.now(UTC)
    past = story.subscriber("antes@example.com", at=now - timedelta(days=70))
    story.subscriber("ahora@example.com", at=now - timedelta(days=1))
    answer = terminal("due", "--at-least", story.acta.store.head(), "--deadline", 0)
    assert answer.status == 2
    story.acta.projector.catch_up()
    known = terminal("due", "--at-least", story.acta.store.head(), "--json").json
    assert [line["concerns"] for line in known["lines"]] == [past.who]


@pytest.mark.parametrize(
    "options",
    [
        ("--until", "tomorrow"),
        ("--kind", "birthday"),
        ("--limit", "0"),
        ("--limit", "1001"),
        ("--after", "17"),
        ("--after", "2026-03-01T00:00:00+00:00/17/0"),
        ("--after", "2026-03-01/00000000-0000-0000-0000-000000000000/0"),
        ("--after", "2026-03-01T00:00:00+00:00/00000000-0000-0000-0000-000000000000/x"),
        ("--after", "2026-03-01T00:00:00+00:00/00000000-0000-0000-0000-000000000000/99999"),
        ("--at-least", "999999999"),
    ],
    ids=" ".join,
)
def test_options_that_cannot_be_read(shared_terminal: Terminal, options: tuple[str, str]) -> None:
    ended = shared_terminal("due", *options)
    assert (ended.status, ended.out) == (2, "")
    assert options[0] in ended.err or "position" in ended.err
    assert "fault in Acta" not in ended.err


def test_the_options_take_what_the_domain_knows() -> None:
    """They are spelled out in the command, and the same."""
    assert get_args(due.KindName) == tuple(kind.value for kind in DueKind)
