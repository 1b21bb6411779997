"""What every Kafka client of a process is given: addresses and security."""

from __future__ import annotations

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from suppli_service_kit.settings import KafkaSettings, read_secret_file


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None where the connection has no TLS."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    return ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the arguments of aiokafka's producers and consumers; reads the password's file."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.security_protocol.startswith("SASL") and settings.password_file is not None:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": read_secret_file(settings.password_file, "kafka password"),
        }
    return options


def broker_security(settings: KafkaSettings) -> BaseSecurity:
    """Return the same security in FastStream's terms."""
    context = ssl_context(settings)
    if not settings.security_protocol.startswith("SASL") or settings.password_file is None:
        return BaseSecurity(ssl_context=context, use_ssl=context is not None)
    kind = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kind[settings.sasl_mechanism](
        username=settings.username or "",
        password=read_secret_file(settings.password_file, "kafka password"),
        ssl_context=context,
        use_ssl=context is not None,
    )


def request_timeout_ms(settings: KafkaSettings) -> int:
    """Return how long a request may take (ms): longer than a rebalance, or joining a group never ends."""
    return settings.rebalance_timeout_ms + 10_000
