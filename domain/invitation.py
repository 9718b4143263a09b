"""Invitation: how somebody comes to a plan (rules I1 to I9, A12).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Values are checked in commands; events take what was once written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, assert_never
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from domain.account import (
    Account,
    AccountEvent,
    AccountKind,
    ErasePerson,
    RemovalReason,
    Role,
    RoleAssigned,
    Standing,
    UserRegistered,
    left_plans,
    refuse_if_suspended,
)
from domain.actor import Actor, ActorKind
from domain.calendar import REMINDER_DAYS
from domain.command import Command
from domain.decider import Decider
from domain.event import Event
from domain.identity import Email, Language, MobilePhone, PersonName, Rut, WhichInvitation
from domain.membership import refuse_unless_administers, role_faults
from domain.personal import Personal, PersonalText, Purpose
from domain.plan import refuse_if_over, seat_faults
from domain.refusal import Refused, refuse_for
from domain.streams import notice_of
from domain.subscription import Subscription

IDENTITY = Personal(of="person", purpose=Purpose.IDENTITY)


class RevocationReason(StrEnum):
    """Why an invitation was taken back, in clear."""

    MISTAKE = "mistake"
    NO_LONGER_NEEDED = "no_longer_needed"
    ERASURE = "erasure"
    OTHER = "other"


class InvitationNoticeTemplate(StrEnum):
    """What whoever is invited is told."""

    INVITATION_REMINDER = "invitation_reminder"


class InvitationNoticeReason(StrEnum):
    """What whoever is invited is told it for, in clear."""

    EXPIRES_SOON = "expires_soon"


# ---------------------------------------------------------------- events


class InviteeFact(Event, aggregate="invitation"):
    """What all facts about somebody who is invited carry."""


class InvitationFact(InviteeFact, abstract=True):
    """What all facts about an invitation carry."""

    invitation: UUID
    """The invitation, by a random id, or one made from that of the import."""
    plan: UUID
    """The institutional plan."""


class InvitationSent(InvitationFact):
    """Somebody is invited into a plan with a role (I2, I4)."""

    role: Role
    """What the person will be within the plan."""
    expires_at: AwareDatetime
    """From then on it cannot be accepted, blocks nobody and holds no seat (I6)."""
    language: str
    """The language in which the person is addressed."""
    invitation_import: UUID | None = None
    """The import of a list that it came with (I5)."""
    row: int | None = None
    """Its row in that list."""
    given_name: Annotated[PersonalText, IDENTITY]
    """Given name."""
    paternal_surname: Annotated[PersonalText, IDENTITY]
    """First surname."""
    maternal_surname: Annotated[PersonalText, IDENTITY]
    """Second surname."""
    rut: Annotated[PersonalText, IDENTITY]
    """RUT."""
    email: Annotated[PersonalText, IDENTITY]
    """Where the invitation goes."""
    phone: Annotated[PersonalText, IDENTITY]
    """Mobile number in E.164 form."""


class InvitationSentAgain(InvitationFact):
    """The invitation goes to the same address once more, and its days begin anew (I6)."""

    expires_at: AwareDatetime
    """From then on it cannot be accepted, blocks nobody and holds no seat."""


class InvitationCorrected(InvitationFact):
    """The invitation goes to another address, and its days begin anew (I6)."""

    expires_at: AwareDatetime
    """From then on it cannot be accepted, blocks nobody and holds no seat."""
    email: Annotated[PersonalText, IDENTITY]
    """Where the invitation goes now."""
    former_email: Annotated[PersonalText | None, IDENTITY] = None
    """Where it went before."""


class InvitationNoticeRequested(InvitationFact):
    """Whoever is invited has to be told something (I6)."""

    notice: UUID
    """Id of the notice, made from the invitation and how many there were before."""
    template: InvitationNoticeTemplate
    """What to tell."""
    reason: InvitationNoticeReason
    """What for, in clear."""
    expires_at: AwareDatetime
    """Until when it can be accepted, as it stood when this was written."""


class InvitationRevoked(InvitationFact):
    """The invitation was taken back (I6)."""

    reason: RevocationReason
    """Why, in clear."""


class InvitationExpired(InvitationFact):
    """The invitation's days have passed without an answer (I6)."""

    expired_at: AwareDatetime
    """When they had passed."""


class InvitationAccepted(InvitationFact):
    """The person accepted, and has an account with the role (I7)."""

    account: UUID
    """The account: a new one, or that of a former member (A12)."""
    role: Role
    """What the person is within the plan."""


