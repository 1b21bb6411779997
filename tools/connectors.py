"""What deployment needs to know of each connector: said by its entry point, its manifest and its settings."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import entry_points

from suppli_connector_kit.settings import ConnectorSettings
from suppli_contracts.internal import Manifest
from suppli_contracts.topics import connector_service

# Fields of a connector's settings that name the provider: whoever has one reaches out of the inner network.
_ADDRESSES = {"base_url": "URL", "web_url": "WEB_URL"}


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector that is installed here.

    Attributes:
        addresses: its settings with an address of the provider, and the end of the variable by which whoever
            deploys says it: `base_url` is said as `SUPPLI_SQUARE_URL`.
        work_folder: whether it needs a folder on a disk while it works.
    """

    package: str
    manifest: Manifest
    addresses: dict[str, str]
    work_folder: bool = False

    @property
    def provider(self) -> str:
        """The provider's short name."""
        return self.manifest.provider

    @property
    def service(self) -> str:
        """The service's name."""
        return connector_service(self.provider)

    @property
    def has_application(self) -> bool:
        """Whether we are registered with the provider and have credentials of our own there."""
        return self.manifest.auth == "oauth"

    @property
    def has_tokens(self) -> bool:
        """Whether accounts are authorized, so that there are tokens to keep."""
        return self.manifest.auth != "file"


def connectors() -> tuple[Connector, ...]:
    """Return every connector that is installed here, by provider."""
    found = []
    for entry in sorted(entry_points(group="suppli.connectors"), key=lambda each: each.name):
        package = entry.module.partition(".")[0]
        manifest: Manifest = entry.load().manifest
        settings: type[ConnectorSettings] = importlib.import_module(f"{package}.settings").Settings
        if manifest.provider != entry.name:
            raise ValueError(
                f"{package} is registered as {entry.name}, its manifest says {manifest.provider}"
            )
        fields = settings.model_fields  # one that is empty by default is not this provider's
        addresses = {
            field: end
            for field, end in _ADDRESSES.items()
            if field in fields and fields[field].default is not None
        }
        found.append(Connector(package, manifest, addresses, "work_folder" in settings.model_fields))
    return tuple(found)
