"""A line for every study, while access holds (A1)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import ValidationError

from domain.access import ContentFacts, InvitationState, PaidFacts
from domain.account import AccountEvent
from domain.actor import Actor
from domain.decider import Decider
from domain.study_history import ContentStudied, StudyContent, study_content
from tests.domain.stories import (
    ACCOUNT,
    BEGINNING,
    PERSON,
    WHO,
    account_after,
    owner,
    registered,
    stranger,
)
from tests.specification import Outcome, given

studying = StudyContent(at=BEGINNING, account=WHO, content="algebra/unit-3")
studied = ContentStudied(
    account=ACCOUNT, person=PERSON, occurred_at=BEGINNING, content="algebra/unit-3"
)
PAID = PaidFacts(paid=True, ever_paid=True)
RAN_OUT = PaidFacts(ever_paid=True)
WITH_ACCESS = ContentFacts(registered=True, own=PAID)

# A study rests on the account and on access, and on no study before it.
study_decider: Decider[None, ContentStudied] = Decider(initial=None, evolve=lambda *_: None)


def study(
    actor: Actor = owner,
    access: ContentFacts = WITH_ACCESS,
    account: Sequence[AccountEvent] = (registered,),
) -> Outcome[None, ContentStudied]:
    """What comes of studying once more."""
    return given(study_decider, studied).when(
        lambda _: study_content(studying, actor, account_after(*account), access)
    )


@pytest.mark.rule("A1")
def test_every_study_leaves_a_line() -> None:
    """While access holds a person studies any number of times, and each leaves a line."""
    study().then(studied)


@pytest.mark.rule("A1")
def test_whoever_has_no_account_studies_nothing() -> None:
    """An account lets in its registered person, and without one nobody comes in."""
    study(account=()).then_refused("A1", remedy_contains="Register")


@pytest.mark.rule("G1")
def test_a_person_studies_in_no_other_name() -> None:
    """Nobody studies through another person's account."""
    study(actor=stranger).then_refused("G1", remedy_contains="owner")


@pytest.mark.rule("A1")
def test_nobody_studied_before_they_were_registered() -> None:
    """A study dated before the registration had no account to go through."""
    study(access=ContentFacts()).then_refused("A1")


@pytest.mark.rule("A10")
@pytest.mark.parametrize("lock", ["closed", "suspended"])
def test_a_closed_or_suspended_account_studies_nothing(lock: str) -> None:
    """Whoever is suspended or closed has no access, even if paid."""
    locked = replace(WITH_ACCESS, closed=lock == "closed", suspended=lock == "suspended")
    study(access=locked).then_refused("A10")


@pytest.mark.rule("S3")
def test_nobody_studies_before_a_payment_succeeded() -> None:
    """There is access once a payment has succeeded, and not before."""
    study(access=ContentFacts(registered=True)).then_refused("S3", remedy_contains="pay")


@pytest.mark.rule("S4")
def test_nobody_studies_after_an_ending() -> None:
    """An ended subscription gives access to the end of what is paid, and no longer."""
    access = ContentFacts(registered=True, own=PaidFacts(ever_paid=True, ended=True))
    study(access=access).then_refused("S4", remedy_contains="Reactivate")


@pytest.mark.rule("S5")
def test_nobody_studies_after_a_lapse() -> None:
    """What ran out unrenewed gives no access."""
    access = ContentFacts(registered=True, own=RAN_OUT)
    study(access=access).then_refused("S5", remedy_contains="Reactivate")


@pytest.mark.rule("S10", "A2")
def test_a_member_studies_while_the_plan_is_paid() -> None:
    """The institution pays, and its member studies; once it does not, the member does not."""
    study(access=ContentFacts(registered=True, plans=(PAID,))).then(studied)
    unpaid = study(access=ContentFacts(registered=True, plans=(RAN_OUT,)))
    unpaid.then_refused("S10", remedy_contains="institution")


@pytest.mark.rule("A12")
def test_whoever_was_removed_from_a_plan_studies_no_more() -> None:
    """The account and its history are kept, without access."""
    access = ContentFacts(registered=True, removed=True)
    study(access=access).then_refused("A12", remedy_contains="new invitation")


@pytest.mark.rule("I6", "I9")
def test_whoever_is_only_invited_studies_nothing() -> None:
    """Before the invitation is accepted there is nothing to study through."""
    invited = ContentFacts(invitation=InvitationState.OPEN)
    study(access=invited).then_refused("I9", remedy_contains="spam")
    revoked = ContentFacts(invitation=InvitationState.REVOKED)
    study(access=revoked).then_refused("I6", remedy_contains="new invitation")


@pytest.mark.parametrize("content", ["algebra", "algebra/unit-3", "3d.v2_b", "x" * 120])
def test_content_has_a_code(content: str) -> None:
    """A code is made of small letters, digits and a few signs."""
    assert StudyContent(at=BEGINNING, account=WHO, content=content).content == content


@pytest.mark.parametrize("content", ["", "Algebra", "/algebra", "a b", "álgebra", "x" * 121, "a\n"])
def test_what_is_no_code_is_turned_away(content: str) -> None:
    """What is not made like a code is no content."""
    with pytest.raises(ValidationError, match="content"):
        StudyContent(at=BEGINNING, account=WHO, content=content)