class InviteeErased(InviteeFact):
    """The data of a person who never had an account can no longer be read (A11)."""


InvitationEvent = (
    InvitationSent
    | InvitationSentAgain
    | InvitationCorrected
    | InvitationNoticeRequested
    | InvitationRevoked
    | InvitationExpired
    | InvitationAccepted
)

# ---------------------------------------------------------------- commands


class InviteeDetails(BaseModel):
    """Who is invited, and as what; all of it is needed (I2, I4)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    role: Role
    """What the person will be within the plan."""
    given_name: PersonName
    """Given name."""
    paternal_surname: PersonName
    """First surname."""
    maternal_surname: PersonName
    """Second surname."""
    rut: Rut
    """RUT with its check digit."""
    email: Email
    """Where the invitation goes; it becomes the user code."""
    phone: MobilePhone
    """Mobile number with its country code."""
    language: Language = "es"
    """The language in which the person is addressed."""


class InviteMember(InviteeDetails, Command):
    """Invites a person into a plan with a role."""

    plan: UUID
    """The institutional plan."""
    invitation: UUID
    """Id of the invitation."""


class InvitationCommand(Command, abstract=True):
    """A command about an invitation that exists."""

    invitation: WhichInvitation
    """The invitation: the e-mail to which it is open, or invitation:ID."""


class ResendInvitation(InvitationCommand):
    """Sends an open invitation again; its days begin anew."""


class CorrectInvitation(InvitationCommand):
    """Sends an open invitation to another address; its days begin anew."""

    email: Email
    """The right address."""


class RevokeInvitation(InvitationCommand):
    """Takes an open invitation back."""

    reason: RevocationReason = RevocationReason.OTHER
    """Why, in clear."""


class RemindInvitation(InvitationCommand):
    """Has whoever is invited reminded that the invitation expires soon."""


class ExpireInvitation(InvitationCommand):
    """Records that an invitation's days have passed."""


class AcceptInvitation(InvitationCommand):
    """Says that the invited person followed the invitation; the account is made with its role."""


InvitationDecision = (
    InviteMember
    | ResendInvitation
    | CorrectInvitation
    | RevokeInvitation
    | RemindInvitation
    | ExpireInvitation
    | AcceptInvitation
)

# ---------------------------------------------------------------- state


