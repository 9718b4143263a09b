"""What the embedded gateway answers: the part of Stripe's API that Acta asks, and its own book.

Beside it: ``GET /book`` lists every charge and refund; ``GET``, ``POST`` and ``DELETE /faults``
list the faults that are ordered, order one more (``order=answer_lost,attempt=1``) and take all
away; ``POST /webhooks/release`` sends the webhooks that are held back.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from handlers.faults import InvalidInput
from handlers.payments.embedded.book import Book, Charge, Refund
from handlers.payments.embedded.cards import Card, card_of
from handlers.payments.embedded.ordered_faults import (
    AFTERWARDS,
    INSTEAD,
    Asked,
    FaultKind,
    Ordered,
    OrderedFault,
)
from handlers.payments.embedded.webhooks import Webhooks

__all__ = ["Api", "Reply", "Request"]

AMOUNT_MAX = 99_999_999
PAGE_MAX = 100
METADATA_MAX = 50
TEXT_MAX = 500
LIKE_A_CARD_NUMBER = re.compile(r"[0-9](?:[ _-]*[0-9]){11,18}")
SEARCH = re.compile(r"metadata\['payment'\]:'([^']*)'")
CHARGE_FIELDS = {"amount", "currency", "customer", "payment_method", "confirm", "off_session"}
CONFIRMATIONS = {("true", "true"), ("false", None)}
"""What may be said of ``confirm`` and ``off_session``: nobody is there who could confirm it."""
REFUND_FIELDS = {"payment_intent", "amount"}
MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "processing_error": "An error occurred while processing your card.",
}

Fields: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What came in.

    Attributes:
        target: path and query.
        headers: by lower-case name.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def at(self) -> datetime | None:
        """The business time for which it is asked; None where that is not told."""
        told = self.headers.get("acta-business-time")
        if told is None:
            return None
        try:
            at = datetime.fromisoformat(told)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise Refused("parameter_invalid", "the business time is no instant with an offset")
        return at


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back; a status of 0 closes the connection, and one of 1 leaves it hanging."""

    status: int
    body: Any

    @property
    def lost(self) -> bool:
        """Whether the connection is closed instead."""
        return self.status == LOST.status

    @property
    def hangs(self) -> bool:
        """Whether nothing ever goes back."""
        return self.status == HANGING.status


LOST = Reply(0, None)
HANGING = Reply(1, None)


class Refused(Exception):  # noqa: N818  named for what it is
    """An answer that says no, as Stripe would."""

    def __init__(
        self,
        code: str | None,
        message: str,
        *,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        kind: str = "invalid_request_error",
        **more: Any,
    ) -> None:
        super().__init__(message)
        told = {"type": kind, "code": code, "message": message, **more}
        self.reply = Reply(status, {"error": {k: v for k, v in told.items() if v is not None}})


FAULTY: dict[FaultKind, Reply] = {
    FaultKind.HANG: HANGING,
    FaultKind.HANG_AFTER: HANGING,
    FaultKind.CONNECTION_LOST: LOST,
    FaultKind.ANSWER_LOST: LOST,
    **{
        kind: Refused(
            None, "as ordered", status=HTTPStatus.INTERNAL_SERVER_ERROR, kind="api_error"
        ).reply
        for kind in (FaultKind.ERROR, FaultKind.ERROR_AFTER)
    },
    FaultKind.BUSY: Refused(
        "rate_limit", "too many requests", status=HTTPStatus.TOO_MANY_REQUESTS
    ).reply,
    FaultKind.CONFLICT_AFTER: Refused(
        "idempotency_key_in_use", "the key is in use", status=HTTPStatus.CONFLICT
    ).reply,
}


