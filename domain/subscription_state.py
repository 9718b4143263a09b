"""What decisions about a subscription rest on, and what several of them ask (S1 to S12)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypedDict, assert_never
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from domain.account import Account, known_account
from domain.actor import Actor, ActorKind
from domain.calendar import REMINDER_DAYS, Period, local_day, period
from domain.command import AccountCommand
from domain.decider import Decider
from domain.identity import WhoPays
from domain.money import Currency, format_money
from domain.refusal import Refused
from domain.streams import notice_of
from domain.subscription_facts import (
    ChargeRequested,
    NoticeReason,
    NoticeRequested,
    NoticeTemplate,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PaymentMethodChosen,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PlanConfirmed,
    PriceAnnounced,
    RefundFailed,
    RefundRequested,
    SeatsChanged,
    SubscriptionEnded,
    SubscriptionEvent,
    SubscriptionKind,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStarted,
    TaxDocumentChosen,
    TaxDocumentKind,
)

__all__ = [
    "About", "AboutFacts", "AnnouncedPrice", "CapturedPayment", "CardToken", "Charge",
    "ChargingTerms", "CompanyText", "GatewayReference", "NextPayment", "PastDue", "PaymentMethod",
    "PlanCode", "PlanTerms", "Refund", "RefundStanding", "Subscription", "SubscriptionCommand",
    "SubscriptionStanding", "SubscriptionSurroundings", "charge_is_wanted", "evolve", "known_plan",
    "lapsed",
    "next_payment", "next_period", "notice", "refuse_if_step_missing", "refuse_known_payment",
    "refuse_unless_in_steps_or_active", "refuse_unless_staff", "refuse_unless_started",
    "refuse_wrong_amount", "renews_by_card", "subscription_decider",
]  # fmt: skip


def _no_card_number(token: str) -> str:
    if re.search("[0-9]{12}", re.sub("[_-]", "", token)):
        raise ValueError("so many digits in a row may be the number of a card")
    return token


PlanCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""Code of a plan, such as ``full-access``."""

GatewayReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{2,63}$")]
"""What the gateway or the bank calls a payment; begins with a letter, so no card number fits."""

CardToken = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{2,}(:[A-Za-z][A-Za-z0-9_-]{2,})?$", max_length=128
    ),
    AfterValidator(_no_card_number),
]
"""What the gateway calls a card, such as ``pm_1Q0PsIJvEtkwdCNYMSaVuRz6``; never its number.

Where the gateway keeps cards by customer, the customer before it: ``cus_…:pm_…``.
"""

CompanyText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""A name, a line of business or an address on a factura (S11)."""


class SubscriptionCommand(AccountCommand, abstract=True):
    """A command about a subscription that exists, of an individual or of an institution."""

    account: WhoPays
    """The account: an e-mail, person:ID or account:ID; or an institutional plan, by plan:ID."""


# ---------------------------------------------------------------- state


class SubscriptionStanding(StrEnum):
    """Where a subscription stands."""

    NONE = "none"
    STEPS = "steps"
    ACTIVE = "active"
    ENDED = "ended"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What was agreed to."""

    plan: str
    price_version: int
    monthly_price_minor: int
    currency: Currency


