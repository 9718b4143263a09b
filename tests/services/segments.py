"""What a broker keeps on disk, decompressed: for the search after values that must not be there."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from aiokafka import codec  # type: ignore[import-untyped]  # it has no types

# Record batches of version 2, the only ones that Kafka 4 writes.
START = Struct(">qi")  # base offset, length of what follows
REST = Struct(">ibIhiqqqhii")  # leader epoch, version, checksum, attributes, …, count of records
VERSION = 2
COMPRESSION_BITS = 0b111

DECOMPRESS: dict[int, tuple[str, Callable[[bytes], bytes]]] = {
    0: ("none", bytes),
    1: ("gzip", codec.gzip_decode),
    2: ("snappy", codec.snappy_decode),
    3: ("lz4", codec.lz4_decode),
    4: ("zstd", codec.zstd_decode),
}


@dataclass(frozen=True)
class Batch:
    """Records written together.

    Attributes:
        segment: the file in which they are.
        offset: the offset of the first.
        compression: none, gzip, snappy, lz4 or zstd.
        content: keys, values and headers of all of them, each in one piece, decompressed.
    """

    segment: Path
    offset: int
    compression: str
    content: bytes


@dataclass(frozen=True)
class Finding:
    """A searched value, and the batch that has it."""

    value: bytes
    batch: Batch

    def __str__(self) -> str:
        """Where it is, without what it is."""
        return f"{self.batch.segment} from offset {self.batch.offset} on"


def search(log_folder: Path, values: Iterable[bytes]) -> list[Finding]:
    """Each batch of a broker that has one of the values, of all its topics, its own too.

    Raises:
        ValueError: a segment cannot be read to its end.
        NotImplementedError: a batch is compressed by what cannot be decompressed here.
    """
    searched = list(values)
    return [
        Finding(value, batch)
        for batch in batches(log_folder)
        for value in searched
        if value in batch.content
    ]


def batches(log_folder: Path) -> Iterator[Batch]:
    """Each batch in each segment of a broker, those about to be deleted too."""
    for segment in sorted(log_folder.rglob("*.log*")):
        yield from batches_of(segment)


def batches_of(segment: Path) -> Iterator[Batch]:
    """Each batch of a segment."""
    written = segment.read_bytes()
    at = 0
    while at < len(written):
        if at + START.size + REST.size > len(written):
            raise ValueError(f"{segment}: a batch at byte {at} is cut off")
        offset, length = START.unpack_from(written, at)
        _epoch, version, _checksum, attributes, *_ = REST.unpack_from(written, at + START.size)
        end = at + START.size + length
        if version != VERSION or end > len(written):
            raise ValueError(f"{segment}: no whole batch of version {VERSION} at byte {at}")
        if attributes & COMPRESSION_BITS not in DECOMPRESS:
            raise NotImplementedError(f"{segment}: an unknown compression at byte {at}")
        compression, decompress = DECOMPRESS[attributes & COMPRESSION_BITS]
        yield Batch(
            segment, offset, compression, decompress(written[at + START.size + REST.size : end])
        )
        at = end
