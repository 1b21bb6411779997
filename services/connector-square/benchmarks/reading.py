# ruff: noqa: T201
"""How long decoding and understanding a page of 1,000 realistic orders takes, in CPU time an order.

Run: `python services/connector-square/benchmarks/reading.py` (starts the sandbox to generate the orders).
"""

from __future__ import annotations

import json
import statistics
import time

from suppli_connector_kit.protocol import LocationContext, Zone
from suppli_connector_square.domain.models import READER
from suppli_connector_square.domain.normalise import normalise
from suppli_sandbox.client import GenerateSpec, LocationSpec, MerchantSpec, SandboxProcess

ORDERS, ROUNDS = 1000, 40
CONTEXT = LocationContext("L1", "USD", (Zone("America/New_York", "04:00"),))


def page() -> bytes:
    """Return a page as SearchOrders answers it."""
    with SandboxProcess(token="benchmark") as sandbox:  # noqa: S106
        control = sandbox.control
        control.create_merchant(MerchantSpec(id="M", name="M", locations=(LocationSpec(id="L1", name="L"),)))
        control.generate_orders("M", GenerateSpec(count=ORDERS))
        return json.dumps({"orders": control.orders("M")[:ORDERS]}).encode()


def main() -> None:
    """Measure and print."""
    body = page()
    decoded, whole = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        refs, _ = READER.read(body)
        between = time.process_time()
        for ref in refs:
            if ref.raw is not None:
                normalise(ref.raw, CONTEXT)
        decoded.append((between - start) * 1e6 / len(refs))
        whole.append((time.process_time() - start) * 1e6 / len(refs))
    print(f"bytes an order        {len(body) / ORDERS:7.0f}")
    print(f"decode, us an order   median {statistics.median(decoded):5.1f}  best {min(decoded):5.1f}")
    print(f"decode + normalise    median {statistics.median(whole):5.1f}  best {min(whole):5.1f}")


if __name__ == "__main__":
    main()
