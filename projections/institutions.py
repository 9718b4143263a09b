"""Read model of institutions: plans, members with their roles, invitations, imports (I1 to I8).

A batch takes out the rows that it changes, changes them in the order of the log, and puts them
back beside the new ones: a handful of statements, for one invitation as for ten thousand.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, LiteralString, TypeVar
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Json

from domain.account import (
    AccountFact,
    AccountKind,
    AccountReinstated,
    AccountSuspended,
    MemberRemoved,
    RoleAssigned,
    UserCodeChanged,
    UserRegistered,
)
from domain.event import Event, Recorded
from domain.invitation import (
    InvitationAccepted,
    InvitationCorrected,
    InvitationExpired,
    InvitationFact,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
    InvitationStanding,
)
from domain.invitation_import import (
    ImportedRow,
    InvitationImportCompleted,
    InvitationImportFact,
    InvitationImportStarted,
    InvitationRowsImported,
    RowOutcome,
)
from domain.subscription import (
    Subscription,
    SubscriptionEvent,
    SubscriptionFact,
    SubscriptionStanding,
    SubscriptionStarted,
    evolve,
)
from projections.projection import Projection, Table, sealed_values

__all__ = [
    "ImportLine",
    "ImportedRowLine",
    "Institutions",
    "InvitationLine",
    "InvitationState",
    "MemberLine",
    "PlanState",
    "RowFault",
    "administers",
    "administers_plan_of",
    "import_lines",
    "imported_row_lines",
    "invitation_lines",
    "is_plan",
    "member_lines",
    "plan_state",
]

RowT = TypeVar("RowT")

# ---------------------------------------------------------------- tables


class Institutions(Projection):
    """Plans, what happened to their members and invitations, and the answers to imported rows.

    Personal values stay sealed as they stand in the log. A value opens only for the event that it
    was sealed for: ``event_id``, and ``email_event_id`` for the e-mail, which changes by itself.
    """

    name: ClassVar[str] = "institutions"
    version: ClassVar[int] = 2
    aggregates: ClassVar[frozenset[str] | None] = frozenset(
        {"account", "subscription", "invitation", "invitation_import"}
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "plans",
            {
                "plan": "uuid NOT NULL",
                "institution_id": "uuid NOT NULL",
                "institution": "text NOT NULL",
                "seats": "int4 NOT NULL",
                "standing": "text NOT NULL",
                "paid_through": "date",
                "grace_until": "date",
                "paid_by_card": "boolean NOT NULL",
                "renewal_day": "date",
                "time_zone": "text NOT NULL",
                "opened_at": "timestamptz NOT NULL",
            },
            key=("plan",),
        ),
        # A row for each role that a member had, one after the other; the last has no end while
        # its account is a member.
        Table(
            "plan_members",
            {
                "plan": "uuid NOT NULL",
                "account": "uuid NOT NULL",
                "position": "bigint NOT NULL",
                "person": "uuid NOT NULL",
                "role": "text NOT NULL",
                "member_since": "timestamptz NOT NULL",
                "since": "timestamptz NOT NULL",
                "until": "timestamptz",
                "left_because": "text",
            },
            key=("plan", "account", "position"),
            indexes=(
                "CREATE INDEX ON projections.plan_members (account) WHERE until IS NULL",
                "CREATE INDEX ON projections.plan_members (person) WHERE until IS NULL",
            ),
        ),
        Table(
            "member_identities",
            {
                "account": "uuid NOT NULL",
                "person": "uuid NOT NULL",
                "suspended": "bool NOT NULL",
                "event_id": "uuid NOT NULL",
                "email_event_id": "uuid NOT NULL",
                "sealed": "json NOT NULL",
            },
            key=("account",),
        ),
        # The state is the recorded one: what was sent is open until it expires, recorded or not.
        Table(
            "plan_invitations",
            {
                "invitation": "uuid NOT NULL",
                "plan": "uuid NOT NULL",
                "person": "uuid NOT NULL",
                "role": "text NOT NULL",
                "state": "text NOT NULL",
                "sent_at": "timestamptz NOT NULL",
                "last_sent_at": "timestamptz NOT NULL",
                "expires_at": "timestamptz NOT NULL",
                "settled_at": "timestamptz",
                "revoked_because": "text",
                "account": "uuid",
                "invitation_import": "uuid",
                "row": "int4",
                "event_id": "uuid NOT NULL",
                "email_event_id": "uuid NOT NULL",
                "sealed": "json NOT NULL",
            },
            key=("invitation",),
            indexes=("CREATE INDEX ON projections.plan_invitations (plan, sent_at)",),
        ),
        Table(
            "invitation_imports",
            {
                "invitation_import": "uuid NOT NULL",
                "plan": "uuid NOT NULL",
                "person": "uuid NOT NULL",
                "started_at": "timestamptz NOT NULL",
                "completed_at": "timestamptz",
                "invited": "int4 NOT NULL",
                "refused": "int4 NOT NULL",
                "faulty": "int4 NOT NULL",
            },
            key=("invitation_import",),
            indexes=("CREATE INDEX ON projections.invitation_imports (plan)",),
        ),
        Table(
            "invitation_import_rows",
            {
                "invitation_import": "uuid NOT NULL",
                "row": "int4 NOT NULL",
                "plan": "uuid NOT NULL",
                "outcome": "text NOT NULL",
                "invitation": "uuid",
                "faults": "json",
            },
            key=("invitation_import", "row"),
        ),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Changes the rows that a batch is about, all at once."""
        entries = [entry for entry in batch if _concerns_institutions(entry.event)]
        if not entries:
            return
        rows = _Rows.taken_out(entries, connection)
        for entry in entries:
            rows.enter(entry)
        rows.put_back(connection)


