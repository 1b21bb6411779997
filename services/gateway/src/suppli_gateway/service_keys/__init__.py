"""Keys with which other services and scripts of a tenant call the API."""
