"""Settings of the Square connector, read once from `SUPPLI_CONNECTOR_SQUARE_*`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from suppli_connector_kit.settings import ConnectorSettings

from suppli_connector_square.manifest import SQUARE_VERSION


class Settings(ConnectorSettings):
    """What an operator may change, besides what is the same for every connector."""

    model_config = SettingsConfigDict(env_prefix="SUPPLI_CONNECTOR_SQUARE_")

    base_url: str = Field("https://connect.squareup.com", description="Address of Square's API.")
    square_version: str = Field(
        SQUARE_VERSION, pattern=r"^\d{4}-\d{2}-\d{2}$", description="API version of every call."
    )

    def headers(self) -> dict[str, str]:
        """Return the version that every call names."""
        return {"Square-Version": self.square_version}
