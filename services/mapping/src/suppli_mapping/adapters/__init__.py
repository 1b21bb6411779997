"""Where the domain meets PostgreSQL and Kafka."""
