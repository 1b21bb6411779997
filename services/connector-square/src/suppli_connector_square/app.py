"""The one place where the connector's parts are made and wired."""

from __future__ import annotations

from suppli_connector_kit.service import connector_service
from suppli_service_kit.service import Service

from suppli_connector_square.client import square_client
from suppli_connector_square.connector import SquareConnector
from suppli_connector_square.manifest import MANIFEST
from suppli_connector_square.settings import Settings


def create_app(settings: Settings | None = None) -> Service:
    """Return the service, not yet started.

    Args:
        settings: by default those of the environment.

    Raises:
        MissingSetting: a setting is missing, or refused in production.
    """
    settings = settings or Settings()
    budget = settings.budget(MANIFEST)
    client = square_client(settings.base_url, version=settings.square_version, budget=budget)
    connector = SquareConnector(client, page_size=settings.page_size)
    return connector_service(connector, settings, client=client)
