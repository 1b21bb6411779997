"""External items and their mapping as the public API takes and says them."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_contracts.internal import MapRequest

_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,12})?(/\d{1,12}(\.\d{1,12})?)?")


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a decimal such as `0.5` or a fraction such as `1/3`")
    return text


Number = Annotated[str, AfterValidator(_number)]

ITEM_EXAMPLE: Any = {
    "item_id": "5d0d6f0b-1c53-5ba9-9d7c-62c1a0f9a0de",
    "connection_id": "01980a4d-2b3c-7d11-8c0a-6a5f1e2d3c4b",
    "item_key": "id:7XWQ2VARIATION",
    "kind": "item",
    "state": "unmapped",
    "revision": 0,
    "name": "Latte",
    "variation_name": "Large",
    "sku": "LAT-L",
    "barcode": None,
    "category": "Coffee",
    "unit": "each",
    "targets": [],
    "lines": 412,
    "parked_lines": 412,
    "quantity": "430",
    "net": 215000,
    "currency": "USD",
    "first_sold_at": "2026-01-01T16:02:11Z",
    "last_sold_at": "2026-03-01T23:12:45Z",
    "suggestions": [{"product_id": "latte-large", "name": "Latte large", "score": 0.93, "by": "name"}],
}


class TargetBody(BaseModel):
    """A product that an item stands for."""

    model_config = ConfigDict(extra="forbid")

    product_id: str = Field(min_length=1, max_length=200)
    factor: Number = Field("1", description="Stock units per external unit: a decimal or fraction.")
    share: Number | None = Field(None, description="Share of the line's money; left out = equal shares.")


class MappingBody(BaseModel):
    """What an item is: some products, ignored, or not known after all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"state": "mapped", "targets": [{"product_id": "latte-large", "factor": "1"}]}]
        },
    )

    state: Literal["mapped", "ignored", "unmapped"] = "mapped"
    targets: list[TargetBody] = Field(default_factory=list, max_length=50)
    from_date: date | None = Field(
        None, description="First business date that it holds for; left out = since ever."
    )
    expected_revision: int | None = Field(
        None, description="Refuse (409) where somebody else changed the mapping meanwhile."
    )

    def request(self) -> MapRequest:
        """Return the same as mapping takes it."""
        return MapRequest(
            state=MappingState(self.state),
            targets=tuple(
                MappingTarget(product_id=target.product_id, factor=target.factor, share=target.share)
                for target in self.targets
            ),
            from_date=self.from_date,
            expected_revision=self.expected_revision,
        )


class TargetView(BaseModel):
    """A product that an item stands for."""

    product_id: str
    factor: str
    share: str | None = None


class SuggestionView(BaseModel):
    """A product that an item might be."""

    product_id: str
    name: str
    score: float
    by: str = Field(description="What matched: sku, barcode or name.")


class ItemView(BaseModel):
    """An external item with what is known of its sales."""

    model_config = ConfigDict(json_schema_extra={"examples": [ITEM_EXAMPLE]})

    item_id: UUID
    connection_id: UUID
    item_key: str
    kind: str
    state: str
    revision: int
    name: str | None = None
    variation_name: str | None = None
    sku: str | None = None
    barcode: str | None = None
    category: str | None = None
    unit: str
    targets: list[TargetView]
    lines: int
    parked_lines: int = Field(description="Lines that wait for a mapping.")
    quantity: str = Field(description="External units sold less returned.")
    net: int = Field(description="Minor units of the currency.")
    currency: str | None = None
    first_sold_at: datetime | None = None
    last_sold_at: datetime | None = None
    suggestions: list[SuggestionView]


class ItemPageView(BaseModel):
    """External items."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [ITEM_EXAMPLE], "next_cursor": None}]}
    )

    items: list[ItemView]
    next_cursor: str | None = None
