"""Takes webhooks in over HTTP, and answers each once it is recorded."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6
from socketserver import ThreadingTCPServer
from threading import Lock
from typing import Any, ClassVar

from handlers.faults import InvalidInput
from handlers.workers.webhook_receiver import WebhookAnswer, WebhookReceiver

__all__ = ["WebhookServer"]

SIGNATURE_HEADER = "Stripe-Signature"
BODY_BYTES_MAX = 256 * 1024
REQUEST_TIMEOUT_SECONDS = 30
THREADS = 8
"""So many are recorded at once; more would wait for a connection to the database."""


class WebhookServer(ThreadingTCPServer):
    """Takes webhooks from ``serve_forever`` on, until ``shutdown``; what is at hand is finished.

    A webhook is a POST to any path: what makes it one is its signature.

    Args:
        receiver: records them.
        host: the address to listen on.
        port: 0 takes any that is free.
        answered: told each answer, one after the other.

    Raises:
        InvalidInput: it cannot listen there.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        receiver: WebhookReceiver,
        host: str,
        port: int,
        *,
        answered: Callable[[WebhookAnswer], None],
    ) -> None:
        self._receiver = receiver
        self._answered = answered
        self._telling = Lock()
        self._recording = ThreadPoolExecutor(THREADS)
        self.address_family = AF_INET6 if ":" in host else AF_INET
        try:
            super().__init__((host, port), partial(_Handler, self))
        except OSError as error:
            raise InvalidInput(
                f"webhooks cannot be taken at {host}:{port}: {error.strerror}",
                remedy="Name another address with --listen.",
            ) from None

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def take(self, body: bytes, signature: str) -> WebhookAnswer:
        """Has a webhook recorded, and says what it is answered."""
        now = datetime.now(UTC)
        try:
            work = self._recording.submit(self._receiver.receive, body, signature, now=now)
        except RuntimeError:
            answer = WebhookAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "Acta is stopping")
        else:
            answer = _ended(work)
        with self._telling:
            self._answered(answer)
        return answer

    def server_close(self) -> None:
        """Takes nothing more, and returns once what is at hand is recorded."""
        super().server_close()
        self._recording.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nobody's fault."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _ended(work: Future[WebhookAnswer]) -> WebhookAnswer:
    error = work.exception()
    if error is None:
        return work.result()
    # Its own text may hold what was in the webhook.
    return WebhookAnswer(
        HTTPStatus.INTERNAL_SERVER_ERROR, f"a fault in Acta itself: {type(error).__name__}"
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float | None] = REQUEST_TIMEOUT_SECONDS
    wbufsize: ClassVar[int] = -1  # headers and body in one packet: the second would wait for an ACK

    def __init__(self, server: WebhookServer, *arguments: Any) -> None:
        self._server = server
        super().__init__(*arguments)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.LENGTH_REQUIRED, "say the length of the body in bytes")
        elif len(length) > len(str(BODY_BYTES_MAX)) or int(length) > BODY_BYTES_MAX:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no webhook is as large as that")
        else:
            body = self.rfile.read(int(length))
            answer = self._server.take(body, self.headers.get(SIGNATURE_HEADER, ""))
            self._send(answer.status, answer.said)

    def do_GET(self) -> None:
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "webhooks are posted here")

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815  the base class looks for these

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no webhook at all is told in the same form as all else."""
        del explain
        self.close_connection = True
        self._send(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def version_string(self) -> str:
        """What it calls itself, without the versions of its parts."""
        return "acta"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Each webhook is told of once, with its answer."""

    def _send(self, status: HTTPStatus, said: str) -> None:
        content = json.dumps({"message": said}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
