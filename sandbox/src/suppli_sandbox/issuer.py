"""A development identity provider: signs the tokens that the platform's own would, for demos and tests.

Discovery, JWKS and a control API that hands out tokens for the asking. Never part of a deployment: in
production the gateway refuses an issuer that is not https or lies on this machine.
"""

from __future__ import annotations

import base64
import secrets
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import jwt
import msgspec
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

AUDIENCE = "suppli-integrations"
ALGORITHM = "ES256"
ROLES = ("viewer", "operator", "admin")
KEYS_KEPT = 2
_COORDINATE_BYTES = 32


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a token is to say.

    Attributes:
        ttl_s: seconds until it ends; negative = it has ended.
        audience, issuer: others than usual, for tokens that must be refused.
    """

    sub: str = "demo"
    tenants: tuple[UUID, ...] = ()
    role: str = "admin"
    ttl_s: int = 3600
    audience: str = AUDIENCE
    issuer: str | None = None


class SigningKey:
    """A key pair with its id."""

    def __init__(self) -> None:
        self.key_id = secrets.token_hex(8)
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public(self) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 7518, section 6.2)."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": self.key_id,
            "x": _base64url(numbers.x),
            "y": _base64url(numbers.y),
        }


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_COORDINATE_BYTES, "big")).rstrip(b"=").decode()


class Issuer:
    """The identity provider at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys = [SigningKey()]
        self.available = True

    @property
    def jwks_url(self) -> str:
        """Where the public keys are."""
        return f"{self.url}/jwks"

    def token(self, wanted: TokenRequest) -> str:
        """Return a signed token."""
        now = int(time.time())
        claims = {
            "iss": wanted.issuer or self.url,
            "aud": wanted.audience,
            "sub": wanted.sub,
            "iat": now,
            "exp": now + wanted.ttl_s,
            "tenants": [str(tenant) for tenant in wanted.tenants],
            "role": wanted.role,
        }
        key = self.keys[-1]
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.key_id})

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before stays published, older ones go."""
        self.keys = [*self.keys, SigningKey()][-KEYS_KEPT:]


def create_app(issuer: Issuer) -> Starlette:
    """Return the HTTP side of an issuer."""

    async def discovery(_: Request) -> Response:
        return JSONResponse(
            {
                "issuer": issuer.url,
                "jwks_uri": issuer.jwks_url,
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
            }
        )

    async def jwks(_: Request) -> Response:
        if not issuer.available:
            return JSONResponse({"error": "unavailable"}, 503)
        return JSONResponse({"keys": [key.public() for key in issuer.keys]})

    async def token(request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body() or b"{}", type=TokenRequest)
        except msgspec.MsgspecError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(
            {"token": issuer.token(wanted), "token_type": "Bearer", "expires_in": wanted.ttl_s}
        )

    async def rotate(_: Request) -> Response:
        issuer.rotate()
        return JSONResponse({"kid": issuer.keys[-1].key_id})

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/jwks", jwks),
            Route("/_control/token", token, methods=["POST"]),
            Route("/_control/rotate", rotate, methods=["POST"]),
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped; the first line on stdout is JSON with the addresses."""
    parser = ArgumentParser(prog="suppli_sandbox issuer", description="A development identity provider.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8300, help="0 takes a free one")
    parser.add_argument("--url", help="the address that tokens name; by default where it listens")
    options = parser.parse_args(arguments)
    listener = socket.create_server((options.host, options.port), backlog=128)
    host, port = listener.getsockname()[:2]
    issuer = Issuer(options.url or f"http://{host}:{port}")
    started = {
        "provider": "issuer",
        "host": host,
        "port": port,
        "url": issuer.url,
        "jwks_url": issuer.jwks_url,
    }
    sys.stdout.write(msgspec.json.encode(started).decode() + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(create_app(issuer), ws="none", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
    return 0
