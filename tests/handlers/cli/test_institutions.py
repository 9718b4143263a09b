"""``acta plan``, ``members``, ``invitations`` and ``imports``; and plans in the other answers."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.account import ErasePerson, SuspendAccount, SuspensionReason
from domain.invitation import InviteMember, RevocationReason, RevokeInvitation
from handlers.composition import Acta
from tests.handlers.cli.conftest import Terminal
from tests.handlers.stories import (
    ANA,
    BEGINNING,
    BRUNO,
    DIRECTOR,
    MANAGER,
    SCHOOL,
    Member,
    Plan,
    Story,
    invitee,
    rut_of,
)

AT = ["--at", BEGINNING.isoformat()]
EXPIRY = (BEGINNING + timedelta(days=14)).isoformat()
ERASER = ["--actor", f"account_manager:{MANAGER.id}", *AT, "--yes"]


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to the database that the terminal's settings name."""
    return Story(acta)


@pytest.fixture
def plan(story: Story) -> Plan:
    """A school with its director, a member, and somebody who is invited."""
    plan = story.institution(seats=5)
    story.join(plan, ANA)
    story.invite(plan.id, BRUNO, by=plan.director.itself)
    story.acta.projector.catch_up()
    return plan


def as_(member: Member) -> list[str]:
    """Asked by a person, whom the terminal vouches for."""
    return ["--actor", f"person:{member.person}"]


# ---------------------------------------------------------------- plan


@pytest.mark.rule("S10")
def test_a_plan_is_shown_with_its_seats(terminal: Terminal, plan: Plan) -> None:
    for name in (plan.id, plan.who, f" {plan.who} "):
        ended = terminal("plan", name, *AT)
        assert (ended.status, ended.err) == (0, "")
        assert f"institution: {SCHOOL}" in ended.out
        assert "standing: active\npaid through: 2026-04-29\n" in ended.out
        assert "seats: 5, 3 used (2 by members, 1 by open invitations), 2 free" in ended.out
    told = terminal("plan", plan.id, *AT, "--json").json
    assert list(told) == [
        "plan", "institution_id", "institution", "seats", "standing", "paid_through",
        "grace_until", "time_zone", "opened_at", "members", "invitations_open", "seats_used",
        "seats_free", "over", "at", "position", "degraded",
    ]  # fmt: skip
    assert (told["seats_used"], told["seats_free"], told["over"]) == (3, 2, False)
    assert terminal("plan", plan.id, "--at", EXPIRY, "--json").json["seats_used"] == 2


def test_a_plan_that_has_run_out_says_so(terminal: Terminal, plan: Plan) -> None:
    ended = terminal("plan", plan.id, "--at", "2026-06-01T12:00:00-04:00")
    assert "standing: active, and run out" in ended.out


# ---------------------------------------------------------------- members


@pytest.mark.rule("G1")
def test_members_are_open_to_an_administrator_and_sealed_for_others(
    terminal: Terminal, plan: Plan
) -> None:
    shown = terminal("members", plan.id, *AT, *as_(plan.director)).out
    for value in ("super_administrator", f"email: {DIRECTOR}", f"email: {ANA}", rut_of(ANA)):
        assert value in shown
    by_email = ["--actor", f"person:{DIRECTOR}"]
    assert terminal("members", plan.id, *AT, *by_email).out == shown
    seen_by_ana = terminal("members", plan.id, *AT, "--actor", f"person:{ANA}").out
    assert f"email: {ANA}" in seen_by_ana
    assert DIRECTOR not in seen_by_ana
    sealed = terminal("members", plan.id, *AT).out
    fields = "given_name, paternal_surname, maternal_surname, email, phone, rut"
    assert f"sealed: {fields}" in sealed
    assert ANA not in sealed
    told = terminal("members", plan.id, *AT, *as_(plan.director), "--json").json
    assert list(told) == ["plan", "at", "members", "position", "degraded"]
    director, member = told["members"]
    assert list(director) == [
        "account", "person", "role", "member_since", "since", "suspended", "personal",
    ]  # fmt: skip
    assert (director["role"], member["role"]) == ("super_administrator", "user")
    assert member["personal"]["email"] == {"state": "open", "value": ANA}
    told = terminal("members", plan.id, *AT, "--json").json
    assert told["members"][1]["personal"]["email"] == {"state": "sealed", "value": None}


@pytest.mark.rule("A10", "A11")
def test_suspended_and_erased_members(terminal: Terminal, story: Story, plan: Plan) -> None:
    """A suspended one is marked; an erased one was a member, and nobody can say who."""
    bruno = story.accept(BRUNO)
    reason = SuspensionReason.MISUSE
    story.ask(SuspendAccount(at=BEGINNING, account=BRUNO, reason=reason), MANAGER)
    later = BEGINNING + timedelta(days=1)
    story.ask(ErasePerson(at=later, account=BRUNO), MANAGER)
    story.acta.projector.catch_up()
    shown = terminal("members", plan.id, *AT, "--actor", "auditor").out
    (line,) = [line for line in shown.splitlines() if str(bruno.account) in line]
    assert "user (suspended)" in line
    assert "erased: given_name" in line
    after = terminal("members", plan.id, "--at", later.isoformat(), "--json").json
    assert str(bruno.account) not in [member["account"] for member in after["members"]]


