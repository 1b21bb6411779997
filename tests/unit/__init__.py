"""Tests of the whole that need no server."""