def _concerns_institutions(event: Event) -> bool:
    match event:
        case SubscriptionFact():
            return event.subscription == event.account
        case UserRegistered():
            # Nobody is a member through an account that did not come by invitation (A2, A12).
            return event.kind is AccountKind.INSTITUTIONAL
        case AccountFact():
            return isinstance(event, _OF_MEMBERS)
        case _:
            return isinstance(event, InvitationFact | InvitationImportFact)


_MEMBERSHIP = (RoleAssigned, MemberRemoved)
_IDENTITY = (UserCodeChanged, AccountSuspended, AccountReinstated)
_OF_MEMBERS = (*_MEMBERSHIP, *_IDENTITY)


@dataclass(slots=True)
class _Plan:
    plan: UUID
    institution_id: UUID
    institution: str
    seats: int
    standing: str
    paid_through: date | None
    grace_until: date | None
    paid_by_card: bool
    renewal_day: date | None
    time_zone: str
    opened_at: datetime


@dataclass(slots=True)
class _Member:
    plan: UUID
    account: UUID
    position: int
    person: UUID
    role: str
    member_since: datetime
    since: datetime
    until: datetime | None = None
    left_because: str | None = None


@dataclass(slots=True)
class _Identity:
    account: UUID
    person: UUID
    suspended: bool
    event_id: UUID
    email_event_id: UUID
    sealed: dict[str, str]


@dataclass(slots=True)
class _Invitation:
    invitation: UUID
    plan: UUID
    person: UUID
    role: str
    state: str
    sent_at: datetime
    last_sent_at: datetime
    expires_at: datetime
    settled_at: datetime | None
    revoked_because: str | None
    account: UUID | None
    invitation_import: UUID | None
    row: int | None
    event_id: UUID
    email_event_id: UUID
    sealed: dict[str, str]


@dataclass(slots=True)
class _Import:
    invitation_import: UUID
    plan: UUID
    person: UUID
    started_at: datetime
    completed_at: datetime | None = None
    invited: int = 0
    refused: int = 0
    faulty: int = 0


