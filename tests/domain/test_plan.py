"""An institutional plan: opened, paid by the steps of a subscription, with seats (A2, S10)."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.actor import Actor, ActorKind
from domain.authority import refuse_unless_may_give
from domain.calendar import start_of_day
from domain.money import Currency
from domain.plan import (
    ChangeSeats,
    OpenPlan,
    PlanDecision,
    PlanSurroundings,
    decide,
    refuse_if_over,
    seat_faults,
)
from domain.refusal import Refused, refuse_for
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    DeclinePayment,
    DeclineReason,
    EndSubscription,
    LapseSubscription,
    NoticeReason,
    NoticeTemplate,
    PaymentCaptured,
    PaymentMeans,
    PriceAnnounced,
    ReactivateSubscription,
    ResumeSubscription,
    SeatsChanged,
    StartSubscription,
    Subscription,
    SubscriptionDecision,
    SubscriptionEvent,
    SubscriptionKind,
    SubscriptionResumed,
    SubscriptionSurroundings,
    TaxDocumentKind,
    subscription_decider,
)
from domain.subscription import decide as decide_subscription
from tests.domain.stories import (
    BEGINNING,
    INSTITUTION,
    MONTHLY_PRICE_MINOR,
    PLAN,
    SANTIAGO,
    about,
    administrator,
    boleta_chosen,
    captured,
    ended,
    lapsed,
    manager,
    method_chosen,
    noon,
    of_plan,
    owner,
    paid,
    payment_id,
    plan_after,
    plan_confirmed,
    plan_opened,
    plan_paid,
    reactivated,
    receipt,
    started,
    stranger,
    system,
    told,
)
from tests.specification import given

AN_INSTANT = timedelta(microseconds=1)
END_OF_YEAR = date(2025, 12, 31)
NOT_PAID_FOR = start_of_day(date(2026, 1, 1), SANTIAGO)
"""The first instant after the year that ``plan_paid`` pays for."""

opening = OpenPlan(at=BEGINNING, plan=PLAN, institution=" Liceo Uno ", seats=3)


def seating(seats: int) -> ChangeSeats:
    """The plan shall have so many seats."""
    return ChangeSeats(at=BEGINNING, plan=PLAN, seats=seats)


def asks(
    command: PlanDecision, **surroundings: Any
) -> Callable[[Subscription], Sequence[SubscriptionEvent]]:
    """Staff give this command; nothing else is known unless the surroundings say so."""
    around = PlanSurroundings(institution=INSTITUTION, **surroundings)
    return lambda plan: decide(command, plan, around)


def pays(
    actor: Actor, command: SubscriptionDecision, plan: UUID = PLAN
) -> Callable[[Subscription], Sequence[SubscriptionEvent]]:
    """This actor gives a command of a subscription to a plan."""
    around = SubscriptionSurroundings(subscription=plan, account=None)
    return lambda state: decide_subscription(command, actor, state, around)


# ---------------------------------------------------------------- opening


@pytest.mark.rule("S10", "A2")
def test_an_institution_contracts_a_plan_with_seats() -> None:
    """The plan has its institution by name and by a random id, its seats and its days."""
    given(subscription_decider).when(asks(opening)).then(plan_opened(seats=3))


@pytest.mark.rule("S10")
@pytest.mark.parametrize("past", [[plan_opened()], plan_paid(), [started()]])
def test_a_plan_is_opened_once(past: list[SubscriptionEvent]) -> None:
    """What is there already is not opened over itself, be it a plan or a subscription."""
    outcome = given(subscription_decider, *past).when(asks(opening))
    outcome.then_refused("S10", message_contains="id", remedy_contains="new random id")


@pytest.mark.rule("S10")
def test_the_id_of_something_else_is_not_that_of_a_plan() -> None:
    """An id that names an account, say, is not given to a plan."""
    outcome = given(subscription_decider).when(asks(opening, id_taken=True))
    outcome.then_refused("S10", message_contains="in use")


@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    "wrong",
    [{"seats": 0}, {"seats": -1}, {"seats": 1_000_001}, {"seats": "3"}, {"institution": " "}],
    ids=str,
)
def test_a_plan_has_a_name_and_a_number_of_seats(wrong: dict[str, Any]) -> None:
    """A plan without seats, or of nobody, is none."""
    [name] = wrong
    with pytest.raises(ValidationError, match=name):
        OpenPlan(**{"at": BEGINNING, "plan": PLAN, "institution": "Liceo", "seats": 3, **wrong})


@pytest.mark.rule("S10", "G1")
@pytest.mark.parametrize("command", [OpenPlan, ChangeSeats])
def test_plans_are_opened_and_seated_by_account_managers(
    command: type[OpenPlan | ChangeSeats],
) -> None:
    """What an institution has contracted is recorded by the operator, not by its people."""
    refuse_unless_may_give(manager, command)
    for actor in (administrator, system, Actor(kind=ActorKind.SUPPORT_STAFF)):
        with pytest.raises(Refused, match="G1"):
            refuse_unless_may_give(actor, command)


# ---------------------------------------------------------------- seats


@pytest.mark.rule("S10")
@pytest.mark.parametrize("seats", [2, 4, 1000])
def test_the_number_of_seats_changes(seats: int) -> None:
    """Up, or down to what members and open invitations use."""
    outcome = given(subscription_decider, plan_opened(3)).when(asks(seating(seats), seats_used=2))
    outcome.then(
        SeatsChanged(
            subscription=PLAN,
            account=PLAN,
            person=INSTITUTION,
            occurred_at=BEGINNING,
            seats=seats,
            former_seats=3,
        )
    )
    outcome.and_when(asks(seating(seats), seats_used=2)).then_nothing()


@pytest.mark.rule("S10")
def test_the_same_number_of_seats_is_no_change() -> None:
    """A plan that has as many already gets no others."""
    past = given(subscription_decider, plan_opened(3))
    past.when(asks(seating(3), seats_used=3)).then_nothing()


@pytest.mark.rule("S10")
def test_no_seat_is_taken_from_under_anybody() -> None:
    """Never fewer seats than members and open invitations use."""
    outcome = given(subscription_decider, plan_opened(3)).when(asks(seating(1), seats_used=2))
    outcome.then_refused("S10", message_contains="2 seats", remedy_contains="Remove members")


@pytest.mark.rule("S10")
@pytest.mark.parametrize("past", [[], [started()]], ids=["nothing", "an individual's subscription"])
def test_what_is_no_plan_has_no_seats(past: list[SubscriptionEvent]) -> None:
    """Seats are those of a plan that was opened."""
    outcome = given(subscription_decider, *past).when(asks(seating(5)))
    outcome.then_refused("S10", message_contains="no such plan", remedy_contains="OpenPlan")


@pytest.mark.rule("S10")
@pytest.mark.parametrize(("used", "full"), [(0, False), (2, False), (3, True), (4, True)])
def test_who_comes_to_a_full_plan_is_turned_away(used: int, full: bool) -> None:
    """The last seat can be taken, and none beyond it."""
    faults = seat_faults(plan_after(plan_opened(3)), used)
    assert [fault.rule for fault in faults] == (["S10"] if full else [])
    assert all("all 3 seats" in fault.message for fault in faults)


# ---------------------------------------------------------------- paying


STEPS: list[SubscriptionDecision] = [
    ChooseTaxDocument(
        at=BEGINNING,
        account=f"plan:{PLAN}",
        kind=TaxDocumentKind.FACTURA,
        company_name="Liceo Uno SpA",
        company_rut="76543210-3",
        line_of_business="School",
        address="Calle Larga 1, Valdivia",
    ),
    ConfirmPlan(
        at=BEGINNING,
        account=f"plan:{PLAN}",
        plan="full-access",
        price_version=1,
        monthly_price_minor=MONTHLY_PRICE_MINOR,
        currency=Currency.CLP,
    ),
    ChoosePaymentMethod(
        at=BEGINNING, account=f"plan:{PLAN}", means=PaymentMeans.TRANSFER, months=12
    ),
]


def transfer(number: int = 1, at: datetime = BEGINNING) -> CapturePayment:
    """The institution's transfer for a year arrived."""
    return CapturePayment(
        at=at,
        account=f"plan:{PLAN}",
        payment=payment_id(number),
        amount_minor=MONTHLY_PRICE_MINOR * 12,
        currency=Currency.CLP,
        gateway_reference=f"gateway-{number}",
    )


