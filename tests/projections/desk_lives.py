"""What happens at a support desk, written straight into the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.mail_thread import AutomaticKind, PlacementReason, RejectionReason
from domain.support_ticket import (
    Attachment,
    Channel,
    Desk,
    MessagesSplitOff,
    MessagesTakenOver,
    Participation,
    PersonCopied,
    PersonUncopied,
    RejectedTicket,
    ReopeningReason,
    RequesterKind,
    Resolution,
    TicketAssigned,
    TicketClosed,
    TicketFact,
    TicketMerged,
    TicketOpened,
    TicketReason,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketRouted,
)
from handlers.composition import Acta
from handlers.store.append import Append
from tests.handlers.store.stories import envelope
from tests.handlers.stories import BEGINNING

__all__ = ["BODY", "STAFF", "SUBJECT", "Incident", "SupportLog", "tell_of_the_desk"]

STAFF = UUID(int=40)
SUBJECT = "No puedo entrar"
BODY = "Buenos días: desde ayer no puedo entrar."
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Incident:
    """A ticket, its requester, and its first message."""

    ticket: UUID
    number: int
    requester: UUID
    message: UUID

    def fact(self, at: datetime) -> dict[str, Any]:
        """What all facts about it carry."""
        return {
            "ticket": self.ticket,
            "number": self.number,
            "person": self.requester,
            "occurred_at": at,
        }


class SupportLog:
    """Writes what happens to tickets into a ledger, as the commands would.

    Args:
        acta: the ledger.
    """

    def __init__(self, acta: Acta) -> None:
        self.acta = acta
        self._opened = 0

    def write(self, *events: TicketFact) -> None:
        """Appends facts, each to the stream of its ticket."""
        store = self.acta.store
        versions = {event.ticket: store.version(event.ticket) for event in events}
        append = Append()
        for event in events:
            append.write(event.ticket, versions[event.ticket], [event])
            versions[event.ticket] += 1
        store.append(append, envelope())

    def open(
        self,
        requester: UUID | None = None,
        *,
        at: datetime = BEGINNING,
        body: str = BODY,
        **changes: Any,
    ) -> Incident:
        """A ticket with its first message."""
        self._opened += 1
        incident = Incident(uuid4(), self._opened, requester or uuid4(), uuid4())
        opened: dict[str, Any] = {
            **incident.fact(at),
            "requester_kind": RequesterKind.CONTRACTOR,
            "desk": Desk.DOCUMENTATION_HELP_DESK,
            "reason": TicketReason.ACCESS,
            "channel": Channel.EMAIL,
            "language": "es",
            "subject": SUBJECT,
        }
        self.write(TicketOpened(**opened | changes))
        self.reply(
            incident, body, at=at, message=incident.message, placement=PlacementReason.OPENED,
            sender_name="Ana Rojas", sender_address="ana@example.com",
        )  # fmt: skip
        return incident

    def reply(
        self, to: Incident, body: str = BODY, *, at: datetime = BEGINNING, **changes: Any
    ) -> UUID:
        """A message of the requester, or of whom the changes say."""
        replied: dict[str, Any] = {
            **to.fact(at),
            "message": uuid4(),
            "sender": to.requester,
            "participation": Participation.REQUESTER,
            "internal": False,
            "channel": Channel.EMAIL,
            "placement": PlacementReason.IN_REPLY_TO,
            "body": body,
        }
        event = TicketReplied(**replied | changes)
        self.write(event)
        return event.message

    def answer(
        self, to: Incident, body: str = BODY, *, at: datetime = BEGINNING, internal: bool = False
    ) -> UUID:
        """A message of staff, or a note for staff."""
        return self.reply(
            to,
            body,
            at=at,
            sender=STAFF,
            participation=Participation.STAFF,
            internal=internal,
            placement=PlacementReason.DIRECT,
        )

    def copy(self, incident: Incident, person: UUID, *, at: datetime = BEGINNING) -> None:
        """Somebody is on the copy list."""
        fact = incident.fact(at)
        self.write(PersonCopied(**fact, copied=person, address="copia@example.com"))

    def uncopy(self, incident: Incident, person: UUID, *, at: datetime = BEGINNING) -> None:
        """Somebody is on the copy list no longer."""
        self.write(PersonUncopied(**incident.fact(at), copied=person))

    def assign(self, incident: Incident, *, at: datetime = BEGINNING) -> None:
        """A member of staff looks after it."""
        self.write(TicketAssigned(**incident.fact(at), assignee=STAFF))

    def route(self, incident: Incident, desk: Desk, *, at: datetime = BEGINNING) -> None:
        """Another desk answers."""
        former = Desk.DOCUMENTATION_HELP_DESK
        self.write(TicketRouted(**incident.fact(at), desk=desk, former_desk=former))

    def resolve(self, incident: Incident, *, at: datetime = BEGINNING) -> None:
        """It is resolved."""
        self.write(TicketResolved(**incident.fact(at), resolution=Resolution.ANSWERED))

    def reopen(self, incident: Incident, *, at: datetime = BEGINNING) -> None:
        """It is open once more."""
        self.write(TicketReopened(**incident.fact(at), reason=ReopeningReason.REPLY))

    def close(self, incident: Incident, *, at: datetime = BEGINNING) -> None:
        """It is closed for good."""
        self.write(TicketClosed(**incident.fact(at)))

    def split(
        self, source: Incident, messages: Sequence[UUID], *, at: datetime = BEGINNING
    ) -> Incident:
        """Messages go into a ticket of their own, which says where it comes from."""
        self._opened += 1
        split = Incident(uuid4(), self._opened, source.requester, messages[0])
        self.write(
            MessagesSplitOff(
                **source.fact(at),
                messages=tuple(messages),
                into_ticket=split.ticket,
                into_number=split.number,
            ),
            TicketOpened(
                **split.fact(at),
                requester_kind=RequesterKind.CONTRACTOR,
                desk=Desk.DOCUMENTATION_HELP_DESK,
                reason=TicketReason.OTHER,
                channel=Channel.EMAIL,
                language="es",
                split_from=source.ticket,
                split_from_number=source.number,
                subject="Otra cosa",
            ),
        )
        self.take_over(split, source, messages, at=at)
        return split

    def take_over(
        self,
        into: Incident,
        source: Incident,
        messages: Sequence[UUID],
        *,
        at: datetime = BEGINNING,
    ) -> None:
        """Messages that were written elsewhere belong here."""
        self.write(
            MessagesTakenOver(
                **into.fact(at),
                messages=tuple(messages),
                from_ticket=source.ticket,
                from_number=source.number,
            )
        )

    def merge(
        self,
        incident: Incident,
        into: Incident,
        messages: Sequence[UUID] | None = None,
        *,
        at: datetime = BEGINNING,
    ) -> None:
        """One ticket goes into another, which takes over its messages."""
        merged = TicketMerged(**incident.fact(at), into_ticket=into.ticket, into_number=into.number)
        self.write(merged)
        self.take_over(into, incident, messages or [incident.message], at=at)


def tell_of_the_desk(acta: Acta) -> None:
    """A few tickets, to which everything happens that can happen to one."""
    log = SupportLog(acta)
    first = log.open()
    log.assign(first)
    log.route(first, Desk.HOLDER_SUPPORT)
    log.copy(first, UUID(int=41))
    log.copy(first, UUID(int=42))
    log.uncopy(first, UUID(int=42))
    log.answer(first, at=BEGINNING + HOUR)
    log.answer(first, "Ya llamó ayer.", internal=True)
    log.reply(first, automatic=AutomaticKind.AUTO_REPLY)
    log.resolve(first)
    log.reopen(first)
    elsewhere = log.reply(
        first,
        rejected=(
            RejectedTicket(ticket=uuid4(), number=99, reason=RejectionReason.OTHER_THREAD_NEARER),
        ),
        attachments=(Attachment(sha256="0" * 64, media_type="application/pdf", size_bytes=2048),),
        attachment_names='["contrato.pdf"]',
    )
    split = log.split(first, [elsewhere])
    log.resolve(first)
    log.close(first)
    last = log.open(first.requester, follows=first.ticket, follows_number=first.number)
    log.merge(split, last)