@dataclass(slots=True)
class _ImportedRow:
    invitation_import: UUID
    row: int
    plan: UUID
    outcome: str
    invitation: UUID | None
    faults: list[dict[str, Any]] | None


# ---------------------------------------------------------------- what each event does


class _Rows:
    """The rows that a batch is about, while it changes them."""

    def __init__(self) -> None:
        self.plans: dict[UUID, _Plan] = {}
        self.members: dict[tuple[UUID, UUID], _Member] = {}
        self.former: list[_Member] = []
        self.identities: dict[UUID, _Identity] = {}
        self.invitations: dict[UUID, _Invitation] = {}
        self.imports: dict[UUID, _Import] = {}
        self.imported_rows: list[_ImportedRow] = []

    @classmethod
    def taken_out(cls, entries: Sequence[Recorded], connection: Connection) -> "_Rows":
        """Those that are in the tables already."""
        events = [entry.event for entry in entries]
        rows = cls()
        plans = _ids(events, "account", SubscriptionFact, but=SubscriptionStarted)
        for plan in _take(connection, _TAKE_PLANS, _Plan, plans):
            rows.plans[plan.plan] = plan
        accounts = _ids(events, "account", *_MEMBERSHIP)
        for member in _take(connection, _TAKE_MEMBERS, _Member, accounts):
            rows.members[member.plan, member.account] = member
        accounts = _ids(events, "account", *_IDENTITY, but=UserRegistered)
        for identity in _take(connection, _TAKE_IDENTITIES, _Identity, accounts):
            rows.identities[identity.account] = identity
        invitations = _ids(events, "invitation", InvitationFact, but=InvitationSent)
        for invitation in _take(connection, _TAKE_INVITATIONS, _Invitation, invitations):
            rows.invitations[invitation.invitation] = invitation
        imports = _ids(
            events, "invitation_import", InvitationImportFact, but=InvitationImportStarted
        )
        for an_import in _take(connection, _TAKE_IMPORTS, _Import, imports):
            rows.imports[an_import.invitation_import] = an_import
        return rows

    def put_back(self, connection: Connection) -> None:
        """Writes all of them, each table in one COPY."""
        written: tuple[Iterable[Any], ...] = (
            self.plans.values(),
            [*self.members.values(), *self.former],
            self.identities.values(),
            self.invitations.values(),
            self.imports.values(),
            self.imported_rows,
        )
        for table, rows in zip(Institutions.tables, written, strict=True):
            table.insert(connection, map(_values, rows))

    def enter(self, entry: Recorded) -> None:
        """What an event does to them."""
        match entry.event:
            case SubscriptionFact() as event:
                self._of_plan(event)
            case AccountFact() as event:
                self._of_account(event, entry)
            case InvitationFact() as event:
                self._of_invitation(event, entry.event_id)
            case InvitationImportFact() as event:
                self._of_import(event)
            case _:
                pass

    def _of_plan(self, event: SubscriptionFact) -> None:
        if isinstance(event, SubscriptionStarted):
            self.plans[event.account] = _Plan(
                plan=event.account,
                institution_id=event.person,
                institution=event.institution or "",
                seats=event.seats or 0,
                standing=SubscriptionStanding.STEPS.value,
                paid_through=None,
                grace_until=None,
                paid_by_card=False,
                renewal_day=None,
                time_zone=event.time_zone,
                opened_at=event.occurred_at,
            )
            return
        plan = self.plans[event.account]
        if isinstance(event, SubscriptionEvent):
            state = evolve(
                Subscription(
                    standing=SubscriptionStanding(plan.standing),
                    seats=plan.seats,
                    paid_through=plan.paid_through,
                    grace_until=plan.grace_until,
                    paid_by_card=plan.paid_by_card,
                    renewal_day=plan.renewal_day,
                ),
                event,
            )
            plan.standing, plan.seats = state.standing.value, state.seats
            plan.paid_through, plan.grace_until = state.paid_through, state.grace_until
            plan.paid_by_card, plan.renewal_day = state.paid_by_card, state.renewal_day

    def _of_account(self, event: AccountFact, entry: Recorded) -> None:
        match event:
            case UserRegistered():
                self.identities[event.account] = _Identity(
                    account=event.account,
                    person=event.person,
                    suspended=False,
                    event_id=entry.event_id,
                    email_event_id=entry.event_id,
                    sealed=sealed_values(event),
                )
            case RoleAssigned():
                self._assign(event, entry.position)
            case MemberRemoved():
                member = self.members.pop((event.plan, event.account))
                member.until, member.left_because = event.occurred_at, event.reason.value
                self.former.append(member)
            case _:
                identity = self.identities.get(event.account)
                if identity is not None:
                    _change_identity(identity, event, entry.event_id)

    def _assign(self, event: RoleAssigned, position: int) -> None:
        """A role lasts until the next one is assigned."""
        former = self.members.get((event.plan, event.account))
        if former is not None:
            former.until = event.occurred_at
            self.former.append(former)
        self.members[event.plan, event.account] = _Member(
            plan=event.plan,
            account=event.account,
            position=position,
            person=event.person,
            role=event.role.value,
            member_since=event.occurred_at if former is None else former.member_since,
            since=event.occurred_at,
        )

    def _of_invitation(self, event: InvitationFact, event_id: UUID) -> None:
        if isinstance(event, InvitationSent):
            self.invitations[event.invitation] = _Invitation(
                invitation=event.invitation,
                plan=event.plan,
                person=event.person,
                role=event.role.value,
                state=InvitationStanding.SENT.value,
                sent_at=event.occurred_at,
                last_sent_at=event.occurred_at,
                expires_at=event.expires_at,
                settled_at=None,
                revoked_because=None,
                account=None,
                invitation_import=event.invitation_import,
                row=event.row,
                event_id=event_id,
                email_event_id=event_id,
                sealed=sealed_values(event),
            )
            return
        invitation = self.invitations[event.invitation]
        match event:
            case InvitationSentAgain():
                invitation.last_sent_at, invitation.expires_at = event.occurred_at, event.expires_at
            case InvitationCorrected():
                invitation.last_sent_at, invitation.expires_at = event.occurred_at, event.expires_at
                invitation.sealed["email"] = sealed_values(event)["email"]
                invitation.email_event_id = event_id
            case InvitationAccepted():
                invitation.state = InvitationStanding.ACCEPTED.value
                invitation.settled_at, invitation.account = event.occurred_at, event.account
            case InvitationRevoked():
                invitation.state = InvitationStanding.REVOKED.value
                invitation.settled_at = event.occurred_at
                invitation.revoked_because = event.reason.value
            case InvitationExpired():
                invitation.state = InvitationStanding.EXPIRED.value
                invitation.settled_at = event.expired_at
            case _:
                pass

    def _of_import(self, event: InvitationImportFact) -> None:
        match event:
            case InvitationImportStarted():
                self.imports[event.invitation_import] = _Import(
                    event.invitation_import, event.plan, event.person, event.occurred_at
                )
            case InvitationRowsImported():
                an_import = self.imports[event.invitation_import]
                outcomes = [row.outcome for row in event.rows]
                an_import.invited += outcomes.count(RowOutcome.INVITED)
                an_import.refused += outcomes.count(RowOutcome.REFUSED)
                an_import.faulty += outcomes.count(RowOutcome.FAULTY)
                self.imported_rows += [_imported_row(event, row) for row in event.rows]
            case InvitationImportCompleted():
                self.imports[event.invitation_import].completed_at = event.occurred_at
            case _:
                pass


