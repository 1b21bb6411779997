"""The redirect to a provider and back."""
