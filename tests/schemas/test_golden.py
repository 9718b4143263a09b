"""What was once written is readable for good: each published version, from its golden file."""

from datetime import date, datetime
from enum import StrEnum
from io import BytesIO
from typing import Any
from uuid import UUID

import avro.io
import avro.schema
import pytest
from pydantic import BaseModel

from domain.event import Event, event_class
from domain.personal import Sealed, personal_fields
from handlers.store.mapper import to_event, to_payload
from handlers.store.sealing import AesGcmSiv, NotOpened, open_sealed, read_header
from schemas.avro import Contracted, from_avro, to_avro
from schemas.contracts import Contracts
from schemas.entries import Entry
from tests.schemas.golden import TEST_KEY, Golden
from tests.schemas.make_golden import golden, make

CONTRACTS = Contracts()
PUBLISHED = sorted(CONTRACTS.published())
SEALED = [
    topic
    for topic in PUBLISHED
    if topic in {cls.TOPIC for cls in CONTRACTS.classes if personal_fields(cls)}
]


def kept(topic: str) -> Golden:
    return Golden.read(CONTRACTS.golden(topic))


def reader(topic: str) -> Contracted:
    """The class that reads a version today."""
    return Entry if topic.startswith(f"{Entry.AGGREGATE}.") else event_class(topic)


def stored(topic: str) -> Event | Entry:
    """The event that the log would hold, as it reads today; an entry is in no log."""
    if reader(topic) is Entry:
        return Entry.model_validate_json(kept(topic).payload)
    return to_event(topic, kept(topic).payload)


def plain(value: Any) -> Any:
    """A value as JSON has it, without asking pydantic; what is null in a record is left out."""
    match value:
        case list() | tuple():
            return [plain(item) for item in value]
        case BaseModel():
            return plain(dict(value))
        case dict():
            return {name: plain(part) for name, part in value.items() if part is not None}
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case StrEnum():
            return value.value
        case _:
            return value


def test_every_published_version_has_a_golden_file() -> None:
    found = {path.stem for path in CONTRACTS.golden("any").parent.glob("*.json")}
    assert set(PUBLISHED) <= found


@pytest.mark.parametrize("topic", PUBLISHED)
def test_what_is_in_the_log_reads_as_it_was(topic: str) -> None:
    """Every value comes back, and what was added since is null."""
    event = stored(topic)
    if isinstance(event, Event):
        event = kept(topic).open(event)
    values = {name: plain(value) for name, value in event if value is not None}
    assert values == plain(kept(topic).opened)


@pytest.mark.parametrize("topic", PUBLISHED)
def test_what_is_in_a_topic_reads_as_it_was(topic: str) -> None:
    written = CONTRACTS.schema(topic)
    assert from_avro(kept(topic).avro, reader(topic), written) == stored(topic)


@pytest.mark.parametrize("topic", PUBLISHED)
def test_apaches_own_reader_reads_the_same(topic: str) -> None:
    """The published file alone is enough to read the bytes, sealed values still sealed."""
    schema = avro.schema.parse(CONTRACTS.file(topic).read_text(encoding="utf-8"))
    read = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(BytesIO(kept(topic).avro)))
    assert isinstance(read, dict)
    sealed = {name: Sealed(value) for name, value in read.items() if isinstance(value, bytes)}
    assert {name: plain(value) for name, value in (read | sealed).items()} == {
        name: plain(getattr(stored(topic), name)) for name in read
    }


@pytest.mark.parametrize("topic", PUBLISHED)
def test_the_same_event_is_written_the_same_today(topic: str) -> None:
    """Bytes for a topic, by the published schema; and for the log, while the version is current."""
    event = stored(topic)
    assert to_avro(event, CONTRACTS.schema(topic)) == kept(topic).avro
    if topic == event.TOPIC and isinstance(event, Event):
        assert to_payload(event) == kept(topic).payload


@pytest.mark.rule("A11")
@pytest.mark.parametrize("topic", SEALED)
def test_a_sealed_value_opens_with_its_key_and_in_its_place_alone(topic: str) -> None:
    event, file = stored(topic), kept(topic)
    for name in personal_fields(type(event)):
        sealed = getattr(event, name)
        assert read_header(sealed).key_id == file.key_id
        opened = open_sealed(sealed, file.key, AesGcmSiv(), event_id=file.event_id, field=name)
        assert opened == file.opened[name]
        assert opened.encode() not in file.payload
        assert opened.encode() not in file.avro
        with pytest.raises(NotOpened):
            open_sealed(sealed, bytes(32), AesGcmSiv(), event_id=file.event_id, field=name)


@pytest.mark.parametrize("topic", PUBLISHED)
def test_a_golden_file_holds_only_the_key_for_tests(topic: str) -> None:
    assert kept(topic).key == TEST_KEY


@pytest.mark.parametrize("cls", CONTRACTS.classes, ids=lambda cls: str(cls.TOPIC))
def test_a_golden_file_is_the_same_each_time(cls: Contracted) -> None:
    """Two people who make it get the same bytes."""
    assert golden(cls) == golden(cls)


def test_only_missing_golden_files_are_made(tmp_path: Any) -> None:
    """One that is there is kept for good, unless it is forced."""
    contracts = Contracts(tmp_path)
    first, *others = [cls.TOPIC for cls in contracts.classes]
    contracts.golden(first).parent.mkdir(parents=True)
    contracts.golden(first).write_text("kept", encoding="utf-8")
    assert [*make(contracts)] == others
    assert contracts.golden(first).read_text(encoding="utf-8") == "kept"
    assert [*make(contracts, force=True)] == [first, *others]
