"""Access checks: one statement each, whose rows are weighed into a yes or the rules in the way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import Cursor
from psycopg.errors import UndefinedColumn, UndefinedTable

from domain.obstacles import in_doubt
from handlers.faults import InvalidInput
from handlers.snapshots import ANYTHING, Knowledge, Snapshots
from handlers.store.database import Database, reachable
from handlers.store.directory import Directory
from projections.access import (
    FACTS,
    Access,
    AccessAnswer,
    Evidence,
    Module,
    Row,
    Thing,
    access_answer,
    parse_thing,
    streams_of,
)
from projections.parked import ParkedStream, parked_among

__all__ = ["KNOWN", "OF_ACCOUNT", "Checks"]


class Checks:
    """Answers access checks, each from what there was at one moment (X1 to X4, X6).

    Args:
        database: in the application's role.
        directory: makes digests of e-mails.
        snapshots: how to wait for what an answer has to know.
        modules: names of the modules that there are (C4).
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        snapshots: Snapshots,
        modules: Sequence[str],
    ) -> None:
        self._database = database
        self._directory = directory
        self._snapshots = snapshots
        self._modules = modules

    def check(
        self, who: str, thing: str, at: datetime, knowledge: Knowledge = ANYTHING
    ) -> AccessAnswer:
        """Whether somebody has access to a thing at an instant.

        Args:
            who: an e-mail, ``person:ID`` or ``account:ID``.
            thing: ``content``, ``module:NAME``, or ``plan:ID:administer``.
            at: the instant.
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there is no such thing.
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        wanted, question = self._thing(thing), self._question(who, at)
        self._snapshots.catch_up()
        found = self._known(question, knowledge)
        if found.any_parked:
            return self._despite_parked(wanted, question, at, knowledge)
        return found.answer(wanted, at)

    def _known(self, question: "_Question", knowledge: Knowledge) -> "_Found":
        """What is found once the read model knows enough."""
        deadline = monotonic() + knowledge.deadline_seconds
        try:
            found = self._look(question)
        except (UndefinedTable, UndefinedColumn):
            # No projector of this version has made them yet.
            found = _Found(position=_NOTHING, any_parked=False)
        while found.position < knowledge.at_least:
            # Somebody may begin to rebuild it just then; it is waited for anew.
            self._snapshots.wait_for(Access, knowledge, deadline)
            found = self._look(question)
        return found

    def _look(self, question: "_Question") -> "_Found":
        """What is found at one moment.

        One statement sees one moment, the position and the tables that it is of: the server locks
        the tables first, and then takes the snapshot that the statement runs with. A rebuild,
        which makes them anew together with the position, waits for it or has been waited for.
        """
        with reachable(), self._database.connection() as connection:
            return _found(connection.reading, question)

    def _despite_parked(
        self, wanted: Thing, question: "_Question", at: datetime, knowledge: Knowledge
    ) -> AccessAnswer:
        """An answer while streams are parked: no, where it could rest on one of them (X6)."""
        with self._snapshots.of(Access, knowledge) as (connection, _):
            found = _found(connection.cursor(binary=True), question)
            parked = parked_among(
                connection,
                Access,
                streams=streams_of(wanted, found.facts, found.account, found.person, at),
                subjects=[each for each in (found.account, found.person) if each is not None],
            )
        answer = found.answer(wanted, at)
        return _in_doubt(answer, parked) if parked else answer

    def _thing(self, text: str) -> Thing:
        try:
            thing = parse_thing(text)
        except ValueError:
            thing = None
        if thing is None or (isinstance(thing, Module) and thing.name not in self._modules):
            modules = [f"module:{name}" for name in self._modules]
            raise InvalidInput(
                "there is no such thing to have access to",
                remedy=f"Ask for: {', '.join(['content', *modules])}, or plan:ID:administer.",
            )
        return thing

    def _question(self, who: str, at: datetime) -> "_Question":
        kind, _, rest = who.partition(":")
        match kind:
            case "account":
                return _Question(OF_ACCOUNT, {**KNOWN, "who": UUID(rest)})
            case "person":
                return _Question(_OF_PERSON, {**KNOWN, "who": UUID(rest)})
            case _:
                digest = self._directory.email_digest(who)
                return _Question(_OF_EMAIL, {**KNOWN, "who": digest, "at": at})


class _Question(NamedTuple):
    """The statement for one way of meaning somebody, and its parameters."""

    statement: LiteralString
    parameters: dict[str, object]


class _Found(NamedTuple):
    """Whom a question means, and the facts that answer it, all of one moment.

    Attributes:
        position: up to which the facts are known; ``_NOTHING`` before the read model is there.
        any_parked: streams are parked, perhaps some that the answer could rest on.
        facts: as ``FACTS`` gives them.
    """

    position: int
    any_parked: bool
    account: UUID | None = None
    person: UUID | None = None
    facts: Sequence[Row] = ()

    def answer(self, thing: Thing, at: datetime) -> AccessAnswer:
        return access_answer(
            thing, self.facts, self.account, self.person, at, position=self.position
        )


def _found(cursor: Cursor, question: _Question) -> _Found:
    rows = cursor.execute(question.statement, question.parameters, prepare=True).fetchall()
    first_fact, position, any_parked, account, person = rows[0][0], *rows[0][-_HEADER_COLUMNS:]
    return _Found(position, any_parked, account, person, () if first_fact is None else rows)


def _in_doubt(answer: AccessAnswer, parked: Sequence[ParkedStream]) -> AccessAnswer:
    """The answer, no in any case, resting also on the events that could not be applied."""
    not_applied = {Evidence(each.position, each.event_id, each.topic) for each in parked}
    evidence = sorted({*answer.evidence, *not_applied}, key=lambda event: event.position)
    return replace(answer, obstacles=in_doubt(answer.obstacles), evidence=tuple(evidence))


# ---------------------------------------------------------------- the statements

_NOTHING = -1
_HEADER_COLUMNS = 4
KNOWN = {"projection": Access.name, "version": Access.version}

# The header stands behind each fact, and where there is none it stands alone.
_STATEMENT: LiteralString = """
WITH meant AS ({meant}),
header AS (
    SELECT COALESCE((SELECT position FROM projections.positions
                     WHERE name = %(projection)s AND version = %(version)s), -1),
           EXISTS (SELECT FROM projections.parked WHERE projection = %(projection)s),
           (SELECT account FROM meant), (SELECT person FROM meant)
),
facts AS ({facts})
SELECT facts.*, header.* FROM header LEFT JOIN facts ON true ORDER BY facts.position
"""


def _statement(meant: LiteralString) -> LiteralString:
    """The statement for whom ``meant`` finds by ``who``: an account and a person, or no row."""
    facts = FACTS.replace("%(account)s", "(SELECT account FROM meant)")
    facts = facts.replace("%(person)s", "(SELECT person FROM meant)")
    # Sorted once, around it.
    return _STATEMENT.format(meant=meant, facts=facts.removesuffix("    ORDER BY position\n"))


OF_ACCOUNT = _statement("""
    SELECT account, person FROM ledger.person_accounts WHERE account = %(who)s
""")
"""The one statement of a check by account; parameters ``who`` and those of ``KNOWN``."""
_OF_PERSON = _statement("""
    SELECT (SELECT account FROM ledger.person_accounts WHERE person = %(who)s
            ORDER BY opened DESC LIMIT 1) AS account,
           %(who)s::uuid AS person
""")
# As in the directory: whoever holds it, an account or an open invitation, or else had it last.
_OF_EMAIL = _statement("""
    SELECT (SELECT account FROM ledger.person_accounts WHERE account = held.holder) AS account,
           COALESCE(held.person, (SELECT person FROM vault.people
                                  WHERE kind = 'email' AND digest = %(who)s)) AS person
    FROM (VALUES (1)) AS anybody
    LEFT JOIN ledger.claims AS held
        ON kind = 'email' AND digest = %(who)s AND (ends_at IS NULL OR ends_at > %(at)s)
""")
