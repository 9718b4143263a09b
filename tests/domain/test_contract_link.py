"""People under a contract: given access, their documents, and when it is taken back (C1 to C4)."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from domain.account import Account, AccountKind, UserRegistered
from domain.actor import Actor
from domain.authority import MAY_GIVE
from domain.contract import Contract
from domain.contract_link import (
    ContractLink,
    ContractLinkDecision,
    ContractLinkEvent,
    ContractLinkOutcome,
    ContractLinkSurroundings,
    DownloadInformationDocument,
    LinkPerson,
    MarkInformationDocumentAsRead,
    UnlinkPerson,
    UnlinkReason,
    contract_link_decider,
    decide,
)
from domain.decider import Decider
from domain.invitation import Holder
from tests.domain.signed_contract import (
    AFTERWARDS,
    CONTRACT,
    DOCUMENT,
    IN_FORCE,
    MADRID,
    OTHER_DOCUMENT,
    SIGNED,
    contact,
    contract_after,
    contract_ended,
    downloaded,
    linked,
    marked_as_read,
    published,
    role_filled,
    role_vacated,
    signed,
    unlinked,
    withdrawn,
)
from tests.domain.stories import (
    ACCOUNT,
    ADMINISTRATORS_ACCOUNT,
    PERSON,
    STRANGER,
    WHO,
    account_after,
    closed,
    manager,
    owner,
    ready,
    registered,
    stranger,
    suspended,
    through_the_log,
)
from tests.specification import Given, given

CONTRACT_IN_FORCE = contract_after(*signed, published())
ANA = account_after(*ready)
NEW_ACCOUNT = ADMINISTRATORS_ACCOUNT

# What linking also makes belongs to other streams; of the link itself it changes nothing.
OutcomeDecider = Decider[ContractLink, ContractLinkOutcome]
link_decider: OutcomeDecider = Decider(
    initial=contract_link_decider.initial,
    evolve=lambda link, event: (
        contract_link_decider.evolve(link, event) if isinstance(event, ContractLinkEvent) else link
    ),
)


def a_link(*events: ContractLinkOutcome) -> Given[ContractLink, ContractLinkOutcome]:
    """What has happened to Ana under the contract."""
    return given(link_decider, *events)


def asks(
    command: ContractLinkDecision,
    actor: Actor,
    *,
    contract: Contract = CONTRACT_IN_FORCE,
    account: Account = ANA,
    **around: Any,
) -> Callable[[ContractLink], Sequence[ContractLinkOutcome]]:
    """Ana has an account, and the contract is in force; unless said otherwise."""
    surroundings = ContractLinkSurroundings(
        **{
            "contract": contract,
            "account": account,
            "person": PERSON,
            "new_account": NEW_ACCOUNT,
            **around,
        }
    )
    return lambda link: decide(command, actor, link, surroundings)


linking = LinkPerson(
    at=IN_FORCE,
    contract=CONTRACT,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    email="ana@example.com",
    phone="+56961234567",
    rut="12345678-5",
)
unlinking = UnlinkPerson(at=IN_FORCE, contract=CONTRACT, account=WHO, reason=UnlinkReason.LEFT)
downloading = DownloadInformationDocument(
    at=IN_FORCE, contract=CONTRACT, account=WHO, document=DOCUMENT, version=1
)
marking = MarkInformationDocumentAsRead(
    at=IN_FORCE, contract=CONTRACT, account=WHO, document=DOCUMENT, version=1
)
account_made = UserRegistered(
    account=NEW_ACCOUNT,
    person=PERSON,
    occurred_at=IN_FORCE,
    kind=AccountKind.CONTRACT,
    language="es",
    time_zone=MADRID,
    given_name="Ana",
    paternal_surname="Rojas",
    maternal_surname="Soto",
    email="ana@example.com",
    phone="+56961234567",
    rut="12345678-5",
)

HAD_READ: list[ContractLinkOutcome] = [linked(), downloaded(), marked_as_read()]

# ---------------------------------------------------------------- linking


@pytest.mark.rule("A2", "C1", "C2")
@pytest.mark.parametrize("former", [Account(), account_after(*ready, closed)], ids=["none", "old"])
def test_linking_makes_an_account_where_there_is_none(former: Account) -> None:
    """Of kind contract; the account that was closed stays closed."""
    a_link().when(asks(linking, contact, account=former)).then(account_made, linked(NEW_ACCOUNT))


@pytest.mark.rule("A2", "A3", "C2")
@pytest.mark.parametrize("past", [(), (suspended,)], ids=["open", "suspended"])
def test_linking_adds_to_the_account_that_there_is(past: tuple[Any, ...]) -> None:
    """Whoever has one gets no second, also while it is suspended."""
    account = account_after(*ready, *past)
    a_link().when(asks(linking, contact, account=account)).then(linked())


@pytest.mark.rule("C2")
def test_linking_once_more_is_no_change() -> None:
    """Also while the account is suspended."""
    a_link(linked()).when(asks(linking, contact)).then_nothing()
    account = account_after(*ready, suspended)
    a_link(linked()).when(asks(linking, contact, account=account)).then_nothing()


@pytest.mark.rule("C2")
def test_whoever_was_unlinked_can_be_linked_again() -> None:
    """By the same account, what they have read stays read."""
    a_link(linked(), unlinked()).when(asks(linking, contact)).then(linked())
    a_link(*HAD_READ, unlinked(), linked()).when(asks(marking, owner)).then_nothing()


@pytest.mark.rule("C2", "A10")
def test_a_new_account_is_linked_anew_and_has_read_nothing() -> None:
    """The link of a closed account gives nothing any more."""
    closed_account = account_after(*ready, closed)
    a_link(*HAD_READ).when(asks(linking, contact, account=closed_account)).then(
        account_made, linked(NEW_ACCOUNT)
    )
    new = account_after(registered.model_copy(update={"account": NEW_ACCOUNT}))
    a_link(*HAD_READ).when(asks(linking, contact, account=new)).then(linked(NEW_ACCOUNT))
    relinked = a_link(*HAD_READ, linked(NEW_ACCOUNT))
    relinked.when(asks(marking, owner, account=new)).then_refused("C4")


@pytest.mark.rule("C2")
def test_only_the_holder_gives_access() -> None:
    """Its contact, that is: neither staff nor the contractor's own people."""
    for actor in (stranger, owner):
        a_link().when(asks(linking, actor)).then_refused("C2", remedy_contains="contact")
    assert MAY_GIVE[LinkPerson] == {"person"}


