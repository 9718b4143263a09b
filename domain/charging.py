"""Charging a subscription: requests, outcomes, retries and prices with notice (S3 to S9).

A charge is requested before the gateway is asked, and until it has an outcome no other is: whatever
is retried, restarted or delivered twice, a period is paid for once (S6). What came in without a
request is a transfer that staff recorded.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import count
from typing import Annotated, assert_never
from uuid import UUID

from pydantic import Field

from domain.calendar import Period
from domain.money import AmountMinor, Currency
from domain.refusal import Refused
from domain.streams import payment_of
from domain.subscription_facts import (
    ChargeRequested,
    DeclineReason,
    NoticeReason,
    NoticeTemplate,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PaymentOutcomeUnknown,
    PriceAnnounced,
    SubscriptionEvent,
    SubscriptionPastDue,
    UnknownReason,
)
from domain.subscription_state import (
    About,
    AnnouncedPrice,
    Charge,
    ChargingTerms,
    GatewayReference,
    NextPayment,
    PaymentMethod,
    PlanCode,
    PlanTerms,
    Subscription,
    SubscriptionCommand,
    SubscriptionStanding,
    lapsed,
    next_payment,
    next_period,
    notice,
    refuse_if_step_missing,
    refuse_known_payment,
    refuse_unless_in_steps_or_active,
    refuse_wrong_amount,
    renews_by_card,
)

__all__ = [
    "AnnouncePrice", "CapturePayment", "ChargingDecision", "DeclinePayment",
    "RecordUnknownCharge", "RequestCharge", "decide", "names_open_charge",
]  # fmt: skip

# ---------------------------------------------------------------- commands


class RequestCharge(SubscriptionCommand):
    """Asks for the money of the next period, before the gateway is asked; the card pays."""


class CapturePayment(SubscriptionCommand):
    """Says that a payment succeeded; the gateway's word, or staff's for a transfer."""

    payment: UUID
    """Id of the payment."""
    amount_minor: AmountMinor
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    gateway_reference: GatewayReference
    """What the gateway or the bank calls this payment; never a card number."""


class DeclinePayment(SubscriptionCommand):
    """Says that a charge was declined."""

    payment: UUID
    """Id of the payment that was tried."""
    amount_minor: AmountMinor
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    reason: DeclineReason
    """Why, in clear."""


class RecordUnknownCharge(SubscriptionCommand):
    """Says that the gateway was asked for a charge, and did not say what became of it."""

    payment: UUID
    """Id of the payment that was tried."""
    reason: UnknownReason
    """Why it is not known, in clear."""


class AnnouncePrice(SubscriptionCommand):
    """Announces another price of the plan, for periods that begin on a day or later."""

    plan: PlanCode
    """Code of the plan, which is that of the subscription."""
    price_version: Annotated[int, Field(strict=True, gt=0)]
    """Which version of the plan's prices it will be."""
    monthly_price_minor: AmountMinor
    """Price of a month in minor units of the currency."""
    currency: Currency
    """ISO 4217 code; that of the price so far."""
    effective_from: date
    """First day on which a period at this price can begin."""


ChargingDecision = (
    RequestCharge | CapturePayment | DeclinePayment | RecordUnknownCharge | AnnouncePrice
)

# ---------------------------------------------------------------- decisions


