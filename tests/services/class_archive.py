"""The classes of a Java program, kept as Java has them in memory: the next run starts sooner."""

import fcntl
from collections.abc import Callable
from pathlib import Path


def class_archive(jars: Path, make: Callable[[Path], None]) -> Path | None:
    """The archive beside the jars; None while another worker makes it, who is not waited for.

    A Java to which it does not fit goes on without it.

    Args:
        jars: the folder of the program.
        make: writes an archive to a path where nothing is; raising, it leaves what it likes there.
    """
    archive = jars / "classes.jsa"
    with (jars / "classes.lock").open("w") as lock:
        if not archive.exists():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
        if not archive.exists():
            unfinished = archive.with_suffix(".unfinished")
            unfinished.unlink(missing_ok=True)
            make(unfinished)
            unfinished.rename(archive)
    return archive


def sharing(archive: Path | None) -> list[str]:
    """The option with which Java starts from an archive."""
    return [] if archive is None else [f"-XX:SharedArchiveFile={archive}"]