class Api:
    """Answers requests; what it did is in the book, and not yet on disk.

    Args:
        book: what was charged and given back.
        key: whoever asks has to bring it.
        faults: those that are ordered.
        webhooks: tells others; None where nobody is told.
        now: the wall clock, for what is asked without a business time.
    """

    def __init__(
        self,
        book: Book,
        key: str,
        faults: Ordered,
        webhooks: Webhooks | None,
        now: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._authorization = f"Bearer {key}".encode()
        self._faults = faults
        self._webhooks = webhooks
        self._now = now

    def answer(self, request: Request) -> Reply:
        """The answer to a request."""
        try:
            self._let_in(request)
            return self._answer(request)
        except Refused as refused:
            return refused.reply

    def _let_in(self, request: Request) -> None:
        brought = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(brought, self._authorization):
            raise Refused(None, "Invalid API Key provided", status=HTTPStatus.UNAUTHORIZED)

    def _answer(self, request: Request) -> Reply:
        target = urlsplit(request.target)
        match request.method, target.path.strip("/").split("/"):
            case "POST", ["v1", "payment_intents"]:
                return self._charge(request)
            case "GET", ["v1", "payment_intents", "search"]:
                return self._search(request, _query(target.query))
            case "POST", ["v1", "payment_intents", charge_id, "cancel"]:
                return self._cancel(request, charge_id)
            case "POST", ["v1", "refunds"]:
                return self._refund(request)
            case "GET", ["v1", "refunds"]:
                return self._refunds(request, _query(target.query))
            case "GET", ["book"]:
                return self._whole_book()
            case "GET" | "POST" | "DELETE", ["faults"]:
                return self._order(request)
            case "POST", ["webhooks", "release"]:
                return self._release()
            case _:
                raise Refused(
                    None,
                    f"Unrecognized request URL ({request.method})",
                    status=HTTPStatus.NOT_FOUND,
                )

    # ------------------------------------------------------------ charges

    def _charge(self, request: Request) -> Reply:
        fields, metadata = _form(request.body, CHARGE_FIELDS)
        asked = Asked(metadata, request.at)
        if (fault := self._faults.first(INSTEAD, asked)) is not None:
            return FAULTY[fault.kind]
        key, fingerprint = _idempotency(request)
        known = self._known(key, fingerprint)
        if isinstance(known, Charge):
            return _charged(self._settled(known, asked.at))
        charge = self._new_charge(fields, asked, key, fingerprint)
        self._book.note(charge)
        self._tell(charge, asked)
        return self._afterwards(asked) or _charged(charge)

    def _new_charge(self, fields: Fields, asked: Asked, key: str, fingerprint: str) -> Charge:
        confirmed = fields.get("confirm", "false")
        if (confirmed, fields.get("off_session")) not in CONFIRMATIONS:
            raise Refused("parameter_invalid", "only off-session charges are confirmed")
        token = fields.get("payment_method")
        card = None if token is None else card_of(token)
        if card is None and (token is not None or confirmed == "true"):
            raise Refused(
                "resource_missing", "No such PaymentMethod", param="payment_method"
            )  # fmt: skip
        if not fields.get("customer", "cus_").startswith("cus_"):
            raise Refused("resource_missing", "No such customer", param="customer")
        status, code = self._becomes(card, asked, confirmed=confirmed == "true")
        card = card or Card()
        return Charge(
            id=f"pi_{_hex(key)}",
            key=key,
            fingerprint=fingerprint,
            amount=_amount(fields),
            currency=_currency(fields),
            status=status,
            created=self._created(asked.at),
            metadata=_with_time(asked),
            code=code,
            refunds_become=card.refund_status,
            refund_failure=card.refund_failure,
        )

    def _becomes(
        self, card: Card | None, asked: Asked, *, confirmed: bool
    ) -> tuple[str, str | None]:
        """The status of a new charge, and why it is declined, if it is."""
        if card is None:
            return "requires_payment_method", None
        if not confirmed:
            return "requires_confirmation", None
        attempt = asked.metadata.get("attempt", "1")
        code = card.decline_of(int(attempt) if attempt.isdecimal() else 1)
        if (fault := self._faults.first({FaultKind.DECLINE}, asked)) is not None:
            code = fault.code
        return card.status if code is None else "requires_payment_method", code

    def _search(self, request: Request, query: Fields) -> Reply:
        match = SEARCH.fullmatch(query.get("query", ""))
        if match is None:
            raise Refused("parameter_invalid", "charges are searched by metadata['payment']")
        pages = self._book.pages
        found = [pages.charges[each] for each in pages.by_payment.get(match[1], ())]
        metadata = found[0].metadata if found else {"payment": match[1]}
        asked = Asked(metadata, request.at)
        if (fault := self._faults.first(INSTEAD, asked)) is not None:
            return FAULTY[fault.kind]
        if self._faults.first({FaultKind.SEARCH_LATE}, asked) is not None:
            found = []
        data = [_intent(self._settled(charge, asked.at)) for charge in found]
        return _ok(
            {
                "object": "search_result",
                "url": "/v1/payment_intents/search",
                "data": data,
                "has_more": False,
                "next_page": None,
            }
        )

    def _cancel(self, request: Request, charge_id: str) -> Reply:
        charge = self._book.pages.charges.get(charge_id)
        if charge is None:
            raise _missing("payment_intent", param="intent")
        asked = Asked(charge.metadata, request.at)
        if (fault := self._faults.first(INSTEAD, asked)) is not None:
            return FAULTY[fault.kind]
        if charge.status in ("succeeded", "processing", "canceled"):
            raise Refused(
                "payment_intent_unexpected_state", f"it is {charge.status}, and stays so"
            )  # fmt: skip
        charge = replace(charge, status="canceled")
        self._book.note(charge)
        self._tell(charge, asked)
        return self._afterwards(asked) or _ok(_intent(charge))

    def _settled(self, charge: Charge, at: datetime | None) -> Charge:
        """What was pending is done once it is asked about for a later instant."""
        if charge.status != "processing" or not _is_later(at, charge.metadata):
            return charge
        charge = replace(charge, status="succeeded")
        self._book.note(charge)
        self._tell(charge, Asked(charge.metadata, at))
        return charge

    # ------------------------------------------------------------ refunds

    def _refund(self, request: Request) -> Reply:
        fields, metadata = _form(request.body, REFUND_FIELDS)
        asked = Asked(metadata, request.at)
        if (fault := self._faults.first(INSTEAD, asked)) is not None:
            return FAULTY[fault.kind]
        key, fingerprint = _idempotency(request)
        known = self._known(key, fingerprint)
        if isinstance(known, Refund):
            return _ok(_refund_of(self._refund_settled(known, asked.at)))
        refund = self._new_refund(fields, asked, key, fingerprint)
        self._book.note(refund)
        self._tell(refund, asked)
        return self._afterwards(asked) or _ok(_refund_of(refund))

    def _new_refund(self, fields: Fields, asked: Asked, key: str, fingerprint: str) -> Refund:
        charge = self._book.pages.charges.get(fields.get("payment_intent", ""))
        if charge is None:
            raise _missing("payment_intent")
        if charge.status != "succeeded":
            raise Refused(
                "payment_intent_unexpected_state", "nothing was charged that could go back"
            )  # fmt: skip
        amount = _amount(fields)
        left = charge.amount - self._book.refunded_minor(charge)
        if amount > left:
            code = "charge_already_refunded" if left == 0 else "amount_too_large"
            raise Refused(
                code, "Refund amount is greater than what is left of the charge", param="amount"
            )  # fmt: skip
        status, failure = charge.refunds_become, charge.refund_failure
        if self._faults.first({FaultKind.REFUND_FAILS}, asked) is not None:
            status, failure = "failed", "unknown"
        return Refund(
            id=f"re_{_hex(key)}",
            charge=charge.id,
            key=key,
            fingerprint=fingerprint,
            amount=amount,
            currency=charge.currency,
            status=status,
            created=self._created(asked.at),
            metadata=_with_time(asked),
            failure=failure if status == "failed" else None,
        )

    def _refunds(self, request: Request, query: Fields) -> Reply:
        pages = self._book.pages
        charge = pages.charges.get(query.get("payment_intent", ""))
        if charge is None:
            raise _missing("payment_intent")
        fault = self._faults.first(INSTEAD, Asked(charge.metadata, request.at))
        if fault is not None:
            return FAULTY[fault.kind]
        newest_first = pages.refunds_of.get(charge.id, [])[::-1]
        start, limit = query.get("starting_after"), query.get("limit", "10")
        if start is not None and start in newest_first:
            newest_first = newest_first[newest_first.index(start) + 1 :]
        if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
            raise Refused("parameter_invalid", "limit lies between 1 and 100", param="limit")
        page = [pages.refunds[each] for each in newest_first[: int(limit)]]
        data = [_refund_of(self._refund_settled(refund, request.at)) for refund in page]
        more = len(newest_first) > len(page)
        return _ok({"object": "list", "url": "/v1/refunds", "data": data, "has_more": more})

    def _refund_settled(self, refund: Refund, at: datetime | None) -> Refund:
        if refund.status != "pending" or not _is_later(at, refund.metadata):
            return refund
        refund = replace(refund, status="succeeded")
        self._book.note(refund)
        self._tell(refund, Asked(refund.metadata, at), settled=True)
        return refund

    # ------------------------------------------------------------ for whoever tries things

    def _whole_book(self) -> Reply:
        pages = self._book.pages
        charges = [
            {**_intent(charge), "amount_refunded": self._book.refunded_minor(charge)}
            for charge in pages.charges.values()
        ]
        refunds = [_refund_of(refund) for refund in pages.refunds.values()]
        return _ok({"charges": charges, "refunds": refunds})

    def _order(self, request: Request) -> Reply:
        if request.method == "DELETE":
            self._faults.faults.clear()
        elif request.method == "POST":
            try:
                order = dict(parse_qsl(request.body.decode())).get("order", "")
                self._faults.faults.append(OrderedFault.parse(order))
            except (InvalidInput, UnicodeDecodeError) as error:
                raise Refused("parameter_invalid", str(error), param="order") from None
        faults = [fault.model_dump(mode="json") for fault in self._faults.faults]
        return _ok({"faults": faults})

    def _release(self) -> Reply:
        return _ok({"released": 0 if self._webhooks is None else self._webhooks.release()})

    # ------------------------------------------------------------ what several of them do

    def _known(self, key: str, fingerprint: str) -> Charge | Refund | None:
        known = self._book.pages.by_key.get(key)
        if known is not None and known.fingerprint != fingerprint:
            raise Refused(
                None,
                "Keys for idempotent requests can only be used with the same parameters",
                kind="idempotency_error",
            )
        return known

    def _afterwards(self, asked: Asked) -> Reply | None:
        fault = self._faults.first(AFTERWARDS, asked)
        return None if fault is None else FAULTY[fault.kind]

    def _created(self, at: datetime | None) -> int:
        return int((at or self._now()).timestamp())

    def _tell(self, entry: Charge | Refund, asked: Asked, *, settled: bool = False) -> None:
        if self._webhooks is None:
            return
        event = _event(entry, self._created(asked.at), settled=settled)
        if event is None or self._faults.first({FaultKind.WEBHOOK_MISSING}, asked) is not None:
            return
        self._book.note_event(event)
        late = self._faults.first({FaultKind.WEBHOOK_LATE}, asked) is not None
        reordered = self._faults.first({FaultKind.WEBHOOK_REORDERED}, asked) is not None
        twice = self._faults.first({FaultKind.WEBHOOK_TWICE}, asked) is not None
        self._webhooks.offer(event, held=late, behind_next=reordered, times=2 if twice else 1)


# ---------------------------------------------------------------- reading


def _query(text: str) -> Fields:
    return dict(parse_qsl(text, keep_blank_values=True))


def _form(body: bytes, known: set[str]) -> tuple[Fields, Fields]:
    """The fields of a form, and the metadata among them; nothing that looks like a card number."""
    try:
        given = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)))
    except ValueError:
        raise Refused("parameter_invalid", "the request is no form") from None
    fields: Fields = {}
    metadata: Fields = {}
    for name, value in given.items():
        # An id, such as of a charge or in the metadata, may have as many digits in a row.
        may_hold = name in known - {"payment_intent"}
        looked_at = LIKE_A_CARD_NUMBER.search if may_hold else LIKE_A_CARD_NUMBER.fullmatch
        if looked_at(value):
            raise Refused(
                "card_number_refused",
                "the number of a card is taken nowhere here; tell a payment method by its id",
            )
        if len(value) > TEXT_MAX:
            raise Refused("parameter_invalid", "a value is too long")
        if (inner := re.fullmatch(r"metadata\[([a-z_]{1,40})\]", name)) is not None:
            metadata[inner[1]] = value
        elif name in known:
            fields[name] = value
        else:
            raise Refused("parameter_unknown", "Received unknown parameter")
    if len(metadata) > METADATA_MAX:
        raise Refused("parameter_invalid", "there is too much metadata")
    return fields, metadata


