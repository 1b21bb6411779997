"""Getting in: consent, a pair that is spent once, the merchant that is the location, and its items."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from suppli_connector_clover.connector import CloverConnector
from suppli_connector_kit.errors import AuthError, CodeRefused
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.internal import AuthorizeRequest
from suppli_sandbox.clover.client import CloverControl

from .conftest import APPLICATION, CALLBACK, MERCHANT, HeldSession


async def consent(connector: CloverConnector) -> dict[str, list[str]]:
    request = AuthorizeRequest(state="s1", redirect_uri=CALLBACK, environment="production")
    url = await connector.authorize_url(APPLICATION, request)
    async with httpx.AsyncClient(trust_env=False) as web:
        away = await web.get(f"{url}&auto=allow&merchant={MERCHANT}")
    return parse_qs(urlsplit(away.headers["location"]).query)


async def test_a_code_gives_a_pair_and_its_refresh_token_works_once(
    control: CloverControl, connector: CloverConnector
) -> None:
    """A pair that is not kept in time is lost: the owner would have to come back."""
    back = await consent(connector)
    assert (back["state"], back["merchant_id"]) == (["s1"], [MERCHANT])
    asked = {"code": back["code"][0], "redirect_uri": CALLBACK, "environment": "production"}
    tokens = await connector.exchange(APPLICATION, **asked)
    assert tokens.expires_at is not None
    assert tokens.refresh_expires_at is not None
    assert tokens.refresh_expires_at > tokens.expires_at
    tokens = replace(tokens, account_id=MERCHANT)
    account = await connector.account(HeldSession(connector, APPLICATION, tokens))
    assert (account.account_id, account.name) == (MERCHANT, "Bakery")
    (place,) = account.locations
    assert (place.location_id, place.timezone, place.currency) == (MERCHANT, "America/New_York", "USD")
    renewed = await connector.refresh(APPLICATION, tokens)
    assert (renewed.account_id, renewed.refresh_token != tokens.refresh_token) == (MERCHANT, True)
    with pytest.raises(AuthError):
        await connector.refresh(APPLICATION, tokens)
    with pytest.raises(CodeRefused):
        await connector.exchange(APPLICATION, **asked)


async def test_the_whole_inventory_becomes_external_items(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """Sales would find no product by SKU, barcode or category."""
    control.put_inventory(MERCHANT, "items", [])
    pages = [page async for page in connector.catalog(session, None)]
    assert [page.last for page in pages] == [False, False, True]
    assert pages[-1].complete
    items = {item.name: item for page in pages for item in page.items}
    assert (items["Latte"].sku, items["Latte"].category, items["Latte"].unit) == ("LAT-450", "Coffee", None)
    assert items["House Beans"].unit == "lb"
    assert items["Oat milk"].kind is ItemKind.MODIFIER
