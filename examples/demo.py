"""The demo: plays the input files beside it into a fresh embedded database, and asks questions.

Run it with ``make demo``. Every step is an ``acta`` command that you can type yourself.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from handlers.store.embedded import EmbeddedServer, default_home

EXAMPLES = Path(__file__).parent
HOME = default_home() / "demo"
ACTA = Path(sys.executable).with_name("acta")

ANA, BRUNO = "ana.rojas@example.cl", "bruno.soto@example.cl"
CARLA, DIEGO = "carla@munoz-pinto.example.cl", "diego.fuentes@example.cl"
ELENA, FELIPE = "elena.castro@example.cl", "felipe.reyes@example.cl"

YES, NO, SOME_REFUSED = 0, 1, 1


def main() -> int:
    """Plays the demo; 0 when every command ended as it should."""
    shutil.rmtree(HOME, ignore_errors=True)
    print(f"An embedded PostgreSQL starts under {HOME}; it stops when the demo ends.")
    # Held open, so that not every command starts and stops the server.
    with EmbeddedServer.start(HOME):
        as_it_should = [*commands_and_refusals(), *access(), *histories(), *erasure()]
    print(f"\nLook around yourself:  ACTA_HOME={shlex.quote(str(HOME))} acta check {ANA} content")
    return 0 if all(as_it_should) else 1


def commands_and_refusals() -> list[bool]:
    """Files of commands: applied, applied again, and refused by rule."""
    return [
        step("Six people register", "apply", file("1-registrations.jsonl")),
        step("Five of them subscribe, pay and study", "apply", file("2-subscriptions.jsonl")),
        step(
            "The same file again: every line has its answer, nothing happens twice",
            "apply", file("2-subscriptions.jsonl"),
        ),
        step(
            "What is not allowed is refused, by rule and with the way out",
            "apply", file("3-refusals.jsonl"), ends=SOME_REFUSED,
        ),
        step(
            "Endings, a suspension, a lapse and a return",
            "apply", file("4-changes.jsonl"), ends=SOME_REFUSED,
        ),
    ]  # fmt: skip


def access() -> list[bool]:
    """Access checks: a yes, and noes that show the way out."""
    return [
        step("Ana has paid: yes", "check", ANA, "content", "--at", "2026-04-15T12:00:00-04:00"),
        step(
            "Bruno never paid: no, and what to do",
            "check", BRUNO, "content", "--at", "2026-04-15T12:00:00-04:00", ends=NO,
        ),
        step(
            "Diego ended his subscription, and his last paid day has passed",
            "check", DIEGO, "content", "--at", "2026-03-20T12:00:00-03:00", ends=NO,
        ),
        step(
            "Carla's three months ran out: expired",
            "check", CARLA, "content", "--at", "2026-05-05T12:00:00-04:00", ends=NO,
        ),
        step(
            "A week later she has paid anew: yes",
            "check", CARLA, "content", "--at", "2026-05-12T12:00:00-04:00",
        ),
        step(
            "Felipe is suspended, though he has paid",
            "check", FELIPE, "content", "--at", "2026-03-01T12:00:00-03:00", ends=NO,
        ),
    ]  # fmt: skip


def histories() -> list[bool]:
    """What was paid, what was studied, and all that happened to an account."""
    return [
        step("What Carla was charged and paid", "billing", CARLA),
        step("What Ana studied", "study", ANA),
        step("All that happened to Carla's account, as an auditor may read it",
             "history", CARLA, "--actor", "auditor"),
    ]  # fmt: skip


def erasure() -> list[bool]:
    """A person is erased: the facts stay, the person in them becomes unreadable."""
    account = account_id(ELENA)
    at = "2026-06-01T10:00:00-04:00"
    return [
        step("Elena asks to be erased", "erase", ELENA, "--actor", f"account_manager:{manager()}",
             "--at", at, "--yes"),
        step("Her facts stay, under her account's id; she can no longer be read",
             "history", f"account:{account}", "--actor", "auditor"),
        step("Her e-mail means nobody any more", "check", ELENA, "content", "--at", at, ends=NO),
        step("Old copies of the database become unreadable too", "keys", "rotate"),
        step("The state of the log", "status"),
    ]  # fmt: skip


def step(title: str, *arguments: str, ends: int = 0) -> bool:
    """Shows a command and what it prints; whether it ended as it should."""
    shown = " ".join(shlex.quote(argument) for argument in arguments)
    print(f"\n── {title}\n$ acta {shown}", flush=True)
    ended = subprocess.run([ACTA, *arguments], check=False, env=environment()).returncode
    if ended != ends:
        print(f"(it ended with {ended}, and should have with {ends})", file=sys.stderr)
    return ended == ends


def account_id(who: str) -> str:
    """The account that an e-mail means now."""
    asked = subprocess.run(
        [ACTA, "check", who, "content", "--json"],
        check=False, env=environment(), stdout=subprocess.PIPE,
    )  # fmt: skip
    return str(json.loads(asked.stdout)["account"])


def manager() -> str:
    """The account manager of the input files."""
    for line in (EXAMPLES / "4-changes.jsonl").read_text(encoding="utf-8").splitlines():
        actor = json.loads(line)["actor"]
        if actor["kind"] == "account_manager":
            return str(actor["id"])
    raise LookupError("the input files name no account manager")


def file(name: str) -> str:
    """An input file, by the shortest path."""
    return os.path.relpath(EXAMPLES / name)


def environment() -> dict[str, str]:
    """The caller's environment, with the demo's own ledger."""
    others = {name: value for name, value in os.environ.items() if name != "ACTA_DATABASE_URL"}
    return {**others, "ACTA_HOME": str(HOME)}


if __name__ == "__main__":
    sys.exit(main())