def _change_identity(identity: _Identity, event: AccountFact, event_id: UUID) -> None:
    match event:
        case UserCodeChanged():
            identity.sealed["email"] = sealed_values(event)["email"]
            identity.email_event_id = event_id
        case AccountSuspended():
            identity.suspended = True
        case AccountReinstated():
            identity.suspended = False
        case _:
            pass


def _imported_row(event: InvitationRowsImported, row: ImportedRow) -> _ImportedRow:
    faults = [fault.model_dump(mode="json") for fault in row.faults] or None
    return _ImportedRow(
        event.invitation_import, row.row, event.plan, row.outcome.value, row.invitation, faults
    )


# ---------------------------------------------------------------- taking out, putting back

_TAKE_PLANS: LiteralString = (
    "DELETE FROM projections.plans WHERE plan = ANY(%b::uuid[]) RETURNING *"
)
_TAKE_MEMBERS: LiteralString = (
    "DELETE FROM projections.plan_members WHERE account = ANY(%b::uuid[]) AND until IS NULL"
    " RETURNING *"
)
_TAKE_IDENTITIES: LiteralString = (
    "DELETE FROM projections.member_identities WHERE account = ANY(%b::uuid[]) RETURNING *"
)
_TAKE_INVITATIONS: LiteralString = (
    "DELETE FROM projections.plan_invitations WHERE invitation = ANY(%b::uuid[]) RETURNING *"
)
_TAKE_IMPORTS: LiteralString = (
    "DELETE FROM projections.invitation_imports WHERE invitation_import = ANY(%b::uuid[])"
    " RETURNING *"
)


