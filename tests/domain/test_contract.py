"""Contracts: their days, who is named by them, and what they ask for (C1 to C6)."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.actor import Actor, ActorKind
from domain.authority import MAY_GIVE, refuse_unless_may_give
from domain.calendar import start_of_day
from domain.contract import (
    ContactNamed,
    Contract,
    ContractDecision,
    ContractEndReason,
    ContractEvent,
    ContractSurroundings,
    EndContract,
    ExpireContract,
    FillRole,
    LinkRisk,
    NameContact,
    NameValidator,
    OpenContract,
    PublishInformationDocument,
    ReactivateContract,
    RemindContract,
    RequireRoles,
    UnlinkRisk,
    VacateRole,
    ValidatorKind,
    ValidatorNamed,
    WithdrawInformationDocument,
    contract_decider,
    decide,
)
from domain.refusal import Refused
from tests.domain.signed_contract import (
    AFTERWARDS,
    CONTACT,
    CONTRACT,
    DOCUMENT,
    FIRST_DAY,
    IN_FORCE,
    LAST_DAY,
    MADRID,
    OTHER_SHA256,
    SHA256,
    SIGNED,
    VALIDATOR,
    about_contract,
    contact,
    contact_named,
    contact_reminded,
    contract_after,
    contract_ended,
    contract_expired,
    opened,
    opening,
    published,
    reactivated,
    risk_linked,
    risk_unlinked,
    role_filled,
    role_vacated,
    roles_required,
    signed,
    validator_named,
    withdrawn,
)
from tests.domain.stories import (
    PERSON,
    STRANGER,
    account_after,
    manager,
    owner,
    ready,
    stranger,
    suspended,
    system,
    through_the_log,
)
from tests.specification import Given, given

Decision = Callable[[Contract], Sequence[ContractEvent]]
DAY = timedelta(days=1)
AN_INSTANT = timedelta(microseconds=1)
OVER = start_of_day(LAST_DAY + DAY, MADRID)
A_WEEK_BEFORE = start_of_day(date(2026, 12, 25), MADRID)


def a_contract(*later: ContractEvent) -> Given[Contract, ContractEvent]:
    """The contract was opened, and this happened since."""
    return given(contract_decider, *signed, *later)


def asks(command: ContractDecision, actor: Actor = contact, **around: Any) -> Decision:
    """The contact at the holder asks, unless said otherwise."""
    return lambda contract: decide(command, actor, contract, ContractSurroundings(**around))


def by_contractor(command: ContractDecision, actor: Actor = owner, **around: Any) -> Decision:
    """Somebody asks who is linked to the contract, and whoever is named is linked, too."""
    around = {"linked": True, "filler": PERSON, "asker": account_after(*ready), **around}
    return asks(command, actor, **around)


def opens(**changes: Any) -> Decision:
    """An account manager opens the contract."""
    return asks(opening(**changes), manager, validator=VALIDATOR, contact=CONTACT)


def reactivating(
    valid_from: date, valid_to: date, *, at: datetime = AFTERWARDS
) -> ReactivateContract:
    return ReactivateContract(at=at, contract=CONTRACT, valid_from=valid_from, valid_to=valid_to)


def publishing(sha256: str = SHA256, **changes: Any) -> PublishInformationDocument:
    return PublishInformationDocument(
        **{
            "at": IN_FORCE,
            "contract": CONTRACT,
            "document": DOCUMENT,
            "code": "safety",
            "sha256": sha256,
            "size_bytes": 1000,
            **changes,
        }
    )


ending = EndContract(at=IN_FORCE, contract=CONTRACT, reason=ContractEndReason.TERMINATED)
withdrawing = WithdrawInformationDocument(at=IN_FORCE, contract=CONTRACT, document=DOCUMENT)
requiring = RequireRoles(at=IN_FORCE, contract=CONTRACT, roles=("first_aid", "supervisor"))
naming_contact = NameContact(
    at=IN_FORCE, contract=CONTRACT, name="Luis Mora", email="luis@example.com"
)
naming_validator = NameValidator(
    at=IN_FORCE,
    contract=CONTRACT,
    kind=ValidatorKind.OPERATOR_SPECIALIST,
    name="Eva Ruiz",
    email="eva@example.com",
)
linking_risk = LinkRisk(at=IN_FORCE, contract=CONTRACT, risk="height")
unlinking_risk = UnlinkRisk(at=IN_FORCE, contract=CONTRACT, risk="height")
filling_role = FillRole(
    at=IN_FORCE, contract=CONTRACT, role="supervisor", account=f"person:{PERSON}"
)
vacating_role = VacateRole(at=IN_FORCE, contract=CONTRACT, role="supervisor")

FOR_HOLDER: list[ContractDecision] = [
    reactivating(FIRST_DAY, LAST_DAY + DAY, at=IN_FORCE),
    ending,
    naming_validator,
    naming_contact,
    publishing(),
    withdrawing,
    requiring,
]
FOR_CONTRACTOR: list[ContractDecision] = [linking_risk, unlinking_risk, filling_role, vacating_role]

# ---------------------------------------------------------------- opening


@pytest.mark.rule("C1", "C6")
def test_a_contract_is_opened_with_its_validator_and_its_contact() -> None:
    """From one day to another, and everybody can be reached."""
    given(contract_decider).when(opens()).then(opened, validator_named, contact_named)


@pytest.mark.rule("C1")
def test_an_id_names_one_contract() -> None:
    """Not a second contract, nor anything else that has the id."""
    a_contract().when(opens()).then_refused("C1", message_contains="in use")
    taken = asks(opening(), manager, id_taken=True, validator=VALIDATOR, contact=CONTACT)
    given(contract_decider).when(taken).then_refused("C1", message_contains="in use")


@pytest.mark.rule("C1")
def test_a_contract_does_not_end_before_it_begins() -> None:
    """One day is enough; a day less is not."""
    assert given(contract_decider).when(opens(valid_to=FIRST_DAY)).events
    backwards = opens(valid_to=FIRST_DAY - DAY)
    given(contract_decider).when(backwards).then_refused("C1", message_contains="before it begins")


@pytest.mark.rule("C6")
@pytest.mark.parametrize(
    ("email", "phone", "reachable"),
    [
        (None, None, False),
        ("vera@example.com", None, True),
        (None, "+34612345678", True),
        ("vera@example.com", "+34612345678", True),
    ],
)
def test_a_validator_can_be_reached(email: str | None, phone: str | None, reachable: bool) -> None:
    """By e-mail or by telephone; also whoever is named later."""
    first = given(contract_decider).when(opens(validator_email=email, validator_phone=phone))
    naming = naming_validator.model_copy(update={"email": email, "phone": phone})
    later = a_contract().when(asks(naming, validator=VALIDATOR))
    for outcome in (first, later):
        if reachable:
            assert outcome.events
        else:
            outcome.then_refused("C6", remedy_contains="e-mail or a mobile number")


@pytest.mark.rule("C1", "C6")
def test_all_that_is_wrong_with_a_contract_is_told_at_once() -> None:
    """Not the first fault alone."""
    outcome = given(contract_decider).when(opens(valid_to=date(2025, 1, 1), validator_phone=None))
    outcome.then_refused("C1", message_contains="C6: there is no way to reach")


@pytest.mark.rule("C1")
@pytest.mark.parametrize(
    "changes",
    [
        {"valid_to": date(9999, 12, 31)},
        {"valid_from": date(1, 1, 1)},
        {"time_zone": "Europe/Nowhere"},
        {"modules": ()},
        {"modules": ("documentation", "documentation")},
        {"required_roles": ("Head of Safety",)},
        {"contact_email": "ines"},
    ],
    ids="-".join,
)
def test_what_is_no_day_code_or_address_is_bad_input(changes: dict[str, Any]) -> None:
    """Before anything is decided."""
    with pytest.raises(ValidationError):
        opening(**changes)


# ---------------------------------------------------------------- its days


@pytest.mark.rule("C1", "C3")
@pytest.mark.parametrize(
    ("at", "in_force", "over"),
    [
        (datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC), False, False),
        (datetime(2026, 2, 28, 23, tzinfo=UTC), True, False),
        (datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC), True, False),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), False, True),
    ],
)
def test_the_first_and_the_last_day_belong_to_it(at: datetime, in_force: bool, over: bool) -> None:
    """From midnight to midnight in its own time zone."""
    contract = contract_after(*signed)
    assert contract.in_force(at) is in_force
    assert contract.over(at) is over


@pytest.mark.rule("C3")
@pytest.mark.parametrize("at", [SIGNED, IN_FORCE])
def test_a_contract_is_ended_before_its_last_day(at: datetime) -> None:
    """Also before its first; from then on it is in force no longer."""
    a_contract().when(asks(ending.model_copy(update={"at": at}))).then(contract_ended(at))
    assert not contract_after(*signed, contract_ended()).in_force(IN_FORCE)


@pytest.mark.rule("C3")
def test_what_is_over_cannot_be_ended() -> None:
    """Neither when it was ended, nor when its last day has passed."""
    a_contract(contract_ended()).when(asks(ending)).then_refused("C3")
    a_contract().when(asks(ending.model_copy(update={"at": AFTERWARDS}))).then_refused("C3")


@pytest.mark.rule("C3")
@pytest.mark.parametrize("past", [(), (contract_ended(),)], ids=["run out", "ended"])
@pytest.mark.parametrize("first_day", [date(2027, 1, 1), date(2027, 2, 1), date(2027, 6, 1)])
def test_what_is_over_is_reactivated(past: tuple[ContractEvent, ...], first_day: date) -> None:
    """From a day before, now or later; in the time zone that it always had."""
    again = reactivated(first_day, date(2027, 12, 31))
    a_contract(*past).when(asks(reactivating(first_day, date(2027, 12, 31)))).then(again)
    contract = contract_after(*signed, *past, again)
    assert contract.in_force(AFTERWARDS) is (first_day <= date(2027, 2, 1))
    assert not contract.over(AFTERWARDS)


@pytest.mark.rule("C3")
def test_what_has_not_begun_gets_other_days() -> None:
    """Nobody had access by it yet."""
    sooner = reactivating(date(2026, 2, 15), date(2026, 5, 1), at=SIGNED)
    a_contract().when(asks(sooner)).then(
        reactivated(date(2026, 2, 15), date(2026, 5, 1), at=SIGNED)
    )


@pytest.mark.rule("C3")
def test_what_is_in_force_is_only_made_longer() -> None:
    """No day of it is left out; the same days once more are no change."""
    longer = reactivating(FIRST_DAY, LAST_DAY + DAY, at=IN_FORCE)
    a_contract().when(asks(longer)).then(reactivated(FIRST_DAY, LAST_DAY + DAY, at=IN_FORCE))
    a_contract().when(asks(reactivating(FIRST_DAY, LAST_DAY, at=IN_FORCE))).then_nothing()
    for days in [(FIRST_DAY, LAST_DAY - DAY), (date(2026, 6, 2), LAST_DAY + DAY)]:
        shorter = asks(reactivating(*days, at=IN_FORCE))
        a_contract().when(shorter).then_refused("C3", message_contains="leave days of it out")


@pytest.mark.rule("C1", "C3")
def test_a_reactivation_has_days_that_are_to_come() -> None:
    """It neither ends before it begins nor has ended already."""
    backwards = asks(reactivating(date(2027, 6, 1), date(2027, 5, 31)))
    a_contract().when(backwards).then_refused("C1")
    passed = asks(reactivating(date(2027, 1, 1), date(2027, 1, 31)))
    a_contract().when(passed).then_refused("C3", message_contains="has passed")


# ---------------------------------------------------------------- running out


def expiring(at: datetime = OVER) -> Decision:
    """It shall be recorded that its days are over."""
    return asks(ExpireContract(at=at, contract=CONTRACT), system)


def reminding(at: datetime = A_WEEK_BEFORE) -> Decision:
    """Whoever can reactivate it shall be told in advance."""
    return asks(RemindContract(at=at, contract=CONTRACT), system)


@pytest.mark.rule("C3")
def test_a_contract_expires_once_its_last_day_has_passed() -> None:
    """In its own time zone; the fact knows the day, however late it comes."""
    a_contract().when(expiring(OVER - AN_INSTANT)).then_refused("C3", remedy_contains="Wait")
    once = a_contract().when(expiring(OVER))
    once.then(contract_expired(OVER))
    once.and_when(expiring(AFTERWARDS)).then_refused("C3")
    a_contract().when(expiring(AFTERWARDS)).then(contract_expired(AFTERWARDS))


@pytest.mark.rule("C3")
def test_what_was_ended_or_made_longer_does_not_expire() -> None:
    """What was made longer does so later."""
    longer = reactivated(FIRST_DAY, LAST_DAY + DAY, at=IN_FORCE)
    a_contract(contract_ended()).when(expiring()).then_refused("C3")
    a_contract(longer).when(expiring()).then_refused("C3")
    a_day_later = start_of_day(LAST_DAY + 2 * DAY, MADRID)
    expired = contract_expired(a_day_later, LAST_DAY + DAY)
    a_contract(longer).when(expiring(a_day_later)).then(expired)


@pytest.mark.rule("C3")
@pytest.mark.parametrize("at", [SIGNED, IN_FORCE, OVER - AN_INSTANT, OVER, AFTERWARDS])
def test_an_expiry_says_nothing_that_its_days_did_not(at: datetime) -> None:
    """Whether it is on record or not."""
    before, after = contract_after(*signed), contract_after(*signed, contract_expired(OVER))
    assert (before.in_force(at), before.over(at)) == (after.in_force(at), after.over(at))


@pytest.mark.rule("C3")
def test_what_has_expired_is_reactivated_and_expires_again() -> None:
    """As often as the holder wishes."""
    again = reactivated(date(2027, 2, 1), date(2027, 2, 28))
    past = a_contract(contract_expired(OVER))
    reactivation = past.when(asks(reactivating(again.valid_from, again.valid_to)))
    reactivation.then(again)
    then_over = start_of_day(date(2027, 3, 1), MADRID)
    reactivation.and_when(expiring(then_over)).then(contract_expired(then_over, again.valid_to))


@pytest.mark.rule("C3", "C6")
def test_the_contact_is_reminded_a_week_before_the_contract_runs_out() -> None:
    """Not before, and once for each last day; whoever is the contact by then."""
    early = a_contract().when(reminding(A_WEEK_BEFORE - AN_INSTANT))
    early.then_refused("C3", remedy_contains="7 days before")
    once = a_contract().when(reminding())
    once.then(contact_reminded(A_WEEK_BEFORE))
    once.and_when(reminding(A_WEEK_BEFORE + DAY)).then_nothing()
    another = contact_named.model_copy(update={"contact": STRANGER})
    reminder = contact_reminded(A_WEEK_BEFORE, told=STRANGER)
    a_contract(another).when(reminding()).then(reminder)
    assert reminder.persons == (opened.person, STRANGER)


@pytest.mark.rule("C3")
def test_other_days_are_a_reason_to_remind_again() -> None:
    """The same days once more are none; each notice has an id of its own."""
    at = A_WEEK_BEFORE + DAY
    same_days = reactivated(FIRST_DAY, LAST_DAY, at=at)
    past = a_contract(contact_reminded(A_WEEK_BEFORE), contract_ended(at), same_days)
    past.when(reminding(at)).then_nothing()
    longer = reactivated(FIRST_DAY, date(2027, 2, 28), at=at)
    later = start_of_day(date(2027, 2, 22), MADRID)
    past = a_contract(contact_reminded(A_WEEK_BEFORE), longer)
    past.when(reminding(later)).then(contact_reminded(later, 1, valid_to=date(2027, 2, 28)))


@pytest.mark.rule("C3")
@pytest.mark.parametrize("past", [(), (contact_reminded(A_WEEK_BEFORE),)], ids=["not", "reminded"])
def test_too_late_for_a_reminder_the_expiry_is_recorded(past: tuple[ContractEvent, ...]) -> None:
    """A clock that stood still tells nobody that what is over will be."""
    a_contract(*past).when(reminding(OVER)).then(contract_expired(OVER))


@pytest.mark.rule("C3")
@pytest.mark.parametrize(
    "past",
    [
        [*signed, contract_ended()],
        [*signed, contract_expired(OVER)],
        [*signed, reactivated(date(2026, 12, 25), LAST_DAY, at=SIGNED)],
        [*signed, reactivated(FIRST_DAY, LAST_DAY, at=A_WEEK_BEFORE)],
        [opened],
    ],
    ids=["ended", "expired", "of a week", "agreed to in its last week", "nobody to tell"],
)
def test_nobody_is_reminded_without_need(past: list[ContractEvent]) -> None:
    """What lasts, or was agreed to, no longer than the days of the reminder before its end."""
    outcome = given(contract_decider, *past).when(reminding(A_WEEK_BEFORE))
    outcome.then_refused("C3", message_contains="does not run out soon")


@pytest.mark.rule("C1")
def test_a_contract_that_there_is_not_neither_expires_nor_runs_out() -> None:
    """There is nobody to tell."""
    for wish in (expiring(), reminding()):
        given(contract_decider).when(wish).then_refused("C1")


# ---------------------------------------------------------------- who may


@pytest.mark.rule("C1")
@pytest.mark.parametrize("command", [*FOR_HOLDER, *FOR_CONTRACTOR], ids=lambda each: each.NAME)
def test_nothing_happens_to_a_contract_that_there_is_not(command: ContractDecision) -> None:
    """Whoever asks, staff too."""
    outcome = given(contract_decider).when(by_contractor(command, manager))
    outcome.then_refused("C1", message_contains="no such contract")


@pytest.mark.rule("C2")
@pytest.mark.parametrize("command", FOR_HOLDER, ids=lambda each: each.NAME)
def test_a_person_acts_for_the_holder_only_as_its_contact(command: ContractDecision) -> None:
    """Neither somebody of the contractor nor whoever was the contact before."""
    for actor in (stranger, owner, Actor(kind=ActorKind.PERSON)):
        a_contract(published()).when(by_contractor(command, actor)).then_refused("C2")
    another = ContactNamed(
        **about_contract(), contact=STRANGER, name="Luis Mora", email="luis@example.com"
    )
    a_contract(published(), another).when(asks(command)).then_refused("C2")


@pytest.mark.rule("C2")
@pytest.mark.parametrize("actor", [contact, manager], ids=["contact", "manager"])
@pytest.mark.parametrize("command", FOR_HOLDER, ids=lambda each: each.NAME)
def test_the_contact_and_the_account_manager_act_for_the_holder(
    command: ContractDecision, actor: Actor
) -> None:
    """A contact needs no account for it."""
    outcome = a_contract(published(sha256=OTHER_SHA256)).when(
        asks(command, actor, validator=VALIDATOR, contact=CONTACT)
    )
    assert outcome.events


@pytest.mark.rule("C2", "A10")
@pytest.mark.parametrize("command", FOR_HOLDER, ids=lambda each: each.NAME)
def test_a_suspended_contact_does_nothing(command: ContractDecision) -> None:
    """Whoever has an account is bound by it."""
    asker = account_after(*ready, suspended)
    a_contract(published()).when(asks(command, asker=asker)).then_refused("A10")


@pytest.mark.rule("C2", "C4", "A10")
@pytest.mark.parametrize("command", FOR_CONTRACTOR, ids=lambda each: each.NAME)
def test_only_whoever_is_linked_speaks_for_the_contractor(command: ContractDecision) -> None:
    """Not the contact at the holder, and nobody who is suspended or has no id."""
    a_contract().when(asks(command)).then_refused("C2", remedy_contains="contact at the holder")
    asker = account_after(*ready, suspended)
    a_contract().when(by_contractor(command, asker=asker)).then_refused("A10")
    nameless = Actor(kind=ActorKind.PERSON)
    a_contract().when(by_contractor(command, nameless)).then_refused("G1")


@pytest.mark.rule("G1")
@pytest.mark.parametrize(
    "command", [opening(), *FOR_HOLDER, *FOR_CONTRACTOR], ids=lambda each: each.NAME
)
def test_which_kinds_of_actor_give_commands_about_contracts(command: ContractDecision) -> None:
    """Account managers open; what the contractor says, no member of staff says."""
    allowed = MAY_GIVE[type(command)]
    assert (ActorKind.PERSON in allowed) is not isinstance(command, OpenContract)
    assert (ActorKind.ACCOUNT_MANAGER in allowed) is (command not in FOR_CONTRACTOR)
    with pytest.raises(Refused, match="G1"):
        refuse_unless_may_give(system, type(command))


# ---------------------------------------------------------------- whom it names


@pytest.mark.rule("C6")
def test_another_validator_and_another_contact_are_named() -> None:
    """The facts say who, and how to reach them."""
    a_contract().when(asks(naming_validator, validator=STRANGER)).then(
        ValidatorNamed(
            **about_contract(IN_FORCE),
            kind=ValidatorKind.OPERATOR_SPECIALIST,
            validator=STRANGER,
            name="Eva Ruiz",
            email="eva@example.com",
        )
    )
    a_contract().when(asks(naming_contact, contact=STRANGER)).then(
        ContactNamed(
            **about_contract(IN_FORCE),
            contact=STRANGER,
            name="Luis Mora",
            email="luis@example.com",
        )
    )


@pytest.mark.rule("C6")
def test_naming_them_in_the_same_words_is_no_change() -> None:
    """The contract says so already."""
    a_contract().when(asks(naming_validator, same_validator=True)).then_nothing()
    a_contract().when(asks(naming_contact, same_contact=True)).then_nothing()


@pytest.mark.rule("C6")
def test_facts_are_about_everybody_whom_they_name() -> None:
    """The holder, and whoever is named."""
    assert validator_named.persons == (validator_named.person, VALIDATOR)
    assert contact_named.persons == (contact_named.person, CONTACT)
    assert role_filled().persons == (role_filled().person, PERSON)


# ---------------------------------------------------------------- what it asks for


@pytest.mark.rule("C4")
def test_each_new_version_of_a_document_has_the_next_number() -> None:
    """The same file once more is no new version; the same file by another name is."""
    a_contract().when(asks(publishing())).then(published())
    a_contract(published()).when(asks(publishing())).then_nothing()
    a_contract(published()).when(asks(publishing(OTHER_SHA256))).then(
        published(2, sha256=OTHER_SHA256)
    )
    again = asks(publishing(code="safety_rules"))
    assert a_contract(published()).when(again).events[0].model_dump()["version"] == 2


@pytest.mark.rule("C4")
def test_a_document_that_was_withdrawn_comes_back_as_a_new_version() -> None:
    """Everybody is asked anew, also by the same file."""
    a_contract(published(), withdrawn()).when(asks(publishing())).then(published(2))


@pytest.mark.rule("C4")
def test_a_document_is_withdrawn_once() -> None:
    """Once more is no change; one that there is not cannot be withdrawn."""
    a_contract(published()).when(asks(withdrawing)).then(withdrawn())
    a_contract(published(), withdrawn()).when(asks(withdrawing)).then_nothing()
    a_contract().when(asks(withdrawing)).then_refused("C4", message_contains="no such")


@pytest.mark.rule("C4")
def test_roles_are_required_all_at_once() -> None:
    """What is named takes the place of what was required; the same set is no change."""
    required = roles_required("first_aid", "supervisor")
    a_contract().when(asks(requiring)).then(required)
    other_order = requiring.model_copy(update={"roles": ("supervisor", "first_aid")})
    a_contract(required).when(asks(other_order)).then_nothing()
    nothing = requiring.model_copy(update={"roles": ()})
    a_contract(required).when(asks(nothing)).then(roles_required())


@pytest.mark.rule("C4")
def test_the_contractor_links_risks_and_unlinks_them() -> None:
    """Saying so once more is no change."""
    a_contract().when(by_contractor(linking_risk)).then(risk_linked())
    a_contract(risk_linked()).when(by_contractor(linking_risk)).then_nothing()
    a_contract(risk_linked()).when(by_contractor(unlinking_risk)).then(risk_unlinked())
    a_contract(risk_linked("fire")).when(by_contractor(unlinking_risk)).then_nothing()


@pytest.mark.rule("C4")
def test_the_contractor_fills_required_roles_and_vacates_them() -> None:
    """With another person too; saying so once more is no change."""
    a_contract().when(by_contractor(filling_role)).then(role_filled())
    a_contract(role_filled()).when(by_contractor(filling_role)).then_nothing()
    somebody_else = by_contractor(filling_role, filler=STRANGER)
    a_contract(role_filled()).when(somebody_else).then(role_filled(filled_by=STRANGER))
    a_contract(role_filled()).when(by_contractor(vacating_role)).then(role_vacated())
    a_contract().when(by_contractor(vacating_role)).then_nothing()


@pytest.mark.rule("C4")
def test_only_a_required_role_is_filled_and_only_by_somebody_linked() -> None:
    """Else the holder comes first."""
    pilot = by_contractor(filling_role.model_copy(update={"role": "pilot"}))
    a_contract().when(pilot).then_refused("C4", message_contains="does not require")
    outsider = by_contractor(filling_role, filler=None)
    a_contract().when(outsider).then_refused("C4", remedy_contains="link that person first")


@pytest.mark.rule("C4")
def test_whoever_has_a_role_keeps_it_while_it_is_not_required() -> None:
    """Required again, it is filled."""
    contract = contract_after(*signed, role_filled(), roles_required())
    assert contract.roles == {"supervisor": PERSON}


# ---------------------------------------------------------------- the log


@pytest.mark.parametrize(
    "event",
    [
        *signed,
        reactivated(FIRST_DAY, LAST_DAY),
        contract_ended(),
        contract_expired(OVER),
        contact_reminded(A_WEEK_BEFORE),
        published(),
        withdrawn(),
        roles_required("supervisor"),
        risk_linked(),
        risk_unlinked(),
        role_filled(),
        role_vacated(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_fact_is_read_as_it_was_written(event: ContractEvent) -> None:
    """What is personal is sealed on the way."""
    assert through_the_log(event) == event


def test_nothing_has_been_decided_before_the_first_fact() -> None:
    """No days, nobody named, nothing asked for."""
    assert contract_after() == Contract()
