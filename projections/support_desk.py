"""Read model of the support desk: the queue, and each ticket with its thread (T1 to T8).

What happens to a ticket adds rows and changes none but one: when a ticket was finished is noted
with it, so that the queue begins with the unfinished ones. A ticket can be shown as it was at any
instant, and the history of one never waits for that of another. Merging and splitting leave
messages where they were written; a question follows them to where they are.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Json

from domain.event import Event, Recorded
from domain.support_ticket import (
    Desk,
    MessagesSplitOff,
    MessagesTakenOver,
    PersonCopied,
    PersonUncopied,
    RequesterKind,
    TicketAssigned,
    TicketClosed,
    TicketFact,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketRouted,
)
from projections.projection import Projection, Table, sealed_values

__all__ = [
    "AttachedFile", "CopiedLine", "LinkRelation", "MessageLine", "Place", "RejectedCandidate",
    "SupportDesk", "TicketFilter", "TicketLine", "TicketLink", "TicketState", "Waiting",
    "copied_lines", "message_lines", "ticket_line", "ticket_lines", "ticket_links", "ticket_place",
]  # fmt: skip

# ---------------------------------------------------------------- tables


class SupportDesk(Projection):
    """Tickets, what became of them, their messages, and who is on copy.

    Personal values stay sealed as they stand in the log; a value opens only for the event that it
    was sealed for, ``event_id``.
    """

    name: ClassVar[str] = "support_desk"
    version: ClassVar[int] = 1
    aggregates: ClassVar[frozenset[str] | None] = frozenset({TicketFact.AGGREGATE})
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "desk_tickets",
            {
                "ticket": "uuid NOT NULL",
                "number": "bigint NOT NULL",
                "requester": "uuid NOT NULL",
                "requester_kind": "text NOT NULL",
                "desk": "text NOT NULL",
                "reason": "text NOT NULL",
                "channel": "text NOT NULL",
                "language": "text NOT NULL",
                "contract": "uuid",
                "follows": "uuid",
                "follows_number": "bigint",
                "split_from": "uuid",
                "split_from_number": "bigint",
                "opened_at": "timestamptz NOT NULL",
                "event_id": "uuid NOT NULL",
                "sealed": "json NOT NULL",
                # When it was closed or merged first; it stays so (T3).
                "finished_at": "timestamptz",
            },
            key=("ticket",),
            indexes=(
                "CREATE INDEX ON projections.desk_tickets (finished_at, number)",
                "CREATE INDEX ON projections.desk_tickets (requester_kind, finished_at, number)",
                "CREATE INDEX ON projections.desk_tickets (requester)",
                "CREATE INDEX ON projections.desk_tickets (number)",
                "CREATE INDEX ON projections.desk_tickets (follows)",
                "CREATE INDEX ON projections.desk_tickets (split_from)",
            ),
        ),
        # Each row says what it changed; of each column the last value stands.
        Table(
            "desk_changes",
            {
                "ticket": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "state": "text",
                "desk": "text",
                "assignee": "uuid",
                "resolution": "text",
                "merged_into": "uuid",
                "merged_into_number": "bigint",
            },
            key=("ticket", "position"),
            indexes=(
                "CREATE INDEX ON projections.desk_changes (merged_into)",
                (
                    "CREATE INDEX ON projections.desk_changes (assignee, ticket)"
                    " WHERE assignee IS NOT NULL"
                ),
                "CREATE INDEX ON projections.desk_changes (desk, ticket) WHERE desk IS NOT NULL",
            ),
        ),
        Table(
            "desk_messages",
            {
                "message": "uuid NOT NULL",
                "written_in": "uuid NOT NULL",
                "written_in_number": "bigint NOT NULL",
                "position": "bigint NOT NULL",
                "written_at": "timestamptz NOT NULL",
                "requester": "uuid NOT NULL",
                "sender": "uuid NOT NULL",
                "participation": "text NOT NULL",
                "internal": "bool NOT NULL",
                "channel": "text NOT NULL",
                "automatic": "text",
                "placement": "text NOT NULL",
                "rejected": "json NOT NULL",
                "attachments": "json NOT NULL",
                "event_id": "uuid NOT NULL",
                "sealed": "json NOT NULL",
            },
            key=("written_in", "message"),
            indexes=("CREATE INDEX ON projections.desk_messages (message)",),
        ),
        # A message is where its last move put it; without any, where it was written.
        Table(
            "desk_moves",
            {
                "message": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "ticket": "uuid NOT NULL",
                "taken_from": "uuid",
            },
            key=("message", "position"),
            indexes=("CREATE INDEX ON projections.desk_moves (ticket)",),
        ),
        # On the list is whose last row says so.
        Table(
            "desk_copies",
            {
                "ticket": "uuid NOT NULL",
                "copied": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "occurred_at": "timestamptz NOT NULL",
                "on_list": "bool NOT NULL",
                "event_id": "uuid NOT NULL",
                "sealed": "json NOT NULL",
            },
            key=("ticket", "copied", "position"),
            indexes=("CREATE INDEX ON projections.desk_copies (copied)",),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the rows of a batch, each table's in one COPY, and notes what it finished."""
        rows: dict[str, list[Sequence[Any]]] = {table.name: [] for table in self.tables}
        for entry in batch:
            if isinstance(entry.event, TicketFact):
                for name, row in _rows(entry.event, entry):
                    rows[name].append(row)
        for table in self.tables:
            table.insert(connection, rows[table.name])
        _finish(connection, [entry.event for entry in batch])


