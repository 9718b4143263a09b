"""Kafka: how the log is carried to other services."""
