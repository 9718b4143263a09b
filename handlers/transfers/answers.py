"""What became of each line of a statement."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from domain.money import Currency

__all__ = ["TransferAnswer", "TransferFault", "TransferOutcome"]


class TransferOutcome(StrEnum):
    """What became of a line."""

    CAPTURED = "captured"
    RECORDED = "already_recorded"
    DOUBLED = "doubled"
    FOREIGN = "foreign"
    UNDERPAID = "underpaid"
    OVERPAID = "overpaid"
    UNMATCHED = "unmatched"
    REFUSED = "refused"
    FAULTY = "faulty"

    @property
    def on_record(self) -> bool:
        """Whether the ledger knows the payment."""
        return self in (TransferOutcome.CAPTURED, TransferOutcome.RECORDED)


@dataclass(frozen=True, slots=True)
class TransferFault:
    """Why a transfer is not captured, and what mends it; never a personal value.

    Attributes:
        rule: the rule that stands in the way, if one does.
        column: the column at fault, if one is.
    """

    message: str
    remedy: str
    rule: str | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """The answer to a line.

    Attributes:
        row: its number as a spreadsheet program shows it, from 1.
        reference: what the bank calls the transfer; empty where that cannot be read.
        account: who pays, as account:ID or plan:ID.
        payment: id of the payment, where it is on record.
        period_from: first day that it pays for.
        period_to: last day that it pays for.
        position: where the payment stands in the log; None where it was only tried.
        same_as: the row of an equal line above, of which this is the answer.
        faults: what stands in the way.
    """

    row: int
    outcome: TransferOutcome
    reference: str
    account: str | None = None
    payment: UUID | None = None
    amount_minor: int | None = None
    currency: Currency | None = None
    period_from: date | None = None
    period_to: date | None = None
    position: int | None = None
    same_as: int | None = None
    faults: tuple[TransferFault, ...] = ()
