"""``acta schemas``: the contracts with other services, for those who work on Acta."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.cli.arguments import AsJson
from handlers.cli.output import say, tell, write_json
from handlers.cli.signals import ended_by_signals
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from schemas.contracts import Contracts

__all__ = ["app"]

app = typer.Typer(
    help="Write, check, publish and serve the Avro schemas of the events.", no_args_is_help=True
)

Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="Folder of schemas/, docs/ and tests/; where none is given, that of Acta itself.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]


@app.command(epilog="Example: acta schemas write")
def write(project: Project = None, as_json: AsJson = False) -> None:
    """Write schemas, ids and documents from the event classes; a published schema never changes."""
    with _contracts(project) as contracts:
        written = contracts.write()
    _answer({"written": written}, written or ["nothing to write"], as_json=as_json)


@app.command(epilog="Example: acta schemas check --json")
def check(project: Project = None, as_json: AsJson = False) -> None:
    """Hold schemas, ids, golden files and documents against the event classes and each other."""
    with _contracts(project) as contracts:
        problems = contracts.problems()
    lines = [str(problem) for problem in problems]
    _answer({"problems": problems}, lines or ["the contracts hold"], as_json=as_json)
    if problems:
        raise typer.Exit(1)


@app.command(epilog="Example: acta schemas publish")
def publish(project: Project = None, as_json: AsJson = False) -> None:
    """Freeze every schema that is there; from then on it never changes."""
    with _contracts(project) as contracts:
        published = contracts.publish()
    _answer({"published": published}, published or ["nothing new to publish"], as_json=as_json)


@app.command(epilog="Example: acta schemas serve --port 18081")
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", help="Port to listen on; 0: any that is free.", min=0, max=65535),
    ] = 18081,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Serve the schemas as a registry would, to be read, until SIGTERM or SIGINT.

    Readers take this address as schema.registry.url; it needs neither Kafka nor the database.
    """
    from handlers.settings import read_settings
    from handlers.streams.schema_server import KnownSchemas, SchemaServer

    namespace = read_settings().kafka_namespace
    with _contracts(project) as contracts:
        server = SchemaServer(KnownSchemas(contracts, namespace), host, port)
    with ended_by_signals(server.shutdown):
        if as_json:
            write_json({"url": server.url})
        else:
            tell(f"Serving the schemas at {server.url}; SIGTERM or SIGINT ends it.")
        server.serve()


def _answer(answer: object, lines: list[str], *, as_json: bool) -> None:
    if as_json:
        write_json(answer)
    else:
        say("\n".join(lines))


@contextmanager
def _contracts(project: Path | None) -> Generator["Contracts"]:
    from schemas.contracts import PROJECT, ContractBroken, Contracts

    try:
        yield Contracts(project or PROJECT)
    except ContractBroken as broken:
        first, *others = broken.problems
        more = f" (and {len(others)} more: see acta schemas check)" if others else ""
        raise InvalidInput(
            f"{first.file}: {first.message}{more}",
            remedy=f"{first.mend[:1].upper()}{first.mend[1:]}.",
        ) from None
