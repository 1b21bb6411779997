"""Mapping's settings: environment variables with the prefix SUPPLI_MAPPING_."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from suppli_service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has, and how restatement shares the outbox."""

    model_config = SettingsConfigDict(
        env_prefix="SUPPLI_MAPPING_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    restate_chunk_lines: int = Field(
        1_000, ge=1, le=10_000, description="Most lines of an item that one transaction says again."
    )
    restate_outbox_limit: int = Field(
        2_000, ge=0, description="Restatement waits while more messages than this wait in the outbox."
    )
