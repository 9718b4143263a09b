"""Nobody but migrations can change or delete an event: each role tries each forbidden verb (D5).

What there is to try it on comes from the catalog, so that a table or function of tomorrow is tried
too; what is allowed is written down here.
"""

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import InsufficientPrivilege

from handlers.composition import open_ledger
from handlers.faults import DatabaseUnavailable
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from tests.conftest import TestDatabase, new_database
from tests.handlers.store.stories import erase, registered, registration, subscribe_with_factura

ROLES = ("acta_application", "acta_analyst", "newcomer")
"""Whoever can log in: Acta itself, who may read read models, and who may nothing at all."""

SELECT = frozenset({"SELECT"})
WRITE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
ALL_PRIVILEGES = (*sorted(WRITE), "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")

MAY_CALL = {
    "acta_application": {
        "ledger.advance_clock",
        "ledger.append",
        "ledger.insert_snapshots",
        "ledger.next_number",
        "vault.keep_secrets",
        "vault.rotate",
        "vault.destroy_due_keys",
    },
    "acta_analyst": set[str](),
    "newcomer": set[str](),
}


def may(role: str, relation: "Relation") -> frozenset[str]:
    """What a role may do with a table, view or sequence."""
    if relation.name == "public.acta_migrations":
        return SELECT
    match role:
        case "acta_application" if relation.name in {"projections.positions", "projections.parked"}:
            return WRITE
        case "acta_application" if relation.schema in ("ledger", "vault"):
            return SELECT
        case "acta_analyst" if relation.schema == "projections":
            return SELECT
        case _:
            return frozenset()


@dataclass(frozen=True)
class Relation:
    """A table, view or sequence, as the catalog knows it."""

    schema: str
    name: str
    kind: str
    owner: str
    column: str

    @property
    def is_table(self) -> bool:
        """Whether it holds rows."""
        return self.kind in ("r", "p")


@dataclass(frozen=True)
class House:
    """A used database, and each role's way in."""

    database: TestDatabase
    addresses: dict[str, str]
    relations: tuple[Relation, ...]
    functions: tuple[tuple[str, str], ...]

    def login(self, role: str) -> str:
        """The name under which a role logs in."""
        return str(conninfo_to_dict(self.addresses[role])["user"])

    def tables_of_acta(self) -> list[Relation]:
        """What belongs to the owner: everything but the read models."""
        return [each for each in self.relations if each.owner == "acta_owner" and each.is_table]


