"""Imports a list and writes its report, and kills itself where it is told to.

The ledger is the one that the environment names (``ACTA_DATABASE_URL``, ``ACTA_KEYS``). Prints a
line when the ledger is open.
"""

import argparse
from pathlib import Path
from uuid import UUID

from domain.actor import Actor, ActorKind
from handlers.composition import open_ledger
from handlers.imports.importer import Importer, ListToImport
from handlers.imports.reading import read_list
from handlers.imports.report import write_report
from handlers.settings import read_settings
from tests.end_to_end.killable_apply import Killer
from tests.handlers.stories import BEGINNING, DIRECTOR

STRETCH_ROWS = 50
REPORTING = "before report"


def main() -> None:
    """Imports, or dies."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("plan", type=UUID)
    arguments.add_argument("report", type=Path)
    arguments.add_argument("--kill-at", default=None)
    arguments.add_argument("--times", type=int, default=1)
    chosen = arguments.parse_args()
    killer = Killer(chosen.kill_at, chosen.times)
    director = Actor(kind=ActorKind.PERSON, who=DIRECTOR)
    with open_ledger(read_settings(), reached=killer.reached) as acta:
        print("open", flush=True)
        wanted = ListToImport(read_list(chosen.file), chosen.plan, director, BEGINNING)
        done = Importer(acta.ledger, acta.store, stretch_rows=STRETCH_ROWS).run(wanted)
        killer.reached(REPORTING)
        write_report(chosen.report, done.rows)
    print("done", flush=True)


if __name__ == "__main__":
    main()
