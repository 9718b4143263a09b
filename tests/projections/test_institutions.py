"""Institutions: plans and their seats, members, invitations and imported lists."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.account import (
    ChangeUserCode,
    ErasePerson,
    Role,
    SuspendAccount,
    SuspensionReason,
)
from domain.actor import Actor, ActorKind
from domain.event import Recorded
from domain.invitation import (
    CorrectInvitation,
    ExpireInvitation,
    InvitationSent,
    ResendInvitation,
    RevocationReason,
    RevokeInvitation,
)
from domain.membership import ChangeRole, RemoveMember
from domain.personal import Sealed
from domain.plan import ChangeSeats
from domain.subscription import EndSubscription, LapseSubscription
from handlers.composition import Acta, open_ledger
from handlers.faults import InvalidInput
from handlers.queries import OpenedInvitation, OpenedMember, Queries
from handlers.store.embedded import EmbeddedServer
from handlers.store.sealing import NotOpened
from projections.institutions import Institutions, InvitationState
from tests.conftest import new_database
from tests.handlers.stories import (
    ANA,
    AUDITOR,
    BEGINNING,
    BRUNO,
    DIRECTOR,
    MANAGER,
    SCHOOL,
    SOMEBODY,
    SYSTEM,
    Plan,
    Story,
    noon,
    rut_of,
)
from tests.projections.contents import contents
from tests.projections.institution_lives import tell_of_institutions

INSTANT = timedelta(microseconds=1)
IN_A_WEEK = BEGINNING + timedelta(days=7)
EXPIRY = BEGINNING + timedelta(days=14)
OTHER = "otro@example.com"


def queries(story: Story) -> Queries:
    """Questions to read models that know everything."""
    story.acta.projector.catch_up()
    return story.acta.queries


# ---------------------------------------------------------------- plans and seats


@pytest.mark.rule("S10")
def test_a_plan_is_shown_with_its_seats_and_who_uses_them(story: Story) -> None:
    """Members and open invitations use them."""
    plan = story.institution(seats=5)
    story.join(plan, ANA)
    story.invite(plan.id, BRUNO, by=plan.director.itself)
    answer = queries(story).plan(plan.id, BEGINNING)
    assert (answer.plan.institution, answer.plan.standing) == (SCHOOL, "active")
    assert answer.plan.paid_through == noon(2026, 4, 29).date()
    assert (answer.plan.members, answer.plan.invitations_open) == (2, 1)
    assert (answer.plan.seats, answer.plan.seats_used, answer.plan.seats_free) == (5, 3, 2)
    assert (answer.over, answer.position) == (False, story.acta.store.head())


@pytest.mark.rule("I6", "S10")
def test_an_invitation_holds_its_seat_until_it_expires(story: Story) -> None:
    """To the instant, whether or not the expiry is recorded."""
    plan = story.institution(seats=5)
    story.invite(plan.id, ANA, by=plan.director.itself)

    def used() -> list[int]:
        ask = queries(story).plan
        instants = (BEGINNING - INSTANT, BEGINNING, EXPIRY - INSTANT, EXPIRY)
        return [ask(plan.id, at).plan.seats_used for at in instants]

    before = used()
    story.ask(ExpireInvitation(at=EXPIRY + timedelta(days=1), invitation=ANA), SYSTEM)
    assert before == used() == [0, 2, 2, 1]


@pytest.mark.rule("S10")
def test_the_seats_are_those_that_the_ledger_counts(told: Acta) -> None:
    """At any instant after all that has happened, also once all invitations have expired."""
    head = told.projector.catch_up().head
    plans = _rows(told, "SELECT plan FROM projections.plans")
    assert len(plans) == 2
    for (plan,) in plans:
        for at in (noon(2026, 7, 1), noon(2026, 7, 2), noon(2026, 9, 1)):
            answer = told.queries.plan(plan, at)
            assert answer.plan.seats_used == told.store.counted(plan, at)
            assert answer.position == head


@pytest.mark.rule("S10")
def test_a_plan_that_ran_out_says_so(story: Story) -> None:
    """Whether or not the lapse is recorded; its seats may have changed."""
    plan = story.institution(seats=5)
    story.ask(ChangeSeats(at=BEGINNING, plan=plan.id, seats=8), MANAGER)
    story.ask(EndSubscription(at=BEGINNING, account=plan.who), MANAGER)
    ended = queries(story).plan(plan.id, BEGINNING)
    assert (ended.plan.standing, ended.over, ended.plan.seats) == ("ended", False, 8)
    assert queries(story).plan(plan.id, noon(2026, 5, 1)).over


def test_a_plan_that_was_never_paid_is_not_over(story: Story) -> None:
    """Its steps are to be gone through."""
    plan = story.institution(paid=False)
    answer = queries(story).plan(plan.id, noon(2027, 1, 1))
    assert (answer.plan.standing, answer.plan.paid_through, answer.over) == ("steps", None, False)


def test_a_lapse_is_recorded(story: Story) -> None:
    """And is so whatever the instant."""
    plan = story.institution()
    story.ask(LapseSubscription(at=noon(2026, 5, 1), account=plan.who), SYSTEM)
    assert queries(story).plan(plan.id, noon(2026, 5, 1)).plan.standing == "lapsed"


@pytest.mark.parametrize("ask", ["plan", "members", "invitations", "imports", "imported_rows"])
def test_there_has_to_be_such_a_plan(story: Story, ask: str) -> None:
    """An account is none, nor is anything else."""
    subscriber = story.subscriber()
    plan = story.institution()
    asked: dict[str, Any] = {
        "plan": lambda known: queries(story).plan(known, BEGINNING),
        "members": lambda known: queries(story).members(known, BEGINNING, AUDITOR),
        "invitations": lambda known: queries(story).invitations(known, BEGINNING, AUDITOR),
        "imports": lambda known: queries(story).imports(known),
        "imported_rows": lambda known: queries(story).imported_rows(known, plan.id),
    }
    for unknown in (uuid4(), subscriber.account, plan.director.account):
        with pytest.raises(InvalidInput) as caught:
            asked[ask](unknown)
        assert "no such plan" in caught.value.message
        assert str(unknown) not in caught.value.message + caught.value.remedy


# ---------------------------------------------------------------- members


def roles(story: Story, plan: Plan, at: datetime = BEGINNING) -> dict[UUID, str]:
    """The roles of a plan's members, by account."""
    answer = queries(story).members(plan.id, at, AUDITOR)
    return {member.line.account: member.line.role for member in answer.members}