def decide(
    command: ChargingDecision, subscription: Subscription, charging: ChargingTerms, about: About
) -> Sequence[SubscriptionEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case RequestCharge():
            return request_charge(subscription, about)
        case CapturePayment():
            return capture_payment(command, subscription, about)
        case DeclinePayment():
            return decline_payment(command, subscription, charging, about)
        case RecordUnknownCharge():
            return record_unknown_charge(command, subscription, charging, about)
        case AnnouncePrice():
            return announce_price(command, subscription, charging, about)
        case _:
            assert_never(command)


def request_charge(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """One charge at a time, and none before its day (S6 to S8)."""
    refuse_while_a_charge_is_open(subscription)
    if not renews_by_card(subscription, about.occurred_at):
        refuse_unless_in_steps_or_active(subscription, about.occurred_at)
    due = _payment_after_all_steps(subscription, about)
    refuse_unless_by_card(due.method)
    refuse_before_its_day(subscription, about)
    attempt, payment = _next_attempt(subscription, about.subscription, due.days.first_day)
    return [
        ChargeRequested(
            **about.facts(),
            payment=payment,
            attempt=attempt,
            amount_minor=due.amount_minor,
            currency=due.terms.currency,
            means=due.method.means,
            plan=due.terms.plan,
            price_version=due.terms.price_version,
            period_from=due.days.first_day,
            period_to=due.days.last_day,
            time_zone=subscription.time_zone,
            tax_document=due.tax_document,
        )
    ]


def capture_payment(
    command: CapturePayment, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """What was requested pays for the period that it was requested for (S5, S7, S8).

    But a first payment pays from the day on which it is known to have come in: there was no access
    before (S3).
    """
    if subscription.charge is None:
        return _capture_transfer(command, subscription, about)
    refuse_known_payment(subscription, command.payment)
    refuse_unless_of_charge(command, subscription.charge)
    request = subscription.charge.request
    days = _days_of(request, subscription, about)
    return [
        PaymentCaptured(
            **about.facts(),
            payment=request.payment,
            payer=about.person,
            amount_minor=request.amount_minor,
            currency=request.currency,
            means=request.means,
            plan=request.plan,
            price_version=request.price_version,
            period_from=days.first_day,
            period_to=days.last_day,
            time_zone=request.time_zone,
            gateway_reference=command.gateway_reference,
            tax_document=request.tax_document,
        ),
        _receipt(subscription, about, request.payment, days),
    ]


def _days_of(request: ChargeRequested, subscription: Subscription, about: About) -> Period:
    if subscription.anchor is None:
        # A card pays for 1 month (S2), whatever means the payer has chosen since.
        by_card = PaymentMethod(request.means, months=1)
        return next_period(subscription, by_card, about.occurred_at)
    return Period(request.period_from, request.period_to)


def _receipt(
    subscription: Subscription, about: About, payment: UUID, days: Period
) -> SubscriptionEvent:
    template, reason = NoticeTemplate.RECEIPT, NoticeReason.PAYMENT_CAPTURED
    return notice(subscription, about, template, reason, payment, last_day=days.last_day)


def _capture_transfer(
    command: CapturePayment, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """Without a request, a payment pays for the period that follows what is paid (S5, S9)."""
    renewed = renews_by_card(subscription, about.occurred_at)
    if not renewed and not came_in_before_the_end(subscription, about.occurred_at):
        refuse_unless_in_steps_or_active(subscription, about.occurred_at)
    due = _payment_after_all_steps(subscription, about)
    refuse_known_payment(subscription, command.payment)
    refuse_wrong_amount(
        command.amount_minor, command.currency, due.amount_minor, due.terms.currency
    )
    return [
        PaymentCaptured(
            **about.facts(),
            payment=command.payment,
            payer=about.person,
            amount_minor=command.amount_minor,
            currency=command.currency,
            means=due.method.means,
            plan=due.terms.plan,
            price_version=due.terms.price_version,
            period_from=due.days.first_day,
            period_to=due.days.last_day,
            time_zone=subscription.time_zone,
            gateway_reference=command.gateway_reference,
            tax_document=due.tax_document,
        ),
        _receipt(subscription, about, command.payment, due.days),
    ]


def decline_payment(
    command: DeclinePayment, subscription: Subscription, charging: ChargingTerms, about: About
) -> Sequence[SubscriptionEvent]:
    """A declined charge changes nothing that is paid (S3); a renewal is tried again (S8)."""
    if subscription.charge is not None:
        return _decline_charge(command, subscription, subscription.charge, charging, about)
    refuse_if_step_missing(subscription, before="payment")
    refuse_known_payment(subscription, command.payment)
    assert subscription.method  # noqa: S101  the steps are complete, or were refused above
    return [
        PaymentDeclined(
            **about.facts(),
            payment=command.payment,
            amount_minor=command.amount_minor,
            currency=command.currency,
            means=subscription.method.means,
            reason=command.reason,
        )
    ]


def _decline_charge(
    command: DeclinePayment,
    subscription: Subscription,
    charge: Charge,
    charging: ChargingTerms,
    about: About,
) -> Sequence[SubscriptionEvent]:
    refuse_known_payment(subscription, command.payment)
    refuse_unless_of_charge(command, charge)
    request = charge.request
    declined = PaymentDeclined(
        **about.facts(),
        payment=request.payment,
        amount_minor=request.amount_minor,
        currency=request.currency,
        means=request.means,
        reason=command.reason,
        period_from=request.period_from,
        period_to=request.period_to,
        time_zone=request.time_zone,
        attempt=request.attempt,
    )
    return [declined, *_after_decline(subscription, charge, charging, about)]


def _after_decline(
    subscription: Subscription, charge: Charge, charging: ChargingTerms, about: About
) -> Sequence[SubscriptionEvent]:
    match subscription.standing:
        case SubscriptionStanding.ACTIVE:
            return _after_declined_renewal(subscription, charge, charging, about)
        case SubscriptionStanding.STEPS:
            # There is no grace for what was never paid (S3); the payer tries again.
            return [_told_of_decline(subscription, about, charge.payment)]
        case _:
            # It was ended, or lapsed, while the charge was on its way: nothing is tried again.
            return []


def _after_declined_renewal(
    subscription: Subscription, charge: Charge, charging: ChargingTerms, about: About
) -> Sequence[SubscriptionEvent]:
    """The first decline makes it past due; the last try that fails makes it lapse (S8).

    Its schedule counts from the day on which the charge was asked for, also where its outcome came
    late: grace that was given while it was unknown is not given a second time (S7).
    """
    today = subscription.day(about.occurred_at)
    asked_on = subscription.day(charge.request.occurred_at)
    past_due = subscription.past_due
    if past_due is not None:
        retries_on = past_due.after_try(today)
    else:
        scheduled = [asked_on + timedelta(days=days) for days in charging.retry_days]
        retries_on = tuple([day for day in scheduled if day > today])
    if not retries_on:
        return [
            lapsed(subscription, about),
            notice(
                subscription,
                about,
                NoticeTemplate.SUBSCRIPTION_LAPSED,
                NoticeReason.LAST_TRY_FAILED,
                charge.payment,
                last_day=subscription.paid_through,
            ),
        ]
    told = _told_of_decline(subscription, about, charge.payment, retries_on)
    if past_due is not None:
        return [told]
    return [
        SubscriptionPastDue(
            **about.facts(),
            payment=charge.payment,
            period_from=charge.request.period_from,
            period_to=charge.request.period_to,
            declined_on=asked_on,
            retries_on=retries_on,
            access_until=retries_on[-1],
            time_zone=subscription.time_zone,
        ),
        told,
    ]


def _told_of_decline(
    subscription: Subscription, about: About, payment: UUID, retries_on: Sequence[date] = ()
) -> SubscriptionEvent:
    template, reason = NoticeTemplate.PAYMENT_DECLINED, NoticeReason.PAYMENT_DECLINED
    if len(retries_on) == 1:
        template, reason = NoticeTemplate.LAST_WARNING, NoticeReason.ONE_TRY_LEFT
    last_day = retries_on[-1] if retries_on else None
    return notice(subscription, about, template, reason, payment, last_day=last_day)


def record_unknown_charge(
    command: RecordUnknownCharge,
    subscription: Subscription,
    charging: ChargingTerms,
    about: About,
) -> Sequence[SubscriptionEvent]:
    """It is recorded once; access goes on as for a declined renewal, no longer (S7)."""
    refuse_known_payment(subscription, command.payment)
    charge = subscription.charge
    if charge is None or charge.payment != command.payment:
        raise Refused(
            "S7",
            "no charge with this id waits for an outcome",
            remedy="Look the payment up in the billing history.",
        )
    if charge.unknown:
        return []
    return [
        PaymentOutcomeUnknown(
            **about.facts(),
            payment=command.payment,
            amount_minor=charge.request.amount_minor,
            currency=charge.request.currency,
            attempt=charge.request.attempt,
            period_from=charge.request.period_from,
            period_to=charge.request.period_to,
            reason=command.reason,
            access_until=_grace_of_unknown(subscription, charge, charging),
            time_zone=subscription.time_zone,
        )
    ]


def _grace_of_unknown(
    subscription: Subscription, charge: Charge, charging: ChargingTerms
) -> date | None:
    """A first payment has no grace (S3), and nor has what was ended."""
    if subscription.standing is not SubscriptionStanding.ACTIVE:
        return None
    if subscription.past_due is not None:
        return subscription.past_due.access_until
    if not charging.retry_days:
        return None
    asked_on = subscription.day(charge.request.occurred_at)
    return asked_on + timedelta(days=charging.retry_days[-1])


def announce_price(
    command: AnnouncePrice, subscription: Subscription, charging: ChargingTerms, about: About
) -> Sequence[SubscriptionEvent]:
    """A price changes for periods to come, and is announced in time (S5)."""
    terms = PlanTerms(
        command.plan, command.price_version, command.monthly_price_minor, command.currency
    )
    if AnnouncedPrice(terms, command.effective_from) in subscription.prices:
        return []
    refuse_price_of_something_else(terms, subscription, about)
    refuse_former_price(terms, subscription)
    first_possible = subscription.day(about.occurred_at) + timedelta(days=charging.notice_days)
    if command.effective_from < first_possible:
        raise Refused(
            "S5",
            f"a price is announced {charging.notice_days} days before it holds",
            remedy=f"Let it hold from {first_possible.isoformat()} on, or later.",
        )
    former = subscription.terms_on(command.effective_from)
    assert former  # noqa: S101  there is a price, or it was refused above
    return [
        PriceAnnounced(
            **about.facts(),
            plan=command.plan,
            price_version=command.price_version,
            monthly_price_minor=command.monthly_price_minor,
            currency=command.currency,
            former_price_version=former.price_version,
            former_monthly_price_minor=former.monthly_price_minor,
            effective_from=command.effective_from,
            time_zone=subscription.time_zone,
        ),
        notice(
            subscription,
            about,
            NoticeTemplate.PRICE_CHANGE,
            NoticeReason.PRICE_ANNOUNCED,
            price_version=command.price_version,
        ),
    ]


# ---------------------------------------------------------------- what several rules ask


def names_open_charge(command: object, subscription: Subscription) -> bool:
    """Whether it tells what became of the charge that waits for an outcome.

    That is recorded whatever became of the account: the gateway may have taken the money.
    """
    match command:
        case CapturePayment() | DeclinePayment() | RecordUnknownCharge():
            charge = subscription.charge
            return charge is not None and charge.payment == command.payment
        case _:
            return False


def came_in_before_the_end(subscription: Subscription, at: datetime) -> bool:
    """Whether a transfer was made in time, though the lapse was on record before it (S8, S9)."""
    method = subscription.method
    by_transfer = method is not None and method.means is PaymentMeans.TRANSFER
    # What its payer ended is not renewed, however early its lapse was recorded (S4).
    lapsed_since = subscription.standing is SubscriptionStanding.LAPSED
    renewable = lapsed_since and not subscription.was_ended
    grace = subscription.grace_lapsed
    in_time = not subscription.ran_out(at) or (grace is not None and subscription.day(at) <= grace)
    return by_transfer and renewable and in_time


def refuse_while_a_charge_is_open(subscription: Subscription) -> None:
    """No charge is requested while another has no outcome (S6, S7)."""
    charge = subscription.charge
    if charge is None:
        return
    if charge.unknown:
        raise Refused(
            "S7",
            "the outcome of a charge is not known yet",
            remedy="Ask the gateway about it until it answers, and record the outcome.",
        )
    raise Refused(
        "S6",
        "a charge has been requested and has no outcome yet",
        remedy="Record its outcome, or that it is unknown, first.",
    )


def refuse_unless_by_card(method: PaymentMethod) -> None:
    """Transfers are made by the payer, and recorded by staff (S2)."""
    if method.means is not PaymentMeans.CARD:
        raise Refused(
            "S2",
            "the subscription is paid by transfer",
            remedy="Record the transfer with CapturePayment once it has come in.",
        )


def refuse_before_its_day(subscription: Subscription, about: About) -> None:
    """A renewal is charged on its first day, and tried again on the days of its schedule."""
    if subscription.standing is not SubscriptionStanding.ACTIVE:
        return
    today = subscription.day(about.occurred_at)
    past_due = subscription.past_due
    if past_due is not None and past_due.retries_on and today < past_due.retries_on[0]:
        raise Refused(
            "S8",
            "the declined renewal is not tried again yet",
            remedy=f"Try again on {past_due.retries_on[0].isoformat()}.",
        )
    if subscription.first_unpaid_day is not None and today < subscription.first_unpaid_day:
        raise Refused(
            "S6",
            "this day is paid for, so there is nothing to charge",
            remedy=f"Charge on {subscription.first_unpaid_day.isoformat()}.",
        )


def refuse_unless_of_charge(command: CapturePayment | DeclinePayment, charge: Charge) -> None:
    """An outcome is that of the charge which waits for one, and of its amount (S6)."""
    request = charge.request
    if command.payment != request.payment:
        raise Refused(
            "S6",
            "another charge has been requested and has no outcome yet",
            remedy="Record the outcome of that one first.",
        )
    refuse_wrong_amount(
        command.amount_minor, command.currency, request.amount_minor, request.currency
    )


def refuse_price_of_something_else(
    terms: PlanTerms, subscription: Subscription, about: About
) -> None:
    """It is the price of the plan that is paid for, in the currency in which it is (S5, S13)."""
    agreed = subscription.terms
    if agreed is None or not subscription.paying or subscription.over(about.occurred_at):
        raise Refused(
            "S5",
            "nothing is paid for whose price could change",
            remedy="Have the payer agree to a price with ConfirmPlan.",
        )
    if terms.plan != agreed.plan:
        raise Refused(
            "S5",
            "the subscription is not for this plan",
            remedy="Announce a price of its own plan; the payer changes plans with ConfirmPlan.",
        )
    if terms.currency is not agreed.currency:
        raise Refused(
            "S5",
            f"the price is in another currency than {agreed.currency.value}",
            remedy="Announce it in the currency in which the payer pays.",
        )


def refuse_former_price(terms: PlanTerms, subscription: Subscription) -> None:
    """Versions of prices follow one another (S5)."""
    known = [subscription.terms, *(price.terms for price in subscription.prices)]
    newest = max(each.price_version for each in known if each and each.plan == terms.plan)
    if terms.price_version <= newest:
        raise Refused(
            "S5",
            f"version {newest} of the prices is known already",
            remedy="Announce a later version.",
        )


def _payment_after_all_steps(subscription: Subscription, about: About) -> NextPayment:
    refuse_if_step_missing(subscription, before="payment")
    due = next_payment(subscription, about.occurred_at)
    assert due  # noqa: S101  the steps are complete, or were refused above
    return due


def _next_attempt(subscription: Subscription, stream: UUID, first_day: date) -> tuple[int, UUID]:
    """The first try for a period whose outcome is not on record."""
    tries = ((attempt, payment_of(stream, first_day, attempt)) for attempt in count(1))
    return next(each for each in tries if each[1] not in subscription.payments)
