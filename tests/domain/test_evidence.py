"""The evidence of an answer is all that it rests on, and nothing more (X3).

What is told of an answer is whether it is yes and, if it is no, the rules in the way. Its reasons
are that, and what is said to be so: the facts that were weighed. They belong to it because a yes
has no obstacle to tell by which contract, which reading or which payment it came about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple, TypeAlias
from uuid import UUID

import pytest
from hypothesis import given as whatever
from hypothesis import settings
from hypothesis import strategies as st

from domain.access import (
    AdministrationFacts,
    ContentFacts,
    weigh_administration,
    weigh_content,
)
from domain.access_facts import AccessFact, access_fact
from domain.account import (
    AccountClosed,
    AccountReinstated,
    AccountSuspended,
    MemberRemoved,
    Role,
    RoleAssigned,
    UserRegistered,
)
from domain.calendar import local_day
from domain.contract import (
    ContractEnded,
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
    ContractLinkFact,
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
)
from domain.event import Event
from domain.module_access import ModuleFacts, weigh_module
from domain.obstacles import (
    Obstacle,
    administration_obstacles,
    content_obstacles,
    module_obstacles,
)
from domain.subscription import (
    PaymentCaptured,
    PaymentOutcomeUnknown,
    SubscriptionEvent,
    SubscriptionFact,
    SubscriptionPastDue,
    SubscriptionResumed,
)
from tests.domain import contract_stories as of_contracts
from tests.domain.contract_stories import (
    CONTRACT,
    EVACUATION,
    INDUCTION,
    MADRID,
    MODULE,
    OTHER_CONTRACT,
)
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    OTHER_PLAN,
    PLAN,
    SANTIAGO,
    FactT,
    about,
    accepted,
    captured,
    closed,
    corrected,
    declined,
    ended,
    erased,
    invitation_sent,
    lapsed,
    member_removed,
    of_plan,
    outcome_unknown,
    past_due,
    reactivated,
    registered,
    reinstated,
    revoked,
    role_assigned,
    sent_again,
    suspended,
)

AN_INSTANT = timedelta(microseconds=1)
RISKS = ("work_at_height", "confined_space")
ROLES = ("site_manager", "first_aider")

# ---------------------------------------------------------------- any history


@dataclass
class Payer:
    """How a subscription or a plan goes."""

    course: str = "steps"
    past_due: bool = False
    unknown: bool = False
    paid_through: date | None = None


@dataclass
class Work:
    """How a contract goes, and what Ana does under it."""

    contract: UUID
    opened: bool = False
    ended: bool = False
    linked: bool = False
    versions: dict[UUID, int] = field(default_factory=dict)
    withdrawn: set[UUID] = field(default_factory=set)
    done: set[tuple[str, UUID, int]] = field(default_factory=set)
    risks: set[str] = field(default_factory=set)
    required: tuple[str, ...] = ()
    filled: set[str] = field(default_factory=set)


def happening(event: FactT, at: datetime) -> FactT:
    """The same event at another time."""
    return event.model_copy(update={"occurred_at": at})


def of_payer(event: SubscriptionEvent, payer: UUID) -> Event:
    """The event of an account or of a plan."""
    return event if payer == ACCOUNT else of_plan(event, payer)


Choices: TypeAlias = list[Callable[[], Event]]


class History:
    """A person's history as decisions let it be: invited, registered, in a plan, at work."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.now = BEGINNING
        self.events: list[Event] = []
        self.payers = {payer: Payer() for payer in (ACCOUNT, PLAN, OTHER_PLAN)}
        self.works = [Work(CONTRACT), Work(OTHER_CONTRACT)]
        self.registered = self.closed = self.suspended = False
        self.invited = False
        self.member_of: UUID | None = None
        self.instants = [self.now]

    def begin(self) -> None:
        """Most are registered from the beginning, and many of them linked to a contract."""
        if self.draw(st.integers(0, 5)):
            self.events.append(self._register())
            if self.draw(st.booleans()):
                self.events.append(self._open(self.works[0]))
                self.events.append(self._link(self.works[0]))
                self.events.append(self._publish(self.works[0]))
                self.events.append(self._read(self.works[0]))

    def go_on(self, area: str) -> None:
        """One more thing happens, after a while."""
        self.now += timedelta(days=self.draw(st.sampled_from([0, 0, 1, 5, 14, 31])))
        self.instants.append(self.now)
        match area:
            case "person":
                choices = self._of_the_account() if self.registered else self._of_the_invitation()
            case "payments":
                choices = [choice for payer in self._payers() for choice in self._of_a_payer(payer)]
            case _:
                choices = self._of_a_contract(self.draw(st.sampled_from(self.works)))
        if choices:
            self.events.append(self.draw(st.sampled_from(choices))())

    # ------------------------------------------------------------ the person

    def _of_the_invitation(self) -> Choices:
        if not self.invited:
            return [self._invite, self._register]
        return [self._again, self._revoke, self._accept]

    def _of_the_account(self) -> Choices:
        if self.closed:
            return []
        standing = self._reinstate if self.suspended else self._suspend
        membership = [self._remove, self._change_role] if self.member_of else [self._join] * 2
        # Nothing much happens after a closing, so it comes seldom.
        last = [self._close] if self.draw(st.integers(0, 9)) == 0 else []
        return [standing, *membership, *last]

    def _invite(self) -> Event:
        self.invited = True
        return invitation_sent(at=self.now)

    def _again(self) -> Event:
        return self.draw(st.sampled_from([sent_again, corrected]))(self.now)

    def _revoke(self) -> Event:
        self.invited = False
        return revoked(self.now)

    def _accept(self) -> Event:
        self.events.append(accepted(at=self.now))
        return self._register()

    def _register(self) -> Event:
        self.registered = True
        return happening(registered, self.now)

    def _suspend(self) -> Event:
        self.suspended = True
        return happening(suspended, self.now)

    def _reinstate(self) -> Event:
        self.suspended = False
        return happening(reinstated, self.now)

    def _close(self) -> Event:
        self.closed = True
        if self.draw(st.booleans()):
            self.events.append(happening(closed, self.now))
            return happening(erased, self.now)
        return happening(closed, self.now)

    def _join(self) -> Event:
        self.member_of = self.draw(st.sampled_from([PLAN, OTHER_PLAN]))
        return self._change_role()

    def _change_role(self) -> Event:
        assert self.member_of
        return role_assigned(self.draw(st.sampled_from(Role)), self.member_of, at=self.now)

    def _remove(self) -> Event:
        assert self.member_of
        plan, self.member_of = self.member_of, None
        return member_removed(plan=plan, at=self.now)

    # ------------------------------------------------------------ payments

    def _payers(self) -> list[UUID]:
        is_open = self.registered and not self.closed
        return [payer for payer in self.payers if payer != ACCOUNT or is_open]

    def _of_a_payer(self, payer: UUID) -> Choices:
        state = self.payers[payer]
        ran_out = state.paid_through is None or self.now.date() > state.paid_through

        def pay() -> Event:
            following = state.paid_through and state.paid_through + timedelta(days=1)
            first = max(self.now.date(), following or date.min)
            state.paid_through, state.course = first + timedelta(days=29), "active"
            state.past_due = state.unknown = False
            return of_payer(captured(1, self.now, first, state.paid_through), payer)

        def turn(course: str, event: SubscriptionEvent) -> Callable[[], Event]:
            def happens() -> Event:
                state.course, state.past_due = course, False
                return of_payer(event, payer)

            return happens

        def decline() -> Event:
            state.unknown = False
            return of_payer(happening(declined(2), self.now), payer)

        def be_past_due() -> Event:
            self.events.append(decline())
            state.past_due = True
            return of_payer(past_due(self.now), payer)

        def not_know() -> Event:
            state.past_due = state.unknown = True
            last_day_of_grace = self.now.date() + timedelta(days=7)
            return of_payer(outcome_unknown(2, self.now, last_day_of_grace), payer)

        last_day = state.paid_through or date.min
        ending = turn("ended", ended(self.now, last_day))
        resuming = turn("active", SubscriptionResumed(**about(self.now)))
        lapsing = turn("lapsed", lapsed(self.now, last_day))
        again = turn("steps", reactivated(self.now))
        answer: Choices = [decline, pay] if state.unknown else []
        match state.course, ran_out:
            case "steps", _:
                return [pay]
            case "active", False:
                return [pay, ending]
            case "active", True:
                return [lapsing, be_past_due, not_know, *([pay, ending] if state.past_due else [])]
            case "ended", False:
                return [resuming, *answer]
            case _:
                return answer or [again]

    # ------------------------------------------------------------ contracts

    def _of_a_contract(self, work: Work) -> Choices:
        if not work.opened:
            return [lambda: self._open(work)]
        choices: Choices = [
            lambda: self._reactivate(work),
            lambda: self._name(work),
            lambda: self._publish(work),
            lambda: self._require(work),
        ]
        if not work.ended:
            choices.append(lambda: self._end(work))
        if work.versions.keys() - work.withdrawn:
            choices.append(lambda: self._withdraw(work))
        if self.registered and not self.closed:
            choices += self._of_a_link(work)
        return choices

    def _of_a_link(self, work: Work) -> Choices:
        if not work.linked:
            return [lambda: self._link(work)] * 6
        choices: Choices = [
            lambda: self._unlink(work),
            lambda: self._turn_risk(work),
            lambda: self._finish(work),
        ] + [lambda: self._read(work)] * 3
        if work.required:
            choices += [lambda: self._turn_role(work)] * 2
        return choices

    def _open(self, work: Work) -> Event:
        work.opened = True
        work.required = self.draw(st.sampled_from([(), ROLES[:1], ROLES]))
        modules = self.draw(st.sampled_from([(MODULE,), (MODULE,), (MODULE, "other"), ("other",)]))
        first, last = self._days()
        self.events.append(of_contracts.contact_named(self.now, work.contract))
        self.events.append(of_contracts.validator_named(self.now, work.contract))
        return of_contracts.opened(
            self.now, work.contract, first=first, last=last, modules=modules, roles=work.required
        )

    def _days(self) -> tuple[date, date]:
        """Days around now, so that the contract is now in force, now not."""
        first = self.now.date() + timedelta(days=self.draw(st.sampled_from([-1, -1, 0, 7])))
        return first, first + timedelta(days=self.draw(st.sampled_from([0, 30, 400])))

    def _reactivate(self, work: Work) -> Event:
        work.ended = False
        days = [self._days()]
        days += [
            (each.valid_from, each.valid_to)
            for each in self.events
            if isinstance(each, ContractOpened) and each.contract == work.contract
        ]
        first, last = self.draw(st.sampled_from(days))
        return of_contracts.reactivated(self.now, first, last, work.contract)

    def _end(self, work: Work) -> Event:
        work.ended = True
        return of_contracts.ended(self.now, work.contract)

    def _name(self, work: Work) -> Event:
        person = UUID(int=self.draw(st.integers(60, 61)))
        if self.draw(st.booleans()):
            return of_contracts.contact_named(self.now, work.contract, person)
        return of_contracts.validator_named(self.now, work.contract, person)

    def _publish(self, work: Work) -> Event:
        document = self.draw(st.sampled_from([INDUCTION, EVACUATION]))
        work.withdrawn.discard(document)
        work.versions[document] = version = work.versions.get(document, 0) + 1
        return of_contracts.published(self.now, work.contract, document=document, version=version)

    def _withdraw(self, work: Work) -> Event:
        document = self.draw(st.sampled_from(sorted(work.versions.keys() - work.withdrawn)))
        work.withdrawn.add(document)
        return of_contracts.withdrawn(self.now, work.contract, document=document)

    def _require(self, work: Work) -> Event:
        work.required = self.draw(st.sampled_from([(), ROLES[:1], ROLES, ROLES[::-1]]))
        return of_contracts.roles_required(self.now, work.required, work.contract)

    def _link(self, work: Work) -> Event:
        work.linked = True
        return of_contracts.linked(self.now, work.contract)

    def _unlink(self, work: Work) -> Event:
        work.linked = False
        return of_contracts.unlinked(self.now, work.contract)

    def _read(self, work: Work) -> Event:
        """Some document is downloaded, or marked as read where it was, or else another risk."""
        for document, version in work.versions.items():
            for step, happens in (
                ("download", of_contracts.downloaded),
                ("mark", of_contracts.marked_as_read),
            ):
                again = self.draw(st.integers(0, 9)) == 0
                if document not in work.withdrawn and (
                    again or (step, document, version) not in work.done
                ):
                    if step == "mark" and ("download", document, version) not in work.done:
                        continue
                    work.done.add((step, document, version))
                    return happens(self.now, work.contract, document=document, version=version)
        return self._turn_risk(work)

    def _turn_risk(self, work: Work) -> Event:
        risk = self.draw(st.sampled_from(RISKS))
        if risk in work.risks:
            work.risks.remove(risk)
            return of_contracts.risk_unlinked(self.now, work.contract, risk)
        work.risks.add(risk)
        return of_contracts.risk_linked(self.now, work.contract, risk)

    def _turn_role(self, work: Work) -> Event:
        role = self.draw(st.sampled_from(work.required))
        if role in work.filled and self.draw(st.booleans()):
            work.filled.remove(role)
            return of_contracts.role_vacated(self.now, work.contract, role)
        work.filled.add(role)
        return of_contracts.role_filled(self.now, work.contract, role)

    def _finish(self, work: Work) -> Event:
        """Everything is done that was left to do, so that a contract is often complete."""
        for document in work.versions.keys() - work.withdrawn:
            version = work.versions[document]
            work.done |= {("download", document, version), ("mark", document, version)}
            self.events += [
                happens(self.now, work.contract, document=document, version=version)
                for happens in (of_contracts.downloaded, of_contracts.marked_as_read)
            ]
        for role in set(work.required) - work.filled:
            work.filled.add(role)
            self.events.append(of_contracts.role_filled(self.now, work.contract, role))
        work.risks.add(RISKS[0])
        return of_contracts.risk_linked(self.now, work.contract, RISKS[0])


