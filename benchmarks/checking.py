"""Access checks among many accounts, beside the very rows that they rest on."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from benchmarks import ours
from benchmarks.contractors import work
from benchmarks.ground import Ground
from benchmarks.measurement import Row, Sizes, in_turns
from benchmarks.population import live
from benchmarks.processes import apart
from handlers.settings import Settings
from handlers.store.database import connect

__all__ = ["administrator", "copy_rows", "measure"]

AT_MOST = 2
ASKED_ABOUT = 5_000


def measure(ground: Ground, sizes: Sizes) -> list[Row]:
    with ground.acta() as settings:
        asked_about = {
            "content": [life.account for life in live(settings, sizes.lives)],
            "module:documentation": work(settings, sizes.lives),
        }
        apart(ours.projected_per_second, settings)
        with connect(administrator(ground, settings)) as connection:
            copies = multiply(connection, sizes.accounts)
            meant = {
                thing: some_copies(connection, originals, copies)
                for thing, originals in asked_about.items()
            }
        return [_row(settings, sizes, thing, accounts) for thing, accounts in meant.items()]


def _row(settings: Settings, sizes: Sizes, thing: str, accounts: Sequence[UUID]) -> Row:
    [turns] = in_turns(
        sizes.repetitions,
        lambda: apart(ours.checked_and_selected, settings, accounts, thing, sizes.seconds),
    )
    return Row(
        what=f"check {thing} among {sizes.accounts:,} accounts",
        unit="µs",
        ours=[checked for checked, _ in turns],
        baseline=[selected for _, selected in turns],
        baseline_is="the same rows selected in raw psycopg",
        at_most=AT_MOST,
    )


def multiply(connection: Connection, accounts: int) -> int:
    """Copies whoever is in the ledger, where a check looks, until there are so many accounts.

    Their events stay out of the log, which no check reads.

    Returns:
        How many there are of each from now on.
    """
    row = connection.execute("SELECT count(*) FROM ledger.person_accounts").fetchone()
    copies = accounts // (row[0] if row else 1)
    for table in (
        Identifier("ledger", "person_accounts"),
        Identifier("projections", "access_facts"),
    ):
        copy_rows(connection, table, copies)
    connection.execute("VACUUM ANALYZE")
    return copies


def copy_rows(connection: Connection, table: Identifier, copies: int) -> None:
    """With other ids, which belong together as those of the originals do."""
    columns = connection.execute(SQL("SELECT * FROM {} LIMIT 0").format(table)).description or []
    values = [
        SQL("md5({}::text || copy)::uuid" if column.type_display == "uuid" else "{}").format(
            Identifier(column.name)
        )
        for column in columns
    ]
    connection.execute(
        SQL(
            "INSERT INTO {table} SELECT {values} FROM {table}, generate_series(2, %s) AS copy"
        ).format(table=table, values=SQL(", ").join(values)),
        (copies,),
    )


def some_copies(connection: Connection, originals: Sequence[UUID], copies: int) -> list[UUID]:
    """Accounts of some thousands, by chance."""
    found = connection.execute(_SOME_COPIES, (copies, list(originals), ASKED_ABOUT))
    return [account for (account,) in found]


def administrator(ground: Ground, settings: Settings) -> str:
    assert settings.database_url is not None
    name = conninfo_to_dict(settings.database_url.get_secret_value())["dbname"]
    return make_conninfo(ground.server.addresses.administrator, dbname=name)


_SOME_COPIES = """
    SELECT md5(account::text || copy)::uuid
    FROM generate_series(2, %s) AS copy, ledger.person_accounts
    WHERE account = ANY(%s) ORDER BY random() LIMIT %s
"""
