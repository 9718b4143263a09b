"""A subscription, from its first step to its lapse and back (S1 to S11, A4, A6)."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.access_facts import access_fact
from domain.account import AccountEvent
from domain.actor import Actor
from domain.calendar import start_of_day
from domain.due import DueKind, due_of
from domain.money import Currency
from domain.subscription import (
    AnnouncePrice,
    CapturePayment,
    CaptureRefund,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    FailRefund,
    LapseSubscription,
    NoticeReason,
    NoticeRequested,
    NoticeTemplate,
    PaymentCaptured,
    PaymentMeans,
    PlanConfirmed,
    ReactivateSubscription,
    RecordUnknownCharge,
    RefundFailure,
    RefundPayment,
    RefundReason,
    RemindPayment,
    RequestCharge,
    ResumeSubscription,
    StartSubscription,
    Subscription,
    SubscriptionDecision,
    SubscriptionEvent,
    SubscriptionResumed,
    SubscriptionStanding,
    SubscriptionSurroundings,
    TaxDocumentChosen,
    TaxDocumentKind,
    UnknownReason,
    decide,
    subscription_decider,
)
from tests.domain.stories import (
    BEGINNING,
    MONTHLY_PRICE_MINOR,
    SANTIAGO,
    SUBSCRIPTION,
    WHO,
    about,
    account_after,
    boleta_chosen,
    captured,
    charge_captured,
    closed,
    declined,
    ended,
    lapsed,
    manager,
    method_chosen,
    noon,
    owner,
    paid,
    password_set,
    past_due,
    payment_id,
    phone_confirmed,
    plan_confirmed,
    reactivated,
    ready,
    receipt,
    registered,
    requested,
    started,
    steps,
    stranger,
    suspended,
    system,
    told,
)
from tests.specification import given

COMPANY = {
    "company_name": "Rojas SpA",
    "company_rut": "76543210-3",
    "line_of_business": "Bookshop",
    "address": "Calle Larga 1, Valdivia",
}
FIRST_OF_MARCH = noon(2025, 3, 1)
END_OF_MARCH = date(2025, 3, 31)
"""The last day that a month from 1 March pays for."""

starting = StartSubscription(at=BEGINNING, account=WHO)
choosing_boleta = ChooseTaxDocument(at=BEGINNING, account=WHO, kind=TaxDocumentKind.BOLETA)
choosing_factura = ChooseTaxDocument(
    at=BEGINNING, account=WHO, kind=TaxDocumentKind.FACTURA, **COMPANY
)
confirming_plan = ConfirmPlan(
    at=BEGINNING,
    account=WHO,
    plan="full-access",
    price_version=1,
    monthly_price_minor=MONTHLY_PRICE_MINOR,
    currency=Currency.CLP,
)
choosing_card = ChoosePaymentMethod(at=BEGINNING, account=WHO, means=PaymentMeans.CARD, months=1)


def paying(number: int = 1, at: datetime = BEGINNING, months: int = 1) -> CapturePayment:
    """A payment of the price of so many months."""
    return CapturePayment(
        at=at,
        account=WHO,
        payment=payment_id(number),
        amount_minor=MONTHLY_PRICE_MINOR * months,
        currency=Currency.CLP,
        gateway_reference=f"gateway-{number}",
    )


declining = DeclinePayment(
    at=BEGINNING,
    account=WHO,
    payment=payment_id(1),
    amount_minor=MONTHLY_PRICE_MINOR,
    currency=Currency.CLP,
    reason=DeclineReason.INSUFFICIENT_FUNDS,
)


def ending(at: datetime = BEGINNING) -> EndSubscription:
    """The payer wants no more."""
    return EndSubscription(at=at, account=WHO)


def resuming(at: datetime = BEGINNING) -> ResumeSubscription:
    """The payer wants it after all."""
    return ResumeSubscription(at=at, account=WHO)


def reminding(at: datetime = BEGINNING) -> RemindPayment:
    """Whoever pays by transfer shall be told in time."""
    return RemindPayment(at=at, account=WHO)


def lapsing(at: datetime = BEGINNING) -> LapseSubscription:
    """What was paid ran out."""
    return LapseSubscription(at=at, account=WHO)


def reactivating(at: datetime = BEGINNING) -> ReactivateSubscription:
    """The payer begins anew."""
    return ReactivateSubscription(at=at, account=WHO)


REFUNDS: list[SubscriptionDecision] = [
    RefundPayment(
        at=BEGINNING,
        account=WHO,
        refund=UUID(int=1),
        payment=payment_id(1),
        amount_minor=1,
        currency=Currency.CLP,
        reason=RefundReason.REQUEST,
    ),
    CaptureRefund(at=BEGINNING, account=WHO, refund=UUID(int=1), gateway_reference="gateway-1"),
    FailRefund(at=BEGINNING, account=WHO, refund=UUID(int=1), reason=RefundFailure.OTHER),
]
"""Money goes back whatever became of the account."""
ALL_COMMANDS: list[SubscriptionDecision] = [
    starting,
    choosing_boleta,
    confirming_plan,
    choosing_card,
    paying(),
    declining,
    ending(),
    resuming(),
    reminding(),
    lapsing(),
    reactivating(),
    RequestCharge(at=BEGINNING, account=WHO),
    RecordUnknownCharge(
        at=BEGINNING, account=WHO, payment=payment_id(1), reason=UnknownReason.TIMEOUT
    ),
    AnnouncePrice(
        at=BEGINNING,
        account=WHO,
        plan="full-access",
        price_version=2,
        monthly_price_minor=MONTHLY_PRICE_MINOR + 1000,
        currency=Currency.CLP,
        effective_from=date(2025, 6, 1),
    ),
    *REFUNDS,
]


def asks(
    command: SubscriptionDecision,
    actor: Actor = owner,
    account: Sequence[AccountEvent] = ready,
) -> Callable[[Subscription], Sequence[SubscriptionEvent]]:
    """This actor gives this command about the subscription of this account."""
    around = SubscriptionSurroundings(subscription=SUBSCRIPTION, account=account_after(*account))
    return lambda subscription: decide(command, actor, subscription, around)


def named(case: object) -> str:
    """What a case is called in a report."""
    return type(case).__name__


def days_paid(*events: SubscriptionEvent) -> tuple[date, date]:
    """The first and the last day that a payment pays for; with it comes its receipt."""
    payment, told_of = events
    assert isinstance(payment, PaymentCaptured)
    assert isinstance(told_of, NoticeRequested)
    assert told_of.payment == payment.payment
    return payment.period_from, payment.period_to


def test_every_command_of_a_subscription_is_told_about_here() -> None:
    """The cases that try every command miss none."""
    assert {type(command) for command in ALL_COMMANDS} == set(get_args(SubscriptionDecision))


# ---------------------------------------------------------------- whose account


@pytest.mark.rule("A1")
@pytest.mark.parametrize("command", ALL_COMMANDS, ids=named)
def test_a_subscription_needs_an_account(command: SubscriptionDecision) -> None:
    """Where there is no account there is nothing to subscribe."""
    given(subscription_decider).when(asks(command, account=[])).then_refused("A1")


@pytest.mark.rule("G1")
@pytest.mark.parametrize("command", ALL_COMMANDS, ids=named)
def test_nobody_subscribes_for_another_person(command: SubscriptionDecision) -> None:
    """A person acts on their own account alone."""
    outcome = given(subscription_decider).when(asks(command, stranger))
    outcome.then_refused("G1", remedy_contains="owner")


@pytest.mark.rule("A10")
@pytest.mark.parametrize("command", [c for c in ALL_COMMANDS if c not in REFUNDS], ids=named)
def test_nothing_happens_to_the_subscription_of_a_closed_account(
    command: SubscriptionDecision,
) -> None:
    """With a closed account its subscription stands still."""
    past = given(subscription_decider, *paid(FIRST_OF_MARCH))
    past.when(asks(command, account=[*ready, closed])).then_refused("A10")
    past.when(asks(command, system, account=[*ready, closed])).then_refused("A10")


@pytest.mark.rule("A10")
@pytest.mark.parametrize("command", ALL_COMMANDS, ids=named)
def test_a_suspended_owner_waits(command: SubscriptionDecision) -> None:
    """Whoever is suspended can do nothing with the subscription."""
    outcome = given(subscription_decider, *steps()).when(asks(command, account=[*ready, suspended]))
    outcome.then_refused("A10", remedy_contains="account manager")


@pytest.mark.rule("A10")
@pytest.mark.parametrize("actor", [system, manager], ids=["system", "account manager"])
def test_staff_and_system_go_on_while_an_account_is_suspended(actor: Actor) -> None:
    """A payment that came in counts, even if the account is suspended meanwhile."""
    outcome = given(subscription_decider, *steps()).when(
        asks(paying(), actor, account=[*ready, suspended])
    )
    payment = captured(1, BEGINNING, date(2025, 1, 1), date(2025, 1, 31))
    outcome.then(payment, receipt(payment))


# ---------------------------------------------------------------- the steps


@pytest.mark.rule("S1")
def test_the_steps_begin() -> None:
    """Whoever has a password and an active number begins the steps, in the days of a time zone."""
    given(subscription_decider).when(asks(starting)).then(started())


@pytest.mark.rule("S1")
def test_the_steps_in_their_order_lead_to_a_payment() -> None:
    """Tax document, plan, means of payment, payment: each step follows the one before."""
    payment = captured(1, FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH)
    given(subscription_decider).when(asks(starting)).and_when(asks(choosing_boleta)).and_when(
        asks(confirming_plan)
    ).and_when(asks(choosing_card)).and_when(asks(paying(at=FIRST_OF_MARCH), system)).then(
        payment, receipt(payment)
    )


@pytest.mark.rule("S1")
@pytest.mark.parametrize("past", [steps(), paid(FIRST_OF_MARCH)], ids=["in steps", "active"])
def test_a_subscription_is_started_once(past: list[SubscriptionEvent]) -> None:
    """What has been started goes on instead of starting over."""
    outcome = given(subscription_decider, *past).when(asks(starting))
    outcome.then_refused("S1", remedy_contains="ReactivateSubscription")


BEFORE_THE_START = [choosing_boleta, confirming_plan, choosing_card, paying(), declining]


@pytest.mark.rule("S1")
@pytest.mark.parametrize("command", BEFORE_THE_START, ids=named)
def test_no_step_comes_before_the_start(command: SubscriptionDecision) -> None:
    """Before the start, the refusal of every other step names the start."""
    given(subscription_decider).when(asks(command)).then_refused(
        "S1", message_contains="'start'", remedy_contains="StartSubscription"
    )


@pytest.mark.rule("S1")
@pytest.mark.parametrize(
    "command", [confirming_plan, choosing_card, paying(), declining], ids=named
)
def test_the_tax_document_comes_next(command: SubscriptionDecision) -> None:
    """Before the tax document, the refusal of every later step names it."""
    given(subscription_decider, started()).when(asks(command)).then_refused(
        "S1", message_contains="'tax document'", remedy_contains="ChooseTaxDocument"
    )


@pytest.mark.rule("S1")
@pytest.mark.parametrize("command", [choosing_card, paying(), declining], ids=named)
def test_the_plan_comes_after_the_tax_document(command: SubscriptionDecision) -> None:
    """Before the plan, the refusal of every later step names it."""
    given(subscription_decider, started(), boleta_chosen).when(asks(command)).then_refused(
        "S1", message_contains="'plan'", remedy_contains="ConfirmPlan"
    )


@pytest.mark.rule("S1")
@pytest.mark.parametrize("command", [paying(), declining], ids=named)
def test_the_means_of_payment_come_after_the_plan(command: SubscriptionDecision) -> None:
    """Before the means of payment, the refusal of every payment names them."""
    past = given(subscription_decider, started(), boleta_chosen, plan_confirmed)
    past.when(asks(command)).then_refused(
        "S1", message_contains="'means of payment'", remedy_contains="ChoosePaymentMethod"
    )


@pytest.mark.rule("S1")
def test_a_step_can_be_made_again() -> None:
    """The payer may think again about a step, before and after paying."""
    for past in (steps(), paid(FIRST_OF_MARCH)):
        for step in (choosing_boleta, confirming_plan, choosing_card):
            outcome = given(subscription_decider, *past).when(asks(step))
            assert len(outcome.events) == 1


@pytest.mark.rule("A4")
def test_a_subscription_needs_an_active_number() -> None:
    """An individual account has an active mobile number before it pays."""
    outcome = given(subscription_decider).when(asks(starting, account=[registered, password_set]))
    outcome.then_refused("A4", remedy_contains="one-time key")


@pytest.mark.rule("S1")
def test_a_subscription_needs_a_password() -> None:
    """The password belongs to the first step, and the refusal names it."""
    outcome = given(subscription_decider).when(
        asks(starting, account=[registered, phone_confirmed])
    )
    outcome.then_refused("S1", message_contains="'password'", remedy_contains="password")


# ---------------------------------------------------------------- tax document and plan


@pytest.mark.rule("S11")
def test_the_payer_chooses_a_boleta() -> None:
    """A boleta needs no data of a company, and none is kept."""
    past = given(subscription_decider, started())
    past.when(asks(choosing_boleta)).then(boleta_chosen)
    with_company = choosing_factura.model_copy(update={"kind": TaxDocumentKind.BOLETA})
    past.when(asks(with_company)).then(boleta_chosen)


@pytest.mark.rule("S11")
def test_the_payer_chooses_a_factura() -> None:
    """A factura is made out to a company: name, RUT, line of business and address."""
    given(subscription_decider, started()).when(asks(choosing_factura)).then(
        TaxDocumentChosen(
            **about(BEGINNING),
            kind=TaxDocumentKind.FACTURA,
            company_name="Rojas SpA",
            company_rut="76543210-3",
            line_of_business="Bookshop",
            address="Calle Larga 1, Valdivia",
        )
    )


@pytest.mark.rule("S11")
@pytest.mark.parametrize("missing", COMPANY)
def test_a_factura_lacks_nothing(missing: str) -> None:
    """A factura without one of its four data is refused, and the refusal names it."""
    lacking = choosing_factura.model_copy(update={missing: None})
    outcome = given(subscription_decider, started()).when(asks(lacking))
    outcome.then_refused("S11", message_contains=missing, remedy_contains="company")


@pytest.mark.rule("S11")
def test_a_refused_factura_names_all_that_it_lacks() -> None:
    """Whoever gives nothing is told about everything at once."""
    bare = ChooseTaxDocument(at=BEGINNING, account=WHO, kind=TaxDocumentKind.FACTURA)
    outcome = given(subscription_decider, started()).when(asks(bare))
    outcome.then_refused("S11", message_contains=", ".join(COMPANY))


@pytest.mark.rule("S11")
@pytest.mark.parametrize("field", COMPANY)
def test_a_blank_is_no_datum(field: str) -> None:
    """Blanks are no name, no RUT, no line of business and no address."""
    with pytest.raises(ValidationError, match=field):
        ChooseTaxDocument(
            at=BEGINNING, account=WHO, kind=TaxDocumentKind.FACTURA, **{**COMPANY, field: "  "}
        )


@pytest.mark.rule("S11", "S3")
def test_a_payment_carries_the_kind_of_its_tax_document() -> None:
    """The kind that was chosen last goes with the payment."""
    chosen = given(subscription_decider, *steps()).when(asks(choosing_factura))
    event, _ = chosen.and_when(asks(paying(), system)).events
    assert isinstance(event, PaymentCaptured)
    assert event.tax_document is TaxDocumentKind.FACTURA


@pytest.mark.rule("S1")
def test_the_payer_agrees_to_a_plan_at_a_price() -> None:
    """The plan, its price and the version of the prices are on record."""
    given(subscription_decider, started(), boleta_chosen).when(asks(confirming_plan)).then(
        PlanConfirmed(
            **about(BEGINNING),
            plan="full-access",
            price_version=1,
            monthly_price_minor=MONTHLY_PRICE_MINOR,
            currency=Currency.CLP,
        )
    )


# ---------------------------------------------------------------- means of payment


@pytest.mark.rule("S2")
@pytest.mark.parametrize(("means", "months"), [("card", 1), *(("transfer", n) for n in (3, 6, 12))])
def test_a_card_pays_monthly_and_a_transfer_for_3_6_or_12_months(means: str, months: int) -> None:
    """Each means of payment pays for its own numbers of months."""
    choosing = ChoosePaymentMethod.model_validate(
        {"at": BEGINNING, "account": WHO, "means": means, "months": months}
    )
    past = given(subscription_decider, started(), boleta_chosen, plan_confirmed)
    past.when(asks(choosing)).then(method_chosen(months))


@pytest.mark.rule("S2")
@pytest.mark.parametrize(
    ("means", "months"),
    [("card", 3), ("card", 12), ("transfer", 1), ("transfer", 2), ("card", 0), ("cheque", 3)],
)
def test_there_is_no_other_means_of_payment(means: str, months: int) -> None:
    """A card for three months, a transfer for one and a cheque are turned away."""
    with pytest.raises(ValidationError):
        ChoosePaymentMethod.model_validate(
            {"at": BEGINNING, "account": WHO, "means": means, "months": months}
        )


@pytest.mark.rule("S2", "S9")
@pytest.mark.parametrize("months", [3, 6, 12])
def test_staff_record_a_transfer(months: int) -> None:
    """A transfer pays for its months from its own day, when staff record it; with a receipt."""
    outcome = given(subscription_decider, *steps(months)).when(
        asks(paying(at=FIRST_OF_MARCH, months=months), manager)
    )
    last_days = {3: date(2025, 5, 31), 6: date(2025, 8, 31), 12: date(2026, 2, 28)}
    payment = captured(1, FIRST_OF_MARCH, date(2025, 3, 1), last_days[months], months=months)
    outcome.then(payment, receipt(payment))


# ---------------------------------------------------------------- payments and what they pay for


@pytest.mark.rule("S3")
def test_a_subscription_is_active_once_a_payment_succeeded() -> None:
    """All other steps leave it inactive; the payment makes it active."""
    before = given(subscription_decider, *steps())
    after = given(subscription_decider, *paid(FIRST_OF_MARCH))
    assert before.state.standing is SubscriptionStanding.STEPS
    assert before.state.paid_through is None
    assert after.state.standing is SubscriptionStanding.ACTIVE
    assert after.state.paid_through == END_OF_MARCH


@pytest.mark.rule("S3")
def test_access_begins_with_the_payment() -> None:
    """Its first day is paid for whole, and opens nothing before the money came in."""
    fact = access_fact(captured(1, FIRST_OF_MARCH, date(2025, 3, 1), END_OF_MARCH))
    assert fact
    assert fact.covers(FIRST_OF_MARCH)
    assert not fact.covers(FIRST_OF_MARCH - timedelta(microseconds=1))


@pytest.mark.rule("A11", "S11")
def test_the_tax_term_runs_from_the_last_payment() -> None:
    """From its day in Chile, whatever is recorded after it; before any payment there is none."""
    new_year = noon(2026, 1, 1)
    evening = datetime(2025, 7, 1, 2, tzinfo=UTC)
    june = captured(2, evening, date(2025, 6, 1), date(2025, 8, 31), months=3)
    dated_back = captured(3, noon(2025, 6, 20), date(2025, 9, 1), date(2025, 11, 30), months=3)
    past: list[SubscriptionEvent] = steps(3)
    for event, last_day in (
        (method_chosen(3), None),
        (paid(FIRST_OF_MARCH, months=3)[-1], date(2025, 3, 1)),
        (june, date(2025, 6, 30)),
        (dated_back, date(2025, 6, 30)),
        (lapsed(noon(2025, 12, 1), date(2025, 11, 30)), date(2025, 6, 30)),
        (reactivated(new_year), date(2025, 6, 30)),
    ):
        past = [*past, event]
        assert subscription_decider.replay(past).last_tax_day(new_year) == last_day


@pytest.mark.rule("S3")
def test_a_declined_payment_pays_for_nothing() -> None:
    """A decline is on record and changes nothing that is paid."""
    past = given(subscription_decider, *steps())
    past.when(asks(declining, system)).then(declined(1))
    after = given(subscription_decider, *steps(), declined(1))
    assert after.state.standing is SubscriptionStanding.STEPS
    assert after.state.paid_through is None


@pytest.mark.rule("S6")
@pytest.mark.parametrize("outcome", [paid(FIRST_OF_MARCH), [*steps(), declined(1)]])
@pytest.mark.parametrize("again", [paying(), declining], ids=named)
def test_a_payment_has_one_outcome(
    outcome: list[SubscriptionEvent], again: SubscriptionDecision
) -> None:
    """Whatever is delivered twice, a payment was captured or declined once."""
    past = given(subscription_decider, *outcome)
    past.when(asks(again, system)).then_refused("S6", remedy_contains="billing history")


@pytest.mark.rule("S6")
def test_a_new_try_has_a_new_id() -> None:
    """After a decline, another payment can succeed."""
    past = given(subscription_decider, *steps(), declined(1))
    payment = captured(2, BEGINNING, date(2025, 1, 1), date(2025, 1, 31))
    past.when(asks(paying(2), system)).then(payment, receipt(payment))


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": MONTHLY_PRICE_MINOR - 1},
        {"amount_minor": MONTHLY_PRICE_MINOR * 3},
        {"currency": Currency.EUR},
    ],
    ids=["too little", "too much", "another currency"],
)
def test_a_payment_is_the_price_of_its_period(wrong: dict[str, Any]) -> None:
    """A payment pays for a period when it is that period's price."""
    outcome = given(subscription_decider, *steps()).when(
        asks(paying().model_copy(update=wrong), system)
    )
    outcome.then_refused("S5", message_contains="9,990 CLP")


