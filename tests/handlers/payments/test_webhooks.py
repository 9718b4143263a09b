"""Webhooks of the gateway: which are genuine and fresh, and what they report."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.subscription import ChargeRequested, DeclineReason, RefundFailure, RefundRequested
from handlers.payments.gateway import Captured, Declined, Refunded, RefundRefused
from handlers.payments.webhooks import (
    ChargeReport,
    Ignored,
    RefundReport,
    Webhook,
    WebhookRefused,
    read_webhook,
    split_secrets,
)
from tests.handlers.payments.sending import SECRET, of_charge, of_refund, sign, webhook
from tests.handlers.stories import PRICE_MINOR, noon

NOW = noon(2026, 2, 28)
SECOND = timedelta(seconds=1)
REQUEST = ChargeRequested.model_validate(
    {
        "occurred_at": NOW,
        "person": UUID(int=1),
        "account": UUID(int=2),
        "subscription": UUID(int=3),
        "payment": UUID(int=4),
        "attempt": 1,
        "amount_minor": PRICE_MINOR,
        "currency": "CLP",
        "means": "card",
        "plan": "full-access",
        "price_version": 1,
        "period_from": "2026-02-28",
        "period_to": "2026-03-30",
        "time_zone": "America/Santiago",
        "tax_document": "boleta",
    }
)
REFUND = RefundRequested.model_validate(
    {
        "occurred_at": NOW,
        "person": UUID(int=1),
        "account": UUID(int=2),
        "subscription": UUID(int=3),
        "refund": UUID(int=5),
        "payment": UUID(int=4),
        "payer": UUID(int=1),
        "amount_minor": 990,
        "currency": "CLP",
        "means": "card",
        "reason": "request",
    }
)


def read(body: bytes, signature: str | None = None, *, now: datetime = NOW) -> Webhook:
    signed = sign(body, now) if signature is None else signature
    return read_webhook(body, signed, secrets=[SECRET.encode()], now=now)


def why_not(body: bytes, signature: str | None = None, *, now: datetime = NOW) -> str:
    """Why a webhook is refused."""
    with pytest.raises(WebhookRefused) as refused:
        read(body, signature, now=now)
    return str(refused.value)


# ---------------------------------------------------------------- genuine and fresh


def test_a_signed_one_is_read() -> None:
    assert isinstance(read(of_charge(REQUEST)), ChargeReport)


def test_one_with_another_secret_is_not() -> None:
    body = of_charge(REQUEST)
    assert why_not(body, sign(body, NOW, "whsec_other")) == "its signature is wrong"


@given(place=st.integers(0), flipped=st.integers(1, 255))
def test_the_body_counts_byte_by_byte(place: int, flipped: int) -> None:
    """Also where another spelling would be the same JSON."""
    body = of_charge(REQUEST)
    changed = bytearray(body)
    changed[place % len(body)] ^= flipped
    assert why_not(bytes(changed), sign(body, NOW)) == "its signature is wrong"
    assert why_not(body + b" ", sign(body, NOW)) == "its signature is wrong"
    assert why_not(body, sign(body, NOW).replace("t=1", "t=2")) == "its signature is wrong"


def test_while_a_secret_is_exchanged_either_signs() -> None:
    """Two in the setting, or two signatures in the header."""
    body = of_charge(REQUEST)
    both = split_secrets(" whsec_old, whsec_new,")
    assert both == (b"whsec_old", b"whsec_new")
    for secret in ("whsec_old", "whsec_new"):
        read_webhook(body, sign(body, NOW, secret), secrets=both, now=NOW)
    read_webhook(body, sign(body, NOW, "whsec_x", "whsec_new"), secrets=both[1:], now=NOW)
    assert split_secrets(" , ,") == ()


@pytest.mark.parametrize(
    ("age_seconds", "why"),
    [
        (0, None),
        (300, None),
        (301, "it is too old"),
        (-300, None),
        (-301, "it is from the future"),
        (10**9, "it is too old"),
    ],
)
def test_it_is_taken_for_five_minutes(age_seconds: int, why: str | None) -> None:
    """A copy that somebody sends again later is not; nor is one from a clock that is far ahead."""
    body = of_charge(REQUEST)
    signature = sign(body, NOW - age_seconds * SECOND)
    if why is None:
        read(body, signature)
    else:
        assert why_not(body, signature) == why


def test_nobody_learns_how_old_a_forged_one_is() -> None:
    body = of_charge(REQUEST)
    assert why_not(body, sign(body, 1, "whsec_other")) == "its signature is wrong"


GENUINE = sign(of_charge(REQUEST), NOW)
SENT_AT, _, DIGEST = GENUINE.partition(",")


@pytest.mark.parametrize(
    "header",
    [
        "",
        SENT_AT,
        DIGEST,
        f"{SENT_AT},{SENT_AT},{DIGEST}",
        f"t=,{DIGEST}",
        f"t=-1,{DIGEST}",
        f"t=٣,{DIGEST}",
        f"t={10**30},{DIGEST}",
        f"{SENT_AT},v0={DIGEST[3:]}",
        f"{SENT_AT},v1=",
        f"{SENT_AT},v1=é{DIGEST[4:]}",
        f"{SENT_AT},{DIGEST.upper().replace('V', 'v')}",
        f"{SENT_AT},{DIGEST[:-1]}",
        ",=,=,",
    ],
)
def test_a_header_that_is_none(header: str) -> None:
    assert why_not(of_charge(REQUEST), header) in {"it is not signed", "its signature is wrong"}


def test_other_parts_of_the_header_do_not_matter() -> None:
    read(of_charge(REQUEST), f"v0=00, {DIGEST}, {SENT_AT}, v1=nonsense, x")


@given(st.text(max_size=200))
def test_no_header_breaks_it(header: str) -> None:
    with pytest.raises(WebhookRefused):
        read(of_charge(REQUEST), header)


def changed(**changes: Any) -> bytes:
    """A webhook of which a field is another."""
    return json.dumps({**json.loads(of_charge(REQUEST)), **changes}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 100_000,
        '{"id": "evt_1"}'.encode("utf-16"),
        changed(id="evt 1\nforged line"),
        changed(id=None),
        changed(type="x" * 101),
        changed(type="a\nb"),
        changed(created="soon"),
        changed(created=True),
        changed(created=10**18),
        changed(created=-1),
        changed(data=[]),
        changed(data={"object": None}),
        of_charge(REQUEST, amount="9990"),
        of_charge(REQUEST, amount=99.5),
        of_charge(REQUEST, amount=-1),
        of_charge(REQUEST, currency="pesos"),
        of_charge(REQUEST, currency=None),
        of_charge(REQUEST, id="4242424242424242"),
        of_charge(REQUEST, metadata={"payment": "x", "account": "account:x"}),
        of_charge(REQUEST, metadata={"payment": str(UUID(int=4))}),
        of_charge(REQUEST, account="ana@example.com"),
        of_charge(REQUEST, account=f"person:{UUID(int=1)}"),
        of_charge(REQUEST, account=f"account:{'-' * 36}"),
        of_refund(REFUND, metadata={"refund": "17"}),
    ],
)
def test_what_is_signed_and_cannot_be_read(body: bytes) -> None:
    """The gateway is told so, and nothing of what was in it."""
    assert why_not(body) == "it cannot be read"


@given(st.binary(max_size=300))
def test_no_signed_body_breaks_it(body: bytes) -> None:
    assert why_not(body) == "it cannot be read"


# ---------------------------------------------------------------- what it reports


def test_a_capture() -> None:
    assert read(of_charge(REQUEST)) == ChargeReport(
        id="evt_1",
        type="payment_intent.succeeded",
        account=f"account:{UUID(int=2)}",
        payment=UUID(int=4),
        amount_minor=PRICE_MINOR,
        currency="CLP",
        outcome=Captured("pi_1"),
        at=NOW,
    )


def test_of_a_capture_what_came_in_counts() -> None:
    report = read(of_charge(REQUEST, amount_received=5000))
    assert isinstance(report, ChargeReport)
    assert report.amount_minor == 5000


@pytest.mark.parametrize(
    ("code", "decline_code", "reason"),
    [
        ("card_declined", "insufficient_funds", DeclineReason.INSUFFICIENT_FUNDS),
        ("expired_card", None, DeclineReason.CARD_EXPIRED),
        ("card_declined", "expired_card", DeclineReason.CARD_EXPIRED),
        ("card_declined", "generic_decline", DeclineReason.CARD_REFUSED),
        ("processing_error", None, DeclineReason.OTHER),
        (None, None, DeclineReason.CARD_REFUSED),
    ],
)
def test_a_decline(code: str | None, decline_code: str | None, reason: DeclineReason) -> None:
    error = {"code": code, "decline_code": decline_code}
    report = read(of_charge(REQUEST, "payment_intent.payment_failed", last_payment_error=error))
    assert isinstance(report, ChargeReport)
    assert (report.outcome, report.amount_minor) == (Declined(reason), PRICE_MINOR)


def test_a_decline_that_says_no_reason() -> None:
    report = read(of_charge(REQUEST, "payment_intent.payment_failed", last_payment_error=None))
    assert isinstance(report, ChargeReport)
    assert report.outcome == Declined(DeclineReason.CARD_REFUSED)


def test_a_charge_that_was_canceled_takes_no_money() -> None:
    report = read(of_charge(REQUEST, "payment_intent.canceled", last_payment_error=None))
    assert isinstance(report, ChargeReport)
    assert report.outcome == Declined(DeclineReason.CARD_REFUSED)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        ("refund.created", "succeeded", Refunded("re_1")),
        ("refund.updated", "succeeded", Refunded("re_1")),
        ("charge.refund.updated", "succeeded", Refunded("re_1")),
        ("refund.updated", "canceled", RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)),
        ("refund.failed", "failed", RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)),
    ],
)
def test_a_refund(kind: str, status: str, outcome: Refunded | RefundRefused) -> None:
    assert read(of_refund(REFUND, kind, status=status)) == RefundReport(
        id="evt_2",
        type=kind,
        account=f"account:{UUID(int=2)}",
        refund=UUID(int=5),
        amount_minor=990,
        currency="CLP",
        outcome=outcome,
        at=NOW,
    )


def test_why_a_refund_failed() -> None:
    body = of_refund(REFUND, status="failed", failure_reason="expired_or_canceled_card")
    report = read(body)
    assert isinstance(report, RefundReport)
    assert report.outcome == RefundRefused(RefundFailure.CARD_CLOSED)


@pytest.mark.parametrize(
    "body",
    [
        webhook("customer.created", {}, created=NOW),
        of_charge(REQUEST, "payment_intent.processing"),
        of_charge(REQUEST, metadata={}),
        of_charge(REQUEST, metadata=None),
        of_refund(REFUND, metadata={"order": "17"}),
        of_refund(REFUND, status="pending"),
    ],
)
def test_what_is_ignored(body: bytes) -> None:
    """What is on its way, is of another kind, or was asked for by others at the same gateway."""
    assert isinstance(read(body), Ignored)
