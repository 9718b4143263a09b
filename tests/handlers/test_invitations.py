"""Invitations on a real ledger: what passes on, who is who, and that nobody has two accounts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.account import (
    AccountBecameIndividual,
    AccountKind,
    AssignAccountManager,
    ChangeUserCode,
    ErasePerson,
    MemberRemoved,
    RemovalReason,
    RoleAssigned,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.event import Event
from domain.invitation import (
    AcceptInvitation,
    CorrectInvitation,
    ExpireInvitation,
    InvitationExpired,
    InvitationNoticeRequested,
    InvitationRevoked,
    InvitationSent,
    InviteeErased,
    InviteMember,
    RemindInvitation,
    ResendInvitation,
    RevocationReason,
    RevokeInvitation,
)
from domain.membership import RemoveMember
from domain.personal import personal_fields
from domain.refusal import Refused
from domain.subscription import (
    NoticeRequested,
    PaymentCaptured,
    ReactivateSubscription,
    StartSubscription,
)
from handlers.composition import Acta, open_ledger
from handlers.ledger import Receipt
from handlers.settings import Settings
from tests.conftest import TestDatabase
from tests.handlers.store.refolded_claims import held_by_log, held_in_database
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
    Plan,
    Story,
    invitee,
    noon,
    registration,
)

LATER = BEGINNING + timedelta(days=15)
"""An invitation of the beginning has expired, and the plans are paid for."""
OVER = noon(2026, 6, 1)
"""Plans that were paid for at the beginning, and not since, have run out."""


@pytest.fixture
def story(acta: Acta) -> Iterator[Story]:
    """Told to a ledger of the test's own; at the end its claims are those of the log."""
    yield Story(acta)
    assert held_in_database(acta) == held_by_log(acta)


@pytest.fixture
def school(story: Story) -> Plan:
    """A school whose plan is paid for."""
    return story.institution()


@pytest.fixture
def other_school(story: Story) -> Plan:
    """Another one."""
    return story.institution("director@example.org")


def inviting(plan: Plan, email: str = ANA, rut: str = ANA_RUT, *, at: datetime = LATER) -> Any:
    """The wish of a school's director to invite somebody, and the director."""
    details = invitee(email, rut=rut).model_dump()
    return InviteMember(at=at, plan=plan.id, invitation=uuid4(), **details), plan.director.itself


def removing(plan: Plan, member: Member) -> Any:
    """The wish of a school's director to let somebody go, and the director."""
    return RemoveMember(at=BEGINNING, plan=plan.id, account=member.who), plan.director.itself


def became(story: Story, receipt: Receipt) -> list[Event]:
    """The events of a command."""
    positions = {event.position for event in receipt.events}
    return [entry.event for entry in story.events() if entry.position in positions]


PAID = [PaymentCaptured, NoticeRequested]
"""A payment, and the receipt that goes with it."""


def accounts_of(story: Story, person: UUID) -> int:
    """How many accounts a person has had."""
    return len(story.acta.store.accounts_of(person))


# ---------------------------------------------------------------- what an expired one held


@pytest.mark.rule("I6", "I3")
def test_another_plan_takes_over_what_an_expired_invitation_held(
    story: Story, school: Plan, other_school: Plan
) -> None:
    """To the instant: until then it is in the way, from then on it is recorded as expired."""
    former = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    a_second_early = BEGINNING + timedelta(days=14) - timedelta(seconds=1)
    command, director = inviting(other_school, at=a_second_early)
    assert story.refusal(command, director).rule == "I3"

    receipt = story.ask(*inviting(other_school, at=a_second_early + timedelta(seconds=1)))

    expired, sent = became(story, receipt)
    assert isinstance(sent, InvitationSent)
    assert isinstance(expired, InvitationExpired)
    assert expired.invitation == former
    assert sent.person == expired.person
    assert story.accept(ANA, at=LATER).person == sent.person


