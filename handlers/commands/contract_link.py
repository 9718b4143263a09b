"""Commands about people under a contract: the account that linking makes, roles that it empties."""

from dataclasses import dataclass
from uuid import UUID

from domain.account import Account, Standing, UserRegistered
from domain.actor import Actor
from domain.contract import RoleVacated
from domain.contract_link import (
    ContractLinkCommand,
    ContractLinkDecision,
    ContractLinkEvent,
    ContractLinkSurroundings,
    LinkPerson,
    UnlinkPerson,
    decide,
)
from domain.invitation import Holder
from handlers.commands.account import open_account
from handlers.commands.invitation import erasure_of, expire_passed
from handlers.commands.situation import Loaded, Situation
from handlers.store.append import Append
from handlers.store.event_store import Conflict

__all__ = ["draft"]


def draft(command: ContractLinkDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about a person under a contract wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    if isinstance(command, LinkPerson):
        return _link(command, actor, situation)
    return _change(command, actor, situation)


# ---------------------------------------------------------------- linking


@dataclass(frozen=True, slots=True)
class Linked:
    """Whoever is to be linked.

    Attributes:
        account: the latest account of the person; its initial state where there was none.
        email: who stands in the way of the e-mail.
        rut: who stands in the way of the RUT.
    """

    person: UUID
    account: Loaded[Account]
    email: Holder
    rut: Holder


def _link(command: LinkPerson, actor: Actor, situation: Situation) -> Append:
    """All or nothing: the account is made and linked, or the one there is is linked (A3)."""
    contract, asker = situation.contract(command.contract), situation.asker(actor)
    somebody = _somebody(command, situation)
    account = somebody.account
    link = situation.contract_link(command.contract, somebody.person)
    surroundings = ContractLinkSurroundings(
        contract=contract.state,
        asker=asker.state,
        account=account.state,
        email=somebody.email,
        rut=somebody.rut,
        person=somebody.person,
        new_account=situation.new_id(),
    )
    events = decide(command, actor, link.state, surroundings)
    append = Append(
        reads={each.stream: each.version for each in (contract, asker, account)},
    )
    if account.state.person is None:
        # Whoever has never had an account may be erased meanwhile.
        append.reads[erasure_of(somebody.person)] = 0
    for event in events:
        if isinstance(event, UserRegistered):
            claimed = situation.claimed_by(command.email, command.rut)
            expire_passed(append, claimed, situation)
            append.write(event.account, 0, [event])
            open_account(append, event, command, situation)
    append.write(link.stream, link.version, [e for e in events if isinstance(e, ContractLinkEvent)])
    return append


def _somebody(command: LinkPerson, situation: Situation) -> Linked:
    """Whoever has an account by the e-mail; else whom RUT or e-mail tell, or somebody new.

    Raises:
        Conflict: that account has only just been opened.
    """
    held = situation.held_email(command.email)
    if held is not None and held.of_account:
        account = situation.present_account(held.person)
        rut = _holder_of_rut(command, held.person, situation)
        return Linked(held.person, account, Holder.NOBODY, rut)
    person = situation.person_for(command.email, command.rut)
    account = situation.present_account(person)
    if account.state.erased:
        person = situation.new_person()
        account = situation.present_account(person)
    if account.state.standing in (Standing.OPEN, Standing.SUSPENDED):
        if situation.store.holder(*situation.email(command.email), at=command.at) is not None:
            raise Conflict("the account has been opened since the look at its e-mail")
        # By another address: whoever is known is not linked by a new one (C2).
        return Linked(person, account, Holder.ACCOUNT, Holder.NOBODY)
    email = Holder.NOBODY if held is None else Holder.INVITATION
    return Linked(person, account, email, _holder_of_rut(command, person, situation))


def _holder_of_rut(command: LinkPerson, person: UUID, situation: Situation) -> Holder:
    """Who stands in the way of the RUT: anybody else, and whoever is known by another RUT."""
    if command.rut is None:
        return Holder.NOBODY
    held = situation.held_rut(command.rut)
    if held is not None and not held.of_account:
        return Holder.INVITATION
    theirs = situation.store.vault.digests_of(person, "rut")
    another = theirs and situation.rut(command.rut)[1] not in theirs
    foreign = held is not None and held.person != person
    return Holder.ACCOUNT if another or foreign else Holder.NOBODY


# ---------------------------------------------------------------- whoever is linked


def _change(command: ContractLinkDecision, actor: Actor, situation: Situation) -> Append:
    assert isinstance(command, ContractLinkCommand)  # noqa: S101  linking is drafted above
    contract, asker = situation.contract(command.contract), situation.asker(actor)
    account = situation.account(command.account)
    link = situation.contract_link(command.contract, account.state.person)
    surroundings = ContractLinkSurroundings(
        contract=contract.state, asker=asker.state, account=account.state
    )
    events = decide(command, actor, link.state, surroundings)
    vacated = [event for event in events if isinstance(event, RoleVacated)]
    append = Append(reads={asker.stream: asker.version, account.stream: account.version})
    # What was published stays published; who is the contact, or has a role, may change meanwhile.
    if isinstance(command, UnlinkPerson):
        append.reads[contract.stream] = contract.version
    append.write(link.stream, link.version, [e for e in events if isinstance(e, ContractLinkEvent)])
    append.write(contract.stream, contract.version, vacated)
    return append