@pytest.mark.rule("C2", "A10")
def test_a_suspended_contact_gives_and_takes_no_access() -> None:
    """Whoever has an account is bound by it."""
    asker = account_after(*ready, suspended)
    a_link().when(asks(linking, contact, asker=asker)).then_refused("A10")
    a_link(linked()).when(asks(unlinking, contact, asker=asker)).then_refused("A10")


@pytest.mark.rule("C3")
def test_people_are_linked_before_and_while_a_contract_is_in_force() -> None:
    """Not when it has run out or was ended."""
    early = linking.model_copy(update={"at": SIGNED})
    assert a_link().when(asks(early, contact)).events
    late = linking.model_copy(update={"at": AFTERWARDS})
    a_link().when(asks(late, contact)).then_refused("C3", remedy_contains="Reactivate")
    ended = contract_after(*signed, contract_ended())
    a_link().when(asks(linking, contact, contract=ended)).then_refused("C3")


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    ("email", "rut", "told"),
    [
        (Holder.INVITATION, Holder.NOBODY, "the e-mail has an open invitation"),
        (Holder.NOBODY, Holder.INVITATION, "the RUT has an open invitation"),
        (Holder.INVITATION, Holder.INVITATION, "A3: the RUT has an open invitation"),
        (Holder.ACCOUNT, Holder.NOBODY, "an account under another e-mail"),
        (Holder.NOBODY, Holder.ACCOUNT, "the RUT is not that of the person"),
    ],
)
def test_linking_makes_no_second_account(email: Holder, rut: Holder, told: str) -> None:
    """Whoever is invited, or has an account under another e-mail, comes by that way."""
    command = asks(linking, contact, account=Account(), email=email, rut=rut)
    a_link().when(command).then_refused("A3", message_contains=told)


@pytest.mark.rule("A3", "A5")
def test_whoever_is_known_by_another_address_has_it_changed() -> None:
    """By the account manager, at the holder's request (C2)."""
    command = asks(linking, contact, email=Holder.ACCOUNT)
    a_link().when(command).then_refused("A3", remedy_contains="account manager")


# ---------------------------------------------------------------- unlinking


@pytest.mark.rule("C2")
@pytest.mark.parametrize("actor", [contact, manager], ids=["contact", "manager"])
def test_the_holder_takes_access_back(actor: Actor) -> None:
    """By its contact, or the account manager; once more is no change."""
    a_link(linked()).when(asks(unlinking, actor)).then(unlinked())
    a_link(linked(), unlinked()).when(asks(unlinking, actor)).then_nothing()


@pytest.mark.rule("C2", "C4")
def test_whoever_is_unlinked_has_no_role_any_more() -> None:
    """All roles of that person are vacated with it, and nobody else's."""
    contract = contract_after(
        *signed,
        role_filled("supervisor"),
        role_filled("first_aid"),
        role_filled("pilot", filled_by=STRANGER),
    )
    assert contact.id is not None
    a_link(linked()).when(asks(unlinking, contact, contract=contract)).then(
        unlinked(),
        role_vacated("first_aid", vacated_by=contact.id),
        role_vacated("supervisor", vacated_by=contact.id),
    )


