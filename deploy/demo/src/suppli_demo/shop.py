"""What a person does through the public API: connect, choose, start, sync, map, look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx

T = TypeVar("T")
Json = dict[str, Any]


class Refused(Exception):
    """The API answered with a problem."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(
            f"{answer.request.method} {answer.request.url.path} -> {answer.status_code}: {answer.text}"
        )
        self.status = answer.status_code
        body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        self.type: str = str(body.get("type", "")).rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Tie:
    """An external location, the Suppli location it is tied to, and how its day is told."""

    external: str
    suppli: str
    timezone: str
    day_cutoff: str = "00:00"


class Shop:
    """One signed-in person of one tenant, in one browser (cookies are kept)."""

    def __init__(self, gateway_url: str, token: str, tenant: UUID) -> None:
        self.tenant = tenant
        self.client = httpx.Client(
            base_url=gateway_url,
            headers={"Authorization": f"Bearer {token}", "Suppli-Tenant": str(tenant)},
            timeout=30,
        )

    def call(self, method: str, path: str, **arguments: Any) -> Json:
        """Call the API and return the JSON answer.

        Raises:
            Refused: the answer is a problem.
        """
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        answer = self.client.request(
            method, path, headers=headers | arguments.pop("headers", {}), **arguments
        )
        if answer.is_error:
            raise Refused(answer)
        body: Json = answer.json() if answer.content else {}
        return body

    def pages(self, path: str, **params: Any) -> Iterator[Json]:
        """Walk a list through its cursors."""
        cursor: str | None = None
        while True:
            page = self.call(
                "GET", path, params={**params, "limit": 200, **({"cursor": cursor} if cursor else {})}
            )
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    # --- connecting ---------------------------------------------------------------------------

    def begin(
        self,
        provider: str = "square",
        environment: str = "sandbox",
        *,
        credentials: Mapping[str, str] | None = None,
    ) -> Json:
        """Start a connection; the answer has the consent page, or with `credentials` the account."""
        body: Json = {"provider": provider, "environment": environment}
        if credentials is not None:
            body["credentials"] = dict(credentials)
        return self.call("POST", "/v1/connections", json=body)

    def consent(self, authorize_url: str, merchant: str, *, allow: bool = True) -> httpx.Response:
        """Press Allow (or Deny) on the provider's page as `merchant` and follow the redirect back to us."""
        page = httpx.URL(authorize_url)
        choice = {"auto": "allow" if allow else "deny", "merchant": merchant}
        back = httpx.get(page, params={**page.params, **choice}, timeout=30)
        # A browser's address of the gateway need not be ours: only what follows the host is taken from it.
        callback = httpx.URL(back.headers["location"]).raw_path.decode()
        return self.client.get(callback, headers={"Authorization": ""})

    def connect(self, merchant: str, provider: str = "square") -> Json:
        """Connect an account by the real redirects; return the connection and whether it was revived."""
        answer = self.consent(self.begin(provider)["authorize_url"], merchant)
        if answer.is_error:
            raise Refused(answer)
        body: Json = answer.json()
        return body

    def tie(self, connection: str, ties: list[Tie], *, schedule: Json | None = None) -> Json:
        """Choose locations, tie them to Suppli's, and confirm zone and cut-off."""
        body: Json = {
            "locations": [
                {
                    "location_id": tie.external,
                    "chosen": True,
                    "suppli_location_id": tie.suppli,
                    "timezone": tie.timezone,
                    "day_cutoff": tie.day_cutoff,
                }
                for tie in ties
            ]
        }
        return self.call(
            "PATCH", f"/v1/connections/{connection}", json=body | ({"schedule": schedule} if schedule else {})
        )

    def start(self, connection: str, start_date: date, schedule: Json | None = None) -> Json:
        """Confirm the start date and begin the first import."""
        body = {"start_date": start_date.isoformat(), "schedule": schedule or {"kind": "manual"}}
        return self.call("POST", f"/v1/connections/{connection}/start", json=body)

    def sync(self, connection: str) -> Json:
        """Sync now."""
        return self.call("POST", f"/v1/connections/{connection}/sync")

    def run(self, run_id: str) -> Json | None:
        """Return a run, None for the moment in which the gateway has not heard of it."""
        try:
            return self.call("GET", f"/v1/runs/{run_id}")
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def runs(self, connection: str) -> list[Json]:
        """Return the runs, newest first."""
        return list(self.pages(f"/v1/connections/{connection}/runs"))

    def days(self, connection: str, first: date) -> list[Json]:
        """Return where each business day's money went, from `first` on; asked for a year at a time."""
        days: list[Json] = []
        while True:
            last = first + timedelta(days=365)
            span = {"from": first.isoformat(), "to": last.isoformat()}
            days += self.call("GET", f"/v1/connections/{connection}/days", params=span)["items"]
            if last > datetime.now(UTC).date():  # by a day at least: tomorrow has begun in some places
                return days
            first = last + timedelta(days=1)

    def wait_for_runs(self, connection: str, *, at_least: int = 1, seconds: float = 60) -> list[Json]:
        """Return the runs once there are `at_least` and none is queued or running."""

        def settled() -> list[Json] | None:
            runs = self.runs(connection)
            busy = [run for run in runs if run["state"] in {"queued", "running"}]
            return runs if len(runs) >= at_least and not busy else None

        return wait_for(settled, f"the runs of connection {connection}", seconds)

    # --- files --------------------------------------------------------------------------------

    def upload(self, content: bytes, name: str) -> Json:
        """Upload a file; return it once it was looked at."""
        sent = self.call("POST", "/v1/uploads", content=content, params={"file_name": name})
        return self.uploaded(sent["upload_id"], "asking", "refused")

    def uploaded(self, upload_id: str, *states: str, seconds: float = 60) -> Json:
        """Return a file once it stands so."""

        def stands() -> Json | None:
            found = self.call("GET", f"/v1/uploads/{upload_id}")
            return found if found["state"] in states else None

        return wait_for(stands, f"upload {upload_id} to be {' or '.join(states)}", seconds)

    def plan_upload(
        self, upload_id: str, answers: Mapping[str, str], till: Json, *, seconds: float = 60
    ) -> Json:
        """Confirm how a file is read and whose sales they are; return it with its totals."""
        body = {"answers": dict(answers), "till": till}
        self.call("PUT", f"/v1/uploads/{upload_id}/plan", json=body)
        return self.uploaded(upload_id, "ready", "refused", seconds=seconds)

    def import_upload(self, upload_id: str, *, seconds: float = 60) -> Json:
        """Import a file that is ready; return it when its run has ended."""
        self.call("POST", f"/v1/uploads/{upload_id}/import")
        ends = ("imported", "cancelled", "failed", "refused")
        return self.uploaded(upload_id, *ends, seconds=seconds)

    def undo_upload(self, upload_id: str) -> Json:
        """Take an import back; return the file when that is done."""
        self.call("POST", f"/v1/uploads/{upload_id}/undo")
        return self.uploaded(upload_id, "undone", "imported", "failed")

    # --- mapping ------------------------------------------------------------------------------

    def items(self, connection: str, state: str | None = None) -> list[Json]:
        """Return the external items, those of one state where given."""
        params = {"connection_id": connection} | ({"state": state} if state else {})
        return list(self.pages("/v1/items", **params))

    def map(self, item: str, product: str, *, factor: str = "1", from_date: date | None = None) -> Json:
        """Say which product an item is."""
        body: Json = {"state": "mapped", "targets": [{"product_id": product, "factor": factor}]}
        if from_date:
            body["from_date"] = from_date.isoformat()
        return self.call("PUT", f"/v1/items/{item}/mapping", json=body)

    def map_when_known(self, item: str, product: str, *, from_date: date | None = None) -> None:
        """Map; a product imported this second may still be on its way to the mapping service."""

        def tried() -> bool | None:
            try:
                self.map(item, product, from_date=from_date)
            except Refused as refused:
                if refused.type == "invalid-mapping" and product in str(refused):
                    return None
                raise
            return True

        wait_for(tried, f"product {product} in the mapping service")

    def ignore(self, item: str) -> Json:
        """Say that an item is none of Suppli's business."""
        return self.call("PUT", f"/v1/items/{item}/mapping", json={"state": "ignored"})

    def import_products(self, products: list[Json]) -> Json:
        """Import products: id, name, sku, barcode, unit."""
        return self.call("POST", "/v1/products/import", json={"products": products})

    def put_location(self, location: str, name: str, timezone: str, *, restock_unknown: bool = False) -> Json:
        """Create or change a Suppli location."""
        body = {"name": name, "timezone": timezone, "restock_unknown": restock_unknown}
        return self.call("PUT", f"/v1/locations/{location}", json=body)


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """Return the first result of `probe` that is not None.

    Raises:
        TimeoutError: there was none in time; says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (result := probe()) is not None:
            return result
        time.sleep(0.1)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")
