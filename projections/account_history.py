"""Read model of accounts' histories: a line an event, for people and auditors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from domain.account import (
    AccountBecameIndividual,
    AccountClosed,
    AccountKind,
    AccountManagerAssigned,
    AccountReinstated,
    AccountSuspended,
    MemberRemoved,
    PasswordSet,
    PersonErased,
    PhoneConfirmed,
    RoleAssigned,
    UserCodeChanged,
    UserRegistered,
)
from domain.contract_link import (
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
)
from domain.disclosure import PersonalValueOpened
from domain.event import Event, EventOfAccount, Recorded
from domain.money import format_money
from domain.study_history import ContentStudied
from domain.subscription import (
    ChargeRequested,
    NoticeRequested,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMethodChosen,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PlanConfirmed,
    PriceAnnounced,
    RefundFailed,
    RefundRequested,
    SeatsChanged,
    SubscriptionEnded,
    SubscriptionKind,
    SubscriptionLapsed,
    SubscriptionPastDue,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStarted,
    TaxDocumentChosen,
)
from projections.projection import Projection, Table, sealed_values

__all__ = ["AccountHistory", "HistoryLine", "describe", "history_lines"]


class AccountHistory(Projection):
    """A row for each event about an account, and for each time that a value of one was opened.

    Personal values stay sealed in it.
    """

    name: ClassVar[str] = "account_history"
    version: ClassVar[int] = 2
    aggregates: ClassVar[frozenset[str] | None] = frozenset(
        {"account", "subscription", "study_history", "contract_link", "disclosure"}
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "account_history",
            {
                "account": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "event_id": "uuid NOT NULL",
                "topic": "text NOT NULL",
                "person": "uuid NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "recorded_at": "timestamptz NOT NULL",
                "actor_kind": "text NOT NULL",
                "actor": "uuid",
                "command_id": "uuid",
                "line": "text NOT NULL",
                "sealed": "jsonb",
            },
            key=("account", "position"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the lines of a batch."""
        self.tables[0].insert(
            connection,
            (
                (
                    account,
                    entry.position,
                    entry.event_id,
                    event.TOPIC,
                    event.person,
                    event.occurred_at,
                    entry.recorded_at,
                    entry.actor.kind.value,
                    entry.actor.id,
                    entry.command_id,
                    describe(event),
                    Jsonb(sealed) if (sealed := sealed_values(event)) else None,
                )
                for entry in batch
                if (account := _account(event := entry.event)) is not None
            ),
        )


def _account(event: Event) -> UUID | None:
    """In whose history it stands."""
    return event.account if isinstance(event, EventOfAccount | PersonalValueOpened) else None