@pytest.mark.rule("S5")
def test_months_are_counted_from_the_first_payment() -> None:
    """Paid on 31 January, it is paid again from 28 February and from 31 March."""
    first = given(subscription_decider, *steps()).when(asks(paying(1, noon(2025, 1, 31)), system))
    second = first.and_when(asks(paying(2, noon(2025, 2, 27)), system))
    third = second.and_when(asks(paying(3, noon(2025, 3, 28)), system))
    assert [days_paid(*outcome.events) for outcome in (first, second, third)] == [
        (date(2025, 1, 31), date(2025, 2, 27)),
        (date(2025, 2, 28), date(2025, 3, 30)),
        (date(2025, 3, 31), date(2025, 4, 29)),
    ]


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("time_zone", "first_day"), [(SANTIAGO, date(2025, 6, 30)), ("UTC", date(2025, 7, 1))]
)
def test_days_are_those_of_the_time_zone_of_the_subscription(
    time_zone: str, first_day: date
) -> None:
    """Late in the evening in Chile it is the next day elsewhere."""
    late = datetime(2025, 7, 1, 2, tzinfo=UTC)
    outcome = given(subscription_decider, *steps(time_zone=time_zone)).when(
        asks(paying(at=late), system)
    )
    assert days_paid(*outcome.events)[0] == first_day


