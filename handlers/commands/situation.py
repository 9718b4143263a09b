"""What a decision rests on: streams, claims and persons, each looked up once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid5

from psycopg import Connection

from domain.account import (
    Account,
    AccountFact,
    RegisterUser,
    Standing,
    UserRegistered,
    account_decider,
)
from domain.actor import Actor, ActorKind
from domain.command import AccountCommand, Command
from domain.contract import (
    Contract,
    ContractFact,
    NameContact,
    NameValidator,
    OpenContract,
    contract_decider,
)
from domain.contract_link import (
    ContractLink,
    ContractLinkCommand,
    ContractLinkFact,
    LinkPerson,
    contract_link_decider,
)
from domain.decider import Decider
from domain.event import Event, Recorded
from domain.identity import phone_key
from domain.invitation import (
    Invitation,
    InvitationCommand,
    InvitationFact,
    InviteMember,
    invitation_decider,
)
from domain.personal import Sealed
from domain.streams import contract_link_of, subscription_of
from domain.subscription import (
    ChargingTerms,
    Subscription,
    SubscriptionFact,
    subscription_decider,
)
from domain.support_ticket import (
    CopyPerson,
    OpenTicket,
    ReceiveMail,
    Ticket,
    TicketCommand,
    TicketFact,
    UncopyPerson,
    ticket_decider,
)
from handlers.store.append import Append, Claim, Found, Release
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore, HeldClaim
from handlers.store.numbering import Numbering
from projections.parked import hold_still

__all__ = [
    "Claimed",
    "Loaded",
    "Situation",
    "administrators_of",
    "contract_link_of",
    "invited",
    "named_by",
    "study_history_of",
    "subscription_of",
    "writes_from",
]

StateT = TypeVar("StateT")

TICKET_NUMBERS = "ticket"
"""The counter of ticket numbers (T1)."""

Claimed = tuple[str, bytes]
"""What can be held or found: its kind and its digest."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[StateT]):
    """A stream as it was when the decision was made."""

    stream: UUID
    version: int
    state: StateT
    events: tuple[Recorded, ...]


