"""Reads a shop's sales and catalog from Square."""
