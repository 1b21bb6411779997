"""Suppli's own locations."""
