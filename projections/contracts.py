"""Read model of contracts: validity, documents, risks, roles, and the people linked (C1 to C6).

Every row is a fact with its place in the log and its business time, and none is ever changed.
What is so at an instant follows from the facts up to it, in the order of the log: a later fact is
left aside, and a backdated one counts from the instant that it names (X5).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Json

from domain.account import (
    AccountClosed,
    AccountKind,
    AccountReinstated,
    AccountSuspended,
    PersonErased,
    Standing,
    UserCodeChanged,
    UserRegistered,
)
from domain.calendar import local_day, start_of_day
from domain.contract import (
    ContactNamed,
    ContractEnded,
    ContractFact,
    ContractOpened,
    ContractReactivated,
    InformationDocumentPublished,
    InformationDocumentWithdrawn,
    RiskLinked,
    RiskUnlinked,
    RoleFilled,
    RolesRequired,
    RoleVacated,
    ValidatorNamed,
)
from domain.contract_link import (
    ContractLinkFact,
    InformationDocumentDownloaded,
    InformationDocumentMarkedAsRead,
    PersonLinked,
    PersonUnlinked,
)
from domain.event import Event, Recorded
from domain.module_access import ContractDays
from projections.projection import (
    Projection,
    SealedValue,
    Table,
    sealed_for,
    sealed_values,
)

__all__ = [
    "ContractLine",
    "ContractRegister",
    "ContractWhole",
    "DocumentLine",
    "DocumentVersionLine",
    "LinkedPersonLine",
    "NamedPersonLine",
    "Outstanding",
    "ReadingLine",
    "RiskLine",
    "RoleLine",
    "ToRead",
    "contract_lines",
    "contract_whole",
    "is_linked",
    "looks_after",
]

# ---------------------------------------------------------------- tables

OPENED = Table(
    "contracts",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "holder": "uuid NOT NULL",
        "contractor": "uuid NOT NULL",
        "modules": "text[] NOT NULL",
    },
    key=("contract",),
)
# In force from the first instant of its first day until the first one after its last day.
VALIDITIES = Table(
    "contract_validities",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "valid_from": "date NOT NULL",
        "valid_to": "date NOT NULL",
        "time_zone": "text NOT NULL",
        "begins_at": "timestamptz NOT NULL",
        "runs_out_at": "timestamptz",
    },
    key=("contract", "position"),
)
ENDINGS = Table(
    "contract_endings",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "reason": "text NOT NULL",
    },
    key=("contract", "position"),
)
# Who validates and who the contact is; ``kind`` is the validator's.
NAMED = Table(
    "contract_named",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "named_for": "text NOT NULL",
        "kind": "text",
        "person": "uuid NOT NULL",
        "event_id": "uuid NOT NULL",
        "sealed": "json NOT NULL",
    },
    key=("contract", "position"),
)
# A row for each version of each document; one without a version withdraws the document.
DOCUMENTS = Table(
    "contract_documents",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "document": "uuid NOT NULL",
        "code": "text",
        "version": "int4",
        "sha256": "text",
        "media_type": "text",
        "size_bytes": "bigint",
    },
    key=("contract", "position"),
)
REQUIRED_ROLES = Table(
    "contract_required_roles",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "roles": "text[] NOT NULL",
    },
    key=("contract", "position"),
)
# Who has a role from then on; nobody, where it was vacated.
ROLES = Table(
    "contract_roles",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "role": "text NOT NULL",
        "filled_by": "uuid",
        "said_by": "uuid NOT NULL",
    },
    key=("contract", "position"),
)
RISKS = Table(
    "contract_risks",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "risk": "text NOT NULL",
        "linked": "bool NOT NULL",
        "said_by": "uuid NOT NULL",
    },
    key=("contract", "position"),
)
LINKS = Table(
    "contract_links",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "person": "uuid NOT NULL",
        "account": "uuid NOT NULL",
        "linked": "bool NOT NULL",
        "reason": "text",
        "event_id": "uuid NOT NULL",
        "sealed": "json NOT NULL",
    },
    key=("contract", "position"),
)
READINGS = Table(
    "contract_readings",
    {
        "contract": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "person": "uuid NOT NULL",
        "document": "uuid NOT NULL",
        "version": "int4 NOT NULL",
        "read": "bool NOT NULL",
    },
    key=("contract", "position"),
)
# What a holder gave of people whose account came with a link, and every later user code.
IDENTITIES = Table(
    "contract_identities",
    {
        "account": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "event_id": "uuid NOT NULL",
        "sealed": "json NOT NULL",
    },
    key=("account", "position"),
)
# Whether an account is open, suspended or closed, of whatever kind it is; open at first.
STANDINGS = Table(
    "contract_account_standings",
    {
        "account": "uuid NOT NULL",
        "position": "bigint NOT NULL",
        "occurred_at": "timestamptz NOT NULL",
        "person": "uuid NOT NULL",
        "standing": "text NOT NULL",
    },
    key=("account", "position"),
    indexes=("CREATE INDEX ON projections.contract_account_standings (person, position)",),
)


class ContractRegister(Projection):
    """Facts about contracts and the people under them.

    Personal values stay sealed as they stand in the log; each opens only for its ``event_id``.
    """

    name: ClassVar[str] = "contracts"
    version: ClassVar[int] = 1
    aggregates: ClassVar[frozenset[str] | None] = frozenset(
        {"contract", "contract_link", "account"}
    )
    tables: ClassVar[tuple[Table, ...]] = (
        OPENED, VALIDITIES, ENDINGS, NAMED, DOCUMENTS, REQUIRED_ROLES, ROLES, RISKS, LINKS,
        READINGS, IDENTITIES, STANDINGS,
    )  # fmt: skip

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        """Adds the facts of a batch, each table in one COPY."""
        rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in self.tables}
        for entry in batch:
            for table, of, values in _facts(entry.event, entry.event_id):
                fact = (of, entry.position, entry.event.occurred_at, *values)
                rows[table.name].append(fact)
        for table in self.tables:
            table.insert(connection, rows[table.name])


# ---------------------------------------------------------------- what each event tells

Fact = tuple[Table, UUID, tuple[Any, ...]]
"""The table, the contract or account, and the values of the columns behind the common ones."""


def _facts(event: Event, event_id: UUID) -> Iterator[Fact]:
    match event:
        case ContractFact():
            for table, values in _of_contract(event, event_id):
                yield table, event.contract, values
        case ContractLinkFact():
            for table, values in _of_link(event, event_id):
                yield table, event.contract, values
        case UserRegistered(kind=AccountKind.CONTRACT):
            yield IDENTITIES, event.account, (event_id, Json(sealed_values(event)))
        case UserCodeChanged():
            present = {"email": sealed_values(event)["email"]}
            yield IDENTITIES, event.account, (event_id, Json(present))
        case AccountSuspended():
            yield STANDINGS, event.account, (event.person, Standing.SUSPENDED.value)
        case AccountReinstated():
            yield STANDINGS, event.account, (event.person, Standing.OPEN.value)
        case AccountClosed() | PersonErased():
            yield STANDINGS, event.account, (event.person, Standing.CLOSED.value)
        case _:
            pass


def _of_contract(event: ContractFact, event_id: UUID) -> Iterator[tuple[Table, tuple[Any, ...]]]:
    match event:
        case ContractOpened():
            yield OPENED, (event.person, event.contractor, list(event.modules))
            yield VALIDITIES, _validity(event)
            yield REQUIRED_ROLES, (list(event.required_roles),)
        case ContractReactivated():
            yield VALIDITIES, _validity(event)
        case ContractEnded():
            yield ENDINGS, (event.reason.value,)
        case ValidatorNamed():
            sealed = Json(sealed_values(event))
            yield NAMED, ("validator", event.kind.value, event.validator, event_id, sealed)
        case ContactNamed():
            yield NAMED, ("contact", None, event.contact, event_id, Json(sealed_values(event)))
        case InformationDocumentPublished():
            file = (event.sha256, event.media_type, event.size_bytes)
            yield DOCUMENTS, (event.document, event.code, event.version, *file)
        case InformationDocumentWithdrawn():
            yield DOCUMENTS, (event.document, None, None, None, None, None)
        case RolesRequired():
            yield REQUIRED_ROLES, (list(event.roles),)
        case RoleFilled():
            yield ROLES, (event.role, event.filled_by, event.named_by)
        case RoleVacated():
            yield ROLES, (event.role, None, event.vacated_by)
        case RiskLinked():
            yield RISKS, (event.risk, True, event.linked_by)
        case RiskUnlinked():
            yield RISKS, (event.risk, False, event.unlinked_by)
        case _:
            pass


def _validity(event: ContractOpened | ContractReactivated) -> tuple[Any, ...]:
    zone = event.time_zone
    # Behind the last day of the calendar there is none on which it could run out.
    runs_out_at = (
        None
        if event.valid_to == date.max
        else start_of_day(event.valid_to + timedelta(days=1), zone)
    )
    begins_at = start_of_day(event.valid_from, zone)
    return (event.valid_from, event.valid_to, zone, begins_at, runs_out_at)


def _of_link(event: ContractLinkFact, event_id: UUID) -> Iterator[tuple[Table, tuple[Any, ...]]]:
    match event:
        case PersonLinked():
            sealed = Json(sealed_values(event))
            yield LINKS, (event.person, event.account, True, None, event_id, sealed)
        case PersonUnlinked():
            reason = event.reason.value
            yield LINKS, (event.person, event.account, False, reason, event_id, Json({}))
        case InformationDocumentDownloaded():
            yield READINGS, (event.person, event.document, event.version, False)
        case InformationDocumentMarkedAsRead():
            yield READINGS, (event.person, event.document, event.version, True)
        case _:
            pass


# ---------------------------------------------------------------- answers


class Outstanding(StrEnum):
    """What a contract lacks before its modules open to anybody (C3, C4)."""

    IN_FORCE = "in_force"
    RISKS = "risks"
    ROLES = "roles"


@dataclass(frozen=True, slots=True)
class ContractLine:
    """A contract at an instant.

    Attributes:
        holder: the client company, by its random id; ``contractor`` likewise.
        modules: which it opens, by code.
        days: in_force, or not_begun, run_out or ended (C3).
        valid_from: the first day on which it is in force, in ``time_zone``; ``valid_to`` the last.
        ended_at: when it was ended before its last day, and ``ended_because``.
        people: how many are linked to it.
    """

    contract: UUID
    holder: UUID
    contractor: UUID
    modules: tuple[str, ...]
    days: ContractDays
    valid_from: date
    valid_to: date
    time_zone: str
    ended_at: datetime | None
    ended_because: str | None
    people: int


@dataclass(frozen=True, slots=True)
class NamedPersonLine:
    """The validator or the contact of a contract (C6).

    Attributes:
        kind: of a validator, a technician of the holder or a specialist of the operator.
        since: since when this person is named.
        sealed: name, e-mail and phone, as far as they were given.
    """

    person: UUID
    kind: str | None
    since: datetime
    sealed: tuple[SealedValue, ...]


@dataclass(frozen=True, slots=True)
class ReadingLine:
    """Somebody downloaded a document, or marked it as read; ``at`` was the first time."""

    person: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class DocumentVersionLine:
    """A version of an information document, and who downloaded and read it.

    Attributes:
        sha256: of the file, in hexadecimal digits.
    """

    version: int
    sha256: str
    media_type: str
    size_bytes: int
    published_at: datetime
    downloaded_by: tuple[ReadingLine, ...]
    read_by: tuple[ReadingLine, ...]


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """An information document of a contract.

    Attributes:
        code: what it is called, as last published.
        withdrawn_at: since when it asks nobody any more; None while it asks.
        versions: the first published first; everybody linked has to read the last.
    """

    document: UUID
    code: str
    withdrawn_at: datetime | None
    versions: tuple[DocumentVersionLine, ...]


@dataclass(frozen=True, slots=True)
class RiskLine:
    """A risk that the work has, by the contractor's word."""

    risk: str
    linked_by: UUID
    since: datetime


