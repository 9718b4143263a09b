"""Commands about accounts: the claims and digests that their decisions need."""

from datetime import date
from uuid import UUID

from domain import subscription as subscriptions
from domain.account import (
    Account,
    AccountClosed,
    AccountDecision,
    AccountSurroundings,
    ChangeUserCode,
    CloseAccount,
    ErasePerson,
    MemberRemoved,
    PersonErased,
    RegisterUser,
    UserCodeChanged,
    UserRegistered,
    decide,
)
from domain.actor import Actor
from domain.calendar import add_years
from domain.contract_link import LinkPerson
from domain.identity import email_key
from domain.subscription import About
from handlers.commands.invitation import (
    erase_invitee,
    erasure_of,
    expire_passed,
    revoke_open_invitation,
)
from handlers.commands.membership import is_needed_by_a_plan, leave_plan
from handlers.commands.situation import Loaded, Situation
from handlers.store.append import Append, Claim, Erased, Found, Opened, Release

__all__ = ["draft", "open_account"]


def draft(command: AccountDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about an account wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    if isinstance(command, RegisterUser):
        return _register(command, actor, situation)
    account = situation.account(command.account)
    if isinstance(command, ErasePerson):
        if account.state.person is None:
            return erase_invitee(command, actor, situation)
        # Whoever had another account before is erased whole, and the present one is closed.
        account = situation.present_account(account.state.person)
    append = Append()
    surroundings = _surroundings(command, account, append, situation)
    events = decide(command, actor, account.state, surroundings)
    if isinstance(command, ChangeUserCode) and events:
        expire_passed(append, situation.claimed_by(command.email), situation)
    append.write(account.stream, account.version, events)
    for event in events:
        match event:
            case UserCodeChanged() if isinstance(command, ChangeUserCode):
                _move_email(append, command, event, situation)
            case MemberRemoved():
                leave_plan(append, event)
            case AccountClosed():
                append.released.append(Release(holder=event.account))
                _end_subscription(append, event, situation)
            case PersonErased():
                revoke_open_invitation(append, event.person, situation)
                append.erased = Erased(event.person, event.tax_data_readable_until)
                # Fails when the person has meanwhile opened another account; goes with the rest.
                append.claimed.append(_person_claim(event.account, event.person))
            case _:
                pass
    return append


def _register(command: RegisterUser, actor: Actor, situation: Situation) -> Append:
    person = situation.person_for(command.email, command.rut)
    former = situation.present_account(person)
    if former.state.erased:
        person = situation.new_person()
    surroundings = AccountSurroundings(
        account=situation.new_id(),
        person=person,
        email_taken=_is_email_taken(command, person, situation),
        rut_taken=command.rut is not None and _is_rut_taken(command.rut, person, situation),
    )
    events = decide(command, actor, Account(), surroundings)
    # An erasure in the meantime moves the former account, and the person is decided on anew.
    append = Append(reads={former.stream: former.version})
    if former.state.person is None:
        # Or whoever was invited, and has never had an account, may be erased meanwhile.
        append.reads[erasure_of(person)] = 0
    expire_passed(append, situation.claimed_by(command.email, command.rut), situation)
    append.write(surroundings.account, 0, events)
    for event in events:
        if isinstance(event, UserRegistered):
            open_account(append, event, command, situation)
    return append


def open_account(
    append: Append,
    event: UserRegistered,
    command: RegisterUser | LinkPerson,
    situation: Situation,
) -> None:
    """Claims what a new account holds, and lets its person be found by it (A3)."""
    append.opened.append(Opened(event.person, event.account))
    append.no_longer_found.append((event.person, "email"))
    for kind, digest in situation.claimed_by(command.email, command.rut):
        _claim(append, kind, digest, event.account, event.person)
    append.found.append(Found(*situation.phone(command.phone), event.person))
    append.claimed.append(_person_claim(event.account, event.person))


def _is_email_taken(command: RegisterUser, person: UUID, situation: Situation) -> bool:
    """Also where its person, known by nothing else, has an account under another one (A3)."""
    known_elsewhere = command.rut is None and situation.has_account(person)
    return known_elsewhere or situation.held_email(command.email) is not None


def _is_rut_taken(rut: str, person: UUID, situation: Situation) -> bool:
    """Also by an account of its person that was opened without it (A3)."""
    return situation.held_rut(rut) is not None or situation.has_account(person)


def _surroundings(
    command: AccountDecision, account: Loaded[Account], append: Append, situation: Situation
) -> AccountSurroundings:
    person = account.state.person or situation.new_id()
    if isinstance(command, ChangeUserCode):
        held = situation.held_email(command.email)
        former = _email(account, situation)
        return AccountSurroundings(
            account=account.stream,
            person=person,
            email_taken=held is not None and held.holder != account.stream,
            same_email=former is not None and email_key(former) == email_key(command.email),
            former_email=former,
        )
    leaving = isinstance(command, CloseAccount | ErasePerson)
    return AccountSurroundings(
        account.stream,
        person,
        tax_data_readable_until=_tax_term(person, situation)
        if isinstance(command, ErasePerson)
        else None,
        needed_by_a_plan=leaving and is_needed_by_a_plan(account, append, situation),
    )


def _email(account: Loaded[Account], situation: Situation) -> str | None:
    """The account's e-mail in clear, from the last event that carries it."""
    for recorded in reversed(account.events):
        if isinstance(recorded.event, UserRegistered | UserCodeChanged):
            return situation.open(recorded, "email")
    return None


def _move_email(
    append: Append, command: ChangeUserCode, event: UserCodeChanged, situation: Situation
) -> None:
    """Frees the old address and claims the new one in one step (A5)."""
    append.released.append(Release(holder=event.account, kind="email"))
    append.no_longer_found.append((event.person, "email"))
    _claim(
        append,
        "email",
        situation.directory.email_digest(command.email),
        event.account,
        event.person,
    )


def _person_claim(account: UUID, person: UUID) -> Claim:
    """A person has at most one account (A3)."""
    return Claim("person", person.bytes, account, person)


def _claim(append: Append, kind: str, digest: bytes, account: UUID, person: UUID) -> None:
    append.claimed.append(Claim(kind, digest, holder=account, person=person))
    append.found.append(Found(kind, digest, person))


def _end_subscription(append: Append, event: AccountClosed, situation: Situation) -> None:
    """Nothing is charged for a closed account, so its subscription ends with it."""
    subscription = situation.subscription(event.account)
    if not subscription.state.goes_on(event.occurred_at):
        append.reads[subscription.stream] = subscription.version
        return
    about = About(subscription.stream, event.account, event.person, event.occurred_at)
    ended = subscriptions.end_with_account(subscription.state, about)
    append.write(subscription.stream, subscription.version, ended)


def _tax_term(person: UUID, situation: Situation) -> date | None:
    """Until when the law wants the buyer data of the person's last tax document (A11)."""
    days = [
        day
        for account in situation.store.accounts_of(person)
        if (day := situation.subscription(account).state.last_tax_day(situation.at)) is not None
    ]
    return add_years(max(days), situation.tax_retention_years) if days else None
