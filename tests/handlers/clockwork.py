"""A clock, a gateway that keeps an honest book in memory, and people whose cards it charges."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from psycopg import sql
from psycopg.conninfo import make_conninfo

from domain.subscription import DeclineReason, NoticeRequested, RefundFailure, UnknownReason
from handlers.composition import Acta
from handlers.payments.gateway import (
    Captured,
    ChargeOrder,
    ChargeOutcome,
    Declined,
    PaymentGateway,
    Refunded,
    RefundOrder,
    RefundOutcome,
    RefundRefused,
    Unknown,
)
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from handlers.workers.clock import Clock
from handlers.workers.clock_run import ClockReport
from tests.conftest import TestDatabase

__all__ = ["CHILE", "BookedGateway", "Charges", "clock_of", "copied", "lived", "played", "told"]

CHILE = ZoneInfo("America/Santiago")
Charges = Callable[[ChargeOrder], DeclineReason | None]


def _honours(_: ChargeOrder) -> DeclineReason | None:
    return None


@dataclass
class BookedGateway:
    """Takes the money of each payment once, and remembers what it did, as a real one does.

    Attributes:
        declines: which charges it declines, and why.
        silent: which charges it does not answer, though it makes them.
        deaf: of which it does not even hear.
        captured: what it took, by payment.
        asked: every charge that it was asked for, in order.
    """

    declines: Charges = _honours
    silent: Callable[[ChargeOrder | RefundOrder], bool] = lambda _: False
    deaf: Callable[[ChargeOrder | RefundOrder], bool] = lambda _: False
    refuses: Callable[[RefundOrder], bool] = lambda _: False
    captured: dict[UUID, ChargeOrder] = field(default_factory=dict[UUID, ChargeOrder])
    refunded: dict[UUID, RefundOrder] = field(default_factory=dict[UUID, RefundOrder])
    asked: list[tuple[ChargeOrder | RefundOrder, bool]] = field(
        default_factory=list[tuple[ChargeOrder | RefundOrder, bool]]
    )
    _declined: dict[UUID, DeclineReason] = field(default_factory=dict[UUID, DeclineReason])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def charge(self, order: ChargeOrder, *, again: bool = False) -> ChargeOutcome:
        """Takes the money, unless it has; a decline stands as well."""
        return self._charge(order, self.declines, again=again)

    def withdraw(self, order: ChargeOrder) -> ChargeOutcome:
        """Takes no money that it has not taken."""
        return self._charge(order, lambda _: DeclineReason.OTHER, again=True)

    def _charge(self, order: ChargeOrder, declines: Charges, *, again: bool) -> ChargeOutcome:
        with self._lock:
            self.asked.append((order, again))
            if self.deaf(order):
                return Unknown(UnknownReason.TIMEOUT)
            if order.payment not in self.captured and order.payment not in self._declined:
                reason = declines(order)
                if reason is None:
                    self.captured[order.payment] = order
                else:
                    self._declined[order.payment] = reason
            if self.silent(order):
                return Unknown(UnknownReason.CONNECTION_LOST)
            if order.payment in self.captured:
                return Captured(f"pi_{order.payment.hex}")
            return Declined(self._declined[order.payment])

    def refund(self, order: RefundOrder, *, again: bool = False) -> RefundOutcome:
        """Gives the money back, unless it has."""
        with self._lock:
            self.asked.append((order, again))
            if self.deaf(order):
                return Unknown(UnknownReason.TIMEOUT)
            if self.refuses(order):
                return RefundRefused(RefundFailure.REFUSED_BY_GATEWAY)
            self.refunded.setdefault(order.refund, order)
            if self.silent(order):
                return Unknown(UnknownReason.CONNECTION_LOST)
            return Refunded(f"re_{order.refund.hex}")


def clock_of(
    acta: Acta,
    gateway: PaymentGateway | None,
    *,
    reached: Callable[[str], None] = lambda _: None,
) -> Clock:
    """The clock of a ledger, with this gateway."""
    return Clock(acta.ledger, acta.store, acta.due, acta.tokens, gateway, reached=reached)


def played(acta: Acta, gateway: PaymentGateway | None, until: datetime) -> ClockReport:
    """What the clock does when it is played up to an instant."""
    acta.projector.catch_up()
    return clock_of(acta, gateway).run(until)


def lived(acta: Acta, gateway: PaymentGateway | None, now: datetime) -> ClockReport:
    """What the clock does now."""
    acta.projector.catch_up()
    return clock_of(acta, gateway).run(now, live=True)


def told(acta: Acta, stream: UUID) -> list[str]:
    """What happened in a stream, and on which days in Chile, without the notices."""
    return [
        f"{entry.event.occurred_at.astimezone(CHILE):%m-%d} {type(entry.event).__name__}"
        for entry in acta.store.streams([stream])[stream]
        if not isinstance(entry.event, NoticeRequested)
    ]


@contextmanager
def copied(server: EmbeddedServer, original: TestDatabase) -> Iterator[TestDatabase]:
    """The same ledger a second time, ids and all; nobody may have the original open meanwhile."""
    name = f"copy_{uuid4().hex}"
    with connect(server.addresses.administrator) as administrator:
        administrator.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(original.name)
            )
        )
        yield TestDatabase(
            name=name,
            application=make_conninfo(server.addresses.application, dbname=name),
            administrator=make_conninfo(server.addresses.administrator, dbname=name),
            keys=original.keys,
        )
        administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
