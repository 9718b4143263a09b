"""Plays the clock up to an instant, and kills itself where it is told to.

The ledger and the gateway are those that the environment names (``ACTA_DATABASE_URL``,
``ACTA_KEYS``, ``ACTA_GATEWAY_URL``, ``ACTA_GATEWAY_KEY``). Prints a line when the ledger is open.
"""

import argparse
from datetime import datetime
from threading import Thread

from handlers.composition import open_ledger
from handlers.settings import read_settings
from handlers.workers.clock import Clock
from tests.end_to_end.killable_apply import Killer

DEADLINE_SECONDS = 120


def main() -> None:
    """Plays, or dies."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("until", type=datetime.fromisoformat)
    arguments.add_argument("--kill-at", default=None)
    arguments.add_argument("--times", type=int, default=1)
    chosen = arguments.parse_args()
    killer = Killer(chosen.kill_at, chosen.times)
    with open_ledger(read_settings(), reached=killer.reached) as acta:
        acta.projector.catch_up()
        print("open", flush=True)
        clock = Clock(
            acta.ledger, acta.store, acta.due, acta.tokens, acta.gateway, reached=killer.reached
        )
        # Others write meanwhile. Once the list of what is due is read, no read model is needed.
        projecting = Thread(target=acta.projector.follow)
        projecting.start()
        try:
            report = clock.run(
                chosen.until,
                deadline_seconds=DEADLINE_SECONDS,
                progress=lambda _: acta.projector.stop(),
            )
        finally:
            acta.projector.stop()
            projecting.join()
        assert report.complete, report
    print("done", flush=True)


if __name__ == "__main__":
    main()