@dataclass(frozen=True, slots=True)
class AnnouncedPrice:
    """A price for periods that begin on a day or later."""

    terms: PlanTerms
    effective_from: date


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """How is paid, and for how many months at a time."""

    means: PaymentMeans
    months: int


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that was requested and has no outcome yet (S6, S7).

    Attributes:
        request: all that was asked for.
        unknown: the gateway was asked, and its answer is not known.
    """

    request: ChargeRequested
    unknown: bool = False

    @property
    def payment(self) -> UUID:
        """Id of the payment."""
        return self.request.payment


@dataclass(frozen=True, slots=True)
class PastDue:
    """A renewal was declined (S8).

    Attributes:
        retries_on: the days of the tries that are left.
        access_until: the last day of grace.
    """

    retries_on: tuple[date, ...]
    access_until: date

    def after_try(self, day: date) -> tuple[date, ...]:
        """The tries that are left once one failed on a day; missed ones are not made up for."""
        return tuple(each for each in self.retries_on[1:] if each > day)


@dataclass(frozen=True, slots=True)
class CapturedPayment:
    """Money that came in, and of which some may go back (S12)."""

    amount_minor: int
    currency: Currency
    means: PaymentMeans
    payer: UUID
    plan: str
    price_version: int
    period_from: date
    period_to: date
    time_zone: str
    tax_document: TaxDocumentKind

    @classmethod
    def of(cls, event: PaymentCaptured) -> "CapturedPayment":
        """As it was recorded."""
        return cls(
            amount_minor=event.amount_minor,
            currency=event.currency,
            means=event.means,
            payer=event.payer,
            plan=event.plan,
            price_version=event.price_version,
            period_from=event.period_from,
            period_to=event.period_to,
            time_zone=event.time_zone,
            tax_document=event.tax_document,
        )


class RefundStanding(StrEnum):
    """What became of a refund."""

    REQUESTED = "requested"
    REFUNDED = "refunded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that goes back (S12)."""

    request: RefundRequested
    standing: RefundStanding = RefundStanding.REQUESTED


