"""Lives of cards: renewed, declined, unanswered, refunded, and of accounts closed meanwhile."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.account import ErasePerson
from domain.money import Currency
from domain.streams import payment_of, subscription_of
from domain.subscription import (
    CapturePayment,
    CaptureRefund,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    RecordUnknownCharge,
    RefundPayment,
    RefundReason,
    RequestCharge,
    UnknownReason,
)
from tests.handlers.stories import MANAGER, PRICE_MINOR, SYSTEM, Member, Story, noon

__all__ = ["Cardholder", "tell_of_charges"]

RENEWAL_DAY = date(2026, 2, 28)
RENEWAL = datetime(2026, 2, 28, 3, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
MONEY: dict[str, Any] = {"amount_minor": PRICE_MINOR, "currency": Currency.CLP}


def tell_of_charges(story: Story) -> None:
    """Some of them wait for an outcome, a retry or a refund when the story ends."""
    renewed, retried, unknown, lapsed, closed, erased = (
        Cardholder(story, story.subscriber(f"tarjeta-{number}@example.com")) for number in range(6)
    )
    for each in (renewed, retried, unknown, closed):
        each.is_charged()
    renewed.pays()
    renewed.gets_back(990, taken=True)
    renewed.gets_back(1000)
    renewed.gets_back(2000)
    retried.is_declined()
    retried.is_charged(RENEWAL + ONE_DAY)
    retried.is_declined(RENEWAL + ONE_DAY, attempt=2)
    for each in (unknown, closed):
        each.is_not_answered()
    story.ask(EndSubscription(at=noon(2026, 2, 1), account=lapsed.member.who), lapsed.member.itself)
    story.ask(LapseSubscription(at=RENEWAL, account=lapsed.member.who), SYSTEM)
    story.close(closed.member, at=RENEWAL + ONE_DAY)
    erasing = ErasePerson(at=noon(2026, 2, 1), account=erased.member.who)
    story.ask(erasing, erased.member.itself)


class Cardholder:
    """Somebody whose card is charged on 28 February, and what comes of it."""

    def __init__(self, story: Story, member: Member) -> None:
        self.member = member
        self._story = story
        self._paid: UUID | None = None

    def is_charged(self, at: datetime = RENEWAL) -> None:
        """The gateway is about to be asked."""
        self._story.ask(RequestCharge(at=at, account=self.member.who), SYSTEM)

    def pays(self) -> None:
        """The money came in."""
        self._paid = self._payment(1)
        taken: dict[str, Any] = {"payment": self._paid, "gateway_reference": "gateway-2", **MONEY}
        self._story.ask(CapturePayment(at=RENEWAL, account=self.member.who, **taken), SYSTEM)

    def is_declined(self, at: datetime = RENEWAL, *, attempt: int = 1) -> None:
        """It did not."""
        refused: dict[str, Any] = {"reason": DeclineReason.CARD_EXPIRED, **MONEY}
        payment = self._payment(attempt)
        command = DeclinePayment(at=at, account=self.member.who, payment=payment, **refused)
        self._story.ask(command, SYSTEM)

    def is_not_answered(self, *, attempt: int = 1) -> None:
        """Nobody knows whether it did."""
        command = RecordUnknownCharge(
            at=RENEWAL,
            account=self.member.who,
            payment=self._payment(attempt),
            reason=UnknownReason.TIMEOUT,
        )
        self._story.ask(command, SYSTEM)

    def gets_back(self, amount_minor: int, *, taken: bool = False) -> None:
        """Some of it is to go back, or has gone."""
        assert self._paid is not None
        refund, who = uuid4(), self.member.who
        command = RefundPayment(
            at=RENEWAL,
            account=who,
            refund=refund,
            payment=self._paid,
            amount_minor=amount_minor,
            currency=Currency.CLP,
            reason=RefundReason.REQUEST,
        )
        self._story.ask(command, MANAGER)
        if taken:
            done = CaptureRefund(
                at=RENEWAL, account=who, refund=refund, gateway_reference="refund-1"
            )
            self._story.ask(done, SYSTEM)

    def _payment(self, attempt: int) -> UUID:
        return payment_of(subscription_of(self.member.account), RENEWAL_DAY, attempt)
