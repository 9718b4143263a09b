"""Compares two logs as decision 15 says: what differs between them that should not.

Two runs of the same commands give other random ids, other recorded times and, where several write
at once, another order between streams. None of that is a difference. What remains is compared
stream by stream, with sealed values opened, and with each id replaced by the place where it first
appears: two ids that stand in the same places are the same.

Command ids are given by whoever asks, and are the same in both runs: so an event is known by its
command and its number among that command's events, which is its place. Order between streams
counts where one command, or one cause, binds events together.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from domain.event import Recorded
from domain.personal import Sealed, personal_fields
from handlers.composition import Acta
from handlers.store.mapper import to_recorded
from handlers.store.sealing import read_header

__all__ = ["Entry", "compare_logs", "compare_receipts", "make_entries", "read_log", "recorded_log"]

Fields = dict[str, Any]
BATCH_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class Entry:
    """An event of a log, made ready to be compared.

    Attributes:
        place: its command, and its number among the events of that command.
        fields: what is compared: envelope and content, sealed values opened.
    """

    place: str
    stream: UUID
    causation_id: UUID | None
    fields: Fields

    @property
    def topic(self) -> str:
        """What happened."""
        return str(self.fields["topic"])


def read_log(acta: Acta) -> list[Entry]:
    """The whole log, in the order of its positions."""
    return make_entries(recorded_log(acta), acta)


def make_entries(log: Iterable[Recorded], acta: Acta) -> list[Entry]:
    """Entries of events in the order of the log; the ledger opens what is sealed."""
    events_of_command = Counter[UUID | None]()
    entries: list[Entry] = []
    for recorded in log:
        events_of_command[recorded.command_id] += 1
        place = f"{recorded.command_id} #{events_of_command[recorded.command_id]}"
        entries.append(
            Entry(place, recorded.stream, recorded.causation_id, _fields(recorded, acta))
        )
    return entries


def compare_logs(one: Sequence[Entry], other: Sequence[Entry]) -> list[str]:
    """What differs, a line each; nothing where the logs are equal."""
    names, other_names = _names(one, other)
    return [
        *_compare_streams(_by_stream(one, names), _by_stream(other, other_names)),
        *_compare_bound(_bound(one), _bound(other)),
    ]


def compare_receipts(one: Acta, other: Acta, command_ids: Sequence[UUID]) -> list[str]:
    """Which commands were answered differently; both logs have had one writer at a time.

    Positions have gaps where a writer was killed, so a position is the number of events up to it.
    """
    answers = [_answers(acta, command_ids) for acta in (one, other)]
    return [
        f"command {command_id}: {answers[0].get(command_id)} | {answers[1].get(command_id)}"
        for command_id in command_ids
        if answers[0].get(command_id) != answers[1].get(command_id)
    ]


# ---------------------------------------------------------------- reading


def recorded_log(acta: Acta) -> Iterator[Recorded]:
    """Every event of a log, in the order of the positions."""
    after = 0
    while rows := acta.store.batch(after=after, limit=BATCH_EVENTS):
        after = rows[-1].position
        yield from filter(None, map(to_recorded, rows))


def _fields(recorded: Recorded, acta: Acta) -> Fields:
    event = recorded.event
    content = {name: getattr(event, name) for name in type(event).model_fields}
    for name in personal_fields(type(event)):
        if isinstance(value := content[name], Sealed):
            header = read_header(value)
            clear = acta.vault.open(value, event_id=recorded.event_id, field=name)
            content[name] = {"key": header.key_id, "generation": header.generation, "clear": clear}
    content = {name: _opened_up(value) for name, value in content.items()}
    return {
        "topic": event.TOPIC,
        "stream": recorded.stream,
        "event": recorded.event_id,
        "actor": recorded.actor.kind.value,
        "actor_id": recorded.actor.id,
        "command": str(recorded.command_id),
        "correlation": recorded.correlation_id,
        "causation": recorded.causation_id,
        **content,
    }


def _opened_up(value: object) -> object:
    """Parts of an event as what they are made of, so that the ids within are found."""
    match value:
        case BaseModel():
            return {name: _opened_up(getattr(value, name)) for name in type(value).model_fields}
        case tuple():
            return {str(number): _opened_up(part) for number, part in enumerate(value, start=1)}
        case _:
            return value


def _answers(acta: Acta, command_ids: Sequence[UUID]) -> Mapping[UUID, tuple[object, ...]]:
    positions = [recorded.position for recorded in recorded_log(acta)]
    rank = {position: number for number, position in enumerate([0, *positions])}
    return {
        command_id: (
            "refused" if receipt.refusal else "accepted",
            receipt.refusal and (receipt.refusal.rule, receipt.refusal.message),
            [(rank[position], topic) for position, _, topic in receipt.events],
            rank[receipt.position],
            "with digest" if receipt.input_digest else "digest erased",
        )
        for command_id, receipt in acta.ledger.known(command_ids).items()
    }


# ---------------------------------------------------------------- comparing

Names = Mapping[UUID, str]
Streams = Mapping[str, list[tuple[Entry, str]]]
"""By name of the stream: its entries, each with the text that is compared."""


def _names(one: Sequence[Entry], other: Sequence[Entry]) -> tuple[Names, Names]:
    """For each id of both logs, where it appears first; the same name for what stands there."""
    names: tuple[dict[UUID, str], dict[UUID, str]] = ({}, {})
    others = {entry.place: entry for entry in other}
    for entry in one:
        if entry.place in others:
            other_ids = dict(_ids(others[entry.place].fields))
            for path, own_id in _ids(entry.fields):
                other_id = other_ids.get(path)
                if other_id and own_id not in names[0] and other_id not in names[1]:
                    names[0][own_id] = names[1][other_id] = f"{path} of {entry.place}"
    for log, named, which in ((one, names[0], "first"), (other, names[1], "second")):
        for entry in log:
            for path, unmatched in _ids(entry.fields):
                named.setdefault(unmatched, f"{path} of {entry.place} in the {which} log")
    return names


def _ids(fields: Fields, path: str = "") -> Iterator[tuple[str, UUID]]:
    for name, value in fields.items():
        if isinstance(value, UUID):
            yield f"{path}{name}", value
        elif isinstance(value, dict):
            yield from _ids(value, f"{path}{name}.")


def _text(fields: Fields, names: Names) -> str:
    def plain(value: object) -> str:
        return names[value] if isinstance(value, UUID) else str(value)

    return json.dumps(fields, default=plain, ensure_ascii=False)


def _by_stream(log: Sequence[Entry], names: Names) -> Streams:
    streams = defaultdict[str, list[tuple[Entry, str]]](list)
    for entry in log:
        aggregate = entry.topic.partition(".")[0]
        name = f"{aggregate}, {names[entry.stream]}"
        streams[name].append((entry, _text(entry.fields, names)))
    return streams


def _compare_streams(one: Streams, other: Streams) -> Iterator[str]:
    for name in dict.fromkeys([*one, *other]):
        if name not in other:
            yield f"stream {name}: only in the first log"
        elif name not in one:
            yield f"stream {name}: only in the second log"
        else:
            for difference in _compare_stream(one[name], other[name]):
                yield f"stream {name}: {difference}"


def _compare_stream(
    one: Sequence[tuple[Entry, str]], other: Sequence[tuple[Entry, str]]
) -> Iterator[str]:
    texts, other_texts = [text for _, text in one], [text for _, text in other]
    if texts == other_texts:
        return
    if sorted(texts) == sorted(other_texts):
        topics = [" ".join(entry.topic for entry, _ in side) for side in (one, other)]
        yield f"the same events in another order: {topics[0]} | {topics[1]}"
        return
    matched = SequenceMatcher(None, texts, other_texts, autojunk=False)
    for kind, start, end, other_start, other_end in matched.get_opcodes():
        if kind != "equal":
            yield from _compare_run(one[start:end], other[other_start:other_end])


def _compare_run(
    one: Sequence[tuple[Entry, str]], other: Sequence[tuple[Entry, str]]
) -> Iterator[str]:
    """Events between two that are equal in both logs."""
    by_place = {entry.place: text for entry, text in one}
    other_by_place = {entry.place: text for entry, text in other}
    for entry, text in one:
        if entry.place in other_by_place:
            changed = _changed(text, other_by_place[entry.place])
            what = f"has other fields: {changed}" if changed else "stands elsewhere in the stream"
            yield f"{entry.topic} of {entry.place} {what}"
        else:
            yield f"{entry.topic} of {entry.place} is only in the first log"
    for entry, _ in other:
        if entry.place not in by_place:
            yield f"{entry.topic} of {entry.place} is only in the second log"


def _changed(one: str, other: str) -> str:
    fields, other_fields = json.loads(one), json.loads(other)
    return "; ".join(
        f"{name}: {fields.get(name)!r} | {other_fields.get(name)!r}"
        for name in dict.fromkeys([*fields, *other_fields])
        if fields.get(name) != other_fields.get(name)
    )


def _bound(log: Sequence[Entry]) -> dict[str, list[str]]:
    """By what binds them: the events of one command or one cause, in order, across streams."""
    place_of = {entry.fields["event"]: entry.place for entry in log}
    bound = defaultdict[str, list[str]](list)
    for entry in log:
        told = f"{entry.topic} of {entry.place}"
        bound[f"command {entry.fields['command']}"].append(told)
        bound[f"cause {entry.place}"].append(told)
        if entry.causation_id is not None:
            cause = place_of.get(entry.causation_id, str(entry.causation_id))
            bound[f"cause {cause}"].append(told)
    return bound


def _compare_bound(one: Mapping[str, list[str]], other: Mapping[str, list[str]]) -> Iterator[str]:
    for name in dict.fromkeys([*one, *other]):
        told, other_told = one.get(name, []), other.get(name, [])
        # Missing and additional events are told by their streams.
        if told != other_told and sorted(told) == sorted(other_told):
            yield f"{name}: another order: {', '.join(told)} | {', '.join(other_told)}"
