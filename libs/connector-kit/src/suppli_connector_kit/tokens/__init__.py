"""The token keeper: an account's tokens in Vault, refreshed once however many replicas want to."""
