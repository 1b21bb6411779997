"""Secrets must not reach the log, whatever way they are written."""

from __future__ import annotations

import json
import logging

import pytest
from suppli_service_kit.logs import configure_logging, get_logger
from suppli_service_kit.redaction import HIDDEN, is_secret_name, redact, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"got {JWT} from there",
        "Authorization: Bearer abc.DEF-123456",
        "postgresql://user:Pa55word@db/x",
        "access_token=EAAAlsecretsecret&x=1",
        '{"refresh_token": "Pa55word-long"}',
        "{'client_secret': 'Pa55word-long'}",
        "GET /cb?code=sq0cgp-Pa55word&state=abc",
        "hvs.CAESIJPa55wordPa55wordPa55word",
        "s.Pa55wordPa55wordPa55word1",
        "EAAAl9Pa55wordPa55wordPa55word",
        "password = Pa55word",
        "GET /v1/connections by suppli_sk_3f9a2c1d_Pa55word-Pa55word_Pa55wordPa55wordPa55word1",
        "suppli_sk_Pa55wordPa55wordPa55word",
    ],
)
def test_values_that_look_like_secrets_are_hidden(text: str) -> None:
    """An exception's text often repeats the request that failed."""
    cleaned = redact_text(text)
    assert HIDDEN in cleaned
    for secret in ("Pa55word", "abc.DEF", "EAAAlsecret", JWT):
        assert secret not in cleaned


def test_the_public_beginning_of_a_service_key_stays() -> None:
    """An operator who finds a leaked key in a log must learn which one to revoke."""
    assert redact_text("by suppli_sk_3f9a2c1d_" + "x" * 43) == f"by suppli_sk_3f9a2c1d_{HIDDEN}"
    assert redact_text("suppli_sk_3f9a2c1d") == "suppli_sk_3f9a2c1d"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "accessToken",
        "refresh_token",
        "Authorization",
        "client-secret",
        "db_password",
        "code",
        "cookie",
    ],
)
def test_fields_named_like_secrets_are_hidden(name: str) -> None:
    """A secret without a known shape is known by its name."""
    assert redact({"outer": [{name: "plain"}]}) == {"outer": [{name: HIDDEN}]}


@pytest.mark.parametrize(
    "name", ["status_code", "currency", "topic", "tenant_id", "run_id", "postcode", "key", "pinned"]
)
def test_ordinary_fields_stay(name: str) -> None:
    """A log that hides everything explains nothing."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text", ["page 3 of 7 at 2024-01-02", "status_code=429", "https://example.com/a?b=c"]
)
def test_ordinary_text_stays(text: str) -> None:
    """The same, for texts."""
    assert redact_text(text) == text


def test_log_lines_are_json_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """One place guards every line: ours, libraries', and traces of exceptions with their causes."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging("sample", "INFO")
        log = get_logger("a.b")
        try:
            raise ValueError(f"refused token={JWT}")  # noqa: TRY301 - it is the text that is tested
        except ValueError:
            log.exception("it_failed", headers={"Authorization": "Bearer xyz12345"}, count=3)
        logging.getLogger("library").warning("cannot reach %s", "https://u:Pa55word@host/")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (lines[0]["event"], lines[0]["service"], lines[0]["count"]) == ("it_failed", "sample", 3)
    assert "ValueError" in lines[0]["exception"]
    text = json.dumps(lines)
    assert JWT not in text
    assert "xyz12345" not in text
    assert "Pa55word" not in text
