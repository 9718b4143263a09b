"""The support desk: its queue, threads after splitting and merging, and who may read them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest

from domain.account import ErasePerson
from domain.actor import Actor, ActorKind
from domain.mail_thread import AutomaticKind, PlacementReason, RejectionReason
from domain.refusal import Refused
from domain.support_ticket import (
    Attachment,
    Channel,
    Desk,
    MergeTicket,
    OpenTicket,
    RejectedTicket,
    ReplyToTicket,
    RequesterKind,
    SplitTicket,
    TicketReason,
)
from handlers.composition import Acta, open_ledger
from handlers.faults import InvalidInput
from handlers.store.embedded import EmbeddedServer
from handlers.ticket_queries import OpenedTicket, Ticket
from projections.support_desk import (
    AttachedFile,
    RejectedCandidate,
    SupportDesk,
    TicketFilter,
    TicketLine,
    TicketState,
    ticket_lines,
)
from tests.conftest import new_database
from tests.handlers.stories import ANA, AUDITOR, BEGINNING, MANAGER, SYSTEM, Story
from tests.projections.contents import contents, rebuild
from tests.projections.desk_lives import (
    BODY,
    STAFF,
    SUBJECT,
    Incident,
    SupportLog,
    tell_of_the_desk,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SUPPORT = Actor(kind=ActorKind.SUPPORT_STAFF, id=STAFF)
OTHERS = UUID(int=51)


@pytest.fixture
def log(acta: Acta) -> SupportLog:
    """Told to a ledger of the test's own."""
    return SupportLog(acta)


def person(who: UUID) -> Actor:
    """Somebody, vouched for by a door."""
    return Actor(kind=ActorKind.PERSON, id=who)


def show(
    log: SupportLog, incident: Incident, asker: Actor = SUPPORT, at: datetime = BEGINNING + DAY
) -> Ticket:
    """A ticket, by a read model that knows everything."""
    log.acta.projector.catch_up()
    return log.acta.tickets.ticket(incident.number, asker, at)


def thread(log: SupportLog, incident: Incident) -> list[UUID]:
    """The messages in a ticket's thread."""
    return [message.line.message for message in show(log, incident).messages]


def bodies(ticket: Ticket) -> list[str | None]:
    """What the messages say, as far as it is open."""
    return [message.personal["body"] for message in ticket.messages]


def links(log: SupportLog, incident: Incident) -> list[tuple[str, int]]:
    """The tickets that a ticket leads to."""
    return [(link.relation, link.number) for link in show(log, incident).links]


def queue(
    log: SupportLog,
    asked: TicketFilter | None = None,
    asker: Actor = SUPPORT,
    at: datetime = BEGINNING + DAY,
) -> list[TicketLine]:
    """The queue, by a read model that knows everything."""
    log.acta.projector.catch_up()
    answer = log.acta.tickets.tickets(asked or TicketFilter(), asker, at)
    assert answer.position == log.acta.store.head()
    return [opened.line for opened in answer.tickets]


# ---------------------------------------------------------------- the queue


@pytest.mark.rule("T1", "T5", "T6")
def test_a_new_ticket_is_in_the_queue_and_waits_for_staff(log: SupportLog) -> None:
    contract = uuid4()
    incident = log.open(contract=contract)
    (line,) = queue(log)
    assert (line.number, line.ticket, line.requester) == (1, incident.ticket, incident.requester)
    assert (line.state, line.waiting_for, line.assignee) == ("open", "staff", None)
    assert (line.requester_kind, line.desk) == ("contractor", "documentation_help_desk")
    assert (line.reason, line.channel, line.contract) == ("access", "email", contract)
    assert line.opened_at == line.last_public_at == line.state_since == BEGINNING


