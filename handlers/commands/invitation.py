"""Commands about invitations: claims, seats, and the account that accepting makes (decision 9)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from domain.account import Account, ErasePerson, MemberRemoved, RoleAssigned, UserRegistered
from domain.actor import Actor, ActorKind
from domain.event import Event
from domain.identity import email_key
from domain.invitation import (
    AcceptInvitation,
    CorrectInvitation,
    ExpireInvitation,
    Holder,
    Invitation,
    InvitationAccepted,
    InvitationCorrected,
    InvitationDecision,
    InvitationExpired,
    InvitationFact,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
    InvitationStanding,
    InvitationSurroundings,
    Invited,
    Invitee,
    InviteeDetails,
    InviteMember,
    RemindInvitation,
    ResendInvitation,
    RevocationReason,
    RevokeInvitation,
    decide,
    expired,
    invitation_decider,
    known_invitation,
    revoked,
)
from domain.invitation import erase_invitee as decide_erasure
from domain.membership import can_join, is_free_to_join
from domain.refusal import Refused
from domain.subscription import Subscription
from handlers.commands.membership import leave_plan, take_role
from handlers.commands.situation import Claimed, Loaded, Situation, invited
from handlers.store.append import (
    Append,
    Claim,
    CountedClaim,
    Erased,
    Found,
    Opened,
    Release,
    Uncounted,
)
from handlers.store.event_store import Conflict

__all__ = [
    "draft",
    "erase_invitee",
    "erasure_of",
    "expire_passed",
    "invitee",
    "revoke_open_invitation",
    "take_in",
]


InvitationChange = ResendInvitation | CorrectInvitation | RevokeInvitation
ClockWork = RemindInvitation | ExpireInvitation


def draft(command: InvitationDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about an invitation wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case InviteMember():
            return _invite(command, actor, situation)
        case AcceptInvitation():
            return _accept(command, actor, situation)
        case RemindInvitation() | ExpireInvitation():
            return _let_days_pass(command, actor, situation)
        case _:
            return _change(command, actor, situation)


# ---------------------------------------------------------------- inviting


def _invite(command: InviteMember, actor: Actor, situation: Situation) -> Append:
    invitation = situation.load(command.invitation, invitation_decider, InvitationFact)
    plan, asker = situation.plan(command.plan), situation.asker(actor)
    append = Append(reads={plan.stream: plan.version, asker.stream: asker.version})
    surroundings = InvitationSurroundings(
        plan=plan.state,
        asker=asker.state,
        administered=_is_administered(command.plan, actor, situation),
        expires_at=situation.invitation_expires_at,
        seats_used=situation.store.counted(command.plan, command.at),
        invitee=invitee(command, append, situation),
        id_taken=invitation.version > 0,
    )
    events = decide(command, actor, invitation.state, surroundings)
    for event in events:
        if isinstance(event, InvitationSent):
            take_in(append, event, command, plan.state, situation)
    return append


def _is_administered(plan: UUID, actor: Actor, situation: Situation) -> bool:
    """Looked up for staff alone: whoever else asks is judged by a role (I1)."""
    staff = actor.kind is not ActorKind.PERSON
    return not staff or situation.administrator(plan) is not None


def invitee(details: InviteeDetails, append: Append, situation: Situation) -> Invitee:
    """What is known of whoever is to be invited; the append rests on it."""
    known = situation.known_person(details.email, details.rut)
    person = None if known is None else _unless_erased(known, append, situation)
    if person is None:
        person = situation.new_person()
    return Invitee(
        person=person,
        email=_holder(situation.email(details.email), person, append, situation),
        rut=_holder(situation.rut(details.rut), person, append, situation),
        invited=person == known and situation.held(invited(person)) is not None,
    )


def _unless_erased(person: UUID, append: Append, situation: Situation) -> UUID | None:
    """A known person, unless erased; an erasure in the meantime fails the append."""
    account = situation.present_account(person)
    erasure = erasure_of(person)
    version = situation.store.version(erasure)
    append.reads[account.stream] = account.version
    append.reads[erasure] = version
    return None if account.state.erased or version else person


def _holder(claimed: Claimed, person: UUID, append: Append, situation: Situation) -> Holder:
    held = situation.held(claimed)
    if held is None:
        return Holder.NOBODY
    if not held.of_account:
        return Holder.INVITATION
    if held.person != person:
        return Holder.ACCOUNT
    free = _is_free_to_join(situation.account_by_id(held.holder), append, situation)
    return Holder.NOBODY if free else Holder.ACCOUNT


def _is_free_to_join(account: Loaded[Account], append: Append, situation: Situation) -> bool:
    """Whether somebody with an account may be invited (A12); the append rests on it."""
    if not can_join(account.state):
        return False
    own = situation.subscription(account.stream)
    append.reads[account.stream] = account.version
    append.reads[own.stream] = own.version
    plans = situation.plans_of(account.state, append)
    return is_free_to_join(account.state, own.state, plans, situation.at)


def take_in(
    append: Append,
    event: InvitationSent,
    details: InviteeDetails,
    plan: Subscription,
    situation: Situation,
) -> None:
    """Writes it, and claims what an open invitation holds until it expires (A3, I3, I6, S10)."""
    claims = situation.claimed_by(details.email, details.rut)
    expire_passed(append, [*claims, invited(event.person)], situation)
    append.write(event.invitation, 0, [event])
    # A former member's own account goes on holding its e-mail and RUT (A12).
    free = [claimed for claimed in claims if situation.held(claimed) is None]
    for kind, digest in [*free, invited(event.person)]:
        append.claimed.append(Claim(kind, digest, event.invitation, event.person, event.expires_at))
    for kind, digest in [*free, situation.phone(details.phone)]:
        append.found.append(Found(kind, digest, event.person))
    append.counted.append(
        CountedClaim(event.plan, event.invitation, event.person, plan.seats, event.expires_at)
    )


def expire_passed(append: Append, claims: Iterable[Claimed], situation: Situation) -> None:
    """Whoever takes over what an expired invitation held records that it expired (decision 8)."""
    found = (situation.claim(claimed) for claimed in claims)
    passed = [claim.holder for claim in found if claim and not claim.is_live(situation.at)]
    for holder in dict.fromkeys(passed):
        if any(stream == holder for stream, _, _ in append.events):
            continue
        invitation = situation.load(holder, invitation_decider, InvitationFact)
        if invitation.state.standing is InvitationStanding.SENT:
            known = known_invitation(invitation.state)
            append.write(
                invitation.stream,
                invitation.version,
                expired(known, invitation.state, situation.at),
            )
            _let_go(append, known.id, known.plan)


def _let_go(append: Append, invitation: UUID, plan: UUID) -> None:
    append.released.append(Release(holder=invitation))
    append.uncounted.append(Uncounted(plan, invitation))


# ---------------------------------------------------------------- changing


def _change(command: InvitationChange, actor: Actor, situation: Situation) -> Append:
    invitation = situation.invitation(command.invitation)
    plan = situation.plan(invitation.state.plan or invitation.stream)
    asker = situation.asker(actor)
    email = _email(invitation, situation)
    surroundings = InvitationSurroundings(
        plan=plan.state,
        asker=asker.state,
        administered=_is_administered(plan.stream, actor, situation),
        expires_at=situation.invitation_expires_at,
        seats_used=_seats_of_others(invitation, plan.stream, situation),
        email=email,
        same_email=isinstance(command, CorrectInvitation)
        and email is not None
        and email_key(email) == email_key(command.email),
        email_holder=_holder_of_correction(command, situation),
    )
    events = decide(command, actor, invitation.state, surroundings)
    append = Append(reads={plan.stream: plan.version, asker.stream: asker.version})
    if isinstance(command, CorrectInvitation) and events:
        expire_passed(append, [situation.email(command.email)], situation)
    append.write(invitation.stream, invitation.version, events)
    for event in events:
        match event:
            case InvitationSentAgain():
                _hold_longer(append, event, plan.state, situation)
            case InvitationCorrected() if isinstance(command, CorrectInvitation):
                _hold_longer(append, event, plan.state, situation)
                _move_email(append, event, command, situation)
            case InvitationRevoked():
                _let_go(append, event.invitation, event.plan)
            case _:
                pass
    return append


def _let_days_pass(command: ClockWork, actor: Actor, situation: Situation) -> Append:
    """Rests on the invitation alone: neither its plan nor who administers it stops its days."""
    invitation = situation.invitation(command.invitation)
    surroundings = InvitationSurroundings(plan=Subscription())
    events = decide(command, actor, invitation.state, surroundings)
    append = Append()
    append.write(invitation.stream, invitation.version, events)
    for event in events:
        if isinstance(event, InvitationExpired):
            _let_go(append, event.invitation, event.plan)
    return append


def _seats_of_others(invitation: Loaded[Invitation], plan: UUID, situation: Situation) -> int:
    """Seats used beside that of an open invitation."""
    own = int(invitation.state.is_open(situation.at))
    return situation.store.counted(plan, situation.at) - own


def _holder_of_correction(command: InvitationChange, situation: Situation) -> Holder:
    if not isinstance(command, CorrectInvitation):
        return Holder.NOBODY
    held = situation.held_email(command.email)
    if held is None:
        return Holder.NOBODY
    return Holder.ACCOUNT if held.of_account else Holder.INVITATION


def _hold_longer(
    append: Append,
    event: InvitationSentAgain | InvitationCorrected,
    plan: Subscription,
    situation: Situation,
) -> None:
    for kind, digest in situation.store.claims_of(event.invitation):
        if not (kind == "email" and isinstance(event, InvitationCorrected)):
            append.claimed.append(
                Claim(kind, digest, event.invitation, event.person, event.expires_at)
            )
    append.counted.append(
        CountedClaim(event.plan, event.invitation, event.person, plan.seats, event.expires_at)
    )


def _move_email(
    append: Append, event: InvitationCorrected, command: CorrectInvitation, situation: Situation
) -> None:
    kind, digest = situation.email(command.email)
    append.released.append(Release(holder=event.invitation, kind=kind))
    append.no_longer_found.append((event.person, kind))
    append.claimed.append(Claim(kind, digest, event.invitation, event.person, event.expires_at))
    append.found.append(Found(kind, digest, event.person))


def _email(invitation: Loaded[Invitation], situation: Situation) -> str | None:
    """The address that the invitation goes to, in clear, from the last event that carries it."""
    for recorded in reversed(invitation.events):
        if isinstance(recorded.event, InvitationSent | InvitationCorrected):
            return situation.open(recorded, "email")
    return None


# ---------------------------------------------------------------- accepting


def _accept(command: AcceptInvitation, actor: Actor, situation: Situation) -> Append:
    """All or nothing: the invitation is used, the account made, the seat taken (decision 9)."""
    invitation = situation.invitation(command.invitation)
    plan = situation.plan(invitation.state.plan or invitation.stream)
    person = invitation.state.person or situation.new_id()
    account = situation.present_account(person)
    administrator = situation.administrator(plan.stream)
    append = Append(reads={plan.stream: plan.version})
    if administrator is not None:
        append.reads[administrator.stream] = administrator.version
    surroundings = InvitationSurroundings(
        plan=plan.state,
        administered=administrator is not None,
        seats_used=_seats_of_others(invitation, plan.stream, situation),
        account=account.state,
        new_account=situation.new_id(),
        invited=_invited_values(invitation, situation),
        plans=situation.plans_of(account.state, append),
    )
    surroundings = replace(surroundings, invitee=_accepting(invitation, surroundings, situation))
    events = decide(command, actor, invitation.state, surroundings)
    of_account = [event for event in events if not isinstance(event, InvitationAccepted)]
    append.write(invitation.stream, invitation.version, _of_invitation(events))
    _write_account(append, of_account, account)
    for event in events:
        match event:
            case InvitationAccepted():
                _let_go(append, event.invitation, event.plan)
            case UserRegistered():
                _open_account(append, event, surroundings.invited, situation)
            case MemberRemoved():
                leave_plan(append, event)
            case RoleAssigned():
                append.counted.append(
                    CountedClaim(event.plan, event.account, event.person, plan.state.seats)
                )
                take_role(append, event)
            case _:
                pass
    return append


def _accepting(
    invitation: Loaded[Invitation], surroundings: InvitationSurroundings, situation: Situation
) -> Invitee | None:
    """Who else holds what a new account would claim."""
    person, values = invitation.state.person, surroundings.invited
    if person is None or values is None:
        return None

    def holder(claimed: Claimed) -> Holder:
        held = situation.held(claimed)
        if held is None or held.holder == invitation.stream:
            return Holder.NOBODY
        return Holder.ACCOUNT if held.of_account else Holder.INVITATION

    return Invitee(person, holder(situation.email(values.email)), holder(situation.rut(values.rut)))


def _of_invitation(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, InvitationAccepted)]


def _write_account(append: Append, events: Sequence[Event], account: Loaded[Account]) -> None:
    """Behind the account's own, or as the first of a new one."""
    registered = next((event for event in events if isinstance(event, UserRegistered)), None)
    if registered is not None:
        append.write(registered.account, 0, events)
        append.reads[account.stream] = account.version
    else:
        append.write(account.stream, account.version, events)


