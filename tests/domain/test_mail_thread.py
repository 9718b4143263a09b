"""To which ticket a mail belongs, case by case as mail clients write it (T2, T3, T4, T7, T8)."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from domain.mail_thread import (
    REFERENCES_MAX,
    SUBJECT_NUMBERS_MAX,
    AutomaticKind,
    KnownThread,
    Mail,
    Placement,
    PlacementReason,
    Rejection,
    RejectionReason,
    ThreadState,
    parse_message_ids,
    place,
    ticket_numbers,
)

NAMESPACE = UUID("0d6f1a3c-6a0b-4f53-8f3e-2f3c1f1b7a55")
CASES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("threading_cases.json").read_text(encoding="utf-8")
)
ISSUED = {
    *("plain reply", "changed subject", "forward", "two mailboxes", "auto-reply", "bounce"),
    *("missing or rewritten headers", "no identifiers", "stranger", "on copy", "closed ticket"),
    *("split or merged", "looping or hundreds of references"),
}
GIVEN_WITHOUT_MAIL = {PlacementReason.DIRECT, PlacementReason.SPLIT_OFF}


def person(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


def ticket(number: int) -> UUID:
    return uuid5(NAMESPACE, f"ticket {number}")


def thread(known: dict[str, Any]) -> KnownThread:
    """A ticket as a case tells of it; if it does not say, a higher number was opened later."""
    return KnownThread(
        ticket=ticket(known["number"]),
        number=known["number"],
        state=ThreadState(known["state"]),
        messages=frozenset(known["messages"]),
        numbers=frozenset({known["number"], *known.get("merged", ())}),
        participants=frozenset(map(person, known["participants"])),
        order=known.get("order", known["number"]),
    )


def header(written: str | Sequence[str] | None) -> str | None:
    """A header as it came: its lines folded, and ``{1..300}`` written out."""
    if written is None:
        return None
    lines = [written] if isinstance(written, str) else written
    return "\r\n".join(map(written_out, lines))


def written_out(line: str) -> str:
    """``<a-{1..3}@b>`` is ``<a-1@b> <a-2@b> <a-3@b>``."""
    numbered = re.search(r"\{(\d+)\.\.(\d+)\}", line)
    if numbered is None:
        return line
    numbers = range(int(numbered[1]), int(numbered[2]) + 1)
    return " ".join(line.replace(numbered[0], str(number)) for number in numbers)


def mail(case: dict[str, Any]) -> Mail:
    """The mail of a case, by the headers that count."""
    headers = {name.lower(): header(written) for name, written in case["mail"]["headers"].items()}
    automatic = case["mail"].get("automatic")
    return Mail(
        sender=person(case["mail"]["from"]),
        staff=case["mail"].get("staff", False),
        message_id=headers.get("message-id"),
        in_reply_to=headers.get("in-reply-to"),
        references=headers.get("references"),
        subject=headers.get("subject") or "",
        automatic=None if automatic is None else AutomaticKind(automatic),
    )


def placement(case: dict[str, Any]) -> Placement:
    """Where a case says that its mail belongs."""
    belongs = case["belongs"]
    return Placement(
        ticket=None if belongs["ticket"] is None else ticket(belongs["ticket"]),
        reason=PlacementReason(belongs["reason"]),
        follows=ticket(belongs["follows"]) if "follows" in belongs else None,
        rejected=tuple(
            Rejection(ticket(number), number, RejectionReason(reason))
            for number, reason in belongs.get("rejected", ())
        ),
    )


# ---------------------------------------------------------------- the cases


@pytest.mark.rule("T2", "T3", "T4", "T7", "T8")
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_mail_belongs_where_its_case_says(case: dict[str, Any]) -> None:
    """The ticket, the reason, the ticket that it follows, and those that were rejected."""
    known = [thread(one) for one in case["tickets"]]
    assert place(mail(case), known) == placement(case)
    assert place(mail(case), known[::-1]) == placement(case)


@pytest.mark.rule("T8")
def test_the_cases_cover_every_kind_and_every_reason() -> None:
    """At least 70 of them, no two alike, and none of the reasons of a mail is left out."""
    assert len(CASES) >= 70
    assert len({case["name"] for case in CASES}) == len(CASES)
    contents = {
        json.dumps([case["tickets"], case["mail"]], ensure_ascii=False, sort_keys=True)
        for case in CASES
    }
    assert len(contents) == len(CASES)
    assert {case["kind"] for case in CASES} >= ISSUED
    expected = [placement(case) for case in CASES]
    assert {one.reason for one in expected} == set(PlacementReason) - GIVEN_WITHOUT_MAIL
    rejections = {rejection.reason for one in expected for rejection in one.rejected}
    assert rejections == set(RejectionReason)
    assert {mail(case).automatic for case in CASES} == {None, *AutomaticKind}
    assert {one["state"] for case in CASES for one in case["tickets"]} == set(ThreadState)


# ---------------------------------------------------------------- reading headers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ()),
        ("", ()),
        ("<a@b>", ("a@b",)),
        (" <a@b>\r\n\t<c@d> ", ("a@b", "c@d")),
        ("<a@b><c@d>,<e@f>", ("a@b", "c@d", "e@f")),
        ("<a@\r\n b>", ("a@b",)),
        ("<a@b> (a comment (in another) <c@d>)", ("a@b",)),
        ("(<c@d>) <a@b>", ("a@b",)),
        ("(one <c@d> (in another)) <a@b>", ("a@b",)),
        ("<a@b> :-( <c@d>", ("a@b", "c@d")),
        ("<a@b> :-) <c@d>", ("a@b", "c@d")),
        (":-) (<c@d>) <a@b>", ("a@b",)),
        ("(<c@d>) :-( <a@b>", ("a@b",)),
        ("<a@b> ((<c@d>) <e@f>", ("a@b", "c@d", "e@f")),
        ("<a(b)@c>", ("a(b)@c",)),
        ("<A@B> <a@b>", ("A@B", "a@b")),
        ("<a@[192.0.2.1]>", ("a@[192.0.2.1]",)),
        ("<ñ@correo.example>", ("ñ@correo.example",)),
        ("<without-a-domain>", ("without-a-domain",)),
        ("<<a@b>>", ("a@b",)),
        ("<a@b <c@d>", ("c@d",)),
        ("<> < > <a@b>", ("a@b",)),
        ("a@b", ("a@b",)),
        ("a@b,c@d e@f", ("a@b", "c@d", "e@f")),
        ("<a@b", ("a@b",)),
        ("a@b<c@d;", ("a@b", "c@d")),
        ("Message of ana@contractor.example of Monday", ()),
        ("(ana@contractor.example)", ()),
        ("@", ("@",)),
        ("a@b@c", ()),
        ("<a\x00b@c> <d@e>", ("d@e",)),
        ("<\ud800@c> <d@e>", ("d@e",)),
        (f"<{'a' * 999}> <d@e>", ("d@e",)),
        (f"<{'a' * 998}>", ("a" * 998,)),
    ],
)
def test_message_ids_are_read_as_clients_write_them(text: str | None, found: Sequence[str]) -> None:
    assert parse_message_ids(text) == tuple(found)


def test_what_is_named_twice_stands_where_it_was_last() -> None:
    """So the parent stays the nearest where references run in circles."""
    assert parse_message_ids("<a@b> <c@d> <a@b> <e@f> <a@b>") == ("c@d", "e@f", "a@b")


def test_of_hundreds_of_references_the_first_and_the_last_count() -> None:
    ids = [f"{number}@b" for number in range(500)]
    found = parse_message_ids(" ".join(f"<{one}>" for one in ids))
    assert found == (ids[0], *ids[-100:])
    assert len(found) == REFERENCES_MAX
    assert parse_message_ids(" ".join(f"<{one}>" for one in found)) == found


@pytest.mark.parametrize(
    ("subject", "numbers"),
    [
        ("", ()),
        ("[#12]", (12,)),
        ("[Acta #12] No puedo entrar", (12,)),
        ("Re: RV: Fwd: AW: [acta#12] x", (12,)),
        ("[ Acta\r\n # 12 ]", (12,)),
        ("x [#15] y [#12] z [#15]", (15, 12)),
        ("[#0012]", (12,)),
        ("[#999999999] [#1000000000]", (999_999_999,)),
        ("[#0]", ()),
        ("#12, [12], (#12), [# 1 2], [#1.2], [#-1], [#x]", ()),
        ("[Other #12] [Factura#12]", ()),
        ("[#\u0661\u0662]", ()),
        ("[[#12]]", (12,)),
    ],
)
def test_ticket_numbers_are_read_from_a_subject(subject: str, numbers: Sequence[int]) -> None:
    assert ticket_numbers(subject) == tuple(numbers)


def test_a_subject_names_only_so_many_tickets() -> None:
    subject = "".join(f"[#{number}]" for number in range(1, 400))
    assert ticket_numbers(subject) == tuple(range(1, SUBJECT_NUMBERS_MAX + 1))


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        ">",
        "(",
        ")",
        "(<",
        "<(",
        "(<a@b>",
        "<a@b>",
        "a@b ",
        "[",
        "[#",
        "[ ",
        "[#1",
        "[acta ",
        " ",
    ],
)
def test_reading_takes_time_in_proportion_to_the_text(piece: str) -> None:
    """A quadratic reader would take minutes for a million characters, whatever they are."""
    text = piece * (1_000_000 // len(piece))
    began_seconds = time.perf_counter()
    for shaped in (text, f"<a@b> {text}", f"[#{text}", f"[{text}#{text}12"):
        parse_message_ids(shaped)
        ticket_numbers(shaped)
    assert time.perf_counter() - began_seconds < 30


# ---------------------------------------------------------------- whatever comes

NAMES = ["ana", "bruno", "carla"]
KNOWN_IDS = [f"{letter}@desk.example" for letter in "abcdefgh"]

numbers = st.integers(1, 6)
people = st.sampled_from([person(name) for name in NAMES])


@st.composite
def known_threads(draw: st.DrawFn) -> list[KnownThread]:
    """Tickets as they may be known: states, people and messages, some in several of them."""
    return [
        KnownThread(
            ticket=ticket(number),
            number=number,
            state=draw(st.sampled_from(ThreadState)),
            messages=draw(st.frozensets(st.sampled_from(KNOWN_IDS), max_size=4)),
            numbers=draw(st.frozensets(numbers, max_size=2)) | {number},
            participants=draw(st.frozensets(people, max_size=2)),
            order=draw(st.integers(0, 3)),
        )
        for number in draw(st.lists(numbers, unique=True, max_size=5))
    ]


tokens = st.one_of(
    st.sampled_from([f"<{one}>" for one in KNOWN_IDS]),
    st.sampled_from([f"[#{number}]" for number in range(8)]),
    st.sampled_from([*"<>()[]#,;@ ", "\r\n ", "Re: ", "[Acta #1]", "\\", '"']),
    st.text(max_size=8),
)
any_header = st.lists(tokens, max_size=12).map("".join)
mails = st.builds(
    Mail,
    sender=people,
    staff=st.booleans(),
    message_id=st.none() | any_header,
    in_reply_to=st.none() | any_header,
    references=st.none() | any_header,
    subject=any_header,
    automatic=st.none() | st.sampled_from(AutomaticKind),
)


@pytest.mark.rule("T8")
@whatever(mails, known_threads(), st.randoms(use_true_random=False))
def test_the_order_in_which_tickets_are_known_is_of_no_account(
    one: Mail, known: list[KnownThread], chance: Any
) -> None:
    """Nothing is raised either, whatever the headers hold."""
    shuffled = list(known)
    chance.shuffle(shuffled)
    assert place(one, known) == place(one, shuffled) == place(one, known + known)


@pytest.mark.rule("T8")
def test_what_else_is_equal_the_higher_number_decides() -> None:
    """So that a mail is never placed by the order in which tickets were read."""
    shared = {"state": "open", "participants": ["ana"], "messages": [KNOWN_IDS[0]], "order": 1}
    known = [thread({"number": number, **shared}) for number in (1, 2)]
    reply = Mail(person("ana"), False, None, f"<{KNOWN_IDS[0]}>", None, "", None)
    assert place(reply, known).ticket == place(reply, known[::-1]).ticket == ticket(2)


@pytest.mark.rule("T4")
@whatever(mails, known_threads())
def test_a_human_being_who_takes_no_part_gets_in_nowhere(
    one: Mail, known: list[KnownThread]
) -> None:
    """Neither into a ticket nor behind a closed one; what comes through a list is treated alike."""
    human = replace(one, staff=False)
    if human.automatic is not AutomaticKind.LIST:
        human = replace(human, automatic=None)
    found = place(human, known)
    theirs = {thread.ticket for thread in known if human.sender in thread.participants}
    assert found.ticket in {None, *theirs}
    assert found.follows in {None, *theirs}


@pytest.mark.rule("T3", "T4")
@whatever(mails, known_threads())
def test_a_program_opens_no_ticket(one: Mail, known: list[KnownThread]) -> None:
    """And its number alone lets no stranger's program in."""
    automatic = replace(one, automatic=one.automatic or AutomaticKind.BOUNCE)
    found = place(automatic, known)
    assert found.follows is None
    assert (found.ticket is None) == (found.reason is PlacementReason.AUTOMATIC_WITHOUT_THREAD)
    if found.reason is PlacementReason.SUBJECT_NUMBER and not automatic.staff:
        [there] = [thread for thread in known if thread.ticket == found.ticket]
        assert automatic.sender in there.participants


