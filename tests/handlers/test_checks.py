"""A check answers from one moment, waits for what it has to know, and is no while in doubt."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event as Signal
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.account import ErasePerson
from domain.contract import FillRole, LinkRisk
from domain.contract_link import DownloadInformationDocument, MarkInformationDocumentAsRead
from handlers.commands.situation import subscription_of
from handlers.composition import Acta, open_ledger
from handlers.faults import DeadlinePassed, InvalidInput
from handlers.settings import Settings
from handlers.snapshots import Knowledge
from handlers.store.directory import Directory
from projections.access import Access, AccessAnswer
from tests.conftest import TestDatabase
from tests.handlers.stories import ANA, BEGINNING, BRUNO, Member, Story
from tests.handlers.test_contracts import LATER, link, publishing, sign
from tests.handlers.test_parking import append_unreadable, skip

CARLA = "carla@example.com"
MODULE = "module:documentation"
PATIENCE_SECONDS = 60.0
REBUILDS = 15
INVITATION_OVER = BEGINNING + timedelta(days=15)


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)


def check(story: Story, who: str, thing: str = "content") -> AccessAnswer:
    """The answer once all is known."""
    story.acta.projector.catch_up()
    return story.acta.queries.check(who, thing, LATER if thing == MODULE else BEGINNING)


def rules(answer: AccessAnswer) -> list[str]:
    """The rules in the way."""
    return [obstacle.rule for obstacle in answer.obstacles]


# ---------------------------------------------------------------- who, and what


@pytest.mark.rule("X1", "X3")
def test_somebody_is_meant_by_an_email_a_person_or_an_account(story: Story) -> None:
    """The answer is the same, and says what it rests on."""
    member = story.subscriber()
    answers = [check(story, who) for who in (ANA, "Ana@Example.com", member.who, person(member))]
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0].account, answers[0].person) == (member.account, member.person)
    assert answers[0].allowed
    assert answers[0].position == story.acta.store.head()
    assert [event.topic for event in answers[0].evidence] == [
        "account.UserRegistered.v1",
        "subscription.PaymentCaptured.v1",
    ]


def person(member: Member) -> str:
    """Names the person."""
    return f"person:{member.person}"


@pytest.mark.rule("X1", "A3", "A11")
@pytest.mark.parametrize("at", [BEGINNING, INVITATION_OVER])
def test_whom_a_check_means_the_directory_means(story: Story, at: datetime) -> None:
    """Members, the invited before and after an expiry, the erased, those who came back, nobody."""
    plan = story.institution()
    story.invite(plan.id, BRUNO, by=plan.director.itself)
    erased, gone = story.register(ANA), story.register(CARLA)
    story.ask(ErasePerson(at=BEGINNING, account=ANA), erased.itself)
    story.close(gone)
    back = story.register(CARLA)
    names = [BRUNO, ANA, CARLA, "nobody@example.com"]
    names += [each.who for each in (plan.director, erased, gone, back)]
    names += [person(each) for each in (plan.director, erased, gone, back)]
    names += [f"account:{uuid4()}", f"person:{uuid4()}"]
    story.acta.projector.catch_up()
    directory = Directory(story.acta.store)
    for who in names:
        answer = story.acta.queries.check(who, "content", at)
        meant = (directory.account(who, at=at), directory.person(who, at=at))
        assert (answer.account, answer.person) == meant, who


@pytest.mark.rule("X1", "C4")
def test_modules_are_named_in_the_settings(story: Story, database: TestDatabase) -> None:
    """Asked for another it names those that there are."""
    story.acta.projector.catch_up()
    with pytest.raises(InvalidInput) as caught:
        story.acta.queries.check(ANA, "module:moon", BEGINNING)
    assert "content, module:documentation, or plan:ID:administer" in caught.value.remedy
    settings = database.settings().model_copy(update={"modules": ("moon",)})
    with open_ledger(settings) as acta:
        assert not acta.queries.check(ANA, "module:moon", BEGINNING).allowed
        with pytest.raises(InvalidInput):
            acta.queries.check(ANA, MODULE, BEGINNING)


@pytest.mark.parametrize("listed", ["training,documentation", '["training", "documentation"]'])
def test_modules_are_listed_with_commas_or_as_json(
    listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As whoever writes the environment prefers."""
    monkeypatch.setenv("ACTA_MODULES", listed)
    assert Settings().modules == ("training", "documentation")


# ---------------------------------------------------------------- a module


