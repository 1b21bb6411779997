"""The whole system as processes on one machine, for the demo and the end-to-end tests."""
