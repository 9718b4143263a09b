"""Answers know at least what was asked of them, or say that they do not (X4)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from threading import Thread
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from domain.account import (
    ChangeUserCode,
    ErasePerson,
    ReinstateAccount,
    Role,
    SuspendAccount,
    SuspensionReason,
)
from domain.membership import ChangeRole
from domain.plan import OpenPlan
from domain.refusal import Refused
from handlers.composition import Acta, open_ledger
from handlers.faults import (
    DatabaseUnavailable,
    DeadlinePassed,
    InvalidInput,
    PositionBeyondHead,
)
from handlers.queries import Queries
from handlers.snapshots import Knowledge, Snapshots
from projections.access import FACTS, Access, Content, access_answer
from tests.conftest import TestDatabase
from tests.handlers.outages import away
from tests.handlers.stories import (
    ANA,
    AUDITOR,
    BEGINNING,
    BRUNO,
    MANAGER,
    SCHOOL,
    Story,
)
from tests.projections.contents import contents

PATIENCE_SECONDS = 30.0
PLAN = UUID(int=5)
Question = Callable[[Queries, Knowledge], object]

QUESTIONS: dict[str, Question] = {
    "check": lambda queries, knowledge: queries.check(ANA, "content", BEGINNING, knowledge),
    "billing": lambda queries, knowledge: queries.billing(ANA, BEGINNING, knowledge),
    "study": lambda queries, knowledge: queries.study(ANA, BEGINNING, knowledge),
    "history": lambda queries, knowledge: queries.history(ANA, BEGINNING, AUDITOR, knowledge),
    "administer": lambda queries, knowledge: queries.check(
        ANA, f"plan:{PLAN}:administer", BEGINNING, knowledge
    ),
    "plan": lambda queries, knowledge: queries.plan(PLAN, BEGINNING, knowledge),
    "members": lambda queries, knowledge: queries.members(PLAN, BEGINNING, AUDITOR, knowledge),
    "invitations": lambda queries, knowledge: queries.invitations(
        PLAN, BEGINNING, AUDITOR, None, knowledge
    ),
    "imports": lambda queries, knowledge: queries.imports(PLAN, knowledge),
    "billing of a plan": lambda queries, knowledge: queries.billing(
        f"plan:{PLAN}", BEGINNING, knowledge
    ),
}
each_question = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger beside which nobody projects but the test; there is a plan."""
    story = Story(acta)
    open_a_plan(story)
    return story


def open_a_plan(story: Story) -> None:
    """An institution contracts a plan, with one event."""
    story.ask(OpenPlan(at=BEGINNING, plan=PLAN, institution=SCHOOL, seats=5), MANAGER)


def patient(position: int) -> Knowledge:
    """Has to know a position, and has the time to wait for it."""
    return Knowledge(at_least=position, deadline_seconds=PATIENCE_SECONDS)


def position_of(answer: object) -> int:
    """The position that any answer names."""
    position: int = answer.position  # type: ignore[attr-defined]
    return position


# ---------------------------------------------------------------- at least


@pytest.mark.rule("X4")
@each_question
def test_it_waits_for_a_projector_that_is_behind(story: Story, question: Question) -> None:
    """The answer comes when the position is known, and not a batch earlier."""
    story.subscriber()
    head = story.acta.store.head()
    with ThreadPoolExecutor(1) as pool:
        story.acta.projector.step(1)
        asked = pool.submit(question, story.acta.queries, patient(head))
        for position in range(2, head + 1):
            assert not asked.done()
            assert story.acta.projector.step(1) == (position, 1)
        assert position_of(asked.result(PATIENCE_SECONDS)) == head


@pytest.mark.rule("X4")
@each_question
def test_past_the_deadline_it_says_so(story: Story, question: Question) -> None:
    """And up to where it knows, instead of an answer from that."""
    member = story.register()
    story.acta.projector.catch_up()
    known = story.acta.store.head()
    receipt = story.assign_manager(member)
    with pytest.raises(DeadlinePassed) as caught:
        question(story.acta.queries, Knowledge(receipt.position, deadline_seconds=0.05))
    assert f"up to position {known}, not {receipt.position}" in caught.value.message
    assert ANA not in caught.value.message


