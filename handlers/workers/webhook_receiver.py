"""Records what webhooks report: each outcome once, whoever hears of it first (S6, S7, S12).

The clock asks the gateway, and hears the same outcome. Whichever of the two records it, the other
finds it on record, and nothing is recorded twice. An outcome that contradicts the record is never
written over it: people have to look into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TypeAlias
from uuid import UUID

from domain.actor import Actor, ActorKind
from domain.money import Currency
from domain.streams import paid_by
from domain.subscription import (
    ChargeRequested,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    RefundFailed,
    RefundRequested,
)
from handlers.faults import CommandIdReused, Fault
from handlers.ledger import Ledger
from handlers.payments.gateway import Captured, Declined, Refunded, RefundRefused
from handlers.payments.outcomes import (
    ChargeCommand,
    RefundCommand,
    command_id_of,
    of_charge,
    of_refund,
)
from handlers.payments.webhooks import (
    ChargeReport,
    Ignored,
    RefundReport,
    WebhookRefused,
    read_webhook,
)
from handlers.store.event_store import EventStore

__all__ = ["WebhookAnswer", "WebhookReceiver"]

GATEWAY = Actor(kind=ActorKind.SYSTEM)
"""The clock gives its commands as the same, so that the same outcome is the same command."""

Report: TypeAlias = ChargeReport | RefundReport
Request: TypeAlias = ChargeRequested | RefundRequested
Outcome: TypeAlias = PaymentCaptured | PaymentDeclined | PaymentRefunded | RefundFailed


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a webhook is answered; the gateway sends again what is answered by another than 200.

    Attributes:
        said: in clear, for the log and for the gateway; no personal value or secret.
        id: of the webhook, where it is genuine.
        type: of the webhook, where it is genuine.
    """

    status: HTTPStatus
    said: str
    id: str | None = None
    type: str | None = None


class WebhookReceiver:
    """Takes webhooks, from several threads at once.

    Args:
        ledger: takes the commands.
        store: the log.
        secrets: any of them may have signed a webhook.
    """

    def __init__(self, ledger: Ledger, store: EventStore, secrets: Sequence[bytes]) -> None:
        self._ledger = ledger
        self._store = store
        self._secrets = secrets

    def receive(self, body: bytes, signature: str, *, now: datetime) -> WebhookAnswer:
        """Records what a webhook reports, and says what it is answered; it raises no fault.

        Args:
            body: byte by byte as it came.
            signature: the header ``Stripe-Signature``.
            now: the instant at which it came.
        """
        try:
            webhook = read_webhook(body, signature, secrets=self._secrets, now=now)
        except WebhookRefused as refused:
            return WebhookAnswer(HTTPStatus.BAD_REQUEST, str(refused))
        if isinstance(webhook, Ignored):
            status, said = HTTPStatus.OK, f"ignored: {webhook.why}"
        else:
            try:
                status, said = self._record(webhook)
            except Fault as fault:
                status, said = HTTPStatus.SERVICE_UNAVAILABLE, f"not recorded: {fault.message}"
        return WebhookAnswer(status, said, webhook.id, webhook.type)

    def _record(self, report: Report) -> tuple[HTTPStatus, str]:
        request, outcome = self._on_record(report)
        if request is None:
            return HTTPStatus.NOT_FOUND, f"unknown: {_named(report)}"
        if outcome is None:
            why = _misfit(report, request)
            if why is not None:
                return _contradiction(report, why)
            refusal = self._give(report, request)
            if refusal is None:
                return HTTPStatus.OK, f"recorded: {_told(report)}"
            # The clock was first, or a double of this webhook.
            _, outcome = self._on_record(report)
            if outcome is None:
                return _contradiction(report, refusal)
        why = _misfit(report, request) or _difference(report, outcome)
        if why is not None:
            return _contradiction(report, why)
        return HTTPStatus.OK, f"known: {_told(report)}"

    def _give(self, report: Report, request: Request) -> str | None:
        """Gives the command; why it was refused, if it was."""
        # Nothing happened before it was asked for: the gateway's clock may lie behind, and where
        # Acta's is played ahead, a gateway that does not play along lies behind by months.
        command = _command(report, at=max(report.at, request.occurred_at))
        try:
            refusal = self._ledger.answer(command, GATEWAY, command_id_of(command)).refusal
        except CommandIdReused:
            return "another outcome was given for it"
        return None if refusal is None else f"refused by {refusal.rule}: {refusal.message}"

    def _on_record(self, report: Report) -> tuple[Request | None, Outcome | None]:
        """What was asked for, and what is known to have become of it."""
        stream = paid_by(report.account)
        requests: list[Request] = []
        outcomes: list[Outcome] = []
        for recorded in self._store.streams([stream])[stream]:
            match recorded.event:
                case ChargeRequested() | RefundRequested() as request:
                    if _id_of(request) == _id_of(report):
                        requests.append(request)
                case (
                    PaymentCaptured() | PaymentDeclined() | PaymentRefunded() | RefundFailed()
                ) as outcome:
                    if _id_of(outcome) == _id_of(report):
                        outcomes.append(outcome)
                case _:
                    pass
        return (requests[-1] if requests else None), (outcomes[-1] if outcomes else None)


def _id_of(it: Report | Request | Outcome) -> UUID:
    """The refund that it is about; else the payment."""
    if isinstance(it, RefundReport | RefundRequested | PaymentRefunded | RefundFailed):
        return it.refund
    return it.payment


def _command(report: Report, *, at: datetime) -> ChargeCommand | RefundCommand:
    if isinstance(report, RefundReport):
        command = of_refund(report.outcome, account=report.account, refund=report.refund, at=at)
        assert command  # noqa: S101  None is for an outcome that is not known
        return command
    return of_charge(
        report.outcome,
        account=report.account,
        payment=report.payment,
        amount_minor=report.amount_minor,
        currency=Currency(report.currency),
        at=at,
    )


def _misfit(report: Report, request: Request) -> str | None:
    """Why it cannot be about what was asked for."""
    if (report.amount_minor, report.currency) == (request.amount_minor, request.currency):
        return None
    return (
        f"it is about {report.amount_minor} minor units of {report.currency},"
        f" and {request.amount_minor} of {request.currency.value} were asked for"
    )


def _difference(report: Report, outcome: Outcome) -> str | None:
    """How the record contradicts it; a decline may be told with any reason."""
    match report.outcome, outcome:
        case (Captured(told), PaymentCaptured(gateway_reference=known)) | (
            Refunded(told),
            PaymentRefunded(gateway_reference=known),
        ):
            return None if told == known else f"it is {told} there, and {known} on record"
        case (Declined(), PaymentDeclined()) | (RefundRefused(), RefundFailed()):
            return None
        case _:
            return f"{type(outcome).__name__} is on record"


def _told(report: Report) -> str:
    return f"{type(report.outcome).__name__}, {_named(report)}"


def _named(report: Report) -> str:
    what = "payment" if isinstance(report, ChargeReport) else "refund"
    return f"{what} {_id_of(report)} of {report.account}"


def _contradiction(report: Report, why: str) -> tuple[HTTPStatus, str]:
    return HTTPStatus.CONFLICT, f"contradiction: {_told(report)}: {why}"
