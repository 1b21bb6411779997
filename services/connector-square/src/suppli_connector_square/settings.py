"""Settings of the Square connector, read once from `SUPPLI_CONNECTOR_SQUARE_*`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from suppli_connector_kit.settings import ConnectorSettings

from suppli_connector_square.manifest import PAGE_SIZE, SQUARE_VERSION


class Settings(ConnectorSettings):
    """What an operator may change."""

    model_config = SettingsConfigDict(
        env_prefix="SUPPLI_CONNECTOR_SQUARE_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    base_url: str = Field("https://connect.squareup.com", description="Address of Square's API.")
    square_version: str = Field(
        SQUARE_VERSION, pattern=r"^\d{4}-\d{2}-\d{2}$", description="API version that every call names."
    )
    page_size: int = Field(PAGE_SIZE, ge=1, le=PAGE_SIZE, description="Orders a page.")
    requests_per_second: float = Field(
        10, gt=0, description="Calls a second for one account; Square publishes no limit."
    )
    request_burst: float = Field(20, ge=1, description="Calls for one account at once, after a pause.")
    attempts: int = Field(4, ge=1, le=10, description="Attempts of one call, the first included.")
    retry_base_seconds: float = Field(
        0.5, gt=0, description="Longest wait before the second attempt (s); doubles."
    )
    retry_cap_seconds: float = Field(
        30,
        gt=0,
        description="Longest wait between attempts of one call (s), also where Square asks for more.",
    )
