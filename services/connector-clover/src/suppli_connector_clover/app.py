"""The one place where the connector's parts are made and wired."""

from __future__ import annotations

from suppli_connector_kit.service import connector_service
from suppli_service_kit.service import Service

from suppli_connector_clover.client import clover_client
from suppli_connector_clover.connector import CloverConnector
from suppli_connector_clover.manifest import MANIFEST
from suppli_connector_clover.settings import Settings


def create_app(settings: Settings | None = None) -> Service:
    """Return the service, not yet started.

    Args:
        settings: by default those of the environment.

    Raises:
        MissingSetting: a setting is missing, or refused in production.
    """
    settings = settings or Settings()
    client = clover_client(settings.base_url, budget=settings.budget(MANIFEST))
    connector = CloverConnector(client, web_url=settings.web_url, page_size=settings.page_size)
    return connector_service(connector, settings, client=client)
