"""Stripe's own client judges the embedded gateway, and what the adapter sends and understands."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import stripe
from stripe import params

from domain.subscription import DeclineReason
from handlers.faults import GatewayUnusable, OrderRefused
from handlers.payments.embedded.cards import CARDS
from handlers.payments.gateway import (
    Captured,
    ChargeOrder,
    Declined,
    Refunded,
    RefundRefused,
    Unknown,
)
from handlers.payments.reasons import decline_reason
from tests.handlers.payments.gateways import Desk, charge, gateway, refund
from tests.handlers.payments.official import Heard, Listener, official


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with gateway(tmp_path / "book") as desk:
        yield desk


@pytest.fixture
def client(desk: Desk) -> Iterator[stripe.StripeClient]:
    with official(desk.url) as client:
        yield client


def asked(order: ChargeOrder) -> params.PaymentIntentCreateParams:
    """A charge, as a reader of Stripe's manual would ask for it."""
    assert order.token is not None
    customer, _, card = order.token.rpartition(":")
    whose: params.PaymentIntentCreateParams = {
        "amount": order.amount_minor,
        "currency": order.currency.value.lower(),
        "payment_method": card,
        "confirm": True,
        "off_session": True,
        "metadata": {
            "payment": str(order.payment),
            "account": order.account,
            "attempt": str(order.attempt),
        },
    }
    return {**whose, "customer": customer} if customer else whose


def withdrawal(order: ChargeOrder) -> params.PaymentIntentCreateParams:
    """What takes no money, as a reader of Stripe's manual would ask for it."""
    return {
        "amount": order.amount_minor,
        "currency": order.currency.value.lower(),
        "metadata": {
            "payment": str(order.payment),
            "account": order.account,
            "attempt": str(order.attempt),
            "withdrawn": "other" if order.token else "no_card",
        },
    }


def key(of: UUID) -> stripe.RequestOptions:
    """The options of a request under an idempotency key."""
    return {"idempotency_key": str(of)}


def charged(client: stripe.StripeClient, order: ChargeOrder) -> stripe.PaymentIntent:
    """Has the official client charge."""
    return client.v1.payment_intents.create(asked(order), key(order.payment))


def is_whole(told: stripe.StripeObject) -> bool:
    """Whether it has no field but those that the official client knows."""
    return set(told.to_dict()) <= set(type(told).__annotations__)


# ---------------------------------------------------------------- the embedded gateway


def test_a_payment_is_made_once_under_its_key(desk: Desk, client: stripe.StripeClient) -> None:
    order = charge()
    intent = charged(client, order)
    assert is_whole(intent)
    assert (intent.status, intent.amount, intent.currency) == ("succeeded", 9990, "clp")
    assert (intent.amount_received, intent.last_payment_error) == (9990, None)
    assert intent.metadata["payment"] == str(order.payment)
    assert charged(client, order).id == intent.id
    assert desk.captured == [str(order.payment)]
    with pytest.raises(stripe.IdempotencyError):
        charged(client, charge(order.payment, amount_minor=1))


def test_the_adapter_and_the_official_client_know_each_others_payments(
    desk: Desk, client: stripe.StripeClient
) -> None:
    order = charge()
    intent = charged(client, order)
    assert desk.asks.charge(order) == Captured(intent.id)
    assert desk.asks.charge(order, again=True) == Captured(intent.id)


