"""Square as one of the providers that can be served here."""

from starlette.types import ASGIApp

from suppli_sandbox.app import create_app, cut_connection
from suppli_sandbox.client import SandboxProcess
from suppli_sandbox.models import ApplicationSpec
from suppli_sandbox.providers import LocalProvider, Registration
from suppli_sandbox.square.control import SquareControl
from suppli_sandbox.square.server import SquareServer
from suppli_sandbox.square.world import Application, World


def square_app(registration: Registration) -> ASGIApp:
    """Return a local Square."""
    world = World()
    world.application.update(
        ApplicationSpec(
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            redirect_urls=registration.redirect_urls,
        )
    )
    server = SquareServer(world, cut_connection)
    return create_app(server, SquareControl(world), control_token=registration.control_token)


_APPLICATION = Application()
LOCAL = LocalProvider(
    port=8200,
    client_id=_APPLICATION.client_id,
    client_secret=_APPLICATION.client_secret,
    app=square_app,
    process=SandboxProcess,
)
