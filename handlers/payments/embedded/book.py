"""The embedded gateway's own book: what it charged and gave back, in a file that outlives it.

A line of JSON for each thing that happened, on disk before it is answered. A line that a kill broke
off is what was never answered, and is cut away.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from handlers.faults import FolderUnusable

__all__ = ["Book", "Charge", "Refund"]


@dataclass
class Charge:
    """A charge, under the name that Stripe gives it: a payment intent.

    Attributes:
        key: the idempotency key under which it was asked for.
        fingerprint: digest of all that was asked for under that key.
        metadata: payment, account, attempt and withdrawn, as they were told; at, the business time.
        code: why it was declined, as ``decline_code``.
        refunds_become: status of its refunds, which depends on the card.
    """

    id: str
    key: str
    fingerprint: str
    amount: int
    currency: str
    status: str
    created: int
    metadata: dict[str, str]
    code: str | None = None
    refunds_become: str = "succeeded"
    refund_failure: str | None = None


@dataclass
class Refund:
    """Money that goes back.

    Attributes:
        charge: id of what was charged.
        key: the idempotency key under which it was asked for.
        fingerprint: digest of all that was asked for under that key.
        metadata: refund, payment and account, as they were told; at, the business time.
        failure: why it failed, as ``failure_reason``.
    """

    id: str
    charge: str
    key: str
    fingerprint: str
    amount: int
    currency: str
    status: str
    created: int
    metadata: dict[str, str]
    failure: str | None = None


@dataclass
class Pages:
    """What the book says, by the ways in which it is looked up."""

    charges: dict[str, Charge] = field(default_factory=dict[str, Charge])
    refunds: dict[str, Refund] = field(default_factory=dict[str, Refund])
    by_key: dict[str, Charge | Refund] = field(default_factory=dict[str, Charge | Refund])
    by_payment: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    refunds_of: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    undelivered: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def turn(self, line: dict[str, Any]) -> None:
        """Takes in a line."""
        match line:
            case {"charge": told}:
                self._charge(Charge(**told))
            case {"refund": told}:
                self._refund(Refund(**told))
            case {"event": told}:
                self.undelivered[told["id"]] = told
            case {"delivered": event_id}:
                self.undelivered.pop(event_id, None)
            case _:
                raise ValueError(line)

    def _charge(self, charge: Charge) -> None:
        if charge.id not in self.charges:
            payment = charge.metadata.get("payment", "")
            self.by_payment.setdefault(payment, []).append(charge.id)
        self.charges[charge.id] = self.by_key[charge.key] = charge

    def _refund(self, refund: Refund) -> None:
        if refund.id not in self.refunds:
            self.refunds_of.setdefault(refund.charge, []).append(refund.id)
        self.refunds[refund.id] = self.by_key[refund.key] = refund


class Book:
    """The book of one gateway; nobody else may write in it meanwhile.

    Args:
        path: its file, which is made where there is none.

    Raises:
        FolderUnusable: it cannot be read or written, is another's, or another gateway has it.
    """

    def __init__(self, path: Path) -> None:
        self.pages = Pages()
        self._unwritten: list[bytes] = []
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise FolderUnusable(
                f"{path} cannot be opened: {error.strerror}", remedy="Name another book."
            ) from None
        try:
            self._take(path)
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Writes what is not written yet, and lets go of the file."""
        self.flush()
        os.close(self._file)

    def note(self, entry: Charge | Refund) -> None:
        """Notes something that happened, or came to stand otherwise."""
        kind = "charge" if isinstance(entry, Charge) else "refund"
        self._add({kind: asdict(entry)})

    def note_event(self, event: dict[str, Any]) -> None:
        """Notes what has to be told by a webhook."""
        self._add({"event": event})

    def note_delivered(self, event_id: str) -> None:
        """Notes that it has been told."""
        self._add({"delivered": event_id})

    def flush(self) -> None:
        """Sees that all of it is on disk."""
        if self._unwritten:
            lines, self._unwritten = b"".join(self._unwritten), []
            while lines:
                lines = lines[os.write(self._file, lines) :]
            os.fsync(self._file)

    def refunded_minor(self, charge: Charge) -> int:
        """How much of a charge went back, or is about to."""
        refunds = (self.pages.refunds[each] for each in self.pages.refunds_of.get(charge.id, ()))
        return sum(refund.amount for refund in refunds if refund.status != "failed")

    def _add(self, line: dict[str, Any]) -> None:
        self.pages.turn(line)
        self._unwritten.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def _take(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderUnusable(
                f"another gateway has the book {path}", remedy="End it, or name another book."
            ) from None
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)
        try:
            for line in text[:whole].splitlines():
                self.pages.turn(json.loads(line))
        except (ValueError, TypeError):
            raise FolderUnusable(
                f"{path} is no book of such a gateway", remedy="Name another book."
            ) from None
