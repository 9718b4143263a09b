"""Files of commands, a line each."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

ANA = "ana@example.cl"
RUT = "12.345.678-5"
PHONE = "+56 9 6123 4567"
BEGINNING = "2026-01-31T12:00:00-03:00"
LATER = "2026-02-03T12:00:00-03:00"
SOMEBODY = {"kind": "person"}
SYSTEM = {"kind": "system"}
MANAGER_ID = "5f0c2b9e-8d14-4c57-9a36-2e7d1b604f83"
MANAGER = {"kind": "account_manager", "id": MANAGER_ID}


def line(
    command: str, actor: dict[str, Any] | None = None, *, at: str = BEGINNING, **fields: Any
) -> dict[str, Any]:
    """A command with an id of its own."""
    return {
        "command": command,
        "id": str(uuid4()),
        "at": at,
        "actor": actor or SYSTEM,
        **fields,
    }


def registration(email: str = ANA, rut: str | None = RUT, **changes: Any) -> dict[str, Any]:
    """Somebody registers."""
    who: dict[str, Any] = {
        "given_name": "Ana",
        "paternal_surname": "Rojas",
        "email": email,
        "phone": PHONE,
    }
    return line("RegisterUser", SOMEBODY, **{**who, "rut": rut, **changes})


def phone_confirmed(who: str = ANA) -> dict[str, Any]:
    """The one-time key came back."""
    return line("ConfirmPhone", account=who)


def payment(who: str = ANA, **changes: Any) -> dict[str, Any]:
    """A payment succeeds."""
    paid: dict[str, Any] = {
        "amount_minor": 9990,
        "currency": "CLP",
        "gateway_reference": "gateway-1",
    }
    return line("CapturePayment", account=who, **{"payment": str(uuid4()), **paid, **changes})


def subscription(who: str = ANA) -> list[dict[str, Any]]:
    """Somebody registers, takes all steps and pays."""
    owner = {"kind": "person", "who": who}
    terms: dict[str, Any] = {"price_version": 1, "monthly_price_minor": 9990, "currency": "CLP"}
    return [
        registration(who),
        phone_confirmed(who),
        line("SetPassword", owner, account=who),
        line("StartSubscription", owner, account=who),
        line("ChooseTaxDocument", owner, account=who, kind="boleta"),
        line("ConfirmPlan", owner, account=who, plan="full-access", **terms),
        line("ChoosePaymentMethod", owner, account=who, means="card", months=1),
        payment(who),
        line("StudyContent", owner, at=LATER, account=who, content="algebra/unit-1"),
    ]


def written(folder: Path, *lines: dict[str, Any] | bytes | str) -> Path:
    """A file of these lines; bytes and text go in as they are."""
    path = folder / f"{uuid4().hex}.jsonl"
    path.write_bytes(b"".join(as_line(content) for content in lines))
    return path


def as_line(content: dict[str, Any] | bytes | str) -> bytes:
    """A line of a file, with its end."""
    if isinstance(content, bytes):
        return content + b"\n"
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return text.encode() + b"\n"
