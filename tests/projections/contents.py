"""What the tables of read models hold, to be compared."""

from psycopg import Connection, sql

from handlers.composition import PROJECTIONS, Acta
from projections.projection import Projection

Contents = dict[str, list[str]]


def contents(acta: Acta) -> Contents:
    """Every row of every read model, and the positions that they know."""
    tables = [table.name for projection in PROJECTIONS for table in projection.tables]
    with acta.database.connection() as connection:
        return {name: _rows(connection, name) for name in [*tables, "positions"]}


def rebuild(acta: Acta, *projections: Projection) -> None:
    """Drops the tables and fills them again from the log."""
    for projection in projections or PROJECTIONS:
        acta.projector.rebuild(projection.name)
    acta.projector.catch_up()


def _rows(connection: Connection, table: str) -> list[str]:
    statement = sql.SQL("SELECT whole::text FROM projections.{} AS whole ORDER BY whole::text")
    return [row for (row,) in connection.execute(statement.format(sql.Identifier(table)))]
