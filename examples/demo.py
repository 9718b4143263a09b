"""The demo: plays a year and more of a small platform into a fresh database, and asks questions.

Run it with ``make demo``. Every step is an ``acta`` command that you can type yourself.
"""

import io
import json
import os
import shlex
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

from handlers.cli import main as acta
from handlers.payments.embedded import EmbeddedGateway, OrderedFault
from handlers.store.embedded import EmbeddedServer, default_home

YEAR = Path(__file__).parent / "year"
HOME = default_home() / "demo"

ANA, DIEGO = "ana.rojas@example.cl", "diego.fuentes@example.cl"
ELENA, FELIPE = "elena.castro@example.cl", "felipe.reyes@example.cl"
OLIVIA = "olivia.cortes@example.cl"

AROMOS, SUR = "5a1f7d0e-3c64-4f0b-9a52-6b1e8c2d7f10", "c27e9b41-80d5-4e3a-b6f8-1d94a05e3b72"
MARTA, JORGE = "marta.villalobos@losaromos.example.cl", "jorge.pinto@losaromos.example.cl"
SUSANA, CAMILA = "susana.krause@losaromos.example.cl", "camila.marambio@losaromos.example.cl"
TOMAS, AMARO = "tomas.barria@delsur.example.cl", "amaro.huenchuman@delsur.example.cl"
PAMELA = "pamela.saez@delsur.example.cl"
LUCIA = "lucia.prado@montajeslugo.example.es"
CONTRACT = "b3df09e1-6028-4b2e-9e40-092199ec60d1"

MANAGER = "account_manager:8f36c487-4e75-4da9-a5bc-d7916f1acda0"

GATEWAY_IS_AWAY = "error,since=2027-02-03T00:00:00-03:00,until=2027-02-05T00:00:00-03:00"

NO, SOME_REFUSED = 1, 1


def main() -> int:
    """Plays the demo; 0 when every command ended as it should."""
    shutil.rmtree(HOME, ignore_errors=True)
    # Neither a database nor a gateway of somebody's own: the demo has what it needs.
    for name in ("DATABASE_URL", "GATEWAY_URL", "GATEWAY_KEY", "GATEWAY_WEBHOOK_SECRET"):
        os.environ.pop(f"ACTA_{name}", None)
    os.environ["ACTA_HOME"] = str(HOME)
    print(f"An embedded PostgreSQL starts under {HOME}; it stops when the demo ends.")
    # Held open, so that not every command starts and stops the server.
    with EmbeddedServer.start(HOME):
        parts = (
            the_year, the_year_again, access, institutions, help_desk, histories, erasure,
            the_clock,
        )  # fmt: skip
        as_it_should = [ended for part in parts for ended in part()]
    print(f"\nLook around yourself:  ACTA_HOME={shlex.quote(str(HOME))} acta check {ANA} content")
    return 0 if all(as_it_should) else 1


def the_year() -> list[bool]:
    """Files of commands and lists of people, in the order of the year."""
    return [
        step(
            "January to March: people register and pay; a school opens a plan",
            "apply", file("01-january-to-march.jsonl"), ends=SOME_REFUSED,
        ),
        step(
            "The school tries its list of people first: nothing happens yet",
            *aromos_list(), "--dry-run", ends=SOME_REFUSED,
        ),
        step(
            "It imports the list: every row has its answer, and a bad one stops no other",
            *aromos_list(), ends=SOME_REFUSED, tail=4,
        ),
        step(
            "April to June: most accept; roles change; the school pays late; an institute joins",
            "apply", file("04-april-to-june.jsonl"), ends=SOME_REFUSED,
        ),
        step(
            "The institute imports its list, until no seat is left",
            *sur_list(), ends=SOME_REFUSED,
        ),
        step(
            "July to September: seats are added, and the last administrator stays",
            "apply", file("07-july-to-september.jsonl"), ends=SOME_REFUSED,
        ),
        step(
            "October to December: somebody is forgotten, and a plan ends",
            "apply", file("10-october-to-december.jsonl"), ends=SOME_REFUSED,
        ),
        step(
            "The same months at the help desk: a contract, its people, and what they ask",
            "apply", file("10-tickets-and-contracts.jsonl"), ends=SOME_REFUSED,
        ),
    ]  # fmt: skip


def the_year_again() -> list[bool]:
    """The same files: everything has its answer already."""
    again = [
        ("apply", file("01-january-to-march.jsonl")),
        aromos_list(),
        ("apply", file("04-april-to-june.jsonl")),
        sur_list(),
        ("apply", file("07-july-to-september.jsonl")),
        ("apply", file("10-october-to-december.jsonl")),
        ("apply", file("10-tickets-and-contracts.jsonl")),
    ]
    print("\n── The whole year again: the same answers, and nothing happens twice", end="")
    return [step("", *arguments, ends=SOME_REFUSED, tail=4) for arguments in again]


