"""Reads a shop's sales from CSV and Excel files."""