def test_whose_turn_it_is_follows_from_who_wrote_last_in_public(log: SupportLog) -> None:
    """Notes are no turn; nor is what a program says for somebody who is away, unlike a bounce."""
    incident = log.open()

    def turn() -> tuple[str | None, datetime | None]:
        (line,) = queue(log)
        return line.waiting_for, line.last_public_at

    log.answer(incident, at=BEGINNING + HOUR)
    answered = ("requester", BEGINNING + HOUR)
    assert turn() == answered
    log.answer(incident, at=BEGINNING + 2 * HOUR, internal=True)
    log.reply(incident, at=BEGINNING + 3 * HOUR, automatic=AutomaticKind.AUTO_REPLY)
    assert turn() == answered
    log.reply(incident, at=BEGINNING + 4 * HOUR, automatic=AutomaticKind.BOUNCE)
    assert turn() == ("staff", BEGINNING + 4 * HOUR)


@pytest.mark.rule("T7")
def test_the_queue_says_what_became_of_each_ticket(log: SupportLog) -> None:
    """Nothing is awaited of a ticket that is not open; the unfinished come first."""
    resolved, reopened, closed, merged, assigned = (
        log.open(at=BEGINNING - number * HOUR) for number in range(5)
    )
    for incident in (resolved, reopened, closed):
        log.resolve(incident, at=BEGINNING + HOUR)
    log.reopen(reopened, at=BEGINNING + 2 * HOUR)
    log.close(closed, at=BEGINNING + 3 * HOUR)
    log.merge(merged, assigned)
    log.assign(assigned)
    log.route(assigned, Desk.VALIDATOR)
    # What was merged into it was said there too.
    assert [(line.number, line.state, line.waiting_for) for line in queue(log)] == [
        (5, "open", "staff"),
        (2, "open", "staff"),
        (1, "resolved", None),
        (3, "closed", None),
        (4, "merged", None),
    ]
    lines = {line.number: line for line in queue(log)}
    assert (lines[5].assignee, lines[5].desk) == (STAFF, "validator")
    assert (lines[1].resolution, lines[1].state_since) == ("answered", BEGINNING + HOUR)
    assert lines[5].last_public_at == BEGINNING - 3 * HOUR


def test_the_queue_is_filtered(log: SupportLog) -> None:
    mine = log.open(at=BEGINNING - 2 * DAY)
    log.assign(mine)
    log.resolve(log.open())
    log.open(requester_kind=RequesterKind.HOLDER, desk=Desk.HOLDER_SUPPORT)

    def numbers(asked: TicketFilter) -> list[int]:
        return [line.number for line in queue(log, asked, at=BEGINNING)]

    assert numbers(TicketFilter()) == [1, 2, 3]
    assert numbers(TicketFilter(state=TicketState.OPEN)) == [1, 3]
    assert numbers(TicketFilter(state=TicketState.RESOLVED)) == [2]
    assert numbers(TicketFilter(assignee=STAFF)) == [1]
    assert numbers(TicketFilter(desk=Desk.HOLDER_SUPPORT)) == [3]
    assert numbers(TicketFilter(requester_kind=RequesterKind.CONTRACTOR)) == [1, 2]
    assert numbers(TicketFilter(opened_until=BEGINNING - 2 * DAY)) == [1]
    assert numbers(TicketFilter(state=TicketState.CLOSED, assignee=STAFF)) == []
    log.close(mine, at=BEGINNING + HOUR)
    assert numbers(TicketFilter(state=TicketState.OPEN)) == [1, 3]
    later = queue(log, TicketFilter(state=TicketState.OPEN), at=BEGINNING + HOUR)
    assert [line.number for line in later] == [3]


PAGE_CASES = pytest.mark.parametrize(
    "asked",
    [
        TicketFilter(),
        TicketFilter(assignee=STAFF),
        TicketFilter(desk=Desk.HOLDER_SUPPORT),
        TicketFilter(participant=OTHERS),
        *(TicketFilter(state=state) for state in TicketState),
    ],
    ids=str,
)


