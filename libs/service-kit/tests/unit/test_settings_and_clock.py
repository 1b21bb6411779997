"""Settings and time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict
from suppli_service_kit.clock import FixedClock, OffsetClock, SystemClock, clock_from
from suppli_service_kit.settings import (
    Environment,
    KafkaSettings,
    MissingSetting,
    ServiceSettings,
    settings_table,
)


class Sample(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SUPPLI_SAMPLE_")

    pages: int = Field(3, description="How many.")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SUPPLI_"):
            monkeypatch.delenv(name)


def test_variables_are_read_by_their_documented_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A README that names the wrong variable costs an operator an evening."""
    secret = tmp_path / "url"
    secret.write_text("postgresql://a:b@c/d\n")
    monkeypatch.setenv("SUPPLI_ENVIRONMENT", "development")
    monkeypatch.setenv("SUPPLI_SAMPLE_PAGES", "5")
    monkeypatch.setenv("SUPPLI_SAMPLE_DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("SUPPLI_KAFKA_BOOTSTRAP_SERVERS", "k:1")
    settings = Sample()
    assert settings.environment is Environment.DEVELOPMENT
    assert (settings.pages, settings.kafka.bootstrap_servers) == (5, "k:1")
    assert settings.database_dsn() == "postgresql://a:b@c/d"
    table = settings_table(Sample)
    for name in ("SUPPLI_ENVIRONMENT", "SUPPLI_SAMPLE_PAGES", "SUPPLI_KAFKA_BOOTSTRAP_SERVERS"):
        assert f"`{name}`" in table
    assert "| `SUPPLI_SAMPLE_PAGES` | integer | `3` | How many. |" in table


def test_production_is_the_default_and_refuses_a_moved_clock(tmp_path: Path) -> None:
    """A forgotten development aid must not move the books in production."""
    assert Sample().environment is Environment.PRODUCTION
    with pytest.raises(ValidationError, match="refused in production"):
        Sample(clock_offset_file=tmp_path / "offset")


def test_what_is_missing_is_named() -> None:
    """The message must say which setting, and never show a value."""
    with pytest.raises(MissingSetting, match="relay_url_file"):
        Sample().relay_dsn()
    with pytest.raises(ValidationError, match="SUPPLI_KAFKA_PASSWORD_FILE"):
        KafkaSettings(security_protocol="SASL_SSL")


def test_secrets_do_not_show() -> None:
    """Settings are printed when something is wrong."""
    assert "Pa55" not in repr(Sample(database_url="postgresql://a:Pa55@b/c"))  # type: ignore[arg-type]


def test_the_offset_clock_follows_its_file(tmp_path: Path) -> None:
    """The demo moves time by a file; each change counts at once, a missing file means now."""
    path = tmp_path / "offset"
    clock = clock_from(Sample(environment=Environment.DEVELOPMENT, clock_offset_file=path))
    assert isinstance(clock, OffsetClock)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    path.write_text("86400")
    assert timedelta(hours=23) < clock.now() - datetime.now(UTC) < timedelta(hours=25)
    path.write_text("-3600.5")
    assert clock.now() < datetime.now(UTC) - timedelta(minutes=59)
    assert isinstance(clock_from(Sample()), SystemClock)


def test_the_fixed_clock_moves_only_when_told() -> None:
    """Tests of schedules depend on it."""
    clock = FixedClock(datetime(2024, 1, 1, tzinfo=UTC))
    clock.advance(timedelta(hours=1))
    assert clock.now() == datetime(2024, 1, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="timezone-aware"):
        FixedClock(datetime(2024, 1, 1))  # noqa: DTZ001
