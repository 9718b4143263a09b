"""Written together or not at all, and only on what it was decided on (D5, D6, D8, D9)."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent
from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.account import (
    AccountClosed,
    AccountKind,
    AssignAccountManager,
    ChangeUserCode,
    CloseAccount,
    ClosureReason,
    PersonErased,
    SuspendAccount,
    SuspensionReason,
    UserCodeChanged,
    UserRegistered,
)
from domain.event import Recorded
from domain.personal import Sealed
from domain.refusal import Refused
from domain.study_history import StudyContent
from handlers.commands.situation import study_history_of
from handlers.composition import Acta, open_ledger
from handlers.faults import CommandIdReused
from handlers.store.append import (
    Append,
    Claim,
    CountedClaim,
    Found,
    Limited,
    Opened,
    Release,
    Uncounted,
)
from handlers.store.database import connect
from handlers.store.directory import Directory
from handlers.store.event_store import Conflict, EventStore, HeldClaim, StoredReceipt
from handlers.store.mapper import to_recorded
from handlers.store.recorder import ApplicationLog
from tests.conftest import TestDatabase
from tests.handlers.store.stories import (
    MANAGER,
    NOON,
    SOMEBODY,
    ask,
    envelope,
    erase,
    number_of_rows,
    owner,
    random_rut,
    refused,
    registered,
    registration,
    seed,
    studied,
    subscribe_with_factura,
)

WRITERS = 8


def at_once(number: int, work: Callable[[int], None]) -> None:
    """Does something in so many threads that begin at the same instant."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> None:
        barrier.wait(timeout=60)
        work(index)

    with ThreadPoolExecutor(number) as threads:
        for future in [threads.submit(begin, index) for index in range(number)]:
            future.result(timeout=120)


def write(store: EventStore, append: Append, *, asked_at: datetime = NOON) -> StoredReceipt:
    """Writes something that no command stands behind."""
    return store.append(append, envelope(asked_at=asked_at))


# ---------------------------------------------------------------- positions


def test_the_positions_of_an_append_are_one_block_whoever_writes_beside(acta: Acta) -> None:
    """Single events and blocks from eight writers never fall into another's block."""
    log = ApplicationLog(acta.database)
    blocks: list[Sequence[int]] = []

    def keep_writing(writer: int) -> None:
        chance = random.Random(seed() + writer)
        for _ in range(25):
            stream = uuid4()
            versions = range(1, chance.choice([1, 1, 2, 7]) + 1)
            blocks.append(
                log.append([StoredEvent(stream, version, "t:T", b"") for version in versions])
            )

    at_once(WRITERS, keep_writing)

    assert all(list(block) == list(range(block[0], block[-1] + 1)) for block in blocks)
    given = sorted(position for block in blocks for position in block)
    assert given == [row.position for row in acta.store.batch(after=0, limit=10_000)]
    assert len(given) == len(set(given))


def test_an_append_to_several_streams_is_in_the_order_given(acta: Acta) -> None:
    first, second = uuid4(), uuid4()
    append = Append()
    append.write(first, 0, [studied("a")])
    append.write(second, 0, [studied("b"), studied("c")])
    append.write(first, 1, [studied("d")])

    receipt = write(acta.store, append)

    rows = acta.store.batch(after=0, limit=10)
    assert [(row.stream, row.version) for row in rows] == [
        (first, 1),
        (second, 1),
        (second, 2),
        (first, 2),
    ]
    assert [event[0] for event in receipt.events] == [row.position for row in rows]
    assert len({row.recorded_at for row in rows}) == 1


