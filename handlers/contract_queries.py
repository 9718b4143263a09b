"""Questions about contracts. Every answer says the position of the log up to which it knows.

An answer is degraded where it may miss what stands in a stream that the read model has parked (X6).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from psycopg import Connection

from domain.actor import Actor, ActorKind
from domain.authority import may_open
from domain.personal import Purpose
from handlers.faults import InvalidInput
from handlers.opening import Opened, all_or_none, by_id, open_lines
from handlers.snapshots import ANYTHING, Knowledge, Snapshots
from handlers.store.directory import Directory
from handlers.store.event_store import EventStore
from projections.contracts import (
    ContractLine,
    ContractRegister,
    ContractWhole,
    LinkedPersonLine,
    NamedPersonLine,
    contract_lines,
    contract_whole,
    is_linked,
    looks_after,
)
from projections.parked import is_degraded

__all__ = ["Contract", "ContractQueries", "Contracts"]

PersonLineT = TypeVar("PersonLineT", NamedPersonLine, LinkedPersonLine)


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract at an instant, whole, and its people as far as the asker may know them."""

    whole: ContractWhole
    at: datetime
    validator: Opened[NamedPersonLine] | None
    contact: Opened[NamedPersonLine] | None
    people: tuple[Opened[LinkedPersonLine], ...]
    position: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts at an instant, the first to run out first."""

    at: datetime
    contracts: tuple[ContractLine, ...]
    position: int
    degraded: bool = False


class ContractQueries:
    """Answers about contracts, in one snapshot each.

    Args:
        store: resolves e-mails and opens personal values.
        snapshots: the moments at which it looks.
    """

    def __init__(self, store: EventStore, snapshots: Snapshots) -> None:
        self._vault = store.vault
        self._directory = Directory(store)
        self._snapshots = snapshots

    def contract(
        self, contract: UUID, at: datetime, asker: Actor, knowledge: Knowledge = ANYTHING
    ) -> Contract:
        """One contract at an instant, and what each person linked still has to do (C1 to C4, C6).

        Args:
            contract: the contract.
            at: the instant; facts of a later business time are left aside.
            asker: who asks. The contract's contact may know who is linked to it, and whoever is
                linked may know the contact and the validator; both are read from the ledger (G1).
            knowledge: how much the answer has to know.

        Raises:
            InvalidInput: there was no such contract by then.
            PositionBeyondHead: the log has not reached the position asked for.
            DeadlinePassed: the position was not known in time.
            DatabaseUnavailable: the database cannot be reached.
        """
        with self._snapshots.of(ContractRegister, knowledge) as (connection, position):
            whole = contract_whole(connection, contract, at)
            if whole is None:
                raise _no_such_contract()
            asker = by_id(asker, self._directory, at)
            runs_it, works_under_it = _relations(connection, asker, contract)
            degraded = is_degraded(connection, ContractRegister)
        may_know_both = runs_it or works_under_it
        return Contract(
            whole=whole,
            at=at,
            validator=self._opened_one(whole.validator, asker, may_know=may_know_both),
            contact=self._opened_one(whole.contact, asker, may_know=may_know_both),
            people=self._opened(whole.people, asker, may_know=runs_it),
            position=position,
            degraded=degraded,
        )

    def contracts(
        self,
        at: datetime,
        *,
        in_force: bool = False,
        ending_within_days: int | None = None,
        knowledge: Knowledge = ANYTHING,
    ) -> Contracts:
        """The contracts at an instant, the first to run out first (C1, C3).

        Args:
            at: the instant; facts of a later business time are left aside.
            in_force: those in force alone.
            ending_within_days: those in force alone whose last day is at most so many days off,
                counted in days of the contract's time zone.
            knowledge: how much the answer has to know.

        Raises:
            PositionBeyondHead, DeadlinePassed, DatabaseUnavailable: as ``contract``.
        """
        with self._snapshots.of(ContractRegister, knowledge) as (connection, position):
            lines = contract_lines(
                connection, at, in_force=in_force, ending_within_days=ending_within_days
            )
            return Contracts(at, lines, position, is_degraded(connection, ContractRegister))

    def _opened_one(
        self, line: NamedPersonLine | None, asker: Actor, *, may_know: bool
    ) -> Opened[NamedPersonLine] | None:
        return None if line is None else self._opened([line], asker, may_know=may_know)[0]

    def _opened(
        self, lines: Iterable[PersonLineT], asker: Actor, *, may_know: bool
    ) -> tuple[Opened[PersonLineT], ...]:
        return open_lines(
            self._vault,
            (
                all_or_none(
                    line,
                    line.sealed,
                    may=may_open(asker, Purpose.IDENTITY, line.person, administers_owner=may_know),
                )
                for line in lines
            ),
        )


def _relations(connection: Connection, asker: Actor, contract: UUID) -> tuple[bool, bool]:
    """Whether the asker is the contact, and whether linked: never by the asker's word (G1)."""
    if asker.kind is not ActorKind.PERSON or asker.id is None:
        return False, False
    return looks_after(connection, asker.id, contract), is_linked(connection, asker.id, contract)


def _no_such_contract() -> InvalidInput:
    return InvalidInput(
        "there is no such contract at that instant",
        remedy="Check the id and --at; acta contracts lists them, and a contract that was opened"
        " just now is known with --at-least POSITION.",
    )