class InvitationStanding(StrEnum):
    """What became of an invitation."""

    NONE = "none"
    SENT = "sent"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What decisions about an invitation rest on.

    Attributes:
        sent_at: when it last went out; its days run from then.
        reminded: whoever is invited was told, since then, that it expires soon.
        notices: how many were requested so far.
    """

    standing: InvitationStanding = InvitationStanding.NONE
    id: UUID | None = None
    plan: UUID | None = None
    person: UUID | None = None
    role: Role = Role.USER
    sent_at: datetime | None = None
    expires_at: datetime | None = None
    language: str = "es"
    reminded: bool = False
    notices: int = 0

    @property
    def reminder_at(self) -> datetime | None:
        """From when on whoever is invited is to be reminded; None where that is not to be.

        What lasts no longer than the days of the reminder gets none.
        """
        waits = self.standing is InvitationStanding.SENT and not self.reminded
        if not waits or self.sent_at is None or self.expires_at is None:
            return None
        at = self.expires_at - timedelta(days=REMINDER_DAYS)
        return at if at > self.sent_at else None

    def is_open(self, at: datetime) -> bool:
        """Whether it can be accepted at this instant (I6)."""
        open_until = self.expires_at if self.standing is InvitationStanding.SENT else None
        return open_until is not None and at < open_until


def evolve(invitation: Invitation, event: InvitationEvent) -> Invitation:
    """The invitation after one more event."""
    match event:
        case InvitationSent():
            return Invitation(
                standing=InvitationStanding.SENT,
                id=event.invitation,
                plan=event.plan,
                person=event.person,
                role=event.role,
                sent_at=event.occurred_at,
                expires_at=event.expires_at,
                language=event.language,
            )
        case InvitationSentAgain() | InvitationCorrected():
            return replace(
                invitation,
                sent_at=event.occurred_at,
                expires_at=event.expires_at,
                reminded=False,
            )
        case InvitationNoticeRequested():
            return replace(invitation, reminded=True, notices=invitation.notices + 1)
        case InvitationRevoked():
            return replace(invitation, standing=InvitationStanding.REVOKED)
        case InvitationExpired():
            return replace(invitation, standing=InvitationStanding.EXPIRED)
        case InvitationAccepted():
            return replace(invitation, standing=InvitationStanding.ACCEPTED)
        case _:
            assert_never(event)


invitation_decider: Decider[Invitation, InvitationEvent] = Decider(
    initial=Invitation(), evolve=evolve
)

# ---------------------------------------------------------------- decisions


class Holder(StrEnum):
    """Who stands in the way of an e-mail, a RUT or a person that is to be invited (I3)."""

    NOBODY = "nobody"
    ACCOUNT = "account"
    INVITATION = "invitation"


@dataclass(frozen=True, slots=True)
class Invitee:
    """What is known of whoever is to be invited.

    Attributes:
        person: the person's id, known or new.
        email: who holds the e-mail; nobody also where it is a former member's own (A12).
        rut: who holds the RUT, likewise.
        invited: an invitation is open to the person, from whatever plan.
    """

    person: UUID
    email: Holder = Holder.NOBODY
    rut: Holder = Holder.NOBODY
    invited: bool = False


@dataclass(frozen=True, slots=True)
class Invited:
    """The personal values of an invitation, in clear."""

    given_name: str
    paternal_surname: str
    maternal_surname: str
    rut: str
    email: str
    phone: str


@dataclass(frozen=True, slots=True)
class InvitationSurroundings:
    """What a decision about an invitation needs beyond its own stream.

    Attributes:
        plan: the plan's subscription.
        asker: the account of whoever asks; its initial state for staff.
        administered: an administrator of the plan has an account that is open.
        expires_at: until when an invitation that is sent now is open (I6).
        seats_used: by members and open invitations; this invitation apart.
        invitee: of an invitation that is to be sent, or accepted by somebody without an account.
        id_taken: the id asked for names something else.
        email_holder: who holds the address that an invitation is corrected to.
        email: the address that it went to before, in clear.
        same_email: the address asked for is the one it went to, however spelled.
        account: the one that whoever accepts has already; its initial state where there is none.
        new_account: the id for a new account.
        invited: what the invitation says of the person; None where that cannot be read any more.
        plans: those of which that account is a member.
    """

    plan: Subscription
    asker: Account = field(default_factory=Account)
    administered: bool = False
    expires_at: datetime | None = None
    seats_used: int = 0
    invitee: Invitee | None = None
    id_taken: bool = False
    email_holder: Holder = Holder.NOBODY
    email: str | None = None
    same_email: bool = False
    account: Account = field(default_factory=Account)
    new_account: UUID | None = None
    invited: Invited | None = None
    plans: dict[UUID, Subscription] = field(default_factory=dict[UUID, Subscription])


def decide(
    command: InvitationDecision,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> Sequence[InvitationEvent | AccountEvent]:
    """The events that a command becomes; accepting also makes events of the account (I7).

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case InviteMember():
            return invite_member(command, actor, invitation, surroundings)
        case ResendInvitation():
            return resend(command, actor, invitation, surroundings)
        case CorrectInvitation():
            return correct(command, actor, invitation, surroundings)
        case RevokeInvitation():
            return revoke(command, actor, invitation, surroundings)
        case RemindInvitation():
            return remind(command, invitation)
        case ExpireInvitation():
            return expire(command, invitation)
        case AcceptInvitation():
            return accept(command, actor, invitation, surroundings)
        case _:
            assert_never(command)