def test_an_append_to_several_streams_is_all_or_nothing(acta: Acta, database: TestDatabase) -> None:
    """One stream that moved, and no event, claim, key, account or receipt is left of the rest."""
    moved, other = uuid4(), uuid4()
    seen = Append()
    seen.write(moved, 0, [studied()])
    write(acta.store, seen)
    sealed = UserRegistered(
        account=other,
        person=uuid4(),
        occurred_at=NOON,
        kind=AccountKind.INDIVIDUAL,
        language="es",
        time_zone="UTC",
        given_name="Ana",
        paternal_surname="Rojas",
        email="ana@example.com",
        phone="+56961234567",
    )
    stale = Append(
        claimed=[Claim("email", b"digest", other, sealed.person)],
        counted=[CountedClaim(uuid4(), other, sealed.person, limit=5)],
    )
    stale.write(other, 0, [sealed])
    stale.write(moved, 0, [studied()])
    with connect(database.administrator) as administrator:
        before = number_of_rows(administrator)

        with pytest.raises(Conflict):
            write(acta.store, stale)

        assert number_of_rows(administrator) == before


# ---------------------------------------------------------------- versions read


def test_an_append_fails_when_a_stream_that_was_read_has_moved(acta: Acta) -> None:
    read, written = uuid4(), uuid4()
    for version in (0, 1):
        append = Append()
        append.write(read, version, [studied()])
        write(acta.store, append)

    stale = Append(reads={read: 1})
    stale.write(written, 0, [studied()])
    with pytest.raises(Conflict):
        write(acta.store, stale)

    fresh = Append(reads={read: 2, uuid4(): 0})
    fresh.write(written, 0, [studied()])
    assert write(acta.store, fresh).events


def test_a_decision_on_a_stream_that_moved_is_made_again(database: TestDatabase) -> None:
    """Studying is decided on an account that somebody suspends before the append."""
    meanwhile: list[Callable[[], object]] = []
    decided: list[str] = []

    def reached(point: str) -> None:
        decided.append(point)
        if point == "before append" and meanwhile:
            meanwhile.pop()()

    with (
        open_ledger(database.settings(), reached=reached) as acta,
        open_ledger(database.settings()) as other,
    ):
        event = registered(other)
        subscribe_with_factura(other, event)
        who = f"account:{event.account}"
        suspend = SuspendAccount(account=who, at=NOON, reason=SuspensionReason.MISUSE)
        meanwhile.append(lambda: ask(other, suspend, MANAGER))

        study = StudyContent(account=who, at=NOON, content="algebra/unit-1")
        refusal = refused(acta, study, owner(event.person))

        assert refusal.rule == "A10"
        assert decided == ["before append", "before append", "after commit"]
        assert other.store.version(study_history_of(event.account)) == 0


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_of_two_decisions_that_read_each_others_stream_one_is_made_again(
    acta: Acta, rounds: int
) -> None:
    """Write skew: each is fine by what it read, and the two together are not."""
    for _ in range(rounds):
        streams = (uuid4(), uuid4())
        outcomes: list[bool] = []

        def decide(
            index: int,
            streams: tuple[UUID, UUID] = streams,
            outcomes: list[bool] = outcomes,
        ) -> None:
            append = Append(reads={streams[1 - index]: 0})
            append.write(streams[index], 0, [studied()])
            try:
                write(acta.store, append)
                outcomes.append(True)
            except Conflict:
                outcomes.append(False)

        at_once(2, decide)
        assert sorted(outcomes) == [False, True]


# ---------------------------------------------------------------- claims


def claiming(
    holder: UUID, *, ends_at: datetime | None = None, kind: str = "email", digest: bytes = b"one"
) -> Append:
    """Writes an event and claims something with it."""
    append = Append(claimed=[Claim(kind, digest, holder, person=uuid4(), ends_at=ends_at)])
    append.write(holder, 0, [studied()])
    return append


def test_a_claim_is_one_streams_alone(acta: Acta) -> None:
    first, second = uuid4(), uuid4()
    write(acta.store, claiming(first))

    with pytest.raises(Conflict):
        write(acta.store, claiming(second))

    assert acta.store.holder("email", b"one", at=NOON) == first
    write(acta.store, claiming(second, kind="rut"))
    write(acta.store, claiming(uuid4(), digest=b"another"))


def test_a_released_claim_is_free_again(acta: Acta) -> None:
    """One kind, or all that a stream holds."""
    holder = uuid4()
    append = claiming(holder)
    append.claimed.append(Claim("rut", b"two", holder, uuid4()))
    write(acta.store, append)

    write(acta.store, Append(released=[Release(holder, "email")]))
    assert acta.store.holder("email", b"one", at=NOON) is None
    assert acta.store.holder("rut", b"two", at=NOON) == holder

    write(acta.store, Append(released=[Release(holder)]))
    assert acta.store.holder("rut", b"two", at=NOON) is None


