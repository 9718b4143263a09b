"""``acta billing``: a table that whoever pays would understand, of people and of institutions."""

import os
import pty
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.calendar import start_of_day
from domain.money import Currency
from domain.streams import subscription_of
from domain.subscription import (
    AnnouncePrice,
    CapturePayment,
    CaptureRefund,
    ChargeRequested,
    ChoosePaymentMethod,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    FailRefund,
    PaymentMeans,
    RecordUnknownCharge,
    RefundFailure,
    RefundPayment,
    RefundReason,
    RequestCharge,
    UnknownReason,
)
from handlers.composition import Acta
from tests.handlers.cli.conftest import ACTA, Ended, Terminal
from tests.handlers.stories import (
    ANA,
    BEGINNING,
    MANAGER,
    PRICE_MINOR,
    SYSTEM,
    Member,
    Story,
    noon,
)

SANTIAGO = "America/Santiago"
RENEWAL = " for 28 Feb 2026 to 30 Mar 2026"
WHY = "plan full-access, price 1, 1 month × 9,990 CLP"  # noqa: RUF001  as people write it
NO_FUNDS = "insufficient funds"


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to the ledger that the terminal asks."""
    return Story(acta)


@pytest.fixture
def shown(terminal: Terminal, story: Story) -> Callable[..., Ended]:
    """Asks for a billing history once all that was told is known."""

    def ask(who: str = ANA, *arguments: object) -> Ended:
        story.acta.projector.catch_up()
        return terminal("billing", who, *arguments)

    return ask


def day(text: str) -> datetime:
    """The first instant of a day in Chile."""
    return start_of_day(datetime.fromisoformat(text).date(), SANTIAGO)


class Card:
    """The card of somebody, as the clock and the gateway treat it."""

    def __init__(self, story: Story, member: Member) -> None:
        self._story = story
        self._member = member
        self.about: dict[str, Any] = {"account": member.who}

    def charge(self, at: datetime) -> dict[str, Any]:
        """It is about to be charged; what an outcome has to name."""
        self._story.ask(RequestCharge(at=at, **self.about), SYSTEM)
        last = self._story.events(subscription_of(self._member.account))[-1].event
        assert isinstance(last, ChargeRequested)
        money = {"amount_minor": last.amount_minor, "currency": last.currency}
        return {**self.about, "payment": last.payment, **money}

    def pays(self, at: datetime) -> UUID:
        """A charge succeeds; the payment."""
        asked = self.charge(at)
        self._story.ask(CapturePayment(at=at, gateway_reference="pi_1", **asked), SYSTEM)
        return UUID(str(asked["payment"]))

    def declines(self, at: datetime) -> None:
        """A charge is declined."""
        reason = DeclineReason.INSUFFICIENT_FUNDS
        self._story.ask(DeclinePayment(at=at, reason=reason, **self.charge(at)), SYSTEM)

    def gets_no_answer(self, at: datetime) -> dict[str, Any]:
        """Nobody knows what became of a charge; what an outcome has to name."""
        asked = self.charge(at)
        silence = {"payment": asked["payment"], "reason": UnknownReason.TIMEOUT}
        self._story.ask(RecordUnknownCharge(at=at, **silence, **self.about), SYSTEM)
        return asked

    def gives_way_to_transfers(self, at: datetime) -> None:
        """Its holder pays for three months at a time from now on, and not by card."""
        means: dict[str, Any] = {"means": PaymentMeans.TRANSFER, "months": 3}
        self._story.ask(ChoosePaymentMethod(at=at, **means, **self.about), MANAGER)

    def is_taken_again(self, at: datetime) -> None:
        """Its holder pays by card again."""
        means: dict[str, Any] = {"means": PaymentMeans.CARD, "months": 1}
        self._story.ask(ChoosePaymentMethod(at=at, **means, **self.about), MANAGER)

    def refund(self, at: datetime, payment: UUID, amount_minor: int) -> dict[str, Any]:
        """Money is to go back; what an outcome has to name."""
        refund = uuid4()
        command = RefundPayment(
            at=at, refund=refund, payment=payment, amount_minor=amount_minor,
            currency=Currency.CLP, reason=RefundReason.SERVICE_FAULT, **self.about,
        )  # fmt: skip
        self._story.ask(command, MANAGER)
        return {**self.about, "refund": refund}


@pytest.fixture
def card(story: Story) -> Card:
    """Ana's, who subscribed on 31 January."""
    return Card(story, story.subscriber())


