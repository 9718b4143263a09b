"""The partition of a key, as Java's clients and librdkafka's ``murmur2_random`` choose it.

The relay chooses by itself: whoever adds partitions to a topic while it runs would otherwise move
keys to others, and they would lose their order.
"""

import struct
from functools import lru_cache

__all__ = ["partition_of"]

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF
POSITIVE = 0x7FFFFFFF
WORD_BYTES = 4
STREAMS_MAX = 65_536


@lru_cache(STREAMS_MAX)
def partition_of(key: str, partitions: int) -> int:
    """The partition, of so many, that holds every record of a key."""
    return (_murmur2(key.encode()) & POSITIVE) % partitions


def _murmur2(data: bytes) -> int:
    """MurmurHash2 with 32 bits, and the seed that Kafka gives it."""
    whole = len(data) // WORD_BYTES
    found = SEED ^ len(data)
    for word in struct.unpack_from(f"<{whole}I", data):
        mixed = word * MULTIPLIER & MASK
        mixed = (mixed ^ mixed >> 24) * MULTIPLIER & MASK
        found = found * MULTIPLIER & MASK ^ mixed
    rest = data[whole * WORD_BYTES :]
    if rest:
        found = (found ^ int.from_bytes(rest, "little")) * MULTIPLIER & MASK
    found = (found ^ found >> 13) * MULTIPLIER & MASK
    return found ^ found >> 15
