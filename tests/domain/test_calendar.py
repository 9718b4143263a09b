"""Months and days (S5)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.calendar import (
    Period,
    TimeZone,
    add_months,
    add_years,
    local_day,
    period,
    start_of_day,
)
from tests.domain.stories import SANTIAGO

ONE_DAY = timedelta(days=1)
AN_INSTANT = timedelta(microseconds=1)


def days_from(first: date, last: date) -> list[date]:
    """Every day, the first and the last included."""
    return [first + n * ONE_DAY for n in range((last - first).days + 1)]


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("year", "february"), [(2025, date(2025, 2, 28)), (2024, date(2024, 2, 29))]
)
def test_months_are_counted_from_the_first_day(year: int, february: date) -> None:
    """31 January, then 28 or 29 February, then 31 March."""
    anchor = date(year, 1, 31)
    months = [period(anchor, months_before=n, months=1) for n in range(3)]
    assert months == [
        Period(anchor, february - ONE_DAY),
        Period(february, date(year, 3, 30)),
        Period(date(year, 3, 31), date(year, 4, 29)),
    ]


@pytest.mark.rule("S5")
@pytest.mark.parametrize("months", [1, 3, 6, 12])
def test_periods_are_what_another_calendar_makes_them(months: int) -> None:
    """36 periods from every day of four years, against dateutil, without gap or overlap."""
    steps = [relativedelta(months=months * n) for n in range(37)]
    for anchor in days_from(date(2023, 1, 1), date(2026, 12, 31)):
        boundaries = [anchor + step for step in steps]
        for n in range(36):
            days = period(anchor, months_before=months * n, months=months)
            assert days == Period(boundaries[n], boundaries[n + 1] - ONE_DAY)


@given(st.dates(date(1900, 1, 1), date(2900, 1, 1)), st.integers(-600, 600))
def test_adding_months_agrees_with_another_calendar(day: date, months: int) -> None:
    """The same day so many months later, or the last of a month without such a day."""
    assert add_months(day, months) == day + relativedelta(months=months)


def test_a_year_after_29_february_is_28_february() -> None:
    """A year without that day has the day before."""
    assert add_years(date(2024, 2, 29), 1) == date(2025, 2, 28)
    assert add_years(date(2024, 2, 29), 4) == date(2028, 2, 29)


# ---------------------------------------------------------------- clocks that change


@pytest.mark.rule("S5")
def test_a_day_in_chile_is_not_a_day_in_utc() -> None:
    """Days are those of the time zone of the subscription."""
    late_evening = datetime(2025, 7, 1, 2, tzinfo=UTC)
    assert local_day(late_evening, SANTIAGO) == date(2025, 6, 30)
    assert local_day(late_evening, "UTC") == date(2025, 7, 1)


@pytest.mark.rule("S5")
def test_a_day_whose_midnight_is_skipped_starts_an_hour_later() -> None:
    """On 8 September 2024 clocks in Chile went from 24:00 to 01:00."""
    assert start_of_day(date(2024, 9, 8), SANTIAGO) == datetime(2024, 9, 8, 4, tzinfo=UTC)
    first = start_of_day(date(2024, 9, 8), SANTIAGO).astimezone(ZoneInfo(SANTIAGO))
    assert (first.hour, first.utcoffset()) == (1, timedelta(hours=-3))


@pytest.mark.rule("S5")
def test_a_day_whose_last_hour_comes_twice_ends_after_the_second() -> None:
    """On 6 April 2024 clocks in Chile went from 24:00 back to 23:00."""
    assert start_of_day(date(2024, 4, 7), SANTIAGO) == datetime(2024, 4, 7, 4, tzinfo=UTC)
    for twice in (datetime(2024, 4, 7, 2, 30, tzinfo=UTC), datetime(2024, 4, 7, 3, 30, tzinfo=UTC)):
        assert local_day(twice, SANTIAGO) == date(2024, 4, 6)


@pytest.mark.rule("S5")
@pytest.mark.parametrize("time_zone", [SANTIAGO, "Europe/Madrid", "America/Havana", "Asia/Beirut"])
def test_every_day_starts_where_the_day_before_it_ends(time_zone: str) -> None:
    """The first instant of a day is that day's, and the instant before it the day before's."""
    for day in days_from(date(2019, 1, 1), date(2035, 12, 31)):
        start = start_of_day(day, time_zone)
        assert local_day(start, time_zone) == day
        assert local_day(start - AN_INSTANT, time_zone) == day - ONE_DAY


# ---------------------------------------------------------------- time zones


@pytest.mark.parametrize("name", [SANTIAGO, "Pacific/Easter", "Europe/Madrid", "UTC"])
def test_a_time_zone_is_known_by_its_name(name: str) -> None:
    """A time zone is one of the IANA database."""
    assert TypeAdapter(TimeZone).validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", "Chile", "America", "America/Nowhere", "../etc/passwd", "/etc/passwd", "UTC\0"]
)
def test_what_is_no_time_zone_is_turned_away(name: str) -> None:
    """Anything else gets a message that shows a good one."""
    with pytest.raises(ValidationError, match="America/Santiago"):
        TypeAdapter(TimeZone).validate_python(name)
