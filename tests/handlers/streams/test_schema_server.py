"""The contracts over a registry's endpoints: read by Confluent's client, and refusing the rest."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import avro.schema
import fastavro
import pytest
from confluent_kafka.schema_registry import (
    Schema,
    SchemaRegistryClient,
    SchemaRegistryError,
    topic_record_subject_name_strategy,
    topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from handlers.faults import InvalidInput
from handlers.streams.schema_server import KnownSchemas, SchemaServer
from schemas.contracts import Contracts
from schemas.topics import (
    AGGREGATE_OF_ENTRIES,
    aggregate_of,
    entries_topic,
    events_topic,
    subject,
    version_of,
)
from tests.handlers.cli.conftest import ACTA
from tests.schemas.golden import Golden

# Their classes take what they need in a way that no type checker sees.
serializer_of: Any = AvroSerializer
deserializer_of: Any = AvroDeserializer

CONTRACTS = Contracts()
TOPICS = CONTRACTS.topics()
NAMESPACE = "acta"
STARTED = "acta.subscription.events.v1-acta.subscription.SubscriptionStarted"
ENTRIES = "acta.entries.v1-value"
Values = dict[str, Any]


@contextmanager
def serving(namespace: str = NAMESPACE) -> Iterator[SchemaServer]:
    with SchemaServer(KnownSchemas(CONTRACTS, namespace)).in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[SchemaServer]:
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def client(server: SchemaServer) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": server.url}) as opened:
        yield opened


class Told:
    """What the server answers to a plain request."""

    def __init__(self, server: SchemaServer, method: str, path: str, body: Any = None) -> None:
        address = urlsplit(server.url)
        connection = HTTPConnection(str(address.hostname), address.port, timeout=10)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body=content)
        response = connection.getresponse()
        self.status = response.status
        self.headers = response.headers
        self.json = json.loads(response.read())
        connection.close()

    @property
    def error(self) -> tuple[int, int]:
        """Status and code of an error that also has words."""
        assert {*self.json} == {"error_code", "message"}
        assert self.json["message"]
        return self.status, self.json["error_code"]


def kafka_topic(stored_topic: str, generation: int = 1) -> str:
    aggregate = aggregate_of(stored_topic)
    if aggregate == AGGREGATE_OF_ENTRIES:
        return entries_topic(NAMESPACE, generation)
    return events_topic(NAMESPACE, aggregate, generation)


def strategy(stored_topic: str) -> Callable[..., Any]:
    entries = aggregate_of(stored_topic) == AGGREGATE_OF_ENTRIES
    return topic_subject_name_strategy if entries else topic_record_subject_name_strategy


def golden_values(topic: str) -> Values:
    """The values of the golden file's Avro, as fastavro has them."""
    data = BytesIO(Golden.read(CONTRACTS.golden(topic)).avro)
    found: Any = fastavro.schemaless_reader(data, CONTRACTS.schema(topic), None)
    return dict(found)


# ---------------------------------------------------------------- read by Confluent's client


@pytest.mark.parametrize("topic", TOPICS)
def test_confluents_serializer_and_deserializer_take_every_contract_whole(
    topic: str, client: SchemaRegistryClient
) -> None:
    """The serializer looks the id up by the file; what it writes is the framing that we write."""
    values = golden_values(topic)
    context = SerializationContext(kafka_topic(topic), MessageField.VALUE)
    serializer = serializer_of(
        client,
        CONTRACTS.file(topic).read_text(encoding="utf-8"),
        conf={"auto.register.schemas": False, "subject.name.strategy": strategy(topic)},
    )
    written = serializer(values, context)
    frame = b"\0" + CONTRACTS.schema_id(topic).to_bytes(4, "big")
    assert written == frame + Golden.read(CONTRACTS.golden(topic)).avro
    assert deserializer_of(client)(written, context) == values