@dataclass(frozen=True, slots=True)
class Subscription:
    """What decisions about a subscription rest on.

    Attributes:
        was_ended: since then its payer ended it, and did not take that back.
        anchor: day of the first payment since the start or the last lapse; months count from it.
        months_paid: months paid for since the anchor.
        paid_through: the last day paid for, which follows from the payments alone (S5).
        last_document_day: of the last payment or refund, from which its tax term runs (A11).
        payments: ids of payments whose outcome is known.
        settled_at: when the last of these outcomes came, or it was ended or that taken back, or
            another means, plan or tax document was chosen since; what follows is due no earlier.
        payer: the institution of a plan, by the id that its facts name as the person.
        seats: of a plan: how many members and open invitations it has room for.
        prices: those announced for later periods.
        charge: the charge that has no outcome yet.
        past_due: the tries that are left of a declined renewal.
        paid_by_card: the last payment was one by card, and known before its days had passed.
        renewal_day: the day on which a card is charged anew; access waits for it that day (S8).
        grace_until: the last day of access without payment (S7, S8); None where there is none.
        grace_lapsed: the last day of grace there was when it lapsed.
        captured: the payments that came in, by id.
        refunds: what was to go back of them, by id of the refund.
        notices: how many were requested so far.
        reminded_for: the last day paid for of which the payer was told in advance.
    """

    standing: SubscriptionStanding = SubscriptionStanding.NONE
    kind: SubscriptionKind = SubscriptionKind.INDIVIDUAL
    payer: UUID | None = None
    seats: int = 0
    time_zone: str = "UTC"
    tax_document: TaxDocumentKind | None = None
    terms: PlanTerms | None = None
    method: PaymentMethod | None = None
    was_ended: bool = False
    anchor: date | None = None
    months_paid: int = 0
    paid_through: date | None = None
    last_document_day: date | None = None
    payments: frozenset[UUID] = frozenset()
    settled_at: datetime | None = None
    prices: tuple[AnnouncedPrice, ...] = ()
    charge: Charge | None = None
    past_due: PastDue | None = None
    paid_by_card: bool = False
    renewal_day: date | None = None
    grace_until: date | None = None
    grace_lapsed: date | None = None
    captured: Mapping[UUID, CapturedPayment] = field(default_factory=dict[UUID, CapturedPayment])
    refunds: Mapping[UUID, Refund] = field(default_factory=dict[UUID, Refund])
    notices: int = 0
    reminded_for: date | None = None

    def day(self, at: datetime) -> date:
        """The day on which an instant falls for this subscription (S5)."""
        return local_day(at, self.time_zone)

    def ran_out(self, at: datetime) -> bool:
        """Whether the last day paid for lies before this instant."""
        return self.paid_through is not None and self.day(at) > self.paid_through

    def in_grace(self, at: datetime) -> bool:
        """Whether access goes on without a payment for this instant (S7, S8)."""
        return self.last_day_of_grace is not None and self.day(at) <= self.last_day_of_grace

    def over(self, at: datetime) -> bool:
        """Whether it gave access and does so no longer; one not yet paid for is not over."""
        lapsed = self.standing is SubscriptionStanding.LAPSED
        return lapsed or (self.ran_out(at) and not self.in_grace(at))

    def last_tax_day(self, at: datetime) -> date | None:
        """The day of the last tax document: of a payment, or of what is still to come of it (A11).

        A charge whose outcome is not known may yet be captured, and a refund gets a credit note.
        """
        on_its_way = self.charge is not None or any(
            refund.standing is RefundStanding.REQUESTED for refund in self.refunds.values()
        )
        return self.day(at) if on_its_way else self.last_document_day

    def goes_on(self, at: datetime) -> bool:
        """Whether it is active, and not over; or a charge is on its way that may renew it."""
        active = self.standing is SubscriptionStanding.ACTIVE
        return active and (not self.over(at) or self.charge is not None)

    @property
    def last_day_of_grace(self) -> date | None:
        """Until when access goes on without payment: the day of the renewal, or longer."""
        return max(filter(None, [self.renewal_day, self.grace_until]), default=None)

    @property
    def paying(self) -> bool:
        """Whether payments have made it active since the start or the last reactivation."""
        return self.standing in (SubscriptionStanding.ACTIVE, SubscriptionStanding.ENDED)

    @property
    def first_unpaid_day(self) -> date | None:
        """The day after the last one that is paid for; None where nothing was ever paid."""
        return None if self.paid_through is None else self.paid_through + timedelta(days=1)

    @property
    def reminder_day(self) -> date | None:
        """From which day on whoever pays by transfer is to be reminded; None where nobody is.

        Whoever is past due has been told, and a charge that is on its way may still pay.
        """
        first_unpaid_day, method = self.first_unpaid_day, self.method
        runs_out = self.standing is SubscriptionStanding.ACTIVE and self.past_due is None
        if first_unpaid_day is None or method is None or not runs_out or self.charge is not None:
            return None
        if method.means is not PaymentMeans.TRANSFER or self.reminded_for == self.paid_through:
            return None
        return first_unpaid_day - timedelta(days=REMINDER_DAYS)

    def terms_on(self, first_day: date) -> PlanTerms | None:
        """The terms of a period that begins on this day.

        An announced price holds from its day on, unless a later version was agreed to since.
        """
        agreed = self.terms
        if agreed is None:
            return None
        announced = [
            price.terms
            for price in self.prices
            if price.effective_from <= first_day
            and price.terms.plan == agreed.plan
            and price.terms.currency is agreed.currency
        ]
        return max([agreed, *announced], key=lambda terms: terms.price_version)


