"""Invitations: who invites whom as what, and what becomes of it (I1 to I9, A3, A12, S10)."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.account import (
    Account,
    AccountEvent,
    AccountKind,
    ErasePerson,
    RemovalReason,
    Role,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.decider import Decider
from domain.invitation import (
    AcceptInvitation,
    CorrectInvitation,
    ExpireInvitation,
    Holder,
    Invitation,
    InvitationDecision,
    InvitationEvent,
    InvitationStanding,
    InvitationSurroundings,
    Invited,
    Invitee,
    InviteeErased,
    InviteMember,
    RemindInvitation,
    ResendInvitation,
    RevocationReason,
    RevokeInvitation,
    decide,
    erase_invitee,
    evolve,
)
from domain.refusal import Refused
from domain.subscription import SubscriptionEvent
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    EXPIRY,
    FOURTEEN_DAYS,
    INVITATION,
    OTHER_PLAN,
    PERSON,
    PLAN,
    SANTIAGO,
    accepted,
    account_after,
    administrator,
    administrators_account,
    closed,
    corrected,
    expired,
    invitation_sent,
    lapsed,
    manager,
    member_removed,
    of_plan,
    owner,
    plan_after,
    plan_opened,
    plan_paid,
    registered,
    reminded,
    revoked,
    role_assigned,
    sent_again,
    stranger,
    suspended,
    system,
)
from tests.specification import given

AN_INSTANT = timedelta(microseconds=1)
LATER = BEGINNING + timedelta(days=3)
WHICH = f"invitation:{INVITATION}"
Happening: TypeAlias = InvitationEvent | AccountEvent

inviting = InviteMember(
    at=BEGINNING,
    plan=PLAN,
    invitation=INVITATION,
    role=Role.USER,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    rut="12.345.678-5",
    email="ana@example.com",
    phone="+56 9 6123 4567",
)
ana = Invited("Ana", "Rojas", "Soto", "12345678-5", "ana@example.com", "+56961234567")
registered_by_invitation = registered.model_copy(update={"kind": AccountKind.INSTITUTIONAL})


def inviting_as(role: Role) -> InviteMember:
    """Ana is invited with this role."""
    return inviting.model_copy(update={"role": role})


def resending(at: datetime = LATER) -> ResendInvitation:
    """The invitation shall go out once more."""
    return ResendInvitation(at=at, invitation=WHICH)


def correcting(at: datetime = LATER) -> CorrectInvitation:
    """The invitation shall go to another address."""
    return CorrectInvitation(at=at, invitation=WHICH, email="ana.rojas@example.org")


def revoking(at: datetime = LATER) -> RevokeInvitation:
    """The invitation shall be taken back."""
    return RevokeInvitation(at=at, invitation=WHICH, reason=RevocationReason.MISTAKE)


def expiring(at: datetime = EXPIRY) -> ExpireInvitation:
    """It shall be recorded that nobody answered."""
    return ExpireInvitation(at=at, invitation=WHICH)


def reminding(at: datetime) -> RemindInvitation:
    """Ana shall be told that it expires soon."""
    return RemindInvitation(at=at, invitation=WHICH)


def accepting(at: datetime = LATER) -> AcceptInvitation:
    """Ana follows the invitation."""
    return AcceptInvitation(at=at, invitation=WHICH)


def evolve_invitation(invitation: Invitation, event: Happening) -> Invitation:
    """Accepting also makes facts of the account, which change no invitation."""
    return evolve(invitation, event) if isinstance(event, InvitationEvent) else invitation


invitation_decider: Decider[Invitation, Happening] = Decider(
    initial=Invitation(), evolve=evolve_invitation
)

IN_FORCE = plan_after(*plan_paid())
RUN_OUT = plan_after(*plan_paid(), of_plan(lapsed(BEGINNING, BEGINNING.date())))


def asks(
    actor: Actor, command: InvitationDecision, **surroundings: Any
) -> Callable[[Invitation], Sequence[Happening]]:
    """This actor asks a plan in force, where a super-administrator asks; unless said otherwise."""
    usual = InvitationSurroundings(
        plan=IN_FORCE,
        asker=administrators_account(),
        administered=True,
        expires_at=command.at + FOURTEEN_DAYS,
        invitee=Invitee(PERSON),
        email="ana@example.com",
        new_account=ACCOUNT,
        invited=ana,
    )
    around: dict[str, Any] = {
        **{name: getattr(usual, name) for name in InvitationSurroundings.__slots__},
        **surroundings,
    }
    return lambda invitation: decide(command, actor, invitation, InvitationSurroundings(**around))


# ---------------------------------------------------------------- inviting


@pytest.mark.rule("I1", "I2", "I4", "I6")
@pytest.mark.parametrize("role", Role)
def test_a_super_administrator_invites_with_any_role(role: Role) -> None:
    """The invitation carries the role, what was given in canonical form, and its last instant."""
    outcome = given(invitation_decider).when(asks(administrator, inviting_as(role)))
    outcome.then(invitation_sent(role))


@pytest.mark.rule("I1", "I4")
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.USER])
def test_an_administrator_invites_administrators_and_users(role: Role) -> None:
    """An administrator grants what is not above their own role."""
    asker = administrators_account(Role.ADMINISTRATOR)
    outcome = given(invitation_decider).when(asks(administrator, inviting_as(role), asker=asker))
    outcome.then(invitation_sent(role))


@pytest.mark.rule("I4")
def test_an_administrator_invites_no_super_administrator() -> None:
    """What is above an administrator is not an administrator's to give."""
    asker = administrators_account(Role.ADMINISTRATOR)
    outcome = given(invitation_decider).when(
        asks(administrator, inviting_as(Role.SUPER_ADMINISTRATOR), asker=asker)
    )
    outcome.then_refused("I4", message_contains="super-administrator", remedy_contains="Ask")


