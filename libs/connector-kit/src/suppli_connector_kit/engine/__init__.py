"""The sync engine: walks a provider's pages, publishes what changed, and records it; knows no server."""
