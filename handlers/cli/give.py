"""Commands that give commands: ``acta apply`` and ``acta erase``."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO
from uuid import UUID, uuid4

import typer

from handlers.cli.arguments import (
    AsJson,
    At,
    WhoMeant,
    read_actor,
    read_id,
    read_instant,
    read_who,
)
from handlers.cli.output import progress, say, tell, write_json
from handlers.faults import FolderUnusable, InvalidInput

if TYPE_CHECKING:
    from domain.account import PersonErased
    from domain.invitation import InviteeErased
    from handlers.cli.apply import LineReport, Summary
    from handlers.composition import Acta
    from handlers.ledger import Receipt

__all__ = ["apply", "erase"]

REFUSED_OR_FAULTY = 1
INTERRUPTED = 130


def apply(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Commands as JSON Lines; - reads stdin.")
    ],
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Report every line, not only the noes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Apply commands, one JSON object a line; given again, nothing happens twice.

    A line holds the command's name, id, instant and actor, optionally correlation and causation
    ids, and the command's own fields; acta commands NAME lists those. For example:

    {"command": "ConfirmPhone", "id": "0195f3c2-7a41-4c1e-9d3f-5b8e2a6c4d10",
    "at": "2026-03-01T09:00:00-03:00", "actor": {"kind": "system"}, "account": "ana@example.cl"}

    An actor has a kind and an id; for a person, who may stand for the id: an e-mail, person:ID or
    account:ID. A refused or faulty line is reported and stops no other. With --json, each line is
    answered by a JSON object, and a last one holds the summary.
    """
    from handlers.cli.apply import CHUNK_LINES, apply_lines, read_lines
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    last_line = 0

    def report(told: "LineReport") -> None:
        nonlocal last_line
        last_line = told.line
        _show(told, verbose=verbose, as_json=as_json)

    # What comes from stdin may come slowly, and is answered as it comes.
    chunk_lines = 1 if file == "-" else CHUNK_LINES
    with _opened(file) as (stream, size_bytes), open_ledger(read_settings()) as acta:
        hidden = as_json and sys.stdout.isatty()
        with progress(f"Applying {file}", total=size_bytes, hidden=hidden) as advance:
            lines = _measured(read_lines(stream), advance)
            try:
                summary = apply_lines(acta, lines, report=report, chunk_lines=chunk_lines)
            except KeyboardInterrupt:
                tell(
                    f"acta: interrupted; lines are answered up to {last_line}, or the one after it"
                )
                tell("Apply the same file again to go on: nothing happens twice.")
                raise typer.Exit(INTERRUPTED) from None
    _show_summary(summary, as_json=as_json)
    if not summary.fine:
        raise typer.Exit(REFUSED_OR_FAULTY)


@contextmanager
def _opened(file: str) -> Generator[tuple[BinaryIO, int | None]]:
    """The file and its size; stdin has none."""
    if file == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(file)
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise FolderUnusable(
            f"the file {file} cannot be read: {reason}",
            remedy="Name a file of commands that you may read, or - for stdin.",
        ) from None
    with stream:
        yield stream, path.stat().st_size or None


