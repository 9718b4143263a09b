"""``acta``: the door for people and programs at a terminal.

The answer goes to stdout, all else to stderr. Exit status: 0 fine; 1 a no, or something was refused
or faulty; 2 a fault stopped it; 130 interrupted.
"""

import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import typer

from domain.refusal import Refused
from handlers.cli import (
    answers,
    billing,
    catalogue,
    clock,
    contracts,
    disclosure,
    due,
    gateway,
    give,
    institutions,
    invite,
    operate,
    parked,
    relay,
    schemas,
    subscribe,
    tickets,
    transfers,
    webhooks,
)
from handlers.cli.output import tell
from handlers.faults import DatabaseUnavailable, Fault, FolderUnusable

__all__ = ["app", "main"]

REFUSED = 1
STOPPED = 2

app = typer.Typer(
    help="Acta, a ledger of accounts: who may study, who paid, and what was decided when.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
invitations = typer.Typer(help="Invite people into a plan by a list.", no_args_is_help=True)
bank_transfers = typer.Typer(help="Record payments by bank transfer.", no_args_is_help=True)
keys = typer.Typer(help="Look after the key-encryption keys.", no_args_is_help=True)

PAYER = "ana@example.cl"
PLAN = "plan:8c1d4e6f-2b7a-4f39-9e05-6a3c8d21b7f4"
CONTRACT = "contract:3b9e7a52-6c0d-4f18-a4e1-8d5f2c70b936"
ADMINISTRATOR = "person:d3a9f0c7-51e8-4b62-8f14-0c7b9e5a2d68"
MANAGER = "account_manager:5f0c2b9e-8d14-4c57-9a36-2e7d1b604f83"
SUPPORT = "support_staff:7b1e4d93-0c58-4a6f-b2d7-95e8f3a1c604"


def _offer(
    group: typer.Typer, command: Callable[..., None], *, example: str, name: str | None = None
) -> None:
    """Adds a command; its help is its docstring, in paragraphs that fit any terminal."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
    group.command(name, help=text, epilog=f"Example: {example}")(command)


_offer(app, catalogue.commands, example="acta commands RegisterUser")
_offer(app, catalogue.events, example="acta events --json")
_offer(app, give.apply, example="acta apply commands.jsonl")
_offer(app, answers.check, example=f"acta check {PAYER} content --at 2026-03-01T09:00:00-03:00")
_offer(app, billing.billing, example=f"acta billing {PAYER} --at-least 42")
_offer(app, answers.history, example=f"acta history {PAYER} --actor auditor")
_offer(app, answers.study, example=f"acta study {PAYER} --json")
_offer(app, institutions.plan, example=f"acta plan {PLAN}")
_offer(app, institutions.members, example=f"acta members {PLAN} --actor {ADMINISTRATOR}")
_offer(app, institutions.invitations, example=f"acta invitations {PLAN} --state open --json")
_offer(app, institutions.imports, example=f"acta imports {PLAN}")
_offer(app, contracts.contract, example=f"acta contract {CONTRACT} --actor auditor")
_offer(app, contracts.contracts, example="acta contracts --ending-within 30 --json")
_offer(app, tickets.ticket, example=f"acta ticket 17 --actor {SUPPORT}")
_offer(app, tickets.tickets, example="acta tickets --state open --older-than 3")
_offer(app, clock.tick, example="acta tick --until 2026-03-01T09:00:00-03:00")
_offer(app, due.due, example="acta due --until 2026-03-01T09:00:00-03:00 --kind renewal")
INVITE_EXAMPLE = f"acta invite import {PLAN} people.xlsx --actor person:{PAYER} --dry-run"
_offer(invitations, invite.import_list, example=INVITE_EXAMPLE, name="import")
_offer(invitations, invite.template, example="acta invite template people.xlsx")
app.add_typer(invitations, name="invite", epilog=f"Example: {INVITE_EXAMPLE}")
TRANSFERS_EXAMPLE = f"acta transfers import statement.csv --actor {MANAGER} --dry-run"
_offer(bank_transfers, transfers.import_statement, example=TRANSFERS_EXAMPLE, name="import")
app.add_typer(bank_transfers, name="transfers", epilog=f"Example: {TRANSFERS_EXAMPLE}")
OPEN_EXAMPLE = (
    "acta open 2f6d1c84-9b35-4e07-8a1c-d4e5f6071829 email phone"
    " --actor support_staff:7b1e4d93-0c58-4a6f-b2d7-95e8f3a1c604 --reason support"
)
_offer(app, disclosure.open_values, example=OPEN_EXAMPLE, name="open")
_offer(app, give.erase, example=f"acta erase {PAYER} --actor {MANAGER}")
_offer(app, operate.status, example="acta status")
_offer(app, operate.project, example="acta project --once")
_offer(app, relay.relay, example="acta relay --metrics-port 9464")
GATEWAY_EXAMPLE = "acta gateway --book gateway.jsonl --fault answer_lost,attempt=1"
_offer(app, gateway.gateway, example=GATEWAY_EXAMPLE)
_offer(app, webhooks.webhooks, example="acta webhooks --listen 127.0.0.1:18082")
SUBSCRIBE_EXAMPLE = "acta subscribe --topic subscription --topic account --group look --once"
_offer(app, subscribe.subscribe, example=SUBSCRIBE_EXAMPLE)
_offer(app, operate.migrate, example="acta migrate")
_offer(keys, operate.rotate, example="acta keys rotate")
app.add_typer(keys, name="keys", epilog="Example: acta keys rotate")
app.add_typer(parked.app, name="parked", epilog="Example: acta parked --json")
app.add_typer(schemas.app, name="schemas", epilog="Example: acta schemas check")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits; whatever goes wrong becomes one message, never a traceback.

    Args:
        arguments: in place of the program's own.
    """
    # The pool logs each failed attempt; what they come to is told once, by a fault.
    logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())
    try:
        app(arguments, prog_name="acta")
    except Refused as refusal:
        tell(f"acta: refused by {refusal.rule}: {refusal.message}\n{refusal.remedy}")
        sys.exit(REFUSED)
    except Exception as error:  # noqa: BLE001  the last door: behind it only a traceback is left
        fault = _as_fault(error)
        tell(f"acta: {fault.message}\n{fault.remedy[:1].upper()}{fault.remedy[1:]}")
    sys.exit(STOPPED)


def _as_fault(error: Exception) -> Fault:
    """What went wrong, in words; the error's own may hold personal values."""
    import psycopg

    from handlers.store.database import unavailable

    match error:
        case Fault():
            return error
        case psycopg.OperationalError():
            return unavailable("the connection was lost")
        case psycopg.errors.InsufficientPrivilege():
            return DatabaseUnavailable(
                "the role of the database's address may not do this",
                remedy="Set ACTA_DATABASE_URL to an address in the role acta_application, and"
                " ACTA_ADMINISTRATOR_URL to one in a role that may create roles.",
            )
        case OSError(strerror=str(reason)):
            return FolderUnusable(
                f"{error.filename or 'a file'} cannot be read or written: {reason}",
                remedy="Give yourself access to it, or name another.",
            )
        case _:
            *_, place = traceback.extract_tb(error.__traceback__)
            return Fault(
                f"a fault in Acta itself: {type(error).__name__}"
                f" at {Path(place.filename).name}:{place.lineno}",
                remedy="Please report this line.",
            )
