"""A month's end of renewals, beside the appends alone that they come to.

Everybody's card is charged on the same day. Ours is the clock, from the list of what is due to the
last outcome: it reads the streams, decides, asks a gateway in a process of its own over HTTP, and
writes. The baseline is the same events in the same two appends a renewal, ready to be written,
through ``EventStore.append``, one subscription after the other.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from uuid import UUID, uuid4

from pydantic import SecretStr

from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.people import BEGINNING, registration, steps
from benchmarks.processes import apart
from domain.actor import Actor, ActorKind
from domain.calendar import start_of_day
from domain.due import DueKind
from domain.event import Event, Recorded
from domain.streams import subscription_of
from domain.subscription import CapturePayment, ChargeRequested, RequestCharge
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.append import Append, Opened
from handlers.store.event_store import CommandEnvelope
from handlers.store.mapper import to_event, to_payload
from handlers.store.payment_tokens import KeptToken
from handlers.workers.clock import Clock

__all__ = ["measure"]

AT_LEAST = 0.3
FIRST_STEPS = 7
TOGETHER = 200
TIME_ZONE = "America/Santiago"
RENEWAL = start_of_day(BEGINNING.date().replace(month=2), TIME_ZONE)
DIGEST = bytes(32)
SYSTEM = Actor(kind=ActorKind.SYSTEM)


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    with (
        ground.acta() as settings,
        gateway(ground.folder / f"book-{uuid4().hex}.jsonl") as (url, key),
    ):
        charged = settings.model_copy(update={"gateway_url": url, "gateway_key": SecretStr(key)})
        life = apart(live, settings)
        results = in_turns(
            1,
            lambda: apart(renewals_per_second, charged, life, sizes.renewals),
            lambda: apart(appends_per_second, settings, life, sizes.renewals),
        )
    return [
        Row(
            what=f"a month's end of {sizes.renewals:,} renewals by the clock",
            unit="renewals/s",
            ours=results[0],
            baseline=results[1],
            baseline_is="their two appends alone, by EventStore.append",
            at_least=AT_LEAST,
        )
    ]


@contextmanager
def gateway(book: Path) -> Iterator[tuple[str, str]]:
    """The embedded gateway in a process of its own: its address and key."""
    acta = Path(sys.executable).with_name("acta")
    told: list[str | Path] = [acta, "gateway", "--book", book, "--json"]
    with subprocess.Popen(told, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            yield said["ACTA_GATEWAY_URL"], said["ACTA_GATEWAY_KEY"]
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Life:
    """Somebody who has paid for a month, and for the next.

    Attributes:
        beginning: stream, version and event of all up to the first payment.
        request: what the request of the renewal became, and ``outcome`` what its outcome did.
    """

    account: UUID
    person: UUID
    beginning: Sequence[Recorded]
    request: Sequence[Recorded]
    outcome: Sequence[Recorded]


def live(settings: Settings) -> Life:
    """Has somebody live through the ledger, of whom the others are copies."""
    with open_ledger(settings) as acta:
        ask = acta.ledger.ask
        position = ask(registration(BEGINNING), Actor(kind=ActorKind.PERSON), uuid4()).position
        account = acta.store.batch(after=position - 1, limit=1)[0].stream
        who = f"account:{account}"
        for kind, command in islice(steps(who, factura=True), FIRST_STEPS):
            of_person = kind is ActorKind.PERSON
            ask(command, Actor(kind=kind, who=who if of_person else None), uuid4())
        beginning = _streams(acta, account)
        ask(RequestCharge(at=RENEWAL, account=who), SYSTEM, uuid4())
        (request,) = _streams(acta, account)[len(beginning) :]
        asked_for = request.event
        assert isinstance(asked_for, ChargeRequested)
        captured = CapturePayment(
            at=RENEWAL,
            account=who,
            payment=asked_for.payment,
            amount_minor=asked_for.amount_minor,
            currency=asked_for.currency,
            gateway_reference=f"pi_{uuid4().hex}",
        )
        ask(captured, SYSTEM, uuid4())
        outcome = _streams(acta, account)[len(beginning) + 1 :]
        return Life(account, asked_for.person, beginning, [request], outcome)


def _streams(acta: Acta, account: UUID) -> list[Recorded]:
    found = acta.store.streams([account, subscription_of(account)])
    return sorted((entry for each in found.values() for entry in each), key=lambda e: e.position)


class Copy:
    """The same life of another person."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.account, self.person = uuid4(), uuid4()
        self.subscription = subscription_of(self.account)
        request = life.request[0].event
        assert isinstance(request, ChargeRequested)
        self._new = {
            str(life.account): str(self.account),
            str(subscription_of(life.account)): str(self.subscription),
            str(life.person): str(self.person),
            str(request.payment): str(uuid4()),
        }

    def beginning(self) -> tuple[Append, CommandEnvelope]:
        """All up to the first payment, with a card that can be charged."""
        append = self._append(self.life.beginning)
        append.opened.append(Opened(self.person, self.account))
        append.tokens.append(KeptToken(self.subscription, self.person, "pm_card_visa"))
        return append, self._envelope()

    def renewal(self) -> list[tuple[Append, CommandEnvelope]]:
        """The request of a charge, and its outcome."""
        both = [self._append(each) for each in (self.life.request, self.life.outcome)]
        for append in both:
            append.reads[self.account] = sum(
                entry.stream == self.life.account for entry in self.life.beginning
            )
        return [(append, self._envelope()) for append in both]

    def _append(self, entries: Sequence[Recorded]) -> Append:
        append = Append()
        for entry in entries:
            stream = UUID(self._new[str(entry.stream)])
            append.write(stream, entry.version - 1, [self._of_this_one(entry.event)])
        return append

    def _of_this_one(self, event: Event) -> Event:
        text = to_payload(event).decode()
        for old, new in self._new.items():
            text = text.replace(old, new)
        return to_event(event.TOPIC, text.encode())

    def _envelope(self) -> CommandEnvelope:
        return CommandEnvelope(uuid4(), SYSTEM, RENEWAL, DIGEST, frozenset({self.person}))


def populate(acta: Acta, life: Life, people: int) -> list[Copy]:
    """So many who have paid for a month."""
    copies = [Copy(life) for _ in range(people)]
    for first in range(0, people, TOGETHER):
        acta.store.append_together([each.beginning() for each in copies[first : first + TOGETHER]])
    return copies


def renewals_per_second(settings: Settings, life: Life, people: int) -> float:
    with open_ledger(settings) as acta:
        copies = populate(acta, life, people)
        acta.projector.catch_up()
        clock = Clock(acta.ledger, acta.store, acta.due, acta.tokens, acta.gateway)
        began = monotonic()
        report = clock.run(RENEWAL)
        seconds = monotonic() - began
        assert all(renewed(acta, each) for each in copies)
    assert report.done == {DueKind.RENEWAL: people}
    assert report.complete
    assert report.unresolved == 0
    return people / seconds


def renewed(acta: Acta, copy: Copy) -> bool:
    last = acta.store.streams([copy.subscription])[copy.subscription][-len(copy.life.outcome) :]
    events = [type(entry.event) for entry in last]
    return events == [type(entry.event) for entry in copy.life.outcome]


def appends_per_second(settings: Settings, life: Life, people: int) -> float:
    with open_ledger(settings) as acta:
        copies = populate(acta, life, people)
        ready = [append for each in copies for append in each.renewal()]
        began = monotonic()
        for append, envelope in ready:
            acta.store.append(append, envelope)
        return people / (monotonic() - began)