AREAS = st.sampled_from(["person", "person", "payments", "payments", "work", "work", "work"])


@st.composite
def histories(draw: st.DrawFn, areas: st.SearchStrategy[str] = AREAS) -> "Told":
    """A history, some of it recorded late, and an instant to ask about."""
    history = History(draw)
    history.begin()
    for _ in range(draw(st.integers(1, 40))):
        history.go_on(draw(areas))
    at = draw(st.sampled_from(history.instants)) + draw(
        st.sampled_from([timedelta(0), AN_INSTANT, -AN_INSTANT, timedelta(days=10)])
    )
    late = draw(st.sets(st.integers(0, len(history.events)), max_size=3))
    events = [
        happening(event, event.occurred_at - timedelta(days=draw(st.integers(1, 40))))
        if place in late
        else event
        for place, event in enumerate(history.events)
    ]
    return Told(events, at)


class Told(NamedTuple):
    """What happened, in the order of the log, and an instant to ask about."""

    events: list[Event]
    at: datetime


WORKING = st.sampled_from(["person", *["work"] * 6])
"""Mostly contracts, so that many of them come to be complete."""
PAYING = st.sampled_from(["person", *["payments"] * 6])
"""Mostly payments, so that subscriptions and plans run out, and begin anew."""

# ---------------------------------------------------------------- any answer


