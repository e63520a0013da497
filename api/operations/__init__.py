"""Running the service: server, workers, health, metrics, logs."""