@pytest.mark.rule("I1")
@pytest.mark.parametrize(
    ("actor", "asker"),
    [
        (administrator, administrators_account(Role.USER)),
        (administrator, administrators_account(Role.SUPER_ADMINISTRATOR, OTHER_PLAN)),
        (administrator, administrators_account(None)),
        (stranger, Account()),
        (system, Account()),
        (Actor(kind=ActorKind.SUPPORT_STAFF), administrators_account()),
    ],
    ids=["user", "of another plan", "no member", "no account", "system", "support staff"],
)
def test_nobody_else_invites(actor: Actor, asker: Account) -> None:
    """Creating users belongs to the administrators of the plan alone, by what the ledger knows."""
    outcome = given(invitation_decider).when(asks(actor, inviting, asker=asker))
    outcome.then_refused("I1", remedy_contains="administrator of the plan")


@pytest.mark.rule("I1", "A10")
def test_a_suspended_administrator_does_not_invite() -> None:
    """Whoever is suspended can do nothing with the account, nor with its role."""
    asker = administrators_account(Role.SUPER_ADMINISTRATOR, PLAN, suspended)
    outcome = given(invitation_decider).when(asks(administrator, inviting, asker=asker))
    outcome.then_refused("A10")


@pytest.mark.rule("I1")
def test_the_first_super_administrator_is_invited_by_an_account_manager() -> None:
    """Where nobody administers the plan yet, an account manager invites who will."""
    first = inviting_as(Role.SUPER_ADMINISTRATOR)
    outcome = given(invitation_decider).when(
        asks(manager, first, administered=False, asker=Account())
    )
    outcome.then(invitation_sent(Role.SUPER_ADMINISTRATOR))


@pytest.mark.rule("I1")
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.USER])
def test_an_account_manager_invites_nobody_below(role: Role) -> None:
    """The first super-administrator is an account manager's business, and nobody else."""
    outcome = given(invitation_decider).when(
        asks(manager, inviting_as(role), administered=False, asker=Account())
    )
    outcome.then_refused("I1", message_contains="first super-administrator")


@pytest.mark.rule("I1")
@pytest.mark.parametrize("role", Role)
def test_an_account_manager_leaves_an_administered_plan_alone(role: Role) -> None:
    """Once the plan has an administrator, its people invite by themselves."""
    outcome = given(invitation_decider).when(asks(manager, inviting_as(role), asker=Account()))
    outcome.then_refused("I1", message_contains="by themselves")


DETAILS = {
    "given_name": "",
    "paternal_surname": " ",
    "maternal_surname": "x" * 101,
    "rut": "12.345.678-9",
    "email": "zoraida.example.com",
    "phone": "+34 912 345 678",
}


@pytest.mark.rule("I2")
@pytest.mark.parametrize("missing", DETAILS)
def test_an_invitation_needs_all_that_makes_a_person(missing: str) -> None:
    """Names, both surnames, RUT, e-mail and phone: none can be left out."""
    some = inviting.model_dump(exclude={missing})
    with pytest.raises(ValidationError) as error:
        InviteMember(**some)
    assert [fault["loc"] for fault in error.value.errors()] == [(missing,)]


@pytest.mark.rule("I2")
def test_every_wrong_value_is_named_at_once() -> None:
    """All are checked, and whoever gave wrong ones is told of each; none is repeated."""
    with pytest.raises(ValidationError) as error:
        InviteMember(**{**inviting.model_dump(), **DETAILS})
    assert {fault["loc"][0] for fault in error.value.errors()} == set(DETAILS)
    assert "zoraida" not in str(error.value)


