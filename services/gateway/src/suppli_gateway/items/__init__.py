"""External items and their mapping, asked of the mapping service."""
