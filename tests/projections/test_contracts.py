"""Contracts at an instant: days, documents, risks, roles, and what people still have to do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.account import AccountSuspended, SuspensionReason, UserCodeChanged
from domain.actor import Actor, ActorKind
from domain.contract import (
    ContractEnded,
    ContractEndReason,
    ContractFact,
    ContractOpened,
    ContractReactivated,
    InformationDocumentPublished,
    InformationDocumentWithdrawn,
    RiskLinked,
    RiskUnlinked,
    RoleFilled,
    RolesRequired,
    RoleVacated,
)
from domain.contract_link import (
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
    UnlinkReason,
)
from domain.event import Event, Recorded
from domain.module_access import ContractDays
from domain.streams import contract_link_of
from handlers.composition import Acta, open_ledger
from handlers.store.embedded import EmbeddedServer
from projections.contracts import (
    ContractRegister,
    ContractWhole,
    LinkedPersonLine,
    Outstanding,
    contract_lines,
    contract_whole,
)
from tests.conftest import new_database
from tests.handlers.stories import BEGINNING, Story, noon
from tests.projections.contents import contents, rebuild
from tests.projections.contract_lives import ZONE, Agreement, Chronicle, Worker, tell_of_contracts

INSTANT = timedelta(microseconds=1)
A_DAY = timedelta(days=1)
OLGA = "olga@obras.example.com"
NEXT = BEGINNING + A_DAY
LATER = BEGINNING + 7 * A_DAY
HEIGHT: dict[str, Any] = {"risk": "work_at_height"}
IN_FORCE, ROLES, RISKS = Outstanding.IN_FORCE, Outstanding.ROLES, Outstanding.RISKS
ENDED: dict[str, Any] = {"reason": ContractEndReason.TERMINATED}


@pytest.fixture
def told(acta: Acta) -> Chronicle:
    """Facts are written into a log of the test's own."""
    return Chronicle(acta)


def whole(told: Chronicle, agreement: Agreement, at: datetime = BEGINNING) -> ContractWhole:
    """A contract, by a read model that knows everything."""
    told.acta.projector.catch_up()
    with told.acta.database.connection() as connection:
        found = contract_whole(connection, agreement.id, at)
    assert found is not None
    return found


def ids(told: Chronicle, at: datetime = BEGINNING, **asked: Any) -> list[UUID]:
    """The contracts asked for, in their order."""
    told.acta.projector.catch_up()
    with told.acta.database.connection() as connection:
        return [line.contract for line in contract_lines(connection, at, **asked)]


# ---------------------------------------------------------------- days


@pytest.mark.rule("C1", "C3")
def test_it_is_in_force_from_its_first_day_to_its_last_in_its_time_zone(told: Chronicle) -> None:
    """Both included, to the instant; Madrid is an hour ahead of UTC in winter, two in summer."""
    agreement = told.agree(date(2026, 2, 10), date(2026, 6, 20))
    first, past = datetime(2026, 2, 9, 23, tzinfo=UTC), datetime(2026, 6, 20, 22, tzinfo=UTC)
    instants = (first - INSTANT, first, past - INSTANT, past)
    days = {at: whole(told, agreement, at).line.days for at in instants}
    assert list(days.values()) == [
        ContractDays.NOT_BEGUN, ContractDays.IN_FORCE, ContractDays.IN_FORCE, ContractDays.RUN_OUT,
    ]  # fmt: skip
    for at, standing in days.items():
        in_force = standing is ContractDays.IN_FORCE
        assert ids(told, at, in_force=True) == ([agreement.id] if in_force else [])