@pytest.mark.rule("I6", "A3")
@pytest.mark.parametrize("rut", [None, ANA_RUT])
def test_a_registration_takes_over_what_an_expired_invitation_held(
    story: Story, school: Plan, rut: str | None
) -> None:
    """Whoever was invited once opens an account of their own, and is the person invited."""
    story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    assert story.refusal(registration(ANA, rut), SOMEBODY).rule == "A3"

    receipt = story.ask(registration(ANA, rut, at=LATER), SOMEBODY)

    expired, registered = became(story, receipt)
    assert isinstance(registered, UserRegistered)
    assert isinstance(expired, InvitationExpired)
    assert registered.person == expired.person


@pytest.mark.rule("I6", "A3")
def test_whoever_has_the_address_of_a_revoked_invitation_is_not_the_invited(
    story: Story, school: Plan
) -> None:
    """It may have gone to the wrong address; by the RUT the invited is still found."""
    wrong = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    invited = story.events(wrong)[0].event.person
    story.ask(RevokeInvitation(at=BEGINNING, invitation=ANA), school.director.itself)

    owner = story.ask(registration(ANA, None), SOMEBODY)

    (registered,) = became(story, owner)
    assert registered.person != invited
    right = story.invite(school.id, BRUNO, by=school.director.itself, rut=ANA_RUT)
    assert story.events(right)[0].event.person == invited


@pytest.mark.rule("I6", "A5")
def test_a_change_of_user_code_takes_over_what_an_expired_invitation_held(
    story: Story, school: Plan
) -> None:
    """The address is somebody else's then."""
    invitation = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    bruno = story.register(BRUNO, BRUNO_RUT)
    story.assign_manager(bruno)
    change = ChangeUserCode(at=BEGINNING, account=bruno.who, email=ANA)
    assert story.refusal(change, MANAGER).rule == "A3"

    receipt = story.ask(change.model_copy(update={"at": LATER}), MANAGER)

    assert [type(event).__name__ for event in became(story, receipt)] == [
        "InvitationExpired",
        "UserCodeChanged",
    ]
    late = AcceptInvitation(at=LATER, invitation=f"invitation:{invitation}")
    person = story.events(invitation)[0].event.person
    assert story.refusal(late, Actor(kind=ActorKind.PERSON, id=person)).rule == "I6"


@pytest.mark.rule("I6")
def test_a_corrected_address_takes_over_what_an_expired_invitation_held(
    story: Story, school: Plan
) -> None:
    """Also within one plan."""
    former = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    story.invite(school.id, BRUNO, by=school.director.itself, rut=BRUNO_RUT, at=LATER)
    correct = CorrectInvitation(at=LATER, invitation=BRUNO, email=ANA)
    receipt = story.ask(correct, school.director.itself)
    expired = became(story, receipt)[0]
    assert isinstance(expired, InvitationExpired)
    assert expired.invitation == former


@pytest.mark.rule("I6", "S10")
def test_an_expired_invitation_holds_no_seat(story: Story) -> None:
    """No clock has to record it."""
    school = story.institution(seats=2)
    story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    command, director = inviting(school, BRUNO, BRUNO_RUT, at=BEGINNING)
    assert story.refusal(command, director).rule == "S10"
    story.ask(*inviting(school, BRUNO, BRUNO_RUT))


@pytest.mark.rule("I6", "S10")
@pytest.mark.parametrize("wish", [ExpireInvitation, RemindInvitation])
def test_the_clock_lets_go_of_what_an_expired_invitation_held(
    story: Story, school: Plan, wish: type[ExpireInvitation | RemindInvitation]
) -> None:
    """Also where it comes too late for a reminder, and where the plan has run out; and once."""
    invitation = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    command = wish(at=OVER, invitation=f"invitation:{invitation}")
    [expired] = became(story, story.ask(command, SYSTEM))
    assert isinstance(expired, InvitationExpired)
    assert story.acta.store.claims_of(invitation) == []
    assert story.refusal(command, SYSTEM).rule == "I6"


