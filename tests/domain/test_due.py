"""What is due of a subscription, and from which instant (S4 to S8, S12)."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta

from domain.calendar import local_day, start_of_day
from domain.due import Due, DueKind, due_of
from domain.subscription import Subscription, SubscriptionEvent, subscription_decider
from tests.domain.stories import (
    SANTIAGO,
    captured,
    charge_captured,
    charge_declined,
    ended,
    lapsed,
    method_chosen,
    noon,
    outcome_unknown,
    paid,
    past_due,
    payment_id,
    requested,
    steps,
)
from tests.domain.test_refund import BY_CARD, FIRST, LATER, refunded, requested_back

FIRST_OF_MARCH = noon(2025, 3, 1)
END_OF_MARCH = date(2025, 3, 31)
FIRST_OF_APRIL = date(2025, 4, 1)
RENEWAL_DAY = start_of_day(FIRST_OF_APRIL, SANTIAGO)
AN_INSTANT = timedelta(microseconds=1)
ONE_DAY = timedelta(days=1)

renewal = requested(RENEWAL_DAY, FIRST_OF_APRIL, date(2025, 4, 30))
declined = charge_declined(renewal, RENEWAL_DAY)
due_past = past_due(RENEWAL_DAY, renewal.payment)
unknown = outcome_unknown(renewal.payment, RENEWAL_DAY, date(2025, 4, 8))
retry = requested(
    start_of_day(date(2025, 4, 2), SANTIAGO), FIRST_OF_APRIL, date(2025, 4, 30), attempt=2
)


def after(*events: SubscriptionEvent) -> Subscription:
    """What these events make of a subscription."""
    return subscription_decider.replay(events)


def on(kind: DueKind, day: date) -> Due:
    """Something that is due from the start of a day."""
    return Due(kind, start_of_day(day, SANTIAGO), day, SANTIAGO)


RESOLUTION = Due(DueKind.RESOLUTION, RENEWAL_DAY, FIRST_OF_APRIL, SANTIAGO, payment=renewal.payment)


@pytest.mark.rule("S4", "S5", "S6", "S7", "S8")
@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([], []),
        (steps(), []),
        (paid(FIRST_OF_MARCH), [on(DueKind.RENEWAL, FIRST_OF_APRIL)]),
        (paid(FIRST_OF_MARCH, months=3), [on(DueKind.LAPSE, date(2025, 6, 1))]),
        ([*paid(FIRST_OF_MARCH), renewal], [RESOLUTION]),
        (
            [*paid(FIRST_OF_MARCH), renewal, unknown],
            [RESOLUTION, on(DueKind.LAPSE, date(2025, 4, 9))],
        ),
        (
            [*paid(FIRST_OF_MARCH), renewal, charge_captured(renewal, RENEWAL_DAY)],
            [on(DueKind.RENEWAL, date(2025, 5, 1))],
        ),
        (
            [*paid(FIRST_OF_MARCH), renewal, declined, due_past],
            [on(DueKind.RETRY, date(2025, 4, 2))],
        ),
        (
            [*paid(FIRST_OF_MARCH), renewal, declined, due_past, retry, declined.model_copy(
                update={"payment": retry.payment}
            )],
            [on(DueKind.RETRY, date(2025, 4, 4))],
        ),
        (
            [*paid(FIRST_OF_MARCH), renewal, declined, due_past, method_chosen(3)],
            [on(DueKind.LAPSE, date(2025, 4, 9))],
        ),
        (
            [*paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH)],
            [on(DueKind.LAPSE, FIRST_OF_APRIL)],
        ),
        (
            [*paid(FIRST_OF_MARCH), renewal, unknown, ended(RENEWAL_DAY, END_OF_MARCH)],
            [RESOLUTION],
        ),
        ([*paid(FIRST_OF_MARCH), lapsed(RENEWAL_DAY, END_OF_MARCH)], []),
        (
            [*paid(FIRST_OF_MARCH), renewal, unknown, lapsed(noon(2025, 4, 9), END_OF_MARCH)],
            [RESOLUTION],
        ),
    ],
    ids=[
        "never started", "in steps", "paid by card", "paid by transfer", "requested", "unknown",
        "captured", "past due", "a try failed", "past due, then by transfer", "ended",
        "ended while unknown", "lapsed", "lapsed while unknown",
    ],
)  # fmt: skip
def test_what_is_due_follows_from_the_events(
    past: Sequence[SubscriptionEvent], expected: list[Due]
) -> None:
    """The first of it first; what is on record is due no longer."""
    assert [*due_of(after(*past))] == expected


@pytest.mark.rule("S12")
def test_a_refund_is_due_until_it_has_an_outcome() -> None:
    """Beside what else is due."""
    due, renewing = due_of(after(*BY_CARD, requested_back()))
    assert due == Due(
        DueKind.REFUND, LATER, date(2025, 3, 10), SANTIAGO, payment=payment_id(1), refund=FIRST
    )
    assert renewing.kind is DueKind.RENEWAL
    assert due_of(after(*BY_CARD, requested_back(), refunded())) == (renewing,)


@pytest.mark.rule("A10", "S6")
def test_of_a_closed_account_only_what_is_on_its_way_is_due() -> None:
    """Neither a charge nor a lapse is."""
    assert due_of(after(*paid(FIRST_OF_MARCH)), closed=True) == ()
    assert due_of(after(*paid(FIRST_OF_MARCH), renewal), closed=True) == (RESOLUTION,)


@pytest.mark.rule("S5")
@pytest.mark.parametrize("months", [1, 3, 6, 12])
def test_no_change_of_clocks_shifts_a_boundary(months: int) -> None:
    """From any day of four years, a period ends, and what follows is due, as a day of Chile does.

    Against dateutil; at the instant it is that day in Chile, and just before it was not.
    """
    kind = DueKind.RENEWAL if months == 1 else DueKind.LAPSE
    for number in range(4 * 365 + 1):
        first = date(2023, 1, 1) + number * ONE_DAY
        boundary = first + relativedelta(months=months)
        payment = captured(
            1,
            datetime(first.year, first.month, first.day, 16, tzinfo=UTC),
            first,
            boundary - ONE_DAY,
            months=months,
        )
        [due] = due_of(after(*steps(months), payment))
        assert (due.kind, due.day) == (kind, boundary)
        assert local_day(due.at, SANTIAGO) == boundary
        assert local_day(due.at - AN_INSTANT, SANTIAGO) == boundary - ONE_DAY
