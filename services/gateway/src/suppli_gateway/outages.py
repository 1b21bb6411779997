"""What else is away, as this process saw it last, so that pages say why nothing moves."""

from __future__ import annotations

from suppli_contracts.topics import connector_service
from suppli_service_kit.health import Health

from suppli_gateway.runs.schemas import WaitsForName
from suppli_gateway.services import MAPPING, SCHEDULER, Services

BROKER = "kafka"
LOOK_SECONDS = 5.0


class Outages:
    """The gateway's own view of the others' health."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def look_at(self, services: Services) -> None:
        """Have the other services' readiness looked at; a missing one shows as degraded, no more."""
        for service in services.all():
            self._health.register(service.name, service.ready, every=LOOK_SECONDS)

    def holding_up(self, provider: str) -> WaitsForName | None:
        """Return what keeps the provider's sales from coming in now, None where nothing is known to."""
        parts: tuple[tuple[str, WaitsForName], ...] = (
            (BROKER, "messaging"),
            (connector_service(provider), "connector"),
            (SCHEDULER, "scheduler"),
            (MAPPING, "mapping"),
        )
        return next((said for part, said in parts if self._health.problem(part) is not None), None)