def test_a_claim_moves_within_one_append(acta: Acta) -> None:
    """Released and claimed by another in one step, as a user code is changed (A5)."""
    first, second = uuid4(), uuid4()
    write(acta.store, claiming(first))

    moving = claiming(second)
    moving.released.append(Release(first))
    write(acta.store, moving)

    assert acta.store.holder("email", b"one", at=NOON) == second


def test_a_claim_past_its_end_neither_blocks_nor_counts(acta: Acta) -> None:
    """By the time of whoever asks, not by the clock."""
    first, second = uuid4(), uuid4()
    ends_at = NOON + timedelta(days=14)
    write(acta.store, claiming(first, ends_at=ends_at))
    just_before = ends_at - timedelta(microseconds=1)

    assert acta.store.holder("email", b"one", at=just_before) == first
    assert acta.store.holder("email", b"one", at=ends_at) is None
    with pytest.raises(Conflict):
        write(acta.store, claiming(second), asked_at=just_before)
    write(acta.store, claiming(second), asked_at=ends_at)
    assert acta.store.holder("email", b"one", at=NOON) == second


def test_of_many_who_take_over_an_ended_claim_one_does(acta: Acta) -> None:
    write(acta.store, claiming(uuid4(), ends_at=NOON))
    holders = [uuid4() for _ in range(WRITERS)]
    taken: list[UUID] = []

    def take_over(index: int) -> None:
        try:
            write(acta.store, claiming(holders[index]))
            taken.append(holders[index])
        except Conflict:
            pass

    at_once(WRITERS, take_over)

    assert len(taken) == 1
    assert acta.store.holder("email", b"one", at=NOON) == taken[0]


def test_the_holder_may_prolong_its_claim(acta: Acta) -> None:
    holder = uuid4()
    write(acta.store, claiming(holder, ends_at=NOON + timedelta(days=1)))
    prolonged = Append(
        claimed=[Claim("email", b"one", holder, uuid4(), ends_at=NOON + timedelta(days=9))]
    )

    write(acta.store, prolonged)

    assert acta.store.holder("email", b"one", at=NOON + timedelta(days=5)) == holder


def test_one_claim_that_another_holds_stops_all_of_a_batch(acta: Acta) -> None:
    write(acta.store, claiming(uuid4(), digest=b"7"))
    holders = [uuid4() for _ in range(20)]
    batch = Append()
    for number, holder in enumerate(holders):
        batch.claimed.append(Claim("email", str(number).encode(), holder, uuid4()))

    with pytest.raises(Conflict):
        write(acta.store, batch)
    assert len(acta.store.claims([("email", str(n).encode()) for n in range(20)])) == 1

    del batch.claimed[7]
    write(acta.store, batch)
    assert len(acta.store.claims([("email", str(n).encode()) for n in range(20)])) == 20


def test_two_streams_cannot_claim_the_same_in_one_append(acta: Acta) -> None:
    """One stream may, and what it says last stands."""
    first, second = uuid4(), uuid4()
    both = claiming(first)
    both.claimed.append(Claim("email", b"one", second, uuid4()))

    with pytest.raises(Conflict):
        write(acta.store, both)

    ends_at = NOON + timedelta(days=1)
    twice = claiming(first)
    twice.claimed.append(Claim("email", b"one", first, uuid4(), ends_at))
    write(acta.store, twice)
    assert acta.store.claims([("email", b"one")])["email", b"one"].ends_at == ends_at


