"""Decisions about parked streams: who decides, and about what they have seen (X6)."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.operations import (
    OperationsDecision,
    ParkedEventSkipped,
    ParkedStreamRetried,
    Parking,
    ParkingReason,
    RetryParkedStream,
    SkipParkedEvent,
    decide,
)
from domain.refusal import Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAM, EVENT, STAFF_ID = UUID(int=1), UUID(int=2), UUID(int=3)
STAFF = Actor(kind=ActorKind.SUPPORT_STAFF, id=STAFF_ID)
PARKED = Parking(EVENT, position=41)
RETRY = RetryParkedStream(
    at=NOW, projection="access", stream=STREAM, reason=ParkingReason.PROGRAM_MENDED
)
SKIP = SkipParkedEvent(
    at=NOW, projection="access", stream=STREAM, position=41, reason=ParkingReason.EVENT_FAULTY
)
EACH_DECISION = pytest.mark.parametrize("command", [RETRY, SKIP], ids=["retry", "skip"])


@pytest.mark.rule("X6")
def test_a_parked_stream_is_tried_again() -> None:
    """The event says which, why, and by whom."""
    (event,) = decide(RETRY, STAFF, PARKED)
    assert event == ParkedStreamRetried(
        occurred_at=NOW,
        person=STAFF_ID,
        projection="access",
        parked_stream=STREAM,
        reason=ParkingReason.PROGRAM_MENDED,
    )


@pytest.mark.rule("X6")
def test_the_event_that_could_not_be_applied_is_skipped() -> None:
    """By its id, which whoever replays the log finds again."""
    (event,) = decide(SKIP, STAFF, PARKED)
    assert isinstance(event, ParkedEventSkipped)
    assert (event.skipped_event, event.skipped_position) == (EVENT, 41)


@pytest.mark.rule("X6")
@EACH_DECISION
def test_nothing_is_decided_about_a_stream_that_is_not_parked(command: OperationsDecision) -> None:
    with pytest.raises(Refused, match="X6"):
        decide(command, STAFF, None)


@pytest.mark.rule("X6")
@EACH_DECISION
def test_nothing_is_decided_twice(command: OperationsDecision) -> None:
    """The second would be about something that nobody has seen yet."""
    with pytest.raises(Refused, match="X6"):
        decide(command, STAFF, Parking(EVENT, position=41, decided=True))


@pytest.mark.rule("X6")
def test_only_the_event_that_was_seen_is_skipped() -> None:
    """By now the stream may be parked at another one."""
    with pytest.raises(Refused, match="position 42, not 41"):
        decide(SKIP, STAFF, Parking(EVENT, position=42))


@pytest.mark.rule("G1")
@EACH_DECISION
def test_whoever_decides_is_named(command: OperationsDecision) -> None:
    with pytest.raises(Refused, match="G1"):
        decide(command, Actor(kind=ActorKind.SUPPORT_STAFF), PARKED)


@pytest.mark.rule("G1")
@EACH_DECISION
@pytest.mark.parametrize("kind", [ActorKind.PERSON, ActorKind.AUDITOR, ActorKind.SYSTEM])
def test_only_staff_decides(command: OperationsDecision, kind: ActorKind) -> None:
    with pytest.raises(Refused, match="G1"):
        refuse_unless_may_give(Actor(kind=kind, id=STAFF_ID), type(command))
