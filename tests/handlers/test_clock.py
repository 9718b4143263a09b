"""The clock does what is due, each thing once, whatever happens in between (S4 to S8, S12)."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain.command import Command
from domain.contract import OpenContract, ValidatorKind
from domain.due import Due, DueKind
from domain.money import Currency
from domain.streams import subscription_of
from domain.subscription import (
    CapturePayment,
    ChargeRequested,
    ChoosePaymentMethod,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    NoticeRequested,
    NoticeTemplate,
    PaymentCaptured,
    PaymentMeans,
    RefundPayment,
    RefundReason,
    RequestCharge,
)
from handlers.composition import Acta, open_ledger
from handlers.faults import DatabaseUnavailable, Fault, GatewayUnusable, InvalidInput, OrderRefused
from handlers.payments.gateway import ChargeOrder, ChargeOutcome, RefundOrder
from handlers.payments.outcomes import command_id_of
from handlers.store.alone import alone_with
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from handlers.workers import clock_run
from handlers.workers.clock_run import ClockReport
from handlers.workers.clock_work import Outlook, Subject, command_for
from tests.conftest import TestDatabase
from tests.end_to_end.log_comparison import compare_logs, read_log
from tests.handlers.clockwork import (
    CHILE,
    BookedGateway,
    Charges,
    clock_of,
    copied,
    lived,
    played,
    told,
)
from tests.handlers.outages import away
from tests.handlers.payments.gateways import gateway as gateway_of
from tests.handlers.store.waiting import sessions_alone, wait_until
from tests.handlers.stories import (
    BEGINNING,
    MANAGER,
    SYSTEM,
    Member,
    Story,
    noon,
)

SPRING = noon(2026, 6, 1)
"""Four renewals of who began on 31 January: 28 February, 31 March, 30 April, 31 May."""


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


@pytest.fixture
def gateway() -> BookedGateway:
    """A gateway that takes all money it is asked for."""
    return BookedGateway()


def history(story: Story, member: Member) -> list[str]:
    """What happened to a subscription since it was paid for the first time."""
    return told(story.acta, subscription_of(member.account))[5:]


def declining(*attempts: int) -> Callable[[ChargeOrder], DeclineReason | None]:
    """Declines these tries for a period."""
    return lambda order: DeclineReason.CARD_REFUSED if order.attempt in attempts else None


def midnight(month: int, day: int, year: int = 2026) -> datetime:
    """The beginning of a day in Chile."""
    return datetime(year, month, day, tzinfo=CHILE)


# ---------------------------------------------------------------- each kind


@pytest.mark.rule("S5", "S6")
def test_a_card_is_charged_month_after_month(story: Story, gateway: BookedGateway) -> None:
    """On the first day of each period, counted from the first payment's; once for each."""
    ana = story.subscriber()
    report = played(story.acta, gateway, SPRING)
    assert history(story, ana) == [
        "02-28 ChargeRequested", "02-28 PaymentCaptured",
        "03-31 ChargeRequested", "03-31 PaymentCaptured",
        "04-30 ChargeRequested", "04-30 PaymentCaptured",
        "05-31 ChargeRequested", "05-31 PaymentCaptured",
    ]  # fmt: skip
    assert report.done == {DueKind.RENEWAL: 4}
    assert report.complete
    assert [order.at for order, _ in gateway.asked] == [
        midnight(2, 28), midnight(3, 31), midnight(4, 30), midnight(5, 31),
    ]  # fmt: skip
    assert [again for _, again in gateway.asked] == [False] * 4


@pytest.mark.rule("S8")
def test_a_declined_renewal_is_tried_again_on_its_days_and_lapses(story: Story) -> None:
    """After 1, 3, 5 and 7 days; the payer is told each time, and warned before the last."""
    ana = story.subscriber()
    gateway = BookedGateway(declines=declining(1, 2, 3, 4, 5))
    report = played(story.acta, gateway, SPRING)
    assert history(story, ana) == [
        "02-28 ChargeRequested", "02-28 PaymentDeclined", "02-28 SubscriptionPastDue",
        "03-01 ChargeRequested", "03-01 PaymentDeclined",
        "03-03 ChargeRequested", "03-03 PaymentDeclined",
        "03-05 ChargeRequested", "03-05 PaymentDeclined",
        "03-07 ChargeRequested", "03-07 PaymentDeclined", "03-07 SubscriptionLapsed",
    ]  # fmt: skip
    assert report.done == {DueKind.RENEWAL: 1, DueKind.RETRY: 4}
    assert notices(story, ana)[-2:] == [
        NoticeTemplate.LAST_WARNING,
        NoticeTemplate.SUBSCRIPTION_LAPSED,
    ]
    assert gateway.captured == {}


def notices(story: Story, member: Member) -> list[NoticeTemplate]:
    """What a payer is told."""
    return [
        entry.event.template
        for entry in story.events(subscription_of(member.account))
        if isinstance(entry.event, NoticeRequested)
    ]


@pytest.mark.rule("S8")
def test_a_late_success_pays_from_the_old_end(story: Story) -> None:
    """The third try succeeds, and the next month begins on its day all the same."""
    ana = story.subscriber()
    played(story.acta, BookedGateway(declines=declining(1, 2)), midnight(4, 1))
    assert [event for event in history(story, ana) if "Captured" in event] == [
        "03-03 PaymentCaptured",
    ]  # fmt: skip
    assert [paid.period_from for paid in _payments(story, ana)][1:] == [date(2026, 2, 28)]