@pytest.mark.rule("C3")
def test_one_that_was_ended_is_in_force_again_once_reactivated(told: Chronicle) -> None:
    """Ending says when and why; what comes later is left aside."""
    agreement = told.agree()
    told.of(agreement, ContractEnded, **ENDED, at=NEXT)
    told.of(
        agreement, ContractReactivated, at=LATER, time_zone=ZONE,
        valid_from=LATER.date(), valid_to=date(2027, 3, 31),
    )  # fmt: skip
    assert whole(told, agreement, NEXT - INSTANT).line.days is ContractDays.IN_FORCE
    ended = whole(told, agreement, NEXT).line
    assert (ended.days, ended.ended_at, ended.ended_because, ended.valid_to) == (
        ContractDays.ENDED, NEXT, "terminated", date(2026, 12, 31),
    )  # fmt: skip
    again = whole(told, agreement, LATER).line
    assert (again.days, again.ended_at, again.valid_to) == (
        ContractDays.IN_FORCE, None, date(2027, 3, 31),
    )  # fmt: skip


@pytest.mark.rule("C1", "X5")
def test_there_is_none_before_it_was_opened(told: Chronicle) -> None:
    """Even where its first day lies before; nor is there one that nobody opened."""
    agreement = told.agree(at=NEXT)
    assert ids(told, NEXT - INSTANT) == []
    with told.acta.database.connection() as connection:
        assert contract_whole(connection, agreement.id, NEXT - INSTANT) is None
        assert contract_whole(connection, uuid4(), NEXT) is None
    assert ids(told, NEXT) == [agreement.id]


@pytest.mark.rule("X5")
def test_a_backdated_ending_is_true_of_the_time_before_it_was_told(told: Chronicle) -> None:
    """What it names is the instant from which it holds."""
    agreement = told.agree()
    told.of(agreement, RiskLinked, **HEIGHT, linked_by=uuid4(), at=LATER)
    told.of(agreement, ContractEnded, **ENDED, at=NEXT)
    assert whole(told, agreement, NEXT - INSTANT).line.days is ContractDays.IN_FORCE
    assert whole(told, agreement, NEXT).line.days is ContractDays.ENDED


@pytest.mark.rule("C3")
def test_those_that_end_soon_are_in_force_and_counted_in_their_own_days(told: Chronicle) -> None:
    """Midnight in Madrid is yesterday's evening in Santiago; today is no day off."""
    at = datetime(2026, 3, 1, 1, tzinfo=UTC)
    madrid = told.agree(valid_to=date(2026, 3, 10))
    santiago = told.agree(valid_to=date(2026, 3, 10), zone="America/Santiago")
    today = told.agree(valid_to=date(2026, 3, 1))
    over, ended = told.agree(valid_to=date(2026, 2, 28)), told.agree(valid_to=date(2026, 3, 2))
    told.of(ended, ContractEnded, **ENDED)
    not_begun = told.agree(date(2026, 3, 2), date(2026, 3, 3))

    def ending(days: int) -> set[UUID]:
        return set(ids(told, at, ending_within_days=days))

    assert ending(0) == {today.id}
    assert ending(8) == {today.id}
    assert ending(9) == {today.id, madrid.id}
    assert ending(10) == {today.id, madrid.id, santiago.id} == set(ids(told, at, in_force=True))
    every = ids(told, at)
    assert set(every) > {over.id, ended.id, not_begun.id}
    assert every[0] == over.id, "the first to run out comes first"


def test_a_contract_without_end_runs_to_the_last_day_of_the_calendar(told: Chronicle) -> None:
    """No day comes behind it on which it could run out."""
    agreement = told.agree(valid_to=date.max)
    assert whole(told, agreement, noon(2999, 1, 1)).line.days is ContractDays.IN_FORCE
    assert ids(told, noon(2999, 1, 1), ending_within_days=36_500) == []


# ---------------------------------------------------------------- documents, risks, roles


@pytest.mark.rule("C4")
def test_each_version_of_a_document_asks_anew(told: Chronicle) -> None:
    """Of its versions the last one counts, downloaded first and then marked as read."""
    agreement = told.agree()
    worker = told.join(agreement, OLGA)
    document = told.publish(agreement)
    asked = [_left_to(told, agreement, worker)]
    told.download(agreement, worker, document)
    asked.append(_left_to(told, agreement, worker))
    told.read(agreement, worker, document)
    asked.append(_left_to(told, agreement, worker))
    told.publish(agreement, document, version=2)
    told.publish(agreement, code="evacuation")
    asked.append(_left_to(told, agreement, worker))
    told.of(agreement, InformationDocumentWithdrawn, document=document)
    asked.append(_left_to(told, agreement, worker))
    both = ["site_rules 2", "evacuation 1"]
    assert asked == [
        (["site_rules 1"], ["site_rules 1"]), ([], ["site_rules 1"]), ([], []), (both, both),
        (["evacuation 1"], ["evacuation 1"]),
    ]  # fmt: skip
    told.publish(agreement, document, version=3)
    assert "site_rules 3" in _left_to(told, agreement, worker)[0], "published again, it asks again"


