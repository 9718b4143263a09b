"""From a command to its receipt: once, whatever is repeated, and whoever asks at the same time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from threading import Barrier
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from domain.account import (
    AccountClosed,
    AccountManagerAssigned,
    AssignAccountManager,
    ChangeUserCode,
    ConfirmPhone,
    ErasePerson,
    PersonErased,
    SetPassword,
    UserCodeChanged,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.personal import Sealed
from domain.refusal import Refused
from domain.study_history import StudyContent
from domain.subscription import (
    LapseSubscription,
    PaymentCaptured,
    ReactivateSubscription,
    RequestCharge,
    StartSubscription,
    SubscriptionEnded,
)
from handlers.commands.situation import subscription_of
from handlers.composition import Acta, open_ledger
from handlers.faults import CommandIdReused
from handlers.ledger import Receipt
from tests.conftest import TestDatabase
from tests.handlers.beside import two_ledgers
from tests.handlers.stories import (
    ANA,
    ANA_RUT,
    BEGINNING,
    BRUNO,
    BRUNO_RUT,
    MANAGER,
    SOMEBODY,
    SYSTEM,
    Member,
    Story,
    capture,
    closing,
    noon,
    registration,
)

AnswerT = TypeVar("AnswerT")


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


def at_once(*askings: Callable[[], AnswerT]) -> list[AnswerT | Refused]:
    """What each answers when all are asked at the same instant."""
    barrier = Barrier(len(askings))

    def run(asking: Callable[[], AnswerT]) -> AnswerT | Refused:
        barrier.wait()
        try:
            return asking()
        except Refused as refusal:
            return refusal

    with ThreadPoolExecutor(len(askings)) as pool:
        return list(pool.map(run, askings))


def topics(receipt: Receipt) -> list[str]:
    """The names of what a command became."""
    return [event.topic for event in receipt.events]


# ---------------------------------------------------------------- receipts


def test_a_receipt_names_what_the_command_became(story: Story) -> None:
    """Its position is that of the last of its events, which are in the log as it says."""
    member = story.subscriber()
    receipt = story.close(member)
    assert topics(receipt) == ["account.AccountClosed.v1", "subscription.SubscriptionEnded.v1"]
    logged = {entry.position: entry.event_id for entry in story.events()}
    assert {event.position: event.event_id for event in receipt.events}.items() <= logged.items()
    assert receipt.position == receipt.events[-1].position == max(logged)
    assert not receipt.repeated


def test_a_command_that_changes_nothing_has_a_receipt_without_events(story: Story) -> None:
    """What is so already needs no event; the position says up to where that was known."""
    member = story.register()
    command = ConfirmPhone(at=BEGINNING, account=member.who)
    first = story.ask(command, SYSTEM)
    again = story.ask(command, SYSTEM)
    assert (again.events, again.position) == ((), first.position)


def test_events_name_their_command_and_what_it_belongs_to(story: Story) -> None:
    """The envelope carries who asked, for which command, and what caused it."""
    command_id, correlation_id, causation_id = uuid4(), uuid4(), uuid4()
    story.acta.ledger.ask(
        registration(),
        SOMEBODY,
        command_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
    )
    (entry,) = story.events()
    assert entry.command_id == command_id
    assert entry.correlation_id == correlation_id
    assert entry.causation_id == causation_id
    assert entry.actor == Actor(kind=ActorKind.PERSON, id=entry.event.person)


@pytest.mark.rule("G1")
def test_what_an_actor_may_not_give_is_refused_and_kept(story: Story) -> None:
    """Support staff register nobody, and the refusal is a receipt like any other."""
    staff = Actor(kind=ActorKind.SUPPORT_STAFF, id=uuid4())
    command_id = uuid4()
    refusal = story.refusal(registration(), staff, command_id)
    assert refusal.rule == "G1"
    assert story.acta.ledger.known([command_id])[command_id].refusal == refusal
    assert story.events() == []


@pytest.mark.rule("A4")
def test_a_refusal_rests_on_what_still_is_so_when_it_is_kept(database: TestDatabase) -> None:
    """The cause was mended between the decision and its receipt, so it is decided anew."""
    with two_ledgers(database) as two:
        member = Story(two.acta).register()
        beside = Story(two.other)
        beside.ask(SetPassword(at=BEGINNING, account=member.who), member.itself)
        confirm = ConfirmPhone(at=BEGINNING, account=member.who)
        two.meanwhile(lambda: beside.ask(confirm, SYSTEM))
        start = StartSubscription(at=BEGINNING, account=member.who)
        assert topics(Story(two.acta).ask(start, member.itself)) == [
            "subscription.SubscriptionStarted.v2"
        ]


@pytest.mark.rule("A1")
def test_an_id_that_names_no_account_is_refused(story: Story) -> None:
    """Neither a random id nor that of another stream of the account is an account."""
    member = story.subscriber()
    for stranger in (uuid4(), subscription_of(member.account), member.person):
        who = f"account:{stranger}"
        for command in (
            ConfirmPhone(at=BEGINNING, account=who),
            capture(Member(stranger, member.person)),
        ):
            assert story.refusal(command, SYSTEM).rule == "A1"


# ---------------------------------------------------------------- the same id again


def test_the_same_id_again_gives_the_first_receipt(story: Story) -> None:
    """Nothing is written again, whoever asks again and whenever."""
    command_id = uuid4()
    first = story.ask(registration(), SOMEBODY, command_id)
    story.register(BRUNO)
    before = story.events()
    again = story.ask(registration(), SOMEBODY, command_id)
    assert again.repeated
    assert (again.position, again.events) == (first.position, first.events)
    assert story.events() == before


def test_a_refusal_stays_though_its_cause_was_mended(story: Story) -> None:
    """The same id is refused for good; whoever mended the cause gives a new one."""
    member = story.register()
    command = StudyContent(at=BEGINNING, account=member.who, content="algebra/1")
    command_id = uuid4()
    first = story.refusal(command, member.itself, command_id)
    story.make_ready(member)
    story.ask(_start(member), member.itself)
    story.take_steps(member)
    story.pay(member)
    assert story.refusal(command, member.itself, command_id) == first
    assert topics(story.ask(command, member.itself)) == ["study_history.ContentStudied.v1"]


@pytest.mark.parametrize("refused_first", [False, True])
def test_the_same_id_with_another_input_is_a_fault(story: Story, refused_first: bool) -> None:
    """Another command, another field, or another actor: none of them is the same command."""
    if refused_first:
        story.register()
    command_id = uuid4()
    story.acta.ledger.answer(registration(), SOMEBODY, command_id)
    others: Sequence[tuple[Command, Actor]] = [
        (registration(given_name="Anna"), SOMEBODY),
        (registration(at=BEGINNING + timedelta(seconds=1)), SOMEBODY),
        (registration(), MANAGER),
    ]
    for command, actor in others:
        with pytest.raises(CommandIdReused) as caught:
            story.acta.ledger.answer(command, actor, command_id)
        assert str(command_id) in caught.value.message
        assert ANA not in caught.value.message


def test_the_same_id_from_two_at_once_is_decided_once(story: Story) -> None:
    """One of them decides, the other is given that answer."""
    for number in range(10):
        command, command_id = registration(f"ana{number}@example.com"), uuid4()
        receipts = at_once(*[partial(story.ask, command, SOMEBODY, command_id)] * 2)
        first, second = (receipt for receipt in receipts if isinstance(receipt, Receipt))
        assert first.events == second.events
        assert sorted([first.repeated, second.repeated]) == [False, True]
    assert len(story.events()) == 10


@pytest.mark.rule("A5")
def test_an_email_that_changed_midway_does_not_change_the_answer(story: Story) -> None:
    """The same line, with the address of then and the same id, still gives its receipt."""
    member = story.register(ANA)
    story.assign_manager(member)
    command = ConfirmPhone(at=BEGINNING, account=ANA)
    command_id = uuid4()
    first = story.ask(command, SYSTEM, command_id)
    story.ask(ChangeUserCode(at=BEGINNING, account=ANA, email="anna@example.com"), MANAGER)
    assert story.ask(command, SYSTEM, command_id).events == first.events
    assert story.refusal(command, SYSTEM).rule == "A1"


# ---------------------------------------------------------------- who is who


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    ("email", "rut"),
    [("ANA@Example.COM", None), ("other@example.com", "12.345.678-5"), (ANA, BRUNO_RUT)],
)
def test_whoever_has_an_account_gets_no_second_one(
    story: Story, email: str, rut: str | None
) -> None:
    """However the address or the RUT is spelled."""
    story.register(ANA, ANA_RUT)
    assert story.refusal(registration(email, rut), SOMEBODY).rule == "A3"


@pytest.mark.rule("A3", "A10")
@pytest.mark.parametrize(
    ("email", "rut"), [(ANA, None), (ANA, ANA_RUT), ("other@example.com", "12.345.678-5")]
)
def test_whoever_comes_back_after_closing_is_the_same_person(
    story: Story, email: str, rut: str | None
) -> None:
    """The e-mail and the RUT are free, and both know whose they were."""
    before = story.register(ANA, ANA_RUT)
    story.close(before)
    after = story.register(email, rut)
    assert after.person == before.person
    assert after.account != before.account


@pytest.mark.rule("A3", "A10")
def test_another_rut_at_the_same_address_is_another_person(story: Story) -> None:
    """An address can pass on to somebody else; a RUT cannot."""
    ana = story.register(ANA, ANA_RUT)
    story.close(ana)
    bruno = story.register(ANA, BRUNO_RUT)
    assert bruno.person != ana.person
    assert story.register("ana2@example.com", ANA_RUT).person == ana.person


@pytest.mark.rule("A3", "A10")
def test_a_rut_known_from_a_former_account_is_taken_by_the_present_one(story: Story) -> None:
    """It was not given this time, and still says who somebody is."""
    story.close(story.register(ANA, ANA_RUT))
    story.register(ANA)
    assert story.refusal(registration("other@example.com", ANA_RUT), SOMEBODY).rule == "A3"


@pytest.mark.rule("A3", "A10")
def test_an_address_left_behind_is_anybodys(story: Story) -> None:
    """Its former owner has come back under another, so whoever comes with it now is new."""
    former = story.register(ANA, ANA_RUT)
    story.close(former)
    assert story.register("other@example.com", ANA_RUT).person == former.person
    assert story.register(ANA).person != former.person


@pytest.mark.rule("A6")
def test_a_lapse_keeps_the_account_and_its_history(story: Story) -> None:
    """Its steps begin anew on the same streams."""
    member = story.subscriber()
    later = noon(2026, 5, 1)
    story.ask(LapseSubscription(at=later, account=ANA), SYSTEM)
    story.ask(ReactivateSubscription(at=later, account=ANA), member.itself)
    story.take_steps(member, at=later)
    story.pay(member, at=later)
    payments = [
        entry.event
        for entry in story.events(subscription_of(member.account))
        if isinstance(entry.event, PaymentCaptured)
    ]
    assert [payment.period_from for payment in payments] == [date(2026, 1, 31), date(2026, 5, 1)]
    assert {payment.account for payment in payments} == {member.account}


@pytest.mark.rule("A5")
def test_a_new_user_code_frees_the_old_one_in_the_same_step(story: Story) -> None:
    """The new address has an account and the old one none, and the event carries both."""
    member = story.register(ANA, ANA_RUT)
    story.assign_manager(member)
    change = ChangeUserCode(at=BEGINNING, account=ANA, email="Anna@example.com")
    (told,) = story.ask(change, MANAGER).events
    event = story.events(member.account)[-1]
    assert isinstance(event.event, UserCodeChanged)
    opened = {}
    for field in ("email", "former_email"):
        sealed = getattr(event.event, field)
        assert isinstance(sealed, Sealed)
        opened[field] = story.acta.vault.open(sealed, event_id=told.event_id, field=field)
    assert opened == {"email": "Anna@example.com", "former_email": ANA}
    assert story.refusal(registration("anna@EXAMPLE.com"), SOMEBODY).rule == "A3"
    assert story.register(ANA).person != member.person


@pytest.mark.rule("A3", "A5")
def test_a_user_code_that_somebody_else_has_is_refused(story: Story) -> None:
    """Its own in another spelling is no change at all."""
    member = story.register(ANA)
    story.assign_manager(member)
    story.register(BRUNO)
    to_brunos = ChangeUserCode(at=BEGINNING, account=ANA, email="BRUNO@example.com")
    assert story.refusal(to_brunos, MANAGER).rule == "A3"
    to_its_own = ChangeUserCode(at=BEGINNING, account=ANA, email="ANA@example.com")
    assert story.ask(to_its_own, MANAGER).events == ()


@pytest.mark.rule("A3", "A5")
def test_an_address_is_claimed_once_by_registration_or_by_change(story: Story) -> None:
    """Whoever comes second, by whichever command, is refused."""
    for number in range(10):
        member = story.register(f"ana{number}@example.com")
        story.assign_manager(member)
        wanted = f"wanted{number}@example.com"
        change = ChangeUserCode(at=BEGINNING, account=member.who, email=wanted)
        answers = at_once(
            partial(story.ask, change, MANAGER),
            partial(story.ask, registration(wanted), SOMEBODY),
        )
        (refusal,) = (answer for answer in answers if isinstance(answer, Refused))
        assert refusal.rule == "A3"


# ---------------------------------------------------------------- erasure


@pytest.mark.rule("A11")
def test_an_erasure_closes_ends_and_says_until_when(story: Story) -> None:
    """Tax data of the last payment is kept for six years, and the person is gone otherwise."""
    member = story.subscriber(ANA, ANA_RUT)
    story.pay(member, at=noon(2026, 2, 10))
    receipt = story.ask(ErasePerson(at=noon(2026, 2, 11), account=ANA), member.itself)
    events = [entry.event for entry in story.events() if entry.position > receipt.position - 3]
    closed, erased, ended = events
    assert isinstance(closed, AccountClosed)
    assert isinstance(erased, PersonErased)
    assert isinstance(ended, SubscriptionEnded)
    assert erased.tax_data_readable_until == date(2032, 2, 10)
    (pending,) = story.acta.queries.status().pending_erasures
    assert (pending.person, pending.tax_data_readable_until) == (member.person, None)


@pytest.mark.rule("A11", "S12")
def test_tax_data_is_kept_for_what_is_still_to_come_of_money_that_is_on_its_way(
    story: Story,
) -> None:
    """A charge without outcome may yet be captured: its term begins no earlier than the erasure."""
    member = story.about_to_pay(ANA, months=1)
    story.ask(RequestCharge(at=noon(2026, 2, 10), account=member.who), SYSTEM)
    receipt = story.ask(ErasePerson(at=noon(2026, 2, 11), account=ANA), member.itself)
    (erased,) = [
        entry.event
        for entry in story.events()
        if entry.position > receipt.position - 3 and isinstance(entry.event, PersonErased)
    ]
    assert erased.tax_data_readable_until == date(2032, 2, 11)


@pytest.mark.rule("A11")
def test_the_erased_are_unknown_and_their_facts_stay(story: Story) -> None:
    """Nothing personal opens any more; the e-mail and the RUT are somebody new's."""
    member = story.register(ANA, ANA_RUT)
    first = story.events(member.account)[0]
    assert isinstance(first.event, UserRegistered)
    assert isinstance(first.event.email, Sealed)
    open_email = partial(
        story.acta.vault.open, first.event.email, event_id=first.event_id, field="email"
    )
    assert open_email() == ANA
    story.ask(ErasePerson(at=BEGINNING, account=ANA), member.itself)
    assert open_email() is None
    assert story.refusal(ErasePerson(at=BEGINNING, account=member.who), MANAGER).rule == "A11"
    assert story.register(ANA, ANA_RUT).person != member.person