def _payments(story: Story, member: Member) -> list[PaymentCaptured]:
    return [
        entry.event
        for entry in story.events(subscription_of(member.account))
        if isinstance(entry.event, PaymentCaptured)
    ]


@pytest.mark.rule("S4")
def test_what_was_ended_lapses_when_it_has_run_out(story: Story, gateway: BookedGateway) -> None:
    """Nothing is charged for it any more."""
    ana = story.subscriber()
    story.ask(EndSubscription(at=noon(2026, 2, 10), account=ana.who), ana.itself)
    report = played(story.acta, gateway, SPRING)
    assert history(story, ana) == ["02-10 SubscriptionEnded", "02-28 SubscriptionLapsed"]
    assert report.done == {DueKind.LAPSE: 1}
    assert gateway.asked == []


@pytest.mark.rule("S2", "S5")
def test_whoever_pays_by_transfer_is_reminded_and_lapses(
    story: Story, gateway: BookedGateway
) -> None:
    """A transfer is waited for until what is paid runs out."""
    ana = story.subscriber(months=3)
    report = played(story.acta, gateway, SPRING)
    assert history(story, ana) == ["04-30 SubscriptionLapsed"]
    assert report.done == {DueKind.PAYMENT_REMINDER: 1, DueKind.LAPSE: 1}
    assert gateway.asked == []


@pytest.mark.rule("S7")
def test_the_card_that_was_chosen_is_charged(story: Story, gateway: BookedGateway) -> None:
    """By what the gateway calls it, which is in the vault alone; none where none was given."""
    ana, bruno = story.subscriber(), story.subscriber("bruno@example.com")
    chosen = ChoosePaymentMethod(
        at=BEGINNING, account=ana.who, means=PaymentMeans.CARD, months=1, card_token="pm_card_visa"
    )
    story.ask(chosen, ana.itself)
    played(story.acta, gateway, midnight(2, 28))
    tokens = {
        order.account: order.token for order, _ in gateway.asked if isinstance(order, ChargeOrder)
    }
    assert tokens == {ana.who: "pm_card_visa", bruno.who: None}


@pytest.mark.rule("S7")
def test_an_unknown_charge_is_asked_about_day_by_day(story: Story) -> None:
    """It is recorded once; known at last, it pays from the old end, and is charged no second time.

    From midnight to midnight in Chile, and with the business time at which it was asked.
    """
    ana = story.subscriber()
    gateway = BookedGateway(deaf=lambda order: order.at < midnight(3, 3))
    report = played(story.acta, gateway, midnight(3, 30))
    assert history(story, ana) == [
        "02-28 ChargeRequested", "02-28 PaymentOutcomeUnknown", "03-03 PaymentCaptured",
    ]  # fmt: skip
    assert [(order.at, again) for order, again in gateway.asked] == [
        (midnight(2, 28), False), (midnight(3, 1), True), (midnight(3, 2), True),
        (midnight(3, 3), True),
    ]  # fmt: skip
    assert report.done == {DueKind.RENEWAL: 1, DueKind.RESOLUTION: 1}
    assert report.unresolved == 0


@pytest.mark.rule("S7")
def test_a_charge_that_stays_unknown_lapses_and_is_asked_about_all_the_same(story: Story) -> None:
    """Access ends with its grace; what the gateway took is on record once it says so."""
    ana = story.subscriber()
    gateway = BookedGateway(silent=lambda order: order.at < midnight(4, 2))
    report = played(story.acta, gateway, noon(2026, 4, 1))
    assert history(story, ana)[1:] == ["02-28 PaymentOutcomeUnknown", "03-08 SubscriptionLapsed"]
    assert report.unresolved == 1
    assert report.complete
    assert len(gateway.asked) == 33

    again = played(story.acta, gateway, noon(2026, 4, 1))
    assert (again.done, again.unresolved) == ({}, 1)
    assert len(gateway.asked) == 33

    later = played(story.acta, gateway, noon(2026, 4, 3))
    assert later.done == {DueKind.RESOLUTION: 1}
    assert history(story, ana)[-1] == "04-02 PaymentCaptured"
    assert [paid.period_from.day for paid in _payments(story, ana)] == [31, 28]
    # Its days had passed: it is on record, and renews nothing.
    assert played(story.acta, gateway, SPRING).done == {}


@pytest.mark.rule("S1", "S7")
def test_a_charge_that_the_payer_asked_for_is_made(story: Story, gateway: BookedGateway) -> None:
    """The first payment is requested in the steps, and the clock asks the gateway for it."""
    ana = story.about_to_pay()
    story.ask(RequestCharge(at=BEGINNING, account=ana.who), ana.itself)
    report = played(story.acta, gateway, BEGINNING)
    assert history(story, ana)[-1] == "01-31 PaymentCaptured"
    assert report.done == {DueKind.RESOLUTION: 1}
    assert gateway.asked[0][1]


def refund(story: Story, member: Member, *, at: datetime, amount_minor: int = 990) -> UUID:
    """Staff give a part of the last payment back; the refund."""
    known_as = uuid4()
    payment = _payments(story, member)[-1]
    command = RefundPayment(
        at=at, account=member.who, refund=known_as, payment=payment.payment,
        amount_minor=amount_minor, currency=Currency.CLP, reason=RefundReason.REQUEST,
    )  # fmt: skip
    story.ask(command, MANAGER)
    return known_as


@pytest.mark.rule("S12")
def test_money_goes_back_through_the_gateway(story: Story, gateway: BookedGateway) -> None:
    """Under what the gateway calls the payment; it shortens nothing."""
    ana = story.subscriber()
    asked_for = refund(story, ana, at=noon(2026, 2, 3))
    report = played(story.acta, gateway, noon(2026, 2, 4))
    assert history(story, ana) == ["02-03 RefundRequested", "02-03 PaymentRefunded"]
    assert report.done == {DueKind.REFUND: 1}
    order = gateway.refunded[asked_for]
    assert (order.gateway_reference, order.amount_minor) == ("gateway-1", 990)


