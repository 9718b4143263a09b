"""A log full of people: a few live through the ledger, the others are copies of them.

Each of the few registers (six sealed fields), confirms the phone, sets a password, goes through the
steps of a subscription (every second one with a factura: four sealed fields), pays three times,
studies twelve times, and ends the subscription: 23 events. A copy has ids and a place in the
log of its own and else the same payloads, sealed values included: what a projector reads is as
long and as varied as in earnest.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from typing import NamedTuple
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent

from benchmarks import ours
from benchmarks.people import BEGINNING, registration, steps
from domain.actor import Actor, ActorKind
from handlers.commands.situation import study_history_of, subscription_of
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.recorder import Envelope

__all__ = ["Life", "copy", "live", "populate"]

APPEND_EVENTS = 2_000


class Written(NamedTuple):
    """What is copied of an event."""

    stream: UUID
    version: int
    topic: str
    payload: bytes


class Life(NamedTuple):
    """Everything that happened to an account."""

    account: UUID
    person: UUID
    events: list[Written]


def populate(settings: Settings, lives: Sequence[Life], events: int) -> None:
    """Appends so many events of copies of these lives."""
    copied = islice(chain.from_iterable(map(copy, cycle(lives))), events)
    with ours.log(settings) as log:
        while block := list(islice(copied, APPEND_EVENTS)):
            command = uuid4()
            envelope = Envelope(
                event_ids=[uuid4() for _ in block],
                actor_kind=ActorKind.PERSON,
                actor_id=uuid4(),
                command_id=command,
                correlation_id=command,
                causation_id=command,
            )
            log.append(block, envelope)


def copy(life: Life) -> Iterator[StoredEvent]:
    """The same life of another person."""
    account, person = uuid4(), uuid4()
    streams = {
        life.account: account,
        subscription_of(life.account): subscription_of(account),
        study_history_of(life.account): study_history_of(account),
    }
    new = {str(old): str(stream) for old, stream in streams.items()} | {
        str(life.person): str(person)
    }
    for event in life.events:
        text = event.payload.decode()
        for old_id, new_id in new.items():
            text = text.replace(old_id, new_id)
        yield StoredEvent(streams[event.stream], event.version, event.topic, text.encode())


def live(settings: Settings, people: int) -> list[Life]:
    """Has so many people live through the ledger."""
    with open_ledger(settings) as acta:
        return [_live(acta, number) for number in range(people)]


def _live(acta: Acta, number: int) -> Life:
    ledger = acta.ledger
    anyone = Actor(kind=ActorKind.PERSON)
    receipt = ledger.ask(registration(BEGINNING), anyone, uuid4())
    rows = acta.store.batch(after=receipt.position - 1, limit=1)
    account = rows[0].stream
    for actor_kind, command in steps(f"account:{account}", factura=number % 2 == 1):
        who = f"account:{account}" if actor_kind is ActorKind.PERSON else None
        ledger.ask(command, Actor(kind=actor_kind, who=who), uuid4())
    rows = acta.store.batch(after=receipt.position - 1, limit=1_000)
    person = next(iter(acta.store.streams([account]).values()))[0].event.person
    return Life(
        account,
        person,
        [Written(row.stream, row.version, row.topic, row.payload) for row in rows],
    )
