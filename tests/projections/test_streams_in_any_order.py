"""Read models do not mind in which order streams come: a parked one comes late (decision 26)."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random
from uuid import UUID

import pytest
from psycopg import Connection

from domain.event import Recorded
from handlers.composition import PROJECTIONS, Acta, open_ledger
from handlers.store.embedded import EmbeddedServer
from projections.projection import Projection
from tests.conftest import TestDatabase, new_database
from tests.handlers.stories import Story
from tests.projections.charge_lives import tell_of_charges
from tests.projections.contents import Contents, contents, rebuild
from tests.projections.contract_lives import tell_of_contracts
from tests.projections.desk_lives import tell_of_the_desk
from tests.projections.institution_lives import tell_of_institutions

EACH_PROJECTION = pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.name)


@pytest.fixture(scope="module")
def told(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestDatabase]:
    """A database in which everything happened that read models know of."""
    with new_database(server, tmp_path_factory.mktemp("told") / "keys") as database:
        with open_ledger(database.settings()) as acta:
            story = Story(acta)
            tell_of_institutions(story)
            tell_of_contracts(acta)
            tell_of_the_desk(acta)
            tell_of_charges(story)
            payer = story.subscriber("pagadora@example.com")
            story.study(payer, "algebra/unit-1")
            story.close(payer)
        yield database


@pytest.fixture
def story(told: TestDatabase) -> Iterator[Story]:
    """What is told of it, by a ledger of the test's own."""
    with open_ledger(told.settings()) as acta:
        yield Story(acta)


@pytest.mark.rule("X6")
@EACH_PROJECTION
@pytest.mark.parametrize("seed", range(3))
def test_streams_come_in_any_order(story: Story, projection: Projection, seed: int) -> None:
    """One after the other, as if each had been parked and tried again."""
    expected = built(story.acta, projection)
    streams: dict[UUID, list[Recorded]] = defaultdict(list)
    for entry in story.events():
        streams[entry.stream].append(entry)
    shuffled = list(streams.values())
    Random(seed).shuffle(shuffled)
    assert applied(story.acta, projection, shuffled) == expected


@pytest.mark.rule("X6")
@EACH_PROJECTION
def test_what_it_passes_over_means_nothing_to_it(story: Story, projection: Projection) -> None:
    """An unreadable event of such an aggregate parks nothing, for nothing would come of it."""
    if projection.aggregates is None:
        return
    others = [
        entry for entry in story.events() if entry.event.AGGREGATE not in projection.aggregates
    ]
    left = applied(story.acta, projection, [others])
    assert not any(left[table.name] for table in projection.tables)


def built(acta: Acta, projection: Projection) -> Contents:
    """What its tables hold when the log is applied in its own order."""
    rebuild(acta, projection)
    whole = contents(acta)
    assert all(whole[table.name] for table in projection.tables)
    return whole


def applied(acta: Acta, projection: Projection, portions: list[list[Recorded]]) -> Contents:
    """What its tables hold once these have been applied, one portion after the other."""
    acta.projector.catch_up()
    with acta.database.transaction() as connection:
        for table in projection.tables:
            table.create(connection)
        for portion in portions:
            projection.apply(portion, connection)
        _known(connection, projection, acta.store.head())
    return contents(acta)


def _known(connection: Connection, projection: Projection, position: int) -> None:
    connection.execute(
        "UPDATE projections.positions SET position = %s WHERE name = %s",
        (position, projection.name),
    )
