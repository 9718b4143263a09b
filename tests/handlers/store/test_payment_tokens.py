"""The card that is charged stands in the vault, sealed, and nowhere else (S2, D10, A11)."""

from datetime import date, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from domain.account import CloseAccount, ClosureReason, UserRegistered
from domain.money import Currency
from domain.plan import OpenPlan
from domain.streams import subscription_of
from domain.subscription import (
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    PaymentMeans,
    PaymentMethodChosen,
    TaxDocumentKind,
)
from handlers.composition import Acta, open_ledger
from handlers.faults import CommandIdReused
from handlers.store.append import Append
from handlers.store.database import connect
from handlers.store.payment_tokens import KeptToken
from handlers.store.sealing import NotOpened
from tests.conftest import TestDatabase
from tests.handlers.store.stories import (
    MANAGER,
    NOON,
    ask,
    envelope,
    erase,
    owner,
    refused,
    registered,
    subscribe_with_factura,
)

VISA = "pm_card_visa"
MASTERCARD = "pm_card_mastercard"


def card(
    account: str, token: str | None, at: datetime = NOON, **others: Any
) -> ChoosePaymentMethod:
    """Payment by card, with what the gateway calls it."""
    given: dict[str, Any] = {"means": PaymentMeans.CARD, "months": 1} | others
    return ChoosePaymentMethod(account=account, at=at, card_token=token, **given)


def subscriber(acta: Acta, number: int = 1) -> tuple[UserRegistered, UUID]:
    """Somebody with an active subscription, and its id."""
    event = registered(acta, number)
    subscribe_with_factura(acta, event)
    return event, subscription_of(event.account)


def rows(database: TestDatabase) -> list[tuple[Any, ...]]:
    """What stands in the table, as whoever sees all of it."""
    with connect(database.administrator) as administrator:
        return administrator.execute("SELECT * FROM vault.payment_tokens").fetchall()


# ---------------------------------------------------------------- kept and replaced


@pytest.mark.rule("S2")
def test_the_token_of_a_card_is_kept_beside_the_event_and_not_in_it(
    acta: Acta, database: TestDatabase
) -> None:
    event, subscription = subscriber(acta)
    assert acta.tokens.of([subscription]) == {}
    receipt = ask(acta, card(f"account:{event.account}", VISA), owner(event.person))

    assert acta.tokens.of([subscription, uuid4()]) == {subscription: VISA}
    recorded = acta.store.event(receipt.events[0].event_id)
    assert recorded is not None
    assert isinstance(recorded.event, PaymentMethodChosen)
    assert VISA not in recorded.event.model_dump_json()
    ((_, person, sealed),) = rows(database)
    assert person == event.person
    assert VISA.encode() not in sealed


@pytest.mark.rule("S2")
@pytest.mark.parametrize(
    ("later", "kept"),
    [
        ({"token": MASTERCARD}, MASTERCARD),
        ({"token": None}, None),
        ({"token": None, "means": PaymentMeans.TRANSFER, "months": 3}, None),
    ],
    ids=["another card", "a card of which nothing is told", "transfer"],
)
def test_a_later_choice_replaces_the_card(
    acta: Acta, later: dict[str, Any], kept: str | None
) -> None:
    event, subscription = subscriber(acta)
    ask(acta, card(f"account:{event.account}", VISA), owner(event.person))
    ask(acta, card(f"account:{event.account}", **later), owner(event.person))
    assert acta.tokens.of([subscription]).get(subscription) == kept


def test_the_same_choice_again_is_answered_as_before_and_another_token_is_another_input(
    acta: Acta,
) -> None:
    event, subscription = subscriber(acta)
    command_id = uuid4()
    first = ask(acta, card(f"account:{event.account}", VISA), owner(event.person), command_id)
    again = ask(acta, card(f"account:{event.account}", VISA), owner(event.person), command_id)
    assert (again.repeated, again.events) == (True, first.events)
    with pytest.raises(CommandIdReused):
        ask(acta, card(f"account:{event.account}", MASTERCARD), owner(event.person), command_id)
    assert acta.tokens.of([subscription]) == {subscription: VISA}


def test_a_refused_choice_keeps_no_token(acta: Acta, database: TestDatabase) -> None:
    event = registered(acta)
    refusal = refused(acta, card(f"account:{event.account}", VISA), owner(event.person))
    assert refusal.rule == "S1"
    assert rows(database) == []


