"""Where the tour's sales are made: an account at each provider, filled from an export of sales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from suppli_sandbox.client import LocationSpec, MerchantSpec, SandboxControl
from suppli_sandbox.clover.client import CloverControl, CloverMerchantSpec

from suppli_demo.shop import Json, Shop


class Till(Protocol):
    """A provider's account of one shop.

    Attributes:
        provider: its short name, and `title` as people know it.
        shop: what the shop is called.
        keeps_voids: whether the provider still shows what was taken off a ticket.
    """

    @property
    def provider(self) -> str: ...  # noqa: D102

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def shop(self) -> str: ...  # noqa: D102

    @property
    def keeps_voids(self) -> bool: ...  # noqa: D102

    def sell(self, sales: bytes, zone: str) -> Json:
        """Make the sales of an "Items detail" export there, in a time zone.

        Return how many `orders` they are, at which `locations`, and `first_at`.
        """

    def connect(self, shop: Shop) -> Json:
        """Connect the account by the provider's redirects; return the connection."""


@dataclass(frozen=True, slots=True)
class SquareTill:
    """A merchant at the local Square."""

    control: SandboxControl
    account: str
    shop: str
    provider: ClassVar[str] = "square"
    title: ClassVar[str] = "Square"
    keeps_voids: ClassVar[bool] = True

    def sell(self, sales: bytes, zone: str) -> Json:
        """Make the sales; see `Till`."""
        place = LocationSpec(id=self.account.removeprefix("M"), name=self.shop, timezone=zone)
        self.control.create_merchant(MerchantSpec(id=self.account, name=self.shop, locations=(place,)))
        return self.control.upload_csv(self.account, sales)

    def connect(self, shop: Shop) -> Json:
        """Connect; see `Till`."""
        connected: Json = shop.connect(self.account, self.provider)["connection"]
        return connected


@dataclass(frozen=True, slots=True)
class CloverTill:
    """A merchant at the local Clover: one place of business."""

    control: CloverControl
    account: str
    shop: str
    provider: ClassVar[str] = "clover"
    title: ClassVar[str] = "Clover"
    keeps_voids: ClassVar[bool] = False  # a line that was taken off is in no order

    def sell(self, sales: bytes, zone: str) -> Json:
        """Make the sales; see `Till`."""
        self.control.create_merchant(CloverMerchantSpec(id=self.account, name=self.shop, timezone=zone))
        return self.control.upload_csv(self.account, sales)

    def connect(self, shop: Shop) -> Json:
        """Connect; see `Till`."""
        connected: Json = shop.connect(self.account, self.provider)["connection"]
        return connected