@pytest.fixture(scope="module")
def busy(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acta]:
    """A desk at which something different has become of each ticket, much of it at once."""
    with (
        new_database(server, tmp_path_factory.mktemp("busy") / "keys") as database,
        open_ledger(database.settings()) as acta,
    ):
        log = SupportLog(acta)
        incidents = [log.open(at=BEGINNING + (number % 3) * HOUR) for number in range(24)]
        for number, incident in enumerate(incidents):
            at = BEGINNING + (4 + number % 4) * HOUR
            if number % 2:
                log.assign(incident, at=at)
            if number % 5 == 0:
                log.route(incident, Desk.HOLDER_SUPPORT, at=at)
            if number % 4 == 1:
                log.copy(incident, OTHERS, at=at)
            if number % 6 == 2:
                log.resolve(incident, at=at)
            if number % 6 in {3, 4}:
                log.close(incident, at=at)
            if number % 6 == 5:
                log.merge(incident, incidents[number - 5], at=at)
        acta.projector.catch_up()
        yield acta


@PAGE_CASES
@pytest.mark.parametrize("at", [BEGINNING + 5 * HOUR, BEGINNING + DAY], ids=["before", "after"])
def test_pages_make_the_whole_list(busy: Acta, asked: TicketFilter, at: datetime) -> None:
    """None is shown twice or left out, wherever a page ends, as of any instant."""
    whole = busy.tickets.tickets(asked, SUPPORT, at)
    assert whole.next_after is None
    assert whole.tickets
    for limit in (1, 3, len(whole.tickets)):
        paged: list[OpenedTicket] = []
        after = None
        while True:
            page = busy.tickets.tickets(asked, SUPPORT, at, after=after, limit=limit)
            assert len(page.tickets) <= limit
            paged += page.tickets
            after = page.next_after
            if after is None:
                break
            assert after == page.tickets[-1].line.number
        assert tuple(paged) == whole.tickets


@PAGE_CASES
def test_what_is_asked_for_is_what_the_whole_list_says(busy: Acta, asked: TicketFilter) -> None:
    """Whatever is left aside by an index would not have been shown: as of any instant."""
    for hours in range(8):
        at = BEGINNING + hours * HOUR
        everything = busy.tickets.tickets(TicketFilter(), SUPPORT, at).tickets
        theirs = {
            line.number
            for line in (opened.line for opened in everything)
            if asked.state in {None, line.state}
            and asked.assignee in {None, line.assignee}
            and asked.desk in {None, line.desk}
            and (asked.participant is None or _is_copied(busy, line.number, at))
        }
        found = busy.tickets.tickets(asked, SUPPORT, at).tickets
        assert {opened.line.number for opened in found} == theirs


def _is_copied(acta: Acta, number: int, at: datetime) -> bool:
    copied = acta.tickets.ticket(number, SUPPORT, at).copied
    return any((copy.line.number, copy.line.copied) == (number, OTHERS) for copy in copied)


@pytest.mark.rule("G1")
def test_a_page_goes_on_after_a_ticket_of_the_same_list(log: SupportLog) -> None:
    """After no other: of somebody else's a person does not even learn where it stands."""
    log.open(OTHERS)
    for asker, after in ((person(OTHERS), log.open().number), (SUPPORT, 3), (SUPPORT, 10**30)):
        log.acta.projector.catch_up()
        with pytest.raises(InvalidInput, match="not in this list"):
            log.acta.tickets.tickets(TicketFilter(), asker, BEGINNING, after=after)


FINISHED = """
    INSERT INTO projections.desk_tickets (
        ticket, number, requester, requester_kind, desk, reason, channel, language, opened_at,
        event_id, sealed, finished_at)
    SELECT gen_random_uuid(), 1000 + n, gen_random_uuid(), 'holder', 'holder_support', 'access',
           'email', 'es', %(at)s, gen_random_uuid(), '{}', %(at)s
    FROM generate_series(1, 5000) AS n
"""


