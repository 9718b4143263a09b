"""Accounts' histories: a line an event, for people, with nobody named in clear."""

import pytest

import domain.authority  # noqa: F401  brings every event into the registry
from domain.account import (
    AccountKind,
    ReinstateAccount,
    Role,
    SuspendAccount,
    SuspensionReason,
    UserRegistered,
)
from domain.actor import Actor
from domain.disclosure import OpeningReason, OpenPersonalValue, PersonalValueOpened
from domain.event import Event, EventOfAccount, event_classes
from domain.membership import ChangeRole, RemoveMember
from domain.personal import personal_fields
from domain.plan import ChangeSeats
from projections.account_history import describe
from tests.handlers.stories import (
    ANA,
    AUDITOR,
    BEGINNING,
    BRUNO,
    MANAGER,
    SCHOOL,
    SOMEBODY,
    SYSTEM,
    Story,
)
from tests.schemas.examples import example

OF_ACCOUNTS = [
    cls for cls in event_classes() if issubclass(cls, EventOfAccount | PersonalValueOpened)
]
EVENT_CLASSES = pytest.mark.parametrize("event_class", OF_ACCOUNTS, ids=lambda cls: cls.TOPIC)


@EVENT_CLASSES
def test_every_event_is_described_in_a_sentence(event_class: type[Event]) -> None:
    """None falls through to the name of its class."""
    line = describe(example(event_class))
    assert line != event_class.__name__
    assert " " in line
    assert line[0].isupper()
    assert "None" not in line


@EVENT_CLASSES
def test_no_description_names_anybody(event_class: type[Event]) -> None:
    """No personal value of the event is in it."""
    event = example(event_class)
    values = [str(getattr(event, name)) for name in personal_fields(event_class)]
    assert not [value for value in values if value in describe(event)]


def test_what_happens_before_there_is_an_account_has_no_line() -> None:
    """Invitations and imports are shown with their plan, tickets and contracts by themselves."""
    others = {cls.AGGREGATE for cls in event_classes() if cls not in OF_ACCOUNTS}
    assert others == {
        "invitation", "invitation_import", "contract", "support_ticket", "operations",
    }  # fmt: skip


def test_a_line_an_event_in_the_order_of_the_log(story: Story) -> None:
    """Who did it, when, for which command, and what happened."""
    member = story.subscriber()
    story.study(member, "algebra/1")
    story.close(member)
    story.acta.projector.catch_up()
    answer = story.acta.queries.history(member.who, BEGINNING, AUDITOR)
    log = story.events()
    told = [opened.line for opened in answer.lines]
    assert [(line.position, line.event_id, line.topic) for line in told] == [
        (entry.position, entry.event_id, entry.event.TOPIC) for entry in log
    ]
    assert [(line.actor_kind, line.actor, line.command_id) for line in told] == [
        (entry.actor.kind.value, entry.actor.id, entry.command_id) for entry in log
    ]
    assert [(line.occurred_at, line.recorded_at) for line in told] == [
        (entry.event.occurred_at, entry.recorded_at) for entry in log
    ]
    assert [line.line for line in told] == [
        "Registered an individual account",
        "Confirmed the mobile number",
        "Set a password",
        "Began a subscription, its days in America/Santiago",
        "Chose boleta as tax document",
        "Agreed to plan full-access at 9,990 CLP a month (prices 1)",
        "Chose to pay by card, 1 month(s) at a time",
        "Paid 9,990 CLP by card for 2026-01-31 to 2026-02-27",
        "To be told: receipt, for payment_captured",
        "Studied algebra/1",
        "Closed: owner_request",
        "Ended the subscription, which is paid until 2026-02-27",
    ]
    assert answer.position == log[-1].position


@pytest.mark.rule("G1")
def test_personal_values_are_opened_for_whom_they_may_be(story: Story) -> None:
    """An auditor and the person themselves read them; others see that there is something."""
    ana, bruno = story.register(ANA), story.register(BRUNO)
    story.ask(
        SuspendAccount(
            at=BEGINNING, account=ana.who, reason=SuspensionReason.MISUSE, note="was told twice"
        ),
        MANAGER,
    )
    story.acta.projector.catch_up()

    def opened(asker: Actor) -> list[dict[str, str | None]]:
        history = story.acta.queries.history(ANA, BEGINNING, asker)
        return [line.personal for line in history.lines]

    clear = [
        {
            "given_name": "Ana",
            "paternal_surname": "Rojas",
            "email": ANA,
            "phone": "+56961234567",
        },
        {"note": "was told twice"},
    ]
    sealed = [dict.fromkeys(personal) for personal in clear]
    for allowed in (AUDITOR, ana.itself, MANAGER):
        assert opened(allowed) == clear
    for other in (bruno.itself, SYSTEM, SOMEBODY):
        assert opened(other) == sealed


