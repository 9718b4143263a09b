"""Processes that work on one database at the same time, as several of Acta's do."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

__all__ = ["CONTEXT", "PROCESSES", "running"]

PROCESSES = 8

CONTEXT = multiprocessing.get_context("forkserver")
"""Each process is a fresh one; what they all import is loaded once, before any is made."""
CONTEXT.set_forkserver_preload(["handlers.composition", "tests.handlers.store.stories"])


@contextmanager
def running(work: Callable[..., None], *arguments: object) -> Iterator[list[ForkServerProcess]]:
    """Eight processes at the same work, each told its number first; all end well, or all is lost.

    Args:
        work: a function of a module, for other processes have to find it.
        arguments: what it is given after the number of the process.
    """
    processes = [
        CONTEXT.Process(target=work, args=(number, *arguments)) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    try:
        yield processes
        for process in processes:
            process.join(timeout=600)
        assert [process.exitcode for process in processes] == [0] * PROCESSES
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()
