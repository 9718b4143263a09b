"""Subscription of an individual or of an institution: steps, payments, days paid for (S1 to S10).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Values are checked in commands; events take what was once written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypedDict, assert_never
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from domain.account import (
    Account,
    known_account,
    refuse_if_closed,
    refuse_if_suspended,
    refuse_unless_owner,
)
from domain.actor import Actor, ActorKind
from domain.calendar import Period, TimeZone, local_day, period
from domain.command import AccountCommand
from domain.decider import Decider
from domain.event import EventOfAccount
from domain.identity import Rut, WhoPays
from domain.money import AmountMinor, Currency, format_money
from domain.personal import Personal, PersonalText, Purpose
from domain.refusal import Refused

TAX = Personal(of="person", purpose=Purpose.TAX)

PlanCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""Code of a plan, such as ``full-access``."""

GatewayReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{2,63}$")]
"""What the gateway or the bank calls a payment; begins with a letter, so no card number fits."""

CompanyText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""A name, a line of business or an address on a factura (S11)."""


class SubscriptionKind(StrEnum):
    """Who pays: an individual for their own account, or an institution for its members."""

    INDIVIDUAL = "individual"
    PLAN = "plan"


class TaxDocumentKind(StrEnum):
    """The two Chilean tax documents: consumer receipt, and invoice to a business (S11)."""

    BOLETA = "boleta"
    FACTURA = "factura"


class PaymentMeans(StrEnum):
    """How an individual pays (S2)."""

    CARD = "card"
    TRANSFER = "transfer"


class DeclineReason(StrEnum):
    """Why a charge was declined, in clear."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    CARD_EXPIRED = "card_expired"
    CARD_REFUSED = "card_refused"
    OTHER = "other"


# ---------------------------------------------------------------- events


class SubscriptionFact(EventOfAccount, aggregate="subscription"):
    """What all facts about a subscription carry."""

    subscription: UUID
    """The subscription, which an account keeps through lapses and reactivations (A6)."""


class SubscriptionStarted(SubscriptionFact, version=2):
    """The steps towards a subscription have begun (S1, S10).

    An institutional plan has no account of a person: its facts name the plan as the account, and
    the institution, by a random id, as the person.
    """

    time_zone: str
    """The time zone whose days the subscription is counted in (S5)."""
    kind: SubscriptionKind | None = None
    """Whether an individual subscribes, or an institution contracts a plan; none: an individual."""
    institution: str | None = None
    """Plan: name of the organisation that contracts it; an organisation is no person."""
    seats: int | None = None
    """Plan: how many members and open invitations it has room for."""


class SeatsChanged(SubscriptionFact):
    """An institutional plan has another number of seats (S10)."""

    seats: int
    """How many members and open invitations it has room for from now on."""
    former_seats: int
    """How many it had room for before."""


class TaxDocumentChosen(SubscriptionFact):
    """The payer said which tax document payments get, and gave the data for it (S11)."""

    kind: TaxDocumentKind
    """Boleta or factura."""
    company_name: Annotated[PersonalText | None, TAX] = None
    """Buyer of a factura: name of the company."""
    company_rut: Annotated[PersonalText | None, TAX] = None
    """Buyer of a factura: RUT of the company, which claims nobody (A3)."""
    line_of_business: Annotated[PersonalText | None, TAX] = None
    """Buyer of a factura: giro."""
    address: Annotated[PersonalText | None, TAX] = None
    """Buyer of a factura: address."""


class PlanConfirmed(SubscriptionFact):
    """The payer agreed to a plan at a price (S1)."""

    plan: str
    """Code of the plan."""
    price_version: int
    """Which version of the plan's prices was agreed to."""
    monthly_price_minor: int
    """Price of a month in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""


class PaymentMethodChosen(SubscriptionFact):
    """The payer said how to pay (S2)."""

    means: PaymentMeans
    """Card or transfer."""
    months: int
    """How many months one payment pays for: 1 by card; 3, 6 or 12 by transfer."""


class PaymentCaptured(SubscriptionFact):
    """Money came in and pays for a period (S3, S5)."""

    payment: UUID
    """Id of the payment."""
    payer: UUID
    """The person who paid."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    means: PaymentMeans
    """Card or transfer."""
    plan: str
    """The plan that was paid for."""
    price_version: int
    """The version of the prices that the amount follows from."""
    period_from: date
    """First day paid for."""
    period_to: date
    """Last day paid for."""
    time_zone: str
    """The time zone of both days."""
    gateway_reference: str
    """What the gateway or the bank calls this payment; never a card number."""
    tax_document: TaxDocumentKind
    """The kind of tax document that the payment gets."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder of the subscription, and the payer."""
        return (self.person,) if self.payer == self.person else (self.person, self.payer)


