"""Commands that answer from the read models: check, history, study."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.cli.arguments import (
    DEADLINE_SECONDS,
    AsJson,
    Asker,
    At,
    AtLeast,
    Deadline,
    WhoMeant,
    WhoPaysMeant,
    knowledge,
    read_actor,
    read_instant,
    read_who,
    read_who_pays,
)
from handlers.cli.output import by_field, say, show_time, table, write_json
from handlers.faults import DatabaseVersion, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection

    from handlers.composition import Acta
    from handlers.opening import Opened
    from handlers.queries import History, OpenedContact, OpenedLine, Study
    from projections.access import AccessAnswer

__all__ = [
    "check", "history", "known_up_to", "opened_json", "personal_text", "personal_values", "study",
]  # fmt: skip

NO = 1


def check(
    who: WhoMeant,
    thing: Annotated[
        str,
        typer.Argument(
            metavar="THING",
            # Not plan:ID:administer: where help is shown, :id: is an emoji.
            help="What for: content; module:NAME; or plan:UUID:administer, to look after a plan.",
        ),
    ],
    *,
    language: Annotated[
        str | None,
        typer.Option(
            "--lang",
            metavar="LANGUAGE",
            help="Language in which to say what stands in the way: es or en; else the person's.",
        ),
    ] = None,
    actor: Asker = "system",
    at: At = None,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Say whether somebody has access, and what stands in the way; exit status 0 is yes, 1 no.

    Access to content comes from an own subscription or from a plan; to administer a plan, from the
    role in it; to a module, from a contract. What stands in the way is said in the person's
    language, Spanish where that is not known.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings
    from handlers.translation import translated

    meant, asked_at, spoken = read_who(who), read_instant(at), _read_language(language)
    asker = read_actor(actor)
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.check(meant, thing, asked_at, knowledge(at_least, deadline_seconds))
        spoken = spoken or _language_of(acta, answer)
        contacts = acta.queries.contacts(answer, asker)
    said = tuple(translated(obstacle, spoken) for obstacle in answer.obstacles)
    answer = replace(answer, obstacles=said)
    if as_json:
        told = {"allowed": answer.allowed, "thing": thing, **by_field(answer)}
        told["evidence"] = [event._asdict() for event in answer.evidence]
        told["contacts"] = [_contact_json(contact) for contact in contacts]
        write_json(told)
    else:
        _show_check(answer, thing, contacts)
    if not answer.allowed:
        raise typer.Exit(NO)


def _read_language(text: str | None) -> str | None:
    from handlers.translation import LANGUAGES

    if text is not None and text.partition("-")[0] not in LANGUAGES:
        raise InvalidInput(
            "there are no texts in the language that --lang names",
            remedy=f"Name one of: {', '.join(LANGUAGES)}.",
        )
    return text


def _language_of(acta: "Acta", answer: "AccessAnswer") -> str | None:
    """The language of the account, else of the invitation; None where neither tells one."""
    from domain.account import UserRegistered
    from domain.invitation import InvitationSent

    # What cannot be read leaves the answer in doubt (X6), and is said all the same.
    with suppress(DatabaseVersion):
        stream = answer.account
        if stream is None and answer.evidence:
            invited = acta.store.event(answer.evidence[0].event_id)
            stream = None if invited is None else invited.stream
        first = None if stream is None else acta.store.first_of(stream)
        event = None if first is None else first.event
        if isinstance(event, UserRegistered | InvitationSent):
            return event.language
    return None


def _contact_json(opened: "OpenedContact") -> dict[str, Any]:
    contact = opened.line
    return {
        "contract": contact.contract,
        "kind": contact.kind,
        "validator_kind": contact.validator_kind,
        "person": contact.person,
        "personal": personal_values(opened),
    }


def _show_check(answer: "AccessAnswer", thing: str, contacts: "tuple[OpenedContact, ...]") -> None:
    say(f"{'yes' if answer.allowed else 'no'}: {thing} at {answer.at.isoformat()}")
    say(f"account: {answer.account or 'none'}")
    several = len({obstacle.contract for obstacle in answer.obstacles} - {None}) > 1
    for obstacle in answer.obstacles:
        of = f", contract {obstacle.contract}" if several and obstacle.contract else ""
        missing = f" ({', '.join(obstacle.missing)})" if obstacle.missing else ""
        say(f"in the way, {obstacle.rule}{of}: {obstacle.message}{missing}")
        say(f"    {obstacle.remedy}")
        say(f"    Whom to contact: {obstacle.contact}")
    for opened in contacts:
        contact = opened.line
        reach = personal_text(personal_values(opened))
        say(f"{contact.kind} of contract {contact.contract}: {reach}")
    if answer.evidence:
        rows = [(fact.position, fact.event_id, fact.topic) for fact in answer.evidence]
        table(("rests on position", "event", "topic"), rows)
    known_up_to(answer.position)


def history(
    who: WhoPaysMeant,
    *,
    actor: Asker = "system",
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show all that happened to an account or a plan; what the asker may not open stays sealed.

    An administrator of a plan opens who its members are: the role is read from the ledger.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    meant, asker = read_who_pays(who), read_actor(actor)
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.history(
            meant, read_instant(None), asker, knowledge(at_least, deadline_seconds)
        )
    if as_json:
        write_json(_history_json(answer))
    else:
        _show_history(answer)


def _history_json(answer: "History") -> dict[str, Any]:
    return {
        "account": answer.account,
        "lines": [opened_json(opened) for opened in answer.lines],
        "position": answer.position,
        "degraded": answer.degraded,
    }


def _show_history(answer: "History") -> None:
    say(f"account: {answer.account}")
    rows = [
        (
            opened.line.position,
            show_time(opened.line.occurred_at),
            opened.line.line,
            _by(opened),
            personal_text(personal_values(opened)),
        )
        for opened in answer.lines
    ]
    table(("position", "when (UTC)", "what", "by", "personal values"), rows)
    known_up_to(answer.position, degraded=answer.degraded)


def _by(opened: "OpenedLine") -> str:
    """The kind of actor, and enough of its id to tell two apart."""
    actor = opened.line.actor
    return f"{opened.line.actor_kind} {str(actor)[:8]}" if actor else opened.line.actor_kind


def opened_json(opened: "Opened[Any]", *, but: "Collection[str]" = ("sealed",)) -> dict[str, Any]:
    """A line by its fields, those named left out, and its personal values as they are open."""
    line = {name: value for name, value in by_field(opened.line).items() if name not in but}
    return {**line, "personal": personal_values(opened)}


def personal_values(opened: "Opened[Any]") -> dict[str, dict[str, str | None]]:
    """By field: the value where it is open; else whether it is sealed for the asker, or erased."""

    def told(field: str, value: str | None) -> dict[str, str | None]:
        closed = "sealed" if field in opened.sealed else "erased"
        return {"state": closed if value is None else "open", "value": value}

    return {field: told(field, value) for field, value in opened.personal.items()}


def personal_text(told: dict[str, dict[str, str | None]]) -> str:
    """Such as ``email: ana@example.cl; sealed: rut, phone``."""
    parts = [f"{field}: {as_is['value']}" for field, as_is in told.items() if as_is["value"]]
    for state in ("sealed", "erased"):
        fields = [field for field, as_is in told.items() if as_is["state"] == state]
        parts += [f"{state}: {', '.join(fields)}"] if fields else []
    return "; ".join(parts)


def study(
    who: WhoMeant,
    *,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show what was studied through an account, a line each time."""
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    meant = read_who(who)
    with open_ledger(read_settings()) as acta:
        answer = acta.queries.study(
            meant, read_instant(None), knowledge(at_least, deadline_seconds)
        )
    if as_json:
        write_json(answer)
    else:
        _show_study(answer)


def _show_study(answer: "Study") -> None:
    say(f"account: {answer.account}")
    rows = [(line.position, show_time(line.studied_at), line.content) for line in answer.lines]
    table(("position", "when (UTC)", "content"), rows)
    known_up_to(answer.position, degraded=answer.degraded)


def known_up_to(position: int, *, degraded: bool = False) -> None:
    """The last line of an answer; before it, that something may be missing (X6)."""
    if degraded:
        say("degraded: an event that belongs here could not be applied; see acta parked")
    say(f"known up to position {position}")
