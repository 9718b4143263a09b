"""Account: a person's way in (rules A1 to A12).

An event is forever: think before adding one, and add to a published one only as
``domain.event.Event`` says. Values are checked in commands; events take what was once written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, assert_never
from uuid import UUID

from domain.actor import Actor
from domain.calendar import TimeZone
from domain.command import AccountCommand, Command
from domain.decider import Decider
from domain.event import EventOfAccount
from domain.identity import Email, Language, MobilePhone, PersonName, Rut
from domain.personal import Personal, PersonalText, Purpose
from domain.refusal import Refused

IDENTITY = Personal(of="person", purpose=Purpose.IDENTITY)


class AccountKind(StrEnum):
    """How the account came to be (A2)."""

    INDIVIDUAL = "individual"
    INSTITUTIONAL = "institutional"
    CONTRACT = "contract"


class Role(StrEnum):
    """What a member is within an institutional plan (I4)."""

    SUPER_ADMINISTRATOR = "super_administrator"
    ADMINISTRATOR = "administrator"
    USER = "user"

    @property
    def administers(self) -> bool:
        """Whether it may invite, change roles and remove members (I1, I8)."""
        return self is not Role.USER


class RemovalReason(StrEnum):
    """Why somebody is no longer a member, in clear (I8, A12)."""

    REMOVED = "removed"
    JOINED_ANOTHER_PLAN = "joined_another_plan"
    ACCOUNT_CLOSED = "account_closed"


class SuspensionReason(StrEnum):
    """Why an account is suspended or reinstated, in clear (A10)."""

    MISUSE = "misuse"
    SECURITY = "security"
    DISPUTE = "dispute"
    REQUEST = "request"
    RESOLVED = "resolved"
    OTHER = "other"


class ClosureReason(StrEnum):
    """Why an account is closed, in clear (A10)."""

    OWNER_REQUEST = "owner_request"
    MISUSE = "misuse"
    DUPLICATE = "duplicate"
    ERASURE = "erasure"
    OTHER = "other"


# ---------------------------------------------------------------- events


class AccountFact(EventOfAccount, aggregate="account"):
    """What all facts about an account carry."""


class UserRegistered(AccountFact):
    """A person has an account (A2, A3)."""

    kind: AccountKind
    """How the account came to be: individual, institutional or contract."""
    language: str
    """The language in which the person wants to be addressed."""
    time_zone: str
    """The time zone in which the person lives."""
    given_name: Annotated[PersonalText, IDENTITY]
    """Given name."""
    paternal_surname: Annotated[PersonalText, IDENTITY]
    """First surname."""
    maternal_surname: Annotated[PersonalText | None, IDENTITY] = None
    """Second surname, where known."""
    email: Annotated[PersonalText, IDENTITY]
    """The user code (A5)."""
    phone: Annotated[PersonalText, IDENTITY]
    """Mobile number in E.164 form."""
    rut: Annotated[PersonalText | None, IDENTITY] = None
    """RUT, where known."""


class PhoneConfirmed(AccountFact):
    """A one-time key sent to the phone came back, so the number is active (A4)."""


class PasswordSet(AccountFact):
    """The owner set a password; the fact alone, without any secret (A9)."""


class UserCodeChanged(AccountFact):
    """The account has another e-mail; both addresses are to be told (A5)."""

    email: Annotated[PersonalText, IDENTITY]
    """The new user code."""
    former_email: Annotated[PersonalText | None, IDENTITY] = None
    """The former user code."""


class AccountManagerAssigned(AccountFact):
    """A member of the operator's staff looks after this client (A5)."""

    account_manager: UUID
    """The account manager, by staff id."""
    former_account_manager: UUID | None = None
    """Who looked after the client before."""


class AccountSuspended(AccountFact):
    """The account gives no access until it is reinstated (A10)."""

    reason: SuspensionReason
    """Why, in clear."""
    note: Annotated[PersonalText | None, IDENTITY] = None
    """What else was said, for whoever may read it."""


