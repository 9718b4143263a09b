"""A line of a file of commands: read whole, or every fault in it named without its value."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from domain.actor import Actor, ActorKind
from domain.authority import MAY_GIVE
from domain.command import Command
from domain.identity import Who
from handlers.cli.arguments import parse_instant

__all__ = ["LINE_BYTES_MAX", "Asked", "FieldFault", "UnreadableLine", "is_blank", "read_line"]

LINE_BYTES_MAX = 64 * 1024
COMMANDS = {known.NAME: known for known in MAY_GIVE}
ENVELOPE = ("command", "id", "at", "actor", "correlation", "causation")
STAFF = frozenset({ActorKind.ACCOUNT_MANAGER, ActorKind.SUPPORT_STAFF, ActorKind.AUDITOR})
KINDS = "'person', 'account_manager', 'support_staff', 'auditor' or 'system'"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as a line gives it."""

    command: Command
    actor: Actor
    command_id: UUID
    correlation_id: UUID | None
    causation_id: UUID | None


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with a field, and what mends it; never its value.

    Attributes:
        field: path of the field, such as ``actor.id``; empty for the line as a whole.
    """

    field: str
    message: str
    remedy: str


class UnreadableLine(Exception):  # noqa: N818  the line is at fault, not the program
    """A line that is no command.

    Attributes:
        name: of the command, where there is such a command.
        command_id: its id, where it can be read.
    """

    def __init__(
        self,
        faults: Sequence[FieldFault],
        *,
        name: str | None = None,
        command_id: UUID | None = None,
    ) -> None:
        super().__init__("; ".join(f"{fault.field} {fault.message}".strip() for fault in faults))
        self.faults = tuple(faults)
        self.name = name
        self.command_id = command_id

    @property
    def remedy(self) -> str:
        """What mends all of it."""
        return " ".join(dict.fromkeys(fault.remedy for fault in self.faults))


def is_blank(line: bytes) -> bool:
    """Whether there is nothing on the line."""
    return not line.strip()


def read_line(line: bytes) -> Asked:
    """The command on a line.

    Raises:
        UnreadableLine: there is none, with every fault that can be named.
    """
    fields = _object(line)
    faults: list[FieldFault] = []
    command_class = _command_class(fields, faults)
    command_id = _id(fields, "id", faults)
    at = _instant(fields, faults)
    actor = _actor(fields, faults)
    correlation_id = _id(fields, "correlation", faults, optional=True)
    causation_id = _id(fields, "causation", faults, optional=True)
    command = _command(command_class, fields, at, faults) if command_class else None
    if faults or command is None or actor is None or command_id is None:
        name = command_class.NAME if command_class else None
        raise UnreadableLine(faults, name=name, command_id=command_id)
    return Asked(command, actor, command_id, correlation_id, causation_id)


# ---------------------------------------------------------------- JSON


class _Unfit(ValueError):  # noqa: N818  the line is at fault, not the program
    """JSON that says two things, or what is no number."""


def _object(line: bytes) -> dict[str, Any]:
    if len(line.rstrip(b"\r\n")) > LINE_BYTES_MAX:
        raise _whole(f"the line is longer than {LINE_BYTES_MAX} bytes", "Give a command a line.")
    try:
        read = json.loads(
            line.removeprefix(BYTE_ORDER_MARK).decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_no_number,
        )
    except UnicodeDecodeError as error:
        raise _whole(
            f"the line is not UTF-8, from byte {error.start + 1} on", "Write the file in UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        raise _whole(
            f"the line is not JSON, from character {error.colno} on",
            "Write one JSON object a line, with names and text in double quotes.",
        ) from None
    except _Unfit as unfit:
        raise _whole(str(unfit), "Give each field once, and numbers in digits.") from None
    except (ValueError, RecursionError):
        raise _whole(
            "the line holds a number too long or lists too deep", "Give a command a line."
        ) from None
    if not isinstance(read, dict):
        raise _whole("the line is not a JSON object", "Write one JSON object a line, in braces.")
    return read  # pyright: ignore[reportUnknownVariableType]


def _whole(message: str, remedy: str) -> UnreadableLine:
    return UnreadableLine([FieldFault("", message, remedy)])


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise _Unfit(f"the field {_name_shown(name) or '(oddly named)'} is given twice")
        fields[name] = value
    return fields


def _no_number(_: str) -> None:
    raise _Unfit("the line holds a number that JSON does not have")


def _name_shown(name: object) -> str | None:
    """A name that stands on the line, where it is one: a value in its place is not repeated."""
    fit = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]{0,39}", name)
    return str(name) if fit else None


# ---------------------------------------------------------------- envelope

_IDS = TypeAdapter[UUID](UUID)
_WHO = TypeAdapter[str](Who)
ID_FORM = "Write 32 hexadecimal digits, such as 0195f3c2-7a41-4c1e-9d3f-5b8e2a6c4d10."


def _command_class(fields: Mapping[str, Any], faults: list[FieldFault]) -> type[Command] | None:
    name = fields.get("command")
    if isinstance(name, str) and name in COMMANDS:
        return COMMANDS[name]
    shown = _name_shown(name)
    near = difflib.get_close_matches(shown or "", COMMANDS, n=1)
    mend = f"Did you mean {near[0]}?" if near else "acta commands lists what there is."
    if "command" not in fields:
        faults.append(FieldFault("command", "is missing", mend))
    else:
        faults.append(FieldFault("command", f"{shown} is unknown" if shown else "is unknown", mend))
    return None


def _id(
    fields: Mapping[str, Any], name: str, faults: list[FieldFault], *, optional: bool = False
) -> UUID | None:
    value = fields.get(name)
    if value is None and optional:
        return None
    if name not in fields:
        faults.append(FieldFault(name, "is missing", "Give each command a random UUID of its own."))
        return None
    try:
        return _IDS.validate_python(value)
    except ValidationError:
        faults.append(FieldFault(name, "is not a UUID", ID_FORM))
        return None


def _instant(fields: Mapping[str, Any], faults: list[FieldFault]) -> datetime | None:
    if "at" not in fields:
        faults.append(FieldFault("at", "is missing", "Give the instant at which it is asked."))
        return None
    try:
        return parse_instant(fields["at"])
    except ValueError as error:
        faults.append(_from_domain("at", str(error)))
        return None


def _actor(fields: Mapping[str, Any], faults: list[FieldFault]) -> Actor | None:
    if "actor" not in fields:
        faults.append(FieldFault("actor", "is missing", ACTOR_FORM))
        return None
    value = fields["actor"]
    if not isinstance(value, dict):
        faults.append(FieldFault("actor", "is not an object", ACTOR_FORM))
        return None
    path = "actor"
    try:
        actor = Actor.model_validate(value)
        path = "actor.who"
        who = None if actor.who is None else _WHO.validate_python(actor.who)
    except ValidationError as error:
        faults += [_fault(detail, Actor, path) for detail in error.errors(include_input=False)]
        return None
    if unfit := _unfit(actor):
        faults.append(unfit)
        return None
    return actor.model_copy(update={"who": who})


ACTOR_FORM = 'Write it such as {"kind": "person", "who": "name@example.com"}.'


def _unfit(actor: Actor) -> FieldFault | None:
    if actor.who is not None and (actor.id is not None or actor.kind is not ActorKind.PERSON):
        return FieldFault(
            "actor.who", "stands for the id of a person", "Give an id, or a person's who, not both."
        )
    if actor.kind in STAFF and actor.id is None:
        return FieldFault("actor.id", "is missing", "Say which member of staff it is.")
    return None


# ---------------------------------------------------------------- the command's own fields


def _command(
    command_class: type[Command],
    fields: Mapping[str, Any],
    at: datetime | None,
    faults: list[FieldFault],
) -> Command | None:
    own = {name: value for name, value in fields.items() if name not in ENVELOPE}
    try:
        return command_class.model_validate({**own, "at": at})
    except ValidationError as error:
        details = error.errors(include_input=False)
        faults += [_fault(detail, command_class) for detail in details if detail["loc"] != ("at",)]
        return None


def _from_domain(field: str, message: str) -> FieldFault:
    """Splits ``what is wrong; what mends it``, as the domain's validators write it."""
    what, _, mend = message.partition("; ")
    mend = mend or "Correct it"
    verb = "" if not field or what.startswith("is ") else "is "
    return FieldFault(field, f"{verb}{what}", f"{mend[:1].upper()}{mend[1:]}.")


