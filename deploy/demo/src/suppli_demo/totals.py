"""What the API's day totals come to, and how they are held against a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from suppli_demo.control_totals import ControlTotals


@dataclass(frozen=True, slots=True)
class Part:
    """One place where sales went; money in minor units."""

    gross: int = 0
    discount: int = 0
    net: int = 0
    quantity: Decimal = Decimal(0)

    def __add__(self, other: Part) -> Part:
        return Part(
            self.gross + other.gross,
            self.discount + other.discount,
            self.net + other.net,
            self.quantity + other.quantity,
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """Day totals of a connection, added up by where the money went."""

    parts: Mapping[str, Part]
    tax: int
    voided: Decimal
    provider_net: int

    @property
    def total(self) -> Part:
        """Everything together."""
        return sum(self.parts.values(), Part())


def shown(days: Iterable[Mapping[str, Any]]) -> Shown:
    """Add up the days as `GET /v1/connections/{id}/days` lists them."""
    days = list(days)

    def part(name: str, *, quantity: bool = True) -> Part:
        return Part(
            sum(int(day[f"{name}_gross"]) for day in days),
            sum(int(day[f"{name}_discount"]) for day in days),
            sum(int(day[f"{name}_net"]) for day in days),
            sum((Decimal(day[f"{name}_quantity"]) for day in days), Decimal(0)) if quantity else Decimal(0),
        )

    adjustments = sum(int(day["adjustments"]) for day in days)
    return Shown(
        parts={
            "product sales": part("sold"),
            "parked (not mapped)": part("parked"),
            "ignored": part("ignored"),
            "counts for nothing": part("other", quantity=False),
            "adjustments": Part(gross=adjustments, net=adjustments),
        },
        tax=sum(int(day["tax"]) for day in days),
        voided=sum((Decimal(day["void_quantity"]) for day in days), Decimal(0)),
        provider_net=sum(int(day["provider_net"]) for day in days),
    )


def compare(control: ControlTotals, result: Shown, *, voids: bool = True) -> list[str]:
    """Return one sentence for each total that differs from the file's; `voids`: the provider keeps them."""
    total = result.total
    pairs: dict[str, tuple[object, object]] = {
        "gross": (control.gross, total.gross),
        "discounts": (control.discounts, total.discount),
        "net": (control.net, total.net),
        "tax": (control.tax, result.tax),
        "quantity": (control.quantity, total.quantity),
        "voided quantity": (control.voided if voids else 0, result.voided),
        "the provider's own net": (control.net, result.provider_net),
    }
    return [f"{name}: {got} instead of {wanted}" for name, (wanted, got) in pairs.items() if wanted != got]
