"""What is due, and from which instant (S4 to S8, S12, I6, C3)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta

from domain.calendar import local_day, start_of_day
from domain.contract import ContractEvent
from domain.due import Due, DueKind, due_of, due_of_contract, due_of_invitation
from domain.invitation import InvitationEvent, invitation_decider
from domain.subscription import (
    NoticeReason,
    NoticeTemplate,
    Subscription,
    SubscriptionEvent,
    SubscriptionResumed,
    subscription_decider,
)
from tests.domain.signed_contract import (
    LAST_DAY,
    MADRID,
    SIGNED,
    contact_reminded,
    contract_after,
    contract_ended,
    contract_expired,
    opened,
    signed,
)
from tests.domain.signed_contract import reactivated as contract_reactivated
from tests.domain.stories import (
    BEGINNING,
    EXPIRY,
    SANTIAGO,
    about,
    accepted,
    captured,
    charge_captured,
    charge_declined,
    corrected,
    ended,
    expired,
    invitation_sent,
    lapsed,
    method_chosen,
    noon,
    outcome_unknown,
    paid,
    past_due,
    payment_id,
    plan_confirmed,
    reminded,
    requested,
    revoked,
    sent_again,
    steps,
    told,
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


chosen_late = method_chosen(3).model_copy(update={"occurred_at": noon(2025, 3, 30)})
chosen_meanwhile = plan_confirmed.model_copy(update={"occurred_at": noon(2025, 4, 3)})
LAST_OF_MAY = noon(2025, 5, 31)
REMINDED = told(1, noon(2025, 5, 25), NoticeTemplate.PAYMENT_REMINDER, NoticeReason.RUNS_OUT_SOON)
RESOLUTION = Due(DueKind.RESOLUTION, RENEWAL_DAY, FIRST_OF_APRIL, SANTIAGO, payment=renewal.payment)


@pytest.mark.rule("S4", "S5", "S6", "S7", "S8")
@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([], []),
        (steps(), []),
        (paid(FIRST_OF_MARCH), [on(DueKind.RENEWAL, FIRST_OF_APRIL)]),
        (
            paid(FIRST_OF_MARCH, months=3),
            [
                on(DueKind.PAYMENT_REMINDER, date(2025, 5, 25)),
                on(DueKind.LAPSE, date(2025, 6, 1)),
            ],
        ),
        (
            [*paid(FIRST_OF_MARCH), chosen_late],
            [
                replace(on(DueKind.PAYMENT_REMINDER, date(2025, 3, 25)), at=noon(2025, 3, 30)),
                on(DueKind.LAPSE, date(2025, 4, 2)),
            ],
        ),
        ([*paid(FIRST_OF_MARCH, months=3), REMINDED], [on(DueKind.LAPSE, date(2025, 6, 1))]),
        (
            [
                *paid(FIRST_OF_MARCH, months=3),
                REMINDED,
                captured(
                    2, noon(2025, 5, 26), date(2025, 6, 1), date(2025, 8, 31), months=3
                ),
            ],
            [
                on(DueKind.PAYMENT_REMINDER, date(2025, 8, 25)),
                on(DueKind.LAPSE, date(2025, 9, 1)),
            ],
        ),
        (
            [*paid(FIRST_OF_MARCH, months=3), ended(FIRST_OF_MARCH, date(2025, 5, 31))],
            [on(DueKind.LAPSE, date(2025, 6, 1))],
        ),
        (
            [
                *paid(FIRST_OF_MARCH, months=3),
                ended(FIRST_OF_MARCH, date(2025, 5, 31)),
                SubscriptionResumed(**about(LAST_OF_MAY)),
            ],
            [
                replace(on(DueKind.PAYMENT_REMINDER, date(2025, 5, 25)), at=LAST_OF_MAY),
                on(DueKind.LAPSE, date(2025, 6, 1)),
            ],
        ),
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
        (
            [*paid(FIRST_OF_MARCH), renewal, declined, due_past, chosen_meanwhile],
            [replace(on(DueKind.RETRY, date(2025, 4, 2)), at=noon(2025, 4, 3))],
        ),
        (
            [
                *paid(FIRST_OF_MARCH), renewal, declined, due_past,
                ended(noon(2025, 4, 3), END_OF_MARCH),
            ],
            [replace(on(DueKind.LAPSE, FIRST_OF_APRIL), at=noon(2025, 4, 3))],
        ),
        ([*paid(FIRST_OF_MARCH), lapsed(RENEWAL_DAY, END_OF_MARCH)], []),
        (
            [*paid(FIRST_OF_MARCH), renewal, unknown, lapsed(noon(2025, 4, 9), END_OF_MARCH)],
            [RESOLUTION],
        ),
    ],
    ids=[
        "never started", "in steps", "paid by card", "paid by transfer", "by transfer from now on",
        "reminded", "reminded and paid again", "by transfer, ended", "by transfer, taken back late",
        "requested", "unknown",
        "captured", "past due", "a try failed", "past due, then by transfer", "ended",
        "ended while unknown", "another plan before a late try", "ended in its grace",
        "lapsed", "lapsed while unknown",
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
        *reminders, due = due_of(after(*steps(months), payment))
        assert [each.day for each in reminders] == ([] if months == 1 else [boundary - 7 * ONE_DAY])
        assert (due.kind, due.day) == (kind, boundary)
        assert local_day(due.at, SANTIAGO) == boundary
        assert local_day(due.at - AN_INSTANT, SANTIAGO) == boundary - ONE_DAY


# ---------------------------------------------------------------- invitations

A_WEEK_BEFORE = EXPIRY - 7 * ONE_DAY
CORRECTED_AT = BEGINNING + 3 * ONE_DAY


def of_invitation(kind: DueKind, at: datetime) -> Due:
    """Something that is due from an instant, its day that of UTC."""
    return Due(kind, at, at.date(), "UTC")


REMINDER = of_invitation(DueKind.INVITATION_REMINDER, A_WEEK_BEFORE)
EXPIRATION = of_invitation(DueKind.INVITATION_EXPIRY, EXPIRY)


@pytest.mark.rule("I6")
@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([], []),
        ([invitation_sent()], [REMINDER, EXPIRATION]),
        ([invitation_sent(), reminded()], [EXPIRATION]),
        (
            [invitation_sent(), reminded(), sent_again(EXPIRY - AN_INSTANT)],
            [
                of_invitation(DueKind.INVITATION_REMINDER, EXPIRY - AN_INSTANT + 7 * ONE_DAY),
                of_invitation(DueKind.INVITATION_EXPIRY, EXPIRY - AN_INSTANT + 14 * ONE_DAY),
            ],
        ),
        (
            [invitation_sent(), corrected(CORRECTED_AT)],
            [
                of_invitation(DueKind.INVITATION_REMINDER, CORRECTED_AT + 7 * ONE_DAY),
                of_invitation(DueKind.INVITATION_EXPIRY, CORRECTED_AT + 14 * ONE_DAY),
            ],
        ),
        ([invitation_sent().model_copy(update={"occurred_at": A_WEEK_BEFORE})], [EXPIRATION]),
        ([invitation_sent(), accepted()], []),
        ([invitation_sent(), revoked()], []),
        ([invitation_sent(), reminded(), expired()], []),
    ],
    ids=[
        "never sent", "sent", "reminded", "sent again", "corrected", "of a week", "used",
        "revoked", "expired",
    ],
)  # fmt: skip
def test_what_is_due_of_an_invitation_follows_from_its_events(
    past: Sequence[InvitationEvent], expected: list[Due]
) -> None:
    """While nobody answers; what is on record is due no longer."""
    assert [*due_of_invitation(invitation_decider.replay(past))] == expected


# ---------------------------------------------------------------- contracts


def of_contract(kind: DueKind, day: date) -> Due:
    """Something that is due from the start of a day of the contract."""
    return Due(kind, start_of_day(day, MADRID), day, MADRID)


RUNNING_OUT = of_contract(DueKind.CONTRACT_REMINDER, LAST_DAY - 6 * ONE_DAY)
RUN_OUT = of_contract(DueKind.CONTRACT_EXPIRY, LAST_DAY + ONE_DAY)
NEW_YEAR = date(2027, 1, 1)


@pytest.mark.rule("C3")
@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([], []),
        (signed, [RUNNING_OUT, RUN_OUT]),
        ([opened], [RUN_OUT]),
        ([*signed, contact_reminded(RUNNING_OUT.at)], [RUN_OUT]),
        ([*signed, contract_ended()], []),
        ([*signed, contract_expired(RUN_OUT.at)], []),
        (
            [
                *signed,
                contract_expired(RUN_OUT.at),
                contract_reactivated(NEW_YEAR, date(2027, 6, 30)),
            ],
            [
                of_contract(DueKind.CONTRACT_REMINDER, date(2027, 6, 24)),
                of_contract(DueKind.CONTRACT_EXPIRY, date(2027, 7, 1)),
            ],
        ),
        (
            [*signed, contract_reactivated(NEW_YEAR, date(2027, 1, 7))],
            [replace(of_contract(DueKind.CONTRACT_EXPIRY, date(2027, 1, 8)), at=noon(2027, 2, 1))],
        ),
        (
            [*signed, contract_reactivated(NEW_YEAR, date(2027, 1, 7), at=SIGNED)],
            [of_contract(DueKind.CONTRACT_EXPIRY, date(2027, 1, 8))],
        ),
        ([opened.model_copy(update={"valid_to": date.max}), *signed[1:]], []),
    ],
    ids=[
        "never opened", "opened", "nobody to tell", "reminded", "ended", "expired", "reactivated",
        "agreed to when over", "of a week", "for ever",
    ],
)  # fmt: skip
def test_what_is_due_of_a_contract_follows_from_its_events(
    past: Sequence[ContractEvent], expected: list[Due]
) -> None:
    """While its days are not over; what is on record is due no longer."""
    assert [*due_of_contract(contract_after(*past))] == expected
