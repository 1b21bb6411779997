"""What a file hints at of its shop, and a person confirms: zone, day cut-off, currency, taxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_connector_upload.domain.amounts import CellProblem
from suppli_connector_upload.domain.detected import Question
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.moments import read_datetime, read_time
from suppli_connector_upload.domain.plan import DateOrder, Field
from suppli_connector_upload.domain.texts import plain_text

Rows = Sequence[Sequence[Cell]]

# As Square's exports name zones; source: ActiveSupport::TimeZone of Ruby on Rails.
_ZONES = {
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Mountain Time (US & Canada)": "America/Denver",
    "Central Time (US & Canada)": "America/Chicago",
    "Eastern Time (US & Canada)": "America/New_York",
    "Atlantic Time (Canada)": "America/Halifax",
    "Newfoundland": "America/St_Johns",
    "Arizona": "America/Phoenix",
    "Alaska": "America/Juneau",
    "Hawaii": "Pacific/Honolulu",
    "Saskatchewan": "America/Regina",
    "London": "Europe/London",
    "Dublin": "Europe/Dublin",
    "Paris": "Europe/Paris",
    "Madrid": "Europe/Madrid",
    "Tokyo": "Asia/Tokyo",
    "Osaka": "Asia/Tokyo",
    "Sydney": "Australia/Sydney",
    "Melbourne": "Australia/Melbourne",
    "Brisbane": "Australia/Brisbane",
    "Adelaide": "Australia/Adelaide",
    "Perth": "Australia/Perth",
    "Darwin": "Australia/Darwin",
    "Hobart": "Australia/Hobart",
}
_SYMBOLS = {
    "£": "GBP",
    "€": "EUR",
    "₹": "INR",
    "₴": "UAH",
    "₽": "RUB",
    "₺": "TRY",
    "₪": "ILS",
    "zł": "PLN",
    "$": "USD",
}
_CODE = re.compile(r"[A-Z]{3}")
_TAXED = frozenset(
    {"GBP", "EUR", "AUD", "NZD", "PLN", "CZK", "SEK", "NOK", "DKK", "CHF", "UAH", "RUB", "TRY"}
)
_NIGHT = range(1, 8)


def zone(columns: Sequence[str], rows: Rows) -> Question:
    """Return the question for the shop's zone."""
    suggestion, because = None, "The times in the file have no zone."
    for at, name in enumerate(columns):
        if "time zone" in name.lower() or name.lower() == "timezone":
            words = Counter(plain_text(row[at]) for row in rows if at < len(row)).most_common(1)
            word = words[0][0] if words else ""
            found = _ZONES.get(word, word)
            if _is_zone(found):
                suggestion, because = found, f"The column `{name}` says `{word}`."
    return Question(
        about="timezone", text="In which time zone is the shop?", suggestion=suggestion, because=because
    )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return "/" in name


def cutoff(
    columns: Sequence[str], rows: Rows, found: dict[Field, str], order: DateOrder, *, sleeps: bool
) -> Question | None:
    """Return the question for the day cut-off; None where the file has the till's own days, or no times.

    Args:
        sleeps: whether the shop closes at night; on the web it does not.
    """
    where = found.get(Field.TIME) or found.get(Field.DATETIME)
    if where is None or Field.BUSINESS_DATE in found:
        return None
    at = columns.index(where)
    hours = Counter(hour for row in rows if at < len(row) and (hour := _hour(row[at], order)) is not None)
    late = sum(count for hour, count in hours.items() if hour < 3)
    quiet = min(_NIGHT, key=lambda hour: (hours[hour], abs(hour - 4)))
    suggestion, because = "00:00", "Of the rows that were looked at, none is from just after midnight."
    if late and not sleeps:
        because = "A shop on the web is open at midnight too."
    elif late:
        suggestion = f"{quiet:02}:00"
        because = f"{late} of {hours.total()} rows are from midnight to 3:00; at {quiet}:00 it is quiet."
    return Question(
        about="day_cutoff",
        text="At what time does a new day begin for the shop? What is sold earlier counts on the day before.",
        suggestion=suggestion,
        because=because,
    )


def _hour(cell: Cell, order: DateOrder) -> int | None:
    if not isinstance(cell, str):
        return cell.hour if isinstance(cell, datetime) else getattr(cell, "hour", None)
    try:
        wall = read_datetime(cell, order)[1]
    except CellProblem:
        try:
            wall = read_time(cell)
        except CellProblem:
            return None
    return None if wall is None else wall.hour


def currency(columns: Sequence[str], rows: Rows, found: dict[Field, str]) -> Question:
    """Return the question for the currency."""
    suggestion, because = None, "The file does not say its currency."
    at = columns.index(found[Field.CURRENCY]) if Field.CURRENCY in found else None
    if at is not None:
        codes = Counter(
            text for row in rows if at < len(row) and _CODE.fullmatch(text := plain_text(row[at]))
        )
        if codes:
            suggestion = codes.most_common(1)[0][0]
            because = f"The column `{columns[at]}` says so; it also counts where that cell is blank."
    else:
        money = [found[f] for f in (Field.NET, Field.GROSS, Field.UNIT_PRICE) if f in found]
        places = [columns.index(name) for name in money]
        for row in rows:
            text = next((plain_text(row[place]) for place in places if place < len(row)), "")
            symbol = next((sign for sign in _SYMBOLS if sign in text), None)
            if symbol is not None:
                suggestion = _SYMBOLS[symbol]
                because = f"Amounts are written like `{text}`."
                break
    return Question(
        about="currency", text="In which currency are the amounts?", suggestion=suggestion, because=because
    )


def taxes(found: dict[Field, str], money: str | None, *, beside: bool | None) -> Question:
    """Return the question whether prices include tax.

    Args:
        money: the currency, where it is known.
        beside: what the rows' own sums say: True = tax stands beside the prices; None = nothing.
    """
    if beside is not None:
        suggestion = "no" if beside else "yes"
        because = "The rows' own sums say so."
    elif Field.TAX in found:
        suggestion, because = "no", f"Tax has a column of its own, `{found[Field.TAX]}`."
    else:
        suggestion = "yes" if money in _TAXED else "no"
        because = "The file does not say; it is what is usual where this currency is."
    return Question(
        about="prices_include_tax",
        text="Do the prices in the file have sales tax or VAT in them?",
        suggestion=suggestion,
        because=because,
        choices=("yes", "no"),
    )
