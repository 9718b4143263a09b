"""An HTTP service on a socket of its own, run by aiohttp.

What all services share is here: listening, limits, timeouts, ending, and what is no request at all.
What a client sent goes into no log, and into no answer to what is no request.
"""

import asyncio
import json
import socket
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, Self

from aiohttp import web

from handlers.faults import InvalidInput

__all__ = ["FAULT", "HttpService", "json_response"]

BACKLOG = 512
LINGERING_SECONDS = 1.0
"""So long what was refused may still come in, so that its sender hears of that."""
FAULT = "a fault in Acta itself"


def json_response(
    status: int, body: object, *, media_type: str = "application/json"
) -> web.Response:
    """An answer with a body in JSON."""
    return web.Response(status=status, body=json.dumps(body).encode(), content_type=media_type)


class HttpService(ABC):
    """Listens once it is made, and answers from ``serve`` on until ``shutdown``.

    Args:
        host: the address to listen on.
        port: 0 takes any that is free.
        body_bytes_max: a larger body is refused, by its length before it is sent.
        cannot: what is said before the address where it cannot listen.
        remedy: what to do then.

    Attributes:
        request_timeout_seconds: a client that needs longer to send a request is cut off.
        url: where it answers.
        ending: set once it has to end.

    Raises:
        InvalidInput: it cannot listen there.
    """

    request_timeout_seconds: ClassVar[float] = 30

    def __init__(
        self, host: str, port: int, *, body_bytes_max: int, cannot: str, remedy: str
    ) -> None:
        try:
            self._socket = _listening(host, port)
        except OSError as error:
            raise InvalidInput(f"{cannot} {host}:{port}: {error.strerror}", remedy=remedy) from None
        self.url = _url(self._socket)
        self.ending = asyncio.Event()
        self.body_bytes_max = body_bytes_max
        self._serving = threading.Event()
        self._coming_in: set[asyncio.Timeout] = set()

    @abstractmethod
    async def answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """The answer to a request; it is broken off where the client goes away."""

    @abstractmethod
    def told(self, status: HTTPStatus, said: str) -> web.Response:
        """What has to be said, in the form in which this service says it."""

    def serve(self) -> None:
        """Serves until it is shut down; what is at hand then is still answered."""
        asyncio.run(self._serve())

    def shutdown(self) -> None:
        """Has it end, from any thread."""
        self.call_soon(self.ending.set)

    @contextmanager
    def in_thread(self) -> Generator[Self]:
        """Serves in a thread meanwhile."""
        thread = threading.Thread(target=self.serve, name=type(self).__name__, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Has something called where requests are answered, from any thread, once it serves."""
        self._serving.wait()
        # It may have ended, and then there is nothing to do any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        runner = web.ServerRunner(_Server(self), shutdown_timeout=self.request_timeout_seconds)
        await runner.setup()
        await web.SockSite(runner, self._socket, backlog=BACKLOG).start()
        self._serving.set()
        await self.ending.wait()
        # From here on the library takes nothing more in, not even the rest of what has begun.
        for limit in self._coming_in:
            if not limit.expired():
                limit.reschedule(self._loop.time())
        await runner.cleanup()

    # ------------------------------------------------------------ for its connections

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Reads a request whole, and answers it."""
        # In chunks it says no length, and what is broken in them the library would wait out.
        if "Transfer-Encoding" in request.headers:
            return self.refusal(HTTPStatus.LENGTH_REQUIRED)
        if (request.content_length or 0) > self.body_bytes_max:
            return self.refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            body = await self._read(request)
        except TimeoutError:
            return self.refusal(HTTPStatus.REQUEST_TIMEOUT)
        return _named(await self.answer(request, body))

    def refusal(self, status: HTTPStatus) -> web.Response:
        """Says no, and ends the connection."""
        response = _named(self.told(status, status.phrase))
        response.force_close()
        return response

    async def _read(self, request: web.BaseRequest) -> bytes:
        if request.content.is_eof():
            return await request.read()
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seconds = 0 if self.ending.is_set() else self.request_timeout_seconds
        async with asyncio.timeout(seconds) as limit:
            self._coming_in.add(limit)
            try:
                return await request.read()
            finally:
                self._coming_in.discard(limit)


class _Server(web.Server):
    """Makes the connections of a service; a request ends with its client."""

    def __init__(self, service: HttpService) -> None:
        self._service = service
        loop = asyncio.get_running_loop()
        requests = partial(web.BaseRequest, loop=loop, client_max_size=service.body_bytes_max)
        super().__init__(service.handle, request_factory=requests, handler_cancellation=True)

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._service)


class _Connection(web.RequestHandler):
    """Answers what is no request in the form of the service, and nothing of it into a log."""

    __slots__ = ("_service",)

    def __init__(self, server: web.Server, service: HttpService) -> None:
        self._service = service
        options: dict[str, Any] = {
            "loop": asyncio.get_running_loop(),
            "keepalive_timeout": service.request_timeout_seconds,
            "lingering_time": LINGERING_SECONDS,
            "auto_decompress": False,  # a limit of bytes is one of bytes, and a signature, too
            "access_log": None,
        }
        super().__init__(server, **options)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Both what is no HTTP and a fault of Acta itself; texts of either may hold anything."""
        del request, message
        ours = status == HTTPStatus.INTERNAL_SERVER_ERROR
        # A client that goes away in the middle is nobody's fault.
        if ours and exc is not None and not isinstance(exc, ConnectionError):
            *_, place = traceback.extract_tb(exc.__traceback__)
            file = Path(place.filename).name
            self.logger.error("%s: %s at %s:%s", FAULT, type(exc).__name__, file, place.lineno)
        return self._service.refusal(HTTPStatus(status))


def _named(response: web.Response) -> web.Response:
    """Without the versions of its parts, which the library would tell."""
    response.headers["Server"] = "acta"
    return response


def _listening(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
