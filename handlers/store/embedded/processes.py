"""Processes waited for and buried, also where the first process of the system does neither."""

import ctypes
import errno
import os
import select
import sys
from contextlib import suppress

import psutil

__all__ = ["inherit_orphans", "wait_until_ended"]


def wait_until_ended(process: psutil.Process, timeout_seconds: float) -> bool:
    """Waits for the end of a process, and tells whether it came in time.

    Not for its parent to take note of it, as psutil does: the first process of a container may
    take seconds for that, or never do it.
    """
    try:
        descriptor = _open_process(process.pid)
    except OSError:  # not known to this system, or to this kernel
        try:
            process.wait(timeout_seconds)
        except psutil.TimeoutExpired:
            return False
        return True
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        ended = bool(waiting.poll(timeout_seconds * 1000))
    finally:
        os.close(descriptor)
    with suppress(ChildProcessError):  # it is our child when we are the supervisor
        os.waitpid(process.pid, os.WNOHANG)
    return ended


def _open_process(process_id: int) -> int:
    if sys.platform == "linux":
        return os.pidfd_open(process_id)
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def inherit_orphans() -> None:
    """Becomes the parent of the server when pg_ctl ends, in order to bury it.

    Otherwise the first process of the system is, which in a container may not bury anybody.
    """
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