def about_plan(command: type[Any]) -> SubscriptionDecision:
    """A command of a subscription, given to the plan."""
    decision: SubscriptionDecision = command(at=BEGINNING, account=f"plan:{PLAN}")
    return decision


@pytest.mark.rule("S10", "S1")
def test_an_institution_goes_through_the_steps_of_a_subscription() -> None:
    """Tax document, plan and means of payment, then the payment, which is the institution's."""
    outcome = given(subscription_decider, plan_opened()).when(pays(manager, STEPS[0]))
    for step in [*STEPS[1:], transfer()]:
        outcome = outcome.and_when(pays(manager, step))
    payment = of_plan(captured(1, BEGINNING, date(2025, 1, 1), END_OF_YEAR, months=12))
    by_factura = payment.model_copy(update={"tax_document": TaxDocumentKind.FACTURA})
    outcome.then(by_factura, receipt(payment))


@pytest.mark.rule("S10", "S1")
@pytest.mark.parametrize(
    ("steps_taken", "missing"), [(0, "tax document"), (1, "plan"), (2, "means")]
)
def test_a_plan_whose_steps_are_not_complete_is_not_paid(steps_taken: int, missing: str) -> None:
    """An institution leaves out no step either."""
    steps = [of_plan(e) for e in (boleta_chosen, plan_confirmed, method_chosen(12))]
    past = given(subscription_decider, plan_opened(), *steps[:steps_taken])
    past.when(pays(manager, transfer())).then_refused("S1", message_contains=missing)