def rows(ended: Ended) -> list[str]:
    """The rows of the table, their spaces run together, without their positions."""
    lines = ended.out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("─")) + 1
    last = next(number for number, line in enumerate(lines) if line.startswith("paid through"))
    return [" ".join(line.split()[1:]) for line in lines[first:last]]


@pytest.mark.rule("S1", "S5", "S13")
@pytest.mark.usefixtures("card")
def test_a_payment_says_what_it_is_for_and_why_it_is_so_much(shown: Callable[..., Ended]) -> None:
    """With local days, the balance after each line, and what comes next."""
    ended = shown()
    assert "days are those of America/Santiago" in ended.out
    assert rows(ended) == [
        "31 Jan 2026 Subscription begun",
        "31 Jan 2026 Agreed: plan full-access, 9,990 CLP a month (price 1)",
        "31 Jan 2026 To be paid by card, every month",
        f"31 Jan 2026 Charged for 31 Jan 2026 to 27 Feb 2026: {WHY} 9,990 CLP 9,990 CLP",
        "31 Jan 2026 Payment by card received; boleta -9,990 CLP 0 CLP",
    ]
    assert (
        "paid through: 27 Feb 2026 owed: nothing next: 28 Feb 2026, the card is charged 9,990 CLP"
        f"{RENEWAL} ({WHY})"
    ) in ended.said


@pytest.mark.rule("S8")
def test_a_decline_says_when_the_card_is_tried_again(
    card: Card, shown: Callable[..., Ended]
) -> None:
    card.declines(day("2026-02-28"))
    card.declines(day("2026-03-01"))
    told = rows(shown())[5:]
    assert told == [
        f"28 Feb 2026 Card declined, 9,990 CLP{RENEWAL}: {NO_FUNDS}; tried again on 1 Mar 2026",
        "28 Feb 2026 Overdue: access until 7 Mar 2026, and on once it is paid",
        f"1 Mar 2026 Card declined, 9,990 CLP{RENEWAL}: {NO_FUNDS}; tried again on 3 Mar 2026",
    ]
    assert "next: 3 Mar 2026, the card is charged 9,990 CLP again" in shown().out


@pytest.mark.rule("S8")
def test_after_the_last_try_nothing_is_tried_again(card: Card, shown: Callable[..., Ended]) -> None:
    for declined in ("2026-02-28", "2026-03-01", "2026-03-03", "2026-03-05", "2026-03-07"):
        card.declines(day(declined))
    *_, last, lapsed = rows(shown())
    assert last.endswith(": insufficient funds")
    assert lapsed == "7 Mar 2026 Subscription lapsed: it was paid through 27 Feb 2026"
    assert "next:" not in shown().out


def tried_again(shown: Callable[..., Ended]) -> list[str | None]:
    """The day that each decline names, or that it names none."""
    declined = [row for row in rows(shown()) if "Card declined" in row]
    return [row.partition("; tried again on ")[2] or None for row in declined]


@pytest.mark.rule("S8")
def test_a_try_that_was_missed_is_not_told_as_still_to_come(
    card: Card, shown: Callable[..., Ended]
) -> None:
    """Given a try on the day of another; when it fails, the next day is one that comes."""
    card.declines(day("2026-02-28"))
    card.declines(day("2026-03-03"))
    assert tried_again(shown) == ["1 Mar 2026", "5 Mar 2026"]
    assert "next: 5 Mar 2026, the card is charged 9,990 CLP again" in shown().out


@pytest.mark.rule("S8", "S2")
def test_a_card_that_is_not_charged_any_more_is_not_tried_again(
    card: Card, shown: Callable[..., Ended]
) -> None:
    """Given two declines; while it is paid by transfer, the try that was to come is not told."""
    card.declines(day("2026-02-28"))
    card.declines(day("2026-03-01"))
    card.gives_way_to_transfers(noon(2026, 3, 1))
    assert tried_again(shown) == ["1 Mar 2026", None]
    card.is_taken_again(noon(2026, 3, 2))
    assert tried_again(shown) == ["1 Mar 2026", "3 Mar 2026"]


@pytest.mark.rule("S8", "S4")
def test_what_was_ended_is_not_tried_again(
    story: Story, card: Card, shown: Callable[..., Ended]
) -> None:
    """Given a decline; when the payer ends it, no try is told any more."""
    card.declines(day("2026-02-28"))
    story.ask(EndSubscription(at=noon(2026, 2, 28), **card.about), MANAGER)
    assert tried_again(shown) == [None]


