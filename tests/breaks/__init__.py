"""Deliberate breaks of the product, each with the tests that must find it: `breaks.toml`."""