def invite_member(
    command: InviteMember,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> Sequence[InvitationEvent]:
    """A refusal names everything that stands in the way of the person, not only the first (I2)."""
    refuse_unless_may_invite(command.plan, command.at, actor, surroundings)
    if surroundings.id_taken or invitation.standing is not InvitationStanding.NONE:
        raise Refused(
            "I3", "the id of the invitation is in use", remedy="Invite under a new random id."
        )
    assert surroundings.invitee is not None  # noqa: S101  narrows a type, no more
    refuse_for(invitation_faults(command.plan, command.role, actor, surroundings))
    known = KnownInvitation(command.invitation, command.plan, surroundings.invitee.person)
    return [invitation_sent(command, known, command.at, surroundings)]


def resend(
    command: ResendInvitation,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> Sequence[InvitationEvent]:
    """An invitation can be sent again while it is open (I6)."""
    known = refuse_unless_open(invitation, command.at)
    refuse_unless_may_change(known.plan, command.at, actor, invitation, surroundings)
    return [
        InvitationSentAgain(
            invitation=known.id,
            plan=known.plan,
            person=known.person,
            occurred_at=command.at,
            expires_at=open_until(surroundings),
        )
    ]


def correct(
    command: CorrectInvitation,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> Sequence[InvitationEvent]:
    """An invitation can be corrected to another address while it is open (I6)."""
    known = refuse_unless_open(invitation, command.at)
    refuse_unless_may_change(known.plan, command.at, actor, invitation, surroundings)
    if surroundings.same_email:
        return []
    refuse_for(holder_faults("e-mail", surroundings.email_holder))
    return [
        InvitationCorrected(
            invitation=known.id,
            plan=known.plan,
            person=known.person,
            occurred_at=command.at,
            expires_at=open_until(surroundings),
            email=command.email,
            former_email=surroundings.email,
        )
    ]


def revoke(
    command: RevokeInvitation,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> Sequence[InvitationEvent]:
    """An invitation can be revoked while it is open, also when the plan has run out (I6)."""
    known = refuse_unless_open(invitation, command.at)
    refuse_unless_may_grant(known.plan, invitation.role, actor, surroundings)
    return revoked(known, command.at, command.reason)


def remind(command: RemindInvitation, invitation: Invitation) -> Sequence[InvitationEvent]:
    """Once, some days before its expiry (I6); too late for that, it has expired."""
    known = known_invitation(invitation)
    if invitation.standing is InvitationStanding.SENT and not invitation.is_open(command.at):
        return expired(known, invitation, command.at)
    refuse_unless_open(invitation, command.at)
    if invitation.reminded:
        return []
    reminder_at, expires_at = invitation.reminder_at, invitation.expires_at
    if reminder_at is None or expires_at is None or command.at < reminder_at:
        raise Refused(
            "I6",
            "the invitation does not expire soon, or lasts too short a time for a reminder",
            remedy=f"Wait until {REMINDER_DAYS} days before its expiry.",
        )
    return [
        InvitationNoticeRequested(
            invitation=known.id,
            plan=known.plan,
            person=known.person,
            occurred_at=command.at,
            notice=notice_of(known.id, invitation.notices),
            template=InvitationNoticeTemplate.INVITATION_REMINDER,
            reason=InvitationNoticeReason.EXPIRES_SOON,
            expires_at=expires_at,
        )
    ]


def expire(command: ExpireInvitation, invitation: Invitation) -> Sequence[InvitationEvent]:
    """From its expiry on it blocks nobody, whether or not that is recorded (I6)."""
    known = known_invitation(invitation)
    if invitation.standing is not InvitationStanding.SENT or invitation.is_open(command.at):
        raise Refused(
            "I6", "no open invitation has run out", remedy="Wait until its days have passed."
        )
    return expired(known, invitation, command.at)


def accept(
    command: AcceptInvitation,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> Sequence[InvitationEvent | AccountEvent]:
    """Accepting makes the institutional account, or takes a former member's in (I7, A12)."""
    known = known_invitation(invitation)
    if actor.id != known.person:
        raise Refused(
            "G1",
            "an invitation is accepted by the invited person alone",
            remedy="Follow the link that came with the invitation.",
        )
    refuse_unless_open(invitation, command.at)
    refuse_if_over(surroundings.plan, command.at)
    refuse_if_suspended(surroundings.account)
    if not (surroundings.administered or invitation.role.administers):
        raise Refused(
            "I8",
            "the plan has no administrator whose account is open",
            remedy="Accept once it has one; your contact at the institution knows when.",
        )
    refuse_for(seat_faults(surroundings.plan, surroundings.seats_used))
    account_events = join(command.at, known, invitation, surroundings)
    return [
        InvitationAccepted(
            invitation=known.id,
            plan=known.plan,
            person=known.person,
            occurred_at=command.at,
            account=account_events[-1].account,
            role=invitation.role,
        ),
        *account_events,
    ]


def join(
    at: datetime,
    known: "KnownInvitation",
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> list[AccountEvent]:
    """The facts of the account: made where there is none, and never a second one (A3, A12)."""
    account = surroundings.account
    events: list[AccountEvent] = []
    if account.standing in (Standing.NONE, Standing.CLOSED) or account.id is None:
        registered = _registered(at, known, invitation, surroundings)
        events.append(registered)
        account_id = registered.account
    else:
        account_id = account.id
        events += _left(at, account, surroundings)
    events.append(
        RoleAssigned(
            account=account_id,
            person=known.person,
            occurred_at=at,
            plan=known.plan,
            role=invitation.role,
        )
    )
    return events


def _registered(
    at: datetime,
    known: "KnownInvitation",
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> UserRegistered:
    invited, invitee = surroundings.invited, surroundings.invitee
    if invited is None or invitee is None:
        raise Refused("A11", "the person's data is erased", remedy="Ask for a new invitation.")
    # Whose account was closed after the invitation may find the address taken since.
    refuse_for(invitee_faults(invitee))
    assert surroundings.new_account is not None  # noqa: S101  narrows a type, no more
    return UserRegistered(
        account=surroundings.new_account,
        person=known.person,
        occurred_at=at,
        kind=AccountKind.INSTITUTIONAL,
        language=invitation.language,
        time_zone=surroundings.plan.time_zone,
        given_name=invited.given_name,
        paternal_surname=invited.paternal_surname,
        maternal_surname=invited.maternal_surname,
        email=invited.email,
        phone=invited.phone,
        rut=invited.rut,
    )


def _left(
    at: datetime, account: Account, surroundings: InvitationSurroundings
) -> Sequence[AccountEvent]:
    """A member of a plan that has ended becomes the new plan's; of one in force, cannot (A12)."""
    if any(not surroundings.plans[plan].over(at) for plan in account.roles):
        raise Refused(
            "I3",
            "the account is a member of a plan in force",
            remedy="Ask an administrator of that plan to remove it first.",
        )
    return left_plans(account, at, RemovalReason.JOINED_ANOTHER_PLAN)


# ---------------------------------------------------------------- what several rules ask


@dataclass(frozen=True, slots=True)
class KnownInvitation:
    """The ids of an invitation that exists."""

    id: UUID
    plan: UUID
    person: UUID


def known_invitation(invitation: Invitation) -> KnownInvitation:
    """The ids of the invitation.

    Raises:
        Refused: there is no such invitation (I6).
    """
    if invitation.id is None or invitation.plan is None or invitation.person is None:
        raise Refused("I6", "there is no such open invitation", remedy=ASK_FOR_ANOTHER)
    return KnownInvitation(invitation.id, invitation.plan, invitation.person)


ASK_FOR_ANOTHER = (
    "Look in the spam folder for a newer one; else ask your contact at the institution to invite"
    " you again."
)


def refuse_unless_open(invitation: Invitation, at: datetime) -> KnownInvitation:
    """Expired, revoked and used invitations are of no use any more (I6).

    Raises:
        Refused: it is not open at this instant.
    """
    known = known_invitation(invitation)
    if not invitation.is_open(at):
        became = {
            InvitationStanding.ACCEPTED: "has been used",
            InvitationStanding.REVOKED: "was revoked",
        }.get(invitation.standing, "has expired")
        raise Refused("I6", f"the invitation {became}", remedy=ASK_FOR_ANOTHER)
    return known


def refuse_unless_may_invite(
    plan: UUID, at: datetime, actor: Actor, surroundings: InvitationSurroundings
) -> None:
    """What does not depend on who is invited: the authority, and the plan itself (I1, S10)."""
    refuse_if_over(surroundings.plan, at)
    if actor.kind is not ActorKind.ACCOUNT_MANAGER:
        refuse_unless_administers(actor, surroundings.asker, plan, rule="I1")
    elif surroundings.administered:
        raise Refused(
            "I1",
            "the plan has an administrator, and its people invite by themselves",
            remedy="Ask a super-administrator or an administrator of the plan.",
        )


def refuse_unless_may_grant(
    plan: UUID, role: Role, actor: Actor, surroundings: InvitationSurroundings
) -> None:
    """Whoever may grant its role may send an invitation again, correct it or revoke it (I6)."""
    if actor.kind is not ActorKind.ACCOUNT_MANAGER:
        refuse_unless_administers(actor, surroundings.asker, plan, rule="I1")
    refuse_for(grant_faults(plan, role, actor, surroundings))


def refuse_unless_may_change(
    plan: UUID,
    at: datetime,
    actor: Actor,
    invitation: Invitation,
    surroundings: InvitationSurroundings,
) -> None:
    """What goes out again goes out under the rules of a new one (I1, I4, S10)."""
    refuse_if_over(surroundings.plan, at)
    refuse_unless_may_grant(plan, invitation.role, actor, surroundings)
    refuse_for(seat_faults(surroundings.plan, surroundings.seats_used))


def grant_faults(
    plan: UUID, role: Role, actor: Actor, surroundings: InvitationSurroundings
) -> list[Refused]:
    """The first super-administrator comes from an account manager, all others from within (I1)."""
    if actor.kind is not ActorKind.ACCOUNT_MANAGER:
        return role_faults(surroundings.asker, plan, role)
    if role is Role.SUPER_ADMINISTRATOR and not surroundings.administered:
        return []
    return [
        Refused(
            "I1",
            "an account manager invites only the first super-administrator of a plan",
            remedy="Ask a super-administrator or an administrator of the plan.",
        )
    ]


def invitation_faults(
    plan: UUID, role: Role, actor: Actor, surroundings: InvitationSurroundings
) -> list[Refused]:
    """Everything that stands in the way of inviting this person with this role (I2)."""
    assert surroundings.invitee is not None  # noqa: S101  narrows a type, no more
    return [
        *grant_faults(plan, role, actor, surroundings),
        *invitee_faults(surroundings.invitee),
        *seat_faults(surroundings.plan, surroundings.seats_used),
    ]


def invitee_faults(invitee: Invitee) -> list[Refused]:
    """The invited person has no account and no other open invitation, A12 apart (I3)."""
    faults = [*holder_faults("e-mail", invitee.email), *holder_faults("RUT", invitee.rut)]
    if invitee.invited and not faults:
        faults += holder_faults("person", Holder.INVITATION)
    return faults


def holder_faults(what: str, holder: Holder) -> list[Refused]:
    """An e-mail or RUT that has an account, or an open invitation, gets no second one (A3, I3)."""
    match holder:
        case Holder.NOBODY:
            return []
        case Holder.ACCOUNT:
            return [
                Refused(
                    "I3",
                    f"the {what} has an account",
                    remedy="Check it; who has an account of their own closes it first.",
                )
            ]
        case Holder.INVITATION:
            return [
                Refused(
                    "I3",
                    f"the {what} has an open invitation",
                    remedy="Have that one accepted, sent again, corrected or revoked.",
                )
            ]
        case _:
            assert_never(holder)


def invitation_sent(
    details: InviteeDetails,
    known: KnownInvitation,
    at: datetime,
    surroundings: InvitationSurroundings,
    *,
    invitation_import: UUID | None = None,
    row: int | None = None,
) -> InvitationSent:
    """The fact that it goes out."""
    return InvitationSent(
        invitation=known.id,
        plan=known.plan,
        person=known.person,
        occurred_at=at,
        role=details.role,
        expires_at=open_until(surroundings),
        language=details.language,
        invitation_import=invitation_import,
        row=row,
        given_name=details.given_name,
        paternal_surname=details.paternal_surname,
        maternal_surname=details.maternal_surname,
        rut=details.rut,
        email=details.email,
        phone=details.phone,
    )


def open_until(surroundings: InvitationSurroundings) -> datetime:
    """When what is sent now expires (I6)."""
    assert surroundings.expires_at is not None  # noqa: S101  given to whoever sends
    return surroundings.expires_at


def erase_invitee(
    command: ErasePerson, actor: Actor, person: UUID, *, erased: bool
) -> Sequence[InviteeErased]:
    """Whoever was invited and has no account can be erased like anybody else (A11)."""
    if actor.kind is ActorKind.PERSON and actor.id != person:
        raise Refused(
            "G1",
            "a person can have their own data alone erased",
            remedy="Let that person do it, or ask an account manager.",
        )
    if erased:
        raise Refused("A11", "the person's data is erased", remedy="There is nothing left to do.")
    return [InviteeErased(person=person, occurred_at=command.at)]


def revoked(
    known: KnownInvitation, at: datetime, reason: RevocationReason
) -> list[InvitationRevoked]:
    """The fact that it is taken back."""
    return [
        InvitationRevoked(
            invitation=known.id,
            plan=known.plan,
            person=known.person,
            occurred_at=at,
            reason=reason,
        )
    ]


def expired(
    known: KnownInvitation, invitation: Invitation, at: datetime
) -> list[InvitationExpired]:
    """The fact that its days have passed."""
    assert invitation.expires_at is not None  # noqa: S101  it was sent, so it has an end
    return [
        InvitationExpired(
            invitation=known.id,
            plan=known.plan,
            person=known.person,
            occurred_at=at,
            expired_at=invitation.expires_at,
        )
    ]
