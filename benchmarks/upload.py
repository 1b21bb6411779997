"""Files: a million rows of CSV to raw sales on Kafka, next to a loop that only reads them; and a workbook."""

from __future__ import annotations

import csv
import random
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psutil
from suppli_contracts.topics import SALES_RAW
from suppli_demo.shop import Json, Shop
from suppli_demo.system import System

from benchmarks.measure import Results
from benchmarks.meters import POSTGRES, cpu_seconds, end_of, since

ROWS = 1_000_000
WORKBOOK_ROWS = 76_027
SERVICE = "connector-upload"
EXTRA = {SERVICE: {"SUPPLI_CONNECTOR_UPLOAD_BULK_BACKLOG": "1000000000"}}
"""Nobody maps meanwhile to whom the import had to yield."""
ZONE = "America/New_York"
HEADER = ("order_id", "datetime", "item", "sku", "category", "quantity", "gross", "discount", "net", "tax")
_DAYS, _FIRST = 60, date(2026, 1, 2)
_LINES_AN_ORDER = 2.5
_BLOCK = 1 << 20
_MB = 1e6
_SAMPLE_SECONDS = 0.05


def measure(system: System, results: Results) -> None:
    """Upload, sum up and import both files, each for a tenant of its own."""
    system.services["mapping"].stop()  # the import alone is measured
    warm_up = _write_csv(system.folder / "warm-up.csv", 2_000)
    _imported(system, warm_up)
    _measure_csv(system, results)
    _measure_workbook(system, results)


def _measure_csv(system: System, results: Results) -> None:
    path = _write_csv(system.folder / "million.csv", ROWS)
    bare = [_read_bare(path)]
    raw, before = end_of(system, SALES_RAW), cpu_seconds(system)
    with Memory(system) as memory:
        done, run, seconds = _imported(system, path)
    taken, written = since(before, cpu_seconds(system)), end_of(system, SALES_RAW) - raw
    bare.append(_read_bare(path))
    lines = run["counts"]["lines_published"]
    if lines != ROWS or written != done["counts"]["published"]:
        raise RuntimeError(f"{lines} lines in {written} raw sales of {ROWS} rows: {done['counts']}")
    took = seconds["import"]
    note = (
        f"{ROWS:,} rows, {path.stat().st_size / _MB:.0f} MB, {written:,} orders over {_DAYS} days, in"
        f" {took:.1f} s from the run's start to its end; before that {seconds['upload']:.1f} s for the upload"
        f" and its layout, {seconds['look']:.1f} s for its totals; CPU in all: the service without its reader"
        f" {taken[SERVICE]:.0f} s, PostgreSQL {taken[POSTGRES]:.0f} s; mapping does not run"
    )
    results.add("upload_rows_per_s", ROWS / took, note)
    results.add(
        "upload_ratio",
        min(bare) / took,
        f"a loop over `csv.reader` reads the file in {min(bare):.2f} s (before and after: "
        f"{', '.join(f'{each:.2f}' for each in bare)} s)",
    )
    results.add(
        "upload_rss_mb",
        memory.peak,
        "the most while the file was uploaded, summed up and imported: the service, the process that reads"
        " the file for it, and the gateway that passes it on",
    )


def _measure_workbook(system: System, results: Results) -> None:
    path = _write_workbook(system.folder / "workbook.xlsx", WORKBOOK_ROWS)
    _, run, seconds = _imported(system, path)
    if run["counts"]["lines_published"] != WORKBOOK_ROWS:
        raise RuntimeError(f"{run['counts']} of {WORKBOOK_ROWS} rows")
    parts = ", ".join(f"{name} {each:.1f} s" for name, each in seconds.items())
    note = f"{WORKBOOK_ROWS:,} rows of .xlsx, {path.stat().st_size / _MB:.1f} MB: {parts}"
    results.add("upload_workbook_s", sum(seconds.values()), note)


