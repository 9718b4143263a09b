"""The clock: does what is due, each thing once, whatever is killed or run twice (S4 to S8, I6, C3).

What is due follows from events, and so does the id of the command that does it: whoever else does
the same at the same time meets in one receipt. Nothing here reads the time: instants are passed in.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event as Signal
from uuid import UUID

from handlers.due_queries import DuePlace, DueQueries
from handlers.faults import (
    DatabaseUnavailable,
    DeadlinePassed,
    Fault,
    GatewayUnusable,
    InvalidInput,
)
from handlers.ledger import Ledger
from handlers.payments.gateway import PaymentGateway
from handlers.snapshots import DEADLINE_SECONDS, Knowledge
from handlers.store.event_store import EventStore
from handlers.store.payment_tokens import PaymentTokens
from handlers.workers.clock_run import ClockReport, Means, NotDone, Run

__all__ = ["Clock", "ClockReport", "NotDone"]

GATEWAY_THREADS = 8
"""How many charges and refunds the gateway is asked for at the same time."""

LOOK_SECONDS = 60
"""How long at most the clock sleeps before it looks again what is due."""

OUTAGE_SECONDS = 5
"""How long it waits where the database is away, or read models are behind."""

SKEW_SECONDS = 60
"""How much further the clock of another machine may have been."""

BEHIND_ALL = (UUID(int=2**128 - 1), 2**15 - 1)
"""In the list of what is due, the last place of an instant."""


class Clock:
    """Does what is due.

    Args:
        ledger: takes the commands.
        store: has the streams, and the instant that was reached.
        due: says what is due at the beginning.
        tokens: the cards that are charged.
        gateway: charges them; None where none is set, and charges and refunds wait.
        reached: told each point at which a crash would matter; tests crash there.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: EventStore,
        due: DueQueries,
        tokens: PaymentTokens,
        gateway: PaymentGateway | None,
        *,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._means = Means(ledger, store, tokens, gateway, reached)
        self._store = store
        self._due = due
        self._stopped = Signal()

    def run(
        self,
        until: datetime,
        *,
        live: bool = False,
        deadline_seconds: float = DEADLINE_SECONDS,
        progress: Callable[[int], None] = lambda _: None,
    ) -> ClockReport:
        """Does everything that is due up to an instant, and what follows from it up to then.

        Played, each thing is done at the very instant from which it is due, in the order of these.
        Live, whatever is due is done with ``until``, which is now, as its business time: after an
        outage retries of three days do not happen at once, and no charge is dated to a day on which
        nobody was asked.

        Args:
            until: the last instant.
            live: it is now.
            deadline_seconds: how long to wait until the list of what is due knows the whole log.
            progress: told how many things have been done so far.

        Raises:
            InvalidInput: clock work has reached a later instant before; nothing was done.
            GatewayUnusable: the gateway refuses Acta; what it had said before is recorded, and all
                is done that needs no gateway.
            DeadlinePassed: the list of what is due was behind for too long.
            DatabaseUnavailable: the database cannot be reached.
        """
        last = self._store.clock()
        until = _not_before(until, last, live=live)
        known = Knowledge(self._store.head(), deadline_seconds)
        listed = self._due.due(until, known)
        with ThreadPoolExecutor(GATEWAY_THREADS) as threads:
            run = Run(self._means, threads, until, last=last, live=live, stopped=self._stopped)
            run.begin(listed.lines)
            while not self._stopped.is_set() and run.step():
                progress(run.done.total())
        if run.unusable is not None:
            raise run.unusable
        report = run.report(degraded=listed.degraded)
        if report.complete:
            self._store.advance_clock(until)
        return report

    def follow(
        self,
        now: Callable[[], datetime],
        *,
        told: Callable[[ClockReport], None] = lambda _: None,
        waiting: Callable[[Fault], None] = lambda _: None,
    ) -> None:
        """Does what is due as it comes due, until ``stop``.

        Args:
            now: reads the time.
            told: of each run.
            waiting: told of a fault that may pass by itself; it is tried again.

        Raises:
            InvalidInput: clock work was played further than now.
        """
        while not self._stopped.is_set():
            try:
                told(self.run(until := now(), live=True))
                pause_seconds = self._seconds_to_next(until, now)
            except (DatabaseUnavailable, DeadlinePassed) as fault:
                waiting(fault)
                pause_seconds = OUTAGE_SECONDS
            except GatewayUnusable as fault:
                waiting(fault)
                pause_seconds = LOOK_SECONDS
            self._stopped.wait(pause_seconds)

    def stop(self) -> None:
        """Lets ``run`` and ``follow`` return once what is at hand is done."""
        self._stopped.set()

    def _seconds_to_next(self, after: datetime, now: Callable[[], datetime]) -> float:
        within = after + timedelta(seconds=LOOK_SECONDS)
        lines = self._due.due(within, after=DuePlace(after, *BEHIND_ALL), limit=1).lines
        next_at = lines[0].at if lines else within
        return max(0.0, (next_at - now()).total_seconds())


def _not_before(until: datetime, last: datetime | None, *, live: bool) -> datetime:
    if last is None or until >= last:
        return until
    if live and last - until <= timedelta(seconds=SKEW_SECONDS):
        return last
    raise InvalidInput(
        f"clock work has reached {last.isoformat()}, which is later",
        remedy="Give that instant or a later one; what was played ahead cannot be taken back.",
    )