@pytest.mark.rule("I4")
def test_a_role_that_does_not_exist_is_none() -> None:
    """There are three roles within a plan."""
    with pytest.raises(ValidationError, match="role"):
        InviteMember(**{**inviting.model_dump(), "role": "owner"})


@pytest.mark.rule("I3", "A3")
@pytest.mark.parametrize(
    ("invitee", "message"),
    [
        (Invitee(PERSON, email=Holder.ACCOUNT), "the e-mail has an account"),
        (Invitee(PERSON, email=Holder.INVITATION), "the e-mail has an open invitation"),
        (Invitee(PERSON, rut=Holder.ACCOUNT), "the RUT has an account"),
        (Invitee(PERSON, rut=Holder.INVITATION), "the RUT has an open invitation"),
        (Invitee(PERSON, invited=True), "the person has an open invitation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whoever_has_an_account_or_an_invitation_gets_no_other(
    invitee: Invitee, message: str
) -> None:
    """By e-mail, by RUT, and as the person that both belong to, from whatever plan."""
    outcome = given(invitation_decider).when(asks(administrator, inviting, invitee=invitee))
    outcome.then_refused("I3", message_contains=message)


@pytest.mark.rule("I3")
def test_one_open_invitation_is_told_of_once() -> None:
    """Whoever is invited by the very e-mail and RUT is not told of the person besides."""
    invitee = Invitee(PERSON, email=Holder.INVITATION, rut=Holder.INVITATION, invited=True)
    outcome = given(invitation_decider).when(asks(administrator, inviting, invitee=invitee))
    assert outcome.refusal.message == (
        "the e-mail has an open invitation; I3: the RUT has an open invitation"
    )


@pytest.mark.rule("I3", "A12")
def test_a_former_member_is_invited_like_anybody() -> None:
    """Where the e-mail and the RUT are a former member's own, nobody holds them."""
    outcome = given(invitation_decider).when(
        asks(administrator, inviting, invitee=Invitee(PERSON, Holder.NOBODY, Holder.NOBODY))
    )
    outcome.then(invitation_sent())


@pytest.mark.rule("I3")
@pytest.mark.parametrize(
    ("past", "id_taken"),
    [([], True), ([invitation_sent()], False), ([invitation_sent(), revoked()], False)],
    ids=["of something else", "open", "revoked"],
)
def test_an_invitation_has_an_id_of_its_own(past: list[Happening], id_taken: bool) -> None:
    """An id that is in use is not given to another invitation."""
    outcome = given(invitation_decider, *past).when(
        asks(administrator, inviting, id_taken=id_taken)
    )
    outcome.then_refused("I3", message_contains="id", remedy_contains="new random id")


@pytest.mark.rule("S10")
@pytest.mark.parametrize(("used", "free"), [(0, True), (2, True), (3, False)])
def test_an_invitation_takes_a_seat(used: int, free: bool) -> None:
    """The last of three seats can be given, and no fourth."""
    outcome = given(invitation_decider).when(asks(administrator, inviting, seats_used=used))
    if free:
        outcome.then(invitation_sent())
    else:
        outcome.then_refused("S10", message_contains="all 3 seats", remedy_contains="seats")


@pytest.mark.rule("S10")
@pytest.mark.parametrize("actor", [administrator, manager], ids=lambda actor: actor.kind)
def test_a_plan_that_ran_out_invites_nobody(actor: Actor) -> None:
    """Whoever asks: a plan that is not paid any more takes nobody in."""
    outcome = given(invitation_decider).when(asks(actor, inviting, plan=RUN_OUT))
    outcome.then_refused("S10", message_contains="run out")


@pytest.mark.rule("S10")
def test_a_plan_that_is_not_paid_yet_invites() -> None:
    """People can be invited before the institution's first payment arrives."""
    outcome = given(invitation_decider).when(
        asks(administrator, inviting, plan=plan_after(plan_opened()))
    )
    outcome.then(invitation_sent())


@pytest.mark.rule("S10")
def test_nobody_is_invited_into_what_is_no_plan() -> None:
    """A plan is opened before anybody is invited into it."""
    outcome = given(invitation_decider).when(asks(manager, inviting, plan=plan_after()))
    outcome.then_refused("S10", message_contains="no such plan")


# What can stand in the way of a person all at once: rule, its words, and how it comes about.
IN_THE_WAY: list[tuple[str, str]] = [
    ("I4", "only a super-administrator grants"),
    ("I3", "the e-mail has an account"),
    ("I3", "the RUT has an open invitation"),
    ("S10", "all 3 seats"),
]
SEVERAL = [
    tuple(IN_THE_WAY.index(fault) for fault in some)
    for size in (2, 3, 4)
    for some in combinations(IN_THE_WAY, size)
]


@pytest.mark.rule("I2", "I3", "I4", "S10")
@pytest.mark.parametrize("several", SEVERAL, ids=str)
def test_a_refusal_lists_every_fault(several: tuple[int, ...]) -> None:
    """Whoever invites mends everything in one go: the role, the person, the seats."""
    outcome = given(invitation_decider).when(
        asks(
            administrator,
            inviting_as(Role.SUPER_ADMINISTRATOR if 0 in several else Role.USER),
            asker=administrators_account(Role.ADMINISTRATOR),
            invitee=Invitee(
                PERSON,
                email=Holder.ACCOUNT if 1 in several else Holder.NOBODY,
                rut=Holder.INVITATION if 2 in several else Holder.NOBODY,
            ),
            seats_used=3 if 3 in several else 0,
        )
    )
    first, *others = [IN_THE_WAY[n] for n in several]
    outcome.then_refused(first[0], message_contains=first[1])
    for rule, words in others:
        outcome.then_refused(first[0], message_contains=f"; {rule}: {words}")
    assert outcome.refusal.message.count("; ") == len(others)


@pytest.mark.rule("I1", "I2")
def test_an_account_manager_is_told_everything_too() -> None:
    """The role that an account manager cannot give, and whatever else is in the way."""
    outcome = given(invitation_decider).when(
        asks(
            manager,
            inviting,
            administered=False,
            seats_used=3,
            invitee=Invitee(PERSON, rut=Holder.ACCOUNT),
        )
    )
    outcome.then_refused("I1", message_contains="; I3: the RUT has an account; S10: ")


# ---------------------------------------------------------------- in every standing

NOT_OPEN: list[tuple[list[Happening], datetime, str]] = [
    ([], LATER, "no such open invitation"),
    ([invitation_sent(), accepted()], LATER, "has been used"),
    ([invitation_sent(), revoked()], LATER, "was revoked"),
    ([invitation_sent(), expired()], EXPIRY, "has expired"),
    ([invitation_sent()], EXPIRY, "has expired"),
    ([invitation_sent(), revoked()], EXPIRY, "was revoked"),
]
NOT_OPEN_NAMES = ["none", "used", "revoked", "expired", "past its days", "revoked, past its days"]


@pytest.mark.rule("I6", "I9")
@pytest.mark.parametrize(("past", "at", "became"), NOT_OPEN, ids=NOT_OPEN_NAMES)
@pytest.mark.parametrize("command", [resending, correcting, revoking, accepting])
def test_what_is_not_open_is_good_for_nothing(
    command: Callable[[datetime], InvitationDecision],
    past: list[Happening],
    at: datetime,
    became: str,
) -> None:
    """It says what became of it; then look in the spam folder, and ask the contact for another."""
    actor = owner if command is accepting else administrator
    outcome = given(invitation_decider, *past).when(asks(actor, command(at)))
    outcome.then_refused("I6", message_contains=became, remedy_contains="spam")
    outcome.then_refused("I6", remedy_contains="contact at the institution")


@pytest.mark.rule("I6")
@pytest.mark.parametrize(
    ("command", "actor"),
    [(resending, administrator), (correcting, administrator), (revoking, administrator),
     (accepting, owner)],
)  # fmt: skip
def test_an_invitation_is_open_until_the_very_instant_of_its_expiry(
    command: Callable[[datetime], InvitationDecision], actor: Actor
) -> None:
    """At the last instant before it is open, and at the expiry it is not."""
    past = given(invitation_decider, invitation_sent())
    assert past.when(asks(actor, command(EXPIRY - AN_INSTANT))).events
    past.when(asks(actor, command(EXPIRY))).then_refused("I6", message_contains="expired")


@pytest.mark.rule("I6")
def test_an_expiry_is_recorded_from_its_very_instant() -> None:
    """Not before, whoever asks; the fact knows when the days had passed, however late it comes."""
    past = given(invitation_decider, invitation_sent())
    early = past.when(asks(system, expiring(EXPIRY - AN_INSTANT)))
    early.then_refused("I6", remedy_contains="Wait")
    past.when(asks(system, expiring(EXPIRY))).then(expired(EXPIRY))
    late = EXPIRY + timedelta(days=100)
    past.when(asks(system, expiring(late))).then(expired(late))


@pytest.mark.rule("I6")
@pytest.mark.parametrize(
    "past",
    [
        [],
        [invitation_sent(), accepted()],
        [invitation_sent(), revoked()],
        [invitation_sent(), expired()],
        [invitation_sent(), sent_again(LATER)],
    ],
    ids=["none", "used", "revoked", "expired", "sent again since"],
)
def test_only_an_open_invitation_expires(past: list[Happening]) -> None:
    """What is used, revoked or expired already does not expire, nor what was sent again."""
    outcome = given(invitation_decider, *past).when(asks(system, expiring(EXPIRY)))
    outcome.then_refused("I6")


@pytest.mark.rule("I6")
@pytest.mark.parametrize(
    ("event", "standing"),
    [
        (accepted(), InvitationStanding.ACCEPTED),
        (revoked(), InvitationStanding.REVOKED),
        (expired(), InvitationStanding.EXPIRED),
    ],
)
def test_its_standing_follows_from_its_events(
    event: InvitationEvent, standing: InvitationStanding
) -> None:
    """Used, revoked and expired ones are not open at any instant."""
    invitation = invitation_decider.replay([invitation_sent(), event])
    assert invitation.standing is standing
    assert not invitation.is_open(BEGINNING)


# ---------------------------------------------------------------- reminding

A_WEEK_BEFORE = EXPIRY - timedelta(days=7)


@pytest.mark.rule("I6")
def test_whoever_is_invited_is_reminded_a_week_before_the_expiry() -> None:
    """Not before, and once."""
    past = given(invitation_decider, invitation_sent())
    early = past.when(asks(system, reminding(A_WEEK_BEFORE - AN_INSTANT)))
    early.then_refused("I6", remedy_contains="7 days before")
    once = past.when(asks(system, reminding(A_WEEK_BEFORE)))
    once.then(reminded(A_WEEK_BEFORE))
    once.and_when(asks(system, reminding(A_WEEK_BEFORE + AN_INSTANT))).then_nothing()


@pytest.mark.rule("I6")
@pytest.mark.parametrize("again", [sent_again, corrected])
def test_what_goes_out_again_is_a_reason_to_remind_again(
    again: Callable[[datetime], InvitationEvent],
) -> None:
    """Its days begin anew; each notice has an id of its own."""
    past: list[Happening] = [invitation_sent(), reminded(), again(EXPIRY - AN_INSTANT)]
    at = EXPIRY + timedelta(days=7)
    given(invitation_decider, *past).when(asks(system, reminding(at))).then(
        reminded(at, 1, EXPIRY - AN_INSTANT + FOURTEEN_DAYS)
    )


@pytest.mark.rule("I6")
@pytest.mark.parametrize("past", [[], [reminded()]], ids=["not reminded", "reminded"])
def test_too_late_for_a_reminder_the_expiry_is_recorded(past: list[InvitationEvent]) -> None:
    """A clock that stood still reminds nobody of what is over."""
    outcome = given(invitation_decider, invitation_sent(), *past).when(
        asks(system, reminding(EXPIRY))
    )
    outcome.then(expired(EXPIRY))


@pytest.mark.rule("I6")
@pytest.mark.parametrize(("past", "at", "became"), NOT_OPEN[:4], ids=NOT_OPEN_NAMES[:4])
def test_nobody_is_reminded_of_what_is_not_open(
    past: list[Happening], at: datetime, became: str
) -> None:
    """It was used, revoked or has expired."""
    outcome = given(invitation_decider, *past).when(asks(system, reminding(at)))
    outcome.then_refused("I6", message_contains=became)


@pytest.mark.rule("I6")
def test_nobody_is_reminded_of_an_invitation_of_a_week() -> None:
    """Its days are a setting; what lasts no longer than the days of the reminder gets none."""
    of_a_week = invitation_sent().model_copy(update={"expires_at": BEGINNING + timedelta(days=7)})
    outcome = given(invitation_decider, of_a_week).when(asks(system, reminding(LATER)))
    outcome.then_refused("I6", message_contains="too short")


@pytest.mark.rule("I6", "S10")
def test_the_days_of_an_invitation_pass_whatever_became_of_its_plan() -> None:
    """Nobody accepts it meanwhile, but the plan may be paid again."""
    past = given(invitation_decider, invitation_sent())
    past.when(asks(system, reminding(A_WEEK_BEFORE), plan=RUN_OUT)).then(reminded(A_WEEK_BEFORE))
    past.when(asks(system, expiring(EXPIRY), plan=RUN_OUT)).then(expired(EXPIRY))


# ---------------------------------------------------------------- sending again, correcting


@pytest.mark.rule("I6")
def test_an_invitation_is_sent_again() -> None:
    """To the same address, and its days begin anew."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(administrator, resending()))
    outcome.then(sent_again(LATER))
    at_old_expiry = outcome.and_when(asks(owner, accepting(EXPIRY)))
    assert at_old_expiry.events
    new_expiry = LATER + FOURTEEN_DAYS
    outcome.and_when(asks(owner, accepting(new_expiry))).then_refused("I6")


@pytest.mark.rule("I6")
def test_an_invitation_is_corrected_to_another_address() -> None:
    """It goes to the new address; the fact knows both, and its days begin anew."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(administrator, correcting()))
    outcome.then(corrected(LATER))
    assert outcome.and_when(asks(owner, accepting(EXPIRY))).events


@pytest.mark.rule("I6")
def test_a_correction_to_the_same_address_changes_nothing() -> None:
    """The address it goes to already, however spelled, is no correction."""
    past = given(invitation_decider, invitation_sent())
    past.when(
        asks(administrator, correcting(), same_email=True, email_holder=Holder.INVITATION)
    ).then_nothing()


@pytest.mark.rule("I3", "A3", "I6")
@pytest.mark.parametrize("holder", [Holder.ACCOUNT, Holder.INVITATION])
def test_an_invitation_is_not_corrected_to_an_address_that_is_taken(holder: Holder) -> None:
    """The new address is one that a new invitation could go to."""
    outcome = given(invitation_decider, invitation_sent()).when(
        asks(administrator, correcting(), email_holder=holder)
    )
    outcome.then_refused("I3", message_contains="the e-mail has an")


@pytest.mark.rule("I6")
def test_an_invitation_is_revoked_with_a_reason() -> None:
    """It was a mistake, say; and then it cannot be accepted."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(administrator, revoking()))
    outcome.then(revoked(LATER))
    outcome.and_when(asks(owner, accepting())).then_refused("I6", message_contains="revoked")


CHANGES = [resending(), correcting(), revoking()]


@pytest.mark.rule("I1", "I6")
@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command.NAME)
@pytest.mark.parametrize(
    ("actor", "asker"),
    [
        (administrator, administrators_account(Role.USER)),
        (administrator, administrators_account(Role.SUPER_ADMINISTRATOR, OTHER_PLAN)),
        (owner, Account()),
    ],
    ids=["user", "of another plan", "the invited person"],
)
def test_only_its_administrators_change_an_invitation(
    command: InvitationDecision, actor: Actor, asker: Account
) -> None:
    """Whoever may not invite may neither send again, correct nor revoke."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(actor, command, asker=asker))
    outcome.then_refused("I1")


@pytest.mark.rule("A10", "I6")
@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command.NAME)
def test_a_suspended_administrator_changes_no_invitation(command: InvitationDecision) -> None:
    """A role is of no use while the account is suspended."""
    asker = administrators_account(Role.SUPER_ADMINISTRATOR, PLAN, suspended)
    outcome = given(invitation_decider, invitation_sent()).when(
        asks(administrator, command, asker=asker)
    )
    outcome.then_refused("A10")


@pytest.mark.rule("I4", "I6")
@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command.NAME)
def test_an_administrator_leaves_a_super_administrators_invitation_alone(
    command: InvitationDecision,
) -> None:
    """Who cannot grant a role cannot take its invitation back, nor send it elsewhere."""
    past = given(invitation_decider, invitation_sent(Role.SUPER_ADMINISTRATOR))
    below = administrators_account(Role.ADMINISTRATOR)
    past.when(asks(administrator, command, asker=below)).then_refused("I4")
    assert past.when(asks(administrator, command)).events