@dataclass(frozen=True, slots=True)
class RoleLine:
    """A role that the contractor has to fill, and who has it; None where nobody has."""

    role: str
    filled_by: UUID | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class ToRead:
    """The version of a document that a person still has to download or to mark as read."""

    document: UUID
    code: str
    version: int


@dataclass(frozen=True, slots=True)
class LinkedPersonLine:
    """Somebody linked to a contract, and what they still have to do (C4).

    Attributes:
        since: since when they are linked.
        standing: of the account: open, suspended or closed.
        to_download: documents whose last version they did not download.
        to_read: documents whose last version they did not mark as read, ``to_download`` included.
        sealed: what the holder gave of them; the e-mail is their user code.
    """

    account: UUID
    person: UUID
    since: datetime
    standing: str
    to_download: tuple[ToRead, ...]
    to_read: tuple[ToRead, ...]
    sealed: tuple[SealedValue, ...]

    @property
    def has_read_all(self) -> bool:
        """Nothing is left to them; what the contract itself lacks is not theirs to do."""
        return not self.to_read


@dataclass(frozen=True, slots=True)
class ContractWhole:
    """Everything about one contract at an instant.

    Attributes:
        risks: those linked; without any the modules stay closed.
        roles: those required.
        people: those linked, the first to come first.
    """

    line: ContractLine
    validator: NamedPersonLine | None
    contact: NamedPersonLine | None
    documents: tuple[DocumentLine, ...]
    risks: tuple[RiskLine, ...]
    roles: tuple[RoleLine, ...]
    people: tuple[LinkedPersonLine, ...]

    @property
    def outstanding(self) -> tuple[Outstanding, ...]:
        """What the contract itself lacks, whatever its people have read."""
        lacks = {
            Outstanding.IN_FORCE: self.line.days is not ContractDays.IN_FORCE,
            Outstanding.RISKS: not self.risks,
            Outstanding.ROLES: any(role.filled_by is None for role in self.roles),
        }
        return tuple(what for what, lacking in lacks.items() if lacking)


