"""The words of Stripe's API, as its own package has them: each is understood on purpose.

A new version of the package with a new word fails here, until somebody has decided on it.
"""

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import stripe

from domain.subscription import DeclineReason, RefundFailure, UnknownReason
from handlers.payments import stripe as adapter
from handlers.payments import webhooks
from handlers.payments.gateway import (
    Captured,
    ChargeOutcome,
    Declined,
    Refunded,
    RefundOutcome,
    RefundRefused,
    Unknown,
)
from handlers.payments.reasons import decline_reason, refund_failure
from handlers.payments.webhooks import (
    CHARGE_TYPES,
    REFUND_TYPES,
    Ignored,
    RefundReport,
    read_webhook,
)
from tests.handlers.payments.gateways import Desk, charge, refund
from tests.handlers.payments.official import Listener
from tests.handlers.payments.sending import SECRET, of_refund, sign
from tests.handlers.payments.test_webhooks import NOW, REFUND


def words(annotation: object) -> set[str]:
    """The words of a literal, wherever it stands in an annotation."""
    return {
        word
        for part in get_args(annotation)
        for word in ({part} if isinstance(part, str) else words(part))
    }


def described(resource: type[stripe.StripeObject], field: str) -> set[str]:
    """The words that the text below a field names, where its annotation is any text."""
    (body,) = ast.parse(inspect.getsource(resource)).body
    assert isinstance(body, ast.ClassDef)
    for line, below in zip(body.body, body.body[1:], strict=False):
        match line, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(text))
            ) if name == field:
                return set(re.findall("`([a-z_]+)`", text))
            case _:
                pass
    raise AssertionError(field)


# ---------------------------------------------------------------- statuses

REFUSED = Declined(DeclineReason.CARD_REFUSED)
CHARGES: dict[str, ChargeOutcome] = {
    "succeeded": Captured("pi_1"),
    "requires_payment_method": REFUSED,
    "canceled": REFUSED,
    "processing": Unknown(UnknownReason.TIMEOUT),
    # Given up: nobody is there to do what it waits for.
    "requires_action": REFUSED,
    "requires_confirmation": REFUSED,
    "requires_capture": REFUSED,
}
NOT_TAKEN = RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)
REFUNDS: dict[str, RefundOutcome] = {
    "succeeded": Refunded("re_1"),
    "failed": NOT_TAKEN,
    "canceled": NOT_TAKEN,
    "pending": Unknown(UnknownReason.TIMEOUT),
    "requires_action": Unknown(UnknownReason.TIMEOUT),
}
NEW_WORD = Unknown(UnknownReason.GATEWAY_FAULT)


def test_every_status_is_known() -> None:
    assert words(stripe.PaymentIntent.__annotations__["status"]) == set(CHARGES)
    assert described(stripe.Refund, "status") == set(REFUNDS)


@pytest.mark.parametrize(("status", "outcome"), [*CHARGES.items(), ("new_word", NEW_WORD)])
def test_a_charge_of_every_status_is_decided(status: str, outcome: ChargeOutcome) -> None:
    intent = {"id": "pi_1", "status": status, "amount": 9990, "currency": "clp"}
    answers = {
        "POST /v1/payment_intents": (200, intent),
        "GET /v1/payment_intents/search": (200, {"data": [intent]}),
        "POST /v1/payment_intents/pi_1/cancel": (200, {**intent, "status": "canceled"}),
    }
    with Listener(answers) as listener, Desk(listener.url) as desk:
        assert desk.hurries.charge(charge()) == outcome
        assert desk.hurries.charge(charge(), again=True) == outcome


@pytest.mark.parametrize("status", [*CHARGES, "new_word"])
@pytest.mark.parametrize("found", [False, True])
def test_a_withdrawal_of_every_status_is_decided(status: str, found: bool) -> None:
    """It takes no money, unless somebody paid it at the gateway by hand."""
    withdrawn = {"withdrawn": "no_card", "payment": "of somebody's own making"}
    intent = {"id": "pi_1", "status": status, "amount": 9990, "currency": "clp"}
    told = {**intent, "metadata": withdrawn}
    answers = {
        "POST /v1/payment_intents": (200, told),
        "GET /v1/payment_intents/search": (200, {"data": [told] if found else []}),
        "POST /v1/payment_intents/pi_1/cancel": (200, {**told, "status": "canceled"}),
    }
    as_ever = CHARGES.get(status, NEW_WORD)
    outcome = Declined(DeclineReason.NO_CARD) if isinstance(as_ever, Declined) else as_ever
    with Listener(answers) as listener, Desk(listener.url) as desk:
        assert desk.hurries.withdraw(charge()) == outcome
        assert desk.hurries.charge(charge(), again=True) == outcome


@pytest.mark.parametrize(
    ("status", "outcome"), [*REFUNDS.items(), ("new_word", NEW_WORD), (None, NEW_WORD)]
)
def test_a_refund_of_every_status_is_decided(status: str | None, outcome: RefundOutcome) -> None:
    order = refund("pi_1", 100)
    told = {"id": "re_1", "status": status, "amount": 100, "currency": "clp"}
    known = {**told, "metadata": {"refund": str(order.refund)}}
    answers = {"POST /v1/refunds": (200, told), "GET /v1/refunds": (200, {"data": [known]})}
    with Listener(answers) as listener, Desk(listener.url) as desk:
        assert desk.hurries.refund(order) == outcome
        assert desk.hurries.refund(order, again=True) == outcome


