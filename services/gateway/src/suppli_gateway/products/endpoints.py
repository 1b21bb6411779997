"""`/v1/products`: Suppli's products, imported from a file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from suppli_service_kit.problems import Problem

from suppli_gateway import due
from suppli_gateway.auth.access import Admin, Viewer
from suppli_gateway.context import InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.idempotency import IdempotentRoute
from suppli_gateway.oauth.service import DAILY_ROUND
from suppli_gateway.paging import Cursor, Limit, decode_cursor, next_cursor
from suppli_gateway.products import repository
from suppli_gateway.products.parsing import COLUMNS, Parsed, UnreadableFile, parse_csv, parse_json

router = APIRouter(prefix="/v1/products", tags=["catalog"], route_class=IdempotentRoute)
IMPORT_PATH = "/v1/products/import"

_PRODUCT: Any = {
    "product_id": "latte-large",
    "name": "Latte large",
    "sku": "LAT-L",
    "barcode": None,
    "unit": "each",
}
_CSV = f"{','.join(COLUMNS)}\nlatte-large,Latte large,LAT-L,,each\nbeans,Espresso beans,,4006381333931,kg\n"
_ERROR: Any = {
    "line": 7,
    "column": "unit",
    "value": "KG!",
    "reason": "is not a unit such as each, kg or l (lower case)",
}
_REPORT: Any = {"imported": 212, "unchanged": 40, "rejected": 1, "errors": [_ERROR]}


class ProductOut(BaseModel):
    """A Suppli product as it now stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_PRODUCT, "revision": 1}]})

    product_id: str
    name: str
    sku: str | None = None
    barcode: str | None = None
    unit: str = Field(description="The stock unit, e.g. each, kg, l.")
    revision: int


class ProductPage(BaseModel):
    """Products by id."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{**_PRODUCT, "revision": 1}], "next_cursor": None}]}
    )

    items: list[ProductOut]
    next_cursor: str | None = None


class RowErrorView(BaseModel):
    """Why a row was not taken."""

    line: int = Field(description="Line of the CSV file (the header is 1), or number of the product in JSON.")
    column: str
    value: str
    reason: str


class ImportReport(BaseModel):
    """What became of the file's rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    imported: int = Field(description="New or changed products.")
    unchanged: int
    rejected: int = Field(description="Rows that were not taken.")
    errors: list[RowErrorView] = Field(description="What is wrong with them, at most the first 1,000 errors.")


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["products"],
                    "properties": {
                        "products": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["product_id", "name"],
                                "properties": {name: {"type": ["string", "null"]} for name in COLUMNS},
                            },
                        }
                    },
                },
                "example": {"products": [_PRODUCT]},
            },
        },
    }
}


@router.post("/import", responses=problems(413, 415, 422), openapi_extra=_BODY)
async def import_products(request: Request, access: Admin, gateway: InGateway) -> ImportReport:
    """Import products from CSV or JSON. Bad rows are reported, the good ones go in."""
    parsed = _parsed(request.headers.get("content-type", ""), await request.body())
    rows = list(parsed.rows.values())
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        imported = await repository.put_all(transaction, access.tenant_id, rows, gateway.clock)
        if imported:
            at = gateway.clock.now() + DAILY_ROUND
            await due.plan(transaction, "tenant", access.tenant_id, access.tenant_id, at)
    return ImportReport(
        imported=imported,
        unchanged=len(rows) - imported,
        rejected=parsed.rejected,
        errors=[
            RowErrorView(line=error.line, column=error.column, value=error.value, reason=error.reason)
            for error in parsed.errors
        ],
    )


def _parsed(content_type: str, body: bytes) -> Parsed:
    media_type = content_type.partition(";")[0].strip().lower()
    parsers = {"text/csv": parse_csv, "application/json": parse_json}
    if media_type not in parsers:
        detail = f"Send {' or '.join(parsers)}."
        raise Problem(415, "unsupported-media-type", "The media type is not taken", detail)
    try:
        return parsers[media_type](body)
    except UnreadableFile as error:
        raise Problem(422, "file-unreadable", "The file cannot be read", f"The file: {error}.") from None


@router.get("", responses=problems(400))
async def list_products(
    access: Viewer,
    gateway: InGateway,
    search: Annotated[
        str | None, Query(max_length=200, description="Part of name, SKU, barcode or id.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ProductPage:
    """List the tenant's products."""
    after = decode_cursor(cursor, "products", str)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await repository.page(transaction, after=after, limit=limit + 1, search=search)
    shown = found[:limit]
    last = shown[-1].product_id if shown else None
    return ProductPage(
        items=[
            ProductOut.model_validate({name: getattr(product, name) for name in ProductOut.model_fields})
            for product in shown
        ],
        next_cursor=next_cursor("products", last, more=len(found) > limit),
    )
