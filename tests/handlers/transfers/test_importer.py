"""A statement is imported on a real ledger: each line has its answer, nothing comes in twice."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.actor import Actor
from domain.calendar import add_months, start_of_day
from domain.money import Currency
from domain.refusal import Refused
from domain.streams import subscription_of
from domain.subscription import (
    CapturePayment,
    ChooseTaxDocument,
    EndSubscription,
    LapseSubscription,
    PaymentMeans,
    ReactivateSubscription,
    TaxDocumentKind,
)
from handlers.composition import Acta, open_ledger
from handlers.ledger import Ledger, Receipt
from handlers.store.embedded import EmbeddedServer
from handlers.transfers.answers import TransferAnswer, TransferOutcome
from handlers.transfers.importer import StatementToImport, TransferImporter
from handlers.transfers.report import write_report
from handlers.transfers.statement import read_statement
from tests.conftest import TestDatabase, new_database
from tests.handlers.stories import (
    ANA,
    ANA_RUT,
    BEGINNING,
    BRUNO,
    BRUNO_RUT,
    MANAGER,
    PRICE_MINOR,
    SYSTEM,
    Story,
    noon,
)
from tests.handlers.transfers.statements import (
    BOOKED,
    PRICE,
    Line,
    a_statement,
    captured,
    school,
    statement,
)

NOW = noon(2026, 2, 5)
CAPTURED = TransferOutcome.CAPTURED
RECORDED = TransferOutcome.RECORDED


@pytest.fixture
def story(acta: Acta) -> Story:
    return Story(acta)


def imported(
    story: Story,
    folder: Path,
    *lines: Line,
    dry_run: bool = False,
    actor: Actor = MANAGER,
    at: datetime = NOW,
) -> list[TransferAnswer]:
    """Imports a statement of these lines."""
    wanted = StatementToImport(statement(folder, *lines), actor, at)
    importer = TransferImporter(story.acta.ledger, story.acta.store)
    return importer.run(wanted, dry_run=dry_run)


def payments(story: Story, who: str) -> list[tuple[date, date]]:
    """The periods that an account or a plan has paid for."""
    kind, _, known_as = who.partition(":")
    stream = UUID(known_as) if kind == "plan" else subscription_of(UUID(known_as))
    return [(paid.period_from, paid.period_to) for paid in captured(story.events(stream))]


def receipts(story: Story) -> int:
    with story.acta.database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM ledger.receipts").fetchone()
    assert row is not None
    return int(row[0])


# ---------------------------------------------------------------- who pays


@pytest.mark.rule("S2", "S9")
@pytest.mark.parametrize(
    ("text", "rut"),
    [
        ("account:{0.account}", ""),
        ("para ACCOUNT {0.account.hex}", BRUNO_RUT),
        (f"pago de {ANA.upper()}", "0-0"),
        ("mensualidad", "12.345.678-5"),
    ],
)
def test_a_transfer_is_of_whom_its_text_names_else_of_the_payers_rut(
    story: Story, tmp_path: Path, text: str, rut: str
) -> None:
    ana = story.about_to_pay(ANA, ANA_RUT, months=3)
    story.about_to_pay(BRUNO, BRUNO_RUT, months=3)
    (answer,) = imported(story, tmp_path, Line("TEF 1/7", text.format(ana), rut=rut))
    (recorded,) = [each for each in story.events() if captured([each])]
    (paid,) = captured([recorded])
    assert answer == TransferAnswer(
        2, CAPTURED, "TEF 1/7", account=ana.who, payment=paid.payment, amount_minor=PRICE,
        currency=Currency.CLP, period_from=BOOKED, period_to=date(2026, 5, 1),
        position=recorded.position,
    )  # fmt: skip
    assert paid.gateway_reference == "bank-1-7"
    assert paid.means is PaymentMeans.TRANSFER
    assert paid.occurred_at == start_of_day(BOOKED, "America/Santiago")
    assert recorded.actor == MANAGER


@pytest.mark.rule("S10")
def test_an_institution_pays_for_its_plan(story: Story, tmp_path: Path) -> None:
    plan = school(story, uuid4())
    (answer,) = imported(story, tmp_path, Line("TEF-1", f"Colegio {plan}"))
    assert (answer.outcome, answer.account) == (CAPTURED, plan)
    assert payments(story, plan) == [(BOOKED, date(2026, 5, 1))]


@pytest.mark.rule("A3")
def test_a_transfer_that_names_nobody_or_several_is_unmatched(story: Story, tmp_path: Path) -> None:
    """A company's RUT is nobody's, and what a text names is not overruled by a RUT."""
    ana = story.about_to_pay(ANA, ANA_RUT, months=3)
    bruno = story.about_to_pay(BRUNO, months=3)
    company = "76.192.083-9"
    story.ask(
        ChooseTaxDocument(
            at=BEGINNING, account=bruno.who, kind=TaxDocumentKind.FACTURA, company_name="Sur",
            company_rut=company, line_of_business="Libros", address="Calle 1",
        ),
        bruno.itself,
    )  # fmt: skip
    answers = imported(
        story,
        tmp_path,
        Line("A1", "nada"),
        Line("B1", "nada", rut=company),
        Line("C1", "nobody@example.com", rut=ANA_RUT),
        Line("D1", f"{ANA} y {BRUNO}"),
        Line("E1", f"plan:{uuid4()}"),
        Line("F1", f"plan:{subscription_of(ana.account)}"),
    )
    assert {answer.outcome for answer in answers} == {TransferOutcome.UNMATCHED}
    assert [answer.faults[0].message for answer in answers] == [
        "names nobody, and there is no RUT of a payer",
        "names nobody, and nobody with the payer's RUT has an account",
        "names nobody who has an account or a plan",
        "names several payers",
        "names nobody who has an account or a plan",
        "names nobody who has an account or a plan",
    ]


# ---------------------------------------------------------------- what it pays for


@pytest.mark.rule("S9")
def test_transfers_extend_from_the_end_in_the_order_of_their_days(
    story: Story, tmp_path: Path
) -> None:
    """The newest stands first in the file; the first day paid for is that of the oldest."""
    ana = story.about_to_pay(ANA, months=3)
    later, sooner = imported(
        story, tmp_path, Line("B1", ANA, date(2026, 2, 4)), Line("A1", ANA, date(2026, 2, 2))
    )
    assert (sooner.row, sooner.period_from) == (3, date(2026, 2, 2))
    assert (later.row, later.period_from) == (2, date(2026, 5, 2))
    assert payments(story, ana.who)[0] == (sooner.period_from, sooner.period_to)


@pytest.mark.rule("S9")
def test_a_transfer_made_before_the_end_extends_from_it_though_imported_later(
    story: Story, tmp_path: Path
) -> None:
    """Paid through 29 April, booked on that day, imported in June."""
    ana = story.about_to_pay(ANA, months=3)
    imported(story, tmp_path, Line("A1", ANA, date(2026, 1, 30)), at=noon(2026, 2, 1))
    before = Line("B1", ANA, date(2026, 4, 29))
    (answer,) = imported(story, tmp_path, before, at=noon(2026, 6, 1))
    assert (answer.outcome, answer.period_from) == (CAPTURED, date(2026, 4, 30))
    assert payments(story, ana.who)[-1] == (date(2026, 4, 30), date(2026, 7, 29))


@pytest.mark.rule("S9")
def test_one_made_in_time_extends_from_the_end_though_the_lapse_is_on_record(
    story: Story, tmp_path: Path
) -> None:
    ana = story.about_to_pay(ANA, months=3)
    imported(story, tmp_path, Line("A1", ANA, date(2026, 1, 30)), at=noon(2026, 2, 1))
    story.ask(LapseSubscription(at=noon(2026, 4, 30), account=ana.who), SYSTEM)
    in_time = Line("B1", ANA, date(2026, 4, 29))
    (answer,) = imported(story, tmp_path, in_time, at=noon(2026, 6, 1))
    assert (answer.outcome, answer.period_from) == (CAPTURED, date(2026, 4, 30))


@pytest.mark.rule("S9", "A6")
def test_after_a_lapse_it_is_refused_until_the_steps_are_made_anew(
    story: Story, tmp_path: Path
) -> None:
    """Then the same statement is imported again: a refusal blocks no later decision."""
    ana = story.about_to_pay(ANA, months=3)
    imported(story, tmp_path, Line("A1", ANA, date(2026, 1, 30)), at=noon(2026, 2, 1))
    story.ask(LapseSubscription(at=noon(2026, 4, 30), account=ana.who), SYSTEM)
    late = Line("B1", ANA, date(2026, 5, 20))
    for _ in range(2):
        (refused,) = imported(story, tmp_path, late, at=noon(2026, 6, 1))
        assert (refused.outcome, refused.faults[0].rule) == (TransferOutcome.REFUSED, "A6")
    story.ask(ReactivateSubscription(at=noon(2026, 6, 1), account=ana.who), ana.itself)
    story.take_steps(ana, months=3, at=noon(2026, 6, 1))
    (answer,) = imported(story, tmp_path, late, at=noon(2026, 6, 2))
    assert (answer.outcome, answer.period_from) == (CAPTURED, late.booked_on)


@pytest.mark.rule("S5")
def test_what_is_not_the_price_says_what_the_period_costs(story: Story, tmp_path: Path) -> None:
    story.about_to_pay(ANA, months=3)
    answers = imported(
        story,
        tmp_path,
        Line("A1", ANA, amount="29.969"),
        Line("B1", ANA, amount="29.971"),
        Line("C1", ANA, amount="299,70", currency="EUR"),
        Line("D1", ANA, currency="GBP"),
    )
    assert [answer.outcome for answer in answers] == [
        TransferOutcome.UNDERPAID,
        TransferOutcome.OVERPAID,
        TransferOutcome.FOREIGN,
        TransferOutcome.FOREIGN,
    ]
    assert [(fault.rule, fault.message) for answer in answers for fault in answer.faults] == [
        ("S5", "29,969 CLP came in, and 2026-02-02 to 2026-05-01 cost 29,970 CLP"),
        ("S5", "29,971 CLP came in, and 2026-02-02 to 2026-05-01 cost 29,970 CLP"),
        ("S5", "299.70 EUR came in, and 2026-02-02 to 2026-05-01 cost 29,970 CLP"),
        (None, "is one in which nothing is priced"),
    ]


@pytest.mark.rule("S1", "S2", "S4", "A10")
def test_a_rule_that_stands_in_the_way_is_named(story: Story, tmp_path: Path) -> None:
    """Paid by card, nothing agreed to, closed, ended."""
    by_card = story.about_to_pay("card@example.com", months=1)
    story.register("nothing@example.com")
    closed = story.about_to_pay("closed@example.com", months=3)
    story.close(closed)
    ended = story.subscriber("ended@example.com", months=3)
    story.ask(EndSubscription(at=BEGINNING, account=ended.who), ended.itself)
    before = len(captured(story.events()))
    answers = imported(
        story,
        tmp_path,
        Line("A1", by_card.who, amount=str(PRICE_MINOR)),
        Line("B1", "nothing@example.com"),
        Line("C1", closed.who),
        Line("D1", ended.who),
    )
    assert {answer.outcome for answer in answers} == {TransferOutcome.REFUSED}
    assert [answer.faults[0].rule for answer in answers] == ["S2", "S1", "A10", "S4"]
    assert len(captured(story.events())) == before


def test_a_day_that_was_mistyped_is_faulty(story: Story, tmp_path: Path) -> None:
    story.about_to_pay(ANA, months=3)
    future, past = imported(
        story, tmp_path, Line("A1", ANA, date(2026, 2, 6)), Line("B1", ANA, date(2016, 2, 2))
    )
    assert future.faults[0].message == "lies in the future"
    assert past.faults[0].message == "lies more than 366 days back"


@pytest.mark.rule("D7")
def test_what_tells_who_paid_is_neither_on_record_nor_in_an_answer(
    story: Story, tmp_path: Path
) -> None:
    """A payment's reference stays on record in clear for ever; the line with it is not captured."""
    story.about_to_pay(ANA, ANA_RUT, months=3)
    told = [f"RUT {ANA_RUT} JUAN PEREZ", f"TEF {ANA_RUT[:-2].replace('.', '')}", f"TEF-1 {ANA}"]
    answers = imported(story, tmp_path, *[Line(text, ANA, rut=ANA_RUT) for text in told])
    assert [(answer.outcome, answer.reference) for answer in answers] == [
        (TransferOutcome.FAULTY, "")
    ] * len(told)
    assert captured(story.events()) == []
    write_report(tmp_path / "report.csv", answers)
    everything = repr(answers) + (tmp_path / "report.csv").read_text("utf-8-sig")
    for text in told:
        assert not any(word in everything for word in text.split()[1:])