def _open_account(
    append: Append, event: UserRegistered, invited: Invited | None, situation: Situation
) -> None:
    """A person has at most one account (A3)."""
    assert invited is not None  # noqa: S101  or there would be no such event
    append.opened.append(Opened(event.person, event.account))
    for kind, digest in situation.claimed_by(invited.email, invited.rut):
        append.claimed.append(Claim(kind, digest, event.account, event.person))
        append.found.append(Found(kind, digest, event.person))
    append.claimed.append(Claim("person", event.person.bytes, event.account, event.person))


def _invited_values(invitation: Loaded[Invitation], situation: Situation) -> Invited | None:
    """What the invitation says of the person; None once they have been erased."""
    sent = next((e for e in invitation.events if isinstance(e.event, InvitationSent)), None)
    email = _email(invitation, situation)
    if sent is None or email is None:
        return None
    names = ("given_name", "paternal_surname", "maternal_surname", "rut", "phone")
    values = {name: situation.open(sent, name) or "" for name in names}
    return Invited(**values, email=email)


# ---------------------------------------------------------------- erasing


def erase_invitee(command: ErasePerson, actor: Actor, situation: Situation) -> Append:
    """Whoever has no account and was invited can be erased (A11).

    Raises:
        Refused: a rule stands in the way, or nobody is known by that e-mail or id.
        Conflict: an account has been opened since there was none.
    """
    person = situation.directory.person(command.account, at=command.at)
    if person is None or not _was_only_invited(person, situation):
        if situation.directory.account(command.account, at=command.at) is not None:
            raise Conflict("the person has meanwhile opened an account")
        raise Refused(
            "A1", "there is no such account", remedy="Register first, or check the id or e-mail."
        )
    stream = erasure_of(person)
    version = situation.store.version(stream)
    situation.persons.add(person)
    append = Append()
    append.write(stream, version, decide_erasure(command, actor, person, erased=version > 0))
    revoke_open_invitation(append, person, situation)
    append.erased = Erased(person, None)
    # Fails when the person has meanwhile opened an account; goes with the rest.
    append.claimed.append(Claim("person", person.bytes, stream, person))
    return append


def _was_only_invited(person: UUID, situation: Situation) -> bool:
    known = situation.store.vault.knows(person) or situation.store.version(erasure_of(person)) > 0
    return known and not situation.store.accounts_of(person)


def revoke_open_invitation(append: Append, person: UUID, situation: Situation) -> None:
    """Nobody waits for the answer of somebody who is erased."""
    kind, digest = invited(person)
    # Fails when the person has meanwhile been invited; goes with all else that is theirs.
    append.claimed.append(Claim(kind, digest, erasure_of(person), person))
    held = situation.held((kind, digest))
    if held is None:
        return
    invitation = situation.load(held.holder, invitation_decider, InvitationFact)
    known = known_invitation(invitation.state)
    append.write(
        invitation.stream,
        invitation.version,
        revoked(known, situation.at, RevocationReason.ERASURE),
    )
    _let_go(append, known.id, known.plan)


def erasure_of(person: UUID) -> UUID:
    """The stream that tells of the erasure of somebody who has no account."""
    return uuid5(person, "erasure")
