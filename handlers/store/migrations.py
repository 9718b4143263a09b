"""Brings a database to this program's version: roles, then numbered SQL run as the owner role."""

import hashlib
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import sql

from handlers.faults import DatabaseVersion

__all__ = ["ANALYST_ROLE", "APPLICATION_ROLE", "OWNER_ROLE", "check_version", "migrate"]

OWNER_ROLE = "acta_owner"
APPLICATION_ROLE = "acta_application"
ANALYST_ROLE = "acta_analyst"

POSTGRESQL_VERSION = 180000
"""The oldest server that this program runs on, as ``server_version_num``."""

IDLE_TRANSACTION_TIMEOUT_MS = 750
"""How long a writer may sit in a transaction: readers wait for it, so the server ends it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step, known by its digest so that an edited one is noticed."""

    number: int
    name: str
    statements: str

    @property
    def digest(self) -> str:
        """SHA-256 of the statements."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Every migration, in order."""
    folder = resources.files("handlers.store") / "sql"
    return [
        Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql")
    ]


def migrate(administrator: psycopg.Connection) -> list[str]:
    """Creates roles and applies what is missing; returns the names of what it applied.

    Raises:
        DatabaseVersion: the server is too old, or the database is ahead of this program.
    """
    refuse_old_server(administrator)
    with administrator.transaction():
        # One at a time, whoever else starts up now.
        administrator.execute("SELECT pg_advisory_xact_lock(1633907811)")
        _create_roles(administrator)
        administrator.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(OWNER_ROLE)))
        administrator.execute(
            "CREATE TABLE IF NOT EXISTS public.acta_migrations ("
            " number int PRIMARY KEY, name text NOT NULL, digest text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        administrator.execute("GRANT SELECT ON public.acta_migrations TO PUBLIC")
        applied = _applied(administrator)
        _refuse_unknown(applied)
        missing = [step for step in migrations() if step.number not in applied]
        for step in missing:
            administrator.execute(step.statements.encode())
            administrator.execute(
                "INSERT INTO public.acta_migrations (number, name, digest) VALUES (%s, %s, %s)",
                (step.number, step.name, step.digest),
            )
    return [step.name for step in missing]


def check_version(connection: psycopg.Connection) -> None:
    """Sees that server and database are of this program's version.

    Raises:
        DatabaseVersion: they are not; the message says which way.
    """
    refuse_old_server(connection)
    exists = connection.execute("SELECT to_regclass('public.acta_migrations')").fetchone()
    applied = _applied(connection) if exists and exists[0] else {}
    _refuse_unknown(applied)
    if any(step.number not in applied for step in migrations()):
        raise DatabaseVersion(
            "the database has not been brought to this version",
            remedy="Run: acta migrate",
        )


def refuse_old_server(connection: psycopg.Connection) -> None:
    """Sees that the server is new enough.

    Raises:
        DatabaseVersion: it is not.
    """
    if connection.info.server_version < POSTGRESQL_VERSION:
        raise DatabaseVersion(
            f"the server is PostgreSQL {connection.info.server_version // 10000}",
            remedy=f"Use PostgreSQL {POSTGRESQL_VERSION // 10000} or newer.",
        )


def _applied(connection: psycopg.Connection) -> dict[int, str]:
    rows = connection.execute("SELECT number, digest FROM public.acta_migrations").fetchall()
    return dict(rows)


def _refuse_unknown(applied: dict[int, str]) -> None:
    known = {step.number: step.digest for step in migrations()}
    if any(known.get(number) != digest for number, digest in applied.items()):
        raise DatabaseVersion(
            "the database was made by another version of Acta",
            remedy="Use the version of Acta that made it, or a newer one.",
        )


def _create_roles(administrator: psycopg.Connection) -> None:
    """Roles belong to the whole server, so another database may have made them."""
    for role, login in ((OWNER_ROLE, False), (APPLICATION_ROLE, True), (ANALYST_ROLE, False)):
        known = administrator.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        if known.rowcount == 0:
            administrator.execute(
                sql.SQL("CREATE ROLE {} {}").format(
                    sql.Identifier(role), sql.SQL("LOGIN" if login else "NOLOGIN")
                )
            )
    administrator.execute(
        sql.SQL("ALTER ROLE {} SET idle_in_transaction_session_timeout = {}").format(
            sql.Identifier(APPLICATION_ROLE), sql.Literal(IDLE_TRANSACTION_TIMEOUT_MS)
        )
    )
    database = sql.Identifier(administrator.info.dbname)
    administrator.execute(
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(OWNER_ROLE))
    )
    administrator.execute(
        sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(OWNER_ROLE))
    )
    administrator.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER_ROLE)))
