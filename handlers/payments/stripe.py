"""A payment gateway that speaks as Stripe's API does (S6, S7, S12).

The id of a payment, or of a refund, is the idempotency key and stands in the metadata too: for a
day the gateway knows by the key what it did, and ever after it is found by the metadata. What is
sent under a key must be the same each time, so the business time, which is not, goes in a header.

A charge is withdrawn by using its key up: something that takes no money is made under it. What a
search does not find is no proof that nothing was charged, since it lags behind; that the key was
still free is one.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import count
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswerInTime

from domain.subscription import DeclineReason, GatewayReference, RefundFailure, UnknownReason
from handlers.faults import GatewayUnusable, InvalidInput, OrderRefused
from handlers.payments.deadline import pool_with_deadline
from handlers.payments.gateway import (
    Captured,
    ChargeOrder,
    ChargeOutcome,
    Declined,
    Refunded,
    RefundOrder,
    RefundOutcome,
    RefundRefused,
    Unknown,
)
from handlers.payments.reasons import decline_reason, refund_failure

__all__ = ["BUSINESS_TIME", "StripeGateway"]

BUSINESS_TIME = "Acta-Business-Time"
"""The header that tells for which instant something is asked."""

API_VERSION = "2026-10-28.endive"
"""The version of the API that is spoken, whatever an account at the gateway is set to."""

ATTEMPTS_MAX = 4
CONNECTIONS_MAX = 16
ANSWER_BYTES_MAX = 1024 * 1024
REFUNDS_PER_PAGE = 100

CHARGES_PATH = "/v1/payment_intents"
REFUNDS_PATH = "/v1/refunds"

KEY = re.compile(r"[!-~]+", re.ASCII)
"""What can be sent in a header."""

OK = 200
DECLINED = 402
BUSY = (409, 429)
TOO_MANY = "rate_limit"
"""A code that was told with 400 before it came with 429."""
NOT_FOR_ACTA = (401, 403)
FAULT_OF_GATEWAY = 500

Outcome = TypeVar("Outcome")


class StripeGateway:
    """Asks a gateway over HTTP; safe to use from several threads.

    Args:
        url: its address, without a path.
        key: the secret key with which Acta asks.
        timeout_seconds: how long to wait for a whole answer before it counts as unknown.

    Raises:
        InvalidInput: the address is none, the key is none, or others could read it on its way.
    """

    def __init__(self, url: str, key: str, *, timeout_seconds: float) -> None:
        if not KEY.fullmatch(key):
            # Found by whoever sends it, it would be told in clear.
            raise InvalidInput(
                "ACTA_GATEWAY_KEY is no key: it is empty, or has a space or a line break",
                remedy="Set it to the secret key of the gateway, and nothing before or behind it.",
            )
        try:
            in_clear = _goes_in_clear(url)
            self._pool = pool_with_deadline(
                url, timeout_seconds=timeout_seconds, connections_max=CONNECTIONS_MAX
            )
        except ValueError:
            raise InvalidInput(
                "ACTA_GATEWAY_URL is no address", remedy="Give one such as https://api.stripe.com"
            ) from None
        if in_clear:
            raise InvalidInput(
                "ACTA_GATEWAY_URL would have the secret key sent in clear",
                remedy="Give an address that begins with https://, or one of this machine such as"
                " http://127.0.0.1:8080.",
            )
        self._authorization = f"Bearer {key}"
        self._timeout_seconds = timeout_seconds

    def close(self) -> None:
        """Closes its connections."""
        self._pool.close()

    # ------------------------------------------------------------ charges

    def charge(self, order: ChargeOrder, *, again: bool = False) -> ChargeOutcome:
        """Takes the money of a charge, once, however often it is asked.

        Raises:
            GatewayUnusable: it refuses Acta itself.
            OrderRefused: it does not take this order, or contradicts it.
        """
        if order.token is None:
            return self.withdraw(order) if again else Declined(DeclineReason.NO_CARD)
        return self._patiently(lambda look_up: self._charge(order, look_up=look_up), again=again)

    def withdraw(self, order: ChargeOrder) -> ChargeOutcome:
        """Sees to it that a charge is not made any more, unless it was.

        Raises:
            GatewayUnusable: it refuses Acta itself.
            OrderRefused: it does not take this order, or contradicts it.
        """
        return self._patiently(lambda _: self._withdraw(order), again=True)

    def _charge(self, order: ChargeOrder, *, look_up: bool) -> ChargeOutcome:
        known = self._find_charge(order) if look_up else None
        if known is not None:
            return self._outcome(order, known)
        customer, _, card = (order.token or "").rpartition(":")
        asked = {
            **_amount(order),
            **({"customer": customer} if customer else {}),
            "payment_method": card,
            "confirm": "true",
            "off_session": "true",
            **_metadata(order),
        }
        return self._make_charge(order, asked)

    def _withdraw(self, order: ChargeOrder) -> ChargeOutcome:
        known = self._find_charge(order)
        if known is not None:
            return self._outcome(order, known)
        why = DeclineReason.NO_CARD if order.token is None else DeclineReason.OTHER
        asked = {**_amount(order), **_metadata(order), "metadata[withdrawn]": why.value}
        return self._make_charge(order, asked)

    def _make_charge(self, order: ChargeOrder, asked: Mapping[str, object]) -> ChargeOutcome:
        answer = self._ask("POST", CHARGES_PATH, order.at, asked, str(order.payment))
        if answer.status == OK:
            return self._outcome(order, answer.read(PaymentIntent))
        return _not_charged(answer)

    def _find_charge(self, order: ChargeOrder) -> "PaymentIntent | None":
        query = urlencode({"query": f"metadata['payment']:'{order.payment}'"})
        answer = self._ask("GET", f"{CHARGES_PATH}/search?{query}", order.at)
        if answer.status != OK:
            # Without a look, an old charge might be made anew.
            raise answer.unusable()
        found = answer.read(FoundCharges).data
        succeeded = [intent for intent in found if intent.status == "succeeded"]
        return next(iter([*succeeded, *found]), None)

    def _outcome(self, order: ChargeOrder, known: "PaymentIntent") -> ChargeOutcome:
        told = (known.amount, known.currency.upper())
        if told != (order.amount_minor, order.currency.value):
            raise OrderRefused(
                f"the gateway tells of another amount for the payment {order.payment}",
                remedy="Compare its books with acta billing, and ask whoever runs the gateway.",
            )
        match known.status:
            case "succeeded":
                return Captured(known.id)
            case "requires_payment_method" if known.metadata.withdrawn is None:
                problem = known.last_payment_error or ErrorOfGateway()
                return Declined(decline_reason(problem.code, problem.decline_code))
            case "canceled":
                return _given_up(known)
            case "processing":
                raise Undecided(UnknownReason.TIMEOUT)
            case (
                "requires_payment_method"
                | "requires_action"
                | "requires_confirmation"
                | "requires_capture"
            ):
                return self._give_up(order, known)
            case _:
                raise Undecided(UnknownReason.GATEWAY_FAULT)

    def _give_up(self, order: ChargeOrder, known: "PaymentIntent") -> Declined:
        """Nobody is there to do what it waits for; canceled, it can no longer take money."""
        answer = self._ask("POST", f"{CHARGES_PATH}/{known.id}/cancel", order.at, {})
        if answer.status == OK and answer.read(PaymentIntent).status == "canceled":
            return _given_up(known)
        # It went on meanwhile: the next look tells.
        raise Undecided(UnknownReason.GATEWAY_FAULT)

    # ------------------------------------------------------------ refunds

    def refund(self, order: RefundOrder, *, again: bool = False) -> RefundOutcome:
        """Gives money back, once, however often it is asked.

        Raises:
            GatewayUnusable: it refuses Acta itself.
            OrderRefused: it does not take this order, or contradicts it.
        """
        return self._patiently(lambda look_up: self._refund(order, look_up=look_up), again=again)

    def _refund(self, order: RefundOrder, *, look_up: bool) -> RefundOutcome:
        known = self._find_refund(order) if look_up else None
        if known is not None:
            return _refunded(order, known)
        asked = {
            "payment_intent": order.gateway_reference,
            "amount": order.amount_minor,
            "metadata[refund]": order.refund,
            "metadata[payment]": order.payment,
            "metadata[account]": order.account,
        }
        answer = self._ask("POST", REFUNDS_PATH, order.at, asked, str(order.refund))
        if answer.status == OK:
            return _refunded(order, answer.read(RefundOfGateway))
        problem = answer.error()
        if answer.status == DECLINED or problem.type == "invalid_request_error":
            return RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)
        raise answer.unusable()

    def _find_refund(self, order: RefundOrder) -> "RefundOfGateway | None":
        asked = {"payment_intent": order.gateway_reference, "limit": REFUNDS_PER_PAGE}
        while True:
            answer = self._ask("GET", f"{REFUNDS_PATH}?{urlencode(asked)}", order.at)
            if answer.status != OK:
                if answer.error().code == "resource_missing":
                    return None
                raise answer.unusable()
            found = answer.read(FoundRefunds)
            for known in found.data:
                if (known.metadata or {}).get("refund") == str(order.refund):
                    return known
            if not found.has_more or not found.data:
                return None
            asked["starting_after"] = found.data[-1].id

    # ------------------------------------------------------------ asking

    def _patiently(self, ask: Callable[[bool], Outcome], *, again: bool) -> Outcome | Unknown:
        """Asks anew for a short while; from the second time on it is looked up first."""
        attempts = Retrying(
            retry=retry_if_exception_type(Undecided),
            stop=stop_after_attempt(ATTEMPTS_MAX) | stop_after_delay(self._timeout_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        )
        number = count()
        try:
            return attempts(lambda: ask(again or next(number) > 0))
        except Undecided as undecided:
            return Unknown(undecided.reason)

    def _ask(
        self,
        method: str,
        path: str,
        at: datetime,
        fields: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> "Answer":
        headers = {
            "Authorization": self._authorization,
            "Stripe-Version": API_VERSION,
            BUSINESS_TIME: at.astimezone(UTC).isoformat(),
        }
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(fields)
        try:
            response = self._pool.urlopen(
                method, path, body, headers, redirect=False, preload_content=False
            )
            told = response.read(ANSWER_BYTES_MAX + 1)
        except NewConnectionError:  # a kind of timeout to urllib3, though nobody was waited for
            raise Undecided(UnknownReason.CONNECTION_LOST) from None
        except NoAnswerInTime:
            raise Undecided(UnknownReason.TIMEOUT) from None
        except HTTPError:
            raise Undecided(UnknownReason.CONNECTION_LOST) from None
        if len(told) > ANSWER_BYTES_MAX:
            # Closed, for its rest is nobody's answer.
            response.close()
            raise Undecided(UnknownReason.GATEWAY_FAULT)
        answer = Answer(response.status, told)
        if answer.is_busy:
            raise Undecided(UnknownReason.GATEWAY_FAULT)
        if answer.status in NOT_FOR_ACTA:
            raise GatewayUnusable(
                f"the gateway refuses Acta's key (HTTP {answer.status})",
                remedy="Set ACTA_GATEWAY_KEY to a key that may charge and refund.",
            )
        return answer


def _goes_in_clear(url: str) -> bool:
    """Whether what is sent there can be read on its way."""
    address = urlsplit(url)
    if address.scheme == "https" or address.hostname == "localhost":
        return False
    try:
        return not ip_address(address.hostname or "").is_loopback
    except ValueError:
        return True


def _amount(order: ChargeOrder) -> dict[str, object]:
    return {"amount": order.amount_minor, "currency": order.currency.value.lower()}


def _metadata(order: ChargeOrder) -> dict[str, object]:
    return {
        "metadata[payment]": order.payment,
        "metadata[account]": order.account,
        "metadata[attempt]": order.attempt,
    }


def _given_up(known: "PaymentIntent") -> Declined:
    return Declined(known.metadata.withdrawn or DeclineReason.CARD_REFUSED)


def _not_charged(answer: "Answer") -> Declined:
    problem = answer.error()
    if answer.status == DECLINED:
        return Declined(decline_reason(problem.code, problem.decline_code))
    if problem.param in ("payment_method", "customer"):
        # Whatever is wrong with one card, others are charged all the same.
        missing = problem.code == "resource_missing"
        return Declined(DeclineReason.NO_CARD if missing else DeclineReason.CARD_REFUSED)
    if problem.code in ("amount_too_small", "amount_too_large"):
        return Declined(DeclineReason.OTHER)
    raise answer.not_taken()


def _refunded(order: RefundOrder, known: "RefundOfGateway") -> Refunded | RefundRefused:
    if (known.amount, known.currency.upper()) != (order.amount_minor, order.currency.value):
        raise OrderRefused(
            f"the gateway tells of another amount for the refund {order.refund}",
            remedy="Compare its books with acta billing, and ask whoever runs the gateway.",
        )
    match known.status:
        case "succeeded":
            return Refunded(known.id)
        case "failed" | "canceled":
            return RefundRefused(refund_failure(known.failure_reason))
        case "pending" | "requires_action":
            raise Undecided(UnknownReason.TIMEOUT)
        case _:
            raise Undecided(UnknownReason.GATEWAY_FAULT)


# ---------------------------------------------------------------- what the gateway says


class Undecided(Exception):  # noqa: N818  an outcome, which callers answer
    """It was asked, and has not said what became of it."""

    def __init__(self, reason: UnknownReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Said(BaseModel):
    """A part of an answer; whatever else stands in it is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ErrorOfGateway(Said):
    """Why something was not done."""

    type: str = ""
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None


