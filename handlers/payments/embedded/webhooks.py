"""The embedded gateway's webhooks: signed as Stripe signs them, sent until they are taken in."""

import hashlib
import heapq
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

__all__ = ["Webhooks", "sign"]

TRIES_MAX = 10
FIRST_WAIT_SECONDS = 0.05
WAIT_SECONDS_MAX = 5.0
TIMEOUT_SECONDS = 10


def sign(body: bytes, secret: str, at: int) -> str:
    """The value of ``Stripe-Signature``.

    Args:
        body: what is sent, to the byte.
        secret: shared with whoever takes it in.
        at: when it is sent, in seconds since 1970.
    """
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signature}"


@dataclass(order=True)
class Errand:
    """A webhook that is on its way.

    Attributes:
        due: not before this, by the monotonic clock.
        tries: how often it was sent in vain.
    """

    due: float
    number: int
    event: dict[str, Any] = field(compare=False)
    tries: int = field(compare=False, default=0)


class Webhooks:
    """Sends webhooks, in a thread of its own.

    What is not taken in is sent again, for as long as tries are left; others go on meanwhile.

    Args:
        url: takes them in.
        secret: they are signed with it.
        delivered: told the id of each event that was taken in, from that thread.
    """

    def __init__(self, url: str, secret: str, delivered: Callable[[str], None]) -> None:
        self._url = url
        self._secret = secret
        self._delivered = delivered
        self._numbers = count()
        self._errands: list[Errand] = []
        self._held: list[dict[str, Any]] = []
        self._behind_next: list[tuple[dict[str, Any], int]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self, undelivered: Iterable[dict[str, Any]]) -> None:
        """Begins to send, with what an earlier gateway did not deliver."""
        for event in undelivered:
            self.offer(event)
        self._thread.start()

    def stop(self) -> None:
        """Ends; what is not delivered stays in the book."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(TIMEOUT_SECONDS + 1)

    def offer(
        self,
        event: dict[str, Any],
        *,
        held: bool = False,
        behind_next: bool = False,
        times: int = 1,
    ) -> None:
        """Has an event sent.

        Args:
            event: what is told.
            held: not before ``release``.
            behind_next: not before the next one.
            times: how often.
        """
        with self._changed:
            if held:
                self._held += [event] * times
            elif behind_next:
                self._behind_next.append((event, times))
            else:
                waited, self._behind_next = self._behind_next, []
                for each, number in [(event, times), *waited]:
                    self._send(each, number)

    def release(self) -> int:
        """Has everything sent that is held back; returns how much that is."""
        with self._changed:
            waited = [*self._held, *(e for e, times in self._behind_next for _ in range(times))]
            self._held, self._behind_next = [], []
            for event in waited:
                self._send(event, 1)
        return len(waited)

    def _send(self, event: dict[str, Any], times: int) -> None:
        for _ in range(times):
            heapq.heappush(
                self._errands, Errand(time.monotonic(), next(self._numbers), event)
            )  # fmt: skip
        self._changed.notify()

    def _run(self) -> None:
        with PoolManager(timeout=TIMEOUT_SECONDS, retries=False) as pool:
            while (errand := self._next()) is not None:
                if self._post(pool, errand.event):
                    self._delivered(errand.event["id"])
                else:
                    self._again(errand)

    def _next(self) -> Errand | None:
        """The next errand that is due; None at the end."""
        with self._changed:
            while not self._ended:
                wait = self._errands[0].due - time.monotonic() if self._errands else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._errands)
                self._changed.wait(wait)
        return None

    def _post(self, pool: PoolManager, event: dict[str, Any]) -> bool:
        body = json.dumps(event, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(body, self._secret, int(time.time())),
        }
        try:
            response = pool.request("POST", self._url, body=body, headers=headers, redirect=False)
        except HTTPError:
            return False
        return 200 <= response.status < 300  # noqa: PLR2004  all that mean: taken in

    def _again(self, errand: Errand) -> None:
        if errand.tries + 1 >= TRIES_MAX:
            return
        wait = min(FIRST_WAIT_SECONDS * 2**errand.tries, WAIT_SECONDS_MAX)
        with self._changed:
            errand.due, errand.tries = time.monotonic() + wait, errand.tries + 1
            heapq.heappush(self._errands, errand)