# ---------------------------------------------------------------- invitations


@pytest.mark.rule("I6", "G1")
def test_invitations_are_shown_by_state(terminal: Terminal, story: Story, plan: Plan) -> None:
    reason = RevocationReason.NO_LONGER_NEEDED
    story.invite(plan.id, "c@example.com", by=plan.director.itself)
    revoking = RevokeInvitation(at=BEGINNING, invitation="c@example.com", reason=reason)
    story.ask(revoking, plan.director.itself)
    story.acta.projector.catch_up()

    def emails(state: str, at: str = BEGINNING.isoformat()) -> list[str]:
        asked = ["--state", state, "--at", at, "--actor", "auditor", "--json"]
        told = terminal("invitations", plan.id, *asked).json
        assert list(told) == ["plan", "at", "invitations", "position", "degraded"]
        return [each["personal"]["email"]["value"] for each in told["invitations"]]

    assert emails("open") == [BRUNO]
    assert sorted(emails("accepted")) == [ANA, DIRECTOR]
    assert emails("revoked") == ["c@example.com"]
    assert (emails("expired"), emails("expired", EXPIRY)) == ([], [BRUNO])
    shown = terminal("invitations", plan.id, *AT, *as_(plan.director)).out
    for value in ("revoked: no_longer_needed", BRUNO, rut_of(BRUNO), "2026-02-14 16:00:00"):
        assert value in shown
    sealed = terminal("invitations", plan.id, *AT).out
    assert "sealed: given_name, paternal_surname, maternal_surname, rut, email, phone" in sealed
    assert BRUNO not in sealed


# ---------------------------------------------------------------- imported lists


@pytest.mark.rule("I5")
def test_imports_are_shown_with_their_rows(terminal: Terminal, story: Story, plan: Plan) -> None:
    known_as = story.import_list(plan, ["c@example.com", None, ANA])
    story.acta.projector.catch_up()
    shown = terminal("imports", plan.id).said
    assert f"{known_as} 2026-01-31 16:00:00 2026-01-31 16:00:00 1 1 1" in shown
    told = terminal("imports", plan.id, "--json").json
    assert list(told) == ["plan", "imports", "position", "degraded"]
    assert [line["invitation_import"] for line in told["imports"]] == [str(known_as)]
    rows = terminal("imports", plan.id, "--rows", known_as).said
    assert "3 faulty I2 email: is missing" in rows
    assert "4 refused I3: the e-mail has an account; I3: the RUT has an account" in rows
    told = terminal("imports", plan.id, "--rows", known_as, "--json").json
    assert list(told) == ["plan", "invitation_import", "rows", "position", "degraded"]
    assert [row["outcome"] for row in told["rows"]] == ["invited", "faulty", "refused"]
    assert list(told["rows"][1]["faults"][0]) == ["rule", "column", "message", "remedy"]


# ---------------------------------------------------------------- plans in other answers


@pytest.mark.rule("X1", "I1")
def test_a_check_of_administration(terminal: Terminal, plan: Plan) -> None:
    thing = f"{plan.who}:administer"
    yes = terminal("check", DIRECTOR, thing, *AT)
    assert (yes.status, yes.out.startswith(f"yes: {thing}")) == (0, True)
    no = terminal("check", ANA, thing, *AT, "--json")
    assert no.status == 1
    assert [obstacle["rule"] for obstacle in no.json["obstacles"]] == ["I1"]


@pytest.mark.rule("X2", "I9")
@pytest.mark.usefixtures("plan")
def test_a_check_of_whoever_is_invited(terminal: Terminal) -> None:
    ended = terminal("check", BRUNO, "content", *AT, "--json")
    assert (ended.status, ended.json["account"]) == (1, None)
    assert [obstacle["rule"] for obstacle in ended.json["obstacles"]] == ["I9"]


@pytest.mark.rule("X2")
@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "an invitation is open"), ("es", "hay una invitación"), ("pt", "hay una invitación")],
)
def test_whoever_is_invited_is_told_in_the_language_of_the_invitation(
    terminal: Terminal, story: Story, plan: Plan, language: str, said: str
) -> None:
    """Spanish where there are no texts in it."""
    wish = InviteMember(
        at=BEGINNING, plan=plan.id, invitation=uuid4(), **invitee("eva@example.com").model_dump()
    )
    story.ask(wish.model_copy(update={"language": language}), plan.director.itself)
    story.acta.projector.catch_up()
    told = terminal("check", "eva@example.com", "content", *AT, "--json").json
    assert told["obstacles"][0]["message"].startswith(said)