@pytest.mark.rule("I1", "I6")
@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command.NAME)
def test_an_account_manager_looks_after_the_first_invitation(command: InvitationDecision) -> None:
    """The first super-administrator's, while there is none; and no other."""
    first = given(invitation_decider, invitation_sent(Role.SUPER_ADMINISTRATOR))
    assert first.when(asks(manager, command, administered=False, asker=Account())).events
    first.when(asks(manager, command)).then_refused("I1")
    another = given(invitation_decider, invitation_sent(Role.USER))
    another.when(asks(manager, command, administered=False)).then_refused("I1")


@pytest.mark.rule("S10", "I6")
def test_a_plan_that_ran_out_sends_nothing_again_but_can_revoke() -> None:
    """What goes out again goes out under the rules of a new invitation."""
    past = given(invitation_decider, invitation_sent())
    past.when(asks(administrator, resending(), plan=RUN_OUT)).then_refused("S10")
    past.when(asks(administrator, correcting(), plan=RUN_OUT)).then_refused("S10")
    past.when(asks(administrator, revoking(), plan=RUN_OUT)).then(revoked(LATER))


@pytest.mark.rule("S10", "I6")
@pytest.mark.parametrize("command", [resending(), correcting()], ids=lambda each: each.NAME)
def test_what_goes_out_again_needs_a_seat(command: InvitationDecision) -> None:
    """Its own will do; where others use them all, its days do not begin anew."""
    past = given(invitation_decider, invitation_sent())
    assert past.when(asks(administrator, command, seats_used=2)).events
    past.when(asks(administrator, command, seats_used=3)).then_refused("S10")
    past.when(asks(administrator, revoking(), seats_used=3)).then(revoked(LATER))