@pytest.mark.parametrize("topic", [cls.TOPIC for cls in CONTRACTS.classes])
def test_the_latest_version_is_found_by_its_subject(
    topic: str, client: SchemaRegistryClient
) -> None:
    serializer = serializer_of(
        client,
        conf={
            "auto.register.schemas": False,
            "use.latest.version": True,
            "subject.name.strategy": lambda *_: subject(NAMESPACE, topic),
        },
    )
    context = SerializationContext(kafka_topic(topic), MessageField.VALUE)
    written = serializer(golden_values(topic), context)
    assert written is not None
    assert int.from_bytes(written[1:5], "big") == CONTRACTS.schema_id(topic)


def test_an_older_version_is_read_by_the_schema_of_today(client: SchemaRegistryClient) -> None:
    old, new = "subscription.SubscriptionStarted.v1", "subscription.SubscriptionStarted.v2"
    frame = b"\0" + CONTRACTS.schema_id(old).to_bytes(4, "big")
    written = frame + Golden.read(CONTRACTS.golden(old)).avro
    reader = deserializer_of(client, CONTRACTS.file(new).read_text(encoding="utf-8"))
    read = reader(written, SerializationContext(kafka_topic(new), MessageField.VALUE))
    assert isinstance(read, dict)
    assert read == golden_values(old) | {"kind": None, "institution": None, "seats": None}


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("generation", [1, 7])
def test_every_contract_is_found_by_id_version_and_content(
    topic: str, generation: int, client: SchemaRegistryClient
) -> None:
    name = subject(NAMESPACE, topic, generation)
    number, version = CONTRACTS.schema_id(topic), version_of(topic)
    text = client.get_schema(number).schema_str
    assert text is not None
    assert json.loads(text) == CONTRACTS.schema(topic)
    registered = client.get_version(name, version)
    assert (registered.schema_id, registered.version) == (number, version)
    assert client.lookup_schema(name, Schema(text, "AVRO")).schema_id == number
    assert version in client.get_versions(name)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_schema_is_known_however_a_client_writes_it(
    topic: str, client: SchemaRegistryClient
) -> None:
    """Apache's library, like Java's, parses a schema and writes it anew, with shorter names."""
    rewritten = str(avro.schema.parse(CONTRACTS.file(topic).read_text(encoding="utf-8")))
    found = client.lookup_schema(subject(NAMESPACE, topic), Schema(rewritten, "AVRO"))
    assert found.schema_id == CONTRACTS.schema_id(topic)


def test_all_subjects_are_listed_once(client: SchemaRegistryClient) -> None:
    listed = client.get_subjects()
    assert {*listed} == {subject(NAMESPACE, topic) for topic in TOPICS}
    assert len(listed) == len({*listed})
    assert client.get_versions(STARTED) == [1, 2]
    assert client.get_latest_version(STARTED).version == 2


def test_it_says_what_it_is(server: SchemaServer, client: SchemaRegistryClient) -> None:
    assert Told(server, "GET", "/config").json == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert Told(server, "GET", f"/config/{STARTED}").json == {
        "compatibilityLevel": "FULL_TRANSITIVE"
    }
    assert Told(server, "GET", "/mode").json == {"mode": "READONLY"}
    assert Told(server, "GET", "/schemas/types").json == ["AVRO"]
    assert client.get_compatibility() == "FULL_TRANSITIVE"
    answer = Told(server, "GET", "/")
    assert answer.headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"


def test_an_id_tells_its_subject_and_version(server: SchemaServer) -> None:
    number = CONTRACTS.schema_id("subscription.SubscriptionStarted.v1")
    told = Told(server, "GET", f"/schemas/ids/{number}/versions")
    assert told.json == [{"subject": STARTED, "version": 1}]
    assert Told(server, "GET", f"/schemas/ids/{number}/subjects").json == [STARTED]
    schema = CONTRACTS.schema("subscription.SubscriptionStarted.v1")
    assert Told(server, "GET", f"/schemas/ids/{number}/schema").json == schema
    assert Told(server, "GET", f"/subjects/{STARTED}/versions/1/schema").json == schema


def test_a_subject_may_be_written_with_percent_signs(server: SchemaServer) -> None:
    assert Told(server, "GET", "/subjects/acta%2Eentries.v1%2Dvalue/versions?x=1").json == [1, 2]