@pytest.mark.rule("S12")
def test_a_refund_without_answer_is_asked_for_until_there_is_one(story: Story) -> None:
    """Day by day, also by later runs; the money goes back once."""
    ana = story.subscriber()
    refund(story, ana, at=noon(2026, 2, 3))
    gateway = BookedGateway(silent=lambda order: order.at < midnight(2, 8))
    first = played(story.acta, gateway, noon(2026, 2, 5))
    assert (first.done, first.unresolved) == ({}, 1)
    second = played(story.acta, gateway, noon(2026, 2, 10))
    assert second.done == {DueKind.REFUND: 1}
    assert history(story, ana) == ["02-03 RefundRequested", "02-08 PaymentRefunded"]
    assert [order.at for order, _ in gateway.asked] == [
        noon(2026, 2, 3), *(midnight(2, day) for day in (4, 5, 6, 7, 8)),
    ]  # fmt: skip
    assert len(gateway.refunded) == 1


@pytest.mark.rule("S12")
def test_a_refund_that_the_gateway_refuses_has_failed(story: Story) -> None:
    """It can be asked for again by staff, and is not by the clock."""
    ana = story.subscriber()
    refund(story, ana, at=noon(2026, 2, 3))
    report = played(story.acta, BookedGateway(refuses=lambda _: True), noon(2026, 2, 10))
    assert history(story, ana) == ["02-03 RefundRequested", "02-03 RefundFailed"]
    assert report.done == {DueKind.REFUND: 1}


@pytest.mark.rule("S10")
def test_an_institution_pays_by_card_as_individuals_do(
    story: Story, gateway: BookedGateway
) -> None:
    """Its plan is charged in its own name."""
    plan = story.institution()
    by_card = ChoosePaymentMethod(at=BEGINNING, account=plan.who, means=PaymentMeans.CARD, months=1)
    story.ask(by_card, MANAGER)
    report = played(story.acta, gateway, midnight(4, 30))
    assert told(story.acta, plan.id)[-2:] == ["04-30 ChargeRequested", "04-30 PaymentCaptured"]
    assert report.done[DueKind.RENEWAL] == 1
    assert [order.account for order, _ in gateway.asked] == [plan.who]


@pytest.mark.rule("I6")
def test_an_invitation_is_reminded_of_and_expires(story: Story, gateway: BookedGateway) -> None:
    """Its days are counted from the instant at which it was sent."""
    plan = story.institution()
    invitation = story.invite(plan.id, "carla@example.com", by=plan.director.itself)
    report = played(story.acta, gateway, noon(2026, 2, 20))
    assert report.done == {DueKind.INVITATION_REMINDER: 1, DueKind.INVITATION_EXPIRY: 1}
    recorded = story.events(invitation)
    assert [type(entry.event).__name__ for entry in recorded] == [
        "InvitationSent", "InvitationNoticeRequested", "InvitationExpired",
    ]  # fmt: skip
    assert recorded[-1].event.occurred_at == BEGINNING + timedelta(days=14)


@pytest.mark.rule("C3")
def test_a_contract_is_reminded_of_and_expires(story: Story, gateway: BookedGateway) -> None:
    """Its last day is a day in its own time zone."""
    contract = uuid4()
    opened = OpenContract(
        at=BEGINNING, contract=contract, holder=uuid4(), contractor=uuid4(),
        valid_from=date(2026, 2, 1), valid_to=date(2026, 3, 10), required_roles=(),
        validator_kind=ValidatorKind.HOLDER_TECHNICIAN, validator_name="Vera Sanz",
        validator_phone="+34612345678", contact_name="Inés Cano",
        contact_email="ines@example.com",
    )  # fmt: skip
    story.ask(opened, MANAGER)
    report = played(story.acta, gateway, SPRING)
    assert report.done == {DueKind.CONTRACT_REMINDER: 1, DueKind.CONTRACT_EXPIRY: 1}
    happened = [type(entry.event).__name__ for entry in story.events(contract)]
    assert happened[-2:] == ["ContractNoticeRequested", "ContractExpired"]


@pytest.mark.rule("A10", "S7")
def test_of_a_closed_account_what_the_gateway_took_is_recorded(story: Story) -> None:
    """The charge was made before the closing, and nobody had heard of it."""
    ana = story.subscriber()
    gateway = BookedGateway(silent=lambda order: order.at < midnight(3, 1))
    assert played(story.acta, gateway, midnight(2, 28)).unresolved == 1
    story.close(ana, at=noon(2026, 2, 28))
    report = played(story.acta, gateway, SPRING)
    assert history(story, ana) == [
        "02-28 ChargeRequested", "02-28 PaymentOutcomeUnknown", "02-28 SubscriptionEnded",
        "03-01 PaymentCaptured",
    ]  # fmt: skip
    assert report.done == {DueKind.RESOLUTION: 1}


def ended(story: Story, member: Member) -> None:
    """By its payer, on the day of the renewal."""
    story.ask(EndSubscription(at=noon(2026, 2, 28), account=member.who), member.itself)


def closed(story: Story, member: Member) -> None:
    """With all that goes with it."""
    story.close(member, at=noon(2026, 2, 28))


