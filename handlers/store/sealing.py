"""The form of a sealed value (decision 10).

A sealed value is self-contained::

    format 1 | key id 16 | generation 2 | event id 16 | length of field 1 | field | nonce 12 | text

All but the encrypted text is associated data, so that a value copied to another event or field
does not open there.
"""

import struct
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from domain.personal import Sealed

__all__ = ["AesGcmSiv", "Cipher", "Header", "NotOpened", "open_sealed", "read_header", "seal"]

FORMAT = 1
NONCE_BYTES = 12
_FIXED = struct.Struct(">B16sH16sB")


class NotOpened(Exception):  # noqa: N818  an outcome that callers answer, not a program error
    """The value belongs to another event or field, or was altered."""


class Cipher(Protocol):
    """Authenticated encryption; tests swap it to see that it is what protects."""

    def encrypt(self, key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Encrypts, and authenticates the associated data too."""
        ...

    def decrypt(self, key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Decrypts.

        Raises:
            NotOpened: another key, other associated data, or altered.
        """
        ...


class AesGcmSiv:
    """AES-256-GCM-SIV, which stays safe should a nonce ever repeat (RFC 8452)."""

    def encrypt(self, key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Encrypts, and authenticates the associated data too."""
        return AESGCMSIV(key).encrypt(nonce, data, associated)

    def decrypt(self, key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Decrypts.

        Raises:
            NotOpened: another key, other associated data, or altered.
        """
        try:
            return AESGCMSIV(key).decrypt(nonce, data, associated)
        except InvalidTag:
            raise NotOpened from None


@dataclass(frozen=True, slots=True)
class Header:
    """What a sealed value says of itself."""

    key_id: UUID
    generation: int
    event_id: UUID
    field: str
    nonce: bytes

    def to_bytes(self) -> bytes:
        """The associated data."""
        field = self.field.encode()
        fixed = _FIXED.pack(
            FORMAT, self.key_id.bytes, self.generation, self.event_id.bytes, len(field)
        )
        return fixed + field + self.nonce


def seal(text: str, header: Header, key: bytes, cipher: Cipher) -> Sealed:
    """Seals a text under a key, for one field of one event."""
    associated = header.to_bytes()
    return Sealed(associated + cipher.encrypt(key, header.nonce, text.encode(), associated))


def read_header(sealed: Sealed) -> Header:
    """What the value says of itself.

    Raises:
        NotOpened: it is no sealed value of a known format.
    """
    token = sealed.token
    if len(token) < _FIXED.size or token[0] != FORMAT:
        raise NotOpened
    _, key_id, generation, event_id, length = _FIXED.unpack_from(token)
    end = _FIXED.size + length
    nonce = token[end : end + NONCE_BYTES]
    if len(nonce) < NONCE_BYTES:
        raise NotOpened
    try:
        field = token[_FIXED.size : end].decode()
    except UnicodeDecodeError:
        raise NotOpened from None
    return Header(UUID(bytes=key_id), generation, UUID(bytes=event_id), field, nonce)


def open_sealed(sealed: Sealed, key: bytes, cipher: Cipher, *, event_id: UUID, field: str) -> str:
    """Opens a value, which must have been sealed for this very event and field.

    Raises:
        NotOpened: it was sealed for another, or altered.
    """
    header = read_header(sealed)
    if (header.event_id, header.field) != (event_id, field):
        raise NotOpened
    associated = header.to_bytes()
    data = sealed.token[len(associated) :]
    return cipher.decrypt(key, header.nonce, data, associated).decode()
