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
from handlers.store.append import Append, Claim, CountedClaim, Release, Uncounted
from handlers.store.database import connect
from handlers.store.directory import Directory
from handlers.store.event_store import Conflict, EventStore, StoredReceipt
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
