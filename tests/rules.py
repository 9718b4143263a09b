"""Rule → tests, and whether the tests notice when a rule is gone.

    python -m tests.rules            every rule, whether it is built, and the tests that hold it
    python -m tests.rules --mutate   turns each refusal of the domain into acceptance, one at a
                                     time; each time a test that names its rule must fail

Exits with 1 where a built rule has no test, a test names a rule that there is not, or a refusal
can be taken out without any test noticing.
"""

import argparse
import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "domain" / "rules.md"
MUTANTS_AT_ONCE = 2
MUTANT_PATIENCE_S = 120

# ---------------------------------------------------------------- the catalogue and its tests


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the catalogue, and the tests that name it."""

    id: str
    built: bool
    text: str
    tests: tuple[str, ...] = ()


def read_catalogue(text: str) -> list[Rule]:
    """The rules of ``domain/rules.md``: ``- **A3** [built] what it says``."""
    item = re.compile(r"^- \*\*([A-Z]\d+)\*\* \[(built|unbuilt)\] (.*(?:\n  \S.*)*)", re.MULTILINE)
    return [
        Rule(rule, built == "built", " ".join(says.split()))
        for rule, built, says in item.findall(text)
    ]


@dataclass(eq=False)
class RuleCollector:
    """A pytest plugin that notes which tests name which rules, and runs none."""

    tests: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Notes the rules of a test; one with many cases counts once."""
        name = item.nodeid.partition("[")[0]
        for marker in item.iter_markers("rule"):
            for rule in marker.args:
                if name not in self.tests[rule]:
                    self.tests[rule].append(name)


def collect_tests() -> dict[str, list[str]]:
    """The tests that name each rule, by rule."""
    collector = RuleCollector()
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main(
            ["--collect-only", "-qq", "-p", "no:cacheprovider", str(ROOT / "tests")],
            plugins=[collector],
        )
    if status is not pytest.ExitCode.OK:
        sys.exit(f"the tests cannot be collected:\n{said.getvalue()}")
    return dict(collector.tests)


def show_rules(console: Console, rules: Iterable[Rule]) -> None:
    """Prints rule → built → tests."""
    table = Table("rule", "", "tests", Column("what holds it", overflow="fold"))
    for rule in rules:
        built = "built" if rule.built else "[dim]unbuilt[/dim]"
        names = [test.rpartition("::")[2] for test in rule.tests]
        count = str(len(names)) if names or not rule.built else "[red]0[/red]"
        table.add_row(rule.id, built, count, "\n".join(names), style=None if names else "dim")
    console.print(table)


# ---------------------------------------------------------------- mutants


@dataclass(frozen=True, slots=True)
class Mutant:
    """The domain with one refusal less."""

    path: Path
    line: int
    rule: str
    source: str = field(repr=False)

    @property
    def place(self) -> str:
        """Where the refusal stands."""
        return f"{self.path}:{self.line}"


def mutants_of(path: Path, source: str, said: "RulesInData | None" = None) -> Iterator[Mutant]:
    """Each refusal of a module, turned into acceptance.

    A refusal is raised, or returned in a list that ``refuse_for`` refuses by. Where the rule is
    only known when it is decided, there is one mutant for each of the rules that it can be.
    """
    tree = ast.parse(source)
    said = said or RulesInData.of([tree])
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    for statement in statements:
        for rule, instead in refusals_in(statement, said):
            yield Mutant(path, statement.lineno, rule, replaced(source, statement, instead))
    for name, rule, line in obstacles_of(tree):
        yield Mutant(path, line, rule, f"{source}{WITHOUT_OBSTACLE.format(name=name)}")