def _missing(what: str, *, param: str | None = None) -> Refused:
    return Refused(
        "resource_missing", f"No such {what}", status=HTTPStatus.NOT_FOUND, param=param or what
    )  # fmt: skip


def _idempotency(request: Request) -> tuple[str, str]:
    key = request.headers.get("idempotency-key", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{8,255}", key):
        raise Refused("parameter_missing", "an Idempotency-Key is needed")
    return key, hashlib.sha256(request.target.encode() + b"\n" + request.body).hexdigest()


def _amount(fields: Fields) -> int:
    text = fields.get("amount", "")
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise Refused("parameter_invalid_integer", "Invalid positive integer", param="amount")
    if int(text) > AMOUNT_MAX:
        raise Refused("amount_too_large", "Amount must be no more than 99,999,999", param="amount")
    return int(text)


def _currency(fields: Fields) -> str:
    text = fields.get("currency", "")
    if not re.fullmatch("[a-z]{3}", text):
        raise Refused("parameter_invalid", "Invalid currency", param="currency")
    return text


def _is_later(at: datetime | None, metadata: Fields) -> bool:
    asked_first = metadata.get("at")
    return asked_first is None or at is None or at > datetime.fromisoformat(asked_first)


# ---------------------------------------------------------------- telling


def _ok(body: Any) -> Reply:
    return Reply(HTTPStatus.OK, body)


def _charged(charge: Charge) -> Reply:
    if charge.status != "requires_payment_method" or charge.code is None:
        return _ok(_intent(charge))
    error = {**_why(charge), "payment_intent": _intent(charge)}
    return Reply(HTTPStatus.PAYMENT_REQUIRED, {"error": error})


def _intent(charge: Charge) -> dict[str, Any]:
    return {
        "id": charge.id,
        "object": "payment_intent",
        "amount": charge.amount,
        "amount_received": charge.amount if charge.status == "succeeded" else 0,
        "currency": charge.currency,
        "status": charge.status,
        "metadata": charge.metadata,
        "created": charge.created,
        "livemode": False,
        "last_payment_error": None if charge.code is None else _why(charge),
    }


def _why(charge: Charge) -> dict[str, str]:
    """Some codes stand for themselves, as with Stripe, and the others are those of a card."""
    decline_code = charge.code or ""
    itself = decline_code in ("expired_card", "processing_error", "authentication_required")
    return {
        "type": "card_error",
        "code": decline_code if itself else "card_declined",
        "decline_code": decline_code,
        "message": MESSAGES.get(decline_code, "Your card was declined."),
    }


def _refund_of(refund: Refund) -> dict[str, Any]:
    told = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "payment_intent": refund.charge,
        "metadata": refund.metadata,
        "created": refund.created,
    }
    return told if refund.failure is None else {**told, "failure_reason": refund.failure}


def _event(entry: Charge | Refund, created: int, *, settled: bool) -> dict[str, Any] | None:
    """What a webhook tells of; None where nothing has come of it yet."""
    match entry:
        case Charge(status="succeeded"):
            told, kind = _intent(entry), "payment_intent.succeeded"
        case Charge(status="requires_payment_method", code=str()):
            told, kind = _intent(entry), "payment_intent.payment_failed"
        case Charge(status="canceled"):
            told, kind = _intent(entry), "payment_intent.canceled"
        case Refund(status="succeeded"):
            told, kind = _refund_of(entry), "refund.updated" if settled else "refund.created"
        case Refund(status="failed"):
            told, kind = _refund_of(entry), "refund.failed"
        case _:
            return None
    return {
        "id": f"evt_{_hex(f'{entry.id} {entry.status}')}",
        "object": "event",
        "type": kind,
        "created": created,
        "livemode": False,
        "pending_webhooks": 1,
        "data": {"object": told},
    }


def _with_time(asked: Asked) -> dict[str, str]:
    """A charge asked for again has another business time, so that is no part of the request."""
    at = {} if asked.at is None else {"at": asked.at.isoformat()}
    return {**asked.metadata, **at}


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
