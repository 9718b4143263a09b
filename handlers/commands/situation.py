"""What a decision rests on: streams, claims and persons, each looked up once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid5

from domain.account import Account, RegisterUser, account_decider
from domain.actor import Actor
from domain.command import AccountCommand, Command
from domain.decider import Decider
from domain.event import Recorded
from domain.personal import Sealed
from domain.subscription import Subscription, subscription_decider
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore

__all__ = ["Loaded", "Situation", "study_history_of", "subscription_of"]

StateT = TypeVar("StateT")


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
    """

    def __init__(
        self,
        store: EventStore,
        *,
        at: datetime,
        new_id: Callable[[], UUID],
        tax_retention_years: int,
    ) -> None:
        self.store = store
        self.directory = Directory(store)
        self.at = at
        self.new_id = new_id
        self.tax_retention_years = tax_retention_years
        self.persons: set[UUID] = set()
        self._streams: dict[UUID, tuple[Recorded, ...]] = {}

    def load(self, stream: UUID | None, decider: Decider[StateT, Any]) -> Loaded[StateT]:
        """A stream's state; the initial one where there is no stream."""
        if stream is None:
            return Loaded(self.new_id(), 0, decider.initial, ())
        if stream not in self._streams:
            self._streams[stream] = tuple(self.store.streams([stream])[stream])
        recorded = self._streams[stream]
        state = decider.replay(entry.event for entry in recorded)
        return Loaded(stream, len(recorded), state, recorded)

    def account(self, who: str) -> Loaded[Account]:
        """The account that somebody means; its initial state where nobody is meant."""
        loaded = self.load(self.directory.account(who, at=self.at), account_decider)
        if loaded.state.person is not None:
            self.persons.add(loaded.state.person)
        return loaded

    def present_account(self, person: UUID) -> Loaded[Account]:
        """The latest account of a person; its initial state where there is none."""
        return self.account(f"person:{person}")

    def has_account(self, person: UUID) -> bool:
        """Whether a person has an account that is not closed."""
        return self.store.holder("person", person.bytes, at=self.at) is not None

    def subscription(self, account: UUID) -> Loaded[Subscription]:
        """The subscription of an account."""
        stream = subscription_of(account)
        return self.load(stream, subscription_decider)

    def holder_of_email(self, email: str) -> UUID | None:
        """The account that holds an e-mail now."""
        return self.directory.holder_of_email(email, at=self.at)

    def holder_of_rut(self, rut: str) -> UUID | None:
        """The account that holds a RUT now."""
        return self.directory.holder_of_rut(rut, at=self.at)

    def person_for(self, email: str, rut: str | None) -> UUID:
        """The person with this RUT or e-mail, or a new id (decision 7).

        A RUT says more than an address: an address whose person has another RUT has passed on to
        somebody else.
        """
        vault = self.store.vault
        known_by_email = vault.person("email", self.directory.email_digest(email))
        if known_by_email is not None:
            self.persons.add(known_by_email)
        if rut is None:
            person = known_by_email
        else:
            digest = self.directory.rut_digest(rut)
            person = vault.person("rut", digest)
            if person is None and known_by_email is not None:
                others = vault.digests_of(known_by_email, "rut") - {digest}
                person = None if others else known_by_email
        person = person or self.new_id()
        self.persons.add(person)
        return person

    def notice(self, command: Command) -> None:
        """Remembers whom a command is about that was refused before anything was loaded.

        Its kept digest would otherwise outlive their erasure.
        """
        vault = self.store.vault
        if isinstance(command, AccountCommand):
            self.account(command.account)
        if isinstance(command, RegisterUser):
            known = {vault.person("email", self.directory.email_digest(command.email))}
            if command.rut is not None:
                known.add(vault.person("rut", self.directory.rut_digest(command.rut)))
            self.persons.update(person for person in known if person is not None)

    def resolve(self, actor: Actor) -> Actor:
        """The actor by id, where the door knows a person by e-mail or account."""
        if actor.who is None:
            return actor
        account = self.account(actor.who).state
        return Actor(kind=actor.kind, id=account.person)

    def open(self, recorded: Recorded, field: str) -> str | None:
        """A personal value of an event in clear; None where its person has been erased."""
        value = getattr(recorded.event, field)
        if not isinstance(value, Sealed):
            return None
        return self.store.vault.open(value, event_id=recorded.event_id, field=field)


def subscription_of(account: UUID) -> UUID:
    """The subscription of an individual account: it keeps one id through all lapses (A6)."""
    return uuid5(account, "subscription")


def study_history_of(account: UUID) -> UUID:
    """The study history of an account."""
    return uuid5(account, "study_history")
