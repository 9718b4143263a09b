"""Applies a file of commands and projects in between, and kills itself where it is told to.

The ledger is the one that the environment names (``ACTA_DATABASE_URL``, ``ACTA_KEYS``,
``ACTA_HOME``). Prints a line when the ledger is open, and one after each chunk that brought
something new.
"""

import argparse
import os
import signal
from itertools import islice
from pathlib import Path

from handlers.cli.apply import Outcome, apply_lines
from handlers.composition import Acta, open_ledger
from handlers.settings import read_settings

CHUNK_LINES = 20
BATCH_EVENTS = 7


class Killer:
    """Kills its own process when a point is reached for the n-th time.

    Args:
        point: the point; None to live on.
        times: how often it is reached, the last time included.
    """

    def __init__(self, point: str | None, times: int) -> None:
        self.point = point
        self.left = times

    def reached(self, point: str) -> None:
        """Told by the ledger and the projector."""
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def apply(acta: Acta, path: Path) -> None:
    """Gives the commands of a file, and brings the read models up to them again and again."""
    with path.open("rb") as lines:
        while chunk := list(islice(lines, CHUNK_LINES)):
            outcomes = apply_lines(acta, chunk, report=lambda _: None).outcomes
            acta.projector.catch_up(batch_events=BATCH_EVENTS)
            if outcomes[Outcome.APPLIED]:
                print("applied", flush=True)


def main() -> None:
    """Applies, or dies."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--kill-at", default=None)
    arguments.add_argument("--times", type=int, default=1)
    chosen = arguments.parse_args()
    killer = Killer(chosen.kill_at, chosen.times)
    with open_ledger(read_settings(), reached=killer.reached) as acta:
        print("open", flush=True)
        apply(acta, chosen.file)
    print("done", flush=True)


if __name__ == "__main__":
    main()
