"""Self-tests: a known anomaly in a copy of the live stream, followed through model, limit, outbox and broker."""
