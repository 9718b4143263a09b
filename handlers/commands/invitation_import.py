"""Importing lists: many invitations in one transaction, each decided like a single one (I5)."""

from collections.abc import Sequence
from dataclasses import replace

from domain.actor import Actor
from domain.invitation import (
    Holder,
    InvitationSurroundings,
    Invitee,
    InviteeDetails,
    KnownInvitation,
    invitation_faults,
    invitation_sent,
    refuse_unless_may_invite,
)
from domain.invitation_import import (
    ImportedRow,
    ImportInvitations,
    InvitationImport,
    InvitationImportEvent,
    ListedRow,
    answered,
    completed,
    invitation_import_decider,
    refuse_another,
    started,
    unanswered,
)
from domain.membership import refuse_unless_administers
from handlers.commands.invitation import invitee, take_in
from handlers.commands.situation import Claimed, Situation, invited
from handlers.store.append import Append

__all__ = ["draft"]


def draft(
    command: ImportInvitations, actor: Actor, situation: Situation, *, seats_ahead: int = 0
) -> Append:
    """What a stretch of a list wants written: its invitations, and the answer to each row.

    Args:
        command: the stretch.
        actor: whoever imports.
        situation: looks up what all rows need at once.
        seats_ahead: seats that earlier stretches would have taken, where nothing is written.

    Raises:
        Refused: the plan or whoever imports stands in the way of all rows.
    """
    version, state = _load(command, situation)
    refuse_another(command, state, id_taken=version > 0 and not state.started)
    plan, asker = situation.plan(command.plan), situation.asker(actor)
    around = InvitationSurroundings(
        plan=plan.state,
        asker=asker.state,
        expires_at=situation.invitation_expires_at,
        seats_used=situation.store.counted(command.plan, command.at) + seats_ahead,
    )
    refuse_unless_may_invite(command.plan, command.at, actor, around)
    refuse_unless_administers(actor, asker.state, command.plan, rule="I1")
    assert asker.state.person is not None  # noqa: S101  whoever administers has an account
    append = Append(reads={plan.stream: plan.version, asker.stream: asker.version})
    rows = unanswered(command, state)
    stretch = Stretch(command, actor, around, append, situation)
    told = stretch.answers(rows)
    person = asker.state.person
    append.write(
        command.invitation_import,
        version,
        [*started(command, person, state), *completed(command, person, state, told)],
    )
    return append


def _load(command: ImportInvitations, situation: Situation) -> tuple[int, InvitationImport]:
    """How far the import has come; only its end needs more than the last event, for the sums."""
    stream, store = command.invitation_import, situation.store
    last = store.last_of(stream)
    if last is None:
        return 0, invitation_import_decider.initial
    recorded = store.long_stream(stream) if command.last else [last]
    state = invitation_import_decider.replay(
        entry.event for entry in recorded if isinstance(entry.event, InvitationImportEvent)
    )
    return last.version, state


class Stretch:
    """Rows that are answered together; each sees what those before it take."""

    def __init__(
        self,
        command: ImportInvitations,
        actor: Actor,
        around: InvitationSurroundings,
        append: Append,
        situation: Situation,
    ) -> None:
        self._command = command
        self._actor = actor
        self._around = around
        self._append = append
        self._situation = situation
        self._taken: set[Claimed] = set()
        self._invited = 0

    def answers(self, rows: Sequence[ListedRow]) -> list[ImportedRow]:
        """The answer to each row, in order."""
        self._look_ahead(rows)
        return [self._answer(row) for row in rows]

    def _look_ahead(self, rows: Sequence[ListedRow]) -> None:
        claims = [claimed for row in rows for claimed in self._claims(row)]
        self._situation.look_up(claims)
        self._situation.find(claims)

    def _claims(self, row: ListedRow) -> list[Claimed]:
        if row.invitee is None:
            return []
        return self._situation.claimed_by(row.invitee.email, row.invitee.rut)

    def _answer(self, row: ListedRow) -> ImportedRow:
        if row.invitee is None:
            return answered(row, self._command, [])
        around = replace(
            self._around,
            seats_used=self._around.seats_used + self._invited,
            invitee=self._invitee(row.invitee),
        )
        refusals = invitation_faults(self._command.plan, row.invitee.role, self._actor, around)
        told = answered(row, self._command, refusals)
        if told.invitation is not None and around.invitee is not None:
            known = KnownInvitation(told.invitation, self._command.plan, around.invitee.person)
            self._invite(row.invitee, known, row.row)
        return told

    def _invitee(self, details: InviteeDetails) -> Invitee:
        """What is known of the person, and what a row before has taken."""
        found = invitee(details, self._append, self._situation)
        email, rut = self._situation.claimed_by(details.email, details.rut)
        return replace(
            found,
            email=Holder.INVITATION if email in self._taken else found.email,
            rut=Holder.INVITATION if rut in self._taken else found.rut,
            invited=found.invited or invited(found.person) in self._taken,
        )

    def _invite(self, details: InviteeDetails, known: KnownInvitation, row: int) -> None:
        event = invitation_sent(
            details,
            known,
            self._command.at,
            self._around,
            invitation_import=self._command.invitation_import,
            row=row,
        )
        take_in(self._append, event, details, self._around.plan, self._situation)
        self._taken.update(self._situation.claimed_by(details.email, details.rut))
        self._taken.add(invited(known.person))
        self._invited += 1