def test_claims_tell_who_holds_them_also_past_their_end(acta: Acta) -> None:
    """An account, or another stream such as an invitation; what is free is left out."""
    account, invitation, person = uuid4(), uuid4(), uuid4()
    append = Append(
        claimed=[
            Claim("email", b"one", account, person),
            Claim("rut", b"two", invitation, person, NOON),
        ],
        opened=[Opened(person, account)],
    )
    append.write(account, 0, [studied()])
    write(acta.store, append)

    held = acta.store.claims(
        [("email", b"one"), ("rut", b"two"), ("rut", b"one"), ("email", b"one")]
    )

    assert held == {
        ("email", b"one"): HeldClaim(account, person, ends_at=None, of_account=True),
        ("rut", b"two"): HeldClaim(invitation, person, ends_at=NOON, of_account=False),
    }
    assert acta.store.claims([]) == {}


# ---------------------------------------------------------------- counted claims

SEATS = 5


def taking_seat(
    plan: UUID, holder: UUID, *, ends_at: datetime | None = None, limit: int = SEATS
) -> Append:
    """Writes an event and takes a seat with it."""
    append = Append(counted=[CountedClaim(plan, holder, uuid4(), limit, ends_at)])
    append.write(holder, 0, [studied()])
    return append


def test_counted_claims_never_exceed_their_limit(acta: Acta, database: TestDatabase) -> None:
    """Eight writers take and give back seats; whoever looks never sees one too many."""
    plan = uuid4()
    outcomes: Counter[str] = Counter()
    most = 0

    def come_and_go(writer: int) -> None:
        nonlocal most
        chance = random.Random(seed() + writer)
        mine: list[UUID] = []
        with connect(database.administrator) as observer:
            for _ in range(25):
                if mine and chance.random() < 0.4:
                    write(acta.store, Append(uncounted=[Uncounted(plan, mine.pop())]))
                    continue
                holder = uuid4()
                try:
                    write(acta.store, taking_seat(plan, holder))
                    mine.append(holder)
                    outcomes["taken"] += 1
                except Conflict:
                    outcomes["full"] += 1
                row = observer.execute("SELECT count(*) FROM ledger.counted_claims").fetchone()
                most = max(most, row[0] if row else 0)

    at_once(WRITERS, come_and_go)

    assert most == SEATS
    assert outcomes["taken"] >= SEATS
    assert outcomes["full"] > 0


def test_the_last_seat_is_taken_once(acta: Acta) -> None:
    plan = uuid4()
    for _ in range(SEATS - 1):
        write(acta.store, taking_seat(plan, uuid4()))
    outcomes: list[bool] = []

    def take(_: int) -> None:
        try:
            write(acta.store, taking_seat(plan, uuid4()))
            outcomes.append(True)
        except Conflict:
            outcomes.append(False)

    at_once(WRITERS, take)

    assert sorted(outcomes) == [False] * (WRITERS - 1) + [True]


def test_a_seat_past_its_end_counts_no_more(acta: Acta) -> None:
    plan = uuid4()
    ends_at = NOON + timedelta(days=14)
    write(acta.store, taking_seat(plan, uuid4(), ends_at=ends_at, limit=1))

    with pytest.raises(Conflict):
        write(acta.store, taking_seat(plan, uuid4(), limit=1), asked_at=NOON)
    write(acta.store, taking_seat(plan, uuid4(), limit=1), asked_at=ends_at)


def test_plans_are_counted_apart(acta: Acta) -> None:
    holder = uuid4()
    write(acta.store, taking_seat(uuid4(), holder, limit=1))

    other = Append(counted=[CountedClaim(uuid4(), holder, uuid4(), limit=1)])
    write(acta.store, other)


def test_the_least_limit_named_holds_for_all_that_is_taken_at_once(acta: Acta) -> None:
    """All or nothing: a batch that is too large takes no place at all."""
    plan = uuid4()
    batch = Append(counted=[CountedClaim(plan, uuid4(), uuid4(), limit) for limit in (9, 3, 9, 9)])

    with pytest.raises(Conflict):
        write(acta.store, batch)
    assert acta.store.counted(plan, NOON) == 0

    batch.counted.pop()
    write(acta.store, batch)
    assert acta.store.counted(plan, NOON) == 3


