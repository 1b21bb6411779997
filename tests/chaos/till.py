"""A busy shop: sales are made, changed, returned, voided and closed while everything else goes wrong."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from suppli_sandbox.client import GenerateSpec, RefundSpec, SandboxControl, SandboxRefusedError

_SELDOM = 0.15  # seconds between two things that happen at a till
_KEPT_BY_ANOTHER = {"id", "location_id", "created_at", "updated_at", "version"}


class Till:
    """Changes the orders of some merchants, all by one seed, in a thread of its own until stopped."""

    def __init__(self, control: SandboxControl, merchants: list[str], seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._control, self._merchants = control, merchants
        self._draw = random.Random(seed)
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._ids = {merchant: self._sales(merchant) for merchant in merchants}
        self._thread = threading.Thread(target=self._run, name="till", daemon=True)
        self._seed = itertools.count(seed * 10_000)

    def start(self) -> None:
        """Open the shop."""
        self._thread.start()

    def stop(self) -> None:
        """Close it; raises what went wrong in the sandbox, if anything did."""
        self._stop.set()
        self._thread.join(30)
        if self._failure is not None:
            raise self._failure

    def sell(self, merchant: str, count: int) -> None:
        """Make `count` sales that are completed within the next second."""
        now = self._now()
        spec = GenerateSpec(
            count=count, seed=next(self._seed), start_at=_text(now), end_at=_text(now + timedelta(seconds=1))
        )
        self._control.generate_orders(merchant, spec)
        self.done["sold"] += count

    def _now(self) -> datetime:
        return datetime.fromisoformat(str(self._control.clock().now))

    def _sales(self, merchant: str) -> list[str]:
        return [order["id"] for order in self._control.orders(merchant) if order.get("line_items")]

    def _run(self) -> None:
        try:
            while not self._stop.wait(_SELDOM):
                self._happen(self._draw.choice(self._merchants))
        except Exception as error:  # handed to whoever stops the till
            self._failure = error

    def _happen(self, merchant: str) -> None:
        order_id = self._draw.choice(self._ids[merchant])
        order = self._control.order(merchant, order_id)
        name = self._draw.choice(
            ("sale", "sale", "change", "refund", "refund a line", "void", "line", "close")
        )
        try:
            if self._do(name, merchant, order):
                self.done[name] += 1
        except SandboxRefusedError:  # e.g. returns what is already returned
            self.done["refused by the sandbox"] += 1

    def _do(self, name: str, merchant: str, order: dict[str, Any]) -> bool:
        control, draw, order_id, lines = self._control, self._draw, order["id"], order.get("line_items", [])
        if name in {"sale", "change"}:
            content = {key: value for key, value in order.items() if key not in _KEPT_BY_ANOTHER}
            there = control.order(merchant, draw.choice(self._ids[merchant])) if name == "change" else None
            if there and order["state"] == "DRAFT" != there["state"]:  # Square turns no order into a draft
                return False
            keep = {key: there[key] for key in ("id", "location_id", "created_at")} if there else {}
            keep = keep or {"id": f"TILL{draw.getrandbits(80):020X}", "location_id": order["location_id"]}
            control.put_order(merchant, keep["id"], content | keep)
            if there is None:
                self._ids[merchant].append(keep["id"])
        elif name == "refund" and order["state"] == "COMPLETED" and lines:
            control.refund_order(merchant, order_id)
        elif name == "refund a line" and order["state"] == "COMPLETED" and lines:
            line = draw.choice(lines)
            control.refund_order(merchant, order_id, RefundSpec(lines={line["uid"]: line["quantity"]}))
        elif name == "void" and order["state"] == "OPEN":
            control.void_order(merchant, order_id)
        elif name == "line" and lines:
            control.remove_line(merchant, order_id, draw.choice(lines)["uid"])
        elif name == "close" and order["state"] == "OPEN":
            control.close_order(merchant, order_id)
        else:
            return False
        return True


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
