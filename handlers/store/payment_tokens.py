"""What a gateway calls the cards of payers: in the vault alone, sealed, and gone with the person.

A token is sealed under its person's identity key for its very subscription, so that a row copied to
another opens nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from domain.personal import Purpose, Sealed
from handlers.store.arrays import Uuids
from handlers.store.database import Database, reachable
from handlers.store.sealing import NotOpened
from handlers.store.vault import DataKey, KeyOwner, Vault

__all__ = ["KeptToken", "PaymentTokens", "SealedToken", "seal_tokens", "token_keys"]

FIELD = "card_token"


@dataclass(frozen=True, slots=True)
class KeptToken:
    """The card that a subscription is charged to from now on.

    Attributes:
        person: whose card it is; of a plan, its institution.
        token: what the gateway calls it; None takes the one that was kept away.
    """

    subscription: UUID
    person: UUID
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token as it is written."""

    subscription: UUID
    person: UUID
    sealed: bytes | None


class PaymentTokens:
    """Finds the cards that subscriptions are charged to.

    Args:
        database: in the application's role.
        vault: opens them.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def of(self, subscriptions: Iterable[UUID]) -> dict[UUID, str | NotOpened]:
        """The token of each subscription; those for which none is kept are left out.

        One that was altered, or copied from another, is told as such: the others open all the same.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with reachable(), self._database.connection() as connection:
            rows = connection.cursor(binary=True).execute(
                "SELECT subscription, sealed FROM vault.payment_tokens"
                " WHERE subscription = ANY(%b::uuid[])",
                (Uuids(subscriptions),),
            ).fetchall()  # fmt: skip
        wanted = [(Sealed(sealed), subscription, FIELD) for subscription, sealed in rows]
        opened = zip(rows, self._open(wanted), strict=True)
        # Whoever was erased between the two looks has no key any more.
        return {subscription: token for (subscription, _), token in opened if token is not None}

    def _open(self, wanted: Sequence[tuple[Sealed, UUID, str]]) -> Sequence[str | NotOpened | None]:
        try:
            return self._vault.open_many(wanted)
        except NotOpened as altered:
            if len(wanted) == 1:
                return [altered]
        return [opened for each in wanted for opened in self._open([each])]


def token_keys(tokens: Iterable[KeptToken]) -> set[KeyOwner]:
    """Whose keys the tokens are sealed under."""
    return {(kept.person, Purpose.IDENTITY) for kept in tokens if kept.token is not None}


def seal_tokens(
    tokens: Iterable[KeptToken], keys: Mapping[KeyOwner, DataKey], vault: Vault
) -> list[SealedToken]:
    """The tokens as they are written, under keys that were asked for by ``token_keys``."""
    return [
        SealedToken(kept.subscription, kept.person, _seal(kept, keys, vault)) for kept in tokens
    ]


def _seal(kept: KeptToken, keys: Mapping[KeyOwner, DataKey], vault: Vault) -> bytes | None:
    if kept.token is None:
        return None
    key = keys[kept.person, Purpose.IDENTITY]
    return vault.seal(kept.token, key, kept.subscription, FIELD).token