class ChargeMetadata(Said):
    """What Acta said of a charge when it asked.

    Attributes:
        withdrawn: why it is declined, where it was withdrawn and never asked for.
    """

    withdrawn: DeclineReason | None = None


class PaymentIntent(Said):
    """A charge."""

    id: GatewayReference
    status: str
    amount: int
    currency: str
    last_payment_error: ErrorOfGateway | None = None
    metadata: ChargeMetadata = ChargeMetadata()


class FoundCharges(Said):
    """The charges that were looked for."""

    data: tuple[PaymentIntent, ...]


class RefundOfGateway(Said):
    """A refund; somebody else's may lack a status and metadata."""

    id: GatewayReference
    status: str | None
    amount: int
    currency: str
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None


class FoundRefunds(Said):
    """The refunds of a charge."""

    data: tuple[RefundOfGateway, ...]
    has_more: bool = False


class Refusal(Said):
    """An answer that is none of these."""

    error: ErrorOfGateway


ReadT = TypeVar("ReadT", bound=Said)


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    @property
    def is_busy(self) -> bool:
        """Whether it says nothing of what was asked, and may another time."""
        if self.status >= FAULT_OF_GATEWAY or self.status in BUSY:
            return True
        return self.status != OK and self._code() == TOO_MANY

    def read(self, what: type[ReadT]) -> ReadT:
        """What was done.

        Raises:
            Undecided: it says nothing that could be read.
        """
        try:
            return what.model_validate_json(self.body)
        except ValidationError:
            raise Undecided(UnknownReason.GATEWAY_FAULT) from None

    def error(self) -> ErrorOfGateway:
        """Why something was not done.

        Raises:
            Undecided: something else goes on under the key, or once did.
            GatewayUnusable: it is no answer of such a gateway.
        """
        try:
            problem = Refusal.model_validate_json(self.body).error
        except ValidationError:
            raise self.unusable() from None
        if problem.type == "idempotency_error":
            raise Undecided(UnknownReason.GATEWAY_FAULT)
        return problem

    def not_taken(self) -> OrderRefused | GatewayUnusable:
        """Says that one order is not taken; or no order, where that is no word of a gateway."""
        if self.error().type != "invalid_request_error":
            return self.unusable()
        return OrderRefused(
            f"the gateway does not take this order ({self._told()})",
            remedy="Ask whoever runs the gateway what it lacks.",
        )

    def unusable(self) -> GatewayUnusable:
        """Says that the gateway and Acta do not understand each other."""
        return GatewayUnusable(
            f"the gateway does not take what Acta asks ({self._told()})",
            remedy="See that ACTA_GATEWAY_URL names a gateway that speaks as Stripe does.",
        )

    def _told(self) -> str:
        code = self._code()
        return f"HTTP {self.status}, {code}" if code else f"HTTP {self.status}"

    def _code(self) -> str:
        try:
            code = Refusal.model_validate_json(self.body).error.code or ""
        except ValidationError:
            return ""
        return code if re.fullmatch("[a-z_]{1,60}", code) else ""