def refusals_in(statement: ast.stmt, said: "RulesInData") -> Iterator[tuple[str, str]]:
    """The rules by which a statement refuses, each with what stands there without it."""
    match statement:
        case ast.Raise(exc=ast.Call(func=ast.Name("Refused"), args=[ast.Constant(str(rule)), *_])):
            yield rule, "pass"
        case ast.Raise(exc=ast.Call(func=ast.Name("Refused"), args=[decided, *_])):
            for rule in said.by_name.get(root_of(decided), ()):
                kept = f"if {ast.unparse(decided)} != {rule!r}: {ast.unparse(statement)}"
                yield rule, kept
        case ast.Return(value=ast.List() as returned) if fault := rule_of_fault(returned):
            yield fault, "return []"
        case ast.Expr(value=ast.Call(func=ast.Name("refuse_for"), args=[faults])):
            for rule in said.of_faults(faults):
                yield rule, f"refuse_for([f for f in {ast.unparse(faults)} if f.rule != {rule!r}])"
        case _:
            pass


def rule_of_fault(returned: ast.List) -> str | None:
    """The rule of ``[Refused(...)]``."""
    match returned.elts:
        case [ast.Call(func=ast.Name("Refused"), args=[ast.Constant(str(rule)), *_])]:
            return rule
        case _:
            return None


