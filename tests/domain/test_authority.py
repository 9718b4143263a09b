"""Who may do what: the tables of domain/rules.md, cell by cell (G1)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import domain
from domain.actor import Actor, ActorKind
from domain.authority import MAY_GIVE, MAY_OPEN, may_open, refuse_unless_may_give
from domain.command import Command, command_classes
from domain.personal import Purpose
from domain.refusal import Refused
from tests.domain.stories import PERSON, STRANGER

CATALOGUE = Path(domain.__path__[0]) / "rules.md"


def documented(first_heading: str) -> Iterator[tuple[str, ActorKind, bool]]:
    """The cells of the table of the catalogue whose first column has this heading."""
    text = CATALOGUE.read_text(encoding="utf-8")
    table = re.search(rf"^\| {first_heading} \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert table, f"the catalogue has a table of what is {first_heading}"
    headings, _, *rows = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table[0].splitlines()
    )
    for row in rows:
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            yield row[0], ActorKind(heading.replace(" ", "_")), cell == "yes"


GIVING = list(documented("command"))
OPENING = list(documented("sealed for"))


@pytest.mark.rule("G1")
@pytest.mark.parametrize(("command", "kind", "allowed"), GIVING)
def test_each_kind_of_actor_gives_the_commands_of_the_table(
    command: str, kind: ActorKind, allowed: bool
) -> None:
    """What the table allows is let through, and all else is refused with whom to ask."""
    actor = Actor(kind=kind, id=PERSON)
    if allowed:
        refuse_unless_may_give(actor, command_classes()[command])
        return
    with pytest.raises(Refused) as refusal:
        refuse_unless_may_give(actor, command_classes()[command])
    assert refusal.value.rule == "G1"
    assert kind.value in refusal.value.message
    assert command in refusal.value.message
    assert "given by: " in refusal.value.remedy


@pytest.mark.rule("G1")
def test_the_table_of_commands_is_whole() -> None:
    """Every command has its row, and every kind that a door vouches for its column."""
    assert {command for command, _, _ in GIVING} == set(command_classes())
    assert {cls.NAME for cls in MAY_GIVE} == set(command_classes())
    assert {kind for _, kind, _ in GIVING} == set(ActorKind) - {ActorKind.UNKNOWN}


@pytest.mark.rule("G1")
@pytest.mark.parametrize("command", command_classes().values(), ids=lambda cls: cls.NAME)
def test_an_actor_of_unknown_kind_gives_no_command(command: type[Command]) -> None:
    """Whoever no door vouches for may nothing."""
    with pytest.raises(Refused, match="G1"):
        refuse_unless_may_give(Actor(kind=ActorKind.UNKNOWN), command)


@pytest.mark.rule("G1")
def test_a_command_without_a_row_is_given_by_nobody() -> None:
    """What the table does not name is refused to everybody."""
    for kind in ActorKind:
        with pytest.raises(Refused) as refusal:
            refuse_unless_may_give(Actor(kind=kind, id=PERSON), Command)
        assert "nobody" in refusal.value.remedy


@pytest.mark.rule("G1")
@pytest.mark.parametrize(("purpose", "kind", "allowed"), OPENING)
def test_each_kind_of_actor_opens_the_values_of_the_table(
    purpose: str, kind: ActorKind, allowed: bool
) -> None:
    """What the table allows can be opened, and nothing else."""
    assert may_open(Actor(kind=kind, id=PERSON), Purpose(purpose), PERSON) is allowed


@pytest.mark.rule("G1")
def test_the_table_of_sealed_values_is_whole() -> None:
    """Every purpose has its row, and every kind that a door vouches for its column."""
    assert {purpose for purpose, _, _ in OPENING} == {*Purpose} == {*MAY_OPEN}
    assert {kind for _, kind, _ in OPENING} == set(ActorKind) - {ActorKind.UNKNOWN}


@pytest.mark.rule("G1")
@pytest.mark.parametrize("purpose", Purpose)
def test_a_person_opens_only_their_own(purpose: Purpose) -> None:
    """Nobody reads about another person, and whoever no door vouches for reads nothing."""
    assert not may_open(Actor(kind=ActorKind.PERSON, id=STRANGER), purpose, PERSON)
    assert not may_open(Actor(kind=ActorKind.PERSON), purpose, PERSON)
    assert not may_open(Actor(kind=ActorKind.UNKNOWN, id=PERSON), purpose, PERSON)


@pytest.mark.rule("G1", "I1")
@pytest.mark.parametrize("purpose", Purpose)
def test_an_administrator_opens_the_identity_of_members_and_invited(purpose: Purpose) -> None:
    """Who they are, and neither what they wrote nor what they paid; by what the ledger knows."""
    administrator = Actor(kind=ActorKind.PERSON, id=STRANGER)
    opened = may_open(administrator, purpose, PERSON, administers_owner=True)
    assert opened is (purpose is Purpose.IDENTITY)
    assert not may_open(Actor(kind=ActorKind.SYSTEM), purpose, PERSON, administers_owner=True)