@pytest.mark.rule("X4")
@each_question
def test_a_position_beyond_the_head_is_refused_at_once(story: Story, question: Question) -> None:
    """Nobody waits for what has not happened."""
    story.register()
    story.acta.projector.catch_up()
    beyond = story.acta.store.head() + 1
    began = monotonic()
    with pytest.raises(PositionBeyondHead) as caught:
        question(story.acta.queries, patient(beyond))
    assert monotonic() - began < PATIENCE_SECONDS / 2
    assert str(beyond) in caught.value.message


@pytest.mark.rule("X4")
def test_a_check_never_answers_from_older_knowledge(story: Story) -> None:
    """Suspended and reinstated in turns, with a projector beside: each answer has seen the last."""
    member = story.subscriber()
    projecting = Thread(target=story.acta.projector.follow)
    projecting.start()
    try:
        for turn in range(60):
            command = (SuspendAccount, ReinstateAccount)[turn % 2](
                at=BEGINNING, account=member.who, reason=SuspensionReason.OTHER
            )
            receipt = story.ask(command, MANAGER)
            answer = story.acta.queries.check(ANA, "content", BEGINNING, patient(receipt.position))
            assert answer.position >= receipt.position
            assert answer.allowed == (turn % 2 == 1)
    finally:
        story.acta.projector.stop()
        projecting.join(PATIENCE_SECONDS)


@pytest.mark.rule("X4", "I8")
def test_a_role_taken_away_is_not_answered_from_older_knowledge(story: Story) -> None:
    """Administrator and user in turns, with a projector beside: each answer has seen the last."""
    plan = story.institution()
    member = story.join(plan, ANA)
    projecting = Thread(target=story.acta.projector.follow)
    projecting.start()
    try:
        for turn in range(40):
            role = (Role.ADMINISTRATOR, Role.USER)[turn % 2]
            change = ChangeRole(at=BEGINNING, account=member.who, plan=plan.id, role=role)
            known = patient(story.ask(change, plan.director.itself).position)
            thing = f"plan:{plan.id}:administer"
            answer = story.acta.queries.check(ANA, thing, BEGINNING, known)
            members = story.acta.queries.members(plan.id, BEGINNING, member.itself, known)
            opened = members.members[0].personal["email"] is not None
            assert answer.allowed == opened == (turn % 2 == 0)
            assert min(answer.position, members.position) >= known.at_least
    finally:
        story.acta.projector.stop()
        projecting.join(PATIENCE_SECONDS)


@pytest.mark.rule("X4")
def test_the_position_of_a_refusal_is_a_token_too(story: Story) -> None:
    """It says up to where the log was known when it was decided."""
    member = story.register()
    answer = story.acta.ledger.answer(
        ReinstateAccount(at=BEGINNING, account=member.who, reason=SuspensionReason.OTHER),
        MANAGER,
        member.person,
    )
    assert isinstance(answer.refusal, Refused)
    story.acta.projector.catch_up()
    checked = story.acta.queries.check(ANA, "content", BEGINNING, patient(answer.receipt.position))
    assert checked.position == answer.receipt.position == story.acta.store.head()


@pytest.mark.rule("X4")
def test_a_rebuild_is_waited_for(story: Story) -> None:
    """What was known once is not known while its tables are empty."""
    story.subscriber()
    story.acta.projector.catch_up()
    head = story.acta.store.head()
    story.acta.projector.rebuild("access")
    with pytest.raises(DeadlinePassed):
        story.acta.queries.check(ANA, "content", BEGINNING, Knowledge(head, deadline_seconds=0))
    story.acta.projector.catch_up()
    assert story.acta.queries.check(ANA, "content", BEGINNING, Knowledge(head)).allowed


