"""The rules of reading a provider's sales: pure functions, no input or output."""
