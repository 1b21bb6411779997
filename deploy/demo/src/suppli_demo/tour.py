"""The tour: connect a shop, import its sales, map its items, and show that nothing is missing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table
from suppli_sandbox.client import LocationSpec, MerchantSpec

from suppli_demo.consumer import FirstSale, product_sales
from suppli_demo.control_totals import ControlTotals, control_totals
from suppli_demo.deployment import Deployment
from suppli_demo.sample import write_sample
from suppli_demo.shop import Json, Shop, Tie, wait_for
from suppli_demo.totals import Shown, compare, shown

TENANT = UUID("0192f0c1-7d3a-7c11-8a41-5b0e2f6d9a10")
MERCHANT = "MLDEMO0000001"
KEPT_UNMAPPED = 3


@dataclass
class Result:
    """What the tour came to; `differences` is empty when every total agrees with the file."""

    connection: str
    control: ControlTotals
    shown: Shown
    differences: list[str]
    product_events: int
    first_mapped_s: float


class Tour:
    """One walk through the system, told to `console`."""

    def __init__(
        self,
        system: Deployment,
        console: Console,
        *,
        sales: Path | None,
        timezone: str | None,
        began: float,
        tenant: UUID = TENANT,
        merchant: str = MERCHANT,
        days: int = 7,
    ) -> None:
        """`began` is the monotonic instant that the time to the first mapped sale counts from.

        Without a file of `sales` there are `days` days of made-up ones.
        A second tour through the same system needs a `tenant` and a `merchant` of its own.
        """
        self.tenant, self.merchant = tenant, merchant
        self.system, self.console, self.began, self.days = system, console, began, days
        self.sales, self.timezone = sales, timezone or ("America/New_York" if sales is None else None)

    def run(self) -> Result:
        """Walk through everything and return what came out.

        Raises:
            TimeoutError: something did not happen in time; says what.
            Refused: the API refused a step.
        """
        path, first_day = self._load()
        shop = self._sign_in()
        connection = self._connect(shop, first_day)
        self._import(shop, connection)
        first = FirstSale(self.system.bootstrap_servers)
        self._map(shop, connection)
        control = control_totals(path)
        result = shown(shop.days(connection, first_day))
        events = asyncio.run(product_sales(self.system.bootstrap_servers, UUID(connection)))
        first_mapped = first.wait(30) - self.began
        return Result(connection, control, result, compare(control, result), len(events), first_mapped)

    # --- steps --------------------------------------------------------------------------------

    def _load(self) -> tuple[Path, date]:
        """Give the sandbox a merchant with the sales of the file; return the file and its first day."""
        path = self.sales
        if path is None:
            yesterday = datetime.now(UTC).date() - timedelta(days=1)
            path = write_sample(self.system.folder / "sample.csv", last_day=yesterday, days=self.days)
        zone = self.timezone or "America/Los_Angeles"
        self.system.control.create_merchant(
            MerchantSpec(
                id=self.merchant,
                name="Harbour Street Café",
                locations=(
                    LocationSpec(id=self.merchant.removeprefix("M"), name="Harbour Street", timezone=zone),
                ),
            )
        )
        loaded = self.system.control.upload_csv(self.merchant, path.read_bytes())
        self.zone, self.locations = zone, list(loaded["locations"])
        self.console.print(f"The sandbox has {loaded['orders']:,} orders of {path.name}.")
        return path, datetime.fromisoformat(loaded["first_at"]).date() - timedelta(days=1)

    def _sign_in(self) -> Shop:
        token = self.system.token(subject="owner@harbour.example", tenants=[self.tenant], role="admin")
        (self.system.folder / "token").write_text(token)
        self.token = token
        return Shop(self.system.gateway_url, token, self.tenant)

    def _connect(self, shop: Shop, first_day: date) -> str:
        connected = shop.connect(self.merchant)["connection"]
        connection = str(connected["id"])
        names = {place["location_id"]: place["name"] for place in connected["locations"]}
        ties = [Tie(place, f"shop-{number}", self.zone) for number, place in enumerate(self.locations, 1)]
        for tie in ties:
            shop.put_location(tie.suppli, names[tie.external], self.zone)
        shop.tie(connection, ties)
        preview = shop.call("GET", f"/v1/connections/{connection}/preview", params={"days": 3})
        self.console.print(
            f"Connected by the consent page; preview: {preview['orders']} orders in the last days, "
            f"{preview['items']} items in the catalog."
        )
        shop.start(connection, first_day, {"kind": "daily", "daily_at": "04:30", "timezone": self.zone})
        return connection

    def _import(self, shop: Shop, connection: str) -> None:
        (run, *_) = shop.wait_for_runs(connection, seconds=120)
        counts = run["counts"]
        self.console.print(
            f"First import {run['state']}: {counts['orders_published']:,} orders, "
            f"{counts['lines_published']:,} lines, {counts['items_published']:,} catalog items."
        )
        if run["state"] != "succeeded":
            raise RuntimeError(f"the first import ended as {run['state']}: {run.get('error')}")

    def _map(self, shop: Shop, connection: str) -> None:
        """Import a product for every item and map all but a few."""
        wait_for(lambda: _settled(shop, connection), "every sale in mapping's ledger", 60)
        items = [item for item in shop.items(connection, "unmapped") if item["kind"] == "item"]
        items.sort(key=lambda item: (-item["lines"], item["item_key"]))
        kept = min(KEPT_UNMAPPED, len(items) - 1)
        products = {item["item_id"]: _product(number, item) for number, item in enumerate(items, 1)}
        shop.import_products(list(products.values()))
        wait_for(lambda: _known(shop, len(products)), "the imported products", 30)
        for item in items[: len(items) - kept]:
            shop.map_when_known(item["item_id"], products[item["item_id"]]["product_id"])
        wait_for(lambda: _released(shop, connection), "the release of parked lines", 60)
        self.console.print(
            f"Mapped {len(items) - kept} items; {kept} stay unmapped, so that parking can be seen."
        )


def _settled(shop: Shop, connection: str) -> bool | None:
    published = sum(run["counts"]["lines_published"] for run in shop.runs(connection))
    return _ledger_lines(shop, connection) >= published or None


def _ledger_lines(shop: Shop, connection: str) -> int:
    return sum(int(item["lines"]) for item in shop.items(connection) if item["kind"] != "modifier")


def _known(shop: Shop, count: int) -> bool | None:
    return len(list(shop.pages("/v1/products"))) >= count or None


def _released(shop: Shop, connection: str) -> bool | None:
    waiting = [item for item in shop.items(connection, "mapped") if item["parked_lines"]]
    return None if waiting else True


def _product(number: int, item: Json) -> Json:
    name = " ".join(
        part for part in (item.get("name"), item.get("variation_name")) if part and part != "Regular"
    )
    return {
        "product_id": f"product-{number:03}",
        "name": name or item["item_key"],
        "sku": item.get("sku"),
        "unit": "each",
    }


def print_result(console: Console, result: Result) -> None:
    """Print where the money and the quantities went, beside the file's own totals."""
    table = Table(title="Where every line went", title_justify="left")
    for column in ("", "gross", "discounts", "net", "quantity"):
        table.add_column(column, justify="left" if not column else "right")
    for name, part in result.shown.parts.items():
        table.add_row(
            name, _money(part.gross), _money(part.discount), _money(part.net), _number(part.quantity)
        )
    total = result.shown.total
    table.add_section()
    table.add_row(
        "together", _money(total.gross), _money(total.discount), _money(total.net), _number(total.quantity)
    )
    control = result.control
    table.add_row(
        "the file says",
        _money(control.gross),
        _money(control.discounts),
        _money(control.net),
        _number(control.quantity),
    )
    console.print(table)
    console.print(
        f"Tax: {_money(result.shown.tax)} (the file says {_money(control.tax)}). "
        f"Voided, shown apart: {_number(result.shown.voided)} (the file says {_number(control.voided)})."
    )
    if result.differences:
        console.print("[bold red]The totals differ:[/] " + "; ".join(result.differences))
    else:
        console.print("[bold green]Every total agrees with the file, to the cent.[/]")


def _money(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100:,}.{abs(minor) % 100:02}"


def _number(value: object) -> str:
    return f"{value:,f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:,f}"
