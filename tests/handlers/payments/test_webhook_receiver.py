"""What webhooks report is recorded once, whatever comes twice, late, reordered or meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.account import ErasePerson
from domain.money import Currency
from domain.streams import payment_of, subscription_of
from domain.subscription import (
    CapturePayment,
    ChargeRequested,
    ChoosePaymentMethod,
    DeclinePayment,
    DeclineReason,
    LapseSubscription,
    PaymentCaptured,
    PaymentDeclined,
    PaymentMeans,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    RecordUnknownCharge,
    RefundFailed,
    RefundPayment,
    RefundReason,
    RefundRequested,
    RequestCharge,
    SubscriptionPastDue,
    UnknownReason,
)
from handlers.composition import Acta, open_ledger
from handlers.ledger import Asked
from handlers.payments.outcomes import command_id_of
from handlers.workers.webhook_receiver import GATEWAY, WebhookReceiver
from tests.conftest import TestDatabase
from tests.handlers.outages import away
from tests.handlers.payments.sending import SECRET, of_charge, of_refund, sign
from tests.handlers.stories import ANA, BEGINNING, MANAGER, PRICE_MINOR, Member, Story, noon

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RENEWAL = noon(2026, 2, 28)
HOUR = timedelta(hours=1)
SUCCEEDED = "payment_intent.succeeded"
FAILED = "payment_intent.payment_failed"


class Payer:
    """Somebody who pays by card, and whose charges a gateway reports on."""

    def __init__(self, acta: Acta, email: str = ANA) -> None:
        self.story = Story(acta)
        self.receiver = WebhookReceiver(acta.ledger, acta.store, [SECRET.encode()])
        self.member: Member = self.story.subscriber(email)

    def gives_card(self, token: str) -> None:
        """The payer says which card to charge, as the gateway calls it."""
        choice = ChoosePaymentMethod(
            at=BEGINNING, account=self.member.who, means=PaymentMeans.CARD, months=1,
            card_token=token,
        )  # fmt: skip
        self.story.ask(choice, self.member.itself)

    def charged(self, at: datetime = RENEWAL) -> ChargeRequested:
        """A charge that was requested, and has no outcome yet."""
        self.story.ask(RequestCharge(at=at, account=self.member.who), GATEWAY)
        request = self.facts()[-1]
        assert isinstance(request, ChargeRequested)
        return request

    def refunding(self, payment: UUID, *, amount_minor: int = 990) -> RefundRequested:
        """A refund that was requested, and has no outcome yet."""
        command = RefundPayment(
            at=RENEWAL, account=self.member.who, refund=uuid4(), payment=payment,
            amount_minor=amount_minor, currency=Currency.CLP, reason=RefundReason.REQUEST,
        )  # fmt: skip
        self.story.ask(command, MANAGER)
        request = self.facts()[-1]
        assert isinstance(request, RefundRequested)
        return request

    def hears(self, body: bytes) -> tuple[int, str]:
        """What the gateway is answered, and the first word of what it is told."""
        answer = self.receiver.receive(body, sign(body, NOW), now=NOW)
        return answer.status.value, answer.said.partition(":")[0]

    def facts(self) -> list[object]:
        """What is on record of the subscription."""
        stream = subscription_of(self.member.account)
        return [recorded.event for recorded in self.story.events(stream)]

    def outcomes(self) -> list[str]:
        """Which outcomes are on record, after the first payment."""
        kinds = (
            PaymentCaptured, PaymentDeclined, PaymentOutcomeUnknown, PaymentRefunded, RefundFailed,
        )  # fmt: skip
        known = [type(fact).__name__ for fact in self.facts() if isinstance(fact, kinds)]
        return known[1:]


@pytest.fixture
def ana(acta: Acta) -> Payer:
    """Paid for February, and is charged for March."""
    return Payer(acta)


RECORDED, KNOWN = (200, "recorded"), (200, "known")
CONTRADICTION, UNKNOWN, IGNORED = (409, "contradiction"), (404, "unknown"), (200, "ignored")

# ---------------------------------------------------------------- outcomes


@pytest.mark.rule("S5", "S6")
def test_a_capture_is_recorded_once_however_often_it_is_told(ana: Payer) -> None:
    request = ana.charged()
    assert ana.hears(of_charge(request, created=RENEWAL + HOUR)) == RECORDED
    (captured,) = [fact for fact in ana.facts() if isinstance(fact, PaymentCaptured)][1:]
    assert (captured.payment, captured.period_from) == (request.payment, request.period_from)
    assert (captured.gateway_reference, captured.occurred_at) == ("pi_1", RENEWAL + HOUR)
    assert ana.hears(of_charge(request, created=RENEWAL + HOUR)) == KNOWN
    assert ana.hears(of_charge(request, created=RENEWAL + 9 * HOUR, name="evt_2")) == KNOWN
    assert ana.outcomes() == ["PaymentCaptured"]


@pytest.mark.rule("S8")
def test_a_decline_makes_the_renewal_past_due(ana: Payer) -> None:
    request = ana.charged()
    assert ana.hears(of_charge(request, FAILED)) == RECORDED
    (declined,) = [fact for fact in ana.facts() if isinstance(fact, PaymentDeclined)]
    assert declined.reason is DeclineReason.INSUFFICIENT_FUNDS
    assert any(isinstance(fact, SubscriptionPastDue) for fact in ana.facts())
    assert ana.hears(of_charge(request, FAILED, name="evt_2", last_payment_error=None)) == KNOWN
    assert ana.outcomes() == ["PaymentDeclined"]


@pytest.mark.rule("S7")
@pytest.mark.parametrize(
    ("kind", "outcome"), [(SUCCEEDED, "PaymentCaptured"), (FAILED, "PaymentDeclined")]
)
def test_an_unknown_charge_becomes_known(ana: Payer, kind: str, outcome: str) -> None:
    request = ana.charged()
    unknown = RecordUnknownCharge(
        at=RENEWAL, account=ana.member.who, payment=request.payment, reason=UnknownReason.TIMEOUT
    )
    ana.story.ask(unknown, GATEWAY, command_id_of(unknown))
    assert ana.hears(of_charge(request, kind, created=RENEWAL + HOUR)) == RECORDED
    assert ana.outcomes() == ["PaymentOutcomeUnknown", outcome]


@pytest.mark.rule("S5", "S7")
def test_it_becomes_known_after_the_subscription_has_lapsed_too(ana: Payer) -> None:
    """The money came in, whatever became of the subscription meanwhile."""
    request = ana.charged()
    unknown = RecordUnknownCharge(
        at=RENEWAL, account=ana.member.who, payment=request.payment, reason=UnknownReason.TIMEOUT
    )
    ana.story.ask(unknown, GATEWAY, command_id_of(unknown))
    lapse = LapseSubscription(at=noon(2026, 3, 20), account=ana.member.who)
    ana.story.ask(lapse, GATEWAY)
    assert ana.hears(of_charge(request, created=noon(2026, 3, 21))) == RECORDED
    assert ana.outcomes() == ["PaymentOutcomeUnknown", "PaymentCaptured"]


@pytest.mark.rule("S12")
@pytest.mark.parametrize(
    ("status", "outcome"), [("succeeded", "PaymentRefunded"), ("failed", "RefundFailed")]
)
def test_a_refund_is_recorded_once(ana: Payer, status: str, outcome: str) -> None:
    request = ana.charged()
    ana.hears(of_charge(request))
    refund = ana.refunding(request.payment)
    assert ana.hears(of_refund(refund, status="pending")) == IGNORED
    assert ana.hears(of_refund(refund, status=status)) == RECORDED
    assert ana.hears(of_refund(refund, "charge.refund.updated", status=status)) == KNOWN
    assert ana.hears(of_refund(refund, status="pending")) == IGNORED
    assert ana.outcomes() == ["PaymentCaptured", outcome]


def test_an_institutional_plan_pays_by_the_same_rules(acta: Acta) -> None:
    """Its charges are those of plan:ID."""
    story = Story(acta)
    plan = story.institution()
    by_card = ChoosePaymentMethod(at=RENEWAL, account=plan.who, means=PaymentMeans.CARD, months=1)
    story.ask(by_card, MANAGER)
    receiver = WebhookReceiver(acta.ledger, acta.store, [SECRET.encode()])
    story.ask(RequestCharge(at=noon(2026, 4, 30), account=plan.who), GATEWAY)
    request = story.events(plan.id)[-1].event
    assert isinstance(request, ChargeRequested)
    body = of_charge(request, account=plan.who)
    assert receiver.receive(body, sign(body, NOW), now=NOW).status is HTTPStatus.OK
    assert any(
        isinstance(recorded.event, PaymentCaptured) and recorded.event.payment == request.payment
        for recorded in story.events(plan.id)
    )


@pytest.mark.rule("A11", "S6")
def test_money_of_somebody_who_was_erased_meanwhile_is_recorded(ana: Payer) -> None:
    request = ana.charged()
    ana.story.ask(ErasePerson(at=RENEWAL, account=ana.member.who), MANAGER)
    assert ana.hears(of_charge(request)) == RECORDED


# ---------------------------------------------------------------- business time


@pytest.mark.parametrize(
    ("created", "at"),
    [
        (RENEWAL + HOUR, RENEWAL + HOUR),
        (RENEWAL - timedelta(seconds=1), RENEWAL),
        (RENEWAL - timedelta(days=365), RENEWAL),
    ],
    ids=["later", "a clock that lies behind", "a clock played ahead"],
)
def test_nothing_happened_before_it_was_asked_for(
    ana: Payer, created: datetime, at: datetime
) -> None:
    ana.hears(of_charge(ana.charged(), created=created))
    captured = [fact for fact in ana.facts() if isinstance(fact, PaymentCaptured)][-1]
    assert captured.occurred_at == at


# ---------------------------------------------------------------- order


@pytest.mark.rule("S6", "S8")
def test_late_and_reordered_ones_of_several_tries_change_nothing(ana: Payer) -> None:
    first = ana.charged()
    failed = of_charge(first, FAILED, id="pi_1")
    assert ana.hears(failed) == RECORDED
    second = ana.charged(RENEWAL + timedelta(days=1))
    succeeded = of_charge(second, id="pi_2")
    assert ana.hears(succeeded) == RECORDED
    before = len(ana.facts())
    for late in (succeeded, failed, failed, succeeded):
        assert ana.hears(late) == KNOWN
    assert len(ana.facts()) == before


def test_one_that_comes_before_what_it_is_about_is_sent_again(acta: Acta) -> None:
    """It is not known here yet, or in another ledger; then it is."""
    ana = Payer(acta)
    known = ana.charged()
    ana.hears(of_charge(known, FAILED))
    stream = subscription_of(ana.member.account)
    next_try = known.model_copy(update={"payment": payment_of(stream, known.period_from, 2)})
    assert ana.hears(of_charge(next_try, id="pi_2")) == UNKNOWN
    assert ana.charged(RENEWAL + timedelta(days=1)).payment == next_try.payment
    assert ana.hears(of_charge(next_try, id="pi_2")) == RECORDED


def test_what_nobody_asked_for_is_not_known(ana: Payer, acta: Acta) -> None:
    """Another payment, another's payment, an account that is none, a payment without a request."""
    request = ana.charged()
    bruno = Payer(acta, "bruno@example.com")
    (first,) = [fact for fact in bruno.facts() if isinstance(fact, PaymentCaptured)]
    before = len(ana.facts())
    for body in (
        of_charge(request.model_copy(update={"payment": uuid4()})),
        of_charge(request, account=bruno.member.who),
        of_charge(request, account=f"account:{uuid4()}"),
        of_charge(request, account=f"plan:{ana.member.account}"),
        of_charge(request.model_copy(update={"payment": first.payment}), account=bruno.member.who),
    ):
        assert ana.hears(body) == UNKNOWN
    assert len(ana.facts()) == before


