"""`python -m suppli_sandbox square|clover|issuer --port N`: a local provider, or the identity provider."""

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence

import msgspec
from starlette.types import ASGIApp

from suppli_sandbox import issuer
from suppli_sandbox.app import clover_app, create_server, square_app
from suppli_sandbox.clover.models import CloverApplicationSpec
from suppli_sandbox.clover.world import World as CloverWorld
from suppli_sandbox.models import ApplicationSpec
from suppli_sandbox.square.world import World as SquareWorld


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; the first line on stdout is JSON with the address."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["issuer"]:
        return issuer.main(given[1:])
    options = _parser().parse_args(given)
    app = _SERVED[options.provider](options)
    listener = socket.create_server((options.host, options.port), backlog=512)
    host, port = listener.getsockname()[:2]
    started = {"provider": options.provider, "host": host, "port": port, "url": f"http://{host}:{port}"}
    sys.stdout.write(msgspec.json.encode(started).decode() + "\n")
    sys.stdout.flush()
    create_server(app).run(sockets=[listener])
    return 0


def _square(options: argparse.Namespace) -> ASGIApp:
    world = SquareWorld()
    world.application.update(
        ApplicationSpec(
            client_id=options.client_id,
            client_secret=options.client_secret,
            redirect_urls=tuple(options.redirect_url),
        )
    )
    return square_app(world, control_token=options.control_token)


def _clover(options: argparse.Namespace) -> ASGIApp:
    world = CloverWorld()
    world.configure(
        CloverApplicationSpec(
            client_id=options.client_id,
            client_secret=options.client_secret,
            redirect_urls=tuple(options.redirect_url),
        )
    )
    return clover_app(world, control_token=options.control_token)


_SERVED: dict[str, Callable[[argparse.Namespace], ASGIApp]] = {"square": _square, "clover": _clover}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="suppli_sandbox", description="Local stand-ins for POS APIs.")
    providers = parser.add_subparsers(dest="provider", required=True)
    for number, provider in enumerate(_SERVED):
        one = providers.add_parser(provider, help=f"a local {provider.capitalize()}")
        one.add_argument("--host", default="127.0.0.1")
        one.add_argument("--port", type=int, default=8200 + number, help="0 takes a free one")
        one.add_argument("--control-token", default=os.environ.get("SUPPLI_SANDBOX_CONTROL_TOKEN"))
        one.add_argument("--client-id", default=os.environ.get("SUPPLI_SANDBOX_CLIENT_ID"))
        one.add_argument("--client-secret", default=os.environ.get("SUPPLI_SANDBOX_CLIENT_SECRET"))
        one.add_argument("--redirect-url", action="append", default=[], help="may be given several times")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
