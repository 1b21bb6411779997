"""Settings: environment variables, read once when the process starts.

Secrets come as files (`*_FILE`), so that they show in no process list and no container description.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from suppli_service_kit.settings_table import settings_table as settings_table

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class MissingSetting(Exception):
    """Something that this process was asked to do needs a setting that is not there."""


class Environment(StrEnum):
    """Where the process runs. Only development relaxes a rule."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


def _config(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(
        env_prefix=prefix, populate_by_name=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )


class KafkaSettings(BaseSettings):
    """How to reach the brokers, and how patient the groups are."""

    model_config = _config("SUPPLI_KAFKA_")

    bootstrap_servers: str = Field("localhost:9092", description="Brokers, comma-separated `host:port`.")
    security_protocol: SecurityProtocol = Field("PLAINTEXT", description="How connections are protected.")
    sasl_mechanism: SaslMechanism = Field("SCRAM-SHA-512", description="How the password is proven.")
    username: str | None = Field(None, description="This service's principal; needed for SASL.")
    password_file: Path | None = Field(None, description="File with the principal's password.")
    ca_file: Path | None = Field(None, description="CA certificates (PEM); none = the system's.")
    session_timeout_ms: int = Field(
        45_000, ge=6_000, description="A member that is silent this long (ms) loses its partitions."
    )
    rebalance_timeout_ms: int = Field(
        30_000, ge=6_000, description="How long (ms) a member may finish its batch when partitions move."
    )

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL") and not (self.username and self.password_file):
            raise ValueError("SASL needs SUPPLI_KAFKA_USERNAME and SUPPLI_KAFKA_PASSWORD_FILE")
        return self


class VaultSettings(BaseSettings):
    """How to reach the Vault-API server and who this process is there (AppRole)."""

    model_config = _config("SUPPLI_VAULT_")

    url: str = Field("http://localhost:8200", description="Address of the server.")
    role_id_file: Path | None = Field(None, description="File with the AppRole's role id.")
    secret_id_file: Path | None = Field(None, description="File with the AppRole's secret id.")
    mount: str = Field("secret", description="Mount of the KV version 2 engine.")
    ca_file: Path | None = Field(None, description="CA certificates (PEM); none = the system's.")
    timeout_seconds: float = Field(5.0, gt=0, description="How long one call may take (s).")


class TelemetrySettings(BaseSettings):
    """Where traces go."""

    model_config = _config("SUPPLI_OTEL_")

    endpoint: str | None = Field(
        None, description="OTLP/HTTP collector, e.g. `http://collector:4318`; none = traces stay in process."
    )
    sample_ratio: float = Field(0.1, ge=0, le=1, description="Share of new traces that are recorded.")


class ServiceSettings(BaseSettings):
    """Base of each service's own settings: subclass it and set `env_prefix` in `model_config`."""

    model_config = _config("SUPPLI_")

    environment: Environment = Field(
        Environment.PRODUCTION,
        validation_alias=AliasChoices("SUPPLI_ENVIRONMENT", "environment"),
        description="`production` or `development`; production refuses development aids.",
    )
    host: str = Field("0.0.0.0", description="Address on which the HTTP ports listen.")  # noqa: S104
    public_port: int = Field(8080, ge=0, le=65535, description="Port of the public API, where there is one.")
    internal_port: int = Field(8081, ge=0, le=65535, description="Port of internal API, health and metrics.")
    instance_id: str | None = Field(
        None, description="This process's lasting name (static Kafka member), e.g. the pod's; none = dynamic."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")
    database_url: SecretStr | None = Field(None, description="Database URL of the application role.")
    database_url_file: Path | None = Field(None, description="File with the URL of the application role.")
    migration_url: SecretStr | None = Field(None, description="Database URL of the owner role (`migrate`).")
    migration_url_file: Path | None = Field(None, description="File with the URL of the owner role.")
    relay_url: SecretStr | None = Field(None, description="Database URL of the outbox relay's role.")
    relay_url_file: Path | None = Field(None, description="File with the URL of the relay's role.")
    database_pool: int = Field(
        5, ge=1, le=50, description="Most database connections of the application role."
    )
    clock_offset_file: Path | None = Field(
        None,
        validation_alias=AliasChoices("SUPPLI_CLOCK_OFFSET_FILE", "clock_offset_file"),
        description="Development only: file with seconds added to the clock, read when it changes.",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    vault: VaultSettings = Field(default_factory=VaultSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)

    @model_validator(mode="after")
    def _production_has_no_aids(self) -> ServiceSettings:
        if self.environment is Environment.PRODUCTION and self.clock_offset_file is not None:
            raise ValueError("SUPPLI_CLOCK_OFFSET_FILE is refused in production")
        return self

    def database_dsn(self) -> str:
        """Return the URL of the application role.

        Raises:
            MissingSetting: neither the URL nor its file is set, or the file cannot be read.
        """
        return _secret("database_url", self.database_url, self.database_url_file)

    def migration_dsn(self) -> str:
        """Return the URL of the owner role, for schema changes; raises `MissingSetting`."""
        return _secret("migration_url", self.migration_url, self.migration_url_file)

    def relay_dsn(self) -> str:
        """Return the URL of the outbox relay's role; raises `MissingSetting`."""
        return _secret("relay_url", self.relay_url, self.relay_url_file)


def read_secret_file(path: Path, what: str) -> str:
    """Return the stripped content of a secret's file.

    Raises:
        MissingSetting: it cannot be read or is empty; says which setting, never the content.
    """
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise MissingSetting(f"{what}: cannot read {path}: {error.strerror}") from error
    if not text:
        raise MissingSetting(f"{what}: {path} is empty")
    return text


def _secret(name: str, value: SecretStr | None, file: Path | None) -> str:
    if value is not None:
        return value.get_secret_value()
    if file is None:
        raise MissingSetting(f"set {name}_file (or {name}) to do this")
    return read_secret_file(file, name)
