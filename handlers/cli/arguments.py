"""What commands take: instants, actors, and whom somebody means."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from domain.actor import Actor
    from handlers.snapshots import Knowledge

__all__ = [
    "A_CENTURY_DAYS", "DEADLINE_SECONDS", "AsJson", "Asker", "At", "AtLeast", "Deadline",
    "PlanMeant", "WhoMeant", "WhoPaysMeant", "knowledge", "parse_instant", "read_actor",
    "read_address", "read_id", "read_instant", "read_plan", "read_who", "read_who_pays",
]  # fmt: skip

DEADLINE_SECONDS = 5.0
A_CENTURY_DAYS = 36_500
PORT_MAX = 65_535

WhoMeant = Annotated[
    str,
    typer.Argument(
        metavar="WHO", help="An e-mail (whoever holds it now), person:ID or account:ID."
    ),
]
WhoPaysMeant = Annotated[
    str,
    typer.Argument(
        metavar="WHO", help="An e-mail (whoever holds it now), person:ID, account:ID or plan:ID."
    ),
]
PlanMeant = Annotated[
    str, typer.Argument(metavar="PLAN", help="An institutional plan, by its id or plan:ID.")
]
Asker = Annotated[
    str,
    typer.Option(
        "--actor",
        metavar="KIND[:ID]",
        help="Who asks, a person also by e-mail; personal values are opened for whom rule G1"
        " allows, such as auditor.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, on stdout.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="INSTANT",
        help="The instant, such as 2026-03-01T09:00:00-03:00; now where none is given.",
    ),
]
AtLeast = Annotated[
    int,
    typer.Option(
        "--at-least",
        metavar="POSITION",
        min=0,
        help="A position that the answer has to know, such as that of a receipt.",
        show_default=False,
    ),
]
Deadline = Annotated[
    float, typer.Option("--deadline", metavar="SECONDS", min=0, help="How long to wait for it.")
]

INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII
)
INSTANT_FORM = "write it such as 2026-03-01T09:00:00-03:00"
FIRST_YEAR, LAST_YEAR = 1900, 2999


def parse_instant(text: object) -> datetime:
    """An instant in ISO 8601 with its offset.

    Raises:
        ValueError: it is none; the message says why and what mends it, with a semicolon between.
    """
    if not isinstance(text, str) or not INSTANT.fullmatch(text):
        raise ValueError(f"not an instant with its offset; {INSTANT_FORM}")
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(
            f"no such date or time; {INSTANT_FORM}, a day and a time that exist"
        ) from None
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(
            f"not a time of business; its year lies between {FIRST_YEAR} and {LAST_YEAR}"
        )
    return instant


def read_instant(text: str | None, *, option: str = "--at") -> datetime:
    """The instant of ``--at``, or of another option; now where none is given.

    Raises:
        InvalidInput: it is none.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        return parse_instant(text)
    except ValueError as error:
        raise _unreadable(option, error) from None


def read_who(text: str) -> str:
    """Whom somebody means, in the spelling that the ledger knows.

    Raises:
        InvalidInput: it means nobody.
    """
    return _read_who(text, "an e-mail address, person:ID or account:ID")


def read_who_pays(text: str) -> str:
    """As ``read_who``; or an institutional plan.

    Raises:
        InvalidInput: it means nobody.
    """
    if text.strip().startswith("plan:"):
        return f"plan:{read_plan(text)}"
    return _read_who(text, "an e-mail address, person:ID, account:ID or plan:ID")


def read_plan(text: str) -> UUID:
    """An institutional plan, given by its id or as ``plan:ID``.

    Raises:
        InvalidInput: it is no id.
    """
    return read_id("PLAN", text.strip().removeprefix("plan:"))


def read_actor(text: str) -> "Actor":
    """An actor given as ``KIND`` or ``KIND:ID``; a person also by an e-mail in place of the id.

    Raises:
        InvalidInput: there is no such kind, or the id is none.
    """
    from domain.actor import Actor, ActorKind

    kind, colon, rest = text.partition(":")
    kinds = [known.value for known in ActorKind if known is not ActorKind.UNKNOWN]
    if kind not in kinds:
        raise InvalidInput(
            "--actor has no kind that there is",
            remedy=f"Write KIND or KIND:ID; kinds are {', '.join(kinds)}.",
        )
    if kind == ActorKind.PERSON and "@" in rest:
        return Actor(kind=ActorKind.PERSON, who=read_who(rest))
    return Actor(kind=ActorKind(kind), id=read_id("--actor", rest) if colon else None)


def read_id(option: str, text: str) -> UUID:
    """An id given to an option.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(
            f"{option}: the id is not a UUID",
            remedy="Write 32 hexadecimal digits, such as 0195f3c2-7a41-4c1e-9d3f-5b8e2a6c4d10.",
        ) from None


def read_address(option: str, text: str) -> tuple[str, int]:
    """Host and port to listen on.

    Raises:
        InvalidInput: it is not of the form HOST:PORT.
    """
    host, colon, port = text.rpartition(":")
    readable = colon and host and port.isascii() and port.isdigit() and len(port) <= len("65535")
    if not readable or int(port) > PORT_MAX:
        raise InvalidInput(
            f"{option} cannot be read", remedy="Write HOST:PORT, such as 127.0.0.1:18082."
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def knowledge(at_least: int, deadline_seconds: float) -> "Knowledge":
    """How much an answer has to know."""
    from handlers.snapshots import Knowledge

    return Knowledge(at_least=at_least, deadline_seconds=deadline_seconds)


def _read_who(text: str, form: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from domain.identity import Who

    try:
        return TypeAdapter[str](Who).validate_python(text)
    except ValidationError:
        raise InvalidInput("WHO cannot be read", remedy=f"Write {form}.") from None


def _unreadable(option: str, error: ValueError) -> InvalidInput:
    what, _, mend = str(error).partition("; ")
    return InvalidInput(f"{option}: {what}", remedy=f"{mend[:1].upper()}{mend[1:]}.")
