"""Read models follow from the log alone: however often, in whatever portions, from whenever."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import ClassVar

import psycopg
import pytest
from psycopg import Connection, sql

from domain.event import EventOfAccount, Recorded
from handlers.cli.apply import apply_lines
from handlers.composition import PROJECTIONS, Acta, open_ledger
from handlers.store.embedded import EmbeddedServer
from handlers.store.mapper import to_recorded
from handlers.workers.projector import Projector
from projections.billing_history import BillingHistory
from projections.projection import Projection, Table
from tests.conftest import TestDatabase, new_database
from tests.end_to_end.workload import make_workload
from tests.handlers.stories import Story
from tests.projections.charge_lives import tell_of_charges
from tests.projections.contents import Contents, contents, rebuild
from tests.projections.contract_lives import tell_of_contracts
from tests.projections.desk_lives import tell_of_the_desk
from tests.projections.institution_lives import tell_of_institutions

COMMANDS = 400
SEED = 11
EACH_PROJECTION = pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.name)


@pytest.fixture(scope="module")
def told(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDatabase]:
    """A database with the lives of some people and of two institutions in it."""
    with new_database(server, tmp_path_factory.mktemp("told") / "keys") as database:
        lines = [line.encode() for line in make_workload(COMMANDS, SEED).lines]
        with open_ledger(database.settings()) as acta:
            apply_lines(acta, lines, report=lambda _: None)
            story = Story(acta)
            tell_of_institutions(story)
            tell_of_charges(story)
            tell_of_contracts(acta)
            tell_of_the_desk(acta)
        yield database


@pytest.fixture
def acta(told: TestDatabase) -> Iterator[Acta]:
    """The ledger of those lives, its read models up to date."""
    with open_ledger(told.settings()) as opened:
        opened.projector.catch_up()
        yield opened


@pytest.fixture
def expected(acta: Acta) -> Contents:
    """What the read models hold when they are built from the beginning, all in one portion."""
    rebuild(acta)
    built = contents(acta)
    assert all(built.values()), "each table holds something"
    return built


@pytest.mark.parametrize("seed", range(3))
def test_rebuilt_equals_incremental(acta: Acta, expected: Contents, seed: int) -> None:
    """Portions of any size give the same."""
    random = Random(seed)
    for projection in PROJECTIONS:
        acta.projector.rebuild(projection.name)
    head = acta.store.head()
    position = 0
    while position < head:
        position, _ = acta.projector.step(random.randint(1, 60))
    assert contents(acta) == expected


@EACH_PROJECTION
def test_one_is_rebuilt_while_the_others_stand(
    acta: Acta, expected: Contents, projection: Projection
) -> None:
    """It catches up with them, and they are given nothing twice."""
    acta.projector.rebuild(projection.name)
    emptied = contents(acta)
    for table in projection.tables:
        assert emptied[table.name] == []
    acta.projector.catch_up(batch_events=50)
    assert contents(acta) == expected


def test_delivered_twice_equals_once(acta: Acta, told: TestDatabase, expected: Contents) -> None:
    """Two projectors that start over at the same time apply each event once."""
    for projection in PROJECTIONS:
        acta.projector.rebuild(projection.name)
    head = acta.store.head()

    def project(seed: int) -> None:
        random = Random(seed)
        with open_ledger(told.settings()) as mine:
            while mine.projector.step(random.randint(1, 20))[0] < head:
                pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(project, [1, 2]))
    assert contents(acta) == expected


def test_a_step_with_nothing_new_changes_nothing(acta: Acta, expected: Contents) -> None:
    """What is known is not applied again."""
    head = acta.store.head()
    assert acta.projector.step() == (head, 0)
    assert contents(acta) == expected


def test_dropped_tables_come_back(acta: Acta, told: TestDatabase, expected: Contents) -> None:
    """Everything under ``projections`` can go: the next projector makes it anew from the log."""
    with acta.database.connection() as connection:
        for projection in PROJECTIONS:
            for table in projection.tables:
                drop = sql.SQL("DROP TABLE projections.{}").format(sql.Identifier(table.name))
                connection.execute(drop)
        connection.execute("DELETE FROM projections.positions")
    with open_ledger(told.settings()) as again:
        again.projector.catch_up()
        assert contents(again) == expected


class Shorter(Projection):
    """The billing history as another version of it would be: payments, and nothing else."""

    name: ClassVar[str] = BillingHistory.name
    version: ClassVar[int] = BillingHistory.version + 1
    tables: ClassVar[tuple[Table, ...]] = (
        Table("billing_history", {"position": "bigint NOT NULL"}, key=("position",)),
    )

    def apply(self, batch: Sequence[Recorded], connection: Connection) -> None:
        rows = [
            (entry.position,) for entry in batch if "PaymentCaptured" in type(entry.event).__name__
        ]
        self.tables[0].insert(connection, rows)


def test_another_version_is_built_from_the_beginning(acta: Acta, expected: Contents) -> None:
    """The others stand, and going back to the version before builds that again."""
    others = [projection for projection in PROJECTIONS if projection.name != Shorter.name]
    Projector(acta.database, [*others, Shorter()]).catch_up()
    bumped = contents(acta)
    payments = [row for row in expected["billing_history"] if ",payment," in row]
    assert len(bumped["billing_history"]) == len(payments) > 0
    assert {name: rows for name, rows in bumped.items() if name not in _changed()} == {
        name: rows for name, rows in expected.items() if name not in _changed()
    }
    Projector(acta.database, PROJECTIONS).catch_up()
    assert contents(acta) == expected


def _changed() -> set[str]:
    return {"billing_history", "positions"}


def test_analysts_may_read_them_and_no_more(acta: Acta, told: TestDatabase) -> None:
    """Also after a rebuild."""
    rebuild(acta)
    with psycopg.connect(told.administrator, autocommit=True) as connection:
        connection.execute("SET ROLE acta_analyst")
        for projection in PROJECTIONS:
            for table in projection.tables:
                name = sql.Identifier(table.name)
                select = sql.SQL("SELECT count(*) FROM projections.{}").format(name)
                assert connection.execute(select).fetchone() != (0,)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(sql.SQL("DELETE FROM projections.{}").format(name))


@pytest.mark.rule("S5")
def test_every_balance_adds_up_and_comes_to_nothing(acta: Acta, expected: Contents) -> None:
    """Of every account, whatever happened to it."""
    assert expected
    with acta.database.connection() as connection:
        accounts = connection.execute(
            "SELECT account, currency, sum(change_minor), count(*) FROM projections.billing_history"
            " WHERE currency IS NOT NULL GROUP BY account, currency"
        ).fetchall()
    assert len(accounts) > 5
    assert {balance for _, _, balance, _ in accounts} == {0}


def test_every_event_of_an_account_has_its_line(acta: Acta, expected: Contents) -> None:
    """The account history has as many lines as the log has events of accounts and plans."""
    rows = acta.store.batch(after=0, limit=100_000)
    events = [recorded.event for row in rows if (recorded := to_recorded(row)) is not None]
    of_accounts = [event for event in events if isinstance(event, EventOfAccount)]
    assert len(expected["account_history"]) == len(of_accounts)
    assert len(events) == acta.queries.status().events