@pytest.mark.rule("S9")
def test_a_transfer_made_before_the_end_extends_from_the_end() -> None:
    """Whoever pays early loses no day, and whoever pays on the last day neither."""
    past = given(subscription_decider, *paid(FIRST_OF_MARCH, months=3))
    for at in (noon(2025, 4, 10), noon(2025, 5, 31)):
        outcome = past.when(asks(paying(2, at, months=3), manager))
        assert days_paid(*outcome.events) == (date(2025, 6, 1), date(2025, 8, 31))


@pytest.mark.rule("S9")
def test_a_transfer_made_before_the_end_extends_from_it_though_the_lapse_is_on_record() -> None:
    """Staff see the bank's statement days later; whoever paid in time never had lapsed."""
    last_day = date(2025, 5, 31)
    past = given(
        subscription_decider,
        *paid(FIRST_OF_MARCH, months=3),
        lapsed(noon(2025, 6, 1), last_day),
    )
    in_time = asks(paying(2, noon(2025, 5, 31), months=3), manager)
    outcome = past.when(in_time)
    assert days_paid(*outcome.events) == (date(2025, 6, 1), date(2025, 8, 31))
    late = asks(paying(2, noon(2025, 6, 1), months=3), manager)
    past.when(late).then_refused("A6", remedy_contains="ReactivateSubscription")


