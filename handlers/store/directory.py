"""Whom an e-mail, ``person:ID`` or ``account:ID`` means."""

from datetime import datetime
from uuid import UUID

from domain.identity import email_key, rut_key
from handlers.store.event_store import EventStore, HeldClaim

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
        if kind == "plan":
            return None
        held = self.held_email(who, at=at)
        return held.holder if held is not None and held.of_account else None

    def person(self, who: str, *, at: datetime) -> UUID | None:
        """The person meant, also one who has no account and was ever invited.

        An e-mail means whoever holds it now, or held it last.
        """
        kind, _, rest = who.partition(":")
        if kind == "person":
            return UUID(rest)
        if kind == "account":
            return self._store.person_of(UUID(rest))
        if kind == "plan":
            return None
        held = self.held_email(who, at=at)
        if held is not None:
            return held.person
        return self._store.vault.person("email", self.email_digest(who))

    def held_email(self, email: str, *, at: datetime) -> HeldClaim | None:
        """Who holds an e-mail, however it is spelled: an account, or an open invitation (A3)."""
        claimed = ("email", self.email_digest(email))
        held = self._store.claims([claimed]).get(claimed)
        return held if held is not None and held.is_live(at) else None

    def email_digest(self, email: str) -> bytes:
        """Digest by which an e-mail is claimed and found."""
        return self._store.vault.digest("email", email_key(email))

    def rut_digest(self, rut: str) -> bytes:
        """Digest by which a RUT is claimed and found."""
        return self._store.vault.digest("rut", rut_key(rut))
