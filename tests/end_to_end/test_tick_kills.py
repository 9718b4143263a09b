"""A year that is played and killed again and again ends where an undisturbed one ends (S6, S7).

Each thing is done once, whatever is killed, and though two do it at the same time: the log is the
same (D15), and the gateway's own book has no double capture, and none that Acta does not know. A
normal run kills a few times; ``make soak`` plays 2,000 subscriptions and kills 200 times.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain.due import DueKind
from domain.subscription import (
    ChoosePaymentMethod,
    EndSubscription,
    PaymentCaptured,
    PaymentMeans,
)
from handlers.composition import Acta, open_ledger
from handlers.settings import Settings
from handlers.store.embedded import EmbeddedServer
from handlers.workers.clock import Clock
from handlers.workers.clock_run import ClockReport
from tests.conftest import TestDatabase
from tests.end_to_end.log_comparison import compare_logs, read_log, recorded_log
from tests.end_to_end.test_kills import BETWEEN, ROOT, STARTING, Kill
from tests.handlers.clockwork import copied
from tests.handlers.stories import Story, noon

POINTS = ("before append", "after commit", "commands given", "gateway asked", "outcomes recorded")
TWO = "two at the same time"
END = noon(2027, 1, 20)
DAYS = (3, 14, 20, 31)
CARDS = (
    *["pm_card_visa"] * 6,
    "pm_card_declinesFirst1",
    "pm_card_declinesFirst3",
    "pm_card_chargeDeclinedInsufficientFunds",
    None,
)
FAULTS = (
    # It is charged, and the answer does not come.
    "answer_lost,one_in=5",
    # Four days on which the gateway says nothing of any charge.
    "error,since=2026-05-03T00:00:00-04:00,until=2026-05-07T00:00:00-04:00",
)


def people(acta: Acta, number: int, random: Random) -> None:
    """So many who pay by card, and some of whom end their subscription."""
    story = Story(acta)
    for each in range(number):
        at = noon(2026, 1, random.choice(DAYS))
        member = story.subscriber(f"p{each}@example.com", at=at)
        story.ask(
            ChoosePaymentMethod(
                at=at, account=member.who, means=PaymentMeans.CARD, months=1,
                card_token=random.choice(CARDS),
            ),
            member.itself,
        )  # fmt: skip
        if random.random() < 0.05:
            story.ask(EndSubscription(at=at, account=member.who), member.itself)


# ---------------------------------------------------------------- the gateway


@contextmanager
def gateway(book: Path) -> Iterator[dict[str, str]]:
    """The embedded gateway in a process of its own; the settings with which it is asked."""
    acta = Path(sys.executable).with_name("acta")
    told = [acta, "gateway", "--book", book, "--json"]
    told += [part for fault in FAULTS for part in ("--fault", fault)]
    with subprocess.Popen(told, stdout=subprocess.PIPE, text=True) as process:  # type: ignore[arg-type]
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            # No answer is late on a slow machine: what is unknown is unknown by order.
            yield {**said, "ACTA_GATEWAY_TIMEOUT_SECONDS": "120"}
        finally:
            process.terminate()


def captures(settings: Mapping[str, str]) -> Counter[str]:
    """How often each payment was captured, by the gateway's own book."""
    request = urllib.request.Request(  # noqa: S310  its own address
        f"{settings['ACTA_GATEWAY_URL']}/book",
        headers={"Authorization": f"Bearer {settings['ACTA_GATEWAY_KEY']}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310  its own address
        book: Any = json.load(answer)
    return Counter(
        charge["metadata"]["payment"]
        for charge in book["charges"]
        if charge["status"] == "succeeded"
    )


# ---------------------------------------------------------------- killing


class Counting:
    """Counts how often each point is reached."""

    def __init__(self) -> None:
        self.times = Counter[str]()

    def reached(self, point: str) -> None:
        """Told by the ledger and the clock."""
        self.times[point] += 1


def kills(number: int, reached: Mapping[str, int], random: Random) -> list[Kill]:
    """So many kills, each moment among them, that together do not come to the end of the year."""
    moments = [*POINTS, BETWEEN, TWO, STARTING]
    chosen = [moments[place % len(moments)] for place in range(number)]
    random.shuffle(chosen)
    return [
        Kill(
            moment,
            times=random.randint(1, max(1, reached.get(moment, 1) // (2 * number))),
            seconds=random.uniform(0, 0.3),
        )
        for moment in chosen
    ]


def start(environment: Mapping[str, str], kill: Kill | None = None) -> "subprocess.Popen[str]":
    """Plays the year in a process of its own."""
    told = [sys.executable, "-m", "tests.end_to_end.killable_tick", END.isoformat()]
    if kill is not None and kill.moment in POINTS:
        told += ["--kill-at", kill.moment, "--times", str(kill.times)]
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}
    return subprocess.Popen(
        told, cwd=ROOT, env={**others, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(environment: Mapping[str, str], kill: Kill) -> int:
    """Plays until that kill; returns how many processes were killed."""
    processes = [start(environment, kill) for _ in range(2 if kill.moment == TWO else 1)]
    if kill.moment in (BETWEEN, TWO):
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
    if kill.moment not in POINTS:
        with suppress(subprocess.TimeoutExpired):
            processes[0].wait(kill.seconds)
        for process in processes:
            process.kill()
    return sum(ended(process) for process in processes)


def ended(process: "subprocess.Popen[str]") -> bool:
    """Whether it was killed; otherwise it has ended well."""
    with process:
        _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def undisturbed(settings: Settings) -> tuple[ClockReport, Counter[str]]:
    """The year at once, and how often each point was reached."""
    counting = Counting()
    with open_ledger(settings, reached=counting.reached) as acta:
        acta.projector.catch_up()
        counting.times.clear()
        clock = Clock(
            acta.ledger, acta.store, acta.due, acta.tokens, acta.gateway, reached=counting.reached
        )
        return clock.run(END), counting.times


def environment_of(database: TestDatabase, gateway: Mapping[str, str]) -> dict[str, str]:
    """Names the ledger and the gateway."""
    return {
        "ACTA_DATABASE_URL": database.application, "ACTA_KEYS": str(database.keys), **gateway,
    }  # fmt: skip


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The same, for this process."""
    return Settings.model_validate(
        {name.removeprefix("ACTA_").lower(): value for name, value in environment.items()}
    )


def kill_and_compare(
    server: EmbeddedServer,
    database: TestDatabase,
    folder: Path,
    *,
    number: int,
    subscriptions: int,
    seed: int,
) -> None:
    """The whole of it, for so many kills and subscriptions."""
    random = Random(seed)
    with open_ledger(database.settings()) as acta:
        people(acta, subscriptions, random)
    with (
        copied(server, database) as copy,
        gateway(folder / "calm.jsonl") as calm,
        gateway(folder / "wild.jsonl") as wild,
    ):
        report, reached = undisturbed(settings_of(environment_of(database, calm)))
        print(f"{subscriptions} subscriptions, seed {seed}: {dict(report.done)}")
        environment = environment_of(copy, wild)
        counted = Counter[str]()
        for kill in kills(number, reached, random):
            counted[kill.moment] += run(environment, kill)
        told = ", ".join(f"{count} {moment}" for moment, count in sorted(counted.items()))
        print(f"{counted.total()} kills: {told}")
        # Each run was killed, so that together they have not come to the end.
        assert counted.total() >= number
        both = [start(environment), start(environment)]
        assert [ended(process) for process in both] == [False, False]
        assert_same_end(database, copy, captures(calm), captures(wild))
    assert report.complete
    for kind in (DueKind.RENEWAL, DueKind.RETRY, DueKind.RESOLUTION, DueKind.LAPSE):
        assert report.done[kind] > 0


def assert_same_end(
    database: TestDatabase, copy: TestDatabase, one: Counter[str], other: Counter[str]
) -> None:
    """The same log, and the same money: each capture once, and on record."""
    with open_ledger(database.settings()) as calm, open_ledger(copy.settings()) as wild:
        assert compare_logs(read_log(calm), read_log(wild)) == []
        known = {
            str(entry.event.payment)
            for entry in recorded_log(wild)
            if isinstance(entry.event, PaymentCaptured)
            and entry.event.gateway_reference.startswith("pi_")
        }
    assert one == other
    assert set(other.values()) == {1}
    assert other.keys() == known


@pytest.mark.rule("S6", "S7")
def test_a_few_kills_change_nothing(
    server: EmbeddedServer, database: TestDatabase, tmp_path: Path
) -> None:
    """24 subscriptions, killed at each named point, while starting and in between."""
    kill_and_compare(server, database, tmp_path, number=12, subscriptions=24, seed=7)


@pytest.mark.soak
@pytest.mark.rule("S6", "S7")
def test_two_hundred_kills_change_nothing(
    server: EmbeddedServer, database: TestDatabase, tmp_path: Path
) -> None:
    """2,000 subscriptions and 200 kills."""
    seed = int(os.environ.get("ACTA_SOAK_SEED", "7"))
    kill_and_compare(server, database, tmp_path, number=200, subscriptions=2_000, seed=seed)