def root_of(decided: ast.expr) -> str:
    """The name with which an expression begins, such as ``obstacle`` in ``obstacle.rule``."""
    return re.split(r"\W", ast.unparse(decided), maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class RulesInData:
    """Which rules can be meant where the source names none.

    Attributes:
        by_name: by the name of what tells the rule: an obstacle to content, the first of many
            faults, or what a caller gives as ``rule=``.
        by_function: the rules of the faults that each function returns, others' among them.
    """

    by_name: dict[str, list[str]]
    by_function: dict[str, list[str]]

    @classmethod
    def of(cls, trees: Sequence[ast.Module]) -> "RulesInData":
        """Reads it off the modules."""
        functions = {
            function.name: function
            for tree in trees
            for function in tree.body
            if isinstance(function, ast.FunctionDef)
        }
        by_function = {name: sorted(faults_within(name, functions)) for name in functions}
        by_name = {
            "obstacle": sorted({rule for tree in trees for rule in rules_of_content(tree)}),
            "first": sorted({rule for rules in by_function.values() for rule in rules}),
            "rule": sorted({rule for tree in trees for rule in rules_given(tree)}),
        }
        return cls(by_name, by_function)

    def of_faults(self, faults: ast.expr) -> Sequence[str]:
        """The rules of the faults that a call gives."""
        match faults:
            case ast.Call(func=ast.Name(function)):
                return self.by_function.get(function, ())
            case _:
                return ()


def faults_within(name: str, functions: dict[str, ast.FunctionDef]) -> set[str]:
    """The rules of the faults that a function returns, by itself or through those it calls."""
    rules: set[str] = set()
    for node in ast.walk(functions[name]):
        match node:
            case ast.Return(value=ast.List() as returned):
                rules |= {rule} if (rule := rule_of_fault(returned)) else set()
            case ast.Call(func=ast.Name(called)) if called in functions and "_faults" in called:
                rules |= faults_within(called, functions)
            case _:
                pass
    return rules


def rules_given(tree: ast.Module) -> Iterator[str]:
    """The rules that callers give as ``rule=``."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="rule", value=ast.Constant(str(rule))):
                yield rule
            case _:
                pass


OF_OTHER_THINGS = {
    "administration_obstacles", "module_obstacles", "contract_obstacles", "in_doubt",
}  # fmt: skip


def rules_of_content(tree: ast.Module) -> Iterator[str]:
    """The rules of the obstacles that a module knows, but for those of other things alone."""
    used = {
        node.id
        for statement in tree.body
        if getattr(statement, "name", None) not in OF_OTHER_THINGS
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    yield from (rule for name, rule, _ in obstacles_of(tree) if name in used)


def obstacles_of(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """The obstacles to access that a module knows: name, rule and line of each."""
    for statement in tree.body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(name)],
                value=ast.Call(func=ast.Name("Obstacle"), args=[ast.Constant(str(rule)), *_]),
            ):
                yield name, rule, statement.lineno
            case _:
                pass


WITHOUT_OBSTACLE = """

_with_all_obstacles = content_obstacles, administration_obstacles, module_obstacles, in_doubt


def _is_left(o):
    return (o.rule, o.message) != ({name}.rule, {name}.message)


def content_obstacles(facts):
    return tuple(filter(_is_left, _with_all_obstacles[0](facts)))


def administration_obstacles(facts):
    return tuple(filter(_is_left, _with_all_obstacles[1](facts)))


def module_obstacles(facts):
    return tuple(filter(_is_left, _with_all_obstacles[2](facts)))


def in_doubt(obstacles):
    return tuple(filter(_is_left, _with_all_obstacles[3](obstacles)))
"""


def replaced(source: str, statement: ast.stmt, by: str) -> str:
    """The source with this statement replaced; the lines after it keep their numbers."""
    assert statement.end_lineno
    lines = source.splitlines(keepends=True)
    first, end = statement.lineno - 1, statement.end_lineno
    indent = lines[first][: statement.col_offset]
    kept_lines = "\n" * (end - first - by.count("\n"))
    return "".join([*lines[:first], indent, by, kept_lines, *lines[end:]])


def all_mutants() -> list[Mutant]:
    """Every mutant of the domain, in the order of the files."""
    sources = {path: path.read_text("utf-8") for path in sorted((ROOT / "domain").rglob("*.py"))}
    said = RulesInData.of([ast.parse(source) for source in sources.values()])
    mutants = [
        mutant
        for path, source in sources.items()
        for mutant in mutants_of(path.relative_to(ROOT), source, said)
    ]
    return sorted(mutants, key=lambda mutant: (mutant.path, mutant.line))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a mutant was noticed, and by which test."""

    place: str
    rule: str
    killed_by: str | None
    said: str = ""

    def __str__(self) -> str:
        by = f"killed by {self.killed_by}" if self.killed_by else "SURVIVED"
        return f"{self.place}: {self.rule} {by}"


def judge(mutant: Mutant, tests: Sequence[str]) -> Verdict:
    """Runs the tests that name the rule on the mutant; one of them must fail."""
    if not tests:
        return Verdict(mutant.place, mutant.rule, None, "no test of the domain names this rule")
    with tempfile.TemporaryDirectory(prefix="acta-mutant-") as folder:
        copy_of_domain_and_tests(Path(folder))
        (Path(folder) / mutant.path).write_text(mutant.source, "utf-8")
        ran = run_tests(Path(folder), tests)
    failed = re.search(r"^FAILED .*?::(\w+)", ran.stdout, re.MULTILINE)
    if ran.returncode != pytest.ExitCode.TESTS_FAILED or not failed:
        said = "" if ran.returncode == pytest.ExitCode.OK else ran.stdout + ran.stderr
        return Verdict(mutant.place, mutant.rule, None, said)
    return Verdict(mutant.place, mutant.rule, failed[1])


def copy_of_domain_and_tests(folder: Path) -> None:
    """What the tests of the domain need, where a mutant can be put in."""
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "domain", folder / "domain", ignore=without_caches)
    shutil.copytree(ROOT / "tests" / "domain", folder / "tests" / "domain", ignore=without_caches)
    for name in ("__init__.py", "specification.py", "hypothesis_profiles.py", "rules.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests" / name)
    shutil.copy(ROOT / "pyproject.toml", folder)