@pytest.mark.rule("S10", "S13")
def test_billing_and_history_of_a_plan(terminal: Terminal, plan: Plan) -> None:
    assert "paid through: 29 Apr 2026\nowed: nothing" in terminal("billing", plan.who).out
    assert f"Opened a plan of 5 seat(s) for {SCHOOL}" in terminal("history", plan.who).out
    assert terminal("study", plan.who).status == 2


@pytest.mark.rule("G1")
def test_an_administrator_reads_a_member_s_history(terminal: Terminal, plan: Plan) -> None:
    assert f"email: {ANA}" in terminal("history", ANA, *as_(plan.director)).out
    told = terminal("history", DIRECTOR, *as_(plan.director), "--json").json
    assert told["lines"][0]["personal"]["email"] == {"state": "open", "value": DIRECTOR}


@pytest.mark.rule("A11")
def test_whoever_was_only_invited_can_be_erased(
    terminal: Terminal, story: Story, plan: Plan
) -> None:
    """Without an account there is none to name; the person's id alone answers from then on."""
    ended = terminal("erase", BRUNO, *ERASER, "--json")
    assert ended.status == 0
    erased = ended.json
    assert list(erased) == ["account", "person", "tax_data_readable_until", "position", "id"]
    assert (erased["account"], erased["tax_data_readable_until"]) == (None, None)
    story.acta.projector.catch_up()
    shown = terminal("invitations", plan.id, *AT, "--state", "revoked", "--actor", "auditor").out
    assert "revoked: erasure" in shown
    assert "erased: given_name" in shown
    again = terminal("erase", f"person:{erased['person']}", *ERASER)
    assert (again.status, "refused by A11" in again.err) == (1, True)


@pytest.mark.rule("A11")
@pytest.mark.usefixtures("plan")
def test_an_erasure_of_whoever_was_only_invited_asks_first(terminal: Terminal) -> None:
    arguments = [argument for argument in ERASER if argument != "--yes"]
    with terminal.start("erase", BRUNO, *arguments) as process:
        out, err = process.communicate("yes\n")
    assert process.returncode == 0
    assert "who has no account" in err
    assert "account:" not in out
    assert "person:" in out


# ---------------------------------------------------------------- bad input

ASKED: dict[str, Callable[[object], list[object]]] = {
    "plan": lambda plan: ["plan", plan],
    "members": lambda plan: ["members", plan],
    "invitations": lambda plan: ["invitations", plan],
    "imports": lambda plan: ["imports", plan],
    "rows": lambda plan: ["imports", plan, "--rows", UUID(int=1)],
    "billing": lambda plan: ["billing", f"plan:{plan}"],
    "history": lambda plan: ["history", f"plan:{plan}"],
}
each_question = pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())


@each_question
def test_an_unknown_plan_is_a_fault(
    shared_terminal: Terminal, asked: Callable[[object], list[object]]
) -> None:
    ended = shared_terminal(*asked(UUID(int=1)))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("acta: there is no such plan\n")


@each_question
@pytest.mark.parametrize("plan", ["the-plan", "1234"])
def test_what_is_no_id_is_a_fault(
    shared_terminal: Terminal, asked: Callable[[object], list[object]], plan: str
) -> None:
    ended = shared_terminal(*asked(plan))
    assert (ended.status, ended.out) == (2, "")
    assert "PLAN: the id is not a UUID" in ended.err
    assert plan not in ended.err


def test_an_unknown_import_is_a_fault(terminal: Terminal, plan: Plan) -> None:
    ended = terminal("imports", plan.id, "--rows", plan.id)
    assert (ended.status, "no such import" in ended.err) == (2, True)
    assert "--rows: the id is not a UUID" in terminal("imports", plan.id, "--rows", "x").err


def test_a_state_that_there_is_not_is_a_fault(shared_terminal: Terminal) -> None:
    ended = shared_terminal("invitations", UUID(int=1), "--state", "lost")
    assert (ended.status, ended.out) == (2, "")
    assert "open" in ended.err


@pytest.mark.rule("X4")
def test_a_position_is_waited_for(terminal: Terminal, story: Story, plan: Plan) -> None:
    """Or, past the deadline, it is said that it is not known."""
    story.join(plan, "c@example.com")
    head = story.acta.store.head()
    for asked in (["plan"], ["members"], ["invitations"], ["imports"]):
        ended = terminal(*asked, plan.id, "--at-least", head, "--deadline", 0)
        assert (ended.status, f"not {head}" in ended.err) == (2, True)
    story.acta.projector.catch_up()
    told = terminal("members", plan.id, *AT, "--at-least", head, "--json").json
    assert (len(told["members"]), told["position"]) == (3, head)
