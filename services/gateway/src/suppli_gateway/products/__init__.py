"""Suppli's products, imported here."""
