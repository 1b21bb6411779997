"""Live progress as server-sent events."""