class AccountReinstated(AccountFact):
    """The suspension is over (A10)."""

    reason: SuspensionReason
    """Why, in clear."""
    note: Annotated[PersonalText | None, IDENTITY] = None
    """What else was said, for whoever may read it."""


class RoleAssigned(AccountFact):
    """The account has a role in an institutional plan, which makes it a member (I4, I7, I8)."""

    plan: UUID
    """The institutional plan."""
    role: Role
    """What the member is from now on."""
    former_role: Role | None = None
    """What the member was before; none for a new member."""


class MemberRemoved(AccountFact):
    """The account is no longer a member of a plan; it keeps its id and its history (I8, A12)."""

    plan: UUID
    """The institutional plan."""
    former_role: Role
    """What the member was."""
    reason: RemovalReason
    """Why, in clear."""


class AccountBecameIndividual(AccountFact):
    """Whoever had left a plan pays for the account from now on (A12)."""

    former_kind: AccountKind
    """How the account was paid for before."""


class AccountClosed(AccountFact):
    """The account is closed for good; its e-mail and RUT are free again (A10)."""

    reason: ClosureReason
    """Why, in clear."""
    note: Annotated[PersonalText | None, IDENTITY] = None
    """What else was said, for whoever may read it."""


class PersonErased(AccountFact):
    """The person's data can no longer be read; the facts stay (A11)."""

    tax_data_readable_until: date | None = None
    """The last day on which buyer data of tax documents can be read; none where there is none."""


AccountEvent = (
    UserRegistered
    | PhoneConfirmed
    | PasswordSet
    | UserCodeChanged
    | AccountManagerAssigned
    | AccountSuspended
    | AccountReinstated
    | RoleAssigned
    | MemberRemoved
    | AccountBecameIndividual
    | AccountClosed
    | PersonErased
)

# ---------------------------------------------------------------- commands


class RegisterUser(Command):
    """Opens an individual account for a person."""

    language: Language = "es"
    """The language in which the person wants to be addressed."""
    time_zone: TimeZone = "America/Santiago"
    """The time zone in which the person lives."""
    given_name: PersonName
    """Given name."""
    paternal_surname: PersonName
    """First surname."""
    maternal_surname: PersonName | None = None
    """Second surname."""
    email: Email
    """The e-mail that becomes the user code."""
    phone: MobilePhone
    """Mobile number with its country code."""
    rut: Rut | None = None
    """RUT with its check digit."""


class ConfirmPhone(AccountCommand):
    """Says that the one-time key sent to the phone came back."""


class SetPassword(AccountCommand):
    """Says that the authenticated owner set a password; the secret itself never comes here."""


class ChangeUserCode(AccountCommand):
    """Gives the account another e-mail."""

    email: Email
    """The new e-mail."""


class AssignAccountManager(AccountCommand):
    """Puts a member of staff in charge of this client."""

    account_manager: UUID
    """Staff id of the account manager."""


class SuspendAccount(AccountCommand):
    """Takes access away until the account is reinstated."""

    reason: SuspensionReason
    """Why, in clear."""
    note: str | None = None
    """What else there is to say; sealed for the person."""


class ReinstateAccount(AccountCommand):
    """Ends a suspension."""

    reason: SuspensionReason
    """Why, in clear."""
    note: str | None = None
    """What else there is to say; sealed for the person."""


class CloseAccount(AccountCommand):
    """Closes the account for good."""

    reason: ClosureReason
    """Why, in clear."""
    note: str | None = None
    """What else there is to say; sealed for the person."""


class ErasePerson(AccountCommand):
    """Makes the person's data unreadable everywhere, and closes the account."""


AccountDecision = (
    RegisterUser
    | ConfirmPhone
    | SetPassword
    | ChangeUserCode
    | AssignAccountManager
    | SuspendAccount
    | ReinstateAccount
    | CloseAccount
    | ErasePerson
)

# ---------------------------------------------------------------- state