@pytest.mark.parametrize(
    "asked",
    [
        TicketFilter(),
        TicketFilter(state=TicketState.OPEN),
        TicketFilter(assignee=STAFF),
        TicketFilter(requester_kind=RequesterKind.CONTRACTOR),
        TicketFilter(desk=Desk.DOCUMENTATION_HELP_DESK),
        TicketFilter(participant=OTHERS),
    ],
    ids=str,
)
def test_an_answer_reads_what_it_shows(log: SupportLog, asked: TicketFilter) -> None:
    """And what is unfinished: not all the tickets there ever were, which are thousands here."""
    incidents = [log.open(OTHERS) for _ in range(10)]
    for incident in incidents:
        log.assign(incident)
    log.acta.projector.catch_up()
    with log.acta.database.transaction() as connection:
        connection.execute(FINISHED, {"at": BEGINNING - DAY})
        connection.execute("ANALYZE projections.desk_tickets, projections.desk_changes")
    with log.acta.database.transaction() as connection:
        assert len(ticket_lines(connection, asked, BEGINNING, limit=5)) == 5
        read = connection.execute(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))"
            " FROM pg_stat_xact_user_tables WHERE schemaname = 'projections'"
        ).fetchone()
    assert read is not None
    assert 10 <= read[0] < 500


@pytest.mark.rule("T3")
def test_a_ticket_is_finished_since_it_first_was(log: SupportLog) -> None:
    """Whatever a log says of it afterwards, and whichever is told first."""
    incident, other = log.open(), log.open()
    log.close(incident, at=BEGINNING + 2 * HOUR)
    log.merge(incident, other, at=BEGINNING + HOUR)
    log.reopen(incident, at=BEGINNING + 3 * HOUR)
    open_ones = TicketFilter(state=TicketState.OPEN)
    at_work = [
        [line.number for line in queue(log, open_ones, at=BEGINNING + hours * HOUR)]
        for hours in range(4)
    ]
    assert at_work == [[1, 2], [2], [2], [2]]


def test_a_ticket_is_shown_as_it_was_at_an_instant(log: SupportLog) -> None:
    """Whatever occurred later is left aside: messages, answers, splitting and merging."""
    incident, other = log.open(), log.open()
    late = log.reply(incident, "Y otra cosa.", at=BEGINNING + HOUR)
    log.copy(incident, OTHERS, at=BEGINNING + HOUR)
    log.split(incident, [late], at=BEGINNING + 2 * HOUR)
    log.merge(incident, other, at=BEGINNING + 3 * HOUR)

    def seen(at: datetime) -> tuple[int, int, str, list[str]]:
        answer = show(log, incident, at=at)
        relations = [link.relation for link in answer.links]
        return len(answer.messages), len(answer.copied), answer.ticket.line.state, relations

    assert seen(BEGINNING) == (1, 0, "open", [])
    assert seen(BEGINNING + HOUR) == (2, 1, "open", [])
    assert seen(BEGINNING + 2 * HOUR) == (1, 1, "open", ["split_into"])
    assert seen(BEGINNING + 3 * HOUR) == (1, 1, "merged", ["split_into", "merged_into"])
    assert len(queue(log, at=BEGINNING)) == 2
    with pytest.raises(InvalidInput, match="no such ticket"):
        show(log, incident, at=BEGINNING - HOUR)


@pytest.mark.parametrize("number", [2, 10**30])
def test_a_ticket_that_is_not_there_is_refused(log: SupportLog, number: int) -> None:
    log.open()
    with pytest.raises(InvalidInput, match="no such ticket"):
        show(log, Incident(uuid4(), number, uuid4(), uuid4()))


# ---------------------------------------------------------------- a thread


