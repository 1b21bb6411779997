"""Small parts, without any server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from pydantic import ValidationError
from suppli_contracts.events.sync import ErrorClass, Republish, RunError, RunKind, RunState, SyncRunChanged
from suppli_gateway.auth.keys import KeysUnavailable, SigningKeys
from suppli_gateway.auth.tokens import BadToken, TokenReader
from suppli_gateway.document import COMMITTED, rendered
from suppli_gateway.paging import decode_cursor, encode_cursor
from suppli_gateway.products.parsing import UnreadableFile, parse_csv, parse_json
from suppli_gateway.runs.domain import copies_of
from suppli_gateway.runs.views import run_view
from suppli_gateway.settings import Settings
from suppli_sandbox.issuer import Issuer, TokenRequest
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.problems import Problem
from suppli_service_kit.settings import settings_table

README = Path(__file__).parents[2] / "README.md"
PRODUCTION = {
    "issuer": "https://id.example",
    "jwks_url": "https://id.example/jwks",
    "public_url": "https://api.example",
}


def test_the_committed_openapi_document_is_this_codes() -> None:
    """Clients are generated from it: out of date, they call what is not there."""
    assert COMMITTED.read_text() == rendered(), "run `python -m suppli_gateway openapi`"


def test_every_operation_says_who_may_call_it_and_how_it_fails() -> None:
    """Whoever builds on the API reads this and nothing else."""
    document = json.loads(rendered())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            if path != "/v1/oauth/callback":
                assert operation["security"] == [{"platform": []}], where
                assert {"401", "403"} <= set(operation["responses"]), where
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert ("Idempotency-Key" in names) == (method == "post"), where
    assert "HTTPValidationError" not in json.dumps(document)


def test_the_document_is_valid_openapi() -> None:
    """A document that tools refuse is none."""
    from openapi_spec_validator import validate

    validate(json.loads(rendered()))


def test_the_readme_has_the_settings_of_this_code() -> None:
    """An operator sets what the table says."""
    assert settings_table(Settings) in README.read_text()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("issuer", "http://id.example"),
        ("issuer", "https://localhost:8300"),
        ("jwks_url", "https://127.0.0.1/jwks"),
        ("issuer", "https://[::1]/"),
        ("public_url", "http://api.example"),
    ],
)
def test_production_refuses_a_development_issuer(name: str, url: str) -> None:
    """Whoever reaches a development issuer signs in as anybody."""
    with pytest.raises(ValidationError, match=name.upper()):
        Settings(environment="production", **{**PRODUCTION, name: url})
    assert Settings(environment="production", **PRODUCTION).redirect_uri.startswith("https://api.example/v1/")
    assert Settings(environment="development", **{**PRODUCTION, name: url})


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10", encode_cursor("runs", uuid4()), encode_cursor("things", "no uuid"), "é"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    """A made-up cursor must be an error, not a wrong page or a failure of ours."""
    with pytest.raises(Problem) as refused:
        decode_cursor(cursor, "things", UUID)
    assert refused.value.status == 400
    known = uuid4()
    assert decode_cursor(encode_cursor("things", known), "things", UUID) == known


class Provider:
    """The identity provider's JWKS document, counted."""

    def __init__(self) -> None:
        self.issuer, self.fetched, self.up = Issuer("https://id.example"), 0, True
        self.now = 0.0

    def answer(self, _: httpx.Request) -> httpx.Response:
        self.fetched += 1
        if not self.up:
            return httpx.Response(503)
        return httpx.Response(200, json={"keys": [key.public() for key in self.issuer.keys]})

    def reader(self) -> TokenReader:
        keys = SigningKeys(
            self.issuer.jwks_url,
            max_age=600,
            retry_after=10,
            transport=httpx.MockTransport(self.answer),
            monotonic=lambda: self.now,
        )
        return TokenReader(keys, issuer=self.issuer.url, audience="suppli-integrations", clock=SystemClock())


async def test_strangers_key_ids_do_not_make_us_ask_the_issuer_each_time() -> None:
    """Anybody could otherwise make us flood the identity provider."""
    provider, stranger = Provider(), Issuer("https://id.example")
    reader, wanted = provider.reader(), TokenRequest(tenants=(uuid4(),))
    await reader.read(provider.issuer.token(wanted))
    for _ in range(20):
        with pytest.raises(BadToken):
            await reader.read(stranger.token(wanted))
    assert provider.fetched == 1
    provider.now = 11
    with pytest.raises(BadToken):
        await reader.read(stranger.token(wanted))
    assert provider.fetched == 2