@pytest.mark.rule("X4", "G1")
def test_a_history_waits_for_the_roles_too(story: Story) -> None:
    """Whom it is opened for follows from the members, so both have to be known."""
    member = story.register()
    story.acta.projector.catch_up()
    head = story.acta.store.head()
    story.acta.projector.rebuild("institutions")
    with pytest.raises(DeadlinePassed) as caught:
        story.acta.queries.history(ANA, BEGINNING, AUDITOR, Knowledge(head, deadline_seconds=0))
    assert "institutions" in caught.value.message
    story.acta.projector.catch_up()
    assert story.acta.queries.history(ANA, BEGINNING, member.itself).position == head


@pytest.mark.rule("X4", "X3")
def test_a_rebuild_does_not_take_the_tables_from_under_an_answer(
    story: Story, database: TestDatabase
) -> None:
    """Otherwise an answer would name the old position and rest on the new, empty table."""
    story.subscriber()
    story.acta.projector.catch_up()
    queries, head = story.acta.queries, story.acta.store.head()
    with Snapshots(story.acta.database).of(Access, Knowledge(head)) as (connection, position):
        rebuilding = Thread(target=story.acta.projector.rebuild, args=("access",))
        rebuilding.start()
        _wait_for_a_waiter(database)
        account = queries._directory.account(ANA, at=BEGINNING)
        rows = connection.execute(FACTS, {"account": account, "person": None}).fetchall()
        answer = access_answer(Content(), rows, account, None, BEGINNING, position=position)
    rebuilding.join(PATIENCE_SECONDS)
    assert (answer.allowed, answer.position) == (True, head)
    assert contents(story.acta)["access_facts"] == []


