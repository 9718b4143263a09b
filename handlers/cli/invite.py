"""Inviting by a list: ``acta invite import`` and ``acta invite template``."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from handlers.cli.arguments import AsJson, At, PlanMeant, read_actor, read_instant, read_plan
from handlers.cli.output import progress, say, tell, write_json

if TYPE_CHECKING:
    from domain.invitation_import import ImportedRow
    from handlers.imports.importer import ImportAnswers

__all__ = ["import_list", "template"]

REFUSED_OR_FAULTY = 1
INTERRUPTED = 130


@dataclass(slots=True)
class ImportSummary:
    """How many rows came to what."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    refused_by_rule: Counter[str] = field(default_factory=Counter[str])

    @property
    def fine(self) -> bool:
        """Whether nothing was refused or faulty."""
        return all(outcome == "invited" for outcome in self.outcomes)

    def add(self, row: "ImportedRow") -> None:
        """Counts a row; one that several rules refuse counts for each of them."""
        self.outcomes[row.outcome] += 1
        if row.outcome == "refused":
            self.refused_by_rule.update({fault.rule for fault in row.faults})


def import_list(
    plan: PlanMeant,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The list: CSV, or an Excel workbook (.xlsx).")
    ],
    *,
    actor: Annotated[
        str,
        typer.Option(
            "--actor",
            metavar="person:WHO",
            help="Who imports, an administrator of the plan: person: and an e-mail or an id.",
        ),
    ],
    at: At = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it: every row has its answer, nothing changes.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Answer every row anew, where all of them have an answer."),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="PATH", help="Where the report goes; FILE.report.csv if nowhere."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Invite the people on a list into a plan; given again, nobody is invited twice.

    Every row has its answer: invited, refused by a rule, or faulty, with all that stands in its
    way; a bad row stops no other. The answers go into a report that spreadsheets open, without
    any personal value.

    Interrupted or killed, import the same file again: it goes on behind the last answer. A file
    whose rows all have their answer is told its answers again; --again asks for new ones, for rows
    that were refused and might not be by now. With --json, each row is answered by a JSON object,
    and a last one holds the summary.
    """
    from handlers.composition import open_ledger
    from handlers.imports.importer import Importer, ListToImport
    from handlers.imports.reading import read_list
    from handlers.imports.report import check_place, write_report
    from handlers.settings import read_settings

    meant, asker, asked_at = read_plan(plan), read_actor(actor), read_instant(at)
    people = read_list(file)
    place = report or file.with_name(f"{file.name}.report.csv")
    check_place(place, file)
    wanted = ListToImport(people, meant, asker, asked_at)
    with open_ledger(read_settings()) as acta:
        importer = Importer(acta.ledger, acta.store)
        hidden = as_json and sys.stdout.isatty()
        doing = "Trying" if dry_run else "Importing"
        with progress(f"{doing} {file.name}", total=people.people, hidden=hidden) as advanced:
            try:
                if dry_run:
                    done = importer.rehearse(wanted, again=again, advanced=advanced)
                else:
                    done = importer.run(wanted, again=again, advanced=advanced)
                summary = ImportSummary()
                write_report(place, _told(done.rows, summary, as_json=as_json))
            except KeyboardInterrupt:
                tell("acta: interrupted; every row is answered or untouched")
                tell("Import the same file again to go on: nobody is invited twice.")
                raise typer.Exit(INTERRUPTED) from None
    _show_summary(done, summary, place, dry_run=dry_run, as_json=as_json)
    if not summary.fine:
        raise typer.Exit(REFUSED_OR_FAULTY)


def _told(
    rows: Iterable["ImportedRow"], summary: ImportSummary, *, as_json: bool
) -> Iterator["ImportedRow"]:
    """The rows, each told and counted on its way into the report."""
    for row in rows:
        summary.add(row)
        _show(row, as_json=as_json)
        yield row


def _show(row: "ImportedRow", *, as_json: bool) -> None:
    if as_json:
        write_json(row.model_dump())
        return
    for fault in row.faults:
        place = f"row {row.row}: {row.outcome}"
        if fault.column is not None or row.outcome == "faulty":
            what = " ".join(filter(None, (fault.column, fault.message)))
            say(f"{place}: {what} ({fault.rule})")
        else:
            say(f"{place} by {fault.rule}: {fault.message}")
        say(f"    {fault.remedy}")


def _show_summary(
    done: "ImportAnswers", summary: ImportSummary, report: Path, *, dry_run: bool, as_json: bool
) -> None:
    from domain.invitation_import import RowOutcome

    counts = {outcome.value: summary.outcomes[outcome] for outcome in RowOutcome}
    by_rule = dict(sorted(summary.refused_by_rule.items()))
    if as_json:
        write_json(
            {
                "summary": {
                    "import": done.invitation_import,
                    "dry_run": dry_run,
                    "rows": summary.outcomes.total(),
                    **counts,
                    "refused_by_rule": by_rule,
                    "position": done.position,
                    "report": str(report),
                }
            }
        )
        return
    told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    say(f"{summary.outcomes.total()} rows: {told}; position {done.position}")
    if by_rule:
        say("refused by rule: " + ", ".join(f"{rule} {n}" for rule, n in by_rule.items()))
    say(f"report: {report}")
    if dry_run:
        say("This was a trial: nothing has changed.")
    else:
        say(f"import: {done.invitation_import}")


# ---------------------------------------------------------------- template


def template(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file, ending in .csv or .xlsx.")
    ],
    *,
    language: Annotated[
        Literal["es", "en"], typer.Option("--language", help="Of column names and roles.")
    ] = "es",
    as_json: AsJson = False,
) -> None:
    """Write a list to fill in: the names of the columns, and two example rows to replace."""
    from handlers.imports.template import write_template

    write_template(file, language)
    if as_json:
        write_json({"file": str(file), "language": language})
    else:
        say(f"written: {file}")