@pytest.mark.rule("I6")
def test_a_reminder_is_asked_for_once_and_holds_what_it_held(story: Story, school: Plan) -> None:
    """Who and where stays sealed in the invitation; the fact names it and what to tell."""
    invitation = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    held = story.acta.store.claims_of(invitation)
    at = BEGINNING + timedelta(days=7)
    command = RemindInvitation(at=at, invitation=f"invitation:{invitation}")
    [notice] = became(story, story.ask(command, SYSTEM))
    assert isinstance(notice, InvitationNoticeRequested)
    assert story.ask(command, SYSTEM).events == ()
    assert story.acta.store.claims_of(invitation) == held
    assert story.accept(ANA, at=at).person == notice.person


@pytest.mark.rule("I6")
def test_what_is_sent_again_holds_on(story: Story, school: Plan, other_school: Plan) -> None:
    """Its days begin anew, and so does what it is in the way of."""
    story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    again = ResendInvitation(at=BEGINNING + timedelta(days=13), invitation=ANA)
    story.ask(again, school.director.itself)
    command, director = inviting(other_school)
    assert story.refusal(command, director).rule == "I3"
    story.accept(ANA, at=LATER)


@pytest.mark.rule("I6", "I3")
def test_a_corrected_address_is_free_again(story: Story, school: Plan, other_school: Plan) -> None:
    """Somebody else is invited or registers under it; the person accepts under the new one."""
    story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    correct = CorrectInvitation(at=BEGINNING, invitation=ANA, email="anna@example.com")
    command, director = inviting(other_school, ANA, BRUNO_RUT, at=BEGINNING)
    assert story.refusal(command, director).rule == "I3"
    story.ask(correct, school.director.itself)
    story.ask(command, director)
    anna, bruno = story.accept("anna@example.com"), story.accept(ANA)
    assert anna.person != bruno.person


# ---------------------------------------------------------------- who was a member (A12)


@pytest.mark.rule("A12", "I3")
def test_a_removed_member_is_invited_again_and_keeps_the_account(
    story: Story, school: Plan, other_school: Plan
) -> None:
    """By another plan, which it could not be while it was a member."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    command, director = inviting(other_school, at=BEGINNING)
    assert story.refusal(command, director).rule == "I3"
    story.ask(*removing(school, ana))
    story.ask(command, director)
    assert story.accept(ANA) == ana
    assert accounts_of(story, ana.person) == 1


@pytest.mark.rule("A12", "S10")
def test_the_member_of_a_lapsed_plan_becomes_another_ones(story: Story, school: Plan) -> None:
    """Accepting leaves the old plan in the same step."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    other_school = story.institution("director@example.org", at=OVER)
    story.ask(*inviting(other_school, at=OVER))
    accept = AcceptInvitation(at=OVER, invitation=f"invitation:{story.events()[-1].stream}")
    events = became(story, story.ask(accept, ana.itself))
    left, joined = events[1:]
    assert isinstance(left, MemberRemoved)
    assert (left.plan, left.reason) == (school.id, RemovalReason.JOINED_ANOTHER_PLAN)
    assert isinstance(joined, RoleAssigned)
    assert (joined.plan, joined.account) == (other_school.id, ana.account)
    assert accounts_of(story, ana.person) == 1