# ---------------------------------------------------------------- accepting


@pytest.mark.rule("I7", "I4", "A2")
@pytest.mark.parametrize("role", Role)
def test_accepting_makes_the_institutional_account_with_its_role(role: Role) -> None:
    """Invitation, account and role at once; the account has what the invitation says."""
    outcome = given(invitation_decider, invitation_sent(role)).when(asks(owner, accepting()))
    at = {"occurred_at": LATER}
    outcome.then(
        accepted(role, LATER),
        registered_by_invitation.model_copy(update=at),
        role_assigned(role, at=LATER),
    )
    of_account = [event for event in outcome.events if not isinstance(event, InvitationEvent)]
    account = account_after(*of_account)
    assert account.kind is AccountKind.INSTITUTIONAL
    assert account.roles == {PLAN: role}
    assert account.was_member


@pytest.mark.rule("I7", "I6")
def test_a_corrected_invitation_makes_an_account_with_the_corrected_address() -> None:
    """The user code is the address that the invitation went to last; its language is kept."""
    sent = invitation_sent().model_copy(update={"language": "en"})
    outcome = given(invitation_decider, sent, corrected(LATER)).when(
        asks(
            owner,
            accepting(),
            invited=Invited(
                "Ana", "Rojas", "Soto", "12345678-5", "ana.rojas@example.org", "+56961234567"
            ),
        )
    )
    [event] = [event for event in outcome.events if isinstance(event, UserRegistered)]
    assert (event.email, event.language, event.time_zone) == (
        "ana.rojas@example.org",
        "en",
        SANTIAGO,
    )


