"""``acta ticket`` and ``acta tickets``."""

from datetime import timedelta
from typing import get_args
from uuid import UUID

import pytest

from domain.mail_thread import AutomaticKind, RejectionReason
from domain.support_ticket import Attachment, Desk, RejectedTicket, RequesterKind
from handlers.cli import tickets
from handlers.composition import Acta
from handlers.ticket_queries import PAGE
from projections.support_desk import TicketState
from tests.handlers.cli.conftest import Terminal
from tests.handlers.stories import BEGINNING
from tests.projections.desk_lives import BODY, STAFF, SUBJECT, Incident, SupportLog

LATER = BEGINNING + timedelta(days=3, hours=4)
AT = ["--at", LATER.isoformat()]
AS_STAFF = ["--actor", f"support_staff:{STAFF}"]
COPIED = UUID(int=51)


@pytest.fixture
def log(acta: Acta) -> SupportLog:
    """Told to the database that the terminal's settings name."""
    return SupportLog(acta)


@pytest.fixture
def incident(log: SupportLog) -> Incident:
    """A ticket that was answered, with a note, a copy list, and another merged into it."""
    merged = log.open(body="Lo mismo, por otro lado.")
    incident = log.open()
    log.assign(incident)
    log.copy(incident, COPIED)
    log.reply(
        incident,
        "Adjunto.\nEl contrato.",
        rejected=(
            RejectedTicket(
                ticket=merged.ticket, number=merged.number, reason=RejectionReason.CLOSED
            ),
        ),
        attachments=(Attachment(sha256="0" * 64, media_type="application/pdf", size_bytes=2048),),
        attachment_names='["contrato.pdf"]',
    )
    log.answer(incident, "Una nota.", internal=True)
    log.answer(incident, "Estamos en ello.", at=BEGINNING + timedelta(days=1))
    log.merge(merged, incident)
    log.acta.projector.catch_up()
    return incident


# ---------------------------------------------------------------- ticket


@pytest.mark.rule("T1", "T7", "T8")
def test_a_ticket_is_shown_with_its_thread(terminal: Terminal, incident: Incident) -> None:
    ended = terminal("ticket", incident.number, *AT, *AS_STAFF)
    assert (ended.status, ended.err) == (0, "")
    for line in (
        f"ticket: 2 ({incident.ticket}), at {LATER.isoformat()}",
        f"subject: {SUBJECT}",
        "state: open, waiting for requester since 2026-01-31 16:00:00 UTC",
        "opened: 2026-01-31 16:00:00 UTC by email, 3 d 4 h old, silent for 2 d 4 h",
        f"requester: {incident.requester} (contractor, language es)",
        f"desk: documentation_help_desk, assigned to {STAFF}",
        "merged here: 1",
        f"on copy: {COPIED} (address: copia@example.com)",
        f"2026-01-31 16:00:00 UTC, requester {incident.requester} by email",
        "    placed in 1: opened",
        "    placed here: in_reply_to; not in 1: closed",
        '    attachment_names: ["contrato.pdf"]',
        "    attached: application/pdf, 2048 bytes",
        "    | Adjunto.",
        "    | El contrato.",
        f"2026-01-31 16:00:00 UTC, staff {STAFF} by email, note for staff",
        f"    | {BODY}",
        "    | Lo mismo, por otro lado.",
    ):
        assert line in ended.out.splitlines(), line
    assert ended.out.splitlines()[-1].startswith("known up to position ")


@pytest.mark.rule("G1")
def test_what_the_asker_may_not_open_stays_sealed(terminal: Terminal, incident: Incident) -> None:
    """By default nothing is open, and notes are not told of; people read their own tickets."""
    shown = terminal("ticket", incident.number, *AT).out
    assert "subject: (sealed)" in shown
    assert "    | (sealed)" in shown
    assert f"on copy: {COPIED} (sealed: address)" in shown
    for value in (BODY, SUBJECT, "note for staff", "copia@example.com", "ana@example.com"):
        assert value not in shown
    for person in (incident.requester, COPIED):
        theirs = terminal("ticket", incident.number, *AT, "--actor", f"person:{person}").out
        assert f"subject: {SUBJECT}" in theirs
        assert f"    | {BODY}" in theirs
        assert "Una nota." not in theirs
    refused = terminal("ticket", incident.number, *AT, "--actor", f"person:{UUID(int=77)}")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("acta: refused by G1: a person reads only tickets in which")