def evolve(subscription: Subscription, event: SubscriptionEvent) -> Subscription:
    """The subscription after one more event."""
    match event:
        case SubscriptionStarted():
            return Subscription(
                standing=SubscriptionStanding.STEPS,
                kind=event.kind or SubscriptionKind.INDIVIDUAL,
                payer=event.person,
                seats=event.seats or 0,
                time_zone=event.time_zone,
            )
        case SeatsChanged():
            return replace(subscription, seats=event.seats)
        case TaxDocumentChosen():
            return _agreed(replace(subscription, tax_document=event.kind), event.occurred_at)
        case PlanConfirmed():
            return _agreed(replace(subscription, terms=_terms(event)), event.occurred_at)
        case PriceAnnounced():
            price = AnnouncedPrice(_terms(event), event.effective_from)
            return replace(subscription, prices=(*subscription.prices, price))
        case PaymentMethodChosen():
            chosen = replace(subscription, method=PaymentMethod(event.means, event.months))
            return _agreed(chosen, event.occurred_at)
        case ChargeRequested():
            return replace(subscription, charge=Charge(event))
        case PaymentOutcomeUnknown():
            return _unknown(subscription, event)
        case PaymentCaptured():
            return _paid(subscription, event)
        case PaymentDeclined():
            return _declined(subscription, event)
        case SubscriptionPastDue():
            return replace(
                subscription,
                past_due=PastDue(event.retries_on, event.access_until),
                grace_until=event.access_until,
            )
        case SubscriptionEnded():
            ended = _without_grace(subscription, SubscriptionStanding.ENDED)
            return _settled(replace(ended, was_ended=True), event.occurred_at)
        case SubscriptionResumed():
            active = replace(subscription, standing=SubscriptionStanding.ACTIVE, was_ended=False)
            active = replace(active, renewal_day=_renewal_day(active))
            return _settled(active, event.occurred_at)
        case SubscriptionLapsed():
            lapsed = _without_grace(subscription, SubscriptionStanding.LAPSED)
            return replace(lapsed, grace_lapsed=subscription.last_day_of_grace)
        case SubscriptionReactivated():
            return replace(
                subscription,
                standing=SubscriptionStanding.STEPS,
                was_ended=False,
                tax_document=None,
                terms=None,
                method=None,
                anchor=None,
                months_paid=0,
                prices=(),
            )
        case RefundRequested():
            return _with_refund(subscription, event.refund, Refund(event))
        case PaymentRefunded():
            refunded = _refund_ended(subscription, event.refund, RefundStanding.REFUNDED)
            day = subscription.day(event.occurred_at)
            return replace(refunded, last_document_day=max(day, refunded.last_document_day or day))
        case RefundFailed():
            return _refund_ended(subscription, event.refund, RefundStanding.FAILED)
        case NoticeRequested():
            return _told(subscription, event)
        case _:
            assert_never(event)


def _terms(event: PlanConfirmed | PriceAnnounced) -> PlanTerms:
    return PlanTerms(event.plan, event.price_version, event.monthly_price_minor, event.currency)


def _unknown(subscription: Subscription, event: PaymentOutcomeUnknown) -> Subscription:
    charge = subscription.charge
    return replace(
        subscription,
        charge=None if charge is None else replace(charge, unknown=True),
        grace_until=event.access_until or subscription.grace_until,
    )


def _paid(subscription: Subscription, event: PaymentCaptured) -> Subscription:
    anchor = subscription.anchor or event.period_from
    paid_on = local_day(event.occurred_at, event.time_zone)
    paid = replace(
        subscription,
        standing=_standing_paid(subscription.standing, event, paid_on),
        anchor=anchor,
        months_paid=_months_between(anchor, event.period_to + timedelta(days=1)),
        paid_through=event.period_to,
        last_document_day=max(paid_on, subscription.last_document_day or paid_on),
        payments=subscription.payments | {event.payment},
        settled_at=_later(subscription.settled_at, event.occurred_at),
        charge=_charge_after(subscription, event.payment),
        past_due=None,
        paid_by_card=event.means is PaymentMeans.CARD and paid_on <= event.period_to,
        grace_until=None,
        captured={**subscription.captured, event.payment: CapturedPayment.of(event)},
    )
    return replace(paid, renewal_day=_renewal_day(paid))


def _standing_paid(
    before: SubscriptionStanding, event: PaymentCaptured, paid_on: date
) -> SubscriptionStanding:
    match before:
        case SubscriptionStanding.ENDED:
            # Whoever ended it while the charge was on its way has ended it all the same (S4).
            return before
        case SubscriptionStanding.LAPSED if paid_on > event.period_to:
            # Known only when the days that it pays for had passed, it renews nothing (S5).
            return before
        case _:
            return SubscriptionStanding.ACTIVE


