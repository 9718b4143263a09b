"""The lives of two institutions, in which everything happens that the ledger knows of."""

from datetime import timedelta

from domain.account import (
    ChangeUserCode,
    ErasePerson,
    ReinstateAccount,
    Role,
    SuspendAccount,
    SuspensionReason,
)
from domain.invitation import (
    CorrectInvitation,
    ExpireInvitation,
    RemindInvitation,
    ResendInvitation,
    RevocationReason,
    RevokeInvitation,
)
from domain.membership import ChangeRole, RemoveMember
from domain.plan import ChangeSeats
from domain.subscription import (
    EndSubscription,
    LapseSubscription,
    ReactivateSubscription,
    ResumeSubscription,
    StartSubscription,
)
from tests.handlers.stories import BEGINNING, MANAGER, SYSTEM, Plan, Story, noon

__all__ = ["tell_of_institutions"]

A_MONTH_LATER = BEGINNING + timedelta(days=30)


def tell_of_institutions(story: Story) -> Plan:
    """Both of them; the first is the one where most happens."""
    plan = story.institution("rectora@example.com", seats=60)
    _members_come_and_go(story, plan)
    _invitations_end(story, plan)
    _lists_are_imported(story, plan)
    _a_plan_runs_out(story)
    return plan


def _members_come_and_go(story: Story, plan: Plan) -> None:
    director = plan.director.itself
    names = ("ines", "jorge", "karen", "luis")
    ines, jorge, karen, luis = (story.join(plan, f"{name}@colegio.example.com") for name in names)
    for role in (Role.ADMINISTRATOR, Role.USER, Role.ADMINISTRATOR):
        change = ChangeRole(at=BEGINNING, account=ines.who, plan=plan.id, role=role)
        story.ask(change, director)
    story.assign_manager(jorge)
    moved = ChangeUserCode(at=BEGINNING, account=jorge.who, email="jorge.b@colegio.example.com")
    story.ask(moved, MANAGER)
    for suspension in (SuspendAccount, ReinstateAccount, SuspendAccount):
        reason = SuspensionReason.SECURITY
        story.ask(suspension(at=BEGINNING, account=jorge.who, reason=reason), MANAGER)
    story.ask(ErasePerson(at=A_MONTH_LATER, account=karen.who), karen.itself)
    story.ask(RemoveMember(at=BEGINNING, account=luis.who, plan=plan.id), director)
    again = story.join(plan, "luis@colegio.example.com", at=A_MONTH_LATER)
    assert again.account == luis.account
    story.ask(RemoveMember(at=A_MONTH_LATER, account=luis.who, plan=plan.id), director)
    story.make_ready(luis, at=A_MONTH_LATER)
    story.ask(StartSubscription(at=A_MONTH_LATER, account=luis.who), luis.itself)
    story.close(ines, at=A_MONTH_LATER)


def _invitations_end(story: Story, plan: Plan) -> None:
    director = plan.director.itself
    for name in ("maria", "nora", "oscar", "pedro", "quena", "raul"):
        story.invite(plan.id, f"{name}@colegio.example.com", by=director)
    mistake = RevocationReason.MISTAKE
    for command, actor in (
        (RevokeInvitation(at=BEGINNING, invitation=_of("maria"), reason=mistake), director),
        (CorrectInvitation(at=BEGINNING, invitation=_of("nora"), email=_of("norma")), director),
        (ResendInvitation(at=BEGINNING + timedelta(days=9), invitation=_of("oscar")), director),
        (ErasePerson(at=BEGINNING, account=_of("pedro")), MANAGER),
        (RemindInvitation(at=BEGINNING + timedelta(days=7), invitation=_of("quena")), SYSTEM),
        (ExpireInvitation(at=A_MONTH_LATER, invitation=_of("quena")), SYSTEM),
    ):
        story.ask(command, actor)
    # Whoever is invited anew takes over what expired; and one is left that nobody recorded.
    story.invite(plan.id, _of("raul"), by=director, at=A_MONTH_LATER)
    story.invite(plan.id, _of("sonia"), by=director)


def _of(name: str) -> str:
    return f"{name}@colegio.example.com"


def _lists_are_imported(story: Story, plan: Plan) -> None:
    at = A_MONTH_LATER
    rows = [_of(f"alumna-{number}") for number in range(12)]
    first = story.import_list(plan, [*rows, None, rows[0]], last=False, at=at)
    more = [None, _of("alumna-12"), "rectora@example.com"]
    story.import_list(plan, more, invitation_import=first, first_row=16, at=at)
    story.import_list(plan, [_of("alumna-1")], last=False, at=at)
    for number in range(5):
        story.accept(_of(f"alumna-{number}"), at=at)


def _a_plan_runs_out(story: Story) -> None:
    plan = story.institution("decana@example.com", seats=3, at=BEGINNING)
    story.ask(ChangeSeats(at=BEGINNING, plan=plan.id, seats=4), MANAGER)
    story.ask(EndSubscription(at=BEGINNING, account=plan.who), MANAGER)
    story.ask(ResumeSubscription(at=BEGINNING, account=plan.who), MANAGER)
    later = noon(2026, 7, 1)
    story.ask(LapseSubscription(at=later, account=plan.who), SYSTEM)
    story.ask(ReactivateSubscription(at=later, account=plan.who), MANAGER)
    story.pay_for(plan, at=later)
