"""Payments by bank transfer: ``acta transfers import``."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.cli.arguments import AsJson, At, read_actor, read_instant
from handlers.cli.output import progress, say, tell, write_json

if TYPE_CHECKING:
    from handlers.transfers.answers import TransferAnswer

__all__ = ["import_statement"]

NOT_CAPTURED = 1
INTERRUPTED = 130


def import_statement(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The bank's statement: CSV, or an Excel workbook (.xlsx)."
        ),
    ],
    *,
    actor: Annotated[
        str,
        typer.Option("--actor", metavar="account_manager:ID", help="Who imports, of the staff."),
    ],
    at: At = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it: every line has its answer, nothing changes.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="PATH", help="Where the report goes; FILE.report.csv if nowhere."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record what came in by bank transfer; given again, nothing is recorded twice.

    Every line has its answer: captured, already recorded, doubled, foreign, underpaid, overpaid,
    unmatched, refused by a rule, or faulty; a bad line stops no other. A transfer is of whom its
    text names, by account:ID, plan:ID or e-mail, else of the person with the payer's RUT; it pays
    from its own day, or from the end of what is paid, whenever it is imported.

    The answers go into a report that spreadsheets open, without any personal value. Interrupted or
    killed, import the same file again; and again once what stood in the way of a line is mended.
    The exit status is 1 if any transfer is not on record. With --json, each line is answered by a
    JSON object, and a last one holds the summary.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings
    from handlers.spreadsheets.reports import check_place
    from handlers.transfers.importer import StatementToImport, TransferImporter
    from handlers.transfers.report import write_report
    from handlers.transfers.statement import read_statement

    asker, asked_at = read_actor(actor), read_instant(at)
    statement = read_statement(file)
    place = report or file.with_name(f"{file.name}.report.csv")
    check_place(place, file)
    wanted = StatementToImport(statement, asker, asked_at)
    with open_ledger(read_settings()) as acta:
        importer = TransferImporter(acta.ledger, acta.store)
        hidden = as_json and sys.stdout.isatty()
        doing = "Trying" if dry_run else "Importing"
        with progress(f"{doing} {file.name}", total=statement.length, hidden=hidden) as advanced:
            try:
                answers = importer.run(wanted, dry_run=dry_run, advanced=advanced)
            except KeyboardInterrupt:
                tell("acta: interrupted; every transfer is captured or untouched")
                tell("Import the same file again to go on: nothing is captured twice.")
                raise typer.Exit(INTERRUPTED) from None
        known_up_to = acta.store.head()
    write_report(place, answers)
    for answer in answers:
        _show(answer, as_json=as_json)
    _show_summary(answers, place, known_up_to, dry_run=dry_run, as_json=as_json)
    if not all(answer.outcome.on_record for answer in answers):
        raise typer.Exit(NOT_CAPTURED)


def _show(answer: "TransferAnswer", *, as_json: bool) -> None:
    if as_json:
        write_json(answer)
        return
    place = f"row {answer.row}" + (f" ({answer.reference})" if answer.reference else "")
    outcome = answer.outcome.value.replace("_", " ")
    if answer.same_as is not None:
        say(f"{place}: {outcome}, the same as row {answer.same_as}")
    elif answer.outcome.on_record:
        say(f"{place}: {outcome}: {_what_is_paid(answer)}")
    for fault in () if answer.same_as else answer.faults:
        what = " ".join(filter(None, (fault.column, fault.message)))
        rule = "" if fault.rule is None else f" ({fault.rule})"
        say(f"{place}: {outcome}: {what}{rule}")
        say(f"    {fault.remedy}")


def _what_is_paid(answer: "TransferAnswer") -> str:
    from domain.money import format_money

    assert answer.amount_minor is not None  # noqa: S101  it is on record
    assert answer.currency is not None  # noqa: S101  for the same reason
    amount = format_money(answer.amount_minor, answer.currency)
    position = "" if answer.position is None else f"; position {answer.position}"
    return f"{amount} of {answer.account} for {answer.period_from} to {answer.period_to}{position}"


def _show_summary(
    answers: Sequence["TransferAnswer"],
    report: Path,
    position: int,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from handlers.transfers.answers import TransferOutcome

    counted = Counter(answer.outcome for answer in answers)
    by_rule = Counter(rule for answer in answers for rule in _rules(answer))
    if as_json:
        write_json(
            {
                "summary": {
                    "dry_run": dry_run,
                    "lines": len(answers),
                    **{outcome.value: counted[outcome] for outcome in TransferOutcome},
                    "refused_by_rule": dict(sorted(by_rule.items())),
                    "position": position,
                    "report": str(report),
                }
            }
        )
        return
    told = [
        f"{counted[outcome]} {outcome.value.replace('_', ' ')}"
        for outcome in TransferOutcome
        if counted[outcome]
    ]
    say(f"{len(answers)} lines: {', '.join(told)}; position {position}")
    if by_rule:
        by_rules = ", ".join(f"{rule} {number}" for rule, number in sorted(by_rule.items()))
        say(f"not captured, by rule: {by_rules}")
    say(f"report: {report}")
    if dry_run:
        say("This was a trial: nothing has changed.")


def _rules(answer: "TransferAnswer") -> set[str]:
    return {fault.rule for fault in answer.faults if fault.rule is not None}