class Standing(StrEnum):
    """Whether the account lets anybody in."""

    NONE = "none"
    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Account:
    """What decisions about an account rest on.

    Attributes:
        roles: what it is in each institutional plan of which it is a member.
        was_member: it has been a member of some plan, and may be one no longer.
    """

    standing: Standing = Standing.NONE
    id: UUID | None = None
    person: UUID | None = None
    kind: AccountKind | None = None
    phone_confirmed: bool = False
    password_set: bool = False
    account_manager: UUID | None = None
    roles: Mapping[UUID, Role] = field(default_factory=dict[UUID, Role])
    was_member: bool = False
    erased: bool = False


def evolve(account: Account, event: AccountEvent) -> Account:
    """The account after one more event."""
    match event:
        case UserRegistered():
            return Account(
                standing=Standing.OPEN,
                id=event.account,
                person=event.person,
                kind=event.kind,
            )
        case PhoneConfirmed():
            return replace(account, phone_confirmed=True)
        case PasswordSet():
            return replace(account, password_set=True)
        case UserCodeChanged():
            return account
        case AccountManagerAssigned():
            return replace(account, account_manager=event.account_manager)
        case AccountSuspended():
            return replace(account, standing=Standing.SUSPENDED)
        case AccountReinstated():
            return replace(account, standing=Standing.OPEN)
        case RoleAssigned():
            return replace(
                account,
                kind=AccountKind.INSTITUTIONAL,
                roles={**account.roles, event.plan: event.role},
                was_member=True,
            )
        case MemberRemoved():
            kept = {plan: role for plan, role in account.roles.items() if plan != event.plan}
            return replace(account, roles=kept)
        case AccountBecameIndividual():
            return replace(account, kind=AccountKind.INDIVIDUAL)
        case AccountClosed():
            return replace(account, standing=Standing.CLOSED)
        case PersonErased():
            return replace(account, standing=Standing.CLOSED, erased=True)
        case _:
            assert_never(event)


account_decider: Decider[Account, AccountEvent] = Decider(initial=Account(), evolve=evolve)

# ---------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class AccountSurroundings:
    """What a decision about an account needs beyond its own stream.

    Attributes:
        account: the id for a new account.
        person: the id of the person it would belong to.
        email_taken: another account, or an open invitation, holds the e-mail asked for.
        rut_taken: another account holds the RUT asked for.
        same_email: the e-mail asked for is the account's own, however spelled.
        former_email: the account's e-mail, in clear.
        tax_data_readable_until: until when the law wants tax documents kept, if there are any.
        needed_by_a_plan: a plan in force has other members, and no other administrator.
    """

    account: UUID
    person: UUID
    email_taken: bool = False
    rut_taken: bool = False
    same_email: bool = False
    former_email: str | None = None
    tax_data_readable_until: date | None = None
    needed_by_a_plan: bool = False


def decide(
    command: AccountDecision, actor: Actor, account: Account, surroundings: AccountSurroundings
) -> Sequence[AccountEvent]:
    """The events that a command becomes.

    Raises:
        Refused: a rule stands in the way.
    """
    match command:
        case RegisterUser():
            return register_user(command, account, surroundings)
        case ConfirmPhone():
            return confirm_phone(command, account)
        case SetPassword():
            return set_password(command, actor, account)
        case ChangeUserCode():
            return change_user_code(command, actor, account, surroundings)
        case AssignAccountManager():
            return assign_account_manager(command, account)
        case SuspendAccount():
            return suspend_account(command, account)
        case ReinstateAccount():
            return reinstate_account(command, account)
        case CloseAccount():
            return close_account(command, actor, account, surroundings)
        case ErasePerson():
            return erase_person(command, actor, account, surroundings)
        case _:
            assert_never(command)


