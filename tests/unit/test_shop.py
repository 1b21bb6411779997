"""What the demo asks of the API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from suppli_demo.shop import Shop


class Calendar(Shop):
    """An API that has every business day, and gives those that are asked for."""

    def call(self, _method: str, _path: str, **arguments: Any) -> Any:
        first, last = (date.fromisoformat(arguments["params"][end]) for end in ("from", "to"))
        assert (last - first).days < 366
        return {"items": [first + timedelta(days=number) for number in range((last - first).days + 1)]}


def test_an_export_of_more_than_a_year_is_asked_for_to_its_end() -> None:
    """Else the demo would say of a long export that the totals differ, where nothing is missing."""
    first = datetime.now(UTC).date() - timedelta(days=800)
    days: list[Any] = Calendar("http://nobody", "token", uuid4()).days("connection", first)
    assert days == [first + timedelta(days=number) for number in range(len(days))]
    assert days[-1] > datetime.now(UTC).date()
