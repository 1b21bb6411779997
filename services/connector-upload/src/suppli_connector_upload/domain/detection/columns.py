"""Which column holds what, told from names and from what stands in the columns."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import NamedTuple

from suppli_contracts.events.sales import Disposition

from suppli_connector_upload.domain.amounts import CellProblem, number
from suppli_connector_upload.domain.detected import Finding
from suppli_connector_upload.domain.detection.names import SYNONYMS, compared
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.moments import read_datetime, read_time
from suppli_connector_upload.domain.places import Events
from suppli_connector_upload.domain.plan import DateOrder, Field
from suppli_connector_upload.domain.rows import is_sum
from suppli_connector_upload.domain.texts import Texts, plain_text

_MOSTLY = 0.8
_JUDGED_ROWS = 400
_ENOUGH = 3
_COMPACT = 8
_CENT = Decimal("0.011")
_CODE = re.compile(r"[A-Z]{3}")
_FIGURES = frozenset({Field.QUANTITY, Field.UNIT_PRICE, Field.GROSS, Field.DISCOUNT, Field.NET, Field.TAX})
_NAMED = (
    Field.LINE_ID, Field.ORDER_ID, Field.ITEM_ID, Field.SKU, Field.BARCODE, Field.ITEM, Field.VARIATION,
    Field.CATEGORY, Field.QUANTITY, Field.UNIT, Field.UNIT_PRICE, Field.GROSS, Field.DISCOUNT, Field.TAX,
    Field.NET, Field.VOIDED, Field.EVENT, Field.CHANNEL, Field.LOCATION, Field.CURRENCY,
)  # fmt: skip
_ANYTHING = frozenset(
    {"price", "preis", "precio", "prix", "prezzo", "цена", "amount", "product price", "item price"}
)
"""Names that are used for the price of one as well as for the line's."""

Rows = Sequence[Sequence[Cell]]


class Kind(NamedTuple):
    """What stands in a column.

    Attributes:
        dates, times, figures: the share of its cells that can be read so.
        timed: its dates have times.
    """

    dates: float
    times: float
    figures: float
    timed: bool


class Columns(NamedTuple):
    """Suggested columns, and whether a person should say what the price column is of."""

    found: dict[Field, str]
    findings: list[Finding]
    price_unclear: bool


def suggest(columns: Sequence[str], rows: Rows) -> Columns:
    """Return which column seems to hold which field."""
    judged = [row for row in rows[:_JUDGED_ROWS] if not is_sum(row)]
    kinds = {name: _kind([row[at] for row in judged if at < len(row)]) for at, name in enumerate(columns)}
    found: dict[Field, str] = {}
    findings: list[Finding] = []
    _when(columns, kinds, found, findings)
    for field in _NAMED:
        name = _by_name(field, columns, kinds, set(found.values()))
        if name is not None and _fits(field, name, columns, judged):
            found[field] = name
            findings.append(_finding(field, name, "Its name says so."))
    if not {Field.ITEM, Field.SKU, Field.ITEM_ID} & found.keys():
        _any_item(columns, kinds, judged, found, findings)
    unclear = _price(columns, judged, found, findings)
    return Columns(found, findings, unclear)


def _finding(field: Field, name: str, because: str) -> Finding:
    return Finding(about=f"columns.{field}", value=name, because=because)


def _kind(cells: Sequence[Cell]) -> Kind:
    texts = Texts()
    there = [cell for cell in cells if texts[cell] is not None]
    dates = times = figures = timed = 0
    for cell in there:
        wall = _dated(cell)
        if wall is not None:
            dates += 1
            timed += wall
        if _figure(cell) is not None:
            figures += 1
        elif wall is None:
            times += _is_time(cell)
    count = len(there) or 1
    return Kind(dates / count, times / count, figures / count, timed=timed > dates / 2)


def _figure(cell: Cell) -> Decimal | None:
    for mark in ".,":
        try:
            return number(cell, mark)
        except CellProblem:
            continue
    return None


def _dated(cell: Cell) -> bool | None:
    """Return whether a date has a time; None = it is no date."""
    if isinstance(cell, date):
        return isinstance(cell, datetime) and cell.time() != time()  # old workbooks: a date is a midnight
    if isinstance(cell, str) or (isinstance(cell, int) and len(str(cell)) == _COMPACT):
        for order in (DateOrder.DMY, DateOrder.MDY):
            try:
                return read_datetime(str(cell), order)[1] is not None
            except CellProblem:
                continue
    return None


def _is_time(cell: Cell) -> bool:
    if not isinstance(cell, str):
        return isinstance(cell, time)
    try:
        read_time(cell)
    except CellProblem:
        return False
    return True


def _by_name(field: Field, columns: Sequence[str], kinds: dict[str, Kind], taken: set[str]) -> str | None:
    """Return the column whose name says that it holds a field, and whose cells do not deny it."""
    for word in SYNONYMS[field]:
        for name in columns:
            if name in taken or compared(name) != word:
                continue
            kind = kinds[name]
            if field in _FIGURES and kind.figures < _MOSTLY:
                continue
            if field is Field.ITEM and max(kind.figures, kind.dates) >= _MOSTLY:
                continue
            return name
    return None