def test_a_ticket_as_json(terminal: Terminal, log: SupportLog, incident: Incident) -> None:
    told = terminal("ticket", incident.number, *AT, *AS_STAFF, "--json").json
    assert list(told) == [
        "ticket", "number", "state", "state_since", "requester", "requester_kind", "desk",
        "assignee", "reason", "channel", "language", "contract", "resolution", "opened_at",
        "last_public_at", "waiting_for", "event_id", "personal", "age_seconds", "silent_seconds",
        "copied", "links", "messages", "at", "position", "degraded",
    ]  # fmt: skip
    assert told["personal"] == {"subject": {"state": "open", "value": SUBJECT}}
    assert (told["age_seconds"], told["silent_seconds"]) == (273_600, 187_200)
    assert [(link["relation"], link["number"]) for link in told["links"]] == [("merged_here", 1)]
    assert [message["written_in_number"] for message in told["messages"]] == [1, 2, 2, 2, 2]
    assert list(told["messages"][2]) == [
        "position", "message", "ticket", "number", "ticket_requester", "written_in",
        "written_in_number", "written_at", "requester", "sender", "participation", "internal",
        "channel", "automatic", "placement", "rejected", "attachments", "event_id", "personal",
    ]  # fmt: skip
    assert told["messages"][2]["rejected"][0]["reason"] == "closed"
    assert told["messages"][2]["attachments"][0]["size_bytes"] == 2048
    assert told["position"] == log.acta.store.head()


def test_links_resolution_and_programs_are_named(terminal: Terminal, log: SupportLog) -> None:
    first = log.open()
    stray = log.reply(first, automatic=AutomaticKind.BOUNCE)
    split = log.split(first, [stray])
    log.copy(first, COPIED)
    log.resolve(first)
    log.merge(first, split)
    log.acta.projector.catch_up()
    shown = terminal("ticket", split.number, *AT).out
    assert "split from: 1\nmerged here: 1\non copy of 1: " in shown
    assert "by email, by a program: bounce\n    placed in 1: in_reply_to; moved to 2\n" in shown
    before = terminal("ticket", first.number, *AT).out
    assert "state: merged since" in before
    assert "split into: 2\nmerged into: 2\n" in before
    other = log.open()
    log.resolve(other)
    log.acta.projector.catch_up()
    assert "state: resolved (answered) since" in terminal("ticket", other.number, *AT).out


@pytest.mark.rule("X6")
def test_an_answer_that_may_miss_something_says_so(terminal: Terminal, log: SupportLog) -> None:
    """A message told twice cannot be applied; other tickets go on, and what was known stays."""
    broken = log.open()
    log.reply(broken, message=broken.message)
    other = log.open()
    log.acta.projector.catch_up()
    for command in (["ticket", broken.number], ["ticket", other.number], ["tickets"]):
        ended = terminal(*command, *AT)
        assert "degraded: an event that belongs here could not be applied" in ended.out
        assert terminal(*command, *AT, "--json").json["degraded"]


def test_a_ticket_that_is_not_there(terminal: Terminal, incident: Incident) -> None:
    ended = terminal("ticket", incident.number + 1, *AT)
    assert (ended.status, ended.out) == (2, "")
    assert "there is no such ticket\nCheck the number" in ended.err


@pytest.mark.parametrize("number", ["0", "-1", "two", "#2"])
def test_a_number_that_is_none(shared_terminal: Terminal, number: str) -> None:
    assert shared_terminal("ticket", "--", number).status == 2


# ---------------------------------------------------------------- tickets