def _person(told: Chronicle, agreement: Agreement, worker: Worker) -> LinkedPersonLine:
    people = whole(told, agreement).people
    return next(line for line in people if line.person == worker.person)


def _left_to(told: Chronicle, agreement: Agreement, worker: Worker) -> tuple[list[str], list[str]]:
    """What somebody still has to download, and to mark as read."""
    line = _person(told, agreement, worker)
    assert line.has_read_all == (not line.to_read)
    return (
        [f"{each.code} {each.version}" for each in line.to_download],
        [f"{each.code} {each.version}" for each in line.to_read],
    )


@pytest.mark.rule("C4")
def test_it_is_known_who_downloaded_and_read_what_and_when(told: Chronicle) -> None:
    """The first time counts; whoever was unlinked since did so all the same."""
    agreement = told.agree()
    olga, pepe = (told.join(agreement, f"{name}@example.com") for name in "op")
    document = told.publish(agreement)
    told.download(agreement, pepe, document, at=NEXT)
    told.read(agreement, olga, document, at=LATER)
    told.download(agreement, pepe, document, at=LATER)
    told.by(pepe, agreement, PersonUnlinked, reason=UnlinkReason.LEFT, at=LATER)
    (line,) = whole(told, agreement, LATER).documents
    assert (line.document, line.code, line.withdrawn_at) == (document, "site_rules", None)
    (version,) = line.versions
    assert (version.version, version.size_bytes, version.media_type, version.published_at) == (
        1, 1000, "application/pdf", BEGINNING,
    )  # fmt: skip
    assert [(each.person, each.at) for each in version.downloaded_by] == [
        (pepe.person, NEXT), (olga.person, LATER),
    ]  # fmt: skip
    assert [(each.person, each.at) for each in version.read_by] == [(olga.person, LATER)]


@pytest.mark.rule("C4")
def test_a_contract_lacks_what_its_contractor_has_yet_to_say(told: Chronicle) -> None:
    """A risk at least, and every role that is required now."""
    agreement = told.agree(roles=("site_manager",))
    worker = told.join(agreement, OLGA)
    said = [whole(told, agreement).outstanding]
    facts: list[tuple[type[ContractFact], dict[str, Any]]] = [
        (RiskLinked, {**HEIGHT, "linked_by": worker.person}),
        (RoleFilled, _filled("site_manager", worker)),
        (RolesRequired, {"roles": ("site_manager", "first_aid")}),
        (RoleFilled, _filled("first_aid", worker)),
        (RoleVacated, {"role": "site_manager", "vacated_by": worker.person}),
        (RolesRequired, {"roles": ()}),
        (RiskUnlinked, {**HEIGHT, "unlinked_by": worker.person}),
        (ContractEnded, ENDED),
    ]
    for fact, values in facts:
        told.of(agreement, fact, **values)
        said.append(whole(told, agreement).outstanding)
    assert said == [
        (RISKS, ROLES), (ROLES,), (), (ROLES,), (), (ROLES,), (), (RISKS,), (IN_FORCE, RISKS),
    ]  # fmt: skip


def _filled(role: str, worker: Worker) -> dict[str, Any]:
    return {"role": role, "filled_by": worker.person, "named_by": worker.person}