def _when(
    columns: Sequence[str], kinds: dict[str, Kind], found: dict[Field, str], findings: list[Finding]
) -> None:
    dates = [name for name in columns if kinds[name].dates >= _MOSTLY]
    words = {name: compared(name) for name in columns}

    def take(field: Field, names: Sequence[str], synonyms: Sequence[str], because: str) -> bool:
        by_name = [name for word in synonyms for name in names if words[name] == word]
        others = [name for name in names if kinds[name].figures < _MOSTLY]
        name = next(iter([*by_name, *others]), None)
        if name is not None:
            found[field] = name
            findings.append(_finding(field, name, because))
        return name is not None

    own = [name for name in dates if words[name] in SYNONYMS[Field.BUSINESS_DATE]]
    if own:
        take(Field.BUSINESS_DATE, own, SYNONYMS[Field.BUSINESS_DATE], "Its name says so, and it holds dates.")
    rest = [name for name in dates if name not in own]
    synonyms = SYNONYMS[Field.DATETIME]
    if take(Field.DATETIME, [n for n in rest if kinds[n].timed], synonyms, "It holds dates with times."):
        return
    if take(Field.DATE, rest, synonyms, "It holds dates.") or own:
        times = [name for name in columns if kinds[name].times >= _MOSTLY]
        take(Field.TIME, times, SYNONYMS[Field.TIME], "It holds times of day.")


def _fits(field: Field, name: str, columns: Sequence[str], rows: Rows) -> bool:
    """Return whether a column's cells are what some fields must be."""
    at = columns.index(name)
    cells = [row[at] for row in rows if at < len(row)]
    if field is Field.EVENT:
        events = Events()
        return any(events[cell] is not Disposition.SOLD for cell in cells)
    if field is Field.CURRENCY:
        return all(_CODE.fullmatch(text) for cell in cells if (text := plain_text(cell)))
    return True


def _any_item(
    columns: Sequence[str],
    kinds: dict[str, Kind],
    rows: Rows,
    found: dict[Field, str],
    findings: list[Finding],
) -> None:
    """Take the column of words that vary most: names of items do."""
    best, most = None, 1
    for at, name in enumerate(columns):
        kind = kinds[name]
        if name not in found.values() and max(kind.dates, kind.times, kind.figures) < 1 - _MOSTLY:
            different = len({plain_text(row[at]) for row in rows if at < len(row)})
            if different > most:
                best, most = name, different
    if best is not None:
        found[Field.ITEM] = best
        findings.append(_finding(Field.ITEM, best, "Of the columns of words, its cells differ most."))


def _price(columns: Sequence[str], rows: Rows, found: dict[Field, str], findings: list[Finding]) -> bool:
    """Decide whether a price is of one or of the whole line; return whether that stays unclear."""
    if Field.UNIT_PRICE in found and Field.QUANTITY not in found:
        name = found.pop(Field.UNIT_PRICE)
        if Field.NET not in found:
            found[Field.NET] = name
            findings.append(_finding(Field.NET, name, "No column holds a quantity: a row is one thing."))
        return False
    if Field.UNIT_PRICE in found and Field.NET in found and not _agree(columns, rows, found):
        name = found.pop(Field.NET)
        findings.append(
            _finding(Field.NET, "", f"`{name}` is not quantity times price: it is not of the line.")
        )
    prices = [field for field in (Field.UNIT_PRICE, Field.NET) if field in found]
    if len(prices) != 1 or not {Field.QUANTITY, Field.ITEM} <= found.keys() or Field.GROSS in found:
        return False
    field = prices[0]
    name = found[field]
    for_one, for_all = _votes(columns, rows, found, name)
    if max(for_one, for_all) < _ENOUGH or min(for_one, for_all) > max(for_one, for_all) / 4:
        return compared(name) in _ANYTHING
    right = Field.UNIT_PRICE if for_one > for_all else Field.NET
    because = (
        "The price of an item is the same whatever the quantity: it is for one."
        if right is Field.UNIT_PRICE
        else "The price of an item grows with the quantity: it is for the whole line."
    )
    del found[field]
    findings[:] = [finding for finding in findings if finding.about != f"columns.{field}"]
    found[right] = name
    findings.append(_finding(right, name, because))
    return False


def _agree(columns: Sequence[str], rows: Rows, found: dict[Field, str]) -> bool:
    quantity, price, net = (columns.index(found[f]) for f in (Field.QUANTITY, Field.UNIT_PRICE, Field.NET))
    discount = columns.index(found[Field.DISCOUNT]) if Field.DISCOUNT in found else None
    right = judged = 0
    for row in rows:
        if len(row) != len(columns):
            continue
        values = [_figure(row[at]) for at in (quantity, price, net)]
        if None in values:
            continue
        less = abs(_figure(row[discount]) or 0) if discount is not None else 0
        judged += 1
        whole = values[0] * values[1]  # type: ignore[operator]
        right += min(abs(whole - values[2]), abs(whole - less - values[2])) < _CENT  # type: ignore[operator]
    return right >= _MOSTLY * judged


def _votes(columns: Sequence[str], rows: Rows, found: dict[Field, str], name: str) -> tuple[int, int]:
    """Return how many items say that a price is for one, and how many that it is for the line."""
    item, quantity, price = (columns.index(each) for each in (found[Field.ITEM], found[Field.QUANTITY], name))
    of_item: dict[str, dict[Decimal, set[Decimal]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        if len(row) == len(columns):
            count, amount = _figure(row[quantity]), _figure(row[price])
            if count and amount and count > 0:
                of_item[plain_text(row[item])][count].add(amount)
    for_one = for_all = 0
    for prices in of_item.values():
        single = prices.pop(Decimal(1), set())
        for count, amounts in prices.items():
            for_one += bool(single & amounts)
            for_all += bool({one * count for one in single} & amounts)
    return for_one, for_all