@pytest.fixture(scope="module")
def house(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A ledger in use, with read models, and a login for each role."""
    with ExitStack() as stack:
        keys = tmp_path_factory.mktemp("privileges") / "keys"
        database = stack.enter_context(new_database(server, keys))
        with open_ledger(database.settings()) as acta:
            event = registered(acta)
            subscribe_with_factura(acta, event)
            erase(acta, event)
            acta.projector.catch_up()
        administrator = stack.enter_context(connect(database.administrator))
        addresses = {"acta_application": database.application}
        for role, member_of in (("acta_analyst", "acta_analyst"), ("newcomer", None)):
            login = f"test_{role}_{secrets.token_hex(4)}"
            addresses[role] = _new_login(administrator, database, login, member_of)
            stack.callback(
                administrator.execute, sql.SQL("DROP ROLE {}").format(sql.Identifier(login))
            )
        yield House(database, addresses, _relations(administrator), _functions(administrator))


def _new_login(
    administrator: Connection, database: TestDatabase, login: str, member_of: str | None
) -> str:
    password = secrets.token_hex(16)
    administrator.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(login), sql.Literal(password)
        )
    )
    if member_of is not None:
        administrator.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier(member_of), sql.Identifier(login))
        )
    return make_conninfo(database.administrator, user=login, password=password)


def _relations(administrator: Connection) -> tuple[Relation, ...]:
    rows = administrator.execute(
        "SELECT n.nspname, n.nspname || '.' || c.relname, c.relkind::text,"
        " pg_get_userbyid(c.relowner),"
        " (SELECT attname FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum = 1)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT LIKE 'pg\\_%'"
        " AND n.nspname <> 'information_schema' ORDER BY 2"
    ).fetchall()
    return tuple(Relation(*row) for row in rows)


def _functions(administrator: Connection) -> tuple[tuple[str, str], ...]:
    rows = administrator.execute(
        "SELECT n.nspname || '.' || p.proname,"
        " array_to_string(ARRAY(SELECT 'NULL::' || format_type(t, NULL)"
        "                       FROM unnest(p.proargtypes) AS t), ', ')"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1"
    ).fetchall()
    return tuple(rows)


def denied(connection: Connection, statement: str) -> str | None:
    """Tries a statement; what went wrong with the protection, or None if it was denied."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement.encode())
    except InsufficientPrivilege:
        return None
    except psycopg.Error as error:
        return f"{statement}: {type(error).__name__}, which is not for want of privilege"
    return f"{statement}: done"


def not_denied(house: House, role: str, statements: Sequence[str]) -> list[str]:
    """The statements that a role was not denied."""
    assert statements, "nothing was tried"
    with connect(house.addresses[role]) as connection:
        return [told for each in statements if (told := denied(connection, each)) is not None]


# ---------------------------------------------------------------- tables

VERBS: dict[str, Callable[[Relation], str]] = {
    "INSERT": lambda r: f"INSERT INTO {r.name} DEFAULT VALUES",
    "UPDATE": lambda r: f"UPDATE {r.name} SET {r.column} = {r.column}",
    "DELETE": lambda r: f"DELETE FROM {r.name}",
    "MERGE": lambda r: (
        f"MERGE INTO {r.name} t USING (VALUES (1)) s(x) ON true WHEN MATCHED THEN DELETE"
    ),
    "SELECT": lambda r: f"SELECT FROM {r.name}",
    "SELECT FOR UPDATE": lambda r: f"SELECT FROM {r.name} FOR UPDATE",
    "COPY FROM": lambda r: f"COPY {r.name} FROM STDIN",
    "TRUNCATE": lambda r: f"TRUNCATE {r.name} CASCADE",
    "LOCK": lambda r: f"LOCK TABLE {r.name} IN ACCESS EXCLUSIVE MODE",
    "DROP": lambda r: f"DROP TABLE {r.name} CASCADE",
    "ALTER": lambda r: f"ALTER TABLE {r.name} ADD COLUMN another int",
    "ALTER COLUMN": lambda r: f"ALTER TABLE {r.name} ALTER COLUMN {r.column} DROP NOT NULL",
    "RENAME": lambda r: f"ALTER TABLE {r.name} RENAME TO another",
    "OWNER": lambda r: f"ALTER TABLE {r.name} OWNER TO CURRENT_USER",
    "DISABLE TRIGGER": lambda r: f"ALTER TABLE {r.name} DISABLE TRIGGER ALL",
    "ROW SECURITY": lambda r: f"ALTER TABLE {r.name} ENABLE ROW LEVEL SECURITY",
    "TRIGGER": lambda r: (
        f"CREATE TRIGGER another BEFORE UPDATE ON {r.name} FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "RULE": lambda r: f"CREATE RULE another AS ON DELETE TO {r.name} DO INSTEAD NOTHING",
    "INDEX": lambda r: f"CREATE INDEX ON {r.name} ({r.column})",
    "COMMENT": lambda r: f"COMMENT ON TABLE {r.name} IS ''",
}
NEEDS = {"MERGE": "DELETE", "SELECT FOR UPDATE": "UPDATE", "COPY FROM": "INSERT", "LOCK": "UPDATE"}
"""The privilege that a verb needs, where it has another name."""


@pytest.mark.parametrize(
    ("role", "verb"),
    [each for each in itertools.product(ROLES, VERBS) if each != ("acta_application", "SELECT")],
)
def test_no_role_can_do_with_a_table_what_it_may_not(house: House, role: str, verb: str) -> None:
    tables = [
        each
        for each in house.relations
        if each.is_table
        and NEEDS.get(verb, verb) not in may(role, each)
        and not (role == "acta_application" and each.owner == "acta_application")
    ]
    assert not_denied(house, role, [VERBS[verb](table) for table in tables]) == []


@pytest.mark.parametrize("role", ROLES)
def test_the_catalog_grants_what_is_written_down_here_and_no_more(house: House, role: str) -> None:
    """Column by column too."""
    asked = (
        "SELECT has_table_privilege(%(login)s, %(table)s, %(privilege)s)"
        " OR %(by_column)s AND has_any_column_privilege(%(login)s, %(table)s, %(column)s)"
    )
    wrong: list[str] = []
    with connect(house.database.administrator) as administrator:
        for relation, privilege in itertools.product(house.relations, ALL_PRIVILEGES):
            if relation.kind == "S" or relation.owner == role:
                continue
            by_column = privilege in ("SELECT", "INSERT", "UPDATE", "REFERENCES")
            row = administrator.execute(
                asked,
                {
                    "login": house.login(role),
                    "table": relation.name,
                    "privilege": privilege,
                    "by_column": by_column,
                    "column": privilege if by_column else "SELECT",
                },
            ).fetchone()
            if row != (privilege in may(role, relation),):
                wrong.append(f"{privilege} on {relation.name}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_pass_on_what_it_may(house: House, role: str) -> None:
    """The server only warns of such a GRANT; nothing comes of it."""
    grants = [
        *(f"GRANT ALL ON {each.name} TO PUBLIC" for each in house.relations if each.owner != role),
        *(f"GRANT EXECUTE ON FUNCTION {name} TO PUBLIC" for name, _ in house.functions),
        *(f"GRANT ALL ON SCHEMA {each} TO PUBLIC" for each in ("ledger", "vault", "projections")),
    ]
    with connect(house.addresses[role]) as connection, connection.transaction(force_rollback=True):
        before = _access_lists(connection)
        for grant in grants:
            with suppress(InsufficientPrivilege), connection.transaction():
                connection.execute(grant.encode())
        assert _access_lists(connection) == before


def _access_lists(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT oid, relacl::text FROM pg_class UNION ALL SELECT oid, proacl::text FROM pg_proc"
        " UNION ALL SELECT oid, nspacl::text FROM pg_namespace ORDER BY 1, 2"
    ).fetchall()


def test_events_can_be_referred_to_by_nobody(house: House) -> None:
    """A foreign key would let its maker forbid, or see, what happens to the log."""
    statements = [
        f"CREATE TABLE projections.another (x {kind} REFERENCES {table})"
        for table, kind in (("ledger.events", "bigint"), ("vault.keys", "uuid"))
    ]
    assert not_denied(house, "acta_application", statements) == []


def test_the_tables_tried_are_all_there_are(house: House) -> None:
    """The catalog was read: the known ones are among them, all owned by who cannot log in."""
    names = {table.name for table in house.tables_of_acta()}
    assert names >= {"ledger.events", "ledger.receipts", "vault.keys", "projections.positions"}
    others = {each.name for each in house.relations if each.owner != "acta_owner"}
    assert others
    assert all(name.startswith("projections.") for name in others)


# ---------------------------------------------------------------- sequences and functions


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_draw_positions_itself(house: House, role: str) -> None:
    sequences = [each.name for each in house.relations if each.kind == "S"]
    assert "ledger.positions" in sequences
    statements = [
        statement
        for name in sequences
        for statement in (
            f"SELECT nextval('{name}')",
            f"SELECT setval('{name}', 1)",
            f"ALTER SEQUENCE {name} RESTART",
            f"DROP SEQUENCE {name}",
        )
    ]
    assert not_denied(house, role, statements) == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_call_a_function_that_it_may_not(house: House, role: str) -> None:
    """Such as ledger.erase, ledger.apply_alongside or ledger.draw_positions by themselves."""
    names = {name for name, _ in house.functions}
    assert names >= {"ledger.erase", "ledger.apply_alongside", "ledger.draw_positions"}
    assert names >= {"ledger.apply_claims", "ledger.apply_counted", "ledger.apply_index"}
    assert names >= MAY_CALL[role]
    statements = [
        f"SELECT {name}({arguments})"
        for name, arguments in house.functions
        if name not in MAY_CALL[role]
    ]
    assert not_denied(house, role, statements) == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_change_a_function(house: House, role: str) -> None:
    statements = [
        statement
        for name, _ in house.functions
        for statement in (
            f"DROP FUNCTION {name} CASCADE",
            f"ALTER FUNCTION {name} SECURITY INVOKER",
            f"ALTER FUNCTION {name} SET search_path = public",
            f"ALTER FUNCTION {name} OWNER TO CURRENT_USER",
        )
    ]
    assert not_denied(house, role, statements) == []


def test_functions_that_run_as_the_owner_trust_no_search_path(house: House) -> None:
    """Else whoever calls one could have it call theirs."""
    with connect(house.database.administrator) as administrator:
        rows = administrator.execute(
            "SELECT proname, proconfig FROM pg_proc p"
            " JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE prosecdef AND nspname IN ('ledger', 'vault')"
        ).fetchall()
    assert rows
    assert {tuple(configured) for _, configured in rows} == {("search_path=pg_catalog, pg_temp",)}


# ---------------------------------------------------------------- schemas, database, server


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_make_or_drop_anything_in_the_schemas(house: House, role: str) -> None:
    schemas = ["ledger", "vault", "public"]
    if role != "acta_application":  # its read models are its own
        schemas.append("projections")
    statements = [
        statement
        for schema in schemas
        for statement in (
            f"CREATE TABLE {schema}.another (x int)",
            f"CREATE VIEW {schema}.another AS SELECT 1",
            f"CREATE SEQUENCE {schema}.another",
            f"CREATE FUNCTION {schema}.another() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )
    ]
    statements += [
        statement
        for schema in ("ledger", "vault", "public", "projections")
        for statement in (
            f"DROP SCHEMA {schema} CASCADE",
            f"ALTER SCHEMA {schema} RENAME TO another",
        )
    ]
    assert not_denied(house, role, statements) == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_reach_past_the_database(house: House, role: str) -> None:
    """No files, no programs, no roles, no settings of the server, no sessions of others."""
    name = house.database.name
    with connect(house.database.administrator) as other:
        statements = [
            "COPY (SELECT 1) TO PROGRAM 'cat'",
            "CREATE TEMP TABLE t (x text); COPY t FROM PROGRAM 'id'",
            "CREATE TEMP TABLE t (x text); COPY t FROM '/etc/hostname'",
            "COPY (SELECT 1) TO '/tmp/acta-test-privileges'",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT pg_read_binary_file('global/pg_control')",
            "SELECT pg_ls_dir('.')",
            "SELECT lo_import('/etc/hostname')",
            "SELECT FROM pg_authid",
            "CREATE ROLE another",
            "CREATE SCHEMA another",
            "CREATE LANGUAGE another HANDLER plpgsql_call_handler",
            f"ALTER DATABASE {name} SET session_replication_role = replica",
            f"ALTER DATABASE {name} OWNER TO CURRENT_USER",
            "ALTER ROLE CURRENT_USER SUPERUSER",
            "ALTER ROLE CURRENT_USER BYPASSRLS",
            "ALTER ROLE acta_owner LOGIN",
            "GRANT acta_owner TO CURRENT_USER",
            "GRANT pg_read_all_data TO CURRENT_USER",
            "SET ROLE acta_owner",
            "SET SESSION AUTHORIZATION acta_owner",
            "SET session_replication_role = replica",
            "SET LOCAL log_statement = 'all'",
            "SET LOCAL log_parameter_max_length = -1",
            f"SELECT pg_terminate_backend({other.info.backend_pid})",
            f"SELECT pg_cancel_backend({other.info.backend_pid})",
        ]
        if role != "acta_application":
            statements.append("SET ROLE acta_application")
        assert not_denied(house, role, statements) == []
    with connect(house.addresses[role]) as connection:
        # These go in no transaction.
        for statement in (b"ALTER SYSTEM SET fsync = off", b"CREATE DATABASE another"):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement)


def test_nobody_logs_in_as_the_owner(house: House) -> None:
    for password in ("", "acta_owner", "password"):
        address = make_conninfo(house.database.administrator, user="acta_owner", password=password)
        with pytest.raises(DatabaseUnavailable):
            connect(address)


def test_the_owner_has_no_powers_beyond_its_database(house: House) -> None:
    with connect(house.database.administrator) as administrator:
        row = administrator.execute(
            "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication,"
            " rolbypassrls, rolpassword IS NULL FROM pg_authid WHERE rolname = 'acta_owner'"
        ).fetchone()
        members = administrator.execute(
            "SELECT pg_get_userbyid(member) FROM pg_auth_members"
            " WHERE roleid = 'acta_owner'::regrole"
        ).fetchall()
    assert row == (False, False, False, False, False, False, True)
    assert members == [("acta_administrator",)]


# ---------------------------------------------------------------- what must work


def test_the_application_can_do_its_work(house: House) -> None:
    """Append, snapshot, found and rotate the vault, destroy what is due, keep read models."""
    with open_ledger(house.database.settings()) as acta:
        event = registered(acta, 2)
        acta.projector.catch_up()
        acta.projector.rebuild("account_history")
        acta.projector.catch_up()
        assert acta.vault.rotate(registration().at.date()).keys_wrapped > 0
        assert acta.store.streams([event.account])[event.account]
    with connect(house.addresses["acta_application"]) as connection:
        for relation in house.relations:
            if relation.kind != "S" and "SELECT" in may("acta_application", relation):
                connection.execute(f"SELECT FROM {relation.name}".encode())
        for name in MAY_CALL["acta_application"]:
            row = connection.execute(
                "SELECT bool_and(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc"
                " WHERE pronamespace::regnamespace || '.' || proname = %s",
                (name,),
            ).fetchone()
            assert row == (True,)


def test_an_analyst_reads_every_read_model_and_nothing_else(house: House) -> None:
    """Personal values are sealed in them, and the keys are out of reach."""
    models = [each for each in house.relations if each.schema == "projections"]
    assert len(models) > 4
    with connect(house.addresses["acta_analyst"]) as connection:
        for model in models:
            connection.execute(f"SELECT * FROM {model.name}".encode()).fetchall()


def test_a_write_without_privilege_is_told_apart_from_other_mistakes(house: House) -> None:
    """The trial itself: the owner is not denied, and a misspelt statement is no denial."""
    with connect(house.database.administrator) as administrator:
        assert "done" in (denied(administrator, "DELETE FROM ledger.events") or "")
        assert "not for want" in (denied(administrator, "DELETE FROM ledger.nothing") or "")
