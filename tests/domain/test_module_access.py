"""A module opens step by step, and each no says the way out (C2 to C5, X1 to X3)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import NamedTuple
from uuid import UUID

import pytest

from domain.access_facts import access_fact
from domain.event import Event
from domain.module_access import WeighedModule, weigh_module
from domain.obstacles import Obstacle, module_obstacles
from tests.domain.contract_stories import (
    CONTACT,
    CONTRACT,
    EVACUATION,
    LAST_DAY,
    MODULE,
    OTHER_CONTRACT,
    VALIDATOR,
    contact_named,
    downloaded,
    ended,
    linked,
    marked_as_read,
    opened,
    published,
    reactivated,
    risk_linked,
    risk_unlinked,
    role_filled,
    role_vacated,
    roles_required,
    unlinked,
    validator_named,
    withdrawn,
)
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    closed,
    noon,
    registered,
    reinstated,
    suspended,
)

AN_INSTANT = timedelta(microseconds=1)
LATER = noon(2025, 6, 1)
LATEST = noon(2025, 7, 1)
NOT_IN_FORCE_ANY_MORE = datetime(2025, 12, 31, 23, tzinfo=UTC)
"""Midnight in Madrid after 31 December."""


def weigh(
    events: Sequence[Event],
    at: datetime = LATEST,
    *,
    account: UUID | None = ACCOUNT,
    module: str = MODULE,
) -> WeighedModule:
    """What these events amount to at an instant."""
    facts = [fact for event in events if (fact := access_fact(event))]
    assert len(facts) == len(events), "each of these events means something for access"
    return weigh_module(facts, at, account=account, module=module)


def in_the_way(
    *events: Event,
    at: datetime = LATEST,
    account: UUID | None = ACCOUNT,
    module: str = MODULE,
) -> list[Obstacle]:
    """The obstacles that these events leave."""
    return list(module_obstacles(weigh(events, at, account=account, module=module).facts))


def rules(*events: Event, at: datetime = LATEST, module: str = MODULE) -> list[str]:
    """The rules that these events leave in the way."""
    return [obstacle.rule for obstacle in in_the_way(*events, at=at, module=module)]


def complete(at: datetime = BEGINNING, contract: UUID = CONTRACT) -> list[Event]:
    """A contract with everything that opens its module to Ana."""
    return [
        opened(at, contract),
        contact_named(at, contract),
        validator_named(at, contract),
        linked(at, contract),
        published(at, contract),
        downloaded(at, contract),
        marked_as_read(at, contract),
        risk_linked(at, contract),
        role_filled(at, contract),
    ]


def incomplete(at: datetime = BEGINNING, contract: UUID = CONTRACT) -> list[Event]:
    """A contract to which Ana is linked, with everything still to do."""
    return [opened(at, contract), linked(at, contract), published(at, contract)]


# ---------------------------------------------------------------- all combinations


class Case(NamedTuple):
    """The conditions of C2 to C4, and whether the account is suspended."""

    suspended: bool
    linked: bool
    in_force: bool
    read: bool
    has_risk: bool
    roles_filled: bool


class Told(NamedTuple):
    """What a no says of a condition: rule, message, remedy, contact, contract, what is missing."""

    rule: str
    message: str
    remedy: str
    contact: str
    contract: UUID | None = CONTRACT
    missing: tuple[str, ...] = ()


AT_THE_HOLDER = "the contact at the holder, who looks after the contractor"
TOLD_OF_SUSPENSION = Told(
    "A10",
    "the account is suspended",
    "Ask for it to be reinstated.",
    "the account manager, or the operator's support where none is assigned",
    None,
)
TOLD_OF_LINK = Told(
    "C2",
    "the holder took the person's access to the contract back",
    "Ask the contact at the holder to be linked to the contract again.",
    AT_THE_HOLDER,
)
TOLD_OF_END = Told(
    "C3",
    "the holder ended the contract",
    "Ask the holder to reactivate the contract, or to make a new one.",
    AT_THE_HOLDER,
)
TOLD_OF_LAST_DAY = TOLD_OF_END._replace(message="the last day of the contract has passed")
TOLD_OF_FIRST_DAY = TOLD_OF_END._replace(
    message="the contract is not in force yet",
    remedy="Wait for its first day, or ask the holder to put it in force from an earlier one.",
)
TOLD_OF_DOCUMENTS = Told(
    "C4",
    "there are information documents that the person has not read in their latest version",
    "Download each of them, and mark it as read.",
    "the person themselves; for questions about a document, the contract's validator",
    missing=("induction",),
)
TOLD_OF_RISKS = Told(
    "C4",
    "no risk is linked to the contract",
    "Have somebody of the contractor who is linked to the contract link its risks.",
    AT_THE_HOLDER,
)
TOLD_OF_ROLES = Told(
    "C4",
    "roles that the contract requires are not filled",
    "Have somebody of the contractor who is linked to the contract name a person for each.",
    AT_THE_HOLDER,
    missing=("site_manager",),
)

NOT_IN_FORCE = {
    "not begun": (opened(first=date(2025, 8, 1)), [], TOLD_OF_FIRST_DAY),
    "run out": (opened(last=date(2025, 5, 31)), [], TOLD_OF_LAST_DAY),
    "ended": (opened(), [ended(LATER)], TOLD_OF_END),
    "ended, and run out": (opened(last=date(2025, 6, 15)), [ended(LATER)], TOLD_OF_END),
}
CASES = [Case(*each) for each in product([False, True], repeat=6)]


def history(case: Case, out_of_force: str) -> Iterator[Event]:
    """What led to such a case."""
    opening, ending, _ = NOT_IN_FORCE[out_of_force]
    yield registered
    yield opened() if case.in_force else opening
    yield from [contact_named(), validator_named(), linked(), published()]
    if case.read:
        yield from [downloaded(), marked_as_read()]
    if case.has_risk:
        yield risk_linked()
    if case.roles_filled:
        yield role_filled()
    if not case.linked:
        yield unlinked(LATER)
    if not case.in_force:
        yield from ending
    if case.suspended:
        yield suspended


@pytest.mark.rule("X1", "X2", "C2", "C3", "C4", "A10")
@pytest.mark.parametrize("out_of_force", NOT_IN_FORCE)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_exactly_the_rules_in_the_way_in_order(case: Case, out_of_force: str) -> None:
    """Each condition that fails is told of, with its remedy and contact, and no other."""
    expected = [
        told
        for holds, told in (
            (not case.suspended, TOLD_OF_SUSPENSION),
            (case.linked, TOLD_OF_LINK),
            (case.in_force, NOT_IN_FORCE[out_of_force][2]),
            (case.read, TOLD_OF_DOCUMENTS),
            (case.has_risk, TOLD_OF_RISKS),
            (case.roles_filled, TOLD_OF_ROLES),
        )
        if not holds
    ]
    found = in_the_way(*history(case, out_of_force))
    assert [
        Told(each.rule, each.message, each.remedy, each.contact, each.contract, each.missing)
        for each in found
    ] == expected


@pytest.mark.rule("X2", "C2", "C3", "C4", "A10")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_whoever_was_never_linked_is_told_of_that_alone(case: Case) -> None:
    """What the contract lacks is no business of somebody who has nothing to do with it."""
    theirs = ("PersonLinked", "PersonUnlinked", "InformationDocumentDownloaded",
              "InformationDocumentMarkedAsRead")  # fmt: skip
    events = [each for each in history(case, "ended") if type(each).__name__ not in theirs]
    found = in_the_way(*events)
    assert [each.rule for each in found] == ["A10", "C2"][0 if case.suspended else 1 :]
    assert "spam folder, then ask the contact" in found[-1].remedy
    assert found[-1].contact == AT_THE_HOLDER


@pytest.mark.rule("X2", "A1", "A10")
def test_without_an_open_account_nothing_else_is_told() -> None:
    """Nobody clears anything before there is an account."""
    [nobody] = in_the_way(*complete(), account=None)
    assert (nobody.rule, nobody.contact) == ("A1", AT_THE_HOLDER)
    assert rules(*complete()) == ["A1"], "nor before it is registered"
    for gone in ([closed], [suspended, closed]):
        assert rules(registered, *incomplete(), *gone) == ["A10"]


# ---------------------------------------------------------------- which contracts


@pytest.mark.rule("C4", "X3")
def test_one_complete_contract_is_enough() -> None:
    """And it alone is what the yes rests on, whatever the others lack."""
    events = [registered, *incomplete(contract=OTHER_CONTRACT), *complete()]
    weighed = weigh(events)
    assert module_obstacles(weighed.facts) == ()
    resting_on = [events[place] for place in weighed.evidence]
    needed = [each for each in complete() if "Named" not in type(each).__name__]
    assert resting_on == [registered, *needed], "nobody has to be contacted"


@pytest.mark.rule("C4")
def test_half_of_each_of_two_contracts_is_not_enough() -> None:
    """What is done under one contract completes no other."""
    half = [opened(), linked(), published(), downloaded(), marked_as_read()]
    other = [opened(contract=OTHER_CONTRACT), linked(contract=OTHER_CONTRACT)]
    other += [risk_linked(contract=OTHER_CONTRACT), role_filled(contract=OTHER_CONTRACT)]
    other += [published(contract=OTHER_CONTRACT, document=EVACUATION)]
    found = in_the_way(registered, *half, *other)
    assert [(each.rule, each.contract) for each in found] == [
        ("C4", OTHER_CONTRACT),
        ("C4", CONTRACT),
        ("C4", CONTRACT),
    ]


@pytest.mark.rule("X2")
def test_the_contract_with_the_shortest_way_comes_first() -> None:
    """And of two that lack as much, the one that was linked later."""
    lacks_less = [*incomplete(), risk_linked()]
    lacks_more = incomplete(LATER, OTHER_CONTRACT)

    def order(*events: Event) -> list[UUID | None]:
        return list(dict.fromkeys(each.contract for each in in_the_way(registered, *events)))

    assert order(*lacks_less, *lacks_more) == [CONTRACT, OTHER_CONTRACT]
    assert order(*lacks_more, *lacks_less) == [CONTRACT, OTHER_CONTRACT]
    assert order(*incomplete(), *lacks_more) == [OTHER_CONTRACT, CONTRACT]
    assert order(*lacks_more, *incomplete()) == [CONTRACT, OTHER_CONTRACT]


@pytest.mark.rule("C3", "X2")
def test_a_contract_that_opens_another_module_is_of_no_interest() -> None:
    """A person with such a contract is told what whoever has none is told."""
    elsewhere = [opened(modules=("training",)), *complete()[1:]]
    assert rules(registered, *elsewhere) == ["C2"]
    assert rules(registered, *elsewhere, module="training") == []
    assert weigh([registered, *elsewhere]).evidence == (0,)


# ---------------------------------------------------------------- in force


@pytest.mark.rule("C1", "C3", "X1")
def test_a_contract_is_in_force_by_the_days_of_its_time_zone() -> None:
    """From the first instant of its first day to the last of its last, in Madrid."""
    events = [registered, *complete()]
    first = datetime(2025, 3, 30, 22, tzinfo=UTC)
    spring = [registered, opened(first=date(2025, 3, 31)), *complete()[1:]]
    assert rules(*spring, at=first - AN_INSTANT) == ["C3"]
    assert rules(*spring, at=first) == []
    assert rules(*events, at=NOT_IN_FORCE_ANY_MORE - AN_INSTANT) == []
    assert rules(*events, at=NOT_IN_FORCE_ANY_MORE) == ["C3"]


@pytest.mark.rule("C3", "X3")
def test_an_ended_contract_is_in_force_again_once_it_is_reactivated() -> None:
    """From the days of its reactivation on, which is what the answer rests on."""
    ending = ended(noon(2025, 5, 1))
    again = reactivated(LATER, date(2025, 6, 10), date(2026, 1, 31))
    events = [registered, *complete(), ending, again]
    assert rules(*events, at=noon(2025, 5, 2)) == ["C3"]
    assert "ended" in in_the_way(*events, at=noon(2025, 5, 2))[0].message
    assert "not in force yet" in in_the_way(*events, at=noon(2025, 6, 9))[0].message
    assert rules(*events, at=noon(2025, 6, 10)) == []
    assert rules(*events, at=NOT_IN_FORCE_ANY_MORE) == []
    resting_on = [events[place] for place in weigh(events).evidence]
    assert again in resting_on
    assert ending not in resting_on


@pytest.mark.rule("C3", "X3")
def test_a_reactivation_to_the_same_days_leaves_the_opening_to_rest_on() -> None:
    """It undid the ending, and said nothing else."""
    again = reactivated(LATER, date(2025, 1, 1), LAST_DAY)
    events = [registered, *complete(), ended(noon(2025, 5, 1)), again]
    assert rules(*events) == []
    assert again not in [events[place] for place in weigh(events).evidence]


# ---------------------------------------------------------------- documents, risks, roles


@pytest.mark.rule("C4", "X3")
def test_each_version_of_a_document_asks_anew() -> None:
    """Until it, too, was downloaded and marked as read."""
    events = [registered, *complete(), published(LATER, version=2)]
    assert rules(*events, at=LATER - AN_INSTANT) == []
    [obstacle] = in_the_way(*events)
    assert (obstacle.rule, obstacle.missing) == ("C4", ("induction",))
    for done in ([downloaded(LATER, version=2)], [marked_as_read(LATER, version=2)]):
        assert rules(*events, *done) == ["C4"], "both are needed"
    read = [downloaded(LATER, version=2), marked_as_read(LATER, version=2)]
    assert rules(*events, *read) == []
    resting_on = [[*events, *read][place] for place in weigh([*events, *read]).evidence]
    assert published() not in resting_on
    assert set(read) <= set(resting_on)


@pytest.mark.rule("C4", "X3")
def test_a_withdrawn_document_asks_nobody() -> None:
    """Read or not; and published once more, it asks again."""
    events = [registered, *complete(), published(document=EVACUATION)]
    assert in_the_way(*events)[0].missing == ("evacuation",)
    gone = withdrawn(LATER, document=EVACUATION)
    assert rules(*events, gone) == []
    assert gone not in [[*events, gone][place] for place in weigh([*events, gone]).evidence]
    back = published(LATER, document=EVACUATION, version=2)
    assert rules(*events, gone, back) == ["C4"]


@pytest.mark.rule("C4")
def test_all_documents_are_told_of_that_are_not_read() -> None:
    """In one obstacle, by what they are called, the one that was published last at the end."""
    events = [registered, *incomplete(), published(document=EVACUATION)]
    assert weigh(events).facts.contracts[0].unread == ("induction", "evacuation")
    again = [*events, published(LATER, version=2)]
    assert weigh(again).facts.contracts[0].unread == ("evacuation", "induction")


@pytest.mark.rule("C4")
def test_nothing_to_read_and_no_role_to_fill_hinder_nobody() -> None:
    """A risk is needed even then."""
    bare = [registered, opened(roles=()), linked()]
    assert rules(*bare) == ["C4"]
    assert rules(*bare, risk_linked()) == []


@pytest.mark.rule("C4")
def test_a_risk_counts_until_it_is_unlinked() -> None:
    """Another one does as well."""
    events = [registered, *complete(), risk_unlinked(LATER)]
    assert rules(*events, at=LATER - AN_INSTANT) == []
    assert rules(*events) == ["C4"]
    assert rules(*events, risk_linked(LATER, risk="confined_space")) == []


@pytest.mark.rule("C4")
def test_the_roles_are_those_that_are_required_now() -> None:
    """Each of them filled; what is not required any more hinders nobody."""
    events = [registered, *complete()]
    more = roles_required(LATER, ("site_manager", "first_aider"))
    assert in_the_way(*events, more)[0].missing == ("first_aider",)
    assert rules(*events, more, role_filled(LATER, role="first_aider")) == []
    left = role_vacated(LATER)
    assert in_the_way(*events, left)[0].missing == ("site_manager",)
    assert rules(*events, left, roles_required(LATER, ())) == []


# ---------------------------------------------------------------- links


@pytest.mark.rule("C2", "C4", "X3")
def test_whoever_is_linked_again_has_read_what_they_had_read() -> None:
    """The unlinking counts from its instant to the next linking, and for nothing else."""
    back = linked(noon(2025, 6, 20))
    events = [registered, *complete(), unlinked(LATER), back]
    assert rules(*events, at=LATER - AN_INSTANT) == []
    assert rules(*events, at=LATER) == ["C2"]
    assert rules(*events) == []
    resting_on = [events[place] for place in weigh(events).evidence]
    assert back in resting_on
    assert linked() not in resting_on


@pytest.mark.rule("X1", "X5")
@pytest.mark.parametrize("late", range(1, 10))
def test_what_happened_later_is_left_aside(late: int) -> None:
    """At an instant, only what had happened by then counts, though it is on record."""
    now = [registered, *complete()]
    then = [
        each.model_copy(update={"occurred_at": LATEST + AN_INSTANT}) if place == late else each
        for place, each in enumerate(now)
    ]
    before = [*now[:late], *now[late + 1 :]]
    assert weigh(then).facts == weigh(before).facts
    assert rules(*then, at=LATEST + AN_INSTANT) == []


@pytest.mark.rule("X3", "A10")
def test_a_yes_after_a_suspension_rests_on_its_end() -> None:
    """As for content."""
    events = [registered, *complete(), suspended, reinstated]
    assert weigh(events).facts.reinstated
    resting_on = [events[place] for place in weigh(events).evidence]
    assert reinstated in resting_on
    assert suspended not in resting_on


# ---------------------------------------------------------------- whom to contact


@pytest.mark.rule("C6", "X2", "X3")
def test_a_no_rests_on_who_is_to_be_contacted() -> None:
    """The contact and the validator of now; the validator only for questions about documents."""
    another = UUID(int=50)
    renamed = [contact_named(LATER, contact=another), validator_named(LATER, validator=another)]
    events = [registered, contact_named(), validator_named(), *incomplete(), *renamed]
    weighed = weigh(events)
    assert [events[place] for place in weighed.contacts] == renamed
    assert set(weighed.contacts) <= set(weighed.evidence)
    assert weighed.facts.contracts[0].contact == another
    read = [downloaded(), marked_as_read()]
    assert [[*events, *read][place] for place in weigh([*events, *read]).contacts] == renamed[:1]
    then = weigh(events, LATER - AN_INSTANT)
    assert (then.facts.contracts[0].contact, then.facts.contracts[0].validator) == (
        CONTACT,
        VALIDATOR,
    )
    assert weigh([registered, *complete()]).contacts == ()