@pytest.mark.rule("S5")
@pytest.mark.parametrize("amount", ["$ -29.970", "$ (29.970)", "29.970- $", "(29.970"])
def test_what_went_out_is_never_captured(story: Story, tmp_path: Path, amount: str) -> None:
    story.about_to_pay(ANA, months=3)
    (answer,) = imported(story, tmp_path, Line("A1", ANA, amount=amount))
    assert (answer.outcome, answer.faults[0].column) == (TransferOutcome.FAULTY, "amount")
    assert captured(story.events()) == []


# ---------------------------------------------------------------- once


@pytest.mark.rule("S6")
def test_a_second_import_records_nothing_twice(story: Story, tmp_path: Path) -> None:
    """Its answers say where each payment is on record."""
    story.about_to_pay(ANA, months=3)
    plan = school(story, uuid4())
    lines = [Line("A1", ANA), Line("B1", plan), Line("C1", "nobody")]
    first = imported(story, tmp_path, *lines)
    before = len(story.events())
    second = imported(story, tmp_path, *lines, at=noon(2026, 3, 1))
    assert [answer.outcome for answer in second] == [RECORDED, RECORDED, TransferOutcome.UNMATCHED]
    assert [answer.payment for answer in second] == [answer.payment for answer in first]
    assert [answer.position for answer in second] == [answer.position for answer in first]
    assert len(story.events()) == before


