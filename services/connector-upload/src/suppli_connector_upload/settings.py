"""Settings of the upload service, read once from `SUPPLI_CONNECTOR_UPLOAD_*`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from suppli_connector_kit.adapters.hold import LeaseTimes
from suppli_connector_kit.engine.ports import Limits
from suppli_service_kit.settings import MissingSetting, ServiceSettings

MB = 1_000_000


class Settings(ServiceSettings):
    """What an operator may change."""

    model_config = SettingsConfigDict(
        env_prefix="SUPPLI_CONNECTOR_UPLOAD_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    max_file_bytes: int = Field(500 * MB, gt=0, description="Largest file that is taken (bytes).")
    keep_days: int = Field(
        90,
        ge=1,
        description="How long a file is kept after its upload (days); as long its import can be undone.",
    )
    work_folder: Path = Field(
        Path("/tmp"),  # noqa: S108 - only the default; what is made in it has a random name and is private
        description="Folder on a disk for files while they are read; two to three times the largest file.",
    )
    reader_memory_mb: int = Field(
        1_000,
        ge=200,
        description="Address space of the process that reads a file (MB); beyond, it is refused.",
    )
    readers: int = Field(2, ge=1, le=16, description="Files that this process reads at once.")
    workers: int = Field(4, ge=1, le=32, description="Runs that this process does at once.")
    lease_seconds: float = Field(30, gt=1, description="How long a run's lease lasts without renewal (s).")
    renew_seconds: float = Field(8, gt=0.1, description="How often the lease is renewed (s).")
    publish_seconds: float = Field(
        10, gt=0, description="How long publishing a page may take (s); less than the lease."
    )
    bulk_backlog: int = Field(
        5_000, ge=0, description="An import waits while readers are further behind than so many records."
    )

    def limits(self) -> Limits:
        """Return the engine's settings."""
        return Limits(publish_seconds=self.publish_seconds, bulk_backlog=self.bulk_backlog)

    def lease_times(self) -> LeaseTimes:
        """Return how long leases last.

        Raises:
            MissingSetting: they end before what they are for.
        """
        if self.publish_seconds + self.renew_seconds >= self.lease_seconds:
            raise MissingSetting("lease_seconds must be more than publish_seconds and renew_seconds together")
        return LeaseTimes(lease=self.lease_seconds, renew=self.renew_seconds)
