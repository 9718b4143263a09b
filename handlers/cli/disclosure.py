"""``acta open``: personal values for whoever may read them, each opening recorded."""

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4, uuid5

import typer

from handlers.cli.arguments import AsJson, At, read_actor, read_id, read_instant
from handlers.cli.output import say, tell, write_json
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from domain.actor import Actor
    from domain.disclosure import OpeningReason, OpenPersonalValue
    from domain.refusal import Refused
    from handlers.composition import Acta
    from handlers.ledger import OpenedValue

__all__ = ["open_values"]

REFUSED = 1


def open_values(
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="The event that holds the values, by its id: ce_id of a record."
        ),
    ],
    fields: Annotated[
        list[str], typer.Argument(metavar="FIELD", help="The fields to open, such as email.")
    ],
    *,
    actor: Annotated[
        str,
        typer.Option(
            "--actor",
            metavar="KIND:ID",
            help="Who asks: a person (also by e-mail), account_manager, support_staff or auditor.",
        ),
    ],
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="CODE",
            help="What for: notify, tax_document, support, audit, owner_request or other.",
        ),
    ],
    at: At = None,
    request_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="UUID",
            help="Id of the request; a random one if none. With the same --at it is recorded once.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open personal values of an event for whom rule G1 allows; each is recorded, then shown.

    Who opened which value of whom, and what for, stands in the log for good, and in the history of
    the person's account. The record holds nothing of the value. A refused one is told and stops no
    other; the exit status is then 1. The values of whoever has been erased are refused by A11.
    """
    from domain.disclosure import OpenPersonalValue
    from domain.refusal import Refused
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    asked_at, asker, meant = read_instant(at), read_actor(actor), read_id("EVENT", event)
    if asker.id is None and asker.who is None:
        raise InvalidInput("--actor has no id", remedy="Write KIND:ID.")
    why, names = _reason(reason), _personal_fields(fields)
    known_as = uuid4() if request_id is None else read_id("--id", request_id)
    answers: dict[str, OpenedValue | Refused] = {}
    with open_ledger(read_settings()) as acta:
        for field in names:
            command = OpenPersonalValue(at=asked_at, event=meant, field=field, reason=why)
            answers[field] = _answer(acta, command, asker, known_as)
            if not as_json:
                _show(field, answers[field])
    if as_json:
        values = [_answer_json(field, answer) for field, answer in answers.items()]
        write_json({"event": meant, "id": known_as, "values": values})
    if any(isinstance(answer, Refused) for answer in answers.values()):
        raise typer.Exit(REFUSED)


def _reason(code: str) -> "OpeningReason":
    from domain.disclosure import OpeningReason

    try:
        return OpeningReason(code)
    except ValueError:
        raise InvalidInput(
            "--reason is no code that there is",
            remedy=f"Choose one of: {', '.join(known.value for known in OpeningReason)}.",
        ) from None


def _personal_fields(names: list[str]) -> list[str]:
    """The fields, each once; a name that no event has is a slip, and is not repeated.

    Raises:
        InvalidInput: there is none of that name.
    """
    from domain.event import event_classes
    from domain.personal import personal_fields

    import_module("domain.authority")  # with all aggregates, whose events enter the registry
    known = {name for event_class in event_classes() for name in personal_fields(event_class)}
    if not known.issuperset(names):
        raise InvalidInput(
            "FIELD is no personal value of any event",
            remedy=f"Choose of: {', '.join(sorted(known))}.",
        )
    return list(dict.fromkeys(names))


def _answer(
    acta: "Acta", command: "OpenPersonalValue", asker: "Actor", request_id: UUID
) -> "OpenedValue | Refused":
    """Each field is a command of its own, whose id follows from that of the request."""
    from domain.refusal import Refused

    command_id = uuid5(request_id, command.field)
    try:
        return acta.ledger.open_value(command, asker, command_id, correlation_id=request_id)
    except Refused as refusal:
        return refusal


def _show(field: str, answer: "OpenedValue | Refused") -> None:
    from domain.refusal import Refused

    if isinstance(answer, Refused):
        tell(f"acta: {field} refused by {answer.rule}: {answer.message}\n{answer.remedy}")
    else:
        say(f"{field}: {answer.value}")
        say(f"    recorded at position {answer.receipt.position}")


def _answer_json(field: str, answer: "OpenedValue | Refused") -> dict[str, Any]:
    from domain.refusal import Refused

    refusal, opened = (answer, None) if isinstance(answer, Refused) else (None, answer)
    return {
        "field": field,
        "value": opened and opened.value,
        "position": opened and opened.receipt.position,
        "record": opened and opened.receipt.events[0].event_id,
        "repeated": opened and opened.receipt.repeated,
        "rule": refusal and refusal.rule,
        "message": refusal and refusal.message,
        "remedy": refusal and refusal.remedy,
    }