def _wait_for_a_waiter(database: TestDatabase) -> None:
    with psycopg.connect(database.administrator, autocommit=True) as administrator:
        deadline = monotonic() + PATIENCE_SECONDS
        waiting = (
            "SELECT FROM pg_locks WHERE NOT granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        while administrator.execute(waiting).fetchone() is None:
            assert monotonic() < deadline, "nobody waits"
            Signal().wait(0.005)


# ---------------------------------------------------------------- with nobody projecting


@each_question
def test_where_nobody_has_projected_it_says_what_to_run(story: Story, question: Question) -> None:
    """There are no tables yet, and that is a fault with a remedy."""
    story.register()
    with pytest.raises(DeadlinePassed) as caught:
        question(story.acta.queries, Knowledge())
    assert "acta project" in caught.value.remedy


@pytest.mark.rule("X4")
@each_question
def test_beside_a_database_of_its_own_whoever_asks_projects_first(
    story: Story, question: Question
) -> None:
    """So every answer knows everything, asked for or not."""
    story.subscriber()
    acta = story.acta
    snapshots = Snapshots(acta.database, catch_up=acta.projector.catch_up)
    queries = Queries(acta.store, snapshots, modules=())
    for knowledge in (Knowledge(), Knowledge(story.acta.store.head(), deadline_seconds=0)):
        assert position_of(question(queries, knowledge)) == story.acta.store.head()


@each_question
def test_a_lost_database_is_a_fault(database: TestDatabase, question: Question) -> None:
    """Not a driver's exception."""
    settings = database.settings().model_copy(update={"connect_timeout_seconds": 1})
    with open_ledger(settings) as acta:
        Story(acta).register()
        open_a_plan(Story(acta))
        acta.projector.catch_up()
        with away(database), pytest.raises(DatabaseUnavailable):
            question(acta.queries, Knowledge())


# ---------------------------------------------------------------- who, and what


@pytest.mark.rule("X1")
@pytest.mark.parametrize(
    "thing", ["the moon", "plan", "plan:the moon:administer", f"plan:{PLAN}", f"plan:{PLAN}:open"]
)
def test_what_there_is_to_have_access_to(story: Story, thing: str) -> None:
    """Asked for another thing it names what there is."""
    story.subscriber()
    story.acta.projector.catch_up()
    with pytest.raises(InvalidInput) as caught:
        story.acta.queries.check(ANA, thing, BEGINNING)
    assert "content" in caught.value.remedy
    assert "plan:ID:administer" in caught.value.remedy
    assert "moon" not in caught.value.message


@pytest.mark.rule("S10", "S13")
def test_a_plan_s_payments_are_billed_to_the_plan(story: Story) -> None:
    """Its members' accounts have none."""
    plan = story.institution()
    story.acta.projector.catch_up()
    answer = story.acta.queries.billing(plan.who, BEGINNING)
    assert [line.kind for line in answer.lines][-2:] == ["charge", "payment"]
    assert (answer.account, answer.lines[-1].balance_minor) == (plan.id, 0)
    assert story.acta.queries.billing(plan.director.who, BEGINNING).lines == ()


def test_an_account_is_no_plan(story: Story) -> None:
    """Nor is an id that nobody knows."""
    member = story.register()
    story.acta.projector.catch_up()
    for unknown in (member.account, UUID(int=6)):
        with pytest.raises(InvalidInput) as caught:
            story.acta.queries.billing(f"plan:{unknown}", BEGINNING)
        assert "no such plan" in caught.value.message


@pytest.mark.rule("A5")
def test_an_email_means_whoever_holds_it_now(story: Story) -> None:
    """The answer names the account that it is about."""
    ana = story.register(ANA)
    story.assign_manager(ana)
    story.ask(ChangeUserCode(at=BEGINNING, account=ANA, email="anna@example.com"), MANAGER)
    other = story.register(ANA)
    story.acta.projector.catch_up()
    assert story.acta.queries.billing(ANA, BEGINNING).account == other.account
    assert story.acta.queries.billing("Anna@Example.com", BEGINNING).account == ana.account


@pytest.mark.rule("A11")
def test_after_an_erasure_only_ids_answer(story: Story) -> None:
    """And nothing personal is left in the answer."""
    member = story.register(ANA)
    story.ask(ErasePerson(at=BEGINNING, account=ANA), member.itself)
    story.acta.projector.catch_up()
    with pytest.raises(InvalidInput):
        story.acta.queries.history(ANA, BEGINNING, AUDITOR)
    for who in (member.who, f"person:{member.person}"):
        history = story.acta.queries.history(who, BEGINNING, AUDITOR)
        assert history.account == member.account
        assert {value for line in history.lines for value in line.personal.values()} == {None}


@pytest.mark.parametrize(
    "who", ["nobody@example.com", f"account:{UUID(int=1)}", f"person:{UUID(int=1)}"]
)
def test_nobody_has_no_history(story: Story, who: str) -> None:
    """An unknown name is a fault that does not repeat it."""
    story.register(BRUNO)
    story.acta.projector.catch_up()
    for ask in (
        lambda: story.acta.queries.billing(who, BEGINNING),
        lambda: story.acta.queries.study(who, BEGINNING),
        lambda: story.acta.queries.history(who, BEGINNING, AUDITOR),
    ):
        with pytest.raises(InvalidInput) as caught:
            ask()
        assert who not in caught.value.message + caught.value.remedy


def test_the_status_of_a_new_ledger(acta: Acta) -> None:
    """Nothing has happened yet."""
    status = acta.queries.status()
    assert (status.head, status.events, status.pending_erasures) == (0, 0, ())
    acta.projector.catch_up()
    assert set(acta.queries.status().positions.values()) == {0}


@pytest.mark.rule("A11")
def test_the_status_names_erasures_that_are_not_final(story: Story) -> None:
    """Copies made before can be opened until the key-encryption key is rotated."""
    member = story.register(ANA)
    story.ask(ErasePerson(at=BEGINNING, account=ANA), member.itself)
    (pending,) = story.acta.queries.status().pending_erasures
    assert (pending.person, pending.copies_readable) == (member.person, True)
    story.acta.vault.rotate(BEGINNING.date())
    assert story.acta.queries.status().pending_erasures == ()