@pytest.mark.rule("X2", "X3", "C2", "C4")
def test_a_module_opens_step_by_step(story: Story) -> None:
    """Each step clears the rule that was in the way, until the answer is yes."""
    story.register(BRUNO)
    assert rules(check(story, BRUNO, MODULE)) == ["C2"]
    contract = sign(story)
    ana, document = link(story, contract), uuid4()
    story.ask(publishing(contract, document), contract.contact)
    about: dict[str, Any] = {"at": LATER, "contract": contract.id}
    done: dict[str, Any] = {**about, "account": ana.who, "document": document, "version": 1}
    steps: list[Callable[[], object]] = [
        lambda: story.ask(DownloadInformationDocument(**done), ana.itself),
        lambda: story.ask(MarkInformationDocumentAsRead(**done), ana.itself),
        lambda: story.ask(LinkRisk(**about, risk="height"), ana.itself),
        lambda: story.ask(
            FillRole(**about, role="supervisor", account=ana.who), ana.itself
        ),
    ]  # fmt: skip
    for obstacles, step in zip([3, 3, 2, 1], steps, strict=True):
        answer = check(story, ANA, MODULE)
        assert rules(answer) == ["C4"] * obstacles
        assert all(obstacle.remedy and obstacle.contact for obstacle in answer.obstacles)
        assert {obstacle.contract for obstacle in answer.obstacles} <= {contract.id}
        step()
    answer = check(story, ANA, MODULE)
    assert answer.allowed
    assert "contract.RoleFilled.v1" in {event.topic for event in answer.evidence}


# ---------------------------------------------------------------- one moment


@pytest.mark.rule("X3", "X4")
def test_a_rebuild_is_never_seen_half_done(story: Story) -> None:
    """Rebuilt over and over beside: no answer names a position whose facts it does not have."""
    member = story.subscriber()
    story.acta.projector.catch_up()
    head, done = story.acta.store.head(), Signal()

    def rebuild() -> None:
        try:
            for _ in range(REBUILDS):
                story.acta.projector.rebuild("access")
                while story.acta.projector.step(5)[0] < head:
                    pass
        finally:
            done.set()

    rebuilding = Thread(target=rebuild)
    rebuilding.start()
    while not done.is_set():
        answer = story.acta.queries.check(member.who, "content", BEGINNING)
        assert answer.allowed == (answer.position == head)
        sure = Knowledge(head, deadline_seconds=PATIENCE_SECONDS)
        assert story.acta.queries.check(ANA, "content", BEGINNING, sure).allowed
    rebuilding.join(PATIENCE_SECONDS)


@pytest.mark.rule("X4")
def test_tables_of_another_version_answer_nothing(story: Story, database: TestDatabase) -> None:
    """They were made by a program that reads the log otherwise."""
    story.subscriber()
    story.acta.projector.catch_up()
    with psycopg.connect(database.administrator, autocommit=True) as administrator:
        administrator.execute(
            "UPDATE projections.positions SET version = version + 1 WHERE name = 'access'"
        )
    with pytest.raises(DeadlinePassed) as caught:
        story.acta.queries.check(ANA, "content", BEGINNING)
    assert "acta project" in caught.value.remedy


# ---------------------------------------------------------------- in doubt


@pytest.mark.rule("X6", "X2", "X3")
@pytest.mark.parametrize(
    "stream_of", [lambda account: account, subscription_of], ids=["account", "subscription"]
)
def test_in_doubt_it_is_no(story: Story, stream_of: Callable[[UUID], UUID]) -> None:
    """It says why, and nobody else notices; once the event is skipped, nothing is in doubt."""
    member = story.subscriber()
    story.subscriber(BRUNO)
    stream = stream_of(member.account)
    position = append_unreadable(story.acta, stream)
    answer = check(story, ANA)
    assert not answer.allowed
    assert rules(answer) == ["X6"]
    assert "specialist technician" in answer.obstacles[0].contact
    assert answer.evidence[-1].position == position
    assert answer.evidence[-1].topic == "account.MoonLanded.v1"
    assert check(story, BRUNO).allowed
    skip(story, Access, stream, position)
    assert check(story, ANA).allowed


@pytest.mark.rule("X6", "S10")
def test_a_plan_in_doubt_is_no_for_its_members(story: Story) -> None:
    """For all of them and for nobody else; the other rules in the way stand behind."""
    plan = story.institution()
    story.join(plan, ANA)
    other = story.institution("otra@example.com")
    story.join(other, BRUNO)
    append_unreadable(story.acta, plan.id, "subscription.MoonLanded.v1")
    assert rules(check(story, ANA)) == ["X6"]
    assert rules(check(story, plan.director.who)) == ["X6"]
    assert check(story, BRUNO).allowed
    assert check(story, plan.director.who, f"plan:{plan.id}:administer").allowed
    assert rules(check(story, ANA, f"plan:{plan.id}:administer")) == ["I1"]


@pytest.mark.rule("X6", "C4")
def test_a_contract_in_doubt_is_no_for_its_people(story: Story) -> None:
    """For its modules, in front of what else is in the way; a contract beside is not in doubt."""
    doubtful, clear = sign(story), sign(story, contact_email="otro@example.com")
    link(story, doubtful)
    link(story, clear, BRUNO)
    append_unreadable(story.acta, doubtful.id, "contract.MoonLanded.v1")
    assert rules(check(story, ANA, MODULE)) == ["X6", "C4", "C4"]
    assert rules(check(story, BRUNO, MODULE)) == ["C4", "C4"]
    assert "X6" not in rules(check(story, ANA))