@pytest.mark.parametrize("token", [token for token, card in CARDS.items() if card.declined])
def test_a_declining_card_is_a_card_error(
    desk: Desk, client: stripe.StripeClient, token: str
) -> None:
    order = charge(token=token)
    with pytest.raises(stripe.CardError) as caught:
        charged(client, order)
    error = caught.value.error
    assert error is not None
    assert error.payment_intent is not None
    assert error.payment_intent.last_payment_error is not None
    assert is_whole(error)
    assert caught.value.code == error.code
    assert error.decline_code == CARDS[token].declined
    assert error.payment_intent.status == "requires_payment_method"
    assert error.payment_intent.last_payment_error.decline_code == error.decline_code
    reason = decline_reason(error.code, error.decline_code)
    assert desk.asks.charge(order, again=True) == Declined(reason)


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"token": "pm_card_nobodyKnows"}, "payment_method", "resource_missing"),
        ({"token": "somebody:pm_card_visa"}, "customer", "resource_missing"),
        ({"amount_minor": 0}, "amount", "parameter_invalid_integer"),
        ({"amount_minor": 100_000_000}, "amount", "amount_too_large"),
    ],
)
def test_what_is_wrong_with_a_charge_is_named(
    client: stripe.StripeClient, changes: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        charged(client, charge(**changes))
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_wrong_key_is_one(desk: Desk) -> None:
    with official(desk.url, "sk_test_wrong") as stranger, pytest.raises(stripe.AuthenticationError):
        charged(stranger, charge())


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("error", stripe.APIError, None),
        ("error_after", stripe.APIError, None),
        ("busy", stripe.RateLimitError, "rate_limit"),
        ("conflict_after", stripe.APIError, "idempotency_key_in_use"),
        ("answer_lost", stripe.APIConnectionError, None),
    ],
)
def test_a_fault_that_was_ordered_is_one_of_stripes(
    desk: Desk,
    client: stripe.StripeClient,
    fault: str,
    error: type[stripe.StripeError],
    code: str | None,
) -> None:
    desk.order(fault)
    with pytest.raises(error) as caught:
        charged(client, charge())
    assert type(caught.value) is error
    assert (caught.value.error.code if caught.value.error else None) == code


def test_a_payment_is_found_by_its_metadata(client: stripe.StripeClient) -> None:
    order = charge()
    intent = charged(client, order)
    charged(client, charge())
    found = client.v1.payment_intents.search({"query": f"metadata['payment']:'{order.payment}'"})
    assert [each.id for each in found.auto_paging_iter()] == [intent.id]
    assert is_whole(found.data[0])
    nothing = client.v1.payment_intents.search({"query": f"metadata['payment']:'{uuid4()}'"})
    assert list(nothing.auto_paging_iter()) == []


def test_what_waits_for_its_payer_is_canceled_once(client: stripe.StripeClient) -> None:
    intents = client.v1.payment_intents
    waiting = charged(client, charge(token="pm_card_requiresAction"))
    assert waiting.status == "requires_action"
    assert intents.cancel(waiting.id).status == "canceled"
    paid = charged(client, charge())
    for done in (waiting, paid):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            intents.cancel(done.id)
        assert caught.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        intents.cancel("pi_nowhere")
    assert (caught.value.code, caught.value.param) == ("resource_missing", "intent")


def test_a_key_that_something_without_a_card_was_made_under_charges_nothing(
    desk: Desk, client: stripe.StripeClient
) -> None:
    intents, order = client.v1.payment_intents, charge()
    made = intents.create(withdrawal(order), key(order.payment))
    assert is_whole(made)
    assert (made.status, made.last_payment_error) == ("requires_payment_method", None)
    assert intents.create(withdrawal(order), key(order.payment)).id == made.id
    assert intents.cancel(made.id).status == "canceled"
    with pytest.raises(stripe.IdempotencyError):
        charged(client, order)
    found = intents.search({"query": f"metadata['payment']:'{order.payment}'"})
    assert [(each.id, each.status) for each in found.data] == [(made.id, "canceled")]
    never = Declined(DeclineReason.OTHER)
    assert desk.asks.withdraw(order) == desk.asks.charge(order) == never
    assert desk.captured == []


def test_a_key_that_was_charged_under_is_none_for_a_withdrawal(
    desk: Desk, client: stripe.StripeClient
) -> None:
    order = charge()
    charged(client, order)
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create(withdrawal(order), key(order.payment))
    assert desk.captured == [str(order.payment)]


def test_a_card_that_is_not_confirmed_is_not_charged(
    desk: Desk, client: stripe.StripeClient
) -> None:
    order = charge()
    asked_: params.PaymentIntentCreateParams = {**withdrawal(order), "payment_method": "pm_1"}
    made = client.v1.payment_intents.create(asked_, key(order.payment))
    assert made.status == "requires_confirmation"
    assert desk.captured == []


