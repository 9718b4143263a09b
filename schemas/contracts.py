"""The contracts as files: written from the event classes, then published and frozen (decision 12).

A version is published once its topic stands in ``published.json`` with the digest of its file.
"""

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import domain
from domain.event import Event, event_classes
from schemas.avro import Schema, avsc
from schemas.catalogue import catalogue
from schemas.compatibility import breaks

__all__ = ["PROJECT", "ContractBroken", "Contracts", "Problem", "known_events"]

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds schemas/, docs/ and tests/."""

WRITE = "run acta schemas write"
RAISE_VERSION = "take the change to the event class back, or raise its version= and write"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, and what mends it."""

    file: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}; {self.mend}"


class ContractBroken(Exception):  # noqa: N818  named for what happened
    """Doing it would break a contract, or build on a broken one; nothing was done."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def known_events() -> tuple[type[Event], ...]:
    """Every event class, by topic; every module of the domain is read, so none is overlooked."""
    for module in pkgutil.iter_modules(domain.__path__):
        importlib.import_module(f"{domain.__name__}.{module.name}")
    return event_classes()


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contract files of a project.

    Attributes:
        project: the folder that holds schemas/, docs/ and tests/.
        events: the event classes at their current versions, sorted by topic.
    """

    project: Path = PROJECT
    events: Sequence[type[Event]] = field(default_factory=known_events)

    # ------------------------------------------------------------ what is done

    def write(self) -> list[str]:
        """Writes what is missing or changed, and the catalogue; the files that were written.

        Raises:
            ContractBroken: a published version would change; nothing was written.
            OSError: a file cannot be written.
        """
        if changed := [*self._changed()]:
            raise ContractBroken(changed)
        wanted = {self.file(cls.TOPIC): avsc(cls) for cls in self.events}
        wanted[self._catalogue] = catalogue(self.events)
        return [self._name(path) for path, text in wanted.items() if _write(path, text)]

    def publish(self) -> list[str]:
        """Freezes every version that has a file; the topics that were not frozen before.

        Raises:
            ContractBroken: something is wrong with the files; nothing was published.
            OSError: a file cannot be written.
        """
        if problems := [*self._problems_of_files()]:
            raise ContractBroken(problems)
        published = self.published()
        present = {topic: _digest(path.read_bytes()) for topic, path in self._files().items()}
        _write(self._published, json.dumps(published | present, indent=2, sort_keys=True) + "\n")
        return sorted(present.keys() - published.keys())

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the contracts; empty if nothing is."""
        try:
            return [*self._problems_of_files(), *self._missing_goldens()]
        except ContractBroken as broken:
            return [*broken.problems]

    # ------------------------------------------------------------ where things are

    def published(self) -> dict[str, str]:
        """The digest of each published file, by topic.

        Raises:
            ContractBroken: the list cannot be read.
        """
        if not self._published.exists():
            return {}
        published = _json(self._published)
        if not isinstance(published, dict):
            raise ContractBroken([self._unreadable(self._published)])
        return cast(dict[str, str], published)

    def schema(self, topic: str) -> Schema:
        """The schema in the file of a version.

        Raises:
            ContractBroken: the file is missing, or holds no schema of a record.
        """
        match _json(self.file(topic)):
            case {"type": "record", "fields": [*_]} as schema:
                return cast(Schema, schema)
            case _:
                raise ContractBroken([self._unreadable(self.file(topic))])

    def file(self, topic: str) -> Path:
        """The schema file of a version, such as schemas/account/PasswordSet.v1.avsc."""
        aggregate, _, name = topic.partition(".")
        return self._schemas / aggregate / f"{name}.avsc"

    def golden(self, topic: str) -> Path:
        """The golden file of a version, which shows that what was written can be read."""
        return self.project / "tests" / "schemas" / "golden" / f"{topic}.json"

    @property
    def _schemas(self) -> Path:
        return self.project / "schemas"

    @property
    def _published(self) -> Path:
        return self._schemas / "published.json"

    @property
    def _catalogue(self) -> Path:
        return self.project / "docs" / "events.md"

    def _files(self) -> dict[str, Path]:
        paths = sorted(self._schemas.glob("*/*.avsc"))
        return {f"{path.parent.name}.{path.stem}": path for path in paths}

    # ------------------------------------------------------------ what can be wrong

    def _problems_of_files(self) -> Iterator[Problem]:
        yield from self._changed()
        yield from self._unwritten()
        yield from self._older()
        yield from self._frozen()
        yield from self._of_no_event()
        yield from self._incompatible()
        if _text(self._catalogue) != catalogue(self.events):
            yield Problem(
                self._name(self._catalogue),
                "the catalogue differs from the event classes",
                WRITE,
            )

    def _changed(self) -> Iterator[Problem]:
        published = self.published()
        for cls in self.events:
            if cls.TOPIC in published and published[cls.TOPIC] != _digest(avsc(cls).encode()):
                yield self._problem(
                    cls.TOPIC, "it is published, and the event class differs", RAISE_VERSION
                )

    def _unwritten(self) -> Iterator[Problem]:
        published = self.published()
        for cls in self.events:
            if cls.TOPIC in published:
                continue
            if not self.file(cls.TOPIC).exists():
                yield self._problem(cls.TOPIC, "the event has no file", WRITE)
            elif _text(self.file(cls.TOPIC)) != avsc(cls):
                yield self._problem(cls.TOPIC, "it differs from the event class", WRITE)

    def _older(self) -> Iterator[Problem]:
        published = self.published()
        for cls in self.events:
            for topic in _topics(cls)[:-1]:
                if topic not in published:
                    yield self._problem(
                        topic,
                        "a newer version exists, and this one was never published",
                        f"lower version= of {cls.__name__}, or publish this one first",
                    )

    def _frozen(self) -> Iterator[Problem]:
        for topic, digest in self.published().items():
            path = self.file(topic)
            if not path.exists():
                yield self._problem(
                    topic, "it is published, and missing", "bring it back from version control"
                )
            elif _digest(path.read_bytes()) != digest:
                yield self._problem(
                    topic, "it is published, and was edited", "bring it back from version control"
                )

    def _of_no_event(self) -> Iterator[Problem]:
        readable = {topic for cls in self.events for topic in _topics(cls)}
        published = self.published()
        for topic in sorted({*self._files(), *published} - readable):
            mend = "bring the event class back" if topic in published else "remove it"
            yield self._problem(topic, "it belongs to no event", mend)

    def _incompatible(self) -> Iterator[Problem]:
        files = self._files()
        for cls in self.events:
            schemas: dict[str, Schema] = {}
            for topic in filter(files.__contains__, _topics(cls)):
                try:
                    schemas[topic] = self.schema(topic)
                except ContractBroken as broken:
                    yield from broken.problems
            for older, newer in combinations(schemas, 2):
                for change in breaks(schemas[older], schemas[newer]):
                    yield self._problem(
                        newer, f"as against {older}, {change}", "make it a new event instead"
                    )

    def _missing_goldens(self) -> Iterator[Problem]:
        for topic in self.published():
            if not self.golden(topic).exists():
                yield Problem(
                    self._name(self.golden(topic)),
                    "the version is published without a golden file",
                    "run python -m tests.schemas.make_golden",
                )

    def _problem(self, topic: str, message: str, mend: str) -> Problem:
        return Problem(self._name(self.file(topic)), message, mend)

    def _unreadable(self, path: Path) -> Problem:
        return Problem(
            self._name(path), "it cannot be read as what it is", "bring it back, or write it anew"
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def _topics(event_class: type[Event]) -> list[str]:
    """Every version that the class reads, the current one last."""
    fact = f"{event_class.AGGREGATE}.{event_class.__name__}"
    return [f"{fact}.v{version}" for version in range(1, event_class.VERSION + 1)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _write(path: Path, text: str) -> bool:
    """Writes a file unless it holds this text already; whether it did."""
    if _text(path) == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return True
