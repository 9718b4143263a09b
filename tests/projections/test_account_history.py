"""Accounts' histories: a line an event, for people, with nobody named in clear."""

import pytest

import domain.authority  # noqa: F401  brings every event into the registry
from domain.account import SuspendAccount, SuspensionReason
from domain.actor import Actor
from domain.event import Event, EventOfAccount, event_classes
from domain.personal import personal_fields
from projections.account_history import describe
from tests.handlers.stories import (
    ANA,
    AUDITOR,
    BEGINNING,
    BRUNO,
    MANAGER,
    SOMEBODY,
    SYSTEM,
    Story,
)
from tests.schemas.examples import example

EVENT_CLASSES = pytest.mark.parametrize("event_class", event_classes(), ids=lambda cls: cls.TOPIC)


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


@EVENT_CLASSES
def test_every_event_has_a_line_in_some_account(event_class: type[Event]) -> None:
    """Each belongs to an account's history."""
    assert issubclass(event_class, EventOfAccount)


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
