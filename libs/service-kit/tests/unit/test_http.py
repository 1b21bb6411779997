"""The HTTP client, problems, calls between services and health, without servers."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, SecretStr
from sqlalchemy.exc import OperationalError
from suppli_service_kit.health import CHECK_SECONDS, Health
from suppli_service_kit.http_client import HttpClient, Timeouts
from suppli_service_kit.internal_api import Caller, InternalClient, InternalToken, internal_caller
from suppli_service_kit.metrics import REGISTRY
from suppli_service_kit.problems import Problem, ServiceUnavailable, install_problems
from suppli_service_kit.rate_limit import RateLimiter
from suppli_service_kit.retry import RetryPolicy, retry_after_seconds, retrying
from suppli_service_kit.vault import Secret, VaultUnavailable

FAST = RetryPolicy(attempts=4, base=0.001, cap=0.5)
TENANT = UUID("018f0000-0000-7000-8000-000000000001")


class Upstream:
    """Answers one thing after the other."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.calls = list(answers), 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(upstream: Upstream, **options: object) -> HttpClient:
    return HttpClient("https://up", retries=FAST, transport=httpx.MockTransport(upstream), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "first",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("cut"),
        *map(httpx.Response, (408, 429, 500, 502, 503, 504)),
    ],
)
async def test_what_may_pass_is_tried_again(first: httpx.Response | Exception) -> None:
    """A provider's hiccup must not end a sync."""
    upstream = Upstream(first, httpx.Response(200, json={}))
    async with client(upstream) as http:
        assert (await http.request("GET", "/x")).status_code == 200
    assert upstream.calls == 2


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 501])
async def test_what_will_not_change_is_not_repeated(status: int) -> None:
    """Repeating a refusal wastes the rate budget and may lock an account."""
    upstream = Upstream(httpx.Response(status))
    async with client(upstream) as http:
        assert (await http.request("GET", "/x")).status_code == status
    assert upstream.calls == 1


async def test_calls_that_must_not_repeat_do_not() -> None:
    """A payment or a code exchange done twice is worse than an error."""
    upstream = Upstream(httpx.ReadTimeout("x"))
    async with client(upstream) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.request("POST", "/x", retry=False)
    assert upstream.calls == 1


async def test_retry_after_is_obeyed_up_to_the_cap() -> None:
    """Ignoring it gets us banned; obeying an hour would hold a worker for an hour."""
    upstream = Upstream(httpx.Response(429, headers={"Retry-After": "0"}), httpx.Response(200))
    async with client(upstream) as http:
        await http.request("GET", "/x")
    long = Upstream(httpx.Response(429, headers={"Retry-After": "3600"}))
    async with client(long) as http:
        response = await http.request("GET", "/x")
    assert (response.status_code, long.calls) == (429, 1)


async def test_an_attempt_has_an_end() -> None:
    """A server that drips bytes must not hold a worker for ever."""

    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    http = HttpClient("https://up", timeouts=Timeouts(total=0.05), transport=httpx.MockTransport(never))
    with pytest.raises(httpx.ReadTimeout):
        await http.request("GET", "/x", retry=False)
    await http.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    """Providers send either form (RFC 9110, 10.2.3)."""
    assert retry_after_seconds(header, datetime(2015, 10, 21, 7, 28, 0, tzinfo=UTC)) == seconds


def test_waits_grow_with_full_jitter_and_have_a_cap() -> None:
    """Clients that fail together must not come back together."""
    policy = RetryPolicy(base=1, cap=8)
    for failures, most in ((1, 1), (3, 4), (9, 8)):
        waits = [policy.wait(failures) for _ in range(200)]
        assert 0 <= min(waits) < most / 4
        assert most * 0.7 < max(waits) <= most
    assert 5 <= policy.wait(1, 5.0) <= 6
    assert policy.wait(1, 100) == 8


async def test_retrying_gives_the_last_error_unchanged() -> None:
    """Callers classify failures by the exception."""
    calls = 0

    async def fails() -> None:
        nonlocal calls
        calls += 1
        raise KeyError(calls)

    with pytest.raises(KeyError, match="4"):
        await retrying(FAST, fails, lambda error: isinstance(error, KeyError))


async def test_the_rate_limiter_keeps_the_rate() -> None:
    """Over the provider's limit every tenant of ours is throttled."""
    limiter = RateLimiter(rate=100, burst=10)
    started = asyncio.get_running_loop().time()
    await asyncio.gather(*(limiter.acquire() for _ in range(30)))
    assert 0.19 <= asyncio.get_running_loop().time() - started < 1
    with pytest.raises(ValueError, match="never fit"):
        await limiter.acquire(11)


