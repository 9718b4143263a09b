"""Questions to the read models. Every answer says the position of the log up to which it knows."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from threading import Event as Signal
from time import monotonic
from uuid import UUID

from psycopg import Connection, IsolationLevel

from domain.actor import Actor
from domain.authority import may_open
from domain.event import event_class
from domain.personal import Sealed, personal_fields
from handlers.faults import DeadlinePassed, InvalidInput, PositionBeyondHead
from handlers.store.database import Database, reachable
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore
from handlers.store.reader import head
from projections.access import Access, ContentAnswer, content_answer
from projections.account_history import AccountHistory, HistoryLine, history_lines
from projections.billing_history import (
    BillingHistory,
    BillingLine,
    billing_lines,
    paid_through,
)
from projections.projection import Projection
from projections.study_history import StudyHistory, StudyLine, study_lines

__all__ = ["Billing", "History", "Knowledge", "OpenedLine", "Queries", "Status", "Study"]

DEADLINE_SECONDS = 5.0
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How much an answer has to know.

    Attributes:
        at_least: a position that the answer has to know, such as that of a receipt (X4).
        deadline_seconds: how long to wait for it.
    """

    at_least: int = 0
    deadline_seconds: float = DEADLINE_SECONDS


ANYTHING = Knowledge()


@dataclass(frozen=True, slots=True)
class Billing:
    """The billing history of an account."""

    account: UUID
    lines: tuple[BillingLine, ...]
    paid_through: date | None
    position: int