@pytest.mark.rule("A11")
def test_an_erasure_keeps_its_receipt_and_those_before_it(story: Story) -> None:
    """Digests of what was asked are gone with the person, and the ids still answer."""
    registering, erasing = uuid4(), uuid4()
    first = story.ask(registration(), SOMEBODY, registering)
    erasure = ErasePerson(at=BEGINNING, account=ANA)
    gone = story.ask(erasure, Actor(kind=ActorKind.PERSON, who=ANA), erasing)
    again = story.ask(erasure, Actor(kind=ActorKind.PERSON, who=ANA), erasing)
    assert (again.repeated, again.events) == (True, gone.events)
    assert story.ask(registration(), SOMEBODY, registering).events == first.events


@pytest.mark.rule("A11")
@pytest.mark.parametrize("which", [0, 1])
def test_a_person_is_erased_whole_through_any_of_their_accounts(story: Story, which: int) -> None:
    """Whoever had an account before has the present one closed too, and is erased once."""
    former = story.register(ANA, ANA_RUT)
    story.close(former)
    present = story.subscriber(ANA, ANA_RUT)
    accounts = [former, present]
    story.ask(ErasePerson(at=BEGINNING, account=accounts[which].who), MANAGER)
    at = BEGINNING + timedelta(minutes=1)
    story.acta.projector.catch_up()
    answer = story.acta.queries.check(present.who, "content", at)
    assert [obstacle.rule for obstacle in answer.obstacles] == ["A10"]
    for member in accounts:
        assert story.refusal(ErasePerson(at=at, account=member.who), MANAGER).rule == "A11"


