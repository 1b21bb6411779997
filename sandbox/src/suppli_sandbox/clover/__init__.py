"""A faithful local Clover: REST v3, OAuth v2, limits, faults."""
