"""The year in examples/, and the three months after it, in which the clock charges cards.

Commands are answered by rule and once, lists row by row, statements line by line.
"""

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from urllib3 import request

from domain.authority import MAY_GIVE
from domain.contract import ExpireContract, RemindContract
from domain.disclosure import OpenPersonalValue
from domain.invitation import RemindInvitation
from domain.invitation_import import ImportInvitations
from domain.operations import RetryParkedStream, SkipParkedEvent
from domain.subscription import CaptureRefund, FailRefund, RecordUnknownCharge, RemindPayment
from handlers.cli import main as acta
from handlers.composition import open_ledger
from handlers.payments.embedded import EmbeddedGateway, OrderedFault
from handlers.store.embedded import EmbeddedServer
from tests.conftest import TestDatabase, new_database
from tests.projections.contents import contents, rebuild

YEAR = Path(__file__).parents[2] / "examples" / "year"
FILES = sorted(path.name for path in YEAR.iterdir())
AROMOS, SUR = "5a1f7d0e-3c64-4f0b-9a52-6b1e8c2d7f10", "c27e9b41-80d5-4e3a-b6f8-1d94a05e3b72"
IMPORTS = {
    "04-01-colegio-los-aromos.csv": (
        AROMOS, "person:marta.villalobos@losaromos.example.cl", "2026-04-01T09:00:00-03:00",
    ),
    "07-01-instituto-del-sur.xlsx": (
        SUR, "person:tomas.barria@delsur.example.cl", "2026-07-01T09:00:00-04:00",
    ),
}  # fmt: skip
STATEMENT = "12-transfers-in-2027.csv"
MANAGER = "account_manager:8f36c487-4e75-4da9-a5bc-d7916f1acda0"
AT_THE_END = "2027-03-31T18:00:00-03:00"
THE_CLOCK_BEFORE = {"12-refunds-in-2027.jsonl": "2027-03-10T09:00:00-03:00", STATEMENT: AT_THE_END}
"""How far the clock has come when a file is given."""

COMMANDS = [name for name in FILES if name.endswith(".jsonl")]
GATEWAY_KEY = "sk_test_year"
GATEWAY_IS_AWAY = "error,since=2027-02-03T00:00:00-03:00,until=2027-02-05T00:00:00-03:00"


@dataclass(frozen=True)
class Year:
    """A ledger on which the year has been played; its files are answered in JSON."""

    database: TestDatabase
    gateway_url: str

    def __call__(self, *arguments: object) -> str:
        """What ``acta`` prints."""
        with (
            pytest.MonkeyPatch.context() as environment,
            redirect_stdout(io.StringIO()) as printed,
        ):
            environment.setenv("ACTA_DATABASE_URL", self.database.application)
            environment.setenv("ACTA_KEYS", str(self.database.keys))
            environment.setenv("ACTA_GATEWAY_URL", self.gateway_url)
            environment.setenv("ACTA_GATEWAY_KEY", GATEWAY_KEY)
            with pytest.raises(SystemExit) as ended:
                acta([*map(str, arguments), "--json"])
        assert ended.value.code in (None, 0, 1)
        return printed.getvalue()

    def play(self, clock: Mapping[str, str] = THE_CLOCK_BEFORE) -> dict[str, list[Any]]:
        """Gives every file, in the order of the year; the answers, by file.

        Args:
            clock: before which file it is played, and up to when.
        """
        answers: dict[str, list[Any]] = {}
        for name in FILES:
            if name in clock:
                self.project()
                self("tick", "--until", clock[name])
            answers[name] = list(map(json.loads, self._give(name).splitlines()))
        return answers

    def project(self) -> None:
        """Brings the read models up to the log."""
        with open_ledger(self.database.settings()) as opened:
            opened.projector.catch_up()

    def _give(self, name: str) -> str:
        report = self.database.keys.with_name("report.csv")
        if name in COMMANDS:
            return self("apply", YEAR / name)
        if name == STATEMENT:
            return self(
                "transfers", "import", YEAR / name, "--actor", MANAGER, "--at", AT_THE_END,
                "--report", report,
            )  # fmt: skip
        plan, actor, at = IMPORTS[name]
        return self(
            "invite", "import", plan, YEAR / name, "--actor", actor, "--at", at, "--report", report
        )