def test_the_namespace_is_that_of_the_installation() -> None:
    with serving("acta.test-2") as server:
        assert Told(server, "GET", "/subjects/acta.test-2.entries.v3-value/versions").json == [1, 2]
        assert Told(server, "GET", f"/subjects/{ENTRIES}/versions").error == (404, 40401)


# ---------------------------------------------------------------- what it does not do


def test_nothing_can_be_registered_and_the_answer_says_what_to_set(
    client: SchemaRegistryClient,
) -> None:
    text = CONTRACTS.file("entries.Entry.v1").read_text(encoding="utf-8")
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(ENTRIES, Schema(text, "AVRO"))
    assert refused.value.http_status_code == 422
    assert "auto.register.schemas to false" in refused.value.error_message


def test_a_schema_that_differs_is_not_found(client: SchemaRegistryClient) -> None:
    """In a word, a mark or a type: an id stands for one schema alone."""
    topic = "account.UserRegistered.v1"
    name = subject(NAMESPACE, topic)
    for change in ("doc", "acta.personal", "type"):
        schema = CONTRACTS.schema(topic)
        changed = next(field for field in schema["fields"] if field["name"] == "email")
        changed[change] = "string" if change == "type" else "else"
        with pytest.raises(SchemaRegistryError) as refused:
            client.lookup_schema(name, Schema(json.dumps(schema), "AVRO"))
        assert (refused.value.http_status_code, refused.value.error_code) == (404, 40403)


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("GET", "/schemas/ids/999999", None, (404, 40403)),
        ("GET", "/schemas/ids/one", None, (404, 40403)),
        ("GET", "/schemas/ids/0", None, (404, 40403)),
        ("GET", "/schemas/ids/-1/versions", None, (404, 40403)),
        ("GET", "/subjects/nobody/versions", None, (404, 40401)),
        ("GET", "/subjects/acta.account.events.v1-value/versions/latest", None, (404, 40401)),
        ("GET", "/subjects/acta.odd.events.v1-acta.odd.Fact/versions", None, (404, 40401)),
        ("GET", f"/subjects/{STARTED}/versions/3", None, (404, 40402)),
        ("GET", f"/subjects/{STARTED}/versions/0", None, (422, 42202)),
        ("GET", f"/subjects/{STARTED}/versions/first", None, (422, 42202)),
        ("GET", f"/subjects/{STARTED}/versions/{'9' * 5000}", None, (404, 40402)),
        ("GET", f"/subjects/{STARTED}", None, (404, 404)),
        ("GET", "/associations/resources/ns/name", None, (404, 404)),
        ("GET", "/contexts", None, (404, 404)),
        ("GET", "//[/%ff%00", None, (404, 404)),
        ("POST", "/subjects/nobody", {"schema": '"string"'}, (404, 40401)),
        ("POST", f"/subjects/{STARTED}", b"{", (400, 400)),
        ("POST", f"/subjects/{STARTED}", b"\xff\xfe", (400, 400)),
        ("POST", f"/subjects/{STARTED}", b"", (400, 400)),
        ("POST", f"/subjects/{STARTED}", [], (422, 42201)),
        ("POST", f"/subjects/{STARTED}", {}, (422, 42201)),
        ("POST", f"/subjects/{STARTED}", {"schema": 7}, (422, 42201)),
        ("POST", f"/subjects/{STARTED}", {"schema": "{"}, (422, 42201)),
        ("POST", f"/subjects/{STARTED}", {"schema": '{"type": "odd"}'}, (422, 42201)),
        ("POST", f"/subjects/{STARTED}", {"schema": "", "schemaType": "JSON"}, (422, 42201)),
        ("POST", f"/subjects/{STARTED}", {"schema": '"string"'}, (404, 40403)),
        ("POST", f"/subjects/{STARTED}/versions", {"schema": '"string"'}, (422, 42205)),
        ("POST", f"/compatibility/subjects/{STARTED}/versions/1", {}, (404, 404)),
        ("PUT", "/config", {"compatibility": "NONE"}, (405, 405)),
        ("PUT", f"/mode/{STARTED}", {"mode": "IMPORT"}, (405, 405)),
        ("DELETE", f"/subjects/{STARTED}", None, (405, 405)),
        ("DELETE", f"/subjects/{STARTED}/versions/1", None, (405, 405)),
        ("PATCH", "/", None, (405, 405)),
        ("BREW", "/", None, (400, 400)),
        ("GET", f"/{'a' * 70_000}", None, (400, 400)),
    ],
)
def test_what_cannot_be_answered_is_told_as_a_registry_tells_it(
    server: SchemaServer, method: str, path: str, body: Any, error: tuple[int, int]
) -> None:
    assert Told(server, method, path, body).error == error


