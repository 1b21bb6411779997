"""Where the tour's sales are made: an account at each provider, filled from an export of sales; and a till of
which there is nothing but the export.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from suppli_sandbox.client import LocationSpec, MerchantSpec, SandboxControl
from suppli_sandbox.clover.client import CloverControl, CloverMerchantSpec

from suppli_demo.shop import Json, Shop

_PATIENCE = 600.0  # seconds for a file of years on a busy machine


class Till(Protocol):
    """A provider's account of one shop."""

    @property
    def provider(self) -> str:
        """Its short name."""

    @property
    def title(self) -> str:
        """Its name for people."""

    @property
    def shop(self) -> str:
        """What the shop is called."""

    @property
    def keeps_voids(self) -> bool:
        """Whether the provider still shows what was taken off a ticket."""

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


@dataclass(slots=True)
class FileTill:
    """A till that nothing can connect: its export is uploaded."""

    shop: str
    content: bytes = field(default=b"", repr=False)
    provider: ClassVar[str] = "upload"
    title: ClassVar[str] = "A file"
    keeps_voids: ClassVar[bool] = True

    def sell(self, sales: bytes, zone: str) -> Json:
        """Keep the export; see `Till`."""
        self.content = gzip.decompress(sales) if sales.startswith(b"\x1f\x8b") else sales
        rows = list(csv.DictReader(io.StringIO(self.content.decode("utf-8-sig"), newline="")))
        return {
            "orders": len({row["Transaction ID"] for row in rows}),
            "locations": [],
            "first_at": min(row["Date"] for row in rows),
        }

    def connect(self, shop: Shop) -> Json:
        """Raise: nothing of it can be connected."""
        raise TypeError("a file is uploaded, not connected")

    def upload(self, shop: Shop, location: str, zone: str) -> Json:
        """Upload the export, confirm what it cannot say, and have it imported; return the file.

        Raises:
            RuntimeError: it was refused, or its import failed; says why.
        """
        asked = shop.upload(self.content, "items.csv")
        answers = {"timezone": zone, "day_cutoff": "00:00", "currency": "USD", "prices_include_tax": "no"}
        till = {"suppli_location_id": location}
        ready = shop.plan_upload(asked["upload_id"], answers, till, seconds=_PATIENCE)
        if ready["state"] != "ready":
            raise RuntimeError(f"the file was {ready['state']}: {ready['problem']}")
        done = shop.import_upload(asked["upload_id"], seconds=_PATIENCE)
        if done["state"] != "imported":
            raise RuntimeError(f"the import of the file ended as {done['state']}: {done['problem']}")
        return done
