"""``acta schemas``: the contracts with other services, for those who work on Acta."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from handlers.faults import FolderUnusable, InvalidInput
from schemas.contracts import PROJECT, ContractBroken, Contracts

__all__ = ["app"]

app = typer.Typer(
    name="schemas",
    help="Write, check and publish the Avro schemas of the events.",
    no_args_is_help=True,
)

Project = Annotated[
    Path,
    typer.Option("--project", help="Folder of schemas/, docs/ and tests/.", file_okay=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


@app.command(epilog="Example: acta schemas write")
def write(project: Project = PROJECT, as_json: AsJson = False) -> None:
    """Write schemas and docs/events.md from the event classes; a published schema never changes."""
    with _faults():
        written = Contracts(project).write()
    _answer({"written": written}, written or ["nothing to write"], as_json=as_json)


@app.command(epilog="Example: acta schemas check --json")
def check(project: Project = PROJECT, as_json: AsJson = False) -> None:
    """Hold the schemas against the event classes, what is published, and each other."""
    with _faults():
        problems = Contracts(project).problems()
    plain = [{"file": p.file, "message": p.message, "mend": p.mend} for p in problems]
    lines = [str(problem) for problem in problems]
    _answer({"problems": plain}, lines or ["the contracts hold"], as_json=as_json)
    if problems:
        raise typer.Exit(1)


@app.command(epilog="Example: acta schemas publish")
def publish(project: Project = PROJECT, as_json: AsJson = False) -> None:
    """Freeze every schema that is there; from then on it never changes."""
    with _faults():
        published = Contracts(project).publish()
    _answer({"published": published}, published or ["nothing new to publish"], as_json=as_json)


def _answer(answer: object, lines: list[str], *, as_json: bool) -> None:
    typer.echo(json.dumps(answer, ensure_ascii=False) if as_json else "\n".join(lines))


@contextmanager
def _faults() -> Generator[None]:
    try:
        yield
    except ContractBroken as broken:
        first, *others = broken.problems
        more = f" (and {len(others)} more; acta schemas check names them)" if others else ""
        raise InvalidInput(
            f"{first.file}: {first.message}{more}",
            remedy=f"{first.mend[:1].upper()}{first.mend[1:]}.",
        ) from None
    except OSError as error:
        raise FolderUnusable(
            f"{error.filename} cannot be read or written: {error.strerror}",
            remedy="Give yourself access to it, or name another folder with --project.",
        ) from None