@pytest.mark.rule("A11", "A3")
def test_whoever_comes_back_while_being_erased_is_erased_or_new(story: Story) -> None:
    """No open account is left whose person has been erased."""
    for number in range(15):
        email = f"ana{number}@example.com"
        former = story.register(email)
        story.close(former)
        at_once(
            partial(story.ask, ErasePerson(at=BEGINNING, account=former.who), MANAGER),
            partial(story.ask, registration(email), SOMEBODY),
        )
    erased, present = set[UUID](), dict[UUID, UUID]()
    for entry in story.events():
        match entry.event:
            case UserRegistered() as event:
                present[event.account] = event.person
            case AccountClosed() as event:
                del present[event.account]
            case PersonErased() as event:
                erased.add(event.person)
            case _:
                pass
    assert len(erased) == 15
    assert not erased & set(present.values())


# ---------------------------------------------------------------- at the same time


def test_two_commands_on_one_account_build_on_each_other(story: Story) -> None:
    """Whoever is second decides again, on what the first one did; nothing is lost."""
    member = story.register()
    managers = [uuid4() for _ in range(24)]

    def assigning(manager: UUID) -> Callable[[], Receipt]:
        command = AssignAccountManager(at=BEGINNING, account=ANA, account_manager=manager)
        return partial(story.ask, command, MANAGER)

    for first in range(0, 24, 4):
        at_once(*map(assigning, managers[first : first + 4]))
    assigned = [
        entry.event
        for entry in story.events(member.account)
        if isinstance(entry.event, AccountManagerAssigned)
    ]
    assert {event.account_manager for event in assigned} == set(managers)
    former = [event.former_account_manager for event in assigned]
    assert former == [None, *(event.account_manager for event in assigned[:-1])]