@pytest.mark.rule("C4")
def test_roles_and_risks_are_shown_with_who_and_since_when(told: Chronicle) -> None:
    """Those required, in their order; what was taken back is not shown."""
    agreement = told.agree(roles=("site_manager", "first_aid"))
    worker = told.join(agreement, OLGA)
    told.of(agreement, RoleFilled, **_filled("first_aid", worker), at=NEXT)
    told.of(agreement, RoleFilled, **_filled("driver", worker), at=NEXT)
    told.of(agreement, RiskLinked, **HEIGHT, linked_by=worker.person, at=NEXT)
    told.of(agreement, RiskLinked, risk="asbestos", linked_by=worker.person, at=NEXT)
    told.of(agreement, RiskUnlinked, risk="asbestos", unlinked_by=worker.person, at=NEXT)
    shown = whole(told, agreement, NEXT)
    assert [(each.role, each.filled_by, each.since) for each in shown.roles] == [
        ("site_manager", None, None), ("first_aid", worker.person, NEXT),
    ]  # fmt: skip
    assert [(each.risk, each.linked_by, each.since) for each in shown.risks] == [
        ("work_at_height", worker.person, NEXT)
    ]
    assert whole(told, agreement).risks == ()


# ---------------------------------------------------------------- people


@pytest.mark.rule("C1", "C2")
def test_people_are_shown_while_they_are_linked(told: Chronicle) -> None:
    """Whoever is linked again keeps what they read."""
    agreement, other = told.agree(), told.agree()
    worker = told.join(agreement, OLGA)
    document = told.publish(agreement)
    told.read(agreement, worker, document)
    told.by(worker, agreement, PersonUnlinked, reason=UnlinkReason.LEFT, at=NEXT)
    told.link(agreement, worker, OLGA, at=LATER)
    instants = (BEGINNING, NEXT, LATER)
    people = [whole(told, agreement, at).people for at in instants]
    assert [[each.since for each in line] for line in people] == [[BEGINNING], [], [LATER]]
    assert [whole(told, agreement, at).line.people for at in instants] == [1, 0, 1]
    assert people[-1][0].has_read_all
    assert whole(told, other).people == ()


@pytest.mark.rule("A5")
def test_the_user_code_shown_is_the_present_one(told: Chronicle) -> None:
    """Its own event holds it; names come from the registration, if a holder's link brought it."""
    agreement = told.agree()
    worker = told.join(agreement, OLGA)
    had_one = Story(told.acta).register("quim@example.com")
    told.link(agreement, Worker(had_one.account, had_one.person), "quim@example.com")
    told.on(worker, UserCodeChanged, email="new@example.com", at=NEXT)

    def fields(at: datetime) -> list[dict[str, UUID]]:
        lines = whole(told, agreement, at).people
        return [{value.field: value.event_id for value in line.sealed} for line in lines]

    before, after = fields(BEGINNING), fields(NEXT)
    assert set(before[0]) == {"given_name", "paternal_surname", "email", "phone"} == set(after[0])
    assert before[0]["email"] != before[0]["phone"] == after[0]["phone"]
    assert after[0]["email"] not in {before[0]["email"], before[0]["phone"]}
    assert set(before[1]) == {"email"}, "what somebody else was told about them stays there"


@pytest.mark.rule("A10")
def test_a_suspended_account_is_marked(told: Chronicle) -> None:
    """Whoever looks after the contractor sees why somebody has no access."""
    agreement = told.agree()
    worker = told.join(agreement, OLGA)
    told.on(worker, AccountSuspended, reason=SuspensionReason.SECURITY, at=NEXT)
    standings = [whole(told, agreement, at).people[0].standing for at in (BEGINNING, NEXT)]
    assert standings == ["open", "suspended"]


@pytest.mark.rule("C6")
def test_the_validator_and_the_contact_are_those_last_named(told: Chronicle) -> None:
    """Each from the instant at which they were named."""
    agreement = told.agree()
    contact = uuid4()
    told.name_contact(agreement, contact, "otra@example.com", at=NEXT)
    shown = [whole(told, agreement, at) for at in (BEGINNING, NEXT)]
    contacts = [line.contact.person for line in shown if line.contact is not None]
    assert contacts == [agreement.contact, contact]
    validator = shown[1].validator
    assert validator is not None
    assert (validator.person, validator.kind) == (agreement.validator, "holder_technician")
    assert [value.field for value in validator.sealed] == ["name", "phone"]