@pytest.mark.usefixtures("incident")
def test_the_queue_is_shown(terminal: Terminal, log: SupportLog) -> None:
    log.open(at=LATER - timedelta(hours=2, minutes=5))
    log.acta.projector.catch_up()
    ended = terminal("tickets", "--state", "open", *AT, *AS_STAFF)
    assert (ended.status, ended.err) == (0, "")
    first, headers, _, *rows = ended.out.splitlines()
    assert first == f"tickets at {LATER.isoformat()}: 2"
    assert headers.split()[:3] == ["number", "state", "waiting"]
    assert rows[0].split()[:9] == ["2", "open", "requester", "3", "d", "4", "h", "2", "d"]
    assert rows[1].split()[:7] == ["3", "open", "staff", "2", "h", "5", "min"]
    assert all(SUBJECT in row for row in rows[:2])
    assert rows[-1] == f"known up to position {log.acta.store.head()}"
    sealed = terminal("tickets", *AT).out
    assert SUBJECT not in sealed
    assert sealed.count("(sealed)") == 3


@pytest.mark.usefixtures("incident")
def test_the_queue_is_filtered(terminal: Terminal, log: SupportLog) -> None:
    """Each option leaves tickets out; a person is shown those in which they take part."""
    log.open(
        at=LATER - timedelta(hours=1),
        requester_kind=RequesterKind.HOLDER,
        desk=Desk.HOLDER_SUPPORT,
    )
    log.acta.projector.catch_up()

    def numbers(*options: object) -> list[int]:
        told = terminal("tickets", *AT, "--json", *options).json
        assert list(told) == ["tickets", "next_after", "at", "position", "degraded"]
        return sorted(line["number"] for line in told["tickets"])

    assert numbers() == [1, 2, 3]
    assert numbers("--state", "merged") == [1]
    assert numbers("--assignee", STAFF) == [2]
    assert numbers("--desk", "holder_support") == [3]
    assert numbers("--kind", "contractor", "--state", "open") == [2]
    assert numbers("--older-than", 3) == [1, 2]
    assert numbers("--older-than", 4) == []
    assert numbers("--older-than", 0) == [1, 2, 3]
    assert numbers("--actor", f"person:{COPIED}") == [2]
    assert numbers("--at", BEGINNING.isoformat()) == [1, 2]


def test_a_long_queue_comes_in_pages(terminal: Terminal, log: SupportLog) -> None:
    """Each page says how to ask for the next; the last one says nothing."""
    for _ in range(3):
        log.open()
    log.acta.projector.catch_up()
    shown = terminal("tickets", *AT, "--limit", 2).out.splitlines()
    assert shown[0] == f"tickets at {LATER.isoformat()}: 2"
    assert shown[-2] == f"there are more: --after 2 {' '.join(AT)}"
    last = terminal("tickets", *AT, "--limit", 2, "--after", 2).out
    assert last.splitlines()[0] == f"tickets at {LATER.isoformat()}: 1"
    assert "there are more" not in last
    first, second = (
        terminal("tickets", *AT, "--json", "--limit", 2, *after).json
        for after in ((), ("--after", 2))
    )
    assert [line["number"] for line in first["tickets"] + second["tickets"]] == [1, 2, 3]
    assert (first["next_after"], second["next_after"]) == (2, None)
    lost = terminal("tickets", *AT, "--state", "closed", "--after", 2)
    assert (lost.status, lost.out) == (2, "")
    assert "not in this list\nAsk for each page with the same options" in lost.err


@pytest.mark.parametrize(
    "options",
    [
        ("--state", "lost"),
        ("--limit", "0"),
        ("--limit", "1001"),
        ("--after", "0"),
        ("--after", "two"),
        ("--assignee", "somebody"),
        ("--older-than", "-1"),
        ("--older-than", "99999999999"),
        ("--at", "yesterday"),
        ("--at-least", "999999999"),
    ],
    ids=" ".join,
)
def test_options_that_cannot_be_read(shared_terminal: Terminal, options: tuple[str, str]) -> None:
    ended = shared_terminal("tickets", *options)
    assert (ended.status, ended.out) == (2, "")
    assert "fault in Acta" not in ended.err


def test_the_options_take_what_the_domain_knows() -> None:
    """They are spelled out in the command, and the same; so is how long a page is."""
    assert tickets.PAGE == PAGE
    assert set(get_args(tickets.State)) == {state.value for state in TicketState}
    assert set(get_args(tickets.DeskName)) == {desk.value for desk in Desk}
    assert set(get_args(tickets.KindName)) == {kind.value for kind in RequesterKind}