@pytest.mark.rule("S5")
def test_two_payments_at_once_pay_for_two_periods(story: Story) -> None:
    """No day is paid for twice."""
    for number in range(10):
        member = story.about_to_pay(f"ana{number}@example.com")
        at_once(*[partial(story.pay, member)] * 2)
        periods = [
            (entry.event.period_from, entry.event.period_to)
            for entry in story.events(subscription_of(member.account))
            if isinstance(entry.event, PaymentCaptured)
        ]
        assert periods == [
            (date(2026, 1, 31), date(2026, 2, 27)),
            (date(2026, 2, 28), date(2026, 3, 30)),
        ]


@pytest.mark.rule("A10", "A3")
def test_no_payment_follows_the_closing_of_an_account(story: Story) -> None:
    """The payment is before the closing, or is refused; what it paid for is ended."""
    before = 0
    for number in range(20):
        member = story.about_to_pay(f"ana{number}@example.com")
        paid, closed = at_once(
            partial(story.ask, capture(member), SYSTEM),
            partial(story.ask, closing(member), member.itself),
        )
        assert isinstance(closed, Receipt)
        if isinstance(paid, Refused):
            assert paid.rule == "A10"
            assert topics(closed) == ["account.AccountClosed.v1"]
        else:
            before += 1
            assert paid.position < closed.events[0].position
            assert topics(closed)[1:] == ["subscription.SubscriptionEnded.v1"]
    print(f"{before} of 20 payments came before the closing")


