"""Cells of a statement: money that went out never reads as money that came in; who paid is hidden.

Both end in an event that nobody can take back.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cl import rut as chilean_rut

from domain.money import Currency
from handlers.spreadsheets.cells import Cell, cell_of
from handlers.transfers.columns import amount_of, reference_of

BLANKS = (" ", "\u00a0", "\u202f")
MINUSES = ("-", "\u2212")


def amount(text: str, currency: Currency = Currency.CLP) -> int | None:
    """What is read, in minor units; None where it is at fault."""
    try:
        return amount_of(cell_of(text), currency)
    except ValueError:
        return None


def reference_fault(text: str, payer_rut: str = "") -> str | None:
    """What is wrong with a reference."""
    try:
        reference_of(cell_of(text), cell_of(payer_rut))
    except ValueError as fault:
        return str(fault).partition("; ")[0]
    return None


# ---------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    "text",
    ["29.970", "$29.970", "$ 29.970", "29.970$", "29.970 $", " $  29.970 ",
     "+29.970", "$ +29.970", "+ $29.970", "+29.970 $"],
)  # fmt: skip
@pytest.mark.parametrize("blank", BLANKS)
def test_what_came_in_has_no_sign_or_a_plus_before_it(text: str, blank: str) -> None:
    assert amount(text.replace(" ", blank)) == 29970


@pytest.mark.parametrize(
    "text",
    ["-29.970", "- 29.970", "-$29.970", "-$ 29.970", "- $29.970", "- $ 29.970",
     "$-29.970", "$ -29.970", "$- 29.970", "$ - 29.970",
     "-29.970$", "-29.970 $", "- 29.970$", "- 29.970 $",
     "29.970-", "29.970 -", "29.970-$", "29.970- $", "29.970 -$", "29.970 - $",
     "29.970$-", "29.970$ -", "29.970 $-", "29.970 $ -",
     "$29.970-", "$29.970 -", "$ 29.970-", "$ 29.970 -"],
)  # fmt: skip
@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("minus", MINUSES)
def test_what_went_out_has_a_minus_before_or_behind_it(text: str, blank: str, minus: str) -> None:
    assert amount(text.replace(" ", blank).replace("-", minus)) == -29970


@pytest.mark.parametrize(
    "text",
    ["(29.970)", "( 29.970 )", "$(29.970)", "$ (29.970)", "$ ( 29.970 )", "(29.970)$",
     "(29.970) $", "($29.970)", "($ 29.970)", "( $ 29.970 )", "(29.970$)", "(29.970 $)"],
)  # fmt: skip
@pytest.mark.parametrize("blank", BLANKS)
def test_what_went_out_has_parentheses_around_it(text: str, blank: str) -> None:
    assert amount(text.replace(" ", blank)) == -29970


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("US$ -5", Currency.USD, -500),
        ("-US$5", Currency.USD, -500),
        ("$ (5,00)", Currency.USD, -500),
        ("5,00- US$", Currency.USD, -500),
        ("\u20ac -5,00", Currency.EUR, -500),
        ("-1.234,5 \u20ac", Currency.EUR, -123450),
        ("5,00\u00a0\u2212\u00a0\u20ac", Currency.EUR, -500),
    ],
)
def test_each_currency_has_its_signs(text: str, currency: Currency, minor: int) -> None:
    assert amount(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    ["(29.970", "29.970)", ")29.970(", "((29.970))", "()29.970", "$ (29.970", "(29).970",
     "(-29.970)", "-(29.970)", "(29.970)-", "(29.970-)", "(+29.970)",
     "--29.970", "- -29.970", "-29.970-", "-\u221229.970", "+-29.970", "-+29.970", "++29.970",
     "29.970+", "+29.970-", "29-970", "29.-970", "29.970.-", "\u201329.970", "\uff0d29.970",
     "$ $ 29.970", "$ 29.970 $", "29$970", "29 $ 970", "US$ 29.970", "\u20ac 29.970", "CLP 29.970",
     "", "-", "$", "$ -", "()", ".", "\u0662\u0669.970"],
)  # fmt: skip
def test_whatever_else_stands_there_is_no_amount(text: str) -> None:
    assert amount(text) is None


SIGNS = {
    Currency.CLP: ("", "$"),
    Currency.USD: ("", "$", "US$"),
    Currency.EUR: ("", "\u20ac"),
}
SIGNED = [
    *[(1, before, "") for before in ("", "+")],
    *[(-1, minus, "") for minus in MINUSES],
    *[(-1, "", minus) for minus in MINUSES],
    (-1, "(", ")"),
]
GROUPS = st.sampled_from(["", ".", ",", "'", *BLANKS])


@st.composite
def spelled(draw: st.DrawFn) -> tuple[str, Currency, int]:
    """An amount as some bank writes it, its currency, and what it is in minor units."""
    currency = draw(st.sampled_from(Currency))
    minor = draw(st.integers(0, 10**12))
    factor, before, behind = draw(st.sampled_from(SIGNED))
    parts = [before, _digits(draw, minor, currency.minor_digits), behind]
    parts.insert(draw(st.integers(0, 3)), draw(st.sampled_from(SIGNS[currency])))
    blanks = st.sampled_from(["", *BLANKS])
    return "".join(draw(blanks) + part for part in parts), currency, factor * minor


def _digits(draw: st.DrawFn, minor: int, minor_digits: int) -> str:
    whole, fraction = divmod(minor, 10**minor_digits)
    group = draw(GROUPS)
    digits = f"{whole:,}".replace(",", group)
    if not minor_digits or (not fraction and draw(st.booleans())):
        return digits
    return digits + ("." if group == "," else ",") + f"{fraction:0{minor_digits}}"


@given(spelled())
def test_any_amount_reads_as_itself_however_it_is_spelled(
    written: tuple[str, Currency, int],
) -> None:
    text, currency, minor = written
    assert amount(text, currency) == minor


# Whatever may be meant as a minus, and each parenthesis.
OUTGOING = st.sampled_from("-\u2212()\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d")


@given(written=spelled(), mark=OUTGOING, place=st.integers(0, 30))
def test_a_minus_or_a_parenthesis_anywhere_never_reads_as_money_that_came_in(
    written: tuple[str, Currency, int], mark: str, place: int
) -> None:
    text, currency, _ = written
    assert (amount(text[:place] + mark + text[place:], currency) or 0) <= 0


@given(
    before=st.text("0123456789.,' $\u20acUS+-()\u2212\u00a0"),
    mark=OUTGOING,
    behind=st.text("0123456789.,' $\u20acUS+-()\u2212\u00a0"),
    currency=st.sampled_from(Currency),
)
def test_nor_does_any_text_with_one(
    before: str, mark: str, behind: str, currency: Currency
) -> None:
    assert (amount(before + mark + behind, currency) or 0) <= 0


# ---------------------------------------------------------------- references


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    "text",
    ["12.345.678-5", "12345678-5", "0012345678-5", "1.000.005-K", "1000005-k",
     "RUT 12.345.678-5 JUAN PEREZ", "TEF 12345678-5 PEREZ", "RUT12345678-5", "12345678-5JUAN",
     "12 345 678-5", "12. 345. 678 - 5", "12.345.678 -5", "12345678- 5", "12345.678-5",
     "TEF 70021455 12.345.678-5", "TEF 70021455-3 12345678-5", "9 12345678-5", "12345678-5 0001",
     "11.111.111-1.345.678-7"],
)  # fmt: skip
def test_a_rut_anywhere_is_no_reference(text: str) -> None:
    assert reference_fault(text) == "holds a RUT"


def test_with_both_points_it_is_a_rut_though_mistyped() -> None:
    assert reference_fault("TEF 12.345.678-9") == "holds a RUT"


@pytest.mark.parametrize(
    "text",
    ["70021455", "123456785", "12345678", "12 345 678 5", "TEF 70021455", "OP-2027/00123",
     "N 12345 SUC 003", "12345678-9", "12345678-50", "112345678-5", "2027-02-12 00345",
     "TEF-12-3", "345678-5"],
)  # fmt: skip
def test_numbers_of_banks_are_references(text: str) -> None:
    """Without a dash also where the last digit might be the check digit of a RUT."""
    assert reference_fault(text) is None
    assert reference_fault(text, "76.086.428-5") is None


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    "text",
    ["123456785", "12345678 5", "12.345.678/5", "12-345-678-5", "12_345_678_5", "12 345 678 5",
     "12345678", "12.345.678", "12345678-9", "00123456785", "TEF 0012345678", "TEF70021234567850"],
)  # fmt: skip
@pytest.mark.parametrize(
    "payer_rut",
    ["12.345.678-5", "12345678-5", "123456785", "012.345.678-5", "CL 12345678 5", "12.345.678-9"],
)
def test_the_number_of_the_payers_rut_is_no_reference_however_both_are_spelled(
    text: str, payer_rut: str
) -> None:
    """Also where the check digit was mistyped, since whose RUT it is can still be told."""
    assert reference_fault(text, payer_rut) == "holds the payer's RUT"


def test_a_rut_column_without_a_rut_hides_no_reference() -> None:
    for payer_rut in ("", "0", "0-0", "K", "1", "12-3", "ana"):
        assert reference_fault("TEF 1012-3", payer_rut) is None


RUTS = st.integers(1_000_000, 99_999_999).map(
    lambda number: (f"{number}", chilean_rut.calc_check_digit(f"{number}"))
)
WORDS = st.text("ABCXYZ ", max_size=10)


@st.composite
def ruts(draw: st.DrawFn, dash: st.SearchStrategy[str]) -> tuple[str, str]:
    """A text that holds a RUT in some spelling, and the RUT."""
    number, check = draw(RUTS)
    point, blanks = draw(st.sampled_from([("", ""), (".", ""), (".", " "), ("", " ")]))
    body = f"{int(number):,}".replace(",", point + blanks)
    letter_case = draw(st.sampled_from([str.upper, str.lower]))
    spelling = draw(st.sampled_from(["", "0", "00"])) + body + draw(dash) + letter_case(check)
    return f"R{draw(WORDS)}{spelling}{draw(WORDS)}", f"{number}-{check}"


@pytest.mark.rule("D7")
@given(ruts(st.sampled_from(["-", " -", "- ", " - "])))
def test_any_rut_is_found_in_any_text(written: tuple[str, str]) -> None:
    text, _ = written
    assert reference_fault(text) == "holds a RUT"


@pytest.mark.rule("D7")
@given(ruts(st.sampled_from(["", " ", "/", ".", "_"])))
def test_any_payers_rut_is_found_without_its_dash_too(written: tuple[str, str]) -> None:
    text, rut = written
    assert reference_fault(text, rut) == "holds the payer's RUT"


@given(st.text("0123456789", min_size=1, max_size=50).filter(lambda text: text.strip("0") != ""))
def test_any_number_alone_is_a_reference(text: str) -> None:
    assert reference_of(Cell(text), Cell()) == text
