"""Takes webhooks in over HTTP, and answers each once it is recorded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock

from aiohttp import web

from handlers.http_service import FAULT, HttpService, json_response
from handlers.workers.webhook_receiver import WebhookAnswer, WebhookReceiver

__all__ = ["WebhookServer"]

SIGNATURE_HEADER = "Stripe-Signature"
BODY_BYTES_MAX = 256 * 1024
THREADS = 8
"""So many are recorded at once; more would wait for a connection to the database."""


class WebhookServer(HttpService):
    """Takes webhooks in until it is shut down; what is at hand then is recorded and answered.

    A webhook is a POST to any path: what makes it one is its signature.

    Args:
        receiver: records them.
        host: the address to listen on.
        port: 0 takes any that is free.
        answered: told each answer, one after the other.

    Raises:
        InvalidInput: it cannot listen there.
    """

    def __init__(
        self,
        receiver: WebhookReceiver,
        host: str,
        port: int,
        *,
        answered: Callable[[WebhookAnswer], None],
    ) -> None:
        super().__init__(
            host,
            port,
            body_bytes_max=BODY_BYTES_MAX,
            cannot="webhooks cannot be taken at",
            remedy="Name another address with --listen.",
        )
        self._receiver = receiver
        self._answered = answered
        self._telling = Lock()
        self._recording = ThreadPoolExecutor(THREADS)

    def serve(self) -> None:
        """Takes webhooks in, and returns once what is at hand at the end is recorded."""
        with self._recording:
            super().serve()

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """Has a webhook recorded."""
        if request.method != "POST":
            return self.told(HTTPStatus.METHOD_NOT_ALLOWED, "webhooks are posted here")
        signature = request.headers.get(SIGNATURE_HEADER, "")
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._recording, self._take, body, signature)
        return self.told(answer.status, answer.said)

    def told(self, status: HTTPStatus, said: str) -> web.Response:
        """A message, as JSON."""
        response = json_response(status, {"message": said})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = "POST"
        return response

    def _take(self, body: bytes, signature: str) -> WebhookAnswer:
        """Also told where its sender has gone away meanwhile."""
        answer = self._received(body, signature)
        with self._telling:
            self._answered(answer)
        return answer

    def _received(self, body: bytes, signature: str) -> WebhookAnswer:
        try:
            return self._receiver.receive(body, signature, now=datetime.now(UTC))
        except Exception as error:  # noqa: BLE001  its own text may hold what was in the webhook
            return WebhookAnswer(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"{FAULT}: {type(error).__name__}"
            )
