"""A real restaurant's month: what goes in as a file must come out of the API with the file's own totals."""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from suppli_sandbox.client import MerchantSpec, SandboxControl

pytestmark = pytest.mark.shared_data
_SHARED = Path(os.environ.get("SUPPLI_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
_EXPORT = _SHARED / "pos_exports" / "square_items_detail_us_2023-11.csv"


@pytest.mark.skipif(not _EXPORT.exists(), reason=f"{_EXPORT} is missing: set SUPPLI_SHARED_DATA")
def test_orders_have_the_control_totals_of_the_export(control: SandboxControl) -> None:
    """The demo promises totals equal to the export's; a line lost here would break that promise."""
    control.create_merchant(MerchantSpec(id="REAL", name="Keeva"))
    summary = control.load_csv("REAL", str(_EXPORT))
    assert (summary["orders"], summary["refund_rows"], summary["voided_rows"]) == (647, 9, 222)
    gross = discount = net = tax = 0
    quantity = voided = Decimal(0)
    for order in control.orders("REAL"):
        lines = [(line, "gross_sales_money", 1) for line in order.get("line_items", [])]
        for part in order.get("returns", []):
            lines += [(line, "gross_return_money", -1) for line in part["return_line_items"]]
        for line, gross_name, sign in lines:
            amount = {name: sign * line[name]["amount"] for name in line if name.endswith("_money")}
            gross += amount[gross_name]
            discount += amount["total_discount_money"]
            tax += amount["total_tax_money"]
            net += amount["total_money"] - amount["total_tax_money"]
            if line.get("name", "").endswith(" (Voided)"):
                voided += Decimal(line["quantity"])
            else:
                quantity += sign * Decimal(line["quantity"])
    assert (gross, discount, net, tax) == (3732143, 35972, 3696171, 327749)
    assert (quantity, voided) == (3748, 264)
