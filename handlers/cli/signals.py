"""How what runs on and on is ended from outside."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Thread

__all__ = ["ended_by_signals"]


@contextmanager
def ended_by_signals(stop: Callable[[], object]) -> Generator[None]:
    """SIGTERM and SIGINT call this meanwhile, instead of breaking off what is at hand."""

    def called(*_: object) -> None:
        # In a thread, for the one that is interrupted here may hold the lock that stopping needs.
        Thread(target=stop).start()

    former = {number: signal.signal(number, called) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