def test_values_are_kept_sealed(story: Story) -> None:
    """The table itself names nobody."""
    story.register(ANA)
    story.acta.projector.catch_up()
    with story.acta.database.connection() as connection:
        rows = connection.execute("SELECT row::text FROM projections.account_history AS row")
        text = "".join(row for (row,) in rows)
    assert "UserRegistered" in text
    assert not [word for word in ("ana@", "Rojas", "961234567") if word.lower() in text.lower()]


@pytest.mark.rule("G1")
def test_a_history_tells_who_opened_what(story: Story) -> None:
    """So that an auditor and the person can see it."""
    ana = story.register(ANA)
    (registered,) = story.events()
    opening = OpenPersonalValue(
        at=BEGINNING, event=registered.event_id, field="email", reason=OpeningReason.SUPPORT
    )
    story.ask(opening, MANAGER)
    story.acta.projector.catch_up()
    line = story.acta.queries.history(ana.who, BEGINNING, AUDITOR).lines[-1].line
    assert (line.actor_kind, line.actor, line.person) == ("account_manager", MANAGER.id, ana.person)
    assert line.line == (
        f"Opened email of account.UserRegistered, event {registered.event_id}: support"
    )
    assert line.sealed == {}


# ---------------------------------------------------------------- institutions


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (AccountKind.INDIVIDUAL, "Registered an individual account"),
        (AccountKind.INSTITUTIONAL, "Registered an institutional account"),
        (AccountKind.CONTRACT, "Registered a contract account"),
    ],
)
def test_every_kind_of_account_is_told_in_good_english(kind: AccountKind, line: str) -> None:
    assert describe(example(UserRegistered).model_copy(update={"kind": kind})) == line


def test_a_member_s_history_tells_of_the_plan(story: Story) -> None:
    """Joining, another role, and leaving; the id of the plan, and nobody's name."""
    plan = story.institution()
    member = story.join(plan, ANA)
    change = ChangeRole(at=BEGINNING, account=member.who, plan=plan.id, role=Role.ADMINISTRATOR)
    story.ask(change, plan.director.itself)
    story.ask(RemoveMember(at=BEGINNING, account=member.who, plan=plan.id), plan.director.itself)
    story.acta.projector.catch_up()
    answer = story.acta.queries.history(member.who, BEGINNING, AUDITOR)
    assert [opened.line.line for opened in answer.lines] == [
        "Registered an institutional account",
        f"Joined plan {plan.id} as user",
        f"Became administrator in plan {plan.id}, from user",
        f"Left plan {plan.id}: removed",
    ]


def test_a_plan_has_a_history_of_its_own(story: Story) -> None:
    """What the institution agreed to and paid."""
    plan = story.institution(seats=5)
    story.ask(ChangeSeats(at=BEGINNING, plan=plan.id, seats=9), MANAGER)
    story.acta.projector.catch_up()
    answer = story.acta.queries.history(plan.who, BEGINNING, AUDITOR)
    told = [opened.line.line for opened in answer.lines]
    assert told[0] == f"Opened a plan of 5 seat(s) for {SCHOOL}, its days in America/Santiago"
    assert told[-1] == "Changed the seats from 5 to 9"
    assert answer.account == plan.id


@pytest.mark.rule("G1")
def test_an_administrator_opens_who_the_members_are(story: Story) -> None:
    """While both are in the plan: by the ledger, whatever the door says; nobody else of them."""
    plan, other = story.institution(), story.institution("otra@example.com")
    member, fellow = story.join(plan, ANA), story.join(plan, BRUNO)

    def reads(asker: Actor) -> bool:
        story.acta.projector.catch_up()
        line = story.acta.queries.history(member.who, BEGINNING, asker).lines[0]
        assert bool(line.sealed) == (None in line.personal.values())
        return line.personal["email"] == ANA

    assert reads(plan.director.itself)
    assert reads(member.itself)
    assert not reads(fellow.itself)
    assert not reads(other.director.itself)
    story.ask(RemoveMember(at=BEGINNING, account=member.who, plan=plan.id), plan.director.itself)
    assert not reads(plan.director.itself)


@pytest.mark.rule("G1", "A10")
def test_a_suspended_administrator_opens_nothing(story: Story) -> None:
    """Until reinstated."""
    plan = story.institution()
    member = story.join(plan, ANA)
    told: list[str | None] = []
    for change in (SuspendAccount, ReinstateAccount):
        reason = SuspensionReason.MISUSE
        story.ask(change(at=BEGINNING, account=plan.director.who, reason=reason), MANAGER)
        story.acta.projector.catch_up()
        history = story.acta.queries.history(member.who, BEGINNING, plan.director.itself)
        told.append(history.lines[0].personal["email"])
    assert told == [None, ANA]