@pytest.mark.rule("S6")
def test_a_transfer_is_on_record_whoever_is_meant_by_now(story: Story, tmp_path: Path) -> None:
    """What was captured for one account is not captured again for another."""
    ana = story.about_to_pay(ANA, months=3)
    bruno = story.about_to_pay(BRUNO, months=3)
    imported(story, tmp_path, Line("0001", ana.who))
    (answer,) = imported(story, tmp_path, Line("1", bruno.who))
    assert (answer.outcome, answer.account) == (RECORDED, ana.who)
    assert payments(story, bruno.who) == []


@pytest.mark.rule("S6")
def test_an_equal_line_is_the_same_transfer_and_a_different_one_a_question(
    story: Story, tmp_path: Path
) -> None:
    story.about_to_pay(ANA, months=3)
    answers = imported(
        story,
        tmp_path,
        Line("A1", ANA),
        Line("A1", ANA),
        Line("B1", ANA, date(2026, 2, 3)),
        Line("B1", ANA, date(2026, 2, 4)),
        Line("C1", "nobody"),
        Line("C1", "nobody"),
    )
    doubled, unmatched = TransferOutcome.DOUBLED, TransferOutcome.UNMATCHED
    assert [(answer.outcome, answer.same_as) for answer in answers] == [
        (CAPTURED, None), (RECORDED, 2), (doubled, None), (doubled, None),
        (unmatched, None), (unmatched, 6),
    ]  # fmt: skip
    assert answers[2].faults[0].message == "is that of rows 4, 5, which differ"
    assert len(captured(story.events())) == 1


