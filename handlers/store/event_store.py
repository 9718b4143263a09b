"""The event store: streams, receipts and claims, read and written through one recorder."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, cast
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from psycopg import Connection

from domain.actor import Actor
from domain.event import Recorded
from domain.refusal import Refused
from handlers.store.append import Append
from handlers.store.arrays import Bigints, Byteas, Texts, Uuids
from handlers.store.database import Database, reachable, unavailable
from handlers.store.mapper import needed_keys, seal_event, to_payload, to_recorded
from handlers.store.numbering import Counters, Numbering, roll_back
from handlers.store.payment_tokens import seal_tokens, token_keys
from handlers.store.reader import Row, head, read_rows, settled_position
from handlers.store.recorder import ApplicationLog, Envelope
from handlers.store.vault import Vault

__all__ = ["CommandEnvelope", "Conflict", "EventStore", "HeldClaim", "StoredReceipt"]

PAGE_EVENTS = 20
"""So many events of a long stream are held at once: each may hold hundreds of rows."""


class Conflict(Exception):  # noqa: N818  an outcome that the caller answers by deciding again
    """Another writer was first; nothing was written. Load, and decide again."""


@dataclass(frozen=True, slots=True)
class CommandEnvelope:
    """The command that an append answers.

    Attributes:
        input_digest: keyed digest of its canonical form; None where the person is erased by it.
        persons: whom the command is about, so that erasure finds the digest.
    """

    command_id: UUID
    actor: Actor
    asked_at: datetime
    input_digest: bytes | None
    persons: frozenset[UUID]
    correlation_id: UUID | None = None
    causation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """The answer to a command, as it is stored.

    Attributes:
        position: the last position of its events, or the one it was decided at.
        events: position, event id and topic of each of its events.
        refusal: the refusal, if that was the answer.
        input_digest: keyed digest of what was asked; None after erasure.
    """

    command_id: UUID
    position: int
    events: tuple[tuple[int, UUID, str], ...]
    refusal: Refused | None
    input_digest: bytes | None


@dataclass(frozen=True, slots=True)
class HeldClaim:
    """Who holds something that only one stream may hold.

    Attributes:
        ends_at: from then on it blocks nobody; None where it has no end.
        of_account: the holder is an account, and not an invitation.
    """

    holder: UUID
    person: UUID
    ends_at: datetime | None
    of_account: bool

    def is_live(self, at: datetime) -> bool:
        """Whether it blocks others at this instant."""
        return self.ends_at is None or at < self.ends_at


@dataclass(frozen=True, slots=True)
class _Writing:
    """What a command became, ready to be written."""

    command: CommandEnvelope
    events: Sequence[StoredEvent]
    envelope: Envelope
    decided_at: int

    def receipt(self, positions: Sequence[int]) -> StoredReceipt:
        """The answer to the command, once its events stand at these positions."""
        event_ids = self.envelope.event_ids
        written = zip(positions, event_ids, self.events, strict=True)
        return StoredReceipt(
            self.command.command_id,
            positions[-1] if positions else self.decided_at,
            tuple((position, event_id, event.topic) for position, event_id, event in written),
            None,
            self.command.input_digest,
        )


class EventStore:
    """Loads streams and appends to them.

    Args:
        database: in the application's role.
        vault: seals personal values on the way in.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self.database = database
        self.vault = vault
        self._log = ApplicationLog(database)
        self._counters = Counters(database)

    # ------------------------------------------------------------ writing

    @contextmanager
    def numbering(self, counter: str) -> Generator[Numbering]:
        """The next number of a counter, which nobody else gets until the end of this.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with reachable(), self._counters.numbering(counter) as numbering:
            yield numbering

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """A transaction that ends with nothing written, unless an append commits it.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with reachable(), self.database.connection() as connection:
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                roll_back(connection)

    def append(
        self, append: Append, envelope: CommandEnvelope, within: Connection | None = None
    ) -> StoredReceipt:
        """Writes events, what goes alongside and the receipt, all or nothing.

        Args:
            append: what is written.
            envelope: the command that it answers.
            within: has the transaction that holds what this rests on, such as the number that one
                of the events bears; it is committed. One of its own where there is none.

        Raises:
            Conflict: another writer was first; nothing was written.
            DatabaseUnavailable: the database cannot be reached.
        """
        writing = self._prepared(append, envelope)
        positions = self._write(writing.events, writing.envelope, within)
        if append.erased is not None:
            self.vault.forget()
        return writing.receipt(positions)

    def append_together(
        self, appends: Sequence[tuple[Append, CommandEnvelope]]
    ) -> list[StoredReceipt]:
        """Writes what several commands became, each with its own receipt, all or nothing.

        Args:
            appends: what is written, and the command that each answers. None of them may rest on
                a stream that another one writes.

        Raises:
            Conflict: another writer was first, or the connection was lost, so that all or nothing
                of it is written. The receipts tell which; else load, and decide again.
            DatabaseUnavailable: no connection could be had.
        """
        writings = [self._prepared(append, envelope) for append, envelope in appends]
        try:
            with self.transaction() as connection:
                positions = self._log.append_together(
                    connection, [(each.events, each.envelope) for each in writings]
                )
        except (IntegrityError, OperationalError) as error:
            self.vault.forget()
            raise Conflict(str(error)) from error
        if any(append.erased is not None for append, _ in appends):
            self.vault.forget()
        return [each.receipt(at) for each, at in zip(writings, positions, strict=True)]

    def _prepared(self, append: Append, command: CommandEnvelope) -> "_Writing":
        """An append as it is written: sealed, and with an id for each event."""
        plain = [event for _, _, event in append.events]
        keys, new_keys = self.vault.keys_for(needed_keys(plain) | token_keys(append.tokens))
        event_ids = [uuid4() for _ in plain]
        stored = [
            StoredEvent(
                stream,
                version,
                event.TOPIC,
                to_payload(seal_event(event, event_id, keys, self.vault)),
            )
            for (stream, version, event), event_id in zip(append.events, event_ids, strict=True)
        ]
        tokens = seal_tokens(append.tokens, keys, self.vault)
        alongside = append.alongside(command.asked_at, new_keys, tokens)
        decided_at = None if stored else self.head()
        receipt = self._receipt_json(command, decided_at=decided_at)
        envelope = self._recorded_with(command, event_ids, append.reads, alongside, receipt)
        return _Writing(command, stored, envelope, decided_at or 0)

    def refuse(
        self,
        refusal: Refused,
        envelope: CommandEnvelope,
        *,
        decided_at: int,
        reads: dict[UUID, int],
    ) -> StoredReceipt:
        """Keeps a refusal as the answer to a command.

        Raises:
            Conflict: the command has been answered by somebody else, or a stream that the refusal
                rests on has moved.
            DatabaseUnavailable: the database cannot be reached.
        """
        receipt = self._receipt_json(envelope, decided_at=decided_at, refusal=refusal)
        self._write([], self._recorded_with(envelope, reads=reads, receipt=receipt))
        return StoredReceipt(envelope.command_id, decided_at, (), refusal, envelope.input_digest)

    def _write(
        self,
        stored: Sequence[StoredEvent],
        envelope: Envelope,
        within: Connection | None = None,
    ) -> Sequence[int]:
        try:
            if within is not None:
                return self._log.append_within(within, stored, envelope)
            return self._log.append(stored, envelope)
        except IntegrityError as error:
            self.vault.forget()
            raise Conflict(str(error)) from error
        except OperationalError as error:
            if within is not None:
                # The next attempt looks whether it was written, and has another number if not.
                raise Conflict(str(error)) from error
            raise unavailable(str(error)) from error

    def _recorded_with(
        self,
        command: CommandEnvelope,
        event_ids: Sequence[UUID] = (),
        reads: dict[UUID, int] | None = None,
        alongside: dict[str, Any] | None = None,
        receipt: dict[str, Any] | None = None,
    ) -> Envelope:
        return Envelope(
            event_ids=event_ids,
            actor_kind=command.actor.kind.value,
            actor_id=command.actor.id,
            command_id=command.command_id,
            correlation_id=command.correlation_id or command.command_id,
            causation_id=command.causation_id or command.command_id,
            reads=reads or {},
            alongside=alongside,
            receipt=receipt,
        )

    def _receipt_json(
        self,
        envelope: CommandEnvelope,
        *,
        decided_at: int | None = None,
        refusal: Refused | None = None,
    ) -> dict[str, Any]:
        digest = envelope.input_digest
        return {
            "input_digest": digest.hex() if digest else None,
            "persons": sorted(str(person) for person in envelope.persons),
            "decided_at": decided_at,
            "refusal": refusal
            and {"rule": refusal.rule, "message": refusal.message, "remedy": refusal.remedy},
        }

    # ------------------------------------------------------------ reading

    def streams(self, streams: Iterable[UUID]) -> dict[UUID, list[Recorded]]:
        """The events of each stream, in order of version; an empty list where there are none."""
        wanted = list(streams)
        found: dict[UUID, list[Recorded]] = {stream: [] for stream in wanted}
        for recorded in self._recorded("stream = ANY(%s) ORDER BY stream, version", (wanted,)):
            found[recorded.stream].append(recorded)
        return found

    def streams_after(self, versions: Mapping[UUID, int]) -> dict[UUID, list[Recorded]]:
        """What has come to each stream since it had this version, in order of version."""
        found: dict[UUID, list[Recorded]] = {stream: [] for stream in versions}
        for recorded in self._recorded(
            # Stream by stream (LATERAL and OFFSET), so that each is found by the index.
            "position IN (SELECT e.position FROM unnest(%b::uuid[], %b::bigint[])"
            " AS known(stream, version) CROSS JOIN LATERAL (SELECT position FROM ledger.events"
            " WHERE stream = known.stream AND version > known.version OFFSET 0) AS e)"
            " ORDER BY stream, version",
            (Uuids(versions), Bigints(versions.values())),
        ):
            found[recorded.stream].append(recorded)
        return found

    def long_stream(self, stream: UUID) -> Iterator[Recorded]:
        """The events of a stream that may be long, in order of version; few are held at once."""
        version = 0
        query: LiteralString = "stream = %s AND version > %s ORDER BY version LIMIT %s"
        while page := self._recorded(query, (stream, version, PAGE_EVENTS)):
            yield from page
            version = page[-1].version

    def first_of(self, stream: UUID) -> Recorded | None:
        """The first event of a stream; None where there is none."""
        found = self._recorded("stream = %s ORDER BY version LIMIT 1", (stream,))
        return found[0] if found else None

    def last_of(self, stream: UUID) -> Recorded | None:
        """The last event of a stream; None where there is none."""
        found = self._recorded("stream = %s ORDER BY version DESC LIMIT 1", (stream,))
        return found[0] if found else None

    def event(self, event_id: UUID) -> Recorded | None:
        """The event with this id, wherever in the log it stands; None where there is none."""
        found = self._recorded("event_id = %s", (event_id,))
        return found[0] if found else None

    def version(self, stream: UUID) -> int:
        """The version of a stream; 0 where there is none."""
        rows = self._rows(
            "SELECT COALESCE(max(version), 0) FROM ledger.events WHERE stream = %s", (stream,)
        )
        return int(rows[0][0])

    def receipts(self, command_ids: Sequence[UUID]) -> dict[UUID, StoredReceipt]:
        """The answers to those of the commands that have been answered."""
        rows = self._rows(
            "SELECT command_id, decided_at, refusal, input_digest FROM ledger.receipts"
            " WHERE command_id = ANY(%s)",
            (list(command_ids),),
        )
        if not rows:
            return {}
        events: dict[UUID, list[tuple[int, UUID, str]]] = {row[0]: [] for row in rows}
        for command_id, position, event_id, topic in self._rows(
            "SELECT r.command_id, e.position, e.event_id, e.topic FROM ledger.receipts r"
            " JOIN ledger.events e ON e.position BETWEEN r.first_position AND r.last_position"
            " WHERE r.command_id = ANY(%s) ORDER BY e.position",
            (list(events),),
        ):
            events[command_id].append((position, event_id, topic))
        return {
            command_id: StoredReceipt(
                command_id,
                position,
                tuple(events[command_id]),
                Refused(refusal["rule"], refusal["message"], remedy=refusal["remedy"])
                if refusal
                else None,
                bytes(digest) if digest else None,
            )
            for command_id, position, refusal, digest in rows
        }

    def holder(self, kind: str, digest: bytes, *, at: datetime) -> UUID | None:
        """The stream that holds a claim at an instant."""
        held = self.claims([(kind, digest)]).get((kind, digest))
        return held.holder if held is not None and held.is_live(at) else None

    def claims(self, claimed: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], HeldClaim]:
        """Who holds each of these, by kind and digest; also claims whose end has passed."""
        rows = self._rows(
            # One by one (LATERAL and LIMIT), so that each is found by the index.
            "SELECT c.kind, c.digest, c.holder, c.person, c.ends_at, a.account IS NOT NULL"
            " FROM unnest(%b::text[], %b::bytea[]) AS wanted(kind, digest)"
            " CROSS JOIN LATERAL (SELECT * FROM ledger.claims"
            "     WHERE kind = wanted.kind AND digest = wanted.digest LIMIT 1) AS c"
            " LEFT JOIN LATERAL (SELECT account FROM ledger.person_accounts"
            "     WHERE account = c.holder LIMIT 1) AS a ON true",
            (Texts(kind for kind, _ in claimed), Byteas(digest for _, digest in claimed)),
        )
        return {(kind, bytes(digest)): HeldClaim(*held) for kind, digest, *held in rows}

    def claims_of(self, holder: UUID) -> list[tuple[str, bytes]]:
        """What a stream holds, by kind and digest."""
        rows = self._rows("SELECT kind, digest FROM ledger.claims WHERE holder = %s", (holder,))
        return [(kind, bytes(digest)) for kind, digest in rows]

    def counted(self, counter: UUID, at: datetime) -> int:
        """How many places of a counter are taken at an instant."""
        rows = self._rows(
            "SELECT count(*) FROM ledger.counted_claims"
            " WHERE counter = %s AND (ends_at IS NULL OR ends_at > %s)",
            (counter, at),
        )
        return int(rows[0][0])

    def counted_holders(self, counter: UUID, at: datetime) -> list[tuple[UUID, UUID]]:
        """Holder and person of each place of a counter that is taken at an instant."""
        rows = self._rows(
            "SELECT holder, person FROM ledger.counted_claims"
            " WHERE counter = %s AND (ends_at IS NULL OR ends_at > %s) ORDER BY holder",
            (counter, at),
        )
        return [(holder, person) for holder, person in rows]

    def numbered(self, counter: str, numbers: Sequence[int]) -> dict[int, UUID]:
        """The stream that bears each of these numbers; those of none are left out."""
        rows = self._rows(
            "SELECT number, holder FROM ledger.numbers WHERE counter = %s AND number = ANY(%s)",
            (counter, list(numbers)),
        )
        return dict(rows)

    def numbers_of(self, counter: str, holders: Sequence[UUID]) -> list[int]:
        """The numbers of a counter that these streams bear, in their order."""
        rows = self._rows(
            "SELECT number FROM ledger.numbers WHERE counter = %s AND holder = ANY(%s)"
            " ORDER BY number",
            (counter, list(holders)),
        )
        return [number for (number,) in rows]

    def has_other_members(self, plan: UUID, account: UUID) -> bool:
        """Whether a plan has members beside an account; open invitations are none."""
        rows = self._rows(
            "SELECT FROM ledger.counted_claims"
            " WHERE counter = %s AND holder <> %s AND ends_at IS NULL LIMIT 1",
            (plan, account),
        )
        return bool(rows)

    def person_of(self, account: UUID) -> UUID | None:
        """The person whose account it is."""
        rows = self._rows(
            "SELECT person FROM ledger.person_accounts WHERE account = %s", (account,)
        )
        return rows[0][0] if rows else None

    def accounts_of(self, person: UUID) -> list[UUID]:
        """Every account that a person has had, the latest last."""
        rows = self._rows(
            "SELECT account FROM ledger.person_accounts WHERE person = %s ORDER BY opened",
            (person,),
        )
        return [account for (account,) in rows]

    def is_account(self, stream: UUID) -> bool:
        """Whether a stream is that of an account."""
        rows = self._rows("SELECT FROM ledger.person_accounts WHERE account = %s", (stream,))
        return bool(rows)

    def head(self) -> int:
        """The position of the last event."""
        with reachable(), self.database.connection() as connection:
            return head(connection)

    def now(self) -> datetime:
        """The instant by the clock of the database's machine."""
        return cast(datetime, self._rows("SELECT clock_timestamp()", ())[0][0])

    def clock(self) -> datetime | None:
        """The last instant up to which clock work has done all that was due; None before any."""
        rows = self._rows("SELECT instant FROM ledger.clock", ())
        return rows[0][0] if rows else None

    def advance_clock(self, instant: datetime) -> None:
        """Clock work has done all that was due up to an instant; never goes back."""
        self._rows("SELECT ledger.advance_clock(%s)", (instant,))

    def batch(self, *, after: int, limit: int, up_to: int | None = None) -> Sequence[Row]:
        """The events that follow a position, none skipped (decision 4)."""
        with reachable(), self.database.connection() as connection:
            settled = settled_position(connection)
            up_to = settled if up_to is None else min(up_to, settled)
            return read_rows(connection, after=after, up_to=up_to, limit=limit)

    def _recorded(self, which: LiteralString, parameters: tuple[Any, ...]) -> list[Recorded]:
        rows = self._rows(
            "SELECT position, stream, version, topic, payload, event_id, recorded_at, actor_kind,"  # noqa: S608  literals alone
            " actor_id, command_id, correlation_id, causation_id FROM ledger.events WHERE " + which,
            parameters,
        )
        return [r for row in rows if (r := to_recorded(Row._make(row))) is not None]

    def _rows(self, query: LiteralString, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with reachable(), self.database.connection() as connection:
            return connection.cursor(binary=True).execute(query, parameters).fetchall()
