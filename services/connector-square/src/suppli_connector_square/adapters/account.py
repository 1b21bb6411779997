"""The account and its locations."""

from __future__ import annotations

import msgspec
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.protocol import Session
from suppli_contracts.internal import Account, AccountLocation


class _Location(msgspec.Struct):
    id: str
    name: str | None = None
    status: str | None = None
    timezone: str | None = None
    currency: str | None = None


class _Locations(msgspec.Struct):
    locations: list[_Location] | None = None


class _Merchant(msgspec.Struct):
    id: str
    business_name: str | None = None


class _MerchantAnswer(msgspec.Struct):
    merchant: _Merchant


_LOCATIONS = msgspec.json.Decoder(_Locations)
_MERCHANT = msgspec.json.Decoder(_MerchantAnswer)


async def account(client: ProviderClient, session: Session) -> Account:
    """Return the account that the token stands for, inactive locations included."""
    answer, _ = await client.ask(session, "GET", "/v2/merchants/me", _MERCHANT.decode)
    places, _ = await client.ask(session, "GET", "/v2/locations", _LOCATIONS.decode)
    return Account(
        account_id=answer.merchant.id,
        name=answer.merchant.business_name or answer.merchant.id,
        environment=session.environment,
        locations=tuple(
            AccountLocation(
                location_id=place.id,
                name=place.name or place.id,
                timezone=place.timezone,
                currency=place.currency,
                active=place.status != "INACTIVE",
            )
            for place in places.locations or ()
        ),
    )