def access() -> list[bool]:
    """Access checks: a yes, and noes that show the way out."""
    return [
        step(
            "Ana has paid: yes, and the events that it rests on",
            *content(ANA, "2026-04-15T12:00:00-04:00"),
        ),
        step(
            "Felipe is suspended, though he has paid",
            *content(FELIPE, "2026-03-01T12:00:00-03:00"), ends=NO,
        ),
        step(
            "As of April he is suspended no longer: every answer is of an instant",
            *content(FELIPE, "2026-04-01T12:00:00-03:00"),
        ),
        step(
            "Susana studies through her school's plan, which had run out",
            *content(SUSANA, "2026-06-12T12:00:00-04:00"), ends=NO,
        ),
        step("A week later the school has paid", *content(SUSANA, "2026-06-19T12:00:00-04:00")),
        step(
            "Camila was removed from the plan",
            *content(CAMILA, "2026-06-19T12:00:00-04:00"), ends=NO,
        ),
        step(
            "In August she goes on by herself, with the account that she had",
            *content(CAMILA, "2026-08-19T12:00:00-04:00"),
        ),
        step(
            "Amaro has not followed his invitation",
            *content(AMARO, "2026-12-20T12:00:00-03:00"), ends=NO,
        ),
        step(
            "Jorge administers his plan",
            "check", JORGE, f"plan:{AROMOS}:administer", "--lang", "en",
            "--at", "2026-06-19T12:00:00-04:00",
        ),
        step(
            "Susana does not",
            "check", SUSANA, f"plan:{AROMOS}:administer", "--lang", "en",
            "--at", "2026-06-19T12:00:00-04:00", ends=NO,
        ),
    ]  # fmt: skip


def institutions() -> list[bool]:
    """A plan, its members and invitations; names are for those whom G1 allows."""
    pamela = f"person:{PAMELA}"
    in_winter, at_the_end = "2026-06-30T12:00:00-04:00", "2026-12-20T12:00:00-03:00"
    return [
        step("The plan of the institute, as the year ends", "plan", SUR, "--at", at_the_end),
        step(
            "Its members as of June, as the administrator Pamela sees them",
            "members", SUR, "--at", in_winter, "--actor", pamela,
        ),
        step("The same to anybody else: no name, no address", "members", SUR, "--at", in_winter),
        step(
            "Whom Pamela can remind of an invitation",
            "invitations", SUR, "--state", "open", "--at", at_the_end, "--actor", pamela,
        ),
        step("The lists that it imported", "imports", SUR),
    ]  # fmt: skip


def help_desk() -> list[bool]:
    """A module that opens step by step, and what was asked about it meanwhile."""
    staff, at_the_end = "support_staff", "2026-10-22T13:00:00+02:00"
    return [
        step(
            "Lucía does not see her module: what is in the way, in her language, and whom to call",
            *module("2026-10-13T08:30:00+02:00"), "--actor", f"person:{LUCIA}", ends=NO,
        ),
        step(
            "An hour later, in English: nothing but a role is left",
            *module("2026-10-13T10:05:00+02:00"), "--lang", "en", ends=NO,
        ),
        step("Then it opens, and the answer names all that it rests on",
             *module("2026-10-13T12:00:00+02:00")),
        step("A new version of a document asks anew",
             *module(at_the_end), "--lang", "en", ends=NO),
        step("Her contract, as she may see it",
             "contract", CONTRACT, "--at", at_the_end, "--actor", f"person:{LUCIA}"),
        step("Which contracts run out soon",
             "contracts", "--ending-within", "60", "--at", at_the_end),
        step("Her ticket: who wrote, and why it is there", "ticket", "1",
             "--at", at_the_end, "--actor", staff),
        step("What waits at the desk", "tickets", "--state", "open",
             "--at", at_the_end, "--actor", staff),
        step("Nothing is parked: every event could be applied", "parked"),
    ]  # fmt: skip


def histories() -> list[bool]:
    """What was paid, what was studied, and all that happened to an account."""
    return [
        step("Diego had a rough year", "billing", DIEGO),
        step("What Ana studied", "study", ANA),
        step("All that happened to Camila's account, as an auditor may read it",
             "history", CAMILA, "--actor", "auditor"),
    ]  # fmt: skip


def erasure() -> list[bool]:
    """A person is erased: the facts stay, the person in them becomes unreadable."""
    account = account_of(ELENA)
    at = "2026-12-28T10:00:00-03:00"
    return [
        step("Elena asks to be erased", "erase", ELENA, "--actor", MANAGER, "--at", at, "--yes"),
        step("Her facts stay, under her account's id; she can no longer be read",
             "history", f"account:{account}", "--actor", "auditor"),
        step("Her e-mail means nobody any more", *content(ELENA, at), ends=NO),
        step("Old copies of the database become unreadable too", "keys", "rotate"),
        step("Read models follow from the log alone: one of them is built anew",
             "project", "--once", "--rebuild", "institutions"),
    ]  # fmt: skip


def the_clock() -> list[bool]:
    """January to March 2027: cards are charged, and whatever else is due is done."""
    gateway = EmbeddedGateway(
        HOME / "gateway.jsonl", "sk_test_demo", faults=[OrderedFault.parse(GATEWAY_IS_AWAY)]
    )
    with gateway.in_thread():
        os.environ["ACTA_GATEWAY_URL"], os.environ["ACTA_GATEWAY_KEY"] = gateway.url, "sk_test_demo"
        print("\n── A payment gateway that takes no money listens, as this would run it:")
        print(f"$ acta gateway --fault {GATEWAY_IS_AWAY}")
        return [*_january(), *_february_and_march(), *_transfers()]


