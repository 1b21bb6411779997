"""Answers about an account, and errors; those about orders and the catalog are in `domain`."""

import msgspec
from suppli_connector_kit.domain.parts import reader_of
from suppli_connector_kit.faults import Fault
from suppli_connector_kit.oauth import location_of
from suppli_contracts.internal import AccountLocation


class Problem(msgspec.Struct):
    """`errors[]`, or the flat body that OAuth endpoints sometimes answer with."""

    errors: list[Fault] | None = None
    type: str | None = None

    def fault(self) -> Fault | None:
        """Return the first error; None where this is not Square's API speaking."""
        if self.errors:
            return self.errors[0]
        return Fault(self.type) if self.type else None


class Merchant(msgspec.Struct):
    """The account."""

    id: str
    business_name: str | None = None


class Location(msgspec.Struct):
    """A place of business."""

    id: str
    name: str | None = None
    status: str | None = None
    timezone: str | None = None
    currency: str | None = None

    def account_location(self) -> AccountLocation:
        """Return it as people choose from; an inactive one may still have sales."""
        active = self.status != "INACTIVE"
        return location_of(self.id, self.name, self.timezone, self.currency, active=active)


read_merchant = reader_of("merchant", Merchant)
read_locations = reader_of("locations", list[Location])
