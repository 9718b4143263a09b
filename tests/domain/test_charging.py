"""Charging a card: requests, outcomes, retries, silence, and prices with notice (S4 to S9)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import pytest

from domain.account import AccountEvent
from domain.actor import Actor
from domain.calendar import start_of_day
from domain.due import DueKind, due_of
from domain.money import Currency
from domain.streams import payment_of
from domain.subscription import (
    AnnouncePrice,
    CapturePayment,
    ChargeRequested,
    ChargingTerms,
    ChooseTaxDocument,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    NoticeReason,
    NoticeTemplate,
    PaymentCaptured,
    PlanConfirmed,
    PriceAnnounced,
    ReactivateSubscription,
    RecordUnknownCharge,
    RequestCharge,
    Subscription,
    SubscriptionDecision,
    SubscriptionEvent,
    SubscriptionPastDue,
    SubscriptionStanding,
    SubscriptionSurroundings,
    TaxDocumentKind,
    UnknownReason,
    decide,
    renews_by_card,
    subscription_decider,
)
from tests.domain.stories import (
    MONTHLY_PRICE_MINOR,
    SANTIAGO,
    SUBSCRIPTION,
    WHO,
    about,
    account_after,
    boleta_chosen,
    captured,
    charge_captured,
    charge_declined,
    closed,
    ended,
    lapsed,
    manager,
    method_chosen,
    noon,
    outcome_unknown,
    owner,
    paid,
    past_due,
    payment_id,
    plan_confirmed,
    reactivated,
    ready,
    receipt,
    requested,
    started,
    steps,
    suspended,
    system,
    told,
)
from tests.specification import Given, given

FIRST_OF_MARCH = noon(2025, 3, 1)
END_OF_MARCH = date(2025, 3, 31)
FIRST_OF_APRIL = date(2025, 4, 1)
END_OF_APRIL = date(2025, 4, 30)
RENEWAL_DAY = start_of_day(FIRST_OF_APRIL, SANTIAGO)
"""The first instant that a month from 1 March does not pay for."""
AN_INSTANT = timedelta(microseconds=1)

renewal = requested(RENEWAL_DAY, FIRST_OF_APRIL, END_OF_APRIL)
RENEWING = [*paid(FIRST_OF_MARCH), renewal]
"""Paid for March, and April is about to be charged."""
PAST_DUE = [
    *RENEWING,
    charge_declined(renewal, RENEWAL_DAY),
    past_due(RENEWAL_DAY, renewal.payment),
    told(
        0,
        RENEWAL_DAY,
        NoticeTemplate.PAYMENT_DECLINED,
        NoticeReason.PAYMENT_DECLINED,
        renewal.payment,
        last_day=date(2025, 4, 8),
    ),
]
"""April was declined on its first day."""
RETRY_DAYS = [
    start_of_day(FIRST_OF_APRIL + timedelta(days=days), SANTIAGO) for days in (1, 3, 5, 7)
]
"""The first instants of the days of the tries; clocks in Chile change among them."""


def charging(at: datetime = RENEWAL_DAY) -> RequestCharge:
    """The clock wants the next period charged."""
    return RequestCharge(at=at, account=WHO)


def capturing(request: ChargeRequested, at: datetime) -> CapturePayment:
    """The gateway has the money."""
    return CapturePayment(
        at=at,
        account=WHO,
        payment=request.payment,
        amount_minor=request.amount_minor,
        currency=request.currency,
        gateway_reference="gateway-4711",
    )


def declining(request: ChargeRequested, at: datetime) -> DeclinePayment:
    """The gateway has no money."""
    return DeclinePayment(
        at=at,
        account=WHO,
        payment=request.payment,
        amount_minor=request.amount_minor,
        currency=request.currency,
        reason=DeclineReason.INSUFFICIENT_FUNDS,
    )


def not_knowing(request: ChargeRequested, at: datetime) -> RecordUnknownCharge:
    """The gateway did not answer."""
    return RecordUnknownCharge(
        at=at, account=WHO, payment=request.payment, reason=UnknownReason.TIMEOUT
    )


def announcing(
    effective_from: date = date(2025, 5, 1),
    *,
    price_version: int = 2,
    plan: str = "full-access",
    currency: Currency = Currency.CLP,
    at: datetime = FIRST_OF_MARCH,
) -> AnnouncePrice:
    """The operator wants more."""
    return AnnouncePrice(
        at=at,
        account=WHO,
        plan=plan,
        price_version=price_version,
        monthly_price_minor=11990,
        currency=currency,
        effective_from=effective_from,
    )


def changing_plans(
    plan: str = "basic",
    price_version: int = 3,
    *,
    currency: Currency = Currency.CLP,
    at: datetime = RENEWAL_DAY,
) -> ConfirmPlan:
    """The payer agrees to something cheaper."""
    return ConfirmPlan(
        at=at,
        account=WHO,
        plan=plan,
        price_version=price_version,
        monthly_price_minor=4990,
        currency=currency,
    )


def choosing_factura(at: datetime = RENEWAL_DAY) -> ChooseTaxDocument:
    """The payer is a business from now on."""
    return ChooseTaxDocument(
        at=at,
        account=WHO,
        kind=TaxDocumentKind.FACTURA,
        company_name="Rojas SpA",
        company_rut="76543210-3",
        line_of_business="Bookshop",
        address="Calle Larga 1, Valdivia",
    )


def asks(
    command: SubscriptionDecision,
    actor: Actor = system,
    account: Sequence[AccountEvent] = ready,
    terms: ChargingTerms = ChargingTerms(),  # noqa: B008  it is frozen
) -> Callable[[Subscription], Sequence[SubscriptionEvent]]:
    """This actor gives this command about the subscription of this account."""
    around = SubscriptionSurroundings(SUBSCRIPTION, account_after(*account), terms)
    return lambda subscription: decide(command, actor, subscription, around)


def after(*events: SubscriptionEvent) -> Given[Subscription, SubscriptionEvent]:
    """This has happened."""
    return given(subscription_decider, *events)


# ---------------------------------------------------------------- requests


@pytest.mark.rule("S5", "S6")
def test_a_renewal_is_requested_before_the_gateway_is_asked() -> None:
    """For the period that follows what is paid, under an id made from it."""
    after(*paid(FIRST_OF_MARCH)).when(asks(charging())).then(renewal)
    assert renewal.payment == payment_of(SUBSCRIPTION, FIRST_OF_APRIL, 1)


@pytest.mark.rule("S6")
def test_nothing_is_charged_before_its_day() -> None:
    """What is paid for is not charged, to the last instant; transfers may come early."""
    outcome = after(*paid(FIRST_OF_MARCH)).when(asks(charging(RENEWAL_DAY - AN_INSTANT)))
    outcome.then_refused("S6", remedy_contains="2025-04-01")


@pytest.mark.rule("S3", "S6")
def test_the_first_payment_is_requested_on_its_own_day() -> None:
    """Once the steps are complete, the period begins on the day of the request."""
    expected = requested(FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
    after(*steps()).when(asks(charging(FIRST_OF_MARCH))).then(expected)


@pytest.mark.rule("S1")
def test_nothing_is_charged_before_the_steps_are_complete() -> None:
    """The refusal names the missing one."""
    past = after(started(), boleta_chosen, plan_confirmed)
    past.when(asks(charging())).then_refused("S1", message_contains="'means of payment'")


@pytest.mark.rule("S2")
def test_a_transfer_is_not_charged() -> None:
    """The payer makes it."""
    past = after(*paid(FIRST_OF_MARCH, months=3))
    past.when(asks(charging(noon(2025, 5, 31)))).then_refused("S2", remedy_contains="transfer")


@pytest.mark.rule("S4", "A6")
@pytest.mark.parametrize(
    ("stop", "rule"),
    [
        (ended(FIRST_OF_MARCH, END_OF_MARCH), "A6"),
        (lapsed(RENEWAL_DAY, END_OF_MARCH), "A6"),
    ],
    ids=["ended", "lapsed"],
)
def test_what_was_ended_or_lapsed_is_not_charged(stop: SubscriptionEvent, rule: str) -> None:
    """The payer begins anew first."""
    after(*paid(FIRST_OF_MARCH), stop).when(asks(charging())).then_refused(rule)


@pytest.mark.rule("S6")
def test_no_charge_is_requested_while_another_has_no_outcome() -> None:
    """However often the clock asks, and whatever was restarted."""
    after(*RENEWING).when(asks(charging())).then_refused("S6", remedy_contains="outcome")


@pytest.mark.rule("S7")
def test_no_charge_is_requested_while_the_outcome_of_another_is_unknown() -> None:
    """Also not on the day of a retry."""
    unknown = outcome_unknown(renewal.payment, RENEWAL_DAY, date(2025, 4, 8))
    for at in (RENEWAL_DAY, *RETRY_DAYS):
        after(*RENEWING, unknown).when(asks(charging(at))).then_refused("S7")


@pytest.mark.rule("A10")
def test_a_closed_account_is_not_charged() -> None:
    """Nothing is charged for it; what was on its way is still recorded."""
    past = after(*paid(FIRST_OF_MARCH))
    past.when(asks(charging(), account=[*ready, closed])).then_refused("A10")
    for command in (capturing, declining, not_knowing):
        on_its_way = after(*RENEWING).when(
            asks(command(renewal, RENEWAL_DAY), account=[*ready, closed])
        )
        assert on_its_way.events


# ---------------------------------------------------------------- captured


@pytest.mark.rule("S5", "S6")
@pytest.mark.parametrize("at", [RENEWAL_DAY, noon(2025, 4, 20), noon(2025, 6, 1)])
def test_a_charge_pays_for_the_period_that_it_was_requested_for(at: datetime) -> None:
    """Whenever its outcome comes; and the payer gets a receipt."""
    payment = charge_captured(renewal, at)
    after(*RENEWING).when(asks(capturing(renewal, at))).then(payment, receipt(payment))


@pytest.mark.rule("S6")
@pytest.mark.parametrize("again", [capturing, declining, not_knowing])
def test_a_charge_has_one_outcome(again: Callable[..., SubscriptionDecision]) -> None:
    """Webhooks that come twice, late or in another order change nothing."""
    for outcome in (charge_captured, charge_declined):
        past = after(*RENEWING, outcome(renewal, RENEWAL_DAY))
        past.when(asks(again(renewal, RENEWAL_DAY))).then_refused("S6")


@pytest.mark.rule("S6")
@pytest.mark.parametrize("command", [capturing, declining])
def test_no_other_payment_is_recorded_while_a_charge_has_no_outcome(
    command: Callable[..., SubscriptionDecision],
) -> None:
    """The same period would be paid twice."""
    other = renewal.model_copy(update={"payment": payment_id(9)})
    outcome = after(*RENEWING).when(asks(command(other, RENEWAL_DAY), manager))
    if command is declining:
        outcome = after(*RENEWING).when(asks(command(other, RENEWAL_DAY)))
    outcome.then_refused("S6", message_contains="another charge")


@pytest.mark.rule("S5")
@pytest.mark.parametrize("command", [capturing, declining])
@pytest.mark.parametrize(
    "wrong", [{"amount_minor": 1}, {"currency": Currency.EUR}], ids=["amount", "currency"]
)
def test_an_outcome_names_the_amount_of_its_charge(
    command: Callable[..., SubscriptionDecision], wrong: dict[str, object]
) -> None:
    """A gateway that lies about it is told so."""
    lying = command(renewal, RENEWAL_DAY).model_copy(update=wrong)
    after(*RENEWING).when(asks(lying)).then_refused("S5", message_contains="9,990 CLP")


MEANWHILE = {
    "another plan": changing_plans(),
    "another version": changing_plans("full-access"),
    "another currency": changing_plans(currency=Currency.EUR),
    "another tax document": choosing_factura(),
    "another price": announcing(FIRST_OF_APRIL, at=RENEWAL_DAY),
}
"""What may change between a request and its outcome."""


@pytest.mark.rule("S5", "S11")
@pytest.mark.parametrize("meanwhile", MEANWHILE.values(), ids=MEANWHILE)
def test_a_payment_bears_what_was_asked_for(meanwhile: SubscriptionDecision) -> None:
    """Its plan, price and tax document are those of the request, and so is its period."""
    at_once = ChargingTerms(notice_days=0)
    changed = after(*RENEWING).when(asks(meanwhile, manager, terms=at_once))
    assert changed.events
    payment, _ = changed.and_when(asks(capturing(renewal, RENEWAL_DAY))).events
    assert payment == charge_captured(renewal, RENEWAL_DAY)


@pytest.mark.rule("S5")
def test_another_plan_is_charged_from_the_next_period_on() -> None:
    """And so it is with another tax document (S11)."""
    changed = after(*RENEWING).when(asks(changing_plans(), owner))
    changed = changed.and_when(asks(choosing_factura(), owner))
    captured_late = changed.and_when(asks(capturing(renewal, RENEWAL_DAY)))
    [request] = captured_late.and_when(asks(charging(noon(2025, 5, 1)))).events
    assert isinstance(request, ChargeRequested)
    assert (request.plan, request.price_version, request.amount_minor) == ("basic", 3, 4990)
    assert request.tax_document is TaxDocumentKind.FACTURA


@pytest.mark.rule("A11", "S6", "S7")
@pytest.mark.parametrize("silence", [False, True], ids=["requested", "unknown"])
def test_a_charge_on_its_way_may_yet_get_a_tax_document(silence: bool) -> None:
    """The term of the law runs from today, until its outcome is known."""
    unknown = outcome_unknown(renewal.payment, RENEWAL_DAY, date(2025, 4, 8))
    past = [*RENEWING, *([unknown] if silence else [])]
    today, much_later = noon(2025, 4, 5), noon(2027, 1, 1)
    assert after(*past).state.last_tax_day(today) == date(2025, 4, 5)
    assert after(*past).state.last_tax_day(much_later) == date(2027, 1, 1)
    paid_for = after(*past, charge_captured(renewal, today)).state
    assert paid_for.last_tax_day(much_later) == date(2025, 4, 5)
    not_paid = after(*past, charge_declined(renewal, today)).state
    assert not_paid.last_tax_day(much_later) == date(2025, 3, 1)


# ---------------------------------------------------------------- a first payment


first_charge = requested(FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
FIRST_CHARGED = [*steps(), first_charge]
"""The steps are complete, and the first month is about to be charged."""


def first_payment(at: datetime, first_day: date, last_day: date) -> PaymentCaptured:
    """The first charge brought its money, and this is what it pays for."""
    days = {"period_from": first_day, "period_to": last_day}
    return charge_captured(first_charge, at).model_copy(update=days)


@pytest.mark.rule("S3", "S5", "S7")
@pytest.mark.parametrize(
    ("at", "first_day", "last_day"),
    [
        (FIRST_OF_MARCH, date(2025, 3, 1), date(2025, 3, 31)),
        (start_of_day(date(2025, 3, 2), SANTIAGO) - AN_INSTANT, date(2025, 3, 1), END_OF_MARCH),
        (start_of_day(date(2025, 3, 2), SANTIAGO), date(2025, 3, 2), date(2025, 4, 1)),
        (noon(2025, 3, 31), date(2025, 3, 31), date(2025, 4, 29)),
        (noon(2025, 6, 20), date(2025, 6, 20), date(2025, 7, 19)),
    ],
    ids=["at once", "the same day", "the next day", "at the end of a month", "months later"],
)
@pytest.mark.parametrize("silence", [True, False], ids=["after silence", "late"])
def test_a_first_payment_pays_from_the_day_on_which_it_is_known(
    at: datetime, first_day: date, last_day: date, silence: bool
) -> None:
    """There was no access before, so no day before is paid for; months are counted from it."""
    unknown = outcome_unknown(first_charge.payment, FIRST_OF_MARCH, None)
    past = after(*FIRST_CHARGED, *([unknown] if silence else []))
    payment = first_payment(at, first_day, last_day)
    captured_late = past.when(asks(capturing(first_charge, at)))
    captured_late.then(payment, receipt(payment))
    renewed_from = last_day + timedelta(days=1)
    [request] = captured_late.and_when(asks(charging(start_of_day(renewed_from, SANTIAGO)))).events
    assert isinstance(request, ChargeRequested)
    assert request.period_from == renewed_from


@pytest.mark.rule("S2", "S3")
def test_a_first_payment_by_card_pays_a_month_whatever_means_are_chosen_meanwhile() -> None:
    """It is for a month that the money was asked; what follows is by the new means."""
    at = noon(2025, 3, 5)
    past = after(*FIRST_CHARGED, method_chosen(12))
    payment = first_payment(at, date(2025, 3, 5), date(2025, 4, 4))
    past.when(asks(capturing(first_charge, at))).then(payment, receipt(payment))


@pytest.mark.rule("S3", "S5", "S11")
@pytest.mark.parametrize(
    "meanwhile",
    [changing_plans(at=FIRST_OF_MARCH), choosing_factura(FIRST_OF_MARCH)],
    ids=["another plan", "another tax document"],
)
def test_a_first_payment_bears_what_was_asked_for(meanwhile: SubscriptionDecision) -> None:
    """Also where the payer goes through the steps once more before its outcome comes."""
    changed = after(*FIRST_CHARGED).when(asks(meanwhile, owner))
    payment, _ = changed.and_when(asks(capturing(first_charge, FIRST_OF_MARCH))).events
    assert payment == charge_captured(first_charge, FIRST_OF_MARCH)


@pytest.mark.rule("S5", "S9", "A6")
@pytest.mark.parametrize(
    ("at", "first_day", "last_day"),
    [
        (noon(2025, 6, 20), date(2025, 6, 20), date(2025, 7, 19)),
        (noon(2025, 6, 25), date(2025, 6, 25), date(2025, 7, 24)),
    ],
    ids=["at once", "later"],
)
def test_so_does_the_first_payment_after_a_lapse(
    at: datetime, first_day: date, last_day: date
) -> None:
    """It sets a new day from which months are counted."""
    begun_anew = noon(2025, 6, 20)
    again = [lapsed(noon(2025, 4, 2), END_OF_MARCH), reactivated(begun_anew), *steps()[1:]]
    past = after(*paid(FIRST_OF_MARCH), *again)
    charge = past.when(asks(charging(begun_anew)))
    [request] = charge.events
    assert isinstance(request, ChargeRequested)
    payment, _ = charge.and_when(asks(capturing(request, at))).events
    assert isinstance(payment, PaymentCaptured)
    assert (payment.period_from, payment.period_to) == (first_day, last_day)


# ---------------------------------------------------------------- declined


@pytest.mark.rule("S8")
def test_a_declined_renewal_is_past_due_and_tried_again() -> None:
    """1, 3, 5 and 7 days after the first decline; the payer is told."""
    after(*RENEWING).when(asks(declining(renewal, RENEWAL_DAY))).then(*PAST_DUE[-3:])


@pytest.mark.rule("S8")
def test_the_days_of_the_tries_are_a_setting() -> None:
    """They stand in the event, so that a changed setting changes nothing that was said."""
    [_, event, notice] = (
        after(*RENEWING)
        .when(asks(declining(renewal, RENEWAL_DAY), terms=ChargingTerms(retry_days=(2,))))
        .events
    )
    assert isinstance(event, SubscriptionPastDue)
    assert event.retries_on == (date(2025, 4, 3),)
    assert event.access_until == date(2025, 4, 3)
    assert notice == told(
        0,
        RENEWAL_DAY,
        NoticeTemplate.LAST_WARNING,
        NoticeReason.ONE_TRY_LEFT,
        renewal.payment,
        last_day=date(2025, 4, 3),
    )


@pytest.mark.rule("S8")
def test_without_any_retry_a_declined_renewal_lapses() -> None:
    """There is no grace without a try to come."""
    terms = ChargingTerms(retry_days=())
    at = RENEWAL_DAY
    after(*RENEWING).when(asks(declining(renewal, at), terms=terms)).then(
        charge_declined(renewal, at),
        lapsed(at, END_OF_MARCH),
        told(
            0,
            at,
            NoticeTemplate.SUBSCRIPTION_LAPSED,
            NoticeReason.LAST_TRY_FAILED,
            renewal.payment,
            last_day=END_OF_MARCH,
        ),
    )
    [unknown] = after(*RENEWING).when(asks(not_knowing(renewal, at), terms=terms)).events
    assert unknown == outcome_unknown(renewal.payment, at, None)


@pytest.mark.rule("S8")
def test_a_try_waits_for_its_day() -> None:
    """Before it, the refusal names it."""
    early = asks(charging(RETRY_DAYS[0] - AN_INSTANT))
    after(*PAST_DUE).when(early).then_refused("S8", remedy_contains="2025-04-02")


def retried(times: int) -> tuple[list[SubscriptionEvent], list[ChargeRequested]]:
    """Past due, and so many tries on their days have failed, each by its own decision."""
    past, tries = list[SubscriptionEvent](PAST_DUE), list[ChargeRequested]()
    for at in RETRY_DAYS[:times]:
        [request] = after(*past).when(asks(charging(at))).events
        assert isinstance(request, ChargeRequested)
        tries.append(request)
        past.append(request)
        past += after(*past).when(asks(declining(request, at))).events
    return past, tries


@pytest.mark.rule("S8", "S5")
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_late_success_pays_from_the_old_end(times: int) -> None:
    """Whichever try succeeds, the period is the one that was declined."""
    past, _ = retried(times)
    at = RETRY_DAYS[times]
    tried = after(*past).when(asks(charging(at)))
    [request] = tried.events
    assert isinstance(request, ChargeRequested)
    assert (request.attempt, request.period_from) == (times + 2, FIRST_OF_APRIL)
    payment, _ = tried.and_when(asks(capturing(request, at))).events
    state = after(*past, request, payment).state
    assert (state.paid_through, state.past_due, state.grace_until) == (END_OF_APRIL, None, None)


@pytest.mark.rule("S8")
def test_the_last_try_that_fails_makes_it_lapse() -> None:
    """In one decision with the decline; the try before it brought the last warning."""
    past, tries = retried(4)
    *_, declined_last, event, notice = past
    assert declined_last == charge_declined(tries[-1], RETRY_DAYS[-1])
    assert event == lapsed(RETRY_DAYS[-1], END_OF_MARCH)
    assert notice == told(
        4,
        RETRY_DAYS[-1],
        NoticeTemplate.SUBSCRIPTION_LAPSED,
        NoticeReason.LAST_TRY_FAILED,
        tries[-1].payment,
        last_day=END_OF_MARCH,
    )
    warning = retried(3)[0][-1]
    assert warning == told(
        3,
        RETRY_DAYS[2],
        NoticeTemplate.LAST_WARNING,
        NoticeReason.ONE_TRY_LEFT,
        tries[2].payment,
        last_day=date(2025, 4, 8),
    )
    assert len({request.payment for request in tries} | {renewal.payment}) == 5


@pytest.mark.rule("S8")
def test_tries_that_were_missed_are_not_made_up_for() -> None:
    """Of a try whose outcome came late, the next one is the first that is yet to come."""
    [request] = after(*PAST_DUE).when(asks(charging(RETRY_DAYS[0]))).events
    assert isinstance(request, ChargeRequested)
    at = noon(2025, 4, 6)
    declined = after(*PAST_DUE, request).when(asks(declining(request, at)))
    state = after(*PAST_DUE, request, *declined.events).state
    assert state.past_due
    assert state.past_due.retries_on == (date(2025, 4, 8),)
    assert declined.events[-1] == told(
        1,
        at,
        NoticeTemplate.LAST_WARNING,
        NoticeReason.ONE_TRY_LEFT,
        request.payment,
        last_day=date(2025, 4, 8),
    )


@pytest.mark.rule("S5", "S8")
def test_days_of_grace_that_reach_beyond_the_period_still_renew_it() -> None:
    """A first decline that came late in the period is tried again all the same."""
    at = noon(2025, 4, 28)
    late = requested(at, FIRST_OF_APRIL, END_OF_APRIL)
    past = [*paid(FIRST_OF_MARCH), late]
    past += after(*past).when(asks(declining(late, at))).events
    assert renews_by_card(after(*past).state, noon(2025, 5, 5))
    assert not renews_by_card(after(*past).state, noon(2025, 5, 6))
    [request] = after(*past).when(asks(charging(noon(2025, 5, 5)))).events
    assert isinstance(request, ChargeRequested)
    assert (request.period_from, request.period_to) == (FIRST_OF_APRIL, END_OF_APRIL)


@pytest.mark.rule("S3", "S8")
def test_a_declined_first_payment_has_no_grace() -> None:
    """The payer is told, and tries again under a new id whenever they like."""
    request = requested(FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
    declined = after(*steps(), request).when(asks(declining(request, FIRST_OF_MARCH)))
    declined.then(
        charge_declined(request, FIRST_OF_MARCH),
        told(
            0,
            FIRST_OF_MARCH,
            NoticeTemplate.PAYMENT_DECLINED,
            NoticeReason.PAYMENT_DECLINED,
            request.payment,
        ),
    )
    [again] = declined.and_when(asks(charging(FIRST_OF_MARCH))).events
    assert again == requested(FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH, attempt=2)


@pytest.mark.rule("S8", "S9")
def test_the_payer_can_change_what_was_declined() -> None:
    """In the days of grace another plan, other means, and a transfer from the old end."""
    at = noon(2025, 4, 3)
    changed = after(*PAST_DUE).when(asks(changing_plans(at=at), owner))
    [request] = changed.and_when(asks(charging(RETRY_DAYS[1]))).events
    assert isinstance(request, ChargeRequested)
    assert (request.plan, request.amount_minor) == ("basic", 4990)
    by_transfer = CapturePayment(
        at=at,
        account=WHO,
        payment=payment_id(7),
        amount_minor=MONTHLY_PRICE_MINOR,
        currency=Currency.CLP,
        gateway_reference="bank-7",
    )
    payment, told_of = after(*PAST_DUE).when(asks(by_transfer, manager)).events
    assert isinstance(payment, PaymentCaptured)
    assert told_of == receipt(payment, 1)
    assert (payment.period_from, payment.period_to) == (FIRST_OF_APRIL, END_OF_APRIL)


@pytest.mark.rule("S8")
def test_what_is_dated_back_brings_no_try_forward() -> None:
    """A try follows from the latest of what was chosen, whichever was recorded last."""
    past = after(*PAST_DUE).when(asks(changing_plans(at=noon(2025, 4, 3)), owner))
    past = past.and_when(asks(choosing_factura(noon(2025, 4, 2)), manager))
    [retry] = due_of(after(*past.past.events, *past.events).state)
    assert (retry.kind, retry.at) == (DueKind.RETRY, noon(2025, 4, 3))


# ---------------------------------------------------------------- unknown


@pytest.mark.rule("S7")
def test_silence_is_recorded_once() -> None:
    """With the last day of access; said again it is nothing new."""
    unknown = outcome_unknown(renewal.payment, RENEWAL_DAY, date(2025, 4, 8))
    said = after(*RENEWING).when(asks(not_knowing(renewal, RENEWAL_DAY)))
    said.then(unknown)
    said.and_when(asks(not_knowing(renewal, noon(2025, 4, 2)))).then_nothing()


@pytest.mark.rule("S7")
@pytest.mark.parametrize("past", [paid(FIRST_OF_MARCH), RENEWING], ids=["none", "another"])
def test_only_what_was_requested_can_be_unknown(past: list[SubscriptionEvent]) -> None:
    """Nobody asked for any other charge."""
    other = renewal.model_copy(update={"payment": payment_id(9)})
    after(*past).when(asks(not_knowing(other, RENEWAL_DAY))).then_refused("S7")


@pytest.mark.rule("S3", "S7")
def test_an_unknown_first_payment_gives_no_access() -> None:
    """There is no grace for what was never paid."""
    request = requested(FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
    past = after(*steps(), request)
    past.when(asks(not_knowing(request, FIRST_OF_MARCH))).then(
        outcome_unknown(
            request.payment,
            FIRST_OF_MARCH,
            None,
            period_from=date(2025, 3, 1),
            period_to=END_OF_MARCH,
        )
    )


@pytest.mark.rule("S7", "S8")
def test_an_unknown_try_gives_no_more_days_than_the_decline_did() -> None:
    """At most until the last day of the schedule."""
    request = requested(RETRY_DAYS[3], FIRST_OF_APRIL, END_OF_APRIL, attempt=2)
    outcome = after(*PAST_DUE, request).when(asks(not_knowing(request, RETRY_DAYS[3])))
    outcome.then(outcome_unknown(request.payment, RETRY_DAYS[3], date(2025, 4, 8), attempt=2))


@pytest.mark.rule("S7", "S8")
def test_silence_takes_no_grace_away() -> None:
    """An unknown outcome that names no last day leaves the one that the decline gave."""
    request = requested(RETRY_DAYS[0], FIRST_OF_APRIL, END_OF_APRIL, attempt=2)
    unknown = outcome_unknown(request.payment, RETRY_DAYS[0], None, attempt=2)
    state = after(*PAST_DUE, request, unknown).state
    assert state.last_day_of_grace == date(2025, 4, 8)
    assert not state.over(noon(2025, 4, 8))
    assert state.over(GRACE_OVER)


UNKNOWN = [*RENEWING, outcome_unknown(renewal.payment, RENEWAL_DAY, date(2025, 4, 8))]
GRACE_OVER = start_of_day(date(2025, 4, 9), SANTIAGO)


@pytest.mark.rule("S7", "S8")
def test_an_unknown_charge_that_turns_out_declined_is_tried_again() -> None:
    """On what is left of its days, which count from the charge; on the last, it lapses."""
    known_at = noon(2025, 4, 4)
    events = after(*UNKNOWN).when(asks(declining(renewal, known_at))).events
    tries_left = {"retries_on": (date(2025, 4, 6), date(2025, 4, 8)), "occurred_at": known_at}
    assert events[1] == past_due(RENEWAL_DAY, renewal.payment).model_copy(update=tries_left)
    last_day = after(*UNKNOWN).when(asks(declining(renewal, noon(2025, 4, 8)))).events
    assert last_day[1] == lapsed(noon(2025, 4, 8), END_OF_MARCH)
    late = after(*UNKNOWN).when(asks(declining(renewal, GRACE_OVER))).events
    assert late[1] == lapsed(GRACE_OVER, END_OF_MARCH)


@pytest.mark.rule("S5", "S7", "S8")
def test_nothing_lapses_in_its_grace() -> None:
    """It does once the days are over, though nobody knows yet; and what was paid then counts."""
    lapsing = LapseSubscription(at=GRACE_OVER, account=WHO)
    for past in (UNKNOWN, PAST_DUE):
        early = lapsing.model_copy(update={"at": GRACE_OVER - AN_INSTANT})
        after(*past).when(asks(early)).then_refused("S8", remedy_contains="2025-04-08")
    gone = after(*UNKNOWN).when(asks(lapsing))
    assert gone.events[0] == lapsed(GRACE_OVER, END_OF_MARCH)
    payment, _ = gone.and_when(asks(capturing(renewal, noon(2025, 4, 12)))).events
    state = after(*UNKNOWN, *gone.events, payment).state
    assert state.standing is SubscriptionStanding.ACTIVE
    assert state.paid_through == END_OF_APRIL


@pytest.mark.rule("S5", "S7")
@pytest.mark.parametrize(
    ("known_at", "standing"),
    [
        (start_of_day(date(2025, 5, 1), SANTIAGO) - AN_INSTANT, SubscriptionStanding.ACTIVE),
        (start_of_day(date(2025, 5, 1), SANTIAGO), SubscriptionStanding.LAPSED),
    ],
    ids=["on its last day", "the day after"],
)
def test_what_is_known_once_its_days_have_passed_renews_nothing(
    known_at: datetime, standing: SubscriptionStanding
) -> None:
    """It pays for April all the same; a lapse stands if April is over by then."""
    past = after(*UNKNOWN, lapsed(GRACE_OVER, END_OF_MARCH))
    payment, _ = past.when(asks(capturing(renewal, known_at))).events
    assert payment == charge_captured(renewal, known_at)
    state = after(*past.events, payment).state
    assert (state.standing, state.paid_through) == (standing, END_OF_APRIL)


@pytest.mark.rule("S7")
def test_a_charge_that_is_declined_after_the_lapse_changes_nothing() -> None:
    """There is nothing left to try again."""
    past = after(*UNKNOWN, lapsed(GRACE_OVER, END_OF_MARCH))
    at = noon(2025, 4, 12)
    past.when(asks(declining(renewal, at))).then(charge_declined(renewal, at))


@pytest.mark.rule("S6")
def test_nothing_lapses_while_a_charge_has_no_outcome() -> None:
    """The gateway is asked first: the charge may have paid."""
    lapsing = LapseSubscription(at=noon(2025, 4, 2), account=WHO)
    after(*RENEWING).when(asks(lapsing)).then_refused("S6", remedy_contains="gateway")
    by_payer = [*UNKNOWN, ended(RENEWAL_DAY, END_OF_MARCH)]
    after(*by_payer).when(asks(lapsing)).then_refused("S6")


@pytest.mark.rule("S7", "A6")
def test_nothing_begins_anew_while_an_outcome_is_unknown() -> None:
    """The same days could be paid twice."""
    again = ReactivateSubscription(at=GRACE_OVER, account=WHO)
    outcome = after(*UNKNOWN, lapsed(GRACE_OVER, END_OF_MARCH)).when(asks(again, owner))
    outcome.then_refused("S7", remedy_contains="gateway")


@pytest.mark.rule("S6", "S7", "A6")
@pytest.mark.parametrize(
    "past",
    [RENEWING, [*RENEWING, ended(RENEWAL_DAY, END_OF_MARCH)]],
    ids=["renewing", "ended meanwhile"],
)
def test_nothing_begins_anew_while_a_charge_is_on_its_way(past: list[SubscriptionEvent]) -> None:
    """Before anybody asked the gateway too, and though the paid days are over."""
    at = noon(2025, 4, 2)
    assert after(*past).state.over(at)
    again = ReactivateSubscription(at=at, account=WHO)
    outcome = after(*past).when(asks(again, owner))
    outcome.then_refused("S7", message_contains="no outcome yet", remedy_contains="gateway")


@pytest.mark.rule("A6", "S8")
@pytest.mark.parametrize("past", [PAST_DUE, UNKNOWN], ids=["past due", "unknown"])
def test_nothing_begins_anew_in_its_grace(past: list[SubscriptionEvent]) -> None:
    """It goes on."""
    again = ReactivateSubscription(at=noon(2025, 4, 3), account=WHO)
    after(*past).when(asks(again, owner)).then_refused("A6", message_contains="not lapsed")


# ---------------------------------------------------------------- ending meanwhile


@pytest.mark.rule("S4", "S8")
@pytest.mark.parametrize("past", [RENEWING, PAST_DUE, UNKNOWN])
def test_it_can_be_ended_while_its_renewal_is_not_paid(past: list[SubscriptionEvent]) -> None:
    """Access goes no further than what is paid."""
    at = noon(2025, 4, 3)
    ending = EndSubscription(at=at, account=WHO)
    event = after(*past).when(asks(ending, owner)).events[0]
    assert event == ended(at, END_OF_MARCH)
    state = after(*past, event).state
    assert state.over(at)
    assert (state.past_due, state.grace_until) == (None, None)


@pytest.mark.rule("S4", "S6")
def test_an_ending_stands_whatever_became_of_the_charge() -> None:
    """What it paid for is used; nothing is tried again."""
    at = noon(2025, 4, 3)
    past = after(*UNKNOWN, ended(RENEWAL_DAY, END_OF_MARCH))
    past.when(asks(declining(renewal, at))).then(charge_declined(renewal, at))
    payment, _ = past.when(asks(capturing(renewal, at))).events
    state = after(*past.events, payment).state
    assert (state.standing, state.paid_through) == (SubscriptionStanding.ENDED, END_OF_APRIL)
    [unknown] = (
        after(*RENEWING, ended(RENEWAL_DAY, END_OF_MARCH))
        .when(asks(not_knowing(renewal, at)))
        .events
    )
    assert unknown == outcome_unknown(renewal.payment, at, None)


@pytest.mark.rule("S6", "A10")
def test_charges_go_on_while_an_account_is_suspended() -> None:
    """Only the owner waits."""
    outcome = after(*paid(FIRST_OF_MARCH)).when(asks(charging(), account=[*ready, suspended]))
    outcome.then(renewal)


# ---------------------------------------------------------------- prices


def price(effective_from: date = date(2025, 5, 1), price_version: int = 2) -> PriceAnnounced:
    """It will cost more."""
    return PriceAnnounced(
        **about(FIRST_OF_MARCH),
        plan="full-access",
        price_version=price_version,
        monthly_price_minor=11990,
        currency=Currency.CLP,
        former_price_version=1,
        former_monthly_price_minor=MONTHLY_PRICE_MINOR,
        effective_from=effective_from,
        time_zone=SANTIAGO,
    )


@pytest.mark.rule("S5")
def test_a_price_is_announced_in_time_and_the_payer_told() -> None:
    """30 days before it holds; said again it is nothing new."""
    said = after(*paid(FIRST_OF_MARCH)).when(asks(announcing(date(2025, 3, 31)), manager))
    said.then(
        price(date(2025, 3, 31)),
        told(
            0,
            FIRST_OF_MARCH,
            NoticeTemplate.PRICE_CHANGE,
            NoticeReason.PRICE_ANNOUNCED,
            price_version=2,
        ),
    )
    said.and_when(asks(announcing(date(2025, 3, 31)), manager)).then_nothing()
    late = after(*paid(FIRST_OF_MARCH)).when(asks(announcing(date(2025, 3, 30)), manager))
    late.then_refused("S5", message_contains="30 days", remedy_contains="2025-03-31")


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("past", "command", "said"),
    [
        (steps(), announcing(), "nothing is paid for"),
        (paid(FIRST_OF_MARCH), announcing(plan="other"), "not for this plan"),
        (paid(FIRST_OF_MARCH), announcing(currency=Currency.EUR), "another currency"),
        (paid(FIRST_OF_MARCH), announcing(price_version=1), "version 1"),
        ([*paid(FIRST_OF_MARCH), price()], announcing(date(2025, 6, 1)), "version 2"),
    ],
    ids=["not paid", "another plan", "another currency", "agreed before", "announced before"],
)
def test_what_is_no_new_price_is_refused(
    past: list[SubscriptionEvent], command: AnnouncePrice, said: str
) -> None:
    """It is a later version of the price of what is paid for, in its currency."""
    after(*past).when(asks(command, manager)).then_refused("S5", message_contains=said)


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("effective_from", "amount_minor", "price_version"),
    [(FIRST_OF_APRIL, 11990, 2), (date(2025, 4, 2), MONTHLY_PRICE_MINOR, 1)],
)
def test_a_price_holds_for_periods_that_begin_on_its_day_or_later(
    effective_from: date, amount_minor: int, price_version: int
) -> None:
    """The period decides, not the day of the charge."""
    past = after(*paid(FIRST_OF_MARCH), price(effective_from))
    [request] = past.when(asks(charging(noon(2025, 4, 20)))).events
    assert isinstance(request, ChargeRequested)
    assert (request.amount_minor, request.price_version) == (amount_minor, price_version)


@pytest.mark.rule("S5")
def test_agreeing_to_the_former_price_again_does_not_escape_the_announced_one() -> None:
    """A later version does, and so does another currency."""
    former = plan_confirmed
    newer = PlanConfirmed(**{**dict(plan_confirmed), "price_version": 3})
    euros = PlanConfirmed(**{**dict(plan_confirmed), "currency": Currency.EUR})
    for agreed, version in ((former, 2), (newer, 3), (euros, 1)):
        state = after(*paid(FIRST_OF_MARCH), price(), agreed).state
        terms = state.terms_on(date(2025, 5, 1))
        assert terms
        assert terms.price_version == version


@pytest.mark.rule("S5")
def test_the_announced_price_of_one_plan_is_not_that_of_another() -> None:
    """Whoever changes plans pays what they agreed to; whoever comes back, what was announced."""
    past = after(*paid(FIRST_OF_MARCH), price(FIRST_OF_APRIL))
    changed = past.when(asks(changing_plans(price_version=1, at=FIRST_OF_MARCH), owner))
    [request] = changed.and_when(asks(charging())).events
    assert request == renewal.model_copy(update={"plan": "basic", "amount_minor": 4990})
    back = changed.and_when(asks(changing_plans("full-access", 1, at=FIRST_OF_MARCH), owner))
    [request] = back.and_when(asks(charging())).events
    assert request == renewal.model_copy(update={"price_version": 2, "amount_minor": 11990})


@pytest.mark.rule("S5", "A6")
def test_whoever_begins_anew_agrees_to_a_price_anew() -> None:
    """What was announced before is forgotten."""
    past = after(*paid(FIRST_OF_MARCH), price(), lapsed(GRACE_OVER, END_OF_MARCH))
    state = after(*past.events, reactivated(GRACE_OVER)).state
    assert (state.prices, state.terms_on(date(2025, 5, 1))) == ((), None)


@pytest.mark.rule("S5", "S9")
def test_a_transfer_is_priced_by_the_first_day_that_it_pays_for() -> None:
    """Staff record what the announced price makes of its months."""
    past = after(*paid(FIRST_OF_MARCH, months=3), price(date(2025, 6, 1)))
    transfer = CapturePayment(
        at=noon(2025, 5, 20),
        account=WHO,
        payment=payment_id(2),
        amount_minor=3 * 11990,
        currency=Currency.CLP,
        gateway_reference="bank-2",
    )
    payment, told_of = past.when(asks(transfer, manager)).events
    assert isinstance(payment, PaymentCaptured)
    assert payment.price_version == 2
    assert told_of == receipt(payment)
    former = transfer.model_copy(update={"amount_minor": 3 * MONTHLY_PRICE_MINOR})
    past.when(asks(former, manager)).then_refused("S5", message_contains="35,970 CLP")


@pytest.mark.rule("S6")
def test_a_try_never_takes_an_id_that_was_used() -> None:
    """Also where a period of the same first day was tried before a lapse."""
    past, _ = retried(4)
    again = [reactivated(RETRY_DAYS[-1]), *steps()[1:]]
    dated_back = charging(RENEWAL_DAY)
    [request] = after(*past, *again).when(asks(dated_back)).events
    assert isinstance(request, ChargeRequested)
    assert (request.period_from, request.attempt) == (FIRST_OF_APRIL, 6)


@pytest.mark.rule("S13")
def test_what_was_paid_before_charges_were_requested_reads_as_before() -> None:
    """History without requests renews as ever."""
    second = captured(2, noon(2025, 4, 1), FIRST_OF_APRIL, END_OF_APRIL)
    state = after(*paid(FIRST_OF_MARCH), second).state
    assert (state.paid_through, state.charge, state.past_due) == (END_OF_APRIL, None, None)