def test_what_may_be_done_is_told_to_whoever_tries_to_change(server: SchemaServer) -> None:
    assert Told(server, "DELETE", "/subjects/x").headers["Allow"] == "GET, POST"


@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.text(st.characters(codec="ascii", exclude_characters="\0")),
    body=st.binary(max_size=100),
)
def test_any_request_has_an_answer(method: str, path: str, body: bytes) -> None:
    status, told = KnownSchemas(CONTRACTS, NAMESPACE).answer(method, f"/{path}", body)
    assert json.dumps(told)
    assert status in {200, 400, 404, 405, 422}


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_json_and_the_connection_ends(
    server: SchemaServer, request_bytes: bytes
) -> None:
    with raw_connection(server) as connection:
        connection.sendall(request_bytes)
        answer = read_to_the_end(connection)
    assert answer.rpartition(b"\r\n")[2].startswith(b'{"error_code": ')


def test_a_client_that_goes_away_disturbs_nobody(
    server: SchemaServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        with raw_connection(server) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert Told(server, "GET", "/mode").status == 200
    assert capfd.readouterr() == ("", "")


def test_a_client_that_stays_silent_holds_up_nobody(server: SchemaServer) -> None:
    with raw_connection(server) as connection:
        connection.sendall(b"GET /mode HTTP/1.1\r\n")
        assert Told(server, "GET", "/mode").status == 200


def raw_connection(server: SchemaServer) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)


def read_to_the_end(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


# ---------------------------------------------------------------- started and stopped


def test_a_port_that_is_taken_is_told(server: SchemaServer) -> None:
    port = int(urlsplit(server.url).port or 0)
    with pytest.raises(InvalidInput, match=f"cannot be served at 127.0.0.1:{port}") as fault:
        SchemaServer(KnownSchemas(CONTRACTS, NAMESPACE), "127.0.0.1", port)
    assert "--port" in fault.value.remedy


def test_a_contract_without_an_id_is_told(tmp_path: Path) -> None:
    contracts = Contracts(tmp_path)
    contracts.write()
    (tmp_path / "schemas" / "ids.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInput, match="has no id"):
        KnownSchemas(contracts, NAMESPACE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    """It says where, listens on this machine alone, and ends with status 0."""
    with subprocess.Popen(
        [ACTA, "schemas", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        url = next(word for word in first.split() if word.startswith("http")).rstrip(";")
        assert urlsplit(url).hostname == "127.0.0.1"
        with SchemaRegistryClient({"url": url}) as client:
            assert ENTRIES in client.get_subjects()
        process.send_signal(number)
        _, rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def test_the_command_tells_a_program_where_it_serves() -> None:
    with subprocess.Popen(
        [ACTA, "schemas", "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with SchemaRegistryClient({"url": url}) as client:
            assert client.get_compatibility() == "FULL_TRANSITIVE"
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def test_the_command_tells_in_one_message_that_its_port_is_taken(server: SchemaServer) -> None:
    port = str(urlsplit(server.url).port)
    ended = subprocess.run(
        [ACTA, "schemas", "serve", "--port", port], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"acta: the schemas cannot be served at 127.0.0.1:{port}")
    assert len(ended.stderr.splitlines()) == 2
