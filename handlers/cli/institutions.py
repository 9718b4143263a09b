"""Commands that answer about institutions: plan, members, invitations, imports."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from handlers.cli.answers import known_up_to, opened_json, personal_text, personal_values
from handlers.cli.arguments import (
    DEADLINE_SECONDS,
    AsJson,
    Asker,
    At,
    AtLeast,
    Deadline,
    PlanMeant,
    knowledge,
    read_actor,
    read_id,
    read_instant,
    read_plan,
)
from handlers.cli.output import by_field, say, show_time, table, write_json

if TYPE_CHECKING:
    from uuid import UUID

    from handlers.queries import (
        ImportedRows,
        Imports,
        Invitations,
        Members,
        Plan,
    )
    from handlers.snapshots import Knowledge
    from projections.institutions import ImportedRowLine, ImportLine, InvitationLine

__all__ = ["imports", "invitations", "members", "plan"]

NEVER_SHOWN = {"sealed", "event_id", "email_event_id"}


# ---------------------------------------------------------------- plan


def plan(
    plan: PlanMeant,
    *,
    at: At = None,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show a plan of an institution: until when it is paid, its seats, and how many are free.

    Members and open invitations use the seats.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    meant, asked_at = read_plan(plan), read_instant(at)
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.plan(meant, asked_at, knowledge(at_least, deadline_seconds))
    if as_json:
        write_json(_plan_json(answer))
    else:
        _show_plan(answer)


def _plan_json(answer: "Plan") -> dict[str, Any]:
    state = answer.plan
    seats = {"seats_used": state.seats_used, "seats_free": state.seats_free}
    return {
        **by_field(state),
        **seats,
        "over": answer.over,
        "at": answer.at,
        "position": answer.position,
        "degraded": answer.degraded,
    }


def _show_plan(answer: "Plan") -> None:
    state = answer.plan
    say(f"plan: {state.plan}")
    say(f"institution: {state.institution}")
    say(f"opened: {show_time(state.opened_at, state.time_zone)} ({state.time_zone})")
    say(f"standing: {state.standing}{', and run out' if answer.over else ''}")
    say(f"paid through: {state.paid_through or 'never'}")
    say(
        f"seats: {state.seats}, {state.seats_used} used ({state.members} by members,"
        f" {state.invitations_open} by open invitations), {state.seats_free} free"
    )
    known_up_to(answer.position, degraded=answer.degraded)


# ---------------------------------------------------------------- members


def members(
    plan: PlanMeant,
    *,
    at: At = None,
    actor: Asker = "system",
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show the members of a plan with their roles; what the asker may not open stays sealed.

    An administrator of the plan opens who they are: the role is read from the ledger.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    meant, asked_at, asker = read_plan(plan), read_instant(at), read_actor(actor)
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.members(meant, asked_at, asker, knowledge(at_least, deadline_seconds))
    if as_json:
        lines = [opened_json(member, but=NEVER_SHOWN) for member in answer.members]
        write_json({"plan": meant, "at": answer.at, "members": lines, **_known(answer)})
    else:
        _show_members(answer)


def _known(answer: "Members | Invitations") -> dict[str, Any]:
    return {"position": answer.position, "degraded": answer.degraded}


def _show_members(answer: "Members") -> None:
    say(f"plan: {answer.plan}, at {answer.at.isoformat()}")
    rows = [
        (
            member.line.account,
            f"{member.line.role}{' (suspended)' if member.line.suspended else ''}",
            show_time(member.line.since),
            personal_text(personal_values(member)),
        )
        for member in answer.members
    ]
    table(("account", "role", "since (UTC)", "personal values"), rows)
    known_up_to(answer.position, degraded=answer.degraded)


# ---------------------------------------------------------------- invitations


def invitations(
    plan: PlanMeant,
    *,
    state: Annotated[
        Literal["open", "accepted", "revoked", "expired"] | None,
        typer.Option("--state", help="Those in this state alone.", show_default=False),
    ] = None,
    at: At = None,
    actor: Asker = "system",
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show the invitations of a plan; what the asker may not open stays sealed.

    An administrator of the plan opens whom they went to: the role is read from the ledger.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings
    from projections.institutions import InvitationState

    meant, asked_at, asker = read_plan(plan), read_instant(at), read_actor(actor)
    only = InvitationState(state) if state else None
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.invitations(
            meant, asked_at, asker, only, knowledge(at_least, deadline_seconds)
        )
    if as_json:
        lines = [opened_json(invitation, but=NEVER_SHOWN) for invitation in answer.invitations]
        write_json({"plan": meant, "at": answer.at, "invitations": lines, **_known(answer)})
    else:
        _show_invitations(answer)


def _show_invitations(answer: "Invitations") -> None:
    say(f"plan: {answer.plan}, at {answer.at.isoformat()}")
    rows = [
        (
            opened.line.invitation,
            _state(opened.line),
            opened.line.role,
            show_time(opened.line.last_sent_at),
            show_time(opened.line.expires_at),
            personal_text(personal_values(opened)),
        )
        for opened in answer.invitations
    ]
    headers = ("invitation", "state", "role", "sent (UTC)", "expires (UTC)", "personal values")
    table(headers, rows)
    known_up_to(answer.position, degraded=answer.degraded)


def _state(line: "InvitationLine") -> str:
    return f"revoked: {line.revoked_because}" if line.state == "revoked" else line.state


# ---------------------------------------------------------------- imported lists


def imports(
    plan: PlanMeant,
    *,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", metavar="IMPORT", help="The answer to each row of this import, by its id."
        ),
    ] = None,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show the lists that were imported into a plan; with --rows, every row of one of them."""
    meant = read_plan(plan)
    one = None if rows is None else read_id("--rows", rows)
    answer = _imports(meant, one, knowledge(at_least, deadline_seconds))
    if as_json:
        write_json(answer)
    else:
        _show_imports(answer)


def _imports(plan: "UUID", one: "UUID | None", known: "Knowledge") -> "Imports | ImportedRows":
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    with open_ledger(read_settings()) as acta:
        if one is None:
            return acta.queries.imports(plan, known)
        return acta.queries.imported_rows(plan, one, known)


def _show_imports(answer: "Imports | ImportedRows") -> None:
    from handlers.queries import Imports

    say(f"plan: {answer.plan}")
    if isinstance(answer, Imports):
        headers = ("import", "started (UTC)", "completed (UTC)", "invited", "refused", "faulty")
        table(headers, [_import_row(line) for line in answer.imports])
    else:
        say(f"import: {answer.invitation_import}")
        table(
            ("row", "outcome", "invitation", "in the way"),
            [(line.row, line.outcome, line.invitation, _faults(line)) for line in answer.rows],
        )
    known_up_to(answer.position, degraded=answer.degraded)


def _import_row(line: "ImportLine") -> tuple[object, ...]:
    completed = show_time(line.completed_at) if line.completed_at else "not yet"
    started = show_time(line.started_at)
    return (line.invitation_import, started, completed, line.invited, line.refused, line.faulty)


def _faults(line: "ImportedRowLine") -> str:
    """Such as ``I2 rut: not a RUT; I3: the e-mail has an account``."""
    return "; ".join(
        f"{fault.rule}{f' {fault.column}' if fault.column else ''}: {fault.message}"
        for fault in line.faults
    )
