"""The database, Kafka and Vault behind the engine's and the keeper's ports."""