@pytest.mark.rule("T2", "T8")
def test_a_thread_says_why_each_message_is_in_it(log: SupportLog) -> None:
    """And of each ticket that it points to, why it is not there; in the order of the log."""
    incident, other = log.open(), log.open()
    rejected = RejectedTicket(
        ticket=other.ticket, number=other.number, reason=RejectionReason.OTHER_THREAD_NEARER
    )
    attached = Attachment(sha256="0" * 64, media_type="application/pdf", size_bytes=2048)
    log.reply(
        incident,
        "Adjunto el contrato.",
        at=BEGINNING - HOUR,
        placement=PlacementReason.REFERENCES,
        rejected=(rejected,),
        attachments=(attached,),
        attachment_names='["contrato.pdf"]',
    )
    answer = show(log, incident)
    assert answer.ticket.personal == {"subject": SUBJECT}
    assert bodies(answer) == [BODY, "Adjunto el contrato."]
    first, second = answer.messages
    assert (first.line.placement, first.line.rejected) == ("opened", ())
    assert first.personal["sender_address"] == "ana@example.com"
    assert second.line.placement == "references"
    assert second.line.rejected == (
        RejectedCandidate(other.ticket, other.number, "other_thread_nearer"),
    )
    assert second.line.attachments == (AttachedFile("0" * 64, "application/pdf", 2048),)
    assert second.personal["attachment_names"] == '["contrato.pdf"]'


@pytest.mark.rule("T3")
def test_tickets_that_follow_one_another_lead_to_each_other(log: SupportLog) -> None:
    closed = log.open()
    log.close(closed)
    later = [log.open(follows=closed.ticket, follows_number=closed.number) for _ in range(2)]
    assert links(log, closed) == [("followed_by", 2), ("followed_by", 3)]
    assert links(log, later[0]) == [("follows", 1)]


@pytest.mark.rule("T7")
def test_messages_that_were_split_off_are_in_the_other_ticket(log: SupportLog) -> None:
    """With where they were written, and open under the key by which they were sealed."""
    incident = log.open()
    stray = log.reply(incident, "Otra pregunta.")
    kept = log.answer(incident)
    split = log.split(incident, [stray])
    assert thread(log, incident) == [incident.message, kept]
    (message,) = show(log, split).messages
    assert (message.line.message, message.personal["body"]) == (stray, "Otra pregunta.")
    assert (message.line.number, message.line.written_in_number) == (2, 1)
    assert links(log, incident) == [("split_into", 2)]
    assert links(log, split) == [("split_from", 1)]
    assert [line.waiting_for for line in queue(log)] == ["requester", "staff"]


@pytest.mark.rule("T7")
def test_a_message_that_was_moved_again_is_where_it_came_last(log: SupportLog) -> None:
    """Also where its being taken over is all that was said of it."""
    incident, third = log.open(), log.open()
    stray = log.reply(incident)
    split = log.split(incident, [stray])
    log.take_over(third, split, [stray])
    assert thread(log, incident) == [incident.message]
    assert thread(log, split) == []
    assert thread(log, third) == [third.message, stray]
    assert show(log, third).messages[1].line.written_in == incident.ticket


@pytest.mark.rule("T7")
def test_a_merged_ticket_is_read_in_that_into_which_it_went(log: SupportLog) -> None:
    """However many went one into another, and what was split off from them before."""
    first, second, third = (log.open() for _ in range(3))
    stray = log.reply(first)
    split = log.split(first, [stray])
    log.merge(first, second)
    log.merge(second, third, [first.message, second.message])
    reply = log.answer(third)
    assert thread(log, third) == [first.message, second.message, third.message, reply]
    assert thread(log, second) == [first.message, second.message]
    assert links(log, third) == [("merged_here", 1), ("merged_here", 2)]
    assert links(log, first) == [("split_into", 4), ("merged_into", 2)]
    log.merge(split, third)
    assert stray in thread(log, third)