# ---------------------------------------------------------------- contracts at an instant

_LINES = """
    SELECT * FROM (
        SELECT c.contract, holder, contractor, modules,
               CASE WHEN ended_at IS NOT NULL THEN 'ended'
                    WHEN %(at)s < begins_at THEN 'not_begun'
                    WHEN %(at)s >= runs_out_at THEN 'run_out' ELSE 'in_force' END AS days,
               valid_from, valid_to, time_zone, ended_at, ended_because,
               (SELECT count(*) FROM (
                    SELECT DISTINCT ON (person) linked FROM projections.contract_links AS l
                    WHERE l.contract = c.contract AND l.occurred_at <= %(at)s
                    ORDER BY person, position DESC
                ) AS last_said WHERE linked) AS people
        FROM projections.contracts AS c
        JOIN LATERAL (
            SELECT position, valid_from, valid_to, time_zone, begins_at, runs_out_at
            FROM projections.contract_validities AS v
            WHERE v.contract = c.contract AND v.occurred_at <= %(at)s
            ORDER BY position DESC LIMIT 1
        ) AS validity ON true
        LEFT JOIN LATERAL (
            SELECT occurred_at AS ended_at, reason AS ended_because
            FROM projections.contract_endings AS e
            WHERE e.contract = c.contract AND e.occurred_at <= %(at)s
              AND e.position > validity.position
            ORDER BY position DESC LIMIT 1
        ) AS ending ON true
        WHERE c.occurred_at <= %(at)s AND (%(contract)s::uuid IS NULL OR c.contract = %(contract)s)
    ) AS at_that_instant
    WHERE NOT %(in_force)s OR days = 'in_force'
    ORDER BY valid_to, contract
"""


