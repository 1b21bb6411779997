"""Kafka, with one acknowledgement policy: an offset is committed only after its effect is durable."""