@pytest.mark.rule("T3")
@whatever(mails, known_threads())
def test_no_reply_of_a_human_being_goes_into_a_closed_ticket(
    one: Mail, known: list[KnownThread]
) -> None:
    """It opens one that follows, and only a closed one is followed."""
    found = place(replace(one, automatic=None), known)
    states = {thread.ticket: thread.state for thread in known}
    assert found.ticket is None or states[found.ticket] is not ThreadState.CLOSED
    assert (found.follows is not None) == (found.reason is PlacementReason.FOLLOWS_CLOSED)
    if found.follows is not None:
        assert states[found.follows] is ThreadState.CLOSED


@pytest.mark.rule("T8")
@whatever(mails, known_threads())
def test_each_ticket_that_a_mail_points_to_is_accounted_for(
    one: Mail, known: list[KnownThread]
) -> None:
    """It is the one, or it was rejected for a reason; those not pointed to change nothing."""
    found = place(one, known)
    own = set(parse_message_ids(one.message_id))
    ids = {*parse_message_ids(one.in_reply_to), *parse_message_ids(one.references)} - own
    named = set(ticket_numbers(one.subject))
    pointed = [thread for thread in known if thread.messages & ids or thread.numbers & named]
    rejected = [rejection.ticket for rejection in found.rejected]
    accounted = {*rejected, *([found.ticket] if found.ticket else [])}
    assert accounted == {thread.ticket for thread in pointed}
    assert len(rejected) == len(set(rejected))
    assert found.ticket not in rejected
    assert place(one, pointed) == found
    if not pointed:
        assert found.reason in {PlacementReason.OPENED, PlacementReason.AUTOMATIC_WITHOUT_THREAD}


@pytest.mark.rule("T2")
@whatever(mails, known_threads())
def test_headers_come_before_the_subject(one: Mail, known: list[KnownThread]) -> None:
    """What a subject names moves no mail of somebody whose headers lead to a ticket of theirs."""
    found = place(one, known)
    if found.reason in {PlacementReason.IN_REPLY_TO, PlacementReason.REFERENCES}:
        unnamed = place(replace(one, subject=""), known)
        assert (unnamed.ticket, unnamed.reason) == (found.ticket, found.reason)


@whatever(st.text() | any_header)
def test_what_was_read_is_read_the_same_once_more(text: str) -> None:
    """A Message-ID in the log is in the form in which one in a header is compared with it."""
    found = parse_message_ids(text)
    assert all(one and one.isprintable() and not set("<> ") & set(one) for one in found)
    assert len(found) == len(set(found)) <= REFERENCES_MAX
    assert parse_message_ids("\r\n ".join(f"<{one}>" for one in found)) == found