@pytest.fixture(scope="module")
def played(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Year, dict[str, list[Any]]]]:
    """The year and what follows it, played once, and what each file was answered."""
    folder = tmp_path_factory.mktemp("year")
    gateway = EmbeddedGateway(
        folder / "gateway.jsonl", GATEWAY_KEY, faults=[OrderedFault.parse(GATEWAY_IS_AWAY)]
    )
    with new_database(server, folder / "keys") as database, gateway.in_thread():
        year = Year(database, gateway.url)
        answers = year.play()
        year.project()
        yield year, answers


@pytest.fixture
def year(played: tuple[Year, dict[str, list[Any]]]) -> Year:
    return played[0]


@pytest.fixture
def answers(played: tuple[Year, dict[str, list[Any]]]) -> dict[str, list[Any]]:
    return played[1]


def test_every_command_has_its_place_in_the_year() -> None:
    """But for lists, events to open, and streams that are parked: no file knows those.

    And but for what the clock and the gateway give, whose ids follow from what is in the log.
    """
    given = {
        json.loads(line)["command"]
        for name in COMMANDS
        for line in (YEAR / name).read_bytes().splitlines()
    }
    elsewhere = {
        ImportInvitations.NAME,
        OpenPersonalValue.NAME,
        RetryParkedStream.NAME,
        SkipParkedEvent.NAME,
    }
    by_the_clock = {
        CaptureRefund.NAME,
        ExpireContract.NAME,
        FailRefund.NAME,
        RecordUnknownCharge.NAME,
        RemindContract.NAME,
        RemindInvitation.NAME,
        RemindPayment.NAME,
    }
    assert given == {command.NAME for command in MAY_GIVE} - elsewhere - by_the_clock


def test_its_files_are_in_the_order_of_time() -> None:
    """So that what it tells could have been told by somebody who did not know the future."""
    ids: Counter[str] = Counter()
    for name in COMMANDS:
        commands = [json.loads(line) for line in (YEAR / name).read_bytes().splitlines()]
        ids.update(command["id"] for command in commands)
        instants = [datetime.fromisoformat(command["at"]) for command in commands]
        if name in THE_CLOCK_BEFORE:
            assert instants[0] > datetime.fromisoformat(THE_CLOCK_BEFORE[name])
        elif not name.startswith("12-"):
            months = [instant.month for instant in instants]
            assert (months[0], months[-1]) == (int(name[:2]), int(name[:2]) + 2)
    assert set(ids.values()) == {1}


def test_what_must_be_refused_is_refused_by_its_rule(answers: dict[str, list[Any]]) -> None:
    """And nothing else is; three lines have faults of form."""
    summaries = [answers[name][-1]["summary"] for name in COMMANDS]
    refused = Counter[str]()
    for summary in summaries:
        refused.update(summary["refused_by_rule"])

    assert refused == {
        "A1": 2, "A10": 3, "A12": 1, "A3": 4, "A4": 1, "A5": 1, "A6": 1, "A9": 1,
        "C1": 1, "C2": 1, "C4": 1, "G1": 6, "I1": 4, "I3": 2, "I4": 2, "I6": 3, "I8": 5,
        "S1": 3, "S10": 6, "S11": 1, "S12": 2, "S2": 1, "S3": 1, "S4": 2, "S5": 6, "S6": 3,
        "T7": 3,
    }  # fmt: skip
    assert sum(summary["faulty"] for summary in summaries) == 3


