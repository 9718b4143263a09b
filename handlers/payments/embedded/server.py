"""The embedded gateway over HTTP: many requests at once, on disk before it answers."""

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from handlers.http_service import HttpService, json_response
from handlers.payments.embedded.api import Api, Request
from handlers.payments.embedded.book import Book
from handlers.payments.embedded.ordered_faults import Ordered, OrderedFault
from handlers.payments.embedded.webhooks import Webhooks

__all__ = ["EmbeddedGateway"]

BODY_BYTES_MAX = 64 * 1024


class EmbeddedGateway(HttpService):
    """A gateway on a socket of its own; it takes no money.

    Args:
        book: file of what it did, which outlives it.
        key: whoever asks has to bring it.
        host: address to listen on.
        port: port to listen on; 0: any that is free.
        webhooks_url: where it tells what became of charges and refunds; None: nowhere.
        webhook_secret: webhooks are signed with it.
        faults: what it does wrong.

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
            super().__init__(
                host,
                port,
                body_bytes_max=BODY_BYTES_MAX,
                cannot="the gateway cannot listen on",
                remedy="Name another address with --listen.",
            )
            self._opened = stack.pop_all()
        self._webhooks = (
            Webhooks(webhooks_url, webhook_secret, self._delivered) if webhooks_url else None
        )
        self._api = Api(
            self._book, key, Ordered(faults), self._webhooks, now=lambda: datetime.now(UTC)
        )
        self._flushing: asyncio.Task[None] | None = None

    def serve(self) -> None:
        """Serves until it is shut down, and closes everything."""
        with self._opened:
            if self._webhooks is not None:
                self._webhooks.start(self._book.pages.undelivered.values())
                self._opened.callback(self._webhooks.stop)
            super().serve()

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """Answers once what it did is on disk; or never, or by a lost connection, as ordered."""
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in request.raw_headers
        }
        reply = self._api.answer(Request(request.method, request.raw_path, headers, body))
        await self._on_disk()
        if reply.hangs:
            await self.ending.wait()
        if reply.hangs or reply.lost:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionAbortedError
        return json_response(reply.status, reply.body)

    def told(self, status: HTTPStatus, said: str) -> web.Response:
        """An error, as Stripe tells it."""
        return json_response(status, {"error": {"type": "invalid_request_error", "message": said}})

    async def _on_disk(self) -> None:
        """Waits until all that came in at the same time is on disk, by one flush for all of it."""
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        # Whoever goes away meanwhile breaks it off for none of the others.
        await asyncio.shield(self._flushing)

    async def _flush(self) -> None:
        self._flushing = None
        self._book.flush()

    def _delivered(self, event_id: str) -> None:
        """Called in the thread of the webhooks; too late, it is delivered again."""
        self.call_soon(self._note_delivered, event_id)

    def _note_delivered(self, event_id: str) -> None:
        self._book.note_delivered(event_id)
        asyncio.get_running_loop().call_soon(self._book.flush)