class Body(BaseModel):
    name: str
    secret: SecretStr
    lines: list[int]


def sample_app() -> FastAPI:
    app = FastAPI()
    install_problems(app)

    @app.post("/things")
    async def things(body: Body) -> dict[str, str]:
        return {}

    @app.get("/teapot")
    async def teapot() -> None:
        raise Problem(
            418, "teapot", "I am a teapot", "token=Pa55word1", extra={"size": 3}, headers={"X-Y": "z"}
        )

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("Pa55word1 in the inside")

    @app.get("/database")
    async def database() -> None:
        raise OperationalError("select", {}, Exception("Pa55word1"))

    @app.get("/vault")
    async def vault() -> None:
        raise VaultUnavailable("read")

    return app


def talking_to(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://sample"
    )


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/teapot", 418, "teapot"),
        ("/broken", 500, "internal-error"),
        ("/database", 503, "service-unavailable"),
        ("/vault", 503, "service-unavailable"),
        ("/nothing", 404, "not-found"),
        ("/things", 405, "method-not-allowed"),
    ],
)
async def test_every_error_is_a_problem(path: str, status: int, slug: str) -> None:
    """Clients decide by the type, and no answer may show our inside."""
    async with talking_to(sample_app()) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"https://suppli.dev/problems/{slug}"
    assert answer.json()["status"] == status
    assert "Pa55word1" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_wrong_input_is_named_and_never_echoed() -> None:
    """A person must see which field is wrong; a secret typed into it must not come back."""
    async with talking_to(sample_app()) as http:
        answer = await http.post("/things", json={"secret": {"a": "Pa55word1"}, "lines": [1, "Pa55word1"]})
        broken = await http.post(
            "/things", content=b"{Pa55word1", headers={"content-type": "application/json"}
        )
    assert {error["field"] for error in answer.json()["errors"]} == {"$.name", "$.secret", "$.lines[1]"}
    assert "Pa55word1" not in answer.text + broken.text
    assert (answer.status_code, broken.status_code) == (422, 422)


class Secrets:
    """A store of one token that can be changed and taken away."""

    def __init__(self) -> None:
        self.value, self.reads, self.away = "right", 0, False

    async def read(self, path: str) -> Secret | None:
        assert path == "suppli/internal/mapping"
        self.reads += 1
        if self.away:
            raise VaultUnavailable("read")
        return Secret({"token": self.value}, 1)


def called_app(secrets: Secrets) -> FastAPI:
    app = FastAPI()
    install_problems(app)
    caller = internal_caller(InternalToken(secrets, "mapping"))

    @app.get("/internal/v1/who")
    async def who(who: Caller = Depends(caller)) -> dict[str, str]:
        return {"tenant": str(who.tenant_id), "actor": who.actor}

    @app.get("/internal/v1/refuses")
    async def refuses(who: Caller = Depends(caller)) -> None:
        raise Problem(409, "already-mapped", "Already mapped", "to beans", extra={"product": "p1"})

    return app


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic right"}, 401),
        ({"Authorization": "Bearer right"}, 403),
        ({"Authorization": "Bearer right", "Suppli-Tenant": "x", "Suppli-Actor": "u"}, 403),
        ({"Authorization": "Bearer right", "Suppli-Tenant": str(TENANT)}, 403),
        ({"Authorization": "Bearer right", "Suppli-Tenant": str(TENANT), "Suppli-Actor": "u"}, 200),
    ],
)
async def test_internal_calls_need_token_tenant_and_actor(headers: dict[str, str], status: int) -> None:
    """Whoever reaches the internal port must not act as a tenant."""
    async with talking_to(called_app(Secrets())) as http:
        assert (await http.get("/internal/v1/who", headers=headers)).status_code == status


async def test_wrong_tokens_do_not_hammer_the_vault() -> None:
    """Guessing tokens must not bring the secret store down."""
    secrets = Secrets()
    async with talking_to(called_app(secrets)) as http:
        for _ in range(20):
            await http.get("/internal/v1/who", headers={"Authorization": "Bearer guess"})
    assert secrets.reads == 1


def internal(app: FastAPI | httpx.AsyncBaseTransport, secrets: Secrets) -> InternalClient:
    transport = httpx.ASGITransport(app) if isinstance(app, FastAPI) else app
    return InternalClient(
        "http://mapping", InternalToken(secrets, "mapping"), service="mapping", transport=transport
    )