def paid_by_transfer(story: Story, member: Member) -> None:
    """From now on."""
    transfer = ChoosePaymentMethod(
        at=noon(2026, 2, 28), account=member.who, means=PaymentMeans.TRANSFER, months=3
    )
    story.ask(transfer, member.itself)


@pytest.mark.rule("S4", "S6", "A10")
@pytest.mark.parametrize("meanwhile", [ended, closed, paid_by_transfer])
def test_a_charge_that_was_requested_and_never_made_is_not_made_once_it_is_over(
    story: Story, gateway: BookedGateway, meanwhile: Callable[[Story, Member], None]
) -> None:
    """Who was killed between the two left it; nobody wants it any more."""
    ana = story.subscriber()
    story.ask(RequestCharge(at=midnight(2, 28), account=ana.who), SYSTEM)
    meanwhile(story, ana)
    played(story.acta, gateway, midnight(3, 1))
    assert "02-28 PaymentDeclined" in history(story, ana)
    assert gateway.captured == {}


@pytest.mark.rule("S5", "S7")
def test_a_charge_is_not_made_for_days_that_have_passed(
    story: Story, gateway: BookedGateway
) -> None:
    """The gateway heard of it when the month that it was for was over."""
    ana = story.subscriber()
    story.ask(RequestCharge(at=midnight(2, 28), account=ana.who), SYSTEM)
    report = lived(story.acta, gateway, noon(2026, 5, 9))
    assert history(story, ana) == [
        "02-28 ChargeRequested", "05-09 PaymentDeclined", "05-09 SubscriptionLapsed",
    ]  # fmt: skip
    assert report.done == {DueKind.RESOLUTION: 1}
    assert gateway.captured == {}


# ---------------------------------------------------------------- once


def test_what_was_done_is_not_due_again(story: Story, gateway: BookedGateway) -> None:
    """A second run up to the same instant finds nothing."""
    story.subscriber()
    played(story.acta, gateway, SPRING)
    head = story.acta.store.head()
    again = played(story.acta, gateway, SPRING)
    assert again.done == {}
    assert again.complete
    assert story.acta.store.head() == head


def test_the_clock_is_not_set_back(story: Story, gateway: BookedGateway) -> None:
    """An instant before the last one is refused before anything is done."""
    story.subscriber()
    played(story.acta, gateway, SPRING)
    story.subscriber("bruno@example.com")
    head = story.acta.store.head()
    with pytest.raises(InvalidInput) as caught:
        played(story.acta, gateway, SPRING - timedelta(microseconds=1))
    assert SPRING.isoformat() in caught.value.message
    with pytest.raises(InvalidInput):
        lived(story.acta, gateway, SPRING - timedelta(minutes=2))
    assert story.acta.store.head() == head
    # The clock of another machine may be a little behind.
    assert lived(story.acta, gateway, SPRING - timedelta(seconds=5)).until == SPRING


@pytest.fixture
def people(database: TestDatabase) -> None:
    """A few subscriptions of all kinds, in a ledger that nobody has open."""
    with open_ledger(database.settings()) as acta:
        story = Story(acta)
        story.subscriber("february@example.com", at=noon(2026, 1, 31))
        story.subscriber("card@example.com", at=noon(2026, 2, 14))
        story.subscriber("other@example.com", at=noon(2026, 2, 14))
        story.subscriber("transfer@example.com", months=3, at=noon(2026, 2, 14))
        ended = story.subscriber("ended@example.com", at=noon(2026, 2, 20))
        story.ask(EndSubscription(at=noon(2026, 2, 21), account=ended.who), ended.itself)
        back = story.subscriber("refund@example.com", at=noon(2026, 2, 25))
        refund(story, back, at=noon(2026, 2, 26))
        plan = story.institution(at=noon(2026, 2, 1))
        by_card = ChoosePaymentMethod(
            at=noon(2026, 2, 1), account=plan.who, means=PaymentMeans.CARD, months=1
        )
        story.ask(by_card, MANAGER)
        story.invite(plan.id, "carla@example.com", by=plan.director.itself, at=noon(2026, 2, 3))


def difficult() -> BookedGateway:
    """A gateway that declines some tries, and is silent about others, by what is asked alone."""

    def declines(order: ChargeOrder) -> DeclineReason | None:
        unlucky = order.at.month % 3 == 0 and order.attempt <= order.at.month // 3
        return DeclineReason.INSUFFICIENT_FUNDS if unlucky else None

    def silent(order: ChargeOrder | RefundOrder) -> bool:
        return order.at.day in (14, 26, 30) and order.at.month % 2 == 0

    return BookedGateway(declines=declines, silent=silent)


END = noon(2026, 8, 1)


def half_a_year(acta: Acta, gateway: BookedGateway) -> ClockReport:
    """It is played at once."""
    return played(acta, gateway, END)


@pytest.mark.usefixtures("people")
def test_half_a_year_at_once_is_half_a_year_day_by_day(
    database: TestDatabase, server: EmbeddedServer
) -> None:
    """The same log, whichever instants the clock is given on the way (D15)."""
    with copied(server, database) as copy:
        with open_ledger(database.settings()) as acta:
            report = half_a_year(acta, difficult())
            at_once = read_log(acta)
        with open_ledger(copy.settings()) as acta:
            gateway, until = difficult(), noon(2026, 2, 1)
            days = 0
            while until < END:
                days += 1
                until = min(until + timedelta(hours=7 + days * 11 % 71), END)
                played(acta, gateway, until)
            assert compare_logs(at_once, read_log(acta)) == []
    assert min(report.done[kind] for kind in (DueKind.RENEWAL, DueKind.RETRY)) > 3
    assert report.done[DueKind.RESOLUTION] > 3