@pytest.mark.rule("I8")
def test_members_are_shown_with_the_role_that_they_had_at_an_instant(story: Story) -> None:
    """A removed one is a member up to that instant, and may come back."""
    plan = story.institution()
    member = story.join(plan, ANA)
    director = plan.director
    middle, end = BEGINNING + timedelta(days=1), BEGINNING + timedelta(days=2)
    change = ChangeRole(at=middle, account=ANA, plan=plan.id, role=Role.ADMINISTRATOR)
    story.ask(change, director.itself)
    story.ask(RemoveMember(at=end, account=ANA, plan=plan.id), director.itself)
    super_administrator = {director.account: "super_administrator"}
    assert roles(story, plan, BEGINNING - INSTANT) == {}
    assert roles(story, plan, middle - INSTANT) == {**super_administrator, member.account: "user"}
    assert roles(story, plan, end - INSTANT)[member.account] == "administrator"
    assert roles(story, plan, end) == super_administrator
    story.join(plan, ANA, at=IN_A_WEEK)
    assert roles(story, plan, IN_A_WEEK)[member.account] == "user"


@pytest.mark.rule("A5")
def test_a_member_s_present_address_is_shown(story: Story) -> None:
    """Changed while a member, and before coming back; the invitation keeps what it went to."""
    plan = story.institution()
    member = story.join(plan, ANA)
    story.assign_manager(member)

    def address() -> str | None:
        answer = queries(story).members(plan.id, IN_A_WEEK, AUDITOR)
        return next(
            each.personal["email"] for each in answer.members if each.line.account == member.account
        )

    assert address() == ANA
    story.ask(ChangeUserCode(at=BEGINNING, account=ANA, email="anna@example.com"), MANAGER)
    assert address() == "anna@example.com"
    removal = RemoveMember(at=BEGINNING, account=member.who, plan=plan.id)
    story.ask(removal, plan.director.itself)
    story.ask(ChangeUserCode(at=BEGINNING, account=member.who, email=OTHER), MANAGER)
    story.join(plan, OTHER, rut=rut_of(ANA), at=IN_A_WEEK)
    assert address() == OTHER
    invited = queries(story).invitations(plan.id, IN_A_WEEK, AUDITOR).invitations
    assert ANA in [invitation.personal["email"] for invitation in invited]


@pytest.mark.rule("A10")
def test_a_suspended_member_is_marked(story: Story) -> None:
    """Whoever looks after the plan sees why somebody has no access."""
    plan = story.institution()
    member = story.join(plan, ANA)
    reason = SuspensionReason.MISUSE
    story.ask(SuspendAccount(at=BEGINNING, account=member.who, reason=reason), MANAGER)
    answer = queries(story).members(plan.id, BEGINNING, AUDITOR)
    assert [each.line.suspended for each in answer.members] == [False, True]


