"""The tour: connect a shop, import its sales, map its items, and show that nothing is missing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from rich.console import Console

from suppli_demo.consumer import FirstSale, product_sales
from suppli_demo.control_totals import control_totals
from suppli_demo.deployment import Deployment
from suppli_demo.report import Outcome, Result
from suppli_demo.sample import write_sample
from suppli_demo.shop import Json, Shop, Tie, wait_for
from suppli_demo.tills import CloverTill, FileTill, SquareTill, Till
from suppli_demo.totals import compare, shown

TENANT = UUID("0192f0c1-7d3a-7c11-8a41-5b0e2f6d9a10")
KEPT_UNMAPPED = 3
_OTHER_SEED = 7


@dataclass
class _Open:
    """A till on its way through the tour."""

    till: Till
    file: Path
    locations: list[str]
    first_day: date
    connection: str = ""


class Tour:
    """One walk through the system, told to `console`: one tenant, a shop at each provider, and a file."""

    def __init__(
        self,
        system: Deployment,
        console: Console,
        *,
        sales: Path | None,
        timezone: str | None,
        began: float,
        tenant: UUID = TENANT,
        name: str = "DEMO0000001",
        days: int = 7,
    ) -> None:
        """`began` is the monotonic instant that the time to the first mapped sale counts from.

        With a file of `sales` every shop makes them; else each has `days` days of made-up ones of its own.
        A second tour through the same system needs a `tenant` and a `name` (eleven letters and digits) of
        its own.
        """
        self.tenant, self.system, self.console, self.began, self.days = tenant, system, console, began, days
        self.sales = sales
        self.zone = timezone or ("America/New_York" if sales is None else "America/Los_Angeles")
        self.tills: tuple[Till, ...] = (
            SquareTill(system.control, f"ML{name}", "Harbour Street"),
            CloverTill(system.clover, f"CL{name}", "Station Kiosk"),
            FileTill("Market Stall"),
        )

    def run(self) -> Result:
        """Walk through everything and return what came out.

        Raises:
            TimeoutError: something did not happen in time; says what.
            Refused: the API refused a step.
        """
        tills = [self._load(till, number) for number, till in enumerate(self.tills)]
        shop = self._sign_in()
        accounts = [each for each in enumerate(tills) if not isinstance(each[1].till, FileTill)]
        for number, each in accounts:
            self._connect(shop, each, number)
        schedule = {"kind": "daily", "daily_at": "04:30", "timezone": self.zone}
        for _, each in accounts:
            shop.start(each.connection, each.first_day, schedule)
        for number, each in enumerate(tills):
            if isinstance(each.till, FileTill):
                self._upload(shop, each, each.till, number)
        for each in tills:
            self._import(shop, each)
        first = FirstSale(self.system.bootstrap_servers)
        self._map(shop, [each.connection for each in tills])
        outcomes = [self._outcome(shop, each) for each in tills]
        return Result(outcomes, first.wait(30) - self.began)

    # --- steps --------------------------------------------------------------------------------

    def _load(self, till: Till, number: int) -> _Open:
        """Make a file's sales at a till."""
        file = self.sales
        if file is None:
            yesterday = datetime.now(UTC).date() - timedelta(days=1)
            seed = {} if number == 0 else {"seed": _OTHER_SEED * number}
            path = self.system.folder / f"{till.provider}.csv"
            file = write_sample(path, last_day=yesterday, location=till.shop, days=self.days, **seed)
        sold = till.sell(file.read_bytes(), self.zone)
        self.console.print(f"{till.title} has {sold['orders']:,} orders of {till.shop}, made of {file.name}.")
        first_day = datetime.fromisoformat(sold["first_at"]).date() - timedelta(days=1)
        return _Open(till, file, list(sold["locations"]), first_day)

    def _sign_in(self) -> Shop:
        token = self.system.token(subject="owner@harbour.example", tenants=[self.tenant], role="admin")
        (self.system.folder / "token").write_text(token)
        return Shop(self.system.gateway_url, token, self.tenant)

    def _connect(self, shop: Shop, each: _Open, number: int) -> None:
        """Connect a till, tie its locations, and look at a preview."""
        connected = each.till.connect(shop)
        connection = each.connection = str(connected["id"])
        names = {place["location_id"]: place["name"] for place in connected["locations"]}
        ties = [
            Tie(place, f"shop-{number + 1}{f'-{count}' if count else ''}", self.zone)
            for count, place in enumerate(each.locations)
        ]
        for tie in ties:
            shop.put_location(tie.suppli, names[tie.external], self.zone)
        shop.tie(connection, ties)
        preview = shop.call("GET", f"/v1/connections/{connection}/preview", params={"days": 3})
        self.console.print(
            f"Connected {each.till.title} by its consent page; preview: {preview['orders']} orders in the "
            f"last days, {preview['items']} items in the catalog."
        )

    def _upload(self, shop: Shop, each: _Open, till: FileTill, number: int) -> None:
        """Upload a till's file, look at what it means, and have it imported."""
        location = f"shop-{number + 1}"
        shop.put_location(location, till.shop, self.zone)
        done = till.upload(shop, location, self.zone)
        each.connection = str(done["connection_id"])
        totals = done["preview"]["totals"]
        self.console.print(
            f"Uploaded {till.shop}'s export: recognised as {done['shape']}, {totals['rows']:,} rows, "
            f"{totals['orders']:,} orders, {done['preview']['errors']} rows that cannot be understood."
        )

    def _import(self, shop: Shop, each: _Open) -> None:
        (run, *_) = shop.wait_for_runs(each.connection, seconds=600)
        counts = run["counts"]
        self.console.print(
            f"First import from {each.till.title} {run['state']}: {counts['orders_published']:,} orders, "
            f"{counts['lines_published']:,} lines, {counts['items_published']:,} catalog items."
        )
        if run["state"] != "succeeded":
            raise RuntimeError(f"the first import ended as {run['state']}: {run.get('error')}")

    def _map(self, shop: Shop, connections: list[str]) -> None:
        """Import a product for every thing that is sold, whoever sells it, and map all but a few."""
        for each in connections:
            wait_for(partial(_settled, shop, each), "every sale in mapping's ledger", 300)
        found = [item for each in connections for item in shop.items(each, "unmapped")]
        items = [item for item in found if item["kind"] == "item"]
        items.sort(key=lambda item: (-item["lines"], item["item_key"]))
        keys = dict.fromkeys(_thing(item) for item in items)
        products = {key: _product(number, key, items) for number, key in enumerate(keys, 1)}
        shop.import_products(list(products.values()))
        wait_for(lambda: _known(shop, len(products)), "the imported products", 30)
        kept = set(list(keys)[max(1, len(keys) - KEPT_UNMAPPED) :])
        mapped = [item for item in items if _thing(item) not in kept]
        for item in mapped:
            shop.map_when_known(item["item_id"], products[_thing(item)]["product_id"])
        for each in connections:
            wait_for(partial(_released, shop, each), "the release of parked lines", 300)
        self.console.print(
            f"Mapped {len(mapped)} items to {len(keys) - len(kept)} products; "
            f"{len(items) - len(mapped)} stay unmapped, so that parking can be seen."
        )

    def _outcome(self, shop: Shop, each: _Open) -> Outcome:
        control = control_totals(each.file)
        result = shown(shop.days(each.connection, each.first_day))
        events = asyncio.run(product_sales(self.system.bootstrap_servers, UUID(each.connection)))
        wrong = compare(control, result, voids=each.till.keeps_voids)
        return Outcome(each.till, each.connection, control, result, wrong, len(events))


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


def _thing(item: Json) -> str:
    """Return what makes two tills' items the same thing: its SKU, else its name."""
    return str(item.get("sku") or _name(item)).casefold()


def _name(item: Json) -> str:
    names = (item.get("name"), item.get("variation_name"))
    return " ".join(name for name in names if name and name != "Regular") or str(item["item_key"])


def _product(number: int, thing: str, items: list[Json]) -> Json:
    item = next(item for item in items if _thing(item) == thing)
    return {
        "product_id": f"product-{number:03}",
        "name": _name(item),
        "sku": item.get("sku"),
        "unit": "each",
    }
