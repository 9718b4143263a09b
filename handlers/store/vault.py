"""The vault: a key per person and purpose, and digests by which persons are found (D7, D10).

Keys stand in the database wrapped by a key-encryption key, which stands outside it. Erasing a
person deletes the keys; rotating makes old copies of the database useless for whoever is gone.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, ParamSpec, TypeAlias, TypeVar
from uuid import UUID, uuid4, uuid5

from psycopg import Connection
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from domain.personal import Purpose, Sealed
from handlers.faults import KeyMissing
from handlers.store.arrays import Byteas, Texts, Uuids
from handlers.store.database import Database, reachable
from handlers.store.key_folder import KEY_BYTES, KeyFolder
from handlers.store.sealing import (
    NONCE_BYTES,
    AesGcmSiv,
    Cipher,
    Header,
    NotOpened,
    open_sealed,
    read_header,
    seal,
)

__all__ = ["DataKey", "NewKey", "Rotation", "Vault"]

P = ParamSpec("P")
R = TypeVar("R")

KeyOwner: TypeAlias = tuple[UUID, Purpose]
"""Whose key, and what for."""

KEY_LIFETIME_SECONDS = 60
"""No process keeps an unwrapped key longer, so that an erasure reaches everywhere within it."""

INDEX_SECRET = "index"  # noqa: S105  a name, not a secret
INPUT_SECRET = "input"  # noqa: S105  a name, not a secret


@dataclass(frozen=True, slots=True)
class DataKey:
    """An unwrapped key of a person for a purpose."""

    id: UUID
    generation: int
    key: bytes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is written, wrapped, together with the first event that needs it."""

    id: UUID
    person: UUID
    purpose: Purpose
    generation: int
    key_encryption_key: UUID
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation of the key-encryption key did."""

    successor: UUID
    keys_wrapped: int
    keys_destroyed: int
    key_files_destroyed: int


class ExpiringKeys:
    """Unwrapped keys, all forgotten a minute after the first of them came in."""

    def __init__(self, lifetime_seconds: float = KEY_LIFETIME_SECONDS) -> None:
        self._lifetime_seconds = lifetime_seconds
        self._keys: dict[object, DataKey | bytes] = {}
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def get(self, name: object) -> DataKey | bytes | None:
        """The key by this name, if it is still known."""
        return self._keys.get(name)

    def put(self, name: object, key: DataKey | bytes) -> None:
        """Remembers a key for a minute at most."""
        with self._lock:
            self._keys[name] = key
            if self._timer is None:
                self._timer = threading.Timer(self._lifetime_seconds, self.forget)
                self._timer.daemon = True
                self._timer.start()

    def forget(self) -> None:
        """Forgets everything now."""
        with self._lock:
            self._keys.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None


def _despite_rotation(look: Callable[P, R]) -> Callable[P, R]:
    """Looks again: a rotation may have come between a look at the database and at the folder."""
    return retry(
        retry=retry_if_exception_type(KeyMissing), stop=stop_after_attempt(3), reraise=True
    )(look)


class Vault:
    """Seals, opens and digests personal values.

    Args:
        database: holds the wrapped keys.
        folder: holds the key-encryption keys.
        cipher: the encryption; tests swap it to see that it is what protects.

    Raises:
        KeyMissing: the key-encryption key of this database is not in the folder.
        FolderUnusable: a first key cannot be written.
    """

    def __init__(self, database: Database, folder: KeyFolder, cipher: Cipher | None = None) -> None:
        self._database = database
        self._folder = folder
        self._cipher = cipher or AesGcmSiv()
        self._known = ExpiringKeys()
        if self._current() is None:
            self._found()
        self._secret(INDEX_SECRET)

    # ------------------------------------------------------------ digests

    def digest(self, kind: str, key_text: str) -> bytes:
        """Keyed digest of a normalised e-mail, RUT or phone, which nobody can guess."""
        return self._hmac(INDEX_SECRET, f"{kind}:{key_text}".encode())

    def input_digest(self, canonical: bytes) -> bytes:
        """Keyed digest of a command's canonical form (decision 6)."""
        return self._hmac(INPUT_SECRET, canonical)

    def _hmac(self, secret_name: str, data: bytes) -> bytes:
        return hmac.new(self._secret(secret_name), data, hashlib.sha256).digest()

    # ------------------------------------------------------------ keys of persons

    def keys_for(self, wanted: Iterable[KeyOwner]) -> tuple[dict[KeyOwner, DataKey], list[NewKey]]:
        """The newest key for each person and purpose, and which of them are yet to be written."""
        owners = set(wanted)
        keys = {owner: key for owner in owners if (key := self._remembered(owner)) is not None}
        if unknown := owners - keys.keys():
            keys |= self._load_keys(unknown)
        if missing := owners - keys.keys():
            made = self._make_keys(missing)
            keys |= {owner: key for owner, (key, _) in made.items()}
            return keys, [new for _, new in made.values()]
        return keys, []

    def seal(self, text: str, key: DataKey, event_id: UUID, field: str) -> Sealed:
        """Seals a personal value for one field of one event."""
        header = Header(key.id, key.generation, event_id, field, secrets.token_bytes(NONCE_BYTES))
        return seal(text, header, key.key, self._cipher)

    def open(self, sealed: Sealed, *, event_id: UUID, field: str) -> str | None:
        """Opens a sealed value; None when the person has been erased.

        Raises:
            NotOpened: the value was sealed for another event or field, or altered.
        """
        key = self._key_by_id(read_header(sealed).key_id)
        if key is None:
            return None
        return open_sealed(sealed, key.key, self._cipher, event_id=event_id, field=field)

    def has_key(self, sealed: Sealed) -> bool:
        """Whether the key of a value is still there: by the database, whatever is remembered.

        Raises:
            NotOpened: it is no sealed value of a known format.
        """
        with reachable(), self._database.connection() as connection:
            row = connection.execute(
                "SELECT FROM vault.keys WHERE id = %s", (read_header(sealed).key_id,)
            ).fetchone()
        return row is not None

    def person(self, kind: str, digest: bytes) -> UUID | None:
        """Whom an e-mail or RUT belongs to, by its digest."""
        return self.persons(kind, [digest]).get(digest)

    def persons(self, kind: str, digests: Sequence[bytes]) -> dict[bytes, UUID]:
        """Whom e-mails or RUTs belong to, by their digests; those of nobody are left out."""
        with reachable(), self._database.connection() as connection:
            rows = connection.execute(
                # Row by row (LATERAL and LIMIT), so that each is found by the index.
                "SELECT w.digest, p.person FROM unnest(%b::bytea[]) AS w(digest)"
                " CROSS JOIN LATERAL (SELECT person FROM vault.people"
                "                     WHERE kind = %s AND digest = w.digest LIMIT 1) AS p",
                (Byteas(digests), kind),
            ).fetchall()
        return {bytes(digest): person for digest, person in rows}

    def knows(self, person: UUID) -> bool:
        """Whether somebody is known by this id, and not erased."""
        with reachable(), self._database.connection() as connection:
            row = connection.execute(
                "SELECT FROM vault.people WHERE person = %s LIMIT 1", (person,)
            ).fetchone()
        return row is not None

    def digests_of(self, person: UUID, kind: str) -> set[bytes]:
        """The digests by which a person is found, of one kind."""
        return self.digests_of_persons([person], kind)[person]

    def digests_of_persons(self, persons: Iterable[UUID], kind: str) -> dict[UUID, set[bytes]]:
        """The digests by which each of the persons is found, of one kind; empty where by none."""
        found: dict[UUID, set[bytes]] = {person: set() for person in persons}
        with reachable(), self._database.connection() as connection:
            rows = connection.execute(
                # Person by person (LATERAL and OFFSET), so that each is found by the index.
                "SELECT w.person, p.digest FROM unnest(%b::uuid[]) AS w(person)"
                " CROSS JOIN LATERAL (SELECT digest FROM vault.people"
                "                     WHERE person = w.person AND kind = %s OFFSET 0) AS p",
                (Uuids(found), kind),
            ).fetchall()
        for person, digest in rows:
            found[person].add(bytes(digest))
        return found

    def forget(self) -> None:
        """Forgets every unwrapped key now."""
        self._known.forget()

    # ------------------------------------------------------------ rotation

    def rotate(self, today: date, progress: Callable[[int], None] = lambda _: None) -> Rotation:
        """Wraps the living keys anew and destroys the old key-encryption key.

        Killed at any point it is simply run again: the old key goes only once nothing needs it.

        Args:
            today: keys whose legal term ended before this day are destroyed first.
            progress: told how many keys have been wrapped so far.
        """
        with reachable(), self._database.connection() as connection, _one_at_a_time(connection):
            destroyed = self._destroy_due(connection, today)
            while (wrapped := self._hand_over(connection, progress)) is None:
                pass
            self.forget()
            unneeded = self._folder.ids() & self._retired(connection)
            for key_id in unneeded:
                self._folder.destroy(key_id)
        successor, keys = wrapped
        return Rotation(successor, keys, destroyed, len(unneeded))

    def _hand_over(
        self, connection: Connection, progress: Callable[[int], None]
    ) -> tuple[UUID, int] | None:
        """The successor, and how many keys it wraps; None when a key came or went meanwhile."""
        retired = self._current()
        assert retired is not None  # noqa: S101  founded when the vault was opened
        # Made from the id it follows, so that what a killed rotation left is replaced.
        successor = uuid5(retired, "successor")
        self._folder.destroy(successor)
        old, new = self._folder.read(retired), self._folder.create(successor)
        keys, named = self._wrap_all(connection, old, new, progress)
        # On the connection that holds the lock: lost with it, the rotation cannot take effect.
        row = connection.execute(
            "SELECT vault.rotate(%s, %s, %b::uuid[], %b::bytea[], %b::text[], %b::bytea[])",
            (
                retired,
                successor,
                list(keys),
                list(keys.values()),
                list(named),
                list(named.values()),
            ),
        ).fetchone()
        return (successor, len(keys)) if row and row[0] else None

    def _wrap_all(
        self, connection: Connection, old: bytes, new: bytes, progress: Callable[[int], None]
    ) -> tuple[dict[UUID, bytes], dict[str, bytes]]:
        """Every key by id and every secret by name, wrapped anew."""
        keys: dict[UUID, bytes] = {}
        for key_id, person, purpose, generation, wrapped in connection.execute(
            "SELECT id, person, purpose, generation, wrapped FROM vault.keys"
        ):
            place = _place(key_id, person, purpose, generation)
            keys[key_id] = self._wrap(self._unwrap(wrapped, old, place), new, place)
            progress(len(keys))
        named = {
            name: self._wrap(self._unwrap(wrapped, old, name.encode()), new, name.encode())
            for name, wrapped in connection.execute("SELECT name, wrapped FROM vault.secrets")
        }
        return keys, named

    def _destroy_due(self, connection: Connection, today: date) -> int:
        row = connection.execute("SELECT vault.destroy_due_keys(%s)", (today,)).fetchone()
        return int(row[0]) if row else 0

    def _retired(self, connection: Connection) -> set[UUID]:
        rows = connection.execute(
            "SELECT id FROM vault.key_encryption_keys WHERE retired_at IS NOT NULL"
        ).fetchall()
        return {key_id for (key_id,) in rows}

    # ------------------------------------------------------------ wrapping

    def _current(self) -> UUID | None:
        with reachable(), self._database.connection() as connection:
            row = connection.execute(
                "SELECT id FROM vault.key_encryption_keys WHERE retired_at IS NULL"
            ).fetchone()
        return row[0] if row else None

    def _found(self) -> None:
        """Makes the first key-encryption key; whoever is second uses the first one's."""
        key_id = uuid4()
        key = self._folder.create(key_id)
        names = [INDEX_SECRET, INPUT_SECRET]
        wrapped = [self._wrap(secrets.token_bytes(KEY_BYTES), key, name.encode()) for name in names]
        with reachable(), self._database.connection() as connection:
            connection.execute(
                "SELECT vault.keep_secrets(%s, %b::text[], %b::bytea[])", (key_id, names, wrapped)
            )
        if self._current() != key_id:
            self._folder.destroy(key_id)

    def _secret(self, name: str) -> bytes:
        known = self._known.get(name)
        return known if isinstance(known, bytes) else self._load_secret(name)

    @_despite_rotation
    def _load_secret(self, name: str) -> bytes:
        with reachable(), self._database.connection() as connection:
            row = connection.execute(
                "SELECT key_encryption_key, wrapped FROM vault.secrets WHERE name = %s", (name,)
            ).fetchone()
        if row is None:
            raise KeyMissing(
                "the vault of this database is not founded whole",
                remedy="Bring back a copy of the database and its folder of keys.",
            )
        secret = self._unwrap(row[1], self._encryption_key(row[0]), name.encode())
        self._known.put(name, secret)
        return secret

    def _remembered(self, name: KeyOwner | UUID) -> DataKey | None:
        known = self._known.get(name)
        return known if isinstance(known, DataKey) else None

    def _key_by_id(self, key_id: UUID) -> DataKey | None:
        return self._remembered(key_id) or self._load_keys_by_id({key_id}).get(key_id)

    @_despite_rotation
    def _load_keys(self, owners: set[KeyOwner]) -> dict[KeyOwner, DataKey]:
        """The newest stored key of each person and purpose that has one."""
        with reachable(), self._database.connection() as connection:
            rows = connection.execute(
                # One by one (LATERAL and LIMIT), so that each is found by the index.
                "SELECT k.* FROM unnest(%b::uuid[], %b::text[]) AS w(person, purpose)"
                " CROSS JOIN LATERAL ("
                "     SELECT id, person, purpose, generation, key_encryption_key, wrapped"
                "     FROM vault.keys WHERE person = w.person AND purpose = w.purpose"
                "     ORDER BY generation DESC LIMIT 1) AS k",
                (
                    Uuids(person for person, _ in owners),
                    Texts(purpose.value for _, purpose in owners),
                ),
            ).fetchall()
        return {(row[1], Purpose(row[2])): self._unwrapped(row) for row in rows}

    def _unwrapped(self, row: tuple[Any, ...]) -> DataKey:
        """A stored key, which is remembered from now on."""
        key_id, person, purpose, generation, encryption_key_id, wrapped = row
        place = _place(key_id, person, purpose, generation)
        unwrapped = self._unwrap(wrapped, self._encryption_key(encryption_key_id), place)
        key = DataKey(key_id, generation, unwrapped)
        self._known.put(key_id, key)
        self._known.put((person, Purpose(purpose)), key)
        return key

    @_despite_rotation
    def _make_keys(self, owners: set[KeyOwner]) -> dict[KeyOwner, tuple[DataKey, NewKey]]:
        """A first key for each person and purpose, all under one key-encryption key."""
        current = self._current()
        assert current is not None  # noqa: S101  founded when the vault was opened
        encryption_key = self._encryption_key(current)
        made: dict[KeyOwner, tuple[DataKey, NewKey]] = {}
        for person, purpose in owners:
            key = DataKey(uuid4(), 1, secrets.token_bytes(KEY_BYTES))
            place = _place(key.id, person, purpose.value, key.generation)
            wrapped = self._wrap(key.key, encryption_key, place)
            new = NewKey(key.id, person, purpose, key.generation, current, wrapped)
            made[person, purpose] = key, new
        return made

    def _encryption_key(self, key_id: UUID) -> bytes:
        known = self._known.get(("encryption", key_id))
        if isinstance(known, bytes):
            return known
        key = self._folder.read(key_id)
        self._known.put(("encryption", key_id), key)
        return key

    def _wrap(self, key: bytes, encryption_key: bytes, place: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AesGcmSiv().encrypt(encryption_key, nonce, key, place)

    def _unwrap(self, wrapped: bytes, encryption_key: bytes, place: bytes) -> bytes:
        try:
            return AesGcmSiv().decrypt(
                encryption_key, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], place
            )
        except NotOpened:
            raise KeyMissing(
                "the key-encryption key does not fit this database",
                remedy="Bring back the folder of keys of this database, or name it with ACTA_KEYS.",
            ) from None

    # ------------------------------------------------------------ many at once

    def open_many(self, wanted: Sequence[tuple[Sealed, UUID, str]]) -> list[str | None]:
        """Opens values with one look at the keys; None for each whose person has been erased.

        Args:
            wanted: each value, with the event and the field that it was sealed for.

        Raises:
            NotOpened: a value was sealed for another event or field, or altered.
        """
        key_ids = [read_header(sealed).key_id for sealed, _, _ in wanted]
        keys = {
            key_id: key for key_id in set(key_ids) if (key := self._remembered(key_id)) is not None
        }
        if unknown := set(key_ids) - keys.keys():
            keys |= self._load_keys_by_id(unknown)
        return [
            open_sealed(sealed, keys[key_id].key, self._cipher, event_id=event_id, field=field)
            if key_id in keys
            else None
            for key_id, (sealed, event_id, field) in zip(key_ids, wanted, strict=True)
        ]

    @_despite_rotation
    def _load_keys_by_id(self, key_ids: set[UUID]) -> dict[UUID, DataKey]:
        with reachable(), self._database.connection() as connection:
            rows = connection.execute(
                "SELECT id, person, purpose, generation, key_encryption_key, wrapped"
                " FROM vault.keys WHERE id = ANY(%b::uuid[])",
                (Uuids(key_ids),),
            ).fetchall()
        return {row[0]: self._unwrapped(row) for row in rows}


@contextmanager
def _one_at_a_time(connection: Connection) -> Generator[None]:
    """One rotation at a time; the lock goes with the connection, however that ends."""
    connection.execute("SELECT pg_advisory_lock(1633907813)")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(1633907813)")


def _place(key_id: UUID, person: UUID, purpose: str, generation: int) -> bytes:
    return f"{key_id}|{person}|{purpose}|{generation}".encode()