def _imported(system: System, path: Path) -> tuple[Json, Json, dict[str, float]]:
    """Upload, plan and import a file; return it, its run, and the seconds of each step."""
    tenant = uuid4()
    token = system.issuer.token(subject="bench", tenants=[tenant], role="admin")
    shop = Shop(system.gateway_url, token, tenant)
    shop.client.timeout = 300
    shop.put_location("shop", "Shop", ZONE)
    began = time.perf_counter()
    sent = shop.call("POST", "/v1/uploads", content=_blocks(path), params={"file_name": path.name})
    shop.uploaded(sent["upload_id"], "asking", seconds=300)
    uploaded = time.perf_counter()
    answers = {"timezone": ZONE, "day_cutoff": "00:00", "currency": "USD", "prices_include_tax": "no"}
    ready = shop.plan_upload(sent["upload_id"], answers, {"suppli_location_id": "shop"}, seconds=300)
    if ready["state"] != "ready":
        raise RuntimeError(f"the file is {ready['state']}: {ready['problem']}")
    looked = time.perf_counter()
    done = shop.import_upload(sent["upload_id"], seconds=600)
    run = shop.wait_for_runs(done["connection_id"], seconds=60)[0]
    if done["state"] != "imported" or run["state"] != "succeeded":
        raise RuntimeError(f"the import ended as {done['state']}, its run as {run['state']}")
    took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
    seconds = {"upload": uploaded - began, "look": looked - uploaded, "import": took.total_seconds()}
    return done, run, seconds


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _read_bare(path: Path) -> float:
    """Return the seconds that reading every row takes, and nothing else."""
    began, cells = time.perf_counter(), 0
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            cells += len(row)
    if cells != (ROWS + 1) * len(HEADER):
        raise RuntimeError(f"{cells} cells read")
    return time.perf_counter() - began


def _rows(number: int) -> Iterator[tuple[str, ...]]:
    """Yield made-up rows, 2.5 an order in the mean, over 60 days, the rows of an order adjacent."""
    dice = random.Random(5)  # noqa: S311 - made-up sales, no secret
    orders = int(number / _LINES_AN_ORDER)
    left = number
    for order in range(orders):
        day = _FIRST + timedelta(days=order * _DAYS // orders)
        second = order * 37 % 43_200
        at = f"{day} {8 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        lines = left if order == orders - 1 else min(left, dice.choice((1, 2, 2, 3, 4, 3)))
        for _ in range(lines):
            item, quantity = dice.randrange(400), dice.choice((1, 1, 1, 2))
            gross = (250 + item) * quantity
            discount = gross // 10 if item % 9 == 0 else 0
            net = gross - discount
            yield (
                f"T{order:07}", at, f"Item number {item}", f"SKU-{item:04}", f"Category {item % 12}",
                str(quantity), _money(gross), _money(discount), _money(net), _money(net // 12),
            )  # fmt: skip
        left -= lines


def _money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def _write_csv(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        writer.writerows(_rows(rows))
    return path


_CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def _write_workbook(path: Path, rows: int) -> Path:
    """Write a workbook as ECMA-376 has it, its texts inline."""

    def relation(kind: str, target: str) -> str:
        return (
            f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_RELATION}/{kind}"'
            f' Target="{target}"/></Relationships>'
        )

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", _CONTENT_TYPES)
        package.writestr("_rels/.rels", relation("officeDocument", "xl/workbook.xml"))
        package.writestr("xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml"))
        package.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}"><sheets>'
            '<sheet name="Sales" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        with package.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, cells in enumerate((HEADER, *_rows(rows)), start=1):
                row = "".join(_cell(at, number, text) for at, text in enumerate(cells))
                sheet.write(f'<row r="{number}">{row}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")
    return path


def _cell(column: int, row: int, text: str) -> str:
    name = f"{chr(65 + column)}{row}"
    if row > 1 and column >= HEADER.index("quantity"):
        return f'<c r="{name}"><v>{text}</v></c>'
    return f'<c r="{name}" t="inlineStr"><is><t>{text}</t></is></c>'


class Memory:
    """Samples resident memory while its block runs; `peak` is the most of each process (MB)."""

    def __init__(self, system: System) -> None:
        self.peak = {SERVICE: 0.0, "its reader": 0.0, "gateway": 0.0}
        self._service = psutil.Process(system.services[SERVICE].pid)
        self._gateway = psutil.Process(system.services["gateway"].pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._keep(SERVICE, self._service)
            self._keep("gateway", self._gateway)
            for reader in self._service.children():
                self._keep("its reader", reader)

    def _keep(self, name: str, process: psutil.Process) -> None:
        try:
            self.peak[name] = max(self.peak[name], process.memory_info().rss / _MB)
        except psutil.NoSuchProcess:
            return  # a reader that has just ended