@pytest.mark.rule("A12", "I3")
def test_a_plan_that_is_paid_again_keeps_its_member(story: Story, school: Plan) -> None:
    """Invited elsewhere while it had run out; by the time of accepting it has not."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    other_school = story.institution("director@example.org", at=OVER)
    story.ask(*inviting(other_school, at=OVER))
    invitation = f"invitation:{story.events()[-1].stream}"
    story.ask(ReactivateSubscription(at=OVER, account=school.who), MANAGER)
    story.pay_for(school, at=OVER)
    accept = AcceptInvitation(at=OVER, invitation=invitation)
    assert story.refusal(accept, ana.itself).rule == "I3"


@pytest.mark.rule("A12", "S1", "A2")
def test_a_removed_member_becomes_individual_by_the_steps_of_a_subscription(
    story: Story, school: Plan
) -> None:
    """The first payment says so, once; the account is the same."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    story.ask(*removing(school, ana))
    assert story.refusal(registration(ANA, ANA_RUT), SOMEBODY).rule == "A3"
    story.make_ready(ana)
    story.ask(StartSubscription(at=BEGINNING, account=ana.who), ana.itself)
    story.take_steps(ana)
    payment, receipt, individual = became(story, story.pay(ana))
    assert [type(payment), type(receipt)] == PAID
    assert isinstance(individual, AccountBecameIndividual)
    assert individual.former_kind is AccountKind.INSTITUTIONAL
    assert [type(event) for event in became(story, story.pay(ana))] == PAID
    assert accounts_of(story, ana.person) == 1
    command, director = inviting(school, at=BEGINNING)
    assert story.refusal(command, director).rule == "I3"


@pytest.mark.rule("A12", "A2")
def test_a_member_who_also_pays_stays_institutional(story: Story, school: Plan) -> None:
    """Grants add up; the kind changes when the plan is left."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    story.make_ready(ana)
    story.ask(StartSubscription(at=BEGINNING, account=ana.who), ana.itself)
    story.take_steps(ana)
    assert [type(event) for event in became(story, story.pay(ana))] == PAID


@pytest.mark.rule("A12", "A3", "A10")
def test_an_address_that_passed_on_since_is_not_taken_back(story: Story, school: Plan) -> None:
    """Invited again, the former member closes the account; somebody else has the address now."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    story.ask(*removing(school, ana))
    story.ask(*inviting(school, at=BEGINNING))
    invitation = f"invitation:{story.events()[-1].stream}"
    story.close(ana)
    story.register(ANA, BRUNO_RUT)
    refusal = story.refusal(AcceptInvitation(at=BEGINNING, invitation=invitation), ana.itself)
    assert refusal.rule in ("A3", "I3")


# ---------------------------------------------------------------- who is who


@pytest.mark.rule("A3", "I3")
def test_a_person_is_known_by_the_rut(story: Story, school: Plan) -> None:
    """Under another address they are the same; whoever has the address and another RUT is not."""
    first = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    person = story.events(first)[0].event.person
    same = story.invite(
        school.id, "anna@example.com", by=school.director.itself, rut="12.345.678-5", at=LATER
    )
    assert story.events(same)[0].event.person == person
    assert isinstance(story.events(first)[-1].event, InvitationExpired)
    another = story.invite(school.id, ANA, by=school.director.itself, rut=BRUNO_RUT, at=LATER)
    assert story.events(another)[0].event.person != person


@pytest.mark.rule("A11")
@pytest.mark.parametrize("by_email", [True, False])
def test_whoever_was_invited_and_is_erased_comes_back_as_somebody_new(
    story: Story, school: Plan, by_email: bool
) -> None:
    """The invitation is revoked, its seat free, and nothing in it opens any more."""
    invitation = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    sent = story.events(invitation)[0]
    who = ANA if by_email else f"person:{sent.event.person}"
    erased, revoked = became(story, story.ask(ErasePerson(at=BEGINNING, account=who), MANAGER))
    assert isinstance(erased, InviteeErased)
    assert isinstance(revoked, InvitationRevoked)
    assert revoked.reason is RevocationReason.ERASURE
    for name in personal_fields(type(sent.event)):
        sealed = getattr(sent.event, name)
        assert story.acta.vault.open(sealed, event_id=sent.event_id, field=name) is None
    assert story.acta.store.counted(school.id, BEGINNING) == 1
    again = ErasePerson(at=BEGINNING, account=f"person:{sent.event.person}")
    assert story.refusal(again, MANAGER).rule == "A11"
    anew = story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    assert story.events(anew)[0].event.person != sent.event.person


