"""The garbage collector, kept from looking where nothing can be found."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["collector_resting"]


@contextmanager
def collector_resting() -> Generator[None]:
    """A batch makes many objects and no circles; to look for some takes a fifth of the time."""
    working = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if working:
            gc.enable()
