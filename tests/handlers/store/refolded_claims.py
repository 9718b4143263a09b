"""What is held and counted, in the database and as the log alone tells it (decision 8)."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.account import (
    AccountClosed,
    MemberRemoved,
    PersonErased,
    RoleAssigned,
    UserCodeChanged,
    UserRegistered,
)
from domain.contract import ContactNamed, ValidatorNamed
from domain.event import Recorded
from domain.identity import email_key, phone_key, rut_key
from domain.invitation import (
    InvitationAccepted,
    InvitationCorrected,
    InvitationExpired,
    InvitationRevoked,
    InvitationSent,
    InvitationSentAgain,
    InviteeErased,
)
from domain.personal import Sealed
from domain.subscription import SeatsChanged, SubscriptionKind, SubscriptionStarted
from domain.support_ticket import (
    PersonCopied,
    TicketClosed,
    TicketFact,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
)
from handlers.commands.situation import TICKET_NUMBERS, administrators_of, named_by, writes_from
from handlers.commands.support_ticket import mail_claim, message_of, tickets_of
from handlers.composition import Acta
from handlers.store.mapper import to_recorded

__all__ = ["Held", "held_by_log", "held_in_database", "whole_log"]

LOG_EVENTS_MAX = 1_000_000


@dataclass(slots=True)
class Held:
    """Who holds what.

    Attributes:
        claims: by kind and digest: holder, person, end.
        counted: by counter and holder: person, end.
        accounts: every account there has been, with its person.
        numbers: by counter and number: the stream that bears it.
    """

    claims: dict[tuple[str, bytes], tuple[UUID, UUID, datetime | None]] = field(
        default_factory=dict[tuple[str, bytes], tuple[UUID, UUID, datetime | None]]
    )
    counted: dict[tuple[UUID, UUID], tuple[UUID, datetime | None]] = field(
        default_factory=dict[tuple[UUID, UUID], tuple[UUID, datetime | None]]
    )
    accounts: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    numbers: dict[tuple[str, int], UUID] = field(default_factory=dict[tuple[str, int], UUID])

    def used(self, counter: UUID, at: datetime) -> int:
        """How many places of a counter are taken at an instant."""
        return sum(
            of == counter and (ends_at is None or at < ends_at)
            for (of, _), (_, ends_at) in self.counted.items()
        )


def held_in_database(acta: Acta) -> Held:
    """What the tables say."""
    with acta.database.connection() as connection:
        claims = connection.execute(
            "SELECT kind, digest, holder, person, ends_at FROM ledger.claims"
        ).fetchall()
        counted = connection.execute(
            "SELECT counter, holder, person, ends_at FROM ledger.counted_claims"
        ).fetchall()
        accounts = connection.execute(
            "SELECT account, person FROM ledger.person_accounts"
        ).fetchall()
        numbers = connection.execute(
            "SELECT counter, number, holder FROM ledger.numbers"
        ).fetchall()
    return Held(
        {(kind, bytes(digest)): (holder, *rest) for kind, digest, holder, *rest in claims},
        {(counter, holder): (person, ends_at) for counter, holder, person, ends_at in counted},
        dict(accounts),
        {(counter, number): holder for counter, number, holder in numbers},
    )


def held_by_log(acta: Acta) -> Held:
    """What the facts say, from the first to the last.

    Raises:
        AssertionError: by the log two held one thing, or more seats were taken than there are.
    """
    refolding = Refolding(acta)
    for recorded in whole_log(acta):
        refolding.tell(recorded)
    return refolding.held


def whole_log(acta: Acta) -> list[Recorded]:
    """Every event, in the order of the positions."""
    rows = acta.store.batch(after=0, limit=LOG_EVENTS_MAX)
    return [recorded for row in rows if (recorded := to_recorded(row)) is not None]


class Refolding:
    """Tells again what each fact takes and frees.

    Args:
        acta: opens what is sealed, to know its digest.
    """

    def __init__(self, acta: Acta) -> None:
        self.held = Held()
        self._vault = acta.vault
        self._seats: dict[UUID, int] = {}

    def tell(self, recorded: Recorded) -> None:
        """One more fact."""
        match recorded.event:
            case UserRegistered() as event:
                self.held.accounts[event.account] = event.person
                self._take(recorded, "person", event.person.bytes, event.account)
                self._take_sealed(recorded, "email", event.email, event.account)
                self._take_sealed(recorded, "rut", event.rut, event.account)
            case UserCodeChanged() as event:
                self._free(event.account, "email")
                self._take_sealed(recorded, "email", event.email, event.account)
            case RoleAssigned() as event:
                self._assign(event)
            case MemberRemoved() as event:
                self.held.counted.pop((event.plan, event.account), None)
                self.held.counted.pop((administrators_of(event.plan), event.account), None)
            case AccountClosed() as event:
                self._free(event.account)
            case PersonErased() | InviteeErased() as event:
                self._forget(event.person)
            case SubscriptionStarted() as event if event.kind is SubscriptionKind.PLAN:
                self._seats[event.subscription] = event.seats or 0
            case SeatsChanged() as event:
                self._seats[event.subscription] = event.seats
                self._fits(event.subscription, event.occurred_at)
            case ContactNamed() as event:
                self._name(recorded, event.contact)
            case ValidatorNamed() as event:
                self._name(recorded, event.validator)
            case TicketFact():
                self._tell_of_ticket(recorded, recorded.event)
            case _:
                self._tell_of_invitation(recorded)

    def _name(self, recorded: Recorded, person: UUID) -> None:
        """By the e-mail, or else the phone; whoever held it before is named by nothing."""
        for kind in ("email", "phone"):
            digest = self._digest(recorded, kind, getattr(recorded.event, kind))
            if digest is not None:
                claimed = named_by((kind, digest))
                holder, _, _ = self.held.claims.get(claimed, (person, None, None))
                if holder != person:
                    self._free(holder, claimed[0])
                self.held.claims[claimed] = (person, person, None)
                return

    def _tell_of_invitation(self, recorded: Recorded) -> None:
        match recorded.event:
            case InvitationSent() as event:
                ends_at = event.expires_at
                holder = event.invitation
                self._take(recorded, "invitation", event.person.bytes, holder, ends_at)
                for kind, sealed in (("email", event.email), ("rut", event.rut)):
                    if not self._is_own(kind, self._digest(recorded, kind, sealed), event.person):
                        self._take_sealed(recorded, kind, sealed, holder, ends_at)
                self.held.counted[event.plan, holder] = (event.person, ends_at)
                self._fits(event.plan, event.occurred_at)
            case InvitationSentAgain() as event:
                self._hold_longer(event)
            case InvitationCorrected() as event:
                self._free(event.invitation, "email")
                self._hold_longer(event)
                self._take_sealed(
                    recorded, "email", event.email, event.invitation, event.expires_at
                )
            case InvitationRevoked() | InvitationExpired() | InvitationAccepted() as event:
                self._free(event.invitation)
                self.held.counted.pop((event.plan, event.invitation), None)
            case _:
                pass

    def _tell_of_ticket(self, recorded: Recorded, event: TicketFact) -> None:
        open_ticket = (tickets_of(event.person), event.ticket)
        match event:
            case TicketOpened():
                numbers = [n for counter, n in self.held.numbers if counter == TICKET_NUMBERS]
                assert event.number == max(numbers, default=0) + 1, "numbers have no gap"
                self.held.numbers[TICKET_NUMBERS, event.number] = event.ticket
                self.held.counted[open_ticket] = (event.person, None)
            case TicketReopened():
                self.held.counted[open_ticket] = (event.person, None)
            case TicketResolved() | TicketClosed() | TicketMerged():
                self.held.counted.pop(open_ticket, None)
            case TicketReplied():
                message = message_of(event.message)
                assert message not in self.held.claims, "two messages have one id"
                self.held.claims[message] = (event.ticket, event.ticket, None)
                if event.mail is not None:
                    self.held.claims.setdefault(
                        mail_claim(event.mail), (event.ticket, event.ticket, None)
                    )
                self._write_from(recorded, "sender_address", event.sender)
            case PersonCopied():
                self._write_from(recorded, "address", event.copied)
            case _:
                pass

    def _write_from(self, recorded: Recorded, field: str, person: UUID) -> None:
        """Whoever held the address before is found by none any more."""
        sealed = getattr(recorded.event, field)
        opened = isinstance(sealed, Sealed) and self._vault.open(
            sealed, event_id=recorded.event_id, field=field
        )
        if opened:
            claimed = writes_from(("email", self._vault.digest("email", email_key(opened))))
            holder, _, _ = self.held.claims.get(claimed, (person, None, None))
            if holder != person:
                self._free(holder, claimed[0])
            self.held.claims[claimed] = (person, person, None)

    def _assign(self, event: RoleAssigned) -> None:
        self.held.counted[event.plan, event.account] = (event.person, None)
        administering = (administrators_of(event.plan), event.account)
        if event.role.administers:
            self.held.counted[administering] = (event.person, None)
        else:
            self.held.counted.pop(administering, None)
        self._fits(event.plan, event.occurred_at)

    def _hold_longer(self, event: InvitationSentAgain | InvitationCorrected) -> None:
        for claimed, (holder, person, _) in self.held.claims.items():
            if holder == event.invitation:
                self.held.claims[claimed] = (holder, person, event.expires_at)
        self.held.counted[event.plan, event.invitation] = (event.person, event.expires_at)
        self._fits(event.plan, event.occurred_at)

    def _is_own(self, kind: str, digest: bytes | None, person: UUID) -> bool:
        """A former member's own account goes on holding its e-mail and RUT (A12)."""
        holder, held_for, _ = self.held.claims.get((kind, digest or b""), (None, None, None))
        return holder in self.held.accounts and held_for == person

    def _take(
        self,
        recorded: Recorded,
        kind: str,
        digest: bytes,
        holder: UUID,
        ends_at: datetime | None = None,
    ) -> None:
        before, _, until = self.held.claims.get((kind, digest), (holder, None, None))
        passed = until is not None and until <= recorded.event.occurred_at
        assert before == holder or passed, f"two hold one {kind} at {recorded.position}"
        self.held.claims[kind, digest] = (holder, recorded.event.person, ends_at)

    def _take_sealed(
        self,
        recorded: Recorded,
        kind: str,
        value: object,
        holder: UUID,
        ends_at: datetime | None = None,
    ) -> None:
        digest = self._digest(recorded, kind, value)
        if digest is not None:
            self._take(recorded, kind, digest, holder, ends_at)

    def _digest(self, recorded: Recorded, kind: str, value: object) -> bytes | None:
        """None for the erased, who hold nothing at the end of the log."""
        if not isinstance(value, Sealed):
            return None
        clear = self._vault.open(value, event_id=recorded.event_id, field=kind)
        if clear is None:
            return None
        keys = {"email": email_key, "rut": rut_key, "phone": phone_key}
        return self._vault.digest(kind, keys[kind](clear))

    def _free(self, holder: UUID, kind: str | None = None) -> None:
        for claimed, (held_by, _, _) in list(self.held.claims.items()):
            if held_by == holder and kind in (None, claimed[0]):
                del self.held.claims[claimed]

    def _forget(self, person: UUID) -> None:
        for claimed, (_, held_for, _) in list(self.held.claims.items()):
            if held_for == person:
                del self.held.claims[claimed]
        for place, (held_for, _) in list(self.held.counted.items()):
            if held_for == person:
                del self.held.counted[place]

    def _fits(self, plan: UUID, at: datetime) -> None:
        # Accepting frees the seat of the invitation and takes one for the account.
        assert self.held.used(plan, at) <= self._seats[plan], f"more members than seats in {plan}"
