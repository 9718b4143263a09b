"""``acta subscribe`` prints what other services get, one JSON object a line."""

import base64
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schemas.contracts import Contracts
from tests.handlers.cli.conftest import Ended, Terminal
from tests.handlers.publishing import BEGINNING, CAPTURED, REGISTERED, Publisher
from tests.services.sources import AnyBroker, AnyRegistry
from tests.services.topics import read_all


@pytest.fixture
def publisher(
    broker: AnyBroker,
    registry: AnyRegistry,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Publisher:
    """Writes what the relay would, where the terminal reads."""
    environment = {
        "ACTA_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "ACTA_KAFKA_NAMESPACE": namespace,
        "ACTA_SCHEMA_REGISTRY_URL": registry.url,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Publisher(broker.bootstrap_servers, registry.url, namespace)


def lines(ended: Ended) -> list[dict[str, Any]]:
    """What was printed."""
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def look(publisher: Publisher, *more: object) -> list[object]:
    """The arguments of a look at what is there now."""
    group = f"{publisher.namespace}.look"
    return ["subscribe", "--topic", "subscription", "--group", group, "--once", *more]


def positions(ended: Ended) -> list[int]:
    """Of what was printed."""
    return sorted(line["position"] for line in lines(ended))


def test_an_event_is_a_line(publisher: Publisher, shared_terminal: Terminal) -> None:
    stream = uuid4()
    draft = publisher.event(stream)
    publisher.publish([draft])
    ended = shared_terminal(*look(publisher))
    (line,) = lines(ended)
    assert line.pop("partition") in {0, 1, 2}
    values = line.pop("values")
    assert line == {
        "topic": publisher.topic, "offset": 0, "stream": str(stream), "version": 1, "position": 1,
        "id": draft.headers["ce_id"], "type": "acta.subscription.PaymentCaptured",
        "occurred_at": "2025-01-31T12:30:15.123456+00:00",
        "recorded_at": "2026-03-01T12:00:01+00:00", "schema_id": publisher.schema_id(CAPTURED),
    }  # fmt: skip
    assert (values["amount_minor"], values["period_to"]) == (9990, "2025-02-28")
    assert ended.err == "1 events printed\n"


def test_sealed_values_stay_sealed(publisher: Publisher, shared_terminal: Terminal) -> None:
    publisher.publish([publisher.event(uuid4(), fact=REGISTERED)])
    ended = shared_terminal("subscribe", "--topic", "account", "--group", "look", "--once")
    (line,) = lines(ended)
    (sealed,) = line["values"]["email"].values()
    assert base64.b64decode(sealed, validate=True)


def test_it_reads_several_topics_and_money(publisher: Publisher, shared_terminal: Terminal) -> None:
    entry = publisher.entry(uuid4())
    publisher.publish([publisher.event(uuid4()), entry])
    more = ["--topic", "entries", "--topic", entry.topic]
    told = {line["type"]: line for line in lines(shared_terminal(*look(publisher, *more)))}
    assert set(told) == {"acta.subscription.PaymentCaptured", "acta.entries.Entry"}
    assert told["acta.entries.Entry"]["version"] is None


def test_it_goes_on_where_it_was_or_where_it_is_told(
    publisher: Publisher, shared_terminal: Terminal
) -> None:
    publisher.publish([publisher.event(uuid4()) for _ in range(5)])
    assert positions(shared_terminal(*look(publisher))) == [1, 2, 3, 4, 5]
    publisher.publish([publisher.event(uuid4())])
    assert positions(shared_terminal(*look(publisher))) == [6]
    assert positions(shared_terminal(*look(publisher))) == []
    assert positions(shared_terminal(*look(publisher, "--from", "4"))) == [4, 5, 6]
    instant = BEGINNING.replace(second=3).isoformat()
    assert positions(shared_terminal(*look(publisher, "--from", instant))) == [3, 4, 5, 6]
    everything = shared_terminal(*look(publisher, "--from", "beginning"))
    assert positions(everything) == [1, 2, 3, 4, 5, 6]


def test_without_a_registry_the_contracts_of_the_program_decode(
    publisher: Publisher, shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = publisher.event(uuid4())
    own_id = Contracts().schema_id(CAPTURED).to_bytes(4, "big")
    publisher.publish([replace(draft, value=b"\0" + own_id + (draft.value or b"")[5:])])
    monkeypatch.delenv("ACTA_SCHEMA_REGISTRY_URL")
    (line,) = lines(shared_terminal(*look(publisher)))
    assert line["values"]["currency"] == "USD"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_committed(
    publisher: Publisher, shared_terminal: Terminal, number: signal.Signals
) -> None:
    publisher.publish([publisher.event(uuid4()) for _ in range(3)])
    arguments = [each for each in look(publisher) if each != "--once"]
    with shared_terminal.start(*arguments) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "", "3 events printed\n")
    assert len(told) == 3
    assert positions(shared_terminal(*look(publisher))) == []


def test_a_reader_that_has_enough_is_no_fault(
    publisher: Publisher, shared_terminal: Terminal
) -> None:
    """As with ``| head``; what nobody read is not committed."""
    publisher.publish([publisher.event(uuid4()) for _ in range(3000)])
    with shared_terminal.start(*look(publisher)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(60) == 0
    assert "Traceback" not in err
    assert "rror" not in err
    assert positions(shared_terminal(*look(publisher))) != []


# ---------------------------------------------------------------- faults


def test_what_cannot_be_decoded_stops_it_or_goes_to_the_dead_letters(
    publisher: Publisher, shared_terminal: Terminal
) -> None:
    stream = uuid4()
    good = [publisher.event(stream) for _ in range(3)]
    publisher.publish([good[0], replace(good[1], value=b"{}"), good[2]])
    stopped = shared_terminal(*look(publisher))
    assert stopped.status == 2
    assert "the value does not begin with a zero byte" in stopped.err
    assert "offset 1)" in stopped.err
    assert "--dead-letters" in stopped.err
    topic = f"{publisher.namespace}.unreadable"
    assert positions(shared_terminal(*look(publisher, "--dead-letters", topic))) == [3]
    (letter,) = read_all(publisher.bootstrap_servers, topic)
    assert letter.value == b"{}"


def test_a_gap_stops_it(publisher: Publisher, shared_terminal: Terminal) -> None:
    stream = uuid4()
    publisher.publish([publisher.event(stream, 1), publisher.event(stream, 3)])
    ended = shared_terminal(*look(publisher))
    assert (ended.status, len(ended.out.splitlines())) == (2, 1)
    assert f"stream {stream}: version 2 is missing, 3 came" in ended.err


def test_a_broker_that_is_away_is_told(
    publisher: Publisher, shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTA_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    ended = shared_terminal(*look(publisher, "--timeout", "0.5"))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "No Kafka broker answers; waiting up to 0.5 s.",
        "acta: no Kafka broker answered within 0.5 s",
        "Start it, or correct ACTA_KAFKA_BOOTSTRAP_SERVERS and ACTA_KAFKA_PROPERTIES.",
    ]


def test_a_schema_that_the_registry_does_not_know_is_told(
    publisher: Publisher, shared_terminal: Terminal
) -> None:
    draft = publisher.event(uuid4())
    publisher.publish([replace(draft, value=b"\0\x7f\xff\xff\xf0")])
    ended = shared_terminal(*look(publisher))
    assert ended.status == 2
    assert "does not know the schema 2147483632" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "yesterday"], "--from is neither beginning nor a position"),
        (["--from", "2026-02-30T00:00:00Z"], "--from is neither beginning nor a position"),
        (["--topic", "accounts"], "--topic names no aggregate that there is"),
        (["--topic", "no.such.topic"], "there is no topic no.such.topic"),
        (["--registry", "127.0.0.1:8081"], "the address of the registry does not begin with"),
    ],
)
def test_what_cannot_be_read_is_told(
    publisher: Publisher, shared_terminal: Terminal, arguments: list[str], words: str
) -> None:
    publisher.publish([publisher.event(uuid4())])
    ended = shared_terminal(*look(publisher, *arguments))
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err


def test_without_an_address_of_brokers_the_setting_is_named(
    publisher: Publisher, shared_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTA_KAFKA_BOOTSTRAP_SERVERS")
    assert "ACTA_KAFKA_BOOTSTRAP_SERVERS is not set" in shared_terminal(*look(publisher)).err


def test_properties_come_from_a_file(
    publisher: Publisher,
    shared_terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Here one that the client refuses, so that it is seen to be read."""
    file = tmp_path / "kafka.properties"
    file.write_text("security.protocol=pigeon\n", encoding="utf-8")
    monkeypatch.setenv("ACTA_KAFKA_PROPERTIES", str(file))
    ended = shared_terminal(*look(publisher))
    assert ended.status == 2
    assert "security.protocol" in ended.err
