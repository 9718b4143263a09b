"""Commands for whoever carries the log to Kafka: relay."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.cli.arguments import AsJson
from handlers.cli.output import by_field, progress, say, tell, write_json
from handlers.cli.signals import ended_by_signals

if TYPE_CHECKING:
    from handlers.faults import Fault
    from handlers.workers.relay import RelayProgress

__all__ = ["relay"]


def relay(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Carry the log as it is now, and end.")
    ] = False,
    generation: Annotated[
        int,
        typer.Option(
            "--generation", min=1, metavar="N", help="Fill topics of this generation, from zero."
        ),
    ] = 1,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port", min=0, max=65535, metavar="PORT", help="Serve Prometheus metrics."
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option("--metrics-host", metavar="HOST", help="The address to serve them at.")
    ] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Carry the log to Kafka, each event exactly once, until SIGTERM or SIGINT.

    ACTA_KAFKA_BOOTSTRAP_SERVERS names the brokers. A second relay of the same generation takes
    over, and the first one ends.
    """
    from handlers.composition import open_relay
    from handlers.settings import read_settings
    from handlers.workers.relay_metrics import serve_metrics

    with ExitStack() as stack:
        opened = stack.enter_context(
            open_relay(read_settings(), generation=generation, waiting=_tell_waiting)
        )
        if metrics_port is not None:
            address = stack.enter_context(serve_metrics(opened, metrics_host, metrics_port))
            tell(f"Metrics are served at {address}")
        advance = stack.enter_context(progress("Relaying"))
        stack.enter_context(ended_by_signals(opened.stop))
        run = opened.catch_up if once else opened.follow
        if not once:
            tell("Carrying the log to Kafka; SIGTERM or SIGINT ends it.")
        run(progress=lambda told: advance(told.events))
        done = opened.progress
    if as_json:
        write_json(by_field(done))
    else:
        say(_summary(done))


def _summary(done: "RelayProgress") -> str:
    return f"{done.events} events relayed; Kafka has the log up to position {done.position}"


def _tell_waiting(fault: "Fault") -> None:
    tell(f"Waiting: {fault.message}. {fault.remedy}")
