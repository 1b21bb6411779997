"""Connections and their settings: owned here."""