class Judged(NamedTuple):
    """An answer, what was said to be so, and what that rests on."""

    obstacles: tuple[Obstacle, ...]
    facts: ContentFacts | AdministrationFacts | ModuleFacts
    evidence: tuple[int, ...]

    @property
    def reasons(self) -> tuple[object, ...]:
        """The rules in the way, and what is so."""
        return self.obstacles, self.facts


Judge: TypeAlias = Callable[[Sequence[AccessFact], datetime], Judged]


def judge_content(facts: Sequence[AccessFact], at: datetime) -> Judged:
    """Content."""
    weighed = weigh_content(facts, at, account=ACCOUNT)
    return Judged(content_obstacles(weighed.facts), weighed.facts, weighed.evidence)


def judge_invited(facts: Sequence[AccessFact], at: datetime) -> Judged:
    """Content, for the person while their e-mail leads to no account."""
    weighed = weigh_content(facts, at, account=None)
    return Judged(content_obstacles(weighed.facts), weighed.facts, weighed.evidence)


def judge_administration(facts: Sequence[AccessFact], at: datetime) -> Judged:
    """The administration of the plan."""
    weighed = weigh_administration(facts, at, account=ACCOUNT, plan=PLAN)
    return Judged(administration_obstacles(weighed.facts), weighed.facts, weighed.evidence)