def contract_lines(
    connection: Connection,
    at: datetime,
    *,
    in_force: bool = False,
    ending_within_days: int | None = None,
) -> tuple[ContractLine, ...]:
    """The contracts at an instant, the first to run out first.

    Args:
        connection: in a transaction in which the projection stands still.
        at: the instant; facts of a later business time are left aside.
        in_force: those in force alone (C3).
        ending_within_days: those in force alone whose last day is that of the instant, in the
            contract's time zone, or comes no more than so many days later.
    """
    asked_in_force = in_force or ending_within_days is not None
    lines = _lines(connection, at, in_force=asked_in_force)
    if ending_within_days is None:
        return lines
    return tuple(line for line in lines if _days_left(line, at) <= ending_within_days)


def _lines(
    connection: Connection, at: datetime, contract: UUID | None = None, *, in_force: bool = False
) -> tuple[ContractLine, ...]:
    asked = {"at": at, "contract": contract, "in_force": in_force}
    rows = connection.execute(_LINES, asked).fetchall()
    return tuple(
        ContractLine(id_, holder, contractor, tuple(modules), ContractDays(days), *rest)
        for id_, holder, contractor, modules, days, *rest in rows
    )


def _days_left(line: ContractLine, at: datetime) -> int:
    return (line.valid_to - local_day(at, line.time_zone)).days