@pytest.mark.rule("I2", "I3", "I4", "I5", "S10")
def test_every_row_of_a_list_has_its_answer(year: Year) -> None:
    """With everything that is wrong with it; all others are invited."""
    assert noes(year, AROMOS) == {
        8: ["I2 rut"],
        16: ["I2 email"],
        27: ["I3 email", "I3 rut"],  # the same person again
        34: ["I3", "I3"],  # Ana, who has an account
        41: ["I2 role"],
        50: ["I2 email"],  # a formula
        59: ["I2 maternal_surname", "I2 phone"],
    }
    assert noes(year, SUR) == {
        5: ["I4"],  # an administrator makes no super-administrator
        12: ["I3", "I3"],  # a member of the school
        16: ["I3", "I3"],  # invited already
        21: ["I2 rut"],  # a formula
        26: ["I2 rut", "I2 email"],
        31: ["S10"],  # no seat is left
        32: ["S10"],
        33: ["S10"],
    }
    assert counts(year, AROMOS) == (53, 1, 6)
    assert counts(year, SUR) == (22, 6, 2)


def noes(year: Year, plan: str) -> dict[int, list[str]]:
    """The rows of a plan's only list that invited nobody, each with its rules and columns."""
    (imported,) = json.loads(year("imports", plan))["imports"]
    rows = json.loads(year("imports", plan, "--rows", imported["invitation_import"]))["rows"]
    return {
        row["row"]: [f"{fault['rule']} {fault['column'] or ''}".strip() for fault in row["faults"]]
        for row in rows
        if row["outcome"] != "invited"
    }


def counts(year: Year, plan: str) -> tuple[int, int, int]:
    """How many rows were invited, refused and faulty."""
    (imported,) = json.loads(year("imports", plan))["imports"]
    return imported["invited"], imported["refused"], imported["faulty"]


LUCIA, CONTRACT = "lucia.prado@montajeslugo.example.es", "b3df09e1-6028-4b2e-9e40-092199ec60d1"


@pytest.mark.rule("C2", "C3", "C4", "X1", "X2")
@pytest.mark.parametrize(
    ("at", "in_the_way"),
    [
        pytest.param(
            "2026-10-10T12:00:00+02:00", ["C3", "C4", "C4", "C4"], id="before its first day"
        ),
        pytest.param("2026-10-13T08:30:00+02:00", ["C4", "C4", "C4"], id="documents, risks, roles"),
        pytest.param("2026-10-13T09:50:00+02:00", ["C4", "C4"], id="once the documents are read"),
        pytest.param("2026-10-13T10:05:00+02:00", ["C4"], id="once a risk is linked"),
        pytest.param("2026-10-13T12:00:00+02:00", [], id="once the role is filled"),
        pytest.param("2026-10-22T13:00:00+02:00", ["C4"], id="a new version asks anew"),
        pytest.param("2026-10-23T09:00:00+02:00", [], id="once that is read"),
        pytest.param("2026-11-02T12:00:00+01:00", ["C4"], id="another role is required"),
        pytest.param("2026-11-03T12:00:00+01:00", [], id="once it is filled"),
        pytest.param("2026-12-01T12:00:00+01:00", ["C3"], id="the contract was ended"),
        pytest.param("2026-12-02T12:00:00+01:00", [], id="and reactivated"),
    ],
)
def test_a_module_opens_step_by_step(year: Year, at: str, in_the_way: list[str]) -> None:
    answer = json.loads(year("check", LUCIA, "module:documentation", "--at", at))
    assert [obstacle["rule"] for obstacle in answer["obstacles"]] == in_the_way


@pytest.mark.rule("T1", "T2", "T3", "T4", "T7")
def test_the_desk_keeps_every_thread_together(year: Year) -> None:
    """A stranger's mail, a follow-up, and what was split and merged."""
    tickets = {each["number"]: each for each in json.loads(year("tickets"))["tickets"]}
    assert {number: each["state"] for number, each in tickets.items()} == {
        1: "closed", 2: "closed", 3: "open", 4: "open", 5: "open", 6: "merged",
    }  # fmt: skip
    thread = json.loads(year("ticket", 1, "--actor", "support_staff"))
    assert [message["placement"] for message in thread["messages"]] == [
        "opened", "direct", "direct", "in_reply_to", "in_reply_to", "direct",
    ]  # fmt: skip


