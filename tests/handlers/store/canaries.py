"""Looks for values that must be nowhere in clear, in every spelling and encoding."""

import base64
import math
import random
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection, sql

from tests.handlers.store.stories import random_phone, random_rut

__all__ = ["Canaries", "Canary", "files_of", "tables_of"]


@dataclass(frozen=True)
class Canary:
    """A value that exists nowhere else, and the texts by which it might give itself away."""

    text: str
    spellings: frozenset[str]

    @classmethod
    def word(cls, chance: random.Random) -> "Canary":
        """Sixteen letters, as a name begins with a capital."""
        text = "".join(chance.choices(string.ascii_lowercase, k=16)).capitalize()
        return cls(text, frozenset({text, text.lower(), text.upper(), text.swapcase()}))

    @classmethod
    def rut(cls, chance: random.Random) -> "Canary":
        """A valid RUT: with and without dots, dash, and capital."""
        text = random_rut(chance)
        body, digit = text.split("-")
        dotted = f"{body[:-6]}.{body[-6:-3]}.{body[-3:]}"
        spellings = {
            number + dash + end
            for number in (body, dotted)
            for dash in ("", "-")
            for end in (digit.lower(), digit.upper())
        }
        return cls(text, frozenset(spellings))

    @classmethod
    def phone(cls, chance: random.Random) -> "Canary":
        """A valid mobile number: with and without its country code, spaces and dashes."""
        text = random_phone(chance)
        nine, first, last = text[3:4], text[4:8], text[8:]
        national = {gap.join((nine, first, last)) for gap in ("", " ", "-")}
        spellings = {
            code + gap + number for number in national for code in ("", "56", "+56") for gap in " -"
        }
        return cls(text, frozenset({text, text[1:], *national, *spellings}))

    @classmethod
    def secret(cls, key: bytes) -> "Canary":
        """A key, which is to be found as its bytes; see ``Canaries``."""
        return cls(key.hex(), frozenset({key.decode("latin-1")}))

    def needles(self) -> Iterator[bytes]:
        """Its spellings in every encoding."""
        for spelling in self.spellings:
            yield from _encoded(spelling)


def _encoded(text: str) -> Iterator[bytes]:
    plain = text.encode("latin-1")
    yield plain
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for offset in range(3):
        # What comes before and after shifts and blurs the first and last characters.
        first, last = math.ceil(offset * 8 / 6), (offset + len(plain)) * 8 // 6
        padded = bytes(offset) + plain
        yield base64.b64encode(padded)[first:last]
        yield base64.urlsafe_b64encode(padded)[first:last]


class Canaries:
    """Several canaries, looked for all at once.

    Args:
        canaries: by what they are.
    """

    WORD_BYTES = 4

    def __init__(self, canaries: dict[str, Canary]) -> None:
        self._needles = {
            needle: name for name, canary in canaries.items() for needle in canary.needles()
        }
        # Whatever place a needle stands at, one of its first four words is aligned there.
        self._by_word: dict[int, set[bytes]] = {}
        for needle in self._needles:
            for start in range(self.WORD_BYTES):
                word = needle[start : start + self.WORD_BYTES]
                number = memoryview(word).cast("I")[0]
                self._by_word.setdefault(number, set()).add(needle)

    def found_in(self, places: Iterable[tuple[str, bytes]]) -> dict[str, set[str]]:
        """The canaries that are somewhere, and where."""
        found: dict[str, set[str]] = {}
        for place, data in places:
            for needle in self._possible(data):
                if needle in data:
                    found.setdefault(self._needles[needle], set()).add(place)
        return found

    def _possible(self, data: bytes) -> set[bytes]:
        aligned = data + bytes(-len(data) % self.WORD_BYTES)
        words = self._by_word.keys() & set(memoryview(aligned).cast("I"))
        return {needle for word in words for needle in self._by_word[word]}


# ---------------------------------------------------------------- where to look

PIECE_BYTES = 1024 * 1024
OVERLAP_BYTES = 256
"""More than any needle is long."""


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file under a folder, in overlapping pieces; what vanishes meanwhile is passed over."""
    seen: set[bytes] = set()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES + OVERLAP_BYTES]
            # Databases begin as copies of one another, and logs as zeros.
            if piece not in seen:
                seen.add(piece)
                yield str(path.relative_to(folder)), piece


def tables_of(administrator: Connection) -> Iterator[tuple[str, bytes]]:
    """Every row of every table and view of every schema, as text, binary columns decoded too."""
    relations = administrator.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'v', 'm', 'p', 't', 'S')"
        # About the machine's memory alone, and not every machine can tell.
        " AND c.relname <> 'pg_shmem_allocations_numa' ORDER BY 1, 2"
    ).fetchall()
    for schema, name in relations:
        every_column = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(
            sql.Identifier(schema, name)
        )
        with administrator.cursor().copy(every_column) as copy:
            text = b"".join(bytes(piece) for piece in copy)
        binary = b"\n".join(
            bytes.fromhex(found.decode())
            for found in re.findall(rb"\\x((?:[0-9a-f]{2}){4,})", text)
        )
        yield f"{schema}.{name}", text + b"\n" + binary