async def test_known_keys_outlive_an_outage_and_none_at_all_is_said() -> None:
    """The identity provider's outage must not sign everybody out."""
    provider = Provider()
    reader, wanted = provider.reader(), TokenRequest(tenants=(uuid4(),))
    provider.up = False
    with pytest.raises(KeysUnavailable):
        await reader.read(provider.issuer.token(wanted))
    provider.up, provider.now = True, 20
    await reader.read(provider.issuer.token(wanted))
    provider.up, provider.now = False, 5_000
    assert (await reader.read(provider.issuer.token(wanted))).subject == "demo"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_signed_by_no_private_key_is_refused(algorithm: str) -> None:
    """The classic forgery: a public key taken as a shared secret, or no signature."""
    import jwt

    provider = Provider()
    key_id = provider.issuer.keys[0].key_id
    claims = {"iss": "https://id.example", "aud": "suppli-integrations", "sub": "x", "exp": 9e9}
    secret = "" if algorithm == "none" else "s" * 32
    forged = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": key_id})
    with pytest.raises(BadToken, match="RS256 or ES256"):
        await provider.reader().read(forged)


def test_rows_are_reported_by_the_line_on_which_they_begin() -> None:
    """A cell over several lines must not shift the numbers that a person looks for."""
    content = b'product_id,name\r\np1,"Two"\r\n\r\np2,Tea,extra\r\np1,Again\r\np3,\r\n'
    parsed = parse_csv(content)
    assert [(error.line, error.column) for error in parsed.errors] == [
        (4, ""),
        (5, "product_id"),
        (6, "name"),
    ]
    assert list(parsed.rows) == ["p1"]
    listed = parse_json(
        b'[{"product_id": "a", "name": "A", "unit": 3}, {"product_id": "b", "name": "B", "x": 1}, 5]'
    )
    assert [(error.line, error.column) for error in listed.errors] == [(1, "unit"), (2, "x"), (3, "")]
    for broken in (b"", b"product_id,name,name\n", b"product_id,name,price\n"):
        with pytest.raises(UnreadableFile, match="line 1"):
            parse_csv(broken)


def test_a_retry_keeps_why_it_is_needed_though_both_arrive_together() -> None:
    """The owner would read `connected` while the provider refuses."""
    run_id = uuid4()

    def event(state: RunState, attempt: int, sequence: int, **fields: Any) -> SyncRunChanged:
        return SyncRunChanged(
            tenant_id=UUID(int=1),
            connection_id=UUID(int=2),
            provider="p",
            run_id=run_id,
            attempt=attempt,
            sequence=sequence,
            kind=RunKind.MANUAL,
            state=state,
            at=datetime(2026, 1, 1, tzinfo=UTC),
            **fields,
        )

    failed = event(RunState.FAILED, 1, 4, error=RunError(error_class=ErrorClass.NETWORK, message="down"))
    retry = event(RunState.QUEUED, 2, 0, next_attempt_at=datetime(2026, 1, 2, tzinfo=UTC))
    late = event(RunState.RUNNING, 1, 2)
    (copy,) = copies_of([retry, failed, late], {})
    assert (copy.attempt, copy.failed, copy.error) == (2, True, {"error_class": "network", "message": "down"})
    assert copies_of([late, failed], {run_id: copy}) == []


def test_what_a_run_publishes_again_outlasts_its_connectors_word() -> None:
    """The history would say that something was republished, and not what."""
    asked = SyncRunChanged(
        tenant_id=UUID(int=1),
        connection_id=UUID(int=2),
        provider="p",
        run_id=uuid4(),
        attempt=1,
        sequence=0,
        kind=RunKind.REPUBLISH,
        state=RunState.QUEUED,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        republish=Republish(from_at=datetime(2026, 1, 1, tzinfo=UTC), order_ids=("A", "B")),
    )
    going = msgspec.structs.replace(asked, sequence=1, state=RunState.RUNNING, republish=None)
    (copy,) = copies_of([going, asked], {})
    shown = run_view(copy).model_dump(mode="json")
    assert (shown["state"], shown["republish"]) == (
        "running",
        {"from_at": "2026-01-01T00:00:00Z", "to_at": None, "orders": 2},
    )


def test_the_readme_names_every_route() -> None:
    """What is not in the list is not found."""
    readme = README.read_text()
    missing = [path for path in json.loads(rendered())["paths"] if not re.search(re.escape(path), readme)]
    assert missing == []