@pytest.mark.usefixtures("people")
def test_two_clocks_at_the_same_time_do_each_thing_once(
    database: TestDatabase, server: EmbeddedServer
) -> None:
    """They meet in the same receipts: the log is that of one alone."""
    with copied(server, database) as copy:
        with open_ledger(database.settings()) as acta:
            alone, book = half_a_year(acta, difficult()), difficult()
            log = read_log(acta)
        with open_ledger(copy.settings()) as one, open_ledger(copy.settings()) as other:
            one.projector.catch_up()
            barrier = threading.Barrier(2)

            def begin(acta: Acta) -> ClockReport:
                barrier.wait(timeout=60)
                return clock_of(acta, book).run(END)

            with ThreadPoolExecutor(2) as threads:
                reports = list(threads.map(begin, (one, other), timeout=300))
            assert compare_logs(log, read_log(one)) == []
    together = Counter(reports[0].done) + Counter(reports[1].done)
    # One may have asked what became of a charge while the other still waited for the answer.
    assert together.pop(DueKind.RESOLUTION) >= alone.done[DueKind.RESOLUTION]
    assert together == {kind: n for kind, n in alone.done.items() if kind != DueKind.RESOLUTION}
    assert all(report.complete for report in reports)


class Crashed(BaseException):
    """Stands for a kill: nobody catches it."""


POINTS = ("before append", "after commit", "commands given", "gateway asked", "outcomes recorded")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.usefixtures("people")
def test_whatever_is_broken_off_is_taken_up(
    database: TestDatabase, server: EmbeddedServer, point: str
) -> None:
    """At each point between the request, the gateway and the outcome, again and again."""
    with copied(server, database) as copy:
        with open_ledger(database.settings()) as acta:
            undisturbed = difficult()
            half_a_year(acta, undisturbed)
            log = read_log(acta)
        book, crashes, left = difficult(), 0, [3]

        def reached(at: str) -> None:
            if at == point:
                left[0] -= 1
                if left[0] == 0:
                    raise Crashed

        while True:
            left[0] = 3 + crashes
            try:
                with open_ledger(copy.settings(), reached=reached) as acta:
                    acta.projector.catch_up()
                    clock_of(acta, book, reached=reached).run(END)
                    break
            except Crashed:
                crashes += 1
        assert crashes > 3
        with open_ledger(copy.settings()) as acta:
            assert compare_logs(log, read_log(acta)) == []
        assert book.captured.keys() == undisturbed.captured.keys()


# ---------------------------------------------------------------- now


@pytest.mark.rule("S8")
def test_after_an_outage_a_charge_is_dated_to_the_day_on_which_it_is_asked_for(
    story: Story,
) -> None:
    """And the retries follow from that day: those of three days do not happen at once."""
    ana = story.subscriber()
    gateway = BookedGateway(declines=declining(1))
    report = lived(story.acta, gateway, noon(2026, 3, 4))
    assert report.done == {DueKind.RENEWAL: 1}
    assert history(story, ana) == [
        "03-04 ChargeRequested", "03-04 PaymentDeclined", "03-04 SubscriptionPastDue",
    ]  # fmt: skip
    assert lived(story.acta, gateway, noon(2026, 3, 4)).done == {}
    assert lived(story.acta, gateway, noon(2026, 3, 5)).done == {DueKind.RETRY: 1}
    assert [payment.period_from for payment in _payments(story, ana)][1:] == [date(2026, 2, 28)]


@pytest.mark.rule("S5")
def test_after_an_outage_of_more_than_a_period_nothing_renews_it(
    story: Story, gateway: BookedGateway
) -> None:
    """The period that was to be paid has passed, and is not charged for: it lapses."""
    ana = story.subscriber()
    report = lived(story.acta, gateway, noon(2026, 4, 10))
    assert history(story, ana) == ["04-10 SubscriptionLapsed"]
    assert report.complete
    assert gateway.asked == []


@pytest.mark.rule("S7")
def test_now_an_unknown_charge_is_asked_about_once_a_run(story: Story) -> None:
    """It is dated to the instant at which the gateway answered."""
    ana = story.subscriber()
    gateway = BookedGateway(deaf=lambda order: order.at < noon(2026, 3, 1))
    for hour in range(3):
        report = lived(story.acta, gateway, noon(2026, 2, 28) + timedelta(hours=hour))
        assert report.unresolved == 1
    assert len(gateway.asked) == 3
    lived(story.acta, gateway, noon(2026, 3, 2))
    assert history(story, ana) == [
        "02-28 ChargeRequested", "02-28 PaymentOutcomeUnknown", "03-02 PaymentCaptured",
    ]  # fmt: skip


@pytest.mark.usefixtures("people")
def test_two_clocks_now_do_each_thing_once(database: TestDatabase) -> None:
    """Though each has another instant: whoever is second looks again, and goes on."""
    gateway = BookedGateway()
    barrier = threading.Barrier(2)
    with open_ledger(database.settings()) as one, open_ledger(database.settings()) as other:
        one.projector.catch_up()

        def begin(acta: Acta, second: int) -> ClockReport:
            barrier.wait(timeout=60)
            now = noon(2026, 3, 14) + timedelta(seconds=second)
            return clock_of(acta, gateway).run(now, live=True)

        with ThreadPoolExecutor(2) as threads:
            reports = list(threads.map(begin, (one, other), (0, 1), timeout=300))
        assert all(report.refused == () for report in reports)
        charged = Counter(
            (entry.event.subscription, entry.event.period_from)
            for entry in Story(one).events()
            if isinstance(entry.event, ChargeRequested)
        )
    assert set(charged.values()) == {1}
    assert len(gateway.captured) == len(charged)