def describe(event: Event) -> str:
    """What happened, in a sentence that names nobody."""
    match event:
        case UserRegistered():
            article = "a" if event.kind is AccountKind.CONTRACT else "an"
            return f"Registered {article} {event.kind.value} account"
        case PhoneConfirmed():
            return "Confirmed the mobile number"
        case PasswordSet():
            return "Set a password"
        case UserCodeChanged():
            return "Changed the e-mail"
        case AccountManagerAssigned():
            return f"Assigned account manager {event.account_manager}"
        case AccountSuspended():
            return f"Suspended: {event.reason.value}"
        case AccountReinstated():
            return f"Reinstated: {event.reason.value}"
        case RoleAssigned():
            return _role_assigned(event)
        case MemberRemoved():
            return f"Left plan {event.plan}: {event.reason.value}"
        case AccountBecameIndividual():
            return "Became an individual account"
        case AccountClosed():
            return f"Closed: {event.reason.value}"
        case PersonErased():
            return _erased(event)
        case ContentStudied():
            return f"Studied {event.content}"
        case SubscriptionStarted(kind=SubscriptionKind.PLAN):
            return (
                f"Opened a plan of {event.seats} seat(s) for {event.institution},"
                f" its days in {event.time_zone}"
            )
        case SubscriptionStarted():
            return f"Began a subscription, its days in {event.time_zone}"
        case SeatsChanged():
            return f"Changed the seats from {event.former_seats} to {event.seats}"
        case TaxDocumentChosen():
            return f"Chose {event.kind.value} as tax document"
        case PlanConfirmed():
            price = format_money(event.monthly_price_minor, event.currency)
            return f"Agreed to plan {event.plan} at {price} a month (prices {event.price_version})"
        case PaymentMethodChosen():
            return f"Chose to pay by {event.means.value}, {event.months} month(s) at a time"
        case ChargeRequested():
            amount = format_money(event.amount_minor, event.currency)
            return (
                f"Requested {amount} by {event.means.value} for {event.period_from} to"
                f" {event.period_to}, try {event.attempt}"
            )
        case PaymentOutcomeUnknown():
            return f"Nobody knows what became of a charge: {event.reason.value}"
        case PaymentCaptured():
            amount = format_money(event.amount_minor, event.currency)
            return (
                f"Paid {amount} by {event.means.value} for {event.period_from} to {event.period_to}"
            )
        case PaymentDeclined():
            amount = format_money(event.amount_minor, event.currency)
            return f"A charge of {amount} was declined: {event.reason.value}"
        case SubscriptionPastDue():
            days = ", ".join(map(str, event.retries_on))
            return f"The renewal is past due since {event.declined_on}; tried again on {days}"
        case PriceAnnounced():
            price = format_money(event.monthly_price_minor, event.currency)
            return (
                f"Announced {price} a month for plan {event.plan} from {event.effective_from} on"
                f" (prices {event.price_version})"
            )
        case RefundRequested():
            amount = format_money(event.amount_minor, event.currency)
            return f"A refund of {amount} was requested: {event.reason.value}"
        case PaymentRefunded():
            return f"Refunded {format_money(event.amount_minor, event.currency)}"
        case RefundFailed():
            return f"A refund failed: {event.reason.value}"
        case NoticeRequested():
            return f"To be told: {event.template.value}, for {event.reason.value}"
        case SubscriptionEnded():
            return f"Ended the subscription, which is paid until {event.access_until}"
        case SubscriptionResumed():
            return "Took the ending back"
        case SubscriptionLapsed():
            return f"The subscription lapsed; it was paid through {event.paid_through}"
        case SubscriptionReactivated():
            return "Began the steps of the subscription anew"
        case PersonLinked():
            return f"Linked to contract {event.contract}"
        case PersonUnlinked():
            return f"Unlinked from contract {event.contract}: {event.reason.value}"
        case InformationDocumentDownloaded():
            return _document("Downloaded", event)
        case InformationDocumentMarkedAsRead():
            return _document("Marked as read", event)
        case PersonalValueOpened():
            return (
                f"Opened {event.field} of {event.fact}, event {event.opened_event}:"
                f" {event.reason.value}"
            )
        case _:
            return type(event).__name__


def _role_assigned(event: RoleAssigned) -> str:
    if event.former_role is None:
        return f"Joined plan {event.plan} as {event.role.value}"
    return f"Became {event.role.value} in plan {event.plan}, from {event.former_role.value}"


def _document(
    done: str, event: InformationDocumentDownloaded | InformationDocumentMarkedAsRead
) -> str:
    return (
        f"{done} version {event.version} of information document {event.document}"
        f" of contract {event.contract}"
    )


def _erased(event: PersonErased) -> str:
    if event.tax_data_readable_until is None:
        return "Erased the person's data"
    return (
        "Erased the person's data; buyer data of tax documents stays readable until"
        f" {event.tax_data_readable_until}"
    )


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """An event for people.

    Attributes:
        line: what happened, in a sentence that names nobody.
        sealed: sealed personal values by field, as text, to be opened at a door for whom G1 allows.
    """

    position: int
    event_id: UUID
    topic: str
    person: UUID
    occurred_at: datetime
    recorded_at: datetime
    actor_kind: str
    actor: UUID | None
    command_id: UUID | None
    line: str
    sealed: dict[str, str]


def history_lines(connection: Connection, account: UUID) -> tuple[HistoryLine, ...]:
    """Everything that happened to an account, in the order of the log."""
    cursor = connection.cursor(row_factory=class_row(HistoryLine))
    cursor.execute(
        "SELECT position, event_id, topic, person, occurred_at, recorded_at, actor_kind, actor,"
        " command_id, line, COALESCE(sealed, '{}') AS sealed FROM projections.account_history"
        " WHERE account = %s ORDER BY position",
        (account,),
    )
    return tuple(cursor.fetchall())