@pytest.mark.rule("S7", "S8")
def test_a_decline_that_becomes_known_after_a_change_of_means_names_no_try(
    story: Story, card: Card, shown: Callable[..., Ended]
) -> None:
    """Given a charge without an answer; when transfers were chosen since, none of it is retried."""
    asked = card.gets_no_answer(day("2026-02-28"))
    card.gives_way_to_transfers(noon(2026, 3, 1))
    reason = DeclineReason.INSUFFICIENT_FUNDS
    story.ask(DeclinePayment(at=noon(2026, 3, 2), reason=reason, **asked), SYSTEM)
    assert tried_again(shown) == [None]


@pytest.mark.rule("S6", "S7", "S9")
def test_nobody_is_asked_for_a_transfer_while_a_charge_has_no_outcome(
    story: Story, card: Card, shown: Callable[..., Ended]
) -> None:
    """Given a charge that may have paid; when transfers are chosen, one is invited once it did not.

    Meanwhile it would be refused.
    """
    asked = card.gets_no_answer(day("2026-02-28"))
    card.gives_way_to_transfers(noon(2026, 3, 1))
    told = shown().out
    assert "next: the answer about the charge of 9,990 CLP\nnext: 8 Mar 2026, access ends\n" in told
    transfer = {**asked, "payment": uuid4(), "amount_minor": 3 * PRICE_MINOR}
    received = CapturePayment(at=noon(2026, 3, 2), gateway_reference="bank-1", **transfer)
    assert story.refusal(received, MANAGER).rule == "S6"
    reason = DeclineReason.INSUFFICIENT_FUNDS
    story.ask(DeclinePayment(at=noon(2026, 3, 2), reason=reason, **asked), SYSTEM)
    assert "next: 8 Mar 2026, access ends, unless 29,970 CLP are transferred before" in shown().out


@pytest.mark.rule("S7")
def test_a_charge_without_an_answer_is_told_until_there_is_one(
    story: Story, card: Card, shown: Callable[..., Ended]
) -> None:
    at = day("2026-02-28")
    asked = card.charge(at)
    assert rows(shown())[-1] == (
        "28 Feb 2026 Card asked for 9,990 CLP for 28 Feb 2026 to 30 Mar 2026: no answer yet"
    )
    silence = {**card.about, "payment": asked["payment"], "reason": UnknownReason.TIMEOUT}
    story.ask(RecordUnknownCharge(at=at, **silence), SYSTEM)
    assert rows(shown())[-1] == (
        "28 Feb 2026 No answer about 9,990 CLP for 28 Feb 2026 to 30 Mar 2026: asked again until"
        " there is one; access until 7 Mar 2026 meanwhile"
    )
    assert "next: the answer about the charge of 9,990 CLP\n" in shown().out
    story.ask(CapturePayment(at=at, gateway_reference="pi_1", **asked), SYSTEM)
    assert rows(shown())[-1] == "28 Feb 2026 Payment by card received; boleta -9,990 CLP 0 CLP"


@pytest.mark.rule("S12", "S13")
def test_refunds_are_credited_and_paid_out(
    story: Story, card: Card, shown: Callable[..., Ended]
) -> None:
    at = day("2026-02-28")
    payment = card.pays(at)
    refund = card.refund(at, payment, 990)
    assert rows(shown())[-1] == "28 Feb 2026 Refund of 990 CLP on its way: service fault"
    assert "next: the refund of 990 CLP\n" in shown().out
    story.ask(CaptureRefund(at=at, gateway_reference="re_1", **refund), SYSTEM)
    failing = card.refund(at, payment, 10)
    story.ask(FailRefund(at=at, reason=RefundFailure.CARD_CLOSED, **failing), SYSTEM)
    assert rows(shown())[-3:] == [
        "28 Feb 2026 Credited for 28 Feb 2026 to 30 Mar 2026: service fault -990 CLP -990 CLP",
        "28 Feb 2026 Refund of 990 CLP to the card 990 CLP 0 CLP",
        "28 Feb 2026 Refund of 10 CLP failed: card closed",
    ]


@pytest.mark.rule("S9")
def test_a_transfer_is_named_as_the_bank_names_it(
    story: Story, shown: Callable[..., Ended]
) -> None:
    story.subscriber(months=3)
    ended = shown()
    assert rows(ended)[-1] == (
        "31 Jan 2026 Transfer received (gateway-1); boleta -29,970 CLP 0 CLP"
    )
    assert (
        "next: 30 Apr 2026, access ends, unless 29,970 CLP are transferred before for 30 Apr 2026"
        " to 30 Jul 2026 (plan full-access, price 1, 3 months × 9,990 CLP)"  # noqa: RUF001
    ) in ended.out


