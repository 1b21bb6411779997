"""Stand-ins for tests: a provider in memory that obeys the `Connector` protocol, faults to order."""

from suppli_connector_kit.testing.provider import MemoryOrder as MemoryOrder
from suppli_connector_kit.testing.provider import MemoryProvider as MemoryProvider