def judge_module(facts: Sequence[AccessFact], at: datetime) -> Judged:
    """The module."""
    weighed = weigh_module(facts, at, account=ACCOUNT, module=MODULE)
    return Judged(module_obstacles(weighed.facts), weighed.facts, weighed.evidence)


def facts_of(events: Sequence[Event]) -> list[AccessFact]:
    """What these events mean for access."""
    facts = [fact for event in events if (fact := access_fact(event))]
    assert len(facts) == len(events), "each of these events means something for access"
    return facts


JUDGES: Sequence[Judge] = (judge_content, judge_invited, judge_administration, judge_module)
MANY = settings(max_examples=300)
HISTORIES = st.one_of(histories(), histories(WORKING), histories(PAYING))


@pytest.mark.rule("X3")
@MANY
@whatever(told=HISTORIES)
def test_the_evidence_alone_gives_the_same_answer(told: Told) -> None:
    """Whoever reads nothing but the events that an answer names comes to the same answer.

    And to the same evidence: there is nothing in it that the answer would rest on no longer.
    """
    facts = facts_of(told.events)
    for judge in JUDGES:
        judged = judge(facts, told.at)
        alone = judge([facts[place] for place in judged.evidence], told.at)
        assert alone.obstacles == judged.obstacles
        assert alone.evidence == tuple(range(len(judged.evidence)))


