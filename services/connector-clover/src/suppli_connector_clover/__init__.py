"""Reads a shop's sales and items from Clover."""
