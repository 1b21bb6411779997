"""Who calls: the platform's JWTs or service keys, roles and tenants."""