@pytest.mark.rule("X3")
@MANY
@whatever(told=HISTORIES)
def test_without_any_one_event_of_the_evidence_the_reasons_are_others(
    told: Told,
) -> None:
    """No event is named on which nothing rests."""
    facts = facts_of(told.events)
    for judge in JUDGES:
        named = [facts[place] for place in judge(facts, told.at).evidence]
        whole = judge(named, told.at)
        for place in range(len(named)):
            without = judge([*named[:place], *named[place + 1 :]], told.at)
            assert without.reasons != whole.reasons


@pytest.mark.rule("X3")
@MANY
@whatever(told=HISTORIES)
def test_had_an_event_of_the_evidence_not_happened_the_reasons_would_be_others(
    told: Told,
) -> None:
    """Or another event would be named in its place, such as an earlier payment."""
    facts = facts_of(told.events)
    for judge in JUDGES:
        judged = judge(facts, told.at)
        for left_out in judged.evidence:
            places = [place for place in range(len(facts)) if place != left_out]
            without = judge([facts[place] for place in places], told.at)
            in_its_place = {places[place] for place in without.evidence} - {*judged.evidence}
            assert without.reasons != judged.reasons or in_its_place


# ---------------------------------------------------------------- a second opinion


def is_open(known: Sequence[Event]) -> bool:
    """The account is there, and neither suspended nor closed."""
    kinds = [type(event) for event in known]
    standing = [kind for kind in kinds if kind in (AccountSuspended, AccountReinstated)]
    return (
        UserRegistered in kinds
        and AccountClosed not in kinds
        and standing[-1:] != [AccountSuspended]
    )


