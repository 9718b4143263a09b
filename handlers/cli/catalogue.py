"""What there is: ``acta commands`` and ``acta events``."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.cli.arguments import AsJson
from handlers.cli.output import say, table, write_json
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from pydantic import BaseModel

    from domain.command import Command
    from domain.event import Event

__all__ = ["commands", "events"]


def commands(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One command alone, with its fields.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the commands that the ledger takes; with --json, their JSON Schemas."""
    from domain.authority import MAY_GIVE

    classes = {known.NAME: known for known in sorted(MAY_GIVE, key=lambda known: known.NAME)}
    if name is not None:
        one = classes[_one(name, classes, "command")]
        if as_json:
            write_json(_command_json(one))
        else:
            say(f"{one.NAME}: {_meaning(one)}\nMay be given by: {', '.join(_givers(one))}")
            _show_fields(one)
    elif as_json:
        write_json([_command_json(known) for known in classes.values()])
    else:
        rows = [
            (known.NAME, _meaning(known), ", ".join(_givers(known)), _field_names(known))
            for known in classes.values()
        ]
        table(("command", "what it does", "may be given by", "fields"), rows)


def _command_json(known: "type[Command]") -> dict[str, Any]:
    return {
        "name": known.NAME,
        "meaning": _meaning(known),
        "may_be_given_by": _givers(known),
        "fields": _fields(known),
        "schema": known.model_json_schema(),
    }


def _givers(known: "type[Command]") -> list[str]:
    from domain.authority import MAY_GIVE

    return sorted(kind.value for kind in MAY_GIVE[known])


def events(
    topic: Annotated[
        str | None, typer.Argument(metavar="[TOPIC]", help="One event alone, by topic or name.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the events that the log holds; with --json, their JSON Schemas."""
    from domain.event import event_classes

    import_module("domain.authority")  # with all aggregates, whose events enter the registry
    classes = {known.TOPIC: known for known in event_classes()}
    if topic is not None:
        by_name = classes | {known.__name__: known for known in classes.values()}
        one = by_name[_one(topic, by_name, "event")]
        if as_json:
            write_json(_event_json(one))
        else:
            say(f"{one.TOPIC}: {_meaning(one)}")
            _show_fields(one)
    elif as_json:
        write_json([_event_json(known) for known in classes.values()])
    else:
        rows = [(known.TOPIC, _meaning(known), _field_names(known)) for known in classes.values()]
        table(("topic", "what it says", "fields"), rows)


def _event_json(known: "type[Event]") -> dict[str, Any]:
    return {
        "topic": known.TOPIC,
        "meaning": _meaning(known),
        "fields": _fields(known),
        "schema": known.model_json_schema(),
    }


def _one(name: str, known: Iterable[str], what: str) -> str:
    """The name, if there is such a one.

    Raises:
        InvalidInput: there is none.
    """
    names = list(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    mend = f"Did you mean {near[0]}?" if near else f"acta {what}s lists what there is."
    raise InvalidInput(f"there is no {what} of that name", remedy=mend)


def _meaning(model: "type[BaseModel]") -> str:
    return inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _fields(model: "type[BaseModel]") -> list[dict[str, Any]]:
    properties: Mapping[str, Any] = model.model_json_schema().get("properties", {})
    return [
        {
            "name": name,
            "required": field.is_required(),
            "default": None if field.is_required() else field.get_default(),
            "personal": "personal" in properties.get(name, {}),
            "meaning": field.description,
        }
        for name, field in model.model_fields.items()
    ]


def _field_names(model: "type[BaseModel]") -> str:
    """The fields in a row; those in brackets may be left out."""
    return ", ".join(
        name if field.is_required() else f"[{name}]" for name, field in model.model_fields.items()
    )


def _show_fields(model: "type[BaseModel]") -> None:
    rows = [
        (
            field["name"],
            "required" if field["required"] else f"else {field['default'] or 'none'}",
            field["meaning"],
        )
        for field in _fields(model)
    ]
    table(("field", "needed", "meaning"), rows)
