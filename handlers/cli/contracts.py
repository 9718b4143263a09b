"""Commands that answer about contracts: contract, contracts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.cli.answers import (
    known_up_to,
    opened_json,
    personal_text,
    personal_values,
)
from handlers.cli.arguments import (
    A_CENTURY_DAYS,
    DEADLINE_SECONDS,
    AsJson,
    Asker,
    At,
    AtLeast,
    Deadline,
    knowledge,
    read_actor,
    read_id,
    read_instant,
)
from handlers.cli.output import by_field, say, show_time, table, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handlers.contract_queries import Contract, Contracts
    from handlers.opening import Opened
    from projections.contracts import ContractLine, NamedPersonLine, ToRead

__all__ = ["contract", "contracts"]


# ---------------------------------------------------------------- one contract


def contract(
    contract: Annotated[
        str, typer.Argument(metavar="CONTRACT", help="A contract, by its id or contract:ID.")
    ],
    *,
    at: At = None,
    actor: Asker = "system",
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show a contract: its days, documents, risks and roles, and what its people still have to do.

    Its modules open to a person when it is in force, a risk is linked, every role is filled, and
    the person has downloaded every document in its last version and marked it as read.

    The contact opens who is linked, and whoever is linked opens who the contact and the validator
    are: both are read from the ledger. What the asker may not open stays sealed.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    meant = read_id("CONTRACT", contract.strip().removeprefix("contract:"))
    asked_at, asker = read_instant(at), read_actor(actor)
    with open_ledger(read_settings()) as acta:
        known = knowledge(at_least, deadline_seconds)
        answer = acta.contracts.contract(meant, asked_at, asker, known)
    if as_json:
        write_json(_contract_json(answer))
    else:
        _show_contract(answer)


def _contract_json(answer: "Contract") -> dict[str, Any]:
    whole = answer.whole
    line = {name: value for name, value in by_field(whole.line).items() if name != "people"}
    return {
        **line,
        "outstanding": whole.outstanding,
        "validator": answer.validator and opened_json(answer.validator),
        "contact": answer.contact and opened_json(answer.contact),
        "documents": whole.documents,
        "risks": whole.risks,
        "roles": whole.roles,
        "people": [opened_json(opened) for opened in answer.people],
        "at": answer.at,
        "position": answer.position,
        "degraded": answer.degraded,
    }


def _show_contract(answer: "Contract") -> None:
    whole, line = answer.whole, answer.whole.line
    say(f"contract: {line.contract}, at {answer.at.isoformat()}")
    say(f"holder: {line.holder}")
    say(f"contractor: {line.contractor}")
    say(f"in force: {_days(line)}, from {line.valid_from} to {line.valid_to} ({line.time_zone})")
    say(f"modules: {', '.join(line.modules)}")
    say(f"validator: {_named(answer.validator)}")
    say(f"contact: {_named(answer.contact)}")
    say(f"risks: {', '.join(risk.risk for risk in whole.risks) or 'none'}")
    roles = [f"{role.role} ({role.filled_by or 'nobody'})" for role in whole.roles]
    say(f"required roles: {', '.join(roles) or 'none'}")
    say(f"outstanding: {', '.join(whole.outstanding) or 'nothing'}")
    if whole.documents:
        _show_documents(answer)
    if answer.people:
        _show_people(answer)
    known_up_to(answer.position, degraded=answer.degraded)


def _days(line: "ContractLine") -> str:
    if line.ended_at is not None:
        return f"no, ended {show_time(line.ended_at)} UTC: {line.ended_because}"
    words = {"in_force": "yes", "not_begun": "not yet", "run_out": "no, run out"}
    return words[line.days]


def _named(opened: "Opened[NamedPersonLine] | None") -> str:
    if opened is None:
        return "nobody"
    kind = f", {opened.line.kind}" if opened.line.kind else ""
    return f"{opened.line.person}{kind}; {personal_text(personal_values(opened))}"


def _show_documents(answer: "Contract") -> None:
    rows = [
        (
            f"{document.code}{' (withdrawn)' if document.withdrawn_at else ''}",
            version.version,
            show_time(version.published_at),
            version.media_type,
            version.size_bytes,
            len(version.downloaded_by),
            len(version.read_by),
        )
        for document in answer.whole.documents
        for version in document.versions
    ]
    say("")
    headers = ("document", "version", "published (UTC)", "media type", "bytes", "downloaded by")
    table((*headers, "read by"), rows)


def _show_people(answer: "Contract") -> None:
    rows = [
        (
            f"{person.line.account}{_unless_open(person.line.standing)}",
            show_time(person.line.since),
            _versions(person.line.to_download) or "nothing",
            _versions(person.line.to_read) or "nothing",
            personal_text(personal_values(person)),
        )
        for person in answer.people
    ]
    say("")
    table(("account", "since (UTC)", "to download", "to mark as read", "personal values"), rows)


def _unless_open(standing: str) -> str:
    return "" if standing == "open" else f" ({standing})"


def _versions(documents: "Iterable[ToRead]") -> str:
    """Such as ``site_rules 2, evacuation 1``."""
    return ", ".join(f"{document.code} {document.version}" for document in documents)


# ---------------------------------------------------------------- contracts


def contracts(
    *,
    in_force: Annotated[bool, typer.Option("--in-force", help="Those in force alone.")] = False,
    ending_within_days: Annotated[
        int | None,
        typer.Option(
            "--ending-within",
            metavar="DAYS",
            min=0,
            max=A_CENTURY_DAYS,
            help="Those in force alone whose last day is at most so many days off; 0 is today.",
        ),
    ] = None,
    at: At = None,
    at_least: AtLeast = 0,
    deadline_seconds: Deadline = DEADLINE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show the contracts, the first to run out first: which are in force, which end soon."""
    from handlers.composition import open_ledger
    from handlers.settings import read_settings

    asked_at = read_instant(at)
    with open_ledger(read_settings()) as acta:
        answer = acta.contracts.contracts(
            asked_at,
            in_force=in_force,
            ending_within_days=ending_within_days,
            knowledge=knowledge(at_least, deadline_seconds),
        )
    if as_json:
        write_json(answer)
    else:
        _show_contracts(answer)


def _show_contracts(answer: "Contracts") -> None:
    say(f"contracts at {answer.at.isoformat()}")
    rows = [
        (
            line.contract,
            _days(line),
            line.valid_from,
            line.valid_to,
            line.time_zone,
            ", ".join(line.modules),
            line.people,
            line.holder,
            line.contractor,
        )
        for line in answer.contracts
    ]
    headers = ("contract", "in force", "from", "to", "time zone", "modules", "people", "holder")
    table((*headers, "contractor"), rows)
    known_up_to(answer.position, degraded=answer.degraded)