@pytest.mark.rule("S4", "S5")
def test_what_comes_next_knows_of_prices_and_endings(
    story: Story, card: Card, shown: Callable[..., Ended]
) -> None:
    story.ask(
        AnnouncePrice(
            at=BEGINNING, plan="full-access", price_version=2, monthly_price_minor=10_990,
            currency=Currency.CLP, effective_from=day("2026-03-31").date(), **card.about,
        ),
        MANAGER,
    )  # fmt: skip
    assert "the card is charged 9,990 CLP for 28 Feb 2026" in shown().out
    card.pays(day("2026-02-28"))
    assert "the card is charged 10,990 CLP for 31 Mar 2026" in shown().out
    story.ask(EndSubscription(at=noon(2026, 3, 1), **card.about), MANAGER)
    assert rows(shown())[-1] == "1 Mar 2026 Subscription ended: access until 30 Mar 2026"
    assert "next: 31 Mar 2026, access ends\n" in shown().out


@pytest.mark.rule("S10", "S13")
def test_an_institution_has_one_too(story: Story, shown: Callable[..., Ended]) -> None:
    plan = story.institution()
    ended = shown(plan.who)
    assert rows(ended)[-1].startswith("31 Jan 2026 Transfer received")
    assert "paid through: 29 Apr 2026\nowed: nothing\nnext: 30 Apr 2026" in ended.out


def test_the_past_as_it_was(card: Card, shown: Callable[..., Ended]) -> None:
    """What happened later is left aside, and what came next is in what happened."""
    card.pays(day("2026-02-28"))
    ended = shown(ANA, "--at", "2026-02-27T12:00:00-03:00")
    assert len(rows(ended)) == 5
    assert "paid through: 27 Feb 2026" in ended.out
    assert "next:" not in ended.out


@pytest.mark.rule("S13")
def test_json_tells_all_of_it(card: Card, shown: Callable[..., Ended], story: Story) -> None:
    """Each line names its event and its position; the balances are in minor units."""
    card.declines(day("2026-02-28"))
    told = shown(ANA, "--json").json
    assert list(told) == [
        "account", "lines", "paid_through", "coming", "position", "degraded", "balances_minor",
    ]  # fmt: skip
    assert [line["kind"] for line in told["lines"]] == [
        *("started", "agreed", "means_chosen", "charge", "payment"),
        *("requested", "declined", "past_due"),
    ]
    charge = told["lines"][3]
    assert (charge["months"], charge["price_version"], charge["balance_minor"]) == (
        1,
        1,
        PRICE_MINOR,
    )
    assert charge["event_id"] in {str(event.event_id) for event in story.events()}
    assert told["lines"][-1]["retries_on"] == [
        "2026-03-01", "2026-03-03", "2026-03-05", "2026-03-07",
    ]  # fmt: skip
    (coming,) = told["coming"]
    assert (coming["kind"], coming["day"]) == ("retry", "2026-03-01")
    assert (coming["amount_minor"], coming["price"]["months"]) == (PRICE_MINOR, 1)
    assert (told["paid_through"], told["balances_minor"]) == ("2026-02-27", {"CLP": 0})


def test_who_never_paid_has_an_empty_billing_history(
    story: Story, shown: Callable[..., Ended]
) -> None:
    story.register()
    assert "paid through: never\nowed: nothing\nknown up to" in shown().out
    assert shown(ANA, "--json").json["lines"] == []


@pytest.mark.usefixtures("terminal")
def test_a_narrow_terminal_cuts_nothing(card: Card, story: Story) -> None:
    """In 80 columns words go on below, in their own column; amounts and days stay whole."""
    card.declines(day("2026-02-28"))
    story.acta.projector.catch_up()
    shown = on_a_screen("billing", ANA, columns=80)
    table = shown[: shown.index("paid through")]
    assert max(len(line) for line in table.splitlines()) <= 80
    assert "…" not in table
    for whole in ("31 Jan 2026", "28 Feb 2026", " 9,990 CLP", "-9,990 CLP", "insufficient"):
        assert whole in table


def on_a_screen(*arguments: str, columns: int) -> str:
    """What a command shows on a terminal of so many columns."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns)}
    with subprocess.Popen([ACTA, *arguments], stdout=its, env=environment) as process:
        os.close(its)
        shown = b""
        # Once the other side is closed, Linux says so by an error.
        with suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    return re.sub("\x1b\\[[0-9;]*m|\r", "", shown.decode())


def test_days_are_those_of_the_payer(card: Card, shown: Callable[..., Ended]) -> None:
    """A charge at the first instant of a day in Chile stands on that day, not on UTC's."""
    card.pays(day("2026-02-28") + timedelta(hours=22))
    assert rows(shown())[-1].startswith("28 Feb 2026")
