"""The history of this service's own tables; the kit has one of its own for the rest."""
