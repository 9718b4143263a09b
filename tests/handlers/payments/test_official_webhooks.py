"""Stripe's own code judges webhooks: those that the embedded gateway sends, and those we take."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from domain.subscription import DeclineReason, UnknownReason
from handlers.payments.gateway import Captured, Declined, Refunded, Unknown
from handlers.payments.webhooks import ChargeReport, WebhookRefused, read_webhook
from tests.handlers.payments.gateways import NOON, Desk, charge, gateway, refund
from tests.handlers.payments.official import Listener
from tests.handlers.payments.sending import SECRET, of_charge, sign
from tests.handlers.payments.test_webhooks import REQUEST

BODY = of_charge(REQUEST)
OTHER = "whsec_other"
NEXT_DAY = NOON + timedelta(days=1)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


@pytest.fixture
def desk(tmp_path: Path, listener: Listener) -> Iterator[Desk]:
    with gateway(tmp_path / "book", webhooks_url=listener.url, webhook_secret=SECRET) as desk:
        yield desk


def opened(listener: Listener) -> stripe.Event:
    """The next webhook, as the official code opens it."""
    heard = listener.next()
    event: stripe.Event = stripe.Webhook.construct_event(
        heard.body, heard.headers["stripe-signature"], SECRET
    )
    assert set(event.to_dict()) <= set(stripe.Event.__annotations__)
    return event


# ---------------------------------------------------------------- what the embedded gateway sends


def test_what_the_embedded_gateway_sends_is_opened(desk: Desk, listener: Listener) -> None:
    order = charge()
    paid = desk.asks.charge(order)
    assert isinstance(paid, Captured)
    event = opened(listener)
    assert (event.type, event.livemode) == ("payment_intent.succeeded", False)
    assert datetime.fromtimestamp(event.created, UTC) == NOON
    intent = event.data.object
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.id, intent.amount_received) == (paid.gateway_reference, 9990)
    assert intent.metadata["payment"] == str(order.payment)

    declined = desk.asks.charge(charge(token="pm_card_chargeDeclinedInsufficientFunds"))
    assert declined == Declined(DeclineReason.INSUFFICIENT_FUNDS)
    event = opened(listener)
    assert event.type == "payment_intent.payment_failed"
    assert isinstance(event.data.object, stripe.PaymentIntent)
    assert event.data.object.last_payment_error is not None
    assert event.data.object.last_payment_error.decline_code == "insufficient_funds"

    desk.asks.refund(refund(intent.id))
    event = opened(listener)
    assert event.type == "refund.created"
    assert isinstance(event.data.object, stripe.Refund)
    assert (event.data.object.status, event.data.object.payment_intent) == ("succeeded", intent.id)


def test_a_refund_that_fails_is_told_by_an_event_of_its_own(desk: Desk, listener: Listener) -> None:
    closed = desk.asks.charge(charge(token="pm_card_refundFail"))
    assert isinstance(closed, Captured)
    assert opened(listener).type == "payment_intent.succeeded"
    desk.asks.refund(refund(closed.gateway_reference))
    event = opened(listener)
    assert event.type == "refund.failed"
    assert isinstance(event.data.object, stripe.Refund)
    assert event.data.object.failure_reason == "expired_or_canceled_card"


def test_a_refund_that_is_done_later_is_told_as_a_change(desk: Desk, listener: Listener) -> None:
    slow = desk.asks.charge(charge(token="pm_card_refundPending"))
    assert isinstance(slow, Captured)
    assert opened(listener).type == "payment_intent.succeeded"
    order = refund(slow.gateway_reference)
    assert desk.hurries.refund(order) == Unknown(UnknownReason.TIMEOUT)
    assert isinstance(desk.asks.refund(replace(order, at=NEXT_DAY), again=True), Refunded)
    event = opened(listener)
    assert (event.type, event.created) == ("refund.updated", int(NEXT_DAY.timestamp()))


def test_what_was_changed_on_the_way_is_not_opened(desk: Desk, listener: Listener) -> None:
    desk.asks.charge(charge())
    heard = listener.next()
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(
            heard.body + b" ", heard.headers["stripe-signature"], SECRET
        )  # fmt: skip


# ---------------------------------------------------------------- which are genuine


def official_takes(header: str, body: bytes = BODY) -> bool:
    """The verdict of the official code."""
    try:
        stripe.WebhookSignature.verify_header(body, header, SECRET, tolerance=300)
    except stripe.SignatureVerificationError:
        return False
    return True


def acta_takes(header: str, body: bytes = BODY) -> bool:
    """The verdict of ours."""
    try:
        report = read_webhook(body, header, secrets=[SECRET.encode()], now=datetime.now(UTC))
    except WebhookRefused:
        return False
    return isinstance(report, ChargeReport)


def filled(header: str) -> str:
    """A header with instants about now, and with the signatures of them.

    They lie far from the bounds, so that it does not matter which verdict comes a second later.
    """
    now = int(datetime.now(UTC).timestamp())
    instants = {"now": now, "recent": now - 200, "old": now - 400, "future": now + 400}
    signatures = {f"of_{name}": digest(instant) for name, instant in instants.items()}
    others = {"OF_NOW": digest(now).upper(), "of_other": digest(now, OTHER)}
    return header.format(**instants, **signatures, **others)


def digest(instant: int, secret: str = SECRET) -> str:
    """The signature of an instant and the body."""
    return sign(BODY, instant, secret).partition("v1=")[2]


def test_what_the_official_code_signs_is_taken() -> None:
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET)
    assert official_takes(header)
    assert acta_takes(header)


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("t={now},v1={of_now}", True),
        ("t={recent},v1={of_recent}", True),
        ("t={old},v1={of_old}", False),
        ("t={now},v1={of_old}", False),
        ("t={now},v1={of_other}", False),
        ("t={now},v1={of_other},v1={of_now}", True),
        ("t={now},v1={of_other},v1={of_old}", False),
        ("v1={of_now},t={now}", True),
        ("t={now},v1={of_now},v0={of_now}", True),
        ("t={now},v0={of_now}", False),
        ("t={now},v0={of_now},v1={of_other}", False),
        ("t={now},v1=,v1={of_now}", True),
        ("t={now},v2=x,v1={of_now}", True),
        ("t={now}", False),
        ("v1={of_now}", False),
        ("t=,v1={of_now}", False),
        ("t=soon,v1={of_now}", False),
        ("t={now}0,v1={of_now}", False),
        ("t={now},v1=", False),
        ("t={now},v1={OF_NOW}", False),
        ("t={now},v1={of_now}0", False),
        ("t={now};v1={of_now}", False),
        ("T={now},V1={of_now}", False),
        ("", False),
        (",", False),
    ],
)
def test_both_take_and_refuse_the_same_headers(header: str, taken: bool) -> None:
    header = filled(header)
    assert (official_takes(header), acta_takes(header)) == (taken, taken)


@pytest.mark.parametrize(
    "body",
    [BODY + b" ", BODY[:-1], b"", BODY.replace(b"pi_1", b"pi_2"), BODY.replace(b": ", b":")],
    ids=["longer", "shorter", "empty", "changed", "spelled otherwise"],
)
def test_both_refuse_another_body(body: bytes) -> None:
    assert body != BODY
    header = filled("t={now},v1={of_now}")
    assert not official_takes(header, body)
    assert not acta_takes(header, body)


@pytest.mark.parametrize(
    "header",
    [
        "t={future},v1={of_future}",
        "t={now},t={now},v1={of_now}",
        "t={now},t=soon,v1={of_now}",
        "t=+{now},v1={of_now}",
        "t= {now},v1={of_now}",
    ],
)
def test_acta_is_stricter_with_the_future_and_with_unclear_instants(header: str) -> None:
    assert official_takes(filled(header))
    assert not acta_takes(filled(header))


def test_acta_is_more_lenient_with_blanks_between_the_parts_alone() -> None:
    """As headers may have them; what is signed is the same."""
    header = filled("t={now}, v1={of_now}")
    assert acta_takes(header)
    assert not official_takes(header)


PARTS = [
    "t={now}", "v1={of_now}", "t={old}", "v1={of_old}", "v0={of_now}", "v1={of_other}", "t=x", "x",
    "",
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=6).map(",".join))
def test_acta_takes_nothing_that_the_official_code_refuses(header: str) -> None:
    assert official_takes(filled(header)) or not acta_takes(filled(header))
