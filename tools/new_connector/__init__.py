"""Writes the skeleton of a new connector; see docs/adding-a-connector.md."""