@pytest.mark.rule("I7", "I6")
def test_an_invitation_is_accepted_once() -> None:
    """Whoever accepted has the account; the invitation is used."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(owner, accepting()))
    outcome.and_when(asks(owner, accepting())).then_refused("I6", message_contains="used")


@pytest.mark.rule("G1", "I7")
@pytest.mark.parametrize(
    "actor",
    [stranger, administrator, manager, system, Actor(kind=ActorKind.PERSON)],
    ids=["stranger", "administrator", "manager", "system", "nobody known"],
)
def test_nobody_accepts_for_another(actor: Actor) -> None:
    """An invitation is accepted by the invited person alone."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(actor, accepting()))
    outcome.then_refused("G1", remedy_contains="link")


@pytest.mark.rule("S10", "I7")
def test_nobody_joins_a_plan_that_ran_out() -> None:
    """An open invitation into a plan that is not paid any more waits until it is."""
    past = given(invitation_decider, invitation_sent())
    past.when(asks(owner, accepting(), plan=RUN_OUT)).then_refused("S10", message_contains="run")


@pytest.mark.rule("S10", "I7")
def test_the_seat_of_the_invitation_becomes_that_of_the_member() -> None:
    """It was kept free of others; where even so all are taken, nobody comes in."""
    past = given(invitation_decider, invitation_sent())
    assert past.when(asks(owner, accepting(), seats_used=2)).events
    past.when(asks(owner, accepting(), seats_used=3)).then_refused("S10")


