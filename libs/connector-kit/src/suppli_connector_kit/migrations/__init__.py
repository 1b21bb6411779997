"""The schema of every connector's database, one history for all."""