# ---------------------------------------------------------------- contradictions


@pytest.mark.rule("S6")
@pytest.mark.parametrize(("first", "second"), [(SUCCEEDED, FAILED), (FAILED, SUCCEEDED)])
def test_the_record_is_never_written_over(ana: Payer, first: str, second: str) -> None:
    request = ana.charged()
    ana.hears(of_charge(request, first))
    before = len(ana.facts())
    assert ana.hears(of_charge(request, second, name="evt_2")) == CONTRADICTION
    assert ana.hears(of_charge(request, first)) == KNOWN
    assert len(ana.facts()) == before


@pytest.mark.rule("S6")
def test_a_second_capture_of_one_payment_is_told(ana: Payer) -> None:
    """The ids say where to look; nothing else does."""
    request = ana.charged()
    ana.hears(of_charge(request, id="pi_1"))
    body = of_charge(request, id="pi_2")
    answer = ana.receiver.receive(body, sign(body, NOW), now=NOW)
    assert answer.status is HTTPStatus.CONFLICT
    assert answer.said == (
        f"contradiction: Captured, payment {request.payment} of {ana.member.who}:"
        " it is pi_2 there, and pi_1 on record"
    )


@pytest.mark.rule("S12")
@pytest.mark.parametrize(("first", "second"), [("succeeded", "failed"), ("failed", "succeeded")])
def test_nor_is_the_outcome_of_a_refund(ana: Payer, first: str, second: str) -> None:
    request = ana.charged()
    ana.hears(of_charge(request))
    refund = ana.refunding(request.payment)
    ana.hears(of_refund(refund, status=first))
    assert ana.hears(of_refund(refund, status=second)) == CONTRADICTION


