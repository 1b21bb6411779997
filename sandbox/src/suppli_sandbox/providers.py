"""The providers that can be served here: each package beside with a module `local` is one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from suppli_sandbox.control_client import ProviderProcess


@dataclass(frozen=True, slots=True)
class Registration:
    """What the application is registered with: None leaves the provider's own default."""

    client_id: str | None = None
    client_secret: str | None = None
    redirect_urls: tuple[str, ...] = ()
    control_token: str | None = None


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """A provider's local stand-in.

    Attributes:
        port: where it listens unless told otherwise.
        client_id, client_secret: the application's, unless told otherwise.
        app: makes its API with the control API, as one ASGI application.
        process: runs it as a process of its own.
    """

    port: int
    client_id: str
    client_secret: str
    app: Callable[[Registration], ASGIApp]
    process: type[ProviderProcess[Any]]

    @property
    def name(self) -> str:
        """The provider's short name."""
        return self.process.provider

    def application(self) -> dict[str, str]:
        """Return the application's credentials as a service keeps them."""
        return {"client_id": self.client_id, "client_secret": self.client_secret}


def local_providers(folders: Sequence[str] = (str(Path(__file__).parent),)) -> dict[str, LocalProvider]:
    """Return every provider by its name, in the order of their ports."""
    packages = [each.name for each in pkgutil.iter_modules(folders) if each.ispkg]
    found = (importlib.import_module(f"suppli_sandbox.{package}.local").LOCAL for package in packages)
    return {each.name: each for each in sorted(found, key=lambda each: each.port)}
