"""Whatever the bytes of a file: a sentence for the person, never a failure of ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suppli_connector_upload.domain.detection import detect
from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.domain.plan import PlanProblem
from suppli_connector_upload.domain.plans import make_plan
from suppli_connector_upload.domain.sales import SalesReader
from suppli_connector_upload.reading import DiskSpool, open_rows, take_sample
from suppli_connector_upload.testing.workbooks import parts, sheet, written

OLD = Path(__file__).parents[1] / "fixtures" / "sales.xls"
ANSWERS = {"timezone": "UTC", "currency": "USD", "location_id": "shop", "prices_include_tax": "no"}
DAMAGE = st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(max_size=3)), min_size=1, max_size=8)
CSV = b"Sold at,Order,Item,Qty,Price\n" + b"".join(
    b'0%d/03/2024 10:0%d,%d,"Tea, green",2,"$1,234.50"\r\n' % (n % 9 + 1, n % 10, n % 3) for n in range(20)
)


def _old(_: Path) -> bytes:
    return OLD.read_bytes()


def _new(folder: Path) -> bytes:
    rows = '<row><c s="1"><v>45444.5</v></c><c t="s"><v>0</v></c><c><v>1.5</v></c></row>'
    content = parts(sheet(rows * 5), texts=("<si><t>Tea</t></si>",))
    return written(folder / "good.xlsx", content).read_bytes()


def _text(_: Path) -> bytes:
    return CSV


@pytest.mark.parametrize("whole", [_old, _new, _text], ids=["xls", "xlsx", "csv"])
@settings(max_examples=40, deadline=None)
@given(damage=DAMAGE, cut=st.sampled_from([1.0, 1.0, 0.5]))
def test_damage_is_refused_or_read_past(
    tmp_path_factory: pytest.TempPathFactory,
    whole: Callable[[Path], bytes],
    damage: list[tuple[int, bytes]],
    cut: float,
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(whole(folder))
    for at, patch in damage:
        begin = at % len(content)
        content[begin : begin + len(patch)] = patch
    path = folder / "sales"
    path.write_bytes(content[: int(len(content) * cut)])
    with suppress(FileRefused, PlanProblem):
        detected = detect(take_sample(path))
        plan = make_plan(detected, ANSWERS)
        reader = SalesReader(plan, DiskSpool)
        try:
            errors = sum(1 for _ in reader.take(open_rows(path, plan.layout)))
            rows = sum(found.rows for found in reader.sales())
            assert (errors, rows) == (reader.totals.errors, reader.totals.all.rows)
        finally:
            reader.close()
