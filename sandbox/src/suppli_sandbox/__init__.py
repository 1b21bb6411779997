"""Faithful local stand-ins for point-of-sale APIs, with faults to order."""
