"""A local Square: OAuth, orders, catalog, payments, refunds, webhooks."""
