"""What happens to a subscription of an individual or of an institution (S1 to S12).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Values are checked in commands; events take what was once written.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from domain.event import EventOfAccount
from domain.money import Currency
from domain.personal import Personal, PersonalText, Purpose

__all__ = [
    "TAX", "ChargeRequested", "DeclineReason", "NoticeReason", "NoticeRequested", "NoticeTemplate",
    "PaymentCaptured", "PaymentDeclined", "PaymentMeans", "PaymentMethodChosen",
    "PaymentOutcomeUnknown", "PaymentRefunded", "PlanConfirmed", "PriceAnnounced", "RefundFailed",
    "RefundFailure", "RefundReason", "RefundRequested", "SeatsChanged", "SubscriptionEnded",
    "SubscriptionEvent", "SubscriptionFact", "SubscriptionKind", "SubscriptionLapsed",
    "SubscriptionPastDue", "SubscriptionReactivated", "SubscriptionResumed", "SubscriptionStarted",
    "TaxDocumentChosen", "TaxDocumentKind", "UnknownReason",
]  # fmt: skip

TAX = Personal(of="person", purpose=Purpose.TAX)


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
    NO_CARD = "no_card"
    OTHER = "other"


class UnknownReason(StrEnum):
    """Why nobody knows what became of a charge, in clear."""

    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    GATEWAY_FAULT = "gateway_fault"


class RefundReason(StrEnum):
    """Why money goes back, in clear."""

    REQUEST = "request"
    DUPLICATE = "duplicate"
    MISTAKE = "mistake"
    SERVICE_FAULT = "service_fault"
    OTHER = "other"


class RefundFailure(StrEnum):
    """Why money could not go back, in clear."""

    REFUSED_BY_GATEWAY = "refused_by_gateway"
    CARD_CLOSED = "card_closed"
    OTHER = "other"


class NoticeTemplate(StrEnum):
    """What a payer is told."""

    RECEIPT = "receipt"
    PAYMENT_DECLINED = "payment_declined"
    LAST_WARNING = "last_warning"
    PAYMENT_REMINDER = "payment_reminder"
    SUBSCRIPTION_ENDING = "subscription_ending"
    SUBSCRIPTION_LAPSED = "subscription_lapsed"
    PRICE_CHANGE = "price_change"
    REFUND = "refund"


class NoticeReason(StrEnum):
    """What the payer is told it for, in clear."""

    PAYMENT_CAPTURED = "payment_captured"
    PAYMENT_DECLINED = "payment_declined"
    ONE_TRY_LEFT = "one_try_left"
    LAST_TRY_FAILED = "last_try_failed"
    RUNS_OUT_SOON = "runs_out_soon"
    RAN_OUT = "ran_out"
    ENDED = "ended"
    PRICE_ANNOUNCED = "price_announced"
    PAYMENT_REFUNDED = "payment_refunded"


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
        return _both(self.person, self.payer)


class ChargeRequested(SubscriptionFact):
    """The gateway is about to be asked for the money of a period (S6).

    It is written before the gateway is asked. While the charge has no outcome, no other is
    requested for the subscription.
    """

    payment: UUID
    """Id of the payment, made from the subscription, the first day of the period and the try."""
    attempt: int
    """Which try for this period it is, from 1."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    means: PaymentMeans
    """Card: transfers are made by the payer."""
    plan: str
    """The plan that is to be paid for."""
    price_version: int
    """The version of the prices that the amount follows from."""
    period_from: date
    """First day to be paid for."""
    period_to: date
    """Last day to be paid for."""
    time_zone: str
    """The time zone of both days."""
    tax_document: TaxDocumentKind
    """The kind of tax document that the payment will get."""