_FINISH: LiteralString = """
    UPDATE projections.desk_tickets AS opened
    SET finished_at = LEAST(opened.finished_at, told.finished_at)
    FROM (SELECT ticket, min(finished_at) AS finished_at
          FROM unnest(%s::uuid[], %s::timestamptz[]) AS each (ticket, finished_at)
          GROUP BY ticket) AS told
    WHERE opened.ticket = told.ticket
"""


def _finish(connection: Connection, events: Sequence[Event]) -> None:
    finishing = [event for event in events if isinstance(event, TicketClosed | TicketMerged)]
    if finishing:
        tickets = [event.ticket for event in finishing]
        connection.execute(_FINISH, (tickets, [event.occurred_at for event in finishing]))


def _rows(event: TicketFact, entry: Recorded) -> Generator[tuple[str, Sequence[Any]]]:
    """The rows that an event adds, each with the name of its table."""
    match event:
        case TicketOpened():
            yield "desk_tickets", _ticket(event, entry)
        case TicketReplied():
            yield "desk_messages", _message(event, entry)
        case MessagesSplitOff(messages=messages, into_ticket=ticket):
            for message in messages:
                yield "desk_moves", (message, entry.position, event.occurred_at, ticket, None)
        case MessagesTakenOver(messages=messages, ticket=ticket, from_ticket=source):
            for message in messages:
                yield "desk_moves", (message, entry.position, event.occurred_at, ticket, source)
        case PersonCopied(copied=copied) | PersonUncopied(copied=copied):
            is_on_list = isinstance(event, PersonCopied)
            sealed = Json(sealed_values(event))
            who = (event.ticket, copied, entry.position, event.occurred_at)
            yield "desk_copies", (*who, is_on_list, entry.event_id, sealed)
        case _:
            change = _change(event)
            if change is not None:
                when = (event.ticket, entry.position, event.occurred_at)
                yield "desk_changes", (*when, *change)


def _ticket(event: TicketOpened, entry: Recorded) -> Sequence[Any]:
    return (
        event.ticket,
        event.number,
        event.person,
        event.requester_kind.value,
        event.desk.value,
        event.reason.value,
        event.channel.value,
        event.language,
        event.contract,
        event.follows,
        event.follows_number,
        event.split_from,
        event.split_from_number,
        event.occurred_at,
        entry.event_id,
        Json(sealed_values(event)),
        None,
    )


def _message(event: TicketReplied, entry: Recorded) -> Sequence[Any]:
    return (
        event.message,
        event.ticket,
        event.number,
        entry.position,
        event.occurred_at,
        event.person,
        event.sender,
        event.participation.value,
        event.internal,
        event.channel.value,
        event.automatic and event.automatic.value,
        event.placement.value,
        Json([rejected.model_dump(mode="json") for rejected in event.rejected]),
        Json([attachment.model_dump(mode="json") for attachment in event.attachments]),
        entry.event_id,
        Json(sealed_values(event)),
    )


def _change(event: TicketFact) -> Sequence[Any] | None:
    """State, desk, assignee, resolution, and into which ticket it went; None where unchanged."""
    match event:
        case TicketAssigned():
            return (None, None, event.assignee, None, None, None)
        case TicketRouted():
            return (None, event.desk.value, None, None, None, None)
        case TicketResolved():
            return (TicketState.RESOLVED.value, None, None, event.resolution.value, None, None)
        case TicketReopened():
            return (TicketState.OPEN.value, None, None, None, None, None)
        case TicketClosed():
            return (TicketState.CLOSED.value, None, None, None, None, None)
        case TicketMerged(into_ticket=into, into_number=number):
            return (TicketState.MERGED.value, None, None, None, into, number)
        case _:
            return None


