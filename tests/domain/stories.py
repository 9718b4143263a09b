"""The people, accounts, subscriptions and plans that the tests of the domain tell about."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict, TypeVar
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
    MemberRemoved,
    PasswordSet,
    PersonErased,
    PhoneConfirmed,
    RemovalReason,
    Role,
    RoleAssigned,
    SuspensionReason,
    UserRegistered,
    account_decider,
)
from domain.actor import Actor, ActorKind
from domain.calendar import local_day, period
from domain.event import Event
from domain.invitation import (
    InvitationAccepted,
    InvitationCorrected,
    InvitationExpired,
    InvitationNoticeReason,
    InvitationNoticeRequested,
    InvitationNoticeTemplate,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
    RevocationReason,
)
from domain.money import Currency
from domain.personal import Sealed, personal_fields
from domain.streams import notice_of, payment_of
from domain.subscription import (
    AboutFacts,
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
    PlanConfirmed,
    Subscription,
    SubscriptionEnded,
    SubscriptionEvent,
    SubscriptionKind,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionStarted,
    TaxDocumentChosen,
    TaxDocumentKind,
    UnknownReason,
    subscription_decider,
)

FactT = TypeVar("FactT", bound=Event)

PERSON = UUID(int=1)
STRANGER = UUID(int=2)
MANAGER = UUID(int=3)
OTHER_MANAGER = UUID(int=4)
ACCOUNT = UUID(int=5)
SUBSCRIPTION = UUID(int=6)
PLAN = UUID(int=20)
OTHER_PLAN = UUID(int=21)
INSTITUTION = UUID(int=22)
INVITATION = UUID(int=23)
ADMINISTRATOR = UUID(int=24)
ADMINISTRATORS_ACCOUNT = UUID(int=25)
WHO = f"account:{ACCOUNT}"

owner = Actor(kind=ActorKind.PERSON, id=PERSON)
stranger = Actor(kind=ActorKind.PERSON, id=STRANGER)
manager = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=MANAGER)
other_manager = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=OTHER_MANAGER)
system = Actor(kind=ActorKind.SYSTEM, id=UUID(int=7))
administrator = Actor(kind=ActorKind.PERSON, id=ADMINISTRATOR)

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
        kind=SubscriptionKind.INDIVIDUAL,
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


def requested(
    at: datetime,
    first_day: date,
    last_day: date,
    *,
    attempt: int = 1,
    monthly_price_minor: int = MONTHLY_PRICE_MINOR,
    price_version: int = 1,
) -> ChargeRequested:
    """A month is about to be charged to the card."""
    return ChargeRequested(
        **about(at),
        payment=payment_of(SUBSCRIPTION, first_day, attempt),
        attempt=attempt,
        amount_minor=monthly_price_minor,
        currency=Currency.CLP,
        means=PaymentMeans.CARD,
        plan="full-access",
        price_version=price_version,
        period_from=first_day,
        period_to=last_day,
        time_zone=SANTIAGO,
        tax_document=TaxDocumentKind.BOLETA,
    )


def charge_captured(request: ChargeRequested, at: datetime) -> PaymentCaptured:
    """The requested charge brought its money."""
    return PaymentCaptured(
        **about(at),
        payment=request.payment,
        payer=PERSON,
        amount_minor=request.amount_minor,
        currency=request.currency,
        means=request.means,
        plan=request.plan,
        price_version=request.price_version,
        period_from=request.period_from,
        period_to=request.period_to,
        time_zone=request.time_zone,
        gateway_reference="gateway-4711",
        tax_document=request.tax_document,
    )


def charge_declined(request: ChargeRequested, at: datetime) -> PaymentDeclined:
    """The requested charge brought no money."""
    return PaymentDeclined(
        **about(at),
        payment=request.payment,
        amount_minor=request.amount_minor,
        currency=request.currency,
        means=request.means,
        reason=DeclineReason.INSUFFICIENT_FUNDS,
        period_from=request.period_from,
        period_to=request.period_to,
        time_zone=request.time_zone,
        attempt=request.attempt,
    )


def past_due(
    at: datetime,
    payment: UUID | None = None,
    *,
    period_from: date = date(2025, 4, 1),
    period_to: date = date(2025, 4, 30),
) -> SubscriptionPastDue:
    """A renewal was declined on this day, and is tried again 1, 3, 5 and 7 days later."""
    today = local_day(at, SANTIAGO)
    retries_on = tuple([today + timedelta(days=days) for days in (1, 3, 5, 7)])
    return SubscriptionPastDue(
        **about(at),
        payment=payment or payment_id(2),
        period_from=period_from,
        period_to=period_to,
        declined_on=today,
        retries_on=retries_on,
        access_until=retries_on[-1],
        time_zone=SANTIAGO,
    )


def outcome_unknown(
    payment: UUID | int,
    at: datetime,
    access_until: date | None,
    *,
    period_from: date = date(2025, 4, 1),
    period_to: date = date(2025, 4, 30),
    attempt: int = 1,
) -> PaymentOutcomeUnknown:
    """The gateway did not answer."""
    return PaymentOutcomeUnknown(
        **about(at),
        payment=payment_id(payment) if isinstance(payment, int) else payment,
        amount_minor=MONTHLY_PRICE_MINOR,
        currency=Currency.CLP,
        attempt=attempt,
        period_from=period_from,
        period_to=period_to,
        reason=UnknownReason.TIMEOUT,
        access_until=access_until,
        time_zone=SANTIAGO,
    )


def told(
    number: int,
    at: datetime,
    template: NoticeTemplate,
    reason: NoticeReason,
    payment: UUID | None = None,
    *,
    stream: UUID = SUBSCRIPTION,
    refund: UUID | None = None,
    price_version: int | None = None,
    last_day: date | None = None,
) -> NoticeRequested:
    """The payer has to be told something, for the first time (0) or a later one."""
    return NoticeRequested(
        **about(at),
        notice=notice_of(stream, number),
        template=template,
        reason=reason,
        payment=payment,
        refund=refund,
        price_version=price_version,
        last_day=last_day,
        time_zone=SANTIAGO,
    )


def receipt(payment: PaymentCaptured, number: int = 0) -> NoticeRequested:
    """The payer is told that this payment came in."""
    told_of = told(
        number,
        payment.occurred_at,
        NoticeTemplate.RECEIPT,
        NoticeReason.PAYMENT_CAPTURED,
        payment.payment,
        stream=payment.subscription,
        last_day=payment.period_to,
    )
    whose = {"subscription": payment.subscription, "account": payment.account}
    return told_of.model_copy(update={**whose, "person": payment.person})


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


# ---------------------------------------------------------------- a plan and its members


def plan_opened(seats: int = 3, plan: UUID = PLAN) -> SubscriptionStarted:
    """An institution contracts a plan."""
    return SubscriptionStarted(
        subscription=plan,
        account=plan,
        person=INSTITUTION,
        occurred_at=BEGINNING,
        time_zone=SANTIAGO,
        kind=SubscriptionKind.PLAN,
        institution="Liceo Uno",
        seats=seats,
    )


def of_plan(event: FactT, plan: UUID = PLAN) -> FactT:
    """What happens to a subscription, happening to a plan."""
    whose: dict[str, UUID] = {"subscription": plan, "account": plan, "person": INSTITUTION}
    if isinstance(event, PaymentCaptured):
        whose["payer"] = INSTITUTION
    return event.model_copy(update=whose)


def plan_paid(
    at: datetime = BEGINNING, months: int = 12, seats: int = 3, plan: UUID = PLAN
) -> list[SubscriptionEvent]:
    """A plan that is paid for so many months."""
    return [plan_opened(seats, plan), *(of_plan(event, plan) for event in paid(at, months)[1:])]


def plan_after(*events: SubscriptionEvent) -> Subscription:
    """What these events make of a plan."""
    return subscription_decider.replay(events)


def role_assigned(
    role: Role = Role.USER,
    plan: UUID = PLAN,
    *,
    former_role: Role | None = None,
    at: datetime = BEGINNING,
) -> RoleAssigned:
    """The account has a role in a plan."""
    return RoleAssigned(
        account=ACCOUNT,
        person=PERSON,
        occurred_at=at,
        plan=plan,
        role=role,
        former_role=former_role,
    )


def member_removed(
    role: Role = Role.USER,
    plan: UUID = PLAN,
    *,
    reason: RemovalReason = RemovalReason.REMOVED,
    at: datetime = BEGINNING,
) -> MemberRemoved:
    """The account is no longer a member of a plan."""
    return MemberRemoved(
        account=ACCOUNT, person=PERSON, occurred_at=at, plan=plan, former_role=role, reason=reason
    )


def administrators_account(
    role: Role | None = Role.SUPER_ADMINISTRATOR, plan: UUID = PLAN, *later: AccountEvent
) -> Account:
    """The account of somebody else in a plan: by default, a super-administrator."""
    events = [registered, *([role_assigned(role, plan)] if role else []), *later]
    whose = {"account": ADMINISTRATORS_ACCOUNT, "person": ADMINISTRATOR}
    return account_after(*(event.model_copy(update=whose) for event in events))


# ---------------------------------------------------------------- an invitation

FOURTEEN_DAYS = timedelta(days=14)
EXPIRY = BEGINNING + FOURTEEN_DAYS


class AboutInvitation(TypedDict):
    """What every fact about an invitation carries."""

    invitation: UUID
    plan: UUID
    person: UUID
    occurred_at: datetime


def about_invitation(at: datetime) -> AboutInvitation:
    """What every fact about Ana's invitation carries."""
    return {"invitation": INVITATION, "plan": PLAN, "person": PERSON, "occurred_at": at}


