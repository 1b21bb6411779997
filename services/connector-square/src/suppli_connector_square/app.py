"""The one place where the connector's parts are made and wired."""

from suppli_connector_kit.service import app_of

from suppli_connector_square.connector import SquareConnector
from suppli_connector_square.settings import Settings

create_app = app_of(SquareConnector, Settings)
"""Makes the service, not yet started; raises `MissingSetting` for what is missing or refused."""