def test_money_goes_back_in_parts_and_never_beyond(client: stripe.StripeClient) -> None:
    paid = charged(client, charge())
    for amount in (4000, 5990):
        back = client.v1.refunds.create({"payment_intent": paid.id, "amount": amount})
        assert is_whole(back)
        assert (back.status, back.amount, back.currency) == ("succeeded", amount, "clp")
        assert back.payment_intent == paid.id
        if amount == 4000:
            with pytest.raises(stripe.InvalidRequestError) as caught:
                client.v1.refunds.create({"payment_intent": paid.id, "amount": 5991})
            assert caught.value.param == "amount"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 1})
    assert caught.value.code == "charge_already_refunded"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": "pi_nowhere", "amount": 1})
    assert (caught.value.code, caught.value.param) == ("resource_missing", "payment_intent")


def test_a_refund_is_made_once_under_its_key(desk: Desk, client: stripe.StripeClient) -> None:
    paid, name = charged(client, charge()), uuid4()
    first, second = (
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 100}, key(name))
        for _ in range(2)
    )
    assert first.id == second.id
    assert len(desk.refunds) == 1
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 101}, key(name))


def test_a_refund_that_fails_or_waits_says_so(client: stripe.StripeClient) -> None:
    closed = charged(client, charge(token="pm_card_refundFail"))
    failed = client.v1.refunds.create({"payment_intent": closed.id, "amount": 1})
    assert is_whole(failed)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    slow = charged(client, charge(token="pm_card_refundPending"))
    waits = client.v1.refunds.create({"payment_intent": slow.id, "amount": 1})
    assert waits.status == "pending"


def test_refunds_are_listed_page_by_page_newest_first(client: stripe.StripeClient) -> None:
    paid = charged(client, charge())
    made = [
        client.v1.refunds.create({"payment_intent": paid.id, "amount": amount}).id
        for amount in range(1, 6)
    ]
    first = client.v1.refunds.list({"payment_intent": paid.id, "limit": 2})
    assert first.has_more
    assert [each.id for each in first.auto_paging_iter()] == made[::-1]


# ---------------------------------------------------------------- what the adapter sends

FOUND_NONE = {"object": "search_result", "url": "/v1/x", "data": [], "has_more": False}
WAITING = {"id": "pi_1", "status": "requires_action", "amount": 9990, "currency": "clp"}
MADE = {"id": "re_1", "status": "succeeded", "amount": 100, "currency": "clp"}
ANSWERS = {
    "GET /v1/payment_intents/search": (200, FOUND_NONE),
    "POST /v1/payment_intents": (200, WAITING),
    "POST /v1/payment_intents/pi_1/cancel": (200, {**WAITING, "status": "canceled"}),
    "GET /v1/refunds": (200, FOUND_NONE),
    "POST /v1/refunds": (200, MADE),
}


def said(heard: Heard) -> tuple[str, str, dict[str, str], dict[str, str | None]]:
    """What a request says, whoever sends it."""
    names = ("authorization", "content-type", "idempotency-key", "stripe-version")
    told = {name: heard.headers.get(name) for name in names}
    return heard.method, heard.path, heard.form, told


def test_the_adapter_asks_as_the_official_client_does() -> None:
    order, back = charge(token="cus_1:pm_1"), refund("pi_1", 100)
    with Listener(ANSWERS) as listener:
        with Desk(listener.url) as desk:
            # Looked up, then made; as it waits for its payer, it is given up.
            assert desk.asks.charge(order, again=True) == Declined(DeclineReason.CARD_REFUSED)
            assert desk.asks.refund(back, again=True) == Refunded("re_1")
        ours = [listener.next() for _ in range(5)]
        with official(listener.url) as client:
            intents, refunds = client.v1.payment_intents, client.v1.refunds
            intents.search({"query": f"metadata['payment']:'{order.payment}'"})
            intents.create(asked(order), key(order.payment))
            intents.cancel("pi_1")
            refunds.list({"payment_intent": "pi_1", "limit": 100})
            metadata = {
                "refund": str(back.refund),
                "payment": str(back.payment),
                "account": back.account,
            }
            refunds.create(
                {"payment_intent": "pi_1", "amount": 100, "metadata": metadata}, key(back.refund)
            )
        theirs = [listener.next() for _ in range(5)]
        assert listener.heard.empty()
    # Theirs names each request anew; ours needs no name to cancel twice what is canceled once.
    assert "idempotency-key" not in ours[2].headers
    del theirs[2].headers["idempotency-key"]
    assert [said(each) for each in ours] == [said(each) for each in theirs]
    known = [
        params.PaymentIntentSearchParams,
        params.PaymentIntentCreateParams,
        params.PaymentIntentCancelParams,
        params.RefundListParams,
        params.RefundCreateParams,
    ]
    for each, parameters in zip(ours, known, strict=True):
        names = {name.partition("[")[0] for name in each.form}
        assert names <= set(parameters.__annotations__) - set(stripe.RequestOptions.__annotations__)