def _fault(detail: ErrorDetails, model: type[BaseModel], path: str = "") -> FieldFault:
    """A fault in words of ours: pydantic's may repeat a part of the value."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    field = ".".join(part for part in (path, name) if part)
    context = detail.get("ctx", {})
    catalogue = f"acta commands {model.__name__} describes it."
    match detail["type"]:
        case "missing":
            return FieldFault(field, "is missing", f"Give it; {catalogue}")
        case "extra_forbidden":
            near = difflib.get_close_matches(name, (*model.model_fields, *ENVELOPE), n=1)
            mend = f"Did you mean {near[0]}?" if near else f"Leave it out; {catalogue}"
            if _name_shown(name) is None:
                return FieldFault(path, "a field, oddly named, is unknown", mend)
            return FieldFault(field, "is an unknown field", mend)
        case "value_error":
            return _from_domain(field, str(context["error"]))
        case "int_type" | "int_from_float" | "int_parsing" | "int_parsing_size" if name.endswith(
            "_minor"
        ):
            mend = "Write an amount without a fraction or quotes, such as 9990."
            return FieldFault(field, "is not a whole number of minor units", mend)
        case "int_type" | "int_from_float" | "int_parsing" | "int_parsing_size":
            return FieldFault(field, "is not a whole number", "Write digits, without quotes.")
        case "greater_than":
            return FieldFault(field, "is too small", f"Give more than {context['gt']}.")
        case "less_than_equal":
            return FieldFault(field, "is too large", f"Give at most {context['le']}.")
        case "enum" | "literal_error":
            expected = KINDS if field == "actor.kind" else context["expected"]
            return FieldFault(field, "is none of what there is", f"Choose {expected}.")
        case "uuid_type" | "uuid_parsing" | "uuid_version":
            return FieldFault(field, "is not a UUID", ID_FORM)
        case "string_type":
            return FieldFault(field, "is not text", "Write it in double quotes.")
        case "string_too_short":
            return FieldFault(field, "is empty", "Write something, or leave the field out.")
        case "string_too_long":
            most = context["max_length"]
            return FieldFault(field, "is too long", f"Write at most {most} characters.")
        case "string_pattern_mismatch":
            return FieldFault(
                field, "has not the form it needs", f"Its form is {context['pattern']}"
            )
        case _:
            return FieldFault(field, "is not what the field takes", f"Correct it; {catalogue}")