# ---------------------------------------------------------------- studying


@pytest.mark.rule("A1", "S3")
def test_studying_needs_access_at_its_time(story: Story) -> None:
    """Before the payment, between periods and after an end it is refused as a check would."""
    member = story.subscriber()
    assert topics(story.study(member, "algebra/1")) == ["study_history.ContentStudied.v1"]
    for at, rule in (
        (BEGINNING - timedelta(seconds=1), "A1"),
        (noon(2026, 3, 1), "S5"),
    ):
        command = StudyContent(at=at, account=ANA, content="algebra/1")
        assert story.refusal(command, member.itself).rule == rule


@pytest.mark.rule("A1")
def test_content_is_studied_any_number_of_times(story: Story) -> None:
    """Every study leaves a line, also the same content at the same time."""
    member = story.subscriber()
    answers = at_once(*[partial(story.study, member, "algebra/1")] * 8)
    assert all(isinstance(answer, Receipt) for answer in answers)
    story.acta.projector.catch_up()
    assert len(story.acta.queries.study(ANA, BEGINNING).lines) == 8


@pytest.mark.rule("A1", "G1")
def test_nobody_studies_through_another_persons_account(story: Story) -> None:
    """An account is its person's alone."""
    story.subscriber()
    bruno = story.register(BRUNO)
    command = StudyContent(at=BEGINNING, account=ANA, content="algebra/1")
    assert story.refusal(command, bruno.itself).rule == "G1"


# ---------------------------------------------------------------- another process


@pytest.mark.rule("A9")
def test_whoever_opens_the_ledger_later_finds_everything(database: TestDatabase) -> None:
    """Receipts, accounts and claims are in the database, and keys in their folder."""
    command_id = uuid4()
    with open_ledger(database.settings()) as acta:
        member = Story(acta).register()
        first = Story(acta).ask(_password(member), member.itself, command_id)
    with open_ledger(database.settings()) as acta:
        again = Story(acta).ask(_password(member), member.itself, command_id)
        assert (again.repeated, again.events) == (True, first.events)
        assert Story(acta).refusal(registration(), SOMEBODY).rule == "A3"


def _password(member: Member) -> SetPassword:
    return SetPassword(at=BEGINNING, account=member.who)


def _start(member: Member) -> StartSubscription:
    return StartSubscription(at=BEGINNING, account=member.who)
