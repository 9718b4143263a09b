"""A database that an earlier version of Acta made and used is brought to this one as it is."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from handlers.composition import Acta, open_ledger
from handlers.faults import DatabaseVersion
from handlers.store import migrations
from handlers.store.append import Append, Claim, CountedClaim, Limited
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from handlers.store.event_store import Conflict
from handlers.store.payment_tokens import KeptToken
from tests.conftest import TestDatabase
from tests.handlers.store.stories import envelope, erase, number_of_rows, registered, studied

STEPS = migrations.migrations()


@pytest.fixture
def first_version(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestDatabase]:
    """A database of the first version, and a program that knows no other yet."""
    name = f"test_{uuid4().hex}"
    identifier = sql.Identifier(name)
    with connect(server.addresses.administrator) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        database = TestDatabase(
            name=name,
            application=make_conninfo(server.addresses.application, dbname=name),
            administrator=make_conninfo(server.addresses.administrator, dbname=name),
            keys=tmp_path / "keys",
        )
        monkeypatch.setattr(migrations, "migrations", lambda: STEPS[:1])
        with connect(database.administrator) as own:
            assert migrations.migrate(own) == ["0001_ledger.sql"]
        yield database
        administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def function(connection: Connection) -> tuple[object, ...] | None:
    """Whose the function is that writes what goes alongside, and who may call it."""
    return connection.execute(
        "SELECT pg_get_userbyid(proowner), proacl::text, prosecdef FROM pg_proc"
        " WHERE oid = 'ledger.apply_alongside(jsonb)'::regprocedure"
    ).fetchone()


def take_places(acta: Acta, plan: UUID, number: int) -> None:
    """Takes so many of the four places of a plan."""
    append = Append()
    for _ in range(number):
        holder = uuid4()
        append.counted.append(CountedClaim(plan, holder, uuid4(), limit=4))
        append.write(holder, 0, [studied()])
    acta.store.append(append, envelope())


def test_what_was_written_before_an_upgrade_is_there_and_counts(
    first_version: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People, claims and places stay; the limits hold for the old and the new together."""
    plan, digest = uuid4(), b"held"
    with open_ledger(first_version.settings()) as acta:
        people = [registered(acta, number) for number in range(3)]
        for _ in range(3):
            take_places(acta, plan, 1)
        held = Append(claimed=[Claim("email", digest, uuid4(), uuid4())])
        acta.store.append(held, envelope())
    with connect(first_version.administrator) as administrator:
        before, function_before = number_of_rows(administrator), function(administrator)

        monkeypatch.setattr(migrations, "migrations", lambda: STEPS)
        with pytest.raises(DatabaseVersion), open_ledger(first_version.settings()):
            pass
        assert migrations.migrate(administrator) == [step.name for step in STEPS[1:]]
        assert migrations.migrate(administrator) == []

        after = number_of_rows(administrator)
        assert after == dict.fromkeys(after, 0) | before, "what is new is empty"
        assert function(administrator) == function_before
        assert function_before == ("acta_owner", "{acta_owner=X/acta_owner}", False)

    with open_ledger(first_version.settings()) as acta:
        assert acta.store.streams([people[0].account])[people[0].account]
        with pytest.raises(Conflict):
            take_places(acta, plan, 2)
        take_places(acta, plan, 1)
        with pytest.raises(Conflict):
            acta.store.append(Append(limited=[Limited(plan, 3)]), envelope())
        with pytest.raises(Conflict):
            acta.store.append(
                Append(claimed=[Claim("email", digest, uuid4(), uuid4())]), envelope()
            )
        registered(acta, 4)

        kept = KeptToken(uuid4(), people[0].person, "pm_card_visa")
        acta.store.append(Append(tokens=[kept]), envelope())
        assert acta.tokens.of([kept.subscription]) == {kept.subscription: kept.token}
        erase(acta, people[0])
        assert acta.tokens.of([kept.subscription]) == {}