# ---------------------------------------------------------------- what stands in the way


def test_without_a_gateway_what_needs_none_is_done(story: Story, gateway: BookedGateway) -> None:
    """Charges and refunds wait, nothing is requested, and the clock has not reached the instant."""
    ana = story.subscriber()
    refund(story, ana, at=noon(2026, 2, 3))
    story.subscriber("bruno@example.com", months=3)
    report = played(story.acta, None, SPRING)
    assert report.done == {DueKind.PAYMENT_REMINDER: 1, DueKind.LAPSE: 1}
    assert report.waiting == {DueKind.REFUND: 1, DueKind.RENEWAL: 1}
    assert not report.complete
    assert history(story, ana) == ["02-03 RefundRequested"]
    assert story.acta.store.clock() is None

    later = played(story.acta, gateway, SPRING)
    assert later.done == {DueKind.REFUND: 1, DueKind.RENEWAL: 4}
    assert story.acta.store.clock() == SPRING


class Unusable(BookedGateway):
    """Refuses Acta's key for one account."""

    def charge(self, order: ChargeOrder, *, again: bool = False) -> ChargeOutcome:
        """As it does, but for one."""
        if order.account == self.refused:
            raise GatewayUnusable("the gateway refuses Acta's key", remedy="Give another.")
        return super().charge(order, again=again)

    refused = ""


@pytest.mark.parametrize("group_max", [1, 200])
def test_a_gateway_that_refuses_acta_stops_charges_and_nothing_else(
    story: Story, monkeypatch: pytest.MonkeyPatch, group_max: int
) -> None:
    """What it had said of others is on record, and the charge is resolved by a later run.

    However many charges wait before them, reminders and lapses are done.
    """
    monkeypatch.setattr(clock_run, "GROUP_MAX", group_max)
    bruno = story.subscriber("bruno@example.com", at=noon(2026, 1, 27))
    ana, carla = story.subscriber(), story.subscriber("carla@example.com")
    by_transfer = story.subscriber("transfer@example.com", months=3, at=noon(2025, 12, 1))
    gateway = Unusable()
    gateway.refused = ana.who
    now = noon(2026, 3, 1)
    with pytest.raises(GatewayUnusable):
        lived(story.acta, gateway, now)
    assert history(story, by_transfer) == ["03-01 SubscriptionLapsed"]
    assert history(story, ana) == ["03-01 ChargeRequested"]
    assert history(story, bruno) == ["03-01 ChargeRequested", "03-01 PaymentCaptured"]
    gateway.refused = ""
    assert lived(story.acta, gateway, now).done[DueKind.RESOLUTION] == 1
    for member in (ana, carla):
        assert history(story, member) == ["03-01 ChargeRequested", "03-01 PaymentCaptured"]


class Disputing(BookedGateway):
    """Tells of another amount than it was asked for, of one account."""

    def _charge(self, order: ChargeOrder, declines: Charges, *, again: bool) -> ChargeOutcome:
        if order.account == self.disputed:
            raise OrderRefused("the gateway tells of another amount", remedy="Compare the books.")
        return super()._charge(order, declines, again=again)

    disputed = ""


@pytest.mark.parametrize("go", [played, lived])
def test_an_order_that_the_gateway_does_not_take_stops_no_other(
    story: Story, go: Callable[[Acta, BookedGateway, datetime], ClockReport]
) -> None:
    """It is told of, and stays due; everybody else is charged, also in the months to come."""
    ana, bruno = story.subscriber(), story.subscriber("bruno@example.com")
    gateway = Disputing()
    gateway.disputed = ana.who
    for until in (midnight(2, 28), midnight(3, 1), midnight(3, 31)):
        report = go(story.acta, gateway, until)
        assert [(no.who, no.message) for no in report.refused] == [
            (ana.who, "the gateway tells of another amount")
        ]
        assert not report.complete
    assert [line for line in history(story, bruno) if "Captured" in line] == [
        "02-28 PaymentCaptured", "03-31 PaymentCaptured",
    ]  # fmt: skip
    gateway.disputed = ""
    assert go(story.acta, gateway, midnight(3, 31)).done[DueKind.RESOLUTION] == 1


@pytest.mark.rule("S6")
def test_two_clocks_never_differ_about_one_charge(database: TestDatabase, tmp_path: Path) -> None:
    """One found no card; before that is on record, the payer chooses one, and another clock asks.

    The other waits until the first has recorded what it decided. Else the gateway would take money
    for a charge that is on record as declined, and once more for the next try.
    """
    at = noon(2026, 2, 28)
    with (
        open_ledger(database.settings()) as one,
        open_ledger(database.settings()) as two,
        gateway_of(tmp_path / "book") as desk,
        ThreadPoolExecutor(1) as threads,
    ):
        story, others = Story(one), list[Future[ClockReport]]()
        ana = story.subscriber()

        def reached(point: str) -> None:
            if point != "gateway asked":
                return
            choice = ChoosePaymentMethod(
                at=at, account=ana.who, means=PaymentMeans.CARD, months=1,
                card_token="pm_card_visa",
            )  # fmt: skip
            Story(two).ask(choice, ana.itself)
            others.append(threads.submit(lived, two, desk.asks, at + timedelta(seconds=1)))
            wait_until(lambda: sessions_alone(database) == 2)

        one.projector.catch_up()
        clock_of(one, desk.asks, reached=reached).run(at, live=True)
        [other] = others
        assert other.result(timeout=60).refused == ()
        assert [line for line in history(story, ana) if "Payment" in line] == [
            "02-28 PaymentMethodChosen", "02-28 PaymentDeclined",
        ]  # fmt: skip
        assert desk.captured == []
        lived(one, desk.asks, noon(2026, 3, 1))
        assert len(desk.captured) == 1


