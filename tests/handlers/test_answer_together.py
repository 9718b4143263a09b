"""Several commands in one transaction: answered as if each had been given by itself (D6, D9)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from domain.actor import Actor
from domain.refusal import Refused
from domain.streams import subscription_of
from domain.subscription import (
    CapturePayment,
    ChargeRequested,
    EndSubscription,
    LapseSubscription,
    RequestCharge,
    ResumeSubscription,
    StartSubscription,
    SubscriptionCommand,
)
from handlers.composition import Acta, open_ledger
from handlers.faults import CommandIdReused, DatabaseUnavailable
from handlers.ledger import Answer, Asked
from handlers.settings import Settings
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from handlers.store.mapper import to_recorded
from tests.conftest import TestDatabase, new_database
from tests.end_to_end.log_comparison import compare_logs, compare_receipts, read_log
from tests.handlers.beside import two_ledgers
from tests.handlers.outages import away
from tests.handlers.store.proxy import LossyProxy
from tests.handlers.store.waiting import sessions_waiting, wait_until
from tests.handlers.stories import BEGINNING, SYSTEM, Member, Plan, Story, noon

RENEWAL = noon(2026, 2, 28)
Payer = Member | Plan
ResultT = TypeVar("ResultT")


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


@pytest.fixture
def other_acta(server: EmbeddedServer, tmp_path: Path) -> Iterator[Acta]:
    """Another ledger, on a database of its own."""
    with (
        new_database(server, tmp_path / "other-keys") as database,
        open_ledger(database.settings()) as opened,
    ):
        yield opened


def subscribers(story: Story, number: int = 6) -> list[Member]:
    """Several who have paid for a first month."""
    return [story.subscriber(f"person{each}@example.com") for each in range(number)]


def charges(payers: Sequence[Payer], *, at: datetime = RENEWAL, first_id: int = 0) -> list[Asked]:
    """Each is to be charged, under an id that is the same in every ledger."""
    return [
        asked(RequestCharge(at=at, account=payer.who), number)
        for number, payer in enumerate(payers, start=first_id)
    ]


def asked(command: SubscriptionCommand, number: int, actor: Actor = SYSTEM) -> Asked:
    """A command under an id of its own."""
    return Asked(command, actor, UUID(int=1000 + number))


def answers(acta: Acta, together: Sequence[Asked]) -> list[Answer]:
    """The answers, none of which is a fault."""
    given = acta.ledger.answer_together(together)
    assert all(isinstance(answer, Answer) for answer in given)
    return [answer for answer in given if isinstance(answer, Answer)]


def requests(story: Story, payers: Sequence[Payer]) -> list[int]:
    """How many charges of each payer were requested."""
    streams = [payer.id if isinstance(payer, Plan) else subscription_of(payer.account)
               for payer in payers]  # fmt: skip
    found = story.acta.store.streams(streams)
    return [
        sum(isinstance(entry.event, ChargeRequested) for entry in found[stream])
        for stream in streams
    ]


def at_once(*works: Callable[[], ResultT]) -> list[ResultT]:
    """Does several things at the same instant; all of them end well."""
    barrier = Barrier(len(works))

    def begin(work: Callable[[], ResultT]) -> ResultT:
        barrier.wait(timeout=60)
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(begin, works, timeout=120))


# ---------------------------------------------------------------- as one by one


def test_together_they_become_what_they_become_one_by_one(story: Story, other_acta: Acta) -> None:
    """The same events under the same receipts, repeated ones included."""
    beside = Story(other_acta)
    together = charges(subscribers(story))
    alone = charges(subscribers(beside))
    ids = [each.command_id for each in together]
    for each in alone:
        other_acta.ledger.answer(each.command, each.actor, each.command_id)

    first = answers(story.acta, together)
    again = answers(story.acta, together)

    # What came before them has random ids, and so has its order.
    mine, others = (
        [entry for entry in read_log(acta) if entry.topic == ChargeRequested.TOPIC]
        for acta in (story.acta, other_acta)
    )
    assert compare_logs(mine, others) == []
    assert compare_receipts(story.acta, other_acta, ids) == []
    assert [answer.receipt.repeated for answer in first + again] == [False] * 6 + [True] * 6
    assert [answer.receipt.events for answer in first] == [a.receipt.events for a in again]
    assert len({entry.recorded_at for entry in story.events()[-6:]}) > 1


def test_all_of_them_are_in_one_transaction(database: TestDatabase) -> None:
    """Whoever is killed before it commits has written nothing of it."""

    class Killed(BaseException):
        pass

    def reached(point: str) -> None:
        if armed and point == "after commit":
            raise Killed

    armed: list[bool] = []
    with open_ledger(database.settings(), reached=reached) as acta:
        story = Story(acta)
        payers = subscribers(story, 3)
        armed.append(True)
        with pytest.raises(Killed):
            acta.ledger.answer_together(charges(payers))
        assert requests(story, payers) == [1, 1, 1]
        with connect(database.administrator) as administrator:
            transactions = administrator.execute(
                "SELECT DISTINCT xmin::text FROM ledger.events WHERE topic = %s",
                (ChargeRequested.TOPIC,),
            ).fetchall()
        assert len(transactions) == 1


def test_a_plan_is_charged_beside_individuals(story: Story) -> None:
    """Institutions pay by the same rules (S10); what is not due of one is refused alone."""
    ana, plan = story.subscriber(), story.institution()
    given = answers(story.acta, charges([ana, plan]))
    assert given[0].refusal is None
    assert given[1].refusal is not None
    assert given[1].refusal.rule == "S2"


def test_what_was_just_loaded_is_not_loaded_again(story: Story) -> None:
    """What the asker gives is what is decided on; where it is old, it is decided anew."""
    payers = subscribers(story, 3)
    streams = [stream for payer in payers for stream in (payer.account, _stream(payer))]
    loaded = story.acta.store.streams(streams)
    story.ask(RequestCharge(at=RENEWAL, account=payers[1].who), SYSTEM)

    given = story.acta.ledger.answer_together(charges(payers), loaded)

    refused = [isinstance(each, Answer) and each.refusal is not None for each in given]
    assert refused == [False, True, False]
    assert requests(story, payers) == [1, 1, 1]


# ---------------------------------------------------------------- one of them


def test_a_refused_one_is_taken_out_and_kept(story: Story) -> None:
    """Its refusal is a receipt like any other, and the others are written."""
    payers = subscribers(story)
    story.ask(EndSubscription(at=BEGINNING, account=payers[2].who), payers[2].itself)

    given = answers(story.acta, charges(payers))

    assert [answer.refusal and answer.refusal.rule for answer in given] == [
        None, None, "A6", None, None, None,
    ]  # fmt: skip
    kept = story.acta.ledger.known([UUID(int=1002)])[UUID(int=1002)]
    assert kept.refusal == given[2].refusal
    assert requests(story, payers) == [1, 1, 0, 1, 1, 1]


@pytest.mark.rule("G1")
def test_whoever_may_not_give_one_is_refused(story: Story) -> None:
    """The door of several commands is no other than that of one."""
    payers = subscribers(story, 2)
    theirs = Asked(LapseSubscription(at=RENEWAL, account=payers[0].who), payers[0].itself, uuid4())
    first, second = answers(story.acta, [theirs, charges(payers)[1]])
    assert isinstance(first.refusal, Refused)
    assert first.refusal.rule == "G1"
    assert second.refusal is None


def test_a_conflict_of_one_has_each_decided_anew(database: TestDatabase) -> None:
    """Somebody ends one of the subscriptions between the decision and the append."""
    with two_ledgers(database) as two:
        story, beside = Story(two.acta), Story(two.other)
        payers = subscribers(story)
        end = EndSubscription(at=BEGINNING, account=payers[4].who)
        two.meanwhile(lambda: beside.ask(end, payers[4].itself))

        given = answers(two.acta, charges(payers))

        refused = [answer.refusal and answer.refusal.rule for answer in given]
        assert refused == [None, None, None, None, "A6", None]
        assert requests(story, payers) == [1, 1, 1, 1, 0, 1]


def test_an_id_that_came_before_with_another_input_is_a_fault_of_its_own(story: Story) -> None:
    """The others stand."""
    payers = subscribers(story, 3)
    story.ask(RequestCharge(at=RENEWAL, account=payers[1].who), SYSTEM, UUID(int=1001))

    given = story.acta.ledger.answer_together(charges(payers, at=noon(2026, 3, 1)))

    assert [type(each) for each in given] == [Answer, CommandIdReused, Answer]
    assert requests(story, payers) == [1, 1, 1]


def test_two_about_one_account_are_not_given_together(story: Story) -> None:
    """Nor one that names its account by something that may mean another tomorrow."""
    ana = story.subscriber()
    twice = [asked(RequestCharge(at=RENEWAL, account=ana.who), number) for number in (1, 2)]
    with pytest.raises(ValueError, match="another account"):
        story.acta.ledger.answer_together(twice)
    by_email = asked(RequestCharge(at=RENEWAL, account="ana@example.com"), 3)
    with pytest.raises(ValueError, match="account:ID"):
        story.acta.ledger.answer_together([by_email])
    assert story.acta.ledger.answer_together([]) == []


@pytest.mark.rule("A12")
def test_what_rests_on_what_another_one_writes_is_given_after_it(story: Story) -> None:
    """The plan lapses, and a former member pays: the one reads what the other moves."""
    plan = story.institution()
    ana = story.join(plan, "ana@example.com")
    over = noon(2026, 5, 2)
    story.make_ready(ana, at=over)
    story.ask(StartSubscription(at=over, account=ana.who), ana.itself)
    story.take_steps(ana, at=over)
    story.ask(RequestCharge(at=over, account=ana.who), SYSTEM)
    lapse = LapseSubscription(at=over, account=plan.who)

    given = answers(story.acta, [asked(lapse, 1), asked(_captured(story, ana), 2)])

    assert [answer.refusal for answer in given] == [None, None]


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_connection_loses_and_repeats_nothing(
    database: TestDatabase, tmp_path: Path, when: str
) -> None:
    """Whether or not the server had committed, each is there once, and has its answer."""
    with open_ledger(database.settings()) as acta:
        payers = subscribers(Story(acta))
    marker = b"ledger.append" if when == "before" else b"COMMIT"
    with LossyProxy(database.application, tmp_path) as proxy:
        settings = Settings.model_validate({"database_url": proxy.address, "keys": database.keys})
        with open_ledger(settings) as acta:
            proxy.lose_answer_to(marker)
            given = answers(acta, charges(payers))
            assert proxy.lost.is_set()
    with open_ledger(database.settings()) as acta:
        assert requests(Story(acta), payers) == [1] * 6
        assert [answer.refusal for answer in given] == [None] * 6
        events = [event.event_id for answer in given for event in answer.receipt.events]
        logged = [e.event_id for e in Story(acta).events() if isinstance(e.event, ChargeRequested)]
        assert sorted(events) == sorted(logged)


def test_where_the_database_is_away_the_fault_is_told(story: Story, database: TestDatabase) -> None:
    """Nothing of it is written, and the same again is answered once it is back."""
    payers = subscribers(story, 2)
    with away(database), pytest.raises(DatabaseUnavailable):
        story.acta.ledger.answer_together(charges(payers))
    assert requests(story, payers) == [0, 0]
    assert [answer.refusal for answer in answers(story.acta, charges(payers))] == [None, None]


# ---------------------------------------------------------------- beside others


def test_two_groups_at_the_same_time_are_answered_alike(acta: Acta, database: TestDatabase) -> None:
    """In whatever order each names them: nobody waits in a ring, and nobody is charged twice."""
    story = Story(acta)
    payers = subscribers(story, 12)
    with open_ledger(database.settings()) as other:
        for month, day in ((2, 28), (3, 31), (4, 30)):
            group = charges(payers, at=noon(2026, month, day), first_id=100 * month)
            given = at_once(partial(answers, acta, group), partial(answers, other, group[::-1]))
            one, two = given[0], given[1][::-1]
            assert [a.receipt.events for a in one] == [a.receipt.events for a in two]
            for payer in payers:
                story.ask(_captured(story, payer), SYSTEM)
    assert requests(story, payers) == [3] * 12


def test_it_waits_for_others_before_it_draws_positions(acta: Acta, database: TestDatabase) -> None:
    """Readers, who wait for whoever holds positions, do not wait for its turn (decision 4)."""
    story = Story(acta)
    payers = subscribers(story, 3)
    head = acta.store.head()
    with (
        connect(database.application) as holder,
        open_ledger(database.settings()) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        holder.execute("BEGIN")
        holder.execute(
            "SELECT pg_advisory_xact_lock(uuid_hash_extended(%s, 0))", (_stream(payers[2]),)
        )
        given = threads.submit(other.ledger.answer_together, charges(payers))
        wait_until(lambda: sessions_waiting(database) > 0)
        writers = holder.execute("SELECT count(*) FROM ledger.writers").fetchone()
        assert writers == (0,)
        assert acta.store.batch(after=head, limit=10) == []
        holder.execute("COMMIT")
        assert len(given.result(timeout=60)) == 3
    assert len(acta.store.batch(after=head, limit=10)) == 3


def test_a_reader_beside_sees_all_of_a_group_and_skips_none(
    acta: Acta, database: TestDatabase
) -> None:
    """Groups and single commands are written beside each other, and read in the order of commit."""
    story = Story(acta)
    payers = subscribers(story, 8)
    start = acta.store.head()
    done: list[int] = []
    seen: list[int] = []

    def write_groups() -> None:
        with open_ledger(database.settings()) as other:
            for number in range(20):
                group = payers[number % 2 :: 2]
                ends = [
                    Asked(EndSubscription(at=BEGINNING, account=p.who), p.itself, uuid4())
                    for p in group
                ]
                for asked_now in (ends, _resumed(group)):
                    assert all(a.refusal is None for a in answers(other, asked_now))
        done.append(1)

    def write_singles() -> None:
        with open_ledger(database.settings()) as other:
            for number in range(40):
                Story(other).register(f"single{number}@example.com")
        done.append(1)

    def read() -> None:
        position = start
        while True:
            ended = len(done) == 2
            rows = acta.store.batch(after=position, limit=7)
            seen.extend(row.position for row in rows)
            position = rows[-1].position if rows else position
            if ended and not rows:
                return

    at_once(write_groups, write_singles, read)
    rows = acta.store.batch(after=start, limit=10_000)
    assert seen == [row.position for row in rows]
    assert len([r for r in map(to_recorded, rows) if r]) == len(rows)


def _stream(payer: Member) -> UUID:
    return subscription_of(payer.account)


def _resumed(group: Sequence[Member]) -> list[Asked]:
    return [
        Asked(ResumeSubscription(at=BEGINNING, account=payer.who), payer.itself, uuid4())
        for payer in group
    ]


def _captured(story: Story, payer: Member) -> CapturePayment:
    request = [
        entry.event
        for entry in story.events(_stream(payer))
        if isinstance(entry.event, ChargeRequested)
    ][-1]
    return CapturePayment(
        at=request.occurred_at, account=payer.who, payment=request.payment,
        amount_minor=request.amount_minor, currency=request.currency,
        gateway_reference="gateway-1",
    )  # fmt: skip