# ---------------------------------------------------------------- personal values


WHOLE = {
    "given_name": "Carla",
    "paternal_surname": "Soto",
    "maternal_surname": "Vera",
    "phone": "+56961234567",
}


@pytest.mark.rule("G1", "I1")
def test_an_administrator_opens_who_is_a_member_and_who_is_invited(story: Story) -> None:
    """By the ledger; and so do staff, but no other member and no other plan's administrator."""
    plan, foreign = story.institution(), story.institution(OTHER)
    member = story.join(plan, ANA)
    helper = story.join(plan, "ayudante@example.com", role=Role.ADMINISTRATOR)
    story.invite(plan.id, BRUNO, by=helper.itself)
    ask = queries(story)

    def read(asker: Actor) -> tuple[list[str | None], list[str | None]]:
        members = ask.members(plan.id, BEGINNING, asker)
        invited = ask.invitations(plan.id, BEGINNING, asker, InvitationState.OPEN)
        lines: list[OpenedMember | OpenedInvitation] = [*members.members, *invited.invitations]
        for each in lines:
            opened = {name: value for name, value in each.personal.items() if value is not None}
            assert opened.keys() | each.sealed == each.personal.keys()
            assert not opened or WHOLE.items() <= opened.items()
        return (
            [each.personal["email"] for each in members.members],
            [each.personal["email"] for each in invited.invitations],
        )

    everything = ([DIRECTOR, ANA, "ayudante@example.com"], [BRUNO])
    nothing = ([None, None, None], [None])
    for allowed in (plan.director.itself, helper.itself, AUDITOR, MANAGER):
        assert read(allowed) == everything
    for other in (foreign.director.itself, SYSTEM, SOMEBODY):
        assert read(other) == nothing
    assert read(member.itself) == ([None, ANA, None], [None])
    lying = Actor(kind=ActorKind.PERSON, id=plan.director.account)
    assert read(lying) == nothing


@pytest.mark.rule("G1", "I8")
def test_who_administers_no_longer_opens_no_longer(story: Story) -> None:
    """Made a user, or removed."""
    plan = story.institution()
    helper = story.join(plan, ANA, role=Role.ADMINISTRATOR)
    director = plan.director.itself

    def opens() -> bool:
        answer = queries(story).members(plan.id, BEGINNING, helper.itself)
        return answer.members[0].personal["email"] is not None

    told = [opens()]
    for role in (Role.USER, Role.ADMINISTRATOR):
        change = ChangeRole(at=BEGINNING, account=helper.who, plan=plan.id, role=role)
        story.ask(change, director)
        told.append(opens())
    story.ask(RemoveMember(at=BEGINNING, account=helper.who, plan=plan.id), director)
    assert [*told, opens()] == [True, False, True, False]


@pytest.mark.rule("A11")
def test_the_erased_are_unreadable_for_everybody(story: Story) -> None:
    """A member, and somebody who was only invited: open to the asker, and yet nothing there."""
    plan = story.institution()
    member = story.join(plan, ANA)
    story.invite(plan.id, BRUNO, by=plan.director.itself)
    story.ask(ErasePerson(at=IN_A_WEEK, account=ANA), member.itself)
    story.ask(ErasePerson(at=IN_A_WEEK, account=BRUNO), MANAGER)
    invitations = queries(story).invitations(plan.id, IN_A_WEEK, AUDITOR).invitations
    states = {each.line.state: each for each in invitations if each.line.role == "user"}
    for state in ("accepted", "revoked"):
        assert set(states[state].personal.values()) == {None}
        assert states[state].sealed == frozenset()
    assert states["revoked"].line.revoked_because == "erasure"
    earlier = queries(story).members(plan.id, BEGINNING, AUDITOR).members
    assert set(earlier[1].personal.values()) == {None}
    assert len(queries(story).members(plan.id, IN_A_WEEK, AUDITOR).members) == 1


@pytest.mark.rule("G1")
def test_a_value_that_was_put_beside_another_person_does_not_open(story: Story) -> None:
    """Each opens for its own event alone, so nobody reads one person's data as another's."""
    plan = story.institution()
    member = story.join(plan, ANA)
    ask = queries(story)
    with story.acta.database.connection() as connection:
        connection.execute(
            "UPDATE projections.member_identities SET sealed ="
            " (SELECT sealed FROM projections.member_identities WHERE account = %s)"
            " WHERE account = %s",
            (plan.director.account, member.account),
        )
    with pytest.raises(NotOpened):
        ask.members(plan.id, BEGINNING, AUDITOR)
    sealed = ask.members(plan.id, BEGINNING, SYSTEM).members
    assert {value for each in sealed for value in each.personal.values()} == {None}


