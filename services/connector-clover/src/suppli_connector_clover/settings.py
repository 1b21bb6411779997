"""Settings of the Clover connector, read once from `SUPPLI_CONNECTOR_CLOVER_*`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from suppli_connector_kit.settings import ConnectorSettings


class Settings(ConnectorSettings):
    """What an operator may change, besides what is the same for every connector."""

    model_config = SettingsConfigDict(env_prefix="SUPPLI_CONNECTOR_CLOVER_")

    base_url: str = Field(
        "https://api.clover.com", description="Address of the API of one of Clover's regions."
    )
    web_url: str = Field(
        "https://www.clover.com", description="Address where that region's merchants sign in."
    )
    requests_per_second: float = Field(
        7, gt=0, description="Calls a second for one account; Clover allows 16 with the burst."
    )
    request_burst: float = Field(
        7, ge=1, description="Calls for one account at once after a pause."
    )
