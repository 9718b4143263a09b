"""Arrays of one known type, sent as binary.

Of a plain list psycopg looks at each item to find its type, which takes longer than all the rest
that a program does to append an event.
"""

import struct
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from psycopg import adapters
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

__all__ = ["Bigints", "Byteas", "Texts", "Uuids"]

_EMPTY = struct.Struct("!iiI")
_HEAD = struct.Struct("!iiIii")
_LENGTH = struct.Struct("!i")
_BIGINT = struct.Struct("!q")


class Bigints(list[int]):
    """``bigint[]``."""


class Byteas(list[bytes]):
    """``bytea[]``."""


class Texts(list[str]):
    """``text[]``."""


class Uuids(list[UUID]):
    """``uuid[]``."""


def _encoded(item_oid: int, items: Sequence[bytes]) -> bytes:
    """The form of array_send: dimensions, no nulls, type; size, first index; length and item."""
    if not items:
        return _EMPTY.pack(0, 0, item_oid)
    parts = [_HEAD.pack(1, 0, item_oid, len(items), 1)]
    for item in items:
        parts += (_LENGTH.pack(len(item)), item)
    return b"".join(parts)


class _ArrayDumper(Dumper):
    format = Format.BINARY
    item_oid: ClassVar[int]


class _BigintsDumper(_ArrayDumper):
    oid, item_oid = adapters.types["int8"].array_oid, adapters.types["int8"].oid

    def dump(self, obj: Bigints) -> Buffer:
        return _encoded(self.item_oid, [_BIGINT.pack(item) for item in obj])


class _ByteasDumper(_ArrayDumper):
    oid, item_oid = adapters.types["bytea"].array_oid, adapters.types["bytea"].oid

    def dump(self, obj: Byteas) -> Buffer:
        return _encoded(self.item_oid, obj)


class _TextsDumper(_ArrayDumper):
    oid, item_oid = adapters.types["text"].array_oid, adapters.types["text"].oid

    def dump(self, obj: Texts) -> Buffer:
        return _encoded(self.item_oid, [item.encode() for item in obj])


class _UuidsDumper(_ArrayDumper):
    oid, item_oid = adapters.types["uuid"].array_oid, adapters.types["uuid"].oid

    def dump(self, obj: Uuids) -> Buffer:
        return _encoded(self.item_oid, [item.bytes for item in obj])


for _kind, _dumper in (
    (Bigints, _BigintsDumper),
    (Byteas, _ByteasDumper),
    (Texts, _TextsDumper),
    (Uuids, _UuidsDumper),
):
    adapters.register_dumper(_kind, _dumper)
