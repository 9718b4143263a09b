"""Study histories: a line for each study (A1)."""

from datetime import timedelta

import pytest

from domain.study_history import StudyContent
from tests.handlers.stories import ANA, BEGINNING, BRUNO, Story


@pytest.mark.rule("A1")
def test_every_study_leaves_a_line(story: Story) -> None:
    """In the order of the log, with what was studied and when; the same content again too."""
    member = story.subscriber()
    times = [BEGINNING + timedelta(hours=hours) for hours in (2, 1, 3)]
    receipts = [
        story.study(member, content, at=at)
        for content, at in zip(["algebra/1", "algebra/2", "algebra/1"], times, strict=True)
    ]
    story.acta.projector.catch_up()
    answer = story.acta.queries.study(ANA, BEGINNING)
    assert (answer.account, answer.position) == (member.account, receipts[-1].position)
    assert [(line.content, line.studied_at) for line in answer.lines] == [
        ("algebra/1", times[0]),
        ("algebra/2", times[1]),
        ("algebra/1", times[2]),
    ]
    assert [(line.position, line.event_id) for line in answer.lines] == [
        (receipt.events[0].position, receipt.events[0].event_id) for receipt in receipts
    ]


@pytest.mark.rule("A1", "S3")
def test_a_refused_study_leaves_none(story: Story) -> None:
    """Nothing was studied without access."""
    member = story.about_to_pay()
    story.refusal(StudyContent(at=BEGINNING, account=ANA, content="algebra/1"), member.itself)
    story.acta.projector.catch_up()
    assert story.acta.queries.study(ANA, BEGINNING).lines == ()


@pytest.mark.rule("A1")
def test_each_person_has_their_own(story: Story) -> None:
    """And it outlives the account's closing."""
    ana, bruno = story.subscriber(ANA), story.subscriber(BRUNO)
    story.study(ana, "algebra/1")
    story.study(bruno, "algebra/2")
    story.close(ana)
    story.acta.projector.catch_up()
    (line,) = story.acta.queries.study(ana.who, BEGINNING).lines
    assert line.content == "algebra/1"