@pytest.mark.rule("S10", "A4")
def test_no_password_or_phone_is_asked_of_an_institution() -> None:
    """A plan that lapsed begins anew by the steps alone; what is a person's does not apply."""
    past = [*plan_paid(), of_plan(lapsed(noon(2026, 1, 2), END_OF_YEAR))]
    again = ReactivateSubscription(at=noon(2026, 2, 1), account=f"plan:{PLAN}")
    outcome = given(subscription_decider, *past).when(pays(manager, again))
    outcome.then(of_plan(reactivated(noon(2026, 2, 1))))


@pytest.mark.rule("S10", "S9")
def test_a_plan_that_is_paid_early_is_paid_from_its_end() -> None:
    """The next year follows the one that is paid for."""
    june = noon(2025, 6, 1)
    past = given(subscription_decider, *plan_paid())
    payment = of_plan(captured(2, june, date(2026, 1, 1), date(2026, 12, 31), months=12))
    past.when(pays(manager, transfer(2, june))).then(payment, receipt(payment))


@pytest.mark.rule("S10", "S5")
def test_an_institution_that_changes_plans_pays_the_price_of_the_new_one() -> None:
    """What was announced for the former one concerns it no more; it does until then."""
    june = noon(2025, 6, 1)
    dearer = PriceAnnounced(
        **about(BEGINNING),
        plan="full-access",
        price_version=2,
        monthly_price_minor=11990,
        currency=Currency.CLP,
        former_price_version=1,
        former_monthly_price_minor=MONTHLY_PRICE_MINOR,
        effective_from=date(2026, 1, 1),
        time_zone=SANTIAGO,
    )
    past = given(subscription_decider, *plan_paid(), of_plan(dearer))
    former, cheaper = (
        transfer(2, june).model_copy(update={"amount_minor": 12 * price_minor})
        for price_minor in (11990, 4990)
    )
    assert past.when(pays(manager, former)).events
    past.when(pays(manager, cheaper)).then_refused("S5")
    basic = STEPS[1].model_copy(update={"plan": "basic", "monthly_price_minor": 4990})
    changed = past.when(pays(manager, basic))
    changed.and_when(pays(manager, former)).then_refused("S5", message_contains="59,880 CLP")
    payment, _ = changed.and_when(pays(manager, cheaper)).events
    assert isinstance(payment, PaymentCaptured)
    assert (payment.plan, payment.price_version) == ("basic", 1)


