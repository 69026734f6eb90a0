"""Numbers, percentages and dates as the language of the answer writes them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache

from babel import Locale, dates, numbers

from rollcall.web.translation import gettext, language


@cache
def _locale(code: str) -> Locale:
    return Locale.parse(code)


def number(value: float) -> str:
    """Return a number with its thousands grouped."""
    return _number(value, language())


def percent(value: float | None) -> str:
    """Return a probability for people: with a decimal where a whole number would say too little."""
    if value is None:
        return "–"
    digits = 0 if value >= 0.9995 or 0.1 <= value < 0.995 else 1
    return _percent(f"{100 * value:.{digits}f}", language())


# A part of the library shows a few hundred of them, and each takes as long as the rest of its tile.
@lru_cache(maxsize=4096)
def _number(value: float, code: str) -> str:
    return str(numbers.format_decimal(value, locale=_locale(code)))


@lru_cache(maxsize=4096)
def _percent(hundredths: str, code: str) -> str:
    locale = _locale(code)
    digits = "0.0" if "." in hundredths else "0"
    pattern = str(locale.percent_formats[None].pattern).replace("#,##0", f"#,##{digits}")
    return str(numbers.format_percent(Decimal(hundredths) / 100, pattern, locale=locale))


def whole_percent(value: float) -> str:
    """Return a share that is a whole percentage."""
    return str(numbers.format_percent(round(value, 2), locale=_locale(language())))


def month_name(month: str, short: bool = False) -> str:
    """Return a month such as "2019-06" for people, abbreviated if there is little room.

    "" stands for photos without a capture time.
    """
    year, _, which = month.partition("-")
    if not year:
        return gettext("Without a date")
    if not (which.isdigit() and 1 <= int(which) <= 12):
        return year
    form = "yMMM" if short else "yMMMM"
    return str(dates.format_skeleton(form, date(int(year), int(which), 1), locale=_locale(language())))


def day(text: str) -> str:
    """Return a day for people, of a text that begins with "2019-06-12", or with less of it: a month or a year."""
    try:
        return str(dates.format_date(date.fromisoformat(text[:10]), "medium", locale=_locale(language())))
    except ValueError:
        return month_name(text[:7])


def day_of_year(text: str) -> str:
    """Return the day and month of a text that begins with "2019-06-12"."""
    try:
        return str(dates.format_skeleton("MMMd", date.fromisoformat(text[:10]), locale=_locale(language())))
    except ValueError:
        return text[5:10]


def moment(text: str) -> str:
    """Return a capture time such as "2019-06-12T10:20:30" for people."""
    try:
        return str(dates.format_datetime(datetime.fromisoformat(text), "medium", locale=_locale(language())))
    except ValueError:
        return text.replace("T", " ")