# ---------------------------------------------------------------- following from the log alone


def test_rebuilt_equals_incremental_and_delivered_twice_equals_once(acta: Acta) -> None:
    """Whatever the portions, and when somebody starts over."""
    tell_of_contracts(acta)
    rebuild(acta, ContractRegister())
    expected = contents(acta)
    assert all(expected[table.name] for table in ContractRegister.tables)
    for seed in range(3):
        random = Random(seed)
        acta.projector.rebuild(ContractRegister.name)
        while acta.projector.step(random.randint(1, 7))[0] < acta.store.head():
            pass
        acta.projector.step()
        assert contents(acta) == expected


# Any history at all, told in any order of streams and asked at any instant, is compared with one
# that is worked out the long way round: the facts up to the instant, one after the other.

PEOPLE = [UUID(int=number) for number in (1, 2)]
DOCUMENTS = [UUID(int=number) for number in (11, 12)]
SOON = BEGINNING + 5 * A_DAY
HOLDER = UUID(int=99)
NUMBERS = count(1_000_000)


@pytest.fixture(scope="module")
def empty(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acta]:
    """Read models without anything in them, which examples fill side by side."""
    with (
        new_database(server, tmp_path_factory.mktemp("empty") / "keys") as database,
        open_ledger(database.settings()) as opened,
    ):
        opened.projector.catch_up()
        yield opened


def _fact(contract: UUID, at: datetime) -> st.SearchStrategy[Event]:
    """Any fact about a contract but its opening."""
    known = {"contract": st.just(contract), "occurred_at": st.just(at)}
    person, document = st.sampled_from(PEOPLE), st.sampled_from(DOCUMENTS)
    version, role = st.integers(1, 2), st.sampled_from(["a", "b"])
    roles = st.lists(role, unique=True).map(tuple)

    def of(fact: type[Event], **values: Any) -> st.SearchStrategy[Event]:
        return st.builds(fact, **known, person=st.just(HOLDER), **values)

    def by(fact: type[Event], **values: Any) -> st.SearchStrategy[Event]:
        return st.builds(fact, **known, person=person, account=st.just(HOLDER), **values)

    day = st.integers(0, 10).map(lambda days: BEGINNING.date() + days * A_DAY)
    return st.one_of(
        of(ContractReactivated, valid_from=day, valid_to=day, time_zone=st.just(ZONE)),
        of(ContractEnded, reason=st.just(ContractEndReason.OTHER)),
        of(
            InformationDocumentPublished, document=document, version=version, code=st.just("d"),
            sha256=st.just(""), media_type=st.just(""), size_bytes=st.just(1),
        ),
        of(InformationDocumentWithdrawn, document=document),
        of(RolesRequired, roles=roles),
        of(RoleFilled, role=role, filled_by=person, named_by=person),
        of(RoleVacated, role=role, vacated_by=person),
        of(RiskLinked, risk=role, linked_by=person),
        of(RiskUnlinked, risk=role, unlinked_by=person),
        by(PersonLinked, email=st.just(""), language=st.just("es")),
        by(PersonUnlinked, reason=st.just(UnlinkReason.LEFT)),
        by(InformationDocumentDownloaded, document=document, version=version),
        by(InformationDocumentMarkedAsRead, document=document, version=version),
    )  # fmt: skip


@st.composite
def _histories(draw: st.DrawFn) -> tuple[UUID, list[Recorded], datetime]:
    """A contract, its log in the order of positions, and an instant to ask about."""
    contract = uuid4()
    opened = ContractOpened(
        contract=contract, person=HOLDER, occurred_at=BEGINNING, contractor=HOLDER,
        valid_from=BEGINNING.date(), valid_to=SOON.date(), time_zone=ZONE, modules=("m",),
        required_roles=("a",),
    )  # fmt: skip
    instants = st.integers(0, 10).map(lambda days: BEGINNING + days * A_DAY)
    rest = draw(st.lists(instants.flatmap(lambda at: _fact(contract, at)), max_size=25))
    return contract, [_recorded(event) for event in (opened, *rest)], draw(instants)


