"""The people, accounts and subscriptions that the tests of the domain tell about."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from uuid import UUID

from domain.account import (
    Account,
    AccountClosed,
    AccountEvent,
    AccountKind,
    AccountManagerAssigned,
    AccountReinstated,
    AccountSuspended,
    ClosureReason,
    PasswordSet,
    PersonErased,
    PhoneConfirmed,
    SuspensionReason,
    UserRegistered,
    account_decider,
)
from domain.actor import Actor, ActorKind
from domain.calendar import period
from domain.event import Event
from domain.money import Currency
from domain.personal import Sealed, personal_fields
from domain.subscription import (
    AboutFacts,
    DeclineReason,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PaymentMethodChosen,
    PlanConfirmed,
    SubscriptionEnded,
    SubscriptionEvent,
    SubscriptionLapsed,
    SubscriptionReactivated,
    SubscriptionStarted,
    TaxDocumentChosen,
    TaxDocumentKind,
)

PERSON = UUID(int=1)
STRANGER = UUID(int=2)
MANAGER = UUID(int=3)
OTHER_MANAGER = UUID(int=4)
ACCOUNT = UUID(int=5)
SUBSCRIPTION = UUID(int=6)
WHO = f"account:{ACCOUNT}"

owner = Actor(kind=ActorKind.PERSON, id=PERSON)
stranger = Actor(kind=ActorKind.PERSON, id=STRANGER)
manager = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=MANAGER)
other_manager = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=OTHER_MANAGER)
system = Actor(kind=ActorKind.SYSTEM, id=UUID(int=7))

SANTIAGO = "America/Santiago"
MONTHLY_PRICE_MINOR = 9990


def noon(year: int, month: int, day: int) -> datetime:
    """An instant in the middle of a day in Chile."""
    return datetime(year, month, day, 16, tzinfo=UTC)


def payment_id(number: int) -> UUID:
    """The id of the first payment, the second, and so on."""
    return UUID(int=1000 + number)


BEGINNING = noon(2025, 1, 1)

# ---------------------------------------------------------------- an account

registered = UserRegistered(
    account=ACCOUNT,
    person=PERSON,
    occurred_at=BEGINNING,
    kind=AccountKind.INDIVIDUAL,
    language="es",
    time_zone=SANTIAGO,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    email="ana@example.com",
    phone="+56961234567",
    rut="12345678-5",
)
phone_confirmed = PhoneConfirmed(account=ACCOUNT, person=PERSON, occurred_at=BEGINNING)
password_set = PasswordSet(account=ACCOUNT, person=PERSON, occurred_at=BEGINNING)
manager_assigned = AccountManagerAssigned(
    account=ACCOUNT, person=PERSON, occurred_at=BEGINNING, account_manager=MANAGER
)
suspended = AccountSuspended(
    account=ACCOUNT, person=PERSON, occurred_at=BEGINNING, reason=SuspensionReason.MISUSE
)
reinstated = AccountReinstated(
    account=ACCOUNT, person=PERSON, occurred_at=BEGINNING, reason=SuspensionReason.RESOLVED
)
closed = AccountClosed(
    account=ACCOUNT, person=PERSON, occurred_at=BEGINNING, reason=ClosureReason.OWNER_REQUEST
)
erased = PersonErased(account=ACCOUNT, person=PERSON, occurred_at=BEGINNING)

ready: Sequence[AccountEvent] = [registered, phone_confirmed, password_set]
"""An account that may go on to a subscription."""


def account_after(*events: AccountEvent) -> Account:
    """What these events make of an account."""
    return account_decider.replay(events)


# ---------------------------------------------------------------- a subscription


def about(at: datetime) -> AboutFacts:
    """What every fact about the subscription carries."""
    return {
        "subscription": SUBSCRIPTION,
        "account": ACCOUNT,
        "person": PERSON,
        "occurred_at": at,
    }


def started(time_zone: str = SANTIAGO) -> SubscriptionStarted:
    """The steps have begun."""
    return SubscriptionStarted(
        **about(BEGINNING),
        time_zone=time_zone,
    )


boleta_chosen = TaxDocumentChosen(
    **about(BEGINNING),
    kind=TaxDocumentKind.BOLETA,
)
plan_confirmed = PlanConfirmed(
    **about(BEGINNING),
    plan="full-access",
    price_version=1,
    monthly_price_minor=MONTHLY_PRICE_MINOR,
    currency=Currency.CLP,
)


def method_chosen(months: int) -> PaymentMethodChosen:
    """By card for one month at a time, or else by transfer."""
    return PaymentMethodChosen(
        **about(BEGINNING),
        means=PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER,
        months=months,
    )


def steps(months: int = 1, time_zone: str = SANTIAGO) -> list[SubscriptionEvent]:
    """All steps but the payment."""
    return [started(time_zone), boleta_chosen, plan_confirmed, method_chosen(months)]


def captured(
    number: int, at: datetime, first_day: date, last_day: date, *, months: int = 1
) -> PaymentCaptured:
    """A payment of the price of so many months."""
    return PaymentCaptured(
        **about(at),
        payment=payment_id(number),
        payer=PERSON,
        amount_minor=MONTHLY_PRICE_MINOR * months,
        currency=Currency.CLP,
        means=PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER,
        plan="full-access",
        price_version=1,
        period_from=first_day,
        period_to=last_day,
        time_zone=SANTIAGO,
        gateway_reference=f"gateway-{number}",
        tax_document=TaxDocumentKind.BOLETA,
    )


def paid(at: datetime, months: int = 1) -> list[SubscriptionEvent]:
    """All steps, and a first payment that starts on the day it was made at noon."""
    days = period(at.date(), months_before=0, months=months)
    return [*steps(months), captured(1, at, days.first_day, days.last_day, months=months)]


def declined(number: int) -> PaymentDeclined:
    """A charge that brought no money."""
    return PaymentDeclined(
        **about(BEGINNING),
        payment=payment_id(number),
        amount_minor=MONTHLY_PRICE_MINOR,
        currency=Currency.CLP,
        means=PaymentMeans.CARD,
        reason=DeclineReason.INSUFFICIENT_FUNDS,
    )


def ended(at: datetime, access_until: date) -> SubscriptionEnded:
    """The payer wants no more."""
    return SubscriptionEnded(
        **about(at),
        access_until=access_until,
        time_zone=SANTIAGO,
    )


def lapsed(at: datetime, paid_through: date) -> SubscriptionLapsed:
    """What was paid ran out."""
    return SubscriptionLapsed(
        **about(at),
        paid_through=paid_through,
        time_zone=SANTIAGO,
    )


def reactivated(at: datetime) -> SubscriptionReactivated:
    """The steps begin anew."""
    return SubscriptionReactivated(**about(at))


# ---------------------------------------------------------------- the log

FactT = TypeVar("FactT", bound=Event)


def through_the_log(event: FactT) -> FactT:
    """The event as written and read again: personal values sealed on the way, then opened."""
    clear = _personal_values(event)
    sealed = {name: Sealed(value.encode()) for name, value in clear.items()}
    read = type(event).model_validate_json(event.model_copy(update=sealed).model_dump_json())
    opened = {name: value.token.decode() for name, value in _personal_values(read).items()}
    return read.model_copy(update=opened)


def _personal_values(event: Event) -> dict[str, Any]:
    values = {name: getattr(event, name) for name in personal_fields(type(event))}
    return {name: value for name, value in values.items() if value is not None}