@pytest.mark.rule("S8", "S9")
@pytest.mark.parametrize(("day", "in_time"), [(8, True), (9, False)])
def test_a_transfer_made_in_the_days_of_grace_pays_from_the_old_end(
    day: int, in_time: bool
) -> None:
    """Its statement comes a day later, and by then the lapse may be on record."""
    past = given(
        subscription_decider,
        *paid(FIRST_OF_MARCH),
        past_due(noon(2025, 4, 1)),
        method_chosen(3),
        lapsed(noon(2025, 4, 9), END_OF_MARCH),
    )
    outcome = past.when(asks(paying(2, noon(2025, 4, day), months=3), manager))
    if in_time:
        assert days_paid(*outcome.events) == (date(2025, 4, 1), date(2025, 6, 30))
    else:
        outcome.then_refused("A6", remedy_contains="ReactivateSubscription")


@pytest.mark.rule("S4", "S9")
def test_what_was_ended_is_renewed_by_no_transfer_in_time() -> None:
    """Unless its payer took that back before it lapsed."""
    last_day, lapse_day = date(2025, 5, 31), noon(2025, 6, 1)
    over = [*paid(FIRST_OF_MARCH, months=3), ended(FIRST_OF_MARCH, last_day)]
    in_time = asks(paying(2, noon(2025, 5, 31), months=3), manager)
    past = given(subscription_decider, *over, lapsed(lapse_day, last_day))
    past.when(in_time).then_refused("A6", remedy_contains="ReactivateSubscription")
    resumed = SubscriptionResumed(**about(noon(2025, 5, 1)))
    past = given(subscription_decider, *over, resumed, lapsed(lapse_day, last_day))
    outcome = past.when(in_time)
    assert days_paid(*outcome.events) == (date(2025, 6, 1), date(2025, 8, 31))


