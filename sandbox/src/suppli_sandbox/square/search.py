"""SearchOrders: the query's checks, the merge over locations, and the page's bytes."""

from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, cast

import msgspec

from suppli_sandbox.serving import Reply
from suppli_sandbox.square import calls
from suppli_sandbox.square.calls import Call
from suppli_sandbox.square.cursors import Position, digest, seal, unseal
from suppli_sandbox.square.errors import SquareError, bad_request
from suppli_sandbox.square.orders import Key, SortField, StoredOrder
from suppli_sandbox.square.world import Merchant

Json = dict[str, Any]

DEFAULT_LIMIT, MAX_LIMIT, MAX_LOCATIONS, MAX_FILTER_VALUES = 500, 1000, 10, 10
_STATES = frozenset({"OPEN", "COMPLETED", "CANCELED", "DRAFT"})
_CLOSED = frozenset({"COMPLETED", "CANCELED"})
_SORT_OF: dict[str, SortField] = {
    "created_at": "CREATED_AT",
    "updated_at": "UPDATED_AT",
    "closed_at": "CLOSED_AT",
}
_BODY = frozenset({"location_ids", "query", "limit", "cursor", "return_entries"})
_FILTERS = frozenset(
    {"state_filter", "date_time_filter", "source_filter", "customer_filter", "fulfillment_filter"}
)


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """A checked query, without its cursor."""

    locations: tuple[str, ...]
    states: frozenset[str]
    start_us: int | None
    end_us: int | None
    sort: SortField
    descending: bool
    sources: frozenset[str]
    customers: frozenset[str]
    fulfillment_types: frozenset[str]
    fulfillment_states: frozenset[str]

    def accepts(self, order: StoredOrder) -> bool:
        """Whether an order passes the filters that its sort key does not answer."""
        if self.states and order.state not in self.states:
            return False
        if not (self.sources or self.customers or self.fulfillment_types or self.fulfillment_states):
            return True
        data = order.decoded()
        if self.sources and data.get("source", {}).get("name") not in self.sources:
            return False
        if self.customers and data.get("customer_id") not in self.customers:
            return False
        fulfillments = data.get("fulfillments", [])
        types = not self.fulfillment_types or any(f["type"] in self.fulfillment_types for f in fulfillments)
        states = not self.fulfillment_states or any(
            f["state"] in self.fulfillment_states for f in fulfillments
        )
        return types and states


def search_orders(call: Call) -> Reply:
    """POST /v2/orders/search."""
    merchant = call.authorize("ORDERS_READ")
    body = call.body()
    calls.only_known(body, _BODY)
    query = read_query(body, merchant)
    limit, entries = _limit(body), calls.flag(body, "return_entries")
    bound = digest([{k: v for k, v in body.items() if k not in ("cursor", "limit")}, merchant.id])
    cursor = calls.text(body, "cursor")
    position = unseal(cursor, bound, call.now_us) if cursor else Position(bound, call.now_us, 0)
    if not cursor:
        position.end_us = query.end_us if query.end_us is not None else call.now_us
    orders, following = _page(merchant, query, position, limit)
    if following is not None:
        following.issued_us = call.now_us
    return Reply(_encode(orders, None if following is None else seal(following), entries=entries))


def read_query(body: Json, merchant: Merchant) -> OrderQuery:
    """Check a SearchOrders body. Raises 400 with the dotted field, 403 for another merchant's location."""
    locations = _locations(body, merchant)
    query = calls.section(body, "query", "query")
    calls.only_known(query, frozenset({"filter", "sort"}), "query.")
    filters = calls.section(query, "filter", "query.filter")
    calls.only_known(filters, _FILTERS, "query.filter.")
    states = _states(filters)
    field, start_us, end_us = _window(filters)
    sort, descending = _sort(query, field, states)

    def values(part: str, name: str) -> frozenset[str]:
        path = f"query.filter.{part}"
        found = calls.texts(
            calls.section(filters, part, path), name, f"{path}.{name}", limit=MAX_FILTER_VALUES
        )
        return frozenset(found)

    return OrderQuery(
        locations=tuple(locations),
        states=states,
        start_us=start_us,
        end_us=end_us,
        sort=sort,
        descending=descending,
        sources=values("source_filter", "source_names"),
        customers=values("customer_filter", "customer_ids"),
        fulfillment_types=values("fulfillment_filter", "fulfillment_types"),
        fulfillment_states=values("fulfillment_filter", "fulfillment_states"),
    )


def _locations(body: Json, merchant: Merchant) -> list[str]:
    locations = calls.texts(body, "location_ids", "location_ids", limit=MAX_LOCATIONS)
    if not locations:
        raise bad_request(
            "MISSING_REQUIRED_PARAMETER", "Must provide at least 1 location_id.", "location_ids"
        )
    unknown = [place for place in locations if place not in merchant.locations]
    if unknown:
        detail = f"The merchant is not authorized for location(s): {', '.join(unknown)}."
        raise SquareError(403, "FORBIDDEN", detail, "location_ids")
    return list(dict.fromkeys(locations))


