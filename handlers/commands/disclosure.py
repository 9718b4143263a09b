"""Opening a personal value: recorded first, in a stream for each person, and only then opened."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID, uuid5

from domain.account import Account, Standing
from domain.actor import Actor, ActorKind
from domain.authority import may_open
from domain.contract import ContractFact
from domain.contract_link import ContractLinkFact
from domain.disclosure import (
    OpeningSurroundings,
    OpenPersonalValue,
    PersonalValueOpened,
    open_personal_value,
    refuse_as_erased,
    refuse_unless_open,
)
from domain.event import Event, EventOfAccount, Recorded
from domain.invitation import InvitationFact
from domain.personal import Sealed, owner_of, personal_fields
from domain.support_ticket import TicketReplied
from handlers.commands.invitation import erasure_of
from handlers.commands.situation import Situation
from handlers.store.append import Append

__all__ = ["disclosures_of", "draft", "is_recorded", "reveal"]


class Wanted(NamedTuple):
    """The event that is asked for, and what else a decision needs to know.

    Attributes:
        reads: where an erasure of whoever has no account would be told; accounts are loaded.
    """

    recorded: Recorded | None
    surroundings: OpeningSurroundings
    reads: Mapping[UUID, int] = MappingProxyType({})

    @property
    def event(self) -> Event | None:
        """The event alone."""
        return None if self.recorded is None else self.recorded.event


def draft(command: OpenPersonalValue, actor: Actor, situation: Situation) -> Append:
    """What opening a value wants written; it rests on whatever an erasure would write to.

    Raises:
        Refused: a rule stands in the way.
    """
    wanted = _wanted(command, actor, situation)
    events = open_personal_value(command, actor, wanted.event, wanted.surroundings)
    append = Append(reads={**situation.versions, **wanted.reads})
    for event in events:
        stream = disclosures_of(event.person)
        # However long it has become: no opening rests on those before it.
        append.write(stream, situation.store.version(stream), [event])
    return append


def is_recorded(command: OpenPersonalValue, actor: Actor, record: Recorded | None) -> bool:
    """Whether a record tells of this very opening: an erasure leaves no digest to tell by."""
    return (
        record is not None
        and isinstance(opened := record.event, PersonalValueOpened)
        and (opened.opened_event, opened.field) == (command.event, command.field)
        and record.actor == actor
    )


def reveal(command: OpenPersonalValue, actor: Actor, situation: Situation) -> str:
    """The value in clear. Its opening has to be recorded; whether it still may be is judged anew.

    Raises:
        Refused: a rule has come to stand in the way since.
    """
    wanted = _wanted(command, actor, situation)
    refuse_unless_open(command, actor, wanted.event, wanted.surroundings)
    value = None if wanted.recorded is None else situation.open(wanted.recorded, command.field)
    if value is None:
        refuse_as_erased()
    return value


def disclosures_of(person: UUID) -> UUID:
    """The stream that tells which values of a person were opened."""
    return uuid5(person, "disclosures")


def _wanted(command: OpenPersonalValue, actor: Actor, situation: Situation) -> Wanted:
    recorded = situation.store.event(command.event)
    if recorded is None or command.field not in personal_fields(type(recorded.event)):
        return Wanted(recorded, OpeningSurroundings())
    event = recorded.event
    mark = personal_fields(type(event))[command.field]
    owner = owner_of(event, mark)
    situation.persons.add(owner)
    present = situation.present_account(owner)
    own = None if present.state.person is None else present.stream
    reads = {}
    if own is None:
        # Before the look at the key, so that whoever erases in between is noticed.
        reads[erasure_of(owner)] = situation.store.version(erasure_of(owner))
    asker = situation.asker(actor).state
    administers_owner = _administers(asker, event, situation) or _knows_by_contract(
        actor, asker, event, situation
    )
    value = getattr(event, command.field)
    surroundings = OpeningSurroundings(
        allowed=may_open(actor, mark.purpose, owner, administers_owner=administers_owner)
        and not _is_kept_from(actor, event),
        key_kept=isinstance(value, Sealed) and situation.store.vault.has_key(value),
        account=event.account if isinstance(event, EventOfAccount) else own,
    )
    return Wanted(recorded, surroundings, reads)


def _is_kept_from(actor: Actor, event: Event) -> bool:
    """A note for staff is sealed under the requester's key, and is not for the requester (T4)."""
    return actor.kind is ActorKind.PERSON and isinstance(event, TicketReplied) and event.internal


def _administers(asker: Account, event: Event, situation: Situation) -> bool:
    """Whether the asker administers a plan that the event, or its account now, belongs to (G1)."""
    if asker.standing is not Standing.OPEN:
        return False
    administered = {plan for plan, role in asker.roles.items() if role.administers}
    match event:
        case InvitationFact():
            return event.plan in administered
        case EventOfAccount() if administered:
            roles = situation.account_by_id(event.account).state.roles
            return not administered.isdisjoint(roles)
        case _:
            return False


def _knows_by_contract(actor: Actor, asker: Account, event: Event, situation: Situation) -> bool:
    """Whether the asker's part in the event's contract now lets them know of whom (G1, C6).

    Its contact knows who is linked to it; these know its contact and its validator.
    """
    if actor.kind is not ActorKind.PERSON or asker.standing is Standing.SUSPENDED:
        return False
    match event:
        case ContractFact():
            links = situation.contract_link(event.contract, actor.id).state.links(asker)
            return links or _looks_after(actor, event.contract, situation)
        case ContractLinkFact():
            linked = situation.contract_link(event.contract, event.person).state.linked
            return linked and _looks_after(actor, event.contract, situation)
        case _:
            return False


def _looks_after(actor: Actor, contract: UUID, situation: Situation) -> bool:
    return actor.id is not None and situation.contract(contract).state.contact == actor.id