@pytest.mark.rule("T7")
def test_tickets_merged_in_a_circle_do_not_trap_a_question(log: SupportLog) -> None:
    """No command makes one; a log that has one is shown all the same."""
    first, second = log.open(), log.open()
    log.merge(first, second)
    log.merge(second, first)
    assert thread(log, first) == thread(log, second) == [first.message, second.message]


@pytest.mark.rule("T7")
def test_what_the_commands_do_is_shown_as_they_mean_it(story: Story) -> None:
    """Merging hands messages over, and splitting some off again, under whosever key they are."""
    messages = [uuid4() for _ in range(3)]
    for message, email in zip(messages, (ANA, "bruno@example.com"), strict=False):
        opening = OpenTicket(
            at=BEGINNING, ticket=uuid4(), message=message, requester=email,
            reason=TicketReason.ACCESS, subject=SUBJECT, body=f"De {email}",
        )  # fmt: skip
        story.ask(opening, SUPPORT)
    stray = messages[2]
    split = SplitTicket(
        at=BEGINNING, ticket=2, messages=(stray,), new_ticket=uuid4(), subject="Otra cosa"
    )
    for command in (
        ReplyToTicket(at=BEGINNING, ticket=1, message=stray, body="Respuesta"),
        MergeTicket(at=BEGINNING, ticket=1, into=2),
        split,
    ):
        story.ask(command, SUPPORT)
    log = SupportLog(story.acta)
    log.acta.projector.catch_up()
    threads = [log.acta.tickets.ticket(number, SUPPORT, BEGINNING) for number in (1, 2, 3)]
    assert [bodies(ticket) for ticket in threads] == [
        [f"De {ANA}"],
        [f"De {ANA}", "De bruno@example.com"],
        ["Respuesta"],
    ]
    assert [ticket.ticket.line.state for ticket in threads] == ["merged", "open", "open"]


# ---------------------------------------------------------------- who may read


@pytest.mark.rule("G1", "T4")
def test_a_requester_and_people_on_copy_read_what_was_said_in_public(log: SupportLog) -> None:
    """Nobody but themselves their name and address; whoever left the list reads no more."""
    incident, former = log.open(), UUID(int=52)
    log.answer(incident, "Una nota.", internal=True)
    log.copy(incident, OTHERS)
    log.copy(incident, former)
    log.uncopy(incident, former)
    for reader in (incident.requester, OTHERS):
        answer = show(log, incident, person(reader))
        assert answer.ticket.personal == {"subject": SUBJECT}
        assert bodies(answer) == [BODY]
        (message,) = answer.messages
        is_sender = reader == incident.requester
        assert (message.personal["sender_address"] is not None) == is_sender
        assert message.sealed == (set() if is_sender else {"sender_name", "sender_address"})
        (copy,) = answer.copied
        assert copy.personal["address"] == ("copia@example.com" if reader == OTHERS else None)
    for outsider in (former, uuid4()):
        with pytest.raises(Refused) as refused:
            show(log, incident, person(outsider))
        assert refused.value.rule == "G1"


@pytest.mark.rule("G1")
def test_people_are_shown_their_own_part_of_the_queue(log: SupportLog) -> None:
    """And nobody who does not say who they are is shown anything."""
    mine, copied = log.open(OTHERS), log.open()
    log.open()
    log.copy(copied, OTHERS)
    assert {line.number for line in queue(log, asker=person(OTHERS))} == {
        mine.number,
        copied.number,
    }
    answer = log.acta.tickets.tickets(TicketFilter(), person(OTHERS), BEGINNING)
    assert [opened.personal for opened in answer.tickets] == [{"subject": SUBJECT}] * 2
    log.uncopy(copied, OTHERS)
    assert [line.number for line in queue(log, asker=person(OTHERS))] == [mine.number]
    for nobody in (Actor(kind=ActorKind.PERSON), Actor(kind=ActorKind.PERSON, who=ANA)):
        with pytest.raises(Refused):
            queue(log, asker=nobody)


