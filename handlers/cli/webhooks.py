"""Commands for whoever hears from the payment gateway: webhooks."""

from typing import TYPE_CHECKING, Annotated

import typer

from handlers.cli.arguments import AsJson, read_address
from handlers.cli.output import tell, write_json
from handlers.cli.signals import ended_by_signals
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from handlers.settings import Settings
    from handlers.workers.webhook_receiver import WebhookAnswer

__all__ = ["webhooks"]


def webhooks(
    *,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Address to listen on; port 0: any that is free."
        ),
    ] = "127.0.0.1:18082",
    as_json: AsJson = False,
) -> None:
    """Take in what the payment gateway reports, each outcome once, until SIGTERM or SIGINT.

    ACTA_GATEWAY_WEBHOOK_SECRET is what it signs with; two with a comma between them while one
    takes the place of the other. Each webhook becomes a line on stderr: id, type and answer.
    """
    from handlers.composition import open_ledger
    from handlers.settings import read_settings
    from handlers.workers.webhook_receiver import WebhookReceiver
    from handlers.workers.webhook_server import WebhookServer

    host, port = read_address("--listen", listen)
    settings = read_settings()
    secrets = _secrets(settings)
    with open_ledger(settings) as acta:
        receiver = WebhookReceiver(acta.ledger, acta.store, secrets)
        server = WebhookServer(receiver, host, port, answered=_tell_answer)
        with ended_by_signals(server.shutdown):
            if as_json:
                write_json({"url": server.url})
            else:
                tell(f"Taking webhooks at {server.url}; SIGTERM or SIGINT ends it.")
            server.serve()


def _tell_answer(answer: "WebhookAnswer") -> None:
    tell(f"{answer.id or '-'} {answer.type or '-'} {answer.status.value} {answer.said}")


def _secrets(settings: "Settings") -> tuple[bytes, ...]:
    from handlers.payments.webhooks import split_secrets

    known = settings.gateway_webhook_secret
    secrets = () if known is None else split_secrets(known.get_secret_value())
    if not secrets:
        raise InvalidInput(
            "ACTA_GATEWAY_WEBHOOK_SECRET is not set: what the gateway signs its webhooks with",
            remedy="Set it to the secret that the gateway shows for this endpoint.",
        )
    return secrets