def test_a_refund_is_found_among_others_that_say_less() -> None:
    """Made by hand at the gateway, such a one may lack a status and metadata."""
    order = refund("pi_1", 100)
    told = {"id": "re_1", "status": "succeeded", "amount": 100, "currency": "clp"}
    less = {**told, "id": "re_2", "status": None, "metadata": None}
    known = {**told, "metadata": {"refund": str(order.refund)}}
    answers = {"GET /v1/refunds": (200, {"data": [less, known]})}
    with Listener(answers) as listener, Desk(listener.url) as desk:
        assert desk.asks.refund(order, again=True) == Refunded("re_1")


@pytest.mark.parametrize("status", [*REFUNDS, None])
def test_a_webhook_reports_a_refund_that_is_done_or_failed_alone(status: str | None) -> None:
    body = of_refund(REFUND, "refund.created", status="").replace(
        b'"status": ""', f'"status": "{status}"'.encode() if status else b'"status": null'
    )
    report = read_webhook(body, sign(body, NOW), secrets=[SECRET.encode()], now=NOW)
    if status is None or isinstance(REFUNDS[status], Unknown):
        assert isinstance(report, Ignored)
    else:
        assert isinstance(report, RefundReport)
        assert report.outcome == REFUNDS[status]


# ---------------------------------------------------------------- reasons

DECLINES = {
    "insufficient_funds": DeclineReason.INSUFFICIENT_FUNDS,
    "expired_card": DeclineReason.CARD_EXPIRED,
    "expired_payment_method": DeclineReason.CARD_EXPIRED,
    "processing_error": DeclineReason.OTHER,
    "amount_too_large": DeclineReason.OTHER,
    "amount_too_small": DeclineReason.OTHER,
}
CARD_REFUSED = set(Path(__file__).with_name("codes_of_refused_cards.txt").read_text().split())
"""All others; most of them are about what Acta never asks."""

REFUND_FAILURES = {
    "lost_or_stolen_card": RefundFailure.CARD_CLOSED,
    "expired_or_canceled_card": RefundFailure.CARD_CLOSED,
    "charge_for_pending_refund_disputed": RefundFailure.REFUSED_BY_GATEWAY,
    "insufficient_funds": RefundFailure.REFUSED_BY_GATEWAY,
    "declined": RefundFailure.REFUSED_BY_GATEWAY,
    "merchant_request": RefundFailure.REFUSED_BY_GATEWAY,
    "unknown": RefundFailure.REFUSED_BY_GATEWAY,
}


def test_every_code_of_a_declined_charge_has_its_reason() -> None:
    codes = words(stripe.PaymentIntent.LastPaymentError.__annotations__["code"])
    assert codes == set(DECLINES) | CARD_REFUSED
    reasons = {code: decline_reason(code) for code in codes}
    assert reasons == DECLINES | dict.fromkeys(CARD_REFUSED, DeclineReason.CARD_REFUSED)


def test_every_failure_of_a_refund_has_its_reason() -> None:
    assert described(stripe.Refund, "failure_reason") == set(REFUND_FAILURES)
    assert {code: refund_failure(code) for code in REFUND_FAILURES} == REFUND_FAILURES


# ---------------------------------------------------------------- fields and events


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adapter.PaymentIntent, stripe.PaymentIntent),
        (adapter.FoundCharges, stripe.SearchResultObject),
        (adapter.RefundOfGateway, stripe.Refund),
        (adapter.FoundRefunds, stripe.ListObject),
        (adapter.ErrorOfGateway, stripe.PaymentIntent.LastPaymentError),
        (adapter.ErrorOfGateway, stripe.ErrorObject),
        (webhooks._Event, stripe.Event),
        (webhooks._Data, stripe.Event.Data),
        (webhooks._PaymentIntent, stripe.PaymentIntent),
        (webhooks._DeclineError, stripe.PaymentIntent.LastPaymentError),
        (webhooks._Refund, stripe.Refund),
    ],
)
def test_every_field_that_is_read_exists_and_may_be_null_where_theirs_may(
    ours: Any, theirs: type[stripe.StripeObject]
) -> None:
    known = theirs.__annotations__
    for name, field in ours.model_fields.items():
        assert name in known
        if may_be_null(known[name]) and (ours, name) not in ALWAYS_THERE:
            assert may_be_null(field.annotation), name


ALWAYS_THERE = {(webhooks._Refund, "metadata")}
"""What has none was not asked for by Acta, and is not read so far."""


def may_be_null(annotation: object) -> bool:
    return type(None) in get_args(annotation)


def test_every_event_that_is_read_exists_and_the_others_are_passed_over_on_purpose() -> None:
    events = words(stripe.Event.__annotations__["type"])
    about = re.compile(r"(payment_intent|refund|charge\.refund)\.")
    assert {event for event in events if about.match(event)} == {
        *CHARGE_TYPES,
        *REFUND_TYPES,
        # Nothing has come of it yet.
        "payment_intent.created",
        "payment_intent.processing",
        "payment_intent.requires_action",
        # Of charges that are captured later, or paid by a bank transfer; Acta asks for neither.
        "payment_intent.amount_capturable_updated",
        "payment_intent.partially_funded",
    }
