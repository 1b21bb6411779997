"""Mapping: external items become products, raw sales product sales, and the ledger remembers why."""
