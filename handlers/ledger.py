"""``Ledger.ask``: the one path from a command to its events, or to one refusal."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from domain.actor import Actor
from domain.authority import refuse_unless_may_give
from domain.command import Command
from domain.disclosure import OpenPersonalValue
from domain.event import Event, Recorded
from domain.invitation_import import ImportInvitations
from domain.refusal import Refused
from domain.streams import subscription_of
from domain.subscription import ChargingTerms, SubscriptionCommand
from handlers.commands import disclosure, draft, invitation_import
from handlers.commands.situation import Situation
from handlers.faults import CommandIdReused, Contention, DatabaseUnavailable, Fault
from handlers.store.append import Append
from handlers.store.event_store import CommandEnvelope, Conflict, EventStore, StoredReceipt

__all__ = ["Answer", "Asked", "EventReference", "Ledger", "OpenedValue", "Receipt"]

ATTEMPTS_MAX = 60
"""How often a command is decided anew because others were faster."""


@dataclass(frozen=True, slots=True)
class EventReference:
    """An event that a command became."""

    position: int
    event_id: UUID
    topic: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a command that was accepted.

    Attributes:
        position: up to which the log has to be known to know all of it; a token for reads.
        events: what it became, possibly nothing.
        repeated: the command had been answered before, and this is that answer.
    """

    command_id: UUID
    position: int
    events: tuple[EventReference, ...]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A receipt, or the refusal, of a command.

    Attributes:
        refusal: why not, where it was refused; ``receipt`` then has no events.
    """

    receipt: Receipt
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One of several commands that are given together: about a subscription or a plan, by its id.

    Attributes:
        command_id: as for ``Ledger.ask``.
    """

    command: SubscriptionCommand
    actor: Actor
    command_id: UUID


@dataclass(frozen=True, slots=True)
class OpenedValue:
    """A personal value, and the receipt of the record that it was opened.

    Attributes:
        value: in clear; not shown where the whole is printed.
    """

    receipt: Receipt
    value: str = field(repr=False)


