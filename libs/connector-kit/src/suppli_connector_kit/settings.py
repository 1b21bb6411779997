"""What an operator may change of any connector; a connector's own settings subclass this."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import Field
from suppli_contracts.internal import Manifest
from suppli_service_kit.retry import RetryPolicy
from suppli_service_kit.settings import Environment, MissingSetting, ServiceSettings

from suppli_connector_kit.adapters.hold import LeaseTimes
from suppli_connector_kit.client import Budget
from suppli_connector_kit.domain.circuit import CircuitTimes
from suppli_connector_kit.domain.pacing import Pace
from suppli_connector_kit.engine.ports import Limits


class RefusedSetting(MissingSetting):
    """A setting that production does not accept."""


class ConnectorSettings(ServiceSettings):
    """Settings of a connector: set `env_prefix` and the provider's `base_url` in the subclass."""

    base_url: str = Field(..., description="Address of the provider's API.")
    web_url: str | None = Field(
        None, description="Address where people sign in, if that is not where the API is."
    )
    page_size: int | None = Field(
        None, ge=1, description="Orders a page, at most as many as the provider gives, which is the default."
    )
    workers: int = Field(4, ge=1, le=32, description="Runs that this process does at once.")
    walks: int = Field(
        3,
        ge=1,
        le=32,
        description="Location groups read at once, over all runs of the process; each holds two pages.",
    )
    lease_seconds: float = Field(30, gt=1, description="How long a run's lease lasts without renewal (s).")
    renew_seconds: float = Field(8, gt=0.1, description="How often the lease is renewed (s).")
    publish_seconds: float = Field(
        10, gt=0, description="How long publishing a page may take (s); less than the lease."
    )
    safety_lag_seconds: float = Field(
        2, ge=0, description="How far coverage stays behind the provider's clock (s)."
    )
    overlap_seconds: float = Field(
        600, ge=0, description="How far every run goes back over what is covered (s)."
    )
    bulk_backlog: int = Field(
        5_000,
        ge=0,
        description="Backfills and other long runs wait while readers are further behind"
        " than so many records.",
    )
    requests_per_second: float = Field(
        10, gt=0, description="Calls a second for one account, of all replicas together."
    )
    request_burst: float = Field(
        20, ge=1, description="Calls for one account at once, after a pause, of all replicas together."
    )
    replicas: int = Field(
        2,
        ge=1,
        description="Processes of this connector at most: calls that the provider allows at once are divided"
        " among them.",
    )
    attempts: int = Field(4, ge=1, le=10, description="Attempts of one call, the first included.")
    retry_base_seconds: float = Field(
        0.5, gt=0, description="Longest wait before the second attempt (s); doubles."
    )
    retry_cap_seconds: float = Field(
        30, gt=0, description="Longest wait between attempts of one call (s), also where more is asked for."
    )

    circuit_failures: int = Field(
        8,
        ge=2,
        description="Failed attempts in a row after which an account's provider is not asked for a while.",
    )
    circuit_seconds: float = Field(
        5, gt=0, description="For how long it is not asked (s); doubles while it goes on failing."
    )
    circuit_cap_seconds: float = Field(300, gt=0, description="For how long at most (s).")

    def budget(self, manifest: Manifest | None = None) -> Budget:
        """Return how fast and how often the provider is asked.

        Args:
            manifest: the provider's, which may state limits of calls at once, and of all accounts together.
        """
        at_once = manifest.requests_in_flight if manifest is not None else None
        all_at_once = manifest.application_requests_in_flight if manifest is not None else None
        rate = manifest.application_requests_per_second if manifest is not None else None
        return Budget(
            self.requests_per_second,
            self.request_burst,
            RetryPolicy(self.attempts, self.retry_base_seconds, self.retry_cap_seconds),
            CircuitTimes(self.circuit_failures, self.circuit_seconds, self.circuit_cap_seconds),
            application=None if rate is None else Pace(rate, rate),
            in_flight=self._part(at_once),
            application_in_flight=self._part(all_at_once),
        )

    def _part(self, calls: int | None) -> int | None:
        return None if calls is None else max(1, calls // self.replicas)

    def headers(self) -> dict[str, str] | None:
        """Return what is sent with every call in place of what the connector says; None: that."""
        return None

    def limits(self) -> Limits:
        """Return the engine's settings."""
        return Limits(
            safety_lag=timedelta(seconds=self.safety_lag_seconds),
            overlap=timedelta(seconds=self.overlap_seconds),
            publish_seconds=self.publish_seconds,
            walks=self.walks,
            bulk_backlog=self.bulk_backlog,
        )

    def lease_times(self) -> LeaseTimes:
        """Return how long leases last."""
        return LeaseTimes(lease=self.lease_seconds, renew=self.renew_seconds)

    def check(self, manifest: Manifest) -> None:
        """Refuse settings that cannot work, and in production a provider's address outside its own hosts.

        Raises:
            RefusedSetting: says which setting and why.
        """
        if self.publish_seconds + self.renew_seconds >= self.lease_seconds:
            raise RefusedSetting("lease_seconds must be more than publish_seconds and renew_seconds together")
        if self.page_size is not None and self.page_size > manifest.page_size:
            raise RefusedSetting(f"page_size is more than {manifest.name} gives: {manifest.page_size}")
        address = urlsplit(self.base_url)
        safe = address.scheme == "https" and address.hostname in manifest.account_hosts
        if self.environment is Environment.PRODUCTION and not safe:
            hosts = ", ".join(manifest.account_hosts) or "none"
            raise RefusedSetting(
                f"base_url {address.scheme}://{address.hostname} is refused in production; "
                f"https with one of these hosts is accepted: {hosts}"
            )