@pytest.mark.rule("I8")
def test_no_user_joins_a_plan_that_nobody_administers() -> None:
    """A plan with members has an administrator: the first member is one."""
    user = given(invitation_decider, invitation_sent(Role.USER))
    outcome = user.when(asks(owner, accepting(), administered=False))
    outcome.then_refused("I8", message_contains="no administrator", remedy_contains="once")
    for role in (Role.SUPER_ADMINISTRATOR, Role.ADMINISTRATOR):
        first = given(invitation_decider, invitation_sent(role))
        assert first.when(asks(owner, accepting(), administered=False)).events


@pytest.mark.rule("A12", "A3", "I7")
def test_whoever_was_removed_comes_back_on_the_same_account() -> None:
    """No second account: the one there is gets the role, and its history goes on."""
    account = account_after(registered, role_assigned(), member_removed())
    outcome = given(invitation_decider, invitation_sent(Role.ADMINISTRATOR)).when(
        asks(owner, accepting(), account=account)
    )
    outcome.then(accepted(Role.ADMINISTRATOR, LATER), role_assigned(Role.ADMINISTRATOR, at=LATER))


@pytest.mark.rule("A12", "A3", "I3")
def test_a_member_of_a_plan_that_ended_leaves_it_for_the_new_one() -> None:
    """The account becomes the new plan's, and is no longer a member of the old."""
    account = account_after(registered, role_assigned(Role.ADMINISTRATOR, OTHER_PLAN))
    outcome = given(invitation_decider, invitation_sent()).when(
        asks(owner, accepting(), account=account, plans={OTHER_PLAN: RUN_OUT})
    )
    outcome.then(
        accepted(at=LATER),
        member_removed(
            Role.ADMINISTRATOR, OTHER_PLAN, reason=RemovalReason.JOINED_ANOTHER_PLAN, at=LATER
        ),
        role_assigned(at=LATER),
    )


