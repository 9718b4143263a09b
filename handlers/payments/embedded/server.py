"""The embedded gateway's sockets: HTTP/1.1, many requests at once, on disk before it answers."""

import asyncio
import json
import socket
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import Event, Thread
from typing import cast

from handlers.faults import InvalidInput
from handlers.payments.embedded.api import Api, Reply, Request
from handlers.payments.embedded.book import Book
from handlers.payments.embedded.ordered_faults import Ordered, OrderedFault
from handlers.payments.embedded.webhooks import Webhooks

__all__ = ["EmbeddedGateway"]

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 64 * 1024
BACKLOG = 512
MALFORMED = Reply(HTTPStatus.BAD_REQUEST, {"error": {"type": "invalid_request_error"}})


class EmbeddedGateway:
    """A gateway on a socket of its own; it takes no money.

    Args:
        book: file of what it did, which outlives it.
        key: whoever asks has to bring it.
        host: address to listen on.
        port: port to listen on; 0: any that is free.
        webhooks_url: where it tells what became of charges and refunds; None: nowhere.
        webhook_secret: webhooks are signed with it.
        faults: what it does wrong.

    Attributes:
        url: its address.

    Raises:
        FolderUnusable: the book cannot be used.
        InvalidInput: it cannot listen there.
    """

    def __init__(
        self,
        book: Path,
        key: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        webhooks_url: str | None = None,
        webhook_secret: str = "",
        faults: Iterable[OrderedFault] = (),
    ) -> None:
        with ExitStack() as stack:
            self._book = Book(book)
            stack.callback(self._book.close)
            self._socket = stack.enter_context(_listening(host, port))
            self._opened = stack.pop_all()
        self.url = _url(self._socket)
        self._webhooks = (
            Webhooks(webhooks_url, webhook_secret, self._delivered) if webhooks_url else None
        )
        self._api = Api(
            self._book, key, Ordered(faults), self._webhooks, now=lambda: datetime.now(UTC)
        )
        self._connections: set[Connection] = set()
        self._outbox: list[tuple[Connection, Reply]] = []
        self._serving = Event()

    def serve(self) -> None:
        """Serves until it is shut down, and closes everything."""
        with self._opened:
            asyncio.run(self._serve())

    def shutdown(self) -> None:
        """Ends serving, from any thread."""
        self._serving.wait()
        # One that ended by itself has nothing to end.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end.set)

    @contextmanager
    def in_thread(self) -> Generator["EmbeddedGateway"]:
        """Serves in a thread meanwhile."""
        thread = Thread(target=self.serve, name="gateway", daemon=True)
        thread.start()
        self._serving.wait()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), sock=self._socket)
        if self._webhooks is not None:
            self._webhooks.start(self._book.pages.undelivered.values())
        self._serving.set()
        await self._end.wait()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        if self._webhooks is not None:
            await asyncio.to_thread(self._webhooks.stop)

    def _delivered(self, event_id: str) -> None:
        """Called in the thread of the webhooks; too late, it is delivered again."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._note_delivered, event_id)

    def _note_delivered(self, event_id: str) -> None:
        self._book.note_delivered(event_id)
        self._loop.call_soon(self._send)

    # ------------------------------------------------------------ for its connections

    def joined(self, connection: "Connection") -> None:
        """Somebody is there."""
        self._connections.add(connection)

    def left(self, connection: "Connection") -> None:
        """Somebody is gone."""
        self._connections.discard(connection)

    def asked(self, connection: "Connection", request: Request) -> None:
        """Answers once all that came in at the same time is on disk, with one wait for the disk."""
        if not self._outbox:
            self._loop.call_soon(self._send)
        self._outbox.append((connection, self._api.answer(request)))

    def _send(self) -> None:
        self._book.flush()
        ready, self._outbox = self._outbox, []
        for connection, reply in ready:
            connection.send(reply)


class Connection(asyncio.Protocol):
    """Reads requests off one connection, one after the other."""

    def __init__(self, gateway: EmbeddedGateway) -> None:
        self._gateway = gateway
        self._came_in = bytearray()
        self._answering = False
        self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._gateway.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        """Somebody is gone."""
        self._gateway.left(self)

    def data_received(self, data: bytes) -> None:
        """Something came in."""
        self._came_in += data
        if not self._answering:
            self._read()

    def abort(self) -> None:
        """Closes it at once."""
        self._transport.abort()

    def send(self, reply: Reply) -> None:
        """Sends an answer, or does not, and goes on with what came in meanwhile."""
        if reply.hangs:
            return
        if reply.lost:
            self.abort()
            return
        self._answering = False
        self._transport.write(_written(reply, last=self._last))
        if self._last:
            self._transport.close()
        else:
            self._read()

    def _read(self) -> None:
        """Takes the next request, once it is there whole."""
        end = self._came_in.find(b"\r\n\r\n")
        if end < 0:
            if len(self._came_in) > HEAD_BYTES_MAX:
                self._refuse()
            return
        head = bytes(self._came_in[:end])
        try:
            method, target, headers = _head(head)
            length = _length(headers)
        except ValueError:
            self._refuse()
            return
        start = end + 4
        if len(self._came_in) < start + length:
            return
        body = bytes(self._came_in[start : start + length])
        del self._came_in[: start + length]
        self._answering = True
        self._last = headers.get("connection", "").lower() == "close"
        self._gateway.asked(self, Request(method, target, headers, body))

    def _refuse(self) -> None:
        self._answering = self._last = True
        self._came_in.clear()
        self.send(MALFORMED)


def _head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        headers[name.strip().lower()] = value.strip()
    return method, target, headers


def _length(headers: dict[str, str]) -> int:
    length = int(headers.get("content-length", "0"))
    if "transfer-encoding" in headers or not 0 <= length <= BODY_BYTES_MAX:
        raise ValueError(length)
    return length


def _written(reply: Reply, *, last: bool) -> bytes:
    body = json.dumps(reply.body, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {int(reply.status)} {HTTPStatus(reply.status).phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n"
    )
    return head.encode() + body


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidInput(
            f"the gateway cannot listen on {host} port {port}: {error.strerror}",
            remedy="Name another address with --listen.",
        ) from None


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
