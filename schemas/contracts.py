"""The contracts as files: written from the classes, then published and frozen (decision 12).

A version is published once its topic stands in ``published.json`` with its id and the digest of its
file. Ids are numbers that go before the bytes of each record in Kafka and say what reads them; they
are given in ``ids.json``, one to each file, and never change.
"""

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, cast

import domain
from domain.event import Event, event_classes
from schemas.asyncapi import asyncapi
from schemas.avro import Contracted, Schema, avro_schema, avsc, records
from schemas.catalogue import catalogue
from schemas.compatibility import breaks
from schemas.entries import Entry
from schemas.golden import fault_in_golden

__all__ = ["PROJECT", "ContractBroken", "Contracts", "Frozen", "Problem", "known_events"]

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds schemas/, docs/ and tests/."""

LARGEST_ID = 2**31 - 1
"""What every registry and client can hold."""

WRITE = "run acta schemas write"
BRING_BACK = "bring it back from version control"
GOLDEN = "make the class read what was written; a golden file that was edited, bring back"
RAISE_VERSION = "take the change to the event class back, or raise its version= and write"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, and what mends it."""

    file: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}; {self.mend}"


class Frozen(NamedTuple):
    """What a published version was when it was published."""

    id: int
    sha256: str


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
        """Writes what is missing or changed: schemas, ids, documents; the files that were written.

        Raises:
            ContractBroken: a published version would change, or a class has no contract; nothing
                was written.
            OSError: a file cannot be written.
        """
        if broken := [*self._without_place()] or [*self._changed()]:
            raise ContractBroken(broken)
        ids = _as_json(self._ids_for_all())
        texts = {self.file(cls.TOPIC): avsc(cls) for cls in self.classes} | {self._ids_file: ids}
        written = [path for path, text in texts.items() if _write(path, text)]
        # The documents are made from the files, those of older versions among them.
        written += [path for path, text in self._documents() if _write(path, text())]
        return [*map(self._name, written)]

    def publish(self) -> list[str]:
        """Freezes every version that has a file; the topics that were not frozen before.

        Raises:
            ContractBroken: something is wrong with the files; nothing was published.
            OSError: a file cannot be written.
        """
        if problems := self._problems_of_files():
            raise ContractBroken(problems)
        before = self.published()
        present = {
            topic: Frozen(self.schema_id(topic), _digest(self.file(topic).read_bytes()))
            for topic in self.topics()
        }
        frozen = sorted((before | present).items())
        _write(self._published, _as_json({topic: each._asdict() for topic, each in frozen}))
        return sorted(present.keys() - before.keys())

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the contracts; empty if nothing is."""
        return [*dict.fromkeys([*self._problems_of_files(), *_found_by(self._goldens)])]

    # ------------------------------------------------------------ what there is

    @property
    def classes(self) -> tuple[Contracted, ...]:
        """Everything that has a contract: the event classes and the entry, by topic."""
        return tuple(sorted([*self.events, Entry], key=lambda cls: cls.TOPIC))

    def topics(self) -> list[str]:
        """The stored topics that have a contract file; of each fact the oldest version first."""
        return sorted(self._files(), key=_by_version)

    def published(self) -> dict[str, Frozen]:
        """What each published version was, by topic.

        Raises:
            ContractBroken: the list cannot be read.
        """
        if not self._published.exists():
            return {}
        listed = _json(self._published)
        try:
            return {topic: Frozen(**each) for topic, each in listed.items()}
        except (AttributeError, TypeError):  # it holds something else
            raise ContractBroken([self._unreadable(self._published)]) from None

    def ids(self) -> dict[str, int]:
        """The id of each contract, by topic.

        Raises:
            ContractBroken: the lock file cannot be read.
        """
        if not self._ids_file.exists():
            return {}
        listed = _json(self._ids_file)
        if not isinstance(listed, dict):
            raise ContractBroken([self._unreadable(self._ids_file)])
        ids = cast(dict[str, int], listed)
        if unfit := [topic for topic, number in ids.items() if not _is_id(number)]:
            raise ContractBroken(
                [
                    self._about_ids(f"the id of {topic} is no number that an id can be", BRING_BACK)
                    for topic in unfit
                ]
            )
        return ids

    def schema_id(self, topic: str) -> int:
        """The id of a contract.

        Raises:
            KeyError: there is no such contract, or it was given no id yet.
            ContractBroken: the lock file cannot be read.
        """
        return self.ids()[topic]

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
    def _ids_file(self) -> Path:
        return self._schemas / "ids.json"

    def _documents(self) -> list[tuple[Path, Callable[[], str]]]:
        """The documents that are generated, and how."""
        docs = self.project / "docs"
        return [
            (docs / "events.md", lambda: catalogue(self.classes)),
            (docs / "asyncapi.yaml", lambda: asyncapi(self._schemas_by_topic())),
        ]

    def _schemas_by_topic(self) -> dict[str, Schema]:
        return {topic: self.schema(topic) for topic in self.topics() if topic in self._readers()}

    def _files(self) -> dict[str, Path]:
        paths = sorted(self._schemas.glob("*/*.avsc"))
        return {f"{path.parent.name}.{path.stem}": path for path in paths}

    def _readers(self) -> dict[str, Contracted]:
        """The class that reads each version."""
        return {topic: cls for cls in self.classes for topic in _topics(cls)}

    def _ids_for_all(self) -> dict[str, int]:
        """The ids that were given, and the next numbers for what has none."""
        ids = self.ids() | {topic: frozen.id for topic, frozen in self.published().items()}
        for topic in sorted(self._readers().keys() - ids.keys()):
            ids[topic] = max(ids.values(), default=0) + 1
        return dict(sorted(ids.items(), key=lambda item: item[1]))

    # ------------------------------------------------------------ what can be wrong

    def _problems_of_files(self) -> list[Problem]:
        # The documents are made from the contracts: what is wrong there is told first, and once.
        found = dict.fromkeys([*self._without_place()] or self._problems_of_contracts())
        return [*found] or [*_found_by(self._outdated_documents)]

    def _problems_of_contracts(self) -> Iterator[Problem]:
        for search in (
            self._changed,
            self._unwritten,
            self._older,
            self._frozen,
            self._of_no_event,
            self._incompatible,
            self._undescribed,
            self._wrong_ids,
        ):
            yield from _found_by(search)

    def _without_place(self) -> Iterator[Problem]:
        """Without a schema of the class there is nothing to compare."""
        for cls in self.classes:
            try:
                avro_schema(cls)
            except TypeError as error:
                yield self._problem(cls.TOPIC, str(error), "see schemas/avro.py for what has one")

    def _changed(self) -> Iterator[Problem]:
        published = self.published()
        for cls in self.classes:
            if cls.TOPIC in published and published[cls.TOPIC].sha256 != _digest(
                avsc(cls).encode()
            ):
                told = "".join(f", {change}" for change in self._changes(cls))
                yield self._problem(
                    cls.TOPIC, f"it is published, and the event class differs{told}", RAISE_VERSION
                )

    def _changes(self, cls: Contracted) -> list[str]:
        """What readers of the published version would notice, where it can be told."""
        try:
            return breaks(self.schema(cls.TOPIC), avro_schema(cls))
        except ContractBroken:
            return []

    def _unwritten(self) -> Iterator[Problem]:
        published = self.published()
        for cls in self.classes:
            if cls.TOPIC in published:
                continue
            if not self.file(cls.TOPIC).exists():
                yield self._problem(cls.TOPIC, "the event has no file", WRITE)
            elif _text(self.file(cls.TOPIC)) != avsc(cls):
                yield self._problem(cls.TOPIC, "it differs from the event class", WRITE)

    def _older(self) -> Iterator[Problem]:
        published = self.published()
        for cls in self.classes:
            for topic in _topics(cls)[:-1]:
                if topic not in published:
                    yield self._problem(
                        topic,
                        "a newer version exists, and this one was never published",
                        f"lower version= of {cls.__name__}, or publish this one first",
                    )

    def _frozen(self) -> Iterator[Problem]:
        for topic, frozen in self.published().items():
            digest = _digest_of(self.file(topic))
            if digest is None:
                yield self._problem(topic, "it is published, and missing", BRING_BACK)
            elif digest != frozen.sha256:
                yield self._problem(topic, "it is published, and was edited", BRING_BACK)

    def _of_no_event(self) -> Iterator[Problem]:
        published = self.published()
        for topic in sorted({*self._files(), *published} - self._readers().keys()):
            mend = "bring the event class back" if topic in published else "remove it"
            yield self._problem(topic, "it belongs to no event", mend)

    def _incompatible(self) -> Iterator[Problem]:
        files = self._files()
        for cls in self.classes:
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

    def _undescribed(self) -> Iterator[Problem]:
        for cls in self.classes:
            schema = avro_schema(cls)
            for record in [schema, *records(schema)]:
                fields = [f"{record['name']}.{each['name']}" for each in _silent(record["fields"])]
                for what in [each["name"] for each in _silent([record])] + fields:
                    yield self._problem(
                        cls.TOPIC, f"{what} is not described", f"give it a docstring, and {WRITE}"
                    )

    def _wrong_ids(self) -> Iterator[Problem]:
        ids, published = self.ids(), self.published()
        wanted = self._readers().keys() | published.keys()
        owners: dict[int, str] = {}
        for topic, number in ids.items():
            if topic not in wanted:
                yield self._about_ids(f"{topic} is no contract", "take its line out")
            if number in owners:
                yield self._about_ids(
                    f"{owners[number]} and {topic} have the same id, {number}",
                    f"take the line of the newer one out, and {WRITE}",
                )
            owners.setdefault(number, topic)
        for topic in sorted(wanted - ids.keys()):
            yield self._about_ids(f"{topic} has no id", WRITE)
        for topic in sorted(published.keys() & ids.keys()):
            if ids[topic] != published[topic].id:
                yield self._about_ids(
                    f"{topic} was published with the id {published[topic].id},"
                    f" and has {ids[topic]}",
                    BRING_BACK,
                )

    def _outdated_documents(self) -> Iterator[Problem]:
        for path, text in self._documents():
            if _text(path) != text():
                yield Problem(self._name(path), "it differs from the event classes", WRITE)

    def _goldens(self) -> Iterator[Problem]:
        readers = self._readers()
        for topic, frozen in self.published().items():
            path = self.golden(topic)
            if not path.exists():
                yield Problem(
                    self._name(path),
                    "the version is published without a golden file",
                    "run python -m tests.schemas.make_golden",
                )
            elif (
                topic in readers
                and _digest_of(self.file(topic)) == frozen.sha256
                and (fault := fault_in_golden(_json(path), readers[topic], self.schema(topic)))
            ):
                yield Problem(self._name(path), fault, GOLDEN)

    def _problem(self, topic: str, message: str, mend: str) -> Problem:
        return Problem(self._name(self.file(topic)), message, mend)

    def _about_ids(self, message: str, mend: str) -> Problem:
        return Problem(self._name(self._ids_file), message, mend)

    def _unreadable(self, path: Path) -> Problem:
        return Problem(
            self._name(path), "it cannot be read as what it is", "bring it back, or write it anew"
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def _found_by(search: Callable[[], Iterator[Problem]]) -> Iterator[Problem]:
    """What a search finds, and what stands in its way."""
    try:
        yield from search()
    except ContractBroken as broken:
        yield from broken.problems


def _silent(described: list[Schema]) -> list[Schema]:
    return [each for each in described if not each.get("doc", "").strip()]


def _is_id(number: Any) -> bool:
    return type(number) is int and 0 < number <= LARGEST_ID


def _topics(cls: Contracted) -> list[str]:
    """Every version that the class reads, the current one last."""
    fact = f"{cls.AGGREGATE}.{cls.__name__}"
    return [f"{fact}.v{version}" for version in range(1, cls.VERSION + 1)]


def _by_version(topic: str) -> tuple[str, int, str]:
    fact, _, number = topic.rpartition(".v")
    return fact, len(number), number


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str | None:
    return _digest(path.read_bytes()) if path.exists() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_each_once)
    except (FileNotFoundError, ValueError):
        return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; a name that stands in it twice would hide one of its values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _write(path: Path, text: str) -> bool:
    """Writes a file unless it holds this text already; whether it did."""
    if _text(path) == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return True
