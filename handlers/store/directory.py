"""Whom an e-mail, ``person:ID`` or ``account:ID`` means."""

from datetime import datetime
from uuid import UUID

from domain.identity import email_key, rut_key
from handlers.store.event_store import EventStore

__all__ = ["Directory"]


class Directory:
    """Finds accounts and persons by digest; nobody's address is kept in clear.

    Args:
        store: holds the claims and the vault.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def account(self, who: str, *, at: datetime) -> UUID | None:
        """The account meant: an e-mail means whoever holds it now; a person, their latest one."""
        kind, _, rest = who.partition(":")
        if kind == "account":
            account = UUID(rest)
            return account if self._store.is_account(account) else None
        if kind == "person":
            accounts = self._store.accounts_of(UUID(rest))
            return accounts[-1] if accounts else None
        return self.holder_of_email(who, at=at)

    def holder_of_email(self, email: str, *, at: datetime) -> UUID | None:
        """The account that holds an e-mail, however it is spelled (A3)."""
        return self._store.holder("email", self.email_digest(email), at=at)

    def holder_of_rut(self, rut: str, *, at: datetime) -> UUID | None:
        """The account that holds a RUT, however it is spelled (A3)."""
        return self._store.holder("rut", self.rut_digest(rut), at=at)

    def email_digest(self, email: str) -> bytes:
        """Digest by which an e-mail is claimed and found."""
        return self._store.vault.digest("email", email_key(email))

    def rut_digest(self, rut: str) -> bytes:
        """Digest by which a RUT is claimed and found."""
        return self._store.vault.digest("rut", rut_key(rut))