@pytest.mark.rule("S6")
def test_a_clock_that_was_not_alone_all_the_while_records_nothing(database: TestDatabase) -> None:
    """Its connection was lost while the gateway was asked; another clock may have asked since."""
    lost = [True]

    def reached(point: str) -> None:
        if point == "gateway asked" and lost.pop():
            with connect(database.administrator) as administrator:
                administrator.execute(
                    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'acta'"
                    " AND query ~ 'pg_try_advisory_lock'"
                )
            lost.append(False)

    with open_ledger(database.settings()) as acta:
        story, gateway = Story(acta), BookedGateway(declines=declining(1))
        ana = story.subscriber()
        acta.projector.catch_up()
        with pytest.raises(DatabaseUnavailable):
            clock_of(acta, gateway, reached=reached).run(midnight(2, 28))
        assert history(story, ana) == ["02-28 ChargeRequested"]
        assert played(acta, gateway, midnight(2, 28)).done == {DueKind.RESOLUTION: 1}
        assert "02-28 PaymentDeclined" in history(story, ana)


@pytest.mark.rule("S6")
def test_a_subscription_that_somebody_holds_stops_no_other(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that stands still in the middle; its charge is asked about once it is gone."""
    monkeypatch.setattr(clock_run, "PATIENCE_SECONDS", 0.2)
    with open_ledger(database.settings()) as acta, open_ledger(database.settings()) as other:
        story, gateway = Story(acta), BookedGateway()
        ana, bruno = story.subscriber(), story.subscriber("bruno@example.com")
        with alone_with(
            other.store.database,
            [subscription_of(ana.account)],
            patience_seconds=0,
            stopped=threading.Event(),
        ):
            assert lived(acta, gateway, midnight(2, 28)).unresolved == 1
            assert history(story, ana) == ["02-28 ChargeRequested"]
            assert history(story, bruno) == ["02-28 ChargeRequested", "02-28 PaymentCaptured"]
        assert lived(acta, gateway, midnight(2, 28)).done == {DueKind.RESOLUTION: 1}
        assert history(story, ana) == ["02-28 ChargeRequested", "02-28 PaymentCaptured"]


@pytest.mark.rule("S6")
def test_a_card_whose_token_was_altered_stops_no_other(
    story: Story, gateway: BookedGateway, database: TestDatabase
) -> None:
    """It is not taken for no card, which would be a decline; it is told of until that is mended."""
    ana, bruno = story.subscriber(), story.subscriber("bruno@example.com")
    for member, token in ((ana, "pm_card_visa"), (bruno, "pm_card_mastercard")):
        story.ask(by_card(member, token, at=BEGINNING), member.itself)
    with connect(database.administrator) as administrator:
        administrator.execute(
            "UPDATE vault.payment_tokens SET sealed = set_bit(sealed, length(sealed) * 8 - 1,"
            " 1 - get_bit(sealed, length(sealed) * 8 - 1)) WHERE subscription = %s",
            (subscription_of(ana.account),),
        )
    report = lived(story.acta, gateway, midnight(2, 28))
    assert [no.who for no in report.refused] == [ana.who]
    assert "token" in report.refused[0].message
    assert history(story, bruno)[-1] == "02-28 PaymentCaptured"
    assert history(story, ana)[-1] == "02-28 ChargeRequested"
    story.ask(by_card(ana, "pm_card_visa", at=midnight(2, 28)), ana.itself)
    assert lived(story.acta, gateway, midnight(2, 28)).complete
    assert history(story, ana)[-1] == "02-28 PaymentCaptured"


def by_card(member: Member, token: str, *, at: datetime) -> ChoosePaymentMethod:
    """What a payer chooses."""
    return ChoosePaymentMethod(
        at=at, account=member.who, means=PaymentMeans.CARD, months=1, card_token=token
    )


def test_a_clock_that_is_stopped_asks_the_gateway_nothing_more(story: Story) -> None:
    """What it had asked is recorded, and the next run asks about the rest."""
    members = [story.subscriber(f"{number}@example.com") for number in range(20)]
    story.acta.projector.catch_up()
    gateway = BookedGateway()
    clock = clock_of(story.acta, gateway, reached=lambda _: clock.stop())
    report = clock.run(midnight(2, 28), live=True)
    assert report.stopped
    assert len(gateway.asked) < len(members)
    assert lived(story.acta, gateway, midnight(2, 28)).complete
    assert len(gateway.captured) == len(members)
    assert {history(story, member)[-1] for member in members} == {"02-28 PaymentCaptured"}


@pytest.mark.rule("S6")
def test_an_outcome_that_contradicts_what_is_on_record_is_told_of(story: Story) -> None:
    """Somebody recorded a decline, and then the gateway says that it took the money."""
    ana = story.subscriber()

    class Slow(BookedGateway):
        """While it is asked, somebody says that the charge was declined."""

        def charge(self, order: ChargeOrder, *, again: bool = False) -> ChargeOutcome:
            """Takes the money all the same."""
            decline = DeclinePayment(
                at=order.at, account=ana.who, payment=order.payment,
                amount_minor=order.amount_minor, currency=order.currency,
                reason=DeclineReason.CARD_REFUSED,
            )  # fmt: skip
            story.ask(decline, SYSTEM)
            return super().charge(order, again=again)

    report = played(story.acta, Slow(), midnight(2, 28))
    [contradiction] = report.refused
    assert (contradiction.who, contradiction.kind) == (ana.who, DueKind.RENEWAL)
    assert "otherwise" in contradiction.message


def test_what_somebody_else_did_meanwhile_is_looked_at_again(database: TestDatabase) -> None:
    """A webhook tells the outcome while the clock waits for it, and an ending comes before it."""
    gateway, meanwhile = BookedGateway(), list[Callable[[], object]]()

    def reached(point: str) -> None:
        if point == "gateway asked" and meanwhile:
            meanwhile.pop()()

    with open_ledger(database.settings()) as acta, open_ledger(database.settings()) as other:
        story, beside = Story(acta), Story(other)
        ana = story.subscriber()

        def told_by_webhook() -> None:
            (order,) = gateway.captured.values()
            command = CapturePayment(
                at=midnight(2, 28) + timedelta(seconds=3), account=ana.who, payment=order.payment,
                amount_minor=order.amount_minor, currency=order.currency,
                gateway_reference=f"pi_{order.payment.hex}",
            )  # fmt: skip
            beside.ask(command, SYSTEM, command_id_of(command))
            beside.ask(EndSubscription(at=noon(2026, 3, 5), account=ana.who), ana.itself)

        meanwhile.append(told_by_webhook)
        acta.projector.catch_up()
        report = clock_of(acta, gateway, reached=reached).run(SPRING)
        assert history(story, ana) == [
            "02-28 ChargeRequested", "02-28 PaymentCaptured", "03-05 SubscriptionEnded",
            "03-31 SubscriptionLapsed",
        ]  # fmt: skip
        assert report.complete
        assert report.done == {DueKind.RENEWAL: 1, DueKind.LAPSE: 1}


def test_a_refusal_of_what_is_still_due_is_reported_once(
    story: Story, gateway: BookedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are done, the clock has not reached its end, and a later run tries anew."""
    ana, bruno = story.subscriber(), story.subscriber("bruno@example.com")

    def wrong(due: Due, subject: Subject, seen: Outlook, at: datetime) -> Command | None:
        if subject.who == ana.who:
            return LapseSubscription(at=at - timedelta(days=9), account=ana.who)
        return command_for(due, subject, seen, at)

    with monkeypatch.context() as patched:
        patched.setattr(clock_run, "command_for", wrong)
        reports = [played(story.acta, gateway, midnight(2, 28)) for _ in range(2)]
    for report in reports:
        (refused,) = report.refused
        assert (refused.who, refused.kind, refused.rule) == (ana.who, DueKind.RENEWAL, "S5")
        assert not report.complete
    assert reports[0].done == {DueKind.RENEWAL: 1}
    assert history(story, bruno)[-1] == "02-28 PaymentCaptured"
    # Kept under the id of the due thing, it stands in the way of no later decision.
    assert played(story.acta, gateway, midnight(2, 28)).done == {DueKind.RENEWAL: 1}
    assert history(story, ana)[-1] == "02-28 PaymentCaptured"


def test_a_parked_stream_leaves_the_list_in_doubt(
    story: Story, gateway: BookedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More may be due than is listed (X6): what is listed is done, and the clock stays behind."""
    story.subscriber()
    monkeypatch.setattr("handlers.due_queries.is_degraded", lambda *_, **__: True)
    report = played(story.acta, gateway, midnight(2, 28))
    assert report.degraded
    assert not report.complete
    assert report.done == {DueKind.RENEWAL: 1}
    assert story.acta.store.clock() is None


# ---------------------------------------------------------------- on and on


def test_the_loop_sleeps_until_the_next_thing_is_due(
    story: Story, gateway: BookedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a minute, where nothing is due within it."""
    story.subscriber()
    story.acta.projector.catch_up()
    clock = clock_of(story.acta, gateway)
    moment = [midnight(2, 28) - timedelta(seconds=75)]
    slept: list[float] = []

    def wait(seconds: float) -> bool:
        slept.append(seconds)
        moment[0] += timedelta(seconds=seconds)
        if len(slept) == 3:
            clock.stop()
        return False

    monkeypatch.setattr(clock._stopped, "wait", wait)
    clock.follow(lambda: moment[0])
    assert slept == [60, 15, 60]
    assert len(gateway.captured) == 1


def test_the_loop_outlives_a_database_that_restarts(
    story: Story, gateway: BookedGateway, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of the fault, and does what is due once the database is back."""
    story.subscriber()
    story.acta.projector.catch_up()
    clock = clock_of(story.acta, gateway)
    monkeypatch.setattr("handlers.workers.clock.OUTAGE_SECONDS", 0.01)
    faults: list[str] = []
    with ExitStack() as gone:
        gone.enter_context(away(database))

        def waiting(fault: Fault) -> None:
            faults.append(type(fault).__name__)
            gone.close()

        clock.follow(lambda: midnight(2, 28), told=lambda _: clock.stop(), waiting=waiting)
    assert set(faults) == {"DatabaseUnavailable"}
    assert len(gateway.captured) == 1


def test_stopped_midway_it_says_so(story: Story, gateway: BookedGateway) -> None:
    """What is at hand is ended first, and the next run goes on."""
    ana = story.subscriber()
    story.acta.projector.catch_up()
    clock = clock_of(story.acta, gateway)
    report = clock.run(SPRING, progress=lambda _: clock.stop())
    assert report.stopped
    assert not report.complete
    assert history(story, ana) == ["02-28 ChargeRequested", "02-28 PaymentCaptured"]
    assert played(story.acta, gateway, SPRING).done == {DueKind.RENEWAL: 3}
