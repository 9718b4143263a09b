"""A personal value is opened for whom G1 allows, and each opening leaves a record."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.actor import Actor, ActorKind
from domain.decider import Decider
from domain.disclosure import (
    OpeningReason,
    OpeningSurroundings,
    OpenPersonalValue,
    PersonalValueOpened,
    open_personal_value,
)
from domain.event import Event
from domain.personal import Purpose, personal_fields
from domain.subscription import TaxDocumentChosen, TaxDocumentKind
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    PERSON,
    about,
    manager,
    owner,
    phone_confirmed,
    registered,
    stranger,
    system,
)
from tests.specification import Outcome, given

EVENT = manager.id
assert EVENT is not None

FREE = OpeningSurroundings(allowed=True, key_kept=True, account=ACCOUNT)
FORBIDDEN = OpeningSurroundings(allowed=False, key_kept=True, account=ACCOUNT)
ERASED = OpeningSurroundings(allowed=True, key_kept=False, account=ACCOUNT)

opened = PersonalValueOpened(
    person=PERSON,
    occurred_at=BEGINNING,
    account=ACCOUNT,
    opened_event=EVENT,
    fact="account.UserRegistered",
    field="email",
    purpose=Purpose.IDENTITY,
    reason=OpeningReason.SUPPORT,
)

# An opening rests on the event that holds the value, and on no opening before it.
disclosure_decider: Decider[None, PersonalValueOpened] = Decider(
    initial=None, evolve=lambda *_: None
)


def wish(**changes: Any) -> OpenPersonalValue:
    """Somebody's wish to read the e-mail of a registration."""
    asked = {"at": BEGINNING, "event": EVENT, "field": "email", "reason": "support"}
    return OpenPersonalValue.model_validate(asked | changes)


def opening(
    *past: PersonalValueOpened,
    event: Event | None = registered,
    actor: Actor = manager,
    surroundings: OpeningSurroundings = FREE,
    **changes: Any,
) -> Outcome[None, PersonalValueOpened]:
    """What comes of asking for a value."""
    return given(disclosure_decider, *past).when(
        lambda _: open_personal_value(wish(**changes), actor, event, surroundings)
    )


@pytest.mark.rule("G1")
def test_an_opening_is_recorded_with_whose_value_which_and_why() -> None:
    """Event, field, purpose of the key, and what it is opened for."""
    opening().then(opened)


@pytest.mark.rule("G1")
def test_every_opening_leaves_a_record() -> None:
    """Also of what was opened before."""
    opening(opened).then(opened)


def test_a_record_holds_nothing_of_the_value() -> None:
    """It has no personal field, and none of its fields is the value."""
    (record,) = opening().events
    assert personal_fields(PersonalValueOpened) == {}
    assert registered.email not in record.model_dump().values()


def test_what_was_opened_belongs_to_whom_the_value_belongs_to() -> None:
    """Buyer data are the payer's, and kept for tax."""
    factura = TaxDocumentChosen(
        **about(BEGINNING), kind=TaxDocumentKind.FACTURA, company_name="Peña & Hijos Ltda."
    )
    (record,) = opening(event=factura, field="company_name", reason="tax_document").events
    assert (record.person, record.purpose) == (factura.person, Purpose.TAX)
    assert record.fact == "subscription.TaxDocumentChosen"


def test_whoever_has_no_account_has_openings_too() -> None:
    """Somebody invited, for instance."""
    (record,) = opening(surroundings=OpeningSurroundings(allowed=True, key_kept=True)).events
    assert record.account is None


@pytest.mark.rule("G1")
def test_an_event_that_nobody_knows_opens_nothing() -> None:
    opening(event=None).then_refused(
        "G1", message_contains="no such event", remedy_contains="ce_id"
    )


@pytest.mark.rule("G1")
@pytest.mark.parametrize("field", ["kind", "person", "occurred_at", "nonsense"])
def test_what_is_no_personal_value_is_not_opened(field: str) -> None:
    """It stands in clear, or not at all; the refusal repeats no name that was asked for."""
    outcome = opening(field=field)
    outcome.then_refused("G1", message_contains="account.UserRegistered", remedy_contains="email")
    assert "nonsense" not in f"{outcome.refusal} {outcome.refusal.remedy}"
    opening(event=phone_confirmed, field=field).then_refused("G1", remedy_contains="none")


@pytest.mark.rule("G1")
@pytest.mark.parametrize("actor", [stranger, system, manager])
def test_whom_the_table_does_not_allow_is_refused(actor: Actor) -> None:
    """Before being told whether there is anything, or whether the person was erased."""
    opening(actor=actor, surroundings=FORBIDDEN).then_refused("G1", message_contains="may not open")
    nobody = OpeningSurroundings()
    opening(actor=actor, surroundings=nobody).then_refused("G1", message_contains="may not open")
    empty = registered.model_copy(update={"rut": None})
    outcome = opening(actor=actor, event=empty, field="rut", surroundings=FORBIDDEN)
    outcome.then_refused("G1", message_contains="may not open")


@pytest.mark.rule("G1")
def test_whoever_opens_says_who_they_are() -> None:
    """A record that names nobody would be none."""
    nameless = Actor(kind=ActorKind.AUDITOR)
    opening(actor=nameless).then_refused("G1", message_contains="auditor")


@pytest.mark.rule("G1")
def test_an_empty_field_holds_nothing_to_open() -> None:
    empty = registered.model_copy(update={"rut": None})
    opening(event=empty, field="rut", actor=owner).then_refused("G1", message_contains="nothing")


@pytest.mark.rule("A11")
def test_the_values_of_whoever_was_erased_are_gone() -> None:
    opening(surroundings=ERASED).then_refused("A11", message_contains="erased")


@pytest.mark.parametrize("field", ["", "Email", "e-mail", "ana@example.com", "_a", "x" * 61, "a\n"])
def test_what_is_no_name_of_a_field_is_turned_away(field: str) -> None:
    with pytest.raises(ValidationError, match="field"):
        wish(field=field)


def test_a_reason_is_one_of_a_short_list() -> None:
    with pytest.raises(ValidationError, match="reason"):
        wish(reason="curiosity")
