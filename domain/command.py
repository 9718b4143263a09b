"""What every command carries."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from domain.identity import Who

__all__ = ["AccountCommand", "Command", "command_classes"]

_classes: dict[str, type["Command"]] = {}


def _within_the_calendar(at: datetime) -> datetime:
    if not 1900 <= at.year < 3000:  # noqa: PLR2004  the years that the message names
        raise ValueError("not a time of business; its year lies between 1900 and 2999")
    return at


class Command(BaseModel):
    """A wish, in the imperative. It becomes zero or more events, or one refusal.

    Subclasses enter the registry by their name; a class made with ``abstract=True`` does not.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    NAME: ClassVar[str]

    at: Annotated[AwareDatetime, AfterValidator(_within_the_calendar)]
    """Business time: when this is asked for, with its offset, such as 2026-03-01T09:00:00-03:00."""

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        super().__init_subclass__()
        cls.NAME = cls.__name__
        if not abstract:
            _classes[cls.NAME] = cls


class AccountCommand(Command, abstract=True):
    """A command about an account that exists."""

    account: Who
    """The account: an e-mail (whoever holds it now), person:ID or account:ID."""


def command_classes() -> dict[str, type[Command]]:
    """Every command class, by name."""
    return dict(sorted(_classes.items()))
