"""`python -m suppli_sandbox <provider>|all|issuer`: one local provider, all, or the identity provider."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence

import msgspec

from suppli_sandbox import issuer
from suppli_sandbox.app import create_server
from suppli_sandbox.providers import LocalProvider, Registration, local_providers

_ALL = "all"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; the first lines on stdout are JSON, one with the address of each provider."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["issuer"]:
        return issuer.main(given[1:])
    providers = local_providers()
    options = _parser(providers).parse_args(given)
    registration = Registration(
        options.client_id, options.client_secret, tuple(options.redirect_url), options.control_token
    )
    if options.provider == _ALL:
        served = [(each, each.port if options.port is None else options.port) for each in providers.values()]
    else:
        served = [(providers[options.provider], options.port)]
    listeners = [_listen(provider, options.host, port) for provider, port in served]
    asyncio.run(_serve([provider for provider, _ in served], listeners, registration))
    return 0


def _listen(provider: LocalProvider, host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=512)
    host, port = listener.getsockname()[:2]
    started = {"provider": provider.name, "host": host, "port": port, "url": f"http://{host}:{port}"}
    sys.stdout.write(msgspec.json.encode(started).decode() + "\n")
    sys.stdout.flush()
    return listener


async def _serve(
    providers: Sequence[LocalProvider], listeners: Sequence[socket.socket], registration: Registration
) -> None:
    """Serve each; a signal ends all, as each server hands it on to the one that was there before it."""
    servers = [create_server(provider.app(registration)) for provider in providers]
    pairs = zip(servers, listeners, strict=True)
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in pairs))


def _parser(providers: dict[str, LocalProvider]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="suppli_sandbox", description="Local stand-ins for POS APIs.")
    served = parser.add_subparsers(dest="provider", required=True)
    for provider in providers.values():
        one = served.add_parser(provider.name, help=f"a local {provider.name.capitalize()}")
        one.add_argument("--port", type=int, default=provider.port, help="0 takes a free one")
        one.add_argument("--client-id", default=os.environ.get("SUPPLI_SANDBOX_CLIENT_ID"))
        one.add_argument("--client-secret", default=os.environ.get("SUPPLI_SANDBOX_CLIENT_SECRET"))
        _common(one)
    everyone = served.add_parser(_ALL, help="every provider, each on its own port, in one process")
    everyone.add_argument("--port", type=int, choices=[0], help="0 takes free ones instead")
    everyone.set_defaults(client_id=None, client_secret=None)
    _common(everyone)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--control-token", default=os.environ.get("SUPPLI_SANDBOX_CONTROL_TOKEN"))
    parser.add_argument("--redirect-url", action="append", default=[], help="may be given several times")


if __name__ == "__main__":
    raise SystemExit(main())