@pytest.mark.rule("S6", "S13")
@pytest.mark.parametrize(
    "other",
    [
        {"amount": PRICE_MINOR + 1, "amount_received": PRICE_MINOR + 1},
        {"amount_received": PRICE_MINOR - 1},
        {"amount_received": 0},
        {"currency": "eur"},
        {"currency": "xyz"},
    ],
)
def test_another_amount_is_not_recorded_and_blocks_nothing(
    ana: Payer, other: dict[str, Any]
) -> None:
    """A refusal would be kept under the id of the outcome, and the right one is yet to come."""
    request = ana.charged()
    assert ana.hears(of_charge(request, **other)) == CONTRADICTION
    assert ana.outcomes() == []
    assert ana.hears(of_charge(request)) == RECORDED
    assert ana.hears(of_charge(request, **other)) == CONTRADICTION


@pytest.mark.rule("S12")
@pytest.mark.parametrize("other", [{"amount": 991}, {"currency": "usd"}])
def test_nor_is_another_amount_of_a_refund(ana: Payer, other: dict[str, Any]) -> None:
    request = ana.charged()
    ana.hears(of_charge(request))
    refund = ana.refunding(request.payment)
    assert ana.hears(of_refund(refund, **other)) == CONTRADICTION
    assert ana.hears(of_refund(refund)) == RECORDED


