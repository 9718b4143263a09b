"""The contracts over a schema registry's own HTTP endpoints, where there is no registry.

Whatever reads Avro from Kafka asks a registry for the schema behind an id. This one answers from
the contract files and their lock file of ids, and takes nothing in.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import fastavro
from aiohttp import web

from handlers.faults import InvalidInput
from handlers.http_service import HttpService, json_response
from schemas.contracts import Contracts
from schemas.topics import read_subject, subject, version_of

__all__ = ["KnownSchema", "KnownSchemas", "SchemaServer"]

VERSION = re.compile(r"[1-9][0-9]*")
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
REQUEST_BYTES_MAX = 1024 * 1024

# What Confluent's registry calls these, and its clients act upon.
SUBJECT_NOT_FOUND = 40401
VERSION_NOT_FOUND = 40402
SCHEMA_NOT_FOUND = 40403
INVALID_SCHEMA = 42201
INVALID_VERSION = 42202
NOT_PERMITTED = 42205


class Answer(NamedTuple):
    """A status of HTTP and what is told with it, as JSON."""

    status: int
    body: Any


class Unanswerable(Exception):  # noqa: N818  named for what it is
    """A request that cannot be answered as it wishes."""

    def __init__(self, status: HTTPStatus, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or int(status)


@dataclass(frozen=True)
class KnownSchema:
    """A contract as a registry knows it."""

    topic: str
    id: int
    text: str

    @property
    def fact(self) -> str:
        """The stored topic without its version."""
        return self.topic.rpartition(".v")[0]

    @property
    def version(self) -> int:
        """Its version, within its subject as in its stored topic."""
        return version_of(self.topic)

    @cached_property
    def parsed(self) -> Any:
        """It in the form in which the same schemas are equal, however they were written."""
        return _parsed(json.loads(self.text))


class KnownSchemas:
    """What the contracts answer to the requests of a registry's clients.

    A subject is answered for in every generation of its topic: the same contracts hold in each.

    Args:
        namespace: what the names of the topics begin with.

    Raises:
        InvalidInput: a contract has no id.
        ContractBroken: the contracts cannot be read.
    """

    def __init__(self, contracts: Contracts, namespace: str) -> None:
        ids = contracts.ids()
        topics = contracts.topics()
        if missing := [topic for topic in topics if topic not in ids]:
            raise InvalidInput(f"{missing[0]} has no id", remedy="See acta schemas check.")
        self._namespace = namespace
        self._known = [
            KnownSchema(topic, ids[topic], json.dumps(contracts.schema(topic), ensure_ascii=False))
            for topic in topics
        ]

    def answer(self, method: str, path: str, body: bytes = b"") -> Answer:
        """The answer to a request; what cannot be answered is told in the same form."""
        try:
            return Answer(HTTPStatus.OK, self._answer(method, _parts(path), body))
        except Unanswerable as refused:
            return _told(refused.status, str(refused), refused.code)

    def _answer(self, method: str, parts: list[str], body: bytes) -> Any:
        match method, parts:
            case "GET", []:
                return {}
            case "GET", ["config"] | ["config", _]:
                return {"compatibilityLevel": "FULL_TRANSITIVE"}
            case "GET", ["mode"] | ["mode", _]:
                return {"mode": "READONLY"}
            case "GET", ["schemas", "types"]:
                return ["AVRO"]
            case "GET", ["schemas", "ids", number]:
                return {"schema": self._by_id(number).text}
            case "GET", ["schemas", "ids", number, "schema"]:
                return json.loads(self._by_id(number).text)
            case "GET", ["schemas", "ids", number, "subjects"]:
                return [self._subject(self._by_id(number))]
            case "GET", ["schemas", "ids", number, "versions"]:
                known = self._by_id(number)
                return [{"subject": self._subject(known), "version": known.version}]
            case "GET", ["subjects"]:
                return sorted({self._subject(known) for known in self._known})
            case "GET", ["subjects", name, "versions"]:
                return [known.version for known in self._of(name)]
            case "GET", ["subjects", name, "versions", version]:
                return _registered(name, self._version(name, version))
            case "GET", ["subjects", name, "versions", version, "schema"]:
                return json.loads(self._version(name, version).text)
            case "POST", ["subjects", name]:
                return _registered(name, self._same(name, body))
            case "POST", ["subjects", _, "versions"]:
                raise Unanswerable(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "these schemas are served from files, and none can be registered; set"
                    " auto.register.schemas to false",
                    NOT_PERMITTED,
                )
            case (("GET" | "POST"), _):
                raise Unanswerable(HTTPStatus.NOT_FOUND, "there is nothing here")
            case _:
                raise Unanswerable(
                    HTTPStatus.METHOD_NOT_ALLOWED, "these schemas are served from files, to be read"
                )

    def _by_id(self, number: str) -> KnownSchema:
        for known in self._known:
            if str(known.id) == number:
                return known
        raise Unanswerable(HTTPStatus.NOT_FOUND, f"no schema has the id {number}", SCHEMA_NOT_FOUND)

    def _of(self, name: str) -> list[KnownSchema]:
        """The versions of a subject, the oldest first."""
        named = read_subject(name)
        if named and named.namespace == self._namespace:
            found = [known for known in self._known if known.fact == named.fact]
            if found:
                return found
        raise Unanswerable(HTTPStatus.NOT_FOUND, f"there is no subject {name}", SUBJECT_NOT_FOUND)

    def _version(self, name: str, version: str) -> KnownSchema:
        found = self._of(name)
        if version in {"latest", "-1"}:
            return found[-1]
        if not VERSION.fullmatch(version):
            raise Unanswerable(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "a version is a number from 1, or latest",
                INVALID_VERSION,
            )
        for known in found:
            if str(known.version) == version:
                return known
        raise Unanswerable(
            HTTPStatus.NOT_FOUND, f"{name} has no version {version}", VERSION_NOT_FOUND
        )

    def _same(self, name: str, body: bytes) -> KnownSchema:
        """The version whose schema a request holds."""
        versions, wanted = self._of(name), _schema_in(body)
        for known in versions:
            if known.parsed == wanted:
                return known
        raise Unanswerable(
            HTTPStatus.NOT_FOUND, f"no version of {name} has this schema", SCHEMA_NOT_FOUND
        )

    def _subject(self, known: KnownSchema) -> str:
        return subject(self._namespace, known.topic)


class SchemaServer(HttpService):
    """Serves the contracts until it is shut down.

    Args:
        known: what it answers from.
        host: the address to listen on.
        port: 0 takes any that is free.

    Raises:
        InvalidInput: it cannot listen there.
    """

    def __init__(self, known: KnownSchemas, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(
            host,
            port,
            body_bytes_max=REQUEST_BYTES_MAX,
            cannot="the schemas cannot be served at",
            remedy="Name another --host or --port.",
        )
        self._known = known

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """What is known, in a thread: a large schema takes its time to be parsed."""
        answer = await asyncio.to_thread(self._known.answer, request.method, request.raw_path, body)
        return _response(answer)

    def told(self, status: HTTPStatus, said: str) -> web.Response:
        """An error, as a registry tells it."""
        return _response(_told(status, said))


def _response(answer: Answer) -> web.Response:
    response = json_response(answer.status, answer.body, media_type=MEDIA_TYPE)
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "GET, POST"
    return response


def _told(status: HTTPStatus, message: str, code: int | None = None) -> Answer:
    return Answer(status, {"error_code": code or int(status), "message": message})


def _parts(path: str) -> list[str]:
    return [unquote(part) for part in path.partition("?")[0].split("/") if part]


def _registered(name: str, known: KnownSchema) -> dict[str, Any]:
    return {"subject": name, "version": known.version, "id": known.id, "schema": known.text}


def _schema_in(body: bytes) -> Any:
    """The schema that a request holds, parsed."""
    try:
        request = json.loads(body)
    except ValueError:
        raise Unanswerable(HTTPStatus.BAD_REQUEST, "the body is no JSON") from None
    try:
        if request.get("schemaType", "AVRO") == "AVRO":
            return _parsed(json.loads(request["schema"]))
    except Exception:  # noqa: BLE001, S110  whatever is no schema is told below
        pass
    raise Unanswerable(
        HTTPStatus.UNPROCESSABLE_ENTITY, "the body holds no schema of Avro", INVALID_SCHEMA
    )


def _parsed(schema: Any) -> Any:
    """A schema with all names in full: Java writes shorter what Python writes out."""
    parsed = cast(Any, fastavro.parse_schema(schema, _write_hint=False))
    if not isinstance(parsed, dict):
        return parsed
    known = cast(dict[str, Any], parsed)
    return {key: part for key, part in known.items() if not key.startswith("__")}