@pytest.mark.rule("G1")
def test_a_person_is_known_by_e_mail_too(log: SupportLog) -> None:
    ana = Story(log.acta).register()
    incident = log.open(ana.person)
    log.open()
    herself = Actor(kind=ActorKind.PERSON, who=ANA)
    assert bodies(show(log, incident, herself)) == [BODY]
    assert [line.number for line in queue(log, asker=herself)] == [incident.number]


@pytest.mark.rule("G1")
def test_notes_are_told_to_support_staff_and_auditors_alone(log: SupportLog) -> None:
    """To all others it is as if there were none."""
    incident = log.open()
    note = log.answer(incident, "Una nota.", internal=True)
    for actor in (SUPPORT, AUDITOR):
        _, last = show(log, incident, actor).messages
        assert (last.line.message, last.line.internal) == (note, True)
        assert last.personal == {"body": "Una nota."}
    for actor in (SYSTEM, MANAGER, person(incident.requester)):
        assert [m.line.message for m in show(log, incident, actor).messages] == [incident.message]


@pytest.mark.rule("G1")
def test_correspondence_is_sealed_for_all_others(log: SupportLog) -> None:
    """Account managers open who wrote, and not what."""
    incident = log.open()
    for actor in (SYSTEM, MANAGER):
        answer = show(log, incident, actor)
        assert answer.ticket.personal == {"subject": None}
        assert bodies(answer) == [None]
        names = {"sender_name", "sender_address"}
        opened = names if actor is MANAGER else set[str]()
        (message,) = answer.messages
        assert {name for name, value in message.personal.items() if value} == opened
        assert message.sealed == {"body", *names} - opened
        log.acta.projector.catch_up()
        asked = log.acta.tickets.tickets(TicketFilter(), actor, BEGINNING)
        assert asked.tickets[0].sealed == {"subject"}


@pytest.mark.rule("G1", "T7")
def test_of_a_merged_thread_people_read_what_was_said_in_their_ticket(log: SupportLog) -> None:
    """Being merged tells neither requester, nor whoever was on copy, what the other said."""
    one, other = log.open(body="Uno."), log.open(body="Otro.")
    log.copy(one, OTHERS)
    log.merge(one, other)
    for reader, said in (
        (one.requester, ["Uno.", None]),
        (other.requester, [None, "Otro."]),
        (OTHERS, ["Uno.", None]),
    ):
        assert bodies(show(log, other, person(reader))) == said
    subjects = [
        show(log, other, person(reader)).ticket.personal["subject"]
        for reader in (one.requester, other.requester)
    ]
    assert subjects == [None, SUBJECT]


@pytest.mark.rule("G1", "T7")
def test_what_was_split_off_is_read_by_whom_is_on_copy_there(log: SupportLog) -> None:
    """And not by whom is on copy where it was written; nor is what came in by merging."""
    incident, other = log.open(), log.open()
    stray = log.reply(incident, "Otra cosa.")
    log.copy(incident, before := uuid4())
    assert bodies(show(log, incident, person(before))) == [BODY, "Otra cosa."]
    log.merge(other, incident)
    split = log.split(incident, [stray, other.message])
    log.copy(split, after := uuid4())
    assert bodies(show(log, incident, person(before))) == [BODY]
    for reader in (incident.requester, after):
        assert bodies(show(log, split, person(reader))) == [None, "Otra cosa."]
    assert bodies(show(log, split, person(other.requester))) == [BODY, None]


@pytest.mark.rule("A11")
def test_what_an_erased_requester_said_can_be_read_nowhere(log: SupportLog) -> None:
    """That it was said stays, and what others said under their own key."""
    story = Story(log.acta)
    ana = story.register()
    incident, other = log.open(ana.person), log.open()
    log.reply(other, "De Ana, en copia.", sender=ana.person, sender_address=ANA)
    story.ask(ErasePerson(at=BEGINNING, account=ana.who), ana.itself)
    answer = show(log, incident)
    assert answer.ticket.personal == {"subject": None}
    assert answer.ticket.sealed == frozenset()
    (message,) = answer.messages
    assert set(message.personal.values()) == {None}
    _, copied = show(log, other).messages
    assert copied.personal == {"body": "De Ana, en copia.", "sender_address": None}


