"""Billing periods: calendar months counted from the first payment's day, in a time zone (S5)."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

__all__ = [
    "REMINDER_DAYS", "Period", "TimeZone", "add_months", "add_years", "local_day", "period",
    "start_of_day",
]  # fmt: skip

REMINDER_DAYS = 7
"""How many days before something runs out whoever can prolong it is reminded (I6, C3, S5)."""


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "not a time zone of the IANA database; write one such as America/Santiago"
        ) from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
"""Name of a time zone of the IANA database, such as ``America/Santiago``."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days that a payment pays for, the first and the last of them included."""

    first_day: date
    last_day: date


def period(anchor: date, *, months_before: int, months: int) -> Period:
    """The period of ``months`` that follows ``months_before`` months from the anchor (S5).

    Each boundary is counted from the anchor, not from the boundary before it, so that a
    subscription that began on 31 January renews on 28 February and then on 31 March.
    """
    first_day = add_months(anchor, months_before)
    next_first_day = add_months(anchor, months_before + months)
    return Period(first_day, next_first_day - timedelta(days=1))


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day where it has no such day (S5)."""
    years, month_index = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month_index + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def add_years(day: date, years: int) -> date:
    """The same day of a later year; 28 February where that year has no 29th."""
    return add_months(day, 12 * years)


def local_day(instant: datetime, time_zone: str) -> date:
    """The day on which an instant falls in a time zone."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def start_of_day(day: date, time_zone: str) -> datetime:
    """The first instant of a day in a time zone.

    Where clocks go forward at midnight, as Chile's do, the day starts at 01:00; the offset
    after the change names that very instant.
    """
    zone = ZoneInfo(time_zone)
    midnight = datetime.combine(day, time(), tzinfo=zone)
    # A midnight that the clocks skip reads, in UTC and back, as the first wall time that exists.
    return midnight.astimezone(ZoneInfo("UTC"))
