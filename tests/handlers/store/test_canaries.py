"""Personal data is nowhere in clear: not in a file, a table, a receipt or a message (D10).

Canaries are values that exist nowhere else. They are given to a ledger in every way there is; then
everything that it left behind is searched for them. The same search finds each of them once the
sealing is taken out, so it is the sealing that hides them.
"""

import json
import logging
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection
from pydantic import ValidationError

from domain.account import RegisterUser
from domain.actor import Actor, ActorKind
from domain.disclosure import OpeningReason, OpenPersonalValue
from domain.personal import Purpose, personal_fields
from domain.refusal import Refused
from handlers.cli import main
from handlers.cli.apply import LineReport, apply_lines
from handlers.composition import Acta, open_ledger
from handlers.faults import Fault
from handlers.ledger import OpenedValue
from handlers.settings import Settings
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from handlers.store.mapper import to_recorded
from handlers.store.sealing import Cipher
from handlers.store.vault import INDEX_SECRET, INPUT_SECRET
from tests.handlers.store.canaries import Canaries, Canary, files_of, tables_of
from tests.handlers.store.stories import MANAGER, NOON, SOMEBODY, home_of, seed

WORDS = (
    "given_name",
    "paternal_surname",
    "maternal_surname",
    "email",
    "email_domain",
    "new_email",
    "note",
    "company_name",
    "line_of_business",
    "street",
    "card_token",
    "erased_name",
    "erased_email",
    "invited_name",
    "invited_surname",
    "invited_mother",
    "invited_email",
    "corrected_email",
    "listed_name",
    "listed_email",
    "gone_name",
    "gone_email",
    "validator_name",
    "validator_email",
    "contact_name",
    "contact_email",
    "linked_name",
    "linked_email",
    "mail_subject",
    "mail_body",
    "mail_file",
    "sender_name",
    "sender_email",
    "copied_email",
    "asked_subject",
    "asked_body",
    "note_body",
    "split_subject",
    "gone_sender_name",
    "gone_sender_email",
    "gone_body",
    "mail_id",
    "referred_id",
    "referred_email",
)
NEVER_STORED = (
    "refused_name",
    "refused_email",
    "faulty_name",
    "faulty_email",
    "reused_name",
    "refused_row",
    "refused_mail",
    "refused_token",
)
"""Given in commands that came to nothing: no sealed form of them stays either."""
RUTS = ("rut", "company_rut", "invited_rut", "listed_rut", "gone_rut", "director_rut", "linked_rut")
PHONES = (
    "phone",
    "erased_phone",
    "invited_phone",
    "listed_phone",
    "gone_phone",
    "validator_phone",
    "contact_phone",
    "linked_phone",
)