def _ids(
    events: Iterable[Event],
    field: str,
    *kinds: type[Event],
    but: type[Event] | None = None,
) -> set[UUID]:
    """Ids in a field of events of these kinds, but for those whose first event is among them."""
    named: set[UUID] = set()
    first: set[UUID] = set()
    for event in events:
        if but is not None and isinstance(event, but):
            first.add(getattr(event, field))
        elif isinstance(event, kinds):
            named.add(getattr(event, field))
    return named - first


def _take(
    connection: Connection, statement: LiteralString, row: type[RowT], ids: Collection[UUID]
) -> list[RowT]:
    if not ids:
        return []
    cursor = connection.cursor(binary=True, row_factory=class_row(row))
    return cursor.execute(statement, (list(ids),)).fetchall()


def _values(row: Any) -> list[Any]:
    """The values of a row, in the order of its columns."""
    values = [getattr(row, column) for column in row.__slots__]
    if isinstance(values[-1], dict | list):
        values[-1] = Json(values[-1])
    return values


# ---------------------------------------------------------------- answers


class InvitationState(StrEnum):
    """What an invitation is at an instant."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PlanState:
    """A plan, and who uses its seats at an instant.

    Attributes:
        institution_id: the institution's random id, under which the log knows it.
        seats: how many it has room for, as last agreed.
        standing: steps, active, ended or lapsed, as last recorded.
        paid_through: the last day that is paid for, in ``time_zone``.
        grace_until: the last day of access while a renewal is not paid; None where there is none.
        members: of that instant.
        invitations_open: at that instant.
    """

    plan: UUID
    institution_id: UUID
    institution: str
    seats: int
    standing: str
    paid_through: date | None
    grace_until: date | None
    time_zone: str
    opened_at: datetime
    members: int
    invitations_open: int

    @property
    def seats_used(self) -> int:
        """By members and open invitations (S10)."""
        return self.members + self.invitations_open

    @property
    def seats_free(self) -> int:
        """How many can still be invited."""
        return self.seats - self.seats_used

    def over(self, at: datetime) -> bool:
        """Whether it had been paid for and is so no longer (S10)."""
        standing = SubscriptionStanding(self.standing)
        return Subscription(
            standing=standing,
            paid_through=self.paid_through,
            grace_until=self.grace_until,
            time_zone=self.time_zone,
        ).over(at)


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A member at an instant.

    Attributes:
        since: since when the member has this role.
        suspended: the account gives no access at present.
        event_id: the event for which the values were sealed, but for the e-mail.
        email_event_id: the event for which the e-mail was sealed.
        sealed: sealed personal values by field, as text; none where nothing is known.
    """

    account: UUID
    person: UUID
    role: str
    member_since: datetime
    since: datetime
    suspended: bool
    event_id: UUID | None
    email_event_id: UUID | None
    sealed: dict[str, str]


