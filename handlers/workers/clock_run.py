"""One run of the clock: an agenda of what is due, worked off group by group.

A charge is requested, then the gateway is asked, then its outcome is recorded, each for a whole
group. Killed in between, the next run finds the charge without an outcome and asks about it.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import Event as Signal
from uuid import UUID, uuid4

from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.due import Due, DueKind
from domain.event import Recorded
from domain.subscription import LapseSubscription, SubscriptionCommand
from handlers.due_queries import DueLine
from handlers.faults import (
    CommandIdReused,
    Contention,
    Fault,
    GatewayUnusable,
)
from handlers.ledger import Answer, Asked, Ledger
from handlers.payments.gateway import PaymentGateway
from handlers.payments.outcomes import command_id_of
from handlers.store.alone import Alone, alone_with
from handlers.store.event_store import EventStore
from handlers.store.payment_tokens import PaymentTokens
from handlers.workers.clock_gateway import (
    NOT_ASKED,
    Question,
    Said,
    about_charge,
    about_refund,
    ask,
    contradicts,
    requested,
)
from handlers.workers.clock_work import (
    ASK_GATEWAY,
    Outlook,
    Subject,
    command_for,
    command_id_for,
    next_day,
    outlook,
)

__all__ = ["ClockReport", "Means", "NotDone", "Run"]

GROUP_MAX = 200
"""How many things are done together, and their events written in one transaction."""

PATIENCE_SECONDS = 60
"""How long it waits for another clock that asks a gateway about the same subscriptions."""

CONTRADICTION = (
    "the gateway tells otherwise of it than what is on record: compare its books with acta billing"
)

SYSTEM = Actor(kind=ActorKind.SYSTEM)

Loaded = dict[UUID, list[Recorded]]
"""The streams of a group, whole."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """Something that is still due, and was refused.

    Attributes:
        who: such as ``account:ID``.
        rule: the rule that stood in the way; None where it was something else.
    """

    who: str
    kind: DueKind
    day: date
    rule: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ClockReport:
    """What a run of the clock did.

    Attributes:
        until: up to which instant it did what was due.
        done: how many things of each kind; what somebody else did meanwhile is not counted.
        waiting: how many of each kind wait for a gateway, since none is set.
        unresolved: of how many charges and refunds the gateway has not said what became of them.
        refused: what is still due, and was refused.
        degraded: more may be due, for the read model has parked streams (X6).
        stopped: it was stopped before the end.
    """

    until: datetime
    done: Mapping[DueKind, int]
    waiting: Mapping[DueKind, int]
    unresolved: int
    refused: tuple[NotDone, ...]
    degraded: bool
    stopped: bool

    @property
    def complete(self) -> bool:
        """Whether it did all it could; the outcomes that a gateway owes are not up to it."""
        return not (self.waiting or self.refused or self.degraded or self.stopped)


@dataclass(frozen=True, slots=True)
class Means:
    """What a run works with; see ``handlers.workers.clock.Clock``."""

    ledger: Ledger
    store: EventStore
    tokens: PaymentTokens
    gateway: PaymentGateway | None
    reached: Callable[[str], None]


@dataclass(frozen=True, slots=True, order=True)
class _Task:
    """A subject whose turn comes; each stands on the agenda once."""

    turn: datetime
    number: int
    subject: Subject = field(compare=False)


@dataclass(slots=True)
class _Work:
    """Something that is being done.

    Attributes:
        seen: how its subject stood before.
        command: does it; None where the gateway has to be asked instead.
        answer: to the command.
        question: what the gateway is asked, and ``said`` what it said.
        recorded: the answer to the command that records that.
    """

    turn: datetime
    subject: Subject
    due: Due
    seen: Outlook
    command: Command | None = None
    answer: Answer | Fault | None = None
    question: Question | None = None
    said: Said | None = None
    recorded: Answer | Fault | None = None

    @property
    def key(self) -> tuple[UUID, int, Due]:
        """Names it at the version of its stream."""
        return self.subject.id, self.seen.version, self.due

    @property
    def kind(self) -> DueKind:
        """What it is counted as: who can be renewed no longer lapses."""
        lapses = isinstance(self.command, LapseSubscription)
        return DueKind.LAPSE if lapses else self.due.kind

    @property
    def unanswered(self) -> bool:
        """The gateway was asked, and did not say what became of it."""
        return self.said is not None and not self.said.known

    @property
    def no(self) -> Answer | Fault | None:
        """The answer that was none, if one of them was."""
        return next((each for each in (self.recorded, self.answer) if _is_no(each)), None)


class Run:
    """What is to be done up to an instant, and what has been.

    Args:
        means: what it works with.
        threads: in which the gateway is asked.
        until: the last instant.
        last: up to which instant an earlier run did everything; None before the first.
        live: all is done at ``until``, which is now; else each thing in its turn and at its time.
        stopped: what has begun is finished, and the gateway is asked nothing more.

    Attributes:
        unusable: why the gateway is asked no more, where it refuses Acta; all else goes on.
    """

    def __init__(
        self,
        means: Means,
        threads: Executor,
        until: datetime,
        *,
        last: datetime | None,
        live: bool,
        stopped: Signal,
    ) -> None:
        self._means = means
        self._threads = threads
        self._until = until
        self._last = last
        self._live = live
        self._stopped = stopped
        self.unusable: GatewayUnusable | None = None
        self._agenda: list[_Task] = []
        self._put_down = 0
        # When the gateway is asked again about a payment or refund; None: not in this run.
        self._ask_again: dict[UUID, datetime | None] = {}
        self._unresolved: set[UUID] = set()
        self._refused_before: set[tuple[UUID, int, Due]] = set()
        self._refused: dict[tuple[UUID, int, Due], NotDone] = {}
        self._waiting: set[tuple[UUID, Due]] = set()
        self.done: Counter[DueKind] = Counter()

    def begin(self, lines: Iterable[DueLine]) -> None:
        """Puts down what is listed, the earliest first; of each subject that, for more follows."""
        found: set[UUID] = set()
        for line in lines:
            if line.subject not in found:
                found.add(line.subject)
                self._put(line.at, Subject(line.subject, line.aggregate, line.account))

    def step(self) -> bool:
        """Does what comes next, with all that is due at the same instant; False at the end.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        group = self._take_group()
        if not group:
            return False
        wanted = {stream for task in group for stream in task.subject.streams}
        streams = self._means.store.streams(wanted)
        works = [work for task in group if (work := self._work(task, streams)) is not None]
        at = self._until if self._live else group[0].turn
        self._give_commands(works, at, streams)
        self._ask_gateway(works, at, streams)
        for work in works:
            self._account_for(work, outlook(work.subject, streams))
            if work.said is not None and work.said.fault is not None:
                self.unusable = work.said.fault
        return True

    def report(self, *, degraded: bool) -> ClockReport:
        """What has been done so far."""
        return ClockReport(
            until=self._until,
            done=dict(self.done),
            waiting=dict(Counter(due.kind for _, due in self._waiting)),
            unresolved=len(self._unresolved),
            refused=tuple(self._refused.values()),
            degraded=degraded,
            stopped=self._stopped.is_set() and bool(self._agenda or self._unresolved),
        )

    # ------------------------------------------------------------ what comes next

    def _put(self, turn: datetime, subject: Subject) -> None:
        self._put_down += 1
        heapq.heappush(self._agenda, _Task(turn, self._put_down, subject))

    def _take_group(self) -> list[_Task]:
        group: list[_Task] = []
        while self._agenda and len(group) < GROUP_MAX:
            if group and not self._live and self._agenda[0].turn != group[0].turn:
                break
            group.append(heapq.heappop(self._agenda))
        return group

    def _work(self, task: _Task, streams: Loaded) -> _Work | None:
        """What is due of a subject in its turn; where that is another by now, it is put down."""
        seen = outlook(task.subject, streams)
        found = self._next(task.subject, seen)
        if found is None:
            return None
        turn, due = found
        if turn == task.turn:
            return _Work(turn, task.subject, due, seen)
        self._put(turn, task.subject)
        return None

    def _next(self, subject: Subject, seen: Outlook) -> tuple[datetime, Due] | None:
        turns = [
            (turn, due)
            for due in seen.dues
            if (turn := self._turn(subject, seen, due)) is not None and turn <= self._until
        ]
        return min(turns, key=lambda each: each[0], default=None)

    def _turn(self, subject: Subject, seen: Outlook, due: Due) -> datetime | None:
        """When it is done; None: not in this run."""
        if due.at > self._until or (subject.id, seen.version, due) in self._refused:
            return None
        if due.kind in ASK_GATEWAY and self._gateway is None:
            self._waiting.add((subject.id, due))
            return None
        if due.kind in (DueKind.RESOLUTION, DueKind.REFUND):
            return self._turn_of_asking(seen, due)
        return due.at

    def _turn_of_asking(self, seen: Outlook, due: Due) -> datetime | None:
        """At once, and where the gateway did not say, at each start of a day from then on (S7)."""
        item = due.refund or due.payment
        assert item is not None  # noqa: S101  resolutions and refunds name one
        if item in self._ask_again:
            return self._ask_again[item]
        past = due.at if self._last is None else max(due.at, self._last)
        charge = seen.subscription.charge if seen.subscription else None
        unknown = due.kind is DueKind.RESOLUTION and charge is not None and charge.unknown
        asked_before = unknown or (due.kind is DueKind.REFUND and past > due.at)
        if self._live or not asked_before:
            return due.at
        # An earlier run asked, day by day, up to the instant that it reached.
        self._unresolved.add(item)
        return next_day(past, due.time_zone)

    # ------------------------------------------------------------ commands

    def _give_commands(self, works: Sequence[_Work], at: datetime, streams: Loaded) -> None:
        together: list[tuple[_Work, Asked]] = []
        for work in works:
            command = work.command = command_for(work.due, work.subject, work.seen, at)
            if isinstance(command, SubscriptionCommand):
                together.append((work, Asked(command, SYSTEM, self._command_id(work))))
            elif command is not None:
                work.answer = self._answer(command, self._command_id(work))
        answers = self._means.ledger.answer_together([asked for _, asked in together], streams)
        for (work, _), answer in zip(together, answers, strict=True):
            work.answer = answer
        self._read_on((work.subject for work in works if work.answer is not None), streams)
        self._means.reached("commands given")

    def _command_id(self, work: _Work) -> UUID:
        command_id = command_id_for(work.due, work.subject, work.seen)
        if work.key not in self._refused_before:
            return command_id
        # What is kept under that id was refused on what may have changed since.
        return uuid4()

    def _answer(self, command: Command, command_id: UUID) -> Answer | Fault:
        try:
            return self._means.ledger.answer(command, SYSTEM, command_id)
        except (CommandIdReused, Contention) as fault:
            return fault

    def _read_on(self, subjects: Iterable[Subject], streams: Loaded) -> None:
        """Reads what has come to the streams since."""
        versions = {
            stream: streams[stream][-1].version if streams[stream] else 0
            for subject in subjects
            for stream in subject.streams
        }
        if versions:
            for stream, news in self._means.store.streams_after(versions).items():
                streams[stream] += news

    # ------------------------------------------------------------ the gateway

    @property
    def _gateway(self) -> PaymentGateway | None:
        return None if self.unusable else self._means.gateway

    def _ask_gateway(self, works: Sequence[_Work], at: datetime, streams: Loaded) -> None:
        """Alone with each subscription from its card to its outcome, so that two never differ."""
        asking = [work for work in works if work.due.kind in ASK_GATEWAY]
        if not asking or self._gateway is None:
            return
        with alone_with(
            self._means.store.database,
            (work.subject.id for work in asking),
            patience_seconds=PATIENCE_SECONDS,
            stopped=self._stopped,
        ) as alone:
            self._read_on((work.subject for work in asking), streams)
            self._ask_alone(self._gateway, asking, alone, at, streams)

    def _ask_alone(
        self,
        gateway: PaymentGateway,
        works: Sequence[_Work],
        alone: Alone,
        at: datetime,
        streams: Loaded,
    ) -> None:
        asking = list(self._questions(works, at, streams))
        if not asking:
            return

        def said(of: tuple[_Work, Question]) -> Said:
            work, question = of
            if work.subject.id not in alone.streams or self._stopped.is_set():
                return NOT_ASKED
            answered = ask(gateway, question)
            self._means.reached("gateway asked")
            return answered

        recording: list[tuple[_Work, Asked]] = []
        for (work, question), answered in zip(asking, self._threads.map(said, asking), strict=True):
            work.question, work.said = question, answered
            if (record := answered.record) is not None:
                recording.append((work, Asked(record, SYSTEM, command_id_of(record))))
        # Whoever took its place meanwhile may have asked the same of another card.
        alone.still()
        recorded = self._means.ledger.answer_together([each for _, each in recording], streams)
        for (work, _), answer in zip(recording, recorded, strict=True):
            work.recorded = answer
        self._read_on((work.subject for work, _ in recording), streams)
        self._means.reached("outcomes recorded")

    def _questions(
        self, works: Sequence[_Work], at: datetime, streams: Loaded
    ) -> Iterator[tuple[_Work, Question]]:
        of_charges = [work for work in works if work.due.kind is not DueKind.REFUND]
        tokens = self._means.tokens.of(work.subject.id for work in of_charges)
        for work in works:
            recorded, token = streams[work.subject.id], tokens.get(work.subject.id)
            now = outlook(work.subject, streams)
            question = None
            if work.due.kind is DueKind.REFUND:
                question = about_refund(work.due, work.subject, now, recorded, at)
            elif work.due.payment is not None:
                payment = work.due.payment
                question = about_charge(payment, work.subject, now, token, at, again=True)
            elif isinstance(work.answer, Answer) and (
                asked_for := requested(work.answer, recorded)
            ):
                again = work.answer.receipt.repeated
                question = about_charge(asked_for, work.subject, now, token, at, again=again)
            if question is not None:
                yield work, question

    # ------------------------------------------------------------ what came of it

    def _account_for(self, work: _Work, now: Outlook) -> None:
        self._count(work)
        if work.question is not None and work.unanswered:
            again = None if self._live else next_day(work.turn, work.due.time_zone)
            self._ask_again[work.question.item] = again
            self._unresolved.add(work.question.item)
        elif work.question is not None:
            self._unresolved.discard(work.question.item)
        if work.said is not None and work.said.refused is not None:
            self._refuse(work, None, work.said.refused.message)
        elif work.said is not None and contradicts(work.said.record, now):
            self._refuse(work, None, CONTRADICTION)
        elif now.version == work.seen.version and work.due in now.dues and not work.unanswered:
            self._take_no(work)
        following = self._next(work.subject, now)
        if following is not None:
            self._put(following[0], work.subject)

    def _count(self, work: _Work) -> None:
        match work.answer or (work.recorded if not work.unanswered else None):
            case Answer(receipt, None) if not receipt.repeated:
                self.done[work.kind] += 1
            case _:
                return

    def _take_no(self, work: _Work) -> None:
        """It is still due, as it was: the same is not tried for ever."""
        no = work.no
        kept = isinstance(no, CommandIdReused) or (isinstance(no, Answer) and no.receipt.repeated)
        if kept and work.recorded is None and work.key not in self._refused_before:
            self._refused_before.add(work.key)
            return
        rule, message = None, "nothing came of it"
        match no:
            case Answer(_, refusal) if refusal is not None:
                rule, message = refusal.rule, refusal.message
            case Fault():
                message = no.message
            case _:
                pass
        self._refuse(work, rule, message)

    def _refuse(self, work: _Work, rule: str | None, message: str) -> None:
        due = work.due
        self._refused[work.key] = NotDone(work.subject.who, due.kind, due.day, rule, message)


def _is_no(answer: Answer | Fault | None) -> bool:
    return isinstance(answer, Fault) or (answer is not None and answer.refusal is not None)
