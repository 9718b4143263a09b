"""Subscription of an individual or of an institution: steps, payments, days paid for (S1 to S12).

One aggregate in several modules: what happens to it stands in ``domain.subscription_facts``, what
its decisions rest on in ``domain.subscription_state``, charges in ``domain.charging`` and refunds
in ``domain.refund``. Here are its course, from the first step to the last day, and the table of
contents of all its decisions. Everything can be imported from here.
"""

from collections.abc import Sequence
from typing import Annotated, assert_never

from pydantic import Field, model_validator

from domain import charging, refund
from domain.account import (
    Account,
    refuse_if_closed,
    refuse_if_suspended,
    refuse_unless_owner,
)
from domain.actor import Actor, ActorKind
from domain.calendar import TimeZone
from domain.charging import (
    AnnouncePrice,
    CapturePayment,
    DeclinePayment,
    RecordUnknownCharge,
    RequestCharge,
)
from domain.command import AccountCommand
from domain.identity import Rut
from domain.money import AmountMinor, Currency
from domain.refund import CaptureRefund, FailRefund, RefundPayment
from domain.refusal import Refused
from domain.subscription_facts import (
    TAX,
    ChargeRequested,
    DeclineReason,
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
    RefundFailure,
    RefundReason,
    RefundRequested,
    SeatsChanged,
    SubscriptionEnded,
    SubscriptionEvent,
    SubscriptionFact,
    SubscriptionKind,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStarted,
    TaxDocumentChosen,
    TaxDocumentKind,
    UnknownReason,
)
from domain.subscription_state import (
    About,
    AboutFacts,
    AnnouncedPrice,
    CapturedPayment,
    CardToken,
    Charge,
    ChargingTerms,
    CompanyText,
    GatewayReference,
    PastDue,
    PaymentMethod,
    PlanCode,
    PlanTerms,
    Refund,
    RefundStanding,
    Subscription,
    SubscriptionCommand,
    SubscriptionStanding,
    SubscriptionSurroundings,
    charge_is_wanted,
    evolve,
    known_plan,
    lapsed,
    next_payment,
    notice,
    refuse_if_step_missing,
    refuse_known_payment,
    refuse_unless_in_steps_or_active,
    refuse_unless_staff,
    refuse_unless_started,
    refuse_wrong_amount,
    renews_by_card,
    subscription_decider,
)

__all__ = [
    "TAX", "About", "AboutFacts", "AnnouncePrice", "AnnouncedPrice", "CapturePayment",
    "CaptureRefund", "CapturedPayment", "Charge", "ChargeRequested", "ChargingTerms",
    "ChoosePaymentMethod", "ChooseTaxDocument", "CompanyText", "ConfirmPlan", "DeclinePayment",
    "DeclineReason", "EndSubscription", "FailRefund", "GatewayReference", "LapseSubscription",
    "NoticeReason", "NoticeRequested", "NoticeTemplate", "PastDue", "PaymentCaptured",
    "PaymentDeclined", "PaymentMeans", "PaymentMethod", "PaymentMethodChosen",
    "PaymentOutcomeUnknown", "PaymentRefunded", "PlanCode", "PlanConfirmed", "PlanTerms",
    "PriceAnnounced", "ReactivateSubscription", "RecordUnknownCharge", "Refund", "RefundFailed",
    "RefundFailure", "RefundPayment", "RefundReason", "RefundRequested", "RefundStanding",
    "RemindPayment", "RequestCharge", "ResumeSubscription", "SeatsChanged", "StartSubscription",
    "Subscription", "SubscriptionCommand", "SubscriptionDecision", "SubscriptionEnded",
    "SubscriptionEvent", "SubscriptionFact", "SubscriptionKind", "SubscriptionLapsed",
    "SubscriptionPastDue", "SubscriptionReactivated", "SubscriptionResumed", "SubscriptionStanding",
    "SubscriptionStarted", "SubscriptionSurroundings", "TaxDocumentChosen", "TaxDocumentKind",
    "UnknownReason", "charge_is_wanted", "decide", "end", "end_with_account", "evolve",
    "known_plan", "next_payment",
    "refuse_if_step_missing", "refuse_known_payment", "refuse_unless_in_steps_or_active",
    "refuse_unless_staff", "refuse_unless_started", "refuse_wrong_amount", "renews_by_card",
    "start", "subscription_decider",
]  # fmt: skip

