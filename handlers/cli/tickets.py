"""Commands that answer about the support desk: ticket, tickets."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from handlers.cli.answers import (
    known_up_to,
    opened_json,
    personal_text,
    personal_values,
)
from handlers.cli.arguments import (
    A_CENTURY_DAYS,
    DEADLINE_SECONDS,
    AsJson,
    Asker,
    At,
    AtLeast,
    Deadline,
    knowledge,
    read_actor,
    read_id,
    read_instant,
)
from handlers.cli.output import say, show_time, table, write_json

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.ticket_queries import (
        OpenedMessage,
        OpenedTicket,
        Ticket,
        Tickets,
    )
    from projections.support_desk import MessageLine, TicketFilter, TicketLine

__all__ = ["ticket", "tickets"]

PAGE = 50
MOST_AT_ONCE = 1000

# Spelled out, since reading them from the domain would slow every command's start.
State = Literal["open", "resolved", "closed", "merged"]
DeskName = Literal["holder_support", "documentation_help_desk", "validator", "account_support"]
KindName = Literal["holder", "contractor", "account_owner", "unknown"]


# ---------------------------------------------------------------- one ticket

HEADERS = ("message_id", "in_reply_to", "references")
"""What mail programs are told, and people only with ``--json``."""


def ticket(
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="Number of the ticket.")],
    *,
    at: At = None,
    actor: Asker = "system",
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show a ticket and its thread; what the asker may not open stays sealed.

    The thread has the messages of tickets merged into it, and not those that were split off; each
    says why it was put where it is. Notes are shown to support staff and auditors alone. A person
    is shown tickets of their own, and those on whose copy list they are.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    asked_at, asker = read_instant(at), read_actor(actor)
    with open_ledger(read_settings()) as acta:
        answer = acta.tickets.ticket(number, asker, asked_at, knowledge(at_least, deadline_seconds))
    if as_json:
        write_json(_ticket_json(answer))
    else:
        _show_ticket(answer)


def _ticket_json(answer: "Ticket") -> dict[str, Any]:
    return {
        **_line_json(answer.ticket, answer.at),
        "copied": [opened_json(copy) for copy in answer.copied],
        "links": answer.links,
        "messages": [opened_json(message) for message in answer.messages],
        **_known(answer),
    }


def _known(answer: "Ticket | Tickets") -> dict[str, Any]:
    return {"at": answer.at, "position": answer.position, "degraded": answer.degraded}


def _line_json(opened: "OpenedTicket", at: "datetime") -> dict[str, Any]:
    line = opened.line
    silent = None if line.last_public_at is None else at - line.last_public_at
    return {
        **opened_json(opened),
        "age_seconds": (at - line.opened_at).total_seconds(),
        "silent_seconds": None if silent is None else silent.total_seconds(),
    }


def _show_ticket(answer: "Ticket") -> None:
    line = answer.ticket.line
    say(f"ticket: {line.number} ({line.ticket}), at {answer.at.isoformat()}")
    say(f"subject: {_value(answer.ticket, 'subject')}")
    say(f"state: {_state(line)} since {show_time(line.state_since)} UTC")
    say(f"opened: {show_time(line.opened_at)} UTC by {line.channel}, {_ages(line, answer.at)}")
    say(f"requester: {line.requester} ({line.requester_kind}, language {line.language})")
    say(f"desk: {line.desk}, assigned to {line.assignee or 'nobody'}")
    say(f"about: {line.reason}{f', contract {line.contract}' if line.contract else ''}")
    for link in answer.links:
        say(f"{link.relation.replace('_', ' ')}: {link.number}")
    for copy in answer.copied:
        whose = "" if copy.line.ticket == line.ticket else f" of {copy.line.number}"
        values = personal_text(personal_values(copy))
        say(f"on copy{whose}: {copy.line.copied} ({values})")
    for message in answer.messages:
        _show_message(message, answer.ticket.line)
    known_up_to(answer.position, degraded=answer.degraded)


def _state(line: "TicketLine") -> str:
    resolution = f" ({line.resolution})" if line.state == "resolved" else ""
    waiting = f", waiting for {line.waiting_for}" if line.waiting_for else ""
    return f"{line.state}{resolution}{waiting}"


def _ages(line: "TicketLine", at: "datetime") -> str:
    age = f"{_duration(at - line.opened_at)} old"
    if line.last_public_at is None:
        return age
    return f"{age}, silent for {_duration(at - line.last_public_at)}"


def _show_message(opened: "OpenedMessage", shown_in: "TicketLine") -> None:
    line = opened.line
    note = ", note for staff" if line.internal else ""
    by_program = f", by a program: {line.automatic}" if line.automatic else ""
    say(f"\n{show_time(line.written_at)} UTC, {line.participation} {line.sender}"
        f" by {line.channel}{note}{by_program}")  # fmt: skip
    say(f"    {_placed(line, shown_in)}")
    values = personal_values(opened)
    body = values.pop("body", {"value": None, "state": "sealed"})
    rest = personal_text({name: told for name, told in values.items() if name not in HEADERS})
    if rest:
        say(f"    {rest}")
    for attachment in line.attachments:
        say(f"    attached: {attachment.media_type}, {attachment.size_bytes} bytes")
    text = body["value"] if body["value"] is not None else f"({body['state']})"
    for each in text.splitlines():
        say(f"    | {each}")


def _placed(line: "MessageLine", shown_in: "TicketLine") -> str:
    """Why it is here, such as ``placed here: in_reply_to; not in 3: closed``."""
    where = "here" if line.written_in == shown_in.ticket else f"in {line.written_in_number}"
    rejected = "".join(f"; not in {each.number}: {each.reason}" for each in line.rejected)
    moved = f"; moved to {line.number}" if line.ticket != line.written_in else ""
    return f"placed {where}: {line.placement}{rejected}{moved}"


def _value(opened: "OpenedTicket", field: str) -> str:
    told = personal_values(opened).get(field, {"value": None, "state": "sealed"})
    return told["value"] if told["value"] is not None else f"({told['state']})"


# ---------------------------------------------------------------- the queue


def tickets(
    *,
    state: Annotated[
        State | None, typer.Option("--state", help="In this state alone.", show_default=False)
    ] = None,
    assignee: Annotated[
        str | None,
        typer.Option("--assignee", metavar="ID", help="Assigned to this member of staff."),
    ] = None,
    desk: Annotated[
        DeskName | None, typer.Option("--desk", help="Of this desk.", show_default=False)
    ] = None,
    kind: Annotated[
        KindName | None,
        typer.Option("--kind", help="Of requesters of this kind.", show_default=False),
    ] = None,
    older_than_days: Annotated[
        int | None,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            min=0,
            max=A_CENTURY_DAYS,
            help="Opened so many days of 24 hours before, or more.",
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="N", min=1, max=MOST_AT_ONCE, help="How many tickets at most."
        ),
    ] = PAGE,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="N",
            min=1,
            help="Number of the last ticket of the page before; give its --at too.",
        ),
    ] = None,
    at: At = None,
    actor: Asker = "system",
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show the queue of the support desk; subjects may stay sealed.

    Unfinished tickets come first, the longest silent before the others; then those closed or
    merged, the last finished first. A ticket waits for staff or for its requester: for whom did not
    write last. A person is shown tickets of their own, and those on whose copy list they are.

    A long list comes in pages, and each says how to ask for the next, such as
    acta tickets --limit 20 --after 17 --at 2026-03-01T09:00:00-03:00; in JSON the number is
    next_after, null on the last page.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    asked_at, asker = read_instant(at), read_actor(actor)
    asked = _filter(
        state=state,
        assignee=assignee,
        desk=desk,
        kind=kind,
        opened_until=_days_before(asked_at, older_than_days),
    )
    with open_ledger(read_settings()) as acta:
        answer = acta.tickets.tickets(
            asked,
            asker,
            asked_at,
            knowledge(at_least, deadline_seconds),
            after=after,
            limit=limit,
        )
    if as_json:
        lines = [_line_json(opened, answer.at) for opened in answer.tickets]
        write_json({"tickets": lines, "next_after": answer.next_after, **_known(answer)})
    else:
        _show_tickets(answer)


def _filter(
    *,
    state: State | None,
    assignee: str | None,
    desk: DeskName | None,
    kind: KindName | None,
    opened_until: "datetime | None",
) -> "TicketFilter":
    from domain.support_ticket import Desk, RequesterKind
    from projections.support_desk import TicketFilter, TicketState

    return TicketFilter(
        state=None if state is None else TicketState(state),
        assignee=None if assignee is None else read_id("--assignee", assignee),
        desk=None if desk is None else Desk(desk),
        requester_kind=None if kind is None else RequesterKind(kind),
        opened_until=opened_until,
    )


def _days_before(at: "datetime", days: int | None) -> "datetime | None":
    return None if days is None else at - timedelta(days=days)


def _show_tickets(answer: "Tickets") -> None:
    say(f"tickets at {answer.at.isoformat()}: {len(answer.tickets)}")
    headers = (
        "number", "state", "waiting for", "age", "silent for", "desk", "assignee", "kind",
        "reason", "contract", "subject",
    )  # fmt: skip
    table(headers, [_row(opened, answer.at) for opened in answer.tickets])
    if answer.next_after is not None:
        say(f"there are more: --after {answer.next_after} --at {answer.at.isoformat()}")
    known_up_to(answer.position, degraded=answer.degraded)


def _row(opened: "OpenedTicket", at: "datetime") -> tuple[object, ...]:
    line = opened.line
    silent = None if line.last_public_at is None else _duration(at - line.last_public_at)
    return (
        line.number,
        line.state,
        line.waiting_for,
        _duration(at - line.opened_at),
        silent,
        line.desk,
        line.assignee,
        line.requester_kind,
        line.reason,
        line.contract,
        _value(opened, "subject"),
    )


def _duration(passed: timedelta) -> str:
    """Such as ``3 d 4 h`` or ``4 h 12 min``."""
    minutes = int(passed.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"