# ---------------------------------------------------------------- at the same time


ROUNDS = 20


@pytest.mark.rule("S6")
@pytest.mark.parametrize("same_instant", [True, False])
def test_of_the_clock_and_a_webhook_one_records_it(acta: Acta, same_instant: bool) -> None:
    """The clock asked the gateway, whose webhook is faster at times; both are well answered."""
    ana = Payer(acta)
    at = RENEWAL
    for round_number in range(ROUNDS):
        request = ana.charged(at)
        webhook = of_charge(request, created=at if same_instant else at + HOUR)
        clock = CapturePayment(
            at=at, account=ana.member.who, payment=request.payment, amount_minor=PRICE_MINOR,
            currency=Currency.CLP, gateway_reference="pi_1",
        )  # fmt: skip
        together = Barrier(3)
        asked = Asked(clock, GATEWAY, command_id_of(clock))

        def records(asked: Asked = asked, barrier: Barrier = together) -> None:
            barrier.wait()
            acta.ledger.answer_together([asked])

        def hears(body: bytes = webhook, barrier: Barrier = together) -> tuple[int, str]:
            barrier.wait()
            return ana.hears(body)

        with ThreadPoolExecutor(3) as threads:
            threads.submit(records)
            heard = [threads.submit(hears), threads.submit(hears)]
        assert {answer.result() for answer in heard} <= {RECORDED, KNOWN}
        assert ana.hears(webhook) == KNOWN
        assert ana.outcomes() == ["PaymentCaptured"] * (round_number + 1)
        at = noon_after(request)


def noon_after(request: ChargeRequested) -> datetime:
    """Noon of the day after the period."""
    day = request.period_to + timedelta(days=1)
    return noon(day.year, day.month, day.day)


@pytest.mark.rule("S6")
def test_of_a_webhook_that_contradicts_the_clock_one_is_on_record(acta: Acta) -> None:
    """If it comes second, it is told so; if it comes first, the clock is."""
    for number in range(ROUNDS // 2):
        payer = Payer(acta, f"person{number}@example.com")
        request = payer.charged()
        webhook = of_charge(request)
        clock = DeclinePayment(
            at=RENEWAL, account=payer.member.who, payment=request.payment,
            amount_minor=PRICE_MINOR, currency=Currency.CLP, reason=DeclineReason.CARD_REFUSED,
        )  # fmt: skip
        together = Barrier(2)

        def records(command: DeclinePayment = clock, barrier: Barrier = together) -> bool:
            barrier.wait()
            return acta.ledger.answer(command, GATEWAY, command_id_of(command)).refusal is None

        with ThreadPoolExecutor(1) as threads:
            recorded = threads.submit(records)
            together.wait()
            heard = payer.hears(webhook)
        assert heard == (CONTRADICTION if recorded.result() else RECORDED)
        assert len(payer.outcomes()) == 1


# ---------------------------------------------------------------- outages


def test_while_the_database_is_away_the_gateway_is_asked_to_send_again(
    database: TestDatabase,
) -> None:
    """503, and nothing is lost: the same webhook is recorded later."""
    settings = database.settings().model_copy(update={"connect_timeout_seconds": 1})
    with open_ledger(settings) as acta:
        ana = Payer(acta)
        request = ana.charged()
        with away(database):
            assert ana.hears(of_charge(request)) == (503, "not recorded")
            assert ana.hears(b"{")[0] == 400
        assert ana.hears(of_charge(request)) == RECORDED