def run_tests(folder: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs tests of the domain in a copy, without the services that other tests need."""
    options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "--noconftest"]
    profile = ["-p", "tests.hypothesis_profiles", "--hypothesis-profile=mutant"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *profile, *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=MUTANT_PATIENCE_S,
        check=False,
    )


def judge_all(console: Console, tests: dict[str, list[str]]) -> list[Verdict]:
    """Judges every mutant, some at once, and says how it goes."""
    of_domain = {
        # What tries anything in any order takes longest, so it comes last.
        rule: sorted(of_the_domain(names), key=lambda name: "_machine.py" in name)
        for rule, names in tests.items()
    }
    refuse_to_judge_by_failing_tests(
        sorted({name for names in of_domain.values() for name in names})
    )
    mutants = all_mutants()
    with ThreadPoolExecutor(MUTANTS_AT_ONCE) as pool:
        judged = pool.map(lambda mutant: judge(mutant, of_domain.get(mutant.rule, [])), mutants)
        verdicts = []
        for verdict in track(judged, "Mutants", len(mutants), console=Console(stderr=True)):
            style = None if verdict.killed_by else "red"
            console.print(str(verdict), highlight=False, soft_wrap=True, style=style)
            verdicts.append(verdict)
    return verdicts


def of_the_domain(tests: Iterable[str]) -> Iterator[str]:
    """The tests that decide by the domain alone."""
    return (name for name in tests if name.startswith("tests/domain/"))


def refuse_to_judge_by_failing_tests(tests: Sequence[str]) -> None:
    """Where tests fail without any mutant, their failing would say nothing."""
    with tempfile.TemporaryDirectory(prefix="acta-mutant-") as folder:
        copy_of_domain_and_tests(Path(folder))
        ran = run_tests(Path(folder), tests)
    if ran.returncode != pytest.ExitCode.OK:
        sys.exit(f"the tests fail as it is:\n{ran.stdout}{ran.stderr}")


# ---------------------------------------------------------------- the report


def main() -> int:
    """Prints the report, and says by its status whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.rules", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--mutate", action="store_true", help="take each refusal out in turn")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    wanted = parser.parse_args()
    console = Console(stderr=wanted.json)

    tests = collect_tests()
    rules = [
        Rule(rule.id, rule.built, rule.text, tuple(tests.get(rule.id, ())))
        for rule in read_catalogue(CATALOGUE.read_text("utf-8"))
    ]
    verdicts = judge_all(console, tests) if wanted.mutate else []
    if not wanted.mutate:
        show_rules(console, rules)
    faults = [*faults_of_rules(rules, tests), *faults_of_mutants(verdicts)]
    for fault in faults:
        console.print(fault, style="red", highlight=False, soft_wrap=True)
    console.print(summary(rules, verdicts), highlight=False, soft_wrap=True)
    if wanted.json:
        print(as_json(rules, verdicts, faults))
    return 1 if faults else 0


def faults_of_rules(rules: Sequence[Rule], tests: dict[str, list[str]]) -> Iterator[str]:
    """Built rules without a test, and tests of rules that there are not."""
    for rule in rules:
        if rule.built and not rule.tests:
            yield f"{rule.id} is built and has no test"
    for unknown in sorted(tests.keys() - {rule.id for rule in rules}):
        for test in tests[unknown]:
            yield f"{test} names {unknown}, which is no rule"


def faults_of_mutants(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Refusals that can be taken out without a test that names their rule failing."""
    for verdict in verdicts:
        if not verdict.killed_by:
            yield f"{verdict} {verdict.said}".rstrip()


def as_json(rules: Sequence[Rule], verdicts: Sequence[Verdict], faults: Sequence[str]) -> str:
    """The report for programs."""
    report = {
        "rules": [asdict(rule) for rule in rules],
        "mutants": [asdict(verdict) for verdict in verdicts],
        "faults": list(faults),
    }
    return json.dumps(report, ensure_ascii=False, indent=2)


def summary(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> str:
    """One line that says it all."""
    built = [rule for rule in rules if rule.built]
    tested = {test for rule in rules for test in rule.tests}
    line = f"{len(rules)} rules, {len(built)} of them built; {len(tested)} tests name them"
    if not verdicts:
        return line
    killed = sum(verdict.killed_by is not None for verdict in verdicts)
    return f"{line}; {killed} of {len(verdicts)} mutants killed"


if __name__ == "__main__":
    sys.exit(main())
