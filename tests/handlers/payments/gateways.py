"""Payment gateways for tests: the embedded one over real sockets, and what is asked of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID, uuid4

import urllib3

from domain.money import Currency
from handlers.payments.embedded import EmbeddedGateway, OrderedFault
from handlers.payments.gateway import ChargeOrder, RefundOrder
from handlers.payments.stripe import StripeGateway

__all__ = ["KEY", "NOON", "Desk", "charge", "gateway", "refund"]

KEY = "sk_test_of_these_tests"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNT = f"account:{UUID(int=5)}"
PATIENT_SECONDS = 60
HURRIED_SECONDS = 0.3
"""Short enough to wait for a gateway that hangs."""
CARD = "pm_card_visa"


def charge(payment: UUID | None = None, token: str | None = CARD, **others: Any) -> ChargeOrder:
    """A charge of 9,990 pesos."""
    given: dict[str, Any] = {
        "account": ACCOUNT,
        "attempt": 1,
        "amount_minor": 9990,
        "currency": Currency.CLP,
        "at": NOON,
    }
    return ChargeOrder(payment=payment or uuid4(), token=token, **(given | others))


def refund(reference: str, amount_minor: int = 9990, **others: Any) -> RefundOrder:
    """A refund of what the gateway calls by this name."""
    given: dict[str, Any] = {
        "refund": uuid4(),
        "payment": uuid4(),
        "account": ACCOUNT,
        "currency": Currency.CLP,
        "at": NOON,
    }
    return RefundOrder(gateway_reference=reference, amount_minor=amount_minor, **(given | others))


class Desk:
    """Whoever asks a gateway, by Acta's adapter or by hand.

    Attributes:
        asks: the adapter, which waits for a slow machine.
        hurries: the adapter, which soon gives a gateway up that hangs.
    """

    def __init__(self, url: str, *, key: str = KEY) -> None:
        self.url = url
        self.asks = StripeGateway(url, key, timeout_seconds=PATIENT_SECONDS)
        self.hurries = StripeGateway(url, key, timeout_seconds=HURRIED_SECONDS)
        self._key = key
        self._pool = urllib3.PoolManager(retries=False, timeout=PATIENT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.asks.close()
        self.hurries.close()
        self._pool.clear()

    def by_hand(
        self, method: str, path: str, fields: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, Any]:
        """A request as it is; status and JSON of its answer."""
        response = self._pool.request(
            method,
            self.url + path,
            body=None if fields is None else urlencode(fields),
            headers={
                "Authorization": f"Bearer {self._key}",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )  # fmt: skip
        return response.status, response.json()

    def order(self, fault: str) -> None:
        """Orders a fault."""
        assert self.by_hand("POST", "/faults", {"order": fault})[0] == 200

    def mend(self) -> None:
        """Takes all faults away."""
        assert self.by_hand("DELETE", "/faults") == (200, {"faults": []})

    @property
    def charges(self) -> list[dict[str, Any]]:
        """The charges in the gateway's own book."""
        return list(self.by_hand("GET", "/book")[1]["charges"])

    @property
    def captured(self) -> list[str]:
        """The payments for which money came in, once for each time that it did."""
        return [c["metadata"]["payment"] for c in self.charges if c["status"] == "succeeded"]

    @property
    def refunds(self) -> list[dict[str, Any]]:
        """The refunds in the gateway's own book."""
        return list(self.by_hand("GET", "/book")[1]["refunds"])


@contextmanager
def gateway(book: Path, *faults: str, **options: Any) -> Iterator[Desk]:
    """An embedded gateway in a thread, and somebody who asks it."""
    ordered = [OrderedFault.parse(fault) for fault in faults]
    embedded = EmbeddedGateway(book, KEY, faults=ordered, **options)
    with embedded.in_thread(), Desk(embedded.url) as desk:
        yield desk