def _january() -> list[bool]:
    return [
        step(
            "In December cards are chosen anew, as tokens; the school comes back; prices change",
            "apply", file("12-cards-in-2027.jsonl"), ends=SOME_REFUSED,
        ),
        step(
            "What is due until the first days of January",
            "due", "--until", "2027-01-03T12:00:00-03:00",
        ),
        step("The clock runs to the end of January", *tick("2027-01-31T23:59:00-03:00")),
        step("Diego's card was declined twice, and then paid", "billing", DIEGO, tail=9),
        step(
            "Olivia's card was declined, too; while it is tried again, she has access",
            *content(OLIVIA, "2027-01-12T12:00:00-03:00"),
        ),
        step(
            "The last try has failed",
            *content(OLIVIA, "2027-01-16T12:00:00-03:00"), ends=NO,
        ),
    ]  # fmt: skip


def _february_and_march() -> list[bool]:
    return [
        step("On 3 February the gateway is away", *tick("2027-02-03T12:00:00-03:00")),
        step("Nobody knows whether Camila has paid: it is asked until it is known",
             "billing", CAMILA, tail=6),
        step("Some of what was paid is to go back, and never more than that",
             "apply", file("12-refunds-in-2027.jsonl"), ends=SOME_REFUSED),
        step("The clock runs to the end of March", *tick("2027-03-31T23:59:00-03:00")),
        step("Once more: nothing happens twice", *tick("2027-03-31T23:59:00-03:00")),
        step("It is known by now, and was charged once", "billing", CAMILA, tail=8),
        step("The school's months, and what it got back", "billing", f"plan:{AROMOS}", tail=17),
    ]  # fmt: skip


def _transfers() -> list[bool]:
    statement = (
        "transfers", "import", file("12-transfers-in-2027.csv"), "--actor", MANAGER,
        "--at", "2027-03-31T18:00:00-03:00", "--report", str(HOME / "transfers.report.csv"),
    )  # fmt: skip
    return [
        step("The bank's statement: every line has its answer", *statement, ends=SOME_REFUSED),
        step("The same statement again", *statement, ends=SOME_REFUSED, tail=4),
    ]


# ---------------------------------------------------------------- what the steps are made of


def aromos_list() -> tuple[str, ...]:
    """The import of the school's list, by its super-administrator."""
    return (
        "invite", "import", AROMOS, file("04-01-colegio-los-aromos.csv"),
        "--actor", f"person:{MARTA}", "--at", "2026-04-01T09:00:00-03:00",
        "--report", str(HOME / "aromos.report.csv"),
    )  # fmt: skip


def sur_list() -> tuple[str, ...]:
    """The import of the institute's list, by an administrator."""
    return (
        "invite", "import", SUR, file("07-01-instituto-del-sur.xlsx"),
        "--actor", f"person:{TOMAS}", "--at", "2026-07-01T09:00:00-04:00",
        "--report", str(HOME / "sur.report.csv"),
    )  # fmt: skip


def content(who: str, at: str) -> tuple[str, ...]:
    """A check of content at an instant."""
    return ("check", who, "content", "--lang", "en", "--at", at)


def tick(until: str) -> tuple[str, ...]:
    """The clock, played up to an instant."""
    return ("tick", "--until", until)


def module(at: str) -> tuple[str, ...]:
    """A check of Lucía's module at an instant."""
    return ("check", LUCIA, "module:documentation", "--at", at)


def step(title: str, *arguments: str, ends: int = 0, tail: int | None = None) -> bool:
    """Shows a command and what it prints, or the tail of it; whether it ended as it should."""
    shown = " ".join(shlex.quote(argument) for argument in arguments)
    pipe = f" | tail -n {tail}" if tail else ""
    print(f"\n── {title}\n$ acta {shown}{pipe}" if title else f"\n$ acta {shown}{pipe}", flush=True)
    if tail is None:
        ended = run(*arguments)
    else:
        ended, printed = printed_by(*arguments)
        print("\n".join(printed.splitlines()[-tail:]), flush=True)
    if ended != ends:
        print(f"(it ended with {ended}, and should have with {ends})", file=sys.stderr)
    return ended == ends


def run(*arguments: str) -> int:
    """Gives a command in this process, which spares the start of another one."""
    try:
        acta(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def printed_by(*arguments: str) -> tuple[int, str]:
    """How a command ends, and what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        ended = run(*arguments)
    return ended, printed.getvalue()


def account_of(who: str) -> str:
    """The id of the account that an e-mail means now."""
    _, printed = printed_by("check", who, "content", "--json")
    return str(json.loads(printed)["account"])


def file(name: str) -> str:
    """An input file, by the shortest path."""
    return os.path.relpath(YEAR / name)


if __name__ == "__main__":
    sys.exit(main())