class PaymentDeclined(SubscriptionFact):
    """A charge was declined; no money came in."""

    payment: UUID
    """Id of the payment that was tried."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    means: PaymentMeans
    """Card or transfer."""
    reason: DeclineReason
    """Why, in clear."""


class SubscriptionEnded(SubscriptionFact):
    """The payer ends the subscription; access lasts to the end of what is paid (S4)."""

    access_until: date | None
    """Last day of access."""
    time_zone: str
    """The time zone of that day."""


class SubscriptionResumed(SubscriptionFact):
    """The ending was taken back in time (S4)."""


class SubscriptionLapsed(SubscriptionFact):
    """What was paid ran out unrenewed (S5)."""

    paid_through: date
    """The last day that was paid for."""
    time_zone: str
    """The time zone of that day."""


class SubscriptionReactivated(SubscriptionFact):
    """The steps begin anew after a lapse; id and history stay (A6)."""


SubscriptionEvent = (
    SubscriptionStarted
    | SeatsChanged
    | TaxDocumentChosen
    | PlanConfirmed
    | PaymentMethodChosen
    | PaymentCaptured
    | PaymentDeclined
    | SubscriptionEnded
    | SubscriptionResumed
    | SubscriptionLapsed
    | SubscriptionReactivated
)

# ---------------------------------------------------------------- commands


class SubscriptionCommand(AccountCommand, abstract=True):
    """A command about a subscription that exists, of an individual or of an institution."""

    account: WhoPays
    """The account: an e-mail, person:ID or account:ID; or an institutional plan, by plan:ID."""


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

    @model_validator(mode="after")
    def _months_fit_means(self) -> "ChoosePaymentMethod":
        offered = {PaymentMeans.CARD: (1,), PaymentMeans.TRANSFER: (3, 6, 12)}
        if self.months not in offered[self.means]:
            raise ValueError("a card pays 1 month at a time, a transfer 3, 6 or 12 (S2)")
        return self


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


class EndSubscription(SubscriptionCommand):
    """Ends the subscription; access lasts to the end of what is paid."""


class ResumeSubscription(SubscriptionCommand):
    """Takes the ending back, until the last day that is paid for."""


class LapseSubscription(SubscriptionCommand):
    """Records that what was paid ran out unrenewed."""


class ReactivateSubscription(SubscriptionCommand):
    """Begins the steps anew after a lapse, or after an ending whose last day has passed."""


SubscriptionDecision = (
    StartSubscription
    | ChooseTaxDocument
    | ConfirmPlan
    | ChoosePaymentMethod
    | CapturePayment
    | DeclinePayment
    | EndSubscription
    | ResumeSubscription
    | LapseSubscription
    | ReactivateSubscription
)

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
class PaymentMethod:
    """How is paid, and for how many months at a time."""

    means: PaymentMeans
    months: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """What decisions about a subscription rest on.

    Attributes:
        anchor: day of the first payment since the start or the last lapse; months count from it.
        months_paid: months paid for since the anchor.
        paid_through: the last day paid for, which follows from the payments alone (S5).
        last_payment_day: when the last payment came in, from which its tax term runs (A11).
        payments: ids of payments whose outcome is known.
        payer: the institution of a plan, by the id that its facts name as the person.
        seats: of a plan: how many members and open invitations it has room for.
    """

    standing: SubscriptionStanding = SubscriptionStanding.NONE
    kind: SubscriptionKind = SubscriptionKind.INDIVIDUAL
    payer: UUID | None = None
    seats: int = 0
    time_zone: str = "UTC"
    tax_document: TaxDocumentKind | None = None
    terms: PlanTerms | None = None
    method: PaymentMethod | None = None
    anchor: date | None = None
    months_paid: int = 0
    paid_through: date | None = None
    last_payment_day: date | None = None
    payments: frozenset[UUID] = frozenset()

    def ran_out(self, at: datetime) -> bool:
        """Whether the last day paid for lies before this instant."""
        return self.paid_through is not None and local_day(at, self.time_zone) > self.paid_through

    def over(self, at: datetime) -> bool:
        """Whether it had been paid for and is so no longer; one not yet paid for is not over."""
        return self.standing is SubscriptionStanding.LAPSED or self.ran_out(at)

    @property
    def paying(self) -> bool:
        """Whether payments have made it active since the start or the last reactivation."""
        return self.standing in (SubscriptionStanding.ACTIVE, SubscriptionStanding.ENDED)


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
            return replace(subscription, tax_document=event.kind)
        case PlanConfirmed():
            terms = PlanTerms(
                event.plan, event.price_version, event.monthly_price_minor, event.currency
            )
            return replace(subscription, terms=terms)
        case PaymentMethodChosen():
            return replace(subscription, method=PaymentMethod(event.means, event.months))
        case PaymentCaptured():
            return _paid(subscription, event)
        case PaymentDeclined():
            return replace(subscription, payments=subscription.payments | {event.payment})
        case SubscriptionEnded():
            return replace(subscription, standing=SubscriptionStanding.ENDED)
        case SubscriptionResumed():
            return replace(subscription, standing=SubscriptionStanding.ACTIVE)
        case SubscriptionLapsed():
            return replace(subscription, standing=SubscriptionStanding.LAPSED)
        case SubscriptionReactivated():
            return replace(
                subscription,
                standing=SubscriptionStanding.STEPS,
                tax_document=None,
                terms=None,
                method=None,
                anchor=None,
                months_paid=0,
            )
        case _:
            assert_never(event)


def _paid(subscription: Subscription, event: PaymentCaptured) -> Subscription:
    anchor = subscription.anchor or event.period_from
    return replace(
        subscription,
        standing=SubscriptionStanding.ACTIVE,
        anchor=anchor,
        months_paid=_months_between(anchor, event.period_to + timedelta(days=1)),
        paid_through=event.period_to,
        last_payment_day=local_day(event.occurred_at, event.time_zone),
        payments=subscription.payments | {event.payment},
    )


def _months_between(anchor: date, boundary: date) -> int:
    return (boundary.year - anchor.year) * 12 + boundary.month - anchor.month


subscription_decider: Decider[Subscription, SubscriptionEvent] = Decider(
    initial=Subscription(), evolve=evolve
)

# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class SubscriptionSurroundings:
    """What a decision about a subscription needs beyond its own stream.

    Attributes:
        account: whose subscription it is; None for an institutional plan.
    """

    subscription: UUID
    account: Account | None


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
        case CapturePayment():
            return capture_payment(command, subscription, about)
        case DeclinePayment():
            return decline_payment(command, subscription, about)
        case EndSubscription():
            return end(subscription, about)
        case ResumeSubscription():
            return resume(subscription, about)
        case LapseSubscription():
            return lapse(subscription, about)
        case ReactivateSubscription():
            return reactivate(subscription, account, about)
        case _:
            assert_never(command)


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


def capture_payment(
    command: CapturePayment, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """Each captured payment pays for the period that follows what is paid (S5, S9)."""
    if not renews_by_card(subscription, about.occurred_at):
        refuse_unless_in_steps_or_active(subscription, about.occurred_at)
    refuse_if_step_missing(subscription, before="payment")
    refuse_known_payment(subscription, command.payment)
    # The steps are complete, or were refused above.
    assert subscription.tax_document  # noqa: S101  narrows a type, no more
    assert subscription.terms  # noqa: S101  narrows a type, no more
    assert subscription.method  # noqa: S101  narrows a type, no more
    refuse_wrong_amount(command, subscription.terms, subscription.method)
    days = next_period(subscription, subscription.method, about.occurred_at)
    return [
        PaymentCaptured(
            **about.facts(),
            payment=command.payment,
            payer=about.person,
            amount_minor=command.amount_minor,
            currency=command.currency,
            means=subscription.method.means,
            plan=subscription.terms.plan,
            price_version=subscription.terms.price_version,
            period_from=days.first_day,
            period_to=days.last_day,
            time_zone=subscription.time_zone,
            gateway_reference=command.gateway_reference,
            tax_document=subscription.tax_document,
        )
    ]


def decline_payment(
    command: DeclinePayment, subscription: Subscription, about: About
) -> Sequence[SubscriptionEvent]:
    """A declined charge changes nothing that is paid (S3)."""
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


def end(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """It can be ended at any time, whatever the means of payment (S4)."""
    if subscription.standing is not SubscriptionStanding.ACTIVE or subscription.ran_out(
        about.occurred_at
    ):
        raise Refused(
            "S4", "there is no active subscription to end", remedy="There is nothing to do."
        )
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


def lapse(subscription: Subscription, about: About) -> Sequence[SubscriptionEvent]:
    """A subscription whose paid-through passes unrenewed lapses (S5)."""
    if subscription.standing is not SubscriptionStanding.ACTIVE or not subscription.ran_out(
        about.occurred_at
    ):
        raise Refused(
            "S5",
            "no active subscription has run out",
            remedy="Wait until the last day that is paid for has passed.",
        )
    return _lapsed(subscription, about)


def reactivate(
    subscription: Subscription, account: Account | None, about: About
) -> Sequence[SubscriptionEvent]:
    """A lapsed one is reactivated by the same steps as it was created, and keeps its id (A6)."""
    if subscription.standing is SubscriptionStanding.NONE:
        raise Refused("A6", "there was no subscription", remedy="Give StartSubscription.")
    running = subscription.standing is SubscriptionStanding.STEPS
    if running or (subscription.paying and not subscription.ran_out(about.occurred_at)):
        raise Refused(
            "A6",
            "the subscription has not lapsed",
            remedy="Go on with its next step, or take its ending back.",
        )
    refuse_unless_ready(account)
    active = subscription.standing is SubscriptionStanding.ACTIVE
    lapsed = _lapsed(subscription, about) if active else []
    return [*lapsed, SubscriptionReactivated(**about.facts())]


# ---------------------------------------------------------------- what several rules ask


def next_period(subscription: Subscription, method: PaymentMethod, at: datetime) -> Period:
    """The days that the next payment pays for.

    They follow what is paid; the first payment, and the first after a lapse, starts on its own
    day and sets the day from which months are counted (S5, S9).
    """
    anchor = subscription.anchor or _first_unpaid_day(subscription, at)
    return period(anchor, months_before=subscription.months_paid, months=method.months)


def renews_by_card(subscription: Subscription, at: datetime) -> bool:
    """Whether a card charged at this instant renews an active subscription from its old end.

    A card is charged when what is paid has run out, not before as a transfer is; it renews as
    long as no lapse is recorded and the period that it pays for has not passed.
    """
    method = subscription.method
    if subscription.standing is not SubscriptionStanding.ACTIVE or method is None:
        return False
    last_day = next_period(subscription, method, at).last_day
    return method.means is PaymentMeans.CARD and local_day(at, subscription.time_zone) <= last_day


def _first_unpaid_day(subscription: Subscription, at: datetime) -> date:
    own_day = local_day(at, subscription.time_zone)
    if subscription.paid_through is None:
        return own_day
    # A payment recorded after a lapse may be dated before it, and no day is paid for twice.
    return max(own_day, subscription.paid_through + timedelta(days=1))


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


def refuse_unless_in_steps_or_active(subscription: Subscription, at: datetime) -> None:
    """After an ending or a lapse nothing goes on before it is taken back or begun anew."""
    if subscription.standing is SubscriptionStanding.LAPSED or (
        subscription.paying and subscription.ran_out(at)
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


def refuse_wrong_amount(command: CapturePayment, terms: PlanTerms, method: PaymentMethod) -> None:
    """A payment pays for a period when it is that period's price (S5)."""
    price_minor = terms.monthly_price_minor * method.months
    if (command.amount_minor, command.currency) != (price_minor, terms.currency):
        raise Refused(
            "S5",
            f"the amount is not the price of the period, "
            f"{format_money(price_minor, terms.currency)}",
            remedy="Charge the price that was agreed to, or have the payer confirm a plan anew.",
        )


def _lapsed(subscription: Subscription, about: About) -> list[SubscriptionEvent]:
    assert subscription.paid_through is not None  # noqa: S101  it ran out, so something was paid
    return [
        SubscriptionLapsed(
            **about.facts(),
            paid_through=subscription.paid_through,
            time_zone=subscription.time_zone,
        )
    ]
