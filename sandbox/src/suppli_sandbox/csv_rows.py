"""Reads a Square "Items detail" export into typed rows, or says which line and column is wrong."""

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_sandbox.square.money import minor_digits
from suppli_sandbox.times import to_us

VOIDED = " (Voided)"
_REQUIRED = (
    "Date", "Time", "Time Zone", "Category", "Item", "Qty", "Price Point Name", "SKU", "Modifiers Applied",
    "Gross Sales", "Discounts", "Net Sales", "Tax", "Transaction ID", "Payment ID", "Event Type", "Location",
)  # fmt: skip
# The export names zones in words; these are the IANA zones they stand for (Rails' TimeZone table).
_ZONES = {
    "Hawaii": "Pacific/Honolulu",
    "Alaska": "America/Anchorage",
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Arizona": "America/Phoenix",
    "Mountain Time (US & Canada)": "America/Denver",
    "Central Time (US & Canada)": "America/Chicago",
    "Saskatchewan": "America/Regina",
    "Eastern Time (US & Canada)": "America/New_York",
    "Indiana (East)": "America/Indiana/Indianapolis",
    "Atlantic Time (Canada)": "America/Halifax",
    "Newfoundland": "America/St_Johns",
    "Puerto Rico": "America/Puerto_Rico",
    "London": "Europe/London",
    "Edinburgh": "Europe/London",
    "Dublin": "Europe/Dublin",
    "Paris": "Europe/Paris",
    "Madrid": "Europe/Madrid",
    "Tokyo": "Asia/Tokyo",
    "Perth": "Australia/Perth",
    "Adelaide": "Australia/Adelaide",
    "Darwin": "Australia/Darwin",
    "Brisbane": "Australia/Brisbane",
    "Sydney": "Australia/Sydney",
    "Melbourne": "Australia/Melbourne",
    "Hobart": "Australia/Hobart",
}

_ZONE_ADVICE = "is no known zone: use an IANA name such as Europe/Paris"
_TIME_ADVICE = "is not YYYY-MM-DD with HH:MM:SS: export again and do not re-save it in a spreadsheet"


class CsvError(ValueError):
    """The file cannot be read: the message names line, column, value and what to do."""


@dataclass(frozen=True, slots=True)
class SaleRow:
    """One row of the export; money in minor units with the file's signs."""

    line: int
    at_us: int
    zone: str
    category: str | None
    item: str
    quantity: Decimal
    variation: str
    sku: str | None
    modifiers: tuple[str, ...]
    gross: int
    discount: int
    net: int
    tax: int
    transaction_id: str
    payment_id: str
    refund: bool
    location: str
    unit: str
    kind: str
    note: str
    customer_id: str

    @property
    def voided(self) -> bool:
        """Whether the item was voided; the export says so in the name alone."""
        return self.item.endswith(VOIDED)

    @property
    def item_name(self) -> str:
        """The name without the void suffix."""
        return self.item.removesuffix(VOIDED)


def read_rows(content: bytes, currency: str) -> list[SaleRow]:
    """Read a whole export, plain or gzip. Raises CsvError; nothing is returned of a file with an error."""
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise CsvError(f"the gzip file is damaged ({error}): copy it again") from error
    except UnicodeDecodeError as error:
        raise CsvError(f"byte {error.start} is not UTF-8: export the file again as CSV (UTF-8)") from error
    rows = list(_rows(text, currency))
    if not rows:
        raise CsvError("the file has a header but no rows: choose a period with sales and export again")
    return rows


def _rows(text: str, currency: str) -> Iterator[SaleRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(reader, [])
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        names = ", ".join(missing)
        raise CsvError(f"line 1: column(s) missing: {names}. Export Square's report 'Items detail' as CSV.")
    line = reader.line_num + 1
    try:
        for cells in reader:
            if len(cells) != len(header):
                raise CsvError(
                    f"line {line}: {len(cells)} cells where the header has {len(header)}: "
                    "the row is cut or has an unquoted comma; export the file again"
                )
            yield _Reader(line, dict(zip(header, cells, strict=True)), currency).row()
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"line {line}: {error}: a quoted cell is damaged; export the file again") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the cells of one row."""

    line: int
    cells: dict[str, str]
    currency: str

    def row(self) -> SaleRow:
        """Return the typed row."""
        cells, zone, quantity = self.cells, self._zone(), self._quantity()
        modifiers = tuple(part.strip() for part in cells["Modifiers Applied"].split(",") if part.strip())
        category = cells["Category"].strip()
        return SaleRow(
            line=self.line,
            at_us=self._instant(zone),
            zone=zone,
            category=None if category in ("", "None") else category,
            item=self._needed("Item"),
            quantity=quantity,
            variation=cells["Price Point Name"].strip(),
            sku=cells["SKU"].strip() or None,
            modifiers=modifiers,
            gross=self._money("Gross Sales"),
            discount=self._money("Discounts"),
            net=self._money("Net Sales"),
            tax=self._money("Tax"),
            transaction_id=self._needed("Transaction ID"),
            payment_id=cells["Payment ID"].strip(),
            refund=self._refund() or quantity < 0,
            location=self._needed("Location"),
            unit=cells.get("Unit", "").strip(),
            kind=cells.get("Itemization Type", "").strip(),
            note=cells.get("Notes", "").strip(),
            customer_id=cells.get("Customer ID", "").strip(),
        )

    def _wrong(self, column: str, advice: str) -> CsvError:
        return CsvError(f"line {self.line}, column {column}: {self.cells[column]!r} {advice}")

    def _needed(self, column: str) -> str:
        value = self.cells[column].strip()
        if not value:
            raise self._wrong(column, "is empty: every row needs one; correct the row or leave it out")
        return value

    def _zone(self) -> str:
        name = self.cells["Time Zone"].strip()
        zone = _ZONES.get(name, name)
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise self._wrong(
                "Time Zone", "is no known zone: use an IANA name such as Europe/Paris"
            ) from error
        return zone

    def _instant(self, zone: str) -> int:
        day, time = self.cells["Date"].strip(), self.cells["Time"].strip()
        try:
            local = datetime.strptime(f"{day} {time}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - zone follows
        except ValueError as error:
            column = "Time" if len(day) == len("2023-11-30") else "Date"
            raise self._wrong(
                column, "is not YYYY-MM-DD with HH:MM:SS: do not re-save the export in Excel"
            ) from error
        return to_us(local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))

    def _quantity(self) -> Decimal:
        try:
            quantity = Decimal(self.cells["Qty"].strip())
        except InvalidOperation as error:
            raise self._wrong("Qty", "is not a number: write it as 1.0 or -0.75") from error
        if not quantity.is_finite():
            raise self._wrong("Qty", "is not a number: write it as 1.0 or -0.75")
        return quantity

    def _money(self, column: str) -> int:
        text = self.cells[column].strip()
        negative = text.startswith(("-", "("))
        digits = text.strip("-()").lstrip("$£€¥").replace(",", "")
        try:
            scaled = Decimal(digits).scaleb(minor_digits(self.currency))
        except InvalidOperation as error:
            raise self._wrong(column, "is not money: write it as $16.95 or -$2.00") from error
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise self._wrong(column, f"has more decimals than {self.currency} has: correct the amount")
        return -int(scaled) if negative else int(scaled)

    def _refund(self) -> bool:
        kind = self.cells["Event Type"].strip()
        if kind not in ("Payment", "Refund"):
            raise self._wrong("Event Type", "is neither Payment nor Refund: correct the row or leave it out")
        return kind == "Refund"