def register_user(
    command: RegisterUser, account: Account, surroundings: AccountSurroundings
) -> Sequence[AccountEvent]:
    """A person has at most one account, of whatever kind (A3)."""
    if surroundings.email_taken:
        raise Refused(
            "A3",
            "the e-mail has an account or an open invitation",
            remedy="Sign in with it, renew a forgotten password, or accept the invitation.",
        )
    if surroundings.rut_taken:
        raise Refused(
            "A3",
            "the RUT has an account",
            remedy="Sign in with that account; its account manager can change its e-mail.",
        )
    if account.standing is not Standing.NONE:
        raise Refused("A3", "the account exists", remedy="Go on with the account there is.")
    return [
        UserRegistered(
            account=surroundings.account,
            person=surroundings.person,
            occurred_at=command.at,
            kind=AccountKind.INDIVIDUAL,
            language=command.language,
            time_zone=command.time_zone,
            given_name=command.given_name,
            paternal_surname=command.paternal_surname,
            maternal_surname=command.maternal_surname,
            email=command.email,
            phone=command.phone,
            rut=command.rut,
        )
    ]


def confirm_phone(command: ConfirmPhone, account: Account) -> Sequence[AccountEvent]:
    """The number is active once the one-time key came back (A4)."""
    known = known_account(account)
    refuse_if_closed(account)
    if account.phone_confirmed:
        return []
    return [PhoneConfirmed(account=known.id, person=known.person, occurred_at=command.at)]


def set_password(command: SetPassword, actor: Actor, account: Account) -> Sequence[AccountEvent]:
    """Only its authenticated owner changes a password (A9)."""
    known = known_account(account)
    if actor.id != known.person:
        raise Refused(
            "A9",
            "a password is changed by the owner of the account alone",
            remedy="The owner signs in and changes it, or renews it through the registered e-mail.",
        )
    refuse_if_closed(account)
    return [PasswordSet(account=known.id, person=known.person, occurred_at=command.at)]


def change_user_code(
    command: ChangeUserCode, actor: Actor, account: Account, surroundings: AccountSurroundings
) -> Sequence[AccountEvent]:
    """Only the account manager assigned to the client changes its user code (A5)."""
    known = known_account(account)
    if actor.id is None or actor.id != account.account_manager:
        raise Refused(
            "A5",
            "only the account manager assigned to this client can change its user code",
            remedy="Ask the account manager of this account to change the e-mail.",
        )
    refuse_if_closed(account)
    if surroundings.same_email:
        return []
    if surroundings.email_taken:
        raise Refused(
            "A3",
            "the new e-mail has an account or an open invitation",
            remedy="Choose an address that no account uses.",
        )
    return [
        UserCodeChanged(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            email=command.email,
            former_email=surroundings.former_email,
        )
    ]


def assign_account_manager(
    command: AssignAccountManager, account: Account
) -> Sequence[AccountEvent]:
    """The assignment is an event, because A5 rests on it."""
    known = known_account(account)
    refuse_if_closed(account)
    if account.account_manager == command.account_manager:
        return []
    return [
        AccountManagerAssigned(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            account_manager=command.account_manager,
            former_account_manager=account.account_manager,
        )
    ]


def suspend_account(command: SuspendAccount, account: Account) -> Sequence[AccountEvent]:
    """Whoever is suspended has no access (A10)."""
    known = known_account(account)
    refuse_if_closed(account)
    if account.standing is Standing.SUSPENDED:
        raise Refused("A10", "the account is suspended", remedy="Reinstate it first.")
    return [
        AccountSuspended(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            reason=command.reason,
            note=command.note,
        )
    ]


def reinstate_account(command: ReinstateAccount, account: Account) -> Sequence[AccountEvent]:
    """A suspension is taken back by an account manager (A10)."""
    known = known_account(account)
    refuse_if_closed(account)
    if account.standing is not Standing.SUSPENDED:
        raise Refused("A10", "the account is not suspended", remedy="There is nothing to do.")
    return [
        AccountReinstated(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            reason=command.reason,
            note=command.note,
        )
    ]