SUSANA, CAMILA = "susana.krause@losaromos.example.cl", "camila.marambio@losaromos.example.cl"
IGNACIA, AMARO = "ignacia.pizarro@losaromos.example.cl", "amaro.huenchuman@delsur.example.cl"


@pytest.mark.rule("A12", "I9", "S10", "X1", "X2")
@pytest.mark.parametrize(
    ("who", "at", "in_the_way"),
    [
        pytest.param(SUSANA, "2026-05-01", [], id="a member while the plan is paid"),
        pytest.param(SUSANA, "2026-06-12", ["S10"], id="a member after it ran out"),
        pytest.param(SUSANA, "2026-06-19", [], id="a member once it is paid again"),
        pytest.param(SUSANA, "2026-12-15", ["S10"], id="a member after it ended"),
        pytest.param(CAMILA, "2026-06-19", ["A12"], id="a removed member"),
        pytest.param(CAMILA, "2026-08-19", [], id="a removed member who pays by herself"),
        pytest.param(IGNACIA, "2026-12-17", [], id="a member who goes on when the plan has ended"),
        pytest.param(AMARO, "2026-12-20", ["I9"], id="somebody whose invitation is open"),
    ],
)
def test_access_follows_plans_and_payments(
    year: Year, who: str, at: str, in_the_way: list[str]
) -> None:
    answer = json.loads(year("check", who, "content", "--at", f"{at}T12:00:00-04:00"))
    assert [obstacle["rule"] for obstacle in answer["obstacles"]] == in_the_way


ANA, DIEGO, OLIVIA = "ana.rojas@example.cl", "diego.fuentes@example.cl", "olivia.cortes@example.cl"
KARINA, NICOLAS, PABLO = (
    "karina.bustos@example.cl", "nicolas.zuniga@example.cl", "pablo.escobar@example.cl",
)  # fmt: skip


@pytest.mark.rule("S4", "S5", "S7", "S8", "S9", "X1", "X2")
@pytest.mark.parametrize(
    ("who", "at", "in_the_way"),
    [
        pytest.param(OLIVIA, "2027-01-12", [], id="declined, and tried again"),
        pytest.param(OLIVIA, "2027-01-16", ["S5"], id="declined for the last time"),
        pytest.param(KARINA, "2026-12-30", [], id="no card, and asked again"),
        pytest.param(KARINA, "2027-01-02", ["S5"], id="no card, and asked in vain"),
        pytest.param(CAMILA, "2027-02-04", [], id="nobody knows yet whether she has paid"),
        pytest.param(NICOLAS, "2027-01-05", [], id="ended, and paid for"),
        pytest.param(NICOLAS, "2027-01-06", ["S4"], id="ended, and no longer paid for"),
        pytest.param(PABLO, "2027-03-01", [], id="transferred in time, and imported later"),
        pytest.param(SUSANA, "2026-12-20", ["S10"], id="a member while the plan is ended"),
        pytest.param(SUSANA, "2027-01-30", [], id="a member once the plan is charged to a card"),
    ],
)
def test_access_follows_the_clock(year: Year, who: str, at: str, in_the_way: list[str]) -> None:
    answer = json.loads(year("check", who, "content", "--at", f"{at}T12:00:00-03:00"))
    assert [obstacle["rule"] for obstacle in answer["obstacles"]] == in_the_way


@pytest.mark.rule("S6", "S7", "S8", "S12", "S13")
def test_the_gateway_and_the_ledger_tell_the_same(year: Year) -> None:
    """What it took and gave back, and nothing else; each balance is nil."""
    book = request(
        "GET", f"{year.gateway_url}/book", headers={"Authorization": f"Bearer {GATEWAY_KEY}"}
    ).json()
    with open_ledger(year.database.settings()) as opened, opened.database.connection() as reading:
        rows = reading.execute(
            "SELECT kind, reference, amount_minor FROM projections.billing_history"
            " WHERE kind IN ('payment', 'refund') AND means = 'card' AND reference !~ '^charge_'"
        ).fetchall()
        owed = reading.execute(
            "SELECT sum(change_minor) FROM projections.billing_history GROUP BY account, currency"
        ).fetchall()
    took = [("payment", each["id"], each["amount"]) for each in book["charges"]
            if each["status"] == "succeeded"]  # fmt: skip
    gave = [("refund", each["id"], each["amount"]) for each in book["refunds"]]
    assert sorted(took + gave) == sorted(rows)
    assert len(gave) == 1
    assert {minor for (minor,) in owed} <= {0, None}


