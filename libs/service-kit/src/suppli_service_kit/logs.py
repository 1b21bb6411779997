"""Structured logs: one JSON object a line on standard output, secrets removed before they are written."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from opentelemetry import trace

from suppli_service_kit.redaction import redact

# Libraries that say at INFO what we count in metrics instead.
_QUIET = (
    "aiokafka",
    "httpx",
    "httpcore",
    "uvicorn.access",
    "faststream",
    "alembic",
    "hvac",
    "urllib3",
    "asyncio",
)

EventDict = MutableMapping[str, Any]


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send every log line of this process, ours and libraries', to standard output as redacted JSON.

    Args:
        service: named in every line.
        level: the least level that is written.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _trace_ids,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _Named(service),
                redacting,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger, for `log.info("event_name", field=value)`: the event is a constant."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redacting(logger: Any, method: str, event: EventDict) -> EventDict:
    """Structlog processor: remove secrets from every field, exception texts included."""
    cleaned: dict[str, Any] = redact(event)
    return cleaned


class _Named:
    """Structlog processor: says which service wrote the line."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        return event


def _trace_ids(logger: Any, method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
