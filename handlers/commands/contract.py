"""Commands about contracts: whom they name, and who speaks for the holder and the contractor."""

from uuid import UUID

from domain.account import Account
from domain.actor import Actor
from domain.contract import (
    ContactNamed,
    Contract,
    ContractDecision,
    ContractSurroundings,
    ExpireContract,
    FillRole,
    NameContact,
    NameValidator,
    OpenContract,
    RemindContract,
    ValidatorNamed,
    decide,
)
from domain.contract_link import ContractLink
from domain.personal import PersonalText
from handlers.commands.invitation import erasure_of
from handlers.commands.situation import Loaded, Situation, named_by
from handlers.store.append import Append, Claim, Found, Release

__all__ = ["draft"]

Naming = type[ContactNamed] | type[ValidatorNamed]


def draft(command: ContractDecision, actor: Actor, situation: Situation) -> Append:
    """What a command about a contract wants written.

    Raises:
        Refused: a rule stands in the way.
    """
    contract = situation.contract(command.contract)
    append = Append()
    surroundings = _surroundings(command, actor, contract, append, situation)
    events = decide(command, actor, contract.state, surroundings)
    append.write(contract.stream, contract.version, events)
    for event in events:
        match event:
            case ValidatorNamed():
                _let_be_found(append, event.validator, event.email, event.phone, situation)
            case ContactNamed():
                _let_be_found(append, event.contact, event.email, event.phone, situation)
            case _:
                pass
    return append


def _surroundings(
    command: ContractDecision,
    actor: Actor,
    contract: Loaded[Contract],
    append: Append,
    situation: Situation,
) -> ContractSurroundings:
    match command:
        case OpenContract():
            return ContractSurroundings(
                id_taken=contract.version > 0,
                validator=_named(
                    command.validator_email, command.validator_phone, append, situation
                ),
                contact=_named(command.contact_email, command.contact_phone, append, situation),
            )
        case NameValidator():
            says = {"name": command.name, "email": command.email, "phone": command.phone}
            validator = _named(command.email, command.phone, append, situation)
            named = (contract.state.validator, contract.state.validator_kind)
            return ContractSurroundings(
                asker=_asker(actor, append, situation).state,
                validator=validator,
                same_validator=(validator, command.kind) == named
                and _says(contract, ValidatorNamed, says, situation),
            )
        case NameContact():
            says = {"name": command.name, "email": command.email, "phone": command.phone}
            contact = _named(command.email, command.phone, append, situation)
            return ContractSurroundings(
                asker=_asker(actor, append, situation).state,
                contact=contact,
                same_contact=contact == contract.state.contact
                and _says(contract, ContactNamed, says, situation),
            )
        case RemindContract() | ExpireContract():
            # Its days pass whoever acts for the holder.
            return ContractSurroundings()
        case _:
            asker = _asker(actor, append, situation)
            link = _link(contract, actor.id, append, situation)
            return ContractSurroundings(
                asker=asker.state,
                linked=link.state.links(asker.state),
                filler=_linked(contract, command.account, append, situation)
                if isinstance(command, FillRole)
                else None,
            )


def _asker(actor: Actor, append: Append, situation: Situation) -> Loaded[Account]:
    asker = situation.asker(actor)
    append.reads[asker.stream] = asker.version
    return asker


def _link(
    contract: Loaded[Contract], person: UUID | None, append: Append, situation: Situation
) -> Loaded[ContractLink]:
    link = situation.contract_link(contract.stream, person)
    append.reads[link.stream] = link.version
    return link


def _linked(
    contract: Loaded[Contract], who: str, append: Append, situation: Situation
) -> UUID | None:
    """The person meant, where they are linked to the contract; the append rests on it."""
    account = situation.account(who)
    append.reads[account.stream] = account.version
    link = _link(contract, account.state.person, append, situation).state
    return account.state.person if link.links(account.state) else None


# ---------------------------------------------------------------- whom a contract names


def _named(email: str | None, phone: str | None, append: Append, situation: Situation) -> UUID:
    """Whom the contract names, known or new; an erasure in the meantime fails the append."""
    person = situation.named_person(email, phone)
    account = situation.present_account(person)
    if account.state.erased:
        return situation.new_person()
    append.reads[account.stream] = account.version
    if account.state.person is None:
        append.reads[erasure_of(person)] = 0
    return person


def _says(
    contract: Loaded[Contract],
    naming: Naming,
    values: dict[str, str | None],
    situation: Situation,
) -> bool:
    """Whether the contract names its validator or its contact in these very words."""
    for recorded in reversed(contract.events):
        if isinstance(recorded.event, naming):
            return all(situation.open(recorded, name) == value for name, value in values.items())
    return False


def _let_be_found(
    append: Append,
    person: UUID,
    email: PersonalText | None,
    phone: PersonalText | None,
    situation: Situation,
) -> None:
    """By what the contract names them: to act, to be named again, and to be erased."""
    by_email = [situation.email(email)] if isinstance(email, str) else []
    by_phone = [situation.phone(phone)] if isinstance(phone, str) else []
    append.found += [Found(*claimed, person) for claimed in (*by_email, *by_phone)]
    for kind, digest in map(named_by, by_email or by_phone):
        held = situation.claim((kind, digest))
        if held is not None and held.holder != person:
            # The address has passed on; whoever had it is known by it no longer.
            append.released.append(Release(held.holder, kind))
        append.claimed.append(Claim(kind, digest, person, person))