def test_a_place_that_is_taken_again_counts_once(acta: Acta) -> None:
    """Also twice within one append; who takes it, and until when, is as told last."""
    plan, holder, person = uuid4(), uuid4(), uuid4()
    ends_at = NOON + timedelta(days=14)
    write(acta.store, taking_seat(plan, holder, limit=1))

    again = [
        CountedClaim(plan, holder, uuid4(), 1, NOON),
        CountedClaim(plan, holder, person, 1, ends_at),
    ]
    write(acta.store, Append(counted=again))

    assert acta.store.counted_holders(plan, NOON) == [(holder, person)]
    assert acta.store.counted(plan, ends_at) == 0


def test_places_given_up_are_free_within_the_same_append(acta: Acta) -> None:
    plan, first, second = uuid4(), uuid4(), uuid4()
    write(acta.store, taking_seat(plan, first, limit=1))

    moving = taking_seat(plan, second, limit=1)
    moving.uncounted.append(Uncounted(plan, first))
    write(acta.store, moving)

    assert [holder for holder, _ in acta.store.counted_holders(plan, NOON)] == [second]


def test_a_limit_is_lowered_to_what_is_held_and_no_further(acta: Acta) -> None:
    """Places past their end, and those given up with it, are not held."""
    plan, others, leaving = uuid4(), uuid4(), uuid4()
    ends_at = NOON + timedelta(days=14)
    taken = [CountedClaim(plan, uuid4(), uuid4(), SEATS) for _ in range(2)]
    taken.append(CountedClaim(plan, leaving, uuid4(), SEATS))
    taken.append(CountedClaim(plan, uuid4(), uuid4(), SEATS, ends_at))
    write(acta.store, Append(counted=taken))
    write(acta.store, taking_seat(others, uuid4()))

    write(acta.store, Append(limited=[Limited(plan, 4), Limited(others, 1)]))
    with pytest.raises(Conflict):
        write(acta.store, Append(limited=[Limited(plan, 3)]))
    write(acta.store, Append(limited=[Limited(plan, 3)]), asked_at=ends_at)
    with pytest.raises(Conflict):
        write(acta.store, Append(limited=[Limited(plan, 2)]), asked_at=ends_at)
    lowering = Append(uncounted=[Uncounted(plan, leaving)], limited=[Limited(plan, 2)])
    write(acta.store, lowering, asked_at=ends_at)
    assert acta.store.counted(plan, ends_at) == 2


def test_the_places_held_are_those_not_past_their_end(acta: Acta) -> None:
    plan = uuid4()
    ends_at = NOON + timedelta(days=14)
    lasting = [CountedClaim(plan, uuid4(), uuid4(), SEATS) for _ in range(2)]
    ending = CountedClaim(plan, uuid4(), uuid4(), SEATS, ends_at)
    write(acta.store, Append(counted=[ending, *lasting]))
    write(acta.store, taking_seat(uuid4(), uuid4()))

    def held(at: datetime) -> list[tuple[UUID, UUID]]:
        assert acta.store.counted(plan, at) == len(acta.store.counted_holders(plan, at))
        return acta.store.counted_holders(plan, at)

    assert held(NOON) == sorted((each.holder, each.person) for each in [ending, *lasting])
    assert held(ends_at) == sorted((each.holder, each.person) for each in lasting)


@pytest.mark.parametrize("rounds", [5, pytest.param(200, marks=pytest.mark.soak)])
def test_batches_race_for_the_last_places(acta: Acta, rounds: int) -> None:
    """Eight batches with the same claims and two counters in eight orders: no ring of waiting.

    Some take all that they want, the others nothing, and never is there one place too many.
    """
    for number in range(rounds):
        plans = (uuid4(), uuid4())
        digests = [f"{number} {index}".encode() for index in range(20)]
        # What was there ends, so that each writer would take it over.
        held = [Claim("email", digest, uuid4(), uuid4(), NOON) for digest in digests]
        write(acta.store, Append(claimed=held))
        outcomes: Counter[str] = Counter()

        def take(
            writer: int,
            plans: tuple[UUID, UUID] = plans,
            digests: list[bytes] = digests,
            outcomes: Counter[str] = outcomes,
        ) -> None:
            chance = random.Random(seed() + writer)
            wanted = chance.sample(digests, 3 if writer % 2 else 12)
            append = Append()
            for digest in wanted:
                holder, person = uuid4(), uuid4()
                append.claimed.append(Claim("email", digest, holder, person))
                append.found.append(Found("email", digest, person))
                append.write(holder, 0, [studied()])
                for plan in chance.sample(plans, 2):
                    append.counted.append(CountedClaim(plan, holder, person, limit=16))
            try:
                write(acta.store, append)
                outcomes["taken"] += len(wanted)
            except Conflict as conflict:
                outcomes["deadlock" if "deadlock" in str(conflict) else "refused"] += 1

        at_once(WRITERS, take)

        assert outcomes["deadlock"] == 0
        assert 0 < outcomes["taken"] <= 16
        assert {acta.store.counted(plan, NOON) for plan in plans} == {outcomes["taken"]}
        live = acta.store.claims([("email", digest) for digest in digests]).values()
        assert sum(claim.is_live(NOON) for claim in live) == outcomes["taken"]


