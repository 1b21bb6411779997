"""The consumer lag, computed when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from suppli_service_kit import metrics

if TYPE_CHECKING:
    from suppli_service_kit.kafka.consumer import Subscription


class LagCollector(Collector):
    """Says for each partition assigned to this process how many messages are not yet done."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        self._subscriptions = subscriptions

    def register(self) -> None:
        """Take part in the process's metrics."""
        self.unregister()
        metrics.REGISTRY.register(self)

    def unregister(self) -> None:
        """Take part no more; does nothing when not registered."""
        with suppress(KeyError):
            metrics.REGISTRY.unregister(self)

    def describe(self) -> Iterator[Metric]:
        """Name nothing: one process may have several sets of consumers, each with its own collector."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return the lag of every assigned partition."""
        family = self._family()
        for subscription in self._subscriptions:
            for partition, lag in subscription.lag().items():
                family.add_metric([partition.topic, str(partition.partition), subscription.group], lag)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        _, labels, meaning = metrics.DEFINITIONS[metrics.LAG_NAME]
        return GaugeMetricFamily(metrics.LAG_NAME, meaning, labels=labels)