@pytest.mark.rule("S5")
@pytest.mark.parametrize("at", [noon(2025, 4, 1), noon(2025, 4, 30)], ids=["first", "last day"])
def test_a_card_that_is_charged_late_renews_from_the_old_end(at: datetime) -> None:
    """A card is charged when what is paid has run out, and while no lapse is recorded."""
    outcome = given(subscription_decider, *paid(FIRST_OF_MARCH)).when(asks(paying(2, at), system))
    assert days_paid(*outcome.events) == (date(2025, 4, 1), date(2025, 4, 30))


@pytest.mark.rule("S5", "A6")
@pytest.mark.parametrize(
    ("past", "at", "months"),
    [
        (paid(FIRST_OF_MARCH), noon(2025, 5, 1), 1),
        ([*paid(FIRST_OF_MARCH), lapsed(noon(2025, 4, 1), END_OF_MARCH)], noon(2025, 4, 2), 1),
        ([*paid(FIRST_OF_MARCH), lapsed(noon(2025, 4, 1), END_OF_MARCH)], noon(2025, 3, 20), 1),
        ([*paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH)], noon(2025, 4, 2), 1),
        (paid(FIRST_OF_MARCH, months=3), noon(2025, 6, 1), 3),
    ],
    ids=["its period has passed", "lapsed", "lapsed, by card in time", "ended", "a transfer"],
)
def test_nothing_else_renews_what_has_run_out(
    past: list[SubscriptionEvent], at: datetime, months: int
) -> None:
    """Whatever comes later, or otherwise than by card, needs a reactivation."""
    outcome = given(subscription_decider, *past).when(asks(paying(2, at, months), system))
    outcome.then_refused("A6", remedy_contains="ReactivateSubscription")