def _measured(lines: Iterator[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for line in lines:
        yield line
        done += len(line)
        advance(done)


def _show(told: "LineReport", *, verbose: bool, as_json: bool) -> None:
    if as_json:
        write_json(_line_json(told))
        return
    line = f"line {told.line}: {told.command or 'unknown command'} {told.outcome}"
    if told.faults:
        say(line)
        for fault in told.faults:
            say(f"    {f'{fault.field} {fault.message}'.strip()}. {fault.remedy}")
    elif told.rule:
        say(f"{line} by {told.rule}: {told.message}\n    {told.remedy}")
    elif verbose:
        say(f"{line}, position {told.position}")


def _line_json(told: "LineReport") -> dict[str, Any]:
    return {
        "line": told.line,
        "command": told.command,
        "id": told.command_id,
        "outcome": told.outcome.value,
        "rule": told.rule,
        "message": told.message,
        "remedy": told.remedy,
        "faults": told.faults,
        "position": told.position,
        "events": told.events,
    }


def _show_summary(summary: "Summary", *, as_json: bool) -> None:
    from handlers.cli.apply import Outcome

    counts = {outcome: summary.outcomes[outcome] for outcome in Outcome}
    by_rule = dict(sorted(summary.refused_by_rule.items()))
    if as_json:
        plain = {outcome.value.replace(" ", "_"): count for outcome, count in counts.items()}
        write_json(
            {
                "summary": {
                    "lines": summary.lines,
                    **plain,
                    "refused_by_rule": by_rule,
                    "position": summary.position,
                }
            }
        )
        return
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    say(f"{summary.lines} lines: {told or 'nothing to do'}; position {summary.position}")
    if by_rule:
        say("refused by rule: " + ", ".join(f"{rule} {count}" for rule, count in by_rule.items()))


# ---------------------------------------------------------------- erase


def erase(
    who: WhoMeant,
    *,
    actor: Annotated[
        str,
        typer.Option(
            "--actor",
            metavar="KIND:ID",
            help="Who asks: person: and an e-mail or id, or account_manager:ID.",
        ),
    ],
    at: At = None,
    command_id: Annotated[
        str | None,
        typer.Option("--id", metavar="UUID", help="Id of the command; a random one if none."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person's data for good: the facts stay, the person in them becomes unreadable.

    The account is closed, and from then on answers by account:ID or person:ID alone, which this
    prints. Buyer data of tax documents stays readable until its legal term ends. Whoever has no
    account is erased likewise: somebody who was invited, wrote to the desk or is named by a
    contract.
    """
    from domain.account import ErasePerson
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    asked_at, asker = read_instant(at), read_actor(actor)
    if asker.id is None and asker.who is None:
        raise InvalidInput("--actor has no id", remedy="Write KIND:ID.")
    command = ErasePerson(at=asked_at, account=read_who(who))
    known_as = uuid4() if command_id is None else read_id("--id", command_id)
    with open_ledger(read_settings()) as acta:
        if not yes:
            _confirm(acta, command.account, asked_at)
        receipt = acta.ledger.ask(command, asker, known_as)
        _show_erasure(_erasure(acta, receipt), receipt, as_json=as_json)


def _confirm(acta: "Acta", who: str, at: datetime) -> None:
    from handlers.store.directory import Directory

    directory = Directory(acta.store)
    account, person = directory.account(who, at=at), directory.person(who, at=at)
    if account is None and person is not None:
        tell(f"This erases for good person {person}, who has no account.")
    else:
        tell(f"This erases for good whoever holds the account {account or 'meant'}.")
    tell("Type yes to go on:")
    if sys.stdin.readline().strip().lower() != "yes":
        tell("Nothing was erased. To be asked nothing: --yes")
        raise typer.Exit(REFUSED_OR_FAULTY)


def _erasure(acta: "Acta", receipt: "Receipt") -> "PersonErased | InviteeErased":
    """The event that the erasure became, as it stands in the log."""
    from domain.account import PersonErased
    from domain.invitation import InviteeErased
    from handlers.store.mapper import to_recorded

    first = receipt.events[0].position
    rows = acta.store.batch(after=first - 1, limit=len(receipt.events))
    events = [recorded.event for row in rows if (recorded := to_recorded(row)) is not None]
    return next(event for event in events if isinstance(event, PersonErased | InviteeErased))


def _show_erasure(
    erased: "PersonErased | InviteeErased", receipt: "Receipt", *, as_json: bool
) -> None:
    from domain.account import PersonErased

    # Whoever was only invited has neither an account nor tax documents.
    account, until = None, None
    if isinstance(erased, PersonErased):
        account, until = erased.account, erased.tax_data_readable_until
    if as_json:
        write_json(
            {
                "account": account,
                "person": erased.person,
                "tax_data_readable_until": until,
                "position": receipt.position,
                "id": receipt.command_id,
            }
        )
        return
    kept = f"stays readable until {until}" if until else "there is none"
    say(f"Erased, at position {receipt.position}. From now on these alone answer:")
    _ids(**({"account": account} if account else {}), person=erased.person)
    say(f"Buyer data of tax documents: {kept}.")
    say("Copies of the database made before can still be opened until you run: acta keys rotate")


def _ids(**ids: UUID) -> None:
    for kind, value in ids.items():
        say(f"    {kind}:{value}")
