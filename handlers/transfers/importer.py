"""Importing a bank's statement: every line has its answer, and no transfer is captured twice (S6).

A payment's id is made from what the bank says of the transfer, under a key, and so is that of its
command: imported again, after a crash or by two people at once, it is the same payment. What it
pays for follows from its own day, whenever it is imported (S9).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.actor import Actor
from domain.authority import refuse_unless_may_give
from domain.calendar import start_of_day
from domain.money import format_money
from domain.refusal import Refused
from domain.streams import paid_by
from domain.subscription import CapturePayment, PaymentMeans, Subscription, next_payment
from handlers.faults import Fault
from handlers.ledger import Ledger
from handlers.store.event_store import EventStore
from handlers.transfers.answers import TransferAnswer, TransferFault, TransferOutcome
from handlers.transfers.books import Books, Entry, Recording, Rehearsing
from handlers.transfers.payers import Payers
from handlers.transfers.statement import Statement, StatementLine, Transfer

__all__ = ["StatementToImport", "TransferImporter"]

OLDEST_DAYS = 366
"""What lies further back is no recent statement, but a year that was mistyped."""


@dataclass(frozen=True, slots=True)
class StatementToImport:
    """A statement that somebody wants imported.

    Attributes:
        actor: who: staff, or a system.
        at: now; transfers are dated on their own days.
    """

    statement: Statement
    actor: Actor
    at: datetime


class TransferImporter:
    """Captures what came in by transfer, one after the other.

    Args:
        ledger: takes the commands.
        store: the log, from which answers are read.
    """

    def __init__(self, ledger: Ledger, store: EventStore) -> None:
        self._ledger = ledger
        self._store = store

    def run(
        self,
        wanted: StatementToImport,
        *,
        dry_run: bool = False,
        advanced: Callable[[int], None] = lambda _: None,
    ) -> list[TransferAnswer]:
        """Captures the transfers of a statement; with a dry run it only says what it would do.

        They are taken in the order of their days, whatever theirs in the file.

        Args:
            wanted: the statement, and who wants it imported.
            dry_run: nothing is written.
            advanced: told how many lines have their answer.

        Returns:
            The answer to each line, in the order of the file.

        Raises:
            Refused: this actor may not capture payments (G1).
            UnreadableList: the file changed meanwhile.
            Fault: something stopped it; running it again goes on.
        """
        refuse_unless_may_give(wanted.actor, CapturePayment)
        lines = list(wanted.statement.lines())
        kind = Rehearsing if dry_run else Recording
        books = kind(self._ledger, self._store, wanted.actor)
        run = _Run(self._store, books, wanted.at, lines)
        answers: list[TransferAnswer] = []
        try:
            for done, line in enumerate(sorted(lines, key=_order), start=1):
                answers.append(run.answer(line))
                advanced(done)
        except Fault as fault:
            raise type(fault)(
                f"the import stopped, with every transfer captured or untouched: {fault.message}",
                remedy=f"{fault.remedy} Then import the same statement again: nothing is captured"
                " twice.",
            ) from fault
        return sorted(answers, key=lambda answer: answer.row)


def _order(line: StatementLine) -> tuple[object, ...]:
    """By day, then so that the order in the file does not matter; faulty ones first."""
    transfer = line.transfer
    if transfer is None:
        return (0, line.row)
    return (1, transfer.booked_on, transfer.reference_key, transfer.amount_minor, line.row)


class _Run:
    """One run over the lines of a statement."""

    def __init__(
        self, store: EventStore, books: Books, at: datetime, lines: Iterable[StatementLine]
    ) -> None:
        self._store = store
        self._books = books
        self._at = at
        self._payers = Payers(store, at)
        self._answered: dict[Transfer, TransferAnswer] = {}
        self._rows: defaultdict[str, dict[Transfer, int]] = defaultdict(dict)
        for line in lines:
            if line.transfer is not None:
                self._rows[line.transfer.reference_key].setdefault(line.transfer, line.row)

    def answer(self, line: StatementLine) -> TransferAnswer:
        """What becomes of a line."""
        transfer = line.transfer
        if transfer is None:
            return _unreadable(line)
        if transfer in self._answered:
            return _same(line, self._answered[transfer])
        answer = self._answer(line.row, transfer)
        self._answered[transfer] = answer
        return answer

    def _answer(self, row: int, transfer: Transfer) -> TransferAnswer:
        untold = TransferAnswer(
            row,
            TransferOutcome.FAULTY,
            transfer.reference,
            amount_minor=transfer.amount_minor,
            currency=transfer.currency,
        )
        payment = self._payment_of(transfer)
        entry = self._books.recorded(payment)
        if entry is not None:
            return _on_record(untold, TransferOutcome.RECORDED, entry)
        rows = self._rows[transfer.reference_key]
        if len(rows) > 1:
            return _with_fault(untold, TransferOutcome.DOUBLED, _doubled(sorted(rows.values())))
        payers = self._payers.of(transfer)
        if len(payers) != 1:
            fault = _unmatched(transfer, several=bool(payers))
            return _with_fault(untold, TransferOutcome.UNMATCHED, fault)
        return self._captured(replace(untold, account=payers[0]), transfer, payment, payers[0])

    def _payment_of(self, transfer: Transfer) -> UUID:
        """Without the vault's secret nobody can tell from it what the bank wrote (D6, D7)."""
        named = (
            f"bank transfer {transfer.booked_on} {transfer.amount_minor} {transfer.currency.value}"
            f" {transfer.reference_key}"
        )
        return UUID(bytes=self._store.vault.input_digest(named.encode())[:16], version=4)

    def _captured(
        self, untold: TransferAnswer, transfer: Transfer, payment: UUID, payer: str
    ) -> TransferAnswer:
        subscription = self._books.subscription(paid_by(payer))
        if fault := _wrong_day(transfer, subscription, self._at):
            return _with_fault(untold, TransferOutcome.FAULTY, fault)
        command = CapturePayment(
            at=start_of_day(transfer.booked_on, subscription.time_zone),
            account=payer,
            payment=payment,
            amount_minor=transfer.amount_minor,
            currency=transfer.currency,
            gateway_reference=_gateway_reference(transfer.reference),
        )
        try:
            _refuse_if_paid_by_card(subscription)
            entry = self._books.capture(command)
        except Refused as refusal:
            return _refused(untold, refusal, subscription, command)
        return _on_record(untold, TransferOutcome.CAPTURED, entry)


