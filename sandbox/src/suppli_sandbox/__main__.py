"""`python -m suppli_sandbox square|issuer --port N`: the local Square, or the identity provider."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence

import msgspec

from suppli_sandbox import issuer
from suppli_sandbox.app import create_app, create_server
from suppli_sandbox.models import ApplicationSpec
from suppli_sandbox.square.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; the first line on stdout is JSON with the address."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["issuer"]:
        return issuer.main(given[1:])
    options = _parser().parse_args(given)
    world = World()
    world.application.update(
        ApplicationSpec(
            client_id=options.client_id,
            client_secret=options.client_secret,
            redirect_urls=tuple(options.redirect_url),
        )
    )
    listener = socket.create_server((options.host, options.port), backlog=512)
    host, port = listener.getsockname()[:2]
    started = {"provider": "square", "host": host, "port": port, "url": f"http://{host}:{port}"}
    sys.stdout.write(msgspec.json.encode(started).decode() + "\n")
    sys.stdout.flush()
    create_server(create_app(world, control_token=options.control_token)).run(sockets=[listener])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="suppli_sandbox", description="Local stand-ins for POS APIs.")
    square = parser.add_subparsers(dest="provider", required=True).add_parser("square", help="a local Square")
    square.add_argument("--host", default="127.0.0.1")
    square.add_argument("--port", type=int, default=8200, help="0 takes a free one")
    square.add_argument("--control-token", default=os.environ.get("SUPPLI_SANDBOX_CONTROL_TOKEN"))
    square.add_argument("--client-id", default=os.environ.get("SUPPLI_SANDBOX_CLIENT_ID"))
    square.add_argument("--client-secret", default=os.environ.get("SUPPLI_SANDBOX_CLIENT_SECRET"))
    square.add_argument("--redirect-url", action="append", default=[], help="may be given several times")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