def _renewal_day(subscription: Subscription) -> date | None:
    """A card is charged on the first day that is not paid for, unless it was ended before."""
    active = subscription.standing is SubscriptionStanding.ACTIVE
    return subscription.first_unpaid_day if active and subscription.paid_by_card else None


def _declined(subscription: Subscription, event: PaymentDeclined) -> Subscription:
    past_due = subscription.past_due
    charged = subscription.charge is not None and subscription.charge.payment == event.payment
    if past_due is not None and charged:
        past_due = replace(
            past_due, retries_on=past_due.after_try(subscription.day(event.occurred_at))
        )
    return replace(
        subscription,
        payments=subscription.payments | {event.payment},
        settled_at=_later(subscription.settled_at, event.occurred_at),
        charge=_charge_after(subscription, event.payment),
        past_due=past_due,
    )


def _told(subscription: Subscription, event: NoticeRequested) -> Subscription:
    told = replace(subscription, notices=subscription.notices + 1)
    if event.template is NoticeTemplate.PAYMENT_REMINDER:
        return replace(told, reminded_for=subscription.paid_through)
    return told


def _agreed(subscription: Subscription, at: datetime) -> Subscription:
    """What is chosen amid the steps is followed by nothing that is due."""
    return _settled(subscription, at) if subscription.paying else subscription


def _settled(subscription: Subscription, at: datetime) -> Subscription:
    return replace(subscription, settled_at=_later(subscription.settled_at, at))


def _later(before: datetime | None, at: datetime) -> datetime:
    return at if before is None else max(before, at)


def _charge_after(subscription: Subscription, payment: UUID) -> Charge | None:
    """The charge without outcome, once this payment has one."""
    charge = subscription.charge
    return None if charge is None or charge.payment == payment else charge


def _without_grace(subscription: Subscription, standing: SubscriptionStanding) -> Subscription:
    return replace(
        subscription, standing=standing, past_due=None, renewal_day=None, grace_until=None
    )


def _refund_ended(
    subscription: Subscription, refund: UUID, standing: RefundStanding
) -> Subscription:
    known = subscription.refunds.get(refund)
    if known is None:
        return subscription
    return _with_refund(subscription, refund, replace(known, standing=standing))


def _with_refund(subscription: Subscription, refund: UUID, known: Refund) -> Subscription:
    return replace(subscription, refunds={**subscription.refunds, refund: known})


def _months_between(anchor: date, boundary: date) -> int:
    return (boundary.year - anchor.year) * 12 + boundary.month - anchor.month


subscription_decider: Decider[Subscription, SubscriptionEvent] = Decider(
    initial=Subscription(), evolve=evolve
)

# ---------------------------------------------------------------- surroundings


@dataclass(frozen=True, slots=True)
class ChargingTerms:
    """What an installation sets about charges.

    Attributes:
        retry_days: how many days after its first decline a renewal is tried again (S8).
        notice_days: how many days before it holds a price is announced (S5).
    """

    retry_days: tuple[int, ...] = (1, 3, 5, 7)
    notice_days: int = 30


@dataclass(frozen=True, slots=True)
class SubscriptionSurroundings:
    """What a decision about a subscription needs beyond its own stream.

    Attributes:
        account: whose subscription it is; None for an institutional plan.
        charging: what is set about charges.
    """

    subscription: UUID
    account: Account | None
    charging: ChargingTerms = ChargingTerms()