class Situation:
    """Loads what a decision needs, and remembers whom it turned out to be about.

    Args:
        store: the log.
        at: the command's business time, by which claims past their end are judged.
        new_id: gives random ids.
        tax_retention_years: how long buyer data of tax documents is kept.
        invitation_days: how long an invitation is open (I6).
        desk_emails: the addresses of the desks (T6).
        charging: what is set about charges (S5, S8).
        streams: those that have been loaded already, whole.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        at: datetime,
        new_id: Callable[[], UUID],
        tax_retention_years: int,
        invitation_days: int,
        charging: ChargingTerms,
        desk_emails: Sequence[str] = (),
        streams: Mapping[UUID, Sequence[Recorded]] | None = None,
    ) -> None:
        self.store = store
        self.directory = Directory(store)
        self.at = at
        self.new_id = new_id
        self.tax_retention_years = tax_retention_years
        self.invitation_expires_at = at + timedelta(days=invitation_days)
        self.desk_emails = desk_emails
        self.charging = charging
        self.persons: set[UUID] = set()
        self.within: Connection | None = None
        self._numbering: Numbering | None = None
        self._held = ExitStack()
        self._loaded = streams or {}
        self._streams: dict[UUID, tuple[Recorded, ...]] = {}
        self._digests: dict[tuple[str, str], bytes] = {}
        self._claims: dict[Claimed, HeldClaim | None] = {}
        self._people: dict[Claimed, UUID | None] = {}

    def load(
        self, stream: UUID | None, decider: Decider[StateT, Any], of: type[Event]
    ) -> Loaded[StateT]:
        """A stream's state; the initial one where there is no stream, or one of another kind."""
        if stream is None:
            return Loaded(self.new_id(), 0, decider.initial, ())
        if stream not in self._streams:
            loaded = self._loaded.get(stream)
            found = self.store.streams([stream])[stream] if loaded is None else loaded
            self._streams[stream] = tuple(found)
        recorded = self._streams[stream]
        events = [entry.event for entry in recorded if isinstance(entry.event, of)]
        return Loaded(stream, len(recorded), decider.replay(events), recorded)

    @property
    def versions(self) -> dict[UUID, int]:
        """The streams that have been loaded, with the version that was seen of each."""
        return {stream: len(recorded) for stream, recorded in self._streams.items()}

    def account(self, who: str) -> Loaded[Account]:
        """The account that somebody means; its initial state where nobody is meant."""
        stream = self._account_loaded(who) or self.directory.account(who, at=self.at)
        loaded = self.load(stream, account_decider, AccountFact)
        if loaded.state.person is not None:
            self.persons.add(loaded.state.person)
        return loaded

    def _account_loaded(self, who: str) -> UUID | None:
        """The account meant by its id, where its stream tells already that it is one."""
        kind, _, rest = who.partition(":")
        account = UUID(rest) if kind == "account" else None
        events = self._loaded.get(account, ()) if account else ()
        return account if events and isinstance(events[0].event, UserRegistered) else None

    def present_account(self, person: UUID) -> Loaded[Account]:
        """The latest account of a person; its initial state where there is none."""
        return self.account(f"person:{person}")

    def has_account(self, person: UUID) -> bool:
        """Whether a person has an account that is not closed."""
        return self.store.holder("person", person.bytes, at=self.at) is not None

    def account_by_id(self, account: UUID) -> Loaded[Account]:
        """An account of which the id is known."""
        return self.load(account, account_decider, AccountFact)

    def asker(self, actor: Actor) -> Loaded[Account]:
        """The account of whoever asks, from which roles are read; staff have none (G1)."""
        if actor.kind is ActorKind.PERSON and actor.id is not None:
            return self.present_account(actor.id)
        return self.load(None, account_decider, AccountFact)

    def subscription(self, account: UUID) -> Loaded[Subscription]:
        """The subscription of an account."""
        return self.load(subscription_of(account), subscription_decider, SubscriptionFact)

    def plan(self, plan: UUID) -> Loaded[Subscription]:
        """An institutional plan; its initial state where there is none."""
        return self.load(plan, subscription_decider, SubscriptionFact)

    def plans_of(self, account: Account, append: Append) -> dict[UUID, Subscription]:
        """The plans of which an account is a member; the append rests on them."""
        plans = {plan: self.plan(plan) for plan in account.roles}
        append.reads.update((plan, loaded.version) for plan, loaded in plans.items())
        return {plan: loaded.state for plan, loaded in plans.items()}

    def administrator(self, plan: UUID, *, beside: UUID | None = None) -> Loaded[Account] | None:
        """An administrator of a plan whose account is open, beside one account."""
        for account, _ in self.store.counted_holders(administrators_of(plan), self.at):
            if account != beside:
                loaded = self.account_by_id(account)
                role = loaded.state.roles.get(plan)
                if role and role.administers and loaded.state.standing is Standing.OPEN:
                    return loaded
        return None

    def invitation(self, which: str) -> Loaded[Invitation]:
        """The invitation that somebody means; its initial state where there is none."""
        kind, _, rest = which.partition(":")
        if kind == "invitation":
            stream: UUID | None = UUID(rest)
        else:
            # Past their end too, so that whoever comes late is told that it has expired.
            claimed = self.claim(self.email(which))
            opened = None if claimed is None else self.claim(invited(claimed.person))
            stream = None if opened is None else opened.holder
        loaded = self.load(stream, invitation_decider, InvitationFact)
        if loaded.state.person is not None:
            self.persons.add(loaded.state.person)
        return loaded

    def contract(self, contract: UUID) -> Loaded[Contract]:
        """A contract; its initial state where there is none."""
        return self.load(contract, contract_decider, ContractFact)

    def contract_link(self, contract: UUID, person: UUID | None) -> Loaded[ContractLink]:
        """A person under a contract; the initial state where nobody is meant, or was linked."""
        stream = None if person is None else contract_link_of(contract, person)
        return self.load(stream, contract_link_decider, ContractLinkFact)

    # ------------------------------------------------------------ claims

    def email(self, email: str) -> Claimed:
        """An e-mail as it is claimed and found."""
        if ("email", email) not in self._digests:
            self._digests["email", email] = self.directory.email_digest(email)
        return "email", self._digests["email", email]

    def rut(self, rut: str) -> Claimed:
        """A RUT as it is claimed and found."""
        if ("rut", rut) not in self._digests:
            self._digests["rut", rut] = self.directory.rut_digest(rut)
        return "rut", self._digests["rut", rut]

    def phone(self, phone: str) -> Claimed:
        """A mobile number as it is found."""
        return "phone", self.store.vault.digest("phone", phone_key(phone))

    def held(self, claimed: Claimed) -> HeldClaim | None:
        """Who holds something now: an account, or an open invitation."""
        claim = self.claim(claimed)
        return claim if claim is not None and claim.is_live(self.at) else None

    def held_email(self, email: str) -> HeldClaim | None:
        """Who holds an e-mail now: an account, or an open invitation."""
        return self.held(self.email(email))

    def held_rut(self, rut: str) -> HeldClaim | None:
        """Who holds a RUT now: an account, or an open invitation."""
        return self.held(self.rut(rut))

    def claimed_by(self, email: str, rut: str | None = None) -> list[Claimed]:
        """What somebody with this e-mail and RUT claims."""
        return [self.email(email)] if rut is None else [self.email(email), self.rut(rut)]

    def claim(self, claimed: Claimed) -> HeldClaim | None:
        """Who holds something, or held it until an end that has passed."""
        self.look_up([claimed])
        return self._claims[claimed]

    def look_up(self, claims: Iterable[Claimed]) -> None:
        """Looks up several claims at once, for those who will ask for them one by one."""
        missing = [claimed for claimed in claims if claimed not in self._claims]
        if missing:
            found = self.store.claims(missing)
            self._claims.update((claimed, found.get(claimed)) for claimed in missing)

    def new_person(self) -> UUID:
        """An id for somebody who is not known, and to whom no invitation is open."""
        person = self.new_id()
        self._claims[invited(person)] = None
        self.persons.add(person)
        return person

    def person_for(self, email: str, rut: str | None) -> UUID:
        """The person with this RUT or e-mail, or a new id (decision 7)."""
        return self.known_person(email, rut) or self.new_person()

    def known_person(self, email: str, rut: str | None) -> UUID | None:
        """The person with this RUT or e-mail, if there is one.

        A RUT says more than an address: an address whose person has another RUT has passed on to
        somebody else.
        """
        known_by_email = self.found(self.email(email))
        if known_by_email is not None:
            self.persons.add(known_by_email)
        if rut is None:
            person = known_by_email if self._is_theirs(email, known_by_email) else None
        else:
            claimed = self.rut(rut)
            person = self.found(claimed)
            if person is None and known_by_email is not None:
                others = self.store.vault.digests_of(known_by_email, "rut") - {claimed[1]}
                person = None if others else known_by_email
        if person is not None:
            self.persons.add(person)
        return person

    def _is_theirs(self, email: str, person: UUID | None) -> bool:
        """Whether an address alone tells who somebody is.

        It does for whoever has had an account, for whoever a contract names by it, for whoever
        has written from there, and for whoever was invited there; not once that invitation was
        revoked, for it may have gone to the wrong address.
        """
        if person is None:
            return False
        return (
            self.claim(self.email(email)) is not None
            or bool(self.store.accounts_of(person))
            or self._is_named_by(self.email(email), person)
        )

    def named_person(self, email: str | None, phone: str | None) -> UUID:
        """Whom a contract names by this e-mail, else by this phone; or a new id (C6)."""
        if email is not None:
            # Looked up before the person: who is named meanwhile holds it, and the append fails.
            self.claim(named_by(self.email(email)))
            return self.person_for(email, None)
        person = None if phone is None else self._named_by_phone(phone)
        if person is None:
            return self.new_person()
        self.persons.add(person)
        return person

    def _named_by_phone(self, phone: str) -> UUID | None:
        # Many may have one mobile number; whom contracts name by nothing else is one person.
        claim = self.claim(named_by(self.phone(phone)))
        return None if claim is None else claim.person

    def _is_named_by(self, claimed: Claimed, person: UUID) -> bool:
        held = (self.claim(named_by(claimed)), self.claim(writes_from(claimed)))
        return any(claim is not None and claim.person == person for claim in held)

    def found(self, claimed: Claimed) -> UUID | None:
        """The person who is found by an e-mail or a RUT."""
        self.find([claimed])
        return self._people[claimed]

    def find(self, claims: Iterable[Claimed]) -> None:
        """Finds several persons at once, for those who will ask for them one by one."""
        missing = [claimed for claimed in claims if claimed not in self._people]
        for kind in {kind for kind, _ in missing}:
            digests = [digest for of_kind, digest in missing if of_kind == kind]
            found = self.store.vault.persons(kind, digests)
            self._people.update(((kind, digest), found.get(digest)) for digest in digests)

    def say_who_was_found(self, append: Append) -> None:
        """Whoever becomes known by an e-mail or RUT meanwhile is not put out: the append fails."""
        single = [found for found in append.found if found.kind in ("email", "rut")]
        self.find((found.kind, found.digest) for found in single)
        append.found = [
            replace(found, instead_of=self._people.get((found.kind, found.digest)))
            for found in append.found
        ]

    def notice(self, command: Command) -> None:
        """Remembers whom a command is about that was refused before anything was loaded.

        Its kept digest would otherwise outlive their erasure.
        """
        known: set[UUID | None] = set()
        if isinstance(command, AccountCommand):
            known.add(self.directory.person(command.account, at=self.at))
        if isinstance(command, ContractLinkCommand):
            known.add(self.directory.person(command.account, at=self.at))
        if isinstance(command, RegisterUser | InviteMember | LinkPerson):
            known |= {self.found(each) for each in self.claimed_by(command.email, command.rut)}
        if isinstance(command, OpenContract):
            known.add(self._known_as(command.validator_email, command.validator_phone))
            known.add(self._known_as(command.contact_email, None))
        if isinstance(command, NameValidator | NameContact):
            known.add(self._known_as(command.email, command.phone))
        if isinstance(command, OpenTicket):
            known.add(self.found(self.email(command.requester)))
        if isinstance(command, ReceiveMail):
            known.add(self.found(self.email(command.sender)))
        if isinstance(command, CopyPerson | UncopyPerson):
            known.add(self.found(self.email(command.email)))
        if isinstance(command, TicketCommand):
            known.add(self.ticket(command.ticket).state.requester)
        if isinstance(command, InvitationCommand):
            self.invitation(command.invitation)
        self.persons.update(person for person in known if person is not None)

    def _known_as(self, email: str | None, phone: str | None) -> UUID | None:
        if email is not None:
            return self.found(self.email(email))
        return None if phone is None else self._named_by_phone(phone)

    def resolve(self, actor: Actor) -> Actor:
        """The actor by id, where the door knows a person by e-mail or account."""
        if actor.who is None:
            return actor
        person = self.account(actor.who).state.person
        if person is None and "@" in actor.who:
            # Whoever has no account yet acts as the person who was invited, or is a contact.
            claimed = self.claim(self.email(actor.who))
            person = self._named_at(actor.who) if claimed is None else claimed.person
        return Actor(kind=actor.kind, id=person)

    def _named_at(self, email: str) -> UUID | None:
        """Whom a contract names by an e-mail, or who has written from there."""
        person = self.found(self.email(email))
        if person is None or not self._is_named_by(self.email(email), person):
            return None
        self.persons.add(person)
        return person

    # ------------------------------------------------------------ numbers

    def number(self, counter: str) -> int:
        """The next number of a counter, which nobody else gets until this is closed.

        All is looked up anew afterwards: others may have written while this one waited.
        """
        if self._numbering is None:
            self._numbering = self._held.enter_context(self.store.numbering(counter))
            self.within = self._numbering.connection
            for looked_up in (self._streams, self._claims, self._people):
                looked_up.clear()
        return self._numbering.number

    # ------------------------------------------------------------ read models

    def hold_still(self, projection: str) -> Connection:
        """The transaction in which a read model stays as it is, until this is closed.

        What is decided is appended in it: the read model goes on once that is committed.
        """
        self.within = self._held.enter_context(self.store.transaction())
        hold_still(self.within, projection)
        return self.within

    def close(self) -> None:
        """Lets go of what is held, such as a number that was not taken."""
        self._held.close()
        self._numbering, self.within = None, None

    # ------------------------------------------------------------ tickets

    def ticket(self, number: int) -> Loaded[Ticket]:
        """The ticket with this number; its initial state where there is none."""
        found = self.store.numbered(TICKET_NUMBERS, [number])
        return self.ticket_by_id(found.get(number))

    def ticket_by_id(self, ticket: UUID | None) -> Loaded[Ticket]:
        """A ticket of which the id is known."""
        loaded = self.load(ticket, ticket_decider, TicketFact)
        if loaded.state.requester is not None:
            self.persons.add(loaded.state.requester)
        return loaded

    def look_up_streams(self, streams: Iterable[UUID]) -> None:
        """Looks up several streams at once, for those who will load them one by one."""
        missing = [stream for stream in streams if stream not in self._streams]
        if missing:
            found = self.store.streams(missing)
            self._streams.update((stream, tuple(found[stream])) for stream in missing)

    def correspondent(self, email: str) -> UUID:
        """The person who writes from an address, or a new id (decision 7)."""
        return self.known_correspondent(email) or self.new_person()

    def known_correspondent(self, email: str) -> UUID | None:
        """The person who writes from an address, if there is one."""
        # Looked up before the person: who writes meanwhile holds it, and the append fails.
        self.claim(writes_from(self.email(email)))
        return self.known_person(email, None)

    def keep_correspondent(self, append: Append, email: str, person: UUID) -> None:
        """Whoever writes from an address is found by it from now on."""
        kind, digest = writes_from(self.email(email))
        held = self.claim((kind, digest))
        if held is not None and held.holder != person:
            # The address has passed on; whoever had it is known by it no longer.
            append.released.append(Release(held.holder, kind))
        if held is None or held.holder != person:
            append.claimed.append(Claim(kind, digest, person, person))
            append.found.append(Found(*self.email(email), person))

    def open(self, recorded: Recorded, field: str) -> str | None:
        """A personal value of an event in clear; None where its person has been erased."""
        value = getattr(recorded.event, field)
        if not isinstance(value, Sealed):
            return None
        return self.store.vault.open(value, event_id=recorded.event_id, field=field)


def invited(person: UUID) -> Claimed:
    """What an open invitation claims: a person has at most one, from whatever plan (I3)."""
    return "invitation", person.bytes


def writes_from(claimed: Claimed) -> Claimed:
    """That somebody writes to the desks from this e-mail, so that it tells who they are."""
    return "mail", claimed[1]


def named_by(claimed: Claimed) -> Claimed:
    """What whoever a contract names by this e-mail or phone holds, so that it tells who it is."""
    return "contract", claimed[1]


def administrators_of(plan: UUID) -> UUID:
    """The counter of those who administer a plan, by which one of them is found."""
    return uuid5(plan, "administrators")


def study_history_of(account: UUID) -> UUID:
    """The study history of an account."""
    return uuid5(account, "study_history")
