"""Settings of the sync-scheduler, read once from `SUPPLI_SYNC_SCHEDULER_*`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from suppli_service_kit.settings import ServiceSettings

from suppli_sync_scheduler.domain.policy import Policy
from suppli_sync_scheduler.domain.retry import RetryPolicy


class Settings(ServiceSettings):
    """What an operator may change; times are seconds of the service's clock."""

    model_config = SettingsConfigDict(
        env_prefix="SUPPLI_SYNC_SCHEDULER_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    providers: str = Field(
        pattern=r"^[a-z0-9-]+(,[a-z0-9-]+)*$",
        description="Providers with a command topic, comma-separated; others are dead-lettered.",
    )
    poll_seconds: float = Field(0.5, gt=0, description="How often due times are looked for (s, real time).")
    daily_jitter_seconds: float = Field(
        60, ge=0, le=3600, description="How far the same local time of many connections is spread (s)."
    )
    late_after_seconds: float = Field(
        60, gt=0, description="After a downtime, a time missed by more than this (s) is caught up."
    )
    catch_up_spread_seconds: float = Field(
        600, ge=0, description="Runs for missed times are spread over so long (s)."
    )
    silent_after_seconds: float = Field(
        120, gt=0, description="A run without news for so long (s) gets its command again."
    )
    retry_base_seconds: float = Field(
        30, gt=0, description="Longest wait before the second attempt (s); doubles."
    )
    retry_cap_seconds: float = Field(1800, gt=0, description="Longest wait between two attempts (s).")
    retry_attempts: int = Field(5, ge=1, le=20, description="Attempts of a run in all.")
    sweep_hour: int = Field(4, ge=0, le=23, description="Local hour within which the daily sweep runs.")

    def policy(self) -> Policy:
        """Return the rules of time that these settings say."""
        return Policy(
            daily_jitter=timedelta(seconds=self.daily_jitter_seconds),
            late_after=timedelta(seconds=self.late_after_seconds),
            catch_up_spread=timedelta(seconds=self.catch_up_spread_seconds),
            silent_after=timedelta(seconds=self.silent_after_seconds),
            sweep_hour=self.sweep_hour,
            retry=RetryPolicy(
                base=timedelta(seconds=self.retry_base_seconds),
                cap=timedelta(seconds=self.retry_cap_seconds),
                attempts=self.retry_attempts,
            ),
        )

    def provider_names(self) -> frozenset[str]:
        """Return the providers that may be commanded."""
        return frozenset(self.providers.split(","))
