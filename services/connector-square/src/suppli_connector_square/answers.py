"""Square's answers about an account; those about orders and the catalog are in `domain`."""

from __future__ import annotations

import msgspec
from suppli_connector_kit.domain.instants import instant
from suppli_connector_kit.protocol import Tokens
from suppli_contracts.internal import AccountLocation


class TokenAnswer(msgspec.Struct):
    """ObtainToken."""

    access_token: str
    merchant_id: str
    refresh_token: str | None = None
    expires_at: str | None = None

    def tokens(self) -> Tokens:
        """Return them as the kit keeps them."""
        return Tokens(
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            expires_at=instant(self.expires_at) if self.expires_at else None,
            account_id=self.merchant_id,
        )


class Merchant(msgspec.Struct):
    """The account."""

    id: str
    business_name: str | None = None


class MerchantAnswer(msgspec.Struct):
    """RetrieveMerchant."""

    merchant: Merchant


class Location(msgspec.Struct):
    """A place of business."""

    id: str
    name: str | None = None
    status: str | None = None
    timezone: str | None = None
    currency: str | None = None

    def account_location(self) -> AccountLocation:
        """Return it as people choose from; an inactive one may still have sales."""
        return AccountLocation(
            location_id=self.id,
            name=self.name or self.id,
            timezone=self.timezone,
            currency=self.currency,
            active=self.status != "INACTIVE",
        )


class LocationsAnswer(msgspec.Struct):
    """ListLocations."""

    locations: list[Location] | None = None


read_tokens = msgspec.json.Decoder(TokenAnswer).decode
read_merchant = msgspec.json.Decoder(MerchantAnswer).decode
read_locations = msgspec.json.Decoder(LocationsAnswer).decode
read_anything = msgspec.json.Decoder().decode
