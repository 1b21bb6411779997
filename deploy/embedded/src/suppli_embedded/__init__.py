"""PostgreSQL, Apache Kafka and OpenBao on this machine with Python alone: for the demo, tests and development."""