@pytest.mark.rule("S6")
def test_two_imports_at_the_same_time_capture_each_transfer_once(
    database: TestDatabase, tmp_path: Path
) -> None:
    """One of them finds another payer: the account to which the first found it keeps it."""
    with open_ledger(database.settings()) as one, open_ledger(database.settings()) as other:
        story = Story(one)
        plans = [school(story, uuid4()) for _ in range(6)]
        swapped = [*plans[3:], *plans[:3]]
        for folder in ("one", "other"):
            (tmp_path / folder).mkdir()
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(
                    imported,
                    Story(acta),
                    tmp_path / folder,
                    *[Line(f"R{place}", plan) for place, plan in enumerate(named)],
                )
                for acta, folder, named in ((one, "one", plans), (other, "other", swapped))
            ]
            answers = [answer for run in runs for answer in run.result()]
        assert all(answer.outcome.on_record for answer in answers)
        assert Counter(answer.payment for answer in answers) == Counter(
            {paid.payment: 2 for paid in captured(story.events())}
        )
        assert len(captured(story.events())) == len(plans)


@pytest.mark.rule("S6")
def test_a_payer_who_is_found_anew_meanwhile_does_not_pay_a_second_time(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the command somebody else captures it, for another account."""
    ana = story.about_to_pay(ANA, months=3)
    bruno = story.about_to_pay(BRUNO, months=3)
    other = tmp_path / "other"
    other.mkdir()
    ask = Ledger.ask

    def overtaken(ledger: Ledger, command: CapturePayment, actor: Actor, known_as: UUID) -> Receipt:
        monkeypatch.setattr(Ledger, "ask", ask)
        imported(story, other, Line("A1", ana.who))
        return ledger.ask(command, actor, known_as)

    monkeypatch.setattr(Ledger, "ask", overtaken)
    (answer,) = imported(story, tmp_path, Line("A1", bruno.who))
    assert answer.account == ana.who
    assert payments(story, bruno.who) == []


# ---------------------------------------------------------------- trying, and who may


@pytest.mark.rule("S9")
def test_a_dry_run_says_what_the_import_then_does_and_writes_nothing(
    story: Story, tmp_path: Path
) -> None:
    """Also of what follows from lines before: one transfer extends what the other began."""
    story.about_to_pay(ANA, ANA_RUT, months=3)
    plan = school(story, uuid4())
    story.about_to_pay(BRUNO, months=1)
    lines = [
        Line("A1", ANA),
        Line("B1", rut=ANA_RUT, booked_on=date(2026, 2, 4)),
        Line("A1", ANA),
        Line("C1", plan),
        Line("D1", plan, amount="1"),
        Line("E1", BRUNO, amount=str(PRICE_MINOR)),
        Line("F1", "nobody"),
        Line("G1", ANA, amount="-5"),
    ]
    before = (story.acta.store.head(), receipts(story))
    tried = imported(story, tmp_path, *lines, dry_run=True)
    assert (story.acta.store.head(), receipts(story)) == before
    assert all(answer.position is None for answer in tried)
    done = imported(story, tmp_path, *lines)
    assert tried == [_without_position(answer) for answer in done]
    again = imported(story, tmp_path, *lines, dry_run=True)
    assert again == imported(story, tmp_path, *lines)


def _without_position(answer: TransferAnswer) -> TransferAnswer:
    return replace(answer, position=None)


@pytest.mark.rule("G1")
def test_only_staff_may_import(story: Story, tmp_path: Path) -> None:
    ana = story.about_to_pay(ANA, months=3)
    with pytest.raises(Refused, match="G1"):
        imported(story, tmp_path, Line("A1", ANA), actor=ana.itself)


# ---------------------------------------------------------------- any order, any repetition


@pytest.fixture(scope="module")
def shared(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A ledger for many examples, each of which has schools of its own."""
    with (
        new_database(server, tmp_path_factory.mktemp("keys")) as database,
        open_ledger(database.settings()) as acta,
    ):
        yield Story(acta)


TRANSFERS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 20), st.sampled_from([PRICE, PRICE, PRICE + 1])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=settings().max_examples // 7)
@given(transfers=TRANSFERS, random=st.randoms(use_true_random=False))
@pytest.mark.rule("S6", "S9")
def test_whatever_is_shuffled_doubled_or_imported_again_each_transfer_pays_once(
    shared: Story, transfers: list[tuple[int, int, int]], random: Random
) -> None:
    """Periods follow one another from the first day that was booked, whatever stands where."""
    plans = [school(shared, uuid4()) for _ in range(3)]
    lines = [
        Line(f"{uuid4().hex[:12]}1x", plans[place], BOOKED - timedelta(days=days), str(amount))
        for place, days, amount in transfers
    ]
    with TemporaryDirectory() as folder:
        for _ in range(3):
            shown = random.sample([*lines, *random.choices(lines, k=3)], k=len(lines) + 3)
            part = shown[: random.randint(1, len(shown))]
            if random.random() < 0.7:
                part = shown
            assert len(imported(shared, Path(folder), *part)) == len(part)
        last = imported(shared, Path(folder), *lines)
    fitting = [line for line in lines if line.amount == str(PRICE)]
    assert [answer.outcome for answer in last] == [
        RECORDED if line in fitting else TransferOutcome.OVERPAID for line in lines
    ]
    for plan in plans:
        paid = payments(shared, plan)
        assert len(paid) == sum(line.text == plan for line in fitting)
        days = [first for first, _ in paid]
        assert days == [add_months(days[0], 3 * number) for number in range(len(paid))]


def test_a_statement_of_many_lines_has_an_answer_to_each(story: Story, tmp_path: Path) -> None:
    """The progress tells of every line."""
    plan = school(story, uuid4())
    path = a_statement(tmp_path, [Line(f"R{number}", plan) for number in range(40)])
    told: list[int] = []
    wanted = StatementToImport(read_statement(path), MANAGER, NOW)
    importer = TransferImporter(story.acta.ledger, story.acta.store)
    answers = importer.run(wanted, advanced=told.append)
    assert told == list(range(1, 41))
    assert Counter(answer.outcome for answer in answers) == {CAPTURED: 40}
    assert payments(story, plan)[-1][1] == add_months(BOOKED, 120) - timedelta(days=1)