def close_account(
    command: CloseAccount, actor: Actor, account: Account, surroundings: AccountSurroundings
) -> Sequence[AccountEvent]:
    """An account is closed by its owner or an account manager (A10)."""
    known = known_account(account)
    refuse_unless_owner(actor, account)
    refuse_if_closed(account)
    refuse_if_needed_by_a_plan(surroundings)
    return [
        *left_plans(account, command.at, RemovalReason.ACCOUNT_CLOSED),
        AccountClosed(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            reason=command.reason,
            note=command.note,
        ),
    ]


def erase_person(
    command: ErasePerson, actor: Actor, account: Account, surroundings: AccountSurroundings
) -> Sequence[AccountEvent]:
    """The facts stay, the person in them becomes unreadable, the account is closed (A11)."""
    known = known_account(account)
    refuse_unless_owner(actor, account)
    if account.erased:
        raise Refused("A11", "the person's data is erased", remedy="There is nothing left to do.")
    closing: list[AccountEvent] = []
    if account.standing is not Standing.CLOSED:
        refuse_if_needed_by_a_plan(surroundings)
        closing += left_plans(account, command.at, RemovalReason.ACCOUNT_CLOSED)
        closing.append(
            AccountClosed(
                account=known.id,
                person=known.person,
                occurred_at=command.at,
                reason=ClosureReason.ERASURE,
            )
        )
    return [
        *closing,
        PersonErased(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            tax_data_readable_until=surroundings.tax_data_readable_until,
        ),
    ]


# ---------------------------------------------------------------- what several rules ask


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """The ids of an account that exists."""

    id: UUID
    person: UUID


def known_account(account: Account) -> KnownAccount:
    """The ids of the account.

    Raises:
        Refused: there is no such account (A1).
    """
    if account.id is None or account.person is None:
        raise Refused(
            "A1", "there is no such account", remedy="Register first, or check the id or e-mail."
        )
    return KnownAccount(account.id, account.person)


def left_plans(account: Account, at: datetime, reason: RemovalReason) -> list[MemberRemoved]:
    """The account leaves every plan of which it is a member (A12)."""
    known = known_account(account)
    return [
        MemberRemoved(
            account=known.id,
            person=known.person,
            occurred_at=at,
            plan=plan,
            former_role=role,
            reason=reason,
        )
        for plan, role in sorted(account.roles.items())
    ]


def become_individual(account: Account, at: datetime) -> list[AccountBecameIndividual]:
    """Whoever left a plan and pays by the steps of S1 has an individual account again (A12)."""
    known = known_account(account)
    if account.kind is None or account.kind is AccountKind.INDIVIDUAL:
        return []
    return [
        AccountBecameIndividual(
            account=known.id, person=known.person, occurred_at=at, former_kind=account.kind
        )
    ]


def refuse_if_needed_by_a_plan(surroundings: AccountSurroundings) -> None:
    """A plan is never left without a super-administrator or administrator (I8)."""
    if surroundings.needed_by_a_plan:
        raise Refused(
            "I8",
            "the account is the only administrator of a plan that has other members",
            remedy="Give another member of the plan the role of administrator first.",
        )


def refuse_if_closed(account: Account) -> None:
    """Nothing more happens on a closed account (A10)."""
    if account.standing is Standing.CLOSED:
        raise Refused(
            "A10", "the account is closed", remedy="Register anew; the e-mail and the RUT are free."
        )


def refuse_if_suspended(account: Account) -> None:
    """A suspended account's owner can do nothing with it (A10)."""
    if account.standing is Standing.SUSPENDED:
        raise Refused(
            "A10", "the account is suspended", remedy="Ask the account manager to reinstate it."
        )


def refuse_unless_owner(
    actor: Actor,
    account: Account,
    *,
    remedy: str = "Let its owner do it, or ask an account manager.",
) -> None:
    """A person acts on their own account alone; staff are let through by the table of G1."""
    if actor.kind == "person" and actor.id != account.person:
        raise Refused(
            "G1",
            "a person can do this with their own account alone",
            remedy=remedy,
        )