# ---------------------------------------------------------------- how a person is found


def test_whoever_comes_last_is_found_by_an_address_and_all_by_a_phone(acta: Acta) -> None:
    """Whether the earlier person stood there before, or comes within the same append."""
    first, second, third = uuid4(), uuid4(), uuid4()
    write(acta.store, Append(found=[Found("email", b"a", first), Found("phone", b"p", first)]))

    batch = Append(no_longer_found=[(first, "rut")])
    batch.found += [Found("email", b"a", each, instead_of=first) for each in (second, third)]
    batch.found += [Found("email", b"b", third), Found("email", b"b", third)]
    batch.found += [Found("phone", b"p", second), Found("phone", b"p", third)]
    write(acta.store, batch)

    assert acta.vault.persons("email", [b"a", b"b", b"c"]) == {b"a": third, b"b": third}
    assert acta.vault.digests_of_persons([first, second, third], "email") == {
        first: set(),
        second: set(),
        third: {b"a", b"b"},
    }
    phones = acta.vault.digests_of_persons([first, second, third], "phone")
    assert phones == {person: {b"p"} for person in (first, second, third)}


def test_an_address_passes_on_from_whom_the_decision_saw_alone(acta: Acta) -> None:
    """Whoever became known by it meanwhile is not put out; the decision is made anew."""
    first, second, third = uuid4(), uuid4(), uuid4()
    write(acta.store, Append(found=[Found("email", b"a", first)]))
    for seen in (None, third):
        with pytest.raises(Conflict):
            write(acta.store, Append(found=[Found("email", b"a", second, instead_of=seen)]))
    write(acta.store, Append(found=[Found("email", b"a", first)]))
    assert acta.vault.persons("email", [b"a"]) == {b"a": first}


def test_an_append_finds_its_rows_by_an_index_however_its_session_began(
    database: TestDatabase,
) -> None:
    """Also where the plans were made when the tables were empty."""
    plan, many = uuid4(), 300

    def batch() -> Append:
        holders = [(uuid4(), uuid4()) for _ in range(many)]
        return Append(
            claimed=[Claim("email", h.bytes, h, p) for h, p in holders],
            released=[Release(uuid4(), kind) for _ in range(many) for kind in ("email", None)],
            counted=[CountedClaim(plan, h, p, 10 * many) for h, p in holders],
            uncounted=[Uncounted(uuid4(), uuid4()) for _ in range(many)],
            found=[Found("email", h.bytes, p) for h, p in holders],
            no_longer_found=[(uuid4(), "phone") for _ in range(many)],
        )

    def apply(connection: Connection, append: Append) -> int:
        """How many rows were read one after the other."""
        with connection.transaction():
            connection.execute(
                "SELECT ledger.apply_alongside(%s)", (Jsonb(append.alongside(NOON, [])),)
            )
            row = connection.execute(
                "SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables"
                " WHERE schemaname IN ('ledger', 'vault')"
            ).fetchone()
        return row[0] if row else -1

    with connect(database.administrator) as administrator:
        for _ in range(6):
            assert apply(administrator, Append(released=[Release(uuid4())])) == 0
        for _ in range(7):
            assert apply(administrator, batch()) == 0


