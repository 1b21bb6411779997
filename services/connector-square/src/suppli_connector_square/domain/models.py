"""The fields of Square's orders that sales need: what is not named here is never decoded.

Source: Square's OpenAPI specification (square/connect-api-specification). Absent is null.
"""

from __future__ import annotations

import msgspec
from suppli_connector_kit.domain import units
from suppli_connector_kit.domain.parts import Money, MoneyIn, Part
from suppli_connector_kit.domain.reading import OrderReader


class MoneyAmounts(Part):
    """A roll-up of an order, its returns, or both; a missing entry is not 0 but not stated."""

    total_money: MoneyIn | None = None
    tax_money: Money | None = None
    discount_money: Money | None = None
    tip_money: Money | None = None
    service_charge_money: Money | None = None


class Named(Part):
    """Something that has a name: a unit that the seller made, where an order was made."""

    name: str | None = None


class MeasurementUnit(Part):
    """One of these is set."""

    custom_unit: Named | None = None
    area_unit: str | None = None
    length_unit: str | None = None
    volume_unit: str | None = None
    weight_unit: str | None = None
    generic_unit: str | None = None
    time_unit: str | None = None


def unit_name(unit: MeasurementUnit | None) -> str:
    """Return a unit's short name; one of the seller's goes by its own name."""
    if unit is None:
        return units.UNKNOWN
    if unit.custom_unit is not None:
        return unit.custom_unit.name or units.UNKNOWN
    physical = (unit.weight_unit, unit.volume_unit, unit.length_unit, unit.area_unit)
    return units.first_name(*physical, unit.generic_unit, unit.time_unit)


class QuantityUnit(Part):
    """What a line's quantity is counted in."""

    measurement_unit: MeasurementUnit | None = None


class Tax(Part):
    """A tax of the order; `INCLUSIVE`: inside the price at the till."""

    uid: str | None = None
    type: str | None = None
    percentage: str | None = None


class AppliedTax(Part):
    """Says which tax applies to a line."""

    tax_uid: str | None = None


class LineModifier(Part):
    """A modifier; `quantity` is per unit of the line, `total_price_money` for all of it."""

    uid: str | None = None
    catalog_object_id: str | None = None
    name: str | None = None
    quantity: str | None = None
    total_price_money: Money | None = None


class Line(Part):
    """A line, or (the fields with `return` in them) one taken back; its amounts are positive.

    `catalog_object_id` is the variation's.
    """

    quantity: str
    uid: str | None = None
    name: str | None = None
    variation_name: str | None = None
    item_type: str | None = None
    catalog_object_id: str | None = None
    source_line_item_uid: str | None = None
    quantity_unit: QuantityUnit | None = None
    modifiers: list[LineModifier] | None = None
    return_modifiers: list[LineModifier] | None = None
    applied_taxes: list[AppliedTax] | None = None
    base_price_money: Money | None = None
    gross_sales_money: Money | None = None
    gross_return_money: Money | None = None
    total_discount_money: Money | None = None
    total_tax_money: Money | None = None
    total_service_charge_money: Money | None = None
    total_money: Money | None = None


class Charge(Part):
    """Money beside the lines: a service charge, a tip given back, or (signed) cash rounding.

    Of a service charge `applied_money` has inclusive taxes in it, `total_money` all of them.
    """

    uid: str | None = None
    amount_money: Money | None = None
    applied_money: Money | None = None
    total_money: Money | None = None
    total_tax_money: Money | None = None


class Return(Part):
    """Things or money taken back, of one earlier order (or of none that is known)."""

    source_order_id: str | None = None
    return_line_items: list[Line] | None = None
    return_service_charges: list[Charge] | None = None
    return_taxes: list[Tax] | None = None
    return_tips: list[Charge] | None = None
    rounding_adjustment: Charge | None = None
    return_amounts: MoneyAmounts | None = None


class Tender(Part):
    """A payment of the order; its amount includes the tip."""

    created_at: str | None = None
    amount_money: Money | None = None
    tip_money: Money | None = None


class Refund(Part):
    """Money given back for the order's returns: PENDING, APPROVED, REJECTED or FAILED."""

    status: str | None = None


class Order(msgspec.Struct):
    """An order. Those of the till have no version: `updated_at` tells revisions apart."""

    id: str
    location_id: str
    updated_at: str
    state: str | None = None
    created_at: str | None = None
    closed_at: str | None = None
    source: Named | None = None
    line_items: list[Line] | None = None
    taxes: list[Tax] | None = None
    service_charges: list[Charge] | None = None
    returns: list[Return] | None = None
    tenders: list[Tender] | None = None
    refunds: list[Refund] | None = None
    rounding_adjustment: Charge | None = None
    return_amounts: MoneyAmounts | None = None
    net_amounts: MoneyAmounts | None = None
    total_money: MoneyIn | None = None
    total_tax_money: Money | None = None
    total_discount_money: Money | None = None
    total_tip_money: Money | None = None
    total_service_charge_money: Money | None = None
    net_amount_due_money: Money | None = None


READER = OrderReader(Order, ("id", "location_id", "updated_at"))
"""Reads the answers of SearchOrders and BatchRetrieveOrders."""