class PaymentOutcomeUnknown(SubscriptionFact):
    """The gateway was asked, and nobody knows what became of the charge (S7)."""

    payment: UUID
    """Id of the payment that was tried."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    attempt: int
    """Which try for its period it is, from 1."""
    period_from: date
    """First day that it would pay for."""
    period_to: date
    """Last day that it would pay for."""
    reason: UnknownReason
    """Why it is not known, in clear."""
    access_until: date | None = None
    """Last day of access while it stays unknown; none where there is no access meanwhile."""
    time_zone: str
    """The time zone of all these days."""


class PaymentDeclined(SubscriptionFact, version=2):
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
    period_from: date | None = None
    """First day that would have been paid for; none where no charge had been requested."""
    period_to: date | None = None
    """Last day that would have been paid for."""
    time_zone: str | None = None
    """The time zone of both days."""
    attempt: int | None = None
    """Which try for this period it was, from 1."""


class SubscriptionPastDue(SubscriptionFact):
    """A renewal was declined for the first time; it will be tried again (S8)."""

    payment: UUID
    """Id of the payment that was declined."""
    period_from: date
    """First day that it would have paid for, and that a later try pays for."""
    period_to: date
    """Last day that it would have paid for."""
    declined_on: date
    """The day on which that charge was asked for, from which the tries are counted."""
    retries_on: tuple[date, ...]
    """The days on which it will be tried again."""
    access_until: date
    """Last day of access if no try succeeds and none fails for good before it."""
    time_zone: str
    """The time zone of all these days."""


class PriceAnnounced(SubscriptionFact):
    """A plan will have another price, for periods that begin on a day or later (S5)."""

    plan: str
    """Code of the plan."""
    price_version: int
    """Which version of the plan's prices it will be."""
    monthly_price_minor: int
    """Price of a month in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    former_price_version: int
    """Which version of the prices would have held from that day on."""
    former_monthly_price_minor: int
    """What a month would have cost by it."""
    effective_from: date
    """First day on which a period at this price can begin."""
    time_zone: str
    """The time zone of that day."""


class RefundRequested(SubscriptionFact):
    """Money of a captured payment is to go back, wholly or in part (S12)."""

    refund: UUID
    """Id of the refund."""
    payment: UUID
    """Id of the captured payment."""
    payer: UUID
    """The person who paid, and whose money goes back."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    means: PaymentMeans
    """Card or transfer: how the money came in, and goes back."""
    reason: RefundReason
    """Why, in clear."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder of the subscription, and the payer."""
        return _both(self.person, self.payer)


class PaymentRefunded(SubscriptionFact):
    """Money went back; it shortens nothing that is paid (S12)."""

    refund: UUID
    """Id of the refund."""
    payment: UUID
    """Id of the captured payment."""
    payer: UUID
    """The person who had paid, and whose money went back."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    means: PaymentMeans
    """Card or transfer."""
    reason: RefundReason
    """Why, in clear."""
    plan: str
    """The plan that had been paid for."""
    price_version: int
    """The version of the prices that the payment followed from."""
    period_from: date
    """First day that the payment pays for, which stays so."""
    period_to: date
    """Last day that the payment pays for."""
    time_zone: str
    """The time zone of both days."""
    tax_document: TaxDocumentKind
    """The kind of tax document that the payment got, and that a credit note corrects."""
    gateway_reference: str
    """What the gateway or the bank calls this refund; never a card number."""

    @property
    def persons(self) -> tuple[UUID, ...]:
        """The holder of the subscription, and the payer."""
        return _both(self.person, self.payer)


class RefundFailed(SubscriptionFact):
    """Money could not go back; what was asked for can be asked for again (S12)."""

    refund: UUID
    """Id of the refund."""
    payment: UUID
    """Id of the captured payment."""
    amount_minor: int
    """Amount in minor units of the currency."""
    currency: Currency
    """ISO 4217 code."""
    means: PaymentMeans
    """Card or transfer."""
    reason: RefundFailure
    """Why, in clear."""


class NoticeRequested(SubscriptionFact):
    """The payer has to be told something; written together with what it tells of."""

    notice: UUID
    """Id of the notice, made from the subscription and how many there were before."""
    template: NoticeTemplate
    """What to tell."""
    reason: NoticeReason
    """What for, in clear."""
    payment: UUID | None = None
    """Id of the payment that it is about."""
    refund: UUID | None = None
    """Id of the refund that it is about."""
    price_version: int | None = None
    """The version of the prices that it is about."""
    last_day: date | None = None
    """Last day that is paid for, or until which access goes on meanwhile."""
    time_zone: str
    """The time zone of that day."""


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


def _both(holder: UUID, payer: UUID) -> tuple[UUID, ...]:
    return (holder,) if payer == holder else (holder, payer)


SubscriptionEvent = (
    SubscriptionStarted
    | SeatsChanged
    | TaxDocumentChosen
    | PlanConfirmed
    | PaymentMethodChosen
    | ChargeRequested
    | PaymentOutcomeUnknown
    | PaymentCaptured
    | PaymentDeclined
    | SubscriptionPastDue
    | PriceAnnounced
    | RefundRequested
    | PaymentRefunded
    | RefundFailed
    | NoticeRequested
    | SubscriptionEnded
    | SubscriptionResumed
    | SubscriptionLapsed
    | SubscriptionReactivated
)
