"""Mapping: external items become Suppli products, raw sales become product sales, and the ledger remembers why."""
