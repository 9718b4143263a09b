"""Study history: what a person studied, a line each time (A1).

Its own stream beside the account's, so that reading an account stays fast however much is studied.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import StringConstraints

from domain.access import ContentFacts
from domain.account import Account, known_account, refuse_unless_owner
from domain.actor import Actor
from domain.command import AccountCommand
from domain.event import EventOfAccount
from domain.obstacles import content_obstacles
from domain.refusal import Refused

ContentCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9/._-]{0,119}$")]
"""Code of a piece of content, such as ``algebra/unit-3``."""


class StudyFact(EventOfAccount, aggregate="study_history"):
    """What all facts about studying carry."""


class ContentStudied(StudyFact):
    """The person studied a piece of content (A1)."""

    content: str
    """Code of the content."""


class StudyContent(AccountCommand):
    """Leaves a line in the study history; needs access to content at that time."""

    content: ContentCode
    """Code of the content, such as algebra/unit-3."""


def study_content(
    command: StudyContent, actor: Actor, account: Account, access: ContentFacts
) -> Sequence[ContentStudied]:
    """Every study leaves a line while access holds (A1).

    Raises:
        Refused: the first rule that stands in the way of access.
    """
    known = known_account(account)
    refuse_unless_owner(actor, account)
    for obstacle in content_obstacles(access):
        raise Refused(obstacle.rule, obstacle.message, remedy=obstacle.remedy)
    return [
        ContentStudied(
            account=known.id,
            person=known.person,
            occurred_at=command.at,
            content=command.content,
        )
    ]
