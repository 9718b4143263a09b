"""The catalogue is whole, refusals name rules that are built, and mutants are what they say."""

import ast
from pathlib import Path

import pytest

from tests import rules
from tests.rules import CATALOGUE, Mutant, all_mutants, mutants_of, read_catalogue

CATALOGUED = {rule.id: rule for rule in read_catalogue(CATALOGUE.read_text("utf-8"))}
LAST_OF_SECTION = {"G": 1, "A": 12, "S": 13, "I": 9, "T": 8, "C": 6, "X": 6, "W": 1}
MUTANTS = all_mutants()


def mutated(source: str) -> list[Mutant]:
    """The mutants of a module with this source."""
    return list(mutants_of(Path("domain/module.py"), source))


def test_the_catalogue_holds_every_rule() -> None:
    """No rule is missing, none is there twice, and they stand in their order."""
    text = CATALOGUE.read_text("utf-8")
    ids = [f"{section}{n}" for section, last in LAST_OF_SECTION.items() for n in range(1, last + 1)]
    assert [rule.id for rule in read_catalogue(text)] == ids
    assert text.count("- **") == len(ids) + len(["the two items that explain [built]", "(s), (d)"])


@pytest.mark.parametrize("rule", CATALOGUED.values(), ids=lambda rule: rule.id)
def test_a_rule_says_where_it_comes_from(rule: rules.Rule) -> None:
    """Each rule begins with its source: the help pages, or our own decision."""
    assert rule.text.startswith(("(s) ", "(d) "))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.place} {mutant.rule}")
def test_a_refusal_names_a_rule_that_is_built(mutant: Mutant) -> None:
    """What the domain refuses by is in the catalogue, and said to be built."""
    assert CATALOGUED[mutant.rule].built


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.place} {mutant.rule}")
def test_a_mutant_is_the_module_with_one_refusal_less(mutant: Mutant) -> None:
    """A mutant can be read as Python, and its lines are where they were."""
    source = (CATALOGUE.parent.parent / mutant.path).read_text("utf-8")
    lines, mutated_lines = source.splitlines(), mutant.source.splitlines()
    ast.parse(mutant.source)
    assert mutated_lines != lines
    assert mutated_lines[: mutant.line - 1] == lines[: mutant.line - 1]
    assert len(mutated_lines) >= len(lines)


def test_a_refusal_becomes_acceptance() -> None:
    """A refusal of one line or of many becomes nothing, one at a time."""
    source = (
        "def decide(a):\n"
        "    if a == 1:\n"
        "        raise Refused('A1', 'no', remedy='none')\n"
        "    if a == 2:\n"
        "        raise Refused(\n"
        "            'A2', 'no', remedy='none'\n"
        "        )\n"
        "    raise ValueError\n"
    )
    first, second = mutated(source)
    assert (first.rule, first.line, second.rule, second.line) == ("A1", 3, "A2", 5)
    assert first.source.splitlines()[2] == "        pass"
    assert first.source.splitlines()[3:] == source.splitlines()[3:]
    assert second.source.splitlines()[4:] == ["        pass", "", "", "    raise ValueError"]


def test_a_refusal_by_whatever_is_in_the_way_is_taken_out_rule_by_rule() -> None:
    """Where an obstacle says which rule refuses, each of these rules is taken out in turn."""
    source = (
        "NEVER_PAID = Obstacle('S3', 'no payment', 'Pay.', 'the owner')\n"
        "NO_MEMBER = Obstacle('I1', 'no member', 'Ask.', 'the plan')\n"
        "def administration_obstacles(facts):\n"
        "    return [NO_MEMBER]\n"
        "def study(facts):\n"
        "    for obstacle in [NEVER_PAID]:\n"
        "        raise Refused(obstacle.rule, obstacle.message, remedy=obstacle.remedy)\n"
    )
    refusal, *obstacles = mutated(source)
    assert (refusal.rule, refusal.line) == ("S3", 7)
    assert "if obstacle.rule != 'S3': raise Refused(obstacle.rule, " in refusal.source
    assert [obstacle.rule for obstacle in obstacles] == ["S3", "I1"]


def test_a_refusal_by_a_rule_that_the_caller_gives_is_taken_out_for_each() -> None:
    """The same refusal is another's business under another rule."""
    source = (
        "def refuse(rule):\n"
        "    raise Refused(rule, 'no', remedy='none')\n"
        "def decide():\n"
        "    refuse(rule='I1')\n"
        "    refuse(rule='I8')\n"
    )
    assert [(mutant.rule, mutant.line) for mutant in mutated(source)] == [("I1", 2), ("I8", 2)]


def test_a_fault_among_others_is_taken_out_where_it_is_found_and_where_it_refuses() -> None:
    """What is refused together is mutated one by one, and so is each place that refuses by it."""
    source = (
        "def seat_faults(plan):\n"
        "    return [\n"
        "        Refused('S10', 'full', remedy='none')\n"
        "    ]\n"
        "def all_faults(plan):\n"
        "    return [*seat_faults(plan)]\n"
        "def invite(plan):\n"
        "    refuse_for(all_faults(plan))\n"
    )
    found, refused = sorted(mutated(source), key=lambda mutant: mutant.line)
    assert (found.rule, found.line, refused.rule, refused.line) == ("S10", 2, "S10", 8)
    assert found.source.splitlines()[1:4] == ["    return []", "", ""]
    assert "refuse_for([f for f in all_faults(plan) if f.rule != 'S10'])" in refused.source


def test_an_obstacle_to_access_is_taken_out() -> None:
    """An obstacle that is no obstacle stands in nobody's way."""
    source = "NEVER_PAID = Obstacle('S3', 'no payment', 'Pay.', 'the owner')\n"
    [mutant] = mutated(source)
    assert (mutant.rule, mutant.line) == ("S3", 1)
    assert "!= (NEVER_PAID.rule, NEVER_PAID.message)" in mutant.source


def test_what_is_wrong_is_named() -> None:
    """A built rule without a test, a test of no rule, and a mutant that nobody noticed."""
    known = [rules.Rule("A1", built=True, text=""), rules.Rule("A2", built=False, text="")]
    assert list(rules.faults_of_rules(known, {"Z9": ["tests/test_x.py::test_y"]})) == [
        "A1 is built and has no test",
        "tests/test_x.py::test_y names Z9, which is no rule",
    ]
    survivor = rules.Verdict("domain/a.py:1", "A1", None)
    killed = rules.Verdict("domain/a.py:2", "A1", "test_y")
    assert list(rules.faults_of_mutants([survivor, killed])) == ["domain/a.py:1: A1 SURVIVED"]
