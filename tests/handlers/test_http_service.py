"""What every HTTP service of Acta holds: limits, timeouts, silence about clients, and its end."""

import gzip
import json
import logging
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from handlers.faults import InvalidInput
from handlers.http_service import HttpService, json_response

PERSONAL = "ana@example.com"


class Scales(HttpService):
    """Tells how long a body is; fails, or waits for its end, where asked."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(
            "127.0.0.1", port, body_bytes_max=1000, cannot="no scales at", remedy="Go elsewhere."
        )

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        if request.path == "/fail":
            raise KeyError(body)
        if request.path == "/wait":
            await self.ending.wait()
        return json_response(HTTPStatus.OK, len(body))

    def told(self, status: HTTPStatus, said: str) -> web.Response:
        return json_response(status, {"said": said})


class HastyScales(Scales):
    request_timeout_seconds: ClassVar[float] = 0.3


@pytest.fixture
def scales() -> Iterator[Scales]:
    with Scales().in_thread() as running:
        yield running


def connection(service: Scales) -> socket.socket:
    address = urlsplit(service.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60)


def told(service: Scales, text: bytes) -> str:
    """All that is answered to what may be no request, until the connection ends."""
    with connection(service) as opened:
        opened.sendall(text)
        return read_to_the_end(opened)


def read_to_the_end(opened: socket.socket) -> str:
    return b"".join(iter(lambda: opened.recv(4096), b"")).decode()


def weigh(service: Scales, body: bytes, path: str = "/", **headers: str) -> tuple[int, object]:
    """Status and JSON of what is answered to a body."""
    address = urlsplit(service.url)
    opened = HTTPConnection(str(address.hostname), address.port, timeout=60)
    try:
        opened.request("POST", path, body, headers)
        response = opened.getresponse()
        assert response.headers["Server"] == "acta"
        return response.status, json.loads(response.read())
    finally:
        opened.close()


def test_a_client_that_is_too_slow_is_cut_off_and_holds_up_nobody() -> None:
    with (
        HastyScales().in_thread() as scales,
        connection(scales) as in_its_head,
        connection(scales) as in_its_body,
    ):
        in_its_head.sendall(b"POST / HTTP/1.1\r\nHost:")
        in_its_body.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        assert weigh(scales, b"swift") == (200, 5)
        assert read_to_the_end(in_its_head) == ""
        assert read_to_the_end(in_its_body).startswith("HTTP/1.1 408 ")


def test_a_body_has_a_limit_and_says_its_length(scales: Scales) -> None:
    assert weigh(scales, b"x" * 1000) == (200, 1000)
    assert weigh(scales, b"x" * 1001) == (413, {"said": "Request Entity Too Large"})
    assert weigh(scales, b"", Transfer_Encoding="x") == (200, 0), "another header"
    told_of_chunks = told(
        scales, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    )
    assert told_of_chunks.startswith("HTTP/1.1 411 ")


def test_a_body_is_taken_as_it_comes(scales: Scales) -> None:
    """A limit and a signature are about the bytes that were sent."""
    packed = gzip.compress(b"x" * 100_000)
    assert weigh(scales, packed, **{"Content-Encoding": "gzip"}) == (200, len(packed))


def test_who_asks_before_sending_a_body_is_told_to_go_on(scales: Scales) -> None:
    with connection(scales) as opened:
        opened.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 4\r\nConnection: close\r\n\r\n"
        )
        assert opened.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        opened.sendall(b"body")
        answer = read_to_the_end(opened)
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\n4")


@pytest.mark.parametrize(
    "text", [f"{PERSONAL}\r\n\r\n", f"GET / HTTP/1.1\r\nHost: x\r\n{PERSONAL}\r\n\r\n", "\x16\x03"]
)
def test_what_is_no_request_is_repeated_nowhere(
    scales: Scales, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = told(scales, text.encode())
    assert answer.partition(" ")[2].startswith("400 Bad Request\r\n")
    assert answer.endswith('\r\n\r\n{"said": "Bad Request"}')
    assert "\r\nServer: acta\r\n" in answer
    assert PERSONAL not in answer
    assert caplog.messages == []


def test_a_fault_of_acta_itself_is_logged_by_its_kind_and_place(
    scales: Scales, caplog: pytest.LogCaptureFixture
) -> None:
    answer = weigh(scales, PERSONAL.encode(), "/fail")
    assert answer == (500, {"said": "Internal Server Error"})
    (line,) = caplog.messages
    assert line.startswith(f"a fault in Acta itself: KeyError at {__name__.rpartition('.')[2]}.py:")
    assert PERSONAL not in caplog.text


def test_it_ends_whatever_its_clients_do() -> None:
    """What is at hand is answered; who sent nothing yet, or sends no more, is cut off."""
    began = time.monotonic()
    with Scales().in_thread() as scales:
        silent, slow, waiting = (connection(scales) for _ in range(3))
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        waiting.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert weigh(scales, b"swift") == (200, 5)
    assert time.monotonic() - began < Scales.request_timeout_seconds
    with silent, slow, waiting:
        assert read_to_the_end(silent) == ""
        assert read_to_the_end(slow).startswith("HTTP/1.1 408 ")
        assert read_to_the_end(waiting).startswith("HTTP/1.1 200 ")


def test_where_it_cannot_listen_is_told(scales: Scales) -> None:
    port = int(urlsplit(scales.url).port or 0)
    with pytest.raises(InvalidInput, match=f"no scales at 127.0.0.1:{port}: ") as fault:
        Scales(port)
    assert fault.value.remedy == "Go elsewhere."