@pytest.mark.rule("S9", "S5", "A6")
def test_a_transfer_made_after_a_lapse_starts_on_its_own_day() -> None:
    """The first payment after a lapse sets a new day to count from."""
    at = noon(2025, 6, 20)
    past = given(subscription_decider, *paid(FIRST_OF_MARCH), reactivated(at), *steps(3)[1:])
    outcome = past.when(asks(paying(2, at, months=3), manager))
    assert days_paid(*outcome.events) == (date(2025, 6, 20), date(2025, 9, 19))


@pytest.mark.rule("S9", "S5")
def test_no_day_is_paid_for_twice() -> None:
    """A payment that is dated before the lapse it is recorded after follows what is paid."""
    late, dated_back = noon(2025, 4, 2), noon(2025, 3, 20)
    past = given(
        subscription_decider,
        *paid(FIRST_OF_MARCH),
        lapsed(late, END_OF_MARCH),
        reactivated(late),
        *steps()[1:],
    )
    outcome = past.when(asks(paying(2, dated_back), manager))
    assert days_paid(*outcome.events) == (date(2025, 4, 1), date(2025, 4, 30))


# ---------------------------------------------------------------- ending and resuming


@pytest.mark.rule("S4")
@pytest.mark.parametrize("months", [1, 3, 6, 12])
def test_a_subscription_is_ended_at_any_time(months: int) -> None:
    """Whatever the means of payment, it ends, and access lasts to the end of what is paid."""
    past = given(subscription_decider, *paid(FIRST_OF_MARCH, months))
    last_day = past.state.paid_through
    assert last_day
    at = start_of_day(last_day, SANTIAGO)
    past.when(asks(ending(at))).then(
        ended(at, last_day),
        told(0, at, NoticeTemplate.SUBSCRIPTION_ENDING, NoticeReason.ENDED, last_day=last_day),
    )


@pytest.mark.rule("S4")
@pytest.mark.parametrize(
    "past",
    [
        [],
        steps(),
        [*paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH)],
        [*paid(FIRST_OF_MARCH), lapsed(noon(2025, 4, 2), END_OF_MARCH)],
    ],
    ids=["never started", "in steps", "ended", "lapsed"],
)
def test_only_an_active_subscription_is_ended(past: list[SubscriptionEvent]) -> None:
    """What is not active needs no ending."""
    outcome = given(subscription_decider, *past).when(asks(ending(FIRST_OF_MARCH)))
    outcome.then_refused("S4", message_contains="no active subscription")


@pytest.mark.rule("S4")
def test_what_ran_out_is_not_ended() -> None:
    """After the last day of access there is nothing left to end."""
    by_card = given(subscription_decider, *paid(FIRST_OF_MARCH))
    by_card.when(asks(ending(noon(2025, 4, 2)))).then_refused("S4")
    by_transfer = given(subscription_decider, *paid(FIRST_OF_MARCH, months=3))
    by_transfer.when(asks(ending(noon(2025, 6, 1)))).then_refused("S4")


@pytest.mark.rule("S4")
def test_an_ending_can_be_taken_back_until_the_last_day() -> None:
    """Until the last instant that is paid for, the subscription can go on."""
    last_instant = start_of_day(date(2025, 4, 1), SANTIAGO) - timedelta(microseconds=1)
    past = given(subscription_decider, *paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH))
    resumed = SubscriptionResumed(**about(last_instant))
    past.when(asks(resuming(last_instant))).then(resumed)
    after = given(subscription_decider, *past.events, resumed)
    assert after.state.standing is SubscriptionStanding.ACTIVE


@pytest.mark.rule("S4")
def test_an_ending_cannot_be_taken_back_afterwards() -> None:
    """From the first instant that is not paid for, only a reactivation helps."""
    past = given(subscription_decider, *paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH))
    outcome = past.when(asks(resuming(start_of_day(date(2025, 4, 1), SANTIAGO))))
    outcome.then_refused("S4", remedy_contains="ReactivateSubscription")


@pytest.mark.rule("S4")
@pytest.mark.parametrize("past", [[], steps(), paid(FIRST_OF_MARCH)])
def test_only_an_ending_is_taken_back(past: list[SubscriptionEvent]) -> None:
    """What was not ended cannot be resumed."""
    outcome = given(subscription_decider, *past).when(asks(resuming(FIRST_OF_MARCH)))
    outcome.then_refused("S4", message_contains="not ended")


@pytest.mark.rule("S4")
@pytest.mark.parametrize(
    "command",
    [choosing_boleta, confirming_plan, choosing_card, paying(2, FIRST_OF_MARCH)],
    ids=named,
)
def test_an_ended_subscription_takes_no_step(command: SubscriptionDecision) -> None:
    """Whoever wants to go on takes the ending back first."""
    past = given(subscription_decider, *paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH))
    past.when(asks(command)).then_refused("S4", remedy_contains="ResumeSubscription")


# ---------------------------------------------------------------- lapse


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("months", "last_day", "day"),
    [(1, END_OF_MARCH, date(2025, 4, 2)), (3, date(2025, 5, 31), date(2025, 6, 1))],
    ids=["card", "transfer"],
)
def test_what_ran_out_unrenewed_lapses(months: int, last_day: date, day: date) -> None:
    """By transfer on the first day that is not paid for, by card after the day of its charge."""
    at = start_of_day(day, SANTIAGO)
    past = given(subscription_decider, *paid(FIRST_OF_MARCH, months))
    past.when(asks(lapsing(at - timedelta(microseconds=1)), system)).then_refused(
        "S8" if months == 1 else "S5"
    )
    past.when(asks(lapsing(at), system)).then(
        lapsed(at, last_day),
        told(0, at, NoticeTemplate.SUBSCRIPTION_LAPSED, NoticeReason.RAN_OUT, last_day=last_day),
    )