# ---------------------------------------------------------------- invitations


def invitations(
    story: Story, plan: Plan, at: datetime, state: InvitationState | None = None
) -> dict[UUID, OpenedInvitation]:
    """Those of a plan, by id."""
    answer = queries(story).invitations(plan.id, at, AUDITOR, state)
    return {each.line.invitation: each for each in answer.invitations}


@pytest.mark.rule("I6", "I7")
def test_an_invitation_is_shown_as_it_is_at_an_instant(story: Story) -> None:
    """Open until it is accepted, revoked or expired; later facts are left aside."""
    plan = story.institution()
    director = plan.director.itself
    accepted, revoked, left = (
        story.invite(plan.id, email, by=director) for email in (ANA, BRUNO, OTHER)
    )
    member = story.accept(ANA, at=IN_A_WEEK)
    reason = RevocationReason.MISTAKE
    story.ask(RevokeInvitation(at=IN_A_WEEK, invitation=BRUNO, reason=reason), director)
    assert set(invitations(story, plan, BEGINNING - INSTANT)) == set()
    before = invitations(story, plan, IN_A_WEEK - INSTANT, InvitationState.OPEN)
    assert set(before) == {accepted, revoked, left}
    assert before[accepted].line.account is None
    now = invitations(story, plan, IN_A_WEEK)
    assert {now[known].line.state for known in (accepted, revoked, left)} == {
        "accepted", "revoked", "open",
    }  # fmt: skip
    assert now[accepted].line.account == member.account
    assert now[revoked].line.revoked_because == "mistake"
    assert set(invitations(story, plan, EXPIRY, InvitationState.EXPIRED)) == {left}


@pytest.mark.rule("I6")
def test_sent_again_it_expires_later(story: Story) -> None:
    """Corrected likewise, and shown with the address that it goes to now."""
    plan = story.institution()
    director = plan.director.itself
    again, corrected = (story.invite(plan.id, email, by=director) for email in (ANA, BRUNO))
    story.ask(ResendInvitation(at=IN_A_WEEK, invitation=ANA), director)
    story.ask(CorrectInvitation(at=IN_A_WEEK, invitation=BRUNO, email=OTHER), director)
    told = invitations(story, plan, EXPIRY)
    for known in (again, corrected):
        line = told[known].line
        assert (line.state, line.sent_at, line.last_sent_at) == ("open", BEGINNING, IN_A_WEEK)
        assert line.expires_at == IN_A_WEEK + timedelta(days=14)
    assert (told[again].personal["email"], told[corrected].personal["email"]) == (ANA, OTHER)
    assert told[corrected].personal["given_name"] == "Carla"


# ---------------------------------------------------------------- imported lists


@pytest.mark.rule("I5")
def test_every_row_of_a_list_has_its_answer(story: Story) -> None:
    """In order, with all its faults; what it became is found among the invitations."""
    plan = story.institution()
    first = [ANA, None, DIRECTOR]
    known_as = story.import_list(plan, first, last=False)
    (running,) = queries(story).imports(plan.id).imports
    assert (running.completed_at, running.invited, running.refused) == (None, 1, 1)
    story.import_list(plan, [BRUNO], invitation_import=known_as, first_row=5, at=IN_A_WEEK)
    (line,) = queries(story).imports(plan.id).imports
    assert (line.invited, line.refused, line.faulty) == (2, 1, 1)
    assert (line.started_at, line.completed_at) == (BEGINNING, IN_A_WEEK)
    assert (line.person, line.invitation_import) == (plan.director.person, known_as)
    rows = queries(story).imported_rows(plan.id, known_as).rows
    assert [(row.row, row.outcome) for row in rows] == [
        (2, "invited"), (3, "faulty"), (4, "refused"), (5, "invited"),
    ]  # fmt: skip
    assert [(fault.rule, fault.column) for fault in rows[1].faults] == [("I2", "email")]
    assert [fault.rule for fault in rows[2].faults] == ["I3", "I3"]
    told = invitations(story, plan, IN_A_WEEK)
    for row in (rows[0], rows[3]):
        assert row.invitation is not None
        line_of_row = told[row.invitation].line
        assert (line_of_row.invitation_import, line_of_row.row) == (known_as, row.row)