# ---------------------------------------------------------------- following the log


@pytest.mark.parametrize("seed", range(3))
def test_rebuilt_equals_incremental_whatever_happened(log: SupportLog, seed: int) -> None:
    """And every thread is the one that a plain walk through the same history gives."""
    chance = Random(seed)
    incidents, merged_into, places = _chance_history(log, chance)
    position, head = 0, log.acta.store.head()
    while position < head:
        position, _ = log.acta.projector.step(chance.randint(1, 15))
    built = contents(log.acta)
    rebuild(log.acta)
    assert contents(log.acta) == built
    expected: dict[int, list[UUID]] = defaultdict(list)
    for message, number in places.items():
        holder: int | None = number
        while holder is not None:
            expected[holder].append(message)
            holder = merged_into.get(holder)
    for incident in incidents:
        assert thread(log, incident) == expected[incident.number]


def _chance_history(
    log: SupportLog, chance: Random
) -> tuple[list[Incident], dict[int, int], dict[UUID, int]]:
    """All tickets, into which each was merged, and where each message is, in order."""
    incidents, merged_into, places = [log.open()], dict[int, int](), dict[UUID, int]()
    places[incidents[0].message] = 1
    for _ in range(60):
        living = [each for each in incidents if each.number not in merged_into]
        incident = chance.choice(living)
        theirs = [message for message, number in places.items() if number == incident.number]
        what = chance.choice(["open", "reply", "reply", "split", "merge"])
        if what == "open":
            incidents.append(log.open())
            places[incidents[-1].message] = incidents[-1].number
        elif what == "reply":
            places[log.reply(incident)] = incident.number
        elif what == "split" and len(theirs) > 1:
            stray = chance.sample(theirs, chance.randint(1, len(theirs) - 1))
            incidents.append(log.split(incident, stray))
            places |= dict.fromkeys(stray, incidents[-1].number)
        elif what == "merge" and len(living) > 1:
            into = chance.choice([each for each in living if each != incident])
            log.merge(incident, into, theirs)
            merged_into[incident.number] = into.number
    return incidents, merged_into, places


def test_delivered_twice_equals_once(log: SupportLog) -> None:
    """Two rebuilds in a row, and a step that finds nothing new."""
    tell_of_the_desk(log.acta)
    log.acta.projector.catch_up()
    once = contents(log.acta)
    rebuild(log.acta, SupportDesk())
    log.acta.projector.step()
    assert contents(log.acta) == once
    assert all(once[table.name] for table in SupportDesk.tables)


def test_what_happens_to_one_ticket_never_waits_for_another(log: SupportLog) -> None:
    """The streams of tickets may be told in any order; rows differ in nothing but that."""
    tell_of_the_desk(log.acta)
    log.acta.projector.catch_up()
    built = contents(log.acta)
    entries = Story(log.acta).events()
    by_stream: dict[UUID, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        by_stream[entry.stream].append(index)
    order: Sequence[int] = [index for stream in reversed(by_stream.values()) for index in stream]
    projection = SupportDesk()
    with log.acta.database.transaction() as connection:
        for table in projection.tables:
            table.create(connection)
        for index in order:
            projection.apply([entries[index]], connection)
    assert contents(log.acta) == built


def test_tickets_know_their_channels_and_reasons(log: SupportLog) -> None:
    """As they were given when the ticket was opened."""
    log.open(channel=Channel.TELEPHONE, reason=TicketReason.PAYMENT, language="en")
    (line,) = queue(log)
    assert (line.channel, line.reason, line.language) == ("telephone", "payment", "en")