@pytest.mark.rule("A11")
def test_the_invited_have_themselves_erased_and_nobody_else(story: Story, school: Plan) -> None:
    """An expired invitation still says whose the address was."""
    story.invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    story.invite(school.id, BRUNO, by=school.director.itself, rut=BRUNO_RUT)
    erase = ErasePerson(at=BEGINNING, account=ANA)
    bruno = Actor(kind=ActorKind.PERSON, who=BRUNO)
    assert story.refusal(erase, bruno).rule == "G1"
    story.ask(erase, Actor(kind=ActorKind.PERSON, who=ANA))
    story.ask(ErasePerson(at=LATER, account=BRUNO), MANAGER)
    assert story.refusal(ErasePerson(at=LATER, account=BRUNO), MANAGER).rule == "A1"


@pytest.mark.rule("A11", "A12")
def test_a_member_who_is_erased_leaves_the_plan_and_its_invitation(
    story: Story, school: Plan
) -> None:
    """Also an invitation that was open to a former member."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    story.ask(*removing(school, ana))
    story.ask(*inviting(school, at=BEGINNING))
    story.ask(ErasePerson(at=BEGINNING, account=ana.who), MANAGER)
    assert story.acta.store.counted(school.id, BEGINNING) == 1
    anew = story.join(school, ANA, rut=ANA_RUT)
    assert anew.person != ana.person


@pytest.mark.rule("A5", "I3")
def test_an_open_invitation_is_in_the_way_of_a_user_code(story: Story, school: Plan) -> None:
    """And the account manager of a member changes that member's, which frees the old one."""
    ana = story.join(school, ANA, rut=ANA_RUT)
    story.invite(school.id, BRUNO, by=school.director.itself, rut=BRUNO_RUT)
    assert MANAGER.id is not None
    assign = AssignAccountManager(at=BEGINNING, account=ana.who, account_manager=MANAGER.id)
    story.ask(assign, MANAGER)
    change = ChangeUserCode(at=BEGINNING, account=ana.who, email=BRUNO)
    assert story.refusal(change, MANAGER).rule == "A3"
    story.ask(change.model_copy(update={"email": "anna@example.com"}), MANAGER)
    assert story.register(ANA).person != ana.person


# ---------------------------------------------------------------- the setting


@pytest.mark.rule("I6")
def test_how_long_an_invitation_is_open_is_a_setting(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACTA_INVITATION_DAYS; what was sent before keeps its own days."""
    with open_ledger(database.settings()) as acta:
        school = Story(acta).institution()
        Story(acta).invite(school.id, ANA, by=school.director.itself, rut=ANA_RUT)
    monkeypatch.setenv("ACTA_INVITATION_DAYS", "2")
    settings = Settings(database_url=database.settings().database_url, keys=Path(database.keys))
    with open_ledger(settings) as acta:
        story = Story(acta)
        story.invite(school.id, BRUNO, by=school.director.itself, rut=BRUNO_RUT)
        third_day = BEGINNING + timedelta(days=2)
        bruno = Actor(kind=ActorKind.PERSON, who=BRUNO)
        late = AcceptInvitation(at=third_day, invitation=BRUNO)
        assert story.refusal(late, bruno).rule == "I6"
        story.accept(ANA, at=third_day)


@pytest.mark.rule("I5")
def test_an_import_under_the_id_of_something_else_is_refused(
    story: Story, school: Plan, other_school: Plan
) -> None:
    """Nothing of it is written into somebody's account, or into another plan's import."""
    begun = story.import_list(school, [ANA], last=False)
    head = story.acta.store.head()
    for taken in (school.id, begun):
        with pytest.raises(Refused, match="I5"):
            story.import_list(other_school, [BRUNO], invitation_import=taken)
    assert story.acta.store.head() == head
