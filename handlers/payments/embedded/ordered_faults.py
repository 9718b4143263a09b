"""Faults to order: what the embedded gateway does wrong, and when.

Whether a fault happens follows from what is asked for alone (which payment, account, try, instant),
never from how often or in which order: whoever asks again, or plays the same year twice, meets the
same faults.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PositiveInt,
    ValidationError,
)

from handlers.faults import InvalidInput

__all__ = ["Asked", "FaultKind", "Ordered", "OrderedFault"]


class FaultKind(StrEnum):
    """What goes wrong."""

    DECLINE = "decline"
    """The charge is declined, whatever its card."""
    REFUND_FAILS = "refund_fails"
    """The refund fails, whatever its card."""
    HANG = "hang"
    """Nothing is done, and nothing answered; nor is a question about it."""
    CONNECTION_LOST = "connection_lost"
    """Nothing is done, and the connection is closed; so it is for a question about it."""
    ERROR = "error"
    """Nothing is done, and 500 is answered; so it is to a question about it."""
    BUSY = "busy"
    """Nothing is done, and 429 is answered; so it is to a question about it."""
    HANG_AFTER = "hang_after"
    """It is done, and not answered; who asks again is told."""
    ANSWER_LOST = "answer_lost"
    """It is done, and the connection is closed without an answer; who asks again is told."""
    ERROR_AFTER = "error_after"
    """It is done, and 500 is answered; who asks again is told."""
    CONFLICT_AFTER = "conflict_after"
    """It is done, and 409 is answered, as if another were still at it; who asks again is told."""
    SEARCH_LATE = "search_late"
    """It is done and answered, and a search does not find it yet."""
    WEBHOOK_MISSING = "webhook_missing"
    """It is done and answered, and no webhook is ever sent of it."""
    WEBHOOK_TWICE = "webhook_twice"
    """Its webhook is sent twice."""
    WEBHOOK_LATE = "webhook_late"
    """Its webhook is held back until ``POST /webhooks/release``."""
    WEBHOOK_REORDERED = "webhook_reordered"
    """Its webhook is sent after the next one."""


INSTEAD = frozenset({FaultKind.HANG, FaultKind.CONNECTION_LOST, FaultKind.ERROR, FaultKind.BUSY})
AFTERWARDS = frozenset(
    {
        FaultKind.HANG_AFTER,
        FaultKind.ANSWER_LOST,
        FaultKind.ERROR_AFTER,
        FaultKind.CONFLICT_AFTER,
    }
)


# Read by pydantic alone, 2026 would be so many seconds after 1970.
Instant = Annotated[AwareDatetime, BeforeValidator(datetime.fromisoformat)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about.

    Attributes:
        metadata: of the charge or refund: payment, account, attempt, refund.
        at: the business time for which it is asked; None where that is not told.
    """

    metadata: Mapping[str, str]
    at: datetime | None = None

    @property
    def subject(self) -> str:
        """Id of the refund, or of the payment."""
        return self.metadata.get("refund") or self.metadata.get("payment", "")


class OrderedFault(BaseModel):
    """A fault, and what it happens to: everything, unless that is narrowed down.

    Attributes:
        account: of this account alone, as account:ID or plan:ID.
        payment: of this payment alone.
        refund: of this refund alone.
        attempt: of this try for a period alone.
        since: asked for this instant or later.
        until: asked for an earlier instant than this.
        one_in: of one payment or refund in so many, by their ids.
        code: why a charge is declined, as ``decline_code``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    account: str | None = None
    payment: str | None = None
    refund: str | None = None
    attempt: PositiveInt | None = None
    since: Instant | None = None
    until: Instant | None = None
    one_in: PositiveInt | None = None
    code: str = "generic_decline"

    @classmethod
    def parse(cls, text: str) -> "OrderedFault":
        """Reads an order such as ``answer_lost,attempt=1,since=2026-03-01T00:00:00-03:00``.

        Raises:
            InvalidInput: it is none.
        """
        kind, *parts = text.split(",")
        given = {name: value for name, _, value in (part.partition("=") for part in parts)}
        try:
            return cls.model_validate({**given, "kind": kind})
        except ValidationError:
            names = ", ".join(name for name in cls.model_fields if name != "kind")
            raise InvalidInput(
                f"no such fault can be ordered: {text}",
                remedy=f"Name one of {', '.join(FaultKind)}, and what narrows it down as"
                f" ,NAME=VALUE: {names}. An instant has its offset, such as"
                " 2026-03-01T09:00:00-03:00.",
            ) from None

    def meets(self, asked: Asked) -> bool:
        """Whether it happens to what is asked for."""
        wanted = {
            "account": self.account,
            "payment": self.payment,
            "refund": self.refund,
            "attempt": None if self.attempt is None else str(self.attempt),
        }
        if any(
            value is not None and asked.metadata.get(name) != value
            for name, value in wanted.items()
        ):
            return False
        if self.since is not None and (asked.at is None or asked.at < self.since):
            return False
        if self.until is not None and (asked.at is None or asked.at >= self.until):
            return False
        return self.one_in is None or zlib.crc32(asked.subject.encode()) % self.one_in == 0


class Ordered:
    """The faults that are ordered at present."""

    def __init__(self, faults: Iterable[OrderedFault] = ()) -> None:
        self.faults = list(faults)

    def first(self, kinds: Iterable[FaultKind], asked: Asked) -> OrderedFault | None:
        """The first of these kinds that happens to what is asked for."""
        if not self.faults:
            return None
        return next((f for f in self.faults if f.kind in kinds and f.meets(asked)), None)