# ---------------------------------------------------------------- answers


class TicketState(StrEnum):
    """What a ticket is at an instant (T3, T7)."""

    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"
    MERGED = "merged"


class Waiting(StrEnum):
    """Whose turn it is in an open ticket: not theirs who wrote last."""

    STAFF = "staff"
    REQUESTER = "requester"


class LinkRelation(StrEnum):
    """What another ticket is to a ticket."""

    FOLLOWS = "follows"
    FOLLOWED_BY = "followed_by"
    SPLIT_FROM = "split_from"
    SPLIT_INTO = "split_into"
    MERGED_INTO = "merged_into"
    MERGED_HERE = "merged_here"


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Which tickets are asked for; None leaves a filter out.

    Attributes:
        assignee: by staff id.
        opened_until: opened at this instant or before.
        participant: the person is the requester or on the copy list.
    """

    state: TicketState | None = None
    assignee: UUID | None = None
    desk: Desk | None = None
    requester_kind: RequesterKind | None = None
    opened_until: datetime | None = None
    participant: UUID | None = None


@dataclass(frozen=True, slots=True)
class TicketLine:
    """A ticket as it is at an instant.

    Attributes:
        requester: by person id.
        state: open, resolved, closed or merged, ``state_since`` then.
        resolution: how it was last resolved.
        last_public_at: when the last message was written that is no note for staff.
        waiting_for: staff or requester; None where nothing is awaited.
        event_id: the event for which the subject was sealed.
        sealed: sealed personal values by field, as text.
    """

    ticket: UUID
    number: int
    state: str
    state_since: datetime
    requester: UUID
    requester_kind: str
    desk: str
    assignee: UUID | None
    reason: str
    channel: str
    language: str
    contract: UUID | None
    resolution: str | None
    opened_at: datetime
    last_public_at: datetime | None
    waiting_for: str | None
    event_id: UUID
    sealed: dict[str, str]


@dataclass(frozen=True, slots=True)
class TicketLink:
    """Another ticket that a ticket leads to."""

    relation: str
    ticket: UUID
    number: int


@dataclass(frozen=True, slots=True)
class RejectedCandidate:
    """A ticket that a message points to, and why it is not in it (T8)."""

    ticket: UUID
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """What was attached to a message; its name is sealed with the message."""

    sha256: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message in a thread.

    Attributes:
        position: of its event; messages are in this order.
        ticket: to which it belongs now, with its ``number``; ``ticket_requester`` asks there.
        written_in: the ticket in which it was written, with its number.
        requester: whose correspondence it is, for good.
        sender: a person, or a member of staff.
        internal: a note for staff alone.
        automatic: what kind of program wrote it; None where a human being did.
        placement: why it was put where it was written (T8), and ``rejected`` why not elsewhere.
        event_id: the event for which its values were sealed.
        sealed: sealed personal values by field, as text.
    """

    position: int
    message: UUID
    ticket: UUID
    number: int
    ticket_requester: UUID
    written_in: UUID
    written_in_number: int
    written_at: datetime
    requester: UUID
    sender: UUID
    participation: str
    internal: bool
    channel: str
    automatic: str | None
    placement: str
    rejected: tuple[RejectedCandidate, ...]
    attachments: tuple[AttachedFile, ...]
    event_id: UUID
    sealed: dict[str, str]


@dataclass(frozen=True, slots=True)
class CopiedLine:
    """Somebody on the copy list of a ticket, or of one that was merged into it.

    Attributes:
        ticket: on whose list, with its ``number``.
        event_id: the event for which the address was sealed.
        sealed: sealed personal values by field, as text.
    """

    ticket: UUID
    number: int
    copied: UUID
    since: datetime
    event_id: UUID
    sealed: dict[str, str]


# ---------------------------------------------------------------- questions

_FAMILY: LiteralString = """
    family AS (
        SELECT ticket AS root, ticket FROM asked
        UNION
        SELECT root, c.ticket FROM family
        JOIN projections.desk_changes AS c ON merged_into = family.ticket AND occurred_at <= %(at)s
    )
"""
"""The tickets asked for, each with those that were merged into it, however many times over."""

