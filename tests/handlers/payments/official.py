"""Stripe's own client as a judge, and a server that hears what is asked."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

import requests
import stripe

from tests.handlers.payments.gateways import KEY

__all__ = ["Heard", "Listener", "official"]

stripe.enable_telemetry = False


@contextmanager
def official(url: str, key: str = KEY) -> Iterator[stripe.StripeClient]:
    """The official client, which asks a gateway at this address."""
    with requests.Session() as session:
        # Neither a proxy nor a .netrc of whoever runs the tests.
        session.trust_env = False
        yield stripe.StripeClient(
            key,
            base_addresses={"api": url},
            max_network_retries=0,
            http_client=stripe.RequestsClient(session=session),
        )


class Heard(NamedTuple):
    """A request.

    Attributes:
        form: the fields of the query, or of the body.
        headers: by lower-case name.
    """

    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Listener:
    """A server that answers by method and path; what is not in its answers, with nothing.

    Attributes:
        url: its address.
        heard: each request, in the order in which they came.
    """

    def __init__(self, answers: Mapping[str, tuple[int, Any]] | None = None) -> None:
        self.heard: Queue[Heard] = Queue()
        listener, known = self, answers or {}

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                target = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                form = dict(parse_qsl(target.query or body.decode(), keep_blank_values=True))
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener.heard.put(Heard(self.command, target.path, form, headers, body))
                status, told = known.get(f"{self.command} {target.path}", (200, {}))
                said = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = answer  # noqa: N815  their names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next(self) -> Heard:
        """The next request."""
        return self.heard.get(timeout=60)