def contract_whole(connection: Connection, contract: UUID, at: datetime) -> ContractWhole | None:
    """Everything about a contract at an instant; None where there was none by then."""
    lines = _lines(connection, at, contract)
    if not lines:
        return None
    look = _Look(connection, contract, at)
    documents = look.documents()
    return ContractWhole(
        line=lines[0],
        validator=look.named("validator"),
        contact=look.named("contact"),
        documents=documents,
        risks=look.risks(),
        roles=look.roles(),
        people=look.people([each for each in documents if each.withdrawn_at is None]),
    )


# ---------------------------------------------------------------- one contract at an instant

_NAMED = """
    SELECT person, kind, occurred_at, event_id, sealed FROM projections.contract_named
    WHERE contract = %(contract)s AND occurred_at <= %(at)s AND named_for = %(named_for)s
    ORDER BY position DESC LIMIT 1
"""
_DOCUMENTS = """
    SELECT document, code, version, sha256, media_type, size_bytes, occurred_at
    FROM projections.contract_documents
    WHERE contract = %(contract)s AND occurred_at <= %(at)s ORDER BY position
"""
_READINGS = """
    SELECT document, version, read, person, min(occurred_at) FROM projections.contract_readings
    WHERE contract = %(contract)s AND occurred_at <= %(at)s
    GROUP BY document, version, read, person ORDER BY min(occurred_at), min(position)
"""
_RISKS = """
    SELECT risk, said_by, occurred_at FROM (
        SELECT DISTINCT ON (risk) risk, linked, said_by, occurred_at FROM projections.contract_risks
        WHERE contract = %(contract)s AND occurred_at <= %(at)s ORDER BY risk, position DESC
    ) AS last_said WHERE linked ORDER BY risk
"""
_ROLES = """
    SELECT role, filled_by, CASE WHEN filled_by IS NOT NULL THEN occurred_at END
    FROM unnest((
        SELECT roles FROM projections.contract_required_roles
        WHERE contract = %(contract)s AND occurred_at <= %(at)s ORDER BY position DESC LIMIT 1
    )) WITH ORDINALITY AS required (role, place)
    LEFT JOIN (
        SELECT DISTINCT ON (role) role, filled_by, occurred_at FROM projections.contract_roles
        WHERE contract = %(contract)s AND occurred_at <= %(at)s ORDER BY role, position DESC
    ) AS last_said USING (role) ORDER BY place
"""
_LINKED = """
    SELECT account, person, occurred_at, event_id, sealed, position FROM (
        SELECT DISTINCT ON (person) * FROM projections.contract_links
        WHERE contract = %(contract)s AND occurred_at <= %(at)s ORDER BY person, position DESC
    ) AS last_said WHERE linked ORDER BY occurred_at, position
"""
_IDENTITIES = """
    SELECT account, position, event_id, sealed FROM projections.contract_identities
    WHERE account = ANY(%(accounts)s) AND occurred_at <= %(at)s ORDER BY position
"""
_STANDINGS = """
    SELECT DISTINCT ON (account) account, standing FROM projections.contract_account_standings
    WHERE account = ANY(%(accounts)s) AND occurred_at <= %(at)s ORDER BY account, position DESC
"""


