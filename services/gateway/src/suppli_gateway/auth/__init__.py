"""Who calls: the platform's JWTs, roles and tenants."""