def _states(filters: Json) -> frozenset[str]:
    path = "query.filter.state_filter"
    states = calls.texts(calls.section(filters, "state_filter", path), "states", f"{path}.states")
    for index, state in enumerate(states):
        if state not in _STATES:
            detail = f"`{state}` is not a valid enum value for `{path}.states[{index}]`."
            raise bad_request("INVALID_ENUM_VALUE", detail, f"{path}.states[{index}]")
    return frozenset(states)


def _window(filters: Json) -> tuple[str | None, int | None, int | None]:
    path = "query.filter.date_time_filter"
    times = calls.section(filters, "date_time_filter", path)
    calls.only_known(times, frozenset(_SORT_OF), path + ".")
    if not times:
        return None, None, None
    if len(times) > 1:
        detail = "Only one of created_at, updated_at and closed_at may be filtered."
        raise bad_request("CONFLICTING_PARAMETERS", detail, path)
    field = next(iter(times))
    span = calls.section(times, field, f"{path}.{field}")
    start = calls.instant(span, "start_at", f"{path}.{field}.start_at")
    end = calls.instant(span, "end_at", f"{path}.{field}.end_at")
    if start is not None and end is not None and end < start:
        raise bad_request("INVALID_TIME_RANGE", "end_at is before start_at.", f"{path}.{field}")
    return field, start, end


def _sort(query: Json, field: str | None, states: frozenset[str]) -> tuple[SortField, bool]:
    sort = calls.section(query, "sort", "query.sort")
    name = calls.text(sort, "sort_field", "query.sort.sort_field") or "CREATED_AT"
    order = calls.text(sort, "sort_order", "query.sort.sort_order") or "DESC"
    if name not in _SORT_OF.values():
        raise bad_request("INVALID_ENUM_VALUE", f"`{name}` is no sort field.", "query.sort.sort_field")
    if order not in ("ASC", "DESC"):
        raise bad_request("INVALID_SORT_ORDER", f"`{order}` is no sort order.", "query.sort.sort_order")
    if field is not None and _SORT_OF[field] != name:
        detail = f"sort_field must be {_SORT_OF[field]} when filtering by {field}."
        raise bad_request("BAD_REQUEST", detail, "query.sort.sort_field")
    if name == "CLOSED_AT" and not (states and states <= _CLOSED):
        detail = "Sorting by CLOSED_AT needs a state_filter with only COMPLETED and CANCELED."
        raise bad_request("BAD_REQUEST", detail, "query.filter.state_filter")
    return cast(SortField, name), order == "DESC"


def _limit(body: Json) -> int:
    limit = body.get("limit", DEFAULT_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise bad_request("EXPECTED_INTEGER", "Expected an integer for `limit`.", "limit")
    if limit > MAX_LIMIT:
        raise bad_request("VALUE_TOO_HIGH", f"`limit` must be at most {MAX_LIMIT}.", "limit")
    if limit < 1:
        raise bad_request("VALUE_TOO_LOW", "`limit` must be at least 1.", "limit")
    return limit


def _page(
    merchant: Merchant, query: OrderQuery, position: Position, limit: int
) -> tuple[list[StoredOrder], Position | None]:
    book, span = merchant.orders, (query.start_us, position.end_us)
    walks = [
        book.scan(place, query.sort, span, after=position.after, descending=query.descending)
        for place in query.locations
    ]
    keys = walks[0] if len(walks) == 1 else merge(*walks, reverse=query.descending)
    found = (order for key in keys if (order := book.get(key[1])) is not None and query.accepts(order))
    orders = list(islice(found, position.offset, position.offset + limit + 1))
    if len(orders) <= limit:
        return orders, None
    orders.pop()
    if merchant.cursor_mode == "offset":
        return orders, Position(position.query, 0, position.end_us, None, position.offset + limit)
    last = cast(Key, orders[-1].key(query.sort))
    return orders, Position(position.query, 0, position.end_us, last)


def _encode(orders: list[StoredOrder], cursor: str | None, *, entries: bool) -> bytes:
    parts = []
    if entries and orders:
        parts.append(b'"order_entries":' + msgspec.json.encode([_entry(order) for order in orders]))
    elif orders:
        parts.append(b'"orders":[' + b",".join([order.encoded() for order in orders]) + b"]")
    if cursor is not None:
        parts.append(b'"cursor":' + msgspec.json.encode(cursor))
    return b"{" + b",".join(parts) + b"}"


def _entry(order: StoredOrder) -> Json:
    entry: Json = {"order_id": order.id, "location_id": order.location_id}
    version = order.template.version if order.template else order.decoded().get("version")
    return entry if version is None else entry | {"version": version}