@dataclass(frozen=True, slots=True)
class InvitationLine:
    """An invitation as it is at an instant.

    Attributes:
        state: open, accepted, revoked or expired.
        settled_at: when it was accepted or revoked, or was recorded to have expired.
        account: of whoever accepted.
        invitation_import: the import that it came with, and the ``row`` of it.
        event_id: the event for which the values were sealed, but for the e-mail.
        email_event_id: the event for which the e-mail was sealed.
        sealed: sealed personal values by field, as text; the e-mail as last corrected.
    """

    invitation: UUID
    person: UUID
    role: str
    state: str
    sent_at: datetime
    last_sent_at: datetime
    expires_at: datetime
    settled_at: datetime | None
    revoked_because: str | None
    account: UUID | None
    invitation_import: UUID | None
    row: int | None
    event_id: UUID
    email_event_id: UUID
    sealed: dict[str, str]


@dataclass(frozen=True, slots=True)
class ImportLine:
    """An import of a list.

    Attributes:
        person: whoever imported it.
        completed_at: when every row had its answer; None while some have none.
        invited: rows that became an invitation; ``refused`` and ``faulty`` are the others.
    """

    invitation_import: UUID
    person: UUID
    started_at: datetime
    completed_at: datetime | None
    invited: int
    refused: int
    faulty: int


@dataclass(frozen=True, slots=True)
class RowFault:
    """Something that stood in the way of a row; ``column`` by the name of its field."""

    rule: str
    column: str | None
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ImportedRowLine:
    """The answer to a row of a list.

    Attributes:
        row: its number, as spreadsheets show it.
        outcome: invited, refused or faulty.
        invitation: what it became.
        faults: everything that stood in its way.
    """

    row: int
    outcome: str
    invitation: UUID | None
    faults: tuple[RowFault, ...]


_PLAN = """
    SELECT plan, institution_id, institution, seats, standing, paid_through,
           GREATEST(grace_until, renewal_day) AS grace_until,
           time_zone, opened_at,
           (SELECT count(*) FROM projections.plan_members AS m
            WHERE m.plan = p.plan AND since <= %(at)s AND (until IS NULL OR until > %(at)s)
           ) AS members,
           (SELECT count(*) FROM projections.plan_invitations AS i
            WHERE i.plan = p.plan AND sent_at <= %(at)s AND expires_at > %(at)s
              AND (settled_at IS NULL OR settled_at > %(at)s)) AS invitations_open
    FROM projections.plans AS p WHERE plan = %(plan)s
"""


def plan_state(connection: Connection, plan: UUID, at: datetime) -> PlanState | None:
    """A plan; None where there is none. Facts of a later business time take no seat."""
    cursor = connection.cursor(binary=True, row_factory=class_row(PlanState))
    return cursor.execute(_PLAN, {"plan": plan, "at": at}).fetchone()


def is_plan(connection: Connection, plan: UUID) -> bool:
    """Whether there is such a plan."""
    row = connection.execute("SELECT FROM projections.plans WHERE plan = %s", (plan,)).fetchone()
    return row is not None


_MEMBERS = """
    SELECT m.account, m.person, role, member_since, since,
           COALESCE(suspended, false) AS suspended, event_id, email_event_id,
           COALESCE(sealed, '{}') AS sealed
    FROM projections.plan_members AS m LEFT JOIN projections.member_identities USING (account)
    WHERE plan = %(plan)s AND since <= %(at)s AND (until IS NULL OR until > %(at)s)
    ORDER BY member_since, position
"""


def member_lines(connection: Connection, plan: UUID, at: datetime) -> tuple[MemberLine, ...]:
    """The members of a plan at an instant, the first to come first."""
    cursor = connection.cursor(row_factory=class_row(MemberLine))
    return tuple(cursor.execute(_MEMBERS, {"plan": plan, "at": at}).fetchall())


