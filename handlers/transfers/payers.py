"""Who pays by a transfer: whom its remittance text names, else who has the payer's RUT."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from domain.subscription import SubscriptionKind, SubscriptionStarted
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore
from handlers.transfers.statement import Transfer

__all__ = ["Payers"]


class Payers:
    """Finds accounts and plans; of a text and a RUT, only the ids remain.

    Args:
        store: the log.
        at: the instant by which it is said who holds an e-mail or a RUT.
    """

    def __init__(self, store: EventStore, at: datetime) -> None:
        self._store = store
        self._directory = Directory(store)
        self._at = at

    def of(self, transfer: Transfer) -> list[str]:
        """Each account and plan that may be meant, as account:ID or plan:ID."""
        if transfer.named:
            return list(dict.fromkeys(filter(None, map(self._named, transfer.named))))
        return [] if transfer.payer_rut is None else list(self._with_rut(transfer.payer_rut))

    def _named(self, who: str) -> str | None:
        if who.startswith("plan:"):
            plan = UUID(who.removeprefix("plan:"))
            return f"plan:{plan}" if self._is_plan(plan) else None
        account = self._directory.account(who, at=self._at)
        return None if account is None else f"account:{account}"

    def _is_plan(self, plan: UUID) -> bool:
        first = self._store.first_of(plan)
        begun = None if first is None else first.event
        return isinstance(begun, SubscriptionStarted) and begun.kind is SubscriptionKind.PLAN

    def _with_rut(self, rut: str) -> Iterator[str]:
        """The account of a person; the RUT of a company is nobody's (A3)."""
        claimed = ("rut", self._directory.rut_digest(rut))
        held = self._store.claims([claimed]).get(claimed)
        if held is not None and held.of_account and held.is_live(self._at):
            yield f"account:{held.holder}"
