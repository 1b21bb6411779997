"""PostgreSQL, Apache Kafka and OpenBao on this machine with Python alone, for demo, tests and development."""