async def test_the_gateway_passes_on_who_asks_and_what_was_refused() -> None:
    """A person must read the called service's own reason, not a general error."""
    secrets = Secrets()
    called = internal(called_app(secrets), secrets)
    answer = await called.request("GET", "/internal/v1/who", Caller(TENANT, "user-1"))
    assert answer.json() == {"tenant": str(TENANT), "actor": "user-1"}
    with pytest.raises(Problem) as refused:
        await called.request("GET", "/internal/v1/refuses", Caller(TENANT, "u"))
    assert (refused.value.status, refused.value.type, refused.value.extra) == (
        409,
        "already-mapped",
        {"product": "p1"},
    )
    await called.close()


@pytest.mark.parametrize("answer", [httpx.ConnectError("x"), httpx.Response(500), httpx.Response(503)])
async def test_a_service_that_is_down_becomes_503_with_retry_after(
    answer: httpx.Response | Exception,
) -> None:
    """The pages must say "try again" instead of failing."""
    called = internal(httpx.MockTransport(Upstream(answer)), Secrets())
    with pytest.raises(ServiceUnavailable) as down:
        await called.request("GET", "/internal/v1/who", Caller(TENANT, "u"))
    assert down.value.status == 503
    assert int(down.value.headers["Retry-After"]) > 0
    await called.close()


async def test_the_token_at_hand_goes_on_while_the_vault_is_away() -> None:
    """An outage of the secret store must not take the whole API with it."""
    secrets = Secrets()
    provider = InternalToken(secrets, "mapping")
    assert await provider.token() == "right"
    secrets.away = True
    provider._read_at -= 1_000
    assert await provider.token() == "right"
    with pytest.raises(VaultUnavailable):
        await InternalToken(secrets, "mapping").token()


def failing(error: Exception) -> Callable[[], object]:
    async def check() -> str | None:
        raise error

    return check


async def test_only_a_critical_check_takes_the_service_out() -> None:
    """With Kafka or Vault down the pages still answer; without the database they cannot."""
    health = Health()

    async def fine() -> str | None:
        return None

    health.register("database", fine, critical=True)
    health.register("vault", failing(ConnectionError("https://secret-host")))  # type: ignore[arg-type]
    status, body = await health.readiness()
    assert (status, body["status"]) == (200, "degraded")
    assert "secret-host" not in str(body)
    health.register("database", failing(ConnectionError()), critical=True)  # type: ignore[arg-type]
    assert (await health.readiness())[0] == 503
    assert (await health.liveness())[0] == 200
    health.register_liveness("consumers", failing(RuntimeError()))  # type: ignore[arg-type]
    assert (await health.liveness())[0] == 503


async def test_a_server_that_hangs_delays_nobody_and_its_return_is_seen_without_a_question() -> None:
    """A readiness probe has a second: a broker that hangs would take every process away that could answer."""
    health, stop = Health(), asyncio.Event()
    hangs = asyncio.Event()

    async def broker() -> None:
        if not hangs.is_set():
            await asyncio.Event().wait()

    async def fine() -> None:
        return None

    health.register("database", fine, critical=True)
    health.register("kafka", broker, every=0.05)
    watching = asyncio.create_task(health.watch(stop))
    await reaches(lambda: health.problem("kafka") is not None)
    started = time.monotonic()
    status, body = await health.readiness()
    assert time.monotonic() - started < CHECK_SECONDS / 2, "it told what was seen"
    assert (status, body["status"], body["checks"]) == (
        200,
        "degraded",
        {"database": "ok", "kafka": "no answer within 2 s"},
    )
    seen = REGISTRY.get_sample_value
    assert seen("suppli_check_ok", {"check": "kafka"}) == 0
    hangs.set()
    await reaches(lambda: seen("suppli_check_ok", {"check": "kafka"}) == 1)
    assert health.problem("kafka") is None
    stop.set()
    await watching


async def reaches(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a look at a condition
            await asyncio.sleep(0.01)


async def test_a_body_goes_with_its_response() -> None:
    """Cycles are searched for seldom: an import would hold the pages of a minute, some 200 MB."""
    seen: list[weakref.ref[httpx.Response]] = []
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"page"))
    async with HttpClient("https://up", transport=transport) as upstream:
        gc.disable()
        try:
            response = await upstream.request("GET", "/")
            assert response.content == b"page"
            seen.append(weakref.ref(response))
            del response
            assert seen[0]() is None
        finally:
            gc.enable()