@pytest.mark.rule("S4", "S5")
def test_what_was_ended_lapses_on_its_day_too() -> None:
    """That its last day has passed is on record; the payer was told when ending it."""
    at = start_of_day(date(2025, 4, 1), SANTIAGO)
    past = given(subscription_decider, *RAN_OUT["ended"])
    past.when(asks(lapsing(at), system)).then(lapsed(at, END_OF_MARCH))
    past.when(asks(lapsing(at - timedelta(microseconds=1)), system)).then_refused("S5")


@pytest.mark.rule("S5")
def test_nothing_lapses_on_its_last_day() -> None:
    """The last day that is paid for is paid for to its end."""
    last_instant = start_of_day(date(2025, 4, 1), SANTIAGO) - timedelta(microseconds=1)
    outcome = given(subscription_decider, *paid(FIRST_OF_MARCH)).when(
        asks(lapsing(last_instant), system)
    )
    outcome.then_refused("S5", remedy_contains="Wait")


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    "past",
    [
        [],
        steps(),
        [*paid(FIRST_OF_MARCH), lapsed(noon(2025, 4, 2), END_OF_MARCH)],
    ],
    ids=["never started", "in steps", "lapsed"],
)
def test_only_an_active_subscription_lapses(past: list[SubscriptionEvent]) -> None:
    """What is not active does not lapse, and nothing lapses twice."""
    outcome = given(subscription_decider, *past).when(asks(lapsing(noon(2025, 5, 1)), system))
    outcome.then_refused("S5")


# ---------------------------------------------------------------- reminders

TO_END_OF_MAY = paid(FIRST_OF_MARCH, months=3)
REMINDER_DAY = date(2025, 5, 25)
A_WEEK_BEFORE = start_of_day(REMINDER_DAY, SANTIAGO)
FIRST_OF_JUNE = start_of_day(date(2025, 6, 1), SANTIAGO)


def reminded(number: int, at: datetime, last_day: date = date(2025, 5, 31)) -> NoticeRequested:
    """The payer is to be told that what is paid runs out soon."""
    template, reason = NoticeTemplate.PAYMENT_REMINDER, NoticeReason.RUNS_OUT_SOON
    return told(number, at, template, reason, last_day=last_day)


@pytest.mark.rule("S2", "S5")
def test_whoever_pays_by_transfer_is_reminded_a_week_before_it_runs_out() -> None:
    """Not before, and once for what is paid; after the next transfer, anew."""
    past = given(subscription_decider, *TO_END_OF_MAY)
    early = past.when(asks(reminding(A_WEEK_BEFORE - timedelta(microseconds=1)), system))
    early.then_refused("S5", remedy_contains="2025-05-25")
    once = past.when(asks(reminding(A_WEEK_BEFORE), system))
    once.then(reminded(0, A_WEEK_BEFORE))
    once.and_when(asks(reminding(FIRST_OF_JUNE), system)).then_nothing()
    next_payment = captured(2, A_WEEK_BEFORE, date(2025, 6, 1), date(2025, 8, 31), months=3)
    later = start_of_day(date(2025, 8, 25), SANTIAGO)
    paid_again = given(subscription_decider, *TO_END_OF_MAY, *once.events, next_payment)
    paid_again.when(asks(reminding(later), system)).then(reminded(1, later, date(2025, 8, 31)))


@pytest.mark.rule("S5")
def test_too_late_for_a_reminder_the_lapse_is_recorded() -> None:
    """A clock that stood still tells nobody that what ran out will run out."""
    past = given(subscription_decider, *TO_END_OF_MAY)
    late = past.when(asks(reminding(FIRST_OF_JUNE), system))
    assert late.events == past.when(asks(lapsing(FIRST_OF_JUNE), system)).events


@pytest.mark.rule("S2", "S4", "S5")
@pytest.mark.parametrize(
    "past",
    [
        [],
        steps(3),
        paid(FIRST_OF_MARCH),
        [*TO_END_OF_MAY, ended(FIRST_OF_MARCH, date(2025, 5, 31))],
        [*TO_END_OF_MAY, lapsed(FIRST_OF_JUNE, date(2025, 5, 31))],
        [*paid(FIRST_OF_MARCH), past_due(noon(2025, 4, 1)), method_chosen(3)],
    ],
    ids=["never started", "in steps", "by card", "ended", "lapsed", "past due"],
)
def test_nobody_else_is_reminded(past: list[SubscriptionEvent]) -> None:
    """A card is charged by itself; whoever ended it, let it lapse or is past due has been told."""
    outcome = given(subscription_decider, *past).when(asks(reminding(A_WEEK_BEFORE), system))
    outcome.then_refused("S5", message_contains="nothing that is paid by transfer")


@pytest.mark.rule("S5", "S7")
def test_nobody_is_reminded_while_a_charge_may_still_pay() -> None:
    """The payer chose to pay by transfer while the outcome of the renewal was not known."""
    renewal = requested(noon(2025, 4, 1), date(2025, 4, 1), date(2025, 4, 30))
    past = given(subscription_decider, *paid(FIRST_OF_MARCH), renewal, method_chosen(3))
    past.when(asks(reminding(noon(2025, 4, 1)), system)).then_refused("S5")


@pytest.mark.rule("S5", "S7")
def test_nobody_is_reminded_of_what_has_run_out() -> None:
    """What paid for April is known in June: it lapses, and no reminder is due before that."""
    renewal = requested(noon(2025, 4, 1), date(2025, 4, 1), date(2025, 4, 30))
    known = charge_captured(renewal, noon(2025, 6, 1))
    past = given(subscription_decider, *paid(FIRST_OF_MARCH), renewal, method_chosen(3), known)
    [due] = due_of(past.state)
    assert (due.kind, due.at) == (DueKind.LAPSE, known.occurred_at)