# ---------------------------------------------------------------- receipts and refusals


def test_the_same_command_id_gives_the_first_receipt(acta: Acta) -> None:
    command_id = uuid4()
    first = ask(acta, registration(), SOMEBODY, command_id)

    again = ask(acta, registration(), SOMEBODY, command_id)

    assert again.repeated
    assert not first.repeated
    assert (again.position, again.events) == (first.position, first.events)
    assert acta.store.head() == first.position


def test_a_command_asked_many_times_at_once_is_done_once(acta: Acta) -> None:
    command_id = uuid4()
    receipts: list[tuple[object, ...]] = []

    def give(_: int) -> None:
        receipts.append(ask(acta, registration(), SOMEBODY, command_id).events)

    at_once(WRITERS, give)

    assert len(receipts) == WRITERS
    assert len(set(receipts)) == 1
    assert len(acta.store.batch(after=0, limit=100)) == 1


@pytest.mark.rule("A3")
def test_a_refusal_is_kept_and_given_again_when_its_cause_is_gone(acta: Acta) -> None:
    """Whoever mended the cause sends a new id."""
    event = registered(acta)
    command_id = uuid4()
    first = refused(acta, registration(), SOMEBODY, command_id)
    close = CloseAccount(
        account=f"account:{event.account}", at=NOON, reason=ClosureReason.OWNER_REQUEST
    )
    ask(acta, close, owner(event.person))

    again = refused(acta, registration(), SOMEBODY, command_id)

    assert first == again
    assert again.rule == "A3"
    kept = acta.ledger.known([command_id])[command_id]
    assert kept.refusal == first
    assert kept.position == 1
    assert kept.events == ()
    assert ask(acta, registration(), SOMEBODY).events


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(registration(given_name="Eva"), id="another name"),
        pytest.param(registration(at=NOON + timedelta(microseconds=1)), id="another time"),
        pytest.param(
            SuspendAccount(account="person1@example.com", at=NOON, reason=SuspensionReason.MISUSE),
            id="another command",
        ),
    ],
)
def test_the_same_id_with_another_input_is_a_fault(acta: Acta, other: object) -> None:
    """It changes nothing, and the first answer stands."""
    command_id = uuid4()
    ask(acta, registration(), SOMEBODY, command_id)

    with pytest.raises(CommandIdReused) as fault:
        ask(acta, other, SOMEBODY, command_id)  # type: ignore[arg-type]

    assert "example.com" not in str(fault.value)
    assert acta.store.head() == 1
    assert ask(acta, registration(), SOMEBODY, command_id).repeated


def test_the_same_id_from_another_actor_is_a_fault(acta: Acta) -> None:
    command_id = uuid4()
    ask(acta, registration(), SOMEBODY, command_id)

    with pytest.raises(CommandIdReused):
        ask(acta, registration(), MANAGER, command_id)


def test_a_command_of_which_nothing_comes_has_a_receipt_too(acta: Acta) -> None:
    """Its position is that of the log it was decided on."""
    event = registered(acta)
    assign = AssignAccountManager(
        account=f"account:{event.account}", at=NOON, account_manager=uuid4()
    )
    ask(acta, assign, MANAGER)
    command_id = uuid4()

    first = ask(acta, assign, MANAGER, command_id)
    registered(acta, 2)
    again = ask(acta, assign, MANAGER, command_id)

    assert first.events == again.events == ()
    assert first.position == again.position == 2


def test_no_clear_input_stands_in_a_receipt(acta: Acta) -> None:
    """What was asked is kept as a keyed digest alone."""
    command_id = uuid4()
    ask(acta, registration(), SOMEBODY, command_id)

    kept = acta.ledger.known([command_id])[command_id]

    assert kept.input_digest is not None
    assert len(kept.input_digest) == 32


# ---------------------------------------------------------------- claims follow from the log

ClaimRow = tuple[str, bytes, UUID, UUID]


