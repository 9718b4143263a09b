"""Questions to the read models. Every answer says the position of the log up to which it knows.

An answer is degraded where it may miss what stands in a stream that a read model has parked (X6).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from time import monotonic
from typing import LiteralString, TypeAlias, TypeVar
from uuid import UUID

from psycopg import Connection
from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg.rows import TupleRow

from domain.actor import Actor, ActorKind
from domain.authority import may_open
from domain.event import event_class
from domain.personal import Purpose, personal_fields
from domain.streams import subscription_of
from domain.subscription import SubscriptionKind, SubscriptionStarted
from handlers.checks import Checks
from handlers.commands.situation import study_history_of
from handlers.faults import InvalidInput
from handlers.opening import Openable, Opened, all_or_none, open_lines
from handlers.snapshots import ANYTHING, Knowledge, Snapshots
from handlers.store.database import Database, reachable
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore
from handlers.store.reader import head
from projections.access import Access, AccessAnswer, ContractContact
from projections.account_history import AccountHistory, HistoryLine, history_lines
from projections.billing_history import LINES, BillingHistory, BillingLine, paid_through
from projections.billing_outlook import DUE, Coming, coming
from projections.contracts import ContractRegister, is_linked, looks_after
from projections.due import DueWork
from projections.institutions import (
    ImportedRowLine,
    ImportLine,
    Institutions,
    InvitationLine,
    InvitationState,
    MemberLine,
    PlanState,
    administers,
    administers_plan_of,
    import_lines,
    imported_row_lines,
    invitation_lines,
    is_plan,
    member_lines,
    plan_state,
)
from projections.parked import ParkedStream, is_degraded, parked_streams
from projections.projection import SealedValue, sealed_for
from projections.study_history import StudyHistory, StudyLine, study_lines

__all__ = [
    "Billing", "History", "ImportedRows", "Imports", "Invitations", "Members", "OpenedContact",
    "OpenedInvitation", "OpenedLine", "OpenedMember", "Parked", "Plan", "Queries", "Status",
    "Study",
]  # fmt: skip


OpenedLine: TypeAlias = Opened[HistoryLine]
OpenedMember: TypeAlias = Opened[MemberLine]
OpenedInvitation: TypeAlias = Opened[InvitationLine]
OpenedContact: TypeAlias = Opened[ContractContact]
PersonLineT = TypeVar("PersonLineT", MemberLine, InvitationLine)


@dataclass(frozen=True, slots=True)
class Billing:
    """The billing history of an account.

    Attributes:
        account: whose it is; of a plan, the plan.
        paid_through: the last day that is paid for.
        coming: what comes next, the first of it first; nothing where the past was asked for.
    """

    account: UUID
    lines: tuple[BillingLine, ...]
    paid_through: date | None
    coming: tuple[Coming, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happened to an account."""

    account: UUID
    lines: tuple[OpenedLine, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that was studied through an account."""

    account: UUID
    lines: tuple[StudyLine, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of an institution, its seats and who uses them.

    Attributes:
        at: the instant that members and open invitations are counted at.
        over: it had been paid for by then, and is so no longer; nobody is let in or invited.
    """

    plan: PlanState
    at: datetime
    over: bool
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """The members of a plan at an instant."""

    plan: UUID
    at: datetime
    members: tuple[OpenedMember, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Invitations:
    """The invitations of a plan as they are at an instant."""

    plan: UUID
    at: datetime
    invitations: tuple[OpenedInvitation, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Imports:
    """The lists that were imported into a plan."""

    plan: UUID
    imports: tuple[ImportLine, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """The answers to the rows of one import."""

    plan: UUID
    invitation_import: UUID
    rows: tuple[ImportedRowLine, ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """An erasure of which something can still be read.

    Attributes:
        copies_readable: copies of the database made before it can still be opened, until
            ``acta keys rotate``.
        tax_data_readable_until: buyer data of tax documents is kept until then.
    """

    person: UUID
    erased_at: datetime
    copies_readable: bool
    tax_data_readable_until: date | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the log and of what follows it.

    Attributes:
        head: position of the last event.
        events: how many events there are.
        positions: up to which position each read model knows; lag is ``head`` less that.
        sizes_bytes: size of each table with its indexes.
        parked: how many streams read models have parked.
    """

    head: int
    events: int
    positions: dict[str, int]
    sizes_bytes: dict[str, int]
    pending_erasures: tuple[PendingErasure, ...]
    parked: int


@dataclass(frozen=True, slots=True)
class Parked:
    """The streams that read models have parked."""

    streams: tuple[ParkedStream, ...]
    position: int


class Queries:
    """Answers from the read models, in one snapshot each.

    Args:
        store: resolves e-mails and opens personal values.
        snapshots: the moments at which it looks.
        modules: names of the modules that there are (C4).
    """

    def __init__(self, store: EventStore, snapshots: Snapshots, *, modules: Sequence[str]) -> None:
        self._store = store
        self._database: Database = store.database
        self._directory = Directory(store)
        self._snapshots = snapshots
        self._checks = Checks(store.database, self._directory, snapshots, modules)

    def check(
        self, who: str, thing: str, at: datetime, knowledge: Knowledge = ANYTHING
    ) -> AccessAnswer:
        """Whether somebody has access to a thing at an instant (X1 to X4, X6).

        Args:
            who: an e-mail, ``person:ID`` or ``account:ID``.
            thing: ``content``, ``module:NAME``, or ``plan:ID:administer``.
            at: the instant.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there is no such thing.
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        return self._checks.check(who, thing, at, knowledge)

    def contacts(self, answer: AccessAnswer, asker: Actor) -> tuple[OpenedContact, ...]:
        """Whom an answer says to contact, opened for the asker as far as G1 allows.

        Whoever is linked to a contract, or is its contact, is told who its contact and its
        validator are (C6).

        Raises:
            DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        known = self._known(asker, answer.at)
        theirs = self._theirs({each.contract for each in answer.contacts}, known, answer.position)
        return open_lines(
            self._store.vault,
            (
                all_or_none(
                    each,
                    each.sealed,
                    may=may_open(
                        known,
                        Purpose.IDENTITY,
                        each.person,
                        administers_owner=each.contract in theirs,
                    ),
                )
                for each in answer.contacts
            ),
        )

    def _theirs(self, contracts: Collection[UUID], asker: Actor, position: int) -> set[UUID]:
        """Those of the contracts under which the asker works now, or which they look after."""
        person = asker.id
        if not contracts or asker.kind is not ActorKind.PERSON or person is None:
            return set()
        with self._snapshots.of(ContractRegister, Knowledge(position)) as (connection, _):
            return {
                contract
                for contract in contracts
                if is_linked(connection, person, contract)
                or looks_after(connection, person, contract)
            }

    def billing(
        self,
        who: str,
        now: datetime,
        knowledge: Knowledge = ANYTHING,
        *,
        at: datetime | None = None,
    ) -> Billing:
        """The billing history of an account, or of a plan.

        Args:
            who: an e-mail, ``person:ID``, ``account:ID`` or ``plan:ID``.
            now: when it is asked.
            knowledge: how much the answer has to know.
            at: facts of a later business time are left aside; none are where None.

        Raises:
            InvalidInput: nobody is meant.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        self._snapshots.catch_up()
        kind, _, rest = who.partition(":")
        # An account that is named by its id is looked up in the same statement.
        try:
            account = UUID(rest) if kind == "account" else self._account(who, now)
        except InvalidInput:
            # Whoever asks for more than is known has to hear that first.
            self._wait_until_known(knowledge, monotonic() + knowledge.deadline_seconds)
            raise
        rows = self._billing_rows(account, at, knowledge)
        *_, position, degraded, is_account = rows[0]
        if kind == "account" and not is_account:
            raise _nobody_meant()
        # What has no position is yet to come; without a kind it is the header, which stands alone.
        first_due = next((number for number, row in enumerate(rows) if row[0] is None), len(rows))
        lines = tuple(map(BillingLine._make, map(_LINE, rows[:first_due])))
        due = [BillingLine._make(_LINE(row)) for row in rows[first_due:] if row[_KIND]]
        return Billing(account, lines, paid_through(lines), coming(due, lines), position, degraded)

    def _billing_rows(
        self, account: UUID, at: datetime | None, knowledge: Knowledge
    ) -> list[TupleRow]:
        """As ``_BILLING`` selects them, once both read models know enough."""
        deadline = monotonic() + knowledge.deadline_seconds
        streams = _streams_of(account)
        asked: dict[str, object] = {"account": account, "at": at, "subjects": streams}
        try:
            rows = self._look(asked)
        except (UndefinedTable, UndefinedColumn):
            # No projector of this version has made them yet.
            rows = []
        while not rows or rows[0][_POSITION] < knowledge.at_least:
            # Somebody may begin to rebuild one just then; it is waited for anew.
            self._wait_until_known(knowledge, deadline)
            rows = self._look(asked)
        return rows

    def _wait_until_known(self, knowledge: Knowledge, deadline: float) -> None:
        for each in (BillingHistory, DueWork):
            self._snapshots.wait_for(each, knowledge, deadline)

    def _look(self, asked: dict[str, object]) -> list[TupleRow]:
        """At one moment, for it is one statement; see ``Checks``."""
        with reachable(), self._database.connection() as connection:
            return connection.reading.execute(
                _BILLING, {**_BILLED_BY, **asked}, prepare=True
            ).fetchall()

    def history(
        self, who: str, now: datetime, asker: Actor, knowledge: Knowledge = ANYTHING
    ) -> History:
        """Everything that happened to an account or a plan, opened for the asker as G1 allows.

        Args:
            who: an e-mail, ``person:ID``, ``account:ID`` or ``plan:ID``.
            now: when it is asked.
            asker: who asks; whether a person administers a plan of which the account is a member
                now is read from the ledger.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: nobody is meant.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(AccountHistory, knowledge, Institutions) as (connection, position):
            account, asker = self._account(who, now), self._known(asker, now)
            lines = history_lines(connection, account)
            degraded = is_degraded(connection, AccountHistory, about=_streams_of(account))
            person = _asking_person(asker)
            administered = person is not None and administers_plan_of(connection, person, account)
        opened = open_lines(
            self._store.vault,
            (_openable(line, asker, administered=administered) for line in lines),
        )
        return History(account, opened, position, degraded)

    def study(self, who: str, now: datetime, knowledge: Knowledge = ANYTHING) -> Study:
        """Everything that was studied through an account.

        Raises:
            InvalidInput: nobody is meant.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(StudyHistory, knowledge) as (connection, position):
            account = self._account(who, now)
            degraded = is_degraded(connection, StudyHistory, about=_streams_of(account))
            return Study(account, study_lines(connection, account), position, degraded)

    # ------------------------------------------------------------ institutions

    def plan(self, plan: UUID, at: datetime, knowledge: Knowledge = ANYTHING) -> Plan:
        """A plan, and who uses its seats at an instant (S10).

        Args:
            plan: the institutional plan.
            at: the instant; facts of a later business time are left aside.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there is no such plan.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(Institutions, knowledge) as (connection, position):
            state = plan_state(connection, plan, at)
            if state is None:
                raise _no_such_plan()
            degraded = is_degraded(connection, Institutions)
            return Plan(state, at, state.over(at), position, degraded)

    def members(
        self, plan: UUID, at: datetime, asker: Actor, knowledge: Knowledge = ANYTHING
    ) -> Members:
        """The members of a plan at an instant, opened for the asker as far as G1 allows.

        Raises:
            InvalidInput: there is no such plan.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(Institutions, knowledge) as (connection, position):
            _refuse_unknown_plan(connection, plan)
            lines, asker = member_lines(connection, plan, at), self._known(asker, at)
            administered = _is_administered(connection, asker, plan)
            degraded = is_degraded(connection, Institutions)
        members = self._opened(lines, asker, administered=administered)
        return Members(plan, at, members, position, degraded)

    def invitations(
        self,
        plan: UUID,
        at: datetime,
        asker: Actor,
        state: InvitationState | None = None,
        knowledge: Knowledge = ANYTHING,
    ) -> Invitations:
        """The invitations of a plan as they are at an instant, opened as far as G1 allows.

        Args:
            plan: the institutional plan.
            at: the instant; what was sent later is left aside.
            asker: who asks; whether a person administers the plan is read from the ledger.
            state: those in this state alone.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there is no such plan.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(Institutions, knowledge) as (connection, position):
            _refuse_unknown_plan(connection, plan)
            lines, asker = invitation_lines(connection, plan, at, state), self._known(asker, at)
            administered = _is_administered(connection, asker, plan)
            degraded = is_degraded(connection, Institutions)
        invitations = self._opened(lines, asker, administered=administered)
        return Invitations(plan, at, invitations, position, degraded)

    def imports(self, plan: UUID, knowledge: Knowledge = ANYTHING) -> Imports:
        """The lists that were imported into a plan (I5).

        Raises:
            InvalidInput: there is no such plan.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(Institutions, knowledge) as (connection, position):
            _refuse_unknown_plan(connection, plan)
            degraded = is_degraded(connection, Institutions)
            return Imports(plan, import_lines(connection, plan), position, degraded)

    def imported_rows(
        self,
        plan: UUID,
        invitation_import: UUID,
        knowledge: Knowledge = ANYTHING,
    ) -> ImportedRows:
        """The answer to each row of a list (I5).

        Raises:
            InvalidInput: there is no such plan, or no such import into it.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(Institutions, knowledge) as (connection, position):
            _refuse_unknown_plan(connection, plan)
            known = {line.invitation_import for line in import_lines(connection, plan)}
            if invitation_import not in known:
                raise InvalidInput(
                    "there is no such import into the plan",
                    remedy="Check the id; acta imports PLAN lists them.",
                )
            rows = imported_row_lines(connection, invitation_import)
            degraded = is_degraded(connection, Institutions)
            return ImportedRows(plan, invitation_import, rows, position, degraded)

    # ------------------------------------------------------------ the ledger itself

    def status(self) -> Status:
        """The state of the log, without bringing anything up to it first.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with reachable(), self._database.connection() as connection:
            counted = connection.execute("SELECT count(*) FROM ledger.events").fetchone()
            positions = connection.execute(
                "SELECT name, position FROM projections.positions ORDER BY name"
            ).fetchall()
            sizes = connection.execute(
                "SELECT schemaname || '.' || relname, pg_total_relation_size(relid)"
                " FROM pg_stat_user_tables"
                " WHERE schemaname IN ('ledger', 'vault', 'projections') ORDER BY 1"
            ).fetchall()
            pending = connection.execute(_PENDING_ERASURES).fetchall()
            return Status(
                head=head(connection),
                events=counted[0] if counted else 0,
                positions=dict(positions),
                sizes_bytes=dict(sizes),
                pending_erasures=tuple(PendingErasure(*row) for row in pending),
                parked=len(parked_streams(connection)),
            )

    def parked(self, knowledge: Knowledge = ANYTHING) -> Parked:
        """The streams that read models have parked, in the order of the log.

        Raises:
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshots.of(Access, knowledge) as (connection, position):
            return Parked(parked_streams(connection), position)

    def _account(self, who: str, now: datetime) -> UUID:
        """The account meant, or the plan, whose facts name it in place of an account."""
        kind, _, rest = who.partition(":")
        if kind == "plan":
            return self._plan(UUID(rest))
        account = self._directory.account(who, at=now)
        if account is None:
            raise _nobody_meant()
        return account

    def _plan(self, plan: UUID) -> UUID:
        """From the log itself, whatever the read model of institutions knows."""
        events = [entry.event for entry in self._store.streams([plan])[plan][:1]]
        match events:
            case [SubscriptionStarted(kind=SubscriptionKind.PLAN)]:
                return plan
            case _:
                raise _no_such_plan()

    def _known(self, asker: Actor, at: datetime) -> Actor:
        """The asker by id, where the door knows a person by e-mail or account."""
        if asker.who is None:
            return asker
        account = self._directory.account(asker.who, at=at)
        person = None if account is None else self._store.person_of(account)
        return Actor(kind=asker.kind, id=person)

    def _opened(
        self, lines: Sequence[PersonLineT], asker: Actor, *, administered: bool
    ) -> tuple[Opened[PersonLineT], ...]:
        return open_lines(
            self._store.vault,
            (
                all_or_none(
                    line,
                    _sealed_of(line),
                    may=may_open(
                        asker, Purpose.IDENTITY, line.person, administers_owner=administered
                    ),
                )
                for line in lines
            ),
        )


def _openable(line: HistoryLine, asker: Actor, *, administered: bool) -> Openable[HistoryLine]:
    marks = personal_fields(event_class(line.topic))
    # The table keeps them in no order.
    sealed = {name: line.sealed[name] for name in marks if name in line.sealed}
    open_fields = [
        name
        for name in sealed
        if may_open(asker, marks[name].purpose, line.person, administers_owner=administered)
    ]
    return Openable(line, sealed_for(line.event_id, sealed), open_fields)


def _sealed_of(line: MemberLine | InvitationLine) -> tuple[SealedValue, ...]:
    """Each value with the event that it is bound to: the e-mail changes by itself."""
    return tuple(
        SealedValue(name, event_id, value)
        for name, value in line.sealed.items()
        if (event_id := line.email_event_id if name == "email" else line.event_id) is not None
    )


def _streams_of(account: UUID) -> list[UUID]:
    """Where facts of an account stand, or of a plan."""
    return [account, subscription_of(account), study_history_of(account)]


def _asking_person(asker: Actor) -> UUID | None:
    return asker.id if asker.kind is ActorKind.PERSON else None


def _is_administered(connection: Connection, asker: Actor, plan: UUID) -> bool:
    """Whether the asker administers a plan: by the ledger, never by the asker's word (G1)."""
    person = _asking_person(asker)
    return person is not None and administers(connection, person, plan)


def _refuse_unknown_plan(connection: Connection, plan: UUID) -> None:
    if not is_plan(connection, plan):
        raise _no_such_plan()


def _nobody_meant() -> InvalidInput:
    return InvalidInput(
        "nobody is meant by that e-mail or id",
        remedy="Check it; after an erasure only person:ID and account:ID answer.",
    )


def _no_such_plan() -> InvalidInput:
    return InvalidInput(
        "there is no such plan",
        remedy="Check the id; a plan that was opened just now is known with --at-least POSITION.",
    )


_LINE = itemgetter(slice(len(BillingLine._fields)))
_KIND, _POSITION = BillingLine._fields.index("kind"), -3
_BILLED_BY = {
    "history": BillingHistory.name,
    "history_version": BillingHistory.version,
    "due": DueWork.name,
    "due_version": DueWork.version,
}
# The header stands behind each line, and where there is none it stands alone.
_BILLING: LiteralString = f"""
WITH header AS (
    SELECT COALESCE((SELECT CASE WHEN count(*) = 2 THEN min(position) END
                     FROM projections.positions
                     WHERE (name, version) IN ((%(history)s, %(history_version)s),
                                               (%(due)s, %(due_version)s))), -1),
           EXISTS (SELECT FROM projections.parked
                   WHERE projection IN (%(history)s, %(due)s)
                     AND (stream = ANY(%(subjects)s) OR subjects && %(subjects)s::uuid[])),
           EXISTS (SELECT FROM ledger.person_accounts WHERE account = %(account)s)
),
lines AS (({LINES}) UNION ALL ({DUE}))
SELECT lines.*, header.* FROM header LEFT JOIN lines ON true ORDER BY position, line
"""  # noqa: S608  literals alone

_PENDING_ERASURES = """
    SELECT e.person, e.erased_at, k.retired_at IS NULL,
           CASE WHEN EXISTS (SELECT FROM vault.keys WHERE vault.keys.person = e.person)
                THEN e.tax_data_readable_until END
    FROM vault.erasures e JOIN vault.key_encryption_keys k ON k.id = e.key_encryption_key
    WHERE k.retired_at IS NULL
       OR EXISTS (SELECT FROM vault.keys WHERE vault.keys.person = e.person)
    ORDER BY e.erased_at
"""