class NoCipher:
    """Encrypts nothing."""

    def encrypt(self, key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:  # noqa: ARG002
        """The data as they are."""
        return data

    def decrypt(self, key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:  # noqa: ARG002
        """The data as they are."""
        return data


@dataclass
class Cage:
    """The canaries, and the commands that carry them."""

    chance: random.Random
    kept: dict[str, Canary] = field(default_factory=dict[str, Canary])
    never_stored: dict[str, Canary] = field(default_factory=dict[str, Canary])

    def __post_init__(self) -> None:
        self.kept = {name: Canary.word(self.chance) for name in WORDS}
        self.kept |= {name: Canary.rut(self.chance) for name in RUTS}
        self.kept |= {name: Canary.phone(self.chance) for name in PHONES}
        self.never_stored = {name: Canary.word(self.chance) for name in NEVER_STORED}
        self.never_stored["refused_rut"] = Canary.rut(self.chance)
        self.never_stored["refused_phone"] = Canary.phone(self.chance)

    def __getitem__(self, name: str) -> str:
        return (self.kept | self.never_stored)[name].text

    def email(self, name: str = "email") -> str:
        return f"{self[name]}@{self['email_domain']}.example.com"


def line(command: str, actor: dict[str, str], **given: Any) -> bytes:
    """A command as a line of a file."""
    envelope = {"command": command, "id": str(uuid4()), "actor": actor}
    return json.dumps({"at": NOON.isoformat()} | envelope | given, ensure_ascii=False).encode()


STAFF = {"kind": "account_manager", "id": str(MANAGER.id)}
SYSTEM = {"kind": "system"}
ANYBODY = {"kind": "person"}


def fine_lines(cage: Cage) -> list[bytes]:
    """Commands of every kind that carries personal data."""
    who = {"account": cage.email()}
    owner = {"kind": "person", "who": cage.email()}
    return [
        line(
            "RegisterUser",
            ANYBODY,
            given_name=cage["given_name"],
            paternal_surname=cage["paternal_surname"],
            maternal_surname=cage["maternal_surname"],
            email=cage.email(),
            phone=cage["phone"],
            rut=cage["rut"],
        ),
        line("ConfirmPhone", SYSTEM, **who),
        line("SetPassword", owner, **who),
        line("StartSubscription", owner, **who),
        line(
            "ChooseTaxDocument",
            owner,
            **who,
            kind="factura",
            company_name=f"{cage['company_name']} SpA",
            company_rut=cage["company_rut"],
            line_of_business=cage["line_of_business"],
            address=f"{cage['street']} 123, Ñuñoa",
        ),
        line(
            "ConfirmPlan",
            owner,
            **who,
            plan="full-access",
            price_version=1,
            monthly_price_minor=9990,
            currency="CLP",
        ),
        line(
            "ChoosePaymentMethod",
            owner,
            **who,
            means="card",
            months=1,
            card_token=f"pm_{cage['card_token']}",
        ),
        line(
            "CapturePayment",
            SYSTEM,
            **who,
            payment=str(uuid4()),
            amount_minor=9990,
            currency="CLP",
            gateway_reference="gw-0001",
        ),
        line("StudyContent", owner, **who, content="algebra/unit-1"),
        line("AssignAccountManager", STAFF, **who, account_manager=str(MANAGER.id)),
        line("SuspendAccount", STAFF, **who, reason="other", note=f"Es {cage['note']}"),
        line("ReinstateAccount", STAFF, **who, reason="resolved"),
        line("ChangeUserCode", STAFF, **who, email=cage.email("new_email")),
        line(
            "RegisterUser",
            ANYBODY,
            given_name=cage["erased_name"],
            paternal_surname="Soto",
            email=cage.email("erased_email"),
            phone=cage["erased_phone"],
        ),
    ]


PLAN = "0b0d8a5e-6d1f-4c55-9c85-6a8b2f1f5f10"


def plan_lines(cage: Cage) -> list[bytes]:
    """A plan, and everybody who is invited into it: one by one, corrected, by list, and erased."""
    by_staff = {"plan": PLAN, "role": "super_administrator"}
    director = {"kind": "person", "who": "director@example.com"}
    listed = {
        "role": "user",
        "given_name": cage["listed_name"],
        "paternal_surname": cage["listed_name"],
        "maternal_surname": cage["listed_name"],
        "email": cage.email("listed_email"),
        "rut": cage["listed_rut"],
        "phone": cage["listed_phone"],
    }
    refused = listed | {"given_name": cage["refused_row"], "rut": cage["invited_rut"]}
    fault = {"rule": "I2", "column": "rut", "message": "is no RUT", "remedy": "Correct it."}
    rows = [{"row": 2, "invitee": listed}, {"row": 3, "invitee": refused}]
    return [
        line("OpenPlan", STAFF, plan=PLAN, institution="Liceo Uno", seats=50),
        line("InviteMember", STAFF, **by_staff, **invitee(cage, "director")),
        line(
            "AcceptInvitation",
            director,
            invitation="director@example.com",
        ),
        line("InviteMember", director, plan=PLAN, role="user", **invitee(cage, "invited")),
        line(
            "CorrectInvitation",
            director,
            invitation=cage.email("invited_email"),
            email=cage.email("corrected_email"),
        ),
        line("ResendInvitation", director, invitation=cage.email("corrected_email")),
        line("InviteMember", director, plan=PLAN, role="user", **invitee(cage, "gone")),
        line(
            "ImportInvitations",
            director,
            plan=PLAN,
            invitation_import=str(uuid4()),
            rows=[*rows, {"row": 4, "faults": [fault]}],
            last=True,
        ),
        line(
            "AcceptInvitation",
            {"kind": "person", "who": cage.email("corrected_email")},
            invitation=cage.email("corrected_email"),
        ),
        line(
            "ErasePerson",
            {"kind": "person", "who": cage.email("gone_email")},
            account=cage.email("gone_email"),
        ),
    ]


def invitee(cage: Cage, who: str) -> dict[str, str]:
    """Whom an invitation is for; the director's names are nobody's secret."""
    if who == "director":
        names = {"given_name": "Eva", "paternal_surname": "Soto", "maternal_surname": "Vera"}
        reached = {"email": "director@example.com", "phone": "+56961234567"}
    else:
        names = {
            "given_name": cage[f"{who}_name"],
            "paternal_surname": cage["invited_surname"],
            "maternal_surname": cage["invited_mother"],
        }
        reached = {"email": cage.email(f"{who}_email"), "phone": cage[f"{who}_phone"]}
    return {"invitation": str(uuid4()), "rut": cage[f"{who}_rut"], **names, **reached}


CONTRACT = "6b0e1f3c-7d52-4a86-b1c9-0e94d27a5f38"
DESK = {"kind": "support_staff", "id": str(uuid4())}


def contract_lines(cage: Cage) -> list[bytes]:
    """A contract with the people that it names, and somebody who is linked to it."""
    contact = {"kind": "person", "who": cage.email("contact_email")}
    return [
        line(
            "OpenContract",
            STAFF,
            contract=CONTRACT,
            holder=str(uuid4()),
            contractor=str(uuid4()),
            valid_from=NOON.date().isoformat(),
            valid_to=NOON.date().isoformat(),
            validator_kind="holder_technician",
            **named(cage, "validator"),
            **named(cage, "contact"),
        ),
        line("LinkPerson", contact, contract=CONTRACT, **linked(cage)),
    ]


def named(cage: Cage, who: str) -> dict[str, str]:
    """Whom a contract names."""
    return {
        f"{who}_name": cage[f"{who}_name"],
        f"{who}_email": cage.email(f"{who}_email"),
        f"{who}_phone": cage[f"{who}_phone"],
    }


def linked(cage: Cage) -> dict[str, str]:
    """Whoever is to be given access."""
    return {
        "given_name": cage["linked_name"],
        "paternal_surname": cage["linked_name"],
        "email": cage.email("linked_email"),
        "phone": cage["linked_phone"],
        "rut": cage["linked_rut"],
    }


def ticket_lines(cage: Cage) -> list[bytes]:
    """Tickets by mail and by hand, with what is said in them; one is split, two become one."""
    asked = {"ticket": str(uuid4()), "reason": "access"}
    first, second = str(uuid4()), str(uuid4())
    thread = {"message_id": f"<{cage['mail_id']}@mail.example.com>"}
    answer = {
        "message_id": "<second@mail.example.com>",
        "in_reply_to": f"<{cage['mail_id']}@mail.example.com>",
        "references": f"<{cage['referred_id']}@mail.example.com> <{cage.email('referred_email')}>",
    }
    return [
        line("ReceiveMail", SYSTEM, **mail(cage, "sender", first), **thread),
        line("ReceiveMail", SYSTEM, **mail(cage, "sender", second), **answer),
        line(
            "OpenTicket",
            {"kind": "person", "who": cage.email("linked_email")},
            **asked,
            message=str(uuid4()),
            requester=cage.email("linked_email"),
            subject=cage["asked_subject"],
            body=cage["asked_body"],
        ),
        line("CopyPerson", DESK, ticket=2, email=cage.email("copied_email")),
        line(
            "ReplyToTicket",
            DESK,
            ticket=2,
            message=str(uuid4()),
            body=cage["note_body"],
            internal=True,
        ),
        line(
            "SplitTicket",
            DESK,
            ticket=1,
            messages=[second],
            new_ticket=str(uuid4()),
            subject=cage["split_subject"],
        ),
        line("MergeTicket", DESK, ticket=3, into=1),
        line(
            "ReceiveMail", SYSTEM, **mail(cage, "gone_sender", str(uuid4()), body=cage["gone_body"])
        ),
        line("ErasePerson", STAFF, account=cage.email("gone_sender_email")),
    ]


def mail(cage: Cage, who: str, message: str, **changes: Any) -> dict[str, Any]:
    """A mail as its transport hands it over."""
    file = {
        "name": f"{cage['mail_file']}.pdf",
        "sha256": "0" * 64,
        "media_type": "application/pdf",
        "size_bytes": 1,
    }
    return {
        "ticket": str(uuid4()),
        "message": message,
        "sender": cage.email(f"{who}_email"),
        "sender_name": cage[f"{who}_name"],
        "recipients": [f"{cage['copied_email']} <{cage.email('copied_email')}>"],
        "subject": cage["mail_subject"],
        "body": cage["mail_body"],
        "attachments": [file],
        **changes,
    }


def refused_lines(cage: Cage) -> list[bytes]:
    """Refused by A3, A5, A1, G1 and A11, with values that were never known before."""
    again = {
        "given_name": cage["refused_name"],
        "paternal_surname": "Soto",
        "phone": cage["refused_phone"],
    }
    new, erased = cage.email("new_email"), cage.email("erased_email")
    return [
        line(
            "ChoosePaymentMethod",
            {"kind": "person", "who": erased},
            account=erased,
            means="card",
            months=1,
            card_token=f"pm_{cage['refused_token']}",
        ),
        line("RegisterUser", ANYBODY, **again, email=new.upper()),
        line("RegisterUser", ANYBODY, **again, email=cage.email("refused_email"), rut=cage["rut"]),
        line("RegisterUser", SYSTEM, **again, email=new, rut=cage["refused_rut"]),
        line(
            "ChangeUserCode",
            {"kind": "account_manager", "id": str(uuid4())},
            account=new,
            email=cage.email("refused_email"),
        ),
        line("SetPassword", ANYBODY, account=cage.email("refused_email")),
        line("ErasePerson", {"kind": "person", "who": new}, account=cage.email("erased_email")),
        *refused_invitations(cage),
        *refused_at_contracts_and_desk(cage),
    ]


def refused_invitations(cage: Cage) -> list[bytes]:
    """Refused by I1, I3 and I6."""
    director = {"kind": "person", "who": "director@example.com"}
    stranger = {"kind": "person", "who": cage.email("new_email")}
    person = {
        "plan": PLAN,
        "invitation": str(uuid4()),
        "role": "user",
        "given_name": cage["refused_name"],
        "paternal_surname": cage["refused_name"],
        "maternal_surname": cage["refused_name"],
        "phone": cage["refused_phone"],
    }
    fresh = {"email": cage.email("refused_email"), "rut": cage["refused_rut"]}
    taken = {"email": cage.email("refused_email"), "rut": cage["listed_rut"]}
    unknown = cage.email("refused_email")
    return [
        line("InviteMember", stranger, **person, **fresh),
        line("InviteMember", director, **person, **taken),
        line("CorrectInvitation", director, invitation=unknown, email=unknown),
        line(
            "CorrectInvitation",
            director,
            invitation=cage.email("listed_email"),
            email=cage.email("corrected_email"),
        ),
        line("AcceptInvitation", stranger, invitation=unknown),
    ]


def refused_at_contracts_and_desk(cage: Cage) -> list[bytes]:
    """Refused by C2, G1, T7 and T8."""
    stranger = {"kind": "person", "who": cage.email("new_email")}
    unknown, said = cage.email("refused_email"), cage["refused_mail"]
    contact = {"name": cage["refused_name"], "email": unknown, "phone": cage["refused_phone"]}
    automatic = mail(cage, "sender", str(uuid4()), sender=unknown, sender_name=cage["refused_name"])
    new = {"ticket": str(uuid4()), "message": str(uuid4()), "reason": "access"}
    return [
        line("NameContact", stranger, contract=CONTRACT, **contact),
        line(
            "LinkPerson",
            stranger,
            contract=CONTRACT,
            **linked(cage) | {"email": unknown, "given_name": cage["refused_name"]},
        ),
        line(
            "ReceiveMail",
            SYSTEM,
            **automatic | {"subject": said, "body": said, "recipients": [unknown]},
            automatic="auto_reply",
        ),
        line("OpenTicket", stranger, **new, requester=unknown, subject=said, body=said),
        line("ReplyToTicket", stranger, ticket=2, message=str(uuid4()), body=said),
        line("CopyPerson", stranger, ticket=2, email=unknown),
    ]


def faulty_lines(cage: Cage) -> list[bytes]:
    """Lines with something wrong in every field that can hold personal data."""
    good = {
        "given_name": cage["faulty_name"],
        "paternal_surname": cage["faulty_name"],
        "email": cage.email("faulty_email"),
        "phone": cage["phone"],
        "rut": cage["rut"],
    }
    wrong_digit = cage["rut"][:-1] + ("1" if cage["rut"][-1] != "1" else "2")
    return [
        line("RegisterUser", ANYBODY, **(good | {"rut": wrong_digit})),
        line("RegisterUser", ANYBODY, **(good | {"phone": cage["phone"][:-1]})),
        line("RegisterUser", ANYBODY, **(good | {"email": cage.email("faulty_email") + "@"})),
        line("RegisterUser", ANYBODY, **(good | {"given_name": cage["faulty_name"] * 20})),
        line("RegisterUser", ANYBODY, **(good | {"given_name": [cage["faulty_name"]]})),
        line("RegisterUser", ANYBODY, **(good | {"language": cage["faulty_name"]})),
        line("RegisterUser", ANYBODY, **(good | {"time_zone": cage["faulty_name"]})),
        line("RegisterUser", {"kind": "person", "who": cage["faulty_email"] + "@"}, **good),
        line("RegisterUser", {"kind": "person", "id": cage["faulty_name"]}, **good),
        line("RegisterUser", {"kind": cage["faulty_name"]}, **good),
        line("RegisterUser", ANYBODY, **(good | {"at": cage["faulty_name"]})),
        line("RegisterUser", ANYBODY, **(good | {"id": cage["faulty_name"]})),
        line("SuspendAccount", STAFF, account=cage["faulty_email"], reason=cage["faulty_name"]),
        line("InviteMember", STAFF, plan=PLAN, role=cage["faulty_name"], **good),
        line("InviteMember", STAFF, plan=cage["faulty_name"], role="user", **good),
        line("AcceptInvitation", ANYBODY, invitation=cage["faulty_email"]),
        line(
            "ImportInvitations",
            STAFF,
            plan=PLAN,
            invitation_import=str(uuid4()),
            rows=[{"row": 2, "invitee": good | {"role": "user", "rut": wrong_digit}}],
        ),
        line("ChooseTaxDocument", STAFF, account=cage.email(), kind="boleta", address=good),
        line("ChoosePaymentMethod", STAFF, **faulty_card(cage), means="transfer", months=3),
        line("ChoosePaymentMethod", STAFF, **faulty_card(cage, "@"), means="card", months=1),
        line("NameContact", STAFF, contract=CONTRACT, name=cage["faulty_name"], email="nobody"),
        line("LinkPerson", STAFF, contract=cage["faulty_name"], **good),
        line("ReceiveMail", SYSTEM, **mail(cage, "sender", cage["faulty_name"])),
        line("ReceiveMail", SYSTEM, **mail(cage, "sender", str(uuid4()), sender=good)),
        line("CopyPerson", DESK, ticket=1, email=cage["faulty_email"]),
        line("RegisterUser", ANYBODY, **good)[:-20],
        line("RegisterUser", ANYBODY, **good).replace(b'"given_name"', b"given_name"),
        line("RegisterUser", ANYBODY, **good).replace(b"{", b"[").replace(b"}", b"]"),
        line("RegisterUser", ANYBODY, **good) + cage["faulty_name"].encode(),
        cage["faulty_name"].encode(),
        json.dumps(cage["faulty_name"]).encode(),
        line("RegisterUser", ANYBODY, **good).replace(b'": "', b'": "\xff'),
    ]


def faulty_card(cage: Cage, mark: str = "") -> dict[str, str]:
    """A card that does not go with the rest, or is none."""
    return {"account": cage.email("faulty_email"), "card_token": f"pm_{cage['faulty_name']}{mark}"}


# ---------------------------------------------------------------- a ledger in use


def use(acta: Acta, cage: Cage) -> list[str]:
    """Gives it all there is to give; returns what was said about it."""
    said: list[str] = []

    def apply(lines: Sequence[bytes]) -> list[LineReport]:
        reports: list[LineReport] = []
        apply_lines(acta, lines, report=reports.append)
        said.extend(map(repr, reports))
        return reports

    assert {report.outcome for report in apply(fine_lines(cage))} == {"applied"}
    assert {report.outcome for report in apply(plan_lines(cage))} == {"applied"}
    assert {report.outcome for report in apply(contract_lines(cage))} == {"applied"}
    assert {report.outcome for report in apply(ticket_lines(cage))} == {"applied"}
    assert {report.outcome for report in apply(refused_lines(cage))} == {"refused"}
    assert {report.outcome for report in apply(faulty_lines(cage))} == {"faulty"}
    said += faults(acta, cage)
    said += openings(acta, cage)
    at = (NOON + timedelta(days=1)).isoformat()
    erase = line("ErasePerson", STAFF, account=cage.email("erased_email"), at=at)
    assert [report.outcome for report in apply([erase])] == ["applied"]
    acta.projector.catch_up()
    return said


def openings(acta: Acta, cage: Cage) -> list[str]:
    """Every value that there is, opened by an auditor: the values are in nobody else's hands."""
    auditor = Actor(kind=ActorKind.AUDITOR, id=uuid4())
    log = filter(None, map(to_recorded, acta.store.batch(after=0, limit=1000)))
    wanted = [
        OpenPersonalValue(at=NOON, event=recorded.event_id, field=name, reason=OpeningReason.AUDIT)
        for recorded in log
        for name in personal_fields(type(recorded.event))
        if getattr(recorded.event, name) is not None
    ]
    opened: list[OpenedValue] = []
    for command in wanted:
        try:
            opened.append(acta.ledger.open_value(command, auditor, uuid4()))
        except Refused as refusal:
            assert refusal.rule == "A11"  # noqa: PT017  most are opened
    values = " ".join(answer.value.lower() for answer in opened)
    # No event holds the card, so nobody can have it opened.
    kept = {name for name in cage.kept if not name.startswith("gone_")} - {"card_token"}
    assert cage["card_token"].lower() not in values
    assert {name for name in kept if cage[name].lower() not in values} == set()
    return [repr(answer) for answer in opened]


def faults(acta: Acta, cage: Cage) -> list[str]:
    """A reused id, a command that pydantic refuses, and several who race for one address."""
    said: list[str] = []
    command_id = uuid4()
    given: dict[str, Any] = {
        "at": NOON,
        "given_name": "Eva",
        "paternal_surname": "Soto",
        "email": "eva@example.com",
        "phone": "+56961234567",
    }
    other = given | {"given_name": cage["reused_name"], "email": cage.email("refused_email")}

    def register(given: dict[str, Any], command_id: UUID) -> str:
        command = RegisterUser.model_validate(given)
        return repr(acta.ledger.answer(command, SOMEBODY, command_id))

    register(given, command_id)
    for faulty, under in (
        (other, command_id),
        (other | {"phone": cage["refused_phone"] + "0"}, uuid4()),
        (other | {"email": cage["refused_email"]}, uuid4()),
    ):
        with pytest.raises((Fault, ValidationError)) as raised:
            register(faulty, under)
        said.append(f"{raised.value} {raised.value!r}")

    with ThreadPoolExecutor(4) as threads:
        raced = given | {"email": "race@example.com"}
        said += threads.map(lambda _: register(raced, uuid4()), range(8))
    return said


Terminal = Callable[[dict[str, str], Sequence[str]], str]


@pytest.fixture
def terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Runs ``acta`` in an environment; returns all that it said."""

    def run(environment: dict[str, str], arguments: Sequence[str]) -> str:
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            with pytest.raises(SystemExit):
                main(arguments)
        out, err = capfd.readouterr()
        assert out or err
        return f"{out}{err}"

    return run


def at_the_terminal(
    terminal: Terminal, cage: Cage, environment: dict[str, str], folder: Path
) -> str:
    """What ``acta`` says of files with faults, of strangers, and of what is not there."""
    (folder / "lines.jsonl").write_bytes(b"\n".join(refused_lines(cage) + faulty_lines(cage)))
    listing = ["invite", "import", f"plan:{PLAN}"]
    importing = ["--actor", "person:director@example.com", "--at", NOON.isoformat()]
    stranger = cage.email("refused_email")
    missing_keys = {"ACTA_KEYS": str(folder / "none")}
    nowhere = {
        "ACTA_DATABASE_URL": f"postgresql://acta_application:{cage['faulty_name']}@127.0.0.1:1/acta"
    }
    runs: Sequence[tuple[dict[str, str], Sequence[str]]] = (
        ({}, ["apply", str(folder / "lines.jsonl")]),
        ({}, ["apply", str(folder / "lines.jsonl"), "--json"]),
        ({}, ["billing", stranger]),
        ({}, ["history", cage["faulty_name"]]),
        ({}, ["study", stranger, "--json"]),
        ({}, ["erase", stranger, "--actor", f"account_manager:{MANAGER.id}"]),
        ({}, ["check", stranger, cage["faulty_name"]]),
        *(
            ({}, [*listing, str(file), *importing, *options])
            for file in faulty_lists(cage, folder)
            for options in ([], ["--json"], ["--dry-run"])
        ),
        ({}, ["plan", f"plan:{PLAN}"]),
        ({}, ["contract", CONTRACT]),
        ({}, ["contracts", "--json"]),
        (
            {},
            ["check", cage.email("linked_email"), "module:documentation", "--at", NOON.isoformat()],
        ),
        ({}, ["ticket", "1"]),
        ({}, ["ticket", "2", "--actor", f"person:{stranger}"]),
        ({}, ["tickets", "--json"]),
        ({}, ["parked"]),
        ({}, ["status"]),
        (missing_keys, ["billing", cage.email("new_email")]),
        (nowhere, ["billing", cage.email("new_email")]),
    )
    return "".join(terminal(environment | changed, arguments) for changed, arguments in runs)


def faulty_lists(cage: Cage, folder: Path) -> Iterator[Path]:
    """Lists to import with faults in every cell, without a header, and with rows refused."""
    header = "Nombres;Apellido paterno;Apellido materno;RUT;Correo electrónico;Teléfono móvil;Rol"
    name, email = cage["faulty_name"], cage.email("faulty_email")
    rows = [
        [name * 20, "", name, f"{cage['rut']}-{name}", email + "@", cage["phone"] + "0", name],
        [name, name, name, cage["rut"], email, cage["phone"], "user"],
        ["=" + name, name, name, cage["rut"], email, cage["phone"], "user", name],
    ]
    lines = [";".join(cells) for cells in rows]
    for called, text in (
        ("faulty", [header, *lines]),
        ("headless", lines),
        ("doubled", [f"{header};Otra;Rol", *lines]),
    ):
        file = folder / f"{called}.csv"
        file.write_text("\n".join(text), encoding="latin-1")
        yield file


@dataclass
class Search:
    """Where the canaries were found: in files, in tables, in what was said."""

    files: dict[str, set[str]]
    tables: dict[str, set[str]]
    said: dict[str, set[str]]


def search(home: Path, keys: Path, cage: Cage, cipher: Cipher | None = None) -> Search:
    """Uses a ledger, and looks everywhere: while it is open, spilled to disk, and closed."""
    canaries = cage.kept | cage.never_stored
    settings = Settings.model_validate({"home": home, "keys": keys})
    folder = home / "postgresql"
    with (
        EmbeddedServer.start(home) as server,
        open_ledger(settings, cipher=cipher) as acta,
        connect(server.addresses.administrator) as administrator,
    ):
        said = use(acta, cage)
        canaries |= secrets_of(acta, administrator)
        look = Canaries(canaries)
        administrator.execute("ANALYZE")
        administrator.execute("CHECKPOINT")
        with spilled(administrator):
            files = look.found_in(files_of(folder))
            assert list(folder.rglob("pgsql_tmp/*"))
        tables = look.found_in(tables_of(administrator))
    _add(files, look.found_in(files_of(folder)))
    return Search(files, tables, look.found_in([("said", "\n".join(said).encode())]))


def _add(found: dict[str, set[str]], more: dict[str, set[str]]) -> None:
    for name, places in more.items():
        found.setdefault(name, set()).update(places)


def secrets_of(acta: Acta, administrator: Connection) -> dict[str, Canary]:
    """The unwrapped keys: they are to stand in the database as little as what they seal."""
    rows = administrator.execute("SELECT person, purpose FROM vault.keys").fetchall()
    keys, new = acta.vault.keys_for((person, Purpose(purpose)) for person, purpose in rows)
    assert len(keys) >= 3
    assert not new
    secrets = [key.key for key in keys.values()]
    secrets += [acta.vault._secret(name) for name in (INDEX_SECRET, INPUT_SECRET)]
    secrets += [file.read_bytes() for file in acta.vault._folder.folder.iterdir()]
    return {f"key {number}": Canary.secret(key) for number, key in enumerate(secrets)}


@contextmanager
def spilled(administrator: Connection) -> Iterator[None]:
    """A sort of the log that does not fit into memory, and so stands in temporary files."""
    with administrator.transaction():
        administrator.execute("SET LOCAL work_mem = '64kB'")
        administrator.execute(
            "DECLARE sorted CURSOR FOR SELECT e.*, n"
            " FROM ledger.events e, generate_series(1, 500) n ORDER BY md5(n::text), payload"
        )
        administrator.execute("FETCH 1 FROM sorted")
        yield


@pytest.fixture(params=[0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 6))])
def cage(request: pytest.FixtureRequest) -> Cage:
    """Canaries of another seed in each round of a soak."""
    return Cage(random.Random(seed() * 100 + request.param))


@pytest.mark.rule("A11")
def test_no_canary_is_in_clear_anywhere(
    cage: Cage,
    state_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    terminal: Terminal,
) -> None:
    caplog.set_level(logging.DEBUG)
    with home_of(state_folder / "sealed") as home:
        found = search(home, tmp_path / "keys", cage)
        environment = {"ACTA_HOME": str(home), "ACTA_KEYS": str(tmp_path / "keys")}
        with EmbeddedServer.start(home):  # else each command starts and stops it
            told = at_the_terminal(terminal, cage, environment, tmp_path)

    assert found.files == {}
    assert found.tables == {}
    assert found.said == {}
    assert "A3" in told
    assert "I3" in told
    look = Canaries(cage.kept | cage.never_stored)
    reports = [(file.name, file.read_bytes()) for file in tmp_path.glob("*.report.csv")]
    assert reports
    assert look.found_in(reports) == {}
    assert look.found_in([("the terminal", told.encode()), ("log", caplog.text.encode())]) == {}


@pytest.mark.rule("A11")
def test_the_same_search_without_sealing_finds_each(
    cage: Cage, state_folder: Path, tmp_path: Path
) -> None:
    """In files and in tables; what was refused or faulty is in neither, and no key is."""
    with home_of(state_folder / "clear") as home:
        found = search(home, tmp_path / "keys", cage, cipher=NoCipher())

    assert set(found.files) == set(cage.kept)
    assert set(found.tables) == set(cage.kept)
    assert any("pg_wal" in place for place in found.files["given_name"])
    assert any("pgsql_tmp" in place for place in found.files["given_name"])
    assert {"ledger.events", "projections.account_history"} <= found.tables["given_name"]
    assert found.tables["card_token"] == {"vault.payment_tokens"}


def test_the_search_finds_every_spelling_and_encoding(tmp_path: Path) -> None:
    """The search itself: hidden at any place of a file, in any form, it is found."""
    chance = random.Random(seed())
    canaries = {
        "word": Canary.word(chance),
        "rut": Canary.rut(chance),
        "phone": Canary.phone(chance),
        "key": Canary.secret(os.urandom(32)),
    }
    look = Canaries(canaries)
    for name, canary in canaries.items():
        for needle in canary.needles():
            noise = chance.randbytes(chance.randint(0, 7))
            (tmp_path / "file").write_bytes(noise + needle + noise)
            assert look.found_in(files_of(tmp_path)) == {name: {"file"}}
    assert look.found_in([("noise", chance.randbytes(4096))]) == {}
    rut, phone = canaries["rut"], canaries["phone"]
    assert f"{rut.text[:2]}.{rut.text[2:5]}.{rut.text[5:]}" in rut.spellings
    assert f"+56 9 {phone.text[4:8]} {phone.text[8:]}" in phone.spellings