class ExpectedClaims:
    """What should be claimed by the events of a log, opened through the vault."""

    def __init__(self, acta: Acta) -> None:
        self._vault = acta.vault
        self._directory = Directory(acta.store)
        self.rows: set[ClaimRow] = set()

    def add(self, recorded: Recorded) -> None:
        """Takes one more event into account."""
        match recorded.event:
            case UserRegistered() as event:
                self._claim_email(recorded, event)
                if (rut := self._opened(recorded, "rut")) is not None:
                    digest = self._directory.rut_digest(rut)
                    self.rows.add(("rut", digest, event.account, event.person))
                self.rows.add(("person", event.person.bytes, event.account, event.person))
            case UserCodeChanged() as event:
                self._release(event.account, kind="email")
                self._claim_email(recorded, event)
            case AccountClosed() as event:
                self._release(event.account)
            case PersonErased() as event:
                self.rows = {row for row in self.rows if row[3] != event.person}
            case _:
                pass

    def _claim_email(self, recorded: Recorded, event: UserRegistered | UserCodeChanged) -> None:
        if (email := self._opened(recorded, "email")) is not None:
            digest = self._directory.email_digest(email)
            self.rows.add(("email", digest, event.account, event.person))

    def _release(self, account: UUID, kind: str | None = None) -> None:
        self.rows = {row for row in self.rows if row[2] != account or kind not in (None, row[0])}

    def _opened(self, recorded: Recorded, field: str) -> str | None:
        """The value in clear; None where there is none, or its person has been erased."""
        value = getattr(recorded.event, field)
        if not isinstance(value, Sealed):
            return None
        return self._vault.open(value, event_id=recorded.event_id, field=field)


def rebuilt_claims(acta: Acta) -> set[ClaimRow]:
    """The claims that follow from the log alone."""
    expected = ExpectedClaims(acta)
    for row in acta.store.batch(after=0, limit=100_000):
        recorded = to_recorded(row)
        assert recorded is not None
        expected.add(recorded)
    return expected.rows


def claims(database: TestDatabase) -> set[ClaimRow]:
    """The claims as they stand in their table."""
    with connect(database.administrator) as administrator:
        rows = administrator.execute(
            "SELECT kind, digest, holder, person FROM ledger.claims"
        ).fetchall()
    return {(kind, bytes(digest), holder, person) for kind, digest, holder, person in rows}


def lives(acta: Acta, chance: random.Random, steps: int) -> Iterator[UserRegistered]:
    """People come, change their address, close, come back and are erased, at random."""
    accounts: list[UserRegistered] = []
    for step in range(steps):
        event = chance.choice(accounts) if accounts else None
        who = f"account:{event.account}" if event else ""
        at = NOON + timedelta(hours=step)
        email = f"Person{chance.randint(1, 8)}@Example.com"
        try:
            match chance.choice(["register", "register", "change", "close", "erase"]):
                case "register":
                    ruts = random.Random(chance.randint(1, 8))
                    rut = random_rut(ruts) if chance.random() < 0.7 else None
                    accounts.append(registered(acta, step, at=at, email=email, rut=rut))
                    yield accounts[-1]
                case "change" if event:
                    assign = AssignAccountManager(
                        account=who,
                        at=at,
                        account_manager=MANAGER.id,  # type: ignore[arg-type]
                    )
                    ask(acta, assign, MANAGER)
                    ask(acta, ChangeUserCode(account=who, at=at, email=email), MANAGER)
                case "close" if event:
                    reason = ClosureReason.OWNER_REQUEST
                    ask(acta, CloseAccount(account=who, at=at, reason=reason), MANAGER)
                case "erase" if event:
                    erase(acta, event, after=timedelta(hours=step))
                case _:
                    pass
        except Refused:
            continue


@pytest.mark.rule("A3", "A5", "A10", "A11")
@pytest.mark.parametrize("steps", [120, pytest.param(1200, marks=pytest.mark.soak)])
def test_claims_can_be_rebuilt_from_the_log(acta: Acta, database: TestDatabase, steps: int) -> None:
    """Whatever happened, the table holds what the events say, and no more."""
    people = list(lives(acta, random.Random(seed()), steps))

    assert len(people) > 5
    assert claims(database) == rebuilt_claims(acta)
    assert claims(database)