class Ledger:
    """Takes commands.

    Args:
        store: the log.
        tax_retention_years: how long buyer data of tax documents is kept (A11).
        invitation_days: how long an invitation is open (I6).
        desk_emails: the addresses of the desks, which are on no copy list (T6).
        charging: what is set about charges (S5, S8).
        new_id: gives random ids.
        reached: told each point at which a crash would matter; tests crash there.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        tax_retention_years: int,
        invitation_days: int,
        charging: ChargingTerms,
        desk_emails: Sequence[str] = (),
        new_id: Callable[[], UUID] = uuid4,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._tax_retention_years = tax_retention_years
        self._invitation_days = invitation_days
        self._desk_emails = desk_emails
        self._charging = charging
        self._new_id = new_id
        self._reached = reached

    def ask(
        self,
        command: Command,
        actor: Actor,
        command_id: UUID,
        *,
        correlation_id: UUID | None = None,
        causation_id: UUID | None = None,
    ) -> Receipt:
        """Gives a command, once, however often it is asked with the same id.

        Args:
            command: what is wanted.
            actor: who wants it, vouched for by the door.
            command_id: random, or made from other ids; the same id again gives the same answer.
            correlation_id: what belongs together; the command's own id where none is given.
            causation_id: the command or event that caused it.

        Returns:
            The receipt, whose position is a token for reads.

        Raises:
            Refused: a rule stands in the way; kept, and given again for the same id.
            CommandIdReused: the id came before with another input.
            Contention: others were faster too many times; nothing was done.
            DatabaseUnavailable: the database cannot be reached.
        """
        answer = self.answer(
            command,
            actor,
            command_id,
            correlation_id=correlation_id,
            causation_id=causation_id,
        )
        if answer.refusal is not None:
            raise answer.refusal
        return answer.receipt

    def answer(
        self,
        command: Command,
        actor: Actor,
        command_id: UUID,
        *,
        correlation_id: UUID | None = None,
        causation_id: UUID | None = None,
    ) -> Answer:
        """As ``ask``, with a refusal as a value, for doors that report line by line.

        Raises:
            CommandIdReused, Contention, DatabaseUnavailable: as ``ask``.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(Conflict),
            stop=stop_after_attempt(ATTEMPTS_MAX),
            wait=wait_random_exponential(multiplier=0.002, max=0.25),
            reraise=True,
        )
        try:
            return attempts(self._decide, command, actor, command_id, correlation_id, causation_id)
        except Conflict:
            raise Contention(
                "others wrote to the same account too many times in a row; nothing was done",
                remedy="Give the command again with the same id.",
            ) from None

    def answer_together(
        self,
        asked: Sequence[Asked],
        streams: Mapping[UUID, Sequence[Recorded]] | None = None,
    ) -> list[Answer | Fault]:
        """As ``answer`` for several commands, which are written in one transaction.

        Whatever stands in the way of one of them (a refusal, somebody who was faster, a connection
        that was lost) has that one, or all, given one by one.

        Args:
            asked: the commands, each about another account or plan, which it names by id.
            streams: what the asker has just loaded, whole; it is not loaded again.

        Returns:
            The answer to each, in their order; or the fault for which it has none: an id that came
            before with another input, or too many who were faster.

        Raises:
            ValueError: two commands are about the same account, or name it by no id.
            DatabaseUnavailable: as ``ask``.
        """
        accounts = {_account_by_id(each.command) for each in asked}
        if len(accounts) < len(asked):
            raise ValueError("commands that are given together are each about another account")
        written: dict[UUID, Answer] = {}
        known: Mapping[UUID, StoredReceipt] = {}
        for loaded in (streams or {}, {}):
            # Where somebody was faster with one of them, all are looked at once more.
            known = self.known([each.command_id for each in asked])
            new = [each for each in asked if each.command_id not in known]
            drafts = self._drafts(new, {**self._load_together(new, loaded), **loaded})
            if not drafts or (written := self._append_together(drafts)):
                break
        return [
            written.get(each.command_id) or self._answer_alone(each, known.get(each.command_id))
            for each in asked
        ]

    def _load_together(
        self, asked: Sequence[Asked], known: Mapping[UUID, object]
    ) -> Mapping[UUID, Sequence[Recorded]]:
        """The streams that decisions about accounts and plans rest on, in one look."""
        accounts = [_account_by_id(each.command) for each in asked]
        wanted = {*accounts, *map(subscription_of, accounts)} - known.keys()
        return self._store.streams(wanted) if wanted else {}

    def _drafts(
        self, asked: Sequence[Asked], streams: Mapping[UUID, Sequence[Recorded]]
    ) -> list[tuple[Append, CommandEnvelope]]:
        """What the commands become that can be written together."""
        drafts: list[tuple[Append, CommandEnvelope]] = []
        written: set[UUID] = set()
        rested_on: set[UUID] = set()
        for each in asked:
            situation = self._situation(each.command, streams)
            try:
                refuse_unless_may_give(each.actor, type(each.command))
                decided = draft(each.command, situation.resolve(each.actor), situation)
            except Refused:
                # It is decided anew by itself, and kept.
                continue
            writes = {stream for stream, _, _ in decided.append.events}
            reads = decided.append.reads.keys() | writes
            if written & reads or rested_on & writes:
                # One of them would have moved what the other rests on.
                continue
            written |= writes
            rested_on |= reads
            envelope = CommandEnvelope(
                command_id=each.command_id,
                actor=decided.actor,
                asked_at=each.command.at,
                input_digest=self._input_digest(each.command, each.actor),
                persons=frozenset(situation.persons),
            )
            drafts.append((decided.append, envelope))
        return drafts

    def _append_together(
        self, drafts: Sequence[tuple[Append, CommandEnvelope]]
    ) -> dict[UUID, Answer]:
        """The answers, if they were written; none where that is not known."""
        self._reached("before append")
        try:
            stored = self._store.append_together(drafts)
        except (Conflict, DatabaseUnavailable):
            # Each is looked for, and given if need be, by itself; or the fault comes again.
            return {}
        self._reached("after commit")
        return {each.command_id: _answer(each, repeated=False) for each in stored}

    def _answer_alone(self, asked: Asked, known: StoredReceipt | None) -> Answer | Fault:
        try:
            if known is not None:
                return self.repeated(known, asked.command, asked.actor)
            return self.answer(asked.command, asked.actor, asked.command_id)
        except (CommandIdReused, Contention) as fault:
            return fault

    def open_value(
        self,
        command: OpenPersonalValue,
        actor: Actor,
        command_id: UUID,
        *,
        correlation_id: UUID | None = None,
        causation_id: UUID | None = None,
    ) -> OpenedValue:
        """Records that a personal value is opened and, once that is committed, opens it.

        The same id again gives the first receipt, and the value for as long as it may be opened.

        Raises:
            Refused: a rule stands in the way (G1, A11), or has come to since it was recorded.
            CommandIdReused, Contention, DatabaseUnavailable: as ``ask``.
        """
        receipt = self.ask(
            command,
            actor,
            command_id,
            correlation_id=correlation_id,
            causation_id=causation_id,
        )
        record = self._store.event(receipt.events[0].event_id) if receipt.events else None
        situation = self._situation(command)
        known_as = situation.resolve(actor)
        if not disclosure.is_recorded(command, known_as, record):
            raise _reused(command_id)
        return OpenedValue(receipt, disclosure.reveal(command, known_as, situation))

    def rehearse_import(
        self, command: ImportInvitations, actor: Actor, *, seats_ahead: int
    ) -> Sequence[Event]:
        """What importing would become now; nothing is written.

        Args:
            command: a stretch of a list.
            actor: whoever imports.
            seats_ahead: seats that earlier stretches of the list would have taken.

        Raises:
            Refused: a rule stands in the way of all rows.
            DatabaseUnavailable: the database cannot be reached.
        """
        refuse_unless_may_give(actor, type(command))
        situation = self._situation(command)
        append = invitation_import.draft(
            command, situation.resolve(actor), situation, seats_ahead=seats_ahead
        )
        return [event for _, _, event in append.events]

    def rehearse(
        self,
        command: SubscriptionCommand,
        actor: Actor,
        streams: Mapping[UUID, Sequence[Recorded]],
    ) -> Sequence[Recorded]:
        """What a command about a subscription would become now; nothing is written.

        Args:
            command: what is wanted.
            actor: who wants it.
            streams: whole streams in place of those of the log, such as with events that are only
                thought of.

        Returns:
            The events as they would stand in their streams, without a place in the log.

        Raises:
            Refused: a rule stands in the way.
            DatabaseUnavailable: the database cannot be reached.
        """
        refuse_unless_may_give(actor, type(command))
        with closing(self._situation(command, streams)) as situation:
            decided = draft(command, situation.resolve(actor), situation)
        return [
            Recorded(
                position=0,
                stream=stream,
                version=version,
                event_id=self._new_id(),
                recorded_at=command.at,
                actor=decided.actor,
                command_id=None,
                correlation_id=None,
                causation_id=None,
                event=event,
            )
            for stream, version, event in decided.append.events
        ]

    def known(self, command_ids: Sequence[UUID]) -> dict[UUID, StoredReceipt]:
        """The answers to those of the commands that have been answered."""
        return self._store.receipts(command_ids)

    def repeated(self, stored: StoredReceipt, command: Command, actor: Actor) -> Answer:
        """The answer that a command was given before.

        Raises:
            CommandIdReused: the id came before with another input.
        """
        digest = self._input_digest(command, actor)
        if stored.input_digest is not None and stored.input_digest != digest:
            raise _reused(stored.command_id)
        return _answer(stored, repeated=True)

    def _decide(
        self,
        command: Command,
        actor: Actor,
        command_id: UUID,
        correlation_id: UUID | None,
        causation_id: UUID | None,
    ) -> Answer:
        known = self.known([command_id]).get(command_id)
        if known is not None:
            return self.repeated(known, command, actor)
        with closing(self._situation(command)) as situation:
            # The rows of a list are known by the import, whose id has each answer only once.
            listed = isinstance(command, ImportInvitations)
            digest = None if listed else self._input_digest(command, actor)
            head = self._store.head()

            def envelope(known_as: Actor, *, erased: bool = False) -> CommandEnvelope:
                return CommandEnvelope(
                    command_id=command_id,
                    actor=known_as,
                    asked_at=command.at,
                    input_digest=None if erased else digest,
                    persons=frozenset() if listed else frozenset(situation.persons),
                    correlation_id=correlation_id,
                    causation_id=causation_id,
                )

            try:
                refuse_unless_may_give(actor, type(command))
                decided = draft(command, situation.resolve(actor), situation)
            except Refused as refusal:
                # Whoever waits for the number that this one does not take goes ahead.
                situation.close()
                situation.notice(command)
                self._reached("before append")
                stored = self._store.refuse(
                    refusal,
                    envelope(Actor(kind=actor.kind)),
                    decided_at=head,
                    reads=situation.versions,
                )
            else:
                self._reached("before append")
                stored = self._store.append(
                    decided.append,
                    envelope(decided.actor, erased=decided.append.erased is not None),
                    situation.within,
                )
            self._reached("after commit")
            return _answer(stored, repeated=False)

    def _situation(
        self, command: Command, streams: Mapping[UUID, Sequence[Recorded]] | None = None
    ) -> Situation:
        return Situation(
            self._store,
            at=command.at,
            new_id=self._new_id,
            tax_retention_years=self._tax_retention_years,
            invitation_days=self._invitation_days,
            desk_emails=self._desk_emails,
            charging=self._charging,
            streams=streams,
        )

    def _input_digest(self, command: Command, actor: Actor) -> bytes:
        canonical = {
            "command": command.NAME,
            "actor": actor.model_dump(mode="json"),
            "input": command.model_dump(mode="json"),
        }
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return self._store.vault.input_digest(text.encode())


def _account_by_id(command: SubscriptionCommand) -> UUID:
    """The account or plan that a command names by its id.

    Raises:
        ValueError: it names none.
    """
    kind, _, rest = command.account.partition(":")
    if kind not in ("account", "plan"):
        raise ValueError("a command that is given with others names its account by account:ID")
    return UUID(rest)


def _reused(command_id: UUID) -> CommandIdReused:
    return CommandIdReused(
        f"the command id {command_id} was given before with another input",
        remedy="Give a new command a new id.",
    )


def _answer(stored: StoredReceipt, *, repeated: bool) -> Answer:
    events = tuple(EventReference(*event) for event in stored.events)
    return Answer(Receipt(stored.command_id, stored.position, events, repeated), stored.refusal)
