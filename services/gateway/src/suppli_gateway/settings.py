"""Every knob of the gateway, read once from the environment."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict
from suppli_service_kit.settings import Environment, ServiceSettings

_LOCAL_NAMES = ("localhost", "localhost.localdomain")


class Settings(ServiceSettings):
    """Settings of the gateway."""

    model_config = SettingsConfigDict(
        env_prefix="SUPPLI_GATEWAY_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    issuer: str = Field(description="`iss` of the platform's tokens, an https address.")
    jwks_url: str = Field(description="Where the platform publishes its signing keys.")
    audience: str = Field("suppli-integrations", description="`aud` that tokens must carry.")
    public_url: str = Field(
        description="Where browsers reach this API; providers send people to `/v1/oauth/callback` below it."
    )
    connector_urls: dict[str, str] = Field(
        default_factory=dict, description="Connectors' internal addresses by provider, as JSON."
    )
    mapping_url: str = Field("http://mapping:8081", description="Internal address of mapping.")
    sync_scheduler_url: str = Field(
        "http://sync-scheduler:8081", description="Internal address of the scheduler."
    )
    internal_timeout_seconds: float = Field(
        20.0, gt=0, description="How long a call to another service may take (s)."
    )
    state_seconds: int = Field(
        600, ge=1, description="How long a person may take at the provider's consent page (s)."
    )
    jwks_max_age_seconds: float = Field(
        600.0, gt=0, description="After how long signing keys are fetched again (s)."
    )
    jwks_retry_seconds: float = Field(
        10.0,
        gt=0,
        description="Least time between two fetches of the signing keys, whatever key ids arrive (s).",
    )
    max_body_bytes: int = Field(1_000_000, gt=0, description="Largest request body, files apart (bytes).")
    max_import_bytes: int = Field(20_000_000, gt=0, description="Largest product file (bytes).")
    max_upload_bytes: int = Field(500_000_000, gt=0, description="Largest file of sales (bytes).")
    upload_seconds: float = Field(
        3_600.0, gt=0, description="How long a file of sales may take to arrive (s)."
    )
    max_streams: int = Field(500, gt=0, description="Most live event streams of this process.")

    @model_validator(mode="after")
    def _production_is_https(self) -> Settings:
        if self.environment is not Environment.PRODUCTION:
            return self
        for name in ("issuer", "jwks_url", "public_url"):
            problem = _not_public(getattr(self, name))
            if problem:
                raise ValueError(f"SUPPLI_GATEWAY_{name.upper()} {problem}: refused in production")
        return self

    @property
    def redirect_uri(self) -> str:
        """Where providers send people back."""
        return f"{self.public_url.rstrip('/')}/v1/oauth/callback"


def _not_public(url: str) -> str | None:
    """Return what keeps an address from being used in production, None when nothing does."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "is not an https address"
    host = parts.hostname or ""
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        return "is a loopback address"
    try:
        loopback = ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return None if host else "has no host"
    return "is a loopback address" if loopback else None
