"""A file of products, row by row: pure. A bad row is reported with its place, the good ones go on."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

COLUMNS = ("product_id", "name", "sku", "barcode", "unit")
REQUIRED = ("product_id", "name")
_LENGTHS = {"product_id": 200, "name": 300, "sku": 100, "barcode": 100, "unit": 32}
_UNIT = re.compile(r"[a-z][a-z0-9_ ]{0,31}")
MAX_REPORTED = 1_000
_SHOWN = 100


class UnreadableFile(Exception):
    """Nothing of the file can be taken; the message says why and where."""


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product as a file gives it."""

    product_id: str
    name: str
    sku: str | None = None
    barcode: str | None = None
    unit: str = "each"


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row is not taken.

    Attributes:
        line: 1 for the first line of a CSV file (its header) or the first product of a JSON list.
        value: the beginning of what was given.
    """

    line: int
    column: str
    value: str
    reason: str


@dataclass(slots=True)
class Parsed:
    """The good rows and what is wrong with the others.

    Attributes:
        rejected: number of bad rows; `errors` are the first of theirs.
    """

    rows: dict[str, ProductRow] = field(default_factory=dict)
    errors: list[RowError] = field(default_factory=list)
    rejected: int = 0


def parse_csv(content: bytes) -> Parsed:
    """Read a CSV file (UTF-8, with or without byte order mark) with the header
    `product_id,name,sku,barcode,unit`.

    The order of the columns is free; all but `product_id` and `name` may be missing.

    Raises:
        UnreadableFile: not UTF-8, no such header, or broken quotes.
    """
    reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
    parsed = Parsed()
    try:
        header = _header(next(reader, []))
        for cells, line in _lines(reader):
            if not any(cells):
                continue
            if len(cells) != len(header):
                reason = f"has {len(cells)} cells, the header has {len(header)}"
                _reject(parsed, [RowError(line, "", ",".join(cells)[:_SHOWN], reason)])
                continue
            _take(parsed, dict(zip(header, cells, strict=True)), line)
    except csv.Error as error:
        raise UnreadableFile(f"line {reader.line_num}: {error}") from None
    return parsed


def _lines(reader: Any) -> Iterator[tuple[list[str], int]]:
    """Yield each row with the line on which it begins: a quoted cell may span several."""
    begins = reader.line_num + 1
    for cells in reader:
        yield [cell.strip() for cell in cells], begins
        begins = reader.line_num + 1


def parse_json(content: bytes) -> Parsed:
    """Read `{"products": [...]}` or a bare list of products with the members of the CSV's columns.

    Raises:
        UnreadableFile: not JSON, or of another shape.
    """
    try:
        document = json.loads(_text(content))
    except (json.JSONDecodeError, RecursionError) as error:
        place = (
            f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
        )
        raise UnreadableFile(f"{place}is not JSON") from None
    products = document.get("products") if isinstance(document, dict) else document
    if not isinstance(products, list):
        raise UnreadableFile('is neither a list of products nor {"products": [...]}')
    parsed = Parsed()
    for line, product in enumerate(products, start=1):
        if not isinstance(product, dict):
            _reject(parsed, [RowError(line, "", json.dumps(product)[:_SHOWN], "is not an object")])
            continue
        wrong = [
            RowError(line, str(name)[:_SHOWN], json.dumps(value)[:_SHOWN], _wrong_member(name))
            for name, value in product.items()
            if name not in COLUMNS or not (value is None or isinstance(value, str))
        ]
        if wrong:
            _reject(parsed, wrong)
            continue
        _take(parsed, {name: (value or "").strip() for name, value in product.items()}, line)
    return parsed


def _wrong_member(name: str) -> str:
    return "is not text" if name in COLUMNS else f"is not known; there are {', '.join(COLUMNS)}"


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"line {line}: is not UTF-8 text") from None


def _header(cells: Sequence[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    expected = f"expected {','.join(COLUMNS)}"
    if missing:
        raise UnreadableFile(f"line 1: the header lacks {', '.join(missing)}; {expected}")
    if unknown:
        raise UnreadableFile(
            f"line 1: the header has unknown columns {', '.join(map(repr, unknown))}; {expected}"
        )
    if len(set(header)) != len(header):
        raise UnreadableFile("line 1: the header has a column twice")
    return header


def _take(parsed: Parsed, values: Mapping[str, str], line: int) -> None:
    errors = list(_errors(values, line))
    product_id = values.get("product_id", "")
    if not errors and product_id in parsed.rows:
        errors = [RowError(line, "product_id", product_id, "stands on an earlier line already")]
    if errors:
        _reject(parsed, errors)
        return
    parsed.rows[product_id] = ProductRow(
        product_id=product_id,
        name=values["name"],
        sku=values.get("sku") or None,
        barcode=values.get("barcode") or None,
        unit=values.get("unit") or "each",
    )


def _errors(values: Mapping[str, str], line: int) -> Iterator[RowError]:
    for column in REQUIRED:
        if not values.get(column):
            yield RowError(line, column, "", "is empty")
    for column, value in values.items():
        if len(value) > _LENGTHS[column]:
            yield RowError(line, column, value[:_SHOWN], f"is longer than {_LENGTHS[column]} characters")
        elif not value.isprintable():
            yield RowError(line, column, repr(value)[:_SHOWN], "has unprintable characters")
    unit = values.get("unit")
    if unit and not _UNIT.fullmatch(unit):
        yield RowError(line, "unit", unit[:_SHOWN], "is not a unit such as each, kg or l (lower case)")


def _reject(parsed: Parsed, errors: Sequence[RowError]) -> None:
    parsed.rejected += 1
    parsed.errors += errors[: max(0, MAX_REPORTED - len(parsed.errors))]