_IS_MOVE: LiteralString = """
    occurred_at <= %(at)s AND NOT EXISTS (
        SELECT FROM projections.desk_changes AS merged
        WHERE merged.ticket = moved.taken_from AND merged_into = moved.ticket
          AND merged.occurred_at <= %(at)s)
"""
"""What a ticket took over from one that is merged into it stays within that one."""

_THREAD: LiteralString = f"""
    thread AS (
        SELECT root, family.ticket, m.* FROM family
        JOIN projections.desk_messages AS m ON written_in = family.ticket
        WHERE written_at <= %(at)s
          AND NOT EXISTS (SELECT FROM projections.desk_moves AS moved
                          WHERE message = m.message AND {_IS_MOVE})
        UNION ALL
        SELECT root, family.ticket, m.* FROM family
        JOIN projections.desk_moves AS moved ON moved.ticket = family.ticket
        JOIN projections.desk_messages AS m ON m.message = moved.message
        WHERE written_at <= %(at)s AND moved.position = (
            SELECT max(position) FROM projections.desk_moves AS moved
            WHERE message = m.message AND {_IS_MOVE})
    )
"""  # noqa: S608  literals alone
"""The messages that belong there now: those moved away are not among them, those moved in are."""


_NARROWED: Mapping[str, LiteralString] = {
    "number": "number = %(number)s",
    "requester_kind": "requester_kind = %(requester_kind)s",
    "opened_until": "opened_at <= %(opened_until)s",
    "assignee": """opened.ticket IN (
        SELECT ticket FROM projections.desk_changes WHERE assignee = %(assignee)s)""",
    "desk": """(opened.desk = %(desk)s OR EXISTS (
        SELECT FROM projections.desk_changes AS c
        WHERE c.ticket = opened.ticket AND c.desk = %(desk)s))""",
    "participant": """opened.ticket IN (
        SELECT ticket FROM projections.desk_tickets WHERE requester = %(participant)s
        UNION ALL SELECT ticket FROM projections.desk_copies WHERE copied = %(participant)s)""",
}
"""What leaves out most tickets that are not asked for, before their changes are looked at."""

_ASKED: Mapping[str, LiteralString] = {
    "state": "state = %(state)s",
    "assignee": "assignee = %(assignee)s",
    "desk": "desk = %(desk)s",
    "participant": """(requester = %(participant)s OR (
        SELECT on_list FROM projections.desk_copies AS c
        WHERE c.ticket = as_they_are.ticket AND copied = %(participant)s
          AND occurred_at <= %(at)s
        ORDER BY position DESC LIMIT 1))""",
}
"""What has to hold of it at the instant."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the queue: which tickets are in it, since when, in which order."""

    holds: LiteralString
    since: LiteralString
    order: LiteralString
    behind: LiteralString


_UNFINISHED = _Part(
    holds="(finished_at IS NULL OR finished_at > %(at)s)",
    since="COALESCE(written_at, opened_at)",
    order="COALESCE(written_at, opened_at), number",
    behind="(COALESCE(written_at, opened_at), number) > (%(since)s, %(behind)s)",
)
_FINISHED = _Part(
    holds="finished_at <= %(at)s",
    since="finished_at",
    order="finished_at DESC, number DESC",
    behind="(finished_at, number) < (%(since)s, %(behind)s)",
)
_PARTS: Mapping[TicketState | None, Sequence[_Part]] = {
    None: (_UNFINISHED, _FINISHED),
    TicketState.OPEN: (_UNFINISHED,),
    TicketState.RESOLVED: (_UNFINISHED,),
    TicketState.CLOSED: (_FINISHED,),
    TicketState.MERGED: (_FINISHED,),
}


def _all_of(conditions: Mapping[str, LiteralString], given: Collection[str]) -> LiteralString:
    held: list[LiteralString] = [held for name, held in conditions.items() if name in given]
    return " AND ".join(held) or "true"


