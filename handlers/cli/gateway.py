"""Commands for whoever tries charges out: gateway."""

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.cli.arguments import AsJson, read_address
from handlers.cli.output import say, tell, write_json
from handlers.cli.signals import ended_by_signals
from handlers.faults import InvalidInput

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["gateway"]

SECRET_BYTES = 24


def gateway(
    *,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Address to listen on; port 0: any that is free."
        ),
    ] = "127.0.0.1:0",
    book: Annotated[
        Path,
        typer.Option(
            "--book",
            metavar="FILE",
            help="What it charges and gives back; it outlives the gateway.",
        ),
    ] = Path("gateway.jsonl"),
    webhooks: Annotated[
        str | None,
        typer.Option(
            "--webhooks", metavar="URL", help="Report there, as `acta webhooks` takes it in."
        ),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND[,NAME=VALUE]",
            help="Do this wrong, such as answer_lost,attempt=1; may be given several times.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a payment gateway to try charges with, until SIGTERM or SIGINT; it takes no money.

    It prints the settings with which Acta asks it. Its key is ACTA_GATEWAY_KEY, and its webhooks
    are signed with ACTA_GATEWAY_WEBHOOK_SECRET; one that is not set is made and printed, once.

    Cards are tokens, such as pm_card_visa and pm_card_chargeDeclined; it takes no card number.
    """
    from handlers.payments.embedded import EmbeddedGateway, OrderedFault
    from handlers.settings import read_settings

    host, port = read_address("--listen", listen)
    if webhooks is not None and not _is_address(webhooks):
        raise InvalidInput(
            "--webhooks is no address", remedy="Write one such as http://127.0.0.1:18082."
        )
    settings = read_settings()
    made: dict[str, str] = {}
    server = EmbeddedGateway(
        book,
        _known_or_made("ACTA_GATEWAY_KEY", settings.gateway_key, "sk_test_", made),
        host=host,
        port=port,
        webhooks_url=webhooks,
        # While one takes the place of the other there are two; either will do.
        webhook_secret=_known_or_made(
            "ACTA_GATEWAY_WEBHOOK_SECRET", settings.gateway_webhook_secret, "whsec_", made
        ).partition(",")[0],
        faults=[OrderedFault.parse(order) for order in faults or ()],
    )
    to_export = {"ACTA_GATEWAY_URL": server.url, **made}
    with ended_by_signals(server.shutdown):
        if as_json:
            write_json(to_export)
        else:
            say("\n".join(f"export {name}={value}" for name, value in to_export.items()))
            tell(f"A gateway that takes no money is at {server.url}; SIGTERM or SIGINT ends it.")
        server.serve()


def _is_address(text: str) -> bool:
    from urllib3.exceptions import LocationValueError
    from urllib3.util import parse_url

    try:
        host = parse_url(text).host
    except LocationValueError:
        return False
    return bool(host and re.fullmatch(r"https?://[^\s/@]+(/\S*)?", text))


def _known_or_made(name: str, known: "SecretStr | None", prefix: str, made: dict[str, str]) -> str:
    if known is not None:
        return known.get_secret_value()
    return made.setdefault(name, prefix + secrets.token_urlsafe(SECRET_BYTES))
