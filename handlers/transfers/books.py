"""Where transfers are captured: in the ledger, or only in thought to try a statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol
from uuid import UUID, uuid5

from domain.actor import Actor
from domain.event import Recorded
from domain.subscription import (
    CapturePayment,
    PaymentCaptured,
    Subscription,
    SubscriptionEvent,
    subscription_decider,
)
from handlers.faults import CommandIdReused
from handlers.ledger import Ledger
from handlers.store.event_store import EventStore, StoredReceipt

__all__ = ["Books", "Entry", "Recording", "Rehearsing"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment on record.

    Attributes:
        position: its place in the log; None where it is only thought of.
    """

    payment: PaymentCaptured
    position: int | None


class Books(Protocol):
    """Takes transfers down, each once."""

    def recorded(self, payment: UUID) -> Entry | None:
        """The payment, if it is on record, whoever it was found to be of."""
        ...

    def subscription(self, stream: UUID) -> Subscription:
        """A subscription as it is now."""
        ...

    def capture(self, command: CapturePayment) -> Entry:
        """Records a payment that is not on record.

        Raises:
            Refused: a rule stands in the way.
        """
        ...


class Recording:
    """Gives commands to the ledger.

    The id of a command follows from its payment and from how often that was refused before. So a
    refusal blocks no later try, and whoever gives the next try has the one id that it has: a
    payment is captured once, for one account.
    """

    def __init__(self, ledger: Ledger, store: EventStore, actor: Actor) -> None:
        self._ledger = ledger
        self._store = store
        self._actor = actor

    def recorded(self, payment: UUID) -> Entry | None:
        """The payment, if it is on record."""
        found = self._next_try(payment)
        return found if isinstance(found, Entry) else None

    def subscription(self, stream: UUID) -> Subscription:
        """A subscription as the log has it."""
        return _folded(self._store.streams([stream])[stream])

    def capture(self, command: CapturePayment) -> Entry:
        """Records a payment."""
        while True:
            found = self._next_try(command.payment)
            if isinstance(found, Entry):
                return found
            try:
                receipt = self._ledger.ask(command, self._actor, found)
            except CommandIdReused:
                # Somebody else tried meanwhile, for another account: see what came of it.
                continue
            return self._entry([event.event_id for event in receipt.events])

    def _next_try(self, payment: UUID) -> Entry | UUID:
        """The payment, if it is on record; else the id of the next try to record it."""
        for number in count(1):
            command_id = uuid5(payment, f"{CapturePayment.NAME} {number}")
            known = self._ledger.known([command_id]).get(command_id)
            if known is None:
                return command_id
            if known.refusal is None:
                return self._entry(_event_ids(known))
        raise AssertionError

    def _entry(self, event_ids: Sequence[UUID]) -> Entry:
        found = (self._store.event(event_id) for event_id in event_ids)
        return next(
            Entry(recorded.event, recorded.position)
            for recorded in found
            if recorded is not None and isinstance(recorded.event, PaymentCaptured)
        )


class Rehearsing:
    """Decides what would be recorded, each payment after those before it, and writes nothing."""

    def __init__(self, ledger: Ledger, store: EventStore, actor: Actor) -> None:
        self._ledger = ledger
        self._store = store
        self._actor = actor
        self._recording = Recording(ledger, store, actor)
        self._streams: dict[UUID, list[Recorded]] = {}

    def recorded(self, payment: UUID) -> Entry | None:
        """The payment, if it is on record."""
        return self._recording.recorded(payment)

    def subscription(self, stream: UUID) -> Subscription:
        """A subscription as it would be by now."""
        return _folded(self._stream(stream))

    def capture(self, command: CapturePayment) -> Entry:
        """Decides about a payment."""
        thought = self._ledger.rehearse(command, self._actor, self._streams)
        for recorded in thought:
            self._stream(recorded.stream).append(recorded)
        return next(
            Entry(recorded.event, None)
            for recorded in thought
            if isinstance(recorded.event, PaymentCaptured)
        )

    def _stream(self, stream: UUID) -> list[Recorded]:
        if stream not in self._streams:
            self._streams[stream] = self._store.streams([stream])[stream]
        return self._streams[stream]


def _folded(recorded: Sequence[Recorded]) -> Subscription:
    events = [entry.event for entry in recorded if isinstance(entry.event, SubscriptionEvent)]
    return subscription_decider.replay(events)


def _event_ids(receipt: StoredReceipt) -> list[UUID]:
    return [event_id for _, event_id, _ in receipt.events]