_INVITATIONS = """
    SELECT invitation, person, role, state, sent_at, last_sent_at, expires_at, settled_at,
           revoked_because, account, invitation_import, row, event_id, email_event_id, sealed
    FROM (
        SELECT invitation, person, role, sent_at, last_sent_at, expires_at, invitation_import, row,
               event_id, email_event_id, sealed,
               CASE WHEN settled_at <= %(at)s THEN state
                    WHEN expires_at > %(at)s THEN 'open' ELSE 'expired' END AS state,
               CASE WHEN settled_at <= %(at)s THEN settled_at END AS settled_at,
               CASE WHEN settled_at <= %(at)s THEN revoked_because END AS revoked_because,
               CASE WHEN settled_at <= %(at)s THEN account END AS account
        FROM projections.plan_invitations WHERE plan = %(plan)s AND sent_at <= %(at)s
    ) AS as_it_was
    WHERE %(state)s::text IS NULL OR state = %(state)s
    ORDER BY sent_at, invitation_import, row, invitation
"""


def invitation_lines(
    connection: Connection, plan: UUID, at: datetime, state: InvitationState | None
) -> tuple[InvitationLine, ...]:
    """The invitations of a plan as they are at an instant, the first sent first.

    Args:
        connection: in a transaction in which the projection stands still.
        plan: the institutional plan.
        at: the instant; what was sent later is left aside.
        state: those in this state alone.
    """
    asked = {"plan": plan, "at": at, "state": state and state.value}
    cursor = connection.cursor(row_factory=class_row(InvitationLine))
    return tuple(cursor.execute(_INVITATIONS, asked).fetchall())


def import_lines(connection: Connection, plan: UUID) -> tuple[ImportLine, ...]:
    """The imports of a plan, the first first."""
    cursor = connection.cursor(binary=True, row_factory=class_row(ImportLine))
    cursor.execute(
        "SELECT invitation_import, person, started_at, completed_at, invited, refused, faulty"
        " FROM projections.invitation_imports WHERE plan = %s"
        " ORDER BY started_at, invitation_import",
        (plan,),
    )
    return tuple(cursor.fetchall())


def imported_row_lines(
    connection: Connection, invitation_import: UUID
) -> tuple[ImportedRowLine, ...]:
    """The answers to the rows of an import, in the order of the list."""
    rows = connection.cursor(binary=True).execute(
        "SELECT row, outcome, invitation, COALESCE(faults, '[]')"
        " FROM projections.invitation_import_rows WHERE invitation_import = %s ORDER BY row",
        (invitation_import,),
    )
    return tuple(
        ImportedRowLine(row, outcome, invitation, tuple(RowFault(**fault) for fault in faults))
        for row, outcome, invitation, faults in rows.fetchall()
    )


_ADMINISTERS = """
    SELECT FROM projections.plan_members AS asker
    JOIN projections.member_identities AS known ON known.account = asker.account
    WHERE asker.person = %(person)s AND asker.until IS NULL AND asker.role <> 'user'
      AND NOT known.suspended
"""


def administers(connection: Connection, person: UUID, plan: UUID) -> bool:
    """Whether a person administers a plan now, by the ledger; a suspended one does not (A10)."""
    asked = {"person": person, "plan": plan}
    row = connection.execute(_ADMINISTERS + "AND asker.plan = %(plan)s LIMIT 1", asked).fetchone()
    return row is not None


def administers_plan_of(connection: Connection, person: UUID, account: UUID) -> bool:
    """Whether a person administers a plan of which an account is a member now."""
    of_account = (
        "AND asker.plan IN (SELECT plan FROM projections.plan_members"
        " WHERE account = %(account)s AND until IS NULL) LIMIT 1"
    )
    asked = {"person": person, "account": account}
    return connection.execute(_ADMINISTERS + of_account, asked).fetchone() is not None
