"""File locks (``flock``): one is let go when all who hold or inherited it closed it or died."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked", "open_lock", "opened", "try_lock"]


def open_lock(path: Path) -> int:
    """Opens a file to be locked, and returns its descriptor, which started programs do not get."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


@contextmanager
def opened(path: Path) -> Generator[int]:
    """The descriptor of a file to be locked, closed afterwards."""
    descriptor = open_lock(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Generator[int]:
    """The descriptor of an exclusive lock, waited for without a limit."""
    with opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor


def try_lock(descriptor: int, lock: int) -> bool:
    """Takes a lock if that needs no waiting, and tells whether it did.

    Args:
        descriptor: the opened file.
        lock: ``fcntl.LOCK_SH`` or ``fcntl.LOCK_EX``.
    """
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
