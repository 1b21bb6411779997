"""The one place where the connector's parts are made and wired."""

from suppli_connector_kit.service import app_of

from suppli_connector_clover.connector import CloverConnector
from suppli_connector_clover.settings import Settings

create_app = app_of(CloverConnector, Settings)
"""Makes the service, not yet started; raises `MissingSetting` for what is missing or refused."""
