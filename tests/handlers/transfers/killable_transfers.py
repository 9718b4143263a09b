"""Imports a statement and writes its report, and kills itself where it is told to.

The ledger is the one that the environment names (``ACTA_DATABASE_URL``, ``ACTA_KEYS``).
"""

import argparse
from pathlib import Path

from handlers.composition import open_ledger
from handlers.settings import read_settings
from handlers.transfers.importer import StatementToImport, TransferImporter
from handlers.transfers.report import write_report
from handlers.transfers.statement import read_statement
from tests.end_to_end.killable_apply import Killer
from tests.handlers.stories import MANAGER, noon

NOW = noon(2026, 2, 5)
REPORTING = "before report"


def main() -> None:
    """Imports, or dies."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("report", type=Path)
    arguments.add_argument("--kill-at", default=None)
    arguments.add_argument("--times", type=int, default=1)
    chosen = arguments.parse_args()
    killer = Killer(chosen.kill_at, chosen.times)
    with open_ledger(read_settings(), reached=killer.reached) as acta:
        wanted = StatementToImport(read_statement(chosen.file), MANAGER, NOW)
        answers = TransferImporter(acta.ledger, acta.store).run(wanted)
        killer.reached(REPORTING)
        write_report(chosen.report, answers)


if __name__ == "__main__":
    main()
