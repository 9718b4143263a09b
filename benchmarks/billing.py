"""The billing history of ten years, beside the very rows that it consists of.

One account pays by card, month by month: some charges are declined and tried again, some money goes
back, and once it lapses and begins anew. Its rows are copied for some hundred others, so that the
table is one in which an account has to be found.
"""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection
from psycopg.sql import Identifier

from benchmarks import ours
from benchmarks.checking import administrator, copy_rows
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.people import BEGINNING, registration, steps
from benchmarks.processes import apart
from domain.actor import Actor, ActorKind
from domain.calendar import start_of_day
from domain.command import Command
from domain.streams import subscription_of
from domain.subscription import (
    CapturePayment,
    CaptureRefund,
    ChargeRequested,
    DeclinePayment,
    DeclineReason,
    ReactivateSubscription,
    RefundPayment,
    RefundReason,
    RequestCharge,
    Subscription,
    subscription_decider,
)
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.database import connect

__all__ = ["measure"]

AT_MOST = 2
COPIES = 300
STEPS, STEPS_AGAIN = slice(0, 7), slice(3, 6)
ONE_TRY_FAILS, MONEY_GOES_BACK, ALL_TRIES_FAIL = 9, 20, 60


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    with ground.acta() as settings:
        account = live(settings, sizes.periods)
        apart(ours.projected_per_second, settings)
        with connect(administrator(ground, settings)) as connection:
            multiply(connection, sizes.accounts)
        [turns] = in_turns(
            sizes.repetitions,
            lambda: apart(ours.billed_and_selected, settings, account, sizes.seconds),
        )
    return [
        Row(
            what=f"billing history of one account, {sizes.periods} periods",
            unit="µs",
            ours=[billed for billed, _ in turns],
            baseline=[selected for _, selected in turns],
            baseline_is="the same rows selected in raw psycopg",
            at_most=AT_MOST,
        )
    ]


def multiply(connection: Connection, accounts: int) -> None:
    """Copies the account, and all that its billing history is read from."""
    for table in (
        Identifier("ledger", "person_accounts"),
        Identifier("projections", "billing_history"),
    ):
        copy_rows(connection, table, min(COPIES, accounts))
    connection.execute("VACUUM ANALYZE")


def live(settings: Settings, periods: int) -> UUID:
    """Has somebody pay for so many months."""
    with open_ledger(settings) as acta:
        return Payer(acta).pay(periods)


class Payer:
    """Somebody whose card is charged, mostly with success."""

    def __init__(self, acta: Acta) -> None:
        self._acta = acta
        receipt = acta.ledger.ask(registration(BEGINNING), _actor(ActorKind.PERSON), uuid4())
        self._account = acta.store.batch(after=receipt.position - 1, limit=1)[0].stream
        self._who = f"account:{self._account}"

    def pay(self, periods: int) -> UUID:
        self._take(STEPS, BEGINNING)
        for number in range(1, periods):
            self._pay_for_a_month(number)
        return self._account

    def _pay_for_a_month(self, number: int) -> None:
        subscription = self._subscription()
        assert subscription.first_unpaid_day is not None
        at = start_of_day(subscription.first_unpaid_day, subscription.time_zone)
        if number % ALL_TRIES_FAIL == 0:
            for days in (0, 1, 3, 5, 7):
                self._charge(at + timedelta(days=days), succeeds=False)
            at += timedelta(days=20)
            self._ask(ActorKind.PERSON, ReactivateSubscription(at=at, account=self._who))
            self._take(STEPS_AGAIN, at)
        elif number % ONE_TRY_FAILS == 0:
            self._charge(at, succeeds=False)
            at += timedelta(days=1)
        self._charge(at)
        if number % MONEY_GOES_BACK == 0:
            self._refund(at)

    def _take(self, which: slice, at: datetime) -> None:
        taken = islice(steps(self._who, factura=False), which.start, which.stop)
        for actor_kind, command in taken:
            self._ask(actor_kind, command.model_copy(update={"at": at}))

    def _charge(self, at: datetime, *, succeeds: bool = True) -> None:
        self._ask(ActorKind.SYSTEM, RequestCharge(at=at, account=self._who))
        last = self._acta.store.last_of(subscription_of(self._account))
        assert last is not None
        request = last.event
        assert isinstance(request, ChargeRequested)
        asked: dict[str, Any] = {
            "at": at,
            "account": self._who,
            "payment": request.payment,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
        }
        self._ask(
            ActorKind.SYSTEM,
            CapturePayment(**asked, gateway_reference=f"pi_{uuid4().hex}")
            if succeeds
            else DeclinePayment(**asked, reason=DeclineReason.INSUFFICIENT_FUNDS),
        )

    def _refund(self, at: datetime) -> None:
        payment, captured = list(self._subscription().captured.items())[-1]
        refund = uuid4()
        wish = RefundPayment(
            at=at,
            account=self._who,
            refund=refund,
            payment=payment,
            amount_minor=captured.amount_minor // 2,
            currency=captured.currency,
            reason=RefundReason.REQUEST,
        )
        self._ask(ActorKind.ACCOUNT_MANAGER, wish)
        done = CaptureRefund(
            at=at, account=self._who, refund=refund, gateway_reference=f"re_{uuid4().hex}"
        )
        self._ask(ActorKind.SYSTEM, done)

    def _subscription(self) -> Subscription:
        stream = subscription_of(self._account)
        events: Any = [entry.event for entry in self._acta.store.streams([stream])[stream]]
        return subscription_decider.replay(events)

    def _ask(self, actor_kind: ActorKind, command: Command) -> None:
        who = self._who if actor_kind is ActorKind.PERSON else None
        self._acta.ledger.ask(command, _actor(actor_kind, who), uuid4())


def _actor(kind: ActorKind, who: str | None = None) -> Actor:
    return Actor(kind=kind, who=who)