@pytest.mark.rule("C2")
def test_nobody_else_takes_access_back() -> None:
    """Not even the person."""
    for actor in (owner, stranger):
        a_link(linked()).when(asks(unlinking, actor)).then_refused("C2")


@pytest.mark.rule("C2")
def test_only_whoever_was_linked_is_unlinked() -> None:
    """Else it is somebody else who is meant."""
    a_link().when(asks(unlinking, contact)).then_refused("C2", message_contains="not linked")


# ---------------------------------------------------------------- documents


@pytest.mark.rule("C4")
def test_a_document_is_downloaded_and_then_marked_as_read() -> None:
    """Each once."""
    a_link(linked()).when(asks(downloading, owner)).then(downloaded())
    a_link(linked(), downloaded()).when(asks(downloading, owner)).then_nothing()
    a_link(linked(), downloaded()).when(asks(marking, owner)).then(marked_as_read())
    a_link(linked(), downloaded(), marked_as_read()).when(asks(marking, owner)).then_nothing()


@pytest.mark.rule("C4")
def test_nobody_has_read_what_they_did_not_download() -> None:
    """Nothing at all, another document, or another version of it."""
    contract = contract_after(*signed, published(), published(2))
    for past in [[], [downloaded(1, OTHER_DOCUMENT)], [downloaded(2)]]:
        outcome = a_link(linked(), *past).when(asks(marking, owner, contract=contract))
        outcome.then_refused("C4", message_contains="has not been downloaded")


@pytest.mark.rule("C4")
def test_a_new_version_is_downloaded_and_read_anew() -> None:
    """The version before can still be had, and a document that was withdrawn, too."""
    contract = contract_after(*signed, published(), published(2), withdrawn())
    newer = downloading.model_copy(update={"version": 2})
    a_link(*HAD_READ).when(asks(newer, owner, contract=contract)).then(downloaded(2))
    a_link(linked()).when(asks(downloading, owner, contract=contract)).then(downloaded())


@pytest.mark.rule("C4")
@pytest.mark.parametrize("command", [downloading, marking], ids=lambda each: each.NAME)
def test_only_what_was_published_is_downloaded_and_read(
    command: DownloadInformationDocument | MarkInformationDocumentAsRead,
) -> None:
    """A version that is yet to come is none, nor is another contract's document."""
    link = a_link(linked(), downloaded(2))
    to_come = command.model_copy(update={"version": 2})
    link.when(asks(to_come, owner)).then_refused("C4", message_contains="not been published")
    another = command.model_copy(update={"document": OTHER_DOCUMENT})
    link.when(asks(another, owner)).then_refused("C4", message_contains="no such information")


@pytest.mark.rule("G1", "A1", "A10", "C2")
@pytest.mark.parametrize("command", [downloading, marking], ids=lambda each: each.NAME)
def test_people_read_for_themselves_while_they_are_linked(command: ContractLinkDecision) -> None:
    """Nobody for anybody else, and nobody who is suspended, closed or unlinked."""
    link = a_link(linked(), downloaded())
    link.when(asks(command, stranger)).then_refused("G1", remedy_contains="its owner do it.")
    link.when(asks(command, owner, account=Account())).then_refused("A1")
    for fact in (suspended, closed):
        link.when(asks(command, owner, account=account_after(*ready, fact))).then_refused("A10")
    a_link().when(asks(command, owner)).then_refused("C2")
    a_link(linked(), downloaded(), unlinked()).when(asks(command, owner)).then_refused("C2")
    a_link(linked(NEW_ACCOUNT)).when(asks(command, owner)).then_refused("C2")


# ---------------------------------------------------------------- all of them


@pytest.mark.rule("C1")
@pytest.mark.parametrize(
    "command", [linking, unlinking, downloading, marking], ids=lambda each: each.NAME
)
def test_nobody_is_under_a_contract_that_there_is_not(command: ContractLinkDecision) -> None:
    """Whoever asks."""
    outcome = a_link(linked(), downloaded()).when(asks(command, contact, contract=Contract()))
    outcome.then_refused("C1", message_contains="no such contract")


@pytest.mark.parametrize(
    "event",
    [linked(), unlinked(), downloaded(), marked_as_read()],
    ids=lambda event: type(event).__name__,
)
def test_every_fact_is_read_as_it_was_written(event: ContractLinkEvent) -> None:
    """What is personal is sealed on the way."""
    assert through_the_log(event) == event


def test_a_link_is_that_of_its_account() -> None:
    """Until it is unlinked; a suspended account stays linked, a closed one does not."""
    link = contract_link_decider.replay([linked()])
    assert link.account == ACCOUNT
    assert link.links(ANA)
    assert link.links(account_after(*ready, suspended))
    assert not link.links(account_after(*ready, closed))
    assert not contract_link_decider.replay([linked(), unlinked()]).links(ANA)