def test_an_import_belongs_to_one_plan(story: Story) -> None:
    """Its rows are not shown through another."""
    plan, other = story.institution(), story.institution(OTHER)
    known_as = story.import_list(plan, [ANA])
    assert queries(story).imports(other.id).imports == ()
    for unknown in (known_as, uuid4()):
        with pytest.raises(InvalidInput) as caught:
            queries(story).imported_rows(other.id, unknown)
        assert "no such import" in caught.value.message


# ---------------------------------------------------------------- the tables themselves


@pytest.fixture(scope="module")
def told(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acta]:
    """A ledger with the lives of two institutions in it, its read models up to date."""
    with (
        new_database(server, tmp_path_factory.mktemp("institutions") / "keys") as database,
        open_ledger(database.settings()) as acta,
    ):
        tell_of_institutions(Story(acta))
        acta.projector.catch_up()
        yield acta


def held(acta: Acta) -> dict[str, list[str]]:
    """What the tables of the read model hold."""
    everything = contents(acta)
    return {table.name: everything[table.name] for table in Institutions.tables}


def test_everything_happened_in_those_lives(told: Acta) -> None:
    """Or what follows would show less than it says."""
    assert all(held(told).values())
    states = _rows(told, "SELECT DISTINCT state FROM projections.plan_invitations ORDER BY 1")
    assert [state for (state,) in states] == ["accepted", "expired", "revoked", "sent"]
    left = _rows(told, "SELECT DISTINCT left_because FROM projections.plan_members ORDER BY 1")
    assert [reason for (reason,) in left] == ["account_closed", "removed", None]


@given(portions=st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_wherever_a_batch_ends_the_tables_are_the_same(told: Acta, portions: list[int]) -> None:
    """Portions of any size, the rest in one."""
    expected = held(told)
    told.projector.rebuild(Institutions.name)
    for portion in portions:
        told.projector.step(portion)
    told.projector.catch_up()
    assert held(told) == expected


def test_one_event_at_a_time_gives_the_same(told: Acta) -> None:
    """The smallest portions of all."""
    expected = held(told)
    told.projector.rebuild(Institutions.name)
    while told.projector.step(1)[1]:
        pass
    assert held(told) == expected


class CountingCursor(psycopg.Cursor[Any]):
    """Counts the statements that are run through it."""

    statements = 0

    def execute(self, *arguments: Any, **options: Any) -> "CountingCursor":
        type(self).statements += 1
        return super().execute(*arguments, **options)


@pytest.mark.rule("I5")
def test_ten_thousand_invitations_take_as_many_statements_as_ten(told: Acta) -> None:
    """None is run for one row alone."""

    def statements(invitations_sent: int) -> int:
        sent = _sent(invitations_sent)
        with told.database.connection() as connection, connection.transaction(force_rollback=True):
            # As the projector does: making ten thousand rows may take a slow machine a while.
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = '1min'")
            connection.cursor_factory = CountingCursor
            before = CountingCursor.statements
            Institutions().apply(sent, connection)
            counted = connection.execute(
                "SELECT count(*) FROM projections.plan_invitations WHERE plan = %s", (NEW_PLAN,)
            )
            assert counted.fetchone() == (invitations_sent,)
            connection.cursor_factory = psycopg.Cursor
            return CountingCursor.statements - before

    assert statements(10_000) == statements(10) < 10


NEW_PLAN = UUID(int=77)


def _sent(number: int) -> Sequence[Recorded]:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    sealed = Sealed(b"sealed")
    return [
        Recorded(
            position=1_000_000 + place,
            stream=UUID(int=place),
            version=1,
            event_id=UUID(int=place),
            recorded_at=at,
            actor=SYSTEM,
            command_id=None,
            correlation_id=None,
            causation_id=None,
            event=InvitationSent(
                invitation=UUID(int=place), plan=NEW_PLAN, person=UUID(int=place),
                occurred_at=at, role=Role.USER, expires_at=at, language="es",
                given_name=sealed, paternal_surname=sealed, maternal_surname=sealed,
                rut=sealed, email=sealed, phone=sealed,
            ),
        )
        for place in range(1, number + 1)
    ]  # fmt: skip


def test_the_tables_name_nobody(told: Acta) -> None:
    """Personal values are in them as sealed as in the log."""
    text = "".join(row for rows in held(told).values() for row in rows).lower()
    assert "invited" in text
    for word in ("example.com", "carla", "soto", "961234567"):
        assert word not in text


def _rows(acta: Acta, query: str) -> list[tuple[Any, ...]]:
    with acta.database.connection() as connection:
        return connection.execute(query.encode()).fetchall()
