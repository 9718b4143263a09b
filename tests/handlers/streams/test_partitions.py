"""The partition of a key is that of every other client."""

import random
from uuid import uuid4

from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # no types

from handlers.streams.partitions import partition_of


def test_keys_go_where_another_client_puts_them() -> None:
    """Of any length, as stream ids are."""
    keys = [str(uuid4()) for _ in range(1000)]
    keys += ["".join(random.choices("abcdefñ小", k=length)) for length in range(60)]
    for partitions in (1, 3, 6, 1000):
        for key in keys:
            expected = (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
            assert partition_of(key, partitions) == expected
