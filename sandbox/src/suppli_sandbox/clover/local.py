"""Clover as one of the providers that can be served here."""

from starlette.types import ASGIApp

from suppli_sandbox.app import create_app, cut_connection
from suppli_sandbox.clover.client import CloverProcess
from suppli_sandbox.clover.control import CloverControl
from suppli_sandbox.clover.models import CloverApplicationSpec
from suppli_sandbox.clover.server import CloverServer
from suppli_sandbox.clover.world import Application, World
from suppli_sandbox.providers import LocalProvider, Registration


def clover_app(registration: Registration) -> ASGIApp:
    """Return a local Clover."""
    world = World()
    world.configure(
        CloverApplicationSpec(
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            redirect_urls=registration.redirect_urls,
        )
    )
    server = CloverServer(world, cut_connection)
    return create_app(server, CloverControl(world), control_token=registration.control_token)


_APPLICATION = Application()
LOCAL = LocalProvider(
    port=8201,
    client_id=_APPLICATION.client_id,
    client_secret=_APPLICATION.client_secret,
    app=clover_app,
    process=CloverProcess,
)