def _recorded(event: Any) -> Recorded:
    stream = event.contract
    if event.AGGREGATE == "contract_link":
        stream = contract_link_of(stream, event.person)
    actor = Actor(kind=ActorKind.SYSTEM)
    at = event.occurred_at
    return Recorded(next(NUMBERS), stream, 1, uuid4(), at, actor, None, None, None, event)


@dataclass
class _LongWay:
    """What is so once every fact up to an instant has been gone through."""

    days: tuple[date, date] | None
    required: tuple[str, ...]
    risks: set[str]
    roles: dict[str, UUID]
    latest: dict[UUID, int]
    linked: set[UUID]
    done: Counter[tuple[bool, UUID, UUID, int]]

    @classmethod
    def round(cls, history: Sequence[Recorded], at: datetime) -> "_LongWay":
        so = cls(None, (), set(), {}, {}, set(), Counter())
        for entry in history:
            if entry.event.occurred_at <= at:
                so.enter(entry.event)
        return so

    def enter(self, event: Event) -> None:
        match event:
            case ContractOpened():
                self.days, self.required = (event.valid_from, event.valid_to), event.required_roles
            case ContractReactivated():
                self.days = event.valid_from, event.valid_to
            case ContractEnded():
                self.days = None
            case InformationDocumentPublished():
                self.latest[event.document] = event.version
            case InformationDocumentWithdrawn():
                self.latest.pop(event.document, None)
            case RolesRequired():
                self.required = event.roles
            case RoleFilled():
                self.roles[event.role] = event.filled_by
            case RoleVacated():
                self.roles.pop(event.role, None)
            case RiskLinked():
                self.risks.add(event.risk)
            case RiskUnlinked():
                self.risks.discard(event.risk)
            case PersonLinked():
                self.linked.add(event.person)
            case PersonUnlinked():
                self.linked.discard(event.person)
            case InformationDocumentDownloaded():
                self.done[False, event.person, event.document, event.version] += 1
            case InformationDocumentMarkedAsRead():
                self.done[True, event.person, event.document, event.version] += 1
            case _:
                raise AssertionError

    def left(self, person: UUID, *, read: bool) -> set[UUID]:
        return {
            document
            for document, version in self.latest.items()
            if (read, person, document, version) not in self.done
        }


@pytest.mark.rule("X5", "C3", "C4")
@given(told=_histories(), seed=st.integers(0, 2**16))
def test_any_history_gives_what_its_facts_come_to(
    empty: Acta, told: tuple[UUID, list[Recorded], datetime], seed: int
) -> None:
    """Streams may come in any order, as they do when one had been parked."""
    contract, history, at = told
    streams = sorted({entry.stream for entry in history})
    Random(seed).shuffle(streams)
    with empty.database.connection() as connection:
        for stream in streams:
            ContractRegister().apply(
                [each for each in history if each.stream == stream], connection
            )
        shown = contract_whole(connection, contract, at)
        in_force = contract_lines(connection, at, in_force=True)
    assert shown is not None
    so = _LongWay.round(history, at)
    today = at.date()  # the hour is one at which it is the same day in Madrid
    expected = so.days is not None and so.days[0] <= today <= so.days[1]
    assert (shown.line.days is ContractDays.IN_FORCE) is expected
    assert (contract in {line.contract for line in in_force}) is expected
    assert (shown.line.days is ContractDays.ENDED) is (so.days is None)
    assert {risk.risk for risk in shown.risks} == so.risks
    assert [(each.role, each.filled_by) for each in shown.roles] == [
        (role, so.roles.get(role)) for role in so.required
    ]
    assert {person.person for person in shown.people} == so.linked
    assert shown.line.people == len(so.linked)
    for person in shown.people:
        assert {each.document for each in person.to_read} == so.left(person.person, read=True)
        assert {each.document for each in person.to_download} == so.left(person.person, read=False)