def invitation_sent(role: Role = Role.USER, at: datetime = BEGINNING) -> InvitationSent:
    """Ana is invited into the plan."""
    return InvitationSent(
        **about_invitation(at),
        role=role,
        expires_at=at + FOURTEEN_DAYS,
        language="es",
        given_name="Ana",
        paternal_surname="Rojas",
        maternal_surname="Soto",
        rut="12345678-5",
        email="ana@example.com",
        phone="+56961234567",
    )


def sent_again(at: datetime) -> InvitationSentAgain:
    """The invitation goes out once more."""
    return InvitationSentAgain(**about_invitation(at), expires_at=at + FOURTEEN_DAYS)


def corrected(at: datetime) -> InvitationCorrected:
    """The invitation goes to another address."""
    return InvitationCorrected(
        **about_invitation(at),
        expires_at=at + FOURTEEN_DAYS,
        email="ana.rojas@example.org",
        former_email="ana@example.com",
    )


def reminded(
    at: datetime = EXPIRY - timedelta(days=7), number: int = 0, expires_at: datetime = EXPIRY
) -> InvitationNoticeRequested:
    """Ana is to be told that the invitation expires soon, for the first time (0) or a later one."""
    return InvitationNoticeRequested(
        **about_invitation(at),
        notice=notice_of(INVITATION, number),
        template=InvitationNoticeTemplate.INVITATION_REMINDER,
        reason=InvitationNoticeReason.EXPIRES_SOON,
        expires_at=expires_at,
    )


def revoked(at: datetime = BEGINNING) -> InvitationRevoked:
    """The invitation was taken back."""
    return InvitationRevoked(**about_invitation(at), reason=RevocationReason.MISTAKE)


def expired(at: datetime = EXPIRY, expired_at: datetime = EXPIRY) -> InvitationExpired:
    """Nobody answered the invitation."""
    return InvitationExpired(**about_invitation(at), expired_at=expired_at)


def accepted(role: Role = Role.USER, at: datetime = BEGINNING) -> InvitationAccepted:
    """Ana accepted."""
    return InvitationAccepted(**about_invitation(at), account=ACCOUNT, role=role)


# ---------------------------------------------------------------- the log


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
