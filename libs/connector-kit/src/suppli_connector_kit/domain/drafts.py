"""A sale in the making: lines and adjustments of one order, each id once, all of one moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from suppli_contracts.events.sales import (
    Adjustment,
    AdjustmentKind,
    Disposition,
    LineKind,
    Modifier,
    Restock,
    ReturnedLine,
    SaleLine,
)

from suppli_connector_kit.domain import quantities
from suppli_connector_kit.domain.business_day import business_date
from suppli_connector_kit.domain.ids import Ids
from suppli_connector_kit.domain.money import LineMoney
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.protocol import LocationContext


class Extra(NamedTuple):
    """A modifier as a provider states it: quantity per unit of its line, price (minor units) for all."""

    uid: str | None
    external_id: str | None
    name: str | None
    quantity: str | None
    price: int


class SaleDraft:
    """Collects what an order consists of.

    Attributes:
        at: when the order counts, UTC; `day` is its business date.
        ids: of lines and adjustments together.
    """

    __slots__ = ("_zones", "adjustments", "at", "day", "ids", "lines")

    def __init__(self, at: datetime, location: LocationContext) -> None:
        self.at = at if at.tzinfo is UTC else at.astimezone(UTC)
        self.day = business_date(self.at, location.zones)
        self._zones = location.zones
        self.ids = Ids()
        self.lines: list[SaleLine] = []
        self.adjustments: list[Adjustment] = []

    def add(
        self,
        line_id: str,
        disposition: Disposition,
        money: LineMoney,
        quantity: str,
        *,
        path: str,
        back: bool = False,
        returns: ReturnedLine | None = None,
        unit: str = EACH,
        kind: LineKind = LineKind.ITEM,
        variation_id: str | None = None,
        name: str | None = None,
        variation_name: str | None = None,
        extras: Sequence[Extra] = (),
        at: datetime | None = None,
    ) -> None:
        """Add a line; one of nothing (quantity 0, no money) is left out.

        Args:
            line_id: one that `ids` gave.
            money: positive, as is `quantity`, also where it comes `back`.
            path: where the line is in the order, for messages.
            back: taken back: everything is negative, and whether it was restocked is not known.
            at: when it happened, where that is not when the order counts: a line taken back later.

        Raises:
            OrderNotUnderstood: a quantity is none.
        """
        number = quantities.parse(quantity, f"{path}.quantity")
        if not number and money.is_nothing:
            return
        sign = -1 if back else 1
        when, day = self._moment(at)
        self.lines.append(
            SaleLine(
                line_id=line_id,
                occurred_at=when,
                business_date=day,
                disposition=disposition,
                quantity=quantities.text(number, sign),
                gross=sign * money.gross,
                discount=sign * money.discount,
                net=sign * money.net,
                tax=sign * money.tax,
                unit=unit,
                kind=kind,
                variation_id=variation_id,
                name=name,
                variation_name=variation_name,
                tax_included=money.tax_included,
                modifiers=_modifiers(extras, number, money, sign, path) if extras else (),
                restock=Restock.UNKNOWN if back else None,
                returns=returns,
            )
        )

    def adjust(
        self, kind: AdjustmentKind, adjustment_id: str, amount: int, *, at: datetime | None = None
    ) -> None:
        """Add money that fits no line, in minor units; an amount of 0 says nothing and is left out.

        Args:
            at: when it happened, where that is not when the order counts.
        """
        if amount:
            when, day = self._moment(at)
            self.adjustments.append(
                Adjustment(
                    adjustment_id=adjustment_id,
                    kind=kind,
                    amount=amount,
                    business_date=day,
                    occurred_at=when,
                )
            )

    def _moment(self, at: datetime | None) -> tuple[datetime, date]:
        if at is None:
            return self.at, self.day
        return at.astimezone(UTC), business_date(at, self._zones)

    def explained(self) -> int:
        """Return what lines and adjustments add up to, in minor units."""
        total = 0
        for line in self.lines:
            total += line.net
        for adjustment in self.adjustments:
            total += adjustment.amount
        return total


def _modifiers(
    extras: Sequence[Extra], number: Decimal, money: LineMoney, sign: int, path: str
) -> tuple[Modifier, ...]:
    ids = Ids()
    prices = money.parts([extra.price for extra in extras])
    found = []
    for index, (extra, price) in enumerate(zip(extras, prices, strict=True)):
        each = quantities.parse(extra.quantity or "1", f"{path}.modifiers[{index}].quantity")
        found.append(
            Modifier(
                modifier_id=ids.take(extra.uid, f"modifier-{index}"),
                external_id=extra.external_id,
                name=extra.name if extra.external_id else None,  # typed at the till: never published
                quantity=quantities.text(each * number, sign),
                gross=sign * price,
            )
        )
    return tuple(found)