@pytest.mark.rule("I3", "A12")
@pytest.mark.parametrize("past", [plan_paid(plan=OTHER_PLAN), [plan_opened(plan=OTHER_PLAN)]])
def test_a_member_of_a_plan_in_force_does_not_join_another(past: list[SubscriptionEvent]) -> None:
    """Paid, or not paid yet: as long as the old plan is not over, it has to let go first."""
    account = account_after(registered, role_assigned(plan=OTHER_PLAN))
    outcome = given(invitation_decider, invitation_sent()).when(
        asks(owner, accepting(), account=account, plans={OTHER_PLAN: plan_after(*past)})
    )
    outcome.then_refused("I3", message_contains="in force", remedy_contains="remove")


@pytest.mark.rule("A10", "I7")
def test_a_suspended_former_member_does_not_come_back() -> None:
    """A suspension is lifted by an account manager, not by an invitation."""
    account = account_after(registered, role_assigned(), member_removed(), suspended)
    outcome = given(invitation_decider, invitation_sent()).when(
        asks(owner, accepting(), account=account)
    )
    outcome.then_refused("A10")


@pytest.mark.rule("A10", "A3", "I7")
def test_whoever_closed_the_account_gets_a_new_one() -> None:
    """A closed account is closed for good, and blocks nobody."""
    account = account_after(registered, role_assigned(), member_removed(), closed)
    new_account = UUID(int=99)
    outcome = given(invitation_decider, invitation_sent()).when(
        asks(owner, accepting(), account=account, new_account=new_account)
    )
    _, made, role = outcome.events
    assert isinstance(made, UserRegistered)
    assert isinstance(role, type(role_assigned()))
    assert made.account == role.account == new_account


@pytest.mark.rule("A3", "I3", "I7")
@pytest.mark.parametrize("holder", [Holder.ACCOUNT, Holder.INVITATION])
def test_an_address_that_was_taken_since_makes_no_account(holder: Holder) -> None:
    """An e-mail or a RUT that somebody else holds by now gets no second account."""
    past = given(invitation_decider, invitation_sent())
    taken = asks(owner, accepting(), invitee=Invitee(PERSON, email=holder, rut=holder))
    past.when(taken).then_refused("I3", message_contains="; I3: the RUT")


@pytest.mark.rule("A11", "I7")
@pytest.mark.parametrize("gone", [{"invited": None}, {"invitee": None}], ids=["values", "person"])
def test_whoever_is_erased_accepts_nothing(gone: dict[str, None]) -> None:
    """Of erased data no account is made."""
    outcome = given(invitation_decider, invitation_sent()).when(asks(owner, accepting(), **gone))
    outcome.then_refused("A11", remedy_contains="new invitation")


# ---------------------------------------------------------------- erasure of the invited

erasing = ErasePerson(at=LATER, account="ana@example.com")


@pytest.mark.rule("A11")
@pytest.mark.parametrize("actor", [owner, manager], ids=["themselves", "account manager"])
def test_whoever_is_only_invited_can_be_erased(actor: Actor) -> None:
    """Somebody who never had an account has data of their own all the same."""
    assert erase_invitee(erasing, actor, PERSON, erased=False) == [
        InviteeErased(person=PERSON, occurred_at=LATER)
    ]


@pytest.mark.rule("A11", "G1")
def test_nobody_else_has_them_erased() -> None:
    """A person erases their own data alone."""
    with pytest.raises(Refused, match="G1"):
        erase_invitee(erasing, stranger, PERSON, erased=False)


@pytest.mark.rule("A11")
def test_the_invited_are_erased_once() -> None:
    """What is erased cannot be erased again."""
    with pytest.raises(Refused, match="A11"):
        erase_invitee(erasing, owner, PERSON, erased=True)
