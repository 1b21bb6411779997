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
    OrderState,
    Restock,
    ReturnedLine,
    SaleLine,
    SaleTotals,
)

from suppli_connector_kit.domain import quantities
from suppli_connector_kit.domain.business_day import business_date
from suppli_connector_kit.domain.ids import Ids
from suppli_connector_kit.domain.instants import instant
from suppli_connector_kit.domain.money import LineMoney
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale

_STATES = {
    "OPEN": OrderState.OPEN,
    "COMPLETED": OrderState.COMPLETED,
    "CANCELED": OrderState.CANCELLED,
    "CANCELLED": OrderState.CANCELLED,
    "DRAFT": OrderState.DRAFT,
}
_UNSOLD = {
    OrderState.OPEN: Disposition.NOT_YET,
    OrderState.DRAFT: Disposition.NOT_YET,
    OrderState.CANCELLED: Disposition.CANCELLED,
}


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

    __slots__ = ("_location", "_zones", "adjustments", "at", "day", "ids", "lines")

    def __init__(self, at: datetime, location: LocationContext) -> None:
        self.at = at if at.tzinfo is UTC else at.astimezone(UTC)
        self.day = business_date(self.at, location.zones)
        self._location, self._zones = location, location.zones
        self.ids = Ids()
        self.lines: list[SaleLine] = []
        self.adjustments: list[Adjustment] = []

    def add(
        self,
        line_id: str,
        disposition: Disposition | None,
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
        beside: AdjustmentKind | None = None,
        priced: bool = False,
    ) -> None:
        """Add a line; one of nothing (quantity 0, no money) is left out.

        Args:
            line_id: one that `ids` gave.
            disposition: None: as its money tells.
            money: positive, as is `quantity`, also where it comes `back`.
            path: where the line is in the order, for messages.
            back: taken back: everything is negative, and whether it was restocked is not known.
            at: when it happened, where that is not when the order counts: a line taken back later.
            beside: it is no merchandise (a gift card, a fee): an adjustment of that kind.
            priced: the thing has a price, also where the line has none: then it was given away.

        Raises:
            OrderNotUnderstood: a quantity is none.
        """
        if beside is not None:
            self.adjust(beside, line_id, -money.net if back else money.net, at=at)
            return
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
                disposition=disposition or _became(money, back=back, priced=priced),
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

    def sale(
        self,
        order_id: str,
        state: OrderState,
        totals: SaleTotals,
        *,
        currency: str | None,
        path: str = "currency",
        channel: str | None = None,
    ) -> Sale:
        """Return the sale.

        Args:
            currency: as the order says it; else it is the location's.
            path: where the order says it.

        Raises:
            OrderNotUnderstood: neither says its currency.
        """
        currency = currency or self._location.currency
        if currency is None:
            raise OrderNotUnderstood("the order does not say its currency", path)
        return Sale(
            order_id=order_id,
            location_id=self._location.location_id,
            state=state,
            currency=currency,
            totals=totals,
            lines=tuple(self.lines),
            adjustments=tuple(self.adjustments),
            channel=channel,
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


def happened_at(*stated: tuple[str | None, str]) -> datetime:
    """Return the first instant (RFC 3339) that an order states, of those that may be the one it counts on.

    Args:
        stated: instants, the one that counts most first, each with where it stands.

    Raises:
        OrderNotUnderstood: it is no instant.
    """
    for text, path in stated:
        if text:
            try:
                return instant(text)
            except ValueError:
                raise OrderNotUnderstood("not an instant", path) from None
    raise OrderNotUnderstood("it does not say when it was made")


def state_of(name: str | None) -> OrderState:
    """Return the state that a provider calls OPEN, COMPLETED, CANCELED (or CANCELLED), or DRAFT."""
    return _STATES.get((name or "").upper(), OrderState.UNKNOWN)


def unsold(state: OrderState) -> Disposition:
    """Return what the lines of an order are that does not count as sold."""
    return _UNSOLD.get(state, Disposition.UNKNOWN)


def _became(money: LineMoney, *, back: bool, priced: bool) -> Disposition:
    if back:
        return Disposition.RETURNED
    given = priced if money.gross == 0 else money.net == 0 and money.discount > 0
    return Disposition.COMPED if given else Disposition.SOLD


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