def _tickets(part: _Part, given: Collection[str]) -> LiteralString:
    """Tickets as the changes up to the instant made them, and whose turn it is in each.

    All unfinished ones are looked at, since their threads say how long they have been silent; of
    the finished, which are nearly all there are, no more than are shown.
    """
    behind = f"AND {part.behind}" if "behind" in given else ""
    page = f"{behind} ORDER BY {part.order} LIMIT %(limit)s"
    return f"""
    WITH RECURSIVE
    as_they_are AS (
        SELECT ticket, number, requester, requester_kind, reason, channel, language, contract,
               opened_at, finished_at, event_id, sealed, COALESCE(state, 'open') AS state,
               COALESCE(state_since, opened_at) AS state_since,
               COALESCE(changed.desk, opened.desk) AS desk, assignee, resolution
        FROM projections.desk_tickets AS opened CROSS JOIN LATERAL (
            SELECT (array_agg(state ORDER BY position DESC)
                    FILTER (WHERE state IS NOT NULL))[1] AS state,
                   (array_agg(occurred_at ORDER BY position DESC)
                    FILTER (WHERE state IS NOT NULL))[1] AS state_since,
                   (array_agg(desk ORDER BY position DESC)
                    FILTER (WHERE desk IS NOT NULL))[1] AS desk,
                   (array_agg(assignee ORDER BY position DESC)
                    FILTER (WHERE assignee IS NOT NULL))[1] AS assignee,
                   (array_agg(resolution ORDER BY position DESC)
                    FILTER (WHERE resolution IS NOT NULL))[1] AS resolution
            FROM projections.desk_changes AS c
            WHERE c.ticket = opened.ticket AND occurred_at <= %(at)s
        ) AS changed
        WHERE opened_at <= %(at)s AND {part.holds} AND {_all_of(_NARROWED, given)}
    ),
    asked AS (
        SELECT * FROM as_they_are WHERE {_all_of(_ASKED, given)}
        {page if part is _FINISHED else ""}
    ), {_FAMILY}, {_THREAD},
    last_public AS (
        -- Whoever is away still has to answer: what their program says changes nobody's turn.
        SELECT DISTINCT ON (root) root, written_at, participation FROM thread WHERE NOT internal
        ORDER BY root, automatic IS NOT DISTINCT FROM 'auto_reply', written_at DESC, position DESC
    )
    SELECT ticket, number, state, state_since, requester, requester_kind, desk, assignee, reason,
           channel, language, contract, resolution, opened_at, written_at AS last_public_at,
           CASE WHEN state <> 'open' THEN NULL WHEN participation = 'staff' THEN 'requester'
                ELSE 'staff' END AS waiting_for,
           event_id, sealed, {part.since} AS since
    FROM asked LEFT JOIN last_public ON root = ticket WHERE true {page}
    """  # noqa: S608  literals alone


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket stands in the queue.

    Attributes:
        part: among the unfinished, or the finished behind them.
        since: silent or finished since then; among equals the number decides.
    """

    part: _Part
    since: datetime
    line: TicketLine


def ticket_lines(
    connection: Connection,
    asked: TicketFilter,
    at: datetime,
    *,
    behind: Place | None = None,
    limit: int | None = None,
) -> tuple[TicketLine, ...]:
    """The tickets asked for: unfinished, the longest silent first, then finished, the last first.

    Args:
        connection: in a transaction in which the projection stands still.
        asked: which ones.
        at: the instant; what occurred later is left aside.
        behind: only those behind this place, that ``ticket_place`` gave for the same question.
        limit: how many at most, all where None.
    """
    parts = _PARTS[asked.state]
    if behind is not None:
        parts = parts[parts.index(behind.part) :]
    lines: list[TicketLine] = []
    for part in parts:
        left = None if limit is None else limit - len(lines)
        if left == 0:
            break
        more: dict[str, Any] = {}
        if behind is not None and behind.part is part:
            more = {"since": behind.since, "behind": behind.line.number}
        lines += (place.line for place in _places(connection, part, asked, at, left, **more))
    return tuple(lines)


def ticket_place(
    connection: Connection, asked: TicketFilter, at: datetime, number: int
) -> Place | None:
    """Where a ticket stands among those asked for; None where it is not among them."""
    for part in _PARTS[asked.state]:
        for place in _places(connection, part, asked, at, None, number=number):
            return place
    return None


def ticket_line(connection: Connection, number: int, at: datetime) -> TicketLine | None:
    """A ticket by its number; None where there is none at that instant."""
    place = ticket_place(connection, TicketFilter(), at, number)
    return None if place is None else place.line


def _places(
    connection: Connection,
    part: _Part,
    asked: TicketFilter,
    at: datetime,
    limit: int | None,
    **more: Any,
) -> list[Place]:
    wanted = {
        "state": asked.state and asked.state.value,
        "assignee": asked.assignee,
        "desk": asked.desk and asked.desk.value,
        "requester_kind": asked.requester_kind and asked.requester_kind.value,
        "opened_until": asked.opened_until,
        "participant": asked.participant,
        **more,
    }
    given = {name for name, value in wanted.items() if value is not None}
    cursor = connection.cursor(row_factory=dict_row)
    rows = cursor.execute(_tickets(part, given), {**wanted, "at": at, "limit": limit})
    return [Place(part, since=row.pop("since"), line=TicketLine(**row)) for row in rows]


_MESSAGES: LiteralString = f"""
    WITH RECURSIVE asked AS (SELECT %(ticket)s::uuid AS ticket), {_FAMILY}, {_THREAD}
    SELECT position, message, ticket, known.number, known.requester AS ticket_requester,
           written_in, written_in_number, written_at, thread.requester, sender, participation,
           internal, thread.channel, automatic, placement, rejected, attachments,
           thread.event_id, thread.sealed
    FROM thread JOIN projections.desk_tickets AS known USING (ticket) ORDER BY position