# ---------------------------------------------------------------- answers


def _unreadable(line: StatementLine) -> TransferAnswer:
    faults = tuple(
        [TransferFault(fault.message, fault.remedy, column=fault.field) for fault in line.faults]
    )
    outcome = TransferOutcome.FOREIGN if line.foreign else TransferOutcome.FAULTY
    return TransferAnswer(line.row, outcome, line.reference, faults=faults)


def _same(line: StatementLine, answer: TransferAnswer) -> TransferAnswer:
    on_record = answer.outcome.on_record
    outcome = TransferOutcome.RECORDED if on_record else answer.outcome
    return replace(answer, row=line.row, outcome=outcome, same_as=answer.row)


def _on_record(untold: TransferAnswer, outcome: TransferOutcome, entry: Entry) -> TransferAnswer:
    payment = entry.payment
    of_plan = payment.account == payment.subscription
    return replace(
        untold,
        outcome=outcome,
        account=f"{'plan' if of_plan else 'account'}:{payment.account}",
        payment=payment.payment,
        period_from=payment.period_from,
        period_to=payment.period_to,
        position=entry.position,
    )


def _with_fault(
    untold: TransferAnswer, outcome: TransferOutcome, fault: TransferFault
) -> TransferAnswer:
    return replace(untold, outcome=outcome, faults=(fault,))


def _refused(
    untold: TransferAnswer, refusal: Refused, subscription: Subscription, command: CapturePayment
) -> TransferAnswer:
    fault = TransferFault(refusal.message, refusal.remedy, rule=refusal.rule)
    due = next_payment(subscription, command.at) if refusal.rule == "S5" else None
    if due is None:
        return _with_fault(untold, TransferOutcome.REFUSED, fault)
    price_minor, currency = due.amount_minor, due.terms.currency
    if currency is not command.currency:
        outcome = TransferOutcome.FOREIGN
    elif command.amount_minor > price_minor:
        outcome = TransferOutcome.OVERPAID
    elif command.amount_minor < price_minor:
        outcome = TransferOutcome.UNDERPAID
    else:
        return _with_fault(untold, TransferOutcome.REFUSED, fault)
    came_in = format_money(command.amount_minor, command.currency)
    price = format_money(price_minor, currency)
    days = f"{due.days.first_day} to {due.days.last_day}"
    fault = replace(
        fault, message=f"{came_in} came in, and {days} cost {price}",
        remedy="Agree with the payer: give the money back, have them transfer the whole price, or"
        " confirm the plan or the months that it pays for; then import again.",
    )  # fmt: skip
    return _with_fault(untold, outcome, fault)


# ---------------------------------------------------------------- what stands in the way


def _doubled(rows: Sequence[int]) -> TransferFault:
    return TransferFault(
        f"is that of rows {', '.join(map(str, rows))}, which differ",
        "Ask the bank which of them is right, take the others away, and import again.",
        column="reference",
    )


def _unmatched(transfer: Transfer, *, several: bool) -> TransferFault:
    remedy = (
        "Write account:ID or plan:ID of the one payer into the remittance text, and import again."
    )
    if several:
        message = "names several payers"
    elif transfer.named:
        message = "names nobody who has an account or a plan"
    elif transfer.payer_rut is not None:
        message = "names nobody, and nobody with the payer's RUT has an account"
    else:
        message = "names nobody, and there is no RUT of a payer"
    return TransferFault(message, remedy, column="remittance")


def _wrong_day(
    transfer: Transfer, subscription: Subscription, at: datetime
) -> TransferFault | None:
    today = subscription.day(at)
    if transfer.booked_on > today:
        message = "lies in the future"
    elif transfer.booked_on < today - timedelta(days=OLDEST_DAYS):
        message = f"lies more than {OLDEST_DAYS} days back"
    else:
        return None
    return TransferFault(message, "Correct the day, and import again.", column="booked_on")


def _refuse_if_paid_by_card(subscription: Subscription) -> None:
    """What comes in by transfer pays for what is to be paid by transfer (S2)."""
    method = subscription.method
    if method is not None and method.means is PaymentMeans.CARD:
        raise Refused(
            "S2",
            "the subscription is paid by card",
            remedy="Have the payer choose transfer and its months, then import again; or give the"
            " money back.",
        )


def _gateway_reference(reference: str) -> str:
    """Without the words that have no digit: they may be somebody's name (D7)."""
    words = re.split("[^A-Za-z0-9_-]+", reference)
    return f"bank-{'-'.join(word for word in words if re.search('[0-9]', word))}"
