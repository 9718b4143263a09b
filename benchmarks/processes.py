"""Work in processes of its own, all starting at once."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from time import monotonic
from typing import Any, TypeVar

__all__ = ["apart", "beside", "rate"]

WARM_UP_TIMES = 20
START_SECONDS = 60

ResultT = TypeVar("ResultT")
Act = Callable[[], object]
Open = Callable[..., AbstractContextManager[object]]
Make = Callable[..., AbstractContextManager[Act]]
"""Opens what an act needs, and gives the act that is counted."""

# Forks of a small process that has everything imported: quick to start, and with no share in
# what this one holds open.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["benchmarks.ours", "benchmarks.stock"])


def rate(make: Make, *arguments: Any, processes: int, seconds: float) -> float:
    """How many acts a second so many processes do together."""
    start = _context.Barrier(processes)
    return sum(_all(processes, _repeat, make, arguments, start, seconds))


def apart(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """What a function returns in a process of its own."""
    return _all(1, function, *arguments)[0]


@contextmanager
def beside(make: Open, *arguments: Any) -> Iterator[None]:
    """Something that goes on in a process of its own meanwhile."""
    here, there = _context.Pipe()
    process = _context.Process(target=_stay, args=(there, make, arguments), daemon=True)
    process.start()
    there.close()
    assert here.recv()
    try:
        yield
    finally:
        here.close()
        process.join()


def _all(processes: int, function: Callable[..., ResultT], *arguments: Any) -> list[ResultT]:
    pipes = [_context.Pipe(duplex=False) for _ in range(processes)]
    children = [
        _context.Process(target=_tell, args=(telling, function, arguments), daemon=True)
        for _, telling in pipes
    ]
    for child, (_, telling) in zip(children, pipes, strict=True):
        child.start()
        # Only the child holds it now, so that its end is seen.
        telling.close()
    results = [listening.recv() for listening, _ in pipes]
    for child in children:
        child.join()
    return results


def _tell(telling: Connection, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    telling.send(function(*arguments))


def _repeat(make: Make, arguments: tuple[Any, ...], start: Barrier, seconds: float) -> float:
    with make(*arguments) as act:
        for _ in range(WARM_UP_TIMES):
            act()
        start.wait(START_SECONDS)
        began, times = monotonic(), 0
        while (passed := monotonic() - began) < seconds:
            act()
            times += 1
        return times / passed


def _stay(there: Connection, make: Open, arguments: tuple[Any, ...]) -> None:
    with make(*arguments):
        there.send("ready")
        # Until the other end is closed, or its process is gone.
        with suppress(EOFError):
            there.recv()