@pytest.mark.rule("X1", "A2", "A10", "S3", "S10", "A12")
@whatever(told=histories(st.sampled_from(["person", "payments"])))
def test_content_is_open_exactly_while_somebody_pays_for_an_open_account(told: Told) -> None:
    """The person, or the institution of a plan that the person is in at that instant."""
    known = [event for event in told.events if event.occurred_at <= told.at]
    words = {
        event.plan: event for event in known if isinstance(event, RoleAssigned | MemberRemoved)
    }
    joined = {plan for plan, word in words.items() if isinstance(word, RoleAssigned)}
    paid = any(
        event.account in {ACCOUNT, *joined}
        and event.period_from <= local_day(told.at, event.time_zone) <= event.period_to
        for event in known
        if isinstance(event, PaymentCaptured)
    ) or any(in_grace(known, payer, told.at) for payer in {ACCOUNT, *joined})
    access = judge_content(facts_of(told.events), told.at).obstacles == ()
    assert access is (is_open(known) and paid)


def in_grace(known: Sequence[Event], payer: UUID, at: datetime) -> bool:
    """Whether the last that happened to a subscription once paid is a grace that still lasts."""
    of_it = [e for e in known if isinstance(e, SubscriptionFact) and e.account == payer]
    if not any(isinstance(event, PaymentCaptured) for event in of_it):
        return False
    match of_it[-1]:
        case SubscriptionPastDue() | PaymentOutcomeUnknown() as grace:
            return grace.access_until is not None and local_day(at, SANTIAGO) <= grace.access_until
        case _:
            return False


@pytest.mark.rule("X1", "A2", "A10", "C2", "C3", "C4")
@whatever(told=HISTORIES)
def test_a_module_is_open_exactly_while_a_contract_is_complete(told: Told) -> None:
    """Every condition told again, event by event."""
    known = [event for event in told.events if event.occurred_at <= told.at]
    complete = any(opens(known, told.at, contract) for contract in (CONTRACT, OTHER_CONTRACT))
    access = judge_module(facts_of(told.events), told.at).obstacles == ()
    assert access is (is_open(known) and complete)


def opens(known: Sequence[Event], at: datetime, contract: UUID) -> bool:
    """Whether a contract opens the module to Ana, by going through what happened once."""
    linked = in_force = opens_module = False
    risks: set[str] = set()
    required: set[str] = set()
    filled: set[str] = set()
    current: dict[UUID, int] = {}
    downloads: set[tuple[UUID, int]] = set()
    readings: set[tuple[UUID, int]] = set()
    for event in known:
        if not isinstance(event, ContractFact | ContractLinkFact) or event.contract != contract:
            continue
        match event:
            case ContractOpened() | ContractReactivated():
                in_force = event.valid_from <= local_day(at, MADRID) <= event.valid_to
                if isinstance(event, ContractOpened):
                    opens_module, required = MODULE in event.modules, {*event.required_roles}
            case ContractEnded():
                in_force = False
            case PersonLinked() | PersonUnlinked():
                linked = isinstance(event, PersonLinked)
            case InformationDocumentPublished():
                current[event.document] = event.version
            case InformationDocumentWithdrawn():
                current.pop(event.document, None)
            case InformationDocumentDownloaded():
                downloads.add((event.document, event.version))
            case InformationDocumentMarkedAsRead():
                readings.add((event.document, event.version))
            case RolesRequired():
                required = {*event.roles}
            case RiskLinked():
                risks.add(event.risk)
            case RiskUnlinked():
                risks.discard(event.risk)
            case RoleFilled():
                filled.add(event.role)
            case RoleVacated():
                filled.discard(event.role)
            case _:
                pass
    read = downloads & readings
    return all(
        [linked, in_force, opens_module, risks, required <= filled, read >= {*current.items()}]
    )