@pytest.mark.rule("S10")
def test_a_plan_is_charged_to_the_card_of_its_institution(acta: Acta) -> None:
    """The institution has no key before: it gets one with its first card."""
    plan = uuid4()
    ask(acta, OpenPlan(at=NOON, plan=plan, institution="Liceo Uno", seats=3), MANAGER)
    who = f"plan:{plan}"
    ask(acta, ChooseTaxDocument(account=who, at=NOON, kind=TaxDocumentKind.BOLETA), MANAGER)
    terms: dict[str, Any] = {
        "plan": "school", "price_version": 1, "monthly_price_minor": 90_000
    }  # fmt: skip
    ask(acta, ConfirmPlan(account=who, at=NOON, currency=Currency.CLP, **terms), MANAGER)
    ask(acta, card(who, VISA), MANAGER)
    assert acta.tokens.of([plan]) == {plan: VISA}


# ---------------------------------------------------------------- what is no token


@pytest.mark.parametrize(
    "token",
    ["4242424242424242", "pm_4242424242424242", "pm-4242-4242-4242-4242", "pm card", "", "p" * 129],
)
def test_what_may_be_the_number_of_a_card_is_no_token(token: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        card("person@example.com", token)
    assert token == "" or token not in str(refusal.value)


def test_a_transfer_has_no_card() -> None:
    with pytest.raises(ValidationError, match="without a card"):
        card("person@example.com", VISA, means=PaymentMeans.TRANSFER, months=3)


def test_a_token_is_not_shown_where_its_command_is_printed() -> None:
    assert VISA not in repr(card("person@example.com", VISA))
    assert VISA not in repr(KeptToken(uuid4(), uuid4(), VISA))


# ---------------------------------------------------------------- sealed, rotated, erased


@pytest.mark.rule("A11")
def test_it_goes_with_its_person(acta: Acta, database: TestDatabase) -> None:
    event, subscription = subscriber(acta)
    other, others = subscriber(acta, 2)
    for each in (event, other):
        ask(acta, card(f"account:{each.account}", VISA), owner(each.person))
    erase(acta, event)
    assert acta.tokens.of([subscription, others]) == {others: VISA}
    assert [person for _, person, _ in rows(database)] == [other.person]


def test_it_stays_when_the_account_is_closed_for_a_charge_may_be_asked_about(acta: Acta) -> None:
    event, subscription = subscriber(acta)
    ask(acta, card(f"account:{event.account}", VISA), owner(event.person))
    closing = CloseAccount(
        account=f"account:{event.account}",
        at=NOON + timedelta(days=1),
        reason=ClosureReason.OWNER_REQUEST,
    )
    ask(acta, closing, owner(event.person))
    assert acta.tokens.of([subscription]) == {subscription: VISA}


def test_it_opens_after_the_keys_were_rotated(acta: Acta, database: TestDatabase) -> None:
    event, subscription = subscriber(acta)
    ask(acta, card(f"account:{event.account}", VISA), owner(event.person))
    before = rows(database)
    acta.vault.rotate(date(2026, 4, 1))
    assert rows(database) == before
    with open_ledger(database.settings()) as opened_anew:
        assert opened_anew.tokens.of([subscription]) == {subscription: VISA}


def test_copied_to_another_subscription_it_does_not_open(
    acta: Acta, database: TestDatabase
) -> None:
    """And those beside it do."""
    event, subscription = subscriber(acta)
    ask(acta, card(f"account:{event.account}", VISA), owner(event.person))
    another = uuid4()
    with connect(database.administrator) as administrator:
        administrator.execute(
            "INSERT INTO vault.payment_tokens"
            " SELECT (jsonb_populate_record(kept, jsonb_build_object('subscription', %s::uuid))).*"
            " FROM vault.payment_tokens AS kept",
            (another,),
        )
    found = acta.tokens.of([another, subscription])
    assert isinstance(found[another], NotOpened)
    assert found[subscription] == VISA


def test_of_two_in_one_append_the_later_stands(acta: Acta) -> None:
    subscription, person = uuid4(), uuid4()
    append = Append(
        tokens=[KeptToken(subscription, person, VISA), KeptToken(subscription, person, MASTERCARD)]
    )
    acta.store.append(append, envelope())
    assert acta.tokens.of([subscription]) == {subscription: MASTERCARD}
    append.tokens.append(KeptToken(subscription, person, None))
    acta.store.append(append, envelope())
    assert acta.tokens.of([subscription]) == {}


# ---------------------------------------------------------------- the clock's bookkeeping


def test_the_clock_only_moves_forward(database: TestDatabase) -> None:
    with connect(database.application) as application:

        def advance(to: datetime) -> datetime:
            row = application.execute("SELECT ledger.advance_clock(%s)", (to,)).fetchone()
            assert row is not None
            return cast("datetime", row[0])

        later = NOON + timedelta(days=1)
        assert application.execute("SELECT * FROM ledger.clock").fetchall() == []
        assert advance(NOON) == NOON
        assert advance(later) == later
        assert advance(NOON) == later
        assert application.execute("SELECT instant FROM ledger.clock").fetchall() == [(later,)]
