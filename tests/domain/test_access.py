"""What stands in the way of content, and what to do about it (X1, X2)."""

from dataclasses import replace
from itertools import product

import pytest

from domain import access
from domain.access import ContentFacts, Obstacle, content_obstacles

PAID = ContentFacts(registered=True, paid=True, ever_paid=True)
RAN_OUT = ContentFacts(registered=True, ever_paid=True)
OBSTACLES = [value for value in vars(access).values() if isinstance(value, Obstacle)]


def rules(facts: ContentFacts) -> list[str]:
    """The ids of the rules in the way."""
    return [obstacle.rule for obstacle in content_obstacles(facts)]


@pytest.mark.rule("X1", "S3")
def test_whoever_paid_has_access() -> None:
    """A registered person whose payment pays for that instant has access to content."""
    assert content_obstacles(PAID) == ()


@pytest.mark.rule("X2", "A1")
def test_without_an_account_there_is_no_access() -> None:
    """The first thing that whoever has no account lacks is an account."""
    assert rules(ContentFacts()) == ["A1"]


@pytest.mark.rule("X2", "A10")
def test_a_closed_account_has_no_access() -> None:
    """A closed account has no access even when paid, and nothing else stands in the way of it."""
    assert rules(replace(PAID, closed=True)) == ["A10"]
    assert rules(replace(RAN_OUT, closed=True, suspended=True)) == ["A10"]


@pytest.mark.rule("X2", "A10")
def test_a_suspended_account_has_no_access() -> None:
    """A suspended account has no access even when paid."""
    assert rules(replace(PAID, suspended=True)) == ["A10"]


@pytest.mark.rule("X2", "S3")
def test_there_is_no_access_before_a_payment() -> None:
    """Whoever never paid has no access, ended or not."""
    assert rules(ContentFacts(registered=True)) == ["S3"]
    assert rules(ContentFacts(registered=True, ended=True)) == ["S3"]


@pytest.mark.rule("X2", "S4")
def test_there_is_no_access_after_the_last_day_of_an_ended_subscription() -> None:
    """Access outlasts an ending to the last day that is paid for, and no longer."""
    assert rules(replace(PAID, ended=True)) == []
    assert rules(replace(RAN_OUT, ended=True)) == ["S4"]


@pytest.mark.rule("X2", "S5")
def test_there_is_no_access_after_what_was_paid_ran_out() -> None:
    """A subscription that ran out unrenewed gives no access."""
    assert rules(RAN_OUT) == ["S5"]


@pytest.mark.rule("X2")
def test_a_no_lists_every_rule_in_the_way() -> None:
    """Whoever is suspended and has not paid is told both."""
    assert rules(ContentFacts(registered=True, suspended=True)) == ["A10", "S3"]


@pytest.mark.rule("X2")
@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.message)
def test_every_obstacle_says_what_to_do_and_whom_to_contact(obstacle: Obstacle) -> None:
    """A no is of use: it has a remedy and a contact."""
    assert obstacle.message
    assert obstacle.remedy.endswith(".")
    assert obstacle.contact


@pytest.mark.rule("S3")
def test_nothing_but_a_payment_opens_content() -> None:
    """Among all that can be the case, access never holds without a payment for that instant."""
    for registered, closed, suspended, ever_paid, ended in product([False, True], repeat=5):
        facts = ContentFacts(
            registered=registered,
            closed=closed,
            suspended=suspended,
            ever_paid=ever_paid,
            ended=ended,
        )
        assert content_obstacles(facts) != ()
