"""The fields of Clover's objects that sales need: what is not named here is never decoded.

Source: the v3 model classes of clover/clover-android-sdk. Names are Clover's own.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from suppli_connector_kit.domain.parts import Amount, Milliseconds, Part
from suppli_connector_kit.domain.reading import OrderReader

T = TypeVar("T")


class Elements(msgspec.Struct, Generic[T]):
    """How Clover wraps every list."""

    elements: list[T] = []


class Reference(Part):
    """Points to another object."""

    id: str


class Discount(Part):
    """`amount` is negative; `percentageDecimal` is percent x 10,000."""

    amount: Amount | None = None
    percentage: int | None = None
    percentageDecimal: int | None = None  # noqa: N815 - Clover's name


class Modification(Part):
    """A modifier as it was sold."""

    id: str | None = None
    name: str | None = None
    amount: Amount = 0
    modifier: Reference | None = None


class TaxRate(Part):
    """`rate` is percent x 100,000; `taxAmount` a flat sum."""

    rate: int = 0
    taxAmount: Amount = 0  # noqa: N815


class LineItem(Part):
    """One unit sold, or with `unitName` so many thousandths of one."""

    id: str
    name: str | None = None
    item: Reference | None = None
    price: Amount = 0
    unitQty: int | None = None  # noqa: N815
    unitName: str | None = None  # noqa: N815
    modifications: Elements[Modification] | None = None
    discounts: Elements[Discount] | None = None
    taxRates: Elements[TaxRate] | None = None  # noqa: N815
    exchanged: bool = False
    refunded: bool = False
    isRevenue: bool = True  # noqa: N815
    isOrderFee: bool = False  # noqa: N815


class Payment(Part):
    """Money taken; `amount` is mostly without the tip."""

    result: str | None = None
    amount: Amount = 0
    taxAmount: Amount = 0  # noqa: N815
    tipAmount: Amount = 0  # noqa: N815


class MoneyBack(Part):
    """A refund of a payment, or a manual credit; `amount` is with tax and tip."""

    id: str
    amount: Amount = 0
    taxAmount: Amount = 0  # noqa: N815
    createdTime: Milliseconds | None = None  # noqa: N815
    clientCreatedTime: Milliseconds | None = None  # noqa: N815
    lineItems: Elements[Reference] | None = None  # noqa: N815
    status: str | None = None
    result: str | None = None
    voided: bool = False


class ServiceCharge(Part):
    """Percent x 10,000 of what the lines come to after discounts."""

    id: str | None = None
    percentageDecimal: int = 0  # noqa: N815


class Order(msgspec.Struct):
    """An order with what `EXPAND` asks for. Devices keep `total`: it may be stale."""

    id: str
    modifiedTime: Milliseconds  # noqa: N815
    currency: str | None = None
    total: Amount | None = None
    paymentState: str | None = None  # noqa: N815
    state: str | None = None
    isVat: bool = False  # noqa: N815
    taxRemoved: bool = False  # noqa: N815
    testMode: bool = False  # noqa: N815
    createdTime: Milliseconds | None = None  # noqa: N815
    clientCreatedTime: Milliseconds | None = None  # noqa: N815
    deletedTimestamp: Milliseconds | None = None  # noqa: N815
    serviceCharge: ServiceCharge | None = None  # noqa: N815
    lineItems: Elements[LineItem] | None = None  # noqa: N815
    discounts: Elements[Discount] | None = None
    payments: Elements[Payment] | None = None
    refunds: Elements[MoneyBack] | None = None
    credits: Elements[MoneyBack] | None = None


LINE_EXPAND = "modifications,discounts,taxRates"
EXPAND = (
    "lineItems,lineItems.modifications,lineItems.discounts,lineItems.taxRates,"
    "discounts,serviceCharge,payments,refunds,credits"
)


def from_milliseconds(stamp: object) -> int:
    """Return microseconds since 1970; raises `ValueError` for what are no milliseconds."""
    if not isinstance(stamp, int) or stamp < 0:
        raise ValueError("not an instant in milliseconds")
    return stamp * 1000


def listed(part: Elements[T] | None) -> list[T]:
    """Return what a list holds, nothing where it is not there."""
    return [] if part is None else part.elements


READER = OrderReader(
    Order, ("id", None, "modifiedTime"), stamp=from_milliseconds, orders="elements"
)
"""Reads lists of orders."""