@pytest.mark.rule("S10", "S4")
def test_a_plan_is_ended_and_taken_up_again() -> None:
    """Until its last paid day the ending can be taken back."""
    past = given(subscription_decider, *plan_paid())
    outcome = past.when(pays(manager, about_plan(EndSubscription)))
    notice = told(
        0,
        BEGINNING,
        NoticeTemplate.SUBSCRIPTION_ENDING,
        NoticeReason.ENDED,
        stream=PLAN,
        last_day=END_OF_YEAR,
    )
    outcome.then(of_plan(ended(BEGINNING, END_OF_YEAR)), of_plan(notice))
    resuming = outcome.and_when(pays(manager, about_plan(ResumeSubscription)))
    resuming.then(of_plan(SubscriptionResumed(**about(BEGINNING))))


@pytest.mark.rule("S10", "S5")
def test_a_plan_lapses() -> None:
    """A plan that runs out unrenewed lapses as any subscription does."""
    later = noon(2026, 1, 2)
    past = given(subscription_decider, *plan_paid())
    lapsing = LapseSubscription(at=later, account=f"plan:{PLAN}")
    notice = told(
        0,
        later,
        NoticeTemplate.SUBSCRIPTION_LAPSED,
        NoticeReason.RAN_OUT,
        stream=PLAN,
        last_day=END_OF_YEAR,
    )
    past.when(pays(system, lapsing)).then(of_plan(lapsed(later, END_OF_YEAR)), of_plan(notice))


declining = DeclinePayment(
    at=BEGINNING,
    account=f"plan:{PLAN}",
    payment=payment_id(2),
    amount_minor=MONTHLY_PRICE_MINOR,
    currency=Currency.CLP,
    reason=DeclineReason.OTHER,
)
ABOUT_A_PLAN: list[SubscriptionDecision] = [
    *STEPS,
    transfer(2),
    declining,
    about_plan(EndSubscription),
    about_plan(ResumeSubscription),
    about_plan(LapseSubscription),
    about_plan(ReactivateSubscription),
]


@pytest.mark.rule("S10", "G1")
@pytest.mark.parametrize("command", ABOUT_A_PLAN, ids=lambda command: command.NAME)
@pytest.mark.parametrize(
    "actor",
    [owner, stranger, administrator, Actor(kind=ActorKind.PERSON, id=INSTITUTION)],
    ids=["member", "stranger", "administrator", "whoever has the id of the institution"],
)
def test_no_person_pays_or_ends_a_plan(command: SubscriptionDecision, actor: Actor) -> None:
    """What an institution agrees to and pays is recorded by staff alone."""
    outcome = given(subscription_decider, *plan_paid()).when(pays(actor, command))
    outcome.then_refused("G1", remedy_contains="account manager of the institution")


@pytest.mark.rule("S10")
@pytest.mark.parametrize("command", ABOUT_A_PLAN, ids=lambda command: command.NAME)
@pytest.mark.parametrize("past", [[], paid(BEGINNING)], ids=["nothing", "an individual's"])
def test_there_is_nothing_to_pay_without_a_plan(
    command: SubscriptionDecision, past: list[SubscriptionEvent]
) -> None:
    """A plan is opened first, and an individual's subscription is none."""
    outcome = given(subscription_decider, *past).when(pays(manager, command))
    outcome.then_refused("S10", message_contains="no such plan")