"""  # noqa: S608  literals alone


def message_lines(connection: Connection, ticket: UUID, at: datetime) -> tuple[MessageLine, ...]:
    """The thread of a ticket, in the order of the log.

    With the messages that were moved to it and those of tickets merged into it, without those
    that were split off.
    """
    cursor = connection.cursor(row_factory=dict_row)
    rows = cursor.execute(_MESSAGES, {"ticket": ticket, "at": at}).fetchall()
    return tuple(_message_line(row) for row in rows)


def _message_line(row: dict[str, Any]) -> MessageLine:
    candidates = tuple(
        RejectedCandidate(UUID(each["ticket"]), each["number"], each["reason"])
        for each in row["rejected"]
    )
    attachments = tuple(AttachedFile(**each) for each in row["attachments"])
    row |= {"rejected": candidates, "attachments": attachments}
    return MessageLine(**row)


_COPIES: LiteralString = f"""
    WITH RECURSIVE asked AS (SELECT %(ticket)s::uuid AS ticket), {_FAMILY},
    last_said AS (
        SELECT DISTINCT ON (c.ticket, copied) c.* FROM family
        JOIN projections.desk_copies AS c ON c.ticket = family.ticket
        WHERE occurred_at <= %(at)s ORDER BY c.ticket, copied, position DESC
    )
    SELECT ticket, number, copied, occurred_at AS since, c.event_id, c.sealed
    FROM last_said AS c JOIN projections.desk_tickets USING (ticket)
    WHERE on_list ORDER BY position, copied
"""  # noqa: S608  literals alone


def copied_lines(connection: Connection, ticket: UUID, at: datetime) -> tuple[CopiedLine, ...]:
    """Who is on the copy list of a ticket, and of those merged into it, the first first."""
    cursor = connection.cursor(row_factory=class_row(CopiedLine))
    return tuple(cursor.execute(_COPIES, {"ticket": ticket, "at": at}).fetchall())


_LINKS: LiteralString = f"""
    WITH RECURSIVE asked AS (SELECT %(ticket)s::uuid AS ticket), {_FAMILY}
    SELECT 'follows' AS relation, follows AS ticket, follows_number AS number, 1 AS place
    FROM projections.desk_tickets WHERE ticket = %(ticket)s AND follows IS NOT NULL
    UNION ALL
    SELECT 'followed_by', ticket, number, 2 FROM projections.desk_tickets
    WHERE follows = %(ticket)s AND opened_at <= %(at)s
    UNION ALL
    SELECT 'split_from', split_from, split_from_number, 3
    FROM projections.desk_tickets WHERE ticket = %(ticket)s AND split_from IS NOT NULL
    UNION ALL
    SELECT 'split_into', ticket, number, 4 FROM projections.desk_tickets
    WHERE split_from = %(ticket)s AND opened_at <= %(at)s
    UNION ALL
    SELECT 'merged_into', merged_into, merged_into_number, 5 FROM projections.desk_changes
    WHERE ticket = %(ticket)s AND merged_into IS NOT NULL AND occurred_at <= %(at)s
    UNION ALL
    SELECT 'merged_here', ticket, number, 6
    FROM family JOIN projections.desk_tickets USING (ticket) WHERE ticket <> root
    ORDER BY place, number
"""  # noqa: S608  literals alone


def ticket_links(connection: Connection, ticket: UUID, at: datetime) -> tuple[TicketLink, ...]:
    """The tickets that a ticket leads to, both ways: those merged here with all before them."""
    rows = connection.execute(_LINKS, {"ticket": ticket, "at": at}).fetchall()
    return tuple(TicketLink(relation, other, number) for relation, other, number, _ in rows)
