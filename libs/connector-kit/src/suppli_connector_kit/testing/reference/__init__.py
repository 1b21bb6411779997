"""A provider that nobody has, and its connector: HTTP in this process, for tests of the suite itself."""

from suppli_connector_kit.testing.reference.connector import ReferenceConnector as ReferenceConnector
from suppli_connector_kit.testing.reference.harness import ReferenceHarness as ReferenceHarness
from suppli_connector_kit.testing.reference.provider import ReferenceProvider as ReferenceProvider
