"""Which method and path is which operation."""

import re
from dataclasses import dataclass

from suppli_sandbox.square import api, oauth, payments, search
from suppli_sandbox.square import catalog_api as catalog
from suppli_sandbox.square.calls import Handler

CATALOG = "/v2/catalog"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API, by the name that faults and counters use."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def _route(operation: str, method: str, path: str, handler: Handler) -> Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(operation, method, re.compile(pattern), handler)


ROUTES = (
    _route("Authorize", "GET", "/oauth2/authorize", oauth.authorize),
    _route("Authorize", "POST", "/oauth2/authorize", oauth.decide),
    _route("ObtainToken", "POST", "/oauth2/token", oauth.obtain_token),
    _route("RevokeToken", "POST", "/oauth2/revoke", oauth.revoke_token),
    _route("RetrieveTokenStatus", "POST", "/oauth2/token/status", oauth.token_status),
    _route("ListLocations", "GET", "/v2/locations", api.list_locations),
    _route("RetrieveLocation", "GET", "/v2/locations/{location_id}", api.retrieve_location),
    _route("ListMerchants", "GET", "/v2/merchants", api.list_merchants),
    _route("RetrieveMerchant", "GET", "/v2/merchants/{merchant_id}", api.retrieve_merchant),
    _route("SearchOrders", "POST", "/v2/orders/search", search.search_orders),
    _route("BatchRetrieveOrders", "POST", "/v2/orders/batch-retrieve", api.batch_retrieve_orders),
    _route("ListCatalog", "GET", CATALOG + "/list", catalog.list_catalog),
    _route("SearchCatalogObjects", "POST", CATALOG + "/search", catalog.search_catalog),
    _route(
        "BatchRetrieveCatalogObjects",
        "POST",
        CATALOG + "/batch-retrieve",
        catalog.batch_retrieve_catalog,
    ),
    _route("RetrieveCatalogObject", "GET", CATALOG + "/object/{object_id}", catalog.retrieve_catalog_object),
    _route("CatalogInfo", "GET", CATALOG + "/info", catalog.catalog_info),
    _route("ListPayments", "GET", "/v2/payments", payments.list_payments),
    _route("GetPayment", "GET", "/v2/payments/{payment_id}", payments.get_payment),
    _route("ListPaymentRefunds", "GET", "/v2/refunds", payments.list_refunds),
    _route("GetPaymentRefund", "GET", "/v2/refunds/{refund_id}", payments.get_refund),
    _route("RetrieveOrder", "GET", "/v2/orders/{order_id}", api.retrieve_order),
)


def find_route(method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
    """Return the route, its path parameters, and whether the path exists with another method."""
    other_method = False
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is None:
            continue
        if route.method == method:
            return route, match.groupdict(), True
        other_method = True
    return None, {}, other_method