@pytest.mark.rule("S5", "S8")
def test_what_the_clock_did_stands_in_the_billing_history(year: Year) -> None:
    """Declined twice and paid each month; and a price that was announced holds from its day on."""

    def lines(who: str, kind: str) -> list[Any]:
        shown = json.loads(year("billing", who))["lines"]
        return [
            each for each in shown if each["kind"] == kind and each["occurred_at"] >= "2026-12-21"
        ]

    assert [each["attempt"] for each in lines(DIEGO, "declined")] == [1, 2] * 3
    assert len(lines(DIEGO, "payment")) == 3
    assert [(each["period_from"], each["amount_minor"]) for each in lines(ANA, "charge")] == [
        ("2026-12-31", 9990), ("2027-01-31", 9990), ("2027-02-28", 10990), ("2027-03-31", 10990),
    ]  # fmt: skip


@pytest.mark.rule("S2", "S5", "S6", "S9")
def test_every_line_of_the_statement_has_its_answer(answers: dict[str, list[Any]]) -> None:
    """Good, doubled, foreign, unmatched, overpaid and underpaid ones, and money that went out."""
    *lines, summary = answers[STATEMENT]
    assert {line["row"]: line["outcome"] for line in lines} == {
        2: "captured", 3: "captured", 4: "already_recorded", 5: "refused", 6: "overpaid",
        7: "underpaid", 8: "foreign", 9: "unmatched", 10: "faulty", 11: "doubled", 12: "doubled",
        13: "captured",
    }  # fmt: skip
    assert summary["summary"]["refused_by_rule"] == {"A6": 1, "S5": 2}


@pytest.mark.rule("I8", "S10")
@pytest.mark.parametrize("plan", [AROMOS, SUR])
def test_seats_are_members_and_open_invitations(year: Year, plan: str) -> None:
    """The counted claims, the read model and the lists agree; somebody administers."""
    shown = json.loads(year("plan", plan, "--at", AT_THE_END))
    members = json.loads(year("members", plan, "--at", AT_THE_END))["members"]
    waiting = json.loads(
        year("invitations", plan, "--state", "open", "--at", AT_THE_END)
    )["invitations"]  # fmt: skip
    with open_ledger(year.database.settings()) as opened:
        counted = opened.store.counted(UUID(plan), datetime.fromisoformat(AT_THE_END))

    assert shown["seats_used"] == counted == len(members) + len(waiting) <= shown["seats"]
    assert {"super_administrator", "administrator"} <= {member["role"] for member in members}


@pytest.mark.rule("I5")
def test_the_whole_year_again_changes_nothing(year: Year, answers: dict[str, list[Any]]) -> None:
    """Every line and every row has its answer already, also about people erased since."""
    before = json.loads(year("status"))["events"]
    again = year.play(clock={STATEMENT: AT_THE_END})

    assert json.loads(year("status"))["events"] == before
    for name in COMMANDS:
        first, second = answers[name][-1]["summary"], again[name][-1]["summary"]
        assert second["already_applied"] == first["applied"]
        assert second["refused_before"] == first["refused"]
    first, second = answers[STATEMENT][-1]["summary"], again[STATEMENT][-1]["summary"]
    assert second["already_recorded"] == first["captured"] + first["already_recorded"]


def test_read_models_follow_from_the_log_alone(year: Year) -> None:
    """Filled anew, they hold what they held."""
    with open_ledger(year.database.settings()) as opened:
        before = contents(opened)
        rebuild(opened)
        assert contents(opened) == before