class AboutFacts(TypedDict):
    """The fields that all facts about a subscription share."""

    subscription: UUID
    account: UUID
    person: UUID
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class About:
    """What every event of one decision carries."""

    subscription: UUID
    account: UUID
    person: UUID
    occurred_at: datetime

    @classmethod
    def of(
        cls,
        command: AccountCommand,
        subscription: Subscription,
        surroundings: SubscriptionSurroundings,
    ) -> "About":
        """Reads it off the command and the account, or the plan.

        Raises:
            Refused: there is no such account (A1), or no such plan (S10).
        """
        if surroundings.account is None:
            institution = known_plan(subscription)
            return cls(
                surroundings.subscription, surroundings.subscription, institution, command.at
            )
        known = known_account(surroundings.account)
        return cls(surroundings.subscription, known.id, known.person, command.at)

    def facts(self) -> AboutFacts:
        """As keywords for an event."""
        return {
            "subscription": self.subscription,
            "account": self.account,
            "person": self.person,
            "occurred_at": self.occurred_at,
        }


# ---------------------------------------------------------------- what several rules ask


def next_period(subscription: Subscription, method: PaymentMethod, at: datetime) -> Period:
    """The days that the next payment pays for.

    They follow what is paid; the first payment, and the first after a lapse, starts on its own
    day and sets the day from which months are counted (S5, S9).
    """
    anchor = subscription.anchor or _first_unpaid_day(subscription, at)
    return period(anchor, months_before=subscription.months_paid, months=method.months)


@dataclass(frozen=True, slots=True)
class NextPayment:
    """What the next payment pays for, and what it has to be.

    Attributes:
        days: that it pays for.
        terms: the plan and its price for those days.
        method: by which it is made.
        tax_document: the kind of tax document that it gets.
    """

    days: Period
    terms: PlanTerms
    method: PaymentMethod
    tax_document: TaxDocumentKind

    @property
    def amount_minor(self) -> int:
        """The price of the period in minor units (S5)."""
        return self.terms.monthly_price_minor * self.method.months


def next_payment(subscription: Subscription, at: datetime) -> NextPayment | None:
    """The payment that would be made at an instant; None while a step is missing (S1, S5)."""
    method, tax_document = subscription.method, subscription.tax_document
    if method is None or tax_document is None:
        return None
    days = next_period(subscription, method, at)
    terms = subscription.terms_on(days.first_day)
    return NextPayment(days, terms, method, tax_document) if terms is not None else None


def renews_by_card(subscription: Subscription, at: datetime) -> bool:
    """Whether a card charged at this instant renews an active subscription from its old end.

    A card is charged when what is paid has run out, not before as a transfer is; it renews as
    long as no lapse is recorded, and the period that it pays for or the grace has not passed.
    """
    method = subscription.method
    if subscription.standing is not SubscriptionStanding.ACTIVE or method is None:
        return False
    last_day = next_period(subscription, method, at).last_day
    # Days of grace may reach beyond a period whose first decline came late in it.
    in_time = subscription.day(at) <= last_day or subscription.in_grace(at)
    return method.means is PaymentMeans.CARD and in_time


def charge_is_wanted(subscription: Subscription, at: datetime) -> bool:
    """Whether a charge that was requested, and may never have been made, is still to be made.

    Nothing is charged any more once it was ended or paid otherwise (S4), nor for days that have
    passed (S5, S9). What became of a charge that was made is recorded all the same (S6).
    """
    if subscription.standing is SubscriptionStanding.STEPS:
        method = subscription.method
        return method is not None and method.means is PaymentMeans.CARD
    return renews_by_card(subscription, at)


def _first_unpaid_day(subscription: Subscription, at: datetime) -> date:
    # A payment recorded after a lapse may be dated before it, and no day is paid for twice.
    return max(subscription.day(at), subscription.first_unpaid_day or date.min)


def known_plan(subscription: Subscription) -> UUID:
    """The institution of a plan.

    Raises:
        Refused: there is no such plan (S10).
    """
    if subscription.kind is not SubscriptionKind.PLAN or subscription.payer is None:
        raise Refused(
            "S10", "there is no such plan", remedy="Check the id, or open the plan with OpenPlan."
        )
    return subscription.payer