@pytest.mark.rule("S10")
@pytest.mark.parametrize("cls", [StartSubscription])
def test_a_plan_is_not_started_as_a_subscription_of_an_individual(cls: type[Any]) -> None:
    """Plans are opened with seats; a subscription of an individual begins with an account."""
    with pytest.raises(ValidationError, match="account"):
        cls(at=BEGINNING, account=f"plan:{PLAN}")


# ---------------------------------------------------------------- in force, and over


@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("past", "at", "over"),
    [
        ([plan_opened()], noon(2030, 1, 1), False),
        (plan_paid(), BEGINNING, False),
        (plan_paid(), NOT_PAID_FOR - AN_INSTANT, False),
        (plan_paid(), NOT_PAID_FOR, True),
        ([*plan_paid(), of_plan(ended(BEGINNING, END_OF_YEAR))], noon(2025, 12, 31), False),
        ([*plan_paid(), of_plan(ended(BEGINNING, END_OF_YEAR))], NOT_PAID_FOR, True),
        ([*plan_paid(), of_plan(lapsed(BEGINNING, END_OF_YEAR))], BEGINNING, True),
        ([*plan_paid(), of_plan(reactivated(noon(2026, 2, 1)))], noon(2026, 2, 1), True),
    ],
    ids=[
        "not yet paid for",
        "paid",
        "to the last instant that is paid for",
        "and no longer",
        "ended, to its last day",
        "ended, after it",
        "lapsed",
        "reactivated, not yet paid again",
    ],
)
def test_a_plan_that_has_run_out_takes_nobody_in(
    past: list[SubscriptionEvent], at: datetime, over: bool
) -> None:
    """One not yet paid for can be filled with people; one that was, and is no longer, cannot."""
    plan = plan_after(*past)
    assert plan.over(at) is over
    if not over:
        refuse_if_over(plan, at)
        return
    with pytest.raises(Refused) as refusal:
        refuse_if_over(plan, at)
    assert refusal.value.rule == "S10"
    assert "run out" in refusal.value.message
    assert "institution" in refusal.value.remedy


@pytest.mark.rule("S10")
@pytest.mark.parametrize("past", [[], paid(BEGINNING)], ids=["nothing", "an individual's"])
def test_nobody_comes_to_what_is_no_plan(past: list[SubscriptionEvent]) -> None:
    """Whoever is to be taken in is taken into a plan."""
    with pytest.raises(Refused, match="S10: there is no such plan"):
        refuse_if_over(plan_after(*past), BEGINNING)


def test_days_of_a_plan_are_those_of_its_time_zone() -> None:
    """A plan that is counted in the days of Chile is paid for into the first hours of UTC."""
    plan = plan_after(*plan_paid())
    assert not plan.over(datetime(2026, 1, 1, 2, tzinfo=UTC))
    assert plan.over(datetime(2026, 1, 1, 3, tzinfo=UTC))


# ---------------------------------------------------------------- refusing for many things at once


@pytest.mark.rule("I2")
def test_a_refusal_for_many_things_names_them_all() -> None:
    """Its rule is that of the first, its message has every rule, its remedy each once."""
    first = Refused("I3", "the e-mail has an account", remedy="Check it.")
    second = Refused("S10", "no seat is free", remedy="Remove a member.")
    third = Refused("I3", "the RUT has an account", remedy="Check it.")
    refuse_for([])
    with pytest.raises(Refused) as refusal:
        refuse_for([first, second, third])
    assert refusal.value == Refused(
        "I3",
        "the e-mail has an account; S10: no seat is free; I3: the RUT has an account",
        remedy="Check it. Remove a member.",
    )


def test_a_started_plan_is_told_from_a_subscription() -> None:
    """What began as either stays what it is."""
    assert plan_after(plan_opened()).kind is SubscriptionKind.PLAN
    assert plan_after(started()).kind is SubscriptionKind.INDIVIDUAL
