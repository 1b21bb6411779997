"""The catalog's endpoints."""

from typing import Any

from suppli_sandbox.serving import Reply, reply
from suppli_sandbox.square import calls
from suppli_sandbox.square.calls import Call
from suppli_sandbox.square.catalog import CatalogBook, nested_of
from suppli_sandbox.square.cursors import Position, digest, seal, unseal
from suppli_sandbox.square.errors import bad_request, not_found
from suppli_sandbox.times import format_us

Json = dict[str, Any]

LIST_PAGE, MAX_PAGE, MAX_IDS = 100, 1000, 1000
TYPES = frozenset(
    {"ITEM", "ITEM_VARIATION", "CATEGORY", "MODIFIER", "MODIFIER_LIST", "TAX", "DISCOUNT"}
    | {"MEASUREMENT_UNIT", "IMAGE", "ITEM_OPTION", "ITEM_OPTION_VAL", "PRICING_RULE", "PRODUCT_SET"}
)
_TOP_TYPES = TYPES - {"ITEM_VARIATION", "MODIFIER", "IMAGE", "ITEM_OPTION_VAL"}
_SCOPE = "ITEMS_READ"


def list_catalog(call: Call) -> Reply:
    """GET /v2/catalog/list: pages of 100, nothing deleted."""
    merchant = call.authorize(_SCOPE)
    types = _types([name.strip().upper() for name in call.query.get("types", "").split(",") if name.strip()])
    found = merchant.catalog.select(types)
    page, cursor = _page(
        call, found, digest([sorted(types), merchant.id]), call.query.get("cursor"), LIST_PAGE
    )
    return reply(_content({"objects": page, "cursor": cursor}))


def search_catalog(call: Call) -> Reply:
    """POST /v2/catalog/search: types, exclusive `begin_time`, deletions, simple queries."""
    merchant, body = call.authorize(_SCOPE), call.body()
    deleted = calls.flag(body, "include_deleted_objects")
    if deleted and calls.flag(body, "include_category_path_to_root"):
        detail = "include_deleted_objects and include_category_path_to_root cannot both be true."
        raise bad_request("CONFLICTING_PARAMETERS", detail)
    types = _types(calls.texts(body, "object_types", "object_types"))
    begin = calls.instant(body, "begin_time", "begin_time")
    query = calls.section(body, "query", "query")
    found = [
        obj for obj in merchant.catalog.select(types, deleted=deleted, after_us=begin) if _matches(obj, query)
    ]
    bound = digest([{k: v for k, v in body.items() if k not in ("cursor", "limit")}, merchant.id])
    limit = body.get("limit")
    size = limit if isinstance(limit, int) and 1 <= limit <= MAX_PAGE else LIST_PAGE
    page, cursor = _page(call, found, bound, calls.text(body, "cursor"), size)
    related = _related(merchant.catalog, page) if calls.flag(body, "include_related_objects") else []
    latest = format_us(call.now_us // 1000 * 1000)
    return reply(
        _content({"objects": page, "cursor": cursor, "related_objects": related, "latest_time": latest})
    )


def batch_retrieve_catalog(call: Call) -> Reply:
    """POST /v2/catalog/batch-retrieve: unknown ids left out, deleted ones only on request."""
    merchant, body = call.authorize(_SCOPE), call.body()
    ids = calls.texts(body, "object_ids", "object_ids", limit=MAX_IDS)
    if not ids:
        raise bad_request("MISSING_REQUIRED_PARAMETER", "At least 1 object id is needed.", "object_ids")
    deleted = calls.flag(body, "include_deleted_objects")
    found = [obj for wanted in ids if (obj := merchant.catalog.get(wanted)) is not None]
    kept = [obj for obj in found if deleted or not obj["is_deleted"]]
    related = _related(merchant.catalog, kept) if calls.flag(body, "include_related_objects") else []
    return reply(_content({"objects": kept, "related_objects": related}))


def retrieve_catalog_object(call: Call) -> Reply:
    """GET /v2/catalog/object/{id}."""
    merchant, wanted = call.authorize(_SCOPE), call.path["object_id"]
    obj = merchant.catalog.get(wanted)
    if obj is None or obj["is_deleted"]:
        raise not_found(f"Catalog object with id {wanted}", "object_id")
    related = _related(merchant.catalog, [obj]) if call.query.get("include_related_objects") == "true" else []
    return reply(_content({"object": obj, "related_objects": related}))


def catalog_info(call: Call) -> Reply:
    """GET /v2/catalog/info: the numeric limits."""
    call.authorize(_SCOPE)
    limits = {
        "batch_upsert_max_objects_per_batch": 1000,
        "batch_upsert_max_total_objects": 10000,
        "batch_retrieve_max_object_ids": MAX_IDS,
        "search_max_page_limit": MAX_PAGE,
        "batch_delete_max_object_ids": 200,
        "update_item_taxes_max_item_ids": 1000,
        "update_item_taxes_max_taxes_to_enable": 1000,
        "update_item_taxes_max_taxes_to_disable": 1000,
        "update_item_modifier_lists_max_item_ids": 1000,
        "update_item_modifier_lists_max_modifier_lists_to_enable": 1000,
        "update_item_modifier_lists_max_modifier_lists_to_disable": 1000,
    }
    return reply({"limits": limits})


def _types(names: list[str]) -> frozenset[str]:
    for name in names:
        if name not in TYPES:
            raise bad_request("INVALID_ENUM_VALUE", f"`{name}` is no catalog object type.", "types")
    return frozenset(names) or _TOP_TYPES


def _page(
    call: Call, found: list[Json], bound: str, cursor: str | None, size: int
) -> tuple[list[Json], str | None]:
    offset = unseal(cursor, bound, call.now_us).offset if cursor else 0
    page = found[offset : offset + size]
    more = offset + size < len(found)
    return page, seal(Position(bound, call.now_us, 0, None, offset + size)) if more else None


def _content(content: Json) -> Json:
    return {name: value for name, value in content.items() if value}


def _matches(obj: Json, query: Json) -> bool:
    data = obj.get(f"{obj['type'].lower()}_data", {})
    for kind, test in query.items():
        value = data.get(test.get("attribute_name", "name"))
        wanted = test.get("attribute_value")
        if kind == "exact_query" and str(value).lower() != str(wanted).lower():
            return False
        if kind == "set_query" and value not in test.get("attribute_values", []):
            return False
        prefix = str(test.get("attribute_prefix", "")).lower()
        if kind == "prefix_query" and not str(value or "").lower().startswith(prefix):
            return False
        words = [word.lower() for word in test.get("keywords", [])]
        if kind == "text_query" and not all(word in str(data).lower() for word in words):
            return False
    return True


def _related(book: CatalogBook, objects: list[Json]) -> list[Json]:
    present = {obj["id"] for obj in objects}
    wanted: list[str] = []
    for obj in objects:
        data = obj.get("item_data", {})
        wanted += [entry["id"] for entry in data.get("categories", [])]
        wanted += [entry["modifier_list_id"] for entry in data.get("modifier_list_info", [])]
        wanted += data.get("tax_ids", [])
        parent = book.parent(obj["id"])
        wanted += [parent["id"]] if parent else []
        for child in [obj, *nested_of(obj)]:
            unit = child.get("item_variation_data", {}).get("measurement_unit_id")
            wanted += [unit] if unit else []
    fresh = [object_id for object_id in dict.fromkeys(wanted) if object_id not in present]
    return [found for object_id in fresh if (found := book.get(object_id)) is not None]