def refuse_unless_staff(actor: Actor) -> None:
    """What an institution agrees to and pays is recorded by the operator (S10, G1)."""
    if actor.kind is ActorKind.PERSON:
        raise Refused(
            "G1",
            "a person can do this with their own account alone, not with a plan",
            remedy="Ask the account manager of the institution.",
        )


def refuse_unless_in_steps_or_active(subscription: Subscription, at: datetime) -> None:
    """After an ending or a lapse nothing goes on before it is taken back or begun anew."""
    if subscription.standing is SubscriptionStanding.LAPSED or (
        subscription.paying and subscription.over(at) and not subscription.goes_on(at)
    ):
        raise Refused(
            "A6",
            "the subscription has run out, and the step 'reactivate' is missing",
            remedy="Give ReactivateSubscription and go through the steps again.",
        )
    if subscription.standing is SubscriptionStanding.ENDED:
        raise Refused(
            "S4",
            "the subscription is ended",
            remedy="Take the ending back with ResumeSubscription while access lasts.",
        )
    refuse_unless_started(subscription)


def refuse_unless_started(subscription: Subscription) -> None:
    """All steps come after the first one (S1)."""
    if subscription.standing is SubscriptionStanding.NONE:
        raise Refused("S1", "the step 'start' is missing", remedy="Give StartSubscription first.")


def refuse_if_step_missing(
    subscription: Subscription, *, before: Literal["plan", "means", "payment"]
) -> None:
    """The steps are made in their order, and a refusal names the missing one (S1)."""
    refuse_unless_started(subscription)
    if subscription.tax_document is None:
        raise Refused(
            "S1",
            "the step 'tax document' is missing",
            remedy="Choose boleta or factura with ChooseTaxDocument first.",
        )
    if before == "plan":
        return
    if subscription.terms is None:
        raise Refused(
            "S1", "the step 'plan' is missing", remedy="Confirm a plan with ConfirmPlan first."
        )
    if before == "means":
        return
    if subscription.method is None:
        raise Refused(
            "S1",
            "the step 'means of payment' is missing",
            remedy="Choose one with ChoosePaymentMethod first.",
        )


def refuse_known_payment(subscription: Subscription, payment: UUID) -> None:
    """One charge has one outcome, whatever is delivered twice (S6)."""
    if payment in subscription.payments:
        raise Refused(
            "S6",
            "the outcome of this payment is recorded",
            remedy="Look it up in the billing history; a new charge has a new payment id.",
        )


def refuse_wrong_amount(
    amount_minor: int, currency: Currency, price_minor: int, price_currency: Currency
) -> None:
    """A payment pays for a period when it is that period's price (S5)."""
    if (amount_minor, currency) != (price_minor, price_currency):
        raise Refused(
            "S5",
            f"the amount is not the price of the period, "
            f"{format_money(price_minor, price_currency)}",
            remedy="Charge the price that was agreed to, or have the payer confirm a plan anew.",
        )


def notice(
    subscription: Subscription,
    about: About,
    template: NoticeTemplate,
    reason: NoticeReason,
    payment: UUID | None = None,
    *,
    refund: UUID | None = None,
    price_version: int | None = None,
    last_day: date | None = None,
) -> NoticeRequested:
    """What the payer has to be told of; a decision asks for one notice at most."""
    return NoticeRequested(
        **about.facts(),
        notice=notice_of(about.subscription, subscription.notices),
        template=template,
        reason=reason,
        payment=payment,
        refund=refund,
        price_version=price_version,
        last_day=last_day,
        time_zone=subscription.time_zone,
    )


def lapsed(subscription: Subscription, about: About) -> SubscriptionLapsed:
    """What is on record once that which was paid for ran out unrenewed."""
    assert subscription.paid_through is not None  # noqa: S101  it ran out, so something was paid
    return SubscriptionLapsed(
        **about.facts(),
        paid_through=subscription.paid_through,
        time_zone=subscription.time_zone,
    )