# ---------------------------------------------------------------- commands


class StartSubscription(AccountCommand):
    """Begins the steps towards a subscription of an individual."""

    time_zone: TimeZone = "America/Santiago"
    """The time zone whose days the subscription is counted in."""


class ChooseTaxDocument(SubscriptionCommand):
    """Says which tax document payments get; a factura needs all four fields of the company."""

    kind: TaxDocumentKind
    """Boleta or factura."""
    company_name: CompanyText | None = None
    """Factura: name of the company."""
    company_rut: Rut | None = None
    """Factura: RUT of the company."""
    line_of_business: CompanyText | None = None
    """Factura: giro."""
    address: CompanyText | None = None
    """Factura: address."""


class ConfirmPlan(SubscriptionCommand):
    """Agrees to a plan at a price."""

    plan: PlanCode
    """Code of the plan."""
    price_version: Annotated[int, Field(strict=True, gt=0)]
    """Which version of the plan's prices."""
    monthly_price_minor: AmountMinor
    """Price of a month in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""


class ChoosePaymentMethod(SubscriptionCommand):
    """Says how to pay: monthly by card, or by transfer for 3, 6 or 12 months."""

    means: PaymentMeans
    """Card or transfer."""
    months: Annotated[int, Field(strict=True, json_schema_extra={"enum": [1, 3, 6, 12]})]
    """How many months one payment pays for."""
    card_token: Annotated[CardToken | None, Field(repr=False)] = None
    """Card: what the gateway calls it, instead of any named before; kept in the vault alone."""

    @model_validator(mode="after")
    def _months_fit_means(self) -> "ChoosePaymentMethod":
        offered = {PaymentMeans.CARD: (1,), PaymentMeans.TRANSFER: (3, 6, 12)}
        if self.months not in offered[self.means]:
            raise ValueError("a card pays 1 month at a time, a transfer 3, 6 or 12 (S2)")
        if self.card_token is not None and self.means is not PaymentMeans.CARD:
            raise ValueError("a transfer is paid without a card, so it has no card_token (S2)")
        return self


class EndSubscription(SubscriptionCommand):
    """Ends the subscription; access lasts to the end of what is paid."""


class ResumeSubscription(SubscriptionCommand):
    """Takes the ending back, until the last day that is paid for."""


class RemindPayment(SubscriptionCommand):
    """Has whoever pays by transfer reminded that what is paid runs out soon."""


class LapseSubscription(SubscriptionCommand):
    """Records that what was paid ran out unrenewed, and the days of grace with it."""


class ReactivateSubscription(SubscriptionCommand):
    """Begins the steps anew after a lapse, or after an ending whose last day has passed."""


SubscriptionDecision = (
    StartSubscription
    | ChooseTaxDocument
    | ConfirmPlan
    | ChoosePaymentMethod
    | RequestCharge
    | CapturePayment
    | DeclinePayment
    | RecordUnknownCharge
    | AnnouncePrice
    | RefundPayment
    | CaptureRefund
    | FailRefund
    | EndSubscription
    | ResumeSubscription
    | RemindPayment
    | LapseSubscription
    | ReactivateSubscription
)

# ---------------------------------------------------------------- decisions


def decide(
    command: SubscriptionDecision,
    actor: Actor,
    subscription: Subscription,
    surroundings: SubscriptionSurroundings,
) -> Sequence[SubscriptionEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    account = surroundings.account
    about = About.of(command, subscription, surroundings)
    if account is None:
        refuse_unless_staff(actor)
    else:
        refuse_unless_owner(actor, account)
        if not settles(command, subscription):
            refuse_if_closed(account)
        if actor.kind is ActorKind.PERSON:
            refuse_if_suspended(account)
    match command:
        case StartSubscription():
            return start(command, subscription, account, about)
        case ChooseTaxDocument():
            return choose_tax_document(command, subscription, about)
        case ConfirmPlan():
            return confirm_plan(command, subscription, about)
        case ChoosePaymentMethod():
            return choose_payment_method(command, subscription, about)
        case (
            RequestCharge()
            | CapturePayment()
            | DeclinePayment()
            | RecordUnknownCharge()
            | AnnouncePrice()
        ):
            return charging.decide(command, subscription, surroundings.charging, about)
        case RefundPayment() | CaptureRefund() | FailRefund():
            return refund.decide(command, subscription, about)
        case EndSubscription():
            return end(subscription, about)
        case ResumeSubscription():
            return resume(subscription, about)
        case RemindPayment():
            return remind(subscription, about)
        case LapseSubscription():
            return lapse(subscription, about)
        case ReactivateSubscription():
            return reactivate(subscription, account, about)
        case _:
            assert_never(command)


def start(
    command: StartSubscription, subscription: Subscription, account: Account | None, about: About
) -> Sequence[SubscriptionEvent]:
    """The first step is made by registering, setting a password and confirming the phone (S1)."""
    if subscription.standing is not SubscriptionStanding.NONE:
        raise Refused(
            "S1",
            "the subscription has been started",
            remedy="Go on with its next step; after a lapse, give ReactivateSubscription.",
        )
    refuse_unless_ready(account)
    return [
        SubscriptionStarted(
            **about.facts(), time_zone=command.time_zone, kind=SubscriptionKind.INDIVIDUAL
        )
    ]


def choose_tax_document(
    command: ChooseTaxDocument, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """A factura needs company name, RUT, line of business and address (S11)."""
    refuse_unless_in_steps_or_active(subscription, about.occurred_at)
    company = {
        "company_name": command.company_name,
        "company_rut": command.company_rut,
        "line_of_business": command.line_of_business,
        "address": command.address,
    }
    missing = [name for name, value in company.items() if value is None]
    if command.kind is TaxDocumentKind.FACTURA and missing:
        raise Refused(
            "S11",
            f"a factura lacks {', '.join(missing)}",
            remedy="Give the company's name, RUT, line of business and address.",
        )
    if command.kind is TaxDocumentKind.BOLETA:
        company = dict.fromkeys(company)
    return [TaxDocumentChosen(**about.facts(), kind=command.kind, **company)]


def confirm_plan(
    command: ConfirmPlan, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """The plan comes after the tax document (S1)."""
    refuse_unless_in_steps_or_active(subscription, about.occurred_at)
    refuse_if_step_missing(subscription, before="plan")
    return [
        PlanConfirmed(
            **about.facts(),
            plan=command.plan,
            price_version=command.price_version,
            monthly_price_minor=command.monthly_price_minor,
            currency=command.currency,
        )
    ]


def choose_payment_method(
    command: ChoosePaymentMethod, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """The means of payment comes after the plan (S1, S2)."""
    refuse_unless_in_steps_or_active(subscription, about.occurred_at)
    refuse_if_step_missing(subscription, before="means")
    return [PaymentMethodChosen(**about.facts(), means=command.means, months=command.months)]


def end(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """It can be ended at any time, whatever the means of payment (S4).

    In the days of grace too: these end at once, and nothing is charged any more.
    """
    if not subscription.goes_on(about.occurred_at):
        remedy = "There is nothing to do."
        if subscription.charge is not None:
            remedy = "Choose to pay by transfer: a charge that has not been made is withdrawn."
        raise Refused("S4", "there is no active subscription to end", remedy=remedy)
    return [
        *end_with_account(subscription, about),
        notice(
            subscription,
            about,
            NoticeTemplate.SUBSCRIPTION_ENDING,
            NoticeReason.ENDED,
            last_day=subscription.paid_through,
        ),
    ]


def end_with_account(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """Nothing is charged for a closed account (A10), and nobody is left to be told."""
    return [
        SubscriptionEnded(
            **about.facts(),
            access_until=subscription.paid_through,
            time_zone=subscription.time_zone,
        )
    ]


def resume(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """Until the last day that is paid for, the ending can be taken back (S4)."""
    if subscription.standing is not SubscriptionStanding.ENDED:
        raise Refused("S4", "the subscription is not ended", remedy="There is nothing to do.")
    if subscription.ran_out(about.occurred_at):
        raise Refused(
            "S4",
            "the last day of access has passed, so the ending can no longer be taken back",
            remedy="Give ReactivateSubscription and go through the steps again.",
        )
    return [SubscriptionResumed(**about.facts())]


def remind(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """Whoever pays by transfer is told once, in time to pay (S2, S5); too late, it lapses."""
    if subscription.paying and subscription.reminded_for == subscription.paid_through:
        return []
    reminder_day = subscription.reminder_day
    if reminder_day is None:
        raise Refused(
            "S5",
            "nothing that is paid by transfer runs out",
            remedy="There is nothing to do; a card is charged without a reminder.",
        )
    if subscription.over(about.occurred_at):
        return lapse(subscription, about)
    if subscription.day(about.occurred_at) < reminder_day:
        raise Refused(
            "S5",
            "the payer is not reminded yet",
            remedy=f"Wait until {reminder_day.isoformat()}.",
        )
    return [
        notice(
            subscription,
            about,
            NoticeTemplate.PAYMENT_REMINDER,
            NoticeReason.RUNS_OUT_SOON,
            last_day=subscription.paid_through,
        )
    ]


def lapse(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """A subscription whose paid-through passes unrenewed lapses (S5), after its grace (S8)."""
    if not subscription.paying or not subscription.ran_out(about.occurred_at):
        raise Refused(
            "S5",
            "no active subscription has run out",
            remedy="Wait until the last day that is paid for has passed.",
        )
    ended = subscription.standing is SubscriptionStanding.ENDED
    charge = subscription.charge
    if charge is not None and (ended or not charge.unknown):
        raise Refused(
            "S6",
            "a charge of the subscription has no outcome yet, and may still pay",
            remedy="Ask the gateway about it, and record the outcome first.",
        )
    if subscription.in_grace(about.occurred_at):
        raise Refused(
            "S8",
            "the days of grace are not over",
            remedy=f"Wait until {subscription.last_day_of_grace} has passed.",
        )
    if ended:
        # Whoever ended it has been told of this day.
        return [lapsed(subscription, about)]
    return [
        lapsed(subscription, about),
        notice(
            subscription,
            about,
            NoticeTemplate.SUBSCRIPTION_LAPSED,
            NoticeReason.RAN_OUT,
            last_day=subscription.paid_through,
        ),
    ]


def reactivate(
    subscription: Subscription, account: Account | None, about: About
) -> Sequence[SubscriptionEvent]:
    """A lapsed one is reactivated by the same steps as it was created, and keeps its id (A6)."""
    if subscription.standing is SubscriptionStanding.NONE:
        raise Refused("A6", "there was no subscription", remedy="Give StartSubscription.")
    running = subscription.standing is SubscriptionStanding.STEPS
    if running or (subscription.paying and not subscription.over(about.occurred_at)):
        raise Refused(
            "A6",
            "the subscription has not lapsed",
            remedy="Go on with its next step, or take its ending back.",
        )
    if subscription.charge is not None:
        raise Refused(
            "S7",
            "a charge has no outcome yet, and may still pay for these days",
            remedy="Wait until the gateway has answered, and its outcome is recorded.",
        )
    refuse_unless_ready(account)
    reactivated = SubscriptionReactivated(**about.facts())
    if subscription.standing is SubscriptionStanding.ACTIVE:
        return [lapsed(subscription, about), reactivated]
    return [reactivated]


# ---------------------------------------------------------------- what several rules ask


def settles(command: SubscriptionDecision, subscription: Subscription) -> bool:
    """Whether it tells of money that is on its way, or goes back: a closing stops neither."""
    refunds = isinstance(command, RefundPayment | CaptureRefund | FailRefund)
    return refunds or charging.names_open_charge(command, subscription)


def refuse_unless_ready(account: Account | None) -> None:
    """An individual account needs a confirmed phone (A4) and a password (S1)."""
    if account is None:
        return
    if not account.phone_confirmed:
        raise Refused(
            "A4",
            "the mobile number has not been confirmed",
            remedy="Enter the one-time key that was sent to it by SMS.",
        )
    if not account.password_set:
        raise Refused("S1", "the step 'password' is missing", remedy="Set a password first.")