@pytest.mark.parametrize("token", ["pm_1", None])
def test_the_adapter_withdraws_as_the_official_client_would(token: str | None) -> None:
    order = charge(token=token)
    made = {**WAITING, "status": "requires_payment_method", "metadata": {"withdrawn": "other"}}
    with Listener(ANSWERS | {"POST /v1/payment_intents": (200, made)}) as listener:
        with Desk(listener.url) as desk:
            assert desk.asks.withdraw(order) == Declined(DeclineReason.OTHER)
        ours = [listener.next() for _ in range(3)]
        with official(listener.url) as client:
            intents = client.v1.payment_intents
            intents.search({"query": f"metadata['payment']:'{order.payment}'"})
            intents.create(withdrawal(order), key(order.payment))
            intents.cancel("pi_1")
        theirs = [listener.next() for _ in range(3)]
        assert listener.heard.empty()
    del theirs[2].headers["idempotency-key"]
    assert [said(each) for each in ours] == [said(each) for each in theirs]


@pytest.mark.parametrize(
    ("told", "error", "charge_is", "refund_is"),
    [
        ((400, "invalid_request_error", "rate_limit"), stripe.RateLimitError, Unknown, Unknown),
        ((429, "invalid_request_error", "lock_timeout"), stripe.RateLimitError, Unknown, Unknown),
        (
            (409, "invalid_request_error", "idempotency_key_in_use"),
            stripe.APIError,
            Unknown,
            Unknown,
        ),
        ((400, "idempotency_error", None), stripe.IdempotencyError, Unknown, Unknown),
        ((500, "api_error", None), stripe.APIError, Unknown, Unknown),
        ((402, "card_error", "card_declined"), stripe.CardError, Declined, RefundRefused),
        ((402, "invalid_request_error", None), stripe.CardError, Declined, RefundRefused),
        (
            (400, "invalid_request_error", "x"),
            stripe.InvalidRequestError,
            OrderRefused,
            RefundRefused,
        ),
        ((401, "invalid_request_error", None), stripe.AuthenticationError, GatewayUnusable, None),
        ((403, "invalid_request_error", None), stripe.PermissionError, GatewayUnusable, None),
    ],
)
def test_an_error_is_to_the_adapter_what_it_is_to_the_official_client(
    told: tuple[int, str, str | None],
    error: type[stripe.StripeError],
    charge_is: type[object],
    refund_is: type[object] | None,
) -> None:
    status, kind, code = told
    refusal = status, {"error": {"type": kind, "code": code, "message": "no"}}
    answers = {f"POST /v1/{what}": refusal for what in ("payment_intents", "refunds")}
    with Listener(ANSWERS | answers) as listener, Desk(listener.url) as desk:
        with official(listener.url) as client, pytest.raises(error) as caught:
            charged(client, charge())
        assert type(caught.value) is error
        assert outcome(lambda: desk.asks.charge(charge())) is charge_is
        assert outcome(lambda: desk.asks.refund(refund("pi_1"))) is (refund_is or charge_is)


def outcome(ask: Callable[[], object]) -> type[object]:
    """The kind of what comes of asking."""
    try:
        return type(ask())
    except (GatewayUnusable, OrderRefused) as fault:
        return type(fault)