# ---------------------------------------------------------------- reactivation

LATER = noon(2025, 5, 1)
RAN_OUT = {
    "unrecorded": paid(FIRST_OF_MARCH),
    "lapsed": [*paid(FIRST_OF_MARCH), lapsed(LATER, END_OF_MARCH)],
    "ended": [*paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH)],
}


@pytest.mark.rule("A6", "S5")
@pytest.mark.parametrize("past", RAN_OUT.values(), ids=RAN_OUT)
@pytest.mark.parametrize(
    "command",
    [
        command.model_copy(update={"at": LATER})
        for command in (choosing_boleta, confirming_plan, choosing_card, paying(2))
    ],
    ids=named,
)
def test_what_ran_out_takes_no_step_before_it_is_reactivated(
    past: list[SubscriptionEvent], command: SubscriptionDecision
) -> None:
    """After a lapse the steps begin anew, and the refusal of each names the missing one."""
    given(subscription_decider, *past).when(asks(command)).then_refused(
        "A6", message_contains="'reactivate'", remedy_contains="ReactivateSubscription"
    )


@pytest.mark.rule("A6")
@pytest.mark.parametrize("past", [RAN_OUT["lapsed"], RAN_OUT["ended"]], ids=["lapsed", "ended"])
def test_what_ran_out_is_reactivated(past: list[SubscriptionEvent]) -> None:
    """A lapsed subscription is reactivated, and so is an ended one whose days have passed."""
    given(subscription_decider, *past).when(asks(reactivating(LATER))).then(reactivated(LATER))


@pytest.mark.rule("A6", "S5")
def test_a_reactivation_records_the_lapse_that_nobody_recorded() -> None:
    """What ran out lapses at the latest when it is reactivated."""
    past = given(subscription_decider, *RAN_OUT["unrecorded"])
    past.when(asks(reactivating(LATER))).then(lapsed(LATER, END_OF_MARCH), reactivated(LATER))


@pytest.mark.rule("A6")
def test_the_steps_of_a_reactivation_are_those_of_the_creation() -> None:
    """After a reactivation each step is missing again, and the id stays."""
    past = given(subscription_decider, *RAN_OUT["lapsed"], reactivated(LATER))
    again: list[tuple[SubscriptionDecision, str]] = [
        (choosing_boleta, "'tax document'"),
        (confirming_plan, "'plan'"),
        (choosing_card, "'means of payment'"),
    ]
    for step, missing in again:
        past.when(asks(paying(2, LATER), system)).then_refused("S1", message_contains=missing)
        past = given(subscription_decider, *past.events, *past.when(asks(step)).events)
    event, _ = past.when(asks(paying(2, LATER), system)).events
    assert event.subscription == SUBSCRIPTION


@pytest.mark.rule("A6")
def test_what_was_never_started_is_not_reactivated() -> None:
    """Whoever comes for the first time starts."""
    outcome = given(subscription_decider).when(asks(reactivating()))
    outcome.then_refused("A6", remedy_contains="StartSubscription")


@pytest.mark.rule("A6")
@pytest.mark.parametrize(
    "past",
    [
        steps(),
        paid(FIRST_OF_MARCH),
        [*paid(FIRST_OF_MARCH), ended(FIRST_OF_MARCH, END_OF_MARCH)],
        [*RAN_OUT["lapsed"], reactivated(LATER)],
    ],
    ids=["in steps", "active", "ended but paid", "reactivated"],
)
def test_what_has_not_lapsed_is_not_reactivated(past: list[SubscriptionEvent]) -> None:
    """What still runs goes on with its next step, or has its ending taken back."""
    outcome = given(subscription_decider, *past).when(asks(reactivating(FIRST_OF_MARCH)))
    outcome.then_refused("A6", message_contains="not lapsed")


@pytest.mark.rule("A4", "A6")
def test_a_reactivation_needs_an_active_number() -> None:
    """The same steps: a reactivation asks for an active number as the creation did."""
    outcome = given(subscription_decider, *RAN_OUT["lapsed"]).when(
        asks(reactivating(LATER), account=[registered, password_set])
    )
    outcome.then_refused("A4")


# ---------------------------------------------------------------- what is no command


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("plan", "Full Access"),
        ("plan", ""),
        ("price_version", 0),
        ("price_version", "1"),
        ("monthly_price_minor", 9990.5),
        ("monthly_price_minor", 0),
        ("currency", "XYZ"),
        ("account", "nobody"),
    ],
)
def test_what_is_no_plan_is_turned_away(field: str, value: object) -> None:
    """A plan has a code, a version of its prices and a whole price in a known currency."""
    good = confirming_plan.model_dump()
    with pytest.raises(ValidationError, match=field):
        ConfirmPlan.model_validate({**good, field: value})


@pytest.mark.parametrize(
    "reference", ["4111111111111111", "", "ab", "a b c", "ñandu", "a" * 65, "abc\n"]
)
def test_no_card_number_poses_as_a_reference(reference: str) -> None:
    """What the gateway calls a payment begins with a letter, so that no card number fits."""
    good = paying().model_dump()
    with pytest.raises(ValidationError, match="gateway_reference"):
        CapturePayment.model_validate({**good, "gateway_reference": reference})


@pytest.mark.parametrize(
    "at",
    [
        "2025-02-29T12:00:00Z",
        "2025-03-01T12:00:00",
        "yesterday",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-05:00",
    ],
    ids=["no such day", "no offset", "no time", "long ago", "far ahead"],
)
def test_what_is_no_business_time_is_turned_away(at: str) -> None:
    """A business time is a day that exists, with an offset, in a year of business."""
    with pytest.raises(ValidationError, match="at"):
        EndSubscription.model_validate({"at": at, "account": WHO})