class _Look:
    """Looks at one contract as it is at an instant."""

    def __init__(self, connection: Connection, contract: UUID, at: datetime) -> None:
        self._connection = connection
        self._asked = {"contract": contract, "at": at}

    def named(self, named_for: str) -> NamedPersonLine | None:
        """The validator, or the contact."""
        for person, kind, since, event_id, sealed in self._rows(_NAMED, named_for=named_for):
            return NamedPersonLine(person, kind, since, sealed_for(event_id, sealed))
        return None

    def documents(self) -> tuple[DocumentLine, ...]:
        """Those ever published, with who downloaded and read each version."""
        readings: dict[tuple[UUID, int, bool], list[ReadingLine]] = {}
        for document, version, read, person, at in self._rows(_READINGS):
            readings.setdefault((document, version, read), []).append(ReadingLine(person, at))
        documents: dict[UUID, DocumentLine] = {}
        for document, code, version, sha256, media_type, size_bytes, at in self._rows(_DOCUMENTS):
            former = documents.get(document)
            if version is not None:
                downloaded, read = (
                    tuple(readings.get((document, version, marked), ())) for marked in (False, True)
                )
                line = DocumentVersionLine(
                    version, sha256, media_type, size_bytes, at, downloaded, read
                )
                versions = (*former.versions, line) if former else (line,)
                documents[document] = DocumentLine(document, code, None, versions)
            elif former is not None:
                documents[document] = DocumentLine(document, former.code, at, former.versions)
        return tuple(documents.values())

    def risks(self) -> tuple[RiskLine, ...]:
        """Those linked."""
        return tuple(RiskLine(*row) for row in self._rows(_RISKS))

    def roles(self) -> tuple[RoleLine, ...]:
        """Those required, in the order in which they were named."""
        return tuple(RoleLine(*row) for row in self._rows(_ROLES))

    def people(self, documents: Sequence[DocumentLine]) -> tuple[LinkedPersonLine, ...]:
        """Those linked, each with what they still have to read of these documents."""
        rows = self._rows(_LINKED)
        accounts = [account for account, *_ in rows]
        standings = dict(self._rows(_STANDINGS, accounts=accounts))
        identities: dict[UUID, list[tuple[int, UUID, dict[str, str]]]] = {}
        for account, position, event_id, sealed in self._rows(_IDENTITIES, accounts=accounts):
            identities.setdefault(account, []).append((position, event_id, sealed))
        return tuple(
            LinkedPersonLine(
                account=account,
                person=person,
                since=since,
                standing=standings.get(account, Standing.OPEN.value),
                to_download=_left(documents, person, read=False),
                to_read=_left(documents, person, read=True),
                sealed=_present([*identities.get(account, ()), (position, event_id, sealed)]),
            )
            for account, person, since, event_id, sealed, position in rows
        )

    def _rows(self, statement: LiteralString, **more: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, {**self._asked, **more}).fetchall()


def _left(documents: Iterable[DocumentLine], person: UUID, *, read: bool) -> tuple[ToRead, ...]:
    """Documents whose last version a person did not download, or did not mark as read."""
    lasts = [(document, document.versions[-1]) for document in documents]
    return tuple(
        ToRead(document.document, document.code, last.version)
        for document, last in lasts
        if all(line.person != person for line in (last.read_by if read else last.downloaded_by))
    )


def _present(said: Sequence[tuple[int, UUID, dict[str, str]]]) -> tuple[SealedValue, ...]:
    """Each value as it was last said, in the order of the log."""
    present: dict[str, SealedValue] = {}
    for _, event_id, sealed in sorted(said, key=lambda each: each[0]):
        present |= {value.field: value for value in sealed_for(event_id, sealed)}
    return tuple(present.values())


# ---------------------------------------------------------------- who may know of whom (G1)

_LOOKS_AFTER = """
    SELECT person = %(person)s AND COALESCE((
        SELECT standing FROM projections.contract_account_standings
        WHERE person = %(person)s ORDER BY position DESC LIMIT 1
    ), 'open') <> 'suspended'
    FROM projections.contract_named
    WHERE contract = %(contract)s AND named_for = 'contact' ORDER BY position DESC LIMIT 1
"""
_IS_LINKED = """
    SELECT linked AND COALESCE((
        SELECT standing FROM projections.contract_account_standings AS s
        WHERE s.account = l.account ORDER BY position DESC LIMIT 1
    ), 'open') = 'open'
    FROM projections.contract_links AS l
    WHERE contract = %(contract)s AND person = %(person)s ORDER BY position DESC LIMIT 1
"""


def looks_after(connection: Connection, person: UUID, contract: UUID) -> bool:
    """Whether a person is the contract's contact now, by the ledger; no suspended one (A10)."""
    asked = {"person": person, "contract": contract}
    return connection.execute(_LOOKS_AFTER, asked).fetchone() == (True,)


def is_linked(connection: Connection, person: UUID, contract: UUID) -> bool:
    """Whether a person is linked to the contract now, by an account that is open (A10)."""
    asked = {"person": person, "contract": contract}
    return connection.execute(_IS_LINKED, asked).fetchone() == (True,)