@dataclass(frozen=True, slots=True)
class OpenedLine:
    """A line of a history, its personal values opened for whom G1 allows.

    Attributes:
        personal: by field: the value in clear, or None where it is sealed for the asker or its
            person has been erased.
    """

    line: HistoryLine
    personal: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happened to an account."""

    account: UUID
    lines: tuple[OpenedLine, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that was studied through an account."""

    account: UUID
    lines: tuple[StudyLine, ...]
    position: int


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
    """

    head: int
    events: int
    positions: dict[str, int]
    sizes_bytes: dict[str, int]
    pending_erasures: tuple[PendingErasure, ...]


class Queries:
    """Answers from the read models, in one snapshot each.

    Args:
        store: resolves e-mails and opens personal values.
        catch_up: brings the read models up to the log before an answer; None where a projector
            runs beside, and answers wait for it.
    """

    def __init__(self, store: EventStore, *, catch_up: Callable[[], object] | None = None) -> None:
        self._store = store
        self._database: Database = store.database
        self._directory = Directory(store)
        self._catch_up = catch_up

    def check(
        self, who: str, thing: str, at: datetime, knowledge: Knowledge = ANYTHING
    ) -> ContentAnswer:
        """Whether somebody has access to a thing at an instant (X1 to X4).

        Args:
            who: an e-mail, ``person:ID`` or ``account:ID``.
            thing: ``content``.
            at: the instant.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there is no such thing.
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        if thing != "content":
            raise InvalidInput(
                "there is no such thing to have access to",
                remedy="Ask for: content.",
            )
        with self._snapshot(Access, knowledge) as (connection, position):
            account = self._directory.account(who, at=at)
            return content_answer(connection, account, at, position=position)

    def billing(self, who: str, now: datetime, knowledge: Knowledge = ANYTHING) -> Billing:
        """The billing history of an account.

        Raises:
            InvalidInput: nobody is meant.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshot(BillingHistory, knowledge) as (connection, position):
            account = self._account(who, now)
            lines = billing_lines(connection, account)
            return Billing(account, lines, paid_through(lines), position)

    def history(
        self, who: str, now: datetime, asker: Actor, knowledge: Knowledge = ANYTHING
    ) -> History:
        """Everything that happened to an account, opened for the asker as far as G1 allows.

        Raises:
            InvalidInput: nobody is meant.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshot(AccountHistory, knowledge) as (connection, position):
            account = self._account(who, now)
            lines = history_lines(connection, account)
        opened = tuple(OpenedLine(line, self._opened(line, asker)) for line in lines)
        return History(account, opened, position)

    def study(self, who: str, now: datetime, knowledge: Knowledge = ANYTHING) -> Study:
        """Everything that was studied through an account.

        Raises:
            InvalidInput: nobody is meant.
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``check``.
        """
        with self._snapshot(StudyHistory, knowledge) as (connection, position):
            account = self._account(who, now)
            return Study(account, study_lines(connection, account), position)

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
            )

    @contextmanager
    def _snapshot(
        self, projection: type[Projection], knowledge: Knowledge
    ) -> Generator[tuple[Connection, int]]:
        """A transaction in which a read model stands still, and its position."""
        if self._catch_up is not None:
            self._catch_up()
        deadline = monotonic() + knowledge.deadline_seconds
        while True:
            self._wait_for(projection, knowledge, deadline)
            with self._standing_still(projection) as (connection, position):
                # Somebody may have begun to rebuild it just now; then it is waited for anew.
                if position >= knowledge.at_least:
                    yield connection, position
                    return

    @contextmanager
    def _standing_still(self, projection: type[Projection]) -> Generator[tuple[Connection, int]]:
        with reachable(), self._database.connection() as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            try:
                with connection.transaction():
                    # Before the first look, which is the one that all others see: or a rebuild
                    # in between would show its empty tables beside the old position.
                    for table in projection.tables:
                        table.keep(connection)
                    yield connection, _known_position(connection, projection) or 0
            finally:
                connection.isolation_level = None

    def _wait_for(
        self, projection: type[Projection], knowledge: Knowledge, deadline: float
    ) -> None:
        with reachable(), self._database.connection() as connection:
            if knowledge.at_least > 0 and knowledge.at_least > (known := head(connection)):
                raise PositionBeyondHead(
                    f"position {knowledge.at_least} lies beyond the head of the log, {known}",
                    remedy="Ask for a position that a receipt or an answer named.",
                )
            while True:
                position = _known_position(connection, projection)
                if position is not None and position >= knowledge.at_least:
                    return
                if monotonic() >= deadline or (position is None and knowledge.at_least <= 0):
                    raise _not_known(projection, position, knowledge)
                Signal().wait(PAUSE_SECONDS)

    def _account(self, who: str, now: datetime) -> UUID:
        account = self._directory.account(who, at=now)
        if account is None:
            raise InvalidInput(
                "nobody is meant by that e-mail or id",
                remedy="Check it; after an erasure only person:ID and account:ID answer.",
            )
        return account

    def _opened(self, line: HistoryLine, asker: Actor) -> dict[str, str | None]:
        marks = personal_fields(event_class(line.topic))
        return {
            field: self._store.vault.open(Sealed.parse(value), event_id=line.event_id, field=field)
            if may_open(asker, marks[field].purpose, line.person)
            else None
            for field, value in line.sealed.items()
        }


_PENDING_ERASURES = """
    SELECT e.person, e.erased_at, k.retired_at IS NULL,
           CASE WHEN EXISTS (SELECT FROM vault.keys WHERE vault.keys.person = e.person)
                THEN e.tax_data_readable_until END
    FROM vault.erasures e JOIN vault.key_encryption_keys k ON k.id = e.key_encryption_key
    WHERE k.retired_at IS NULL
       OR EXISTS (SELECT FROM vault.keys WHERE vault.keys.person = e.person)
    ORDER BY e.erased_at
"""


def _not_known(
    projection: type[Projection], position: int | None, knowledge: Knowledge
) -> DeadlinePassed:
    if position is None:
        return DeadlinePassed(
            f"{projection.name} knows nothing yet: no projector has run here",
            remedy="Run: acta project, or once: acta project --once",
        )
    return DeadlinePassed(
        f"{projection.name} knows up to position {position}, not {knowledge.at_least},"
        f" after {knowledge.deadline_seconds:g} seconds",
        remedy="See that acta project runs, or give it more time with --deadline.",
    )


def _known_position(connection: Connection, projection: type[Projection]) -> int | None:
    """Up to where a read model knows; None before its tables are first made."""
    row = connection.execute(
        "SELECT position FROM projections.positions WHERE name = %s", (projection.name,)
    ).fetchone()
    return int(row[0]) if row else None
